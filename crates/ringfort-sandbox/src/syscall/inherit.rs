// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptors that this process was given by whoever started it.

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};

/// A copy of descriptor `number`, closed on exec.
pub(crate) fn duplicate(number: i32) -> io::Result<OwnedFd> {
    // SAFETY: `fcntl` with F_DUPFD_CLOEXEC takes numbers only; a number that is not open is answered by EBADF.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 4) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made `copy`, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}
