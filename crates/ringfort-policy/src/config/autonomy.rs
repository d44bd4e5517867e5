// SPDX-License-Identifier: MIT OR Apache-2.0
//! The section `[autonomy]`: what the agent may do by itself.

use ringfort_core::decision::Risk;
use ringfort_core::limits::{ACTIONS_PER_HOUR, LOOP_REPEATS_MAX};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ToolRuleConfig;

/// How much the agent may do by itself, ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It reads; whatever changes something is denied.
    Readonly,
    /// It acts inside the workspace; a person is asked about the rest.
    Supervised,
    /// It is never asked about; what is forbidden stays forbidden.
    Full,
}

impl Level {
    /// The word used in files and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Readonly => "readonly",
            Self::Supervised => "supervised",
            Self::Full => "full",
        }
    }
}

/// The lowest risk at which a person is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ask {
    /// Everything is asked about, whatever its risk.
    All,
    /// From medium risk.
    Medium,
    /// From high risk.
    High,
    /// Risk alone asks nothing; critical risk stays denied.
    Never,
}

impl Ask {
    /// Whether a risk is asked about.
    pub fn covers(self, risk: Risk) -> bool {
        match self {
            Self::All => true,
            Self::Medium => risk >= Risk::Medium,
            Self::High => risk >= Risk::High,
            Self::Never => false,
        }
    }
}

/// The answer to what cannot be resolved or is not known: computed program names, unreadable text, unknown tools,
/// unlisted hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unresolved {
    /// A person is asked.
    Ask,
    /// It is denied.
    Deny,
}

/// The section `[autonomy]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AutonomyConfig {
    /// How much the agent may do by itself.
    pub level: Level,
    /// The lowest risk at which a person is asked; `all` asks about everything.
    pub ask: Ask,
    /// The answer to what cannot be resolved or is not known.
    pub unresolved: Unresolved,
    /// Whether paths outside the workspace and the allowed roots are denied.
    pub workspace_only: bool,
    /// Programs that may be started; absent means every program that the analysis knows, empty means none.
    pub allowed_commands: Option<Vec<String>>,
    /// Command prefixes that are denied, for example `git push`.
    pub deny: Vec<String>,
    /// Command prefixes that are asked about whatever their risk.
    pub ask_commands: Vec<String>,
    /// Whole commands, word for word, that go ahead without a question, also where there is no cage; what is denied
    /// stays denied.
    pub unasked_commands: Vec<String>,
    /// Folders and files that are closed, besides those that always are.
    pub forbidden_paths: Vec<String>,
    /// Folders outside the workspace that may be read and written.
    pub allowed_roots: Vec<String>,
    /// Folders outside the workspace that may be read.
    pub allowed_roots_read_only: Vec<String>,
    /// Actions that one principal may take in an hour; 0 allows none.
    pub max_actions_per_hour: u32,
    /// Equal actions within five seconds that are no loop yet.
    pub loop_repeats_max: u32,
    /// Tools that may be called; absent means that each is judged, empty means none.
    pub allowed_tools: Option<Vec<String>>,
    /// Tools that are denied; a `*` at the end stands for any rest.
    pub denied_tools: Vec<String>,
    /// Tools that are asked about whatever their arguments.
    pub ask_tools: Vec<String>,
    /// Rules on the arguments of tools; every rule that names a tool counts.
    pub tool_rules: Vec<ToolRuleConfig>,
    /// Models that an agent may switch to unasked, by their ids.
    pub models: Vec<String>,
    /// Variables of the caller's environment that a command may see.
    pub shell_env_passthrough: Vec<String>,
    /// Longest run of a command that an agent starts, in seconds.
    pub shell_timeout_secs: Option<u64>,
}

impl Default for AutonomyConfig {
    fn default() -> Self {
        Self {
            level: Level::Supervised,
            ask: Ask::Medium,
            unresolved: Unresolved::Ask,
            workspace_only: true,
            allowed_commands: None,
            deny: Vec::new(),
            ask_commands: Vec::new(),
            unasked_commands: Vec::new(),
            forbidden_paths: Vec::new(),
            allowed_roots: Vec::new(),
            allowed_roots_read_only: Vec::new(),
            max_actions_per_hour: ACTIONS_PER_HOUR,
            loop_repeats_max: LOOP_REPEATS_MAX,
            allowed_tools: None,
            denied_tools: Vec::new(),
            ask_tools: Vec::new(),
            tool_rules: Vec::new(),
            models: Vec::new(),
            shell_env_passthrough: Vec::new(),
            shell_timeout_secs: None,
        }
    }
}
