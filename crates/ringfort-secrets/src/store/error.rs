// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be wrong with a store, each with a name.
//!
//! In: nothing. Out: [`StoreError`], [`Fault`], [`Unfit`].
//!
//! **Invariant:** no text here holds a value or a key; unless a variant says otherwise, nothing on the disk has changed.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::id::SecretId;
use crate::locked::LockedError;
use crate::root::{RootKeyError, StoreId};
use crate::store::meta::MetaError;
use crate::store::texts;
use crate::store::{ENTRIES_MAX, FILE_BYTES_MAX, SLOTS_MAX, VALUE_BYTES_MAX};

/// Why a file or folder is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// Others may read, write or enter it.
    #[error("its mode is {mode:04o}, so others can reach it; make it yours alone (`chmod {wanted:o}`)")]
    Mode {
        /// Its mode.
        mode: u32,
        /// The mode that it must have.
        wanted: u32,
    },
    /// It belongs to somebody else.
    #[error("it belongs to the user {owner}")]
    Owner {
        /// The owner's number.
        owner: u32,
    },
    /// It is a symbolic link.
    #[error("it is a symbolic link")]
    Link,
    /// It has a second name somewhere.
    #[error("it has a second name (a hard link)")]
    SecondName,
    /// It is a folder, a pipe, a device.
    #[error("it is not a regular file")]
    Kind,
    /// It is not a folder.
    #[error("it is not a folder")]
    NotFolder,
    /// It is larger than any store.
    #[error("it has {size} bytes; the limit is {FILE_BYTES_MAX}")]
    Size {
        /// Its size.
        size: u64,
    },
}

/// What the content of a store shows to have happened to it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It is something else.
    #[error("it is no store of Ringfort")]
    NotAStore,
    /// A newer Ringfort wrote it.
    #[error("it has format {found}, and this program knows format {known}; use a newer Ringfort")]
    NewerFormat {
        /// Its format.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// Its end is missing.
    #[error("it is truncated: its end is missing")]
    Truncated,
    /// The header has changed.
    #[error("its header is damaged")]
    Header,
    /// The header is whole and belongs to another generation of the file.
    #[error("its header was exchanged: it is not the one that these entries were written with")]
    HeaderExchanged,
    /// The last line has changed.
    #[error("its last line is damaged")]
    End,
    /// An entry has changed.
    #[error("entry {number} is damaged")]
    Entry {
        /// Which, from 1.
        number: usize,
    },
    /// An entry is from another store.
    #[error("entry {number} is from another store, {store}")]
    EntryOfOther {
        /// Which, from 1.
        number: usize,
        /// The other store.
        store: StoreId,
    },
    /// Two entries have changed places, or one is there twice.
    #[error("entry {number} is not in its place: entries were swapped, or one is there twice")]
    Swapped {
        /// The second of them, from 1.
        number: usize,
    },
    /// The values of an entry are not its own.
    #[error("the value of entry {number} belongs to another entry or version")]
    ValueSwapped {
        /// Which, from 1.
        number: usize,
    },
    /// Entries were taken away or put in.
    #[error("it has {found} entries where its header says {expected}: entries were removed or added")]
    Count {
        /// How many are there.
        found: usize,
        /// How many there were.
        expected: usize,
    },
    /// An entry was exchanged for another state of itself.
    #[error("every line is authentic and together they are not: an entry was exchanged for an older state of itself")]
    EntryExchanged,
    /// An older generation was put in its place.
    #[error(
        "it has generation {found}, and generation {latest} was written: an older file was put back (a restored backup \
         has to be accepted expressly)"
    )]
    Older {
        /// Its generation.
        found: u64,
        /// The newest known.
        latest: u64,
    },
    /// Another file of the generation that is known.
    #[error("it has generation {generation} and is not the file that was written as this generation")]
    Forked {
        /// The generation.
        generation: u64,
    },
    /// The record of the newest generation is not there.
    #[error(
        "the record of its newest generation is missing; whether this is the newest cannot be told (a store that was \
         moved or restored has to be accepted expressly)"
    )]
    AnchorMissing,
    /// The record of the newest generation is not this store's.
    #[error("the record of its newest generation is damaged or of another store")]
    AnchorDamaged,
    /// Two names or entries are the same.
    #[error("entry {number} has an id that another entry has")]
    SameId {
        /// Which, from 1.
        number: usize,
    },
}

impl Fault {
    /// The fault in one word, for programs and the record.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NotAStore => "not-a-store",
            Self::NewerFormat { .. } => "newer-format",
            Self::Truncated => "truncated",
            Self::Header => "header",
            Self::HeaderExchanged => "header-exchanged",
            Self::End => "end",
            Self::Entry { .. } => "entry",
            Self::EntryOfOther { .. } => "entry-of-other",
            Self::Swapped { .. } => "swapped",
            Self::ValueSwapped { .. } => "value-swapped",
            Self::Count { .. } => "count",
            Self::EntryExchanged => "entry-exchanged",
            Self::Older { .. } => "older",
            Self::Forked { .. } => "forked",
            Self::AnchorMissing => "anchor-missing",
            Self::AnchorDamaged => "anchor-damaged",
            Self::SameId { .. } => "same-id",
        }
    }
}

/// Why a store could not be used. Nothing was changed unless the variant says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no store here.
    #[error("there is no store in `{}`", path.display())]
    Absent {
        /// The folder.
        path: PathBuf,
    },
    /// There is one already.
    #[error("there is a store in `{}` already", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// The file is gone and its previous generation is there.
    #[error(
        "`{}` is gone, and its previous generation is beside it; restore that one or move it away",
        path.display()
    )]
    OnlyPrevious {
        /// The missing file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot {act} `{}`", path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or folder is not safely ours.
    #[error("`{}` is not safe for secrets: {unfit}", path.display())]
    Unsafe {
        /// Which.
        path: PathBuf,
        /// Why.
        unfit: Unfit,
    },
    /// Somebody else is writing.
    #[error(
        "the store is held by {} for longer than {} s; nothing was changed, try again",
        holder.map_or_else(|| "another process".to_owned(), |holder| format!("process {holder}")), waited.as_secs()
    )]
    Busy {
        /// Who, as far as it said.
        holder: Option<u32>,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The content cannot be trusted.
    #[error("`{}` is refused: {fault}", path.display())]
    Fault {
        /// The file.
        path: PathBuf,
        /// What happened to it.
        fault: Fault,
    },
    /// The key is another one.
    #[error("the key from {from} does not open the store {store}")]
    WrongKey {
        /// Where the key came from.
        from: String,
        /// The store.
        store: StoreId,
    },
    /// No slot is for this source.
    #[error("no slot of this store is for {from}; its slots are for {}", slots.join(", "))]
    NoSlot {
        /// The source.
        from: String,
        /// What there are slots for.
        slots: Vec<String>,
    },
    /// The source of the root key failed.
    #[error(transparent)]
    Root(#[from] RootKeyError),
    /// There is no such entry.
    #[error("there is no secret `{id}`")]
    NotFound {
        /// The id.
        id: SecretId,
    },
    /// There is such an entry already.
    #[error("there is a secret `{id}` already")]
    EntryExists {
        /// The id.
        id: SecretId,
    },
    /// The entry has no such version.
    #[error("the secret `{id}` has no version {version} any more")]
    NoVersion {
        /// The id.
        id: SecretId,
        /// The version.
        version: u64,
    },
    /// The entry's time is over.
    #[error("the secret `{id}` expired at {at}; set it anew")]
    Expired {
        /// The id.
        id: SecretId,
        /// When.
        at: ringfort_core::clock::Timestamp,
    },
    /// The value is too long.
    #[error("a value of {length} bytes is too long; the limit is {VALUE_BYTES_MAX} bytes")]
    ValueTooLong {
        /// Its length.
        length: usize,
    },
    /// What is kept beside a value is out of bounds.
    #[error(transparent)]
    Meta(#[from] MetaError),
    /// There are too many entries, or the file would be too large.
    #[error("the store is full: it holds at most {ENTRIES_MAX} secrets in {FILE_BYTES_MAX} bytes")]
    Full,
    /// There are too many slots.
    #[error("the store has {SLOTS_MAX} slots already; remove one first")]
    SlotsFull,
    /// The slot is not there, or is the last one.
    #[error("slot {index} cannot be removed: {why}")]
    Slot {
        /// Which.
        index: usize,
        /// Why.
        why: &'static str,
    },
    /// Slots would open nothing any more, and nobody said that they shall go.
    #[error("the root key is not at hand for: {}", sources.join(", "))]
    OutOfReach {
        /// Their sources.
        sources: Vec<String>,
    },
    /// The store keeps as many seeds of sealed texts as it can.
    #[error("the store keeps the keys of {} store keys before this one, for sealed texts: there is no place for another", texts::SEEDS_MAX - 1)]
    SeedsFull,
    /// What a source wants to keep is not fit for the header.
    #[error("{from} gave a slot that cannot be kept: {why}")]
    SlotData {
        /// The source.
        from: String,
        /// Why.
        why: &'static str,
    },
    /// The change is in place, and it is not known to be on the disk.
    #[error("the change was made, but `{}` could not be synced; a loss of power may undo it", path.display())]
    Unsynced {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The change is in place, and the anchor did not follow.
    #[error("the change was made, but the record of the newest generation was not: {message}")]
    AnchorBehind {
        /// What happened.
        message: String,
    },
    /// An anchor outside could not be asked.
    #[error("{name}, which keeps the newest generation, cannot be asked: {message}")]
    Anchor {
        /// The anchor.
        name: &'static str,
        /// What happened.
        message: String,
    },
    /// There is no memory for a key or a value.
    #[error(transparent)]
    Memory(#[from] LockedError),
}
