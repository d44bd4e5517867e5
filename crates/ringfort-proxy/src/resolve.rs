// SPDX-License-Identifier: MIT OR Apache-2.0
//! The addresses of a name, from the system's resolver.
//!
//! In: a name that was allowed. Out: its addresses in the resolver's order, and the addresses of this machine.
//!
//! **Invariant:** asked only after a verdict, on a thread of its own, so a slow resolver holds up nobody else.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};

use crate::limits::ADDRESSES_MAX;

/// Finds addresses. Methods may block; they are called on a thread for such calls.
pub trait Resolve: Send + Sync {
    /// The addresses of `name`, at most [`ADDRESSES_MAX`] of which are looked at.
    ///
    /// # Errors
    ///
    /// The name has no address, or the resolver does not answer.
    fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;

    /// The addresses of this machine's own interfaces. Public or not, they are refused like private ones.
    ///
    /// # Errors
    ///
    /// They are not known; nothing is dialed then.
    fn own(&self) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of this system (`getaddrinfo`).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).take(ADDRESSES_MAX).collect())
    }

    fn own(&self) -> io::Result<Vec<IpAddr>> {
        let all = nix::ifaddrs::getifaddrs()?;
        let ip = |storage: &nix::sys::socket::SockaddrStorage| {
            let v4 = storage.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            v4.or_else(|| storage.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
        };
        Ok(all.filter_map(|interface| interface.address.as_ref().and_then(ip)).collect())
    }
}
