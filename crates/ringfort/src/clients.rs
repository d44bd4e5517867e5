// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hosts of `egress.presets`: read from the settings of each client, and asked of the client where they say nothing.
//!
//! In: the configuration and the caller. Out: hosts, and the settings that a client needs inside.
//!
//! **Invariant:** a client is asked in a cage of its own, without a network, under a permit, and on the record. Its
//! answer is kept for [`ANSWER_LIFE`] in the state folder, so that a run pays for it once. `check` reads what is there
//! and starts nothing.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use ringfort_core::clock::Timestamp;
use ringfort_core::digest::DigestWriter;
use ringfort_core::door::DoorKind;
use ringfort_core::request::Provenance;
use ringfort_core::text::Text;
use ringfort_policy::config::{EgressPreset, Network, RuntimeKind};
use ringfort_policy::domain::HostPattern;
use ringfort_policy::load::Loaded;
use ringfort_runtime::approve::NoApprover;
use ringfort_runtime::clients::{self, Found, Place, Query, Settings};
use ringfort_runtime::egress::view::Asks;
use ringfort_runtime::pipeline::Outcome;
use ringfort_runtime::run::chain;
use ringfort_runtime::supervisor::stdio::Inside;
use ringfort_sandbox::profile::{DegreeRequest, Profile};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use serde::{Deserialize, Serialize};

use crate::commands::Common;
use crate::wiring::{RunWishes, World, session_name, wire};

/// For how long a client's answer is good.
const ANSWER_LIFE: Duration = Duration::from_secs(24 * 3600);
/// How long a client may take to answer.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// Longest answer. Bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// The folder of answers in the state folder.
const ANSWERS: &str = "clients";

/// What the presets of a configuration come to.
#[derive(Default)]
pub(crate) struct Clients {
    /// Hosts that are reached unasked.
    pub(crate) hosts: Vec<HostPattern>,
    /// Files of the private home.
    files: Vec<(PathBuf, Vec<u8>)>,
    /// Variables of a program.
    variables: Vec<(OsString, OsString)>,
    /// What a person should know.
    pub(crate) notices: Vec<String>,
}

impl Clients {
    /// Puts into a cage what the clients find their hosts by.
    pub(crate) fn add_to(&mut self, profile: &mut Profile, environment: &mut Vec<(OsString, OsString)>) {
        profile.home.files.append(&mut self.files);
        environment.retain(|(name, _)| !self.variables.iter().any(|(own, _)| own == name));
        environment.append(&mut self.variables);
    }

    fn add(&mut self, found: Found) {
        self.hosts.extend(found.hosts.iter().filter_map(Place::to_pattern));
        self.files.extend(found.files);
        self.variables.extend(found.variables);
        self.notices.extend(found.notices);
    }
}

/// Whether a client may be started to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asking {
    /// Where no answer is kept.
    Allowed,
    /// Never: only what is kept counts.
    Kept,
}

/// What is looked at.
pub(crate) struct Look<'a> {
    pub(crate) world: &'a World,
    pub(crate) common: &'a Common,
    /// The state folder.
    pub(crate) state: &'a Path,
    /// The workspace: nothing in it is read.
    pub(crate) workspace: &'a Path,
    /// The words of the command.
    pub(crate) typed: &'a [OsString],
    pub(crate) now: Timestamp,
}

/// The hosts of the presets that `loaded` names.
pub(crate) fn of(look: &Look<'_>, loaded: &Loaded, asking: Asking) -> Clients {
    let mut all = Clients::default();
    // A file of the policy that opens folders to writing opens them to agents.
    let setting = ringfort_policy::path::Setting::new(look.workspace, look.workspace, Some(&look.world.home));
    let roots = loaded.effective().roots;
    let mut written: Vec<PathBuf> = roots.iter().filter_map(|place| place.to_path(&setting)).collect();
    written.push(look.workspace.to_owned());
    let settings = Settings {
        root: Path::new("/"),
        home: &look.world.home,
        environment: &look.world.environment,
        written: &written,
        typed: look.typed,
    };
    for preset in &loaded.config.egress.presets {
        let mut found = clients::read(*preset, &settings);
        if let Some(query) = found.query.take() {
            match answer(look, *preset, &query, asking) {
                Ok(answer) => clients::add_answer(*preset, &answer, &settings, &mut found),
                Err(why) if asking == Asking::Allowed => {
                    found.notices.push(format!("{} ({why:#})", clients::unanswered(*preset)));
                }
                Err(_) => {}
            }
        }
        all.add(found);
    }
    all
}

/// A client's answer, as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// What it depends on.
    key: String,
    /// When it was given, in milliseconds.
    at: u64,
    answer: String,
}

fn answer(look: &Look<'_>, preset: EgressPreset, query: &Query, asking: Asking) -> anyhow::Result<String> {
    let path = look.state.join(ANSWERS).join(format!("{}.json", preset.as_str()));
    let key = key(look.world, query).context("it is not installed")?;
    if let Some(kept) = kept(&path)
        && kept.key == key
        && look.now.since(Timestamp(kept.at)) <= ANSWER_LIFE
    {
        return Ok(kept.answer);
    }
    anyhow::ensure!(asking == Asking::Allowed, "nothing is kept");
    let answer = ask(look, query)?;
    let kept = Kept { key, at: look.now.0, answer };
    // What cannot be kept is asked again.
    drop(keep(&path, &kept));
    Ok(kept.answer)
}

fn kept(path: &Path) -> Option<Kept> {
    let mut text = Vec::new();
    fs::File::open(path).ok()?.take(2 * ANSWER_BYTES_MAX).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

fn keep(path: &Path, kept: &Kept) -> anyhow::Result<()> {
    let folder = path.parent().context("it has a folder")?;
    fs::create_dir_all(folder)?;
    let new = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(&serde_json::to_vec(kept)?)?;
    fs::rename(&new, path)?;
    Ok(())
}

/// What an answer depends on: the program that gives it, and what it was asked.
fn key(world: &World, query: &Query) -> Option<String> {
    let name = query.words.first()?;
    let folders = std::env::split_paths(world.variable("PATH")?).filter(|folder| folder.is_absolute());
    let program = folders.map(|folder| folder.join(name)).find(|path| path.is_file())?;
    let meta = program.metadata().ok()?;
    let mut writer = DigestWriter::new("ringfort.client.v1");
    writer.bytes(program.as_os_str().as_encoded_bytes());
    writer.number(meta.dev()).number(meta.ino()).number(meta.size()).bytes(&meta.mtime().to_be_bytes());
    query.words.iter().for_each(|word| {
        writer.bytes(word.as_bytes());
    });
    Some(writer.finish().to_string())
}

/// A workspace of the client's own, removed afterwards.
struct Ground(PathBuf);

impl Drop for Ground {
    fn drop(&mut self) {
        // What cannot be removed is a few files below the temporary folder.
        drop(fs::remove_dir_all(&self.0));
    }
}

impl Ground {
    fn make(query: &Query) -> anyhow::Result<Self> {
        let name = session_name().map_err(|failure| failure.error)?;
        let ground = Self(std::env::temp_dir().canonicalize()?.join(format!("ringfort-client-{name}")));
        fs::create_dir(&ground.0)?;
        for (path, text) in query.files {
            let path = ground.0.join(path);
            fs::create_dir_all(path.parent().context("a file has a folder")?)?;
            fs::write(path, text)?;
        }
        Ok(ground)
    }
}

/// Runs the query in a cage without a network, and returns what the client says on both its outputs.
fn ask(look: &Look<'_>, query: &Query) -> anyhow::Result<String> {
    let ground = Ground::make(query)?;
    let wished = RunWishes {
        common: look.common,
        workspace: ground.0.clone(),
        degree: DegreeRequest::Auto,
        session: session_name().map_err(|failure| failure.error)?,
        profile: Some("none".to_owned()),
        program: query.words.first().map(ToString::to_string).unwrap_or_default(),
        network: Some(Network::Off),
        asks: Asks::Nobody,
        runtime: Some(RuntimeKind::Native),
        clients: None,
    };
    let wired = wire(look.world, wished).map_err(|failure| failure.error)?;
    let session = &wired.session;
    let mut environment = wired.environment;
    environment.extend(query.variables.iter().map(|(name, value)| (name.into(), value.into())));
    let words = query.words.iter().map(|word| Text::new(word.as_bytes())).collect();
    let task = session.task(&look.world.principal()?, Provenance::User, words, &ground.0, environment)?;
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    let null = fs::File::open("/dev/null").map(OwnedFd::from)?;
    let inside = Inside { stdin: null, stdout: write.try_clone()?, stderr: write, terminal: None };
    let door = session.door(DoorKind::Run, None);
    let admitted = session.pipeline.admit(&task.request, &door, &NoApprover).map_err(|denied| {
        let why = denied.ruling.deciding().next().map_or_else(String::new, |reason| reason.message.clone());
        anyhow::anyhow!("it cannot be asked: {why}")
    })?;
    let mut cage = match session.launch(admitted, &task, inside, None) {
        Ok(cage) => cage,
        Err(error) => {
            let outcome = Outcome { result: "failed", facts: vec![("error", chain(&error).into())] };
            session.pipeline.finish(&task.request, &door, outcome)?;
            anyhow::bail!("{}", chain(&error));
        }
    };
    let said = hear(fs::File::from(read));
    cage.kill_all();
    let exit = cage.wait();
    let outcome = Outcome { result: "exited", facts: vec![("asked", format!("{exit:?}").into())] };
    session.pipeline.finish(&task.request, &door, outcome)?;
    said
}

/// What comes until everything that writes has ended, or the time is over.
fn hear(mut from: fs::File) -> anyhow::Result<String> {
    let mut said = Vec::new();
    let tick = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    let mut ticks = ANSWER_WAIT.as_millis() / 100;
    let mut buffer = [0_u8; 4096];
    while (said.len() as u64) < ANSWER_BYTES_MAX {
        let is_ready = poll(&mut [PollFd::new(&from, PollFlags::IN)], Some(&tick))? > 0;
        if is_ready {
            match from.read(&mut buffer)? {
                0 => return Ok(String::from_utf8_lossy(&said).into_owned()),
                count => said.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            }
            continue;
        }
        ticks = ticks.saturating_sub(1);
        anyhow::ensure!(ticks > 0, "it does not answer");
    }
    anyhow::bail!("its answer is too long")
}

/// The words of a command as a client's settings look at them: one word is text for a shell.
pub(crate) fn typed(command: &[OsString]) -> Vec<OsString> {
    match command {
        [text] => text.to_string_lossy().split_whitespace().map(OsString::from).collect(),
        words => words.iter().map(|word| OsStr::new(word).to_owned()).collect(),
    }
}
