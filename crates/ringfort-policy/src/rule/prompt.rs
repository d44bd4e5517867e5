// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules on texts: what none may hold, and which risk score is too high.
//!
//! In: an action and the ruling that it has got. Out: the ruling, at least as strict.
//!
//! **Invariant:** every text of an action is searched, in every reading, whichever field it stands in; nothing is
//! searched, and nothing costs, where `[guard]` says nothing.

use ringfort_core::action::{Action, Command, Job};
use ringfort_core::decision::Decision;
use ringfort_core::effect::Span;
use ringfort_core::ruling::{Reason, Remedy, Ring, Ruling};
use ringfort_core::score;
use ringfort_core::text::escape_bytes;
use serde_json::Value;

use super::{Policy, table};
use crate::command::analysis::{Context, Program};
use crate::command::{analyze, analyze_argv};
use crate::config::GuardConfig;
use crate::normal::{View, folded, views};
use crate::path::Setting;
use crate::tool::{Act, Call, read, strings};

/// Fewest letters of a pattern that is also searched without blanks and signs between.
const SQUEEZED_MIN: usize = 10;
/// Most phrases and patterns that a ruling names.
const NAMED_MAX: usize = 16;

/// Phrases that try to talk an agent out of its rules. They add to the score; alone they deny nothing.
const PHRASES: [&str; 12] = [
    "ignore previous instructions",
    "ignore all previous instructions",
    "disregard previous instructions",
    "disregard all previous instructions",
    "forget your instructions",
    "override your instructions",
    "system prompt",
    "developer message",
    "jailbreak",
    "disable safety",
    "do not tell the user",
    "without asking the user",
];

/// What `[guard]` says, compiled.
#[derive(Clone, Debug, Default)]
pub(super) struct Prompt {
    blocked: Vec<Blocked>,
    review: Option<u8>,
    block: Option<u8>,
}

#[derive(Clone, Debug)]
struct Blocked {
    written: String,
    folded: String,
    squeezed: Option<String>,
}

impl Blocked {
    fn new(written: &str) -> Self {
        let folded = folded(written);
        let squeezed: String = folded.chars().filter(|c| c.is_alphanumeric()).collect();
        let squeezed = Some(squeezed).filter(|squeezed| squeezed.chars().count() >= SQUEEZED_MIN);
        Self { written: written.to_owned(), folded, squeezed }
    }

    fn find(&self, views: &[View]) -> Option<Span> {
        let whole = || views.iter().find_map(|view| view.find(&self.folded));
        let squeezed = || {
            let pattern = self.squeezed.as_deref()?;
            views.iter().find_map(|view| view.squeezed().find(pattern))
        };
        whole().or_else(squeezed)
    }
}

impl Prompt {
    /// Compiles the section. A pattern of which nothing is left after folding is refused by the check before.
    pub(super) fn new(config: &GuardConfig) -> Self {
        Self {
            blocked: config.blocked_patterns.iter().map(|pattern| Blocked::new(pattern)).collect(),
            review: config.review_score,
            block: config.block_score,
        }
    }

    fn is_idle(&self) -> bool {
        self.blocked.is_empty() && !self.scores()
    }

    fn scores(&self) -> bool {
        self.review.is_some() || self.block.is_some()
    }
}

impl Policy {
    /// Makes a ruling as strict as the texts of the action demand.
    pub(super) fn with_texts(&self, action: &Action, setting: &Setting<'_>, ruling: Ruling) -> Ruling {
        if self.prompt.is_idle() {
            return ruling;
        }
        let mut texts = Texts { readings: Vec::new(), deep: false };
        texts.action(action, setting);
        let ruling = if texts.deep { strict(ruling, &table::PROMPT_DEEP, Decision::Deny, None, None) } else { ruling };
        let ruling = self.with_blocked(&texts, ruling);
        if self.prompt.scores() { self.with_score(&texts, ruling) } else { ruling }
    }

    fn with_blocked(&self, texts: &Texts, mut ruling: Ruling) -> Ruling {
        let mut named = 0;
        for blocked in &self.prompt.blocked {
            let Some(found) = texts.readings.iter().find_map(|reading| reading.find(blocked)) else { continue };
            named += 1;
            if named <= NAMED_MAX {
                let message = format!("`guard.blocked_patterns` names `{}`", escape_bytes(blocked.written.as_bytes()));
                ruling = strict(ruling, &table::PROMPT_BLOCKED, Decision::Deny, found, Some(message));
            }
        }
        ruling
    }

    fn with_score(&self, texts: &Texts, mut ruling: Ruling) -> Ruling {
        for phrase in PHRASES {
            let blocked = Blocked::new(phrase);
            if let Some(found) = texts.readings.iter().find_map(|reading| reading.find(&blocked)) {
                let message = format!("`{phrase}` tries to talk an agent out of its rules");
                ruling = strict(ruling, &table::PROMPT_PHRASE, Decision::Allow, found, Some(message));
            }
        }
        let score = score::of(&ruling).total;
        let reached = |bound: Option<u8>| bound.filter(|bound| score >= *bound);
        let (rule, decision, bound, key) = match (reached(self.prompt.block), reached(self.prompt.review)) {
            (Some(bound), _) => (&table::PROMPT_BLOCK, Decision::Deny, bound, "block_score"),
            (None, Some(bound)) => (&table::PROMPT_REVIEW, self.question, bound, "review_score"),
            (None, None) => return ruling,
        };
        strict(ruling, rule, decision, None, Some(format!("the risk score {score} reaches `guard.{key} = {bound}`")))
    }
}

/// The ruling, with one more reason.
fn strict(
    ruling: Ruling,
    rule: &'static table::Rule,
    decision: Decision,
    span: Option<Span>,
    message: Option<String>,
) -> Ruling {
    let mut reason =
        Reason::new(rule.id, decision, message.unwrap_or_else(|| rule.meaning.to_owned())).ring(Ring::Data);
    reason.span = span;
    if decision == Decision::Deny && rule.id != table::PROMPT_DEEP.id {
        reason = reason
            .remedy(Remedy::Person("change what `[guard]` says: every agent may then do what it stops".to_owned()));
    }
    let risk = ruling.risk;
    ruling.merge(Ruling::new(decision, risk, reason))
}

/// One text in all its readings. Spans count only in the text that people are shown.
struct Reading {
    views: Vec<View>,
    /// Moves spans to where the text stands; `None` where nobody is shown it.
    shown: Option<fn(Span) -> Span>,
    /// The span that stands for every match, where the text was put together.
    whole: Option<Span>,
}

impl Reading {
    fn find(&self, blocked: &Blocked) -> Option<Option<Span>> {
        let span = blocked.find(&self.views)?;
        Some(self.whole.or_else(|| self.shown.map(|shown| shown(span))))
    }
}

/// Every text of an action.
struct Texts {
    readings: Vec<Reading>,
    deep: bool,
}

impl Texts {
    fn action(&mut self, action: &Action, setting: &Setting<'_>) {
        match action {
            Action::Command(command) => self.command(command, setting, true),
            Action::Tool(call) => {
                self.plain(call.name.as_bytes());
                self.value(&call.arguments);
                if let Ok(call) = read(&call.name, &call.arguments) {
                    self.call(&call, setting);
                }
            }
            Action::Path(access) => self.shown(access.path.as_bytes()),
            Action::Egress(egress) => {
                self.shown(egress.url.as_bytes());
                self.plain(egress.method.as_deref().unwrap_or("").as_bytes());
            }
            Action::Secret(secret) => self.plains(&[&secret.id, &secret.purpose]),
            Action::Model(model) => self.plains(&[&model.id, &model.operation]),
            Action::Message(message) => self.plains(&[&message.channel, &message.recipient, &message.text]),
            Action::ScheduleAdd(add) => {
                self.plains(&[&add.name, &add.when]);
                self.job(&add.job, setting);
            }
            Action::ScheduleRun(run) => {
                self.plain(run.name.as_bytes());
                self.job(&run.job, setting);
            }
            Action::Skill(skill) => {
                self.plains(&[&skill.name, skill.source.as_deref().unwrap_or("")]);
                if let Some(command) = &skill.command {
                    self.command(command, setting, false);
                }
            }
            Action::Delegate(delegation) => {
                self.plain(delegation.to.as_bytes());
                self.plain(delegation.task.as_bytes());
            }
            Action::ModelSwitch(switch) => self.plains(&[&switch.to, switch.from.as_deref().unwrap_or("")]),
            // What it states is judged by itself.
            Action::Intent(check) => self.plain(check.intent.as_bytes()),
            // A kind that this version does not know is denied already.
            _ => {}
        }
    }

    fn job(&mut self, job: &Job, setting: &Setting<'_>) {
        match job {
            Job::Command(command) => self.command(command, setting, false),
            Job::Prompt(text) => self.plain(text.as_bytes()),
        }
    }

    /// What a call would run, word by word.
    fn call(&mut self, call: &Call<'_>, setting: &Setting<'_>) {
        for act in &call.acts {
            match act {
                Act::Shell(text) | Act::Type(text) | Act::Schedule(text) => {
                    self.words(&Command::Shell((*text).into()), setting, false);
                }
                Act::Argv(words) => {
                    let command = Command::Argv(words.iter().map(|word| (*word).into()).collect());
                    self.plain(words.join(" ").as_bytes());
                    self.words(&command, setting, false);
                }
                Act::Nested(call, _) => self.call(call, setting),
                _ => {}
            }
        }
    }

    fn command(&mut self, command: &Command, setting: &Setting<'_>, shown: bool) {
        match command {
            Command::Shell(text) if shown => self.shown(text.as_bytes()),
            Command::Shell(text) => self.plain(text.as_bytes()),
            Command::Argv(words) => {
                let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
                self.plain(&words.join(&b' '));
            }
        }
        self.words(command, setting, shown);
    }

    /// The words of each simple command as they would run: quotes gone, variables filled in.
    fn words(&mut self, command: &Command, setting: &Setting<'_>, shown: bool) {
        let context =
            Context { cwd: Some(&setting.cwd), home: setting.home.as_deref(), workspace: setting.workspace.as_deref() };
        let analysis = match command {
            Command::Shell(text) => analyze(text.as_bytes(), &context),
            Command::Argv(words) => {
                let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
                analyze_argv(&words, &context)
            }
        };
        let is_shell = matches!(command, Command::Shell(_));
        for simple in &analysis.commands {
            let program = match &simple.program {
                Program::Known(program) => Some(&program[..]),
                _ => None,
            };
            let words = program.into_iter().chain(simple.args.iter().filter_map(|argument| argument.known()));
            let joined = words.collect::<Vec<_>>().join(&b' ');
            let whole = (shown && is_shell).then_some(simple.span);
            self.readings.push(Reading { views: views(&joined), shown: None, whole });
        }
    }

    fn value(&mut self, value: &Value) {
        let mut found = Vec::new();
        self.deep |= !strings::each(value, &mut |text| found.push(text));
        found.into_iter().for_each(|text| self.plain(text.as_bytes()));
    }

    fn plains(&mut self, texts: &[&str]) {
        texts.iter().for_each(|text| self.plain(text.as_bytes()));
    }

    fn plain(&mut self, text: &[u8]) {
        self.readings.push(Reading { views: views(text), shown: None, whole: None });
    }

    /// The text that people are shown, in which spans count.
    fn shown(&mut self, text: &[u8]) {
        self.readings.push(Reading { views: views(text), shown: Some(|span| span), whole: None });
    }
}
