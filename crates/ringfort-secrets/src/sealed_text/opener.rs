// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opens the sealed values of a configuration where they are used.
//!
//! In: a dotted key and the text that stands there. Out: the value.
//!
//! **Invariant:** a key is asked for when a value is opened and not before; one form never stands in for another.

use ringfort_core::secret::Secret;
use ringfort_core::traits::{Unseal, UnsealError};

use super::{Enc2Key, Form, SealedTextError, TextKey, open_enc2, open_enc3, parse};
use crate::locked::Locked;
use crate::root::StoreId;

/// Where the keys of sealed texts come from; the wiring knows the folders and how a store is opened.
pub trait KeySource: Send + Sync {
    /// The key of the key file that belongs to the file in which the dotted key `key` is set.
    ///
    /// # Errors
    ///
    /// Why there is none, and what to do.
    fn enc2(&self, key: &str) -> Result<Enc2Key, String>;

    /// The key of the store that is in use. `sealed_by` is the store that sealed the value.
    ///
    /// # Errors
    ///
    /// Why it is not to be had, and what to do: a locked store, for example.
    fn enc3(&self, sealed_by: StoreId) -> Result<&TextKey, String>;
}

/// Opens sealed values with the keys of a source.
pub struct Opener<S>(pub S);

impl<S: KeySource> Opener<S> {
    /// The value that the text at `key` holds.
    ///
    /// # Errors
    ///
    /// Why it could not be opened.
    pub fn value(&self, key: &str, text: &str) -> Result<Locked, UnsealError> {
        let fault = |message: String| UnsealError { key: key.to_owned(), message };
        let sealed = |error: SealedTextError| fault(error.to_string());
        match parse(text).map_err(sealed)? {
            Form::Enc2 => open_enc2(&self.0.enc2(key).map_err(fault)?, text).map_err(sealed),
            Form::Enc3 => {
                let store = super::Enc3::parse(text).map_err(sealed)?.store;
                open_enc3(self.0.enc3(store).map_err(fault)?, key, text).map_err(sealed)
            }
            _ => Err(fault("it is not sealed".to_owned())),
        }
    }
}

impl<S: KeySource> Unseal for Opener<S> {
    fn open(&self, key: &str, text: &str) -> Result<Secret<String>, UnsealError> {
        let value = self.value(key, text)?;
        let text = std::str::from_utf8(value.expose()).map(str::to_owned);
        let no_text = |_| UnsealError { key: key.to_owned(), message: "the value is no text".to_owned() };
        text.map(Secret::new).map_err(no_text)
    }
}
