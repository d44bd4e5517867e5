// SPDX-License-Identifier: MIT OR Apache-2.0
//! The forms in which a configuration file holds a secret.
//!
//! In: a text as it stands in the file. Out: its [`Form`]; opening it is [`crate::traits::Unseal`].
//!
//! **Invariant:** a text that looks like a form and is none that is known here is refused: it is never taken for the
//! secret itself.

use std::fmt;

use crate::text::is_invisible;

/// Longest text in a configuration file that holds a secret. Bytes.
pub const SECRET_TEXT_BYTES_MAX: usize = 128 << 10;
/// Longest word before the colon that is compared with forms. Bytes.
const PREFIX_BYTES_MAX: usize = 24;

/// In what form a text holds its secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// The secret itself.
    Plain,
    /// Repeating-key XOR of an old program. Nothing shows a change of it; read by an explicit migration only.
    Enc,
    /// ChaCha20-Poly1305 with the key file beside the configuration, not bound to its place.
    Enc2,
    /// XChaCha20-Poly1305 with a key of the secret store, bound to its place.
    Enc3,
    /// A reference to 1Password, which another program would have to open.
    OnePassword,
}

/// The forms that have a prefix.
const PREFIXES: &[(&str, Form)] =
    &[("enc:", Form::Enc), ("enc2:", Form::Enc2), ("enc3:", Form::Enc3), ("op://", Form::OnePassword)];

/// A text looks like a form, and none such is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it begins like a sealed value (`{}`), and no such form is known here", prefix.escape_debug())]
pub struct UnknownForm {
    /// What it begins with; a prefix only, never a part of a value.
    pub prefix: String,
}

impl Form {
    /// The form of a text.
    ///
    /// # Errors
    ///
    /// [`UnknownForm`]: it is neither a known form nor plain text.
    pub fn of(text: &str) -> Result<Self, UnknownForm> {
        if let Some((_, form)) = PREFIXES.iter().find(|(prefix, _)| text.starts_with(prefix)) {
            return Ok(*form);
        }
        let begin = text.trim_start_matches(|c: char| c.is_whitespace() || c.is_control() || is_invisible(c));
        match begin.split_once(':') {
            Some((word, rest)) if looks_like_a_form(word, rest) => {
                Err(UnknownForm { prefix: format!("{}{word}:", if begin.len() < text.len() { " " } else { "" }) })
            }
            _ => Ok(Self::Plain),
        }
    }

    /// Its name: `plain`, or its prefix without the colon.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Enc => "enc",
            Self::Enc2 => "enc2",
            Self::Enc3 => "enc3",
            Self::OnePassword => "op",
        }
    }

    /// Whether it can be opened in its place: everything but what only a migration reads, and what is not run.
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Plain | Self::Enc2 | Self::Enc3)
    }
}

/// `enc`, then a number or version, in any case; or `op` before two slashes.
fn looks_like_a_form(word: &str, rest: &str) -> bool {
    if word.len() > PREFIX_BYTES_MAX {
        return false;
    }
    let word = word.trim_end().to_ascii_lowercase();
    let versioned = word
        .strip_prefix("enc")
        .is_some_and(|tail| tail.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'v' | b'.' | b'_' | b'-')));
    versioned || (word == "op" && rest.starts_with("//"))
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_told_by_their_prefix() {
        for (text, expected) in [
            ("", Form::Plain),
            ("hunter2", Form::Plain),
            ("encore:x", Form::Plain),
            ("encrypt:x", Form::Plain),
            ("postgres://ada:x@db", Form::Plain),
            ("a enc3:x", Form::Plain),
            ("op:x", Form::Plain),
            ("enc", Form::Plain),
            ("enc2", Form::Plain),
            ("enc:00", Form::Enc),
            ("enc2:", Form::Enc2),
            ("enc2:00", Form::Enc2),
            ("enc3:AA", Form::Enc3),
            ("op://vault/item/field", Form::OnePassword),
        ] {
            assert_eq!(Form::of(text), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn deny_what_looks_like_a_form_and_is_none() {
        for text in [
            "enc4:00",
            "enc1:00",
            "enc33:x",
            "ENC2:00",
            "Enc3:AA",
            " enc3:AA",
            "\u{200b}enc2:00",
            "\tenc:00",
            "enc3 :AA",
            "enc-3:x",
            "encv3:x",
            "enc2.1:00",
            "OP://vault/item",
            " op://vault/item",
            "enc03:AA",
        ] {
            let error = Form::of(text).unwrap_err();
            assert!(error.prefix.len() <= PREFIX_BYTES_MAX + 2 && error.prefix.ends_with(':'), "{text:?} {error}");
            assert!(!error.to_string().contains("AA"), "{error}");
        }
    }
}
