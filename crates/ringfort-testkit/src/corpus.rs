// SPDX-License-Identifier: MIT OR Apache-2.0
//! The corpus loader: rows of JSON Lines, plain or compressed.
//!
//! In: a folder that is not part of this project, and a name. Out: every row, in order.
//!
//! **Invariant:** a row that cannot be read is an error with its line, never skipped; lines and files are bounded.
//! Corpora are for evaluation: nothing here copies one.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flate2::read::MultiGzDecoder;
use serde_json::{Map, Value};

/// Longest row. Bytes.
pub const ROW_BYTES_MAX: u64 = 4 << 20;
/// Most rows of one corpus.
pub const ROWS_MAX: usize = 1_000_000;

/// One row.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Row(Map<String, Value>);

impl Row {
    /// The text of a member; empty where there is none.
    pub fn text(&self, member: &str) -> &str {
        self.0.get(member).and_then(Value::as_str).unwrap_or("")
    }

    /// Whether a member is there and is `true`.
    pub fn is(&self, member: &str) -> bool {
        self.0.get(member).and_then(Value::as_bool) == Some(true)
    }
}

/// Reads every row of `name.jsonl` or `name.jsonl.gz` in `dir`; `None` where neither is there.
///
/// # Errors
///
/// The file cannot be read, or a row is too long or no JSON object. No row is left out silently.
pub fn load(dir: &Path, name: &str) -> Result<Option<Vec<Row>>> {
    let plain = dir.join(format!("{name}.jsonl"));
    let packed = dir.join(format!("{name}.jsonl.gz"));
    let open = |path: &PathBuf| File::open(path).with_context(|| format!("cannot open `{}`", path.display()));
    if plain.is_file() {
        rows(BufReader::new(open(&plain)?), &plain).map(Some)
    } else if packed.is_file() {
        rows(BufReader::new(MultiGzDecoder::new(open(&packed)?)), &packed).map(Some)
    } else {
        Ok(None)
    }
}

fn rows(mut reader: impl BufRead, path: &Path) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        let at = || format!("`{}`, row {}", path.display(), rows.len() + 1);
        let read = reader.by_ref().take(ROW_BYTES_MAX).read_until(b'\n', &mut line).with_context(at)?;
        if read == 0 {
            return Ok(rows);
        }
        if read as u64 == ROW_BYTES_MAX {
            bail!("{} is longer than {ROW_BYTES_MAX} bytes", at());
        }
        let row = serde_json::from_slice(&line).with_context(at)?;
        if rows.len() == ROWS_MAX {
            bail!("`{}` has more than {ROWS_MAX} rows", path.display());
        }
        rows.push(Row(row));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn plain_and_packed_rows_are_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let text = "{\"id\": \"a\", \"dev\": true}\n{\"id\": \"b\"}\n";
        std::fs::write(dir.path().join("plain.jsonl"), text).unwrap();
        let mut packer = GzEncoder::new(File::create(dir.path().join("packed.jsonl.gz")).unwrap(), Compression::fast());
        packer.write_all(text.as_bytes()).unwrap();
        packer.finish().unwrap();
        let rows = load(dir.path(), "plain").unwrap().unwrap();
        assert_eq!(load(dir.path(), "packed").unwrap().unwrap(), rows);
        assert_eq!((rows[0].text("id"), rows[0].is("dev"), rows[1].is("dev")), ("a", true, false));
        assert_eq!(load(dir.path(), "absent").unwrap(), None);
    }

    #[test]
    fn deny_rows_that_cannot_be_read() {
        for (text, expected) in [("{\"id\": 1}\n[1]\n", "row 2"), ("nonsense\n", "row 1"), ("\n", "row 1")] {
            let error = rows(text.as_bytes(), Path::new("x")).unwrap_err();
            assert!(error.to_string().contains(expected), "{error:#}");
        }
        let endless = std::io::repeat(b'a');
        let error = rows(BufReader::new(endless), Path::new("x")).unwrap_err();
        assert!(error.to_string().contains("longer"), "{error:#}");
    }
}
