// SPDX-License-Identifier: MIT OR Apache-2.0
//! Working memory of a key derivation, and the stack below a computation: both are wiped when the work is done.
//!
//! In: a number of argon2 blocks; a computation. Out: the blocks; what the computation returned.
//!
//! **Invariant:** the pages are left out of core dumps and of forked children, and are wiped before they are given back.
//! They are not locked: 256 MiB are more than a user may lock, and they hold no passphrase, only what was mixed from it.

use std::hint::black_box;
use std::io;
use std::ptr::NonNull;

use argon2::Block;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
use zeroize::Zeroize as _;

use super::LockedError;

/// How much of the stack is wiped below a cipher or a hash. Bytes.
const SHALLOW: usize = 16 * 1024;
/// How much of it is wiped below a derivation, whose blocks lie there too. Bytes.
const DEEP: usize = 128 * 1024;

/// Blocks for argon2.
pub(crate) struct Scratch {
    pages: NonNull<Block>,
    blocks: usize,
}

impl Scratch {
    /// `blocks` blocks of zeros.
    pub(crate) fn new(blocks: usize) -> Result<Self, LockedError> {
        let Some(mapped) = blocks.checked_mul(Block::SIZE).filter(|&bytes| bytes > 0) else {
            return Err(LockedError::System(io::ErrorKind::InvalidInput.into()));
        };
        // SAFETY: a new private mapping at an address of the kernel's choice touches no existing memory.
        let pages = unsafe {
            mmap_anonymous(std::ptr::null_mut(), mapped, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
        }
        .map_err(io::Error::from)?;
        let Some(pages) = NonNull::new(pages.cast::<Block>()) else {
            return Err(LockedError::System(io::ErrorKind::OutOfMemory.into()));
        };
        let scratch = Self { pages, blocks };
        // SAFETY: the range is the mapping made above.
        unsafe {
            madvise(pages.as_ptr().cast(), mapped, Advice::LinuxDontDump).map_err(io::Error::from)?;
            madvise(pages.as_ptr().cast(), mapped, Advice::LinuxWipeOnFork).map_err(io::Error::from)?;
        }
        Ok(scratch)
    }

    /// The blocks.
    pub(crate) const fn blocks_mut(&mut self) -> &mut [Block] {
        // SAFETY: `blocks` blocks from `pages` are mapped, page-aligned and zeroed at first, which is a valid `Block`
        // (an array of integers); they live as long as `self`, and `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.pages.as_ptr(), self.blocks) }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let bytes = self.blocks * Block::SIZE;
        // SAFETY: the mapping is ours, writable and `bytes` long.
        let memory = unsafe { std::slice::from_raw_parts_mut(self.pages.as_ptr().cast::<u8>(), bytes) };
        memory.zeroize();
        // SAFETY: the mapping was made by `new`, is given back once, and nothing refers to it any more.
        let unmapped = unsafe { munmap(self.pages.as_ptr().cast(), bytes) };
        debug_assert!(unmapped.is_ok(), "a mapping of our own can be removed");
    }
}

/// Runs `work`, a cipher or a hash, and then wipes the stack that it used: they leave copies of their input there.
///
/// What `work` returns is moved out and is the caller's to keep safe; it should be a [`super::Locked`] or no secret.
pub fn wiping<T>(work: impl FnOnce() -> T) -> T {
    let result = below(work);
    wipe_stack::<SHALLOW>();
    result
}

/// The same for a derivation.
pub(crate) fn wiping_deep<T>(work: impl FnOnce() -> T) -> T {
    let result = below(work);
    wipe_stack::<DEEP>();
    result
}

/// A frame of its own for `work`, so that everything of it lies below the caller's.
#[inline(never)]
fn below<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

#[inline(never)]
fn wipe_stack<const BYTES: usize>() {
    // The zeros are written because somebody might look at them, as far as the compiler knows.
    let mut area = [0_u8; BYTES];
    black_box(&mut area);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_begin_as_zeros_and_can_be_written() {
        let mut scratch = Scratch::new(8).unwrap();
        assert_eq!(scratch.blocks_mut().len(), 8);
        assert!(scratch.blocks_mut().iter_mut().all(|block| block.as_ref().iter().all(|&word| word == 0)));
        scratch.blocks_mut()[7] = Block::new();
        assert!(Scratch::new(0).is_err() && Scratch::new(usize::MAX).is_err());
    }

    #[test]
    fn a_computation_gives_its_result() {
        assert_eq!((wiping(|| 6 * 7), wiping_deep(|| 6 * 7)), (42, 42));
    }
}
