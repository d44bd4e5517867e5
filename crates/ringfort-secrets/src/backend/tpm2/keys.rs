// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys that the machine's TPM makes and uses.
//!
//! In: kinds, messages. Out: signatures, MACs, derived keys, made in the chip.
//!
//! **Invariant:** a private half exists in the clear in the TPM only; its handle is a blob that no other TPM loads, and
//! each handle is whole by itself, so that an older version works beside a newer one. The TPM keeps nothing, so a copy of
//! a blob outlives [`KeyProvider::destroy`] on this one machine: whoever keeps handles seals them.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::fault::{NAME, TpmError};
use super::object::{Blob, Guard, Loaded, Sort, coordinate};
use super::session::{Cover, Session};
use super::source::TpmOptions;
use super::tpm::{Auth, Command, Entity, NOTHING, Purpose, Tpm, digest_of};
use super::wire::{
    ALG_ECDSA, ALG_SHA256, Buffer, CC_HMAC, CC_HMAC_START, CC_SEQUENCE_COMPLETE, CC_SEQUENCE_UPDATE, CC_SIGN, RH_NULL,
    ST_HASHCHECK,
};
use crate::backend::device;
use crate::keys::{KeyError, KeyHandle, KeyKind, KeyProvider};
use crate::locked::Locked;

/// Longest piece of a message that a TPM takes at once. Bytes; `MAX_DIGEST_BUFFER`, which no TPM has smaller.
const PIECE: usize = 1024;

/// Keys in a TPM.
#[derive(Debug)]
pub struct TpmKeys {
    options: TpmOptions,
}

impl TpmKeys {
    /// Those of the TPM of `options`.
    pub const fn new(options: TpmOptions) -> Self {
        Self { options }
    }

    fn make(&self, sort: Sort) -> Result<Blob, TpmError> {
        self.options.with_parent(Purpose::Value, |tpm, parent, session| {
            tpm.create(parent, session, sort, &Guard::default(), (&[], &[]))
        })
    }

    /// Loads the key of `handle` and does `work` with it.
    fn with_key<T>(
        &self,
        handle: &KeyHandle,
        work: impl FnOnce(&mut Tpm, &mut Session, &Loaded) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        let blob: Blob =
            serde_json::from_slice(handle.private.expose()).map_err(|error| TpmError::Kept(error.to_string()))?;
        self.options.with_parent(Purpose::Value, |tpm, parent, session| tpm.with_loaded(parent, session, &blob, work))
    }

    fn mac(&self, key: &KeyHandle, message: &[u8], operation: &'static str) -> Result<Locked, KeyError> {
        if key.kind != KeyKind::HmacSha256 {
            return Err(KeyError::Unsupported { provider: NAME, operation, kind: key.kind });
        }
        let made = self.with_key(key, |tpm, session, loaded| {
            if message.len() <= PIECE {
                mac(tpm, session, loaded, message)
            } else {
                long_mac(tpm, session, loaded, message)
            }
        });
        made.map_err(|error| error.for_key(operation))
    }
}

impl KeyProvider for TpmKeys {
    fn name(&self) -> &'static str {
        NAME
    }

    fn generate(&self, kind: KeyKind, _label: &str) -> Result<KeyHandle, KeyError> {
        let operation = "generate";
        let sort = match kind {
            KeyKind::EcdsaP256 => Sort::Ecdsa,
            KeyKind::HmacSha256 => Sort::Hmac,
            KeyKind::Ed25519 => return Err(KeyError::Unsupported { provider: NAME, operation, kind }),
        };
        let made = || {
            let blob = self.make(sort)?;
            let public = if sort == Sort::Ecdsa { Some(blob.point()?.sec1()) } else { None };
            let kept = serde_json::to_vec(&blob).map_err(|error| TpmError::Kept(error.to_string()))?;
            Ok(KeyHandle { kind, public, private: Locked::copy_of(&kept)? })
        };
        made().map_err(|error: TpmError| error.for_key(operation))
    }

    fn sign(&self, key: &KeyHandle, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let operation = "sign";
        match key.kind {
            KeyKind::HmacSha256 => {
                device::check_message(NAME, message)?;
                Ok(self.mac(key, message, operation)?.expose().to_vec())
            }
            KeyKind::EcdsaP256 => {
                let signed = self.with_key(key, |tpm, session, loaded| sign(tpm, session, loaded, message));
                let signature = signed.map_err(|error| error.for_key(operation))?;
                device::prove(NAME, key, message, signature)
            }
            KeyKind::Ed25519 => Err(KeyError::Unsupported { provider: NAME, operation, kind: key.kind }),
        }
    }

    fn verify(&self, key: &KeyHandle, message: &[u8], signature: &[u8]) -> Result<bool, KeyError> {
        if key.kind == KeyKind::HmacSha256 {
            device::check_message(NAME, message)?;
            return Ok(self.mac(key, message, "verify")?.expose().ct_eq(signature).into());
        }
        device::verify(NAME, key, message, signature)
    }

    fn derive(&self, key: &KeyHandle, context: &[u8]) -> Result<Locked, KeyError> {
        let mac = self.mac(key, &device::derivation(NAME, context)?, "derive")?;
        device::expand(NAME, mac.expose(), context)
    }

    /// The TPM keeps nothing of a key; the handle was all there is.
    fn destroy(&self, _key: &KeyHandle) -> Result<(), KeyError> {
        Ok(())
    }
}

fn sign(tpm: &mut Tpm, session: &mut Session, key: &Loaded, message: &[u8]) -> Result<Vec<u8>, TpmError> {
    let mut parameters = Buffer::new()?;
    parameters.sized(&Sha256::digest(message)).u16(NOTHING);
    parameters.u16(ST_HASHCHECK).u32(RH_NULL).sized(&[]);
    let entities = [key.entity()];
    let command = Command { code: CC_SIGN, operation: "sign", entities: &entities, parameters, gives_handle: false };
    let answer = tpm.run(command, Auth::Session(session, &[], Cover::In))?;
    let mut reader = answer.parameters()?;
    if (reader.u16()?, reader.u16()?) != (ALG_ECDSA, ALG_SHA256) {
        return Err(TpmError::Malformed { what: "a signature of another sort" });
    }
    let signature = [coordinate(reader.sized()?)?, coordinate(reader.sized()?)?].concat();
    reader.end()?;
    debug_assert_eq!(signature.len(), device::P256_SIGNATURE, "two numbers of 256 bits");
    Ok(signature)
}

fn mac(tpm: &mut Tpm, session: &mut Session, key: &Loaded, message: &[u8]) -> Result<Locked, TpmError> {
    let mut parameters = Buffer::new()?;
    parameters.sized(message).u16(NOTHING);
    let entities = [key.entity()];
    let operation = "authenticate";
    let command = Command { code: CC_HMAC, operation, entities: &entities, parameters, gives_handle: false };
    let answer = tpm.run(command, Auth::Session(session, &[], Cover::Both))?;
    let mut reader = answer.parameters()?;
    let mac = digest_of(reader.sized()?, "a MAC of another length")?;
    reader.end()?;
    Ok(mac)
}

/// The MAC of a message that has to be sent in pieces.
fn long_mac(tpm: &mut Tpm, session: &mut Session, key: &Loaded, message: &[u8]) -> Result<Locked, TpmError> {
    let mut parameters = Buffer::new()?;
    parameters.sized(&[]).u16(NOTHING);
    let entities = [key.entity()];
    let operation = "begin to authenticate";
    let command = Command { code: CC_HMAC_START, operation, entities: &entities, parameters, gives_handle: true };
    let sequence = tpm.run(command, Auth::Session(session, &[], Cover::In))?.handle;
    // The TPM drops the sequence when it is complete; until then it has to be flushed.
    tpm.holding_until_done(sequence, |tpm| {
        let (most, last) = message.split_at(message.len().saturating_sub(1) / PIECE * PIECE);
        for piece in most.chunks(PIECE) {
            let mut parameters = Buffer::new()?;
            parameters.sized(piece);
            let entities = [Entity { handle: sequence, name: &[] }];
            let (code, operation) = (CC_SEQUENCE_UPDATE, "authenticate");
            let command = Command { code, operation, entities: &entities, parameters, gives_handle: false };
            tpm.run(command, Auth::Session(session, &[], Cover::In))?;
        }
        let mut parameters = Buffer::new()?;
        parameters.sized(last).u32(RH_NULL);
        let entities = [Entity { handle: sequence, name: &[] }];
        let (code, operation) = (CC_SEQUENCE_COMPLETE, "authenticate");
        let command = Command { code, operation, entities: &entities, parameters, gives_handle: false };
        let answer = tpm.run(command, Auth::Session(session, &[], Cover::Both))?;
        digest_of(answer.parameters()?.sized()?, "a MAC of another length")
    })
}
