// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calls that only x86_64 has: the old forms of today's calls, ports, descriptor tables.
//!
//! In: nothing. Out: the tables that `groups` joins to those of every architecture.
//!
//! **Invariant:** an old form stands in the group of its new one, and arguments that are looked at in the new one are
//! looked at in the old one.

use std::ffi::c_long;

use libc::*;
use ringfort_core::syscalls::SyscallGroup;

/// `io_pgetevents`, which the C library's table lacks.
const IO_PGETEVENTS: c_long = 333;
/// Where a probe in the code returns to; the kernel itself puts it there and refuses it from anywhere else.
const URETPROBE: c_long = 335;

#[rustfmt::skip]
pub(super) const CALLS: super::Table = &[
    (SyscallGroup::BasicIo, &[SYS_dup2, SYS_pipe]),
    (SyscallGroup::Files, &[
        SYS_open, SYS_creat, SYS_stat, SYS_lstat, SYS_access, SYS_getdents, SYS_mkdir, SYS_rmdir, SYS_mknod, SYS_link,
        SYS_symlink, SYS_unlink, SYS_rename, SYS_renameat, SYS_readlink, SYS_chmod, SYS_chown, SYS_lchown, SYS_utime,
        SYS_utimes, SYS_futimesat,
    ]),
    (SyscallGroup::Events, &[
        SYS_poll, SYS_select, SYS_epoll_create, SYS_epoll_wait, SYS_eventfd, SYS_signalfd, SYS_inotify_init,
    ]),
    (SyscallGroup::Processes, &[SYS_fork, SYS_vfork, SYS_getpgrp, SYS_arch_prctl, URETPROBE]),
    (SyscallGroup::Signals, &[SYS_pause]),
    (SyscallGroup::Timers, &[SYS_time, SYS_alarm]),
    (SyscallGroup::Aio, &[IO_PGETEVENTS]),
];

#[rustfmt::skip]
pub(super) const REFUSED: &[c_long] = &[
    SYS_iopl, SYS_ioperm, SYS_modify_ldt, SYS_uselib, SYS_ustat, SYS_sysfs, SYS__sysctl, SYS_lookup_dcookie,
];
