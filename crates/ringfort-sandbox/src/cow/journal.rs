// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an application of changes has decided to do, on disk before it does it; and what was applied before.
//!
//! In: steps. Out: the same steps after a crash, to be carried out to their end.
//!
//! **Invariant:** a journal is whole or not there. Each step names the inodes that it moves, so that it can be seen
//! whether it was done.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::ENTRIES_MAX;
use super::facts::{Facts, Kind, Xattr};
use super::layer::{Known, Mark, RelativePath};
use crate::startup::beneath::{self, Root};

/// Name of the journal in the private folder of a run.
const JOURNAL: &str = "apply.json";
/// Its name once every step is done and only the tidying is left.
const DONE: &str = "apply.done.json";
/// Name under which it is written.
const JOURNAL_NEW: &str = "apply.json.new";
/// Name of the file with what was applied.
const ACCEPTED: &str = "applied";
/// Name of the file with what the real entries were when the run ended.
const SEEN: &str = "seen";

/// Which entry is meant, whatever its name is. All lie in one mount, whose device may have another number after the
/// machine was started anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Which {
    pub(super) inode: u64,
}

impl From<&Facts> for Which {
    fn from(facts: &Facts) -> Self {
        Self { inode: facts.inode }
    }
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Doing {
    /// Moves the prepared entry to a free name.
    Add { new: Which },
    /// Exchanges the prepared entry and the one that stands there.
    Swap { new: Which, old: Which },
    /// Moves the one that stands there away.
    Remove { old: Which },
}

/// One step. Steps do not depend on each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Step {
    pub(super) path: RelativePath,
    /// Name in the staging folder.
    pub(super) slot: String,
    pub(super) doing: Doing,
}

/// What a folder is to be in the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Finish {
    pub(super) path: RelativePath,
    /// Permission bits, if they are to be set.
    pub(super) mode: Option<u32>,
    /// Attributes, if they are to be set: all that are there afterwards.
    pub(super) xattrs: Option<Vec<Xattr>>,
    pub(super) modified: Option<Mark>,
}

/// Everything that is left to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Journal {
    /// Name of the staging folder in the workspace.
    pub(super) staging: String,
    pub(super) staging_is: Which,
    /// The workspace folder's own time before.
    pub(super) top_modified: Mark,
    pub(super) steps: Vec<Step>,
    /// Folders that have to be writable meanwhile, and the modes that they had.
    pub(super) shut: Vec<(RelativePath, u32)>,
    pub(super) finish: Vec<Finish>,
}

/// How far an application came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Some steps may be left.
    Steps,
    /// Every step is done.
    Tidying,
}

impl Journal {
    /// The journal of an application that did not end, and how far it came; `None` if there is none.
    pub(super) fn read(folder: &Path) -> io::Result<Option<(Self, Phase)>> {
        for (name, phase) in [(JOURNAL, Phase::Steps), (DONE, Phase::Tidying)] {
            match std::fs::read(folder.join(name)) {
                Ok(bytes) => return Ok(Some((serde_json::from_slice(&bytes)?, phase))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Notes that every step is done: from here on what was replaced may go.
    pub(super) fn steps_are_done(folder: &Path) -> io::Result<()> {
        std::fs::rename(folder.join(JOURNAL), folder.join(DONE))?;
        std::fs::File::open(folder)?.sync_all()
    }

    /// Puts the journal on disk.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let root = Root::open(folder)?;
        let bytes = serde_json::to_vec(self)?;
        let place = root.directory(Path::new(""))?;
        // One that a crash left; if it cannot go, the writing says so.
        rustix::fs::unlinkat(&place, JOURNAL_NEW, rustix::fs::AtFlags::empty()).ok();
        let file = beneath::write_fresh(place.as_fd(), OsStr::new(JOURNAL_NEW), &bytes, 0o600)?;
        file.sync_all()?;
        rustix::fs::renameat(&place, JOURNAL_NEW, &place, JOURNAL)?;
        rustix::fs::fsync(&place)?;
        Ok(())
    }

    /// Takes the journal away: everything is done, or undone.
    pub(super) fn clear(folder: &Path) -> io::Result<()> {
        for name in [JOURNAL, DONE] {
            match std::fs::remove_file(folder.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// What stood at a path; `None` if nothing did.
type Entries = BTreeMap<PathBuf, Option<Known>>;

fn read_lines(path: &Path) -> io::Result<Entries> {
    let file = match std::fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Entries::new()),
        other => other?,
    };
    let mut entries = Entries::new();
    for line in BufReader::new(file).lines().take(ENTRIES_MAX) {
        // A line that a crash cut short says nothing.
        let Ok(line) = serde_json::from_str::<EntryLine>(&line?) else { continue };
        entries.insert(line.path.0, line.known);
    }
    Ok(entries)
}

fn write_lines(path: &Path, lines: Vec<(PathBuf, Option<Facts>)>) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    let mut file = io::BufWriter::new(std::fs::File::from(rustix::fs::open(path, flags, mode)?));
    for (path, facts) in lines {
        let line = EntryLine { path: RelativePath(path), known: facts.as_ref().map(Known::from) };
        serde_json::to_writer(&mut file, &line)?;
        file.write_all(b"\n")?;
    }
    file.flush()
}

/// What the real entries were when the run ended, of those that it changed. After a crash nothing is known of them, and
/// the kernel's own times have to do.
#[derive(Debug, Default)]
pub(super) struct Seen(Entries);

impl Seen {
    pub(super) fn read(folder: &Path) -> io::Result<Self> {
        read_lines(&folder.join(SEEN)).map(Self)
    }

    pub(super) fn write(folder: &Path, lines: Vec<(PathBuf, Option<Facts>)>) -> io::Result<()> {
        write_lines(&folder.join(SEEN), lines)
    }

    /// Whether what stands there now is something else than then.
    pub(super) fn differs(&self, path: &Path, now: Option<&Facts>) -> bool {
        let Some(then) = self.0.get(path) else { return false };
        match (then, now.map(Known::from)) {
            (Some(then), Some(now)) if then.kind == Kind::Folder => {
                (then.kind, then.inode, then.mode) != (now.kind, now.inode, now.mode)
            }
            (then, now) => *then != now,
        }
    }
}

/// Real entries that stand as an application left them: no change from outside.
#[derive(Debug, Default)]
pub(super) struct Accepted(Entries);

#[derive(Serialize, Deserialize)]
struct EntryLine {
    path: RelativePath,
    known: Option<Known>,
}

impl Accepted {
    pub(super) fn read(folder: &Path) -> io::Result<Self> {
        read_lines(&folder.join(ACCEPTED)).map(Self)
    }

    /// Adds what stands now.
    pub(super) fn add(folder: &Path, lines: Vec<(PathBuf, Option<Facts>)>) -> io::Result<()> {
        write_lines(&folder.join(ACCEPTED), lines)
    }

    pub(super) fn holds(&self, path: &Path, facts: &Facts) -> bool {
        let known = Known::from(facts);
        self.0.get(path).and_then(Option::as_ref).is_some_and(|accepted| {
            // A folder's own times and size change with what is in it.
            let is_folder = facts.kind == Kind::Folder;
            *accepted == known
                || (is_folder
                    && (accepted.kind, accepted.inode, accepted.mode) == (known.kind, known.inode, known.mode))
        })
    }

    pub(super) fn is_removed(&self, path: &Path) -> bool {
        matches!(self.0.get(path), Some(None))
    }
}
