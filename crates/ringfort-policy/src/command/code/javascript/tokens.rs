// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tokenizer of JavaScript.
//!
//! In: a text. Out: [`Tokens`], or nothing where it is not one that is followed. **Invariant:** where a slash could be
//! both a division and the start of a pattern, the text is not followed.

use super::super::token::{Cursor, Kind, NESTING_MAX, Tokens, escape, is_word};

const OPS: [&[u8]; 34] = [
    b">>>=", b"...", b"===", b"!==", b"**=", b"<<=", b">>=", b">>>", b"&&=", b"||=", b"??=", b"=>", b"==", b"!=",
    b"<=", b">=", b"&&", b"||", b"??", b"?.", b"++", b"--", b"+=", b"-=", b"*=", b"/=", b"%=", b"&=", b"|=", b"^=",
    b"<<", b">>", b"**", b"=",
];

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

fn is_letter(byte: u8) -> bool {
    is_word(byte) || byte == b'$'
}

impl<'a> Lexer<'a> {
    /// Reads up to the end, or inside a template to the `}` that closes a part.
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
            match byte {
                b' ' | b'\t' => self.cursor.at += 1,
                b'\n' | b'\r' => {
                    self.cursor.at += 1;
                    self.tokens.push(Kind::Line, &b"\n"[..], start..start + 1)?;
                }
                b'/' if self.cursor.ahead(1) == Some(b'/') => {
                    let comment = self.cursor.over(|b| !matches!(b, b'\n' | b'\r'));
                    // Two separators of lines that are no bytes of ASCII end it too.
                    if comment.windows(3).any(|part| matches!(part, [0xe2, 0x80, 0xa8 | 0xa9])) {
                        return None;
                    }
                }
                b'/' if self.cursor.ahead(1) == Some(b'*') => {
                    let length = self.cursor.rest().windows(2).skip(2).position(|pair| pair == b"*/")?;
                    self.cursor.at += length + 4;
                }
                b'/' if self.takes_pattern()? => self.pattern()?,
                b'"' | b'\'' => self.text(byte)?,
                b'`' => {
                    self.tokens.join_lines();
                    self.template(nesting)?;
                }
                b'0'..=b'9' => {
                    let number = self.cursor.number();
                    if self.cursor.peek() == Some(b'n') {
                        self.cursor.at += 1;
                    }
                    if self.cursor.peek().is_some_and(is_letter) {
                        return None;
                    }
                    self.tokens.push(Kind::Number, number, start..self.cursor.at)?;
                }
                _ if is_letter(byte) => {
                    let word = self.cursor.over(is_letter);
                    self.tokens.push(Kind::Name, word, start..self.cursor.at)?;
                }
                b'<' if self.cursor.starts(b"<!--") => return None,
                b'-' if self.cursor.starts(b"-->") => return None,
                b'\\' | b'#' | b'@' => return None,
                _ if byte.is_ascii_graphic() => {
                    let op = self.cursor.operator(&OPS);
                    if matches!(op, b"(" | b"[" | b"." | b"?." | b"=" | b"=>") {
                        // No statement starts with these where it could go on.
                        self.tokens.join_lines();
                    }
                    self.tokens.push(Kind::Op, op, start..self.cursor.at)?;
                }
                _ => return None,
            }
        }
    }

    /// Whether a slash here starts a pattern; `None` where both could be.
    fn takes_pattern(&self) -> Option<bool> {
        let mut index = self.tokens.len();
        while index > 0 && self.tokens.get(index - 1).is_some_and(|t| t.kind == Kind::Line) {
            index -= 1;
        }
        let Some(last) = self.tokens.before(index) else { return Some(true) };
        match last.kind {
            Kind::Op => match last.text.as_ref() {
                b")" => {
                    let open = self.tokens.partner(index - 1);
                    let head = open.checked_sub(1).and_then(|at| self.tokens.name(at));
                    if matches!(head, Some(b"if" | b"while" | b"for" | b"with" | b"await")) {
                        None
                    } else {
                        Some(false)
                    }
                }
                b"]" => Some(false),
                b"}" | b"++" | b"--" => None,
                _ => Some(true),
            },
            Kind::Name => match last.text.as_ref() {
                b"return" | b"typeof" | b"case" | b"in" | b"void" | b"delete" | b"throw" | b"new" | b"else" | b"do"
                | b"instanceof" => {
                    // After a dot they are members.
                    if self.tokens.is_op_before(index - 1, b".") { Some(false) } else { Some(true) }
                }
                b"of" | b"yield" | b"await" | b"async" | b"let" | b"static" | b"get" | b"set" => None,
                _ => Some(false),
            },
            Kind::Text | Kind::Number | Kind::Built | Kind::Pattern => Some(false),
            _ => None,
        }
    }

    fn pattern(&mut self) -> Option<()> {
        let start = self.cursor.at;
        self.cursor.at += 1;
        let mut class = false;
        loop {
            let byte = self.cursor.peek()?;
            self.cursor.at += 1;
            match byte {
                b'\n' | b'\r' => return None,
                b'\\' => self.cursor.at += 1,
                b'[' => class = true,
                b']' => class = false,
                b'/' if !class => break,
                _ => {}
            }
        }
        self.cursor.over(|b| b.is_ascii_lowercase());
        if self.cursor.peek().is_some_and(is_letter) {
            return None;
        }
        self.tokens.push(Kind::Pattern, &b""[..], start..self.cursor.at)
    }

    fn text(&mut self, quote: u8) -> Option<()> {
        let start = self.cursor.at;
        self.cursor.at += 1;
        let mut value = Vec::new();
        let mut exact = true;
        loop {
            let byte = self.cursor.peek()?;
            self.cursor.at += 1;
            match byte {
                _ if byte == quote => break,
                b'\n' | b'\r' => return None,
                b'\\' => exact &= escape(&mut self.cursor, &mut value).is_some(),
                _ => value.push(byte),
            }
        }
        let kind = if exact { Kind::Text } else { Kind::Built };
        self.tokens.push(kind, value, start..self.cursor.at)
    }

    fn template(&mut self, nesting: u32) -> Option<()> {
        let start = self.cursor.at;
        self.cursor.at += 1;
        let mut value = Vec::new();
        let mut exact = true;
        let mut parts = false;
        loop {
            let byte = self.cursor.peek()?;
            self.cursor.at += 1;
            match byte {
                b'`' => break,
                b'\\' => exact &= escape(&mut self.cursor, &mut value).is_some(),
                b'$' if self.cursor.peek() == Some(b'{') => {
                    if !parts {
                        self.tokens.push(Kind::Built, &b""[..], start..self.cursor.at)?;
                        parts = true;
                    }
                    self.cursor.at += 1;
                    let at = self.cursor.at;
                    self.tokens.push(Kind::Op, &b"("[..], at..at)?;
                    let depth = self.tokens.depth();
                    self.until(Some(depth), nesting + 1)?;
                    let at = self.cursor.at;
                    self.tokens.push(Kind::Op, &b")"[..], at..at)?;
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
}
