// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lines of a segment, one at a time, in bounded memory.
//!
//! In: a file, an offset and an end. Out: whole lines without their newline, and what is left at the end.
//!
//! **Invariant:** never holds more than one longest line and one read; a piece without a newline is never given out
//! as a line. What a line means is not looked at.

use std::borrow::Borrow;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use ringfort_core::limits::TRAIL_LINE_BYTES_MAX;

/// Bytes of one read.
const READ_BYTES: usize = 64 << 10;

/// The next thing in a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// A line that ends with a newline; `at` is where it starts.
    Whole { at: u64, line: &'a [u8] },
    /// The last bytes, without a newline.
    Torn { at: u64, bytes: &'a [u8] },
    /// No newline within the longest line.
    TooLong { at: u64 },
    /// Nothing more.
    End { at: u64 },
}

/// Reads lines from `offset` up to `end`.
pub(crate) struct Lines<F> {
    file: F,
    buffer: Vec<u8>,
    /// Where in `buffer` the next line starts.
    start: usize,
    /// Where in the file `start` is.
    offset: u64,
    end: u64,
}

impl<F: Borrow<File>> Lines<F> {
    pub(crate) fn new(file: F, offset: u64, end: u64) -> Self {
        Self { file, buffer: Vec::new(), start: 0, offset, end }
    }

    /// The next piece. After `TooLong` it is the same again.
    pub(crate) fn next(&mut self) -> io::Result<Piece<'_>> {
        let mut searched = 0;
        loop {
            let rest = self.buffer.get(self.start..).unwrap_or_default();
            let unsearched = rest.get(searched..).unwrap_or_default();
            if let Some(found) = memchr::memchr(b'\n', unsearched).map(|found| found + searched) {
                let (at, from) = (self.offset, self.start);
                if found >= TRAIL_LINE_BYTES_MAX {
                    return Ok(Piece::TooLong { at });
                }
                self.start += found + 1;
                self.offset += found as u64 + 1;
                return Ok(Piece::Whole { at, line: self.buffer.get(from..from + found).unwrap_or_default() });
            }
            searched = rest.len();
            if searched >= TRAIL_LINE_BYTES_MAX {
                return Ok(Piece::TooLong { at: self.offset });
            }
            if !self.fill()? {
                let at = self.offset;
                let bytes = self.buffer.get(self.start..).unwrap_or_default();
                return Ok(if bytes.is_empty() { Piece::End { at } } else { Piece::Torn { at, bytes } });
            }
        }
    }

    /// Reads more; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let have = self.buffer.len();
        let position = self.offset.saturating_add(have as u64);
        let wanted = usize::try_from(self.end.saturating_sub(position)).unwrap_or(usize::MAX).min(READ_BYTES);
        self.buffer.resize(have + wanted, 0);
        let target = self.buffer.get_mut(have..).unwrap_or_default();
        let read = read_some(self.file.borrow(), target, position);
        self.buffer.truncate(have + *read.as_ref().unwrap_or(&0));
        Ok(read? > 0)
    }
}

/// Reads at `position` until `target` is full or the file ends; interrupted reads are repeated.
pub(crate) fn read_some(file: &File, target: &mut [u8], position: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = target.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, position.saturating_add(done as u64)) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file
    }

    #[test]
    fn lines_ends_and_torn_pieces() {
        let file = file(b"a\n\nbc\nde");
        let mut lines = Lines::new(&file, 0, 8);
        assert_eq!(lines.next().unwrap(), Piece::Whole { at: 0, line: b"a" });
        assert_eq!(lines.next().unwrap(), Piece::Whole { at: 2, line: b"" });
        assert_eq!(lines.next().unwrap(), Piece::Whole { at: 3, line: b"bc" });
        assert_eq!(lines.next().unwrap(), Piece::Torn { at: 6, bytes: b"de" });
        assert_eq!(Lines::new(&file, 3, 6).next().unwrap(), Piece::Whole { at: 3, line: b"bc" });
        assert_eq!(Lines::new(&file, 8, 8).next().unwrap(), Piece::End { at: 8 });
        assert_eq!(Lines::new(&file, 0, 1).next().unwrap(), Piece::Torn { at: 0, bytes: b"a" });
    }

    #[test]
    fn deny_endless_lines() {
        let length = TRAIL_LINE_BYTES_MAX as u64;
        for (content, whole) in [
            ([vec![b'x'; TRAIL_LINE_BYTES_MAX - 1], vec![b'\n']].concat(), true),
            ([vec![b'x'; TRAIL_LINE_BYTES_MAX], vec![b'\n']].concat(), false),
            (vec![b'x'; TRAIL_LINE_BYTES_MAX * 2], false),
        ] {
            let file = file(&content);
            let mut lines = Lines::new(&file, 0, length * 2);
            assert_eq!(matches!(lines.next().unwrap(), Piece::Whole { .. }), whole);
        }
    }
}
