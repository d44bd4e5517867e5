// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tokenizer of Perl.
//!
//! In: a text. Out: [`Tokens`], or nothing where it is not one that is followed. A text that a shell runs is a
//! [`Kind::Symbol`]. **Invariant:** where Perl needs to know what a word was declared as to read on, the text is not
//! followed; texts and patterns with code in them are not followed either.

use super::super::token::{Cursor, Kind, NESTING_MAX, Tokens, is_word};

const OPS: [&[u8]; 33] = [
    b"<=>", b"**=", b"||=", b"&&=", b"//=", b"...", b"<<=", b">>=", b"->", b"=>", b"==", b"!=", b"<=", b">=", b"=~",
    b"!~", b"&&", b"||", b"//", b"..", b"++", b"--", b"**", b"+=", b"-=", b"*=", b"/=", b".=", b"%=", b"x=", b"|=",
    b"^=", b"::",
];
/// Words after which a term stands, so that a slash starts a pattern.
const BEFORE_TERM: &str = "if elsif unless while until and or not xor return print say split grep map join push unshift x eq ne lt gt \
                           le ge cmp when foreach for printf warn die defined";

/// Longest subscript in a text that is followed, in bytes.
const SUBSCRIPT_BYTES_MAX: usize = 64;

/// The tokens of `code`.
pub(super) fn tokens(code: &[u8]) -> Option<Tokens<'_>> {
    let mut tokens = Tokens::default();
    lex(code, 0, &mut tokens, 0)?;
    tokens.is_closed().then_some(tokens)
}

/// Appends the tokens of `code`, which stands at `base`.
fn lex<'a>(code: &'a [u8], base: usize, tokens: &mut Tokens<'a>, nesting: u32) -> Option<()> {
    if nesting > NESTING_MAX {
        return None;
    }
    let mut lexer =
        Lexer { cursor: Cursor { code, at: 0 }, tokens, base, nesting, subscripts: Vec::new(), closed: false };
    lexer.all()
}

struct Lexer<'a, 't> {
    cursor: Cursor<'a>,
    tokens: &'t mut Tokens<'a>,
    base: usize,
    nesting: u32,
    /// For each open brace, whether it is a subscript or the end of a variable.
    subscripts: Vec<bool>,
    /// Whether the last brace that was closed was one.
    closed: bool,
}

/// What may follow the last token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expects {
    Term,
    Operator,
    /// Both would be possible.
    Either,
}

impl<'a> Lexer<'a, '_> {
    fn push(&mut self, kind: Kind, text: impl Into<std::borrow::Cow<'a, [u8]>>, start: usize) -> Option<()> {
        self.tokens.push(kind, text, self.base + start..self.base + self.cursor.at)
    }

    fn expects(&self) -> Expects {
        let Some(last) = self.tokens.before(self.tokens.len()) else { return Expects::Term };
        match last.kind {
            Kind::Variable | Kind::Number | Kind::Text | Kind::Built | Kind::Pattern | Kind::Symbol => {
                Expects::Operator
            }
            Kind::Op => match last.text.as_ref() {
                b")" | b"]" => Expects::Operator,
                b"}" if self.closed => Expects::Operator,
                b"}" => Expects::Either,
                b"++" | b"--" => Expects::Operator,
                _ => Expects::Term,
            },
            Kind::Name => {
                let listed = BEFORE_TERM.split_ascii_whitespace().any(|word| word.as_bytes() == last.text.as_ref());
                if listed { Expects::Term } else { Expects::Either }
            }
            Kind::Line => Expects::Term,
        }
    }

    fn all(&mut self) -> Option<()> {
        while let Some(byte) = self.cursor.peek() {
            let start = self.cursor.at;
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => self.cursor.at += 1,
                b'=' if (start == 0 || self.cursor.code.get(start - 1) == Some(&b'\n'))
                    && self.cursor.ahead(1).is_some_and(|b| b.is_ascii_alphabetic()) =>
                {
                    return None;
                }
                b'#' => {
                    self.cursor.over(|b| b != b'\n');
                }
                b'$' | b'@' => self.variable(byte)?,
                b'%' | b'&' => match self.expects() {
                    Expects::Operator => self.operator()?,
                    _ if byte == b'%'
                        && self.cursor.ahead(1).is_some_and(|b| is_word(b) || matches!(b, b'$' | b'{' | b'+')) =>
                    {
                        if self.expects() == Expects::Either && self.cursor.ahead(1).is_some_and(|b| b.is_ascii_digit())
                        {
                            return None;
                        }
                        self.variable(byte)?;
                    }
                    // A call of a function by reference.
                    _ if byte == b'&' && self.cursor.ahead(1) != Some(b'&') => return None,
                    Expects::Either if byte == b'&' => self.operator()?,
                    _ => return None,
                },
                b'*' if self.expects() != Expects::Operator => return None,
                b'\\' if self.cursor.ahead(1) == Some(b'&') || self.cursor.ahead(1) == Some(b'*') => return None,
                b'"' => self.quoted(Kind::Text, true)?,
                b'\'' => self.quoted(Kind::Text, false)?,
                b'`' => self.quoted(Kind::Symbol, true)?,
                b'/' => match self.expects() {
                    Expects::Term => self.pattern()?,
                    Expects::Operator => self.operator()?,
                    Expects::Either => return None,
                },
                b'?' if self.expects() != Expects::Operator && !self.closes() => return None,
                b'<' if self.expects() != Expects::Operator => self.handle()?,
                b'0'..=b'9' => {
                    let number = self.number();
                    self.push(Kind::Number, number, start)?;
                }
                _ if is_word(byte) => self.word()?,
                _ if byte.is_ascii_graphic() => self.operator()?,
                _ => return None,
            }
        }
        Some(())
    }

    /// Whether the last token closes a brace.
    fn closes(&self) -> bool {
        self.tokens.before(self.tokens.len()).is_some_and(|t| t.kind == Kind::Op && t.text == b"}" as &[u8])
    }

    /// A number; `1..5` is a range and not a fraction.
    fn number(&mut self) -> &'a [u8] {
        self.cursor.number()
    }

    fn operator(&mut self) -> Option<()> {
        let start = self.cursor.at;
        let before = self.tokens.before(self.tokens.len());
        let subscript = before.is_some_and(|t| match t.kind {
            Kind::Variable => true,
            Kind::Op => t.text == b"->" as &[u8] || t.text == b"]" as &[u8] || t.text == b"}" as &[u8] && self.closed,
            _ => false,
        });
        let op = self.cursor.operator(&OPS);
        if op == b"::" {
            return None;
        }
        match op {
            b"{" => self.subscripts.push(subscript),
            b"}" => self.closed = self.subscripts.pop().unwrap_or(false),
            _ => {}
        }
        self.push(Kind::Op, op, start)
    }

    /// A variable: its mark and name, or the mark and what is in braces after it.
    fn variable(&mut self, mark: u8) -> Option<()> {
        let start = self.cursor.at;
        self.cursor.at += 1;
        if mark == b'$'
            && self.cursor.peek() == Some(b'#')
            && self.cursor.ahead(1).is_some_and(|b| is_word(b) || matches!(b, b'$' | b'{'))
        {
            self.cursor.at += 1;
        }
        // `$$x`, `@$x`: what a reference points to.
        while self.cursor.peek() == Some(b'$')
            && self.cursor.ahead(1).is_some_and(|b| is_word(b) || matches!(b, b'$' | b'{'))
        {
            self.cursor.at += 1;
        }
        match self.cursor.peek()? {
            b'{' => {
                // `@{ expression }`, `${name}`: the mark stands before a block, and what a text names there is not known.
                let inside = self.cursor.rest().get(1..)?;
                let name = inside.iter().position(|b| !is_word(*b))?;
                if name > 0 && inside.get(name) == Some(&b'}') {
                    self.cursor.at += name + 2;
                    let text = [&[mark][..], inside.get(..name)?].concat();
                    return self.push(Kind::Variable, text, start);
                }
                if inside.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'$')
                    && inside.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'[')
                {
                    return None;
                }
                // The last mark of the run is pushed as an operator of its own, then the braces are read.
                self.push(Kind::Op, &b"deref"[..], start)?;
                let open = self.cursor.at;
                self.cursor.at += 1;
                self.subscripts.push(true);
                self.push(Kind::Op, &b"{"[..], open)
            }
            b if is_word(b) => {
                self.cursor.over(is_word);
                if self.cursor.starts(b"::") || self.cursor.peek() == Some(b'\'') {
                    return None;
                }
                self.push(Kind::Variable, self.cursor.slice(start), start)
            }
            b if mark == b'$' && b"_&`'+!/\\,;.0@$<>()[]|\"-~=%:?^*".contains(&b) => {
                if matches!(b, b'^' | b':' | b'*') {
                    return None;
                }
                self.cursor.at += 1;
                self.push(Kind::Variable, self.cursor.slice(start), start)
            }
            b'_' | b'-' | b'+' => {
                self.cursor.at += 1;
                self.push(Kind::Variable, self.cursor.slice(start), start)
            }
            _ => None,
        }
    }

    /// `<STDIN>`, `<>`, `<$handle>`.
    fn handle(&mut self) -> Option<()> {
        let start = self.cursor.at;
        if self.cursor.starts(b"<<>>") {
            self.cursor.at += 4;
            return self.push(Kind::Built, &b""[..], start);
        }
        self.cursor.at += 1;
        if self.cursor.peek() == Some(b'$') {
            self.cursor.at += 1;
        }
        self.cursor.over(is_word);
        if self.cursor.peek() != Some(b'>') {
            // A document, or file names.
            return None;
        }
        self.cursor.at += 1;
        self.push(Kind::Built, &b""[..], start)
    }

    fn word(&mut self) -> Option<()> {
        let start = self.cursor.at;
        let word = self.cursor.over(is_word);
        let qualified = self.cursor.starts(b"::");
        if qualified {
            // Only the name of a module after `use`.
            let used = self
                .tokens
                .before(self.tokens.len())
                .is_some_and(|t| t.kind == Kind::Name && matches!(t.text.as_ref(), b"use" | b"no"));
            if !used {
                return None;
            }
            self.cursor.over(|b| is_word(b) || b == b':');
            return self.push(Kind::Name, self.cursor.slice(start), start);
        }
        let after_mark =
            self.tokens.before(self.tokens.len()).is_some_and(|t| t.kind == Kind::Op && t.text == b"->" as &[u8]);
        let braced =
            self.tokens.before(self.tokens.len()).is_some_and(|t| t.kind == Kind::Op && t.text == b"{" as &[u8])
                && self.cursor.peek() == Some(b'}');
        let mut ahead = self.cursor.rest().iter().skip_while(|b| b.is_ascii_whitespace());
        let key = ahead.next() == Some(&b'=') && ahead.next() == Some(&b'>');
        if after_mark || braced || key {
            return self.push(Kind::Name, word, start);
        }
        match word {
            b"q" | b"qq" | b"qw" | b"qr" | b"qx" | b"m" | b"s" | b"tr" | b"y" => self.quote_like(word, start),
            b"__END__" | b"__DATA__" | b"format" => None,
            _ if word.starts_with(b"__") => None,
            _ => self.push(Kind::Name, word, start),
        }
    }

    /// Text between delimiters, from the opening one on; the cursor ends after the closing one.
    fn delimited(&mut self) -> Option<(&'a [u8], u8)> {
        let open = self.cursor.peek()?;
        self.cursor.at += 1;
        let close = match open {
            b'(' => b')',
            b'[' => b']',
            b'{' => b'}',
            b'<' => b'>',
            other => other,
        };
        let start = self.cursor.at;
        let mut depth = 0_u32;
        loop {
            let byte = self.cursor.peek()?;
            self.cursor.at += 1;
            match byte {
                b'\\' => self.cursor.at += 1,
                _ if byte == close && depth == 0 => break,
                _ if byte == close => depth -= 1,
                _ if byte == open && open != close => depth += 1,
                _ => {}
            }
        }
        Some((self.cursor.code.get(start..self.cursor.at - 1)?, open))
    }

    fn quoted(&mut self, kind: Kind, computed: bool) -> Option<()> {
        let start = self.cursor.at;
        let (text, _) = self.delimited()?;
        self.finish(kind, text, computed, start)
    }

    fn finish(&mut self, kind: Kind, text: &'a [u8], computed: bool, start: usize) -> Option<()> {
        let exact = if computed { inert(text)? } else { true };
        let escaped = text.contains(&b'\\');
        match (kind, exact && !escaped) {
            (kind, true) => self.push(kind, text, start),
            // A text for a shell that is not known.
            (Kind::Symbol, false) => self.push(Kind::Symbol, &b""[..], start),
            _ => self.push(Kind::Built, &b""[..], start),
        }
    }

    fn pattern(&mut self) -> Option<()> {
        let start = self.cursor.at;
        let (text, _) = self.delimited()?;
        self.flags(text, start)
    }

    fn flags(&mut self, text: &[u8], start: usize) -> Option<()> {
        let flags = self.cursor.over(|b| b.is_ascii_alphabetic());
        if !flags.iter().all(|b| b"gimsxoacdlnpur".contains(b)) {
            return None;
        }
        pattern_is_inert(text)?;
        self.push(Kind::Pattern, &b""[..], start)
    }

    fn quote_like(&mut self, word: &[u8], start: usize) -> Option<()> {
        let blank = self.cursor.over(|b| b.is_ascii_whitespace());
        let open = self.cursor.peek()?;
        let usual = b"/|{([!,~@%'\"<".contains(&open) || b"#:+;".contains(&open) && blank.is_empty();
        if !usual || open == b'=' || open == b',' && self.cursor.ahead(1).is_none() {
            return None;
        }
        let (text, open) = self.delimited()?;
        match word {
            b"q" => self.finish(Kind::Text, text, false, start),
            b"qq" => self.finish(Kind::Text, text, open != b'\'', start),
            b"qw" => self.push(Kind::Built, &b""[..], start),
            b"qx" => self.finish(Kind::Symbol, text, open != b'\'', start),
            b"m" | b"qr" => self.flags(text, start),
            _ => {
                let from = if matches!(open, b'{' | b'(' | b'[' | b'<') {
                    self.cursor.over(|b| b.is_ascii_whitespace());
                    self.cursor.at
                } else {
                    self.cursor.at -= 1;
                    self.cursor.at
                };
                let (replacement, _) = self.delimited()?;
                let flags = self.cursor.over(|b| b.is_ascii_alphabetic());
                if word != b"s" {
                    return self.push(Kind::Pattern, &b""[..], start);
                }
                pattern_is_inert(text)?;
                let evaluated = flags.iter().filter(|b| **b == b'e').count();
                if evaluated > 1 || !flags.iter().all(|b| b"gimsxoacdlnpure".contains(b)) {
                    return None;
                }
                self.push(Kind::Pattern, &b""[..], start)?;
                if evaluated == 1 {
                    let at = self.base + from + 1;
                    self.tokens.push(Kind::Op, &b"="[..], at..at)?;
                    self.tokens.push(Kind::Op, &b"("[..], at..at)?;
                    lex(replacement, at, self.tokens, self.nesting + 1)?;
                    return self.tokens.push(Kind::Op, &b")"[..], at..at);
                }
                inert(replacement).map(|_| ())
            }
        }
    }
}

/// Whether a text that is computed has no variables; `None` where it holds code.
fn inert(text: &[u8]) -> Option<bool> {
    let mut exact = true;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'\\' => at += 1,
            b'$' | b'@' => {
                exact = false;
                at = interpolated(text, at)?;
            }
            _ => {}
        }
    }
    Some(exact)
}

/// The end of the variable that starts at `at` in a text; `None` where code may be part of it.
fn interpolated(text: &[u8], mut at: usize) -> Option<usize> {
    while text.get(at) == Some(&b'$') {
        at += 1;
    }
    if text.get(at) == Some(&b'{') {
        let length = text.get(at + 1..)?.iter().position(|b| !is_word(*b) && *b != b'^')?;
        if length == 0 || text.get(at + 1 + length) != Some(&b'}') {
            return None;
        }
        at += length + 2;
    } else {
        let rest = text.get(at..).unwrap_or(&[]);
        let name = rest.iter().position(|b| !is_word(*b)).unwrap_or(rest.len());
        if rest.get(..name).is_some_and(|name| name == b"ENV" || name == b"INC" || name == b"SIG") {
            return None;
        }
        if text.get(at + name..).is_some_and(|rest| rest.starts_with(b"::")) {
            return None;
        }
        at += if name == 0 { usize::from(at < text.len()) } else { name };
    }
    // Subscripts hold expressions: only plain ones are followed.
    loop {
        let arrow =
            text.get(at..).is_some_and(|rest| rest.starts_with(b"->")) && matches!(text.get(at + 2), Some(b'[' | b'{'));
        let open = if arrow { at + 2 } else { at };
        let close = match text.get(open) {
            Some(b'[') => b']',
            Some(b'{') => b'}',
            _ => return Some(at),
        };
        let rest = text.get(open + 1..)?;
        let rest = rest.get(..SUBSCRIPT_BYTES_MAX).unwrap_or(rest);
        let length = rest.iter().position(|b| *b == close)?;
        if !is_plain_key(rest.get(..length)?, close) {
            return None;
        }
        at = open + length + 2;
    }
}

/// Whether what stands in a subscript is a number, a variable with a step, or a key.
fn is_plain_key(key: &[u8], close: u8) -> bool {
    let unsigned = key.strip_prefix(b"-").unwrap_or(key);
    if !unsigned.is_empty() && unsigned.iter().all(u8::is_ascii_digit) {
        return true;
    }
    if let Some(variable) = key.strip_prefix(b"$") {
        let length = variable.iter().position(|b| !is_word(*b)).unwrap_or(variable.len());
        let step = variable.get(length..).unwrap_or(&[]);
        return length > 0
            && (step.is_empty()
                || matches!(step.first(), Some(b'+' | b'-'))
                    && step.len() > 1
                    && step.iter().skip(1).all(u8::is_ascii_digit));
    }
    if close == b']' {
        // In a pattern a set of one letter; a longer word could be a call.
        return key.len() == 1 && key.iter().all(|b| is_word(*b));
    }
    let quote = key.first().filter(|b| matches!(b, b'\'' | b'"'));
    let word = match quote {
        Some(quote) if key.len() > 1 && key.last() == Some(quote) => key.get(1..key.len() - 1).unwrap_or(&[]),
        Some(_) => return false,
        None => key,
    };
    !word.is_empty() && word.iter().all(|b| is_word(*b))
}

/// `None` where a pattern holds code.
fn pattern_is_inert(text: &[u8]) -> Option<()> {
    let code = |pair: &[u8]| matches!(pair, b"?{" | b"??" | b"?p") || pair.starts_with(b"*{");
    if text.windows(2).any(code) && text.windows(3).any(|part| matches!(part, b"(?{" | b"(??" | b"(?p" | b"(*{")) {
        return None;
    }
    // `$)` and `$|` are the end of a line there.
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'\\' => at += 1,
            b'@' | b'$' if !matches!(text.get(at), None | Some(b')' | b'|' | b'/' | b' ' | b'\n')) => {
                at = interpolated(text, at)?
            }
            _ => {}
        }
    }
    Some(())
}
