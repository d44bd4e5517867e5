// SPDX-License-Identifier: MIT OR Apache-2.0
//! One request and its response, both ways at once.
//!
//! In: a request that was let pass, and a connection to its destination. Out: the response at the program, and whether
//! both connections may serve another one.
//!
//! **Invariant:** bodies are never collected. After a request that was not sent whole, or a response whose end is the
//! end of the connection, no connection is used again.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use crate::copy::{self, Flow, Moved};
use crate::engine::Visitor;
use crate::front::http::Upstream;
use crate::refusal::Refusal;
use crate::stream::{Inbox, Reader, write_all};
use crate::ticket::{Ticket, Way};
use crate::wire::head::{HeadFault, Scanner};
use crate::wire::request::{Request, RequestBody};
use crate::wire::response::{ResponseBody, read};

/// Most interim responses (100, 103) before the final one.
const INTERIM_MAX: u32 = 16;

/// What may follow an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Another request on both connections.
    Stay,
    /// Another request, on a new connection to its destination.
    StayAlone,
    /// Nothing.
    Close,
    /// The same request on a new connection: this one was closed before a byte came back.
    Again,
}

/// Why an exchange failed.
pub(super) struct Failure {
    pub(super) refusal: Refusal,
    /// Whether the program has received a part of a response.
    pub(super) answered: bool,
}

/// What became of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// It was sent whole.
    Whole,
    /// The server stopped reading.
    Cut,
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Received {
    /// A whole response, after which the server's connection may serve another, and the program's as well.
    Whole { server_stays: bool, client_stays: bool },
    /// The server agreed to speak another protocol.
    Upgraded,
    /// Nothing.
    Nothing,
}

/// Sends a request and passes its response back.
pub(super) async fn exchange(
    visitor: &Visitor,
    client: &mut Inbox,
    request: &Request<'_>,
    upstream: &mut Upstream,
) -> Result<After, Failure> {
    let idle = visitor.limits().tunnel_idle_wait;
    let answered = Cell::new(false);
    let ticket = &upstream.ticket;
    let used = upstream.used;
    let result = {
        let (to_client, mut from_client) = client.split();
        let (to_server, mut from_server) = upstream.inbox.split();
        let sending = send(request, &mut from_client, to_server, ticket);
        let receiving = receive(request, &mut from_server, to_client, ticket, &answered);
        copy::unless_idle(ticket, idle, alongside(sending, receiving)).await
    };
    let fail = |refusal| Failure { refusal, answered: answered.get() };
    match result.map_err(fail)? {
        (_, Received::Nothing) if used && request.is_repeatable() => Ok(After::Again),
        (_, Received::Nothing) => Err(fail(Refusal::failed(502, "no-response"))),
        (Some(Sent::Whole), Received::Upgraded) => {
            let result = websocket(client, upstream, idle).await;
            result.map(|()| After::Close).map_err(fail)
        }
        (Some(Sent::Whole), Received::Whole { server_stays: true, client_stays: true }) => Ok(After::Stay),
        (Some(Sent::Whole), Received::Whole { client_stays: true, .. }) => Ok(After::StayAlone),
        _ => Ok(After::Close),
    }
}

/// Runs both directions until the response is whole. A request that fails for the program's fault ends both; one that
/// the server does not read any more may still have a response.
async fn alongside(
    sending: impl Future<Output = Result<Sent, Refusal>>,
    receiving: impl Future<Output = Result<Received, Refusal>>,
) -> Result<(Option<Sent>, Received), Refusal> {
    let (mut sending, mut receiving) = (pin!(sending), pin!(receiving));
    let mut sent = None;
    poll_fn(|context| {
        if sent.is_none() {
            match sending.as_mut().poll(context) {
                Poll::Ready(Ok(how)) => sent = Some(how),
                Poll::Ready(Err(refusal)) => return Poll::Ready(Err(refusal)),
                Poll::Pending => {}
            }
        }
        receiving.as_mut().poll(context).map_ok(|received| (sent, received))
    })
    .await
}

async fn send(
    request: &Request<'_>,
    from: &mut Reader<'_>,
    to: &tokio::net::TcpStream,
    ticket: &Ticket,
) -> Result<Sent, Refusal> {
    let flow = Flow { from: from.socket, to, ticket, way: Way::Out };
    if flow.write(&request.onward()).await? == Moved::Cut {
        return Ok(Sent::Cut);
    }
    let moved = match request.body {
        RequestBody::Length(0) => Moved::All,
        RequestBody::Length(length) => pass_length(&flow, from.ahead, length).await?,
        RequestBody::Chunked => flow.pass_chunks(from.ahead).await?,
    };
    match moved {
        Moved::All => Ok(Sent::Whole),
        Moved::Cut => Ok(Sent::Cut),
        Moved::Short => Err(Refusal::left()),
    }
}

/// Moves `length` bytes, the first of which may have been read ahead.
async fn pass_length(flow: &Flow<'_>, ahead: &mut Vec<u8>, length: u64) -> Result<Moved, Refusal> {
    let early = usize::try_from(length).unwrap_or(usize::MAX).min(ahead.len());
    let rest = ahead.split_off(early);
    let first = std::mem::replace(ahead, rest);
    match flow.write(&first).await? {
        Moved::All => flow.pass(length - early as u64).await,
        other => Ok(other),
    }
}

async fn receive(
    request: &Request<'_>,
    from: &mut Reader<'_>,
    to: &tokio::net::TcpStream,
    ticket: &Ticket,
    answered: &Cell<bool>,
) -> Result<Received, Refusal> {
    let bad = |fault: HeadFault| Refusal::failed(502, bad_response(fault));
    let flow = Flow { from: from.socket, to, ticket, way: Way::In };
    for _ in 0..=INTERIM_MAX {
        let Some(head) = read_head(from).await.map_err(bad)? else {
            let nothing = from.ahead.is_empty() && !answered.get();
            return if nothing { Ok(Received::Nothing) } else { Err(Refusal::failed(502, "response-cut")) };
        };
        let response = read(&head, request.method).map_err(bad)?;
        if response.status == 101 {
            if !(request.websocket && response.is_websocket()) {
                return Err(Refusal::failed(502, "response-upgrade"));
            }
            answered.set(true);
            flow.write(&response.onward(true)).await?;
            return Ok(Received::Upgraded);
        }
        if response.status < 200 {
            if !request.is_old() {
                answered.set(true);
                flow.write(&response.onward(true)).await?;
            }
            continue;
        }
        if request.is_old() && response.body == ResponseBody::Chunked {
            return Err(Refusal::failed(502, "response-chunked"));
        }
        let client_stays = request.persistent && response.body != ResponseBody::ToEnd;
        answered.set(true);
        let mut moved = flow.write(&response.onward(client_stays)).await?;
        if moved == Moved::All {
            moved = match response.body {
                ResponseBody::Length(0) => Moved::All,
                ResponseBody::Length(length) => pass_length(&flow, from.ahead, length).await?,
                ResponseBody::Chunked => flow.pass_chunks(from.ahead).await?,
                ResponseBody::ToEnd => match flow.write(&std::mem::take(from.ahead)).await? {
                    Moved::All => flow.pass(u64::MAX).await?,
                    other => other,
                },
            };
        }
        return match moved {
            Moved::All => Ok(Received::Whole { server_stays: response.persistent, client_stays }),
            Moved::Short => Err(Refusal::failed(502, "response-cut")),
            Moved::Cut => Err(Refusal::left()),
        };
    }
    Err(Refusal::failed(502, "response-interim"))
}

/// A fault of a response is the server's; it is no malformed request.
fn bad_response(fault: HeadFault) -> &'static str {
    match fault {
        HeadFault::TwoLengths | HeadFault::Length | HeadFault::Transfer => "response-length",
        HeadFault::TooLong | HeadFault::TooMany | HeadFault::LineTooLong => "response-too-long",
        _ => "response-malformed",
    }
}

async fn read_head(from: &mut Reader<'_>) -> Result<Option<Vec<u8>>, HeadFault> {
    let mut scanner = Scanner::default();
    loop {
        if let Some(end) = scanner.find(from.ahead)? {
            let rest = from.ahead.split_off(end);
            return Ok(Some(std::mem::replace(from.ahead, rest)));
        }
        if !matches!(from.fill().await, Ok(1..)) {
            return Ok(None);
        }
    }
}

/// After an upgrade: both ways, with the limits and the account of the connection.
async fn websocket(client: &mut Inbox, upstream: &mut Upstream, idle: std::time::Duration) -> Result<(), Refusal> {
    let (early, answer) = (client.take_ahead(), upstream.inbox.take_ahead());
    let ticket = &upstream.ticket;
    for (from, to, way) in [(early, &upstream.inbox.socket, Way::Out), (answer, &client.socket, Way::In)] {
        ticket.moved(way, from.len() as u64)?;
        write_all(to, &from).await.map_err(|_| Refusal::left())?;
    }
    copy::tunnel(&client.socket, &upstream.inbox.socket, ticket, idle).await
}
