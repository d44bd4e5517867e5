// SPDX-License-Identifier: MIT OR Apache-2.0
//! The encrypted session with a Secret Service: `dh-ietf1024-sha256-aes128-cbc-pkcs7`.
//!
//! In: the service's public number; values to send, messages received. Out: our public number; messages to send, values.
//!
//! **Invariant:** a value crosses the bus only encrypted; a number that would make the shared secret known is refused.
//! The method has no authentication and a group of 1,024 bits, as its specification says: it keeps values from who reads
//! the bus or a core of it, not from who stands between.

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt as _, BlockCipherEncrypt as _, KeyInit as _};
use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, U1024};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::locked::{Locked, LockedError, wiping};

/// The method's name.
pub(super) const ALGORITHM: &str = "dh-ietf1024-sha256-aes128-cbc-pkcs7";
/// Length of a public number. Bytes.
pub(super) const PUBLIC_LEN: usize = 128;
/// Length of the key and of a block. Bytes.
const BLOCK: usize = 16;
/// Longest encrypted value that is read. Bytes.
const CIPHERTEXT_MAX: usize = 4096;

/// The prime of the second Oakley group (RFC 2409, section 6.2).
const PRIME: Odd<U1024> = Odd::<U1024>::from_be_hex(concat!(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74",
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437",
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED",
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF",
));

/// Why there is no session, or no value.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    /// The service sent something else than the method says.
    #[error("{0}")]
    Protocol(&'static str),
    /// There is no memory, or no randomness.
    #[error(transparent)]
    Memory(#[from] LockedError),
}

/// Our half of the exchange.
pub(super) struct Offer {
    secret: Locked,
}

/// A session's key.
pub(super) struct SessionKey {
    key: Locked,
}

/// An encrypted value, as it crosses the bus.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    pub(super) iv: Vec<u8>,
    pub(super) value: Vec<u8>,
}

fn power(base: &U1024, exponent: &[u8]) -> [u8; PUBLIC_LEN] {
    let parameters = FixedMontyParams::new_vartime(PRIME);
    let exponent = Zeroizing::new(U1024::from_be_slice(exponent));
    let number = Zeroizing::new(FixedMontyForm::new(base, &parameters).pow(&exponent).retrieve());
    let mut bytes = [0; PUBLIC_LEN];
    bytes.copy_from_slice(number.to_be_bytes().as_ref());
    bytes
}

impl Offer {
    pub(super) fn new() -> Result<Self, SessionError> {
        Ok(Self { secret: Locked::random(PUBLIC_LEN)? })
    }

    /// Our public number.
    pub(super) fn public(&self) -> [u8; PUBLIC_LEN] {
        wiping(|| power(&U1024::from_u8(2), self.secret.expose()))
    }

    /// The session's key, from the service's public number.
    pub(super) fn accept(self, theirs: &[u8]) -> Result<SessionKey, SessionError> {
        if theirs.is_empty() || theirs.len() > PUBLIC_LEN {
            return Err(SessionError::Protocol("its public number has another length"));
        }
        let mut padded = [0; PUBLIC_LEN];
        if let Some(place) = padded.get_mut(PUBLIC_LEN - theirs.len()..) {
            place.copy_from_slice(theirs);
        }
        let theirs = U1024::from_be_slice(&padded);
        // SECURITY: 0, 1 and p - 1 would make the shared secret one that everyone knows.
        if theirs <= U1024::ONE || theirs >= PRIME.as_ref().wrapping_sub(&U1024::ONE) {
            return Err(SessionError::Protocol("its public number is not one of the group"));
        }
        let mut key = Locked::zeroed(BLOCK)?;
        let derived = wiping(|| {
            let shared = Zeroizing::new(power(&theirs, self.secret.expose()));
            Hkdf::<Sha256>::new(None, shared.as_ref()).expand(&[], key.expose_mut())
        });
        derived.map_err(|_| SessionError::Protocol("no key can be derived"))?;
        Ok(SessionKey { key })
    }
}

fn block_of(bytes: &[u8]) -> Result<[u8; BLOCK], SessionError> {
    bytes.try_into().map_err(|_| SessionError::Protocol("a block has another length"))
}

fn mixed(mut block: [u8; BLOCK], with: [u8; BLOCK]) -> [u8; BLOCK] {
    block.iter_mut().zip(with).for_each(|(byte, other)| *byte ^= other);
    block
}

impl SessionKey {
    fn cipher(&self) -> Result<Aes128, SessionError> {
        Aes128::new_from_slice(self.key.expose()).map_err(|_| SessionError::Protocol("the key has another length"))
    }

    pub(super) fn seal(&self, value: &Locked) -> Result<Sealed, SessionError> {
        let mut iv = [0; BLOCK];
        getrandom::fill(&mut iv).map_err(|error| LockedError::System(std::io::Error::other(error)))?;
        // The padding is one byte at least, each as large as there are.
        let padding = BLOCK - value.len() % BLOCK;
        let mut padded = Locked::zeroed(value.len() + padding)?;
        let (start, end) = padded.expose_mut().split_at_mut(value.len());
        start.copy_from_slice(value.expose());
        end.fill(u8::try_from(padding).unwrap_or_default());
        let sealed = wiping(|| -> Result<Vec<u8>, SessionError> {
            let cipher = self.cipher()?;
            let mut before = iv;
            let mut out = Vec::with_capacity(padded.len());
            for chunk in padded.expose().chunks(BLOCK) {
                let mut block = mixed(block_of(chunk)?, before).into();
                cipher.encrypt_block(&mut block);
                before = block.into();
                out.extend_from_slice(&before);
            }
            Ok(out)
        })?;
        Ok(Sealed { iv: iv.to_vec(), value: sealed })
    }

    pub(super) fn open(&self, sealed: &Sealed) -> Result<Locked, SessionError> {
        let length = sealed.value.len();
        if length == 0 || !length.is_multiple_of(BLOCK) || length > CIPHERTEXT_MAX {
            return Err(SessionError::Protocol("an encrypted value has an impossible length"));
        }
        let mut padded = Locked::zeroed(length)?;
        let iv = block_of(&sealed.iv)?;
        wiping(|| -> Result<(), SessionError> {
            let cipher = self.cipher()?;
            let mut before = iv;
            for (chunk, place) in sealed.value.chunks(BLOCK).zip(padded.expose_mut().chunks_mut(BLOCK)) {
                let encrypted = block_of(chunk)?;
                let mut block = encrypted.into();
                cipher.decrypt_block(&mut block);
                place.copy_from_slice(&mixed(block.into(), before));
                before = encrypted;
            }
            Ok(())
        })?;
        let bytes = padded.expose();
        let padding = usize::from(bytes.last().copied().unwrap_or_default());
        let kept = length.checked_sub(padding).filter(|_| (1..=BLOCK).contains(&padding));
        let valid = kept
            .and_then(|kept| bytes.split_at_checked(kept))
            .filter(|(_, end)| end.iter().all(|byte| usize::from(*byte) == padding));
        match valid {
            Some((value, _)) => Ok(Locked::copy_of(value)?),
            None => Err(SessionError::Protocol("a value was encrypted with another key")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (SessionKey, SessionKey) {
        let (ours, theirs) = (Offer::new().unwrap(), Offer::new().unwrap());
        let (our_public, their_public) = (ours.public(), theirs.public());
        (ours.accept(&their_public).unwrap(), theirs.accept(&our_public).unwrap())
    }

    #[test]
    fn both_ends_have_the_same_key() {
        let (ours, theirs) = pair();
        for length in [0, 1, 15, 16, 17, 32, 100] {
            let value = Locked::random(length).unwrap();
            let sealed = ours.seal(&value).unwrap();
            assert_eq!(sealed.value.len(), (length / 16 + 1) * 16);
            assert!(theirs.open(&sealed).unwrap().equals(value.expose()), "{length}");
        }
    }

    /// NIST SP 800-38A, F.2.1: the first block of AES-128 in CBC mode.
    #[test]
    fn the_cipher_is_the_standards() {
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len() / 2).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap()).collect()
        };
        let key = SessionKey { key: Locked::copy_of(&hex("2b7e151628aed2a6abf7158809cf4f3c")).unwrap() };
        let iv = hex("000102030405060708090a0b0c0d0e0f");
        let plain = hex("6bc1bee22e409f96e93d7e117393172a");
        let cipher = key.cipher().unwrap();
        let mut block = mixed(block_of(&plain).unwrap(), block_of(&iv).unwrap()).into();
        cipher.encrypt_block(&mut block);
        assert_eq!(block.to_vec(), hex("7649abac8119b246cee98e9b12e9197d"));
    }

    #[test]
    fn deny_numbers_that_make_the_secret_known() {
        let prime = PRIME.as_ref().to_be_bytes();
        let minus_one = PRIME.as_ref().wrapping_sub(&U1024::ONE).to_be_bytes();
        for theirs in [&[0][..], &[1], &[0; 128], &[0xff; 128], prime.as_ref(), minus_one.as_ref(), &[], &[2; 129]] {
            let outcome = Offer::new().unwrap().accept(theirs);
            assert!(matches!(outcome, Err(SessionError::Protocol(_))), "{theirs:02x?}");
        }
        assert!(Offer::new().unwrap().accept(&[4]).is_ok(), "a short number is a number");
    }

    #[test]
    fn deny_values_of_another_session_and_damaged_ones() {
        let (ours, theirs) = pair();
        let sealed = ours.seal(&Locked::copy_of(b"thirty-two bytes of a root key!!").unwrap()).unwrap();
        let cut = Sealed { iv: sealed.iv.clone(), value: sealed.value[..40].to_vec() };
        let empty = Sealed { iv: sealed.iv.clone(), value: vec![] };
        let iv = Sealed { iv: vec![0; 15], value: sealed.value.clone() };
        let long = Sealed { iv: sealed.iv.clone(), value: vec![0; CIPHERTEXT_MAX + BLOCK] };
        for bad in [&cut, &empty, &iv, &long] {
            assert!(theirs.open(bad).is_err(), "{bad:?}");
        }
        let (other, _) = pair();
        // Padding that fits by chance is possible; the value is then another one, which the slot's mark refuses.
        assert!(other.open(&sealed).map_or(true, |value| !value.equals(b"thirty-two bytes of a root key!!")));
    }
}
