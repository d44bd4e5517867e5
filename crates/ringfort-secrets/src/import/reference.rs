// SPDX-License-Identifier: MIT OR Apache-2.0
//! The secret store of openclaw-zig: one JSON object, sealed with one SHA-256.
//!
//! In: its bytes, and the text from which its key is made. Out: names and values.
//!
//! **Invariant:** read only, by an explicit import. Whatever its key was made of, the report says that it was weak: one
//! hash without salt, so that the text can be guessed offline.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{KeyInit as _, Tag, XChaCha20Poly1305, XNonce};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::json::typed;
use super::{ImportError, Imported, Names, Reading};
use crate::locked::{Locked, LockedError, wiping};
use crate::root::KEY_LEN;

const KIND: &str = "secret store of openclaw-zig";
const ASSOCIATED: &[u8] = b"openclaw-zig-secret-store-v1";
const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;
/// What that program takes for blank at the ends of texts.
const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];

/// What the key of such a store was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOrigin {
    /// A text of its own: a variable, or what a person typed.
    Text(String),
    /// The name of the machine and of its user, which anybody can guess.
    Derived,
}

/// The key of such a store.
#[derive(Debug)]
pub struct ReferenceKey {
    key: Locked,
    origin: KeyOrigin,
}

impl ReferenceKey {
    /// The key that is made of a text, such as that program's variable for it; blanks at its ends do not count.
    /// `origin` names where it came from, for the report.
    ///
    /// # Errors
    ///
    /// There is no memory for it.
    pub fn of_text(text: &[u8], origin: &str) -> Result<Self, LockedError> {
        let blank = |byte: &u8| BLANK.contains(&char::from(*byte));
        let begin = text.iter().position(|byte| !blank(byte)).unwrap_or(text.len());
        let end = text.iter().rposition(|byte| !blank(byte)).map_or(begin, |end| end + 1);
        let key = hashed(text.get(begin..end).unwrap_or_default())?;
        Ok(Self { key, origin: KeyOrigin::Text(origin.to_owned()) })
    }

    /// The key that is made where no text was given: of the path by which that program knew its file, the user's name
    /// and the machine's, as far as its variables said them.
    ///
    /// # Errors
    ///
    /// There is no memory for it.
    pub fn derived(path: &str, user: Option<&str>, host: Option<&str>) -> Result<Self, LockedError> {
        let mut text = format!("openclaw-zig-secret-store:{path}");
        let parts = [(":user=", user), (":host=", host)];
        for (label, part) in parts {
            if let Some(part) = part.map(|part| part.trim_matches(BLANK)).filter(|part| !part.is_empty()) {
                text.push_str(label);
                text.push_str(part);
            }
        }
        Ok(Self { key: hashed(text.as_bytes())?, origin: KeyOrigin::Derived })
    }
}

fn hashed(text: &[u8]) -> Result<Locked, LockedError> {
    let mut key = Locked::zeroed(KEY_LEN)?;
    wiping(|| {
        let digest = Zeroizing::new(<[u8; KEY_LEN]>::from(Sha256::digest(text)));
        key.expose_mut().copy_from_slice(&*digest);
    });
    Ok(key)
}

/// The file. Fields that are not known are left aside, as that program does.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    #[serde(default = "first")]
    version: u64,
    algorithm: String,
    nonce_b64: String,
    tag_b64: String,
    ciphertext_b64: String,
}

/// What is sealed in it.
#[derive(Deserialize)]
struct Content {
    #[serde(default = "first")]
    version: u64,
    #[serde(default)]
    entries: Vec<Pair>,
}

#[derive(Deserialize)]
struct Pair {
    key: String,
    value: Zeroizing<String>,
}

const fn first() -> u64 {
    1
}

/// Reads such a store. Blanks at the ends of names and values are not part of them, as that program has it.
///
/// # Errors
///
/// [`ImportError`]: nothing was imported.
pub fn reference_store(bytes: &[u8], key: &ReferenceKey, names: &Names) -> Result<Imported, ImportError> {
    let envelope: Envelope = typed(bytes, KIND)?;
    let kind = |message: &str| ImportError::Kind { kind: KIND, message: message.to_owned() };
    if envelope.version != 1 || !envelope.algorithm.eq_ignore_ascii_case("xchacha20poly1305") {
        return Err(kind("its version or algorithm is another one"));
    }
    let decode = |text: &str| STANDARD.decode(text).map_err(|_| kind("a field is no base64"));
    let length = || kind("a field has the wrong length");
    let nonce: [u8; NONCE_LEN] = decode(&envelope.nonce_b64)?.try_into().map_err(|_| length())?;
    let tag: [u8; TAG_LEN] = decode(&envelope.tag_b64)?.try_into().map_err(|_| length())?;
    let mut plain = Locked::copy_of(&decode(&envelope.ciphertext_b64)?)?;
    let wrong = || ImportError::Key { kind: KIND };
    let cipher = XChaCha20Poly1305::new_from_slice(key.key.expose()).map_err(|_| wrong())?;
    cipher
        .decrypt_inout_detached(&XNonce::from(nonce), ASSOCIATED, plain.expose_mut().into(), &Tag::from(tag))
        .map_err(|_| wrong())?;
    let content: Content = typed(plain.expose(), KIND)?;
    if content.version != 1 {
        return Err(kind("the version of its content is another one"));
    }
    let mut reading = Reading::new(names);
    reading.notice(0, weakness(&key.origin));
    for pair in &content.entries {
        let (name, value) = (pair.key.trim_matches(BLANK), pair.value.trim_matches(BLANK));
        if !name.is_empty() {
            reading.entry(0, name, value.as_bytes(), None)?;
        }
    }
    reading.finish()
}

fn weakness(origin: &KeyOrigin) -> String {
    match origin {
        KeyOrigin::Text(name) => format!(
            "the key of that store is one SHA-256 of `{}`, without salt: whoever has a copy of the file can guess it; \
             remove the file and its copies",
            super::shown(name)
        ),
        KeyOrigin::Derived => "the key of that store was made of the names of the machine and its user: everybody who \
             had a copy of the file could open it; take these secrets for known, and replace them where they are used"
            .to_owned(),
    }
}
