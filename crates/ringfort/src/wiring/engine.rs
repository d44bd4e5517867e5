// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which runtime a session uses, and the program that it needs.
//!
//! In: the option, the configuration, the caller's `PATH` and the variables of the engine's client. Out: the name of the
//! runtime and, for all but `native`, an [`Engine`].
//!
//! **Invariant:** there is no falling back: a runtime that was asked for and whose program is missing is an error. The
//! program is never one that lies where a caged program writes. This is reached by an ungoverned caller only, so
//! `DOCKER_HOST` and its like are the person's own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ringfort_policy::config::{DockerConfig, RuntimeKind};
use ringfort_sandbox::profile::{CONTAINER_PROCESSES, Container, Engine, NATIVE, Profile};

use super::World;
use crate::commands::Failure;

/// Every runtime: its name, its kind in the configuration, its program, and what installs that.
const RUNTIMES: [(&str, RuntimeKind, &str, &str); 4] = [
    (NATIVE, RuntimeKind::Native, "", ""),
    ("bubblewrap", RuntimeKind::Bubblewrap, "bwrap", "install bubblewrap (Debian: `apt-get install bubblewrap`)"),
    (
        "docker",
        RuntimeKind::Docker,
        "docker",
        "install Docker (Debian: `apt-get install docker.io`) and start its daemon",
    ),
    ("podman", RuntimeKind::Podman, "podman", "install Podman (Debian: `apt-get install podman`)"),
];

/// The variables that the engine's client is given.
const PASSED: [&str; 12] = [
    "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF",
    "CONTAINER_HOST",
    "DBUS_SESSION_BUS_ADDRESS",
    "DOCKER_CERT_PATH",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "HOME",
    "PATH",
    "XDG_RUNTIME_DIR",
];

/// Largest bound in MiB that still fits as bytes.
const MEBIBYTE: u64 = 1 << 20;

/// The run that a runtime is chosen for.
pub(super) struct Run<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Its private folder, which is made later.
    pub(super) folder: &'a Path,
    /// The running binary.
    pub(super) binary: Option<&'a Path>,
}

/// The kind that `--runtime NAME` means.
///
/// # Errors
///
/// There is no such runtime.
pub(crate) fn kind(name: &str) -> Result<RuntimeKind, Failure> {
    RUNTIMES.iter().find(|(known, ..)| *known == name).map(|(_, kind, ..)| *kind).ok_or_else(|| {
        let names: Vec<&str> = RUNTIMES.iter().map(|(name, ..)| *name).collect();
        Failure::usage(anyhow::anyhow!("there is no runtime `{name}`"))
            .help(format!("`--runtime` is one of: {}", names.join(", ")))
    })
}

/// Sets the runtime of a profile.
///
/// # Errors
///
/// The program that it needs is missing, or lies where a caged program could change it; nothing has started.
pub(super) fn choose(
    profile: &mut Profile,
    world: &World,
    kind: RuntimeKind,
    docker: &DockerConfig,
    run: &Run<'_>,
) -> Result<(), Failure> {
    let Some((name, _, program, install)) = RUNTIMES.iter().find(|(_, known, ..)| *known == kind) else {
        return Err(Failure::guard(anyhow::anyhow!("this runtime is unknown")));
    };
    profile.runtime = (*name).to_owned();
    if kind == RuntimeKind::Native {
        return Ok(());
    }
    let missing = |what: String| Failure::guard(anyhow::anyhow!("the runtime `{name}` cannot be used: {what}"));
    let is_written =
        |path: &Path| std::iter::once(&profile.workspace).chain(&profile.writable).any(|root| path.starts_with(root));
    let path = world.variable("PATH").unwrap_or_default();
    let program = find(program, path, &is_written)
        .ok_or_else(|| missing(format!("there is no `{program}` in the folders of PATH")).help(*install))?;
    let entry = run.binary.ok_or_else(|| missing("this binary cannot be found".to_owned()))?.to_owned();
    let container = matches!(kind, RuntimeKind::Docker | RuntimeKind::Podman).then(|| Container {
        image: docker.image.clone(),
        network: docker.network.clone(),
        memory_bytes: docker.memory_limit_mb.saturating_mul(MEBIBYTE),
        cpus: docker.cpu_limit,
        read_only_root: docker.read_only_rootfs,
        mount_workspace: docker.mount_workspace,
        processes_max: profile.limits.processes_max.map_or(CONTAINER_PROCESSES, |most| most.min(CONTAINER_PROCESSES)),
        run: run.name.to_owned(),
    });
    let passed = |name: &OsString| PASSED.iter().any(|passed| name == passed);
    let environment = world.environment.iter().filter(|(name, _)| passed(name)).cloned().collect();
    profile.engine = Some(Engine { program, environment, folder: run.folder.to_owned(), entry, container });
    Ok(())
}

/// The first program of that name in `path` that a caged program cannot change.
fn find(name: &str, path: &std::ffi::OsStr, is_written: &dyn Fn(&Path) -> bool) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
    let real = folders.filter_map(|folder| {
        let named = folder.join(name);
        let real = named.canonicalize().ok()?;
        let found = real.metadata().ok()?;
        let can_execute = found.is_file() && found.permissions().mode() & 0o111 != 0;
        (can_execute && !is_written(&real) && !is_written(&named)).then_some(real)
    });
    real.take(1).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runtime_has_its_name() {
        for (name, expected, ..) in RUNTIMES {
            assert_eq!(kind(name).ok(), Some(expected));
        }
        for name in ["", "Docker", "lxc", "native "] {
            assert!(kind(name).is_err(), "{name}");
        }
    }

    #[test]
    fn deny_a_program_of_the_workspace_as_engine() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for part in ["work/bin", "other"] {
            std::fs::create_dir_all(root.join(part)).unwrap();
        }
        let planted = root.join("work/bin/bwrap");
        std::fs::write(&planted, "").unwrap();
        std::fs::set_permissions(&planted, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink(&planted, root.join("other/bwrap")).unwrap();
        let written = |path: &Path| path.starts_with(root.join("work"));
        let path = std::env::join_paths([root.join("work/bin"), root.join("other"), PathBuf::from("bin")]).unwrap();
        assert_eq!(find("bwrap", &path, &written), None);
        assert_eq!(find("bwrap", &path, &|_| false), Some(planted));
    }
}
