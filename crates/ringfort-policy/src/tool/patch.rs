// SPDX-License-Identifier: MIT OR Apache-2.0
//! Patches: which files one would touch.
//!
//! In: the envelope of `*** Begin Patch`, or a unified diff. Out: every path that a reader of the patch could take as
//! its target.
//!
//! **Invariant:** where two readers may differ, both readings count; a form that is not understood is a fault.

use ringfort_core::action::PathOp;
use serde_json::{Map, Value};

use super::key::{COMMAND, FOLDER, PATCH, one, present};
use super::{ACTS_MAX, Act, Call, CallFault};

/// Lines of an envelope that name a file.
const HEADS: [&str; 4] = ["*** Add File:", "*** Update File:", "*** Delete File:", "*** Move to:"];
const BEGIN: &str = "*** Begin Patch";

/// A tool that applies the patch among its arguments.
pub(super) fn tool<'a>(arguments: &'a Map<String, Value>, call: &mut Call<'a>) -> Result<(), CallFault> {
    call.cwd = one(arguments, FOLDER)?;
    let mut found = one(arguments, PATCH)?;
    for (key, value) in present(arguments, COMMAND) {
        let command = match value {
            Value::String(command) => command.as_str(),
            Value::Array(words) => match words.as_slice() {
                [Value::String(program), Value::String(patch)] if program == "apply_patch" => patch,
                _ => return Err(CallFault::Patch),
            },
            _ => return Err(CallFault::Type(key)),
        };
        if found.is_some_and(|found| found != command) {
            return Err(CallFault::Twice("input", key));
        }
        found = Some(command);
    }
    text(found.ok_or(CallFault::Missing("input"))?, call)
}

/// The paths of a patch.
pub(super) fn text<'a>(patch: &'a str, call: &mut Call<'a>) -> Result<(), CallFault> {
    let trimmed = patch.trim_start();
    let mut found = Vec::new();
    let mut lines = trimmed.lines();
    let mut first = lines.next().map_or("", str::trim);
    if first.starts_with("<<") {
        first = lines.next().map_or("", str::trim);
    }
    if first == BEGIN {
        envelope(trimmed, &mut found)?;
    } else {
        unified(trimmed, &mut found)?;
    }
    if found.is_empty() {
        return Err(CallFault::Patch);
    }
    add(found, call)
}

/// A patch that stands somewhere inside a command: what it names is judged beside the command.
pub(super) fn embedded<'a>(command: &'a str, call: &mut Call<'a>) -> Result<(), CallFault> {
    if !command.contains(BEGIN) {
        return Ok(());
    }
    let heads = command.lines().filter_map(head);
    add(heads.collect(), call)
}

fn add<'a>(found: Vec<&'a str>, call: &mut Call<'a>) -> Result<(), CallFault> {
    if found.len() > ACTS_MAX {
        return Err(CallFault::TooMany);
    }
    call.acts.extend(found.into_iter().map(|path| Act::Path(path, PathOp::Write)));
    Ok(())
}

/// The path that a line of an envelope names.
fn head(line: &str) -> Option<&str> {
    let line = line.trim_start();
    HEADS.iter().find_map(|head| line.strip_prefix(head)).map(str::trim)
}

fn envelope<'a>(patch: &'a str, found: &mut Vec<&'a str>) -> Result<(), CallFault> {
    let mut ended = false;
    for line in patch.lines() {
        if let Some(path) = head(line) {
            if path.is_empty() || ended {
                return Err(CallFault::Patch);
            }
            found.push(path);
        } else if line.starts_with("***") {
            match line.trim_end() {
                BEGIN if !ended && found.is_empty() => {}
                "*** End of File" => {}
                "*** End Patch" => ended = true,
                _ => return Err(CallFault::Patch),
            }
        }
    }
    if ended { Ok(()) } else { Err(CallFault::Patch) }
}

/// A unified diff, of `diff -u` or of git. A header counts wherever it stands, inside a hunk too.
fn unified<'a>(patch: &'a str, found: &mut Vec<&'a str>) -> Result<(), CallFault> {
    const NAMED: [&str; 4] = ["rename from ", "rename to ", "copy from ", "copy to "];
    let (mut old, mut new, mut whole) = (0_usize, 0_usize, 0_usize);
    for line in patch.lines() {
        if let Some(path) = line.strip_prefix("--- ") {
            old += 1;
            target(path, found)?;
        } else if let Some(path) = line.strip_prefix("+++ ") {
            new += 1;
            target(path, found)?;
        } else if let Some(path) = NAMED.iter().find_map(|name| line.strip_prefix(name)) {
            whole += 1;
            target(path, found)?;
        } else if let Some(paths) = line.strip_prefix("diff --git ") {
            whole += 1;
            both(paths, found)?;
        } else if let Some(path) = line.strip_prefix("Index: ") {
            target(path, found)?;
        } else if line.contains("mode 120000") || line.contains("mode 160000") {
            // A link or a submodule: what is written through it later is not named here.
            return Err(CallFault::Patch);
        }
    }
    if (old > 0 && new > 0) || whole > 0 { Ok(()) } else { Err(CallFault::Patch) }
}

/// One path of a header, as it stands and without its first part, as `-p1` reads it.
fn target<'a>(path: &'a str, found: &mut Vec<&'a str>) -> Result<(), CallFault> {
    let path = path.split('\t').next().unwrap_or(path).trim_end();
    if path.is_empty() || path.starts_with('"') || path.starts_with('\'') {
        return Err(CallFault::Patch);
    }
    if path == "/dev/null" {
        return Ok(());
    }
    found.push(path);
    if let Some((_, rest)) = path.split_once('/').filter(|(first, rest)| !first.is_empty() && !rest.is_empty()) {
        found.push(rest);
    }
    Ok(())
}

/// `a/x b/x`, where the names hold no blanks; others are named by lines of their own.
fn both<'a>(paths: &'a str, found: &mut Vec<&'a str>) -> Result<(), CallFault> {
    if let [old, new] = paths.split(' ').collect::<Vec<_>>()[..] {
        target(old, found)?;
        return target(new, found);
    }
    if paths.contains('"') { Err(CallFault::Patch) } else { Ok(()) }
}
