// SPDX-License-Identifier: MIT OR Apache-2.0
//! Durability, shared: one sync of the disk serves every process whose entries it covers.
//!
//! In: the wish that all entries before some number be on disk. Out: the number up to which they are.
//!
//! **Invariant:** the `Synced` mark is written after the sync that it reports and never moves back; who finds itself
//! covered by it does not sync again. A failed sync is final for this handle: the kernel may have dropped what it
//! could not write, and a second sync would succeed without it.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::chain::ChainError;
use crate::dir::{Access, Dir, FileError};
use crate::fault::FaultKind;
use crate::head::{Head, Mark, Pair};
use crate::lock::{self, Share};
use crate::segment;

/// Name of the lock file of the sync.
pub(crate) const SYNC_LOCK_NAME: &str = "sync.lock";

/// Makes entries durable.
pub(crate) struct Syncer {
    dir: Arc<Dir>,
    head: Arc<Head>,
    lock: File,
    wait: Duration,
    /// The segment that was synced last. The mutex also keeps the threads of this process apart.
    segment: Mutex<Option<(u64, File)>>,
    failed: AtomicBool,
}

impl Syncer {
    pub(crate) fn open(dir: Arc<Dir>, head: Arc<Head>, wait: Duration) -> Result<Self, FileError> {
        let lock = lock::open(&dir, SYNC_LOCK_NAME)?;
        Ok(Self { dir, head, lock, wait, segment: Mutex::new(None), failed: AtomicBool::new(false) })
    }

    /// Makes at least the entries before `next` durable and returns how many are.
    pub(crate) fn sync(&self, next: u64) -> Result<u64, ChainError> {
        let mut segment = self.segment.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_usable()?;
        let _held = lock::hold(&self.dir, &self.lock, SYNC_LOCK_NAME, Share::Exclusive, self.wait)?;
        let synced = self.mark(Pair::Synced)?;
        if synced.next >= next {
            return Ok(synced.next);
        }
        // Read before the sync: what others wrote until now is covered by it too.
        let mut written = self.mark(Pair::Written)?;
        let file = match segment.take() {
            Some((first, file)) if first == written.segment => file,
            _ => self.dir.file(&segment::name(written.segment), Access::Read)?,
        };
        self.sync_file(&file, written.segment)?;
        *segment = Some((written.segment, file));
        self.head.write(&self.dir, Pair::Synced, &mut written, synced.turn)?;
        Ok(written.next)
    }

    /// Makes everything durable that is written by now.
    pub(crate) fn sync_all(&self) -> Result<(), ChainError> {
        let written = self.mark(Pair::Written)?.next;
        self.sync(written).map(drop)
    }

    /// Makes a whole segment durable, up to `mark`. Under the chain lock, which comes before the sync lock.
    pub(crate) fn sync_sealed(&self, file: &File, mark: &Mark) -> Result<(), ChainError> {
        self.check_usable()?;
        let _mutex = self.segment.lock().unwrap_or_else(PoisonError::into_inner);
        let _held = lock::hold(&self.dir, &self.lock, SYNC_LOCK_NAME, Share::Exclusive, self.wait)?;
        let synced = self.mark(Pair::Synced)?;
        self.sync_file(file, mark.segment)?;
        Ok(self.head.write(&self.dir, Pair::Synced, &mut mark.clone(), synced.turn)?)
    }

    fn sync_file(&self, file: &File, segment: u64) -> Result<(), FileError> {
        file.sync_data().map_err(|error| {
            self.failed.store(true, Ordering::Release);
            self.dir.error("sync", &segment::name(segment), error)
        })
    }

    fn mark(&self, pair: Pair) -> Result<Mark, ChainError> {
        self.head.mark(&self.dir, pair)?.map_err(|fault: FaultKind| ChainError::Tampered { seq: 0, fault })
    }

    fn check_usable(&self) -> Result<(), ChainError> {
        if self.failed.load(Ordering::Acquire) {
            let error = std::io::Error::other("an earlier sync failed; open the trail again");
            return Err(self.dir.error("sync", SYNC_LOCK_NAME, error).into());
        }
        Ok(())
    }
}
