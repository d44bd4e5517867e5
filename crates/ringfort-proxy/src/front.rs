// SPDX-License-Identifier: MIT OR Apache-2.0
//! The doors at which programs knock: HTTP, SOCKS5, connections to synthetic addresses, DNS.
//!
//! In: a connection and the listener that it came to. Out: what the protocol asks for, judged.
//!
//! **Invariant:** the first byte decides the protocol, once; what fits none is closed and reported.

use crate::engine::{Entrance, Visitor};
use crate::judge::Ending;
use crate::stream::{Inbox, Waited, close_writing, write_all};

mod caught;
pub(crate) mod dns;
mod exchange;
mod http;
mod socks;
mod tunnel;

/// The answer of SOCKS4 to a request that is refused.
const SOCKS4_REFUSED: [u8; 8] = [0, 91, 0, 0, 0, 0, 0, 0];

/// Serves one connection to its end.
pub(crate) async fn serve(visitor: Visitor, mut client: Inbox, entrance: Entrance) {
    match entrance {
        Entrance::Caught => return caught::serve(&visitor, client).await,
        Entrance::Dns => return dns::answer_stream(&visitor, client).await,
        Entrance::Proxy => {}
    }
    if client.wait(visitor.limits().idle_wait).await != Waited::Ready {
        return;
    }
    match client.ahead().first() {
        Some(5) => socks::serve(&visitor, client).await,
        Some(4) => {
            visitor.refused(None, Ending::Malformed("socks-version"));
            farewell(&mut client, &SOCKS4_REFUSED).await;
        }
        Some(byte) if byte.is_ascii_alphabetic() => {
            http::serve(&visitor, client, http::Place::Proxy, None).await;
        }
        _ => visitor.refused(None, Ending::Malformed("protocol")),
    }
}

/// Most bytes that are read and dropped after a last answer, so that it is not lost with them.
const FAREWELL_BYTES_MAX: usize = 256 << 10;
/// Longest wait for them.
const FAREWELL_WAIT: std::time::Duration = std::time::Duration::from_secs(1);

/// Sends a last answer. What the program is still sending is dropped for a moment: closing a socket with unread bytes
/// would reset the connection and take the answer with it.
async fn farewell(client: &mut Inbox, answer: &[u8]) {
    let last = async {
        if write_all(&client.socket, answer).await.is_err() {
            return;
        }
        close_writing(&client.socket);
        let mut dropped = client.take_ahead().len();
        while dropped < FAREWELL_BYTES_MAX {
            match client.fill().await {
                Ok(1..) => dropped += client.take_ahead().len(),
                _ => return,
            }
        }
    };
    // Whoever does not read its answer in time has lost it.
    drop(tokio::time::timeout(FAREWELL_WAIT, last).await);
}
