// SPDX-License-Identifier: MIT OR Apache-2.0
//! Skeleton; see ARCHITECTURE.md.

pub mod command;
