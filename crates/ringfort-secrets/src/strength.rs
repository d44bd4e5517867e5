// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a passphrase is worth the derivation: length, and how much of it cannot be guessed from a list.
//!
//! In: a passphrase, words that belong to its owner. Out: good, or what is weak and what to do.
//!
//! **Invariant:** the judgement is on the low side: common words, names, runs and repetitions count as one guess each,
//! in whatever case and with digits for letters. It works in locked memory, and what it says quotes nothing of the
//! passphrase.

use std::sync::LazyLock;

use crate::kdf::PASSPHRASE_MAX;
use crate::locked::{Locked, LockedError};

/// Shortest passphrase. Characters.
pub const CHARACTERS_MIN: usize = 12;
/// Least that a passphrase must be worth. Bits.
pub const BITS_MIN: u32 = 45;
/// Shortest word that is sought. Bytes.
const WORD_MIN: usize = 4;
/// Longest word that is sought. Bytes.
const WORD_MAX: usize = 32;
/// The words that people choose.
static LIST: &str = include_str!("../data/common-words.txt");
/// The words, sorted.
static WORDS: LazyLock<Vec<&str>> = LazyLock::new(|| LIST.lines().filter(|line| !line.starts_with('#')).collect());

/// Tenths of a bit, so that no floating point is needed.
const BIT: u32 = 10;
/// A word of the list, in any spelling.
const WORD_WORTH: u32 = 9 * BIT;
/// A run such as `abcd`, `9876` or `aaaa`, of any length.
const RUN_WORTH: u32 = 5 * BIT;
/// A piece that came before.
const AGAIN_WORTH: u32 = BIT;
/// One of the first letters of a word that is in no list.
const LETTER_WORTH: u32 = 3 * BIT;
/// One of its other letters: they follow from the first ones.
const LETTER_LATER_WORTH: u32 = 15;
/// How many letters count as first ones.
const LETTERS_FIRST: u32 = 4;
/// A capital where none is expected.
const CAPITAL_WORTH: u32 = BIT;
/// A digit.
const DIGIT_WORTH: u32 = 3 * BIT;
/// A sign.
const SIGN_WORTH: u32 = 4 * BIT;
/// A space between words.
const SPACE_WORTH: u32 = BIT;

/// How a passphrase was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// It will do.
    Good {
        /// What it is worth at least. Bits.
        bits: u32,
    },
    /// It is too easy to guess.
    Weak(Weakness),
}

/// What is weak, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Weakness {
    /// Too short.
    #[error(
        "it has {characters} characters, at least {CHARACTERS_MIN} are needed: take four or five words that do not belong together"
    )]
    Short {
        /// How many it has.
        characters: usize,
    },
    /// Too long.
    #[error("it is longer than {PASSPHRASE_MAX} bytes: take a shorter one, or a key file")]
    Long,
    /// Mostly of words, names or runs that are tried first.
    #[error(
        "it is mostly made of words, names or runs that are tried first (about {bits} bits, {BITS_MIN} are needed): add words that do not belong together"
    )]
    Common {
        /// What it is worth.
        bits: u32,
    },
    /// It uses little else than its owner's own words.
    #[error(
        "it is mostly made of your own name or this machine's (about {bits} bits, {BITS_MIN} are needed): take other words"
    )]
    Own {
        /// What it is worth.
        bits: u32,
    },
    /// Not enough variety.
    #[error("it is too regular (about {bits} bits, {BITS_MIN} are needed): add words that do not belong together")]
    Regular {
        /// What it is worth.
        bits: u32,
    },
    /// It contains what no keyboard gives: a control character or no text.
    #[error("it contains a control character or is no text: type it again")]
    NotText,
}

/// What a judgement found.
#[derive(Default)]
struct Tally {
    worth: u32,
    words: u32,
    own: u32,
}

/// Judges `passphrase`; `own` are words that belong to its owner (the name of the user, of the machine).
///
/// # Errors
///
/// [`LockedError`]: there is no memory to judge it in.
pub fn judge(passphrase: &Locked, own: &[&str]) -> Result<Strength, LockedError> {
    let weak = |weakness| Ok(Strength::Weak(weakness));
    let Ok(text) = std::str::from_utf8(passphrase.expose()) else { return weak(Weakness::NotText) };
    if text.chars().any(char::is_control) {
        return weak(Weakness::NotText);
    }
    let characters = text.chars().count();
    if characters < CHARACTERS_MIN {
        return weak(Weakness::Short { characters });
    }
    if text.len() > PASSPHRASE_MAX {
        return weak(Weakness::Long);
    }
    // Two readings of digits and signs that stand for letters: `1` is an `i` or an `l`.
    let (lower, first, second) = (fold(text, plain)?, fold(text, with_i)?, fold(text, with_l)?);
    let readings = [lower.expose(), first.expose(), second.expose()];
    let tally = tally(text.as_bytes(), readings, own);
    let bits = tally.worth / BIT;
    Ok(match tally {
        _ if bits >= BITS_MIN => Strength::Good { bits },
        Tally { own, .. } if own > 0 => Strength::Weak(Weakness::Own { bits }),
        Tally { words, .. } if words > 0 => Strength::Weak(Weakness::Common { bits }),
        _ => Strength::Weak(Weakness::Regular { bits }),
    })
}

/// A reading of `text`, byte for byte.
fn fold(text: &str, read: fn(u8) -> u8) -> Result<Locked, LockedError> {
    let mut folded = Locked::zeroed(text.len())?;
    folded.expose_mut().iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = read(from));
    Ok(folded)
}

const fn plain(byte: u8) -> u8 {
    byte.to_ascii_lowercase()
}

const fn with_i(byte: u8) -> u8 {
    match byte {
        b'0' => b'o',
        b'1' | b'!' => b'i',
        b'3' => b'e',
        b'4' | b'@' => b'a',
        b'5' | b'$' => b's',
        b'6' | b'9' => b'g',
        b'7' | b'+' => b't',
        b'8' => b'b',
        byte => byte.to_ascii_lowercase(),
    }
}

const fn with_l(byte: u8) -> u8 {
    match byte {
        b'1' | b'!' => b'l',
        b'7' => b'l',
        byte => with_i(byte),
    }
}

/// Walks through the passphrase, taking the longest known piece at each place.
fn tally(text: &[u8], readings: [&[u8]; 3], own: &[&str]) -> Tally {
    let mut tally = Tally::default();
    let mut at = 0;
    // Letters of an unknown word so far.
    let mut letters = 0;
    while let Some(&byte) = text.get(at) {
        let known = readings.iter().map(|reading| word_at(reading, at)).max().unwrap_or(0);
        let owned = readings.iter().map(|reading| own_at(reading, at, own)).max().unwrap_or(0);
        let run = run_at(readings[0], at);
        let again = again_at(readings[0], at);
        let piece = known.max(owned).max(run).max(again);
        if piece >= WORD_MIN {
            // The cheapest explanation of those that reach as far counts.
            tally.worth += match piece {
                _ if piece == again => AGAIN_WORTH,
                _ if piece == run => RUN_WORTH,
                _ => WORD_WORTH,
            };
            tally.own += u32::from(piece == owned);
            tally.words += u32::from(piece == known || piece == run);
            at += piece;
            letters = 0;
            continue;
        }
        let is_letter = byte.is_ascii_alphabetic() || byte >= 0x80;
        tally.worth += match byte {
            // The other bytes of a character outside ASCII.
            0x80..=0xbf => 0,
            b' ' => SPACE_WORTH,
            b'0'..=b'9' => DIGIT_WORTH,
            _ if is_letter && letters < LETTERS_FIRST => LETTER_WORTH,
            _ if is_letter => LETTER_LATER_WORTH,
            _ => SIGN_WORTH,
        };
        tally.worth += if byte.is_ascii_uppercase() && letters > 0 { CAPITAL_WORTH } else { 0 };
        letters = if is_letter { letters + 1 } else { 0 };
        at += 1;
    }
    tally
}

/// Length of the longest word of the list at `at`; zero for none.
fn word_at(reading: &[u8], at: usize) -> usize {
    let rest = reading.get(at..).unwrap_or_default();
    (WORD_MIN..=WORD_MAX.min(rest.len()))
        .rev()
        .find(|&length| {
            let piece = rest.get(..length).unwrap_or_default();
            WORDS.binary_search_by(|word| word.as_bytes().cmp(piece)).is_ok()
        })
        .unwrap_or(0)
}

/// Length of the longest of the owner's words at `at`; zero for none.
fn own_at(reading: &[u8], at: usize, own: &[&str]) -> usize {
    let rest = reading.get(at..).unwrap_or_default();
    let starts = |word: &&str| rest.get(..word.len()).is_some_and(|piece| piece.eq_ignore_ascii_case(word.as_bytes()));
    own.iter().copied().filter(|word| word.len() >= WORD_MIN).filter(starts).map(str::len).max().unwrap_or(0)
}

/// Length of a run at `at` in which each byte follows the one before by the same step of -1, 0 or 1.
fn run_at(reading: &[u8], at: usize) -> usize {
    let rest = reading.get(at..).unwrap_or_default();
    let steps = |pair: &[u8]| match pair {
        [a, b] => i16::from(*b) - i16::from(*a),
        _ => i16::MAX,
    };
    let mut pairs = rest.windows(2).map(steps);
    match pairs.next() {
        Some(step @ -1..=1) => 2 + pairs.take_while(|&next| next == step).count(),
        _ => 1,
    }
}

/// Length of the longest piece at `at` that stands somewhere before as well; zero below [`WORD_MIN`].
fn again_at(reading: &[u8], at: usize) -> usize {
    let (before, rest) = reading.split_at_checked(at).unwrap_or_default();
    let longest = (0..before.len())
        .map(|start| {
            let earlier = before.get(start..).unwrap_or_default();
            earlier.iter().zip(rest).take_while(|(a, b)| a == b).count()
        })
        .max();
    longest.filter(|&length| length >= WORD_MIN).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> Strength {
        judge(&Locked::copy_of(text.as_bytes()).unwrap(), &["margaret", "workstation", "x"]).unwrap()
    }

    #[test]
    fn deny_what_is_tried_first() {
        for text in [
            "",
            "hunter2",
            "Tr0ub4dor&3",
            "password1234",
            "P4ssw0rd!2024",
            "Password123456!",
            "passwordpassword",
            "passwordpasswordpassword",
            "123456789012345678901234567890",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "abcdefghijklmnopqrstuvwxyz",
            "zyxwvutsrqponmlkjihgfedcba",
            "qwertyuiopasdfghjkl",
            "1qaz2wsx3edc",
            "iloveyou iloveyou iloveyou",
            "Summer2024!!",
            "liverpool football",
            "correcthorsebatterystaple",
            "michael jackson 1958",
            "letmein letmein letmein",
            "superman and batman",
            "ringfortringfort1",
            "Dr4g0n M0nk3y 99",
            "abcabcabcabcabcabcabcabc",
            "a1a1a1a1a1a1a1a1a1a1a1a1",
            "tab\tin it that is long enough to be good",
        ] {
            assert!(matches!(judged(text), Strength::Weak(_)), "{text}: {:?}", judged(text));
        }
        assert!(matches!(judged("Margaret-Workstation"), Strength::Weak(Weakness::Own { .. })));
        assert!(matches!(judged("M4rg4ret1962!"), Strength::Weak(Weakness::Own { .. })));
        assert!(matches!(judged(&"x y".repeat(400)), Strength::Weak(Weakness::Long)));
        let bytes = Locked::copy_of(&[0xff; 40]).unwrap();
        assert_eq!(judge(&bytes, &[]).unwrap(), Strength::Weak(Weakness::NotText));
    }

    #[test]
    fn several_words_or_many_random_characters_will_do() {
        for text in [
            "gravel umpire cactus noodle",
            "trombone-sieve-glacier-mural",
            "purple donkeys calculate slowly",
            "Kx7#qPz!92mLw@4v",
            "hG3kd92mXq0pLs7b",
            "7f1c9e24ab60d83571e2",
            "wozu braucht ein Pinguin Kniestrümpfe",
            "зелёный слон чинит велосипед",
        ] {
            assert!(matches!(judged(text), Strength::Good { .. }), "{text}: {:?}", judged(text));
        }
    }

    #[test]
    fn messages_say_what_to_do_and_quote_nothing() {
        for text in ["hunter2", "password1234", "margaretmargaret", "a1a1a1a1a1a1a1a1"] {
            let Strength::Weak(weakness) = judged(text) else { panic!("{text}") };
            let said = weakness.to_string();
            assert!(said.contains(": take ") || said.contains(": add "), "{said}");
            assert!(!said.contains("hunter") && !said.contains("password") && !said.contains("margaret"), "{said}");
        }
    }

    #[test]
    fn the_list_is_sorted_and_of_words_that_can_match() {
        assert!(WORDS.len() > 1000 && WORDS.is_sorted(), "{}", WORDS.len());
        for word in WORDS.iter() {
            let fits = (WORD_MIN..=WORD_MAX).contains(&word.len());
            assert!(fits && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{word}");
        }
    }
}
