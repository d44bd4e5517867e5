// SPDX-License-Identifier: MIT OR Apache-2.0
//! Really confined children that try what must fail: one in each degree, and one under each limit.
//!
//! In: a session, and ground that was made for the purpose. Out: what the cage enforced and how each attempt came out.
//!
//! **Invariant:** every child is admitted by the pipeline, recorded with an outcome on every path, and started by the
//! same session code as `run`. One that does not end in time is killed, and so is what it left.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ringfort_core::door::DoorKind;
use ringfort_core::obligation::Promise;
use ringfort_core::request::Provenance;
use ringfort_core::text::Text;
use ringfort_ops::Evidence;
use ringfort_ops::attempts::{self, Attempt, Part};
use ringfort_runtime::approve::NoApprover;
use ringfort_runtime::pipeline::Outcome;
use ringfort_runtime::run::chain;
use ringfort_runtime::supervisor::stdio::Inside;
use ringfort_sandbox::achieved::Achieved;
use ringfort_sandbox::group::{Group, Hits};
use ringfort_sandbox::launch::Exit;
use ringfort_sandbox::profile::Limits;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};

use super::super::{EXIT_OK, Failure};
use crate::wiring::{Wired, World, session_name};

/// Most that a confined child may say. Bytes.
const SAID_BYTES_MAX: u64 = 256 << 10;
/// Longest time that a confined child may be silent before it is killed. Seconds.
const SILENCE_S_MAX: i64 = 30;
/// Signal by which the kernel ends what used up its memory.
const SIGKILL: i32 = 9;

/// What a child that lives on is started by, beside the one that tries.
const START: &str = "setsid=$(command -v setsid)\n($setsid ./attempts doctor --inside told.json --part linger &)\n\
                     exec ./attempts doctor --inside told.json --part attempts\n";

/// The confined child: does its part and says how it came out.
pub(super) fn inside(told: &Path, part: &str) -> Result<u8, Failure> {
    let part = Part::parse(part).ok_or_else(|| Failure::usage(anyhow::anyhow!("there is no such part")))?;
    let mut text = Vec::new();
    fs::File::open(told)?.take(SAID_BYTES_MAX).read_to_end(&mut text)?;
    let world: attempts::World = serde_json::from_slice(&text).map_err(Failure::usage)?;
    let said = match part {
        Part::Attempts => attempts::run(&world),
        Part::Processes => vec![attempts::start_many()],
        Part::Memory => vec![attempts::use_much()],
        Part::Linger => {
            attempts::linger(&world);
            Vec::new()
        }
    };
    let said = serde_json::to_string(&said).map_err(Failure::guard)?;
    writeln!(io::stdout(), "{said}")?;
    Ok(EXIT_OK)
}

/// A workspace and things outside it, made for the purpose.
pub(super) struct Ground {
    root: PathBuf,
    pub(super) workspace: PathBuf,
    startup: PathBuf,
    lingering: PathBuf,
    _port: TcpListener,
    _socket: UnixListener,
}

impl Ground {
    pub(super) fn make(state: &Path) -> anyhow::Result<Self> {
        let name = session_name().map_err(|failure| failure.error)?;
        let root = std::env::temp_dir().canonicalize()?.join(format!("ringfort-doctor-{name}"));
        let outside = root.join("outside");
        let workspace = root.join("workspace");
        let startup = workspace.join(".git/hooks/pre-commit");
        let hooks = startup.parent().context("a start-up file has a folder")?;
        fs::create_dir_all(hooks)?;
        fs::create_dir_all(&outside)?;
        let port = TcpListener::bind(("127.0.0.1", 0)).context("cannot listen on loopback")?;
        let ground = Self {
            startup: startup.clone(),
            lingering: workspace.join("lingering"),
            _socket: UnixListener::bind(outside.join("socket")).context("cannot listen on a socket")?,
            workspace,
            root,
            _port: port,
        };
        fs::write(&ground.startup, "#!/bin/sh\n")?;
        fs::write(ground.workspace.join(".git/HEAD"), "ref: refs/heads/main\n")?;
        fs::write(outside.join("file"), "outside\n")?;
        fs::write(ground.workspace.join("start.sh"), START)?;
        // Under its own name this program is judged as a tool of whom it governs, and this use of it is denied: what is
        // confined here is a program like any other, so it is one.
        let own = std::env::current_exe()?.canonicalize()?;
        fs::copy(own, ground.binary()).context("cannot copy this program")?;
        let told = attempts::World {
            file: outside.join("file"),
            socket: outside.join("socket"),
            folder: outside,
            state: state.to_owned(),
            startup,
            port: ground._port.local_addr()?.port(),
            process: rustix::process::Pid::as_raw(Some(rustix::process::getpid())),
            lingering: ground.lingering.clone(),
        };
        fs::write(ground.told(), serde_json::to_vec(&told)?)?;
        Ok(ground)
    }

    fn binary(&self) -> PathBuf {
        self.workspace.join("attempts")
    }

    fn told(&self) -> PathBuf {
        self.workspace.join("told.json")
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // What cannot be removed is an empty folder below the temporary one.
        drop(fs::remove_dir_all(&self.root));
    }
}

/// Starts a confined child that tries everything, and one beside it that would outlive the cage.
pub(super) fn evidence(world: &World, wired: &mut Wired, ground: &Ground) -> anyhow::Result<Evidence> {
    wired.session.profile.protected.push(ground.startup.clone());
    drop(fs::remove_file(&ground.lingering));
    let words = ["/bin/sh".into(), "start.sh".into()];
    let ended = confine(world, wired, ground, words.into())?;
    anyhow::ensure!(ended.exit == Exit::Exited(0), "the confined child ended with {:?}", ended.exit);
    let mut attempts = ended.attempts()?;
    let detail = match (ground.lingering.exists(), ended.is_closed) {
        (false, _) => "it was not started",
        (true, false) => "it lived on",
        (true, true) => "it was ended",
    };
    let promise = Some(Promise::KillAll);
    let name = "outlive the cage".to_owned();
    attempts.push(Attempt { promise, name, blocked: detail == "it was ended", detail: detail.to_owned() });
    Ok(Evidence { achieved: ended.achieved, attempts })
}

/// Starts a confined child that tries to go beyond a limit.
pub(super) fn limit(world: &World, wired: &mut Wired, ground: &Ground, part: Part) -> Result<Attempt, String> {
    let limits = match part {
        Part::Memory => Limits { memory_bytes_max: Some(attempts::MEMORY_BYTES_MAX), ..Limits::default() },
        _ => Limits { processes_max: Some(attempts::PROCESSES_MAX), ..Limits::default() },
    };
    wired.session.profile.limits = limits;
    wired.session.profile.group = Group::for_limits(&limits);
    let words = [ground.binary().as_os_str(), "doctor".as_ref(), "--inside".as_ref(), ground.told().as_os_str()]
        .into_iter()
        .chain(["--part".as_ref(), part.as_str().as_ref()])
        .map(OsString::from)
        .collect();
    let ended = confine(world, wired, ground, words).map_err(|error| format!("{error:#}"))?;
    let by = ended.achieved.limits.first().map_or("nothing", |held| held.means.as_str());
    let attempt = match ended.exit {
        Exit::Exited(0) => {
            ended.attempts().map_err(|error| format!("{error:#}"))?.into_iter().next().ok_or("it tried nothing")?
        }
        Exit::Signaled(SIGKILL) if part == Part::Memory && ended.hits.memory_kills > 0 => {
            attempts::limit(attempts::USE_MUCH, true, "it was ended".to_owned())
        }
        exit => return Err(format!("the confined child ended with {exit:?}")),
    };
    Ok(Attempt { detail: format!("{} ({by})", attempt.detail), ..attempt })
}

/// How a confined child ended.
struct Ended {
    exit: Exit,
    said: Vec<u8>,
    /// Whether nobody held what it was given any more.
    is_closed: bool,
    achieved: Achieved,
    hits: Hits,
}

impl Ended {
    fn attempts(&self) -> anyhow::Result<Vec<Attempt>> {
        serde_json::from_slice(&self.said).context("the confined child said something unexpected")
    }
}

fn confine(world: &World, wired: &mut Wired, ground: &Ground, words: Vec<OsString>) -> anyhow::Result<Ended> {
    let words = words.iter().map(|word| Text::new(word.as_encoded_bytes())).collect();
    let environment: Vec<(OsString, OsString)> = wired.environment.clone();
    let task = wired.session.task(&world.principal()?, Provenance::User, words, &ground.workspace, environment)?;
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    let null = || fs::File::open("/dev/null").map(OwnedFd::from);
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
    let read = read_until_closed(read, &mut said);
    let is_closed = read.as_ref().is_ok_and(|closed| *closed);
    let exit = if is_closed { cage.wait() } else { cage.kill_all() };
    let achieved = cage.achieved().clone();
    drop(cage);
    let hits = wired.session.profile.group.as_ref().map(Group::hits).unwrap_or_default();
    let outcome = Outcome { result: "exited", facts: vec![("doctor", format!("{exit:?}").into())] };
    wired.session.pipeline.finish(&task.request, &door, outcome)?;
    read.context("cannot read what the confined child says")?;
    Ok(Ended { exit, said, is_closed, achieved, hits })
}

/// Reads until nobody can write any more; `false` when somebody still could and was silent for too long.
fn read_until_closed(pipe: OwnedFd, said: &mut Vec<u8>) -> io::Result<bool> {
    let mut pipe = fs::File::from(pipe);
    let patience = Timespec { tv_sec: SILENCE_S_MAX, tv_nsec: 0 };
    let mut buffer = [0; 4096];
    while said.len() as u64 <= SAID_BYTES_MAX {
        let ready = poll(&mut [PollFd::new(&pipe, PollFlags::IN)], Some(&patience));
        if rustix::io::retry_on_intr(|| ready)? == 0 {
            return Ok(false);
        }
        match pipe.read(&mut buffer)? {
            0 => return Ok(true),
            length => said.extend_from_slice(buffer.get(..length).unwrap_or_default()),
        }
    }
    Ok(false)
}

fn reasons(ruling: &ringfort_core::ruling::Ruling) -> String {
    ruling.deciding().map(|reason| reason.message.as_str()).collect::<Vec<_>>().join("; ")
}
