// SPDX-License-Identifier: MIT OR Apache-2.0
//! The door to the network: each connection of a caged program is ruled on and recorded.
//!
//! In: attempts and endings, from whoever carries the bytes ([`Carrier`]; the binary wires the proxy in). Out: verdicts
//! with permits, entries of the record, and at the end what was refused.
//!
//! **Invariant:** nothing here opens a connection, and no carrier is given a permit but for an attempt that the pipeline
//! admitted. An attempt that nobody answers is a denial. What goes on record holds no query of a URL.

pub mod desk;
pub mod refusals;
pub mod view;

use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use ringfort_core::digest::Digest;
use ringfort_core::permit::Permit;
use ringfort_policy::egress::Host;
use ringfort_policy::egress::rule::Bounds;
use ringfort_sandbox::launch::DoorSockets;

/// Names one cage at a carrier: the main one or a nested one.
pub type CageId = u64;

/// Opens a carrier, once it is known that one is needed.
pub trait OpenCarrier {
    /// Starts it; it serves nobody yet.
    ///
    /// # Errors
    ///
    /// Nothing runs; the door stays closed.
    fn open(&self) -> io::Result<Box<dyn Carrier>>;
}

/// Carries the bytes of connections that were admitted.
pub trait Carrier {
    /// Serves the listeners of one more cage, in which `program` runs.
    ///
    /// # Errors
    ///
    /// None of them is served.
    fn adopt(&mut self, sockets: DoorSockets, cage: CageId, program: Option<&str>) -> io::Result<()>;

    /// Closes the listeners and connections of a cage.
    fn remove(&mut self, cage: CageId);

    /// Readable when there is something to take with [`Carrier::next`].
    fn waiting(&self) -> BorrowedFd<'_>;

    /// What comes next, without waiting.
    fn next(&mut self) -> Option<Event>;

    /// Waits a moment for the connections of programs that are gone: what they still pass on, and their ends, are told as
    /// they were. Nothing is closed by this.
    fn settle(&mut self);

    /// Closes everything. What is left to be taken is there when this returns.
    fn stop(&mut self);
}

/// What a carrier has to tell.
pub enum Event {
    /// A program wants a connection, and waits.
    Attempt(Attempt, Box<dyn Reply>),
    /// A connection has ended, or never came to be.
    Closed(Closed),
}

/// Takes one verdict to the program that waits for it. Dropping it denies.
pub trait Reply: Send {
    /// Delivers the verdict.
    fn give(self: Box<Self>, verdict: Verdict);

    /// Whether nobody waits any more.
    fn is_abandoned(&self) -> bool;
}

/// What a program wants of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The cage.
    pub cage: CageId,
    /// Number of the program's connection.
    pub connection: u64,
    /// The way it came by: `connect`, `http`, `socks`, `caught`.
    pub way: &'static str,
    /// The host.
    pub host: Host,
    /// The port.
    pub port: u16,
    /// The method, where it is seen.
    pub method: Option<String>,
    /// Path and query, where they are seen.
    pub path: Option<String>,
}

/// The answer to an attempt.
#[derive(Debug)]
pub enum Verdict {
    /// It may happen, once.
    Allow(Box<Pass>),
    /// It does not happen.
    Deny(Refusal),
}

/// What an admitted connection may do.
#[derive(Debug)]
pub struct Pass {
    /// The permit.
    pub permit: Permit,
    /// The request that it was issued for.
    pub request: Digest,
    /// Which addresses the name may lead to.
    pub addresses: Addresses,
    /// What may be used of the destination in this run.
    pub bounds: Bounds,
}

/// Which addresses a name may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// Public ones.
    Public,
    /// Private ones too: the policy names this very host.
    Private,
}

/// Why an attempt came to nothing, in words for a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The rule that spoke.
    pub rule: String,
    /// A plain sentence without anything that would widen it.
    pub message: String,
    /// By what a person finds it on the record.
    pub reference: Option<String>,
}

/// A connection that has ended, or never came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The cage.
    pub cage: CageId,
    /// Number of the program's connection.
    pub connection: u64,
    /// What was attempted; `None` where it could not be read.
    pub attempt: Option<Attempt>,
    /// The request whose permit was used.
    pub request: Option<Digest>,
    /// The address that was dialed.
    pub address: Option<SocketAddr>,
    /// What went through: `tls`, `http`, `other`, `silent`.
    pub protocol: &'static str,
    /// Bytes from the program.
    pub sent_bytes: u64,
    /// Bytes to the program.
    pub received_bytes: u64,
    /// Requests that were forwarded; 1 for a tunnel.
    pub requests: u64,
    /// From the attempt to the end.
    pub duration: Duration,
    /// How it ended.
    pub ending: Ending,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// One of its ends closed it.
    Closed,
    /// A verdict, an address check or a bound said no.
    Denied(Refusal),
    /// What the program sent was malformed.
    Malformed(&'static str),
    /// It could not be made, or broke.
    Failed(&'static str),
}
