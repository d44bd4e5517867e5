// SPDX-License-Identifier: MIT OR Apache-2.0
//! cargo. It has no question for its default index: without a network it says at what it failed. From where crates are
//! downloaded the index says itself; its answer is found in cargo's cache once cargo has used the index.

use std::path::{Path, PathBuf};

use ringfort_policy::config::EgressPreset;
use serde_json::Value;
use toml::Table;

use super::{Client, Found, Place, Query, Settings, file};

pub(super) const ENTRY: Client = Client { preset: EgressPreset::Cargo, read, answered };

/// The name by which cargo knows its default registry.
const DEFAULT: &str = "crates-io";
/// Most indexes in the cache that are looked at.
const INDEXES_MAX: usize = 64;

fn read(settings: &Settings<'_>, found: &mut Found) {
    let home = settings.folder("CARGO_HOME", ".cargo");
    let text = ["config.toml", "config"].into_iter().find_map(|name| file::text(&home.join(name), settings));
    let table: Table = text.and_then(|text| toml::from_str(&text).ok()).unwrap_or_default();
    let entry =
        |section: &str, key: &str, value: &str| Some(table.get(section)?.get(key)?.get(value)?.as_str()?.to_owned());
    let named = |section: &str, value: &str| -> Vec<String> {
        let all = table.get(section).and_then(|section| section.as_table());
        all.into_iter().flatten().filter_map(|(_, one)| one.get(value)?.as_str().map(str::to_owned)).collect()
    };
    let replaced = entry("source", DEFAULT, "replace-with");
    let mut urls = named("registries", "index");
    urls.extend(named("source", "registry"));
    let is_index = |name: &str| name.starts_with("CARGO_REGISTRIES_") && name.ends_with("_INDEX");
    for (name, value) in settings.environment {
        if let (Some(name), Some(value)) = (name.to_str(), value.to_str())
            && (is_index(name) || name == "CARGO_SOURCE_CRATES_IO_REGISTRY")
        {
            urls.push(value.to_owned());
        }
    }
    urls.iter().for_each(|url| add(url, settings, found));
    if replaced.is_none() {
        found.query = Some(Query {
            words: &["cargo", "fetch"],
            variables: &[("CARGO_NET_RETRY", "0")],
            files: &[
                ("Cargo.toml", "[package]\nname = \"a\"\nversion = \"0.0.0\"\n[dependencies]\nserde = \"*\"\n"),
                ("src/lib.rs", ""),
            ],
        });
    }
}

/// Adds an index, and from where its crates are downloaded.
fn add(url: &str, settings: &Settings<'_>, found: &mut Found) {
    let Some(place) = Place::of(url) else {
        // An index in a folder, or one that is fetched by a protocol without a host.
        return;
    };
    let host = place.host.to_string();
    found.hosts.insert(place);
    let home = settings.folder("CARGO_HOME", ".cargo");
    for folder in indexes(&home.join("registry/index"), &host) {
        let Some(text) = file::text(&folder.join("config.json"), settings) else { continue };
        let Ok(config) = serde_json::from_str::<Value>(&text) else { continue };
        let urls = ["dl", "api"].into_iter().filter_map(|key| config.get(key)?.as_str());
        found.hosts.extend(urls.filter_map(Place::of));
    }
}

/// The folders of the cache that belong to an index on this host: its name, and a digest behind it.
fn indexes(folder: &Path, host: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let is_its = |name: &str| name.rsplit_once('-').is_some_and(|(before, _)| before == host);
    let named = entries.take(INDEXES_MAX).filter_map(Result::ok);
    named.filter(|entry| entry.file_name().to_str().is_some_and(is_its)).map(|entry| entry.path()).collect()
}

/// The first address that it failed at.
fn answered(answer: &str, settings: &Settings<'_>, found: &mut Found) {
    let quoted = answer.split('`').skip(1).step_by(2);
    let url = quoted.into_iter().find(|text| text.starts_with("https://"));
    url.into_iter().for_each(|url| add(url, settings, found));
}
