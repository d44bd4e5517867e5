// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a short text holds any keyword at all, told without building the engine.
//!
//! In: a text. Out: whether a rule or a detector could find something in it.
//!
//! **Invariant:** "no" only where the engine would have no hit: its keywords are exactly these (tested). Nothing is
//! allocated; work is bounded by [`SHORT_TEXT_BYTES`] and the keywords that share a first letter.
//! This is for processes that live for one text: reading the rules takes them longer than anything else they do.

use crate::detectors::DETECTORS;

include!(concat!(env!("OUT_DIR"), "/keywords.rs"));

/// Up to this length it is worth looking before the engine is built. Bytes.
pub(crate) const SHORT_TEXT_BYTES: usize = 1024;

/// Whether any keyword occurs in `text`, in whatever case.
pub(crate) fn occurs(text: &[u8]) -> bool {
    (0..text.len()).any(|at| begins(text.get(at..).unwrap_or_default()))
}

/// Whether `text` begins with a keyword.
fn begins(text: &[u8]) -> bool {
    let Some(first) = text.first().map(|byte| usize::from(byte.to_ascii_lowercase())) else { return false };
    let starts_with =
        |keyword: &str| text.get(..keyword.len()).is_some_and(|start| start.eq_ignore_ascii_case(keyword.as_bytes()));
    let ours = STARTS.get(first).zip(STARTS.get(first + 1));
    let ours = ours.and_then(|(start, end)| KEYWORDS.get(usize::from(*start)..usize::from(*end)));
    ours.is_some_and(|list| list.lines().any(starts_with))
        || DETECTORS.iter().flat_map(|detector| detector.keywords).any(|keyword| starts_with(keyword))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::engine::Engine;

    #[test]
    fn these_are_the_keywords_of_the_engine() {
        let ours = KEYWORDS.lines().chain(DETECTORS.iter().flat_map(|detector| detector.keywords.iter().copied()));
        let ours: BTreeSet<Vec<u8>> = ours.map(|keyword| keyword.to_ascii_lowercase().into_bytes()).collect();
        let theirs: BTreeSet<Vec<u8>> = Engine::shared().keywords().iter().cloned().collect();
        assert_eq!(ours, theirs);
        assert!(ours.iter().all(|keyword| occurs(keyword) && occurs(&keyword.to_ascii_uppercase())));
        assert!(ours.iter().all(|keyword| occurs(&[&b"\xff a"[..], keyword, b"\0"].concat())));
    }

    #[test]
    fn ordinary_commands_hold_none() {
        for text in ["", "git status", "ls -la", "cargo test -p core", "\u{fc}\u{0}"] {
            assert!(!occurs(text.as_bytes()), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_without_a_keyword_has_a_hit(text in "[a-z_:/=-]{0,60}") {
            let mut hits = 0;
            Engine::shared().hits(text.as_bytes(), |_| hits += 1);
            proptest::prop_assert!(hits == 0 || occurs(text.as_bytes()));
        }
    }
}
