// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sessions with a TPM: commands and responses that are authenticated and whose secret parameter is encrypted.
//!
//! In: a salt that only the TPM's storage key can unwrap, nonces. Out: HMACs, masks.
//! (TPM 2.0 Library, part 1, sections 11.4.10, 19 and 21.)
//!
//! **Invariant:** each session is salted, so that what passes on the bus says nothing about keys; a response whose HMAC is
//! not the expected one is refused. The mask is `TPM_ALG_XOR` with SHA-256: the mandatory way that needs no block cipher.

use hmac::{Hmac, KeyInit as _, Mac as _};
use p256::elliptic_curve::sec1::ToSec1Point as _;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::fault::TpmError;
use super::object::Point;
use crate::locked::Locked;

/// Length of nonces, of SHA-256 and of session keys. Bytes.
pub(super) const DIGEST: usize = 32;

/// `TPMA_SESSION`: the session stays; the first parameter of the command, of the response, is encrypted.
pub(super) const CONTINUE: u8 = 0x01;
pub(super) const DECRYPT: u8 = 0x20;
pub(super) const ENCRYPT: u8 = 0x40;

/// Which parameters of a command are encrypted on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cover {
    /// Neither: the command has no sized first parameter, and the response neither.
    Neither,
    /// The first of the command.
    In,
    /// The first of the response.
    Out,
    /// Both.
    Both,
}

impl Cover {
    /// The session attributes for it.
    pub(super) const fn attributes(self) -> u8 {
        match self {
            Self::Neither => CONTINUE,
            Self::In => CONTINUE | DECRYPT,
            Self::Out => CONTINUE | ENCRYPT,
            Self::Both => CONTINUE | DECRYPT | ENCRYPT,
        }
    }
}

/// A session that was started.
pub(super) struct Session {
    /// Its handle in the TPM.
    pub(super) handle: u32,
    key: Locked,
    nonce_tpm: [u8; DIGEST],
    nonce_caller: [u8; DIGEST],
}

/// What starts a session: the wrapped salt and the first nonce for the TPM, and the salt itself.
pub(super) struct Salt {
    salt: Locked,
    nonce_caller: [u8; DIGEST],
    ephemeral: Point,
}

impl Salt {
    /// A new salt for the TPM that holds the private half of `parent`.
    pub(super) fn new(parent: &Point) -> Result<Self, TpmError> {
        let forged = || TpmError::Malformed { what: "a storage key that is no point of its curve" };
        let bytes = p256::Sec1Point::from_affine_coordinates((&parent.x).into(), (&parent.y).into(), false);
        let public = p256::PublicKey::try_from(bytes).map_err(|_| forged())?;
        let secret = ephemeral_secret()?;
        let own = secret.public_key().to_sec1_point(false);
        let (Some(x), Some(y)) = (own.x(), own.y()) else { return Err(forged()) };
        let ephemeral = Point { x: (*x).into(), y: (*y).into() };
        let shared = p256::ecdh::diffie_hellman(secret.to_nonzero_scalar(), public.as_affine());
        let salt = kdfe(shared.raw_secret_bytes(), &ephemeral.x, &parent.x)?;
        Ok(Self { salt, nonce_caller: nonce()?, ephemeral })
    }

    /// The nonce for the TPM.
    pub(super) const fn nonce(&self) -> &[u8; DIGEST] {
        &self.nonce_caller
    }

    /// The point from which the TPM computes the salt.
    pub(super) const fn point(&self) -> &Point {
        &self.ephemeral
    }

    /// The session that the TPM started with this salt, and answered with `handle` and `nonce_tpm`.
    pub(super) fn session(self, handle: u32, nonce_tpm: &[u8]) -> Result<Session, TpmError> {
        let nonce_tpm = expect_nonce(nonce_tpm)?;
        let mut key = Locked::zeroed(DIGEST)?;
        kdfa(&[self.salt.expose()], b"ATH", &nonce_tpm, &self.nonce_caller, key.expose_mut())?;
        Ok(Session { handle, key, nonce_tpm, nonce_caller: self.nonce_caller })
    }
}

/// A scalar of P-256 from the kernel's randomness.
fn ephemeral_secret() -> Result<p256::SecretKey, TpmError> {
    // A random 256-bit number is a scalar but for one in 2^32 cases.
    for _ in 0..8 {
        let bytes = Locked::random(DIGEST)?;
        if let Ok(secret) = p256::SecretKey::from_slice(bytes.expose()) {
            return Ok(secret);
        }
    }
    Err(TpmError::Malformed { what: "randomness that is none" })
}

impl Session {
    /// A new nonce for the next command.
    pub(super) fn next(&mut self) -> Result<(), TpmError> {
        self.nonce_caller = nonce()?;
        Ok(())
    }

    /// The nonce of the next command.
    pub(super) const fn nonce(&self) -> &[u8; DIGEST] {
        &self.nonce_caller
    }

    /// Masks the first parameter of a command, or lifts the mask.
    pub(super) fn mask_command(&self, auth: &[u8], parameter: &mut [u8]) -> Result<(), TpmError> {
        self.mask(auth, &self.nonce_caller, &self.nonce_tpm, parameter)
    }

    /// Masks the first parameter of a response, or lifts the mask; after [`Session::check`].
    pub(super) fn mask_response(&self, auth: &[u8], parameter: &mut [u8]) -> Result<(), TpmError> {
        self.mask(auth, &self.nonce_tpm, &self.nonce_caller, parameter)
    }

    fn mask(&self, auth: &[u8], newer: &[u8], older: &[u8], parameter: &mut [u8]) -> Result<(), TpmError> {
        let mut mask = Locked::zeroed(parameter.len())?;
        kdfa(&[self.key.expose(), without_zeros(auth)], b"XOR", newer, older, mask.expose_mut())?;
        parameter.iter_mut().zip(mask.expose()).for_each(|(byte, mask)| *byte ^= mask);
        Ok(())
    }

    /// The HMAC of a command whose parameters hash to `digest`.
    pub(super) fn authorize(&self, auth: &[u8], digest: &[u8], attributes: u8) -> Result<[u8; DIGEST], TpmError> {
        self.hmac(auth, digest, &self.nonce_caller, &self.nonce_tpm, attributes)
    }

    /// Checks the HMAC of a response whose parameters hash to `digest`, and takes over the TPM's new nonce.
    pub(super) fn check(&mut self, auth: &[u8], digest: &[u8], answer: &AuthAnswer<'_>) -> Result<(), TpmError> {
        let nonce_tpm = expect_nonce(answer.nonce)?;
        let expected = self.hmac(auth, digest, &nonce_tpm, &self.nonce_caller, answer.attributes)?;
        if !bool::from(expected.as_slice().ct_eq(answer.hmac)) {
            return Err(TpmError::Forged);
        }
        self.nonce_tpm = nonce_tpm;
        Ok(())
    }

    fn hmac(
        &self,
        auth: &[u8],
        digest: &[u8],
        newer: &[u8],
        older: &[u8],
        attributes: u8,
    ) -> Result<[u8; DIGEST], TpmError> {
        let mut mac = keyed(&[self.key.expose(), without_zeros(auth)])?;
        mac.update(digest);
        mac.update(newer);
        mac.update(older);
        mac.update(&[attributes]);
        Ok(mac.finalize().into_bytes().into())
    }
}

/// The authorization part of a response.
pub(super) struct AuthAnswer<'a> {
    /// The TPM's new nonce.
    pub(super) nonce: &'a [u8],
    /// The attributes of the session.
    pub(super) attributes: u8,
    /// Its HMAC.
    pub(super) hmac: &'a [u8],
}

/// Authorization values are compared and used without the zeros at their end.
pub(super) fn without_zeros(auth: &[u8]) -> &[u8] {
    let end = auth.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    auth.get(..end).unwrap_or_default()
}

fn nonce() -> Result<[u8; DIGEST], TpmError> {
    let mut nonce = [0; DIGEST];
    getrandom::fill(&mut nonce).map_err(|error| TpmError::Io(std::io::Error::other(error)))?;
    Ok(nonce)
}

fn expect_nonce(nonce: &[u8]) -> Result<[u8; DIGEST], TpmError> {
    nonce.try_into().map_err(|_| TpmError::Malformed { what: "a nonce of another length" })
}

fn keyed(key: &[&[u8]]) -> Result<Hmac<Sha256>, TpmError> {
    // The key is two values one after the other; they fit into one page of locked memory.
    let mut joined = Locked::zeroed(key.iter().map(|part| part.len()).sum())?;
    let mut place = joined.expose_mut();
    for part in key {
        let (head, tail) = place.split_at_mut_checked(part.len()).ok_or(TpmError::TooLong)?;
        head.copy_from_slice(part);
        place = tail;
    }
    Hmac::new_from_slice(joined.expose()).map_err(|_| TpmError::TooLong)
}

/// KDFe with SHA-256 (part 1, section 11.4.10.3), for a salt: one block is enough.
fn kdfe(shared: &[u8], ephemeral: &[u8], parent: &[u8]) -> Result<Locked, TpmError> {
    let hash = Sha256::new().chain_update(1_u32.to_be_bytes()).chain_update(shared).chain_update(b"SECRET\0");
    let hash =
        zeroize::Zeroizing::new(<[u8; DIGEST]>::from(hash.chain_update(ephemeral).chain_update(parent).finalize()));
    Ok(Locked::copy_of(hash.as_slice())?)
}

/// KDFa with SHA-256 (part 1, section 11.4.10.2): fills `out`.
fn kdfa(key: &[&[u8]], label: &[u8], newer: &[u8], older: &[u8], out: &mut [u8]) -> Result<(), TpmError> {
    let bits = u32::try_from(out.len()).ok().and_then(|bytes| bytes.checked_mul(8)).ok_or(TpmError::TooLong)?;
    for (counter, block) in (1_u32..).zip(out.chunks_mut(DIGEST)) {
        let mut mac = keyed(key)?;
        mac.update(&counter.to_be_bytes());
        mac.update(label);
        mac.update(&[0]);
        mac.update(newer);
        mac.update(older);
        mac.update(&bits.to_be_bytes());
        let made = zeroize::Zeroizing::new(<[u8; DIGEST]>::from(mac.finalize().into_bytes()));
        block.iter_mut().zip(made.iter()).for_each(|(place, byte)| *place = *byte);
    }
    Ok(())
}

#[cfg(feature = "fuzz")]
impl Session {
    /// The TPM's end of a session, where the private half of the storage key is 1, so that what is shared is the caller's
    /// own point.
    pub(super) fn of_a_tpm(
        parent: &Point,
        ephemeral: &[u8],
        nonce_caller: &[u8],
        nonce_tpm: [u8; DIGEST],
    ) -> Result<Self, TpmError> {
        let nonce_caller = expect_nonce(nonce_caller)?;
        let mut key = Locked::zeroed(DIGEST)?;
        let salt = kdfe(ephemeral, ephemeral, &parent.x)?;
        kdfa(&[salt.expose()], b"ATH", &nonce_tpm, &nonce_caller, key.expose_mut())?;
        Ok(Self { handle: 0, key, nonce_tpm, nonce_caller })
    }

    /// Takes the nonce of a command.
    pub(super) fn hear(&mut self, nonce_caller: &[u8]) -> Result<(), TpmError> {
        self.nonce_caller = expect_nonce(nonce_caller)?;
        Ok(())
    }

    /// Takes a nonce for the response.
    pub(super) const fn speak(&mut self, nonce_tpm: [u8; DIGEST]) {
        self.nonce_tpm = nonce_tpm;
    }

    /// The HMAC of a response.
    pub(super) fn vouch(&self, auth: &[u8], digest: &[u8], attributes: u8) -> Result<[u8; DIGEST], TpmError> {
        self.hmac(auth, digest, &self.nonce_tpm, &self.nonce_caller, attributes)
    }
}

#[cfg(test)]
impl Session {
    /// One that no TPM started.
    pub(super) fn for_tests() -> Self {
        let key = Locked::copy_of(&[7; DIGEST]).unwrap();
        Self { handle: 0x0200_0000, key, nonce_tpm: [1; DIGEST], nonce_caller: [2; DIGEST] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_at_the_end_do_not_count() {
        for (auth, expected) in
            [(&b""[..], &b""[..]), (b"a", b"a"), (b"a\0\0", b"a"), (b"\0\0", b""), (b"\0a\0b\0", b"\0a\0b")]
        {
            assert_eq!(without_zeros(auth), expected);
        }
    }

    #[test]
    fn deny_a_response_that_differs_in_anything() {
        let session = Session::for_tests;
        let newer = [3; DIGEST];
        let hmac = session().hmac(b"pin", &[9; DIGEST], &newer, &[2; DIGEST], CONTINUE).unwrap();
        let answer = |nonce, attributes, hmac| AuthAnswer { nonce, attributes, hmac };
        let mut good = session();
        good.check(b"pin", &[9; DIGEST], &answer(&newer, CONTINUE, &hmac)).unwrap();
        assert_eq!(good.nonce_tpm, newer);
        let mut flipped = hmac;
        flipped[31] ^= 1;
        for (name, auth, digest, answer) in [
            ("another digest", &b"pin"[..], [8; DIGEST], answer(&newer, CONTINUE, &hmac)),
            ("another authorization", b"pim", [9; DIGEST], answer(&newer, CONTINUE, &hmac)),
            ("other attributes", b"pin", [9; DIGEST], answer(&newer, CONTINUE | ENCRYPT, &hmac)),
            ("another nonce", b"pin", [9; DIGEST], answer(&[4; DIGEST], CONTINUE, &hmac)),
            ("a flipped bit", b"pin", [9; DIGEST], answer(&newer, CONTINUE, &flipped)),
            ("no HMAC", b"pin", [9; DIGEST], answer(&newer, CONTINUE, &[])),
        ] {
            assert!(matches!(session().check(auth, &digest, &answer), Err(TpmError::Forged)), "{name}");
        }
        assert!(session().check(b"pin", &[9; DIGEST], &answer(b"short", CONTINUE, &hmac)).is_err());
    }

    #[test]
    fn a_mask_is_lifted_by_the_same_mask_only() {
        let session = Session::for_tests();
        let mut text = *b"forty bytes, so that two blocks are used";
        session.mask_command(b"", &mut text).unwrap();
        assert_ne!(&text, b"forty bytes, so that two blocks are used");
        session.mask_command(b"", &mut text).unwrap();
        assert_eq!(&text, b"forty bytes, so that two blocks are used");
        session.mask_command(b"", &mut text).unwrap();
        session.mask_response(b"", &mut text).unwrap();
        assert_ne!(&text, b"forty bytes, so that two blocks are used", "nonces have their order");
    }
}
