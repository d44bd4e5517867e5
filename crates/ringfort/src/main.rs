// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `ringfort` binary: finds the subcommand and hands over.
//!
//! In: the command line and the environment of this process. Out: an exit status, documented with each command.
//!
//! **Invariant:** `run` and `hook` are dispatched before any framework for arguments starts, because they are paid for
//! at every command of an agent. The keeper inside a view of others comes before everything. Nothing here decides.

mod clients;
mod commands;
mod keyring;
mod network;
mod output;
mod prompt;
mod store_desk;
mod vault;
mod wiring;

use std::ffi::OsString;
use std::panic::catch_unwind;
use std::process::ExitCode;

/// A command that reads its own words.
type Hot = fn(Vec<OsString>) -> ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let (hot, failed): (Option<Hot>, u8) = match words.next().as_deref() {
        Some(word) if word == "run" => (Some(commands::run::main), commands::run::EXIT_GUARD),
        Some(word) if word == ringfort_sandbox::guest::WORD => (Some(inside), commands::run::EXIT_GUARD),
        Some(word) if word == "hook" => (Some(commands::hook::main), commands::hook::EXIT_PANIC),
        _ => (None, commands::EXIT_FAILED),
    };
    let words: Vec<OsString> = words.collect();
    // A panic has been told on standard error already; its status must be the guard's, not 101 as if a program had
    // ended with it.
    let ended = catch_unwind(|| hot.map_or_else(commands::main, |main| main(words)));
    ended.unwrap_or_else(|_panic| ExitCode::from(failed))
}

/// The process inside a view that bubblewrap or a container engine has made.
fn inside(words: Vec<OsString>) -> ExitCode {
    ExitCode::from(ringfort_sandbox::guest::main(&words))
}
