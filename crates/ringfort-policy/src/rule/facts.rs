// SPDX-License-Identifier: MIT OR Apache-2.0
//! What holds for the whole of an analysis, found once: how its hazards are answered, and what names and folders mean.
//!
//! In: the analysis of one command line and the policy. Out: answers for [`super::commands`].
//!
//! **Invariant:** a hazard whose number is not known here is answered like something that is only known at run time.

use ringfort_core::decision::{Decision, Risk};

use super::Policy;
use crate::command::analysis::{Analysis, SimpleCommand};
use crate::path::Setting;

/// What a hazard of the analysis asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// Its effects say the same, and are answered.
    ByEffect,
    /// The cage bounds it.
    Cage,
    /// It is not known what would happen, or what is shown is not what would happen.
    Unresolved,
    /// It is asked about by its risk.
    ByRisk,
    /// It is denied.
    Deny,
}

/// How a hazard is answered. Numbers that are not here are new, and not known.
pub(super) fn treatment(id: &str) -> Treatment {
    match id.strip_prefix("command-").and_then(|number| number.parse::<u16>().ok()) {
        Some(10 | 53 | 60..=62 | 64 | 66) => Treatment::Unresolved,
        Some(11 | 12 | 24 | 40 | 48 | 50 | 51 | 63 | 65 | 67) => Treatment::Cage,
        Some(13) => Treatment::Deny,
        Some(31 | 32 | 34 | 36 | 37 | 45 | 46) => Treatment::ByEffect,
        Some(43 | 44 | 47 | 52) => Treatment::ByRisk,
        _ => Treatment::Unresolved,
    }
}

/// What holds for the whole of an analysis, found once so that the rest is linear.
pub(super) struct Facts<'a> {
    pub(super) analysis: &'a Analysis,
    pub(super) setting: &'a Setting<'a>,
    /// Starts and ends of the hazards that are asked about or denied, by their start.
    asked: Vec<(usize, usize)>,
    /// An assignment or definition decides what a program's name means.
    pub(super) hijacked: bool,
    /// The working folder and the variables of version control stay what they are.
    pub(super) settled: bool,
}

impl<'a> Facts<'a> {
    pub(super) fn new(policy: &Policy, analysis: &'a Analysis, setting: &'a Setting<'a>) -> Self {
        let is_asked = |id: &str, risk: Risk| match treatment(id) {
            Treatment::ByRisk => policy.ask.covers(risk),
            Treatment::Unresolved => policy.unresolved > Decision::Allow,
            Treatment::Deny => true,
            Treatment::ByEffect | Treatment::Cage => false,
        };
        let hazards = analysis.hazards.iter().filter(|hazard| is_asked(hazard.rule.id, hazard.rule.risk));
        let mut asked: Vec<_> = hazards.map(|hazard| (hazard.span.start, hazard.span.end)).collect();
        asked.sort_unstable();
        Self {
            analysis,
            setting,
            asked,
            hijacked: analysis.hazards.iter().any(|hazard| matches!(hazard.rule.id, "command-050" | "command-051")),
            settled: setting.is_inside(&setting.cwd)
                && analysis.commands.iter().all(|command| keeps_folder(command, setting)),
        }
    }

    /// Whether names and folder mean in every command what they mean in the workspace.
    pub(super) fn is_settled(&self) -> bool {
        self.settled && !self.hijacked
    }

    /// Whether a hazard of this command has been asked about.
    pub(super) fn is_asked(&self, command: &SimpleCommand) -> bool {
        let first = self.asked.partition_point(|(start, _)| *start < command.span.start);
        let after = self.asked.get(first..).unwrap_or(&[]);
        after.first().is_some_and(|(_, end)| *end <= command.span.end)
    }
}

/// Whether a command leaves the working folder inside the workspace, and the variables of git alone.
fn keeps_folder(command: &SimpleCommand, setting: &Setting<'_>) -> bool {
    let inside = |argument: &[u8]| match argument {
        [b'/', ..] => setting.is_inside(&setting.resolve(argument)),
        [b'-' | b'~', ..] => false,
        relative => relative.split(|b| *b == b'/').all(|part| part != b".."),
    };
    match command.program.name() {
        Some(b"cd") => {
            !command.args.is_empty() && command.args.iter().all(|argument| argument.known().is_some_and(inside))
        }
        Some(b"pushd" | b"popd" | b"export" | b"declare" | b"typeset") => false,
        Some(_) => true,
        None => command.assignments.iter().all(|(name, _)| !name.starts_with(b"GIT_")),
    }
}
