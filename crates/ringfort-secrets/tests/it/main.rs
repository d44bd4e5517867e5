// SPDX-License-Identifier: MIT OR Apache-2.0
//! The crate from outside: the store's vectors, faults of files, processes that are killed, many processes at once; real
//! devices.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests fail as tests do")]

mod crash;
mod disk;
mod faults;
mod keyring;
mod keyutils;
mod many;
mod secret_service;
mod support;
mod swtpm;
mod tpm;
mod vectors;
