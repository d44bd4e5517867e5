// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: package managers install from the registries that they are configured for, with one word in the policy.
//!
//! The hosts are those that this machine reaches; where it reaches none, outside every cage, the test says so.

use std::os::unix::fs::symlink;
use std::time::Duration;

use super::record;
use crate::support::{Place, Program, is_namespaced, skips_are_errors};

/// Longest installation.
const INSTALL_MAX: Duration = Duration::from_secs(180);
/// Variables of whoever runs the tests by which clients find their registries and trust them.
const PASSED: [&str; 8] = [
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "npm_config_registry",
    "PIP_INDEX_URL",
    "CARGO_HTTP_CAINFO",
];

/// A program with what it needs to reach its registry.
fn as_configured(mut program: Program) -> Program {
    for name in PASSED {
        #[expect(clippy::disallowed_methods, reason = "how this machine reaches registries")]
        if let Some(value) = std::env::var_os(name) {
            program = program.env(name, value);
        }
    }
    program.time_max(INSTALL_MAX)
}

/// Whether `text` succeeds outside every cage.
fn works_outside(place: &Place, text: &str, path: Option<&str>) -> bool {
    let mut program = place.program("timeout", ["60", "sh", "-c", text]);
    if let Some(path) = path {
        program = program.env("PATH", path);
    }
    let out = as_configured(program).output();
    let works = out.code() == Some(0);
    assert!(works || !skips_are_errors(), "no registry is reached outside: {out}");
    if !works {
        eprintln!("skipped: no registry is reached outside: {}", out.err());
    }
    works
}

fn inside(place: &Place, preset: &str, text: &str, path: Option<&str>) -> Program {
    let setting = format!("egress.presets=[\"{preset}\"]");
    let mut program = place.ringfort(["run", "--set", &setting, "--", "sh", "-c", text]);
    if let Some(path) = path {
        program = program.env("PATH", path);
    }
    as_configured(program)
}

#[test]
fn npm_installs() {
    let place = Place::new();
    if !is_namespaced(&place) || !works_outside(&place, "npm view is-number version", None) {
        return;
    }
    place.write("package.json", "{ \"name\": \"a\", \"version\": \"1.0.0\" }");
    let out = inside(&place, "npm", "npm install --no-audit --no-fund is-number@7.0.0", None).output().exits(0);
    assert!(place.work.join("node_modules/is-number/package.json").exists(), "{out}");
    let entries = record(&place);
    // A connection that is kept open ends with the run.
    let reached = |entry: &serde_json::Value| entry["kind"] == "outcome" && entry["facts"]["protocol"] == "tls";
    assert!(entries.iter().any(reached), "{entries:#?} {out}");
    assert!(record(&place).iter().any(|entry| entry["rules"][0] == "egress-011"));
    // Without the word it reaches nothing.
    let out = place.ringfort(["run", "--network", "door", "--", "npm", "view", "is-odd", "version"]);
    assert!(as_configured(out).output().code() != Some(0));
}

#[test]
fn node_fetches_without_knowing_of_a_proxy() {
    let place = Place::new();
    let script = "const r = await fetch(process.argv[2]); const t = await r.json(); console.log('name', t.name);";
    place.write("get.mjs", script);
    let registry = as_configured(place.program("npm", ["config", "get", "registry"])).output().out();
    let text = format!("node get.mjs '{}is-number'", registry.trim());
    // Node itself may not trust the registry's certificate where its own variables are missing; npm has settings for that.
    let outside = as_configured(place.program("timeout", ["60", "sh", "-c", &text])).output();
    if !is_namespaced(&place) || outside.code() != Some(0) {
        eprintln!("skipped: node reaches no registry outside: {outside}");
        return;
    }
    let out = inside(&place, "npm", &text, None).output().exits(0);
    assert_eq!(out.out(), "name is-number\n", "{out}");
}

#[test]
fn pip_installs() {
    let place = Place::new();
    let make =
        "python3 -m venv ../../outside/v && ../../outside/v/bin/pip download -q --no-deps -d ../../outside six==1.16.0";
    if !is_namespaced(&place) || !works_outside(&place, make, None) {
        return;
    }
    let text = "python3 -m venv v && v/bin/pip install -q --no-cache-dir --disable-pip-version-check six==1.16.0";
    let out = inside(&place, "pip", text, None).output().exits(0);
    let found = place.program("sh", ["-c", "ls v/lib/python3*/site-packages/six.py"]).output();
    assert_eq!(found.code(), Some(0), "{found} {out}");
    assert!(record(&place).iter().any(|entry| entry["rules"][0] == "egress-011"));
}

#[test]
fn cargo_fetches() {
    let place = Place::new();
    if !is_namespaced(&place) {
        return;
    }
    #[expect(clippy::disallowed_methods, reason = "the toolchain of whoever runs the tests")]
    let path = std::env::var("PATH").unwrap();
    #[expect(clippy::disallowed_methods, reason = "the toolchain of whoever runs the tests")]
    let home = std::env::var("HOME").unwrap();
    let asked = place.program("/usr/bin/env", ["rustc", "--print", "sysroot"]).env("PATH", path).env("HOME", home);
    let sysroot = asked.output().exits(0).out();
    symlink(sysroot.trim(), place.home.join(".rustup")).unwrap();
    let path = format!("{}/.rustup/bin:/usr/bin:/bin", place.home.display());
    place.write(
        "Cargo.toml",
        "[package]\nname = \"a\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\nitoa = \"=1.0.3\"\n",
    );
    place.write("src/lib.rs", "");
    // Outside first: cargo then keeps from where the index says that crates are downloaded.
    if !works_outside(&place, "cargo fetch -q", Some(&path)) {
        return;
    }
    std::fs::remove_dir_all(place.home.join(".cargo/registry/cache")).unwrap();
    std::fs::remove_dir_all(place.home.join(".cargo/registry/src")).unwrap();
    inside(&place, "cargo", "cargo fetch -q", Some(&path)).output().exits(0);
    assert!(record(&place).iter().any(|entry| entry["rules"][0] == "egress-011"));
}
