// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calls that aarch64 has under a number of its own.
//!
//! In: nothing. Out: the tables that `groups` joins to those of every architecture.
//!
//! **Invariant:** none of the old forms exists here, so the list of additions is short.

use std::ffi::c_long;

use ringfort_core::syscalls::SyscallGroup;

/// `lookup_dcookie`, which the C library's table lacks.
const LOOKUP_DCOOKIE: c_long = 18;
/// `renameat`, superseded by `renameat2` and still there.
const RENAMEAT: c_long = 38;
/// `io_pgetevents`.
const IO_PGETEVENTS: c_long = 292;

pub(super) const CALLS: super::Table = &[(SyscallGroup::Files, &[RENAMEAT]), (SyscallGroup::Aio, &[IO_PGETEVENTS])];

pub(super) const REFUSED: &[c_long] = &[LOOKUP_DCOOKIE];
