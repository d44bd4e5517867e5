// SPDX-License-Identifier: MIT OR Apache-2.0
//! When a secret was last given out: a small sealed file beside the store's, written now and then.
//!
//! In: ids and times. Out: the newest time of each, as far as is known.
//!
//! **Invariant:** nothing depends on it. It is written at most once a minute for each secret and is not synced; losing
//! it, or changing it (it is then not read), costs nothing but these times. The record of each use is in the trail.

use std::collections::BTreeMap;
use std::time::Duration;

use ringfort_core::clock::Timestamp;

use crate::store::error::StoreError;
use crate::store::folder::{Durability, Folder};
use crate::store::seal::{Keys, UID_LEN, Use, hex, unhex};

/// Name of the file.
const NAME: &str = "used";
/// What it is bound to, besides its key.
const PLACE: &[u8] = b"ringfort-store v1 used";
/// A use within this time of the one that is written down is not written down.
const GRAIN: Duration = Duration::from_secs(60);

/// Times by entry.
pub(crate) type Times = BTreeMap<[u8; UID_LEN], Timestamp>;

/// What is written down; nothing where there is no file, or none that these keys wrote.
pub(crate) fn read(folder: &Folder, keys: &Keys) -> Times {
    let read = || -> Option<Times> {
        let sealed = folder.read(NAME).ok()??;
        let plain = keys.open(Use::Used, PLACE, &sealed).ok()?;
        let times: BTreeMap<String, Timestamp> = serde_json::from_slice(&plain).ok()?;
        times.into_iter().map(|(uid, time)| Some((unhex(&uid)?, time))).collect()
    };
    read().unwrap_or_default()
}

/// Whether a use is worth writing down.
pub(crate) fn is_news(known: Option<Timestamp>, used: Timestamp) -> bool {
    known.is_none_or(|known| used >= known.after(GRAIN))
}

/// Removes what is written down. The caller holds the lock.
pub(crate) fn remove(folder: &Folder) -> Result<(), StoreError> {
    folder.remove(NAME)
}

/// Writes times down. The caller holds the lock.
pub(crate) fn write(folder: &Folder, keys: &Keys, times: &Times) -> Result<(), StoreError> {
    let times: BTreeMap<String, Timestamp> = times.iter().map(|(uid, time)| (hex(uid), *time)).collect();
    let sealed = keys.seal(Use::Used, PLACE, &serde_json::to_vec(&times).unwrap_or_default())?;
    folder.exchange(NAME, &sealed, Durability::Written)
}
