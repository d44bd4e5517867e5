// SPDX-License-Identifier: MIT OR Apache-2.0
//! Integration tests of the policy crate: command analysis, loading, acceptance, rulings, documents.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a helper of a test fails like the test")]

mod accept;
mod chains;
mod command;
mod command_oracle;
mod command_property;
mod differential;
mod documents;
mod everyday;
mod guard;
mod inline;
mod load;
mod own_tool;
mod restriction;
mod seams;
mod support;
mod tool_rules;
mod tools;
mod unseen;
mod weakness;
