// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a bus, a Secret Service and a TPM answer, read as it is where they are used: for fuzzers and their tests.
//!
//! In: any bytes. Out: whether what must hold held.
//!
//! **Invariant:** no file, no network, no device: sockets of this process alone.

use super::bus::wire;
use super::{secret_service, tpm2};

/// Reads a message of D-Bus. Out: whether it is none, or is read as the same when it is written again.
pub fn bus_message(bytes: &[u8]) -> bool {
    if bytes.len() >= wire::FIXED
        && let Ok(length) = wire::length(bytes.get(..wire::FIXED).unwrap_or_default())
        && length > wire::MESSAGE_MAX
    {
        return false;
    }
    let Ok(message) = wire::parse(bytes) else { return true };
    wire::parse(&wire::again(&message)).is_ok_and(|again| again == message)
}

/// Asks a Secret Service that answers with `bytes`. Out: whether it gave no key that was not kept there.
pub fn secret_service(bytes: &[u8]) -> bool {
    secret_service::scripted::operate(bytes)
}

/// Asks a TPM that answers with `bytes`. Out: whether nothing was opened by answers that no session authenticated, and
/// what was opened has its length.
pub fn tpm(bytes: &[u8]) -> bool {
    tpm2::scripted::operate(bytes)
}
