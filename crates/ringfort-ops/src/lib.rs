// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operates: looks at an installation and says what really holds on this machine; puts agents under it.
//!
//! In: a [`Subject`], gathered by the binary; the configurations of agents. Out: one [`Report`] line for each thing that
//! was looked at; those configurations with our hook in them.
//!
//! **Invariant:** checks look and never act; what has to be started to prove something is started by the runtime, under
//! a permit, and handed in as evidence; only a registered hook is asked as its agent asks it, outside. "Not looked at"
//! is never a pass.

pub mod attempts;
pub mod checks;
pub mod setup;

pub use checks::{AgentSeen, CHECKS, Check, Evidence, Proof, Report, Status, Subject};
