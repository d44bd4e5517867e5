// SPDX-License-Identifier: MIT OR Apache-2.0
//! OpenCode: no hooks of commands, but plugins; ours asks the hook and throws when it is to be blocked.
//!
//! In: the plugin's file. Out: the file, ours alone.
//!
//! **Invariant:** whatever is not a clean "no opinion" throws, and a plugin that throws stops the call.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Agent, Changes, failed, hear_decision, object};
use crate::setup::line::{AGENT_WAIT_SECONDS, Stands};
use crate::setup::{Answer, Change, Ground, Heard, Look, Read, Scope, SetupError};

pub(super) const ENTRY: Agent = Agent {
    name: "opencode",
    title: "OpenCode",
    programs: &["opencode"],
    folder,
    wire,
    strip,
    look,
    call,
    hear,
    note: "`opencode --pure` runs without plugins, and so without this one.",
};

/// How a file of ours begins, whatever version wrote it.
const HEAD: &str = "// Written by `ringfort setup opencode`";

fn folder(ground: &Ground) -> PathBuf {
    let told = ground.told.iter().find(|(name, _)| *name == "OPENCODE_CONFIG_DIR");
    told.map_or_else(|| ground.config.join("opencode"), |(_, path)| path.clone())
}

fn path(ground: &Ground, scope: Scope) -> PathBuf {
    match scope {
        Scope::User => folder(ground).join("plugin/ringfort.js"),
        Scope::Project => ground.project.join(".opencode/plugin/ringfort.js"),
    }
}

fn content(ground: &Ground) -> Result<String, SetupError> {
    let line = ground.line(&[ENTRY.name], Stands::Before)?;
    Ok(include_str!("opencode.js")
        .replace("@LINE@", &Value::from(line).to_string())
        .replace("@WAIT@", &(AGENT_WAIT_SECONDS * 1000).to_string()))
}

fn wire(ground: &Ground, scope: Scope, read: Read<'_>) -> Changes {
    let path = path(ground, scope);
    let before = read(&path)?;
    if before.as_deref().is_some_and(|text| !text.starts_with(HEAD)) {
        return Err(SetupError::Foreign(path));
    }
    Ok(vec![Change { path, before, after: Some(content(ground)?) }])
}

fn strip(ground: &Ground, scope: Scope, read: Read<'_>) -> Changes {
    let path = path(ground, scope);
    let before = read(&path)?;
    let after = before.clone().filter(|text| !text.starts_with(HEAD));
    Ok(vec![Change { path, before, after }])
}

fn look(ground: &Ground, scope: Scope, read: Read<'_>) -> Result<Look, SetupError> {
    let path = path(ground, scope);
    Ok(match read(&path)? {
        Some(text) if text == content(ground)? => Look::Wired { line: ground.line(&[ENTRY.name], Stands::Before)? },
        Some(text) if text.starts_with(HEAD) => {
            Look::Changed { what: format!("`{}` is not as `setup` writes it", path.display()) }
        }
        _ => Look::Absent,
    })
}

fn call(command: &str, cwd: &str, session: &str) -> Value {
    json!({
        "hook_event_name": "tool.execute.before", "session_id": session, "tool_use_id": session,
        "tool_name": "bash", "tool_input": { "command": command, "description": "" }, "cwd": cwd, "workspace": cwd,
    })
}

fn hear(answer: &Answer) -> Heard {
    match answer.status {
        Some(0) => match object(answer) {
            Ok(None) => Heard::Silent,
            Ok(Some(value)) => match hear_decision(&value) {
                Heard::Silent => Heard::Silent,
                // The plugin throws at every other word.
                Heard::Through(what) => Heard::Blocked(what),
                heard => heard,
            },
            Err(_) => Heard::Blocked("an answer that is no object is a failure, and failures block".to_owned()),
        },
        Some(2) => Heard::Blocked(answer.stderr.clone()),
        _ => match failed(answer) {
            Heard::Through(what) => Heard::Blocked(what),
            heard => heard,
        },
    }
}
