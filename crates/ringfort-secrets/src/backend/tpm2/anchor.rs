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
use crate::root::StoreId;
use crate::store::anchor::Anchor;

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

    /// What is to be kept.
    pub fn slot(&self) -> TpmAnchorSlot {
        TpmAnchorSlot { store: self.store, generation: self.generation, counter: self.counter.slot().clone() }
    }

    /// Removes its counter from the TPM.
    ///
    /// # Errors
    ///
    /// [`TpmError`]: it may still be there.
    pub fn remove(self) -> Result<(), TpmError> {
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
}

/// What a counter is bound to.
fn binding(store: StoreId, generation: u64, first: u64) -> [u8; DIGEST] {
    let hash = Sha256::new().chain_update(b"ringfort tpm2 anchor v1").chain_update(store.0);
    hash.chain_update(generation.to_be_bytes()).chain_update(first.to_be_bytes()).finalize().into()
}
