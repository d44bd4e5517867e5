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

use ringfort_policy::path::{Place, Setting};
use ringfort_policy::rule::Effective;
use ringfort_sandbox::profile::{BindMode, DegreeRequest, HomeBind, Limits, Profile, Tracing};

use crate::agents::Added;
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
/// Where the binary is in the private home, if it is in no folder of the system and not in the workspace.
const OWN_BINARY: &str = ".local/bin/ringfort";
/// The same where the home has a folder of that name without it: the folder is shown as it is, read-only, so nothing
/// can be put into it.
const OWN_BINARY_BESIDE: &str = ".ringfort/bin/ringfort";
/// The folders of programs for a caller that names none.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";
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
pub fn build(effective: &Effective, workspace: &Path, caller: &Caller<'_>, degree: DegreeRequest) -> Profile {
    let setting = Setting::new(workspace, workspace, Some(caller.home));
    let path = |place: &Place| place.to_path(&setting);
    let mut profile = Profile::new(workspace.to_owned(), caller.home.to_owned());
    profile.degree = degree;
    // Whatever a ruling says besides: what the policy requires and the host cannot keep is an error.
    profile.require.clone_from(&effective.promises);
    profile.syscalls.clone_from(&effective.syscalls);
    profile.tracing = if effective.trace { Tracing::Programs } else { Tracing::Off };
    profile.degree_min = effective.degree_min;
    profile.home.binds = toolchains::binds(caller.home);
    for source in effective.home_read_only.iter().filter_map(path) {
        if let (Ok(target), Ok(source)) = (source.strip_prefix(caller.home), source.canonicalize()) {
            profile.home.binds.push(HomeBind { source, target: target.to_owned(), mode: BindMode::ReadOnly });
        }
    }
    profile.system.extend(effective.roots_read_only.iter().filter_map(path));
    profile.writable.extend(effective.roots.iter().filter_map(path));
    if let Some(binary) = caller.binary {
        protect_binary(&mut profile, binary);
    }
    // A system folder that is closed to requests is still what programs and libraries are read from inside.
    let is_shown = |path: &PathBuf| profile.system.contains(path) || workspace.starts_with(path);
    let hidden: Vec<PathBuf> = effective.hidden.iter().filter_map(path).filter(|path| !is_shown(path)).collect();
    profile.hidden.extend(hidden);
    profile.hidden.extend(caller.own_files.iter().cloned());
    let limits = effective.limits;
    profile.limits = Limits {
        processes_max: limits.processes_max,
        file_bytes_max: limits.file_bytes_max,
        memory_bytes_max: limits.memory_bytes_max,
        cpu_s_max: limits.cpu_ms_max.map(|ms| ms.div_ceil(1000)),
        cpu_percent_max: limits.cpu_percent_max,
        ..Limits::default()
    };
    profile
}

/// The binary can be run inside, as a client of the broker, and changed nowhere.
fn protect_binary(profile: &mut Profile, binary: &Path) {
    if binary.starts_with(&profile.workspace) {
        profile.protected.push(binary.to_owned());
    } else if !profile.system.iter().any(|root| binary.starts_with(root)) {
        let target = PathBuf::from(own_binary(&profile.home.path));
        profile.home.binds.retain(|bind| bind.target != target);
        profile.home.binds.push(HomeBind { source: binary.to_owned(), target, mode: BindMode::ReadOnly });
    }
}

/// Where the binary appears in the private home.
fn own_binary(home: &Path) -> &'static str {
    let usual = home.join(OWN_BINARY);
    let is_taken = usual.parent().is_some_and(Path::exists) && !usual.exists();
    if is_taken { OWN_BINARY_BESIDE } else { OWN_BINARY }
}

/// Adds what a known agent needs: its own folders, its settings, and Ringfort at the place where its hooks name it.
pub fn add_agent(profile: &mut Profile, added: &mut Added, caller: &Caller<'_>) {
    profile.home.binds.append(&mut added.binds);
    let Some(binary) = caller.binary else { return };
    let is_shown = binary.starts_with(&profile.workspace) || profile.system.iter().any(|root| binary.starts_with(root));
    match binary.strip_prefix(caller.home) {
        _ if is_shown => {}
        Ok(target) if profile.home.binds.iter().any(|bind| target.starts_with(&bind.target)) => {}
        Ok(target) => {
            let target = target.to_owned();
            profile.home.binds.push(HomeBind { source: binary.to_owned(), target, mode: BindMode::ReadOnly });
        }
        Err(_) => profile.system.push(binary.to_owned()),
    }
}

/// The environment of a program in a cage.
pub fn environment(passthrough: &[String], caller: &Caller<'_>, scratch: Option<&Path>) -> Vec<(OsString, OsString)> {
    let passed = |name: &OsStr| {
        let bytes = name.as_bytes();
        !bytes.starts_with(OWN_PREFIX)
            && (PASSED.iter().any(|passed| passed.as_bytes() == bytes)
                || bytes.starts_with(b"LC_")
                || passthrough.iter().any(|passed| passed.as_bytes() == bytes))
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
    // Last, so that it hides no program: where the client of the broker is, if it is in no folder of the system.
    let own = caller.home.join(own_binary(caller.home)).parent().map(Path::to_owned);
    let path = caller
        .environment
        .iter()
        .find(|(name, _)| name == "PATH")
        .map_or(DEFAULT_PATH.as_ref(), |(_, path)| path.as_os_str());
    if let Ok(path) = std::env::join_paths(std::env::split_paths(path).chain(own)) {
        set("PATH", path);
    }
    set(BROKER_VARIABLE, OsString::from(BROKER_FD.to_string()));
    environment.sort();
    environment
}
