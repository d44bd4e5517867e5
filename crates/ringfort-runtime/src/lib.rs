// SPDX-License-Identifier: MIT OR Apache-2.0
//! The spine of Ringfort: from a request to a permit, from an effect to the record.
//!
//! In: requests of a door. Out: permits, outcomes, and the only processes that a governed principal starts.
//!
//! **Invariant:** [`pipeline::Pipeline`] is the one issuer of permits and the one writer of intents; the supervisor
//! is the one caller of the sandbox. This crate is synchronous; async exists only in the gateway and the proxy.

pub mod agents;
pub mod approve;
pub mod clients;
pub mod clock;
pub mod cow;
pub mod decide;
pub mod egress;
pub mod freeze;
pub mod guard;
pub mod hook;
mod links;
pub mod own;
pub mod pipeline;
pub mod profile;
pub mod providers;
pub mod run;
pub mod seam;
pub mod secrets;
pub mod session;
pub mod state;
pub mod supervisor;
pub mod toolchains;

pub use ringfort_detect::Redacted;
