// SPDX-License-Identifier: MIT OR Apache-2.0
//! Characters that make a text read differently than it runs.
//!
//! In: the whole text. Out: hazards with the span of the character. **Invariant:** plain printable ASCII costs one
//! pass and gives nothing.

use ringfort_core::effect::Span;

use super::hazard::{self, Rule};

/// Most hazards of this kind that are reported.
const HAZARDS_MAX: usize = 16;
/// Bytes that are looked at before the question whether one was odd.
const CHUNK_BYTES: usize = 256;

/// Calls `found` for each character that needs attention.
pub(super) fn inspect(text: &[u8], mut found: impl FnMut(&'static Rule, Span)) {
    // Without a way out inside a chunk, the compiler looks at many bytes at once.
    let odd = |byte: &u8| !matches!(byte, b'\t' | b'\n' | b' '..=b'~');
    let plain = |chunk: &[u8]| !chunk.iter().fold(false, |any, byte| any | odd(byte));
    if text.chunks(CHUNK_BYTES).all(plain) {
        return;
    }
    let mut left = HAZARDS_MAX;
    let mut report = |rule, start, length| {
        if left > 0 {
            left -= 1;
            found(rule, Span::new(start, start + length));
        }
    };
    let mut offset = 0;
    for chunk in text.utf8_chunks() {
        for (at, character) in chunk.valid().char_indices() {
            let rule = match character {
                '\t' | '\n' | ' '..='~' => continue,
                '\0' => continue,
                '\r' => &hazard::CARRIAGE_RETURN,
                '\u{1}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => &hazard::CONTROL_CHARACTER,
                _ if is_invisible(character) => &hazard::INVISIBLE_CHARACTER,
                _ => continue,
            };
            report(rule, offset + at, character.len_utf8());
        }
        offset += chunk.valid().len();
        if !chunk.invalid().is_empty() {
            report(&hazard::NOT_UTF8, offset, chunk.invalid().len());
            offset += chunk.invalid().len();
        }
    }
}

/// Characters without width, direction controls and tags. Those that ordinary text and emoji use are not here.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
            | '\u{200b}' | '\u{200c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0001}'..='\u{e007f}'
    )
}
