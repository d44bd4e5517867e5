// SPDX-License-Identifier: MIT OR Apache-2.0
//! The implementations of a cage, one file each.
//!
//! In: a profile and what to start. Out: a running, confined program.
//!
//! **Invariant:** each passes the same escape suite. `native` is the only one so far; bubblewrap and containers are
//! to stand beside it.

pub(crate) mod native;
