// SPDX-License-Identifier: MIT OR Apache-2.0
//! The newest generation of a store, remembered by a counter of the TPM.
//!
//! In: a store's id and generation. Out: an [`Anchor`] whose number no restored disk and no copied file takes back.
//!
//! **Invariant:** which generation the counter's first value stands for, and for which store, is part of the counter's name
//! in the TPM: the kept file is a pointer, and changing it changes nothing but that it is refused.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::counter::{TpmCounter, TpmCounterSlot};
use super::fault::{NAME, TpmError};
use super::session::DIGEST;
use super::source::TpmOptions;
use crate::root::{SlotData, StoreId};
use crate::store::anchor::Anchor;

/// Length of the mark of a store. Bytes.
const MARK: usize = 16;

/// What is kept of an anchor. It can be made again only by making a new anchor, as [`TpmAnchor::create`] does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TpmAnchorSlot {
    store: StoreId,
    /// The generation for which the counter's first value stands.
    generation: u64,
    counter: TpmCounterSlot,
}

/// A counter of the TPM that follows the generations of one store.
#[derive(Debug)]
pub struct TpmAnchor {
    store: StoreId,
    generation: u64,
    counter: TpmCounter,
}

impl TpmAnchor {
    /// A new one for `store`, which is at `generation` now. What [`TpmAnchor::slot`] gives has to be kept.
    ///
    /// # Errors
    ///
    /// [`TpmError`]: there is none.
    pub fn create(options: TpmOptions, store: StoreId, generation: u64) -> Result<Self, TpmError> {
        let counter = TpmCounter::create(options, |first| binding(store, generation, first))?;
        Ok(Self { store, generation, counter })
    }

    /// The one of which `slot` was kept.
    ///
    /// # Errors
    ///
    /// [`TpmError::Kept`]: the slot is of an unknown form. The TPM was not asked.
    pub fn open(options: TpmOptions, slot: TpmAnchorSlot) -> Result<Self, TpmError> {
        let counter = TpmCounter::open(options, slot.counter)?;
        Ok(Self { store: slot.store, generation: slot.generation, counter })
    }

    /// The one that a store names in its header, as [`Anchor::kept`] gave it.
    ///
    /// # Errors
    ///
    /// [`TpmError::Kept`]: it is none of a TPM, or of an unknown form. The TPM was not asked.
    pub fn named(options: TpmOptions, kept: &SlotData) -> Result<Self, TpmError> {
        if kept.source != NAME {
            return Err(TpmError::Kept(format!("the store names an anchor of `{}`", kept.source.escape_debug())));
        }
        let slot = TpmAnchorSlot::deserialize(&kept.data).map_err(|error| TpmError::Kept(error.to_string()))?;
        Self::open(options, slot)
    }

    /// What is to be kept.
    pub fn slot(&self) -> TpmAnchorSlot {
        TpmAnchorSlot { store: self.store, generation: self.generation, counter: self.counter.slot().clone() }
    }

    /// Removes its counter from the TPM.
    ///
    /// # Errors
    ///
    /// [`TpmError`]: it may still be there.
    pub fn remove(&self) -> Result<(), TpmError> {
        self.counter.remove()
    }

    fn binding(&self) -> [u8; DIGEST] {
        binding(self.store, self.generation, self.counter.first())
    }

    fn check(&self, store: &StoreId) -> Result<(), String> {
        if *store == self.store { Ok(()) } else { Err(format!("it follows another store ({})", self.store)) }
    }
}

impl Anchor for TpmAnchor {
    fn name(&self) -> &'static str {
        NAME
    }

    fn latest(&self, store: &StoreId) -> Result<Option<u64>, String> {
        self.check(store)?;
        let value = self.counter.read(&self.binding()).map_err(|error| error.message())?;
        let steps = value.checked_sub(self.counter.first()).ok_or("the counter is below its first value")?;
        self.generation.checked_add(steps).map(Some).ok_or_else(|| "the counter is out of range".to_owned())
    }

    fn advance(&self, store: &StoreId, generation: u64) -> Result<(), String> {
        self.check(store)?;
        let steps = generation.checked_sub(self.generation).ok_or("the generation is older than the anchor")?;
        let least = self.counter.first().checked_add(steps).ok_or("the generation is out of range")?;
        self.counter.raise(&self.binding(), least).map(drop).map_err(|error| error.message())
    }

    fn kept(&self) -> Option<SlotData> {
        // Numbers and texts: they always become JSON.
        let data = serde_json::to_value(self.slot()).unwrap_or_default();
        Some(SlotData { source: NAME.to_owned(), data })
    }

    fn settle(&self) -> Result<(), String> {
        self.counter.remove_others(&mark(self.store)).map_err(|error| error.message())
    }

    fn forget(&self) -> Result<(), String> {
        self.counter.remove().map_err(|error| error.message())
    }
}

/// What a counter is bound to: the mark of its store, then what its first value stands for.
fn binding(store: StoreId, generation: u64, first: u64) -> [u8; DIGEST] {
    let hash = Sha256::new().chain_update(b"ringfort tpm2 anchor v1").chain_update(store.0);
    let mut bound: [u8; DIGEST] =
        hash.chain_update(generation.to_be_bytes()).chain_update(first.to_be_bytes()).finalize().into();
    bound.iter_mut().zip(mark(store)).for_each(|(place, byte)| *place = byte);
    bound
}

/// The mark by which the counters of a store are found in a TPM.
fn mark(store: StoreId) -> [u8; MARK] {
    let hash = Sha256::new().chain_update(b"ringfort tpm2 anchor of store v1").chain_update(store.0).finalize();
    let mut mark = [0; MARK];
    mark.iter_mut().zip(hash).for_each(|(place, byte)| *place = byte);
    mark
}
