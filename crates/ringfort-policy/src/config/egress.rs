// SPDX-License-Identifier: MIT OR Apache-2.0
//! The section `[egress]`: which hosts may be reached.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `[egress]`. A host that no list names is answered by `autonomy.unresolved`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EgressConfig {
    /// Hosts that may be reached: `name`, `*.name` (subdomains only), each with an optional `:port`. A private
    /// address is reached only where it is named here exactly.
    pub domains: Vec<String>,
    /// Hosts that are denied whatever else is listed.
    pub denied_domains: Vec<String>,
}
