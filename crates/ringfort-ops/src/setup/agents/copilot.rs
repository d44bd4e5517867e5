// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copilot CLI: a file of hooks of our own, in the folder from which it takes all.
//!
//! In: `hooks/ringfort.json` of the user, or `.github/hooks/ringfort.json` of the project. Out: five events.
//!
//! **Invariant:** the event is a word of the line, because older versions do not say it in the call.

use serde_json::{Value, json};

use super::{Agent, failed, hear_specific, object, text};
use crate::setup::hooks::{Event, HookFile, Shape};
use crate::setup::json::{self, Dialect};
use crate::setup::line::AGENT_WAIT_SECONDS;
use crate::setup::{Answer, Ground, Heard, Look, Read, Scope, SetupError};

pub(super) const ENTRY: Agent = Agent {
    name: "copilot",
    title: "Copilot CLI",
    programs: &["copilot"],
    folder: |ground| ground.folder("COPILOT_HOME", ".copilot"),
    wire: |ground, scope, read| Ok(vec![file(ground, scope).wire(ground, read)?]),
    strip: |ground, scope, read| Ok(vec![file(ground, scope).strip(read)?]),
    look,
    call,
    hear,
    note: "Copilot CLI lets a call go ahead when a hook passes its time; the registered line ends earlier and blocks.",
};

const EVENTS: &[Event] = &[
    Event::before("preToolUse"),
    Event::after("postToolUse"),
    Event::session("userPromptSubmitted"),
    Event::session("sessionStart"),
    Event::session("agentStop"),
];

fn file(ground: &Ground, scope: Scope) -> HookFile {
    HookFile {
        path: match scope {
            Scope::User => (ENTRY.folder)(ground).join("hooks/ringfort.json"),
            Scope::Project => ground.project.join(".github/hooks/ringfort.json"),
        },
        dialect: Dialect::Strict,
        shape: Shape::Flat,
        events: EVENTS,
        entry: |_, line| json!({ "type": "command", "bash": line, "timeoutSec": AGENT_WAIT_SECONDS }),
        key: "bash",
        words: |event| vec![ENTRY.name, "--event", event.name],
    }
}

fn look(ground: &Ground, scope: Scope, read: Read<'_>) -> Result<Look, SetupError> {
    let look = file(ground, scope).look(ground, read)?;
    let Look::Wired { .. } = look else { return Ok(look) };
    for name in ["settings.json", "config.json"] {
        let path = (ENTRY.folder)(ground).join(name);
        let Some(text) = read(&path)?.filter(|text| !text.trim().is_empty()) else { continue };
        let Ok(root) = json::parse(&text, Dialect::Comments) else { continue };
        if root.at(&["disableAllHooks"]).ok().flatten().is_some_and(|node| node.value() == Value::Bool(true)) {
            return Ok(Look::Off { what: format!("`disableAllHooks` in `{}`", path.display()) });
        }
    }
    Ok(look)
}

fn call(command: &str, cwd: &str, session: &str) -> Value {
    json!({
        "sessionId": session, "timestamp": 0, "cwd": cwd, "toolName": "bash",
        "toolArgs": { "command": command },
    })
}

fn hear(answer: &Answer) -> Heard {
    match answer.status {
        Some(2) => Heard::Blocked(answer.stderr.clone()),
        Some(0) => match object(answer) {
            Ok(None) => Heard::Silent,
            Ok(Some(value)) => match text(&value, "/permissionDecision").as_str() {
                "deny" => Heard::Blocked(text(&value, "/permissionDecisionReason")),
                "ask" => Heard::Asked,
                "" => hear_specific(&value),
                other => Heard::Through(format!("the answer is `{other}`")),
            },
            Err(heard) => heard,
        },
        _ => failed(answer),
    }
}
