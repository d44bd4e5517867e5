// SPDX-License-Identifier: MIT OR Apache-2.0
//! SOCKS5 with names that are resolved here.
//!
//! In: a connection whose first byte is 5. Out: a tunnel, or a reply that says why not.
//!
//! **Invariant:** where a credential is required, no request is read before it was presented.

use std::time::Duration;

use crate::engine::Visitor;
use crate::front::{farewell, tunnel};
use crate::judge::{Denial, Ending, Kind};
use crate::open::{Watch, open};
use crate::refusal::NO_CREDENTIAL;
use crate::stream::{Inbox, write_all};
use crate::wire::Found;
use crate::wire::socks::{
    METHOD_NONE, METHOD_PASSWORD, METHOD_REFUSED, Reply, SocksFault, greeting, password, request,
};

/// What ends a conversation before its request.
enum Stop {
    /// The program left or was too slow.
    Gone,
    /// It was told no.
    Refused(Ending, &'static [u8]),
}

/// Serves one connection.
pub(super) async fn serve(visitor: &Visitor, mut client: Inbox) {
    let wait = visitor.limits().head_wait;
    let asked = match tokio::time::timeout(wait, converse(visitor, &mut client)).await {
        Ok(Ok((host, port))) => visitor.asks(Kind::Socks, host, port),
        Ok(Err(Stop::Refused(ending, answer))) => {
            visitor.refused(None, ending);
            return farewell(&mut client, answer).await;
        }
        Ok(Err(Stop::Gone)) => return visitor.refused(None, Ending::Failed("client-left")),
        Err(_) => return visitor.refused(None, Ending::Failed("head-late")),
    };
    match open(visitor, asked.clone(), Watch::For(&client.socket)).await {
        Ok(opened) => {
            if reply(&client, Reply::Open, wait).await {
                tunnel::run(visitor, client, opened, &asked).await;
            }
        }
        Err(refusal) => farewell(&mut client, &refusal.reply().bytes()).await,
    }
}

async fn reply(client: &Inbox, reply: Reply, wait: Duration) -> bool {
    matches!(tokio::time::timeout(wait, write_all(&client.socket, &reply.bytes())).await, Ok(Ok(())))
}

/// Greeting, credential, request.
async fn converse(visitor: &Visitor, client: &mut Inbox) -> Result<(ringfort_policy::egress::Host, u16), Stop> {
    let credential = visitor.cage.client.credential.as_ref();
    let method = if credential.is_some() { METHOD_PASSWORD } else { METHOD_NONE };
    let offered =
        part(client, |bytes| greeting(bytes).map(|found| found.map(|methods| methods.contains(&method)))).await?;
    if !offered {
        let ending = match credential {
            Some(_) => Ending::Denied(Denial::new(NO_CREDENTIAL, "the proxy's credential was not presented")),
            None => Ending::Malformed("socks-method"),
        };
        return Err(Stop::Refused(ending, &[5, METHOD_REFUSED]));
    }
    write_all(&client.socket, &[5, method]).await.map_err(|_| Stop::Gone)?;
    if let Some(credential) = credential {
        let presented = part(client, password).await?;
        if !credential.equals(&presented) {
            let denial = Denial::new(NO_CREDENTIAL, "the proxy's credential is wrong");
            return Err(Stop::Refused(Ending::Denied(denial), &[1, 1]));
        }
        write_all(&client.socket, &[1, 0]).await.map_err(|_| Stop::Gone)?;
    }
    part(client, request).await
}

/// Reads on until one part is whole.
async fn part<T>(client: &mut Inbox, read: impl Fn(&[u8]) -> Result<Found<T>, SocksFault>) -> Result<T, Stop> {
    loop {
        match read(client.ahead()) {
            Ok(Found::Whole(value, length)) => {
                client.consume(length);
                return Ok(value);
            }
            Ok(Found::More) => {}
            Err(fault) => return Err(refused(fault)),
        }
        if !matches!(client.fill().await, Ok(1..)) {
            return Err(Stop::Gone);
        }
    }
}

fn refused(fault: SocksFault) -> Stop {
    const DENIED: [u8; 10] = Reply::Denied.bytes();
    const COMMAND: [u8; 10] = Reply::Command.bytes();
    const ADDRESS: [u8; 10] = Reply::AddressKind.bytes();
    const FAILED: [u8; 10] = Reply::Failed.bytes();
    let (reason, answer): (_, &'static [u8]) = match fault {
        SocksFault::Version => ("socks-version", &FAILED),
        SocksFault::Malformed => ("socks-malformed", &FAILED),
        SocksFault::Command => ("socks-command", &COMMAND),
        SocksFault::AddressKind => ("socks-address-kind", &ADDRESS),
        SocksFault::Host => ("socks-host", &DENIED),
    };
    Stop::Refused(Ending::Malformed(reason), answer)
}
