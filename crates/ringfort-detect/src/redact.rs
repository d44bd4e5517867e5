// SPDX-License-Identifier: MIT OR Apache-2.0
//! Redaction: no detected secret leaves the runtime.
//!
//! In: text or any bytes about to leave. Out: [`Redacted`], with each secret value replaced by its first four
//! characters and [`MARKER`]; all other bytes are as they were, in order.
//!
//! **Invariant:** this module is the only maker of [`Redacted`]. A stream cut into any pieces comes out as if it were
//! one, holds back at most [`HOLD_BYTES_MAX`], and passes a line without a candidate on at once.

use std::fmt;
use std::sync::Arc;

use ringfort_core::finding::Finding;
use serde::{Serialize, Serializer};

use crate::engine::Engine;
use crate::known::{Blank, Known};
use crate::stream::{BLOCK_BYTES, Piece, Stream, Until, View};

/// What stands for the hidden rest of a value.
pub const MARKER: &[u8] = b"*[REDACTED]";
/// Most bytes that a [`Redactor`] holds back.
pub const HOLD_BYTES_MAX: usize = 8 << 10;
/// Most findings that [`scan`] returns and a [`Redactor`] keeps; further secrets are redacted all the same.
pub const FINDINGS_MAX: usize = 4096;

/// Something from which every secret that the detectors know was removed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// What is inside. It may now leave.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// A borrowed form of what is inside.
    pub const fn as_inner(&self) -> &T {
        &self.0
    }
}

impl<T: AsRef<[u8]>> Redacted<T> {
    /// The bytes that may leave.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// The text that may leave; what is no UTF-8 becomes U+FFFD.
    pub fn to_lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.as_bytes())
    }
}

impl<T: AsRef<[u8]>> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Redacted").field(&self.to_lossy()).finish()
    }
}

impl<T: AsRef<[u8]>> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_lossy())
    }
}

impl<T: AsRef<[u8]>> Serialize for Redacted<T> {
    /// A string; what is no UTF-8 becomes U+FFFD.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_lossy())
    }
}

/// Finds the secrets in `text`: spans of values only, in order, without overlap.
///
/// At most [`FINDINGS_MAX`] are returned. Linear in the length of `text`.
pub fn scan(text: &[u8]) -> Vec<Finding> {
    let mut findings = Vec::new();
    walk(text, &mut |piece| {
        if let Piece::Found(finding) = piece
            && findings.len() < FINDINGS_MAX
        {
            findings.push(finding.clone());
        }
    });
    findings
}

/// Replaces the secrets in `text`. Redacting twice changes nothing more.
pub fn redact(text: &[u8]) -> Redacted<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 16);
    walk(text, &mut |piece| write(&mut out, piece));
    Redacted(out)
}

/// Replaces the secrets in `text`, as [`redact`] does.
pub fn redact_str(text: &str) -> Redacted<String> {
    // Spans begin and end at characters, so nothing is lost here.
    Redacted(
        String::from_utf8(redact(text.as_bytes()).0)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    )
}

fn walk(text: &[u8], out: &mut impl FnMut(Piece<'_>)) {
    if Engine::is_needless(text) {
        return out(Piece::Clean(text));
    }
    let mut stream = Stream::new(Engine::shared());
    let mut end = 0;
    while end < text.len() {
        end = text.len().min(end + BLOCK_BYTES);
        let until = if end == text.len() { Until::End } else { Until::More };
        stream.advance(View { base: 0, bytes: text.get(..end).unwrap_or_default() }, until, out);
    }
}

fn write(out: &mut Vec<u8>, piece: Piece<'_>) {
    match piece {
        Piece::Clean(bytes) => out.extend_from_slice(bytes),
        Piece::Secret(prefix) => {
            out.extend_from_slice(prefix);
            out.extend_from_slice(MARKER);
        }
        Piece::Found(_) => {}
    }
}

/// Redacts a stream piece by piece.
///
/// Memory is constant. What is held back is at most [`HOLD_BYTES_MAX`], and nothing behind the last line break unless a
/// private key or a candidate is under way.
#[derive(Debug)]
pub struct Redactor {
    stream: Stream<'static>,
    /// What the stream still needs, from offset `base` on.
    buffer: Vec<u8>,
    base: usize,
    out: Vec<u8>,
    findings: Vec<Finding>,
    count: u64,
    known: Option<(Arc<Known>, Blank)>,
}

impl Default for Redactor {
    fn default() -> Self {
        Self::new()
    }
}

impl Redactor {
    /// A redactor at the start of a stream.
    pub fn new() -> Self {
        Self {
            stream: Stream::new(Engine::shared()),
            buffer: Vec::new(),
            base: 0,
            out: Vec::new(),
            findings: Vec::new(),
            count: 0,
            known: None,
        }
    }

    /// A redactor that blanks these values besides.
    pub fn knowing(known: Arc<Known>) -> Self {
        let known = (!known.is_empty()).then(|| (known, Blank::default()));
        Self { known, ..Self::new() }
    }

    /// Takes the next bytes, and calls `sink` with what may leave.
    pub fn push(&mut self, chunk: &[u8], sink: &mut impl FnMut(Redacted<&[u8]>)) {
        let blanked = self.blanked(|known, blank, out| blank.push(known, chunk, out));
        let chunk = blanked.as_deref().unwrap_or(chunk);
        for block in chunk.chunks(BLOCK_BYTES) {
            self.buffer.extend_from_slice(block);
            self.advance(Until::More, sink);
        }
    }

    /// Lets go of what waits, because the source pauses: a prompt without a line break, a progress bar.
    ///
    /// What already looks like the start of a secret stays held back. A secret whose start was let go because nothing
    /// told that it would be one is redacted from here on.
    pub fn flush_idle(&mut self, sink: &mut impl FnMut(Redacted<&[u8]>)) {
        if let Some(blanked) = self.blanked(|known, blank, out| blank.idle(known, out)) {
            self.buffer.extend_from_slice(&blanked);
        }
        self.advance(Until::Idle, sink);
    }

    /// Ends the stream and lets go of the rest.
    pub fn finish(mut self, sink: &mut impl FnMut(Redacted<&[u8]>)) -> Summary {
        if let Some(blanked) = self.blanked(|known, blank, out| blank.finish(known, out)) {
            self.buffer.extend_from_slice(&blanked);
        }
        self.advance(Until::End, sink);
        Summary { findings: self.findings, count: self.count }
    }

    /// How many secrets were redacted so far.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// How many bytes wait for what follows them.
    pub fn held_bytes(&self) -> usize {
        let waiting = self.known.as_ref().map_or(0, |(_, blank)| blank.held_bytes());
        (self.base + self.buffer.len()).saturating_sub(self.stream.done()) + waiting
    }

    /// How much memory the buffers take, for tests and reports.
    pub fn memory_bytes(&self) -> usize {
        self.buffer.capacity() + self.out.capacity() + self.findings.capacity() * size_of::<Finding>()
    }

    /// What the first filter lets go, where there is one.
    fn blanked(&mut self, step: impl FnOnce(&Known, &mut Blank, &mut Vec<u8>)) -> Option<Vec<u8>> {
        let (known, blank) = self.known.as_mut()?;
        let mut out = Vec::new();
        step(known, blank, &mut out);
        Some(out)
    }

    fn advance(&mut self, until: Until, sink: &mut impl FnMut(Redacted<&[u8]>)) {
        let Self { stream, buffer, base, out, findings, count, known: _ } = self;
        out.clear();
        stream.advance(View { base: *base, bytes: buffer }, until, &mut |piece| {
            write(out, piece);
            if let Piece::Found(finding) = piece {
                *count += 1;
                if findings.len() < FINDINGS_MAX {
                    findings.push(finding.clone());
                }
            }
        });
        if !out.is_empty() {
            sink(Redacted(out));
        }
        let drop = stream.needed().saturating_sub(*base).min(buffer.len());
        buffer.drain(..drop);
        *base += drop;
    }
}

/// What a finished [`Redactor`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The first [`FINDINGS_MAX`] findings, with offsets in the original stream.
    pub findings: Vec<Finding>,
    /// How many secrets there were in all.
    pub count: u64,
}
