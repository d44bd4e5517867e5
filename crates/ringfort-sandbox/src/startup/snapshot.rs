// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the start-up files were at the start: identity of each, and a bounded copy to compare with and to put back.
//!
//! In: paths below an open workspace. Out: [`Snapshot`]. **Invariant:** an item without a copy says so; a folder
//! whose listing was cut says so. Copies live in memory, so that nothing inside a cage can reach them.

use super::Notice;
use super::beneath::{Identity, Kind, Moment, Root};
use super::trigger::{Judge, Trigger};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Largest file of which a copy is kept. Bytes.
pub(super) const KEPT_FILE_BYTES_MAX: usize = 256 << 10;
/// All copies together. Bytes.
pub(super) const KEPT_BYTES_MAX: usize = 8 << 20;
/// Most entries that are kept of protected folders, all together.
pub(super) const KEPT_ENTRIES_MAX: usize = 4_096;
/// Deepest entry of a protected folder that is kept.
pub(super) const KEPT_DEPTH_MAX: usize = 16;

/// The state at the start; holds the workspace open, so that the end works on the same folder.
#[derive(Debug)]
pub struct Snapshot {
    pub(super) root: Root,
    pub(super) workspace: PathBuf,
    pub(super) scratch: Root,
    /// Whatever changed at or after this moment changed during the run.
    pub(super) started: Moment,
    pub(super) items: BTreeMap<PathBuf, Item>,
    /// Staged files: path in the workspace, path in the scratch folder.
    pub(super) staged: Vec<(PathBuf, PathBuf)>,
    /// Named by a git configuration, not there at the start.
    pub(super) awaited: Vec<(PathBuf, &'static Trigger)>,
    pub(super) unvisited: Vec<PathBuf>,
    pub(super) overflow: bool,
    pub(super) bytes: usize,
}

/// One entry that existed.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) trigger: &'static Trigger,
    pub(super) identity: Identity,
    pub(super) body: Body,
}

/// What is kept of it.
#[derive(Debug)]
pub(super) enum Body {
    Bytes(Vec<u8>),
    Target(PathBuf),
    /// Names in a folder, all of them.
    Names(BTreeSet<OsString>),
    /// Nothing: too large, or unreadable.
    Unkept,
}

impl Snapshot {
    /// Whether an entry at `path` with `identity` was not there, or was different, before the start.
    pub(super) fn is_new(&self, path: &Path, identity: &Identity) -> bool {
        if self.items.contains_key(path) {
            return false;
        }
        let was_seen = !self.overflow && !self.unvisited.iter().any(|folder| path.starts_with(folder));
        was_seen || identity.changed >= self.started
    }

    /// Keeps `path`, and what is below it if it is a folder.
    pub(super) fn keep(
        &mut self,
        path: &Path,
        trigger: &'static Trigger,
        notices: &mut Vec<Notice>,
    ) -> Option<Identity> {
        let identity = match self.root.identity(path) {
            Ok(identity) => identity?,
            Err(_) => {
                notices.push(Notice::NotKept(path.to_owned()));
                return None;
            }
        };
        self.keep_entry(path, trigger, identity, KEPT_DEPTH_MAX, notices);
        Some(identity)
    }

    fn keep_entry(
        &mut self,
        path: &Path,
        trigger: &'static Trigger,
        identity: Identity,
        depth_left: usize,
        notices: &mut Vec<Notice>,
    ) {
        if self.items.contains_key(path) {
            return;
        }
        let body = match identity.kind {
            Kind::File => self.keep_file(path),
            Kind::Link => self.root.link_target(path).map_or(Body::Unkept, Body::Target),
            Kind::Directory if depth_left > 0 => self.keep_folder(path, trigger, depth_left, notices),
            Kind::Directory | Kind::Other => Body::Unkept,
        };
        if identity.kind == Kind::File && identity.links > 1 {
            notices.push(Notice::HardLinked { path: path.to_owned(), links: identity.links });
        }
        if matches!(body, Body::Unkept) {
            notices.push(Notice::NotKept(path.to_owned()));
        }
        self.items.insert(path.to_owned(), Item { trigger, identity, body });
    }

    fn keep_file(&mut self, path: &Path) -> Body {
        let room = KEPT_FILE_BYTES_MAX.min(KEPT_BYTES_MAX.saturating_sub(self.bytes));
        match self.root.read(path, room) {
            Ok(Some((bytes, _))) => {
                self.bytes += bytes.len();
                Body::Bytes(bytes)
            }
            _ => Body::Unkept,
        }
    }

    fn keep_folder(
        &mut self,
        path: &Path,
        trigger: &'static Trigger,
        depth_left: usize,
        notices: &mut Vec<Notice>,
    ) -> Body {
        let room = KEPT_ENTRIES_MAX.saturating_sub(self.items.len());
        let listing = match self.root.list(path, room) {
            Ok(listing) if !listing.truncated => listing,
            _ => return Body::Unkept,
        };
        let mut names = BTreeSet::new();
        for entry in listing.entries {
            if is_sample(trigger, &entry.name, entry.kind) {
                continue;
            }
            let at = path.join(&entry.name);
            if let Ok(Some(identity)) = self.root.identity(&at) {
                self.keep_entry(&at, trigger, identity, depth_left - 1, notices);
            }
            names.insert(entry.name);
        }
        Body::Names(names)
    }
}

/// Whether this is a sample hook, which git never runs under that name.
pub(super) fn is_sample(trigger: &Trigger, name: &OsStr, kind: Kind) -> bool {
    trigger.judge == Judge::Hooks && kind == Kind::File && name.as_bytes().ends_with(b".sample")
}
