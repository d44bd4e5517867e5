// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tokens: what the readers of all languages look at.
//!
//! In: pieces of a text from a language's tokenizer. Out: [`Tokens`] with the partner of every bracket.
//!
//! **Invariant:** a list of tokens exists only if every bracket has its partner, in order; looking at arguments
//! never costs more than their own tokens.

use std::borrow::Cow;
use std::ops::Range;

/// Most tokens of one text.
const TOKENS_MAX: usize = 64 << 10;
/// Deepest nesting of texts in texts.
pub(super) const NESTING_MAX: u32 = 16;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word.
    Name,
    /// A variable with its mark, in languages that have one.
    Variable,
    /// A name that stands for itself, as `:name`.
    Symbol,
    Number,
    /// Text of which every byte is known.
    Text,
    /// Text with parts that are computed; the tokens of those parts follow in parentheses.
    Built,
    Pattern,
    Op,
    /// The end of a line that ends a statement.
    Line,
}

/// One token.
#[derive(Clone, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    /// The word or operator, or the value of a text.
    pub(super) text: Cow<'a, [u8]>,
    pub(super) at: Range<usize>,
}

/// The tokens of a text.
#[derive(Debug, Default)]
pub(super) struct Tokens<'a> {
    list: Vec<Token<'a>>,
    /// For each bracket, its partner.
    pairs: Vec<usize>,
    open: Vec<usize>,
}

impl<'a> Tokens<'a> {
    /// Appends a token; `None` where there are too many, or a bracket has no partner.
    pub(super) fn push(&mut self, kind: Kind, text: impl Into<Cow<'a, [u8]>>, at: Range<usize>) -> Option<()> {
        if self.list.len() >= TOKENS_MAX {
            return None;
        }
        let index = self.list.len();
        let text = text.into();
        self.pairs.push(index);
        if kind == Kind::Op {
            match text.as_ref() {
                b"(" | b"[" | b"{" => self.open.push(index),
                b")" | b"]" | b"}" => {
                    let partner = self.open.pop()?;
                    let wanted: &[u8] = match text.as_ref() {
                        b")" => b"(",
                        b"]" => b"[",
                        _ => b"{",
                    };
                    if self.list.get(partner)?.text != wanted {
                        return None;
                    }
                    *self.pairs.get_mut(partner)? = index;
                    *self.pairs.get_mut(index)? = partner;
                }
                _ => {}
            }
        }
        self.list.push(Token { kind, text, at });
        Some(())
    }

    /// How many brackets are open.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Whether every bracket is closed.
    pub(super) fn is_closed(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<&Token<'a>> {
        self.list.get(index)
    }

    /// Takes back the ends of lines at the end: the statement goes on.
    pub(super) fn join_lines(&mut self) {
        while self.list.last().is_some_and(|t| t.kind == Kind::Line) {
            self.list.pop();
            self.pairs.pop();
        }
    }

    /// The token before `index`.
    pub(super) fn before(&self, index: usize) -> Option<&Token<'a>> {
        self.list.get(index.checked_sub(1)?)
    }

    /// The partner of the bracket at `index`.
    pub(super) fn partner(&self, index: usize) -> usize {
        self.pairs.get(index).copied().unwrap_or(index)
    }

    pub(super) fn is_op(&self, index: usize, op: &[u8]) -> bool {
        self.list.get(index).is_some_and(|t| t.kind == Kind::Op && t.text == op)
    }

    pub(super) fn is_op_before(&self, index: usize, op: &[u8]) -> bool {
        index.checked_sub(1).is_some_and(|at| self.is_op(at, op))
    }

    /// The word at `index`.
    pub(super) fn name(&self, index: usize) -> Option<&[u8]> {
        self.list.get(index).filter(|t| t.kind == Kind::Name).map(|t| t.text.as_ref())
    }

    pub(super) fn is_name(&self, index: usize, name: &[u8]) -> bool {
        self.name(index) == Some(name)
    }

    /// The bytes of the text from the token at `from` to the one at `to`.
    pub(super) fn range(&self, from: usize, to: usize) -> Range<usize> {
        let start = self.list.get(from).map_or(0, |t| t.at.start);
        let end = self.list.get(to).map_or(start, |t| t.at.end);
        start..end.max(start)
    }

    /// The parts between commas inside the brackets that open at `open`.
    pub(super) fn parts(&self, open: usize) -> Vec<Range<usize>> {
        let close = self.partner(open);
        self.split(open + 1..close)
    }

    /// The parts between commas among these tokens, brackets skipped.
    pub(super) fn split(&self, tokens: Range<usize>) -> Vec<Range<usize>> {
        let mut parts = Vec::new();
        let mut start = tokens.start;
        let mut at = tokens.start;
        while at < tokens.end {
            if self.is_op(at, b",") {
                parts.push(start..at);
                start = at + 1;
            }
            // The partner of anything but a bracket is itself.
            at = self.partner(at).max(at) + 1;
        }
        if start < tokens.end {
            parts.push(start..tokens.end);
        }
        parts
    }
}

/// Whether a byte may stand in a word.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// A text that is read byte by byte.
pub(super) struct Cursor<'a> {
    pub(super) code: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn peek(&self) -> Option<u8> {
        self.code.get(self.at).copied()
    }

    pub(super) fn ahead(&self, count: usize) -> Option<u8> {
        self.code.get(self.at + count).copied()
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.code.get(self.at..).unwrap_or(&[])
    }

    pub(super) fn starts(&self, with: &[u8]) -> bool {
        self.rest().starts_with(with)
    }

    /// Goes over bytes while they fit, and returns them.
    pub(super) fn over(&mut self, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let start = self.at;
        while self.peek().is_some_and(&fits) {
            self.at += 1;
        }
        self.code.get(start..self.at).unwrap_or(&[])
    }

    pub(super) fn slice(&self, from: usize) -> &'a [u8] {
        self.code.get(from..self.at).unwrap_or(&[])
    }

    /// A number: never a word that follows it.
    pub(super) fn number(&mut self) -> &'a [u8] {
        let start = self.at;
        let radix = self.peek() == Some(b'0')
            && self.ahead(1).is_some_and(|b| matches!(b, b'x' | b'X' | b'o' | b'O' | b'b' | b'B'));
        if radix {
            self.at += 2;
            self.over(|b| b.is_ascii_hexdigit() || b == b'_');
            return self.slice(start);
        }
        self.over(|b| b.is_ascii_digit() || b == b'_');
        if self.peek() == Some(b'.') && self.ahead(1).is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
            self.over(|b| b.is_ascii_digit() || b == b'_');
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(self.ahead(1), Some(b'+' | b'-')));
            if self.ahead(1 + sign).is_some_and(|b| b.is_ascii_digit()) {
                self.at += 1 + sign;
                self.over(|b| b.is_ascii_digit());
            }
        }
        self.slice(start)
    }

    /// The longest operator of `ops` here; single bytes are operators of their own.
    pub(super) fn operator(&mut self, ops: &[&[u8]]) -> &'a [u8] {
        let start = self.at;
        let length = ops.iter().filter(|op| self.starts(op)).map(|op| op.len()).max().unwrap_or(1);
        self.at += length;
        self.slice(start)
    }
}

/// Appends the escape after a backslash to `out`, as C, Python, JavaScript, Perl and Ruby have in common.
///
/// Returns `None` for one that they read differently, as names of characters.
pub(super) fn escape(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Option<()> {
    let byte = cursor.peek()?;
    cursor.at += 1;
    match byte {
        b'n' => out.push(b'\n'),
        b't' => out.push(b'\t'),
        b'r' => out.push(b'\r'),
        b'0'..=b'7' => {
            let mut value = u32::from(byte - b'0');
            for _ in 0..2 {
                let Some(digit @ b'0'..=b'7') = cursor.peek() else { break };
                value = value * 8 + u32::from(digit - b'0');
                cursor.at += 1;
            }
            character(value, out)?;
        }
        b'x' => {
            let braced = cursor.peek() == Some(b'{');
            let digits = hex(cursor, if braced { 0 } else { 2 })?;
            character(digits, out)?;
        }
        b'u' => {
            let braced = cursor.peek() == Some(b'{');
            let digits = hex(cursor, if braced { 0 } else { 4 })?;
            character(digits, out)?;
        }
        b'U' | b'N' | b'c' | b'C' | b'M' | b'L' | b'Q' | b'E' | b'l' | b'o' => return None,
        b'\n' => {}
        b'a' => out.push(7),
        b'b' => out.push(8),
        b'f' => out.push(12),
        b'v' => out.push(11),
        b'e' => out.push(27),
        other => out.push(other),
    }
    Some(())
}

/// Hexadecimal digits: exactly `count`, or those in braces.
fn hex(cursor: &mut Cursor<'_>, count: usize) -> Option<u32> {
    let braced = count == 0;
    if braced {
        cursor.at += 1;
    }
    let mut value = 0_u32;
    let mut seen = 0;
    while let Some(digit) = cursor.peek().and_then(|b| char::from(b).to_digit(16)) {
        value = value.checked_mul(16)?.checked_add(digit)?;
        cursor.at += 1;
        seen += 1;
        if seen == count {
            return Some(value);
        }
    }
    if braced && seen > 0 && cursor.peek() == Some(b'}') {
        cursor.at += 1;
        return Some(value);
    }
    None
}

fn character(value: u32, out: &mut Vec<u8>) -> Option<()> {
    let character = char::from_u32(value)?;
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Some(())
}
