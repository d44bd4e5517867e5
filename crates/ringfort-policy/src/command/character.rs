// SPDX-License-Identifier: MIT OR Apache-2.0
//! Characters that make a text read differently than it runs.
//!
//! In: the whole text. Out: hazards with the span of the character. **Invariant:** plain printable ASCII costs one
//! pass and gives nothing.

use ringfort_core::effect::Span;

use super::hazard::{self, Rule};

/// Most hazards of this kind that are reported.
const HAZARDS_MAX: usize = 16;

/// Calls `found` for each character that needs attention.
pub(super) fn inspect(text: &[u8], mut found: impl FnMut(&'static Rule, Span)) {
    let plain = |byte: &u8| matches!(byte, b'\t' | b'\n' | b' '..=b'~');
    if text.iter().all(plain) {
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
                _ if is_disguised(character) => &hazard::LOOK_ALIKE,
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

/// Characters without width, direction controls, tags and odd spaces.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{1680}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180e}' | '\u{2000}'..='\u{200c}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{3000}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Full-width and mathematical forms of ASCII characters.
fn is_disguised(character: char) -> bool {
    matches!(character, '\u{ff01}'..='\u{ff5e}' | '\u{1d400}'..='\u{1d7ff}' | '\u{2215}' | '\u{2044}' | '\u{29f8}' | '\u{37e}' | '\u{2010}'..='\u{2015}' | '\u{fe58}' | '\u{fe63}')
}
