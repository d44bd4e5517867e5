// SPDX-License-Identifier: MIT OR Apache-2.0
//! Claude Code (read from 2.1.329).
//!
//! In: `hook_event_name`, `session_id`, `cwd`, `permission_mode`, `tool_name`, `tool_input`, `tool_response`. Out:
//! `hookSpecificOutput` with the status 0, which keeps the command line of the hook out of what the model is told.
//!
//! **Invariant:** "allow" is never said: it would skip the person's own prompt. An unknown permission mode is one in
//! which nobody is asked.

use ringfort_sandbox::stub::Answer;
use serde_json::{Map, Value, json};

use super::{
    Agent, Asks, Call, EventMember, Malformed, Moment, Opinion, Place, arguments, refuse, say, specific, strings, text,
    text_if_any, tool_action,
};

pub(super) const ENTRY: Agent =
    Agent { name: "claude-code", summary: "Claude Code", event: EventMember::HookEventName, moment, read, answer };

/// Modes in which the person is asked.
const ASKING_MODES: [&str; 4] = ["default", "acceptEdits", "plan", "auto"];
/// Arguments of the shell tool that change nothing about what its command does.
const SHELL_ARGUMENTS: [&str; 3] = ["description", "timeout", "run_in_background"];

pub(super) fn moment(event: &str) -> Moment {
    match event {
        "PreToolUse" => Moment::BeforeTool,
        "PermissionRequest" => Moment::Permission,
        "PostToolUse" | "PostToolUseFailure" => Moment::AfterTool,
        "UserPromptSubmit" => Moment::Prompt,
        "SessionStart" => Moment::SessionStart,
        "SessionEnd" => Moment::SessionEnd,
        "Stop" | "SubagentStop" => Moment::Stop,
        // It comes before something, but only makes the conversation shorter.
        "PreCompact" | "PermissionDenied" => Moment::Other,
        other => super::unknown_moment(other),
    }
}

pub(super) fn read(members: &Map<String, Value>, call: &mut Call) -> Result<(), Malformed> {
    call.session = text(members, "session_id")?.to_owned();
    call.cwd = text_if_any(members, "cwd")?.map(Into::into);
    call.asks = match text_if_any(members, "permission_mode")? {
        Some(mode) if ASKING_MODES.contains(&mode) => Asks::Agent,
        Some("bypassPermissions") => Asks::Nobody { why: "the agent bypasses permissions" },
        Some("dontAsk") => Asks::Nobody { why: "the agent runs without asking" },
        _ => Asks::Nobody { why: "the agent does not say that it asks anybody" },
    };
    if matches!(call.moment, Moment::BeforeTool | Moment::Permission | Moment::AfterTool) {
        let arguments = arguments(members, "tool_input")?;
        call.action = Some(tool_action(text(members, "tool_name")?, arguments, &["Bash"], &SHELL_ARGUMENTS));
    }
    match call.moment {
        Moment::AfterTool => {
            let output = members.get("tool_response").or_else(|| members.get("error"));
            call.text = output.map(strings).unwrap_or_default();
        }
        Moment::Prompt => call.text = text(members, "prompt")?.to_owned(),
        _ => {}
    }
    Ok(())
}

pub(super) fn answer(place: &Place<'_>, opinion: &Opinion<'_>) -> Answer {
    match (*opinion, place.moment) {
        (Opinion::Deny(why), Moment::BeforeTool) => {
            say(&specific(place, &json!({ "permissionDecision": "deny", "permissionDecisionReason": why })))
        }
        (Opinion::Deny(why), Moment::Permission) => {
            say(&specific(place, &json!({ "decision": { "behavior": "deny", "message": why } })))
        }
        (Opinion::Deny(why), Moment::Prompt) => say(&json!({ "decision": "block", "reason": why })),
        (Opinion::Ask(why), Moment::BeforeTool) => {
            say(&specific(place, &json!({ "permissionDecision": "ask", "permissionDecisionReason": why })))
        }
        // The agent is about to ask its user anyway.
        (Opinion::Ask(_), Moment::Permission) | (Opinion::None, _) => Answer::default(),
        (Opinion::Ask(why) | Opinion::Deny(why), Moment::BeforeOther) => refuse(why),
        (Opinion::Tell(what), Moment::SessionStart | Moment::AfterTool | Moment::Prompt) => {
            say(&specific(place, &json!({ "additionalContext": what })))
        }
        // What has happened cannot be refused any more, and a stop that is refused never ends.
        _ => Answer::default(),
    }
}
