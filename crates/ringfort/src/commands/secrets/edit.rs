// SPDX-License-Identifier: MIT OR Apache-2.0
//! The subcommands that change the store: `set`, `rotate`, `limit`, `delete`, `lock`, `unlock`, `passphrase`.
//!
//! In: an id, a value unseen, options. Out: a line about what was done.
//!
//! **Invariant:** a value is read after the store is open and before anything is changed; an event without it is on the
//! record before the change. A word beside the id is an error that does not repeat it.

use std::ffi::OsString;
use std::io::Write as _;

use clap::Args;
use ringfort_secrets::id::SecretId;
use ringfort_secrets::locked::Locked;
use ringfort_secrets::store::{Change, VALUE_BYTES_MAX, Vault};
use serde_json::json;

use super::limits::Unlimited;
use super::{Desk, Failure, Limits, id, unshown};
use crate::commands::{EXIT_DENIED, EXIT_OK};
use crate::output;
use crate::prompt::{self, Prompt};
use crate::vault::{Missing, unasked, unusable};

/// `ringfort secrets set`
#[derive(Debug, Args)]
#[command(
    after_help = "The value comes from standard input, or is asked for where that is a terminal. One line break at \
its end is not part of it, unless `--raw` is given.

Examples:
  ringfort secrets set github.token --tool gh --env GITHUB_TOKEN
  ringfort secrets set deploy.key --raw < id_ed25519
  ringfort secrets set aws.key --expires 90d --rotate-every 30d"
)]
pub(super) struct SetArgs {
    /// Its id: words joined by dots, as `github.token`
    id: String,
    #[command(flatten)]
    limits: Limits,
    /// Keep a line break at the end of the value
    #[arg(long)]
    raw: bool,
    #[arg(hide = true, num_args = 0..)]
    extra: Vec<OsString>,
}

/// `ringfort secrets rotate`
#[derive(Debug, Args)]
pub(super) struct RotateArgs {
    /// Its id
    id: String,
    /// Keep a line break at the end of the value
    #[arg(long)]
    raw: bool,
    #[arg(hide = true, num_args = 0..)]
    extra: Vec<OsString>,
}

/// `ringfort secrets limit`
#[derive(Debug, Args)]
pub(super) struct LimitArgs {
    /// Its id
    id: String,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    unlimited: Unlimited,
}

/// `ringfort secrets delete`
#[derive(Debug, Args)]
pub(super) struct DeleteArgs {
    /// Its id
    id: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Desk<'_> {
    pub(super) fn set(&self, args: &SetArgs) -> Result<u8, Failure> {
        if !args.extra.is_empty() {
            return Err(unshown());
        }
        let id = id(&args.id)?;
        let change = args.limits.change(self.clock.now())?;
        let mut vault = self.open(Missing::Make)?;
        let value = self.value(&id, args.raw)?;
        self.record("secrets.set", Some(&id), &[])?;
        let version = vault.set(&id, value.expose(), &change);
        let version = version.map_err(|error| self.failed("secrets.set", Some(&id), unusable(error)))?;
        self.tell(&vault, &id, "stored", Some(version))
    }

    pub(super) fn rotate(&self, args: &RotateArgs) -> Result<u8, Failure> {
        if !args.extra.is_empty() {
            return Err(unshown());
        }
        let id = id(&args.id)?;
        let mut vault = self.open(Missing::Fail)?;
        if vault.meta(&id).is_none() {
            return Err(unusable(ringfort_secrets::store::StoreError::NotFound { id }));
        }
        let value = self.value(&id, args.raw)?;
        self.record("secrets.rotate", Some(&id), &[])?;
        let version = vault.rotate(&id, value.expose(), self.clock.now());
        let version = version.map_err(|error| self.failed("secrets.rotate", Some(&id), unusable(error)))?;
        self.tell(&vault, &id, "rotated", Some(version))
    }

    pub(super) fn limit(&self, args: &LimitArgs) -> Result<u8, Failure> {
        let id = id(&args.id)?;
        let mut change = args.limits.change(self.clock.now())?;
        args.unlimited.apply(&mut change);
        if change == Change::at(change.at) {
            let error = anyhow::anyhow!("no limit is named");
            return Err(Failure::usage(error).help("`ringfort secrets limit --help` lists them"));
        }
        let mut vault = self.open(Missing::Fail)?;
        self.record("secrets.limit", Some(&id), &[])?;
        let changed = vault.update_meta(&id, &change);
        changed.map_err(|error| self.failed("secrets.limit", Some(&id), unusable(error)))?;
        self.tell(&vault, &id, "changed", None)
    }

    pub(super) fn delete(&self, args: &DeleteArgs) -> Result<u8, Failure> {
        let id = id(&args.id)?;
        let mut vault = self.open(Missing::Fail)?;
        if vault.meta(&id).is_none() {
            return Err(unusable(ringfort_secrets::store::StoreError::NotFound { id }));
        }
        if !args.yes {
            let prompt = Prompt::open(&self.signals).map_err(|error| {
                Failure::usage(error).help("run it on a terminal, or add --yes; nothing was deleted")
            })?;
            if !prompt.confirm(&format!("Delete `{id}` with all its versions? [y/N] ")).map_err(unasked)? {
                prompt.say("Nothing was deleted.").map_err(unasked)?;
                return Ok(EXIT_DENIED);
            }
        }
        self.record("secrets.delete", Some(&id), &[])?;
        vault.delete(&id).map_err(|error| self.failed("secrets.delete", Some(&id), unusable(error)))?;
        let mut out = anstream::stdout().lock();
        if self.common.json {
            output::json_line(&mut out, &json!({ "id": id, "deleted": true, "count": vault.len() }))?;
        } else {
            writeln!(out, "deleted `{id}`; until the next change its sealed value is in the generation before")?;
        }
        Ok(EXIT_OK)
    }

    /// The value, from standard input or asked for.
    fn value(&self, id: &SecretId, raw: bool) -> Result<Locked, Failure> {
        let value = if prompt::stdin_is_terminal() {
            let prompt = Prompt::open(&self.signals).map_err(unasked)?;
            prompt.twice(&format!("Value of `{id}` (not shown): "), "Again: ").map_err(unasked)?
        } else {
            let read = prompt::read_stdin(VALUE_BYTES_MAX).map_err(Failure::usage)?;
            if raw { read } else { without_line_break(read)? }
        };
        if value.is_empty() {
            let error = anyhow::anyhow!("the value is empty; nothing was changed");
            return Err(Failure::usage(error).help("give it on standard input, or run this on a terminal to be asked"));
        }
        Ok(value)
    }

    fn tell(&self, vault: &Vault, id: &SecretId, what: &str, version: Option<u64>) -> Result<u8, Failure> {
        let mut out = anstream::stdout().lock();
        if self.common.json {
            let version = version.or_else(|| vault.meta(id).map(|meta| meta.version));
            let value = json!({ "id": id, what: true, "version": version, "count": vault.len() });
            output::json_line(&mut out, &value)?;
            return Ok(EXIT_OK);
        }
        match version {
            Some(1) => {
                let variable = crate::commands::run::secrets::default_variable(id.as_str());
                writeln!(
                    out,
                    "{what} `{id}`; a run is given it with `ringfort run --secret {id}={variable} -- COMMAND`"
                )?;
            }
            Some(version) => writeln!(out, "{what} `{id}`, version {version}")?,
            None => writeln!(out, "{what} `{id}`")?,
        }
        Ok(EXIT_OK)
    }
}

/// A value without the one line break that programs write at the end.
fn without_line_break(value: Locked) -> Result<Locked, Failure> {
    let bytes = value.expose();
    match bytes.strip_suffix(b"\r\n").or_else(|| bytes.strip_suffix(b"\n")) {
        Some(rest) => Locked::copy_of(rest).map_err(Failure::guard),
        None => Ok(value),
    }
}
