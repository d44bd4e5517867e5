// SPDX-License-Identifier: MIT OR Apache-2.0
//! npm, and what reads its settings (pnpm, yarn, bun).

use std::path::PathBuf;

use ringfort_policy::config::EgressPreset;

use super::{Client, Found, Place, Query, Settings, file, without_user};

pub(super) const ENTRY: Client = Client { preset: EgressPreset::Npm, read, answered };

/// The key of the registry; `@scope:registry` is the one of a scope.
const REGISTRY: &str = "registry";

fn read(settings: &Settings<'_>, found: &mut Found) {
    let named = ["npm_config_userconfig", "NPM_CONFIG_USERCONFIG"].into_iter().find_map(|name| settings.variable(name));
    let user = named.map_or_else(|| settings.home.join(".npmrc"), PathBuf::from);
    let mut registry = ["npm_config_registry", "NPM_CONFIG_REGISTRY"].into_iter().find_map(|name| settings.text(name));
    let mut lines = Vec::new();
    let machine = ["etc/npmrc", "usr/etc/npmrc", "usr/local/etc/npmrc"].map(|path| settings.root.join(path));
    let files: Vec<PathBuf> = std::iter::once(user).chain(machine).collect();
    let texts: Vec<_> =
        files.iter().filter_map(|path| file::text(path, settings)).map(|text| file::ini(&text)).collect();
    for (section, key, value) in texts.iter().flatten() {
        if !section.is_empty() || !value.contains("://") {
            continue;
        }
        if key == REGISTRY {
            // The first that says so holds: the environment, the user's file, the machine's.
            registry = registry.or(Some(value));
        } else if key.starts_with('@') && key.ends_with(":registry") {
            add(key, value, settings, found, &mut lines);
        }
    }
    match registry {
        Some(registry) => add(REGISTRY, registry, settings, found, &mut lines),
        None => found.query = Some(Query { words: &["npm", "config", "get", REGISTRY], variables: &[], files: &[] }),
    }
    if !lines.is_empty() {
        found.files.push((PathBuf::from(".npmrc"), lines.concat().into_bytes()));
    }
}

/// Adds a registry, and the line by which npm finds it inside.
fn add(key: &str, url: &str, settings: &Settings<'_>, found: &mut Found, lines: &mut Vec<String>) {
    let url = without_user(&expanded(url, settings));
    match Place::of(&url) {
        Some(place) => {
            found.hosts.insert(place);
            let plain = |text: &str| !text.contains(|c: char| c.is_control() || c.is_whitespace());
            if plain(key) && plain(&url) {
                lines.push(format!("{key}={url}\n"));
            }
        }
        None => found.notices.push(format!("`{}` in npm's settings is no URL that is understood", key.escape_debug())),
    }
}

/// A value with `${NAME}` replaced, as npm does.
fn expanded(value: &str, settings: &Settings<'_>) -> String {
    let mut out = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let Some((name, behind)) = after.split_once('}') else {
            out.push_str("${");
            rest = after;
            continue;
        };
        out.push_str(settings.text(name).unwrap_or_default());
        rest = behind;
    }
    out.push_str(rest);
    out
}

fn answered(answer: &str, _settings: &Settings<'_>, found: &mut Found) {
    found.hosts.extend(answer.lines().find_map(|line| Place::of(line.trim())));
}
