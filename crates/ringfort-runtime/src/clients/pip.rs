// SPDX-License-Identifier: MIT OR Apache-2.0
//! pip. The host of the files that an index links to is the index's own, unless pip knows it: another one is listed
//! under `egress.domains`.

use std::path::PathBuf;

use ringfort_policy::config::EgressPreset;

use super::{Client, Found, Place, Query, Settings, file, without_user};

pub(super) const ENTRY: Client = Client { preset: EgressPreset::Pip, read, answered };

/// Prints the index that pip uses unless it is told otherwise, and where its files are.
const DEFAULTS: &str = "from pip._internal.models.index import PyPI as i; print(i.simple_url); \
                        print('https://' + i.file_storage_domain)";

fn read(settings: &Settings<'_>, found: &mut Found) {
    let mut index = settings.text("PIP_INDEX_URL").map(str::to_owned);
    let mut extra = settings.text("PIP_EXTRA_INDEX_URL").map(str::to_owned);
    let named = settings.variable("PIP_CONFIG_FILE").map(PathBuf::from);
    let config = settings.folder("XDG_CONFIG_HOME", ".config");
    // The user's own before the machine's.
    let files = named.into_iter().chain([
        config.join("pip/pip.conf"),
        settings.home.join(".pip/pip.conf"),
        settings.root.join("etc/pip.conf"),
        settings.root.join("etc/xdg/pip/pip.conf"),
    ]);
    for text in files.filter_map(|path| file::text(&path, settings)) {
        for (section, key, value) in file::ini(&text) {
            if !matches!(section.as_str(), "global" | "install" | "download") {
                continue;
            }
            match key.replace('_', "-").as_str() {
                "index-url" => index = index.or(Some(value)),
                "extra-index-url" => extra = extra.or(Some(value)),
                _ => {}
            }
        }
    }
    match index {
        Some(index) => add("PIP_INDEX_URL", &index, found),
        None => found.query = Some(Query { words: &["python3", "-I", "-c", DEFAULTS], variables: &[], files: &[] }),
    }
    if let Some(extra) = extra {
        add("PIP_EXTRA_INDEX_URL", &extra, found);
    }
}

/// Adds indexes, and the variable by which pip finds them inside.
fn add(name: &str, urls: &str, found: &mut Found) {
    let urls: Vec<String> = urls.split_whitespace().map(without_user).collect();
    for url in &urls {
        match Place::of(url) {
            Some(place) => {
                found.hosts.insert(place);
            }
            None => found.notices.push(format!("`{name}` in pip's settings is no URL that is understood")),
        }
    }
    found.variables.push((name.into(), urls.join(" ").into()));
}

fn answered(answer: &str, _settings: &Settings<'_>, found: &mut Found) {
    found.hosts.extend(answer.lines().filter_map(|line| Place::of(line.trim())).take(2));
}
