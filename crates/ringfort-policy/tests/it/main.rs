// SPDX-License-Identifier: MIT OR Apache-2.0
//! Integration tests of the policy crate: command analysis, loading, acceptance, rulings, documents.

mod accept;
mod command;
mod command_oracle;
mod command_property;
mod documents;
mod load;
mod narrow;
mod support;
