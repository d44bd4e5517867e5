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
use super::commands::Facts;
use crate::command::analysis::{Analysis, PlaceKind, Program, SimpleCommand};

/// Most levels that are climbed from a command to the one that runs it.
const LEVELS_MAX: usize = 64;

/// Hazards that are what the named command does; the others say that it may be another command than it seems.
const WAIVED: [&str; 7] =
    ["command-012", "command-024", "command-040", "command-043", "command-044", "command-047", "command-067"];

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
        let alone = command.via.is_none()
            && command.place.stage == 0
            && command.assignments.is_empty()
            && command.redirections.is_empty();
        let words = || command.args.iter().map(|argument| argument.known());
        alone && self.unasked_commands.iter().any(|entry| entry.is_whole(program, words(), facts.setting))
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
