// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which anchor follows a store: named in the store's own header, so that no file beside it decides whether one is asked.
//!
//! In: an open store, an anchor. Out: the next generation, which names it.
//!
//! **Invariant:** a store that names an anchor is opened and written only by who asks that very one. What the header names
//! is proven by the store key, as everything in it.

use std::sync::Arc;
use std::time::Duration;

use crate::root::StoreId;
use crate::store::anchor::Anchor;
use crate::store::error::StoreError;
use crate::store::folder::Folder;
use crate::store::format::Header;
use crate::store::write::{Before, is_undone};
use crate::store::{Options, Vault};

/// Makes an anchor for the generation of a store that is about to be written.
pub type MakeAnchor<'a> = &'a dyn Fn(StoreId, u64) -> Result<Arc<dyn Anchor>, String>;

/// Whether the anchor that the header names is the one that is asked.
pub(crate) fn is_asked(header: &Header, options: &Options) -> Result<(), StoreError> {
    let asked = options.anchor.as_ref().and_then(|anchor| anchor.kept());
    if header.anchor == asked {
        return Ok(());
    }
    let message = match (&header.anchor, asked) {
        (Some(_), None) => "the store names one, and it was not asked",
        (None, Some(_)) => "the store names none",
        _ => "the store names another one than was asked",
    };
    Err(StoreError::Anchor { name: "its anchor", message: message.to_owned() })
}

impl Vault {
    /// Lets an anchor follow the store from its next generation on, which is written here. The one that did before is
    /// asked a last time, and then removed as far as it can be.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: the store is followed as before, unless it says so; the new anchor was removed again.
    pub fn follow(&mut self, make: MakeAnchor<'_>) -> Result<(), StoreError> {
        let begun = self.begin()?;
        let generation = self.generation().checked_add(1).ok_or(StoreError::Full)?;
        let made = make(self.id(), generation);
        let anchor = made.map_err(|message| StoreError::Anchor { name: "its anchor", message })?;
        self.exchange_anchor(begun, Some(anchor))
    }

    /// Lets no anchor follow the store any more.
    ///
    /// # Errors
    ///
    /// As [`Vault::follow`].
    pub fn unfollow(&mut self) -> Result<(), StoreError> {
        let begun = self.begin()?;
        self.exchange_anchor(begun, None)
    }

    /// Lets the anchor, which knows `latest`, follow a file whose writer died before it could. Failing changes nothing: the
    /// next write does it.
    pub(crate) fn heal_anchor(&self, folder: &Folder, latest: Option<u64>) {
        if latest.is_none_or(|latest| latest >= self.generation()) {
            return;
        }
        // A writer that is at work tells it itself; two at once would count too far.
        if let Ok(_lock) = folder.lock(Duration::ZERO) {
            self.tell_anchor().unwrap_or_default();
        }
    }

    fn exchange_anchor(&mut self, begun: super::write::Begun, new: Option<Arc<dyn Anchor>>) -> Result<(), StoreError> {
        let mut next = self.state.clone();
        next.header.anchor = new.as_ref().and_then(|anchor| anchor.kept());
        let before = std::mem::replace(&mut self.options.anchor, new);
        let done = self.finish(begun, next, None, Before::Kept);
        let unused = if done.as_ref().is_err_and(is_undone) {
            std::mem::replace(&mut self.options.anchor, before)
        } else {
            before
        };
        if let Some(unused) = unused {
            // The error that is told is the first one; whatever is left is sought once more below.
            unused.forget().unwrap_or_default();
        }
        done?;
        let Some(anchor) = &self.options.anchor else { return Ok(()) };
        anchor.settle().map_err(|message| StoreError::AnchorBehind { message: format!("{}: {message}", anchor.name()) })
    }
}
