// SPDX-License-Identifier: MIT OR Apache-2.0
//! Detectors: what no single pattern can decide, in code.
//!
//! In: a [`Candidate`], the text around a keyword. Out: spans of secret values.
//!
//! **Invariant:** a detector is a pure function of its candidate and never edits. It looks back at most
//! [`LOOK_BACK_BYTES_MAX`] from its keyword, and a span begins at the keyword or behind it.

use std::ops::Range;

use ringfort_core::decision::Risk;
use ringfort_core::finding::Confidence;

use crate::grow::Tail;

mod assignment;
mod authorization;
mod private_key;
mod url_password;

/// How far a detector may look back from its keyword. Bytes.
pub(crate) const LOOK_BACK_BYTES_MAX: usize = 64;
/// Most blanks between a name and its value.
const BLANKS_MAX: usize = 64;
/// Most colour sequences in a row.
const COLOURS_MAX: usize = 4;
/// Longest colour sequence behind its first two bytes.
const COLOUR_BYTES_MAX: usize = 16;

/// Every detector, in the order in which it runs.
pub(crate) static DETECTORS: &[Detector] =
    &[private_key::ENTRY, authorization::ENTRY, url_password::ENTRY, assignment::ENTRY];

/// One detector.
#[derive(Debug)]
pub(crate) struct Detector {
    /// Stable id, `secret-nnn`.
    pub(crate) id: &'static str,
    /// Texts, in either case, at which it is asked.
    pub(crate) keywords: &'static [&'static str],
    /// How much from the keyword on it wants to see. Bytes.
    pub(crate) reach: usize,
    /// How far it sees.
    pub(crate) sight: Sight,
    pub(crate) severity: Risk,
    /// Reports the secrets of a candidate.
    pub(crate) judge: fn(&Candidate<'_>, &mut Vec<Match>),
    /// Where a secret would begin, if more text could still make this one; for output that pauses within a line.
    pub(crate) pending: fn(&Candidate<'_>) -> Option<usize>,
}

/// How far a detector sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// To the end of the line.
    Line,
    /// Over line breaks.
    Lines,
}

/// A keyword in its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    /// From the look-back to the end of the sight.
    pub(crate) text: &'a [u8],
    /// First byte of the keyword.
    pub(crate) start: usize,
    /// After the keyword.
    pub(crate) end: usize,
}

impl<'a> Candidate<'a> {
    pub(crate) fn byte(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    pub(crate) fn slice(&self, range: Range<usize>) -> &'a [u8] {
        self.text.get(range).unwrap_or_default()
    }

    pub(crate) fn rest(&self, at: usize) -> &'a [u8] {
        self.text.get(at..).unwrap_or_default()
    }

    /// The byte before `at`.
    pub(crate) fn before(&self, at: usize) -> Option<u8> {
        at.checked_sub(1).and_then(|at| self.byte(at))
    }

    /// Skips at most 64 blanks, and the colour sequences of a terminal.
    pub(crate) fn skip_blanks(&self, mut at: usize) -> usize {
        let limit = at + BLANKS_MAX;
        while at < limit {
            let behind = self.skip_colours(at);
            match self.byte(behind) {
                Some(b' ' | b'\t') => at = behind + 1,
                _ => return behind,
            }
        }
        at
    }

    /// Skips the colour sequences of a terminal.
    pub(crate) fn skip_colours(&self, mut at: usize) -> usize {
        for _ in 0..COLOURS_MAX {
            let [0x1b, b'[', sequence @ ..] = self.rest(at) else { break };
            let last = sequence.iter().take(COLOUR_BYTES_MAX).position(|byte| (0x40..=0x7e).contains(byte));
            let Some(last) = last else { break };
            at += 3 + last;
        }
        at
    }
}

/// One secret value.
#[derive(Clone, Debug)]
pub(crate) struct Match {
    /// Offsets in the candidate's text.
    pub(crate) span: Range<usize>,
    pub(crate) confidence: Confidence,
    /// How it goes on where the text ended before the value did.
    pub(crate) tail: Tail,
}
