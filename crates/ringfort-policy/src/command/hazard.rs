// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rules that command analysis can name.
//!
//! In: nothing. Out: [`RULES`], the stable list of `command-NNN` identifiers with one sentence and a risk each.
//!
//! **Invariant:** an identifier never changes its meaning and is never used again. A rule names what was seen;
//! what follows from it is for the policy to say.

use ringfort_core::decision::Risk;

/// One thing that analysis can see.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable identifier, `command-NNN`.
    pub id: &'static str,
    /// The least risk of a command in which it is seen.
    pub risk: Risk,
    /// One sentence.
    pub meaning: &'static str,
}

macro_rules! rules {
    ($($name:ident $id:literal $risk:ident $meaning:literal)*) => {
        $(#[doc = $meaning] pub const $name: Rule = Rule { id: $id, risk: Risk::$risk, meaning: $meaning };)*
        /// Every rule, ordered by identifier.
        pub static RULES: &[&Rule] = &[$(&$name),*];
    };
}

rules! {
    TOO_LONG "command-001" High "the text is longer than the analysis reads"
    TOO_DEEP "command-002" High "the text is nested deeper than the analysis follows"
    TOO_MANY_PARTS "command-003" High "the text has more parts than the analysis follows"
    UNTERMINATED "command-004" High "a quote or construct does not end"
    UNEXPECTED "command-005" High "the text is not shell syntax that is understood"
    AMBIGUOUS "command-006" High "shells read this place differently"
    NUL_BYTE "command-007" High "the text contains a NUL byte, which shells drop or stop at"
    TOO_MANY_EFFECTS "command-008" High "the text has more effects than the analysis lists"
    PROGRAM_UNKNOWN "command-010" High "the program is only known at run time"
    TEXT_EXECUTED "command-011" High "text that is only known at run time is run as code"
    INLINE_CODE "command-012" High "inline code that was not understood is run"
    EMPTY_COMMAND "command-013" Low "there is no command"
    DOWNLOAD_EXECUTED "command-020" Critical "something downloaded is run as code"
    SECRET_SENT "command-021" Critical "a credential is read and sent over the network"
    REMOTE_SHELL "command-022" Critical "a shell is connected to the network"
    DECODED_EXECUTED "command-023" Critical "text is decoded or transformed and then run as code"
    WRITTEN_EXECUTED "command-024" High "a file is written and then run"
    DELETES_EVERYTHING "command-030" Critical "it deletes the root, a home, a system folder or a parent of the workspace"
    DELETES_UNKNOWN "command-031" High "it deletes something that is only known at run time"
    DELETES_OUTSIDE "command-032" High "it deletes a tree outside the working folder"
    WRITES_DEVICE "command-033" Critical "it writes to a device or to kernel state"
    WRITES_SYSTEM "command-034" High "it changes system files"
    WRITES_STARTUP "command-035" Critical "it changes a file that is run or trusted later by itself"
    WRITES_PROJECT_STARTUP "command-036" High "it changes a project file that tools run by themselves"
    READS_SECRET "command-037" High "it reads a credential"
    FORK_BOMB "command-038" Critical "a function starts itself in the background without end"
    DELETES_WORKSPACE "command-039" High "it deletes everything in the working folder"
    CHANGES_PRIVILEGE "command-040" High "it gains or hands on rights"
    WEAKENS_SECURITY "command-041" Critical "it switches off or weakens a protection"
    KILLS_WIDELY "command-042" Critical "it stops the machine or processes that it did not start"
    REWRITES_HISTORY "command-043" High "it rewrites published history or discards work"
    PUBLISHES "command-044" High "it publishes something"
    SENDS_DATA "command-045" High "it sends local data over the network"
    LISTENS "command-046" High "it waits for connections"
    DESTROYS_REMOTE "command-047" High "it deletes something on a service or cluster"
    SHELL_ARGUMENT "command-048" High "an argument makes the program start a shell"
    ENVIRONMENT_LOADS_CODE "command-050" High "an assignment decides which code later programs load"
    DEFINES_KNOWN_NAME "command-051" Medium "a function or alias takes the name of a program"
    HIDES_TRACES "command-052" High "it removes or switches off a record"
    OPTION_UNKNOWN "command-053" Medium "a word that is only known at run time may be an option that runs or writes something"
    CONTROL_CHARACTER "command-060" Medium "the text contains control characters"
    INVISIBLE_CHARACTER "command-061" High "the text contains invisible or direction-changing characters"
    LOOK_ALIKE "command-062" High "a program or host is written with look-alike characters"
    NOT_UTF8 "command-063" Medium "the text is not valid UTF-8"
    CARRIAGE_RETURN "command-064" Medium "the text contains a carriage return, which hides text on a terminal"
    DOCUMENT_OPEN "command-065" Medium "a here-document has no delimiter line"
    ODD_PROGRAM_NAME "command-066" High "the program name contains unusual characters"
    PATH_PROGRAM "command-067" Medium "the program is named by a path and not looked up"
    OWN_TOOL "command-080" Critical "it would change, weaken or reveal what judges it"
}

#[cfg(test)]
mod tests {
    use super::RULES;

    #[test]
    fn identifiers_are_unique_and_ordered() {
        for pair in RULES.windows(2) {
            assert!(pair[0].id < pair[1].id, "{} {}", pair[0].id, pair[1].id);
        }
        for rule in RULES {
            assert!(rule.id.len() == 11 && rule.id.starts_with("command-") && !rule.meaning.is_empty());
        }
    }
}
