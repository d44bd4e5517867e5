// SPDX-License-Identifier: MIT OR Apache-2.0
//! Claude Code: hooks in its settings; every failure is told to block.
//!
//! In: `settings.json` of the user, or the project's `settings.local.json`, which is not committed: the line holds a
//! path of this machine. Out: six events.
//!
//! **Invariant:** `onFailure` is "block" before an effect. Versions that do not know it ignore it; the line itself
//! blocks there, but for the agent's own time-out, which the line is kept below.

use serde_json::{Value, json};

use super::{Agent, failed, hear_specific, object};
use crate::setup::hooks::{Event, HookFile, Shape};
use crate::setup::json::{self, Dialect};
use crate::setup::line::{AGENT_WAIT_SECONDS, Stands};
use crate::setup::{Answer, Ground, Heard, Look, Read, Scope, SetupError};

pub(super) const ENTRY: Agent = Agent {
    name: "claude-code",
    title: "Claude Code",
    programs: &["claude"],
    folder: |ground| ground.folder("CLAUDE_CONFIG_DIR", ".claude"),
    wire: |ground, scope, read| Ok(vec![file(ground, scope).wire(ground, read)?]),
    strip: |ground, scope, read| Ok(vec![file(ground, scope).strip(read)?]),
    look,
    call,
    hear,
    note: "Sessions that are open already read their hooks at the start: begin a new one.",
};

const EVENTS: &[Event] = &[
    Event::before("PreToolUse"),
    Event::before("PermissionRequest"),
    Event::after("PostToolUse"),
    Event::session("UserPromptSubmit"),
    Event::session("SessionStart"),
    Event::session("Stop"),
];

fn file(ground: &Ground, scope: Scope) -> HookFile {
    HookFile {
        path: match scope {
            Scope::User => (ENTRY.folder)(ground).join("settings.json"),
            Scope::Project => ground.project.join(".claude/settings.local.json"),
        },
        dialect: Dialect::Strict,
        shape: Shape::Groups,
        events: EVENTS,
        entry: |event, line| {
            let mut entry = json!({ "type": "command", "command": line, "timeout": AGENT_WAIT_SECONDS });
            if let (Stands::Before, Some(entry)) = (event.stands, entry.as_object_mut()) {
                entry.insert("onFailure".to_owned(), "block".into());
            }
            entry
        },
        key: "command",
        words: |_| vec![ENTRY.name],
    }
}

fn look(ground: &Ground, scope: Scope, read: Read<'_>) -> Result<Look, SetupError> {
    let look = file(ground, scope).look(ground, read)?;
    if look == Look::Absent {
        return Ok(look);
    }
    let folder = (ENTRY.folder)(ground);
    let project = ground.project.join(".claude");
    for path in [folder.join("settings.json"), project.join("settings.json"), project.join("settings.local.json")] {
        let Some(text) = read(&path)?.filter(|text| !text.trim().is_empty()) else { continue };
        // A settings file that Claude Code cannot read is not used by it.
        let Ok(root) = json::parse(&text, Dialect::Strict) else { continue };
        if root.at(&["disableAllHooks"]).ok().flatten().is_some_and(|node| node.value() == Value::Bool(true)) {
            return Ok(Look::Off { what: format!("`disableAllHooks` in `{}`", path.display()) });
        }
    }
    Ok(look)
}

fn call(command: &str, cwd: &str, session: &str) -> Value {
    json!({
        "session_id": session, "transcript_path": "/dev/null", "cwd": cwd, "permission_mode": "default",
        "hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": { "command": command },
        "tool_use_id": session,
    })
}

fn hear(answer: &Answer) -> Heard {
    match answer.status {
        Some(2) => Heard::Blocked(answer.stderr.clone()),
        Some(0) => match object(answer) {
            Ok(value) => value.map_or(Heard::Silent, |value| hear_specific(&value)),
            Err(heard) => heard,
        },
        _ => failed(answer),
    }
}
