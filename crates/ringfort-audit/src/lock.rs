// SPDX-License-Identifier: MIT OR Apache-2.0
//! A lock between processes that is waited for only so long.
//!
//! In: an open lock file. Out: a guard; dropping it, or dying, releases the lock.
//!
//! **Invariant:** a stopped process that holds the lock delays the others by at most the wait they chose, and then
//! they get an error (the wait counts pauses and reads no clock). Threads of one process that share the file exclude
//! each other by a mutex around it.

use std::fs::File;
use std::thread;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::chain::ChainError;
use crate::dir::{Access, Dir, FileError};

/// Longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_micros(500);

/// Tries without a pause: most holders are done within microseconds.
const EAGER_TRIES: u32 = 20;

/// Whether others may hold the lock at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    Exclusive,
    Shared,
}

/// A held lock.
#[must_use = "the lock is released when this is dropped"]
pub(crate) struct Held<'a>(&'a File);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // A lock that cannot be released here is released when its file is closed.
        rustix::fs::flock(self.0, FlockOperation::Unlock).unwrap_or_default();
    }
}

/// Locks `file`, which is `name` in `dir`; waits at most `wait`.
pub(crate) fn hold<'a>(
    dir: &Dir,
    file: &'a File,
    name: &'static str,
    share: Share,
    wait: Duration,
) -> Result<Held<'a>, ChainError> {
    let operation = match share {
        Share::Exclusive => FlockOperation::NonBlockingLockExclusive,
        Share::Shared => FlockOperation::NonBlockingLockShared,
    };
    let (mut pause, mut waited, mut eager) = (Duration::from_micros(20), Duration::ZERO, EAGER_TRIES);
    while waited < wait {
        match rustix::fs::flock(file, operation) {
            Ok(()) => {
                let held = Held(file);
                return if is_current(dir, file, name)? { Ok(held) } else { Err(ChainError::Replaced { name }) };
            }
            Err(Errno::WOULDBLOCK | Errno::INTR) => {}
            Err(error) => return Err(dir.error("lock", name, error.into()).into()),
        }
        if eager > 0 {
            eager -= 1;
            thread::yield_now();
        } else {
            thread::sleep(pause);
            waited += pause;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
    Err(ChainError::Busy { wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX) })
}

/// Whether the locked file is still the one that others will find under its name.
fn is_current(dir: &Dir, file: &File, name: &str) -> Result<bool, FileError> {
    Ok(dir.stat(name)?.map(|(identity, _)| identity) == Some(dir.identity(file)?))
}

/// Opens a lock file, making it if need be.
pub(crate) fn open(dir: &Dir, name: &str) -> Result<File, FileError> {
    dir.file(name, Access::Create)
}
