// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is asked of the ring, and what it says of keys.
//!
//! In: records. Out: everything about a key but its private half.
//!
//! **Invariant:** only `Derived` holds key bytes, in locked memory.

use std::time::Duration;

use ringfort_core::clock::Timestamp;

use super::super::KeyKind;
use super::super::record::{KeyName, Record, Version, VersionState};
use super::error::RingError;
use crate::locked::Locked;

/// Most of a clock's error that is not a fault: a key from further in the future is told of.
const CLOCK_ERROR_MAX: Duration = Duration::from_secs(300);

/// When a key is to be rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// It has no schedule.
    Never,
    /// At that time.
    At(Timestamp),
    /// Since that time: the next use rotates it.
    Since(Timestamp),
    /// Its newest version is from the future: the clock is wrong, or was.
    ClockBehind,
}

/// What is known of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionInfo {
    /// Its number, from 1.
    pub number: u64,
    /// What it may be used for.
    pub state: VersionState,
    /// When it was made.
    pub created: Timestamp,
    /// When the next one took over.
    pub replaced: Option<Timestamp>,
    /// When it was destroyed.
    pub destroyed: Option<Timestamp>,
    /// Its public half; MAC keys have none.
    pub public: Option<Vec<u8>>,
    /// Whether its private half, or the way to it, is still kept.
    pub has_private: bool,
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its name.
    pub name: KeyName,
    /// Its kind.
    pub kind: KeyKind,
    /// Where its private halves are used.
    pub provider: String,
    /// How often it is rotated.
    pub rotate_every: Option<Duration>,
    /// When that is next.
    pub due: Due,
    /// Its versions, the oldest first; the last one signs.
    pub versions: Vec<VersionInfo>,
}

impl KeyInfo {
    /// The version that signs.
    pub fn active(&self) -> Option<&VersionInfo> {
        self.versions.last()
    }
}

/// A key in a list: one that is damaged is an error beside its name.
#[derive(Debug)]
pub struct Listed {
    /// Its name.
    pub name: KeyName,
    /// What is known of it.
    pub info: Result<KeyInfo, RingError>,
}

/// A signature or MAC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The version that made it.
    pub version: u64,
    /// Its kind.
    pub kind: KeyKind,
    /// The public half of that version; MAC keys have none.
    pub public: Option<Vec<u8>>,
    /// The signature.
    pub bytes: Vec<u8>,
}

/// A signature holds.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The version that made it.
    pub version: u64,
    /// Whether that version still signs.
    pub state: VersionState,
}

/// A derived key.
#[derive(Debug)]
pub struct Derived {
    /// The version that it is derived from: who needs the same key again names it.
    pub version: u64,
    /// The key.
    pub key: Locked,
}

/// What a new key is to be.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Its kind.
    pub kind: KeyKind,
    /// Its provider.
    pub provider: String,
    /// How often it is rotated; never if nothing is said.
    pub rotate_every: Option<Duration>,
}

/// What becomes of the versions before, when a key is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Old {
    /// What they signed holds.
    Verifies,
    /// Nothing of theirs holds any more: somebody else may have had them.
    Destroyed,
}

/// When a key is to be rotated, seen from `now`.
pub(super) fn due(record: &Record, now: Timestamp) -> Due {
    let (Some(every), Some(newest)) = (record.rotate_every, record.versions.last()) else { return Due::Never };
    let at = newest.created.after(every);
    if newest.created > now.after(CLOCK_ERROR_MAX) {
        Due::ClockBehind
    } else if at <= now {
        Due::Since(at)
    } else {
        Due::At(at)
    }
}

/// What may be told of a key.
pub(super) fn info(record: &Record, now: Timestamp) -> KeyInfo {
    let version = |version: &Version| VersionInfo {
        number: version.number,
        state: version.state,
        created: version.created,
        replaced: version.replaced,
        destroyed: version.destroyed,
        public: version.public.clone(),
        has_private: version.private.is_some(),
    };
    KeyInfo {
        name: record.name.clone(),
        kind: record.kind,
        provider: record.provider.clone(),
        rotate_every: record.rotate_every,
        due: due(record, now),
        versions: record.versions.iter().map(version).collect(),
    }
}
