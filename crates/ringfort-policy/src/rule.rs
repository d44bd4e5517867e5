// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rule engine: a compiled policy and what it answers to a request.
//!
//! In: [`Config`] or [`Restriction`]; requests. Out: [`Ruling`]s with rule ids, spans, obligations and remedies.
//!
//! **Invariant:** [`Policy::decide`] is pure and gives the same ruling at every door; what a door cannot fulfil is the
//! door's to resolve. Nothing opens what is closed to everybody: critical risk, the folders of the system, keys.

use std::collections::BTreeSet;
use std::path::Path;

use ringfort_core::action::{Action, Command, PathAccess, PathOp, ToolCall};
use ringfort_core::decision::{Decision, Risk};
use ringfort_core::digest::{Digest, DigestWriter};
use ringfort_core::obligation::Promise;
use ringfort_core::request::Request;
use ringfort_core::ruling::Ruling;
use ringfort_core::text::Text;

use crate::config::{Ask, Config, Level, Unresolved};
use crate::domain::HostPattern;
use crate::egress::rule::EgressRule;
use crate::path::{Place, Setting, Zones};
use crate::restriction::{AskRestriction, LevelRestriction, Restriction};
use crate::tool::ToolPattern;
use crate::tool::argument::ToolRule;

mod alternative;
mod commands;
mod draft;
mod effective;
mod facts;
mod hosts;
mod paths;
mod prefix;
mod prompt;
mod seams;
mod secrets;
pub mod table;
mod tools;
mod unasked;

pub use effective::Effective;
pub use prefix::{CommandPrefix, PrefixError};
pub use secrets::{SecretPattern, SecretPatternError};
pub use unasked::{WholeCommand, WholeError};

use draft::Draft;
use prompt::Prompt;
use secrets::Asker;

/// The version of the rules; part of the digest, so that remembered approvals end when rules change.
const RULES_VERSION: u64 = 2;

/// A compiled policy.
#[derive(Clone, Debug)]
pub struct Policy {
    level: Level,
    ask: Ask,
    /// The answer to what is not known: never less strict than what the level says.
    unresolved: Decision,
    /// The answer to text that cannot be analysed.
    unreadable: Decision,
    /// The answer where a list asks for a question.
    question: Decision,
    workspace_only: bool,
    /// Whether this policy answers for the whole, or only restricts another.
    role: Role,
    allowed_commands: Option<Vec<CommandPrefix>>,
    denied_commands: Vec<CommandPrefix>,
    asked_commands: Vec<CommandPrefix>,
    unasked_commands: Vec<WholeCommand>,
    zones: Zones,
    allowed_tools: Option<Vec<ToolPattern>>,
    denied_tools: Vec<ToolPattern>,
    asked_tools: Vec<ToolPattern>,
    tool_rules: Vec<ToolRule>,
    models: Vec<String>,
    prompt: Prompt,
    hosts: Vec<HostPattern>,
    denied_hosts: Vec<HostPattern>,
    /// Hosts that the settings of clients name.
    client_hosts: Vec<HostPattern>,
    host_rules: Vec<EgressRule>,
    allowed_secrets: Option<Vec<SecretPattern>>,
    denied_secrets: Vec<SecretPattern>,
    promises: BTreeSet<Promise>,
    digest: Digest,
}

/// What a policy of the chain answers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// The whole.
    Whole,
    /// What a project restricts.
    Restriction,
}

impl Policy {
    /// Compiles a configuration that [`crate::load`] has checked. An entry that does not compile closes what it
    /// would have opened and is left out of what it would have closed; the check refuses it before.
    pub fn from_config(config: &Config) -> Self {
        let autonomy = &config.autonomy;
        let level = autonomy.level;
        let unresolved = match (level, autonomy.unresolved) {
            (Level::Readonly, _) | (Level::Supervised, Unresolved::Deny) => Decision::Deny,
            (Level::Supervised, Unresolved::Ask) => Decision::Ask,
            (Level::Full, Unresolved::Ask) => Decision::Allow,
            (Level::Full, Unresolved::Deny) => Decision::Deny,
        };
        Self {
            level,
            ask: if level == Level::Supervised { autonomy.ask } else { Ask::Never },
            unresolved,
            unreadable: if level == Level::Supervised { unresolved } else { Decision::Deny },
            question: if level == Level::Readonly { Decision::Deny } else { Decision::Ask },
            workspace_only: autonomy.workspace_only,
            role: Role::Whole,
            allowed_commands: autonomy.allowed_commands.as_deref().map(commands),
            denied_commands: commands(&autonomy.deny),
            asked_commands: commands(&autonomy.ask_commands),
            unasked_commands: wholes(&autonomy.unasked_commands),
            zones: Zones {
                forbidden: places(&autonomy.forbidden_paths),
                roots: places(&autonomy.allowed_roots),
                roots_read_only: places(&autonomy.allowed_roots_read_only),
            },
            allowed_tools: autonomy.allowed_tools.as_deref().map(tool_patterns),
            denied_tools: tool_patterns(&autonomy.denied_tools),
            asked_tools: tool_patterns(&autonomy.ask_tools),
            tool_rules: autonomy.tool_rules.iter().filter_map(|rule| ToolRule::compile(rule).ok()).collect(),
            models: autonomy.models.clone(),
            prompt: Prompt::new(&config.guard),
            hosts: host_patterns(&config.egress.domains),
            denied_hosts: host_patterns(&config.egress.denied_domains),
            client_hosts: Vec::new(),
            host_rules: config.egress.rules.iter().filter_map(|rule| EgressRule::compile(rule).ok()).collect(),
            allowed_secrets: config.secrets.allow.as_deref().map(secret_patterns),
            denied_secrets: secret_patterns(&config.secrets.deny),
            promises: config.sandbox.require.clone(),
            digest: digest_of(
                1,
                &(
                    (&config.policy, autonomy, &config.guard, &config.egress, &config.sandbox),
                    (&config.secrets.allow, &config.secrets.deny),
                ),
            ),
        }
    }

    /// Compiles a project's restriction: a policy that says nothing of its own but what the restriction says.
    pub fn from_restriction(restriction: &Restriction) -> Self {
        let autonomy = &restriction.autonomy;
        let (level, mut ask, mut unresolved) = match autonomy.level {
            Some(LevelRestriction::Readonly) => (Level::Readonly, Ask::Never, Decision::Deny),
            Some(LevelRestriction::Supervised) => (Level::Supervised, Ask::Medium, Decision::Ask),
            None => (Level::Full, Ask::Never, Decision::Allow),
        };
        if level != Level::Readonly {
            ask = match autonomy.ask {
                Some(AskRestriction::All) => Ask::All,
                Some(AskRestriction::Medium) => Ask::Medium,
                Some(AskRestriction::High) => Ask::High,
                None => ask,
            };
            unresolved = match autonomy.unresolved {
                Some(Unresolved::Ask) => unresolved.max(Decision::Ask),
                Some(Unresolved::Deny) => Decision::Deny,
                None => unresolved,
            };
        }
        Self {
            level,
            ask,
            unresolved,
            unreadable: unresolved,
            question: if level == Level::Readonly { Decision::Deny } else { Decision::Ask },
            workspace_only: autonomy.workspace_only == Some(true),
            role: Role::Restriction,
            allowed_commands: autonomy.allowed_commands.as_deref().map(commands),
            denied_commands: commands(&autonomy.deny),
            asked_commands: commands(&autonomy.ask_commands),
            unasked_commands: Vec::new(),
            zones: Zones { forbidden: places(&autonomy.forbidden_paths), ..Zones::default() },
            allowed_tools: autonomy.allowed_tools.as_deref().map(tool_patterns),
            denied_tools: tool_patterns(&autonomy.denied_tools),
            asked_tools: tool_patterns(&autonomy.ask_tools),
            tool_rules: autonomy
                .tool_rules
                .iter()
                .filter_map(|rule| ToolRule::compile_restriction(rule).ok())
                .collect(),
            models: Vec::new(),
            prompt: Prompt::new(&restriction.guard),
            hosts: Vec::new(),
            denied_hosts: host_patterns(&restriction.egress.denied_domains),
            client_hosts: Vec::new(),
            host_rules: restriction.egress.rules.iter().filter_map(|rule| EgressRule::compile(rule).ok()).collect(),
            allowed_secrets: None,
            denied_secrets: secret_patterns(&restriction.secrets.deny),
            promises: restriction.sandbox.require.clone(),
            digest: digest_of(2, restriction),
        }
    }

    /// Rules on a request.
    pub fn decide(&self, request: &Request) -> Ruling {
        let setting = Setting::new(&request.cwd, &request.workspace, request.home.as_deref());
        let ruling = self.decide_action(&request.action, &setting, Asker::of(request));
        self.with_texts(&request.action, &setting, ruling)
    }

    /// Rules on an action in a setting, whoever attempts it.
    pub fn decide_in(&self, action: &Action, setting: &Setting<'_>) -> Ruling {
        let ruling = self.decide_action(action, setting, Asker::Agent);
        self.with_texts(action, setting, ruling)
    }

    fn decide_action(&self, action: &Action, setting: &Setting<'_>, asker: Asker) -> Ruling {
        match action {
            Action::Command(command) => self.command(command, setting),
            Action::Tool(call) => self.tool(call, setting),
            Action::Path(access) => self.path(access, setting),
            Action::Egress(egress) => self.egress(egress),
            Action::Secret(secret) => self.secret(secret, asker),
            Action::ScheduleAdd(add) => self.schedule_add(add, setting),
            Action::ScheduleRun(run) => self.schedule_run(run, setting),
            Action::Skill(skill) => self.skill(skill, setting),
            Action::Delegate(delegation) => self.delegate(delegation),
            Action::ModelSwitch(switch) => self.model_switch(switch),
            Action::Intent(check) => self.intent(check, setting),
            _ => {
                let mut draft = Draft::new(self, Risk::High);
                draft.add(&table::POLICY_NO_RULE, Decision::Deny, table::POLICY_NO_RULE.meaning);
                draft.finish()
            }
        }
    }

    /// Binds everything that decides, and the version of the rules.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The level that this policy was made with.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Whether shell text may run; the decision of [`Policy::decide`].
    pub fn is_command_allowed(&self, text: &[u8], setting: &Setting<'_>) -> Decision {
        self.decide_in(&Action::Command(Command::Shell(Text::new(text))), setting).decision
    }

    /// How much harm shell text can do; the risk of [`Policy::decide`].
    pub fn command_risk(&self, text: &[u8], setting: &Setting<'_>) -> Risk {
        self.decide_in(&Action::Command(Command::Shell(Text::new(text))), setting).risk
    }

    /// Whether a path may be touched; the decision of [`Policy::decide`].
    pub fn is_path_allowed(&self, path: &[u8], op: PathOp, setting: &Setting<'_>) -> Decision {
        self.decide_in(&Action::Path(PathAccess { path: Text::new(path), op }), setting).decision
    }

    /// Whether a tool may be called with these arguments; the decision of [`Policy::decide`].
    pub fn is_tool_allowed(&self, call: &ToolCall, setting: &Setting<'_>) -> Decision {
        self.decide_in(&Action::Tool(call.clone()), setting).decision
    }
}

impl<'a> From<&'a Request> for Setting<'a> {
    fn from(request: &'a Request) -> Self {
        Self::new(&request.cwd, &request.workspace, request.home.as_deref().map(Path::new))
    }
}

fn commands(list: &[String]) -> Vec<CommandPrefix> {
    list.iter().filter_map(|entry| CommandPrefix::parse(entry).ok()).collect()
}

fn wholes(list: &[String]) -> Vec<WholeCommand> {
    list.iter().filter_map(|entry| WholeCommand::parse(entry).ok()).collect()
}

fn places(list: &[String]) -> Vec<Place> {
    list.iter().filter_map(|entry| Place::parse(entry).ok()).collect()
}

fn tool_patterns(list: &[String]) -> Vec<ToolPattern> {
    list.iter().filter_map(|entry| ToolPattern::parse(entry).ok()).collect()
}

fn host_patterns(list: &[String]) -> Vec<HostPattern> {
    list.iter().filter_map(|entry| HostPattern::parse(entry).ok()).collect()
}

fn secret_patterns(list: &[String]) -> Vec<SecretPattern> {
    list.iter().filter_map(|entry| SecretPattern::parse(entry).ok()).collect()
}

fn digest_of<T: serde::Serialize>(kind: u64, what: &T) -> Digest {
    let mut writer = DigestWriter::new("ringfort.policy.v1");
    // The sections hold plain values only, whose serialisation cannot fail.
    writer.number(RULES_VERSION).number(kind).bytes(&serde_json::to_vec(what).unwrap_or_default());
    writer.finish()
}

#[cfg(test)]
mod tests;
