// SPDX-License-Identifier: MIT OR Apache-2.0
//! The grammar above words: lists, pipelines and compound commands.
//!
//! In: the cursor. Out: [`Script`]s. **Invariant:** a list ends only where its own construct allows it; any
//! other closing token is a fault. At the top, items before a fault are kept.

use super::cursor::{Parser, Reserved, is_blank, is_name};
use super::expansion::Parens;
use super::word::Mode;
use super::{
    Body, Command, Compound, CompoundKind, FaultKind, Item, Joint, Parse, Pipeline, Redirect, Script, Span, Word,
};

/// What may end a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    End,
    Paren,
    Brace,
    Then,
    Do,
    Done,
    Branch,
    Clause,
}

impl<'a> Parser<'a> {
    /// The next item of the whole text, appended; false at the end of the text.
    pub(super) fn top(&mut self, script: &mut Script<'a>) -> Parse<bool> {
        let more = self.item(Stop::End, script)?;
        if !more && !self.pending.is_empty() {
            self.read_documents()?;
        }
        Ok(more)
    }

    /// A list up to `)`, which is consumed; it may be empty.
    pub(super) fn paren_script(&mut self) -> Parse<Script<'a>> {
        let mut script = Script::default();
        self.list(Stop::Paren, &mut script)?;
        self.pos += 1;
        Ok(script)
    }

    /// A list up to the reserved word `}`, which is consumed.
    pub(super) fn brace_script(&mut self, start: usize) -> Parse<Script<'a>> {
        let mut script = Script::default();
        self.list(Stop::Brace, &mut script)?;
        self.expect_reserved(Reserved::Close, start)?;
        Ok(script)
    }

    fn body(&mut self, stop: Stop) -> Parse<Script<'a>> {
        let start = self.pos;
        let mut script = Script::default();
        self.list(stop, &mut script)?;
        if script.items.is_empty() { self.unexpected(start) } else { Ok(script) }
    }

    fn list(&mut self, stop: Stop, script: &mut Script<'a>) -> Parse<()> {
        while self.item(stop, script)? {}
        Ok(())
    }

    /// One item of a list, appended; false when the list has ended.
    fn item(&mut self, stop: Stop, script: &mut Script<'a>) -> Parse<bool> {
        self.skip_newlines()?;
        if self.stops(stop)? {
            return Ok(false);
        }
        let pipeline = self.pipeline()?;
        self.skip_blanks();
        let (joint, more) = self.joint(stop)?;
        script.items.push(Item { pipeline, joint });
        if matches!(joint, Joint::And | Joint::Or) {
            self.skip_newlines()?;
            if self.at_end() || self.peek() == b')' {
                return self.unexpected(self.pos);
            }
        }
        if more {
            return Ok(true);
        }
        self.skip_newlines()?;
        if self.stops(stop)? { Ok(false) } else { self.unexpected(self.pos) }
    }

    /// What follows a pipeline, and whether another may follow.
    fn joint(&mut self, stop: Stop) -> Parse<(Joint, bool)> {
        Ok(match self.peek() {
            b'\n' => (Joint::Sequence, true),
            b';' if matches!(self.peek_second(), b';' | b'&') => {
                if stop != Stop::Clause {
                    return self.unexpected(self.pos);
                }
                (Joint::Sequence, false)
            }
            b';' => {
                self.pos += 1;
                (Joint::Sequence, true)
            }
            b'&' if self.take(b"&&") => (Joint::And, true),
            b'&' => {
                self.pos += 1;
                if matches!(self.peek(), b';') {
                    return self.unexpected_unless_clause(stop);
                }
                (Joint::Background, true)
            }
            b'|' if self.take(b"||") => (Joint::Or, true),
            _ => (Joint::Sequence, false),
        })
    }

    fn unexpected_unless_clause(&mut self, stop: Stop) -> Parse<(Joint, bool)> {
        if stop == Stop::Clause && self.peek_second() == b';' {
            Ok((Joint::Background, true))
        } else {
            self.unexpected(self.pos)
        }
    }

    /// Whether the list ends here; a closing token of another construct is a fault.
    fn stops(&mut self, stop: Stop) -> Parse<bool> {
        if self.peek() == 0 && self.at_end() {
            return if stop == Stop::End { Ok(true) } else { self.fault(FaultKind::Unterminated, self.pos) };
        }
        match self.byte(self.pos) {
            b')' => return if stop == Stop::Paren { Ok(true) } else { self.unexpected(self.pos) },
            b';' | b'&' if stop == Stop::Clause => return Ok(true),
            b';' | b'&' | b'|' => {
                // `&>file` alone is a redirection, everything else here has no place.
                return if self.byte(self.pos) == b'&' && self.peek_second() == b'>' {
                    Ok(false)
                } else {
                    self.unexpected(self.pos)
                };
            }
            _ => {}
        }
        let Some((word, _)) = self.reserved() else { return Ok(false) };
        let ends = match word {
            Reserved::Close => stop == Stop::Brace,
            Reserved::Then => stop == Stop::Then,
            Reserved::Do => stop == Stop::Do,
            Reserved::Done => stop == Stop::Done,
            Reserved::Elif | Reserved::Else | Reserved::Fi => stop == Stop::Branch,
            Reserved::Esac => stop == Stop::Clause,
            _ => return Ok(false),
        };
        if ends { Ok(true) } else { self.unexpected(self.pos) }
    }

    fn pipeline(&mut self) -> Parse<Pipeline<'a>> {
        let mut stages = Vec::with_capacity(1);
        let mut prefixed = false;
        loop {
            self.skip_blanks();
            match self.reserved() {
                Some((Reserved::Bang, after)) => self.pos = after,
                Some((Reserved::Time, after)) if !self.is_program_time(after) => {
                    self.pos = after;
                    self.skip_blanks();
                    self.take_option_p();
                }
                _ => break,
            }
            prefixed = true;
        }
        if prefixed && (self.at_end() || matches!(self.peek(), b';' | b'\n' | b')' | b'&' | b'|')) {
            return Ok(Pipeline { stages });
        }
        loop {
            stages.push(self.nested(Self::command)?);
            self.skip_blanks();
            if self.peek() != b'|' || self.peek_second() == b'|' {
                return Ok(Pipeline { stages });
            }
            if !self.take(b"|&") {
                self.pos += 1;
            }
            self.skip_newlines()?;
        }
    }

    /// Whether `time` is followed by an option that only the program of that name has.
    fn is_program_time(&self, mut after: usize) -> bool {
        while is_blank(self.byte(after)) {
            after += 1;
        }
        self.byte(after) == b'-' && !matches!(self.slice(after, after + 3), b"-p " | b"-p\n" | b"-p;" | b"-- ")
    }

    fn take_option_p(&mut self) {
        if matches!(self.slice(self.pos, self.pos + 3), b"-p " | b"-- ") {
            self.pos += 3;
        }
    }

    fn command(&mut self) -> Parse<Command<'a>> {
        self.node()?;
        self.skip_blanks();
        let start = self.pos;
        if self.peek() == b'(' {
            return self.parens(start);
        }
        let Some((word, after)) = self.reserved() else {
            return self.simple();
        };
        let mut compound = match word {
            Reserved::Open => {
                self.pos = after;
                let script = self.body(Stop::Brace)?;
                self.expect_reserved(Reserved::Close, start)?;
                self.compound(CompoundKind::Group, vec![script], start)
            }
            Reserved::Test => self.test(after, start)?,
            Reserved::If => self.branches(after, start)?,
            Reserved::While | Reserved::Until => {
                self.pos = after;
                let condition = self.body(Stop::Do)?;
                let body = self.do_group(start)?;
                self.compound(CompoundKind::Loop, vec![condition, body], start)
            }
            Reserved::For | Reserved::Select => self.iteration(after, start)?,
            Reserved::Case => self.case(after, start)?,
            Reserved::Function => return self.function(after, start),
            Reserved::Coproc => return self.coprocess(after, start),
            Reserved::Bang | Reserved::Time => return self.simple(),
            _ => return self.unexpected(start),
        };
        compound.redirects = self.redirects()?;
        compound.span.end = self.pos;
        Ok(Command::Compound(Box::new(compound)))
    }

    fn compound(&self, kind: CompoundKind, bodies: Vec<Script<'a>>, start: usize) -> Compound<'a> {
        let span = Span::new(start, self.pos);
        Compound { kind, name: None, words: Vec::new(), bodies, redirects: Vec::new(), span }
    }

    fn redirects(&mut self) -> Parse<Vec<Redirect<'a>>> {
        let mut found = Vec::new();
        loop {
            self.skip_blanks();
            match self.redirect()? {
                Some(redirect) => found.push(redirect),
                None => return Ok(found),
            }
        }
    }

    /// `( … )` or `(( … ))`.
    fn parens(&mut self, start: usize) -> Parse<Command<'a>> {
        let mut compound = match self.peek_second() {
            b'(' => match self.scan_parens(self.pos + 2) {
                Parens::Arithmetic { end } => {
                    self.pos += 2;
                    let word = self.arithmetic_word(end)?;
                    let mut compound = self.compound(CompoundKind::Arithmetic, Vec::new(), start);
                    compound.words.push(word);
                    compound
                }
                Parens::Unterminated => return self.fault(FaultKind::Unterminated, start),
                Parens::Commands => self.subshell(start)?,
            },
            _ => self.subshell(start)?,
        };
        compound.redirects = self.redirects()?;
        compound.span.end = self.pos;
        Ok(Command::Compound(Box::new(compound)))
    }

    fn arithmetic_word(&mut self, end: usize) -> Parse<Word<'a>> {
        let start = self.pos;
        let pieces = self.arithmetic(end)?;
        Ok(Word { span: Span::new(start, end), body: Body::Pieces(pieces) })
    }

    fn subshell(&mut self, start: usize) -> Parse<Compound<'a>> {
        self.pos += 1;
        let script = self.body(Stop::Paren)?;
        self.pos += 1;
        Ok(self.compound(CompoundKind::Subshell, vec![script], start))
    }

    fn branches(&mut self, after: usize, start: usize) -> Parse<Compound<'a>> {
        self.pos = after;
        let mut bodies = Vec::with_capacity(2);
        bodies.push(self.body(Stop::Then)?);
        self.expect_reserved(Reserved::Then, start)?;
        loop {
            bodies.push(self.body(Stop::Branch)?);
            if self.take_reserved(Reserved::Fi) {
                return Ok(self.compound(CompoundKind::If, bodies, start));
            }
            if self.take_reserved(Reserved::Elif) {
                bodies.push(self.body(Stop::Then)?);
                self.expect_reserved(Reserved::Then, start)?;
                continue;
            }
            self.expect_reserved(Reserved::Else, start)?;
            bodies.push(self.body(Stop::Branch)?);
            self.expect_reserved(Reserved::Fi, start)?;
            return Ok(self.compound(CompoundKind::If, bodies, start));
        }
    }

    fn do_group(&mut self, start: usize) -> Parse<Script<'a>> {
        self.skip_newlines()?;
        self.expect_reserved(Reserved::Do, start)?;
        let body = self.body(Stop::Done)?;
        self.expect_reserved(Reserved::Done, start)?;
        Ok(body)
    }

    /// `for` and `select`, with `do … done` or a group as body.
    fn iteration(&mut self, after: usize, start: usize) -> Parse<Compound<'a>> {
        self.pos = after;
        self.skip_blanks();
        let mut name = None;
        let mut words = Vec::new();
        if self.peek() == b'(' && self.peek_second() == b'(' {
            let Parens::Arithmetic { end } = self.scan_parens(self.pos + 2) else { return self.unexpected(start) };
            self.pos += 2;
            words.push(self.arithmetic_word(end)?);
            self.skip_blanks();
            self.take(b";");
        } else {
            name = Some(self.word()?);
            self.skip_newlines()?;
            if self.take_word(b"in") {
                words = self.words_to_separator()?;
            } else {
                self.skip_blanks();
                self.take(b";");
            }
        }
        self.skip_newlines()?;
        let body = if self.take_reserved(Reserved::Open) {
            let script = self.body(Stop::Brace)?;
            self.expect_reserved(Reserved::Close, start)?;
            script
        } else {
            self.do_group(start)?
        };
        let mut compound = self.compound(CompoundKind::For, vec![body], start);
        compound.name = name;
        compound.words = words;
        Ok(compound)
    }

    /// Consumes the plain word `expected` if it comes next.
    fn take_word(&mut self, expected: &[u8]) -> bool {
        let position = self.pos;
        if self.take(expected) && (self.at_end() || super::cursor::is_meta(self.peek())) {
            return true;
        }
        self.pos = position;
        false
    }

    fn words_to_separator(&mut self) -> Parse<Vec<Word<'a>>> {
        let mut words = Vec::new();
        loop {
            self.skip_blanks();
            match self.peek() {
                b';' => {
                    self.pos += 1;
                    return Ok(words);
                }
                b'\n' => return Ok(words),
                _ => words.push(self.word()?),
            }
        }
    }

    fn case(&mut self, after: usize, start: usize) -> Parse<Compound<'a>> {
        self.pos = after;
        self.skip_blanks();
        let mut words = vec![self.word()?];
        self.skip_newlines()?;
        if !self.take_word(b"in") {
            return self.unexpected(start);
        }
        let mut bodies = Vec::new();
        loop {
            self.skip_newlines()?;
            if self.take_reserved(Reserved::Esac) {
                break;
            }
            self.take(b"(");
            loop {
                self.skip_blanks();
                words.push(self.word()?);
                self.skip_blanks();
                if !self.take(b"|") {
                    break;
                }
            }
            if !self.take(b")") {
                return self.unexpected(start);
            }
            let mut body = Script::default();
            self.list(Stop::Clause, &mut body)?;
            bodies.push(body);
            if !(self.take(b";;&") || self.take(b";;") || self.take(b";&")) {
                self.expect_reserved(Reserved::Esac, start)?;
                break;
            }
        }
        let mut compound = self.compound(CompoundKind::Case, bodies, start);
        compound.words = words;
        Ok(compound)
    }

    /// `[[ … ]]`. Operators are kept as words, because other shells see a command and redirections here.
    fn test(&mut self, after: usize, start: usize) -> Parse<Compound<'a>> {
        self.pos = after;
        let mut words: Vec<Word<'a>> = Vec::new();
        loop {
            self.skip_newlines()?;
            if self.at_end() {
                return self.fault(FaultKind::Unterminated, start);
            }
            let from = self.pos;
            let operator = self.take(b"&&")
                || self.take(b"||")
                || self.take(b"<")
                || self.take(b">")
                || self.take(b"(")
                || self.take(b")");
            let word = if operator {
                Word { span: Span::new(from, self.pos), body: Body::Plain(self.slice(from, self.pos)) }
            } else if matches!(words.last(), Some(Word { body: Body::Plain(b"=~"), .. })) {
                self.node()?;
                self.word_pieces(Mode::Regex)?
            } else {
                self.word()?
            };
            if matches!(word.body, Body::Plain(b"]]")) {
                if words.is_empty() {
                    return self.unexpected(start);
                }
                let mut compound = self.compound(CompoundKind::Test, Vec::new(), start);
                compound.words = words;
                return Ok(compound);
            }
            words.push(word);
        }
    }

    /// `function name [()] body`.
    fn function(&mut self, after: usize, start: usize) -> Parse<Command<'a>> {
        self.pos = after;
        self.skip_blanks();
        let name = self.word()?;
        self.skip_blanks();
        if self.peek() == b'(' && self.peek_second() == b')' {
            self.take(b"()");
        }
        self.function_body(name, start)
    }

    /// The body of a definition; the cursor stands after the name and its brackets.
    pub(super) fn function_body(&mut self, name: Word<'a>, start: usize) -> Parse<Command<'a>> {
        self.skip_newlines()?;
        let from = self.pos;
        let body = self.nested(Self::command)?;
        if matches!(body, Command::Simple(_)) {
            return self.fault(FaultKind::Unexpected, from);
        }
        let item = Item { pipeline: Pipeline { stages: vec![body] }, joint: Joint::Sequence };
        let mut compound = self.compound(CompoundKind::Function, vec![Script { items: vec![item] }], start);
        compound.name = Some(name);
        Ok(Command::Compound(Box::new(compound)))
    }

    fn coprocess(&mut self, after: usize, start: usize) -> Parse<Command<'a>> {
        self.pos = after;
        self.skip_blanks();
        let mut at = self.pos;
        while is_name(self.byte(at)) {
            at += 1;
        }
        let position = self.pos;
        let mut name = None;
        if at > position && self.reserved().is_none() && is_blank(self.byte(at)) {
            self.pos = at;
            self.skip_blanks();
            if self.peek() == b'(' || self.reserved().is_some() {
                let span = Span::new(position, at);
                name = Some(Word { span, body: Body::Plain(self.slice(position, at)) });
            } else {
                self.pos = position;
            }
        }
        let body = self.nested(Self::command)?;
        let item = Item { pipeline: Pipeline { stages: vec![body] }, joint: Joint::Background };
        let mut compound = self.compound(CompoundKind::Coprocess, vec![Script { items: vec![item] }], start);
        compound.name = name;
        Ok(Command::Compound(Box::new(compound)))
    }
}
