// SPDX-License-Identifier: MIT OR Apache-2.0
//! The socket that a cage inherits, as seen from inside it.
//!
//! In: the number of a descriptor. Out: a copy of it, if it is an open socket.
//!
//! **Invariant:** the descriptor itself stays open for programs that are started later; a number that is not open, or
//! is anything but a socket, is `None`.

use std::os::fd::OwnedFd;

use rustix::fs::{FileType, fstat};

use crate::syscall;

/// A copy of the inherited socket at `number`.
pub fn socket(number: i32) -> Option<OwnedFd> {
    let copy = syscall::duplicate(number).ok()?;
    let status = fstat(&copy).ok()?;
    (FileType::from_raw_mode(status.st_mode) == FileType::Socket).then_some(copy)
}
