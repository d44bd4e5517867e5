// SPDX-License-Identifier: MIT OR Apache-2.0
//! Integration tests of the policy crate: loading, acceptance, rulings, documents.

mod accept;
mod documents;
mod load;
mod narrow;
mod support;
