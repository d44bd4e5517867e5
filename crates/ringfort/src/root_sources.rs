// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sources of root keys outside this program, as this machine and this caller's environment have them.
//!
//! In: the environment. Out: for each backend how it is found, and the source that makes and opens its key slots.
//!
//! **Invariant:** a source is built from what the caller's own environment says and reached only when it is used; a
//! backend of which this version knows nothing is absent, and says so.

use std::path::Path;

use ringfort_secrets::backend::keyutils::{KEYUTILS, KeyutilsSource};
use ringfort_secrets::backend::secret_service::{SECRET_SERVICE, SecretServiceSource};
use ringfort_secrets::backend::tpm2::{TpmOptions, TpmSource, usable};
use ringfort_secrets::backend::{Backend, PROBE_TIMEOUT, Probe, Probes};
use ringfort_secrets::root::RootKeySource;

use crate::wiring::World;

/// The sources of this machine.
pub(crate) struct RootSources {
    service: SecretServiceSource,
}

impl RootSources {
    /// As the caller's environment has them.
    pub(crate) fn of(world: &World) -> Self {
        let address = world.variable("DBUS_SESSION_BUS_ADDRESS").and_then(|address| address.to_str());
        let runtime_dir = world.variable("XDG_RUNTIME_DIR").map(Path::new);
        Self { service: SecretServiceSource::new(address, runtime_dir) }
    }

    /// The source of a backend, where it is one of these.
    pub(crate) fn source(&self, backend: Backend) -> Option<Box<dyn RootKeySource>> {
        match backend {
            Backend::SecretService => Some(Box::new(self.service.clone())),
            Backend::Keyutils => Some(Box::new(KeyutilsSource)),
            Backend::Tpm2 => Some(Box::new(TpmSource::new(TpmOptions::default(), Vec::new(), None))),
            Backend::Env | Backend::EncryptedFile | Backend::Pkcs11 => None,
        }
    }
}

impl Probes for RootSources {
    fn probe(&self, backend: Backend) -> Probe {
        match backend {
            Backend::Env | Backend::EncryptedFile => Probe::Ready,
            Backend::SecretService => self.service.probe(),
            Backend::Keyutils => KeyutilsSource.probe(),
            Backend::Tpm2 => Probe::of(usable(&TpmOptions { timeout: PROBE_TIMEOUT, ..TpmOptions::default() })),
            Backend::Pkcs11 => Probe::Absent { message: "no PKCS#11 module is configured".to_owned() },
        }
    }
}

/// What to say to a person when a store is made with this source; `None` where nothing need be known.
pub(crate) fn remark(source: &str) -> Option<&'static str> {
    match source {
        SECRET_SERVICE => Some("Its key is kept in the desktop's keyring; it opens while that is unlocked."),
        KEYUTILS => Some(
            "Its key is in the kernel's keyring only, and gone after a restart. Add a passphrase now: \
             `ringfort secrets passphrase`",
        ),
        _ => None,
    }
}
