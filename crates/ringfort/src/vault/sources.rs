// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sources of the store's root key on this machine, by name.
//!
//! In: the configuration and the environment. Out: sources, and how each backend is found.
//!
//! **Invariant:** a source is made from what the user's configuration and the caller's environment say, never from what a
//! store's header says: who writes the file does not choose what is loaded or asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringfort_policy::config::SecretsConfig;
use ringfort_secrets::backend::keyutils::{KEYUTILS, KeyutilsSource};
use ringfort_secrets::backend::pkcs11::{TokenOptions, TokenSeen, TokenSource, tokens};
use ringfort_secrets::backend::secret_service::{SECRET_SERVICE, SecretServiceSource};
use ringfort_secrets::backend::tpm2::{TpmDevice, TpmOptions, usable};
use ringfort_secrets::backend::{Backend, PROBE_TIMEOUT, Probe};
use ringfort_secrets::locked::Locked;
use ringfort_secrets::passphrase::{ENV, EnvKeySource};
use ringfort_secrets::root::{RootKeyError, RootKeySource, SOURCE_TIMEOUT};
use ringfort_secrets::root_file::{KEY_FILE, KeyFileSource};
use ringfort_secrets::store::Header;

use super::{KEY_VARIABLE, Opener, unasked};
use crate::commands::Failure;

/// The name of a TPM as a source.
pub(crate) const TPM2: &str = "tpm2";
/// The name of a token as a source.
pub(crate) const PKCS11: &str = "pkcs11";
/// The sources that need no person, in the order in which they are tried: what answers at once comes first.
pub(super) const QUIET: [&str; 5] = [ENV, KEY_FILE, KEYUTILS, SECRET_SERVICE, TPM2];

/// What to say to a person when a store is made with this source; `None` where nothing need be known.
pub(super) fn remark(source: &str) -> Option<&'static str> {
    match source {
        SECRET_SERVICE => Some("Its key is kept in the desktop's keyring; it opens while that is unlocked."),
        KEYUTILS => Some(
            "Its key is in the kernel's keyring only, and gone after a restart. Add a passphrase now: \
             `ringfort secrets passphrase`",
        ),
        _ => None,
    }
}

impl Opener<'_> {
    /// The source of this name, if this process has what it takes to ask it.
    ///
    /// # Errors
    ///
    /// There is no memory for a key of the environment.
    pub(crate) fn source(&self, name: &str) -> Result<Option<Box<dyn RootKeySource>>, Failure> {
        let source: Box<dyn RootKeySource> = match name {
            ENV => return Ok(self.variable()?.map(|source| Box::new(source) as Box<dyn RootKeySource>)),
            KEY_FILE => Box::new(KeyFileSource::new(self.key_file())),
            KEYUTILS => Box::new(KeyutilsSource),
            SECRET_SERVICE => Box::new(self.secret_service()),
            TPM2 => self.tpm_source(),
            PKCS11 => match self.token_source() {
                Some(source) => source,
                None => return self.with_pin(),
            },
            _ => return Ok(None),
        };
        Ok(Some(source))
    }

    /// The sources that need no person here, in the order in which they are tried.
    pub(super) fn quiet_names(&self) -> impl Iterator<Item = &'static str> {
        let token = self.token_source().map(|_| PKCS11);
        QUIET.into_iter().chain(token)
    }

    /// Every source that needs no person here and can be asked.
    ///
    /// # Errors
    ///
    /// There is no memory for a key of the environment.
    pub(crate) fn quiet_sources(&self) -> Result<Vec<Box<dyn RootKeySource>>, Failure> {
        self.quiet_names().filter_map(|name| self.source(name).transpose()).collect()
    }

    /// Whether the source of this name needs no person here.
    pub(crate) fn is_quiet(&self, name: &str) -> bool {
        self.quiet_names().any(|known| known == name)
    }

    /// The source that keeps the root key of a backend other than the encrypted file.
    ///
    /// # Errors
    ///
    /// The backend cannot be asked from here.
    pub(crate) fn native(&self, backend: Backend) -> Result<Box<dyn RootKeySource>, Failure> {
        self.source(backend.word())?.ok_or_else(|| {
            let error = anyhow::anyhow!("the backend {backend} cannot be used by this command");
            Failure::usage(error).help("`ringfort secrets status` shows what there is")
        })
    }

    /// How a backend is found on this machine.
    pub(super) fn probe(&self, backend: Backend) -> Probe {
        match backend {
            Backend::Env | Backend::EncryptedFile => Probe::Ready,
            Backend::Keyutils => KeyutilsSource.probe(),
            Backend::SecretService => self.secret_service().probe(),
            Backend::Tpm2 => Probe::of(usable(&TpmOptions { timeout: PROBE_TIMEOUT, ..self.tpm() })),
            Backend::Pkcs11 => match self.token(None) {
                None => Probe::Absent { message: "`secrets.pkcs11_module` names no module".to_owned() },
                Some(options) => Probe::of(self.probe_token(&options)),
            },
        }
    }

    /// Where the root key comes from: by the first source that needs nobody and can be asked, else by the first slot.
    pub(crate) fn key_source(&self, header: &Header) -> Option<String> {
        let has = |name: &str| header.slots.iter().any(|slot| slot.data.source == name);
        let mut quiet = self.quiet_names().filter(|name| has(name));
        let found = quiet.find_map(|name| self.source(name).ok().flatten()).map(|source| source.key_source());
        found.or_else(|| header.slots.first().map(|slot| slot.data.source.clone()))
    }

    /// The source from the environment, if it is set.
    pub(super) fn variable(&self) -> Result<Option<EnvKeySource>, Failure> {
        let Some(value) = self.world.variable(KEY_VARIABLE).filter(|value| !value.is_empty()) else { return Ok(None) };
        let value = Locked::copy_of(value.as_encoded_bytes()).map_err(Failure::guard)?;
        Ok(Some(EnvKeySource::new(KEY_VARIABLE, value)))
    }

    /// The token that the configuration names, if it names a module.
    fn token(&self, pin: Option<Locked>) -> Option<TokenOptions> {
        token_options(self.config, pin)
    }

    /// Whether the token is there. It is not asked for anything that needs its PIN.
    fn probe_token(&self, options: &TokenOptions) -> Result<(), RootKeyError> {
        let wanted = |token: &&TokenSeen| options.label.as_ref().is_none_or(|label| *label == token.label);
        let seen = tokens(options)?;
        match seen.iter().find(wanted) {
            Some(token) if ["locked", "not set"].contains(&token.pin) => {
                let message = format!("the PIN of the token `{}` is {}", token.label.escape_debug(), token.pin);
                Err(RootKeyError::Locked { source_name: PKCS11, message })
            }
            Some(_) => Ok(()),
            None => {
                let message = "the module shows no such token".to_owned();
                Err(RootKeyError::Absent { source_name: PKCS11, message })
            }
        }
    }

    /// The token, with its PIN, which is asked for once, as a token locks itself after a few wrong ones.
    ///
    /// # Errors
    ///
    /// Nobody can be asked.
    pub(super) fn with_pin(&self) -> Result<Option<Box<dyn RootKeySource>>, Failure> {
        if self.config.pkcs11_module.is_none() {
            return Ok(None);
        }
        let prompt = self.prompt().map_err(|error| {
            let failure = Failure::usage(anyhow::Error::from(error).context("the PIN of the token is needed"));
            failure.help("run it on a terminal of your own")
        })?;
        let pin = prompt.hidden("PIN of the token: ").map_err(unasked)?;
        let pin = Some(pin).filter(|pin| !pin.is_empty());
        Ok(self.token(pin).map(|options| Box::new(TokenSource::new(options)) as Box<dyn RootKeySource>))
    }

    fn secret_service(&self) -> SecretServiceSource {
        let text = |name: &str| self.world.variable(name).and_then(|value| value.to_str());
        SecretServiceSource::new(text("DBUS_SESSION_BUS_ADDRESS"), text("XDG_RUNTIME_DIR").map(Path::new))
    }

    pub(super) fn tpm(&self) -> TpmOptions {
        tpm_options(self.config)
    }
}

/// The TPM that the configuration names.
pub(crate) fn tpm_options(config: &SecretsConfig) -> TpmOptions {
    let device = match config.tpm2_device.as_deref() {
        None => TpmDevice::Machine,
        Some(place) => match place.strip_prefix("loopback:").and_then(|port| port.parse().ok()) {
            Some(port) => TpmDevice::Loopback(port),
            None => TpmDevice::File(PathBuf::from(place)),
        },
    };
    TpmOptions { device, ..TpmOptions::default() }
}

/// The token that the configuration names, if it names a module.
pub(crate) fn token_options(config: &SecretsConfig, pin: Option<Locked>) -> Option<TokenOptions> {
    Some(TokenOptions {
        module: PathBuf::from(config.pkcs11_module.as_ref()?),
        label: config.pkcs11_token.clone(),
        serial: None,
        pin: pin.map(Arc::new),
        timeout: SOURCE_TIMEOUT,
    })
}
