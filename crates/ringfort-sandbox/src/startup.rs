// SPDX-License-Identifier: MIT OR Apache-2.0
//! Start-up files: nothing that a caged program leaves in the workspace makes a program outside run its code.
//!
//! In: a workspace before the start ([`plan`]) and after the end ([`settle`]) of a cage. Out: what the cage has to
//! mount read-only or as a copy, and then what was kept, applied, put back and moved to quarantine, each with why.
//! What counts is data in [`trigger`]; the git settings known to be harmless are data in `gitkeys`.
//!
//! **Invariant:** whatever is new or changed in such a place and is not shown to be harmless loses its name: it is
//! moved to quarantine, or renamed in place where that fails, and a fault tells what could not even be renamed.
//! Nothing is deleted, no link is followed, nothing outside the workspace, scratch and quarantine is written.
//! This module mounts nothing, and it does not judge project code (build scripts, manifests, tests): that is the
//! agent's work, and running it is the reader's own act.
//!
//! During the run a *new* start-up file is live for programs outside until [`settle`] judged it.

pub(crate) mod beneath;
pub(crate) mod concern;
mod gitconfig;
mod gitkeys;
mod judge;
mod make;
mod quarantine;
mod repository;
mod settle;
mod snapshot;
mod staged;
pub mod trigger;
mod walk;

pub use gitconfig::ConfigError;
pub use make::{PlanError, plan};
pub use quarantine::{QUARANTINE_COPY_BYTES_MAX, Record};
pub use settle::{Enforcement, settle};
pub use snapshot::Snapshot;

use std::ffi::OsStr;
use std::fmt;
use std::path::{Component, Path, PathBuf};

/// Most entries of each list in [`Settled`]; more are counted in `omitted`, and still acted upon.
pub const CHANGES_LISTED_MAX: usize = 4_096;

/// What a cage has to do with the start-up files that exist.
#[derive(Debug)]
pub struct Plan {
    /// Absolute paths to mount read-only over themselves, each parent up to the workspace a mount point. Files,
    /// folders and *symbolic links* (to be mounted without following); none lies below another.
    pub protected: Vec<PathBuf>,
    /// Files whose changes go to a copy.
    pub staged: Vec<StagedFile>,
    /// What could not be covered. A caller that requires full cover refuses to start if [`Notice::weakens`] is
    /// true of any.
    pub notices: Vec<Notice>,
    /// How everything was at the start.
    pub snapshot: Snapshot,
}

/// A file of the workspace that is written as a copy inside the cage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedFile {
    /// The file, absolute.
    pub path: PathBuf,
    /// Its copy, absolute: alone in a private folder, which may be mounted writable as a whole.
    pub scratch: PathBuf,
}

/// Something that could not be covered, or that a person should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A folder was not looked into: too deep, too large, generated, or unreadable. Start-up files in it are not
    /// protected; at the end those are judged that changed since the start.
    Unvisited(PathBuf),
    /// More folders than are named were not looked into.
    UnvisitedMany,
    /// A `.git` file leads outside the workspace; nothing of that repository is protected by this plan.
    GitOutside {
        /// The `.git` file.
        path: PathBuf,
        /// Where it leads, as it says.
        target: PathBuf,
    },
    /// A start-up file has other names, through which it may be written in spite of a mount. It is put back at the
    /// end if it changed.
    HardLinked {
        /// The file.
        path: PathBuf,
        /// How many names it has.
        links: u32,
    },
    /// A git configuration cannot be read as such, so it is read-only inside instead of staged.
    NotStaged {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// No copy was kept, so that a change would be noticed but could not be undone.
    NotKept(PathBuf),
    /// There are more start-up files than are mounted read-only; this one can be changed inside.
    NotProtected(PathBuf),
}

impl Notice {
    /// Whether some start-up file may be unprotected because of this.
    #[must_use]
    pub fn weakens(&self) -> bool {
        matches!(self, Self::Unvisited(_) | Self::UnvisitedMany | Self::HardLinked { .. } | Self::NotProtected(_))
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unvisited(path) => write!(f, "start-up files below `{}` were not looked for", shown(path)),
            Self::UnvisitedMany => write!(f, "many more folders were not looked into for start-up files"),
            Self::GitOutside { path, target } => {
                write!(f, "`{}` leads git outside the workspace, to `{}`", shown(path), shown(target))
            }
            Self::HardLinked { path, links } => write!(f, "`{}` has {links} names (hard links)", shown(path)),
            Self::NotStaged { path, why } => write!(f, "`{}` is read-only inside: {why}", shown(path)),
            Self::NotProtected(path) => {
                write!(f, "`{}` is not protected: there are too many start-up files", shown(path))
            }
            Self::NotKept(path) => write!(f, "`{}` is too large to keep a copy of", shown(path)),
        }
    }
}

/// One thing that happened to a start-up file. Paths are relative to the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The file.
    pub path: PathBuf,
    /// What it is.
    pub what: String,
    /// Why it was treated so.
    pub why: String,
}

/// A start-up file, or some settings of one, that did not take effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The file, what it is, and why.
    pub change: Change,
    /// The folder in quarantine with `content` and `record.json`, or the harmless name in the workspace.
    pub moved_to: PathBuf,
}

/// What became of the start-up files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// New or changed, and harmless or only to be reported.
    pub kept: Vec<Change>,
    /// Settings that were written inside and now hold outside.
    pub applied: Vec<Change>,
    /// Put back as they were at the start.
    pub restored: Vec<Change>,
    /// Moved away.
    pub quarantined: Vec<Quarantined>,
    /// What went wrong: a protection that did not hold, a file that could not be moved. Never empty if something
    /// harmful may still be in place.
    pub faults: Vec<Change>,
    /// What was not inspected.
    pub notices: Vec<Notice>,
    /// Start-up files that are as they were.
    pub unchanged: u64,
    /// Changes that the lists leave out.
    pub omitted: u64,
}

impl Settled {
    /// Whether nothing needs a person's attention.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.quarantined.is_empty() && self.faults.is_empty() && self.restored.is_empty() && self.omitted == 0
    }
}

/// `path` for a message: escaped where it is not plain text.
pub(crate) fn shown(path: &Path) -> impl fmt::Display + '_ {
    OsStr::as_encoded_bytes(path.as_os_str()).escape_ascii()
}

/// `base`/`path` without `.` and `..`; `None` if it climbs above the workspace. Links are not resolved.
pub(crate) fn lexical(base: &Path, path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for part in base.components().chain(path.components()) {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !clean.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(clean)
}

#[cfg(test)]
mod tests;
