// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages that hold secrets: `memfd_secret` where the kernel has it, else private pages that are locked.
//!
//! In: a number of bytes. Out: a mapping between two pages that nobody can touch.
//!
//! **Invariant:** the pages are locked, left out of core dumps and of forked children before the first byte is written.
//! A forked child sees zeros in their place: locked private pages are wiped by the kernel; secret ones are not there, and
//! zeros are put there before the child's first access ([`Pages::reach`]).

use std::io;
use std::os::fd::{AsFd as _, FromRawFd as _, OwnedFd};
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mlock, mmap, mmap_anonymous, mprotect, munmap};
use serde::Serialize;

/// Size of a page, the unit in which memory is locked. Bytes.
pub(super) const PAGE: usize = 4096;
/// Pages before the payload: one that nobody can touch, the mark, one that nobody can touch.
const BEFORE: usize = 3 * PAGE;
/// Pages after it: one that nobody can touch.
const AFTER: usize = PAGE;

/// The mark of the process that made the pages. A forked child finds zero there.
const OURS: u32 = 1;
/// The mark of a child that has put zeros in their place.
const REPLACED: u32 = 2;
/// The mark while a thread of the child does so.
const REPLACING: u32 = 3;

/// What kind of memory holds secrets in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// `memfd_secret`: not even the kernel, a debugger of the same user or `/proc/PID/mem` can read it.
    SecretMemory,
    /// Locked private pages: never swapped or dumped; a debugger of the same user can read them.
    LockedPages,
}

/// A mapping for secrets.
pub(super) struct Pages {
    /// Start of the reservation, with the pages before the payload.
    whole: NonNull<u8>,
    /// Length of the payload.
    length: usize,
    protection: Protection,
}

// SAFETY: the mapping belongs to this value alone; who may access which part of it when is its user's to keep.
unsafe impl Send for Pages {}
// SAFETY: as above; this value itself only hands out addresses.
unsafe impl Sync for Pages {}

/// Whether this kernel gives secret memory to this process; asked once.
pub(super) fn protection() -> Protection {
    static FOUND: OnceLock<Protection> = OnceLock::new();
    *FOUND.get_or_init(|| match Pages::of(PAGE, Protection::SecretMemory) {
        Ok(_) => Protection::SecretMemory,
        Err(_) => Protection::LockedPages,
    })
}

impl Pages {
    /// A mapping of at least `bytes` zeros.
    pub(super) fn new(bytes: usize) -> io::Result<Self> {
        Self::of(bytes, protection())
    }

    /// A mapping of one kind.
    pub(super) fn of(bytes: usize, protection: Protection) -> io::Result<Self> {
        let length = bytes.max(1).checked_next_multiple_of(PAGE);
        let whole_length = length.and_then(|length| length.checked_add(BEFORE + AFTER));
        let (Some(length), Some(whole_length)) = (length, whole_length) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        // SAFETY: a new private mapping at an address of the kernel's choice touches no existing memory.
        let whole = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                whole_length,
                ProtFlags::empty(),
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
        }?;
        let Some(whole) = NonNull::new(whole.cast::<u8>()) else { return Err(io::ErrorKind::OutOfMemory.into()) };
        // From here on dropping the value gives everything back.
        let pages = Self { whole, length, protection };
        pages.set_mark()?;
        match protection {
            Protection::SecretMemory => pages.put_secret()?,
            Protection::LockedPages => pages.put_locked()?,
        }
        Ok(pages)
    }

    /// The page of the mark: readable, and zeroed by the kernel in a forked child.
    fn set_mark(&self) -> io::Result<()> {
        let mark = self.mark_address();
        // SAFETY: the page belongs to the reservation and nobody uses it yet.
        unsafe {
            mprotect(mark.cast(), PAGE, MprotectFlags::READ | MprotectFlags::WRITE)?;
            madvise(mark.cast(), PAGE, Advice::LinuxWipeOnFork)?;
            madvise(mark.cast(), PAGE, Advice::LinuxDontDump)?;
        }
        self.mark().store(OURS, Ordering::Release);
        Ok(())
    }

    fn put_secret(&self) -> io::Result<()> {
        // SAFETY: the call takes flags alone and returns a fresh descriptor or -1.
        let fd = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
        let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
        // SAFETY: the kernel gave the descriptor, which nobody else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        rustix::fs::ftruncate(&fd, self.length as u64)?;
        let payload = self.payload().as_ptr();
        // SAFETY: the range lies in our reservation, in which nobody uses anything yet. Shared, as this kind must be;
        // the only descriptor is closed below, so there is no second view.
        unsafe {
            mmap(
                payload.cast(),
                self.length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED | MapFlags::FIXED,
                fd.as_fd(),
                0,
            )?;
            madvise(payload.cast(), self.length, Advice::LinuxDontFork)?;
            madvise(payload.cast(), self.length, Advice::LinuxDontDump)?;
        }
        Ok(())
    }

    fn put_locked(&self) -> io::Result<()> {
        let payload = self.payload().as_ptr();
        // SAFETY: the range lies in our reservation, in which nobody uses anything yet.
        unsafe {
            mprotect(payload.cast(), self.length, MprotectFlags::READ | MprotectFlags::WRITE)?;
            mlock(payload.cast(), self.length)?;
            madvise(payload.cast(), self.length, Advice::LinuxDontDump)?;
            madvise(payload.cast(), self.length, Advice::LinuxWipeOnFork)?;
        }
        Ok(())
    }

    /// Length of the payload.
    pub(super) const fn length(&self) -> usize {
        self.length
    }

    /// Where the payload begins; to be accessed after [`Self::reach`] alone.
    pub(super) const fn payload(&self) -> NonNull<u8> {
        // SAFETY: the reservation is longer than the pages before the payload.
        unsafe { self.whole.add(BEFORE) }
    }

    const fn mark_address(&self) -> *mut u8 {
        // SAFETY: the second page of the reservation.
        unsafe { self.whole.as_ptr().add(PAGE) }
    }

    fn mark(&self) -> &AtomicU32 {
        // SAFETY: the page of the mark is readable and writable, aligned to a page, and lives as long as `self`; it is
        // accessed as an atomic only.
        unsafe { AtomicU32::from_ptr(self.mark_address().cast()) }
    }

    /// Makes sure that the payload can be accessed: in a forked child secret memory is missing, and zeros take its place.
    ///
    /// Something else at its address would be touched instead: then the process ends.
    pub(super) fn reach(&self) {
        if self.protection == Protection::SecretMemory && self.mark().load(Ordering::Acquire) != OURS {
            self.replace();
        }
    }

    #[cold]
    fn replace(&self) {
        loop {
            match self.mark().compare_exchange(0, REPLACING, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                Err(OURS | REPLACED) => return,
                Err(_) => std::thread::yield_now(),
            }
        }
        let payload = self.payload().as_ptr();
        let flags = MapFlags::PRIVATE | MapFlags::FIXED_NOREPLACE;
        // SAFETY: the kernel refuses if anything is mapped there by now, so no existing memory is touched.
        let put = unsafe { mmap_anonymous(payload.cast(), self.length, ProtFlags::READ | ProtFlags::WRITE, flags) };
        if put.is_ok_and(|at| std::ptr::eq(at.cast(), payload)) {
            // SAFETY: the range was mapped above. What cannot be locked here is no secret of the parent, but zeros.
            unsafe {
                madvise(payload.cast(), self.length, Advice::LinuxDontDump).ok();
                // Missing in its own children too, as the pages were that they stand for.
                madvise(payload.cast(), self.length, Advice::LinuxDontFork).ok();
                mlock(payload.cast(), self.length).ok();
            }
            self.mark().store(REPLACED, Ordering::Release);
        } else {
            std::process::abort();
        }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let whole = self.whole.as_ptr().cast();
        let gap = self.protection == Protection::SecretMemory && self.mark().load(Ordering::Acquire) == 0;
        let first = if gap { BEFORE } else { BEFORE + self.length + AFTER };
        // SAFETY: the reservation was made by `of` and is given back once; nothing refers to it any more. A forked child
        // that never accessed it has a gap in the middle, in which something else may lie by now: it is left out.
        let mut unmapped = unsafe { munmap(whole, first) };
        if gap {
            // SAFETY: the last page of the reservation, behind the gap.
            unmapped = unmapped.and(unsafe { munmap(self.payload().as_ptr().add(self.length).cast(), AFTER) });
        }
        debug_assert!(unmapped.is_ok(), "a mapping of our own can be removed");
    }
}
