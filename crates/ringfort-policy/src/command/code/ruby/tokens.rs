// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tokenizer of Ruby.
//!
//! In: a text. Out: [`Tokens`], or nothing where it is not one that is followed. A text that a shell runs is a
//! [`Kind::Variable`]. **Invariant:** where a sign could be an operator or the start of a literal, the text is not
//! followed.

use super::super::token::{Cursor, Kind, NESTING_MAX, Tokens, escape, is_word};

const OPS: [&[u8]; 33] = [
    b"<=>", b"**=", b"||=", b"&&=", b"===", b"...", b"<<=", b">>=", b"->", b"=>", b"==", b"!=", b"<=", b">=", b"=~",
    b"!~", b"&&", b"||", b"..", b"**", b"<<", b">>", b"+=", b"-=", b"*=", b"/=", b"%=", b"|=", b"&=", b"^=", b"::",
    b"&.", b"=",
];
/// Words after which a value stands.
const BEFORE_VALUE: &str =
    "if elsif unless while until and or not when return puts print p pp in then do else begin case";

/// The tokens of `code`.
pub(super) fn tokens(code: &[u8]) -> Option<Tokens<'_>> {
    let mut lexer = Lexer { cursor: Cursor { code, at: 0 }, tokens: Tokens::default() };
    lexer.until(None, 0)?;
    lexer.tokens.is_closed().then_some(lexer.tokens)
}

struct Lexer<'a> {
    cursor: Cursor<'a>,
    tokens: Tokens<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expects {
    Value,
    Operator,
    Either,
}

impl<'a> Lexer<'a> {
    fn expects(&self) -> Expects {
        let Some(last) = self.tokens.before(self.tokens.len()) else { return Expects::Value };
        match last.kind {
            Kind::Number | Kind::Text | Kind::Built | Kind::Pattern | Kind::Variable | Kind::Symbol => {
                Expects::Operator
            }
            Kind::Op => match last.text.as_ref() {
                b")" | b"]" | b"}" => Expects::Operator,
                _ => Expects::Value,
            },
            Kind::Name => {
                let member = self.tokens.is_op_before(self.tokens.len() - 1, b".");
                let listed = BEFORE_VALUE.split_ascii_whitespace().any(|word| word.as_bytes() == last.text.as_ref());
                if listed && !member { Expects::Value } else { Expects::Either }
            }
            Kind::Line => Expects::Value,
        }
    }

    fn until(&mut self, end: Option<usize>, nesting: u32) -> Option<()> {
        if nesting > NESTING_MAX {
            return None;
        }
        loop {
            let Some(byte) = self.cursor.peek() else { return end.is_none().then_some(()) };
            let start = self.cursor.at;
            if byte == b'}' && end.is_some_and(|depth| self.tokens.depth() == depth) {
                self.cursor.at += 1;
                return Some(());
            }
            let spaced =
                start.checked_sub(1).and_then(|at| self.cursor.code.get(at)).is_none_or(u8::is_ascii_whitespace);
            let next = self.cursor.ahead(1);
            match byte {
                b' ' | b'\t' => self.cursor.at += 1,
                b'\n' => {
                    self.cursor.at += 1;
                    // A line that begins with a dot goes on.
                    let ahead = self.cursor.rest().iter().take_while(|b| matches!(b, b' ' | b'\t'));
                    let goes_on = self.cursor.ahead(ahead.count()) == Some(b'.');
                    if !goes_on {
                        self.tokens.push(Kind::Line, &b"\n"[..], start..start + 1)?;
                    }
                }
                b'=' if (start == 0 || self.cursor.code.get(start - 1) == Some(&b'\n'))
                    && self.cursor.starts(b"=begin") =>
                {
                    return None;
                }
                b'#' => {
                    self.cursor.over(|b| b != b'\n');
                }
                b'"' => self.text(b'"', b'"', true, Kind::Text, nesting)?,
                b'\'' => self.text(b'\'', b'\'', false, Kind::Text, nesting)?,
                b'`' => self.text(b'`', b'`', true, Kind::Variable, nesting)?,
                b'/' => match self.expects() {
                    Expects::Value => self.pattern(nesting)?,
                    Expects::Operator => self.operator()?,
                    Expects::Either if spaced && next == Some(b' ') => self.operator()?,
                    Expects::Either => return None,
                },
                b'%' => match self.expects() {
                    Expects::Operator => self.operator()?,
                    Expects::Either if spaced && next == Some(b' ') => self.operator()?,
                    Expects::Value => self.percent(nesting)?,
                    Expects::Either => return None,
                },
                b'<' if next == Some(b'<') && self.expects() != Expects::Operator => {
                    if !(self.expects() == Expects::Either && spaced && self.cursor.ahead(2) == Some(b' ')) {
                        return None;
                    }
                    self.operator()?;
                }
                b'<' if next == Some(b'<')
                    && self.cursor.ahead(2).is_some_and(|b| matches!(b, b'~' | b'-' | b'A'..=b'Z' | b'_')) =>
                {
                    return None;
                }
                b'?' if self.expects() == Expects::Either && spaced && next == Some(b' ') => self.operator()?,
                b'?' if self.expects() != Expects::Operator => return None,
                b':' if next == Some(b'"') || next == Some(b'\'') => return None,
                b':' if next.is_some_and(is_word)
                    && !self.cursor.starts(b"::")
                    && self.expects() != Expects::Operator =>
                {
                    self.cursor.at += 1;
                    self.cursor.over(is_word);
                    if matches!(self.cursor.peek(), Some(b'?' | b'!')) {
                        self.cursor.at += 1;
                    }
                    let name = self.cursor.code.get(start + 1..self.cursor.at)?;
                    self.tokens.push(Kind::Symbol, name, start..self.cursor.at)?;
                }
                b':' if next.is_some_and(|b| b"+-*/<>=!%&|^~[".contains(&b))
                    && matches!(self.expects(), Expects::Value) =>
                {
                    self.cursor.at += 1;
                    let sign = self.cursor.over(|b| b"+-*/<>=!%&|^~[]".contains(&b));
                    self.tokens.push(Kind::Symbol, sign, start..self.cursor.at)?;
                }
                b'$' | b'@' => self.sigil(byte)?,
                b'0'..=b'9' => {
                    let number = self.cursor.number();
                    self.tokens.push(Kind::Number, number, start..self.cursor.at)?;
                }
                _ if is_word(byte) => {
                    self.cursor.over(is_word);
                    // `x ?1:2` and `x?` are told apart by what follows.
                    let mark = matches!(self.cursor.peek(), Some(b'?' | b'!')) && self.cursor.ahead(1) != Some(b'=');
                    if mark {
                        self.cursor.at += 1;
                    }
                    self.tokens.push(Kind::Name, self.cursor.slice(start), start..self.cursor.at)?;
                }
                b'\\' => return None,
                _ if byte.is_ascii_graphic() => self.operator()?,
                _ => return None,
            }
        }
    }

    fn operator(&mut self) -> Option<()> {
        let start = self.cursor.at;
        let op = self.cursor.operator(&OPS);
        self.tokens.push(Kind::Op, op, start..self.cursor.at)
    }

    /// A global or instance variable: those that are harmless become texts that are not known.
    fn sigil(&mut self, mark: u8) -> Option<()> {
        let start = self.cursor.at;
        self.cursor.at += 1;
        if mark == b'@' {
            self.cursor.over(|b| b == b'@');
            let name = self.cursor.over(is_word);
            if name.is_empty() {
                return None;
            }
            return self.tokens.push(Kind::Built, &b""[..], start..self.cursor.at);
        }
        let byte = self.cursor.peek()?;
        if is_word(byte) {
            let name = self.cursor.over(is_word);
            let known = name == b"_"
                || name == b"stdin"
                || name == b"stdout"
                || name == b"stderr"
                || name.iter().all(u8::is_ascii_digit);
            if !known {
                return None;
            }
        } else if matches!(byte, b'.' | b'~' | b'&' | b'/' | b',' | b';') {
            self.cursor.at += 1;
        } else {
            return None;
        }
        self.tokens.push(Kind::Built, &b""[..], start..self.cursor.at)
    }

    /// Text from its opening delimiter on.
    fn text(&mut self, open: u8, close: u8, computed: bool, kind: Kind, nesting: u32) -> Option<()> {
        let start = self.cursor.at;
        self.cursor.at += 1;
        let mut value = Vec::new();
        let mut exact = true;
        let mut parts = false;
        let mut depth = 0_u32;
        loop {
            let byte = self.cursor.peek()?;
            self.cursor.at += 1;
            match byte {
                b'\\' if computed => exact &= escape(&mut self.cursor, &mut value).is_some(),
                b'\\' => {
                    exact = false;
                    self.cursor.at += 1;
                }
                _ if byte == close && depth == 0 => break,
                _ if byte == close => depth -= 1,
                _ if byte == open => depth += 1,
                b'#' if computed && self.cursor.peek() == Some(b'{') => {
                    if !parts {
                        let built = if kind == Kind::Variable { Kind::Variable } else { Kind::Built };
                        self.tokens.push(built, &b""[..], start..self.cursor.at)?;
                        parts = true;
                    }
                    self.cursor.at += 1;
                    let at = self.cursor.at;
                    self.tokens.push(Kind::Op, &b"("[..], at..at)?;
                    let inner = self.tokens.depth();
                    self.until(Some(inner), nesting + 1)?;
                    let at = self.cursor.at;
                    self.tokens.push(Kind::Op, &b")"[..], at..at)?;
                    continue;
                }
                // `#$x` and `#@x` stand for variables.
                b'#' if computed && matches!(self.cursor.peek(), Some(b'$' | b'@')) => return None,
                _ => {}
            }
            if byte != b'\\' {
                value.push(byte);
            }
        }
        if parts {
            return Some(());
        }
        match (kind, exact) {
            (Kind::Variable, false) => self.tokens.push(Kind::Variable, &b""[..], start..self.cursor.at),
            (kind, true) => self.tokens.push(kind, value, start..self.cursor.at),
            _ => self.tokens.push(Kind::Built, &b""[..], start..self.cursor.at),
        }
    }

    fn pattern(&mut self, nesting: u32) -> Option<()> {
        self.text(b'/', b'/', true, Kind::Pattern, nesting)?;
        let flags = self.cursor.over(|b| b.is_ascii_lowercase());
        flags.iter().all(|b| b"imxounse".contains(b)).then_some(())
    }

    /// `%w[…]`, `%q(…)`, `%x(…)` and the like.
    fn percent(&mut self, nesting: u32) -> Option<()> {
        self.cursor.at += 1;
        let letter = self.cursor.peek().filter(u8::is_ascii_alphabetic);
        if letter.is_some() {
            self.cursor.at += 1;
        }
        let open = self.cursor.peek()?;
        let close = match open {
            b'(' => b')',
            b'[' => b']',
            b'{' => b'}',
            b'<' => b'>',
            b'|' | b'!' | b'/' => open,
            _ => return None,
        };
        // A mark that opens and closes is no nesting.
        let nests = if open == close { 0 } else { open };
        match letter {
            Some(b'w' | b'i') => {
                self.text(nests, close, false, Kind::Built, nesting)?;
                // Symbols in a list could be handed on by name.
                (letter == Some(b'w')).then_some(())
            }
            Some(b'q') => self.text(nests, close, false, Kind::Text, nesting),
            Some(b'Q') | None => self.text(nests, close, true, Kind::Text, nesting),
            Some(b'x') => self.text(nests, close, true, Kind::Variable, nesting),
            Some(b'r') => {
                self.text(nests, close, true, Kind::Pattern, nesting)?;
                self.cursor.over(|b| b.is_ascii_lowercase());
                Some(())
            }
            _ => None,
        }
    }
}
