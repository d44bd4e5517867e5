// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cursor: hooks in `hooks.json`, told to fail closed.
//!
//! In: `hooks.json` of user or project. Out: eight events; the older ones for shell, MCP and reading are registered
//! beside `preToolUse`, because not every program of Cursor's knows that one.
//!
//! **Invariant:** `failClosed` is set before an effect; Cursor then takes an empty answer for a failure, so that "no
//! opinion" has to be said as an object.

use serde_json::{Value, json};

use super::{Agent, failed, object, text};
use crate::setup::hooks::{Event, HookFile, Shape};
use crate::setup::json::Dialect;
use crate::setup::line::{AGENT_WAIT_SECONDS, Stands};
use crate::setup::{Answer, Ground, Heard, Scope};

pub(super) const ENTRY: Agent = Agent {
    name: "cursor",
    title: "Cursor",
    programs: &["cursor", "cursor-agent"],
    folder: |ground| ground.home.join(".cursor"),
    wire: |ground, scope, read| Ok(vec![file(ground, scope).wire(ground, read)?]),
    strip: |ground, scope, read| Ok(vec![file(ground, scope).strip(read)?]),
    look: |ground, scope, read| file(ground, scope).look(ground, read),
    call,
    hear,
    note: "Cursor also runs the hooks of Claude Code's settings: with both set up a call is judged twice.",
};

const EVENTS: &[Event] = &[
    Event::before("preToolUse"),
    Event::before("beforeShellExecution"),
    Event::before("beforeMCPExecution"),
    Event::before("beforeReadFile"),
    Event::after("postToolUse"),
    Event::session("beforeSubmitPrompt"),
    Event::session("sessionStart"),
    Event::session("stop"),
];

fn file(ground: &Ground, scope: Scope) -> HookFile {
    HookFile {
        path: match scope {
            Scope::User => ground.home.join(".cursor/hooks.json"),
            Scope::Project => ground.project.join(".cursor/hooks.json"),
        },
        dialect: Dialect::Strict,
        shape: Shape::Flat,
        events: EVENTS,
        entry: |event, line| {
            let mut entry = json!({ "command": line, "timeout": AGENT_WAIT_SECONDS });
            if let (Stands::Before, Some(entry)) = (event.stands, entry.as_object_mut()) {
                entry.insert("failClosed".to_owned(), true.into());
            }
            entry
        },
        key: "command",
        words: |_| vec![ENTRY.name],
    }
}

fn call(command: &str, cwd: &str, session: &str) -> Value {
    json!({
        "conversation_id": session, "generation_id": session, "model": "none",
        "session_id": session, "hook_event_name": "preToolUse", "cursor_version": "0",
        "workspace_roots": [cwd], "tool_name": "Shell", "tool_input": { "command": command },
        "tool_use_id": session, "cwd": cwd,
    })
}

fn hear(answer: &Answer) -> Heard {
    match answer.status {
        Some(2) if answer.stdout.trim().is_empty() => Heard::Blocked(answer.stderr.clone()),
        Some(2) => Heard::Blocked(answer.stdout.clone()),
        Some(0) => match object(answer) {
            Ok(None) => Heard::Blocked("an empty answer is a failure, and failures block".to_owned()),
            Ok(Some(value)) => match text(&value, "/permission").as_str() {
                "deny" => {
                    let told = text(&value, "/agent_message");
                    Heard::Blocked(if told.is_empty() { text(&value, "/user_message") } else { told })
                }
                "ask" => Heard::Asked,
                "" => Heard::Silent,
                other => Heard::Through(format!("the answer is `{other}`")),
            },
            Err(heard) => heard,
        },
        _ => failed(answer),
    }
}
