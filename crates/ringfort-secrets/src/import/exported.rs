// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `export` wrote: one JSON object on each line.
//!
//! In: the plain content of the export. Out: names, values, and what was kept beside them.
//!
//! **Invariant:** every line fits its type, and there are as many as the first one says: half a file is a fault.

use std::io::Read;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ringfort_core::clock::Timestamp;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::json::typed;
use super::{ImportError, Imported, Names, Reading};
use crate::export::{FORMAT, First, Kept, VERSION};
use crate::locked::{LOCKED_MAX, Locked};
use crate::store::Change;

const KIND: &str = "export of a Ringfort store";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    #[serde(default)]
    value: Option<Zeroizing<String>>,
    #[serde(default, rename = "valueB64")]
    value_b64: Option<Zeroizing<String>>,
    #[serde(default)]
    kept: Kept,
}

/// Reads the plain content of an export, as [`crate::age::Reader`] gives it.
///
/// # Errors
///
/// [`ImportError`]: nothing was imported.
pub fn exported(source: &mut dyn Read, names: &Names, at: Timestamp) -> Result<Imported, ImportError> {
    let kind = |message: &str| ImportError::Kind { kind: KIND, message: message.to_owned() };
    let mut lines = Lines { source, held: Locked::zeroed(LOCKED_MAX)?, filled: 0, given: 0 };
    let first: First = typed(lines.next()?.ok_or_else(|| kind("it is empty"))?, KIND)?;
    if first.format != FORMAT {
        return Err(kind("its first line says something else"));
    }
    if first.version != VERSION {
        return Err(kind(&format!("it has version {}, and this program reads version {VERSION}", first.version)));
    }
    let mut reading = Reading::new(names);
    let mut count = 0;
    while let Some(text) = lines.next()? {
        count += 1;
        let line: Line = typed(text, KIND)?;
        let number = count + 1;
        let decoded = match (&line.value, &line.value_b64) {
            (Some(value), None) => Zeroizing::new(value.as_bytes().to_vec()),
            (None, Some(value)) => {
                Zeroizing::new(STANDARD.decode(value.as_bytes()).map_err(|_| kind("a value is no base64"))?)
            }
            _ => return Err(kind("a secret has no value, or two")),
        };
        let kept = line.kept;
        let change = Change {
            labels: Some(kept.labels),
            expires: Some(kept.expires),
            rotate_every: Some(kept.rotate_every_ms.map(Duration::from_millis)),
            principals: Some(kept.principals),
            hosts: Some(kept.hosts),
            tools: Some(kept.tools),
            environments: Some(kept.environments),
            ..Change::at(at)
        };
        reading.entry(number, &line.id, &decoded, Some(change))?;
    }
    if count != first.count {
        return Err(kind(&format!("it holds {count} secrets, and its first line says {}", first.count)));
    }
    reading.finish()
}

/// The lines of a source, each in locked memory.
struct Lines<'s> {
    source: &'s mut dyn Read,
    held: Locked,
    filled: usize,
    given: usize,
}

impl Lines<'_> {
    fn next(&mut self) -> Result<Option<&[u8]>, ImportError> {
        // What was given out makes room.
        let (given, filled) = (self.given, self.filled);
        self.held.expose_mut().copy_within(given..filled, 0);
        (self.filled, self.given) = (filled - given, 0);
        let mut seen = 0;
        loop {
            let held = self.held.expose().get(seen..self.filled).unwrap_or_default();
            if let Some(end) = held.iter().position(|byte| *byte == b'\n') {
                let end = seen + end;
                self.given = end + 1;
                return Ok(self.held.expose().get(..end));
            }
            seen = self.filled;
            let room = self.held.expose_mut().get_mut(seen..).unwrap_or_default();
            if room.is_empty() {
                let message = "a line is too long".to_owned();
                return Err(ImportError::Kind { kind: KIND, message });
            }
            match self.source.read(room)? {
                0 if self.filled == 0 => return Ok(None),
                0 => {
                    let message = "its last line is cut off".to_owned();
                    return Err(ImportError::Kind { kind: KIND, message });
                }
                count => self.filled += count,
            }
        }
    }
}
