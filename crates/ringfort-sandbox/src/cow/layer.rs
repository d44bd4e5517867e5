// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is known of a run's layer: what it is, of which workspace, and since when.
//!
//! In: written at the start of a run. Out: read by whoever lists, applies or discards its changes.
//!
//! **Invariant:** the moments come from the clocks of the file systems themselves, by making a file there, so that they
//! compare with the times of their files. Paths survive whatever bytes they have.

use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::AtFlags;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::copy::fresh_file;
use super::facts::{Facts, Kind, facts_at};
use crate::startup::beneath::Moment;

/// How long to wait at most for a file system's clock to move on. Milliseconds; a tick is 10 at most.
const TICK_MS_MAX: u32 = 200;

/// How the changes of a run are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// The upper folder of an overlay.
    Overlay,
    /// A whole copy of the workspace.
    Copy,
}

/// A point in a file system's own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    /// Seconds since 1970.
    pub seconds: i64,
    /// The rest.
    pub nanoseconds: u32,
}

impl From<Moment> for Mark {
    fn from(moment: Moment) -> Self {
        Self { seconds: moment.seconds, nanoseconds: moment.nanoseconds }
    }
}

impl From<Mark> for Moment {
    fn from(mark: Mark) -> Self {
        Self { seconds: mark.seconds, nanoseconds: mark.nanoseconds }
    }
}

/// A path that keeps its bytes in JSON: text where it is text, otherwise `{"hex": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RelativePath(pub PathBuf);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Bytes { hex: String },
}

impl Serialize for RelativePath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = match self.0.to_str() {
            Some(text) => Written::Text(text.to_owned()),
            None => {
                let hex = self.0.as_os_str().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
                Written::Bytes { hex }
            }
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RelativePath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Text(text) => Ok(Self(PathBuf::from(text))),
            Written::Bytes { hex } => {
                let pairs = hex.as_bytes().chunks(2).map(|pair| {
                    let text = std::str::from_utf8(pair).map_err(serde::de::Error::custom)?;
                    u8::from_str_radix(text, 16).map_err(serde::de::Error::custom)
                });
                let bytes: Vec<u8> = pairs.collect::<Result<_, D::Error>>()?;
                Ok(Self(PathBuf::from(OsStr::from_bytes(&bytes))))
            }
        }
    }
}

/// What is known of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// The real workspace, absolute.
    pub workspace: PathBuf,
    /// The inode of the workspace folder: another folder at its path is not the workspace.
    pub inode: u64,
    /// How its changes are kept.
    pub form: Form,
    /// What changed in the real workspace after this moment changed during the run or later.
    pub started: Mark,
    /// What changed in a copy after this moment was changed by the program.
    pub copied: Mark,
    /// Paths, relative to the workspace, that the program could not see and of which nothing is applied.
    pub hidden: Vec<RelativePath>,
    /// Further paths that are applied only on an explicit yes.
    pub guarded: Vec<RelativePath>,
}

impl Layer {
    pub(super) fn is_hidden(&self, path: &Path) -> bool {
        self.hidden.iter().any(|hidden| path.starts_with(&hidden.0))
    }

    /// Whether a change of `path` reaches something guarded; with `goes`, everything below it is gone afterwards.
    pub(super) fn is_guarded(&self, path: &Path, goes: bool) -> bool {
        self.guarded.iter().any(|guarded| path.starts_with(&guarded.0) || (goes && guarded.0.starts_with(path)))
    }
}

/// The identity of a real entry, kept while a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) size: u64,
    pub(super) inode: u64,
    pub(super) modified: Mark,
    pub(super) changed: Mark,
}

impl From<&Facts> for Known {
    fn from(facts: &Facts) -> Self {
        Self {
            kind: facts.kind,
            mode: facts.mode,
            size: facts.size,
            inode: facts.inode,
            modified: facts.modified.into(),
            changed: facts.changed.into(),
        }
    }
}

/// The present moment of the file system of `folder`, which is its own and empty; returns only after its clock has
/// moved on, so that whatever happens from now on is later.
pub(super) fn mark(folder: BorrowedFd<'_>) -> Result<Mark, Errno> {
    let first = probe(folder)?;
    for _ in 0..TICK_MS_MAX {
        if probe(folder)? > first {
            return Ok(first);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Err(Errno::TIMEDOUT)
}

fn probe(folder: BorrowedFd<'_>) -> Result<Mark, Errno> {
    let name = OsStr::new("clock");
    drop(fresh_file(folder, name)?);
    let facts = facts_at(folder, name)?;
    rustix::fs::unlinkat(folder, name, AtFlags::empty())?;
    facts.map(|facts| facts.changed.into()).ok_or(Errno::NOENT)
}
