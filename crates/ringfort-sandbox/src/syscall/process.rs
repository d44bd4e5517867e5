// SPDX-License-Identifier: MIT OR Apache-2.0
//! Processes, signals, terminals and messages.
//!
//! In: process ids, signal numbers, descriptors. Out: what happened to children, which descriptors are ready.
//!
//! **Invariant:** as the parent module: nothing allocates and nothing panics.

use std::ffi::{c_int, c_long, c_uint};
use std::os::fd::{FromRawFd, OwnedFd};

use super::{Answer, Errno, check, check_int, check_unit};

/// Ends the process at once, without handlers.
pub(crate) fn exit_process(status: u8) -> ! {
    loop {
        // SAFETY: `exit_group` does not return.
        unsafe { libc::syscall(libc::SYS_exit_group, c_int::from(status)) };
    }
}

#[expect(clippy::cast_possible_truncation, reason = "process ids are 32 bits wide")]
pub(crate) fn getpid() -> i32 {
    // SAFETY: no memory is passed and the call cannot fail.
    unsafe { libc::syscall(libc::SYS_getpid) as i32 }
}

#[expect(clippy::cast_possible_truncation, reason = "process ids are 32 bits wide")]
pub(crate) fn getppid() -> i32 {
    // SAFETY: no memory is passed and the call cannot fail.
    unsafe { libc::syscall(libc::SYS_getppid) as i32 }
}

#[expect(clippy::cast_possible_truncation, reason = "thread ids are 32 bits wide")]
pub(crate) fn gettid() -> i32 {
    // SAFETY: no memory is passed and the call cannot fail.
    unsafe { libc::syscall(libc::SYS_gettid) as i32 }
}

/// Effective user and group.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ids are 32 bits wide")]
pub(crate) fn effective_ids() -> (u32, u32) {
    // SAFETY: no memory is passed and the calls cannot fail.
    unsafe { (libc::syscall(libc::SYS_geteuid) as u32, libc::syscall(libc::SYS_getegid) as u32) }
}

pub(crate) fn umask(mask: u32) -> u32 {
    // SAFETY: no memory is passed and the call cannot fail.
    unsafe { libc::umask(mask) }
}

pub(crate) fn kill(pid: i32, signal: c_int) -> Answer<()> {
    // SAFETY: no memory is passed.
    check_unit(unsafe { libc::syscall(libc::SYS_kill, c_long::from(pid), c_long::from(signal)) })
}

/// A descriptor for a process, by its number.
pub(crate) fn pidfd_open(pid: i32) -> Answer<OwnedFd> {
    // SAFETY: no memory is passed.
    let descriptor = check_int(unsafe { libc::syscall(libc::SYS_pidfd_open, c_long::from(pid), 0 as c_long) })?;
    // SAFETY: the kernel answered with a fresh descriptor, which nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

pub(crate) fn pidfd_kill(pidfd: c_int, signal: c_int) -> Answer<()> {
    // SAFETY: the signal information may be null.
    check_unit(unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, std::ptr::null::<libc::siginfo_t>(), 0)
    })
}

pub(crate) fn setsid() -> Answer<()> {
    // SAFETY: no memory is passed.
    check_unit(unsafe { libc::syscall(libc::SYS_setsid) })
}

/// The session that this process belongs to.
pub(crate) fn session_of_self() -> Answer<i32> {
    // SAFETY: no memory is passed.
    check_int(unsafe { libc::syscall(libc::SYS_getsid, 0 as c_long) })
}

pub(crate) fn become_group_leader() -> Answer<()> {
    // SAFETY: no memory is passed.
    check_unit(unsafe { libc::syscall(libc::SYS_setpgid, 0 as c_long, 0 as c_long) })
}

/// Makes `terminal` the controlling terminal of this session.
pub(crate) fn take_terminal(terminal: c_int) -> Answer<()> {
    // SAFETY: this request takes a number.
    check_unit(unsafe { libc::syscall(libc::SYS_ioctl, terminal, libc::TIOCSCTTY, 0 as c_long) })
}

/// Puts a process group into the foreground of `terminal`; SIGTTOU has to be blocked.
pub(crate) fn set_foreground(terminal: c_int, group: i32) -> Answer<()> {
    // SAFETY: `group` outlives the call.
    check_unit(unsafe { libc::syscall(libc::SYS_ioctl, terminal, libc::TIOCSPGRP, &raw const group) })
}

/// A saved signal mask.
#[derive(Clone, Copy)]
pub(crate) struct SignalMask(u64);

/// Bytes of the kernel's signal set.
const SIGNAL_SET_BYTES: usize = 8;
/// Highest signal number of Linux.
const SIGNAL_MAX: c_int = 64;

fn change_mask(how: c_int, mask: u64) -> Answer<SignalMask> {
    let mut old = 0_u64;
    // SAFETY: both sets outlive the call and have the size that is passed.
    check_unit(unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, how, &raw const mask, &raw mut old, SIGNAL_SET_BYTES)
    })?;
    Ok(SignalMask(old))
}

/// Blocks every signal of this thread and returns what was blocked before.
pub(crate) fn block_all_signals() -> Answer<SignalMask> {
    change_mask(libc::SIG_SETMASK, u64::MAX)
}

pub(crate) fn restore_signals(mask: SignalMask) -> Answer<()> {
    change_mask(libc::SIG_SETMASK, mask.0).map(|_| ())
}

/// No signal is blocked from here on.
pub(crate) fn unblock_signals() -> Answer<()> {
    restore_signals(SignalMask(0))
}

/// Every signal gets its default action; what is blocked stays blocked.
///
/// Numbers that the C library keeps for itself are included, hence the raw call.
pub(crate) fn default_actions() -> Answer<()> {
    #[repr(C)]
    struct KernelAction {
        handler: usize,
        flags: u64,
        restorer: usize,
        mask: u64,
    }
    let default = KernelAction { handler: libc::SIG_DFL, flags: 0, restorer: 0, mask: 0 };
    for signal in 1..=SIGNAL_MAX {
        if signal == libc::SIGKILL || signal == libc::SIGSTOP {
            continue;
        }
        // SAFETY: the action outlives the call; SIG_DFL needs no restorer.
        check_unit(unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                &raw const default,
                std::ptr::null_mut::<KernelAction>(),
                SIGNAL_SET_BYTES,
            )
        })?;
    }
    Ok(())
}

/// A descriptor that becomes readable when a child changes its state; SIGCHLD has to be blocked.
pub(crate) fn child_signal_fd() -> Answer<c_int> {
    let mask = 1_u64 << (libc::SIGCHLD - 1);
    // SAFETY: the set outlives the call and has the size that is passed.
    check_int(unsafe {
        libc::syscall(
            libc::SYS_signalfd4,
            -1 as c_long,
            &raw const mask,
            SIGNAL_SET_BYTES,
            libc::SFD_CLOEXEC | libc::SFD_NONBLOCK,
        )
    })
}

/// Waits until one of the descriptors is readable or closed; `None` waits for ever. Milliseconds.
pub(crate) fn poll_readable<const N: usize>(descriptors: [c_int; N], wait_ms: Option<u32>) -> Answer<[bool; N]> {
    let mut polls = descriptors.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    let wait =
        wait_ms.map(|ms| libc::timespec { tv_sec: i64::from(ms / 1000), tv_nsec: i64::from(ms % 1000) * 1_000_000 });
    let wait_pointer = wait.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `polls` has N elements; the time and the signal set may be null.
    let answer = check(unsafe {
        libc::syscall(libc::SYS_ppoll, polls.as_mut_ptr(), N, wait_pointer, std::ptr::null::<u64>(), SIGNAL_SET_BYTES)
    });
    match answer {
        Ok(_) => Ok(polls.map(|poll| poll.revents != 0)),
        Err(Errno(libc::EINTR)) => Ok([false; N]),
        Err(errno) => Err(errno),
    }
}

/// What a child did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChildChange {
    Exited(i32),
    Signaled(i32),
    Stopped(i32),
    Continued,
}

/// Which children to wait for.
#[derive(Clone, Copy)]
pub(crate) enum Which {
    Any,
    One(i32),
}

/// Whether to wait for a change or only to look.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    Wait,
    Look,
}

/// The next change of a child, with its process id; `None` when there is none yet. Ends are reaped.
pub(crate) fn wait_child(which: Which, patience: Patience) -> Answer<Option<(i32, ChildChange)>> {
    // SAFETY: all-zero bytes are a valid `siginfo_t`.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let (kind, id) = match which {
        Which::Any => (libc::P_ALL, 0),
        Which::One(pid) => (libc::P_PID, pid),
    };
    let look = if patience == Patience::Look { libc::WNOHANG } else { 0 };
    let stops = if matches!(which, Which::Any) { libc::WSTOPPED | libc::WCONTINUED } else { 0 };
    loop {
        // SAFETY: `info` is writable; the resource usage may be null.
        let answer = check(unsafe {
            libc::syscall(
                libc::SYS_waitid,
                c_long::from(kind),
                c_long::from(id),
                &raw mut info,
                c_long::from(libc::WEXITED | stops | look),
                std::ptr::null::<libc::rusage>(),
            )
        });
        match answer {
            Err(Errno(libc::EINTR)) => {}
            Err(errno) => return Err(errno),
            Ok(_) => break,
        }
    }
    // SAFETY: `waitid` filled in the fields of a child's change, or left them zero.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    let change = match info.si_code {
        libc::CLD_EXITED => ChildChange::Exited(status),
        libc::CLD_KILLED | libc::CLD_DUMPED => ChildChange::Signaled(status),
        libc::CLD_STOPPED | libc::CLD_TRAPPED => ChildChange::Stopped(status),
        libc::CLD_CONTINUED => ChildChange::Continued,
        _ => return Ok(None),
    };
    Ok((pid != 0).then_some((pid, change)))
}

/// Sends one message; never raises SIGPIPE.
pub(crate) fn send(socket: c_int, message: &[u8], patience: Patience) -> Answer<()> {
    let look = if patience == Patience::Look { libc::MSG_DONTWAIT } else { 0 };
    // SAFETY: the message is readable for its length; no address is given.
    check_unit(unsafe {
        libc::syscall(
            libc::SYS_sendto,
            socket,
            message.as_ptr(),
            message.len(),
            libc::MSG_NOSIGNAL | look,
            std::ptr::null::<u8>(),
            0,
        )
    })
}

/// Receives one message; 0 means that the other side is gone.
pub(crate) fn receive(socket: c_int, buffer: &mut [u8], patience: Patience) -> Answer<usize> {
    let look = if patience == Patience::Look { libc::MSG_DONTWAIT } else { 0 };
    // SAFETY: the buffer is writable for its length; no address is wanted.
    #[expect(clippy::cast_sign_loss, reason = "the answer was checked against -1")]
    check(unsafe {
        libc::syscall(
            libc::SYS_recvfrom,
            socket,
            buffer.as_mut_ptr(),
            buffer.len(),
            look,
            std::ptr::null_mut::<u8>(),
            std::ptr::null_mut::<u32>(),
        )
    })
    .map(|n| n as usize)
}

/// Sets the soft and the hard limit of a resource to the smaller of `value` and what is allowed.
pub(crate) fn limit_resource(resource: c_uint, value: u64) -> Answer<()> {
    let mut old = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `old` is writable and no new limit is given.
    check_unit(unsafe {
        libc::syscall(libc::SYS_prlimit64, 0 as c_long, resource, std::ptr::null::<libc::rlimit64>(), &raw mut old)
    })?;
    let value = value.min(old.rlim_max);
    let new = libc::rlimit64 { rlim_cur: value, rlim_max: value };
    // SAFETY: `new` outlives the call and the old limit is not wanted.
    check_unit(unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0 as c_long,
            resource,
            &raw const new,
            std::ptr::null_mut::<libc::rlimit64>(),
        )
    })
}

/// The calling thread waits for others a little before it runs.
pub(crate) fn schedule_in_batches() -> Answer<()> {
    let parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: `parameter` outlives the call, which only reads it.
    check_unit(unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0 as c_long, libc::SCHED_BATCH, &raw const parameter) })
}

/// Opens a socket, for the probes that expect to be refused.
pub(crate) fn socket(family: c_int, kind: c_int, protocol: c_int) -> Answer<c_int> {
    // SAFETY: no memory is passed.
    check_int(unsafe { libc::syscall(libc::SYS_socket, family, kind | libc::SOCK_CLOEXEC, protocol) })
}
