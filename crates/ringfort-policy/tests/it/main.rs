// SPDX-License-Identifier: MIT OR Apache-2.0
<<<<<<< HEAD
<<<<<<< HEAD
//! Integration tests of the policy crate: loading, acceptance, rulings, documents.
=======
//! Integration tests of the policy crate: command analysis, loading, acceptance, rulings, documents.
>>>>>>> config

mod accept;
mod command;
mod command_oracle;
mod command_property;
mod documents;
mod load;
mod narrow;
mod support;
<<<<<<< HEAD
=======
//! Integration tests of the policy crate.

mod command;
mod command_oracle;
mod command_property;
>>>>>>> command
=======
>>>>>>> config
