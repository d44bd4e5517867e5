// SPDX-License-Identifier: MIT OR Apache-2.0
//! A socket with what was read from it and not used yet, and two futures at a time.
//!
//! In: a connected socket. Out: bytes in the order in which they came, and writes that wait where they must.
//!
//! **Invariant:** a socket that waits for its next message holds no buffer.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpStream;

/// Bytes that are read at once into an inbox.
const READ_BYTES: usize = 4 << 10;

/// A socket and what was read from it ahead.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) socket: TcpStream,
    ahead: Vec<u8>,
}

impl Inbox {
    pub(crate) fn new(socket: TcpStream) -> Self {
        Self { socket, ahead: Vec::new() }
    }

    /// What was read and not used.
    pub(crate) fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// Marks bytes at the front as used.
    pub(crate) fn consume(&mut self, count: usize) {
        if count >= self.ahead.len() {
            self.ahead = Vec::new();
        } else {
            self.ahead.drain(..count);
        }
    }

    /// Takes everything that was read ahead.
    pub(crate) fn take_ahead(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.ahead)
    }

    /// The socket for writing, and what is needed to read from it.
    pub(crate) fn split(&mut self) -> (&TcpStream, Reader<'_>) {
        (&self.socket, Reader { socket: &self.socket, ahead: &mut self.ahead })
    }

    pub(crate) fn reader(&mut self) -> Reader<'_> {
        self.split().1
    }

    /// See [`Reader::fill`].
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        self.reader().fill().await
    }

    /// Waits until something is ahead, at most so long.
    pub(crate) async fn wait(&mut self, limit: Duration) -> Waited {
        if !self.ahead.is_empty() {
            return Waited::Ready;
        }
        match tokio::time::timeout(limit, self.fill()).await {
            Err(_) => Waited::Late,
            Ok(Ok(1..)) => Waited::Ready,
            Ok(_) => Waited::Ended,
        }
    }
}

/// The reading half of an inbox.
pub(crate) struct Reader<'a> {
    pub(crate) socket: &'a TcpStream,
    pub(crate) ahead: &'a mut Vec<u8>,
}

impl Reader<'_> {
    /// Reads what is there; 0 is the end. The caller bounds how much it lets come together.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        loop {
            self.socket.readable().await?;
            self.ahead.reserve(READ_BYTES);
            match self.socket.try_read_buf(self.ahead) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.ahead.is_empty() {
                        *self.ahead = Vec::new();
                    }
                }
                other => return other,
            }
        }
    }
}

/// How a wait for bytes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// There are some.
    Ready,
    /// The other end closed, or the connection broke.
    Ended,
    /// It took too long.
    Late,
}

/// Writes everything.
pub(crate) async fn write_all(socket: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match socket.try_write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Says that nothing more will be written. A socket that is gone has been told.
pub(crate) fn close_writing(socket: &TcpStream) {
    rustix::net::shutdown(socket, rustix::net::Shutdown::Write).ok();
}

/// Which of two futures was first.
#[derive(Debug)]
pub(crate) enum First<A, B> {
    /// The first one.
    Left(A),
    /// The second one.
    Right(B),
}

/// Runs two futures until one is done; the other is dropped.
pub(crate) async fn race<A, B>(left: impl Future<Output = A>, right: impl Future<Output = B>) -> First<A, B> {
    let (mut left, mut right) = (pin!(left), pin!(right));
    poll_fn(|context| {
        if let Poll::Ready(value) = left.as_mut().poll(context) {
            return Poll::Ready(First::Left(value));
        }
        right.as_mut().poll(context).map(First::Right)
    })
    .await
}

/// Runs two futures until both are done, or one fails.
pub(crate) async fn both<E>(
    left: impl Future<Output = Result<(), E>>,
    right: impl Future<Output = Result<(), E>>,
) -> Result<(), E> {
    let (mut left, mut right) = (pin!(left), pin!(right));
    let (mut left_done, mut right_done) = (false, false);
    poll_fn(|context| {
        if !left_done && let Poll::Ready(result) = left.as_mut().poll(context) {
            if result.is_err() {
                return Poll::Ready(result);
            }
            left_done = true;
        }
        if !right_done && let Poll::Ready(result) = right.as_mut().poll(context) {
            if result.is_err() {
                return Poll::Ready(result);
            }
            right_done = true;
        }
        if left_done && right_done { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
}
