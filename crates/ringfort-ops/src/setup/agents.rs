// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every agent that can be set up, one file each.
//!
//! In: the ground and the agent's files. Out: changes, looks, the canary call, and what an answer means to the agent.
//!
//! **Invariant:** the list is the order in which agents are shown; what an agent takes for a denial is written here as
//! its own program has it, so that a check does not believe an answer that the agent would not.

mod claude_code;
mod codex;
mod copilot;
mod cursor;
mod gemini;
mod openclaw;
mod opencode;
mod zeroclaw;

use std::path::PathBuf;

use serde_json::Value;

use super::{Answer, Change, Ground, Heard, Look, Read, Scope, SetupError};

/// Changes of one wiring, in the order in which they are written.
pub type Changes = Result<Vec<Change>, SetupError>;

/// One agent.
#[derive(Clone, Copy)]
pub struct Agent {
    /// Its word on the command line, of `setup` and of `hook`.
    pub name: &'static str,
    /// Its name as people know it.
    pub title: &'static str,
    /// The programs by which an installation is found.
    pub programs: &'static [&'static str],
    /// Its own folder.
    pub folder: fn(&Ground) -> PathBuf,
    /// Puts our hook in.
    pub wire: fn(&Ground, Scope, Read<'_>) -> Changes,
    /// Takes our hook out, and leaves what is not ours.
    pub strip: fn(&Ground, Scope, Read<'_>) -> Changes,
    /// Looks how it stands.
    pub look: fn(&Ground, Scope, Read<'_>) -> Result<Look, SetupError>,
    /// What the agent writes to the hook before this shell command, in this folder and session.
    pub call: fn(&str, &str, &str) -> Value,
    /// How the agent takes an answer.
    pub hear: fn(&Answer) -> Heard,
    /// What a person should know after wiring, beside the standing.
    pub note: &'static str,
}

/// Every agent, in the order in which they are shown.
pub static AGENTS: &[Agent] = &[
    claude_code::ENTRY,
    codex::ENTRY,
    gemini::ENTRY,
    cursor::ENTRY,
    copilot::ENTRY,
    opencode::ENTRY,
    openclaw::ENTRY,
    zeroclaw::ENTRY,
];

/// The agent of this name.
pub fn agent(name: &str) -> Option<&'static Agent> {
    AGENTS.iter().find(|agent| agent.name == name)
}

/// The answer's JSON object; `None` for no output at all.
fn object(answer: &Answer) -> Result<Option<Value>, Heard> {
    let text = answer.stdout.trim();
    if text.is_empty() {
        return Ok(None);
    }
    match serde_json::from_str::<Value>(text) {
        Ok(value) if value.is_object() => Ok(Some(value)),
        _ => Err(Heard::Through("the answer is not a JSON object".to_owned())),
    }
}

/// A status other than 0 and 2: the agent goes ahead.
fn failed(answer: &Answer) -> Heard {
    let status = answer.status.map_or_else(|| "a signal".to_owned(), |status| format!("status {status}"));
    Heard::Through(format!("the hook ended with {status}"))
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The answer of the kind `{"hookSpecificOutput": {"permissionDecision": …}}`.
fn hear_specific(value: &Value) -> Heard {
    let reason = text(value, "/hookSpecificOutput/permissionDecisionReason");
    match text(value, "/hookSpecificOutput/permissionDecision").as_str() {
        "deny" => Heard::Blocked(reason),
        "ask" => Heard::Asked,
        "allow" => Heard::Through("the answer is an approval".to_owned()),
        "" if text(value, "/decision") == "block" => Heard::Blocked(text(value, "/reason")),
        "" => Heard::Silent,
        other => Heard::Through(format!("the answer is `{other}`")),
    }
}

/// The answer of the kind `{"decision": …, "reason": …}`.
fn hear_decision(value: &Value) -> Heard {
    match text(value, "/decision").as_str() {
        "deny" | "block" => Heard::Blocked(text(value, "/reason")),
        "ask" => Heard::Asked,
        "" => Heard::Silent,
        other => Heard::Through(format!("the answer is `{other}`")),
    }
}

#[cfg(test)]
mod tests;
