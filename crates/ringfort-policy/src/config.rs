// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sections of `ringfort.toml`: one type for each, each with its own defaults.
//!
//! In: TOML that was read by [`crate::load`]. Out: [`Config`], typed and without unknown keys.
//!
//! **Invariant:** an unknown key is an error in every section; defaults are those of the preset `supervised`.
//! Sections of crates that are not part of this build (`gateway`, `tunnel`, `channels_config`) are typed and kept, so that a command that needs them can say that it cannot serve them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod agents;
mod autonomy;
mod channels;
mod check;
mod egress;
mod gateway;
mod guard;
mod runtime;
mod sandbox;
mod secret_text;
mod secrets;
mod tool_rule;

pub use agents::AgentConfig;
pub use autonomy::{Ask, AutonomyConfig, Level, Unresolved};
pub use channels::{ChannelsConfig, DiscordConfig, SlackConfig, TelegramConfig, WebhookConfig, WhatsappConfig};
pub use check::variable;
pub(crate) use check::{Checker, Fault, FaultKind, check};
pub use egress::{EgressConfig, EgressPreset, EgressRuleConfig, Network};
pub use gateway::{GatewayConfig, TunnelConfig, TunnelProvider};
pub use guard::GuardConfig;
pub use runtime::{DockerConfig, RuntimeConfig, RuntimeKind};
pub use sandbox::{Durability, LimitsConfig, RedactConfig, SandboxConfig, TrailConfig};
pub(crate) use sandbox::{closed_groups, degree, promises};
pub(crate) use secret_text::SCHEMA_FORMAT;
pub use secret_text::SecretText;
pub use secrets::SecretsConfig;
pub use tool_rule::{ArgumentConfig, ArgumentType, ArgumentValue, ToolRuleConfig, ToolRuleRestriction};

use crate::preset::Preset;

/// Everything that `ringfort.toml` can say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "ringfort.toml")]
pub struct Config {
    /// Which preset and which provider.
    pub policy: PolicyConfig,
    /// What the agent may do by itself.
    pub autonomy: AutonomyConfig,
    /// What texts may not say, and which score is too high.
    pub guard: GuardConfig,
    /// What is different for one agent, by its name.
    pub agents: BTreeMap<String, AgentConfig>,
    /// What is blanked in output.
    pub redact: RedactConfig,
    /// Which hosts may be reached.
    pub egress: EgressConfig,
    /// What the cage promises and shows.
    pub sandbox: SandboxConfig,
    /// How the record is kept.
    pub trail: TrailConfig,
    /// The HTTP gateway.
    pub gateway: GatewayConfig,
    /// In what a command runs.
    pub runtime: RuntimeConfig,
    /// The secret store.
    pub secrets: SecretsConfig,
    /// The way in from outside.
    pub tunnel: TunnelConfig,
    /// Chat channels and webhooks.
    pub channels_config: ChannelsConfig,
}

/// The section `[policy]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyConfig {
    /// The preset that the other keys start from.
    pub preset: Preset,
    /// The provider that decides beside the native one; `native` means no other.
    pub provider: String,
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self { preset: Preset::Supervised, provider: "native".to_owned() }
    }
}
