// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ringfort doctor`: what this host enforces, proven by attempting the opposite.
//!
//! In: the installation as it is. Out: one line for each check; exit status 0 nothing fails, 1 something does, 3 the
//! doctor itself failed.
//!
//! **Invariant:** the confined child is a real one: it is admitted by the pipeline, recorded, and started by the same
//! session code as `run`. Everything it needs is made in a temporary folder and removed again.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use ringfort_audit::verify::verify;
use ringfort_core::action::{Action, Command};
use ringfort_core::door::DoorKind;
use ringfort_core::request::{Provenance, Request};
use ringfort_core::text::Text;
use ringfort_ops::attempts::{self, Attempt};
use ringfort_ops::checks::Refused;
use ringfort_ops::{CHECKS, Evidence, Report, Status, Subject};
use ringfort_policy::config::{Network, RuntimeKind};
use ringfort_runtime::approve::NoApprover;
use ringfort_runtime::egress::view::Asks;
use ringfort_runtime::pipeline::Outcome;
use ringfort_runtime::providers::{PROVIDERS, select_for};
use ringfort_runtime::run::chain;
use ringfort_runtime::supervisor::stdio::Inside;
use ringfort_sandbox::launch::Exit;
use ringfort_sandbox::probe::probe;
use ringfort_sandbox::profile::DegreeRequest;
use rustix::pipe::{PipeFlags, pipe_with};

use super::setup::survey::survey;
use super::{Common, EXIT_DENIED, EXIT_OK, Failure};
use crate::output;
use crate::wiring::{RunWishes, Wired, World, session_name, wire};

/// Most that a confined child may say. Bytes.
const SAID_BYTES_MAX: u64 = 256 << 10;

/// Show what this host enforces, proven by a confined child
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ringfort doctor
  ringfort doctor --json

Exit status: 0 nothing fails, 1 something does, 3 the doctor itself failed.")]
pub(crate) struct DoctorArgs {
    /// The file in which the confined child is told of the world outside
    #[arg(long, hide = true, value_name = "FILE")]
    inside: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
///
/// The doctor itself failed.
pub(crate) fn run(args: &DoctorArgs, common: &Common) -> Result<u8, Failure> {
    if let Some(told) = &args.inside {
        return inside(told);
    }
    let world = World::read().map_err(Failure::guard)?;
    if world.broker().is_some() {
        return Err(Failure::usage(anyhow::anyhow!("inside a cage there is nothing to look at: run it outside")));
    }
    let reports = look(&world, common)?;
    let mut out = anstream::stdout().lock();
    for report in &reports {
        if common.json {
            output::json_line(&mut out, &serde_json::to_value(report).map_err(Failure::guard)?)?;
        } else {
            show(&mut out, report)?;
        }
    }
    let worst = reports.iter().map(|report| report.status).max();
    if !common.json {
        let count = |status| reports.iter().filter(|report| report.status == status).count();
        let (pass, warn, fail) = (count(Status::Pass), count(Status::Warn), count(Status::Fail));
        writeln!(out, "{pass} hold, {warn} with a reservation, {fail} fail")?;
    }
    Ok(if worst.is_none_or(|worst| worst == Status::Fail) { EXIT_DENIED } else { EXIT_OK })
}

fn show(out: &mut dyn io::Write, report: &Report) -> io::Result<()> {
    let (colour, word) = match report.status {
        Status::Info => ("36", "info"),
        Status::Pass => ("32", "pass"),
        Status::Warn => ("33;1", "warn"),
        Status::Fail => ("31;1", "FAIL"),
    };
    writeln!(out, "\u{1b}[{colour}m{word}\u{1b}[0m  {:<9} {}", report.check, report.message)?;
    match &report.help {
        Some(help) => writeln!(out, "                {help}"),
        None => Ok(()),
    }
}

/// The confined child: tries everything and says how it came out.
fn inside(told: &Path) -> Result<u8, Failure> {
    let mut text = Vec::new();
    fs::File::open(told)?.take(SAID_BYTES_MAX).read_to_end(&mut text)?;
    let world: attempts::World = serde_json::from_slice(&text).map_err(Failure::usage)?;
    let said = serde_json::to_string(&attempts::run(&world)).map_err(Failure::guard)?;
    writeln!(io::stdout(), "{said}")?;
    Ok(EXIT_OK)
}

fn look(world: &World, common: &Common) -> Result<Vec<Report>, Failure> {
    let places = world.places(common);
    let loaded = world.load(common, None);
    let policy = match &loaded {
        Ok(loaded) => Ok(loaded.notices.iter().map(ToString::to_string).collect()),
        Err(failure) => Err(failure.error.to_string()),
    };
    let provider = match &loaded {
        Ok(loaded) => {
            let name = loaded.config.policy.provider.clone();
            let chain = loaded.chain.clone().into();
            let agents = loaded.config.agents.keys().map(|agent| Some(agent.as_str()));
            let selected = agents.chain([None]).try_for_each(|agent| {
                select_for(PROVIDERS, &loaded.config, agent, &chain).map(drop).map_err(|error| match agent {
                    Some(agent) => format!("agent `{agent}` cannot start: {error}"),
                    None => error.to_string(),
                })
            });
            selected.map(|()| name)
        }
        Err(_) => Err("no configuration, so no provider".to_owned()),
    };
    let ground = Ground::make().map_err(Failure::guard)?;
    let wished = RunWishes {
        profile: Some("none".to_owned()),
        common,
        workspace: ground.workspace.clone(),
        degree: DegreeRequest::Auto,
        runtime: Some(RuntimeKind::Native),
        session: session_name()?,
        program: String::new(),
        network: Some(Network::Off),
        asks: Asks::Nobody,
    };
    let (refused, cage) = match wire(world, wished) {
        Ok(mut wired) => {
            let refused = refuse(world, &wired, &places.state).map_err(|error| format!("{error:#}"));
            let cage = confine(world, &mut wired, &ground, &places.state).map_err(|error| format!("{error:#}"));
            (refused, cage)
        }
        Err(failure) => (Err(failure.error.to_string()), Err(failure.error.to_string())),
    };
    let agents = survey(world, common).map_err(|failure| failure.error.to_string());
    let subject = Subject { host: probe(), state: &places.state, policy, provider, refused, cage, agents };
    Ok(CHECKS.iter().flat_map(|check| (check.look)(&subject)).collect())
}

/// A workspace and things outside it, made for the purpose.
struct Ground {
    root: PathBuf,
    workspace: PathBuf,
    startup: PathBuf,
    file: PathBuf,
    outside: PathBuf,
}

impl Ground {
    fn make() -> anyhow::Result<Self> {
        let name = session_name().map_err(|failure| failure.error)?;
        let root = std::env::temp_dir().canonicalize()?.join(format!("ringfort-doctor-{name}"));
        let ground = Self {
            workspace: root.join("workspace"),
            startup: root.join("workspace/.git/hooks/pre-commit"),
            file: root.join("outside/file"),
            outside: root.join("outside"),
            root,
        };
        let hooks = ground.startup.parent().context("a start-up file has a folder")?;
        fs::create_dir_all(hooks)?;
        fs::create_dir_all(&ground.outside)?;
        fs::write(&ground.startup, "#!/bin/sh\n")?;
        fs::write(ground.workspace.join(".git/HEAD"), "ref: refs/heads/main\n")?;
        fs::write(&ground.file, "outside\n")?;
        Ok(ground)
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // What cannot be removed is an empty folder below the temporary one.
        drop(fs::remove_dir_all(&self.root));
    }
}

/// Puts a forbidden request through the pipeline, and looks whether the denial is on the record.
fn refuse(world: &World, wired: &Wired, state: &Path) -> anyhow::Result<Refused> {
    let before = verify(&state.join("trail"))?.entries;
    let request = Request {
        principal: world.principal()?,
        action: Action::Command(Command::Shell(Text::from("rm -rf / --no-preserve-root"))),
        session: wired.session.name.clone(),
        cwd: wired.session.workspace.clone(),
        workspace: wired.session.workspace.clone(),
        home: Some(world.home.clone()),
        provenance: Provenance::Agent,
        bindings: Vec::new(),
    };
    let door = wired.session.door(DoorKind::Run, None);
    // Nothing would run even if it were admitted: the permit is dropped here, which lets nothing happen.
    let ruling = match wired.session.pipeline.admit(&request, &door, &NoApprover) {
        Ok(admitted) => admitted.ruling,
        Err(denied) => denied.ruling,
    };
    let after = verify(&state.join("trail"))?.entries;
    Ok(Refused { ruling, recorded: after > before })
}

/// Starts a confined child that tries what must fail.
fn confine(world: &World, wired: &mut Wired, ground: &Ground, state: &Path) -> anyhow::Result<Evidence> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("cannot listen on loopback")?;
    let told = attempts::World {
        file: ground.file.clone(),
        folder: ground.outside.clone(),
        state: state.to_owned(),
        startup: ground.startup.clone(),
        port: listener.local_addr()?.port(),
        process: rustix::process::Pid::as_raw(Some(rustix::process::getpid())),
    };
    wired.session.profile.protected.push(ground.startup.clone());
    // Under its own name this program is judged as a tool of whom it governs, and this use of it is denied: what is
    // confined here is a program like any other, so it is one.
    let binary = ground.workspace.join("attempts");
    fs::copy(std::env::current_exe()?.canonicalize()?, &binary).context("cannot copy this program")?;
    let told_file = ground.workspace.join("told.json");
    fs::write(&told_file, serde_json::to_vec(&told)?)?;
    let words = [binary.as_os_str(), "doctor".as_ref(), "--inside".as_ref(), told_file.as_os_str()]
        .map(|word: &std::ffi::OsStr| Text::new(word.as_encoded_bytes()));
    let environment: Vec<(OsString, OsString)> = wired.environment.clone();
    let mut task =
        wired.session.task(&world.principal()?, Provenance::User, words.into(), &ground.workspace, environment)?;
    task.program = wired.session.visible_program(&binary);
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    let null = || fs::File::open("/dev/null").map(std::os::fd::OwnedFd::from);
    let inside = Inside { stdin: null()?, stdout: write, stderr: null()?, terminal: None };
    let door = wired.session.door(DoorKind::Run, None);
    // From here on there is an outcome on every path.
    let admitted = wired
        .session
        .pipeline
        .admit(&task.request, &door, &NoApprover)
        .map_err(|denied| anyhow::anyhow!("denied: {}", reasons(&denied.ruling)))?;

    let launched = wired.session.launch(admitted, &task, inside, None);
    let mut cage = match launched {
        Ok(cage) => cage,
        Err(error) => {
            let outcome = Outcome { result: "failed", facts: vec![("error", chain(&error).into())] };
            wired.session.pipeline.finish(&task.request, &door, outcome)?;
            anyhow::bail!("{}", chain(&error));
        }
    };
    let mut said = Vec::new();
    let read = fs::File::from(read).take(SAID_BYTES_MAX).read_to_end(&mut said);
    let exit = cage.wait();
    let outcome = Outcome { result: "exited", facts: vec![("doctor", format!("{exit:?}").into())] };
    wired.session.pipeline.finish(&task.request, &door, outcome)?;
    read.context("cannot read what the confined child says")?;
    anyhow::ensure!(exit == Exit::Exited(0), "the confined child ended with {exit:?}");
    let attempts: Vec<Attempt> =
        serde_json::from_slice(&said).context("the confined child said something unexpected")?;
    Ok(Evidence { achieved: cage.achieved().clone(), attempts })
}

fn reasons(ruling: &ringfort_core::ruling::Ruling) -> String {
    ruling.deciding().map(|reason| reason.message.as_str()).collect::<Vec<_>>().join("; ")
}
