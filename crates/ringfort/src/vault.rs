// SPDX-License-Identifier: MIT OR Apache-2.0
//! The store of secrets on this machine: making it, opening it, and what to do where it does not open.
//!
//! In: the state folder, the configuration, the environment, a person at a terminal. Out: an open [`Vault`].
//!
//! **Invariant:** what needs nobody is tried first, and a person is asked once nothing else opens it; no source stands
//! in for another in silence. Every failure says what to do.

mod counter;
pub(crate) mod pins;
pub(crate) mod sources;
mod which;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ringfort_audit::{Durability, Trail};
use ringfort_core::clock::Clock;
use ringfort_core::entry::Entry;
use ringfort_ops::checks::StoreSeen;
use ringfort_policy::config::SecretsConfig;
use ringfort_runtime::supervisor::Signals;
use ringfort_secrets::backend::{Backend, Kind, Requested, Sight, SlotSeen, Status, Writes, classify};
use ringfort_secrets::kdf;
use ringfort_secrets::lock::{Limits, Why};
use ringfort_secrets::moment::KernelMoments;
use ringfort_secrets::passphrase::{ENV, PASSPHRASE, PassphraseSource};
use ringfort_secrets::root::{RootKeyError, RootKeySource};
use ringfort_secrets::root_file::{KEY_FILE, KeyFileSource};
use ringfort_secrets::session::{self, Held, NotHeld, SessionError};
use ringfort_secrets::store::{Fault, Header, Reached, Slot, StoreError, Vault};
use ringfort_secrets::strength::{self, Strength};

use self::sources::{PKCS11, TPM2, remark};
pub(crate) use self::which::Which;
use crate::commands::Failure;
use crate::prompt::{Prompt, PromptError};
use crate::wiring::World;

/// Names the value that opens the store, where no file and no person does.
pub(crate) const KEY_VARIABLE: &str = "RINGFORT_SECRET_STORE_KEY";
/// The folder of key files in the state folder.
const KEYS_FOLDER: &str = "keys";
/// How often a person may try a passphrase in one command.
const TRIES_MAX: u32 = 3;

/// What a store is opened with.
pub(crate) struct Opener<'a> {
    /// The store.
    pub(crate) which: Which,
    pub(crate) world: &'a World,
    /// The state folder.
    pub(crate) state: &'a Path,
    pub(crate) config: &'a SecretsConfig,
    pub(crate) clock: Arc<dyn Clock>,
    /// What ends a question; `None`: nobody is asked.
    pub(crate) signals: Option<&'a Signals>,
    /// Told of a store that is made, before it is.
    pub(crate) trail: Option<&'a Trail>,
}

/// What is done with a source of the root key.
pub(crate) type Work<'a, T> = &'a dyn Fn(&dyn RootKeySource) -> Result<T, StoreError>;

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
        self.state.join(self.which.folder())
    }

    /// Where its key file is, if it has one.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.state.join(KEYS_FOLDER).join(self.which.key_file())
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
            Err(error) => Err(self.unusable(error)),
        }
    }

    /// The store, open.
    ///
    /// # Errors
    ///
    /// There is none, or it does not open; what to do is said.
    pub(crate) fn open(&self, missing: Missing) -> Result<Vault, Failure> {
        match (self.header()?, missing) {
            (Some(header), Missing::Make) => {
                self.may_write()?;
                self.open_existing(&header)
            }
            (Some(header), Missing::Fail) => self.open_existing(&header),
            (None, Missing::Make) => self.make(),
            (None, Missing::Fail) => {
                let error = anyhow::anyhow!("there are no {} yet", self.which.command());
                Err(Failure::usage(error).help(self.which.first()))
            }
        }
    }

    /// Makes the store, with the first source that serves.
    fn make(&self) -> Result<Vault, Failure> {
        self.can_count()?;
        let status = self.status(None)?;
        writable(&status, "`ringfort secrets status` shows every backend")?;
        let source = match status.active_backend {
            Backend::EncryptedFile => self.new_source()?,
            native => self.native(native)?,
        };
        if let Some(trail) = self.trail {
            let entry = Entry::event("secrets.create").fact("key_source", source.name());
            trail.append(&entry, Durability::Synced).map_err(Failure::guard)?;
        }
        let vault = Vault::create(&self.folder(), source.as_ref(), self.clock.as_ref());
        let mut vault = vault.map_err(|error| self.unusable(error))?;
        self.count(&mut vault)?;
        if let Some(remark) = remark(source.name())
            && let Ok(prompt) = self.prompt()
        {
            prompt.say(remark).map_err(unasked)?;
        }
        if source.name() == PASSPHRASE {
            // Who has just typed it twice is not asked again by the next command.
            self.hold(&vault)?;
        }
        Ok(vault)
    }

    /// What a new store is opened with: the variable, a passphrase where a person sits at a terminal, else a key file.
    fn new_source(&self) -> Result<Box<dyn RootKeySource>, Failure> {
        if let Some(source) = self.variable()? {
            return Ok(Box::new(source));
        }
        if let Ok(prompt) = self.prompt() {
            prompt.say("This is the first secret, and its store is made now.").map_err(unasked)?;
            prompt
                .say("A passphrase keeps it closed even to who takes the disk. Empty: a key file opens it.")
                .map_err(unasked)?;
            let question = "New passphrase (empty for a key file): ";
            if let Some(source) = new_passphrase(&prompt, question, self.clock.as_ref())? {
                return Ok(Box::new(source));
            }
        }
        self.private_keys_folder()?;
        Ok(Box::new(KeyFileSource::new(self.key_file())))
    }

    /// Refuses to write where the configuration names a backend that the store does not have; `auto` names none.
    fn may_write(&self) -> Result<(), Failure> {
        match Requested::parse(&self.config.backend).kind() {
            Kind::Auto => Ok(()),
            _ => writable(&self.status(None)?, "`ringfort secrets slot add` adds a way to open the store"),
        }
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
            key_given: self.variable()?.map(|source| source.key_source()),
        };
        Ok(classify(&Requested::parse(&self.config.backend), &|backend| self.probe(backend), &sight))
    }

    fn prompt(&self) -> Result<Prompt<'_>, PromptError> {
        Prompt::open(self.signals.ok_or(PromptError::NoTerminal)?)
    }

    /// What is to be told of the store without opening it.
    ///
    /// # Errors
    ///
    /// It cannot be used, with the reason.
    pub(crate) fn seen(&self) -> Result<StoreSeen, String> {
        let why = |failure: Failure| format!("{:#}", failure.error);
        let header = self.header().map_err(why)?;
        let status = self.status(None).map_err(why)?;
        let refused = |header: Header| {
            let slot = header.slots.iter().find(|slot| slot.data.source == KEY_FILE)?;
            let opened = KeyFileSource::new(self.key_file()).open(header.store, &slot.data);
            opened.err().map(|error| error.to_string())
        };
        let counter = self.counter_seen(header.as_ref());
        let pin_files = header.as_ref().map_or_else(Vec::new, |header| self.pin_faults(header));
        Ok(StoreSeen { status, key_file: header.and_then(refused), pin_files, counter })
    }

    /// The folder of keys, made if it is missing.
    pub(crate) fn private_keys_folder(&self) -> Result<(), Failure> {
        ringfort_runtime::state::private_folder(&self.state.join(KEYS_FOLDER)).map_err(Failure::guard)
    }

    /// The store, if nobody needs to be asked for it; else why not.
    ///
    /// # Errors
    ///
    /// It cannot be used, whoever opens it.
    pub(crate) fn quiet(&self, header: &Header) -> Result<Result<Vault, Shut>, Failure> {
        let mut shut = Shut { refused: None, because: None };
        let options = self.options(header)?;
        match session::held(header.store, self.limits(), &KernelMoments) {
            Ok(Held::Key(key)) => match Vault::open_with_as(&self.folder(), key, options.clone()) {
                Ok(vault) => return Ok(Ok(vault)),
                // It is of an earlier key of the store.
                Err(StoreError::WrongKey { .. }) => {}
                Err(error) => return Err(self.unusable(error)),
            },
            Ok(Held::Not(NotHeld::Locked(why))) => shut.because = Some(why),
            // Where nothing is held between commands each one asks.
            Ok(Held::Not(NotHeld::Absent)) | Err(SessionError::Unavailable { .. }) => {}
            Err(error) => return Err(Failure::guard(error).help(STILL_OPEN)),
        }
        let open = |source: &dyn RootKeySource| Vault::open_as(&self.folder(), source, options.clone());
        Ok(self.first_quiet(header, &open)?.map_err(|refused| {
            shut.refused = refused;
            shut
        }))
    }

    /// Does something that needs a source of the root key, with the first that asks nobody and opens; else why the last
    /// of them did not.
    fn first_quiet<T>(&self, header: &Header, work: Work<'_, T>) -> Result<Result<T, Option<StoreError>>, Failure> {
        let mut refused = None;
        for name in self.quiet_names().filter(|name| header.slots.iter().any(|slot| slot.data.source == *name)) {
            let Some(source) = self.source(name)? else { continue };
            match work(source.as_ref()) {
                Ok(done) => return Ok(Ok(done)),
                Err(error @ (StoreError::Root(_) | StoreError::WrongKey { .. } | StoreError::NoSlot { .. })) => {
                    if matches!(error, StoreError::Root(RootKeyError::WrongPin { .. })) {
                        self.count_refused(header);
                    }
                    refused = Some(error);
                }
                Err(error) => return Err(self.unusable(error)),
            }
        }
        Ok(Err(refused))
    }

    fn open_existing(&self, header: &Header) -> Result<Vault, Failure> {
        let shut = match self.quiet(header)? {
            Ok(vault) => return Ok(vault),
            Err(shut) => shut,
        };
        let options = self.options(header)?;
        let open = |source: &dyn RootKeySource| Vault::open_as(&self.folder(), source, options.clone());
        let vault = self.by_person(header, shut, &open)?;
        self.hold(&vault)?;
        Ok(vault)
    }

    /// Keeps the store unlocked for who was just asked, where the kernel does.
    pub(crate) fn hold(&self, vault: &Vault) -> Result<(), Failure> {
        match session::hold(vault.id(), vault.store_key(), self.limits(), &KernelMoments) {
            Ok(()) | Err(SessionError::Unavailable { .. }) => Ok(()),
            Err(error) => Err(Failure::guard(error).help(STILL_OPEN)),
        }
    }

    /// Does something that needs a source of the root key, with the first that opens: those that ask nobody, then the
    /// token, then the passphrase.
    ///
    /// # Errors
    ///
    /// None opens, or what is done fails.
    pub(crate) fn with_source<T>(&self, header: &Header, work: Work<'_, T>) -> Result<T, Failure> {
        match self.first_quiet(header, work)? {
            Ok(done) => Ok(done),
            Err(refused) => self.by_person(header, Shut { refused, because: None }, work),
        }
    }

    /// The slots of the source `name`, with their root keys, or why they are out of reach. A person is asked where only
    /// one knows it.
    ///
    /// # Errors
    ///
    /// Nobody can be asked, or answered rightly; the store cannot be used.
    pub(crate) fn reach(&self, header: &Header, name: &str) -> Result<Result<Vec<Reached>, String>, Failure> {
        let reach = |source: &dyn RootKeySource| header.reach(source);
        if name == PASSPHRASE || (name == TPM2 && self.asks_pin(header)) {
            // The store may well be unlocked: its key alone is not enough here.
            let prompt = self.prompt().map(drop).map_err(anyhow::Error::from);
            prompt.map_err(|error| {
                let what = if name == PASSPHRASE { "the passphrase" } else { "the PIN of the TPM" };
                let error = error.context(format!("{what} is needed"));
                Failure::usage(error).help("nothing was changed; run it on a terminal of your own")
            })?;
            let mut only = header.clone();
            only.slots.retain(|slot| slot.data.source == name);
            return self.by_person(&only, Shut { refused: None, because: None }, &reach).map(Ok);
        }
        let Some(source) = self.source(name)? else { return Ok(Err("it is not set here".to_owned())) };
        let is_typed = name == PKCS11 && self.token_source().is_none();
        let done = if is_typed { self.attempt(header, || reach(source.as_ref()))? } else { reach(source.as_ref()) };
        if !is_typed && matches!(done, Err(StoreError::Root(RootKeyError::WrongPin { .. }))) {
            self.count_refused(header);
        }
        match done {
            Ok(reached) => Ok(Ok(reached)),
            Err(error @ (StoreError::Root(_) | StoreError::WrongKey { .. })) => Ok(Err(error.to_string())),
            Err(error) => Err(self.unusable(error)),
        }
    }

    /// Asks for the passphrase, and counts each attempt before it is tried.
    pub(crate) fn ask(&self, header: &Header, prompt: &Prompt<'_>) -> Result<Vault, Failure> {
        let options = self.options(header)?;
        self.ask_for(header, prompt, &|source| Vault::open_as(&self.folder(), source, options.clone()))
    }

    fn ask_for<T>(&self, header: &Header, prompt: &Prompt<'_>, work: Work<'_, T>) -> Result<T, Failure> {
        let lockout = self.lockout(header);
        let _silent = prompt.silence().map_err(unasked)?;
        let caller = pins::caller("cli");
        for _ in 0..TRIES_MAX {
            let standing =
                lockout.standing(&caller, &KernelMoments).map_err(|error| Failure::usage(error).help(WAIT))?;
            if !standing.wait.is_zero() {
                break;
            }
            let passphrase = prompt.hidden("Passphrase of the secrets: ").map_err(unasked)?;
            if passphrase.is_empty() {
                return Err(unasked(PromptError::Cancelled));
            }
            let attempt = lockout.charge(&caller, &KernelMoments).map_err(|error| Failure::usage(error).help(WAIT))?;
            match work(&PassphraseSource::new(passphrase)) {
                Ok(done) => {
                    attempt.succeeded(&KernelMoments).map_err(Failure::guard)?;
                    return Ok(done);
                }
                Err(StoreError::WrongKey { .. } | StoreError::Root(RootKeyError::Wrong { .. })) => {
                    prompt.say("That is not the passphrase.").map_err(unasked)?;
                }
                Err(error) => return Err(self.unusable(error)),
            }
        }
        // The next attempt says how long to wait, if it has to.
        let standing = lockout.standing(&caller, &KernelMoments).map_err(|error| Failure::usage(error).help(WAIT))?;
        if !standing.wait.is_zero() {
            let error = anyhow::anyhow!(
                "the store of secrets stays locked: {} wrong passphrases, so wait for {} s",
                standing.failures.max(standing.total),
                standing.wait.as_secs().max(1)
            );
            return Err(Failure::usage(error).help(FORGOTTEN));
        }
        let error = anyhow::anyhow!("the store of secrets stays locked: {TRIES_MAX} wrong passphrases");
        Err(Failure::usage(error).help(FORGOTTEN))
    }

    /// How long the store stays unlocked.
    pub(crate) fn limits(&self) -> Limits {
        Limits::new(Duration::from_secs(u64::from(self.config.idle_lock_minutes) * 60))
    }

    /// What to do where nothing that this process has opens the store.
    fn closed(&self, header: &Header) -> Failure {
        let slots: Vec<&str> = header.slots.iter().map(|slot| slot.data.source.as_str()).collect();
        let title = self.which.title();
        let error = anyhow::anyhow!("nothing here opens {title}; it is opened with: {}", slots.join(", "));
        let help = if slots.contains(&ENV) {
            format!("set {KEY_VARIABLE} to the value with which it was made")
        } else {
            "make it reachable, or restore a backup of the state folder".to_owned()
        };
        Failure::usage(error).help(help)
    }

    /// A failure of the store, with what to do.
    pub(crate) fn unusable(&self, error: StoreError) -> Failure {
        unusable_of(self.which, error)
    }
}

/// Why a store does not open without a person.
#[derive(Debug)]
pub(crate) struct Shut {
    /// The last source that failed.
    refused: Option<StoreError>,
    /// Why it is not unlocked any more.
    because: Option<Why>,
}

/// Fails where nothing may be written.
fn writable(status: &Status, help: &str) -> Result<(), Failure> {
    match &status.writes {
        Writes::Store => Ok(()),
        Writes::Memory => {
            let error = anyhow::anyhow!("the backend `env` keeps nothing: a value would be gone with this command");
            Err(Failure::usage(error).help("set `secrets.backend` to `auto`, or name another one"))
        }
        Writes::Refused { reason } => Err(Failure::usage(anyhow::anyhow!("nothing is stored: {reason}")).help(help)),
    }
}

/// What there is to do about a passphrase that nobody knows any more.
const FORGOTTEN: &str = "a forgotten passphrase cannot be got around; while the store is still unlocked \
                         `ringfort secrets passphrase --forgotten` sets a new one; else move the folder `secrets` of the \
                         state folder away and set the secrets anew";
/// What there is to do about too many attempts.
const WAIT: &str = "each further attempt waits; nothing is lost by waiting";
/// What there is to do about a key that stays where it is.
const STILL_OPEN: &str = "the store may still be unlocked; log out, or restart the machine, to be sure";
/// Where attempts are counted, in the folder of the store.
const LOCKOUT_NAME: &str = "lockout";
/// How long a guess of a new passphrase is to take.
const GUESS_TIME: Duration = Duration::from_millis(500);

/// A new passphrase, asked for until it will do, with what makes guessing it slow here; `None` where the person wants
/// none.
///
/// # Errors
///
/// Nobody answered, or what was answered will not do.
pub(crate) fn new_passphrase(
    prompt: &Prompt<'_>,
    question: &str,
    clock: &dyn Clock,
) -> Result<Option<PassphraseSource>, Failure> {
    let _silent = prompt.silence().map_err(unasked)?;
    for _ in 0..TRIES_MAX {
        let passphrase = match prompt.twice(question, "Again: ") {
            Err(error @ PromptError::Differ) => {
                prompt.say(&format!("{error}.")).map_err(unasked)?;
                continue;
            }
            answer => answer.map_err(unasked)?,
        };
        if passphrase.is_empty() {
            return Ok(None);
        }
        match strength::judge(&passphrase, &[]).map_err(Failure::guard)? {
            Strength::Good { .. } => {
                let measured = kdf::measure(GUESS_TIME, clock).map_err(Failure::guard)?;
                return Ok(Some(PassphraseSource::new(passphrase).with_params(measured.params)));
            }
            Strength::Weak(weakness) => {
                prompt.say(&format!("That is too easy to guess: {weakness}.")).map_err(unasked)?;
            }
        }
    }
    let error = anyhow::anyhow!("no new passphrase was given");
    Err(Failure::usage(error).help("nothing was changed; four or five words that do not belong together will do"))
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

/// A failure of the store of secrets, with what to do.
pub(crate) fn unusable(error: StoreError) -> Failure {
    unusable_of(Which::Secrets, error)
}

/// A failure of one of the stores, with what to do.
pub(crate) fn unusable_of(which: Which, error: StoreError) -> Failure {
    let help = help(which, &error);
    let failure = match &error {
        StoreError::NotFound { .. }
        | StoreError::NoVersion { .. }
        | StoreError::EntryExists { .. }
        | StoreError::Expired { .. }
        | StoreError::ValueTooLong { .. }
        | StoreError::Meta(_)
        | StoreError::Full
        | StoreError::SlotsFull
        | StoreError::SeedsFull
        | StoreError::OutOfReach { .. }
        | StoreError::Slot { .. }
        | StoreError::Root(RootKeyError::Locked { .. } | RootKeyError::Wrong { .. } | RootKeyError::WrongPin { .. })
        | StoreError::WrongKey { .. } => Failure::usage(error),
        _ => Failure::guard(error),
    };
    match help {
        Some(help) => failure.help(help),
        None => failure,
    }
}

fn help(which: Which, error: &StoreError) -> Option<String> {
    let command = which.command();
    Some(match error {
        StoreError::NotFound { .. } => format!("`ringfort {command} list` shows what there is"),
        StoreError::Expired { .. } => "`ringfort secrets set ID --expires 90d` stores a new value".to_owned(),
        StoreError::WrongKey { .. } | StoreError::NoSlot { .. } | StoreError::Root(RootKeyError::Wrong { .. }) => {
            format!("`ringfort {command} status` says what opens it")
        }
        StoreError::Unsafe { .. } => {
            "nothing was read or changed; see who else can reach it, then set its rights".to_owned()
        }
        StoreError::Fault { fault: Fault::Older { .. } | Fault::AnchorMissing | Fault::AnchorDamaged, .. } => format!(
            "nothing was changed; if you restored or moved it yourself, `ringfort {command} restore` takes it as it is"
        ),
        StoreError::Fault { .. } | StoreError::OnlyPrevious { .. } => format!(
            "nothing was changed; put a backup back, or go back by one change: `ringfort {command} restore --previous`"
        ),
        StoreError::Busy { .. } => "another command is writing; try again".to_owned(),
        StoreError::Unsynced { .. } | StoreError::AnchorBehind { .. } => {
            format!("run `ringfort {command} list` to see its state")
        }
        StoreError::SeedsFull => "seal every configuration file anew (`ringfort secrets seal-config --migrate`), then \
                                  `ringfort secrets rekey --forget-sealed`"
            .to_owned(),
        StoreError::Memory(_) => "raise the limit of locked memory (`ulimit -l`)".to_owned(),
        StoreError::Root(_) => {
            format!("`ringfort {command} status` says what opens it; `ringfort doctor` what is missing")
        }
        StoreError::Anchor { .. } => format!(
            "nothing was changed; make the TPM reachable whose counter follows the store; where that is gone for good \
             `ringfort {command} restore` takes the store as it is"
        ),
        _ => return None,
    })
}
