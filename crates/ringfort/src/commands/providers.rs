// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ringfort providers`: the registry of security providers.
//!
//! In: nothing. Out: each provider, which one the configuration selects, and for which agents it selects another.
//!
//! **Invariant:** this enumerates the registry; it carries no list of its own.

use std::io::Write as _;

use clap::Args;
use ringfort_runtime::providers::{PROVIDERS, SelectError, select, select_for};
use serde_json::json;

use super::{Common, EXIT_OK, Failure};
use crate::output;
use crate::wiring::World;

/// List the security providers, and which one is selected
#[derive(Debug, Args)]
#[command(
    after_help = "Select one with `provider = \"NAME\"` under `[policy]`, or under `[agents.AGENT]` for one agent; `native` is \
always asked as well."
)]
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
    for agent in loaded.config.agents.keys() {
        let (name, problem) = (loaded.config.provider_for(Some(agent)), |error: &SelectError| error.to_string());
        let problem = select_for(PROVIDERS, &loaded.config, Some(agent), &chain).err().as_ref().map(problem);
        if common.json {
            let value = json!({ "agent": agent, "provider": name, "available": problem.is_none(), "reason": problem });
            output::json_line(&mut out, &value)?;
        } else {
            let state = problem.map_or_else(String::new, |problem| format!(": cannot start: {problem}"));
            writeln!(out, "agent {agent}: {name}{state}")?;
        }
    }
    let everybody = loaded.config.agents.keys().map(|agent| Some(agent.as_str())).chain([None]);
    for agent in everybody {
        select_for(PROVIDERS, &loaded.config, agent, &chain).map_err(Failure::guard)?;
    }
    Ok(EXIT_OK)
}
