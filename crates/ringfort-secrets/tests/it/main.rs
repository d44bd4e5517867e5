// SPDX-License-Identifier: MIT OR Apache-2.0
//! The integration tests of this crate, one binary.

mod secret_service;
