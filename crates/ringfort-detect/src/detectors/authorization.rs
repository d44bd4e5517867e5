// SPDX-License-Identifier: MIT OR Apache-2.0
//! Credentials of HTTP headers: `Authorization: Bearer …`, `Cookie: name=…`, and `Bearer …` wherever it stands.
//!
//! In: text at one of the words. Out: the credential without its scheme.
//!
//! **Invariant:** header name, scheme and cookie names stay readable; prose about bearer tokens is no finding.

use ringfort_core::decision::Risk;
use ringfort_core::finding::Confidence;

use super::{Candidate, Detector, Match, Sight};
use crate::grow::Tail;
use crate::shape;

/// What is looked at. Bytes.
const REACH_BYTES: usize = 1024;
/// Shortest credential behind a scheme. Bytes.
const CREDENTIAL_BYTES_MIN: usize = 8;
/// Shortest cookie value that is a finding. Bytes.
const COOKIE_BYTES_MIN: usize = 16;
/// Most cookies of one header.
const COOKIES_MAX: usize = 64;

pub(super) const ENTRY: Detector = Detector {
    id: "secret-002",
    keywords: &["authorization", "bearer", "cookie"],
    reach: REACH_BYTES,
    sight: Sight::Line,
    severity: Risk::Critical,
    judge,
    pending,
};

fn is_credential(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'+' | b'/' | b'=' | b':' | b'%' | b'!')
        || byte >= 0x80
}

fn judge(candidate: &Candidate<'_>, found: &mut Vec<Match>) {
    let word = candidate.slice(candidate.start..candidate.end);
    if word.eq_ignore_ascii_case(b"cookie") {
        return cookies(candidate, found);
    }
    let Some((start, certain)) = credential_start(candidate) else { return };
    let length = candidate.rest(start).iter().take_while(|byte| is_credential(**byte)).count();
    let value = candidate.slice(start..start + length);
    let called = matches!(candidate.byte(start + length), Some(b'(' | b'[' | b'{' | b'<' | b'$'));
    let is_secret = length >= CREDENTIAL_BYTES_MIN
        && !called
        && memchr::memmem::find(value, b"://").is_none()
        && !shape::is_placeholder(value)
        && if certain { !shape::is_wordy(value) } else { shape::looks_random(value) };
    if is_secret {
        let confidence = if certain { Confidence::High } else { Confidence::Medium };
        found.push(Match { span: start..start + length, confidence, tail: Tail::While(is_credential) });
    }
}

fn pending(candidate: &Candidate<'_>) -> Option<usize> {
    if candidate.slice(candidate.start..candidate.end).eq_ignore_ascii_case(b"cookie") {
        return header_value(candidate);
    }
    let (start, _) = credential_start(candidate)?;
    candidate.rest(start).iter().all(|byte| is_credential(*byte)).then_some(start)
}

/// Where the value of a header begins: behind the closing quote of its name, a separator and an opening quote.
fn header_value(candidate: &Candidate<'_>) -> Option<usize> {
    let at = skip_quote(candidate, candidate.end);
    let at = candidate.skip_blanks(skip_bracket(candidate, at));
    let at = match candidate.rest(at) {
        [b'=', b'>', ..] | [b':', b'=', ..] => at + 2,
        [b':' | b'=' | b',', ..] => at + 1,
        _ => return None,
    };
    let at = candidate.skip_blanks(at);
    let at = if matches!(candidate.rest(at), [b'b' | b'f' | b'u' | b'r', b'"' | b'\'', ..]) { at + 1 } else { at };
    Some(skip_quote(candidate, at))
}

fn skip_quote(candidate: &Candidate<'_>, mut at: usize) -> usize {
    while candidate.byte(at) == Some(b'\\') {
        at += 1;
    }
    if matches!(candidate.byte(at), Some(b'"' | b'\'' | b'`')) { at + 1 } else { at }
}

fn skip_bracket(candidate: &Candidate<'_>, at: usize) -> usize {
    if candidate.byte(at) == Some(b']') { at + 1 } else { at }
}

/// Where a credential begins, and whether a header leaves no doubt that it is one.
fn credential_start(candidate: &Candidate<'_>) -> Option<(usize, bool)> {
    if candidate.slice(candidate.start..candidate.end).eq_ignore_ascii_case(b"bearer") {
        let start = candidate.skip_blanks(candidate.end);
        return (start > candidate.end).then_some((start, false));
    }
    let start = header_value(candidate)?;
    let scheme = candidate.rest(start).iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'-').count();
    let behind = candidate.skip_blanks(start + scheme);
    let schemed = (3..=20).contains(&scheme) && behind > start + scheme;
    Some(if schemed { (behind, true) } else { (start, false) })
}

fn cookies(candidate: &Candidate<'_>, found: &mut Vec<Match>) {
    let Some(mut at) = header_value(candidate) else { return };
    for _ in 0..COOKIES_MAX {
        at = candidate.skip_blanks(at);
        let name = candidate.rest(at).iter().take_while(|byte| is_cookie_name(**byte)).count();
        if name == 0 || candidate.byte(at + name) != Some(b'=') {
            // An attribute such as `HttpOnly`, or no cookie at all.
            at += name;
        } else {
            let start = at + name + 1;
            let length = candidate.rest(start).iter().take_while(|byte| is_credential(**byte)).count();
            let value = candidate.slice(start..start + length);
            if length >= COOKIE_BYTES_MIN && !shape::is_placeholder(value) && shape::looks_random(value) {
                let span = start..start + length;
                found.push(Match { span, confidence: Confidence::Medium, tail: Tail::While(is_credential) });
            }
            at = start + length;
        }
        if candidate.byte(at) != Some(b';') {
            return;
        }
        at += 1;
    }
}

fn is_cookie_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'$' | b'!')
}
