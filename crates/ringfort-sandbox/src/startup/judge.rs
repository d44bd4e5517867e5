// SPDX-License-Identifier: MIT OR Apache-2.0
//! Judges the text of one start-up file: harmless, or why not.
//!
//! In: bytes and, for git, where its repository lies. Out: `None` (harmless) or a reason. Pure.
//! **Invariant:** what cannot be parsed is not harmless.

use super::gitconfig::Config;
use super::gitkeys::{self, Place};
use std::path::Path;

/// Most harmful settings that one reason names.
const SETTINGS_NAMED_MAX: usize = 8;

/// Why a new git configuration (or `.gitmodules`) is not harmless.
pub(super) fn config(text: &[u8], place: Place<'_>) -> Option<String> {
    let config = match Config::parse(text) {
        Ok(config) => config,
        Err(error) => return Some(error.to_string()),
    };
    let mut harmful = Vec::new();
    for variable in config.variables() {
        if let Some(why) = gitkeys::judge(place, &variable.name, variable.value.as_deref()) {
            harmful.push(format!("`{}`: {why}", variable.name.escape_ascii()));
            if harmful.len() == SETTINGS_NAMED_MAX {
                break;
            }
        }
    }
    (!harmful.is_empty()).then(|| harmful.join("; "))
}

/// Why a rebase in progress is not harmless.
pub(super) fn rebase_todo(text: &[u8]) -> Option<String> {
    const HARMLESS: &[&str] = &[
        "pick",
        "p",
        "reword",
        "r",
        "edit",
        "e",
        "squash",
        "s",
        "fixup",
        "f",
        "break",
        "b",
        "drop",
        "d",
        "label",
        "l",
        "reset",
        "t",
        "merge",
        "m",
        "update-ref",
        "u",
        "noop",
    ];
    for line in text.split(|b| matches!(b, b'\n' | b'\r')) {
        let word = line.split(|b| b.is_ascii_whitespace()).find(|word| !word.is_empty()).unwrap_or_default();
        let harmless = word.is_empty() || word.starts_with(b"#") || HARMLESS.iter().any(|w| w.as_bytes() == word);
        if !harmless {
            return Some("the rebase in progress would run a command".to_owned());
        }
    }
    None
}

/// Why a Rust toolchain file is not harmless: it may name a folder with programs.
pub(super) fn rust_toolchain(text: &[u8]) -> Option<String> {
    // The legacy form is one line; as a channel it has no slash.
    let names_path = text.windows(4).any(|w| w == b"path") || text.iter().any(|b| matches!(b, b'/' | b'\\'));
    names_path.then(|| "it may take the compiler from a folder".to_owned())
}

/// Why the `commondir` of the git folder `directory` is not harmless.
pub(super) fn common_directory(text: &[u8], directory: &Path) -> Option<String> {
    let is_worktree = directory.parent().is_some_and(|parent| parent.ends_with("worktrees"));
    let harmless = is_worktree && text.trim_ascii_end() == b"../..";
    (!harmless).then(|| "it takes configuration and hooks from another folder".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rebase_is_kept_only_without_commands() {
        for (text, harmless) in [
            ("pick 0123 a\nfixup -C 4567 b\n# exec in a comment\n\n", true),
            ("noop\n", true),
            ("pick 0123 a\nexec make\n", false),
            ("  x make", false),
            ("pick 1\rexec make", false),
            ("unheard-of", false),
        ] {
            assert_eq!(rebase_todo(text.as_bytes()).is_none(), harmless, "{text:?}");
        }
    }

    #[test]
    fn a_toolchain_is_kept_only_without_a_folder() {
        for (text, harmless) in [
            ("1.95.0\n", true),
            ("[toolchain]\nchannel = \"stable\"\n", true),
            ("[toolchain]\npath = \"evil\"\n", false),
            ("[toolchain]\n\"p\\u0061th\" = \"evil\"\n", false),
            ("/tmp/evil", false),
        ] {
            assert_eq!(rust_toolchain(text.as_bytes()).is_none(), harmless, "{text:?}");
        }
    }

    #[test]
    fn commondir_is_kept_only_in_a_worktree() {
        for (text, directory, harmless) in [
            ("../..\n", ".git/worktrees/x", true),
            ("../..\n", ".git", false),
            ("../../../evil", ".git/worktrees/x", false),
            ("/abs", ".git/worktrees/x", false),
        ] {
            assert_eq!(common_directory(text.as_bytes(), Path::new(directory)).is_none(), harmless, "{text:?}");
        }
    }
}
