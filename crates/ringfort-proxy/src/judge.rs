// SPDX-License-Identifier: MIT OR Apache-2.0
//! The contract with whoever decides: what the proxy asks, what it may be answered, what it tells afterwards.
//!
//! In: nothing; these are the words. Out: [`Judge`], which the binary implements with the pipeline behind it.
//!
//! **Invariant:** an [`Answer`] that is dropped is a denial. An allowance holds a [`Permit`] that the proxy redeems
//! before it resolves a name, so what was not allowed is not even looked up.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ringfort_core::digest::Digest;
use ringfort_core::permit::Permit;
use ringfort_core::secret::Secret;
use ringfort_policy::egress::Host;
use tokio::sync::oneshot;

use crate::limits::DestinationLimits;

/// Names one cage whose connections are served: the main one or a nested one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// One cage, as the proxy knows it.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its id; every question and report names it.
    pub id: ClientId,
    /// What a program must present (Basic or SOCKS5 user and password, as `user:password`). Needed only where somebody
    /// else could reach the listener; inside a network namespace of its own nobody can.
    pub credential: Option<Arc<Secret<String>>>,
}

/// The way by which a connection came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An HTTP `CONNECT`: a tunnel to a host and port.
    Connect,
    /// A plain HTTP request, in absolute form or caught; method and path are known.
    Http,
    /// SOCKS5.
    Socks,
    /// A program that ignores the proxy and connected to a synthetic address.
    Caught,
}

impl Kind {
    /// The word used in JSON and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Http => "http",
            Self::Socks => "socks",
            Self::Caught => "caught",
        }
    }
}

/// One thing that a program wants, to be judged. The host is canonical and was not resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The cage that asks.
    pub client: ClientId,
    /// Number of the connection of the program, unique in one proxy; questions of one connection share it.
    pub connection: u64,
    /// Where the program's own end of the connection is, inside its network.
    pub peer: SocketAddr,
    /// The way by which it came.
    pub kind: Kind,
    /// The host that is named.
    pub host: Host,
    /// The port.
    pub port: u16,
    /// The method of a plain HTTP request.
    pub method: Option<String>,
    /// Path and query of a plain HTTP request, as written.
    pub path: Option<String>,
}

impl Asked {
    /// The destination as a policy reads it: `http://host:port/path` for plain HTTP, else `host:port`.
    pub fn url(&self) -> String {
        match &self.path {
            Some(path) => format!("http://{}:{}{path}", self.host, self.port),
            None => self.authority(),
        }
    }

    /// `host:port`.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// Which addresses an allowed host may turn out to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// Public ones only: the host is listed by a pattern, or a person said yes to its name.
    Public,
    /// Private ones too: the policy names this very host. A metadata service stays closed unless the host that was
    /// asked for is itself one.
    Private,
}

/// What an allowed connection may do.
#[derive(Debug)]
pub struct Admission {
    /// The permit. It is redeemed for `request` at once and not kept.
    pub permit: Permit,
    /// The digest of the request for which it was issued.
    pub request: Digest,
    /// Which addresses may be dialed.
    pub addresses: Addresses,
    /// Limits of this destination, where they differ from those of [`crate::ProxyOptions`].
    pub limits: Option<DestinationLimits>,
}

/// Why something does not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The rule that spoke.
    pub rule: String,
    /// A plain sentence for the agent: what was denied, nothing that would widen it.
    pub message: String,
    /// Where a person finds this denial again, such as the number of its entry in the trail.
    pub reference: Option<String>,
}

impl Denial {
    /// A denial without a reference.
    pub fn new(rule: &str, message: impl Into<String>) -> Self {
        Self { rule: rule.to_owned(), message: message.into(), reference: None }
    }
}

/// The answer to a question.
#[derive(Debug)]
pub enum Verdict {
    /// It may happen, once.
    Allow(Box<Admission>),
    /// It does not happen.
    Deny(Denial),
}

/// The handle by which a verdict is delivered, later and from any thread. Dropping it denies.
#[must_use = "an answer that is dropped is a denial"]
pub struct Answer(oneshot::Sender<Verdict>);

impl Answer {
    /// An answer and the place where its verdict arrives.
    pub(crate) fn pair() -> (Self, oneshot::Receiver<Verdict>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }

    /// Delivers the verdict. Nothing happens if the program went away in the meantime; its permit is dropped.
    pub fn give(self, verdict: Verdict) {
        drop(self.0.send(verdict));
    }

    /// Whether nobody waits any more: the program closed its connection, or the wait was too long.
    pub fn is_abandoned(&self) -> bool {
        self.0.is_closed()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

/// What rules alone say to a further request of a connection that was allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Review {
    /// It may happen under the verdict that the connection has.
    Allow,
    /// It does not happen.
    Deny(Denial),
    /// Rules alone cannot say; [`Judge::judge`] is asked.
    Judge,
}

/// What a name gets from the DNS answerer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// A synthetic address. It is no verdict: the connection is judged.
    Answer,
    /// The name does not exist.
    Deny,
}

/// Decides. Called on the proxy's only thread: no method may block, wait or take long.
pub trait Judge: Send + Sync {
    /// Asks for a verdict. One per connection to a destination; it may take as long as a person needs.
    fn judge(&self, asked: Asked, answer: Answer);

    /// Whether a further plain HTTP request of a connection that was allowed may pass, when its method or path differs
    /// from the one before. Rules only: no person, no record, no disk.
    fn review(&self, asked: &Asked) -> Review {
        drop(asked.url());
        Review::Judge
    }

    /// Whether rules could ever allow this name. No person is asked for a lookup, nothing is recorded.
    fn lookup(&self, client: ClientId, name: &str) -> Lookup;

    /// The host that a program means by an address of its own loopback, where the policy names this machine on that port:
    /// a caught port is taken inside, so no server of the cage is behind it.
    fn own(&self, client: ClientId, dialed: SocketAddr) -> Option<Host> {
        let _ = (client, dialed);
        None
    }

    /// Tells that a connection ended, or was denied or refused. One call for each.
    fn closed(&self, report: Report);
}

/// What went through a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Nothing was seen.
    Silent,
    /// TLS whose server name is that of the destination.
    Tls,
    /// Plain HTTP.
    Http,
    /// Something else.
    Other,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was open and was closed by one of its ends.
    Closed,
    /// The judge, an address check or a limit said no.
    Denied(Denial),
    /// What the program sent was malformed; the machine-readable reason.
    Malformed(&'static str),
    /// It could not be made or broke: the machine-readable reason.
    Failed(&'static str),
}

/// One connection to a destination, at its end; or one that never came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The cage.
    pub client: ClientId,
    /// Number of the program's connection.
    pub connection: u64,
    /// What was asked first; `None` where it could not be read.
    pub asked: Option<Asked>,
    /// The request whose permit was used; `None` if none was.
    pub request: Option<Digest>,
    /// The address that was dialed.
    pub address: Option<SocketAddr>,
    /// What went through.
    pub protocol: Protocol,
    /// Bytes from the program to the destination.
    pub sent_bytes: u64,
    /// Bytes from the destination to the program.
    pub received_bytes: u64,
    /// Plain HTTP requests that were forwarded, or 1 for a tunnel.
    pub requests: u64,
    /// From the question to the end.
    pub duration: Duration,
    /// How it ended.
    pub ending: Ending,
}
