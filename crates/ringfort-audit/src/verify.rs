// SPDX-License-Identifier: MIT OR Apache-2.0
//! Verification: the first entry that is not as it was written, and what kind of fault that is.
//!
//! In: the folder of a trail, which anybody may have edited. Out: a [`Report`].
//!
//! **Invariant:** every byte of every segment is read and accounted for; memory is bounded, whatever the trail holds;
//! the same trail gives the same first fault however many threads read it. Nothing is changed or repaired here, and
//! what only an anchor outside the folder can show (a rewrite of everything) is not claimed.

mod block;
mod merge;
mod source;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ringfort_core::digest::Digest;
use serde::Serialize;

use crate::chain::LOCK_NAME;
use crate::dir::{Access, Dir, FileError, Modes};
use crate::fault::{Fault, FaultKind, Note, NoteKind};
use crate::head::{self, HEAD_NAME, HEAD_NEW_NAME, Head, Pair};
use crate::lock::{self, Share};
use crate::sync::SYNC_LOCK_NAME;
use crate::{Receipt, segment};
use block::Summary;
use merge::Merge;
use source::{BLOCK_BYTES, Segment, Source};

/// Most threads that read at once.
const THREADS_MAX: usize = 8;

/// How far the fastest thread may be ahead of the slowest. Blocks.
const AHEAD_MAX: u64 = 64;

/// Longest wait for writers to pause, so that the end of the trail is seen whole.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// What verification found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Entries that are as they were written, up to the first fault.
    pub entries: u64,
    /// Segments in the folder.
    pub segments: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// The last good entry.
    pub head: Option<Receipt>,
    /// The first fault; `None` for a clean trail.
    pub fault: Option<Fault>,
    /// What is worth knowing besides.
    pub notes: Vec<Note>,
}

impl Report {
    /// Whether there is no fault.
    pub fn is_clean(&self) -> bool {
        self.fault.is_none()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            None => write!(f, "clean: {} entries in {} segments", self.entries, self.segments)?,
            Some(fault) => write!(f, "not clean: {fault}; {} entries before it are good", self.entries)?,
        }
        if let Some(Receipt { seq, hash }) = &self.head {
            write!(f, "; last good entry {seq}, {hash}")?;
        }
        self.notes.iter().try_for_each(|note| write!(f, "\nnote: {}: {} ({})", note.kind, note.message, note.count))
    }
}

/// Verifies the trail in the folder `path`, with the modes and owners of its files.
///
/// Writers are held up for a moment, then what was there by then is read; entries may be appended meanwhile.
///
/// # Errors
///
/// A file cannot be read, so that nothing can be said. A fault is no error: it is in the report.
pub fn verify(path: &Path) -> Result<Report, FileError> {
    verify_in(path, Modes::Enforced)
}

/// Verifies a copy of a trail, whose modes and owners say nothing.
///
/// # Errors
///
/// As [`verify`].
pub fn verify_copy(path: &Path) -> Result<Report, FileError> {
    verify_in(path, Modes::Ignored)
}

fn verify_in(path: &Path, modes: Modes) -> Result<Report, FileError> {
    match Dir::open(path, modes).and_then(|dir| verify_dir(&dir)) {
        Err(FileError::Unsafe { path, what }) => Ok(unsafe_file(&path, what)),
        other => other,
    }
}

fn unsafe_file(path: &Path, what: &str) -> Report {
    let segment = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let fault = Fault { kind: FaultKind::WrongMode, segment, line: 0, seq: 0, message: what.to_owned() };
    Report { entries: 0, segments: 0, bytes: 0, head: None, fault: Some(fault), notes: Vec::new() }
}

fn verify_dir(dir: &Dir) -> Result<Report, FileError> {
    let snapshot = Snapshot::take(dir)?;
    let bytes: u64 = snapshot.segments.iter().map(|segment| segment.bytes).sum();
    let blocks = usize::try_from(bytes / BLOCK_BYTES as u64 + 1).unwrap_or(usize::MAX);
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX).min(blocks);
    let work = Work {
        source: Mutex::new(Source::new(dir, &snapshot.segments)),
        state: Mutex::new(State {
            merge: Merge::new(&snapshot),
            waiting: BTreeMap::new(),
            next: 0,
            over: false,
            error: None,
        }),
        moved: Condvar::new(),
        snapshot: &snapshot,
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| work.run());
        }
        work.run();
    });
    let State { merge, error, .. } = work.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match error {
        Some(error) => Err(error),
        None => merge.finish(dir),
    }
}

/// What there was to verify when verification began.
struct Snapshot {
    segments: Vec<Segment>,
    /// The marks that the trail must reach, with their entries' hashes.
    marks: Vec<head::Mark>,
    /// How far it was written, as the head says.
    written: Option<u64>,
    /// What is wrong with the head.
    head_fault: Option<FaultKind>,
    notes: Vec<Note>,
}

impl Snapshot {
    fn take(dir: &Dir) -> Result<Self, FileError> {
        let mut notes = Vec::new();
        let lock = match dir.file(LOCK_NAME, Access::Read) {
            Ok(file) => Some(file),
            Err(error) if error.is_missing() => None,
            Err(error) => return Err(error),
        };
        let held = lock.as_ref().map(|file| lock::hold(dir, file, LOCK_NAME, Share::Shared, LOCK_WAIT));
        if let Some(Err(error)) = &held {
            note(&mut notes, NoteKind::NotLocked, error.to_string());
        }
        let mut snapshot = Self { segments: Vec::new(), marks: Vec::new(), written: None, head_fault: None, notes };
        snapshot.read_head(dir)?;
        snapshot.list(dir)?;
        drop(held);
        Ok(snapshot)
    }

    fn read_head(&mut self, dir: &Dir) -> Result<(), FileError> {
        let Some(head) = Head::open(dir, Access::Read)? else {
            self.head_fault = Some(FaultKind::HeadMissing);
            return Ok(());
        };
        let written = head.read(dir, Pair::Written)?;
        let synced = head.read(dir, Pair::Synced)?;
        if written.damaged + synced.damaged > 0 || !head.is_whole(dir)? {
            self.head_fault = Some(FaultKind::HeadDamaged);
        }
        self.written = written.mark.as_ref().map(|mark| mark.next);
        // What was only written may be lost with the power; under the same kernel it may not.
        let boot = head::boot_id();
        self.marks.extend(written.mark.filter(|mark| !boot.is_empty() && mark.boot == boot));
        self.marks.extend(synced.mark);
        Ok(())
    }

    fn list(&mut self, dir: &Dir) -> Result<(), FileError> {
        for name in dir.names()? {
            if let Some(first) = segment::parse_name(&name) {
                let bytes = dir.stat(&name)?.map_or(0, |(_, bytes)| bytes);
                self.segments.push(Segment { first, name, bytes });
            } else if name.starts_with("torn-") && name.ends_with(".bin") {
                note(&mut self.notes, NoteKind::TornFile, format!("`{name}` holds what a writer left unfinished"));
            } else if ![HEAD_NAME, HEAD_NEW_NAME, LOCK_NAME, SYNC_LOCK_NAME].contains(&name.as_str()) {
                note(&mut self.notes, NoteKind::StrayFile, format!("`{name}` does not belong here"));
            }
        }
        self.segments.sort_by_key(|segment| segment.first);
        Ok(())
    }
}

/// Counts a note; the first of a kind keeps its words.
fn note(notes: &mut Vec<Note>, kind: NoteKind, message: String) {
    match notes.iter_mut().find(|note| note.kind == kind) {
        Some(note) => note.count += 1,
        None => notes.push(Note { kind, count: 1, seq: None, message }),
    }
}

/// What the threads share.
struct Work<'a> {
    source: Mutex<Source<'a>>,
    state: Mutex<State<'a>>,
    moved: Condvar,
    snapshot: &'a Snapshot,
}

struct State<'a> {
    merge: Merge<'a>,
    /// Summaries of blocks whose turn has not come.
    waiting: BTreeMap<u64, Summary>,
    /// The block whose turn it is.
    next: u64,
    over: bool,
    error: Option<FileError>,
}

impl Work<'_> {
    /// Reads blocks, checks them, and merges them in order, until there are no more.
    fn run(&self) {
        let mut buffer = Vec::new();
        loop {
            let next = self.source.lock().unwrap_or_else(PoisonError::into_inner).next(std::mem::take(&mut buffer));
            let block = match next {
                Ok(Some(block)) => block,
                Ok(None) => return,
                Err(error) => return self.stop(error),
            };
            let summary = block::check(&block, &self.snapshot.marks);
            buffer = block.buffer;
            if !self.merge(block.number, summary) {
                return;
            }
        }
    }

    fn stop(&self, error: FileError) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.over = true;
        state.error = Some(error);
        self.moved.notify_all();
    }

    /// Merges a summary when its turn has come; false when verification is over.
    fn merge(&self, number: u64, summary: Summary) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.insert(number, summary);
        while !state.over {
            let next = state.next;
            let Some(summary) = state.waiting.remove(&next) else { break };
            state.next += 1;
            state.over = !state.merge.apply(summary);
        }
        self.moved.notify_all();
        let mut state = self
            .moved
            .wait_while(state, |state| !state.over && number > state.next + AHEAD_MAX)
            .unwrap_or_else(PoisonError::into_inner);
        if state.over {
            state.waiting.clear();
        }
        !state.over
    }
}

/// A hash as the report shows it.
fn receipt(next: u64, hash: &str) -> Option<Receipt> {
    Some(Receipt { seq: next.checked_sub(1)?, hash: Digest::parse(hash)? })
}
