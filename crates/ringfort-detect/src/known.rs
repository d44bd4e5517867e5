// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values that are known to be secret: whatever they look like, they are blanked as they stand.
//!
//! In: the values that were handed to a run; bytes in any pieces. Out: the same bytes with each value, and the forms in
//! which programs write one (percent-encoded, escaped, base64), replaced by [`MARKER`].
//!
//! **Invariant:** a value that is cut over several pieces is found all the same; at most [`PART_BYTES_MAX`] are held
//! back. A value is looked for line by line, so that one line of a long one is found alone. What is shorter than
//! [`VALUE_BYTES_MIN`] is not looked for: it stands everywhere.

use std::fmt;

use ringfort_core::secret::Secret;
use ringfort_core::text::escape_bytes;

use crate::redact::MARKER;

/// Shortest value that is looked for. Bytes.
pub const VALUE_BYTES_MIN: usize = 4;
/// Shortest line of a value with several lines, and shortest value whose encoded forms are looked for. Bytes.
const LINE_BYTES_MIN: usize = 8;
/// Longest part of a value that is looked for at once; a longer line is looked for in several. Bytes.
pub(crate) const PART_BYTES_MAX: usize = 1 << 10;
/// Most parts of all values. What is beyond is not looked for.
const PARTS_MAX: usize = 4096;

/// Values that are known to be secret.
#[derive(Default)]
pub struct Known {
    parts: Vec<Secret<Vec<u8>>>,
    /// Which bytes a part begins with.
    first: Vec<bool>,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Known({} parts)", self.parts.len())
    }
}

impl Known {
    /// Adds a value; `false` where it is too short to be looked for.
    pub fn add(&mut self, value: &[u8]) -> bool {
        let is_line = |b: &u8| matches!(b, b'\n' | b'\r');
        let trimmed = value.trim_ascii();
        if trimmed.len() < VALUE_BYTES_MIN {
            return false;
        }
        if !trimmed.iter().any(is_line) {
            self.add_line(trimmed);
            return true;
        }
        let before = self.parts.len();
        for line in trimmed.split(is_line).map(<[u8]>::trim_ascii).filter(|line| line.len() >= LINE_BYTES_MIN) {
            self.add_line(line);
        }
        self.parts.len() > before
    }

    /// Whether nothing is looked for.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    fn add_line(&mut self, line: &[u8]) {
        self.add_parts(line);
        if line.len() < LINE_BYTES_MIN {
            return;
        }
        let escaped = Secret::new(escape_bytes(line).into_bytes());
        let percent = Secret::new(percent(line));
        for form in [escaped, percent] {
            if form.expose() != line {
                self.add_parts(form.expose());
            }
        }
        for before in 0..3 {
            self.add_parts(base64(line, before).expose());
        }
    }

    fn add_parts(&mut self, form: &[u8]) {
        let mut rest = form;
        while !rest.is_empty() {
            // No part is so short that it stands everywhere.
            let longest = if rest.len() < 2 * PART_BYTES_MAX { rest.len().div_ceil(2) } else { PART_BYTES_MAX };
            let (part, after) = if rest.len() <= PART_BYTES_MAX { (rest, &[][..]) } else { rest.split_at(longest) };
            if self.parts.len() >= PARTS_MAX {
                return;
            }
            self.first.resize(256, false);
            if let Some(first) = part.first().and_then(|first| self.first.get_mut(usize::from(*first))) {
                *first = true;
            }
            self.parts.push(Secret::new(part.to_vec()));
            rest = after;
        }
    }

    /// Replaces every value in `text`.
    pub fn blank(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        let mut blank = Blank::default();
        blank.push(self, text, &mut out);
        blank.finish(self, &mut out);
        out
    }

    /// As [`Known::blank`], for text; `None` where there is nothing to replace.
    pub fn blank_str(&self, text: &str) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        let blanked = self.blank(text.as_bytes());
        (blanked != text.as_bytes()).then(|| String::from_utf8_lossy(&blanked).into_owned())
    }

    /// The longest part that `rest` begins with; or that a longer `rest` may begin with.
    fn at(&self, rest: &[u8]) -> Found {
        let Some(first) = rest.first() else { return Found::Nothing };
        if self.first.get(usize::from(*first)) != Some(&true) {
            return Found::Nothing;
        }
        let mut found = Found::Nothing;
        for part in self.parts.iter().map(Secret::expose) {
            if rest.starts_with(part) {
                found = found.max(Found::Whole(part.len()));
            } else if part.starts_with(rest) {
                found = found.max(Found::Begun);
            }
        }
        found
    }
}

/// What stands at one place. Ordered: what may still become longer waits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    Nothing,
    /// A part of this many bytes.
    Whole(usize),
    /// The beginning of one.
    Begun,
}

/// Where a stream stands.
#[derive(Default)]
pub(crate) struct Blank {
    held: Vec<u8>,
}

impl fmt::Debug for Blank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blank({} bytes held)", self.held.len())
    }
}

impl Drop for Blank {
    fn drop(&mut self) {
        self.held.fill(0);
    }
}

impl Blank {
    /// Takes the next bytes and lets go of what cannot be the beginning of a value.
    pub(crate) fn push(&mut self, known: &Known, chunk: &[u8], out: &mut Vec<u8>) {
        self.held.extend_from_slice(chunk);
        let done = walk(known, &self.held, out, false);
        self.held.drain(..done);
    }

    /// Lets go of what waits because the source pauses: a prompt may end with the first letters of a value. More of them
    /// than that wait for what follows.
    pub(crate) fn idle(&mut self, known: &Known, out: &mut Vec<u8>) {
        if self.held.len() < VALUE_BYTES_MIN {
            self.finish(known, out);
        }
    }

    /// Lets go of everything.
    pub(crate) fn finish(&mut self, known: &Known, out: &mut Vec<u8>) {
        walk(known, &self.held, out, true);
        self.held.fill(0);
        self.held.clear();
    }

    /// How many bytes wait.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held.len()
    }
}

/// Copies `text` to `out` with what is known replaced; answers how much of it is done.
fn walk(known: &Known, text: &[u8], out: &mut Vec<u8>, is_end: bool) -> usize {
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let found = match known.at(rest) {
            Found::Begun if !is_end => return at,
            Found::Begun => known
                .parts
                .iter()
                .map(Secret::expose)
                .filter(|part| rest.starts_with(part))
                .fold(Found::Nothing, |found, part| found.max(Found::Whole(part.len()))),
            found => found,
        };
        match found {
            Found::Whole(length) => {
                if !out.ends_with(MARKER) {
                    out.extend_from_slice(MARKER);
                }
                at += length;
            }
            _ => {
                out.extend(rest.first());
                at += 1;
            }
        }
    }
    at
}

/// Percent-encoded as in a URL.
fn percent(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() * 3);
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(*byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    out
}

/// What stays the same of the base64 of `bytes` behind this many bytes of anything, and before anything.
fn base64(bytes: &[u8], before: usize) -> Secret<Vec<u8>> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let whole = Secret::new([vec![0_u8; before], bytes.to_vec()].concat());
    let mut out = Vec::with_capacity(whole.expose().len() * 4 / 3);
    for group in whole.expose().chunks_exact(3) {
        let word = group.iter().fold(0_usize, |word, byte| word << 8 | usize::from(*byte));
        out.extend([18, 12, 6, 0].iter().filter_map(|shift| LETTERS.get(word >> shift & 63)));
    }
    // The first letters hold bits of what stands before.
    let foreign = [0, 2, 3].get(before).copied().unwrap_or(0).min(out.len());
    out.drain(..foreign);
    Secret::new(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(values: &[&str]) -> Known {
        let mut known = Known::default();
        for value in values {
            assert!(known.add(value.as_bytes()), "{value}");
        }
        known
    }

    fn blanked(known: &Known, text: &str, step: usize) -> String {
        let (mut blank, mut out) = (Blank::default(), Vec::new());
        text.as_bytes().chunks(step).for_each(|chunk| blank.push(known, chunk, &mut out));
        blank.finish(known, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn redact_known_values_however_they_are_cut() {
        let known = known(&["hunter2", "correct horse battery", "AKIA-x"]);
        for (text, expected) in [
            ("pass hunter2!", "pass *[REDACTED]!"),
            ("hunterhunter2hunter2", "hunter*[REDACTED]"),
            ("x=correct%20horse%20battery&y", "x=*[REDACTED]&y"),
            ("hunter", "hunter"),
            ("nothing here", "nothing here"),
            ("", ""),
        ] {
            for step in 1..=text.len().max(1) {
                assert_eq!(blanked(&known, text, step), expected, "{text} by {step}");
            }
        }
    }

    #[test]
    fn redact_base64_at_every_place() {
        let known = known(&["swordfish-and-more"]);
        for before in ["", "a", "ab", "abc", "user:"] {
            for after in ["", "x", "xy"] {
                let text = format!("{before}swordfish-and-more{after}");
                let encoded = plain_base64(text.as_bytes());
                let shown = blanked(&known, &encoded, 5);
                assert!(shown.contains("*[REDACTED]") && shown.len() < encoded.len() + 11 - 16, "{encoded} {shown}");
            }
        }
    }

    fn plain_base64(bytes: &[u8]) -> String {
        let mut padded = bytes.to_vec();
        padded.resize(bytes.len().next_multiple_of(3), 0);
        String::from_utf8(base64(&padded, 0).expose().clone()).unwrap()
    }

    #[test]
    fn redact_each_line_of_a_long_value() {
        let long = format!("{}\n{}\nshort", (0..800).map(|n| n.to_string()).collect::<String>(), "second-line-of-it");
        let known = known(&[&long]);
        assert_eq!(blanked(&known, &long.replace('\n', "\r\n"), 700), "*[REDACTED]\r\n*[REDACTED]\r\nshort");
        assert_eq!(blanked(&known, "x second-line-of-it y", 3), "x *[REDACTED] y");
    }

    #[test]
    fn short_values_are_not_looked_for() {
        let mut known = Known::default();
        assert!(!known.add(b"abc") && !known.add(b"a\nb\nc") && known.is_empty());
        assert_eq!(known.blank(b"abcabc"), b"abcabc");
    }

    #[test]
    fn a_pause_lets_a_mere_beginning_go() {
        let known = known(&["hunter2-hunter2"]);
        let (mut blank, mut out) = (Blank::default(), Vec::new());
        blank.push(&known, b"login: h", &mut out);
        assert_eq!(out, b"login: ");
        blank.idle(&known, &mut out);
        assert_eq!(out, b"login: h");
        blank.push(&known, b" hunter2-hun", &mut out);
        blank.idle(&known, &mut out);
        assert_eq!(out, b"login: h ", "more than a few letters of a value wait");
        blank.push(&known, b"ter2", &mut out);
        assert_eq!(out, b"login: h *[REDACTED]");
    }

    proptest::proptest! {
        #[test]
        fn redact_in_any_pieces(text in "[ab]{0,40}", step in 1_usize..9) {
            let known = known(&["abba", "bbbbab"]);
            let whole = blanked(&known, &text, text.len().max(1));
            proptest::prop_assert_eq!(blanked(&known, &text, step), whole.clone());
            proptest::prop_assert!(!whole.contains("abba"));
        }
    }
}
