// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ringfort hook`: an agent's own hook protocol on standard input and output.
//!
//! In: one message of the agent on standard input. Out: the answer in the agent's own form; never the exit codes of
//! other commands. Status 2 is the form in which every agent knows a denial.
//!
//! **Invariant:** this process prepares the denial first, then has a copy of itself judge. A copy that dies, hangs, is
//! stopped, panics or runs out of memory is a denial, and so is a signal that ends this process. No arguments framework
//! starts here: this is paid for at every tool call of an agent.

mod judge;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use ringfort_runtime::hook::{AGENTS, Agent, EXIT_BLOCK, INPUT_BYTES_MAX, Opinion, Place, agent};
use ringfort_sandbox::stub;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::FileType;

use super::{Common, Failure};

/// How long the judge may take. Agents wait for their hooks between 30 and 600 seconds and then go ahead; the locks that
/// a judge waits for are given up after 5.
const JUDGE_WAIT: Duration = Duration::from_secs(10);
/// How long the agent may take to write its message.
const INPUT_WAIT: Duration = Duration::from_secs(5);
/// First guess at the size of a message. Bytes.
const INPUT_BYTES: usize = 16 << 10;

/// The status where this process panics: a denial, as every agent knows it.
pub(crate) const EXIT_PANIC: u8 = EXIT_BLOCK;

const USAGE: &str = "usage: ringfort hook AGENT";

/// Answer an agent's hook, in the agent's own protocol
///
/// Agents start this themselves: `ringfort setup AGENT` tells them to. It reads one message on standard input and
/// answers on standard output. "No objection" is an empty answer where the agent has one: its own permissions remain.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ringfort hook --list
  ringfort hook claude-code < message.json
  echo '{\"event\":\"before-tool\",\"session\":\"1\",\"cwd\":\"/work\",\"command\":\"git status\"}' | ringfort hook generic

Status 2 with the reason on standard error is a denial, for every agent; docs/formats/hook.md describes the form of `generic`.")]
pub(crate) struct HookArgs {
    /// List the agents
    #[arg(long)]
    list: bool,
    /// The event, for an agent whose messages name none
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// The agent that speaks
    #[arg(value_name = "AGENT", required_unless_present = "list")]
    agent: Option<String>,
}

impl HookArgs {
    /// The words that [`main`] reads, for a caller that has parsed them already.
    pub(crate) fn to_words(&self, common: &Common) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        let paths = [("--state", &common.state), ("--policy", &common.policy)];
        for (name, path) in paths {
            words.extend(path.iter().flat_map(|path| [OsString::from(name), path.clone().into_os_string()]));
        }
        words.extend(common.settings.iter().flat_map(|setting| ["--set".into(), OsString::from(setting)]));
        words.extend(common.json.then(|| "--json".into()));
        words.extend(self.list.then(|| "--list".into()));
        words.extend(self.event.iter().flat_map(|event| ["--event".into(), OsString::from(event)]));
        words.extend(self.agent.iter().map(OsString::from));
        words
    }
}

/// What the command line asks for.
#[derive(Default)]
struct Wishes {
    common: Common,
    list: bool,
    agent: Option<String>,
    /// The event, for messages that name none.
    event: Option<String>,
}

/// Runs the command; `words` is the command line after `hook`.
pub(crate) fn main(words: Vec<OsString>) -> ExitCode {
    if words.iter().any(|word| word == "--help" || word == "-h") {
        return super::help("hook");
    }
    let ended = b"Denied by Ringfort: the hook was ended before it could judge.\n";
    if let Err(error) = stub::set_last_words(b"", ended, EXIT_BLOCK) {
        return refuse(&format!("the hook cannot answer for its own end: {error}"));
    }
    let wishes = match parse(words) {
        Ok(wishes) => wishes,
        Err(failure) => return refuse(&format!("{}; {}", failure.error, failure.help.unwrap_or_default())),
    };
    if wishes.list {
        return super::finish(list(wishes.common.json));
    }
    let Some(agent) = wishes.agent.as_deref().and_then(agent) else {
        let name = wishes.agent.as_deref().unwrap_or_default();
        let name = ringfort_core::text::escape_bytes(name.as_bytes());
        return refuse(&format!("there is no agent `{name}`; `ringfort hook --list` names those that are known"));
    };
    match read_input() {
        Ok(input) => answer(agent, &input, &wishes),
        // Nothing is known of the event, so it may be one that comes before something.
        Err(error) => refuse(&format!("the message cannot be read: {error}")),
    }
}

/// A denial where no protocol is known yet.
fn refuse(why: &str) -> ExitCode {
    // Nobody is left to tell if standard error is closed; the status says it.
    drop(writeln!(io::stderr(), "Denied by Ringfort: {why}."));
    ExitCode::from(EXIT_BLOCK)
}

/// Prepares the denial, has a copy of this process judge, and says what it answers.
fn answer(agent: &'static Agent, input: &[u8], wishes: &Wishes) -> ExitCode {
    let named = wishes.event.as_deref();
    let (event, moment) = agent.peek(input, named);
    let place = Place { event: &event, moment };
    let denial = agent.answer(&place, &Opinion::Deny(UNJUDGED));
    let mut buffer = vec![0; stub::BUFFER_BYTES];
    // A signal ends this process with the status that every agent takes for a denial, where there is one to give.
    let last: (&[u8], u8) = if moment.is_before() { (UNJUDGED.as_bytes(), EXIT_BLOCK) } else { (b"", 0) };
    let said = match stub::set_last_words(b"", last.0, last.1) {
        Ok(()) => stub::judge(&mut buffer, JUDGE_WAIT, |judge| {
            judge::main(&Message { agent, input, named, common: &wishes.common }, judge);
        }),
        Err(_unready) => return say(&as_said(&denial)),
    };
    say(&said.unwrap_or(as_said(&denial)))
}

/// What an agent is told where there was no answer.
const UNJUDGED: &str =
    "Denied by Ringfort: the hook could not judge, so nothing may happen. Tell the person you work for.";

fn as_said(answer: &stub::Answer) -> stub::Said<'_> {
    stub::Said { stdout: &answer.stdout, stderr: &answer.stderr, status: answer.status }
}

/// One message, and how it was handed over.
struct Message<'a> {
    agent: &'static Agent,
    input: &'a [u8],
    /// The event, where the message names none.
    named: Option<&'a str>,
    common: &'a Common,
}

/// Writes an answer. One that cannot be written whole, or that nobody can read, is no allowance: the status denies.
fn say(said: &stub::Said<'_>) -> ExitCode {
    let stdout = rustix::stdio::stdout();
    let is_read = said.stdout.is_empty() || (!is_nowhere(stdout) && write_all(stdout, said.stdout).is_ok());
    // Nobody is left to tell if standard error is closed.
    let _ignored: Result<(), _> = write_all(rustix::stdio::stderr(), said.stderr);
    ExitCode::from(if is_read { said.status } else { EXIT_BLOCK })
}

/// Whether a stream leads nowhere. One that was closed does: the runtime library puts `/dev/null` in its place.
fn is_nowhere(stream: BorrowedFd<'_>) -> bool {
    let null = rustix::fs::makedev(1, 3);
    !rustix::fs::fstat(stream).is_ok_and(|it| !(is_device(it.st_mode) && it.st_rdev == null))
}

fn is_device(mode: u32) -> bool {
    FileType::from_raw_mode(mode) == FileType::CharacterDevice
}

/// Writes everything, without the buffers of the standard library: nothing is allocated here.
fn write_all(stream: BorrowedFd<'_>, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(stream, bytes) {
            Ok(0) => return Err(rustix::io::Errno::IO),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// The message of the agent: everything until the end of standard input, bounded in size and time.
fn read_input() -> io::Result<Vec<u8>> {
    let started = Instant::now();
    let stdin = io::stdin();
    let mut input = Vec::with_capacity(INPUT_BYTES);
    let late = || io::Error::new(io::ErrorKind::TimedOut, "it did not come in time");
    loop {
        if input.len() > INPUT_BYTES_MAX {
            return Err(io::Error::other(format!("it is longer than {INPUT_BYTES_MAX} bytes")));
        }
        let left = INPUT_WAIT.checked_sub(started.elapsed()).ok_or_else(late)?;
        let left = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: i64::from(left.subsec_nanos()) };
        match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&left)) {
            Ok(0) => return Err(late()),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(errno) => return Err(errno.into()),
        }
        input.reserve(INPUT_BYTES);
        match rustix::io::read(&stdin, rustix::buffer::spare_capacity(&mut input)) {
            Ok(0) => return Ok(input),
            Ok(_) | Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
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
        let mut value = || {
            let missing = || Failure::usage(anyhow::anyhow!("`{name}` needs a value")).help(USAGE);
            attached.take().or_else(|| words.next()).ok_or_else(missing)
        };
        match name.as_str() {
            "--state" => wishes.common.state = Some(PathBuf::from(value()?)),
            "--policy" => wishes.common.policy = Some(PathBuf::from(value()?)),
            "--set" => wishes.common.settings.push(value()?.to_string_lossy().into_owned()),
            "--event" => wishes.event = Some(value()?.to_string_lossy().into_owned()),
            "--json" if attached.is_none() => wishes.common.json = true,
            "--list" if attached.is_none() => wishes.list = true,
            agent if !agent.starts_with('-') && wishes.agent.is_none() => wishes.agent = Some(agent.to_owned()),
            _ => {
                let error = anyhow::anyhow!("unknown option `{}`", super::shown(&word));
                return Err(Failure::usage(error).help(USAGE));
            }
        }
    }
    if wishes.agent.is_none() && !wishes.list {
        return Err(Failure::usage(anyhow::anyhow!("no agent is named")).help(USAGE));
    }
    Ok(wishes)
}

fn list(json: bool) -> Result<u8, Failure> {
    let mut text = String::new();
    for agent in AGENTS {
        // Writing to a `String` cannot fail.
        let _ignored = if json {
            writeln!(text, "{}", serde_json::json!({ "agent": agent.name, "summary": agent.summary }))
        } else {
            writeln!(text, "{:<14} {}", agent.name, agent.summary)
        };
    }
    io::stdout().write_all(text.as_bytes())?;
    Ok(super::EXIT_OK)
}
