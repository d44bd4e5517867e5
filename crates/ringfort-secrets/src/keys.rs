// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys that sign, authenticate and derive.
//!
//! In: a kind of key, messages. Out: signatures, MACs, derived keys, public halves.
//!
//! **Invariant:** a private half leaves its provider only sealed or as a reference into a device; a failure is an error,
//! never an empty or an ordinary value.

pub mod audit;
pub mod place;
pub mod public;
pub mod record;
pub mod ring;
pub mod shelf;
pub mod signer;
pub mod software;
pub mod sshsig;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::locked::{Locked, LockedError};

/// What a key is for, and its algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum KeyKind {
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// ECDSA over P-256 with SHA-256 (FIPS 186-5); signatures are 64 bytes, r then s.
    EcdsaP256,
    /// HMAC with SHA-256 (RFC 2104); also what keys are derived from.
    HmacSha256,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Ed25519, Self::EcdsaP256, Self::HmacSha256];

    /// Its name, as it is written and read everywhere.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa-p256",
            Self::HmacSha256 => "hmac-sha256",
        }
    }

    /// Whether there is a public half that verifies without the private one.
    pub const fn has_public(self) -> bool {
        !matches!(self, Self::HmacSha256)
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a provider gives to keep: for software the private half, which the caller must seal; for a device a reference
/// or a blob that only this device can use.
#[derive(Debug)]
pub struct KeyHandle {
    /// The kind.
    pub kind: KeyKind,
    /// The public half, raw: 32 bytes for Ed25519, 65 (SEC 1, uncompressed) for P-256; `None` for a MAC key.
    pub public: Option<Vec<u8>>,
    /// The provider's own bytes.
    pub private: Locked,
}

/// Why a key could not be made or used. No signature, no key and no change came of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The provider cannot do this with such a key.
    #[error("{provider} cannot {operation} with a key of the kind `{kind}`")]
    Unsupported {
        /// The provider.
        provider: &'static str,
        /// What was asked for.
        operation: &'static str,
        /// The kind.
        kind: KeyKind,
    },
    /// The provider's device or module is not there.
    #[error("{provider} is not there: {message}")]
    Absent {
        /// The provider.
        provider: &'static str,
        /// What was looked for, and what to do.
        message: String,
    },
    /// The provider failed.
    #[error("{provider} failed to {operation}: {message}")]
    Broken {
        /// The provider.
        provider: &'static str,
        /// What was asked for.
        operation: &'static str,
        /// What happened.
        message: String,
    },
    /// What was given as a key is none: empty, of another length, a weak or a damaged one.
    #[error("this is no key of the kind `{kind}`: {message}")]
    Invalid {
        /// The kind that it should have.
        kind: KeyKind,
        /// What is wrong with it.
        message: &'static str,
    },
    /// There is no memory for the key.
    #[error(transparent)]
    Memory(#[from] LockedError),
}

/// Makes and uses keys: in software, in a TPM, in a token.
pub trait KeyProvider: Send + Sync {
    /// Its name: `software`, `tpm2` or `pkcs11`.
    fn name(&self) -> &'static str;

    /// Makes a key. `label` names it for people, where a device shows names.
    ///
    /// # Errors
    ///
    /// [`KeyError`].
    fn generate(&self, kind: KeyKind, label: &str) -> Result<KeyHandle, KeyError>;

    /// Signs `message`, or authenticates it with a MAC key.
    ///
    /// # Errors
    ///
    /// [`KeyError`].
    fn sign(&self, key: &KeyHandle, message: &[u8]) -> Result<Vec<u8>, KeyError>;

    /// Whether `signature` is this key's over `message`. Public halves are verified in software by the caller
    /// ([`software::verify_public`]); this is for MAC keys and for proving a device.
    ///
    /// # Errors
    ///
    /// [`KeyError`]: it is not known.
    fn verify(&self, key: &KeyHandle, message: &[u8], signature: &[u8]) -> Result<bool, KeyError>;

    /// Derives 32 bytes from a MAC key for `context` (HKDF-SHA-256, RFC 5869, where the provider holds the key; HMAC of
    /// the context by the device, then HKDF, where a device holds it). The same key and context give the same bytes.
    ///
    /// # Errors
    ///
    /// [`KeyError`].
    fn derive(&self, key: &KeyHandle, context: &[u8]) -> Result<Locked, KeyError>;

    /// Destroys what the provider itself holds of the key; destroying what is not there succeeds.
    ///
    /// # Errors
    ///
    /// [`KeyError`]: it may still be there.
    fn destroy(&self, key: &KeyHandle) -> Result<(), KeyError>;
}
