// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sources of a root key: what opens a store.
//!
//! In: a store's id and what the source kept beside the wrapped store key. Out: 32 bytes that wrap the store key.
//!
//! **Invariant:** a source makes a key or returns its own; it never falls back to another source, and what it cannot
//! verify it refuses. The store key itself never leaves the store.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::locked::{Locked, LockedError};

/// Length of every symmetric key here. Bytes.
pub const KEY_LEN: usize = 32;
/// Longest that a source may take to answer before it counts as not answering, unless it says otherwise.
pub const SOURCE_TIMEOUT: Duration = Duration::from_secs(10);

/// The id of one store: random, made once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoreId(pub [u8; 16]);

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a source keeps beside the store key that its root key wraps: salts, parameters, sealed blobs, names; never a key
/// in the clear. The store binds it as associated data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotData {
    /// The source, as in [`RootKeySource::name`].
    pub source: String,
    /// The source's own, of its own shape.
    pub data: serde_json::Value,
}

/// Why a root key was not to be had. Nothing was changed, and no other source was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootKeyError {
    /// The source is not there: no service, no device, no module, no file.
    #[error("{source_name} is not there: {message}")]
    Absent {
        /// The source.
        source_name: &'static str,
        /// What was looked for, and what to do.
        message: String,
    },
    /// The source is there and needs a person first: a locked collection, a passphrase that was not given.
    #[error("{source_name} is locked: {message}")]
    Locked {
        /// The source.
        source_name: &'static str,
        /// What to do.
        message: String,
    },
    /// The key, the passphrase, the state of the device is another one.
    #[error("{source_name} does not open this store: {message}")]
    Wrong {
        /// The source.
        source_name: &'static str,
        /// What differs, as far as may be told.
        message: String,
    },
    /// The device refused the PIN, and counted that it did.
    #[error("{source_name} does not open this store: {message}")]
    WrongPin {
        /// The source.
        source_name: &'static str,
        /// What the device says.
        message: String,
    },
    /// The source does not work as it should.
    #[error("{source_name} does not work: {message}")]
    Broken {
        /// The source.
        source_name: &'static str,
        /// What happened.
        message: String,
    },
    /// The source did not answer in time.
    #[error("{source_name} did not answer within {} s", waited.as_secs())]
    Slow {
        /// The source.
        source_name: &'static str,
        /// How long it was waited for.
        waited: Duration,
    },
    /// There is no memory for the key.
    #[error(transparent)]
    Memory(#[from] LockedError),
}

/// A source of root keys.
pub trait RootKeySource: Send + Sync {
    /// Its name: `passphrase`, `key-file`, `env`, `secret-service`, `keyutils`, `tpm2` or `pkcs11`.
    fn name(&self) -> &'static str;

    /// Where its key comes from, for status and the record: `env:RINGFORT_SECRET_STORE_KEY`, `key-file:/…`.
    fn key_source(&self) -> String;

    /// Makes a new root key for `store`, [`KEY_LEN`] bytes.
    ///
    /// # Errors
    ///
    /// [`RootKeyError`]: nothing was made that an existing store needs.
    fn create(&self, store: StoreId) -> Result<(SlotData, Locked), RootKeyError>;

    /// The root key that `create` made with `slot`.
    ///
    /// # Errors
    ///
    /// [`RootKeyError`].
    fn open(&self, store: StoreId, slot: &SlotData) -> Result<Locked, RootKeyError>;

    /// Removes what `create` left outside the store; called only when no store key is wrapped by it any more. Removing
    /// what is not there succeeds.
    ///
    /// # Errors
    ///
    /// [`RootKeyError`]: it may still be there.
    fn forget(&self, store: StoreId, slot: &SlotData) -> Result<(), RootKeyError>;
}
