// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keys of an open store, and what is sealed with them.
//!
//! In: the store key, plain bytes, what they belong to. Out: sealed bytes, and back.
//!
//! **Invariant:** every sealed text has a nonce of its own from the kernel and is bound to its place; plain values and
//! keys stand in locked memory only, apart from the state of a cipher at work, which is wiped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::locked::{Locked, LockedError, wiping};
use crate::root::{KEY_LEN, SlotData, StoreId};

/// Length of a nonce. Bytes.
const NONCE_LEN: usize = 24;
/// Length of a tag. Bytes.
const TAG_LEN: usize = 16;
/// What sealing adds. Bytes.
pub(crate) const OVERHEAD: usize = NONCE_LEN + TAG_LEN;
/// Length of an entry's own number. Bytes.
pub(crate) const UID_LEN: usize = 16;

/// The uses of the store key, in the order in which their keys stand in [`Keys`].
const USES: [&[u8]; 6] = [b"wrap", b"meta", b"mac", b"anchor", b"used", b"texts"];

/// A use of the store key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Wraps data keys.
    Wrap = 0,
    /// Seals what is kept beside the values.
    Meta = 1,
    /// Authenticates the file.
    Mac = 2,
    /// Authenticates the record of the newest generation.
    Anchor = 3,
    /// Seals the times of last use.
    Used = 4,
    /// Seals the seeds of the keys for sealed texts.
    Texts = 5,
}

/// Sealed bytes could not be opened: another key, another place, or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotOpened;

/// The store key and what is derived from it.
#[derive(Debug)]
pub(crate) struct Keys {
    store: StoreId,
    root: Locked,
    derived: Locked,
    /// Tells whether a store key is this store's, without the rest of the file.
    pub(crate) check: [u8; 16],
}

impl Keys {
    pub(crate) fn derive(store: StoreId, root: Locked) -> Result<Self, LockedError> {
        let mut derived = Locked::zeroed(USES.len() * KEY_LEN)?;
        let mut check = [0; 16];
        wiping(|| {
            let kdf = Hkdf::<Sha256>::new(Some(&store.0), root.expose());
            // 32 and 16 bytes are lengths that HKDF-SHA-256 has.
            for (key, name) in derived.expose_mut().chunks_exact_mut(KEY_LEN).zip(USES) {
                kdf.expand_multi_info(&[b"ringfort-store v1 ", name], key).unwrap_or_default();
            }
            kdf.expand(b"ringfort-store v1 check", &mut check).unwrap_or_default();
        });
        Ok(Self { store, root, derived, check })
    }

    pub(crate) const fn store(&self) -> StoreId {
        self.store
    }

    pub(crate) const fn root(&self) -> &Locked {
        &self.root
    }

    pub(crate) fn is_check(&self, check: &[u8]) -> bool {
        self.check.ct_eq(check).into()
    }

    fn key(&self, purpose: Use) -> &[u8] {
        self.derived.expose().chunks_exact(KEY_LEN).nth(purpose as usize).unwrap_or_default()
    }

    /// HMAC-SHA-256 over `parts`, one after the other, each with its length before it.
    pub(crate) fn mac(&self, purpose: Use, parts: &[&[u8]]) -> [u8; 32] {
        // HMAC takes keys of every length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.key(purpose)) else { return [0; 32] };
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    pub(crate) fn is_mac(&self, purpose: Use, parts: &[&[u8]], mac: &[u8]) -> bool {
        self.mac(purpose, parts).ct_eq(mac).into()
    }

    pub(crate) fn seal(&self, purpose: Use, place: &[u8], plain: &[u8]) -> Result<Vec<u8>, LockedError> {
        seal(self.key(purpose), place, plain)
    }

    pub(crate) fn open(&self, purpose: Use, place: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
        let mut plain = Zeroizing::new(vec![0; sealed.len().checked_sub(OVERHEAD).ok_or(NotOpened)?]);
        open_into(self.key(purpose), place, sealed, &mut plain)?;
        Ok(plain)
    }

    /// As `open`, into locked memory.
    pub(crate) fn open_locked(&self, purpose: Use, place: &[u8], sealed: &[u8]) -> Result<Locked, OpenError> {
        let mut plain = Locked::zeroed(sealed.len().checked_sub(OVERHEAD).ok_or(NotOpened)?)?;
        open_into(self.key(purpose), place, sealed, plain.expose_mut())?;
        Ok(plain)
    }

    /// Seals a value under a fresh data key. Out: the wrapped key and the sealed value.
    pub(crate) fn seal_value(&self, place: &Place<'_>, value: &[u8]) -> Result<(Vec<u8>, Vec<u8>), LockedError> {
        let key = Locked::random(KEY_LEN)?;
        let wrapped = self.seal(Use::Wrap, &place.bytes(b"key"), key.expose())?;
        Ok((wrapped, seal(key.expose(), &place.bytes(b"value"), value)?))
    }

    /// Opens a value into locked memory.
    pub(crate) fn open_value(&self, place: &Place<'_>, wrapped: &[u8], sealed: &[u8]) -> Result<Locked, OpenError> {
        let mut key = Locked::zeroed(KEY_LEN)?;
        open_into(self.key(Use::Wrap), &place.bytes(b"key"), wrapped, key.expose_mut())?;
        let mut value = Locked::zeroed(sealed.len().checked_sub(OVERHEAD).ok_or(NotOpened)?)?;
        open_into(key.expose(), &place.bytes(b"value"), sealed, value.expose_mut())?;
        Ok(value)
    }
}

/// Why a value was not opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("not opened")]
    Not,
    #[error(transparent)]
    Memory(#[from] LockedError),
}

impl From<NotOpened> for OpenError {
    fn from(_: NotOpened) -> Self {
        Self::Not
    }
}

/// Where a value belongs: what it is bound to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) store: StoreId,
    pub(crate) uid: [u8; UID_LEN],
    pub(crate) id: &'a str,
    pub(crate) version: u64,
}

impl Place<'_> {
    fn bytes(&self, what: &[u8]) -> Vec<u8> {
        let version = self.version.to_be_bytes();
        [b"ringfort-store v1 ", what, b"\0", &self.store.0, &self.uid, &version, self.id.as_bytes()].concat()
    }
}

/// Wraps a store key with the root key of a slot.
pub(crate) fn wrap(store: StoreId, slot: &SlotData, root: &Locked, key: &Locked) -> Result<Vec<u8>, LockedError> {
    seal(root.expose(), &slot_place(store, slot), key.expose())
}

/// The store key that `wrap` wrapped.
pub(crate) fn unwrap(store: StoreId, slot: &SlotData, root: &Locked, wrapped: &[u8]) -> Result<Locked, OpenError> {
    let mut key = Locked::zeroed(KEY_LEN)?;
    if wrapped.len() != KEY_LEN + OVERHEAD {
        return Err(OpenError::Not);
    }
    open_into(root.expose(), &slot_place(store, slot), wrapped, key.expose_mut())?;
    Ok(key)
}

fn slot_place(store: StoreId, slot: &SlotData) -> Vec<u8> {
    // What was read from JSON can be written as JSON.
    let slot = serde_json::to_vec(slot).unwrap_or_default();
    [b"ringfort-store v1 slot\0", store.0.as_slice(), &slot].concat()
}

fn seal(key: &[u8], place: &[u8], plain: &[u8]) -> Result<Vec<u8>, LockedError> {
    wiping(|| seal_with(key, place, plain))
}

fn seal_with(key: &[u8], place: &[u8], plain: &[u8]) -> Result<Vec<u8>, LockedError> {
    let failed = |what: &str| LockedError::System(std::io::Error::other(what.to_owned()));
    let cipher = XChaCha20Poly1305::new_from_slice(key).map_err(|_| failed("a root key has another length"))?;
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).map_err(|error| LockedError::System(std::io::Error::other(error)))?;
    let mut sealed = Vec::with_capacity(plain.len() + OVERHEAD);
    sealed.extend_from_slice(&nonce);
    sealed.resize(NONCE_LEN + plain.len(), 0);
    // From one buffer into the other: ordinary memory never holds the plain text.
    let tag = InOutBuf::new(plain, sealed.get_mut(NONCE_LEN..).unwrap_or_default())
        .ok()
        .and_then(|buffers| cipher.encrypt_inout_detached(&XNonce::from(nonce), place, buffers).ok())
        .ok_or_else(|| failed("a text is too long for the cipher"))?;
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// Opens `sealed` into `plain`, which has its length; nothing is written before the tag was found right.
fn open_into(key: &[u8], place: &[u8], sealed: &[u8], plain: &mut [u8]) -> Result<(), NotOpened> {
    wiping(|| open_with(key, place, sealed, plain))
}

fn open_with(key: &[u8], place: &[u8], sealed: &[u8], plain: &mut [u8]) -> Result<(), NotOpened> {
    let cipher = XChaCha20Poly1305::new_from_slice(key).map_err(|_| NotOpened)?;
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(NotOpened)?;
    let (body, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(NotOpened)?;
    let buffers = InOutBuf::new(body, plain).map_err(|_| NotOpened)?;
    cipher.decrypt_inout_detached(&XNonce::from(*nonce), place, buffers, &Tag::from(*tag)).map_err(|_| NotOpened)
}

/// Bytes as text.
pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Text as bytes.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a text cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

/// Lower-case hexadecimal digits as bytes.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != N * 2 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(seed: u8) -> Keys {
        Keys::derive(StoreId([seed; 16]), Locked::copy_of(&[seed; KEY_LEN]).unwrap()).unwrap()
    }

    #[test]
    fn deny_values_that_belong_elsewhere() {
        let (ours, theirs) = (keys(1), keys(2));
        let place = Place { store: ours.store(), uid: [3; UID_LEN], id: "a.b", version: 4 };
        let (wrapped, sealed) = ours.seal_value(&place, b"value").unwrap();
        assert!(ours.open_value(&place, &wrapped, &sealed).unwrap().equals(b"value"));
        for other in [
            Place { store: theirs.store(), ..place },
            Place { uid: [4; UID_LEN], ..place },
            Place { id: "a.c", ..place },
            Place { version: 5, ..place },
        ] {
            assert!(ours.open_value(&other, &wrapped, &sealed).is_err(), "{other:?}");
        }
        assert!(theirs.open_value(&place, &wrapped, &sealed).is_err());
        let (wrapped_more, sealed_more) = ours.seal_value(&place, b"value").unwrap();
        assert!(ours.open_value(&place, &wrapped_more, &sealed).is_err());
        assert_ne!((&wrapped, &sealed), (&wrapped_more, &sealed_more));
        for cut in 0..sealed.len() {
            assert!(ours.open_value(&place, &wrapped, &sealed[..cut]).is_err());
        }
    }

    #[test]
    fn deny_a_store_key_under_another_root_store_or_slot() {
        let (root, key) = (Locked::copy_of(&[7; KEY_LEN]).unwrap(), Locked::copy_of(&[9; KEY_LEN]).unwrap());
        let slot = SlotData { source: "test".to_owned(), data: serde_json::json!({"b": 1, "a": "x"}) };
        let wrapped = wrap(StoreId([1; 16]), &slot, &root, &key).unwrap();
        assert!(unwrap(StoreId([1; 16]), &slot, &root, &wrapped).unwrap().equals(key.expose()));
        assert!(unwrap(StoreId([2; 16]), &slot, &root, &wrapped).is_err());
        assert!(unwrap(StoreId([1; 16]), &slot, &key, &wrapped).is_err());
        let other = SlotData { data: serde_json::json!({"b": 2, "a": "x"}), ..slot.clone() };
        assert!(unwrap(StoreId([1; 16]), &other, &root, &wrapped).is_err());
        assert!(wrap(StoreId([1; 16]), &slot, &Locked::zeroed(31).unwrap(), &key).is_err());
    }

    #[test]
    fn digits_are_strict() {
        assert_eq!(unhex::<2>(&hex(&[0x0a, 0xff])), Some([0x0a, 0xff]));
        for bad in ["", "0a", "0aff0", "0AFF", "0a g", "0af\u{e9}"] {
            assert_eq!(unhex::<2>(bad), None, "{bad}");
        }
    }
}
