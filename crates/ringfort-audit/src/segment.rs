// SPDX-License-Identifier: MIT OR Apache-2.0
//! Segments: how they are named, and the header that links each to the one before.
//!
//! In: the number of a first entry. Out: a file name, a header entry; and both read back.
//!
//! **Invariant:** a name says which entry comes first, so the order of the segments is in their names and, again, in
//! their headers and hashes. What is in a segment besides is not looked at.

use std::collections::BTreeMap;

use ringfort_core::entry::{Entry, EntryKind};
use serde::Deserialize;
use serde_json::Value;

use crate::head::Mark;

/// The event of a header.
pub(crate) const HEADER_EVENT: &str = "trail.segment";

/// What the header of the first segment says it is.
pub(crate) const FORMAT: &str = "ringfort-trail";

/// The name of the segment that starts with entry `first`.
pub(crate) fn name(first: u64) -> String {
    format!("{first:012}.jsonl")
}

/// The first entry of the segment called `text`; `None` if no segment is called that.
pub(crate) fn parse_name(text: &str) -> Option<u64> {
    let digits = text.strip_suffix(".jsonl")?;
    let first = digits.parse().ok()?;
    (name(first) == text).then_some(first)
}

/// The header of the segment that `mark` opens.
pub(crate) fn header(mark: &Mark) -> Entry {
    facts(mark.previous, mark.next, &mark.hash)
}

/// The header behind the segment `previous`, whose last entry is the one before `next` and has `hash`.
fn facts(previous: Option<u64>, next: u64, hash: &str) -> Entry {
    let entry = Entry::event(HEADER_EVENT);
    match previous {
        None => entry.fact("format", FORMAT),
        Some(previous) => entry
            .fact("previous", name(previous))
            .fact("previous_hash", hash)
            .fact("previous_seq", next.saturating_sub(1)),
    }
}

/// A header, read back.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Header {
    kind: EntryKind,
    facts: BTreeMap<String, Value>,
}

impl Header {
    /// Reads the header out of a canonical line; `None` if it is none.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    /// The name of the segment before, as the header says.
    pub(crate) fn previous(&self) -> Option<&str> {
        self.facts.get("previous")?.as_str()
    }

    /// Whether it is the header of the segment after `previous`, whose last entry is before `next` and has `hash`.
    pub(crate) fn follows(&self, previous: Option<u64>, next: u64, hash: &str) -> bool {
        self.kind == EntryKind::Event && self.facts == facts(previous, next, hash).facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact() {
        for (text, expected) in [
            ("000000000000.jsonl", Some(0)),
            ("000000000123.jsonl", Some(123)),
            ("1000000000000.jsonl", Some(1_000_000_000_000)),
            ("0000000000000.jsonl", None),
            ("00000000001.jsonl", None),
            ("+00000000001.jsonl", None),
            ("000000000000.jsonl.bak", None),
            ("head", None),
        ] {
            assert_eq!(parse_name(text), expected, "`{text}`");
        }
    }
}
