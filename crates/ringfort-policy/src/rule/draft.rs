// SPDX-License-Identifier: MIT OR Apache-2.0
//! A ruling in the making: reasons add up, the strictest carries.
//!
//! **Invariant:** adding to a draft never makes it less strict; a draft without a reason is finished as an allowance
//! with the reason that nothing speaks against it.

use ringfort_core::decision::{Decision, Risk};
use ringfort_core::effect::{Effect, Span};
use ringfort_core::limits::{EFFECTS_MAX, REASONS_MAX};
use ringfort_core::obligation::Obligations;
use ringfort_core::ruling::{Reason, Remedy, Ring, Ruling};

use super::Policy;
use super::table::{self, Rule};

/// Most reasons that say "inside the cage"; more say nothing new.
const CAGED_REASONS_MAX: usize = 16;

/// A ruling in the making.
pub(super) struct Draft<'p> {
    policy: &'p Policy,
    decision: Decision,
    risk: Risk,
    reasons: Vec<Reason>,
    caged: usize,
    /// What is being judged runs in a cage of its own: a demand for one is fulfilled.
    inside: bool,
    /// A person has said in the policy that there is no question about what is being judged.
    waived: bool,
    /// It only finds out what would be answered: nothing milder is looked for.
    trial: bool,
    effects: Vec<Effect>,
}

/// Identifies the reason that was added last, to complete it.
pub(super) struct Added<'d>(Option<&'d mut Reason>);

impl<'d> Added<'d> {
    /// Names the words that matched.
    pub(super) fn at(self, span: Span) -> Self {
        let Self(mut reason) = self;
        if let Some(reason) = reason.as_mut() {
            reason.span = Some(span);
        }
        Self(reason)
    }

    /// Names the ring that spoke.
    pub(super) fn ring(self, ring: Ring) -> Self {
        let Self(mut reason) = self;
        if let Some(reason) = reason.as_mut() {
            reason.ring = ring;
        }
        Self(reason)
    }

    /// Says which change of policy would allow it; for people only.
    pub(super) fn widen(self, remedy: impl FnOnce() -> String) -> Self {
        self.remedy(|| Remedy::Person(remedy()))
    }

    /// Says what anybody may do instead.
    pub(super) fn instead(self, remedy: impl FnOnce() -> String) -> Self {
        self.remedy(|| Remedy::Anyone(remedy()))
    }

    fn remedy(self, remedy: impl FnOnce() -> Remedy) -> Self {
        let Self(mut reason) = self;
        if let Some(reason) = reason.as_mut() {
            reason.remedy = Some(remedy());
        }
        Self(reason)
    }
}

impl<'p> Draft<'p> {
    /// An empty draft.
    pub(super) fn new(policy: &'p Policy, risk: Risk) -> Self {
        Self {
            policy,
            decision: Decision::Allow,
            risk,
            reasons: Vec::new(),
            caged: 0,
            inside: false,
            waived: false,
            trial: false,
            effects: Vec::new(),
        }
    }

    /// An empty draft of an answer that nobody sees.
    pub(super) fn trial(policy: &'p Policy) -> Self {
        Self { trial: true, ..Self::new(policy, Risk::Low) }
    }

    /// Whether nobody sees the answer.
    pub(super) fn is_trial(&self) -> bool {
        self.trial
    }

    /// Raises the risk.
    pub(super) fn risk(&mut self, risk: Risk) {
        self.risk = self.risk.max(risk);
    }

    /// Lists what the action would do.
    pub(super) fn effects(&mut self, mut effects: Vec<Effect>) {
        effects.truncate(EFFECTS_MAX);
        if self.effects.is_empty() {
            self.effects = effects;
        } else {
            self.effects.append(&mut effects);
        }
    }

    /// Adds a reason and answers at least as strictly as it.
    pub(super) fn add(&mut self, rule: &'static Rule, decision: Decision, message: impl Into<String>) -> Added<'_> {
        self.add_id(rule.id, decision, message)
    }

    /// [`Draft::add`] for the rules of the command analysis.
    pub(super) fn add_id(&mut self, id: &'static str, decision: Decision, message: impl Into<String>) -> Added<'_> {
        let decision = if self.waived && decision == Decision::Ask { Decision::Allow } else { decision };
        let stricter = decision > self.decision;
        self.decision = self.decision.max(decision);
        if self.reasons.len() >= REASONS_MAX {
            // The list is full: the strictest reasons are worth more than the earliest.
            if !stricter {
                return Added(None);
            }
            self.reasons.pop();
        }
        self.reasons.push(Reason::new(id, decision, message));
        Added(self.reasons.last_mut())
    }

    /// Says whether what follows runs in a cage of its own, started by the text itself.
    pub(super) fn inside(&mut self, inside: bool) {
        self.inside = inside;
    }

    /// Says whether the policy waives every question about what follows.
    pub(super) fn waive(&mut self, waived: bool) {
        self.waived = waived;
    }

    /// Demands the cage.
    pub(super) fn cage(&mut self, span: Option<Span>, message: impl FnOnce() -> String) {
        if self.inside || self.waived {
            return;
        }
        self.caged += 1;
        if self.caged > CAGED_REASONS_MAX {
            return;
        }
        let added = self.add(&table::POLICY_CAGED, Decision::Allow, message()).ring(Ring::Isolation);
        if let Some(span) = span {
            added.at(span);
        }
    }

    /// Answers to something that is not known: denied, asked, or allowed inside the cage, as the policy says.
    pub(super) fn unresolved(&mut self, id: &'static str, span: Span, message: impl Into<String>) {
        match self.policy.unresolved {
            Decision::Allow => {
                let message = message.into();
                self.cage(Some(span), || message);
            }
            decision => {
                let message = message.into();
                self.add_id(id, decision, message).at(span).instead(|| "write it out with plain words".to_owned());
            }
        }
    }

    /// How strict it is so far.
    pub(super) fn decision(&self) -> Decision {
        self.decision
    }

    /// Puts something milder in place of the remedy of each reason that asks or denies, where there is something.
    pub(super) fn advise(&mut self, mut milder: impl FnMut(&Reason) -> Option<String>) {
        for reason in self.reasons.iter_mut().filter(|reason| reason.decision >= Decision::Ask) {
            if let Some(text) = milder(reason) {
                reason.remedy = Some(Remedy::Anyone(text));
            }
        }
    }

    /// The ruling.
    pub(super) fn finish(mut self) -> Ruling {
        if self.policy.ask == crate::config::Ask::All && self.decision < Decision::Ask {
            self.add(&table::POLICY_ASK_ALL, Decision::Ask, table::POLICY_ASK_ALL.meaning)
                .widen(|| "`autonomy.ask = \"medium\"`: low-risk actions then go ahead unasked".to_owned());
        }
        if self.reasons.is_empty() {
            self.add(&table::POLICY_ALLOWED, Decision::Allow, table::POLICY_ALLOWED.meaning);
        }
        self.reasons.sort_by(|a, b| b.cmp(a));
        self.reasons.dedup();
        let isolate = (self.caged > 0).then(|| self.policy.promises.clone());
        let obligations = Obligations { isolate, ..Obligations::default() };
        Ruling { decision: self.decision, risk: self.risk, reasons: self.reasons, obligations, effects: self.effects }
    }
}
