// SPDX-License-Identifier: MIT OR Apache-2.0
//! The subcommands that open and close the store: `lock`, `unlock`, `passphrase`.
//!
//! In: a passphrase, unseen. Out: how the store stands afterwards.
//!
//! **Invariant:** what is not locked is not called locked. A way in is added before another is taken away, so that no
//! moment is without one; what is taken away is gone from the generation before, too.

use std::io::Write as _;

use clap::Args;
use ringfort_secrets::moment::KernelMoments;
use ringfort_secrets::passphrase::PASSPHRASE;
use ringfort_secrets::root::RootKeySource;
use ringfort_secrets::root_file::{KEY_FILE, KeyFileSource};
use ringfort_secrets::session::{self, SessionError};
use ringfort_secrets::store::{Header, Vault};
use serde_json::json;

use super::{Desk, Failure};
use crate::commands::{EXIT_DENIED, EXIT_OK};
use crate::output;
use crate::prompt::Prompt;
use crate::vault::{Missing, new_passphrase, unasked, unusable};

/// `ringfort secrets passphrase`
#[derive(Debug, Args)]
#[command(
    after_help = "With a passphrase the store opens to nobody who only has the disk. It is asked for once; the store \
then stays unlocked until it was not used for `secrets.idle_lock_minutes`, the machine was suspended, or \
`ringfort secrets lock`."
)]
pub(super) struct PassphraseArgs {
    /// Take the passphrase away; a key file opens the store then
    #[arg(long, conflicts_with = "forgotten")]
    remove: bool,
    /// Set a new one without the old one; only while the store is unlocked
    #[arg(long)]
    forgotten: bool,
}

impl Desk<'_> {
    pub(super) fn unlock(&self) -> Result<u8, Failure> {
        let opener = self.opener();
        let Some(header) = opener.header()? else { return self.open(Missing::Fail).map(|_| EXIT_OK) };
        let is_quiet = opener.quiet(&header)?.is_ok();
        let vault = self.open(Missing::Fail)?;
        let held = session::held(vault.id(), opener.limits(), &KernelMoments);
        let minutes = self.loaded.config.secrets.idle_lock_minutes;
        let (state, line) = match held {
            Ok(session::Held::Key(_)) => {
                ("unlocked", format!("unlocked; it is locked again once it was not used for {minutes} minutes"))
            }
            _ if is_quiet => ("open", format!("open: {} opens it without you", self.opened_by(&header))),
            Err(error @ SessionError::Unavailable { .. }) => {
                return Err(Failure::guard(error).help("it cannot be kept unlocked on this machine"));
            }
            Ok(session::Held::Not(_)) => ("locked", "it was opened and is not kept unlocked".to_owned()),
            Err(error) => return Err(Failure::guard(error)),
        };
        self.record("secrets.unlock", None, &[("state", state.into())])?;
        self.say(state, &line)?;
        Ok(if state == "locked" { EXIT_DENIED } else { EXIT_OK })
    }

    pub(super) fn lock(&self) -> Result<u8, Failure> {
        let opener = self.opener();
        let Some(header) = opener.header()? else { return self.open(Missing::Fail).map(|_| EXIT_OK) };
        self.record("secrets.lock", None, &[])?;
        let mut unsought = None;
        match session::drop_held(header.store) {
            Ok(_) => {}
            // Nothing is held between commands here. What is held elsewhere, outside a container, is not seen.
            Err(SessionError::Unavailable { message }) => unsought = Some(message),
            Err(error) => {
                let failure =
                    Failure::guard(error).help("log out, or restart the machine, to be sure that it is locked");
                return Err(self.failed("secrets.lock", None, failure));
            }
        }
        if opener.quiet(&header)?.is_ok() {
            let by = self.opened_by(&header);
            let line =
                format!("not locked: {by} opens it without you; `ringfort secrets passphrase` sets a passphrase");
            self.say("open", &line)?;
            return Ok(EXIT_DENIED);
        }
        if let Some(why) = unsought {
            let line = format!(
                "nothing is kept open between commands here: the kernel's key ring is out of reach ({why}); what was \
                 unlocked outside this container stays so, lock it there"
            );
            self.say("unknown", &line)?;
            return Ok(EXIT_DENIED);
        }
        self.say("locked", "locked; its key was sought and is held nowhere any more")?;
        Ok(EXIT_OK)
    }

    pub(super) fn passphrase(&self, args: &PassphraseArgs) -> Result<u8, Failure> {
        let opener = self.opener();
        let Some(header) = opener.header()? else { return self.open(Missing::Fail).map(|_| EXIT_OK) };
        let had = header.slots.iter().any(|slot| slot.data.source == PASSPHRASE);
        if args.remove && !had {
            return Err(Failure::usage(anyhow::anyhow!("there is no passphrase to take away")));
        }
        let prompt = Prompt::open(&self.signals).map_err(unasked)?;
        let mut vault = match opener.quiet(&header)? {
            Ok(vault) if args.forgotten || !had => vault,
            // Who finds a terminal unlocked does not take the store over with it.
            Ok(_) => opener.ask(&header, &prompt)?,
            Err(_) if args.forgotten => {
                let error = anyhow::anyhow!("the store is locked, and only its passphrase opens it");
                return Err(Failure::usage(error).help(
                    "move the folder `secrets` of the state folder away, set the secrets anew, and have those replaced \
                     that cannot be set again",
                ));
            }
            Err(_) => self.open(Missing::Fail)?,
        };
        if args.remove {
            let question = "Without it, who has this disk has the secrets. Take the passphrase away? [y/N] ";
            if !prompt.confirm(question).map_err(unasked)? {
                prompt.say("Nothing was changed.").map_err(unasked)?;
                return Ok(EXIT_DENIED);
            }
            opener.private_keys_folder()?;
            let source = KeyFileSource::new(opener.key_file());
            self.record("secrets.passphrase", None, &[("change", "removed".into())])?;
            self.exchange(&mut vault, &source, &[PASSPHRASE])?;
            self.say("open", "the passphrase was taken away; a key file opens the store now")?;
            return Ok(EXIT_OK);
        }
        let Some(source) = new_passphrase(&prompt, "New passphrase: ", self.clock.as_ref())? else {
            return Err(Failure::usage(anyhow::anyhow!("the passphrase is empty; nothing was changed")));
        };
        let change = if had { "changed" } else { "set" };
        self.record("secrets.passphrase", None, &[("change", change.into())])?;
        self.exchange(&mut vault, &source, &[PASSPHRASE, KEY_FILE])?;
        match session::hold(vault.id(), vault.store_key(), opener.limits(), &KernelMoments) {
            Ok(()) | Err(SessionError::Unavailable { .. }) => {}
            Err(error) => prompt.say(&format!("It is not kept unlocked: {error}")).map_err(unasked)?,
        }
        self.say("unlocked", &format!("the passphrase was {change}; no key file opens the store any more"))?;
        Ok(EXIT_OK)
    }

    /// Adds a way in and then takes those of other kinds away that were there before.
    fn exchange(&self, vault: &mut Vault, source: &dyn RootKeySource, old: &[&str]) -> Result<(), Failure> {
        let before: Vec<_> = vault.header().slots.clone();
        let added = vault.add_slot(source, self.clock.now());
        added.map_err(|error| self.failed("secrets.passphrase", None, unusable(error)))?;
        for slot in before.iter().filter(|slot| old.contains(&slot.data.source.as_str())) {
            let Some(index) = vault.header().slots.iter().position(|present| present == slot) else { continue };
            let data = vault.remove_slot(index);
            let data = data.map_err(|error| self.failed("secrets.passphrase", None, unusable(error)))?;
            if data.source == KEY_FILE {
                let file = KeyFileSource::new(self.opener().key_file());
                file.forget(vault.id(), &data).map_err(|error| {
                    Failure::guard(error).help("it opens the store no more; delete the file yourself")
                })?;
            }
        }
        Ok(())
    }

    /// What opens the store without a person, in words.
    fn opened_by(&self, header: &Header) -> String {
        let status = self.opener().key_source(header);
        status.unwrap_or_else(|| "something else than a passphrase".to_owned())
    }

    fn say(&self, state: &str, line: &str) -> Result<(), Failure> {
        let mut out = anstream::stdout().lock();
        if self.common.json {
            output::json_line(&mut out, &json!({ "state": state, "message": line }))?;
        } else {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}
