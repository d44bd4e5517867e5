// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading: the newest entries, one entry, or all from some number on.
//!
//! In: the folder of a trail, while it may be written. Out: [`Record`]s in order.
//!
//! **Invariant:** each record that is given out has the hash that its line names; a line without its newline is not
//! there yet. Whether the chain as a whole holds is for `verify` to say. Memory does not grow with the trail.

use std::fs::File;
use std::path::Path;

use crate::dir::{Access, Dir, FileError, Modes};
use crate::entry::{Record, decode};
use crate::fault::FaultKind;
use crate::lines::{Lines, Piece, read_some};
use crate::repair::has_own_hash;
use crate::scan::{Line, diagnose, peek_seq, scan};
use crate::segment;

/// Most entries that [`Reader::tail`] gives.
pub const TAIL_ENTRIES_MAX: usize = 10_000;

/// Bytes that are searched backwards at a time.
const BACK_BYTES: u64 = 64 << 10;

/// Why an entry cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// A line is not as it was written.
    #[error("a line of `{segment}`, at byte {offset}, is damaged ({fault}); run `ringfort trail verify`")]
    Damaged {
        /// The file.
        segment: String,
        /// Where the line starts.
        offset: u64,
        /// What is wrong with it.
        fault: FaultKind,
    },
    /// A good line holds a word that this version does not know.
    #[error("entry {seq} was written by another version: it holds a word that is not known here")]
    Unknown {
        /// The entry.
        seq: u64,
    },
}

/// Reads a trail.
#[derive(Debug)]
pub struct Reader {
    dir: Dir,
}

impl Reader {
    /// Opens the trail in the folder `path` for reading.
    ///
    /// # Errors
    ///
    /// The folder is not there or not safe.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        Ok(Self { dir: Dir::open(path, Modes::Enforced)? })
    }

    /// The entries from number `from` on, oldest first, as far as they are written by now.
    ///
    /// # Errors
    ///
    /// The folder cannot be listed.
    pub fn records(&self, from: u64) -> Result<Records<'_>, ReadError> {
        Ok(Records { raw: self.raw(from)?, over: false })
    }

    /// The entry with number `seq`, if it is there.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: whether it is there is not known.
    pub fn record(&self, seq: u64) -> Result<Option<Record>, ReadError> {
        match self.records(seq)?.next() {
            Some(Ok(record)) if record.seq == seq => Ok(Some(record)),
            Some(Err(error)) => Err(error),
            _ => Ok(None),
        }
    }

    /// The newest `count` entries, oldest first; at most [`TAIL_ENTRIES_MAX`]. What this costs does not depend on how
    /// long the trail is.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: one of them cannot be read.
    pub fn tail(&self, count: usize) -> Result<Vec<Record>, ReadError> {
        let mut wanted = count.min(TAIL_ENTRIES_MAX);
        let mut newest_first = Vec::new();
        for name in self.segments()?.into_iter().rev() {
            if wanted == 0 {
                break;
            }
            let file = self.dir.file(&name, Access::Read)?;
            let (offset, found) = last_lines(&file, wanted).map_err(|error| self.dir.error("read", &name, error))?;
            wanted -= found;
            newest_first.push((name, file, offset));
        }
        let mut records = Vec::new();
        for (name, file, offset) in newest_first.into_iter().rev() {
            let mut lines = Lines::new(file, offset, u64::MAX);
            while let Some((at, line)) = next_line(&self.dir, &name, &mut lines)? {
                records.push(record(&name, at, line)?);
            }
        }
        // Entries that were written meanwhile are newer than what was asked for, but they are the newest.
        Ok(records.split_off(records.len().saturating_sub(count.min(TAIL_ENTRIES_MAX))))
    }

    /// The lines from number `from` on, as they stand.
    pub(crate) fn raw(&self, from: u64) -> Result<Raw<'_>, ReadError> {
        let mut names = self.segments()?;
        let start = names.iter().rposition(|name| segment::parse_name(name).is_some_and(|first| first <= from));
        names.drain(..start.unwrap_or(0));
        Ok(Raw { dir: &self.dir, names: names.into_iter(), open: None, from, line: Vec::new() })
    }

    /// The names of the segments, oldest first.
    fn segments(&self) -> Result<Vec<String>, FileError> {
        let mut names: Vec<(u64, String)> =
            self.dir.names()?.into_iter().filter_map(|name| Some((segment::parse_name(&name)?, name))).collect();
        names.sort_unstable();
        Ok(names.into_iter().map(|(_, name)| name).collect())
    }
}

/// Entries in order; ends after the first error.
pub struct Records<'a> {
    raw: Raw<'a>,
    over: bool,
}

impl Iterator for Records<'_> {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let item = self.raw.advance().and_then(|there| match there {
            Some((name, at)) => record(&name, at, &self.raw.line).map(Some),
            None => Ok(None),
        });
        self.over = !matches!(item, Ok(Some(_)));
        item.transpose()
    }
}

/// Lines in order, as they stand.
pub(crate) struct Raw<'a> {
    dir: &'a Dir,
    names: std::vec::IntoIter<String>,
    open: Option<(String, Lines<File>)>,
    from: u64,
    /// The line that [`Raw::advance`] found, without its newline.
    pub(crate) line: Vec<u8>,
}

impl Raw<'_> {
    /// Goes to the next line; its file and place, or `None` at the end.
    pub(crate) fn advance(&mut self) -> Result<Option<(String, u64)>, ReadError> {
        loop {
            let Some((name, lines)) = &mut self.open else {
                let Some(name) = self.names.next() else { return Ok(None) };
                let file = self.dir.file(&name, Access::Read)?;
                self.open = Some((name, Lines::new(file, 0, u64::MAX)));
                continue;
            };
            let Some((at, line)) = next_line(self.dir, name, lines)? else {
                self.open = None;
                continue;
            };
            if peek_seq(line).is_some_and(|seq| seq < self.from) {
                continue;
            }
            self.line.clear();
            self.line.extend_from_slice(line);
            return Ok(Some((name.clone(), at)));
        }
    }
}

fn next_line<'a>(dir: &Dir, name: &str, lines: &'a mut Lines<File>) -> Result<Option<(u64, &'a [u8])>, ReadError> {
    match lines.next().map_err(|error| dir.error("read", name, error))? {
        Piece::Whole { at, line } => Ok(Some((at, line))),
        Piece::Torn { .. } | Piece::End { .. } => Ok(None),
        Piece::TooLong { at } => Err(damaged(name, at, FaultKind::LineTooLong)),
    }
}

fn record(name: &str, at: u64, line: &[u8]) -> Result<Record, ReadError> {
    let seq = good(name, at, line)?.seq;
    decode(line).ok_or(ReadError::Unknown { seq })
}

/// Reads a line and checks it against its own hash.
pub(crate) fn good<'a>(name: &str, at: u64, line: &'a [u8]) -> Result<Line<'a>, ReadError> {
    let parsed = scan(line).ok_or_else(|| damaged(name, at, diagnose(line)))?;
    if has_own_hash(&parsed) { Ok(parsed) } else { Err(damaged(name, at, FaultKind::BadHash)) }
}

pub(crate) fn damaged(name: &str, offset: u64, fault: FaultKind) -> ReadError {
    ReadError::Damaged { segment: name.to_owned(), offset, fault }
}

/// Where the last `wanted` whole lines of a file start, and how many there are.
fn last_lines(file: &File, wanted: usize) -> std::io::Result<(u64, usize)> {
    let mut end = file.metadata()?.len();
    let mut newlines = 0;
    let mut buffer = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(BACK_BYTES);
        buffer.resize(usize::try_from(end - start).unwrap_or_default(), 0);
        let read = read_some(file, &mut buffer, start)?;
        let block = buffer.get(..read).unwrap_or_default();
        for newline in memchr::memrchr_iter(b'\n', block) {
            if newlines == wanted {
                return Ok((start + newline as u64 + 1, wanted));
            }
            newlines += 1;
        }
        end = start;
    }
    Ok((0, newlines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_from_the_end() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("file");
        let lines = |count: usize| format!("{}\n", "x".repeat(99)).repeat(count);
        for (content, wanted, expected) in [
            (String::new(), 3, (0, 0)),
            ("torn".to_owned(), 3, (0, 0)),
            (lines(5), 0, (500, 0)),
            (lines(5), 2, (300, 2)),
            (lines(5) + "torn", 2, (300, 2)),
            (lines(5), 5, (0, 5)),
            (lines(5), 9, (0, 5)),
            (lines(5000), 4000, (100_000, 4000)),
        ] {
            std::fs::write(&path, &content).unwrap();
            assert_eq!(last_lines(&File::open(&path).unwrap(), wanted).unwrap(), expected);
        }
    }
}
