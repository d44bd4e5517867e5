// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names: what a word such as `token` is part of, and what that makes of a value.
//!
//! In: a keyword in its text. Out: the whole name, where it ends, and how strong its promise of a secret is.
//!
//! **Invariant:** a name that says something *about* a secret (`token_type`, `password_file`, `max_tokens`) is none.

use super::super::{Candidate, LOOK_BACK_BYTES_MAX};

/// Longest rest of a name behind its keyword. Bytes.
const SUFFIX_BYTES_MAX: usize = 40;

/// What a value of this name would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notion {
    /// Made by people: words are no excuse.
    Password,
    /// Made by machines.
    Secret,
    /// Perhaps a credential, perhaps the key of a table.
    Key,
    /// Just `key`.
    Lone,
}

/// How a name is written, beside its letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Bare.
    Plain,
    /// Between quotes.
    Quoted,
    /// Behind a hyphen or two, as options of programs are.
    Flag,
    /// All capitals, at the start of a word.
    Capitals,
    /// The name of an XML element.
    Element,
}

/// A name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    pub(super) notion: Notion,
    pub(super) mark: Mark,
    /// First letter of the name.
    pub(super) start: usize,
    /// After the last letter of the name.
    pub(super) end: usize,
}

/// Words before the keyword that make a name harmless.
const HARMLESS_BEFORE: &[&str] = &[
    "next",
    "page",
    "continuation",
    "continue",
    "cancel",
    "cancellation",
    "public",
    "publishable",
    "primary",
    "foreign",
    "cache",
    "sort",
    "partition",
    "object",
    "hot",
    "eos",
    "bos",
    "pad",
    "unk",
    "stop",
    "no",
    "without",
    "max",
    "min",
    "num",
    "csrf",
    "sync",
    "idempotency",
    "dedupe",
    "shift",
    "routing",
    "site",
];

/// Words at the end of a name that make it speak about a secret.
const HARMLESS_AFTER: &[&str] = &[
    "file",
    "encryption",
    "mode",
    "method",
    "path",
    "stdin",
    "url",
    "uri",
    "name",
    "id",
    "ids",
    "type",
    "types",
    "length",
    "len",
    "ttl",
    "expiry",
    "expires",
    "expiration",
    "count",
    "limit",
    "limits",
    "hint",
    "field",
    "label",
    "endpoint",
    "policy",
    "policies",
    "prompt",
    "input",
    "env",
    "var",
    "format",
    "size",
    "index",
    "usage",
    "algorithm",
    "alg",
    "strength",
    "ref",
    "arn",
    "version",
    "versions",
    "manager",
    "store",
    "dir",
    "location",
    "description",
    "title",
    "text",
    "placeholder",
    "regex",
    "pattern",
    "at",
    "age",
    "rotation",
    "scope",
    "scopes",
    "provider",
    "cmd",
    "command",
    "error",
    "message",
    "status",
    "valid",
    "required",
    "enabled",
    "class",
    "header",
    "param",
    "parser",
    "budget",
    "cost",
    "price",
    "fingerprint",
    "checksum",
    "prefix",
    "suffix",
    "map",
];

impl Name {
    /// The name of which the keyword of `candidate` is a part, if a value of it could be a secret.
    pub(super) fn parse(candidate: &Candidate<'_>) -> Option<Self> {
        let keyword = candidate.slice(candidate.start..candidate.end).to_ascii_lowercase();
        let from = candidate.start.saturating_sub(LOOK_BACK_BYTES_MAX);
        let before = candidate.slice(from..candidate.start);
        let prefix_bytes = before.iter().rev().take_while(|byte| is_name_byte(**byte)).count();
        let start = candidate.start - prefix_bytes;
        let prefix = candidate.slice(start..candidate.start);
        let (notion, stem) = match keyword.as_slice() {
            b"passw" => (Notion::Password, candidate.end + password_rest(candidate.rest(candidate.end))?),
            b"passphrase" | b"pwd" => (Notion::Password, candidate.end),
            b"key" => (key_notion(candidate, prefix)?, candidate.end),
            _ => (Notion::Secret, candidate.end),
        };
        let stem = match (keyword.as_slice(), candidate.byte(stem)) {
            (b"credential", Some(b's' | b'S')) => stem + 1,
            _ => stem,
        };
        let suffix_bytes = candidate.rest(stem).iter().take_while(|byte| is_name_byte(**byte)).count();
        let suffix = candidate.slice(stem..stem + suffix_bytes);
        if suffix_bytes > SUFFIX_BYTES_MAX || is_other_word(candidate, stem, suffix) || is_harmless(prefix, suffix) {
            return None;
        }
        // What goes on behind `key` names something else: `KEY_SIZE`, `keyTransform`.
        let weak = matches!(notion, Notion::Key | Notion::Lone);
        if weak && !suffix.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let whole = candidate.slice(start..stem + suffix_bytes);
        Some(Self { notion, mark: mark(candidate, start, whole), start, end: stem + suffix_bytes })
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// The rest of `password` or `passwd` behind `passw`.
fn password_rest(rest: &[u8]) -> Option<usize> {
    let starts = |text: &[u8]| rest.get(..text.len()).is_some_and(|head| head.eq_ignore_ascii_case(text));
    if starts(b"ord") { Some(3) } else { starts(b"d").then_some(1) }
}

/// What a name that ends in `key` promises, if anything.
fn key_notion(candidate: &Candidate<'_>, prefix: &[u8]) -> Option<Notion> {
    const STRONG: [&[u8]; 7] = [b"api", b"access", b"secret", b"private", b"auth", b"encryption", b"signing"];
    let stem_end = prefix.len() - prefix.iter().rev().take_while(|byte| matches!(byte, b'_' | b'-')).count();
    let stem = prefix.get(..stem_end).unwrap_or_default().to_ascii_lowercase();
    if STRONG.iter().any(|word| stem.ends_with(word)) {
        return Some(Notion::Secret);
    }
    if prefix.is_empty() {
        return Some(Notion::Lone);
    }
    let camel = candidate.byte(candidate.start) == Some(b'K') && prefix.last().is_some_and(u8::is_ascii_lowercase);
    (camel || (stem_end < prefix.len() && stem_end > 0)).then_some(Notion::Key)
}

/// Whether the keyword is the start of another word: `tokenizer`, `secretary`, `tokens`.
fn is_other_word(candidate: &Candidate<'_>, stem: usize, suffix: &[u8]) -> bool {
    let small = candidate.before(stem).is_some_and(|byte| byte.is_ascii_lowercase());
    match suffix.first() {
        Some(byte) if byte.is_ascii_lowercase() => true,
        Some(byte) if byte.is_ascii_uppercase() => !small,
        _ => false,
    }
}

fn is_harmless(prefix: &[u8], suffix: &[u8]) -> bool {
    let known = |list: &[&str], word: &[u8]| list.iter().any(|entry| word.eq_ignore_ascii_case(entry.as_bytes()));
    known(HARMLESS_BEFORE, last_word(prefix)) || (!suffix.is_empty() && known(HARMLESS_AFTER, last_word(suffix)))
}

/// The last word of a name in `snake_case`, `kebab-case` or `camelCase`.
fn last_word(name: &[u8]) -> &[u8] {
    let trimmed = name.len() - name.iter().rev().take_while(|byte| !byte.is_ascii_alphanumeric()).count();
    let name = name.get(..trimmed).unwrap_or_default();
    let word = name.rsplit(|byte| !byte.is_ascii_alphanumeric()).next().unwrap_or_default();
    let camel =
        word.windows(2).rposition(|pair| matches!(pair, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase()));
    word.get(camel.map_or(0, |at| at + 1)..).unwrap_or_default()
}

fn mark(candidate: &Candidate<'_>, start: usize, name: &[u8]) -> Mark {
    let before = candidate.before(start);
    let letters = name.iter().filter(|byte| byte.is_ascii_alphabetic());
    let edge =
        before.is_none_or(|byte| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b';' | b'&' | b'('));
    if name.starts_with(b"-") {
        Mark::Flag
    } else if edge && letters.clone().all(u8::is_ascii_uppercase) && before != Some(b'&') {
        Mark::Capitals
    } else if matches!(before, Some(b'"' | b'\'' | b'`')) {
        Mark::Quoted
    } else if before == Some(b'<') {
        Mark::Element
    } else {
        Mark::Plain
    }
}
