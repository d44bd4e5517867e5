// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cursor (read from its hooks engine in `@cursor/sdk` 1.0.32).
//!
//! In: `hook_event_name`, `conversation_id`, `workspace_roots`, and per event a command, a file or a tool call. Out:
//! `permission` with a message for the person and one for the agent.
//!
//! **Invariant:** "no opinion" is the empty object, because an empty answer counts as a failure where failures block.
//! "ask" is never said: it is not enforced before every tool. A call that comes by two events is counted once.

use std::path::PathBuf;

use ringfort_core::action::{Action, Command, PathAccess, PathOp, ToolCall};
use ringfort_core::text::Text;
use ringfort_sandbox::stub::Answer;
use serde_json::{Map, Value, json};

use super::{
    Agent, Call, EventMember, Malformed, Moment, Opinion, Place, arguments, refuse, say, strings, text, text_if_any,
    tool_action,
};

pub(super) const ENTRY: Agent =
    Agent { name: "cursor", summary: "Cursor", event: EventMember::HookEventName, moment, read, answer };

/// Arguments of the shell tool that change nothing about what its command does.
const SHELL_ARGUMENTS: [&str; 3] = ["description", "timeout", "is_background"];

fn moment(event: &str) -> Moment {
    match event {
        "preToolUse" | "beforeShellExecution" | "beforeMCPExecution" | "beforeReadFile" | "beforeTabFileRead" => {
            Moment::BeforeTool
        }
        "postToolUse" | "postToolUseFailure" | "afterShellExecution" | "afterMCPExecution" => Moment::AfterTool,
        "beforeSubmitPrompt" => Moment::Prompt,
        "sessionStart" => Moment::SessionStart,
        "sessionEnd" => Moment::SessionEnd,
        "stop" | "subagentStop" => Moment::Stop,
        // It comes before something, but only makes the conversation shorter.
        "preCompact" => Moment::Other,
        "subagentStart" => Moment::BeforeOther,
        other => super::unknown_moment(other),
    }
}

fn read(members: &Map<String, Value>, call: &mut Call) -> Result<(), Malformed> {
    call.session = text(members, "conversation_id")?.to_owned();
    call.root = match members.get("workspace_roots") {
        None | Some(Value::Null) => None,
        Some(Value::Array(roots)) => roots.first().and_then(Value::as_str).map(PathBuf::from),
        Some(_) => return Err(Malformed::Member("workspace_roots")),
    };
    let named = text_if_any(members, "cwd")?.filter(|cwd| !cwd.is_empty());
    call.cwd = named.map(PathBuf::from).or_else(|| call.root.clone());
    if matches!(call.moment, Moment::BeforeTool | Moment::AfterTool) {
        call.action = action(members, &call.event)?;
        // Where one of its own events follows, that one counts.
        let is_followed = |name: &str| matches!(name, "Shell" | "Read") || name.starts_with("MCP:");
        if call.event == "preToolUse" && is_followed(text(members, "tool_name")?) {
            call.moment = Moment::Permission;
        }
    }
    match call.moment {
        Moment::AfterTool => {
            let outputs = ["tool_output", "output", "result_json", "error_message"];
            call.text = outputs.into_iter().filter_map(|name| members.get(name)).map(strings).collect();
        }
        Moment::Prompt => call.text = text(members, "prompt")?.to_owned(),
        _ => {}
    }
    Ok(())
}

fn action(members: &Map<String, Value>, event: &str) -> Result<Option<Action>, Malformed> {
    Ok(Some(match event {
        "beforeShellExecution" | "afterShellExecution" => {
            Action::Command(Command::Shell(Text::from(text(members, "command")?)))
        }
        "beforeReadFile" | "beforeTabFileRead" => {
            Action::Path(PathAccess { path: Text::from(text(members, "file_path")?), op: PathOp::Read })
        }
        "beforeMCPExecution" | "afterMCPExecution" => Action::Tool(ToolCall {
            name: format!("MCP:{}", text(members, "tool_name")?),
            arguments: arguments(members, "tool_input")?,
        }),
        _ => {
            let arguments = arguments(members, "tool_input")?;
            tool_action(text(members, "tool_name")?, arguments, &["Shell"], &SHELL_ARGUMENTS)
        }
    }))
}

fn answer(place: &Place<'_>, opinion: &Opinion<'_>) -> Answer {
    match (*opinion, place.moment) {
        (Opinion::Deny(why) | Opinion::Ask(why), Moment::BeforeTool | Moment::Permission) => {
            say(&json!({ "permission": "deny", "user_message": why, "agent_message": why }))
        }
        (Opinion::Deny(why) | Opinion::Ask(why), Moment::Prompt) => {
            say(&json!({ "continue": false, "user_message": why }))
        }
        (Opinion::Deny(why) | Opinion::Ask(why), Moment::BeforeOther) => {
            Answer { stdout: say(&json!({ "permission": "deny", "user_message": why })).stdout, ..refuse(why) }
        }
        (Opinion::Tell(what), Moment::SessionStart | Moment::AfterTool) => say(&json!({ "additional_context": what })),
        _ => say(&json!({})),
    }
}
