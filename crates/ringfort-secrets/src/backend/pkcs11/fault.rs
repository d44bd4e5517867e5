// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can go wrong with a token, by name.
//!
//! In: errors of the module. Out: a [`TokenError`], and what it means for a root key or a signing key.
//!
//! **Invariant:** a failure is never a value; a wrong PIN is told from everything else.

use std::time::Duration;

use cryptoki::error::{Error, RvError};

use crate::keys::KeyError;
use crate::locked::LockedError;
use crate::root::RootKeyError;

/// The name under which tokens appear in errors and slots.
pub(super) const NAME: &str = "pkcs11";

/// Why an operation of a token did not happen. No value came of it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// There is no module, no token, or it was taken out.
    #[error("{0}")]
    Absent(String),
    /// A person is needed first: a PIN that was not given, a token that is locked or about to be.
    #[error("{0}")]
    Locked(String),
    /// The token or the key in it is another one.
    #[error("{0}")]
    Wrong(String),
    /// The PIN is another one.
    #[error("{0}")]
    Pin(String),
    /// The module or the token does not work as it should, or lacks what is needed.
    #[error("{0}")]
    Broken(String),
    /// The module did not answer in time. What it does later is not used.
    #[error("the module did not answer within {} s", waited.as_secs())]
    Slow {
        /// How long it was waited for.
        waited: Duration,
    },
    /// There is no memory for a key.
    #[error("cannot lock memory for a key")]
    Memory,
}

impl From<Error> for TokenError {
    fn from(error: Error) -> Self {
        match &error {
            Error::Pkcs11(
                RvError::DeviceRemoved
                | RvError::TokenNotPresent
                | RvError::TokenNotRecognized
                | RvError::SessionClosed
                | RvError::SessionHandleInvalid
                | RvError::SlotIdInvalid,
                _,
            ) => Self::Absent("the token was taken out; put it back and try again".to_owned()),
            Error::Pkcs11(RvError::PinLocked, _) => Self::Locked(LOCKED.to_owned()),
            // The description of a code is a paragraph of the standard; its name says as much.
            Error::Pkcs11(code, function) => Self::Broken(format!("{function} failed with {code:?}")),
            Error::LibraryLoading(cause) => Self::Broken(format!("the module cannot be loaded: {cause}")),
            Error::MissingSymbol(name) => Self::Broken(format!("the file is no PKCS#11 module: it has no {name}")),
            _ => Self::Broken(format!("the module cannot be used: {error}")),
        }
    }
}

/// What a locked token is told of.
pub(super) const LOCKED: &str = "its user PIN is locked; unlock it with the token's own tool and the SO PIN";

impl From<LockedError> for TokenError {
    fn from(_: LockedError) -> Self {
        Self::Memory
    }
}

impl From<TokenError> for RootKeyError {
    fn from(error: TokenError) -> Self {
        let source_name = NAME;
        match error {
            TokenError::Absent(message) => Self::Absent { source_name, message },
            TokenError::Locked(message) => Self::Locked { source_name, message },
            TokenError::Wrong(message) => Self::Wrong { source_name, message },
            TokenError::Pin(message) => Self::WrongPin { source_name, message },
            TokenError::Slow { waited } => Self::Slow { source_name, waited },
            TokenError::Broken(_) | TokenError::Memory => Self::Broken { source_name, message: error.to_string() },
        }
    }
}

impl TokenError {
    /// The error of a key operation.
    pub(super) fn for_key(self, operation: &'static str) -> KeyError {
        match self {
            Self::Absent(message) => KeyError::Absent { provider: NAME, message },
            other => KeyError::Broken { provider: NAME, operation, message: other.to_string() },
        }
    }
}
