// SPDX-License-Identifier: MIT OR Apache-2.0
//! Words: quoting removed, expansions kept as trees.
//!
//! In: the cursor at the first byte of a word. Out: [`Word`] and its [`Piece`]s.
//!
//! **Invariant:** every byte of a word ends up in exactly one piece; whether a byte was quoted is never lost.

use std::borrow::Cow;

use super::cursor::{Parser, is_meta};
use super::{Body, FaultKind, Parse, Piece, Span, Word};

/// Where a run of pieces stands, which decides what ends it and what quotes mean in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// An ordinary word.
    Word,
    /// The right side of `=~`: `|` and `( )` belong to it.
    Regex,
    /// Between double quotes.
    Quote,
    /// A here-document body; ends where the text ends.
    Document,
    /// After the operator in `${…}`, not in double quotes.
    Operand,
    /// The same in double quotes, where a single quote is an ordinary byte.
    QuotedOperand,
    /// Between `((` and `))`.
    Arithmetic,
    /// Between `[` and `]`.
    Index,
}

impl Mode {
    fn is_quoted(self) -> bool {
        matches!(self, Self::Quote | Self::Document | Self::QuotedOperand)
    }

    fn is_word(self) -> bool {
        matches!(self, Self::Word | Self::Regex)
    }

    fn is_math(self) -> bool {
        matches!(self, Self::Arithmetic | Self::Index)
    }
}

/// Bytes that have no meaning inside a word.
const PLAIN: [bool; 256] = plain_table();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler: an index out of range does not build")]
const fn plain_table() -> [bool; 256] {
    let mut table = [true; 256];
    let special = b"\0 \t\n;&|()<>\\'\"$`";
    let mut index = 0;
    while index < special.len() {
        table[special[index] as usize] = false;
        index += 1;
    }
    table
}

impl<'a> Parser<'a> {
    /// Reads one word; the cursor stands at its first byte.
    pub(super) fn word(&mut self) -> Parse<Word<'a>> {
        self.node()?;
        let start = self.pos;
        let rest = self.slice(start, self.end);
        let length =
            rest.iter().position(|b| !PLAIN.get(usize::from(*b)).copied().unwrap_or(false)).unwrap_or(rest.len());
        let stop = start + length;
        let plain_end =
            stop >= self.end || (is_meta(self.byte(stop)) && !matches!(self.byte(stop), b'(' | b'<' | b'>'));
        if length > 0 && plain_end {
            self.pos = stop;
            return Ok(Word { span: Span::new(start, stop), body: Body::Plain(self.slice(start, stop)) });
        }
        self.word_pieces(Mode::Word)
    }

    /// Reads one word as pieces.
    pub(super) fn word_pieces(&mut self, mode: Mode) -> Parse<Word<'a>> {
        let start = self.pos;
        let mut pieces = Vec::new();
        self.nested(|parser| parser.pieces(mode, &mut pieces))?;
        if self.pos == start {
            return self.unexpected(start);
        }
        Ok(Word { span: Span::new(start, self.pos), body: Body::Pieces(pieces) })
    }

    /// Reads pieces up to what ends `mode`; the ending itself is not consumed.
    pub(super) fn pieces(&mut self, mode: Mode, out: &mut Vec<Piece<'a>>) -> Parse<()> {
        let start = self.pos;
        let mut run = self.pos;
        let mut group = 0_u32;
        loop {
            while PLAIN.get(usize::from(self.byte(self.pos))).copied().unwrap_or(false) {
                if self.ends_plain(mode, &mut group) {
                    return self.push_text(run, mode, out);
                }
                self.pos += 1;
            }
            if self.at_end() {
                self.push_text(run, mode, out)?;
                let open = group > 0 || !(mode.is_word() || mode == Mode::Document);
                return if open { self.fault(FaultKind::Unterminated, start) } else { Ok(()) };
            }
            let byte = self.byte(self.pos);
            if self.is_process(mode, byte, group) {
                self.push_text(run, mode, out)?;
                out.push(self.process()?);
                run = self.pos;
                continue;
            }
            if self.ends_special(mode, byte, &mut group) {
                return self.push_text(run, mode, out);
            }
            if self.special(mode, byte, run, out)? { run = self.pos } else { self.pos += 1 }
        }
    }

    /// Whether a byte without meaning in words ends this mode, or opens or closes a bracket in it.
    fn ends_plain(&self, mode: Mode, group: &mut u32) -> bool {
        match (mode, self.byte(self.pos)) {
            (Mode::Operand | Mode::QuotedOperand, b'}') => true,
            (Mode::Index, b'[') => {
                *group += 1;
                false
            }
            (Mode::Index, b']') if *group == 0 => true,
            (Mode::Index, b']') => {
                *group -= 1;
                false
            }
            _ => false,
        }
    }

    /// Whether `byte` ends this mode, or opens or closes a group in it.
    fn ends_special(&self, mode: Mode, byte: u8, group: &mut u32) -> bool {
        match mode {
            Mode::Word => match byte {
                b'(' if *group > 0 || self.opens_pattern() => *group += 1,
                b')' if *group > 0 => *group -= 1,
                _ if is_meta(byte) && *group == 0 => return true,
                _ => {}
            },
            Mode::Regex => match byte {
                b'(' => *group += 1,
                b')' if *group > 0 => *group -= 1,
                b'|' => {}
                _ if is_meta(byte) && *group == 0 => return true,
                _ => {}
            },
            Mode::Quote => return byte == b'"',
            Mode::Arithmetic => match byte {
                b'(' => *group += 1,
                b')' if *group > 0 => *group -= 1,
                b')' => return true,
                _ => {}
            },
            Mode::Document | Mode::Operand | Mode::QuotedOperand | Mode::Index => {}
        }
        false
    }

    /// Whether the bracket at the cursor follows a pattern operator.
    fn opens_pattern(&self) -> bool {
        self.pos > 0 && matches!(self.src.get(self.pos - 1), Some(b'?' | b'*' | b'+' | b'@' | b'!'))
    }

    fn is_process(&self, mode: Mode, byte: u8, group: u32) -> bool {
        let next = self.byte(self.pos + 1) == b'(';
        match mode {
            Mode::Word | Mode::Regex => next && matches!(byte, b'<' | b'>') && group == 0,
            Mode::Operand => next && matches!(byte, b'<' | b'>'),
            _ => false,
        }
    }

    /// Handles a byte with meaning; false when it is ordinary here.
    fn special(&mut self, mode: Mode, byte: u8, run: usize, out: &mut Vec<Piece<'a>>) -> Parse<bool> {
        match byte {
            b'\\' => {
                self.push_text(run, mode, out)?;
                self.backslash(mode, out)?;
            }
            b'\'' if mode.is_math() => return self.fault(FaultKind::Ambiguous, self.pos),
            b'\'' if !mode.is_quoted() => {
                self.push_text(run, mode, out)?;
                self.single_quoted(out)?;
            }
            b'"' if mode != Mode::Document => {
                self.push_text(run, mode, out)?;
                self.double_quoted(out)?;
            }
            b'$' => {
                self.push_text(run, mode, out)?;
                self.nested(|parser| parser.dollar(mode.is_quoted(), out))?;
            }
            b'`' => {
                self.push_text(run, mode, out)?;
                self.backquote(mode.is_quoted(), mode == Mode::Quote, out)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn push_text(&mut self, run: usize, mode: Mode, out: &mut Vec<Piece<'a>>) -> Parse<()> {
        if run < self.pos {
            self.node()?;
            out.push(Piece::Text { bytes: Cow::Borrowed(self.slice(run, self.pos)), quoted: mode.is_quoted() });
        }
        Ok(())
    }

    fn push_quoted(&mut self, bytes: Cow<'a, [u8]>, out: &mut Vec<Piece<'a>>) -> Parse<()> {
        self.node()?;
        out.push(Piece::Text { bytes, quoted: true });
        Ok(())
    }

    fn backslash(&mut self, mode: Mode, out: &mut Vec<Piece<'a>>) -> Parse<()> {
        let at = self.pos;
        let next = self.byte(at + 1);
        if next == b'\n' {
            self.pos += 2;
            return Ok(());
        }
        if at + 1 >= self.end {
            self.pos += 1;
            return self.push_quoted(Cow::Borrowed(b"\\"), out);
        }
        let escapes = match mode {
            Mode::Quote => matches!(next, b'$' | b'`' | b'"' | b'\\'),
            Mode::Document => matches!(next, b'$' | b'`' | b'\\'),
            Mode::QuotedOperand => matches!(next, b'$' | b'`' | b'"' | b'\\' | b'}'),
            _ => true,
        };
        self.pos += 2;
        let start = if escapes { at + 1 } else { at };
        self.push_quoted(Cow::Borrowed(self.slice(start, at + 2)), out)
    }

    fn single_quoted(&mut self, out: &mut Vec<Piece<'a>>) -> Parse<()> {
        let start = self.pos + 1;
        let rest = self.slice(start, self.end);
        let Some(length) = rest.iter().position(|b| *b == b'\'') else {
            return self.fault(FaultKind::Unterminated, self.pos);
        };
        self.pos = start + length + 1;
        self.push_quoted(Cow::Borrowed(self.slice(start, start + length)), out)
    }

    /// Reads `"…"`; an empty pair leaves an empty piece, so that the word exists.
    pub(super) fn double_quoted(&mut self, out: &mut Vec<Piece<'a>>) -> Parse<()> {
        self.pos += 1;
        let before = out.len();
        self.nested(|parser| parser.pieces(Mode::Quote, out))?;
        self.pos += 1;
        if out.len() == before { self.push_quoted(Cow::Borrowed(b""), out) } else { Ok(()) }
    }

    fn process(&mut self) -> Parse<Piece<'a>> {
        let start = self.pos;
        self.pos += 2;
        let script = self.substitution_script()?;
        Ok(Piece::Process { script, span: Span::new(start, self.pos) })
    }
}
