// SPDX-License-Identifier: MIT OR Apache-2.0
//! The walk: from the tree of a text to its simple commands, in the order in which a shell would meet them.
//!
//! In: text or words. Out: [`Analysis`]. Text that commands run (`-c`, `eval`, documents read by a shell) is
//! parsed and walked too.
//!
//! **Invariant:** every simple command of the tree is visited, whatever its condition. The state (folder,
//! variables, names) only holds what is certain on every path. Work is bounded by a budget of bytes.

mod alias;
mod evaluate;
mod job;
mod named;
mod repeat;
mod scope;
mod state;

use std::rc::Rc;

use ringfort_core::decision::Risk;
use ringfort_core::effect::{EffectKind, Span};

use super::analysis::{
    Analysis, Argument, Certainty, Context, HOLE, Knowledge, Place, PlaceKind, Problem, Program, Redirection,
    SimpleCommand, Source, Timing,
};
use super::catalogue::{self, Style};
use super::effect::{Job, RUNS_WORD, SHELL, Subject};
use super::hazard::{self, Rule};
use super::syntax::{self, Document, FaultKind, Joint, Script};
use super::value::Variables;
use named::{is_builtin, is_standard, scans_secrets, scans_shells};

/// Deepest nesting of commands that run commands.
const RUN_DEPTH_MAX: u32 = 32;
/// Most commands that are listed.
pub(super) const COMMANDS_MAX: usize = 200_000;
/// Bytes of nested text that are parsed beyond four times the input.
const NESTED_BYTES_MIN: usize = 64 << 10;

/// How offsets in a text map to offsets in the input.
#[derive(Clone, Copy, Debug)]
pub(super) enum Map {
    /// The text stands in the input at this offset.
    Offset(usize),
    /// The text was decoded or joined: all of it maps to this range.
    Whole(Span),
}

impl Map {
    pub(super) fn span(self, span: Span) -> Span {
        match self {
            Self::Offset(base) => Span::new(span.start + base, span.end + base),
            Self::Whole(whole) => whole,
        }
    }

    /// The map for a part of this text that starts at `start`.
    pub(super) fn at(self, start: usize) -> Self {
        match self {
            Self::Offset(base) => Self::Offset(base + start),
            Self::Whole(whole) => Self::Whole(whole),
        }
    }
}

/// The text that is being walked.
#[derive(Clone, Copy)]
pub(super) struct Unit<'u, 't> {
    pub(super) documents: &'u [Document<'t>],
    pub(super) map: Map,
}

/// Where in the walk a command is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) place: Place,
    pub(super) via: Option<usize>,
    pub(super) depth: u32,
    /// How many commands run commands around this one.
    pub(super) runs: u32,
}

impl Frame {
    pub(super) fn top() -> Self {
        let place = Place {
            kind: PlaceKind::Top,
            pipeline: 0,
            stage: 0,
            timing: Timing::Foreground,
            certainty: Certainty::Always,
        };
        Self { place, via: None, depth: 0, runs: 0 }
    }

    pub(super) fn perhaps(mut self) -> Self {
        self.place.certainty = Certainty::Perhaps;
        self
    }

    pub(super) fn kind(mut self, kind: PlaceKind) -> Self {
        self.place.kind = kind;
        self
    }
}

/// The state of one analysis.
pub(super) struct Walker<'c> {
    pub(super) context: &'c Context<'c>,
    pub(super) out: Analysis,
    pub(super) variables: Variables,
    pub(super) cwd: Option<Rc<[u8]>>,
    /// The folder before the last `cd`, which holds if that failed.
    pub(super) fallback: Option<Rc<[u8]>>,
    /// Whether the last `cd` is known to have succeeded here.
    pub(super) entered: bool,
    pub(super) defined: Vec<Vec<u8>>,
    /// Aliases and their values, the last of a name last.
    pub(super) aliases: Vec<(Vec<u8>, Argument)>,
    /// Whether a word before has `$'…'` in it, whose text some shells would read otherwise.
    pub(super) dollar_quotes: bool,
    /// Arrays whose subscripts are text.
    pub(super) tables: Vec<Vec<u8>>,
    pub(super) functions: Vec<Vec<u8>>,
    /// For each command, bits of `effect`.
    pub(super) traits: Vec<u16>,
    /// For each pipeline, the pipeline and stage that it stands in.
    pub(super) flows: Vec<Option<(usize, usize)>>,
    /// What the last stage with known output prints.
    pub(super) output: Option<(usize, usize, Argument)>,
    /// Files written with known text.
    pub(super) written: Vec<(Vec<u8>, Argument)>,
    /// Whether an enclosing construct redirects standard input.
    pub(super) input: Option<Argument>,
    /// Whether what is walked runs in a cage of its own.
    pub(super) caged: bool,
    /// The first use of Ringfort itself.
    pub(super) own: Option<Span>,
    budget: usize,
}

impl<'c> Walker<'c> {
    pub(super) fn new(context: &'c Context<'c>, length: usize) -> Self {
        let mut variables = Variables::default();
        variables.set(b"HOME", Some(context.home.unwrap_or(b"~").into()));
        let cwd: Option<Rc<[u8]>> = context.cwd.map(Rc::from);
        variables.folder.clone_from(&cwd);
        Self {
            context,
            out: Analysis::new(length),
            variables,
            cwd,
            fallback: None,
            entered: true,
            defined: Vec::new(),
            aliases: Vec::new(),
            dollar_quotes: false,
            tables: Vec::new(),
            functions: Vec::new(),
            traits: Vec::new(),
            flows: vec![None],
            output: None,
            written: Vec::new(),
            input: None,
            caged: false,
            own: None,
            budget: length.saturating_mul(4).saturating_add(NESTED_BYTES_MIN),
        }
    }

    /// Records something that could not be read.
    pub(super) fn problem(&mut self, rule: &'static Rule, span: Span) {
        let problem = Problem { rule, span };
        if self.out.unanalysable.last() != Some(&problem) && self.out.unanalysable.len() < 256 {
            self.out.unanalysable.push(problem);
        }
        self.out.risk = self.out.risk.max(rule.risk);
    }

    /// Takes `bytes` from what may still be read; false, with a problem, when nothing is left.
    pub(super) fn spend(&mut self, bytes: usize, span: Span) -> bool {
        let left = self.budget.checked_sub(bytes);
        match left {
            Some(left) => self.budget = left,
            None => self.problem(&hazard::TOO_DEEP, span),
        }
        left.is_some()
    }

    /// Takes `bytes` if that many are left.
    pub(super) fn can_spend(&mut self, bytes: usize) -> bool {
        let left = self.budget.checked_sub(bytes);
        self.budget = left.unwrap_or(self.budget);
        left.is_some()
    }

    /// Parses and walks `text`.
    pub(super) fn text(&mut self, text: &[u8], map: Map, frame: Frame) {
        if !self.spend(text.len(), map.span(Span::new(0, text.len()))) {
            return;
        }
        let stripped;
        let (text, map) = if text.contains(&0) {
            let whole = map.span(Span::new(0, text.len()));
            self.problem(&hazard::NUL_BYTE, whole);
            stripped = text.iter().copied().filter(|b| *b != 0).collect::<Vec<u8>>();
            (stripped.as_slice(), Map::Whole(whole))
        } else {
            (text, map)
        };
        // Each item is walked and dropped before the next is read: the tree of a long text never stands whole.
        let mut after = Joint::Sequence;
        let parsed = syntax::parse_each(text, frame.depth, |item, documents| {
            after = self.item(Unit { documents, map }, &item, after, frame);
        });
        self.entered = false;
        if let Some(fault) = parsed.fault {
            let rule = match fault.kind {
                FaultKind::TooLong => &hazard::TOO_LONG,
                FaultKind::TooDeep => &hazard::TOO_DEEP,
                FaultKind::TooManyParts => &hazard::TOO_MANY_PARTS,
                FaultKind::Unterminated => &hazard::UNTERMINATED,
                FaultKind::Unexpected => &hazard::UNEXPECTED,
                FaultKind::Ambiguous => &hazard::AMBIGUOUS,
            };
            self.problem(rule, map.span(fault.span));
        }
        if parsed.documents.iter().any(|d| !d.terminated) {
            self.hazard(&hazard::DOCUMENT_OPEN, map.span(Span::new(text.len(), text.len())));
        }
    }

    pub(super) fn script(&mut self, unit: Unit<'_, '_>, script: &Script<'_>, frame: Frame) {
        script.items.iter().fold(Joint::Sequence, |after, item| self.item(unit, item, after, frame));
        self.entered = false;
    }

    /// Walks one item, which stands after the joint `after`; returns the joint after it.
    fn item(&mut self, unit: Unit<'_, '_>, item: &syntax::Item<'_>, after: Joint, frame: Frame) -> Joint {
        let mut inner = frame;
        let conditional = matches!(after, Joint::And | Joint::Or);
        self.entered = after == Joint::And;
        if !self.entered && self.fallback.is_some() {
            self.variables.folder = None;
        }
        if conditional {
            inner = inner.perhaps();
        }
        if item.joint == Joint::Background {
            inner.place.timing = Timing::Background;
        }
        let isolated = item.joint == Joint::Background || item.pipeline.stages.len() > 1;
        let before = (conditional || isolated).then(|| self.variables.clone());
        let folder = isolated.then(|| (self.cwd.clone(), self.fallback.clone()));
        let tables = before.is_some().then(|| self.tables.clone());
        self.pipeline(unit, &item.pipeline, inner);
        if let Some(tables) = tables {
            self.tables.retain(|table| tables.contains(table));
        }
        if let Some(folder) = folder {
            (self.cwd, self.fallback) = folder;
        }
        if let Some(before) = before {
            // zsh runs the last stage in the current shell: what it sets is not certain either way.
            self.variables.join(&before);
        }
        item.joint
    }

    fn pipeline(&mut self, unit: Unit<'_, '_>, pipeline: &syntax::Pipeline<'_>, frame: Frame) {
        let mut inner = frame;
        let stages = pipeline.stages.len();
        if stages > 1 {
            inner.place.pipeline = self.flows.len();
            self.flows.push(Some((frame.place.pipeline, frame.place.stage)));
        }
        // Whatever changes the input puts it back, but for the stages here.
        let outer = if stages > 1 { self.input.clone() } else { None };
        for (stage, command) in pipeline.stages.iter().enumerate() {
            if stages > 1 {
                inner.place.stage = stage;
            }
            match command {
                syntax::Command::Simple(simple) => {
                    self.simple(unit, simple, inner, stages);
                }
                syntax::Command::Compound(compound) => self.compound(unit, compound, inner),
            }
            if stages > 1 {
                let known =
                    self.output.take().filter(|(pipeline, at, _)| *pipeline == inner.place.pipeline && *at == stage);
                self.input = Some(known.map_or_else(
                    || Argument::hole(Source::Input, unit.map.span(command_span(command))),
                    |(_, _, text)| text,
                ));
            }
        }
        if stages > 1 {
            self.input = outer;
        }
    }

    fn simple(&mut self, unit: Unit<'_, '_>, simple: &syntax::Simple<'_>, frame: Frame, stages: usize) {
        let first = self.out.commands.len();
        let span = unit.map.span(simple.span);
        let mut words = Vec::with_capacity(simple.words.len());
        for word in &simple.words {
            self.inside(unit, &word.body, frame);
            self.qualifiers(unit, word);
            super::value::expand(word, &self.variables, unit.map.span(word.span), &mut words);
        }
        let mut assignments = Vec::with_capacity(simple.assignments.len());
        for assignment in &simple.assignments {
            let value = self.assigned(unit, assignment, frame);
            if simple.words.is_empty() {
                // One after the other: the next may be made of this one.
                self.assign(assignment, &value);
            }
            assignments.push((assignment.name.to_vec(), value));
        }
        let redirections = self.redirections(unit, &simple.redirects, frame);
        let inside = first..self.out.commands.len();
        let fork = stages > 1 || frame.place.timing == Timing::Background;
        if fork && words.first().is_some_and(|w| w.known().is_some_and(|name| self.functions.iter().any(|f| f == name)))
        {
            self.hazard(&hazard::FORK_BOMB, span);
        }
        if matches!(words.first().and_then(Argument::known), Some(b"[" | b"test")) {
            self.condition(unit, &simple.words, frame);
        }
        if let (Some(word), Some(first)) = (simple.words.first(), words.first_mut()) {
            super::value::with_modifier(word, first);
        }
        self.dollar_quotes |= simple.dollar_quotes;
        self.after_background(unit, simple, frame);
        let execs = words.first().is_some_and(|word| word.bytes == b"exec");
        let bare = words.is_empty() && !redirections.is_empty();
        let index = self.execute(words, assignments, redirections, frame, span);
        if bare {
            self.emptied_by(index);
        }
        if execs {
            self.replaces_input(index, frame);
        }
        if !simple.words.is_empty() && !simple.assignments.is_empty() && self.keeps_assignments(index) {
            simple.assignments.iter().for_each(|assignment| self.set_variable(assignment.name, None));
        }
        for position in inside {
            if let Some(command) = self.out.commands.get_mut(position) {
                command.via = command.via.or(Some(index));
            }
        }
    }

    /// Whether an assignment before this command may outlive it: before special builtins and functions it does.
    fn keeps_assignments(&self, index: usize) -> bool {
        match self.out.commands.get(index).map(|command| &command.program) {
            Some(Program::Known(name)) => {
                matches!(
                    name.as_slice(),
                    b":" | b"."
                        | b"break"
                        | b"continue"
                        | b"eval"
                        | b"exec"
                        | b"exit"
                        | b"export"
                        | b"readonly"
                        | b"return"
                        | b"set"
                        | b"shift"
                        | b"source"
                        | b"times"
                        | b"trap"
                        | b"unset"
                ) || self.defined.iter().any(|defined| *name == defined.as_slice())
            }
            _ => true,
        }
    }

    /// Records one command, its effects, and then whatever it runs. Returns its index.
    pub(super) fn execute(
        &mut self,
        mut words: Vec<Argument>,
        assignments: Vec<(Vec<u8>, Argument)>,
        redirections: Vec<Redirection>,
        frame: Frame,
        span: Span,
    ) -> usize {
        let index = self.out.commands.len();
        if index >= COMMANDS_MAX {
            self.problem(&hazard::TOO_MANY_PARTS, span);
            return index;
        }
        let first = if words.is_empty() { None } else { Some(words.remove(0)) };
        let program = match &first {
            None => Program::Absent,
            Some(arg) => match arg.source {
                None => Program::Known(arg.bytes.clone()),
                Some(source) => Program::Unknown(source),
            },
        };
        let start = self.out.effects.len();
        let mut subject = Subject::new(index, start, span);
        self.out.commands.push(SimpleCommand {
            program,
            args: Vec::new(),
            assignments: Vec::new(),
            redirections,
            place: frame.place,
            via: frame.via,
            span,
            risk: Risk::Low,
            effects: start..start,
            knowledge: Knowledge::Catalogue,
            caged: self.caged,
        });
        self.traits.push(0);
        self.redirect_effects(index, &mut subject);
        for (name, value) in &assignments {
            let mut bytes = name.clone();
            bytes.push(b'=');
            bytes.extend_from_slice(&value.bytes);
            self.assignment_effect(name, &Argument { bytes: bytes.into(), ..value.clone() }, &mut subject);
        }
        let knowledge = match &first {
            None => Knowledge::Catalogue,
            Some(first) => self.program(first, &words, frame, &mut subject),
        };
        self.finish(index, start, words, assignments, knowledge, &mut subject);
        let jobs = std::mem::take(&mut subject.jobs);
        for job in jobs {
            if subject.cages {
                self.in_cage(|walker| walker.job(job, index, frame));
            } else {
                self.job(job, index, frame);
            }
        }
        index
    }

    fn finish(
        &mut self,
        index: usize,
        start: usize,
        words: Vec<Argument>,
        assignments: Vec<(Vec<u8>, Argument)>,
        knowledge: Knowledge,
        subject: &mut Subject,
    ) {
        if subject.traits & SHELL != 0 {
            let sockets = self
                .out
                .commands
                .get(index)
                .is_some_and(|c| c.redirections.iter().any(|r| super::effect::is_socket(&r.target.bytes)));
            if sockets {
                self.rule(subject, &hazard::REMOTE_SHELL, subject.span);
            }
        }
        self.record_output(index, &words);
        let end = self.out.effects.len();
        self.out.risk = self.out.risk.max(subject.risk);
        if let Some(slot) = self.traits.get_mut(index) {
            *slot = subject.traits;
        }
        if let Some(command) = self.out.commands.get_mut(index) {
            command.args = words;
            command.assignments = assignments;
            command.risk = subject.risk;
            command.effects = start..end;
            command.knowledge =
                if subject.partial && knowledge == Knowledge::Catalogue { Knowledge::Partial } else { knowledge };
        }
    }

    /// What the program named by `first` does with `words`.
    fn program(&mut self, first: &Argument, words: &[Argument], frame: Frame, subject: &mut Subject) -> Knowledge {
        let Some(name) = first.known() else {
            return self.unknown_program(first, words, frame, subject);
        };
        let base = name.rsplit(|b| *b == b'/').next().unwrap_or(name);
        let odd = |b: &u8| !b.is_ascii_graphic() || matches!(b, b'\\' | b'=' | b'{' | b'}');
        if base.iter().any(odd) || base.first() == Some(&b'-') {
            let rule = if base.is_ascii() { &hazard::ODD_PROGRAM_NAME } else { &hazard::LOOK_ALIKE };
            self.rule(subject, rule, first.span);
        }
        let defined = self.defined.iter().any(|d| d == name);
        if defined {
            self.use_alias(name, words, subject);
            self.forget_variables();
        }
        let by_path = name.contains(&b'/') && !is_standard(name);
        if by_path {
            self.execute_file(first, name, subject);
            self.follow_written(first, subject);
            self.hazard(&hazard::PATH_PROGRAM, first.span);
        }
        let entry = catalogue::lookup(base);
        let knowledge = match (entry, defined, by_path) {
            (Some(_), false, false) => Knowledge::Catalogue,
            (_, true, _) => Knowledge::Defined,
            _ => Knowledge::Unknown,
        };
        if let Some(entry) = entry {
            if entry.style == Style::Plain || is_builtin(base) {
                self.builtin(base, words, frame, subject);
            }
            self.apply(entry, words, subject);
            if scans_shells(entry) && !subject.is_understood() {
                self.scan_shells(words, subject);
            }
            if scans_secrets(entry) {
                self.scan_secrets(words, subject);
            }
        }
        if knowledge == Knowledge::Unknown {
            subject.raise(Risk::Medium);
            self.scan_shells(words, subject);
            self.scan_secrets(words, subject);
            self.effect(
                subject,
                EffectKind::Unknown,
                Some(String::from_utf8_lossy(name).into_owned()),
                first.span,
                Risk::Medium,
            );
        }
        knowledge
    }

    /// A program that is only known at run time; what it probably is can only raise the risk.
    fn unknown_program(
        &mut self,
        first: &Argument,
        words: &[Argument],
        frame: Frame,
        subject: &mut Subject,
    ) -> Knowledge {
        subject.traits |= RUNS_WORD;
        self.rule(subject, &hazard::PROGRAM_UNKNOWN, first.span);
        self.effect(subject, EffectKind::ExecuteFile, None, first.span, Risk::High);
        self.effect(subject, EffectKind::Unknown, None, first.span, Risk::High);
        self.scan_shells(words, subject);
        self.scan_secrets(words, subject);
        if frame.runs < RUN_DEPTH_MAX {
            let rest: Vec<u8> = first.bytes.iter().copied().filter(|b| *b != HOLE).collect();
            if rest.is_empty() {
                let known = words.first().and_then(|w| w.known()).is_some_and(|w| catalogue::lookup(w).is_some());
                if known {
                    subject.jobs.push(Job::Words(words.to_vec()));
                }
            } else if catalogue::lookup(rest.rsplit(|b| *b == b'/').next().unwrap_or(&rest)).is_some() {
                let mut probable = Vec::with_capacity(words.len() + 1);
                probable.push(Argument::exact(&rest, first.span));
                probable.extend_from_slice(words);
                subject.jobs.push(Job::Words(probable));
            }
        }
        self.forget_variables();
        Knowledge::Unknown
    }
}

fn command_span(command: &syntax::Command<'_>) -> Span {
    match command {
        syntax::Command::Simple(simple) => simple.span,
        syntax::Command::Compound(compound) => compound.span,
    }
}
