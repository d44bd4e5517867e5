// SPDX-License-Identifier: MIT OR Apache-2.0
//! The traits by which a crate of layer 1 uses a sibling that it cannot see.
//!
//! In: wired by the binary. Out: signatures, stored values, connections, opened secrets.
//!
//! **Invariant:** an implementation that cannot do what is asked returns an error; none of these has a default that
//! succeeds. The clock is in [`crate::clock`], effects are in [`crate::execute`].

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use crate::permit::Grant;
use crate::secret::Secret;

/// Why a signature could not be made. Nothing was signed.
#[derive(Debug, thiserror::Error)]
#[error("cannot sign with key `{key}`: {message}")]
pub struct SignError {
    /// Name of the key.
    pub key: String,
    /// What the key store said.
    pub message: String,
}

/// Signs with one key and one algorithm.
pub trait Sign: Send + Sync {
    /// Name of the key, as a verifier knows it.
    fn key_name(&self) -> &str;

    /// Signs `message`.
    ///
    /// # Errors
    ///
    /// [`SignError`]: nothing was signed.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// Keeps small values by name, durably.
pub trait Store: Send + Sync {
    /// The value of `key` in `table`, if there is one.
    ///
    /// # Errors
    ///
    /// The store cannot be read; the value may or may not exist.
    fn load(&self, table: &str, key: &str) -> io::Result<Option<Vec<u8>>>;

    /// Sets the value of `key` in `table`; durable when this returns.
    ///
    /// # Errors
    ///
    /// The old value is still there.
    fn save(&self, table: &str, key: &str, value: &[u8]) -> io::Result<()>;

    /// Removes `key` from `table`; removing what is not there succeeds.
    ///
    /// # Errors
    ///
    /// The old value is still there.
    fn remove(&self, table: &str, key: &str) -> io::Result<()>;
}

/// Opens connections to addresses that were judged.
pub trait Dial: Send + Sync {
    /// Starts to connect to `address`, under a permit that was redeemed for this connection. The socket does not block;
    /// it is connected once it is writable and reports no error. One grant serves every address of one name.
    ///
    /// # Errors
    ///
    /// No connection is open.
    fn dial(&self, grant: &Grant, address: SocketAddr) -> io::Result<OwnedFd>;
}

/// Why a sealed value of a configuration file could not be opened. Nothing of it was used.
#[derive(Debug, thiserror::Error)]
#[error("cannot open `{key}`: {message}")]
pub struct UnsealError {
    /// The dotted key.
    pub key: String,
    /// What is wrong, and what to do; never a part of the value.
    pub message: String,
}

/// Opens the sealed values of a configuration file, when they are used and not before.
pub trait Unseal: Send + Sync {
    /// The secret that the text at the dotted key `key` holds.
    ///
    /// # Errors
    ///
    /// [`UnsealError`]: the text belongs to another place, was changed, or its key is not to be had.
    fn open(&self, key: &str, text: &str) -> Result<Secret<String>, UnsealError>;
}
