// SPDX-License-Identifier: MIT OR Apache-2.0
//! git: hosts in the settings of the user and the machine, and those on a command line that a person typed. A remote of
//! the workspace is written by whoever writes there, and opens nothing.

use std::path::Path;

use ringfort_policy::config::EgressPreset;

use super::{Client, Found, Place, Settings, file};

pub(super) const ENTRY: Client = Client { preset: EgressPreset::Git, read, answered };

fn read(settings: &Settings<'_>, found: &mut Found) {
    let config = settings.folder("XDG_CONFIG_HOME", ".config");
    let files = [settings.home.join(".gitconfig"), config.join("git/config"), settings.root.join("etc/gitconfig")];
    for text in files.iter().filter_map(|path| file::text(path, settings)) {
        for (section, key, value) in file::ini(&text) {
            // `[url "https://host/"] insteadOf = …`, `[credential "https://host"]`, `[remote "x"] url = …`
            let (kind, name) = section.split_once(' ').unwrap_or((&section, ""));
            let name = name.trim().trim_matches('"');
            match kind.to_ascii_lowercase().as_str() {
                "url" | "credential" => found.hosts.extend(Place::of(name)),
                "remote" if key.eq_ignore_ascii_case("url") => found.hosts.extend(place(&value)),
                _ => {}
            }
        }
    }
    let program = settings.typed.first().map(Path::new).and_then(Path::file_name);
    if program.is_some_and(|name| name == "git") {
        let words = settings.typed.iter().skip(1).filter_map(|word| word.to_str());
        found.hosts.extend(words.filter_map(place));
    }
}

/// The host of a URL, or of `user@host:path`.
fn place(text: &str) -> Option<Place> {
    if text.contains("://") {
        return Place::of(text);
    }
    let (user, rest) = text.split_once('@')?;
    let (host, _) = rest.split_once(':')?;
    if user.contains(['/', '=']) || user.starts_with('-') || text.contains(char::is_whitespace) {
        return None;
    }
    Place::of(&format!("ssh://{host}/"))
}

/// It is asked nothing.
fn answered(_answer: &str, _settings: &Settings<'_>, _found: &mut Found) {}
