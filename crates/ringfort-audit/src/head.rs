// SPDX-License-Identifier: MIT OR Apache-2.0
//! The head: how far the trail reaches, and how much of it is on disk, shared by all processes that write it.
//!
//! In: a [`Mark`] after each write and after each sync. Out: the newest valid one.
//!
//! **Invariant:** four fixed slots, two for each kind of mark, written in turn, so that an interrupted write leaves
//! the mark before it. `Written` is changed only under the chain lock, `Synced` only under the sync lock. A mark never
//! says more than is there. It is not secret and not signed: who can rewrite the whole folder can rewrite it too.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use ringfort_core::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::dir::{Access, Dir, FileError};
use crate::fault::FaultKind;
use crate::lines::read_some;

/// Name of the file.
pub(crate) const HEAD_NAME: &str = "head";

/// Name of a head that is being made.
pub(crate) const HEAD_NEW_NAME: &str = "head.new";

/// Size of one slot, its newline included: one sector, which a disk writes whole or not at all. Bytes.
pub(crate) const SLOT_BYTES: usize = 512;

const SLOT_BYTES_U64: u64 = SLOT_BYTES as u64;

/// No number of a mark is as large as this, so that counting on from a hostile mark does not overflow.
const NUMBER_MAX: u64 = 1 << 60;

/// Tries to read a pair of slots that another process may be writing.
const READ_TRIES: u32 = 16;

/// Where the running kernel names itself; the name changes with each start.
const BOOT_ID_PATH: &str = "/proc/sys/kernel/random/boot_id";

/// Longest name of a boot that is kept. Bytes.
const BOOT_BYTES_MAX: usize = 36;

/// A point of the trail: everything before it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mark {
    /// Version of the format.
    pub(crate) v: u8,
    /// Number of the next entry, which is how many there are.
    pub(crate) next: u64,
    /// Hash of the last entry; zeros if there is none.
    pub(crate) hash: String,
    /// First entry of the newest segment.
    pub(crate) segment: u64,
    /// First entry of the segment before it.
    pub(crate) previous: Option<u64>,
    /// How many segments there are.
    pub(crate) segments: u64,
    /// Size of the newest segment.
    pub(crate) bytes: u64,
    /// Where its last line starts.
    pub(crate) line: u64,
    /// The start of the kernel under which this was written.
    pub(crate) boot: String,
    /// Counts the writes of its pair of slots; odd and even ones take turns.
    pub(crate) turn: u64,
}

impl Mark {
    /// The mark of an empty trail.
    pub(crate) fn zero(boot: &str) -> Self {
        Self {
            v: 1,
            next: 0,
            hash: "0".repeat(64),
            segment: 0,
            previous: None,
            segments: 1,
            bytes: 0,
            line: 0,
            boot: boot.to_owned(),
            turn: 0,
        }
    }

    /// Whether both name the same point, whenever they were written.
    pub(crate) fn same_point(&self, other: &Self) -> bool {
        (self.next, &self.hash, self.segment, self.bytes) == (other.next, &other.hash, other.segment, other.bytes)
    }

    fn to_slot(&self) -> Option<Vec<u8>> {
        let mut slot = serde_json::to_vec(self).ok()?;
        let check = Digest::of(&slot).to_string();
        slot.push(b' ');
        slot.extend_from_slice(check.as_bytes());
        if slot.len() >= SLOT_BYTES {
            return None;
        }
        slot.resize(SLOT_BYTES - 1, b' ');
        slot.push(b'\n');
        Some(slot)
    }

    /// Reads one slot; `None` if a single byte of it is wrong.
    fn from_slot(slot: &[u8]) -> Option<Self> {
        let end = slot.windows(2).position(|pair| pair == b"} ")?;
        let mark: Self = serde_json::from_slice(slot.get(..=end)?).ok()?;
        let valid = mark.v == 1
            && Digest::parse(&mark.hash).is_some()
            && mark.line <= mark.bytes
            && [mark.next, mark.segment, mark.segments, mark.bytes].iter().all(|number| *number < NUMBER_MAX)
            && mark.to_slot().as_deref() == Some(slot);
        valid.then_some(mark)
    }
}

/// Which of the two kinds of marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pair {
    Written,
    Synced,
}

impl Pair {
    const fn first_slot(self) -> u64 {
        match self {
            Self::Written => 0,
            Self::Synced => 2,
        }
    }
}

/// What a pair of slots says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slots {
    /// The newest valid mark.
    pub(crate) mark: Option<Mark>,
    /// How many of the two cannot be read.
    pub(crate) damaged: usize,
}

/// The open file.
#[derive(Debug)]
pub(crate) struct Head {
    file: File,
}

impl Head {
    /// Opens the head; `None` if there is none.
    pub(crate) fn open(dir: &Dir, access: Access) -> Result<Option<Self>, FileError> {
        match dir.file(HEAD_NAME, access) {
            Ok(file) => Ok(Some(Self { file })),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes the head of an empty trail, whole or not at all. Only under the chain lock.
    pub(crate) fn create(dir: &Dir, boot: &str) -> Result<Self, FileError> {
        let file = dir.file(HEAD_NEW_NAME, Access::Create)?;
        let fail = |error| dir.error("write", HEAD_NEW_NAME, error);
        file.set_len(0).map_err(fail)?;
        let mut content = Vec::new();
        for turn in [0, 1, 0, 1] {
            let mark = Mark { turn, ..Mark::zero(boot) };
            content.extend(mark.to_slot().ok_or_else(|| fail(std::io::ErrorKind::InvalidData.into()))?);
        }
        file.write_all_at(&content, 0).map_err(fail)?;
        file.sync_all().map_err(fail)?;
        dir.rename(HEAD_NEW_NAME, HEAD_NAME)?;
        dir.sync()?;
        Ok(Self { file })
    }

    /// The open file, to be compared with what stands at its name.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Reads both slots of a pair.
    pub(crate) fn read(&self, dir: &Dir, pair: Pair) -> Result<Slots, FileError> {
        let mut bytes = [0_u8; 2 * SLOT_BYTES];
        let read = read_some(&self.file, &mut bytes, pair.first_slot() * SLOT_BYTES_U64)
            .map_err(|error| dir.error("read", HEAD_NAME, error))?;
        let marks: Vec<Mark> = bytes
            .get(..read)
            .unwrap_or_default()
            .as_chunks::<SLOT_BYTES>()
            .0
            .iter()
            .filter_map(|slot| Mark::from_slot(slot))
            .collect();
        Ok(Slots { damaged: 2 - marks.len(), mark: marks.into_iter().max_by_key(|mark| mark.turn) })
    }

    /// Whether the file holds its slots and nothing else.
    pub(crate) fn is_whole(&self, dir: &Dir) -> Result<bool, FileError> {
        let metadata = self.file.metadata().map_err(|error| dir.error("examine", HEAD_NAME, error))?;
        Ok(metadata.len() == 4 * SLOT_BYTES_U64)
    }

    /// The newest mark of a pair. Who does not hold the lock of the pair may see both slots in the middle of a write,
    /// so a few tries are made.
    pub(crate) fn mark(&self, dir: &Dir, pair: Pair) -> Result<Result<Mark, FaultKind>, FileError> {
        for _ in 0..READ_TRIES {
            if let Some(mark) = self.read(dir, pair)?.mark {
                return Ok(Ok(mark));
            }
            std::thread::yield_now();
        }
        Ok(Err(FaultKind::HeadDamaged))
    }

    /// Writes `mark` over the older slot of a pair; `turn` is that of the newest mark now.
    pub(crate) fn write(&self, dir: &Dir, pair: Pair, mark: &mut Mark, turn: u64) -> Result<(), FileError> {
        mark.turn = turn.wrapping_add(1);
        let fail = |error| dir.error("write", HEAD_NAME, error);
        let slot = mark.to_slot().ok_or_else(|| fail(std::io::ErrorKind::InvalidData.into()))?;
        let offset = (pair.first_slot() + mark.turn % 2) * SLOT_BYTES_U64;
        self.file.write_all_at(&slot, offset).map_err(fail)
    }

    /// Makes the marks durable.
    pub(crate) fn sync(&self, dir: &Dir) -> Result<(), FileError> {
        self.file.sync_data().map_err(|error| dir.error("sync", HEAD_NAME, error))
    }
}

/// The name of this start of the kernel; empty if it has none, and then no two starts are the same.
pub(crate) fn boot_id() -> String {
    let id = std::fs::read_to_string(BOOT_ID_PATH).unwrap_or_default();
    id.trim().chars().filter(char::is_ascii_graphic).take(BOOT_BYTES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> (tempfile::TempDir, Dir, Head) {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_or_create(&temp.path().join("trail")).unwrap();
        let head = Head::create(&dir, "boot").unwrap();
        (temp, dir, head)
    }

    #[test]
    fn the_largest_mark_fits() {
        let mark = Mark {
            v: 1,
            next: NUMBER_MAX - 1,
            hash: "f".repeat(64),
            segment: NUMBER_MAX - 1,
            previous: Some(NUMBER_MAX - 1),
            segments: NUMBER_MAX - 1,
            bytes: NUMBER_MAX - 1,
            line: NUMBER_MAX - 1,
            boot: "f".repeat(BOOT_BYTES_MAX),
            turn: u64::MAX,
        };
        let slot = mark.to_slot().unwrap();
        assert_eq!(Mark::from_slot(&slot), Some(mark));
    }

    #[test]
    fn deny_a_slot_with_any_wrong_byte() {
        let slot = Mark::zero("boot").to_slot().unwrap();
        for place in 0..slot.len() {
            for flip in [1, 0x20, 0x80] {
                let mut wrong = slot.clone();
                wrong[place] ^= flip;
                assert_eq!(Mark::from_slot(&wrong), None, "byte {place}");
            }
        }
    }

    #[test]
    fn an_interrupted_write_leaves_the_mark_before_it() {
        let (_temp, dir, head) = head();
        let mut turn = head.mark(&dir, Pair::Written).unwrap().unwrap().turn;
        for next in 1..6 {
            let mut mark = Mark { next, ..Mark::zero("boot") };
            head.write(&dir, Pair::Written, &mut mark, turn).unwrap();
            turn = mark.turn;
            assert_eq!(head.mark(&dir, Pair::Written).unwrap().unwrap().next, next);
        }
        assert_eq!(head.mark(&dir, Pair::Synced).unwrap().unwrap().next, 0);
        let newest = turn % 2 * SLOT_BYTES_U64;
        head.file.write_all_at(b"half", newest).unwrap();
        let slots = head.read(&dir, Pair::Written).unwrap();
        assert_eq!((slots.mark.unwrap().next, slots.damaged), (4, 1));
        head.file.write_all_at(b"half", SLOT_BYTES_U64 - newest).unwrap();
        assert_eq!(head.mark(&dir, Pair::Written).unwrap(), Err(FaultKind::HeadDamaged));
    }
}
