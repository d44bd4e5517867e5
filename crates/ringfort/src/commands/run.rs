// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ringfort run`: any program, inside the rings.
//!
//! In: options, and a command after `--`. Out: the program's own streams and status; 126 denied, 125 the guard failed,
//! 127 no such program. A program that a signal ended makes this process end by the same signal.
//!
//! **Invariant:** options are read by hand here, because this is paid for at every command. Inside a cage this is a
//! client of the inherited socket and options that could widen are refused.

mod require;
pub(crate) mod secrets;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use ringfort_core::action::{Action, Command, PathAccess, PathOp};
use ringfort_core::advice::message_for_agent;
use ringfort_core::decision::Decision;
use ringfort_core::door::DoorKind;
use ringfort_core::obligation::ApprovalChannel;
use ringfort_core::principal::Principal;
use ringfort_core::request::{Provenance, Request};
use ringfort_core::ruling::Ruling;
use ringfort_core::text::Text;
use ringfort_policy::config::{Network, RuntimeKind};
use ringfort_runtime::cow::CowContext;
use ringfort_runtime::egress::refusals;
use ringfort_runtime::egress::view::Asks;
use ringfort_runtime::run::{Finished, RunContext, RunEnd, RunError, chain, run};
use ringfort_runtime::secrets::{Handout, Withheld};
use ringfort_runtime::session::{Session, TaskError};
use ringfort_runtime::supervisor::broker::{self, BROKER_VARIABLE, Operation, Reply};
use ringfort_runtime::supervisor::terminal::{TerminalApprover, UserTerminal};
use ringfort_runtime::supervisor::{Ended, Signals};
use ringfort_sandbox::cow::Wish;
use ringfort_sandbox::launch::LaunchError;
use ringfort_sandbox::profile::{DegreeRequest, Tracing};

use self::require::Requirement;
use self::secrets::{Named, Store};
use super::{Common, Failure, changes};
use crate::output::remedy::Opening;
use crate::output::{self, Detail, Widening};
use crate::vault::{Opener, Which};
use crate::wiring::{RunWishes, World, engine, session_name, wire, workspace};

/// The guard failed; nothing has run unless the message says so.
pub(crate) const EXIT_GUARD: u8 = 125;
/// Denied; nothing has run.
const EXIT_DENIED: u8 = 126;
/// Killed because its time was over, as with timeout(1).
const EXIT_TIMED_OUT: u8 = 124;
/// There is no such program.
const EXIT_MISSING: u8 = 127;

/// Most start-up files that are named at the end.
const CHANGES_SHOWN_MAX: usize = 20;

/// Most characters of a denied action that are shown.
const SHOWN_CHARS_MAX: usize = 2000;

/// The rule that speaks about how a path is spelled.
const ODD_PATH_RULE: &str = "path-001";

/// Options that a caller inside a cage has no say in.
const OUTSIDE_ONLY: [&str; 9] =
    ["--workspace", "--state", "--policy", "--set", "--profile", "--require", "--runtime", "--trace", "--secret"];

const USAGE: &str = "usage: ringfort run [OPTIONS] -- COMMAND [WORD…]";

/// Run a program inside the rings (the main job)
///
/// The workspace is the current folder. It is writable; the system and toolchains are read-only; the rest of the home,
/// the network and other processes are not there. Start-up files in the workspace are protected. One argument is text
/// for a shell, several are the words of a command. Output that is not a terminal is redacted.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ringfort run -- npm test
  ringfort run -- bash
  ringfort run --workspace ~/src/app -- make -j4
  ringfort run --cow -- npm install
  ringfort run -- claude
  ringfort run --secret github.token=GITHUB_TOKEN -- gh pr list
  ringfort run -- 'cargo build 2>&1 | tail -5'

Exit status: the program's own; 124 its time was over, 126 denied, 125 the guard failed, 127 no such program.")]
pub(crate) struct RunArgs {
    /// The folder that is writable inside; the current folder unless named
    #[arg(long, value_name = "DIR")]
    pub(crate) workspace: Option<PathBuf>,
    /// The profile of an agent, or `none`; without it the program's name decides (`claude` is `claude-code`)
    #[arg(long, value_name = "PROFILE")]
    pub(crate) profile: Option<String>,
    /// How much isolation: `auto`, `full`, `reduced` (no user namespace) or `minimal` (Landlock and seccomp only)
    #[arg(long, value_name = "DEGREE", default_value = "auto")]
    pub(crate) degree: String,
    /// Keep what changes in the workspace beside it until you apply or discard it: `ringfort changes`. An overlay where
    /// that works, else a copy; `--cow=copy` always copies
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "auto")]
    pub(crate) cow: Option<String>,
    /// In what the program runs: `native`, `bubblewrap`, `docker` or `podman`; as configured unless named
    #[arg(long, value_name = "NAME")]
    pub(crate) runtime: Option<String>,
    /// The door to the network: `auto` (where a host is listed or a person can be asked), `door` or `off`
    #[arg(long, value_name = "NETWORK")]
    pub(crate) network: Option<String>,
    /// What must hold, or nothing runs: a degree (`full`, `reduced`) or promises; separated by commas, or repeated
    #[arg(long, value_name = "WHAT")]
    pub(crate) require: Vec<String>,
    /// Rule on each program that the command starts, before its first instruction (slower)
    #[arg(long)]
    pub(crate) trace: bool,
    /// Give it a stored secret in a variable: `ringfort secrets`; without a name the id makes one. Typing it is the grant
    #[arg(long, value_name = "ID[=VARIABLE]")]
    pub(crate) secret: Vec<OsString>,
    /// Redact output on a terminal as well
    #[arg(long)]
    pub(crate) redact: bool,
    /// Say at the end what the cage enforced
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// The command
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

impl RunArgs {
    /// The words that [`main`] reads, for a caller that has parsed them already.
    pub(crate) fn to_words(&self, common: &Common) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        let mut option = |name: &str, value: &OsStr| {
            words.push(name.into());
            words.push(value.to_owned());
        };
        if let Some(state) = &common.state {
            option("--state", state.as_os_str());
        }
        if let Some(policy) = &common.policy {
            option("--policy", policy.as_os_str());
        }
        common.settings.iter().for_each(|setting| option("--set", OsStr::new(setting)));
        if let Some(workspace) = &self.workspace {
            option("--workspace", workspace.as_os_str());
        }
        if let Some(runtime) = &self.runtime {
            option("--runtime", OsStr::new(runtime));
        }
        if let Some(profile) = &self.profile {
            option("--profile", OsStr::new(profile));
        }
        option("--degree", OsStr::new(&self.degree));
        if let Some(network) = &self.network {
            option("--network", OsStr::new(network));
        }
        self.require.iter().for_each(|what| option("--require", OsStr::new(what)));
        self.secret.iter().for_each(|secret| option("--secret", secret));
        if let Some(cow) = &self.cow {
            words.push(format!("--cow={cow}").into());
        }
        let trace = ("--trace", self.trace);
        for (flag, is_set) in [trace, ("--redact", self.redact), ("--verbose", self.verbose), ("--json", common.json)] {
            if is_set {
                words.push(flag.into());
            }
        }
        words.push("--".into());
        words.extend(self.command.iter().cloned());
        words
    }
}

#[derive(Default)]
struct Wishes {
    common: Common,
    workspace: Option<PathBuf>,
    profile: Option<String>,
    runtime: Option<RuntimeKind>,
    network: Option<Network>,
    degree: Option<DegreeRequest>,
    require: Requirement,
    cow: Option<Wish>,
    trace: bool,
    secrets: Vec<Named>,
    redact: bool,
    verbose: bool,
    command: Vec<OsString>,
    /// Options that would widen: refused inside a cage.
    widening: Vec<String>,
}

/// Runs the command; `words` is the command line after `run`.
pub(crate) fn main(words: Vec<OsString>) -> ExitCode {
    if matches!(words.first().and_then(|word| word.to_str()), Some("--help" | "-h")) {
        // Help is the framework's business; it is not on the hot path.
        return super::help("run");
    }
    let result = parse(words).map_err(guard).and_then(|wishes| {
        let world = World::read().map_err(|error| guard(Failure::guard(error)))?;
        // A caged caller that has closed the socket is still caged: nothing starts then.
        if world.variable(BROKER_VARIABLE).is_some() { nested(&world, wishes) } else { outermost(&world, wishes) }
    });
    match result {
        Ok(end) => leave(end),
        Err(failure) => {
            output::error(&failure.error, failure.help.as_deref());
            ExitCode::from(failure.status)
        }
    }
}

/// A failure of the guard has its own status here; bad usage keeps its own.
fn guard(failure: Failure) -> Failure {
    Failure { status: guard_status(failure.status), ..failure }
}

fn guard_status(status: u8) -> u8 {
    if status == super::EXIT_USAGE { status } else { EXIT_GUARD }
}

fn parse(words: Vec<OsString>) -> Result<Wishes, Failure> {
    let mut wishes = Wishes::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let text = word.to_str().unwrap_or_default().to_owned();
        let (name, mut attached) = match text.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(OsString::from(value))),
            _ => (text, None),
        };
        if name == "--" {
            wishes.command = words.collect();
            break;
        }
        if !name.starts_with('-') {
            // The first word that is no option starts the command, as with env(1) and sudo(8).
            wishes.command = std::iter::once(word).chain(words).collect();
            break;
        }
        let is_flag = matches!(name.as_str(), "--trace" | "--redact" | "--verbose" | "-v" | "--json");
        if is_flag && attached.is_some() {
            return Err(bad_option(&word));
        }
        if name == "--cow" {
            wishes.cow = Some(cow_wish(attached.as_deref())?);
            continue;
        }
        let mut value = || {
            attached
                .take()
                .or_else(|| words.next())
                .ok_or_else(|| Failure::usage(anyhow::anyhow!("`{name}` needs a value")).help(USAGE))
        };
        match name.as_str() {
            "--workspace" => wishes.workspace = Some(PathBuf::from(value()?)),
            "--state" => wishes.common.state = Some(PathBuf::from(value()?)),
            "--policy" => wishes.common.policy = Some(PathBuf::from(value()?)),
            "--set" => wishes.common.settings.push(value()?.to_string_lossy().into_owned()),
            "--profile" => wishes.profile = Some(value()?.to_string_lossy().into_owned()),
            "--runtime" => wishes.runtime = Some(engine::kind(&value()?.to_string_lossy())?),
            "--network" => wishes.network = Some(network(&value()?)?),
            "--degree" => wishes.degree = Some(degree(&value()?)?),
            "--require" => wishes.require.add(&value()?)?,
            "--secret" => wishes.secrets.push(Named::parse(&value()?)?),
            "--trace" => wishes.trace = true,
            "--redact" => wishes.redact = true,
            "--verbose" | "-v" => wishes.verbose = true,
            "--json" => wishes.common.json = true,
            _ => return Err(bad_option(&word)),
        }
        let degree_asked = name == "--degree" && wishes.degree != Some(DegreeRequest::Auto);
        // `off` too: the sibling that the supervisor starts would have a door all the same.
        if OUTSIDE_ONLY.contains(&name.as_str()) || degree_asked || name == "--network" {
            wishes.widening.push(name);
        }
    }
    if wishes.command.is_empty() {
        return Err(Failure::usage(anyhow::anyhow!("there is no command to run")).help(USAGE));
    }
    Ok(wishes)
}

fn bad_option(word: &OsString) -> Failure {
    let error = anyhow::anyhow!("unknown option `{}`", super::shown(word));
    Failure::usage(error).help("`ringfort run --help` lists the options; the command comes after `--`")
}

fn cow_wish(how: Option<&OsStr>) -> Result<Wish, Failure> {
    match how.map(OsStr::to_str) {
        None | Some(Some("auto")) => Ok(Wish::Auto),
        Some(Some("copy")) => Ok(Wish::Copy),
        Some(_) => Err(Failure::usage(anyhow::anyhow!("`--cow` stands alone, or is `--cow=auto` or `--cow=copy`"))),
    }
}

fn degree(value: &OsStr) -> Result<DegreeRequest, Failure> {
    value
        .to_str()
        .and_then(DegreeRequest::parse)
        .ok_or_else(|| Failure::usage(anyhow::anyhow!("`--degree` is `auto`, `full`, `reduced` or `minimal`")))
}

fn network(value: &OsStr) -> Result<Network, Failure> {
    match value.to_str() {
        Some("auto") => Ok(Network::Auto),
        Some("door") => Ok(Network::Door),
        Some("off") => Ok(Network::Off),
        _ => Err(Failure::usage(anyhow::anyhow!("`--network` is `auto`, `door` or `off`"))),
    }
}

/// How this process is to end.
enum End {
    Status(u8),
    Signal(i32),
}

fn ended(ended: Ended) -> End {
    match ended {
        Ended::Exited(status) => End::Status(u8::try_from(status).unwrap_or(u8::MAX)),
        Ended::Signalled(signal) => End::Signal(signal),
        Ended::TimedOut => End::Status(EXIT_TIMED_OUT),
    }
}

/// Ends this process as the program ended.
fn leave(end: End) -> ExitCode {
    match end {
        End::Status(status) => ExitCode::from(status),
        End::Signal(signal) => {
            ringfort_runtime::supervisor::end_by_signal(signal);
            // Only a signal that cannot end a process comes back here.
            ExitCode::from(u8::try_from(signal).map_or(u8::MAX, |signal| 128_u8.saturating_add(signal)))
        }
    }
}

fn outermost(world: &World, wishes: Wishes) -> Result<End, Failure> {
    // Signals and the terminal first: a provider may start a thread.
    let signals = Signals::take().map_err(|error| guard(Failure::guard(error)))?;
    let terminal = UserTerminal::open();
    let places = world.places(&wishes.common);
    let folder = wishes.workspace.as_ref().map_or_else(|| world.cwd.clone(), |folder| world.cwd.join(folder));
    let workspace = workspace(world, &places, &folder)?;
    let degree = wishes.degree.unwrap_or(DegreeRequest::Auto);
    let cwd = if world.cwd.starts_with(&workspace) { world.cwd.clone() } else { workspace.clone() };
    // One word is text for a shell, which begins with the program most of the time.
    let first = wishes.command.first().map(|word| word.to_string_lossy()).unwrap_or_default();
    let program = first.split_whitespace().next().unwrap_or_default().to_owned();
    let asked = RunWishes {
        common: &wishes.common,
        workspace,
        degree,
        runtime: wishes.runtime,
        session: session_name()?,
        profile: wishes.profile.clone(),
        program,
        network: wishes.network,
        asks: if terminal.is_some() { Asks::Person } else { Asks::Nobody },
        clients: Some(&wishes.command),
    };
    let mut wired =
        wire(world, asked).map_err(|failure| Failure { status: guard_status(failure.status), ..failure })?;
    for notice in &wired.notices {
        wired.session.warn(notice);
    }
    wishes.require.tighten(&mut wired.session.profile);
    if wishes.trace {
        wired.session.profile.tracing = Tracing::Programs;
    }

    let words: Vec<Text> = wishes.command.iter().map(|word| Text::new(word.as_bytes())).collect();
    let principal = world.principal().map_err(|error| guard(Failure::guard(error)))?;
    judge_workspace(&wired.session, &principal)?;
    // A secret that an agent asks for is a question; nothing else depends on who typed the command.
    let by_agent = !wishes.secrets.is_empty() && world.is_for_agent();
    let provenance = if by_agent { Provenance::Agent } else { Provenance::User };
    let task = match wired.session.task(&principal, provenance, words, &cwd, wired.environment.clone()) {
        Ok(task) => task,
        Err(error @ TaskError::NotFound(_)) => {
            return Err(Failure { status: EXIT_MISSING, ..Failure::usage(error) }
                .help("one argument with spaces is text for a shell; several arguments are the words of a command"));
        }
        Err(error) => return Err(Failure::usage(error)),
    };
    let folder = wired.state.new_run(&wired.session.name).map_err(|error| guard(Failure::guard(error)))?;
    let approver = TerminalApprover::new(terminal.as_ref(), &signals);
    let quarantine = wired.state.quarantine().join(&wired.session.name);
    let door = crate::network::Network {
        chain: Arc::clone(wired.session.pipeline.chain()),
        workspace: wired.session.workspace.clone(),
        clock: Arc::clone(&wired.session.clock),
    };
    let secrets = secrets::wishes(&wishes.secrets)?;
    let store = (!secrets.is_empty()).then(|| {
        let (state, config) = (wired.state.root(), &wired.loaded.config.secrets);
        Store::new(Opener {
            which: Which::Secrets,
            world,
            state,
            config,
            clock: Arc::clone(&wired.session.clock),
            signals: Some(&signals),
            trail: None,
        })
    });
    let context = RunContext {
        folder: &folder,
        quarantine: &quarantine,
        signals: &signals,
        terminal: terminal.as_ref(),
        approver: &approver,
        redact_terminal: wishes.redact || wired.loaded.config.redact.terminal,
        network: Some(&door),
        cow: wishes.cow.map(|wish| CowContext { state: &wired.state, wish, progress: &changes::copying }),
        is_live: wishes.verbose && !world.is_for_agent(),
        secrets: store.as_ref().map(|keeper| Handout { keeper, wishes: &secrets }),
    };
    match run(&mut wired.session, &task, &context) {
        RunEnd::Ended(finished) => {
            report(&wired.session, &finished, &wishes, &wired.session.name);
            if let Some(cow) = &finished.cow {
                changes::summary(&wired.session, cow, wishes.common.state.as_deref());
            }
            let reader = if world.is_for_agent() { refusals::Reader::Agent } else { refusals::Reader::Person };
            finished.refusals.lines(reader).iter().for_each(|line| wired.session.warn(line));
            Ok(ended(finished.ended))
        }
        RunEnd::Denied(denied) => {
            if let Some(why) = &denied.unrecorded {
                wired.session.warn(why);
            }
            let agent = world.is_for_agent();
            let ruling = if agent { broker::for_agents(denied.ruling) } else { denied.ruling };
            let door = wired.session.door(DoorKind::Run, terminal.as_ref().map(|_| ApprovalChannel::Trusted));
            let opening = if agent {
                None
            } else {
                Opening::find(world, &wishes.common, wired.loaded, &task.request, &door, &ruling)
            };
            let reader = opening.as_ref().map_or(Reader::Person, Reader::Opened);
            show_denial(&ruling, &task.request.action, &reader, wishes.common.json);
            Ok(End::Status(EXIT_DENIED))
        }
        RunEnd::Withheld(withheld) => show_withheld(withheld, store.as_ref(), world, &wishes),
        RunEnd::Failed(RunError::Launch(LaunchError::Execute { program, source }))
            if source.kind() == io::ErrorKind::NotFound =>
        {
            let error = anyhow::anyhow!("there is no program `{}` inside", program.display());
            Err(Failure { status: EXIT_MISSING, ..Failure::usage(error) })
        }
        RunEnd::Failed(error) => {
            let failure = Failure::guard(anyhow::anyhow!("{}", chain(&error)));
            let help = match &error {
                RunError::Launch(launch) if launch.help().is_some() => launch.help().unwrap_or_default(),
                RunError::Supervise(_) => "everything inside was ended; what it did in the workspace before remains",
                _ => "nothing has run; `ringfort doctor` shows what this host can enforce",
            };
            Err(guard(failure).help(help))
        }
    }
}

/// Says why a secret was not given.
fn show_withheld(
    withheld: Withheld,
    store: Option<&Store<'_>>,
    world: &World,
    wishes: &Wishes,
) -> Result<End, Failure> {
    match withheld {
        Withheld::Denied { denied, action } => {
            let (ruling, reader) = match world.is_for_agent() {
                true => (broker::for_agents(denied.ruling), Reader::Agent),
                false => (denied.ruling, Reader::Person),
            };
            show_denial(&ruling, &action, &reader, wishes.common.json);
            Ok(End::Status(EXIT_DENIED))
        }
        Withheld::Failed { id, why } => {
            let failure = store.and_then(Store::take_failure);
            let failure = failure.unwrap_or_else(|| Failure::guard(anyhow::anyhow!("{why}")));
            let error = failure.error.context(format!("the run is not given the secret `{id}`, so it does not start"));
            Err(guard(Failure { error, ..failure }))
        }
    }
}

/// Refuses a workspace that the policy closes (keys, credentials, what it hides): inside, a workspace is open as a whole,
/// whatever a command names.
fn judge_workspace(session: &Session, principal: &Principal) -> Result<(), Failure> {
    let judged = |folder: &Path| {
        let request = Request {
            principal: principal.clone(),
            action: Action::Path(PathAccess { path: Text::new(folder.as_os_str().as_bytes()), op: PathOp::Read }),
            session: session.name.clone(),
            cwd: folder.to_owned(),
            workspace: folder.to_owned(),
            home: Some(session.home.clone()),
            provenance: Provenance::User,
            bindings: Vec::new(),
        };
        session.pipeline.check(&request, &session.door(DoorKind::Run, None))
    };
    // A name that only looks strange closes nothing: the path is canonical. What is above it is judged then.
    let is_odd = |ruling: &Ruling| ruling.deciding().all(|reason| reason.rule == ODD_PATH_RULE);
    let rulings = session.workspace.ancestors().map(judged);
    let Some(ruling) = rulings.into_iter().find(|ruling| !is_odd(ruling)) else { return Ok(()) };
    if ruling.decision != Decision::Deny {
        return Ok(());
    }
    let why = ruling.deciding().next().map_or("the policy closes it", |reason| reason.message.as_str());
    let error = anyhow::anyhow!("cannot use `{}` as workspace: {why}", session.workspace.display());
    Err(Failure::usage(error).help("change into a project folder, or name one with --workspace DIR"))
}

/// What a person should know at the end.
fn report(session: &Session, finished: &Finished, wishes: &Wishes, name: &str) {
    for warning in &finished.achieved.warnings {
        session.warn(warning);
    }
    let settled = &finished.settled;
    let quarantined = settled.quarantined.iter().map(|one| (&one.change, "was quarantined"));
    let restored = settled.restored.iter().map(|change| (change, "was put back as it was"));
    let faults = settled.faults.iter().map(|change| (change, "NEEDS ATTENTION"));
    for (change, what) in quarantined.chain(restored).chain(faults).take(CHANGES_SHOWN_MAX) {
        let path = ringfort_core::text::escape_bytes(change.path.as_os_str().as_bytes());
        session.warn(&format!("start-up file `{path}` ({}) {what}: {}", change.what, change.why));
    }
    if !settled.is_clean() {
        session.warn(&format!("what was taken out is kept in the folder `quarantine/{name}` of the state folder"));
    }
    if finished.ended == Ended::TimedOut {
        session.warn("the run was ended: its time was over (`wall_secs` under `[sandbox.limits]`)");
    }
    report_limits(session, finished);
    if let Some(why) = &finished.unrecorded {
        session.warn(&format!("the outcome could not be recorded: {why}"));
    }
    if wishes.verbose {
        let held: Vec<&str> = finished.achieved.held().map(|promise| promise.as_str()).collect();
        session.warn(&format!("the cage kept: {} (degree `{}`)", held.join(", "), finished.achieved.degree.as_str()));
        for held in &finished.achieved.limits {
            session.warn(&format!("limit `{}`: {} by {}", held.limit, held.bound, held.means.as_str()));
        }
        if finished.uncovered > 0 {
            session.warn(&format!("start-up files were not looked for in {} places", finished.uncovered));
        }
    }
}

/// Says which limits were hit, as a program that is ended by one cannot.
fn report_limits(session: &Session, finished: &Finished) {
    let hits = finished.hits;
    if hits.memory_kills > 0 {
        // The kernel counts a victim more than once where it ends the whole group: no number.
        session.warn("the memory was used up and processes were ended (`memory_mb` under `[sandbox.limits]`)");
    }
    if hits.starts_refused > 0 {
        let refused = hits.starts_refused;
        session.warn(&format!("starting a process was refused {refused} times (`processes` under `[sandbox.limits]`)"));
    }
}

/// Who reads a denial.
enum Reader<'a> {
    /// A person, and the reasons say what would change it.
    Person,
    /// A person who is shown what would allow it.
    Opened(&'a Opening),
    /// A program inside a cage.
    Agent,
}

/// Shows a denial; the status is the same where nobody is left to read it.
fn show_denial(ruling: &Ruling, action: &Action, reader: &Reader<'_>, json: bool) {
    drop(write_denial(ruling, action, reader, json));
}

fn write_denial(ruling: &Ruling, action: &Action, reader: &Reader<'_>, json: bool) -> io::Result<()> {
    let mut err = anstream::stderr().lock();
    if json {
        let mut value = output::ruling_json(ruling);
        if let (Reader::Opened(opening), Some(members)) = (reader, value.as_object_mut()) {
            members.insert("remedy".to_owned(), opening.to_json());
        }
        return output::json_line(&mut err, &value);
    }
    let shown: String = action.to_display().chars().take(SHOWN_CHARS_MAX).collect();
    writeln!(err, "ringfort: denied: {shown}")?;
    let input = output::input(action);
    match reader {
        Reader::Agent => writeln!(err, "{}", message_for_agent(ruling, None)),
        Reader::Person => output::ruling(&mut err, ruling, input.as_deref(), Detail::Brief, Widening::Shown),
        Reader::Opened(opening) => {
            output::ruling(&mut err, ruling, input.as_deref(), Detail::Brief, Widening::Hidden)?;
            opening.print(&mut err)
        }
    }
}

/// A run inside a cage: the supervisor outside decides, records and launches a sibling cage.
fn nested(world: &World, wishes: Wishes) -> Result<End, Failure> {
    if wishes.cow.is_some() {
        let error = anyhow::anyhow!("`--cow` is not available inside a cage: it would share the workspace of the run");
        return Err(Failure { status: EXIT_DENIED, ..Failure::usage(error) });
    }
    if let Some(option) = wishes.widening.first() {
        let error = anyhow::anyhow!("`{option}` is not available inside a cage: the supervisor outside decides");
        return Err(Failure { status: EXIT_DENIED, ..Failure::usage(error) });
    }
    let Some(socket) = world.broker() else {
        return Err(guard(Failure::guard(anyhow::anyhow!("the supervisor's socket is gone"))));
    };
    let reply = broker::ask(socket.as_fd(), Operation::Run, &wishes.command, &world.cwd, &world.environment);
    match reply.map_err(|error| guard(Failure::guard(error)))? {
        Reply::Exited(status) => Ok(ended(Ended::Exited(status))),
        Reply::Signalled(signal) => Ok(ended(Ended::Signalled(signal))),
        Reply::Denied(ruling) | Reply::Ruled(ruling) => {
            let words = wishes.command.iter().map(|word| Text::new(word.as_bytes())).collect();
            show_denial(&ruling, &Action::Command(Command::from_words(words)), &Reader::Agent, wishes.common.json);
            Ok(End::Status(EXIT_DENIED))
        }
        Reply::Failed(why) => Err(guard(Failure::guard(anyhow::anyhow!(why)))),
        Reply::Said(_) => {
            let error = anyhow::anyhow!("the supervisor gave an answer to another question");
            Err(guard(Failure::guard(error)))
        }
    }
}
