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

/// A slot whose root key is at hand, and opens the store.
#[derive(Debug)]
pub struct Reached {
    pub(crate) slot: Slot,
    root: Locked,
}

impl Reached {
    /// The source of its root key.
    pub fn source(&self) -> &str {
        &self.slot.data.source
    }

    /// The keys of the store whose slot it is.
    pub(crate) fn keys(&self, header: &Header) -> Result<Keys, StoreError> {
        let wrong = || StoreError::WrongKey { from: self.slot.data.source.clone(), store: header.store };
        let keys = unwrap(header.store, &self.slot, &self.root)?.ok_or_else(wrong)?;
        if keys.is_check(&header.check) { Ok(keys) } else { Err(wrong()) }
    }

    /// The same slot with another store key in it.
    pub(crate) fn rewrap(&self, store: StoreId, key: &Locked) -> Result<Slot, StoreError> {
        let wrapped = seal::wrap(store, &self.slot.data, &self.root, key)?;
        Ok(Slot { wrapped, ..self.slot.clone() })
    }
}

impl Header {
    /// The slots that `source` opens, each proven by the store key that it holds.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: it opens none, or could not be asked.
    pub fn reach(&self, source: &dyn RootKeySource) -> Result<Vec<Reached>, StoreError> {
        let (mut reached, mut refused) = (Vec::new(), None);
        for opened in each(self, source) {
            match opened {
                Ok((slot, _)) => reached.push(slot),
                Err(error) if is_other(&error) => refused = Some(error),
                Err(error) => return Err(error),
            }
        }
        if reached.is_empty() { Err(refused.unwrap_or_else(|| none(self, source))) } else { Ok(reached) }
    }
}

/// The store's keys, by the first slot that the root key of `source` opens.
pub(crate) fn keys(header: &Header, source: &dyn RootKeySource) -> Result<Keys, StoreError> {
    let mut refused = None;
    for opened in each(header, source) {
        match opened {
            Ok((_, keys)) => return Ok(keys),
            Err(error) if is_other(&error) => refused = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(refused.unwrap_or_else(|| none(header, source)))
}

/// Opens the slots of a source's own name, one after the other.
fn each<'a>(
    header: &'a Header,
    source: &'a dyn RootKeySource,
) -> impl Iterator<Item = Result<(Reached, Keys), StoreError>> + 'a {
    let wrong = || StoreError::WrongKey { from: source.key_source(), store: header.store };
    header.slots.iter().filter(|slot| slot.data.source == source.name()).map(move |slot| {
        let root = source.open(header.store, &slot.data)?;
        let keys = unwrap(header.store, slot, &root)?.filter(|keys| keys.is_check(&header.check));
        Ok((Reached { slot: slot.clone(), root }, keys.ok_or_else(wrong)?))
    })
}

/// Whether another slot of the same source may be the one for this key.
const fn is_other(error: &StoreError) -> bool {
    matches!(error, StoreError::WrongKey { .. } | StoreError::Root(RootKeyError::Wrong { .. }))
}

fn none(header: &Header, source: &dyn RootKeySource) -> StoreError {
    let slots = header.slots.iter().map(|slot| slot.data.source.clone()).collect();
    StoreError::NoSlot { from: source.key_source(), slots }
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
