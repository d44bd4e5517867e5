// SPDX-License-Identifier: MIT OR Apache-2.0
//! A counter in the TPM that only goes up.
//!
//! In: nothing. Out: its value, which no restart and no copied file takes back.
//!
//! **Invariant:** the counter that is read is the one that was made: its name covers its attributes, and one that was
//! removed and made again begins above every value that any counter of this TPM ever had. Each step wears the TPM's
//! memory (some 100,000 steps are safe), so it is for rare events: generations of a store, not reads.

use serde::{Deserialize, Serialize};

use super::fault::{Fault, TpmError};
use super::object::name_of;
use super::pcr::hexadecimal;
use super::session::{Cover, DIGEST, Session};
use super::source::TpmOptions;
use super::tpm::{Auth, Command, Entity, Purpose, Tpm};
use super::wire::{
    ALG_SHA256, Buffer, CC_NV_DEFINE_SPACE, CC_NV_INCREMENT, CC_NV_READ, CC_NV_READ_PUBLIC, CC_NV_UNDEFINE_SPACE,
    RH_OWNER,
};
use crate::locked::Locked;

/// The first index that is the owner's to give, and the mask of their number.
const FIRST_INDEX: u32 = 0x0180_0000;
const INDEX_MASK: u32 = 0x003F_FFFF;
/// How many indexes are tried for a free one.
const INDEX_TRIES: u32 = 8;
/// `TPMA_NV`: `AUTHWRITE`, `TPM_NT_COUNTER`, `AUTHREAD`, `NO_DA`; set by the TPM at the first step: `WRITTEN`.
const ATTRIBUTES: u32 = 1 << 2 | 1 << 4 | 1 << 18 | 1 << 25;
const WRITTEN: u32 = 1 << 29;
/// Most lists of indexes that are read, of some 30 each; a TPM has room for far fewer.
const LISTS_MAX: u32 = 64;
/// Length of the value. Bytes.
const VALUE: u16 = 8;
/// How often a counter is made again whose first value was another than it was bound to.
const BIND_TRIES: u32 = 4;
/// Length of the value that authorizes steps. Bytes.
const AUTH: usize = 16;
/// Most steps at once.
pub const STEPS_MAX: u64 = 256;
/// The form of [`TpmCounterSlot`].
const VERSION: u32 = 1;

/// What is kept of a counter: not secret but for the value that authorizes steps, which keeps other programs from making
/// them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TpmCounterSlot {
    version: u32,
    index: u32,
    name: String,
    auth: [u8; AUTH],
    /// Its first value.
    first: u64,
}

/// A counter in a TPM.
#[derive(Debug)]
pub struct TpmCounter {
    options: TpmOptions,
    slot: TpmCounterSlot,
}

impl TpmCounter {
    /// Makes a counter and takes its first step. `binding` gets the first value; its digest becomes part of the counter's
    /// name, so that what was bound to it cannot be changed later, by whoever writes the file in which it is kept.
    ///
    /// # Errors
    ///
    /// [`TpmError`]: there is none; a counter that was begun is removed again as far as the TPM answers.
    pub fn create(options: TpmOptions, binding: impl Fn(u64) -> [u8; DIGEST]) -> Result<Self, TpmError> {
        let auth = Locked::random(AUTH)?;
        let auth: [u8; AUTH] = auth.expose().try_into().map_err(|_| TpmError::TooLong)?;
        let owner = options.owner();
        let slot = options.with_parent(Purpose::Value, |tpm, _, session| {
            // A new counter begins above all that ever were; the first one only shows where that is.
            let mut bound = 0;
            for _ in 0..BIND_TRIES {
                let slot = begin(tpm, session, owner, auth, &binding(bound))?;
                if slot.first == bound {
                    return Ok(slot);
                }
                let (name, ..) = read_public(tpm, slot.index)?;
                undefine(tpm, session, owner, (slot.index, &name))?;
                bound = slot.first.saturating_add(1);
            }
            Err(TpmError::Refused { operation: "make a counter", fault: Fault::Busy })
        })?;
        Ok(Self { options, slot })
    }

    /// The counter of which `slot` was kept.
    ///
    /// # Errors
    ///
    /// [`TpmError::Kept`]: the slot is of another version. The TPM was not asked.
    pub fn open(options: TpmOptions, slot: TpmCounterSlot) -> Result<Self, TpmError> {
        if slot.version != VERSION || slot.index & !INDEX_MASK != FIRST_INDEX {
            return Err(TpmError::Kept("its counter is of an unknown form".to_owned()));
        }
        Ok(Self { options, slot })
    }

    /// What is to be kept.
    pub const fn slot(&self) -> &TpmCounterSlot {
        &self.slot
    }

    /// Its first value.
    pub const fn first(&self) -> u64 {
        self.slot.first
    }

    /// Its value, if it is bound to `binding`.
    ///
    /// # Errors
    ///
    /// [`TpmError`]; [`TpmError::AnotherTpm`] if the counter is gone or was made again.
    pub fn read(&self, binding: &[u8; DIGEST]) -> Result<u64, TpmError> {
        self.with_name(Some(binding), |tpm, session, name| {
            value(tpm, session, (self.slot.index, name), &self.slot.auth)
        })
    }

    /// Takes steps until its value is at least `least`, and gives the value.
    ///
    /// # Errors
    ///
    /// As [`TpmCounter::read`]; [`TpmError::Choice`] if that is more than [`STEPS_MAX`] away, and nothing was done. After
    /// another error some steps may have been taken.
    pub fn raise(&self, binding: &[u8; DIGEST], least: u64) -> Result<u64, TpmError> {
        self.with_name(Some(binding), |tpm, session, name| {
            let counter = (self.slot.index, name);
            let steps = least.saturating_sub(value(tpm, session, counter, &self.slot.auth)?);
            if steps > STEPS_MAX {
                return Err(TpmError::Choice(format!(
                    "the counter is {steps} steps behind; {STEPS_MAX} are made at once"
                )));
            }
            for _ in 0..steps {
                step(tpm, session, counter, &self.slot.auth)?;
            }
            value(tpm, session, counter, &self.slot.auth)
        })
    }

    /// Removes the counter from the TPM. Removing one that is gone succeeds.
    ///
    /// # Errors
    ///
    /// [`TpmError`]: it may still be there. One that was made again by others is not touched.
    pub fn remove(&self) -> Result<(), TpmError> {
        let removed = self.with_name(None, |tpm, session, name| {
            undefine(tpm, session, self.options.owner(), (self.slot.index, name))
        });
        match removed {
            Err(TpmError::AnotherTpm) => Ok(()),
            other => other,
        }
    }

    /// Removes every other counter whose binding begins with `tag`, such as one that was made when this one was out of
    /// reach.
    ///
    /// # Errors
    ///
    /// [`TpmError`]: some may still be there.
    pub(super) fn remove_others(&self, tag: &[u8]) -> Result<(), TpmError> {
        self.options.with_parent(Purpose::Value, |tpm, _, session| {
            let mut first = FIRST_INDEX;
            for _ in 0..LISTS_MAX {
                let listed = tpm.handles(first)?;
                for index in listed.iter().copied().filter(|index| index & !INDEX_MASK == FIRST_INDEX) {
                    let (name, attributes, bound) = match read_public(tpm, index) {
                        // With another hash it is somebody else's.
                        Err(TpmError::Malformed { .. }) => continue,
                        public => public?,
                    };
                    let is_ours = attributes & !WRITTEN == ATTRIBUTES && bound.starts_with(tag);
                    if is_ours && index != self.slot.index {
                        undefine(tpm, session, self.options.owner(), (index, &name))?;
                    }
                }
                match listed.last() {
                    Some(last) if last & !INDEX_MASK == FIRST_INDEX => first = last.saturating_add(1),
                    _ => return Ok(()),
                }
            }
            Err(TpmError::Malformed { what: "more counters than a TPM has room for" })
        })
    }

    fn with_name<T>(
        &self,
        binding: Option<&[u8; DIGEST]>,
        work: impl FnOnce(&mut Tpm, &mut Session, &[u8]) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        self.options.with_parent(Purpose::Value, |tpm, _, session| {
            let (name, _, bound) = read_public(tpm, self.slot.index).map_err(|error| match error.fault() {
                Some(Fault::Handle) => TpmError::AnotherTpm,
                _ => error,
            })?;
            if hexadecimal(&name) != self.slot.name {
                return Err(TpmError::AnotherTpm);
            }
            if binding.is_some_and(|binding| bound != binding) {
                return Err(TpmError::Kept("the counter is bound to something else".to_owned()));
            }
            work(tpm, session, &name)
        })
    }
}

/// Makes a counter and takes its first step: its name stays the same from then on.
fn begin(
    tpm: &mut Tpm,
    session: &mut Session,
    owner: &[u8],
    auth: [u8; AUTH],
    binding: &[u8; DIGEST],
) -> Result<TpmCounterSlot, TpmError> {
    let index = define(tpm, session, owner, (&auth, binding))?;
    let mut first_step = || {
        let (name, ..) = read_public(tpm, index)?;
        step(tpm, session, (index, &name), &auth)?;
        let (name, attributes, bound) = read_public(tpm, index)?;
        if attributes != ATTRIBUTES | WRITTEN || bound != binding {
            return Err(TpmError::Malformed { what: "a counter of another sort" });
        }
        let first = value(tpm, session, (index, &name), &auth)?;
        Ok(TpmCounterSlot { version: VERSION, index, name: hexadecimal(&name), auth, first })
    };
    let begun = first_step();
    if begun.is_err() {
        let (name, ..) = read_public(tpm, index)?;
        undefine(tpm, session, owner, (index, &name))?;
    }
    begun
}

/// Makes a counter at a free index.
fn define(
    tpm: &mut Tpm,
    session: &mut Session,
    owner: &[u8],
    (auth, binding): (&[u8], &[u8]),
) -> Result<u32, TpmError> {
    for _ in 0..INDEX_TRIES {
        let random = Locked::random(4)?.expose().try_into().map(u32::from_be_bytes).map_err(|_| TpmError::TooLong)?;
        let index = FIRST_INDEX | random & INDEX_MASK;
        let mut public = Buffer::new()?;
        public.u32(index).u16(ALG_SHA256).u32(ATTRIBUTES).sized(binding).u16(VALUE);
        let mut parameters = Buffer::new()?;
        parameters.sized(auth).sized(public.bytes()?);
        let entities = [Entity { handle: RH_OWNER, name: &RH_OWNER.to_be_bytes() }];
        let (code, operation) = (CC_NV_DEFINE_SPACE, "make a counter");
        let command = Command { code, operation, entities: &entities, parameters, gives_handle: false };
        match tpm.run(command, Auth::Session(session, owner, Cover::In)) {
            Err(error) if error.fault() == Some(Fault::NvDefined) => {}
            other => return other.map(|_| index),
        }
    }
    Err(TpmError::Refused { operation: "make a counter", fault: Fault::NvDefined })
}

/// The name of an NV index, computed here from its public part, its attributes, and what it is bound to.
fn read_public(tpm: &mut Tpm, index: u32) -> Result<(Vec<u8>, u32, Vec<u8>), TpmError> {
    let entities = [Entity { handle: index, name: &[] }];
    let (code, operation) = (CC_NV_READ_PUBLIC, "find the counter");
    let parameters = Buffer::new()?;
    let command = Command { code, operation, entities: &entities, parameters, gives_handle: false };
    let answer = tpm.run(command, Auth::Nothing)?;
    let public = answer.parameters()?.sized()?;
    let mut reader = super::wire::Reader::new(public);
    let (found, hash, attributes) = (reader.u32()?, reader.u16()?, reader.u32()?);
    if found != index || hash != ALG_SHA256 {
        return Err(TpmError::Malformed { what: "another NV index than was asked for" });
    }
    Ok((name_of(public), attributes, reader.sized()?.to_vec()))
}

fn step(tpm: &mut Tpm, session: &mut Session, counter: (u32, &[u8]), auth: &[u8]) -> Result<(), TpmError> {
    let entity = Entity { handle: counter.0, name: counter.1 };
    let parameters = Buffer::new()?;
    let (code, operation) = (CC_NV_INCREMENT, "count");
    let command = Command { code, operation, entities: &[entity, entity], parameters, gives_handle: false };
    tpm.run(command, Auth::Session(session, auth, Cover::Neither)).map(drop)
}

fn value(tpm: &mut Tpm, session: &mut Session, counter: (u32, &[u8]), auth: &[u8]) -> Result<u64, TpmError> {
    let entity = Entity { handle: counter.0, name: counter.1 };
    let mut parameters = Buffer::new()?;
    parameters.u16(VALUE).u16(0);
    let (code, operation) = (CC_NV_READ, "read the counter");
    let command = Command { code, operation, entities: &[entity, entity], parameters, gives_handle: false };
    let answer = tpm.run(command, Auth::Session(session, auth, Cover::Out))?;
    let mut value = super::wire::Reader::new(answer.parameters()?.sized()?);
    let number = value.u64()?;
    value.end()?;
    Ok(number)
}

fn undefine(tpm: &mut Tpm, session: &mut Session, owner: &[u8], counter: (u32, &[u8])) -> Result<(), TpmError> {
    let entities =
        [Entity { handle: RH_OWNER, name: &RH_OWNER.to_be_bytes() }, Entity { handle: counter.0, name: counter.1 }];
    let parameters = Buffer::new()?;
    let (code, operation) = (CC_NV_UNDEFINE_SPACE, "remove the counter");
    let command = Command { code, operation, entities: &entities, parameters, gives_handle: false };
    tpm.run(command, Auth::Session(session, owner, Cover::Neither)).map(drop)
}
