// SPDX-License-Identifier: MIT OR Apache-2.0
//! The store as its users see it: through the traits of the core, on real files.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails like the test")]

mod answers;
mod hostile;
mod property;
mod race;
mod support;
