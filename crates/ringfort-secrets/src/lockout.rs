// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guessing a passphrase gets slow: attempts are counted in a file, per caller and altogether.
//!
//! In: who tries, now. Out: leave to try once, or how long to wait.
//!
//! **Invariant:** an attempt is on disk before it is evaluated, so that killing the process forgives nothing; only a
//! success takes it back. A count that cannot be read, or is not this store's, lets nobody try.
//!
//! It slows whoever asks through Ringfort. Who can delete the file can also copy the store and guess elsewhere: against
//! that stands the cost of each derivation.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::moment::{Moment, Moments};
use crate::owned::{OwnedError, OwnedFile};
use crate::root::StoreId;

/// From how many failures of one caller in a row on it waits, and how long after each.
pub const CALLER_WAITS: [(u32, Duration); 2] = [(5, Duration::from_secs(60)), (15, Duration::from_secs(900))];
/// The same for the failures of all callers. More than for one, so that nobody locks out everybody with a few words.
pub const GLOBAL_WAITS: [(u32, Duration); 2] = [(20, Duration::from_secs(60)), (60, Duration::from_secs(900))];
/// Callers that are told apart; beyond it the one with the fewest failures is forgotten (the total is not).
pub const CALLERS_MAX: usize = 64;
/// Longest name of a caller; what is longer is cut. Bytes.
pub const CALLER_MAX: usize = 128;
/// Largest file. Bytes.
const FILE_MAX: usize = 32 * 1024;
/// Longest wait for another process that counts.
const TURN_MAX: Duration = Duration::from_secs(5);
/// How often it is asked whether the other process is done.
const TURN_STEP: Duration = Duration::from_millis(10);
/// The form of the file.
const FORM: u32 = 1;

/// Why nobody may try now. Nothing was evaluated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockoutError {
    /// There were too many failures.
    #[error("too many wrong attempts ({failures}{}); try again in {} s", if *everybody { " by all callers" } else { "" }, wait.as_secs().max(1))]
    Wait {
        /// How many.
        failures: u32,
        /// Whether the failures of all callers together are meant.
        everybody: bool,
        /// How long to wait.
        wait: Duration,
    },
    /// The file is damaged or belongs to another store.
    #[error(
        "the count of wrong attempts `{}` {fault}, so nobody may try; if you know why, remove that file and try again",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: String,
    },
    /// The file could not be read or written.
    #[error("the count of wrong attempts could not be kept, so nobody may try: {0}")]
    File(#[source] OwnedError),
    /// Another process holds the file.
    #[error("another process has been counting attempts in `{}` for more than {} s; try again", path.display(), TURN_MAX.as_secs())]
    Busy {
        /// The file.
        path: PathBuf,
    },
}

/// The failures of one caller, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Failures {
    count: u32,
    /// When the last attempt began. Milliseconds since the start of the machine.
    last_ms: u64,
}

/// What is in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counts {
    form: u32,
    store: StoreId,
    boot: String,
    total: Failures,
    callers: BTreeMap<String, Failures>,
}

/// Who tries: a door and a user, such as `cli:1000`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caller(String);

impl Caller {
    /// The caller of this name, cut to [`CALLER_MAX`].
    pub fn new(name: &str) -> Self {
        Self(
            name.chars()
                .scan(0, |bytes, c| {
                    *bytes += c.len_utf8();
                    (*bytes <= CALLER_MAX).then_some(c)
                })
                .collect(),
        )
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a caller stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Failures of this caller in a row.
    pub failures: u32,
    /// Failures of all callers that no success has taken back.
    pub total: u32,
    /// How long to wait before the next attempt.
    pub wait: Duration,
}

/// The count of one store.
#[derive(Clone, Debug)]
pub struct Lockout {
    path: PathBuf,
    store: StoreId,
}

/// Leave to try once. It counts as a failure unless [`Attempt::succeeded`] takes it back.
#[must_use = "an attempt counts as a failure unless it is said to have succeeded"]
#[derive(Debug)]
pub struct Attempt<'a> {
    lockout: &'a Lockout,
    caller: Caller,
}

impl Attempt<'_> {
    /// The attempt was right: this caller's failures are forgotten.
    ///
    /// # Errors
    ///
    /// [`LockoutError`]: the attempt still counts as a failure.
    pub fn succeeded(self, moments: &dyn Moments) -> Result<(), LockoutError> {
        self.lockout.change(&moments.moment(), |counts, _| {
            let forgiven = counts.callers.remove(&self.caller.0).unwrap_or_default();
            counts.total.count = counts.total.count.saturating_sub(forgiven.count);
            Ok(())
        })
    }

    /// The attempt came to nothing before it could be right or wrong, as with a device that is not there: it does not
    /// count.
    ///
    /// # Errors
    ///
    /// [`LockoutError`]: the attempt still counts as a failure.
    pub fn withdrawn(self, moments: &dyn Moments) -> Result<(), LockoutError> {
        self.lockout.change(&moments.moment(), |counts, _| {
            if let Some(mine) = counts.callers.get_mut(&self.caller.0).filter(|mine| mine.count > 0) {
                mine.count -= 1;
                counts.total.count = counts.total.count.saturating_sub(1);
            }
            Ok(())
        })
    }
}

impl Lockout {
    /// The count of `store` in the file `path`, whose folder exists.
    pub fn new(path: impl Into<PathBuf>, store: StoreId) -> Self {
        Self { path: path.into(), store }
    }

    /// Where it is kept.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Counts an attempt of `caller`, and gives leave to it if none has to be waited for.
    ///
    /// # Errors
    ///
    /// [`LockoutError`]: nobody may try now. A refused attempt is not counted.
    pub fn charge(&self, caller: &Caller, moments: &dyn Moments) -> Result<Attempt<'_>, LockoutError> {
        self.change(&moments.moment(), |counts, now| {
            let mine = counts.callers.get(&caller.0).copied().unwrap_or_default();
            for (failures, waits, everybody) in [(mine, CALLER_WAITS, false), (counts.total, GLOBAL_WAITS, true)] {
                let wait = wait(failures, &waits, now);
                if !wait.is_zero() {
                    return Err(LockoutError::Wait { failures: failures.count, everybody, wait });
                }
            }
            if mine.count == 0 && counts.callers.len() >= CALLERS_MAX {
                let least = counts.callers.iter().min_by_key(|(_, failures)| (failures.count, failures.last_ms));
                if let Some(name) = least.map(|(name, _)| name.clone()) {
                    counts.callers.remove(&name);
                }
            }
            let next =
                |failures: Failures| Failures { count: failures.count.saturating_add(1), last_ms: now.boottime_ms };
            counts.callers.insert(caller.0.clone(), next(mine));
            counts.total = next(counts.total);
            Ok(Attempt { lockout: self, caller: caller.clone() })
        })
    }

    /// How `caller` stands; counts nothing.
    ///
    /// # Errors
    ///
    /// [`LockoutError`]: it is not known, and nobody may try.
    pub fn standing(&self, caller: &Caller, moments: &dyn Moments) -> Result<Standing, LockoutError> {
        self.change(&moments.moment(), |counts, now| {
            let mine = counts.callers.get(&caller.0).copied().unwrap_or_default();
            let wait = wait(mine, &CALLER_WAITS, now).max(wait(counts.total, &GLOBAL_WAITS, now));
            Ok(Standing { failures: mine.count, total: counts.total.count, wait })
        })
    }

    /// Reads, lets `change` work, and writes if something changed; one process at a time.
    fn change<T>(
        &self,
        now: &Moment,
        change: impl FnOnce(&mut Counts, &Moment) -> Result<T, LockoutError>,
    ) -> Result<T, LockoutError> {
        let _turn = self.turn()?;
        let file = OwnedFile::at(&self.path).map_err(LockoutError::File)?;
        let before = self.read(&file)?;
        let mut counts = before.clone().unwrap_or_else(|| Counts {
            form: FORM,
            store: self.store,
            boot: now.boot.clone(),
            total: Failures::default(),
            callers: BTreeMap::new(),
        });
        settle_in(&mut counts, now);
        let result = change(&mut counts, now);
        let fresh = before.is_none() && counts.total == Failures::default();
        if !fresh && before.as_ref() != Some(&counts) {
            file.replace(&encode(&counts).map_err(|error| self.damaged(error.to_string()))?)
                .map_err(LockoutError::File)?;
        }
        result
    }

    fn damaged(&self, fault: impl Into<String>) -> LockoutError {
        LockoutError::Damaged { path: self.path.clone(), fault: fault.into() }
    }

    fn read(&self, file: &OwnedFile) -> Result<Option<Counts>, LockoutError> {
        let bytes = match file.read(FILE_MAX) {
            Ok(bytes) => bytes,
            Err(OwnedError::Absent { .. }) => return Ok(None),
            Err(OwnedError::Fault { fault, .. }) => return Err(self.damaged(fault)),
            Err(error) => return Err(LockoutError::File(error)),
        };
        let counts = decode(bytes.expose()).ok_or_else(|| self.damaged("is damaged"))?;
        if counts.store != self.store {
            return Err(self.damaged(format!("belongs to the store {}", counts.store)));
        }
        Ok(Some(counts))
    }

    /// Waits until no other process counts.
    fn turn(&self) -> Result<rustix::fd::OwnedFd, LockoutError> {
        let path = self.path.with_extension("turn");
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let system = |operation, errno: rustix::io::Errno| {
            LockoutError::File(OwnedError::System { operation, path: path.clone(), source: io::Error::from(errno) })
        };
        let fd = rustix::fs::open(&path, flags, Mode::from_raw_mode(0o600)).map_err(|errno| system("open", errno))?;
        for _ in 0..TURN_MAX.as_millis() / TURN_STEP.as_millis() {
            match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(fd),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => std::thread::sleep(TURN_STEP),
                Err(errno) => return Err(system("lock", errno)),
            }
        }
        Err(LockoutError::Busy { path: self.path.clone() })
    }
}

/// How long after its last failure a caller still has to wait.
fn wait(failures: Failures, waits: &[(u32, Duration)], now: &Moment) -> Duration {
    let rule = waits.iter().rev().find(|(from, _)| failures.count >= *from);
    let passed = Duration::from_millis(now.boottime_ms.saturating_sub(failures.last_ms));
    rule.map_or(Duration::ZERO, |(_, wait)| wait.saturating_sub(passed))
}

/// Brings the counts into this start of the machine: how long it was off is not known, so every wait begins anew.
fn settle_in(counts: &mut Counts, now: &Moment) {
    let restarted = counts.boot != now.boot;
    for failures in counts.callers.values_mut().chain([&mut counts.total]) {
        if restarted || failures.last_ms > now.boottime_ms {
            failures.last_ms = now.boottime_ms;
        }
    }
    counts.boot.clone_from(&now.boot);
}

/// The digest of the counts in hex, a line feed, the counts in JSON.
fn encode(counts: &Counts) -> serde_json::Result<Vec<u8>> {
    let body = serde_json::to_vec(counts)?;
    let mut bytes = digest(&body).into_bytes();
    bytes.push(b'\n');
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Option<Counts> {
    let at = bytes.iter().position(|&byte| byte == b'\n')?;
    let (head, body) = (bytes.get(..at)?, bytes.get(at + 1..)?);
    if head != digest(body).as_bytes() {
        return None;
    }
    let counts: Counts = serde_json::from_slice(body).ok()?;
    let sound = counts.form == FORM
        && counts.callers.len() <= CALLERS_MAX
        && counts.callers.values().all(|failures| failures.count <= counts.total.count);
    sound.then_some(counts)
}

fn digest(body: &[u8]) -> String {
    Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
