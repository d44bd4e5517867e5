// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is attempted: command, tool call, path access, egress, secret use, model use, message, and the seams of an
//! agent runtime (schedule, skill, delegation, model switch, intent).
//!
//! In: what a door received. Out: one value that policies rule on and that the digest of a request binds.
//!
//! **Invariant:** [`Action::write_digest`] writes every field of every variant; two different actions differ in it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::DigestWriter;
use crate::text::Text;

mod seam;

pub use seam::{Delegation, IntentCheck, Job, ModelSwitch, ScheduleAdd, ScheduleRun, SkillOp, SkillUse};

/// What a principal attempts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
#[non_exhaustive]
pub enum Action {
    /// Start a program, or let a shell run text.
    Command(Command),
    /// Call a tool by name.
    Tool(ToolCall),
    /// Touch a file.
    Path(PathAccess),
    /// Send something over the network.
    Egress(Egress),
    /// Use a stored secret.
    Secret(SecretUse),
    /// Load, promote or switch a model.
    Model(ModelUse),
    /// Send a message to a person or channel.
    Message(Message),
    /// Make or change an entry of a schedule.
    #[serde(rename = "schedule-add")]
    ScheduleAdd(ScheduleAdd),
    /// Start an entry of a schedule that is due.
    #[serde(rename = "schedule-run")]
    ScheduleRun(ScheduleRun),
    /// Install or run a skill.
    Skill(SkillUse),
    /// Hand a task to another agent.
    Delegate(Delegation),
    /// Switch to another model.
    #[serde(rename = "model-switch")]
    ModelSwitch(ModelSwitch),
    /// Do what was stated before.
    Intent(IntentCheck),
}

/// A command, either as words or as text for a shell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "form", content = "text")]
pub enum Command {
    /// Words that are handed to `execve` as they are.
    Argv(Vec<Text>),
    /// Text that a shell would read.
    Shell(Text),
}

impl Command {
    /// The form in which the command line of every door reads words: one word is shell text, several are argv.
    pub fn from_words(mut words: Vec<Text>) -> Self {
        match words.pop() {
            Some(only) if words.is_empty() => Self::Shell(only),
            Some(last) => {
                words.push(last);
                Self::Argv(words)
            }
            None => Self::Argv(words),
        }
    }

    /// The command on one line, escaped for people.
    pub fn to_display(&self) -> String {
        match self {
            Self::Shell(text) => text.escaped(),
            Self::Argv(words) => words.iter().map(display_word).collect::<Vec<_>>().join(" "),
        }
    }
}

fn display_word(word: &Text) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(b);
    if !word.as_bytes().is_empty() && word.as_bytes().iter().all(plain) {
        word.to_lossy().into_owned()
    } else {
        format!("'{}'", word.escaped().replace('\'', "'\\''"))
    }
}

/// A call of a named tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The tool's name as the agent knows it.
    pub name: String,
    /// Its arguments as given.
    pub arguments: Value,
}

/// An access to one path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathAccess {
    /// The path as given, relative to the request's folder.
    pub path: Text,
    /// What is done with it.
    pub op: PathOp,
}

/// What is done with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PathOp {
    /// Its content or listing is read.
    Read,
    /// It is created, changed or removed.
    Write,
    /// It is run as a program.
    Execute,
}

/// A request to the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Egress {
    /// The URL, or `host:port`.
    pub url: String,
    /// The method, where the protocol has one.
    #[serde(default)]
    pub method: Option<String>,
    /// The program of the run that asks, where a door knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
}

/// A use of a stored secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretUse {
    /// The secret's id; never its value.
    pub id: String,
    /// What it is for.
    pub purpose: String,
}

/// A use of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelUse {
    /// The model's id.
    pub id: String,
    /// What is done with it.
    pub operation: String,
}

/// A message to somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The channel it leaves by.
    pub channel: String,
    /// Who receives it.
    pub recipient: String,
    /// What it says.
    pub text: String,
}

impl Action {
    /// One line for people, escaped.
    pub fn to_display(&self) -> String {
        match self {
            Self::Command(command) => command.to_display(),
            Self::Tool(call) => format!("tool {}", Text::from(call.name.as_str()).escaped()),
            Self::Path(access) => format!("{} {}", access.op.as_str(), access.path.escaped()),
            Self::Egress(egress) => format!("egress {}", Text::from(egress.url.as_str()).escaped()),
            Self::Secret(secret) => {
                let (id, purpose) = (Text::from(secret.id.as_str()), Text::from(secret.purpose.as_str()));
                format!("secret {} as {}", id.escaped(), purpose.escaped())
            }
            Self::Model(model) => format!("model {}", Text::from(model.id.as_str()).escaped()),
            Self::Message(message) => format!("message to {}", Text::from(message.recipient.as_str()).escaped()),
            Self::ScheduleAdd(add) => add.to_display(),
            Self::ScheduleRun(run) => run.to_display(),
            Self::Skill(skill) => skill.to_display(),
            Self::Delegate(delegation) => delegation.to_display(),
            Self::ModelSwitch(switch) => switch.to_display(),
            Self::Intent(check) => check.to_display(),
        }
    }

    /// Writes every field into a digest, the variant first.
    pub fn write_digest(&self, writer: &mut DigestWriter) {
        match self {
            Self::Command(command) => write_command(command, writer),
            Self::Tool(call) => write_call(&call.name, call, writer),
            Self::Path(access) => {
                writer.number(4).bytes(access.path.as_bytes()).bytes(access.op.as_str().as_bytes());
            }
            Self::Egress(egress) => {
                writer.number(if egress.program.is_some() { 15 } else { 5 });
                writer.bytes(egress.url.as_bytes()).number(u64::from(egress.method.is_some()));
                writer.bytes(egress.method.as_deref().unwrap_or("").as_bytes());
                if let Some(program) = &egress.program {
                    writer.bytes(program.as_bytes());
                }
            }
            Self::Secret(secret) => {
                writer.number(6).bytes(secret.id.as_bytes()).bytes(secret.purpose.as_bytes());
            }
            Self::Model(model) => {
                writer.number(7).bytes(model.id.as_bytes()).bytes(model.operation.as_bytes());
            }
            Self::Message(message) => {
                writer.number(8).bytes(message.channel.as_bytes()).bytes(message.recipient.as_bytes());
                writer.bytes(message.text.as_bytes());
            }
            Self::ScheduleAdd(add) => add.write_digest(writer.number(9)),
            Self::ScheduleRun(run) => run.write_digest(writer.number(10)),
            Self::Skill(skill) => skill.write_digest(writer.number(11)),
            Self::Delegate(delegation) => delegation.write_digest(writer.number(12)),
            Self::ModelSwitch(switch) => switch.write_digest(writer.number(13)),
            Self::Intent(check) => check.write_digest(writer.number(14)),
        }
    }

    /// Writes what stays the same when it is repeated: case is not part of a tool's name here.
    pub fn write_repeat_digest(&self, writer: &mut DigestWriter) {
        match self {
            Self::Tool(call) => write_call(&call.name.to_lowercase(), call, writer),
            other => other.write_digest(writer),
        }
    }
}

/// Writes a tool call into a digest, under this name.
fn write_call(name: &str, call: &ToolCall, writer: &mut DigestWriter) {
    writer.number(3).bytes(name.as_bytes());
    write_value(&call.arguments, writer);
}

/// Writes a command into a digest, its form first.
fn write_command(command: &Command, writer: &mut DigestWriter) {
    match command {
        Command::Argv(words) => {
            writer.number(1).number(words.len() as u64);
            for word in words {
                writer.bytes(word.as_bytes());
            }
        }
        Command::Shell(text) => {
            writer.number(2).bytes(text.as_bytes());
        }
    }
}

impl PathOp {
    /// The word used in JSON and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Execute => "execute",
        }
    }
}

/// Writes a JSON value in a canonical order: members of objects by name.
fn write_value(value: &Value, writer: &mut DigestWriter) {
    match value {
        Value::Null => {
            writer.number(0);
        }
        Value::Bool(flag) => {
            writer.number(1).number(u64::from(*flag));
        }
        Value::Number(number) => {
            writer.number(2).bytes(number.to_string().as_bytes());
        }
        Value::String(text) => {
            writer.number(3).bytes(text.as_bytes());
        }
        Value::Array(items) => {
            writer.number(4).number(items.len() as u64);
            items.iter().for_each(|item| write_value(item, writer));
        }
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort();
            writer.number(5).number(names.len() as u64);
            for name in names {
                writer.bytes(name.as_bytes());
                write_value(members.get(name).unwrap_or(&Value::Null), writer);
            }
        }
    }
}
