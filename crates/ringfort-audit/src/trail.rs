// SPDX-License-Identifier: MIT OR Apache-2.0
//! The trail as its users see it: open, append, sync.
//!
//! In: a folder and entries. Out: receipts.
//!
//! **Invariant:** [`Trail::append`] returns a receipt only for an entry that survives what its [`Durability`] says.
//! Threads share one [`Trail`], processes share one folder; nobody has to coordinate. Reading is in `read`.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ringfort_core::clock::Clock;
use ringfort_core::digest::Digest;
use ringfort_core::entry::Entry;
use serde::Serialize;

use crate::chain::{Chain, ChainError, Settings};
use crate::commit::Commit;
use crate::dir::{Dir, FileError};
use crate::entry::{EncodeError, encode};
use crate::head;
use crate::repair::Repair;

/// Size at which a segment is sealed, unless set otherwise. Bytes.
pub const SEGMENT_BYTES_MAX: u64 = 64 << 20;

/// Longest wait for other processes, unless set otherwise.
pub const LOCK_WAIT_MAX: Duration = Duration::from_secs(5);

/// How a trail is written.
#[derive(Clone)]
pub struct Options {
    /// Size at which a segment is sealed. Bytes. An entry is never split, so one large entry may exceed it.
    pub segment_bytes_max: u64,
    /// Longest wait for a lock that another process holds.
    pub lock_wait: Duration,
    /// The source of the entries' times.
    pub clock: Arc<dyn Clock>,
}

impl Options {
    /// The defaults, with this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { segment_bytes_max: SEGMENT_BYTES_MAX, lock_wait: LOCK_WAIT_MAX, clock }
    }
}

/// What an acknowledged entry survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The death of any process. The loss of power, once it is synced: by a later `Synced` append or [`Trail::sync`].
    Written,
    /// The loss of power.
    Synced,
}

/// Proof that an entry is on the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Receipt {
    /// Its number.
    pub seq: u64,
    /// Its hash, which covers everything before it too.
    pub hash: Digest,
}

/// Why a trail could not be opened. Nothing was acknowledged.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder cannot be used. Nothing was written.
    #[error(transparent)]
    Folder(#[from] FileError),
    /// The chain cannot be continued. Nothing but a repair was written.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// Why an entry was not acknowledged.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The entry cannot be written as a line. Nothing was written.
    #[error("the entry cannot be recorded")]
    Entry(#[from] EncodeError),
    /// The chain could not be continued or made durable. Nothing was acknowledged; after a failed sync the entry may
    /// still be on the record.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// An open trail.
pub struct Trail {
    commit: Commit,
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trail").finish_non_exhaustive()
    }
}

impl Trail {
    /// Opens the trail in the folder `path`, and makes it if there is none; a torn end is repaired.
    ///
    /// The folder must belong to the caller and be closed to others. What this costs does not depend on how long the
    /// trail is; after a restart of the kernel, what was not synced before is read again.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: there is no trail to write to, and nothing was changed but perhaps a torn end.
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        Self::open_in(path, options, head::boot_id())
    }

    /// As [`Trail::open`], under a start of the kernel called `boot`.
    pub(crate) fn open_in(path: &Path, options: Options, boot: String) -> Result<Self, OpenError> {
        let dir = Arc::new(Dir::open_or_create(path)?);
        let Options { segment_bytes_max, lock_wait, clock } = options;
        let chain = Chain::open(dir, Settings { segment_bytes_max, lock_wait, clock, boot })?;
        Ok(Self { commit: Commit::new(chain) })
    }

    /// Puts an entry on the record. Blocks until it is as durable as asked; entries of other threads and processes
    /// share the cost.
    ///
    /// # Errors
    ///
    /// [`AppendError`]: the entry is not acknowledged, and whatever depends on it must not happen.
    pub fn append(&self, entry: &Entry, durability: Durability) -> Result<Receipt, AppendError> {
        Ok(self.commit.append(encode(entry)?, durability)?)
    }

    /// Makes everything durable that was acknowledged before this call, by whichever process.
    ///
    /// # Errors
    ///
    /// What was acknowledged as `Written` may not survive the loss of power.
    pub fn sync(&self) -> Result<(), ChainError> {
        self.commit.sync()
    }

    /// The repairs that this handle has made, oldest first.
    pub fn repairs(&self) -> Vec<Repair> {
        self.commit.chain().repairs.clone()
    }
}

#[cfg(test)]
mod tests;
