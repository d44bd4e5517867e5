// SPDX-License-Identifier: MIT OR Apache-2.0
//! The three answers and the four risks.
//!
//! In: the answers of several policies. Out: the strictest of them.
//!
//! **Invariant:** no answer is a denial; [`Decision`] has no `Default` and its order is its strictness.

use serde::{Deserialize, Serialize};

/// The answer to a request, ordered by strictness. There is no `Default`.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It may happen, under the obligations of the ruling.
    Allow,
    /// A person must be asked first.
    Ask,
    /// It does not happen.
    Deny,
}

impl Decision {
    /// Combines answers: the strictest wins, and no answer is a denial.
    pub fn strictest(answers: impl IntoIterator<Item = Self>) -> Self {
        answers.into_iter().max().unwrap_or(Self::Deny)
    }

    /// The word used in JSON and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

/// How much harm an action can do, ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Reads, or changes that are easily undone.
    Low,
    /// Changes that someone will want to know of.
    Medium,
    /// Loss, disclosure or reach beyond the workspace is possible.
    High,
    /// Loss, disclosure or take-over is what it does.
    Critical,
}

impl Risk {
    /// The word used in JSON and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Decision::{Allow, Ask, Deny};
    use super::*;

    #[test]
    fn deny_when_nobody_answers() {
        assert_eq!(Decision::strictest([]), Deny);
        assert_eq!(Decision::strictest([Allow]), Allow);
        assert_eq!(Decision::strictest([Allow, Ask, Allow]), Ask);
        assert_eq!(Decision::strictest([Ask, Deny, Allow]), Deny);
    }
}
