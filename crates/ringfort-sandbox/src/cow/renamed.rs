// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds files that were only given another name. For showing: they are applied as what they are.
//!
//! In: a list of changes and both trees. Out: the same list with `renamed_from` where it holds.
//!
//! **Invariant:** a file counts as renamed only when every byte is the same. The work is bounded; what is not found is
//! shown as deleted and added.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::change::{Change, Side, What};
use super::copy::is_same_content;
use super::facts::{Kind, Opened, open_in_layer};
use crate::startup::beneath::Root;

/// Most pairs of deleted and added files that are compared to find renamed ones.
const RENAME_PAIRS_MAX: usize = 4_096;
/// Largest file that is compared to find a renamed one. Bytes.
const RENAME_BYTES_MAX: u64 = 16 << 20;

/// Notes which added files are deleted ones under another name.
pub(super) fn find(list: &mut [Change], new: &Root, real: &Root) {
    let is_candidate = |side: Option<Side>| side.is_some_and(|s| s.kind == Kind::File && s.size > 0);
    let mut gone: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
    for change in list.iter().filter(|change| change.what == What::Deleted && is_candidate(change.before)) {
        gone.entry(change.before.map_or(0, |side| side.size)).or_default().push(change.path.clone());
    }
    let mut pairs = 0;
    for change in list.iter_mut().filter(|change| change.what == What::Added && is_candidate(change.after)) {
        let size = change.after.map_or(0, |side| side.size);
        let Some(paths) = gone.get_mut(&size).filter(|_| size <= RENAME_BYTES_MAX) else { continue };
        let found = paths.iter().position(|path| {
            pairs += 1;
            pairs <= RENAME_PAIRS_MAX && is_same_file(&change.path, new, path, real, size)
        });
        if let Some(found) = found {
            change.renamed_from = Some(paths.remove(found));
        }
    }
}

fn is_same_file(one: &Path, new: &Root, other: &Path, real: &Root, size: u64) -> bool {
    let mut opened = Opened::default();
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    match (open_in_layer(new, one, &mut opened), real.open_at(other, flags, Mode::empty())) {
        (Ok(one), Ok(other)) => is_same_content(one.as_fd(), other.as_fd(), size).unwrap_or(false),
        _ => false,
    }
}
