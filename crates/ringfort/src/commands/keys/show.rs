// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys as people and programs read them.
//!
//! In: what is known of a key. Out: lines, or JSON.
//!
//! **Invariant:** there is nothing here to show but public halves and their fingerprints.

use std::io::{self, Write};

use ringfort_core::clock::Timestamp;
use ringfort_secrets::keys::KeyKind;
use ringfort_secrets::keys::public;
use ringfort_secrets::keys::ring::{Due, KeyInfo, Listed, VersionInfo};
use serde_json::{Value, json};

use super::super::approvals::span;

/// A key with its versions, in lines.
pub(super) fn text(out: &mut dyn Write, key: &Listed, now: Timestamp) -> io::Result<()> {
    let info = match &key.info {
        Ok(info) => info,
        Err(error) => {
            let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
            return writeln!(out, "{}  \u{1b}[31;1mDAMAGED\u{1b}[0m  {error}{cause}", key.name);
        }
    };
    writeln!(out, "{}  {}  {}  {}", info.name, info.kind, info.provider, rotation(info, now))?;
    for version in info.versions.iter().rev() {
        let made = format!("made {}", day(version.created));
        let ended = match (version.destroyed, version.replaced) {
            (Some(at), _) => format!(", destroyed {}", day(at)),
            (None, Some(at)) => format!(", replaced {}", day(at)),
            (None, None) => String::new(),
        };
        let print = fingerprint(info.kind, version).map_or_else(String::new, |print| format!("  {print}"));
        writeln!(out, "  version {:<3}  {:<11}  {made}{ended}{print}", version.number, version.state.name())?;
    }
    Ok(())
}

/// The newest version, in a few words.
pub(super) fn newest(info: &KeyInfo) -> String {
    let Some(version) = info.active() else { return "it has no version".to_owned() };
    match fingerprint(info.kind, version) {
        Some(print) => format!("version {} signs, {print}", version.number),
        None => format!("version {} signs", version.number),
    }
}

fn rotation(info: &KeyInfo, now: Timestamp) -> String {
    let every = info.rotate_every.map(span).unwrap_or_default();
    match info.due {
        Due::Never => "rotated by hand only".to_owned(),
        Due::At(at) => format!("rotated every {every}, next {}", day(at)),
        Due::Since(at) => {
            format!("\u{1b}[33;1moverdue\u{1b}[0m for {}: the next use rotates it (every {every})", span(now.since(at)))
        }
        Due::ClockBehind => {
            format!("\u{1b}[33;1mfrom the future\u{1b}[0m: set the clock; until then it is not rotated (every {every})")
        }
    }
}

/// A key with its versions, for programs.
pub(super) fn json(key: &Listed) -> Value {
    match &key.info {
        Ok(info) => info_json(info),
        Err(error) => json!({ "key": key.name, "error": error.to_string() }),
    }
}

pub(super) fn info_json(info: &KeyInfo) -> Value {
    let (due, at) = match info.due {
        Due::Never => ("never", None),
        Due::At(at) => ("later", Some(at)),
        Due::Since(at) => ("overdue", Some(at)),
        Due::ClockBehind => ("clock-behind", None),
    };
    let version = |version: &VersionInfo| {
        json!({
            "version": version.number,
            "state": version.state.name(),
            "created": version.created.to_string(),
            "replaced": version.replaced.map(|at| at.to_string()),
            "destroyed": version.destroyed.map(|at| at.to_string()),
            "fingerprint": fingerprint(info.kind, version),
            "has_private": version.has_private,
        })
    };
    json!({
        "key": info.name,
        "kind": info.kind,
        "provider": info.provider,
        "rotate_every_s": info.rotate_every.map(|every| every.as_secs()),
        "rotation": due,
        "rotation_at": at.map(|at| at.to_string()),
        "versions": info.versions.iter().map(version).collect::<Vec<_>>(),
    })
}

fn fingerprint(kind: KeyKind, version: &VersionInfo) -> Option<String> {
    public::fingerprint(kind, version.public.as_deref()?).ok()
}

fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}
