// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values without an end in sight: how a span goes on behind the window in which it was found.
//!
//! In: the bytes that follow, in pieces of any size. Out: where the value ends, the same for every cut into pieces.
//!
//! **Invariant:** a growing value needs no memory but its state, and a private key block ends at its end line, after
//! [`PEM_BYTES_MAX`], or after [`PEM_STRAY_LINES_MAX`] lines that hold nothing of a key.

/// Longest body of a private key block. Bytes.
pub(crate) const PEM_BYTES_MAX: usize = 32 << 10;
/// Lines without key material after which a block without an end line is over.
const PEM_STRAY_LINES_MAX: u8 = 4;
/// Base64 characters in a row that make a line part of a key.
const PEM_RUN_MIN: usize = 32;
/// Longest white space before an end line that is kept outside the span. Bytes.
const PEM_SOFT_BYTES_MAX: usize = 8;
/// What is looked ahead for an end line. Bytes.
const PEM_AHEAD_BYTES: usize = 9;

/// How a value goes on.
#[derive(Clone, Debug)]
pub(crate) enum Tail {
    /// As long as bytes are of this class.
    While(fn(u8) -> bool),
    /// As the body of a private key block.
    Block(Block),
}

/// What is known after some more bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Growth {
    /// Bytes that belong to the value.
    pub(crate) bytes: usize,
    /// Whether the end was found.
    pub(crate) ended: bool,
}

impl Tail {
    /// Takes the bytes that follow what was taken so far. With `last`, nothing follows them.
    pub(crate) fn take(&mut self, bytes: &[u8], last: bool) -> Growth {
        match self {
            Self::While(class) => {
                let taken = bytes.iter().position(|byte| !class(*byte));
                Growth { bytes: taken.unwrap_or(bytes.len()), ended: taken.is_some() || last }
            }
            Self::Block(block) => block.take(bytes, last),
        }
    }
}

/// The state of a private key block.
#[derive(Clone, Debug, Default)]
pub(crate) struct Block {
    /// Bytes looked at, beyond those that were reported as taken.
    soft: usize,
    total: usize,
    run: usize,
    keyed: bool,
    stray: u8,
}

impl Block {
    fn take(&mut self, bytes: &[u8], last: bool) -> Growth {
        let mut at = self.soft;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            if rest.is_empty() || (rest.len() < PEM_AHEAD_BYTES && !last) {
                let solid = at.saturating_sub(self.soft);
                return Growth { bytes: if last { at } else { solid }, ended: last };
            }
            let over = self.total >= PEM_BYTES_MAX || self.stray >= PEM_STRAY_LINES_MAX;
            if over || rest.starts_with(b"-----END") || rest.starts_with(b"---- END") {
                return Growth { bytes: at.saturating_sub(self.soft), ended: true };
            }
            at += self.step(rest);
        }
    }

    /// Looks at one byte, or at an escaped line break; returns how many bytes that was.
    fn step(&mut self, rest: &[u8]) -> usize {
        let (width, soft) = match rest {
            [b'\\', b'n' | b'r' | b't', ..] => (2, true),
            [byte, ..] => (1, byte.is_ascii_whitespace()),
            [] => (0, false),
        };
        let byte = rest.first().copied().unwrap_or_default();
        let body = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        self.run = if body { self.run + 1 } else { 0 };
        self.keyed |= self.run >= PEM_RUN_MIN;
        if byte == b'\n' {
            self.stray = if self.keyed { 0 } else { self.stray + 1 };
            self.keyed = false;
        }
        self.total += width;
        self.soft = if soft { self.soft + width } else { 0 };
        if self.soft > PEM_SOFT_BYTES_MAX {
            self.soft = 0;
        }
        width
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &[u8]) -> Growth {
        Tail::Block(Block::default()).take(text, true)
    }

    #[test]
    fn a_block_ends_where_its_key_does() {
        let line = "Zm9v".repeat(16);
        for (text, expected, ended) in [
            (format!("{line}\n-----END PRIVATE KEY-----\nafter"), 64, "end line"),
            (format!("{line}\\n-----END PRIVATE KEY-----"), 64, "escaped line break"),
            (format!("{line}\n{line}\nAg==\n-----END"), 134, "short last line"),
            (format!("{line}\na\nb\nc\nd\ne\nf\n"), 64 + 1 + 8 - 1, "stray lines"),
            (format!("{line}\n"), 65, "end of input"),
        ] {
            assert_eq!(whole(text.as_bytes()), Growth { bytes: expected, ended: true }, "{ended}");
        }
        assert_eq!(whole("Zm9v".repeat(PEM_BYTES_MAX).as_bytes()).bytes, PEM_BYTES_MAX);
    }

    #[test]
    fn a_block_is_the_same_in_any_pieces() {
        let text = format!("{}\r\n\\n  \n{}\n \n-----END X", "Zm9v".repeat(16), "YmFy".repeat(12));
        let expected = whole(text.as_bytes()).bytes;
        for size in 1..text.len() {
            let (mut tail, mut taken, mut have) = (Tail::Block(Block::default()), 0, 0);
            let end = loop {
                have = (have + size).min(text.len());
                let growth = tail.take(&text.as_bytes()[taken..have], have == text.len());
                taken += growth.bytes;
                if growth.ended {
                    break taken;
                }
            };
            assert_eq!(end, expected, "pieces of {size}");
        }
    }
}
