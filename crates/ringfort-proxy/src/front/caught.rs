// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections of programs that ignore the proxy and dial a synthetic address.
//!
//! In: a connection whose own address is the one that the program dialed. Out: a tunnel or HTTP exchanges with the host
//! whose name that address stands for.
//!
//! **Invariant:** the name of the address is the only name that counts; `Host` and the server name in TLS must agree with
//! it before anybody is asked. An address that stands for no name leads nowhere; one of the cage's own loopback does
//! where the judge says which host it is.

use std::time::Duration;

use ringfort_policy::egress::parse_host;

use crate::engine::Visitor;
use crate::front::{farewell, http, tunnel};
use crate::judge::{Asked, Denial, Ending, Kind, Protocol};
use crate::open::{Watch, open};
use crate::refusal::{NO_NAME, Refusal, TLS_ALERT};
use crate::stream::{Inbox, Waited};

/// How long a program may be silent before its server is taken to speak first.
const SILENCE: Duration = Duration::from_millis(300);

/// Serves one connection.
pub(super) async fn serve(visitor: &Visitor, mut client: Inbox) {
    let Ok(dialed) = client.socket.local_addr() else { return };
    let name = visitor.cage.names.borrow_mut().name(dialed.ip());
    let named = name.and_then(|name| parse_host(&name).ok());
    let Some(host) = named.or_else(|| visitor.own(dialed)) else {
        let denial = Denial::new(NO_NAME, format!("no name belongs to the address `{dialed}`"));
        return visitor.refused(None, Ending::Denied(denial));
    };
    let asked = visitor.asks(Kind::Caught, host, dialed.port());
    let speech = match client.wait(SILENCE).await {
        Waited::Late => tunnel::Speech::Other,
        Waited::Ended => return,
        Waited::Ready => match tunnel::speech(visitor, &mut client.reader(), &asked.host).await {
            Ok(speech) => speech,
            Err(refusal) => return refuse(visitor, client, asked, refusal).await,
        },
    };
    if speech == tunnel::Speech::Http {
        let place = http::Place::Fixed { host: asked.host, port: asked.port };
        return http::serve(visitor, client, place, None).await;
    }
    match open(visitor, asked.clone(), Watch::For(&client.socket)).await {
        Ok(opened) => {
            if speech == tunnel::Speech::Other {
                opened.ticket.speaks(Protocol::Other);
            }
            tunnel::run(visitor, client, opened, &asked).await;
        }
        // The refusal was reported where it arose.
        Err(_) if speech == tunnel::Speech::Tls => farewell(&mut client, &TLS_ALERT).await,
        Err(_) => {}
    }
}

async fn refuse(visitor: &Visitor, mut client: Inbox, asked: Asked, refusal: Refusal) {
    visitor.refused(Some(asked), refusal.ending);
    farewell(&mut client, &TLS_ALERT).await;
}
