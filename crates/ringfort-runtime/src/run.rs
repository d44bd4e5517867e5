// SPDX-License-Identifier: MIT OR Apache-2.0
//! One run: admit, plan, launch, supervise, settle, finish.
//!
//! In: a session and a task. Out: how the program ended, or that it was denied, or that the guard failed.
//!
//! **Invariant:** the intent is on the record before the cage starts, and an outcome on every path. Start-up files are
//! settled after every process inside has ended, never before.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringfort_core::decision::Risk;
use ringfort_core::door::{Door, DoorKind};
use ringfort_core::entry::Entry;
use ringfort_core::obligation::{ApprovalChannel, Promise};
use ringfort_core::principal::{Principal, PrincipalError};
use ringfort_core::signal::{Signal, SignalKind};
use ringfort_core::text::Text;
use ringfort_sandbox::achieved::{Achieved, HeldLimit};
use ringfort_sandbox::cow::{Changes, ReadError};
use ringfort_sandbox::group::{Group, Hits};
use ringfort_sandbox::launch::{Cage, LaunchError};
use ringfort_sandbox::profile::{BindMode, DegreeRequest, HomeBind, NATIVE, Staged};
use ringfort_sandbox::startup::{self, Change, Enforcement, Notice, PlanError, Settled, StagedFile};
use serde_json::Value;

use crate::approve::Approver;
use crate::cow::{Counts, CowContext, CowError, CowFolder, digest};
use crate::egress::OpenCarrier;
use crate::egress::desk::{Desk, Desktop};
use crate::egress::refusals::Refusals;
use crate::pipeline::{Denied, Outcome};
use crate::secrets::{Handout, Variables, Withheld, hand_out};
use crate::session::{Session, Task};
use crate::state::RunFolder;
use crate::supervisor::stdio::{self, StdioError};
use crate::supervisor::terminal::UserTerminal;
use crate::supervisor::{Ended, Signals, Supervision, broker, broker_server, supervise};

/// Most notices about places that could not be inspected at the end.
const NOTICES_SHOWN_MAX: usize = 20;

/// A run that took this long pays for making its outcome durable; a shorter one leaves that to the next intent.
const SYNC_AFTER: Duration = Duration::from_millis(250);

/// Why the guard failed. Unless it says otherwise nothing has run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The start-up files of the workspace could not be protected.
    #[error("the start-up files of the workspace cannot be protected")]
    Plan(#[from] PlanError),
    /// The private folders could not be made.
    #[error("the private folders cannot be made")]
    Scratch(#[source] io::Error),
    /// The copy-on-write workspace could not be made.
    #[error("the copy-on-write workspace cannot be made")]
    Cow(#[from] CowError),
    /// The standard streams could not be prepared.
    #[error(transparent)]
    Stdio(#[from] StdioError),
    /// The cage could not be started.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The agent cannot be named.
    #[error(transparent)]
    Principal(#[from] PrincipalError),
    /// The supervisor failed; the cage has been killed, and effects inside it may remain.
    #[error("the supervisor failed")]
    Supervise(#[source] io::Error),
}

/// How a run ended.
#[derive(Debug)]
pub enum RunEnd {
    /// The program ran and ended.
    Ended(Box<Finished>),
    /// It was denied; nothing has run.
    Denied(Box<Denied>),
    /// A secret that it was to have was not given; nothing has run.
    Withheld(Withheld),
    /// The guard failed.
    Failed(RunError),
}

/// A program that ran.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub ended: Ended,
    /// What its cage enforced.
    pub achieved: Achieved,
    /// How often limits were hit.
    pub hits: Hits,
    /// What became of start-up files.
    pub settled: Settled,
    /// Start-up places that existed and that protection did not cover: generated, too large or too deep folders, files
    /// with several names.
    pub uncovered: usize,
    /// What a copy-on-write run changed.
    pub cow: Option<CowEnd>,
    /// What the door to the network refused.
    pub refusals: Refusals,
    /// Why the outcome is not on the record, if so.
    pub unrecorded: Option<String>,
}

/// What is left of a copy-on-write run.
#[derive(Debug)]
pub struct CowEnd {
    /// The run's name for `ringfort changes`.
    pub name: String,
    /// What it changed, or why that cannot be read; it is kept then. Nothing is kept of a run without changes.
    pub changes: Result<Changes, ReadError>,
}

/// What a run works with besides its session.
pub struct RunContext<'a> {
    /// The session's scratch folder.
    pub folder: &'a RunFolder,
    /// Where start-up files go that are taken out of the workspace.
    pub quarantine: &'a Path,
    /// Signals of this process, taken over before any thread existed.
    pub signals: &'a Signals,
    /// The user's terminal.
    pub terminal: Option<&'a UserTerminal>,
    /// Who is asked.
    pub approver: &'a dyn Approver,
    /// Whether output on a terminal is redacted as well.
    pub redact_terminal: bool,
    /// The changes to the workspace are kept beside it.
    pub cow: Option<CowContext<'a>>,
    /// Opens the door to the network, where the profile has one.
    pub network: Option<&'a dyn OpenCarrier>,
    /// Whether a refused connection is shown when it happens.
    pub is_live: bool,
    /// What it is to be given of the store of secrets.
    pub secrets: Option<Handout<'a>>,
}

/// Runs one task to its end.
pub fn run(session: &mut Session, task: &Task, context: &RunContext<'_>) -> RunEnd {
    let asks = context.terminal.map(|_| ApprovalChannel::Trusted);
    let door = session.door(DoorKind::Run, asks);
    let admitted = match session.pipeline.admit(&task.request, &door, context.approver) {
        Ok(admitted) => admitted,
        Err(denied) => return RunEnd::Denied(denied),
    };
    let variables = match &context.secrets {
        None => Variables::default(),
        Some(handout) => match hand_out(session, task, &door, context.approver, handout) {
            Ok(variables) => variables,
            Err(withheld) => {
                let outcome =
                    Outcome { result: "failed", facts: vec![("error", Value::from("a secret was not given"))] };
                finish_failed(session, task, &door, outcome);
                return RunEnd::Withheld(withheld);
            }
        },
    };
    let started = session.clock.monotonic();
    let ran = in_cage(session, task, admitted, variables, context);
    if let Err(error) = session.pipeline.end_session(&session.name) {
        session.warn(&format!("approvals for this session hold until they expire: {error}"));
    }
    match ran {
        Ok(Ran { ended, achieved, settled, uncovered, cow, refusals }) => {
            let elapsed = session.clock.monotonic().saturating_sub(started);
            let hits = session.profile.group.as_ref().map(Group::hits).unwrap_or_default();
            let mut outcome = ended_outcome(ended, &achieved, &settled, elapsed.as_millis());
            outcome.facts.extend(hit_facts(hits));
            if uncovered > 0 {
                outcome.facts.push(("uncovered", Value::from(uncovered)));
            }
            if refusals.total() > 0 {
                outcome.facts.push(("network_refused", Value::from(refusals.total())));
            }
            let recorded = session.pipeline.finish(&task.request, &door, outcome).map_err(|error| error.to_string());
            // Nobody syncs after this process has ended; a run that took long does not feel it.
            let unrecorded = match recorded {
                Ok(()) if elapsed >= SYNC_AFTER => session.pipeline.sync().err().map(|error| error.to_string()),
                Ok(()) => None,
                Err(error) => Some(error),
            };
            RunEnd::Ended(Box::new(Finished { ended, achieved, hits, settled, uncovered, cow, refusals, unrecorded }))
        }
        Err(error) => {
            let outcome = Outcome { result: "failed", facts: vec![("error", Value::from(chain(&error)))] };
            finish_failed(session, task, &door, outcome);
            RunEnd::Failed(error)
        }
    }
}

fn finish_failed(session: &Session, task: &Task, door: &Door, outcome: Outcome) {
    if let Err(unrecorded) = session.pipeline.finish(&task.request, door, outcome) {
        session.warn(&format!("the outcome could not be recorded: {unrecorded}"));
    }
}

/// What a cage left behind.
struct Ran {
    ended: Ended,
    achieved: Achieved,
    settled: Settled,
    uncovered: usize,
    cow: Option<CowEnd>,
    refusals: Refusals,
}

fn in_cage(
    session: &mut Session,
    task: &Task,
    admitted: crate::pipeline::Admitted,
    variables: Variables,
    context: &RunContext<'_>,
) -> Result<Ran, RunError> {
    if session.profile.degree == DegreeRequest::Minimal {
        session.profile.scratch = Some(context.folder.make_scratch().map_err(RunError::Scratch)?);
    }

    // One group for the session: what an agent starts by the broker counts as well.
    session.profile.group = Group::for_limits(&session.profile.limits);

    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let (inside, outside) = stdio::prepare(stdin.as_fd(), stdout.as_fd(), stderr.as_fd())?;
    let (socket, inner) = broker::pair().map_err(RunError::Supervise)?;
    let post = match session.holds_agent {
        true => {
            let (post, source) = broker::post(context.folder.path()).map_err(RunError::Supervise)?;
            let target = PathBuf::from(broker::BROKER_PLACE);
            session.profile.home.binds.push(HomeBind { source, target, mode: BindMode::ReadOnly });
            Some(post)
        }
        false => None,
    };
    let principal = agent_of(task)?;
    let for_siblings = inner.try_clone().map_err(RunError::Supervise)?;
    let bounds_of = admitted.ruling.clone();
    let cow = match &context.cow {
        Some(cow) => Some(CowFolder::begin(session, &task.request.action.to_display(), cow)?),
        None => None,
    };
    // Of a copy-on-write run nothing reaches the workspace before a person says so, start-up files included.
    let plan = if cow.is_none() { Some(plan_startup(session, context)?) } else { None };
    let uncovered = plan.iter().flat_map(|plan| &plan.notices).filter(|notice| notice.weakens()).count();
    let bounds = session.bounds(&bounds_of);
    let launched = session.launch_with(admitted, task, &variables, inside, Some(inner));
    // The program has its copy.
    drop(variables);
    let mut cage = match launched {
        Ok(cage) => cage,
        Err(error) => {
            // Nothing has run, so there is nothing to keep; a folder that stays is listed and can be discarded.
            cow.map(CowFolder::discard).transpose()?;
            return Err(error.into());
        }
    };
    let achieved = cage.achieved().clone();
    let desk = open_door(session, &mut cage, &principal, task, context);
    let door = session.door(DoorKind::Broker, context.terminal.map(|_| ApprovalChannel::Trusted));
    let service = broker_server::Service {
        session,
        door: &door,
        approver: context.approver,
        principal,
        socket,
        inside: for_siblings,
        post,
        desk: desk.as_ref(),
    };
    let supervision = Supervision {
        cage,
        outside,
        signals: context.signals,
        terminal: context.terminal,
        redact_terminal: context.redact_terminal,
        known: session.known.clone(),
        broker: Some(service),
        desk: desk.as_ref(),
        bounds,
    };
    let ended = supervise(supervision);
    let refusals = desk.as_ref().map(Desk::close).unwrap_or_default();
    let enforcement =
        if achieved.holds(Promise::ProtectStartup) { Enforcement::Mounted } else { Enforcement::Unenforced };
    let settled = plan.map_or_else(Settled::default, |plan| startup::settle(&plan, enforcement, context.quarantine));
    report_settled(session, task, &settled);
    for notice in settled.notices.iter().take(NOTICES_SHOWN_MAX) {
        session.warn(&format!("at the end: {notice}"));
    }
    let cow = cow.map(|folder| end_cow(session, folder));
    Ok(Ran { ended: ended.map_err(RunError::Supervise)?, achieved, settled, uncovered, cow, refusals })
}

/// Finds the start-up files of the workspace and has the cage protect them.
fn plan_startup(session: &mut Session, context: &RunContext<'_>) -> Result<startup::Plan, PlanError> {
    let plan = startup::plan(&session.workspace, context.folder.path())?;
    session.profile.protected.extend(plan.protected.iter().cloned());
    let staged = |file: &StagedFile| Staged { path: file.path.clone(), scratch: file.scratch.clone() };
    session.profile.staged.extend(plan.staged.iter().map(staged));
    // Folders that are generated or too large are in every project; their number is on the record. New start-up files
    // in them are judged at the end like any other.
    for notice in plan.notices.iter().filter(|notice| !matches!(notice, Notice::Unvisited(_))) {
        session.warn(&notice.to_string());
    }
    Ok(plan)
}

/// Puts what a copy-on-write run changed on the record; a run that changed nothing leaves nothing.
fn end_cow(session: &Session, mut folder: CowFolder) -> CowEnd {
    let name = folder.name.clone();
    let changes = folder.changes();
    let entry = Entry { session: Some(session.name.clone()), ..Entry::event("cow.changes").fact("name", name.clone()) };
    let entry = match &changes {
        Ok(changes) => {
            let counts = Counts::of(&changes.list);
            if let Err(error) = folder.end(changes) {
                session.warn(&chain(&error));
            }
            counts.facts(entry).fact("digest", digest(&changes.list).to_string())
        }
        Err(error) => entry.fact("error", chain(error)),
    };
    if let Err(error) = session.pipeline.event(&entry) {
        session.warn(&format!("an event could not be recorded: {error}"));
    }
    if changes.as_ref().is_ok_and(Changes::is_empty)
        && let Err(error) = folder.discard()
    {
        session.warn(&chain(&error));
    }
    CowEnd { name, changes }
}

/// Opens the door of the main cage. What fails leaves it closed: the program runs, and reaches nothing.
fn open_door<'s>(
    session: &'s Session,
    cage: &mut Cage,
    principal: &Principal,
    task: &Task,
    context: &RunContext<'s>,
) -> Option<Desk<'s>> {
    let sockets = cage.take_door()?;
    let desktop = Desktop {
        approver: context.approver,
        asks: context.terminal.map(|_| ApprovalChannel::Trusted),
        is_live: context.is_live,
    };
    let opened = context.network?.open().and_then(|carrier| Desk::new(session, desktop, carrier)).and_then(|desk| {
        desk.adopt(sockets, principal.clone(), task)?;
        Ok(desk)
    });
    if let Err(error) = &opened {
        session.warn(&format!("the door to the network stays closed: {error}"));
    }
    opened.ok()
}

/// The agent that a cage stands for: the caller, and the name of the program that runs in it.
fn agent_of(task: &Task) -> Result<Principal, PrincipalError> {
    let name = task.program.file_name().map_or_else(|| "program".into(), |name| name.to_string_lossy());
    let name: String = name.chars().filter(|c| c.is_alphanumeric() || "-_.+".contains(*c)).take(64).collect();
    task.request.principal.try_child(if name.is_empty() { "program" } else { &name })
}

/// Puts what became of start-up files on the record, and raises a signal for whatever was harmful.
fn report_settled(session: &Session, task: &Task, settled: &Settled) {
    let quarantined: Vec<&Change> = settled.quarantined.iter().map(|one| &one.change).collect();
    let harmful = [
        ("startup.quarantined", quarantined),
        ("startup.restored", settled.restored.iter().collect()),
        ("startup.fault", settled.faults.iter().collect()),
    ];
    for (event, changes) in harmful {
        for change in changes {
            record_change(session, event, change);
            session.pipeline.respond(&Signal {
                kind: SignalKind::StartupFile,
                severity: Risk::High,
                principal: Some(task.request.principal.clone()),
                request: Some(task.request.digest()),
                message: format!("{event}: `{}`: {}", change.path.display(), change.why),
            });
        }
    }
    for change in &settled.applied {
        record_change(session, "startup.applied", change);
    }
}

fn record_change(session: &Session, event: &str, change: &Change) {
    let path = Text::new(change.path.as_os_str().as_bytes()).escaped();
    let entry =
        Entry::event(event).fact("path", path).fact("what", change.what.clone()).fact("why", change.why.clone());
    let entry = Entry { session: Some(session.name.clone()), ..entry };
    if let Err(error) = session.pipeline.event(&entry) {
        session.warn(&format!("an event could not be recorded: {error}"));
    }
}

fn ended_outcome(ended: Ended, achieved: &Achieved, settled: &Settled, elapsed_ms: u128) -> Outcome {
    let mut facts = vec![("elapsed_ms", Value::from(u64::try_from(elapsed_ms).unwrap_or(u64::MAX)))];
    facts.extend(achieved_facts(achieved));
    if !settled.quarantined.is_empty() {
        facts.push(("quarantined", Value::from(settled.quarantined.len())));
    }
    let result = match ended {
        Ended::Exited(status) => {
            facts.push(("status", Value::from(status)));
            "exited"
        }
        Ended::TimedOut => "timed-out",
        Ended::Signalled(signal) => {
            facts.push(("signal", Value::from(signal)));
            "signalled"
        }
    };
    Outcome { result, facts }
}

/// What a cage enforced, for the record.
fn achieved_facts(achieved: &Achieved) -> Vec<(&'static str, Value)> {
    let held: Vec<Value> = achieved.held().map(|promise| Value::from(promise.as_str())).collect();
    let limit = |held: &HeldLimit| format!("{} {} by {}", held.limit, held.bound, held.means.as_str());
    let mut facts = vec![
        ("degree", Value::from(achieved.degree.as_str())),
        ("achieved", Value::from(held)),
        ("namespaces", Value::from(achieved.namespaces.clone())),
        ("landlock_abi", achieved.landlock_abi.map_or(Value::Null, Value::from)),
    ];
    if achieved.runtime != NATIVE {
        facts.push(("runtime", Value::from(achieved.runtime)));
    }
    if let Some(image) = &achieved.image {
        facts.push(("image", Value::from(image.as_str())));
    }
    if !achieved.limits.is_empty() {
        facts.push(("limits", Value::from(achieved.limits.iter().map(limit).collect::<Vec<_>>())));
    }
    facts
}

fn hit_facts(hits: Hits) -> Vec<(&'static str, Value)> {
    let counted = [("memory_kills", hits.memory_kills), ("starts_refused", hits.starts_refused)];
    counted.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| (name, Value::from(count))).collect()
}

/// An error with its causes, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
