// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ringfort doctor`: what this host enforces, proven by attempting the opposite.
//!
//! In: the installation as it is. Out: one line for each check; exit status 0 nothing fails, 1 something does, 3 the
//! doctor itself failed.
//!
//! **Invariant:** the confined child is a real one: it is admitted by the pipeline, recorded, and started by the same
//! session code as `run`. Everything it needs is made in a temporary folder and removed again.

mod confined;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use ringfort_audit::verify::verify;
use ringfort_core::action::{Action, Command};
use ringfort_core::degree::Degree;
use ringfort_core::door::DoorKind;
use ringfort_core::obligation::Promise;
use ringfort_core::request::{Provenance, Request};
use ringfort_core::text::Text;
use ringfort_ops::attempts::Part;
use ringfort_ops::checks::Refused;
use ringfort_ops::{CHECKS, Report, Status, Subject};
use ringfort_policy::config::{Network, RuntimeKind};
use ringfort_runtime::approve::NoApprover;
use ringfort_runtime::clock::SystemClock;
use ringfort_runtime::egress::view::Asks;
use ringfort_runtime::providers::{PROVIDERS, select_for};
use ringfort_sandbox::probe::probe;
use ringfort_sandbox::profile::DegreeRequest;

use self::confined::Ground;
use super::setup::survey::survey;
use super::{Common, EXIT_DENIED, EXIT_OK, Failure};
use crate::output;
use crate::vault::{Opener, Which};
use crate::wiring::{RunWishes, Wired, World, session_name, wire};

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
    /// What the confined child is to do
    #[arg(long, hide = true, value_name = "PART", default_value = "attempts")]
    part: String,
}

/// Runs the command.
///
/// # Errors
///
/// The doctor itself failed.
pub(crate) fn run(args: &DoctorArgs, common: &Common) -> Result<u8, Failure> {
    if let Some(told) = &args.inside {
        return confined::inside(told, &args.part);
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
    let secrets = loaded.as_ref().map(|loaded| loaded.config.secret_texts()).unwrap_or_default();
    let secrets = secrets.into_iter().filter(|(_, text)| !text.is_empty());
    let secrets = secrets.map(|(key, text)| (key.to_owned(), text.form())).collect();
    let ground = Ground::make(&places.state).map_err(Failure::guard)?;
    let lowered = lowered(common);
    let mut refused = Err("no session could be made".to_owned());
    let mut cages = Vec::new();
    for request in [DegreeRequest::Auto, DegreeRequest::Reduced, DegreeRequest::Minimal] {
        let cage = match session(world, &lowered, &ground, request) {
            Ok(mut wired) => {
                if request == DegreeRequest::Auto {
                    refused = refuse(world, &wired, &places.state).map_err(|error| format!("{error:#}"));
                }
                confined::evidence(world, &mut wired, &ground).map_err(|error| format!("{error:#}"))
            }
            Err(failure) => {
                if request == DegreeRequest::Auto {
                    refused = Err(failure.error.to_string());
                }
                Err(failure.error.to_string())
            }
        };
        cages.push((request.degree(), cage));
    }
    let limits =
        [Part::Processes, Part::Memory].map(|part| match session(world, &lowered, &ground, DegreeRequest::Auto) {
            Ok(mut wired) => confined::limit(world, &mut wired, &ground, part),
            Err(failure) => Err(failure.error.to_string()),
        });
    let agents = survey(world, common).map_err(|failure| failure.error.to_string());
    let store = match &loaded {
        Ok(loaded) => Opener {
            which: Which::Secrets,
            world,
            state: &places.state,
            config: &loaded.config.secrets,
            clock: Arc::new(SystemClock::new()),
            signals: None,
            trail: None,
        }
        .seen(),
        Err(_) => Err("the configuration cannot be loaded".to_owned()),
    };
    let subject = Subject {
        host: probe(),
        state: &places.state,
        policy,
        secrets,
        store,
        provider,
        refused,
        cages,
        limits: limits.into(),
        agents,
    };
    Ok(CHECKS.iter().flat_map(|check| (check.look)(&subject)).collect())
}

/// The settings with which every degree is tried: what does not hold is told, and stops nothing.
fn lowered(common: &Common) -> Common {
    let mut common = common.clone();
    common.settings.push(format!("sandbox.require=[\"{}\"]", Promise::ConfineWrites.as_str()));
    common.settings.push(format!("sandbox.degree_min=\"{}\"", Degree::Minimal.as_str()));
    common
}

fn session(world: &World, common: &Common, ground: &Ground, degree: DegreeRequest) -> Result<Wired, Failure> {
    let wished = RunWishes {
        profile: Some("none".to_owned()),
        common,
        workspace: ground.workspace.clone(),
        degree,
        runtime: Some(RuntimeKind::Native),
        session: session_name()?,
        program: String::new(),
        network: Some(Network::Off),
        asks: Asks::Nobody,
        clients: None,
    };
    wire(world, wished)
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
