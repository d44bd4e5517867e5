// SPDX-License-Identifier: MIT OR Apache-2.0
//! The content of an open store: the header and the entries, whose values stay sealed.
//!
//! In: the file's bytes and the keys; changes. Out: entries; the bytes of the next generation.
//!
//! **Invariant:** content comes from bytes whose MAC was right, or from `create`. A change is made on a copy, which takes
//! the content's place once it is on the disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringfort_core::clock::Timestamp;

use crate::id::SecretId;
use crate::locked::Locked;
use crate::root::StoreId;
use crate::store::error::{Fault, StoreError};
use crate::store::format::{End, EntryLine, Header, Slot, ValueLine, entry_end, entry_start};
use crate::store::meta::{Change, Meta, Previous};
use crate::store::seal::{self, Keys, NotOpened, OpenError, Place, UID_LEN, Use};
use crate::store::used::Times;
use crate::store::{ENTRIES_MAX, FILE_BYTES_MAX, VALUE_BYTES_MAX, texts};

/// One entry: its line, and what is kept beside its value.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) uid: [u8; UID_LEN],
    pub(crate) meta: Meta,
    line: Box<[u8]>,
}

/// The content of a store.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) header: Header,
    pub(crate) entries: BTreeMap<SecretId, Arc<Entry>>,
    pub(crate) end: End,
}

/// The lines of a file.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    /// The header, without its end.
    pub(crate) head: &'a [u8],
    /// The entries, each with its end.
    pub(crate) entries: &'a [u8],
    /// The last line, without its end.
    pub(crate) end: &'a [u8],
    /// Everything before the last line.
    pub(crate) before_end: &'a [u8],
}

impl<'a> Lines<'a> {
    pub(crate) fn split(bytes: &'a [u8]) -> Result<Self, Fault> {
        let newline = |byte: &u8| *byte == b'\n';
        let head_end = bytes.iter().position(newline).ok_or(Fault::Truncated)?;
        let (head, rest) = bytes.split_at(head_end);
        let rest = rest.get(1..).unwrap_or_default();
        let body = rest.strip_suffix(b"\n").ok_or(Fault::Truncated)?;
        let end_start = body.iter().rposition(newline).map_or(0, |position| position + 1);
        let (entries, end) = body.split_at(end_start);
        let before_end = bytes.get(..head_end + 1 + end_start).unwrap_or_default();
        Ok(Self { head, entries, end, before_end })
    }

    pub(crate) fn each_entry(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.entries.split_inclusive(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line))
    }
}

impl State {
    /// A store without entries, of generation 0: nothing of it is on the disk.
    pub(crate) const fn empty(header: Header) -> Self {
        Self { header, entries: BTreeMap::new(), end: End { head: [0; 32], mac: [0; 32], tag: [0; 32] } }
    }

    /// Reads entries whose MAC was found right.
    pub(crate) fn read(header: Header, lines: &Lines<'_>, end: End, keys: &Keys) -> Result<Self, Fault> {
        let mut entries = Vec::with_capacity(header.entries);
        for (index, line) in lines.each_entry().enumerate() {
            let entry = Entry::read(line, keys).map_err(|_| Fault::Entry { number: index + 1 })?;
            entries.push((entry.meta.id.clone(), Arc::new(entry)));
        }
        let count = entries.len();
        let entries: BTreeMap<_, _> = entries.into_iter().collect();
        if count != header.entries {
            return Err(Fault::Count { found: count, expected: header.entries });
        }
        if entries.len() != count {
            return Err(Fault::SameId { number: second(&entries, lines, keys) });
        }
        Ok(Self { header, entries, end })
    }

    /// The times of last use.
    pub(crate) fn times(&self) -> Times {
        self.entries.values().filter_map(|entry| Some((entry.uid, entry.meta.used?))).collect()
    }

    /// Adds the times of last use.
    pub(crate) fn mark(&mut self, times: &Times) {
        for entry in self.entries.values_mut() {
            let Some(time) = times.get(&entry.uid) else { continue };
            if let Some(entry) = Arc::get_mut(entry) {
                entry.meta.used = entry.meta.used.max(Some(*time));
            }
        }
    }

    /// The bytes of the file. Sets the count of entries and the end.
    pub(crate) fn write(&mut self, keys: &Keys) -> Result<Vec<u8>, StoreError> {
        if self.entries.len() > ENTRIES_MAX {
            return Err(StoreError::Full);
        }
        self.header.entries = self.entries.len();
        let head = self.header.line();
        let mut entries: Vec<&Entry> = self.entries.values().map(Arc::as_ref).collect();
        entries.sort_unstable_by_key(|entry| entry.uid);
        let length = entries.iter().map(|entry| entry.line.len() + 1).sum::<usize>() + head.len() + 512;
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(&head);
        bytes.push(b'\n');
        for entry in entries {
            bytes.extend_from_slice(&entry.line);
            bytes.push(b'\n');
        }
        let end = seal_end(&head, &bytes, keys);
        bytes.extend_from_slice(&end.line());
        bytes.push(b'\n');
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(StoreError::Full);
        }
        self.end = end;
        Ok(bytes)
    }

    pub(crate) fn entry(&self, id: &SecretId) -> Result<&Entry, StoreError> {
        self.entries.get(id).map(Arc::as_ref).ok_or_else(|| StoreError::NotFound { id: id.clone() })
    }

    /// Sets a value: the first version, or the next one.
    pub(crate) fn set(&mut self, keys: &Keys, id: &SecretId, value: &[u8], change: &Change) -> Result<u64, StoreError> {
        if value.len() > VALUE_BYTES_MAX {
            return Err(StoreError::ValueTooLong { length: value.len() });
        }
        let entry = match self.entries.get(id) {
            Some(old) => old.next(keys, value, change)?,
            None => Entry::first(keys, id, value, change)?,
        };
        let version = entry.meta.version;
        self.entries.insert(id.clone(), Arc::new(entry));
        Ok(version)
    }

    /// Changes what is kept beside a value.
    pub(crate) fn update(&mut self, keys: &Keys, id: &SecretId, change: &Change) -> Result<(), StoreError> {
        let entry = self.entry(id)?.updated(keys, change)?;
        self.entries.insert(id.clone(), Arc::new(entry));
        Ok(())
    }

    /// The same content under other keys: every data key and nonce is a new one.
    pub(crate) fn sealed_anew(&self, old: &Keys, new: &Keys) -> Result<Self, StoreError> {
        let mut entries = BTreeMap::new();
        for (id, entry) in &self.entries {
            entries.insert(id.clone(), Arc::new(entry.sealed_anew(old, new)?));
        }
        Ok(Self { header: self.header.clone(), entries, end: self.end.clone() })
    }
}

impl Entry {
    /// Reads and opens the line of an entry.
    pub(crate) fn read(line: &[u8], keys: &Keys) -> Result<Self, NotOpened> {
        let parsed = EntryLine::parse(line).ok_or(NotOpened)?;
        let (bound, uid) = (parsed.bound(line).ok_or(NotOpened)?, parsed.uid().ok_or(NotOpened)?);
        let sealed = seal::decode(parsed.meta).ok_or(NotOpened)?;
        let meta: Meta = serde_json::from_slice(&keys.open(Use::Meta, bound, &sealed)?).map_err(|_| NotOpened)?;
        let versions = std::iter::once(meta.version).chain(meta.previous.iter().map(|previous| previous.version));
        if parsed.version != meta.version || !versions.eq(parsed.values.iter().map(|value| value.version)) {
            return Err(NotOpened);
        }
        Ok(Self { uid, meta, line: line.into() })
    }

    /// The other store that a line says it is from; `None` if it says it is from this one, or only its id is damaged.
    pub(crate) fn foreign(line: &[u8], keys: &Keys) -> Option<StoreId> {
        let store = EntryLine::parse(line)?.store().filter(|store| *store != keys.store())?;
        let text = std::str::from_utf8(line).ok()?;
        let ours = text.replacen(&store.to_string(), &keys.store().to_string(), 1);
        Self::read(ours.as_bytes(), keys).is_err().then_some(store)
    }

    fn first(keys: &Keys, id: &SecretId, value: &[u8], change: &Change) -> Result<Self, StoreError> {
        let mut uid = [0; UID_LEN];
        getrandom::fill(&mut uid).map_err(|error| crate::locked::LockedError::System(std::io::Error::other(error)))?;
        let mut meta = Meta::first(id.clone(), change.at);
        meta.apply(change);
        Self::build(keys, uid, meta, Some(value), None)
    }

    fn next(&self, keys: &Keys, value: &[u8], change: &Change) -> Result<Self, StoreError> {
        let mut meta = self.meta.clone();
        meta.apply(change);
        let replaced = Previous { version: meta.version, set: meta.updated, replaced: change.at };
        meta.previous.insert(0, replaced);
        meta.version = meta.version.saturating_add(1);
        meta.updated = change.at;
        Self::build(keys, self.uid, meta, Some(value), Some(&self.line))
    }

    fn updated(&self, keys: &Keys, change: &Change) -> Result<Self, StoreError> {
        let mut meta = self.meta.clone();
        meta.apply(change);
        Self::build(keys, self.uid, meta, None, Some(&self.line))
    }

    /// Makes the line: the new value, if there is one, and those of `old` that are kept.
    fn build(
        keys: &Keys,
        uid: [u8; UID_LEN],
        mut meta: Meta,
        value: Option<&[u8]>,
        old: Option<&[u8]>,
    ) -> Result<Self, StoreError> {
        meta.previous.truncate(usize::try_from(meta.keep).unwrap_or(usize::MAX));
        meta.check()?;
        let place = Place { store: keys.store(), uid, id: meta.id.as_str(), version: meta.version };
        let new = value.map(|value| keys.seal_value(&place, value)).transpose()?;
        let new = new.map(|(key, data)| (seal::encode(&key), seal::encode(&data)));
        let mut values = Vec::new();
        values.extend(new.as_ref().map(|(key, data)| ValueLine { version: meta.version, key, data }));
        values.extend(old.and_then(EntryLine::parse).into_iter().flat_map(|line| line.values));
        values.truncate(meta.previous.len() + 1);
        Self::close(keys, uid, meta, &values)
    }

    fn close(keys: &Keys, uid: [u8; UID_LEN], meta: Meta, values: &[ValueLine<'_>]) -> Result<Self, StoreError> {
        let start = entry_start(keys.store(), uid, meta.version, values);
        let sealed = keys.seal(Use::Meta, &start, &serde_json::to_vec(&meta).unwrap_or_default())?;
        Ok(Self { uid, meta, line: entry_end(start, &sealed).into() })
    }

    fn sealed_anew(&self, old: &Keys, new: &Keys) -> Result<Self, StoreError> {
        let mut values = Vec::new();
        for version in self.versions() {
            let value = self.value(old, version)?;
            let place = Place { store: new.store(), uid: self.uid, id: self.meta.id.as_str(), version };
            let (key, data) = new.seal_value(&place, value.expose())?;
            values.push((version, seal::encode(&key), seal::encode(&data)));
        }
        let lines: Vec<_> =
            values.iter().map(|(version, key, data)| ValueLine { version: *version, key, data }).collect();
        Self::close(new, self.uid, self.meta.clone(), &lines)
    }

    /// The versions whose values are here, the newest first.
    pub(crate) fn versions(&self) -> impl Iterator<Item = u64> {
        std::iter::once(self.meta.version).chain(self.meta.previous.iter().map(|previous| previous.version))
    }

    /// Opens the value of a version.
    pub(crate) fn value(&self, keys: &Keys, version: u64) -> Result<Locked, StoreError> {
        let missing = || StoreError::NoVersion { id: self.meta.id.clone(), version };
        let line = EntryLine::parse(&self.line).ok_or_else(missing)?;
        let value = line.values.iter().find(|value| value.version == version).ok_or_else(missing)?;
        let place = Place { store: keys.store(), uid: self.uid, id: self.meta.id.as_str(), version };
        let opened = seal::decode(value.key).zip(seal::decode(value.data)).ok_or(OpenError::Not);
        match opened.and_then(|(key, data)| keys.open_value(&place, &key, &data)) {
            Ok(value) => Ok(value),
            Err(OpenError::Memory(error)) => Err(error.into()),
            // The line's MAC was right, so this store wrote it.
            Err(OpenError::Not) => Err(missing()),
        }
    }
}

/// Which line has an id that another one has.
fn second(entries: &BTreeMap<SecretId, Arc<Entry>>, lines: &Lines<'_>, keys: &Keys) -> usize {
    let is_kept = |line: &[u8]| {
        let entry = Entry::read(line, keys).ok();
        entry.is_some_and(|entry| entries.get(&entry.meta.id).is_some_and(|kept| kept.uid == entry.uid))
    };
    lines.each_entry().position(|line| !is_kept(line)).map_or(0, |index| index + 1)
}

fn seal_end(head: &[u8], before_end: &[u8], keys: &Keys) -> End {
    let (head, mac) = (keys.mac(Use::Mac, &[b"head", head]), keys.mac(Use::Mac, &[b"file", before_end]));
    End { head, mac, tag: keys.mac(Use::Mac, &[b"end", &head, &mac]) }
}

/// A first header.
pub(crate) fn first_header(keys: &Keys, slot: Slot, at: Timestamp) -> Result<Header, StoreError> {
    let (store, check) = (keys.store(), keys.check);
    let texts = texts::first(keys)?;
    Ok(Header { store, generation: 0, created: at, entries: 0, slots: vec![slot], anchor: None, check, texts })
}
