// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ringfort providers`: the registry of security providers.
//!
//! In: nothing. Out: each provider, and which one the configuration selects.
//!
//! **Invariant:** this enumerates the registry; it carries no list of its own.

use std::io::Write as _;

use clap::Args;
use ringfort_runtime::providers::{PROVIDERS, select};
use serde_json::json;

use super::{Common, EXIT_OK, Failure};
use crate::output;
use crate::wiring::World;

/// List the security providers, and which one is selected
#[derive(Debug, Args)]
#[command(after_help = "Select one with `provider = \"NAME\"` under `[policy]`; `native` is always asked as well.")]
pub(crate) struct ProvidersArgs {}

/// Runs the command.
///
/// # Errors
///
/// The configuration cannot be loaded.
pub(crate) fn run(_args: &ProvidersArgs, common: &Common) -> Result<u8, Failure> {
    let world = World::read().map_err(Failure::guard)?;
    let loaded = world.load(common, None)?;
    let chain = loaded.chain.clone().into();
    let selected = &loaded.config.policy.provider;
    let mut out = anstream::stdout().lock();
    for entry in PROVIDERS {
        let problem = select(PROVIDERS, entry.name, &chain).err().map(|error| error.to_string());
        let is_selected = entry.name == selected;
        if common.json {
            let value = json!({
                "name": entry.name,
                "summary": entry.summary,
                "available": problem.is_none(),
                "reason": problem,
                "selected": is_selected,
            });
            output::json_line(&mut out, &value)?;
        } else {
            let mark = if is_selected { "*" } else { " " };
            let state = problem.map_or_else(|| "ready".to_owned(), |problem| format!("unavailable: {problem}"));
            writeln!(out, "{mark} {:<10} {state:<12} {}", entry.name, entry.summary)?;
        }
    }
    select(PROVIDERS, selected, &chain).map_err(Failure::guard)?;
    Ok(EXIT_OK)
}
