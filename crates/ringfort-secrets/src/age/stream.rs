// SPDX-License-Identifier: MIT OR Apache-2.0
//! The payload of an age file: chunks of 64 KiB, each sealed and numbered, the last one marked.

use std::borrow::Cow;
use std::io::{self, Read, Write};

use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, Nonce, Tag};

use super::AgeError;
use crate::locked::{Locked, wiping};

/// Length of a chunk. Bytes.
const CHUNK: usize = 64 << 10;
const TAG_LEN: usize = 16;

/// The nonce of a chunk: its number, then whether it is the last.
fn nonce(number: u64, last: bool) -> Nonce {
    let mut nonce = [0; 12];
    let parts = number.to_be_bytes().into_iter().chain([u8::from(last)]);
    nonce.iter_mut().skip(3).zip(parts).for_each(|(byte, part)| *byte = part);
    Nonce::from(nonce)
}

fn cipher(key: &Locked) -> Result<ChaCha20Poly1305, AgeError> {
    ChaCha20Poly1305::new_from_slice(key.expose()).map_err(|_| AgeError::Cipher)
}

/// Seals what is written into it. Without [`Writer::finish`] the file stays cut off, which every reader sees.
pub struct Writer<W> {
    out: W,
    key: Locked,
    chunk: Locked,
    filled: usize,
    number: u64,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(out: W, key: Locked) -> Result<Self, AgeError> {
        Ok(Self { out, key, chunk: Locked::zeroed(CHUNK)?, filled: 0, number: 0 })
    }

    fn seal(&mut self, last: bool) -> Result<(), AgeError> {
        let cipher = cipher(&self.key)?;
        let chunk = self.chunk.expose_mut().get_mut(..self.filled).ok_or(AgeError::Cipher)?;
        let nonce = nonce(self.number, last);
        let tag = wiping(|| cipher.encrypt_inout_detached(&nonce, &[], (&mut *chunk).into()));
        let tag = tag.map_err(|_| AgeError::Cipher)?;
        self.out.write_all(chunk)?;
        self.out.write_all(&tag)?;
        self.number += 1;
        self.filled = 0;
        Ok(())
    }

    /// Writes the last chunk. Out: where it was written to.
    ///
    /// # Errors
    ///
    /// The file is cut off.
    pub fn finish(mut self) -> Result<W, AgeError> {
        self.seal(true)?;
        self.out.flush()?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk is sealed only when more comes: the last one is marked, and may be full.
        if self.filled == CHUNK && !bytes.is_empty() {
            self.seal(false).map_err(io::Error::other)?;
        }
        let room = self.chunk.expose_mut().get_mut(self.filled..).unwrap_or_default();
        let count = room.len().min(bytes.len());
        room.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = *byte);
        self.filled += count;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gives the plain content of a file, each chunk after it was authenticated.
pub struct Reader<'f> {
    file: Cow<'f, [u8]>,
    at: usize,
    key: Locked,
    chunk: Locked,
    filled: usize,
    given: usize,
    number: u64,
    done: bool,
}

impl<'f> Reader<'f> {
    pub(super) fn new(file: Cow<'f, [u8]>, at: usize, key: Locked) -> Result<Self, AgeError> {
        let mut reader =
            Self { file, at, key, chunk: Locked::zeroed(CHUNK)?, filled: 0, given: 0, number: 0, done: false };
        reader.open()?;
        Ok(reader)
    }

    /// Opens the next chunk.
    fn open(&mut self) -> Result<(), AgeError> {
        let rest = self.file.get(self.at..).unwrap_or_default();
        let last = rest.len() <= CHUNK + TAG_LEN;
        let sealed = rest.get(..rest.len().min(CHUNK + TAG_LEN)).unwrap_or_default();
        let (sealed, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(AgeError::Changed)?;
        // Only a file without content ends with an empty chunk.
        if sealed.is_empty() && self.number > 0 {
            return Err(AgeError::Changed);
        }
        let (cipher, nonce, tag) = (cipher(&self.key)?, nonce(self.number, last), Tag::from(*tag));
        let chunk = self.chunk.expose_mut().get_mut(..sealed.len()).ok_or(AgeError::Changed)?;
        chunk.copy_from_slice(sealed);
        let length = chunk.len();
        let opened = wiping(|| cipher.decrypt_inout_detached(&nonce, &[], chunk.into(), &tag));
        opened.map_err(|_| AgeError::Changed)?;
        self.at += length + TAG_LEN;
        (self.filled, self.given, self.done) = (length, 0, last);
        self.number += 1;
        Ok(())
    }

    fn give(&mut self, out: &mut [u8]) -> Result<usize, AgeError> {
        if self.given == self.filled && !self.done && !out.is_empty() {
            self.open()?;
        }
        let rest = self.chunk.expose().get(self.given..self.filled).unwrap_or_default();
        let count = rest.len().min(out.len());
        out.iter_mut().zip(rest).for_each(|(slot, byte)| *slot = *byte);
        self.given += count;
        Ok(count)
    }

    /// All of it, if it has at most `bytes_max` bytes.
    ///
    /// # Errors
    ///
    /// [`AgeError`]: it was changed, cut off, or is longer.
    pub fn whole(&mut self, bytes_max: usize) -> Result<Locked, AgeError> {
        let sealed = self.file.len().saturating_sub(self.at) + self.filled;
        let mut whole = Locked::zeroed(sealed.min(bytes_max))?;
        let mut filled = 0;
        while let Some(rest) = whole.expose_mut().get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.give(rest)? {
                0 => break,
                count => filled += count,
            }
        }
        if filled == bytes_max && self.give(&mut [0])? > 0 {
            return Err(AgeError::Malformed { what: "its content is too long" });
        }
        Ok(Locked::copy_of(whole.expose().get(..filled).unwrap_or_default())?)
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.give(out).map_err(io::Error::other)
    }
}

impl<W> std::fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Writer")
    }
}

impl std::fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}
