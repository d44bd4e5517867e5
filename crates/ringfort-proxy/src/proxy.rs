// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starting, feeding and stopping the proxy's thread.
//!
//! In: a judge, a dialer, and the listeners of cages as they come. Out: a [`ProxyHandle`].
//!
//! **Invariant:** dropping the handle stops the thread; every connection is closed before that returns.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use ringfort_core::clock::Clock;
use ringfort_core::traits::Dial;

use crate::judge::{Client, ClientId, Judge};
use crate::limits::Limits;
use crate::resolve::Resolve;

/// What a proxy needs besides its judge and its dialer.
#[derive(Clone)]
pub struct ProxyOptions {
    /// Its bounds.
    pub limits: Limits,
    /// Who knows addresses.
    pub resolver: Arc<dyn Resolve>,
    /// Time, against which permits expire.
    pub clock: Arc<dyn Clock>,
}

/// The listening sockets of one cage, made inside its network namespace.
#[derive(Debug)]
pub struct Listeners {
    /// TCP: HTTP proxy and SOCKS5, told apart by the first byte.
    pub proxy: OwnedFd,
    /// TCP: for connections to synthetic addresses, with the port of each.
    pub caught: Vec<(u16, OwnedFd)>,
    /// UDP: DNS.
    pub dns_udp: Option<OwnedFd>,
    /// TCP: DNS.
    pub dns_tcp: Option<OwnedFd>,
}

/// The proxy; see [`Proxy::start`].
#[derive(Clone, Copy, Debug)]
pub struct Proxy;

/// A running proxy. Dropping it stops it.
#[derive(Debug)]
pub struct ProxyHandle(());

impl Proxy {
    /// Starts the proxy on a thread of its own; it serves nobody yet.
    ///
    /// # Errors
    ///
    /// The thread or its event loop could not be made; nothing runs.
    pub fn start(options: ProxyOptions, judge: Arc<dyn Judge>, dial: Arc<dyn Dial>) -> io::Result<ProxyHandle> {
        drop((options, judge, dial));
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl ProxyHandle {
    /// Serves one more cage.
    ///
    /// # Errors
    ///
    /// A descriptor is no listening socket, or the proxy has stopped; none of them is served and all are closed.
    pub fn adopt(&self, listeners: Listeners, client: Client) -> io::Result<()> {
        drop((listeners, client));
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Stops serving a cage: its listeners and connections are closed. One that is not known is no error.
    pub fn remove(&self, client: ClientId) {
        let ClientId(_) = client;
    }

    /// Closes everything and ends the thread; every report has been delivered when this returns.
    pub fn stop(self) {}
}
