// SPDX-License-Identifier: MIT OR Apache-2.0
//! Remedies: the smallest change of policy after which the same action is no longer denied or asked about.
//!
//! In: the configuration in force, one action, and the door it came to. Out: lines of TOML for the user's or the
//! project's file, each with its risk in words; or that nothing in the policy opens it. For people only.
//!
//! **Invariant:** a change is proposed only after it was tried: the policy that it makes has ruled on the same action,
//! and the reason it was for is gone. Proposals are tried from the narrowest to the widest. Nothing is written here.

use ringfort_core::action::{Action, Command};
use ringfort_core::decision::Decision;
use ringfort_core::door::{Door, DoorKind};
use ringfort_core::obligation::Promise;
use ringfort_core::ruling::{Reason, Ruling};
use serde_json::Value;

use crate::config::Config;
use crate::path::Setting;
use crate::restriction::Restriction;
use crate::rule::Policy;

mod candidates;

/// Most changes of one remedy; what needs more is no small change.
const CHANGES_MAX: usize = 8;
/// Most policies that are tried for one remedy.
const TRIALS_MAX: usize = 96;
/// Longest command for which a remedy is worked out: each trial analyses it again. Bytes.
const INPUT_BYTES_MAX: usize = 16 << 10;
/// Longest command that is offered to be run through the cage as it is. Bytes.
const RUN_BYTES_MAX: usize = 400;

/// What a remedy is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// What files and flags say.
    pub config: &'a Config,
    /// What the project restricts.
    pub restriction: Option<&'a Restriction>,
    /// The action.
    pub action: &'a Action,
    /// Where it happens.
    pub setting: &'a Setting<'a>,
    /// The door that answers.
    pub door: &'a Door,
}

/// What would change an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Remedy {
    /// The answer of the policies as they are.
    pub before: Decision,
    /// The changes, all of which are needed; empty where none helps or none is needed.
    pub changes: Vec<Change>,
    /// The answer after them.
    pub reached: Decision,
    /// What still stands in the way then; nothing in the policy opens it.
    pub left: Option<Reason>,
    /// The same command through the cage, where that alone is milder.
    pub run: Option<Run>,
}

/// The command through the cage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The command line.
    pub command: String,
    /// The answer there: allowed, or a question on the terminal.
    pub answer: Decision,
}

/// The file that a change belongs into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// The user's configuration.
    User,
    /// The project's restriction.
    Project,
}

/// One key with a new value.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Where it belongs.
    pub file: File,
    /// The dotted key: a section and a name.
    pub key: &'static str,
    /// The whole new value; `None` where the line is to be removed.
    pub value: Option<Value>,
    /// What it opens besides this action.
    pub risk: String,
}

impl Change {
    /// The section of the key.
    pub fn section(&self) -> &'static str {
        self.key.split_once('.').map_or("", |(section, _)| section)
    }

    /// The key without its section.
    pub fn name(&self) -> &'static str {
        self.key.split_once('.').map_or(self.key, |(_, name)| name)
    }

    /// The line of TOML below its section; `None` where one is to be removed.
    pub fn line(&self) -> Option<String> {
        let mut value = self.value.clone()?;
        without_nulls(&mut value);
        let value = toml::Value::try_from(value).ok()?;
        Some(format!("{} = {value}", self.name()))
    }
}

/// TOML has no word for an absent value.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(without_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// The configuration as it would be.
#[derive(Clone)]
struct Documents {
    user: Value,
    project: Option<Value>,
}

/// A change that is tried.
#[derive(Clone, Debug)]
struct Edit {
    file: File,
    key: &'static str,
    to: To,
    risk: String,
}

/// What becomes of a key.
#[derive(Clone, Debug)]
enum To {
    Set(&'static str),
    Flag(bool),
    Add(Vec<String>),
    Push(Value),
    Remove(String),
    Drop,
}

impl Documents {
    fn key(&mut self, file: File, key: &str) -> Option<&mut Value> {
        let document = match file {
            File::User => &mut self.user,
            File::Project => self.project.as_mut()?,
        };
        document.pointer_mut(&format!("/{}", key.replace('.', "/")))
    }

    /// Makes the change; false where there is nothing to change.
    fn apply(&mut self, edit: &Edit) -> bool {
        let Some(value) = self.key(edit.file, edit.key) else { return false };
        let before = value.clone();
        match &edit.to {
            To::Set(word) => *value = Value::from(*word),
            To::Flag(flag) => *value = Value::from(*flag),
            To::Drop => *value = Value::Null,
            To::Add(entries) => {
                let mut list = value.as_array().cloned().unwrap_or_default();
                for entry in entries.iter().map(|entry| Value::from(entry.as_str())) {
                    if !list.contains(&entry) {
                        list.push(entry);
                    }
                }
                *value = Value::Array(list);
            }
            To::Push(entry) => {
                let mut list = value.as_array().cloned().unwrap_or_default();
                list.push(entry.clone());
                *value = Value::Array(list);
            }
            To::Remove(entry) => {
                if let Some(list) = value.as_array_mut() {
                    list.retain(|known| known.as_str() != Some(entry));
                }
            }
        }
        *value != before
    }
}

struct Search<'a> {
    case: &'a Case<'a>,
    trials: usize,
}

impl Search<'_> {
    /// The ruling of the door under these documents; `None` where they are no configuration.
    fn rule(&mut self, documents: &Documents) -> Option<Ruling> {
        self.trials = self.trials.checked_sub(1)?;
        let config: Config = serde_json::from_value(documents.user.clone()).ok()?;
        let mut chain = vec![Policy::from_config(&config)];
        if let Some(project) = &documents.project {
            let restriction: Restriction = serde_json::from_value(project.clone()).ok()?;
            chain.push(Policy::from_restriction(&restriction));
        }
        let rulings = chain.iter().map(|policy| policy.decide_in(self.case.action, self.case.setting));
        Some(self.case.door.resolve(Ruling::strictest(rulings)))
    }

    /// The first candidate that takes the reason away and makes nothing stricter.
    fn step(
        &mut self,
        documents: &Documents,
        ruling: &Ruling,
        reason: &Reason,
    ) -> Option<(Documents, Ruling, Vec<Edit>)> {
        for edits in candidates::for_reason(self.case, documents, ruling, reason) {
            let mut changed = documents.clone();
            let effective = edits.iter().filter(|edit| changed.apply(edit)).count();
            if effective == 0 {
                continue;
            }
            let Some(after) = self.rule(&changed) else { continue };
            let gone = !stands(&after, reason);
            if gone && after.decision <= ruling.decision && blocking(&after).len() <= blocking(ruling).len() {
                return Some((changed, after, edits));
            }
        }
        None
    }
}

/// The reasons that stand in the way, those of the door last: they change with the others.
fn blocking(ruling: &Ruling) -> Vec<&Reason> {
    let mut reasons: Vec<&Reason> = ruling.reasons.iter().filter(|reason| reason.decision > Decision::Allow).collect();
    reasons.sort_by_key(|reason| reason.rule.starts_with("door-"));
    reasons
}

/// Whether a reason is still as strict as it was.
fn stands(ruling: &Ruling, reason: &Reason) -> bool {
    ruling.reasons.iter().any(|other| {
        other.rule == reason.rule
            && other.span == reason.span
            && other.message == reason.message
            && other.decision >= reason.decision
    })
}

/// Finds what would change the answer; `None` where it is allowed already, or too long to work on.
pub fn find(case: &Case<'_>) -> Option<Remedy> {
    if length(case.action) > INPUT_BYTES_MAX {
        return None;
    }
    let mut documents = Documents {
        user: serde_json::to_value(case.config).ok()?,
        project: case.restriction.map(serde_json::to_value).transpose().ok()?,
    };
    let mut search = Search { case, trials: TRIALS_MAX };
    let mut ruling = search.rule(&documents)?;
    let before = ruling.decision;
    if before == Decision::Allow {
        return None;
    }
    let mut edits: Vec<Edit> = Vec::new();
    let mut stuck: Vec<Reason> = Vec::new();
    while edits.len() < CHANGES_MAX {
        let open = blocking(&ruling).into_iter().find(|reason| !stuck.contains(reason)).cloned();
        let Some(reason) = open else { break };
        match search.step(&documents, &ruling, &reason) {
            Some((changed, after, more)) => {
                (documents, ruling) = (changed, after);
                edits.extend(more);
            }
            None => stuck.push(reason),
        }
    }
    let left = blocking(&ruling).into_iter().max_by_key(|reason| reason.decision).cloned();
    // A part of what is needed opens something for nothing.
    let changes = if ruling.decision == Decision::Deny { Vec::new() } else { changes(&mut documents, edits) };
    Some(Remedy { before, changes, reached: ruling.decision, left, run: through_the_cage(case, before) })
}

/// The edits as keys with their last value, each key once.
fn changes(documents: &mut Documents, edits: Vec<Edit>) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    for edit in edits {
        if let Some(known) = changes.iter_mut().find(|change| change.file == edit.file && change.key == edit.key) {
            if !known.risk.contains(&edit.risk) {
                known.risk = format!("{}; {}", known.risk, edit.risk);
            }
            continue;
        }
        let value = documents.key(edit.file, edit.key).map(|value| value.clone()).filter(|value| !value.is_null());
        changes.push(Change { file: edit.file, key: edit.key, value, risk: edit.risk });
    }
    changes
}

fn length(action: &Action) -> usize {
    match action {
        Action::Command(Command::Shell(text)) => text.as_bytes().len(),
        Action::Command(Command::Argv(words)) => words.iter().map(|word| word.as_bytes().len() + 1).sum(),
        _ => 0,
    }
}

/// The same command as an argument of `ringfort run`, where the answer is milder there.
fn through_the_cage(case: &Case<'_>, before: Decision) -> Option<Run> {
    let Action::Command(command) = case.action else { return None };
    if !case.door.isolates.is_empty() || length(case.action) > RUN_BYTES_MAX {
        return None;
    }
    let cage = Door { isolates: Promise::ALL.into(), ..Door::bare(DoorKind::Run, case.door.standing) };
    let mut search = Search { case: &Case { door: &cage, ..*case }, trials: 1 };
    let documents = Documents {
        user: serde_json::to_value(case.config).ok()?,
        project: case.restriction.map(serde_json::to_value).transpose().ok()?,
    };
    let answer = search.rule(&documents)?.decision;
    if answer >= before {
        return None;
    }
    let words: Vec<String> = match command {
        Command::Shell(text) => vec![quoted(text.as_bytes())?],
        Command::Argv(words) => words.iter().map(|word| quoted(word.as_bytes())).collect::<Option<_>>()?,
    };
    let text = match command {
        // A few plain words are the same as arguments, and read better.
        Command::Shell(text) if is_plain(text.as_bytes()) => std::str::from_utf8(text.as_bytes()).ok()?.to_owned(),
        _ => words.join(" "),
    };
    Some(Run { command: format!("ringfort run -- {text}"), answer })
}

/// Whether a text holds several words and nothing else that a shell reads.
fn is_plain(text: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b" -_./:@%+,=".contains(b);
    text.contains(&b' ') && text.iter().all(plain) && !text.starts_with(b" ") && !text.starts_with(b"-")
        // `NAME=value command` is an assignment to a shell only.
        && !text.split(|b| *b == b' ').next().is_some_and(|first| first.contains(&b'='))
}

/// A word as a shell takes it back; `None` for one that is not to be shown as it is.
fn quoted(word: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(word).ok()?;
    if text.chars().any(|c| c.is_control() || ringfort_core::text::is_invisible(c)) {
        return None;
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return Some(text.to_owned());
    }
    Some(format!("'{}'", text.replace('\'', "'\\''")))
}

#[cfg(test)]
mod tests;
