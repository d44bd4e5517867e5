// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ringfort secrets import` and `export`.
//!
//! In: a file of another program, or who may read an export. Out: counts and ids; an age file.
//!
//! **Invariant:** an import is one transaction, on the record before it happens. A value leaves only sealed, and each
//! only under a permit of its own, like any other use of it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use ringfort_secrets::age::{self, Identity, Recipient, To, With};
use ringfort_secrets::export::{self, Export, Overwrite};
use ringfort_secrets::id::SecretId;
use ringfort_secrets::import::{self, ImportError, Imported, Names, ReferenceKey, Unfit};
use ringfort_secrets::locked::Locked;
use ringfort_secrets::passphrase::{PASSPHRASE, PassphraseSource};
use ringfort_secrets::root_file::{KEY_FILE, KeyFileSource};
use ringfort_secrets::store::{Existing, Header, Options, Vault};
use ringfort_secrets::strength::{self, Strength};
use serde_json::json;

use super::permits::Permits;
use super::{Desk, Failure, id};
use crate::commands::{EXIT_DENIED, EXIT_OK};
use crate::output;
use crate::prompt::{self, Prompt};
use crate::vault::{Missing, unasked, unusable};

/// Most ids that one entry of the record names.
const IDS_RECORDED_MAX: usize = 200;
/// Longest text of keys that is read. Bytes.
const KEYS_BYTES_MAX: u64 = 64 << 10;

/// `ringfort secrets import`
#[derive(Debug, Args)]
#[command(
    after_help = "All of it is imported, or nothing: a line that is not understood, a name that is no id, or an id that is \
there already stops it.

Examples:
  ringfort secrets import .env --prefix app
  ringfort secrets import secrets.json --rename 'TOKEN=github.token' --dry-run
  ringfort secrets import backup.age
  ringfort secrets import secrets.store.enc.json --from openclaw-zig --key-env OPENCLAW_SECRET_STORE_KEY"
)]
pub(super) struct ImportArgs {
    /// The file, or the folder of another store; `-` is standard input
    file: PathBuf,
    /// What it is; by its name unless given
    #[arg(long, value_enum, value_name = "FORMAT")]
    from: Option<Format>,
    /// Put every id below this one
    #[arg(long, value_name = "ID")]
    prefix: Option<String>,
    /// Give one name an id; the prefix does not count for it
    #[arg(long, value_name = "NAME=ID")]
    rename: Vec<String>,
    /// Leave out names that are no ids
    #[arg(long)]
    leave_out: bool,
    /// Replace the values of ids that are there
    #[arg(long, conflicts_with = "keep")]
    replace: bool,
    /// Keep the values of ids that are there
    #[arg(long)]
    keep: bool,
    /// Say what would be imported, and import nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    key: KeyArgs,
}

/// What opens a sealed file.
#[derive(Debug, Args)]
struct KeyArgs {
    /// The file of the key that opens an age file
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// The key file of another store
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The variable that held the key of an openclaw-zig store
    #[arg(long, value_name = "NAME", conflicts_with_all = ["key_stdin", "key_derived"])]
    key_env: Option<String>,
    /// Take the key of an openclaw-zig store from standard input
    #[arg(long, conflicts_with = "key_derived")]
    key_stdin: bool,
    /// The openclaw-zig store had no key: it is made of the names of the machine and its user
    #[arg(long)]
    key_derived: bool,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines of `NAME=value`
    Dotenv,
    /// An object of texts
    Json,
    /// An export of this program, sealed with age
    Age,
    /// A folder with a store of this program
    Store,
    /// The secret store of openclaw-zig
    OpenclawZig,
}

/// `ringfort secrets export`
#[derive(Debug, Args)]
#[command(
    after_help = "The file is sealed with age (age-encryption.org): `age -d -i KEYFILE FILE` opens it anywhere, and so \
does `ringfort secrets import FILE`.

Examples:
  ringfort secrets export backup.age --passphrase
  ringfort secrets export team.age --recipient age1… github.token deploy.key"
)]
pub(super) struct ExportArgs {
    /// The file that is written; `-` is standard output
    file: PathBuf,
    /// The secrets; all of them unless named
    ids: Vec<String>,
    /// A public key of `age-keygen` that may read it
    #[arg(long, value_name = "age1…")]
    recipient: Vec<String>,
    /// A passphrase opens it; it is asked for
    #[arg(long, conflicts_with = "recipient", required_unless_present = "recipient")]
    passphrase: bool,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

impl Desk<'_> {
    pub(super) fn import(&self, args: &ImportArgs) -> Result<u8, Failure> {
        let names = names(args)?;
        let format = format_of(args)?;
        let imported = self.read(args, format, &names)?;
        if imported.entries.is_empty() {
            let notices: Vec<String> = imported.notices.iter().map(ToString::to_string).collect();
            let error = anyhow::anyhow!("there is nothing to import in `{}`", args.file.display());
            return Err(Failure::usage(error).help(notices.join("; ")));
        }
        let mut vault = match (args.dry_run, self.opener().header()?) {
            (true, None) => None,
            (true, Some(_)) => Some(self.open(Missing::Fail)?),
            (false, _) => Some(self.open(Missing::Make)?),
        };
        let existing = match (args.replace, args.keep) {
            (true, _) => Existing::Replace,
            (_, true) => Existing::Keep,
            _ => Existing::Refuse,
        };
        let there: Vec<SecretId> = match &vault {
            Some(vault) => imported.ids().filter(|id| vault.meta(id).is_some()).cloned().collect(),
            None => Vec::new(),
        };
        if existing == Existing::Refuse && !there.is_empty() {
            let list = there.iter().take(10).map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let more = if there.len() > 10 { ", …" } else { "" };
            let error = anyhow::anyhow!("nothing was imported: there already: {list}{more}");
            return Err(Failure::usage(error).help("--replace takes the new values, --keep the old ones"));
        }
        let report = match vault.as_mut().filter(|_| !args.dry_run) {
            None => outline(imported, there, existing),
            Some(vault) => {
                let event = "secrets.import";
                let ids: Vec<&str> = imported.ids().take(IDS_RECORDED_MAX).map(SecretId::as_str).collect();
                let facts = [("count", json!(imported.entries.len())), ("ids", json!(ids)), ("from", json!(args.file))];
                self.record(event, None, &facts)?;
                let done = imported.apply(vault, existing, self.clock.now());
                done.map_err(|error| self.failed(event, None, unusable(error)))?
            }
        };
        self.tell_import(args, format, &report)
    }

    fn tell_import(&self, args: &ImportArgs, format: Format, report: &import::Report) -> Result<u8, Failure> {
        let mut out = anstream::stdout().lock();
        if self.common.json {
            let value = json!({
                "added": report.added, "replaced": report.replaced, "kept": report.kept, "notices": report.notices,
                "dry_run": args.dry_run,
            });
            output::json_line(&mut out, &value)?;
            return Ok(EXIT_OK);
        }
        let would = if args.dry_run { "would be " } else { "" };
        for (what, list) in [("added", &report.added), ("replaced", &report.replaced), ("kept", &report.kept)] {
            if !list.is_empty() {
                let ids = list.iter().map(SecretId::as_str).collect::<Vec<_>>().join(" ");
                writeln!(out, "{} {would}{what}: {ids}", list.len())?;
            }
        }
        for notice in &report.notices {
            writeln!(out, "note: {notice}")?;
        }
        if matches!(format, Format::Dotenv | Format::Json) && !args.dry_run && args.file != Path::new("-") {
            writeln!(out, "`{}` still holds the values in clear: remove it once all works", args.file.display())?;
        }
        Ok(EXIT_OK)
    }

    fn read(&self, args: &ImportArgs, format: Format, names: &Names) -> Result<Imported, Failure> {
        let now = self.clock.now();
        let refused = |error: ImportError| {
            let help = match &error {
                ImportError::Faults { .. } => Some("--rename NAME=ID gives a name an id; --leave-out leaves it out"),
                _ => None,
            };
            let failure = Failure::usage(error);
            match help {
                Some(help) => failure.help(help),
                None => failure,
            }
        };
        match format {
            Format::Store => import::vault(&self.other(args)?, names, now).map_err(refused),
            Format::Age => {
                let file = sealed_file(&args.file)?;
                let with = match &args.key.identity {
                    Some(path) => With::Identities(identities(&self.world.cwd.join(path))?),
                    None => With::Passphrase(self.ask("Passphrase of the age file: ")?),
                };
                let mut plain = age::decrypt(&file, &with).map_err(|error| {
                    Failure::usage(error).help("`--identity FILE` names the key file that opens it")
                })?;
                import::exported(&mut plain, names, now).map_err(refused)
            }
            Format::Dotenv => import::dotenv(plain_file(&args.file)?.expose(), names).map_err(refused),
            Format::Json => import::json(plain_file(&args.file)?.expose(), names).map_err(refused),
            Format::OpenclawZig => {
                let file = plain_file(&args.file)?;
                let mut last = None;
                for key in self.reference_keys(args)? {
                    match import::reference_store(file.expose(), &key, names) {
                        Err(error @ ImportError::Key { .. }) => last = Some(error),
                        other => return other.map_err(refused),
                    }
                }
                let error = last.unwrap_or(ImportError::Key { kind: "secret store of openclaw-zig" });
                Err(refused(error).help("its key was the first of its variables that was set where it ran"))
            }
        }
    }

    /// The keys with which an openclaw-zig store may have been sealed, as the options say.
    fn reference_keys(&self, args: &ImportArgs) -> Result<Vec<ReferenceKey>, Failure> {
        if let Some(name) = &args.key.key_env {
            let Some(value) = self.world.variable(name).filter(|value| !value.is_empty()) else {
                return Err(Failure::usage(anyhow::anyhow!("the variable `{}` is not set", name.escape_debug())));
            };
            let value = Locked::copy_of(value.as_encoded_bytes()).map_err(Failure::guard)?;
            return Ok(vec![ReferenceKey::of_text(value.expose(), name).map_err(Failure::guard)?]);
        }
        if args.key.key_stdin {
            if args.file == Path::new("-") {
                return Err(Failure::usage(anyhow::anyhow!("standard input cannot be the file and the key")));
            }
            let value = if prompt::stdin_is_terminal() {
                self.ask("Key of the openclaw-zig store: ")?
            } else {
                prompt::read_stdin(KEYS_BYTES_MAX as usize).map_err(Failure::usage)?
            };
            return Ok(vec![ReferenceKey::of_text(value.expose(), "standard input").map_err(Failure::guard)?]);
        }
        if !args.key.key_derived {
            let error = anyhow::anyhow!("it is not said what opens the openclaw-zig store");
            return Err(Failure::usage(error).help("--key-env NAME, --key-stdin, or --key-derived if it had none"));
        }
        // It used the path as it was configured, and what variables said where it ran.
        let text = |names: &[&str]| {
            let value = names.iter().find_map(|name| self.world.variable(name).filter(|value| !value.is_empty()));
            value.map(|value| value.to_string_lossy().into_owned())
        };
        let (user, host) = (text(&["USERNAME", "USER", "LOGNAME"]), text(&["COMPUTERNAME", "HOSTNAME"]));
        let paths = [args.file.display().to_string(), self.world.cwd.join(&args.file).display().to_string()];
        let mut keys = Vec::new();
        for path in paths {
            for (user, host) in [(&user, &host), (&user, &None), (&None, &host), (&None, &None)] {
                let key = ReferenceKey::derived(&path, user.as_deref(), host.as_deref());
                keys.push(key.map_err(Failure::guard)?);
            }
        }
        Ok(keys)
    }

    /// Another store of this program.
    fn other(&self, args: &ImportArgs) -> Result<Vault, Failure> {
        let folder = self.world.cwd.join(&args.file);
        let header = Header::read(&folder).map_err(unusable)?;
        // One that a counter follows is read where that counter is, and only if it is the newest.
        let options = match &header.anchor {
            Some(_) => self.opener().options(&header)?,
            None => Options::default(),
        };
        let has = |name: &str| header.slots.iter().any(|slot| slot.data.source == name);
        if let Some(path) = args.key.key_file.as_ref().filter(|_| has(KEY_FILE)) {
            let source = KeyFileSource::new(self.world.cwd.join(path));
            return Vault::open_as(&folder, &source, options).map_err(unusable);
        }
        if !has(PASSPHRASE) {
            let error = anyhow::anyhow!("it is not said what opens the other store");
            return Err(Failure::usage(error).help("`--key-file FILE` names its key file"));
        }
        let passphrase = self.ask("Passphrase of the other store: ")?;
        Vault::open_as(&folder, &PassphraseSource::new(passphrase), options).map_err(unusable)
    }

    fn ask(&self, question: &str) -> Result<Locked, Failure> {
        let prompt = Prompt::open(&self.signals).map_err(unasked)?;
        prompt.hidden(question).map_err(unasked)
    }

    pub(super) fn export(&self, args: &ExportArgs) -> Result<u8, Failure> {
        use std::io::IsTerminal as _;
        let to_stdout = args.file == Path::new("-");
        if to_stdout && std::io::stdout().is_terminal() {
            let error = anyhow::anyhow!("an export is not written to a terminal");
            return Err(Failure::usage(error).help("name a file"));
        }
        let path = self.world.cwd.join(&args.file);
        if !to_stdout && !args.force && path.symlink_metadata().is_ok() {
            let error = anyhow::anyhow!("`{}` exists already; nothing was written", path.display());
            return Err(Failure::usage(error).help("--force replaces it"));
        }
        let named = args.ids.iter().map(|text| id(text)).collect::<Result<Vec<SecretId>, Failure>>()?;
        let vault = self.open(Missing::Fail)?;
        let chosen = export::chosen(&vault, &named, self.clock.now()).map_err(Failure::usage)?;
        if chosen.exported.is_empty() {
            return Err(Failure::usage(anyhow::anyhow!("there is nothing to export")));
        }
        let to = self.readers(args)?;
        let mut export =
            Export::begin(vault.id(), chosen.exported.len(), &to, self.clock.now()).map_err(Failure::usage)?;
        let purpose = match &to {
            To::Recipients(_) => format!("text sealed for {}", args.recipient.join(" ")),
            To::Passphrase(_) => "text sealed with a passphrase".to_owned(),
        };
        let permits = Permits::of(self)?;
        for id in &chosen.exported {
            match permits.release(&vault, id, &purpose)? {
                Some(released) => export.add(&released).map_err(Failure::guard)?,
                None => return Ok(EXIT_DENIED),
            }
        }
        let (file, ids) = export.finish().map_err(Failure::guard)?;
        if to_stdout {
            std::io::stdout().lock().write_all(&file)?;
            return Ok(EXIT_OK);
        }
        let overwrite = if args.force { Overwrite::Replace } else { Overwrite::Refuse };
        export::write(&path, &file, overwrite).map_err(Failure::usage)?;
        let mut out = anstream::stdout().lock();
        if self.common.json {
            output::json_line(&mut out, &json!({ "path": path, "exported": ids, "expired": chosen.expired }))?;
            return Ok(EXIT_OK);
        }
        writeln!(out, "{} exported to `{}`", ids.len(), path.display())?;
        for id in &chosen.expired {
            writeln!(out, "note: `{id}` has expired and is left out")?;
        }
        Ok(EXIT_OK)
    }

    fn readers(&self, args: &ExportArgs) -> Result<To, Failure> {
        if !args.passphrase {
            let recipients = args.recipient.iter().map(|text| text.parse::<Recipient>());
            return Ok(To::Recipients(recipients.collect::<Result<_, _>>().map_err(Failure::usage)?));
        }
        let prompt = Prompt::open(&self.signals).map_err(unasked)?;
        let passphrase = prompt.twice("Passphrase of the export: ", "Again: ").map_err(unasked)?;
        if passphrase.is_empty() {
            return Err(Failure::usage(anyhow::anyhow!("an empty passphrase seals nothing; nothing was written")));
        }
        match strength::judge(&passphrase, &[]).map_err(Failure::guard)? {
            Strength::Good { .. } => Ok(To::Passphrase(passphrase)),
            Strength::Weak(weakness) => {
                let error = anyhow::anyhow!("that is too easy to guess: {weakness}; nothing was written");
                Err(Failure::usage(error).help("four or five words that do not belong together will do"))
            }
        }
    }
}

fn names(args: &ImportArgs) -> Result<Names, Failure> {
    let mut names = Names {
        prefix: args.prefix.as_deref().map(id).transpose()?,
        unfit: if args.leave_out { Unfit::LeaveOut } else { Unfit::Refuse },
        ..Names::default()
    };
    for rename in &args.rename {
        let Some((name, text)) = rename.split_once('=') else {
            return Err(Failure::usage(anyhow::anyhow!("--rename is NAME=ID")));
        };
        names.renamed.insert(name.to_owned(), id(text)?);
    }
    Ok(names)
}

/// What a file is, by its name.
fn format_of(args: &ImportArgs) -> Result<Format, Failure> {
    if let Some(format) = args.from {
        return Ok(format);
    }
    let name = args.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let ends = |end: &str| name.ends_with(end);
    if name == ".env" || name.starts_with(".env.") || ends(".env") {
        return Ok(Format::Dotenv);
    }
    if ends(".age") {
        return Ok(Format::Age);
    }
    if ends(".json") && !ends(".enc.json") {
        return Ok(Format::Json);
    }
    if args.file.join(ringfort_secrets::store::FILE_NAME).exists() {
        return Ok(Format::Store);
    }
    let error = anyhow::anyhow!("it is not clear what `{}` is", args.file.display());
    Err(Failure::usage(error).help("say it: --from dotenv, json, age, store or openclaw-zig"))
}

fn opened(path: &Path) -> Result<File, Failure> {
    let file = File::open(path).map_err(|error| {
        Failure::usage(anyhow::Error::from(error).context(format!("cannot read `{}`", path.display())))
    })?;
    Ok(file)
}

fn plain_file(path: &Path) -> Result<Locked, Failure> {
    if path == Path::new("-") {
        return import::read(&mut std::io::stdin().lock()).map_err(Failure::usage);
    }
    import::read(&mut opened(path)?).map_err(Failure::usage)
}

/// A sealed file, which may be longer than what is kept in locked memory.
fn sealed_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let limit = export::FILE_BYTES_MAX as u64 + 1;
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        opened(path)?.take(limit).read_to_end(&mut bytes)
    };
    read.map_err(Failure::usage)?;
    if bytes.len() > export::FILE_BYTES_MAX {
        return Err(Failure::usage(anyhow::anyhow!("the file is larger than {} bytes", export::FILE_BYTES_MAX)));
    }
    Ok(bytes)
}

fn identities(path: &Path) -> Result<Vec<Identity>, Failure> {
    let file = import::read(&mut opened(path)?.take(KEYS_BYTES_MAX)).map_err(Failure::usage)?;
    let text = std::str::from_utf8(file.expose()).map_err(Failure::usage)?;
    Identity::parse_file(text).map_err(Failure::usage)
}

/// What an import would do.
fn outline(imported: Imported, there: Vec<SecretId>, existing: Existing) -> import::Report {
    let added = imported.ids().filter(|id| !there.contains(id)).cloned().collect();
    let notices = imported.notices.iter().map(ToString::to_string).collect();
    let (replaced, kept) = if existing == Existing::Keep { (Vec::new(), there) } else { (there, Vec::new()) };
    import::Report { added, replaced, kept, notices }
}
