// SPDX-License-Identifier: MIT OR Apache-2.0
//! The vocabulary of Ringfort: one type for each word of its manual.
//!
//! In: nothing but values. Out: requests, rulings, permits, entries, signals, findings, and the traits that let
//! one crate use another without seeing it.
//!
//! **Invariant:** this crate does no I/O, reads no clock and no environment, and depends on no other Ringfort crate.
//! It decides nothing by itself: policies rule, doors resolve, the pipeline issues.

pub mod action;
pub mod advice;
pub mod clock;
pub mod decision;
pub mod degree;
pub mod digest;
pub mod door;
pub mod effect;
pub mod entry;
pub mod execute;
pub mod finding;
pub mod form;
pub mod limits;
pub mod obligation;
pub mod permit;
pub mod principal;
pub mod provider;
pub mod request;
pub mod ruling;
pub mod score;
pub mod secret;
pub mod signal;
pub mod store;
pub mod syscalls;
pub mod text;
pub mod traits;
