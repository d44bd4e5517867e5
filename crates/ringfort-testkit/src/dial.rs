// SPDX-License-Identifier: MIT OR Apache-2.0
//! A dialer that reaches nobody and writes down whom it was asked to reach.
//!
//! In: a grant and an address. Out: the address in a list, and one end of a pipe that nobody holds.
//!
//! **Invariant:** no socket is ever opened. A grant comes only from a permit that was redeemed.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use ringfort_core::permit::Grant;
use ringfort_core::traits::Dial;

/// What the dialer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialAnswer {
    /// A descriptor that reads as closed.
    Closed,
    /// A refusal, as of a host that is not listening.
    Refused,
}

/// Writes down every dial.
#[derive(Debug)]
pub struct RecordingDialer {
    answer: DialAnswer,
    dialed: Mutex<Vec<SocketAddr>>,
}

impl RecordingDialer {
    /// A dialer that was not used yet.
    pub fn new(answer: DialAnswer) -> Self {
        Self { answer, dialed: Mutex::new(Vec::new()) }
    }

    /// Hands out everything that was dialed so far, in order.
    pub fn take(&self) -> Vec<SocketAddr> {
        std::mem::take(&mut *self.dialed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Dial for RecordingDialer {
    fn dial(&self, _grant: &Grant, address: SocketAddr) -> io::Result<OwnedFd> {
        self.dialed.lock().unwrap_or_else(PoisonError::into_inner).push(address);
        match self.answer {
            DialAnswer::Refused => Err(io::ErrorKind::ConnectionRefused.into()),
            DialAnswer::Closed => io::pipe().map(|(reader, _writer)| reader.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use ringfort_core::clock::Timestamp;
    use ringfort_core::digest::Digest;
    use ringfort_core::obligation::Obligations;
    use ringfort_core::permit::Permit;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a dialer needs a grant to be tried with")]
    fn every_dial_is_written_down() {
        let address: SocketAddr = "192.0.2.1:443".parse().unwrap();
        let request = Digest::of(b"request");
        let permit = Permit::issue(request, Obligations::default(), Timestamp(0));
        let grant = permit.redeem(&request, Timestamp(1)).unwrap();

        let dialer = RecordingDialer::new(DialAnswer::Closed);
        let mut text = String::new();
        std::fs::File::from(dialer.dial(&grant, address).unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "");
        assert_eq!(dialer.take(), [address]);
        assert_eq!(dialer.take(), []);

        let refusing = RecordingDialer::new(DialAnswer::Refused);
        assert!(refusing.dial(&grant, address).is_err());
        assert_eq!(refusing.take().len(), 1, "a refused dial is on the list too");
    }
}
