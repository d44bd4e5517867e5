// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tracing: standing at the place where a process has become another program and has not run yet.
//!
//! In: process ids of children. Out: what they were stopped at.
//!
//! **Invariant:** as the parent module: nothing allocates. A traced process dies with its tracer, and so does everything
//! that it has started since.

use std::ffi::{c_int, c_long};

use super::{Answer, check, check_unit};

/// Events of children that are traced, and the end of the tracer ends them.
const OPTIONS: c_int = libc::PTRACE_O_EXITKILL
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACECLONE;

/// What became of a traced process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Traced {
    /// It ended with this status.
    Exited(i32),
    /// It was ended by this signal.
    Signaled(i32),
    /// It has become another program, whose first instruction comes next.
    Executed,
    /// It has started another process.
    Started,
    /// It is a process that was just started, or its group goes on after a stop.
    Resumed,
    /// Its group was stopped by this signal.
    GroupStopped(i32),
    /// This signal is about to be delivered to it.
    Signal(i32),
}

impl Traced {
    /// Reads the status that `wait4` gives.
    fn of(status: c_int) -> Self {
        const EVENT_SHIFT: c_int = 16;
        if libc::WIFEXITED(status) {
            return Self::Exited(libc::WEXITSTATUS(status));
        }
        if libc::WIFSIGNALED(status) {
            return Self::Signaled(libc::WTERMSIG(status));
        }
        let signal = libc::WSTOPSIG(status);
        match status >> EVENT_SHIFT {
            0 => Self::Signal(signal),
            libc::PTRACE_EVENT_EXEC => Self::Executed,
            libc::PTRACE_EVENT_STOP
                if matches!(signal, libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU) =>
            {
                Self::GroupStopped(signal)
            }
            libc::PTRACE_EVENT_STOP => Self::Resumed,
            _ => Self::Started,
        }
    }
}

fn ptrace(request: u32, pid: i32, data: c_long) -> Answer<()> {
    // SAFETY: the requests of this module take numbers, no memory.
    check_unit(unsafe { libc::syscall(libc::SYS_ptrace, c_long::from(request), c_long::from(pid), 0 as c_long, data) })
}

/// Begins to trace a child, and everything that it will start.
pub(crate) fn trace(pid: i32) -> Answer<()> {
    ptrace(libc::PTRACE_SEIZE, pid, c_long::from(OPTIONS))
}

/// Lets a stopped process go on, with `signal` unless it is 0.
pub(crate) fn go_on(pid: i32, signal: i32) -> Answer<()> {
    ptrace(libc::PTRACE_CONT, pid, c_long::from(signal))
}

/// Leaves a process stopped until its group goes on.
pub(crate) fn stay_stopped(pid: i32) -> Answer<()> {
    ptrace(libc::PTRACE_LISTEN, pid, 0)
}

/// What happened to any child or traced process, without waiting.
#[expect(clippy::cast_possible_truncation, reason = "process ids are 32 bits wide")]
pub(crate) fn next_traced() -> Answer<Option<(i32, Traced)>> {
    let mut status: c_int = 0;
    let options = c_long::from(libc::WNOHANG | libc::__WALL);
    // SAFETY: `status` is writable and no usage is wanted.
    let pid = check(unsafe {
        libc::syscall(libc::SYS_wait4, -1 as c_long, &raw mut status, options, std::ptr::null_mut::<u8>())
    })?;
    Ok((pid != 0).then(|| (pid as i32, Traced::of(status))))
}

/// Both ends of a pipe, closed at `execve`.
pub(crate) fn pipe() -> Answer<[c_int; 2]> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` has room for two descriptors.
    check_unit(unsafe { libc::syscall(libc::SYS_pipe2, ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    Ok(ends)
}
