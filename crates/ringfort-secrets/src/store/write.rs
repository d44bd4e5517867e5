// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes to a store: each is one transaction on the newest generation.
//!
//! In: a change. Out: the next generation on the disk, and the one before it beside it.
//!
//! **Invariant:** under the lock the file is read and proven again, the change is made on that, and the new file takes
//! the old one's place as a whole; on an error the old file stands, unless the error says otherwise.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ringfort_core::clock::{Clock, Timestamp};

use crate::id::SecretId;
use crate::locked::Locked;
use crate::root::{KEY_LEN, RootKeySource, SlotData, StoreId};
use crate::store::anchor::{self, Record};
use crate::store::error::{Fault, StoreError};
use crate::store::folder::{Durability, Folder, Lock};
use crate::store::meta::Change;
use crate::store::seal::Keys;
use crate::store::state::{State, first_header};
use crate::store::used::{self, Times};
use crate::store::{FILE_NAME, Options, PREVIOUS_NAME, REFUSED_NAME, SLOTS_MAX, Vault};
use crate::store::{admit, check, content, fault_in, latest, outside};
use crate::store::{read_file, slots};

/// A secret to import.
#[derive(Debug)]
pub struct Item {
    /// Its id.
    pub id: SecretId,
    /// Its value.
    pub value: Locked,
    /// What is kept beside it.
    pub change: Change,
}

/// What an import does with ids that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Nothing is imported at all.
    Refuse,
    /// Their values are replaced, as by `set`.
    Replace,
    /// They stay as they are.
    Keep,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// New ids.
    pub added: Vec<SecretId>,
    /// Ids whose value was replaced.
    pub replaced: Vec<SecretId>,
    /// Ids that were left as they are.
    pub kept: Vec<SecretId>,
}

/// How long writing down times of use waits for a writer.
const USED_WAIT: Duration = Duration::from_millis(50);

/// What becomes of the generation before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// It is kept beside the new one.
    Kept,
    /// It is removed, and so is a file that was put aside: both open in a way that is being taken away.
    Removed,
}

/// A transaction that has begun: the lock is held and the state is the newest.
pub(crate) struct Begun {
    pub(crate) folder: Folder,
    /// The file as it is.
    old: Vec<u8>,
    pub(super) record: Record,
    /// Held until the end.
    _lock: Lock,
}

pub(crate) fn create(
    path: &Path,
    source: &dyn RootKeySource,
    clock: &dyn Clock,
    options: Options,
) -> Result<Vault, StoreError> {
    let folder = Folder::create(path)?;
    let free = |folder: &Folder| match read_file(folder) {
        Ok(_) => Err(StoreError::Exists { path: path.to_owned() }),
        Err(StoreError::Absent { .. }) => Ok(()),
        Err(error) => Err(error),
    };
    // Locked before the source makes anything: of two that make a store at once with one key file, the slower one would
    // otherwise remove the file that opens the store of the faster one.
    let _lock = folder.lock(options.wait())?;
    free(&folder)?;
    let mut store = [0; 16];
    getrandom::fill(&mut store).map_err(|error| crate::locked::LockedError::System(std::io::Error::other(error)))?;
    let keys = Keys::derive(StoreId(store), Locked::random(KEY_LEN)?)?;
    let now = clock.now();
    let slot = slots::make(keys.store(), keys.root(), source, now)?;
    let data = slot.data.clone();
    let write = || {
        let mut state = State::empty(first_header(&keys, slot, now)?);
        state.header.generation = 1;
        let bytes = state.write(&keys)?;
        // The record first: a store without one is refused.
        let record = Record { generation: 1, file: state.end.mac };
        folder.above()?.replace(&anchor::name_of(&folder)?, &record.line(&keys)).map_err(before_it)?;
        folder.replace(FILE_NAME, &bytes)?;
        Ok(state)
    };
    match write() {
        Ok(state) => {
            let vault = Vault { path: path.to_owned(), options, keys, state, used: Mutex::default() };
            vault.tell_anchor()?;
            Ok(vault)
        }
        Err(error) => {
            if is_undone(&error) {
                // The error that is told is the first one.
                source.forget(keys.store(), &data).unwrap_or_default();
            }
            Err(error)
        }
    }
}

impl Vault {
    /// Sets the value of `id`: a new secret, or the next version of one. Out: its version.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: nothing was changed, unless it says so.
    pub fn set(&mut self, id: &SecretId, value: &[u8], change: &Change) -> Result<u64, StoreError> {
        self.transact(Before::Kept, |state, keys| state.set(keys, id, value, change))
    }

    /// Replaces the value of a secret that is there. Out: its version. The one before stays as long as `keep` says.
    ///
    /// # Errors
    ///
    /// As [`Vault::set`]; there is no such secret.
    pub fn rotate(&mut self, id: &SecretId, value: &[u8], at: Timestamp) -> Result<u64, StoreError> {
        self.transact(Before::Kept, |state, keys| {
            state.entry(id)?;
            state.set(keys, id, value, &Change::at(at))
        })
    }

    /// Changes what is kept beside a value.
    ///
    /// # Errors
    ///
    /// As [`Vault::rotate`].
    pub fn update_meta(&mut self, id: &SecretId, change: &Change) -> Result<(), StoreError> {
        self.transact(Before::Kept, |state, keys| state.update(keys, id, change))
    }

    /// Deletes a secret with all its versions. Its sealed value stays in the generation before until the next write, or
    /// until [`Vault::forget_previous`].
    ///
    /// # Errors
    ///
    /// As [`Vault::rotate`].
    pub fn delete(&mut self, id: &SecretId) -> Result<(), StoreError> {
        self.transact(Before::Kept, |state, _| {
            state.entries.remove(id).map(drop).ok_or_else(|| StoreError::NotFound { id: id.clone() })
        })
    }

    /// Sets many values in one transaction: all of them or none.
    ///
    /// # Errors
    ///
    /// As [`Vault::set`]; an id is there already, or twice in `items`.
    pub fn import(&mut self, items: &[Item], existing: Existing) -> Result<Imported, StoreError> {
        self.transact(Before::Kept, |state, keys| {
            let (mut report, mut seen) = (Imported::default(), BTreeSet::new());
            for item in items {
                let twice = !seen.insert(&item.id);
                let there = state.entries.contains_key(&item.id);
                let exists = || StoreError::EntryExists { id: item.id.clone() };
                match existing {
                    _ if twice => return Err(exists()),
                    Existing::Refuse if there => return Err(exists()),
                    Existing::Keep if there => {
                        report.kept.push(item.id.clone());
                        continue;
                    }
                    _ => {}
                }
                state.set(keys, &item.id, item.value.expose(), &item.change)?;
                if there { &mut report.replaced } else { &mut report.added }.push(item.id.clone());
            }
            Ok(report)
        })
    }

    /// Adds a slot, so that `source` opens the store too. Out: its index.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: there is no such slot, unless it says so.
    pub fn add_slot(&mut self, source: &dyn RootKeySource, at: Timestamp) -> Result<usize, StoreError> {
        let slot = slots::make(self.id(), self.keys.root(), source, at)?;
        let data = slot.data.clone();
        let added = self.transact(Before::Kept, |state, _| {
            if state.header.slots.len() >= SLOTS_MAX {
                return Err(StoreError::SlotsFull);
            }
            state.header.slots.push(slot);
            Ok(state.header.slots.len() - 1)
        });
        if added.as_ref().is_err_and(is_undone) {
            // The error that is told is the first one.
            source.forget(self.id(), &data).unwrap_or_default();
        }
        added
    }

    /// Removes a slot: its source does not open the store any more, nor the generation before, which is removed. Out:
    /// what the source had kept, for its `forget`. Whoever once had the store key keeps it: that takes
    /// [`Vault::rekey`].
    ///
    /// # Errors
    ///
    /// [`StoreError`]: the slot is still there, unless it says so. The generation before may be gone.
    pub fn remove_slot(&mut self, index: usize) -> Result<SlotData, StoreError> {
        let seen = self.state.header.slots.get(index).cloned();
        self.transact(Before::Removed, |state, _| {
            let slots = &mut state.header.slots;
            if slots.get(index).is_none() || slots.get(index) != seen.as_ref() {
                return Err(StoreError::Slot { index, why: "it is not there, or not the one that was read" });
            }
            if slots.len() == 1 {
                return Err(StoreError::Slot { index, why: "nothing else opens the store" });
            }
            Ok(slots.remove(index).data)
        })
    }

    /// Removes the generation before and a file that was put aside, and with them what was deleted or replaced since.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: it may still be there.
    pub fn forget_previous(&self) -> Result<(), StoreError> {
        let folder = Folder::open(&self.path)?;
        let _lock = folder.lock(self.options.wait())?;
        remove_copies(&folder)
    }

    /// Accepts the file that is in `folder` although it is older than the newest that was known, or was moved here: what
    /// a person says after restoring a backup. It is written again as a generation newer than all that are known.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: every fault but those of the generation still refuses the file.
    pub fn accept_generation(path: &Path, source: &dyn RootKeySource, options: Options) -> Result<Self, StoreError> {
        let folder = Folder::open(path)?;
        let lock = folder.lock(options.wait())?;
        let bytes = read_file(&folder)?;
        accept(path, (folder, lock), bytes, source, options)
    }

    /// Goes back to the generation before: what a person says when the newest one is damaged. That one is kept under
    /// the name [`REFUSED_NAME`]; the generation before is written again as one newer than all that are known.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: there is no generation before, or it is damaged too.
    pub fn restore_previous(path: &Path, source: &dyn RootKeySource, options: Options) -> Result<Self, StoreError> {
        let folder = Folder::open(path)?;
        let lock = folder.lock(options.wait())?;
        let name = folder.join(PREVIOUS_NAME);
        let bytes = folder.read(PREVIOUS_NAME)?.ok_or_else(|| StoreError::Absent { path: path.to_owned() })?;
        Self::check_bytes(&name, &bytes, source)?;
        match read_file(&folder) {
            Err(StoreError::OnlyPrevious { .. }) => {}
            // Whatever is wrong with it, it is moved and not read.
            _ => folder.rename(FILE_NAME, REFUSED_NAME)?,
        }
        accept(path, (folder, lock), bytes, source, options)
    }

    /// Runs one transaction.
    fn transact<T>(
        &mut self,
        before: Before,
        change: impl FnOnce(&mut State, &Keys) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let begun = self.begin()?;
        let mut next = self.state.clone();
        let out = change(&mut next, &self.keys)?;
        self.finish(begun, next, None, before)?;
        Ok(out)
    }

    /// Takes the lock and reads the newest generation.
    pub(crate) fn begin(&mut self) -> Result<Begun, StoreError> {
        let folder = Folder::open(&self.path)?;
        let lock = folder.lock(self.options.wait())?;
        let newest = latest(&folder, &self.keys, &self.options)?;
        let old = read_file(&folder)?;
        let same = check::is_same(&old, &self.state, &self.keys);
        let other = if same { None } else { Some(content(&folder, &old, &self.keys)?) };
        admit(&folder, other.as_ref().unwrap_or(&self.state), &self.options, &newest)?;
        if let Some(other) = other {
            self.state = other;
        }
        Ok(Begun { folder, old, record: newest.0, _lock: lock })
    }

    /// Writes the next generation.
    pub(crate) fn finish(
        &mut self,
        begun: Begun,
        mut next: State,
        keys: Option<Keys>,
        before: Before,
    ) -> Result<(), StoreError> {
        let full = || StoreError::Full;
        next.header.generation = next.header.generation.checked_add(1).ok_or_else(full)?;
        let bytes = next.write(keys.as_ref().unwrap_or(&self.keys))?;
        match before {
            // Its name is durable with that of the file itself.
            Before::Kept => begun.folder.exchange(PREVIOUS_NAME, &begun.old, Durability::Synced)?,
            // First, so that whoever dies in between leaves nothing that opens in the old way beside the new file.
            Before::Removed => remove_copies(&begun.folder).map_err(before_it)?,
        }
        let replaced = begun.folder.replace(FILE_NAME, &bytes);
        if replaced.as_ref().is_err_and(is_undone) {
            return replaced;
        }
        // From here on the change is made, whatever follows.
        self.state = next;
        let rekeyed = keys.is_some();
        if let Some(keys) = keys {
            self.keys = keys;
        }
        replaced?;
        if rekeyed {
            // The times of last use are sealed with the new key, or lost.
            let kept = used::write(&begun.folder, &self.keys, &self.state.times());
            kept.or_else(|_| used::remove(&begun.folder)).unwrap_or_default();
        }
        let record = Record { generation: self.generation(), file: self.state.end.mac };
        // An older record that a loss of power brings back is put right by the next reader.
        let recorded = anchor::name_of(&begun.folder)
            .and_then(|name| begun.folder.above()?.exchange(&name, &record.line(&self.keys), Durability::Synced));
        recorded.map_err(|error| StoreError::AnchorBehind { message: error.to_string() })?;
        self.tell_anchor()
    }

    /// Writes down when values were given out by this process, if that is news. Dropping the store does it too.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: it was not written down; nothing else depends on it.
    pub fn note_used(&self) -> Result<(), StoreError> {
        let noted = std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner));
        let known = self.state.times();
        let news: Times =
            noted.into_iter().filter(|(uid, time)| used::is_news(known.get(uid).copied(), *time)).collect();
        if news.is_empty() {
            return Ok(());
        }
        let folder = Folder::open(&self.path)?;
        let _lock = folder.lock(USED_WAIT)?;
        let mut times = used::read(&folder, &self.keys);
        let entries: BTreeSet<_> = self.state.entries.values().map(|entry| entry.uid).collect();
        // What was deleted goes; what another process has set since is noted at its next use.
        times.retain(|uid, _| entries.contains(uid));
        for (uid, time) in news {
            let newest = times.entry(uid).or_insert(time);
            *newest = time.max(*newest);
        }
        used::write(&folder, &self.keys, &times)
    }

    pub(crate) fn tell_anchor(&self) -> Result<(), StoreError> {
        let Some(anchor) = &self.options.anchor else { return Ok(()) };
        let told = anchor.advance(&self.id(), self.generation());
        told.map_err(|message| StoreError::AnchorBehind { message: format!("{}: {message}", anchor.name()) })
    }

    /// Lets the record follow a file whose writer died before it could. Failing changes nothing: the next write does it.
    pub(crate) fn heal(&self, folder: &Folder) {
        let newer = |record: &Record| record.generation < self.generation();
        let behind = latest(folder, &self.keys, &Options::default()).is_ok_and(|(record, _)| newer(&record));
        if !behind {
            return;
        }
        let Ok(_lock) = folder.lock(Duration::ZERO) else { return };
        let unchanged = read_file(folder)
            .and_then(|bytes| content(folder, &bytes, &self.keys))
            .is_ok_and(|state| state.end == self.state.end);
        let Ok((record, _)) = latest(folder, &self.keys, &Options::default()) else { return };
        if unchanged && newer(&record) {
            let record = Record { generation: self.generation(), file: self.state.end.mac };
            let healed =
                anchor::name_of(folder).and_then(|name| folder.above()?.replace(&name, &record.line(&self.keys)));
            healed.unwrap_or_default();
        }
    }
}

/// Writes a file's bytes as a generation newer than all that are known.
fn accept(
    path: &Path,
    (folder, lock): (Folder, Lock),
    old: Vec<u8>,
    source: &dyn RootKeySource,
    options: Options,
) -> Result<Vault, StoreError> {
    let header = check::header(&old).map_err(|fault| fault_in(&folder, fault))?;
    let keys = slots::keys(&header, source)?;
    let state = content(&folder, &old, &keys)?;
    let file = Record { generation: state.header.generation, file: state.end.mac };
    let (mut record, outside) = match latest(&folder, &keys, &options) {
        Err(StoreError::Fault { fault: Fault::AnchorMissing | Fault::AnchorDamaged, .. }) => {
            (file, outside(&keys, &options)?)
        }
        known => known?,
    };
    record.generation = record.generation.max(outside.unwrap_or(0)).max(state.header.generation);
    let mut vault = Vault { path: path.to_owned(), options, keys, state, used: Mutex::default() };
    let mut next = vault.state.clone();
    next.header.generation = record.generation;
    // The anchor that is asked from now on, or none, is the caller's choice.
    next.header.anchor = vault.options.anchor.as_ref().and_then(|anchor| anchor.kept());
    vault.finish(Begun { folder, old, record, _lock: lock }, next, None, Before::Kept)?;
    Ok(vault)
}

impl Drop for Vault {
    fn drop(&mut self) {
        // Losing these times is no harm.
        self.note_used().unwrap_or_default();
    }
}

/// Whether nothing was changed.
pub(crate) const fn is_undone(error: &StoreError) -> bool {
    !matches!(error, StoreError::Unsynced { .. } | StoreError::AnchorBehind { .. })
}

/// Removes what the store was before.
fn remove_copies(folder: &Folder) -> Result<(), StoreError> {
    folder.remove(PREVIOUS_NAME)?;
    folder.remove(REFUSED_NAME)?;
    folder.sync()
}

/// An error of a step before the change: that something else is not synced is then a plain failure.
pub(super) fn before_it(error: StoreError) -> StoreError {
    match error {
        StoreError::Unsynced { path, source } => StoreError::Io { act: "sync", path, source },
        error => error,
    }
}
