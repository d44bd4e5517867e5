// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sealed store: entries in one file, opened by a root key, replaced as a whole.
//!
//! In: a folder, a source of the root key, values and what they may be used for. Out: values in locked memory, for an
//! exact id; everything else about an entry without its value.
//!
//! **Invariant:** the file holds the old state or the new one, whenever a process dies; what is not exactly what this
//! store wrote is refused by name and left as it is; one writer at a time works on the newest generation. Whether a use
//! is allowed is not decided here.

pub mod anchor;
pub mod error;
pub mod meta;

mod check;
mod folder;
mod follow;
mod format;
mod rekey;
mod seal;
mod slots;
mod state;
mod texts;
mod used;
mod write;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ringfort_core::clock::{Clock, Timestamp};

use crate::id::SecretId;
use crate::locked::Locked;
use crate::root::{RootKeySource, StoreId};
use crate::sealed_text::{SealedTextError, TextKey};
use crate::store::anchor::{Anchor, Record};
use crate::store::folder::Folder;
use crate::store::seal::{Keys, OpenError};
use crate::store::state::State;
use crate::store::used::Times;

pub use crate::store::error::{Fault, StoreError, Unfit};
pub use crate::store::follow::MakeAnchor;
pub use crate::store::format::{Header, Slot};
pub use crate::store::meta::{Change, Meta, MetaError, Previous};
pub use crate::store::rekey::{Earlier, Rekeyed};
pub use crate::store::slots::Reached;
pub use crate::store::write::{Existing, Imported, Item};

/// Name of the file in its folder.
pub const FILE_NAME: &str = "store.ringfort";
/// Name of the generation before.
pub const PREVIOUS_NAME: &str = "store.previous";
/// Name of a file that was refused, once the generation before has taken its place.
pub const REFUSED_NAME: &str = "store.refused";
/// Most entries of one store.
pub const ENTRIES_MAX: usize = 100_000;
/// Longest value. Bytes.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;
/// Largest file. Bytes.
pub const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Most slots of one store.
pub const SLOTS_MAX: usize = 8;
/// How long a writer waits for another one.
pub const WAIT: Duration = Duration::from_secs(10);

/// How a store is opened and written.
#[derive(Clone, Default)]
pub struct Options {
    /// Remembers the newest generation outside the state folder.
    pub anchor: Option<Arc<dyn Anchor>>,
    /// How long a writer waits for another one; [`WAIT`] if nothing is said.
    pub wait: Option<Duration>,
}

impl Options {
    fn wait(&self) -> Duration {
        self.wait.unwrap_or(WAIT)
    }
}

/// An open store.
pub struct Vault {
    path: PathBuf,
    options: Options,
    keys: Keys,
    state: State,
    /// When values were given out by this process.
    used: Mutex<Times>,
}

/// A value that was given out, with what is kept beside it.
#[derive(Debug)]
pub struct Released {
    /// The value.
    pub value: Locked,
    /// What is kept beside it.
    pub meta: Meta,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (store, generation) = (self.id(), self.generation());
        f.debug_struct("Vault").field("store", &store).field("generation", &generation).finish_non_exhaustive()
    }
}

impl Header {
    /// Reads the header of the store in `folder`. No key is needed, and nothing in it is proven.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: there is no store, or it is not safe, or its header is damaged.
    pub fn read(folder: &Path) -> Result<Self, StoreError> {
        let folder = Folder::open(folder)?;
        let bytes = read_start(&folder, format::HEADER_BYTES_MAX as u64 + 1)?;
        check::header(&bytes).map_err(|fault| fault_in(&folder, fault))
    }

    /// Reads the header of the generation before. No key is needed, and nothing in it is proven.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: there is none, or it is not safe, or its header is damaged.
    pub fn read_previous(folder: &Path) -> Result<Self, StoreError> {
        let folder = Folder::open(folder)?;
        let absent = || StoreError::Absent { path: folder.path().to_owned() };
        let bytes = folder.read(PREVIOUS_NAME)?.ok_or_else(absent)?;
        check::header(&bytes).map_err(|fault| StoreError::Fault { path: folder.join(PREVIOUS_NAME), fault })
    }
}

impl Vault {
    /// Makes a store in `folder`, which is made too if it is not there (those above it are not). Its first slot is for
    /// `source`.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: no store was made. What `source` made outside was removed again, as far as it could.
    pub fn create(folder: &Path, source: &dyn RootKeySource, clock: &dyn Clock) -> Result<Self, StoreError> {
        Self::create_as(folder, source, clock, Options::default())
    }

    /// As [`Vault::create`], with options.
    ///
    /// # Errors
    ///
    /// As [`Vault::create`].
    pub fn create_as(
        folder: &Path,
        source: &dyn RootKeySource,
        clock: &dyn Clock,
        options: Options,
    ) -> Result<Self, StoreError> {
        write::create(folder, source, clock, options)
    }

    /// Opens the store in `folder` with the root key of `source`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn open(folder: &Path, source: &dyn RootKeySource) -> Result<Self, StoreError> {
        Self::open_as(folder, source, Options::default())
    }

    /// As [`Vault::open`], with options.
    ///
    /// # Errors
    ///
    /// As [`Vault::open`].
    pub fn open_as(folder: &Path, source: &dyn RootKeySource, options: Options) -> Result<Self, StoreError> {
        let header = Header::read(folder)?;
        Self::load(folder, slots::keys(&header, source)?, options)
    }

    /// Opens the store in `folder` with its store key, which somebody kept from [`Vault::store_key`].
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn open_with(folder: &Path, store_key: Locked) -> Result<Self, StoreError> {
        Self::open_with_as(folder, store_key, Options::default())
    }

    /// As [`Vault::open_with`], with options.
    ///
    /// # Errors
    ///
    /// As [`Vault::open_with`].
    pub fn open_with_as(folder: &Path, store_key: Locked, options: Options) -> Result<Self, StoreError> {
        let header = Header::read(folder)?;
        let keys = Keys::derive(header.store, store_key)?;
        if !keys.is_check(&header.check) {
            return Err(StoreError::WrongKey { from: "the store key that was kept".to_owned(), store: header.store });
        }
        Self::load(folder, keys, options)
    }

    /// Opens the store in `folder` with a slot that was reached before.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn open_by(folder: &Path, reached: &Reached, options: Options) -> Result<Self, StoreError> {
        Self::load(folder, reached.keys(&Header::read(folder)?)?, options)
    }

    /// Checks bytes as if they were the file of a store, `name` for errors: a backup that is not restored yet. Whether
    /// they are the newest generation is not known. Out: the header, which is proven.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn check_bytes(name: &Path, bytes: &[u8], source: &dyn RootKeySource) -> Result<Header, StoreError> {
        let fault = |fault| StoreError::Fault { path: name.to_owned(), fault };
        let keys = slots::keys(&check::header(bytes).map_err(fault)?, source)?;
        check::content(bytes, &keys).map(|state| state.header).map_err(fault)
    }

    fn load(path: &Path, keys: Keys, options: Options) -> Result<Self, StoreError> {
        let folder = Folder::open(path)?;
        let (state, outside) = match admitted(&folder, &keys, &options) {
            // Between reading the record and the file a restore may have been accepted: with the lock held nobody does.
            Err(StoreError::Fault { fault: Fault::Older { .. } | Fault::Forked { .. }, .. }) => {
                let _lock = folder.lock(options.wait())?;
                admitted(&folder, &keys, &options)?
            }
            state => state?,
        };
        let vault = Self { path: path.to_owned(), options, keys, state, used: Mutex::default() };
        vault.heal(&folder);
        vault.heal_anchor(&folder, outside);
        Ok(vault)
    }

    /// Reads the store again if another process has written it. Out: whether it had.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: what was read before stays.
    pub fn reload(&mut self) -> Result<bool, StoreError> {
        let folder = Folder::open(&self.path)?;
        let (state, _) = admitted(&folder, &self.keys, &self.options)?;
        let changed = state.end != self.state.end;
        self.state = state;
        Ok(changed)
    }

    /// The store's id.
    pub const fn id(&self) -> StoreId {
        self.keys.store()
    }

    /// How often it was written.
    pub const fn generation(&self) -> u64 {
        self.state.header.generation
    }

    /// Its header, which is proven.
    pub const fn header(&self) -> &Header {
        &self.state.header
    }

    /// The folder in which it is.
    pub fn folder(&self) -> &Path {
        &self.path
    }

    /// The store key, for whoever holds the store open between processes.
    pub const fn store_key(&self) -> &Locked {
        self.keys.root()
    }

    /// The key that seals texts of configuration files. It does not change with the store key.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: there is no memory for it, or the header is not what this store wrote.
    pub fn text_key(&self) -> Result<TextKey, StoreError> {
        let damaged = || StoreError::Fault { path: self.path.join(FILE_NAME), fault: Fault::Header };
        let seeds = texts::open(&self.keys, &self.state.header.texts).map_err(|error| match error {
            OpenError::Memory(error) => error.into(),
            // The file's MAC was right, so this store wrote it.
            OpenError::Not => damaged(),
        })?;
        TextKey::derive(self.id(), &seeds).map_err(|error| match error {
            SealedTextError::Memory(error) => error.into(),
            _ => damaged(),
        })
    }

    /// Gives out the value of `id`, at its newest version. Nothing but this very id is looked up.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: there is no such secret, or it has expired; there is no memory for it.
    pub fn get(&self, id: &SecretId, now: Timestamp) -> Result<Released, StoreError> {
        let version = self.state.entry(id)?.meta.version;
        self.get_version(id, version, now)
    }

    /// Gives out a version of `id` that is kept.
    ///
    /// # Errors
    ///
    /// As [`Vault::get`]; the version is not kept any more.
    pub fn get_version(&self, id: &SecretId, version: u64, now: Timestamp) -> Result<Released, StoreError> {
        let entry = self.state.entry(id)?;
        if let Some(at) = entry.meta.expires
            && entry.meta.is_expired(now)
        {
            return Err(StoreError::Expired { id: id.clone(), at });
        }
        let value = entry.value(&self.keys, version)?;
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(entry.uid, now);
        Ok(Released { value, meta: entry.meta.clone() })
    }

    /// What is kept beside the value of `id`.
    pub fn meta(&self, id: &SecretId) -> Option<&Meta> {
        self.state.entries.get(id).map(|entry| &entry.meta)
    }

    /// Every entry without its value, by id.
    pub fn list(&self) -> impl Iterator<Item = &Meta> {
        self.state.entries.values().map(|entry| &entry.meta)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.state.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.state.entries.is_empty()
    }
}

/// The content of the store in `folder`, if it is the newest that anybody knows, and which one its anchor knows.
///
/// The record is read before the file: a writer between the two makes the file newer, never older.
fn admitted(folder: &Folder, keys: &Keys, options: &Options) -> Result<(State, Option<u64>), StoreError> {
    let newest = latest(folder, keys, options);
    let state = content(folder, &read_file(folder)?, keys)?;
    let newest = newest?;
    admit(folder, &state, options, &newest)?;
    Ok((state, newest.1))
}

/// Whether a content may stand where `record`, and `outside` an anchor, are the newest known.
fn admit(
    folder: &Folder,
    state: &State,
    options: &Options,
    (record, outside): &(Record, Option<u64>),
) -> Result<(), StoreError> {
    let file = Record { generation: state.header.generation, file: state.end.mac };
    record.admit(&file).map_err(|fault| fault_in(folder, fault))?;
    follow::is_asked(&state.header, options)?;
    match outside {
        Some(latest) if file.generation < *latest => {
            Err(fault_in(folder, Fault::Older { found: file.generation, latest: *latest }))
        }
        _ => Ok(()),
    }
}

/// The newest generation: the record beside the folder, and what an anchor elsewhere says.
fn latest(folder: &Folder, keys: &Keys, options: &Options) -> Result<(Record, Option<u64>), StoreError> {
    let above = folder.above()?;
    let name = anchor::name_of(folder)?;
    let record = Record::newest(above.read(&name)?.as_deref(), keys)
        .map_err(|fault| StoreError::Fault { path: above.join(&name), fault })?;
    Ok((record, outside(keys, options)?))
}

/// The newest generation that an anchor elsewhere knows.
fn outside(keys: &Keys, options: &Options) -> Result<Option<u64>, StoreError> {
    let Some(anchor) = &options.anchor else { return Ok(None) };
    anchor.latest(&keys.store()).map_err(|message| StoreError::Anchor { name: anchor.name(), message })
}

fn content(folder: &Folder, bytes: &[u8], keys: &Keys) -> Result<State, StoreError> {
    let header = check::header(bytes).map_err(|fault| fault_in(folder, fault))?;
    if header.store != keys.store() || !keys.is_check(&header.check) {
        return Err(StoreError::WrongKey { from: "the open store".to_owned(), store: header.store });
    }
    let mut state = check::content(bytes, keys).map_err(|fault| fault_in(folder, fault))?;
    state.mark(&used::read(folder, keys));
    Ok(state)
}

/// The bytes of the store's file.
fn read_file(folder: &Folder) -> Result<Vec<u8>, StoreError> {
    read_start(folder, FILE_BYTES_MAX + 1)
}

/// The first bytes of the store's file.
fn read_start(folder: &Folder, limit: u64) -> Result<Vec<u8>, StoreError> {
    match folder.read_start(FILE_NAME, limit)? {
        Some(bytes) => Ok(bytes),
        None if folder.read(PREVIOUS_NAME)?.is_some() => Err(StoreError::OnlyPrevious { path: folder.join(FILE_NAME) }),
        None => Err(StoreError::Absent { path: folder.path().to_owned() }),
    }
}

fn fault_in(folder: &Folder, fault: Fault) -> StoreError {
    StoreError::Fault { path: folder.join(FILE_NAME), fault }
}
