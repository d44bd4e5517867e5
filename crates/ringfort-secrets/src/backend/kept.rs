// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a slot keeps of a key that lies elsewhere: its name there, and a mark by which it is known again.
//!
//! In: the random bytes that lie elsewhere, a store's id. Out: the slot's data; the root key, if the bytes are the slot's.
//!
//! **Invariant:** the mark says nothing of the bytes; bytes with another mark yield no key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::locked::{Locked, wiping};
use crate::root::{KEY_LEN, RootKeyError, SlotData, StoreId};

/// Length of the mark. Bytes.
const MARK_LEN: usize = 8;
/// Length of a name: random, in hexadecimal digits.
const NAME_LEN: usize = 32;

/// What a slot keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    /// The name of the key where it lies.
    pub(super) name: String,
    mark: String,
}

/// A new random name.
pub(super) fn new_name(source_name: &'static str) -> Result<String, RootKeyError> {
    let mut bytes = [0; NAME_LEN / 2];
    getrandom::fill(&mut bytes)
        .map_err(|error| RootKeyError::Broken { source_name, message: format!("there is no randomness: {error}") })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn derive(
    source_name: &'static str,
    bytes: &Locked,
    store: StoreId,
    what: &str,
    out: &mut [u8],
) -> Result<(), RootKeyError> {
    let label = format!("ringfort {source_name} 1: {what}");
    wiping(|| Hkdf::<Sha256>::new(Some(&store.0), bytes.expose()).expand(label.as_bytes(), out))
        .map_err(|error| RootKeyError::Broken { source_name, message: error.to_string() })
}

impl Kept {
    /// For the bytes that lie under `name`.
    pub(super) fn new(
        source_name: &'static str,
        name: String,
        bytes: &Locked,
        store: StoreId,
    ) -> Result<Self, RootKeyError> {
        let mut mark = [0; MARK_LEN];
        derive(source_name, bytes, store, "mark", &mut mark)?;
        Ok(Self { name, mark: STANDARD.encode(mark) })
    }

    /// Reads a slot.
    pub(super) fn of(source_name: &'static str, slot: &SlotData) -> Result<Self, RootKeyError> {
        if slot.source != source_name {
            let message = format!("the slot belongs to `{}`", slot.source.escape_debug());
            return Err(RootKeyError::Wrong { source_name, message });
        }
        let kept = Self::deserialize(&slot.data).map_err(|error| RootKeyError::Broken {
            source_name,
            message: format!("the slot cannot be read: {error}"),
        })?;
        if kept.name.len() == NAME_LEN && kept.name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(kept)
        } else {
            Err(RootKeyError::Broken { source_name, message: "the slot names no key of ours".to_owned() })
        }
    }

    /// The slot.
    pub(super) fn slot(&self, source_name: &'static str) -> Result<SlotData, RootKeyError> {
        let data = serde_json::to_value(self)
            .map_err(|error| RootKeyError::Broken { source_name, message: error.to_string() })?;
        Ok(SlotData { source: source_name.to_owned(), data })
    }

    /// The root key from `bytes`; `None` if they are not those of the slot.
    pub(super) fn root_key(
        &self,
        source_name: &'static str,
        bytes: &Locked,
        store: StoreId,
    ) -> Result<Option<Locked>, RootKeyError> {
        if bytes.len() != KEY_LEN {
            return Ok(None);
        }
        let expected = Self::new(source_name, self.name.clone(), bytes, store)?;
        if !bool::from(expected.mark.as_bytes().ct_eq(self.mark.as_bytes())) {
            return Ok(None);
        }
        let mut key = Locked::zeroed(KEY_LEN)?;
        derive(source_name, bytes, store, "root key", key.expose_mut())?;
        Ok(Some(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: StoreId = StoreId([7; 16]);

    #[test]
    fn deny_keys_to_other_bytes_and_other_stores() {
        let bytes = Locked::random(KEY_LEN).unwrap();
        let name = new_name("keyutils").unwrap();
        let kept = Kept::new("keyutils", name, &bytes, STORE).unwrap();
        let slot = kept.slot("keyutils").unwrap();
        let read = Kept::of("keyutils", &slot).unwrap();
        let key = read.root_key("keyutils", &bytes, STORE).unwrap().unwrap();
        assert!(!key.equals(bytes.expose()), "what lies elsewhere is not the root key itself");
        assert!(read.root_key("keyutils", &bytes, STORE).unwrap().unwrap().equals(key.expose()));
        assert!(read.root_key("keyutils", &bytes, StoreId([8; 16])).unwrap().is_none());
        assert!(read.root_key("secret-service", &bytes, STORE).unwrap().is_none());
        assert!(read.root_key("keyutils", &Locked::random(KEY_LEN).unwrap(), STORE).unwrap().is_none());
        assert!(read.root_key("keyutils", &Locked::zeroed(16).unwrap(), STORE).unwrap().is_none());
    }

    #[test]
    fn deny_slots_that_are_no_slots_of_ours() {
        let slot = |source: &str, data: serde_json::Value| SlotData { source: source.to_owned(), data };
        let name = "0".repeat(NAME_LEN);
        assert!(matches!(
            Kept::of("keyutils", &slot("tpm2", serde_json::json!({"name": name, "mark": ""}))),
            Err(RootKeyError::Wrong { .. })
        ));
        for data in [
            serde_json::json!(null),
            serde_json::json!({"name": name}),
            serde_json::json!({"name": name, "mark": "", "more": 1}),
            serde_json::json!({"name": "short", "mark": ""}),
            serde_json::json!({"name": "../".repeat(11), "mark": ""}),
        ] {
            assert!(matches!(Kept::of("keyutils", &slot("keyutils", data)), Err(RootKeyError::Broken { .. })));
        }
    }
}
