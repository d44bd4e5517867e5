// SPDX-License-Identifier: MIT OR Apache-2.0
//! Secrets in configuration files: sealed into a text, opened again, each in its own form.
//!
//! In: a value and the key path at which it stands, or a text. Out: a text that a configuration file can hold, or the
//! value, in locked memory.
//!
//! **Invariant:** a text that looks like a form and is none is an error, never plain text. An `enc3:` text opens at the
//! place for which it was sealed and nowhere else; an `enc:` text is read by an explicit migration only; nothing is
//! started to open a value. Formats and vectors: `docs/formats/enc3.md`.

mod enc;
mod enc2;
mod enc3;
mod key_file;
mod opener;

pub use ringfort_core::form::{Form, SECRET_TEXT_BYTES_MAX, UnknownForm};

pub use enc::migrate_enc;
pub use enc2::{open_enc2, seal_enc2};
pub use enc3::{Enc3, TextKey, open_enc3, seal_enc3};
pub use key_file::{Enc2Key, KEY_FILE, KeyFileError};
pub use opener::{KeySource, Opener};

use crate::locked::LockedError;
use crate::root::StoreId;

/// Longest value that is sealed into a text. Bytes.
pub const VALUE_BYTES_MAX: usize = 64 << 10;

/// Why a value was not sealed or a text not opened. Nothing was changed, and no part of a value is in the message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealedTextError {
    /// It looks like a form, and none such is known.
    #[error(transparent)]
    Unknown(#[from] UnknownForm),
    /// It is of another form than the one asked for.
    #[error("it has the form `{found}`, not `{expected}`")]
    Form {
        /// What it is.
        found: Form,
        /// What was expected.
        expected: Form,
    },
    /// It refers to a value that another program would have to give.
    #[error("`op://` names a value of 1Password, and no other program is run for a value")]
    OnePassword,
    /// It is of a form whose changes cannot be seen, and no migration was asked for.
    #[error("`enc:` does not show whether it was changed and is read by a migration only")]
    Legacy,
    /// What follows the prefix is not what the form says.
    #[error("the `{form}:` value is malformed: {what}")]
    Malformed {
        /// The form.
        form: Form,
        /// What is wrong.
        what: &'static str,
    },
    /// It was written by a newer version.
    #[error("the `enc3:` value has version {version}, and this program reads version {known}", known = enc3::VERSION)]
    Newer {
        /// The version of the value.
        version: u8,
    },
    /// It was sealed with the key of another store.
    #[error("the value was sealed by the store {sealed}, and this is the store {here}")]
    OtherStore {
        /// The store that sealed it.
        sealed: StoreId,
        /// The store that is open.
        here: StoreId,
    },
    /// It was sealed for another place, or with keys that the store has forgotten.
    #[error("the value belongs to another key than `{key}`, and was moved or copied here")]
    OtherPlace {
        /// The key at which it stands.
        key: String,
    },
    /// It was changed, or sealed with another key.
    #[error("the `{form}:` value was changed, or sealed with another key")]
    Changed {
        /// The form.
        form: Form,
    },
    /// It is too long.
    #[error("a value of {length} bytes is too long; the limit is {VALUE_BYTES_MAX} bytes")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// An empty value holds no secret; it stays as it is.
    #[error("an empty value is not sealed")]
    Empty,
    /// There is no memory for it, or no randomness.
    #[error(transparent)]
    Memory(#[from] LockedError),
    /// The cipher failed.
    #[error("the value could not be sealed")]
    Cipher,
}

/// Tells the form of a text that may be opened in its place.
///
/// # Errors
///
/// [`SealedTextError::Unknown`], [`SealedTextError::Legacy`], [`SealedTextError::OnePassword`]: it may not.
pub fn parse(text: &str) -> Result<Form, SealedTextError> {
    match Form::of(text)? {
        Form::Enc => Err(SealedTextError::Legacy),
        Form::OnePassword => Err(SealedTextError::OnePassword),
        form => Ok(form),
    }
}

/// What follows the prefix of `form`.
fn body(text: &str, form: Form) -> Result<&str, SealedTextError> {
    let found = Form::of(text)?;
    if found != form {
        return Err(SealedTextError::Form { found, expected: form });
    }
    if text.len() > SECRET_TEXT_BYTES_MAX {
        return Err(SealedTextError::Malformed { form, what: "it is too long" });
    }
    text.split_once(':').map(|(_, rest)| rest).ok_or(SealedTextError::Malformed { form, what: "it has no colon" })
}

/// Refuses what is not sealed.
fn check_value(value: &[u8]) -> Result<(), SealedTextError> {
    match value.len() {
        0 => Err(SealedTextError::Empty),
        length if length > VALUE_BYTES_MAX => Err(SealedTextError::TooLong { length }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
