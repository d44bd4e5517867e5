// SPDX-License-Identifier: MIT OR Apache-2.0
//! The newest generation of a store, kept in a second place.
//!
//! In: generations that were written. Out: whether a file is the newest, older, or another one.
//!
//! **Invariant:** the record beside the folder is authenticated by a key of the store and never goes back except by an
//! express `accept`. It shows an older file put back into the folder; that both were put back only an [`Anchor`]
//! elsewhere (a counter of a TPM, the trail) can show.

use serde::{Deserialize, Serialize};

use crate::root::{SlotData, StoreId};
use crate::store::error::{Fault, StoreError};
use crate::store::folder::Folder;
use crate::store::seal::{Keys, Use, hex, unhex};

/// Most lines of the record.
const LINES_MAX: usize = 4;
/// Longest line of the record. Bytes.
const LINE_BYTES_MAX: usize = 512;

/// A place outside the state folder that remembers the newest generation of a store.
pub trait Anchor: Send + Sync {
    /// Its name, for messages.
    fn name(&self) -> &'static str;

    /// The newest generation that it knows; `None` if it knows nothing of this store.
    ///
    /// # Errors
    ///
    /// What happened, in words: the store is not opened.
    fn latest(&self, store: &StoreId) -> Result<Option<u64>, String>;

    /// Remembers that `generation` was written. Called after the write, never with a smaller number than before.
    ///
    /// # Errors
    ///
    /// What happened, in words: the write stands and the caller is told.
    fn advance(&self, store: &StoreId, generation: u64) -> Result<(), String>;

    /// What the store keeps of it in its header, so that whoever opens the store has to ask it; `None` where the caller
    /// alone knows of it.
    fn kept(&self) -> Option<SlotData> {
        None
    }

    /// The store names this one now: removes what followed the store before and was never removed, so that no older store
    /// that names such a one is taken for the newest.
    ///
    /// # Errors
    ///
    /// What happened, in words: some may still be there.
    fn settle(&self) -> Result<(), String> {
        Ok(())
    }

    /// Removes what it has outside; called only when no store names it any more.
    ///
    /// # Errors
    ///
    /// What happened, in words: it may still be there.
    fn forget(&self) -> Result<(), String> {
        Ok(())
    }
}

/// A generation, and which file it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) generation: u64,
    /// The MAC of the file's last line.
    pub(crate) file: [u8; 32],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    store: String,
    generation: u64,
    file: String,
    mac: String,
}

impl Record {
    fn mac(&self, keys: &Keys) -> [u8; 32] {
        keys.mac(Use::Anchor, &[&self.generation.to_be_bytes(), &self.file])
    }

    /// The record as a line with its end.
    pub(crate) fn line(&self, keys: &Keys) -> Vec<u8> {
        let line = Line {
            store: keys.store().to_string(),
            generation: self.generation,
            file: hex(&self.file),
            mac: hex(&self.mac(keys)),
        };
        let mut line = serde_json::to_vec(&line).unwrap_or_default();
        line.push(b'\n');
        line
    }

    fn parse(line: &[u8], keys: &Keys) -> Option<Self> {
        let line: Line = serde_json::from_slice(line).ok()?;
        let record = Self { generation: line.generation, file: unhex(&line.file)? };
        let own = unhex(&line.store).map(StoreId) == Some(keys.store());
        let mac: [u8; 32] = unhex(&line.mac)?;
        (own && keys.is_mac(Use::Anchor, &[&record.generation.to_be_bytes(), &record.file], &mac)).then_some(record)
    }

    /// The newest record among the lines of `bytes` that these keys wrote.
    ///
    /// There are two lines while the store key is being replaced: one by the old key and one by the new.
    pub(crate) fn newest(bytes: Option<&[u8]>, keys: &Keys) -> Result<Self, Fault> {
        let bytes = bytes.ok_or(Fault::AnchorMissing)?;
        if bytes.len() > LINES_MAX * LINE_BYTES_MAX {
            return Err(Fault::AnchorDamaged);
        }
        let records = bytes.split(|byte| *byte == b'\n').filter_map(|line| Self::parse(line, keys));
        records.max_by_key(|record| record.generation).ok_or(Fault::AnchorDamaged)
    }

    /// Whether a file may stand where this record is the newest known.
    pub(crate) fn admit(&self, file: &Self) -> Result<(), Fault> {
        if file.generation < self.generation {
            return Err(Fault::Older { found: file.generation, latest: self.generation });
        }
        if file.generation == self.generation && file.file != self.file {
            return Err(Fault::Forked { generation: file.generation });
        }
        Ok(())
    }
}

/// Name of the record beside a store's folder.
pub(crate) fn name_of(folder: &Folder) -> Result<String, StoreError> {
    let name = folder.path().file_name().and_then(|name| name.to_str()).map(|name| format!("{name}.generation"));
    name.ok_or_else(|| StoreError::Io {
        act: "name the record beside",
        path: folder.path().to_owned(),
        source: std::io::ErrorKind::InvalidInput.into(),
    })
}
