// SPDX-License-Identifier: MIT OR Apache-2.0
//! Command patterns of the configuration: `git`, `git push`, `/opt/tool`.
//!
//! In: the entries of `allowed_commands`, `deny` and `ask_commands`; programs and arguments as an analysis knows them.
//! Out: whether one names the other.
//!
//! **Invariant:** allowing is narrow (a bare name is the program of that name in a system folder, never `./name`);
//! denying and asking are broad (any program of that name, the words anywhere among its arguments).

use crate::path::Setting;

/// Most words of an entry.
const WORDS_MAX: usize = 16;
/// Most bytes of an entry.
const ENTRY_BYTES_MAX: usize = 1024;
/// The folders in which a bare name is looked up.
const PROGRAM_FOLDERS: [&str; 6] =
    ["/usr/bin/", "/bin/", "/usr/local/bin/", "/usr/sbin/", "/sbin/", "/usr/local/sbin/"];

/// An entry of a list of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandPrefix {
    program: String,
    words: Vec<String>,
}

/// Why a text is no entry. Nothing was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PrefixError(&'static str);

impl CommandPrefix {
    /// Reads an entry: a program, and words that must follow it.
    ///
    /// # Errors
    ///
    /// [`PrefixError`]: it is empty, too long, or holds shell syntax.
    pub fn parse(text: &str) -> Result<Self, PrefixError> {
        if text.len() > ENTRY_BYTES_MAX {
            return Err(PrefixError("an entry is not longer than 1024 bytes"));
        }
        if text.contains(['*', '?', '|', ';', '&', '$', '`', '<', '>', '(', ')', '"', '\'', '\\', '\n', '\r', '\0']) {
            return Err(PrefixError("an entry is a program and words, without patterns and shell syntax"));
        }
        if text.chars().any(|c| c.is_control() || ringfort_core::text::is_invisible(c)) {
            return Err(PrefixError("an entry holds no control and no invisible characters"));
        }
        let mut words = text.split_whitespace().map(str::to_owned);
        let Some(program) = words.next().filter(|program| !program.ends_with('/')) else {
            return Err(PrefixError("an entry names a program"));
        };
        let words: Vec<String> = words.collect();
        if words.len() >= WORDS_MAX {
            return Err(PrefixError("an entry has at most 16 words"));
        }
        Ok(Self { program, words })
    }

    /// How many words it has, the program included.
    pub fn words(&self) -> usize {
        self.words.len() + 1
    }

    /// As it is written.
    pub fn to_text(&self) -> String {
        std::iter::once(&self.program).chain(&self.words).map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// Whether `program` is what this entry allows.
    pub(crate) fn allows(&self, program: &[u8], setting: &Setting<'_>) -> bool {
        let mine = self.program.as_bytes();
        if !mine.contains(&b'/') {
            let in_folder = |folder: &&str| program.strip_prefix(folder.as_bytes()) == Some(mine);
            return program == mine || PROGRAM_FOLDERS.iter().any(in_folder);
        }
        if !program.contains(&b'/') {
            return false;
        }
        let mine = match (mine, &setting.workspace) {
            ([b'/' | b'~', ..], _) => setting.resolve(mine),
            (_, Some(workspace)) => [workspace, b"/".as_slice(), mine].concat().into(),
            (_, None) => return false,
        };
        setting.resolve(&mine) == setting.resolve(program)
    }

    /// Whether a command is one that this entry denies or asks about. An argument that is only known at run time
    /// (`None`) counts as any word where a sub-command would stand.
    pub(crate) fn names<'a>(&self, program: &[u8], arguments: impl Iterator<Item = Option<&'a [u8]>>) -> bool {
        let base = |path: &[u8]| path.rsplit(|b| *b == b'/').next().unwrap_or(path).to_owned();
        if base(program) != base(self.program.as_bytes()) {
            return false;
        }
        let mut wanted = self.words.iter().map(String::as_bytes).peekable();
        let mut only_options = true;
        for argument in arguments {
            let Some(word) = wanted.peek() else { return true };
            match argument {
                None if only_options => return true,
                None => {}
                Some(known) if known == *word => {
                    wanted.next();
                }
                Some(known) => only_options &= known.starts_with(b"-"),
            }
        }
        wanted.peek().is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_bare_name_is_the_program_of_the_system_and_no_other() {
        let setting = Setting::new(Path::new("/w/sub"), Path::new("/w"), Some(Path::new("/home/ada")));
        for (entry, program, expected) in [
            ("git", "git", true),
            ("git", "/usr/bin/git", true),
            ("git", "/usr/local/bin/git", true),
            ("git", "./git", false),
            ("git", "sub/git", false),
            ("git", "/w/git", false),
            ("git", "/usr/bin/../../w/git", false),
            ("git", "Git", false),
            ("git", "git2", false),
            ("/opt/x/git", "/opt/x/git", true),
            ("/opt/x/git", "git", false),
            ("/opt/x/git", "/usr/bin/git", false),
            ("./tool", "/w/tool", true),
            ("./tool", "../tool", true),
            ("./tool", "./tool", false),
            ("~/bin/t", "/home/ada/bin/t", true),
        ] {
            let entry = CommandPrefix::parse(entry).unwrap();
            assert_eq!(entry.allows(program.as_bytes(), &setting), expected, "{entry:?} {program}");
        }
    }

    #[test]
    fn deny_entries_find_their_command_in_every_spelling() {
        for (entry, program, arguments, expected) in [
            ("git", "git", vec![], true),
            ("git push", "git", vec![Some("push")], true),
            ("git push", "/usr/bin/git", vec![Some("push"), Some("-f")], true),
            ("git push", "./git", vec![Some("push")], true),
            ("git push", "git", vec![Some("-C"), Some("."), Some("push")], true),
            ("git push", "git", vec![Some("--no-pager"), None], true),
            ("git push", "git", vec![None], true),
            ("git push", "git", vec![Some("commit"), Some("-m"), None], false),
            ("git push", "git", vec![Some("pull")], false),
            ("git push", "gitk", vec![Some("push")], false),
            ("git push --force", "git", vec![Some("push"), Some("origin"), Some("--force")], true),
            ("git push --force", "git", vec![Some("push"), Some("origin")], false),
        ] {
            let entry = CommandPrefix::parse(entry).unwrap();
            let words = arguments.iter().map(|word| word.map(str::as_bytes));
            assert_eq!(entry.names(program.as_bytes(), words), expected, "{entry:?} {program} {arguments:?}");
        }
    }

    #[test]
    fn deny_entries_that_are_no_commands() {
        for text in ["", " ", "*", "git *", "git;ls", "a|b", "$x", "bin/", "a\u{200b}", &"x ".repeat(20)] {
            assert!(CommandPrefix::parse(text).is_err(), "`{text}`");
        }
    }
}
