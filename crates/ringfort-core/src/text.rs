// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes from outside that are usually text, kept exactly and shown safely.
//!
//! In: argv words, paths, shell text. Out: the exact bytes for digests and effects, and an escaped form for people.
//!
//! **Invariant:** [`Text::escaped`] never yields a control character, a bidirectional override or an invisible
//! character, so that a prompt or a log line shows what is there and nothing else.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A byte string, usually UTF-8. Equality and digests are over the exact bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text(Vec<u8>);

impl Text {
    /// Keeps `bytes` exactly.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The exact bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text, with invalid UTF-8 replaced by U+FFFD. For comparison and effects use [`Text::as_bytes`].
    pub fn to_lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// The text as people may see it on a terminal: control, bidirectional and invisible characters and invalid
    /// bytes are written as escapes, and so is the backslash itself.
    pub fn escaped(&self) -> String {
        escape_bytes(&self.0)
    }
}

/// Escapes `bytes` as [`Text::escaped`] does.
pub fn escape_bytes(bytes: &[u8]) -> String {
    use fmt::Write as _;
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                '\\' => out.push_str("\\\\"),
                c if c.is_control() || is_invisible(c) => {
                    // Writing to a `String` cannot fail.
                    if write!(out, "\\u{{{:x}}}", u32::from(c)).is_err() {
                        out.push('?');
                    }
                }
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            if write!(out, "\\x{byte:02x}").is_err() {
                out.push('?');
            }
        }
    }
    out
}

/// Whether a character takes no room or changes the order of what is shown around it.
///
/// The list follows Unicode's default ignorable code points and bidirectional controls (UAX #9, UAX #44).
pub fn is_invisible(c: char) -> bool {
    matches!(u32::from(c),
        0xAD | 0x34F | 0x61C | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F
        | 0x2028..=0x202E | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB
        | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF)
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escaped())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl Serialize for Text {
    /// A JSON string; invalid UTF-8 is replaced, the digest beside it binds the exact bytes.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_lossy())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_whatever_could_deceive_a_reader() {
        for (input, expected) in [
            (&b"ls -la"[..], "ls -la"),
            (b"a\nb", "a\\nb"),
            (b"\x1b[2J", "\\u{1b}[2J"),
            ("a\u{202e}b".as_bytes(), "a\\u{202e}b"),
            ("r\u{200b}m".as_bytes(), "r\\u{200b}m"),
            (b"\xff\x00", "\\xff\\u{0}"),
            (b"\\n", "\\\\n"),
            ("gr\u{fc}n".as_bytes(), "gr\u{fc}n"),
        ] {
            assert_eq!(escape_bytes(input), expected);
        }
    }
}
