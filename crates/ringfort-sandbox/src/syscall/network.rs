// SPDX-License-Identifier: MIT OR Apache-2.0
//! The network of a namespace of one's own: its loopback interface, routes, listeners, and how they are handed out.
//!
//! In: numbers, and requests that were laid out before. Out: descriptors, as plain numbers.
//!
//! **Invariant:** as the parent module: nothing allocates. No function here reaches another network than the one of the
//! calling process.

use std::ffi::{c_int, c_long};
use std::net::Ipv4Addr;

use super::{Answer, Errno, check_int, check_unit, close, receive, socket};
use crate::syscall::Patience;

/// Brings the loopback interface up. The cheapest way: one request, no answer to be read.
pub(crate) fn raise_loopback() -> Answer<()> {
    #[repr(C)]
    struct Interface {
        name: [u8; libc::IFNAMSIZ],
        flags: u16,
        rest: [u8; 22],
    }
    let mut interface =
        Interface { name: [0; libc::IFNAMSIZ], flags: (libc::IFF_UP | libc::IFF_RUNNING) as u16, rest: [0; 22] };
    for (to, from) in interface.name.iter_mut().zip(b"lo") {
        *to = *from;
    }
    let any = socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    // SAFETY: `interface` is laid out as `struct ifreq`, is as long and outlives the call.
    let raised = check_unit(unsafe { libc::syscall(libc::SYS_ioctl, any, libc::SIOCSIFFLAGS, &raw const interface) });
    close(any);
    raised
}

/// Bytes of one answer to a route request that are read; an acknowledgement takes 36, a refusal repeats the request.
const ANSWER_BYTES: usize = 256;
/// Where the error number stands in an answer.
const ANSWER_ERROR: usize = 16;

/// Sends `requests` (laid out one after the other, each wanting an acknowledgement) to the kernel's routing tables and
/// reads the `count` answers.
pub(crate) fn change_routes(requests: &[u8], count: usize) -> Answer<()> {
    let routes = socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)?;
    let mut answer = super::send(routes, requests, Patience::Wait);
    for _ in 0..count {
        answer = answer.and_then(|()| read_acknowledgement(routes));
    }
    close(routes);
    answer
}

fn read_acknowledgement(routes: c_int) -> Answer<()> {
    let mut buffer = [0; ANSWER_BYTES];
    // The kernel has answered before the request's call returned, so there is nothing to wait for.
    let length = receive(routes, &mut buffer, Patience::Look)?;
    let error = buffer.get(..length).and_then(|bytes| bytes.get(ANSWER_ERROR..)).and_then(|rest| rest.first_chunk());
    match error.map(|bytes| i32::from_ne_bytes(*bytes)) {
        Some(0) => Ok(()),
        Some(error) => Err(Errno(error.saturating_neg())),
        None => Err(Errno(libc::EBADMSG)),
    }
}

/// Which kind of socket listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    /// TCP, with room for this many connections that nobody has accepted yet.
    Stream { backlog: u16 },
    /// UDP.
    Datagram,
}

/// A bound socket that does not block.
pub(crate) fn listener(address: Ipv4Addr, port: u16, listen: Listen) -> Answer<c_int> {
    let kind = match listen {
        Listen::Stream { .. } => libc::SOCK_STREAM,
        Listen::Datagram => libc::SOCK_DGRAM,
    };
    let made = socket(libc::AF_INET, kind | libc::SOCK_NONBLOCK, 0)?;
    let name = own(address, port);
    // SAFETY: `name` outlives the call and the size is its own.
    let bound =
        check_unit(unsafe { libc::syscall(libc::SYS_bind, made, &raw const name, size_of::<libc::sockaddr_in>()) });
    let listening = bound.and_then(|()| match listen {
        Listen::Stream { backlog } => start_listening(made, backlog),
        Listen::Datagram => Ok(()),
    });
    match listening {
        Ok(()) => Ok(made),
        Err(errno) => {
            close(made);
            Err(errno)
        }
    }
}

/// Makes a TCP socket a listener; one without a name is given one.
pub(crate) fn start_listening(socket: c_int, backlog: u16) -> Answer<()> {
    // SAFETY: no memory is passed.
    check_unit(unsafe { libc::syscall(libc::SYS_listen, socket, c_int::from(backlog)) })
}

/// Most descriptors of one message.
pub(crate) const DESCRIPTORS_MAX: usize = 24;

/// Sends one message with descriptors; the receiver gets copies.
pub(crate) fn send_descriptors(socket: c_int, message: &[u8], descriptors: &[c_int]) -> Answer<()> {
    #[repr(C)]
    struct Rights {
        header: libc::cmsghdr,
        descriptors: [c_int; DESCRIPTORS_MAX],
    }
    if descriptors.len() > DESCRIPTORS_MAX {
        return Err(Errno(libc::E2BIG));
    }
    let length = size_of::<libc::cmsghdr>() + size_of_val(descriptors);
    let mut rights = Rights {
        header: libc::cmsghdr { cmsg_len: length, cmsg_level: libc::SOL_SOCKET, cmsg_type: libc::SCM_RIGHTS },
        descriptors: [-1; DESCRIPTORS_MAX],
    };
    for (to, from) in rights.descriptors.iter_mut().zip(descriptors) {
        *to = *from;
    }
    let mut part = libc::iovec { iov_base: message.as_ptr().cast_mut().cast(), iov_len: message.len() };
    // SAFETY: all-zero bytes are a valid `msghdr`.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut rights).cast();
    header.msg_controllen = length;
    let flags = c_long::from(libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT);
    // SAFETY: the header points to one part and one control message, which outlive the call; the kernel only reads them.
    check_int(unsafe { libc::syscall(libc::SYS_sendmsg, socket, &raw const header, flags) }).map(|_| ())
}

/// The documentation addresses 192.0.2.1 and 2001:db8::1, port 9: in no cage's network, and nobody's.
fn nowhere_v4() -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: 9_u16.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_be_bytes([192, 0, 2, 1]).to_be() },
        sin_zero: [0; 8],
    }
}

fn nowhere_v6() -> libc::sockaddr_in6 {
    libc::sockaddr_in6 {
        sin6_family: libc::AF_INET6 as u16,
        sin6_port: 9_u16.to_be(),
        sin6_flowinfo: 0,
        sin6_addr: libc::in6_addr { s6_addr: [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] },
        sin6_scope_id: 0,
    }
}

fn own(address: Ipv4Addr, port: u16) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(address).to_be() },
        sin_zero: [0; 8],
    }
}

/// Connects an IPv4 socket to a port of 127.0.0.1.
pub(crate) fn connect_own(socket: c_int, port: u16) -> Answer<()> {
    let address = own(Ipv4Addr::LOCALHOST, port);
    // SAFETY: `address` outlives the call and the size is its own.
    check_unit(unsafe { libc::syscall(libc::SYS_connect, socket, &raw const address, size_of::<libc::sockaddr_in>()) })
}

/// Gives an IPv4 socket a name on 127.0.0.1, with a port that the kernel chooses.
pub(crate) fn bind_anywhere(socket: c_int) -> Answer<()> {
    let address = own(Ipv4Addr::LOCALHOST, 0);
    // SAFETY: `address` outlives the call and the size is its own.
    check_unit(unsafe { libc::syscall(libc::SYS_bind, socket, &raw const address, size_of::<libc::sockaddr_in>()) })
}

/// Connects an IPv4 socket to a documentation address. A stream socket must not block; a datagram socket sends nothing.
pub(crate) fn connect_nowhere(socket: c_int) -> Answer<()> {
    let address = nowhere_v4();
    // SAFETY: `address` outlives the call and the size is its own.
    check_unit(unsafe { libc::syscall(libc::SYS_connect, socket, &raw const address, size_of::<libc::sockaddr_in>()) })
}

/// As [`connect_nowhere`], for an IPv6 socket.
pub(crate) fn connect_nowhere_v6(socket: c_int) -> Answer<()> {
    let address = nowhere_v6();
    // SAFETY: `address` outlives the call and the size is its own.
    check_unit(unsafe { libc::syscall(libc::SYS_connect, socket, &raw const address, size_of::<libc::sockaddr_in6>()) })
}

/// Connects an IPv4 TCP socket to a documentation address by sending ahead.
pub(crate) fn send_ahead_nowhere(socket: c_int) -> Answer<()> {
    send_empty_nowhere(socket, libc::MSG_FASTOPEN)
}

/// Sends one empty datagram to a documentation address.
pub(crate) fn send_nowhere(socket: c_int) -> Answer<()> {
    send_empty_nowhere(socket, 0)
}

fn send_empty_nowhere(socket: c_int, flags: c_int) -> Answer<()> {
    let address = nowhere_v4();
    // SAFETY: nothing is sent; `address` outlives the call and the size is its own.
    check_unit(unsafe {
        libc::syscall(
            libc::SYS_sendto,
            socket,
            std::ptr::null::<u8>(),
            0_usize,
            flags | libc::MSG_NOSIGNAL,
            &raw const address,
            size_of::<libc::sockaddr_in>(),
        )
    })
}
