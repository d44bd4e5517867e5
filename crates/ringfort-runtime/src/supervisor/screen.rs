// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a caged program may say to the user's terminal.
//!
//! In: bytes on their way to a terminal, in any chunks. Out: the same bytes without those control sequences that make
//! the terminal write to the clipboard, or answer with text that a program outside would later read as typed.
//!
//! **Invariant:** dropped are OSC 52 and OSC 5522 (clipboard), the reports of title and icon label (CSI 20 t, CSI 21 t),
//! the answerback request (ENQ), the settings report (DCS $ q) and commands to the terminal itself (DCS @), however
//! they are spelled. Everything else passes byte for byte, but for surplus leading zeros. Memory is bounded by
//! `PREFIX_BYTES_MAX`. Source: ECMA-48, and the control sequences of xterm.

/// Longest start of a control sequence that is held back to recognise it. Bytes.
const PREFIX_BYTES_MAX: usize = 64;

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;
const ENQ: u8 = 0x05;
const C1_LEAD: u8 = 0xc2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ground,
    /// After ESC.
    Escape,
    /// After the first byte of a C1 control in UTF-8.
    Lead,
    /// Parameters of CSI, held back.
    Csi,
    /// Number of an OSC, held back.
    Osc,
    /// First bytes of a DCS, held back.
    Dcs,
    /// Inside a dropped control sequence, until its final byte.
    DropCsi,
    /// Inside a dropped string, until its end.
    Drop,
    /// Inside a dropped string, after ESC.
    DropEscape,
}

/// A streaming filter in front of a terminal.
#[derive(Debug)]
pub struct ScreenFilter {
    state: State,
    held: Vec<u8>,
}

impl ScreenFilter {
    /// A filter at the start of a stream.
    pub fn new() -> Self {
        Self { state: State::Ground, held: Vec::with_capacity(PREFIX_BYTES_MAX) }
    }

    /// Filters one chunk into `out`. The start of an unfinished sequence is held back until the next chunk.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        for byte in chunk {
            self.byte(*byte, out);
        }
    }

    /// Ends the stream: what was held back and is incomplete is passed on only if it could not be a dropped sequence.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if matches!(self.state, State::Escape | State::Lead) {
            out.append(&mut self.held);
        }
        self.held.clear();
        self.state = State::Ground;
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        match self.state {
            State::Ground => self.ground(byte, out),
            State::Escape => self.escape(byte, out),
            State::Lead => match byte {
                0x9b => self.hold(byte, State::Csi),
                0x9d => self.hold(byte, State::Osc),
                0x90 => self.hold(byte, State::Dcs),
                _ => self.pass(byte, out),
            },
            State::Csi => self.csi(byte, out),
            State::Osc => self.osc(byte, out),
            State::Dcs => self.dcs(byte, out),
            State::DropCsi => match byte {
                0x20..=0x3f | ENQ => {}
                0x40..=0x7e | 0x18 | 0x1a => self.state = State::Ground,
                _ => self.pass(byte, out),
            },
            State::Drop => match byte {
                BEL | 0x18 | 0x1a => self.state = State::Ground,
                ESC => self.state = State::DropEscape,
                _ => {}
            },
            State::DropEscape => {
                self.state = State::Ground;
                if byte != b'\\' {
                    // Not the string terminator: the ESC starts another sequence, which ends the string.
                    self.held.push(ESC);
                    self.state = State::Escape;
                    self.byte(byte, out);
                }
            }
        }
    }

    fn ground(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            ENQ => {}
            ESC => self.hold(byte, State::Escape),
            C1_LEAD => self.hold(byte, State::Lead),
            _ => out.push(byte),
        }
    }

    fn escape(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            b'[' => self.hold(byte, State::Csi),
            b']' => self.hold(byte, State::Osc),
            b'P' => self.hold(byte, State::Dcs),
            _ => self.pass(byte, out),
        }
    }

    fn csi(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            ENQ => {}
            b'0' if self.is_leading_zero() => {}
            0x20..=0x3f if self.held.len() < PREFIX_BYTES_MAX => self.held.push(byte),
            // Too long to be told by its end: one that would be a report with the right end is none of anybody's.
            0x20..=0x3f if self.is_report() => {
                self.forget();
                self.state = State::DropCsi;
            }
            b't' if self.is_report() => self.forget(),
            _ => self.pass(byte, out),
        }
    }

    /// Whether the first number of what is held begins with a zero: one is enough, so that no row of them can fill what
    /// is held and hide the number.
    fn is_leading_zero(&self) -> bool {
        self.held.get(2..) == Some(b"0")
    }

    /// Whether the held parameters ask for the title or the icon label.
    fn is_report(&self) -> bool {
        let parameters = self.held.iter().skip(2).copied();
        let first: Vec<u8> = parameters.take_while(|byte| *byte != b';').filter(|byte| *byte != b'0').collect();
        matches!(first.as_slice(), b"2" | b"21") && self.held.contains(&b'2')
    }

    fn osc(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            b'0' if self.is_leading_zero() => {}
            b'0'..=b'9' if self.held.len() < PREFIX_BYTES_MAX => self.held.push(byte),
            _ => {
                let number: Vec<u8> = self.held.iter().skip(2).copied().skip_while(|digit| *digit == b'0').collect();
                if matches!(number.as_slice(), b"52" | b"5522") {
                    self.forget();
                    self.state = State::Drop;
                    self.byte(byte, out);
                } else {
                    self.pass(byte, out);
                }
            }
        }
    }

    fn dcs(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            b'0'..=b'9' | b';' if self.held.len() < PREFIX_BYTES_MAX => self.held.push(byte),
            b'$' | b'@' | b'0'..=b'9' | b';' => {
                self.forget();
                self.state = State::Drop;
            }
            _ => self.pass(byte, out),
        }
    }

    fn hold(&mut self, byte: u8, state: State) {
        self.held.push(byte);
        self.state = state;
    }

    /// Lets what was held pass, then judges `byte` anew if it could start a sequence itself.
    fn pass(&mut self, byte: u8, out: &mut Vec<u8>) {
        out.append(&mut self.held);
        self.state = State::Ground;
        self.ground(byte, out);
    }

    fn forget(&mut self) {
        self.held.clear();
        self.state = State::Ground;
    }
}

impl Default for ScreenFilter {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filtered(input: &[u8], chunk: usize) -> Vec<u8> {
        let mut filter = ScreenFilter::new();
        let mut out = Vec::new();
        for part in input.chunks(chunk.max(1)) {
            filter.push(part, &mut out);
        }
        filter.finish(&mut out);
        out
    }

    #[test]
    fn deny_clipboard_and_reports_and_nothing_else() {
        for (input, expected) in [
            (&b"plain \x1b[31mred\x1b[0m\n"[..], &b"plain \x1b[31mred\x1b[0m\n"[..]),
            (b"a\x1b]52;c;Y3VybA==\x07b", b"ab"),
            (b"a\x1b]52;c;Y3VybA==\x1b\\b", b"ab"),
            (b"a\x1b]052;c;x\x07b", b"ab"),
            (b"a\xc2\x9d52;c;x\x07b", b"ab"),
            (b"\x1b]0;title\x07", b"\x1b]0;title\x07"),
            (b"\x1b]521;x\x07", b"\x1b]521;x\x07"),
            (b"a\x1b[21tb", b"ab"),
            (b"a\x1b[20tb", b"ab"),
            (b"a\x1b[021tb", b"ab"),
            (b"a\x1b[22;0tb", b"a\x1b[22;0tb"),
            (b"a\x1b[8;24;80tb", b"a\x1b[8;24;80tb"),
            (b"a\x05b", b"ab"),
            (b"a\x1bP$qm\x1b\\b", b"ab"),
            (b"a\x1bP+q544e\x1b\\b", b"a\x1bP+q544e\x1b\\b"),
            (b"\x1b]52;c;x\x1b]52;c;y\x07z", b"z"),
            ("gr\u{fc}n \u{201e}x\u{201c}".as_bytes(), "gr\u{fc}n \u{201e}x\u{201c}".as_bytes()),
            (b"\x1b\x1b]52;c;x\x07b", b"\x1bb"),
        ] {
            assert_eq!(filtered(input, usize::MAX), expected, "{}", input.escape_ascii());
        }
    }

    #[test]
    fn deny_what_is_spelled_too_long_to_be_held() {
        let zeros = "0".repeat(2 * PREFIX_BYTES_MAX);
        let numbers = "1;".repeat(PREFIX_BYTES_MAX);
        for input in [
            format!("a\x1b[{zeros}21tb"),
            format!("a\x1b[21;{numbers}1tb"),
            format!("a\x1b]{zeros}52;c;eA==\x07b"),
            format!("a\x1bP{numbers}$qm\x1b\\b"),
            "a\x1b]5522;type=write\x1b\\b".to_owned(),
            "a\x1bP@kitty-cmd{}\x1b\\b".to_owned(),
        ] {
            assert_eq!(filtered(input.as_bytes(), usize::MAX), b"ab", "{}", input.escape_debug());
        }
        let colours = format!("\x1b[{numbers}1m");
        assert_eq!(filtered(colours.as_bytes(), 3), colours.as_bytes(), "a long sequence that asks nothing");
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(
            input in prop::collection::vec(prop::sample::select(b"\x1b\x07\x05\x18[]P$;0215t\\ca\xc2\x9d".to_vec()), 0..60),
            chunk in 1..5_usize,
        ) {
            prop_assert_eq!(filtered(&input, chunk), filtered(&input, usize::MAX));
        }

        #[test]
        fn deny_any_clipboard_write(input in prop::collection::vec(prop::sample::select(b"\x1b]52;\x07[x\\".to_vec()), 0..60)) {
            let out = filtered(&input, usize::MAX);
            prop_assert!(!out.windows(5).any(|window| window == b"\x1b]52;"), "{}", out.escape_ascii());
        }
    }
}
