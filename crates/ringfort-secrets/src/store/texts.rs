// SPDX-License-Identifier: MIT OR Apache-2.0
//! The seeds of the keys that seal texts of configuration files: random, kept in the store, no entries.
//!
//! In: the keys of the store. Out: the sealed member of the header, and the seeds in locked memory, the newest first.
//!
//! **Invariant:** a seed is never derived from the store key and leaves the store only as a [`TextKey`]: a new store key
//! leaves every text readable, and seals the next one with a seed that who knew the old key has never seen.
//!
//! [`TextKey`]: crate::sealed_text::TextKey

use crate::locked::{Locked, LockedError};
use crate::root::KEY_LEN;
use crate::store::error::StoreError;
use crate::store::rekey::Earlier;
use crate::store::seal::{Keys, OVERHEAD, OpenError, Use};

/// Most seeds of one store: the one that seals, and those of earlier store keys.
pub(crate) const SEEDS_MAX: usize = 16;
/// What they are bound to, with the id of the store after it.
const PLACE: &[u8] = b"ringfort-store v1 texts\0";

fn place(keys: &Keys) -> Vec<u8> {
    [PLACE, keys.store().0.as_slice()].concat()
}

/// Length of the sealed member for so many seeds. Bytes.
pub(crate) const fn sealed_length(seeds: usize) -> usize {
    seeds * KEY_LEN + OVERHEAD
}

/// Whether a sealed member can have this length.
pub(crate) fn is_length(length: usize) -> bool {
    (1..=SEEDS_MAX).any(|seeds| sealed_length(seeds) == length)
}

/// The first seed of a store.
pub(crate) fn first(keys: &Keys) -> Result<Vec<u8>, LockedError> {
    keys.seal(Use::Texts, &place(keys), Locked::random(KEY_LEN)?.expose())
}

/// The seeds, the newest first.
pub(crate) fn open(keys: &Keys, sealed: &[u8]) -> Result<Locked, OpenError> {
    keys.open_locked(Use::Texts, &place(keys), sealed)
}

/// A new seed, and behind it those that were there, sealed with other keys.
pub(crate) fn anew(old: &Keys, new: &Keys, sealed: &[u8], earlier: Earlier) -> Result<Vec<u8>, StoreError> {
    let fresh = Locked::random(KEY_LEN)?;
    if earlier == Earlier::Forgotten {
        return Ok(new.seal(Use::Texts, &place(new), fresh.expose())?);
    }
    let before = open(old, sealed).map_err(|error| match error {
        OpenError::Memory(error) => error.into(),
        OpenError::Not => StoreError::WrongKey { from: "the open store".to_owned(), store: old.store() },
    })?;
    if before.len() >= SEEDS_MAX * KEY_LEN {
        return Err(StoreError::SeedsFull);
    }
    let mut seeds = Locked::zeroed(KEY_LEN + before.len())?;
    let parts = fresh.expose().iter().chain(before.expose());
    seeds.expose_mut().iter_mut().zip(parts).for_each(|(byte, part)| *byte = *part);
    Ok(new.seal(Use::Texts, &place(new), seeds.expose())?)
}
