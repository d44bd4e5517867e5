// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ringfort freeze`: nothing more happens, at any door, until a person says so.
//!
//! In: on, off or status. Out: what holds from now on; with `--status` exit status 1 while frozen.
//!
//! **Invariant:** inside a cage this is refused. Freezing comes first and is recorded afterwards, so that a full disk
//! does not stop it; thawing is recorded first.

use std::io::Write as _;
use std::sync::Arc;

use clap::Args;
use ringfort_audit::Durability;
use ringfort_core::clock::Clock;
use ringfort_core::entry::Entry;
use ringfort_runtime::clock::SystemClock;
use ringfort_runtime::freeze::FreezeState;
use ringfort_runtime::supervisor::broker::BROKER_VARIABLE;
use serde_json::json;

use super::{Common, EXIT_DENIED, EXIT_OK, Failure};
use crate::output;
use crate::wiring::{World, open_state, open_trail};

/// Stop everything: no action of any agent is allowed until this is undone
///
/// Every door reads the freeze before each action: `run`, hooks, nested runs. Programs that run already are not ended.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ringfort freeze             nothing more is allowed
  ringfort freeze --status    whether it is so; exit status 1 while frozen
  ringfort freeze --off       allow again what the policy allows")]
pub(crate) struct FreezeArgs {
    /// Undo it
    #[arg(long, conflicts_with = "status")]
    off: bool,
    /// Only say whether everything is frozen
    #[arg(long)]
    status: bool,
}

/// Runs the command.
///
/// # Errors
///
/// The freeze could not be changed or read; what held before still holds.
pub(crate) fn run(args: &FreezeArgs, common: &Common) -> Result<u8, Failure> {
    let world = World::read().map_err(Failure::guard)?;
    if world.variable(BROKER_VARIABLE).is_some() {
        let error = anyhow::anyhow!("`freeze` is not available inside a cage: the person outside decides");
        return Err(Failure { status: EXIT_DENIED, ..Failure::usage(error) });
    }
    let state = open_state(&world, &world.places(common))?;
    let freeze = state.freeze();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let record = |event: &str| -> Result<(), Failure> {
        let trail = open_trail(&state, &clock)?;
        let entry = Entry { principal: Some(world.principal().map_err(Failure::guard)?), ..Entry::event(event) };
        trail.append(&entry, Durability::Synced).map_err(Failure::guard)?;
        Ok(())
    };
    if args.off {
        record("freeze.off")?;
        freeze.thaw()?;
    } else if !args.status {
        freeze.freeze(clock.now())?;
        if let Err(failure) = record("freeze.on") {
            writeln!(std::io::stderr(), "ringfort: frozen, but that could not be recorded: {}", failure.error)?;
        }
    }
    let (word, why) = match freeze.state() {
        FreezeState::Off => ("off", None),
        FreezeState::On(_) => ("on", None),
        FreezeState::Unreadable { why } => ("on", Some(why)),
    };
    let mut out = anstream::stdout().lock();
    if common.json {
        output::json_line(&mut out, &json!({ "freeze": word, "why": why }))?;
    } else {
        let what = if word == "on" { "frozen: nothing is allowed" } else { "not frozen" };
        let why = why.map_or_else(String::new, |why| format!(" (the freeze file cannot be read: {why})"));
        writeln!(out, "{what}{why}")?;
    }
    Ok(if args.status && word == "on" { EXIT_DENIED } else { EXIT_OK })
}
