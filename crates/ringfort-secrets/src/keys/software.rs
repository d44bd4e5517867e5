// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys in software: Ed25519, ECDSA over P-256, HMAC with SHA-256, HKDF.
//!
//! In: handles that this provider has made, messages. Out: signatures, MACs, derived keys; for public halves of any
//! provider whether a signature is theirs.
//!
//! **Invariant:** private halves are in locked memory, and what a signature needs of them is wiped with it. What has
//! not the exact shape of a key is refused before it is used: no empty, weak or non-canonical key, no second encoding
//! of an Ed25519 signature.

use ed25519_dalek::{Signature as EdSignature, Signer as _, SigningKey as EdPrivate, VerifyingKey as EdPublic};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature as EcSignature, SigningKey as EcPrivate, VerifyingKey as EcPublic};
use sha2::Sha256;

use super::{KeyError, KeyHandle, KeyKind, KeyProvider};
use crate::locked::Locked;
use crate::root::KEY_LEN;

/// The provider's name.
pub const NAME: &str = "software";
/// Length of a signature or a MAC key's shorter one. Bytes.
pub const SIGNATURE_LEN: usize = 64;
/// Length of a MAC. Bytes.
pub const MAC_LEN: usize = 32;
/// Length of an Ed25519 public half. Bytes.
pub const ED25519_PUBLIC_LEN: usize = 32;
/// Length of a P-256 public half: SEC 1, uncompressed. Bytes.
pub const P256_PUBLIC_LEN: usize = 65;
/// Longest context of a derived key. Bytes.
pub const CONTEXT_MAX: usize = 1024;
/// The salt of every derivation here, so that a derived key is nobody else's by chance.
const DERIVE_SALT: &[u8] = b"ringfort key derivation v1";
/// How often a random number is drawn again that is no P-256 key. One in 2^32 is none.
const DRAWS_MAX: usize = 8;

/// Makes and uses keys in this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct SoftwareKeys;

impl KeyProvider for SoftwareKeys {
    fn name(&self) -> &'static str {
        NAME
    }

    fn generate(&self, kind: KeyKind, _label: &str) -> Result<KeyHandle, KeyError> {
        for _ in 0..DRAWS_MAX {
            let private = Locked::random(KEY_LEN)?;
            match public_of(kind, &private) {
                Ok(public) => return Ok(KeyHandle { kind, public, private }),
                Err(KeyError::Invalid { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let message = "the system's random numbers are not random".to_owned();
        Err(KeyError::Broken { provider: NAME, operation: "generate", message })
    }

    fn sign(&self, key: &KeyHandle, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let private = private_of(key)?;
        match key.kind {
            KeyKind::Ed25519 => Ok(EdPrivate::from_bytes(private).sign(message).to_bytes().to_vec()),
            KeyKind::EcdsaP256 => {
                let signature: EcSignature = ec_private(private)?.sign(message);
                Ok(signature.to_bytes().to_vec())
            }
            KeyKind::HmacSha256 => Ok(mac(private)?.chain_update(message).finalize().into_bytes().to_vec()),
        }
    }

    fn verify(&self, key: &KeyHandle, message: &[u8], signature: &[u8]) -> Result<bool, KeyError> {
        match (key.kind, &key.public) {
            // The whole MAC: `verify_truncated_left` would take one byte for a MAC.
            (KeyKind::HmacSha256, _) => {
                Ok(mac(private_of(key)?)?.chain_update(message).verify_slice(signature).is_ok())
            }
            (kind, Some(public)) => verify_public(kind, public, message, signature),
            (kind, None) => Err(KeyError::Invalid { kind, message: "its public half is missing" }),
        }
    }

    fn derive(&self, key: &KeyHandle, context: &[u8]) -> Result<Locked, KeyError> {
        if key.kind != KeyKind::HmacSha256 {
            return Err(KeyError::Unsupported { provider: NAME, operation: "derive", kind: key.kind });
        }
        derive(private_of(key)?, context)
    }

    fn destroy(&self, _key: &KeyHandle) -> Result<(), KeyError> {
        // Nothing is held beside the handle.
        Ok(())
    }
}

/// HKDF-SHA-256 of `key` for `context`: 32 bytes.
///
/// # Errors
///
/// [`KeyError`]: the context is empty or longer than [`CONTEXT_MAX`], or there is no memory.
pub fn derive(key: &[u8], context: &[u8]) -> Result<Locked, KeyError> {
    let failed = |message: &str| KeyError::Broken { provider: NAME, operation: "derive", message: message.to_owned() };
    if context.is_empty() || context.len() > CONTEXT_MAX {
        return Err(failed("a context has 1 to 1024 bytes"));
    }
    let mut derived = Locked::zeroed(KEY_LEN)?;
    expand(DERIVE_SALT, key, context, derived.expose_mut()).ok_or_else(|| failed("the derived key is too long"))?;
    Ok(derived)
}

/// HKDF-SHA-256 (RFC 5869), as long as `out`; nothing where that is too long.
fn expand(salt: &[u8], key: &[u8], context: &[u8], out: &mut [u8]) -> Option<()> {
    Hkdf::<Sha256>::new(Some(salt), key).expand(context, out).ok()
}

/// Whether `signature` over `message` is that of the public half `public`, strictly: an Ed25519 key or signature that is
/// not canonical, or of small order, is nobody's (`verify_strict`). An ECDSA signature has a second valid form by its
/// nature (`n - s`): it proves the message, and is no name for it.
///
/// # Errors
///
/// [`KeyError::Invalid`]: `public` is no public half of this kind; [`KeyError::Unsupported`]: the kind has none.
#[must_use = "`Ok(false)` is a signature that does not fit"]
pub fn verify_public(kind: KeyKind, public: &[u8], message: &[u8], signature: &[u8]) -> Result<bool, KeyError> {
    match kind {
        KeyKind::Ed25519 => {
            let public = ed_public(public)?;
            let Ok(signature) = EdSignature::from_slice(signature) else { return Ok(false) };
            Ok(public.verify_strict(message, &signature).is_ok())
        }
        KeyKind::EcdsaP256 => {
            let public = ec_public(public)?;
            let Ok(signature) = EcSignature::from_slice(signature) else { return Ok(false) };
            Ok(public.verify(message, &signature).is_ok())
        }
        KeyKind::HmacSha256 => {
            Err(KeyError::Unsupported { provider: NAME, operation: "verify by a public half", kind })
        }
    }
}

/// Whether `public` is a public half of this kind.
///
/// # Errors
///
/// [`KeyError`]: it is none, or the kind has none.
pub fn check_public(kind: KeyKind, public: &[u8]) -> Result<(), KeyError> {
    match kind {
        KeyKind::Ed25519 => ed_public(public).map(drop),
        KeyKind::EcdsaP256 => ec_public(public).map(drop),
        KeyKind::HmacSha256 => Err(KeyError::Unsupported { provider: NAME, operation: "show a public half", kind }),
    }
}

/// The public half of a private one, and with it whether it is a private half at all.
fn public_of(kind: KeyKind, private: &Locked) -> Result<Option<Vec<u8>>, KeyError> {
    let private = exact(kind, private.expose())?;
    match kind {
        KeyKind::Ed25519 => Ok(Some(EdPrivate::from_bytes(private).verifying_key().to_bytes().to_vec())),
        KeyKind::EcdsaP256 => Ok(Some(ec_private(private)?.verifying_key().to_sec1_point(false).as_bytes().to_vec())),
        KeyKind::HmacSha256 => Ok(None),
    }
}

/// The private half of a handle, if it is one.
fn private_of(key: &KeyHandle) -> Result<&[u8; KEY_LEN], KeyError> {
    exact(key.kind, key.private.expose())
}

fn exact(kind: KeyKind, private: &[u8]) -> Result<&[u8; KEY_LEN], KeyError> {
    let exact: &[u8; KEY_LEN] =
        private.try_into().map_err(|_length| KeyError::Invalid { kind, message: "a private half has 32 bytes" })?;
    if exact.iter().all(|byte| *byte == 0) {
        return Err(KeyError::Invalid { kind, message: "its private half is empty" });
    }
    Ok(exact)
}

fn ec_private(private: &[u8; KEY_LEN]) -> Result<EcPrivate, KeyError> {
    let invalid = |_error| KeyError::Invalid { kind: KeyKind::EcdsaP256, message: "its private half is out of range" };
    EcPrivate::from_slice(private).map_err(invalid)
}

fn ec_public(public: &[u8]) -> Result<EcPublic, KeyError> {
    let invalid = |message| KeyError::Invalid { kind: KeyKind::EcdsaP256, message };
    // One form only: a compressed point would be a second name of the same key.
    if public.len() != P256_PUBLIC_LEN || public.first() != Some(&4) {
        return Err(invalid("a public half has 65 bytes and begins with 4"));
    }
    EcPublic::from_sec1_bytes(public).map_err(|_error| invalid("its public half is no point of the curve"))
}

fn ed_public(public: &[u8]) -> Result<EdPublic, KeyError> {
    let invalid = |message| KeyError::Invalid { kind: KeyKind::Ed25519, message };
    let exact: &[u8; ED25519_PUBLIC_LEN] =
        public.try_into().map_err(|_length| invalid("a public half has 32 bytes"))?;
    let key = EdPublic::from_bytes(exact).map_err(|_error| invalid("its public half is no point of the curve"))?;
    if key.is_weak() {
        return Err(invalid("its public half is of small order: many signatures would fit"));
    }
    if key.to_edwards().compress().to_bytes() != *exact {
        return Err(invalid("its public half is not written in the one canonical form"));
    }
    Ok(key)
}

fn mac(private: &[u8; KEY_LEN]) -> Result<Hmac<Sha256>, KeyError> {
    Hmac::new_from_slice(private)
        .map_err(|_length| KeyError::Invalid { kind: KeyKind::HmacSha256, message: "a private half has 32 bytes" })
}

#[cfg(test)]
mod tests;
