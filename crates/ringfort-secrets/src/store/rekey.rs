// SPDX-License-Identifier: MIT OR Apache-2.0
//! A new store key: everything in the store is sealed anew, and nothing beside it opens with the old one.
//!
//! In: slots whose root keys are at hand, and those that shall go. Out: the store under its new key.
//!
//! **Invariant:** every slot is wrapped anew or was named to go; without that nothing changes. The generation before is
//! removed first, then the file changes as a whole: at no moment does anything beside the new file open with the old key.

use crate::locked::Locked;
use crate::root::{KEY_LEN, SlotData};
use crate::store::error::StoreError;
use crate::store::seal::Keys;
use crate::store::slots::Reached;
use crate::store::write::{Before, before_it};
use crate::store::{Header, Slot, Vault, anchor, texts};

/// What becomes of texts that were sealed under earlier store keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// They open still.
    Kept,
    /// They open no more.
    Forgotten,
}

/// What a new store key changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rekeyed {
    /// The sources of the slots that open the store as before.
    pub kept: Vec<String>,
    /// The slots that are gone, for their sources' `forget`.
    pub dropped: Vec<SlotData>,
}

impl Vault {
    /// Gives the store a new store key, every value a new data key, and sealed texts a new seed. The slots in `reached`
    /// open it as before, those in `drop` no more. The generation before and a file that was put aside are removed.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: the old key still holds, unless it says so; the generation before may be gone.
    /// [`StoreError::OutOfReach`]: a slot is in neither list.
    pub fn rekey(&mut self, reached: &[Reached], drop: &[SlotData], earlier: Earlier) -> Result<Rekeyed, StoreError> {
        let keys = Keys::derive(self.id(), Locked::random(KEY_LEN)?)?;
        let begun = self.begin()?;
        let (slots, done) = rewrapped(self.header(), reached, drop, &keys)?;
        let mut next = self.state.sealed_anew(&self.keys, &keys)?;
        next.header.texts = texts::anew(&self.keys, &keys, &next.header.texts, earlier)?;
        next.header.slots = slots;
        next.header.check = keys.check;
        // Both keys find the record while the file changes from one to the other.
        let lines = [begun.record.line(&self.keys), begun.record.line(&keys)].concat();
        begun.folder.above()?.replace(&anchor::name_of(&begun.folder)?, &lines).map_err(before_it)?;
        self.finish(begun, next, Some(keys), Before::Removed)?;
        Ok(done)
    }
}

/// The slots as they will be. A slot that is not the very one that was reached counts as out of reach.
fn rewrapped(
    header: &Header,
    reached: &[Reached],
    drop: &[SlotData],
    keys: &Keys,
) -> Result<(Vec<Slot>, Rekeyed), StoreError> {
    let (mut slots, mut missing) = (Vec::new(), Vec::new());
    let mut done = Rekeyed { kept: Vec::new(), dropped: Vec::new() };
    for slot in &header.slots {
        let source = || slot.data.source.clone();
        if drop.contains(&slot.data) {
            done.dropped.push(slot.data.clone());
        } else if let Some(reached) = reached.iter().find(|reached| reached.slot == *slot) {
            slots.push(reached.rewrap(header.store, keys.root())?);
            done.kept.push(source());
        } else {
            missing.push(source());
        }
    }
    if !missing.is_empty() {
        return Err(StoreError::OutOfReach { sources: missing });
    }
    if slots.is_empty() {
        return Err(StoreError::Slot { index: 0, why: "nothing else opens the store" });
    }
    Ok((slots, done))
}
