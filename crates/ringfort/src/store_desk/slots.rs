// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ringfort secrets slot` and `ringfort keys slot`: the ways in which a store opens.
//!
//! In: the name of a source, or the number of a slot. Out: the slots as they are afterwards.
//!
//! **Invariant:** the last way in is never taken away; what a source kept outside the store goes with its slot.

use std::io::Write as _;

use clap::Subcommand;
use ringfort_secrets::backend::tpm2::TpmSource;
use ringfort_secrets::passphrase::PASSPHRASE;
use ringfort_secrets::store::{Header, Slot};
use serde_json::{Value, json};

use super::StoreDesk;
use crate::commands::{EXIT_DENIED, EXIT_OK, Failure};
use crate::output;
use crate::prompt::Prompt;
use crate::vault::sources::{PKCS11, TPM2};
use crate::vault::{Missing, Which, unasked};

/// `slot` of a store
#[derive(Debug, Subcommand)]
pub(crate) enum SlotCommand {
    /// List what opens the store
    List,
    /// Let something else open it too: `key-file`, `env`, `secret-service`, `keyutils`, `tpm2` or `pkcs11`
    Add {
        /// The source
        source: String,
        /// Ask for a PIN that the TPM needs from then on; in place of a slot of the TPM that is there
        #[arg(long)]
        pin: bool,
    },
    /// Let something open it no more
    Remove {
        /// The number of its slot, as in `list`
        number: usize,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// Whether a new slot is to need a PIN of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pin {
    /// Yes.
    New,
    /// As its source has it.
    Unasked,
}

impl StoreDesk<'_> {
    pub(crate) fn slot(&self, command: &SlotCommand) -> Result<u8, Failure> {
        match command {
            SlotCommand::List => match self.opener.header()? {
                Some(header) => self.show_slots(&header),
                None => self.opener.open(Missing::Fail).map(|_| EXIT_OK),
            },
            SlotCommand::Add { source, pin } => self.add_slot(source, if *pin { Pin::New } else { Pin::Unasked }),
            SlotCommand::Remove { number, yes } => self.remove_slot(*number, *yes),
        }
    }

    fn add_slot(&self, name: &str, pin: Pin) -> Result<u8, Failure> {
        let which = self.opener.which;
        let is_asked = pin == Pin::New && !self.opener.has_pin_file();
        if which == Which::Keys && (is_asked || !self.opener.is_quiet(name)) {
            let error = anyhow::anyhow!("keys sign when nobody is there: what asks a person cannot open them");
            return Err(Failure::usage(error).help("key-file, env, keyutils, secret-service, tpm2; a PIN from a file"));
        }
        if name == PASSPHRASE {
            let error = anyhow::anyhow!("a passphrase takes the place of a key file");
            return Err(Failure::usage(error).help("`ringfort secrets passphrase` sets one"));
        }
        if pin == Pin::New {
            return self.add_pin(name);
        }
        let Some(source) = self.opener.source(name)? else {
            let error = anyhow::anyhow!("`{}` is no source of a root key here", name.escape_debug());
            return Err(Failure::usage(error)
                .help("key-file, env (RINGFORT_SECRET_STORE_KEY is set), secret-service, keyutils, tpm2, pkcs11"));
        };
        let mut vault = self.opener.open(Missing::Fail)?;
        if vault.header().slots.iter().any(|slot| slot.data.source == name) {
            let error = anyhow::anyhow!("{} has a slot of the source `{name}` already", which.title());
            return Err(Failure::usage(error).help(format!("remove that one first: {}", self.line("slot list"))));
        }
        self.opener.private_keys_folder()?;
        self.record("slot", &[("change", "added".into()), ("source", name.into())])?;
        let added = vault.add_slot(source.as_ref(), self.opener.clock.now());
        added.map_err(|error| self.not_done("slot", error))?;
        self.show_slots(vault.header())
    }

    /// Lets the TPM open the store with a PIN, and no more without it, or with the one before.
    fn add_pin(&self, name: &str) -> Result<u8, Failure> {
        if name != TPM2 {
            let error = anyhow::anyhow!("`--pin` is for the source `{TPM2}`");
            return Err(
                Failure::usage(error).help("a token has its PIN already; a passphrase is set with `passphrase`")
            );
        }
        let mut vault = self.opener.open(Missing::Fail)?;
        let source = self.opener.new_pin()?;
        let before = vault.header().slots.clone();
        self.record("slot", &[("change", "added".into()), ("source", name.into()), ("pin", true.into())])?;
        let added = vault.add_slot(source.as_ref(), self.opener.clock.now());
        added.map_err(|error| self.not_done("slot", error))?;
        for slot in before.iter().filter(|slot| slot.data.source == TPM2) {
            let Some(index) = vault.header().slots.iter().position(|present| present == slot) else { continue };
            vault.remove_slot(index).map_err(|error| self.not_done("slot", error))?;
        }
        self.show_slots(vault.header())
    }

    fn remove_slot(&self, number: usize, yes: bool) -> Result<u8, Failure> {
        let mut vault = self.opener.open(Missing::Fail)?;
        let slot = number.checked_sub(1).and_then(|index| vault.header().slots.get(index));
        let Some(name) = slot.map(|slot| slot.data.source.clone()) else {
            let error = anyhow::anyhow!("there is no slot {number}");
            return Err(Failure::usage(error).help(format!("{} shows them", self.line("slot list"))));
        };
        if !yes {
            let prompt = Prompt::open(self.signals).map_err(|error| {
                Failure::usage(error).help("run it on a terminal, or add --yes; nothing was removed")
            })?;
            if !prompt.confirm(&format!("Let `{name}` open the store no more? [y/N] ")).map_err(unasked)? {
                prompt.say("Nothing was removed.").map_err(unasked)?;
                return Ok(EXIT_DENIED);
            }
        }
        self.record("slot", &[("change", "removed".into()), ("source", name.as_str().into())])?;
        let data = vault.remove_slot(number - 1);
        let data = data.map_err(|error| self.not_done("slot", error))?;
        if let Some(source) = self.opener.source(&name)? {
            source.forget(vault.id(), &data).map_err(|error| {
                Failure::guard(error).help("it opens the store no more; what it kept outside may still be there")
            })?;
        }
        self.show_slots(vault.header())
    }

    fn show_slots(&self, header: &Header) -> Result<u8, Failure> {
        let mut out = anstream::stdout().lock();
        if self.json {
            let slot = |(index, slot): (usize, &Slot)| json!({ "number": index + 1, "source": slot.data.source, "made": slot.made.to_string(), "pin": needs_pin(slot) });
            let slots: Vec<Value> = header.slots.iter().enumerate().map(slot).collect();
            output::json_line(&mut out, &json!({ "slots": slots }))?;
            return Ok(EXIT_OK);
        }
        for (index, slot) in header.slots.iter().enumerate() {
            let pin = if needs_pin(slot) { ", needs a PIN" } else { "" };
            writeln!(out, "{:<3} {:<16} made {}{pin}", index + 1, slot.data.source.escape_debug(), slot.made)?;
        }
        Ok(EXIT_OK)
    }
}

fn needs_pin(slot: &Slot) -> bool {
    slot.data.source == PKCS11 || TpmSource::needs_pin(&slot.data)
}
