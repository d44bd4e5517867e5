// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ringfort changes`: what copy-on-write runs did, and whether it becomes real.
//!
//! In: the name of a run, or the newest of this folder; paths. Out: a list, a text difference, or the changes applied or
//! gone; exit status 1 where nothing was applied because something stands against it.
//!
//! **Invariant:** applying and discarding are acts of a person: inside a cage, for an agent and while everything is
//! frozen they are refused. Each is on the record before it happens.

mod show;

use std::io::{IsTerminal as _, Write as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use ringfort_audit::Durability;
use ringfort_core::clock::Clock;
use ringfort_core::entry::Entry;
use ringfort_core::text::escape_bytes;
use ringfort_runtime::clock::SystemClock;
use ringfort_runtime::cow::{self, Counts, CowError, CowFolder, digest};
use ringfort_runtime::run::{CowEnd, chain};
use ringfort_runtime::session::Session;
use ringfort_runtime::state::StateFolder;
use ringfort_runtime::supervisor::broker::BROKER_VARIABLE;
use ringfort_sandbox::cow::{Allow, Applied, ApplyError, Change, Resumed};
use serde_json::json;

use super::{Common, EXIT_DENIED, EXIT_OK, Failure};
use crate::output;
use crate::wiring::{World, open_state, open_trail};

pub(crate) use show::Text;

/// Most paths that are named on the record.
const PATHS_RECORDED_MAX: usize = 100;

/// Look at what copy-on-write runs changed, and apply or discard it
///
/// What a program does in a `ringfort run --cow` stays beside the workspace. Without a name the newest run of this folder
/// is meant. Applying is all or nothing: a file that changed outside since the run began is a conflict.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  ringfort changes                      what the newest run of this folder changed
  ringfort changes --diff               the same with the text that differs
  ringfort changes list                 every run whose changes wait
  ringfort changes apply                make all of it real
  ringfort changes apply src Cargo.toml only this
  ringfort changes discard 3f9a2c71"
)]
pub(crate) struct ChangesArgs {
    #[command(subcommand)]
    command: Option<ChangesCommand>,
    /// The run, by its name or the beginning of it
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The newest run of any folder
    #[arg(long, conflicts_with = "name")]
    last: bool,
    /// Show how texts differ
    #[arg(long)]
    diff: bool,
}

#[derive(Debug, Subcommand)]
enum ChangesCommand {
    /// List the runs whose changes wait
    List,
    /// Make changes real: all, or those at and below the paths
    Apply {
        /// The run's name (where one of that name is known), and then paths
        #[arg(value_name = "NAME|PATH")]
        words: Vec<PathBuf>,
        /// The newest run of any folder; every word is a path
        #[arg(long)]
        last: bool,
        /// Also what makes programs outside run code: start-up files, set-user bits, pipes
        #[arg(long)]
        allow_startup: bool,
    },
    /// Throw the changes of a run away
    Discard {
        /// The run, by its name or the beginning of it
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// The newest run of any folder
        #[arg(long, conflicts_with = "name")]
        last: bool,
    },
}

/// Runs the command.
///
/// # Errors
///
/// The state folder or the changes cannot be used; nothing was applied.
pub(crate) fn run(args: &ChangesArgs, common: &Common) -> Result<u8, Failure> {
    let world = World::read().map_err(Failure::guard)?;
    if world.variable(BROKER_VARIABLE).is_some() {
        let error = anyhow::anyhow!("`changes` is not available inside a cage: the person outside decides");
        return Err(Failure { status: EXIT_DENIED, ..Failure::usage(error) });
    }
    let state = open_state(&world, &world.places(common))?;
    let desk = Desk { world: &world, state: &state, common };
    match &args.command {
        None => desk.show(args),
        Some(ChangesCommand::List) => desk.list(),
        Some(ChangesCommand::Apply { words, last, allow_startup }) => {
            desk.refuse_governed("apply")?;
            let allow = if *allow_startup { Allow::Startup } else { Allow::Ordinary };
            desk.apply(words, *last, allow)
        }
        Some(ChangesCommand::Discard { name, last }) => {
            desk.refuse_governed("discard")?;
            desk.discard(name.as_deref(), *last)
        }
    }
}

struct Desk<'a> {
    world: &'a World,
    state: &'a StateFolder,
    common: &'a Common,
}

fn failure(error: &CowError) -> Failure {
    let text = anyhow::anyhow!("{}", chain(error));
    match error {
        CowError::Missing { .. } | CowError::Ambiguous { .. } => {
            Failure::usage(text).help("`ringfort changes list` names the runs whose changes wait")
        }
        CowError::Busy { .. } => Failure::usage(text).help("wait until it has ended"),
        _ => Failure::guard(text),
    }
}

impl Desk<'_> {
    /// Only a person makes changes real or throws them away.
    fn refuse_governed(&self, what: &str) -> Result<(), Failure> {
        if self.world.is_for_agent() {
            let error = anyhow::anyhow!("`changes {what}` is for people: an agent may look and propose");
            return Err(Failure { status: EXIT_DENIED, ..Failure::usage(error) }
                .help("a person runs it in a terminal of their own"));
        }
        if self.state.freeze().state() != ringfort_runtime::freeze::FreezeState::Off {
            let error = anyhow::anyhow!("everything is frozen: nothing is applied or discarded");
            return Err(Failure { status: EXIT_DENIED, ..Failure::usage(error) }.help("`ringfort freeze --off`"));
        }
        Ok(())
    }

    /// The name of the run that is meant.
    fn name(&self, named: Option<&str>, last: bool) -> Result<String, Failure> {
        if let Some(name) = named {
            return Ok(name.to_owned());
        }
        let runs = cow::list(self.state).map_err(|error| failure(&error))?;
        let here = |run: &&cow::Listed| {
            last || run.record.as_ref().is_ok_and(|record| self.world.cwd.starts_with(&record.layer.workspace))
        };
        match runs.iter().rfind(here) {
            Some(run) => Ok(run.name.clone()),
            None => {
                let where_to = if last { "there are no changes" } else { "there are no changes of this folder" };
                Err(Failure::usage(anyhow::anyhow!("{where_to}")).help(
                    "`ringfort run --cow -- COMMAND` makes some; `ringfort changes list` shows those of all folders",
                ))
            }
        }
    }

    fn show(&self, args: &ChangesArgs) -> Result<u8, Failure> {
        let name = self.name(args.name.as_deref(), args.last)?;
        let folder = CowFolder::open(self.state, &name).map_err(|error| failure(&error))?;
        let changes = folder.changes().map_err(|error| Failure::guard(anyhow::anyhow!("{}", chain(&error))))?;
        let mut out = anstream::stdout().lock();
        if self.common.json {
            output::json_line(&mut out, &show::to_json(&folder, &changes.list))?;
            return Ok(EXIT_OK);
        }
        show::heading(&mut out, &folder)?;
        if changes.is_empty() {
            writeln!(out, "no changes are left; `ringfort changes discard {}` clears the run away", folder.name)?;
        }
        let text = if args.diff { Text::Shown } else { Text::Hidden };
        show::list(&mut out, &changes.list, usize::MAX, Some((&folder, text)))?;
        show::what_stands_against(&mut out, &changes.list)?;
        Ok(EXIT_OK)
    }

    fn list(&self) -> Result<u8, Failure> {
        let runs = cow::list(self.state).map_err(|error| failure(&error))?;
        let mut out = anstream::stdout().lock();
        for run in &runs {
            if self.common.json {
                output::json_line(&mut out, &show::run_json(run))?;
            } else {
                writeln!(out, "{}", show::run_line(run))?;
            }
        }
        if runs.is_empty() && !self.common.json {
            writeln!(out, "no changes wait")?;
        }
        Ok(EXIT_OK)
    }

    fn record(&self, entry: Entry) -> Result<(), Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let trail = open_trail(self.state, &clock)?;
        let entry = Entry { principal: Some(self.world.principal().map_err(Failure::guard)?), ..entry };
        trail.append(&entry, Durability::Synced).map_err(Failure::guard)?;
        Ok(())
    }

    fn apply(&self, words: &[PathBuf], last: bool, allow: Allow) -> Result<u8, Failure> {
        let (named, paths) = self.split(words, last)?;
        let name = self.name(named.as_deref(), last)?;
        let folder = CowFolder::open(self.state, &name).map_err(|error| failure(&error))?;
        let layer = &folder.record.layer;
        let select = paths.iter().map(|path| self.relative(path, &layer.workspace)).collect::<Result<Vec<_>, _>>()?;
        // The workspace itself means all of it.
        let select = if select.iter().any(|path| path.as_os_str().is_empty()) { Vec::new() } else { select };
        let shown: Vec<String> = select
            .iter()
            .take(PATHS_RECORDED_MAX)
            .map(|path| escape_bytes(path.as_os_str().as_encoded_bytes()))
            .collect();
        let entry = |event: &str| {
            let entry = Entry { session: Some(folder.record.session.clone()), ..Entry::event(event) };
            entry.fact("name", folder.name.clone()).fact("path", layer.workspace.display().to_string())
        };
        let begun = entry("cow.apply").fact("selected", json!(shown)).fact("startup", allow == Allow::Startup);
        self.record(begun)?;
        if let Resumed::Done(steps) =
            ringfort_sandbox::cow::resume(layer, &folder.path).map_err(|e| self.refused(&e))?
        {
            writeln!(
                anstream::stderr(),
                "ringfort: an interrupted `apply` was carried out to its end ({steps} steps)"
            )?;
            self.record(entry("cow.resumed").fact("steps", steps))?;
        }
        let applied = match ringfort_sandbox::cow::apply(layer, &folder.path, &select, allow) {
            Ok(applied) => applied,
            Err(error) => {
                self.record(entry("cow.refused").fact("error", chain(&error)))?;
                if let ApplyError::Refused { refusals } = &error {
                    show::refusals(&mut anstream::stderr().lock(), refusals)?;
                }
                return Err(self.refused(&error));
            }
        };
        let counts = Counts::of(&applied.changes);
        self.record(counts.facts(entry("cow.applied")).fact("digest", digest(&applied.changes).to_string()))?;
        self.applied(folder, &applied, select.is_empty())
    }

    fn applied(&self, folder: CowFolder, applied: &Applied, is_all: bool) -> Result<u8, Failure> {
        let counts = Counts::of(&applied.changes);
        let left = folder.changes().map(|changes| changes.list).unwrap_or_default();
        let mut out = anstream::stdout().lock();
        let name = folder.name.clone();
        if self.common.json {
            let left_out: Vec<_> = applied.left_out.iter().map(show::refusal_json).collect();
            let counted = serde_json::to_value(counts).map_err(Failure::guard)?;
            let value = json!({ "name": name, "applied": counted, "left_out": left_out, "left": left.len() });
            output::json_line(&mut out, &value)?;
        } else {
            writeln!(out, "applied: {}", show::counts_text(&counts))?;
            for one in &applied.left_out {
                writeln!(out, "left out: {}: {}", show::path(&one.path), escape_bytes(one.why.as_bytes()))?;
            }
            if !is_all && !left.is_empty() {
                writeln!(out, "{} changes still wait: `ringfort changes {name}`", left.len())?;
            }
        }
        if is_all || left.is_empty() {
            folder.discard().map_err(|error| failure(&error))?;
        }
        Ok(EXIT_OK)
    }

    fn refused(&self, error: &ApplyError) -> Failure {
        let text = anyhow::anyhow!("{}", chain(error));
        let failure = match error {
            ApplyError::Refused { .. } | ApplyError::Undone { is_conflict: true, .. } => {
                Failure { status: EXIT_DENIED, ..Failure::usage(text) }
            }
            ApplyError::NoChange { .. } => Failure::usage(text),
            _ => Failure::guard(text),
        };
        match error {
            ApplyError::Refused { refusals } if refusals.iter().all(|one| one.is_concern) => {
                failure.help("nothing was applied; look at these with `--diff`, then add --allow-startup")
            }
            ApplyError::Refused { .. } | ApplyError::Undone { .. } => {
                failure.help("nothing was applied; name the paths that may be, or look into the files that are named")
            }
            ApplyError::Partial { .. } => {
                failure.help("remove what is in the way and repeat: it goes on where it stopped")
            }
            ApplyError::NoChange { .. } => failure.help("`ringfort changes` lists what there is"),
            _ => failure.help("nothing was applied"),
        }
    }

    fn discard(&self, named: Option<&str>, last: bool) -> Result<u8, Failure> {
        let name = self.name(named, last)?;
        let (name, session) = match CowFolder::open(self.state, &name) {
            Ok(folder) => {
                self.record(
                    Entry { session: Some(folder.record.session.clone()), ..Entry::event("cow.discard") }
                        .fact("name", folder.name.clone()),
                )?;
                let (name, session) = (folder.name.clone(), folder.record.session.clone());
                folder.discard().map_err(|error| failure(&error))?;
                (name, Some(session))
            }
            Err(CowError::Folder { .. }) => {
                self.record(Entry::event("cow.discard").fact("name", name.clone()))?;
                (cow::discard_unreadable(self.state, &name).map_err(|error| failure(&error))?, None)
            }
            Err(error) => return Err(failure(&error)),
        };
        let mut out = anstream::stdout().lock();
        if self.common.json {
            output::json_line(&mut out, &json!({ "name": name, "session": session, "discarded": true }))?;
        } else {
            writeln!(out, "discarded the changes of {name}; the workspace is as it was")?;
        }
        Ok(EXIT_OK)
    }

    /// The name that the first word may be, and the paths.
    fn split(&self, words: &[PathBuf], last: bool) -> Result<(Option<String>, Vec<PathBuf>), Failure> {
        let Some((first, rest)) = words.split_first().filter(|_| !last) else { return Ok((None, words.to_vec())) };
        let Some(name) = first.to_str().filter(|name| cow::is_name(name)) else { return Ok((None, words.to_vec())) };
        let runs = cow::list(self.state).map_err(|error| failure(&error))?;
        if runs.iter().any(|run| run.name.starts_with(name)) {
            Ok((Some(name.to_owned()), rest.to_vec()))
        } else {
            Ok((None, words.to_vec()))
        }
    }

    /// A path of the command line, relative to the workspace.
    fn relative(&self, path: &Path, workspace: &Path) -> Result<PathBuf, Failure> {
        let outside = || {
            let error = anyhow::anyhow!("`{}` is not in the workspace `{}`", path.display(), workspace.display());
            Failure::usage(error)
        };
        let base = if self.world.cwd.starts_with(workspace) { &self.world.cwd } else { workspace };
        let mut clean = PathBuf::new();
        for part in base.join(path).components() {
            match part {
                Component::ParentDir => {
                    clean.pop();
                }
                Component::CurDir => {}
                part => clean.push(part),
            }
        }
        clean.strip_prefix(workspace).map(Path::to_owned).map_err(|_| outside())
    }
}

/// Says at a terminal how far the copy of a workspace has come.
pub(crate) fn copying(progress: Option<(usize, u64)>) {
    let mut err = std::io::stderr();
    if err.is_terminal() {
        let text = progress.map(|(entries, bytes)| {
            format!("ringfort: copying the workspace: {entries} entries, {}", show::size(bytes))
        });
        // Nobody is left to tell if it cannot be written.
        drop(write!(err, "\r{}\u{1b}[K", text.unwrap_or_default()));
    }
}

/// What a person is told at the end of a copy-on-write run.
pub(crate) fn summary(session: &Session, end: &CowEnd, state: Option<&Path>) {
    let changes = match &end.changes {
        Ok(changes) if changes.is_empty() => return session.warn("nothing in the workspace was changed"),
        Ok(changes) => changes,
        Err(error) => {
            session.warn(&format!("the changes cannot be read: {}", chain(error)));
            return session.warn(&format!("they are kept: `ringfort changes {}`", end.name));
        }
    };
    // Nobody is left to tell if standard error is closed.
    drop(write_summary(&changes.list, &end.name, state));
}

fn write_summary(list: &[Change], name: &str, state: Option<&Path>) -> std::io::Result<()> {
    let mut err = anstream::stderr().lock();
    writeln!(err, "ringfort: the workspace is as it was; kept beside it: {}", show::counts_text(&Counts::of(list)))?;
    show::list(&mut err, list, show::SUMMARY_LINES_MAX, None)?;
    let state = state
        .map_or_else(String::new, |state| format!(" --state {}", escape_bytes(state.as_os_str().as_encoded_bytes())));
    writeln!(err, "  ringfort{state} changes {name} --diff    look at it")?;
    writeln!(err, "  ringfort{state} changes apply {name}     make it real")?;
    writeln!(err, "  ringfort{state} changes discard {name}   throw it away")
}
