// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys that a token makes and keeps.
//!
//! In: kinds, messages. Out: signatures, MACs, derived keys, made in the token.
//!
//! **Invariant:** a private half is made in the token and cannot be read out of it; a handle is the token's serial number
//! and the key's id, so that each version stands alone; a key that was destroyed is gone for every copy of its handle.

use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::fault::{NAME, TokenError};
use super::session::{ID, Token, TokenOptions};
use super::source::random;
use crate::backend::device;
use crate::keys::{KeyError, KeyHandle, KeyKind, KeyProvider};
use crate::locked::Locked;

/// The object identifier of P-256 in DER: what `CKA_EC_PARAMS` wants.
const P256: [u8; 10] = [0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
/// Length of a point, SEC 1, uncompressed. Bytes.
const POINT: usize = 65;
/// Longest label of a key. Bytes.
const LABEL_MAX: usize = 64;
/// The form of [`Reference`].
const VERSION: u32 = 1;

/// Keys in a token.
#[derive(Debug)]
pub struct TokenKeys {
    options: TokenOptions,
}

/// Where a key is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reference {
    version: u32,
    serial: String,
    id: [u8; ID],
}

impl Reference {
    fn of(key: &KeyHandle) -> Result<Self, TokenError> {
        let read: Self = serde_json::from_slice(key.private.expose())
            .map_err(|error| TokenError::Wrong(format!("the kept handle cannot be read: {error}")))?;
        if read.version != VERSION {
            return Err(TokenError::Wrong("the kept handle is of an unknown form".to_owned()));
        }
        Ok(read)
    }
}

impl TokenKeys {
    /// Those of the token of `options`.
    pub const fn new(options: TokenOptions) -> Self {
        Self { options }
    }

    fn mac(&self, key: &KeyHandle, message: Vec<u8>, operation: &'static str) -> Result<Locked, KeyError> {
        if key.kind != KeyKind::HmacSha256 {
            return Err(KeyError::Unsupported { provider: NAME, operation, kind: key.kind });
        }
        let made = || {
            let reference = Reference::of(key)?;
            self.options.with_token(Some(reference.serial), move |token| {
                token.mac(token.key(ObjectClass::SECRET_KEY, &reference.id)?, &message)
            })
        };
        made().map_err(|error| error.for_key(operation))
    }
}

impl KeyProvider for TokenKeys {
    fn name(&self) -> &'static str {
        NAME
    }

    fn generate(&self, kind: KeyKind, label: &str) -> Result<KeyHandle, KeyError> {
        let operation = "generate";
        let mut label = format!("ringfort:{label}");
        label.truncate(label.floor_char_boundary(LABEL_MAX));
        let work = move |token: &Token| {
            let id = random()?;
            let make = || match kind {
                KeyKind::EcdsaP256 => token.make_pair(&id, &label).map(Some),
                _ => {
                    token.can(&[MechanismType::GENERIC_SECRET_KEY_GEN, MechanismType::SHA256_HMAC])?;
                    token.make_secret(&id, &label).map(|_| None)
                }
            };
            let public = token.keep(&id, make())?;
            Ok((Reference { version: VERSION, serial: token.serial.clone(), id }, public))
        };
        if kind == KeyKind::Ed25519 {
            return Err(KeyError::Unsupported { provider: NAME, operation, kind });
        }
        let (reference, public) = self.options.with_token(None, work).map_err(|error| error.for_key(operation))?;
        let kept =
            serde_json::to_vec(&reference).map_err(|error| TokenError::Broken(error.to_string()).for_key(operation))?;
        Ok(KeyHandle { kind, public, private: Locked::copy_of(&kept)? })
    }

    fn sign(&self, key: &KeyHandle, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let operation = "sign";
        match key.kind {
            KeyKind::HmacSha256 => {
                device::check_message(NAME, message)?;
                Ok(self.mac(key, message.to_vec(), operation)?.expose().to_vec())
            }
            KeyKind::EcdsaP256 => {
                let digest = Sha256::digest(message);
                let signed = || {
                    let reference = Reference::of(key)?;
                    self.options.with_token(Some(reference.serial), move |token| {
                        let key = token.key(ObjectClass::PRIVATE_KEY, &reference.id)?;
                        Ok(token.session.sign(&Mechanism::Ecdsa, key, &digest)?)
                    })
                };
                let signature = signed().map_err(|error| error.for_key(operation))?;
                device::prove(NAME, key, message, signature)
            }
            KeyKind::Ed25519 => Err(KeyError::Unsupported { provider: NAME, operation, kind: key.kind }),
        }
    }

    fn verify(&self, key: &KeyHandle, message: &[u8], signature: &[u8]) -> Result<bool, KeyError> {
        if key.kind == KeyKind::HmacSha256 {
            device::check_message(NAME, message)?;
            return Ok(self.mac(key, message.to_vec(), "verify")?.expose().ct_eq(signature).into());
        }
        device::verify(NAME, key, message, signature)
    }

    fn derive(&self, key: &KeyHandle, context: &[u8]) -> Result<Locked, KeyError> {
        let mac = self.mac(key, device::derivation(NAME, context)?, "derive")?;
        device::expand(NAME, mac.expose(), context)
    }

    fn destroy(&self, key: &KeyHandle) -> Result<(), KeyError> {
        let gone = || {
            let reference = Reference::of(key)?;
            self.options.with_token(Some(reference.serial), move |token| token.remove(&reference.id))
        };
        gone().map_err(|error| error.for_key("destroy"))
    }
}

impl Token {
    /// Makes a key pair for ECDSA over P-256; gives the public half.
    fn make_pair(&self, id: &[u8; ID], label: &str) -> Result<Vec<u8>, TokenError> {
        self.can(&[MechanismType::ECC_KEY_PAIR_GEN, MechanismType::ECDSA])?;
        let named = [
            Attribute::Token(true),
            Attribute::KeyType(KeyType::EC),
            Attribute::Id(id.to_vec()),
            Attribute::Label(label.as_bytes().to_vec()),
        ];
        let public = [Attribute::Private(false), Attribute::Verify(true), Attribute::EcParams(P256.to_vec())];
        let private = [
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
        ];
        let with = |own: &[Attribute]| [&named[..], own].concat();
        let (public, private) =
            self.session.generate_key_pair(&Mechanism::EccKeyPairGen, &with(&public), &with(&private))?;
        self.check(private)?;
        match self.session.get_attributes(public, &[AttributeType::EcPoint])?.first() {
            Some(Attribute::EcPoint(point)) => raw_point(point),
            _ => Err(TokenError::Broken("it does not show the public half".to_owned())),
        }
    }
}

/// The point itself: the standard wants it inside an `OCTET STRING`, and some tokens give it bare.
fn raw_point(point: &[u8]) -> Result<Vec<u8>, TokenError> {
    let bare = match point {
        [0x04, 0x41, bare @ ..] if bare.len() == POINT => bare,
        bare => bare,
    };
    let valid = bare.len() == POINT && p256::PublicKey::from_sec1_bytes(bare).is_ok();
    if valid { Ok(bare.to_vec()) } else { Err(TokenError::Broken("its public half is no point of P-256".to_owned())) }
}

#[cfg(test)]
mod tests {
    use p256::elliptic_curve::sec1::ToSec1Point as _;

    use super::*;

    #[test]
    fn points_come_wrapped_or_bare() {
        let key = p256::SecretKey::from_slice(&[7; 32]).unwrap().public_key();
        let bare = key.to_sec1_point(false).as_bytes().to_vec();
        let wrapped = [&[0x04, 0x41][..], &bare].concat();
        assert_eq!((raw_point(&bare).unwrap(), raw_point(&wrapped).unwrap()), (bare.clone(), bare.clone()));
        let mut off = bare.clone();
        off[64] ^= 1;
        for broken in [&[][..], &bare[1..], &wrapped[..66], &off, &[&bare[..], &[0]].concat(), &[4; 65]] {
            assert!(raw_point(broken).is_err(), "{broken:?}");
        }
    }
}
