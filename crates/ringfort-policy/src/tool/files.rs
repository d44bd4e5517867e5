// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tools that touch files: reading, listing, searching, writing, moving.
//!
//! **Invariant:** every path among the arguments is judged, at any depth; a pattern of file names is judged by the
//! folder that it starts from, and is a fault where it may climb out of it. Which arguments are paths is decided by
//! [`super::inspect`]; here is what stands for a path where none is named.

use ringfort_core::action::PathOp;
use serde_json::{Map, Value};

use super::inspect::Inspector;
use super::key::{ENDS, present, text};
use super::{Act, Call, CallFault};
use crate::path::SECRET_NAMES;

/// Names of ordinary files: a pattern that matches one of them does not look for credentials.
const ORDINARY: [&str; 4] = ["a.b", "readme", "Makefile", "index.html"];
/// Names like those of [`SECRET_NAMES`] that have no fixed form.
const SECRET_SAMPLES: [&str; 5] = [".env.local", "a.p12", "a.kdbx", "a.keystore", "a.ppk"];
/// Most alternatives of one pattern that are looked at; more are a fault.
const ALTERNATIVES_MAX: usize = 64;
/// Most comparisons of one pattern with one name; beyond, it counts as a match.
const STEPS_MAX: usize = 10_000;

/// What stands at the front of a pattern's alternatives.
const OPENERS: [char; 4] = ['{', ',', '(', '|'];

/// Files that are named.
pub(super) fn paths<'a>(arguments: &'a Map<String, Value>, op: PathOp, call: &mut Call<'a>) -> Result<(), CallFault> {
    if named(arguments, op, call)? { Ok(()) } else { Err(CallFault::Missing("path")) }
}

/// Whether files are named; they are added.
fn named<'a>(arguments: &'a Map<String, Value>, op: PathOp, call: &mut Call<'a>) -> Result<bool, CallFault> {
    let before = call.acts.len();
    Inspector::paths(op, &mut call.acts).object(arguments, 0)?;
    // Patterns of several files to read, as one agent's tool takes them.
    let mut patterns = false;
    for (key, value) in present(arguments, &["include", "globs"]) {
        patterns = true;
        match value {
            Value::Array(patterns) => {
                for pattern in patterns {
                    search(pattern.as_str().ok_or(CallFault::Type(key))?, true, call)?;
                }
            }
            Value::String(pattern) => search(pattern, true, call)?,
            _ => return Err(CallFault::Type(key)),
        }
    }
    if patterns && call.acts.len() == before {
        // They start in the working folder.
        call.acts.push(Act::Path(".", op));
    }
    Ok(call.acts.len() > before)
}

/// A tool that edits, or only shows where its sub-command says so.
pub(super) fn edit<'a>(arguments: &'a Map<String, Value>, call: &mut Call<'a>) -> Result<(), CallFault> {
    let op = if text(arguments, "command")? == Some("view") { PathOp::Read } else { PathOp::Write };
    paths(arguments, op, call)
}

/// A folder; the working folder where none is named.
pub(super) fn list<'a>(arguments: &'a Map<String, Value>, call: &mut Call<'a>) -> Result<(), CallFault> {
    if !named(arguments, PathOp::Read, call)? {
        call.acts.push(Act::Path(".", PathOp::Read));
    }
    Ok(())
}

/// A listing by a pattern of file names.
pub(super) fn glob<'a>(arguments: &'a Map<String, Value>, call: &mut Call<'a>) -> Result<(), CallFault> {
    list(arguments, call)?;
    for (key, value) in present(arguments, &["pattern", "glob", "glob_pattern", "query"]) {
        search(value.as_str().ok_or(CallFault::Type(key))?, false, call)?;
    }
    Ok(())
}

/// A search for text, in files that a pattern may choose.
pub(super) fn grep<'a>(arguments: &'a Map<String, Value>, call: &mut Call<'a>) -> Result<(), CallFault> {
    list(arguments, call)?;
    if let Some((key, _)) = present(arguments, &["pattern", "query", "regex"]).find(|(_, value)| !value.is_string()) {
        return Err(CallFault::Type(key));
    }
    for (key, value) in present(arguments, &["glob", "include_pattern", "include_glob"]) {
        search(value.as_str().ok_or(CallFault::Type(key))?, true, call)?;
    }
    Ok(())
}

/// Both ends of a move.
pub(super) fn ends<'a>(arguments: &'a Map<String, Value>, call: &mut Call<'a>) -> Result<(), CallFault> {
    named(arguments, PathOp::Write, call)?;
    for (key, value) in present(arguments, ENDS) {
        call.acts.push(Act::Path(value.as_str().ok_or(CallFault::Type(key))?, PathOp::Write));
    }
    call.acts.dedup();
    if call.acts.len() < 2 { Err(CallFault::Missing("destination")) } else { Ok(()) }
}

/// A pattern of file names: the folder from which it starts, and its fixed beginning where contents are read.
fn search<'a>(pattern: &'a str, contents: bool, call: &mut Call<'a>) -> Result<(), CallFault> {
    if climbs(pattern) {
        return Err(CallFault::Pattern);
    }
    let is_excluded = pattern.starts_with('!');
    let pattern = pattern.strip_prefix('!').unwrap_or(pattern);
    let fixed = pattern.find(['*', '?', '[', '{', '(']).map_or(pattern, |at| pattern.get(..at).unwrap_or(""));
    let folder = fixed.rfind('/').map_or("", |at| fixed.get(..=at).unwrap_or(""));
    if !folder.is_empty() {
        call.acts.push(Act::Path(folder, PathOp::Read));
    }
    if is_excluded {
        return Ok(());
    }
    if contents && fixed != pattern {
        let name = pattern.rsplit('/').next().unwrap_or(pattern);
        call.acts.extend(secrets(pattern, name)?.into_iter().map(|secret| Act::Path(secret, PathOp::Read)));
    }
    let whole = contents || fixed == pattern || fixed.starts_with(['/', '~']);
    if whole && !fixed.is_empty() && fixed != folder {
        call.acts.push(Act::Path(fixed, PathOp::Read));
    }
    Ok(())
}

/// Names of credentials that a pattern looks for, rather than for files of all kinds. Alternatives may hold a `/`, so
/// both the whole pattern and its last part are read.
fn secrets(pattern: &str, name: &str) -> Result<Option<&'static str>, CallFault> {
    let mut alternatives = alternatives(pattern)?;
    alternatives.extend(self::alternatives(name)?);
    let hits = |alternative: &str, name: &str| {
        let last = alternative.rsplit('/').next().unwrap_or(alternative);
        matches(last.as_bytes(), name.as_bytes(), &mut 0)
    };
    let mut names = SECRET_NAMES.iter().chain(&SECRET_SAMPLES).copied();
    Ok(names.find(|secret| {
        let mut looking = alternatives.iter().filter(|it| !ORDINARY.iter().any(|ordinary| hits(it, ordinary)));
        looking.any(|alternative| hits(alternative, secret))
    }))
}

/// What a pattern means with its braces written out.
fn alternatives(pattern: &str) -> Result<Vec<String>, CallFault> {
    let (mut open, mut done) = (vec![pattern.to_owned()], Vec::new());
    while let Some(next) = open.pop() {
        if open.len() + done.len() >= ALTERNATIVES_MAX {
            return Err(CallFault::Pattern);
        }
        // The first `}` closes the innermost `{` before it.
        let braces = next.find('}').and_then(|end| Some((next.get(..end)?.rfind('{')?, end)));
        let parts = braces.and_then(|(at, end)| Some((next.get(..at)?, next.get(at + 1..end)?, next.get(end + 1..)?)));
        match parts {
            Some((front, inner, rest)) => open.extend(inner.split(',').map(|one| format!("{front}{one}{rest}"))),
            None => done.push(next),
        }
    }
    Ok(done)
}

/// Whether a pattern of `*`, `?` and classes matches a name. A class counts as any character.
fn matches(pattern: &[u8], name: &[u8], steps: &mut usize) -> bool {
    *steps += 1;
    match pattern {
        _ if *steps > STEPS_MAX => true,
        [] => name.is_empty(),
        [b'*', rest @ ..] => {
            matches(rest, name, steps) || name.split_first().is_some_and(|(_, tail)| matches(pattern, tail, steps))
        }
        [b'[', rest @ ..] if rest.contains(&b']') => {
            let end = rest.iter().skip(1).position(|byte| *byte == b']').map_or(rest.len(), |at| at + 2);
            let rest = rest.get(end..).unwrap_or(&[]);
            name.split_first().is_some_and(|(_, tail)| matches(rest, tail, steps))
        }
        [b'?', rest @ ..] => name.split_first().is_some_and(|(_, tail)| matches(rest, tail, steps)),
        [byte, rest @ ..] => {
            name.split_first().is_some_and(|(first, tail)| first == byte && matches(rest, tail, steps))
        }
    }
}

/// Whether a pattern may reach a place that its beginning does not show.
fn climbs(pattern: &str) -> bool {
    let bytes = pattern.as_bytes();
    let escapes = pattern.contains('\\');
    let has_wild = pattern.contains(['*', '?', '[', '{', '(']);
    // A plain path with `..` is judged as the path it is; behind a wildcard nobody knows where it leads.
    let up = pattern.split(['/', '{', '}', ',', '(', ')', '|']).any(|part| part == "..");
    let inner = OPENERS.iter().any(|opener| {
        pattern.match_indices(*opener).any(|(at, _)| matches!(bytes.get(at + 1), Some(b'/' | b'~' | b'$')))
    });
    // Dots by a class: `[.]./`, `.[.]/`, `?(.)./`.
    let dots = pattern.split('/').any(|part| part.starts_with(['[', '.', '?', '+', '@']) && is_dots(part));
    escapes || (has_wild && (up || inner || dots))
}

/// Whether a part of a pattern may match `..`.
fn is_dots(part: &str) -> bool {
    part != "." && part != ".." && !part.is_empty() && part.chars().all(|c| ".[]?+@(){},|!".contains(c))
}
