// SPDX-License-Identifier: MIT OR Apache-2.0
//! The header of an age file: the file key, wrapped for each recipient, under a MAC.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, Nonce, Tag};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::{AgeError, HEADER_BYTES_MAX, Identity, RECIPIENTS_MAX, Recipient, To, With, times};
use crate::kdf::{ScryptParams, scrypt_derive};
use crate::locked::{Locked, wiping};
use crate::root::KEY_LEN;

/// Length of a file key. Bytes.
pub(super) const FILE_KEY_LEN: usize = 16;
/// Length of the nonce before the payload. Bytes.
pub(super) const PAYLOAD_NONCE_LEN: usize = 16;
const SALT_LEN: usize = 16;
const TAG_LEN: usize = 16;
const MAC_LEN: usize = 32;
const COLUMNS: usize = 64;
const VERSION_LINE: &str = "age-encryption.org/v1";
const X25519_INFO: &[u8] = b"age-encryption.org/v1/X25519";
const SCRYPT_LABEL: &[u8] = b"age-encryption.org/v1/scrypt";
const ARMOUR_BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
const ARMOUR_END: &str = "-----END AGE ENCRYPTED FILE-----";
/// The point by which a secret is multiplied to get its public half.
const BASE: [u8; KEY_LEN] = {
    let mut base = [0; KEY_LEN];
    base[0] = 9;
    base
};

pub(super) fn public_of(secret: &Locked) -> Result<[u8; KEY_LEN], AgeError> {
    times(BASE, secret)?.expose().try_into().map_err(|_| AgeError::Cipher)
}

fn expand(key: &[u8], salt: &[u8], info: &[u8]) -> Result<Locked, AgeError> {
    let mut out = Locked::zeroed(KEY_LEN)?;
    wiping(|| Hkdf::<Sha256>::new(Some(salt), key).expand(info, out.expose_mut())).map_err(|_| AgeError::Cipher)?;
    Ok(out)
}

/// The key of the payload.
pub(super) fn payload_key(file_key: &Locked, nonce: &[u8; PAYLOAD_NONCE_LEN]) -> Result<Locked, AgeError> {
    expand(file_key.expose(), nonce, b"payload")
}

fn mac(file_key: &Locked, head: &[u8]) -> Result<Hmac<Sha256>, AgeError> {
    let key = expand(file_key.expose(), &[], b"header")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).map_err(|_| AgeError::Cipher)?;
    mac.update(head);
    Ok(mac)
}

/// Seals the file key; the key is used once, so the nonce is zero.
fn wrap(key: &Locked, file_key: &Locked) -> Result<Vec<u8>, AgeError> {
    let mut buffer = Locked::copy_of(file_key.expose())?;
    let cipher = ChaCha20Poly1305::new_from_slice(key.expose()).map_err(|_| AgeError::Cipher)?;
    let sealed = wiping(|| cipher.encrypt_inout_detached(&Nonce::default(), &[], buffer.expose_mut().into()));
    let tag = sealed.map_err(|_| AgeError::Cipher)?;
    Ok([buffer.expose(), &tag[..]].concat())
}

/// Opens a wrapped file key; `None` if it is not for this key.
fn unwrap(key: &Locked, body: &[u8]) -> Result<Option<Locked>, AgeError> {
    let Some((sealed, tag)) = body.split_last_chunk::<TAG_LEN>().filter(|(sealed, _)| sealed.len() == FILE_KEY_LEN)
    else {
        return Err(AgeError::Malformed { what: "a wrapped key has the wrong length" });
    };
    let mut file_key = Locked::copy_of(sealed)?;
    let cipher = ChaCha20Poly1305::new_from_slice(key.expose()).map_err(|_| AgeError::Cipher)?;
    let opened = wiping(|| {
        cipher.decrypt_inout_detached(&Nonce::default(), &[], file_key.expose_mut().into(), &Tag::from(*tag))
    });
    Ok(opened.is_ok().then_some(file_key))
}

/// The header of a new file, without the payload's nonce.
pub(super) fn write(to: &To, file_key: &Locked, work_factor: u8) -> Result<String, AgeError> {
    let mut head = format!("{VERSION_LINE}\n");
    match to {
        To::Recipients(recipients) => {
            if recipients.is_empty() || recipients.len() > RECIPIENTS_MAX {
                return Err(AgeError::Recipients { count: recipients.len() });
            }
            for recipient in recipients {
                head.push_str(&x25519_stanza(recipient, file_key)?);
            }
        }
        To::Passphrase(passphrase) => {
            let mut salt = [0; SALT_LEN];
            getrandom::fill(&mut salt).map_err(|_| AgeError::Cipher)?;
            let key = scrypt_key(passphrase, &salt, work_factor)?;
            head.push_str(&format!("-> scrypt {} {work_factor}\n", STANDARD_NO_PAD.encode(salt)));
            push_body(&mut head, &wrap(&key, file_key)?);
        }
    }
    head.push_str("---");
    let tag = mac(file_key, head.as_bytes())?.finalize().into_bytes();
    head.push_str(&format!(" {}\n", STANDARD_NO_PAD.encode(tag)));
    Ok(head)
}

fn x25519_stanza(recipient: &Recipient, file_key: &Locked) -> Result<String, AgeError> {
    let secret = Locked::random(KEY_LEN)?;
    let share = public_of(&secret)?;
    let key = x25519_key(&times(recipient.0, &secret)?, &share, &recipient.0)?
        .ok_or(AgeError::Recipient { shown: String::new(), what: "its point is of small order" })?;
    let mut stanza = format!("-> X25519 {}\n", STANDARD_NO_PAD.encode(share));
    push_body(&mut stanza, &wrap(&key, file_key)?);
    Ok(stanza)
}

/// The key that wraps for a recipient; `None` if the shared point is zero, which tells nothing apart.
fn x25519_key(shared: &Locked, share: &[u8; KEY_LEN], recipient: &[u8; KEY_LEN]) -> Result<Option<Locked>, AgeError> {
    if shared.equals(&[0; KEY_LEN]) {
        return Ok(None);
    }
    expand(shared.expose(), &[&share[..], recipient].concat(), X25519_INFO).map(Some)
}

fn scrypt_key(passphrase: &Locked, salt: &[u8; SALT_LEN], log_n: u8) -> Result<Locked, AgeError> {
    let salt = [SCRYPT_LABEL, salt].concat();
    Ok(scrypt_derive(passphrase.expose(), &salt, ScryptParams { log_n, r: 8, p: 1 }, KEY_LEN)?)
}

fn push_body(head: &mut String, body: &[u8]) {
    let text = STANDARD_NO_PAD.encode(body);
    let mut rest = text.as_str();
    while let Some((line, more)) = rest.split_at_checked(COLUMNS) {
        head.push_str(line);
        head.push('\n');
        rest = more;
    }
    // A body ends with a line that is not full, which may be empty.
    head.push_str(rest);
    head.push('\n');
}

/// One recipient's part of the header.
struct Stanza<'h> {
    arguments: Vec<&'h str>,
    body: Vec<u8>,
}

/// The file key, and the length of the header.
pub(super) fn open(file: &[u8], with: &With) -> Result<(Locked, usize), AgeError> {
    let (stanzas, head, tag, length) = parse(file)?;
    let passphrases = stanzas.iter().filter(|stanza| stanza.arguments.first() == Some(&"scrypt")).count();
    if passphrases > 0 && stanzas.len() > 1 {
        return Err(AgeError::Malformed { what: "a passphrase stands beside other recipients" });
    }
    let file_key = match with {
        With::Passphrase(passphrase) => match stanzas.first().filter(|_| passphrases > 0) {
            Some(stanza) => Some(by_passphrase(stanza, passphrase)?),
            None => None,
        },
        With::Identities(identities) => by_identities(&stanzas, identities)?,
    };
    let file_key = file_key.ok_or_else(|| AgeError::NotForThis { kinds: kinds(&stanzas) })?;
    mac(&file_key, head)?.verify_slice(&tag).map_err(|_| AgeError::Changed)?;
    Ok((file_key, length))
}

fn kinds(stanzas: &[Stanza<'_>]) -> Vec<String> {
    let word = |stanza: &Stanza<'_>| match stanza.arguments.first() {
        Some(&"X25519") => "a key of `age-keygen`".to_owned(),
        Some(&"scrypt") => "a passphrase".to_owned(),
        kind => format!("a `{}` key", kind.unwrap_or(&"").chars().take(32).collect::<String>().escape_debug()),
    };
    let mut kinds: Vec<String> = stanzas.iter().map(word).collect();
    kinds.dedup();
    kinds
}

fn by_passphrase(stanza: &Stanza<'_>, passphrase: &Locked) -> Result<Locked, AgeError> {
    let malformed = || AgeError::Malformed { what: "its passphrase part is not understood" };
    let [_, salt, log_n] = stanza.arguments[..] else { return Err(malformed()) };
    let salt = unbase64(salt).and_then(|salt| <[u8; SALT_LEN]>::try_from(salt).ok()).ok_or_else(malformed)?;
    let canonical = log_n.bytes().all(|b| b.is_ascii_digit()) && !log_n.starts_with('0');
    let log_n = log_n.parse().ok().filter(|_| canonical).ok_or_else(malformed)?;
    unwrap(&scrypt_key(passphrase, &salt, log_n)?, &stanza.body)?.ok_or(AgeError::Passphrase)
}

fn by_identities(stanzas: &[Stanza<'_>], identities: &[Identity]) -> Result<Option<Locked>, AgeError> {
    for stanza in stanzas.iter().filter(|stanza| stanza.arguments.first() == Some(&"X25519")) {
        let malformed = || AgeError::Malformed { what: "one of its X25519 parts is not understood" };
        let [_, share] = stanza.arguments[..] else { return Err(malformed()) };
        let share = unbase64(share).and_then(|share| <[u8; KEY_LEN]>::try_from(share).ok()).ok_or_else(malformed)?;
        for identity in identities {
            let shared = times(share, &identity.secret)?;
            let key = x25519_key(&shared, &share, &identity.public)?.ok_or_else(malformed)?;
            if let Some(file_key) = unwrap(&key, &stanza.body)? {
                return Ok(Some(file_key));
            }
        }
    }
    Ok(None)
}

/// The parts of a header: stanzas, what the MAC is over, the MAC, the length of it all.
type Parts<'h> = (Vec<Stanza<'h>>, &'h [u8], [u8; MAC_LEN], usize);

fn parse(file: &[u8]) -> Result<Parts<'_>, AgeError> {
    let malformed = |what| AgeError::Malformed { what };
    let begin = file.get(..file.len().min(HEADER_BYTES_MAX)).unwrap_or(file);
    let mut at = 0;
    let mut next = || -> Result<(&str, usize), AgeError> {
        let rest = begin.get(at..).unwrap_or_default();
        let end = rest.iter().position(|b| *b == b'\n').ok_or_else(|| malformed("its header does not end"))?;
        let line = rest.get(..end).and_then(|line| std::str::from_utf8(line).ok());
        let start = at;
        at += end + 1;
        line.filter(|line| line.is_ascii()).map(|line| (line, start)).ok_or_else(|| malformed("its header is no text"))
    };
    if next()?.0 != VERSION_LINE {
        return Err(malformed("it does not begin like one, or has another version"));
    }
    let mut stanzas: Vec<Stanza<'_>> = Vec::new();
    loop {
        let (line, start) = next()?;
        if let Some(tag) = line.strip_prefix("--- ") {
            let tag = unbase64(tag).and_then(|tag| <[u8; MAC_LEN]>::try_from(tag).ok());
            let tag = tag.ok_or_else(|| malformed("its header ends without a MAC"))?;
            let head = file.get(..start + 3).unwrap_or_default();
            let stanzas = if stanzas.is_empty() { Err(malformed("it is for nobody")) } else { Ok(stanzas) };
            return Ok((stanzas?, head, tag, start + line.len() + 1));
        }
        let arguments = line.strip_prefix("-> ").ok_or_else(|| malformed("a line of its header is not understood"))?;
        let arguments: Vec<&str> = arguments.split(' ').collect();
        if arguments.iter().any(|word| word.is_empty() || !word.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(malformed("a line of its header is not understood"));
        }
        if stanzas.len() >= RECIPIENTS_MAX {
            return Err(malformed("it is for too many"));
        }
        let mut body = String::new();
        loop {
            let (line, _) = next()?;
            if line.len() > COLUMNS {
                return Err(malformed("a line of its header is too long"));
            }
            body.push_str(line);
            if line.len() < COLUMNS {
                break;
            }
        }
        let body = unbase64(&body).ok_or_else(|| malformed("a part of its header is no base64"))?;
        stanzas.push(Stanza { arguments, body });
    }
}

/// The bytes of base64 without padding, with unused bits zero.
fn unbase64(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text).ok()
}

/// The file without armour, if it has one.
pub(super) fn unarmoured(file: &[u8]) -> Result<Cow<'_, [u8]>, AgeError> {
    let trimmed = file.trim_ascii();
    if !trimmed.starts_with(ARMOUR_BEGIN.as_bytes()) {
        return Ok(Cow::Borrowed(file));
    }
    let malformed = || AgeError::Malformed { what: "its armour is damaged" };
    let text = std::str::from_utf8(trimmed).map_err(|_| malformed())?;
    let inner = text.strip_prefix(ARMOUR_BEGIN).and_then(|text| text.strip_suffix(ARMOUR_END)).ok_or_else(malformed)?;
    let lines: Vec<&str> = inner.lines().skip(1).collect();
    let (last, full) = lines.split_last().ok_or_else(malformed)?;
    let begins = inner.starts_with('\n') || inner.starts_with("\r\n");
    if !begins || last.len() > COLUMNS || full.iter().any(|line| line.len() != COLUMNS) {
        return Err(malformed());
    }
    STANDARD.decode(lines.concat()).map(Cow::Owned).map_err(|_| malformed())
}
