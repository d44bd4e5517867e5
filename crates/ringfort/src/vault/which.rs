// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two stores of the state folder: the secrets, and the private halves of keys.
//!
//! In: which of the two. Out: where it is, how it is named in messages and commands.
//!
//! **Invariant:** the store of the keys opens without a person, as keys sign when nobody is there: no source that asks
//! somebody is ever given a slot of it.

use ringfort_secrets::keys::place;

/// Which of the two stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The secrets.
    Secrets,
    /// The private halves of keys.
    Keys,
}

impl Which {
    /// Its command, and the first word of its events.
    pub(crate) const fn command(self) -> &'static str {
        match self {
            Self::Secrets => "secrets",
            Self::Keys => "keys",
        }
    }

    /// The store, in words.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Secrets => "the store of secrets",
            Self::Keys => "the store of the keys",
        }
    }

    /// So many of what is in it.
    pub(crate) fn counted(self, count: usize) -> String {
        let one = match self {
            Self::Secrets => "secret",
            Self::Keys => "key",
        };
        format!("{count} {one}{}", if count == 1 { "" } else { "s" })
    }

    /// What makes its first entry.
    pub(super) const fn first(self) -> &'static str {
        match self {
            Self::Secrets => "`ringfort secrets set ID` stores the first one, and asks for its value",
            Self::Keys => "`ringfort keys generate NAME` makes the first one",
        }
    }

    /// Its folder in the state folder.
    pub(super) const fn folder(self) -> &'static str {
        match self {
            Self::Secrets => "secrets",
            Self::Keys => place::FOLDER,
        }
    }

    /// Its key file, in the folder of keys.
    pub(super) const fn key_file(self) -> &'static str {
        match self {
            Self::Secrets => "secrets.key",
            Self::Keys => place::KEY_FILE_NAME,
        }
    }
}
