// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sections `[gateway]` and `[tunnel]`: typed and kept for the crate that will serve them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `[gateway]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayConfig {
    /// Port to listen on.
    pub port: u16,
    /// Address to bind; loopback unless set.
    pub host: String,
    /// Whether a caller exchanges a pairing code for a token first.
    pub require_pairing: bool,
    /// Whether a public address may be bound without a tunnel.
    pub allow_public_bind: bool,
    /// Whether `X-Forwarded-For` names the caller.
    pub trust_forwarded_headers: bool,
    /// Pairing attempts a minute.
    pub pair_rate_limit_per_minute: u32,
    /// Webhook requests a minute.
    pub webhook_rate_limit_per_minute: u32,
    /// Most addresses that are counted at once.
    pub rate_limit_max_keys: u32,
    /// How long an idempotency key is remembered, in seconds.
    pub idempotency_ttl_secs: u64,
    /// Most idempotency keys that are remembered.
    pub idempotency_max_keys: u32,
    /// SHA-256 digests of bearer tokens, 64 hex digits each.
    pub paired_tokens: Vec<String>,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            port: 3000,
            host: "127.0.0.1".to_owned(),
            require_pairing: true,
            allow_public_bind: false,
            trust_forwarded_headers: false,
            pair_rate_limit_per_minute: 10,
            webhook_rate_limit_per_minute: 60,
            rate_limit_max_keys: 10_000,
            idempotency_ttl_secs: 3600,
            idempotency_max_keys: 10_000,
            paired_tokens: Vec::new(),
        }
    }
}

/// The section `[tunnel]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TunnelConfig {
    /// Who carries requests in from outside.
    pub provider: TunnelProvider,
}

impl Default for TunnelConfig {
    fn default() -> Self {
        Self { provider: TunnelProvider::None }
    }
}

/// Who carries requests in from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TunnelProvider {
    /// Nobody.
    None,
    /// Cloudflare Tunnel.
    Cloudflare,
    /// Tailscale Funnel.
    Tailscale,
    /// ngrok.
    Ngrok,
    /// A command of the user's own.
    Custom,
}
