// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names of arguments: which of them mean the same.
//!
//! In: an argument's name in any spelling. Out: what it means.
//!
//! **Invariant:** `file_path`, `filePath`, `File-Path` and `FILE_PATH` are one name: a spelling hides nothing.

use serde_json::{Map, Value};

use super::CallFault;

/// What an argument's name means, whatever the tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A command.
    Command,
    /// A path, beyond doubt.
    Path,
    /// One end of something, which may be a path.
    End,
    /// A URL.
    Url,
    /// Text that is kept or sent as it is.
    Content,
    /// Something that takes a guard away.
    Unguarded(&'static str),
    /// Nothing that is known.
    Other,
}

/// Arguments that hold a command.
pub(super) const COMMAND: &[&str] =
    &["command", "cmd", "script", "commands", "command_line", "shell_command", "bash_command"];
/// Arguments that hold the folder of a command.
pub(super) const FOLDER: &[&str] = &["cwd", "workdir", "working_directory", "directory", "dir_path", "working_dir"];
/// Arguments that hold one or several paths.
const PATH: &[&str] = &[
    "file_path",
    "path",
    "paths",
    "notebook_path",
    "filename",
    "file_name",
    "file",
    "files",
    "filepath",
    "filepaths",
    "file_paths",
    "absolute_path",
    "absolute_paths",
    "target_file",
    "dir_path",
    "directory",
    "directories",
    "relative_path",
    "target_directory",
    "target_directories",
    "folder",
    "folders",
    "dir",
    "root",
    "roots",
    "cwd",
    "workdir",
    "working_directory",
    "relative_workspace_path",
    "script_path",
    "image_path",
    "output_path",
    "input_path",
    "old_path",
    "new_path",
    "source_path",
    "destination_path",
    "target_path",
    "repo_path",
    "output_file",
    "input_file",
];
/// Arguments that hold the ends of a move, or of anything else.
pub(super) const ENDS: &[&str] = &[
    "source",
    "destination",
    "old_path",
    "new_path",
    "from",
    "to",
    "source_path",
    "destination_path",
    "target",
    "src",
    "dst",
    "dest",
];
/// Arguments that hold a URL.
pub(super) const URL: &[&str] = &["url", "uri", "href", "target_url", "endpoint", "urls"];
/// The one argument of several that holds the method of a request.
pub(super) const METHOD: &[&str] = &["method", "http_method"];
/// Arguments that hold the name of a skill.
pub(super) const SKILL: &[&str] = &["skill", "name", "skill_name", "command"];
/// Arguments that hold what is to be done with a schedule.
pub(super) const ACTION: &[&str] = &["action", "operation"];
/// Arguments that hold the name of a tool.
pub(super) const TOOL: &[&str] = &["tool", "recipient_name", "name", "tool_name"];
/// Arguments that hold a patch.
pub(super) const PATCH: &[&str] = &["input", "patch", "diff", "patch_text"];
/// Arguments whose text is kept or sent as it is: what it mentions is not touched.
const CONTENT: &[&str] = &[
    "content",
    "contents",
    "file_text",
    "old_string",
    "new_string",
    "old_str",
    "new_str",
    "insert_text",
    "new_source",
    "text",
    "body",
    "description",
    "message",
    "prompt",
    "task",
    "query",
    "title",
    "reason",
    "instruction",
    "instructions",
    "explanation",
    "justification",
    "comment",
    "summary",
    "thought",
    "old_text",
    "new_text",
    "replacement",
];
/// Arguments of a shell that change what its command is or does.
pub(super) const WIDENING: &[&str] =
    &["args", "arguments", "argv", "env", "environment", "stdin", "env_vars", "input", "prefix"];
/// Arguments that take a guard of the agent away.
const UNGUARDED: &[&str] = &[
    "dangerously_disable_sandbox",
    "disable_sandbox",
    "with_escalated_permissions",
    "sandbox_permissions",
    "elevated",
    "dangerously_skip_permissions",
    "bypass_permissions",
    "unsandboxed",
    "no_sandbox",
    "skip_approval",
];

/// Whether two names are the same but for case and separators.
pub(super) fn same(name: &str, known: &str) -> bool {
    let fold = |name: &str| {
        let letters: Vec<u8> =
            name.bytes().filter(|b| !matches!(b, b'_' | b'-' | b'.' | b' ')).map(|b| b.to_ascii_lowercase()).collect();
        letters
    };
    name == known || fold(name) == fold(known)
}

fn among(name: &str, list: &[&'static str]) -> Option<&'static str> {
    list.iter().find(|known| same(name, known)).copied()
}

/// What a name means.
pub(super) fn meaning(name: &str) -> Meaning {
    if let Some(known) = among(name, UNGUARDED) {
        return Meaning::Unguarded(known);
    }
    if among(name, COMMAND).is_some() {
        Meaning::Command
    } else if among(name, PATH).is_some() {
        Meaning::Path
    } else if among(name, URL).is_some() {
        Meaning::Url
    } else if among(name, ENDS).is_some() {
        Meaning::End
    } else if among(name, CONTENT).is_some() {
        Meaning::Content
    } else {
        Meaning::Other
    }
}

/// The arguments of an object that have one of these names in any spelling, `null` left out.
pub(super) fn present<'a>(
    arguments: &'a Map<String, Value>,
    keys: &'static [&'static str],
) -> impl Iterator<Item = (&'static str, &'a Value)> {
    let named = arguments.iter().filter(|(_, value)| !value.is_null());
    named.filter_map(move |(name, value)| among(name, keys).map(|known| (known, value)))
}

/// The one string among arguments that mean the same.
///
/// # Errors
///
/// [`CallFault`]: there are several that differ, or one is no string.
pub(super) fn one<'a>(
    arguments: &'a Map<String, Value>,
    keys: &'static [&'static str],
) -> Result<Option<&'a str>, CallFault> {
    let mut found: Option<(&'static str, &'a str)> = None;
    for (key, value) in present(arguments, keys) {
        match (value, found) {
            // Several URLs stand in a list of their own.
            (Value::Array(_), _) if key == "urls" => {}
            (Value::String(text), None) => found = Some((key, text)),
            (Value::String(text), Some((_, earlier))) if text == earlier => {}
            (Value::String(_), Some((earlier, _))) => return Err(CallFault::Twice(earlier, key)),
            _ => return Err(CallFault::Type(key)),
        }
    }
    Ok(found.map(|(_, text)| text))
}

/// One string by its exact name.
///
/// # Errors
///
/// [`CallFault::Type`]: it is no string.
pub(super) fn text<'a>(arguments: &'a Map<String, Value>, key: &'static str) -> Result<Option<&'a str>, CallFault> {
    match arguments.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(CallFault::Type(key)),
    }
}
