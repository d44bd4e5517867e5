// SPDX-License-Identifier: MIT OR Apache-2.0
//! The pipeline: decide, resolve, approve, record, issue; and afterwards record and respond.
//!
//! In: a request and the door it came by. Out: a permit, or a denial with its reasons.
//!
//! **Invariant:** the order of [`Pipeline::admit`] and what it ends in is the security model. Nothing else issues a permit; what cannot be
//! recorded does not happen; every failure on the way is a denial. Native and the selected provider are asked for
//! every policy of the chain and the strictest answer counts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ringfort_audit::{Durability, Trail};
use ringfort_core::action::Action;
use ringfort_core::clock::Clock;
use ringfort_core::decision::{Decision, Risk};
use ringfort_core::digest::Digest;
use ringfort_core::door::{Door, Standing};
use ringfort_core::entry::{Entry, EntryKind};
use ringfort_core::permit::Permit;
use ringfort_core::provider::SecurityProvider;
use ringfort_core::request::Request;
use ringfort_core::ruling::{Reason, Remedy, Ring, Ruling};
use ringfort_core::signal::{Containment, Response, Signal, SignalKind};
use ringfort_core::store::{ApprovalStore, Taken};
use ringfort_core::text::escape_bytes;
use ringfort_detect::Known;
use ringfort_policy::rule::Policy;
use serde_json::Value;

use crate::approve::{Answer, Approver, Asked, Question, Remember, Remembered, later, unanswered, unreadable};
use crate::decide::Decider;
use crate::freeze::Freeze;
use crate::guard::{Guard, UNCOUNTED};
use crate::links::linked;
use crate::own::Own;

/// Most of an action that stands in the record, in bytes: an attempt of any length fits into an entry, so that none
/// can keep itself off the record. The digest of the request beside it binds the whole.
pub(crate) const ACTION_BYTES_MAX: usize = 16 << 10;
/// Most of a reason that stands in the record, in bytes.
const WHY_BYTES_MAX: usize = 1 << 10;
/// Most reasons of a denial that stand in the record.
const WHY_REASONS_MAX: usize = 4;

/// A request that was allowed: the permit, and the ruling it was issued for.
#[derive(Debug)]
#[must_use = "an admitted request must be executed or finished"]
pub struct Admitted {
    /// Lets the effect happen, once.
    pub permit: Permit,
    /// What was ruled.
    pub ruling: Ruling,
}

/// A request that was denied: an answer, not an error. Nothing has happened, and it is on the record unless `unrecorded`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The ruling of this door, with every reason.
    pub ruling: Ruling,
    /// Why the denial itself could not be recorded, if so.
    pub unrecorded: Option<String>,
}

/// The answer of a door that does not execute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The ruling of this door; `Ask` where the agent is left to ask its own user.
    pub ruling: Ruling,
    /// Why the answer could not be recorded, if so; it is a denial then.
    pub unrecorded: Option<String>,
}

/// Whether an answer counts for budget and loop guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// Yes: something new is attempted.
    Counted,
    /// No: the same attempt was counted at an earlier question.
    Again,
}

/// How an effect ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// `exited`, `signalled`, `failed`, ….
    pub result: &'static str,
    /// Further facts by name: status, signal, duration, achieved protection.
    pub facts: Vec<(&'static str, Value)>,
}

/// What a session is built from.
pub struct PipelineParts {
    /// The policies, outermost first.
    pub chain: Arc<[Policy]>,
    /// The selected provider; `native` is asked whatever this is.
    pub provider: Arc<dyn SecurityProvider>,
    /// Budget and loop guard.
    pub guard: Guard,
    /// Whether everything is frozen.
    pub freeze: Freeze,
    /// What people answer outside this session.
    pub approvals: Arc<dyn ApprovalStore>,
    /// The record.
    pub trail: Arc<Trail>,
    /// When outcomes and events reach the disk; intents always do before their effect.
    pub outcomes: Durability,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// The spine of one session.
pub struct Pipeline {
    decider: Decider,
    guard: Guard,
    freeze: Freeze,
    approvals: Arc<dyn ApprovalStore>,
    trail: Arc<Trail>,
    outcomes: Durability,
    clock: Arc<dyn Clock>,
    remembered: Remembered,
    contained: Mutex<Response>,
    ended: AtomicBool,
    own: Option<Own>,
    known: OnceLock<Arc<Known>>,
}

impl Pipeline {
    /// The pipeline of one session.
    pub fn new(parts: PipelineParts) -> Self {
        Self {
            decider: Decider::new(parts.chain, parts.provider, Arc::clone(&parts.clock)),
            guard: parts.guard,
            freeze: parts.freeze,
            approvals: parts.approvals,
            trail: parts.trail,
            outcomes: parts.outcomes,
            clock: parts.clock,
            remembered: Remembered::default(),
            contained: Mutex::new(Response::default()),
            ended: AtomicBool::new(false),
            own: None,
            known: OnceLock::new(),
        }
    }

    /// Makes it recognise this executable among the programs of a command, whatever name they go by.
    #[must_use]
    pub fn recognising(mut self, own: Option<Own>) -> Self {
        self.own = own;
        self
    }

    /// From here on these values stand neither in the record nor in what is kept for a person. Once per session.
    pub fn blank(&self, known: Arc<Known>) {
        // What was set first stays: a session hands out its secrets once, before anything of it runs.
        drop(self.known.set(known));
    }

    /// What the policies rule, and what the file behind a program's name adds to it.
    fn rule(&self, request: &Request, door: &Door) -> Ruling {
        let ruling = self.decider.decide(request, door.standing);
        match &self.own {
            Some(own) => own.narrow(request, ruling, |request| self.decider.decide(request, door.standing)),
            None => ruling,
        }
    }

    /// Rules on one request and on the places to which links lead it; the request is bound to them. Where a cage holds,
    /// a link leads nowhere that is out of reach.
    fn behind_links(&self, request: &Request, door: &Door) -> (Request, Ruling) {
        let (mut request, mut ruling) = (request.clone(), self.rule(request, door));
        if door.standing != Standing::Advised {
            return (request, ruling);
        }
        for linked in linked(&request, &ruling) {
            let place = linked.place.as_os_str().as_encoded_bytes();
            let behind = Request { action: linked.action(&request), ..request.clone() };
            let mut theirs = self.rule(&behind, door);
            // The obligations stay as they are: they are resolved once, with those of the request.
            theirs.reasons = door.resolve(theirs.clone()).reasons;
            theirs.reasons.iter_mut().filter(|reason| reason.decision != Decision::Allow).for_each(|reason| {
                reason.message = format!("a link leads to `{}`: {}", escape_bytes(place), reason.message);
                reason.span = None;
            });
            ruling = ruling.merge(theirs);
            request.bindings.push(("link".to_owned(), Digest::of(place)));
        }
        (request, ruling)
    }

    /// Rules on one request and, if it may happen here, issues the permit. The order is the security model.
    ///
    /// # Errors
    ///
    /// [`Denied`]: nothing has happened.
    pub fn admit(&self, request: &Request, door: &Door, approver: &dyn Approver) -> Result<Admitted, Box<Denied>> {
        let ruling = self.rule(request, door); // the strictest of the whole chain, by every provider
        let ruling = self.charge(request, ruling); // freeze, budget, loop guard
        self.settle(request, door, approver, ruling, Charge::Counted)
    }

    /// As [`Pipeline::admit`], for a part of something that was admitted and counted before: a connection of a program
    /// that runs. It uses no budget and is no repetition. `known` is what was ruled of details that the record does not
    /// keep; it only makes the answer stricter.
    ///
    /// The intent is written and not yet durable: many parts share one [`Pipeline::sync`], which has to succeed before
    /// any of the permits is used.
    ///
    /// # Errors
    ///
    /// [`Denied`]: nothing has happened.
    pub fn admit_part(
        &self,
        request: &Request,
        door: &Door,
        approver: &dyn Approver,
        known: Ruling,
    ) -> Result<Admitted, Box<Denied>> {
        let ruling = self.contain(self.rule(request, door).merge(known));
        self.settle(request, door, approver, ruling, Charge::Again)
    }

    /// The rest of an admission, once it is ruled and charged. The order is the security model.
    fn settle(
        &self,
        request: &Request,
        door: &Door,
        approver: &dyn Approver,
        ruling: Ruling,
        charge: Charge,
    ) -> Result<Admitted, Box<Denied>> {
        let verdict = door.resolve(ruling); // what this door can fulfil
        let verdict = self.approve(verdict, request, door, approver); // Ask goes to a person
        let verdict = self.contain(verdict); // which takes time: what was contained meanwhile stays contained
        if verdict.decision != Decision::Allow {
            return Err(self.deny(request, door, verdict));
        }
        let mut entry = Entry::about(EntryKind::Intent, request, described(request));
        if charge == Charge::Again {
            entry = entry.fact(UNCOUNTED, true);
        }
        let durability = if charge == Charge::Counted { Durability::Synced } else { Durability::Written };
        if let Err(reason) = self.record_as(entry, door, &verdict, durability) {
            let risk = verdict.risk;
            return Err(self.deny(request, door, verdict.merge(Ruling::deny(risk, reason))));
        }
        Ok(Admitted { permit: self.issue(request, &verdict), ruling: verdict })
    }

    /// Why nothing may happen any more in this session, if so: it is frozen, or an answer to a signal contains it.
    pub fn stopped(&self) -> Option<Reason> {
        let ruling =
            self.contain(Ruling::new(Decision::Allow, Risk::Low, Reason::new("policy-001", Decision::Allow, "")));
        ruling.deciding().next().filter(|reason| reason.decision == Decision::Deny).cloned()
    }

    /// Rules on one request for a door that does not execute, and records the answer: no permit.
    ///
    /// The order is that of [`Pipeline::admit`]. What cannot be recorded is denied.
    pub fn verdict(&self, request: &Request, door: &Door, approver: &dyn Approver, charge: Charge) -> Verdict {
        let (request, ruling) = &self.behind_links(request, door);
        let ruling = match charge {
            Charge::Counted => self.charge(request, ruling.clone()),
            Charge::Again => self.contain(ruling.clone()),
        };
        let verdict = door.resolve(ruling);
        let verdict = self.approve(verdict, request, door, approver);
        let verdict = self.contain(verdict);
        let mut entry = Entry::about(EntryKind::Verdict, request, described(request));
        if charge == Charge::Again {
            entry = entry.fact(UNCOUNTED, true);
        }
        if verdict.decision == Decision::Ask {
            entry = entry.fact("answer", "left to the agent, unverified");
        }
        if verdict.decision == Decision::Deny {
            entry = entry.fact("why", why(&verdict));
        }
        match self.record_as(entry, door, &verdict, self.outcomes) {
            Ok(()) => {
                if verdict.decision == Decision::Deny {
                    self.signal_denial(request, &verdict);
                }
                Verdict { ruling: verdict, unrecorded: None }
            }
            Err(reason) => {
                let risk = verdict.risk;
                let unrecorded = Some(reason.message.clone());
                Verdict { ruling: verdict.merge(Ruling::deny(risk, reason)), unrecorded }
            }
        }
    }

    /// What [`Pipeline::admit`] would rule, without budget, approval, record or permit.
    pub fn check(&self, request: &Request, door: &Door) -> Ruling {
        door.resolve(self.rule(request, door))
    }

    /// Records what happened. Called on every path after [`Pipeline::admit`] succeeded.
    ///
    /// # Errors
    ///
    /// The outcome is not on the record; the effect has happened all the same.
    pub fn finish(&self, request: &Request, door: &Door, outcome: Outcome) -> Result<(), ringfort_audit::AppendError> {
        let mut entry = Entry::about(EntryKind::Outcome, request, described(request)).at(door.kind, door.standing);
        entry = entry.fact("result", outcome.result);
        for (name, value) in outcome.facts {
            entry = entry.fact(name, value);
        }
        self.append(&entry, self.outcomes)
    }

    /// Makes everything durable that is on the record so far.
    ///
    /// # Errors
    ///
    /// What was only written may not survive the loss of power.
    pub fn sync(&self) -> Result<(), ringfort_audit::ChainError> {
        self.trail.sync()
    }

    /// Records an event of Ringfort itself in this session.
    ///
    /// # Errors
    ///
    /// The event is not on the record.
    pub fn event(&self, entry: &Entry) -> Result<(), ringfort_audit::AppendError> {
        self.append(entry, self.outcomes)
    }

    /// Answers a signal: the containment that any provider asks for takes effect from here on.
    pub fn respond(&self, signal: &Signal) {
        let response = self.decider.respond(signal);
        if response.contain.contains(&Containment::EndSession) {
            self.ended.store(true, Ordering::Release);
        }
        let mut contained = self.contained.lock().unwrap_or_else(PoisonError::into_inner);
        *contained = std::mem::take(&mut *contained).merge(response);
    }

    /// Whether a response has ended the session: the supervisor then ends its cages.
    pub fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// The policies in the chain, outermost first: what a child of a principal inherits.
    pub fn chain(&self) -> &Arc<[Policy]> {
        self.decider.chain()
    }

    /// The digests of the policies in the chain.
    pub fn policies(&self) -> Vec<Digest> {
        self.decider.policies()
    }

    /// Denies what is frozen, or contained by an answer to a signal.
    fn contain(&self, ruling: Ruling) -> Ruling {
        let ruling = match self.freeze.reason() {
            None => ruling,
            Some(reason) => {
                let risk = ruling.risk;
                ruling.merge(Ruling::deny(risk, reason))
            }
        };
        let contained = self.contained.lock().unwrap_or_else(PoisonError::into_inner).contain.iter().next().copied();
        let Some(containment) = contained else { return ruling };
        let word = serde_json::to_value(containment).unwrap_or_default();
        let message = format!("the session is contained: {}", word.as_str().unwrap_or("frozen"));
        let risk = ruling.risk;
        ruling.merge(Ruling::deny(risk, Reason::new("guard-004", Decision::Deny, message)))
    }

    fn charge(&self, request: &Request, ruling: Ruling) -> Ruling {
        let ruling = self.contain(ruling);
        if ruling.decision == Decision::Deny {
            return ruling; // a refused action uses no budget
        }
        if is_free(&ruling) {
            return ruling; // what has no effect can be repeated for ever
        }
        match self.guard.charge(&request.principal, request.repeat_digest(), self.clock.now()) {
            Ok(()) => ruling,
            Err(reason) => {
                let risk = ruling.risk;
                ruling.merge(Ruling::deny(risk, *reason))
            }
        }
    }

    fn approve(&self, mut verdict: Ruling, request: &Request, door: &Door, approver: &dyn Approver) -> Ruling {
        if verdict.decision != Decision::Ask {
            return verdict;
        }
        let risk = verdict.risk;
        let asked = Asked::new(request, door, &verdict, &self.policies());
        let (entry, memory) = match self.answer(&asked, request, door, &verdict, approver) {
            Ok(Some(answered)) => answered,
            // No yes: the question stays open, and whoever admits denies it.
            Ok(None) => return verdict,
            Err(reason) => return verdict.merge(Ruling::deny(risk, *reason)),
        };
        if let Err(reason) = self.record(entry, door, &verdict) {
            return verdict.merge(Ruling::deny(risk, reason));
        }
        if let Some(memory) = memory {
            self.remembered.insert(memory);
        }
        verdict.decision = Decision::Allow;
        verdict
    }

    /// The entry that a yes leaves on the record, and what to remember: the yes of this session's memory, of the store, or
    /// of a person who is asked. One of the store stays there, where it expires and can be taken back. Nothing where
    /// somebody else asks the person.
    fn answer(
        &self,
        asked: &Asked,
        request: &Request,
        door: &Door,
        verdict: &Ruling,
        approver: &dyn Approver,
    ) -> Result<Option<(Entry, Option<Digest>)>, Box<Reason>> {
        let entry = Entry::about(EntryKind::Approval, request, described(request));
        if asked.remember == Remember::Session && self.remembered.covers(&asked.memory) {
            return Ok(Some((entry.fact("answer", "session"), None)));
        }
        let needed = verdict.obligations.approval;
        let can_later = needed <= Some(later(door.standing));
        if let Some(keys) = asked.keys.as_ref().filter(|_| can_later) {
            match self.approvals.take(keys, self.clock.now()) {
                Ok(Taken::Granted { id, extent, by }) => {
                    let entry = entry.fact("answer", extent.as_str()).fact("approval", id).fact("by", by);
                    return Ok(Some((entry, None)));
                }
                Ok(Taken::Refused { by }) => return Err(unanswered(&format!("`{by}` said no"), None).into()),
                Ok(Taken::Nothing) => {}
                Err(error) => return Err(unreadable(&error).into()),
            }
        }
        let answer = if door.asks.is_none() || needed > door.asks {
            Answer::Nobody { why: "nobody who may approve this can be asked at this door".to_owned() }
        } else {
            approver.ask(&Question { request, ruling: verdict, may_remember: asked.remember })
        };
        match answer {
            Answer::Session if asked.remember == Remember::Session => {
                Ok(Some((entry.fact("answer", "session"), Some(asked.memory))))
            }
            Answer::Once | Answer::Session => Ok(Some((entry.fact("answer", "once"), None))),
            Answer::Elsewhere => Ok(None),
            Answer::No => Err(unanswered("a person said no", None).into()),
            Answer::Nobody { why } => {
                let kept = asked.kept(request, door, verdict).filter(|_| can_later);
                Err(self.keep(kept.as_ref(), &why).into())
            }
        }
    }

    /// Keeps a question that nobody could answer; the denial says how a person can.
    fn keep(&self, question: Option<&ringfort_core::store::Question>, why: &str) -> Reason {
        let Some(question) = question else { return unanswered(why, None) };
        let question = &self.without_values(question);
        let now = self.clock.now();
        match self.approvals.ask(question, now) {
            Ok(until) => unanswered(why, Some((&question.keys.exact, now, until))),
            Err(error) => unanswered(&format!("{why}; the question could not be kept: {error}"), None),
        }
    }

    /// The question without the values that were handed out.
    fn without_values(&self, question: &ringfort_core::store::Question) -> ringfort_core::store::Question {
        let mut question = question.clone();
        if let Some(known) = self.known.get() {
            let texts = [&mut question.action, &mut question.cwd].into_iter().chain(&mut question.reasons);
            texts.chain(&mut question.shape).for_each(|text| blank_text(text, known));
        }
        question
    }

    /// Ends what was approved for a session, when it has ended.
    ///
    /// # Errors
    ///
    /// The approvals of this session hold until they expire.
    pub fn end_session(&self, session: &str) -> Result<(), ringfort_core::store::StoreError> {
        self.approvals.end_session(session, self.clock.now())
    }

    fn deny(&self, request: &Request, door: &Door, ruling: Ruling) -> Box<Denied> {
        let entry = Entry::about(EntryKind::Outcome, request, described(request));
        let entry = entry.fact("result", "denied").fact("why", why(&ruling));
        let unrecorded = self.record(entry, door, &ruling).err().map(|reason| reason.message);
        self.signal_denial(request, &ruling);
        Box::new(Denied { ruling, unrecorded })
    }

    fn signal_denial(&self, request: &Request, ruling: &Ruling) {
        self.respond(&Signal {
            kind: SignalKind::Denial,
            severity: ruling.risk,
            principal: Some(request.principal.clone()),
            request: Some(request.digest()),
            message: ruling.deciding().next().map_or_else(String::new, |reason| reason.message.clone()),
        });
    }

    fn record(&self, entry: Entry, door: &Door, ruling: &Ruling) -> Result<(), Reason> {
        self.record_as(entry, door, ruling, Durability::Synced)
    }

    fn record_as(&self, entry: Entry, door: &Door, ruling: &Ruling, durability: Durability) -> Result<(), Reason> {
        let mut entry = entry.at(door.kind, door.standing).ruled(ruling);
        if is_free(ruling) && ruling.decision == Decision::Allow {
            entry = entry.fact(UNCOUNTED, true);
        }
        self.append(&entry, durability).map_err(|error| {
            let message = format!("what happens cannot be recorded: {error}");
            let remedy =
                Remedy::Person("see `ringfort trail verify`, and the space left on the state folder".to_owned());
            Reason::new("runtime-003", Decision::Deny, message).ring(Ring::Data).remedy(remedy)
        })
    }

    fn append(&self, entry: &Entry, durability: Durability) -> Result<(), ringfort_audit::AppendError> {
        let blanked = self.known.get().map(|known| without_values(entry, known));
        let entry = blanked.as_ref().unwrap_or(entry);
        self.trail.append(entry, durability)?;
        // The trail has the entry whatever the provider does with its copy.
        if let Err(provider) = self.decider.report(entry) {
            let missed = Entry::event("provider.report-missed").fact("provider", provider);
            self.trail.append(&missed, Durability::Written)?;
        }
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "the one issuer")]
    fn issue(&self, request: &Request, ruling: &Ruling) -> Permit {
        Permit::issue(request.digest(), ruling.obligations.clone(), self.clock.now())
    }
}

/// An entry without the values that were handed out.
fn without_values(entry: &Entry, known: &Known) -> Entry {
    let mut entry = entry.clone();
    entry.action.iter_mut().for_each(|action| blank_text(action, known));
    entry.facts.values_mut().for_each(|fact| blank_value(fact, known));
    entry
}

fn blank_text(text: &mut String, known: &Known) {
    if let Some(blanked) = known.blank_str(text) {
        *text = blanked;
    }
}

fn blank_value(value: &mut Value, known: &Known) {
    match value {
        Value::String(text) => blank_text(text, known),
        Value::Array(items) => items.iter_mut().for_each(|item| blank_value(item, known)),
        Value::Object(members) => members.values_mut().for_each(|member| blank_value(member, known)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The reasons of a denial, as they stand in the record.
fn why(ruling: &Ruling) -> Vec<Value> {
    let messages = ruling.deciding().map(|reason| Value::from(cut(reason.message.clone(), WHY_BYTES_MAX)));
    messages.take(WHY_REASONS_MAX).collect()
}

/// Whether an action uses no budget.
fn is_free(ruling: &Ruling) -> bool {
    ruling.effects.is_empty() && ruling.risk == Risk::Low
}

/// The action as it stands in the record: escaped for people, and redacted.
fn described(request: &Request) -> String {
    shown(&request.action)
}

/// An action for the record: escaped, redacted, and cut where it is too long.
pub(crate) fn shown(action: &Action) -> String {
    let text = action.to_display();
    cut(String::from_utf8_lossy(ringfort_detect::redact(text.as_bytes()).as_bytes()).into_owned(), ACTION_BYTES_MAX)
}

/// The first bytes of a text, marked where it goes on.
pub(crate) fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let whole = text.len();
        let end = (0..=bytes_max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push_str(&format!(" … (cut: {whole} bytes)"));
    }
    text
}
