// SPDX-License-Identifier: MIT OR Apache-2.0
//! Integration tests of the policy crate.

mod command;
mod command_oracle;
mod command_property;
