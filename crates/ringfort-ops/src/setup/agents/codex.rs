// SPDX-License-Identifier: MIT OR Apache-2.0
//! Codex: hooks in `hooks.json`, and its trust in them in `config.toml`.
//!
//! In: both files. Out: six events, and for each the digest by which Codex knows a hook that its person has approved:
//! without it Codex passes a hook over and says nothing.
//!
//! **Invariant:** the digests are of exactly the entries that this set-up writes, at the places where they stand; they
//! are kept in one block with marks, and nothing else of `config.toml` is touched.

use std::path::PathBuf;

use ringfort_core::digest::Digest;
use serde_json::{Value, json};
use toml::Table;

use super::{Agent, Changes, failed, hear_specific, object};
use crate::setup::hooks::{Event, HookFile, Shape};
use crate::setup::json::Dialect;
use crate::setup::line::AGENT_WAIT_SECONDS;
use crate::setup::{Answer, Change, Ground, Heard, Look, Read, Scope, SetupError};

pub(super) const ENTRY: Agent = Agent {
    name: "codex",
    title: "Codex",
    programs: &["codex"],
    folder: |ground| ground.folder("CODEX_HOME", ".codex"),
    wire,
    strip,
    look,
    call,
    hear,
    note: "Codex runs a hook only when it is trusted: this wrote that trust into config.toml, for exactly these lines.",
};

const EVENTS: &[Event] = &[
    Event::before("PreToolUse"),
    Event::before("PermissionRequest"),
    Event::after("PostToolUse"),
    Event::session("UserPromptSubmit"),
    Event::session("SessionStart"),
    Event::session("Stop"),
];

/// The names by which Codex keys the same events.
const KEYS: &[&str] =
    &["pre_tool_use", "permission_request", "post_tool_use", "user_prompt_submit", "session_start", "stop"];

const BLOCK_END: &str = "# ringfort: end\n";

fn file(ground: &Ground, scope: Scope) -> HookFile {
    HookFile {
        path: match scope {
            Scope::User => (ENTRY.folder)(ground).join("hooks.json"),
            Scope::Project => ground.project.join(".codex/hooks.json"),
        },
        dialect: Dialect::Strict,
        shape: Shape::Groups,
        events: EVENTS,
        entry: |_, line| json!({ "type": "command", "command": line, "timeout": AGENT_WAIT_SECONDS }),
        key: "command",
        words: |_| vec![ENTRY.name],
    }
}

fn config(ground: &Ground) -> PathBuf {
    (ENTRY.folder)(ground).join("config.toml")
}

/// Key and digest of every hook of ours in this text of `hooks.json`.
fn trust(file: &HookFile, text: &str) -> Vec<(String, String)> {
    let root: Value = serde_json::from_str(text).unwrap_or_default();
    let mut trust = Vec::new();
    for (event, key) in EVENTS.iter().zip(KEYS) {
        let groups = root.pointer(&format!("/hooks/{}", event.name)).and_then(Value::as_array);
        for (index, group) in groups.into_iter().flatten().enumerate() {
            for (place, hook) in group.get("hooks").and_then(Value::as_array).into_iter().flatten().enumerate() {
                let Some(line) = hook.get("command").and_then(Value::as_str).filter(|l| crate::setup::line::is_ours(l))
                else {
                    continue;
                };
                let timeout = hook.get("timeout").cloned().unwrap_or_default();
                // Keys in order, no blanks: as Codex writes it before it takes the digest.
                let mut identity = json!({
                    "event_name": key,
                    "hooks": [{ "async": false, "command": line, "timeout": timeout, "type": "command" }],
                });
                if let (Some(matcher), Some(identity)) = (group.get("matcher"), identity.as_object_mut()) {
                    identity.insert("matcher".to_owned(), matcher.clone());
                }
                let digest = Digest::of(identity.to_string().as_bytes());
                let name = format!("{}:{key}:{index}:{place}", file.path.display());
                trust.push((name, format!("sha256:{digest}")));
            }
        }
    }
    trust
}

fn table(path: &std::path::Path, text: &str) -> Result<Table, SetupError> {
    text.parse::<Table>()
        .map_err(|error| SetupError::Toml { path: path.to_owned(), message: error.message().to_owned() })
}

/// The digest that the configuration holds for a key.
fn held<'a>(table: &'a Table, name: &str) -> Option<&'a str> {
    table.get("hooks")?.get("state")?.get(name)?.get("trusted_hash")?.as_str()
}

/// The line before our tables; the hooks of user and project have a block each.
fn block_start(file: &HookFile) -> String {
    format!("# ringfort: trust in the hooks that `ringfort setup codex` wrote to {}\n", file.path.display())
}

/// The text without our block.
fn without_block(text: &str, start: &str) -> String {
    let Some((before, rest)) = text.split_once(start) else { return text.to_owned() };
    match rest.split_once(BLOCK_END) {
        Some((_, after)) => format!("{before}{after}"),
        // The end mark is gone: take our own tables, up to the first line that is none of theirs.
        None => {
            let ours = |line: &&str| line.starts_with("[hooks.state.") || line.starts_with("trusted_hash");
            let length: usize = rest.split_inclusive('\n').take_while(ours).map(str::len).sum();
            format!("{before}{}", rest.get(length..).unwrap_or_default())
        }
    }
}

fn wire(ground: &Ground, scope: Scope, read: Read<'_>) -> Changes {
    let file = file(ground, scope);
    let hooks = file.wire(ground, read)?;
    let path = config(ground);
    let before = read(&path)?;
    let mut text = without_block(before.as_deref().unwrap_or_default(), &block_start(&file));
    let there = table(&path, &text)?;
    let mut block = String::new();
    let wanted = trust(&file, hooks.after.as_deref().unwrap_or_default());
    for (name, digest) in &wanted {
        match held(&there, name) {
            Some(held) if held == digest => {}
            Some(_) => {
                let message = format!("it trusts another hook as `{name}`; remove that table of `hooks.state` first");
                return Err(SetupError::Toml { path, message });
            }
            None => {
                let name = toml::Value::from(name.as_str()).to_string();
                block.push_str(&format!("[hooks.state.{name}]\ntrusted_hash = \"{digest}\"\n"));
            }
        }
    }
    if !block.is_empty() {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text = format!("{text}{}{block}{BLOCK_END}", block_start(&file));
    }
    let after = table(&path, &text)?;
    if let Some((name, _)) = wanted.iter().find(|(name, digest)| held(&after, name) != Some(digest)) {
        return Err(SetupError::Toml { path, message: format!("the trust in `{name}` could not be written") });
    }
    let after = if before.is_none() && text.is_empty() { None } else { Some(text) };
    Ok(vec![hooks, Change { path, before, after }])
}

fn strip(ground: &Ground, scope: Scope, read: Read<'_>) -> Changes {
    let file = file(ground, scope);
    let path = config(ground);
    let before = read(&path)?;
    let start = block_start(&file);
    let after = before.as_deref().map(|text| without_block(text, &start));
    Ok(vec![file.strip(read)?, Change { path, before, after }])
}

fn look(ground: &Ground, scope: Scope, read: Read<'_>) -> Result<Look, SetupError> {
    let file = file(ground, scope);
    let look = file.look(ground, read)?;
    let Look::Wired { .. } = look else { return Ok(look) };
    let path = config(ground);
    let there = table(&path, &read(&path)?.unwrap_or_default())?;
    let features = there.get("features");
    for feature in ["hooks", "codex_hooks"] {
        if features.and_then(|features| features.get(feature)).and_then(toml::Value::as_bool) == Some(false) {
            return Ok(Look::Off { what: format!("`features.{feature} = false` in `{}`", path.display()) });
        }
    }
    for (name, digest) in trust(&file, &read(&file.path)?.unwrap_or_default()) {
        let state = there.get("hooks").and_then(|hooks| hooks.get("state")).and_then(|state| state.get(&name));
        if state.and_then(|state| state.get("enabled")).and_then(toml::Value::as_bool) == Some(false) {
            return Ok(Look::Off { what: format!("`enabled = false` for `{name}` in `{}`", path.display()) });
        }
        if held(&there, &name) != Some(&digest) {
            let what = format!("Codex does not trust the hook `{name}`, so it would not ask it");
            return Ok(Look::Changed { what });
        }
    }
    Ok(look)
}

fn call(command: &str, cwd: &str, session: &str) -> Value {
    json!({
        "session_id": session, "turn_id": session, "transcript_path": null, "cwd": cwd,
        "hook_event_name": "PreToolUse", "model": "none", "permission_mode": "default", "tool_name": "Bash",
        "tool_input": { "command": command }, "tool_use_id": session,
    })
}

fn hear(answer: &Answer) -> Heard {
    match answer.status {
        // Codex lets a call through whose denial gives no reason.
        Some(2) if answer.stderr.trim().is_empty() => Heard::Through("status 2 without a reason".to_owned()),
        Some(2) => Heard::Blocked(answer.stderr.clone()),
        Some(0) => match object(answer) {
            Ok(None) => Heard::Silent,
            Ok(Some(value)) => match hear_specific(&value) {
                Heard::Asked => Heard::Through("Codex does not know `ask`, and goes ahead".to_owned()),
                Heard::Blocked(reason) if reason.trim().is_empty() => {
                    Heard::Through("a denial without a reason".to_owned())
                }
                heard => heard,
            },
            Err(heard) => heard,
        },
        _ => failed(answer),
    }
}
