// SPDX-License-Identifier: MIT OR Apache-2.0
//! `enc:`, the oldest form: repeating-key XOR. Read once, to be sealed anew.
//!
//! In: a text and the key of the key file. Out: bytes that may be the value.
//!
//! **Invariant:** called by a migration only, which reports each value: nothing in this form shows that a text was
//! changed or that the key is another one. What is no UTF-8 text is refused, which catches most wrong keys.

use super::enc2::unhex;
use super::key_file::Enc2Key;
use super::{Form, SealedTextError, body, check_value};
use crate::locked::Locked;

/// Reads a text for a migration. A wrong key can give a wrong value: the person has to look.
///
/// # Errors
///
/// [`SealedTextError`]: it is none, or what comes out is no text.
pub fn migrate_enc(key: &Enc2Key, text: &str) -> Result<Locked, SealedTextError> {
    let malformed = |what| SealedTextError::Malformed { form: Form::Enc, what };
    let bytes = unhex(body(text, Form::Enc)?).ok_or_else(|| malformed("it is no lower-case hex"))?;
    check_value(&bytes)?;
    let mut value = Locked::copy_of(&bytes)?;
    for (byte, key) in value.expose_mut().iter_mut().zip(key.bytes().expose().iter().cycle()) {
        *byte ^= key;
    }
    let readable = std::str::from_utf8(value.expose()).is_ok_and(|text| !text.chars().any(|c| c == '\0'));
    if !readable {
        return Err(malformed("what comes out is no text; the key file is another one, or the value was changed"));
    }
    Ok(value)
}
