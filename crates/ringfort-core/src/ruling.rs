// SPDX-License-Identifier: MIT OR Apache-2.0
//! A ruling: a decision with its risk, its reasons, its obligations and the effects it was made for.
//!
//! In: the rulings of several policies and providers. Out: one that is as strict as the strictest in every part.
//!
//! **Invariant:** [`Ruling::merge`] is commutative, associative, idempotent and monotone; an empty intersection of
//! profiles is a denial; no ruling at all is a denial ([`Ruling::strictest`]).

use serde::{Deserialize, Serialize};

use crate::decision::{Decision, Risk};
use crate::effect::{Effect, Span};
use crate::limits::{EFFECTS_MAX, REASONS_MAX};
use crate::obligation::Obligations;

/// One of the five layers of protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ring {
    /// Bind, TLS, tunnel.
    Network,
    /// Pairing, tokens, senders.
    Authentication,
    /// What the policy says.
    Authorization,
    /// The cage.
    Isolation,
    /// Secrets and personal data.
    Data,
}

/// Why a ruling is what it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reason {
    /// What this reason alone would answer. First, so that the strictest sort last.
    pub decision: Decision,
    /// Stable id of the rule, `area-nnn`.
    pub rule: String,
    /// The ring that spoke.
    pub ring: Ring,
    /// The words of the input that it matched.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub span: Option<Span>,
    /// A plain sentence: lower case, no final period.
    pub message: String,
    /// What would change the answer. Widening ones are for people only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub remedy: Option<Remedy>,
}

/// What would change an answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "for", content = "text")]
pub enum Remedy {
    /// Something that anybody, an agent included, may do: a safer command, a narrower path.
    Anyone(String),
    /// A change of policy, which widens: shown to people, never to an agent.
    Person(String),
}

impl Remedy {
    /// The text, whoever it is for.
    pub fn text(&self) -> &str {
        match self {
            Self::Anyone(text) | Self::Person(text) => text,
        }
    }
}

impl Reason {
    /// A reason of the authorization ring, without span and remedy.
    pub fn new(rule: impl Into<String>, decision: Decision, message: impl Into<String>) -> Self {
        Self {
            decision,
            rule: rule.into(),
            ring: Ring::Authorization,
            span: None,
            message: message.into(),
            remedy: None,
        }
    }

    /// Names the ring that spoke.
    #[must_use]
    pub fn ring(mut self, ring: Ring) -> Self {
        self.ring = ring;
        self
    }

    /// Names the words that matched.
    #[must_use]
    pub fn span(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    /// Says what would change the answer.
    #[must_use]
    pub fn remedy(mut self, remedy: Remedy) -> Self {
        self.remedy = Some(remedy);
        self
    }
}

/// The answer of a policy to a request.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// Allow, ask or deny.
    pub decision: Decision,
    /// How much harm the action can do.
    pub risk: Risk,
    /// Why, the strictest first.
    pub reasons: Vec<Reason>,
    /// What the effect must respect.
    #[serde(default)]
    pub obligations: Obligations,
    /// What the action would do.
    #[serde(default)]
    pub effects: Vec<Effect>,
}

impl Ruling {
    /// A denial with one reason.
    pub fn deny(risk: Risk, reason: Reason) -> Self {
        Self::new(Decision::Deny, risk, reason)
    }

    /// A ruling with one reason, no obligations and no effects.
    pub fn new(decision: Decision, risk: Risk, reason: Reason) -> Self {
        Self { decision, risk, reasons: vec![reason], obligations: Obligations::default(), effects: Vec::new() }
    }

    /// The strictest of several rulings; none at all is a denial.
    pub fn strictest(rulings: impl IntoIterator<Item = Self>) -> Self {
        rulings.into_iter().reduce(Self::merge).unwrap_or_else(|| {
            Self::deny(Risk::Critical, Reason::new("runtime-001", Decision::Deny, "no policy answered"))
        })
    }

    /// As strict as the stricter side, in every part.
    pub fn merge(self, other: Self) -> Self {
        let obligations = self.obligations.merge(other.obligations);
        let mut decision = self.decision.max(other.decision);
        let mut reasons = merged(self.reasons, other.reasons);
        if obligations.is_unsatisfiable() {
            decision = Decision::Deny;
            reasons = merged(
                reasons,
                vec![Reason::new("merge-001", Decision::Deny, "no sandbox profile is accepted by every policy")],
            );
        }
        reasons.sort_by(|a, b| b.cmp(a));
        reasons.truncate(REASONS_MAX);
        let mut effects = merged(self.effects, other.effects);
        effects.truncate(EFFECTS_MAX);
        Self { decision, risk: self.risk.max(other.risk), reasons, obligations, effects }
    }

    /// The reasons that carry the decision, the strictest first.
    pub fn deciding(&self) -> impl Iterator<Item = &Reason> {
        self.reasons.iter().filter(|reason| reason.decision == self.decision)
    }
}

/// The sorted union of two lists.
fn merged<T: Ord>(mut a: Vec<T>, b: Vec<T>) -> Vec<T> {
    a.extend(b);
    a.sort();
    a.dedup();
    a
}
