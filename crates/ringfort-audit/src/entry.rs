// SPDX-License-Identifier: MIT OR Apache-2.0
//! An entry as text: the members of one line that belong to the entry, in their one canonical form.
//!
//! In: an [`Entry`]. Out: its members as canonical JSON, without braces; or, read back, a [`Record`].
//!
//! **Invariant:** every member of [`Entry`] is written (the compiler sees to it), in a fixed order, at most once;
//! nothing that a value holds can end a line or a string. Sequence, time and hashes are added by the chain.

use ringfort_core::clock::Timestamp;
use ringfort_core::digest::Digest;
use ringfort_core::entry::{Entry, EntryKind};
use ringfort_core::limits::TRAIL_LINE_BYTES_MAX;
use serde::{Deserialize, Serialize};

use crate::json::{self, DEPTH_MAX};

/// Room that a line needs besides the members of its entry. Bytes.
pub const ENVELOPE_BYTES_MAX: usize = 256;

/// Most bytes that the members of one entry may take.
pub const MEMBERS_BYTES_MAX: usize = TRAIL_LINE_BYTES_MAX - ENVELOPE_BYTES_MAX;

/// Events that start so are written by the trail itself.
pub const RESERVED_EVENTS: &str = "trail.";

/// Why an entry cannot be written. Nothing was written.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The line would be longer than [`TRAIL_LINE_BYTES_MAX`].
    #[error("the entry takes {bytes} bytes as text, more than {MEMBERS_BYTES_MAX}")]
    TooLong {
        /// What it would take.
        bytes: usize,
    },
    /// A fact is nested too deep.
    #[error("the fact `{name}` is nested deeper than {DEPTH_MAX}")]
    TooDeep {
        /// Name of the fact.
        name: String,
    },
    /// The event's name is reserved for the trail.
    #[error("the event `{0}` is written by the trail itself")]
    Reserved(String),
    /// The entry has a principal without a name.
    #[error("the entry names an empty principal")]
    Principal,
}

/// One line of the trail, read back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its number, from 0.
    pub seq: u64,
    /// When it was written.
    pub time: Timestamp,
    /// The hash of the entry before.
    pub prev: Digest,
    /// Its own hash.
    pub hash: Digest,
    /// What it says.
    pub entry: Entry,
}

/// The canonical members of `entry`, checked against what a caller may write.
///
/// # Errors
///
/// [`EncodeError`]: nothing was written.
pub fn encode(entry: &Entry) -> Result<Vec<u8>, EncodeError> {
    let event = entry.facts.get("event").and_then(serde_json::Value::as_str);
    if let Some(name) = event.filter(|name| entry.kind == EntryKind::Event && name.starts_with(RESERVED_EVENTS)) {
        return Err(EncodeError::Reserved(name.to_owned()));
    }
    encode_any(entry)
}

/// As [`encode`], for the trail's own events too.
pub(crate) fn encode_any(entry: &Entry) -> Result<Vec<u8>, EncodeError> {
    // A new member of `Entry` is a new version of the format: it does not compile until it is written here.
    let Entry { kind, principal, session, door, standing, request, action, decision, risk, rules, facts } = entry;
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(b"\"kind\":");
    json::write_string(&mut out, kind_word(*kind));
    if let Some(principal) = principal {
        if principal.chain().is_empty() {
            return Err(EncodeError::Principal);
        }
        write_list(&mut out, "principal", principal.chain());
    }
    write_text(&mut out, "session", session.as_deref());
    write_text(&mut out, "door", door.map(|door| door.as_str()));
    write_text(&mut out, "standing", standing.map(|standing| standing.as_str()));
    write_text(&mut out, "request", request.map(|digest| digest.to_string()).as_deref());
    write_text(&mut out, "action", action.as_deref());
    write_text(&mut out, "decision", decision.map(|decision| decision.as_str()));
    write_text(&mut out, "risk", risk.map(|risk| risk.as_str()));
    if !rules.is_empty() {
        write_list(&mut out, "rules", rules);
    }
    if !facts.is_empty() {
        write_name(&mut out, "facts");
        for (index, (name, value)) in facts.iter().enumerate() {
            out.push(if index == 0 { b'{' } else { b',' });
            json::write_string(&mut out, name);
            out.push(b':');
            json::write_value(&mut out, value, 1).map_err(|_| EncodeError::TooDeep { name: name.clone() })?;
        }
        out.push(b'}');
    }
    if out.len() > MEMBERS_BYTES_MAX {
        return Err(EncodeError::TooLong { bytes: out.len() });
    }
    Ok(out)
}

fn write_name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn write_text(out: &mut Vec<u8>, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        write_name(out, name);
        json::write_string(out, text);
    }
}

fn write_list(out: &mut Vec<u8>, name: &str, items: &[String]) {
    write_name(out, name);
    for (index, item) in items.iter().enumerate() {
        out.push(if index == 0 { b'[' } else { b',' });
        json::write_string(out, item);
    }
    out.push(b']');
}

fn kind_word(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Intent => "intent",
        EntryKind::Outcome => "outcome",
        EntryKind::Verdict => "verdict",
        EntryKind::Approval => "approval",
        EntryKind::Event => "event",
    }
}

/// Reads a line that [`crate::scan`] has accepted; `None` if it holds a word that this version does not know.
pub(crate) fn decode(line: &[u8]) -> Option<Record> {
    #[derive(Deserialize)]
    struct Line {
        seq: u64,
        time: String,
        prev: Digest,
        hash: Digest,
        #[serde(flatten)]
        entry: Entry,
    }
    let Line { seq, time, prev, hash, entry } = serde_json::from_slice(line).ok()?;
    Some(Record { seq, time: crate::time::parse(time.as_bytes())?, prev, hash, entry })
}

#[cfg(test)]
mod tests;
