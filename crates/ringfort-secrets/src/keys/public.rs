// SPDX-License-Identifier: MIT OR Apache-2.0
//! Public halves in the forms that other programs read.
//!
//! In: a kind and its raw public half. Out: base64, OpenSSH, PEM (SPKI, RFC 8410 and RFC 5480), a verifier key of C2SP
//! signed notes.
//!
//! **Invariant:** only what `software::check_public` takes for a public half is written; private halves are not known
//! here.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

use super::{KeyError, KeyKind, software};

/// DER before an Ed25519 public half.
const SPKI_ED25519: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// DER before a P-256 public half.
const SPKI_P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The byte that stands for Ed25519 in C2SP signed notes.
const NOTE_ED25519: u8 = 0x01;
/// Characters in a line of PEM.
const PEM_WIDTH: usize = 64;

/// The form of a public half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// Base64 of the raw bytes.
    Raw,
    /// One line, as in `authorized_keys` and `allowed_signers`.
    OpenSsh,
    /// PEM of the `SubjectPublicKeyInfo`.
    Pem,
    /// The verifier key of C2SP signed notes: `name+hash+key`. Ed25519 only.
    Note,
}

/// `public` of the key `name` in a form; without an end of line, but for PEM.
///
/// # Errors
///
/// [`KeyError`]: it is no public half of this kind, or the form has none of this kind.
pub fn write(form: Form, name: &str, kind: KeyKind, public: &[u8]) -> Result<String, KeyError> {
    software::check_public(kind, public)?;
    Ok(match form {
        Form::Raw => BASE64_STANDARD.encode(public),
        Form::OpenSsh => {
            let blob = ssh_blob(kind, public)?;
            format!("{} {} {name}", ssh_name(kind)?, BASE64_STANDARD.encode(blob))
        }
        Form::Pem => pem("PUBLIC KEY", &[spki_head(kind)?, public].concat()),
        Form::Note => note_key(name, kind, public)?,
    })
}

/// The name by which people compare keys: `SHA256:…` of the OpenSSH form, as `ssh-keygen -l` shows it.
///
/// # Errors
///
/// [`KeyError`]: it is no public half of this kind.
pub fn fingerprint(kind: KeyKind, public: &[u8]) -> Result<String, KeyError> {
    software::check_public(kind, public)?;
    let hash = Sha256::digest(ssh_blob(kind, public)?);
    Ok(format!("SHA256:{}", base64::prelude::BASE64_STANDARD_NO_PAD.encode(hash)))
}

/// The key's name in the OpenSSH form.
///
/// # Errors
///
/// [`KeyError::Unsupported`]: the form has none of this kind.
pub(super) fn ssh_name(kind: KeyKind) -> Result<&'static str, KeyError> {
    match kind {
        KeyKind::Ed25519 => Ok("ssh-ed25519"),
        KeyKind::EcdsaP256 => Ok("ecdsa-sha2-nistp256"),
        KeyKind::HmacSha256 => Err(no_public("show a public half", kind)),
    }
}

/// The public half in the OpenSSH form, before base64 (RFC 8709, RFC 5656).
///
/// # Errors
///
/// [`KeyError::Unsupported`]: the form has none of this kind.
pub(super) fn ssh_blob(kind: KeyKind, public: &[u8]) -> Result<Vec<u8>, KeyError> {
    let mut blob = Vec::new();
    ssh_string(&mut blob, ssh_name(kind)?.as_bytes());
    if kind == KeyKind::EcdsaP256 {
        ssh_string(&mut blob, b"nistp256");
    }
    ssh_string(&mut blob, public);
    Ok(blob)
}

/// Adds a string of RFC 4251: length, bytes.
pub(super) fn ssh_string(out: &mut Vec<u8>, bytes: &[u8]) {
    // What is written here has at most a few hundred bytes.
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend(bytes);
}

/// PEM: base64 in lines of 64 between two marks.
fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    wrap(&mut text, &BASE64_STANDARD.encode(der), PEM_WIDTH);
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// Adds `base64` in lines of `width` characters.
pub(super) fn wrap(text: &mut String, base64: &str, width: usize) {
    for (at, character) in base64.chars().enumerate() {
        if at > 0 && at % width == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push('\n');
}

fn spki_head(kind: KeyKind) -> Result<&'static [u8], KeyError> {
    match kind {
        KeyKind::Ed25519 => Ok(&SPKI_ED25519),
        KeyKind::EcdsaP256 => Ok(&SPKI_P256),
        KeyKind::HmacSha256 => Err(no_public("show a public half", kind)),
    }
}

fn note_key(name: &str, kind: KeyKind, public: &[u8]) -> Result<String, KeyError> {
    if kind != KeyKind::Ed25519 {
        return Err(no_public("verify signed notes", kind));
    }
    if name.is_empty() || name.contains('+') || name.chars().any(char::is_whitespace) {
        return Err(KeyError::Invalid { kind, message: "the name of a verifier key has no `+` and no spaces" });
    }
    let key = [&[NOTE_ED25519][..], public].concat();
    let hash = Sha256::digest([name.as_bytes(), b"\n", &key].concat());
    let id: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{name}+{id}+{}", BASE64_STANDARD.encode(key)))
}

fn no_public(operation: &'static str, kind: KeyKind) -> KeyError {
    KeyError::Unsupported { provider: software::NAME, operation, kind }
}

#[cfg(test)]
mod tests;
