// SPDX-License-Identifier: MIT OR Apache-2.0
//! Simple commands: assignments, words, redirections, and the definitions that start like one.
//!
//! In: the cursor at the first token. Out: [`Simple`], or a function when `()` follows the first word.
//! **Invariant:** an assignment is recognised by its raw, unquoted name only, as shells do.

use super::cursor::{Parser, is_meta, is_name};
use super::word::Mode;
use super::{AssignForm, Assignment, Body, Command, FaultKind, Parse, Redirect, RedirectOp, Simple, Span, Word};

/// Longest subscript of an assignment, in bytes: looking further at every word would not be linear.
const SUBSCRIPT_BYTES_MAX: usize = 1024;
/// Builtins whose arguments may be array assignments.
const DECLARATIONS: [&[u8]; 6] = [b"declare", b"typeset", b"local", b"export", b"readonly", b"integer"];

impl<'a> Parser<'a> {
    pub(super) fn simple(&mut self) -> Parse<Command<'a>> {
        let start = self.pos;
        let mut simple = Simple {
            assignments: Vec::new(),
            words: Vec::new(),
            redirects: Vec::new(),
            dollar_quotes: false,
            span: Span::new(start, start),
        };
        let mut dollar_quotes = self.dollar_quotes;
        let mut declares = false;
        loop {
            self.skip_blanks();
            let may_redirect = matches!(self.byte(self.pos), b'<' | b'>' | b'&' | b'{' | b'0'..=b'9');
            if may_redirect && let Some(redirect) = self.redirect()? {
                simple.redirects.reserve_exact(1);
                simple.redirects.push(redirect);
                simple.span.end = self.pos;
                continue;
            }
            let byte = self.peek();
            if self.at_end() || (is_meta(byte) && !self.opens_process()) {
                if byte != b'(' {
                    break;
                }
                return self.definition(simple);
            }
            if simple.words.is_empty() {
                if self.may_assign()
                    && let Some(assignment) = self.assignment()?
                {
                    if assignment.name == b"IFS" {
                        // What separates words is not what runs.
                        dollar_quotes = self.dollar_quotes;
                    }
                    simple.assignments.push(assignment);
                    simple.span.end = self.pos;
                    continue;
                }
            } else if declares && let Some(assignment) = self.array_argument()? {
                simple.assignments.push(assignment);
                simple.span.end = self.pos;
                continue;
            }
            if simple.words.is_empty() {
                simple.words.reserve(4);
            }
            let word = self.word()?;
            if simple.words.is_empty() {
                declares = is_declaration(&word);
            }
            simple.words.push(word);
            simple.span.end = self.pos;
        }
        if simple.words.is_empty() && simple.assignments.is_empty() && simple.redirects.is_empty() {
            return self.unexpected(start);
        }
        simple.dollar_quotes = self.dollar_quotes != dollar_quotes;
        Ok(Command::Simple(simple))
    }

    /// `name ( )` after exactly one word.
    fn definition(&mut self, mut simple: Simple<'a>) -> Parse<Command<'a>> {
        let start = simple.span.start;
        let only_word = simple.words.len() == 1 && simple.assignments.is_empty() && simple.redirects.is_empty();
        let Some(name) = simple.words.pop().filter(|_| only_word) else { return self.unexpected(start) };
        self.take(b"(");
        self.skip_blanks();
        if !self.take(b")") {
            return self.unexpected(start);
        }
        self.function_body(name, start)
    }

    fn opens_process(&self) -> bool {
        matches!(self.byte(self.pos), b'<' | b'>') && self.byte(self.pos + 1) == b'('
    }

    /// One redirection, if one comes next.
    pub(super) fn redirect(&mut self) -> Parse<Option<Redirect<'a>>> {
        let start = self.pos;
        let mut descriptor = None;
        match self.peek() {
            b'<' | b'>' => {
                if self.opens_process() {
                    return Ok(None);
                }
            }
            b'&' if self.peek_second() == b'>' => {}
            b'0'..=b'9' => {
                let mut at = self.pos;
                let mut number = 0_u32;
                while self.byte(at).is_ascii_digit() {
                    number = number.saturating_mul(10).saturating_add(u32::from(self.byte(at) - b'0'));
                    at += 1;
                }
                let at = self.past_continuations(at);
                if !matches!(self.byte(at), b'<' | b'>') {
                    return Ok(None);
                }
                descriptor = Some(number);
                self.pos = at;
            }
            b'{' => {
                let mut at = self.pos + 1;
                while is_name(self.byte(at)) {
                    at += 1;
                }
                if at == self.pos + 1 || self.byte(at) != b'}' || !matches!(self.byte(at + 1), b'<' | b'>') {
                    return Ok(None);
                }
                self.pos = at + 1;
            }
            _ => return Ok(None),
        }
        let op = self.redirect_operator();
        let strip_tabs = op == RedirectOp::Document && self.src.get(self.pos.wrapping_sub(1)) == Some(&b'-');
        self.skip_blanks_only();
        self.node()?;
        if op == RedirectOp::Document {
            return self.document(start, descriptor, strip_tabs).map(Some);
        }
        if self.at_end() || (is_meta(self.peek()) && !self.opens_process()) {
            return self.unexpected(start);
        }
        let target = self.word()?;
        Ok(Some(Redirect { op, descriptor, target, document: None, span: Span::new(start, self.pos) }))
    }

    fn redirect_operator(&mut self) -> RedirectOp {
        const OPERATORS: [(&[u8], RedirectOp); 13] = [
            (b"&>>", RedirectOp::WriteBoth),
            (b"&>", RedirectOp::WriteBoth),
            (b"<<<", RedirectOp::Text),
            (b"<<-", RedirectOp::Document),
            (b"<<", RedirectOp::Document),
            (b"<&", RedirectOp::DuplicateInput),
            (b"<>", RedirectOp::ReadWrite),
            (b"<", RedirectOp::Read),
            (b">>", RedirectOp::Append),
            (b">&", RedirectOp::DuplicateOutput),
            (b">|", RedirectOp::Write),
            (b">", RedirectOp::Write),
            (b"&", RedirectOp::WriteBoth),
        ];
        for (text, op) in OPERATORS {
            if self.take(text) {
                return op;
            }
        }
        RedirectOp::ReadWrite
    }

    /// Skips blanks but no comment: after an operator a `#` starts a word only after a blank.
    fn skip_blanks_only(&mut self) {
        while matches!(self.peek(), b' ' | b'\t') {
            self.pos += 1;
        }
    }

    /// Whether an assignment could stand at the cursor; when in doubt, it could.
    fn may_assign(&self) -> bool {
        let rest = self.slice(self.pos, self.end);
        let length = rest.iter().position(|b| !is_name(*b)).unwrap_or(rest.len());
        length > 0 && matches!(rest.get(length), Some(b'=' | b'+' | b'[' | b'\\'))
    }

    /// `name=`, `name+=` or `name[…]=` at the cursor.
    fn assignment(&mut self) -> Parse<Option<Assignment<'a>>> {
        let start = self.pos;
        let mut at = start;
        if self.byte(at).is_ascii_digit() {
            return Ok(None);
        }
        while is_name(self.byte(at)) {
            at += 1;
        }
        if at == start {
            return Ok(None);
        }
        let name = self.slice(start, at);
        let mut index = Vec::new();
        if self.byte(at) == b'[' {
            let Some(close) = self.scan_subscript(at + 1) else { return Ok(None) };
            self.pos = at + 1;
            self.nested(|parser| parser.pieces(Mode::Index, &mut index))?;
            if self.pos != close {
                return self.fault(FaultKind::Ambiguous, start);
            }
            at = close + 1;
        }
        let append = self.byte(at) == b'+' && self.byte(at + 1) == b'=';
        if !append && self.byte(at) != b'=' {
            if self.splits_name(at) {
                return self.fault(FaultKind::Ambiguous, start);
            }
            self.pos = start;
            return Ok(None);
        }
        self.pos = at + if append { 2 } else { 1 };
        self.assigned(name, index, append, start).map(Some)
    }

    /// Whether a name goes on after a line continuation and then turns out to be assigned to.
    fn splits_name(&self, mut at: usize) -> bool {
        if self.past_continuations(at) == at {
            return false;
        }
        loop {
            at = self.past_continuations(at);
            match self.byte(at) {
                b'=' | b'[' => return true,
                b'+' => return self.byte(self.past_continuations(at + 1)) == b'=',
                byte if is_name(byte) => at += 1,
                _ => return false,
            }
        }
    }

    fn assigned(
        &mut self,
        name: &'a [u8],
        index: Vec<super::Piece<'a>>,
        append: bool,
        start: usize,
    ) -> Parse<Assignment<'a>> {
        let empty = Word { span: Span::new(self.pos, self.pos), body: Body::Plain(b"") };
        let scalar = if append { AssignForm::Append } else { AssignForm::Set };
        let mut assignment = Assignment {
            name,
            index,
            form: scalar,
            value: empty,
            elements: Vec::new(),
            span: Span::new(start, self.pos),
        };
        if !assignment.index.is_empty() {
            assignment.form = AssignForm::Array;
        }
        match self.peek() {
            b'(' => {
                self.pos += 1;
                assignment.form = AssignForm::Array;
                loop {
                    self.skip_newlines()?;
                    if self.take(b")") {
                        break;
                    }
                    if self.at_end() {
                        return self.fault(FaultKind::Unterminated, start);
                    }
                    assignment.elements.push(self.word()?);
                }
            }
            byte if self.at_end() || (is_meta(byte) && !self.opens_process()) => {}
            _ => assignment.value = self.word()?,
        }
        assignment.span.end = self.pos;
        Ok(assignment)
    }

    /// The bracket that closes a subscript and is followed by an assignment operator.
    fn scan_subscript(&self, from: usize) -> Option<usize> {
        let mut depth = 0_u32;
        let mut at = from;
        let limit = self.end.min(from + SUBSCRIPT_BYTES_MAX);
        while at < limit && self.byte(at) != b'\n' {
            match self.byte(at) {
                b'[' => depth += 1,
                b']' if depth > 0 => depth -= 1,
                b']' => {
                    let next = self.byte(at + 1);
                    return (next == b'=' || (next == b'+' && self.byte(at + 2) == b'=')).then_some(at);
                }
                b';' | b'&' | b'|' | b'<' | b'>' if depth == 0 => return None,
                _ => {}
            }
            at += 1;
        }
        None
    }

    /// `name=(…)` as argument of a declaration.
    fn array_argument(&mut self) -> Parse<Option<Assignment<'a>>> {
        let start = self.pos;
        let mut at = start;
        while is_name(self.byte(at)) {
            at += 1;
        }
        let name = self.slice(start, at);
        let append = self.byte(at) == b'+';
        let equals = if append { at + 1 } else { at };
        if name.is_empty() || self.byte(equals) != b'=' || self.byte(equals + 1) != b'(' {
            return Ok(None);
        }
        self.pos = equals + 1;
        self.assigned(name, Vec::new(), append, start).map(Some)
    }
}

fn is_declaration(program: &Word<'_>) -> bool {
    matches!(program.body, Body::Plain(name) if DECLARATIONS.contains(&name))
}
