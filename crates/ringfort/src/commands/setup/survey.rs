// SPDX-License-Identifier: MIT OR Apache-2.0
//! How every agent of this machine stands to Ringfort, and the proof that a hook is asked.
//!
//! In: the agents' own configurations. Out: a list for people, and evidence for the doctor.
//!
//! **Invariant:** a line is run only if it is, byte for byte, the one that set-up writes for this binary; it is run as
//! its agent would run it, outside every cage, because that is where agents run it.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use ringfort_ops::setup::line::AGENT_WAIT_SECONDS;
use ringfort_ops::setup::{AGENTS, Agent, Answer, Ground, Heard, Look, Scope};
use ringfort_ops::{AgentSeen, Proof};
use ringfort_runtime::run::chain;
use serde_json::json;

use super::Installation;
use crate::commands::{Common, EXIT_OK, Failure};
use crate::output;
use crate::wiring::{World, session_name};

/// The shell command that is denied under every policy.
const FORBIDDEN: &str = "rm -rf / --no-preserve-root";
/// A shell command that does nothing.
const HARMLESS: &str = "true";
/// Most that is read of what a hook says. Bytes.
const SAID_BYTES_MAX: u64 = 1 << 20;

/// Where an agent's program or its folder was found.
pub(in crate::commands) fn found(world: &World, ground: &Ground, agent: &Agent) -> Option<PathBuf> {
    let path = world.variable("PATH").unwrap_or_else(|| OsStr::new("/usr/bin:/bin"));
    let program = std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .flat_map(|folder| agent.programs.iter().map(move |program| folder.join(program)))
        .find(|program| program.is_file());
    program.or_else(|| Some((agent.folder)(ground)).filter(|folder| folder.is_dir()))
}

fn look(installation: &Installation, agent: &Agent, scope: Scope) -> Result<Look, String> {
    let read = |path: &Path| installation.read(path);
    (agent.look)(&installation.ground, scope, &read).map_err(|error| chain(&error))
}

/// `ringfort setup --list`.
pub(in crate::commands) fn list(world: &World, common: &Common) -> Result<u8, Failure> {
    let installation = Installation::new(world, common, Scope::User)?;
    let mut out = anstream::stdout().lock();
    for agent in AGENTS {
        let found = found(world, &installation.ground, agent);
        let word = |scope| match look(&installation, agent, scope) {
            Ok(Look::Absent) => "no".to_owned(),
            Ok(Look::Wired { .. }) => "yes".to_owned(),
            Ok(Look::Changed { what }) => format!("changed: {what}"),
            Ok(Look::Off { what }) => format!("switched off by {what}"),
            Err(error) => format!("unknown: {error}"),
        };
        let (user, project) = (word(Scope::User), word(Scope::Project));
        if common.json {
            let seen = json!({
                "agent": agent.name, "title": agent.title, "found": found, "user": user, "project": project,
            });
            output::json_line(&mut out, &seen)?;
        } else {
            let there = found.map_or_else(|| "not found".to_owned(), |path| path.display().to_string());
            writeln!(out, "{:<12} wired for user: {user}; for project: {project}; {there}", agent.name)?;
        }
    }
    Ok(EXIT_OK)
}

/// Looks at every agent and has each wired hook answer two calls.
pub(in crate::commands) fn survey(world: &World, common: &Common) -> Result<Vec<AgentSeen>, Failure> {
    let installation = Installation::new(world, common, Scope::User)?;
    let mut seen = Vec::new();
    for agent in AGENTS {
        for scope in Scope::ALL {
            let look = look(&installation, agent, scope);
            let proof = match &look {
                Ok(Look::Wired { line }) => Some(prove(agent, line, &world.cwd)?),
                _ => None,
            };
            seen.push(AgentSeen {
                title: agent.title,
                name: agent.name,
                scope,
                look,
                // A record that cannot be read says that there was a set-up.
                recorded: installation.record(agent, scope).map_or(true, |record| record.is_some()),
                found: found(world, &installation.ground, agent).is_some(),
                proof,
            });
        }
    }
    Ok(seen)
}

/// Asks the hook as the agent does, about something forbidden and something harmless.
fn prove(agent: &'static Agent, line: &str, cwd: &Path) -> Result<Proof, Failure> {
    // A name of its own: a session that is known would be judged by the folder where it began.
    let session = session_name()?;
    let ask = |command: &str| -> Result<Heard, String> {
        let message = (agent.call)(command, &cwd.display().to_string(), &session).to_string();
        let answer = answer(line, &message, cwd).map_err(|error| error.to_string())?;
        Ok((agent.hear)(&answer))
    };
    Ok(Proof { forbidden: ask(FORBIDDEN), harmless: ask(HARMLESS) })
}

fn answer(line: &str, message: &str, cwd: &Path) -> std::io::Result<Answer> {
    #[expect(clippy::disallowed_methods, reason = "the registered line, as the agent starts it: our own binary")]
    let mut command = Command::new("/bin/sh");
    command.args(["-c", line]).current_dir(cwd);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A hook that answers before it has read everything closes the pipe; its answer counts.
        stdin.write_all(message.as_bytes()).ok();
    }
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let stdout = thread::spawn(move || read_all(stdout));
    let stderr = thread::spawn(move || read_all(stderr));
    let status = wait(&mut child)?;
    let text =
        |thread: thread::JoinHandle<Vec<u8>>| String::from_utf8_lossy(&thread.join().unwrap_or_default()).into_owned();
    Ok(Answer { status, stdout: text(stdout), stderr: text(stderr) })
}

fn read_all(stream: Option<impl std::io::Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // What was read before an error is what the agent would have read.
        stream.take(SAID_BYTES_MAX).read_to_end(&mut bytes).ok();
    }
    bytes
}

/// Waits as long as the agent would.
fn wait(child: &mut Child) -> std::io::Result<Option<i32>> {
    const STEP: Duration = Duration::from_millis(5);
    for _ in 0..u64::from(AGENT_WAIT_SECONDS) * 1000 / 5 {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code());
        }
        thread::sleep(STEP);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}
