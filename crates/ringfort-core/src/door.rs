// SPDX-License-Identifier: MIT OR Apache-2.0
//! A door: where a request comes in, and which obligations it can fulfil.
//!
//! In: a ruling, the same at every door. Out: the verdict of this door.
//!
//! **Invariant:** [`Door::resolve`] never answers less strictly than the ruling, and an obligation that the door
//! cannot fulfil, or does not know, is at least a question (`isolate` on an allowed action) and otherwise a denial.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::decision::Decision;
use crate::obligation::{ApprovalChannel, Demand, Promise};
use crate::ruling::{Reason, Remedy, Ring, Ruling};

/// How a session is protected against the agent that it governs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Only a hook stands between; the agent has the user's own rights.
    Advised,
    /// The whole agent runs in the cage.
    Caged,
    /// Caged, and policy, trail, keys and approvals belong to another user.
    Guarded,
}

impl Standing {
    /// The word used in JSON and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Advised => "advised",
            Self::Caged => "caged",
            Self::Guarded => "guarded",
        }
    }
}

/// The kinds of doors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DoorKind {
    /// `ringfort run`.
    Run,
    /// `ringfort check`: answers, does nothing.
    Check,
    /// An agent's own hook protocol.
    Hook,
    /// A nested request over the socket that a cage inherits.
    Broker,
    /// The HTTP gateway.
    Gateway,
    /// The MCP firewall.
    Mcp,
    /// A connection from a cage to the network.
    Egress,
    /// A program that is started inside a traced cage.
    Start,
    /// `ringfort secrets`: a person reads the own store.
    Secrets,
}

impl DoorKind {
    /// The word used in JSON and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Check => "check",
            Self::Hook => "hook",
            Self::Broker => "broker",
            Self::Gateway => "gateway",
            Self::Mcp => "mcp",
            Self::Egress => "egress",
            Self::Start => "start",
            Self::Secrets => "secrets",
        }
    }
}

/// What one door can do about a ruling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// Which kind it is.
    pub kind: DoorKind,
    /// The promises that its cage keeps; empty where it does not isolate.
    pub isolates: BTreeSet<Promise>,
    /// Whether it redacts what leaves.
    pub redacts: Demand,
    /// Whether it enforces limits.
    pub limits: Demand,
    /// The sandbox profile it uses, where it isolates.
    pub profile: Option<String>,
    /// The strongest way in which it can ask a person; `None` where nobody can be asked.
    pub asks: Option<ApprovalChannel>,
    /// How the session is protected against what it governs.
    pub standing: Standing,
}

impl Door {
    /// A door that fulfils nothing and asks nobody: `check`, or a hook before its agent is known.
    pub fn bare(kind: DoorKind, standing: Standing) -> Self {
        Self {
            kind,
            isolates: BTreeSet::new(),
            redacts: Demand::NotDemanded,
            limits: Demand::NotDemanded,
            profile: None,
            asks: None,
            standing,
        }
    }

    /// What this door answers to a ruling: the ruling made at least as strict, with a reason for each tightening.
    ///
    /// `Ask` stays `Ask` here; whether somebody can be asked is settled when approval is sought.
    pub fn resolve(&self, ruling: Ruling) -> Ruling {
        let mut tightened = Vec::new();
        // What is denied already needs no cage, and a person no second reason.
        if let (Some(needed), Decision::Allow | Decision::Ask) = (&ruling.obligations.isolate, ruling.decision) {
            tightened.extend(self.resolve_isolation(needed, ruling.decision));
        }
        if ruling.obligations.redact > self.redacts {
            tightened.push(self.unfulfilled("door-003", "redaction"));
        }
        if !ruling.obligations.limits.is_empty() && self.limits == Demand::NotDemanded {
            tightened.push(self.unfulfilled("door-004", "limits"));
        }
        if let Some(profiles) = &ruling.obligations.profiles
            && !self.profile.as_ref().is_some_and(|mine| profiles.contains(mine))
        {
            tightened.push(self.unfulfilled("door-005", "the sandbox profile that the policy names"));
        }
        for name in &ruling.obligations.unknown {
            tightened.push(self.unfulfilled("door-006", &format!("the unknown obligation `{name}`")));
        }
        tightened.into_iter().fold(ruling, |ruling, reason| {
            let risk = ruling.risk;
            ruling.merge(Ruling::new(reason.decision, risk, reason))
        })
    }

    fn resolve_isolation(&self, needed: &BTreeSet<Promise>, decision: Decision) -> Option<Reason> {
        if self.isolates.is_empty() {
            let answer = if decision == Decision::Allow { Decision::Ask } else { Decision::Deny };
            let message = format!("allowed only inside the cage, and `{}` cannot isolate", self.kind.as_str());
            let remedy = Remedy::Anyone("run it through `ringfort run --`".to_owned());
            return Some(Reason::new("door-001", answer, message).ring(Ring::Isolation).remedy(remedy));
        }
        let missing: Vec<&str> = needed.difference(&self.isolates).map(|promise| promise.as_str()).collect();
        if missing.is_empty() {
            return None;
        }
        let message = format!("this cage does not keep `{}`, which the ruling needs", missing.join("`, `"));
        let remedy = Remedy::Anyone("see `ringfort doctor` for what this host lacks".to_owned());
        Some(Reason::new("door-002", Decision::Deny, message).ring(Ring::Isolation).remedy(remedy))
    }

    fn unfulfilled(&self, rule: &str, what: &str) -> Reason {
        let message = format!("`{}` cannot fulfil {what}", self.kind.as_str());
        Reason::new(rule, Decision::Deny, message).ring(Ring::Isolation)
    }
}
