// SPDX-License-Identifier: MIT OR Apache-2.0
//! SOCKS5: greeting, user and password, request, replies (RFC 1928, RFC 1929).
//!
//! In: the bytes at the start of a stream. Out: what they say and how many they are, or the fault.
//!
//! **Invariant:** reserved bytes are zero, names are judged host names; `BIND`, UDP and SOCKS4 do not exist here.

use std::net::Ipv6Addr;

use ringfort_policy::egress::{Host, parse_host};

use super::{Cursor, Found};

const VERSION: u8 = 5;
const PASSWORD_VERSION: u8 = 1;
const COMMAND_CONNECT: u8 = 1;
const KIND_V4: u8 = 1;
const KIND_NAME: u8 = 3;
const KIND_V6: u8 = 4;
/// The method without authentication.
pub const METHOD_NONE: u8 = 0;
/// The method with user and password.
pub const METHOD_PASSWORD: u8 = 2;
/// The answer when no method fits.
pub const METHOD_REFUSED: u8 = 0xff;

/// The reply to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The connection is open.
    Open,
    /// Something failed.
    Failed,
    /// The rules do not allow it.
    Denied,
    /// The host cannot be reached.
    Unreachable,
    /// The host refused.
    Refused,
    /// It took too long.
    Expired,
    /// This command does not exist.
    Command,
    /// This kind of address does not exist.
    AddressKind,
}

impl Reply {
    /// The bytes of the reply; the bound address is not told.
    pub const fn bytes(self) -> [u8; 10] {
        let code = match self {
            Self::Open => 0,
            Self::Failed => 1,
            Self::Denied => 2,
            Self::Unreachable => 4,
            Self::Refused => 5,
            Self::Expired => 6,
            Self::Command => 7,
            Self::AddressKind => 8,
        };
        [VERSION, code, 0, KIND_V4, 0, 0, 0, 0, 0, 0]
    }
}

/// Why the bytes are not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SocksFault {
    /// SOCKS4 resolves names at the program's side or not at all; it is not served.
    #[error("socks-version")]
    Version,
    /// A reserved byte or a length is wrong.
    #[error("socks-malformed")]
    Malformed,
    /// The command is not `CONNECT`.
    #[error("socks-command")]
    Command,
    /// The kind of address is not known.
    #[error("socks-address-kind")]
    AddressKind,
    /// The host is no host name and no address, or the port is 0.
    #[error("socks-host")]
    Host,
}

/// Reads the greeting: the methods that the program offers.
///
/// # Errors
///
/// [`SocksFault`]: no method is answered.
pub fn greeting(input: &[u8]) -> Result<Found<&[u8]>, SocksFault> {
    let mut cursor = Cursor(input);
    match cursor.byte() {
        None => return Ok(Found::More),
        Some(VERSION) => {}
        Some(_) => return Err(SocksFault::Version),
    }
    match cursor.byte() {
        None => Ok(Found::More),
        Some(0) => Err(SocksFault::Malformed),
        Some(count) => Ok(match cursor.take(count.into()) {
            Some(methods) => Found::Whole(methods, input.len() - cursor.0.len()),
            None => Found::More,
        }),
    }
}

/// Reads user and password, as `user:password`.
///
/// # Errors
///
/// [`SocksFault`]: they are not compared.
pub fn password(input: &[u8]) -> Result<Found<Vec<u8>>, SocksFault> {
    let mut cursor = Cursor(input);
    if cursor.byte().is_some_and(|version| version != PASSWORD_VERSION) {
        return Err(SocksFault::Malformed);
    }
    let (Some(user), Some(password)) = (cursor.run8(), cursor.run8()) else { return Ok(Found::More) };
    Ok(Found::Whole([user, b":", password].concat(), input.len() - cursor.0.len()))
}

/// Reads a request: where to connect to.
///
/// # Errors
///
/// [`SocksFault`]: nothing is judged.
pub fn request(input: &[u8]) -> Result<Found<(Host, u16)>, SocksFault> {
    let mut cursor = Cursor(input);
    let Some(head) = cursor.take(4) else {
        return if input.first().is_some_and(|version| *version != VERSION) {
            Err(SocksFault::Version)
        } else {
            Ok(Found::More)
        };
    };
    let kind = match *head {
        [VERSION, COMMAND_CONNECT, 0, kind] => kind,
        [VERSION, COMMAND_CONNECT, ..] => return Err(SocksFault::Malformed),
        [VERSION, ..] => return Err(SocksFault::Command),
        _ => return Err(SocksFault::Version),
    };
    let host = match kind {
        KIND_V4 => cursor.take(4).map(<[u8; 4]>::try_from).map(|octets| octets.ok().map(|o| Host::V4(o.into()))),
        KIND_V6 => cursor.take(16).map(<[u8; 16]>::try_from).map(|octets| octets.ok().and_then(canonical)),
        KIND_NAME => cursor.run8().map(|name| parse_host(std::str::from_utf8(name).ok()?).ok()),
        _ => return Err(SocksFault::AddressKind),
    };
    let (Some(host), Some(port)) = (host, cursor.short()) else { return Ok(Found::More) };
    match (host, port) {
        (None, _) | (_, 0) => Err(SocksFault::Host),
        (Some(host), port) => Ok(Found::Whole((host, port), input.len() - cursor.0.len())),
    }
}

/// The address in its one spelling: what holds an IPv4 address is that address.
fn canonical(octets: [u8; 16]) -> Option<Host> {
    parse_host(&format!("[{}]", Ipv6Addr::from(octets))).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ask(kind: u8, rest: &[u8]) -> Vec<u8> {
        [&[VERSION, COMMAND_CONNECT, 0, kind][..], rest].concat()
    }

    fn named(name: &[u8], port: u16) -> Vec<u8> {
        ask(KIND_NAME, &[&[u8::try_from(name.len()).unwrap()], name, &port.to_be_bytes()].concat())
    }

    #[test]
    fn requests_name_a_host_and_a_port() {
        for (input, expected) in [
            (named(b"Example.COM.", 443), "example.com:443"),
            (named(b"0x7f.1", 80), "127.0.0.1:80"),
            (named(b"[::ffff:10.0.0.1]", 80), "10.0.0.1:80"),
            (ask(KIND_V4, &[8, 8, 8, 8, 0, 53]), "8.8.8.8:53"),
            (ask(KIND_V6, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1, 0, 80]), "127.0.0.1:80"),
            (ask(KIND_V6, &[0x26, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 187]), "[2606::1]:443"),
        ] {
            let Ok(Found::Whole((host, port), length)) = request(&input) else { panic!("{input:?}") };
            assert_eq!((format!("{host}:{port}"), length), (expected.to_owned(), input.len()));
            for cut in 0..input.len() {
                assert_eq!(request(&input[..cut]), Ok(Found::More), "{input:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn deny_what_is_no_connect_of_socks5() {
        for (input, expected) in [
            (vec![4, 1, 0, 80, 127, 0, 0, 1, 0], SocksFault::Version),
            (vec![4, 1, 0, 80, 0, 0, 0, 1, 0, b'a', 0], SocksFault::Version),
            (vec![5, 2, 0, 1, 1, 1, 1, 1, 0, 80], SocksFault::Command),
            (vec![5, 3, 0, 1, 1, 1, 1, 1, 0, 80], SocksFault::Command),
            (vec![5, 1, 1, 1, 1, 1, 1, 1, 0, 80], SocksFault::Malformed),
            (vec![5, 1, 0, 2, 1, 1, 1, 1, 0, 80], SocksFault::AddressKind),
            (vec![5, 1, 0, 1, 1, 1, 1, 1, 0, 0], SocksFault::Host),
            (named(b"", 80), SocksFault::Host),
            (named(b"user@example.com", 80), SocksFault::Host),
            (named(b"exa mple.com", 80), SocksFault::Host),
            (named(b"a..b", 80), SocksFault::Host),
            (named(b"example.com\0.evil.net", 80), SocksFault::Host),
            (named(b"fe80::1%eth0", 80), SocksFault::Host),
            (named("\u{ff11}27.0.0.1".as_bytes(), 80), SocksFault::Host),
        ] {
            assert_eq!(request(&input), Err(expected), "{input:?}");
        }
        assert_eq!(greeting(&[4, 1]), Err(SocksFault::Version));
        assert_eq!(greeting(&[5, 0]), Err(SocksFault::Malformed));
        assert_eq!(password(&[5, 0, 0]), Err(SocksFault::Malformed));
    }

    #[test]
    fn greetings_and_passwords_are_read_whole() {
        assert_eq!(greeting(&[5, 2, 0, 2, 9]), Ok(Found::Whole(&[0, 2][..], 4)));
        assert_eq!(greeting(&[5, 2, 0]), Ok(Found::More));
        assert_eq!(password(&[1, 1, b'a', 2, b'b', b'c']), Ok(Found::Whole(b"a:bc".to_vec(), 6)));
        assert_eq!(password(&[1, 1, b'a', 2, b'b']), Ok(Found::More));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(input in prop::collection::vec(any::<u8>(), 0..300)) {
            for found in [request(&input).map(|f| matches!(f, Found::Whole(_, n) if n > input.len())), greeting(&input).map(|f| matches!(f, Found::Whole(_, n) if n > input.len()))] {
                prop_assert!(!found.unwrap_or(false));
            }
            drop(password(&input));
        }

        #[test]
        fn a_longer_input_says_the_same(tail in prop::collection::vec(any::<u8>(), 0..20), port in 1_u16..) {
            let input = named(b"example.com", port);
            prop_assert_eq!(request(&[&input[..], &tail].concat()), request(&input));
        }
    }
}
