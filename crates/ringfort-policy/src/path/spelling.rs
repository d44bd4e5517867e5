// SPDX-License-Identifier: MIT OR Apache-2.0
//! Spellings that a reader, a tool or another system could take for a different path.
//!
//! **Invariant:** whatever decodes, folds or translates into a separator, a dot or a terminator is a fault.

use ringfort_core::limits::PATH_BYTES_MAX;
use ringfort_core::text::is_invisible;

/// Longest name of a file that systems open, in bytes; a longer one is cut or refused.
const NAME_BYTES_MAX: usize = 255;

/// Why a path cannot be trusted as it is spelled. It is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathFault {
    /// Nothing is there.
    #[error("it is empty")]
    Empty,
    /// It is longer than the system opens.
    #[error("it is longer than {PATH_BYTES_MAX} bytes")]
    TooLong,
    /// A name in it is longer than the system opens, and some programs cut it off.
    #[error("a name in it is longer than {NAME_BYTES_MAX} bytes")]
    NameTooLong,
    /// It holds a NUL or another control character.
    #[error("it holds a control character")]
    Control,
    /// It holds characters that nobody sees, or that reorder what is seen.
    #[error("it holds an invisible character")]
    Invisible,
    /// It is not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// A dot, slash, percent sign or control character is written as an escape.
    #[error("a separator, dot or control character is written as an escape")]
    Encoded,
    /// A character looks like a dot or slash, and some systems make it one.
    #[error("it holds a character that looks like a dot or a slash")]
    LookAlike,
    /// The home folder of somebody else.
    #[error("`~name` is the home folder of another user")]
    OtherHome,
    /// A drive, share or backslash of another system.
    #[error("it is a path of another system")]
    Foreign,
    /// A URL or stream wrapper.
    #[error("it is a URL or stream, not a path")]
    Scheme,
    /// `~` where no home folder is known.
    #[error("no home folder is known")]
    NoHome,
}

/// What is wrong with a spelling; `None` where nothing is.
pub fn fault_of(path: &[u8]) -> Option<PathFault> {
    if path.is_empty() {
        return Some(PathFault::Empty);
    }
    if path.len() > PATH_BYTES_MAX {
        return Some(PathFault::TooLong);
    }
    if path.len() > NAME_BYTES_MAX && path.split(|b| *b == b'/').any(|name| name.len() > NAME_BYTES_MAX) {
        return Some(PathFault::NameTooLong);
    }
    // Most paths hold nothing of what follows.
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/._- +,=@#()[]{}!".contains(b);
    let text = std::str::from_utf8(path).ok();
    if path.iter().all(plain) {
        return spelled_out(path).then_some(PathFault::Encoded);
    }
    if path.iter().any(|b| *b < 0x20 || *b == 0x7f) {
        return Some(PathFault::Control);
    }
    let Some(text) = text else { return Some(PathFault::NotUtf8) };
    if text.chars().any(char::is_control) {
        return Some(PathFault::Control);
    }
    if text.chars().any(is_invisible) {
        return Some(PathFault::Invisible);
    }
    if text.chars().any(is_look_alike) {
        return Some(PathFault::LookAlike);
    }
    if path.first() == Some(&b'~') && !matches!(path, [b'~'] | [b'~', b'/', ..]) && is_user(path) {
        return Some(PathFault::OtherHome);
    }
    if is_encoded(path) || spelled_out(path) {
        return Some(PathFault::Encoded);
    }
    if text.contains("://") {
        return Some(PathFault::Scheme);
    }
    let drive = matches!(path, [letter, b':', b'/' | b'\\', ..] | [letter, b':'] if letter.is_ascii_alphabetic());
    (drive || text.contains('\\')).then_some(PathFault::Foreign)
}

/// `~name`, but not a backup file such as `~lock` with a dot or digits only.
fn is_user(path: &[u8]) -> bool {
    let name = path.split(|b| *b == b'/').next().unwrap_or(path).get(1..).unwrap_or(&[]);
    name.first().is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'+' | b'-'))
}

/// Dots and slashes that are none: full-width, leaders, ideographic stops, division and fraction slashes.
fn is_look_alike(c: char) -> bool {
    matches!(
        c,
        '\u{2024}'
            ..='\u{2026}'
                | '\u{2044}'
                | '\u{2215}'
                | '\u{2216}'
                | '\u{29F5}'
                | '\u{29F8}'
                | '\u{29F9}'
                | '\u{3002}'
                | '\u{FE52}'
                | '\u{FE68}'
                | '\u{FF0E}'
                | '\u{FF0F}'
                | '\u{FF3C}'
                | '\u{FF61}'
                | '\u{FF05}'
                | '\u{FF5E}'
    )
}

/// Whether a percent escape, once or several times decoded, yields a separator, dot, percent sign, control character
/// or something that is no proper UTF-8 (over-long forms are none).
fn is_encoded(path: &[u8]) -> bool {
    if !path.contains(&b'%') {
        return false;
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [byte, tail @ ..] = rest {
        match (byte, tail) {
            (b'%', [b'u' | b'U', a, b, c, d, ..]) if [a, b, c, d].iter().all(|x| x.is_ascii_hexdigit()) => return true,
            (b'%', [high, low, tail @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    let value = high << 4 | low;
                    if matches!(value, b'.' | b'/' | b'\\' | b'%' | b'~' | 0..0x20 | 0x7f) {
                        return true;
                    }
                    decoded.push(value);
                    rest = tail;
                    continue;
                }
                // `%%32%65`: a percent sign before an escape.
                _ if *high == b'%' => return true,
                _ => {}
            },
            _ => {}
        }
        decoded.push(*byte);
        rest = tail;
    }
    match std::str::from_utf8(&decoded) {
        Ok(text) => text.chars().any(|c| is_look_alike(c) || is_invisible(c) || c.is_control()),
        Err(_) => true,
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Escapes of other kinds that stand for dots and slashes, and components of dots only that some systems climb with.
fn spelled_out(path: &[u8]) -> bool {
    const NEEDLES: [&[u8]; 12] = [
        b"0x2e0x2e",
        b"0x2f",
        b"0x5c",
        b"..2f",
        b"..5c",
        b"2e2e2f",
        b"2e2e5c",
        b"u2215",
        b"u2216",
        b"u002e",
        b"u002f",
        b"..;/",
    ];
    let dots = |part: &[u8]| part.len() > 2 && part.iter().all(|b| *b == b'.');
    if path.split(|b| *b == b'/').any(dots) {
        return true;
    }
    let suspicious = path.iter().any(|b| matches!(b, b'2' | b'5' | b';'));
    suspicious && {
        let lower = path.to_ascii_lowercase();
        NEEDLES.iter().any(|needle| lower.windows(needle.len()).any(|window| window == *needle))
    }
}
