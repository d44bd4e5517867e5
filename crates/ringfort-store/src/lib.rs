// SPDX-License-Identifier: MIT OR Apache-2.0
//! The embedded store: one SQLite file in the state folder, for what a person answers later.
//!
//! In: the state folder, questions and answers. Out: the two sides of `ringfort_core::store`.
//!
//! **Invariant:** nothing is opened before it is needed, so that a request that is allowed never pays for it. A file
//! that is foreign, damaged or newer is an error and is left as it is; every change is one transaction, on disk before
//! it is answered, and valid after the death of the process at any point.

mod approvals;
mod desk;
mod file;
mod migrate;
mod rows;

pub use approvals::{ApprovalDb, QUESTIONS_MAX, QUESTIONS_PER_PRINCIPAL_MAX};
pub use file::FILE_NAME;
