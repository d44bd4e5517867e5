// SPDX-License-Identifier: MIT OR Apache-2.0
//! The dialer of this system: the one place where a connection to the outside is opened.
//!
//! In: a grant and an address that was checked. Out: a socket that is on its way.
//!
//! **Invariant:** a grant exists only after a permit was redeemed. The socket does not block and is not inherited.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use ringfort_core::permit::Grant;
use ringfort_core::traits::Dial;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with, sockopt};

/// Opens TCP connections.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemDialer;

impl Dial for SystemDialer {
    fn dial(&self, _grant: &Grant, address: SocketAddr) -> io::Result<OwnedFd> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        match connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
            Err(error) => Err(error.into()),
        }
    }
}
