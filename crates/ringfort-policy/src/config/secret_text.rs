// SPDX-License-Identifier: MIT OR Apache-2.0
//! A secret in a configuration file: read, kept in the form in which it stands there, never printed.
//!
//! In: a text. Out: its form, and at use the secret itself, opened by what the wiring has put in.
//!
//! **Invariant:** `Debug` and `Serialize` show `[secret]`. A sealed text is never given out as the secret; a form that
//! cannot be opened here does not load.

use std::borrow::Cow;
use std::fmt;

use ringfort_core::form::{Form, SECRET_TEXT_BYTES_MAX};
use ringfort_core::secret::Secret;
use ringfort_core::traits::{Unseal, UnsealError};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What marks a secret in the schema; [`crate::document`] finds the secrets of a file by it.
pub(crate) const SCHEMA_FORMAT: &str = "ringfort-secret";

/// A secret that a configuration file holds.
pub struct SecretText {
    text: Secret<String>,
    form: Form,
}

impl SecretText {
    /// In what form the file holds it.
    pub const fn form(&self) -> Form {
        self.form
    }

    /// Whether the file holds nothing.
    pub fn is_empty(&self) -> bool {
        self.text.expose().is_empty()
    }

    /// The secret itself, for the dotted key at which it stands. Each call is a place to review.
    ///
    /// # Errors
    ///
    /// [`UnsealError`]: it is sealed and could not be opened.
    pub fn open(&self, key: &str, unseal: &dyn Unseal) -> Result<Secret<String>, UnsealError> {
        match self.form {
            Form::Plain => Ok(Secret::new(self.text.expose().clone())),
            _ => unseal.open(key, self.text.expose()),
        }
    }

    fn parse(text: String) -> Result<Self, String> {
        let text = Secret::new(text);
        if text.expose().len() > SECRET_TEXT_BYTES_MAX {
            return Err(format!("it is longer than {SECRET_TEXT_BYTES_MAX} bytes"));
        }
        match Form::of(text.expose()).map_err(|error| error.to_string())? {
            Form::Enc => Err("`enc:` does not show whether it was changed and is not used; \
                `ringfort secrets seal-config --migrate` seals it anew"
                .to_owned()),
            Form::OnePassword => Err("`op://` names a value of 1Password, and no other program is run for a value; \
                write the value and seal it with `ringfort secrets seal-config`"
                .to_owned()),
            form @ (Form::Plain | Form::Enc2 | Form::Enc3) => Ok(Self { text, form }),
        }
    }
}

impl Clone for SecretText {
    fn clone(&self) -> Self {
        Self { text: Secret::new(self.text.expose().clone()), form: self.form }
    }
}

impl PartialEq for SecretText {
    fn eq(&self, other: &Self) -> bool {
        self.text.equals(other.text.expose().as_bytes())
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("[secret]")
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl JsonSchema for SecretText {
    fn schema_name() -> Cow<'static, str> {
        "SecretText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": SCHEMA_FORMAT })
    }
}
