// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a change is.
//!
//! In: made by `compare`. Out: read by whoever shows or applies changes.
//!
//! **Invariant:** a change carries what it was compared with, so that applying it can tell whether that still stands.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use super::ENTRIES_MAX;
use super::facts::{Facts, Kind};
use crate::startup::beneath::Moment;

/// Why a layer cannot be read. Nothing has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The layer, or a part of it.
    #[error("cannot read `{}` of the changes", crate::startup::shown(path))]
    Layer {
        /// The path, relative to the workspace.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The real workspace, or a part of it.
    #[error("cannot read `{}` of the workspace", crate::startup::shown(path))]
    Workspace {
        /// The path, relative to it.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The layer holds what no cage of ours makes.
    #[error("`{}` of the changes is not understood", crate::startup::shown(path))]
    Foreign {
        /// The path, relative to the workspace.
        path: PathBuf,
    },
    /// There are too many entries.
    #[error("the changes have more than {ENTRIES_MAX} entries")]
    TooMany,
}

/// What happened to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// It is new.
    Added,
    /// It is gone.
    Deleted,
    /// It is what it was, with other content or attributes.
    Modified,
    /// Something of another kind stands there.
    Replaced,
}

/// In which way an entry differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Aspect {
    /// Its bytes, or where a link leads.
    Content,
    /// Its permission bits.
    Mode,
    /// The time of its last change.
    Times,
    /// Extended attributes.
    Attributes,
    /// It is one file under several names.
    Links,
}

/// An entry before or after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Side {
    /// What it is.
    pub kind: Kind,
    /// Permission bits with the set-user, set-group and sticky bits.
    pub mode: u32,
    /// Size in bytes.
    pub size: u64,
}

impl From<&Facts> for Side {
    fn from(facts: &Facts) -> Self {
        Self { kind: facts.kind, mode: facts.mode, size: facts.size }
    }
}

/// One change.
#[derive(Clone, Debug)]
pub struct Change {
    /// Relative to the workspace; empty for the workspace itself.
    pub path: PathBuf,
    /// What happened.
    pub what: What,
    /// What stands there now.
    pub before: Option<Side>,
    /// What would stand there.
    pub after: Option<Side>,
    /// In which way it differs.
    pub aspects: BTreeSet<Aspect>,
    /// A deleted file with the same content.
    pub renamed_from: Option<PathBuf>,
    /// How many entries go with a deleted folder.
    pub below: u64,
    /// Whether it is a part of a folder that is new as a whole.
    pub is_within: bool,
    /// Why it cannot be applied: the real entry changed since the run began.
    pub conflict: Option<String>,
    /// Why it is applied only on an explicit yes.
    pub concern: Option<String>,
    /// Why it is never applied.
    pub left_out: Option<String>,
    pub(super) old: Option<Facts>,
    pub(super) new: Option<Facts>,
}

/// Everything that a run changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// Each change, folders before what is in them.
    pub list: Vec<Change>,
    /// Folders whose time is the only thing that differs.
    pub(super) folder_times: Vec<(PathBuf, Moment)>,
}

impl Changes {
    /// Whether there is nothing to apply.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}
