// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is told of the use of keys, before and after it.
//!
//! In: an operation of the ring. Out: to whoever keeps the record.
//!
//! **Invariant:** an operation has no field for key bytes, derived bytes or messages: of a message there is only its
//! digest. The ring tells before it acts, and what cannot be recorded does not happen.

use super::KeyKind;
use super::record::KeyName;

/// What is done with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A key is made.
    Generate,
    /// A new version takes over.
    Rotate,
    /// Old versions stop to hold.
    Destroy,
    /// Its schedule is changed.
    Schedule,
    /// A message is signed or authenticated.
    Sign,
    /// A key is derived from it.
    Derive,
    /// Its public half is given out.
    Export,
}

impl What {
    /// Its name in the record.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generate => "key.generate",
            Self::Rotate => "key.rotate",
            Self::Destroy => "key.destroy",
            Self::Schedule => "key.schedule",
            Self::Sign => "key.sign",
            Self::Derive => "key.derive",
            Self::Export => "key.export",
        }
    }

    /// Whether it changes what keys there are.
    pub const fn changes(self) -> bool {
        matches!(self, Self::Generate | Self::Rotate | Self::Destroy | Self::Schedule)
    }
}

/// Why it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It was asked for.
    Asked,
    /// The key's schedule says so.
    Schedule,
}

/// One use of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// What is done.
    pub what: What,
    /// With which key.
    pub key: KeyName,
    /// With which version of it: the one that signs, the one that is made, the newest that is destroyed.
    pub version: u64,
    /// Its kind.
    pub kind: KeyKind,
    /// Its provider.
    pub provider: String,
    /// Why.
    pub cause: Cause,
    /// SHA-256 of the message that is signed, or of the context that is derived for, in hexadecimal.
    pub digest: Option<String>,
}

/// How far an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage<'a> {
    /// It is about to happen.
    Intent,
    /// It has happened; what came of it is given out after this.
    Done,
    /// It did not happen, or not as a whole.
    Failed(&'a str),
}

/// An operation could not be recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it cannot be recorded: {message}")]
pub struct AuditError {
    /// Why not.
    pub message: String,
}

/// Keeps the record of what is done with keys.
pub trait KeyAudit: Send + Sync {
    /// Records one stage of an operation; durable when this returns for [`Stage::Intent`] of a change.
    ///
    /// # Errors
    ///
    /// [`AuditError`]: it is not on the record; the ring does not go on.
    fn record(&self, operation: &Operation, stage: Stage<'_>) -> Result<(), AuditError>;
}

/// The audit of a ring that is only looked at: it records nothing, so no key can be used.
#[derive(Clone, Copy, Debug, Default)]
pub struct LookOnly;

impl KeyAudit for LookOnly {
    fn record(&self, _operation: &Operation, _stage: Stage<'_>) -> Result<(), AuditError> {
        Err(AuditError { message: "keys are only looked at here".to_owned() })
    }
}
