// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ringfort keys`: keys that sign and authenticate, their versions and their rotation.
//!
//! In: a person's choice; a file to sign or to verify. Out: what is known of keys, public halves, signatures; exit status
//! 1 where a signature does not hold.
//!
//! **Invariant:** inside a cage nothing here works. No private half is ever shown. Every use of a key is on the record
//! first, and what cannot be recorded does not happen.

mod show;
mod status;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use ringfort_audit::Trail;
use ringfort_core::clock::Clock;
use ringfort_core::principal::Principal;
use ringfort_policy::config::SecretsConfig;
use ringfort_runtime::clock::SystemClock;
use ringfort_runtime::supervisor::Signals;
use ringfort_runtime::supervisor::broker::BROKER_VARIABLE;
use ringfort_secrets::backend::pkcs11::{TokenKeys, TokenOptions};
use ringfort_secrets::backend::tpm2::TpmKeys;
use ringfort_secrets::keys::audit::{KeyAudit, LookOnly};
use ringfort_secrets::keys::public::{self, Form};
use ringfort_secrets::keys::record::KeyName;
use ringfort_secrets::keys::ring::{KeyRing, Old, RingError, Wish};
use ringfort_secrets::keys::sshsig::{Content, Parsed, TEXT_MAX};
use ringfort_secrets::keys::{KeyKind, KeyProvider};
use ringfort_secrets::store::{Earlier, StoreError};
use serde_json::json;

use super::approvals::duration;
use super::{Common, EXIT_DENIED, EXIT_FAILED, EXIT_OK, Failure};
use crate::keyring::{self, Missing, Parts, TrailAudit};
use crate::output;
use crate::prompt::{Prompt, PromptError};
use crate::store_desk::StoreDesk;
use crate::store_desk::rekey::RekeyArgs;
use crate::store_desk::restore::RestoreArgs;
use crate::store_desk::slots::SlotCommand;
use crate::vault::pins::{token_file, token_pin};
use crate::vault::sources::{token_options, tpm_options};
use crate::vault::{Opener, Which, unasked, unusable_of};
use crate::wiring::{World, open_state, open_trail};

/// Make, use and rotate keys that sign
///
/// Private halves are sealed in the state folder and never shown. Each use of a key is on the record. A key with a
/// schedule is rotated by the first use after its time; what its older versions signed stays verifiable.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ringfort keys generate release --rotate-every 90d
  ringfort keys sign release dist.tar.gz > dist.tar.gz.sig
  ringfort keys verify release --signature dist.tar.gz.sig dist.tar.gz
  ringfort keys public release                  for others, who verify with `ssh-keygen -Y verify`
  ringfort keys rotate release                  a new version signs, the old one verifies
  ringfort keys rotate release --destroy-old    nothing that the old one signed holds any more
  ringfort keys slot add tpm2                   what else opens the store of the private halves")]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// List the keys with their versions, and whether one is overdue
    List,
    /// Make a key
    Generate {
        /// Its name: a lower-case letter, then lower-case letters, digits, `-` and `_`
        name: KeyName,
        /// What it is for, and its algorithm
        #[arg(long, default_value = "ed25519")]
        kind: Kind,
        /// Where its private half is made and used: `software`, `tpm2` or `pkcs11`
        #[arg(long, default_value = "software")]
        provider: String,
        /// How often it is rotated, from 1d on; never without this
        #[arg(long, value_name = "PERIOD")]
        rotate_every: Option<String>,
    },
    /// Make a key's next version, which signs from now on
    Rotate {
        /// The key
        name: KeyName,
        /// Destroy every older version: nothing that they signed holds any more
        #[arg(long)]
        destroy_old: bool,
        /// From now on rotate it so often
        #[arg(long, value_name = "PERIOD", conflicts_with = "never")]
        rotate_every: Option<String>,
        /// From now on rotate it only by hand
        #[arg(long)]
        never: bool,
    },
    /// Print the public half of a key
    Public {
        /// The key
        name: KeyName,
        /// The version; the newest unless given
        #[arg(long, value_name = "NUMBER")]
        version: Option<u64>,
        /// The form
        #[arg(long, default_value = "openssh")]
        format: PublicForm,
    },
    /// Sign a file; the signature is printed, in the form of OpenSSH
    Sign {
        /// The key
        name: KeyName,
        /// The file; standard input unless given
        file: Option<PathBuf>,
    },
    /// Verify the signature of a file by one of the keys here
    Verify {
        /// The key that should have signed it
        name: KeyName,
        /// The file with the signature
        #[arg(long, value_name = "FILE")]
        signature: PathBuf,
        /// The file that was signed; standard input unless given
        file: Option<PathBuf>,
    },
    /// Say where the private halves are, what opens their store, and what is wrong with that
    Status,
    #[command(flatten)]
    Store(StoreCommand),
}

/// What is done with the store of the private halves.
#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// List and change what opens the store of the private halves
    #[command(subcommand)]
    Slot(SlotCommand),
    /// Give the store of the private halves a new key, and seal everything in it anew
    Rekey(RekeyArgs),
    /// Take back a store that was restored from a backup, moved or damaged
    Restore(RestoreArgs),
}

/// The kinds of keys, as words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Signs; the usual choice
    Ed25519,
    /// Signs; for verifiers that know no Ed25519, and for devices
    EcdsaP256,
    /// Authenticates and derives, inside Ringfort only: there is no public half
    HmacSha256,
}

impl Kind {
    const fn known(self) -> KeyKind {
        match self {
            Self::Ed25519 => KeyKind::Ed25519,
            Self::EcdsaP256 => KeyKind::EcdsaP256,
            Self::HmacSha256 => KeyKind::HmacSha256,
        }
    }
}

/// The forms of public halves, as words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PublicForm {
    /// One line, as in `authorized_keys`
    Openssh,
    /// `PUBLIC KEY`, for OpenSSL and most others
    Pem,
    /// Base64 of the raw bytes
    Raw,
    /// Verifier key of C2SP signed notes; Ed25519 only
    Note,
}

/// What every subcommand works with.
struct Desk<'a> {
    common: &'a Common,
    world: &'a World,
    state: PathBuf,
    config: SecretsConfig,
    audit: Arc<dyn KeyAudit>,
    clock: Arc<dyn Clock>,
    /// Where a person may be asked: for the PIN of a token, or whether a change is meant.
    signals: Option<Signals>,
}

/// Runs the command.
///
/// # Errors
///
/// The keys or the record cannot be used, or the answer is no.
pub(crate) fn run(args: &KeysArgs, common: &Common) -> Result<u8, Failure> {
    let world = World::read().map_err(Failure::guard)?;
    if world.variable(BROKER_VARIABLE).is_some() {
        let error = anyhow::anyhow!("inside a cage the keys are out of reach: they are for the person outside");
        return Err(Failure { status: EXIT_DENIED, ..Failure::usage(error) });
    }
    ringfort_secrets::harden::process().map_err(Failure::guard)?;
    let config = world.load(common, None)?.config.secrets;
    // Before a thread is started: a question has to end by a signal with the terminal as it was.
    let asks = config.pkcs11_module.is_some() || matches!(args.command, KeysCommand::Store(_));
    let signals = asks.then(Signals::take).transpose().map_err(Failure::guard)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let state = world.places(common).state;
    let mut desk = Desk { common, world: &world, state, config, audit: Arc::new(LookOnly), clock, signals };
    match &args.command {
        KeysCommand::List => desk.list(),
        KeysCommand::Status => desk.status(),
        KeysCommand::Verify { name, signature, file } => desk.verify(name, signature, file.as_deref()),
        KeysCommand::Generate { name, kind, provider, rotate_every } => {
            let rotate_every = rotate_every.as_deref().map(duration).transpose()?;
            let wish = Wish { kind: kind.known(), provider: provider.clone(), rotate_every };
            desk.on_record()?.generate(name, &wish)
        }
        KeysCommand::Rotate { name, destroy_old, rotate_every, never } => {
            let every = rotate_every.as_deref().map(duration).transpose()?;
            let schedule = if *never { Some(None) } else { every.map(Some) };
            let old = if *destroy_old { Old::Destroyed } else { Old::Verifies };
            desk.on_record()?.rotate(name, old, schedule)
        }
        KeysCommand::Public { name, version, format } => desk.on_record()?.public(name, *version, *format),
        KeysCommand::Sign { name, file } => desk.on_record()?.sign(name, file.as_deref()),
        KeysCommand::Store(command) => desk.store(command),
    }
}

impl Desk<'_> {
    /// The record, and who is on it. Looking needs none, and makes no state folder.
    fn record(&self) -> Result<(Arc<Trail>, Principal), Failure> {
        let state = open_state(self.world, &self.world.places(self.common))?;
        let trail = open_trail(&state, &self.clock)?;
        Ok((Arc::new(trail), self.world.principal().map_err(Failure::guard)?))
    }

    /// From here on every use of a key is on the record.
    fn on_record(&mut self) -> Result<&Self, Failure> {
        let (trail, principal) = self.record()?;
        self.audit = Arc::new(TrailAudit { trail, principal });
        Ok(self)
    }

    /// Does something with the store of the private halves.
    fn store(&self, command: &StoreCommand) -> Result<u8, Failure> {
        let signals = self.signals.as_ref().ok_or_else(|| unasked(PromptError::NoTerminal))?;
        let (trail, person) = self.record()?;
        let opener = Opener { trail: Some(&trail), signals: Some(signals), ..self.opener() };
        let desk = StoreDesk { opener, trail: &trail, person: &person, signals, json: self.common.json };
        match command {
            StoreCommand::Slot(command) => desk.slot(command),
            StoreCommand::Rekey(args) => desk.rekey(args, Earlier::Kept),
            StoreCommand::Restore(args) => desk.restore(args),
        }
    }

    /// What opens the store of the private halves; asks nobody.
    fn opener(&self) -> Opener<'_> {
        let clock = Arc::clone(&self.clock);
        let (world, config, state) = (self.world, &self.config, self.state.as_path());
        Opener { which: Which::Keys, world, state, config, clock, signals: None, trail: None }
    }

    fn ring(&self, missing: Missing, device: Option<Arc<dyn KeyProvider>>) -> Result<Option<KeyRing>, Failure> {
        let audit = Arc::clone(&self.audit);
        let sources = self.opener().quiet_sources()?;
        let parts = Parts { state: &self.state, config: &self.config, sources, audit, clock: &self.clock, device };
        keyring::open(parts, missing).map_err(unopened)
    }

    /// The ring for what a key's public half is enough for.
    fn ring_of(&self, name: &KeyName) -> Result<KeyRing, Failure> {
        self.ring(Missing::Leave, None)?.ok_or_else(|| refused(RingError::Absent { name: name.clone() }))
    }

    /// The ring with the device in which the key is.
    fn ring_with(&self, name: &KeyName) -> Result<KeyRing, Failure> {
        let ring = self.ring_of(name)?;
        match self.device(&ring.info(name).map_err(refused)?.provider)? {
            None => Ok(ring),
            device => {
                self.ring(Missing::Leave, device)?.ok_or_else(|| refused(RingError::Absent { name: name.clone() }))
            }
        }
    }

    /// The device of this name; none for what this process does itself, and for what is not configured.
    fn device(&self, provider: &str) -> Result<Option<Arc<dyn KeyProvider>>, Failure> {
        match (provider, &self.signals) {
            ("tpm2", _) => Ok(Some(Arc::new(TpmKeys::new(tpm_options(&self.config))))),
            ("pkcs11", Some(signals)) => {
                if let (Some(file), Some(options)) =
                    (token_file(&self.config, &self.state), token_options(&self.config, None))
                {
                    let pin = Some(Arc::new(token_pin(&options, &file)?));
                    return Ok(Some(Arc::new(TokenKeys::new(TokenOptions { pin, ..options }))));
                }
                let prompt = Prompt::open(signals).map_err(unasked)?;
                let pin = prompt.hidden("PIN of the token: ").map_err(unasked)?;
                let options = token_options(&self.config, Some(pin).filter(|pin| !pin.is_empty()));
                Ok(options.map(|options| Arc::new(TokenKeys::new(options)) as Arc<dyn KeyProvider>))
            }
            _ => Ok(None),
        }
    }

    fn list(&self) -> Result<u8, Failure> {
        let keys = match self.ring(Missing::Leave, None)? {
            Some(ring) => ring.list().map_err(refused)?,
            None => Vec::new(),
        };
        let mut out = anstream::stdout().lock();
        if keys.is_empty() && !self.common.json {
            writeln!(out, "there are no keys; `ringfort keys generate NAME` makes one")?;
        }
        let mut status = EXIT_OK;
        for key in &keys {
            if key.info.is_err() {
                status = EXIT_FAILED;
            }
            if self.common.json {
                output::json_line(&mut out, &show::json(key))?;
            } else {
                show::text(&mut out, key, self.clock.now())?;
            }
        }
        Ok(status)
    }

    fn generate(&self, name: &KeyName, wish: &Wish) -> Result<u8, Failure> {
        let none = || Failure::guard(anyhow::anyhow!("the store of the keys was not made"));
        let ring = self.ring(Missing::Make, self.device(&wish.provider)?)?.ok_or_else(none)?;
        let info = ring.generate(name, wish).map_err(refused)?;
        self.changed(&info, &format!("made the key `{name}` ({})", info.kind))
    }

    fn rotate(&self, name: &KeyName, old: Old, schedule: Option<Option<Duration>>) -> Result<u8, Failure> {
        let ring = self.ring_with(name)?;
        // First, so that a period that cannot be is told before anything has changed.
        if let Some(every) = schedule {
            ring.schedule(name, every).map_err(refused)?;
        }
        let info = ring.rotate(name, old).map_err(refused)?;
        let before = match old {
            Old::Verifies => "what older versions signed still holds",
            Old::Destroyed => "nothing that older versions signed holds any more",
        };
        self.changed(&info, &format!("rotated the key `{name}`; {before}"))
    }

    fn changed(&self, info: &ringfort_secrets::keys::ring::KeyInfo, what: &str) -> Result<u8, Failure> {
        let mut out = anstream::stdout().lock();
        if self.common.json {
            output::json_line(&mut out, &show::info_json(info))?;
        } else {
            writeln!(out, "{what}: {}", show::newest(info))?;
        }
        Ok(EXIT_OK)
    }

    fn public(&self, name: &KeyName, version: Option<u64>, form: PublicForm) -> Result<u8, Failure> {
        let (version, kind, key) = self.ring_of(name)?.public(name, version).map_err(refused)?;
        let form = match form {
            PublicForm::Openssh => Form::OpenSsh,
            PublicForm::Pem => Form::Pem,
            PublicForm::Raw => Form::Raw,
            PublicForm::Note => Form::Note,
        };
        let written = public::write(form, name.as_str(), kind, &key).map_err(|error| refused(error.into()))?;
        let mut out = anstream::stdout().lock();
        if self.common.json {
            let fingerprint = public::fingerprint(kind, &key).map_err(|error| refused(error.into()))?;
            let value = json!({ "key": name, "version": version, "kind": kind, "public": written.trim_end(), "fingerprint": fingerprint });
            output::json_line(&mut out, &value)?;
        } else {
            writeln!(out, "{}", written.trim_end())?;
        }
        Ok(EXIT_OK)
    }

    fn sign(&self, name: &KeyName, file: Option<&Path>) -> Result<u8, Failure> {
        let ring = self.ring_with(name)?;
        let content = content(file)?;
        let (signature, text) = ring.sign_file(name, &content).map_err(refused)?;
        let mut out = anstream::stdout().lock();
        if self.common.json {
            let value = json!({ "key": name, "version": signature.version, "kind": signature.kind, "sha256": content.sha256(), "signature": text });
            output::json_line(&mut out, &value)?;
        } else {
            out.write_all(text.as_bytes())?;
        }
        Ok(EXIT_OK)
    }

    fn verify(&self, name: &KeyName, signature: &Path, file: Option<&Path>) -> Result<u8, Failure> {
        let ring = self.ring_of(name)?;
        let signature = read_signature(signature)?;
        let content = content(file)?;
        let verified = ring.verify_file(name, &content, &signature);
        let mut out = anstream::stdout().lock();
        let value = match &verified {
            Ok(good) => json!({ "valid": true, "key": name, "version": good.version, "state": good.state.name() }),
            Err(RingError::NotSigned { .. } | RingError::Destroyed { .. }) => json!({ "valid": false, "key": name }),
            Err(_) => json!(null),
        };
        if self.common.json && !value.is_null() {
            output::json_line(&mut out, &value)?;
            return Ok(if verified.is_ok() { EXIT_OK } else { EXIT_DENIED });
        }
        let good = verified.map_err(refused)?;
        writeln!(out, "the signature holds: key `{name}`, version {} ({})", good.version, good.state.name())?;
        Ok(EXIT_OK)
    }
}

/// The content of a file, or of standard input.
fn content(file: Option<&Path>) -> Result<Content, Failure> {
    let read = match file {
        Some(path) => {
            let file = File::open(path).with_context(|| format!("cannot read `{}`", path.display()));
            Content::read(file.map_err(Failure::usage)?).with_context(|| format!("cannot read `{}`", path.display()))
        }
        None => Content::read(std::io::stdin().lock()).context("cannot read standard input"),
    };
    read.map_err(Failure::usage)
}

fn read_signature(path: &Path) -> Result<Parsed, Failure> {
    let shown = || format!("cannot read the signature `{}`", path.display());
    let mut text = String::new();
    let most = u64::try_from(TEXT_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let read = File::open(path).and_then(|file| file.take(most).read_to_string(&mut text));
    read.with_context(shown).map_err(Failure::usage)?;
    Parsed::parse(&text).with_context(shown).map_err(|error| {
        Failure::usage(error)
            .help("`ringfort keys sign NAME FILE > FILE.sig` makes one; `ssh-keygen -Y sign -n file` too")
    })
}

/// The store of the keys does not open.
fn unopened(error: StoreError) -> Failure {
    let failure = unusable_of(Which::Keys, error);
    let error = failure.error.context("the store of the keys cannot be used");
    Failure { status: EXIT_FAILED, error, help: failure.help }
}

/// The ring did not do it.
fn refused(error: RingError) -> Failure {
    let (failure, help): (fn(RingError) -> Failure, &str) = match &error {
        RingError::Absent { .. } => (Failure::usage, "`ringfort keys list` shows what there is; `generate` makes one"),
        RingError::Exists { .. } => (Failure::usage, "`ringfort keys list` shows it"),
        RingError::NoVersion { .. } => (Failure::usage, "`ringfort keys list` shows the versions"),
        RingError::Period => (Failure::usage, "for example `--rotate-every 90d`"),
        RingError::NoProvider { .. } => {
            (Failure::usage, "`software` and `tpm2` need no settings; `pkcs11` needs `secrets.pkcs11_module`")
        }
        RingError::Full { .. } => (Failure::usage, "`ringfort keys rotate NAME --destroy-old`, or use a new key"),
        RingError::Key(ringfort_secrets::keys::KeyError::Unsupported { .. }) => {
            (Failure::usage, "a key of the kind `ed25519` can")
        }
        RingError::Key(ringfort_secrets::keys::KeyError::Absent { .. }) => (
            Failure::guard,
            "see the device and the settings `secrets.tpm2_device`, `secrets.pkcs11_module`; nothing stands in for it",
        ),
        RingError::NotSigned { .. } => (denied, "the file, the signature or the key is another one: do not rely on it"),
        RingError::Destroyed { .. } => (denied, "have it signed again by the version that is active now"),
        RingError::Audit(_) | RingError::Unrecorded { .. } => {
            (Failure::guard, "`ringfort trail verify` names what is wrong with the record")
        }
        RingError::Damaged { .. } => (Failure::guard, "it was left as it is; restore a backup of the folder `keys`"),
        RingError::Overdue { .. } => (Failure::guard, "`ringfort keys rotate NAME` tries it again and says more"),
        _ => (Failure::guard, "nothing is lost; `ringfort keys list` shows what holds now"),
    };
    failure(error).help(help)
}

fn denied(error: RingError) -> Failure {
    Failure { status: EXIT_DENIED, ..Failure::usage(error) }
}
