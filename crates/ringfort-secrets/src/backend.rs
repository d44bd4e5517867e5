// SPDX-License-Identifier: MIT OR Apache-2.0
//! The backends: where the root key of a store lives.
//!
//! In: a choice. Out: a source of root keys.
//!
//! **Invariant:** no backend stands in for another in silence.

pub mod tpm2;

mod device;
