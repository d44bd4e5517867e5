// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses as programs lay them out, and connections with strangers in the way.
#![expect(clippy::disallowed_methods, reason = "the test is the stranger that dials")]

use std::io::{Read as _, Write as _};

use proptest::prelude::*;

use super::*;

/// A `sockaddr` of this family: port, then the rest of it.
fn laid_out(family: i32, rest: &[u8]) -> [u8; ADDRESS_BYTES_MAX] {
    let mut bytes = [0; ADDRESS_BYTES_MAX];
    bytes[..2].copy_from_slice(&u16::try_from(family).unwrap().to_ne_bytes());
    bytes[2..2 + rest.len()].copy_from_slice(rest);
    bytes
}

#[test]
fn addresses_are_read_as_the_kernel_reads_them() {
    let v4 = laid_out(libc::AF_INET, &[0x0c, 0x38, 127, 0, 0, 1]);
    let mapped =
        laid_out(libc::AF_INET6, &[0x0c, 0x38, 9, 9, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1]);
    for (bytes, length, expected) in [
        (v4, 16, Ok("127.0.0.1:3128")),
        (v4, 28, Ok("127.0.0.1:3128")),
        (v4, 15, Err(libc::EINVAL)),
        (v4, 1, Err(libc::EINVAL)),
        (v4, 0, Err(libc::EINVAL)),
        (mapped, 28, Ok("[::ffff:127.0.0.1]:3128")),
        (mapped, 24, Ok("[::ffff:127.0.0.1]:3128")),
        (mapped, 23, Err(libc::EINVAL)),
        (laid_out(libc::AF_UNSPEC, &[]), 16, Err(libc::EAFNOSUPPORT)),
        (laid_out(libc::AF_UNIX, b"/run/x"), 10, Err(libc::EAFNOSUPPORT)),
        (laid_out(libc::AF_NETLINK, &[]), 12, Err(libc::EAFNOSUPPORT)),
    ] {
        let address = parse(&bytes, length).map(|address| address.to_string()).map_err(|errno| errno.0);
        assert_eq!(address, expected.map(str::to_owned), "{bytes:?} {length}");
    }
}

proptest! {
    #[test]
    fn any_address_is_read_or_refused(bytes: [u8; ADDRESS_BYTES_MAX], length in 0..=ADDRESS_BYTES_MAX) {
        let is_readable = length >= V4_BYTES;
        prop_assert!(parse(&bytes, length).is_err() || is_readable);
    }
}

#[test]
fn a_pair_is_connected_and_its_ends_know_each_other() {
    for like in ["127.0.0.1:1", "[::1]:1"] {
        let (inner, mut outer) = match pair(&like.parse().unwrap(), &mut Port::default()) {
            Err(_) if like.starts_with('[') => continue, // A kernel without IPv6.
            made => made.unwrap(),
        };
        let mut inner: TcpStream = inner.into();
        inner.set_nonblocking(false).unwrap();
        outer.set_nonblocking(false).unwrap();
        assert_eq!(inner.local_addr().unwrap().ip().to_canonical(), outer.peer_addr().unwrap().ip());
        assert_eq!(inner.local_addr().unwrap().port(), outer.peer_addr().unwrap().port());
        inner.write_all(b"in").unwrap();
        outer.write_all(b"out").unwrap();
        drop((inner.shutdown(std::net::Shutdown::Write), outer.shutdown(std::net::Shutdown::Write)));
        let (mut from_inner, mut from_outer) = (String::new(), String::new());
        outer.read_to_string(&mut from_inner).unwrap();
        inner.read_to_string(&mut from_outer).unwrap();
        assert_eq!((from_inner.as_str(), from_outer.as_str()), ("in", "out"));
    }
}

#[test]
fn deny_a_flood_the_ports_of_the_host() {
    let mut last = Port::default();
    let mut ports = std::collections::BTreeSet::new();
    let mut kept = Vec::new();
    for n in 0..PORT_USES_MAX {
        let (inner, outer) = pair(&"127.0.0.1:1".parse().unwrap(), &mut last).unwrap();
        ports.insert(outer.local_addr().unwrap().port());
        // Some stay open, some are closed by this end first and some by the other one.
        match n % 3 {
            0 => kept.push((inner, outer)),
            1 => drop((inner, outer)),
            _ => drop((outer, inner)),
        }
    }
    // One, unless somebody else took it between two connections.
    assert!(ports.len() <= 3, "{ports:?}");
    // Where somebody else has the port, another is taken.
    last.used = 1;
    let _other = listener(last.number).unwrap();
    pair(&"127.0.0.1:1".parse().unwrap(), &mut last).unwrap();
    assert!(!ports.contains(&last.number));
    // And so it is when a port has been used long enough.
    last.used = PORT_USES_MAX;
    pair(&"127.0.0.1:1".parse().unwrap(), &mut last).unwrap();
    assert_eq!(last.used, 1);
}

fn listening() -> (OwnedFd, SocketAddr) {
    let listener = listener(0).unwrap();
    let place = name_of(&listener).unwrap();
    (listener, place)
}

#[test]
fn deny_strangers_that_connect_first() {
    let (listener, place) = listening();
    let mut strangers: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(place).unwrap()).collect();
    let own = TcpStream::connect(place).unwrap();
    let outer = accept_own(&listener, own.local_addr().unwrap()).unwrap().unwrap();
    assert_eq!(outer.peer_addr().unwrap(), own.local_addr().unwrap());
    for stranger in &mut strangers {
        // Closed without a byte: nobody serves it.
        assert!(matches!(stranger.read(&mut [0]), Ok(0) | Err(_)));
    }
}

#[test]
fn deny_more_strangers_than_a_listener_is_good_for() {
    let (listener, place) = listening();
    let strangers: Vec<TcpStream> = (0..=STRANGERS_MAX).filter_map(|_| TcpStream::connect(place).ok()).collect();
    assert!(strangers.len() > 1);
    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    assert!(accept_own(&listener, nobody).unwrap().is_none(), "a stranger was taken for the program");
}
