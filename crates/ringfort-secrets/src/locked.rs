// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes in memory that is locked, left out of core dumps and of forked children, and wiped.
//!
//! In: a length, bytes that are copied, a descriptor that is read. Out: the bytes, only by [`Locked::expose`].
//!
//! **Invariant:** the pages are locked before a byte is written and wiped before they are given back; no `Display`, no
//! `Serialize`; `Debug` shows `[secret]`. Where pages cannot be locked there is an error, never ordinary memory. A forked
//! child sees zeros: what it is to have must be copied for it before.

mod arena;
mod pages;
mod scratch;

use std::fmt;
use std::io;
use std::os::fd::AsFd;

use rustix::io::Errno;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

use arena::Place;
pub use pages::Protection;
pub use scratch::wiping;
pub(crate) use scratch::{Scratch, wiping_deep};

/// Longest value. Bytes.
pub const LOCKED_MAX: usize = 1024 * 1024;
/// How much is read at first from a descriptor. Bytes.
const READ_FIRST: usize = 4096;

/// Why memory for a secret could not be had. No secret was written anywhere.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockedError {
    /// The value is too long.
    #[error("a value of {length} bytes is too long; the limit is {LOCKED_MAX} bytes")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// What is read has more bytes than are wanted.
    #[error("more than {limit} bytes were given; that is the limit here")]
    OverLimit {
        /// The limit.
        limit: usize,
    },
    /// The system does not give locked pages.
    #[error("cannot lock memory for a secret; raise the limit of locked memory (`ulimit -l`)")]
    System(#[from] io::Error),
    /// The descriptor could not be read.
    #[error("cannot read a secret")]
    Read(#[source] io::Error),
}

/// Bytes in locked memory.
pub struct Locked {
    place: Place,
    length: usize,
}

impl Locked {
    /// Zeros in locked memory.
    ///
    /// # Errors
    ///
    /// [`LockedError`]: there is no such memory.
    pub fn zeroed(length: usize) -> Result<Self, LockedError> {
        if length > LOCKED_MAX {
            return Err(LockedError::TooLong { length });
        }
        Ok(Self { place: Place::take(length)?, length })
    }

    /// A copy of `bytes`. The source stays as it is: wiping it is its owner's part.
    ///
    /// # Errors
    ///
    /// [`LockedError`]: there is no such memory.
    pub fn copy_of(bytes: &[u8]) -> Result<Self, LockedError> {
        let mut locked = Self::zeroed(bytes.len())?;
        locked.expose_mut().copy_from_slice(bytes);
        Ok(locked)
    }

    /// Random bytes from the kernel.
    ///
    /// # Errors
    ///
    /// [`LockedError`]: there is no such memory, or no randomness.
    pub fn random(length: usize) -> Result<Self, LockedError> {
        let mut locked = Self::zeroed(length)?;
        getrandom::fill(locked.expose_mut()).map_err(|error| LockedError::System(io::Error::other(error)))?;
        Ok(locked)
    }

    /// Everything that `fd` gives until its end, at most `limit` bytes. The kernel writes it straight into locked memory,
    /// so no ordinary buffer has held it.
    ///
    /// # Errors
    ///
    /// [`LockedError`]: what was read so far is wiped.
    pub fn read_from(fd: impl AsFd, limit: usize) -> Result<Self, LockedError> {
        let fd = fd.as_fd();
        let mut held = Self::zeroed(READ_FIRST.min(limit.saturating_add(1)).min(LOCKED_MAX))?;
        let mut filled = 0;
        loop {
            if filled == held.len() {
                // One more byte than the limit shows that there is more.
                let longer = held.len().saturating_mul(2).min(limit.saturating_add(1)).min(LOCKED_MAX);
                if longer == held.len() {
                    return Err(LockedError::OverLimit { limit: limit.min(LOCKED_MAX - 1) });
                }
                let mut next = Self::zeroed(longer)?;
                next.expose_mut().iter_mut().zip(held.expose()).for_each(|(to, from)| *to = *from);
                held = next;
            }
            let rest = held.expose_mut().get_mut(filled..).unwrap_or_default();
            match rustix::io::read(fd, rest) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(LockedError::Read(errno.into())),
            }
        }
        if filled > limit {
            return Err(LockedError::OverLimit { limit });
        }
        held.truncate(filled);
        Ok(held)
    }

    /// A second copy, as locked as the first.
    ///
    /// # Errors
    ///
    /// [`LockedError`]: there is no such memory.
    pub fn try_clone(&self) -> Result<Self, LockedError> {
        Self::copy_of(self.expose())
    }

    /// Shows the bytes. Each call is a place to review.
    pub fn expose(&self) -> &[u8] {
        // SAFETY: the place has at least `length` bytes, initialised (zeros at first), accessible after `start`, nobody
        // else's, and it lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.place.start().as_ptr(), self.length) }
    }

    /// Shows the bytes for writing.
    pub fn expose_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `expose`; `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.place.start().as_ptr(), self.length) }
    }

    /// Number of bytes.
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Keeps the first `length` bytes and wipes the rest; longer than it is it stays as it is.
    pub fn truncate(&mut self, length: usize) {
        if let Some(rest) = self.expose_mut().get_mut(length..) {
            rest.zeroize();
            self.length = length;
        }
    }

    /// Takes one line end (`\n` or `\r\n`) off the end, as a person's Enter or `echo` leaves it.
    pub fn trim_line_end(&mut self) {
        let length = match self.expose() {
            [rest @ .., b'\r', b'\n'] | [rest @ .., b'\n'] => rest.len(),
            all => all.len(),
        };
        self.truncate(length);
    }

    /// Compares in a time that depends only on the lengths.
    pub fn equals(&self, other: &[u8]) -> bool {
        self.expose().ct_eq(other).into()
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.expose_mut().zeroize();
        self.place.give();
    }
}

impl fmt::Debug for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// What kind of memory this process gets for secrets; asking takes a page once.
pub fn protection() -> Protection {
    pages::protection()
}

/// How many bytes this process has locked for values of up to a page.
pub fn locked_bytes() -> usize {
    arena::locked_bytes()
}

#[cfg(test)]
mod tests;
