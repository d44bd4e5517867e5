// SPDX-License-Identifier: MIT OR Apache-2.0
//! The subcommands that show: `get`, `list`, `status`.
//!
//! In: an id, `--reveal`. Out: what is written beside values; one value where it was asked for and permitted.
//!
//! **Invariant:** a value is shown on a terminal, or in `--json` where both options say so, and only under a permit that
//! is on the record. An agent is not shown one.

use std::io::{IsTerminal as _, Write as _};

use clap::Args;
use ringfort_core::text::escape_bytes;
use ringfort_secrets::lock::LockState;
use ringfort_secrets::moment::KernelMoments;
use ringfort_secrets::session::{self, SessionError};
use ringfort_secrets::store::{Meta, StoreError, Vault};
use serde_json::{Value, json};

use super::permits::Permits;
use super::{Desk, Failure, id};
use crate::commands::{EXIT_DENIED, EXIT_OK};
use crate::output;
use crate::vault::{Missing, unusable};

/// `ringfort secrets get`
#[derive(Debug, Args)]
pub(super) struct GetArgs {
    /// Its id
    id: String,
    /// Show the value: on a terminal, or together with `--json`
    #[arg(long)]
    reveal: bool,
}

impl Desk<'_> {
    pub(super) fn get(&self, args: &GetArgs) -> Result<u8, Failure> {
        let id = id(&args.id)?;
        if args.reveal && !self.common.json && !std::io::stdout().is_terminal() {
            let error =
                anyhow::anyhow!("standard output is no terminal, and a value is not written into a file unasked");
            return Err(Failure::usage(error).help(
                "a program is given it by `ringfort run --secret ID=VARIABLE -- COMMAND`; `--json --reveal` prints it all \
                 the same",
            ));
        }
        let vault = self.open(Missing::Fail)?;
        let Some(meta) = vault.meta(&id) else { return Err(unusable(StoreError::NotFound { id })) };
        if args.reveal {
            // Under a permit, like any other use of it.
            let released = Permits::of(self)?.release(&vault, &id, "text for a person")?;
            return released.map_or(Ok(EXIT_DENIED), |released| self.print(&released.meta, released.value.expose()));
        }
        let mut out = anstream::stdout().lock();
        if self.common.json {
            output::json_line(&mut out, &self.json(meta))?;
        } else {
            self.write(&mut out, meta)?;
        }
        Ok(EXIT_OK)
    }

    pub(super) fn list(&self) -> Result<u8, Failure> {
        let vault = match self.opener().header()? {
            Some(_) => Some(self.open(Missing::Fail)?),
            None => None,
        };
        let mut out = anstream::stdout().lock();
        if self.common.json {
            let items: Vec<Value> = vault.iter().flat_map(Vault::list).map(|meta| self.json(meta)).collect();
            output::json_line(&mut out, &json!({ "count": items.len(), "items": items }))?;
            return Ok(EXIT_OK);
        }
        let Some(vault) = vault.filter(|vault| !vault.is_empty()) else {
            writeln!(out, "there are no secrets; `ringfort secrets set ID` stores one")?;
            return Ok(EXIT_OK);
        };
        for meta in vault.list() {
            writeln!(out, "{:<32} version {:<3} {}", meta.id.as_str(), meta.version, self.notes(meta).join(", "))?;
        }
        Ok(EXIT_OK)
    }

    pub(super) fn status(&self) -> Result<u8, Failure> {
        let opener = self.opener();
        let header = opener.header()?;
        // A store that is refused still has a status; the refusal is told after it.
        let (vault, refused) = match header.as_ref().map(|header| opener.quiet(header)) {
            Some(Ok(vault)) => (vault.ok(), None),
            Some(Err(failure)) => (None, Some(failure)),
            None => (None, None),
        };
        let counter = opener.counter_seen(header.as_ref());
        let status = opener.status(vault.as_ref())?;
        let lock = match &header {
            None => LockState::SetupRequired.word(),
            Some(header) => match session::state(header.store, opener.limits(), &KernelMoments) {
                Ok(LockState::Locked) | Err(SessionError::Unavailable { .. }) if vault.is_some() => "open",
                Ok(state) => state.word(),
                Err(_) => LockState::Locked.word(),
            },
        };
        let mut out = anstream::stdout().lock();
        if self.common.json {
            let mut value = serde_json::to_value(&status).map_err(Failure::guard)?;
            if let Some(members) = value.as_object_mut() {
                members.insert("lock".to_owned(), lock.into());
                members.insert("idleLockMinutes".to_owned(), self.loaded.config.secrets.idle_lock_minutes.into());
                members.insert("counter".to_owned(), serde_json::to_value(&counter).map_err(Failure::guard)?);
            }
            output::json_line(&mut out, &value)?;
            return refused.map_or(Ok(EXIT_OK), Err);
        }
        let count = if vault.is_some() { status.count.to_string() } else { "not known while it is locked".to_owned() };
        let active = status.active_backend.word();
        let slots: Vec<&str> = status.slots.iter().map(|slot| slot.source.as_str()).collect();
        for (name, value) in [
            ("backend", format!("{active} (asked for: {})", status.requested_backend.escape_debug())),
            ("state", lock.to_owned()),
            ("secrets", count),
            ("opened by", if slots.is_empty() { status.key_source.clone() } else { slots.join(", ") }),
            ("key from", status.key_source.clone()),
            ("place", status.path.clone()),
        ] {
            writeln!(out, "{name:<10} {}", escape_bytes(value.as_bytes()))?;
        }
        let again = status.fallback_reason.as_ref().filter(|why| status.auto_reason.as_ref() != Some(*why));
        let why = status.auto_reason.iter().chain(again).map(|why| ("because", why));
        let trouble = status.root_key_message.as_ref().map(|message| format!("{active}: {message}"));
        let trouble = trouble.iter().map(|message| ("trouble", message));
        let warnings = status.warnings.iter().map(|warning| ("warning", warning));
        let counter = counter.map(|counter| counter.to_string());
        let counter = counter.iter().map(|counter| ("counter", counter));
        for (name, line) in counter.chain(why).chain(trouble).chain(warnings) {
            writeln!(out, "{name:<10} {}", escape_bytes(line.as_bytes()))?;
        }
        refused.map_or(Ok(EXIT_OK), Err)
    }

    fn print(&self, meta: &Meta, value: &[u8]) -> Result<u8, Failure> {
        let mut out = anstream::stdout().lock();
        let text = std::str::from_utf8(value);
        if self.common.json {
            let mut object = self.json(meta);
            if let Some(members) = object.as_object_mut() {
                match text {
                    Ok(text) => members.insert("value".to_owned(), text.into()),
                    Err(_) => members.insert("value_hex".to_owned(), hex(value).into()),
                };
            }
            output::json_line(&mut out, &object)?;
        } else {
            // Escaped: a value that draws on the terminal is no value that a person wants drawn.
            writeln!(out, "{}", escape_bytes(value))?;
        }
        Ok(EXIT_OK)
    }

    /// What is written beside a value.
    fn json(&self, meta: &Meta) -> Value {
        let now = self.clock.now();
        let time = |time: Option<ringfort_core::clock::Timestamp>| time.map(|time| time.to_string());
        json!({
            "id": meta.id,
            "version": meta.version,
            "labels": meta.labels,
            "created": meta.created.to_string(),
            "updated": meta.updated.to_string(),
            "used": time(meta.used),
            "expires": time(meta.expires),
            "expired": meta.is_expired(now),
            "rotate_every_s": meta.rotate_every.map(|every| every.as_secs()),
            "rotation_due": time(meta.rotation_due()),
            "principals": meta.principals,
            "hosts": meta.hosts,
            "tools": meta.tools,
            "environments": meta.environments,
            "keep": meta.keep,
            "previous": meta.previous.iter().map(|previous| previous.version).collect::<Vec<_>>(),
        })
    }

    /// What a person should see first.
    fn notes(&self, meta: &Meta) -> Vec<String> {
        let now = self.clock.now();
        let mut notes = Vec::new();
        match meta.expires {
            Some(expires) if meta.is_expired(now) => notes.push(format!("EXPIRED {expires}")),
            Some(expires) => notes.push(format!("expires {expires}")),
            None => {}
        }
        match meta.rotation_due() {
            Some(due) if now >= due => notes.push(format!("ROTATION DUE {due}")),
            Some(due) => notes.push(format!("rotate by {due}")),
            None => {}
        }
        let lists = [
            ("for", &meta.principals),
            ("hosts", &meta.hosts),
            ("tools", &meta.tools),
            ("variables", &meta.environments),
        ];
        for (what, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            notes.push(format!("{what} {}", list.join(" ")));
        }
        notes
    }

    fn write(&self, out: &mut dyn std::io::Write, meta: &Meta) -> std::io::Result<()> {
        writeln!(out, "id        {}", meta.id)?;
        let kept = match meta.previous.len() {
            0 => String::new(),
            count => format!(", and {count} before it"),
        };
        writeln!(out, "version   {}{kept}", meta.version)?;
        writeln!(out, "created   {}\nupdated   {}", meta.created, meta.updated)?;
        if let Some(used) = meta.used {
            writeln!(out, "used      {used}")?;
        }
        for (key, value) in &meta.labels {
            writeln!(out, "label     {}={}", key.escape_debug(), value.escape_debug())?;
        }
        for note in self.notes(meta) {
            writeln!(out, "limit     {}", note.escape_debug())?;
        }
        writeln!(out, "value     not shown; `ringfort secrets get {} --reveal` shows it", meta.id)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
