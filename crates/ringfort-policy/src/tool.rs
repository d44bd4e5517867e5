// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tools that agents call: what the known ones would do, by their names and arguments.
//!
//! In: a name and JSON arguments as the agent gives them. Out: a [`Call`] in terms of commands, paths and hosts.
//!
//! **Invariant:** arguments of a known tool are read strictly: a missing one, a wrong type or two spellings of the same
//! one are faults, never guesses. A tool that is not in the list is unknown, whatever its name promises.

use ringfort_core::action::PathOp;
use ringfort_core::text::is_invisible;
use serde_json::{Map, Value};

/// Most bytes of a tool's name.
const NAME_BYTES_MAX: usize = 256;
/// Most paths that one call may name.
const PATHS_MAX: usize = 1000;

/// What a call would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call<'a> {
    /// Run shell text.
    Shell {
        /// The text.
        text: &'a str,
        /// The folder, where the call names one.
        cwd: Option<&'a str>,
    },
    /// Run words.
    Argv {
        /// The words.
        words: Vec<&'a str>,
        /// The folder, where the call names one.
        cwd: Option<&'a str>,
    },
    /// Touch files.
    Paths(Vec<(&'a str, PathOp)>),
    /// Fetch from a host.
    Fetch(&'a str),
    /// Ask a search service.
    Search,
    /// Touch nothing outside the conversation.
    Harmless,
    /// Not known.
    Unknown,
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
    /// A patch is not of a form that is understood.
    #[error("its patch is not understood")]
    Patch,
    /// It names more files than are judged at once.
    #[error("it names more than {PATHS_MAX} files")]
    TooMany,
}

/// The kinds of known tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Shell,
    Read,
    /// Reads the working folder where it names none.
    List,
    Write,
    /// Each of several edits may name a file of its own.
    Edits,
    Move,
    Patch,
    Fetch,
    Search,
    Harmless,
}

/// Known tools, by their names in lower case without `_`, `-`, `.` and spaces, sorted.
static TOOLS: &[(&str, Kind)] = &[
    ("applypatch", Kind::Patch),
    ("askuserquestion", Kind::Harmless),
    ("bash", Kind::Shell),
    ("cat", Kind::Read),
    ("createdirectory", Kind::Write),
    ("createfile", Kind::Write),
    ("delete", Kind::Write),
    ("deletefile", Kind::Write),
    ("edit", Kind::Edits),
    ("editfile", Kind::Edits),
    ("enterplanmode", Kind::Harmless),
    ("exec", Kind::Shell),
    ("execcommand", Kind::Shell),
    ("executecommand", Kind::Shell),
    ("exitplanmode", Kind::Harmless),
    ("fetch", Kind::Fetch),
    ("fetchurl", Kind::Fetch),
    ("fileread", Kind::Read),
    ("filewrite", Kind::Write),
    ("glob", Kind::List),
    ("googlewebsearch", Kind::Search),
    ("grep", Kind::List),
    ("httprequest", Kind::Fetch),
    ("listdir", Kind::List),
    ("listdirectory", Kind::List),
    ("listfiles", Kind::List),
    ("localshell", Kind::Shell),
    ("ls", Kind::List),
    ("movefile", Kind::Move),
    ("multiedit", Kind::Edits),
    ("notebookedit", Kind::Edits),
    ("notebookread", Kind::Read),
    ("read", Kind::Read),
    ("readfile", Kind::Read),
    ("readmanyfiles", Kind::Read),
    ("readmultiplefiles", Kind::Read),
    ("renamefile", Kind::Move),
    ("replace", Kind::Edits),
    ("run", Kind::Shell),
    ("runcommand", Kind::Shell),
    ("runshellcommand", Kind::Shell),
    ("runterminalcmd", Kind::Shell),
    ("searchfilecontent", Kind::List),
    ("searchfiles", Kind::List),
    ("shell", Kind::Shell),
    ("shellcommand", Kind::Shell),
    ("strreplacebasededittool", Kind::Edits),
    ("strreplaceeditor", Kind::Edits),
    ("task", Kind::Harmless),
    ("terminal", Kind::Shell),
    ("todoread", Kind::Harmless),
    ("todowrite", Kind::Harmless),
    ("updateplan", Kind::Harmless),
    ("updatetopic", Kind::Harmless),
    ("view", Kind::Read),
    ("webfetch", Kind::Fetch),
    ("websearch", Kind::Search),
    ("write", Kind::Write),
    ("writefile", Kind::Write),
    ("writetodos", Kind::Harmless),
];

/// Arguments that hold a command.
const COMMAND_KEYS: [&str; 4] = ["command", "cmd", "script", "commands"];
/// Arguments that hold the folder of a command.
const FOLDER_KEYS: [&str; 5] = ["cwd", "workdir", "working_directory", "directory", "dir_path"];
/// Arguments of a shell that change what its command is or does: a call with one is not understood.
const WIDENING_KEYS: [&str; 6] = ["args", "arguments", "argv", "env", "environment", "stdin"];
/// Arguments that hold one path.
const PATH_KEYS: [&str; 18] = [
    "file_path",
    "path",
    "notebook_path",
    "filename",
    "file",
    "filepath",
    "filePath",
    "absolute_path",
    "target_file",
    "dir_path",
    "directory",
    "relative_path",
    "target_directory",
    "folder",
    "dir",
    "root",
    "cwd",
    "relative_workspace_path",
];
/// Arguments that hold several paths.
const PATHS_KEYS: [&str; 4] = ["paths", "files", "file_paths", "target_directories"];
/// Arguments that hold both ends of a move.
const ENDS_KEYS: [&str; 8] =
    ["source", "destination", "old_path", "new_path", "from", "to", "source_path", "destination_path"];
/// Arguments that hold a URL.
const URL_KEYS: [&str; 3] = ["url", "uri", "href"];
/// Arguments that hold a patch.
const PATCH_KEYS: [&str; 3] = ["input", "patch", "diff"];

/// Reads a call.
///
/// # Errors
///
/// [`CallFault`]: it is to be denied.
pub fn read<'a>(name: &str, arguments: &'a Value) -> Result<Call<'a>, CallFault> {
    let plain = |c: char| c.is_ascii_graphic() || c == ' ';
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(plain) {
        return Err(CallFault::Name);
    }
    let Some(kind) = kind_of(name) else { return Ok(Call::Unknown) };
    if kind == Kind::Harmless {
        return Ok(Call::Harmless);
    }
    let arguments = arguments.as_object().ok_or(CallFault::NoObject)?;
    match kind {
        Kind::Shell => shell(arguments),
        Kind::Read => paths(arguments, PathOp::Read),
        Kind::List => list(arguments),
        Kind::Write => paths(arguments, PathOp::Write),
        Kind::Edits => edits(arguments),
        Kind::Move => ends(arguments),
        Kind::Patch => patch(arguments),
        Kind::Fetch => one(arguments, &URL_KEYS)?.map(Call::Fetch).ok_or(CallFault::Missing("url")),
        Kind::Search => Ok(Call::Search),
        Kind::Harmless => Ok(Call::Harmless),
    }
}

fn kind_of(name: &str) -> Option<Kind> {
    const FOLDED_MAX: usize = 32;
    let mut folded = [0_u8; FOLDED_MAX];
    let mut length = 0;
    for byte in name.bytes().filter(|b| !matches!(b, b'_' | b'-' | b'.' | b' ')) {
        *folded.get_mut(length)? = byte.to_ascii_lowercase();
        length += 1;
    }
    let folded = folded.get(..length)?;
    let at = TOOLS.binary_search_by(|(known, _)| known.as_bytes().cmp(folded)).ok()?;
    TOOLS.get(at).map(|(_, kind)| *kind)
}

/// The one string among arguments that mean the same.
fn one<'a>(arguments: &'a Map<String, Value>, keys: &[&'static str]) -> Result<Option<&'a str>, CallFault> {
    let mut found: Option<(&'static str, &'a str)> = None;
    for key in keys {
        match (arguments.get(*key), found) {
            (None | Some(Value::Null), _) => {}
            (Some(Value::String(text)), None) => found = Some((key, text)),
            (Some(Value::String(text)), Some((_, earlier))) if text == earlier => {}
            (Some(Value::String(_)), Some((earlier, _))) => return Err(CallFault::Twice(earlier, key)),
            (Some(_), _) => return Err(CallFault::Type(key)),
        }
    }
    Ok(found.map(|(_, text)| text))
}

fn shell(arguments: &Map<String, Value>) -> Result<Call<'_>, CallFault> {
    let cwd = one(arguments, &FOLDER_KEYS)?;
    let mut present = COMMAND_KEYS.into_iter().filter(|key| arguments.get(*key).is_some_and(|value| !value.is_null()));
    let key = present.next().ok_or(CallFault::Missing("command"))?;
    if let Some(other) = present.next() {
        return Err(CallFault::Twice(key, other));
    }
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(words) => words.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    };
    if let Some(widening) = WIDENING_KEYS.into_iter().find(|key| arguments.get(*key).is_some_and(|value| !empty(value)))
    {
        return Err(CallFault::Twice(key, widening));
    }
    match arguments.get(key) {
        Some(Value::String(text)) => Ok(Call::Shell { text, cwd }),
        Some(Value::Array(words)) => {
            let words: Option<Vec<&str>> = words.iter().map(Value::as_str).collect();
            Ok(Call::Argv { words: words.filter(|words| !words.is_empty()).ok_or(CallFault::Type(key))?, cwd })
        }
        _ => Err(CallFault::Type(key)),
    }
}

/// Every path among the arguments; all of them are judged.
fn named(arguments: &Map<String, Value>, op: PathOp) -> Result<Vec<(&str, PathOp)>, CallFault> {
    let mut found = Vec::new();
    for key in PATH_KEYS {
        match arguments.get(key) {
            None | Some(Value::Null) => {}
            Some(Value::String(path)) => found.push((path.as_str(), op)),
            Some(_) => return Err(CallFault::Type(key)),
        }
    }
    for key in PATHS_KEYS {
        match arguments.get(key) {
            None | Some(Value::Null) => {}
            Some(Value::Array(paths)) if paths.len() > PATHS_MAX => return Err(CallFault::TooMany),
            Some(Value::Array(paths)) => {
                for path in paths {
                    found.push((path.as_str().ok_or(CallFault::Type(key))?, op));
                }
            }
            Some(_) => return Err(CallFault::Type(key)),
        }
    }
    Ok(found)
}

fn paths(arguments: &Map<String, Value>, op: PathOp) -> Result<Call<'_>, CallFault> {
    if op == PathOp::Write && arguments.get("edits").is_some_and(|edits| !edits.is_null()) {
        return edits(arguments);
    }
    let found = named(arguments, op)?;
    if found.is_empty() { Err(CallFault::Missing("path")) } else { Ok(Call::Paths(found)) }
}

/// A listing or search: the folder, else the working folder; and a pattern, up to where it becomes one.
fn list(arguments: &Map<String, Value>) -> Result<Call<'_>, CallFault> {
    let mut found = named(arguments, PathOp::Read)?;
    if found.is_empty() {
        found.push((".", PathOp::Read));
    }
    for key in ["glob", "include", "pattern"] {
        match arguments.get(key) {
            Some(Value::String(pattern)) if key != "pattern" || looks_like_path(pattern) => {
                let fixed =
                    pattern.find(['*', '?', '[', '{']).map_or(pattern.as_str(), |at| pattern.get(..at).unwrap_or(""));
                let folder = fixed.rfind('/').map_or("", |at| fixed.get(..=at).unwrap_or(""));
                if !folder.is_empty() {
                    found.push((folder, PathOp::Read));
                }
                if pattern.split('/').any(|part| part == "..") {
                    found.push((pattern, PathOp::Read));
                }
            }
            None | Some(Value::Null | Value::String(_)) => {}
            Some(_) => return Err(CallFault::Type(key)),
        }
    }
    Ok(Call::Paths(found))
}

/// Whether a pattern may be one of file names: a search for text with the same beginning only reads more folders.
fn looks_like_path(pattern: &str) -> bool {
    pattern.starts_with(['/', '~']) || pattern.starts_with("..")
}

fn edits(arguments: &Map<String, Value>) -> Result<Call<'_>, CallFault> {
    let read_only = arguments.get("command").and_then(Value::as_str) == Some("view");
    let op = if read_only { PathOp::Read } else { PathOp::Write };
    let mut found = named(arguments, op)?;
    match arguments.get("edits") {
        None | Some(Value::Null) => {}
        Some(Value::Array(edits)) if edits.len() > PATHS_MAX => return Err(CallFault::TooMany),
        Some(Value::Array(edits)) => {
            for edit in edits {
                found.extend(named(edit.as_object().ok_or(CallFault::Type("edits"))?, op)?);
            }
        }
        Some(_) => return Err(CallFault::Type("edits")),
    }
    if found.is_empty() { Err(CallFault::Missing("file_path")) } else { Ok(Call::Paths(found)) }
}

fn ends(arguments: &Map<String, Value>) -> Result<Call<'_>, CallFault> {
    let mut found = named(arguments, PathOp::Write)?;
    for key in ENDS_KEYS {
        match arguments.get(key) {
            None | Some(Value::Null) => {}
            Some(Value::String(path)) => found.push((path, PathOp::Write)),
            Some(_) => return Err(CallFault::Type(key)),
        }
    }
    if found.len() < 2 { Err(CallFault::Missing("destination")) } else { Ok(Call::Paths(found)) }
}

/// A patch in the form of `*** Add File: path`; other forms are not understood.
fn patch(arguments: &Map<String, Value>) -> Result<Call<'_>, CallFault> {
    let text = one(arguments, &PATCH_KEYS)?.ok_or(CallFault::Missing("input"))?;
    if text.lines().next().map(str::trim) != Some("*** Begin Patch") {
        return Err(CallFault::Patch);
    }
    const HEADS: [&str; 4] = ["*** Add File: ", "*** Update File: ", "*** Delete File: ", "*** Move to: "];
    let mut found = Vec::new();
    for line in text.lines().filter(|line| line.trim_start().starts_with("***")) {
        let line = line.trim_start();
        if let Some(path) = HEADS.iter().find_map(|head| line.strip_prefix(head)) {
            found.push((path.trim(), PathOp::Write));
        } else if !matches!(line.trim_end(), "*** Begin Patch" | "*** End Patch" | "*** End of File") {
            return Err(CallFault::Patch);
        }
        if found.len() > PATHS_MAX {
            return Err(CallFault::TooMany);
        }
    }
    if found.is_empty() { Err(CallFault::Patch) } else { Ok(Call::Paths(found)) }
}

/// A name of a tool in a list; a `*` at the end stands for any rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolPattern {
    name: String,
    open: bool,
}

/// Why a text is no pattern of tools. Nothing was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ToolPatternError(&'static str);

impl ToolPattern {
    /// Reads a name, or the beginning of one and `*`.
    ///
    /// # Errors
    ///
    /// [`ToolPatternError`]: it is no pattern.
    pub fn parse(text: &str) -> Result<Self, ToolPatternError> {
        let (name, open) = text.strip_suffix('*').map_or((text, false), |name| (name, true));
        if text.is_empty() || text.len() > NAME_BYTES_MAX {
            return Err(ToolPatternError("a tool's name is neither empty nor longer than 256 bytes"));
        }
        if name.contains('*') {
            return Err(ToolPatternError("a `*` stands only at the end"));
        }
        if name.chars().any(|c| !c.is_ascii_graphic() && c != ' ' || is_invisible(c)) {
            return Err(ToolPatternError("a tool's name holds printable ASCII only"));
        }
        Ok(Self { name: name.to_owned(), open })
    }

    /// Whether it allows this tool: the exact spelling.
    pub fn allows(&self, tool: &str) -> bool {
        if self.open { tool.starts_with(&self.name) } else { tool == self.name }
    }

    /// Whether it denies or asks about this tool: any spelling that an agent could take for the same.
    pub fn names(&self, tool: &str) -> bool {
        let separator = |c: char| matches!(c, '_' | '-' | '.' | ' ');
        let folded = |name: &str| -> String {
            name.chars().map(|c| if separator(c) { '_' } else { c.to_ascii_lowercase() }).collect()
        };
        let (mine, other) = (folded(&self.name), folded(tool));
        if self.open {
            return other.starts_with(&mine);
        }
        mine.replace('_', "") == other.replace('_', "")
    }
}

#[cfg(test)]
mod tests;
