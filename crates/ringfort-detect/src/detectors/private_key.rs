// SPDX-License-Identifier: MIT OR Apache-2.0
//! Private key blocks (PEM, OpenSSH, PGP, SSH2): the body between the lines that name it.
//!
//! In: the end of a line that begins a private key. Out: the body, up to the end line or a bound.
//!
//! **Invariant:** once a body has begun as a key does, all of it is a finding, cut off or not. A begin line alone, as
//! in source code that looks for one, is none.

use ringfort_core::decision::Risk;
use ringfort_core::finding::Confidence;

use super::{Candidate, Detector, LOOK_BACK_BYTES_MAX, Match, Sight};
use crate::grow::{Block, Tail};
use crate::shape;

/// What is looked at to tell a body from other text. Bytes.
const PEEK_BYTES: usize = 320;
/// Longest white space, quotes and concatenation between the begin line and the body. Bytes.
const GAP_BYTES_MAX: usize = 48;
/// Base64 characters in a row that need no further sign.
const LONG_RUN_MIN: usize = 40;
/// Base64 characters in a row at the very start of a body.
const FIRST_RUN_MIN: usize = 12;

pub(super) const ENTRY: Detector = Detector {
    id: "secret-001",
    keywords: &["private key-----", "private key block-----", "private key ----"],
    reach: PEEK_BYTES,
    sight: Sight::Lines,
    severity: Risk::Critical,
    judge,
    pending,
};

fn judge(candidate: &Candidate<'_>, found: &mut Vec<Match>) {
    let Some(start) = pending(candidate) else { return };
    if is_body(candidate.rest(start)) {
        let span = start..candidate.text.len();
        found.push(Match { span, confidence: Confidence::High, tail: Tail::Block(Block::default()) });
    }
}

fn pending(candidate: &Candidate<'_>) -> Option<usize> {
    let from = candidate.start.saturating_sub(LOOK_BACK_BYTES_MAX);
    let before = candidate.slice(from..candidate.start);
    let line = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    memchr::memmem::find(line, b"BEGIN")?;
    let mut at = candidate.end;
    let limit = at + GAP_BYTES_MAX;
    while at < limit {
        match candidate.rest(at) {
            [b'\\', b'n' | b'r' | b't', ..] => at += 2,
            [b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'\'' | b'+' | b'\\' | b'>' | b'|' | b'#' | b'-', ..] => at += 1,
            _ => break,
        }
    }
    Some(at)
}

/// Whether `text` begins as the body of a key does.
fn is_body(text: &[u8]) -> bool {
    let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let first = text.iter().take_while(|byte| base64(byte)).count();
    let head = text.get(..first).unwrap_or_default();
    if first >= FIRST_RUN_MIN && (first >= LONG_RUN_MIN || head.starts_with(b"MI") || !shape::is_wordy(head)) {
        return true;
    }
    // Headers before the body: `Proc-Type: 4,ENCRYPTED`, `Version: …`, `Comment: …`.
    let headed = text.get(first..).unwrap_or_default();
    let header = [&b"Proc"[..], b"DEK", b"Version", b"Comment", b"Subject", b"Key", b"Hash", b"Charset"];
    if header.iter().any(|name| head.starts_with(name)) && matches!(headed, [b':' | b'-', ..]) {
        return true;
    }
    // Line numbers, quotes or a diff's marks before each line.
    text.split(|byte| !base64(byte)).any(|run| run.len() >= LONG_RUN_MIN && !shape::is_wordy(run))
}
