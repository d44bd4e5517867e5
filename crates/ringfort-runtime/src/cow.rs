// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copy-on-write runs in the state folder: one private folder each, from the start of the run until its changes are
//! applied or discarded.
//!
//! In: a session that begins such a run; later the name of one. Out: [`CowFolder`], locked for as long as it is held.
//!
//! **Invariant:** nothing sweeps these folders: after a crash the changes are still there, and said to be unfinished.
//! A folder is used by one process at a time. Reading and applying is `ringfort-sandbox`'s business.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use ringfort_core::clock::Timestamp;
use ringfort_core::digest::{Digest, DigestWriter};
use ringfort_core::entry::Entry;
use ringfort_sandbox::cow::{self, BeginError, Begun, Change, Changes, Layer, What};
use ringfort_sandbox::profile::{DegreeRequest, NATIVE};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use serde::{Deserialize, Serialize};

use crate::session::Session;
use crate::state::{StateError, StateFolder, make_private};

/// Letters of a run's name: the first of its session's.
const NAME_LENGTH: usize = 12;
/// Fewest letters by which a run may be named.
pub const PREFIX_LENGTH_MIN: usize = 4;
/// Most runs that are listed.
pub const RUNS_MAX: usize = 1_024;
/// Most letters of a command that are kept.
const COMMAND_CHARS_MAX: usize = 200;

const RECORD: &str = "record.json";
const LOCK: &str = "lock";

/// Why a run's changes cannot be used. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CowError {
    /// The state folder.
    #[error(transparent)]
    State(#[from] StateError),
    /// The run's folder.
    #[error("cannot use the changes `{name}`")]
    Folder {
        /// The run.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// There is none of that name.
    #[error("there are no changes `{name}`")]
    Missing {
        /// What was asked for.
        name: String,
    },
    /// More than one name begins so.
    #[error("several runs have a name that begins with `{name}`")]
    Ambiguous {
        /// What was asked for.
        name: String,
    },
    /// The run goes on, or another command works on its changes.
    #[error("the run `{name}` goes on, or another command works on its changes")]
    Busy {
        /// The run.
        name: String,
    },
    /// There is no layer.
    #[error(transparent)]
    Begin(#[from] BeginError),
}

/// What is known of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CowRecord {
    /// Version of this record.
    pub version: u32,
    /// Its session.
    pub session: String,
    /// When it began.
    pub began: Timestamp,
    /// What ran, for people.
    pub command: String,
    /// What it changed, and where that is.
    pub layer: Layer,
    /// What was counted at its end; nothing if it did not come to one.
    pub end: Option<Counts>,
}

/// How many changes there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// New entries.
    pub added: u64,
    /// Changed ones.
    pub modified: u64,
    /// Deleted ones, with what was in deleted folders.
    pub deleted: u64,
    /// Those that a person has to agree to explicitly.
    pub concerns: u64,
    /// Those that have changed outside as well.
    pub conflicts: u64,
}

impl Counts {
    /// Counts `changes`.
    pub fn of(changes: &[Change]) -> Self {
        let mut counts = Self::default();
        for change in changes {
            match change.what {
                What::Added => counts.added += 1,
                What::Modified | What::Replaced => counts.modified += 1,
                What::Deleted => counts.deleted += 1 + change.below,
            }
            counts.concerns += u64::from(change.concern.is_some());
            counts.conflicts += u64::from(change.conflict.is_some());
        }
        counts
    }

    /// The counts as facts of an entry.
    pub fn facts(&self, entry: Entry) -> Entry {
        entry
            .fact("added", self.added)
            .fact("modified", self.modified)
            .fact("deleted", self.deleted)
            .fact("concerns", self.concerns)
            .fact("conflicts", self.conflicts)
    }
}

/// What a list of changes says, in one word for the record.
pub fn digest(changes: &[Change]) -> Digest {
    use std::os::unix::ffi::OsStrExt as _;
    let mut writer = DigestWriter::new("ringfort.cow.changes.v1");
    for change in changes {
        writer.bytes(change.path.as_os_str().as_bytes());
        let what = serde_json::to_vec(&(change.what, &change.before, &change.after, &change.aspects));
        writer.bytes(&what.unwrap_or_default());
    }
    writer.finish()
}

/// The private folder of one run, locked.
#[derive(Debug)]
pub struct CowFolder {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What is known of it.
    pub record: CowRecord,
    #[expect(dead_code, reason = "held, not read: its lock says that somebody works here")]
    lock: OwnedFd,
}

/// One run of a list.
#[derive(Debug)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// What is known of it, or why nothing is.
    pub record: Result<CowRecord, io::Error>,
    /// Whether it goes on, or its changes are being worked on.
    pub is_busy: bool,
}

/// What a run is to begin with, besides its session.
pub struct CowContext<'a> {
    /// Where it is kept.
    pub state: &'a StateFolder,
    /// An overlay or a copy.
    pub wish: cow::Wish,
    /// Hears how many entries and bytes were copied; nothing once that is over.
    pub progress: &'a dyn Fn(Option<(usize, u64)>),
}

impl CowFolder {
    /// Begins a copy-on-write run of `session`: makes its folder and turns the profile to it.
    ///
    /// # Errors
    ///
    /// [`CowError`]: the session's profile is as it was, and nothing in the workspace has changed.
    pub fn begin(session: &mut Session, command: &str, context: &CowContext<'_>) -> Result<Self, CowError> {
        let name: String = session.name.chars().take(NAME_LENGTH).collect();
        let path = context.state.cow()?.join(&name);
        make_private(&path)?;
        let lock = lock(&path, &name)?;
        let wish = match session.profile.degree {
            DegreeRequest::Minimal => cow::Wish::Copy,
            // A container or another program makes the mounts, and overlays are not among them.
            _ if session.profile.runtime != NATIVE => cow::Wish::Copy,
            _ => context.wish,
        };
        let guarded = session.profile.protected.clone();
        let mut is_told = false;
        let mut progress = |entries, bytes| {
            is_told = true;
            (context.progress)(Some((entries, bytes)));
        };
        let places = (session.profile.hidden.as_slice(), guarded.as_slice());
        let begun = cow::begin(&session.workspace, &path, wish, places, &mut progress);
        if is_told {
            (context.progress)(None);
        }
        let Begun { view, layer, notes } = match begun {
            Ok(begun) => begun,
            Err(error) => {
                // What cannot be removed is listed as unreadable and can be discarded.
                cow::remove(&path).ok();
                return Err(error.into());
            }
        };
        for note in notes {
            session.warn(&note);
        }
        let command = command.chars().take(COMMAND_CHARS_MAX).collect();
        let record = CowRecord {
            version: 1,
            session: session.name.clone(),
            began: session.clock.now(),
            command,
            layer,
            end: None,
        };
        let folder = Self { name, path, record, lock };
        folder.write()?;
        session.profile.cow = Some(view);
        session.profile.protected.clear();
        session.profile.staged.clear();
        Ok(folder)
    }

    /// Opens the run whose name begins with `name`.
    ///
    /// # Errors
    ///
    /// [`CowError`]: there is none, or several, or it is in use.
    pub fn open(state: &StateFolder, name: &str) -> Result<Self, CowError> {
        let path = find(state, name)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let lock = lock(&path, &name)?;
        let record = read_record(&path).map_err(|source| CowError::Folder { name: name.clone(), source })?;
        Ok(Self { name, path, record, lock })
    }

    /// The changes.
    ///
    /// # Errors
    ///
    /// They cannot be read as a whole.
    pub fn changes(&self) -> Result<Changes, cow::ReadError> {
        cow::changes(&self.record.layer, &self.path)
    }

    /// Notes that the run has come to its end with these changes.
    ///
    /// # Errors
    ///
    /// It will be listed as unfinished.
    pub fn end(&mut self, changes: &Changes) -> Result<(), CowError> {
        let kept = cow::keep_seen(&self.path, changes);
        kept.map_err(|source| CowError::Folder { name: self.name.clone(), source })?;
        self.record.end = Some(Counts::of(&changes.list));
        self.write()
    }

    /// Removes the changes for good.
    ///
    /// # Errors
    ///
    /// Some of them are left.
    pub fn discard(self) -> Result<(), CowError> {
        cow::remove(&self.path).map_err(|source| CowError::Folder { name: self.name.clone(), source })
    }

    fn write(&self) -> Result<(), CowError> {
        let failed = |source: io::Error| CowError::Folder { name: self.name.clone(), source };
        let new = self.path.join("record.json.new");
        let text = serde_json::to_vec_pretty(&self.record).map_err(|error| failed(error.into()))?;
        let write = || -> io::Result<()> {
            let file = std::fs::File::create(&new)?;
            io::Write::write_all(&mut &file, &text)?;
            file.sync_data()?;
            std::fs::rename(&new, self.path.join(RECORD))
        };
        write().map_err(failed)
    }
}

/// Removes a run whose record cannot be read.
///
/// # Errors
///
/// [`CowError`]: it is in use, or not there.
pub fn discard_unreadable(state: &StateFolder, name: &str) -> Result<String, CowError> {
    let path = find(state, name)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let _lock = lock(&path, &name)?;
    cow::remove(&path).map_err(|source| CowError::Folder { name: name.clone(), source })?;
    Ok(name)
}

/// Every run with changes, the oldest first.
///
/// # Errors
///
/// The state folder must not be used.
pub fn list(state: &StateFolder) -> Result<Vec<Listed>, CowError> {
    let folder = state.cow()?;
    let entries = std::fs::read_dir(&folder);
    let entries = entries.map_err(|source| CowError::Folder { name: folder.display().to_string(), source })?;
    let mut runs: Vec<Listed> = Vec::new();
    for entry in entries.flatten().take(RUNS_MAX) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_name(&name) {
            let is_busy = matches!(lock(&entry.path(), &name), Err(CowError::Busy { .. }));
            runs.push(Listed { record: read_record(&entry.path()), name, is_busy });
        } else if name.starts_with(cow::GONE) {
            // What cannot be removed now is tried again the next time.
            cow::remove_rest(&entry.path()).ok();
        }
    }
    runs.sort_by_key(|run| run.record.as_ref().map_or(0, |record| record.began.0));
    Ok(runs)
}

/// Whether this may be the name of a run, or its beginning.
pub fn is_name(name: &str) -> bool {
    (PREFIX_LENGTH_MIN..=NAME_LENGTH).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn find(state: &StateFolder, name: &str) -> Result<PathBuf, CowError> {
    let missing = || CowError::Missing { name: name.to_owned() };
    if !is_name(name) {
        return Err(missing());
    }
    let runs = list(state)?;
    let mut found = runs.iter().filter(|run| run.name.starts_with(name));
    match (found.next(), found.next()) {
        (Some(run), None) => Ok(state.cow()?.join(&run.name)),
        (None, _) => Err(missing()),
        (Some(_), Some(_)) => Err(CowError::Ambiguous { name: name.to_owned() }),
    }
}

fn read_record(path: &Path) -> io::Result<CowRecord> {
    Ok(serde_json::from_slice(&std::fs::read(path.join(RECORD))?)?)
}

fn lock(path: &Path, name: &str) -> Result<OwnedFd, CowError> {
    let failed = |source: io::Error| CowError::Folder { name: name.to_owned(), source };
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let lock = rustix::fs::open(path.join(LOCK), flags, Mode::RUSR | Mode::WUSR).map_err(|e| failed(e.into()))?;
    match flock(lock.as_fd(), FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(CowError::Busy { name: name.to_owned() }),
        Err(error) => Err(failed(error.into())),
    }
}
