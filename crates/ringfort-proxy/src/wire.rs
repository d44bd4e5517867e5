// SPDX-License-Identifier: MIT OR Apache-2.0
//! Parsers of what programs and servers send: pure functions over bytes, strict and bounded.
//!
//! In: the first bytes of a stream or one datagram. Out: what they say, that more is needed, or a named fault.
//!
//! **Invariant:** no I/O, no state beyond the value returned, no panic for any input; what two readers could take in
//! two ways is a fault. Each is fuzzed.

pub mod chunk;
pub mod dns;
pub mod head;
pub mod hello;
pub mod request;
pub mod response;
pub mod socks;

/// What a parser of a stream found at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// It is not complete.
    More,
    /// It is complete; so many bytes belong to it.
    Whole(T, usize),
}

impl<T> Found<T> {
    /// The same with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Found<U> {
        match self {
            Self::More => Found::More,
            Self::Whole(value, length) => Found::Whole(change(value), length),
        }
    }
}

/// Reads big-endian numbers and runs of bytes off the front of a slice; `None` where there are too few.
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(crate) fn short(&mut self) -> Option<u16> {
        let (front, rest) = self.0.split_first_chunk::<2>()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*front))
    }

    /// A run of bytes behind its length in one byte.
    pub(crate) fn run8(&mut self) -> Option<&'a [u8]> {
        let count = self.byte()?;
        self.take(count.into())
    }

    /// A run of bytes behind its length in two bytes.
    pub(crate) fn run16(&mut self) -> Option<&'a [u8]> {
        let count = self.short()?;
        self.take(count.into())
    }
}
