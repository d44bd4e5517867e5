// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why the ring did not do what it was asked for.
//!
//! In: what went wrong. Out: an error that says what has or has not happened.
//!
//! **Invariant:** no variant carries bytes of a key or of a message.

use super::super::KeyError;
use super::super::audit::AuditError;
use super::super::record::{KeyName, RecordError, VERSIONS_MAX};
use super::super::shelf::{SaveError, ShelfError};
use crate::locked::LockedError;

/// Why a key could not be made or used. Unless the variant says otherwise, nothing was signed, made or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// There is no key of this name.
    #[error("there is no key `{name}`")]
    Absent {
        /// The name.
        name: KeyName,
    },
    /// There is one already.
    #[error("there is a key `{name}` already; `rotate` makes its next version")]
    Exists {
        /// The name.
        name: KeyName,
    },
    /// What is kept of the key is damaged. It is left as it is.
    #[error("the key `{name}` is damaged")]
    Damaged {
        /// The name.
        name: KeyName,
        /// What is wrong.
        source: RecordError,
    },
    /// The key has no such version.
    #[error("the key `{name}` has no version {version}")]
    NoVersion {
        /// The name.
        name: KeyName,
        /// The version.
        version: u64,
    },
    /// The version was destroyed: nothing that it signed holds.
    #[error("version {version} of the key `{name}` was destroyed")]
    Destroyed {
        /// The name.
        name: KeyName,
        /// The version.
        version: u64,
    },
    /// No version of the key made this signature over this message.
    #[error("the signature is not one of the key `{name}` over this content")]
    NotSigned {
        /// The name.
        name: KeyName,
    },
    /// The key has as many versions as can be kept.
    #[error("the key `{name}` has {VERSIONS_MAX} versions, and no more are kept; destroy old ones")]
    Full {
        /// The name.
        name: KeyName,
    },
    /// The period is not between a day and ten years.
    #[error("a key is rotated every 1 to 3660 days")]
    Period,
    /// The key's provider is not one of those that are configured.
    #[error("the key needs the provider `{provider}`, which is not configured here")]
    NoProvider {
        /// The provider.
        provider: String,
    },
    /// The key is overdue, and its next version could not be made: it does not sign.
    #[error("the key `{name}` is overdue and could not be rotated, so it does not sign")]
    Overdue {
        /// The name.
        name: KeyName,
        /// Why not.
        source: Box<Self>,
    },
    /// The operation cannot be recorded.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// It happened, and that could not be recorded: what came of it is not given out, and a change stays.
    #[error("the key `{name}`: {what} happened, and that could not be recorded")]
    Unrecorded {
        /// The name.
        name: KeyName,
        /// What happened.
        what: &'static str,
        /// Why it is not on the record.
        source: AuditError,
    },
    /// The provider failed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store of the keys failed.
    #[error("the store of the keys cannot be used")]
    Shelf(#[source] ShelfError),
    /// The change was made, and is not known to be on the disk.
    #[error("the key `{name}` was changed, but a loss of power may undo it")]
    Unsure {
        /// The name.
        name: KeyName,
        /// Why.
        source: ShelfError,
    },
    /// The change was made; remains of what was there before could not be removed.
    #[error("the key `{name}` was changed, but remains of its old version are still there; rotate it once more")]
    Remains {
        /// The name.
        name: KeyName,
        /// Why.
        source: Box<Self>,
    },
}

impl From<LockedError> for RingError {
    fn from(error: LockedError) -> Self {
        Self::Key(error.into())
    }
}

impl RingError {
    pub(super) fn save(name: &KeyName, error: SaveError) -> Self {
        match error {
            SaveError::Kept(source) => Self::Shelf(source),
            SaveError::Made(source) => Self::Unsure { name: name.clone(), source },
        }
    }
}
