// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starting a process with raw `clone`, so that namespaces are made in the same call.
//!
//! In: flags and what the child does. Out: the child's id and, where asked, a descriptor for it.
//!
//! **Invariant:** the child never returns into its parent's stack: it ends in `exit_group`, even when it unwinds.

use std::ffi::{c_int, c_long};
use std::os::fd::{FromRawFd, OwnedFd};

use super::{Answer, check};

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
