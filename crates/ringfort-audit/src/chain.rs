// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one writer of lines: it numbers, links and hashes entries, and writes them in whole runs.
//!
//! In: canonical members of entries. Out: receipts, in order, for those that are in the kernel.
//!
//! **Invariant:** everything here happens under the chain lock, from the newest mark of the head, after the last line
//! was checked against it. A run that cannot be written whole is taken back. Marks move only after their bytes.
//! Repair is in `repair`, group commit in `commit`, durability in `sync`.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use ringfort_core::clock::Clock;
use ringfort_core::digest::Digest;
use ringfort_core::entry::Entry;

use crate::dir::{Access, Dir, FileError, Identity};
use crate::entry::{EncodeError, encode_any};
use crate::fault::FaultKind;
use crate::head::{HEAD_NAME, Head, Mark, Pair};
use crate::lock::{self, Share};
use crate::repair::Repair;
use crate::scan::{HEX_BYTES, Hex};
use crate::segment;
use crate::sync::Syncer;
use crate::time::TIME_BYTES;
use crate::trail::Receipt;

/// Name of the lock file of the chain.
pub(crate) const LOCK_NAME: &str = "lock";

/// Most bytes that are written in one run.
const RUN_BYTES_MAX: usize = 4 << 20;

/// Why the chain could not be continued.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// A file cannot be used or written. Nothing was acknowledged; what was written in part was taken back, or will
    /// be quarantined by the next append.
    #[error(transparent)]
    File(#[from] FileError),
    /// The trail is not as it was left. Nothing was written.
    #[error("the trail has been tampered with at entry {seq} ({fault}); run `ringfort trail verify`")]
    Tampered {
        /// The entry.
        seq: u64,
        /// What is wrong with it.
        fault: FaultKind,
    },
    /// Others held the trail for too long. Nothing was acknowledged.
    #[error("the trail is busy: no turn within {wait_ms} ms")]
    Busy {
        /// How long was waited. Milliseconds.
        wait_ms: u64,
    },
    /// A file of the trail was replaced while it was open. Nothing was written.
    #[error("`{name}` of the trail was replaced while it was in use")]
    Replaced {
        /// Which file.
        name: &'static str,
    },
    /// The clock shows a year that cannot be written. Nothing was written.
    #[error("the clock shows no year between 1970 and 9999")]
    Clock,
    /// There are too many quarantined pieces. Nothing was written.
    #[error("there are {0} quarantined pieces of entry {1}; inspect and remove the `torn-` files of the trail")]
    TornFiles(u32, u64),
    /// An event of the trail itself cannot be written. Nothing was written.
    #[error(transparent)]
    Event(#[from] EncodeError),
}

/// What the chain needs to know besides its folder.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) segment_bytes_max: u64,
    pub(crate) lock_wait: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) boot: String,
}

/// The newest segment, open, and how far it reaches.
pub(crate) struct Current {
    pub(crate) mark: Mark,
    pub(crate) file: File,
    pub(crate) identity: Identity,
}

/// The writer's end of a trail.
pub(crate) struct Chain {
    pub(crate) dir: Arc<Dir>,
    pub(crate) head: Arc<Head>,
    pub(crate) syncer: Arc<Syncer>,
    pub(crate) settings: Settings,
    pub(crate) repairs: Vec<Repair>,
    lock: Arc<File>,
    /// As this process left it; `None` when that is not known.
    current: Option<Current>,
}

impl Chain {
    /// Opens the chain, makes it if there is none, and repairs a torn end.
    pub(crate) fn open(dir: Arc<Dir>, settings: Settings) -> Result<Self, ChainError> {
        let lock = Arc::new(lock::open(&dir, LOCK_NAME)?);
        let held = lock::hold(&dir, &lock, LOCK_NAME, Share::Exclusive, settings.lock_wait)?;
        let head = match Head::open(&dir, Access::Write)? {
            Some(head) => head,
            None if dir.names()?.iter().any(|name| segment::parse_name(name).is_some()) => {
                return Err(ChainError::Tampered { seq: 0, fault: FaultKind::HeadMissing });
            }
            None => Head::create(&dir, &settings.boot)?,
        };
        let head = Arc::new(head);
        let syncer = Arc::new(Syncer::open(Arc::clone(&dir), Arc::clone(&head), settings.lock_wait)?);
        let lock = Arc::clone(&lock);
        let mut chain = Self { dir, head, syncer, settings, repairs: Vec::new(), lock, current: None };
        chain.current = Some(chain.refresh()?);
        drop(held);
        Ok(chain)
    }

    /// Writes entries, given as canonical members; as many receipts as were written, and why it stopped.
    pub(crate) fn write(&mut self, entries: &[&[u8]]) -> (Vec<Receipt>, Result<(), ChainError>) {
        let mut receipts = Vec::with_capacity(entries.len());
        let result = self.write_all(entries, &mut receipts);
        (receipts, result)
    }

    fn write_all(&mut self, entries: &[&[u8]], receipts: &mut Vec<Receipt>) -> Result<(), ChainError> {
        let (dir, lock) = (Arc::clone(&self.dir), Arc::clone(&self.lock));
        let _held = lock::hold(&dir, &lock, LOCK_NAME, Share::Exclusive, self.settings.lock_wait)?;
        let mut current = self.refresh()?;
        let mut rest = entries;
        while !rest.is_empty() {
            let taken = self.write_run(&mut current, rest, receipts)?;
            if taken == 0 {
                current = self.rotate(current)?;
            }
            rest = rest.get(taken..).unwrap_or_default();
        }
        // Set only on success: after an error the next append starts from the files.
        self.current = Some(current);
        Ok(())
    }

    /// The newest mark and segment, checked; cheap when nobody else wrote since.
    fn refresh(&mut self) -> Result<Current, ChainError> {
        let known = self.current.take();
        if self.dir.stat(HEAD_NAME)?.map(|(identity, _)| identity) != Some(self.dir.identity(self.head.file())?) {
            return Err(ChainError::Replaced { name: HEAD_NAME });
        }
        let mark = self
            .head
            .mark(&self.dir, Pair::Written)?
            .map_err(|fault| ChainError::Tampered { seq: known.as_ref().map_or(0, |known| known.mark.next), fault })?;
        if let Some(known) = known
            && known.mark == mark
            && self.dir.stat(&segment::name(mark.segment))? == Some((known.identity, mark.bytes))
        {
            return Ok(known);
        }
        self.recover(mark)
    }

    /// Writes as many entries as fit into the segment; the first always fits behind a header.
    fn write_run(
        &mut self,
        current: &mut Current,
        entries: &[&[u8]],
        receipts: &mut Vec<Receipt>,
    ) -> Result<usize, ChainError> {
        let mut run = self.run(&current.mark)?;
        let mut written = Vec::new();
        for members in entries {
            let alone = run.mark.next.saturating_sub(run.mark.segment) <= 1;
            let full = run.mark.bytes + run.line_bytes(members) > self.settings.segment_bytes_max;
            if (full && !alone) || run.buffer.len() > RUN_BYTES_MAX {
                break;
            }
            written.push(run.push(members)?);
        }
        if !written.is_empty() {
            let end = current.mark.bytes;
            if let Err(error) = self.put(current, run) {
                // If this fails too, the piece stays beyond the mark and the next append quarantines it.
                drop(current.file.set_len(end));
                return Err(error);
            }
        }
        let taken = written.len();
        receipts.append(&mut written);
        Ok(taken)
    }

    /// Starts a run at `mark`, with the header if the segment is empty.
    pub(crate) fn run(&self, mark: &Mark) -> Result<Run, ChainError> {
        let time = self.settings.clock.now().to_string();
        let Some(time) = time.as_bytes().first_chunk().filter(|text| crate::time::is_canonical(text)).copied() else {
            return Err(ChainError::Clock);
        };
        let mut mark = mark.clone();
        mark.boot.clone_from(&self.settings.boot);
        let mut run = Run { start: mark.bytes, mark, buffer: Vec::new(), time };
        if run.mark.bytes == 0 {
            run.push_event(&segment::header(&run.mark))?;
        }
        Ok(run)
    }

    /// Puts a run into the file and then moves the mark.
    pub(crate) fn put(&self, current: &mut Current, run: Run) -> Result<(), ChainError> {
        let Run { start, mut mark, buffer, .. } = run;
        let fail = |error| self.dir.error("write", &segment::name(mark.segment), error);
        current.file.write_all_at(&buffer, start).map_err(fail)?;
        self.head.write(&self.dir, Pair::Written, &mut mark, current.mark.turn)?;
        current.mark = mark;
        Ok(())
    }

    /// Seals the segment and opens the next. The head names the new one, durably, before it exists.
    fn rotate(&mut self, current: Current) -> Result<Current, ChainError> {
        let sealed = current.mark;
        self.syncer.sync_sealed(&current.file, &sealed)?;
        let turn = sealed.turn;
        let mut mark = Mark {
            previous: Some(sealed.segment),
            segment: sealed.next,
            segments: sealed.segments + 1,
            bytes: 0,
            line: 0,
            ..sealed
        };
        self.head.write(&self.dir, Pair::Written, &mut mark, turn)?;
        self.head.sync(&self.dir)?;
        self.recover(mark)
    }
}

/// Lines that are written together.
pub(crate) struct Run {
    /// Where they start in the segment.
    start: u64,
    /// The mark after them.
    pub(crate) mark: Mark,
    buffer: Vec<u8>,
    time: [u8; TIME_BYTES],
}

impl Run {
    /// An upper bound for the line of an entry. Bytes.
    fn line_bytes(&self, members: &[u8]) -> u64 {
        members.len() as u64 + crate::entry::ENVELOPE_BYTES_MAX as u64
    }

    /// Adds an event of the trail itself.
    pub(crate) fn push_event(&mut self, event: &Entry) -> Result<Receipt, ChainError> {
        let members = encode_any(event)?;
        self.push(&members)
    }

    /// Adds an entry, numbered, linked and hashed.
    fn push(&mut self, members: &[u8]) -> Result<Receipt, ChainError> {
        let seq = self.mark.next;
        let mut line = Vec::with_capacity(members.len() + crate::entry::ENVELOPE_BYTES_MAX);
        line.extend_from_slice(b"{\"v\":1,\"seq\":");
        crate::json::write_number(&mut line, format_args!("{seq}"));
        for part in [b",\"time\":\"", &self.time[..], b"\",\"prev\":\"", self.mark.hash.as_bytes(), b"\",", members] {
            line.extend_from_slice(part);
        }
        let hash = Digest::of(&line);
        let hex = hex(&hash);
        for part in [b",\"hash\":\"", hex.as_bytes(), b"\"}\n"] {
            line.extend_from_slice(part);
        }
        self.mark.line = self.start + self.buffer.len() as u64;
        self.buffer.append(&mut line);
        self.mark.bytes = self.start + self.buffer.len() as u64;
        self.mark.hash = hex;
        self.mark.next += 1;
        Ok(Receipt { seq, hash })
    }
}

/// A digest as 64 lower-case hex digits, without an allocation.
pub(crate) fn hex_digits(digest: &Digest) -> Hex {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    let mut digits = [0; HEX_BYTES];
    for ([high, low], byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(digest.as_bytes()) {
        *high = digit(byte >> 4);
        *low = digit(byte & 15);
    }
    digits
}

/// A digest as text.
fn hex(digest: &Digest) -> String {
    hex_digits(digest).into_iter().map(char::from).collect()
}
