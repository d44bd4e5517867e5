// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sources that need a PIN: a token, and a TPM where the configuration says so.
//!
//! In: the configuration, a PIN from the environment or from a person. Out: sources that have it.
//!
//! **Invariant:** a PIN is asked for only where a person started something that needs it, one time for each command: a token
//! counts wrong ones, and this program never spends a try that nobody typed.

use std::sync::Arc;

use ringfort_secrets::backend::Probe;
use ringfort_secrets::backend::pkcs11::{TokenOptions, TokenSource, tokens};
use ringfort_secrets::backend::tpm2::TpmSource;
use ringfort_secrets::locked::Locked;
use ringfort_secrets::root::{RootKeyError, RootKeySource, SOURCE_TIMEOUT};
use ringfort_secrets::store::{Header, StoreError, Vault};

use super::{Opener, unasked, unusable};
use crate::commands::Failure;
use crate::prompt::{Prompt, PromptError};

/// Names the PIN, where no person gives it.
pub(crate) const PIN_VARIABLE: &str = "RINGFORT_SECRET_STORE_PIN";
/// The name of the source that is a token.
pub(super) const PKCS11: &str = "pkcs11";
/// The name of the source that is a TPM.
pub(super) const TPM2: &str = "tpm2";

/// What a PIN that is asked for is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pin {
    /// A new one, where the source lets this program set it.
    New,
    /// The one that it has.
    Known,
}

impl Opener<'_> {
    /// Whether a source needs a PIN, by the configuration.
    fn needs_pin(&self, name: &str) -> bool {
        match name {
            PKCS11 => self.config.pkcs11_module.is_some(),
            TPM2 => self.config.tpm2_pin,
            _ => false,
        }
    }

    /// The PIN from the environment, if it is set.
    pub(super) fn pin_given(&self) -> Result<Option<Locked>, Failure> {
        let Some(value) = self.world.variable(PIN_VARIABLE).filter(|value| !value.is_empty()) else { return Ok(None) };
        Locked::copy_of(value.as_encoded_bytes()).map(Some).map_err(Failure::guard)
    }

    /// The TPM, or the token of the configuration; `None` where no module is named.
    pub(super) fn with_pin(&self, name: &str, pin: Option<Locked>) -> Option<Box<dyn RootKeySource>> {
        match name {
            TPM2 => Some(Box::new(TpmSource::new(self.tpm(), self.config.tpm2_pcrs.clone(), pin))),
            PKCS11 => Some(Box::new(TokenSource::new(self.token(pin)?))),
            _ => None,
        }
    }

    /// The source of this name for something that a person asked for: they are asked for its PIN, too.
    ///
    /// # Errors
    ///
    /// Nobody gave the PIN that it needs.
    pub(crate) fn source_of_person(&self, name: &str, pin: Pin) -> Result<Option<Box<dyn RootKeySource>>, Failure> {
        if !self.needs_pin(name) || self.pin_given()?.is_some() {
            return self.source(name);
        }
        let prompt = Prompt::open(self.signals).map_err(|error| {
            let failure = Failure::usage(anyhow::anyhow!("a PIN is needed, and {error}"));
            failure.help(format!("run it on a terminal, or set {PIN_VARIABLE}"))
        })?;
        let given = if name == TPM2 && pin == Pin::New {
            prompt.twice("New PIN of the TPM: ", "The same again: ")
        } else {
            prompt.hidden(&format!("PIN of the {}: ", self.called(name)))
        };
        let given = given.map_err(unasked)?;
        if given.is_empty() {
            return Err(unasked(PromptError::Cancelled));
        }
        Ok(self.with_pin(name, Some(given)))
    }

    /// The store by a source whose PIN a person gives now; `None` where there is no such source here.
    ///
    /// # Errors
    ///
    /// It does not open; nothing was tried twice.
    pub(super) fn by_pin(&self, header: &Header) -> Result<Option<Vault>, Failure> {
        let has = |name: &str| header.slots.iter().any(|slot| slot.data.source == name);
        let Some(name) = [PKCS11, TPM2].into_iter().find(|name| has(name) && self.needs_pin(name)) else {
            return Ok(None);
        };
        let others = header.slots.iter().any(|slot| slot.data.source == ringfort_secrets::passphrase::PASSPHRASE);
        if others && name == PKCS11 && !self.probe_token().is_ready() {
            return Ok(None);
        }
        let Some(source) = self.source_of_person(name, Pin::Known)? else { return Ok(None) };
        match Vault::open(&self.folder(), source.as_ref()) {
            Ok(vault) => Ok(Some(vault)),
            Err(StoreError::Root(RootKeyError::Absent { .. })) if others => Ok(None),
            Err(error) => Err(unusable(error)),
        }
    }

    /// How the token is found. No PIN is used.
    pub(super) fn probe_token(&self) -> Probe {
        let Some(options) = self.token(None) else {
            return Probe::Absent { message: "no module is named (`secrets.pkcs11_module`)".to_owned() };
        };
        let options = TokenOptions { timeout: ringfort_secrets::backend::PROBE_TIMEOUT, ..options };
        let label = options.label.clone();
        let found = tokens(&options).map(|all| {
            all.into_iter().filter(|token| label.as_ref().is_none_or(|label| *label == token.label)).collect::<Vec<_>>()
        });
        match found.as_deref() {
            Ok([token]) if token.pin == "locked" || token.pin == "not set" => {
                Probe::Locked { message: format!("the PIN of the token `{}` is {}", token.label, token.pin) }
            }
            Ok([_]) => Probe::Ready,
            Ok([]) => Probe::Absent { message: "the token is not there".to_owned() },
            Ok(_) => Probe::Absent { message: "there are several tokens: name one (`secrets.pkcs11_token`)".to_owned() },
            Err(error) => Probe::of::<()>(Err(error.clone().into())),
        }
    }

    fn token(&self, pin: Option<Locked>) -> Option<TokenOptions> {
        Some(TokenOptions {
            module: self.config.pkcs11_module.as_deref()?.into(),
            label: self.config.pkcs11_token.clone(),
            serial: None,
            pin: pin.map(Arc::new),
            timeout: SOURCE_TIMEOUT,
        })
    }

    fn called(&self, name: &str) -> String {
        match (name, &self.config.pkcs11_token) {
            (PKCS11, Some(label)) => format!("token `{}`", label.escape_debug()),
            (PKCS11, None) => "token".to_owned(),
            _ => "TPM".to_owned(),
        }
    }
}
