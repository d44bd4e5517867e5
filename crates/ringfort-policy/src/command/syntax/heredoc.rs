// SPDX-License-Identifier: MIT OR Apache-2.0
//! Here-documents, and the decoding of `$'…'`.
//!
//! In: the cursor after `<<`, later at the first byte of the bodies. Out: [`Document`]s in the order of their
//! operators. **Invariant:** the rest of the operator's line is parsed as code; a body is data, except for
//! its expansions when the delimiter is not quoted. A line that only some shells take for the delimiter is a fault.

use std::borrow::Cow;

use super::cursor::{Parser, Pending};
use super::word::Mode;
use super::{Body, Document, FaultKind, Parse, Piece, Redirect, RedirectOp, Span, Word};

impl<'a> Parser<'a> {
    /// Reads the delimiter; the body is read after the next newline.
    pub(super) fn document(&mut self, start: usize, descriptor: Option<u32>, strip_tabs: bool) -> Parse<Redirect<'a>> {
        let from = self.pos;
        if self.at_end() || super::cursor::is_meta(self.peek()) {
            return self.unexpected(start);
        }
        let target = self.word()?;
        let (delimiter, literal) = self.delimiter(&target, from)?;
        let document = self.documents.len();
        self.documents.push(Document { literal, strip_tabs, ..Document::default() });
        self.pending.push(Pending { delimiter, document });
        let span = Span::new(start, self.pos);
        Ok(Redirect { op: RedirectOp::Document, descriptor, target, document: Some(document), span })
    }

    /// The delimiter after quote removal, and whether anything in it was quoted.
    fn delimiter(&self, word: &Word<'a>, from: usize) -> Parse<(Vec<u8>, bool)> {
        let pieces = match &word.body {
            Body::Plain(bytes) => return Ok((bytes.to_vec(), false)),
            Body::Pieces(pieces) => pieces,
        };
        let mut delimiter = Vec::new();
        let mut literal = false;
        for piece in pieces {
            match piece {
                Piece::Text { bytes, quoted } => {
                    delimiter.extend_from_slice(bytes);
                    literal |= quoted;
                }
                // A substitution in a delimiter is text to one shell and code to another.
                _ => return self.fault(FaultKind::Ambiguous, from),
            }
        }
        // bash loses the quotes of an empty one when it reads a substitution again, and then expands the body.
        if delimiter.contains(&b'\n') || delimiter.is_empty() {
            return self.fault(FaultKind::Ambiguous, from);
        }
        Ok((delimiter, literal))
    }

    /// Reads every body that is due; the cursor stands at the first line.
    pub(super) fn read_documents(&mut self) -> Parse<()> {
        for pending in std::mem::take(&mut self.pending) {
            let Some((literal, strip_tabs)) = self.documents.get(pending.document).map(|d| (d.literal, d.strip_tabs))
            else {
                return self.fault(FaultKind::Unexpected, self.pos);
            };
            let start = self.pos.min(self.end);
            let (end, terminated) = self.find_delimiter(&pending.delimiter, literal, strip_tabs)?;
            let after = self.pos;
            let raw = self.slice(start, end);
            let expands = !literal && raw.iter().any(|b| matches!(b, b'$' | b'`' | b'\\'));
            let pieces = if expands { self.document_pieces(start, end)? } else { Vec::new() };
            self.pos = after;
            if let Some(document) = self.documents.get_mut(pending.document) {
                *document = Document { raw, start, pieces, literal: literal || !expands, strip_tabs, terminated };
            }
        }
        Ok(())
    }

    /// The end of the body; the cursor moves after the delimiter line.
    fn find_delimiter(&mut self, delimiter: &[u8], literal: bool, strip_tabs: bool) -> Parse<(usize, bool)> {
        let mut continued = false;
        loop {
            if self.at_end() {
                return Ok((self.end, false));
            }
            let line_start = self.pos;
            let rest = self.slice(line_start, self.end);
            let length = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
            let mut line = self.slice(line_start, line_start + length);
            while let (true, [b'\t', tail @ ..]) = (strip_tabs, line) {
                line = tail;
            }
            let next = (line_start + length + 1).min(self.end);
            let matches = line == delimiter;
            if matches && !continued {
                self.pos = next;
                return Ok((line_start, true));
            }
            // Shells disagree on a delimiter that is glued to a closing bracket or built by a continuation.
            let glued = self.substitutions > 0
                && line.strip_prefix(delimiter).is_some_and(|tail| matches!(tail.first(), Some(b')' | b'`')));
            let split = !literal
                && line.last() == Some(&b'\\')
                && delimiter.starts_with(line.strip_suffix(b"\\").unwrap_or(line));
            if glued || (matches && continued) || (split && line.len() > 1) {
                return self.fault(FaultKind::Ambiguous, line_start);
            }
            let slashes = line.iter().rev().take_while(|b| **b == b'\\').count();
            continued = !literal && slashes % 2 == 1;
            self.pos = next;
        }
    }

    fn document_pieces(&mut self, start: usize, end: usize) -> Parse<Vec<Piece<'a>>> {
        let outer_end = self.end_at(end);
        self.pos = start;
        let mut pieces = Vec::new();
        let result = self.nested(|parser| parser.pieces(Mode::Document, &mut pieces));
        self.end_at(outer_end);
        result.map(|()| pieces)
    }
}

/// A document body as the command reads it, when it is static.
pub(crate) fn document_text<'d>(document: &Document<'d>) -> Option<Cow<'d, [u8]>> {
    if document.literal {
        return Some(if document.strip_tabs {
            Cow::Owned(strip_tabs(document.raw))
        } else {
            Cow::Borrowed(document.raw)
        });
    }
    let mut text = Vec::with_capacity(document.raw.len());
    for piece in &document.pieces {
        match piece {
            Piece::Text { bytes, .. } => text.extend_from_slice(bytes),
            _ => return None,
        }
    }
    Some(Cow::Owned(if document.strip_tabs { strip_tabs(&text) } else { text }))
}

fn strip_tabs(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|b| *b == b'\n') {
        let tabs = line.iter().take_while(|b| **b == b'\t').count();
        out.extend_from_slice(line.get(tabs..).unwrap_or(&[]));
    }
    out
}

/// Decodes the inside of `$'…'`. As in bash, a NUL ends the text.
pub(crate) fn decode_ansi_c(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let [escape, tail @ ..] = rest else {
            out.push(b'\\');
            break;
        };
        rest = tail;
        let simple = match escape {
            b'a' => 7,
            b'b' => 8,
            b'e' | b'E' => 27,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 11,
            b'\\' | b'\'' | b'"' | b'?' => *escape,
            _ => 0,
        };
        if simple != 0 {
            out.push(simple);
            continue;
        }
        let ended = match escape {
            b'0'..=b'7' => {
                let (value, taken) = number(raw_back(raw, rest, 1), 8, 3);
                rest = raw_back(raw, rest, 1).get(taken..).unwrap_or(&[]);
                push_byte(&mut out, value)
            }
            b'x' => hexadecimal(&mut out, &mut rest, 2, b'x'),
            b'u' => hexadecimal(&mut out, &mut rest, 4, b'u'),
            b'U' => hexadecimal(&mut out, &mut rest, 8, b'U'),
            b'c' => {
                let [control, tail @ ..] = rest else { break };
                rest = tail;
                push_byte(&mut out, u32::from(control & 0x1f))
            }
            _ => {
                out.extend_from_slice(&[b'\\', *escape]);
                false
            }
        };
        if ended {
            break;
        }
    }
    out
}

/// The tail of `raw` that starts `back` bytes before `rest`.
fn raw_back<'r>(raw: &'r [u8], rest: &[u8], back: usize) -> &'r [u8] {
    raw.get(raw.len().saturating_sub(rest.len() + back)..).unwrap_or(&[])
}

fn number(text: &[u8], base: u32, digits_max: usize) -> (u32, usize) {
    let mut value = 0_u32;
    let mut taken = 0;
    for byte in text.iter().take(digits_max) {
        let Some(digit) = char::from(*byte).to_digit(base) else { break };
        value = value.wrapping_mul(base).wrapping_add(digit);
        taken += 1;
    }
    (value, taken)
}

/// Reads hexadecimal digits; true when the value ends the text.
fn hexadecimal(out: &mut Vec<u8>, rest: &mut &[u8], digits_max: usize, escape: u8) -> bool {
    let (value, taken) = number(rest, 16, digits_max);
    if taken == 0 {
        out.extend_from_slice(&[b'\\', escape]);
        return false;
    }
    *rest = rest.get(taken..).unwrap_or(&[]);
    if escape == b'x' {
        return push_byte(out, value);
    }
    if value == 0 {
        return true;
    }
    let mut buffer = [0_u8; 4];
    out.extend_from_slice(
        char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(&mut buffer).as_bytes(),
    );
    false
}

fn push_byte(out: &mut Vec<u8>, value: u32) -> bool {
    let byte = u8::try_from(value & 0xff).unwrap_or(0);
    if byte == 0 {
        return true;
    }
    out.push(byte);
    false
}
