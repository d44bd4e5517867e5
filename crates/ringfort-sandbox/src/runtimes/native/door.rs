// SPDX-License-Identifier: MIT OR Apache-2.0
//! The network of a cage: a loopback interface of its own, and the listeners of a door where one is wanted.
//!
//! In: what a profile wants. Out: inside, an interface, a route and listeners; outside, [`DoorSockets`].
//!
//! **Invariant:** the listeners are made by the keeper, in the cage's own network namespace, while it still has rights
//! there; then it lets go of them. The program has neither the listeners nor the right to change a route, and no packet
//! leaves the namespace: what a listener accepts is all that comes out, and only whoever holds it accepts. Without a
//! namespace of the cage's own there are no listeners: the supervisor makes each connection ([`Connects`]).
//! What is done with a connection is decided by the proxy, not here.

use std::ffi::c_int;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use ringfort_core::syscalls::{SyscallGroup, SyscallGroups};
use serde::{Deserialize, Serialize};

use super::filter::{self, Sockets};
use super::wire::{EVENT_BYTES, Message};
use super::{Mode, ProfileError, START_MS_MAX};
use crate::launch::{Connects, DoorSockets, Front, LaunchError, Served};
use crate::profile::{CAUGHT_PORTS_MAX, DoorView, NAMES_PORT, Network, OWN_ADDRESS, PROXY_PORT, SYNTHETIC_NET};
use crate::syscall::{self, Answer, Errno, Instruction, Listen};

/// What to say where there is no door in spite of what was wanted, and why.
pub(super) const NO_TELLING: &str =
    "there is no door to the network: this kernel does not hand system calls to a supervisor (seccomp notification)";
pub(super) const NO_SOCKETS: &str = "there is no door to the network: the group `network` of system calls is closed";
pub(super) const NO_READING: &str =
    "there is no door to the network: the addresses that programs connect to cannot be read or answered here";

/// Connections that wait at one listener. What comes beyond is dropped and tried again by the program's own TCP.
const BACKLOG: u16 = 1024;
/// Listeners of a door: the proxy, the caught ports, two for names.
const LISTENERS_MAX: usize = 1 + CAUGHT_PORTS_MAX + 2;
const _: () = assert!(LISTENERS_MAX <= syscall::DESCRIPTORS_MAX, "one message carries all listeners");

/// What the keeper does with the network.
pub(super) enum NetworkPlan {
    /// Nothing: the network is the host's, and the filter closes it.
    Shared,
    /// A loopback interface.
    Alone,
    /// Nothing: the network is the host's, and the supervisor makes the connections to the door, by this filter.
    Supervised { filter: Vec<Instruction> },
    /// A loopback interface, a route and listeners.
    Door {
        /// The requests for interface, route and address.
        requests: Vec<u8>,
        view: DoorView,
    },
}

/// How many answers [`NetworkPlan::Door`]'s requests get.
const REQUESTS: usize = 3;

impl NetworkPlan {
    pub(super) fn new(mode: Mode, network: &Network, groups: &SyscallGroups) -> Self {
        match (mode, network) {
            (Mode::Minimal, Network::Door(_)) if groups.contains(SyscallGroup::Network) => {
                Self::Supervised { filter: filter::build(Sockets::Supervised, groups) }
            }
            (Mode::Minimal, _) => Self::Shared,
            (Mode::Namespaced | Mode::Rooted, Network::None) => Self::Alone,
            (Mode::Namespaced | Mode::Rooted, Network::Door(view)) => {
                let requests = [raise_request(), route_request(), address_request()].concat();
                Self::Door { requests, view: view.clone() }
            }
        }
    }

    /// What is made in a network namespace that somebody else has made and brought up: with rights in it everything,
    /// without them the listener for the proxy alone, which needs none.
    pub(super) fn in_given(network: &Network, rights: Rights) -> Self {
        match (network, rights) {
            (Network::None, _) => Self::Shared,
            (Network::Door(_), Rights::Held) => Self::new(Mode::Namespaced, network, &SyscallGroups::default()),
            (Network::Door(_), Rights::None) => Self::Door { requests: Vec::new(), view: DoorView::default() },
        }
    }
}

/// Whether the keeper has rights in its network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Rights {
    Held,
    None,
}

/// Refuses doors that could not be made as they are described.
pub(super) fn check(network: &Network) -> Result<(), ProfileError> {
    let Network::Door(DoorView { caught_ports, names }) = network else {
        return Ok(());
    };
    if caught_ports.len() > CAUGHT_PORTS_MAX {
        return Err(ProfileError::TooMany { what: "caught ports", most: CAUGHT_PORTS_MAX });
    }
    for (index, port) in caught_ports.iter().enumerate() {
        let earlier = caught_ports.get(..index).unwrap_or_default();
        if matches!(*port, 0 | PROXY_PORT) || (*names && *port == NAMES_PORT) || earlier.contains(port) {
            return Err(ProfileError::Port { port: *port });
        }
    }
    Ok(())
}

/// The number of the loopback interface in every network namespace.
const LOOPBACK: i32 = 1;
const WANTS_ANSWER: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
const MAKES: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;

/// A route request: its header (`struct nlmsghdr`), then its body.
fn request(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap_or(u32::MAX);
    let none = 0_u32.to_ne_bytes();
    [&length.to_ne_bytes(), &kind.to_ne_bytes()[..], &flags.to_ne_bytes(), &none, &none, body].concat()
}

/// "The loopback interface is up" (`struct ifinfomsg`).
fn raise_request() -> Vec<u8> {
    let up = (libc::IFF_UP as u32).to_ne_bytes();
    let body = [[0; 4], LOOPBACK.to_ne_bytes(), up, up].concat();
    request(libc::RTM_NEWLINK, WANTS_ANSWER, &body)
}

/// "The synthetic addresses are local" (`struct rtmsg` with destination and interface).
fn route_request() -> Vec<u8> {
    let (network, bits) = SYNTHETIC_NET;
    let head = [
        libc::AF_INET as u8,
        bits,
        0,
        0,
        libc::RT_TABLE_LOCAL,
        libc::RTPROT_BOOT,
        libc::RT_SCOPE_HOST,
        libc::RTN_LOCAL,
        0,
        0,
        0,
        0,
    ];
    let destination = attribute(libc::RTA_DST, network.octets());
    let interface = attribute(libc::RTA_OIF, LOOPBACK.to_ne_bytes());
    request(libc::RTM_NEWROUTE, WANTS_ANSWER | MAKES, &[&head[..], &destination, &interface].concat())
}

/// "The loopback interface has this address as well" (`struct ifaddrmsg` with the address, twice as is usual).
fn address_request() -> Vec<u8> {
    const EVERYWHERE: u8 = 0; // The scope of an address that is not a loopback one.
    let head = [libc::AF_INET as u8, 32, 0, EVERYWHERE];
    let local = attribute(libc::IFA_LOCAL, OWN_ADDRESS.octets());
    let peer = attribute(libc::IFA_ADDRESS, OWN_ADDRESS.octets());
    let body = [&head[..], &LOOPBACK.to_ne_bytes(), &local, &peer].concat();
    request(libc::RTM_NEWADDR, WANTS_ANSWER | MAKES, &body)
}

/// Four bytes with their length and kind (`struct rtattr`).
fn attribute(kind: u16, value: [u8; 4]) -> Vec<u8> {
    [&8_u16.to_ne_bytes()[..], &kind.to_ne_bytes(), &value].concat()
}

/// Prepares the network of this process's namespace and hands the listeners out. Called in the keeper.
pub(super) fn open(plan: &NetworkPlan, control: c_int) -> Answer<()> {
    match plan {
        NetworkPlan::Shared | NetworkPlan::Supervised { .. } => Ok(()),
        NetworkPlan::Alone => syscall::raise_loopback(),
        NetworkPlan::Door { requests, view } => {
            if !requests.is_empty() {
                syscall::change_routes(requests, REQUESTS)?;
            }
            let mut listeners = Listeners { made: [-1; LISTENERS_MAX], count: 0 };
            // After an error the process ends, and with it every listener.
            listeners.fill(view)?;
            listeners.hand_out(control)
        }
    }
}

/// Hands out the descriptor at which the program's connections are asked for, and lets go of it. Called in the
/// program's process, behind its filter.
pub(super) fn hand_out_connects(control: c_int, listener: c_int) -> Answer<()> {
    let sent = syscall::send_descriptors(control, &Message::Connects.encode(), &[listener]);
    syscall::close(listener);
    sent
}

/// Listeners in the order in which they are handed out.
struct Listeners {
    made: [c_int; LISTENERS_MAX],
    count: usize,
}

impl Listeners {
    fn fill(&mut self, view: &DoorView) -> Answer<()> {
        let stream = Listen::Stream { backlog: BACKLOG };
        self.add(Ipv4Addr::LOCALHOST, PROXY_PORT, stream)?;
        for port in &view.caught_ports {
            self.add(Ipv4Addr::UNSPECIFIED, *port, stream)?;
        }
        if view.names {
            self.add(Ipv4Addr::LOCALHOST, NAMES_PORT, Listen::Datagram)?;
            self.add(Ipv4Addr::LOCALHOST, NAMES_PORT, stream)?;
        }
        Ok(())
    }

    fn add(&mut self, address: Ipv4Addr, port: u16, listen: Listen) -> Answer<()> {
        let place = self.made.get_mut(self.count).ok_or(Errno(libc::E2BIG))?;
        *place = syscall::listener(address, port, listen)?;
        self.count += 1;
        Ok(())
    }

    fn hand_out(&self, control: c_int) -> Answer<()> {
        let made = self.made.get(..self.count).unwrap_or_default();
        let message = Message::Door(i32::try_from(self.count).unwrap_or(i32::MAX)).encode();
        syscall::send_descriptors(control, &message, made)?;
        for listener in made {
            syscall::close(*listener);
        }
        Ok(())
    }
}

/// The listeners that the keeper sent before its first report; nothing where it had none to send.
pub(super) fn receive(control: &OwnedFd, plan: &NetworkPlan) -> Result<Option<DoorSockets>, LaunchError> {
    let NetworkPlan::Door { view, .. } = plan else {
        return Ok(None);
    };
    let failed = |source| LaunchError::Setup { what: "receiving the listeners of the door".to_owned(), source };
    let sockets = match receive_all(control).map_err(|errno| failed(errno.into()))? {
        (Some(Message::Door(count)), sockets) if usize::try_from(count) == Ok(sockets.len()) => sockets,
        _ => return Err(failed(io::ErrorKind::InvalidData.into())),
    };
    assemble(view, sockets).map(Some).ok_or_else(|| failed(io::ErrorKind::InvalidData.into()))
}

/// The descriptor that [`hand_out_connects`] sent, if that is what came.
pub(super) fn receive_connects(control: &OwnedFd) -> Option<OwnedFd> {
    match receive_all(control) {
        Ok((Some(Message::Connects), descriptors)) => descriptors.into_iter().next(),
        _ => None,
    }
}

/// The connections that a child asks for while it starts, where the supervisor makes them: its attempts to get out, and
/// one to the proxy, which shows whether the door works on this host.
pub(super) struct Asked<'c> {
    control: &'c OwnedFd,
    is_expected: bool,
    connects: Option<Connects>,
    works: bool,
}

impl<'c> Asked<'c> {
    pub(super) fn new(plan: &NetworkPlan, control: &'c OwnedFd) -> Self {
        let is_expected = matches!(plan, NetworkPlan::Supervised { .. });
        Self { control, is_expected, connects: None, works: false }
    }

    /// Serves until `pipe` is readable; `false` when that takes too long.
    pub(super) fn serve_until_readable(&mut self, pipe: &OwnedFd) -> bool {
        const NONE: c_int = -1; // Is passed over.
        loop {
            let other = match &self.connects {
                _ if !self.is_expected => NONE,
                Some(connects) => connects.as_fd().as_raw_fd(),
                None => self.control.as_raw_fd(),
            };
            match syscall::poll_readable([pipe.as_raw_fd(), other], Some(START_MS_MAX)) {
                Ok([true, _]) => return true,
                Ok([false, true]) => self.serve(),
                _ => return false,
            }
        }
    }

    fn serve(&mut self) {
        match &mut self.connects {
            Some(connects) => match connects.serve() {
                Served::Made(_closed) => self.works = true,
                Served::Over => self.is_expected = false,
                Served::Refused | Served::Nothing => {}
            },
            None => {
                self.connects = receive_connects(self.control).map(|listener| Connects::new(listener, PROXY_PORT));
                self.is_expected = self.connects.is_some();
            }
        }
    }

    /// The door, or why there is none.
    pub(super) fn door(self) -> Result<Option<DoorSockets>, &'static str> {
        let connects = self.connects.ok_or(NO_TELLING)?;
        if !self.works {
            return Err(NO_READING);
        }
        let (proxy, caught) = (Front::Connects(connects), Vec::new());
        Ok(Some(DoorSockets { proxy, proxy_port: PROXY_PORT, caught, dns_udp: None, dns_tcp: None }))
    }
}

fn receive_all(control: &OwnedFd) -> Result<(Option<Message>, Vec<OwnedFd>), rustix::io::Errno> {
    let mut bytes = [0; EVENT_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(syscall::DESCRIPTORS_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(control, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags)?;
    let mut sockets = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            sockets.extend(descriptors);
        }
    }
    Ok((bytes.get(..received.bytes).and_then(Message::decode), sockets))
}

/// Names the listeners, which come in the order of [`Listeners::fill`]; `None` when their number is another.
fn assemble(view: &DoorView, sockets: Vec<OwnedFd>) -> Option<DoorSockets> {
    let mut sockets = sockets.into_iter();
    let proxy = sockets.next()?;
    let caught = view.caught_ports.iter().map(|port| Some((*port, sockets.next()?))).collect::<Option<_>>()?;
    let (dns_udp, dns_tcp) = if view.names { (Some(sockets.next()?), Some(sockets.next()?)) } else { (None, None) };
    sockets.next().is_none().then_some(DoorSockets {
        proxy: Front::Listener(proxy),
        proxy_port: PROXY_PORT,
        caught,
        dns_udp,
        dns_tcp,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(caught_ports: &[u16], names: bool) -> Network {
        Network::Door(DoorView { caught_ports: caught_ports.to_vec(), names })
    }

    #[test]
    fn deny_ports_that_cannot_be_caught() {
        let many: Vec<u16> = (1000..1017).collect();
        for (network, good) in [
            (Network::None, true),
            (door(&[], true), true),
            (door(&[80, 443], true), true),
            (door(&[53], false), true),
            (door(&many[1..], true), true),
            (door(&[0], false), false),
            (door(&[PROXY_PORT], false), false),
            (door(&[80, 53], true), false),
            (door(&[80, 443, 80], false), false),
            (door(&many, false), false),
        ] {
            assert_eq!(check(&network).is_ok(), good, "{network:?}");
        }
    }

    #[test]
    fn deny_listeners_of_another_number() {
        let sockets =
            |count| (0..count).map(|_| rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).unwrap());
        let view = DoorView { caught_ports: vec![80, 443], names: true };
        for count in 0..8 {
            let door = assemble(&view, sockets(count).collect());
            assert_eq!(door.is_some(), count == 5, "{count}");
        }
        let door = assemble(&DoorView::default(), sockets(1).collect()).unwrap();
        assert!(door.dns_udp.is_none() && door.dns_tcp.is_none() && door.caught.is_empty());
    }

    #[test]
    fn requests_are_laid_out_as_the_kernel_reads_them() {
        let (raise, route, address) = (raise_request(), route_request(), address_request());
        assert_eq!((raise.len(), route.len(), address.len()), (32, 44, 40));
        assert_eq!(raise[..8], [32, 0, 0, 0, 16, 0, 5, 0]);
        assert_eq!(route[..8], [44, 0, 0, 0, 24, 0, 5, 6]);
        assert_eq!(route[16..24], [2, 15, 0, 0, 255, 3, 254, 2]);
        assert_eq!(address[..8], [40, 0, 0, 0, 20, 0, 5, 6]);
        assert_eq!(address[16..24], [2, 32, 0, 0, 1, 0, 0, 0]);
        assert_eq!(address[24..], [8, 0, 2, 0, 198, 19, 255, 254, 8, 0, 1, 0, 198, 19, 255, 254]);
        assert_eq!(route[28..], [8, 0, 1, 0, 198, 18, 0, 0, 8, 0, 4, 0, 1, 0, 0, 0]);
    }
}
