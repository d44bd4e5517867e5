// SPDX-License-Identifier: MIT OR Apache-2.0
//! The edges between our crates are those of `layers.toml`.
//!
//! In: `cargo metadata` and `layers.toml`. Out: each edge that the table does not allow, each crate it does not know.
//!
//! **Invariant:** normal and build dependencies count; a dev-dependency may be the testkit and, of layer 0, nothing
//! else of ours.

use std::collections::BTreeMap;

use crate::graph::{Dependency, Package, graph};
use crate::{assert_found, assert_none, file};

/// The crate that product crates may use in tests only.
const TESTKIT: &str = "ringfort-testkit";

fn faults<'a>(layers: &str, members: impl Iterator<Item = &'a Package>) -> Vec<String> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Layers {
        allowed: BTreeMap<String, Vec<String>>,
    }
    let mut allowed = toml::from_str::<Layers>(layers).unwrap().allowed;
    let mut faults = Vec::new();
    for package in members {
        let Some(edges) = allowed.remove(&package.name) else {
            faults.push(format!("`{}` is not in layers.toml", package.name));
            continue;
        };
        let ours = |dependency: &&Dependency| dependency.name.starts_with("ringfort");
        for dependency in package.dependencies.iter().filter(ours) {
            let (from, to) = (&package.name, &dependency.name);
            let fine = if dependency.is_shipped() {
                edges.contains(to) && (to != TESTKIT)
            } else {
                edges.contains(to) || to == TESTKIT
            };
            if !fine {
                faults.push(format!("layers.toml does not allow `{from}` to use `{to}`"));
            }
        }
    }
    faults.extend(allowed.keys().map(|name| format!("layers.toml names `{name}`, which is no crate of ours")));
    faults
}

#[test]
fn edges_are_those_of_the_table() {
    assert!(graph().members().count() >= 9);
    assert_none(&faults(file("layers.toml"), graph().members()));
}

#[test]
fn deny_edges_that_the_table_lacks() {
    let dependency =
        |(name, kind): &(&str, Option<&str>)| Dependency { name: (*name).to_owned(), kind: kind.map(str::to_owned) };
    let package = |name: &str, edges: &[(&str, Option<&str>)]| Package {
        id: name.to_owned(),
        name: name.to_owned(),
        version: String::new(),
        license: None,
        dependencies: edges.iter().map(dependency).collect(),
    };
    let members = [
        package("ringfort-core", &[("serde", None), (TESTKIT, Some("dev"))]),
        package("ringfort-audit", &[("ringfort-core", None), ("ringfort-policy", None), (TESTKIT, Some("build"))]),
        package("ringfort-policy", &[("ringfort-core", Some("build")), ("ringfort-audit", Some("dev"))]),
        package("ringfort-new", &[]),
    ];
    let table = "[allowed]\nringfort-core = []\nringfort-audit = [\"ringfort-core\", \"ringfort-testkit\"]\n\
                 ringfort-policy = [\"ringfort-core\"]\nringfort-old = []\n";
    assert_found(
        &faults(table, members.iter()),
        &[
            "`ringfort-audit` to use `ringfort-policy`",
            "`ringfort-audit` to use `ringfort-testkit`",
            "`ringfort-policy` to use `ringfort-audit`",
            "`ringfort-new` is not in layers.toml",
            "`ringfort-old`, which is no crate",
        ],
    );
}
