// SPDX-License-Identifier: MIT OR Apache-2.0
//! An effect: whatever happens after a ruling.
//!
//! In: a permit, by value. Out: what the effect yields.
//!
//! **Invariant:** every implementation redeems the permit before anything happens; there is no second way to start a
//! process, open a connection, call a tool or release a secret.

use crate::clock::Timestamp;
use crate::digest::Digest;
use crate::permit::Permit;

/// Something that can happen once, under a permit.
pub trait Execute {
    /// What is to be done.
    type Task;
    /// What it yields.
    type Output;
    /// Why it failed, and what has or has not happened then.
    type Error;

    /// Redeems `permit` for `request` and does the task.
    ///
    /// # Errors
    ///
    /// The implementation's own; a refused permit means that nothing has happened.
    fn execute(
        &self,
        permit: Permit,
        request: &Digest,
        now: Timestamp,
        task: Self::Task,
    ) -> Result<Self::Output, Self::Error>;
}
