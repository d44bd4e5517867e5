// SPDX-License-Identifier: MIT OR Apache-2.0
//! The integration tests of this crate, one binary.

#[cfg(feature = "pkcs11")]
mod softhsm;
mod swtpm;
#[cfg(feature = "pkcs11")]
mod token;
mod tpm;
