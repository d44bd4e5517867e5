// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copies bytes between a caged program and the world, redacting what leaves.
//!
//! In: descriptors to read, descriptors to write. Out: the same bytes in order, without secrets.
//!
//! **Invariant:** memory is constant ([`CHUNK_BYTES`] and the redactor's window for each stream); a reader that is slow
//! slows the program down and loses nothing; output that is not a terminal is always redacted.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use ringfort_detect::{Known, Redacted, Redactor};
use rustix::event::PollFlags;
use rustix::fs::{FileType, fstat};

use super::screen::ScreenFilter;

/// Most bytes that are read at once.
const CHUNK_BYTES: usize = 64 << 10;
/// Most bytes that are written to a pipe at once: what a pipe that polls as writable takes without blocking (POSIX
/// `PIPE_BUF`).
const PIPE_WRITE_BYTES: usize = 4096;

/// What stands in the place of output beyond the bound.
const CUT_MARK: &[u8] = b"\n[ringfort: the rest of the output is beyond the limit and was dropped]\n";

/// What is done to the bytes on their way.
enum Filter {
    /// Nothing: input of the program.
    Plain,
    /// Secrets are redacted.
    Redact(Box<Lazy>),
    /// Sequences that would reach beyond the screen are dropped.
    Screen(ScreenFilter),
    /// Both.
    ScreenRedact(ScreenFilter, Box<Lazy>),
}

/// A redactor that is made when the first byte comes: most programs say nothing on one of their streams.
#[derive(Default)]
struct Lazy {
    redactor: Option<Redactor>,
    known: Option<Arc<Known>>,
}

impl Lazy {
    fn new(known: Option<Arc<Known>>) -> Box<Self> {
        Box::new(Self { redactor: None, known })
    }

    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let redactor =
            self.redactor.get_or_insert_with(|| self.known.take().map_or_else(Redactor::new, Redactor::knowing));
        redactor.push(chunk, &mut |part: Redacted<&[u8]>| out.extend_from_slice(part.as_bytes()));
    }

    fn idle(&mut self, out: &mut Vec<u8>) {
        if let Some(redactor) = &mut self.redactor {
            redactor.flush_idle(&mut |part: Redacted<&[u8]>| out.extend_from_slice(part.as_bytes()));
        }
    }

    fn finish(self, out: &mut Vec<u8>) {
        if let Some(redactor) = self.redactor {
            redactor.finish(&mut |part: Redacted<&[u8]>| out.extend_from_slice(part.as_bytes()));
        }
    }
}

/// One direction of one stream.
pub(super) struct Stream {
    from: Option<OwnedFd>,
    to: Option<OwnedFd>,
    filter: Filter,
    pending: Vec<u8>,
    written: usize,
    write_bytes_max: usize,
    closes: bool,
    /// Whether something may be held back that a pause should let go.
    may_hold: bool,
    /// Bytes that may still be read before the rest is dropped; `None` is no bound.
    left: Option<u64>,
    /// Whether something was dropped already.
    is_cut: bool,
    buffer: Vec<u8>,
}

impl Stream {
    fn new(from: OwnedFd, to: OwnedFd, filter: Filter, closes: bool) -> Self {
        let regular = fstat(&to).is_ok_and(|status| FileType::from_raw_mode(status.st_mode) == FileType::RegularFile);
        Self {
            from: Some(from),
            to: Some(to),
            filter,
            pending: Vec::new(),
            written: 0,
            write_bytes_max: if regular { CHUNK_BYTES } else { PIPE_WRITE_BYTES },
            closes,
            may_hold: false,
            left: None,
            is_cut: false,
            buffer: Vec::new(),
        }
    }

    /// Input for the program; its end is closed with ours.
    pub(super) fn input(from: OwnedFd, to: OwnedFd) -> Self {
        Self::new(from, to, Filter::Plain, true)
    }

    /// Keys for the program's terminal, which stays open at their end.
    pub(super) fn keys(from: OwnedFd, to: OwnedFd) -> Self {
        Self::new(from, to, Filter::Plain, false)
    }

    /// Whether this reads the user's terminal.
    pub(super) const fn is_keys(&self) -> bool {
        !self.closes
    }

    /// Captured output, redacted.
    pub(super) fn captured(from: OwnedFd, to: OwnedFd, known: Option<Arc<Known>>) -> Self {
        Self::new(from, to, Filter::Redact(Lazy::new(known)), true)
    }

    /// Output on the user's terminal.
    pub(super) fn screen(from: OwnedFd, to: OwnedFd, redacts: bool, known: Option<Arc<Known>>) -> Self {
        let filter = if redacts {
            Filter::ScreenRedact(ScreenFilter::new(), Lazy::new(known))
        } else {
            Filter::Screen(ScreenFilter::new())
        };
        Self::new(from, to, filter, true)
    }

    /// Passes on at most `bytes`; what comes after is read, dropped and marked once.
    pub(super) fn bounded(mut self, bytes: Option<u64>) -> Self {
        self.left = bytes;
        self
    }

    /// What to wait for, if anything: readable input while nothing is pending, otherwise writable output.
    pub(super) fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        if self.written < self.pending.len() {
            return self.to.as_ref().map(|to| (to.as_fd(), PollFlags::OUT));
        }
        self.from.as_ref().map(|from| (from.as_fd(), PollFlags::IN))
    }

    /// Whether everything was copied and both ends are done.
    pub(super) fn is_done(&self) -> bool {
        self.from.is_none() && self.written >= self.pending.len()
    }

    /// Does what [`Stream::interest`] waited for.
    pub(super) fn step(&mut self) {
        if self.written < self.pending.len() {
            self.write();
        } else {
            self.read();
        }
        if self.is_done() && self.closes {
            self.to = None;
        }
    }

    /// Whether a short pause should be answered with [`Stream::idle`].
    pub(super) fn may_hold(&self) -> bool {
        self.may_hold
    }

    /// Passes on what the redactor holds back although nothing follows: a prompt without a newline.
    pub(super) fn idle(&mut self) {
        if self.written < self.pending.len() {
            return;
        }
        self.may_hold = false;
        self.pending.clear();
        self.written = 0;
        let pending = &mut self.pending;
        if let Filter::Redact(redactor) | Filter::ScreenRedact(_, redactor) = &mut self.filter {
            redactor.idle(pending);
        }
    }

    fn read(&mut self) {
        let Some(from) = &self.from else { return };
        self.buffer.resize(CHUNK_BYTES, 0);
        let count = match rustix::io::retry_on_intr(|| rustix::io::read(from, &mut self.buffer)) {
            Ok(count) => count,
            Err(rustix::io::Errno::AGAIN) => return,
            // The other side of a pseudo-terminal is closed: EIO is its end of file.
            Err(_closed) => 0,
        };
        self.pending.clear();
        self.written = 0;
        if count == 0 {
            self.from = None;
            self.finish();
        } else {
            self.take_chunk(count);
            self.may_hold = matches!(self.filter, Filter::Redact(_) | Filter::ScreenRedact(..));
        }
    }

    /// Filters what was read, up to the bound; with the first byte beyond it the stream is ended and marked.
    fn take_chunk(&mut self, count: usize) {
        let kept = self.left.map_or(count, |left| usize::try_from(left).unwrap_or(usize::MAX).min(count));
        if self.is_cut {
            return;
        }
        self.filter_chunk(kept);
        self.left = self.left.map(|left| left - kept as u64);
        if kept < count {
            self.is_cut = true;
            self.finish();
            self.pending.extend_from_slice(CUT_MARK);
        }
    }

    fn filter_chunk(&mut self, count: usize) {
        let chunk = self.buffer.get(..count).unwrap_or_default();
        let pending = &mut self.pending;
        match &mut self.filter {
            Filter::Plain => pending.extend_from_slice(chunk),
            Filter::Screen(screen) => screen.push(chunk, pending),
            Filter::Redact(redactor) => {
                redactor.push(chunk, pending);
            }
            Filter::ScreenRedact(screen, redactor) => {
                let mut shown = Vec::with_capacity(chunk.len());
                screen.push(chunk, &mut shown);
                redactor.push(&shown, pending);
            }
        }
    }

    fn finish(&mut self) {
        let pending = &mut self.pending;
        match std::mem::replace(&mut self.filter, Filter::Plain) {
            Filter::Plain => {}
            Filter::Screen(mut screen) => screen.finish(pending),
            Filter::Redact(redactor) => {
                redactor.finish(pending);
            }
            Filter::ScreenRedact(mut screen, mut redactor) => {
                let mut shown = Vec::new();
                screen.finish(&mut shown);
                redactor.push(&shown, pending);
                redactor.finish(pending);
            }
        }
    }

    fn write(&mut self) {
        let Some(to) = &self.to else {
            self.give_up();
            return;
        };
        let rest = self.pending.get(self.written..).unwrap_or_default();
        let part = rest.get(..rest.len().min(self.write_bytes_max)).unwrap_or_default();
        match rustix::io::write(to, part) {
            Ok(count) => self.written += count,
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            // The reader has gone: the program learns it as it would without us, by its own pipe closing.
            Err(_gone) => self.give_up(),
        }
    }

    fn give_up(&mut self) {
        self.from = None;
        self.to = None;
        self.pending.clear();
        self.written = 0;
    }
}
