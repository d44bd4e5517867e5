// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM 2.0: root keys that only this machine opens, signing keys that never leave its chip, counters that only go up.
//!
//! In: the machine's TPM (or a software TPM, by configuration). Out: [`TpmSource`], a source of root keys;
//! [`TpmKeys`], a provider of keys; [`TpmCounter`] and [`TpmAnchor`], which remembers a store's newest generation.
//!
//! **Invariant:** secrets cross the bus encrypted under a session that is salted by the TPM's own storage key; that key is
//! compared with the one that made a blob, so another TPM is named as such; no handle stays in the TPM; nothing waits
//! longer than its timeout. There is no C library in this.

mod anchor;
mod counter;
mod fault;
mod keys;
mod object;
mod pcr;
mod session;
mod source;
mod tpm;
mod transport;
mod wire;

pub use anchor::{TpmAnchor, TpmAnchorSlot};
pub use counter::{STEPS_MAX, TpmCounter, TpmCounterSlot};
pub use fault::{Fault, TpmError};
pub use keys::TpmKeys;
pub use source::{PIN_BYTES_MIN, TpmOptions, TpmSource, usable};
pub use transport::TpmDevice;
