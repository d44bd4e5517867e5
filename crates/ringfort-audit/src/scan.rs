// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads one line strictly: it is what the trail would have written, byte for byte, or it is refused.
//!
//! In: a line without its newline, from a file that anybody may have edited. Out: a [`Line`], or `None`; and, for a
//! refused line, [`diagnose`] says which fault it is.
//!
//! **Invariant:** a line that is accepted has exactly one reading in every JSON parser: fixed order of members, sorted
//! and distinct keys, one spelling for each string and number, printable ASCII. Links and hashes are checked by callers.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::fault::FaultKind;
use crate::json::{DEPTH_MAX, is_plain};
use crate::time::{TIME_BYTES, is_canonical};

/// Length of a hash as text. Bytes.
pub(crate) const HEX_BYTES: usize = 64;

/// A hash as text.
pub(crate) type Hex = [u8; HEX_BYTES];

/// The parts of a line that the chain needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) seq: u64,
    pub(crate) time: &'a [u8; TIME_BYTES],
    pub(crate) prev: &'a Hex,
    pub(crate) hash: &'a Hex,
    /// What the hash covers.
    pub(crate) body: &'a [u8],
}

/// Reads `line`, which has no newline; `None` if it is not canonical.
pub(crate) fn scan(line: &[u8]) -> Option<Line<'_>> {
    // One branch-free pass here lets the string scanner look for nothing but quotes and backslashes.
    if !line.iter().fold(true, |ok, byte| ok & matches!(byte, 0x20..=0x7e)) {
        return None;
    }
    let mut cursor = Cursor(line);
    cursor.literal(b"{\"v\":1,\"seq\":")?;
    let seq = cursor.unsigned()?;
    cursor.literal(b",\"time\":\"")?;
    let time = cursor.take::<TIME_BYTES>().filter(|time| is_canonical(time))?;
    cursor.literal(b"\",\"prev\":\"")?;
    let prev = cursor.hex()?;
    cursor.literal(b"\",\"kind\":")?;
    cursor.word()?;
    cursor.optional(b",\"principal\":", Cursor::strings)?;
    cursor.optional(b",\"session\":", Cursor::string)?;
    cursor.optional(b",\"door\":", Cursor::word)?;
    cursor.optional(b",\"standing\":", Cursor::word)?;
    cursor.optional(b",\"request\":", Cursor::quoted_hex)?;
    cursor.optional(b",\"action\":", Cursor::string)?;
    cursor.optional(b",\"decision\":", Cursor::word)?;
    cursor.optional(b",\"risk\":", Cursor::word)?;
    cursor.optional(b",\"rules\":", Cursor::strings)?;
    cursor.optional(b",\"facts\":", Cursor::facts)?;
    let body = line.get(..line.len() - cursor.0.len())?;
    cursor.literal(b",\"hash\":\"")?;
    let hash = cursor.hex()?;
    cursor.literal(b"\"}")?;
    cursor.0.is_empty().then_some(Line { seq, time, prev, hash, body })
}

/// The number of a canonical line, read without looking at the rest of it.
pub(crate) fn peek_seq(line: &[u8]) -> Option<u64> {
    let mut cursor = Cursor(line);
    cursor.literal(b"{\"v\":1,\"seq\":")?;
    cursor.unsigned()
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn literal(&mut self, expected: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(())
    }

    fn optional(&mut self, name: &[u8], value: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        if self.literal(name).is_some() { value(self) } else { Some(()) }
    }

    fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(taken)
    }

    fn hex(&mut self) -> Option<&'a Hex> {
        let hex = self.take::<HEX_BYTES>()?;
        hex.iter().fold(true, |ok, digit| ok & matches!(digit, b'0'..=b'9' | b'a'..=b'f')).then_some(hex)
    }

    fn quoted_hex(&mut self) -> Option<()> {
        self.literal(b"\"")?;
        self.hex()?;
        self.literal(b"\"")
    }

    /// A whole number from 0 to 2^64-1 without leading zeros.
    fn unsigned(&mut self) -> Option<u64> {
        let digits = self.0.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at_checked(digits)?;
        if digits.is_empty() || (digits.len() > 1 && digits.first() == Some(&b'0')) {
            return None;
        }
        self.0 = rest;
        digits.iter().try_fold(0_u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
    }

    /// A whole number from -2^63 to 2^64-1; zero has no sign.
    fn number(&mut self) -> Option<()> {
        let negative = self.literal(b"-").is_some();
        let number = self.unsigned()?;
        (!negative || (1..=i64::MIN.unsigned_abs()).contains(&number)).then_some(())
    }

    /// A quoted word of lower-case letters, with hyphens between them.
    fn word(&mut self) -> Option<()> {
        self.literal(b"\"")?;
        let length = self.0.iter().position(|byte| !matches!(byte, b'a'..=b'z' | b'-')).filter(|length| *length > 0)?;
        self.0 = self.0.get(length..)?;
        self.literal(b"\"")
    }

    fn string(&mut self) -> Option<()> {
        self.raw_string().map(drop)
    }

    /// A string as it stands between its quotes. The bytes are known to be printable ASCII.
    fn raw_string(&mut self) -> Option<&'a [u8]> {
        self.literal(b"\"")?;
        let start = self.0;
        loop {
            let special = memchr::memchr2(b'"', b'\\', self.0)?;
            let (special, rest) = self.0.get(special..)?.split_first()?;
            self.0 = rest;
            if *special == b'"' {
                return start.get(..start.len() - rest.len() - 1);
            }
            self.escape()?;
        }
    }

    /// What follows a backslash, in its only spelling.
    fn escape(&mut self) -> Option<()> {
        let (letter, rest) = self.0.split_first()?;
        self.0 = rest;
        match letter {
            b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => match self.unit()? {
                0x08 | 0x09 | 0x0a | 0x0c | 0x0d | 0x20..=0x7e | 0xdc00..=0xdfff => None,
                0xd800..=0xdbff => {
                    self.literal(b"\\u")?;
                    matches!(self.unit()?, 0xdc00..=0xdfff).then_some(())
                }
                _ => Some(()),
            },
            _ => None,
        }
    }

    fn unit(&mut self) -> Option<u16> {
        self.take::<4>()?.iter().try_fold(0_u16, |unit, digit| {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            Some(unit << 4 | u16::from(value))
        })
    }

    /// A list of at least one string.
    fn strings(&mut self) -> Option<()> {
        self.literal(b"[")?;
        loop {
            self.string()?;
            if self.literal(b"]").is_some() {
                return Some(());
            }
            self.literal(b",")?;
        }
    }

    fn facts(&mut self) -> Option<()> {
        if self.0.starts_with(b"{}") { None } else { self.object(1) }
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        match self.0.first()? {
            b'"' => self.string(),
            b'{' if depth < DEPTH_MAX => self.object(depth + 1),
            b'[' if depth < DEPTH_MAX => self.array(depth + 1),
            b'n' => self.literal(b"null"),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'-' | b'0'..=b'9' => self.number(),
            _ => None,
        }
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        self.literal(b"[")?;
        if self.literal(b"]").is_some() {
            return Some(());
        }
        loop {
            self.value(depth)?;
            if self.literal(b"]").is_some() {
                return Some(());
            }
            self.literal(b",")?;
        }
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        self.literal(b"{")?;
        if self.literal(b"}").is_some() {
            return Some(());
        }
        let mut before: Option<&[u8]> = None;
        loop {
            let name = self.raw_string()?;
            if before.is_some_and(|before| compare_names(before, name) != Some(Ordering::Less)) {
                return None;
            }
            before = Some(name);
            self.literal(b":")?;
            self.value(depth)?;
            if self.literal(b"}").is_some() {
                return Some(());
            }
            self.literal(b",")?;
        }
    }
}

/// Compares two names, as they stand between their quotes, by code point.
fn compare_names(a: &[u8], b: &[u8]) -> Option<Ordering> {
    let plain = |name: &[u8]| name.iter().all(|byte| is_plain(*byte));
    if plain(a) && plain(b) { Some(a.cmp(b)) } else { Some(unescaped(a)?.cmp(&unescaped(b)?)) }
}

fn unescaped(name: &[u8]) -> Option<Cow<'_, str>> {
    let quoted = [b"\"", name, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).ok().map(Cow::Owned)
}

/// Which fault a line has that [`scan`] refuses.
pub(crate) fn diagnose(line: &[u8]) -> FaultKind {
    let Ok(text) = std::str::from_utf8(line) else { return FaultKind::NotUtf8 };
    let Ok(shape) = serde_json::from_str::<Shape>(text) else { return FaultKind::NotCanonical };
    if shape.duplicate {
        return FaultKind::DuplicateMember;
    }
    match shape.version {
        Some(version) if version != 1 => FaultKind::UnknownVersion,
        _ => FaultKind::NotCanonical,
    }
}

/// What [`diagnose`] wants to know of a JSON value.
#[derive(Default)]
struct Shape {
    duplicate: bool,
    number: Option<u64>,
    /// The member `v`, if this is an object and that is a number.
    version: Option<u64>,
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::default())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Shape, E> {
        Ok(Shape { number: Some(number), ..Shape::default() })
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Shape, A::Error> {
        let mut shape = Shape::default();
        while let Some(item) = items.next_element::<Shape>()? {
            shape.duplicate |= item.duplicate;
        }
        Ok(shape)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Shape, A::Error> {
        let mut shape = Shape::default();
        let mut names = BTreeSet::new();
        while let Some((name, value)) = members.next_entry::<String, Shape>()? {
            shape.duplicate |= value.duplicate;
            if name == "v" {
                shape.version = value.number;
            }
            shape.duplicate |= !names.insert(name);
        }
        Ok(shape)
    }
}

#[cfg(test)]
mod tests;
