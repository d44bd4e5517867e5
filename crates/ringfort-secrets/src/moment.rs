// SPDX-License-Identifier: MIT OR Apache-2.0
//! Moments that can be compared between processes, and the ways in which a clock can have been moved between two.
//!
//! In: the kernel's clocks. Out: a [`Moment`]; what lies between two of them.
//!
//! **Invariant:** idle times and waits are reckoned with the clock that runs during suspend and that nobody can set; the
//! wall clock only tells that it was moved.

use std::time::Duration;

use ringfort_core::clock::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Longest that the machine may have slept without it counting as a suspend.
pub const SUSPEND_MIN: Duration = Duration::from_secs(2);
/// How far the wall clock may jump forward before that counts as a trick.
pub const CLOCK_FORWARD_MAX: Duration = Duration::from_secs(300);
/// How far the wall clock may be set back before that counts as a trick: time servers correct by less.
pub const CLOCK_BACK_MAX: Duration = Duration::from_secs(5);
/// Where the kernel says which start of the machine this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Longest that reading the clocks may be interrupted.
const READ_TOGETHER: Duration = Duration::from_millis(50);
/// How often the clocks are read again because reading was interrupted.
const READS_MAX: usize = 10;

/// One moment, on every clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// Which start of the machine; empty where the kernel does not say.
    pub boot: String,
    /// Since that start, with the time that the machine slept. Milliseconds.
    pub boottime_ms: u64,
    /// Since that start, without it. Milliseconds.
    pub monotonic_ms: u64,
    /// The wall clock. Milliseconds since 1970.
    pub wall_ms: u64,
}

/// What happened between two moments that makes the time between them doubtful.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Break {
    /// The machine was started again, or its clock ran backwards.
    Restarted,
    /// It was suspended.
    Suspended,
    /// The wall clock was moved forward by more than [`CLOCK_FORWARD_MAX`].
    ClockForward,
    /// The wall clock was set back by more than [`CLOCK_BACK_MAX`].
    ClockBack,
}

impl Moment {
    /// How long ago `earlier` was, with the time that the machine slept; `None` if that is not known: another start of
    /// the machine, or a clock that ran backwards.
    pub fn since(&self, earlier: &Self) -> Option<Duration> {
        if self.boot != earlier.boot {
            return None;
        }
        self.boottime_ms.checked_sub(earlier.boottime_ms).map(Duration::from_millis)
    }

    /// What happened since `earlier` that makes the time since then doubtful.
    pub fn broken_since(&self, earlier: &Self) -> Option<Break> {
        let (Some(passed), true) = (self.since(earlier), self.monotonic_ms >= earlier.monotonic_ms) else {
            return Some(Break::Restarted);
        };
        let awake = Duration::from_millis(self.monotonic_ms.saturating_sub(earlier.monotonic_ms));
        if passed.saturating_sub(awake) > SUSPEND_MIN {
            return Some(Break::Suspended);
        }
        let expected = Timestamp(earlier.wall_ms).after(passed);
        let wall = Timestamp(self.wall_ms);
        if wall.since(expected) > CLOCK_FORWARD_MAX {
            Some(Break::ClockForward)
        } else if expected.since(wall) > CLOCK_BACK_MAX {
            Some(Break::ClockBack)
        } else {
            None
        }
    }
}

/// A source of moments.
pub trait Moments: Send + Sync {
    /// Now.
    fn moment(&self) -> Moment;
}

/// The kernel's moments.
#[derive(Clone, Copy, Debug, Default)]
pub struct KernelMoments;

fn read(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).unwrap_or(Duration::ZERO)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Moments for KernelMoments {
    fn moment(&self) -> Moment {
        let boot = std::fs::read_to_string(BOOT_ID).map(|id| id.trim().to_owned()).unwrap_or_default();
        let mut moment = Moment { boot, boottime_ms: 0, monotonic_ms: 0, wall_ms: 0 };
        for _ in 0..READS_MAX {
            let boottime = read(ClockId::Boottime);
            moment.boottime_ms = millis(boottime);
            moment.monotonic_ms = millis(read(ClockId::Monotonic));
            moment.wall_ms = millis(read(ClockId::Realtime));
            // Read apart from each other they would look like a suspend.
            if read(ClockId::Boottime).saturating_sub(boottime) < READ_TOGETHER {
                break;
            }
        }
        moment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(boot: &str, boottime_s: u64, monotonic_s: u64, wall_s: u64) -> Moment {
        Moment {
            boot: boot.to_owned(),
            boottime_ms: boottime_s * 1000,
            monotonic_ms: monotonic_s * 1000,
            wall_ms: wall_s * 1000,
        }
    }

    #[test]
    fn breaks_in_time_are_found() {
        let start = at("a", 1000, 900, 50_000);
        for (now, expected) in [
            (at("a", 1000, 900, 50_000), None),
            (at("a", 2000, 1900, 51_000), None),
            (at("a", 2000, 1900, 51_300), None),
            (at("a", 2000, 1900, 50_995), None),
            (at("a", 2000, 1898, 51_000), None),
            (at("b", 2000, 1900, 51_000), Some(Break::Restarted)),
            (at("", 2000, 1900, 51_000), Some(Break::Restarted)),
            (at("a", 999, 900, 50_000), Some(Break::Restarted)),
            (at("a", 2000, 899, 51_000), Some(Break::Restarted)),
            (at("a", 2000, 1897, 51_000), Some(Break::Suspended)),
            (at("a", 90_000, 901, 139_000), Some(Break::Suspended)),
            (at("a", 2000, 1900, 51_301), Some(Break::ClockForward)),
            (at("a", 1000, 900, u64::MAX / 1000), Some(Break::ClockForward)),
            (at("a", 2000, 1900, 50_994), Some(Break::ClockBack)),
            (at("a", 2000, 1900, 0), Some(Break::ClockBack)),
        ] {
            assert_eq!(now.broken_since(&start), expected, "{now:?}");
        }
    }

    #[test]
    fn the_kernel_s_moments_follow_each_other() {
        let first = KernelMoments.moment();
        let second = KernelMoments.moment();
        assert_eq!(second.broken_since(&first), None);
        assert!(first.boottime_ms > 0 && first.wall_ms > 1_600_000_000_000 && second.since(&first).is_some());
    }
}
