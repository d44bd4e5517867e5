// SPDX-License-Identifier: MIT OR Apache-2.0
//! When an unlocked store is locked: a pure state machine.
//!
//! In: a state, an event with its moment, limits. Out: the next state, and whether to lock now, and why.
//!
//! **Invariant:** `Locked` is reached only by a lock that was carried out and verified: until then the order to lock is
//! given again with every event. A break in time (suspend, restart, a clock that was moved) locks, whatever else happens.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::moment::{Break, Moment};

/// How long a store stays unlocked without being used, unless configured.
pub const IDLE_DEFAULT: Duration = Duration::from_mins(30);
/// Shortest idle time that can be configured.
pub const IDLE_MIN: Duration = Duration::from_mins(1);
/// Longest idle time that can be configured.
pub const IDLE_MAX: Duration = Duration::from_hours(24);
/// For how long before it is locked a store says so.
pub const GRACE_DEFAULT: Duration = Duration::from_mins(1);

/// How long a store stays unlocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Without being used. Milliseconds.
    idle_ms: u64,
    /// For the last part of it the state is [`LockState::LockingSoon`]. Milliseconds.
    grace_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(IDLE_DEFAULT)
    }
}

impl Limits {
    /// Locks after `idle`, which is brought between [`IDLE_MIN`] and [`IDLE_MAX`].
    pub fn new(idle: Duration) -> Self {
        let idle = idle.clamp(IDLE_MIN, IDLE_MAX);
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self { idle_ms: millis(idle), grace_ms: millis(GRACE_DEFAULT.min(idle / 2)) }
    }

    /// The idle time.
    pub const fn idle(self) -> Duration {
        Duration::from_millis(self.idle_ms)
    }

    /// The grace.
    pub const fn grace(self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }

    /// The stricter of both.
    #[must_use]
    pub fn strictest(self, other: Self) -> Self {
        if other.idle_ms < self.idle_ms { other } else { self }
    }
}

/// How a store stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockState {
    /// There is no store yet.
    SetupRequired,
    /// Its key is held.
    Unlocked {
        /// When it was unlocked: breaks in time are sought from here.
        unlocked: Moment,
        /// When it was last used.
        used: Moment,
    },
    /// Its key is held, and it will be locked soon because nobody uses it.
    LockingSoon {
        /// When it was unlocked.
        unlocked: Moment,
        /// When it was last used.
        used: Moment,
        /// How long it stays unlocked if nobody uses it.
        left: Duration,
    },
    /// Its key is not held; that was verified.
    Locked,
    /// It should be locked and could not be, or its state cannot be read: its key may be held.
    Error {
        /// What happened.
        fault: String,
    },
}

impl LockState {
    /// The state as one word: `setup_required`, `unlocked`, `locking_soon`, `locked` or `error`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::SetupRequired => "setup_required",
            Self::Unlocked { .. } => "unlocked",
            Self::LockingSoon { .. } => "locking_soon",
            Self::Locked => "locked",
            Self::Error { .. } => "error",
        }
    }
}

impl fmt::Display for LockState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What happens to a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was made; nobody holds its key yet.
    SetUp,
    /// It was opened with its root key.
    Unlock(Moment),
    /// Its key was used.
    Use(Moment),
    /// Somebody looked, or time went by.
    Look(Moment),
    /// A person, a stop or an incident wants it locked.
    Ask,
    /// The lock was carried out: its key was sought and is not held any more.
    LockDone,
    /// The lock was tried and failed, or it could not be verified.
    LockFailed(String),
}

/// Why a store is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It was asked for.
    Asked,
    /// Nobody used it.
    Idle,
    /// A break in time.
    Break(Break),
    /// It was to be locked before, and that failed.
    Again,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "it was asked for",
            Self::Idle => "it was not used for a while",
            Self::Break(Break::Restarted) => "the machine was started again",
            Self::Break(Break::Suspended) => "the machine was suspended",
            Self::Break(Break::ClockForward) => "the clock was moved forward",
            Self::Break(Break::ClockBack) => "the clock was set back",
            Self::Again => "an earlier attempt to lock it failed",
        })
    }
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Nothing.
    Nothing,
    /// Lock, verify it, and report [`Event::LockDone`] or [`Event::LockFailed`].
    Lock(Why),
}

/// The next state, and what is to be done.
#[must_use]
pub fn step(state: LockState, event: Event, limits: Limits) -> (LockState, Order) {
    match (state, event) {
        // Whoever opened it with its root key holds its key, whatever was before.
        (_, Event::Unlock(now)) => (LockState::Unlocked { unlocked: now.clone(), used: now }, Order::Nothing),
        (LockState::SetupRequired, Event::SetUp) => (LockState::Locked, Order::Nothing),
        (LockState::SetupRequired, _) => (LockState::SetupRequired, Order::Nothing),
        (_, Event::LockDone) => (LockState::Locked, Order::Nothing),
        (_, Event::LockFailed(fault)) => (LockState::Error { fault }, Order::Nothing),
        // Locked: asked again, it is verified again.
        (LockState::Locked, Event::Ask) => (LockState::Locked, Order::Lock(Why::Asked)),
        (LockState::Locked, _) => (LockState::Locked, Order::Nothing),
        (state @ LockState::Error { .. }, Event::Ask) => (state, Order::Lock(Why::Asked)),
        (state @ LockState::Error { .. }, _) => (state, Order::Lock(Why::Again)),
        (state, Event::Ask) => (state, Order::Lock(Why::Asked)),
        (state, Event::SetUp) => (state, Order::Nothing),
        (LockState::Unlocked { unlocked, used } | LockState::LockingSoon { unlocked, used, .. }, event) => {
            let (Event::Use(now) | Event::Look(now)) = &event else {
                return (LockState::Unlocked { unlocked, used }, Order::Lock(Why::Again));
            };
            match due(&unlocked, &used, now, limits) {
                // The moments stay: the next event finds the same cause.
                Err(why) => (LockState::Unlocked { unlocked, used }, Order::Lock(why)),
                Ok(_) if matches!(event, Event::Use(_)) => {
                    (LockState::Unlocked { unlocked, used: now.clone() }, Order::Nothing)
                }
                Ok(left) if left <= limits.grace() => (LockState::LockingSoon { unlocked, used, left }, Order::Nothing),
                Ok(_) => (LockState::Unlocked { unlocked, used }, Order::Nothing),
            }
        }
    }
}

/// How long it may stay unlocked from `now`, or why it may not.
fn due(unlocked: &Moment, used: &Moment, now: &Moment, limits: Limits) -> Result<Duration, Why> {
    if let Some(found) = now.broken_since(unlocked).or_else(|| now.broken_since(used)) {
        return Err(Why::Break(found));
    }
    let idle = now.since(used).ok_or(Why::Break(Break::Restarted))?;
    match limits.idle().checked_sub(idle) {
        Some(left) if !left.is_zero() => Ok(left),
        _ => Err(Why::Idle),
    }
}

#[cfg(test)]
mod tests;
