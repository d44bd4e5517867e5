// SPDX-License-Identifier: MIT OR Apache-2.0
//! The trail: what is acknowledged here stays on the record, and a quiet change to the record is noticed.
//!
//! In: [`Entry`](ringfort_core::entry::Entry) values. Out: a hash-chained JSON Lines record in linked segments, its
//! verification, reading and export. The format is `docs/formats/trail.md`.
//!
//! **Invariant:** a [`Receipt`] is given only for an entry that is in the kernel (`Written`) or on disk (`Synced`);
//! an entry that cannot be recorded is an error, and no error is ever turned into a receipt.
//! This crate signs nothing: a rewrite of the whole chain needs an anchor outside, as the format page says.

mod chain;
mod commit;
mod dir;
pub mod entry;
pub mod export;
mod fault;
mod head;
mod json;
mod lines;
mod lock;
pub mod read;
mod repair;
mod scan;
mod segment;
mod sync;
mod time;
mod trail;
pub mod verify;

pub use crate::chain::ChainError;
pub use crate::dir::FileError;
pub use crate::fault::{Fault, FaultKind, Note, NoteKind};
pub use crate::repair::Repair;
pub use crate::trail::{AppendError, Durability, LOCK_WAIT_MAX, OpenError, Options, Receipt, SEGMENT_BYTES_MAX, Trail};
