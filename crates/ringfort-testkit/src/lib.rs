// SPDX-License-Identifier: MIT OR Apache-2.0
//! For tests only: fakes, shared suites, the corpus loader and the reading of our own sources.
//!
//! In: what a test wants to happen. Out: a clock that stands still, a dialer that only writes down, a provider that
//! misbehaves on demand, a suite that any provider must pass, figures over a corpus.
//!
//! **Invariant:** no product crate depends on this one except as a dev-dependency (`layers.toml`); nothing here
//! opens a connection, and every wait has an end.

pub mod batch;
pub mod clock;
pub mod corpus;
pub mod dial;
pub mod escape;
pub mod evaluate;
pub mod fuzz;
pub mod goals;
pub mod provider;
pub mod rates;
pub mod report;
pub mod rule_ids;
pub mod source;
pub mod suite;
pub mod swtpm;
