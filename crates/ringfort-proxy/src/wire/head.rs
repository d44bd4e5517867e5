// SPDX-License-Identifier: MIT OR Apache-2.0
//! The head of an HTTP/1 message: where it ends, and its header fields.
//!
//! In: the bytes of a stream so far. Out: the length of the head, then its fields, by strict rules.
//!
//! **Invariant:** a line ends in CR LF and nothing else; no NUL, no other control character, no folded line, no space
//! before a colon. A head that two readers could split in two ways is a [`HeadFault`].

use std::fmt;
use std::ops::Range;

use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX, LINE_BYTES_MAX};

/// Why a message is not passed on. The text is the machine-readable reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadFault {
    /// The head is longer than [`HEAD_BYTES_MAX`].
    TooLong,
    /// The first line is longer than [`LINE_BYTES_MAX`].
    LineTooLong,
    /// There are more than [`HEADERS_MAX`] fields.
    TooMany,
    /// A line ends in LF alone, or CR stands alone.
    LineEnd,
    /// A NUL or another control character.
    Control,
    /// The first line is not three words, or is empty.
    FirstLine,
    /// The method is not of upper-case letters.
    Method,
    /// The target is not of the form that belongs here.
    Target,
    /// The scheme of the target is not `http`.
    Scheme,
    /// A user name or password stands in the target.
    Userinfo,
    /// The host of the target or of `Host` is no host name and no address.
    Host,
    /// `Host` is missing or there are two.
    HostCount,
    /// `Host` names another host or port than the target.
    HostDiffers,
    /// The version is not HTTP/1.0 or HTTP/1.1.
    Version,
    /// HTTP/2 without TLS, by its preface or by `Upgrade`.
    Http2,
    /// A line that continues the one before.
    Folded,
    /// A name that is empty, holds a space or another character that is no token.
    Name,
    /// `Content-Length` is not one plain number.
    Length,
    /// `Transfer-Encoding` is not `chunked` alone, or in HTTP/1.0.
    Transfer,
    /// Both `Content-Length` and `Transfer-Encoding`.
    TwoLengths,
    /// `Connection` names a header that must not be dropped.
    Connection,
    /// `Upgrade` to something that is not passed on.
    Upgrade,
    /// `Expect` is not `100-continue`.
    Expect,
    /// A body where none may be.
    Body,
    /// The size of a chunk, or what follows it.
    Chunk,
    /// The trailer is longer than allowed or holds a header that may not be there.
    Trailer,
    /// The status is no number of three digits.
    Status,
}

impl HeadFault {
    /// The machine-readable reason.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "head-too-long",
            Self::LineTooLong => "line-too-long",
            Self::TooMany => "too-many-headers",
            Self::LineEnd => "bare-line-end",
            Self::Control => "control-character",
            Self::FirstLine => "first-line",
            Self::Method => "method",
            Self::Target => "target",
            Self::Scheme => "target-scheme",
            Self::Userinfo => "target-userinfo",
            Self::Host => "host",
            Self::HostCount => "host-count",
            Self::HostDiffers => "host-differs",
            Self::Version => "version",
            Self::Http2 => "http2-cleartext",
            Self::Folded => "folded-header",
            Self::Name => "header-name",
            Self::Length => "content-length",
            Self::Transfer => "transfer-encoding",
            Self::TwoLengths => "two-lengths",
            Self::Connection => "connection-header",
            Self::Upgrade => "upgrade",
            Self::Expect => "expect",
            Self::Body => "body",
            Self::Chunk => "chunk",
            Self::Trailer => "trailer",
            Self::Status => "status",
        }
    }

    /// The status with which a request of this fault is answered.
    pub const fn status(self) -> u16 {
        match self {
            Self::TooLong | Self::TooMany => 431,
            Self::LineTooLong => 414,
            Self::Version => 505,
            Self::Expect => 417,
            _ => 400,
        }
    }
}

impl fmt::Display for HeadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for HeadFault {}

/// Finds the end of a head in bytes that arrive piece by piece.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scanner {
    seen: usize,
    line: usize,
    first_line_ended: bool,
}

impl Scanner {
    /// The length of the head with its empty line, once it is there. Bytes that were seen before are not looked at again.
    ///
    /// # Errors
    ///
    /// [`HeadFault`]: the head is not one, whatever follows.
    pub fn find(&mut self, input: &[u8]) -> Result<Option<usize>, HeadFault> {
        while let Some(byte) = input.get(self.seen) {
            match byte {
                b'\n' => {
                    if self.seen == 0 || input.get(self.seen - 1) != Some(&b'\r') {
                        return Err(HeadFault::LineEnd);
                    }
                    let empty = self.seen - 1 == self.line;
                    self.seen += 1;
                    if empty {
                        return if self.first_line_ended { Ok(Some(self.seen)) } else { Err(HeadFault::FirstLine) };
                    }
                    self.line = self.seen;
                    self.first_line_ended = true;
                    continue;
                }
                _ if self.seen > 0 && input.get(self.seen - 1) == Some(&b'\r') => return Err(HeadFault::LineEnd),
                b'\r' | b'\t' => {}
                0..=31 | 127 => return Err(HeadFault::Control),
                _ => {}
            }
            self.seen += 1;
            if !self.first_line_ended && self.seen > LINE_BYTES_MAX {
                return Err(HeadFault::LineTooLong);
            }
            if self.seen >= HEAD_BYTES_MAX {
                return Err(HeadFault::TooLong);
            }
        }
        Ok(None)
    }
}

/// One header field, as places in the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    name: Range<usize>,
    value: Range<usize>,
}

/// The fields of a head, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields<'a> {
    head: &'a [u8],
    fields: Vec<Field>,
}

/// Splits a whole head into its first line and its fields.
///
/// # Errors
///
/// [`HeadFault`]: a field is none.
pub fn split(head: &[u8]) -> Result<(&[u8], Fields<'_>), HeadFault> {
    let mut lines = Lines { head, at: 0 };
    let first = lines.next().and_then(|line| head.get(line)).ok_or(HeadFault::FirstLine)?;
    let mut fields = Vec::new();
    for line in lines {
        if line.is_empty() {
            break;
        }
        if fields.len() == HEADERS_MAX {
            return Err(HeadFault::TooMany);
        }
        fields.push(read_field(head, line)?);
    }
    Ok((first, Fields { head, fields }))
}

/// The lines of a head whose line ends were checked, without them.
struct Lines<'a> {
    head: &'a [u8],
    at: usize,
}

impl Iterator for Lines<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let length = self.head.get(start..)?.iter().position(|byte| *byte == b'\n')?;
        self.at = start + length + 1;
        Some(start..start + length.saturating_sub(1))
    }
}

fn read_field(head: &[u8], line: Range<usize>) -> Result<Field, HeadFault> {
    let text = head.get(line.clone()).unwrap_or_default();
    if text.first().is_some_and(|byte| b" \t".contains(byte)) {
        return Err(HeadFault::Folded);
    }
    let colon = text.iter().position(|byte| *byte == b':').ok_or(HeadFault::Name)?;
    let (name, value) = text.split_at_checked(colon).ok_or(HeadFault::Name)?;
    if name.is_empty() || !name.iter().copied().all(is_token) {
        return Err(HeadFault::Name);
    }
    let blank = |byte: &u8| b" \t".contains(byte);
    let value = value.get(1..).unwrap_or_default();
    let front = value.iter().take_while(|byte| blank(byte)).count();
    let back = value.iter().rev().take_while(|byte| blank(byte)).count();
    let start = line.start + colon + 1 + front;
    Ok(Field { name: line.start..line.start + colon, value: start..line.end.saturating_sub(back).max(start) })
}

/// Whether a byte may stand in a method or the name of a header (RFC 9110).
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

impl<'a> Fields<'a> {
    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let text = |range: &Range<usize>| self.head.get(range.clone()).unwrap_or_default();
        self.fields.iter().map(move |field| (text(&field.name), text(&field.value)))
    }

    /// Every value of a header.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |(have, _)| have.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// Whether a header holds a word in its comma-separated list.
    pub fn lists(&self, name: &str, word: &str) -> bool {
        self.all(name).flat_map(words).any(|have| have.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// The length that `Content-Length` and `Transfer-Encoding` give to the body.
    pub(crate) fn length(&self, same_twice: SameTwice) -> Result<Announced, HeadFault> {
        let mut transfer = self.all("transfer-encoding");
        let mut lengths = self.all("content-length");
        let (encoding, length) = (transfer.next(), lengths.next());
        if encoding.is_some() && length.is_some() {
            return Err(HeadFault::TwoLengths);
        }
        // Some gateways take an underscore for a dash.
        if self.iter().any(|(name, _)| is_disguised(name)) {
            return Err(HeadFault::Name);
        }
        if let Some(encoding) = encoding {
            let plain = encoding.eq_ignore_ascii_case(b"chunked") && transfer.next().is_none();
            return if plain { Ok(Announced::Chunked) } else { Err(HeadFault::Transfer) };
        }
        let Some(length) = length else { return Ok(Announced::Nothing) };
        if lengths.any(|other| same_twice == SameTwice::Refused || other != length) {
            return Err(HeadFault::Length);
        }
        let text = std::str::from_utf8(length).map_err(|_| HeadFault::Length)?;
        if text.is_empty() || text.len() > 18 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(HeadFault::Length);
        }
        text.parse().map(Announced::Length).map_err(|_| HeadFault::Length)
    }

    /// Writes the fields that go on to the next hop: without those that belong to this one, and without `also`.
    pub(crate) fn write_onward(&self, out: &mut Vec<u8>, also: &[&str]) {
        for (name, value) in self.iter() {
            let is = |other: &&str| name.eq_ignore_ascii_case(other.as_bytes());
            let named = |(have, value): (&[u8], &'a [u8])| {
                have.eq_ignore_ascii_case(b"connection") && words(value).any(|word| word.eq_ignore_ascii_case(name))
            };
            if HOP_BY_HOP.iter().chain(also).any(is) || self.iter().any(named) {
                continue;
            }
            out.extend_from_slice(name);
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Headers that belong to one connection (RFC 9110, 7.6.1), and those between a program and its proxy.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "proxy-connection",
    "keep-alive",
    "te",
    "upgrade",
    "proxy-authorization",
    "proxy-authenticate",
    "http2-settings",
];

/// Whether a second `Content-Length` of the same value is let pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SameTwice {
    /// No.
    Refused,
    /// Yes: servers do it.
    Merged,
}

/// The length that a head announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announced {
    /// None.
    Nothing,
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
}

fn is_disguised(name: &[u8]) -> bool {
    let dashed = name.iter().map(|byte| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() });
    name.contains(&b'_')
        && (dashed.clone().eq(*b"content-length") || dashed.clone().eq(*b"transfer-encoding") || dashed.eq(*b"host"))
}

/// The words of a comma-separated list.
pub(crate) fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|word| !word.is_empty())
}
