// SPDX-License-Identifier: MIT OR Apache-2.0
//! What keys in a device have in common: TPM and token.
//!
//! In: MACs and signatures that a device made. Out: derived keys, verdicts.
//!
//! **Invariant:** a MAC that was asked for never is the MAC from which a key is derived: messages that begin like a
//! derivation are refused.

use hkdf::Hkdf;
use sha2::Sha256;

use crate::keys::software::{CONTEXT_MAX, verify_public};
use crate::keys::{KeyError, KeyHandle};
use crate::locked::Locked;
use crate::root::KEY_LEN;

/// How the message begins whose MAC a key is derived from.
const DERIVATION: &[u8] = b"ringfort derive v1\0";
/// Longest message that a device authenticates. Bytes.
pub(crate) const MAC_MESSAGE_MAX: usize = 1024 * 1024;
/// Length of a signature over P-256: r, then s. Bytes.
pub(crate) const P256_SIGNATURE: usize = 64;

/// Refuses what a device must not authenticate.
///
/// # Errors
///
/// [`KeyError::Broken`]: the message is too long or begins like a derivation. Nothing was sent to the device.
pub(crate) fn check_message(provider: &'static str, message: &[u8]) -> Result<(), KeyError> {
    let refuse = |message: String| Err(KeyError::Broken { provider, operation: "authenticate", message });
    if message.starts_with(DERIVATION) {
        return refuse("messages that begin like a derivation of keys are not authenticated".to_owned());
    }
    if message.len() > MAC_MESSAGE_MAX {
        return refuse(format!("a message of {} bytes is too long; the limit is {MAC_MESSAGE_MAX}", message.len()));
    }
    Ok(())
}

/// The message whose MAC [`expand`] takes.
///
/// # Errors
///
/// [`KeyError::Broken`]: the context is empty or longer than [`CONTEXT_MAX`].
pub(crate) fn derivation(provider: &'static str, context: &[u8]) -> Result<Vec<u8>, KeyError> {
    if context.is_empty() || context.len() > CONTEXT_MAX {
        let message = format!("a context has 1 to {CONTEXT_MAX} bytes");
        return Err(KeyError::Broken { provider, operation: "derive", message });
    }
    Ok([DERIVATION, context].concat())
}

/// The key that is derived from the MAC of [`derivation`].
///
/// # Errors
///
/// [`KeyError`]: there is no memory for it.
pub(crate) fn expand(provider: &'static str, mac: &[u8], context: &[u8]) -> Result<Locked, KeyError> {
    let mut key = Locked::zeroed(KEY_LEN)?;
    let failed =
        |error: hkdf::InvalidLength| KeyError::Broken { provider, operation: "derive", message: error.to_string() };
    Hkdf::<Sha256>::new(Some(DERIVATION), mac).expand(context, key.expose_mut()).map_err(failed)?;
    Ok(key)
}

/// Whether `signature` is right for the public half of `key`, in software.
///
/// # Errors
///
/// [`KeyError`]: the key has no public half of this sort.
pub(crate) fn verify(
    provider: &'static str,
    key: &KeyHandle,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, KeyError> {
    let unsupported = || KeyError::Unsupported { provider, operation: "verify", kind: key.kind };
    verify_public(key.kind, key.public.as_deref().ok_or_else(unsupported)?, message, signature)
}

/// That a device's own signature is that of its key, before anybody else sees it.
///
/// # Errors
///
/// [`KeyError::Broken`]: it is not, or the device was disturbed while it signed.
pub(crate) fn prove(
    provider: &'static str,
    key: &KeyHandle,
    message: &[u8],
    signature: Vec<u8>,
) -> Result<Vec<u8>, KeyError> {
    if verify(provider, key, message, &signature)? {
        return Ok(signature);
    }
    let message = "its signature is not that of this key".to_owned();
    Err(KeyError::Broken { provider, operation: "sign", message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deny_messages_that_begin_like_a_derivation_or_are_too_long() {
        check_message("x", b"ringfort derive v1").unwrap();
        check_message("x", &vec![0; MAC_MESSAGE_MAX]).unwrap();
        assert!(derivation("x", b"").is_err() && derivation("x", &[0; CONTEXT_MAX + 1]).is_err());
        for message in [DERIVATION.to_vec(), derivation("x", b"trail").unwrap(), vec![0; MAC_MESSAGE_MAX + 1]] {
            assert!(matches!(check_message("x", &message), Err(KeyError::Broken { .. })));
        }
    }

    #[test]
    fn derived_keys_differ_by_context_and_mac() {
        let key = |mac: &[u8], context: &[u8]| expand("x", mac, context).unwrap().expose().to_vec();
        assert_eq!(key(&[1; 32], b"a"), key(&[1; 32], b"a"));
        assert_ne!(key(&[1; 32], b"a"), key(&[1; 32], b"b"));
        assert_ne!(key(&[1; 32], b"a"), key(&[2; 32], b"a"));
        assert_ne!(key(&[1; 32], b"a"), vec![1; 32]);
    }
}
