// SPDX-License-Identifier: MIT OR Apache-2.0
//! Agents' own hook protocols: what an agent says to its hook, and how its hook answers.
//!
//! In: the bytes that an agent writes to its hook, and an opinion. Out: a [`Call`], and the bytes and the status that
//! mean this opinion to this agent.
//!
//! **Invariant:** pure: no file, clock or environment. What is not understood is [`Malformed`], which means a denial
//! wherever something is about to happen. "No opinion" is the most that is ever said in favour of a call: the agent's
//! own permissions remain. One file per agent, and its place in [`AGENTS`].

use std::borrow::Cow;
use std::path::PathBuf;

use ringfort_core::action::{Action, Command, ToolCall};
use ringfort_core::text::Text;
use ringfort_sandbox::stub::Answer;
use serde::Deserialize;
use serde_json::{Map, Value};

mod claude_code;
mod codex;
mod copilot;
mod cursor;
mod gemini;
mod generic;
pub mod judge;
pub mod message;
mod openclaw;
mod opencode;
pub mod session;

/// Every agent whose protocol is spoken.
pub static AGENTS: &[Agent] = &[
    claude_code::ENTRY,
    codex::ENTRY,
    gemini::ENTRY,
    cursor::ENTRY,
    copilot::ENTRY,
    opencode::ENTRY,
    openclaw::ENTRY,
    generic::ENTRY,
];

/// Most that an agent may write to its hook; more is a denial. Bytes.
pub const INPUT_BYTES_MAX: usize = 8 << 20;
/// Longest name of a session, event or tool. Bytes.
const NAME_BYTES_MAX: usize = 256;
/// Most text that is taken out of a tool's output. Bytes.
const TEXT_BYTES_MAX: usize = INPUT_BYTES_MAX;
/// Deepest nesting of a tool's output that is looked into.
const DEPTH_MAX: usize = 128;

/// One agent's protocol.
#[derive(Debug)]
pub struct Agent {
    /// Its name on the command line, and in the principal.
    pub name: &'static str,
    /// What it is, in a few words.
    pub summary: &'static str,
    /// The member that names the event.
    event: EventMember,
    /// What an event of this name stands for.
    moment: fn(&str) -> Moment,
    /// Reads the members of one message, whose event has been found.
    read: fn(&Map<String, Value>, &mut Call) -> Result<(), Malformed>,
    /// Says an opinion at a moment.
    answer: fn(&Place<'_>, &Opinion<'_>) -> Answer,
}

/// Under which name a message names its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EventMember {
    /// `hook_event_name`.
    HookEventName,
    /// `event`.
    Event,
}

/// What an event stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moment {
    /// A tool is about to be called.
    BeforeTool,
    /// A call that was judged and counted at another event, or will be, is judged at this one too.
    Permission,
    /// Something else is about to happen that is not known here.
    BeforeOther,
    /// A tool has been called.
    AfterTool,
    /// A person has said something.
    Prompt,
    /// A session starts, or starts again.
    SessionStart,
    /// A session has ended.
    SessionEnd,
    /// The agent wants to stop.
    Stop,
    /// Anything else that has happened.
    Other,
}

impl Moment {
    /// Whether something is about to happen: without an answer it must not.
    pub const fn is_before(self) -> bool {
        matches!(self, Self::BeforeTool | Self::Permission | Self::BeforeOther)
    }
}

/// Where an answer is given: the event and its moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The event by the agent's own name; empty where it is not known.
    pub event: &'a str,
    /// What it stands for.
    pub moment: Moment,
}

/// Whether the agent can ask its own user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Yes, and nobody can verify what is answered.
    Agent,
    /// No: it runs headless, bypasses permissions, or has no way to ask.
    Nobody {
        /// Why.
        why: &'static str,
    },
}

/// What an agent said to its hook.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The event, by the agent's own name.
    pub event: String,
    /// What it stands for.
    pub moment: Moment,
    /// The agent's name of the session; empty where it has none.
    pub session: String,
    /// The folder in which it would happen.
    pub cwd: Option<PathBuf>,
    /// The folder that the session is about, where the agent says so.
    pub root: Option<PathBuf>,
    /// What is attempted, or was done.
    pub action: Option<Action>,
    /// What a person said, or what a tool put out.
    pub text: String,
    /// Whether the agent can ask its own user.
    pub asks: Asks,
}

/// What is said to an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opinion<'a> {
    /// Nothing: the agent's own permissions remain.
    None,
    /// Nothing against it, but the agent should know this.
    Tell(&'a str),
    /// Its user must be asked.
    Ask(&'a str),
    /// It must not happen.
    Deny(&'a str),
}

/// Why a message was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// It is too long.
    #[error("the message is longer than {INPUT_BYTES_MAX} bytes")]
    Long,
    /// It is no JSON object.
    #[error("the message is no JSON object")]
    NoObject,
    /// A member is missing, or has the wrong type or size.
    #[error("the message's `{0}` is missing or not as it should be")]
    Member(&'static str),
}

impl Agent {
    /// Where an answer to this message is given, without understanding more of it: for the denial that must be ready
    /// before anything is judged. `named` is the event where the message names none; without either it stands before
    /// something.
    pub fn peek<'a>(&self, bytes: &'a [u8], named: Option<&'a str>) -> (Cow<'a, str>, Moment) {
        #[derive(Deserialize)]
        struct Named<'a> {
            #[serde(borrow)]
            hook_event_name: Option<Cow<'a, str>>,
        }
        #[derive(Deserialize)]
        struct Generic<'a> {
            #[serde(borrow)]
            event: Option<Cow<'a, str>>,
        }
        // What a message says that cannot be read is nothing.
        let event = match self.event {
            EventMember::HookEventName => {
                serde_json::from_slice::<Named<'_>>(bytes).ok().and_then(|it| it.hook_event_name)
            }
            EventMember::Event => serde_json::from_slice::<Generic<'_>>(bytes).ok().and_then(|it| it.event),
        };
        let event = event.or(named.map(Cow::Borrowed));
        match event.filter(|event| !event.is_empty() && event.len() <= NAME_BYTES_MAX) {
            Some(event) => {
                let moment = (self.moment)(&event);
                (event, moment)
            }
            None => (Cow::Borrowed(""), Moment::BeforeOther),
        }
    }

    /// Reads one message; `named` is the event where the message names none.
    ///
    /// # Errors
    ///
    /// [`Malformed`]: it is not understood; whatever it is about must not happen.
    pub fn parse(&self, bytes: &[u8], named: Option<&str>) -> Result<Call, Malformed> {
        if bytes.len() > INPUT_BYTES_MAX {
            return Err(Malformed::Long);
        }
        let Ok(members) = serde_json::from_slice::<Map<String, Value>>(bytes) else { return Err(Malformed::NoObject) };
        let (event, moment) = self.peek(bytes, named);
        if event.is_empty() {
            return Err(Malformed::Member("event"));
        }
        let mut call = Call {
            event: event.into_owned(),
            moment,
            session: String::new(),
            cwd: None,
            root: None,
            action: None,
            text: String::new(),
            asks: Asks::Nobody { why: "this agent cannot ask its user through its hook" },
        };
        (self.read)(&members, &mut call)?;
        if call.session.len() > NAME_BYTES_MAX {
            return Err(Malformed::Member("session"));
        }
        if matches!(call.moment, Moment::BeforeTool | Moment::Permission) && call.action.is_none() {
            return Err(Malformed::Member("tool"));
        }
        let is_bad = |path: &Option<PathBuf>| path.as_ref().is_some_and(|path| !path.is_absolute());
        if is_bad(&call.cwd) || is_bad(&call.root) {
            return Err(Malformed::Member("cwd"));
        }
        Ok(call)
    }

    /// The bytes and the status that mean `opinion` at `place`.
    pub fn answer(&self, place: &Place<'_>, opinion: &Opinion<'_>) -> Answer {
        (self.answer)(place, opinion)
    }
}

/// The agent of this name.
pub fn agent(name: &str) -> Option<&'static Agent> {
    AGENTS.iter().find(|agent| agent.name == name)
}

/// Reads one message of the agent called `name`: for whoever feeds this with what agents would never write.
///
/// # Errors
///
/// [`Malformed`]: there is no such agent, or the message is not understood.
pub fn parse(name: &str, bytes: &[u8]) -> Result<Call, Malformed> {
    agent(name).ok_or(Malformed::Member("agent"))?.parse(bytes, None)
}

/// A member that is text.
fn text<'a>(members: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, Malformed> {
    members.get(name).and_then(Value::as_str).ok_or(Malformed::Member(name))
}

/// A member that is text where it is there at all.
fn text_if_any<'a>(members: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>, Malformed> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Malformed::Member(name)),
    }
}

/// The call of a tool. A tool that runs text in a shell is that command where nothing but `harmless` arguments stand
/// beside it; in every other case the policy reads the call as a whole.
fn tool_action(name: &str, arguments: Value, shells: &[&str], harmless: &[&str]) -> Action {
    if shells.contains(&name)
        && let Value::Object(members) = &arguments
        && let Some(Value::String(text)) = members.get("command")
        && members.keys().all(|key| key == "command" || harmless.contains(&key.as_str()))
    {
        return Action::Command(Command::Shell(Text::from(text.as_str())));
    }
    Action::Tool(ToolCall { name: name.to_owned(), arguments })
}

/// Every string in `value`, one a line: what a tool put out, for the detectors.
fn strings(value: &Value) -> String {
    let mut text = String::new();
    collect(value, &mut text, DEPTH_MAX);
    text
}

fn collect(value: &Value, text: &mut String, depth: usize) {
    if text.len() >= TEXT_BYTES_MAX {
        return;
    }
    match value {
        Value::String(part) => {
            text.push_str(part);
            text.push('\n');
        }
        Value::Array(items) if depth > 0 => items.iter().for_each(|item| collect(item, text, depth - 1)),
        Value::Object(members) if depth > 0 => members.values().for_each(|item| collect(item, text, depth - 1)),
        _ => {}
    }
}

/// What an event stands for that is not known: one whose name says that it comes before something may be refused.
fn unknown_moment(event: &str) -> Moment {
    let event = event.to_ascii_lowercase();
    let is_before =
        ["pre", "before", "permission", "will"].iter().any(|word| event.starts_with(word)) || event.contains("request");
    if is_before { Moment::BeforeOther } else { Moment::Other }
}

/// The arguments of a tool: an object, or its JSON text where `members` has that.
fn arguments(members: &Map<String, Value>, name: &'static str) -> Result<Value, Malformed> {
    match members.get(name) {
        Some(Value::Object(object)) => Ok(Value::Object(object.clone())),
        Some(Value::String(text)) => match serde_json::from_str(text) {
            Ok(Value::Object(object)) => Ok(Value::Object(object)),
            _ => Err(Malformed::Member(name)),
        },
        _ => Err(Malformed::Member(name)),
    }
}

/// One JSON object on standard output, and the status 0: how agents are told more than a status says.
fn say(value: &Value) -> Answer {
    Answer { stdout: format!("{value}\n").into_bytes(), stderr: Vec::new(), status: 0 }
}

/// A denial without JSON: the status 2 and the reason on standard error, which every agent takes as one.
fn refuse(why: &str) -> Answer {
    Answer { stdout: Vec::new(), stderr: format!("{why}\n").into_bytes(), status: EXIT_BLOCK }
}

/// `hookSpecificOutput`, as several agents read it.
fn specific(place: &Place<'_>, members: &Value) -> Value {
    let mut output = serde_json::json!({ "hookEventName": place.event });
    if let (Some(output), Some(members)) = (output.as_object_mut(), members.as_object()) {
        output.extend(members.clone());
    }
    serde_json::json!({ "hookSpecificOutput": output })
}

/// The status by which agents know a denial.
pub const EXIT_BLOCK: u8 = 2;

#[cfg(test)]
mod tests;
