// SPDX-License-Identifier: MIT OR Apache-2.0
//! The slots of a store: each wraps the one store key with the root key of a source.
//!
//! In: a header and a source. Out: the store's keys; new slots.
//!
//! **Invariant:** only slots of the source's own name are tried; a source that fails is not replaced by another one.

use ringfort_core::clock::Timestamp;

use crate::locked::Locked;
use crate::root::{RootKeyError, RootKeySource, SlotData, StoreId};
use crate::store::error::StoreError;
use crate::store::format::{Header, SLOT_BYTES_MAX, Slot};
use crate::store::seal::{self, Keys, OpenError};

/// Longest name of a source. Bytes.
const SOURCE_BYTES_MAX: usize = 64;

/// The store's keys, by the first slot that the root key of `source` opens.
pub(crate) fn keys(header: &Header, source: &dyn RootKeySource) -> Result<Keys, StoreError> {
    let mut refused = None;
    for slot in header.slots.iter().filter(|slot| slot.data.source == source.name()) {
        match source.open(header.store, &slot.data) {
            Ok(root) => match unwrap(header.store, slot, &root)? {
                Some(keys) if keys.is_check(&header.check) => return Ok(keys),
                _ => refused = Some(StoreError::WrongKey { from: source.key_source(), store: header.store }),
            },
            // Another slot of the same source may be the one for this key.
            Err(error @ RootKeyError::Wrong { .. }) => refused = Some(error.into()),
            Err(error) => return Err(error.into()),
        }
    }
    let slots = || header.slots.iter().map(|slot| slot.data.source.clone()).collect();
    Err(refused.unwrap_or_else(|| StoreError::NoSlot { from: source.key_source(), slots: slots() }))
}

fn unwrap(store: StoreId, slot: &Slot, root: &Locked) -> Result<Option<Keys>, StoreError> {
    match seal::unwrap(store, &slot.data, root, &slot.wrapped) {
        Ok(key) => Ok(Some(Keys::derive(store, key)?)),
        Err(OpenError::Not) => Ok(None),
        Err(OpenError::Memory(error)) => Err(error.into()),
    }
}

/// A new slot for `source`. When the caller fails to keep it, it calls `forget`.
pub(crate) fn make(
    store: StoreId,
    key: &Locked,
    source: &dyn RootKeySource,
    made: Timestamp,
) -> Result<Slot, StoreError> {
    let (data, root) = source.create(store)?;
    let slot = check(&data, source).and_then(|()| Ok(seal::wrap(store, &data, &root, key)?));
    match slot {
        Ok(wrapped) => Ok(Slot { data, made, wrapped }),
        Err(error) => {
            // The error that is told is the first one.
            source.forget(store, &data).unwrap_or_default();
            Err(error)
        }
    }
}

/// Whether what a source wants to keep can be kept, and comes back as it was.
fn check(data: &SlotData, source: &dyn RootKeySource) -> Result<(), StoreError> {
    let refuse = |why| Err(StoreError::SlotData { from: source.key_source(), why });
    if data.source != source.name() || data.source.len() > SOURCE_BYTES_MAX {
        return refuse("it does not carry the source's own name");
    }
    let Ok(bytes) = serde_json::to_vec(data) else { return refuse("it is no JSON") };
    if bytes.len() > SLOT_BYTES_MAX {
        return refuse("it is too long");
    }
    match serde_json::from_slice::<SlotData>(&bytes) {
        Ok(again) if again == *data && serde_json::to_vec(&again).is_ok_and(|again| again == bytes) => Ok(()),
        _ => refuse("it does not read as it was written"),
    }
}
