// SPDX-License-Identifier: MIT OR Apache-2.0
//! The root key from a passphrase, and from a value in the environment: both stretched by argon2id.
//!
//! In: the passphrase or the value, in locked memory; what the slot kept. Out: the root key.
//!
//! **Invariant:** the slot holds a salt and parameters, nothing that tells whether a passphrase is right: only unwrapping
//! the store key does. So every attempt costs a derivation, and the caller charges it first.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::kdf::{self, Argon2Params, KdfError, Purpose, SALT_LEN};
use crate::locked::Locked;
use crate::root::{RootKeyError, RootKeySource, SlotData, StoreId};

/// The name of the passphrase as a source.
pub const PASSPHRASE: &str = "passphrase";
/// The name of the environment as a source.
pub const ENV: &str = "env";
/// The function that both use.
const FUNCTION: &str = "argon2id";

/// What a slot keeps.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    kdf: String,
    salt: String,
    memory_kib: u32,
    passes: u32,
}

fn refused(source_name: &'static str, error: KdfError) -> RootKeyError {
    match error {
        KdfError::Memory(error) => RootKeyError::Memory(error),
        error => RootKeyError::Broken { source_name, message: error.to_string() },
    }
}

/// Makes a slot for `secret`.
fn create(
    source: &'static str,
    store: StoreId,
    secret: &Locked,
    params: Argon2Params,
) -> Result<(SlotData, Locked), RootKeyError> {
    let salt = kdf::salt().map_err(|error| refused(source, error))?;
    let key = kdf::derive(secret.expose(), &salt, Purpose { store, source }, params)
        .map_err(|error| refused(source, error))?;
    let kept = Kept {
        kdf: FUNCTION.to_owned(),
        salt: STANDARD.encode(salt),
        memory_kib: params.memory_kib,
        passes: params.passes,
    };
    let data = serde_json::to_value(kept)
        .map_err(|error| RootKeyError::Broken { source_name: source, message: error.to_string() })?;
    Ok((SlotData { source: source.to_owned(), data }, key))
}

/// What the slot holds, if it is within bounds.
fn parse(source_name: &'static str, slot: &SlotData) -> Result<([u8; SALT_LEN], Argon2Params), RootKeyError> {
    let broken = |message: String| RootKeyError::Broken { source_name, message };
    if slot.source != source_name {
        let message = format!("the slot belongs to `{}`", slot.source.escape_debug());
        return Err(RootKeyError::Wrong { source_name, message });
    }
    let kept = Kept::deserialize(&slot.data).map_err(|error| broken(format!("the slot cannot be read: {error}")))?;
    if kept.kdf != FUNCTION {
        return Err(broken(format!("the slot names the unknown function `{}`", kept.kdf.escape_debug())));
    }
    let salt = STANDARD.decode(&kept.salt).ok().and_then(|salt| salt.try_into().ok());
    let salt = salt.ok_or_else(|| broken(format!("the salt is not {SALT_LEN} bytes in base64")))?;
    let params = Argon2Params { memory_kib: kept.memory_kib, passes: kept.passes };
    Ok((salt, params.checked().map_err(|error| broken(error.to_string()))?))
}

/// Derives again what `create` derived.
fn open(source: &'static str, store: StoreId, slot: &SlotData, secret: &Locked) -> Result<Locked, RootKeyError> {
    let (salt, params) = parse(source, slot)?;
    kdf::derive(secret.expose(), &salt, Purpose { store, source }, params).map_err(|error| refused(source, error))
}

/// The parameters of a slot of either source, for status.
///
/// # Errors
///
/// [`RootKeyError`]: the slot belongs to another source or cannot be read.
pub fn slot_params(slot: &SlotData) -> Result<Argon2Params, RootKeyError> {
    let source = if slot.source == ENV { ENV } else { PASSPHRASE };
    parse(source, slot).map(|(_, params)| params)
}

/// A passphrase that a person gave. Its bytes are taken as they were typed.
#[derive(Debug)]
pub struct PassphraseSource {
    passphrase: Locked,
    params: Argon2Params,
}

impl PassphraseSource {
    /// Opens with `passphrase`; new slots are made with the default parameters.
    pub fn new(passphrase: Locked) -> Self {
        Self { passphrase, params: Argon2Params::default() }
    }

    /// New slots are made with `params`, as [`kdf::measure`] chose them.
    #[must_use]
    pub fn with_params(self, params: Argon2Params) -> Self {
        Self { params, ..self }
    }
}

impl RootKeySource for PassphraseSource {
    fn name(&self) -> &'static str {
        PASSPHRASE
    }

    fn key_source(&self) -> String {
        PASSPHRASE.to_owned()
    }

    fn create(&self, store: StoreId) -> Result<(SlotData, Locked), RootKeyError> {
        create(PASSPHRASE, store, &self.passphrase, self.params)
    }

    fn open(&self, store: StoreId, slot: &SlotData) -> Result<Locked, RootKeyError> {
        open(PASSPHRASE, store, slot, &self.passphrase)
    }

    fn forget(&self, _: StoreId, _: &SlotData) -> Result<(), RootKeyError> {
        Ok(())
    }
}

/// A value of the environment, which the wiring read.
#[derive(Debug)]
pub struct EnvKeySource {
    variable: String,
    value: Locked,
    params: Argon2Params,
}

impl EnvKeySource {
    /// `value` of `variable`; new slots are made with the default parameters.
    pub fn new(variable: impl Into<String>, value: Locked) -> Self {
        Self { variable: variable.into(), value, params: Argon2Params::default() }
    }

    /// New slots are made with `params`, as [`kdf::measure`] chose them.
    #[must_use]
    pub fn with_params(self, params: Argon2Params) -> Self {
        Self { params, ..self }
    }

    fn given(&self) -> Result<&Locked, RootKeyError> {
        if self.value.is_empty() {
            let message = format!("`{}` is empty; set it, or choose another source", self.variable.escape_debug());
            return Err(RootKeyError::Absent { source_name: ENV, message });
        }
        Ok(&self.value)
    }
}

impl RootKeySource for EnvKeySource {
    fn name(&self) -> &'static str {
        ENV
    }

    fn key_source(&self) -> String {
        format!("env:{}", self.variable)
    }

    fn create(&self, store: StoreId) -> Result<(SlotData, Locked), RootKeyError> {
        create(ENV, store, self.given()?, self.params)
    }

    fn open(&self, store: StoreId, slot: &SlotData) -> Result<Locked, RootKeyError> {
        open(ENV, store, slot, self.given()?)
    }

    fn forget(&self, _: StoreId, _: &SlotData) -> Result<(), RootKeyError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kdf::{MEMORY_KIB_MAX, MEMORY_KIB_MIN};
    use serde_json::json;

    const STORE: StoreId = StoreId([1; 16]);
    const FAST: Argon2Params = Argon2Params { memory_kib: MEMORY_KIB_MIN, passes: 1 };

    fn passphrase(text: &str) -> PassphraseSource {
        PassphraseSource::new(Locked::copy_of(text.as_bytes()).unwrap()).with_params(FAST)
    }

    fn env(text: &str) -> EnvKeySource {
        EnvKeySource::new("RINGFORT_SECRET_STORE_KEY", Locked::copy_of(text.as_bytes()).unwrap()).with_params(FAST)
    }

    #[test]
    fn the_same_passphrase_opens_what_it_made_and_nothing_else_does() {
        let (slot, key) = passphrase("correct horse").create(STORE).unwrap();
        assert!(passphrase("correct horse").open(STORE, &slot).unwrap().equals(key.expose()));
        assert!(!passphrase("correct horsf").open(STORE, &slot).unwrap().equals(key.expose()), "another passphrase");
        let other = passphrase("correct horse").open(StoreId([2; 16]), &slot).unwrap();
        assert!(!other.equals(key.expose()), "another store");
        let (again, second) = passphrase("correct horse").create(STORE).unwrap();
        assert!(again != slot && !second.equals(key.expose()), "another salt");
        assert!(!slot.data.to_string().contains("horse"));
        passphrase("x").forget(STORE, &slot).unwrap();
    }

    #[test]
    fn the_environment_is_another_source_even_with_the_same_words() {
        let (slot, key) = env("correct horse").create(STORE).unwrap();
        assert!(env("correct horse").open(STORE, &slot).unwrap().equals(key.expose()));
        assert!(matches!(passphrase("correct horse").open(STORE, &slot), Err(RootKeyError::Wrong { .. })));
        let renamed = SlotData { source: PASSPHRASE.to_owned(), ..slot.clone() };
        assert!(!passphrase("correct horse").open(STORE, &renamed).unwrap().equals(key.expose()));
        assert_eq!(env("x").key_source(), "env:RINGFORT_SECRET_STORE_KEY");
        assert!(matches!(env("").create(STORE), Err(RootKeyError::Absent { .. })));
        assert!(matches!(env("").open(STORE, &slot), Err(RootKeyError::Absent { .. })));
        assert_eq!(slot_params(&slot).unwrap(), FAST);
    }

    #[test]
    fn deny_hostile_slots_before_any_memory_is_taken() {
        let (slot, _) = passphrase("correct horse").create(STORE).unwrap();
        for (key, value) in [
            ("memory_kib", json!(u32::MAX)),
            ("memory_kib", json!(MEMORY_KIB_MAX + 1)),
            ("memory_kib", json!(MEMORY_KIB_MIN - 1)),
            ("memory_kib", json!(-1)),
            ("memory_kib", json!(u64::MAX)),
            ("memory_kib", json!("65536")),
            ("passes", json!(0)),
            ("passes", json!(65)),
            ("passes", json!(u32::MAX)),
            ("salt", json!("AAAA")),
            ("salt", json!("*")),
            ("salt", json!("A".repeat(1 << 20))),
            ("kdf", json!("sha256")),
            ("kdf", json!("argon2i")),
            ("lanes", json!(4)),
        ] {
            let mut bad = slot.clone();
            bad.data[key] = value.clone();
            let error = passphrase("correct horse").open(STORE, &bad).unwrap_err();
            assert!(matches!(error, RootKeyError::Broken { .. }), "{key} {value}: {error}");
        }
        let mut both = slot;
        (both.data["memory_kib"], both.data["passes"]) = (json!(MEMORY_KIB_MAX), json!(64));
        assert!(matches!(passphrase("x").open(STORE, &both), Err(RootKeyError::Broken { .. })), "too much work");
        for data in [json!(null), json!([]), json!({}), json!({"kdf": "argon2id"})] {
            let slot = SlotData { source: PASSPHRASE.to_owned(), data };
            assert!(matches!(passphrase("x").open(STORE, &slot), Err(RootKeyError::Broken { .. })));
        }
    }

    #[test]
    fn deny_an_empty_or_endless_passphrase() {
        for text in [String::new(), "x".repeat(kdf::PASSPHRASE_MAX + 1)] {
            assert!(matches!(passphrase(&text).create(STORE), Err(RootKeyError::Broken { .. })), "{}", text.len());
        }
    }
}
