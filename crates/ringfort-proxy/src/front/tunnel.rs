// SPDX-License-Identifier: MIT OR Apache-2.0
//! A tunnel whose destination was judged: what the program says first must name that destination.
//!
//! In: a program's connection, an open connection to its destination, what was asked. Out: bytes both ways.
//!
//! **Invariant:** TLS without a server name, with another one or with a hidden one does not reach the destination; plain
//! HTTP in a tunnel is read, and each of its requests judged, as HTTP. Anything else passes and is reported as such.

use ringfort_policy::egress::Host;
use tokio::net::TcpStream;

use crate::copy;
use crate::engine::Visitor;
use crate::front::{farewell, http};
use crate::judge::{Asked, Ending, Protocol};
use crate::open::Opened;
use crate::refusal::{HTTP_LATE, Refusal, TLS_ALERT, TLS_DIFFERS, TLS_HIDES};
use crate::stream::{First, Inbox, Reader, Waited, both, race};
use crate::ticket::{Ticket, Way};
use crate::wire::head::is_token;
use crate::wire::hello::{Peek, peek};

/// What a program says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speech {
    /// Nothing, and it closed.
    Nothing,
    /// TLS for the right host.
    Tls,
    /// Plain HTTP.
    Http,
    /// Something else.
    Other,
}

/// Runs a tunnel to its end.
pub(super) async fn run(visitor: &Visitor, mut client: Inbox, opened: Opened, asked: &Asked) {
    let Opened { socket, ticket } = opened;
    if let Err(refusal) = ticket.request() {
        return ticket.end(refusal.ending);
    }
    let idle = visitor.limits().tunnel_idle_wait;
    // Some servers speak first; nothing is known of the program's protocol then, so it is looked at on its way.
    let server_first = match race(client.wait(idle), socket.peek(&mut [0])).await {
        First::Left(Waited::Ready) => false,
        First::Left(_) => return ticket.end(Ending::Closed),
        First::Right(_) => true,
    };
    if server_first {
        let result = after_server(visitor, &mut client, &socket, &ticket, &asked.host).await;
        return ticket.end_with(result);
    }
    match speech(visitor, &mut client.reader(), &asked.host).await {
        Err(refusal) => {
            ticket.end(refusal.ending);
            drop((ticket, socket));
            farewell(&mut client, &TLS_ALERT).await;
        }
        Ok(Speech::Nothing) => ticket.end(Ending::Closed),
        Ok(Speech::Http) => {
            let place = http::Place::Fixed { host: asked.host.clone(), port: asked.port };
            ticket.speaks(Protocol::Http);
            let upstream = Box::new(http::Upstream::new(Inbox::new(socket), ticket, asked.clone()));
            Box::pin(http::serve(visitor, client, place, Some(upstream))).await;
        }
        Ok(speech) => {
            ticket.speaks(if speech == Speech::Tls { Protocol::Tls } else { Protocol::Other });
            let ahead = client.take_ahead();
            let flow = copy::Flow { from: &client.socket, to: &socket, ticket: &ticket, way: Way::Out };
            let result = match flow.write(&ahead).await {
                Ok(_) => copy::tunnel(&client.socket, &socket, &ticket, idle).await,
                Err(refusal) => Err(refusal),
            };
            ticket.end_with(result);
        }
    }
}

/// A tunnel in which the server spoke first. The program's first words are looked at before they pass.
async fn after_server(
    visitor: &Visitor,
    client: &mut Inbox,
    server: &TcpStream,
    ticket: &Ticket,
    host: &Host,
) -> Result<(), Refusal> {
    let (to_client, mut reader) = client.split();
    let back = copy::Flow { from: server, to: to_client, ticket, way: Way::In };
    let out = copy::Flow { from: to_client, to: server, ticket, way: Way::Out };
    let looked_at = async {
        reader.fill().await.map_err(|_| Refusal::left())?;
        match speech(visitor, &mut reader, host).await? {
            Speech::Http => return Err(Refusal::rule(HTTP_LATE, format!("`{host}` spoke before an HTTP request"))),
            Speech::Tls => ticket.speaks(Protocol::Tls),
            Speech::Nothing | Speech::Other => ticket.speaks(Protocol::Other),
        }
        out.write(&std::mem::take(reader.ahead)).await?;
        copy::one_way(&out).await
    };
    copy::unless_idle(ticket, visitor.limits().tunnel_idle_wait, both(copy::one_way(&back), looked_at)).await
}

/// Reads on until it is known what the program speaks, and whether it names this host.
pub(super) async fn speech(visitor: &Visitor, client: &mut Reader<'_>, host: &Host) -> Result<Speech, Refusal> {
    let look = async {
        let mut wanted = 1;
        loop {
            if client.ahead.len() >= wanted {
                match peek(client.ahead) {
                    Ok(Peek::Tls(hello)) => return check_name(hello.name.as_deref(), hello.hides, host),
                    Ok(Peek::More(more)) => wanted = more,
                    Ok(Peek::Other) => match begins_http(client.ahead) {
                        Some(true) => return Ok(Speech::Http),
                        Some(false) => return Ok(Speech::Other),
                        None => wanted = client.ahead.len() + 1,
                    },
                    Err(fault) => {
                        return Err(Refusal::rule(
                            TLS_HIDES,
                            format!("the TLS greeting to `{host}` is malformed: {fault}"),
                        ));
                    }
                }
                continue;
            }
            match client.fill().await {
                Ok(1..) => {}
                _ if client.ahead.is_empty() => return Ok(Speech::Nothing),
                // It said too little to be TLS or HTTP and will say no more.
                Ok(_) if client.ahead.first() != Some(&22) => return Ok(Speech::Other),
                _ => return Err(Refusal::left()),
            }
        }
    };
    match tokio::time::timeout(visitor.limits().head_wait, look).await {
        Ok(result) => result,
        Err(_) => Err(Refusal::failed(408, "head-late")),
    }
}

/// Whether TLS names the host that was asked for.
fn check_name(name: Option<&str>, hides: bool, host: &Host) -> Result<Speech, Refusal> {
    if hides {
        return Err(Refusal::rule(
            TLS_HIDES,
            format!("the TLS greeting to `{host}` may hide another server name (ECH)"),
        ));
    }
    match (host, name) {
        (Host::Name(host), Some(name)) if host == name => Ok(Speech::Tls),
        (Host::V4(_) | Host::V6(_), None) => Ok(Speech::Tls),
        (_, None) => Err(Refusal::rule(TLS_HIDES, format!("the TLS greeting to `{host}` names no server"))),
        (_, Some(_)) => Err(Refusal::rule(TLS_DIFFERS, format!("the TLS greeting to `{host}` names another server"))),
    }
}

/// Longest word that is taken for a method.
const METHOD_BYTES_MAX: usize = 32;
/// Most bytes before it, line ends and spaces, that a lenient server may skip.
const BLANKS_MAX: usize = 64;

/// Whether the first words are those of an HTTP request, as the most lenient server reads it; `None` if too few are
/// there. What is read as HTTP here and is not strictly so is refused.
fn begins_http(bytes: &[u8]) -> Option<bool> {
    let bytes = match bytes.trim_ascii_start() {
        [] if bytes.len() < BLANKS_MAX => return None,
        trimmed => trimmed,
    };
    let word = bytes.iter().take_while(|byte| is_token(**byte)).count();
    if word > METHOD_BYTES_MAX {
        return Some(false);
    }
    let (method, rest) = bytes.split_at_checked(word)?;
    let target = rest.trim_ascii_start();
    match (rest.first(), target) {
        (None, _) => None,
        (Some(b' ' | b'\t'), []) => None,
        (Some(b' ' | b'\t'), [b'/' | b'*', ..]) => Some(true),
        (Some(b' ' | b'\t'), _) if method.eq_ignore_ascii_case(b"CONNECT") => Some(true),
        (Some(b' ' | b'\t'), target) => {
            let scheme = b"http://";
            let same = target.iter().zip(scheme).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count();
            if same == scheme.len() {
                Some(true)
            } else if same == target.len() {
                None
            } else {
                Some(false)
            }
        }
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_is_told_apart() {
        for (text, expected) in [
            ("GET / HTTP/1.1", Some(true)),
            ("PRI * HTTP/2.0", Some(true)),
            ("OPTIONS * HTTP/1.1", Some(true)),
            ("GET HTTP://a/", Some(true)),
            ("GET ht", None),
            ("GET ", None),
            ("GE", None),
            ("EHLO host.example", Some(false)),
            ("SSH-2.0-x\r\n", Some(false)),
            ("SSH-2.0-x", None),
            ("get /", Some(true)),
            ("\r\n GET / HTTP/1.1", Some(true)),
            ("\r\n", None),
            ("GET\t /", Some(true)),
            ("M-SEARCH *", Some(true)),
            ("connect a.example:443", Some(true)),
            ("\u{1}", Some(false)),
            ("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG", Some(false)),
            ("PING\r\n", Some(false)),
        ] {
            assert_eq!(begins_http(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn deny_names_that_differ() {
        let name = Host::Name("a.example".into());
        let address = Host::V4([192, 0, 2, 1].into());
        let rule = |result: Result<Speech, Refusal>| match result.map_err(|refusal| refusal.ending) {
            Err(Ending::Denied(denial)) => denial.rule,
            other => format!("{other:?}"),
        };
        assert_eq!(check_name(Some("a.example"), false, &name).unwrap(), Speech::Tls);
        assert_eq!(check_name(None, false, &address).unwrap(), Speech::Tls);
        for (named, hides, host, expected) in [
            (Some("b.example"), false, &name, TLS_DIFFERS),
            (Some("a.example.evil.net"), false, &name, TLS_DIFFERS),
            (Some("a.example"), false, &address, TLS_DIFFERS),
            (None, false, &name, TLS_HIDES),
            (Some("a.example"), true, &name, TLS_HIDES),
            (None, true, &address, TLS_HIDES),
        ] {
            assert_eq!(rule(check_name(named, hides, host)), expected, "{named:?} {hides} {host}");
        }
    }
}
