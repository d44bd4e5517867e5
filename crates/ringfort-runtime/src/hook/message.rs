// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an agent is told at the start of a session, and what its user is asked. A denial is worded in `core::advice`.
//!
//! In: a ruling. Out: a few lines, escaped and bounded.
//!
//! **Invariant:** a remedy that widens is never told to an agent. Nothing here depends on which agent it is.

use std::fmt::Write as _;

use ringfort_core::decision::Decision;
use ringfort_core::ruling::{Remedy, Ruling};
use ringfort_core::text::escape_bytes;

/// Most reasons that are told.
const REASONS_MAX: usize = 4;
/// Longest reason or remedy that is told. Bytes.
const PART_BYTES_MAX: usize = 600;

/// What an agent is told at the start of a session.
pub const SESSION: &str = "Ringfort rules on the tool calls of this session and records them. A denial says why and \
     what to do instead; the same effect by another way is denied as well. When something is needed that is denied, say \
     so to the person you work for and go on with what is allowed.";

/// Why a person is asked.
pub fn question(ruling: &Ruling) -> String {
    let mut text = String::from("Ringfort asks you to decide: ");
    reasons(&mut text, ruling);
    text
}

fn reasons(text: &mut String, ruling: &Ruling) {
    // What asked stands beside what denied: a question that nobody could answer is the real reason.
    let told = || ruling.reasons.iter().filter(|reason| reason.decision >= Decision::Ask).take(REASONS_MAX);
    for (number, reason) in told().enumerate() {
        if number > 0 {
            text.push_str("; ");
        }
        let _ignored = write!(text, "{} [{}]", shown(&reason.message), reason.rule);
    }
    let mut instead: Vec<String> = told()
        .filter_map(|reason| match &reason.remedy {
            Some(Remedy::Anyone(remedy)) => Some(shown(remedy)),
            _ => None,
        })
        .collect();
    instead.dedup();
    for remedy in instead {
        let _ignored = write!(text, "\nInstead: {remedy}");
    }
}

/// A part of a message: on one line, escaped, and cut where it is too long.
fn shown(part: &str) -> String {
    let end = (0..=PART_BYTES_MAX.min(part.len())).rev().find(|end| part.is_char_boundary(*end)).unwrap_or(0);
    let text = escape_bytes(part.get(..end).unwrap_or_default().as_bytes()).replace("\\\\", "\\");
    if end < part.len() { format!("{text}…") } else { text }
}
