// SPDX-License-Identifier: MIT OR Apache-2.0
//! The root key in the kernel's keyring of this user.
//!
//! In: nothing but the kernel. Out: root keys, whose random bytes lie in a key of the user's keyring.
//!
//! **Invariant:** the bytes are on no disk; only who possesses the keyring may read them, not every process that shares
//! the user id; a key with another length or another mark opens nothing. The kernel answers at once or not at all, so
//! there is no slow case.
//!
//! The kernel forgets the key at a restart, and some kernels when the user's last process ends. It is a convenience beside
//! another slot, never the only one that should be relied on.

use linux_keyutils::KeyError;

use super::Probe;
use super::kept::{Kept, new_name};
use crate::locked::Locked;
use crate::root::{KEY_LEN, RootKeyError, RootKeySource, SlotData, StoreId};
use crate::user_ring::{Removed, RingRefused, UserRing, during, is_gone, words};

/// Its name as a source.
pub const KEYUTILS: &str = "keyutils";
/// How much of a key is read: more than ours has, so that a longer one is noticed. Bytes.
const READ_MAX: usize = KEY_LEN * 2;

/// The kernel's keyring as a source.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyutilsSource;

impl From<RingRefused> for RootKeyError {
    fn from(RingRefused { operation, error }: RingRefused) -> Self {
        match error {
            KeyError::OperationNotSupported
            | KeyError::PermissionDenied
            | KeyError::AccessDenied
            | KeyError::Unknown(libc::ENOSYS | libc::EPERM) => {
                let message = format!(
                    "the kernel does not let this process {operation} its keyring ({}); containers often forbid it. \
                     Choose another backend",
                    words(error)
                );
                Self::Absent { source_name: KEYUTILS, message }
            }
            KeyError::QuotaExceeded => {
                let message =
                    "the user's quota of keys is used up; see `keyctl show @u` and /proc/key-users".to_owned();
                Self::Broken { source_name: KEYUTILS, message }
            }
            error => {
                let message = format!("the kernel could not {operation} its keyring: {}", words(error));
                Self::Broken { source_name: KEYUTILS, message }
            }
        }
    }
}

fn key_name(store: StoreId, name: &str) -> String {
    format!("ringfort-root:{store}:{name}")
}

fn remove(ring: &UserRing, name: &str) -> Result<(), RootKeyError> {
    match ring.remove(name)? {
        Removed::Nothing | Removed::Gone => Ok(()),
        Removed::StillThere => Err(RootKeyError::Broken {
            source_name: KEYUTILS,
            message: "the key is still there after it was revoked".to_owned(),
        }),
    }
}

impl KeyutilsSource {
    /// How it is found now. Changes nothing.
    pub fn probe(self) -> Probe {
        Probe::of(UserRing::open().map_err(RootKeyError::from))
    }

    fn found(ring: &UserRing, store: StoreId, kept: &Kept) -> Result<Locked, RootKeyError> {
        let gone = || RootKeyError::Absent {
            source_name: KEYUTILS,
            message:
                "the kernel has no key for this store: it forgets at every restart. Open the store with another key \
                      slot"
                    .to_owned(),
        };
        let key = ring.find(&key_name(store, &kept.name))?.ok_or_else(gone)?;
        let mut bytes = Locked::zeroed(READ_MAX)?;
        let length = match key.read(&mut bytes.expose_mut()) {
            Ok(length) => length,
            Err(error) if is_gone(&error) => return Err(gone()),
            Err(error) => return Err(during("read a key of")(error).into()),
        };
        let Some(read) = bytes.expose().get(..length).filter(|_| length == KEY_LEN) else {
            let message = format!("its key for this store has {length} bytes instead of {KEY_LEN}");
            return Err(RootKeyError::Broken { source_name: KEYUTILS, message });
        };
        let wrong = || RootKeyError::Wrong {
            source_name: KEYUTILS,
            message: "its key has another value than the store was made with".to_owned(),
        };
        kept.root_key(KEYUTILS, &Locked::copy_of(read)?, store)?.ok_or_else(wrong)
    }
}

impl RootKeySource for KeyutilsSource {
    fn name(&self) -> &'static str {
        KEYUTILS
    }

    fn key_source(&self) -> String {
        KEYUTILS.to_owned()
    }

    fn create(&self, store: StoreId) -> Result<(SlotData, Locked), RootKeyError> {
        let ring = UserRing::open()?;
        let bytes = Locked::random(KEY_LEN)?;
        let kept = Kept::new(KEYUTILS, new_name(KEYUTILS)?, &bytes, store)?;
        let name = key_name(store, &kept.name);
        ring.put(&name, bytes.expose(), None)?;
        // What cannot be read back now would be missing when the store is to be opened.
        let outcome = Self::found(&ring, store, &kept).and_then(|key| Ok((kept.slot(KEYUTILS)?, key)));
        outcome.inspect_err(|_| {
            remove(&ring, &name).ok();
        })
    }

    fn open(&self, store: StoreId, slot: &SlotData) -> Result<Locked, RootKeyError> {
        let kept = Kept::of(KEYUTILS, slot)?;
        Self::found(&UserRing::open()?, store, &kept)
    }

    fn forget(&self, store: StoreId, slot: &SlotData) -> Result<(), RootKeyError> {
        let kept = Kept::of(KEYUTILS, slot)?;
        remove(&UserRing::open()?, &key_name(store, &kept.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store of its own for each test, and whether there is a keyring. What is made is removed by the test.
    fn store() -> Option<StoreId> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).unwrap();
        if KeyutilsSource.probe() == Probe::Ready {
            return Some(StoreId(id));
        }
        #[expect(clippy::disallowed_methods, reason = "whether a skip is a fault is said from outside")]
        let strict = std::env::var_os("RINGFORT_TEST_NO_SKIP").is_some();
        assert!(!strict, "there is no keyring: {:?}", KeyutilsSource.probe());
        println!("skipped: {:?}", KeyutilsSource.probe());
        None
    }

    #[test]
    fn a_key_is_made_found_by_another_thread_and_forgotten() {
        let Some(store) = store() else { return };
        let (slot, key) = KeyutilsSource.create(store).unwrap();
        let copy = slot.clone();
        let again = std::thread::spawn(move || KeyutilsSource.open(store, &copy).unwrap()).join().unwrap();
        assert!(again.equals(key.expose()));
        let (second, other) = KeyutilsSource.create(store).unwrap();
        assert!(!other.equals(key.expose()));
        KeyutilsSource.forget(store, &slot).unwrap();
        KeyutilsSource.forget(store, &slot).unwrap();
        let error = KeyutilsSource.open(store, &slot).unwrap_err();
        assert!(
            matches!(error, RootKeyError::Absent { .. }) && error.to_string().contains("another key slot"),
            "{error}"
        );
        assert!(KeyutilsSource.open(store, &second).unwrap().equals(other.expose()));
        KeyutilsSource.forget(store, &second).unwrap();
    }

    #[test]
    fn deny_keys_that_are_not_the_slots() {
        let Some(store) = store() else { return };
        let (slot, _key) = KeyutilsSource.create(store).unwrap();
        let name = key_name(store, &Kept::of(KEYUTILS, &slot).unwrap().name);
        let ring = UserRing::open().unwrap();
        for (length, word) in [(KEY_LEN, "another value"), (KEY_LEN - 1, "31 bytes"), (200, "200 bytes")] {
            remove(&ring, &name).unwrap();
            ring.put(&name, Locked::random(length).unwrap().expose(), None).unwrap();
            let error = KeyutilsSource.open(store, &slot).unwrap_err();
            let expected = match length {
                KEY_LEN => matches!(error, RootKeyError::Wrong { .. }),
                _ => matches!(error, RootKeyError::Broken { .. }),
            };
            assert!(expected && error.to_string().contains(word), "{length}: {error}");
        }
        KeyutilsSource.forget(store, &slot).unwrap();
    }

    #[test]
    fn deny_keys_that_the_kernel_let_expire_or_revoked() {
        let Some(store) = store() else { return };
        let (slot, _key) = KeyutilsSource.create(store).unwrap();
        let name = key_name(store, &Kept::of(KEYUTILS, &slot).unwrap().name);
        let key = UserRing::open().unwrap().find(&name).unwrap().unwrap();
        key.revoke().unwrap();
        assert!(matches!(KeyutilsSource.open(store, &slot), Err(RootKeyError::Absent { .. })));
        assert!(matches!(KeyutilsSource.open(StoreId([0; 16]), &slot), Err(RootKeyError::Absent { .. })));
        KeyutilsSource.forget(store, &slot).unwrap();
    }

    /// What other processes of the user see: the name, not the value.
    #[test]
    fn deny_the_value_to_who_only_shares_the_user() {
        let Some(store) = store() else { return };
        let (slot, _key) = KeyutilsSource.create(store).unwrap();
        let name = key_name(store, &Kept::of(KEYUTILS, &slot).unwrap().name);
        let listed = std::fs::read_to_string("/proc/keys").unwrap();
        let line = listed.lines().find(|line| line.contains(&name)).expect("it is listed");
        assert!(line.contains(" 3f010000 "), "possessor everything, user only view: {line}");
        assert!(!line.contains("keyring"));
        KeyutilsSource.forget(store, &slot).unwrap();
    }
}
