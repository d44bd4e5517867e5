// SPDX-License-Identifier: MIT OR Apache-2.0
//! Decides what a request is worth: allow, ask or deny, and why.
//!
//! In: the layered configuration ([`load`]) and requests. Out: rulings with rule ids, spans and remedies.
//!
//! **Invariant:** [`rule::Policy::decide`] is pure: it opens no file, asks no network, reads no clock and no
//! environment. A project file parses into [`restriction::Restriction`] and can only make a ruling stricter.
//! Nothing here acts; what a ruling demands is fulfilled by the runtime and the sandbox.

pub mod accept;
pub mod command;
pub mod config;
mod document;
pub mod domain;
pub mod egress;
mod file;
pub mod load;
pub mod nftables;
mod normal;
pub mod path;
pub mod preset;
pub mod remedy;
pub mod restriction;
pub mod rule;
pub mod schema;
pub mod secret_place;
pub mod tool;
