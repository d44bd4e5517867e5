// SPDX-License-Identifier: MIT OR Apache-2.0
//! The parts of a home folder that make programs run and hold no credentials.
//!
//! In: the caller's home. Out: what appears in the private home of a cage, read-only or as a scratch copy.
//!
//! **Invariant:** nothing here names a file that tools keep credentials in; a settings file that mentions one is left
//! out. What does not exist is passed over.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use ringfort_sandbox::profile::{BindMode, HomeBind};

/// Folders that are read and executed.
const READ_ONLY: [&str; 34] = [
    ".cargo/bin",
    ".cargo/env",
    ".rustup",
    ".nvm",
    ".volta",
    ".fnm",
    ".local/bin",
    ".local/lib",
    ".local/share/fnm",
    ".local/share/mise",
    ".local/share/pnpm",
    ".local/share/uv",
    ".local/pipx",
    ".local/share/pipx",
    ".pyenv",
    ".rbenv",
    ".rvm",
    ".asdf",
    ".bun/bin",
    ".deno/bin",
    "go/bin",
    ".sdkman/candidates",
    ".ghcup/bin",
    ".opam",
    ".juliaup",
    ".dotnet",
    ".jenv",
    ".goenv",
    ".nodenv",
    ".conda",
    "miniconda3",
    "anaconda3",
    "miniforge3",
    ".linuxbrew",
];

/// Caches that tools write to as they run; what they write is thrown away.
const SCRATCH: [&str; 13] = [
    ".cargo/registry",
    ".cargo/git",
    ".npm/_cacache",
    ".cache/pip",
    ".cache/uv",
    ".cache/yarn",
    ".cache/go-build",
    ".bun/install/cache",
    "go/pkg",
    ".m2/repository",
    ".gradle/caches",
    ".gradle/wrapper",
    ".local/share/virtualenv",
];

/// Settings that are shown only if they hold nothing like a credential.
const SETTINGS: [&str; 3] = [".cargo/config.toml", ".cargo/config", ".config/pip/pip.conf"];
/// Words that make a settings file stay outside.
const CREDENTIAL_WORDS: [&str; 6] = ["token", "password", "secret", "credential", "_auth", "@"];
/// Largest settings file that is looked at, in bytes.
const SETTINGS_BYTES_MAX: u64 = 64 << 10;

/// What of `home` appears in the private home of a cage.
pub fn binds(home: &Path) -> Vec<HomeBind> {
    let mut binds = Vec::new();
    let mut push = |relative: &str, mode: BindMode| {
        let path = home.join(relative);
        // Most of these do not exist; asking so costs one call each instead of one for each folder above.
        if path.symlink_metadata().is_err() {
            return;
        }
        // The canonical path: a link out of the home shows what it points to, read-only or as a scratch copy.
        if let Ok(source) = path.canonicalize() {
            binds.push(HomeBind { source, target: PathBuf::from(relative), mode });
        }
    };
    READ_ONLY.iter().for_each(|relative| push(relative, BindMode::ReadOnly));
    SCRATCH.iter().for_each(|relative| push(relative, BindMode::Scratch));
    SETTINGS
        .iter()
        .filter(|relative| is_free_of_credentials(&home.join(relative)))
        .for_each(|relative| push(relative, BindMode::ReadOnly));
    binds
}

fn is_free_of_credentials(path: &Path) -> bool {
    let Ok(file) = std::fs::File::open(path) else { return false };
    let mut text = String::new();
    if file.take(SETTINGS_BYTES_MAX + 1).read_to_string(&mut text).is_err() || text.len() as u64 > SETTINGS_BYTES_MAX {
        return false;
    }
    let text = text.to_lowercase();
    !CREDENTIAL_WORDS.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_stay_outside() {
        let home = tempfile::tempdir().unwrap();
        for (path, content) in [
            (".cargo/bin/cargo", "x"),
            (".cargo/credentials.toml", "token"),
            (".cargo/config.toml", "[registries.x]\ntoken = \"t\""),
            (".npmrc", "//r/:_authToken=x"),
            (".ssh/id_ed25519", "key"),
            (".config/pip/pip.conf", "[global]\ntimeout = 60"),
        ] {
            let path = home.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let shown: Vec<_> = binds(home.path()).into_iter().map(|bind| bind.target).collect();
        assert_eq!(shown, [PathBuf::from(".cargo/bin"), PathBuf::from(".config/pip/pip.conf")]);
    }
}
