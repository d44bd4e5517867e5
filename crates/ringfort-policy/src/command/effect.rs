// SPDX-License-Identifier: MIT OR Apache-2.0
//! Effects: what one command does, by its entry in the catalogue.
//!
//! In: the arguments of one command and its [`Entry`]. Out: effects, hazards and a risk on the analysis, and
//! [`Job`]s for commands that it runs in turn.
//!
//! **Invariant:** an argument whose place cannot be told is an unknown effect, not none. Own effects are
//! recorded before any job runs, so that the effects of one command stay adjacent.

mod code;
mod file;
mod found;
mod git;
mod interpreter;
mod network;
mod ringfort;
mod script;
mod shell;
mod shown;
mod unlisted;
mod words;

pub(super) use shell::decides_code;
pub(super) use words::{contains, is_socket, is_stdin, known_text, split_value};

use ringfort_core::decision::Risk;
use ringfort_core::effect::{Effect, EffectKind, Span};
use ringfort_core::limits::EFFECTS_MAX;

use super::analysis::{Argument, Arity, HOLE, Hazard, PlaceKind, Source};
use super::catalogue::{Entry, Mode, Opt, Role, Special, Style, Takes, lookup};
use super::hazard::{self, Rule};
use super::target::{self, Class};
use super::walk::Walker;
use words::{abbreviated, glued, is_program, may_run, named, starts_shell};

/// Something that a command runs in turn.
#[derive(Debug)]
pub(super) enum Job {
    /// Words that are a command.
    Words(Vec<Argument>),
    /// Text that a shell reads.
    Text { text: Argument, kind: PlaceKind },
}

/// What is learned about one command while its words are read.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) index: usize,
    pub(super) span: Span,
    pub(super) risk: Risk,
    pub(super) traits: u16,
    pub(super) jobs: Vec<Job>,
    pub(super) partial: bool,
    /// What it runs, it runs in the cage.
    pub(super) cages: bool,
    pub(super) first_effect: usize,
    modes: u16,
    /// A word that looks like a file but is a program text: `.env` is a filter of jq.
    filter: Option<Span>,
    /// Whether code was given inline, and was understood.
    inline: Option<code::Inline>,
}

/// The command contacts a host.
pub(super) const NETWORK: u16 = 1;
/// It reads a credential.
pub(super) const SECRET: u16 = 2;
/// It runs what it reads from standard input.
pub(super) const RUNS_INPUT: u16 = 4;
/// It runs a word that is not known.
pub(super) const RUNS_WORD: u16 = 8;
/// It decodes or transforms text.
pub(super) const DECODES: u16 = 16;
/// It is a shell.
pub(super) const SHELL: u16 = 32;

impl Subject {
    pub(super) fn new(index: usize, first_effect: usize, span: Span) -> Self {
        Self {
            index,
            span,
            risk: Risk::Low,
            traits: 0,
            jobs: Vec::new(),
            partial: false,
            cages: false,
            first_effect,
            modes: 0,
            filter: None,
            inline: None,
        }
    }

    pub(super) fn raise(&mut self, risk: Risk) {
        self.risk = self.risk.max(risk);
    }

    pub(super) fn has(&self, mode: Mode) -> bool {
        self.modes & (1 << mode as u16) != 0
    }

    /// Whether the command is code given inline of which all is listed.
    pub(super) fn is_understood(&self) -> bool {
        self.inline == Some(code::Inline::Understood)
    }

    fn set(&mut self, mode: Mode) {
        self.modes |= 1 << mode as u16;
    }
}

impl Walker<'_> {
    /// Records one effect of `subject`.
    pub(super) fn effect(
        &mut self,
        subject: &mut Subject,
        kind: EffectKind,
        target: Option<String>,
        span: Span,
        risk: Risk,
    ) {
        subject.raise(risk);
        subject.traits |= match kind {
            EffectKind::OpenNetwork | EffectKind::QueryService => NETWORK,
            EffectKind::ReadSecret => SECRET,
            _ => 0,
        };
        if self.out.effects.len() < EFFECTS_MAX {
            self.out.effects.push(Effect { kind, target, span });
        } else {
            self.problem(&hazard::TOO_MANY_EFFECTS, span);
        }
    }

    /// Records that a rule was seen, and its risk.
    pub(super) fn rule(&mut self, subject: &mut Subject, rule: &'static Rule, span: Span) {
        subject.raise(rule.risk);
        self.hazard(rule, span);
    }

    /// Records a rule without a command.
    pub(super) fn hazard(&mut self, rule: &'static Rule, span: Span) {
        let hazard = Hazard { rule, span, caged: self.caged };
        if self.out.hazards.len() < EFFECTS_MAX && self.out.hazards.last() != Some(&hazard) {
            self.out.hazards.push(hazard);
        }
        self.out.risk = self.out.risk.max(rule.risk);
    }

    /// Everything that `args` of a program with this entry would do.
    pub(super) fn apply(&mut self, entry: &'static Entry, args: &[Argument], subject: &mut Subject) {
        self.apply_entry(entry, args, subject);
        self.settle_queries(args, subject);
        if args.iter().any(|arg| matches!(arg.bytes.as_slice(), b"/dev/null" | b"if=/dev/null")) {
            self.copied_nothing(args, subject);
        }
    }

    fn apply_entry(&mut self, entry: &'static Entry, args: &[Argument], subject: &mut Subject) {
        if let [only] = args
            && (matches!(only.known(), Some(b"--version" | b"--help"))
                || !entry.subs.is_empty() && only.bytes == b"-h" && entry.letter(b'h').is_none())
        {
            return;
        }
        if let Some(special) = entry.special
            && self.special(special, entry, args, subject)
        {
            return;
        }
        let operands = self.options(entry, args, subject);
        self.operands(entry, args, &operands, subject);
        if entry.operands == [Role::Environment] && subject.jobs.is_empty() {
            // The environment is shown, with the credentials in it; the cage has none.
            self.effect(subject, EffectKind::Unknown, None, subject.span, Risk::Low);
        }
    }

    /// Applies options and returns the positions of the operands.
    pub(super) fn options(&mut self, entry: &'static Entry, args: &[Argument], subject: &mut Subject) -> Vec<usize> {
        let mut operands = Vec::new();
        let mut at = 0;
        while let Some(arg) = args.get(at) {
            // An empty expansion before a dash leaves an option.
            let bytes = arg.bytes.strip_prefix(&[HOLE]).unwrap_or(&arg.bytes);
            let is_option = entry.style != Style::Plain
                && bytes.first() == Some(&b'-')
                && (bytes.len() > 1 || named(entry, b"-").is_some());
            if bytes == b"--" && entry.style != Style::Plain {
                operands.extend(at + 1..args.len());
                return operands;
            }
            if !is_option {
                if arg.bytes.first() == Some(&HOLE) && arg.arity == Arity::Any && may_run(entry) {
                    self.rule(subject, &hazard::OPTION_UNKNOWN, arg.span);
                    subject.partial = true;
                }
                if entry.style == Style::Posix {
                    operands.extend(at..args.len());
                    return operands;
                }
                operands.push(at);
                at += 1;
                continue;
            }
            at = self.option(entry, args, at, subject);
        }
        operands
    }

    /// Applies the option at `at`; returns the position after it and its value.
    fn option(&mut self, entry: &'static Entry, args: &[Argument], at: usize, subject: &mut Subject) -> usize {
        let Some(arg) = args.get(at) else { return at + 1 };
        let bytes = arg.bytes.strip_prefix(&[HOLE]).unwrap_or(&arg.bytes);
        let long =
            bytes.starts_with(b"--") || entry.style == Style::Long || bytes == b"-" || bytes.first() == Some(&b'+');
        if long {
            let (name, value) = split_value(bytes);
            // What has long names with one dash mostly takes them with two as well.
            let single = name.get(1..).filter(|name| entry.style == Style::Long && name.starts_with(b"-"));
            let opt = named(entry, name).or_else(|| abbreviated(entry, name));
            if let Some(opt) = opt.or_else(|| single.and_then(|name| named(entry, name))) {
                return self.option_value(entry, opt, value, args, at, subject);
            }
            if let Some((opt, value)) = glued(entry, bytes) {
                return self.option_value(entry, opt, Some(value), args, at, subject);
            }
            self.unlisted(arg, name, value, subject);
            return at + 1;
        }
        for (index, letter) in bytes.iter().enumerate().skip(1) {
            let Some(opt) = entry.letter(*letter) else { continue };
            if opt.takes == Takes::Nothing {
                self.role(opt.role, arg, &[], subject);
                continue;
            }
            // Some parsers drop the `=` of `-x=value`: what is stricter counts.
            let rest =
                bytes.get(index + 1..).map(|rest| rest.strip_prefix(b"=").filter(|r| !r.is_empty()).unwrap_or(rest));
            let rest = rest.filter(|rest| !rest.is_empty());
            return self.option_value(entry, opt, rest, args, at, subject);
        }
        at + 1
    }

    fn option_value(
        &mut self,
        entry: &'static Entry,
        opt: &Opt,
        value: Option<&[u8]>,
        args: &[Argument],
        at: usize,
        subject: &mut Subject,
    ) -> usize {
        let Some(arg) = args.get(at) else { return at + 1 };
        if let Some(value) = value {
            if opt.role == Role::Command {
                let program = Argument { bytes: value.into(), ..arg.clone() };
                subject.jobs.push(Job::Words([&[program], args.get(at + 1..).unwrap_or(&[])].concat()));
                return args.len();
            }
            self.role(opt.role, arg, value, subject);
            return at + 1;
        }
        if opt.takes != Takes::Value {
            self.role(opt.role, arg, &[], subject);
            return at + 1;
        }
        let Some(next) = args.get(at + 1) else { return at + 1 };
        if opt.role == Role::Command {
            self.run_rest(args, at + 1, subject);
            return args.len();
        }
        self.role(opt.role, next, &next.bytes, subject);
        if entry.wraps && opt.role == Role::Value && next.known().is_some_and(|word| lookup(word).is_some()) {
            // Should this program not take a value here, the command starts here.
            self.run_rest(args, at + 1, subject);
        }
        // One table serves several programs: where an option may have no value, the word is an operand too.
        let pathlike = matches!(next.bytes.first(), Some(b'/' | b'~' | b'.')) || next.bytes.contains(&b'/');
        if opt.role == Role::Value
            && pathlike
            && next.bytes != b"/"
            && let Some(role @ (Role::Read | Role::List | Role::Write | Role::Delete)) = entry.operands.last()
        {
            self.role(*role, next, &next.bytes, subject);
        }
        at + 2
    }

    /// Applies the roles of the operands, sub-commands first.
    pub(super) fn operands(
        &mut self,
        entry: &'static Entry,
        args: &[Argument],
        operands: &[usize],
        subject: &mut Subject,
    ) {
        if subject.has(Mode::Show) {
            return;
        }
        if !entry.subs.is_empty() && self.subcommand(entry, args, operands, subject) {
            return;
        }
        self.base(entry, subject);
        let skip = usize::from(subject.has(Mode::ProgramGiven) && !operands.is_empty() && is_program(entry));
        for (count, position) in operands.iter().enumerate() {
            let Some(arg) = args.get(*position) else { continue };
            let is_last = count + 1 == operands.len() && count > 0;
            let role = match entry.last {
                Some(last) if is_last && !subject.has(Mode::TargetGiven) => last,
                _ => entry.operands.get(count + skip).or(entry.operands.last()).copied().unwrap_or(Role::Value),
            };
            match role {
                Role::Command | Role::Environment => {
                    let start =
                        if role == Role::Environment { self.environment(args, *position, subject) } else { *position };
                    self.run_rest(args, start, subject);
                    return;
                }
                _ => self.role(role, arg, &arg.bytes, subject),
            }
        }
    }

    /// The risk and effects that do not depend on arguments.
    pub(super) fn base(&mut self, entry: &'static Entry, subject: &mut Subject) {
        subject.raise(if subject.has(Mode::DryRun) { entry.risk.min(Risk::Medium) } else { entry.risk });
        if entry.here {
            let folder = self.cwd().map(|folder| String::from_utf8_lossy(folder).into_owned());
            self.effect(subject, EffectKind::WritePath, folder, subject.span, Risk::Medium);
        }
        for kind in entry.always {
            self.effect(subject, *kind, None, subject.span, Risk::Low);
        }
        if let Some(rule) = entry.rule.filter(|_| !subject.has(Mode::DryRun)) {
            self.rule(subject, rule, subject.span);
        }
    }

    /// Goes on with the sub-command, if it is known; false when the entry itself applies.
    fn subcommand(
        &mut self,
        entry: &'static Entry,
        args: &[Argument],
        operands: &[usize],
        subject: &mut Subject,
    ) -> bool {
        let Some(position) = operands.first() else {
            if args.iter().all(|arg| arg.known().is_some_and(|b| entry.sub(b).is_some_and(|sub| sub.risk == Risk::Low)))
                && !args.is_empty()
            {
                return true;
            }
            return false;
        };
        let Some(arg) = args.get(*position) else { return false };
        let Some(sub) = arg.known().and_then(|name| entry.sub(name)) else {
            subject.partial = true;
            self.effect(subject, EffectKind::Unknown, None, arg.span, Risk::Medium);
            return false;
        };
        let rest = args.get(position + 1..).unwrap_or(&[]);
        if rest.iter().any(|arg| matches!(arg.known(), Some(b"--help" | b"-h"))) && rest.len() == 1 {
            return true;
        }
        if entry.special == Some(Special::Git) {
            self.git_sub(sub, arg.known().unwrap_or(&[]), rest, subject);
        } else if entry.special == Some(Special::Container) {
            self.container_sub(sub, arg.known().unwrap_or(&[]), rest, subject);
        } else {
            let operands = self.options(sub, rest, subject);
            self.operands(sub, rest, &operands, subject);
        }
        true
    }

    /// Queues the words from `start` on as a command.
    pub(super) fn run_rest(&mut self, args: &[Argument], start: usize, subject: &mut Subject) {
        let words = args.get(start..).unwrap_or(&[]);
        let words = words.split_first().filter(|(first, _)| first.bytes == b"--").map_or(words, |(_, rest)| rest);
        if !words.is_empty() {
            subject.jobs.push(Job::Words(words.to_vec()));
        }
    }

    /// What one argument in `role` does; `bytes` is its value without the option name.
    pub(super) fn role(&mut self, role: Role, arg: &Argument, bytes: &[u8], subject: &mut Subject) {
        match role {
            Role::Value | Role::Command | Role::Environment => {}
            Role::Read if subject.has(Mode::InPlace) => self.write(arg, bytes, subject),
            Role::Write if subject.has(Mode::Prints) => self.read(arg, bytes, subject),
            Role::Load | Role::Execute if is_stdin(bytes) => self.run_input(subject),
            Role::Read if contains(bytes, b"://") => self.host(arg, bytes, subject),
            Role::Read => self.read(arg, bytes, subject),
            Role::List => self.list(arg, bytes, subject),
            Role::Write => self.write(arg, bytes, subject),
            Role::Fresh => self.fresh(arg, bytes, subject),
            Role::Delete => self.delete(arg, bytes, subject),
            Role::Execute | Role::Load => self.execute_file(arg, bytes, subject),
            Role::Shell => subject
                .jobs
                .push(Job::Text { text: Argument { bytes: bytes.into(), ..arg.clone() }, kind: PlaceKind::Text }),
            Role::Code(language) => self.code(language, arg, bytes, subject),
            Role::Host => self.host(arg, bytes, subject),
            Role::Account if bytes.contains(&b'@') || arg.source.is_some() => self.host(arg, bytes, subject),
            Role::Account => {}
            Role::Data => self.data(arg, bytes, subject),
            Role::Upload => self.upload(arg, bytes, subject),
            Role::RemoteRead | Role::RemoteWrite => self.remote(role, arg, bytes, subject),
            Role::Process => self.effect(subject, EffectKind::Kill, known_text(arg, bytes), arg.span, Risk::Medium),
            Role::Mode(mode) => subject.set(mode),
            Role::Effect(kind, risk) => self.effect(subject, kind, None, arg.span, risk),
            Role::Rule(rule) => self.rule(subject, rule, arg.span),
        }
    }

    /// Reading a file.
    pub(super) fn read(&mut self, arg: &Argument, bytes: &[u8], subject: &mut Subject) {
        if bytes.is_empty() || bytes == b"-" {
            return;
        }
        if arg.source == Some(Source::Process) {
            return;
        }
        if let Some(places) = self.found_by_word(arg, subject) {
            return places.iter().for_each(|place| self.read(place, &place.bytes, subject));
        }
        let target = self.resolve(arg, bytes);
        // A number that the kernel makes up, as from `/dev/urandom`.
        if target.path == b"/proc/sys/kernel/random/uuid" {
            return;
        }
        if target::is_secret(&target.path, self.context) {
            self.effect(subject, EffectKind::ReadSecret, target.into_text(), arg.span, Risk::High);
            self.rule(subject, &hazard::READS_SECRET, arg.span);
        } else {
            self.effect(subject, EffectKind::ReadPath, target.into_text(), arg.span, Risk::Low);
        }
    }

    fn list(&mut self, arg: &Argument, bytes: &[u8], subject: &mut Subject) {
        let target = self.resolve(arg, bytes);
        // Looking round in a folder of keys is more than looking, wherever that folder is.
        let kind = if target::holds_keys(&target.path) { EffectKind::ReadPath } else { EffectKind::ListPath };
        self.effect(subject, kind, target.into_text(), arg.span, Risk::Low);
    }

    /// Creating or changing a file.
    pub(super) fn write(&mut self, arg: &Argument, bytes: &[u8], subject: &mut Subject) {
        if bytes.is_empty() || bytes == b"-" || arg.source == Some(Source::Process) {
            return;
        }
        if is_socket(bytes) {
            self.socket(arg, bytes, subject);
            return;
        }
        let target = self.resolve(arg, bytes);
        let (kind, rule) = match target::class(&target.path, self.cwd(), self.context) {
            Class::Sink => return,
            Class::Device => (EffectKind::WritePath, Some(&hazard::WRITES_DEVICE)),
            Class::Startup => (EffectKind::Persist, Some(&hazard::WRITES_STARTUP)),
            Class::ProjectStartup => (EffectKind::Persist, Some(&hazard::WRITES_PROJECT_STARTUP)),
            Class::System => (EffectKind::WritePath, Some(&hazard::WRITES_SYSTEM)),
            Class::Unknown | Class::Root | Class::Whole | Class::Temporary | Class::Inside | Class::Outside => {
                (EffectKind::WritePath, None)
            }
        };
        if kind == EffectKind::Persist {
            self.effect(subject, EffectKind::WritePath, target.text(), arg.span, Risk::Medium);
        }
        if target::is_secret(&target.path, self.context) {
            subject.raise(Risk::High);
        }
        self.effect(subject, kind, target.into_text(), arg.span, Risk::Medium);
        if let Some(rule) = rule {
            self.rule(subject, rule, arg.span);
        }
    }

    /// Running what standard input holds, in a language that is not looked into.
    pub(super) fn run_input(&mut self, subject: &mut Subject) {
        subject.traits |= RUNS_INPUT;
        if let Some(input) = self.input_of(subject.index) {
            self.effect(subject, EffectKind::ExecuteText, None, input.span, Risk::High);
            self.rule(subject, &hazard::TEXT_EXECUTED, input.span);
        }
    }

    /// Running a file as a program, script, configuration or plug-in.
    pub(super) fn execute_file(&mut self, arg: &Argument, bytes: &[u8], subject: &mut Subject) {
        if arg.source.is_some() {
            subject.traits |= RUNS_WORD;
        }
        let target = self.resolve(arg, bytes);
        let secret = target::is_secret(&target.path, self.context);
        let risk = if arg.source.is_some() { Risk::High } else { Risk::Medium };
        self.effect(subject, EffectKind::ExecuteFile, target.text(), arg.span, risk);
        if secret {
            self.effect(subject, EffectKind::ReadSecret, target.into_text(), arg.span, Risk::High);
            self.rule(subject, &hazard::READS_SECRET, arg.span);
        }
    }

    /// The scan for an argument that makes a program start a shell.
    pub(super) fn scan_shells(&mut self, args: &[Argument], subject: &mut Subject) {
        for arg in args.iter().filter(|arg| starts_shell(&arg.bytes)) {
            self.rule(subject, &hazard::SHELL_ARGUMENT, arg.span);
        }
    }

    fn special(&mut self, special: Special, entry: &'static Entry, args: &[Argument], subject: &mut Subject) -> bool {
        match special {
            Special::Ringfort => self.ringfort(args, subject),
            Special::Cd => self.change_folder(args),
            Special::Eval => self.eval(args, subject),
            Special::Source => self.source(args, subject),
            Special::Trap => self.trap(args, subject),
            Special::Alias => self.alias(args, subject),
            Special::Declare => self.declare(args, subject),
            Special::Reads => self.reads(args, subject),
            Special::Shell => self.shell(entry, args, subject),
            Special::Interpreter(language) => self.interpreter(language, entry, args, subject),
            Special::Append => self.append(entry, args, subject),
            Special::Watch => self.watch(entry, args, subject),
            Special::Find => self.find(args, subject),
            Special::Tar => self.tar(args, subject),
            Special::Dd => self.dd(args, subject),
            Special::Sed | Special::Awk => self.stream_editor(entry, args, subject),
            Special::Chmod => self.chmod(entry, args, subject),
            Special::Kill => self.kill(args, subject),
            Special::Remove => self.remove(entry, args, subject),
            Special::Netcat => self.netcat(entry, args, subject),
            Special::Ssh => self.ssh(entry, args, subject),
            Special::Crontab => self.crontab(entry, args, subject),
            Special::Transform => {
                subject.traits |= DECODES;
                return false;
            }
            Special::Git => {
                self.git_settings(args, subject);
                return false;
            }
            Special::Query => {
                self.query(args, subject);
                return false;
            }
            Special::Formats => {
                self.formats(entry, args, subject);
                return false;
            }
            Special::Sql => self.sql(entry, args, subject),
            Special::Members | Special::Pipes => {
                self.files_in_words(special, args, subject);
                return false;
            }
            Special::Test => {
                self.prints(args, subject);
                return false;
            }
            Special::Compile => {
                for arg in args.iter().filter(|arg| contains(&arg.bytes, b"plugin") || contains(&arg.bytes, b"linker="))
                {
                    self.effect(subject, EffectKind::ExecuteText, None, arg.span, Risk::Medium);
                }
                return false;
            }
            Special::Container => return false,
            Special::Session => {
                let operands = self.options(entry, args, subject);
                self.operands(entry, args, &operands, subject);
                if subject.jobs.is_empty() && !subject.has(Mode::Show) {
                    // Without a command it starts the user's shell.
                    self.effect(subject, EffectKind::ExecuteText, None, subject.span, Risk::Medium);
                }
            }
            Special::Empties => {
                let operands = self.options(entry, args, subject);
                self.operands(entry, args, &operands, subject);
                self.emptied(args, &operands, subject);
            }
            Special::Archive => self.archive(entry, args, subject),
            Special::Variables => self.variables_shown(args, subject),
            Special::Rename => self.rename(entry, args, subject),
            Special::Processes => {
                let operands = self.options(entry, args, subject);
                self.environments_shown(args, &operands, subject);
            }
            Special::Cloud => self.cloud(entry, args, subject),
        }
        true
    }
}
