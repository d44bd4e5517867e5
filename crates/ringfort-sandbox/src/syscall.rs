// SPDX-License-Identifier: MIT OR Apache-2.0
//! The only unsafe code of this crate: system calls as safe functions.
//!
//! In: borrowed C strings, slices and descriptor numbers. Out: the kernel's answer or an [`Errno`].
//!
//! **Invariant:** nothing here allocates, locks, panics or reads the environment, so every function may be called
//! between `clone` and `execve` in the copy of a process that had several threads.
//! What the calls mean for a cage is decided by the callers; nothing here is a policy.

mod clone;
mod confine;
mod exec;
mod file;
mod footprint;
mod fork;
mod inherit;
mod mount;
mod network;
mod notify;
mod process;
mod trace;

pub(crate) use self::clone::{clone_borrowing, clone_process};
pub(crate) use self::confine::*;
pub(crate) use self::exec::{ExecVectors, Variable};
pub(crate) use self::file::*;
pub(crate) use self::footprint::forget_code;
pub(crate) use self::fork::{LastWords, fork_process, set_last_words};
pub(crate) use self::inherit::duplicate;
pub(crate) use self::mount::*;
pub(crate) use self::network::*;
pub(crate) use self::notify::*;
pub(crate) use self::process::*;
pub(crate) use self::trace::*;

use std::ffi::c_long;
use std::io;

/// A system call's error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i32);

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.0)
    }
}

/// The result of a system call.
pub(crate) type Answer<T> = Result<T, Errno>;

/// Turns the C library's `-1` into the error number.
fn check(answer: c_long) -> Answer<c_long> {
    if answer == -1 {
        // SAFETY: `__errno_location` points to this thread's error number, which is always readable.
        Err(Errno(unsafe { *libc::__errno_location() }))
    } else {
        Ok(answer)
    }
}

/// As [`check`], for answers that are descriptors or process ids and therefore fit.
#[expect(clippy::cast_possible_truncation, reason = "the kernel answers descriptors and pids, which are 32 bits wide")]
fn check_int(answer: c_long) -> Answer<i32> {
    check(answer).map(|value| value as i32)
}

/// As [`check`], for answers that carry nothing.
fn check_unit(answer: c_long) -> Answer<()> {
    check(answer).map(|_| ())
}
