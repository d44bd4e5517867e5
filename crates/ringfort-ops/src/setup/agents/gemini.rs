// SPDX-License-Identifier: MIT OR Apache-2.0
//! Gemini CLI: hooks in its settings, which are JSON with comments; its waits are in milliseconds.
//!
//! In: `settings.json` of user or project. Out: five events.
//!
//! **Invariant:** hooks of the settings are not run in a folder that Gemini does not trust, and neither are tools that
//! change anything: `look` cannot see that and says nothing about it.

use serde_json::{Value, json};

use super::{Agent, failed, hear_decision, object};
use crate::setup::hooks::{Event, HookFile, Shape};
use crate::setup::json::{self, Dialect};
use crate::setup::line::AGENT_WAIT_SECONDS;
use crate::setup::{Answer, Ground, Heard, Look, Read, Scope, SetupError};

pub(super) const ENTRY: Agent = Agent {
    name: "gemini",
    title: "Gemini CLI",
    programs: &["gemini"],
    folder: |ground| ground.home.join(".gemini"),
    wire: |ground, scope, read| Ok(vec![file(ground, scope).wire(ground, read)?]),
    strip: |ground, scope, read| Ok(vec![file(ground, scope).strip(read)?]),
    look,
    call,
    hear,
    note: "Gemini runs no hook of its settings in a folder that it does not trust (folder trust).",
};

/// The name under which Gemini lists the hook.
const NAME: &str = "ringfort";

const EVENTS: &[Event] = &[
    Event::before("BeforeTool"),
    Event::after("AfterTool"),
    Event::session("BeforeAgent"),
    Event::session("SessionStart"),
    Event::session("AfterAgent"),
];

fn file(ground: &Ground, scope: Scope) -> HookFile {
    HookFile {
        path: match scope {
            Scope::User => ground.home.join(".gemini/settings.json"),
            Scope::Project => ground.project.join(".gemini/settings.json"),
        },
        dialect: Dialect::Comments,
        shape: Shape::Groups,
        events: EVENTS,
        entry: |_, line| json!({ "name": NAME, "type": "command", "command": line, "timeout": AGENT_WAIT_SECONDS * 1000 }),
        key: "command",
        words: |_| vec![ENTRY.name],
    }
}

fn look(ground: &Ground, scope: Scope, read: Read<'_>) -> Result<Look, SetupError> {
    let look = file(ground, scope).look(ground, read)?;
    let Look::Wired { line } = &look else { return Ok(look) };
    for path in [ground.home.join(".gemini/settings.json"), ground.project.join(".gemini/settings.json")] {
        let Some(text) = read(&path)?.filter(|text| !text.trim().is_empty()) else { continue };
        let Ok(root) = json::parse(&text, Dialect::Comments) else { continue };
        let settings = root.value();
        if settings.pointer("/hooksConfig/enabled") == Some(&Value::Bool(false)) {
            return Ok(Look::Off { what: format!("`hooksConfig.enabled` in `{}`", path.display()) });
        }
        let disabled = settings.pointer("/hooksConfig/disabled").and_then(Value::as_array);
        if disabled.into_iter().flatten().any(|name| name == NAME || name == line.as_str()) {
            return Ok(Look::Off { what: format!("`hooksConfig.disabled` in `{}`", path.display()) });
        }
    }
    Ok(look)
}

fn call(command: &str, cwd: &str, session: &str) -> Value {
    json!({
        "session_id": session, "transcript_path": "/dev/null", "cwd": cwd,
        "hook_event_name": "BeforeTool", "timestamp": "1970-01-01T00:00:00.000Z",
        "tool_name": "run_shell_command", "tool_input": { "command": command },
    })
}

fn hear(answer: &Answer) -> Heard {
    match answer.status {
        Some(2) => Heard::Blocked(answer.stderr.clone()),
        Some(0) => match object(answer) {
            Ok(value) => value.map_or(Heard::Silent, |value| hear_decision(&value)),
            Err(heard) => heard,
        },
        _ => failed(answer),
    }
}
