// SPDX-License-Identifier: MIT OR Apache-2.0
//! Gemini CLI (read from 0.61.0).
//!
//! In: `hook_event_name`, `session_id`, `cwd`, `tool_name`, `tool_input`, `tool_response`. Out: `decision` and `reason`.
//!
//! **Invariant:** "ask" is never said: neither headless runs nor `--yolo` can be seen in a message. A denial is JSON
//! with the status 0, which every version reads.

use ringfort_sandbox::stub::Answer;
use serde_json::{Map, Value, json};

use super::{
    Agent, Call, EventMember, Malformed, Moment, Opinion, Place, arguments, refuse, say, specific, strings, text,
    text_if_any, tool_action,
};

pub(super) const ENTRY: Agent =
    Agent { name: "gemini", summary: "Gemini CLI", event: EventMember::HookEventName, moment, read, answer };

/// Arguments of the shell tool that change nothing about what its command does.
const SHELL_ARGUMENTS: [&str; 2] = ["description", "is_background"];

fn moment(event: &str) -> Moment {
    match event {
        "BeforeTool" => Moment::BeforeTool,
        "AfterTool" => Moment::AfterTool,
        "BeforeAgent" => Moment::Prompt,
        "SessionStart" => Moment::SessionStart,
        "SessionEnd" => Moment::SessionEnd,
        "AfterAgent" => Moment::Stop,
        // They come before something that has no effect outside the conversation.
        "BeforeModel" | "BeforeToolSelection" | "PreCompress" => Moment::Other,
        other => super::unknown_moment(other),
    }
}

fn read(members: &Map<String, Value>, call: &mut Call) -> Result<(), Malformed> {
    call.session = text(members, "session_id")?.to_owned();
    call.cwd = text_if_any(members, "cwd")?.map(Into::into);
    if matches!(call.moment, Moment::BeforeTool | Moment::AfterTool) {
        let arguments = arguments(members, "tool_input")?;
        let name = text(members, "tool_name")?;
        call.action = Some(tool_action(name, arguments, &["run_shell_command"], &SHELL_ARGUMENTS));
    }
    match call.moment {
        Moment::AfterTool => call.text = members.get("tool_response").map(strings).unwrap_or_default(),
        Moment::Prompt => call.text = text(members, "prompt")?.to_owned(),
        _ => {}
    }
    Ok(())
}

fn answer(place: &Place<'_>, opinion: &Opinion<'_>) -> Answer {
    match (*opinion, place.moment) {
        (Opinion::Deny(why) | Opinion::Ask(why), Moment::BeforeTool | Moment::Permission | Moment::Prompt) => {
            say(&json!({ "decision": "deny", "reason": why }))
        }
        (Opinion::Deny(why) | Opinion::Ask(why), Moment::BeforeOther) => refuse(why),
        (Opinion::Tell(what), Moment::SessionStart | Moment::AfterTool) => {
            say(&specific(place, &json!({ "additionalContext": what })))
        }
        _ => Answer::default(),
    }
}
