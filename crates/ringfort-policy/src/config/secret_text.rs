// SPDX-License-Identifier: MIT OR Apache-2.0
//! A secret in a configuration file: read, kept, never printed.
//!
//! **Invariant:** `Debug` and `Serialize` show `[secret]`.

use std::borrow::Cow;
use std::fmt;

use ringfort_core::secret::Secret;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A secret that a configuration file holds.
pub struct SecretText(Secret<String>);

impl SecretText {
    /// Shows the value. Each call is a place to review.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl Clone for SecretText {
    fn clone(&self) -> Self {
        Self(Secret::new(self.0.expose().clone()))
    }
}

impl PartialEq for SecretText {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(other.expose().as_bytes())
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
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

impl JsonSchema for SecretText {
    fn schema_name() -> Cow<'static, str> {
        "SecretText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}
