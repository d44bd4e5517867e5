// SPDX-License-Identifier: MIT OR Apache-2.0
//! OpenCode (read from 1.18.33), by the plugin that `ringfort setup opencode` writes.
//!
//! In: `hook_event_name`, `session_id`, `cwd`, `workspace`, `tool_name`, `tool_input`, `tool_response`. Out: nothing, or
//! `decision` and `reason`.
//!
//! **Invariant:** the plugin takes every answer for a denial but these two, so a hook that fails denies.

use ringfort_sandbox::stub::Answer;
use serde_json::{Map, Value, json};

use super::{
    Agent, Call, EventMember, Malformed, Moment, Opinion, Place, arguments, refuse, say, strings, text, text_if_any,
    tool_action,
};

pub(super) const ENTRY: Agent =
    Agent { name: "opencode", summary: "OpenCode", event: EventMember::HookEventName, moment, read, answer };

/// Arguments of the shell tool that change nothing about what its command does.
const SHELL_ARGUMENTS: [&str; 2] = ["description", "timeout"];

fn moment(event: &str) -> Moment {
    match event {
        "tool.execute.before" => Moment::BeforeTool,
        "tool.execute.after" => Moment::AfterTool,
        // The plugin sends no other events.
        _ => Moment::BeforeOther,
    }
}

fn read(members: &Map<String, Value>, call: &mut Call) -> Result<(), Malformed> {
    call.session = text_if_any(members, "session_id")?.unwrap_or_default().to_owned();
    call.cwd = text_if_any(members, "cwd")?.filter(|cwd| !cwd.is_empty()).map(Into::into);
    call.root = text_if_any(members, "workspace")?.filter(|root| !root.is_empty()).map(Into::into);
    if matches!(call.moment, Moment::BeforeTool | Moment::AfterTool) {
        let arguments = arguments(members, "tool_input")?;
        call.action = Some(tool_action(text(members, "tool_name")?, arguments, &["bash"], &SHELL_ARGUMENTS));
    }
    if call.moment == Moment::AfterTool {
        call.text = members.get("tool_response").map(strings).unwrap_or_default();
    }
    Ok(())
}

fn answer(place: &Place<'_>, opinion: &Opinion<'_>) -> Answer {
    match (*opinion, place.moment) {
        (Opinion::Deny(why) | Opinion::Ask(why), Moment::BeforeTool | Moment::Permission) => {
            say(&json!({ "decision": "deny", "reason": why }))
        }
        (Opinion::Deny(why) | Opinion::Ask(why), Moment::BeforeOther) => refuse(why),
        _ => Answer::default(),
    }
}
