// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys from passphrases: argon2id, slow on purpose, with parameters measured on the machine; scrypt for import.
//!
//! In: a passphrase, a salt, what the key is for, parameters. Out: a key, in locked memory.
//!
//! **Invariant:** parameters that were read from a file are checked before any memory is taken, so that a hostile file
//! costs at most [`MEMORY_KIB_MAX`] and [`WORK_MAX`]; the working memory and the stack are wiped.

use std::fmt;
use std::io;
use std::time::Duration;

use argon2::{Algorithm, Argon2, AssociatedData, ParamsBuilder, Version};
use ringfort_core::clock::Clock;
use serde::{Deserialize, Serialize};

use crate::locked::{Locked, LockedError, Scratch, wiping_deep};
use crate::root::{KEY_LEN, StoreId};

/// Length of a salt. Bytes.
pub const SALT_LEN: usize = 16;
/// Longest passphrase. Bytes.
pub const PASSPHRASE_MAX: usize = 1024;
/// Least memory of argon2id that is accepted. KiB.
pub const MEMORY_KIB_MIN: u32 = 8 * 1024;
/// Most memory of argon2id. KiB.
pub const MEMORY_KIB_MAX: u32 = 256 * 1024;
/// Least memory that is chosen for a new key, however slow the machine is. KiB.
pub const MEMORY_KIB_CHOSEN_MIN: u32 = 64 * 1024;
/// Most passes of argon2id.
pub const PASSES_MAX: u32 = 64;
/// Fewest passes that are chosen for a new key.
pub const PASSES_CHOSEN_MIN: u32 = 3;
/// Most work: memory in KiB times passes, about 4 s on a machine of 2020.
pub const WORK_MAX: u64 = 16 * MEMORY_KIB_MAX as u64;
/// How long a derivation is meant to take.
pub const TARGET: Duration = Duration::from_millis(500);
/// Most memory of scrypt (128 times N times r). Bytes.
pub const SCRYPT_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Most work of scrypt: its memory times p. Bytes.
pub const SCRYPT_WORK_MAX: u64 = 4 * SCRYPT_BYTES_MAX;
/// Longest key from scrypt. Bytes.
pub const SCRYPT_OUTPUT_MAX: usize = 64;

/// Why no key was derived.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KdfError {
    /// A parameter lies outside what is accepted; nothing was computed.
    #[error("{function}: {parameter} is {value}, accepted is {least} to {most}")]
    Bounds {
        /// The function.
        function: &'static str,
        /// The parameter.
        parameter: &'static str,
        /// Its value.
        value: u64,
        /// The least that is accepted.
        least: u64,
        /// The most that is accepted.
        most: u64,
    },
    /// The function refused its input.
    #[error("{function} failed: {message}")]
    Failed {
        /// The function.
        function: &'static str,
        /// What it said.
        message: String,
    },
    /// There is no memory for it.
    #[error(transparent)]
    Memory(#[from] LockedError),
}

fn bounds(
    (function, parameter): (&'static str, &'static str),
    value: impl TryInto<u64>,
    (least, most): (u64, u64),
) -> Result<(), KdfError> {
    match value.try_into().unwrap_or(u64::MAX) {
        value if (least..=most).contains(&value) => Ok(()),
        value => Err(KdfError::Bounds { function, parameter, value, least, most }),
    }
}

/// Parameters of argon2id (RFC 9106, version 0x13) with one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Argon2Params {
    /// Memory. KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Default for Argon2Params {
    /// The second recommendation of RFC 9106, for where nothing was measured.
    fn default() -> Self {
        Self { memory_kib: MEMORY_KIB_CHOSEN_MIN, passes: PASSES_CHOSEN_MIN }
    }
}

impl Argon2Params {
    /// Itself, if it lies within what is accepted.
    ///
    /// # Errors
    ///
    /// [`KdfError::Bounds`].
    pub fn checked(self) -> Result<Self, KdfError> {
        bounds(("argon2id", "memory_kib"), self.memory_kib, (MEMORY_KIB_MIN.into(), MEMORY_KIB_MAX.into()))?;
        bounds(("argon2id", "passes"), self.passes, (1, PASSES_MAX.into()))?;
        bounds(("argon2id", "memory times passes"), self.work(), (1, WORK_MAX))?;
        Ok(self)
    }

    fn work(self) -> u64 {
        u64::from(self.memory_kib) * u64::from(self.passes)
    }
}

impl fmt::Display for Argon2Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "argon2id with {} MiB and {} passes", self.memory_kib / 1024, self.passes)
    }
}

/// What a derived key is for: it goes into the derivation, so that the same passphrase gives another key for another
/// store or source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purpose {
    /// The store.
    pub store: StoreId,
    /// The source: `passphrase` or `env`, at most 16 bytes.
    pub source: &'static str,
}

impl Purpose {
    /// The associated data of the derivation: the store's id, then the source's name, filled up with zeros.
    fn bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let name = self.source.bytes().take(16);
        bytes.iter_mut().zip(self.store.0.into_iter().chain(name)).for_each(|(to, from)| *to = from);
        bytes
    }
}

/// Derives [`KEY_LEN`] bytes from `passphrase` with argon2id.
///
/// # Errors
///
/// [`KdfError`].
pub fn derive(
    passphrase: &[u8],
    salt: &[u8; SALT_LEN],
    purpose: Purpose,
    params: Argon2Params,
) -> Result<Locked, KdfError> {
    let params = params.checked()?;
    bounds(("argon2id", "length of the passphrase"), passphrase.len(), (1, PASSPHRASE_MAX as u64))?;
    let failed = |error: argon2::Error| KdfError::Failed { function: "argon2id", message: error.to_string() };
    let argon2 = ParamsBuilder::new()
        .m_cost(params.memory_kib)
        .t_cost(params.passes)
        .p_cost(1)
        .output_len(KEY_LEN)
        .data(AssociatedData::new(&purpose.bytes()).map_err(failed)?)
        .build()
        .map(|params| Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
        .map_err(failed)?;
    let mut key = Locked::zeroed(KEY_LEN)?;
    let mut scratch = Scratch::new(argon2.params().block_count())?;
    wiping_deep(|| argon2.hash_password_into_with_memory(passphrase, salt, key.expose_mut(), scratch.blocks_mut()))
        .map_err(failed)?;
    Ok(key)
}

/// Parameters that were measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The parameters.
    pub params: Argon2Params,
    /// How long a derivation with them is expected to take here.
    pub expected: Duration,
}

/// What argon2id costs here for each KiB of memory. Nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    /// Once: the kernel gives the memory page by page, and it is wiped.
    once: u64,
    /// Each pass.
    pass: u64,
}

impl Cost {
    /// From a derivation with one pass over [`MEMORY_KIB_CHOSEN_MIN`] and one with [`PASSES_CHOSEN_MIN`].
    fn of(one: Duration, more: Duration) -> Self {
        let per_kib = |taken: Duration| {
            u64::try_from(taken.as_nanos() / u128::from(MEMORY_KIB_CHOSEN_MIN)).unwrap_or(u64::MAX).max(1)
        };
        let (one, more) = (per_kib(one), per_kib(more));
        // What else runs here may have slowed the first one and not the second: a pass is never next to nothing.
        let pass = (more.saturating_sub(one) / u64::from(PASSES_CHOSEN_MIN - 1)).clamp((one / 4).max(1), one);
        Self { once: one - pass, pass }
    }

    /// A derivation over `kib` with `passes`.
    fn total(self, kib: u64, passes: u64) -> u64 {
        kib.saturating_mul(self.once.saturating_add(self.pass.saturating_mul(passes)))
    }
}

/// Chooses parameters so that a derivation takes about `target` here: as much memory as [`MEMORY_KIB_MAX`] and a quarter
/// of what the machine has free, then passes; never less than [`Argon2Params::default`].
///
/// Takes a few short derivations, about half a second.
///
/// # Errors
///
/// [`KdfError`]: nothing could be measured.
pub fn measure(target: Duration, clock: &dyn Clock) -> Result<Measured, KdfError> {
    let purpose = Purpose { store: StoreId([0; 16]), source: "measure" };
    // The fastest of some: the first one warms up, and what else runs here only slows.
    let fastest = |passes, times| {
        let probe = Argon2Params { memory_kib: MEMORY_KIB_CHOSEN_MIN, passes };
        (0..times).try_fold(Duration::MAX, |fastest, _| {
            let start = clock.monotonic();
            derive(b"measure", &[0; SALT_LEN], purpose, probe)?;
            Ok::<_, KdfError>(fastest.min(clock.monotonic().saturating_sub(start)))
        })
    };
    let cost = Cost::of(fastest(1, 3)?, fastest(PASSES_CHOSEN_MIN, 2)?);
    Ok(choose(cost, target, memory_free()))
}

/// The parameters for a machine where argon2id costs this.
fn choose(cost: Cost, target: Duration, free_kib: Option<u64>) -> Measured {
    let target = u64::try_from(target.as_nanos()).unwrap_or(u64::MAX);
    let roof = free_kib.map_or(MEMORY_KIB_CHOSEN_MIN.into(), |free| free / 4).min(MEMORY_KIB_MAX.into());
    // Whole MiB, so that people can read them.
    let memory = (target / cost.total(1, PASSES_CHOSEN_MIN.into())).min(roof) / 1024 * 1024;
    let memory = u32::try_from(memory).unwrap_or(MEMORY_KIB_MAX).max(MEMORY_KIB_CHOSEN_MIN);
    let passes = (target / u64::from(memory)).saturating_sub(cost.once) / cost.pass;
    let passes = u32::try_from(passes.min(WORK_MAX / u64::from(memory))).unwrap_or(PASSES_MAX);
    let params = Argon2Params { memory_kib: memory, passes: passes.clamp(PASSES_CHOSEN_MIN, PASSES_MAX) };
    let expected = cost.total(params.memory_kib.into(), params.passes.into());
    Measured { params, expected: Duration::from_nanos(expected) }
}

/// What the machine has free, if it says so. KiB.
fn memory_free() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Parameters of scrypt (RFC 7914), accepted for what other programs have written; nothing new is made with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScryptParams {
    /// The logarithm of N: 17 for N=131072.
    pub log_n: u8,
    /// Size of a block, in 128 bytes.
    pub r: u32,
    /// How often.
    pub p: u32,
}

impl Default for ScryptParams {
    /// N=131072, r=8, p=1.
    fn default() -> Self {
        Self { log_n: 17, r: 8, p: 1 }
    }
}

impl ScryptParams {
    fn checked(self) -> Result<scrypt::Params, KdfError> {
        bounds(("scrypt", "the logarithm of N"), self.log_n, (10, 24))?;
        bounds(("scrypt", "r"), self.r, (1, 1024))?;
        bounds(("scrypt", "p"), self.p, (1, 1024))?;
        let bytes = (128 * u64::from(self.r)) << self.log_n;
        bounds(("scrypt", "memory"), bytes, (1, SCRYPT_BYTES_MAX))?;
        bounds(("scrypt", "memory times p"), bytes * u64::from(self.p), (1, SCRYPT_WORK_MAX))?;
        scrypt::Params::new(self.log_n, self.r, self.p)
            .map_err(|error| KdfError::Failed { function: "scrypt", message: error.to_string() })
    }
}

/// Derives `length` bytes from `passphrase` with scrypt, to read what another program has written.
///
/// # Errors
///
/// [`KdfError`].
pub fn scrypt_derive(passphrase: &[u8], salt: &[u8], params: ScryptParams, length: usize) -> Result<Locked, KdfError> {
    let checked = params.checked()?;
    bounds(("scrypt", "length of the passphrase"), passphrase.len(), (1, PASSPHRASE_MAX as u64))?;
    bounds(("scrypt", "length of the salt"), salt.len(), (8, 1024))?;
    bounds(("scrypt", "length of the key"), length, (16, SCRYPT_OUTPUT_MAX as u64))?;
    let mut key = Locked::zeroed(length)?;
    wiping_deep(|| scrypt::scrypt(passphrase, salt, &checked, key.expose_mut()))
        .map_err(|error| KdfError::Failed { function: "scrypt", message: error.to_string() })?;
    Ok(key)
}

/// A new random salt.
///
/// # Errors
///
/// [`KdfError::Memory`]: the system gives no randomness.
pub fn salt() -> Result<[u8; SALT_LEN], KdfError> {
    let mut salt = [0; SALT_LEN];
    getrandom::fill(&mut salt).map_err(|error| LockedError::System(io::Error::other(error)))?;
    Ok(salt)
}

#[cfg(test)]
mod tests;
