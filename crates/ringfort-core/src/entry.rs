// SPDX-License-Identifier: MIT OR Apache-2.0
//! An entry of the trail, before it is chained: what is about to happen, what happened, what was answered.
//!
//! In: a request and its ruling, or an outcome. Out: one JSON object of known members.
//!
//! **Invariant:** an entry never holds a secret's value; sequence, time, previous hash and own hash are the trail's
//! business (`ringfort-audit`), not the entry's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decision::{Decision, Risk};
use crate::digest::Digest;
use crate::door::{DoorKind, Standing};
use crate::principal::Principal;
use crate::request::Request;
use crate::ruling::Ruling;

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// An effect is about to happen.
    Intent,
    /// An effect has happened, or failed, or was denied.
    Outcome,
    /// A door that does not execute has answered.
    Verdict,
    /// A person answered a question.
    Approval,
    /// Something about Ringfort itself: a repair, a rotation, an inspection.
    Event,
}

/// One entry, before it is chained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What it says.
    pub kind: EntryKind,
    /// Who acts; absent for events of Ringfort itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub principal: Option<Principal>,
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub session: Option<String>,
    /// The door.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub door: Option<DoorKind>,
    /// How the session is protected.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub standing: Option<Standing>,
    /// The digest of the request.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request: Option<Digest>,
    /// The action, for people; redacted by the runtime before it comes here.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub action: Option<String>,
    /// The answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub decision: Option<Decision>,
    /// The risk.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub risk: Option<Risk>,
    /// The rules that decided.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub rules: Vec<String>,
    /// Further facts, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub facts: BTreeMap<String, Value>,
}

impl Entry {
    /// An entry about a request, without facts.
    pub fn about(kind: EntryKind, request: &Request, action: String) -> Self {
        Self {
            kind,
            principal: Some(request.principal.clone()),
            session: Some(request.session.clone()),
            door: None,
            standing: None,
            request: Some(request.digest()),
            action: Some(action),
            decision: None,
            risk: None,
            rules: Vec::new(),
            facts: BTreeMap::new(),
        }
    }

    /// An event of Ringfort itself.
    pub fn event(name: &str) -> Self {
        let facts = BTreeMap::from([("event".to_owned(), Value::from(name))]);
        Self {
            kind: EntryKind::Event,
            principal: None,
            session: None,
            door: None,
            standing: None,
            request: None,
            action: None,
            decision: None,
            risk: None,
            rules: Vec::new(),
            facts,
        }
    }

    /// Adds the ruling: decision, risk and the rules that decided.
    #[must_use]
    pub fn ruled(mut self, ruling: &Ruling) -> Self {
        self.decision = Some(ruling.decision);
        self.risk = Some(ruling.risk);
        self.rules = ruling.deciding().map(|reason| reason.rule.clone()).collect();
        self.rules.dedup();
        self
    }

    /// Names the door and the standing.
    #[must_use]
    pub fn at(mut self, door: DoorKind, standing: Standing) -> Self {
        self.door = Some(door);
        self.standing = Some(standing);
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }
}
