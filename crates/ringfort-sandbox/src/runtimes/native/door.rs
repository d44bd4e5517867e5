// SPDX-License-Identifier: MIT OR Apache-2.0
//! The network of a cage: a loopback interface of its own, and the listeners of a door where one is wanted.
//!
//! In: what a profile wants. Out: inside, an interface, a route and listeners; outside, [`DoorSockets`].
//!
//! **Invariant:** the listeners are made by the keeper, in the cage's own network namespace, while it still has rights
//! there; then it lets go of them. The program has neither the listeners nor the right to change a route, and no packet
//! leaves the namespace: what a listener accepts is all that comes out, and only whoever holds it accepts.
//! What is done with a connection is decided by the proxy, not here.

use std::ffi::c_int;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use serde::{Deserialize, Serialize};

use super::wire::{EVENT_BYTES, Message};
use super::{Mode, ProfileError};
use crate::launch::{DoorSockets, LaunchError};
use crate::profile::{CAUGHT_PORTS_MAX, DoorView, NAMES_PORT, Network, OWN_ADDRESS, PROXY_PORT, SYNTHETIC_NET};
use crate::syscall::{self, Answer, Errno, Listen};

/// What to say where there is no network namespace to make a door in.
pub(super) const MISSING: &str = "there is no door to the network: it needs a network namespace";

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
    pub(super) fn new(mode: Mode, network: &Network) -> Self {
        match (mode, network) {
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
            (Network::Door(_), Rights::Held) => Self::new(Mode::Namespaced, network),
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
        NetworkPlan::Shared => Ok(()),
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
    let sockets = receive_all(control).map_err(|errno| failed(errno.into()))?;
    assemble(view, sockets).map(Some).ok_or_else(|| failed(io::ErrorKind::InvalidData.into()))
}

fn receive_all(control: &OwnedFd) -> Result<Vec<OwnedFd>, rustix::io::Errno> {
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
    let announced = match bytes.get(..received.bytes).and_then(Message::decode) {
        Some(Message::Door(count)) => usize::try_from(count).ok(),
        _ => None,
    };
    if announced == Some(sockets.len()) { Ok(sockets) } else { Err(rustix::io::Errno::BADMSG) }
}

/// Names the listeners, which come in the order of [`Listeners::fill`]; `None` when their number is another.
fn assemble(view: &DoorView, sockets: Vec<OwnedFd>) -> Option<DoorSockets> {
    let mut sockets = sockets.into_iter();
    let proxy = sockets.next()?;
    let caught = view.caught_ports.iter().map(|port| Some((*port, sockets.next()?))).collect::<Option<_>>()?;
    let (dns_udp, dns_tcp) = if view.names { (Some(sockets.next()?), Some(sockets.next()?)) } else { (None, None) };
    sockets.next().is_none().then_some(DoorSockets { proxy, proxy_port: PROXY_PORT, caught, dns_udp, dns_tcp })
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
