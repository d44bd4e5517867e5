// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the tests share: a clock, a folder, entries of every shape.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ringfort_audit::{Options, Trail};
use ringfort_core::clock::{Clock, Timestamp};
use ringfort_core::decision::{Decision, Risk};
use ringfort_core::digest::Digest;
use ringfort_core::door::{DoorKind, Standing};
use ringfort_core::entry::{Entry, EntryKind};
use ringfort_core::principal::Principal;

/// A clock that moves on by 7 ms each time it is read.
pub(crate) struct Ticks(AtomicU64);

impl Ticks {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(1_795_194_000_000)))
    }
}

impl Clock for Ticks {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(7, Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// A folder for a trail, gone at the end.
pub(crate) struct Place {
    _temp: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        Self { path: temp.path().join("trail"), _temp: temp }
    }

    pub(crate) fn open(&self, segment_bytes_max: u64) -> Trail {
        Trail::open(&self.path, Options { segment_bytes_max, ..Options::new(Ticks::new()) }).unwrap()
    }

    /// A copy of the files in `from`, with the modes that a trail has.
    pub(crate) fn copy_of(from: &Path) -> Self {
        let place = Self::new();
        fs::create_dir(&place.path).unwrap();
        fs::set_permissions(&place.path, fs::Permissions::from_mode(0o700)).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = place.path.join(entry.file_name());
            fs::copy(entry.path(), &target).unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
        }
        place
    }
}

/// Entries of every shape, the same each time.
pub(crate) fn entry(number: u64) -> Entry {
    let user = Principal::try_user("ada").unwrap();
    let mut entry = match number % 4 {
        0 => return Entry::event("policy.loaded").fact("number", number),
        1 => Entry::event("x").fact("list", serde_json::json!([1, "two", {"b": null, "a": [true, -3]}])),
        2 => Entry::event("x").fact("text", "line\nbreak \"quote\" \\ \u{e4} \u{202e} \u{1f512} \u{1}"),
        _ => Entry::event("x").fact("exit", 0).fact("ratio", 0.25),
    };
    entry.kind = if number % 2 == 1 { EntryKind::Intent } else { EntryKind::Outcome };
    entry.principal = Some(user.try_child("agent").unwrap());
    entry.session = Some(format!("s-{}", number / 4));
    entry.request = Some(Digest::of(&number.to_be_bytes()));
    entry.action = Some(format!("git commit -m 'number {number}'"));
    entry.decision = Some(Decision::Allow);
    entry.risk = Some(Risk::Low);
    entry.rules = vec!["command-001".to_owned(), "path-002".to_owned()];
    entry.facts.insert("number".to_owned(), number.into());
    entry.at(DoorKind::Run, Standing::Caged)
}
