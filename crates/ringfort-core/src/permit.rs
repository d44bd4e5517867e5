// SPDX-License-Identifier: MIT OR Apache-2.0
//! The permit: the unforgeable, single-use proof that a request was allowed.
//!
//! In: issued by the pipeline alone. Out: redeemed once by the effect it was issued for.
//!
//! **Invariant:** a permit has private fields, is not `Clone`, is bound to one request digest and an expiry, and is
//! consumed by value. `Permit::issue` is banned by lint everywhere but in `ringfort-runtime::pipeline`. The lint is a
//! guard against mistakes, not against a malicious commit; review covers that.

use crate::clock::Timestamp;
use crate::digest::Digest;
use crate::limits::PERMIT_LIFE;
use crate::obligation::Obligations;

/// Proof that one request was allowed, once, until it expires.
#[derive(Debug)]
#[must_use = "a permit that is dropped lets nothing happen"]
pub struct Permit {
    request: Digest,
    obligations: Obligations,
    expires: Timestamp,
}

/// What a redeemed permit allows: the obligations that the effect must respect.
#[derive(Debug)]
#[must_use = "the obligations of a grant bind the effect"]
pub struct Grant {
    obligations: Obligations,
}

/// Why a permit was refused. Nothing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PermitError {
    /// It was issued for another request.
    #[error("the permit was issued for another request")]
    OtherRequest,
    /// It has expired.
    #[error("the permit has expired")]
    Expired,
}

impl Permit {
    /// Issues a permit. Only the pipeline may call this.
    pub fn issue(request: Digest, obligations: Obligations, now: Timestamp) -> Self {
        Self { request, obligations, expires: now.after(PERMIT_LIFE) }
    }

    /// Uses the permit up.
    ///
    /// # Errors
    ///
    /// [`PermitError`]: the permit is gone and nothing has happened.
    pub fn redeem(self, request: &Digest, now: Timestamp) -> Result<Grant, PermitError> {
        if self.request != *request {
            return Err(PermitError::OtherRequest);
        }
        if now >= self.expires {
            return Err(PermitError::Expired);
        }
        Ok(Grant { obligations: self.obligations })
    }
}

impl Grant {
    /// What the effect must respect.
    pub fn obligations(&self) -> &Obligations {
        &self.obligations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "tests the permit itself")]
    fn permit() -> Permit {
        Permit::issue(Digest::of(b"this"), Obligations::default(), Timestamp(1_000))
    }

    #[test]
    fn deny_other_requests_and_late_ones() {
        let end = Timestamp(1_000).after(PERMIT_LIFE);
        assert!(permit().redeem(&Digest::of(b"this"), Timestamp(1_001)).is_ok());
        assert_eq!(permit().redeem(&Digest::of(b"that"), Timestamp(1_001)).err(), Some(PermitError::OtherRequest));
        assert_eq!(permit().redeem(&Digest::of(b"this"), end).err(), Some(PermitError::Expired));
    }
}
