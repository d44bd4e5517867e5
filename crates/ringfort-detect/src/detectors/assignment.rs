// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values of names that speak of secrets: `"token": "…"`, `TOKEN=…`, `--password …`, `password: …`.
//!
//! In: text at a word such as `token`. Out: the value that is given to the name.
//!
//! **Invariant:** name, separator and quotes stay as they are. Prose, code, types and placeholders are no findings; the
//! plainer the notation (bare words rather than quotes), the more a value must look like a secret.

use ringfort_core::decision::Risk;
use ringfort_core::finding::Confidence;

use super::{Candidate, Detector, Match, Sight};
use crate::grow::Tail;
use crate::shape;

mod name;
mod value;

use name::{Name, Notion};
use value::{Style, Value};

/// What is looked at, from the word on. Longer values grow. Bytes.
const REACH_BYTES: usize = 512;
/// Shortest value that is a finding. Bytes.
const VALUE_BYTES_MIN: usize = 8;
/// Shortest value of a name that only says `key`. Bytes.
const KEY_BYTES_MIN: usize = 16;
/// Shortest value without quotes and digits that is a finding. Bytes.
const WITHOUT_DIGITS_BYTES_MIN: usize = 32;
/// Shortest value that needs no separator before it. Bytes.
const UNMISTAKABLE_BYTES_MIN: usize = 20;

pub(super) const ENTRY: Detector = Detector {
    id: "secret-004",
    keywords: &["passw", "passphrase", "pwd", "secret", "token", "bearer", "credential", "key"],
    reach: REACH_BYTES,
    sight: Sight::Line,
    severity: Risk::High,
    judge,
    pending,
};

fn judge(candidate: &Candidate<'_>, found: &mut Vec<Match>) {
    let Some(name) = Name::parse(candidate) else { return };
    let Some(value) = Value::parse(candidate, &name) else { return };
    let bytes = candidate.slice(value.span.clone());
    if !is_secret(bytes, name.notion, value.style) {
        return;
    }
    let confidence = if shape::looks_random(bytes) { Confidence::Medium } else { Confidence::Low };
    let tail = Tail::While(match value.style {
        Style::Quoted(b'"') => |byte| byte != b'"' && byte != b'\n',
        Style::Quoted(b'\'') => |byte| byte != b'\'' && byte != b'\n',
        Style::Quoted(_) => |byte| byte != b'`' && byte != b'\n',
        Style::Environment | Style::Bare | Style::Flag | Style::Apposed => value::is_bare,
    });
    found.push(Match { span: value.span, confidence, tail });
}

fn pending(candidate: &Candidate<'_>) -> Option<usize> {
    let name = Name::parse(candidate)?;
    let value = Value::parse(candidate, &name)?;
    (value.span.end == candidate.text.len()).then_some(value.span.start)
}

/// Whether a value of this notion in this style is a secret.
fn is_secret(value: &[u8], notion: Notion, style: Style) -> bool {
    // The start of a long value tells enough, and keeps hostile text cheap.
    let value = value.get(..value.len().min(shape::LOOKED_AT_BYTES_MAX)).unwrap_or_default();
    if value.len() < VALUE_BYTES_MIN || shape::is_placeholder(value) || is_path(value) {
        return false;
    }
    let spaced = value.iter().any(u8::is_ascii_whitespace);
    match (notion, style) {
        (Notion::Password, Style::Quoted(_)) if spaced => !is_prose(value),
        (_, _) if spaced => false,
        (_, Style::Apposed) | (Notion::Lone, _) => is_unmistakable(value),
        (Notion::Password, Style::Quoted(_) | Style::Environment) => {
            let dotted = is_number(value) && value.contains(&b'.');
            !shape::is_secret_name(value) && !dotted
        }
        (Notion::Password, Style::Bare | Style::Flag) => {
            let digits = value.iter().any(u8::is_ascii_digit);
            !shape::is_secret_name(value) && (digits || !is_identifier(value)) && !is_number(value) && !is_code(value)
        }
        (Notion::Secret, Style::Quoted(_)) => is_marked(value) || (!is_identifier(value) && !is_code(value)),
        (Notion::Secret, Style::Environment) => is_marked(value) || (!shape::is_wordy(value) && !is_number(value)),
        (Notion::Secret, Style::Bare | Style::Flag) => {
            let digits = value.iter().any(u8::is_ascii_digit);
            (digits || value.len() >= WITHOUT_DIGITS_BYTES_MIN)
                && shape::looks_random(value)
                && !is_number(value)
                && !is_code(value)
        }
        (Notion::Key, _) => {
            value.len() >= KEY_BYTES_MIN && is_token(value) && shape::looks_random(value) && !is_code(value)
        }
    }
}

/// Whether a value can hardly be anything else, whatever stands before it.
fn is_unmistakable(value: &[u8]) -> bool {
    value.len() >= UNMISTAKABLE_BYTES_MIN
        && value.iter().filter(|byte| byte.is_ascii_digit()).count() >= 3
        && shape::distinct(value) >= 10
        && is_token(value)
        && shape::looks_random(value)
        && !is_code(value)
}

/// Whether a value has no other characters than tokens have.
fn is_token(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_+/=.:~@!%".contains(byte))
}

/// Whether a value begins with a mark that makers of tokens use, as `sec_` and `sk-` do.
fn is_marked(value: &[u8]) -> bool {
    const MARKS: [&[u8]; 12] =
        [b"sk-", b"sk_", b"sec_", b"sec-", b"tok_", b"tok-", b"pat_", b"pat-", b"rk_", b"ghp_", b"key-", b"eyJ"];
    MARKS.iter().any(|mark| value.starts_with(mark)) && !is_number(value)
}

/// Words that a name or a sentence is made of, without the digits of a secret.
fn is_identifier(value: &[u8]) -> bool {
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let plain =
        value.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':' | b'/'));
    plain && ((digits <= 2 && shape::is_wordy(value)) || is_number(value))
}

/// A number, a version or a date; with a base or a type, as programs write them.
fn is_number(value: &[u8]) -> bool {
    const TYPES: [&[u8]; 12] =
        [b"u8", b"u16", b"u32", b"u64", b"usize", b"i8", b"i16", b"i32", b"i64", b"isize", b"f32", b"f64"];
    if let [b'0', b'x' | b'X', digits @ ..] = value {
        return digits.len() <= 16 && digits.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'_');
    }
    let number = TYPES.iter().find_map(|kind| value.strip_suffix(*kind)).unwrap_or(value);
    number.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-' | b':'))
}

/// A path or an address, which names where a secret is.
fn is_path(value: &[u8]) -> bool {
    let rooted =
        [&b"/"[..], b"./", b"../", b"~/", b"file:", b"http:", b"https:", b"C:\\", b"vault:", b"op://", b"arn:"];
    let slashes = value.iter().filter(|byte| matches!(byte, b'/' | b'\\')).count();
    rooted.iter().any(|start| value.starts_with(start)) && (slashes >= 2 || shape::is_wordy(value))
        || memchr::memmem::find(value, b"://").is_some()
}

/// An expression instead of a value: a call, an index, a field of something, a type, a constant.
fn is_code(value: &[u8]) -> bool {
    let mut parts = value.split(|byte| *byte == b'.');
    let first = parts.next().unwrap_or_default();
    let is_name = |part: &[u8]| {
        part.first().is_some_and(|byte| !byte.is_ascii_digit())
            && part.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    };
    let small = first.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_');
    let is_self = matches!(first, b"self" | b"this" | b"cls" | b"args" | b"cfg");
    let field = first.len() < value.len()
        && small
        && is_name(first)
        && (is_self || shape::is_wordy(first))
        && parts.all(is_name);
    let constant = value.contains(&b'_')
        && value.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_');
    field
        || constant
        || matches!(value.first(), Some(b'&' | b'*' | b':' | b'@' | b'-'))
        || value.windows(2).any(|pair| matches!(pair, b"::" | b"->" | b"()" | b"[]" | b"=="))
}

/// A sentence: words that passphrases do without.
fn is_prose(value: &[u8]) -> bool {
    const WORDS: [&[u8]; 31] = [
        b"the",
        b"a",
        b"an",
        b"your",
        b"you",
        b"my",
        b"is",
        b"are",
        b"must",
        b"be",
        b"to",
        b"for",
        b"of",
        b"in",
        b"at",
        b"and",
        b"or",
        b"not",
        b"please",
        b"enter",
        b"invalid",
        b"incorrect",
        b"required",
        b"password",
        b"passwords",
        b"token",
        b"new",
        b"with",
        b"forgot",
        b"confirm",
        b"reset",
    ];
    let mut words = value.split(|byte| !byte.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.any(|word| WORDS.iter().any(|known| word.eq_ignore_ascii_case(known)))
}
