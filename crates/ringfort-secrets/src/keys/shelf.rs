// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the ring keeps its records.
//!
//! In: names and sealed bytes. Out: the newest bytes, also after another process has written.
//!
//! **Invariant:** what is saved is there as a whole or not at all; between `lock` and the end of the lock nobody else
//! saves.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ringfort_core::clock::{Clock, Timestamp};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;

use super::record::KeyName;
use crate::id::SecretId;
use crate::locked::Locked;
use crate::store::{Change, StoreError, Vault, WAIT};

/// What the ids of keys begin with.
const PREFIX: &str = "key.";
/// Pause between two tries for the lock.
const PAUSE: Duration = Duration::from_millis(5);

/// Why records cannot be read or saved.
pub type ShelfError = Box<dyn std::error::Error + Send + Sync>;

/// Why a record was not saved as it should be.
#[derive(Debug)]
pub enum SaveError {
    /// It was not: what was there before still is.
    Kept(ShelfError),
    /// It was, and a loss of power may undo it.
    Made(ShelfError),
}

/// Keeps others from writing until it is dropped.
pub trait ShelfLock: Send {}

/// Where records are kept.
pub trait Shelf: Send {
    /// Keeps every other writer away, in this process and in others.
    ///
    /// # Errors
    ///
    /// Somebody else writes for too long; nothing is locked.
    fn lock(&self) -> Result<Box<dyn ShelfLock>, ShelfError>;

    /// The names of all keys, in order, as they are now.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    fn names(&mut self) -> Result<Vec<KeyName>, ShelfError>;

    /// The bytes of a key, as they are now.
    ///
    /// # Errors
    ///
    /// They cannot be read; a key that is not there is no error.
    fn load(&mut self, name: &KeyName) -> Result<Option<Locked>, ShelfError>;

    /// Replaces the bytes of a key.
    ///
    /// # Errors
    ///
    /// [`SaveError`] says whether the bytes before are still there.
    fn save(&mut self, name: &KeyName, bytes: &Locked, now: Timestamp) -> Result<(), SaveError>;

    /// Removes copies of what was saved before, so that what is not kept any more is nowhere.
    ///
    /// # Errors
    ///
    /// Copies may still be there.
    fn forget_previous(&mut self) -> Result<(), ShelfError>;
}

/// The store of keys as a shelf: one entry for each key.
pub struct VaultShelf {
    vault: Vault,
    clock: Arc<dyn Clock>,
}

impl VaultShelf {
    /// The keys in `vault`. The clock says when one was last used.
    pub const fn new(vault: Vault, clock: Arc<dyn Clock>) -> Self {
        Self { vault, clock }
    }

    /// The store itself.
    pub const fn vault(&self) -> &Vault {
        &self.vault
    }

    fn id(name: &KeyName) -> Result<SecretId, ShelfError> {
        Ok(format!("{PREFIX}{name}").parse::<SecretId>()?)
    }
}

impl std::fmt::Debug for VaultShelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VaultShelf").field("vault", &self.vault).finish_non_exhaustive()
    }
}

impl Shelf for VaultShelf {
    fn lock(&self) -> Result<Box<dyn ShelfLock>, ShelfError> {
        Ok(Box::new(lock_folder(self.vault.folder())?))
    }

    fn names(&mut self) -> Result<Vec<KeyName>, ShelfError> {
        self.vault.reload()?;
        let names = self.vault.list().filter_map(|meta| meta.id.as_str().strip_prefix(PREFIX));
        names.map(|name| Ok(name.parse()?)).collect()
    }

    fn load(&mut self, name: &KeyName) -> Result<Option<Locked>, ShelfError> {
        self.vault.reload()?;
        match self.vault.get(&Self::id(name)?, self.clock.now()) {
            Ok(released) => Ok(Some(released.value)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn save(&mut self, name: &KeyName, bytes: &Locked, now: Timestamp) -> Result<(), SaveError> {
        let id = Self::id(name).map_err(SaveError::Kept)?;
        // The record has its own versions: the store keeps none.
        let change = Change { keep: Some(0), ..Change::at(now) };
        match self.vault.set(&id, bytes.expose(), &change) {
            Ok(_version) => Ok(()),
            Err(error @ (StoreError::Unsynced { .. } | StoreError::AnchorBehind { .. })) => {
                Err(SaveError::Made(error.into()))
            }
            Err(error) => Err(SaveError::Kept(error.into())),
        }
    }

    fn forget_previous(&mut self) -> Result<(), ShelfError> {
        Ok(self.vault.forget_previous()?)
    }
}

/// The lock of the keys' folder; the kernel gives it back when this is dropped, or when its process dies.
#[derive(Debug)]
pub(super) struct FolderLock {
    _folder: OwnedFd,
}

impl ShelfLock for FolderLock {}

/// Locks the folder itself: the store locks a file in it, inside this.
pub(super) fn lock_folder(path: &Path) -> Result<FolderLock, StoreError> {
    let failed = |act, errno: Errno| StoreError::Io { act, path: path.to_owned(), source: errno.into() };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = open(path, flags, Mode::empty()).map_err(|errno| failed("open", errno))?;
    let mut waited = Duration::ZERO;
    loop {
        match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(FolderLock { _folder: folder }),
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) if waited < WAIT => {
                std::thread::sleep(PAUSE);
                waited += PAUSE;
            }
            Err(Errno::WOULDBLOCK) => return Err(StoreError::Busy { holder: None, waited }),
            Err(errno) => return Err(failed("lock", errno)),
        }
    }
}
