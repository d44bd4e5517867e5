// SPDX-License-Identifier: MIT OR Apache-2.0
//! Secrets from elsewhere: dotenv files, JSON, other stores.
//!
//! In: the bytes of a file, and how its names become ids. Out: [`Imported`], which goes into a store as a whole or not
//! at all.
//!
//! **Invariant:** what is not understood is a fault with its place, and then nothing is imported; no value is expanded,
//! evaluated or shown. Names that are no ids are named, never changed in silence.

mod dotenv;
mod exported;
mod json;
mod names;
mod reference;

use std::fmt;
use std::io::{self, Read};

use ringfort_core::clock::Timestamp;
use ringfort_core::text::escape_bytes;

pub use dotenv::dotenv;
pub use exported::exported;
pub use json::json;
pub use names::{Names, Unfit};
pub use reference::{KeyOrigin, ReferenceKey, reference_store};

use crate::id::{IdError, SecretId};
use crate::locked::{LOCKED_MAX, Locked, LockedError};
use crate::store::{Change, Existing, Item, StoreError, VALUE_BYTES_MAX, Vault};

/// Largest file that is imported. Bytes.
pub const FILE_BYTES_MAX: usize = LOCKED_MAX;
/// Most secrets of one import.
pub const ENTRIES_MAX: usize = 10_000;
/// Most faults that are told; the rest is counted.
pub const FAULTS_MAX: usize = 64;
/// Longest name that is shown in a message. Characters.
const NAME_SHOWN_MAX: usize = 64;

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineFault {
    /// Its line, from 1; 0 where lines say nothing.
    pub line: usize,
    /// What is wrong; never a part of a value.
    pub message: String,
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.message),
            line => write!(f, "line {line}: {}", self.message),
        }
    }
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file is larger than what is imported.
    #[error("the file is larger than {FILE_BYTES_MAX} bytes; nothing was imported")]
    TooLarge,
    /// Lines, names or values are wrong.
    #[error("nothing was imported: {}", told(faults, *more))]
    Faults {
        /// The first of them, at most [`FAULTS_MAX`].
        faults: Vec<LineFault>,
        /// How many there are besides.
        more: usize,
    },
    /// The file is not of the kind that was named.
    #[error("this is no {kind}: {message}; nothing was imported")]
    Kind {
        /// The kind.
        kind: &'static str,
        /// What was found.
        message: String,
    },
    /// Its key is another one, or it was changed.
    #[error("the {kind} does not open with this key, or was changed; nothing was imported")]
    Key {
        /// The kind.
        kind: &'static str,
    },
    /// It could not be read.
    #[error("the file cannot be read; nothing was imported")]
    Read(#[from] io::Error),
    /// There is no memory for its values.
    #[error(transparent)]
    Memory(#[from] LockedError),
    /// Another store could not be read.
    #[error("the other store cannot be read; nothing was imported")]
    Store(#[source] StoreError),
}

fn told(faults: &[LineFault], more: usize) -> String {
    let mut text = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    text
}

/// One secret that was read.
#[derive(Debug)]
pub struct Entry {
    /// Its name in the file.
    pub name: String,
    /// Its id.
    pub id: SecretId,
    /// Its value.
    pub value: Locked,
    /// What the other store kept beside it.
    pub kept: Option<Change>,
}

/// What was read, complete and without a fault.
#[derive(Debug)]
pub struct Imported {
    /// The secrets, in the order of the file.
    pub entries: Vec<Entry>,
    /// What a person should know: values that were left out, texts that other programs would expand.
    pub notices: Vec<LineFault>,
}

/// What an import has done, without values.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// New ids.
    pub added: Vec<SecretId>,
    /// Ids that had a value and have a new one.
    pub replaced: Vec<SecretId>,
    /// Ids that had a value and kept it.
    pub kept: Vec<SecretId>,
    /// What a person should know.
    pub notices: Vec<String>,
}

impl Imported {
    /// The ids that would be imported.
    pub fn ids(&self) -> impl Iterator<Item = &SecretId> {
        self.entries.iter().map(|entry| &entry.id)
    }

    /// Puts everything into `vault`, in one transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: nothing was imported.
    pub fn apply(self, vault: &mut Vault, existing: Existing, at: Timestamp) -> Result<Report, StoreError> {
        let change = |kept: Option<Change>| Change { at, ..kept.unwrap_or(Change::at(at)) };
        let items: Vec<Item> = self
            .entries
            .into_iter()
            .map(|entry| Item { id: entry.id, value: entry.value, change: change(entry.kept) })
            .collect();
        let done = vault.import(&items, existing)?;
        let notices = self.notices.iter().map(ToString::to_string).collect();
        Ok(Report { added: done.added, replaced: done.replaced, kept: done.kept, notices })
    }
}

/// Reads everything that `source` says, into locked memory.
///
/// # Errors
///
/// [`ImportError::TooLarge`], [`ImportError::Read`], [`ImportError::Memory`].
pub fn read(source: &mut dyn Read) -> Result<Locked, ImportError> {
    let mut whole = Locked::zeroed(FILE_BYTES_MAX)?;
    let mut filled = 0;
    while let Some(rest) = whole.expose_mut().get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut more = [0; 1];
    if filled == FILE_BYTES_MAX && source.read(&mut more)? > 0 {
        return Err(ImportError::TooLarge);
    }
    Ok(Locked::copy_of(whole.expose().get(..filled).unwrap_or_default())?)
}

/// Everything of another store of this program, with what is kept beside the values; only the newest versions.
///
/// # Errors
///
/// [`ImportError`]: nothing is changed in either store.
pub fn vault(other: &Vault, names: &Names, now: Timestamp) -> Result<Imported, ImportError> {
    let mut reading = Reading::new(names);
    for meta in other.list() {
        match other.get(&meta.id, now) {
            Err(StoreError::Expired { .. }) => {
                reading.notice(0, format!("`{}` has expired and is left out", meta.id));
            }
            Err(error) => return Err(ImportError::Store(error)),
            Ok(released) => {
                let meta = &released.meta;
                let kept = Change {
                    labels: Some(meta.labels.clone()),
                    expires: Some(meta.expires),
                    rotate_every: Some(meta.rotate_every),
                    principals: Some(meta.principals.clone()),
                    hosts: Some(meta.hosts.clone()),
                    tools: Some(meta.tools.clone()),
                    environments: Some(meta.environments.clone()),
                    ..Change::at(now)
                };
                reading.entry(0, meta.id.as_str(), released.value.expose(), Some(kept))?;
            }
        }
    }
    reading.finish()
}

/// What has been read so far, and what was wrong with it.
struct Reading<'n> {
    names: &'n Names,
    entries: Vec<Entry>,
    taken: std::collections::BTreeMap<SecretId, usize>,
    faults: Vec<LineFault>,
    more: usize,
    notices: Vec<LineFault>,
}

impl<'n> Reading<'n> {
    const fn new(names: &'n Names) -> Self {
        Self {
            names,
            entries: Vec::new(),
            taken: std::collections::BTreeMap::new(),
            faults: Vec::new(),
            more: 0,
            notices: Vec::new(),
        }
    }

    fn fault(&mut self, line: usize, message: impl Into<String>) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(LineFault { line, message: message.into() });
        } else {
            self.more += 1;
        }
    }

    fn notice(&mut self, line: usize, message: impl Into<String>) {
        if self.notices.len() < ENTRIES_MAX {
            self.notices.push(LineFault { line, message: message.into() });
        }
    }

    /// Takes one name and its value.
    fn entry(&mut self, line: usize, name: &str, value: &[u8], kept: Option<Change>) -> Result<(), LockedError> {
        if value.is_empty() {
            self.notice(line, format!("`{}` is empty and is left out", shown(name)));
            return Ok(());
        }
        if value.len() > VALUE_BYTES_MAX {
            self.fault(line, format!("the value of `{}` is longer than {VALUE_BYTES_MAX} bytes", shown(name)));
            return Ok(());
        }
        if self.entries.len() >= ENTRIES_MAX {
            self.fault(line, format!("there are more than {ENTRIES_MAX} secrets"));
            return Ok(());
        }
        let id = match self.names.id_of(name) {
            Ok(id) => id,
            Err(error) => {
                self.unfit(line, name, &error);
                return Ok(());
            }
        };
        if let Some(first) = self.taken.get(&id) {
            let first = *first;
            let at = if first > 0 { format!(", first in line {first}") } else { String::new() };
            self.fault(line, format!("the id `{id}` is there twice{at}"));
            return Ok(());
        }
        self.taken.insert(id.clone(), line);
        self.entries.push(Entry { name: name.to_owned(), id, value: Locked::copy_of(value)?, kept });
        Ok(())
    }

    fn unfit(&mut self, line: usize, name: &str, error: &IdError) {
        let what = match error {
            // Its text would show the whole name again.
            IdError::Character { found, .. } => format!("it contains `{}`", found.escape_debug()),
            IdError::EmptyPart { .. } => "it has an empty part".to_owned(),
            error => error.to_string(),
        };
        match self.names.unfit {
            Unfit::Refuse => self.fault(line, format!("`{}` is no id: {what}; give it another name", shown(name))),
            Unfit::LeaveOut => self.notice(line, format!("`{}` is no id ({what}) and is left out", shown(name))),
        }
    }

    fn finish(self) -> Result<Imported, ImportError> {
        if !self.faults.is_empty() {
            return Err(ImportError::Faults { faults: self.faults, more: self.more });
        }
        Ok(Imported { entries: self.entries, notices: self.notices })
    }
}

/// A name for a message: escaped and bounded.
fn shown(name: &str) -> String {
    let text: String = name.chars().take(NAME_SHOWN_MAX).collect();
    let cut = if text.len() < name.len() { "…" } else { "" };
    format!("{}{cut}", escape_bytes(text.as_bytes()))
}

#[cfg(test)]
mod tests;
