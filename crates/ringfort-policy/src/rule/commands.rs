// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules on commands: what the analysis found, answered by the policy.
//!
//! In: the analysis of one command line. Out: reasons with the spans of the words that they speak about.
//!
//! **Invariant:** every effect, hazard, chain and problem of the analysis is answered; one that this file does not
//! know is answered like something that is only known at run time. What the cage bounds is allowed inside it; what
//! it cannot bound is asked about by risk; what is closed is denied in the cage too.

use ringfort_core::action::{Command, PathOp};
use ringfort_core::advice;
use ringfort_core::decision::{Decision, Risk};
use ringfort_core::effect::{Effect, EffectKind, Span};
use ringfort_core::ruling::Ruling;
use ringfort_core::text::escape_bytes;

use super::draft::Draft;
use super::facts::{Facts, Treatment, treatment};
use super::{Policy, Role, table};
use crate::command::analysis::{Analysis, Argument, Context, Knowledge, Program, SimpleCommand};
use crate::command::{analyze, analyze_argv};
use crate::egress;
use crate::path::{Setting, Zone};

/// Builtins that start no program and touch no file: no list of programs needs to name them.
const INERT: [&str; 9] = ["cd", ":", "true", "false", "exit", "return", "break", "continue", "wait"];

/// Ringfort itself: no list needs to name it, for what it runs is judged, and what would change it is denied.
const OWN_NAME: &[u8] = b"ringfort";

/// Whether the words are those of a check: what it judges does not run.
fn is_own_check(command: &SimpleCommand) -> bool {
    matches!(&command.program, Program::Known(name) if *name == OWN_NAME)
        && command.args.iter().map(Argument::known).find(|word| *word != Some(b"--json")) == Some(Some(b"check"))
}

/// What one simple command amounts to.
#[derive(Default)]
struct Tally {
    /// Something in it is asked about or denied, which answers for the whole command: a person who says yes to it
    /// has seen it all, and a door that runs commands cages them in any case.
    answered: bool,
    /// It needs the cage.
    caged: Option<&'static str>,
    /// It changes files where it may.
    writes_inside: bool,
}

/// A simple command in its place.
struct Part<'a> {
    facts: &'a Facts<'a>,
    command: &'a SimpleCommand,
    setting: &'a Setting<'a>,
}

impl Part<'_> {
    /// Whether what the program writes without being told where, lies in the workspace: version control in the
    /// working folder, which nothing in the text has moved elsewhere.
    fn stays_inside(&self) -> bool {
        let git = matches!(&self.command.program, Program::Known(name) if *name == b"git")
            && self.command.knowledge == Knowledge::Catalogue;
        let moved =
            |known: &[u8]| [&b"--git-dir"[..], b"--work-tree", b"--exec-path"].iter().any(|o| known.starts_with(o));
        git && self.facts.settled
            && self.command.assignments.is_empty()
            && !names_outside(self.command, self.setting)
            && self.command.args.iter().all(|argument| argument.known().is_none_or(|known| !moved(known)))
    }
}

/// Whether an argument of git is a place outside the workspace, whatever it is to the sub-command.
fn names_outside(command: &SimpleCommand, setting: &Setting<'_>) -> bool {
    let known = || command.args.iter().filter_map(|argument| argument.known());
    // What `grep` and `log` look for often begins like a path.
    let sub = known().find(|word| word.first() != Some(&b'-'));
    if matches!(sub, Some(b"grep" | b"log")) && !known().any(|word| word == b"--no-index" || word == b"-C") {
        return false;
    }
    known().any(|word| {
        let value = match word.iter().position(|b| *b == b'=') {
            Some(at) if word.first() == Some(&b'-') => word.get(at + 1..).unwrap_or(&[]),
            _ => word,
        };
        let climbs = value.windows(3).any(|part| part == b"../") || value.ends_with(b"/..") || value == b"..";
        (matches!(value.first(), Some(b'/' | b'~')) || climbs)
            && value != b"/dev/null"
            && !setting.is_inside(&setting.resolve(value))
    })
}

impl Policy {
    /// Rules on one command.
    pub(super) fn command(&self, command: &Command, setting: &Setting<'_>) -> Ruling {
        let mut draft = Draft::new(self, Risk::Low);
        self.add_command(&mut draft, command, setting);
        draft.finish()
    }

    /// Adds what is to be said of one command.
    pub(super) fn add_command(&self, draft: &mut Draft<'_>, command: &Command, setting: &Setting<'_>) {
        let context =
            Context { cwd: Some(&setting.cwd), home: setting.home.as_deref(), workspace: setting.workspace.as_deref() };
        let analysis = match command {
            Command::Shell(text) => analyze(text.as_bytes(), &context),
            Command::Argv(words) => {
                let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
                analyze_argv(&words, &context)
            }
        };
        draft.risk(analysis.risk);
        self.add_analysis(draft, &analysis, setting);
        self.add_alternatives(draft, &analysis, setting);
        draft.effects(analysis.effects);
    }

    fn add_analysis(&self, draft: &mut Draft<'_>, analysis: &Analysis, setting: &Setting<'_>) {
        if analysis.commands.is_empty()
            && analysis.unanalysable.is_empty()
            && !analysis.hazards.iter().any(|h| h.rule.id == "command-013")
        {
            draft.add_id("command-013", Decision::Deny, "there is no command");
        }
        for problem in &analysis.unanalysable {
            // Nobody can read what is longer than that, a person neither.
            let too_long = problem.rule.id == "command-001";
            let decision = if too_long { Decision::Deny } else { self.unreadable };
            draft.risk(problem.rule.risk);
            draft
                .add_id(problem.rule.id, decision, problem.rule.meaning)
                .at(problem.span)
                .instead(|| "write the command out in a simpler form".to_owned());
        }
        self.add_critical(draft, analysis);
        let facts = Facts::new(self, analysis, setting);
        let unasked = self.unasked(&facts);
        for hazard in &analysis.hazards {
            draft.inside(hazard.caged);
            draft.waive(unasked.covers_hazard(hazard.rule.id, hazard.span));
            self.add_hazard(draft, hazard.rule.id, hazard.rule.risk, hazard.rule.meaning, hazard.span);
        }
        draft.waive(false);
        for chain in &analysis.chains {
            draft.inside(analysis.commands.get(chain.to).is_some_and(|command| command.caged));
            if chain.rule.risk < Risk::Critical {
                self.add_hazard(draft, chain.rule.id, chain.rule.risk, chain.rule.meaning, chain.span);
            }
        }
        for (index, command) in analysis.commands.iter().enumerate() {
            draft.inside(command.caged);
            self.add_command_lists(draft, &facts, command);
            draft.waive(unasked.covers(index));
            self.add_simple(draft, &facts, command);
            draft.waive(false);
        }
        draft.inside(false);
    }

    /// Denies critical risk, wherever in the analysis it stands.
    fn add_critical(&self, draft: &mut Draft<'_>, analysis: &Analysis) {
        if analysis.risk < Risk::Critical {
            return;
        }
        let generic = "leave this part out, or let a person do it outside";
        let mut named = false;
        let hazards = analysis.hazards.iter().map(|hazard| (hazard.rule, hazard.span));
        let chains = analysis.chains.iter().map(|chain| (chain.rule, chain.span));
        for (rule, span) in hazards.chain(chains).filter(|(rule, _)| rule.risk == Risk::Critical) {
            let instead = advice::for_rule(rule.id).unwrap_or(generic);
            draft.add_id(rule.id, Decision::Deny, rule.meaning).at(span).instead(|| instead.to_owned());
            named = true;
        }
        if named {
            return;
        }
        let span = analysis.commands.iter().find(|command| command.risk == Risk::Critical).map(|command| command.span);
        let added = draft.add(&table::POLICY_CRITICAL, Decision::Deny, table::POLICY_CRITICAL.meaning);
        let added = added.instead(|| generic.to_owned());
        if let Some(span) = span {
            added.at(span);
        }
    }

    fn add_hazard(&self, draft: &mut Draft<'_>, id: &'static str, risk: Risk, meaning: &'static str, span: Span) {
        if risk == Risk::Critical {
            return;
        }
        match treatment(id) {
            Treatment::ByEffect => {}
            Treatment::Cage => draft.cage(Some(span), || meaning.to_owned()),
            Treatment::Unresolved => draft.unresolved(id, span, meaning),
            Treatment::ByRisk if self.ask.covers(risk) => {
                draft.add_id(id, Decision::Ask, meaning).at(span).widen(|| self.ask_remedy(risk));
            }
            Treatment::ByRisk => draft.cage(Some(span), || meaning.to_owned()),
            Treatment::Deny => {
                draft.add_id(id, Decision::Deny, meaning).at(span);
            }
        }
    }

    fn ask_remedy(&self, risk: Risk) -> String {
        let word = if risk >= Risk::High { "never" } else { "high" };
        format!("`autonomy.ask = \"{word}\"`: every command of {} risk then goes ahead unasked", risk.as_str())
    }

    /// Answers one simple command: lists, then effects, then what is left of its risk.
    fn add_simple(&self, draft: &mut Draft<'_>, facts: &Facts<'_>, command: &SimpleCommand) {
        let setting = facts.setting;
        let mut tally = Tally { answered: facts.is_asked(command), ..Tally::default() };
        match (&command.program, command.knowledge) {
            (Program::Unknown(_), _) => {
                tally.answered = true;
                let meaning = "the program is only known at run time";
                draft.unresolved("command-010", command.span, meaning);
            }
            (Program::Known(name), _) if name.is_empty() => {
                tally.answered = true;
                draft.add_id("command-013", Decision::Deny, "the command names no program").at(command.span);
            }
            (Program::Known(_), Knowledge::Unknown) => tally.caged = Some("the program is not known"),
            (Program::Known(_), Knowledge::Partial) => tally.caged = Some("not every argument of the program is known"),
            _ => {}
        }
        if command.program.name() == Some(b"git") && names_outside(command, setting) {
            tally.caged = Some("it names a place outside the workspace");
        }
        self.add_arguments(draft, command, &mut tally, setting);
        for effect in facts.analysis.effects.get(command.effects.clone()).unwrap_or(&[]) {
            self.add_effect(draft, effect, &Part { facts, command, setting }, &mut tally);
        }
        if tally.answered || command.risk == Risk::Critical {
            return;
        }
        let explained = tally.writes_inside && command.risk <= Risk::Medium;
        let known = explained || command.risk < Risk::Medium || !self.ask.covers(command.risk);
        if tally.caged.is_none() && !known && self.role == Role::Whole {
            tally.caged = Some("its risk is not low");
        }
        if let Some(why) = tally.caged {
            draft.cage(Some(command.span), || why.to_owned());
        }
    }

    /// Denies a closed place among the arguments, whatever the program does with it: any program may read its
    /// arguments, and no catalogue knows them all.
    fn add_arguments(&self, draft: &mut Draft<'_>, command: &SimpleCommand, tally: &mut Tally, setting: &Setting<'_>) {
        if matches!(command.program.name(), Some(b"echo" | b"printf")) || is_own_check(command) {
            return;
        }
        for argument in &command.args {
            let Some(word) = argument.known() else { continue };
            let value = match word.iter().position(|b| matches!(b, b'=' | b'@')) {
                Some(at) => word.get(at + 1..).unwrap_or(&[]),
                None => word,
            };
            if !matches!(value, [b'/' | b'~', ..]) || value.iter().any(u8::is_ascii_whitespace) {
                continue;
            }
            let path = setting.resolve(value);
            let zone = self.zones.zone(&path, PathOp::Read, setting);
            if matches!(zone, Zone::DotFolder(_) | Zone::Forbidden(_) | Zone::Credential) {
                tally.answered = true;
                self.add_closed(draft, zone, PathOp::Read, argument.span);
            }
        }
    }

    fn add_command_lists(&self, draft: &mut Draft<'_>, facts: &Facts<'_>, command: &SimpleCommand) {
        let shown = |program: &[u8]| escape_bytes(program);
        let arguments = || command.args.iter().map(|argument| argument.known());
        if let Program::Known(program) = &command.program {
            if let Some(entry) = self.denied_commands.iter().find(|entry| entry.names(program, arguments())) {
                let text = escape_bytes(entry.to_text().as_bytes());
                draft.risk(Risk::High);
                draft
                    .add(&table::POLICY_DENIED_COMMAND, Decision::Deny, format!("`autonomy.deny` names `{text}`"))
                    .at(command.span)
                    .widen(|| format!("remove `{text}` from `autonomy.deny`: every agent may then run it"));
            }
            if let Some(entry) = self.asked_commands.iter().find(|entry| entry.names(program, arguments())) {
                let text = escape_bytes(entry.to_text().as_bytes());
                let message = format!("`autonomy.ask_commands` names `{text}`");
                draft.add(&table::POLICY_ASKED_COMMAND, self.question, message).at(command.span);
            }
        }
        let Some(allowed) = &self.allowed_commands else { return };
        let listed = match &command.program {
            Program::Absent => true,
            Program::Unknown(_) => false,
            Program::Known(_) if command.knowledge == Knowledge::Defined => !facts.hijacked,
            Program::Known(program) => {
                let inert = program == OWN_NAME || INERT.iter().any(|name| program == name.as_bytes());
                inert || (!facts.hijacked && allowed.iter().any(|entry| entry.allows(program, facts.setting)))
            }
        };
        if !listed {
            let program = match &command.program {
                Program::Known(program) => shown(program),
                Program::Unknown(_) | Program::Absent => "a program that is only known at run time".to_owned(),
            };
            draft.risk(Risk::Medium);
            draft
                .add(
                    &table::POLICY_UNLISTED_COMMAND,
                    Decision::Deny,
                    format!("`autonomy.allowed_commands` does not name `{program}`"),
                )
                .at(command.span)
                .widen(|| format!("add `{program}` to `autonomy.allowed_commands`: every agent may then run it"));
        }
    }

    fn add_effect(&self, draft: &mut Draft<'_>, effect: &Effect, part: &Part<'_>, tally: &mut Tally) {
        let (command, setting) = (part.command, part.setting);
        if self.is_readonly() && changes(effect, command.risk) {
            tally.answered = true;
            return self.add_readonly(draft, effect.span);
        }
        match effect.kind {
            EffectKind::ReadPath => self.add_read(draft, effect, tally, setting),
            EffectKind::ListPath => self.add_list(draft, effect, tally, setting),
            EffectKind::ReadSecret => self.add_secret(draft, effect, tally, setting),
            EffectKind::WritePath | EffectKind::DeletePath | EffectKind::DeleteTree | EffectKind::Persist => {
                self.add_write(draft, effect, part, tally);
            }
            EffectKind::ExecuteFile => {
                self.add_execute(draft, effect, tally, setting);
            }
            EffectKind::ExecuteText => tally.caged = Some("it runs code that nobody has read"),
            EffectKind::OpenNetwork => self.add_network(draft, effect, tally),
            EffectKind::QueryService => self.add_query(draft, effect, tally),
            EffectKind::RewriteHistory => {
                self.add_unbounded(draft, effect, command, tally, "it rewrites or discards history")
            }
            EffectKind::Publish => self.add_unbounded(draft, effect, command, tally, "it publishes"),
            EffectKind::Spend => self.add_unbounded(draft, effect, command, tally, "it spends money"),
            EffectKind::ChangePrivilege => tally.caged = Some("it changes rights"),
            EffectKind::Kill => tally.caged = Some("it stops processes"),
            EffectKind::Exhaust => tally.caged = Some("it can use up a resource"),
            EffectKind::ChangeEnvironment if command.risk < Risk::Medium => {}
            EffectKind::ChangeEnvironment => tally.caged = Some("it changes the environment of later programs"),
            EffectKind::Unknown => tally.caged = Some("not everything that it does is known"),
            _ => {
                tally.answered = true;
                draft.unresolved(table::POLICY_UNRESOLVED.id, effect.span, table::POLICY_UNRESOLVED.meaning);
            }
        }
    }

    /// Asks about harm that the cage cannot bound, by its risk.
    fn add_unbounded(
        &self,
        draft: &mut Draft<'_>,
        effect: &Effect,
        command: &SimpleCommand,
        tally: &mut Tally,
        what: &'static str,
    ) {
        let risk = command.risk.max(Risk::Medium);
        if self.ask.covers(risk) {
            tally.answered = true;
            let message = format!("{what}, which the cage cannot bound; its risk is {}", risk.as_str());
            draft.add(&table::POLICY_RISK, Decision::Ask, message).at(effect.span).widen(|| self.ask_remedy(risk));
        } else if self.role == Role::Whole {
            tally.caged = Some(what);
        }
    }

    fn add_read(&self, draft: &mut Draft<'_>, effect: &Effect, tally: &mut Tally, setting: &Setting<'_>) {
        let Some(zone) = self.zone_of(effect, PathOp::Read, setting) else {
            if self.unresolved == Decision::Deny && self.role == Role::Whole {
                tally.answered = true;
                return draft.unresolved(table::PATH_UNKNOWN.id, effect.span, table::PATH_UNKNOWN.meaning);
            }
            tally.caged = Some("what it reads is only known at run time");
            return;
        };
        match zone {
            Zone::Device | Zone::Workspace | Zone::Root | Zone::Startup | Zone::Persistence => {}
            Zone::Outside | Zone::Scratch | Zone::System(_) => tally.caged = Some("it reads outside the workspace"),
            Zone::NamedSecret => self.add_named_secret(draft, effect, tally),
            closed @ (Zone::DotFolder(_) | Zone::Forbidden(_) | Zone::Credential) => {
                tally.answered = true;
                self.add_closed(draft, closed, PathOp::Read, effect.span);
            }
        }
    }

    /// Seeing names and sizes: what is closed stays closed, elsewhere they are no content.
    fn add_list(&self, draft: &mut Draft<'_>, effect: &Effect, tally: &mut Tally, setting: &Setting<'_>) {
        match self.zone_of(effect, PathOp::Read, setting) {
            Some(closed @ (Zone::DotFolder(_) | Zone::Forbidden(_) | Zone::Credential)) => {
                tally.answered = true;
                self.add_closed(draft, closed, PathOp::Read, effect.span);
            }
            None if self.unresolved == Decision::Deny && self.role == Role::Whole => {
                tally.answered = true;
                draft.unresolved(table::PATH_UNKNOWN.id, effect.span, table::PATH_UNKNOWN.meaning);
            }
            _ => {}
        }
    }

    fn add_named_secret(&self, draft: &mut Draft<'_>, effect: &Effect, tally: &mut Tally) {
        tally.answered = true;
        draft.unresolved(table::PATH_NAMED_SECRET.id, effect.span, table::PATH_NAMED_SECRET.meaning);
    }

    fn add_secret(&self, draft: &mut Draft<'_>, effect: &Effect, tally: &mut Tally, setting: &Setting<'_>) {
        match self.zone_of(effect, PathOp::Read, setting) {
            None | Some(Zone::NamedSecret | Zone::Workspace | Zone::Root) => {
                self.add_named_secret(draft, effect, tally)
            }
            Some(closed @ (Zone::DotFolder(_) | Zone::Forbidden(_) | Zone::System(_))) => {
                tally.answered = true;
                self.add_closed(draft, closed, PathOp::Read, effect.span);
            }
            Some(_) => {
                tally.answered = true;
                self.add_closed(draft, Zone::Credential, PathOp::Read, effect.span);
            }
        }
    }

    fn add_write(&self, draft: &mut Draft<'_>, effect: &Effect, part: &Part<'_>, tally: &mut Tally) {
        let (command, setting) = (part.command, part.setting);
        let Some(zone) = self.zone_of(effect, PathOp::Write, setting) else {
            if effect.kind == EffectKind::WritePath && effect.span == command.span && part.stays_inside() {
                tally.writes_inside = true;
                return;
            }
            if effect.kind == EffectKind::WritePath && self.unresolved != Decision::Deny {
                tally.caged = Some("what it writes is only known at run time");
                return;
            }
            tally.answered = true;
            return draft.unresolved(table::PATH_UNKNOWN.id, effect.span, table::PATH_UNKNOWN.meaning);
        };
        let removes = matches!(effect.kind, EffectKind::DeletePath | EffectKind::DeleteTree);
        let below = if removes { self.forbidden_below(effect, setting) } else { None };
        match below.unwrap_or(zone) {
            Zone::Device => {}
            Zone::Workspace | Zone::Root | Zone::NamedSecret => match effect.kind {
                EffectKind::Persist => self.add_startup(draft, effect, tally),
                EffectKind::DeleteTree => self.add_unbounded(draft, effect, command, tally, "it removes a whole tree"),
                EffectKind::DeletePath if command.risk >= Risk::Medium => {
                    self.add_unbounded(draft, effect, command, tally, "it removes files");
                }
                _ => tally.writes_inside = true,
            },
            Zone::Startup => self.add_startup(draft, effect, tally),
            Zone::Scratch if effect.kind != EffectKind::Persist => {
                tally.caged = Some("it writes outside the workspace")
            }
            Zone::Outside | Zone::Scratch if effect.kind == EffectKind::Persist => {
                tally.answered = true;
                self.add_closed(draft, Zone::Persistence, PathOp::Write, effect.span);
            }
            Zone::Outside | Zone::Scratch if self.workspace_only => {
                tally.answered = true;
                draft.risk(Risk::High);
                let path = setting.resolve(effect.target.as_deref().unwrap_or("").as_bytes());
                self.deny_outside(draft, &path, PathOp::Write, effect.span, setting);
            }
            Zone::Outside | Zone::Scratch => tally.caged = Some("it writes outside the workspace"),
            closed => {
                tally.answered = true;
                self.add_closed(draft, closed, PathOp::Write, effect.span);
            }
        }
    }

    fn add_startup(&self, draft: &mut Draft<'_>, effect: &Effect, tally: &mut Tally) {
        tally.answered = true;
        self.add_closed(draft, Zone::Startup, PathOp::Write, effect.span);
    }

    fn add_execute(&self, draft: &mut Draft<'_>, effect: &Effect, tally: &mut Tally, setting: &Setting<'_>) {
        tally.caged = Some("it runs a program file that nobody has read");
        let zone = self.zone_of(effect, PathOp::Execute, setting);
        if let Some(closed @ (Zone::DotFolder(_) | Zone::Forbidden(_) | Zone::Credential)) = zone {
            tally.answered = true;
            self.add_closed(draft, closed, PathOp::Execute, effect.span);
        }
    }

    fn add_network(&self, draft: &mut Draft<'_>, effect: &Effect, tally: &mut Tally) {
        tally.caged = Some("it reaches the network");
        if let Some(Ok(to)) = effect.target.as_deref().map(egress::parse)
            && self.add_closed_host(draft, &to, effect.span)
        {
            tally.answered = true;
        }
    }

    /// A question to a service that its own client was set up for: nothing but written words leaves.
    fn add_query(&self, draft: &mut Draft<'_>, effect: &Effect, tally: &mut Tally) {
        if let Some(Ok(to)) = effect.target.as_deref().map(egress::parse)
            && self.add_closed_host(draft, &to, effect.span)
        {
            tally.answered = true;
        }
    }

    /// A configured place that goes away with an effect's target.
    fn forbidden_below(&self, effect: &Effect, setting: &Setting<'_>) -> Option<Zone<'_>> {
        let path = setting.resolve(effect.target.as_deref()?.as_bytes());
        self.zones.forbidden_below(&path, setting)
    }

    /// The zone of an effect's target; `None` where the target is only known at run time.
    fn zone_of(&self, effect: &Effect, op: PathOp, setting: &Setting<'_>) -> Option<Zone<'_>> {
        let target = effect.target.as_deref()?.as_bytes();
        // A home folder that is not known, another user's, or a lossy text is no path.
        if target.is_empty() || target.contains(&0) || target.starts_with(b"~") && setting.home.is_none() {
            return None;
        }
        if matches!(target, [b'~', next, ..] if *next != b'/') {
            return None;
        }
        // A target that is still relative lies in a folder that is only known at run time: behind `cd "$x"`.
        if !matches!(target, [b'/' | b'~', ..]) {
            return None;
        }
        let path = setting.resolve(target);
        let own = [&b"/dev/stdin"[..], b"/dev/stdout", b"/dev/stderr"].contains(&path.as_ref())
            || path.starts_with(b"/dev/fd/")
            || path.starts_with(b"/dev/pts/");
        Some(if own { Zone::Device } else { self.zones.zone(&path, op, setting) })
    }
}

/// Whether an effect is more than reading.
fn changes(effect: &Effect, risk: Risk) -> bool {
    match effect.kind {
        EffectKind::ReadPath | EffectKind::ListPath | EffectKind::ReadSecret => false,
        EffectKind::ChangeEnvironment => risk >= Risk::Medium,
        EffectKind::WritePath => !effect.target.as_deref().is_some_and(|target| target.starts_with("/dev/")),
        _ => true,
    }
}
