// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tools that run something: shells, interpreters, and what is typed into a program that runs already.
//!
//! **Invariant:** what is read is what would run: a second command, further words, variables or a foreign shell beside
//! the command make the call a fault.

use ringfort_core::action::PathOp;
use serde_json::{Map, Value};

use super::key::{COMMAND, FOLDER, WIDENING, one, present};
use super::{Act, Call, CallFault, patch};

/// Shells whose text is read like any other.
const SHELLS: [&str; 6] = ["bash", "dash", "ksh", "sh", "zsh", "ash"];

/// Arguments with which one agent's shell leaves its sandbox or its questions, and the values that do.
const UNGUARDED: [(&str, &[&str]); 3] =
    [("host", &["gateway", "node", "auto"]), ("security", &["full"]), ("ask", &["off"])];

/// Whether a command is given at all.
pub(super) fn has_command(arguments: &Map<String, Value>) -> bool {
    present(arguments, COMMAND).next().is_some()
}

/// Text or words for a shell, in the folder that the call names.
pub(super) fn shell<'a>(arguments: &'a Map<String, Value>, call: &mut Call<'a>) -> Result<(), CallFault> {
    call.cwd = one(arguments, FOLDER)?;
    let mut given = present(arguments, COMMAND);
    let (key, value) = given.next().ok_or(CallFault::Missing("command"))?;
    if let Some((other, _)) = given.next() {
        return Err(CallFault::Twice(key, other));
    }
    if let Some((widening, _)) = present(arguments, WIDENING).find(|(_, value)| !is_empty(value)) {
        return Err(CallFault::Widens(widening));
    }
    if let Some((_, shell)) = present(arguments, &["shell"]).next() {
        is_read(shell)?;
    }
    for (key, values) in UNGUARDED {
        let given = arguments.get(key).and_then(Value::as_str);
        if given.is_some_and(|given| values.contains(&given)) {
            call.acts.push(Act::Unguarded(key));
        }
    }
    match value {
        Value::String(text) => {
            patch::embedded(text, call)?;
            call.acts.push(Act::Shell(text));
        }
        Value::Array(words) => {
            let words: Option<Vec<&str>> = words.iter().map(Value::as_str).collect();
            let words = words.filter(|words| !words.is_empty()).ok_or(CallFault::Type(key))?;
            if let ["apply_patch" | "applypatch", text] = words[..] {
                return patch::text(text, call);
            }
            for word in &words {
                patch::embedded(word, call)?;
            }
            call.acts.push(Act::Argv(words));
        }
        _ => return Err(CallFault::Type(key)),
    }
    Ok(())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(words) => words.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

/// Whether the shell that is to read the text reads it as we do.
fn is_read(shell: &Value) -> Result<(), CallFault> {
    let shell = shell.as_str().ok_or(CallFault::Type("shell"))?;
    let name = match shell.rsplit_once('/') {
        Some(("/bin" | "/usr/bin" | "/usr/local/bin", name)) => name,
        Some(_) => return Err(CallFault::Widens("shell")),
        None => shell,
    };
    if SHELLS.contains(&name) { Ok(()) } else { Err(CallFault::Widens("shell")) }
}

/// Text that is typed into a program that runs already. Keys that only move or interrupt are nothing.
pub(super) fn typed<'a>(arguments: &'a Map<String, Value>, call: &mut Call<'a>) -> Result<(), CallFault> {
    let typed = one(arguments, &["chars", "input", "text", "data", "keys"])?.unwrap_or("");
    if typed.chars().any(|c| !c.is_control()) {
        call.acts.push(Act::Type(typed));
    }
    Ok(())
}

/// Code for an interpreter.
pub(super) fn code<'a>(
    interpreter: &'static str,
    arguments: &'a Map<String, Value>,
    call: &mut Call<'a>,
) -> Result<(), CallFault> {
    let code = one(arguments, &["code", "source", "input", "script"])?.ok_or(CallFault::Missing("code"))?;
    let flag = if interpreter == "node" { "-e" } else { "-c" };
    call.acts.push(Act::Argv(vec![interpreter, flag, code]));
    if let Some(folder) = one(arguments, FOLDER)? {
        call.acts.push(Act::Path(folder, PathOp::Read));
    }
    Ok(())
}
