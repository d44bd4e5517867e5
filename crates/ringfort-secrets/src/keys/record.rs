// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is kept of a named key: its kind, its provider, its versions.
//!
//! In: the bytes of a sealed entry. Out: a `Record`, and bytes again: the length of a JSON head, the head, and behind
//! it the private halves one after the other, so that no parser ever copies them.
//!
//! **Invariant:** exactly one version is active, and it is the newest and has a private half; numbers rise; a version that
//! was destroyed has no private half. Bytes that say anything else are no record.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ringfort_core::clock::Timestamp;
use serde::{Deserialize, Serialize};

use super::{KeyKind, software};
use crate::locked::{Locked, LockedError};

/// Longest name of a key. Bytes.
pub const NAME_MAX: usize = 64;
/// Most versions of one key.
pub const VERSIONS_MAX: usize = 256;
/// Longest private half, or what a device gives in its place. Bytes.
pub const PRIVATE_MAX: usize = 8 * 1024;
/// Longest record: what one entry of a store holds. Bytes.
pub const RECORD_MAX: usize = 64 * 1024;
/// The format that is written.
const FORMAT: u32 = 1;
/// The length before the head. Bytes.
const LENGTH: usize = 4;

/// The name of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyName(String);

/// A text is no name of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is no name of a key: a lower-case letter, then lower-case letters, digits, `-` and `_`, at most {NAME_MAX}",
    text.escape_debug()
)]
pub struct NameError {
    text: String,
}

impl KeyName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        if starts && text.len() <= NAME_MAX && text.bytes().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        Err(NameError { text: text.chars().take(NAME_MAX).collect() })
    }
}

impl TryFrom<String> for KeyName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<KeyName> for String {
    fn from(name: KeyName) -> Self {
        name.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a version may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VersionState {
    /// It signs, and its signatures hold.
    Active,
    /// A newer one signs; its signatures hold.
    VerifyOnly,
    /// Nothing of it holds any more.
    Destroyed,
}

impl VersionState {
    /// Its name, as it is written everywhere.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::VerifyOnly => "verify-only",
            Self::Destroyed => "destroyed",
        }
    }
}

/// One version of a key.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) number: u64,
    pub(super) state: VersionState,
    pub(super) created: Timestamp,
    pub(super) replaced: Option<Timestamp>,
    pub(super) destroyed: Option<Timestamp>,
    pub(super) public: Option<Vec<u8>>,
    pub(super) private: Option<Locked>,
}

/// A named key.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) name: KeyName,
    pub(super) kind: KeyKind,
    pub(super) provider: String,
    pub(super) rotate_every: Option<Duration>,
    pub(super) versions: Vec<Version>,
}

/// Why bytes are no record, or a record cannot be written. No key came of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// They do not have the shape of one.
    #[error("{0}")]
    Shape(&'static str),
    /// It is larger than an entry can be.
    #[error("it has too many versions; destroy old ones")]
    TooLarge,
    /// There is no memory for it.
    #[error(transparent)]
    Memory(#[from] LockedError),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: u32,
    name: KeyName,
    kind: KeyKind,
    provider: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rotate_every_ms: Option<u64>,
    versions: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    number: u64,
    state: VersionState,
    created: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaced: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    destroyed: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public: Option<String>,
    /// Length of the private half behind the head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    private: Option<usize>,
}

impl Record {
    /// The bytes to seal.
    pub(super) fn write(&self) -> Result<Locked, RecordError> {
        self.check()?;
        let line = |version: &Version| Line {
            number: version.number,
            state: version.state,
            created: version.created,
            replaced: version.replaced,
            destroyed: version.destroyed,
            public: version.public.as_ref().map(|public| BASE64_STANDARD.encode(public)),
            private: version.private.as_ref().map(Locked::len),
        };
        let head = Head {
            format: FORMAT,
            name: self.name.clone(),
            kind: self.kind,
            provider: self.provider.clone(),
            rotate_every_ms: self.rotate_every.map(|every| u64::try_from(every.as_millis()).unwrap_or(u64::MAX)),
            versions: self.versions.iter().map(line).collect(),
        };
        let head = serde_json::to_vec(&head).map_err(|_error| RecordError::Shape("its head cannot be written"))?;
        let privates = || self.versions.iter().filter_map(|version| version.private.as_ref());
        let length = LENGTH + head.len() + privates().map(Locked::len).sum::<usize>();
        if length > RECORD_MAX {
            return Err(RecordError::TooLarge);
        }
        let mut bytes = Locked::zeroed(length)?;
        let size = u32::try_from(head.len()).map_err(|_error| RecordError::TooLarge)?.to_be_bytes();
        let parts = [&size[..], &head].into_iter().chain(privates().map(Locked::expose)).flatten();
        for (to, from) in bytes.expose_mut().iter_mut().zip(parts) {
            *to = *from;
        }
        Ok(bytes)
    }

    /// Reads the bytes that `write` made for the key `name`.
    pub(super) fn read(name: &KeyName, bytes: &Locked) -> Result<Self, RecordError> {
        let cut = RecordError::Shape("it is cut off");
        let (size, rest) = bytes.expose().split_first_chunk::<LENGTH>().ok_or(cut)?;
        let size = usize::try_from(u32::from_be_bytes(*size)).unwrap_or(usize::MAX);
        let (head, mut privates) = rest.split_at_checked(size).ok_or(RecordError::Shape("it is cut off"))?;
        let head: Head =
            serde_json::from_slice(head).map_err(|_error| RecordError::Shape("its head is not understood"))?;
        if head.format != FORMAT {
            return Err(RecordError::Shape("it was written by a newer Ringfort"));
        }
        let mut versions = Vec::with_capacity(head.versions.len().min(VERSIONS_MAX));
        for line in head.versions {
            let public = line.public.map(|public| BASE64_STANDARD.decode(public)).transpose();
            let private = match line.private {
                None => None,
                Some(length) => {
                    let (private, rest) =
                        privates.split_at_checked(length).ok_or(RecordError::Shape("a private half is cut off"))?;
                    privates = rest;
                    Some(Locked::copy_of(private)?)
                }
            };
            versions.push(Version {
                number: line.number,
                state: line.state,
                created: line.created,
                replaced: line.replaced,
                destroyed: line.destroyed,
                public: public.map_err(|_error| RecordError::Shape("a public half is not base64"))?,
                private,
            });
        }
        if !privates.is_empty() {
            return Err(RecordError::Shape("something stands behind its end"));
        }
        let record = Self {
            name: head.name,
            kind: head.kind,
            provider: head.provider,
            rotate_every: head.rotate_every_ms.map(Duration::from_millis),
            versions,
        };
        if record.name != *name {
            return Err(RecordError::Shape("it is the record of another key"));
        }
        record.check()?;
        Ok(record)
    }

    /// The version that signs.
    pub(super) fn active(&self) -> Result<&Version, RecordError> {
        self.versions.last().ok_or(RecordError::Shape("it has no version"))
    }

    fn check(&self) -> Result<(), RecordError> {
        let shape = |holds: bool, what| if holds { Ok(()) } else { Err(RecordError::Shape(what)) };
        let (newest, older) = self.versions.split_last().ok_or(RecordError::Shape("it has no version"))?;
        if self.versions.len() > VERSIONS_MAX {
            return Err(RecordError::TooLarge);
        }
        shape(newest.state == VersionState::Active && newest.private.is_some(), "its newest version cannot sign")?;
        shape(older.iter().all(|version| version.state != VersionState::Active), "two of its versions are active")?;
        let numbers = || self.versions.iter().map(|version| version.number);
        shape(numbers().zip(numbers().skip(1)).all(|(one, next)| one < next), "its versions are not in order")?;
        for version in &self.versions {
            if let Some(private) = &version.private {
                shape(version.state != VersionState::Destroyed, "a destroyed version has a private half")?;
                shape((1..=PRIVATE_MAX).contains(&private.len()), "a private half is empty or too long")?;
            }
            match &version.public {
                Some(public) => shape(
                    self.kind.has_public() && software::check_public(self.kind, public).is_ok(),
                    "a public half is none",
                )?,
                None => shape(!self.kind.has_public(), "a public half is missing")?,
            }
            // A MAC that nobody can compute any more verifies nothing.
            let verifies = version.state == VersionState::Destroyed || version.public.is_some();
            shape(verifies || version.private.is_some(), "a key is missing")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
