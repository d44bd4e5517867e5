// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many packages there are, what they are licensed under, where they come from, and which may not be there.
//!
//! In: `Cargo.lock`, `cargo metadata`, `deny.toml` (in the format of cargo-deny, which reads it too). Out: each fault.
//!
//! **Invariant:** a package without a licence expression, or with a word in it that the list lacks, is a fault.
//! `Cargo.lock` is judged for every platform, licences for this one.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::graph::{Package, graph};
use crate::{assert_found, assert_none, file};

/// Most packages in `Cargo.lock`, of every platform, tests and benches included. About fifty are the small ones of which one
/// project makes ciphers, key derivation and curves.
const LOCKED_MAX: usize = 205;
/// Most packages that the release binary is built from, ours included.
const SHIPPED_MAX: usize = 160;

#[derive(Deserialize)]
struct Deny {
    licenses: Licences,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Licences {
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
struct Sources {
    #[serde(rename = "allow-registry")]
    registries: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

fn deny() -> Deny {
    toml::from_str(file("deny.toml")).unwrap()
}

fn lock_faults(lock: &str, deny: &Deny) -> Vec<String> {
    let mut faults = Vec::new();
    for package in toml::from_str::<Lock>(lock).unwrap().package {
        if let Some(ban) = deny.bans.deny.iter().find(|ban| ban.name == package.name) {
            faults.push(format!("`{}` is banned: {}", package.name, ban.reason));
        }
        let ours = package.source.is_none() && package.name.starts_with("ringfort");
        let from_registry = package.source.as_deref().and_then(|source| source.strip_prefix("registry+"));
        let known = from_registry.is_some_and(|url| deny.sources.registries.contains(url));
        if !(ours || known && package.checksum.is_some()) {
            faults.push(format!("`{} {}` comes from elsewhere: {:?}", package.name, package.version, package.source));
        }
    }
    faults
}

fn licence_faults(packages: &[Package], allowed: &BTreeSet<String>) -> Vec<String> {
    let fault = |package: &Package| match &package.license {
        None => Some(format!("`{} {}` has no licence expression", package.name, package.version)),
        Some(expression) if satisfied(expression, allowed) => None,
        Some(expression) => Some(format!("`{} {}` is under `{expression}`", package.name, package.version)),
    };
    packages.iter().filter_map(fault).collect()
}

/// Whether an SPDX expression can be met with allowed licences; one that cannot be read cannot be met.
fn satisfied(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let met = alternatives(&mut words, allowed);
    met == Some(true) && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn alternatives(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> Option<bool> {
    let mut met = conjunction(words, allowed)?;
    while words.next_if_eq(&"OR").is_some() {
        met |= conjunction(words, allowed)?;
    }
    Some(met)
}

fn conjunction(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> Option<bool> {
    let mut met = licence(words, allowed)?;
    while words.next_if_eq(&"AND").is_some() {
        met &= licence(words, allowed)?;
    }
    Some(met)
}

fn licence(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> Option<bool> {
    match words.next()? {
        "(" => {
            let met = alternatives(words, allowed)?;
            words.next_if_eq(&")").map(|_| met)
        }
        "OR" | "AND" | "WITH" | ")" => None,
        name if words.next_if_eq(&"WITH").is_some() => {
            Some(allowed.contains(&format!("{name} WITH {}", words.next()?)))
        }
        name => Some(allowed.contains(name)),
    }
}

#[test]
fn sources_and_bans_hold_for_every_platform() {
    assert_none(&lock_faults(file("Cargo.lock"), &deny()));
}

#[test]
fn licences_are_those_of_the_list() {
    assert_none(&licence_faults(&graph().packages, &deny().licenses.allow));
}

#[test]
fn packages_stay_within_their_budget() {
    let locked = toml::from_str::<Lock>(file("Cargo.lock")).unwrap().package.len();
    let shipped = graph().shipped_with("ringfort").len();
    let mut versions = BTreeMap::<&str, Vec<&str>>::new();
    for package in &graph().packages {
        versions.entry(&package.name).or_default().push(&package.version);
    }
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        println!("more than one version: {name} {}", versions.join(", "));
    }
    println!("packages: {locked} locked (at most {LOCKED_MAX}), {shipped} in the binary (at most {SHIPPED_MAX})");
    assert!(shipped > 9, "the graph is not empty");
    assert!(locked <= LOCKED_MAX, "{locked} packages in Cargo.lock; the budget is {LOCKED_MAX}");
    assert!(shipped <= SHIPPED_MAX, "{shipped} packages in the binary; the budget is {SHIPPED_MAX}");
}

#[test]
fn deny_foreign_sources_and_banned_packages() {
    let registry = "registry+https://github.com/rust-lang/crates.io-index";
    let package = |name: &str, rest: &str| format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n{rest}\n");
    let lock = [
        package("ringfort-core", ""),
        package("serde", &format!("source = \"{registry}\"\nchecksum = \"00\"")),
        package("openssl-sys", &format!("source = \"{registry}\"\nchecksum = \"00\"")),
        package("unsummed", &format!("source = \"{registry}\"")),
        package("forked", "source = \"git+https://example.org/forked#abc\""),
        package("local", ""),
    ];
    assert_found(
        &lock_faults(&lock.concat(), &deny()),
        &[
            "`openssl-sys` is banned",
            "`unsummed 1.0.0` comes from elsewhere",
            "`forked 1.0.0` comes from elsewhere",
            "`local 1.0.0` comes from elsewhere",
        ],
    );
}

#[test]
fn deny_licences_that_cannot_be_met() {
    let allowed = deny().licenses.allow;
    for (expression, expected) in [
        ("MIT", true),
        ("MIT/Apache-2.0", true),
        ("GPL-3.0-only OR MIT", true),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("GPL-3.0-only", false),
        ("LGPL-2.1 OR AGPL-3.0", false),
        ("MIT AND GPL-2.0", false),
        ("(MIT OR GPL-2.0) AND GPL-2.0", false),
        ("MIT WITH Classpath-exception-2.0", false),
        ("MIT Apache-2.0", false),
        ("(MIT", false),
        ("OR MIT", false),
        ("", false),
    ] {
        assert_eq!(satisfied(expression, &allowed), expected, "`{expression}`");
    }
    let package = |license: Option<&str>| Package {
        id: String::new(),
        name: "x".to_owned(),
        version: "1".to_owned(),
        license: license.map(str::to_owned),
        dependencies: Vec::new(),
    };
    let planted = [package(None), package(Some("SSPL-1.0")), package(Some("MIT"))];
    assert_found(&licence_faults(&planted, &allowed), &["no licence expression", "is under `SSPL-1.0`"]);
}
