// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sections `[channels_config.*]`: typed and kept for the crate that will serve them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretText;

/// The section `[channels_config]`; an absent channel is not served.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelsConfig {
    /// Telegram.
    pub telegram: Option<TelegramConfig>,
    /// Discord.
    pub discord: Option<DiscordConfig>,
    /// Slack.
    pub slack: Option<SlackConfig>,
    /// WhatsApp.
    pub whatsapp: Option<WhatsappConfig>,
    /// Generic webhooks.
    pub webhook: Option<WebhookConfig>,
}

/// Telegram.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TelegramConfig {
    /// Names without `@`, or numeric ids, that may write; empty means nobody, `*` everybody.
    pub allowed_users: Vec<String>,
}

/// Discord.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DiscordConfig {
    /// User ids that may write; empty means nobody, `*` everybody.
    pub allowed_users: Vec<String>,
}

/// Slack.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SlackConfig {
    /// Member ids that may write; empty means nobody, `*` everybody.
    pub allowed_users: Vec<String>,
}

/// WhatsApp.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WhatsappConfig {
    /// Key with which the sender signs (`X-Hub-Signature-256`).
    pub app_secret: Option<SecretText>,
    /// Numbers (E.164) that may write; empty means nobody, `*` everybody.
    pub allowed_numbers: Vec<String>,
}

/// Generic webhooks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookConfig {
    /// Shared secret that a caller presents (`X-Webhook-Secret`).
    pub secret: Option<SecretText>,
}
