// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ringfort completions`: a completion script for a shell.
//!
//! In: the shell's name. Out: the script on standard output.
//!
//! **Invariant:** generated from the definition of the command line; never written by hand.

use std::io::Write as _;

use clap::Args;

use super::{EXIT_OK, Failure};

/// Print a completion script
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ringfort completions bash > ~/.local/share/bash-completion/completions/ringfort
  ringfort completions zsh > ~/.zfunc/_ringfort
  ringfort completions fish > ~/.config/fish/completions/ringfort.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: clap_complete::Shell,
}

/// Runs the command.
///
/// # Errors
///
/// Standard output cannot be written.
pub(crate) fn run(args: &CompletionsArgs) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::definition(), "ringfort", &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(EXIT_OK)
}
