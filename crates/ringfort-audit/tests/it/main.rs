// SPDX-License-Identifier: MIT OR Apache-2.0
//! The trail from outside: vectors, an independent verifier, many processes that are killed, full disks, readers.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail as tests do")]

mod disk;
mod export;
mod forge;
mod python;
mod reading;
mod single_byte;
mod soak;
mod support;
mod vectors;
