// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which system calls each group holds, and which are refused by name.
//!
//! In: nothing. Out: tables of numbers; those of one architecture only are in a file of their own.
//!
//! **Invariant:** a call stands in one place only. One that stands nowhere does not exist inside: it answers ENOSYS, as
//! on a kernel that is older than the call. A refused one answers EPERM, because programs expect it to exist.

use std::ffi::c_long;

use libc::*;
use ringfort_core::syscalls::SyscallGroup;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
use self::aarch64 as here;
#[cfg(target_arch = "x86_64")]
use self::x86_64 as here;

/// Calls of a group, on every architecture.
type Table = &'static [(SyscallGroup, &'static [c_long])];

/// Every group with its calls.
pub(super) fn groups() -> impl Iterator<Item = (SyscallGroup, &'static [c_long])> {
    EVERYWHERE.iter().chain(here::CALLS).copied()
}

/// Every call that answers EPERM whatever a profile says.
pub(super) fn refused() -> impl Iterator<Item = c_long> {
    REFUSED.iter().chain(here::REFUSED).copied()
}

// Numbers of newer calls, which are the same on every architecture; the C library's table lacks some of them.
const CACHESTAT: c_long = 451;
pub(super) const FCHMODAT2: c_long = 452;
const MAP_SHADOW_STACK: c_long = 453;
const FUTEX_WAKE_NEW: c_long = 454;
const FUTEX_WAIT_NEW: c_long = 455;
const FUTEX_REQUEUE_NEW: c_long = 456;
const STATMOUNT: c_long = 457;
const LISTMOUNT: c_long = 458;
const LSM_GET_SELF_ATTR: c_long = 459;
const LSM_SET_SELF_ATTR: c_long = 460;
const LSM_LIST_MODULES: c_long = 461;
const MSEAL: c_long = 462;
const SETXATTRAT: c_long = 463;
const GETXATTRAT: c_long = 464;
const LISTXATTRAT: c_long = 465;
const REMOVEXATTRAT: c_long = 466;
const OPEN_TREE_ATTR: c_long = 467;
const FILE_GETATTR: c_long = 468;
const FILE_SETATTR: c_long = 469;

/// The newest call that was judged for this filter (`file_setattr`, Linux 6.17).
pub(super) const NUMBER_MAX: u32 = FILE_SETATTR as u32;

#[rustfmt::skip]
const EVERYWHERE: Table = &[
    (SyscallGroup::BasicIo, &[
        SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv, SYS_pwritev, SYS_preadv2,
        SYS_pwritev2, SYS_lseek, SYS_close, SYS_close_range, SYS_dup, SYS_dup3, SYS_fcntl, SYS_ioctl, SYS_pipe2,
        SYS_sendfile, SYS_splice, SYS_tee, SYS_vmsplice, SYS_copy_file_range, SYS_fsync, SYS_fdatasync,
        SYS_sync_file_range, SYS_readahead, SYS_fadvise64, CACHESTAT,
    ]),
    (SyscallGroup::Files, &[
        SYS_openat, SYS_newfstatat, SYS_fstat, SYS_statx, SYS_faccessat, SYS_faccessat2, SYS_getdents64,
        SYS_mkdirat, SYS_mknodat, SYS_linkat, SYS_symlinkat, SYS_unlinkat, SYS_renameat2, SYS_readlinkat, SYS_getcwd,
        SYS_chdir, SYS_fchdir, SYS_truncate, SYS_ftruncate, SYS_fallocate, SYS_flock, SYS_sync, SYS_syncfs, SYS_umask,
        SYS_fchmod, SYS_fchmodat, FCHMODAT2, SYS_fchown, SYS_fchownat, SYS_utimensat, SYS_statfs, SYS_fstatfs,
        SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr, SYS_getxattr, SYS_lgetxattr, SYS_fgetxattr, SYS_listxattr,
        SYS_llistxattr, SYS_flistxattr, SYS_removexattr, SYS_lremovexattr, SYS_fremovexattr, SETXATTRAT, GETXATTRAT,
        LISTXATTRAT, REMOVEXATTRAT, FILE_GETATTR, FILE_SETATTR, STATMOUNT, LISTMOUNT,
    ]),
    (SyscallGroup::Events, &[
        SYS_ppoll, SYS_pselect6, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, SYS_epoll_pwait2, SYS_eventfd2,
        SYS_signalfd4, SYS_inotify_init1, SYS_inotify_add_watch, SYS_inotify_rm_watch,
    ]),
    (SyscallGroup::Memory, &[
        SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_msync, SYS_mincore, SYS_madvise, SYS_brk, SYS_mlock,
        SYS_mlock2, SYS_munlock, SYS_mlockall, SYS_munlockall, SYS_remap_file_pages, SYS_memfd_create,
        SYS_memfd_secret, SYS_get_mempolicy, SYS_pkey_alloc, SYS_pkey_free, SYS_pkey_mprotect, MAP_SHADOW_STACK, MSEAL,
    ]),
    (SyscallGroup::Processes, &[
        SYS_clone, SYS_execve, SYS_execveat, SYS_exit, SYS_exit_group, SYS_wait4, SYS_waitid, SYS_getpid, SYS_getppid,
        SYS_gettid, SYS_setpgid, SYS_getpgid, SYS_setsid, SYS_getsid, SYS_getrlimit, SYS_setrlimit, SYS_prlimit64,
        SYS_getrusage, SYS_times, SYS_prctl, SYS_personality, SYS_unshare, SYS_uname, SYS_sysinfo, SYS_getrandom,
        SYS_getcpu, SYS_pidfd_open, SYS_pidfd_send_signal, SYS_set_tid_address,
    ]),
    (SyscallGroup::Sync, &[
        SYS_futex, SYS_futex_waitv, FUTEX_WAKE_NEW, FUTEX_WAIT_NEW, FUTEX_REQUEUE_NEW, SYS_set_robust_list,
        SYS_get_robust_list, SYS_membarrier, SYS_rseq, SYS_restart_syscall,
    ]),
    (SyscallGroup::Signals, &[
        SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending, SYS_rt_sigtimedwait,
        SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo, SYS_rt_sigsuspend, SYS_sigaltstack, SYS_kill, SYS_tkill,
        SYS_tgkill,
    ]),
    (SyscallGroup::Timers, &[
        SYS_nanosleep, SYS_clock_nanosleep, SYS_clock_gettime, SYS_clock_getres, SYS_gettimeofday, SYS_getitimer,
        SYS_setitimer, SYS_timer_create, SYS_timer_settime, SYS_timer_gettime, SYS_timer_getoverrun, SYS_timer_delete,
        SYS_timerfd_create, SYS_timerfd_settime, SYS_timerfd_gettime,
    ]),
    (SyscallGroup::Identity, &[
        SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getresuid, SYS_getresgid, SYS_getgroups, SYS_setuid,
        SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid, SYS_setresgid, SYS_setfsuid, SYS_setfsgid,
        SYS_setgroups, SYS_capget, SYS_capset,
    ]),
    (SyscallGroup::Scheduling, &[
        SYS_sched_yield, SYS_sched_getparam, SYS_sched_setparam, SYS_sched_getscheduler, SYS_sched_setscheduler,
        SYS_sched_getattr, SYS_sched_setattr, SYS_sched_getaffinity, SYS_sched_setaffinity,
        SYS_sched_get_priority_max, SYS_sched_get_priority_min, SYS_sched_rr_get_interval, SYS_getpriority,
        SYS_setpriority, SYS_ioprio_get, SYS_ioprio_set,
    ]),
    (SyscallGroup::Ipc, &[
        SYS_shmget, SYS_shmat, SYS_shmctl, SYS_shmdt, SYS_semget, SYS_semop, SYS_semtimedop, SYS_semctl, SYS_msgget,
        SYS_msgsnd, SYS_msgrcv, SYS_msgctl, SYS_mq_open, SYS_mq_unlink, SYS_mq_timedsend, SYS_mq_timedreceive,
        SYS_mq_notify, SYS_mq_getsetattr,
    ]),
    (SyscallGroup::Network, &[
        SYS_socket, SYS_socketpair, SYS_bind, SYS_connect, SYS_listen, SYS_accept, SYS_accept4, SYS_getsockname,
        SYS_getpeername, SYS_getsockopt, SYS_setsockopt, SYS_sendto, SYS_sendmsg, SYS_sendmmsg, SYS_recvfrom,
        SYS_recvmsg, SYS_recvmmsg, SYS_shutdown,
    ]),
    (SyscallGroup::Aio, &[
        SYS_io_setup, SYS_io_destroy, SYS_io_submit, SYS_io_cancel, SYS_io_getevents,
    ]),
    (SyscallGroup::Confinement, &[
        SYS_seccomp, SYS_landlock_create_ruleset, SYS_landlock_add_rule, SYS_landlock_restrict_self,
        LSM_GET_SELF_ATTR, LSM_LIST_MODULES,
    ]),
    // Tracing needs equal users, an equal or inner Landlock domain and a traced process that may be dumped: neither the
    // keeper nor anything outside is one.
    (SyscallGroup::Debug, &[
        SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp,
    ]),
];

/// Calls that answer EPERM, with what they would open.
#[rustfmt::skip]
const REFUSED: &[c_long] = &[
    // Mounts and roots: the view of the cage is made of them.
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_move_mount, SYS_open_tree, SYS_fsopen, SYS_fsconfig,
    SYS_fsmount, SYS_fspick, SYS_mount_setattr, OPEN_TREE_ATTR, SYS_swapon, SYS_swapoff, SYS_quotactl,
    SYS_quotactl_fd,
    // Namespaces of others.
    SYS_setns,
    // Other processes: their memory, their descriptors.
    SYS_process_madvise, SYS_process_mrelease, SYS_pidfd_getfd,
    // Kernel interfaces with a long record of faults, useless without rights or beyond any other filter.
    SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register,
    SYS_fanotify_init, SYS_fanotify_mark,
    // Key rings are shared by everything that the user runs.
    SYS_add_key, SYS_request_key, SYS_keyctl,
    // Files by handle pass by every path.
    SYS_name_to_handle_at, SYS_open_by_handle_at,
    // The machine: modules, restart, clock, log, names, accounting.
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_kexec_file_load, SYS_reboot, SYS_syslog,
    SYS_acct, SYS_settimeofday, SYS_clock_settime, SYS_clock_adjtime, SYS_adjtimex, SYS_sethostname,
    SYS_setdomainname, SYS_vhangup, SYS_nfsservctl, LSM_SET_SELF_ATTR,
    // Placement of memory, of oneself and of others.
    SYS_mbind, SYS_set_mempolicy, SYS_set_mempolicy_home_node, SYS_migrate_pages, SYS_move_pages,
];
