// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scripts of sed: which commands run programs and which files they touch.
//!
//! In: the bytes of a script. Out: [`Touch`]es, or `None` where the script is not one that is understood.
//!
//! **Invariant:** a script is read command by command as sed does; what does not fit is not understood, never
//! harmless. It does not look at what a pattern matches.

/// Something that a script does besides editing text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Touch<'a> {
    /// Runs a program.
    Runs,
    /// Reads this file.
    Reads(&'a [u8]),
    /// Writes this file.
    Writes(&'a [u8]),
}

/// Most things that one script may do; more is not understood.
const TOUCHES_MAX: usize = 64;

/// Reads a script.
pub(super) fn sed(script: &[u8]) -> Option<Vec<Touch<'_>>> {
    let mut reader = Reader { script, at: 0, found: Vec::new() };
    while reader.peek().is_some() {
        reader.command()?;
        if reader.found.len() > TOUCHES_MAX {
            return None;
        }
    }
    Some(reader.found)
}

struct Reader<'a> {
    script: &'a [u8],
    at: usize,
    found: Vec<Touch<'a>>,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.script.get(self.at).copied()
    }

    fn skip(&mut self, among: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&among) {
            self.at += 1;
        }
    }

    fn blanks(&mut self) {
        self.skip(|b| matches!(b, b' ' | b'\t'));
    }

    /// The rest of the line, which is a file name or text.
    fn line(&mut self) -> &'a [u8] {
        self.blanks();
        let start = self.at;
        self.skip(|b| b != b'\n');
        self.script.get(start..self.at).unwrap_or(&[])
    }

    /// Goes on after the next `end` that is not escaped and, in a pattern, not in brackets.
    fn until(&mut self, end: u8, pattern: bool) -> Option<()> {
        let mut bracket = false;
        loop {
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                _ if byte == end && !bracket => return Some(()),
                b'[' if pattern && !bracket => {
                    bracket = true;
                    self.skip(|b| b == b'^');
                    if self.peek() == Some(b']') {
                        self.at += 1;
                    }
                }
                b']' if bracket => bracket = false,
                _ => {}
            }
        }
    }

    /// One address; false where there is none.
    fn address(&mut self) -> Option<bool> {
        match self.peek() {
            Some(b'0'..=b'9' | b'$' | b'+' | b'~') => {
                self.skip(|b| b.is_ascii_digit() || matches!(b, b'$' | b'~' | b'+'));
            }
            Some(b'/') => {
                self.at += 1;
                self.until(b'/', true)?;
                self.skip(|b| matches!(b, b'I' | b'M'));
            }
            Some(b'\\') => {
                let end = *self.script.get(self.at + 1)?;
                self.at += 2;
                self.until(end, true)?;
                self.skip(|b| matches!(b, b'I' | b'M'));
            }
            _ => return Some(false),
        }
        Some(true)
    }

    fn command(&mut self) -> Option<()> {
        self.skip(|b| b.is_ascii_whitespace() || matches!(b, b';' | b'}'));
        if self.address()? {
            self.blanks();
            if self.peek() == Some(b',') {
                self.at += 1;
                self.blanks();
                if !self.address()? {
                    return None;
                }
            }
        }
        self.skip(|b| matches!(b, b' ' | b'\t' | b'!'));
        let Some(command) = self.peek() else { return Some(()) };
        self.at += 1;
        match command {
            b'{' => return Some(()),
            b'=' | b'd' | b'D' | b'g' | b'G' | b'h' | b'H' | b'n' | b'N' | b'p' | b'P' | b'x' | b'z' | b'F' => {}
            b'l' | b'L' | b'q' | b'Q' => {
                self.blanks();
                self.skip(|b| b.is_ascii_digit());
            }
            b'#' | b'a' | b'i' | b'c' => self.text(),
            b':' | b'b' | b't' | b'T' => self.skip(|b| !matches!(b, b'\n' | b';' | b'}')),
            b'r' | b'R' => {
                let file = self.line();
                self.found.push(Touch::Reads(file));
            }
            b'w' | b'W' => {
                let file = self.line();
                self.found.push(Touch::Writes(file));
            }
            b's' => self.substitution()?,
            b'y' => {
                let end = self.delimiter()?;
                self.until(end, false)?;
                self.until(end, false)?;
            }
            b'e' => {
                self.line();
                self.found.push(Touch::Runs);
            }
            _ => return None,
        }
        self.blanks();
        matches!(self.peek(), None | Some(b'\n' | b';' | b'}' | b'#' | b'\r') | Some(b'{' | b'/' | b'0'..=b'9'))
            .then_some(())
    }

    /// Text up to a line that does not end in a backslash.
    fn text(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b'\\' => self.at += 2,
                b'\n' => return,
                _ => self.at += 1,
            }
        }
    }

    fn delimiter(&mut self) -> Option<u8> {
        let end = self.peek().filter(|b| !matches!(b, b'\n' | b'\\'))?;
        self.at += 1;
        Some(end)
    }

    fn substitution(&mut self) -> Option<()> {
        let end = self.delimiter()?;
        self.until(end, true)?;
        self.until(end, false)?;
        while let Some(flag) = self.peek() {
            match flag {
                b'e' => self.found.push(Touch::Runs),
                b'w' => {
                    self.at += 1;
                    let file = self.line();
                    self.found.push(Touch::Writes(file));
                    return Some(());
                }
                b'g' | b'p' | b'i' | b'I' | b'm' | b'M' | b'0'..=b'9' => {}
                _ => return Some(()),
            }
            self.at += 1;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Touch, sed};

    #[test]
    fn plain_scripts_touch_nothing() {
        for script in [
            "s/a/b/",
            "s/a/b/g; s|c|d|2p",
            "1,5p",
            "$!N;$!D",
            "/x/,/y/{s/a/b/;d}",
            "s/[/]/w/",
            "s/e/e/",
            "/we/d",
            ":a;N;$!ba;s/\\n/ /g",
            "a\\\nw file",
            "i text; w file",
            "y/abc/ewr/",
            "\\,x,d",
            "0~3d",
            "1,+2p",
            "# w x\np",
            "",
            "5q",
            "s/a/b/ ; p",
            "1d;$d",
            "/x/!d",
            "n;d",
            "s/[]/w]x/y/",
            "/a/I,/b/Mp",
        ] {
            assert_eq!(sed(script.as_bytes()), Some(Vec::new()), "{script}");
        }
    }

    #[test]
    fn deny_hiding_what_a_script_touches() {
        let cases: [(&str, &[Touch<'_>]); 14] = [
            ("s/a/b/;w out", &[Touch::Writes(b"out")]),
            ("s/a/b/gw out", &[Touch::Writes(b"out")]),
            ("/x/w /tmp/x;y", &[Touch::Writes(b"/tmp/x;y")]),
            ("{p;W out\n}", &[Touch::Writes(b"out")]),
            ("r in\np", &[Touch::Reads(b"in")]),
            ("$!R in", &[Touch::Reads(b"in")]),
            ("e id", &[Touch::Runs]),
            ("1 e id", &[Touch::Runs]),
            ("1!e", &[Touch::Runs]),
            ("\\|x|e id", &[Touch::Runs]),
            ("/[/]/,$ e", &[Touch::Runs]),
            ("s/a/b/; s,c,id,e", &[Touch::Runs]),
            ("y/a/b/;e id", &[Touch::Runs]),
            (":a;e id", &[Touch::Runs]),
        ];
        for (script, expected) in cases {
            assert_eq!(sed(script.as_bytes()).as_deref(), Some(expected), "{script}");
        }
        for script in ["s/a/b", "v", "k", "1,", "y/a", "s", "\\", "pp"] {
            assert_eq!(sed(script.as_bytes()), None, "{script}");
        }
    }
}
