// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a question to a connection: judge, redeem, resolve, check, dial. The order is the security model.
//!
//! In: what a program asked for. Out: a connected socket with its account, or why there is none.
//!
//! **Invariant:** no name is resolved before its verdict; only an address that [`crate::address::check`] let pass is
//! dialed, and exactly that one. Every way out reports.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ringfort_core::permit::Grant;
use ringfort_policy::egress::Host;
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::address;
use crate::engine::{Engine, Visitor};
use crate::judge::{Addresses, Admission, Answer, Asked, Verdict};
use crate::limits::{ADDRESSES_MAX, ATTEMPTS_MAX};
use crate::refusal::{NO_PERMIT, NO_VERDICT, Refusal};
use crate::stream::{First, race};
use crate::ticket::Ticket;

/// An open connection to a destination.
pub(crate) struct Opened {
    pub(crate) socket: TcpStream,
    pub(crate) ticket: Ticket,
}

/// Whether a program that closes its side while a person is being asked has left.
#[derive(Clone, Copy)]
pub(crate) enum Watch<'a> {
    /// Yes: it waits for a tunnel.
    For(&'a TcpStream),
    /// No: it may have said all it has to say.
    Not,
}

/// Opens a connection to a destination, if it is allowed.
pub(crate) async fn open(visitor: &Visitor, asked: Asked, watch: Watch<'_>) -> Result<Opened, Refusal> {
    let ticket = visitor.ticket(Some(asked.clone()));
    match connect(visitor, &asked, watch, &ticket).await {
        Ok(socket) => Ok(Opened { socket, ticket }),
        Err(refusal) => {
            ticket.end(refusal.ending.clone());
            Err(refusal)
        }
    }
}

async fn connect(visitor: &Visitor, asked: &Asked, watch: Watch<'_>, ticket: &Ticket) -> Result<TcpStream, Refusal> {
    let cage = &visitor.cage;
    let engine = &cage.engine;
    let limit = |reached| Refusal::limit(reached, &asked.authority());
    cage.destinations.borrow().check(&asked.host, asked.port).map_err(limit)?;
    let admission = ask(engine, asked, watch).await?;
    let Admission { permit, request, addresses, limits } = admission;
    let grant = permit
        .redeem(&request, engine.clock.now())
        .map_err(|error| Refusal::rule(NO_PERMIT, format!("`{}`: {error}", asked.authority())))?;
    let limits = limits.unwrap_or(engine.limits.destination);
    let visit = cage.destinations.borrow_mut().enter(&asked.host, asked.port, limits).map_err(limit)?;
    ticket.admitted(request, visit);
    let found = resolve(engine, &asked.host).await?;
    let checked = choose(asked, addresses, &found)?;
    dial(engine, &grant, &checked, asked.port, ticket).await
}

/// Waits for the verdict.
async fn ask(engine: &Engine, asked: &Asked, watch: Watch<'_>) -> Result<Admission, Refusal> {
    let (answer, verdict) = Answer::pair();
    engine.judge.judge(asked.clone(), answer);
    let none = || Refusal::rule(NO_VERDICT, format!("nobody decided on `{}`", asked.authority()));
    match race(timeout(engine.limits.verdict_wait, verdict), left(watch)).await {
        First::Left(Ok(Ok(Verdict::Allow(admission)))) => Ok(*admission),
        First::Left(Ok(Ok(Verdict::Deny(denial)))) => Err(Refusal::denied(denial)),
        First::Left(Ok(Err(_)) | Err(_)) => Err(none()),
        First::Right(()) => Err(Refusal::left()),
    }
}

/// Ends when the program is seen to have left; bytes that it sent ahead hide that.
async fn left(watch: Watch<'_>) {
    if let Watch::For(socket) = watch
        && !matches!(socket.peek(&mut [0]).await, Ok(1..))
    {
        return;
    }
    std::future::pending().await
}

/// What a host leads to.
struct Found {
    addresses: Vec<IpAddr>,
    own: Vec<IpAddr>,
}

async fn resolve(engine: &Engine, host: &Host) -> Result<Found, Refusal> {
    let resolver = Arc::clone(&engine.resolver);
    let name = host.clone();
    let lookups = Arc::clone(&engine.lookups);
    let look = async move {
        let place = lookups.acquire_owned().await.map_err(io::Error::other)?;
        let task = move || {
            let _place = place;
            let addresses = match name {
                Host::Name(name) => resolver.resolve(&name)?,
                Host::V4(v4) => vec![IpAddr::V4(v4)],
                Host::V6(v6) => vec![IpAddr::V6(v6)],
            };
            io::Result::Ok(Found { addresses, own: resolver.own()? })
        };
        spawn_blocking(task).await.map_err(io::Error::other)?
    };
    match timeout(engine.limits.resolve_wait, look).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(_)) => Err(Refusal::failed(502, "resolve-failed")),
        Err(_) => Err(Refusal::failed(504, "resolve-late")),
    }
}

/// The addresses that may be dialed; none is a refusal.
fn choose(asked: &Asked, addresses: Addresses, found: &Found) -> Result<Vec<IpAddr>, Refusal> {
    let mut good = Vec::new();
    let mut fault = None;
    for address in found.addresses.iter().take(ADDRESSES_MAX) {
        match address::check(&asked.host, addresses, *address, &found.own) {
            Ok(address) => good.push(address),
            Err(wrong) => fault = fault.or(Some(wrong)),
        }
    }
    match fault {
        Some(fault) if good.is_empty() => Err(Refusal::address(fault, &asked.authority())),
        None if good.is_empty() => Err(Refusal::failed(502, "no-address")),
        _ => Ok(good),
    }
}

/// Dials one address after the other.
async fn dial(
    engine: &Engine,
    grant: &Grant,
    addresses: &[IpAddr],
    port: u16,
    ticket: &Ticket,
) -> Result<TcpStream, Refusal> {
    let mut last = Refusal::failed(502, "connect-failed");
    let count = addresses.len().min(ATTEMPTS_MAX);
    for (index, address) in addresses.iter().take(count).enumerate() {
        let address = SocketAddr::new(*address, port);
        // An address that does not answer does not use up the time of the next one.
        let part = if index + 1 == count { 1 } else { 3 };
        ticket.dialed(address);
        match timeout(engine.limits.connect_wait / part, attempt(engine, grant, address)).await {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                last = Refusal::failed(502, "connect-refused");
            }
            Ok(Err(_)) => last = Refusal::failed(502, "connect-failed"),
            Err(_) => last = Refusal::failed(504, "connect-late"),
        }
    }
    Err(last)
}

async fn attempt(engine: &Engine, grant: &Grant, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = std::net::TcpStream::from(engine.dial.dial(grant, address)?);
    let socket = TcpStream::from_std(socket)?;
    socket.writable().await?;
    match socket.take_error()? {
        Some(error) => Err(error),
        None => Ok(socket),
    }
}
