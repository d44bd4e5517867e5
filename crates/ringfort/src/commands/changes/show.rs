// SPDX-License-Identifier: MIT OR Apache-2.0
//! How changes look: one line each for people, objects for programs, texts side by side.
//!
//! In: changes. Out: escaped lines, colours where the stream shows them.
//!
//! **Invariant:** a name from the workspace is escaped before it is shown, and so is every line of a difference.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use ringfort_core::text::escape_bytes;
use ringfort_runtime::cow::{Counts, CowFolder, Listed};
use ringfort_sandbox::cow::{Aspect, Change, Form, Kind, Refusal, Side, What, read_new, read_old};
use serde_json::{Value, json};

use crate::output::diff;

/// Most lines of changes in the summary at the end of a run.
pub(super) const SUMMARY_LINES_MAX: usize = 20;
/// Most refusals that are shown.
const REFUSALS_SHOWN_MAX: usize = 50;
/// Largest text whose difference is shown. Bytes.
const TEXT_BYTES_MAX: usize = 512 << 10;

/// Whether texts are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// With each change.
    Shown,
    /// Only the list.
    Hidden,
}

/// A path for people.
pub(super) fn path(path: &Path) -> String {
    if path.as_os_str().is_empty() { ".".to_owned() } else { escape_bytes(path.as_os_str().as_bytes()) }
}

/// A size for people.
pub(super) fn size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut whole, mut tenth, mut unit) = (bytes, 0, 0);
    while whole >= 1024 && unit + 1 < units.len() {
        tenth = (whole % 1024) * 10 / 1024;
        whole /= 1024;
        unit += 1;
    }
    let name = units.get(unit).copied().unwrap_or_default();
    if unit == 0 { format!("{whole} {name}") } else { format!("{whole}.{tenth} {name}") }
}

/// Counts for people.
pub(super) fn counts_text(counts: &Counts) -> String {
    let mut text = format!("{} added, {} modified, {} deleted", counts.added, counts.modified, counts.deleted);
    if counts.concerns > 0 {
        text.push_str(&format!(", {} that need an explicit yes", counts.concerns));
    }
    if counts.conflicts > 0 {
        text.push_str(&format!(", {} in conflict", counts.conflicts));
    }
    text
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Folder => "folder",
        Kind::Link => "link",
        Kind::Pipe => "pipe",
        Kind::Socket => "socket",
        _ => "device",
    }
}

/// What a person should know first.
pub(super) fn heading(out: &mut dyn Write, folder: &CowFolder) -> io::Result<()> {
    let record = &folder.record;
    let form = match record.layer.form {
        Form::Overlay => "overlay",
        Form::Copy => "copy",
    };
    let state = if record.end.is_some() { "" } else { ", UNFINISHED: the run was killed" };
    writeln!(
        out,
        "run {} of `{}` in {} ({}, {form}{state})",
        folder.name,
        escape_bytes(record.command.as_bytes()),
        path(&record.layer.workspace),
        record.began
    )
}

/// One line for each change, with its text where that is wanted.
pub(super) fn list(
    out: &mut dyn Write,
    list: &[Change],
    lines_max: usize,
    text: Option<(&CowFolder, Text)>,
) -> io::Result<()> {
    for change in list.iter().take(lines_max) {
        line(out, change)?;
        if let Some((folder, Text::Shown)) = text {
            difference(out, folder, change)?;
        }
    }
    if list.len() > lines_max {
        writeln!(out, "  … and {} more", list.len() - lines_max)?;
    }
    Ok(())
}

fn line(out: &mut dyn Write, change: &Change) -> io::Result<()> {
    let (letter, colour) = match (change.what, &change.renamed_from) {
        (What::Added, Some(_)) => ('R', "36"),
        (What::Added, None) => ('A', "32"),
        (What::Deleted, _) => ('D', "31"),
        (What::Replaced, _) => ('T', "35"),
        (What::Modified, _) if change.aspects.contains(&Aspect::Content) => ('M', "33"),
        (What::Modified, _) => ('m', "33"),
    };
    let is_folder = change.after.or(change.before).is_some_and(|side| side.kind == Kind::Folder);
    let slash = if is_folder && !change.path.as_os_str().is_empty() { "/" } else { "" };
    let mark = match (&change.conflict, &change.left_out, &change.concern) {
        (Some(_), _, _) => "!",
        (_, Some(_), _) => "-",
        (_, _, Some(_)) => "?",
        _ => " ",
    };
    let from = change.renamed_from.as_deref().map_or_else(String::new, |from| format!("{} → ", path(from)));
    let words = details(change);
    let words = if words.is_empty() { words } else { format!("  \u{1b}[2m{words}\u{1b}[0m") };
    writeln!(out, "{mark} \u{1b}[{colour}m{letter}\u{1b}[0m {from}{}{slash}{words}", path(&change.path))
}

/// Sizes, modes and kinds, as far as they say something.
fn details(change: &Change) -> String {
    let mut words = Vec::new();
    let file = |side: &Side| side.kind == Kind::File;
    match (&change.before, &change.after) {
        (None, Some(after)) if file(after) => words.push(size(after.size)),
        (None, Some(after)) if after.kind != Kind::Folder => words.push(kind_name(after.kind).to_owned()),
        (Some(before), None) if file(before) => words.push(size(before.size)),
        (Some(_), None) if change.below > 0 => words.push(format!("with {} entries", change.below)),
        (Some(before), Some(after)) if before.kind != after.kind => {
            words.push(format!("{} → {}", kind_name(before.kind), kind_name(after.kind)));
        }
        (Some(before), Some(after)) if file(after) && change.aspects.contains(&Aspect::Content) => {
            words.push(format!("{} → {}", size(before.size), size(after.size)));
        }
        _ => {}
    }
    match (&change.before, &change.after) {
        (Some(before), Some(after)) if change.aspects.contains(&Aspect::Mode) => {
            words.push(format!("mode {:04o} → {:04o}", before.mode, after.mode));
        }
        (None, Some(after)) if file(after) && after.mode & 0o7111 != 0 => {
            words.push(format!("mode {:04o}", after.mode))
        }
        _ => {}
    }
    for (aspect, word) in
        [(Aspect::Attributes, "attributes"), (Aspect::Links, "one file with several names"), (Aspect::Times, "time")]
    {
        let says = aspect != Aspect::Times || change.aspects.len() == 1;
        if change.aspects.contains(&aspect) && says {
            words.push(word.to_owned());
        }
    }
    words.join(", ")
}

/// How the texts of a change differ, where they are texts.
fn difference(out: &mut dyn Write, folder: &CowFolder, change: &Change) -> io::Result<()> {
    let is_file = |side: &Option<Side>| side.is_some_and(|side| side.kind == Kind::File);
    let layer = &folder.record.layer;
    let old = if is_file(&change.before) { read_old(layer, &change.path, TEXT_BYTES_MAX) } else { Ok(Vec::new()) };
    let new = if is_file(&change.after) {
        read_new(layer, &folder.path, &change.path, TEXT_BYTES_MAX)
    } else {
        Ok(Vec::new())
    };
    if !is_file(&change.before) && !is_file(&change.after) {
        return Ok(());
    }
    match (old, new) {
        (Ok(old), Ok(new)) => diff::unified(out, &old, &new),
        _ => writeln!(out, "    (too large, or unreadable, to be shown)"),
    }
}

/// Why some of it would not be applied.
pub(super) fn what_stands_against(out: &mut dyn Write, list: &[Change]) -> io::Result<()> {
    let all = list.iter().filter_map(|change| {
        let (why, note) = match (&change.conflict, &change.left_out, &change.concern) {
            (Some(why), _, _) => (why, "conflict"),
            (_, Some(why), _) => (why, "left out"),
            (_, _, Some(why)) => (why, "needs --allow-startup"),
            _ => return None,
        };
        Some((change, why, note))
    });
    for (change, why, note) in all.take(REFUSALS_SHOWN_MAX) {
        writeln!(out, "{note}: {}: {}", path(&change.path), escape_lines(why))?;
    }
    Ok(())
}

fn escape_lines(text: &str) -> String {
    escape_bytes(text.as_bytes()).replace("\\\\", "\\")
}

/// Why nothing was applied.
pub(super) fn refusals(out: &mut dyn Write, refusals: &[Refusal]) -> io::Result<()> {
    for one in refusals.iter().take(REFUSALS_SHOWN_MAX) {
        let what = if one.is_concern { "needs --allow-startup" } else { "conflict" };
        writeln!(out, "ringfort: {what}: {}: {}", path(&one.path), escape_lines(&one.why))?;
    }
    if refusals.len() > REFUSALS_SHOWN_MAX {
        writeln!(out, "ringfort: … and {} more", refusals.len() - REFUSALS_SHOWN_MAX)?;
    }
    Ok(())
}

/// One run on one line.
pub(super) fn run_line(run: &Listed) -> String {
    let state = |end: &Option<Counts>| match end {
        _ if run.is_busy => "running".to_owned(),
        Some(counts) => counts_text(counts),
        None => "UNFINISHED: the run was killed; its changes are kept".to_owned(),
    };
    match &run.record {
        Ok(record) => {
            let workspace = path(&record.layer.workspace);
            let command = escape_bytes(record.command.as_bytes());
            format!("{}  {}  {workspace}  {}  `{command}`", run.name, record.began, state(&record.end))
        }
        Err(_) if run.is_busy => format!("{}  begins", run.name),
        Err(error) => {
            format!("{}  unreadable ({error}): `ringfort changes discard {}` clears it away", run.name, run.name)
        }
    }
}

/// One run as an object.
pub(super) fn run_json(run: &Listed) -> Value {
    let record = run.record.as_ref().ok();
    let state = match record.map(|record| record.end.is_some()) {
        _ if run.is_busy => "running",
        Some(true) => "finished",
        Some(false) => "unfinished",
        None => "unreadable",
    };
    json!({
        "name": run.name,
        "state": state,
        "workspace": record.map(|record| record.layer.workspace.display().to_string()),
        "began": record.map(|record| record.began),
        "command": record.map(|record| record.command.as_str()),
        "form": record.map(|record| record.layer.form),
        "counts": record.and_then(|record| record.end),
    })
}

/// A run and its changes as an object.
pub(super) fn to_json(folder: &CowFolder, list: &[Change]) -> Value {
    let changes: Vec<Value> = list.iter().map(change_json).collect();
    json!({
        "name": folder.name,
        "session": folder.record.session,
        "workspace": folder.record.layer.workspace.display().to_string(),
        "command": folder.record.command,
        "began": folder.record.began,
        "form": folder.record.layer.form,
        "finished": folder.record.end.is_some(),
        "counts": Counts::of(list),
        "digest": ringfort_runtime::cow::digest(list).to_string(),
        "changes": changes,
    })
}

fn path_json(path: &Path) -> Value {
    serde_json::to_value(ringfort_sandbox::cow::RelativePath(path.to_owned())).unwrap_or_default()
}

fn change_json(change: &Change) -> Value {
    json!({
        "path": path_json(&change.path),
        "what": change.what,
        "aspects": change.aspects,
        "before": change.before,
        "after": change.after,
        "renamed_from": change.renamed_from.as_deref().map(path_json),
        "below": change.below,
        "conflict": change.conflict,
        "needs_startup": change.concern,
        "left_out": change.left_out,
    })
}

/// A refusal as an object.
pub(super) fn refusal_json(one: &Refusal) -> Value {
    json!({ "path": path_json(&one.path), "why": one.why })
}
