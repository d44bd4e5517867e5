// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the ring keeps its records.
//!
//! In: names and sealed bytes. Out: the newest bytes, also after another process has written.
//!
//! **Invariant:** what is saved is there as a whole or not at all; between `lock` and the end of the lock nobody else
//! saves.

use ringfort_core::clock::Timestamp;

use super::record::KeyName;
use crate::locked::Locked;

/// Why records cannot be read or saved.
pub type ShelfError = Box<dyn std::error::Error + Send + Sync>;

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
    /// The bytes before are still there.
    fn save(&mut self, name: &KeyName, bytes: &Locked, now: Timestamp) -> Result<(), ShelfError>;

    /// Removes copies of what was saved before, so that what is not kept any more is nowhere.
    ///
    /// # Errors
    ///
    /// Copies may still be there.
    fn forget_previous(&mut self) -> Result<(), ShelfError>;
}
