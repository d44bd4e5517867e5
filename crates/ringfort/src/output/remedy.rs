// SPDX-License-Identifier: MIT OR Apache-2.0
//! What would allow it, for a person: lines to paste, the file they belong into, and what else they open.
//!
//! In: a remedy that was tried, and where the configuration comes from. Out: text, or the member `remedy` of the JSON.
//!
//! **Invariant:** never shown to an agent: the callers ask for it only where nobody governs them.

use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use ringfort_core::decision::Decision;
use ringfort_core::door::Door;
use ringfort_core::limits::CONFIG_BYTES_MAX;
use ringfort_core::request::Request;
use ringfort_core::ruling::{Reason, Remedy as Suggested, Ruling};
use ringfort_core::text::escape_bytes;
use ringfort_policy::load::{Layer, Loaded};
use ringfort_policy::path::Setting;
use ringfort_policy::remedy::{Case, Change, File, Remedy, find};
use serde_json::{Value, json};

use super::style;
use crate::commands::Common;
use crate::wiring::{FILE_NAME, World};

/// The rule that says that nobody answered a question.
const UNANSWERED_RULE: &str = "approve-001";

/// A remedy, and where its lines belong.
pub(crate) struct Opening {
    remedy: Remedy,
    files: Files,
    loaded: Loaded,
}

impl Opening {
    /// Looks for what would change the ruling on a request at a door; `None` where the policies alone are not what
    /// stands in the way.
    pub(crate) fn find(
        world: &World,
        common: &Common,
        loaded: Loaded,
        request: &Request,
        door: &Door,
        ruling: &Ruling,
    ) -> Option<Self> {
        if ruling.decision == Decision::Allow {
            return None;
        }
        let setting = Setting::from(request);
        let restriction = loaded.restriction.as_ref();
        let case = Case { config: &loaded.config, restriction, action: &request.action, setting: &setting, door };
        // Without an answer a question ends as a denial; with one it would not.
        let unanswered = ruling.reasons.iter().any(|reason| reason.rule == UNANSWERED_RULE);
        let fits = |remedy: &Remedy| remedy.before == ruling.decision || unanswered && remedy.before == Decision::Ask;
        let remedy = find(&case).filter(fits)?;
        let files = Files {
            user: world.places(common).user_file,
            project: request.workspace.join(FILE_NAME),
            explicit: world.explicit_file(common),
        };
        Some(Self { remedy, files, loaded })
    }

    /// Prints it for a person.
    ///
    /// # Errors
    ///
    /// The stream cannot be written.
    pub(crate) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        print(out, &self.remedy, &self.files, &self.loaded)
    }

    /// The member `remedy`.
    pub(crate) fn to_json(&self) -> Value {
        json(&self.remedy, &self.files, &self.loaded)
    }
}

/// Where the files are that a person would change.
struct Files {
    user: PathBuf,
    project: PathBuf,
    /// The file of `--policy`.
    explicit: Option<PathBuf>,
}

/// Where one change belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// A file that counts once it is accepted.
    Accepted(PathBuf),
    /// A file that counts as it is.
    Plain(PathBuf),
    /// A flag of this command line says otherwise.
    Flag,
}

fn target(change: &Change, files: &Files, loaded: &Loaded) -> Target {
    if change.file == File::Project {
        return Target::Plain(files.project.clone());
    }
    match (loaded.origins.get(change.key), &files.explicit) {
        (Some(Layer::Flags), _) => Target::Flag,
        // The file of `--policy` is laid over the user's.
        (Some(Layer::Explicit), Some(explicit)) => Target::Plain(explicit.clone()),
        _ => Target::Accepted(files.user.clone()),
    }
}

/// The changes by target, in order.
fn grouped<'r>(remedy: &'r Remedy, files: &Files, loaded: &Loaded) -> Vec<(Target, Vec<&'r Change>)> {
    let mut groups: Vec<(Target, Vec<&Change>)> = Vec::new();
    for change in &remedy.changes {
        let target = target(change, files, loaded);
        match groups.iter_mut().find(|(known, _)| *known == target) {
            Some((_, changes)) => changes.push(change),
            None => groups.push((target, vec![change])),
        }
    }
    groups
}

/// The lines to paste: sections with their keys. A comment says what is there already.
fn toml(changes: &[&Change], present: Option<&toml::Table>) -> String {
    let sections: Vec<&str> = changes.iter().map(|change| change.section()).collect();
    let mut text = String::new();
    for (number, section) in sections.iter().enumerate() {
        if sections.iter().take(number).any(|earlier| earlier == section) {
            continue;
        }
        let table = present.and_then(|present| present.get(*section)).and_then(toml::Value::as_table);
        text.push_str(&format!("[{section}]"));
        text.push_str(if table.is_some() { "  # it is there already: put what follows below it\n" } else { "\n" });
        for change in changes.iter().filter(|change| change.section() == *section) {
            let is_there = table.is_some_and(|table| table.contains_key(change.name()));
            match change.line() {
                Some(line) => {
                    text.push_str(&line);
                    text.push_str(if is_there { "  # in place of the line that is there\n" } else { "\n" });
                }
                None => text.push_str(&format!("# remove the line `{} = …`\n", change.name())),
            }
        }
    }
    text
}

/// What a file holds, if it is TOML; for its comments only.
fn present(path: &Path) -> Option<toml::Table> {
    let mut text = String::new();
    let limit = u64::try_from(CONFIG_BYTES_MAX).ok()?;
    std::fs::File::open(path).ok()?.take(limit).read_to_string(&mut text).ok()?;
    toml::from_str(&text).ok()
}

fn shown(path: &Path) -> String {
    escape_bytes(path.as_os_str().as_encoded_bytes())
}

fn print(out: &mut dyn Write, remedy: &Remedy, files: &Files, loaded: &Loaded) -> io::Result<()> {
    let (bold, plain) = (style("1"), style("0"));
    if let Some(run) = &remedy.run {
        let command = escape_bytes(run.command.as_bytes()).replace("\\\\", "\\");
        let asks = if run.answer == Decision::Ask { ", which asks you on a terminal" } else { "" };
        writeln!(out, "{bold}to allow it{plain} without a change, inside the cage: `{command}`{asks}")?;
    }
    let may_ask = remedy.run.as_ref().is_some_and(|run| run.answer == Decision::Ask);
    if let (Some(left), Decision::Deny) = (&remedy.left, remedy.reached) {
        let message = escape_bytes(left.message.as_bytes());
        if let Some(text) = by_hand(left) {
            let text = escape_bytes(text.as_bytes()).replace("\\\\", "\\");
            return writeln!(out, "{bold}to allow it{plain}: {text}");
        }
        let end = if may_ask { "" } else { "; leave that part out, or do it yourself, outside" };
        return writeln!(out, "{bold}to allow it{plain} here: no setting does ({message} [{}]){end}", left.rule);
    }
    for (number, (target, changes)) in grouped(remedy, files, loaded).into_iter().enumerate() {
        let start = match (number, &remedy.run) {
            (0, None) => format!("{bold}to allow it{plain}:"),
            (0, Some(_)) => "  or outside the cage:".to_owned(),
            _ => "  and".to_owned(),
        };
        let (head, text) = match &target {
            Target::Accepted(path) => (
                format!("put this into `{}`, then run `ringfort policy accept`", shown(path)),
                toml(&changes, present(path).as_ref()),
            ),
            Target::Plain(path) => (format!("put this into `{}`", shown(path)), toml(&changes, present(path).as_ref())),
            Target::Flag => ("the flag `--set` that says otherwise has to say".to_owned(), toml(&changes, None)),
        };
        writeln!(out, "{start} {head}")?;
        for line in text.lines() {
            writeln!(out, "      {}", escape_bytes(line.as_bytes()).replace("\\\\", "\\"))?;
        }
        for change in changes {
            writeln!(out, "    risk: {}", escape_bytes(change.risk.as_bytes()))?;
        }
    }
    if remedy.reached == Decision::Ask {
        let rest = if remedy.changes.is_empty() { "no setting takes this question away" } else { "a question remains" };
        writeln!(out, "{bold}to allow it{plain} once: {rest}; say yes when you are asked, on a terminal")?;
    }
    Ok(())
}

/// What a rule says itself about what would open it, where no line could be tried.
fn by_hand(left: &Reason) -> Option<&str> {
    match &left.remedy {
        Some(Suggested::Person(text)) if !text.starts_with("nothing opens") => Some(text),
        _ => None,
    }
}

fn json(remedy: &Remedy, files: &Files, loaded: &Loaded) -> Value {
    let changes: Vec<Value> = grouped(remedy, files, loaded)
        .into_iter()
        .map(|(target, changes)| {
            let (file, then) = match &target {
                Target::Accepted(path) => (Some(path), Some("ringfort policy accept")),
                Target::Plain(path) => (Some(path), None),
                Target::Flag => (None, None),
            };
            let keys: Vec<Value> = changes
                .iter()
                .map(|change| json!({ "key": change.key, "value": change.value, "risk": change.risk }))
                .collect();
            json!({ "file": file, "then": then, "toml": toml(&changes, file.and_then(|file| present(file)).as_ref()), "keys": keys })
        })
        .collect();
    json!({
        "reached": remedy.reached,
        "run": remedy.run.as_ref().map(|run| json!({ "command": run.command, "decision": run.answer })),
        "changes": changes,
        "left": remedy.left.as_ref().map(|left| json!({ "rule": left.rule, "message": left.message, "by_hand": by_hand(left) })),
    })
}
