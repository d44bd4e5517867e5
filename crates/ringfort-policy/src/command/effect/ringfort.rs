// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ringfort as a tool of whom it governs: a run is what it runs, looking is harmless, all else is denied.
//!
//! In: the words after `ringfort`. Out: the command that `run` starts as a job in the cage; [`hazard::OWN_TOOL`] where a
//! word would change or reveal what judges.
//!
//! **Invariant:** what is not listed here as harmless is denied: a new subcommand or option is closed until somebody
//! has thought about it. A run counts as caged only where the words name this program and no other, in a folder inside
//! the workspace, and where nothing in the text changes the variables that it reads.

use std::rc::Rc;

use ringfort_core::decision::Risk;
use ringfort_core::effect::{EffectKind, Span};

use super::super::analysis::{Argument, Arity, PlaceKind, Program};
use super::super::hazard;
use super::super::walk::Walker;
use super::{Job, Subject};
use crate::path::is_below;

/// The name under which this program is known; a copy or link of another name is an unknown program.
const NAME: &[u8] = b"ringfort";
/// The folders in which the name with its path is this program.
const FOLDERS: [&[u8]; 4] = [b"/usr/bin/", b"/bin/", b"/usr/local/bin/", b"/opt/homebrew/bin/"];
/// Options of every subcommand that only choose how an answer looks.
const QUIET: [&[u8]; 3] = [b"--json", b"--verbose", b"-v"];
/// Variables by which somebody else would become the judge, or another program would be started.
const OWN_VARIABLES: [&str; 8] = ["RINGFORT_", "XDG_", "HOME", "PATH", "LD_", "DYLD_", "ENV", "BASH_ENV"];

/// A subcommand that changes and reveals nothing: its words, and the options and values that it may have.
struct Harmless {
    words: &'static [&'static [u8]],
    flags: &'static [&'static [u8]],
    values: &'static [&'static [u8]],
    operands: Operands,
}

/// What stands behind the options of a harmless subcommand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operands {
    /// Nothing.
    None,
    /// Words without an effect.
    Words,
    /// Files that are read.
    Files,
}

const HARMLESS: &[Harmless] = &[
    Harmless {
        words: &[b"check"],
        flags: &[b"--explain", b"--isolated", b"--batch"],
        values: &[b"--path", b"--op", b"--tool", b"--arguments", b"--url", b"--method", b"--cwd"],
        operands: Operands::None,
    },
    Harmless { words: &[b"scan"], flags: &[b"--batch", b"--redact"], values: &[], operands: Operands::None },
    Harmless { words: &[b"trail", b"verify"], flags: &[], values: &[], operands: Operands::None },
    Harmless { words: &[b"changes", b"list"], flags: &[], values: &[], operands: Operands::None },
    Harmless { words: &[b"changes"], flags: &[b"--diff", b"--last"], values: &[], operands: Operands::None },
    Harmless { words: &[b"doctor"], flags: &[], values: &[], operands: Operands::None },
    Harmless { words: &[b"providers"], flags: &[], values: &[], operands: Operands::None },
    Harmless { words: &[b"policy", b"schema"], flags: &[b"--project"], values: &[], operands: Operands::None },
    Harmless { words: &[b"policy", b"validate"], flags: &[b"--project"], values: &[], operands: Operands::Files },
    Harmless { words: &[b"completions"], flags: &[], values: &[], operands: Operands::Words },
    Harmless { words: &[b"man"], flags: &[], values: &[], operands: Operands::Words },
    Harmless { words: &[b"help"], flags: &[], values: &[], operands: Operands::Words },
];

fn is_help(word: &[u8]) -> bool {
    matches!(word, b"--help" | b"-h")
}

impl Walker<'_> {
    /// What `ringfort` with these words does.
    pub(in crate::command) fn ringfort(&mut self, args: &[Argument], subject: &mut Subject) {
        self.own.get_or_insert(subject.span);
        let mut at = 0;
        while let Some(arg) = args.get(at) {
            match arg.known() {
                Some(b"--json") => at += 1,
                Some(b"--help" | b"-h" | b"--version" | b"-V") => return,
                Some(b"run") => return self.own_run(args.get(at + 1..).unwrap_or(&[]), subject),
                Some(word) if word.first() != Some(&b'-') => {
                    return self.own_subcommand(args.get(at..).unwrap_or(&[]), subject);
                }
                _ => return self.rule(subject, &hazard::OWN_TOOL, arg.span),
            }
        }
    }

    /// `run`: the options that choose no judge, and then the command.
    fn own_run(&mut self, args: &[Argument], subject: &mut Subject) {
        if args.first().and_then(Argument::known).is_some_and(is_help) {
            return;
        }
        let mut at = 0;
        while let Some(arg) = args.get(at) {
            match arg.known() {
                // Copy-on-write keeps back what the run does; what is kept back is applied by people alone.
                Some(b"--json" | b"--verbose" | b"-v" | b"--redact" | b"--degree=auto" | b"--cow") => at += 1,
                Some(b"--degree") if args.get(at + 1).and_then(Argument::known) == Some(b"auto") => at += 2,
                Some(b"--") => {
                    at += 1;
                    break;
                }
                Some(word) if word.first() != Some(&b'-') => break,
                // An option that chooses a judge, a folder or a weaker cage, or a word that may be one.
                _ => return self.rule(subject, &hazard::OWN_TOOL, arg.span),
            }
        }
        let words = args.get(at..).unwrap_or(&[]);
        let Some((first, rest)) = words.split_first() else { return };
        subject.cages = self.is_own(subject.index) && self.is_inside();
        // One word is text for a shell; words that may vanish leave one.
        if rest.iter().all(|word| word.arity == Arity::Any) {
            subject.jobs.push(Job::Text { text: first.clone(), kind: PlaceKind::Text });
        }
        if !rest.is_empty() || first.arity == Arity::Any {
            subject.jobs.push(Job::Words(words.to_vec()));
        }
    }

    fn own_subcommand(&mut self, args: &[Argument], subject: &mut Subject) {
        let words = |listed: &Harmless| {
            listed.words.len() <= args.len()
                && listed.words.iter().zip(args).all(|(word, arg)| arg.known() == Some(*word))
        };
        if let [doctor, inside, _file] = args
            && doctor.known() == Some(b"doctor")
            && inside.known() == Some(b"--inside")
        {
            // What doctor starts in a cage of its own: it tries what a cage must stop.
            return self.effect(subject, EffectKind::ExecuteText, None, inside.span, Risk::Medium);
        }
        let Some(listed) = HARMLESS.iter().find(|listed| words(listed)) else {
            // The help of whatever it is, and nothing else behind it.
            let shows = args.len() > 1
                && args.iter().all(|arg| arg.known().is_some_and(|word| is_help(word) || word.first() != Some(&b'-')))
                && args.last().and_then(Argument::known).is_some_and(is_help);
            if !shows {
                self.rule(subject, &hazard::OWN_TOOL, subject.span);
            }
            return;
        };
        let checks = listed.words == [&b"check"[..]];
        let mut rest = args.get(listed.words.len()..).unwrap_or(&[]).iter();
        while let Some(arg) = rest.next() {
            let word = arg.bytes.as_slice();
            let (name, attached) = super::split_value(word);
            let known = arg.source.is_none();
            if known && (is_help(word) || QUIET.contains(&word) || listed.flags.contains(&word)) {
                continue;
            }
            if known && checks && word == b"--" {
                // What is judged and does not run.
                return;
            }
            let named = arg.prefix().len() >= name.len() && listed.values.contains(&name);
            if named && (attached.is_some() || rest.next().is_some_and(|value| value.arity == Arity::One)) {
                continue;
            }
            match listed.operands {
                Operands::Words if known && word.first() != Some(&b'-') => {}
                Operands::Files if known && word.first() != Some(&b'-') => self.read(arg, word, subject),
                _ => return self.rule(subject, &hazard::OWN_TOOL, arg.span),
            }
        }
    }

    /// Whether the command is this program by its name: looked up, or in a folder of the system; and no function.
    fn is_own(&self, index: usize) -> bool {
        let Some(Program::Known(name)) = self.out.commands.get(index).map(|command| &command.program) else {
            return false;
        };
        let by_path = FOLDERS.iter().any(|folder| name.strip_prefix(*folder) == Some(NAME));
        (name.as_slice() == NAME || by_path) && !self.defined.iter().any(|defined| defined == NAME)
    }

    /// Whether the folder is known and lies in the workspace: `run` takes it for the workspace of its cage.
    fn is_inside(&self) -> bool {
        let Some(workspace) = self.context.workspace else { return false };
        let inside = |folder: &[u8]| is_below(folder, workspace);
        self.cwd().is_some_and(inside) && self.fallback.as_deref().is_none_or(inside)
    }

    /// Walks what a cage runs: another process, which changes neither the folder nor the variables here.
    pub(in crate::command) fn in_cage(&mut self, walk: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.caged, true);
        let (cwd, fallback) = (self.cwd.clone(), self.fallback.clone().map(|folder| Rc::clone(&folder)));
        let variables = self.variables.clone();
        walk(self);
        (self.cwd, self.fallback, self.variables) = (cwd, fallback, variables);
        self.caged = outer;
    }

    /// Denies a text that uses Ringfort and changes what Ringfort reads from its environment, wherever it does: a loop
    /// may come back. Called once, at the end.
    pub(in crate::command) fn judge_own(&mut self) {
        let Some(span) = self.own else { return };
        let changes = self.out.effects.iter().any(|effect| {
            effect.kind == EffectKind::ChangeEnvironment
                && effect.target.as_deref().is_none_or(|name| OWN_VARIABLES.iter().any(|own| name.starts_with(own)))
        });
        let loads = self.out.hazards.iter().any(|hazard| hazard.rule.id == hazard::ENVIRONMENT_LOADS_CODE.id);
        if changes || loads || self.out.commands.iter().any(clears_environment) {
            self.deny_own(span);
        }
    }

    fn deny_own(&mut self, span: Span) {
        self.hazard(&hazard::OWN_TOOL, span);
        for command in &mut self.out.commands {
            if command.span == span {
                command.risk = command.risk.max(hazard::OWN_TOOL.risk);
            }
        }
    }
}

/// Whether `env` takes variables away: the supervisor's socket is found by one.
fn clears_environment(command: &super::super::analysis::SimpleCommand) -> bool {
    let options =
        || command.args.iter().take_while(|arg| arg.bytes.first() == Some(&b'-') || arg.bytes.contains(&b'='));
    match command.program.name() {
        Some(b"env" | b"genv") => options().any(|arg| {
            let bytes = arg.bytes.as_slice();
            bytes == b"-" || bytes.starts_with(b"--u") || bytes.starts_with(b"--i") || {
                !bytes.starts_with(b"--")
                    && bytes.first() == Some(&b'-')
                    && bytes.iter().any(|b| matches!(b, b'i' | b'u'))
            }
        }),
        Some(b"exec") => options().any(|arg| arg.bytes.contains(&b'c') || arg.bytes.contains(&b'a')),
        _ => false,
    }
}
