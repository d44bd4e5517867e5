// SPDX-License-Identifier: MIT OR Apache-2.0
//! A root key that a token makes.
//!
//! In: a token. Out: 32 bytes: HKDF-SHA-256 of the HMAC-SHA-256 (`CKM_SHA256_HMAC`) that a secret key in the token makes of
//! a random salt.
//!
//! **Invariant:** the key in the token is made there, is sensitive and not extractable; what is kept beside the store is a
//! serial number, an id and a salt. A key that was made is opened once before its slot is given out.

use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::fault::{NAME, TokenError};
use super::session::{ID, Token, TokenOptions};
use crate::locked::Locked;
use crate::root::{KEY_LEN, RootKeyError, RootKeySource, SlotData, StoreId};

/// The form of [`Slot`].
const SLOT_VERSION: u32 = 1;
/// The only mechanism of this version.
const MECHANISM: &str = "sha256-hmac";
/// What a root key is derived for.
const PURPOSE: &[u8] = b"ringfort pkcs11 root key v1\0";

/// A root key that is made by a token.
#[derive(Debug)]
pub struct TokenSource {
    options: TokenOptions,
}

/// What is kept beside the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Slot {
    version: u32,
    mechanism: String,
    serial: String,
    id: [u8; ID],
    salt: [u8; KEY_LEN],
}

impl TokenSource {
    /// The token of `options`.
    pub const fn new(options: TokenOptions) -> Self {
        Self { options }
    }

    fn read_slot(slot: &SlotData) -> Result<Slot, TokenError> {
        if slot.source != NAME {
            return Err(TokenError::Wrong(format!("the slot was made by `{}`", slot.source.escape_debug())));
        }
        let read: Slot = serde_json::from_value(slot.data.clone())
            .map_err(|error| TokenError::Wrong(format!("its data cannot be read: {error}")))?;
        if read.version != SLOT_VERSION || read.mechanism != MECHANISM {
            return Err(TokenError::Wrong("its data is of an unknown form".to_owned()));
        }
        Ok(read)
    }
}

impl RootKeySource for TokenSource {
    fn name(&self) -> &'static str {
        NAME
    }

    fn key_source(&self) -> String {
        let token = self.options.label.as_deref().or(self.options.serial.as_deref()).unwrap_or("the only token");
        format!("pkcs11:{token} ({})", self.options.module.display())
    }

    fn create(&self, store: StoreId) -> Result<(SlotData, Locked), RootKeyError> {
        let made = self.options.with_token(None, move |token| {
            token.can(&[MechanismType::GENERIC_SECRET_KEY_GEN, MechanismType::SHA256_HMAC])?;
            let slot = Slot {
                version: SLOT_VERSION,
                mechanism: MECHANISM.to_owned(),
                serial: token.serial.clone(),
                id: random()?,
                salt: random()?,
            };
            let make = || {
                let key = token.make_secret(&slot.id, &format!("ringfort:{store}"))?;
                let made = root_key(token, key, store, &slot)?;
                let again = root_key(token, token.key(ObjectClass::SECRET_KEY, &slot.id)?, store, &slot)?;
                let differs = || TokenError::Broken("it makes another MAC each time".to_owned());
                if again.equals(made.expose()) { Ok(made) } else { Err(differs()) }
            };
            let key = token.keep(&slot.id, make())?;
            Ok((slot, key))
        });
        let (slot, key) = made?;
        let data = serde_json::to_value(&slot).map_err(|error| TokenError::Broken(error.to_string()))?;
        Ok((SlotData { source: NAME.to_owned(), data }, key))
    }

    fn open(&self, store: StoreId, slot: &SlotData) -> Result<Locked, RootKeyError> {
        let slot = Self::read_slot(slot)?;
        let opened = self.options.with_token(Some(slot.serial.clone()), move |token| {
            root_key(token, token.key(ObjectClass::SECRET_KEY, &slot.id)?, store, &slot)
        });
        Ok(opened?)
    }

    fn forget(&self, _store: StoreId, slot: &SlotData) -> Result<(), RootKeyError> {
        let slot = Self::read_slot(slot)?;
        Ok(self.options.with_token(Some(slot.serial.clone()), move |token| token.remove(&slot.id))?)
    }
}

/// Random bytes, not secret.
pub(super) fn random<const N: usize>() -> Result<[u8; N], TokenError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| TokenError::Broken(format!("no randomness: {error}")))?;
    Ok(bytes)
}

fn root_key(token: &Token, key: ObjectHandle, store: StoreId, slot: &Slot) -> Result<Locked, TokenError> {
    let mac = token.mac(key, &[PURPOSE, &store.0, &slot.salt].concat())?;
    let mut root = Locked::zeroed(KEY_LEN)?;
    let failed = |_| TokenError::Broken("the root key cannot be derived".to_owned());
    Hkdf::<Sha256>::new(Some(&slot.salt), mac.expose()).expand(PURPOSE, root.expose_mut()).map_err(failed)?;
    Ok(root)
}

impl Token {
    /// Makes a secret key for HMAC-SHA-256 in the token.
    pub(super) fn make_secret(&self, id: &[u8; ID], label: &str) -> Result<ObjectHandle, TokenError> {
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::GENERIC_SECRET),
            Attribute::ValueLen((KEY_LEN as u64).into()),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
            Attribute::Id(id.to_vec()),
            Attribute::Label(label.as_bytes().to_vec()),
        ];
        let key = self.session.generate_key(&Mechanism::GenericSecretKeyGen, &template)?;
        self.check(key)?;
        Ok(key)
    }

    /// The HMAC-SHA-256 that a key in the token makes.
    pub(super) fn mac(&self, key: ObjectHandle, message: &[u8]) -> Result<Locked, TokenError> {
        let mac = zeroize::Zeroizing::new(self.session.sign(&Mechanism::Sha256Hmac, key, message)?);
        if mac.len() != KEY_LEN {
            return Err(TokenError::Broken(format!("it made a MAC of {} bytes", mac.len())));
        }
        Ok(Locked::copy_of(&mac)?)
    }
}
