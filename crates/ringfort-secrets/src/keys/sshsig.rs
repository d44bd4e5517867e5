// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signatures of files, in the form of OpenSSH (`PROTOCOL.sshsig`), so that `ssh-keygen -Y verify` verifies them.
//!
//! In: a file's content, a key that signs; or the text of a signature. Out: the text; or the public half that it names
//! and whether it fits.
//!
//! **Invariant:** what is signed begins with `SSHSIG` and names a use ([`NAMESPACE`]): a signature of a file is never one
//! of a checkpoint, a token or a login, whatever the file contains. A signature says nothing about whose its key is:
//! the caller compares the public half with those that it trusts.

use std::io::{self, Read};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha512};

use super::{KeyError, KeyKind, public, software};

/// The use that signatures of files name.
pub const NAMESPACE: &str = "file";
/// Longest text of a signature. Bytes.
pub const TEXT_MAX: usize = 4096;
/// Most of a file that is read at once. Bytes.
const CHUNK: usize = 64 * 1024;
/// What the signed bytes and the blob begin with.
const MAGIC: &[u8; 6] = b"SSHSIG";
const VERSION: u32 = 1;
/// The hash that is made. OpenSSH's own choice.
const HASH: &[u8] = b"sha512";
const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
const WIDTH: usize = 70;
/// Length of a number of P-256. Bytes.
const SCALAR_LEN: usize = 32;

/// Why a text is no signature. Nothing was verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// It is longer than a signature can be.
    #[error("the signature has more than {TEXT_MAX} bytes")]
    TooLong,
    /// It does not begin and end as one.
    #[error("this is no signature: it does not stand between `{BEGIN}` and `{END}`")]
    Marks,
    /// It is not base64.
    #[error("the signature is damaged: it is not base64")]
    Base64,
    /// It is not built as one.
    #[error("the signature is damaged: {0}")]
    Shape(&'static str),
    /// It was made for something else.
    #[error("the signature was made for `{0}`, not for `{NAMESPACE}`")]
    Namespace(String),
    /// It is of a kind that is not known here.
    #[error("the signature's {what} `{name}` is not known here")]
    Unknown {
        /// What is not known.
        what: &'static str,
        /// Its name.
        name: String,
    },
}

/// A parsed signature. It was not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The kind of its key.
    pub kind: KeyKind,
    /// The public half that it names.
    pub public: Vec<u8>,
    /// The signature, in the form of `software::verify_public`.
    pub signature: Vec<u8>,
    hash: Hash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha512,
}

/// The digest of a file.
#[derive(Clone, Debug)]
pub struct Content {
    sha256: Vec<u8>,
    sha512: Vec<u8>,
}

impl Content {
    /// Reads all of `file`, in pieces.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn read(mut file: impl Read) -> io::Result<Self> {
        let (mut sha256, mut sha512) = (sha2::Sha256::new(), Sha512::new());
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = match file.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => chunk.get(..read).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            sha256.update(read);
            sha512.update(read);
        }
        Ok(Self { sha256: sha256.finalize().to_vec(), sha512: sha512.finalize().to_vec() })
    }

    /// The SHA-256 of the file, for the record.
    pub fn sha256(&self) -> String {
        self.sha256.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The bytes that are signed for it.
    pub fn to_sign(&self) -> Vec<u8> {
        self.signed_bytes(Hash::Sha512)
    }

    fn signed_bytes(&self, hash: Hash) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        public::ssh_string(&mut bytes, NAMESPACE.as_bytes());
        public::ssh_string(&mut bytes, b"");
        let (name, digest) = match hash {
            Hash::Sha256 => (&b"sha256"[..], &self.sha256),
            Hash::Sha512 => (HASH, &self.sha512),
        };
        public::ssh_string(&mut bytes, name);
        public::ssh_string(&mut bytes, digest);
        bytes
    }
}

/// The text of the signature `signature`, which the key `public` made over [`Content::to_sign`].
///
/// # Errors
///
/// [`KeyError`]: it is no public half or no signature of this kind.
pub fn write(kind: KeyKind, public_half: &[u8], signature: &[u8]) -> Result<String, KeyError> {
    software::check_public(kind, public_half)?;
    let (r, s) = signature
        .split_at_checked(SCALAR_LEN)
        .filter(|(_r, s)| s.len() == SCALAR_LEN)
        .ok_or(KeyError::Invalid { kind, message: "its signature has not 64 bytes" })?;
    let mut inner = Vec::new();
    public::ssh_string(&mut inner, public::ssh_name(kind)?.as_bytes());
    if kind == KeyKind::EcdsaP256 {
        let mut numbers = Vec::new();
        public::ssh_string(&mut numbers, &mpint(r));
        public::ssh_string(&mut numbers, &mpint(s));
        public::ssh_string(&mut inner, &numbers);
    } else {
        public::ssh_string(&mut inner, signature);
    }
    let mut blob = MAGIC.to_vec();
    blob.extend(VERSION.to_be_bytes());
    public::ssh_string(&mut blob, &public::ssh_blob(kind, public_half)?);
    public::ssh_string(&mut blob, NAMESPACE.as_bytes());
    public::ssh_string(&mut blob, b"");
    public::ssh_string(&mut blob, HASH);
    public::ssh_string(&mut blob, &inner);
    let mut text = format!("{BEGIN}\n");
    public::wrap(&mut text, &BASE64_STANDARD.encode(blob), WIDTH);
    text.push_str(END);
    text.push('\n');
    Ok(text)
}

impl Parsed {
    /// Parses the text of a signature of a file.
    ///
    /// # Errors
    ///
    /// [`ParseError`]: it is none.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if text.len() > TEXT_MAX {
            return Err(ParseError::TooLong);
        }
        let inner = text.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END)).ok_or(ParseError::Marks)?;
        let base64: String = inner.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let blob = BASE64_STANDARD.decode(base64).map_err(|_error| ParseError::Base64)?;
        let mut blob = Fields(&blob);
        if blob.take(MAGIC.len())? != MAGIC {
            return Err(ParseError::Shape("it does not begin with `SSHSIG`"));
        }
        if blob.number()? != VERSION {
            return Err(ParseError::Shape("its version is not 1"));
        }
        let (kind, public) = parse_public(blob.string()?)?;
        let namespace = blob.string()?;
        if namespace != NAMESPACE.as_bytes() {
            return Err(ParseError::Namespace(String::from_utf8_lossy(namespace).escape_debug().collect()));
        }
        if !blob.string()?.is_empty() {
            return Err(ParseError::Shape("a reserved part is not empty"));
        }
        let hash = match blob.string()? {
            b"sha256" => Hash::Sha256,
            b"sha512" => Hash::Sha512,
            other => return Err(unknown("hash", other)),
        };
        let signature = parse_signature(kind, blob.string()?)?;
        blob.end()?;
        Ok(Self { kind, public, signature, hash })
    }

    /// Whether the public half that the signature names made it over `content`. Whose that is, is the caller's question.
    pub fn fits(&self, content: &Content) -> bool {
        let signed = content.signed_bytes(self.hash);
        matches!(software::verify_public(self.kind, &self.public, &signed, &self.signature), Ok(true))
    }
}

fn parse_public(blob: &[u8]) -> Result<(KeyKind, Vec<u8>), ParseError> {
    let mut fields = Fields(blob);
    let name = fields.string()?;
    let kind = KeyKind::ALL
        .into_iter()
        .find(|kind| public::ssh_name(*kind).is_ok_and(|known| known.as_bytes() == name))
        .ok_or_else(|| unknown("kind of key", name))?;
    if kind == KeyKind::EcdsaP256 && fields.string()? != b"nistp256" {
        return Err(ParseError::Shape("its key is of another curve"));
    }
    let key = fields.string()?.to_vec();
    fields.end()?;
    software::check_public(kind, &key).map_err(|_error| ParseError::Shape("its key is none"))?;
    Ok((kind, key))
}

fn parse_signature(kind: KeyKind, blob: &[u8]) -> Result<Vec<u8>, ParseError> {
    let mut fields = Fields(blob);
    let name = fields.string()?;
    if public::ssh_name(kind).is_ok_and(|known| known.as_bytes() != name) {
        return Err(ParseError::Shape("its signature is of another kind than its key"));
    }
    let bytes = fields.string()?;
    fields.end()?;
    if kind != KeyKind::EcdsaP256 {
        return Ok(bytes.to_vec());
    }
    let mut numbers = Fields(bytes);
    let mut signature = scalar(numbers.string()?)?.to_vec();
    signature.extend(scalar(numbers.string()?)?);
    numbers.end()?;
    Ok(signature)
}

/// A number as RFC 4251 writes it: no zeros before it but the one that keeps it positive.
fn mpint(number: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
    if digits.first().is_some_and(|byte| *byte >= 0x80) { [&[0][..], &digits].concat() } else { digits }
}

/// A number of 32 bytes from the form of RFC 4251, which must be the one form of it.
fn scalar(written: &[u8]) -> Result<[u8; SCALAR_LEN], ParseError> {
    let wrong = ParseError::Shape("a number in its signature is not written as it must be");
    let digits = if written.first() == Some(&0) { written.get(1..).unwrap_or_default() } else { written };
    let mut number = [0; SCALAR_LEN];
    let start = SCALAR_LEN.checked_sub(digits.len()).ok_or_else(|| wrong.clone())?;
    for (to, from) in number.iter_mut().skip(start).zip(digits) {
        *to = *from;
    }
    if mpint(&number) == written { Ok(number) } else { Err(wrong) }
}

fn unknown(what: &'static str, name: &[u8]) -> ParseError {
    let name = String::from_utf8_lossy(name).escape_debug().take(64).collect();
    ParseError::Unknown { what, name }
}

/// Fields of RFC 4251, one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], ParseError> {
        let (field, rest) = self.0.split_at_checked(length).ok_or(ParseError::Shape("it ends too early"))?;
        self.0 = rest;
        Ok(field)
    }

    fn number(&mut self) -> Result<u32, ParseError> {
        let bytes: [u8; 4] = self.take(4)?.try_into().unwrap_or_default();
        Ok(u32::from_be_bytes(bytes))
    }

    fn string(&mut self) -> Result<&'a [u8], ParseError> {
        let length = self.number()?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn end(&self) -> Result<(), ParseError> {
        if self.0.is_empty() { Ok(()) } else { Err(ParseError::Shape("something stands behind its end")) }
    }
}

#[cfg(test)]
mod tests;
