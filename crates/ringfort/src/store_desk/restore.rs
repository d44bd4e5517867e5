// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ringfort secrets restore` and `ringfort keys restore`: a store that was put back from a backup, moved here, or damaged.
//!
//! In: a person's word that the file in the folder, or the generation before, is to be the newest. Out: how much
//! the store has now.
//!
//! **Invariant:** nothing is taken that the store's own key does not prove; a damaged file is kept under another name. What
//! is about to be taken is on the record first.

use std::io::Write as _;

use clap::Args;
use ringfort_secrets::root::RootKeySource;
use ringfort_secrets::store::{Header, REFUSED_NAME, StoreError, Vault};
use serde_json::json;

use super::StoreDesk;
use crate::commands::{EXIT_DENIED, EXIT_OK, Failure};
use crate::output;
use crate::prompt::Prompt;
use crate::vault::unasked;

/// `restore` of a store
#[derive(Debug, Args)]
#[command(
    after_help = "An older file that somebody put into the folder of the store is refused, and so is a store that was \
moved there. After you have restored a backup, `restore` says that it was you: the file that was put back is the newest. \
With `--previous` the generation before takes the place of a damaged or missing file, which is kept beside it as \
`store.refused`. With `secrets.tpm2_counter` set the store of secrets goes on with its counter in the TPM, or is given a new \
one; without it the counter is let go."
)]
pub(crate) struct RestoreArgs {
    /// Take the generation before instead of the file itself
    #[arg(long)]
    previous: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl StoreDesk<'_> {
    pub(crate) fn restore(&self, args: &RestoreArgs) -> Result<u8, Failure> {
        let opener = &self.opener;
        let folder = opener.folder();
        let header = if args.previous { Header::read_previous(&folder) } else { Header::read(&folder) };
        let header = header.map_err(|error| match error {
            StoreError::Absent { .. } if args.previous => {
                Failure::usage(anyhow::anyhow!("there is no generation before"))
                    .help("restore a backup of the state folder")
            }
            error => opener.unusable(error),
        })?;
        if !args.yes && !self.is_meant(args.previous, &header)? {
            return Ok(EXIT_DENIED);
        }
        let facts = [("generation", header.generation.into()), ("previous", args.previous.into())];
        self.record("restore", &facts)?;
        let options = opener.taking_back(&header)?;
        let restore = |source: &dyn RootKeySource| match args.previous {
            true => Vault::restore_previous(&folder, source, options.clone()),
            false => Vault::accept_generation(&folder, source, options.clone()),
        };
        let taken = opener.with_source(&header, &restore).and_then(|mut vault| {
            opener.taken_back(&mut vault, &header)?;
            Ok(vault)
        });
        let vault = taken.map_err(|failure| self.failed("restore", failure))?;
        let mut out = anstream::stdout().lock();
        if self.json {
            let value = json!({ "restored": true, "generation": vault.generation(), "count": vault.len() });
            output::json_line(&mut out, &value)?;
            return Ok(EXIT_OK);
        }
        writeln!(out, "restored: {}; {} shows them", opener.which.counted(vault.len()), self.line("list"))?;
        if args.previous {
            writeln!(out, "the file that was refused is `{}`", folder.join(REFUSED_NAME).display())?;
        }
        Ok(EXIT_OK)
    }

    /// Whether the person means it.
    fn is_meant(&self, previous: bool, header: &Header) -> Result<bool, Failure> {
        let prompt = Prompt::open(self.signals)
            .map_err(|error| Failure::usage(error).help("run it on a terminal, or add --yes; nothing was changed"))?;
        let what =
            if previous { "Go back to the generation before" } else { "Take the file in the folder as the newest" };
        let (generation, entries) = (header.generation, header.entries);
        let question = format!("{what} (generation {generation}, entries {entries}); later changes are lost? [y/N] ");
        let is_meant = prompt.confirm(&question).map_err(unasked)?;
        if !is_meant {
            prompt.say("Nothing was changed.").map_err(unasked)?;
        }
        Ok(is_meant)
    }
}
