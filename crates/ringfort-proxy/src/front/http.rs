// SPDX-License-Identifier: MIT OR Apache-2.0
//! One connection of a program that speaks HTTP/1: its requests one after the other.
//!
//! In: a connection, and whether its destination is known. Out: tunnels and exchanges, or pages that say why not.
//!
//! **Invariant:** each request is read strictly and whole before anything of it is used. A connection to a destination
//! has one verdict; a request whose method or path differs from the one before is reviewed.

use ringfort_policy::egress::Host;

use crate::engine::Visitor;
use crate::front::exchange::{After, exchange};
use crate::front::{farewell, tunnel};
use crate::judge::{Asked, Denial, Ending, Kind};
use crate::open::{Watch, open};
use crate::refusal::{NO_CREDENTIAL, Refusal};
use crate::stream::{Inbox, Waited, write_all};
use crate::ticket::Ticket;
use crate::wire::head::{HeadFault, Scanner};
use crate::wire::request::{Entry, Request, RequestBody, Wish, read};

/// What a program hears once its tunnel is open.
const TUNNEL_OPEN: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// Where requests come in.
pub(super) enum Place {
    /// At the proxy.
    Proxy,
    /// On a connection whose destination is known.
    Fixed {
        /// The host.
        host: Host,
        /// The port.
        port: u16,
    },
}

/// An open connection to a destination that serves plain HTTP.
pub(super) struct Upstream {
    pub(super) inbox: Inbox,
    pub(super) ticket: Ticket,
    /// The question that was answered last.
    pub(super) asked: Asked,
    /// Whether an exchange has taken place on it.
    pub(super) used: bool,
}

impl Upstream {
    pub(super) fn new(inbox: Inbox, ticket: Ticket, asked: Asked) -> Self {
        Self { inbox, ticket, asked, used: false }
    }

    /// Whether the server has neither closed nor said anything that nobody asked for.
    fn is_quiet(&self) -> bool {
        let peeked = self.inbox.socket.try_read(&mut [0]);
        self.inbox.ahead().is_empty() && peeked.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

/// What follows a request.
enum Next {
    /// Another request, on this connection to the destination if there is one.
    Request(Option<Box<Upstream>>),
    /// The end.
    End,
}

/// Serves one connection to its end.
pub(super) async fn serve(visitor: &Visitor, mut client: Inbox, place: Place, mut upstream: Option<Box<Upstream>>) {
    loop {
        if client.wait(visitor.limits().idle_wait).await != Waited::Ready {
            break;
        }
        let head = match tokio::time::timeout(visitor.limits().head_wait, read_head(&mut client)).await {
            Ok(Ok(Some(head))) => head,
            Ok(Ok(None)) => break,
            Ok(Err(fault)) => return refuse(visitor, &mut client, None, &Refusal::malformed(fault)).await,
            Err(_) => return refuse(visitor, &mut client, None, &Refusal::failed(408, "head-late")).await,
        };
        let entry = match &place {
            Place::Proxy => Entry::Proxy,
            Place::Fixed { host, port } => Entry::Fixed { host, port: *port },
        };
        let request = match read(&head, entry) {
            Ok(request) => request,
            Err(fault) => return refuse(visitor, &mut client, None, &Refusal::malformed(fault)).await,
        };
        if matches!(place, Place::Proxy) && !presents_credential(visitor, &request) {
            let denial = Denial::new(NO_CREDENTIAL, "the proxy's credential is missing or wrong");
            let refusal = Refusal { status: 407, ending: Ending::Denied(denial) };
            return refuse(visitor, &mut client, None, &refusal).await;
        }
        match &request.wish {
            Wish::Tunnel => {
                drop(upstream.take());
                let asked = visitor.asks(Kind::Connect, request.host.clone(), request.port);
                return Box::pin(connect(visitor, client, asked)).await;
            }
            Wish::Path(path) => {
                let asked = Asked {
                    method: Some(request.method.to_owned()),
                    path: Some(path.clone()),
                    ..visitor.asks(Kind::Http, request.host.clone(), request.port)
                };
                match forward(visitor, &mut client, &request, asked, upstream.take()).await {
                    Next::Request(kept) => upstream = kept,
                    Next::End => return,
                }
            }
        }
    }
    if let Some(upstream) = upstream {
        upstream.ticket.end(Ending::Closed);
    }
}

/// The next head; `None` if the program closed before it began one.
async fn read_head(client: &mut Inbox) -> Result<Option<Vec<u8>>, HeadFault> {
    let mut scanner = Scanner::default();
    loop {
        if let Some(end) = scanner.find(client.ahead())? {
            let head = client.ahead().get(..end).unwrap_or_default().to_vec();
            client.consume(end);
            return Ok(Some(head));
        }
        if !matches!(client.fill().await, Ok(1..)) {
            return Ok(None);
        }
    }
}

fn presents_credential(visitor: &Visitor, request: &Request<'_>) -> bool {
    let Some(credential) = &visitor.cage.client.credential else { return true };
    let expected = format!("Basic {}", base64(credential.expose().as_bytes()));
    let expected = ringfort_core::secret::Secret::new(expected);
    request.authorization.is_some_and(|presented| expected.equals(presented))
}

/// Base64 with padding (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let number = group.iter().chain([0, 0].iter()).take(3).fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        for place in 0..4 {
            let digit = DIGITS.get(number >> (18 - 6 * place) & 63).copied().unwrap_or(b'=');
            out.push(if place > group.len() { '=' } else { char::from(digit) });
        }
    }
    out
}

/// Reports a refusal, answers it and closes.
async fn refuse(visitor: &Visitor, client: &mut Inbox, asked: Option<Asked>, refusal: &Refusal) {
    visitor.refused(asked, refusal.ending.clone());
    farewell(client, &refusal.page("GET", false)).await;
}

async fn connect(visitor: &Visitor, mut client: Inbox, asked: Asked) {
    match open(visitor, asked.clone(), Watch::For(&client.socket)).await {
        Err(refusal) => farewell(&mut client, &refusal.page("CONNECT", false)).await,
        Ok(opened) => {
            if write_all(&client.socket, TUNNEL_OPEN).await.is_ok() {
                tunnel::run(visitor, client, opened, &asked).await;
            }
        }
    }
}

/// Forwards one request: on the connection that is there if it may, else on a new one.
async fn forward(
    visitor: &Visitor,
    client: &mut Inbox,
    request: &Request<'_>,
    asked: Asked,
    upstream: Option<Box<Upstream>>,
) -> Next {
    let mut kept = match reuse(visitor, &asked, upstream) {
        Ok(kept) => kept,
        Err((denial, kept)) => {
            let refusal = Refusal::denied(denial);
            visitor.refused(Some(asked), refusal.ending.clone());
            return deny(client, request, &refusal, Some(kept)).await;
        }
    };
    loop {
        let mut upstream = match kept.take() {
            Some(upstream) => upstream,
            None => match Box::pin(open(visitor, asked.clone(), Watch::Not)).await {
                Ok(opened) => {
                    opened.ticket.speaks(crate::judge::Protocol::Http);
                    Box::new(Upstream::new(Inbox::new(opened.socket), opened.ticket, asked.clone()))
                }
                Err(refusal) => return deny(client, request, &refusal, None).await,
            },
        };
        if let Err(refusal) = upstream.ticket.request() {
            upstream.ticket.end(refusal.ending.clone());
            drop(upstream);
            return deny(client, request, &refusal, None).await;
        }
        match exchange(visitor, client, request, &mut upstream).await {
            Ok(After::Stay) => {
                upstream.used = true;
                return Next::Request(Some(upstream));
            }
            Ok(After::StayAlone) => {
                upstream.ticket.end(Ending::Closed);
                return Next::Request(None);
            }
            Ok(After::Close) => {
                upstream.ticket.end(Ending::Closed);
                drop(upstream);
                // The program may still be sending a body that the server did not want.
                farewell(client, &[]).await;
                return Next::End;
            }
            // The server closed while the request was on its way to it; a new connection is a new verdict.
            Ok(After::Again) => upstream.ticket.end(Ending::Closed),
            Err(failure) => {
                upstream.ticket.end(failure.refusal.ending.clone());
                drop(upstream);
                if !failure.answered {
                    farewell(client, &failure.refusal.page(request.method, false)).await;
                }
                return Next::End;
            }
        }
    }
}

/// The connection that is there, if it leads to the same destination and rules let this request pass on it.
fn reuse(
    visitor: &Visitor,
    asked: &Asked,
    upstream: Option<Box<Upstream>>,
) -> Result<Option<Box<Upstream>>, (Denial, Box<Upstream>)> {
    use crate::judge::Review;
    let Some(mut upstream) = upstream else { return Ok(None) };
    if (&upstream.asked.host, upstream.asked.port) != (&asked.host, asked.port) || !upstream.is_quiet() {
        upstream.ticket.end(Ending::Closed);
        return Ok(None);
    }
    if (&upstream.asked.method, &upstream.asked.path) == (&asked.method, &asked.path) {
        return Ok(Some(upstream));
    }
    match visitor.cage.engine.judge.review(asked) {
        Review::Allow => {
            upstream.asked = asked.clone();
            Ok(Some(upstream))
        }
        Review::Deny(denial) => Err((denial, upstream)),
        Review::Judge => {
            upstream.ticket.end(Ending::Closed);
            Ok(None)
        }
    }
}

/// Answers a refused request. The connection stays where the program has sent nothing that would be left unread.
async fn deny(client: &mut Inbox, request: &Request<'_>, refusal: &Refusal, kept: Option<Box<Upstream>>) -> Next {
    let stays = request.persistent && request.body == RequestBody::Length(0) && !request.websocket;
    let page = refusal.page(request.method, stays);
    if !stays {
        if let Some(upstream) = kept {
            upstream.ticket.end(Ending::Closed);
        }
        farewell(client, &page).await;
        return Next::End;
    }
    match write_all(&client.socket, &page).await {
        Ok(()) => Next::Request(kept),
        Err(_) => Next::End,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (text, expected) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("\u{ff}?>", "w78/Pg=="),
        ] {
            assert_eq!(base64(text.as_bytes()), expected, "{text}");
        }
    }
}
