// SPDX-License-Identifier: MIT OR Apache-2.0
//! Secrets to elsewhere: sealed with age, never plain.
//!
//! In: an open store, who may read the file. Out: an age file whose content is one JSON object on each line: what it is,
//! then each secret with what is kept beside it.
//!
//! **Invariant:** a value leaves only through the cipher; the file is this user's alone and appears whole or not at all;
//! what is there is replaced only on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ringfort_core::clock::Timestamp;
use serde::{Deserialize, Serialize};

use crate::age::{self, AgeError, To};
use crate::id::SecretId;
use crate::owned::{OwnedError, OwnedFile};
use crate::root::StoreId;
use crate::store::{Meta, Released, StoreError, Vault};

/// What the first line says that the file is.
pub const FORMAT: &str = "ringfort-secrets-export";
/// The version that is written and read.
pub const VERSION: u64 = 1;
/// Largest export. Bytes.
pub const FILE_BYTES_MAX: usize = 64 << 20;

/// Why nothing was exported. No file was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A secret could not be had.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It could not be sealed.
    #[error(transparent)]
    Age(#[from] AgeError),
    /// The file could not be written, or is there already.
    #[error(transparent)]
    File(#[from] OwnedError),
    /// It would be larger than what is read again.
    #[error("the export would be larger than {FILE_BYTES_MAX} bytes; export fewer secrets at once")]
    TooLarge,
    /// There are not as many secrets as were announced.
    #[error("{added} secrets were put into an export of {said}")]
    Count {
        /// How many were announced.
        said: usize,
        /// How many were put in.
        added: usize,
    },
    /// A line could not be made.
    #[error("the export could not be made")]
    Line(#[from] io::Error),
}

/// What becomes of a file that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// It stays, and nothing is written.
    Refuse,
    /// It is replaced.
    Replace,
}

/// What an export holds, without values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The ids in the file.
    pub exported: Vec<SecretId>,
    /// Ids that were left out, since they have expired.
    pub expired: Vec<SecretId>,
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct First {
    pub(crate) format: String,
    pub(crate) version: u64,
    pub(crate) store: String,
    pub(crate) exported: Timestamp,
    pub(crate) count: usize,
}

/// A line of a secret, but for its value.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Kept {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rotate_every_ms: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) principals: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) hosts: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tools: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) environments: Vec<String>,
}

impl Kept {
    fn of(meta: &Meta) -> Self {
        let millis = |every: std::time::Duration| u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
        Self {
            labels: meta.labels.clone(),
            expires: meta.expires,
            rotate_every_ms: meta.rotate_every.map(millis),
            principals: meta.principals.clone(),
            hosts: meta.hosts.clone(),
            tools: meta.tools.clone(),
            environments: meta.environments.clone(),
        }
    }
}

/// A line of a secret: its value as text, or as base64 where it is none.
#[derive(Serialize)]
struct Line<'v> {
    id: &'v SecretId,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'v str>,
    #[serde(rename = "valueB64", skip_serializing_if = "Option::is_none")]
    value_b64: Option<zeroize::Zeroizing<String>>,
    kept: Kept,
}

/// An export that is being made; each secret is put into it as it was released.
#[derive(Debug)]
pub struct Export {
    sealed: age::Writer<Vec<u8>>,
    ids: Vec<SecretId>,
    count: usize,
    written: usize,
}

impl Export {
    /// Begins an export of `count` secrets of `store`, sealed for `to`.
    ///
    /// # Errors
    ///
    /// [`ExportError`].
    pub fn begin(store: StoreId, count: usize, to: &To, now: Timestamp) -> Result<Self, ExportError> {
        Self::begin_as(store, count, to, now, age::WORK_FACTOR)
    }

    pub(crate) fn begin_as(
        store: StoreId,
        count: usize,
        to: &To,
        now: Timestamp,
        work_factor: u8,
    ) -> Result<Self, ExportError> {
        let mut sealed = age::encrypt_as(to, Vec::new(), work_factor)?;
        let (format, store) = (FORMAT.to_owned(), store.to_string());
        line(&mut sealed, &First { format, version: VERSION, store, exported: now, count })?;
        Ok(Self { sealed, ids: Vec::new(), count, written: 0 })
    }

    /// Puts in one secret.
    ///
    /// # Errors
    ///
    /// [`ExportError`].
    pub fn add(&mut self, released: &Released) -> Result<(), ExportError> {
        self.written = self.written.saturating_add(released.value.len());
        if self.written > FILE_BYTES_MAX {
            return Err(ExportError::TooLarge);
        }
        let value = std::str::from_utf8(released.value.expose()).ok();
        let value_b64 = value.is_none().then(|| STANDARD.encode(released.value.expose()).into());
        let kept = Kept::of(&released.meta);
        line(&mut self.sealed, &Line { id: &released.meta.id, value, value_b64, kept })?;
        self.ids.push(released.meta.id.clone());
        Ok(())
    }

    /// Ends it. Out: the file, and the ids in it.
    ///
    /// # Errors
    ///
    /// [`ExportError`].
    pub fn finish(self) -> Result<(Vec<u8>, Vec<SecretId>), ExportError> {
        if self.ids.len() != self.count {
            return Err(ExportError::Count { said: self.count, added: self.ids.len() });
        }
        let file = self.sealed.finish()?;
        if file.len() > FILE_BYTES_MAX {
            return Err(ExportError::TooLarge);
        }
        Ok((file, self.ids))
    }
}

/// The ids of an export: those that were named, or all; and those that are left out, since they have expired.
///
/// # Errors
///
/// [`ExportError::Store`]: one that was named is not there.
pub fn chosen(vault: &Vault, named: &[SecretId], now: Timestamp) -> Result<Report, ExportError> {
    let all = || vault.list().map(|meta| meta.id.clone()).collect();
    let ids: BTreeSet<SecretId> = if named.is_empty() { all() } else { named.iter().cloned().collect() };
    let mut report = Report::default();
    for id in ids {
        let meta = vault.meta(&id).ok_or_else(|| StoreError::NotFound { id: id.clone() })?;
        if meta.is_expired(now) { report.expired.push(id) } else { report.exported.push(id) }
    }
    Ok(report)
}

/// Writes one line. Texts go through the cipher piece by piece; no whole line is kept in ordinary memory.
fn line<W: Write>(out: &mut W, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line).map_err(io::Error::from)?;
    out.write_all(b"\n")
}

/// Writes an export to `path`, readable by this user alone.
///
/// # Errors
///
/// [`ExportError::File`]: what was there is as it was.
pub fn write(path: &Path, file: &[u8], overwrite: Overwrite) -> Result<(), ExportError> {
    let owned = OwnedFile::at(path)?;
    match overwrite {
        Overwrite::Refuse => owned.create(file)?,
        Overwrite::Replace => owned.replace(file)?,
    }
    Ok(())
}
