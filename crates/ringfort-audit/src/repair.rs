// SPDX-License-Identifier: MIT OR Apache-2.0
//! Recovery: from whatever a killed writer or a lost power supply left behind, to the last whole entry.
//!
//! In: the newest mark of the head and the segment it names. Out: an open segment that ends where its mark says.
//!
//! **Invariant:** only what lies beyond the mark, and was thus never acknowledged under this kernel, is ever cut off;
//! it is copied to a `torn-` file first and an entry says so. A whole line that does not belong, or an end before the
//! mark, is tampering: an error, and nothing is changed. After a restart of the kernel the mark of the last sync counts.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use ringfort_core::digest::Digest;
use ringfort_core::entry::Entry;
use serde::Serialize;

use crate::chain::{Chain, ChainError, Current, hex_digits};
use crate::dir::{Access, FileError};
use crate::fault::FaultKind;
use crate::head::{Mark, Pair};
use crate::lines::{Lines, Piece, read_some};
use crate::scan::{Line, diagnose, scan};
use crate::segment;

/// The event of a repair.
pub(crate) const REPAIRED_EVENT: &str = "trail.repaired";

/// Most quarantined pieces for one entry.
const TORN_FILES_MAX: u32 = 1000;

/// Bytes that are copied at a time.
const COPY_BYTES: usize = 64 << 10;

/// A repair that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repair {
    /// The entry that records it.
    pub seq: u64,
    /// The file, beside the segments, to which the piece was moved.
    pub file: String,
    /// Its size. Bytes.
    pub bytes: u64,
}

/// What follows a mark in its segment.
struct Tail {
    /// The mark after the last good line.
    mark: Mark,
    /// Why the next piece is no good line; `None` at the end of the file.
    bad: Option<Bad>,
}

enum Bad {
    /// An incomplete line.
    Torn,
    /// A whole line that does not belong.
    Line(FaultKind),
}

impl Chain {
    /// Opens the segment of `written` and brings file and head to the same point.
    pub(crate) fn recover(&mut self, written: Mark) -> Result<Current, ChainError> {
        let same_boot = !self.settings.boot.is_empty() && written.boot == self.settings.boot;
        let base = if same_boot { written.clone() } else { self.durable(&written)? };
        let file = self.open_segment(&base)?;
        let identity = self.dir.identity(&file)?;
        let size =
            file.metadata().map_err(|error| self.dir.error("examine", &segment::name(base.segment), error))?.len();
        if size < base.bytes {
            return Err(tampered(base.next.saturating_sub(1), FaultKind::Truncated));
        }
        self.check_last(&file, &base)?;
        let tail = self.read_tail(&file, &base, size)?;
        if let Some(Bad::Line(fault)) = tail.bad
            && same_boot
        {
            return Err(tampered(tail.mark.next, fault));
        }
        let moved = !tail.mark.same_point(&written) || !same_boot;
        let mut current = Current { mark: written, file, identity };
        if tail.bad.is_some() {
            self.quarantine_tail(&mut current, &tail.mark, size)?;
        } else if moved {
            let mut mark = Mark { boot: self.settings.boot.clone(), ..tail.mark };
            self.head.write(&self.dir, Pair::Written, &mut mark, current.mark.turn)?;
            current.mark = mark;
        }
        if !same_boot {
            self.syncer.sync_sealed(&current.file, &current.mark)?;
        }
        Ok(current)
    }

    /// From where a trail must be read again after a restart of the kernel: the last sync.
    fn durable(&self, written: &Mark) -> Result<Mark, ChainError> {
        let synced = self
            .head
            .mark(&self.dir, Pair::Synced)?
            .map_err(|fault| tampered(written.next.saturating_sub(1), fault))?;
        if synced.segment == written.segment || synced.next > written.next {
            return Ok(synced);
        }
        if written.segment != synced.next || written.previous != Some(synced.segment) {
            return Err(tampered(synced.next, FaultKind::HeadDamaged));
        }
        Ok(Mark { next: synced.next, hash: synced.hash, bytes: 0, line: 0, ..written.clone() })
    }

    fn open_segment(&self, base: &Mark) -> Result<File, ChainError> {
        let name = segment::name(base.segment);
        match self.dir.file(&name, Access::Write) {
            Ok(file) => Ok(file),
            Err(error) if error.is_missing() && base.bytes == 0 => {
                let file = self.dir.file(&name, Access::CreateNew)?;
                self.dir.sync()?;
                Ok(file)
            }
            Err(error) if error.is_missing() => Err(tampered(base.segment, FaultKind::SegmentMissing)),
            Err(error) => Err(error.into()),
        }
    }

    /// The last line before the mark must be the entry that the mark names.
    fn check_last(&self, file: &File, base: &Mark) -> Result<(), ChainError> {
        if base.bytes == 0 {
            return Ok(());
        }
        let last = base.next.saturating_sub(1);
        let mut lines = Lines::new(file, base.line, base.bytes);
        let fault = match lines.next().map_err(|error| self.read_error(base, error))? {
            Piece::Whole { line, .. } => match scan(line) {
                None => Some(diagnose(line)),
                Some(parsed) if !has_own_hash(&parsed) => Some(FaultKind::BadHash),
                Some(parsed) if parsed.seq != last || parsed.hash[..] != *base.hash.as_bytes() => {
                    Some(FaultKind::HeadMismatch)
                }
                Some(_) => None,
            },
            _ => Some(FaultKind::NotCanonical),
        };
        let at_end = matches!(lines.next(), Ok(Piece::End { .. }));
        match fault {
            Some(fault) => Err(tampered(last, fault)),
            None if !at_end => Err(tampered(last, FaultKind::HeadMismatch)),
            None => Ok(()),
        }
    }

    /// Follows the chain from `base` to the end of the file, or to the first piece that is no good line.
    fn read_tail(&self, file: &File, base: &Mark, size: u64) -> Result<Tail, ChainError> {
        let mut mark = base.clone();
        let mut lines = Lines::new(file, base.bytes, size);
        loop {
            let bad = match lines.next().map_err(|error| self.read_error(base, error))? {
                Piece::End { .. } => return Ok(Tail { mark, bad: None }),
                Piece::Torn { .. } => Bad::Torn,
                Piece::TooLong { .. } => Bad::Line(FaultKind::LineTooLong),
                Piece::Whole { at, line } => match scan(line) {
                    None => Bad::Line(diagnose(line)),
                    Some(parsed) if !has_own_hash(&parsed) => Bad::Line(FaultKind::BadHash),
                    Some(parsed) if parsed.seq != mark.next || parsed.prev[..] != *mark.hash.as_bytes() => {
                        Bad::Line(FaultKind::BrokenLink)
                    }
                    Some(parsed) => {
                        mark.hash = String::from_utf8_lossy(parsed.hash).into_owned();
                        mark.next += 1;
                        mark.line = at;
                        mark.bytes = at + line.len() as u64 + 1;
                        continue;
                    }
                },
            };
            return Ok(Tail { mark, bad: Some(bad) });
        }
    }

    /// Moves what follows `good` out of the segment and writes an entry that says so in its place.
    fn quarantine_tail(&mut self, current: &mut Current, good: &Mark, size: u64) -> Result<(), ChainError> {
        let name = self.quarantine(&current.file, good, size)?;
        let bytes = size - good.bytes;
        let mut run = self.run(good)?;
        let event = Entry::event(REPAIRED_EVENT)
            .fact("segment", segment::name(good.segment))
            .fact("offset", good.bytes)
            .fact("bytes", bytes)
            .fact("file", name.as_str());
        let receipt = run.push_event(&event)?;
        let end = run.mark.bytes;
        // The entry overwrites the torn piece, so there is no moment in which the piece is gone and nothing says so.
        self.put(current, run)?;
        current.file.set_len(end).map_err(|error| self.dir.error("truncate", &segment::name(good.segment), error))?;
        self.repairs.push(Repair { seq: receipt.seq, file: name, bytes });
        Ok(())
    }

    /// Copies what follows `good` into a new file and makes that durable.
    fn quarantine(&self, segment: &File, good: &Mark, size: u64) -> Result<String, ChainError> {
        for attempt in 0..TORN_FILES_MAX {
            let name = format!("torn-{}-{attempt}.bin", good.next);
            match self.dir.file(&name, Access::CreateNew) {
                Ok(target) => {
                    copy(segment, &target, good.bytes, size).map_err(|error| self.dir.error("write", &name, error))?;
                    self.dir.sync()?;
                    return Ok(name);
                }
                Err(FileError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ChainError::TornFiles(TORN_FILES_MAX, good.next))
    }

    fn read_error(&self, mark: &Mark, error: io::Error) -> ChainError {
        self.dir.error("read", &segment::name(mark.segment), error).into()
    }
}

fn tampered(seq: u64, fault: FaultKind) -> ChainError {
    ChainError::Tampered { seq, fault }
}

/// Whether a line's hash is the hash of its body.
pub(crate) fn has_own_hash(line: &Line<'_>) -> bool {
    hex_digits(&Digest::of(line.body)) == *line.hash
}

fn copy(from: &File, to: &File, start: u64, end: u64) -> io::Result<()> {
    let mut buffer = vec![0; COPY_BYTES];
    let mut position = start;
    while position < end {
        let read = read_some(from, &mut buffer, position)?;
        let wanted = read.min(usize::try_from(end - position).unwrap_or(read));
        let Some(bytes) = buffer.get(..wanted).filter(|bytes| !bytes.is_empty()) else { break };
        to.write_all_at(bytes, position - start)?;
        position += wanted as u64;
    }
    to.sync_all()
}
