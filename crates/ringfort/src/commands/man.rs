// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ringfort man`: the manual page.
//!
//! In: nothing, or a subcommand's name. Out: a page in roff on standard output.
//!
//! **Invariant:** generated from the definition of the command line; never written by hand.

use std::io::Write as _;

use clap::Args;

use super::{EXIT_OK, Failure};

/// Print the manual page
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ringfort man | man -l -
  ringfort man run > ringfort-run.1")]
pub(crate) struct ManArgs {
    /// A subcommand; the main page unless named
    subcommand: Option<String>,
}

/// Runs the command.
///
/// # Errors
///
/// There is no such subcommand, or standard output cannot be written.
pub(crate) fn run(args: &ManArgs) -> Result<u8, Failure> {
    let mut definition = super::definition();
    definition.build();
    let page = match &args.subcommand {
        None => definition,
        Some(name) => {
            let found = definition.find_subcommand(name).cloned();
            found.ok_or_else(|| Failure::usage(anyhow::anyhow!("there is no subcommand `{name}`")))?
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    std::io::stdout().lock().write_all(&text)?;
    Ok(EXIT_OK)
}
