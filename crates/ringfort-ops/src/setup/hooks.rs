// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hooks in a JSON file, in the two shapes that agents have.
//!
//! In: the file's text and what is wanted. Out: the text with our entries as wanted and everything else as it was.
//!
//! **Invariant:** an entry is ours by its line ([`super::line::is_ours`]) and by nothing else; others are never touched,
//! nor is a group that somebody has added a hook of theirs to, but for our own entry in it.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::json::{self, Dialect, JsonError, Node};
use super::line::{Stands, is_ours};
use super::{Change, Ground, Look, Read, SetupError};

/// Most passes of an edit: each takes one entry out.
const PASSES_MAX: usize = 256;

/// How a file says hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `{"hooks": {EVENT: [{"matcher": …, "hooks": [ENTRY]}]}}`.
    Groups,
    /// `{"version": 1, "hooks": {EVENT: [ENTRY]}}`.
    Flat,
}

/// An event that is registered.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// The agent's own name of it.
    pub name: &'static str,
    /// Where it stands.
    pub stands: Stands,
    /// Whether it takes a matcher of tools: then all of them.
    pub matched: bool,
}

impl Event {
    /// An event before an effect, of every tool.
    pub const fn before(name: &'static str) -> Self {
        Self { name, stands: Stands::Before, matched: true }
    }

    /// An event after an effect, of every tool.
    pub const fn after(name: &'static str) -> Self {
        Self { name, stands: Stands::After, matched: true }
    }

    /// An event of the session.
    pub const fn session(name: &'static str) -> Self {
        Self { name, stands: Stands::After, matched: false }
    }
}

/// A file with hooks.
#[derive(Clone, Debug)]
pub struct HookFile {
    /// Where it is.
    pub path: PathBuf,
    /// What its program takes for JSON.
    pub dialect: Dialect,
    /// Its shape.
    pub shape: Shape,
    /// What is registered.
    pub events: &'static [Event],
    /// The entry for an event and its line.
    pub entry: fn(&Event, &str) -> Value,
    /// The key in which the entry says its line.
    pub key: &'static str,
    /// The words behind `hook`, for an event.
    pub words: fn(&Event) -> Vec<&'static str>,
}

impl HookFile {
    fn wrong(&self, source: JsonError) -> SetupError {
        SetupError::Json { path: self.path.clone(), source }
    }

    /// What is pushed into the event's array.
    fn wanted(&self, ground: &Ground, event: &Event) -> Result<Value, SetupError> {
        let line = ground.line(&(self.words)(event), event.stands)?;
        let entry = (self.entry)(event, &line);
        Ok(match self.shape {
            Shape::Flat => entry,
            Shape::Groups if event.matched => json!({ "matcher": "*", "hooks": [entry] }),
            Shape::Groups => json!({ "hooks": [entry] }),
        })
    }

    /// The file with our hooks in it.
    ///
    /// # Errors
    ///
    /// [`SetupError`]: it cannot be edited.
    pub fn wire(&self, ground: &Ground, read: Read<'_>) -> Result<Change, SetupError> {
        let before = read(&self.path)?;
        let mut text = match before.as_deref() {
            Some(text) if !text.trim().is_empty() => text.to_owned(),
            _ if self.shape == Shape::Flat => "{\n  \"version\": 1\n}\n".to_owned(),
            _ => "{}\n".to_owned(),
        };
        for event in self.events {
            let wanted = self.wanted(ground, event)?;
            let (only, there) = self.standing(&text, event.name, &wanted).map_err(|error| self.wrong(error))?;
            if there && only {
                continue;
            }
            text = self.without_event(text, event.name).map_err(|error| self.wrong(error))?;
            text =
                json::push(&text, self.dialect, &["hooks", event.name], &wanted).map_err(|error| self.wrong(error))?;
        }
        // What was written is read again: it says what it should, or nothing is changed.
        for event in self.events {
            let wanted = self.wanted(ground, event)?;
            if self.standing(&text, event.name, &wanted).map_err(|error| self.wrong(error))? != (true, true) {
                let source = JsonError::Kind { key: event.name.to_owned(), kind: "as expected after the edit" };
                return Err(self.wrong(source));
            }
        }
        Ok(Change { path: self.path.clone(), before, after: Some(text) })
    }

    /// The file without our hooks.
    ///
    /// # Errors
    ///
    /// [`SetupError`]: it cannot be edited.
    pub fn strip(&self, read: Read<'_>) -> Result<Change, SetupError> {
        let before = read(&self.path)?;
        let Some(text) = before.clone().filter(|text| !text.trim().is_empty()) else {
            return Ok(Change { path: self.path.clone(), after: before.clone(), before });
        };
        let root = json::parse(&text, self.dialect).map_err(|error| self.wrong(error))?;
        let hooks = root.at(&["hooks"]).map_err(|error| self.wrong(error))?;
        let names: Vec<String> = match hooks.map(|node| &node.kind) {
            Some(json::Kind::Object(members)) => members.iter().map(|member| member.key.clone()).collect(),
            _ => Vec::new(),
        };
        let mut after = text.clone();
        for name in names {
            after = self.without_event(after, &name).map_err(|error| self.wrong(error))?;
        }
        if after != text {
            after = without_empty(after, self.dialect, &["hooks"]).map_err(|error| self.wrong(error))?;
        }
        Ok(Change { path: self.path.clone(), before, after: Some(after) })
    }

    /// How our hooks stand in the file.
    ///
    /// # Errors
    ///
    /// [`SetupError`]: the file cannot be read.
    pub fn look(&self, ground: &Ground, read: Read<'_>) -> Result<Look, SetupError> {
        let Some(text) = read(&self.path)?.filter(|text| !text.trim().is_empty()) else { return Ok(Look::Absent) };
        let mut missing = Vec::new();
        let mut found = false;
        for event in self.events {
            let wanted = self.wanted(ground, event)?;
            let root = json::parse(&text, self.dialect).map_err(|error| self.wrong(error))?;
            found |= !self.ours(&root, event.name).map_err(|error| self.wrong(error))?.is_empty();
            if self.standing(&text, event.name, &wanted).map_err(|error| self.wrong(error))? != (true, true) {
                missing.push(event.name);
            }
        }
        let Some(first) = self.events.first().filter(|_| found) else { return Ok(Look::Absent) };
        if missing.is_empty() {
            return Ok(Look::Wired { line: ground.line(&(self.words)(first), first.stands)? });
        }
        let what =
            format!("in `{}` the hooks of {} are not as `setup` writes them", self.path.display(), missing.join(", "));
        Ok(Look::Changed { what })
    }

    /// Whether our only entry of an event is the wanted one, and whether the wanted one is there.
    fn standing(&self, text: &str, event: &str, wanted: &Value) -> Result<(bool, bool), JsonError> {
        let root = json::parse(text, self.dialect)?;
        let ours = self.ours(&root, event)?;
        let Some(array) = root.at(&["hooks", event])?.and_then(Node::elements) else { return Ok((true, false)) };
        let there = array.iter().any(|node| node.value() == *wanted);
        Ok((ours.len() == 1, there))
    }

    /// The places of our entries of an event: index in the event's array, and index in the group.
    fn ours(&self, root: &Node, event: &str) -> Result<Vec<(usize, Option<usize>)>, JsonError> {
        let Some(node) = root.at(&["hooks", event])? else { return Ok(Vec::new()) };
        let Some(array) = node.elements() else {
            return Err(JsonError::Kind { key: format!("hooks.{event}"), kind: "an array" });
        };
        let is_mine = |node: &Node| node.value().get(self.key).and_then(Value::as_str).is_some_and(is_ours);
        let mut found = Vec::new();
        for (index, element) in array.iter().enumerate() {
            if self.shape == Shape::Flat {
                if is_mine(element) {
                    found.push((index, None));
                }
                continue;
            }
            let json::Kind::Object(_) = &element.kind else { continue };
            let inner = element.member("hooks")?.map(|member| &member.value).and_then(Node::elements);
            for (place, entry) in inner.unwrap_or_default().iter().enumerate() {
                if is_mine(entry) {
                    found.push((index, Some(place)));
                }
            }
        }
        Ok(found)
    }

    fn without_event(&self, mut text: String, event: &str) -> Result<String, JsonError> {
        let mut touched = false;
        for _ in 0..PASSES_MAX {
            let root = json::parse(&text, self.dialect)?;
            let Some((index, place)) = self.ours(&root, event)?.last().copied() else {
                return if touched { without_empty(text, self.dialect, &["hooks", event]) } else { Ok(text) };
            };
            touched = true;
            let Some(array) = root.at(&["hooks", event])? else { break };
            let group = array.elements().and_then(|nodes| nodes.get(index));
            let inner = group.and_then(|group| group.member("hooks").ok().flatten()).map(|member| &member.value);
            text = match (place, inner) {
                (Some(place), Some(inner)) if inner.elements().is_some_and(|nodes| nodes.len() > 1) => {
                    json::remove(&text, inner, place)
                }
                _ => json::remove(&text, array, index),
            };
        }
        Err(JsonError::Kind { key: event.to_owned(), kind: "within bounds" })
    }
}

/// Takes the container at a path out if it is empty.
fn without_empty(text: String, dialect: Dialect, path: &[&str]) -> Result<String, JsonError> {
    let root = json::parse(&text, dialect)?;
    let empty = match root.at(path)?.map(|node| &node.kind) {
        Some(json::Kind::Object(members)) => members.is_empty(),
        Some(json::Kind::Array(nodes)) => nodes.is_empty(),
        _ => false,
    };
    let Some((last, above)) = path.split_last().filter(|_| empty) else { return Ok(text) };
    let Some(parent) = root.at(above)? else { return Ok(text) };
    let json::Kind::Object(members) = &parent.kind else { return Ok(text) };
    let index = members.iter().position(|member| member.key == *last);
    Ok(index.map_or_else(|| text.clone(), |index| json::remove(&text, parent, index)))
}

#[cfg(test)]
mod tests;
