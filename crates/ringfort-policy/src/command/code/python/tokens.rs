// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tokenizer of Python.
//!
//! In: a text. Out: [`Tokens`], or nothing where it is not one that is followed. **Invariant:** every byte belongs to
//! one token, one comment or one blank; a letter beyond ASCII outside text is not followed, for Python folds them.

use super::super::token::{Cursor, Kind, NESTING_MAX, Tokens, escape, is_word};

const OPS: [&[u8]; 21] = [
    b"**=", b"//=", b">>=", b"<<=", b"...", b"**", b"//", b">>", b"<<", b"<=", b">=", b"==", b"!=", b"->", b"+=",
    b"-=", b"*=", b"/=", b"%=", b"&=", b":=",
];

/// The tokens of `code`.
pub(super) fn tokens(code: &[u8]) -> Option<Tokens<'_>> {
    if declares_encoding(code) {
        return None;
    }
    let mut lexer = Lexer { cursor: Cursor { code, at: 0 }, tokens: Tokens::default() };
    lexer.until(None, 0)?;
    lexer.tokens.is_closed().then_some(lexer.tokens)
}

/// Whether one of the first two lines makes Python read the text in an encoding of its own.
fn declares_encoding(code: &[u8]) -> bool {
    let lines = code.split(|b| matches!(b, b'\n' | b'\r')).take(3);
    lines.filter(|line| line.trim_ascii_start().first() == Some(&b'#')).any(|line| {
        line.windows(7).any(|part| matches!(part, b"coding:" | b"coding="))
            && !line.windows(5).any(|part| part.eq_ignore_ascii_case(b"utf-8"))
    })
}

struct Lexer<'a> {
    cursor: Cursor<'a>,
    tokens: Tokens<'a>,
}

impl<'a> Lexer<'a> {
    /// Reads up to the end, or inside a text to the `end` that closes an expression.
    fn until(&mut self, end: Option<usize>, nesting: u32) -> Option<u8> {
        if nesting > NESTING_MAX {
            return None;
        }
        loop {
            let Some(byte) = self.cursor.peek() else { return end.is_none().then_some(0) };
            let start = self.cursor.at;
            if let Some(depth) = end
                && self.tokens.depth() == depth
                && (matches!(byte, b'}' | b':') || byte == b'!' && self.cursor.ahead(1) != Some(b'='))
            {
                self.cursor.at += 1;
                return Some(byte);
            }
            match byte {
                b' ' | b'\t' => self.cursor.at += 1,
                b'\n' | b'\r' => {
                    self.cursor.at += 1;
                    if self.tokens.is_closed() {
                        self.tokens.push(Kind::Line, &b"\n"[..], start..start + 1)?;
                    }
                }
                b'\\' if matches!(self.cursor.ahead(1), Some(b'\n')) => self.cursor.at += 2,
                b'#' => {
                    self.cursor.over(|b| !matches!(b, b'\n' | b'\r'));
                }
                b'"' | b'\'' => self.text(b"", nesting)?,
                b'0'..=b'9' => {
                    let number = self.cursor.number();
                    if self.cursor.peek() == Some(b'j') {
                        self.cursor.at += 1;
                    }
                    self.tokens.push(Kind::Number, number, start..self.cursor.at)?;
                }
                _ if is_word(byte) => {
                    let word = self.cursor.over(is_word);
                    let quoted = matches!(self.cursor.peek(), Some(b'"' | b'\''));
                    let prefix = word.len() <= 2
                        && word.iter().all(|b| matches!(b.to_ascii_lowercase(), b'r' | b'b' | b'u' | b'f'));
                    if quoted && prefix {
                        self.text(word, nesting)?;
                    } else if quoted && word.eq_ignore_ascii_case(b"t")
                        || quoted && word.len() == 2 && word.contains(&b't')
                    {
                        return None;
                    } else {
                        self.tokens.push(Kind::Name, word, start..self.cursor.at)?;
                    }
                }
                b'!' if self.cursor.ahead(1) != Some(b'=') => return None,
                b'?' | b'$' | b'`' | b'\\' => return None,
                _ if byte.is_ascii_graphic() => {
                    let op = self.cursor.operator(&OPS);
                    self.tokens.push(Kind::Op, op, start..self.cursor.at)?;
                }
                _ => return None,
            }
        }
    }

    /// A text with this prefix.
    fn text(&mut self, prefix: &[u8], nesting: u32) -> Option<()> {
        let start = self.cursor.at - prefix.len();
        let has = |letter: u8| prefix.iter().any(|b| b.to_ascii_lowercase() == letter);
        let (raw, computed) = (has(b'r'), has(b'f'));
        let quote = self.cursor.peek()?;
        let triple = self.cursor.ahead(1) == Some(quote) && self.cursor.ahead(2) == Some(quote);
        self.cursor.at += if triple { 3 } else { 1 };
        let mut value = Vec::new();
        let mut exact = true;
        let mut parts = false;
        loop {
            let byte = self.cursor.peek()?;
            if byte == quote && (!triple || self.cursor.ahead(1) == Some(quote) && self.cursor.ahead(2) == Some(quote))
            {
                self.cursor.at += if triple { 3 } else { 1 };
                break;
            }
            self.cursor.at += 1;
            match byte {
                b'\n' | b'\r' if !triple => return None,
                b'\\' if raw => {
                    value.push(byte);
                    value.push(self.cursor.peek()?);
                    self.cursor.at += 1;
                }
                b'\\' => {
                    let named = matches!(self.cursor.peek(), Some(b'N' | b'U'));
                    if named || escape(&mut self.cursor, &mut value).is_none() {
                        // The value is not needed, only where the text ends.
                        exact = false;
                        self.cursor.at += usize::from(named);
                    }
                }
                b'{' if computed && self.cursor.peek() == Some(b'{') => {
                    value.push(b'{');
                    self.cursor.at += 1;
                }
                b'{' if computed => {
                    if !parts {
                        self.tokens.push(Kind::Built, &b""[..], start..self.cursor.at)?;
                        parts = true;
                    }
                    self.part(nesting)?;
                }
                _ => value.push(byte),
            }
        }
        if parts {
            return Some(());
        }
        let kind = if exact { Kind::Text } else { Kind::Built };
        self.tokens.push(kind, value, start..self.cursor.at)
    }

    /// The expression of a `{` in a computed text, with its format.
    fn part(&mut self, nesting: u32) -> Option<()> {
        let at = self.cursor.at;
        // The parts of a text are one group behind it.
        self.tokens.push(Kind::Op, &b"("[..], at..at)?;
        let depth = self.tokens.depth();
        let mut end = self.until(Some(depth), nesting + 1)?;
        if end == b'!' {
            self.cursor.over(is_word);
            end = self.cursor.peek()?;
            self.cursor.at += 1;
        }
        if end == b':' {
            self.format(nesting + 1)?;
        } else if end != b'}' {
            return None;
        }
        let at = self.cursor.at;
        self.tokens.push(Kind::Op, &b")"[..], at..at)
    }

    /// A format up to its `}`, with expressions of its own.
    fn format(&mut self, nesting: u32) -> Option<()> {
        if nesting > NESTING_MAX {
            return None;
        }
        loop {
            let byte = self.cursor.peek()?;
            self.cursor.at += 1;
            match byte {
                b'}' => return Some(()),
                b'{' => self.part(nesting)?,
                b'\n' | b'\r' | b'\\' | b'"' | b'\'' => return None,
                _ => {}
            }
        }
    }
}
