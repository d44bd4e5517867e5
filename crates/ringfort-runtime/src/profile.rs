// SPDX-License-Identifier: MIT OR Apache-2.0
//! The profile and the environment of a session's cages.
//!
//! In: the configuration, the workspace, the caller's home and environment. Out: what exists inside, and the variables
//! that a program finds there.
//!
//! **Invariant:** only variables on the list, or passed through by the policy, reach a program; none that tells
//! Ringfort what to do does. Nothing of the home is shown but toolchains and what the policy names.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use ringfort_policy::config::Config;
use ringfort_sandbox::profile::{BindMode, DegreeRequest, HomeBind, Limits, Profile};

use crate::supervisor::broker::{BROKER_FD, BROKER_VARIABLE};
use crate::toolchains;

/// Variables that a program sees as the caller has them.
const PASSED: [&str; 34] = [
    "PATH",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TERM",
    "COLORTERM",
    "COLUMNS",
    "LINES",
    "NO_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "FORCE_COLOR",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "LESS",
    "USER",
    "LOGNAME",
    "SHELL",
    "CI",
    "NODE_ENV",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "GOPATH",
    "GOROOT",
    "JAVA_HOME",
    "NVM_DIR",
    "NVM_BIN",
    "PYENV_ROOT",
    "VOLTA_HOME",
    "BUN_INSTALL",
    "DENO_INSTALL",
    "SOURCE_DATE_EPOCH",
];
/// Variables of Ringfort itself: never passed.
const OWN_PREFIX: &[u8] = b"RINGFORT_";

/// What the wiring knows of the caller.
pub struct Caller<'a> {
    /// The caller's home.
    pub home: &'a Path,
    /// The caller's whole environment.
    pub environment: &'a [(OsString, OsString)],
    /// Folders and files of Ringfort itself that must not be seen or changed.
    pub own_files: &'a [PathBuf],
    /// The running binary: what a nested `ringfort` inside is.
    pub binary: Option<&'a Path>,
}

/// The profile that every cage of a session shares.
pub fn build(config: &Config, workspace: &Path, caller: &Caller<'_>, degree: DegreeRequest) -> Profile {
    let mut profile = Profile::new(workspace.to_owned(), caller.home.to_owned());
    profile.degree = degree;
    profile.home.binds = toolchains::binds(caller.home);
    for relative in &config.sandbox.home_read_only {
        let relative = Path::new(relative.strip_prefix("~/").unwrap_or(relative));
        if let Ok(source) = caller.home.join(relative).canonicalize() {
            profile.home.binds.push(HomeBind { source, target: relative.to_owned(), mode: BindMode::ReadOnly });
        }
    }
    if let Some(binary) = caller.binary {
        protect_binary(&mut profile, binary);
    }
    profile.hidden.extend(config.sandbox.hidden.iter().map(|path| expand(path, caller.home, workspace)));
    profile.hidden.extend(caller.own_files.iter().cloned());
    let limits = config.sandbox.limits.to_obligation();
    profile.limits = Limits {
        processes_max: limits.processes_max,
        file_bytes_max: limits.file_bytes_max,
        memory_bytes_max: limits.memory_bytes_max,
        cpu_s_max: limits.cpu_ms_max.map(|ms| ms.div_ceil(1000)),
        ..Limits::default()
    };
    profile
}

/// The binary can be run inside, as a client of the broker, and changed nowhere.
fn protect_binary(profile: &mut Profile, binary: &Path) {
    if binary.starts_with(&profile.workspace) {
        profile.protected.push(binary.to_owned());
    } else if !profile.system.iter().any(|root| binary.starts_with(root)) {
        let target = PathBuf::from(".local/bin/ringfort");
        profile.home.binds.retain(|bind| bind.target != target);
        profile.home.binds.push(HomeBind { source: binary.to_owned(), target, mode: BindMode::ReadOnly });
    }
}

fn expand(path: &str, home: &Path, workspace: &Path) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(relative) => home.join(relative),
        None => workspace.join(path),
    }
}

/// The environment of a program in a cage.
pub fn environment(config: &Config, caller: &Caller<'_>, scratch: Option<&Path>) -> Vec<(OsString, OsString)> {
    let passed = |name: &OsStr| {
        let bytes = name.as_bytes();
        !bytes.starts_with(OWN_PREFIX)
            && (PASSED.iter().any(|passed| passed.as_bytes() == bytes)
                || bytes.starts_with(b"LC_")
                || config.autonomy.shell_env_passthrough.iter().any(|passed| passed.as_bytes() == bytes))
    };
    let mut environment: Vec<(OsString, OsString)> =
        caller.environment.iter().filter(|(name, _)| passed(name)).cloned().collect();
    let mut set = |name: &str, value: OsString| {
        environment.retain(|(present, _)| present != name);
        environment.push((OsString::from(name), value));
    };
    let temporary = scratch.map_or_else(|| OsString::from("/tmp"), |scratch| scratch.join("tmp").into_os_string());
    let home = scratch.map_or_else(|| caller.home.to_owned(), |scratch| scratch.join("home"));
    set("HOME", home.into_os_string());
    set("TMPDIR", temporary);
    set(BROKER_VARIABLE, OsString::from(BROKER_FD.to_string()));
    environment.sort();
    environment
}
