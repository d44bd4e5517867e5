// SPDX-License-Identifier: MIT OR Apache-2.0
//! The section `[egress]`: which hosts may be reached, and how.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `[egress]`. A host that nothing here names is answered by `autonomy.unresolved`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EgressConfig {
    /// Whether a cage has a door to the network.
    #[serde(skip_serializing_if = "is_auto")]
    pub network: Network,
    /// Hosts that may be reached: `name`, `*.name` (subdomains only), each with an optional `:port`. A private
    /// address is reached only where it is named here exactly.
    pub domains: Vec<String>,
    /// Hosts that are denied whatever else is listed.
    pub denied_domains: Vec<String>,
    /// Package managers whose hosts may be reached, as each is configured on this machine, outside the workspace.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub presets: BTreeSet<EgressPreset>,
    /// What is different for single hosts. Where a rule names a host, `domains` does not speak for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<EgressRuleConfig>,
}

fn is_auto(network: &Network) -> bool {
    *network == Network::Auto
}

/// Whether a cage has a door to the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Where a host is listed, or a person can be asked about one.
    #[default]
    Auto,
    /// Always.
    Door,
    /// Never.
    Off,
}

/// A package manager whose hosts are taken from its own configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EgressPreset {
    /// npm and what reads its settings.
    Npm,
    /// pip.
    Pip,
    /// cargo.
    Cargo,
    /// git: hosts of the user's own settings, and those on a command line that a person typed.
    Git,
}

impl EgressPreset {
    /// Every preset, in order.
    pub const ALL: [Self; 4] = [Self::Npm, Self::Pip, Self::Cargo, Self::Git];

    /// The word used in files and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pip => "pip",
            Self::Cargo => "cargo",
            Self::Git => "git",
        }
    }
}

/// One entry of `[[egress.rules]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EgressRuleConfig {
    /// The host it is about: `name`, `*.name` or an address, each with an optional `:port`.
    pub host: String,
    /// The only ports; absent means any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<Vec<u16>>,
    /// The only methods; absent means any. Inside TLS nobody sees them: a tunnel to the host is refused then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<String>>,
    /// The only paths: `/a/b` exactly, `/a/*` and everything below; absent means any. As with methods, a tunnel to the
    /// host is refused then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
    /// The programs of a run for which it holds; absent means any. A program in the workspace is none of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub programs: Option<Vec<String>>,
    /// Most connections to one host at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections_max: Option<u32>,
    /// Most requests to one host in a run; a tunnel is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_max: Option<u64>,
    /// Most bytes to and from one host in a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_max: Option<u64>,
}
