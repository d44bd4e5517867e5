// SPDX-License-Identifier: MIT OR Apache-2.0
//! The store of secrets on this machine: making it, opening it, and what to do where it does not open.
//!
//! In: the state folder, the configuration, the environment, a person at a terminal. Out: an open [`Vault`].
//!
//! **Invariant:** what needs nobody is tried first, and a person is asked once nothing else opens it; no source stands
//! in for another in silence. Every failure says what to do.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringfort_audit::{Durability, Trail};
use ringfort_core::clock::Clock;
use ringfort_core::entry::Entry;
use ringfort_policy::config::SecretsConfig;
use ringfort_runtime::supervisor::Signals;
use ringfort_secrets::backend::{Backend, Probe, Requested, Sight, SlotSeen, Status, Writes, classify};
use ringfort_secrets::locked::Locked;
use ringfort_secrets::passphrase::{ENV, EnvKeySource, PASSPHRASE, PassphraseSource};
use ringfort_secrets::root::{RootKeyError, RootKeySource};
use ringfort_secrets::root_file::{KEY_FILE, KeyFileSource};
use ringfort_secrets::store::{Header, Slot, StoreError, Vault};

use crate::commands::Failure;
use crate::prompt::{Prompt, PromptError};
use crate::wiring::World;

/// Names the value that opens the store, where no file and no person does.
pub(crate) const KEY_VARIABLE: &str = "RINGFORT_SECRET_STORE_KEY";
/// The folder of the store in the state folder.
const FOLDER: &str = "secrets";
/// The folder of keys in the state folder.
const KEYS_FOLDER: &str = "keys";
/// The key file of the store.
const KEY_FILE_NAME: &str = "secrets.key";
/// How often a person may try a passphrase in one command.
const TRIES_MAX: u32 = 3;

/// What a store is opened with.
pub(crate) struct Opener<'a> {
    pub(crate) world: &'a World,
    /// The state folder.
    pub(crate) state: &'a Path,
    pub(crate) config: &'a SecretsConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) signals: &'a Signals,
    /// Told of a store that is made, before it is.
    pub(crate) trail: Option<&'a Trail>,
}

/// What a command does where there is no store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It makes one.
    Make,
    /// It fails.
    Fail,
}

impl Opener<'_> {
    /// Where the store is.
    pub(crate) fn folder(&self) -> PathBuf {
        self.state.join(FOLDER)
    }

    /// Where its key file is, if it has one.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.state.join(KEYS_FOLDER).join(KEY_FILE_NAME)
    }

    /// Its header, if there is a store.
    ///
    /// # Errors
    ///
    /// It cannot be used.
    pub(crate) fn header(&self) -> Result<Option<Header>, Failure> {
        match Header::read(&self.folder()) {
            Ok(header) => Ok(Some(header)),
            Err(StoreError::Absent { .. }) => Ok(None),
            Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable(error)),
        }
    }

    /// The store, open.
    ///
    /// # Errors
    ///
    /// There is none, or it does not open; what to do is said.
    pub(crate) fn open(&self, missing: Missing) -> Result<Vault, Failure> {
        match (self.header()?, missing) {
            (Some(header), _) => self.open_existing(&header),
            (None, Missing::Make) => self.make(),
            (None, Missing::Fail) => {
                let error = anyhow::anyhow!("there are no secrets yet");
                Err(Failure::usage(error)
                    .help("`ringfort secrets set ID` stores the first one, and asks for its value"))
            }
        }
    }

    /// Makes the store, with the first source that serves.
    fn make(&self) -> Result<Vault, Failure> {
        let source = match self.status(None)?.writes {
            Writes::Store => self.new_source()?,
            Writes::Memory => {
                let error = anyhow::anyhow!("the backend `env` keeps nothing: a value would be gone with this command");
                return Err(Failure::usage(error).help("set `secrets.backend` to `auto`, or name another one"));
            }
            Writes::Refused { reason } => {
                let error = anyhow::anyhow!("nothing is stored: {reason}");
                return Err(Failure::usage(error).help("`ringfort secrets status` shows every backend"));
            }
        };
        if let Some(trail) = self.trail {
            let entry = Entry::event("secrets.create").fact("key_source", source.name());
            trail.append(&entry, Durability::Synced).map_err(Failure::guard)?;
        }
        Vault::create(&self.folder(), source.as_ref(), self.clock.as_ref()).map_err(unusable)
    }

    /// What a new store is opened with: the variable, a passphrase where a person sits at a terminal, else a key file.
    fn new_source(&self) -> Result<Box<dyn RootKeySource>, Failure> {
        if let Some(source) = self.variable()? {
            return Ok(Box::new(source));
        }
        if let Ok(prompt) = Prompt::open(self.signals) {
            prompt.say("This is the first secret, and its store is made now.").map_err(unasked)?;
            prompt
                .say("A passphrase keeps it closed even to who takes the disk. Empty: a key file opens it.")
                .map_err(unasked)?;
            let passphrase = new_passphrase(&prompt)?;
            if !passphrase.is_empty() {
                return Ok(Box::new(PassphraseSource::new(passphrase)));
            }
        }
        self.private_keys_folder()?;
        Ok(Box::new(KeyFileSource::new(self.key_file())))
    }

    /// What the backend that the configuration names comes to here.
    ///
    /// # Errors
    ///
    /// The header of the store cannot be read.
    pub(crate) fn status(&self, vault: Option<&Vault>) -> Result<Status, Failure> {
        let header = self.header()?;
        let slot = |(index, slot): (usize, &Slot)| SlotSeen { index, source: slot.data.source.clone() };
        let loaded = vault.map_or(0, |_| self.clock.now().0);
        let sight = Sight {
            path: self.folder(),
            slots: header.as_ref().map(|header| header.slots.iter().enumerate().map(slot).collect()),
            generation: header.as_ref().map(|header| header.generation),
            key_source: header.as_ref().and_then(|header| self.key_source(header)),
            loaded_at_ms: loaded,
            saved_at_ms: 0,
            count: vault.map_or(0, |vault| vault.len() as u64),
            locked: header.is_some() && vault.is_none(),
            allow_fallback: self.config.allow_fallback,
        };
        Ok(classify(&Requested::parse(&self.config.backend), &probe, &sight))
    }

    /// Where the root key comes from, by the first slot that needs nobody, else by the first.
    fn key_source(&self, header: &Header) -> Option<String> {
        let has = |name: &str| header.slots.iter().any(|slot| slot.data.source == name);
        if has(ENV) {
            return Some(format!("env:{KEY_VARIABLE}"));
        }
        if has(KEY_FILE) {
            return Some(KeyFileSource::new(self.key_file()).key_source());
        }
        header.slots.first().map(|slot| slot.data.source.clone())
    }

    /// The folder of keys, made if it is missing.
    fn private_keys_folder(&self) -> Result<(), Failure> {
        ringfort_runtime::state::private_folder(&self.state.join(KEYS_FOLDER)).map_err(Failure::guard)
    }

    /// The source from the environment, if it is set.
    fn variable(&self) -> Result<Option<EnvKeySource>, Failure> {
        let Some(value) = self.world.variable(KEY_VARIABLE).filter(|value| !value.is_empty()) else { return Ok(None) };
        let value = Locked::copy_of(value.as_encoded_bytes()).map_err(Failure::guard)?;
        Ok(Some(EnvKeySource::new(KEY_VARIABLE, value)))
    }

    fn open_existing(&self, header: &Header) -> Result<Vault, Failure> {
        let has = |name: &str| header.slots.iter().any(|slot| slot.data.source == name);
        let mut refused = None;
        let mut sources: Vec<Box<dyn RootKeySource>> = Vec::new();
        if let Some(source) = self.variable()?.filter(|_| has(ENV)) {
            sources.push(Box::new(source));
        }
        if has(KEY_FILE) {
            sources.push(Box::new(KeyFileSource::new(self.key_file())));
        }
        for source in sources {
            match Vault::open(&self.folder(), source.as_ref()) {
                Ok(vault) => return Ok(vault),
                Err(error @ (StoreError::Root(_) | StoreError::WrongKey { .. } | StoreError::NoSlot { .. })) => {
                    refused = Some(error);
                }
                Err(error) => return Err(unusable(error)),
            }
        }
        if has(PASSPHRASE) {
            return self.ask(refused);
        }
        Err(refused.map_or_else(|| self.closed(header), unusable))
    }

    /// Asks for the passphrase.
    fn ask(&self, refused: Option<StoreError>) -> Result<Vault, Failure> {
        let prompt = Prompt::open(self.signals).map_err(|error| {
            let because = refused.map_or_else(String::new, |refused| format!(" ({refused})"));
            let failure = Failure::usage(anyhow::anyhow!("the store of secrets is locked, and {error}{because}"));
            failure.help("unlock it first, on a terminal: `ringfort secrets unlock`")
        })?;
        for _ in 0..TRIES_MAX {
            let passphrase = prompt.hidden("Passphrase of the secrets: ").map_err(unasked)?;
            if passphrase.is_empty() {
                return Err(unasked(PromptError::Cancelled));
            }
            match Vault::open(&self.folder(), &PassphraseSource::new(passphrase)) {
                Ok(vault) => return Ok(vault),
                Err(StoreError::WrongKey { .. } | StoreError::Root(RootKeyError::Wrong { .. })) => {
                    prompt.say("That is not the passphrase.").map_err(unasked)?;
                }
                Err(error) => return Err(unusable(error)),
            }
        }
        let error = anyhow::anyhow!("the store of secrets stays locked: {TRIES_MAX} wrong passphrases");
        Err(Failure::usage(error).help(FORGOTTEN))
    }

    /// What to do where nothing that this process has opens the store.
    fn closed(&self, header: &Header) -> Failure {
        let slots: Vec<&str> = header.slots.iter().map(|slot| slot.data.source.as_str()).collect();
        let error = anyhow::anyhow!("nothing here opens the store of secrets; it is opened with: {}", slots.join(", "));
        let help = if slots.contains(&ENV) {
            format!("set {KEY_VARIABLE} to the value with which it was made")
        } else {
            "make it reachable, or restore a backup of the state folder".to_owned()
        };
        Failure::usage(error).help(help)
    }
}

/// How a backend is found on this machine.
fn probe(backend: Backend) -> Probe {
    match backend {
        Backend::Env | Backend::EncryptedFile => Probe::Ready,
        other => Probe::Absent { message: format!("this version of Ringfort was built without {other}") },
    }
}

/// What there is to do about a passphrase that nobody knows any more.
const FORGOTTEN: &str = "there is no way around a forgotten passphrase: move the folder `secrets` of the state folder away, \
                         set the secrets anew, and have those replaced that cannot be set again";

/// A new passphrase, asked for twice; empty where the person wants none.
///
/// # Errors
///
/// Nobody answered, or the answers differ.
pub(crate) fn new_passphrase(prompt: &Prompt<'_>) -> Result<Locked, Failure> {
    prompt.twice("New passphrase (empty for a key file): ", "Again: ").map_err(unasked)
}

/// A person could not be asked, or did not answer.
pub(crate) fn unasked(error: PromptError) -> Failure {
    let help = match error {
        PromptError::NoTerminal | PromptError::Background => "run it on a terminal of your own",
        PromptError::Differ => "nothing was changed; try again",
        PromptError::TooLong => "for example: `ringfort secrets set ID < FILE`",
        _ => "nothing was changed",
    };
    Failure::usage(error).help(help)
}

/// A failure of the store, with what to do.
pub(crate) fn unusable(error: StoreError) -> Failure {
    let help = help(&error);
    let failure = match &error {
        StoreError::NotFound { .. }
        | StoreError::NoVersion { .. }
        | StoreError::EntryExists { .. }
        | StoreError::Expired { .. }
        | StoreError::ValueTooLong { .. }
        | StoreError::Meta(_)
        | StoreError::Full
        | StoreError::SlotsFull
        | StoreError::Slot { .. }
        | StoreError::Root(RootKeyError::Locked { .. } | RootKeyError::Wrong { .. })
        | StoreError::WrongKey { .. } => Failure::usage(error),
        _ => Failure::guard(error),
    };
    match help {
        Some(help) => failure.help(help),
        None => failure,
    }
}

fn help(error: &StoreError) -> Option<&'static str> {
    Some(match error {
        StoreError::NotFound { .. } => "`ringfort secrets list` shows what there is",
        StoreError::Expired { .. } => "`ringfort secrets set ID --expires 90d` stores a new value",
        StoreError::WrongKey { .. } | StoreError::Root(RootKeyError::Wrong { .. }) => {
            "`ringfort secrets status` says what opens it"
        }
        StoreError::Unsafe { .. } => "nothing was read or changed; see who else can reach it, then set its rights",
        StoreError::Fault { .. } | StoreError::OnlyPrevious { .. } => {
            "nothing was changed; the generation before is `store.previous` beside it, and a backup may be newer"
        }
        StoreError::Busy { .. } => "another command is writing; try again",
        StoreError::Unsynced { .. } | StoreError::AnchorBehind { .. } => "run `ringfort secrets list` to see its state",
        StoreError::Memory(_) => "raise the limit of locked memory (`ulimit -l`)",
        StoreError::Root(_) => "`ringfort secrets status` says what opens it; `ringfort doctor` what is missing",
        _ => return None,
    })
}
