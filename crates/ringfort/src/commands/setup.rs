// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ringfort setup`: puts the hook into an agent's configuration, shows what would change, or takes it out again.
//!
//! In: the agent's files. Out: the same files with our hook, and a record in the state folder of what they said before.
//!
//! **Invariant:** inside a cage this is refused. The record is written first; a change that fails puts back those
//! before it. What is done is said with its standing: a hook alone is advised.

pub(super) mod survey;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use ringfort_audit::Durability;
use ringfort_core::entry::Entry;
use ringfort_ops::setup::agents::agent;
use ringfort_ops::setup::file::Files;
use ringfort_ops::setup::line::{Stopper, TIMEOUT_PLACES};
use ringfort_ops::setup::record::{self, Record, Way};
use ringfort_ops::setup::{AGENTS, Agent, Change, Ground, Scope, SetupError, TOLD_VARIABLES, diff};
use ringfort_runtime::clock::SystemClock;
use ringfort_runtime::supervisor::broker::BROKER_VARIABLE;
use serde_json::json;

use super::{Common, EXIT_DENIED, EXIT_OK, Failure};
use crate::output;
use crate::wiring::{World, open_state, open_trail, workspace};

/// Where no file of a project is found: the current folder is none.
const NO_PROJECT: &str = "/proc/self/no-project";

/// Wire an installed agent to Ringfort, or take it out again
///
/// Puts a hook before every tool call into the agent's own configuration, and keeps what it said before. The agent's
/// own permissions remain as they are.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ringfort setup --list
  ringfort setup claude-code --dry-run        what would change, as a difference; nothing is written
  ringfort setup claude-code                  for every project of this user
  ringfort setup codex --project              for this project only
  ringfort setup claude-code --undo           back to what it was, byte for byte

A hook alone is `advised`: the agent keeps your rights and could change its own settings. `ringfort doctor` proves from
outside that the hook is asked.")]
pub(crate) struct SetupArgs {
    /// The agent: claude-code, codex, gemini, cursor, copilot, opencode, openclaw or zeroclaw
    #[arg(value_name = "AGENT", required_unless_present = "list")]
    agent: Option<String>,
    /// Its configuration of this user; so it is without a word
    #[arg(long, conflicts_with = "project")]
    user: bool,
    /// Its configuration of the project that the current folder belongs to
    #[arg(long)]
    project: bool,
    /// Show what would change and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Take the hook out again
    #[arg(long)]
    undo: bool,
    /// Show the agents that are known, and how they stand
    #[arg(long, conflicts_with_all = ["agent", "dry_run", "undo"])]
    list: bool,
}

/// Runs the command.
///
/// # Errors
///
/// The agent is unknown, or its configuration cannot be edited; nothing was changed.
pub(crate) fn run(args: &SetupArgs, common: &Common) -> Result<u8, Failure> {
    let world = World::read().map_err(Failure::guard)?;
    if world.variable(BROKER_VARIABLE).is_some() {
        let error = anyhow::anyhow!("`setup` is not available inside a cage: the person outside decides");
        return Err(Failure { status: EXIT_DENIED, ..Failure::usage(error) });
    }
    let name = args.agent.as_deref().unwrap_or_default();
    if args.list {
        return survey::list(&world, common);
    }
    let Some(agent) = agent(name) else {
        let names: Vec<&str> = AGENTS.iter().map(|agent| agent.name).collect();
        let error = anyhow::anyhow!("there is no agent `{}`", ringfort_core::text::escape_bytes(name.as_bytes()));
        return Err(Failure::usage(error).help(format!("known are {}", names.join(", "))));
    };
    let scope = if args.project { Scope::Project } else { Scope::User };
    let installation = Installation::new(&world, common, scope)?;
    let job = Job { agent, scope, installation, world: &world, common };
    if args.undo { job.undo(args.dry_run) } else { job.wire(args.dry_run) }
}

/// Where the files of this caller are.
pub(super) struct Installation {
    pub(super) ground: Ground,
    pub(super) files: Files,
    pub(super) state: PathBuf,
}

impl Installation {
    /// Reads where things are; a project that is asked for has to be one.
    pub(super) fn new(world: &World, common: &Common, scope: Scope) -> Result<Self, Failure> {
        let places = world.places(common);
        let folder = world.cwd.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(&world.cwd);
        let project = match (workspace(world, &places, folder), scope) {
            (Ok(project), _) => project,
            (Err(failure), Scope::Project) => return Err(failure),
            (Err(_), Scope::User) => PathBuf::from(NO_PROJECT),
        };
        let absolute = |name: &str| world.variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let binary = std::env::current_exe()?.canonicalize()?;
        let stopper = TIMEOUT_PLACES.iter().find(|place| Path::new(place).exists());
        let ground = Ground {
            home: world.home.clone(),
            project: project.clone(),
            config: absolute("XDG_CONFIG_HOME").unwrap_or_else(|| world.home.join(".config")),
            told: TOLD_VARIABLES.iter().filter_map(|name| Some((*name, absolute(name)?))).collect(),
            binary,
            stopper: stopper.map_or(Stopper::None, |place| Stopper::Timeout(place)),
        };
        Ok(Self { ground, files: Files { project }, state: places.state })
    }

    /// Reads a file of an agent.
    pub(super) fn read(&self, path: &Path) -> Result<Option<String>, SetupError> {
        Ok(self.files.read(path)?)
    }

    /// The record of a set-up that was not undone.
    pub(super) fn record(&self, agent: &Agent, scope: Scope) -> Result<Option<Record>, Failure> {
        let path = record::path(&self.state, agent, scope, &self.ground);
        let Some(text) = self.files.read(&path).map_err(Failure::guard)? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            let error = anyhow::Error::new(error).context(format!("cannot read the record `{}`", path.display()));
            Failure::guard(error).help("remove it; `--undo` then takes only our own entries out")
        })
    }
}

/// One agent in one scope.
struct Job<'a> {
    agent: &'static Agent,
    scope: Scope,
    installation: Installation,
    world: &'a World,
    common: &'a Common,
}

/// An error of an edit, with what to do.
fn refused(error: SetupError) -> Failure {
    let help = match &error {
        SetupError::Json { .. } | SetupError::Toml { .. } => {
            Some("nothing was changed; mend the file, so that its own program can read it")
        }
        SetupError::Foreign(_) => Some("nothing was changed; move that file away first"),
        _ => None,
    };
    let failure = Failure::usage(error);
    if let Some(help) = help { failure.help(help) } else { failure }
}

impl Job<'_> {
    fn wire(&self, dry_run: bool) -> Result<u8, Failure> {
        let here = &self.installation;
        let read = |path: &Path| here.read(path);
        let changes = (self.agent.wire)(&here.ground, self.scope, &read).map_err(refused)?;
        let stripped = (self.agent.strip)(&here.ground, self.scope, &read).map_err(refused)?;
        if dry_run {
            return self.show(&changes);
        }
        let earlier = here.record(self.agent, self.scope)?;
        let is_new = changes.iter().any(|change| !change.is_empty());
        if is_new || earlier.is_none() {
            let mut kept = Record::of(self.agent, &changes, &stripped, earlier.as_ref());
            self.keep(&kept)?;
            self.note("setup.wire", &changes)?;
            let made = self.apply(&changes)?;
            kept.folders.extend(made.into_iter().filter(|folder| !folder.starts_with(&here.state)));
            self.keep(&kept)?;
        }
        self.tell_wired(&changes)
    }

    fn undo(&self, dry_run: bool) -> Result<u8, Failure> {
        let here = &self.installation;
        let read = |path: &Path| here.read(path);
        let kept = here.record(self.agent, self.scope)?;
        let stripped = (self.agent.strip)(&here.ground, self.scope, &read);
        let changes = match &kept {
            Some(record) => {
                let restored = record.undo(Vec::new(), &read).map_err(refused)?;
                let all = record.files.iter().all(|kept| restored.iter().any(|(change, _)| change.path == kept.path));
                // What is put back whole need not be readable.
                if all { restored } else { record.undo(stripped.map_err(refused)?, &read).map_err(refused)? }
            }
            None => stripped.map_err(refused)?.into_iter().map(|change| (change, Way::Stripped)).collect(),
        };
        let changes: Vec<(Change, Way)> = changes.into_iter().filter(|(change, _)| !change.is_empty()).collect();
        let plain: Vec<Change> = changes.iter().map(|(change, _)| change.clone()).collect();
        if dry_run {
            return self.show(&plain);
        }
        if !plain.is_empty() {
            self.note("setup.undo", &plain)?;
            self.apply(&plain)?;
        }
        for folder in kept.iter().flat_map(|record| record.folders.iter().rev()) {
            // One that somebody has put something into stays.
            drop(std::fs::remove_dir(folder));
        }
        if kept.is_some() {
            let path = record::path(&here.state, self.agent, self.scope, &here.ground);
            let text = here.files.read(&path).map_err(Failure::guard)?;
            here.files.replace(&path, text.as_deref(), None).map_err(Failure::guard)?;
        }
        self.tell_undone(&changes)
    }

    /// Writes the record.
    fn keep(&self, record: &Record) -> Result<(), Failure> {
        let here = &self.installation;
        open_state(self.world, &self.world.places(self.common))?;
        let path = record::path(&here.state, self.agent, self.scope, &here.ground);
        let text = serde_json::to_string_pretty(record).map_err(Failure::guard)?;
        let before = here.files.read(&path).map_err(Failure::guard)?;
        here.files.replace(&path, before.as_deref(), Some(&text)).map_err(Failure::guard)?;
        Ok(())
    }

    /// Puts what is about to happen on the record.
    fn note(&self, event: &str, changes: &[Change]) -> Result<(), Failure> {
        let state = open_state(self.world, &self.world.places(self.common))?;
        let trail = open_trail(&state, &(std::sync::Arc::new(SystemClock::new()) as _))?;
        let paths: Vec<String> = changes.iter().map(|change| change.path.display().to_string()).collect();
        let mut entry =
            Entry { principal: Some(self.world.principal().map_err(Failure::guard)?), ..Entry::event(event) };
        entry.facts.insert("agent".to_owned(), self.agent.name.into());
        entry.facts.insert("files".to_owned(), paths.into());
        trail.append(&entry, Durability::Synced).map_err(Failure::guard)?;
        Ok(())
    }

    /// Writes every change, or none. Returns the folders that were made.
    fn apply(&self, changes: &[Change]) -> Result<Vec<PathBuf>, Failure> {
        let files = &self.installation.files;
        let mut made = Vec::new();
        for (index, change) in changes.iter().enumerate() {
            if change.is_empty() {
                continue;
            }
            match files.replace(&change.path, change.before.as_deref(), change.after.as_deref()) {
                Ok(folders) => made.extend(folders),
                Err(error) => {
                    let mut left = Vec::new();
                    for done in changes.iter().take(index).rev().filter(|done| !done.is_empty()) {
                        if files.replace(&done.path, done.after.as_deref(), done.before.as_deref()).is_err() {
                            left.push(done.path.display().to_string());
                        }
                    }
                    let failure = Failure::guard(error);
                    return Err(if left.is_empty() {
                        failure.help("nothing was changed")
                    } else {
                        failure.help(format!("these files were changed already: {}", left.join(", ")))
                    });
                }
            }
        }
        Ok(made)
    }

    fn show(&self, changes: &[Change]) -> Result<u8, Failure> {
        let mut out = anstream::stdout().lock();
        let shown = changes.iter().map(|change| {
            let path = change.path.display().to_string();
            (path.clone(), diff::unified(&path, change.before.as_deref(), change.after.as_deref()))
        });
        let shown: Vec<(String, String)> = shown.filter(|(_, diff)| !diff.is_empty()).collect();
        if self.common.json {
            let files: Vec<_> = shown.iter().map(|(path, diff)| json!({ "path": path, "diff": diff })).collect();
            output::json_line(&mut out, &json!({ "agent": self.agent.name, "dry_run": true, "files": files }))?;
        } else if shown.is_empty() {
            writeln!(out, "nothing would change")?;
        } else {
            for (_, diff) in shown {
                write!(out, "{diff}")?;
            }
        }
        Ok(EXIT_OK)
    }

    fn tell_wired(&self, changes: &[Change]) -> Result<u8, Failure> {
        let mut out = anstream::stdout().lock();
        let here = &self.installation;
        let written: Vec<String> = changes
            .iter()
            .filter(|change| !change.is_empty())
            .map(|change| change.path.display().to_string())
            .collect();
        let found = survey::found(self.world, &here.ground, self.agent);
        let cage = format!("ringfort run -- {}", self.agent.programs.first().unwrap_or(&self.agent.name));
        if self.common.json {
            let told = json!({
                "agent": self.agent.name, "scope": self.scope.name(), "changed": written, "found": found,
                "standing": "advised", "caged": cage,
            });
            output::json_line(&mut out, &told)?;
            return Ok(EXIT_OK);
        }
        let agent = self.agent.title;
        if written.is_empty() {
            writeln!(out, "{agent} is set up already ({}); nothing was changed", self.scope.name())?;
        }
        for path in &written {
            writeln!(out, "wrote {path}")?;
        }
        if found.is_none() {
            writeln!(out, "{agent} itself was not found here; its configuration is ready for when it is installed")?;
        }
        let name = self.agent.name;
        let option = if self.scope == Scope::Project { " --project" } else { "" };
        writeln!(
            out,
            "{agent} now asks Ringfort before every tool call, through {}. If that file goes away, calls are blocked.\n\
             {}\n\
             Standing: advised. A hook keeps mistakes and honest agents; an agent that attacks has your rights and could\n\
             change its settings. The whole agent in a cage: `{cage}`; the network is closed in there for now, so an\n\
             agent that needs a model elsewhere does not work caged yet, and this set-up does not install it.\n\
             Prove it: `ringfort doctor`. Take it out: `ringfort setup {name}{option} --undo`.",
            here.ground.binary.display(),
            self.agent.note,
        )?;
        if here.ground.stopper == Stopper::None {
            writeln!(
                out,
                "There is no `timeout` program here: a hook that is stopped is left to the agent's own wait."
            )?;
        }
        Ok(EXIT_OK)
    }

    fn tell_undone(&self, changes: &[(Change, Way)]) -> Result<u8, Failure> {
        let mut out = anstream::stdout().lock();
        if self.common.json {
            let files: Vec<_> = changes
                .iter()
                .map(|(change, way)| json!({ "path": change.path, "restored": *way == Way::Restored }))
                .collect();
            let told = json!({ "agent": self.agent.name, "scope": self.scope.name(), "undone": files });
            output::json_line(&mut out, &told)?;
            return Ok(EXIT_OK);
        }
        if changes.is_empty() {
            writeln!(out, "{} is not set up ({}); nothing was changed", self.agent.title, self.scope.name())?;
        }
        for (change, way) in changes {
            let path = change.path.display();
            match (way, &change.after) {
                (Way::Restored, None) => writeln!(out, "removed {path}, which was not there before")?,
                (Way::Restored, Some(_)) => writeln!(out, "restored {path} byte for byte")?,
                (Way::Stripped, None) => writeln!(out, "removed {path}, which was ours")?,
                (Way::Stripped, Some(_)) => {
                    writeln!(
                        out,
                        "took our entries out of {path}; it was edited since, and the rest was left as it is"
                    )?;
                }
            }
        }
        Ok(EXIT_OK)
    }
}
