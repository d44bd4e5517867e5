// SPDX-License-Identifier: MIT OR Apache-2.0
//! Budget and loop guard: how often a principal may act, and when repetition becomes a loop.
//!
//! In: a principal, the digest of principal and action, the time. Out: nothing, or the reason for a denial.
//! State: `guard/<digest of the principal>.json` below the state folder, locked while it is read and written, so
//! that several processes count together; it survives restarts. Where it is missing, the budget is rebuilt from the
//! newest entries of the trail, so that removing it frees nothing that is still seen there.
//!
//! **Invariant:** counters that cannot be read, locked or written are a denial. Nine different reads are no loop,
//! the ninth equal action within the window is. Time that runs backwards never frees budget. An action of low risk
//! without any effect (`true`, `echo`) is not brought here: repeating it does nothing.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use ringfort_audit::read::Reader;
use ringfort_core::clock::Timestamp;
use ringfort_core::decision::Decision;
use ringfort_core::digest::{Digest, DigestWriter};
use ringfort_core::entry::{Entry, EntryKind};
use ringfort_core::limits::{ACTIONS_PER_HOUR, LOOP_REPEATS_MAX, LOOP_WINDOW};
use ringfort_core::principal::Principal;
use ringfort_core::ruling::{Reason, Remedy};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open, openat};
use serde::{Deserialize, Serialize};

/// The window of the budget.
const BUDGET_WINDOW: Duration = Duration::from_secs(3600);
/// One bucket of the budget window; a bucket counts until all of it has left the window.
const BUCKET: Duration = Duration::from_secs(60);
/// Most recent actions that the loop guard keeps.
const RECENT_MAX: usize = 256;
/// Most of the trail's newest entries from which missing counters are rebuilt.
const REBUILD_ENTRIES_MAX: usize = 2048;
/// The fact of an entry about an action that used no budget.
pub(crate) const UNCOUNTED: &str = "uncounted";
/// Largest counter file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// How much a principal may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardLimits {
    /// Actions within a sliding hour; 0 refuses everything.
    pub actions_per_hour: u32,
    /// Equal actions within [`Self::loop_window`] that are no loop yet.
    pub repeats_max: u32,
    /// The window of the loop guard.
    pub loop_window: Duration,
}

impl Default for GuardLimits {
    fn default() -> Self {
        Self { actions_per_hour: ACTIONS_PER_HOUR, repeats_max: LOOP_REPEATS_MAX, loop_window: LOOP_WINDOW }
    }
}

/// Counters of every principal, in one folder.
#[derive(Debug)]
pub struct Guard {
    folder: PathBuf,
    limits: GuardLimits,
    trail: Option<PathBuf>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counters {
    /// Start of a bucket in milliseconds, and the actions in it.
    buckets: Vec<(u64, u32)>,
    /// The newest actions: milliseconds and digest.
    recent: Vec<(u64, Digest)>,
}

impl Counters {
    fn add(&mut self, at: Timestamp) {
        let bucket = at.0 - at.0 % millis(BUCKET);
        match self.buckets.iter_mut().find(|(start, _)| *start == bucket) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.buckets.push((bucket, 1)),
        }
    }
}

impl Guard {
    /// Counts in `folder`, which exists with mode 0700.
    pub fn new(folder: PathBuf, limits: GuardLimits) -> Self {
        Self { folder, limits, trail: None }
    }

    /// Rebuilds the counters of a principal that has none from the record in `trail`.
    #[must_use]
    pub fn rebuilt_from(self, trail: PathBuf) -> Self {
        Self { trail: Some(trail), ..self }
    }

    /// Counts one action, or says why it must not happen.
    ///
    /// A refused action does not use budget; it does count as a repetition.
    ///
    /// # Errors
    ///
    /// The reason for the denial: budget, loop, or counters that cannot be trusted.
    pub fn charge(&self, principal: &Principal, action: Digest, now: Timestamp) -> Result<(), Box<Reason>> {
        let mut file = self.lock(principal).map_err(|error| unusable(&error))?;
        let counters = match read(&mut file) {
            Ok(Some(counters)) => Ok(counters),
            Ok(None) => self.rebuild(principal, now),
            Err(error) => Err(error),
        };
        let mut counters = counters.map_err(|error| unusable(&error))?;
        let verdict = self.count(&mut counters, action, now);
        write(&mut file, &counters).map_err(|error| unusable(&error))?;
        verdict
    }

    fn lock(&self, principal: &Principal) -> std::io::Result<std::fs::File> {
        let mut name = DigestWriter::new("ringfort.guard.v1");
        principal.chain().iter().for_each(|link| {
            name.bytes(link.as_bytes());
        });
        let folder = open(&self.folder, OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file: OwnedFd = openat(&folder, format!("{}.json", name.finish()), flags, Mode::RUSR | Mode::WUSR)?;
        flock(file.as_fd(), FlockOperation::LockExclusive)?;
        Ok(std::fs::File::from(file))
    }

    /// What the record still says of the budget that a principal has used. The loop guard starts anew: its window is
    /// shorter than anybody needs to remove a file.
    fn rebuild(&self, principal: &Principal, now: Timestamp) -> std::io::Result<Counters> {
        let mut counters = Counters::default();
        let Some(trail) = self.trail.as_ref().filter(|trail| trail.exists()) else { return Ok(counters) };
        let reader = Reader::open(trail).map_err(std::io::Error::other)?;
        for record in reader.tail(REBUILD_ENTRIES_MAX).map_err(std::io::Error::other)? {
            if uses_budget(&record.entry, principal) && now.since(record.time) <= BUDGET_WINDOW {
                counters.add(record.time);
            }
        }
        Ok(counters)
    }

    fn count(&self, counters: &mut Counters, action: Digest, now: Timestamp) -> Result<(), Box<Reason>> {
        let loop_start = now.0.saturating_sub(millis(self.limits.loop_window));
        counters.recent.retain(|(at, _)| *at >= loop_start);
        let repeats = counters.recent.iter().filter(|(_, digest)| *digest == action).count();
        counters.recent.push((now.0, action));
        let surplus = counters.recent.len().saturating_sub(RECENT_MAX);
        counters.recent.drain(..surplus);
        if repeats >= self.limits.repeats_max as usize {
            return Err(self.looping());
        }

        let first = now.0.saturating_sub(millis(BUDGET_WINDOW) + millis(BUCKET));
        counters.buckets.retain(|(start, _)| *start > first);
        let used: u64 = counters.buckets.iter().map(|(_, count)| u64::from(*count)).sum();
        if used >= u64::from(self.limits.actions_per_hour) {
            return Err(self.exhausted());
        }
        counters.add(now);
        Ok(())
    }

    fn looping(&self) -> Box<Reason> {
        let message = format!(
            "the same action came more than {} times within {} s",
            self.limits.repeats_max,
            self.limits.loop_window.as_secs()
        );
        let remedy = Remedy::Anyone("wait a few seconds, or do something else than repeat it".to_owned());
        Box::new(Reason::new("guard-002", Decision::Deny, message).remedy(remedy))
    }

    fn exhausted(&self) -> Box<Reason> {
        let max = self.limits.actions_per_hour;
        let message = format!("the budget of {max} actions in an hour is used up");
        let remedy = Remedy::Person(
            "set `max_actions_per_hour` higher under `[autonomy]`; a runaway agent then does more before it stops"
                .to_owned(),
        );
        Box::new(Reason::new("guard-001", Decision::Deny, message).remedy(remedy))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Whether an entry is about an action of this principal that went ahead, and was counted.
fn uses_budget(entry: &Entry, principal: &Principal) -> bool {
    let went_ahead = match entry.kind {
        EntryKind::Intent => true,
        EntryKind::Verdict => entry.decision.is_some_and(|decision| decision < Decision::Deny),
        EntryKind::Outcome | EntryKind::Approval | EntryKind::Event => false,
    };
    went_ahead && entry.principal.as_ref() == Some(principal) && !entry.facts.contains_key(UNCOUNTED)
}

fn unusable(error: &std::io::Error) -> Box<Reason> {
    let message = format!("the action counters cannot be used: {error}");
    let remedy = Remedy::Person(
        "look at the folder `guard` below the state folder; a broken counter file that is removed is made anew from the record".to_owned(),
    );
    Box::new(Reason::new("guard-003", Decision::Deny, message).remedy(remedy))
}

/// The counters, or none where the file was made just now.
fn read(file: &mut std::fs::File) -> std::io::Result<Option<Counters>> {
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(std::io::Error::other("the counter file is too large"));
    }
    serde_json::from_slice(&text).map(Some).map_err(std::io::Error::other)
}

/// Writes the counters over the old ones in one call, padded with blanks to the old length, so that a process killed
/// before or after it leaves a whole file.
fn write(file: &mut std::fs::File, counters: &Counters) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(counters)?;
    let old = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    text.resize(text.len().max(old), b' ');
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&text)
}

#[cfg(test)]
mod tests;
