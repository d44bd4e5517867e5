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
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    if words.next().as_deref() == Some("run".as_ref()) {
        return commands::run::main(words.collect::<Vec<OsString>>());
    }
    commands::main()
}
