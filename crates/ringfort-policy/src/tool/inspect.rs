// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looks at every string among the arguments of a call, by the name that it stands under.
//!
//! In: arguments, and what is known of the tool. Out: what else the call would do, or would do it to.
//!
//! **Invariant:** no field hides another one: the walk visits every value of every depth, and ends in a fault where
//! there are too many.

use ringfort_core::action::PathOp;
use serde_json::{Map, Value};

use super::key::{FOLDER, Meaning, meaning, same};
use super::strings::is_place;
use super::table::Kind;
use super::{Act, CallFault, DEPTH_MAX, NODES_MAX};

/// Sub-commands of editing tools.
const EDITING: [&str; 8] = ["view", "create", "str_replace", "insert", "undo_edit", "delete", "rename", "append"];
/// Words in the name of a tool that promise that it only reads.
const READS: [&str; 11] =
    ["read", "get", "list", "search", "find", "view", "show", "describe", "info", "tree", "status"];
/// Words in the name of a tool that say that it changes something.
const CHANGES: [&str; 19] = [
    "write", "edit", "create", "delete", "remove", "move", "rename", "update", "append", "put", "post", "set", "save",
    "upload", "copy", "patch", "replace", "insert", "add",
];
/// Parts of a mode that takes the agent's questions away.
const UNASKED: [&str; 5] = ["bypass", "yolo", "dontask", "fullauto", "danger"];

/// What a tool that nobody knows most likely does with the paths that it is given. A promise to read only makes a
/// path that may only be read a question instead of a denial.
pub(super) fn op_of(name: &str) -> PathOp {
    let name = name.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if has(&READS) && !has(&CHANGES) { PathOp::Read } else { PathOp::Write }
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Paths, for a tool that touches files.
    Paths,
    /// What a known tool does besides what its kind says.
    Known(Kind),
    /// Everything.
    Unknown,
}

/// A walk over the arguments of one call.
pub(super) struct Inspector<'v, 'a> {
    mode: Mode,
    op: PathOp,
    nodes: usize,
    acts: &'v mut Vec<Act<'a>>,
}

impl<'v, 'a> Inspector<'v, 'a> {
    /// Looks for paths.
    pub(super) fn paths(op: PathOp, acts: &'v mut Vec<Act<'a>>) -> Self {
        Self { mode: Mode::Paths, op, nodes: 0, acts }
    }

    /// Looks for what a known tool does besides.
    pub(super) fn known(kind: Kind, acts: &'v mut Vec<Act<'a>>) -> Self {
        Self { mode: Mode::Known(kind), op: PathOp::Read, nodes: 0, acts }
    }

    /// Looks for everything.
    pub(super) fn unknown(op: PathOp, acts: &'v mut Vec<Act<'a>>) -> Self {
        Self { mode: Mode::Unknown, op, nodes: 0, acts }
    }

    /// Looks at an object.
    pub(super) fn object(&mut self, object: &'a Map<String, Value>, depth: usize) -> Result<(), CallFault> {
        self.enter(depth)?;
        for (name, value) in object {
            self.member(name, value, depth)?;
        }
        Ok(())
    }

    /// Looks at a value that has no name of its own.
    pub(super) fn value(&mut self, value: &'a Value, depth: usize) -> Result<(), CallFault> {
        match value {
            Value::Object(object) => self.object(object, depth),
            Value::Array(items) => {
                self.enter(depth)?;
                items.iter().try_for_each(|item| self.value(item, depth + 1))
            }
            Value::String(text) => {
                self.word(text);
                self.enter(depth)
            }
            _ => self.enter(depth),
        }
    }

    fn enter(&mut self, depth: usize) -> Result<(), CallFault> {
        self.nodes += 1;
        if depth > DEPTH_MAX || self.nodes > NODES_MAX { Err(CallFault::TooLarge) } else { Ok(()) }
    }

    fn member(&mut self, name: &str, value: &'a Value, depth: usize) -> Result<(), CallFault> {
        let meaning = if self.is_read_already(name, value, depth) { Meaning::Content } else { meaning(name) };
        match meaning {
            Meaning::Path => return self.path(value, depth + 1),
            Meaning::Command if self.mode != Mode::Paths => return self.command(value, depth + 1),
            Meaning::Url if self.mode != Mode::Paths => return self.url(value, depth + 1),
            Meaning::Unguarded(known) if self.mode != Mode::Paths && is_set(value) => {
                self.acts.push(Act::Unguarded(known));
            }
            Meaning::Content if value.is_string() => return self.enter(depth),
            _ => {}
        }
        if self.mode != Mode::Paths && (same(name, "mode") || same(name, "permission_mode")) && is_unasked(value) {
            self.acts.push(Act::Unguarded("mode"));
        }
        self.value(value, depth + 1)
    }

    /// Whether the reading of the tool's own arguments has used this one.
    fn is_read_already(&self, name: &str, value: &Value, depth: usize) -> bool {
        let Mode::Known(kind) = self.mode else { return false };
        let meaning = meaning(name);
        match kind {
            Kind::Shell | Kind::Watch => {
                depth == 0 && (meaning == Meaning::Command || FOLDER.iter().any(|known| same(name, known)))
            }
            Kind::Patch => depth == 0 && meaning == Meaning::Command,
            // The name of a skill, or of a command of the agent's own.
            Kind::Skill => {
                let is_name = |word: &str| word.starts_with('/') || !word.contains(char::is_whitespace);
                depth == 0 && same(name, "command") && value.as_str().is_some_and(is_name)
            }
            Kind::Edit => {
                let known = || value.as_str().is_some_and(|command| EDITING.contains(&command));
                meaning == Meaning::Path || meaning == Meaning::Command && known()
            }
            Kind::Read | Kind::Write | Kind::List | Kind::Glob | Kind::Grep | Kind::Move => meaning == Meaning::Path,
            Kind::Code(_) => depth == 0 && (same(name, "script") || same(name, "source")),
            Kind::Fetch => depth == 0 && meaning == Meaning::Url,
            _ => false,
        }
    }

    /// A path, or several; objects below hold names of their own.
    fn path(&mut self, value: &'a Value, depth: usize) -> Result<(), CallFault> {
        self.enter(depth)?;
        match value {
            Value::String(path) if self.mode == Mode::Unknown && path.contains("://") => {
                self.acts.push(Act::Url(path));
                Ok(())
            }
            Value::String(path) if path.is_empty() && self.mode != Mode::Paths => Ok(()),
            Value::String(path) => {
                self.acts.push(Act::Path(path, self.op));
                Ok(())
            }
            Value::Array(paths) => paths.iter().try_for_each(|path| self.path(path, depth + 1)),
            Value::Object(object) => self.object(object, depth + 1),
            Value::Null => Ok(()),
            _ if self.mode == Mode::Paths => Err(CallFault::Type("path")),
            _ => Ok(()),
        }
    }

    /// A command, or several.
    fn command(&mut self, value: &'a Value, depth: usize) -> Result<(), CallFault> {
        self.enter(depth)?;
        match value {
            Value::String(text) if !text.is_empty() => self.acts.push(Act::Shell(text)),
            Value::Array(words) if words.iter().all(Value::is_string) && !words.is_empty() => {
                // Words of one command, or commands of their own: both readings count.
                let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
                if words.iter().any(|word| word.contains(char::is_whitespace)) {
                    self.acts.extend(words.iter().filter(|word| !word.is_empty()).map(|word| Act::Shell(word)));
                }
                self.acts.push(Act::Argv(words));
            }
            other => return self.value(other, depth + 1),
        }
        Ok(())
    }

    /// A URL, or several.
    fn url(&mut self, value: &'a Value, depth: usize) -> Result<(), CallFault> {
        self.enter(depth)?;
        match value {
            Value::String(url) if !url.is_empty() => self.acts.push(Act::Url(url)),
            Value::Array(urls) => return urls.iter().try_for_each(|url| self.url(url, depth + 1)),
            other => return self.value(other, depth + 1),
        }
        Ok(())
    }

    /// A word under a name that says nothing.
    fn word(&mut self, text: &'a str) {
        if self.mode == Mode::Unknown && is_place(text) {
            self.acts.push(Act::Word(text));
        }
    }
}

/// Whether a switch is on.
fn is_set(value: &Value) -> bool {
    match value {
        Value::Bool(set) => *set,
        Value::Null => false,
        Value::String(word) => {
            !["", "false", "no", "off", "0", "use_default", "default", "none"].contains(&word.as_str())
        }
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Array(_) | Value::Object(_) => true,
    }
}

fn is_unasked(value: &Value) -> bool {
    value.as_str().is_some_and(|mode| {
        let folded: String = mode.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        UNASKED.iter().any(|word| folded.contains(word))
    })
}
