// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tables: what is known about names, as lists of words.
//!
//! In: lists of words separated by blanks. Out: [`Table`], by name. **Invariant:** a name that is on no list has no
//! meaning.

use std::collections::HashMap;

/// What is known about each name.
pub(super) struct Table<M: 'static>(HashMap<&'static [u8], M>);

impl<M: Copy> Table<M> {
    /// Builds a table; a name that stands on several lists means what the last says.
    pub(super) fn new(lists: &[(M, &'static str)]) -> Self {
        let words = lists
            .iter()
            .flat_map(|(meaning, words)| words.split_ascii_whitespace().map(move |word| (word.as_bytes(), *meaning)));
        Self(words.collect())
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<M> {
        self.0.get(name).copied()
    }
}
