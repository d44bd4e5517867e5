// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands about which the policy has said that there is no question: `autonomy.unasked_commands`.
//!
//! In: an analysis. Out: which of its commands are named, word for word.
//!
//! **Invariant:** only a question is waived, never a denial. A command is named only where its words are what they
//! seem: each is known, nothing is redirected or piped into it, nothing in the text changes its folder, its variables or
//! the meaning of its name.

use ringfort_core::effect::Span;

use super::Policy;
use super::facts::Facts;
use super::prefix::CommandPrefix;
use crate::command::analysis::{Analysis, Context, PlaceKind, Program, SimpleCommand};
use crate::command::analyze;
use crate::path::Setting;

/// Most levels that are climbed from a command to the one that runs it.
const LEVELS_MAX: usize = 64;

/// Most bytes of an entry.
const ENTRY_BYTES_MAX: usize = 1024;

/// Hazards that are what the named command does; the others say that it may be another command than it seems.
const WAIVED: [&str; 7] =
    ["command-012", "command-024", "command-040", "command-043", "command-044", "command-047", "command-067"];

/// An entry of `autonomy.unasked_commands`: one command, as a shell reads it, with nothing left to run time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeCommand {
    program: CommandPrefix,
    words: Vec<Vec<u8>>,
}

/// Why a text is no entry. Nothing was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WholeError(&'static str);

impl WholeCommand {
    /// Reads an entry: a program and its words, quoted as for a shell where they need it.
    ///
    /// # Errors
    ///
    /// [`WholeError`]: it is too long, no single command, or holds something that is only known at run time.
    pub fn parse(text: &str) -> Result<Self, WholeError> {
        if text.len() > ENTRY_BYTES_MAX {
            return Err(WholeError("an entry is not longer than 1024 bytes"));
        }
        if text.chars().any(|c| c.is_control() || ringfort_core::text::is_invisible(c)) {
            return Err(WholeError("an entry holds no control and no invisible characters"));
        }
        let analysis = analyze(text.as_bytes(), &Context::default());
        let mut roots = analysis.commands.iter().filter(|command| command.via.is_none());
        let (Some(command), None, true) = (roots.next(), roots.next(), analysis.unanalysable.is_empty()) else {
            return Err(WholeError("an entry is one command"));
        };
        let alone = command.place.kind == PlaceKind::Top && command.place.stage == 0 && is_bare(command);
        let Program::Known(program) = &command.program else {
            return Err(WholeError("an entry names its program"));
        };
        let program = std::str::from_utf8(program).ok().and_then(|program| CommandPrefix::parse(program).ok());
        let words: Option<Vec<Vec<u8>>> =
            command.args.iter().map(|argument| argument.known().map(<[u8]>::to_vec)).collect();
        match (program.filter(|program| program.words() == 1), words) {
            (Some(program), Some(words)) if alone && covers_all(command, text) => Ok(Self { program, words }),
            _ => Err(WholeError(
                "an entry is a program and its words, without variables, patterns, assignments and redirections",
            )),
        }
    }

    /// Whether a command is this one, word for word.
    fn is(&self, program: &[u8], command: &SimpleCommand, setting: &Setting<'_>) -> bool {
        self.words.len() == command.args.len()
            && self.words.iter().zip(&command.args).all(|(word, argument)| argument.known() == Some(word))
            && self.program.allows(program, setting)
    }
}

/// Whether nothing is assigned for a command and nothing redirected.
fn is_bare(command: &SimpleCommand) -> bool {
    command.assignments.is_empty() && command.redirections.is_empty()
}

/// Whether a command is all that a text holds.
fn covers_all(command: &SimpleCommand, text: &str) -> bool {
    text.get(command.span.start..command.span.end).is_some_and(|own| own.trim() == text.trim())
}

/// The commands of one analysis that are named, by their index, and the spans of those that stand for themselves.
pub(super) struct Unasked {
    named: Vec<bool>,
    spans: Vec<Span>,
}

impl Unasked {
    /// Whether no question is asked about the command of this index.
    pub(super) fn covers(&self, index: usize) -> bool {
        self.named.get(index).copied().unwrap_or(false)
    }

    /// Whether no question is asked about a hazard.
    pub(super) fn covers_hazard(&self, id: &str, span: Span) -> bool {
        WAIVED.contains(&id) && self.spans.iter().any(|own| own.start <= span.start && span.end <= own.end)
    }
}

impl Policy {
    /// Finds the commands that the policy names.
    pub(super) fn unasked(&self, facts: &Facts<'_>) -> Unasked {
        let analysis = facts.analysis;
        if self.unasked_commands.is_empty() || !facts.is_settled() {
            return Unasked { named: Vec::new(), spans: Vec::new() };
        }
        let roots: Vec<bool> = analysis.commands.iter().map(|command| self.names_whole(command, facts)).collect();
        let own = analysis.commands.iter().zip(&roots).filter(|(_, named)| **named);
        let spans = own.map(|(command, _)| command.span).collect();
        // What a named command runs has been named with it.
        let named =
            (0..roots.len()).map(|index| root_of(analysis, index).is_some_and(|root| roots.get(root) == Some(&true)));
        Unasked { named: named.collect(), spans }
    }

    fn names_whole(&self, command: &SimpleCommand, facts: &Facts<'_>) -> bool {
        let Program::Known(program) = &command.program else { return false };
        let alone = command.via.is_none() && command.place.stage == 0 && is_bare(command);
        alone && self.unasked_commands.iter().any(|entry| entry.is(program, command, facts.setting))
    }
}

/// The command that stands in the text itself and runs this one.
fn root_of(analysis: &Analysis, index: usize) -> Option<usize> {
    let mut at = index;
    for _ in 0..LEVELS_MAX {
        let command = analysis.commands.get(at)?;
        match command.via {
            None => return Some(at),
            Some(_) if matches!(command.place.kind, PlaceKind::Substitution | PlaceKind::Process) => return None,
            Some(via) => at = via,
        }
    }
    None
}
