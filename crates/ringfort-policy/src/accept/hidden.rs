// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hides the secrets of two configuration texts, so that their difference can be shown.
//!
//! In: the accepted text and the present one. Out: both without values of secrets, and how many were hidden.
//!
//! **Invariant:** a value is replaced by a number that is the same for the same value in both texts, so that a change of
//! a secret is seen and the secret is not. A text whose secrets cannot be found shows no value at all.

use std::path::Path;

use ringfort_core::form::Form;

use crate::secret_place::{self, SecretPlace};

/// What stands for a value of a text whose secrets cannot be found.
const NOT_SHOWN: &str = " [not shown]";

/// Two texts without their secrets.
#[derive(Debug)]
pub(super) struct Hidden {
    pub(super) old: String,
    pub(super) new: String,
    /// How many values were replaced.
    pub(super) count: usize,
}

pub(super) fn hide(path: &Path, old: &str, new: &str) -> Hidden {
    let mut values: Vec<String> = Vec::new();
    let mut count = 0;
    let mut one = |text: &str| match secret_place::find(path, text) {
        Ok(places) => replaced(text, &places, &mut values, &mut count),
        Err(_) => without_values(text, &mut count),
    };
    let (old, new) = (one(old), one(new));
    Hidden { old, new, count }
}

/// What a value is called in its place; `None` where it holds no secret.
fn name_of(place: &SecretPlace) -> Option<&'static str> {
    match place.form {
        _ if place.text.expose().is_empty() => None,
        Ok(Form::OnePassword) => None,
        Ok(Form::Enc2) => Some("enc2 value"),
        Ok(Form::Enc3) => Some("enc3 value"),
        _ => Some("secret"),
    }
}

fn replaced(text: &str, places: &[SecretPlace], values: &mut Vec<String>, count: &mut usize) -> String {
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for place in places {
        let Some(name) = name_of(place) else { continue };
        let value = place.text.expose();
        let number = values.iter().position(|known| known == value).unwrap_or_else(|| {
            values.push(value.clone());
            values.len() - 1
        });
        out.push_str(text.get(at..place.span.start).unwrap_or_default());
        out.push_str(&format!("[{name} {}, not shown]", number + 1));
        at = place.span.end;
        *count += 1;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// Every line up to its first `=`; a line without one could be the rest of a value.
fn without_values(text: &str, count: &mut usize) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let ended = line.ends_with('\n');
        let line = line.trim_end_matches('\n');
        match line.find('=') {
            _ if line.trim().is_empty() => out.push_str(line),
            Some(at) => {
                out.push_str(line.get(..=at).unwrap_or_default());
                out.push_str(NOT_SHOWN);
                *count += 1;
            }
            None => {
                out.push_str(NOT_SHOWN.trim_start());
                *count += 1;
            }
        }
        if ended {
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(old: &str, new: &str) -> Hidden {
        hide(Path::new("ringfort.toml"), old, new)
    }

    #[test]
    fn redact_values_of_secrets_and_keep_their_changes() {
        let text = |value: &str, level: &str| {
            format!("[autonomy]\nlevel = \"{level}\"\n[channels_config.webhook]\nsecret = {value} # why\n")
        };
        for (old, new, in_old, in_new) in [
            (
                "\"hunter2\"",
                "\"hunter2\"",
                "secret = [secret 1, not shown] # why",
                "secret = [secret 1, not shown] # why",
            ),
            ("\"hunter2\"", "\"hunter3\"", "[secret 1, not shown]", "[secret 2, not shown]"),
            ("'hunter2'", "\"hunter2\"", "[secret 1, not shown]", "[secret 1, not shown]"),
            (
                "\"\"\"hunter2\nand more\"\"\"",
                "\"enc3:AAAA\"",
                "[secret 1, not shown]",
                "secret = [enc3 value 2, not shown]",
            ),
            ("\"enc:hunter2\"", "\"ENC3:hunter2\"", "[secret 1, not shown]", "[secret 2, not shown]"),
            ("\"op://hunter/a\"", "\"\"", "op://", "secret = \"\""),
            ("\"hunt\\u0065r2\"", "\"hunter2\"", "[secret 1, not shown]", "[secret 1, not shown]"),
        ] {
            let hidden = hidden(&text(old, "readonly"), &text(new, "full"));
            assert!(hidden.old.contains(in_old) && hidden.new.contains(in_new), "{hidden:?}");
            let shown = format!("{}{}", hidden.old, hidden.new).replace("op://hunter", "");
            assert!(!shown.contains("hunt") && !shown.contains("and more"), "{shown}");
            assert!(hidden.old.contains("readonly") && hidden.new.contains("full"));
        }
    }

    #[test]
    fn redact_everything_of_a_text_that_is_not_understood() {
        for text in [
            "[channels_config.webhook]\nsecret = \"hunter2\"\nbroken",
            "channels_config = { webhook = { secret = \"hunter2\" }",
            "[channels_config.webhook]\nsecret = [\"hunter2\"]\n",
            "a = \"\"\"\nhunter2\n\"\"\"\nbroken = ",
            "hunter2",
        ] {
            let hidden = hidden(text, "");
            assert!(!hidden.old.contains("hunter2") && hidden.count > 0, "{hidden:?}");
            assert_eq!(hidden.old.lines().count(), text.lines().count());
        }
    }
}
