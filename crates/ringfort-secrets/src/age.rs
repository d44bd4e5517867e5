// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files of the age format, version 1 (age-encryption.org/v1): for recipients with X25519 keys, or with a passphrase.
//!
//! In: plain bytes and who may read them; or such a file and a key. Out: such a file; or its plain bytes.
//!
//! **Invariant:** what is read was authenticated first, chunk by chunk, and a file that ends early is an error; keys are
//! in locked memory. Other kinds of recipients are refused by name. Tried against the `age` program, in both directions.

mod bech32;
mod header;
mod stream;

use std::io;
use std::str::FromStr;

use curve25519_dalek::montgomery::MontgomeryPoint;
use zeroize::Zeroizing;

pub use stream::{Reader, Writer};

use crate::kdf::KdfError;
use crate::locked::{Locked, LockedError};
use crate::root::KEY_LEN;

/// Most recipients of one file.
pub const RECIPIENTS_MAX: usize = 64;
/// The logarithm of scrypt's N for a new file: what the `age` program takes, about a second.
pub const WORK_FACTOR: u8 = 18;
/// Longest header. Bytes.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// Why a file was not written or not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgeError {
    /// It is no public key of this kind.
    #[error("`{}` is no recipient: {what}", shown.escape_debug())]
    Recipient {
        /// Its beginning.
        shown: String,
        /// What is wrong.
        what: &'static str,
    },
    /// It is no private key of this kind.
    #[error("this is no age identity (`AGE-SECRET-KEY-1…`): {what}")]
    Identity {
        /// What is wrong.
        what: &'static str,
    },
    /// There is nobody, or there are too many, to write for.
    #[error("{count} recipients; there must be 1 to {RECIPIENTS_MAX}")]
    Recipients {
        /// How many.
        count: usize,
    },
    /// It is no age file, or a damaged one.
    #[error("this is no age file: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
    /// It is for somebody else.
    #[error("the file is not for this key; it is for {}", kinds.join(" and "))]
    NotForThis {
        /// For which kinds of keys it is.
        kinds: Vec<String>,
    },
    /// The passphrase is another one.
    #[error("the passphrase is another one, or the file was changed")]
    Passphrase,
    /// It was changed, or cut off.
    #[error("the age file was changed or cut off")]
    Changed,
    /// It asks for more work than is done for a file.
    #[error("the passphrase of the file cannot be stretched here")]
    Work(#[from] KdfError),
    /// There is no memory for it.
    #[error(transparent)]
    Memory(#[from] LockedError),
    /// There is no randomness, or a cipher failed.
    #[error("the age file could not be sealed")]
    Cipher,
    /// It could not be read or written.
    #[error("the age file cannot be read or written")]
    Io(#[from] io::Error),
}

/// Who may read a file: a public key, as `age-keygen` shows it (`age1…`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient([u8; KEY_LEN]);

impl FromStr for Recipient {
    type Err = AgeError;

    fn from_str(text: &str) -> Result<Self, AgeError> {
        let text = text.trim();
        let fault = |what| AgeError::Recipient { shown: text.chars().take(16).collect(), what };
        if text.starts_with("ssh-") || text.starts_with("age1pq1") {
            return Err(fault("only X25519 keys of `age-keygen` (`age1…`) are supported here"));
        }
        let mut key = Zeroizing::new([0; KEY_LEN]);
        let length = bech32::decode("age", text, &mut key[..]).map_err(fault)?;
        if length != KEY_LEN {
            return Err(fault("it has the wrong length"));
        }
        Ok(Self(*key))
    }
}

/// A private key, as `age-keygen` writes it (`AGE-SECRET-KEY-1…`).
#[derive(Debug)]
pub struct Identity {
    secret: Locked,
    public: [u8; KEY_LEN],
}

impl Identity {
    /// Reads one key.
    ///
    /// # Errors
    ///
    /// [`AgeError::Identity`], [`AgeError::Memory`].
    pub fn parse(text: &str) -> Result<Self, AgeError> {
        let fault = |what| AgeError::Identity { what };
        let mut secret = Locked::zeroed(KEY_LEN)?;
        let length = bech32::decode("AGE-SECRET-KEY-", text.trim(), secret.expose_mut()).map_err(fault)?;
        if length != KEY_LEN {
            return Err(fault("it has the wrong length"));
        }
        let public = header::public_of(&secret)?;
        Ok(Self { secret, public })
    }

    /// Reads an identity file: one key on a line, `#` comments.
    ///
    /// # Errors
    ///
    /// [`AgeError::Identity`], [`AgeError::Memory`].
    pub fn parse_file(text: &str) -> Result<Vec<Self>, AgeError> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let found = lines.take(RECIPIENTS_MAX).map(Self::parse).collect::<Result<Vec<Self>, AgeError>>()?;
        if found.is_empty() { Err(AgeError::Identity { what: "there is none in the file" }) } else { Ok(found) }
    }

    /// Who reads with it.
    pub const fn recipient(&self) -> Recipient {
        Recipient(self.public)
    }
}

/// For whom a file is written.
#[derive(Debug)]
pub enum To {
    /// Whoever holds one of these keys.
    Recipients(Vec<Recipient>),
    /// Whoever knows this passphrase.
    Passphrase(Locked),
}

/// With what a file is read.
#[derive(Debug)]
pub enum With {
    /// One of these keys.
    Identities(Vec<Identity>),
    /// A passphrase.
    Passphrase(Locked),
}

/// Begins a file that `to` can read; what is written into it is sealed. [`Writer::finish`] ends it.
///
/// # Errors
///
/// [`AgeError`]: nothing was written.
pub fn encrypt<W: io::Write>(to: &To, out: W) -> Result<Writer<W>, AgeError> {
    encrypt_as(to, out, WORK_FACTOR)
}

pub(crate) fn encrypt_as<W: io::Write>(to: &To, mut out: W, work_factor: u8) -> Result<Writer<W>, AgeError> {
    let file_key = Locked::random(header::FILE_KEY_LEN)?;
    let head = header::write(to, &file_key, work_factor)?;
    let mut nonce = [0; header::PAYLOAD_NONCE_LEN];
    getrandom::fill(&mut nonce).map_err(|_| AgeError::Cipher)?;
    let key = header::payload_key(&file_key, &nonce)?;
    out.write_all(head.as_bytes())?;
    out.write_all(&nonce)?;
    Writer::new(out, key)
}

/// Opens a file, which may be armoured; out is its plain content.
///
/// # Errors
///
/// [`AgeError`]: nothing was read.
pub fn decrypt<'f>(file: &'f [u8], with: &With) -> Result<Reader<'f>, AgeError> {
    let file = header::unarmoured(file)?;
    let (file_key, length) = header::open(&file, with)?;
    let (nonce, _) = file
        .get(length..)
        .and_then(|rest| rest.split_first_chunk::<{ header::PAYLOAD_NONCE_LEN }>())
        .ok_or(AgeError::Changed)?;
    let key = header::payload_key(&file_key, nonce)?;
    Reader::new(file, length + header::PAYLOAD_NONCE_LEN, key)
}

/// The point of a key, times a secret; the secret is clamped as X25519 says.
fn times(point: [u8; KEY_LEN], secret: &Locked) -> Result<Locked, AgeError> {
    let secret = Zeroizing::new(<[u8; KEY_LEN]>::try_from(secret.expose()).map_err(|_| AgeError::Cipher)?);
    let shared = Zeroizing::new(MontgomeryPoint(point).mul_clamped(*secret).to_bytes());
    Ok(Locked::copy_of(&*shared)?)
}

#[cfg(test)]
mod tests;
