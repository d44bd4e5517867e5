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
    for (key, value) in present(arguments, &["include", "globs"]) {
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
    let pattern = pattern.strip_prefix('!').unwrap_or(pattern);
    let fixed = pattern.find(['*', '?', '[', '{', '(']).map_or(pattern, |at| pattern.get(..at).unwrap_or(""));
    let folder = fixed.rfind('/').map_or("", |at| fixed.get(..=at).unwrap_or(""));
    if !folder.is_empty() {
        call.acts.push(Act::Path(folder, PathOp::Read));
    }
    let whole = contents || fixed == pattern || fixed.starts_with(['/', '~']);
    if whole && !fixed.is_empty() && fixed != folder {
        call.acts.push(Act::Path(fixed, PathOp::Read));
    }
    Ok(())
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
