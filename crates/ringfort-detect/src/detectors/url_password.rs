// SPDX-License-Identifier: MIT OR Apache-2.0
//! Passwords and tokens in the user part of a URL: `scheme://user:password@host`.
//!
//! In: text at `://`. Out: the password, or the token that stands where a user would.
//!
//! **Invariant:** user name, host and path stay readable; placeholders such as `user:password@` are no findings.

use ringfort_core::decision::Risk;
use ringfort_core::finding::Confidence;

use super::{Candidate, Detector, Match, Sight};
use crate::grow::Tail;
use crate::shape;

/// Longest user part that is looked at. Bytes.
const USER_BYTES_MAX: usize = 512;
/// Shortest password that is a finding. Bytes.
const PASSWORD_BYTES_MIN: usize = 4;
/// Shortest token in place of a user. Bytes.
const TOKEN_BYTES_MIN: usize = 20;

pub(super) const ENTRY: Detector = Detector {
    id: "secret-003",
    keywords: &["://"],
    reach: USER_BYTES_MAX,
    sight: Sight::Line,
    severity: Risk::Critical,
    judge,
    pending: |candidate| at_sign(candidate).1.then_some(candidate.end),
};

/// Where the user part ends, and whether the text ended before that could be seen.
fn at_sign(candidate: &Candidate<'_>) -> (Option<usize>, bool) {
    let mut last = None;
    for (offset, byte) in candidate.rest(candidate.end).iter().enumerate() {
        match byte {
            b'@' => last = Some(candidate.end + offset),
            b'/' | b'?' | b'#' | b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\' | b'|' | b'^' | 0..=b' ' | 0x7f => {
                return (last, false);
            }
            _ => {}
        }
    }
    (last, true)
}

fn judge(candidate: &Candidate<'_>, found: &mut Vec<Match>) {
    let Some(at) = at_sign(candidate).0 else { return };
    let user = candidate.slice(candidate.end..at);
    let (start, password) = match memchr::memchr(b':', user) {
        Some(colon) => (candidate.end + colon + 1, user.get(colon + 1..).unwrap_or_default()),
        None => (candidate.end, &[][..]),
    };
    let is_secret = if start == candidate.end {
        user.len() >= TOKEN_BYTES_MIN && shape::looks_random(user)
    } else {
        password.len() >= PASSWORD_BYTES_MIN && !shape::is_placeholder(password) && !is_example(user, password)
    };
    if is_secret {
        let tail = Tail::While(|byte| byte.is_ascii_graphic() && !matches!(byte, b'@' | b'/'));
        found.push(Match { span: start..at, confidence: Confidence::Medium, tail });
    }
}

/// The password of an address that documentation shows: `user:password@`, `USER:PASS@`, `me:...@`.
fn is_example(user: &[u8], password: &[u8]) -> bool {
    const EXAMPLES: [&[u8]; 9] = [b"password", b"passwd", b"pass", b"pwd", b"pw", b"secret", b"token", b"port", b"xxx"];
    let name = user.split(|byte| *byte == b':').next().unwrap_or_default();
    EXAMPLES.iter().any(|example| password.eq_ignore_ascii_case(example))
        || (name.eq_ignore_ascii_case(b"user") && password.eq_ignore_ascii_case(b"user"))
        || password.iter().all(|byte| !byte.is_ascii_alphanumeric())
}
