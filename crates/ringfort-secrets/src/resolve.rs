// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds the secrets that a command needs: configuration first, then the store, then the environment.
//!
//! In: a command's name, target ids, the three places. Out: for each id where it was found, and the value only where
//! values are released; what to record of it.
//!
//! **Invariant:** an id finds only itself: no wildcard, no likeness, no first of many. Where values are withheld none is
//! read. A place that fails stops the request; the next place does not stand in for it.

mod targets;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::id::{IdError, SecretId};
use crate::locked::{Locked, LockedError};

pub use targets::{family, is_family, targets};

/// Most ids in one request.
pub const IDS_MAX: usize = 256;
/// Longest name of a command. Bytes.
pub const COMMAND_MAX: usize = 200;
/// Longest value that the environment may give. Bytes.
pub const ENVIRONMENT_VALUE_MAX: usize = 64 * 1024;

/// What variables begin with, in the order in which they are looked for: ours, then the reference's.
const PREFIXES: [&str; 5] =
    ["RINGFORT_SECRET_", "OPENCLAW_ZIG_SECRET_", "OPENCLAW_GO_SECRET_", "OPENCLAW_RS_SECRET_", "OPENCLAW_SECRET_"];

/// Words that are settings of the store, its key among them, and no secret's.
const SETTINGS: [&str; 3] = ["BACKEND", "STORE_KEY", "STORE_PATH"];

/// Variables of other programs that stand for one id.
const COMMON: &[(&str, &[&str])] = &[
    ("talk.apiKey", &["OPENAI_API_KEY", "OPENROUTER_API_KEY"]),
    ("channels.telegram.botToken", &["TELEGRAM_BOT_TOKEN"]),
    ("channels.telegram.webhookSecret", &["TELEGRAM_WEBHOOK_SECRET"]),
];

/// Why a request was not answered. No value was given out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The command has no name, or a very long one.
    #[error("the name of the command is blank or longer than {COMMAND_MAX} bytes")]
    Command,
    /// There are too many ids.
    #[error("{count} ids in one request; the limit is {IDS_MAX}")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// A text is no id.
    #[error(transparent)]
    Id(#[from] IdError),
    /// An id is of no known family, and no such secret is stored.
    #[error("`{id}` is neither stored nor a known target; `ringfort secrets list` shows what is stored")]
    Unknown {
        /// The id.
        id: SecretId,
    },
    /// One of the places failed.
    #[error("cannot look for `{id}` in {place}: {message}")]
    Place {
        /// The id.
        id: SecretId,
        /// The place: `config` or `store`.
        place: &'static str,
        /// What happened.
        message: String,
    },
    /// There is no memory for a value.
    #[error(transparent)]
    Memory(#[from] LockedError),
}

/// A place in which secrets lie: the configuration, or the store.
pub trait Lookup {
    /// Whether exactly this id is there. Reads no value.
    ///
    /// # Errors
    ///
    /// What happened, for people; it is not known whether it is there.
    fn has(&self, id: &SecretId) -> Result<bool, String>;

    /// The value of exactly this id.
    ///
    /// # Errors
    ///
    /// What happened, for people; no value was given out.
    fn find(&self, id: &SecretId) -> Result<Option<Locked>, String>;
}

/// A place without secrets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nowhere;

impl Lookup for Nowhere {
    fn has(&self, _id: &SecretId) -> Result<bool, String> {
        Ok(false)
    }

    fn find(&self, _id: &SecretId) -> Result<Option<Locked>, String> {
        Ok(None)
    }
}

/// Secrets of the configuration. Case does not matter, as in the reference; two keys that differ only in case are two
/// answers to one question, and are refused.
#[derive(Debug, Default)]
pub struct Overlay {
    values: BTreeMap<String, Locked>,
}

impl Overlay {
    /// One without secrets.
    pub const fn new() -> Self {
        Self { values: BTreeMap::new() }
    }

    /// Adds one; `false` if its key is there already, in whatever case: then nothing was changed.
    pub fn add(&mut self, id: &SecretId, value: Locked) -> bool {
        let key = id.as_str().to_ascii_lowercase();
        if self.values.contains_key(&key) {
            return false;
        }
        self.values.insert(key, value).is_none()
    }

    fn value(&self, id: &SecretId) -> Option<&Locked> {
        self.values.get(&id.as_str().to_ascii_lowercase()).filter(|value| !value.is_empty())
    }
}

impl Lookup for Overlay {
    fn has(&self, id: &SecretId) -> Result<bool, String> {
        Ok(self.value(id).is_some())
    }

    fn find(&self, id: &SecretId) -> Result<Option<Locked>, String> {
        let copied = self.value(id).map(|value| Locked::copy_of(value.expose())).transpose();
        copied.map_err(|error| error.to_string())
    }
}

/// The three places, in their order.
#[derive(Clone, Copy)]
pub struct Places<'a> {
    /// The configuration.
    pub config: &'a dyn Lookup,
    /// The store.
    pub store: &'a dyn Lookup,
    /// The environment as it was when the process started.
    pub environment: &'a BTreeMap<String, String>,
}

/// Whether values are read and given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// No: it is only said where they are.
    Withheld,
    /// Yes: there is a permit, or a person asked for it at a terminal.
    Released,
}

/// Where a secret was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the configuration.
    Config,
    /// In the store.
    Store,
    /// In this variable.
    Environment(String),
}

impl Source {
    /// Its word in reports and in the record.
    pub fn word(&self) -> String {
        match self {
            Self::Config => "config".to_owned(),
            Self::Store => "store".to_owned(),
            Self::Environment(name) => format!("env:{name}"),
        }
    }
}

/// One id of the request, and what came of it.
#[derive(Debug)]
pub struct Assignment {
    /// The id as it was asked for.
    pub path: String,
    /// Where it was found; `None`: nowhere.
    pub source: Option<Source>,
    /// The value, where values are released.
    pub value: Option<Locked>,
}

/// The answer to a request.
#[derive(Debug)]
pub struct Resolution {
    /// The command's name.
    pub command_name: String,
    /// Each id once, in the order of the request.
    pub assignments: Vec<Assignment>,
    values: Values,
}

/// One access, for the record. It never holds a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The id.
    pub id: String,
    /// Where it was found.
    pub source: String,
    /// Whether its value was given out.
    pub released: bool,
}

/// Finds `ids` for `command_name`. Blank ids are skipped, repeated ones are asked once; a family such as
/// `models.providers.*.apiKey` is known and finds nothing.
///
/// # Errors
///
/// [`ResolveError`]: nothing was answered and no value was given out.
pub fn resolve(
    command_name: &str,
    ids: &[&str],
    places: Places<'_>,
    values: Values,
) -> Result<Resolution, ResolveError> {
    let command_name = command_name.trim();
    if command_name.is_empty() || command_name.len() > COMMAND_MAX {
        return Err(ResolveError::Command);
    }
    if ids.len() > IDS_MAX {
        return Err(ResolveError::TooMany { count: ids.len() });
    }
    let mut wanted: Vec<(&str, Option<SecretId>)> = Vec::new();
    for text in ids.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
        if wanted.iter().any(|(other, _)| *other == text) {
            continue;
        }
        wanted.push((text, if is_family(text) { None } else { Some(known(text, places)?) }));
    }
    // Every id was judged before the first value is read: a request is answered whole or not at all.
    let mut assignments = Vec::with_capacity(wanted.len());
    for (path, id) in wanted {
        let found = id.map(|id| find(&id, places, values)).transpose()?.flatten();
        let (source, value) = found.map_or((None, None), |(source, value)| (Some(source), value));
        assignments.push(Assignment { path: path.to_owned(), source, value });
    }
    Ok(Resolution { command_name: command_name.to_owned(), assignments, values })
}

fn known(text: &str, places: Places<'_>) -> Result<SecretId, ResolveError> {
    let id: SecretId = text.parse()?;
    if family(&id).is_some() || ask(&id, "store", places.store.has(&id))? || ask(&id, "config", places.config.has(&id))?
    {
        Ok(id)
    } else {
        Err(ResolveError::Unknown { id })
    }
}

fn ask<T>(id: &SecretId, place: &'static str, answer: Result<T, String>) -> Result<T, ResolveError> {
    answer.map_err(|message| ResolveError::Place { id: id.clone(), place, message })
}

type Found = (Source, Option<Locked>);

fn find(id: &SecretId, places: Places<'_>, values: Values) -> Result<Option<Found>, ResolveError> {
    for (place, lookup, source) in [("config", places.config, Source::Config), ("store", places.store, Source::Store)] {
        match values {
            Values::Withheld if ask(id, place, lookup.has(id))? => return Ok(Some((source, None))),
            Values::Withheld => {}
            Values::Released => {
                if let Some(value) = ask(id, place, lookup.find(id))? {
                    return Ok(Some((source, Some(value))));
                }
            }
        }
    }
    for name in environment_names(id) {
        let Some(text) = places.environment.get(&name) else { continue };
        if text.trim().is_empty() {
            continue;
        }
        if text.len() > ENVIRONMENT_VALUE_MAX {
            return Err(LockedError::TooLong { length: text.len() }.into());
        }
        // The value is taken whole: a last line end belongs to some keys.
        let value = match values {
            Values::Withheld => None,
            Values::Released => Some(Locked::copy_of(text.as_bytes())?),
        };
        return Ok(Some((Source::Environment(name), value)));
    }
    Ok(None)
}

/// The variables that stand for an id, in the order in which they are looked for; none where they would be settings of
/// the store itself.
pub fn environment_names(id: &SecretId) -> Vec<String> {
    let word = environment_word(id);
    if SETTINGS.contains(&word.as_str()) {
        return Vec::new();
    }
    let named = PREFIXES.iter().map(|prefix| format!("{prefix}{word}"));
    let common = COMMON.iter().filter(|(target, _)| *target == id.as_str()).flat_map(|(_, names)| names.iter());
    named.chain(common.map(|name| (*name).to_owned())).collect()
}

/// `tools.web.search.apiKey` as `TOOLS_WEB_SEARCH_API_KEY`.
fn environment_word(id: &SecretId) -> String {
    let mut word = String::with_capacity(id.as_str().len() + 8);
    let mut lower = false;
    for c in id.as_str().chars() {
        if c.is_ascii_uppercase() && lower {
            word.push('_');
        }
        lower = c.is_ascii_lowercase();
        word.push(if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    }
    word
}

impl Resolution {
    /// How many ids were found.
    pub fn resolved(&self) -> usize {
        self.assignments.iter().filter(|assignment| assignment.source.is_some()).count()
    }

    /// What to record: every id that was found, whether or not its value was given out.
    pub fn accesses(&self) -> Vec<Access> {
        let access = |assignment: &Assignment| {
            assignment.source.as_ref().map(|source| Access {
                id: assignment.path.clone(),
                source: source.word(),
                released: assignment.value.is_some(),
            })
        };
        self.assignments.iter().filter_map(access).collect()
    }

    /// What is to be said of it: one sentence.
    pub fn diagnostic(&self) -> &'static str {
        match (self.assignments.len(), self.resolved()) {
            (0, _) => "no target ids were asked for",
            (_, 0) => "none of the targets has a secret",
            (asked, found) if found < asked => "some of the targets have no secret",
            _ => "every target has a secret",
        }
    }

    /// The reference's answer, with our fields beside: for each assignment whether and where it was found, and why its
    /// value is missing. The result holds the values if they were released: it is for the caller's eyes and for nothing
    /// that is written down.
    pub fn to_json(&self) -> Value {
        let inactive: Vec<&str> = self
            .assignments
            .iter()
            .filter(|assignment| assignment.source.is_none())
            .map(|assignment| assignment.path.as_str())
            .collect();
        json!({
            "ok": true,
            "commandName": self.command_name,
            "assignments": self.assignments.iter().map(|assignment| self.assignment(assignment)).collect::<Vec<_>>(),
            "diagnostics": [self.diagnostic()],
            "inactiveRefPaths": inactive,
            "resolvedCount": self.resolved(),
            "inactiveCount": inactive.len(),
        })
    }

    fn assignment(&self, assignment: &Assignment) -> Value {
        let bytes = assignment.value.as_ref().map(Locked::expose);
        let text = bytes.map(std::str::from_utf8);
        let mut fields = json!({
            "path": assignment.path,
            "pathSegments": assignment.path.split('.').collect::<Vec<_>>(),
            "value": text.and_then(Result::ok),
            "resolved": assignment.source.is_some(),
            "source": assignment.source.as_ref().map(Source::word),
            "withheld": assignment.source.is_some() && self.values == Values::Withheld,
        });
        if let (Some(bytes), Some(Err(_)), Some(object)) = (bytes, text, fields.as_object_mut()) {
            object.insert("valueBase64".to_owned(), Value::String(STANDARD.encode(bytes)));
        }
        fields
    }
}

#[cfg(test)]
mod tests;
