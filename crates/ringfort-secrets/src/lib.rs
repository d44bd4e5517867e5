// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys and secrets: the sealed store, the backends that keep its root key, signing keys, locked memory.
//!
//! In: values and what they may be used for; a source of the root key. Out: values, in locked memory, to whoever holds a
//! permit or the person's own terminal; signatures.
//!
//! **Invariant:** a value is on disk only sealed; what cannot be verified is refused with the name of its fault and is
//! left as it is; no backend stands in for another in silence.

#[expect(unsafe_code, reason = "the one place of this crate where system calls are made by hand")]
pub mod locked;

pub mod age;
pub mod backend;
pub mod export;
pub mod harden;
pub mod id;
pub mod import;
pub mod kdf;
pub mod keys;
pub mod lock;
pub mod lockout;
pub mod moment;
mod ours;
pub mod owned;
pub mod passphrase;
pub mod pin_file;
pub mod release;
pub mod resolve;
pub mod root;
pub mod root_file;
pub mod seal_config;
pub mod sealed_text;
pub mod session;
pub mod store;
pub mod strength;
mod user_ring;

#[cfg(test)]
extern crate self as ringfort_secrets;
#[cfg(test)]
#[path = "../tests/it/support.rs"]
#[expect(dead_code, reason = "the tests of the whole crate use the rest")]
mod support;
