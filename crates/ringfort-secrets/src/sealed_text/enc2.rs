// SPDX-License-Identifier: MIT OR Apache-2.0
//! `enc2:`, exactly as the program that introduced it writes it.
//!
//! In: a value and the key of the key file. Out: `enc2:` and lower-case hex of a nonce of 12 bytes, the ciphertext and
//! a tag of 16 bytes, all of ChaCha20-Poly1305 (RFC 8439) without associated data.
//!
//! **Invariant:** what was changed does not open. What was moved from another key does: the form has no place for that,
//! which is why `enc3:` is written unless this form is asked for.

use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, Nonce, Tag};

use super::key_file::Enc2Key;
use super::{Form, SealedTextError, body, check_value};
use crate::locked::{Locked, wiping};

/// Length of a nonce. Bytes.
const NONCE_LEN: usize = 12;
/// Length of a tag. Bytes.
const TAG_LEN: usize = 16;

/// Seals `value`.
///
/// # Errors
///
/// [`SealedTextError`]: nothing was sealed.
pub fn seal_enc2(key: &Enc2Key, value: &[u8]) -> Result<String, SealedTextError> {
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).map_err(|_| SealedTextError::Cipher)?;
    wiping(|| seal_with(key, value, nonce))
}

/// Seals with a nonce that was chosen; apart from the vectors only [`seal_enc2`] chooses one.
pub(super) fn seal_with(key: &Enc2Key, value: &[u8], nonce: [u8; NONCE_LEN]) -> Result<String, SealedTextError> {
    check_value(value)?;
    let mut buffer = Locked::copy_of(value)?;
    let tag = cipher(key)?
        .encrypt_inout_detached(&Nonce::from(nonce), &[], buffer.expose_mut().into())
        .map_err(|_| SealedTextError::Cipher)?;
    Ok(format!("enc2:{}{}{}", hex(&nonce), hex(buffer.expose()), hex(&tag)))
}

/// Opens a text.
///
/// # Errors
///
/// [`SealedTextError`]: it was changed, was sealed with another key, or is none.
pub fn open_enc2(key: &Enc2Key, text: &str) -> Result<Locked, SealedTextError> {
    wiping(|| open(key, text))
}

fn open(key: &Enc2Key, text: &str) -> Result<Locked, SealedTextError> {
    let malformed = |what| SealedTextError::Malformed { form: Form::Enc2, what };
    let bytes = unhex(body(text, Form::Enc2)?).ok_or_else(|| malformed("it is no lower-case hex"))?;
    let short = || malformed("it is cut short");
    let (nonce, rest) = bytes.split_first_chunk::<NONCE_LEN>().ok_or_else(short)?;
    let (sealed, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or_else(short)?;
    let mut value = Locked::copy_of(sealed)?;
    cipher(key)?
        .decrypt_inout_detached(&Nonce::from(*nonce), &[], value.expose_mut().into(), &Tag::from(*tag))
        .map_err(|_| SealedTextError::Changed { form: Form::Enc2 })?;
    Ok(value)
}

fn cipher(key: &Enc2Key) -> Result<ChaCha20Poly1305, SealedTextError> {
    ChaCha20Poly1305::new_from_slice(key.bytes().expose()).map_err(|_| SealedTextError::Cipher)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| DIGITS.get(usize::from(value)).map_or('0', |digit| char::from(*digit));
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The bytes of lower-case hex; `None` for anything else, so that one value has one text.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some((digit(*high)? << 4) | digit(*low)?)).collect()
}
