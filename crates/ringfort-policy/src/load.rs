// SPDX-License-Identifier: MIT OR Apache-2.0
//! From files to policies: preset, system, user, explicit file, flags; and the project's restriction beside them.
//!
//! In: [`Sources`], named by the caller that nobody governs. Out: [`Loaded`]: the merged configuration, the chain of
//! compiled policies, where each came from, and notices for people.
//!
//! **Invariant:** what cannot be read, is not understood, is out of range or would have no effect is an error, never
//! skipped. A user file counts only in the version that its owner accepted. A project file only restricts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ringfort_core::digest::{Digest, DigestWriter};
use ringfort_core::text::escape_bytes;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::accept::{self, AcceptError, State};
use crate::config::{self, Config, Fault, FaultKind, Network, PolicyConfig};
use crate::document;
pub use crate::document::Location;
use crate::domain::HostPattern;
use crate::file::{self, FileError, Links};
use crate::preset::Preset;
use crate::restriction::{NetworkRestriction, Restriction};
use crate::rule::{Effective, Policy};
use crate::schema;

/// Deepest dotted key of a flag.
const KEY_SEGMENTS_MAX: usize = 8;

/// Where the configuration comes from. Absent files are fine, except the explicit one.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A preset that was chosen by a flag; else files choose, else `supervised`.
    pub preset: Option<Preset>,
    /// The machine's file.
    pub system: Option<PathBuf>,
    /// The user's file; counts once its content was accepted.
    pub user: Option<PathBuf>,
    /// The project's file; only restricts.
    pub project: Option<PathBuf>,
    /// The file of `--policy`; must exist.
    pub explicit: Option<PathBuf>,
    /// Dotted keys and values from flags and variables of a caller that nobody governs.
    pub overrides: Vec<(String, String)>,
    /// The folder that holds accepted copies.
    pub accepted: PathBuf,
}

/// The configuration in force.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Everything that files and flags say, merged key by key; the later layer wins.
    pub config: Config,
    /// The project's restriction, where it has a file.
    pub restriction: Option<Restriction>,
    /// The policies that rule, all of which must agree: the merged one, then the project's.
    pub chain: Vec<Policy>,
    /// What a person should know.
    pub notices: Vec<Notice>,
    /// Binds the chain and the configuration.
    pub digest: Digest,
    /// Each layer, in order, and what became of it.
    pub sources: Vec<Source>,
    /// For each key that a file or flag has set, the layer that won.
    pub origins: BTreeMap<String, Layer>,
}

impl Loaded {
    /// Lets hosts be reached that the settings of a client name: see [`Policy::with_client_hosts`].
    #[must_use]
    pub fn with_client_hosts(mut self, hosts: &[HostPattern]) -> Self {
        if hosts.is_empty() {
            return self;
        }
        self.chain = self.chain.into_iter().map(|policy| policy.with_client_hosts(hosts)).collect();
        self.digest = digest(&self.config, self.restriction.as_ref(), &self.chain);
        self
    }

    /// Whether a cage has a door to the network: what the configuration says, and the project.
    pub fn network(&self) -> Network {
        match self.restriction.as_ref().and_then(|restriction| restriction.egress.network) {
            Some(NetworkRestriction::Off) => Network::Off,
            None => self.config.egress.network,
        }
    }

    /// The bounds in force: the smallest of the chain, and the union of what is hidden and required.
    pub fn effective(&self) -> Effective {
        Effective::of(&self.config, self.restriction.as_ref())
    }
}

/// A layer of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// The machine's file.
    System,
    /// The user's file.
    User,
    /// The file of `--policy`.
    Explicit,
    /// Flags and variables.
    Flags,
    /// The project's file.
    Project,
}

/// One layer and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Which layer it is.
    pub layer: Layer,
    /// Its file; `flags` for flags.
    pub path: PathBuf,
    /// The digest of the content that is in force, or of the file where none is.
    pub digest: Digest,
    /// Whether it is in force.
    pub state: SourceState,
}

/// Whether a layer is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceState {
    /// Its content is in force.
    Effective,
    /// It was never accepted and is not used.
    NotAccepted,
    /// It was changed, or removed, since it was accepted; the accepted version is in force.
    ChangedSinceAccepted,
}

/// What a person should know about the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Notice {
    /// A user file is not used.
    #[error("`{}` is not used: it was never accepted; read it and run `ringfort policy accept`", .0.display())]
    NotAccepted(PathBuf),
    /// A user file was edited; the accepted version is used.
    #[error(
        "`{}` was changed since it was accepted; the accepted version is used until `ringfort policy accept`",
        .0.display()
    )]
    Changed(PathBuf),
    /// A user file was removed; the accepted version is used.
    #[error(
        "`{}` was removed since it was accepted; the accepted version is used until `ringfort policy accept`",
        .0.display()
    )]
    Removed(PathBuf),
}

/// Why the configuration could not be loaded. Nothing of it is in use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The accepted copy could not be read.
    #[error("cannot tell whether `{}` was accepted", path.display())]
    Accepted {
        /// The user's file.
        path: PathBuf,
        /// Why.
        source: AcceptError,
    },
    /// A text is no TOML.
    #[error("{at}: {message}")]
    Syntax {
        /// Where.
        at: Location,
        /// What the parser expected.
        message: String,
    },
    /// A key does not exist.
    #[error("{at}: unknown key `{key}`{}", hint(nearest.as_deref()))]
    UnknownKey {
        /// Where.
        at: Location,
        /// The key as written.
        key: String,
        /// The valid key that was most likely meant.
        nearest: Option<String>,
    },
    /// A value has the wrong type or is out of range.
    #[error("{at}: `{key}`: {message}")]
    Value {
        /// Where.
        at: Location,
        /// The key.
        key: String,
        /// What is wrong.
        message: String,
    },
    /// A key is set and changes nothing.
    #[error("{at}: `{key}` has no effect: {message}")]
    NoEffect {
        /// Where.
        at: Location,
        /// The key.
        key: String,
        /// Why.
        message: String,
    },
    /// A project file tries to do more than restrict.
    #[error("{at}: `{key}` cannot be set by a project: {message}")]
    Widens {
        /// Where.
        at: Location,
        /// The key.
        key: String,
        /// Why.
        message: String,
    },
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"))
}

/// The text of one layer and what it says.
struct LayerText {
    layer: Layer,
    path: PathBuf,
    text: String,
    table: Table,
}

/// Loads and merges every layer and compiles the chain.
///
/// # Errors
///
/// [`LoadError`]: nothing is in use; the guard does not start.
pub fn load(sources: &Sources) -> Result<Loaded, LoadError> {
    let mut loading = Loading::default();
    if let Some(path) = &sources.system {
        loading.file(Layer::System, path, read_optional(path, Links::Follow)?)?;
    }
    if let Some(path) = &sources.user {
        loading.user_file(path, &sources.accepted)?;
    }
    if let Some(path) = &sources.explicit {
        loading.file(Layer::Explicit, path, Some(file::read(path, Links::Follow)?))?;
    }
    loading.flags(sources)?;
    let (config, origins) = merge(&loading.layers)?;

    let mut chain = vec![Policy::from_config(&config)];
    let mut restriction = None;
    if let Some(path) = &sources.project
        && let Some(text) = read_optional(path, Links::Refuse)?
    {
        let parsed = parse_restriction(path, &text)?;
        loading.note(Layer::Project, path, Digest::of(text.as_bytes()), SourceState::Effective);
        chain.push(Policy::from_restriction(&parsed));
        restriction = Some(parsed);
    }
    let digest = digest(&config, restriction.as_ref(), &chain);
    let (notices, sources) = (loading.notices, loading.sources);
    Ok(Loaded { config, restriction, chain, notices, digest, sources, origins })
}

/// Parses one text as a system, user or explicit file, alone, and checks it as if it were the only one.
///
/// # Errors
///
/// [`LoadError`]: the text would not load.
pub fn validate(path: &Path, text: &str) -> Result<Config, LoadError> {
    let table = parse::<Config>(path, text, &schema::config)?;
    let layer = LayerText { layer: Layer::Explicit, path: path.to_owned(), text: text.to_owned(), table };
    merge(&[layer]).map(|(config, _)| config)
}

/// Parses one text as a project file.
///
/// # Errors
///
/// [`LoadError`]: the text would not load.
pub fn parse_restriction(path: &Path, text: &str) -> Result<Restriction, LoadError> {
    let restriction: Restriction = match toml::from_str(text) {
        Ok(restriction) => restriction,
        Err(error) => {
            return Err(widening(path, text).unwrap_or_else(|| explain(path, text, &error, &schema::restriction)));
        }
    };
    match restriction.check().into_iter().next() {
        Some(fault) if fault.kind == FaultKind::NoEffect => Err(LoadError::Widens {
            at: document::locate(path, text, document::offset_of(text, &fault.key).unwrap_or(0)),
            key: fault.key,
            message: fault.message,
        }),
        Some(fault) => Err(faulty(path, text, fault)),
        None => Ok(restriction),
    }
}

/// The error for a key that exists, but not for projects.
fn widening(path: &Path, text: &str) -> Option<LoadError> {
    let unknown = document::first_unknown(text, &schema::restriction())?;
    document::is_known(&unknown.key, &schema::config()).then(|| LoadError::Widens {
        at: document::locate(path, text, unknown.offset),
        key: unknown.key,
        message: "a project file only restricts; this key belongs into the user's file".to_owned(),
    })
}

/// What has been read so far.
#[derive(Default)]
struct Loading {
    layers: Vec<LayerText>,
    sources: Vec<Source>,
    notices: Vec<Notice>,
}

impl Loading {
    fn note(&mut self, layer: Layer, path: &Path, digest: Digest, state: SourceState) {
        self.sources.push(Source { layer, path: path.to_owned(), digest, state });
    }

    fn file(&mut self, layer: Layer, path: &Path, text: Option<String>) -> Result<(), LoadError> {
        let Some(text) = text else { return Ok(()) };
        self.note(layer, path, Digest::of(text.as_bytes()), SourceState::Effective);
        self.add(layer, path, text)
    }

    fn add(&mut self, layer: Layer, path: &Path, text: String) -> Result<(), LoadError> {
        let table = parse::<Config>(path, &text, &schema::config)?;
        self.layers.push(LayerText { layer, path: path.to_owned(), text, table });
        Ok(())
    }

    /// The user's file: the accepted version is in force, whatever has become of the file since.
    fn user_file(&mut self, path: &Path, accepted: &Path) -> Result<(), LoadError> {
        let state =
            accept::state(accepted, path).map_err(|source| LoadError::Accepted { path: path.to_owned(), source })?;
        match state {
            State::Absent => Ok(()),
            State::NotAccepted { current } => {
                self.notices.push(Notice::NotAccepted(path.to_owned()));
                self.note(Layer::User, path, current, SourceState::NotAccepted);
                Ok(())
            }
            State::Accepted { text } => self.file(Layer::User, path, Some(text)),
            State::Changed { accepted } => self.user_earlier(path, accepted, Notice::Changed(path.to_owned())),
            State::Removed { accepted } => self.user_earlier(path, accepted, Notice::Removed(path.to_owned())),
        }
    }

    fn user_earlier(&mut self, path: &Path, text: String, notice: Notice) -> Result<(), LoadError> {
        self.notices.push(notice);
        self.note(Layer::User, path, Digest::of(text.as_bytes()), SourceState::ChangedSinceAccepted);
        self.add(Layer::User, path, text)
    }

    /// Flags and variables become one more file, so that they pass the same checks.
    fn flags(&mut self, sources: &Sources) -> Result<(), LoadError> {
        let mut table = Table::new();
        if let Some(preset) = sources.preset {
            set(&mut table, "policy.preset", Value::String(preset.as_str().to_owned()))?;
        }
        for (key, value) in &sources.overrides {
            set(&mut table, key, flag_value(value))?;
        }
        if table.is_empty() {
            return Ok(());
        }
        let text = toml::to_string(&table)
            .map_err(|error| flag_error("flags", &escape_bytes(error.to_string().as_bytes())))?;
        self.file(Layer::Flags, Path::new("flags"), Some(text))
    }
}

fn read_optional(path: &Path, links: Links) -> Result<Option<String>, FileError> {
    match file::read(path, links) {
        Ok(text) => Ok(Some(text)),
        Err(FileError::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A flag's value: TOML where it is, else a string.
fn flag_value(text: &str) -> Value {
    let parsed = toml::from_str::<Table>(&format!("v = {text}"));
    match parsed.ok().filter(|table| table.len() == 1).and_then(|mut table| table.remove("v")) {
        Some(value) if !text.contains('\n') => value,
        _ => Value::String(text.to_owned()),
    }
}

fn flag_error(key: &str, message: &str) -> LoadError {
    let at = Location { path: PathBuf::from("flags"), line: 1, column: 1 };
    LoadError::Value { at, key: escape_bytes(key.as_bytes()), message: message.to_owned() }
}

fn set(table: &mut Table, key: &str, value: Value) -> Result<(), LoadError> {
    let segments: Vec<&str> = key.split('.').collect();
    let Some((last, parents)) = segments.split_last().filter(|_| segments.len() <= KEY_SEGMENTS_MAX) else {
        return Err(flag_error(key, "it is no key"));
    };
    let mut table = table;
    for parent in parents {
        let inner = table.entry(*parent).or_insert_with(|| Value::Table(Table::new()));
        table = inner.as_table_mut().ok_or_else(|| flag_error(key, "a part of it is no section"))?;
    }
    match table.insert((*last).to_owned(), value) {
        Some(_) => Err(flag_error(key, "it is given twice")),
        None => Ok(()),
    }
}

/// Parses one text into a table that is known to fit `T`.
fn parse<T: DeserializeOwned>(
    path: &Path,
    text: &str,
    schema: &dyn Fn() -> serde_json::Value,
) -> Result<Table, LoadError> {
    toml::from_str::<T>(text)
        .and_then(|_| toml::from_str::<Table>(text))
        .map_err(|error| explain(path, text, &error, schema))
}

/// Words an error of the TOML reader: place, key, and what was meant.
fn explain(path: &Path, text: &str, error: &toml::de::Error, schema: &dyn Fn() -> serde_json::Value) -> LoadError {
    if let Some(unknown) = document::first_unknown(text, &schema()) {
        let at = document::locate(path, text, unknown.offset);
        return LoadError::UnknownKey { at, key: unknown.key, nearest: unknown.nearest };
    }
    let offset = error.span().map_or(0, |span| span.start);
    let at = document::locate(path, text, offset);
    let message = escape_bytes(error.message().trim().replace('\n', "; ").as_bytes());
    match document::key_at(text, offset) {
        Some(key) => LoadError::Value { at, key, message },
        None => LoadError::Syntax { at, message },
    }
}

/// Merges the layers over their preset, key by key.
fn merge(layers: &[LayerText]) -> Result<(Config, BTreeMap<String, Layer>), LoadError> {
    let mut origins = BTreeMap::new();
    let mut merged = Table::new();
    for layer in layers {
        overlay(&mut merged, &layer.table, "", &mut |key| {
            origins.insert(key.to_owned(), layer.layer);
        });
    }
    let preset = preset_of(&merged);
    let mut full = preset_table(preset)?;
    overlay(&mut full, &merged, "", &mut |_| {});
    // Each layer has passed the types alone; a merge of tables that fit, fits.
    let config = Config::deserialize_table(full).map_err(|message| flag_error("flags", &message))?;
    let idle = |key: &str, by: &str| {
        let by = origins.get(by);
        let below = |name: &str| name == key || name.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
        origins.iter().any(|(name, layer)| below(name) && by.is_none_or(|by| by == layer))
    };
    match config::check(&config, idle).into_iter().next() {
        None => Ok((config, origins)),
        Some(fault) => {
            let key = fault.key.as_str();
            let holds = |layer: &&LayerText| document::offset_of(&layer.text, key).is_some();
            match layers.iter().rev().find(holds) {
                Some(layer) => Err(faulty(&layer.path, &layer.text, fault)),
                None => Err(flag_error(key, &fault.message)),
            }
        }
    }
}

fn faulty(path: &Path, text: &str, fault: Fault) -> LoadError {
    let at = document::locate(path, text, document::offset_of(text, &fault.key).unwrap_or(0));
    match fault.kind {
        FaultKind::Value => LoadError::Value { at, key: fault.key, message: fault.message },
        FaultKind::NoEffect => LoadError::NoEffect { at, key: fault.key, message: fault.message },
    }
}

fn preset_of(merged: &Table) -> Preset {
    let word = merged.get("policy").and_then(|policy| policy.get("preset")).and_then(Value::as_str);
    word.and_then(Preset::parse).unwrap_or(PolicyConfig::default().preset)
}

/// The preset's own file; that it parses is tested.
fn preset_table(preset: Preset) -> Result<Table, LoadError> {
    toml::from_str(preset.text()).map_err(|_| flag_error("policy.preset", "the preset is broken"))
}

/// Lays `upper` over `lower`, section by section; `note` learns of each key that was laid.
fn overlay(lower: &mut Table, upper: &Table, prefix: &str, note: &mut dyn FnMut(&str)) {
    for (name, value) in upper {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match (lower.get_mut(name), value) {
            (Some(Value::Table(lower)), Value::Table(upper)) => overlay(lower, upper, &key, note),
            (_, Value::Table(upper)) => {
                let mut fresh = Table::new();
                overlay(&mut fresh, upper, &key, note);
                lower.insert(name.clone(), Value::Table(fresh));
            }
            _ => {
                note(&key);
                lower.insert(name.clone(), value.clone());
            }
        }
    }
}

fn digest(config: &Config, restriction: Option<&Restriction>, chain: &[Policy]) -> Digest {
    let mut writer = DigestWriter::new("ringfort.configuration.v1");
    writer.number(chain.len() as u64);
    for policy in chain {
        writer.bytes(policy.digest().as_bytes());
    }
    for text in [serde_json::to_vec(config), serde_json::to_vec(&restriction)] {
        writer.bytes(&text.unwrap_or_default());
    }
    writer.finish()
}

impl Config {
    fn deserialize_table(table: Table) -> Result<Self, String> {
        table.try_into::<Self>().map_err(|error| escape_bytes(error.message().as_bytes()))
    }
}
