// SPDX-License-Identifier: MIT OR Apache-2.0
//! System calls that are carried out by the supervisor: the filter stops them and tells, and an answer takes their place.
//!
//! In: a filter whose calls are told about, then a listener. Out: who calls with which arguments, their memory, answers.
//!
//! **Invariant:** a call that was told about is never let through to the kernel: it gets an error number or a success
//! that somebody else has brought about. What is read of the caller's memory is a copy; the caller may change the
//! original at any time, so whoever acts uses the copy only.

use std::ffi::{c_int, c_long};
use std::os::fd::{AsRawFd as _, OwnedFd};

use super::confine::Instruction;
use super::{Answer, Errno, check, check_unit};

/// `SECCOMP_IOCTL_NOTIF_*` of the kernel's header: direction, size, letter, number.
const fn request(direction: u64, bytes: usize, number: u64) -> u64 {
    direction << 30 | (bytes as u64) << 16 | 0x21 << 8 | number
}
const READS_AND_WRITES: u64 = 3;
const WRITES: u64 = 1;
const RECEIVE: u64 = request(READS_AND_WRITES, size_of::<libc::seccomp_notif>(), 0);
const ANSWER: u64 = request(READS_AND_WRITES, size_of::<libc::seccomp_notif_resp>(), 1);
const IS_VALID: u64 = request(WRITES, size_of::<u64>(), 2);
const ADD_DESCRIPTOR: u64 = request(WRITES, size_of::<libc::seccomp_notif_addfd>(), 3);

/// The kernel closes what stood at the number.
const REPLACE: u32 = 1; // SECCOMP_ADDFD_FLAG_SETFD

/// Installs a filter and returns the descriptor by which the calls that it tells about are taken; it is closed at
/// `execve`. Where the kernel can, a caller that waits for an answer is disturbed by deadly signals only.
pub(crate) fn install_telling_filter(program: &[Instruction]) -> Answer<c_int> {
    let listener = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    match super::confine::install_filter_with(program, listener | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
        Err(Errno(libc::EINVAL)) => super::confine::install_filter_with(program, listener),
        answer => answer,
    }
}

/// A call that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    /// Names it at the listener.
    pub(crate) id: u64,
    /// The thread that calls, as seen here; 0 where it is not seen.
    pub(crate) thread: u32,
    /// The call's number.
    pub(crate) number: c_int,
    /// Its arguments.
    pub(crate) arguments: [u64; 6],
}

/// Takes the next call that waits. Ask for readiness first: this waits where there is none.
pub(crate) fn next_told(listener: &OwnedFd) -> Answer<Told> {
    // SAFETY: all-zero bytes are a valid structure, and the kernel wants them.
    let mut notice: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: `notice` has the size that the request names, and outlives the call.
    check_unit(unsafe { libc::syscall(libc::SYS_ioctl, listener.as_raw_fd(), RECEIVE, &raw mut notice) })?;
    Ok(Told { id: notice.id, thread: notice.pid, number: notice.data.nr, arguments: notice.data.args })
}

/// Whether the call still waits, so that its thread is the one that was named.
pub(crate) fn still_waits(listener: &OwnedFd, id: u64) -> bool {
    // SAFETY: `id` outlives the call, which only reads it.
    check_unit(unsafe { libc::syscall(libc::SYS_ioctl, listener.as_raw_fd(), IS_VALID, &raw const id) }).is_ok()
}

/// Ends the wait of a call: success, with 0 as its result, or an error.
pub(crate) fn answer_told(listener: &OwnedFd, id: u64, answer: Answer<()>) -> Answer<()> {
    let error = answer.err().map_or(0, |Errno(number)| number.saturating_neg());
    let answer = libc::seccomp_notif_resp { id, val: 0, error, flags: 0 };
    // SAFETY: `answer` has the size that the request names, and outlives the call.
    check_unit(unsafe { libc::syscall(libc::SYS_ioctl, listener.as_raw_fd(), ANSWER, &raw const answer) })
}

/// Puts a copy of `descriptor` into the caller's table at `number`, in place of what stands there.
pub(crate) fn replace_descriptor(
    listener: &OwnedFd,
    id: u64,
    descriptor: &OwnedFd,
    number: u32,
    closed_at_exec: bool,
) -> Answer<()> {
    let place = libc::seccomp_notif_addfd {
        id,
        flags: REPLACE,
        srcfd: descriptor.as_raw_fd().unsigned_abs(),
        newfd: number,
        newfd_flags: if closed_at_exec { libc::O_CLOEXEC as u32 } else { 0 },
    };
    // SAFETY: `place` has the size that the request names, and outlives the call.
    check_unit(unsafe { libc::syscall(libc::SYS_ioctl, listener.as_raw_fd(), ADD_DESCRIPTOR, &raw const place) })
}

/// Copies memory of another thread's process; fewer bytes than the buffer has where the rest is not mapped.
pub(crate) fn read_memory(thread: u32, address: u64, buffer: &mut [u8]) -> Answer<usize> {
    let Ok(length) = usize::try_from(address) else { return Err(Errno(libc::EFAULT)) };
    let remote = libc::iovec { iov_base: std::ptr::without_provenance_mut(length), iov_len: buffer.len() };
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let (one, flags): (c_long, c_long) = (1, 0);
    // SAFETY: the local part is `buffer`, which outlives the call; the remote one is read in the other process.
    let read = check(unsafe {
        libc::syscall(
            libc::SYS_process_vm_readv,
            c_long::from(thread),
            &raw const local,
            one,
            &raw const remote,
            one,
            flags,
        )
    })?;
    Ok(usize::try_from(read).unwrap_or(0))
}
