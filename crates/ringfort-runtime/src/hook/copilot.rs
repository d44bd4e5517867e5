// SPDX-License-Identifier: MIT OR Apache-2.0
//! GitHub Copilot CLI (read from 1.0.102).
//!
//! In: `sessionId`, `cwd`, `toolName`, `toolArgs` (an object, or its JSON text), and the event by `--event` where the
//! message names none. Out: `permissionDecision` at the top level.
//!
//! **Invariant:** "allow" is never said: it would skip the person's own prompt. Arguments that are no object are refused.

use ringfort_sandbox::stub::Answer;
use serde_json::{Map, Value, json};

use super::{
    Agent, Asks, Call, EventMember, Malformed, Moment, Opinion, Place, arguments, refuse, say, strings, text,
    text_if_any, tool_action,
};

pub(super) const ENTRY: Agent =
    Agent { name: "copilot", summary: "GitHub Copilot CLI", event: EventMember::HookEventName, moment, read, answer };

/// Arguments of the shell tool that change nothing about what its command does.
const SHELL_ARGUMENTS: [&str; 1] = ["description"];

fn moment(event: &str) -> Moment {
    match event {
        "preToolUse" => Moment::BeforeTool,
        "permissionRequest" => Moment::Permission,
        "postToolUse" | "postToolUseFailure" => Moment::AfterTool,
        "userPromptSubmitted" => Moment::Prompt,
        "sessionStart" => Moment::SessionStart,
        "sessionEnd" => Moment::SessionEnd,
        "agentStop" | "subagentStop" => Moment::Stop,
        // It comes before something, but only makes the conversation shorter.
        "preCompact" => Moment::Other,
        other => super::unknown_moment(other),
    }
}

fn read(members: &Map<String, Value>, call: &mut Call) -> Result<(), Malformed> {
    call.session = text_if_any(members, "sessionId")?.unwrap_or_default().to_owned();
    call.cwd = text_if_any(members, "cwd")?.map(Into::into);
    // In autopilot and headless the agent denies what its user would have to be asked.
    call.asks = Asks::Agent;
    if matches!(call.moment, Moment::BeforeTool | Moment::Permission | Moment::AfterTool) {
        let arguments = arguments(members, "toolArgs")?;
        call.action = Some(tool_action(text(members, "toolName")?, arguments, &["bash"], &SHELL_ARGUMENTS));
    }
    match call.moment {
        Moment::AfterTool => call.text = members.get("toolResult").map(strings).unwrap_or_default(),
        Moment::Prompt => call.text = text(members, "prompt")?.to_owned(),
        _ => {}
    }
    Ok(())
}

fn answer(place: &Place<'_>, opinion: &Opinion<'_>) -> Answer {
    let decided = |word: &str, why: &str| say(&json!({ "permissionDecision": word, "permissionDecisionReason": why }));
    match (*opinion, place.moment) {
        (Opinion::Deny(why), Moment::BeforeTool) => decided("deny", why),
        (Opinion::Ask(why), Moment::BeforeTool) => decided("ask", why),
        (Opinion::Deny(why), Moment::Permission | Moment::BeforeOther | Moment::Prompt)
        | (Opinion::Ask(why), Moment::BeforeOther) => refuse(why),
        // Nothing is read back after a tool, at the start and at the end.
        _ => Answer::default(),
    }
}
