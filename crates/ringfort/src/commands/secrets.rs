// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ringfort secrets`: values that are stored sealed, and given out under permits.
//!
//! In: a person's choice; values from standard input or a hidden question. Out: what is written beside a value; a value
//! only where `--reveal` asks for it.
//!
//! **Invariant:** inside a cage nothing here works. No value is taken from the command line, and none is shown in a
//! message. What changes the store is on the record first, without the value.

mod edit;
mod limits;
mod lock;
mod permits;
mod resolve;
mod seal_config;
mod show;
mod transfer;

use std::sync::Arc;

use clap::{Args, Subcommand};
use ringfort_audit::Trail;
use ringfort_core::clock::Clock;
use ringfort_core::entry::Entry;
use ringfort_core::principal::Principal;
use ringfort_policy::load::Loaded;
use ringfort_runtime::clock::SystemClock;
use ringfort_runtime::state::StateFolder;
use ringfort_runtime::supervisor::Signals;
use ringfort_runtime::supervisor::broker::BROKER_VARIABLE;
use ringfort_secrets::id::SecretId;
use ringfort_secrets::store::{Earlier, Vault};

use self::limits::Limits;

use super::{Common, EXIT_DENIED, Failure};
use crate::store_desk::rekey::RekeyArgs;
use crate::store_desk::restore::RestoreArgs;
use crate::store_desk::slots::SlotCommand;
use crate::store_desk::{self, StoreDesk};
use crate::vault::{Missing, Opener, Which};
use crate::wiring::{World, open_state, open_trail};

/// Keep secrets, and give them to runs
///
/// Values are stored sealed and are given out one by one, each use on the record. A value comes from standard input or
/// from a question that does not show it, never from the command line, where every process could read it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ringfort secrets set github.token                     asks for the value
  pass github | ringfort secrets set github.token       takes it from another program
  ringfort run --secret github.token=GITHUB_TOKEN -- gh pr list
  ringfort secrets list
  ringfort secrets rotate github.token                  a new value; the one before is kept for a while
  ringfort secrets limit github.token --tool gh --env GITHUB_TOKEN
  ringfort secrets passphrase                           set or change the passphrase
  ringfort secrets lock")]
pub(crate) struct SecretsArgs {
    #[command(subcommand)]
    command: SecretsCommand,
}

#[derive(Debug, Subcommand)]
enum SecretsCommand {
    /// Store a value: a new secret, or the next version of one
    Set(edit::SetArgs),
    /// Give a secret a new value; the one before is kept for a while
    Rotate(edit::RotateArgs),
    /// Change what a secret may be used for
    Limit(edit::LimitArgs),
    /// Show one secret, without its value unless `--reveal` is given
    Get(show::GetArgs),
    /// List the secrets, without their values
    List,
    /// Delete a secret with all its versions
    Delete(edit::DeleteArgs),
    /// Say which of these targets have a secret, and where
    Resolve(resolve::ResolveArgs),
    /// Say where the secrets are, what opens them, and what is wrong with that
    Status,
    /// Open the store, so that other commands need not ask for a while
    Unlock,
    /// Close the store in all processes
    Lock,
    /// Set, change or take away the passphrase
    Passphrase(lock::PassphraseArgs),
    /// List and change what opens the store
    #[command(subcommand)]
    Slot(SlotCommand),
    /// Give the store a new key, and seal everything in it anew
    Rekey {
        #[command(flatten)]
        args: RekeyArgs,
        /// Values that were sealed in configuration files, and not sealed anew, open no more
        #[arg(long)]
        forget_sealed: bool,
    },
    /// Take back a store that was restored from a backup, moved or damaged
    Restore(RestoreArgs),
    /// Take secrets from another program: all of a file, or nothing
    Import(transfer::ImportArgs),
    /// Write secrets into a file that is sealed with age
    Export(transfer::ExportArgs),
    /// Seal the secrets that stand in a configuration file
    SealConfig(seal_config::SealConfigArgs),
}

/// What every subcommand works with.
struct Desk<'a> {
    world: &'a World,
    common: &'a Common,
    loaded: Loaded,
    state: StateFolder,
    clock: Arc<dyn Clock>,
    trail: Arc<Trail>,
    person: Principal,
    signals: Signals,
}

/// Runs the command.
///
/// # Errors
///
/// The store or the record cannot be used, or the answer is no.
pub(crate) fn run(args: &SecretsArgs, common: &Common) -> Result<u8, Failure> {
    let world = World::read().map_err(Failure::guard)?;
    if world.variable(BROKER_VARIABLE).is_some() {
        let error = anyhow::anyhow!("inside a cage the store of secrets is out of reach");
        return Err(Failure { status: EXIT_DENIED, ..Failure::usage(error) }
            .help("the person outside gives a run what it needs: `ringfort run --secret ID=VARIABLE -- …`"));
    }
    // Values are in the memory of this process from here on.
    ringfort_secrets::harden::process().map_err(Failure::guard)?;
    // Before a thread is started: a question has to end by a signal with the terminal as it was.
    let signals = Signals::take().map_err(Failure::guard)?;
    let loaded = match world.load(common, None) {
        // What stands in the file in an older form is what the command is there to mend.
        Err(_) if matches!(args.command, SecretsCommand::SealConfig(_)) => world.load_without_user_file()?,
        loaded => loaded?,
    };
    let state = open_state(&world, &world.places(common))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let trail = Arc::new(open_trail(&state, &clock)?);
    let person = world.principal().map_err(Failure::guard)?;
    let desk = Desk { world: &world, common, loaded, state, clock, trail, person, signals };
    match &args.command {
        SecretsCommand::Set(args) => desk.set(args),
        SecretsCommand::Rotate(args) => desk.rotate(args),
        SecretsCommand::Limit(args) => desk.limit(args),
        SecretsCommand::Get(args) => desk.get(args),
        SecretsCommand::List => desk.list(),
        SecretsCommand::Delete(args) => desk.delete(args),
        SecretsCommand::Resolve(args) => desk.resolve(args),
        SecretsCommand::Status => desk.status(),
        SecretsCommand::Unlock => desk.unlock(),
        SecretsCommand::Lock => desk.lock(),
        SecretsCommand::Passphrase(args) => desk.passphrase(args),
        SecretsCommand::Slot(command) => desk.store().slot(command),
        SecretsCommand::Rekey { args, forget_sealed } => {
            desk.store().rekey(args, if *forget_sealed { Earlier::Forgotten } else { Earlier::Kept })
        }
        SecretsCommand::Restore(args) => desk.store().restore(args),
        SecretsCommand::Import(args) => desk.import(args),
        SecretsCommand::Export(args) => desk.export(args),
        SecretsCommand::SealConfig(args) => desk.seal_config(args),
    }
}

/// Whether a message about the command line may hold a value: then the words are not shown.
pub(crate) fn may_hold_value(words: &[std::ffi::OsString]) -> bool {
    let is_one = |word: &std::ffi::OsString| {
        ["set", "rotate", "passphrase", "unlock", "import", "export"].iter().any(|name| word == name)
    };
    let mut words = words.iter().filter(|word| !word.as_encoded_bytes().starts_with(b"-"));
    words.any(|word| word == "secrets") && words.any(is_one)
}

/// What is said instead of naming the words.
pub(crate) fn unshown() -> Failure {
    let error = anyhow::anyhow!("the command line is not understood; its words are not shown, as one may be a value");
    Failure::usage(error).help(
        "a value comes from standard input or is asked for: `ringfort secrets set ID`; one that stood on a command line \
         was seen by every process and is in the history of the shell: replace it",
    )
}

impl Desk<'_> {
    fn opener(&self) -> Opener<'_> {
        Opener {
            which: Which::Secrets,
            world: self.world,
            state: self.state.root(),
            config: &self.loaded.config.secrets,
            clock: Arc::clone(&self.clock),
            signals: Some(&self.signals),
            trail: Some(&self.trail),
        }
    }

    fn store(&self) -> StoreDesk<'_> {
        let (trail, person) = (&self.trail, &self.person);
        StoreDesk { opener: self.opener(), trail, person, signals: &self.signals, json: self.common.json }
    }

    fn open(&self, missing: Missing) -> Result<Vault, Failure> {
        self.opener().open(missing)
    }

    /// Puts an event about one secret, or the store, on the record: what cannot be recorded does not happen.
    fn record(&self, event: &str, id: Option<&SecretId>, facts: &[(&str, serde_json::Value)]) -> Result<(), Failure> {
        let entry = Entry::event(event);
        let entry = id.map_or(entry.clone(), |id| entry.fact("id", id.as_str()));
        store_desk::record(&self.trail, &self.person, entry, facts)
    }

    /// Records that what was announced did not happen, and passes the failure on.
    fn failed(&self, event: &str, id: Option<&SecretId>, failure: Failure) -> Failure {
        let why = format!("{:#}", failure.error);
        // The failure itself is told; that it is not on the record as well adds nothing to do.
        drop(self.record(event, id, &[("result", "failed".into()), ("error", why.into())]));
        failure
    }
}

/// An id from the command line.
fn id(text: &str) -> Result<SecretId, Failure> {
    text.parse().map_err(|error| Failure::usage(anyhow::Error::from(error)))
}
