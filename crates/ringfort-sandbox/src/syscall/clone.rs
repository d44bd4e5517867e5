// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starting a process with raw `clone`, so that namespaces are made in the same call.
//!
//! In: flags and what the child does. Out: the child's id and, where asked, a descriptor for it.
//!
//! **Invariant:** the child never returns into its parent's stack: it ends in `exit_group`, even when it unwinds.
//! A child that borrows its parent's memory has a stack of its own, and the parent stands still meanwhile.

use std::ffi::{c_int, c_long, c_void};
use std::os::fd::{FromRawFd, OwnedFd};

use super::{Answer, check, check_int, check_unit};

/// A process that was started.
pub(crate) struct Cloned {
    /// Its id as the caller sees it.
    pub(crate) pid: i32,
    /// A descriptor for it, if `CLONE_PIDFD` was given.
    pub(crate) pidfd: Option<OwnedFd>,
}

/// Ends the process when dropped; armed in the child only.
struct EndProcess;

impl Drop for EndProcess {
    fn drop(&mut self) {
        super::exit_process(EXIT_UNWOUND);
    }
}

/// Exit status of a child that unwound; a defect of ours, never the program's.
const EXIT_UNWOUND: u8 = 125;

/// Starts a process that runs `child` and ends with the status that it returns.
///
/// The caller blocks signals before, so that no handler of its own runs in the child.
pub(crate) fn clone_process(flags: u64, child: impl FnOnce() -> u8) -> Answer<Cloned> {
    let mut pidfd: c_int = -1;
    // SAFETY: without CLONE_VM the child gets a copy of the address space, and a null stack means that it goes on
    // with its copy of this one. `pidfd` outlives the call. The child calls `child` and leaves by `exit_group`.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_clone,
            flags | libc::SIGCHLD as u64,
            std::ptr::null_mut::<c_int>(),
            &raw mut pidfd,
            std::ptr::null_mut::<c_int>(),
            0 as c_long,
        )
    };
    if answer == 0 {
        let guard = EndProcess;
        let status = child();
        std::mem::forget(guard);
        super::exit_process(status);
    }
    #[expect(clippy::cast_possible_truncation, reason = "process ids are 32 bits wide")]
    let pid = check(answer)? as i32;
    // SAFETY: the kernel wrote a fresh descriptor, which nobody else owns.
    let pidfd = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
    Ok(Cloned { pid, pidfd })
}

/// Stack of a child that borrows its parent's memory, in bytes; used are a few pages of it.
const BORROWED_STACK_BYTES: usize = 256 << 10;
/// Below it lies a page that nobody can touch.
const GUARD_BYTES: usize = 4096;

/// Starts a process that runs `child` in the memory of this one, which stands still until the child has ended or become
/// another program. Nothing of the memory is copied, which is most of what a start costs otherwise.
///
/// Every signal is blocked, and this process has one thread.
pub(crate) fn clone_borrowing<F: FnOnce() -> u8>(child: F) -> Answer<i32> {
    extern "C" fn enter<F: FnOnce() -> u8>(argument: *mut c_void) -> c_int {
        // SAFETY: the argument is the `Option` below, which outlives the child's use of it: its owner stands still.
        let child = unsafe { argument.cast::<Option<F>>().as_mut() }.and_then(Option::take);
        let guard = EndProcess;
        let status = child.map_or(EXIT_UNWOUND, |child| child());
        std::mem::forget(guard);
        super::exit_process(status)
    }
    let mut child = Some(child);
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at a place that the kernel chooses.
    let base = unsafe { libc::mmap(std::ptr::null_mut(), BORROWED_STACK_BYTES, protection, kind, -1, 0) };
    if base == libc::MAP_FAILED {
        check(-1)?;
    }
    // SAFETY: the first page of the mapping just made, which nobody uses.
    check_unit(unsafe { libc::mprotect(base, GUARD_BYTES, libc::PROT_NONE) }.into())?;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the child gets the mapping as its stack, which grows down from its end (page-aligned). With CLONE_VFORK
    // the caller goes on only when the child has left this memory, so `child` and the mapping outlive its use of them.
    let answer =
        unsafe { libc::clone(enter::<F>, base.byte_add(BORROWED_STACK_BYTES), flags, (&raw mut child).cast()) };
    let started = check_int(answer.into());
    // SAFETY: the mapping is ours, and the child has left it.
    unsafe { libc::munmap(base, BORROWED_STACK_BYTES) };
    started
}
