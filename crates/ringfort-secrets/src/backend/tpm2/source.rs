// SPDX-License-Identifier: MIT OR Apache-2.0
//! A root key that is sealed by the machine's TPM.
//!
//! In: a choice of PCRs and perhaps a PIN. Out: 32 random bytes that the TPM gives back on this machine, in this state, to
//! who knows the PIN.
//!
//! **Invariant:** what is sealed is opened once before the slot is given out, so that a slot which cannot be opened is never
//! written. A refusal names its cause: another TPM, another state of the machine, another PIN, a locked TPM.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::fault::{Fault, NAME, TpmError};
use super::object::{Blob, Guard, Loaded, Parent, Sort};
use super::pcr::{self, Pcr, hexadecimal};
use super::session::{Cover, Session};
use super::tpm::{Auth, Command, Purpose, Tpm, digest_of};
use super::transport::TpmDevice;
use super::wire::{Buffer, CC_UNSEAL};
use crate::locked::Locked;
use crate::root::{KEY_LEN, RootKeyError, RootKeySource, SOURCE_TIMEOUT, SlotData, StoreId};

/// The form of [`Slot`].
const SLOT_VERSION: u32 = 1;

/// Shortest PIN of a new key. Bytes; the TPM counts wrong ones, so that a short one does.
pub const PIN_BYTES_MIN: usize = 4;

/// Which TPM, and how long it may take.
#[derive(Debug)]
pub struct TpmOptions {
    /// The TPM.
    pub device: TpmDevice,
    /// Longest that one operation may take.
    pub timeout: Duration,
    /// The password of the owner hierarchy, where it has one (most have none). It crosses the bus in the clear.
    pub owner_password: Option<Locked>,
}

impl Default for TpmOptions {
    fn default() -> Self {
        Self { device: TpmDevice::default(), timeout: SOURCE_TIMEOUT, owner_password: None }
    }
}

impl TpmOptions {
    /// Opens the TPM for one operation.
    pub(super) fn open(&self) -> Result<Tpm, TpmError> {
        Tpm::open(&self.device, self.timeout)
    }

    /// The password of the owner hierarchy.
    pub(super) fn owner(&self) -> &[u8] {
        self.owner_password.as_ref().map_or(&[], Locked::expose)
    }

    /// Opens the TPM and does `work` with its storage key and a session.
    pub(super) fn with_parent<T>(
        &self,
        purpose: Purpose,
        work: impl FnOnce(&mut Tpm, &Parent, &mut Session) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        self.open()?.with_parent(self.owner(), |tpm, parent| {
            tpm.with_session(parent, purpose, |tpm, session| work(tpm, parent, session))
        })
    }
}

/// Whether the TPM is there and makes the storage key without a password; says where it is. Nothing stays in it.
///
/// # Errors
///
/// [`RootKeyError`]: it is not usable here, with the reason.
pub fn usable(options: &TpmOptions) -> Result<String, RootKeyError> {
    options.with_parent(Purpose::Value, |_, _, _| Ok(()))?;
    Ok(place(&options.device))
}

/// A root key that the TPM seals.
#[derive(Debug)]
pub struct TpmSource {
    options: TpmOptions,
    pcrs: Vec<u8>,
    pin: Option<Locked>,
}

/// What is kept beside the store.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Slot {
    version: u32,
    blob: Blob,
    /// The PCRs that must have these values; none without a policy.
    pcrs: Vec<Pcr>,
    /// Whether a PIN is needed.
    pin: bool,
    /// The digest of the policy, in hexadecimal; empty without one.
    policy: String,
}

impl TpmSource {
    /// The TPM of `options`. A new key is sealed to the present values of `pcrs` (SHA-256 bank; none: to no state) and needs
    /// `pin`, if there is one; an existing key needs what it was sealed to.
    pub const fn new(options: TpmOptions, pcrs: Vec<u8>, pin: Option<Locked>) -> Self {
        Self { options, pcrs, pin }
    }

    /// Whether what was kept in `slot` opens with a PIN only. Nothing in it is proven.
    pub fn needs_pin(slot: &SlotData) -> bool {
        slot.source == NAME && Slot::deserialize(&slot.data).is_ok_and(|slot| slot.pin)
    }

    /// The authorization value that stands for the PIN: bound to the store, and as long as the TPM takes. Empty for a key
    /// that needs none.
    fn authorization(&self, store: StoreId, needed: bool) -> Result<Locked, TpmError> {
        let Some(pin) = self.pin.as_ref().filter(|_| needed) else { return Ok(Locked::zeroed(0)?) };
        let mut mac = Hmac::<Sha256>::new_from_slice(pin.expose()).map_err(|_| TpmError::TooLong)?;
        mac.update(b"ringfort tpm2 pin v1");
        mac.update(&store.0);
        let value = zeroize::Zeroizing::new(<[u8; 32]>::from(mac.finalize().into_bytes()));
        Ok(Locked::copy_of(value.as_slice())?)
    }

    fn seal(&self, store: StoreId) -> Result<(SlotData, Locked), TpmError> {
        let list = pcr::checked(&self.pcrs)?;
        if self.pin.as_ref().is_some_and(|pin| pin.len() < PIN_BYTES_MIN) {
            return Err(TpmError::Choice(format!("a PIN has at least {PIN_BYTES_MIN} bytes")));
        }
        let key = Locked::random(KEY_LEN)?;
        let pin = self.pin.is_some();
        let auth = self.authorization(store, pin)?;
        let slot = self.options.with_parent(Purpose::Value, |tpm, parent, session| {
            let values = tpm.read_pcrs(&list)?;
            let policy = (pin || !list.is_empty()).then(|| pcr::policy(&list, &values, pin));
            let guard = Guard { policy, counted: pin };
            let blob = tpm.create(parent, session, Sort::Sealed, &guard, (auth.expose(), key.expose()))?;
            let pcrs = list.iter().zip(&values).map(|(index, value)| Pcr { index: *index, value: hexadecimal(value) });
            let policy = policy.map_or_else(String::new, |digest| hexadecimal(&digest));
            Ok(Slot { version: SLOT_VERSION, blob, pcrs: pcrs.collect(), pin, policy })
        })?;
        if !self.unseal(store, &slot)?.equals(key.expose()) {
            return Err(TpmError::Malformed { what: "another key than was sealed" });
        }
        let data = serde_json::to_value(&slot).map_err(|error| TpmError::Kept(error.to_string()))?;
        Ok((SlotData { source: NAME.to_owned(), data }, key))
    }

    fn unseal(&self, store: StoreId, slot: &Slot) -> Result<Locked, TpmError> {
        let auth = self.authorization(store, slot.pin)?;
        let list: Vec<u8> = slot.pcrs.iter().map(|pcr| pcr.index).collect();
        if pcr::checked(&list)? != list {
            return Err(TpmError::Kept("its PCRs are not in order".to_owned()));
        }
        self.options.with_parent(Purpose::Value, |tpm, parent, session| {
            tpm.with_loaded(parent, session, &slot.blob, |tpm, session, loaded| {
                if slot.pin || !list.is_empty() {
                    unseal_by_policy(tpm, parent, slot, &list, (loaded, auth.expose()))
                } else {
                    unseal(tpm, session, loaded, auth.expose())
                }
            })
        })
    }

    fn read_slot(&self, slot: &SlotData) -> Result<Slot, RootKeyError> {
        let wrong = |message: String| RootKeyError::Wrong { source_name: NAME, message };
        if slot.source != NAME {
            return Err(wrong(format!("the slot was made by `{}`", slot.source.escape_debug())));
        }
        let read: Slot =
            serde_json::from_value(slot.data.clone()).map_err(|error| wrong(format!("its data: {error}")))?;
        if read.version != SLOT_VERSION {
            return Err(wrong(format!("its data has the version {}, known is {SLOT_VERSION}", read.version)));
        }
        if read.pin && self.pin.is_none() {
            return Err(RootKeyError::Locked { source_name: NAME, message: "its PIN is needed".to_owned() });
        }
        Ok(read)
    }
}

impl RootKeySource for TpmSource {
    fn name(&self) -> &'static str {
        NAME
    }

    fn key_source(&self) -> String {
        format!("tpm2:{}", place(&self.options.device))
    }

    fn create(&self, store: StoreId) -> Result<(SlotData, Locked), RootKeyError> {
        Ok(self.seal(store)?)
    }

    fn open(&self, store: StoreId, slot: &SlotData) -> Result<Locked, RootKeyError> {
        Ok(self.unseal(store, &self.read_slot(slot)?)?)
    }

    /// Nothing is kept in the TPM: the sealed key is in the slot.
    fn forget(&self, _store: StoreId, _slot: &SlotData) -> Result<(), RootKeyError> {
        Ok(())
    }
}

/// Lets the TPM open what is loaded; the key crosses the bus encrypted.
fn unseal(tpm: &mut Tpm, session: &mut Session, loaded: &Loaded, auth: &[u8]) -> Result<Locked, TpmError> {
    let entities = [loaded.entity()];
    let parameters = Buffer::new()?;
    let command =
        Command { code: CC_UNSEAL, operation: "unseal the key", entities: &entities, parameters, gives_handle: false };
    let answer = tpm.run(command, Auth::Session(session, auth, Cover::Out))?;
    let mut reader = answer.parameters()?;
    let key = digest_of(reader.sized()?, "a root key of another length")?;
    reader.end()?;
    Ok(key)
}

/// The same under the policy of the slot; says which PCRs differ if it is not fulfilled.
fn unseal_by_policy(
    tpm: &mut Tpm,
    parent: &Parent,
    slot: &Slot,
    list: &[u8],
    (loaded, auth): (&Loaded, &[u8]),
) -> Result<Locked, TpmError> {
    let result = tpm.with_session(parent, Purpose::Policy, |tpm, session| {
        if !list.is_empty() {
            tpm.policy_pcr(session, &pcr::selection(list))?;
        }
        if slot.pin {
            tpm.policy_auth_value(session)?;
        }
        unseal(tpm, session, loaded, auth)
    });
    match result {
        Err(error) if error.fault() == Some(Fault::Policy) => {
            let differing = pcr::differing(&slot.pcrs, &tpm.read_pcrs(list)?);
            Err(if differing.is_empty() { error } else { TpmError::AnotherState(format!("PCR {differing} differs")) })
        }
        other => other,
    }
}

fn place(device: &TpmDevice) -> String {
    match device {
        TpmDevice::Machine => "machine".to_owned(),
        TpmDevice::File(path) => path.display().to_string(),
        TpmDevice::Loopback(port) => format!("127.0.0.1:{port} (software)"),
    }
}
