// SPDX-License-Identifier: MIT OR Apache-2.0
//! The door of a cage in the host's own network: the supervisor makes each connection, or refuses it.
//!
//! In: calls of `connect` that the cage's filter stops and tells about. Out: for the one address that stands for the
//! proxy the outer end of a fresh connection, whose inner end has taken the place of the program's socket; for every
//! other address an error number.
//!
//! **Invariant:** no call is ever handed back to the kernel. The address is copied once and decided on that copy; the
//! program is given a socket that was made, and is connected, here, so nothing of its own socket matters. The listener
//! of a connection lives for that connection only, and takes no other peer: nobody else on the host can come in by it.
//! Nothing here waits for a program longer than the kernel takes to run it once.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6, TcpStream};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use crate::syscall::{self, Errno, Told};

/// Bytes of the longest address that is read (`struct sockaddr_in6`); a longer one is an address of no family here.
const ADDRESS_BYTES_MAX: usize = 28;
/// Shortest IPv4 address, and the shortest IPv6 one (without its scope).
const V4_BYTES: usize = 16;
const V6_BYTES_MIN: usize = 24;
/// Longest address that the kernel takes (`struct sockaddr_storage`).
const KERNEL_BYTES_MAX: u32 = 128;

/// How often a connection is tried anew where strangers are in the way.
const TRIES_MAX: usize = 4;
/// Most strangers that are turned away at one listener.
const STRANGERS_MAX: usize = 8;
/// How often a port is taken again. The kernel looks at every connection of the last minute that had it.
const PORT_USES_MAX: u16 = 256;
/// Connections that wait at a listener; one is ours.
const BACKLOG: i32 = 8;
/// Longest wait for one connection over loopback, which the kernel makes before the call returns. Milliseconds.
const ARRIVAL_MS_MAX: u32 = 100;

/// `O_NONBLOCK` and `O_CLOEXEC`, as a descriptor's flags are shown.
const NONBLOCKING: u32 = libc::O_NONBLOCK as u32;
const CLOSED_AT_EXEC: u32 = libc::O_CLOEXEC as u32;

/// Makes the connections of one cage. While it is not served, programs that connect wait; when it is dropped, they are
/// refused.
#[derive(Debug)]
pub struct Connects {
    listener: OwnedFd,
    port: u16,
    last: Port,
}

/// The port of the last connection's listener, which the next ones take again: a program that connects without an end
/// would otherwise use up the ports of the host.
#[derive(Debug, Default)]
struct Port {
    /// 0 for one that the kernel chooses.
    number: u16,
    used: u16,
}

/// What became of one look at the calls that wait.
#[derive(Debug)]
pub(crate) enum Served {
    /// A connection was made; this is its outer end, which does not block.
    Made(TcpStream),
    /// A call was refused, or its program has gone.
    Refused,
    /// Nothing waits.
    Nothing,
    /// Nobody is left who could call.
    Over,
}

impl AsFd for Connects {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Connects {
    /// Takes the calls of `listener`; connections to `port` of 127.0.0.1 are made.
    pub(crate) fn new(listener: OwnedFd, port: u16) -> Self {
        Self { listener, port, last: Port::default() }
    }

    /// Serves programs until one of them is given a connection; returns its outer end, which does not block. `None` when
    /// nobody inside is left, or when `stop` becomes readable or is closed at its other end.
    pub fn next(&mut self, stop: BorrowedFd<'_>) -> Option<TcpStream> {
        loop {
            match syscall::poll_readable([self.listener.as_raw_fd(), stop.as_raw_fd()], None) {
                Ok([_, true]) | Err(_) => return None,
                Ok([false, false]) => continue,
                Ok([true, false]) => {}
            }
            match self.serve() {
                Served::Made(stream) => return Some(stream),
                Served::Over => return None,
                Served::Refused | Served::Nothing => {}
            }
        }
    }

    /// Serves one call that waits, if any does.
    pub(crate) fn serve(&mut self) -> Served {
        match waiting(&self.listener) {
            Some(true) => {}
            Some(false) => return Served::Nothing,
            None => return Served::Over,
        }
        // Whoever called may have gone since; then there is nothing to take.
        let Ok(told) = syscall::next_told(&self.listener) else { return Served::Refused };
        let (answer, made) = match self.decide(&told) {
            Ok(stream) => (Ok(()), Some(stream)),
            Err(errno) => (Err(errno), None),
        };
        // A program that has gone needs no answer.
        match (syscall::answer_told(&self.listener, told.id, answer), made) {
            (Ok(()), Some(stream)) => Served::Made(stream),
            _ => Served::Refused,
        }
    }

    /// Connects the program, where it asked for the proxy.
    fn decide(&mut self, told: &Told) -> Result<TcpStream, Errno> {
        if i64::from(told.number) != libc::SYS_connect || told.thread == 0 {
            return Err(Errno(libc::EACCES));
        }
        let [number, address, length, ..] = told.arguments;
        // The kernel reads the low halves of these two.
        let (number, length) = (low_half(number), low_half(length));
        let address = self.read_address(told, address, length)?;
        let flags = socket_flags(told.thread, number)?;
        if !syscall::still_waits(&self.listener, told.id) {
            return Err(Errno(libc::EINTR)); // What was read may be another's.
        }
        let is_door = address.ip().to_canonical() == IpAddr::V4(Ipv4Addr::LOCALHOST) && address.port() == self.port;
        if !is_door {
            return Err(Errno(libc::ECONNREFUSED));
        }
        let (inner, outer) = pair(&address, &mut self.last).map_err(|_what| Errno(libc::ECONNREFUSED))?;
        rustix::io::ioctl_fionbio(&inner, flags & NONBLOCKING != 0).map_err(errno)?;
        let closed_at_exec = flags & CLOSED_AT_EXEC != 0;
        syscall::replace_descriptor(&self.listener, told.id, &inner, number, closed_at_exec)?;
        Ok(outer)
    }

    /// Copies the address out of the caller and understands the copy, with the errors of the kernel's own `connect`.
    fn read_address(&self, told: &Told, address: u64, length: u32) -> Result<SocketAddr, Errno> {
        if length > KERNEL_BYTES_MAX {
            return Err(Errno(libc::EINVAL));
        }
        let mut buffer = [0; ADDRESS_BYTES_MAX];
        let wanted = ADDRESS_BYTES_MAX.min(usize::try_from(length).unwrap_or(0));
        let part = buffer.get_mut(..wanted).unwrap_or_default();
        let read = if part.is_empty() { 0 } else { syscall::read_memory(told.thread, address, part)? };
        if read < wanted {
            return Err(Errno(libc::EFAULT));
        }
        parse(&buffer, wanted)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the kernel itself looks at the low half only")]
fn low_half(argument: u64) -> u32 {
    argument as u32
}

fn errno(errno: rustix::io::Errno) -> Errno {
    Errno(errno.raw_os_error())
}

/// Whether a call waits; `None` when nobody is left who could call.
fn waiting(listener: &OwnedFd) -> Option<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut one = [PollFd::new(listener, PollFlags::IN)];
    // What fails here is tried again with the next look.
    let ready = poll(&mut one, Some(&Timespec::default())).unwrap_or(0);
    let [one] = one;
    if ready > 0 && one.revents().contains(PollFlags::IN) {
        return Some(true);
    }
    (!one.revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL)).then_some(false)
}

/// Reads an address of `length` bytes, as the kernel lays it out.
fn parse(bytes: &[u8; ADDRESS_BYTES_MAX], length: usize) -> Result<SocketAddr, Errno> {
    let invalid = Errno(libc::EINVAL);
    let (family, rest) = bytes.split_first_chunk::<2>().ok_or(invalid)?;
    let (port, rest) = rest.split_first_chunk::<2>().ok_or(invalid)?;
    let port = u16::from_be_bytes(*port);
    if length < family.len() {
        return Err(invalid);
    }
    match i32::from(u16::from_ne_bytes(*family)) {
        libc::AF_INET if length >= V4_BYTES => {
            let address = rest.first_chunk::<4>().ok_or(invalid)?;
            Ok(SocketAddrV4::new((*address).into(), port).into())
        }
        libc::AF_INET6 if length >= V6_BYTES_MIN => {
            let address = rest.get(4..).and_then(|rest| rest.first_chunk::<16>()).ok_or(invalid)?;
            Ok(SocketAddrV6::new((*address).into(), port, 0, 0).into())
        }
        libc::AF_INET | libc::AF_INET6 => Err(invalid),
        // AF_UNSPEC takes a connection apart, which nothing needs; no other family has a socket here.
        _ => Err(Errno(libc::EAFNOSUPPORT)),
    }
}

/// The flags of a thread's descriptor, which has to be a socket.
fn socket_flags(thread: u32, number: u32) -> Result<u32, Errno> {
    let gone = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Errno(libc::EBADF),
        _ => Errno(libc::EACCES),
    };
    let target = std::fs::read_link(format!("/proc/{thread}/fd/{number}")).map_err(gone)?;
    if !target.to_string_lossy().starts_with("socket:[") {
        return Err(Errno(libc::ENOTSOCK));
    }
    let facts = std::fs::read_to_string(format!("/proc/{thread}/fdinfo/{number}")).map_err(gone)?;
    let flags = facts.lines().find_map(|line| line.strip_prefix("flags:")).map(str::trim);
    flags.and_then(|flags| u32::from_str_radix(flags, 8).ok()).ok_or(Errno(libc::EACCES))
}

/// Two ends of a fresh connection over loopback: one of the family of `like`, for the program, and the outer one.
///
/// The listener has port `last`, if that can be had, and leaves its own there.
fn pair(like: &SocketAddr, last: &mut Port) -> io::Result<(OwnedFd, TcpStream)> {
    for _ in 0..TRIES_MAX {
        if last.used >= PORT_USES_MAX {
            *last = Port::default();
        }
        let listener = match listener(last.number) {
            Err(_taken) if last.number != 0 => {
                *last = Port::default();
                listener(0)?
            }
            made => made?,
        };
        let port = name_of(&listener)?.port();
        *last = Port { number: port, used: last.used.saturating_add(1) };
        let inner = match like {
            SocketAddr::V4(_) => stream_socket(AddressFamily::INET)?,
            SocketAddr::V6(_) => stream_socket(AddressFamily::INET6)?,
        };
        let place = match like {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), port)),
        };
        match rustix::net::connect(&inner, &place) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(outer) = accept_own(&listener, name_of(&inner)?)? {
            // Small writes are not held back: what the program asked of its own socket is gone with that.
            sockopt::set_tcp_nodelay(&inner, true)?;
            return Ok((inner, outer));
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// A listener on 127.0.0.1; on a port where connections of an earlier one of ours are still there as well.
fn listener(port: u16) -> io::Result<OwnedFd> {
    let listener = stream_socket(AddressFamily::INET)?;
    sockopt::set_socket_reuseaddr(&listener, true)?;
    rustix::net::bind(&listener, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

fn stream_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(family, SocketType::STREAM, flags, None)?)
}

/// The address of a socket, an IPv4 one as such.
fn name_of(socket: &OwnedFd) -> io::Result<SocketAddr> {
    let name = SocketAddr::try_from(rustix::net::getsockname(socket)?)?;
    Ok(SocketAddr::new(name.ip().to_canonical(), name.port()))
}

/// Accepts the connection that comes from `own` and turns away whoever else was here before it.
fn accept_own(listener: &OwnedFd, own: SocketAddr) -> io::Result<Option<TcpStream>> {
    let mut strangers = 0;
    while strangers <= STRANGERS_MAX {
        match rustix::net::acceptfrom_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok((stream, peer)) => {
                let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
                if peer == Some(own) {
                    return Ok(Some(stream.into()));
                }
                strangers += 1;
            }
            Err(rustix::io::Errno::AGAIN) => {
                if syscall::poll_readable([listener.as_raw_fd()], Some(ARRIVAL_MS_MAX)) != Ok([true]) {
                    return Ok(None);
                }
            }
            Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNABORTED) => strangers += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
