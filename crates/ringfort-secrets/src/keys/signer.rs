// SPDX-License-Identifier: MIT OR Apache-2.0
//! One key of the ring, for whoever needs a signature and knows nothing of rings.
//!
//! In: messages. Out: signatures of the key's newest version.
//!
//! **Invariant:** a schedule, an audit and a failure mean here what they mean in the ring.

use std::sync::Arc;

use ringfort_core::traits::{Sign, SignError};

use super::record::KeyName;
use super::ring::KeyRing;

/// Signs with one key.
#[derive(Clone, Debug)]
pub struct Signer {
    ring: Arc<KeyRing>,
    name: KeyName,
}

impl Signer {
    /// Signs with the key `name` of `ring`. Whether it is there shows at the first signature.
    pub const fn new(ring: Arc<KeyRing>, name: KeyName) -> Self {
        Self { ring, name }
    }
}

impl Sign for Signer {
    fn key_name(&self) -> &str {
        self.name.as_str()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signed = self.ring.sign(&self.name, message).map_err(|error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            SignError { key: self.name.to_string(), message: format!("{error}{cause}") }
        })?;
        Ok(signed.bytes)
    }
}
