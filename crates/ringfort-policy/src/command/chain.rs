// SPDX-License-Identifier: MIT OR Apache-2.0
//! Chains: effects that are dangerous because one feeds the other.
//!
//! In: the commands of an analysis with their traits. Out: [`Chain`]s. **Invariant:** a chain is only reported where
//! data can flow: along a pipeline, into a word, through a variable, through a file or inside one command.

mod carry;

use super::analysis::{Chain, PlaceKind};
use super::effect::{DECODES, NETWORK, RUNS_INPUT, RUNS_WORD, SECRET, SHELL};
use super::hazard::{self, Rule};
use super::walk::Walker;

/// Most chains that are reported.
const CHAINS_MAX: usize = 64;
/// Most levels that are climbed from a command to what contains it.
const LEVELS_MAX: usize = 64;

struct Stage {
    pipeline: usize,
    stage: usize,
    traits: u16,
    command: usize,
}

impl Walker<'_> {
    /// Finds every chain; called once, at the end, with the text that was analysed.
    pub(super) fn find_chains(&mut self, text: &[u8]) {
        // Every chain starts with one of these.
        if self.traits.iter().fold(0, |all, traits| all | traits) & (NETWORK | SECRET | DECODES) == 0 {
            return;
        }
        self.pipeline_chains();
        self.word_chains();
        self.carried_chains(text);
        let both: Vec<usize> = self
            .traits
            .iter()
            .enumerate()
            .filter(|(_, traits)| **traits & (NETWORK | SECRET) == NETWORK | SECRET)
            .map(|(index, _)| index)
            .collect();
        for index in both {
            self.chain(&hazard::SECRET_SENT, index, index);
        }
    }

    fn chain(&mut self, rule: &'static Rule, from: usize, to: usize) {
        let Some(command) = self.out.commands.get_mut(to) else { return };
        let chain = Chain { rule, from, to, span: command.span };
        command.risk = command.risk.max(rule.risk);
        self.out.risk = self.out.risk.max(rule.risk);
        let known = self.out.chains.iter().any(|known| known.rule == rule && known.to == to);
        if self.out.chains.len() < CHAINS_MAX && !known {
            self.out.chains.push(chain);
        }
    }

    fn pipeline_chains(&mut self) {
        let mut stages: Vec<Stage> = Vec::new();
        for (index, command) in self.out.commands.iter().enumerate() {
            let traits = self.traits.get(index).copied().unwrap_or(0);
            if traits == 0 {
                continue;
            }
            // Output of a substitution goes where the command that uses it writes.
            let mut current = Some(command);
            let mut left = LEVELS_MAX;
            while let Some(at) = current {
                let mut place = Some((at.place.pipeline, at.place.stage));
                while let (Some((pipeline, stage)), true) = (place, left > 0) {
                    left -= 1;
                    stages.push(Stage { pipeline, stage, traits, command: index });
                    place = self.flows.get(pipeline).copied().flatten();
                }
                current =
                    at.via.filter(|_| left > 0 && flows_out(at.place.kind)).and_then(|via| self.out.commands.get(via));
            }
        }
        stages.sort_by_key(|s| (s.pipeline, s.stage));
        let mut found = Vec::new();
        let mut rest = stages.as_slice();
        while let Some(first) = rest.first() {
            let length = rest.iter().position(|s| s.pipeline != first.pipeline).unwrap_or(rest.len());
            let (group, tail) = rest.split_at(length);
            rest = tail;
            if first.pipeline != 0 {
                pairs(group, &mut found);
            }
        }
        for (rule, from, to) in found {
            self.chain(rule, from, to);
        }
    }

    /// Output of a substitution that becomes a word of a command which runs or sends it.
    fn word_chains(&mut self) {
        let mut found = Vec::new();
        for (index, command) in self.out.commands.iter().enumerate() {
            let traits = self.traits.get(index).copied().unwrap_or(0);
            if traits & (NETWORK | SECRET | DECODES | RUNS_INPUT) == 0 {
                continue;
            }
            let mut kind = command.place.kind;
            let mut user = command.via;
            for _ in 0..LEVELS_MAX {
                let Some(outer) = user else { break };
                let Some(using) = self.out.commands.get(outer) else { break };
                let outer_traits = self.traits.get(outer).copied().unwrap_or(0);
                if matches!(kind, PlaceKind::Substitution | PlaceKind::Process) {
                    let runs = outer_traits & (RUNS_WORD | RUNS_INPUT) != 0;
                    if runs && traits & NETWORK != 0 {
                        found.push((&hazard::DOWNLOAD_EXECUTED, index, outer));
                    }
                    if runs && traits & DECODES != 0 {
                        found.push((&hazard::DECODED_EXECUTED, index, outer));
                    }
                    if outer_traits & NETWORK != 0 && traits & SECRET != 0 {
                        found.push((&hazard::SECRET_SENT, index, outer));
                    }
                }
                if kind == PlaceKind::Process {
                    if outer_traits & NETWORK != 0 && traits & RUNS_INPUT != 0 {
                        found.push((&hazard::DOWNLOAD_EXECUTED, outer, index));
                    }
                    if outer_traits & SECRET != 0 && traits & NETWORK != 0 {
                        found.push((&hazard::SECRET_SENT, outer, index));
                    }
                }
                kind = using.place.kind;
                user = using.via;
            }
        }
        for (rule, from, to) in found {
            self.chain(rule, from, to);
        }
    }
}

/// Whether what a command prints there becomes part of the command around it.
fn flows_out(kind: PlaceKind) -> bool {
    matches!(kind, PlaceKind::Substitution | PlaceKind::Process)
}

/// Every pair of an earlier and a later stage that belongs together.
fn pairs(group: &[Stage], found: &mut Vec<(&'static Rule, usize, usize)>) {
    let earlier =
        |traits: u16, stage: usize| group.iter().find(|s| s.stage < stage && s.traits & traits != 0).map(|s| s.command);
    for stage in group {
        if found.len() >= CHAINS_MAX {
            return;
        }
        if stage.traits & RUNS_INPUT != 0 {
            found.extend(earlier(NETWORK, stage.stage).map(|from| (&hazard::DOWNLOAD_EXECUTED, from, stage.command)));
            found.extend(earlier(DECODES, stage.stage).map(|from| (&hazard::DECODED_EXECUTED, from, stage.command)));
        }
        if stage.traits & NETWORK != 0 {
            found.extend(earlier(SECRET, stage.stage).map(|from| (&hazard::SECRET_SENT, from, stage.command)));
            let shell =
                group.iter().find(|s| s.stage < stage.stage && s.traits & SHELL != 0 && s.traits & RUNS_INPUT != 0);
            found.extend(shell.map(|s| (&hazard::REMOTE_SHELL, s.command, stage.command)));
        }
    }
}
