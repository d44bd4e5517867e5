// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ringfort secrets seal-config`: the secrets of a configuration file, sealed in their places.
//!
//! In: a configuration file, by default the user's. Out: the file with sealed values, and a report without values.
//!
//! **Invariant:** the file is replaced whole, only if it still says what was read, and only by one that loads. No copy of
//! it in clear is kept: every new value was opened again and held the same before the file is written. Where its content was accepted, the sealed one is: nothing else has changed in it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use ringfort_core::digest::Digest;
use ringfort_core::secret::Secret;
use ringfort_ops::setup::file::Files;
use ringfort_policy::accept::{self, Shown, State};
use ringfort_policy::load::{self, Layer};
use ringfort_policy::secret_place;
use ringfort_secrets::root::StoreId;
use ringfort_secrets::seal_config::{self as seal, Keys, Place, Plan, Scope, Target};
use ringfort_secrets::sealed_text::{Enc2Key, Form, KeySource, Opener, TextKey};
use ringfort_secrets::store::Vault;
use serde_json::json;

use super::{Desk, Failure};
use crate::commands::{EXIT_DENIED, EXIT_OK};
use crate::output;
use crate::vault::{Missing, unusable};

/// `ringfort secrets seal-config`
#[derive(Debug, Args)]
#[command(
    after_help = "Values in clear become `enc3:` values, which open with the store of secrets, at their own key and \
nowhere else. A file whose content was accepted stays accepted. No copy in clear is kept: each new value was opened again \
before the file is written.

Examples:
  ringfort secrets seal-config --dry-run     what would change, without values
  ringfort secrets seal-config
  ringfort secrets seal-config --migrate     `enc:` and `enc2:` values too
  ringfort secrets seal-config --check       whether each sealed value opens where it stands"
)]
pub(super) struct SealConfigArgs {
    /// The file; the user's file unless named
    file: Option<PathBuf>,
    /// The form that is written; `enc2` opens at any key, with a key file beside the configuration
    #[arg(long, value_enum, default_value = "enc3")]
    format: Format,
    /// Seal `enc:` and `enc2:` values anew too
    #[arg(long)]
    migrate: bool,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Open each sealed value of the configuration in force, and show none
    #[arg(long, conflicts_with_all = ["file", "migrate", "dry_run"])]
    check: bool,
}

/// The form that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Enc3,
    Enc2,
}

impl Desk<'_> {
    pub(super) fn seal_config(&self, args: &SealConfigArgs) -> Result<u8, Failure> {
        if args.check {
            return self.check_config();
        }
        let named = args.file.as_ref().map(|file| self.world.cwd.join(file));
        let path = named.unwrap_or_else(|| self.world.places(self.common).user_file);
        // The state folder is no project: the file may be a link of its owner, and what it points to is replaced.
        let files = Files { project: self.state.root().to_owned() };
        let Some(before) = files.read(&path).map_err(Failure::usage)? else {
            let error = anyhow::anyhow!("`{}` does not exist", path.display());
            return Err(Failure::usage(error).help("name the file: `ringfort secrets seal-config FILE`"));
        };
        let before = Secret::new(before);
        let before = before.expose().as_str();
        let places = places(&path, before)?;
        let target = if args.format == Format::Enc3 { Target::Enc3 } else { Target::Enc2 };
        let scope = if args.migrate { Scope::Migrate } else { Scope::Plain };
        let plan = self.plan(&path, before, &places, target, scope, args.dry_run)?;
        if args.dry_run || plan.changes.is_empty() {
            return self.tell_sealed(&path, &plan, &Done { dry_run: args.dry_run, ..Done::default() });
        }
        load::validate(&path, &plan.after).map_err(|error| {
            let failure = Failure::usage(anyhow::Error::from(error).context("nothing was changed"));
            failure.help("mend what is named, then seal the rest; `enc:` values need --migrate")
        })?;
        let accepted = self.state.accepted();
        let stood = accept::state(&accepted, &path);
        let was_accepted = matches!(stood, Ok(State::Accepted { .. }));
        let copy_in_clear = matches!(&stood, Ok(State::Changed { accepted }) if has_clear(&path, accepted));
        let keys: Vec<&str> = plan.changes.iter().map(|change| change.key.as_str()).collect();
        let event = "secrets.seal-config";
        self.record(event, None, &[("path", json!(path)), ("keys", json!(keys))])?;
        let failed = |failure| self.failed(event, None, failure);
        let replaced = files.replace(&path, Some(before), Some(&plan.after));
        replaced.map_err(|error| failed(Failure::usage(error)))?;
        if was_accepted {
            let shown = Shown::File(Digest::of(plan.after.as_bytes()));
            accept::accept(&accepted, &path, shown).map_err(|error| {
                let help = "the file is sealed; look at it and run `ringfort policy accept`";
                failed(Failure::guard(error).help(help))
            })?;
        }
        self.tell_sealed(&path, &plan, &Done { dry_run: false, was_accepted, copy_in_clear })
    }

    fn plan(
        &self,
        path: &Path,
        text: &str,
        places: &[Place],
        target: Target,
        scope: Scope,
        dry_run: bool,
    ) -> Result<Plan, Failure> {
        let (needs_file, needs_store) = seal::needs(places, target, scope);
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let folder = real.parent().unwrap_or(Path::new("/"));
        let enc2 = match (needs_file, target) {
            (false, _) => None,
            // A look makes no key.
            (true, Target::Enc2) if !dry_run => Some(Enc2Key::read_or_create(folder)),
            (true, _) => Some(Enc2Key::read(folder)),
        };
        let enc2 = match enc2.transpose() {
            Err(_) if dry_run => None,
            other => other.map_err(|error| {
                Failure::usage(error).help("`.secret_key` lies beside the file whose values it has sealed")
            })?,
        };
        let missing = if dry_run { Missing::Fail } else { Missing::Make };
        let enc3 = match needs_store.then(|| self.open(missing)).transpose() {
            Err(_) if dry_run => None,
            other => other?.map(|vault| text_key(&vault)).transpose()?,
        };
        let keys = Keys { enc2: enc2.as_ref(), enc3: enc3.as_ref() };
        let result = if dry_run && (needs_file && enc2.is_none() || needs_store && enc3.is_none()) {
            Ok(seal::outline(places, target, scope))
        } else {
            seal::plan(text, places, target, scope, &keys)
        };
        result.map_err(|error| {
            let failure = Failure::usage(anyhow::Error::from(error).context("nothing was changed"));
            failure.help("set the named value anew, in clear, and seal it then")
        })
    }

    fn tell_sealed(&self, path: &Path, plan: &Plan, done: &Done) -> Result<u8, Failure> {
        let mut out = anstream::stdout().lock();
        if self.common.json {
            let report = plan.report();
            let value = json!({
                "path": path, "changes": report.changes, "left": report.left, "dry_run": done.dry_run,
                "accepted": done.was_accepted, "accepted_in_clear": done.copy_in_clear,
            });
            output::json_line(&mut out, &value)?;
            return Ok(EXIT_OK);
        }
        let would = if done.dry_run { "would be " } else { "" };
        for change in &plan.changes {
            let (key, from, to) = (&change.key, change.from, change.to);
            writeln!(out, "line {:<4} {key}: {would}{to}, was {from}", change.line)?;
        }
        for left in &plan.left {
            writeln!(out, "line {:<4} {}: stays: {}", left.line, left.key, left.why)?;
        }
        if plan.changes.is_empty() {
            writeln!(out, "nothing to seal in `{}`", path.display())?;
        }
        if plan.changes.iter().any(|change| change.from == Form::Enc) && !done.dry_run {
            writeln!(
                out,
                "`enc:` does not show a wrong key or a change: look whether these values are the right ones"
            )?;
        }
        if done.copy_in_clear {
            writeln!(out, "the copy that was accepted before holds values in clear until the file is accepted")?;
        }
        match done {
            Done { dry_run: true, .. } => {}
            Done { was_accepted: true, .. } => writeln!(out, "its content was accepted, and the sealed one is")?,
            _ if plan.changes.is_empty() => {}
            _ => writeln!(out, "it takes effect once it is accepted: `ringfort policy accept`")?,
        }
        Ok(EXIT_OK)
    }

    /// Opens each sealed value of the configuration in force, as its use would.
    fn check_config(&self) -> Result<u8, Failure> {
        let texts: Vec<_> =
            self.loaded.config.secret_texts().into_iter().filter(|(_, text)| !text.is_empty()).collect();
        let needs_store = texts.iter().any(|(_, text)| text.form() == Form::Enc3);
        let text_key = match needs_store.then(|| self.open(Missing::Fail)).transpose() {
            Ok(vault) => vault.map(|vault| text_key(&vault)).transpose()?,
            Err(failure) => return Err(failure),
        };
        let opener = Opener(ConfigKeys { desk: Folders::of(self), text_key });
        let mut out = anstream::stdout().lock();
        let mut status = EXIT_OK;
        for (key, text) in texts {
            let opened = text.open(key, &opener).map(drop);
            if opened.is_err() {
                status = EXIT_DENIED;
            }
            if self.common.json {
                let error = opened.as_ref().err().map(ToString::to_string);
                let value = json!({ "key": key, "form": text.form(), "opens": opened.is_ok(), "error": error });
                output::json_line(&mut out, &value)?;
                continue;
            }
            match opened {
                Ok(()) if text.form() == Form::Plain => writeln!(out, "{key}: in clear")?,
                Ok(()) => writeln!(out, "{key}: {} and opens", text.form())?,
                Err(error) => writeln!(out, "{error}")?,
            }
        }
        Ok(status)
    }
}

/// What was done beside the plan.
#[derive(Default)]
struct Done {
    dry_run: bool,
    was_accepted: bool,
    /// The accepted copy is another one, and holds values in clear.
    copy_in_clear: bool,
}

/// The folders beside whose files key files lie.
struct Folders(std::collections::BTreeMap<String, PathBuf>);

impl Folders {
    fn of(desk: &Desk<'_>) -> Self {
        let places = desk.world.places(desk.common);
        let named = desk.common.policy.as_ref().map(|file| desk.world.cwd.join(file));
        let file = |layer: &Layer| match layer {
            Layer::System => Some(places.system_file.clone()),
            Layer::User => Some(places.user_file.clone()),
            Layer::Explicit => named.clone(),
            Layer::Flags | Layer::Project => None,
        };
        let folder = |path: PathBuf| {
            let real = path.canonicalize().unwrap_or(path);
            real.parent().map(Path::to_owned)
        };
        let origins = desk.loaded.origins.iter();
        Self(origins.filter_map(|(key, layer)| Some((key.clone(), folder(file(layer)?)?))).collect())
    }
}

/// The keys of sealed values of the configuration in force.
struct ConfigKeys {
    desk: Folders,
    text_key: Option<TextKey>,
}

impl KeySource for ConfigKeys {
    fn enc2(&self, key: &str) -> Result<Enc2Key, String> {
        let folder = self.desk.0.get(key).ok_or("no file holds it, so no key file lies beside it")?;
        Enc2Key::read(folder).map_err(|error| error.to_string())
    }

    fn enc3(&self, _sealed_by: StoreId) -> Result<&TextKey, String> {
        self.text_key.as_ref().ok_or_else(|| "the store of secrets is not open".to_owned())
    }
}

fn text_key(vault: &Vault) -> Result<TextKey, Failure> {
    vault.text_key().map_err(unusable)
}

/// Whether a text holds a secret in clear, or none can be told.
fn has_clear(path: &Path, text: &str) -> bool {
    let is_clear = |place: &secret_place::SecretPlace| place.form == Ok(Form::Plain) && !place.text.expose().is_empty();
    secret_place::find(path, text).map_or(true, |places| places.iter().any(is_clear))
}

fn places(path: &Path, text: &str) -> Result<Vec<Place>, Failure> {
    let found = secret_place::find(path, text).map_err(Failure::usage)?;
    let place = |place: secret_place::SecretPlace| Place {
        key: place.key,
        span: place.span,
        line: place.line,
        form: place.form,
        text: place.text,
    };
    Ok(found.into_iter().map(place).collect())
}
