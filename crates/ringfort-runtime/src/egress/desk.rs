// SPDX-License-Identifier: MIT OR Apache-2.0
//! Answers the attempts of a run's cages, on the supervisor's thread.
//!
//! In: attempts and endings of a [`Carrier`]. Out: verdicts; on the record an intent before each connection and an
//! outcome after it; for people what was refused.
//!
//! **Invariant:** every verdict but the repetition of a denial comes from the pipeline. A connection is a part of the
//! run that was admitted and uses no budget of its own; how many there are is bounded by the carrier, how many denials
//! and questions here. Once the session is frozen or contained the carrier is stopped, with every open connection.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use ringfort_core::action::{Action, Egress};
use ringfort_core::decision::Decision;
use ringfort_core::digest::Digest;
use ringfort_core::door::{Door, DoorKind};
use ringfort_core::entry::Entry;
use ringfort_core::obligation::ApprovalChannel;
use ringfort_core::principal::Principal;
use ringfort_core::request::{Provenance, Request};
use ringfort_core::ruling::{Reason, Ruling};
use ringfort_core::text::escape_bytes;
use ringfort_policy::egress::rule::{Bounds, TUNNEL};
use ringfort_policy::egress::{Destination, Reach, reach};
use ringfort_sandbox::launch::DoorSockets;

use super::refusals::{Refusals, Remedy};
use super::{Addresses, Attempt, CageId, Carrier, Closed, Ending, Event, Pass, Refusal, Reply, Verdict};
use crate::approve::{Answer, Approver, Question};
use crate::pipeline::{Denied, Outcome};
use crate::run::chain;
use crate::session::{Session, Task};
use crate::supervisor::recorded::Recorded;
use crate::supervisor::terminal::TICK;

/// Most events that are served in one turn, so that the network cannot starve the program's own streams.
const EVENTS_PER_TURN: usize = 64;
/// Most questions that a person is asked about the network in one run; what comes after them is denied.
const QUESTIONS_MAX: u32 = 100;
/// Most denials that are remembered, so that each is ruled on and recorded once.
const DENIALS_MAX: usize = 1024;
/// For how long a denial is repeated without being ruled on again, where a person may have answered since.
const UNANSWERED_FOR: Duration = Duration::from_secs(10);
/// Most denied attempts that are put on record within [`FLOOD_WINDOW`]; the others are counted.
const RECORDED_MAX: usize = 200;
/// The window of [`RECORDED_MAX`].
const FLOOD_WINDOW: Duration = Duration::from_secs(60);
/// Hex digits by which a message names an entry of the record.
const REFERENCE_DIGITS: usize = 12;

/// Who asks and shows, and how.
#[derive(Clone, Copy)]
pub struct Desktop<'a> {
    /// Who is asked.
    pub approver: &'a dyn Approver,
    /// The strongest way in which a person can be asked.
    pub asks: Option<ApprovalChannel>,
    /// Whether each refusal is shown when it happens.
    pub is_live: bool,
}

/// The desk of one run. Shared by the supervisor and its broker; never held across a wait.
pub struct Desk<'a> {
    inner: RefCell<Inner<'a>>,
    /// Readable when something waits; stays open when the carrier is gone.
    waiting: OwnedFd,
}

struct Inner<'a> {
    session: &'a Session,
    desktop: Desktop<'a>,
    door: Door,
    /// `None` once it was stopped.
    carrier: Option<Box<dyn Carrier>>,
    cages: BTreeMap<CageId, Caged>,
    next_cage: CageId,
    /// Connections that were admitted and have not ended.
    open: BTreeMap<(u64, Digest), Request>,
    denials: BTreeMap<DenialKey, Known>,
    recorded: VecDeque<Duration>,
    room: Recorded,
    unrecorded: u64,
    questions: u32,
    refusals: Refusals,
    looked_at_freeze: Duration,
}

/// One cage that is served.
struct Caged {
    principal: Principal,
    program: Option<String>,
}

/// What a remembered denial is about: everything that the answer depended on.
type DenialKey = (CageId, String, u16, Option<(Option<String>, Option<String>)>);

struct Known {
    refusal: Refusal,
    remedy: Remedy,
    /// When it is ruled on again.
    until: Option<Duration>,
}

impl<'a> Desk<'a> {
    /// A desk for the cages of `session`.
    ///
    /// # Errors
    ///
    /// There is no descriptor to wait for; the carrier is gone.
    pub fn new(session: &'a Session, desktop: Desktop<'a>, carrier: Box<dyn Carrier>) -> io::Result<Self> {
        let waiting = carrier.waiting().try_clone_to_owned()?;
        let inner = Inner {
            door: session.door(DoorKind::Egress, desktop.asks),
            session,
            desktop,
            carrier: Some(carrier),
            cages: BTreeMap::new(),
            next_cage: 0,
            open: BTreeMap::new(),
            denials: BTreeMap::new(),
            recorded: VecDeque::new(),
            room: Recorded::default(),
            unrecorded: 0,
            questions: 0,
            refusals: Refusals::default(),
            looked_at_freeze: Duration::ZERO,
        };
        Ok(Self { inner: RefCell::new(inner), waiting })
    }

    /// Serves the door of a cage, for a principal and the task that runs in it.
    ///
    /// # Errors
    ///
    /// The door is closed: nothing inside reaches anything.
    pub fn adopt(&self, sockets: DoorSockets, principal: Principal, task: &Task) -> io::Result<CageId> {
        let inner = &mut *self.inner.borrow_mut();
        let cage = inner.next_cage;
        let carrier = inner.carrier.as_mut().ok_or_else(|| io::Error::other("the door was closed"))?;
        let program = program_of(inner.session, &task.program);
        carrier.adopt(sockets, cage, program.as_deref())?;
        inner.next_cage += 1;
        inner.cages.insert(cage, Caged { principal, program });
        Ok(cage)
    }

    /// Closes the door of a cage.
    pub fn remove(&self, cage: CageId) {
        let inner = &mut *self.inner.borrow_mut();
        if let Some(carrier) = &mut inner.carrier {
            carrier.remove(cage);
        }
    }

    /// What to wait for: readable when something is to be served.
    pub fn waiting(&self) -> BorrowedFd<'_> {
        self.waiting.as_fd()
    }

    /// Closes the door where the session is frozen or contained. Costs nothing when it was asked a moment ago.
    pub fn heed_freeze(&self) {
        self.inner.borrow_mut().heed_freeze();
    }

    /// Serves what is waiting. Closes the door where the session is frozen or contained.
    pub fn serve(&self) {
        let inner = &mut *self.inner.borrow_mut();
        inner.heed_freeze();
        let answered = Batch::default();
        let mut verdicts = Vec::new();
        for _ in 0..EVENTS_PER_TURN {
            let Some(event) = inner.carrier.as_mut().and_then(|carrier| carrier.next()) else { break };
            inner.take(event, &answered, &mut verdicts);
        }
        inner.deliver(&mut verdicts);
    }

    /// Closes the door and puts the rest on record. What was refused is there for whoever tells the user.
    pub fn close(&self) -> Refusals {
        let inner = &mut *self.inner.borrow_mut();
        if let Some(carrier) = &mut inner.carrier {
            carrier.settle();
        }
        inner.stop();
        for ((_, _), request) in std::mem::take(&mut inner.open) {
            inner.finish(&request, Outcome { result: "failed", facts: vec![("error", "the run has ended".into())] });
        }
        if inner.unrecorded > 0 {
            let entry = Entry::event("egress.repeated").fact("denied", inner.unrecorded);
            inner.event(entry);
        }
        std::mem::take(&mut inner.refusals)
    }
}

/// The name of a program that a rule may hold for: one of the system or a toolchain. What lies where the agent writes
/// has any name that it likes.
fn program_of(session: &Session, program: &Path) -> Option<String> {
    let real = program.canonicalize().unwrap_or_else(|_gone| program.to_owned());
    let written = std::iter::once(&session.workspace).chain(&session.profile.writable);
    let is_written = |path: &Path| written.clone().any(|root| path.starts_with(root));
    if is_written(program) || is_written(&real) {
        return None;
    }
    program.file_name().map(|name| name.to_string_lossy().into_owned())
}

/// One yes answers every attempt of the same request that waits in the same turn: clients open several connections at
/// once, and the person saw them as one.
#[derive(Default)]
struct Batch(RefCell<BTreeSet<Digest>>);

/// Asks about the network: each host once in a turn, and not for ever.
struct Asking<'b> {
    batch: &'b Batch,
    approver: &'b dyn Approver,
    asked: Cell<u32>,
    /// Whether a person said no.
    refused: Cell<bool>,
}

impl<'b> Asking<'b> {
    fn new(batch: &'b Batch, approver: &'b dyn Approver, asked: u32) -> Self {
        Self { batch, approver, asked: Cell::new(asked), refused: Cell::new(false) }
    }
}

impl Approver for Asking<'_> {
    fn ask(&self, question: &Question<'_>) -> Answer {
        let digest = question.request.digest();
        if self.batch.0.borrow().contains(&digest) {
            return Answer::Once;
        }
        if self.asked.get() >= QUESTIONS_MAX {
            let why = format!("{QUESTIONS_MAX} questions about the network were asked in this run");
            return Answer::Nobody { why };
        }
        self.asked.set(self.asked.get() + 1);
        let answer = self.approver.ask(question);
        match answer {
            Answer::Once | Answer::Session => {
                self.batch.0.borrow_mut().insert(digest);
            }
            Answer::No => self.refused.set(true),
            Answer::Elsewhere | Answer::Nobody { .. } => {}
        }
        answer
    }
}

impl Inner<'_> {
    fn now(&self) -> Duration {
        self.session.clock.monotonic()
    }

    /// Closes the door where nothing may happen any more.
    fn heed_freeze(&mut self) {
        let now = self.now();
        if self.carrier.is_none() || now.saturating_sub(self.looked_at_freeze) < TICK {
            return;
        }
        self.looked_at_freeze = now;
        let Some(reason) = self.session.pipeline.stopped() else { return };
        self.session.warn(&format!("the door to the network is closed until the end of this run: {}", reason.message));
        self.event(Entry::event("egress.closed").fact("why", reason.message));
        self.stop();
    }

    /// Stops the carrier and takes what it still has to tell.
    fn stop(&mut self) {
        let Some(mut carrier) = self.carrier.take() else { return };
        carrier.stop();
        while let Some(event) = carrier.next() {
            match event {
                // Dropped unanswered: a denial.
                Event::Attempt(..) => {}
                Event::Closed(closed) => self.closed(closed),
            }
        }
    }

    fn take(&mut self, event: Event, batch: &Batch, verdicts: &mut Vec<(Box<dyn Reply>, Verdict)>) {
        match event {
            Event::Attempt(_, reply) if reply.is_abandoned() => {}
            Event::Attempt(attempt, reply) => {
                let verdict = self.judge(&attempt, batch, verdicts);
                verdicts.push((reply, verdict));
            }
            Event::Closed(closed) => self.closed(closed),
        }
    }

    /// Gives the verdicts of a turn, once the intents of all that is allowed are durable.
    fn deliver(&self, verdicts: &mut Vec<(Box<dyn Reply>, Verdict)>) {
        let is_allowed = |(_, verdict): &(_, Verdict)| matches!(verdict, Verdict::Allow(_));
        let synced = if verdicts.iter().any(is_allowed) { self.session.pipeline.sync() } else { Ok(()) };
        if let Err(error) = &synced {
            self.session.warn(&format!("what happens cannot be recorded: {}", chain(error)));
        }
        for (reply, verdict) in verdicts.drain(..) {
            reply.give(match (&synced, verdict) {
                (Err(_), Verdict::Allow(_)) => Verdict::Deny(refusal("runtime-003", "what happens cannot be recorded")),
                (_, verdict) => verdict,
            });
        }
    }

    fn judge(&mut self, attempt: &Attempt, batch: &Batch, verdicts: &mut Vec<(Box<dyn Reply>, Verdict)>) -> Verdict {
        let Some(caged) = self.cages.get(&attempt.cage) else {
            return Verdict::Deny(refusal("runtime-001", "no such cage is served"));
        };
        let (principal, program) = (caged.principal.clone(), caged.program.clone());
        let to = Destination { scheme: None, host: attempt.host.clone(), port: Some(attempt.port) };
        let chain = self.session.pipeline.chain();
        let inside = chain.iter().any(|policy| policy.looks_inside(&to, program.as_deref()));
        let key = denial_key(attempt, inside);
        if let Some(refusal) = self.known_denial(attempt, &key) {
            return Verdict::Deny(refusal);
        }
        let request = |egress: Egress| Request {
            principal: principal.clone(),
            action: Action::Egress(egress),
            session: self.session.name.clone(),
            cwd: self.session.workspace.clone(),
            workspace: self.session.workspace.clone(),
            home: Some(self.session.home.clone()),
            provenance: Provenance::Agent,
            bindings: Vec::new(),
        };
        let whole = self.session.pipeline.check(&request(whole(attempt, program.clone())), &self.door);
        let recorded = request(recorded(attempt, program.clone(), whole.decision));
        if whole.decision != Decision::Allow && self.is_flooded() || !self.has_room(&recorded) {
            self.unrecorded = self.unrecorded.saturating_add(1);
            let risk = whole.risk;
            let reason =
                Reason::new("guard-006", Decision::Deny, "more connections are attempted than the record keeps");
            return self.deny(attempt, None, &whole.merge(Ruling::deny(risk, reason)), &recorded);
        }
        if whole.decision == Decision::Ask {
            // A person may take a while; whoever has an answer does not wait for theirs.
            self.deliver(verdicts);
        }
        let asking = Asking::new(batch, self.desktop.approver, self.questions);
        let admitted = self.session.pipeline.admit_part(&recorded, &self.door, &asking, whole);
        self.questions = asking.asked.get();
        let is_final = asking.refused.get();
        match admitted {
            Ok(admitted) => {
                let digest = recorded.digest();
                let chain = self.session.pipeline.chain();
                // The first is the user's; a project's restriction names nothing.
                let is_named = chain.first().is_some_and(|policy| policy.names(&to, program.as_deref()));
                let addresses = if is_named { Addresses::Private } else { Addresses::Public };
                let bounds = chain.iter().map(|policy| policy.bounds(&to, program.as_deref()));
                let bounds = bounds.fold(Bounds::default(), Bounds::merge);
                self.open.insert((attempt.connection, digest), recorded);
                Verdict::Allow(Box::new(Pass { permit: admitted.permit, request: digest, addresses, bounds }))
            }
            Err(denied) => {
                let Denied { ruling, unrecorded } = *denied;
                if let Some(why) = unrecorded {
                    self.session.warn(&why);
                }
                // What waits for a person is asked about again, in case somebody has answered elsewhere.
                let is_open = !is_final && ruling.deciding().any(|reason| reason.rule.starts_with("approve-"));
                let until = is_open.then(|| self.now().saturating_add(UNANSWERED_FOR));
                self.deny(attempt, Some((key, until)), &ruling, &recorded)
            }
        }
    }

    /// Whether the record has room for one more connection.
    fn has_room(&mut self, request: &Request) -> bool {
        let Action::Egress(egress) = &request.action else { return false };
        let now = self.now();
        self.room.take(2 * egress.url.len() as u64, now)
    }

    /// Remembers and shows a denial.
    fn deny(
        &mut self,
        attempt: &Attempt,
        remember: Option<(DenialKey, Option<Duration>)>,
        ruling: &Ruling,
        request: &Request,
    ) -> Verdict {
        let (rule, message) = told(ruling);
        let reference: String = request.digest().to_string().chars().take(REFERENCE_DIGITS).collect();
        let refusal = Refusal { reference: Some(reference), ..refusal(&rule, &message) };
        let is_listable = ruling
            .reasons
            .iter()
            .any(|reason| matches!(reason.rule.as_str(), "egress-003" | "egress-005" | "egress-007" | "egress-008"));
        let remedy = if is_listable && reach(&attempt.host) != Reach::Metadata { Remedy::List } else { Remedy::None };
        self.note(attempt, &refusal, remedy);
        if let Some((key, until)) = remember
            && self.denials.len() < DENIALS_MAX
        {
            self.denials.insert(key, Known { refusal: refusal.clone(), remedy, until });
        }
        Verdict::Deny(refusal)
    }

    /// The denial that this very attempt met before.
    fn known_denial(&mut self, attempt: &Attempt, key: &DenialKey) -> Option<Refusal> {
        let known = self.denials.get(key)?;
        if known.until.is_some_and(|until| self.now() >= until) {
            self.denials.remove(key);
            return None;
        }
        let (refusal, remedy) = (known.refusal.clone(), known.remedy);
        self.unrecorded = self.unrecorded.saturating_add(1);
        self.note(attempt, &refusal, remedy);
        Some(refusal)
    }

    fn note(&mut self, attempt: &Attempt, refusal: &Refusal, remedy: Remedy) {
        let host = attempt.host.to_string();
        if self.desktop.is_live {
            let message = escape_bytes(refusal.message.as_bytes());
            self.session.warn(&format!("refused {host}:{}: {message} [{}]", attempt.port, refusal.rule));
        }
        self.refusals.note(&host, attempt.port, &refusal.rule, &refusal.message, remedy);
    }

    /// Whether more is denied than the record keeps.
    fn is_flooded(&mut self) -> bool {
        let now = self.now();
        while self.recorded.front().is_some_and(|at| now.saturating_sub(*at) > FLOOD_WINDOW) {
            self.recorded.pop_front();
        }
        if self.recorded.len() >= RECORDED_MAX {
            return true;
        }
        self.recorded.push_back(now);
        false
    }

    fn closed(&mut self, closed: Closed) {
        let request = closed.request.and_then(|digest| self.open.remove(&(closed.connection, digest)));
        if let (Ending::Denied(refusal), Some(attempt), Some(_)) = (&closed.ending, &closed.attempt, &request) {
            // The name was allowed; what it led to, or a bound, was not.
            self.note(attempt, &refusal.clone(), Remedy::None);
        }
        match request {
            Some(request) => self.finish(&request, outcome(&closed)),
            None => self.closed_unasked(&closed),
        }
    }

    /// Something that never came to a ruling: malformed, or beyond a bound of the carrier.
    fn closed_unasked(&mut self, closed: &Closed) {
        let why = match &closed.ending {
            Ending::Malformed(why) | Ending::Failed(why) => (*why).to_owned(),
            // Denied by a verdict, and on the record as such; or by a bound before one was asked for.
            Ending::Denied(refusal) if refusal.reference.is_none() => refusal.message.clone(),
            Ending::Denied(_) | Ending::Closed => return,
        };
        if self.is_flooded() {
            self.unrecorded = self.unrecorded.saturating_add(1);
            return;
        }
        let mut entry = Entry::event("egress.refused").fact("why", why);
        if let Some(attempt) = &closed.attempt {
            entry = entry.fact("host", attempt.host.to_string()).fact("port", attempt.port).fact("way", attempt.way);
        }
        entry.principal = self.cages.get(&closed.cage).map(|caged| caged.principal.clone());
        self.event(entry);
    }

    fn finish(&self, request: &Request, outcome: Outcome) {
        if let Err(error) = self.session.pipeline.finish(request, &self.door, outcome) {
            self.session.warn(&format!("an outcome could not be recorded: {error}"));
        }
    }

    fn event(&self, entry: Entry) {
        let entry = Entry { session: Some(self.session.name.clone()), ..entry };
        if let Err(error) = self.session.pipeline.event(&entry.at(self.door.kind, self.door.standing)) {
            self.session.warn(&format!("an event could not be recorded: {error}"));
        }
    }
}

/// The rule that speaks about the destination, and why nobody's yes came to help where a question was open.
fn told(ruling: &Ruling) -> (String, String) {
    let mut against = ruling.reasons.iter().filter(|reason| reason.decision != Decision::Allow);
    let about = against.clone().find(|reason| reason.rule.starts_with("egress-"));
    let first = ruling.deciding().next();
    match (about.or_else(|| against.next()), first) {
        (Some(about), Some(first)) if about.rule != first.rule => {
            (about.rule.clone(), format!("{}; {}", about.message, first.message))
        }
        (Some(only), _) | (None, Some(only)) => (only.rule.clone(), only.message.clone()),
        (None, None) => ("runtime-001".to_owned(), "no policy answered".to_owned()),
    }
}

fn refusal(rule: &str, message: &str) -> Refusal {
    Refusal { rule: rule.to_owned(), message: message.to_owned(), reference: None }
}

fn denial_key(attempt: &Attempt, looks_inside: bool) -> DenialKey {
    let inside = looks_inside.then(|| (attempt.method.clone(), attempt.path.clone()));
    (attempt.cage, attempt.host.to_string(), attempt.port, inside)
}

/// All that is seen of an attempt: what is ruled on.
fn whole(attempt: &Attempt, program: Option<String>) -> Egress {
    egress(attempt, attempt.path.as_deref(), attempt.method.clone(), program)
}

/// What of an attempt is admitted and recorded. A question is about the host, so that it is asked once; else the path,
/// never a query.
fn recorded(attempt: &Attempt, program: Option<String>, decision: Decision) -> Egress {
    if decision == Decision::Ask {
        return egress(attempt, attempt.path.as_ref().map(|_| "/"), None, program);
    }
    let path = attempt.path.as_deref().map(|path| path.split(['?', '#']).next().unwrap_or("/"));
    egress(attempt, path, attempt.method.clone(), program)
}

fn egress(attempt: &Attempt, path: Option<&str>, method: Option<String>, program: Option<String>) -> Egress {
    let Attempt { host, port, .. } = attempt;
    match path {
        Some(path) => Egress { url: format!("http://{host}:{port}{path}"), method, program },
        // A tunnel: what is inside is not seen.
        None => Egress { url: format!("{host}:{port}"), method: Some(TUNNEL.to_owned()), program },
    }
}

fn outcome(closed: &Closed) -> Outcome {
    let elapsed = u64::try_from(closed.duration.as_millis()).unwrap_or(u64::MAX);
    let mut facts = vec![
        ("elapsed_ms", elapsed.into()),
        ("sent_bytes", closed.sent_bytes.into()),
        ("received_bytes", closed.received_bytes.into()),
        ("protocol", closed.protocol.into()),
    ];
    if let Some(address) = closed.address {
        facts.push(("address", address.to_string().into()));
    }
    if let Some(attempt) = &closed.attempt {
        facts.push(("way", attempt.way.into()));
    }
    if closed.requests > 1 {
        facts.push(("requests", closed.requests.into()));
    }
    let result = match &closed.ending {
        Ending::Closed => "closed",
        Ending::Denied(refusal) => {
            facts.push(("why", format!("{} [{}]", refusal.message, refusal.rule).into()));
            "denied"
        }
        Ending::Malformed(why) => {
            facts.push(("why", (*why).into()));
            "malformed"
        }
        Ending::Failed(why) => {
            facts.push(("why", (*why).into()));
            "failed"
        }
    };
    Outcome { result, facts }
}
