// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks the lines of one block against each other.
//!
//! In: a [`Block`]. Out: a [`Summary`]: its two ends, to be linked with its neighbours, and its first fault.
//!
//! **Invariant:** nothing is assumed about what comes before; entries are counted only while each follows the one
//! before it. What a link that does not fit means is decided in `merge`.

use ringfort_core::limits::TRAIL_LINE_BYTES_MAX;

use super::source::Block;
use crate::fault::FaultKind;
use crate::head::Mark;
use crate::repair::has_own_hash;
use crate::scan::{Hex, Line, diagnose, scan};
use crate::segment::Header;
use crate::time::TIME_BYTES;

/// Why a block is good only up to some line.
pub(super) enum Stop {
    /// The line itself is wrong.
    Line(FaultKind),
    /// The line does not follow the one before it; this is its number.
    Link(u64),
    /// The line is good, and an earlier head knew it with another hash.
    Head,
    /// What is behind the last line, or the file.
    End(FaultKind, &'static str),
}

/// The first line of a block.
pub(super) struct First {
    pub(super) seq: u64,
    pub(super) prev: Hex,
    pub(super) time: [u8; TIME_BYTES],
}

/// The last good line of a block.
pub(super) struct Last {
    pub(super) hash: Hex,
    pub(super) time: [u8; TIME_BYTES],
}

/// What one block holds.
pub(super) struct Summary {
    pub(super) segment: usize,
    pub(super) opens: bool,
    /// Lines that are good and follow each other.
    pub(super) entries: u64,
    pub(super) first: Option<First>,
    pub(super) last: Option<Last>,
    /// The header, if the block opens its segment and starts with one.
    pub(super) header: Option<Header>,
    pub(super) stop: Option<Stop>,
    /// How many times lie before the time of the line before, and the first such entry.
    pub(super) backwards: u64,
    pub(super) backwards_first: Option<u64>,
}

pub(super) fn check(block: &Block, marks: &[Mark]) -> Summary {
    let mut summary = Summary {
        segment: block.segment,
        opens: block.opens,
        entries: 0,
        first: None,
        last: None,
        header: None,
        stop: None,
        backwards: 0,
        backwards_first: None,
    };
    let mut before: Option<Line<'_>> = None;
    let mut rest = block.lines();
    while let Some(newline) = memchr::memchr(b'\n', rest) {
        let (text, after) = rest.split_at_checked(newline).unwrap_or((rest, b""));
        rest = after.get(1..).unwrap_or_default();
        match check_line(text, before.as_ref(), marks) {
            Ok(line) => {
                note_line(&mut summary, text, &line, before.as_ref());
                before = Some(line);
            }
            Err(stop) => {
                summary.stop = Some(stop);
                break;
            }
        }
    }
    if summary.stop.is_none() {
        summary.stop = block.end.map(|(kind, what)| Stop::End(kind, what));
    }
    summary.last = before.map(|line| Last { hash: *line.hash, time: *line.time });
    summary
}

fn check_line<'a>(text: &'a [u8], before: Option<&Line<'_>>, marks: &[Mark]) -> Result<Line<'a>, Stop> {
    if text.len() >= TRAIL_LINE_BYTES_MAX {
        return Err(Stop::Line(FaultKind::LineTooLong));
    }
    let line = scan(text).ok_or_else(|| Stop::Line(diagnose(text)))?;
    if !has_own_hash(&line) {
        return Err(Stop::Line(FaultKind::BadHash));
    }
    if before.is_some_and(|before| before.seq.checked_add(1) != Some(line.seq) || before.hash != line.prev) {
        return Err(Stop::Link(line.seq));
    }
    let differs = |mark: &Mark| mark.next.checked_sub(1) == Some(line.seq) && mark.hash.as_bytes() != line.hash;
    if marks.iter().any(differs) { Err(Stop::Head) } else { Ok(line) }
}

fn note_line(summary: &mut Summary, text: &[u8], line: &Line<'_>, before: Option<&Line<'_>>) {
    if summary.first.is_none() {
        summary.first = Some(First { seq: line.seq, prev: *line.prev, time: *line.time });
        summary.header = summary.opens.then(|| Header::parse(text)).flatten();
    }
    summary.entries += 1;
    if before.is_some_and(|before| line.time < before.time) {
        summary.backwards += 1;
        summary.backwards_first = summary.backwards_first.or(Some(line.seq));
    }
}
