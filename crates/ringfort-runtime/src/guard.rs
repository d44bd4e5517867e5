// SPDX-License-Identifier: MIT OR Apache-2.0
//! Budget and loop guard: how often a principal may act, and when repetition becomes a loop.
//!
//! In: a principal, the digest of principal and action, the time. Out: nothing, or the reason for a denial.
//! State: `guard/<digest of the principal>.json` below the state folder, locked while it is read and written, so
//! that several processes count together; it survives restarts.
//!
//! **Invariant:** counters that cannot be read, locked or written are a denial. Nine different reads are no loop,
//! the ninth equal action within the window is. Time that runs backwards never frees budget. An action of low risk
//! without any effect (`true`, `echo`) is not brought here: repeating it does nothing.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use ringfort_core::clock::Timestamp;
use ringfort_core::decision::Decision;
use ringfort_core::digest::{Digest, DigestWriter};
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
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counters {
    /// Start of a bucket in milliseconds, and the actions in it.
    buckets: Vec<(u64, u32)>,
    /// The newest actions: milliseconds and digest.
    recent: Vec<(u64, Digest)>,
}

impl Guard {
    /// Counts in `folder`, which exists with mode 0700.
    pub fn new(folder: PathBuf, limits: GuardLimits) -> Self {
        Self { folder, limits }
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
        let mut counters = read(&mut file).map_err(|error| unusable(&error))?;
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

        let bucket = now.0 - now.0 % millis(BUCKET);
        let first = now.0.saturating_sub(millis(BUDGET_WINDOW) + millis(BUCKET));
        counters.buckets.retain(|(start, _)| *start > first);
        let used: u64 = counters.buckets.iter().map(|(_, count)| u64::from(*count)).sum();
        if used >= u64::from(self.limits.actions_per_hour) {
            return Err(self.exhausted());
        }
        match counters.buckets.iter_mut().find(|(start, _)| *start == bucket) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => counters.buckets.push((bucket, 1)),
        }
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

fn unusable(error: &std::io::Error) -> Box<Reason> {
    let message = format!("the action counters cannot be used: {error}");
    let remedy = Remedy::Person(
        "look at the folder `guard` below the state folder; removing a broken counter file starts it anew".to_owned(),
    );
    Box::new(Reason::new("guard-003", Decision::Deny, message).remedy(remedy))
}

fn read(file: &mut std::fs::File) -> std::io::Result<Counters> {
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.is_empty() {
        return Ok(Counters::default());
    }
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(std::io::Error::other("the counter file is too large"));
    }
    serde_json::from_slice(&text).map_err(std::io::Error::other)
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
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    fn guard(limits: GuardLimits) -> (tempfile::TempDir, Guard, Principal) {
        let folder = tempfile::tempdir().unwrap();
        let guard = Guard::new(folder.path().to_owned(), limits);
        (folder, guard, Principal::try_user("ada").unwrap())
    }

    fn rule(result: Result<(), Box<Reason>>) -> String {
        result.map_or_else(|reason| reason.rule, |()| "allowed".to_owned())
    }

    #[test]
    fn deny_the_ninth_equal_action_and_no_different_one() {
        let (_folder, guard, ada) = guard(GuardLimits::default());
        let same = Digest::of(b"same");
        let now = Timestamp(HOUR_MS);
        for n in 0..9_u8 {
            assert_eq!(rule(guard.charge(&ada, Digest::of(&[n]), now)), "allowed", "different action {n}");
        }
        for n in 0..8 {
            assert_eq!(rule(guard.charge(&ada, same, now)), "allowed", "equal action {n}");
        }
        assert_eq!(rule(guard.charge(&ada, same, now)), "guard-002");
        let other = ada.try_child("agent").unwrap();
        assert_eq!(rule(guard.charge(&other, same, now)), "allowed", "another principal");
        let later = now.after(LOOP_WINDOW + Duration::from_millis(1));
        assert_eq!(rule(guard.charge(&ada, same, later)), "allowed", "after the window");
    }

    #[test]
    fn deny_beyond_the_budget_across_restarts_and_clock_tricks() {
        let limits = GuardLimits { actions_per_hour: 3, ..GuardLimits::default() };
        let (folder, guard, ada) = guard(limits);
        let now = Timestamp(10 * HOUR_MS);
        for n in 0..3_u8 {
            assert_eq!(rule(guard.charge(&ada, Digest::of(&[n]), now)), "allowed");
        }
        let restarted = Guard::new(folder.path().to_owned(), limits);
        for (at, expected) in [
            (now, "guard-001"),
            (Timestamp(now.0 + HOUR_MS - 1), "guard-001"),
            (Timestamp(now.0 - 5 * HOUR_MS), "guard-001"),
            (Timestamp(now.0 + HOUR_MS + 61_000), "allowed"),
        ] {
            assert_eq!(rule(restarted.charge(&ada, Digest::of(b"next"), at)), expected, "at {}", at.0);
        }
    }

    #[test]
    fn deny_when_the_counters_are_broken() {
        let (folder, guard, ada) = guard(GuardLimits::default());
        assert_eq!(rule(guard.charge(&ada, Digest::of(b"a"), Timestamp(1))), "allowed");
        let file = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        for broken in ["{", "{\"buckets\":[],\"recent\":[],\"more\":1}", "null"] {
            std::fs::write(&file, broken).unwrap();
            assert_eq!(rule(guard.charge(&ada, Digest::of(b"a"), Timestamp(2))), "guard-003", "`{broken}`");
        }
        std::fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/dev/null", &file).unwrap();
        assert_eq!(rule(guard.charge(&ada, Digest::of(b"a"), Timestamp(3))), "guard-003");
    }
}
