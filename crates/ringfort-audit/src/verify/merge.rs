// SPDX-License-Identifier: MIT OR Apache-2.0
//! Links the blocks, in order, and names the first fault.
//!
//! In: summaries of blocks, in order, and at last what the head says. Out: the [`Report`].
//!
//! **Invariant:** the number of a fault is the number that the entry at that place should have: all before it are
//! good. Faults are found in the order of the trail; the head is asked only when the chain itself is whole.

use super::block::{Stop, Summary};
use super::{Report, Snapshot, receipt};
use crate::dir::{Access, Dir, FileError};
use crate::fault::{Fault, FaultKind, Note, NoteKind};
use crate::head::HEAD_NAME;
use crate::lines::{Lines, Piece};
use crate::scan::peek_seq;
use crate::segment;
use crate::time::TIME_BYTES;

pub(super) struct Merge<'a> {
    snapshot: &'a Snapshot,
    /// Number of the next entry.
    next: u64,
    /// Hash of the last one.
    hash: String,
    time: [u8; TIME_BYTES],
    /// The segment that was read last, and the number of its first line.
    segment: Option<usize>,
    opened_at: u64,
    backwards: u64,
    backwards_first: Option<u64>,
    fault: Option<Fault>,
    /// Whether the fault is a gap, which is named once the rest of the segment has been looked at.
    gap: Option<usize>,
}

impl<'a> Merge<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        Self {
            snapshot,
            next: 0,
            hash: "0".repeat(64),
            time: *b"1970-01-01T00:00:00.000Z",
            segment: None,
            opened_at: 0,
            backwards: 0,
            backwards_first: None,
            fault: None,
            gap: None,
        }
    }

    /// Adds the next block; false once there is a fault.
    pub(super) fn apply(&mut self, summary: Summary) -> bool {
        if summary.opens {
            self.opened_at = self.next;
            if let Some((kind, message)) = self.misplaced(&summary) {
                return self.fail(kind, summary.segment, message);
            }
            self.segment = Some(summary.segment);
        }
        if let Some(first) = &summary.first {
            if first.seq != self.next || first.prev != *self.hash.as_bytes() {
                return self.fail_link(first.seq, summary.segment);
            }
            let name = self.snapshot.segments.get(summary.segment).map_or(0, |segment| segment.first);
            let previous = self.previous(summary.segment);
            if summary.opens
                && !summary.header.as_ref().is_some_and(|header| header.follows(previous, name, &self.hash))
            {
                let message = "the first line of a segment must be the header that links it to the one before";
                return self.fail(FaultKind::BadHeader, summary.segment, message.to_owned());
            }
            if first.time < self.time {
                self.backwards += 1;
                self.backwards_first = self.backwards_first.or(Some(self.next));
            }
        }
        self.backwards += summary.backwards;
        self.backwards_first = self.backwards_first.or(summary.backwards_first);
        self.next = self.next.saturating_add(summary.entries);
        if let Some(last) = &summary.last {
            self.hash = String::from_utf8_lossy(&last.hash).into_owned();
            self.time = last.time;
        }
        match summary.stop {
            None => true,
            Some(Stop::Line(kind)) => self.fail(kind, summary.segment, describe(kind).to_owned()),
            Some(Stop::Link(found)) => self.fail_link(found, summary.segment),
            Some(Stop::Head) => {
                self.fail(FaultKind::HeadMismatch, summary.segment, describe(FaultKind::HeadMismatch).to_owned())
            }
            Some(Stop::End(kind, what)) => self.fail_end(kind, what, summary.segment),
        }
    }

    /// The first entry of the segment before.
    fn previous(&self, segment: usize) -> Option<u64> {
        let before = segment.checked_sub(1)?;
        self.snapshot.segments.get(before).map(|segment| segment.first)
    }

    /// What is wrong with the place of a segment, seen from its name and its first line.
    fn misplaced(&self, summary: &Summary) -> Option<(FaultKind, String)> {
        let segment = self.snapshot.segments.get(summary.segment)?;
        if segment.first > self.next {
            let previous = self.previous(summary.segment).map(segment::name);
            let names = summary.header.as_ref().and_then(|header| header.previous());
            let cut = previous.is_some() && names == previous.as_deref();
            let kind = if cut { FaultKind::Truncated } else { FaultKind::SegmentMissing };
            let what = if cut { "the segment before it ends too early" } else { "a segment before it is missing" };
            return Some((kind, format!("it starts with entry {}: {what}", segment.first)));
        }
        let found = summary.first.as_ref().map(|first| first.seq);
        if segment.first < self.next || found.is_some_and(|found| found != segment.first) {
            let message = match found {
                Some(found) if found != segment.first => {
                    format!("it starts with entry {found}, not with what its name says")
                }
                _ => "its name says that it starts with an entry of the segment before".to_owned(),
            };
            return Some((FaultKind::SegmentOrder, message));
        }
        None
    }

    fn fail_end(&mut self, kind: FaultKind, what: &str, segment: usize) -> bool {
        let reached = self.snapshot.marks.iter().all(|mark| mark.next <= self.next);
        let last = segment + 1 == self.snapshot.segments.len();
        if kind == FaultKind::TornTail && !(last && reached) {
            let message = "it ends within a line that was written whole".to_owned();
            return self.fail(FaultKind::Truncated, segment, message);
        }
        self.fail(kind, segment, what.to_owned())
    }

    /// Names a line, whole in itself, that does not follow the one before it.
    fn fail_link(&mut self, found: u64, segment: usize) -> bool {
        if found > self.next {
            self.gap = Some(segment);
            return self.fail(FaultKind::MissingEntry, segment, format!("entry {found} stands here"));
        }
        if found < self.next {
            return self.fail(FaultKind::DuplicateSeq, segment, format!("entry {found} stands here again"));
        }
        self.fail(FaultKind::BrokenLink, segment, describe(FaultKind::BrokenLink).to_owned())
    }

    fn fail(&mut self, kind: FaultKind, segment: usize, message: String) -> bool {
        let name = self.snapshot.segments.get(segment).map_or_else(String::new, |segment| segment.name.clone());
        let line = self.next.saturating_sub(self.opened_at) + 1;
        self.fault = Some(Fault { kind, segment: name, line, seq: self.next, message });
        false
    }

    /// The report, once there are no more blocks or there is a fault.
    pub(super) fn finish(mut self, dir: &Dir) -> Result<Report, FileError> {
        match self.gap {
            Some(segment) => self.name_gap(dir, segment)?,
            None if self.fault.is_none() => self.ask_head(),
            None => {}
        }
        let mut notes = self.snapshot.notes.clone();
        let mut add = |kind, count, seq, message: &str| {
            if count > 0 {
                notes.push(Note { kind, count, seq, message: message.to_owned() });
            }
        };
        let message = "the clock went backwards between two entries";
        add(NoteKind::TimeBackwards, self.backwards, self.backwards_first, message);
        if self.fault.is_none() {
            let written = self.snapshot.written.unwrap_or(self.next);
            let message = "entries that a killed writer left unacknowledged; the next append adopts them";
            add(NoteKind::BeyondHead, self.next.saturating_sub(written), Some(written), message);
        }
        Ok(Report {
            entries: self.next,
            segments: self.snapshot.segments.len() as u64,
            bytes: self.snapshot.segments.iter().map(|segment| segment.bytes).sum(),
            head: receipt(self.next, &self.hash),
            fault: self.fault,
            notes,
        })
    }

    /// A gap is a reordering if the missing entry stands further down in the same segment.
    fn name_gap(&mut self, dir: &Dir, segment: usize) -> Result<(), FileError> {
        let (Some(fault), Some(segment)) = (&mut self.fault, self.snapshot.segments.get(segment)) else {
            return Ok(());
        };
        let file = dir.file(&segment.name, Access::Read)?;
        let mut lines = Lines::new(&file, 0, segment.bytes);
        while let Piece::Whole { line, .. } = lines.next().map_err(|error| dir.error("read", &segment.name, error))? {
            if peek_seq(line) == Some(self.next) {
                fault.kind = FaultKind::Reordered;
                fault.message = format!("{}, and entry {} comes later", fault.message, self.next);
                break;
            }
        }
        Ok(())
    }

    /// The chain is whole: is it all that was acknowledged?
    fn ask_head(&mut self) {
        let missing = self.snapshot.marks.iter().filter(|mark| mark.next > self.next).max_by_key(|mark| mark.next);
        let (kind, message) = if let Some(mark) = missing {
            let there = mark.bytes == 0 || self.snapshot.segments.iter().any(|segment| segment.first == mark.segment);
            let kind = if there { FaultKind::Truncated } else { FaultKind::SegmentMissing };
            (kind, format!("{} entries were acknowledged, {} are here", mark.next, self.next))
        } else if let Some(kind) = self.snapshot.head_fault {
            (kind, describe(kind).to_owned())
        } else {
            return;
        };
        let name = match (kind, self.segment.and_then(|segment| self.snapshot.segments.get(segment))) {
            (FaultKind::Truncated | FaultKind::SegmentMissing, Some(segment)) => segment.name.clone(),
            _ => HEAD_NAME.to_owned(),
        };
        self.fault = Some(Fault { kind, segment: name, line: 0, seq: self.next, message });
    }
}

fn describe(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::BadHash => "the line was edited: it does not have the hash that it names",
        FaultKind::BrokenLink => "the line does not follow the one before it: something was inserted or replaced",
        FaultKind::NotCanonical => "the line is not in the one form that the trail writes",
        FaultKind::DuplicateMember => "a member stands twice in an object",
        FaultKind::UnknownVersion => "the line is of a version that is not known here",
        FaultKind::NotUtf8 => "the line is not UTF-8",
        FaultKind::LineTooLong => "the line is longer than a line may be",
        FaultKind::HeadMissing => "the record of the newest entry is missing, so a shorter trail would not be noticed",
        FaultKind::HeadDamaged => "the record of the newest entry was edited or is incomplete",
        FaultKind::HeadMismatch => "this entry was acknowledged with another hash: the trail was rewritten",
        _ => "the trail is not as it was written",
    }
}
