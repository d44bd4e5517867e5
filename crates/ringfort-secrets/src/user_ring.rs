// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel's key ring of this user, as both that keep keys in it use it.
//!
//! In: names, values. Out: keys that only their possessor reads.
//!
//! **Invariant:** a key becomes visible only with its rights and its end set, so that a process that is killed in between
//! leaves nothing that stays; what was removed is looked at again.

use std::time::Duration;

use linux_keyutils::{Key, KeyError, KeyPermissionsBuilder, KeyRing, KeyRingIdentifier, Permission};
use zeroize::Zeroize as _;

/// What the kernel refused.
#[derive(Debug)]
pub(crate) struct RingRefused {
    /// What was attempted; "the key ring" comes behind it.
    pub(crate) operation: &'static str,
    /// What the kernel said.
    pub(crate) error: KeyError,
}

/// What became of a key that was to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removed {
    /// There was none.
    Nothing,
    /// It is revoked.
    Gone,
    /// It was revoked and can still be read.
    StillThere,
}

/// The ring of this user, and of this thread a ring of its own that links to it: so this thread possesses what is in the
/// user's ring whatever session it was started in, and the keys need no rights for mere sharers of the user id.
pub(crate) struct UserRing {
    user: KeyRing,
    own: KeyRing,
}

pub(crate) fn during(operation: &'static str) -> impl Fn(KeyError) -> RingRefused {
    move |error| RingRefused { operation, error }
}

/// What the kernel said, in words; the error's own `Display` names its variant.
pub(crate) fn words(error: KeyError) -> String {
    let said = match error {
        KeyError::AccessDenied | KeyError::PermissionDenied => "it is not permitted",
        KeyError::QuotaExceeded => "the user's quota of keys is used up",
        KeyError::KeyDoesNotExist | KeyError::KeyringDoesNotExist => "there is no such key",
        KeyError::KeyExpired => "the key has expired",
        KeyError::KeyRevoked => "the key was revoked",
        KeyError::KeyRejected => "the key was rejected",
        KeyError::OutOfMemory => "there is no memory for it",
        KeyError::OperationNotSupported => "the kernel does not support it",
        KeyError::MissingFileOrDirectory => "there is no such type of key",
        KeyError::Unknown(libc::ENOSYS) => "the kernel has no such call, or a filter answers so",
        KeyError::Unknown(errno) => return std::io::Error::from_raw_os_error(errno).to_string(),
        KeyError::BadAddress
        | KeyError::InvalidArguments
        | KeyError::InvalidDescription
        | KeyError::InvalidIdentifier
        | KeyError::WriteError => "the kernel did not understand it",
    };
    said.to_owned()
}

/// Whether an error says that there is no such key any more.
pub(crate) fn is_gone(error: &KeyError) -> bool {
    matches!(error, KeyError::KeyDoesNotExist | KeyError::KeyExpired | KeyError::KeyRevoked)
}

impl UserRing {
    pub(crate) fn open() -> Result<Self, RingRefused> {
        let user = KeyRing::from_special_id(KeyRingIdentifier::User, true).map_err(during("open"))?;
        let own = KeyRing::from_special_id(KeyRingIdentifier::Thread, true).map_err(during("open"))?;
        own.link_keyring(user).map_err(during("reach"))?;
        Ok(Self { user, own })
    }

    pub(crate) fn find(&self, name: &str) -> Result<Option<Key>, RingRefused> {
        match self.user.search(name) {
            Ok(key) => Ok(Some(key)),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(during("search")(error)),
        }
    }

    /// Puts `value` under `name`, for `life` or until the machine restarts.
    pub(crate) fn put(&self, name: &str, value: &[u8], life: Option<Duration>) -> Result<(), RingRefused> {
        let key = self.own.add_key(name, value).map_err(during("add to"))?;
        let settled = protect(key)
            .and_then(|()| life.map_or(Ok(()), |life| expire(key, life)))
            .and_then(|()| self.user.link_key(key).map_err(during("add to")));
        let unlinked = self.own.unlink_key(key).map_err(during("tidy"));
        settled.and(unlinked).inspect_err(|_| {
            key.revoke().ok();
        })
    }

    /// Removes what is under `name`, and looks.
    pub(crate) fn remove(&self, name: &str) -> Result<Removed, RingRefused> {
        let Some(key) = self.find(name)? else { return Ok(Removed::Nothing) };
        key.revoke().map_err(during("revoke a key of"))?;
        // Revoked it opens nothing; the link is only tidied up.
        self.user.unlink_key(key).ok();
        let mut probe = [0_u8; 1];
        let is_readable = key.read(&mut probe).is_ok();
        probe.zeroize();
        Ok(if is_readable { Removed::StillThere } else { Removed::Gone })
    }
}

fn protect(key: Key) -> Result<(), RingRefused> {
    let possessor = Permission::VIEW
        | Permission::READ
        | Permission::WRITE
        | Permission::SEARCH
        | Permission::LINK
        | Permission::SETATTR;
    let permissions = KeyPermissionsBuilder::builder().posessor(possessor).user(Permission::VIEW).build();
    key.set_perms(permissions).map_err(during("protect a key of"))
}

pub(crate) fn expire(key: Key, life: Duration) -> Result<(), RingRefused> {
    let seconds = usize::try_from(life.as_secs().max(1)).unwrap_or(1);
    key.set_timeout(seconds).map_err(during("let expire a key of"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_said_in_words() {
        for error in [
            KeyError::AccessDenied,
            KeyError::QuotaExceeded,
            KeyError::KeyRejected,
            KeyError::WriteError,
            KeyError::Unknown(libc::ENOSYS),
            KeyError::Unknown(libc::EIO),
            KeyError::Unknown(-1),
        ] {
            let said = words(error);
            assert!(said.contains(' ') && !said.contains("Unknown("), "{said}");
        }
    }
}
