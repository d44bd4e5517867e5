// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ringfort secrets rekey` and `ringfort keys rekey`: a new store key, for when the old one may be known to somebody.
//!
//! In: the root keys of every slot, or the word that a slot shall go. Out: the store under its new key.
//!
//! **Invariant:** no way in is lost in silence: a slot whose root key is not at hand stops the command until it is named.
//! Afterwards nothing in the folder of the store, and nothing that the kernel holds, opens with the old key.

use std::collections::BTreeSet;
use std::io::Write as _;

use clap::Args;
use ringfort_secrets::moment::KernelMoments;
use ringfort_secrets::passphrase::{ENV, PASSPHRASE};
use ringfort_secrets::root::SlotData;
use ringfort_secrets::session::{self, Held, SessionError};
use ringfort_secrets::store::{Earlier, Header, Reached, Rekeyed, Vault};
use serde_json::json;

use super::StoreDesk;
use crate::commands::{EXIT_OK, Failure};
use crate::output;
use crate::vault::{Missing, Which};

/// `rekey` of a store
#[derive(Debug, Args)]
#[command(
    after_help = "Everything in the store is sealed anew. The root key of each slot is needed for that, so a passphrase is \
asked for; a slot out of reach has to be named with `--drop`. The generation before is removed, as it opens with the old key. \
Copies elsewhere, such as backups, open with the old key for ever: destroy them. Who had the old key may have read what was \
in the store: replace those values where they are accepted."
)]
pub(crate) struct RekeyArgs {
    /// Let this source open the store no more
    #[arg(long, value_name = "SOURCE")]
    drop: Vec<String>,
}

impl StoreDesk<'_> {
    pub(crate) fn rekey(&self, args: &RekeyArgs, earlier: Earlier) -> Result<u8, Failure> {
        let Some(header) = self.opener.header()? else { return self.opener.open(Missing::Fail).map(|_| EXIT_OK) };
        let (reached, dropped) = self.ways_in(&header, &args.drop)?;
        let Some(first) = reached.first() else {
            let error = anyhow::anyhow!("nothing would open {} any more", self.opener.which.title());
            return Err(Failure::usage(error).help("nothing was changed; keep one way in"));
        };
        let vault = Vault::open_by(&self.opener.folder(), first, self.opener.options(&header)?);
        let mut vault = vault.map_err(|error| self.opener.unusable(error))?;
        let names = |slots: &[SlotData]| slots.iter().map(|slot| slot.source.clone()).collect::<Vec<_>>();
        let kept: BTreeSet<&str> = reached.iter().map(Reached::source).collect();
        self.record("rekey", &[("kept", json!(kept)), ("dropped", json!(names(&dropped)))])?;
        let done = vault.rekey(&reached, &dropped, earlier).map_err(|error| self.not_done("rekey", error))?;
        self.replace_held(&vault)?;
        let left = self.forget(&vault, &done.dropped)?;
        self.tell(&vault, &done, &left, earlier)
    }

    /// The slots that open the store afterwards, with their root keys, and those that shall not.
    fn ways_in(&self, header: &Header, drop: &[String]) -> Result<(Vec<Reached>, Vec<SlotData>), Failure> {
        let sources: BTreeSet<&str> = header.slots.iter().map(|slot| slot.data.source.as_str()).collect();
        if let Some(unknown) = drop.iter().find(|name| !sources.contains(name.as_str())) {
            let error = anyhow::anyhow!("no slot of the store is for `{}`", unknown.escape_debug());
            return Err(Failure::usage(error).help(format!("{} shows them", self.line("slot list"))));
        }
        let is_dropped = |name: &str| drop.iter().any(|dropped| dropped == name);
        let (mut reached, mut missing) = (Vec::new(), Vec::new());
        for name in sources.into_iter().filter(|name| !is_dropped(name)) {
            match self.opener.reach(header, name)? {
                Ok(slots) => reached.extend(slots),
                Err(why) => missing.push((name, why)),
            }
        }
        if let Some((name, _)) = missing.first() {
            let told: Vec<_> = missing.iter().map(|(name, why)| format!("`{name}` ({why})")).collect();
            let error = anyhow::anyhow!("nothing was changed; the root key is out of reach for: {}", told.join(", "));
            let drop = self.line(&format!("rekey --drop {name}"));
            return Err(Failure::usage(error).help(format!("make it reachable, or let it open no more: {drop}")));
        }
        let data = header.slots.iter().map(|slot| slot.data.clone());
        Ok((reached, data.filter(|data| is_dropped(&data.source)).collect()))
    }

    /// Where the kernel holds the old key, it holds the new one from now on.
    fn replace_held(&self, vault: &Vault) -> Result<(), Failure> {
        match session::held(vault.id(), self.opener.limits(), &KernelMoments) {
            Ok(Held::Key(_)) => self.opener.hold(vault),
            Ok(Held::Not(_)) | Err(SessionError::Unavailable { .. }) => Ok(()),
            Err(error) => {
                let help = "the store has its new key; what is still held opens nothing any more";
                Err(Failure::guard(error).help(help))
            }
        }
    }

    /// Removes what dropped sources kept outside the store, and says which could not be asked.
    fn forget(&self, vault: &Vault, dropped: &[SlotData]) -> Result<Vec<String>, Failure> {
        let mut left = Vec::new();
        for slot in dropped {
            // Nothing of a passphrase or a variable is kept outside.
            let is_outside = ![PASSPHRASE, ENV].contains(&slot.source.as_str());
            // Nobody is asked again for what was dropped because it is out of reach.
            let source = if self.opener.is_quiet(&slot.source) { self.opener.source(&slot.source)? } else { None };
            let forgotten = source.is_some_and(|source| source.forget(vault.id(), slot).is_ok());
            if is_outside && !forgotten {
                left.push(slot.source.clone());
            }
        }
        Ok(left)
    }

    fn tell(&self, vault: &Vault, done: &Rekeyed, left: &[String], earlier: Earlier) -> Result<u8, Failure> {
        let mut out = anstream::stdout().lock();
        let dropped: Vec<&str> = done.dropped.iter().map(|slot| slot.source.as_str()).collect();
        if self.json {
            let value = json!({
                "rekeyed": true, "generation": vault.generation(), "kept": done.kept, "dropped": dropped, "left": left,
            });
            output::json_line(&mut out, &value)?;
            return Ok(EXIT_OK);
        }
        writeln!(out, "{} has a new key; it opens with: {}", self.opener.which.title(), done.kept.join(", "))?;
        if !dropped.is_empty() {
            writeln!(out, "it opens no more with: {}", dropped.join(", "))?;
        }
        if !left.is_empty() {
            writeln!(out, "what these kept outside may still be there, and opens nothing: {}", left.join(", "))?;
        }
        writeln!(out, "the generation before is removed; copies elsewhere open with the old key: destroy them")?;
        if self.opener.which == Which::Secrets {
            let line = match earlier {
                Earlier::Kept => {
                    "values that were sealed in configuration files open still; `ringfort secrets seal-config --migrate` \
                     seals them anew"
                }
                Earlier::Forgotten => "values that were sealed in configuration files before open no more",
            };
            writeln!(out, "{line}")?;
        }
        Ok(EXIT_OK)
    }
}
