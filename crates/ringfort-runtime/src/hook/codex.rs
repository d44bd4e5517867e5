// SPDX-License-Identifier: MIT OR Apache-2.0
//! Codex CLI (read from 0.169.0).
//!
//! In: the members of Claude Code; every shell-like tool comes as `Bash`. Out: the answers of Claude Code, as far as
//! Codex takes them.
//!
//! **Invariant:** "ask" is never said: Codex takes it for a failure of the hook and goes ahead. Nothing is said beyond
//! the members that its schema knows, for the same reason.

use ringfort_sandbox::stub::Answer;
use serde_json::{Map, Value, json};

use super::{Agent, Asks, Call, EventMember, Malformed, Moment, Opinion, Place, claude_code, say};

pub(super) const ENTRY: Agent = Agent {
    name: "codex",
    summary: "Codex CLI",
    event: EventMember::HookEventName,
    moment: claude_code::moment,
    read,
    answer,
};

fn read(members: &Map<String, Value>, call: &mut Call) -> Result<(), Malformed> {
    claude_code::read(members, call)?;
    call.asks = Asks::Nobody { why: "Codex cannot ask its user through a hook" };
    Ok(())
}

fn answer(place: &Place<'_>, opinion: &Opinion<'_>) -> Answer {
    match (*opinion, place.moment) {
        (Opinion::Ask(why), Moment::BeforeTool | Moment::Permission) => answer(place, &Opinion::Deny(why)),
        // Its schema for the output of a tool is not that of Claude Code.
        (Opinion::Tell(what), Moment::AfterTool) => say(&json!({ "decision": "block", "reason": what })),
        (opinion, _) => claude_code::answer(place, &opinion),
    }
}
