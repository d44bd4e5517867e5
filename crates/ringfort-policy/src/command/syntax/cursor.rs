// SPDX-License-Identifier: MIT OR Apache-2.0
//! The cursor: position, limits and the smallest tokens.
//!
//! In: the text. Out: bytes, operators and reserved words, with line continuations removed where shells
//! remove them.
//!
//! **Invariant:** the position only moves forward, except where a here-document body is read in place.
//! Reading past the end yields 0, which is no shell character.

use std::cell::Cell;

use super::word::Mode;
use super::{DEPTH_MAX, Document, Fault, FaultKind, Item, NODES_MAX, Parse, Parsed, Piece, Script, Span, Stopped};

/// A here-document whose body starts after the next newline.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) delimiter: Vec<u8>,
    pub(super) document: usize,
}

/// An answer of [`Parser::reserved`], and the position and end of text that it holds for.
#[derive(Clone, Copy, Debug)]
struct ReservedAt {
    pos: usize,
    end: usize,
    answer: Option<(Reserved, usize)>,
}

/// The state of one parse.
#[derive(Debug)]
pub(super) struct Parser<'a> {
    pub(super) src: &'a [u8],
    /// `src` up to `end`.
    view: &'a [u8],
    pub(super) pos: usize,
    pub(super) end: usize,
    /// The last answer of [`Parser::reserved`], which is asked several times at the start of a command.
    last_reserved: Cell<ReservedAt>,
    pub(super) depth: u32,
    pub(super) substitutions: u32,
    nodes: u32,
    /// How many `$'…'` and `$"…"` have been read.
    pub(super) dollar_quotes: u32,
    pub(super) pending: Vec<Pending>,
    pub(super) documents: Vec<Document<'a>>,
    /// Where parsing has stopped, if it has.
    fault: Cell<Option<Fault>>,
}

/// Words with a meaning of their own at the start of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reserved {
    Bang,
    Open,
    Close,
    Test,
    If,
    Then,
    Elif,
    Else,
    Fi,
    For,
    Do,
    Done,
    While,
    Until,
    Case,
    Esac,
    Select,
    Function,
    Time,
    Coproc,
}

const RESERVED_BYTES_MAX: usize = 8;

impl<'a> Parser<'a> {
    pub(super) fn new(src: &'a [u8], depth: u32) -> Self {
        Self {
            src,
            view: src,
            pos: 0,
            end: src.len(),
            // No text has this position.
            last_reserved: Cell::new(ReservedAt { pos: usize::MAX, end: 0, answer: None }),
            depth,
            substitutions: 0,
            nodes: 0,
            dollar_quotes: 0,
            pending: Vec::new(),
            documents: Vec::new(),
            fault: Cell::new(None),
        }
    }

    /// Parses to the end or to the first fault; `visit` gets each item once its here-documents have been read.
    pub(super) fn run(mut self, mut visit: impl FnMut(Item<'a>, &[Document<'a>])) -> Parsed<'a> {
        let mut script = Script::default();
        loop {
            let step = self.top(&mut script);
            if self.pending.is_empty() || !matches!(step, Ok(true)) {
                script.items.drain(..).for_each(|item| visit(item, &self.documents));
            }
            match step {
                Ok(true) => {}
                Ok(false) => return Parsed { script, documents: self.documents, fault: None },
                Err(Stopped) => return Parsed { script, documents: self.documents, fault: self.fault.get() },
            }
        }
    }

    /// Reads the whole text as the body of a document.
    pub(super) fn expansions(mut self) -> (Vec<Piece<'a>>, Parsed<'a>) {
        let mut pieces = Vec::new();
        let stopped = self.pieces(Mode::Document, &mut pieces).is_err();
        let fault = self.fault.get().filter(|_| stopped);
        (pieces, Parsed { script: Script::default(), documents: self.documents, fault })
    }

    #[cold]
    pub(super) fn fault<T>(&self, kind: FaultKind, start: usize) -> Parse<T> {
        let end = self.pos.max(start).min(self.src.len());
        self.fault.set(Some(Fault { kind, span: Span::new(start.min(end), (end + 1).min(self.src.len())) }));
        Err(Stopped)
    }

    /// Counts one part of the tree.
    pub(super) fn node(&mut self) -> Parse<()> {
        self.nodes += 1;
        if self.nodes > NODES_MAX { self.fault(FaultKind::TooManyParts, self.pos) } else { Ok(()) }
    }

    /// Runs `inner` one level deeper.
    pub(super) fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        if self.depth >= DEPTH_MAX {
            return self.fault(FaultKind::TooDeep, self.pos);
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// The byte at `at`, or 0 past the end.
    pub(super) fn byte(&self, at: usize) -> u8 {
        self.view.get(at).copied().unwrap_or(0)
    }

    /// Makes the text end at `end`; returns where it ended.
    pub(super) fn end_at(&mut self, end: usize) -> usize {
        self.view = self.slice(0, end);
        std::mem::replace(&mut self.end, end)
    }

    pub(super) fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        self.src.get(start..end).unwrap_or(&[])
    }

    pub(super) fn at_end(&self) -> bool {
        self.pos >= self.end
    }

    /// The next byte after any line continuations, which are consumed.
    pub(super) fn peek(&mut self) -> u8 {
        self.pos = self.past_continuations(self.pos);
        self.byte(self.pos)
    }

    /// `at`, moved past any line continuations.
    pub(super) fn past_continuations(&self, mut at: usize) -> usize {
        while self.byte(at) == b'\\' && self.byte(at + 1) == b'\n' {
            at += 2;
        }
        at
    }

    /// The byte after the next one, continuations removed.
    pub(super) fn peek_second(&mut self) -> u8 {
        self.peek();
        self.byte(self.past_continuations(self.pos + 1))
    }

    /// Consumes `operator` if it comes next.
    pub(super) fn take(&mut self, operator: &[u8]) -> bool {
        let mut at = self.pos;
        for expected in operator {
            at = self.past_continuations(at);
            if self.byte(at) != *expected {
                return false;
            }
            at += 1;
        }
        self.pos = at;
        true
    }

    /// Skips blanks, continuations and a comment; must be called between tokens.
    pub(super) fn skip_blanks(&mut self) {
        loop {
            match self.peek() {
                b' ' | b'\t' => self.pos += 1,
                b'#' => {
                    let rest = self.slice(self.pos, self.end);
                    self.pos += rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
                    return;
                }
                _ => return,
            }
        }
    }

    /// Skips blanks, comments and newlines; reads the here-documents that are due.
    pub(super) fn skip_newlines(&mut self) -> Parse<()> {
        loop {
            self.skip_blanks();
            if self.peek() != b'\n' {
                return Ok(());
            }
            self.newline()?;
        }
    }

    /// Consumes one newline and the here-documents that start after it.
    pub(super) fn newline(&mut self) -> Parse<()> {
        self.pos += 1;
        if self.pending.is_empty() { Ok(()) } else { self.read_documents() }
    }

    /// The reserved word that comes next and the offset after it. Nothing is consumed.
    pub(super) fn reserved(&self) -> Option<(Reserved, usize)> {
        let last = self.last_reserved.get();
        if last.pos == self.pos && last.end == self.end {
            return last.answer;
        }
        let answer = self.find_reserved();
        self.last_reserved.set(ReservedAt { pos: self.pos, end: self.end, answer });
        answer
    }

    fn find_reserved(&self) -> Option<(Reserved, usize)> {
        let at = self.past_continuations(self.pos);
        if !matches!(self.byte(at), b'!' | b'{' | b'}' | b'[' | b'c'..=b'f' | b'i' | b's'..=b'u' | b'w') {
            return None;
        }
        let rest = self.slice(at, self.end.min(at + RESERVED_BYTES_MAX + 1));
        let length = rest.iter().position(|b| is_meta(*b) || *b == b'\\').unwrap_or(rest.len());
        if rest.get(length) == Some(&b'\\') {
            return self.reserved_in_parts(at);
        }
        Some((reserved_word(rest.get(..length)?)?, at + length))
    }

    /// [`Parser::reserved`] for a word with line continuations in it.
    fn reserved_in_parts(&self, mut at: usize) -> Option<(Reserved, usize)> {
        let mut buffer = [0_u8; RESERVED_BYTES_MAX];
        let mut length = 0;
        loop {
            at = self.past_continuations(at);
            let byte = self.byte(at);
            if at >= self.end || is_meta(byte) {
                break;
            }
            *buffer.get_mut(length)? = byte;
            length += 1;
            at += 1;
        }
        Some((reserved_word(buffer.get(..length)?)?, at))
    }

    /// Consumes `word` if it comes next.
    pub(super) fn take_reserved(&mut self, word: Reserved) -> bool {
        match self.reserved() {
            Some((found, after)) if found == word => {
                self.pos = after;
                true
            }
            _ => false,
        }
    }

    /// Consumes `word` or fails.
    pub(super) fn expect_reserved(&mut self, word: Reserved, start: usize) -> Parse<()> {
        if self.take_reserved(word) {
            return Ok(());
        }
        self.unexpected(start)
    }

    /// The fault for a token that has no place here.
    pub(super) fn unexpected<T>(&self, start: usize) -> Parse<T> {
        if self.at_end() {
            self.fault(FaultKind::Unterminated, start)
        } else {
            self.fault(FaultKind::Unexpected, self.pos)
        }
    }
}

fn reserved_word(word: &[u8]) -> Option<Reserved> {
    Some(match word {
        b"!" => Reserved::Bang,
        b"{" => Reserved::Open,
        b"}" => Reserved::Close,
        b"[[" => Reserved::Test,
        b"if" => Reserved::If,
        b"then" => Reserved::Then,
        b"elif" => Reserved::Elif,
        b"else" => Reserved::Else,
        b"fi" => Reserved::Fi,
        b"for" => Reserved::For,
        b"do" => Reserved::Do,
        b"done" => Reserved::Done,
        b"while" => Reserved::While,
        b"until" => Reserved::Until,
        b"case" => Reserved::Case,
        b"esac" => Reserved::Esac,
        b"select" => Reserved::Select,
        b"function" => Reserved::Function,
        b"time" => Reserved::Time,
        b"coproc" => Reserved::Coproc,
        _ => return None,
    })
}

/// Whether `byte` ends an unquoted word.
pub(super) fn is_meta(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>')
}

/// Whether `byte` is a space or a tab.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Whether `byte` may stand in a variable name after its first byte.
pub(crate) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
