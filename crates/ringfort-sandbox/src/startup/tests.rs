// SPDX-License-Identifier: MIT OR Apache-2.0
//! Start-up files in real folders: planned, attacked, settled.

mod attacks;
mod ordinary;
mod races;

use super::*;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use tempfile::TempDir;

/// A workspace with its scratch and quarantine folders.
struct Place {
    _base: TempDir,
    base: PathBuf,
    workspace: PathBuf,
}

impl Place {
    fn new() -> Self {
        Self::within(TempDir::new().unwrap())
    }

    /// Lets the clock of the file system move on: what was written before is then older than whatever comes.
    fn next_tick(&self) {
        use std::os::unix::fs::MetadataExt;
        let probe = self.base.join("tick");
        let now = || {
            std::fs::write(&probe, "x").unwrap();
            let meta = std::fs::metadata(&probe).unwrap();
            (meta.ctime(), meta.ctime_nsec())
        };
        let before = now();
        while now() == before {}
    }

    fn within(base: TempDir) -> Self {
        let path = base.path().canonicalize().unwrap();
        for name in ["workspace", "scratch", "outside"] {
            std::fs::create_dir(path.join(name)).unwrap();
        }
        Self { workspace: path.join("workspace"), base: path, _base: base }
    }

    fn write(&self, path: &str, text: &str) -> PathBuf {
        let at = self.workspace.join(path);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::fs::write(&at, text).unwrap();
        at
    }

    fn link(&self, path: &str, target: impl AsRef<Path>) {
        let at = self.workspace.join(path);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, at).unwrap();
    }

    fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.workspace.join(path)).ok()
    }

    fn has(&self, path: &str) -> bool {
        self.workspace.join(path).symlink_metadata().is_ok()
    }

    fn plan(&self) -> Plan {
        plan(&self.workspace, &self.base.join("scratch")).unwrap()
    }

    fn settle(&self, plan: &Plan, enforcement: Enforcement) -> Settled {
        settle(plan, enforcement, &self.quarantine())
    }

    fn quarantine(&self) -> PathBuf {
        self.base.join("quarantine")
    }

    /// A repository as `git init` makes it, without needing git.
    fn repository(&self, path: &str) {
        for folder in ["objects", "refs", "info", "hooks", "branches"] {
            std::fs::create_dir_all(self.workspace.join(path).join(folder)).unwrap();
        }
        self.write(&format!("{path}/HEAD"), "ref: refs/heads/main\n");
        self.write(&format!("{path}/config"), "[core]\n\trepositoryformatversion = 0\n\tbare = false\n");
        self.write(&format!("{path}/hooks/pre-commit.sample"), "#!/bin/sh\n");
    }

    /// Runs git in the workspace, as a person would: with no configuration but the repository's.
    #[expect(clippy::disallowed_methods, reason = "what git itself writes is what these tests are about")]
    fn git(&self, words: &[&str]) -> Option<String> {
        let mut git = Command::new("git");
        git.env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/local/bin")
            .env("HOME", &self.base)
            .env("GIT_CONFIG_NOSYSTEM", "1");
        git.args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always"]);
        let output = git.args(words).current_dir(&self.workspace).output().ok()?;
        assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn protected(&self, plan: &Plan) -> Vec<String> {
        let relative = |path: &PathBuf| path.strip_prefix(&self.workspace).unwrap().to_str().unwrap().to_owned();
        plan.protected.iter().map(relative).collect()
    }

    fn staged(&self, plan: &Plan) -> Vec<String> {
        let relative =
            |file: &StagedFile| file.path.strip_prefix(&self.workspace).unwrap().to_str().unwrap().to_owned();
        plan.staged.iter().map(relative).collect()
    }
}

fn paths(changes: &[Change]) -> Vec<String> {
    let mut paths: Vec<_> = changes.iter().map(|c| c.path.to_str().unwrap_or("?").to_owned()).collect();
    paths.sort();
    paths
}

fn taken(settled: &Settled) -> Vec<String> {
    let mut paths: Vec<_> =
        settled.quarantined.iter().map(|q| q.change.path.to_str().unwrap_or("?").to_owned()).collect();
    paths.sort();
    paths
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().permissions().mode() & 0o7777
}
