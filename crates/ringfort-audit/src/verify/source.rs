// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cuts the segments into blocks of whole lines that can be checked on their own.
//!
//! In: the segments, in order. Out: [`Block`]s, numbered in order, each within one segment.
//!
//! **Invariant:** every byte up to the sizes seen at the start is in exactly one block; a block ends behind a newline
//! unless it says that it is torn or endless. What the lines mean is not looked at.

use std::fs::File;

use ringfort_core::limits::TRAIL_LINE_BYTES_MAX;

use crate::dir::{Access, Dir, FileError};
use crate::fault::FaultKind;
use crate::lines::read_some;

/// Size of a block before it is cut behind its last newline. Bytes.
pub(super) const BLOCK_BYTES: usize = 2 * TRAIL_LINE_BYTES_MAX;

/// A segment as it was listed.
pub(super) struct Segment {
    pub(super) first: u64,
    pub(super) name: String,
    pub(super) bytes: u64,
}

/// Some lines of one segment.
pub(super) struct Block {
    pub(super) number: u64,
    /// Its place in the list of segments.
    pub(super) segment: usize,
    /// The lines are its first `used` bytes; the rest is room that is not zeroed again for each block.
    pub(super) buffer: Vec<u8>,
    used: usize,
    /// Whether the segment starts with it.
    pub(super) opens: bool,
    /// What is wrong behind its last newline, or with its file.
    pub(super) end: Option<(FaultKind, &'static str)>,
}

impl Block {
    /// Its lines, each with its newline.
    pub(super) fn lines(&self) -> &[u8] {
        self.buffer.get(..self.used).unwrap_or_default()
    }
}

pub(super) struct Source<'a> {
    dir: &'a Dir,
    segments: &'a [Segment],
    index: usize,
    file: Option<File>,
    offset: u64,
    carry: Vec<u8>,
    number: u64,
}

impl<'a> Source<'a> {
    pub(super) fn new(dir: &'a Dir, segments: &'a [Segment]) -> Self {
        Self { dir, segments, index: 0, file: None, offset: 0, carry: Vec::new(), number: 0 }
    }

    /// The next block, in `buffer`; `None` at the end.
    pub(super) fn next(&mut self, buffer: Vec<u8>) -> Result<Option<Block>, FileError> {
        let Some(segment) = self.segments.get(self.index) else { return Ok(None) };
        let mut block =
            Block { number: self.number, segment: self.index, buffer, used: 0, opens: self.file.is_none(), end: None };
        self.number += 1;
        let file = match self.file.take() {
            Some(file) => file,
            None => match self.dir.file(&segment.name, Access::Read) {
                Ok(file) => file,
                Err(error) => {
                    block.end = Some(match error {
                        FileError::Unsafe { what, .. } => (FaultKind::WrongMode, what),
                        error if error.is_missing() => (FaultKind::SegmentMissing, "the file is gone"),
                        error => return Err(error),
                    });
                    return Ok(Some(self.close(block)));
                }
            },
        };
        let have = self.carry.len();
        let rest = usize::try_from(segment.bytes - self.offset).unwrap_or(usize::MAX);
        let wanted = BLOCK_BYTES.saturating_sub(have).min(rest);
        if block.buffer.len() < have + wanted {
            block.buffer.resize(have + wanted, 0);
        }
        if let Some(start) = block.buffer.get_mut(..have) {
            start.copy_from_slice(&self.carry);
        }
        let room = block.buffer.get_mut(have..have + wanted).unwrap_or_default();
        let read = read_some(&file, room, self.offset).map_err(|error| self.dir.error("read", &segment.name, error))?;
        self.offset += read as u64;
        // A file that became shorter ends here too.
        let ended = self.offset == segment.bytes || read < wanted;
        let filled = block.buffer.get(..have + read).unwrap_or_default();
        block.used = memchr::memrchr(b'\n', filled).map_or(0, |newline| newline + 1);
        self.carry.clear();
        self.carry.extend_from_slice(filled.get(block.used..).unwrap_or_default());
        if self.carry.len() >= TRAIL_LINE_BYTES_MAX {
            block.end = Some((FaultKind::LineTooLong, "the line is longer than a line may be"));
        } else if ended && !self.carry.is_empty() {
            block.end = Some((FaultKind::TornTail, "the last line is incomplete; the next append repairs that"));
        }
        if ended || block.end.is_some() {
            return Ok(Some(self.close(block)));
        }
        self.file = Some(file);
        Ok(Some(block))
    }

    /// Goes on to the next segment.
    fn close(&mut self, block: Block) -> Block {
        self.index += 1;
        self.offset = 0;
        self.carry.clear();
        self.file = None;
        block
    }
}
