// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `secrets status` says: the reference's fourteen fields, and ours.
//!
//! In: what the caller knows of the store. Out: one record for people and for programs.
//!
//! **Invariant:** nothing in it is or tells a value; every field is always there.

use std::path::PathBuf;

use serde::Serialize;

use super::{Backend, Support};

/// One key slot of a store, as its header shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotSeen {
    /// Its place.
    pub index: usize,
    /// Its source: `passphrase`, `key-file`, `env`, `secret-service`, `keyutils`, `tpm2` or `pkcs11`.
    pub source: String,
}

/// What is known of the store when its status is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// The folder of the store.
    pub path: PathBuf,
    /// Its key slots; `None` where there is no store yet.
    pub slots: Option<Vec<SlotSeen>>,
    /// Its generation.
    pub generation: Option<u64>,
    /// Where the root key comes from, as the source in use says it; `None` where none is chosen yet.
    pub key_source: Option<String>,
    /// A key for the encrypted file that the caller has given, as its source says it: `auto` then looks no further.
    pub key_given: Option<String>,
    /// When this process loaded the store, in milliseconds since 1970.
    pub loaded_at_ms: u64,
    /// When this process wrote the store, in milliseconds since 1970.
    pub saved_at_ms: u64,
    /// Number of secrets, where it is known.
    pub count: u64,
    /// Whether the store is locked.
    pub locked: bool,
    /// Whether the configuration lets the encrypted file stand in.
    pub allow_fallback: bool,
}

/// Whether a value may be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Writes {
    /// To the store, where it lasts.
    Store,
    /// To the memory of this process, where it ends with the process.
    Memory,
    /// Nowhere.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
}

/// The status of the secrets. The first fourteen fields are the reference's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The backend as it was asked for.
    pub requested_backend: String,
    /// The backend that is used.
    pub active_backend: Backend,
    /// Whether the requested backend is one that this version implements.
    pub provider_implemented: bool,
    /// Whether the encrypted file stands in for it.
    pub encrypted_fallback: bool,
    /// Whether the request is a known name.
    pub requested_recognized: bool,
    /// How far it is supported.
    pub requested_support: Support,
    /// Whether something else than the requested backend is used.
    pub fallback_applied: bool,
    /// Why.
    pub fallback_reason: Option<String>,
    /// Whether the secrets can still be read after a restart of the machine.
    pub persistent: bool,
    /// Where the store is.
    pub path: String,
    /// Where its key comes from.
    pub key_source: String,
    /// When this process loaded it, in milliseconds since 1970; 0: not yet.
    pub loaded_at_ms: u64,
    /// When this process wrote it, in milliseconds since 1970; 0: not yet.
    pub saved_at_ms: u64,
    /// Number of secrets; 0 while it is locked.
    pub count: u64,
    /// How the active backend was found: `ready`, `locked`, `absent`, `broken` or `slow`.
    pub root_key: &'static str,
    /// What to know of that.
    pub root_key_message: Option<String>,
    /// The backend that has the place of the requested one here.
    pub mapped_to: Option<Backend>,
    /// Why `auto` came to the active backend.
    pub auto_reason: Option<String>,
    /// Whether there is a store.
    pub exists: bool,
    /// Whether it is locked.
    pub locked: bool,
    /// Its key slots.
    pub slots: Vec<SlotSeen>,
    /// Its generation.
    pub generation: Option<u64>,
    /// Whether a value may be written.
    pub writes: Writes,
    /// What a person should know.
    pub warnings: Vec<String>,
}
