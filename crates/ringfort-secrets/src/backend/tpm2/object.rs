// SPDX-License-Identifier: MIT OR Apache-2.0
//! The objects that are made in a TPM: the storage key, sealed bytes, keys that sign.
//!
//! In: a template. Out: blobs that only this TPM can load, and loaded objects with the names that were computed here.
//!
//! **Invariant:** what is loaded is what was meant: a name is computed from the public part that was kept and compared with
//! the TPM's; no object may leave its TPM (`fixedTPM`, `fixedParent`).

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::fault::{Fault, TpmError};
use super::session::{Cover, DIGEST, Session};
use super::tpm::{Auth, Command, Entity, NOTHING, Tpm};
use super::wire::{
    ALG_AES, ALG_CFB, ALG_ECC, ALG_ECDSA, ALG_HMAC, ALG_KEYEDHASH, ALG_SHA256, Buffer, CC_CREATE, CC_CREATE_PRIMARY,
    CC_LOAD, ECC_P256, RH_OWNER, Reader,
};

/// `TPMA_OBJECT`.
const FIXED_TPM: u32 = 1 << 1;
const FIXED_PARENT: u32 = 1 << 4;
const SENSITIVE_DATA_ORIGIN: u32 = 1 << 5;
const USER_WITH_AUTH: u32 = 1 << 6;
const NO_DA: u32 = 1 << 10;
const RESTRICTED: u32 = 1 << 16;
const DECRYPT: u32 = 1 << 17;
const SIGN: u32 = 1 << 18;
/// Longest blob that is kept. Bytes; a real one has some 200.
const BLOB_MAX: usize = 1024;

/// A point of P-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Point {
    /// Its coordinates.
    pub(super) x: [u8; DIGEST],
    pub(super) y: [u8; DIGEST],
}

impl Point {
    /// SEC 1, uncompressed.
    pub(super) fn sec1(&self) -> Vec<u8> {
        [&[0x04][..], &self.x, &self.y].concat()
    }
}

/// Writes a point as a TPM reads it.
pub(super) fn put_point(buffer: &mut Buffer, point: &Point) {
    buffer.sized(&point.x).sized(&point.y);
}

/// The storage key under which everything is made: the TCG's template for P-256, the same at every start until the owner
/// hierarchy is cleared.
pub(super) struct Parent {
    handle: u32,
    name: Vec<u8>,
    /// Its public half, which salts sessions.
    pub(super) point: Point,
}

impl Parent {
    /// As a command names it.
    pub(super) fn entity(&self) -> Entity<'_> {
        Entity { handle: self.handle, name: &self.name }
    }

    /// Its name, in hexadecimal.
    pub(super) fn name_text(&self) -> String {
        self.name.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What sort of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// Bytes that are given to it.
    Sealed,
    /// An HMAC-SHA-256 key that the TPM makes.
    Hmac,
    /// An ECDSA key over P-256 that the TPM makes.
    Ecdsa,
}

/// How the use of an object is authorized.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Guard {
    /// The digest of its policy; without one its authorization value alone counts.
    pub(super) policy: Option<[u8; DIGEST]>,
    /// Whether wrong authorization values count against the TPM's lockout.
    pub(super) counted: bool,
}

/// An object as it is kept outside the TPM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Blob {
    /// The name of the storage key that made it, in hexadecimal.
    parent: String,
    /// `TPMT_PUBLIC`.
    #[serde(with = "base64_bytes")]
    public: Vec<u8>,
    /// `TPM2B_PRIVATE` without its length: encrypted by the TPM.
    #[serde(with = "base64_bytes")]
    private: Vec<u8>,
}

/// An object that is loaded.
pub(super) struct Loaded {
    handle: u32,
    name: Vec<u8>,
}

impl Loaded {
    /// As a command names it.
    pub(super) fn entity(&self) -> Entity<'_> {
        Entity { handle: self.handle, name: &self.name }
    }
}

impl Blob {
    /// The public half of an ECDSA key.
    pub(super) fn point(&self) -> Result<Point, TpmError> {
        let mut reader = Reader::new(&self.public);
        let (sort, _hash, _attributes, _policy) = (reader.u16()?, reader.u16()?, reader.u32()?, reader.sized()?);
        if sort != ALG_ECC {
            return Err(TpmError::Malformed { what: "a public half that is no point" });
        }
        let (_symmetric, scheme) = (reader.u16()?, reader.u16()?);
        if scheme == ALG_ECDSA {
            reader.u16()?;
        }
        let (_curve, _kdf) = (reader.u16()?, reader.u16()?);
        read_point(&mut reader)
    }
}

impl Tpm {
    /// Makes the storage key and does `work` with it.
    pub(super) fn with_parent<T>(
        &mut self,
        owner: &[u8],
        work: impl FnOnce(&mut Self, &Parent) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        let mut parameters = Buffer::new()?;
        parameters.sized(&[0, 0, 0, 0]).sized(storage_template()?.bytes()?).sized(&[]).u32(0);
        let entities = [Entity { handle: RH_OWNER, name: &RH_OWNER.to_be_bytes() }];
        let operation = "make the storage key";
        let answer = self.run(
            Command { code: CC_CREATE_PRIMARY, operation, entities: &entities, parameters, gives_handle: true },
            Auth::Password(owner),
        );
        let answer = answer.map_err(|error| match error.fault() {
            Some(Fault::Auth) => TpmError::Owner,
            _ => error,
        })?;
        self.holding(answer.handle, |tpm| {
            let mut reader = answer.parameters()?;
            let public = reader.sized()?;
            let name = name_of(public);
            let mut fields = Reader::new(public);
            // The template comes back as it was asked for, with the point at its end.
            let template = storage_template()?;
            let asked = template.bytes()?;
            let fixed = asked.len() - 2 * (2 + DIGEST);
            if fields.take(fixed)? != asked.get(..fixed).unwrap_or_default() {
                return Err(TpmError::Malformed { what: "a storage key of another sort" });
            }
            let point = read_point(&mut fields)?;
            fields.end()?;
            work(tpm, &Parent { handle: answer.handle, name, point })
        })
    }

    /// Makes an object under `parent`. `auth` and `data` travel encrypted.
    pub(super) fn create(
        &mut self,
        parent: &Parent,
        session: &mut Session,
        sort: Sort,
        guard: &Guard,
        (auth, data): (&[u8], &[u8]),
    ) -> Result<Blob, TpmError> {
        let template = template(sort, guard)?;
        let mut sensitive = Buffer::new()?;
        sensitive.sized(auth).sized(data);
        let mut parameters = Buffer::new()?;
        parameters.sized(sensitive.bytes()?).sized(template.bytes()?).sized(&[]).u32(0);
        let entities = [parent.entity()];
        let command = Command {
            code: CC_CREATE,
            operation: "make an object",
            entities: &entities,
            parameters,
            gives_handle: false,
        };
        let answer = self.run(command, Auth::Session(session, &[], Cover::Both))?;
        let mut reader = answer.parameters()?;
        let (private, public) = (reader.sized()?.to_vec(), reader.sized()?.to_vec());
        let fixed = HEAD + guard.policy.map_or(0, |_| DIGEST);
        if public.get(..fixed) != template.bytes()?.get(..fixed) {
            return Err(TpmError::Malformed { what: "an object of another sort than was asked for" });
        }
        Ok(Blob { parent: parent.name_text(), public, private })
    }

    /// Loads `blob` under `parent` and does `work` with it.
    pub(super) fn with_loaded<T>(
        &mut self,
        parent: &Parent,
        session: &mut Session,
        blob: &Blob,
        work: impl FnOnce(&mut Self, &mut Session, &Loaded) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        if blob.parent != parent.name_text() {
            return Err(TpmError::AnotherTpm);
        }
        if blob.public.len() > BLOB_MAX || blob.private.len() > BLOB_MAX {
            return Err(TpmError::Kept("a blob is too long".to_owned()));
        }
        let mut parameters = Buffer::new()?;
        parameters.sized(&blob.private).sized(&blob.public);
        let entities = [parent.entity()];
        let command =
            Command { code: CC_LOAD, operation: "load an object", entities: &entities, parameters, gives_handle: true };
        let answer = self.run(command, Auth::Session(session, &[], Cover::Both))?;
        self.holding(answer.handle, |tpm| {
            let name = name_of(&blob.public);
            let mut reader = answer.parameters()?;
            if reader.sized()? != name {
                return Err(TpmError::Malformed { what: "an object of another name" });
            }
            reader.end()?;
            work(tpm, session, &Loaded { handle: answer.handle, name })
        })
    }
}

/// Length of type, hash, attributes and the length of the policy. Bytes.
const HEAD: usize = 2 + 2 + 4 + 2;

/// The name of an object: its hash algorithm, then the hash of its public part.
pub(super) fn name_of(public: &[u8]) -> Vec<u8> {
    [&ALG_SHA256.to_be_bytes()[..], &Sha256::digest(public)].concat()
}

fn read_point(reader: &mut Reader<'_>) -> Result<Point, TpmError> {
    let (x, y) = (coordinate(reader.sized()?)?, coordinate(reader.sized()?)?);
    Ok(Point { x, y })
}

/// A coordinate of 32 bytes; a TPM may leave out zeros at its beginning.
pub(super) fn coordinate(bytes: &[u8]) -> Result<[u8; DIGEST], TpmError> {
    let mut whole = [0; DIGEST];
    let start =
        DIGEST.checked_sub(bytes.len()).ok_or(TpmError::Malformed { what: "a number of more than 256 bits" })?;
    whole.iter_mut().skip(start).zip(bytes).for_each(|(place, byte)| *place = *byte);
    Ok(whole)
}

pub(super) fn storage_template() -> Result<Buffer, TpmError> {
    let attributes = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | USER_WITH_AUTH | NO_DA | RESTRICTED | DECRYPT;
    let mut template = Buffer::new()?;
    template.u16(ALG_ECC).u16(ALG_SHA256).u32(attributes).sized(&[]);
    template.u16(ALG_AES).u16(128).u16(ALG_CFB).u16(NOTHING).u16(ECC_P256).u16(NOTHING);
    template.sized(&[0; DIGEST]).sized(&[0; DIGEST]);
    Ok(template)
}

fn template(sort: Sort, guard: &Guard) -> Result<Buffer, TpmError> {
    let mut attributes = FIXED_TPM | FIXED_PARENT;
    attributes |= match sort {
        Sort::Sealed => 0,
        Sort::Hmac | Sort::Ecdsa => SENSITIVE_DATA_ORIGIN | SIGN,
    };
    // With a policy the authorization value alone must not do.
    attributes |= if guard.policy.is_some() { 0 } else { USER_WITH_AUTH };
    attributes |= if guard.counted { 0 } else { NO_DA };
    let mut template = Buffer::new()?;
    template.u16(if sort == Sort::Ecdsa { ALG_ECC } else { ALG_KEYEDHASH }).u16(ALG_SHA256).u32(attributes);
    template.sized(guard.policy.as_ref().map_or(&[][..], |digest| &digest[..]));
    match sort {
        Sort::Sealed => template.u16(NOTHING).sized(&[]),
        Sort::Hmac => template.u16(ALG_HMAC).u16(ALG_SHA256).sized(&[]),
        Sort::Ecdsa => {
            template.u16(NOTHING).u16(ALG_ECDSA).u16(ALG_SHA256).u16(ECC_P256).u16(NOTHING).sized(&[]).sized(&[])
        }
    };
    Ok(template)
}

/// Bytes as base64 in JSON.
mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        BASE64.decode(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[cfg(any(test, feature = "fuzz"))]
pub(super) fn text_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_filled_up() {
        assert_eq!(coordinate(&[7]).unwrap()[31], 7);
        assert_eq!(coordinate(&[9; 32]).unwrap(), [9; 32]);
        assert!(coordinate(&[9; 33]).is_err());
    }

    #[test]
    fn deny_blobs_with_unknown_fields_or_broken_text() {
        let blob = Blob { parent: "000b".to_owned(), public: vec![1, 2], private: vec![3] };
        let text = serde_json::to_string(&blob).unwrap();
        assert_eq!(text, r#"{"parent":"000b","public":"AQI=","private":"Aw=="}"#);
        assert_eq!(serde_json::from_str::<Blob>(&text).unwrap(), blob);
        for broken in [text.replace("AQI=", "A!"), text.replace("{", r#"{"x":1,"#), "{}".to_owned()] {
            assert!(serde_json::from_str::<Blob>(&broken).is_err(), "{broken}");
        }
    }
}
