// SPDX-License-Identifier: MIT OR Apache-2.0
//! A finding: what a detector or scanner saw.
//!
//! In: a detector's match. Out: a rule, a span, a severity and a confidence; never the matched text itself.
//!
//! **Invariant:** detectors report spans; only redaction edits, and only the runtime raises signals.

use serde::{Deserialize, Serialize};

use crate::decision::Risk;
use crate::effect::Span;

/// What kind of thing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FindingKind {
    /// A credential.
    Secret,
    /// Personal data.
    Personal,
    /// Instructions hidden in data.
    Injection,
    /// A planted token.
    Canary,
}

/// How sure a detector is, ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// It looks like one.
    Low,
    /// It probably is one.
    Medium,
    /// Its form leaves little doubt.
    High,
}

/// What a detector saw.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Finding {
    /// Where it is, in bytes of the input.
    pub span: Span,
    /// Stable id of the rule.
    pub rule: String,
    /// What kind of thing it is.
    pub kind: FindingKind,
    /// How bad its loss is.
    pub severity: Risk,
    /// How sure the detector is.
    pub confidence: Confidence,
}
