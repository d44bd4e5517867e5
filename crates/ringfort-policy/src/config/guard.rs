// SPDX-License-Identifier: MIT OR Apache-2.0
//! The section `[guard]`: what texts may not say, and which score is too high.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `[guard]`. Whatever it says makes rulings stricter, so that a project may say the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GuardConfig {
    /// Texts that no command and no argument may hold, in whatever case, spacing, look-alike or encoding.
    pub blocked_patterns: Vec<String>,
    /// The risk score, from 1 to 100, from which a person is asked.
    pub review_score: Option<u8>,
    /// The risk score, from 1 to 100, from which an action is denied.
    pub block_score: Option<u8>,
}
