// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which backend keeps the root key of the secrets: what was asked for, what is used, and why.
//!
//! In: the name from the configuration, what each backend answered when it was looked at, what is known of the store.
//! Out: a [`Status`] with the fourteen fields of the reference and ours, and whether a value may be written.
//!
//! **Invariant:** no backend stands in for another in silence: where one does, the status says so and writing is refused
//! unless the configuration allows it. What was not looked at is never called ready.

mod bus;
mod device;
pub mod env;
mod kept;
pub mod keyutils;
mod matrix;
#[cfg(feature = "pkcs11")]
pub mod pkcs11;
pub mod secret_service;
mod status;
pub mod tpm2;

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

pub use matrix::{MATRIX, Row, When, classify};
pub use status::{Sight, SlotSeen, Status, Writes};

use crate::root::RootKeyError;

/// Longest that a backend is waited for when it is only looked at.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// Most of a requested name that is repeated. Bytes.
pub const REQUESTED_MAX: usize = 64;
/// The path that a store in memory is given.
pub const MEMORY_PATH: &str = "memory://secret-store";

/// Where secrets, or the root key that opens them, are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Backend {
    /// The memory of this process and its environment; nothing is written.
    Env,
    /// The store in a file; its root key comes from a passphrase, a key file or the environment.
    EncryptedFile,
    /// The store in a file; its root key lies in the desktop's Secret Service.
    SecretService,
    /// The store in a file; its root key lies in the kernel's keyring of the user and is gone after a restart.
    Keyutils,
    /// The store in a file; its root key is sealed by a TPM.
    Tpm2,
    /// The store in a file; its root key is made by a token.
    Pkcs11,
}

impl Backend {
    /// Every backend.
    pub const ALL: [Self; 6] =
        [Self::Env, Self::EncryptedFile, Self::SecretService, Self::Keyutils, Self::Tpm2, Self::Pkcs11];

    /// Its word in the configuration and in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Env => "env",
            Self::EncryptedFile => "encrypted-file",
            Self::SecretService => "secret-service",
            Self::Keyutils => "keyutils",
            Self::Tpm2 => "tpm2",
            Self::Pkcs11 => "pkcs11",
        }
    }

    /// The backend to which a source of root keys belongs, by [`crate::root::RootKeySource::name`].
    pub fn of_source(source: &str) -> Option<Self> {
        match source {
            "passphrase" | "key-file" | "env" => Some(Self::EncryptedFile),
            other => [Self::SecretService, Self::Keyutils, Self::Tpm2, Self::Pkcs11]
                .into_iter()
                .find(|backend| backend.word() == other),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Serialize for Backend {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

/// What a requested name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A backend by its own name.
    Exactly(Backend),
    /// The best that works here.
    Auto,
    /// The keychain of another system, or its keystore: the Secret Service has their place here.
    Desktop,
    /// The data protection of Windows: nothing here has its place.
    Dpapi,
    /// None of them.
    Unknown,
}

/// A backend as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requested {
    text: String,
    kind: Kind,
}

impl Requested {
    /// Reads a name; case does not matter. A blank one is `auto`.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let lower = text.to_ascii_lowercase();
        let kind = match lower.as_str() {
            "" | "auto" => Kind::Auto,
            "file" => Kind::Exactly(Backend::EncryptedFile),
            "keychain" | "keystore" => Kind::Desktop,
            "dpapi" => Kind::Dpapi,
            other => {
                Backend::ALL.into_iter().find(|backend| backend.word() == other).map_or(Kind::Unknown, Kind::Exactly)
            }
        };
        let text = if text.is_empty() { "auto" } else { text };
        let end = (0..=REQUESTED_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        Self { text: text.get(..end).unwrap_or_default().to_owned(), kind }
    }

    /// The name as it was given, without blanks around it and not longer than [`REQUESTED_MAX`].
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it stands for.
    pub const fn kind(&self) -> Kind {
        self.kind
    }
}

/// How far a requested backend is supported here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Support {
    /// It is.
    Implemented,
    /// It is not, or does not work here; the encrypted file stands in.
    FallbackOnly,
    /// There is no such backend.
    Unsupported,
}

impl Support {
    /// Its word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Implemented => "implemented",
            Self::FallbackOnly => "fallback-only",
            Self::Unsupported => "unsupported",
        }
    }
}

/// How a backend was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It works.
    Ready,
    /// It is there and needs a person first.
    Locked {
        /// What to do.
        message: String,
    },
    /// It is not there.
    Absent {
        /// What was looked for.
        message: String,
    },
    /// It does not work as it should.
    Broken {
        /// What happened.
        message: String,
    },
    /// It did not answer in time.
    Slow {
        /// How long it was waited for.
        waited: Duration,
    },
}

impl Probe {
    /// From what a source answered.
    pub fn of<T>(answer: Result<T, RootKeyError>) -> Self {
        match answer {
            Ok(_) => Self::Ready,
            Err(RootKeyError::Absent { message, .. }) => Self::Absent { message },
            Err(RootKeyError::Locked { message, .. }) => Self::Locked { message },
            Err(RootKeyError::Slow { waited, .. }) => Self::Slow { waited },
            Err(
                RootKeyError::Wrong { message, .. }
                | RootKeyError::WrongPin { message, .. }
                | RootKeyError::Broken { message, .. },
            ) => Self::Broken { message },
            Err(RootKeyError::Memory(error)) => Self::Broken { message: error.to_string() },
        }
    }

    /// Its word in reports.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Locked { .. } => "locked",
            Self::Absent { .. } => "absent",
            Self::Broken { .. } => "broken",
            Self::Slow { .. } => "slow",
        }
    }

    /// Whether the backend can be used now.
    pub const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready)
    }

    /// What to tell a person about it; `None` where it works.
    pub fn message(&self) -> Option<String> {
        match self {
            Self::Ready => None,
            Self::Locked { message } => Some(format!("it is locked: {message}")),
            Self::Absent { message } => Some(format!("it is not there: {message}")),
            Self::Broken { message } => Some(format!("it does not work: {message}")),
            Self::Slow { waited } => Some(format!("it did not answer within {} s", waited.as_secs())),
        }
    }
}

/// Looks at backends. Each look is bounded in time, see [`PROBE_TIMEOUT`].
pub trait Probes {
    /// How `backend` is found now.
    fn probe(&self, backend: Backend) -> Probe;
}

impl<F: Fn(Backend) -> Probe> Probes for F {
    fn probe(&self, backend: Backend) -> Probe {
        self(backend)
    }
}

/// What `auto` came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The backend.
    pub backend: Backend,
    /// Why this one and none before it.
    pub reason: String,
}

/// What `auto` tries, in this order, before the encrypted file. The kernel's keyring is left out because it forgets at
/// every restart, tokens because they need a PIN.
pub const AUTO_ORDER: [Backend; 2] = [Backend::SecretService, Backend::Tpm2];

/// The best backend that works here: the first of [`AUTO_ORDER`] that is ready, else the encrypted file.
pub fn select_auto(probes: &dyn Probes) -> Choice {
    let mut passed = Vec::new();
    for backend in AUTO_ORDER {
        match probes.probe(backend).message() {
            None => {
                let before = if passed.is_empty() { String::new() } else { format!("; {}", passed.join("; ")) };
                return Choice { backend, reason: format!("auto resolves to {backend}, which works here{before}") };
            }
            Some(message) => passed.push(format!("{backend}: {message}")),
        }
    }
    let reason = format!("auto resolves to encrypted-file, for no native backend works here; {}", passed.join("; "));
    Choice { backend: Backend::EncryptedFile, reason }
}

#[cfg(test)]
mod tests;
