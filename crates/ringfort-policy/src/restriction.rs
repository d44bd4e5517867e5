// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a project file may say: only what makes rulings stricter.
//!
//! In: `ringfort.toml` at the top of a workspace, which anybody who can write to the repository may have written.
//! Out: [`Restriction`], which becomes a policy of its own in the chain.
//!
//! **Invariant:** the type has no field for a program, a URL, a key, an image, a provider or an exception, and the
//! policy made from it is merged by strictness: a project file never loosens a ruling.

use std::collections::BTreeSet;

use ringfort_core::degree::Degree;
use ringfort_core::obligation::Promise;
use ringfort_core::syscalls::SyscallGroup;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{
    Checker, EgressRuleConfig, Fault, FaultKind, GuardConfig, LimitsConfig, ToolRuleRestriction, Unresolved,
};
use crate::tool::argument::ToolRule;

/// Everything that a project file can say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "ringfort.toml of a project")]
pub struct Restriction {
    /// What the agent may not do by itself.
    pub autonomy: AutonomyRestriction,
    /// What texts may not say besides, and which score is too high.
    pub guard: GuardConfig,
    /// Which hosts may not be reached.
    pub egress: EgressRestriction,
    /// Which secrets no run is given.
    #[serde(skip_serializing_if = "SecretsRestriction::is_empty")]
    pub secrets: SecretsRestriction,
    /// What the cage must promise and hide besides.
    pub sandbox: SandboxRestriction,
}

/// The levels that a project may demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LevelRestriction {
    /// Whatever changes something is denied.
    Readonly,
    /// A person is asked, even where the user's policy asks nobody.
    Supervised,
}

/// The lowest risk at which the project wants a person asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AskRestriction {
    /// Everything.
    All,
    /// From medium risk.
    Medium,
    /// From high risk.
    High,
}

/// The section `[autonomy]` of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AutonomyRestriction {
    /// A lower level.
    pub level: Option<LevelRestriction>,
    /// The lowest risk at which a person is asked.
    pub ask: Option<AskRestriction>,
    /// The answer to what cannot be resolved or is not known.
    pub unresolved: Option<Unresolved>,
    /// Only `true`: paths outside the workspace are denied.
    pub workspace_only: Option<bool>,
    /// The only programs that may be started, of those that the user's policy allows.
    pub allowed_commands: Option<Vec<String>>,
    /// Command prefixes that are denied.
    pub deny: Vec<String>,
    /// Command prefixes that are asked about.
    pub ask_commands: Vec<String>,
    /// Folders and files that are closed besides.
    pub forbidden_paths: Vec<String>,
    /// A lower number of actions in an hour.
    pub max_actions_per_hour: Option<u32>,
    /// A lower number of equal actions within five seconds.
    pub loop_repeats_max: Option<u32>,
    /// The only tools that may be called, of those that the user's policy allows.
    pub allowed_tools: Option<Vec<String>>,
    /// Tools that are denied.
    pub denied_tools: Vec<String>,
    /// Tools that are asked about.
    pub ask_tools: Vec<String>,
    /// Rules on the arguments of tools; they only restrict.
    pub tool_rules: Vec<ToolRuleRestriction>,
    /// A shorter longest run, in seconds.
    pub shell_timeout_secs: Option<u64>,
}

/// The section `[egress]` of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EgressRestriction {
    /// Only `off`: a cage has no door to the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkRestriction>,
    /// Hosts that are denied.
    pub denied_domains: Vec<String>,
    /// What is left of single hosts, where the user's policy allows them: what does not fit is denied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<EgressRuleConfig>,
}

/// The section `[secrets]` of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SecretsRestriction {
    /// Secrets that no run is given, as ids, `prefix.*` or `*`.
    pub deny: Vec<String>,
}

impl SecretsRestriction {
    fn is_empty(&self) -> bool {
        self.deny.is_empty()
    }
}

/// The answer to the network that a project may demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NetworkRestriction {
    /// No door.
    Off,
}

/// The section `[sandbox]` of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SandboxRestriction {
    /// Further promises that the cage must keep.
    #[schemars(schema_with = "crate::config::promises")]
    pub require: BTreeSet<Promise>,
    /// A stronger degree of isolation as the weakest with which a command runs.
    #[schemars(schema_with = "crate::config::degree")]
    pub degree_min: Option<Degree>,
    /// Lower bounds on what a command may use.
    pub limits: LimitsConfig,
    /// Further paths that are not there inside the cage.
    pub hidden: Vec<String>,
    /// Further groups of system calls that a command does without.
    #[schemars(schema_with = "crate::config::closed_groups")]
    pub syscalls_denied: BTreeSet<SyscallGroup>,
}

impl Restriction {
    /// What the types cannot say. A fault of the kind `NoEffect` is a value that would widen.
    pub(crate) fn check(&self) -> Vec<Fault> {
        let mut checker = Checker::default();
        let autonomy = &self.autonomy;
        checker.counts(autonomy.max_actions_per_hour, autonomy.loop_repeats_max, autonomy.shell_timeout_secs);
        checker.paths("autonomy.forbidden_paths", &autonomy.forbidden_paths);
        checker.programs("autonomy.allowed_commands", autonomy.allowed_commands.as_deref().unwrap_or_default());
        checker.prefixes("autonomy.deny", &autonomy.deny);
        checker.prefixes("autonomy.ask_commands", &autonomy.ask_commands);
        checker.tools("autonomy.allowed_tools", autonomy.allowed_tools.as_deref().unwrap_or_default());
        checker.tools("autonomy.denied_tools", &autonomy.denied_tools);
        checker.tools("autonomy.ask_tools", &autonomy.ask_tools);
        checker.tool_rules(autonomy.tool_rules.iter().map(|rule| ToolRule::compile_restriction(rule).map(drop)));
        checker.guard(&self.guard);
        checker.hosts("egress.denied_domains", &self.egress.denied_domains);
        checker.egress_rules(self.egress.rules.iter());
        checker.secrets("secrets.deny", &self.secrets.deny);
        checker.limits("sandbox.limits", &self.sandbox.limits);
        checker.closed_groups(&self.sandbox.syscalls_denied);
        checker.paths("sandbox.hidden", &self.sandbox.hidden);
        let mut faults = checker.into_faults();
        if autonomy.workspace_only == Some(false) {
            faults.push(Fault {
                key: "autonomy.workspace_only".to_owned(),
                kind: FaultKind::NoEffect,
                message: "a project file only restricts; the one value that does is `true`".to_owned(),
            });
        }
        faults
    }
}
