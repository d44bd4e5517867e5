// SPDX-License-Identifier: MIT OR Apache-2.0
//! Export: the lines of a trail as they stand, for another place or another program.
//!
//! In: a range of entries. Out: the very bytes of their lines, and between which hashes they lie.
//!
//! **Invariant:** each line that is written out was checked on the way: its form, its hash and its link to the line
//! before. An export that meets a fault ends with an error and says how far it came; nothing is translated here.

use std::io::{self, Write};
use std::ops::RangeInclusive;

use ringfort_core::digest::Digest;
use serde::Serialize;

use crate::fault::FaultKind;
use crate::read::{ReadError, Reader, damaged, good};
use crate::trail::Receipt;

/// Why an export ended early. What was written out before is good.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The trail cannot be read on.
    #[error("the export ended after {entries} entries")]
    Read {
        /// Entries that were written out.
        entries: u64,
        /// Why.
        source: ReadError,
    },
    /// The output does not take more.
    #[error("cannot write the export after {entries} entries")]
    Write {
        /// Entries that were written out whole.
        entries: u64,
        /// What the system said.
        source: io::Error,
    },
}

/// What was exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// How many entries.
    pub entries: u64,
    /// The hash before the first, by which the export is linked to the rest of the trail.
    pub prev: Option<Digest>,
    /// The last of them.
    pub last: Option<Receipt>,
}

/// Writes the lines of the entries in `range` to `out`, each with its newline.
///
/// # Errors
///
/// [`ExportError`]: `out` holds the entries before the one that failed, and perhaps a part of a line.
pub fn export(reader: &Reader, range: RangeInclusive<u64>, out: &mut dyn Write) -> Result<Exported, ExportError> {
    let mut done = Exported { entries: 0, prev: None, last: None };
    let read = |entries| move |source| ExportError::Read { entries, source };
    let mut raw = reader.raw(*range.start()).map_err(read(0))?;
    while let Some((name, at)) = raw.advance().map_err(read(done.entries))? {
        let line = good(&name, at, &raw.line).map_err(read(done.entries))?;
        if line.seq > *range.end() {
            break;
        }
        let digest = |hex: &[u8]| std::str::from_utf8(hex).ok().and_then(Digest::parse);
        let (prev, hash) = (digest(line.prev), digest(line.hash));
        let (Some(prev), Some(hash)) = (prev, hash) else {
            return Err(read(done.entries)(damaged(&name, at, FaultKind::NotCanonical)));
        };
        let expected = done.last.map_or((*range.start(), prev), |last| (last.seq.saturating_add(1), last.hash));
        if (line.seq, prev) != expected {
            let fault = if line.seq == expected.0 { FaultKind::BrokenLink } else { FaultKind::MissingEntry };
            return Err(read(done.entries)(damaged(&name, at, fault)));
        }
        let seq = line.seq;
        raw.line.push(b'\n');
        out.write_all(&raw.line).map_err(|source| ExportError::Write { entries: done.entries, source })?;
        done =
            Exported { entries: done.entries + 1, prev: done.prev.or(Some(prev)), last: Some(Receipt { seq, hash }) };
    }
    out.flush().map_err(|source| ExportError::Write { entries: done.entries, source })?;
    Ok(done)
}
