// SPDX-License-Identifier: MIT OR Apache-2.0
//! The names of secrets: dotted ids.
//!
//! In: text. Out: a [`SecretId`].
//!
//! **Invariant:** an id names one entry. There are no wildcards in ids, and none in lookups.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest id. Bytes.
pub const ID_MAX: usize = 200;

/// Why a text is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// It is empty or too long.
    #[error("an id has 1 to {ID_MAX} bytes, this has {length}")]
    Length {
        /// Its length.
        length: usize,
    },
    /// It contains something that ids do not contain.
    #[error(
        "the id `{}` contains `{}`: ids are words of letters, digits, `_` and `-`, joined by dots; no wildcards",
        id.escape_debug(), found.escape_debug()
    )]
    Character {
        /// The text.
        id: String,
        /// What was found.
        found: char,
    },
    /// Nothing stands before, after or between its dots.
    #[error("the id `{}` has an empty part; write it like `models.providers.openai.apiKey`", id.escape_debug())]
    EmptyPart {
        /// The text.
        id: String,
    },
}

/// The name of one secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretId(String);

impl SecretId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SecretId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.is_empty() || text.len() > ID_MAX {
            return Err(IdError::Length { length: text.len() });
        }
        let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if let Some(found) = text.chars().find(|c| !allowed(c)) {
            return Err(IdError::Character { id: text.to_owned(), found });
        }
        if text.split('.').any(str::is_empty) {
            return Err(IdError::EmptyPart { id: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for SecretId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<SecretId> for String {
    fn from(id: SecretId) -> Self {
        id.0
    }
}

impl fmt::Display for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_dotted_words() {
        for good in
            ["a", "gateway.auth.password", "models.providers.open-router.apiKey", "channels.slack.accounts.a_1.token"]
        {
            assert_eq!(good.parse::<SecretId>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "a.", ".a", "a..b", "a.*", "*", "a b", "a/b", "ä", "a\0", "../a", &"x".repeat(ID_MAX + 1)]
        {
            assert!(bad.parse::<SecretId>().is_err(), "{bad:?}");
        }
    }
}
