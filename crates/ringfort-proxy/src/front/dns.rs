// SPDX-License-Identifier: MIT OR Apache-2.0
//! The DNS answerer: names that rules could allow get a synthetic address, every other name does not exist.
//!
//! In: datagrams, and messages behind their length on TCP. Out: an answer each, made here.
//!
//! **Invariant:** nothing of a query leaves this machine. An answer is no verdict; the connection is judged.

use std::rc::Rc;
use std::time::Duration;

use ringfort_policy::egress::{Host, parse_host};
use tokio::net::UdpSocket;

use crate::engine::{Cage, Visitor};
use crate::judge::Lookup;
use crate::limits::DNS_BYTES_MAX;
use crate::stream::{Inbox, write_all};
use crate::wire::dns::{Code, Wanted, read};

/// Pause after a datagram could not be received.
const RECEIVE_PAUSE: Duration = Duration::from_millis(50);

/// Answers datagrams until the cage is gone.
pub(crate) async fn answer_datagrams(cage: Rc<Cage>, socket: UdpSocket) {
    let mut buffer = [0; DNS_BYTES_MAX + 1];
    loop {
        let Ok((count, from)) = socket.recv_from(&mut buffer).await else {
            tokio::time::sleep(RECEIVE_PAUSE).await;
            continue;
        };
        if let Some(reply) = answer(&cage, buffer.get(..count).unwrap_or_default()) {
            // A program that does not take its answer asks again.
            drop(socket.try_send_to(&reply, from));
        }
    }
}

/// Answers the messages of one connection.
pub(crate) async fn answer_stream(visitor: &Visitor, mut client: Inbox) {
    let wait = visitor.limits().head_wait;
    while let Ok(Some(message)) = tokio::time::timeout(wait, message(&mut client)).await {
        let Some(reply) = answer(&visitor.cage, &message) else { return };
        let Ok(length) = u16::try_from(reply.len()) else { return };
        let framed = [&length.to_be_bytes()[..], &reply].concat();
        if !matches!(tokio::time::timeout(wait, write_all(&client.socket, &framed)).await, Ok(Ok(()))) {
            return;
        }
    }
}

/// The next message; `None` at the end, and for one that is too long.
async fn message(client: &mut Inbox) -> Option<Vec<u8>> {
    loop {
        if let Some((length, rest)) = client.ahead().split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            if length > DNS_BYTES_MAX {
                return None;
            }
            if let Some(message) = rest.get(..length) {
                let message = message.to_vec();
                client.consume(length + 2);
                return Some(message);
            }
        }
        if !matches!(client.fill().await, Ok(1..)) {
            return None;
        }
    }
}

fn answer(cage: &Cage, message: &[u8]) -> Option<Vec<u8>> {
    let query = match read(message) {
        Ok(query) => query,
        Err(fault) => return fault.reply(),
    };
    if query.wanted == Wanted::Foreign {
        return Some(query.answer_code(Code::Refused));
    }
    let name = match parse_host(&query.name) {
        Ok(Host::Name(name)) => name,
        _ => return Some(query.answer_code(Code::NoName)),
    };
    if cage.engine.judge.lookup(cage.client.id, &name) == Lookup::Deny {
        return Some(query.answer_code(Code::NoName));
    }
    Some(match query.wanted {
        Wanted::Address => query.answer_address(cage.names.borrow_mut().address(&name)),
        _ => query.answer_code(Code::NoData),
    })
}
