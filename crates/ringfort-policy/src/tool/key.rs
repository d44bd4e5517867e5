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
/// Arguments of a shell that change what its command is or does.
pub(super) const WIDENING: &[&str] =
    &["args", "arguments", "argv", "env", "environment", "stdin", "env_vars", "input", "prefix"];

/// What names mean, in lower case and without `_`, `-`, `.` and blanks, sorted.
static MEANINGS: &[(&str, Meaning)] = &[
    ("absolutepath", Meaning::Path),
    ("absolutepaths", Meaning::Path),
    ("bashcommand", Meaning::Command),
    ("body", Meaning::Content),
    ("bypasspermissions", Meaning::Unguarded("bypass_permissions")),
    ("cmd", Meaning::Command),
    ("command", Meaning::Command),
    ("commandline", Meaning::Command),
    ("commands", Meaning::Command),
    ("comment", Meaning::Content),
    ("content", Meaning::Content),
    ("contents", Meaning::Content),
    ("cwd", Meaning::Path),
    ("dangerouslydisablesandbox", Meaning::Unguarded("dangerously_disable_sandbox")),
    ("dangerouslyskippermissions", Meaning::Unguarded("dangerously_skip_permissions")),
    ("description", Meaning::Content),
    ("dest", Meaning::End),
    ("destination", Meaning::End),
    ("destinationpath", Meaning::Path),
    ("dir", Meaning::Path),
    ("directories", Meaning::Path),
    ("directory", Meaning::Path),
    ("dirpath", Meaning::Path),
    ("disablesandbox", Meaning::Unguarded("disable_sandbox")),
    ("dst", Meaning::End),
    ("elevated", Meaning::Unguarded("elevated")),
    ("endpoint", Meaning::Url),
    ("explanation", Meaning::Content),
    ("file", Meaning::Path),
    ("filename", Meaning::Path),
    ("filepath", Meaning::Path),
    ("filepaths", Meaning::Path),
    ("files", Meaning::Path),
    ("filetext", Meaning::Content),
    ("folder", Meaning::Path),
    ("folders", Meaning::Path),
    ("from", Meaning::End),
    ("href", Meaning::Url),
    ("imagepath", Meaning::Path),
    ("inputfile", Meaning::Path),
    ("inputpath", Meaning::Path),
    ("inserttext", Meaning::Content),
    ("instruction", Meaning::Content),
    ("instructions", Meaning::Content),
    ("justification", Meaning::Content),
    ("message", Meaning::Content),
    ("newpath", Meaning::Path),
    ("newsource", Meaning::Content),
    ("newstr", Meaning::Content),
    ("newstring", Meaning::Content),
    ("newtext", Meaning::Content),
    ("nosandbox", Meaning::Unguarded("no_sandbox")),
    ("notebookpath", Meaning::Path),
    ("oldpath", Meaning::Path),
    ("oldstr", Meaning::Content),
    ("oldstring", Meaning::Content),
    ("oldtext", Meaning::Content),
    ("outputfile", Meaning::Path),
    ("outputpath", Meaning::Path),
    ("path", Meaning::Path),
    ("paths", Meaning::Path),
    ("prompt", Meaning::Content),
    ("query", Meaning::Content),
    ("reason", Meaning::Content),
    ("relativepath", Meaning::Path),
    ("relativeworkspacepath", Meaning::Path),
    ("replacement", Meaning::Content),
    ("repopath", Meaning::Path),
    ("root", Meaning::Path),
    ("roots", Meaning::Path),
    ("sandboxpermissions", Meaning::Unguarded("sandbox_permissions")),
    ("script", Meaning::Command),
    ("scriptpath", Meaning::Path),
    ("shellcommand", Meaning::Command),
    ("skipapproval", Meaning::Unguarded("skip_approval")),
    ("source", Meaning::End),
    ("sourcepath", Meaning::Path),
    ("src", Meaning::End),
    ("summary", Meaning::Content),
    ("target", Meaning::End),
    ("targetdirectories", Meaning::Path),
    ("targetdirectory", Meaning::Path),
    ("targetfile", Meaning::Path),
    ("targetpath", Meaning::Path),
    ("targeturl", Meaning::Url),
    ("task", Meaning::Content),
    ("text", Meaning::Content),
    ("thought", Meaning::Content),
    ("title", Meaning::Content),
    ("to", Meaning::End),
    ("unsandboxed", Meaning::Unguarded("unsandboxed")),
    ("uri", Meaning::Url),
    ("url", Meaning::Url),
    ("urls", Meaning::Url),
    ("withescalatedpermissions", Meaning::Unguarded("with_escalated_permissions")),
    ("workdir", Meaning::Path),
    ("workingdir", Meaning::Path),
    ("workingdirectory", Meaning::Path),
];
/// Longest folded name in [`MEANINGS`]. Bytes.
const FOLDED_MAX: usize = 32;

fn folded(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().filter(|byte| !matches!(byte, b'_' | b'-' | b'.' | b' ')).map(|byte| byte.to_ascii_lowercase())
}

/// Whether two names are the same but for case and separators.
pub(super) fn same(name: &str, known: &str) -> bool {
    name == known || folded(name).eq(folded(known))
}

fn among(name: &str, list: &[&'static str]) -> Option<&'static str> {
    list.iter().find(|known| same(name, known)).copied()
}

/// What a name means.
pub(super) fn meaning(name: &str) -> Meaning {
    let mut buffer = [0_u8; FOLDED_MAX];
    let mut length = 0;
    for byte in folded(name) {
        let Some(place) = buffer.get_mut(length) else { return Meaning::Other };
        *place = byte;
        length += 1;
    }
    let name = buffer.get(..length).unwrap_or(&[]);
    let found = MEANINGS.binary_search_by(|(known, _)| known.as_bytes().cmp(name)).ok();
    found.and_then(|at| MEANINGS.get(at)).map_or(Meaning::Other, |(_, meaning)| *meaning)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meanings_are_sorted_for_their_search() {
        assert!(MEANINGS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (name, known) in MEANINGS.iter().map(|(name, meaning)| (name, meaning)) {
            assert!(name.len() <= FOLDED_MAX && folded(name).eq(name.bytes()), "`{name}`");
            assert_eq!(meaning(name), *known);
        }
        for list in [COMMAND, URL] {
            assert!(list.iter().all(|name| matches!(meaning(name), Meaning::Command | Meaning::Url)));
        }
        assert!(FOLDER.iter().all(|name| meaning(name) == Meaning::Path));
    }

    #[test]
    fn deny_no_spelling_of_a_name_hides_it() {
        for name in ["file_path", "filePath", "FilePath", "FILE-PATH", "file.path", "file path"] {
            assert_eq!(meaning(name), Meaning::Path, "`{name}`");
        }
        for name in ["files_path", "filepathx", "", &"x".repeat(FOLDED_MAX + 1)] {
            assert_eq!(meaning(name), Meaning::Other, "`{name}`");
        }
    }
}
