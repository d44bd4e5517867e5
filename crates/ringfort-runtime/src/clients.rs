// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hosts of package managers, from their own settings: `egress.presets`.
//!
//! In: the caller's home and environment, the presets that the configuration chose, and for what the settings leave to
//! the client what it answers itself ([`Query`], run in a cage). Out: hosts, and the settings that a client needs inside.
//!
//! **Invariant:** nothing that lies where an agent writes is read: not the workspace, no file that others may change.
//! Every file is bounded and opened once. No user name, password or token of a URL goes any further. No host is named in
//! this source.

mod cargo;
mod file;
mod git;
mod npm;
mod pip;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use ringfort_policy::config::EgressPreset;
use ringfort_policy::domain::HostPattern;
use ringfort_policy::egress::{self, Host};

/// Most hosts of one client.
const HOSTS_MAX: usize = 64;

/// What is known of the caller.
#[derive(Clone, Copy)]
pub struct Settings<'a> {
    /// The machine: `/`.
    pub root: &'a Path,
    /// The caller's home.
    pub home: &'a Path,
    /// The caller's environment.
    pub environment: &'a [(OsString, OsString)],
    /// Folders where an agent writes: nothing below them is read.
    pub written: &'a [PathBuf],
    /// The words of the command, as a person typed them.
    pub typed: &'a [OsString],
}

impl Settings<'_> {
    fn variable(&self, name: &str) -> Option<&OsStr> {
        let found = self.environment.iter().find(|(present, _)| present == name);
        found.map(|(_, value)| value.as_os_str()).filter(|value| !value.is_empty())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.variable(name).and_then(OsStr::to_str)
    }

    /// A folder that a variable names, else one of the home.
    fn folder(&self, name: &str, relative: &str) -> PathBuf {
        let named = self.variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        named.unwrap_or_else(|| self.home.join(relative))
    }
}

/// What the settings of one client say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Hosts that it talks to.
    pub hosts: BTreeSet<Place>,
    /// Small files of the home by which it finds them inside.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    /// Variables by which it finds them inside.
    pub variables: Vec<(OsString, OsString)>,
    /// What is left to the client: its own default.
    pub query: Option<Query>,
    /// What a person should know.
    pub notices: Vec<String>,
}

/// A host and port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    host: Host,
    port: u16,
}

impl Place {
    /// Host and port of a URL; a user name and password in it are left out.
    pub fn of(url: &str) -> Option<Self> {
        let to = egress::parse(&without_user(url.strip_prefix("sparse+").unwrap_or(url))).ok()?;
        to.scheme.as_ref()?;
        Some(Self { host: to.host, port: to.port? })
    }

    /// The pattern that covers it and nothing else.
    pub fn to_pattern(&self) -> Option<HostPattern> {
        HostPattern::parse(&format!("{}:{}", self.host, self.port)).ok()
    }
}

/// What is asked of a client, in a cage without a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The words of the command.
    pub words: &'static [&'static str],
    /// Variables besides those of every cage.
    pub variables: &'static [(&'static str, &'static str)],
    /// Files of its workspace.
    pub files: &'static [(&'static str, &'static str)],
}

/// One client.
struct Client {
    preset: EgressPreset,
    /// What its settings say.
    read: fn(&Settings<'_>, &mut Found),
    /// What it answered to its query.
    answered: fn(&str, &Settings<'_>, &mut Found),
}

/// Every client.
static CLIENTS: &[Client] = &[cargo::ENTRY, git::ENTRY, npm::ENTRY, pip::ENTRY];

fn client(preset: EgressPreset) -> Option<&'static Client> {
    CLIENTS.iter().find(|client| client.preset == preset)
}

/// What the settings of a client say. Where they leave something to the client, there is a query.
pub fn read(preset: EgressPreset, settings: &Settings<'_>) -> Found {
    let mut found = Found::default();
    if let Some(client) = client(preset) {
        (client.read)(settings, &mut found);
    }
    bound(&mut found);
    found
}

/// Adds what a client answered to its query.
pub fn add_answer(preset: EgressPreset, answer: &str, settings: &Settings<'_>, found: &mut Found) {
    let before = found.hosts.len();
    if let Some(client) = client(preset) {
        (client.answered)(answer, settings, found);
    }
    bound(found);
    if found.hosts.len() == before {
        found.notices.push(unanswered(preset));
    }
}

/// What a person is told where a client does not say which hosts it uses.
pub fn unanswered(preset: EgressPreset) -> String {
    format!(
        "`egress.presets` names `{0}`, and {0} does not say which hosts it uses: list them under `egress.domains`",
        preset.as_str()
    )
}

fn bound(found: &mut Found) {
    while found.hosts.len() > HOSTS_MAX {
        found.hosts.pop_last();
    }
}

/// A URL without user name and password.
fn without_user(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests;
