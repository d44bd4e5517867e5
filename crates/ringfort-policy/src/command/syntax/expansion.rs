// SPDX-License-Identifier: MIT OR Apache-2.0
//! Expansions: what a dollar sign or a backquote starts.
//!
//! In: the cursor at `$` or a backquote. Out: one [`Piece`] with the commands that would run to make its value.
//!
//! **Invariant:** `$((` is arithmetic only if both the quick scan and the full parse say so; where they
//! disagree the text is ambiguous, which is a fault.

use std::borrow::Cow;

use super::cursor::{Parser, is_name};
use super::word::Mode;
use super::{FaultKind, Parameter, Parse, Piece, Script, Span};

/// What `((` turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parens {
    Arithmetic { end: usize },
    Commands,
    Unterminated,
}

impl<'a> Parser<'a> {
    /// Reads what starts with the `$` at the cursor.
    pub(super) fn dollar(&mut self, quoted: bool, out: &mut Vec<Piece<'a>>) -> Parse<()> {
        self.node()?;
        let start = self.pos;
        let after = self.past_continuations(start + 1);
        match self.byte(after) {
            b'(' => {
                self.pos = after;
                out.push(self.dollar_paren(start, quoted)?);
            }
            b'{' => {
                self.pos = after + 1;
                out.push(self.braced(start, quoted)?);
            }
            b'[' => {
                self.pos = after + 1;
                let mut pieces = Vec::new();
                self.pieces(Mode::Index, &mut pieces)?;
                self.pos += 1;
                out.push(Piece::Arithmetic { pieces, span: Span::new(start, self.pos) });
            }
            b'\'' if !quoted => {
                self.pos = after + 1;
                self.dollar_quotes = self.dollar_quotes.saturating_add(1);
                self.ansi_c(start, out)?;
            }
            b'"' if !quoted => {
                self.pos = after;
                self.dollar_quotes = self.dollar_quotes.saturating_add(1);
                self.double_quoted(out)?;
            }
            byte if byte.is_ascii_alphabetic() || byte == b'_' => self.named(start, after, quoted, out)?,
            // zsh: a variable that is split, matched, spread or counted; elsewhere a dollar sign and text.
            b'=' | b'~' | b'^' | b'+' if is_name(self.byte(after + 1)) && !self.byte(after + 1).is_ascii_digit() => {
                self.pos = after + 1;
                self.named(start, after + 1, quoted, out)?;
                if let Some(Piece::Parameter(parameter)) = out.last_mut() {
                    parameter.operator = b'~';
                }
            }
            b'0'..=b'9' | b'@' | b'*' | b'#' | b'?' | b'-' | b'$' | b'!' => {
                self.pos = after + 1;
                out.push(self.simple_parameter(start, after, quoted));
            }
            _ => {
                self.pos = start + 1;
                out.push(Piece::Text { bytes: Cow::Borrowed(b"$"), quoted: true });
            }
        }
        Ok(())
    }

    fn named(&mut self, start: usize, after: usize, quoted: bool, out: &mut Vec<Piece<'a>>) -> Parse<()> {
        let mut end = after;
        while is_name(self.byte(end)) {
            end += 1;
        }
        self.pos = end;
        let joined = self.past_continuations(end);
        if joined != end && is_name(self.byte(joined)) {
            return self.fault(FaultKind::Ambiguous, start);
        }
        out.push(self.simple_parameter(start, after, quoted));
        Ok(())
    }

    fn simple_parameter(&self, start: usize, name: usize, quoted: bool) -> Piece<'a> {
        Piece::Parameter(Box::new(Parameter {
            name: self.slice(name, self.pos),
            operator: 0,
            sign: 0,
            index: Vec::new(),
            operand: Vec::new(),
            quoted,
            span: Span::new(start, self.pos),
        }))
    }

    /// `$(` or `$((`; the cursor stands at the bracket.
    fn dollar_paren(&mut self, start: usize, quoted: bool) -> Parse<Piece<'a>> {
        if self.byte(self.pos + 1) == b'(' {
            match self.scan_parens(self.pos + 2) {
                Parens::Arithmetic { end } => {
                    self.pos += 2;
                    let pieces = self.arithmetic(end)?;
                    return Ok(Piece::Arithmetic { pieces, span: Span::new(start, self.pos) });
                }
                Parens::Unterminated => return self.fault(FaultKind::Unterminated, start),
                Parens::Commands => {}
            }
        }
        self.pos += 1;
        let script = self.substitution_script()?;
        Ok(Piece::Command { script, quoted, span: Span::new(start, self.pos) })
    }

    /// The commands up to the closing bracket, which is consumed. Here-documents stay inside.
    pub(super) fn substitution_script(&mut self) -> Parse<Script<'a>> {
        let outer = std::mem::take(&mut self.pending);
        self.substitutions += 1;
        let script = self.nested(|parser| parser.paren_script());
        self.substitutions -= 1;
        if !self.pending.is_empty() {
            return self.fault(FaultKind::Ambiguous, self.pos);
        }
        self.pending = outer;
        script
    }

    /// The inside of `(( … ))`, whose closing brackets stand at `end` and are consumed.
    pub(super) fn arithmetic(&mut self, end: usize) -> Parse<Vec<Piece<'a>>> {
        let mut pieces = Vec::new();
        self.nested(|parser| parser.pieces(Mode::Arithmetic, &mut pieces))?;
        if self.pos != end {
            return self.fault(FaultKind::Ambiguous, self.pos);
        }
        self.pos = end + 2;
        Ok(pieces)
    }

    /// Looks ahead from after `((`: the bracket that closes both decides.
    pub(super) fn scan_parens(&self, from: usize) -> Parens {
        let mut at = from;
        let mut depth = 0_u32;
        while at < self.end {
            match self.byte(at) {
                b'\\' => at += 1,
                quote @ (b'\'' | b'"' | b'`') => match self.scan_quote(at + 1, quote) {
                    Some(close) => at = close,
                    None => return Parens::Unterminated,
                },
                b'(' => depth += 1,
                b')' if depth > 0 => depth -= 1,
                b')' if self.byte(at + 1) == b')' => return Parens::Arithmetic { end: at },
                b')' => return Parens::Commands,
                _ => {}
            }
            at += 1;
        }
        Parens::Unterminated
    }

    fn scan_quote(&self, from: usize, quote: u8) -> Option<usize> {
        let mut at = from;
        while at < self.end {
            let byte = self.byte(at);
            if byte == quote {
                return Some(at);
            }
            at += if byte == b'\\' && quote != b'\'' { 2 } else { 1 };
        }
        None
    }

    /// `${ … }`; the cursor stands after the brace.
    fn braced(&mut self, start: usize, quoted: bool) -> Parse<Piece<'a>> {
        if matches!(self.byte(self.pos), b' ' | b'\t' | b'\n' | b'|') {
            return self.function_substitution(start, quoted);
        }
        let mut sign = 0;
        let first = self.byte(self.pos);
        if matches!(first, b'#' | b'!') && !matches!(self.byte(self.pos + 1), b'}' | b':' | b'%' | b'=' | b'+') {
            sign = first;
            self.pos += 1;
        }
        let name_start = self.pos;
        while is_name(self.byte(self.pos)) {
            self.pos += 1;
        }
        if self.pos == name_start && matches!(self.byte(self.pos), b'@' | b'*' | b'#' | b'?' | b'-' | b'$' | b'!') {
            self.pos += 1;
        }
        let name = self.slice(name_start, self.pos);
        let mut index = Vec::new();
        if self.byte(self.pos) == b'[' {
            self.pos += 1;
            self.pieces(Mode::Index, &mut index)?;
            self.pos += 1;
        }
        if self.peek() == b':' && matches!(self.peek_second(), b'-' | b'=' | b'?' | b'+') {
            self.pos += 1;
        }
        let operator = if self.peek() == b'}' { 0 } else { self.byte(self.pos) };
        if matches!(operator, b'-' | b'=' | b'?' | b'+' | b'#' | b'%' | b'/' | b'^' | b',' | b':' | b'@') {
            self.pos += 1;
        }
        let literal_quote = quoted && !matches!(operator, b'#' | b'%' | b'/');
        let mode = if literal_quote { Mode::QuotedOperand } else { Mode::Operand };
        let mut operand = Vec::new();
        self.nested(|parser| parser.pieces(mode, &mut operand))?;
        self.pos += 1;
        let span = Span::new(start, self.pos);
        Ok(Piece::Parameter(Box::new(Parameter { name, operator, sign, index, operand, quoted, span })))
    }

    /// `${ commands; }`, which newer bash and ksh run in the current shell.
    fn function_substitution(&mut self, start: usize, quoted: bool) -> Parse<Piece<'a>> {
        if self.byte(self.pos) == b'|' {
            self.pos += 1;
        }
        let outer = std::mem::take(&mut self.pending);
        let script = self.nested(|parser| parser.brace_script(start))?;
        if !self.pending.is_empty() {
            return self.fault(FaultKind::Ambiguous, self.pos);
        }
        self.pending = outer;
        Ok(Piece::Command { script, quoted, span: Span::new(start, self.pos) })
    }

    /// Backquoted text; one level of backslashes is removed, as the shell does before it parses.
    pub(super) fn backquote(&mut self, quoted: bool, in_quotes: bool, out: &mut Vec<Piece<'a>>) -> Parse<()> {
        self.node()?;
        let open = self.pos;
        let start = open + 1;
        let Some(close) = self.scan_quote(start, b'`') else {
            return self.fault(FaultKind::Unterminated, open);
        };
        let raw = self.slice(start, close);
        let text = if raw.contains(&b'\\') { Cow::Owned(unescape(raw, in_quotes)) } else { Cow::Borrowed(raw) };
        self.pos = close + 1;
        out.push(Piece::Backquote { text, quoted, span: Span::new(start, close) });
        Ok(())
    }

    /// `$'…'`; the cursor stands after the quote.
    fn ansi_c(&mut self, start: usize, out: &mut Vec<Piece<'a>>) -> Parse<()> {
        let from = self.pos;
        let Some(close) = scan_ansi_c(self.slice(from, self.end)) else {
            return self.fault(FaultKind::Unterminated, start);
        };
        let raw = self.slice(from, from + close);
        self.pos = from + close + 1;
        let bytes = if raw.contains(&b'\\') { Cow::Owned(super::decode_ansi_c(raw)) } else { Cow::Borrowed(raw) };
        out.push(Piece::Text { bytes, quoted: true });
        Ok(())
    }
}

fn scan_ansi_c(text: &[u8]) -> Option<usize> {
    let mut bytes = text.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\'' => return Some(at),
            b'\\' => {
                bytes.next()?;
            }
            _ => {}
        }
    }
    None
}

fn unescape(raw: &[u8], in_quotes: bool) -> Vec<u8> {
    let mut text = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let next = bytes.peek().copied().unwrap_or(0);
        if byte == b'\\' && (matches!(next, b'$' | b'`' | b'\\') || (in_quotes && next == b'"')) {
            text.push(next);
            bytes.next();
        } else {
            text.push(byte);
        }
    }
    text
}
