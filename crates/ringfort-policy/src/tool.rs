// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tools that agents call: what the known ones would do, by their names and arguments.
//!
//! In: a name and JSON arguments as the agent gives them. Out: a [`Call`] in terms of commands, paths and hosts.
//!
//! **Invariant:** arguments of a known tool are read strictly: a missing one, a wrong type or two spellings of the same
//! one are faults, never guesses. Every string at every depth is looked at, whatever stands beside it. A tool that is
//! not in the list is unknown, whatever its name promises.

use ringfort_core::action::PathOp;
use serde_json::{Map, Value};

pub mod argument;
mod files;
mod inspect;
mod key;
mod patch;
mod pattern;
mod run;
pub(crate) mod strings;
mod table;

pub use pattern::{ToolPattern, ToolPatternError};

use inspect::Inspector;
use key::{one, text};
use table::{Kind, kind_of};

/// Most bytes of a tool's name.
const NAME_BYTES_MAX: usize = 256;
/// Most things that one call may do.
const ACTS_MAX: usize = 1000;
/// Deepest nesting of arguments that is followed.
const DEPTH_MAX: usize = 32;
/// Most values of one call that are looked at.
const NODES_MAX: usize = 10_000;

/// What a call would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call<'a> {
    /// How well the tool is known.
    pub known: Known,
    /// The folder in which it acts, where the call names one.
    pub cwd: Option<&'a str>,
    /// Everything that it would do, as far as the arguments say so.
    pub acts: Vec<Act<'a>>,
}

/// How well a tool is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Known {
    /// Its arguments say what it does.
    Acts,
    /// It touches nothing outside the conversation.
    Harmless,
    /// Nobody knows what it does; its arguments say at most what it does it to.
    #[default]
    Unknown,
}

/// One thing that a call would do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Act<'a> {
    /// Run shell text.
    Shell(&'a str),
    /// Run words.
    Argv(Vec<&'a str>),
    /// Type text into a program that runs already, most likely a shell.
    Type(&'a str),
    /// Run code in a language that is not read.
    Code,
    /// Touch a file.
    Path(&'a str, PathOp),
    /// Use a word that may name a place.
    Word(&'a str),
    /// Send a request.
    Fetch {
        /// To which URL.
        url: &'a str,
        /// With which method, where the call says so.
        method: Option<&'a str>,
    },
    /// Name a URL, for whatever purpose.
    Url(&'a str),
    /// Ask a search service.
    Search,
    /// Hand a task to another agent.
    Delegate,
    /// Follow a skill.
    Skill(&'a str),
    /// Start a command later.
    Schedule(&'a str),
    /// Wake an agent later.
    ScheduleTask,
    /// Change what later sessions are told.
    Remember,
    /// Leave the agent's own sandbox or its questions behind; the argument that says so.
    Unguarded(&'static str),
    /// Make another call.
    Nested(Box<Call<'a>>, &'a str),
}

/// What is wrong with a call. It is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallFault {
    /// The name is empty, too long or holds unusual characters.
    #[error("its name is empty, too long or holds unusual characters")]
    Name,
    /// The arguments are no object.
    #[error("its arguments are no object")]
    NoObject,
    /// A needed argument is missing.
    #[error("its argument `{0}` is missing")]
    Missing(&'static str),
    /// An argument has the wrong type.
    #[error("its argument `{0}` has the wrong type")]
    Type(&'static str),
    /// Two arguments say the same thing.
    #[error("its arguments `{0}` and `{1}` mean the same thing")]
    Twice(&'static str, &'static str),
    /// An argument changes what another one means.
    #[error("its argument `{0}` changes what would run")]
    Widens(&'static str),
    /// A patch is not of a form that is understood.
    #[error("its patch is not understood")]
    Patch,
    /// A pattern of file names may reach further than it seems.
    #[error("its pattern may reach outside of its folder")]
    Pattern,
    /// It names more than is judged at once.
    #[error("it names more than {ACTS_MAX} things")]
    TooMany,
    /// Its arguments are nested too deeply, or too many.
    #[error("its arguments are deeper than {DEPTH_MAX} levels or more than {NODES_MAX} values")]
    TooLarge,
}

/// Whether a name is that of a known tool.
pub(crate) fn is_known(name: &str) -> bool {
    kind_of(name).is_some()
}

/// Reads a call.
///
/// # Errors
///
/// [`CallFault`]: it is to be denied.
pub fn read<'a>(name: &str, arguments: &'a Value) -> Result<Call<'a>, CallFault> {
    read_at(name, arguments, 0)
}

fn read_at<'a>(name: &str, arguments: &'a Value, depth: usize) -> Result<Call<'a>, CallFault> {
    let plain = |c: char| c.is_ascii_graphic() || c == ' ';
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(plain) {
        return Err(CallFault::Name);
    }
    let Some(kind) = kind_of(name) else { return unknown(name, arguments) };
    let object = match arguments {
        Value::Object(object) => object,
        Value::Null if kind == Kind::Harmless => return Ok(Call { known: Known::Harmless, ..Call::default() }),
        _ => return Err(CallFault::NoObject),
    };
    let mut call = Call { known: Known::Acts, ..Call::default() };
    match kind {
        Kind::Shell => run::shell(object, &mut call)?,
        Kind::Watch if run::has_command(object) => run::shell(object, &mut call)?,
        Kind::Typed => run::typed(object, &mut call)?,
        Kind::Code(interpreter) => run::code(interpreter, object, &mut call)?,
        Kind::Foreign => call.acts.push(Act::Code),
        Kind::Read => files::paths(object, PathOp::Read, &mut call)?,
        Kind::Write => files::paths(object, PathOp::Write, &mut call)?,
        Kind::Edit => files::edit(object, &mut call)?,
        Kind::List => files::list(object, &mut call)?,
        Kind::Glob => files::glob(object, &mut call)?,
        Kind::Grep => files::grep(object, &mut call)?,
        Kind::Move => files::ends(object, &mut call)?,
        Kind::Patch => patch::tool(object, &mut call)?,
        Kind::Fetch => fetch(object, &mut call)?,
        Kind::Search => call.acts.push(Act::Search),
        Kind::Harmless | Kind::Watch => call.known = Known::Harmless,
        Kind::Delegate => call.acts.push(Act::Delegate),
        Kind::Skill => call.acts.push(Act::Skill(one(object, key::SKILL)?.unwrap_or("it"))),
        Kind::Schedule => schedule(object, &mut call)?,
        Kind::Memory => call.acts.push(Act::Remember),
        Kind::Batch => batch(object, &mut call, depth)?,
    }
    Inspector::known(kind, &mut call.acts).object(object, 0)?;
    if call.acts.len() > ACTS_MAX { Err(CallFault::TooMany) } else { Ok(call) }
}

/// A tool that nobody knows: what its arguments name.
fn unknown<'a>(name: &str, arguments: &'a Value) -> Result<Call<'a>, CallFault> {
    let mut call = Call::default();
    Inspector::unknown(inspect::op_of(name), &mut call.acts).value(arguments, 0)?;
    if call.acts.len() > ACTS_MAX { Err(CallFault::TooMany) } else { Ok(call) }
}

/// A request to one or several URLs, or to those that a prompt names.
fn fetch<'a>(arguments: &'a Map<String, Value>, call: &mut Call<'a>) -> Result<(), CallFault> {
    let method = one(arguments, key::METHOD)?;
    let mut urls: Vec<&str> = one(arguments, key::URL)?.into_iter().collect();
    if let Some(list) = arguments.get("urls").filter(|list| !list.is_null()) {
        for url in list.as_array().ok_or(CallFault::Type("urls"))? {
            urls.push(url.as_str().ok_or(CallFault::Type("urls"))?);
        }
    }
    if urls.is_empty() {
        let prompt = text(arguments, "prompt")?.unwrap_or("");
        urls.extend(strings::urls(prompt));
    }
    if urls.is_empty() {
        return Err(CallFault::Missing("url"));
    }
    call.acts.extend(urls.into_iter().map(|url| Act::Fetch { url, method }));
    Ok(())
}

/// An entry of a schedule; listing and removing entries starts nothing.
fn schedule<'a>(arguments: &'a Map<String, Value>, call: &mut Call<'a>) -> Result<(), CallFault> {
    let action = one(arguments, key::ACTION)?.unwrap_or("add");
    if ["list", "status", "get", "remove", "delete", "cancel", "runs"].contains(&action) {
        call.known = Known::Harmless;
        return Ok(());
    }
    match one(arguments, key::COMMAND)? {
        Some(command) => call.acts.push(Act::Schedule(command)),
        None => call.acts.push(Act::ScheduleTask),
    }
    Ok(())
}

/// Several calls in one.
fn batch<'a>(arguments: &'a Map<String, Value>, call: &mut Call<'a>, depth: usize) -> Result<(), CallFault> {
    if depth > 0 {
        return Err(CallFault::TooLarge);
    }
    let lists = ["tool_calls", "tool_uses", "calls", "invocations"];
    let mut present = lists.into_iter().filter_map(|key| arguments.get(key).map(|list| (key, list)));
    let (key, list) = present.next().ok_or(CallFault::Missing("tool_calls"))?;
    if let Some((other, _)) = present.next() {
        return Err(CallFault::Twice(key, other));
    }
    for inner in list.as_array().ok_or(CallFault::Type(key))? {
        let inner = inner.as_object().ok_or(CallFault::Type(key))?;
        let name = one(inner, key::TOOL)?.ok_or(CallFault::Missing("tool"))?;
        let arguments = ["parameters", "arguments", "args", "input"].into_iter().filter_map(|key| inner.get(key));
        let arguments: Vec<&Value> = arguments.collect();
        let [arguments] = arguments[..] else { return Err(CallFault::Missing("parameters")) };
        call.acts.push(Act::Nested(Box::new(read_at(name, arguments, depth + 1)?), name));
        if call.acts.len() > ACTS_MAX {
            return Err(CallFault::TooMany);
        }
    }
    if call.acts.is_empty() { Err(CallFault::Missing("tool_calls")) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
