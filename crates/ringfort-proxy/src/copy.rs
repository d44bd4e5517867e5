// SPDX-License-Identifier: MIT OR Apache-2.0
//! Moving bytes from one socket to another, counted.
//!
//! In: two sockets and an account. Out: bytes on the other side, until the end, a length or a limit.
//!
//! **Invariant:** no byte is kept while a task waits, but for what the other side did not take; the copy buffer is one
//! for the whole thread. What flows steadily goes through a pipe in the kernel and is never copied here.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::limits::COPY_BYTES;
use crate::refusal::Refusal;
use crate::stream::{First, both, close_writing, race, write_all};
use crate::ticket::{Ticket, Way};
use crate::wire::chunk::Chunks;

/// Full buffers in a row after which a pipe is made.
const STEADY_READS: u32 = 4;
/// Small moves in a row after which the pipe is given up.
const SMALL_MOVES: u32 = 16;
/// What is a small move, in bytes.
const SMALL_BYTES: usize = 16 << 10;
/// Bytes that a pipe is asked to hold; the kernel may grant less.
const PIPE_BYTES: usize = 512 << 10;
/// How often the processor is left to others before a move that finds nothing waits to be woken.
const PATIENCE: u32 = 2;
/// Bytes after which another task gets its turn.
const TURN_BYTES: u64 = 1 << 20;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The two ends of a move, and its account.
#[derive(Clone, Copy)]
pub(crate) struct Flow<'a> {
    pub(crate) from: &'a TcpStream,
    pub(crate) to: &'a TcpStream,
    pub(crate) ticket: &'a Ticket,
    pub(crate) way: Way,
}

/// Whether the end came before the length was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// Everything was moved.
    All,
    /// The source ended early.
    Short,
    /// The other side does not take any more.
    Cut,
}

impl Flow<'_> {
    /// Writes bytes that were read ahead.
    pub(crate) async fn write(&self, bytes: &[u8]) -> Result<Moved, Refusal> {
        if write_all(self.to, bytes).await.is_err() {
            return Ok(Moved::Cut);
        }
        self.ticket.moved(self.way, bytes.len() as u64)?;
        Ok(Moved::All)
    }

    /// Moves up to `left` bytes; `u64::MAX` for all until the end.
    pub(crate) async fn pass(&self, mut left: u64) -> Result<Moved, Refusal> {
        let (mut steady, mut turn, mut may_splice) = (0, 0_u64, true);
        while left > 0 {
            if steady >= STEADY_READS && may_splice {
                match self.splice(&mut left).await? {
                    Spliced::Ended(moved) => return Ok(moved),
                    Spliced::Slow => steady = 0,
                    Spliced::Cannot => may_splice = false,
                }
                continue;
            }
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(COPY_BYTES);
            let count = match self.copy_some(most, |_| Ok(())).await? {
                Step::Ended => return Ok(ended(left)),
                Step::Cut => return Ok(Moved::Cut),
                Step::Some(count) => count,
            };
            left = if left == u64::MAX { left } else { left - count as u64 };
            steady = if count == COPY_BYTES { steady + 1 } else { 0 };
            turn += count as u64;
            if turn >= TURN_BYTES {
                turn = 0;
                tokio::task::yield_now().await;
            }
        }
        Ok(Moved::All)
    }

    /// Moves one chunked body, of which `ahead` was read before; what follows it is left in `ahead`.
    pub(crate) async fn pass_chunks(&self, ahead: &mut Vec<u8>) -> Result<Moved, Refusal> {
        let mut chunks = Chunks::default();
        let taken = chunks.advance(ahead).map_err(Refusal::malformed)?;
        let rest = ahead.split_off(taken);
        let first = std::mem::replace(ahead, rest);
        if self.write(&first).await? == Moved::Cut {
            return Ok(Moved::Cut);
        }
        while !chunks.is_done() {
            if chunks.data_left() > COPY_BYTES as u64 {
                let data = chunks.data_left() - 1;
                match self.pass(data).await? {
                    Moved::All => chunks.skip(data),
                    other => return Ok(other),
                }
                continue;
            }
            let mut fault = None;
            let step = self.copy_some(COPY_BYTES, |bytes| {
                let taken = chunks.advance(bytes).unwrap_or_else(|wrong| {
                    fault = Some(wrong);
                    0
                });
                *ahead = bytes.get(taken..).unwrap_or_default().to_vec();
                if fault.is_some() {
                    Err(0)
                } else if taken < bytes.len() {
                    Err(taken)
                } else {
                    Ok(())
                }
            });
            let step = step.await?;
            if let Some(fault) = fault {
                return Err(Refusal::malformed(fault));
            }
            match step {
                Step::Ended => return Ok(Moved::Short),
                Step::Cut => return Ok(Moved::Cut),
                Step::Some(_) => {}
            }
        }
        Ok(Moved::All)
    }

    /// Reads once and writes what was read, or the part of it that `look` names in its error.
    async fn copy_some(&self, most: usize, mut look: impl FnMut(&[u8]) -> Result<(), usize>) -> Result<Step, Refusal> {
        loop {
            if self.from.readable().await.is_err() {
                return Ok(Step::Ended);
            }
            let once = SCRATCH.with_borrow_mut(|scratch| {
                scratch.resize(COPY_BYTES, 0);
                let Some(space) = scratch.get_mut(..most) else { return Ok((0, Vec::new(), false)) };
                let count = self.from.try_read(space)?;
                let bytes = space.get(..count).unwrap_or_default();
                let bytes = if count == 0 {
                    bytes
                } else {
                    look(bytes).err().and_then(|part| bytes.get(..part)).unwrap_or(bytes)
                };
                let written = match self.to.try_write(bytes) {
                    Ok(written) => written,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                    Err(_) => return Ok((count, Vec::new(), true)),
                };
                Ok((count, bytes.get(written..).unwrap_or_default().to_vec(), false))
            });
            match once {
                Ok((0, ..)) => return Ok(Step::Ended),
                Ok((_, _, true)) => return Ok(Step::Cut),
                Ok((count, rest, false)) => {
                    self.ticket.moved(self.way, count as u64)?;
                    return Ok(if write_all(self.to, &rest).await.is_ok() { Step::Some(count) } else { Step::Cut });
                }
                Err(error) if io::Error::kind(&error) == io::ErrorKind::WouldBlock => {}
                Err(_) => return Ok(Step::Ended),
            }
        }
    }

    /// Moves through a pipe as long as bytes come steadily.
    async fn splice(&self, left: &mut u64) -> Result<Spliced, Refusal> {
        let Ok((read, write)) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK) else {
            return Ok(Spliced::Cannot);
        };
        // The size that it has otherwise is enough to work.
        fcntl_setpipe_size(&write, PIPE_BYTES).ok();
        let (mut small, mut turn) = (0, 0_u64);
        while *left > 0 {
            let most = usize::try_from(*left).unwrap_or(usize::MAX).min(PIPE_BYTES);
            let count = match self.fill(&write, most).await {
                Ok(0) => return Ok(Spliced::Ended(ended(*left))),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(Spliced::Cannot),
                Err(_) => return Ok(Spliced::Ended(ended(*left))),
            };
            self.ticket.moved(self.way, count as u64)?;
            if self.empty(&read, count).await.is_err() {
                return Ok(Spliced::Ended(Moved::Cut));
            }
            *left = if *left == u64::MAX { *left } else { *left - count as u64 };
            small = if count < SMALL_BYTES { small + 1 } else { 0 };
            if small >= SMALL_MOVES {
                return Ok(Spliced::Slow);
            }
            turn += count as u64;
            if turn >= TURN_BYTES {
                turn = 0;
                tokio::task::yield_now().await;
            }
        }
        Ok(Spliced::Ended(Moved::All))
    }

    async fn fill(&self, pipe: &OwnedFd, most: usize) -> io::Result<usize> {
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        let step = || splice(self.from, None, pipe, None, most, flags).map_err(io::Error::from);
        // To be woken costs more than to let the sender run: it may be waiting for this very processor.
        for _ in 0..PATIENCE {
            match step() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
                other => return other,
            }
        }
        self.from.async_io(Interest::READABLE, step).await
    }

    async fn empty(&self, pipe: &OwnedFd, mut count: usize) -> io::Result<()> {
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        while count > 0 {
            let step = || splice(pipe, None, self.to, None, count, flags).map_err(io::Error::from);
            match self.to.async_io(Interest::WRITABLE, step).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                moved => count = count.saturating_sub(moved),
            }
        }
        Ok(())
    }
}

enum Step {
    Some(usize),
    Ended,
    Cut,
}

enum Spliced {
    Ended(Moved),
    Slow,
    Cannot,
}

fn ended(left: u64) -> Moved {
    if left == u64::MAX { Moved::All } else { Moved::Short }
}

/// Moves both ways until both sides have ended, one breaks, a limit is reached or nothing has moved for too long.
pub(crate) async fn tunnel(
    client: &TcpStream,
    server: &TcpStream,
    ticket: &Ticket,
    idle: Duration,
) -> Result<(), Refusal> {
    let out = Flow { from: client, to: server, ticket, way: Way::Out };
    let back = Flow { from: server, to: client, ticket, way: Way::In };
    unless_idle(ticket, idle, both(one_way(&out), one_way(&back))).await
}

/// Moves one way until its end and passes the end on.
pub(crate) async fn one_way(flow: &Flow<'_>) -> Result<(), Refusal> {
    match flow.pass(u64::MAX).await? {
        Moved::Cut => Err(Refusal::failed(502, "connection-broken")),
        Moved::All | Moved::Short => {
            close_writing(flow.to);
            Ok(())
        }
    }
}

/// Runs something until nothing has moved for `idle`.
pub(crate) async fn unless_idle<T>(
    ticket: &Ticket,
    idle: Duration,
    work: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    let watch = async {
        loop {
            let before = ticket.total();
            tokio::time::sleep(idle).await;
            if ticket.total() == before {
                return;
            }
        }
    };
    match race(work, watch).await {
        First::Left(result) => result,
        First::Right(()) => Err(Refusal::failed(504, "idle")),
    }
}
