// SPDX-License-Identifier: MIT OR Apache-2.0
<<<<<<< HEAD
//! Integration tests of the policy crate: loading, acceptance, rulings, documents.

mod accept;
mod documents;
mod load;
mod narrow;
mod support;
=======
//! Integration tests of the policy crate.

mod command;
mod command_oracle;
mod command_property;
>>>>>>> command
