// SPDX-License-Identifier: MIT OR Apache-2.0
//! Integration and property tests of the vocabulary.

mod door;
mod merge;
mod strategies;
