// SPDX-License-Identifier: MIT OR Apache-2.0
//! The backend `env`: secrets in the memory of this process, and those that its environment names.
//!
//! In: values that are set, and the environment as it was when the process started. Out: values, in locked memory.
//!
//! **Invariant:** it writes nothing anywhere, so that what is set ends with the process; reading the environment again
//! forgets nothing that was set.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::SecretId;
use crate::locked::{Locked, LockedError};

/// Most values. A process that keeps more has another purpose.
pub const ENTRIES_MAX: usize = 10_000;

/// Why a value was not kept. What was kept before still is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// There are too many.
    #[error("memory already keeps {ENTRIES_MAX} secrets")]
    Full,
    /// A value without a byte.
    #[error("the value of `{id}` is empty")]
    Empty {
        /// The secret.
        id: SecretId,
    },
    /// There is no memory for it.
    #[error(transparent)]
    Memory(#[from] LockedError),
}

/// Secrets of this process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    set: BTreeMap<SecretId, Locked>,
    environment: BTreeMap<SecretId, Locked>,
    deleted: BTreeSet<SecretId>,
}

impl MemoryStore {
    /// A store of nothing.
    pub const fn new() -> Self {
        Self { set: BTreeMap::new(), environment: BTreeMap::new(), deleted: BTreeSet::new() }
    }

    /// Keeps `value`, whole: blanks and line ends are part of it.
    ///
    /// # Errors
    ///
    /// [`MemoryError`]: nothing was changed.
    pub fn set(&mut self, id: &SecretId, value: &[u8]) -> Result<(), MemoryError> {
        if value.is_empty() {
            return Err(MemoryError::Empty { id: id.clone() });
        }
        if self.set.len() >= ENTRIES_MAX && !self.set.contains_key(id) {
            return Err(MemoryError::Full);
        }
        self.set.insert(id.clone(), Locked::copy_of(value)?);
        self.deleted.remove(id);
        Ok(())
    }

    /// The value of exactly this id.
    pub fn get(&self, id: &SecretId) -> Option<&Locked> {
        self.set.get(id).or_else(|| self.environment.get(id).filter(|_| !self.deleted.contains(id)))
    }

    /// Forgets a value; whether there was one. One from the environment stays forgotten when the environment is read
    /// again.
    pub fn delete(&mut self, id: &SecretId) -> bool {
        let was = self.get(id).is_some();
        self.set.remove(id);
        if self.environment.contains_key(id) {
            self.deleted.insert(id.clone());
        }
        was
    }

    /// The ids, sorted.
    pub fn list(&self) -> Vec<&SecretId> {
        let from_environment = self.environment.keys().filter(|id| !self.deleted.contains(*id));
        self.set.keys().chain(from_environment).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Takes what the environment names now. What was set here stays.
    ///
    /// # Errors
    ///
    /// [`MemoryError`]: nothing was changed.
    pub fn reload<'a>(&mut self, named: impl IntoIterator<Item = (SecretId, &'a [u8])>) -> Result<usize, MemoryError> {
        let mut environment = BTreeMap::new();
        for (id, value) in named {
            if environment.len() >= ENTRIES_MAX {
                return Err(MemoryError::Full);
            }
            if !value.is_empty() {
                environment.insert(id, Locked::copy_of(value)?);
            }
        }
        self.environment = environment;
        Ok(self.environment.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> SecretId {
        text.parse().unwrap()
    }

    #[test]
    fn a_reload_forgets_nothing_that_was_set() {
        let mut store = MemoryStore::new();
        store.set(&id("a.key"), b" with blanks \n").unwrap();
        store.reload([(id("b.key"), &b"one"[..]), (id("a.key"), &b"other"[..]), (id("c.key"), &b""[..])]).unwrap();
        assert_eq!(store.list(), [&id("a.key"), &id("b.key")]);
        assert!(store.get(&id("a.key")).unwrap().equals(b" with blanks \n"), "what was set here comes first");
        store.reload([]).unwrap();
        assert!(store.get(&id("a.key")).unwrap().equals(b" with blanks \n"));
        assert!(store.get(&id("b.key")).is_none(), "the environment no longer names it");
    }

    #[test]
    fn deny_values_after_their_deletion_and_ids_that_are_only_alike() {
        let mut store = MemoryStore::new();
        store.reload([(id("a.key"), &b"one"[..])]).unwrap();
        store.set(&id("a.key"), b"two").unwrap();
        assert!(store.delete(&id("a.key")) && !store.delete(&id("a.key")));
        store.reload([(id("a.key"), &b"one"[..])]).unwrap();
        assert!(store.get(&id("a.key")).is_none() && store.list().is_empty());
        store.set(&id("a.key"), b"three").unwrap();
        for other in ["a", "A.key", "a.key.b", "a.keys"] {
            assert!(store.get(&id(other)).is_none(), "{other}");
        }
        assert!(matches!(store.set(&id("b"), b""), Err(MemoryError::Empty { .. })));
    }
}
