// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a person, or a file in a person's place, is asked for to open the store: the PIN of a device, the passphrase.
//!
//! In: the configuration, a terminal. Out: an open store.
//!
//! **Invariant:** an attempt at a PIN is counted before it is made, beside what the device counts itself; a device that says
//! it is locked is not asked again. No PIN comes from the command line or the environment.

use std::sync::Arc;

use ringfort_policy::config::SecretsConfig;
use ringfort_secrets::backend::PROBE_TIMEOUT;
use ringfort_secrets::backend::pkcs11::{TokenError, TokenOptions, TokenSource, log_in};
use ringfort_secrets::backend::tpm2::{PIN_BYTES_MIN, TpmOptions, TpmSource, usable};
use ringfort_secrets::locked::Locked;
use ringfort_secrets::lockout::{Caller, Lockout};
use ringfort_secrets::moment::KernelMoments;
use ringfort_secrets::passphrase::PASSPHRASE;
use ringfort_secrets::pin_file::{PinFile, PinFileSource};
use ringfort_secrets::root::{RootKeyError, RootKeySource, SlotData};
use ringfort_secrets::store::{Header, StoreError};

use super::sources::{PKCS11, TPM2, token_options, tpm_options};
use super::{LOCKOUT_NAME, Opener, Shut, TRIES_MAX, WAIT, Work, unasked};
use crate::commands::Failure;
use crate::prompt::{Prompt, PromptError};

/// Who is counted where a person tries.
const PERSON: &str = "cli";
/// Who is counted where a PIN comes from a file.
const FILE: &str = "pin-file";
/// What there is to do about a PIN that nobody knows any more.
const OTHER_WAY: &str = "the TPM counts wrong PINs too, and locks itself for a while; another slot of the store, such as a \
                         passphrase, opens it without the TPM";

/// The file with the PIN of the token, if the configuration names one.
pub(crate) fn token_file(config: &SecretsConfig, state: &std::path::Path) -> Option<PinFile> {
    Some(PinFile::new(config.pkcs11_pin_file.as_ref()?, state.join("pkcs11-pin.refused"), PKCS11))
}

/// The PIN of the token from its file, which the token has taken once; a wrong one is sent once and not again.
///
/// # Errors
///
/// The file gives no PIN, or the token refuses it.
pub(crate) fn token_pin(options: &TokenOptions, file: &PinFile) -> Result<Locked, Failure> {
    let help = "`ringfort secrets status` shows the token; the file needs mode 0600 and the right PIN";
    let failed = |error: RootKeyError| Failure::usage(error).help(help);
    let (pin, stamp) = file.read().map_err(failed)?;
    let pin = Arc::new(pin);
    let tried = log_in(&TokenOptions { pin: Some(Arc::clone(&pin)), ..options.clone() });
    if let Err(TokenError::Pin(_)) = &tried {
        file.refused(&stamp).map_err(Failure::guard)?;
    }
    tried.map_err(|error| failed(error.into()))?;
    pin.try_clone().map_err(Failure::guard)
}

impl Opener<'_> {
    /// The TPM as a source; its PIN comes from a file where the configuration names one.
    pub(super) fn tpm_source(&self) -> Box<dyn RootKeySource> {
        let config = self.config.clone();
        let with = move |pin| -> Box<dyn RootKeySource> {
            Box::new(TpmSource::new(tpm_options(&config), config.tpm2_pcrs.clone(), pin))
        };
        match self.tpm_file() {
            None => with(None),
            Some(file) => Box::new(PinFileSource::new(file, Box::new(with), TpmSource::needs_pin)),
        }
    }

    /// Why the files of PINs give none, as far as the store needs them. No device is asked.
    pub(super) fn pin_faults(&self, header: &Header) -> Vec<String> {
        let is_token = header.slots.iter().any(|slot| slot.data.source == PKCS11);
        let is_tpm = header.slots.iter().any(|slot| TpmSource::needs_pin(&slot.data));
        let token = token_file(self.config, self.state).filter(|_| is_token);
        let tpm = self.tpm_file().filter(|_| is_tpm);
        tpm.into_iter().chain(token).filter_map(|file| file.read().err()).map(|error| error.to_string()).collect()
    }

    /// Whether a file gives the PIN of the TPM.
    pub(crate) const fn has_pin_file(&self) -> bool {
        self.config.tpm2_pin_file.is_some()
    }

    /// Whether a slot of the TPM needs a PIN that only a person gives.
    pub(super) fn asks_pin(&self, header: &Header) -> bool {
        header.slots.iter().any(|slot| self.asks_pin_of(&slot.data))
    }

    /// Whether this slot of the TPM needs a PIN that only a person gives.
    pub(crate) fn asks_pin_of(&self, slot: &SlotData) -> bool {
        !self.has_pin_file() && TpmSource::needs_pin(slot)
    }

    fn tpm_file(&self) -> Option<PinFile> {
        Some(PinFile::new(self.config.tpm2_pin_file.as_ref()?, self.state.join("tpm2-pin.refused"), TPM2))
    }

    /// The token as a source, with the PIN of a file; `None` where the configuration names no such file or no module.
    pub(super) fn token_source(&self) -> Option<Box<dyn RootKeySource>> {
        let file = token_file(self.config, self.state)?;
        let options = token_options(self.config, None)?;
        let with = move |pin: Option<Locked>| -> Box<dyn RootKeySource> {
            Box::new(TokenSource::new(TokenOptions { pin: pin.map(Arc::new), ..options.clone() }))
        };
        Some(Box::new(PinFileSource::new(file, Box::new(with), |_| true)))
    }

    /// A source for a new key in the TPM that needs a PIN: that of the file, or one that is asked for.
    ///
    /// # Errors
    ///
    /// Nobody can be asked, or what was answered will not do.
    pub(crate) fn new_pin(&self) -> Result<Box<dyn RootKeySource>, Failure> {
        if self.config.tpm2_pin_file.is_some() {
            return Ok(self.tpm_source());
        }
        let prompt = self.prompt().map_err(|error| {
            Failure::usage(anyhow::Error::from(error).context("a new PIN is asked for on a terminal"))
                .help("or let `secrets.tpm2_pin_file` name a file with it, of this user alone")
        })?;
        let _silent = prompt.silence().map_err(unasked)?;
        let pin = prompt.twice("New PIN of the TPM: ", "Again: ").map_err(unasked)?;
        if pin.len() < PIN_BYTES_MIN {
            let error = anyhow::anyhow!("a PIN has at least {PIN_BYTES_MIN} characters; nothing was changed");
            return Err(Failure::usage(error));
        }
        Ok(Box::new(TpmSource::new(self.tpm(), self.config.tpm2_pcrs.clone(), Some(pin))))
    }

    /// Counts that a PIN of a file was refused.
    pub(super) fn count_refused(&self, header: &Header) {
        // The file itself is not used again; where nothing can be counted that still holds.
        drop(self.lockout(header).charge(&caller(FILE), &KernelMoments));
    }

    pub(super) fn lockout(&self, header: &Header) -> Lockout {
        Lockout::new(self.folder().join(LOCKOUT_NAME), header.store)
    }

    /// Does something that needs a source of the root key with what a person is asked for: the PIN of a device, then the
    /// passphrase.
    pub(super) fn by_person<T>(&self, header: &Header, shut: Shut, work: Work<'_, T>) -> Result<T, Failure> {
        let has = |name: &str| header.slots.iter().any(|slot| slot.data.source == name);
        let is_pin = header.slots.iter().any(|slot| TpmSource::needs_pin(&slot.data));
        let is_token = has(PKCS11) && !has(PASSPHRASE) && self.config.pkcs11_module.is_some();
        if !is_pin && !is_token && !has(PASSPHRASE) {
            return Err(shut.refused.map_or_else(|| self.closed(header), |error| self.unusable(error)));
        }
        let prompt = self.prompt().map_err(|error| {
            let because = match &shut.refused {
                Some(refused) => format!(" ({refused})"),
                None if is_token => " (the PIN of the token is needed)".to_owned(),
                None => String::new(),
            };
            let title = self.which.title();
            let failure = Failure::usage(anyhow::anyhow!("{title} is locked, and {error}{because}"));
            failure.help("unlock it first, on a terminal: `ringfort secrets unlock`")
        })?;
        if let Some(why) = shut.because {
            prompt.say(&format!("The store of secrets was locked: {why}.")).map_err(unasked)?;
        }
        if is_pin && let Some(done) = self.ask_pin(header, &prompt, work)? {
            return Ok(done);
        }
        if is_token && let Some(source) = self.with_pin()? {
            return self.attempt(header, || work(source.as_ref()))?.map_err(|error| self.unusable(error));
        }
        self.ask_for(header, &prompt, work)
    }

    /// Asks for the PIN of the TPM; `None` where the passphrase is to be asked for instead.
    fn ask_pin<T>(&self, header: &Header, prompt: &Prompt<'_>, work: Work<'_, T>) -> Result<Option<T>, Failure> {
        let or_passphrase = header.slots.iter().any(|slot| slot.data.source == PASSPHRASE);
        let instead = |error: StoreError| match or_passphrase {
            true => prompt.say(&format!("{error}.")).map_err(unasked).map(|()| None),
            false => Err(self.unusable(error)),
        };
        if let Err(error) = usable(&TpmOptions { timeout: PROBE_TIMEOUT, ..self.tpm() }) {
            return instead(error.into());
        }
        let question = if or_passphrase { "PIN of the TPM (empty: the passphrase): " } else { "PIN of the TPM: " };
        let _silent = prompt.silence().map_err(unasked)?;
        for _ in 0..TRIES_MAX {
            let pin = prompt.hidden(question).map_err(unasked)?;
            if pin.is_empty() {
                return if or_passphrase { Ok(None) } else { Err(unasked(PromptError::Cancelled)) };
            }
            let source = TpmSource::new(self.tpm(), self.config.tpm2_pcrs.clone(), Some(pin));
            match self.attempt(header, || work(&source))? {
                Ok(done) => return Ok(Some(done)),
                Err(StoreError::Root(RootKeyError::WrongPin { .. })) => {
                    prompt.say("That is not the PIN.").map_err(unasked)?;
                }
                Err(error @ StoreError::Root(_)) => return instead(error),
                Err(error) => return Err(self.unusable(error)),
            }
        }
        if or_passphrase {
            return Ok(None);
        }
        let error = anyhow::anyhow!("the store of secrets stays locked: {TRIES_MAX} wrong PINs");
        Err(Failure::usage(error).help(OTHER_WAY))
    }

    /// One attempt at a PIN, counted before it is made. What never came to a PIN does not count.
    pub(super) fn attempt<T>(
        &self,
        header: &Header,
        work: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<Result<T, StoreError>, Failure> {
        let lockout = self.lockout(header);
        let counted =
            lockout.charge(&caller(PERSON), &KernelMoments).map_err(|error| Failure::usage(error).help(WAIT))?;
        let done = work();
        match &done {
            Ok(_) => counted.succeeded(&KernelMoments).map_err(Failure::guard)?,
            // It counts.
            Err(StoreError::Root(RootKeyError::WrongPin { .. })) => {}
            Err(_) => counted.withdrawn(&KernelMoments).map_err(Failure::guard)?,
        }
        Ok(done)
    }
}

/// Who tries at this door.
pub(super) fn caller(door: &str) -> Caller {
    Caller::new(&format!("{door}:{}", rustix::process::getuid().as_raw()))
}
