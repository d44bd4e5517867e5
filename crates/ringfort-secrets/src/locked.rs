// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes in memory that is locked, left out of core dumps and of forked children, and wiped.
//!
//! In: a length, or bytes that are copied. Out: the bytes, only by [`Locked::expose`].
//!
//! **Invariant:** the pages are locked before a byte is written and wiped before they are given back; no `Display`, no
//! `Serialize`; `Debug` shows `[secret]`. Where pages cannot be locked there is an error, never ordinary memory.

mod scratch;

use std::fmt;
use std::io;
use std::ptr::NonNull;

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mlock, mmap_anonymous, munmap};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

pub(crate) use scratch::Scratch;
pub use scratch::wiping;

/// Longest value. Bytes.
pub const LOCKED_MAX: usize = 1024 * 1024;
/// Size of a page, the unit in which memory is locked. Bytes.
const PAGE: usize = 4096;

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
    /// The system does not give locked pages.
    #[error("cannot lock memory for a secret; raise the limit of locked memory (`ulimit -l`)")]
    System(#[from] io::Error),
}

/// Bytes in locked memory.
pub struct Locked {
    pages: NonNull<u8>,
    mapped: usize,
    length: usize,
}

// SAFETY: the mapping belongs to this value alone and is reached only through it.
unsafe impl Send for Locked {}
// SAFETY: shared access only reads.
unsafe impl Sync for Locked {}

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
        let mapped = length.max(1).next_multiple_of(PAGE);
        // SAFETY: a new private mapping at an address of the kernel's choice touches no existing memory.
        let pages = unsafe {
            mmap_anonymous(std::ptr::null_mut(), mapped, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
        }
        .map_err(io::Error::from)?;
        let Some(pages) = NonNull::new(pages.cast::<u8>()) else {
            return Err(LockedError::System(io::ErrorKind::OutOfMemory.into()));
        };
        // From here on dropping the value gives the pages back.
        let locked = Self { pages, mapped, length };
        // SAFETY: the range is the mapping made above.
        unsafe {
            mlock(pages.as_ptr().cast(), mapped).map_err(io::Error::from)?;
            madvise(pages.as_ptr().cast(), mapped, Advice::LinuxDontDump).map_err(io::Error::from)?;
            madvise(pages.as_ptr().cast(), mapped, Advice::LinuxWipeOnFork).map_err(io::Error::from)?;
        }
        Ok(locked)
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

    /// Shows the bytes. Each call is a place to review.
    pub const fn expose(&self) -> &[u8] {
        // SAFETY: `length` bytes from `pages` are mapped, initialised (zeros at first) and live as long as `self`.
        unsafe { std::slice::from_raw_parts(self.pages.as_ptr(), self.length) }
    }

    /// Shows the bytes for writing.
    pub const fn expose_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `expose`; `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.pages.as_ptr(), self.length) }
    }

    /// Number of bytes.
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Compares in a time that depends only on the lengths.
    pub fn equals(&self, other: &[u8]) -> bool {
        self.expose().ct_eq(other).into()
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.expose_mut().zeroize();
        // SAFETY: the mapping was made by `zeroed`, is given back once, and nothing refers to it any more.
        let unmapped = unsafe { munmap(self.pages.as_ptr().cast(), self.mapped) };
        debug_assert!(unmapped.is_ok(), "a mapping of our own can be removed");
    }
}

impl fmt::Debug for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_compares_and_never_prints() {
        let mut value = Locked::copy_of(b"hunter2").unwrap();
        assert!(value.equals(b"hunter2") && !value.equals(b"hunter3") && !value.equals(b"hunter"));
        value.expose_mut()[0] = b'H';
        assert_eq!((value.expose(), format!("{value:?}").as_str()), (&b"Hunter2"[..], "[secret]"));
        assert!(Locked::zeroed(0).unwrap().is_empty());
        assert!(matches!(Locked::zeroed(LOCKED_MAX + 1), Err(LockedError::TooLong { .. })));
    }
}
