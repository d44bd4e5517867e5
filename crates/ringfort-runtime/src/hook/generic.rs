// SPDX-License-Identifier: MIT OR Apache-2.0
//! The generic form, for every agent without one of its own: documented in `docs/formats/hook.md`.
//!
//! In: `event`, `session`, `cwd`, `asks`, and what is attempted (`tool`, `command`, `path` or `url`). Out: one JSON
//! object, always; status 2 where it is a denial.
//!
//! **Invariant:** a member that is not known is refused, so that a caller that hopes for a meaning is told there is none.

use ringfort_core::action::{Action, Command, Egress, PathAccess, PathOp};
use ringfort_core::text::Text;
use ringfort_sandbox::stub::Answer;
use serde_json::{Map, Value, json};

use super::{
    Agent, Asks, Call, EXIT_BLOCK, EventMember, Malformed, Moment, Opinion, Place, say, strings, text, text_if_any,
    tool_action,
};

pub(super) const ENTRY: Agent = Agent {
    name: "generic",
    summary: "any agent that writes the documented JSON form",
    event: EventMember::Event,
    moment,
    read,
    answer,
};

/// Every member that is known.
const MEMBERS: [&str; 12] =
    ["event", "session", "cwd", "asks", "tool", "arguments", "command", "path", "op", "url", "method", "text"];

fn moment(event: &str) -> Moment {
    match event {
        "before-tool" => Moment::BeforeTool,
        "permission" => Moment::Permission,
        "after-tool" => Moment::AfterTool,
        "prompt" => Moment::Prompt,
        "session-start" => Moment::SessionStart,
        "session-end" => Moment::SessionEnd,
        "stop" => Moment::Stop,
        // Every other event is refused: this form has no others.
        _ => Moment::BeforeOther,
    }
}

fn read(members: &Map<String, Value>, call: &mut Call) -> Result<(), Malformed> {
    if call.moment == Moment::BeforeOther {
        return Err(Malformed::Member("event"));
    }
    if !members.keys().all(|name| MEMBERS.contains(&name.as_str())) {
        return Err(Malformed::Member("members"));
    }
    call.session = text(members, "session")?.to_owned();
    call.cwd = text_if_any(members, "cwd")?.map(Into::into);
    call.asks = match text_if_any(members, "asks")? {
        Some("person") => Asks::Agent,
        None | Some("nobody") => Asks::Nobody { why: "the agent says that it asks nobody" },
        Some(_) => return Err(Malformed::Member("asks")),
    };
    if matches!(call.moment, Moment::BeforeTool | Moment::Permission | Moment::AfterTool) {
        call.action = Some(action(members)?);
    }
    call.text = members.get("text").map(strings).unwrap_or_default();
    Ok(())
}

fn action(members: &Map<String, Value>) -> Result<Action, Malformed> {
    let kinds: Vec<&str> =
        ["tool", "command", "path", "url"].into_iter().filter(|k| members.contains_key(*k)).collect();
    let [kind] = kinds.as_slice() else { return Err(Malformed::Member("tool, command, path or url")) };
    let belongs = |name: &str, owner: &str| *kind == owner || !members.contains_key(name);
    if !(belongs("arguments", "tool") && belongs("op", "path") && belongs("method", "url")) {
        return Err(Malformed::Member("members"));
    }
    match *kind {
        "tool" => {
            let arguments = members.get("arguments").cloned().unwrap_or_else(|| Value::Object(Map::new()));
            Ok(tool_action(text(members, "tool")?, arguments, &[], &[]))
        }
        "command" => match members.get("command") {
            Some(Value::String(text)) => Ok(Action::Command(Command::Shell(Text::from(text.as_str())))),
            Some(Value::Array(words)) if !words.is_empty() => {
                let words = words.iter().map(|word| word.as_str().map(Text::from).ok_or(Malformed::Member("command")));
                Ok(Action::Command(Command::Argv(words.collect::<Result<_, _>>()?)))
            }
            _ => Err(Malformed::Member("command")),
        },
        "path" => {
            let op = match text(members, "op")? {
                "read" => PathOp::Read,
                "write" => PathOp::Write,
                "execute" => PathOp::Execute,
                _ => return Err(Malformed::Member("op")),
            };
            Ok(Action::Path(PathAccess { path: Text::from(text(members, "path")?), op }))
        }
        _ => Ok(Action::Egress(Egress {
            url: text(members, "url")?.to_owned(),
            method: text_if_any(members, "method")?.map(str::to_owned),
            program: None,
        })),
    }
}

fn answer(place: &Place<'_>, opinion: &Opinion<'_>) -> Answer {
    match *opinion {
        Opinion::None => say(&json!({ "decision": "allow" })),
        Opinion::Tell(what) => say(&json!({ "decision": "allow", "context": what })),
        Opinion::Ask(why) if place.moment.is_before() => say(&json!({ "decision": "ask", "reason": why })),
        Opinion::Ask(why) | Opinion::Deny(why) => Answer {
            stderr: format!("{why}\n").into_bytes(),
            status: EXIT_BLOCK,
            ..say(&json!({ "decision": "deny", "reason": why }))
        },
    }
}
