// SPDX-License-Identifier: MIT OR Apache-2.0
//! A copy of this process, and the last words of one that is ended by a signal.
//!
//! In: what the copy does; what is to be said and with which status. Out: the copy's process id.
//!
//! **Invariant:** only a process with a single thread is copied, so the copy may do whatever this process may; it never
//! returns into its parent's stack. The handler makes three system calls and touches nothing else.

use std::ffi::c_int;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::{Answer, Errno, check_int};

/// What is said when a signal ends this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastWords {
    /// For standard output.
    pub(crate) stdout: &'static [u8],
    /// For standard error.
    pub(crate) stderr: &'static [u8],
    /// The exit status.
    pub(crate) status: u8,
}

/// Exit status of a copy that unwound.
const EXIT_UNWOUND: u8 = 125;

/// Signals by which a process ends that can still say something.
const ENDINGS: [c_int; 8] = [
    libc::SIGABRT,
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGHUP,
    libc::SIGQUIT,
    libc::SIGALRM,
    libc::SIGXCPU,
    libc::SIGXFSZ,
];

/// Null, or words that were leaked: they live as long as the process.
static LAST_WORDS: AtomicPtr<LastWords> = AtomicPtr::new(std::ptr::null_mut());

extern "C" fn say_last_words(_signal: c_int) {
    // SAFETY: the pointer is null or was leaked by `set_last_words`, which never takes anything back.
    let Some(words) = (unsafe { LAST_WORDS.load(Ordering::Acquire).as_ref() }) else {
        super::exit_process(EXIT_UNWOUND)
    };
    for (number, text) in [(libc::STDOUT_FILENO, words.stdout), (libc::STDERR_FILENO, words.stderr)] {
        // SAFETY: the text is readable for its length and lives as long as the process.
        unsafe { libc::write(number, text.as_ptr().cast(), text.len()) };
    }
    super::exit_process(words.status);
}

/// From here on this process says `words` and ends with their status when a signal would end it.
///
/// Each call leaks its words: call it a few times, not many.
pub(crate) fn set_last_words(words: LastWords) -> Answer<()> {
    LAST_WORDS.store(Box::leak(Box::new(words)), Ordering::Release);
    for signal in ENDINGS {
        // SAFETY: all-zero bytes are a valid `sigaction`.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = say_last_words as *const () as usize;
        // SAFETY: the action outlives the call; the old one is not wanted. The handler only makes system calls.
        check_int(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) }.into())?;
    }
    Ok(())
}

/// Starts a copy of this process that runs `child` and ends with the status that it returns.
///
/// # Errors
///
/// `EBUSY`: this process has other threads; nothing was started.
pub(crate) fn fork_process(child: impl FnOnce() -> u8) -> Answer<i32> {
    if !is_single_threaded() {
        return Err(Errno(libc::EBUSY));
    }
    // SAFETY: this is the only thread, so no lock is held by another and the copy may go on as this process could. It
    // leaves by `exit_group`, also when it unwinds.
    let answer = unsafe { libc::fork() };
    if answer == 0 {
        let status = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
        super::exit_process(status.unwrap_or(EXIT_UNWOUND));
    }
    check_int(answer.into())
}

/// Whether this process has one thread: its folder of threads has a link for itself, its parent and each thread.
fn is_single_threaded() -> bool {
    // SAFETY: all-zero bytes are a valid `stat`.
    let mut status: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the path is a C string and `status` is writable.
    let answer = unsafe { libc::stat(c"/proc/self/task".as_ptr(), &raw mut status) };
    answer == 0 && status.st_nlink == 3
}
