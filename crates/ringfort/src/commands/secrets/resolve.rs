// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ringfort secrets resolve`: which secrets a command of another program would find, and where.
//!
//! In: the command's name and target ids. Out: for each whether and where it was found; values with `--json --reveal`.
//!
//! **Invariant:** every access is on the record; a value of the store is read under a permit of its own only, and one that
//! is denied ends the request: nothing else stands in for it.

use std::collections::BTreeMap;
use std::io::Write as _;

use clap::Args;
use ringfort_core::text::escape_bytes;
use ringfort_secrets::id::SecretId;
use ringfort_secrets::locked::Locked;
use ringfort_secrets::resolve::{Lookup, Nowhere, Places, ResolveError, Values, resolve};
use ringfort_secrets::store::Vault;
use serde_json::Value;

use super::permits::Permits;
use super::{Desk, Failure};
use crate::commands::EXIT_OK;
use crate::output;
use crate::vault::Missing;

/// `ringfort secrets resolve`
#[derive(Debug, Args)]
#[command(
    after_help = "An id is looked for in the store and then in the environment (`RINGFORT_SECRET_…`, then the names \
that other programs use). It finds only itself: there are no wildcards.

Example:
  ringfort secrets resolve 'web search' tools.web.search.apiKey"
)]
pub(super) struct ResolveArgs {
    /// The command that needs them, for the record
    command: String,
    /// The ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Show the values, together with `--json`
    #[arg(long)]
    reveal: bool,
}

/// The store as a place in which secrets are looked for.
struct Stored<'a> {
    vault: Option<&'a Vault>,
    permits: Permits<'a>,
}

impl Lookup for Stored<'_> {
    fn has(&self, id: &SecretId) -> Result<bool, String> {
        Ok(self.vault.is_some_and(|vault| vault.meta(id).is_some()))
    }

    fn find(&self, id: &SecretId) -> Result<Option<Locked>, String> {
        let Some(vault) = self.vault.filter(|vault| vault.meta(id).is_some()) else { return Ok(None) };
        match self.permits.release(vault, id, "a resolved target") {
            Ok(Some(released)) => Ok(Some(released.value)),
            Ok(None) => Err("it was denied".to_owned()),
            Err(failure) => Err(format!("{:#}", failure.error)),
        }
    }
}

impl Desk<'_> {
    pub(super) fn resolve(&self, args: &ResolveArgs) -> Result<u8, Failure> {
        if args.reveal && !self.common.json {
            let error = anyhow::anyhow!("`--reveal` shows values together with `--json` only");
            return Err(Failure::usage(error).help("without it, it is said where each was found"));
        }
        let vault = match self.opener().header()? {
            Some(_) => Some(self.open(Missing::Fail)?),
            None => None,
        };
        let text = |part: &std::ffi::OsString| part.to_str().map(str::to_owned);
        let variables = self.world.environment.iter();
        let environment: BTreeMap<String, String> =
            variables.filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect();
        let stored = Stored { vault: vault.as_ref(), permits: Permits::of(self)? };
        let places = Places { config: &Nowhere, store: &stored, environment: &environment };
        let ids: Vec<&str> = args.ids.iter().map(String::as_str).collect();
        let values = if args.reveal { Values::Released } else { Values::Withheld };
        let resolution = resolve(&args.command, &ids, places, values).map_err(unresolved)?;
        let accesses: Vec<Value> = resolution
            .accesses()
            .into_iter()
            .map(|access| serde_json::json!({ "id": access.id, "source": access.source, "released": access.released }))
            .collect();
        let command = escape_bytes(resolution.command_name.as_bytes());
        self.record("secrets.resolve", None, &[("command", command.into()), ("accesses", accesses.into())])?;
        let mut out = anstream::stdout().lock();
        if self.common.json {
            output::json_line(&mut out, &resolution.to_json())?;
            return Ok(EXIT_OK);
        }
        for assignment in &resolution.assignments {
            let found = assignment.source.as_ref().map_or_else(|| "not found".to_owned(), |source| source.word());
            writeln!(out, "{:<40} {}", escape_bytes(assignment.path.as_bytes()), escape_bytes(found.as_bytes()))?;
        }
        Ok(EXIT_OK)
    }
}

fn unresolved(error: ResolveError) -> Failure {
    match error {
        ResolveError::Place { .. } | ResolveError::Memory(_) => Failure::guard(error),
        _ => Failure::usage(error).help("`ringfort secrets list` shows what is stored"),
    }
}
