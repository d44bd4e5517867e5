// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes of a word: short ones without an allocation, since nearly every word is short.
//!
//! In: a slice or a vector. Out: [`Bytes`], which reads as a slice.
//!
//! **Invariant:** the bytes are kept exactly and in order, whatever their number. They are never changed in place.

use std::fmt;
use std::ops::Deref;

/// Most bytes that need no allocation; as many as fit beside what a vector takes.
const INLINE_BYTES_MAX: usize = 30;

/// An exact byte string that cannot be changed.
#[derive(Clone)]
pub struct Bytes(Repr);

#[derive(Clone)]
enum Repr {
    Inline { length: u8, bytes: [u8; INLINE_BYTES_MAX] },
    Heap(Vec<u8>),
}

impl Bytes {
    /// The bytes as a slice.
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or(bytes),
            Repr::Heap(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for Bytes {
    fn from(slice: &[u8]) -> Self {
        let mut bytes = [0; INLINE_BYTES_MAX];
        match (bytes.get_mut(..slice.len()), u8::try_from(slice.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(slice);
                Self(Repr::Inline { length, bytes })
            }
            _ => Self(Repr::Heap(slice.to_vec())),
        }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        if bytes.len() <= INLINE_BYTES_MAX { Self::from(bytes.as_slice()) } else { Self(Repr::Heap(bytes)) }
    }
}

impl FromIterator<u8> for Bytes {
    fn from_iter<I: IntoIterator<Item = u8>>(iterator: I) -> Self {
        let mut rest = iterator.into_iter();
        let mut bytes = [0; INLINE_BYTES_MAX];
        let mut length = 0;
        for place in &mut bytes {
            let Some(byte) = rest.next() else { return Self(Repr::Inline { length, bytes }) };
            *place = byte;
            length += 1;
        }
        match rest.next() {
            None => Self(Repr::Inline { length, bytes }),
            Some(next) => Self(Repr::Heap(bytes.into_iter().chain(Some(next)).chain(rest).collect())),
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Bytes {}

impl<const N: usize> PartialEq<&[u8; N]> for Bytes {
    fn eq(&self, other: &&[u8; N]) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl PartialEq<[u8]> for Bytes {
    fn eq(&self, other: &[u8]) -> bool {
        self.as_slice() == other
    }
}

impl PartialEq<&[u8]> for Bytes {
    fn eq(&self, other: &&[u8]) -> bool {
        self.as_slice() == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_kept_exactly() {
        for length in 0..100_u8 {
            let exact: Vec<u8> = (0..length).collect();
            for bytes in [Bytes::from(exact.as_slice()), Bytes::from(exact.clone()), exact.iter().copied().collect()] {
                assert_eq!(bytes.as_slice(), exact, "{length}");
                assert_eq!(bytes, Bytes::from(exact.clone()), "{length}");
                assert_eq!(matches!(bytes.0, Repr::Inline { .. }), exact.len() <= INLINE_BYTES_MAX, "{length}");
            }
        }
        assert_ne!(Bytes::from(&b"a"[..]), Bytes::from(&b"a\0"[..]));
        assert_ne!(Bytes::from(&b""[..]), Bytes::from(&b"\0"[..]));
        assert!(size_of::<Bytes>() <= 32);
    }
}
