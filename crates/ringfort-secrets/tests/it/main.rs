// SPDX-License-Identifier: MIT OR Apache-2.0
//! The crate from outside: the store's vectors, faults of files, processes that are killed, many processes at once; real
//! devices.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests fail as tests do")]

mod age;
mod crash;
mod disk;
mod faults;
mod keyring;
mod keyutils;
mod many;
mod memory;
mod providers;
mod python;
mod rekey;
mod ring;
mod secret_service;
#[cfg(feature = "pkcs11")]
mod softhsm;
mod support;
mod swtpm;
#[cfg(feature = "pkcs11")]
mod token;
mod tpm;
mod vectors;
