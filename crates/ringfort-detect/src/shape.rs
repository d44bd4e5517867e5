// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a value looks like: made by a machine, made of words, or a placeholder.
//!
//! In: a value without its quotes. Out: yes or no, from letters, digits and common pairs of letters alone.
//!
//! **Invariant:** linear in the value, of which at most [`LOOKED_AT_BYTES_MAX`] bytes are looked at.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

/// How much of a value is looked at. Bytes.
pub(crate) const LOOKED_AT_BYTES_MAX: usize = 256;
/// Shortest value that can look random. Bytes.
const RANDOM_BYTES_MIN: usize = 8;

/// For each letter, the letters that often follow it in English text and program names (bit 0 is `a`). These pairs
/// are 96 % of those in ordinary words and 36 % of those in random letters.
const FOLLOWERS: [u32; 26] = [
    0x13E_BD6E, 0x016_4915, 0x01E_4D95, 0x016_4919, 0x0AF_B97D, 0x018_4931, 0x016_6190, 0x00A_4111, 0x2AE_F87F,
    0x000_0000, 0x004_0110, 0x11C_4919, 0x014_D113, 0x03C_6D7D, 0x07E_FD4E, 0x01E_C911, 0x010_0000, 0x11E_7D7D,
    0x11C_C995, 0x11E_4995, 0x00E_B957, 0x000_0111, 0x002_6191, 0x008_8111, 0x004_8000, 0x000_0010,
];

/// Texts that only placeholders contain, in lower case.
const PLACEHOLDER_PARTS: &[&str] = &[
    "xxxx",
    "****",
    "....",
    "example",
    "changeme",
    "change-me",
    "change_me",
    "change me",
    "placeholder",
    "redacted",
    "your-",
    "your_",
    "your ",
    "yourpass",
    "yourkey",
    "yourtoken",
    "yoursecret",
    "yourapi",
    "<",
    "${",
    "$(",
    "{{",
    "}}",
    "%s",
    "%d",
    "{}",
    "{:",
    "(?",
    "%{",
    "#{",
    "process.env",
    "os.environ",
    "getenv",
    "env.",
    "env:",
    "env[",
    "insert-",
    "insert_",
    "replace-",
    "replace_",
    "replaceme",
    "replace me",
    "todo",
    "fixme",
    "dummy",
    "not-a-real",
    "not_a_real",
    "notreal",
    "\u{2022}",
    "\u{2026}",
];

/// The parts as one automaton. Without it, which cannot happen, more is redacted.
static PARTS: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::builder().ascii_case_insensitive(true).build(PLACEHOLDER_PARTS).ok());

/// Values that are no secrets, in lower case.
const PLACEHOLDER_WHOLE: &[&str] = &[
    "password",
    "passphrase",
    "required",
    "optional",
    "string",
    "undefined",
    "disabled",
    "enabled",
    "username",
    "anonymous",
    "localhost",
    "authorization",
    "plaintext",
    "unknown",
    "default",
    "internal",
    "external",
    "incorrect",
    "invalid",
    "expired",
    "missing",
    "boolean",
    "integer",
    "number",
    "object",
    "protected",
    "encrypted",
    "function",
    "attribute",
    "credentials",
    "database",
    "generate",
    "generated",
    "interactive",
];

/// Parts of names that themselves speak about secrets.
const NAME_PARTS: &[&str] = &["password", "passwd", "token", "secret", "api_key", "apikey", "api-key", "credential"];

/// Whether a value stands for another one: a placeholder, a template, a mask, something already redacted.
pub(crate) fn is_placeholder(value: &[u8]) -> bool {
    let value = looked_at(value);
    let first = value.first().copied().unwrap_or_default();
    let varied = value.iter().any(|byte| *byte != first);
    let last = value.last().copied().unwrap_or_default();
    let lower = value.to_ascii_lowercase();
    !varied
        || matches!(first, b'$' | b'%' | b'<' | b'{') && (matches!(last, b'}' | b'%' | b'>') || is_name(value))
        || (first == b'[' && last == b']')
        || PLACEHOLDER_WHOLE.iter().any(|whole| lower == whole.as_bytes())
        || PARTS.as_ref().is_some_and(|parts| parts.is_match(value))
        || is_counted(&lower)
}

/// Whether a token is a mask or a shown form: a letter over and over, dots, an ellipsis.
pub(crate) fn is_mask(token: &[u8]) -> bool {
    let token = looked_at(token);
    let run = |byte: u8| token.windows(5).any(|five| five.iter().all(|one| one.eq_ignore_ascii_case(&byte)));
    run(b'x') || run(b'*') || run(b'.') || run(b'0') || distinct(token) < 5
}

/// Whether a value is `$NAME` or `%NAME`.
fn is_name(value: &[u8]) -> bool {
    let name = value.get(1..).unwrap_or_default();
    name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
}

/// Whether a value just counts, as in `12345678` or `1234567890abcdef` behind a longer mask. Letters only never do.
fn is_counted(value: &[u8]) -> bool {
    value.len() >= 8 && value.iter().all(u8::is_ascii_digit) && {
        value.windows(2).all(|pair| matches!(pair, [a, b] if *b == a + 1 || (*a == b'9' && *b == b'0')))
    }
}

/// Whether a value names a secret instead of being one, as `access_token` does.
pub(crate) fn is_secret_name(value: &[u8]) -> bool {
    let lower = looked_at(value).to_ascii_lowercase();
    !lower.iter().any(u8::is_ascii_digit)
        && NAME_PARTS.iter().any(|part| memchr::memmem::find(&lower, part.as_bytes()).is_some())
}

/// Whether most letters of a value stand in words. A value without letters is not wordy.
pub(crate) fn is_wordy(value: &[u8]) -> bool {
    let value = looked_at(value);
    let (mut letters, mut wordy, mut start) = (0_usize, 0_usize, 0_usize);
    for at in 0..=value.len() {
        let here = value.get(at).copied().unwrap_or_default();
        let before = at.checked_sub(1).and_then(|at| value.get(at)).copied().unwrap_or_default();
        let camel = before.is_ascii_lowercase() && here.is_ascii_uppercase();
        if here.is_ascii_alphabetic() && !camel {
            continue;
        }
        let run = value.get(start..at).unwrap_or_default();
        letters += run.len();
        wordy += if is_word(run) { run.len() } else { 0 };
        start = if camel { at } else { at + 1 };
    }
    letters > 0 && wordy * 10 >= letters * 7
}

/// Whether a run of letters reads like a word.
fn is_word(run: &[u8]) -> bool {
    let pairs = run.len().saturating_sub(1);
    let common = run.windows(2).filter(|pair| is_common(pair)).count();
    pairs >= 2 && common * 4 >= pairs * 3
}

fn is_common(pair: &[u8]) -> bool {
    let [a, b] = pair else { return false };
    let followers = FOLLOWERS.get(usize::from(a.to_ascii_lowercase().wrapping_sub(b'a'))).copied().unwrap_or_default();
    let bit = u32::from(b.to_ascii_lowercase().wrapping_sub(b'a'));
    bit < 26 && followers >> bit & 1 == 1
}

/// Whether a value looks made by a machine: no words, and letters mixed with digits, cases or more than names hold.
pub(crate) fn looks_random(value: &[u8]) -> bool {
    let value = looked_at(value);
    let count = |class: fn(&u8) -> bool| value.iter().filter(|byte| class(byte)).count();
    let (digits, upper, lower) =
        (count(u8::is_ascii_digit), count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase));
    if value.len() < RANDOM_BYTES_MIN || upper + lower == 0 || distinct(value) * 3 < value.len().min(24) {
        return false;
    }
    let mixed = digits >= 2 || (value.len() >= 20 && (digits > 0 || (upper >= 3 && lower >= 3)));
    // Between many digits, a few letters are no word.
    let numeric = digits >= upper + lower && digits + upper + lower == value.len();
    (mixed || value.len() >= 24) && (numeric || alternates(value) || !is_wordy(value)) && !is_version(value)
}

/// Whether letters and digits follow each other more often than names have it.
fn alternates(value: &[u8]) -> bool {
    let turn = |pair: &&[u8]| matches!(pair, [a, b] if a.is_ascii_alphabetic() && b.is_ascii_digit() || a.is_ascii_digit() && b.is_ascii_alphabetic());
    value.windows(2).filter(turn).count() >= 3
}

/// How many different bytes a value has.
pub(crate) fn distinct(value: &[u8]) -> usize {
    let mut seen = [false; 256];
    for byte in looked_at(value) {
        if let Some(slot) = seen.get_mut(usize::from(*byte)) {
            *slot = true;
        }
    }
    seen.iter().filter(|slot| **slot).count()
}

/// Whether a value is a version, a date, a size or an address: short groups of digits with at most two letters each.
fn is_version(value: &[u8]) -> bool {
    value
        .split(|byte| !byte.is_ascii_alphanumeric())
        .all(|group| group.len() <= 8 && group.iter().filter(|byte| byte.is_ascii_alphabetic()).count() <= 2)
        && value.iter().any(|byte| matches!(byte, b'.' | b':' | b'/' | b'-'))
}

fn looked_at(value: &[u8]) -> &[u8] {
    value.get(..value.len().min(LOOKED_AT_BYTES_MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_from_random_letters() {
        for word in
            ["documentation", "accessToken", "correct-horse", "getUserName", "session.identifier", "release-2024"]
        {
            assert!(is_wordy(word.as_bytes()) && !looks_random(word.as_bytes()), "`{word}` is words");
        }
        for random in ["q7Zk2mPx9Lw4", "f3a9c04b77e1d852", "abc12345", "Xk-9fQz_w2Vb7Rt0Lm5", "sk-abc123def456"] {
            assert!(looks_random(random.as_bytes()), "`{random}` is random");
        }
        for plain in
            ["", "1234567890", "1.24.3-rc1", "2024-01-31T10:00", "aaaaaaa1a2aaaaaaaaaaaaaa", "us-east-1", "a1b2"]
        {
            assert!(!looks_random(plain.as_bytes()), "`{plain}` is no secret");
        }
    }

    #[test]
    fn placeholders_are_known() {
        for text in [
            "changeme",
            "<your-token>",
            "${TOKEN}",
            "$TOKEN",
            "********",
            "{{ vault }}",
            "%TOKEN%",
            "xxxxxxxx",
            "sk-a*[REDACTED]",
            "your-api-key-here",
            "process.env.TOKEN",
            "[token]",
            "12345678",
            "Password",
        ] {
            assert!(is_placeholder(text.as_bytes()), "`{text}` is a placeholder");
        }
        for text in ["hunter2go", "sk-abc123def456", "pa$$w0rd1", "[x9]k3jd8", "98765432"] {
            assert!(!is_placeholder(text.as_bytes()), "`{text}` is a value");
        }
    }
}
