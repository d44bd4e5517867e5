// SPDX-License-Identifier: MIT OR Apache-2.0
//! OpenClaw: no hooks of commands before a tool, but native plugins; ours asks the hook.
//!
//! In: the plugin's folder and `openclaw.json` (JSON5). Out: three files of ours, and the plugin switched on.
//!
//! **Invariant:** OpenClaw blocks a call whose plugin throws or passes its time; ours throws at everything that is not
//! a clean "no opinion".

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Agent, Changes, opencode};
use crate::setup::json::{self, Dialect, JsonError, Node};
use crate::setup::line::{AGENT_WAIT_SECONDS, Stands};
use crate::setup::{Change, Ground, Look, Read, Scope, SetupError};

pub(super) const ENTRY: Agent = Agent {
    name: "openclaw",
    title: "OpenClaw",
    programs: &["openclaw"],
    folder: |ground| ground.folder("OPENCLAW_STATE_DIR", ".openclaw"),
    wire,
    strip,
    look,
    call,
    // The plugin reads the answer as OpenCode's does.
    hear: opencode::ENTRY.hear,
    note: "Restart the gateway of OpenClaw: plugins are loaded at its start.",
};

/// How a file of ours begins, whatever version wrote it.
const HEAD: &str = "// Written by `ringfort setup openclaw`";
const NO_PROJECT: &str = "OpenClaw has no plugins of a project that are on by themselves: set it up for the user";

fn plugin(ground: &Ground) -> PathBuf {
    (ENTRY.folder)(ground).join("extensions/ringfort")
}

fn config(ground: &Ground) -> PathBuf {
    (ENTRY.folder)(ground).join("openclaw.json")
}

fn files(ground: &Ground) -> Result<Vec<(PathBuf, String)>, SetupError> {
    let line = ground.line(&[ENTRY.name], Stands::Before)?;
    let folder = plugin(ground);
    let index = include_str!("openclaw.js")
        .replace("@LINE@", &Value::from(line).to_string())
        .replace("@WAIT@", &(AGENT_WAIT_SECONDS * 1000).to_string());
    let package = "{\n  \"name\": \"ringfort\",\n  \"version\": \"1.0.0\",\n  \"private\": true,\n  \"type\": \"module\",\n  \
                   \"openclaw\": { \"extensions\": [\"./index.js\"] }\n}\n";
    let manifest = "{\n  \"id\": \"ringfort\",\n  \"name\": \"Ringfort\",\n  \"description\": \"Asks Ringfort before every \
                    tool call.\",\n  \"activation\": { \"onStartup\": true },\n  \"configSchema\": { \"type\": \"object\", \
                    \"additionalProperties\": false }\n}\n";
    Ok(vec![
        (folder.join("index.js"), index),
        (folder.join("package.json"), package.to_owned()),
        (folder.join("openclaw.plugin.json"), manifest.to_owned()),
    ])
}

fn wrong(path: PathBuf) -> impl Fn(JsonError) -> SetupError {
    move |source| SetupError::Json { path: path.clone(), source }
}

fn wire(ground: &Ground, scope: Scope, read: Read<'_>) -> Changes {
    if scope == Scope::Project {
        return Err(SetupError::NoPlace(NO_PROJECT));
    }
    let mut changes = Vec::new();
    for (index, (path, content)) in files(ground)?.into_iter().enumerate() {
        let before = read(&path)?;
        // The folder is ours by its first file.
        if index == 0 && before.as_deref().is_some_and(|text| !text.starts_with(HEAD)) {
            return Err(SetupError::Foreign(path));
        }
        changes.push(Change { path, before, after: Some(content) });
    }
    let path = config(ground);
    let before = read(&path)?;
    let mut text = before.clone().filter(|text| !text.trim().is_empty()).unwrap_or_else(|| "{}\n".to_owned());
    let wrong = wrong(path.clone());
    let root = json::parse(&text, Dialect::Json5).map_err(&wrong)?;
    let on = ["plugins", "entries", "ringfort", "enabled"];
    if root.at(&on).map_err(&wrong)?.map(Node::value) != Some(Value::Bool(true)) {
        text = json::set(&text, Dialect::Json5, &on, &Value::Bool(true)).map_err(&wrong)?;
    }
    let root = json::parse(&text, Dialect::Json5).map_err(&wrong)?;
    let allow = root.at(&["plugins", "allow"]).map_err(&wrong)?.and_then(Node::elements);
    if allow.is_some_and(|allow| !allow.iter().any(|node| node.value() == "ringfort")) {
        text = json::push(&text, Dialect::Json5, &["plugins", "allow"], &"ringfort".into()).map_err(&wrong)?;
    }
    changes.push(Change { path, before, after: Some(text) });
    Ok(changes)
}

fn strip(ground: &Ground, scope: Scope, read: Read<'_>) -> Changes {
    if scope == Scope::Project {
        return Ok(Vec::new());
    }
    let mut changes = Vec::new();
    let files = files(ground)?;
    let first = files.first().map(|(path, _)| read(path)).transpose()?.flatten();
    let ours = first.is_some_and(|text| text.starts_with(HEAD));
    for (path, _) in files {
        let before = read(&path)?;
        let after = before.clone().filter(|_| !ours);
        changes.push(Change { path, before, after });
    }
    let path = config(ground);
    let before = read(&path)?;
    let mut after = before.clone();
    if let Some(text) = before.clone().filter(|text| ours && !text.trim().is_empty()) {
        let wrong = wrong(path.clone());
        let text = without(text, &["plugins", "entries"], |node| node == "ringfort").map_err(&wrong)?;
        after = Some(without(text, &["plugins", "allow"], |node| node == "ringfort").map_err(&wrong)?);
    }
    changes.push(Change { path, before, after });
    Ok(changes)
}

/// Takes a member by its key, or an element by its text, out of the container at a path.
fn without(text: String, path: &[&str], is: impl Fn(&str) -> bool) -> Result<String, JsonError> {
    let root = json::parse(&text, Dialect::Json5)?;
    let Some(node) = root.at(path)? else { return Ok(text) };
    let index = match &node.kind {
        json::Kind::Object(members) => members.iter().position(|member| is(&member.key)),
        json::Kind::Array(nodes) => nodes.iter().position(|node| node.value().as_str().is_some_and(&is)),
        json::Kind::Scalar(_) => None,
    };
    Ok(index.map_or_else(|| text.clone(), |index| json::remove(&text, node, index)))
}

fn look(ground: &Ground, scope: Scope, read: Read<'_>) -> Result<Look, SetupError> {
    if scope == Scope::Project {
        return Ok(Look::Absent);
    }
    let files = files(ground)?;
    let first = files.first().map(|(path, _)| read(path)).transpose()?.flatten();
    if !first.is_some_and(|text| text.starts_with(HEAD)) {
        return Ok(Look::Absent);
    }
    for (path, content) in files {
        if read(&path)?.as_deref() != Some(content.as_str()) {
            return Ok(Look::Changed { what: format!("`{}` is not as `setup` writes it", path.display()) });
        }
    }
    let path = config(ground);
    let text = read(&path)?.filter(|text| !text.trim().is_empty()).unwrap_or_else(|| "{}".to_owned());
    let settings = json::parse(&text, Dialect::Json5).map_err(wrong(path.clone()))?.value();
    let off = |what: &str| Ok(Look::Off { what: format!("`{what}` in `{}`", path.display()) });
    let lists = |pointer: &str| settings.pointer(pointer).and_then(Value::as_array);
    let names = |list: &Vec<Value>| list.iter().any(|name| name == "ringfort");
    if settings.pointer("/plugins/enabled") == Some(&Value::Bool(false)) {
        return off("plugins.enabled");
    }
    if settings.pointer("/plugins/entries/ringfort/enabled") != Some(&Value::Bool(true)) {
        return off("plugins.entries.ringfort.enabled");
    }
    if lists("/plugins/deny").is_some_and(names) {
        return off("plugins.deny");
    }
    if lists("/plugins/allow").is_some_and(|list| !names(list)) {
        return off("plugins.allow");
    }
    Ok(Look::Wired { line: ground.line(&[ENTRY.name], Stands::Before)? })
}

fn call(command: &str, cwd: &str, session: &str) -> Value {
    json!({
        "hook_event_name": "before_tool_call", "session_id": session, "agent_id": "doctor",
        "tool_use_id": session, "tool_name": "exec", "tool_input": { "command": command }, "cwd": cwd,
    })
}
