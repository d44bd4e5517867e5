// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is kept beside a value: labels, times, and what it may be used for.
//!
//! In: changes. Out: [`Meta`].
//!
//! **Invariant:** everything is bounded, and it is on disk only sealed. Whether a use is allowed is decided elsewhere;
//! here is only what was written down.

use std::collections::BTreeMap;
use std::time::Duration;

use ringfort_core::clock::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::SecretId;

/// Most labels of one secret.
pub const LABELS_MAX: usize = 32;
/// Most principals, hosts, tools or environment names of one secret.
pub const USES_MAX: usize = 64;
/// Longest label, principal, host, tool or name. Bytes.
pub const TEXT_BYTES_MAX: usize = 256;
/// Most previous versions of one secret that can be kept.
pub const KEEP_MAX: u32 = 16;
/// How many previous versions are kept where nothing else was said.
pub const KEEP_DEFAULT: u32 = 1;

/// Why what is kept beside a value was refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetaError {
    /// There are too many.
    #[error("{count} {what} are too many; the limit is {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// One is empty, too long, or holds control characters.
    #[error("one of the {what} is empty, longer than {TEXT_BYTES_MAX} bytes, or has control characters")]
    Text {
        /// Of what.
        what: &'static str,
    },
    /// So many versions are never kept.
    #[error("{keep} previous versions are too many; the limit is {KEEP_MAX}")]
    Keep {
        /// How many.
        keep: u32,
    },
}

/// A previous version of a secret that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// Its version.
    pub version: u64,
    /// When it was set.
    pub set: Timestamp,
    /// When the next one took its place.
    pub replaced: Timestamp,
}

/// What is kept beside a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    /// Its id.
    pub id: SecretId,
    /// Labels, for people.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// When the first version was set.
    pub created: Timestamp,
    /// When the value was last set.
    pub updated: Timestamp,
    /// When it was last given out, as far as is known: kept apart, and may be lost.
    #[serde(skip)]
    pub used: Option<Timestamp>,
    /// From when on it is not given out any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// How often its value is to be replaced. Whole milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "millis")]
    pub rotate_every: Option<Duration>,
    /// Its version, from 1.
    pub version: u64,
    /// How many previous versions are kept.
    #[serde(default)]
    pub keep: u32,
    /// The previous versions that are kept, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub previous: Vec<Previous>,
    /// Who may use it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub principals: Vec<String>,
    /// For which hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// By which tools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// Under which names of environment variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
}

impl Meta {
    /// What is kept beside a first version.
    pub(crate) fn first(id: SecretId, at: Timestamp) -> Self {
        Self {
            id,
            labels: BTreeMap::new(),
            created: at,
            updated: at,
            used: None,
            expires: None,
            rotate_every: None,
            version: 1,
            keep: KEEP_DEFAULT,
            previous: Vec::new(),
            principals: Vec::new(),
            hosts: Vec::new(),
            tools: Vec::new(),
            environments: Vec::new(),
        }
    }

    /// Whether it is not given out any more.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| now >= expires)
    }

    /// When its value is to be replaced, if it is to be.
    pub fn rotation_due(&self) -> Option<Timestamp> {
        self.rotate_every.map(|every| self.updated.after(every))
    }

    pub(crate) fn apply(&mut self, change: &Change) {
        fn set<T: Clone>(field: &mut T, new: &Option<T>) {
            if let Some(new) = new {
                field.clone_from(new);
            }
        }
        set(&mut self.labels, &change.labels);
        set(&mut self.expires, &change.expires);
        set(&mut self.rotate_every, &change.rotate_every);
        set(&mut self.keep, &change.keep);
        set(&mut self.principals, &change.principals);
        set(&mut self.hosts, &change.hosts);
        set(&mut self.tools, &change.tools);
        set(&mut self.environments, &change.environments);
    }

    pub(crate) fn check(&self) -> Result<(), MetaError> {
        let text = |text: &String| {
            !text.is_empty() && text.len() <= TEXT_BYTES_MAX && !text.chars().any(|found| found.is_control())
        };
        if self.labels.len() > LABELS_MAX {
            return Err(MetaError::TooMany { what: "labels", count: self.labels.len(), limit: LABELS_MAX });
        }
        let label_value = |value: &String| value.is_empty() || text(value);
        if !self.labels.iter().all(|(key, value)| text(key) && label_value(value)) {
            return Err(MetaError::Text { what: "labels" });
        }
        let lists = [
            ("principals", &self.principals),
            ("hosts", &self.hosts),
            ("tools", &self.tools),
            ("environment names", &self.environments),
        ];
        for (what, list) in lists {
            if list.len() > USES_MAX {
                return Err(MetaError::TooMany { what, count: list.len(), limit: USES_MAX });
            }
            if !list.iter().all(text) {
                return Err(MetaError::Text { what });
            }
        }
        if self.keep > KEEP_MAX {
            return Err(MetaError::Keep { keep: self.keep });
        }
        Ok(())
    }
}

/// A change to what is kept beside a value: `None` leaves a field as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When it is made.
    pub at: Timestamp,
    /// The labels, all of them.
    pub labels: Option<BTreeMap<String, String>>,
    /// The expiry; `Some(None)` takes it away.
    pub expires: Option<Option<Timestamp>>,
    /// The rotation period; `Some(None)` takes it away.
    pub rotate_every: Option<Option<Duration>>,
    /// How many previous versions are kept, at most [`KEEP_MAX`]; takes effect at once.
    pub keep: Option<u32>,
    /// Who may use it.
    pub principals: Option<Vec<String>>,
    /// For which hosts.
    pub hosts: Option<Vec<String>>,
    /// By which tools.
    pub tools: Option<Vec<String>>,
    /// Under which names of environment variables.
    pub environments: Option<Vec<String>>,
}

impl Change {
    /// A change of nothing, made at `at`.
    pub const fn at(at: Timestamp) -> Self {
        Self {
            at,
            labels: None,
            expires: None,
            rotate_every: None,
            keep: None,
            principals: None,
            hosts: None,
            tools: None,
            environments: None,
        }
    }
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "the shape that serde asks for")]
    pub(super) fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}
