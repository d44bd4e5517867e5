// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `ringfort` binary: finds the subcommand and hands over.
//!
//! In: the command line and the environment of this process. Out: an exit status, documented with each command.
//!
//! **Invariant:** `run` is dispatched before any framework for arguments starts, because it is paid for at every
//! command of an agent. Nothing here decides.

mod commands;
mod output;
mod wiring;

use std::ffi::OsString;
use std::panic::catch_unwind;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let is_run = words.next().as_deref() == Some("run".as_ref());
    let words: Vec<OsString> = words.collect();
    // A panic has been told on standard error already; its status must be the guard's, not 101 as if a program had
    // ended with it.
    let ended = catch_unwind(|| if is_run { commands::run::main(words) } else { commands::main() });
    ended
        .unwrap_or_else(|_panic| ExitCode::from(if is_run { commands::run::EXIT_GUARD } else { commands::EXIT_FAILED }))
}
