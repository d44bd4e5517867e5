// SPDX-License-Identifier: MIT OR Apache-2.0
//! A judge in a process of its own, so that its death is an answer too.
//!
//! In: what judges, how long it may take, and the last words of this process. Out: the whole answer of the judge, or
//! why there is none.
//!
//! **Invariant:** an answer counts only if every byte of it has come and nothing came after it; a judge that dies,
//! stops, hangs, panics or runs out of memory gives none, and is killed. After the copy was made this process allocates
//! nothing until it has the answer. What no answer means is decided by the caller; it must be a denial.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::syscall::{self, LastWords};

/// Largest answer, in bytes of both streams.
pub const ANSWER_BYTES_MAX: usize = 1 << 20;
/// What stands before an answer: its mark, the status, the lengths of both streams.
const HEAD_BYTES: usize = MARK.len() + 1 + 4 + 4;
/// Size of the buffer that [`judge`] needs: the largest answer, what stands around it, and one byte to see that it ends.
pub const BUFFER_BYTES: usize = ANSWER_BYTES_MAX + HEAD_BYTES + END.len() + 1;
/// Begins every answer.
const MARK: &[u8] = b"ringfort-answer-1\n";
/// Ends every answer.
const END: &[u8] = b"\nend\n";
/// Longest time that is waited at once; longer waits are made of several. Milliseconds.
const POLL_MS_MAX: u128 = 60_000;

/// What is to be written to the caller's streams, and the status to end with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// For standard output.
    pub stdout: Vec<u8>,
    /// For standard error.
    pub stderr: Vec<u8>,
    /// The exit status.
    pub status: u8,
}

/// An answer as it lies in the buffer of [`judge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said<'a> {
    /// For standard output.
    pub stdout: &'a [u8],
    /// For standard error.
    pub stderr: &'a [u8],
    /// The exit status.
    pub status: u8,
}

/// Why there is no answer. The judge has been killed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoAnswer {
    /// The judge could not be started, or not be waited for.
    #[error("the judging process cannot be started or waited for")]
    System(#[source] io::Error),
    /// The judge ended without a whole answer.
    #[error("the judging process ended without a whole answer")]
    Broken,
    /// The judge took too long, or was stopped.
    #[error("the judging process gave no answer in time")]
    TimedOut,
}

/// The judge's side: gives one answer.
#[derive(Debug)]
pub struct Judge {
    pipe: OwnedFd,
}

impl Judge {
    /// Gives the answer. From here on the judge outlives its caller, which has what it waited for: to make the record
    /// durable, no more.
    ///
    /// # Errors
    ///
    /// The caller has no whole answer, and denies.
    pub fn answer(self, answer: &Answer) -> io::Result<()> {
        let Answer { stdout, stderr, status } = answer;
        if stdout.len().saturating_add(stderr.len()) > ANSWER_BYTES_MAX {
            return Err(io::Error::other("the answer is too long"));
        }
        let length = |stream: &[u8]| u32::try_from(stream.len()).unwrap_or(u32::MAX).to_be_bytes();
        let head = [MARK, &[*status], &length(stdout), &length(stderr)].concat();
        let bytes = [&head, stdout.as_slice(), stderr, END].concat();
        syscall::live_without_parent()?;
        syscall::write_all(self.pipe.as_raw_fd(), &bytes)?;
        Ok(())
    }
}

/// Has `stdout` and `stderr` said, and `status` be the end, when a signal ends this process: an abort for want of
/// memory, a termination. Call it before anything that could fail; the last call holds, and each costs a little memory.
///
/// # Errors
///
/// A signal ends this process without a word.
pub fn set_last_words(stdout: &'static [u8], stderr: &'static [u8], status: u8) -> io::Result<()> {
    Ok(syscall::set_last_words(LastWords { stdout, stderr, status })?)
}

/// Runs `child` in a copy of this process, and waits for its answer at most for `deadline`.
///
/// The copy has no standard streams, dies with this process until it has answered, and is killed when it does not
/// answer. It is not waited for afterwards.
///
/// # Errors
///
/// [`NoAnswer`]; also where this process has more than one thread.
pub fn judge(buffer: &mut [u8], deadline: Duration, child: impl FnOnce(Judge)) -> Result<Said<'_>, NoAnswer> {
    let started = Instant::now();
    let system = |error: io::Error| NoAnswer::System(error);
    let (mine, theirs) = pipe_with(PipeFlags::CLOEXEC).map_err(|errno| system(errno.into()))?;
    let parent = syscall::getpid();
    let read_end = mine.as_raw_fd();
    // The closure owns this side: it is closed here when the copy has been made.
    let pid = syscall::fork_process(move || {
        syscall::close(read_end);
        match settle(parent) {
            Ok(()) => child(Judge { pipe: theirs }),
            Err(_unsettled) => return 1,
        }
        0
    });
    let pid = pid.map_err(|errno| system(errno.into()))?;
    match receive(&mine, buffer, started, deadline) {
        Ok(end) => parse(buffer.get(..end).unwrap_or_default()).ok_or(NoAnswer::Broken),
        Err(error) => {
            // One that is dead already needs no killing; nobody but this process could have reaped it.
            let _ignored: Result<(), _> = syscall::kill(pid, KILL);
            Err(error)
        }
    }
}

/// The signal that cannot be blocked.
const KILL: i32 = 9;

/// Makes the copy a judge: it dies with its parent, has no streams, and signals do what they do by default.
fn settle(parent: i32) -> io::Result<()> {
    syscall::die_with_parent()?;
    if syscall::getppid() != parent {
        return Err(io::Error::other("the parent has gone"));
    }
    syscall::default_actions()?;
    let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    for number in 0..3 {
        syscall::duplicate_to(null.as_raw_fd(), number)?;
    }
    Ok(())
}

/// Reads until the other side is closed; answers how much came.
fn receive(pipe: &OwnedFd, buffer: &mut [u8], started: Instant, deadline: Duration) -> Result<usize, NoAnswer> {
    let mut filled = 0;
    loop {
        let left = deadline.checked_sub(started.elapsed()).ok_or(NoAnswer::TimedOut)?;
        let wait = u32::try_from((left.as_millis() + 1).min(POLL_MS_MAX)).unwrap_or(u32::MAX);
        let [ready] = syscall::poll_readable([pipe.as_raw_fd()], Some(wait)).map_err(|e| NoAnswer::System(e.into()))?;
        if !ready {
            continue;
        }
        let rest = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()).ok_or(NoAnswer::Broken)?;
        match syscall::read(pipe.as_raw_fd(), rest) {
            Ok(0) => return Ok(filled),
            Ok(count) => filled += count,
            Err(errno) => return Err(NoAnswer::System(errno.into())),
        }
    }
}

/// The answer in `bytes`, if it is whole and nothing else is there.
fn parse(bytes: &[u8]) -> Option<Said<'_>> {
    let rest = bytes.strip_prefix(MARK)?.strip_suffix(END)?;
    let (status, rest) = rest.split_first()?;
    let (out, rest) = rest.split_first_chunk::<4>()?;
    let (err, rest) = rest.split_first_chunk::<4>()?;
    let length = |bytes: &[u8; 4]| usize::try_from(u32::from_be_bytes(*bytes)).ok();
    let (stdout, stderr) = rest.split_at_checked(length(out)?)?;
    (stderr.len() == length(err)?).then_some(Said { stdout, stderr, status: *status })
}

#[cfg(test)]
mod tests;
