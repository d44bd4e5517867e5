// SPDX-License-Identifier: MIT OR Apache-2.0
//! Chunks: a tracker that says how many bytes of a stream belong to a chunked body.
//!
//! In: the bytes of a body, piece by piece. Out: how many belong to it and whether it ended. They are passed on as they
//! came, once they were checked.
//!
//! **Invariant:** a size is 1 to 16 hex digits; lines end in CR LF; extensions and trailers are bounded and hold no
//! control characters; a trailer holds no header that changes the length or the place of a message.

use super::head::{HeadFault, is_token};
use crate::limits::{CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX};

/// Most digits of a size.
const SIZE_DIGITS_MAX: u32 = 16;
/// What may not stand in a trailer (RFC 9110, 6.5.1).
const NOT_IN_TRAILERS: [&str; 9] = [
    "transfer-encoding",
    "content-length",
    "host",
    "connection",
    "upgrade",
    "authorization",
    "cookie",
    "proxy-authorization",
    "content-encoding",
];

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// In the digits of a size, after so many of them.
    Size { digits: u32, size: u64 },
    /// In an extension, after so many bytes.
    Extension { size: u64, length: usize },
    /// After the CR of a size line.
    SizeEnd { size: u64 },
    /// In the bytes of a chunk.
    Data { left: u64 },
    /// After the bytes of a chunk.
    DataCr,
    /// After the CR behind the bytes of a chunk.
    DataLf,
    /// In the trailer.
    Trailer { line: Vec<u8>, total: usize },
    /// At the end.
    End,
}

/// Follows one chunked body.
#[derive(Clone, Debug)]
pub struct Chunks(State);

impl Default for Chunks {
    fn default() -> Self {
        Self(State::Size { digits: 0, size: 0 })
    }
}

impl Chunks {
    /// Whether the body ended.
    pub fn is_done(&self) -> bool {
        self.0 == State::End
    }

    /// Bytes of the present chunk that are still to come; they may be moved without being looked at.
    pub fn data_left(&self) -> u64 {
        if let State::Data { left } = self.0 { left } else { 0 }
    }

    /// Takes note of bytes of the present chunk that were moved unseen, fewer than [`Self::data_left`].
    pub(crate) fn skip(&mut self, count: u64) {
        if let State::Data { left } = &mut self.0 {
            *left = left.saturating_sub(count);
        }
    }

    /// Follows the body through `input`; how many of its bytes belong to the body.
    ///
    /// # Errors
    ///
    /// [`HeadFault`]: the body is no chunked body; nothing of `input` is to be passed on.
    pub fn advance(&mut self, input: &[u8]) -> Result<usize, HeadFault> {
        let mut rest = input;
        while !self.is_done() {
            if let State::Data { left } = &mut self.0 {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                *left -= take as u64;
                rest = rest.get(take..).unwrap_or_default();
                if *left > 0 {
                    break;
                }
                self.0 = State::DataCr;
            }
            let Some((byte, after)) = rest.split_first() else { break };
            rest = after;
            self.step(*byte)?;
        }
        Ok(input.len() - rest.len())
    }

    fn step(&mut self, byte: u8) -> Result<(), HeadFault> {
        let next = match (&mut self.0, byte) {
            (State::Size { digits, size }, b) if b.is_ascii_hexdigit() => {
                let digit = char::from(b).to_digit(16).unwrap_or(0);
                let size = size.checked_mul(16).map(|sum| sum + u64::from(digit)).ok_or(HeadFault::Chunk)?;
                let digits = *digits + 1;
                if digits > SIZE_DIGITS_MAX {
                    return Err(HeadFault::Chunk);
                }
                State::Size { digits, size }
            }
            (State::Size { digits: 1.., size }, b'\r') => State::SizeEnd { size: *size },
            (State::Size { digits: 1.., size }, b';') => State::Extension { size: *size, length: 0 },
            (State::Extension { size, .. }, b'\r') => State::SizeEnd { size: *size },
            (State::Extension { size, length }, b'\t' | b' '..=b'~') if *length < CHUNK_LINE_BYTES_MAX => {
                State::Extension { size: *size, length: *length + 1 }
            }
            (State::SizeEnd { size: 0 }, b'\n') => State::Trailer { line: Vec::new(), total: 0 },
            (State::SizeEnd { size }, b'\n') => State::Data { left: *size },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { digits: 0, size: 0 },
            (State::Trailer { line, total }, b) => match trailer_byte(line, total, b)? {
                Line::Goes => return Ok(()),
                Line::Last => State::End,
            },
            _ => return Err(HeadFault::Chunk),
        };
        self.0 = next;
        Ok(())
    }
}

enum Line {
    Goes,
    Last,
}

fn trailer_byte(line: &mut Vec<u8>, total: &mut usize, byte: u8) -> Result<Line, HeadFault> {
    *total += 1;
    if *total > TRAILER_BYTES_MAX {
        return Err(HeadFault::Trailer);
    }
    match (line.last(), byte) {
        (Some(b'\r'), b'\n') => {
            line.pop();
            if line.is_empty() {
                return Ok(Line::Last);
            }
            check_trailer(line)?;
            line.clear();
        }
        (Some(b'\r'), _) | (_, b'\n') => return Err(HeadFault::LineEnd),
        (_, b'\t' | b'\r' | b' '..=b'~' | 128..) => line.push(byte),
        _ => return Err(HeadFault::Control),
    }
    Ok(Line::Goes)
}

fn check_trailer(line: &[u8]) -> Result<(), HeadFault> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or(HeadFault::Trailer)?;
    let name = line.get(..colon).unwrap_or_default();
    let barred = NOT_IN_TRAILERS.iter().any(|barred| name.eq_ignore_ascii_case(barred.as_bytes()));
    if name.is_empty() || barred || !name.iter().copied().all(is_token) {
        return Err(HeadFault::Trailer);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn follow(input: &[u8], piece: usize) -> Result<(usize, bool), HeadFault> {
        let mut chunks = Chunks::default();
        let mut used = 0;
        for part in input.chunks(piece) {
            let taken = chunks.advance(part)?;
            used += taken;
            if taken < part.len() {
                break;
            }
        }
        Ok((used, chunks.is_done()))
    }

    #[test]
    fn a_body_ends_where_it_says() {
        for (body, after) in [
            ("0\r\n\r\n", ""),
            ("5\r\nhello\r\n0\r\n\r\n", "GET /"),
            ("5;a=b;c=\"d\"\r\nhello\r\n000\r\n\r\n", "x"),
            ("A\r\n0123456789\r\n1\r\nx\r\n0\r\nX-Sum: 1\r\nY: \r\n\r\n", "y"),
        ] {
            let input = format!("{body}{after}");
            for piece in [1, 2, 3, 7, 100] {
                assert_eq!(follow(input.as_bytes(), piece), Ok((body.len(), true)), "{body} by {piece}");
            }
        }
    }

    #[test]
    fn deny_bodies_that_are_read_in_two_ways() {
        for (body, expected) in [
            ("\r\n", HeadFault::Chunk),
            ("x\r\n", HeadFault::Chunk),
            ("-1\r\n", HeadFault::Chunk),
            ("+5\r\nhello\r\n", HeadFault::Chunk),
            ("0x5\r\nhello\r\n", HeadFault::Chunk),
            (" 5\r\nhello\r\n", HeadFault::Chunk),
            ("5 \r\nhello\r\n", HeadFault::Chunk),
            ("5\nhello\r\n", HeadFault::Chunk),
            ("5\rhello", HeadFault::Chunk),
            ("5\r\nhello0\r\n", HeadFault::Chunk),
            ("5\r\nhello\n0\r\n", HeadFault::Chunk),
            ("5\r\nhello\r0\r\n", HeadFault::Chunk),
            ("5;a\nb\r\nhello", HeadFault::Chunk),
            ("5;a\0b\r\nhello", HeadFault::Chunk),
            ("00000000000000005\r\nhello", HeadFault::Chunk),
            ("fffffffffffffffff\r\n", HeadFault::Chunk),
            ("0\r\nX: a\n\r\n", HeadFault::LineEnd),
            ("0\r\nX: a\rb\r\n\r\n", HeadFault::LineEnd),
            ("0\r\nX: a\0\r\n\r\n", HeadFault::Control),
            ("0\r\nX : a\r\n\r\n", HeadFault::Trailer),
            ("0\r\n folded: a\r\n\r\n", HeadFault::Trailer),
            ("0\r\nnothing\r\n\r\n", HeadFault::Trailer),
            ("0\r\nContent-Length: 5\r\n\r\n", HeadFault::Trailer),
            ("0\r\ntransfer-encoding: chunked\r\n\r\n", HeadFault::Trailer),
            ("0\r\nHost: a\r\n\r\n", HeadFault::Trailer),
        ] {
            for piece in [1, 4, 100] {
                assert_eq!(follow(body.as_bytes(), piece), Err(expected), "{body:?} by {piece}");
            }
        }
        let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(CHUNK_LINE_BYTES_MAX + 1));
        assert_eq!(follow(long.as_bytes(), 100), Err(HeadFault::Chunk));
        let long = format!("0\r\n{}\r\n", "X: y\r\n".repeat(TRAILER_BYTES_MAX / 6 + 1));
        assert_eq!(follow(long.as_bytes(), 100), Err(HeadFault::Trailer));
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(input in "[0-9a-f;\r\n: x]{0,60}", piece in 1_usize..9) {
            prop_assert_eq!(follow(input.as_bytes(), piece), follow(input.as_bytes(), 1000));
        }

        #[test]
        fn what_was_framed_is_read_back(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..5), piece in 1_usize..50) {
            let mut body = Vec::new();
            for part in &parts {
                body.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                body.extend_from_slice(part);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(follow(&[&body[..], b"tail"].concat(), piece), Ok((body.len(), true)));
        }
    }
}
