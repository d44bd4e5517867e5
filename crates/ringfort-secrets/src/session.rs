// SPDX-License-Identifier: MIT OR Apache-2.0
//! "Unlocked" between two processes: the store key, held in the kernel's key ring of this user.
//!
//! In: a store's id and key, limits. Out: the key while the store is unlocked, else why not.
//!
//! **Invariant:** the key is on no disk and in no process that waits. It expires by the kernel's own hand after the idle
//! time; it is given out only if the moments kept beside it show no break in time; "locked" is said only when a search
//! for it finds nothing.
//!
//! Every process of the same user outside a cage can read the key while it is held. A cage refuses key rings.

use linux_keyutils::{Key, KeyError};
use serde::{Deserialize, Serialize};

use crate::lock::{Event, Limits, LockState, Order, Why, step};
use crate::locked::{Locked, LockedError};
use crate::moment::{Moment, Moments};
use crate::root::{KEY_LEN, StoreId};
use crate::user_ring::{Removed, RingRefused, UserRing, during, expire, is_gone, words};

/// Longest note beside a key. Bytes.
const NOTE_MAX: usize = 4096;
/// The form of the note.
const FORM: u32 = 1;

/// Why nothing is known of the key ring, or nothing could be done with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// There is no kernel key ring for this process: a container without it, a kernel without it. Nothing is held.
    #[error("the kernel's key ring is not available here ({message}): each command asks for the key again")]
    Unavailable {
        /// What the kernel said.
        message: String,
    },
    /// The kernel refused. The key is not held by this call.
    #[error("cannot {operation} the kernel's key ring: {message}")]
    System {
        /// What was attempted.
        operation: &'static str,
        /// What the kernel said.
        message: String,
    },
    /// The store was to be locked and its key may still be held: it is not locked.
    #[error("the store could not be locked, its key may still be in the kernel's key ring: {message}")]
    StillHeld {
        /// What was seen; what to do.
        message: String,
    },
    /// The key that is held is not of its form.
    #[error("what the kernel's key ring holds for this store is not its key; it was removed")]
    Foreign,
    /// There is no memory for the key.
    #[error(transparent)]
    Memory(#[from] LockedError),
}

/// Why a store is not unlocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotHeld {
    /// It never was, or it was locked, or the kernel has let the key expire.
    Absent,
    /// It was unlocked until now and has been locked by this call.
    Locked(Why),
}

/// What is held.
#[derive(Debug)]
pub enum Held {
    /// The store key. Taking it counted as use.
    Key(Locked),
    /// Nothing.
    Not(NotHeld),
}

/// What is kept beside the key, in a key of its own: no secret.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    form: u32,
    limits: Limits,
    unlocked: Moment,
    used: Moment,
}

impl Note {
    fn state(&self) -> LockState {
        LockState::Unlocked { unlocked: self.unlocked.clone(), used: self.used.clone() }
    }
}

/// The name of a store's key.
fn key_name(store: StoreId) -> String {
    format!("ringfort:{store}")
}

/// The name of the note beside it.
fn note_name(store: StoreId) -> String {
    format!("ringfort:{store}:note")
}

impl From<RingRefused> for SessionError {
    fn from(RingRefused { operation, error }: RingRefused) -> Self {
        match error {
            // ENOSYS, or EPERM from a filter: a container.
            KeyError::OperationNotSupported
            | KeyError::PermissionDenied
            | KeyError::Unknown(libc::ENOSYS | libc::EPERM) => Self::Unavailable { message: words(error) },
            error => Self::System { operation, message: words(error) },
        }
    }
}

/// What is held of stores, in the key ring of the user.
struct Rings(UserRing);

impl Rings {
    fn open() -> Result<Self, SessionError> {
        Ok(Self(UserRing::open()?))
    }

    fn put(&self, name: &str, value: &[u8], limits: Limits) -> Result<(), SessionError> {
        Ok(self.0.put(name, value, Some(limits.idle()))?)
    }

    /// Removes what is under `name`. Says whether there was something.
    fn remove(&self, name: &str) -> Result<bool, SessionError> {
        match self.0.remove(name)? {
            Removed::Nothing => Ok(false),
            Removed::Gone => Ok(true),
            Removed::StillThere => {
                Err(SessionError::System { operation: "revoke a key of", message: "it can still be read".to_owned() })
            }
        }
    }

    fn note(&self, store: StoreId) -> Result<Option<Note>, SessionError> {
        let Some(key) = self.0.find(&note_name(store))? else { return Ok(None) };
        let mut bytes = vec![0; NOTE_MAX];
        let length = match key.read(&mut bytes) {
            Ok(length) => length,
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(during("read")(error).into()),
        };
        let note = bytes.get(..length).and_then(|bytes| serde_json::from_slice::<Note>(bytes).ok());
        Ok(note.filter(|note| note.form == FORM))
    }

    fn put_note(&self, store: StoreId, note: &Note) -> Result<(), SessionError> {
        let text = serde_json::to_vec(note)
            .map_err(|error| SessionError::System { operation: "describe", message: error.to_string() })?;
        self.put(&note_name(store), &text, note.limits)
    }

    /// The key, if it is there and of its form.
    fn key(&self, store: StoreId) -> Result<Option<(Key, Locked)>, SessionError> {
        let Some(key) = self.0.find(&key_name(store))? else { return Ok(None) };
        let mut bytes = Locked::zeroed(KEY_LEN)?;
        match key.read(&mut bytes.expose_mut()) {
            Ok(KEY_LEN) => Ok(Some((key, bytes))),
            Ok(_) => Err(SessionError::Foreign),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(during("read")(error).into()),
        }
    }

    /// Removes key and note, and looks whether the key is really gone.
    fn drop_all(&self, store: StoreId) -> Result<bool, SessionError> {
        let still = |error: SessionError| match error {
            unavailable @ SessionError::Unavailable { .. } => unavailable,
            error => SessionError::StillHeld { message: format!("{error}; `keyctl show @u` lists what is held") },
        };
        let was = self.remove(&key_name(store)).map_err(still)?;
        if self.0.find(&key_name(store)).map_err(|error| still(error.into()))?.is_some() {
            // Whoever unlocks at the same moment wins: then it is not locked.
            return Err(SessionError::StillHeld { message: "it was put there again at the same moment".to_owned() });
        }
        self.remove(&note_name(store)).ok();
        Ok(was)
    }
}

/// Holds `key` for `store` until it is locked or was not used for the idle time of `limits`.
///
/// # Errors
///
/// [`SessionError`]: it is not held.
pub fn hold(store: StoreId, key: &Locked, limits: Limits, moments: &dyn Moments) -> Result<(), SessionError> {
    if key.len() != KEY_LEN {
        return Err(SessionError::Foreign);
    }
    let rings = Rings::open()?;
    // Nothing of an earlier time may stand beside the new key.
    rings.drop_all(store)?;
    let now = moments.moment();
    rings.put_note(store, &Note { form: FORM, limits, unlocked: now.clone(), used: now })?;
    rings.put(&key_name(store), key.expose(), limits)
}

/// The key of `store`, if it is unlocked; taking it counts as use. If the idle time of `limits` (or of when it was
/// unlocked, whichever is shorter) is over, or time was broken since, it is locked instead.
///
/// # Errors
///
/// [`SessionError`]: no key is given out. [`SessionError::StillHeld`]: it was to be locked, and that failed.
pub fn held(store: StoreId, limits: Limits, moments: &dyn Moments) -> Result<Held, SessionError> {
    let rings = Rings::open()?;
    let (key, bytes) = match rings.key(store) {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(Held::Not(NotHeld::Absent)),
        Err(SessionError::Foreign) => {
            rings.drop_all(store)?;
            return Err(SessionError::Foreign);
        }
        Err(error) => return Err(error),
    };
    // A key without its note cannot be judged.
    let Some(mut note) = rings.note(store)? else {
        rings.drop_all(store)?;
        return Ok(Held::Not(NotHeld::Locked(Why::Again)));
    };
    note.limits = note.limits.strictest(limits);
    match step(note.state(), Event::Use(moments.moment()), note.limits) {
        (LockState::Unlocked { used, .. }, Order::Nothing) => {
            note.used = used;
            let refreshed = expire(key, note.limits.idle()).map_err(SessionError::from);
            let refreshed = refreshed.and_then(|()| rings.put_note(store, &note));
            if let Err(error) = refreshed {
                // A key that might never expire is worse than asking again.
                rings.drop_all(store)?;
                return Err(error);
            }
            Ok(Held::Key(bytes))
        }
        (_, Order::Lock(why)) => {
            rings.drop_all(store)?;
            Ok(Held::Not(NotHeld::Locked(why)))
        }
        (_, Order::Nothing) => {
            rings.drop_all(store)?;
            Ok(Held::Not(NotHeld::Locked(Why::Again)))
        }
    }
}

/// How `store` stands; looking is no use. What should be locked is locked.
///
/// # Errors
///
/// [`SessionError::Unavailable`]: nothing is held between processes here. Every other fault is [`LockState::Error`].
pub fn state(store: StoreId, limits: Limits, moments: &dyn Moments) -> Result<LockState, SessionError> {
    let rings = Rings::open()?;
    match look(&rings, store, limits, moments) {
        Ok(state) => Ok(state),
        Err(unavailable @ SessionError::Unavailable { .. }) => Err(unavailable),
        Err(error) => Ok(LockState::Error { fault: error.to_string() }),
    }
}

fn look(rings: &Rings, store: StoreId, limits: Limits, moments: &dyn Moments) -> Result<LockState, SessionError> {
    if rings.0.find(&key_name(store))?.is_none() {
        return Ok(LockState::Locked);
    }
    let (state, order) = match rings.note(store)? {
        Some(note) => step(note.state(), Event::Look(moments.moment()), note.limits.strictest(limits)),
        None => (LockState::Locked, Order::Lock(Why::Again)),
    };
    match order {
        Order::Nothing => Ok(state),
        Order::Lock(_) => {
            rings.drop_all(store)?;
            Ok(LockState::Locked)
        }
    }
}

/// Locks `store`: its key is revoked, and sought again to see that it is gone. Says whether it was held.
///
/// # Errors
///
/// [`SessionError::StillHeld`]: it is not locked. [`SessionError::Unavailable`]: nothing was held here.
pub fn drop_held(store: StoreId) -> Result<bool, SessionError> {
    Rings::open()?.drop_all(store)
}

#[cfg(test)]
mod tests;
