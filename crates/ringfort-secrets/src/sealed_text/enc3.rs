// SPDX-License-Identifier: MIT OR Apache-2.0
//! `enc3:`, bound to a store and to a key path.
//!
//! In: a value, a key path, keys that a store keeps. Out: `enc3:` and base64url of version, store id, place, nonce,
//! ciphertext, tag.
//!
//! **Invariant:** everything before the ciphertext, and the key path itself, is authenticated. The place is a keyed
//! digest of the key path: it tells "belongs elsewhere" from "was changed", and does not say where it belongs.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{KeyInit as _, Tag, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::{Form, SealedTextError, body, check_value};
use crate::locked::{Locked, wiping};
use crate::root::{KEY_LEN, StoreId};

/// The version that is written and read.
pub(super) const VERSION: u8 = 1;
/// Length of a store id. Bytes.
const STORE_LEN: usize = 16;
/// Length of a place. Bytes.
const PLACE_LEN: usize = 8;
/// Length of a nonce. Bytes.
const NONCE_LEN: usize = 24;
/// Length of a tag. Bytes.
const TAG_LEN: usize = 16;
/// Length of what stands before the nonce. Bytes.
const HEAD_LEN: usize = 1 + STORE_LEN + PLACE_LEN;

/// The keys that seal and open texts, derived from the seeds that a store keeps: the newest seals, all of them open.
pub struct TextKey {
    store: StoreId,
    pairs: Vec<Pair>,
}

/// What is derived from one seed.
struct Pair {
    seal: Locked,
    place: Locked,
}

impl TextKey {
    /// Derives the keys from seeds of 32 bytes each, the newest first.
    ///
    /// # Errors
    ///
    /// [`SealedTextError`]: there is no memory for them, or there is no seed.
    pub fn derive(store: StoreId, seeds: &Locked) -> Result<Self, SealedTextError> {
        let (seeds, rest) = seeds.expose().as_chunks::<KEY_LEN>();
        let pairs = seeds.iter().map(|seed| Pair::derive(store, seed)).collect::<Result<Vec<_>, _>>()?;
        if pairs.is_empty() || !rest.is_empty() {
            return Err(SealedTextError::Cipher);
        }
        Ok(Self { store, pairs })
    }

    /// The store that they belong to.
    pub const fn store(&self) -> StoreId {
        self.store
    }

    /// Whether a text was sealed for the place `key` by the newest of them. It may have been changed since.
    pub fn is_newest(&self, key: &str, text: &str) -> bool {
        let places = Enc3::parse(text).and_then(|parts| Ok((parts.place, self.newest()?.place_of(key)?)));
        places.is_ok_and(|(found, newest)| found == newest)
    }

    fn newest(&self) -> Result<&Pair, SealedTextError> {
        self.pairs.first().ok_or(SealedTextError::Cipher)
    }

    /// The pair that sealed a text for the place `key`, which the text tells by its own place.
    fn pair_of(&self, key: &str, parts: &Enc3) -> Result<&Pair, SealedTextError> {
        for pair in &self.pairs {
            if pair.place_of(key)?.ct_eq(&parts.place).into() {
                return Ok(pair);
            }
        }
        Err(SealedTextError::OtherPlace { key: key.to_owned() })
    }
}

impl Pair {
    fn derive(store: StoreId, seed: &[u8]) -> Result<Self, SealedTextError> {
        let expand = |info: &[u8]| {
            let mut key = Locked::zeroed(KEY_LEN)?;
            let hkdf = Hkdf::<Sha256>::new(Some(&store.0), seed);
            hkdf.expand(info, key.expose_mut()).map_err(|_| SealedTextError::Cipher)?;
            Ok::<_, SealedTextError>(key)
        };
        wiping(|| Ok(Self { seal: expand(b"ringfort.enc3.v1 seal")?, place: expand(b"ringfort.enc3.v1 place")? }))
    }

    fn place_of(&self, key: &str) -> Result<[u8; PLACE_LEN], SealedTextError> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.place.expose()).map_err(|_| SealedTextError::Cipher)?;
        mac.update(key.as_bytes());
        mac.finalize().into_bytes().first_chunk().copied().ok_or(SealedTextError::Cipher)
    }

    fn cipher(&self) -> Result<XChaCha20Poly1305, SealedTextError> {
        XChaCha20Poly1305::new_from_slice(self.seal.expose()).map_err(|_| SealedTextError::Cipher)
    }
}

/// An `enc3:` text, taken apart and not yet opened.
#[derive(Debug)]
pub struct Enc3 {
    /// The store whose key sealed it.
    pub store: StoreId,
    place: [u8; PLACE_LEN],
    nonce: [u8; NONCE_LEN],
    sealed: Vec<u8>,
}

impl Enc3 {
    /// Takes a text apart. No key is needed.
    ///
    /// # Errors
    ///
    /// [`SealedTextError`]: it is no `enc3:` text that this version reads.
    pub fn parse(text: &str) -> Result<Self, SealedTextError> {
        let malformed = |what| SealedTextError::Malformed { form: Form::Enc3, what };
        let bytes = URL_SAFE_NO_PAD.decode(body(text, Form::Enc3)?).map_err(|_| malformed("it is no base64url"))?;
        let (version, rest) = bytes.split_first().ok_or_else(|| malformed("it is empty"))?;
        if *version != VERSION {
            return Err(if *version > VERSION {
                SealedTextError::Newer { version: *version }
            } else {
                malformed("it has no version")
            });
        }
        let short = || malformed("it is cut short");
        let (store, rest) = rest.split_first_chunk::<STORE_LEN>().ok_or_else(short)?;
        let (place, rest) = rest.split_first_chunk::<PLACE_LEN>().ok_or_else(short)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(short)?;
        if sealed.len() <= TAG_LEN {
            return Err(short());
        }
        Ok(Self { store: StoreId(*store), place: *place, nonce: *nonce, sealed: sealed.to_vec() })
    }

    fn head(&self) -> [u8; HEAD_LEN] {
        let mut head = [0; HEAD_LEN];
        let parts = std::iter::once(&VERSION).chain(&self.store.0).chain(&self.place);
        head.iter_mut().zip(parts).for_each(|(byte, part)| *byte = *part);
        head
    }
}

/// What is authenticated beside the ciphertext: the head, then the key path, which ends it.
fn associated(head: &[u8; HEAD_LEN], key: &str) -> Vec<u8> {
    [&b"ringfort.enc3"[..], head, key.as_bytes()].concat()
}

/// Seals `value` for the place `key`.
///
/// # Errors
///
/// [`SealedTextError`]: nothing was sealed.
pub fn seal_enc3(text_key: &TextKey, key: &str, value: &[u8]) -> Result<String, SealedTextError> {
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).map_err(|_| SealedTextError::Cipher)?;
    wiping(|| seal_with(text_key, key, value, nonce))
}

/// Seals with a nonce that was chosen; apart from the vectors only [`seal_enc3`] chooses one.
pub(super) fn seal_with(
    text_key: &TextKey,
    key: &str,
    value: &[u8],
    nonce: [u8; NONCE_LEN],
) -> Result<String, SealedTextError> {
    check_value(value)?;
    let pair = text_key.newest()?;
    let mut parts = Enc3 { store: text_key.store, place: pair.place_of(key)?, nonce, sealed: Vec::new() };
    let mut buffer = Locked::copy_of(value)?;
    let tag = pair
        .cipher()?
        .encrypt_inout_detached(&XNonce::from(nonce), &associated(&parts.head(), key), buffer.expose_mut().into())
        .map_err(|_| SealedTextError::Cipher)?;
    parts.sealed.extend_from_slice(buffer.expose());
    parts.sealed.extend_from_slice(&tag);
    let bytes = [&parts.head()[..], &parts.nonce, &parts.sealed].concat();
    Ok(format!("enc3:{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// Opens a text that stands at the place `key`.
///
/// # Errors
///
/// [`SealedTextError`]: it belongs elsewhere, was changed, or is none.
pub fn open_enc3(text_key: &TextKey, key: &str, text: &str) -> Result<Locked, SealedTextError> {
    wiping(|| open(text_key, key, text))
}

fn open(text_key: &TextKey, key: &str, text: &str) -> Result<Locked, SealedTextError> {
    let parts = Enc3::parse(text)?;
    if parts.store != text_key.store {
        return Err(SealedTextError::OtherStore { sealed: parts.store, here: text_key.store });
    }
    let pair = text_key.pair_of(key, &parts)?;
    let changed = || SealedTextError::Changed { form: Form::Enc3 };
    let (sealed, tag) = parts.sealed.split_last_chunk::<TAG_LEN>().ok_or_else(changed)?;
    let mut value = Locked::copy_of(sealed)?;
    pair.cipher()?
        .decrypt_inout_detached(
            &XNonce::from(parts.nonce),
            &associated(&parts.head(), key),
            value.expose_mut().into(),
            &Tag::from(*tag),
        )
        .map_err(|_| changed())?;
    Ok(value)
}
