// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Landlock grants where there is no view of our own.
//!
//! In: a profile. Out: grants, and notes on what the profile asked for and cannot have.
//!
//! **Invariant:** Landlock cannot subtract, so a tree that contains something hidden is granted child by child, down
//! to the hidden path, and the hidden path is left out. `/etc` is granted whole only to a user who can read no secret
//! of it; `/tmp`, `/run` and the home never are.
//! The workspace is the exception: its children could not be made or renamed, so what is hidden in it stays readable
//! and the probe says so.

use std::path::{Path, PathBuf};

use super::ProfileError;
use rustix::fs::{Access, AtFlags, CWD};
use rustix::io::Errno;

use super::landlock::{Grant, Rules};
use super::view::{ETC_SECRETS, c_string};
use crate::profile::{BindMode, Profile};

/// Devices that programs open; the rest of `/dev` stays closed.
const DEVICES: [&str; 7] = ["null", "zero", "full", "random", "urandom", "tty", "ptmx"];
/// Most grants that walking around hidden paths may need.
const GRANTS_MAX: usize = 16_384;

/// Adds the grants of `profile` to `rules`; returns what it cannot have.
pub(super) fn grant(rules: &mut Rules, profile: &Profile) -> Result<Vec<String>, ProfileError> {
    let secrets: Vec<&Path> = ETC_SECRETS.iter().map(Path::new).filter(|path| is_readable(path)).collect();
    let hidden: Vec<&Path> = secrets.into_iter().chain(profile.hidden.iter().map(PathBuf::as_path)).collect();
    let mut grants = Vec::new();
    for path in &profile.system {
        if let Ok(real) = path.canonicalize() {
            around(&real, &hidden, &mut grants)?;
        }
    }
    for bind in profile.home.binds.iter().filter(|bind| bind.mode != BindMode::Writable) {
        around(&bind.source, &hidden, &mut grants)?;
    }
    for bind in profile.home.binds.iter().filter(|bind| bind.mode == BindMode::Writable) {
        rules.allow(c_string(&bind.source)?, Grant::Write);
    }
    for path in &grants {
        rules.allow(c_string(path)?, Grant::Read);
    }
    for name in DEVICES {
        rules.allow(c_string(&Path::new("/dev").join(name))?, Grant::Device);
    }
    rules.allow(c_string(Path::new("/proc"))?, Grant::Look);
    for path in profile.writable.iter().chain([&profile.workspace]) {
        rules.allow(c_string(path)?, Grant::Write);
    }
    if let Some(scratch) = &profile.scratch {
        rules.allow(c_string(scratch)?, Grant::Write);
    }
    Ok(notes(profile))
}

/// Whether this user could read `path` at all. What file modes keep closed needs no walk around it, which would cost
/// a grant for each of its neighbours; nothing inside can gain the right to open it.
fn is_readable(path: &Path) -> bool {
    let answer = rustix::fs::accessat(CWD, path, Access::READ_OK, AtFlags::EACCESS);
    !matches!(answer, Err(Errno::ACCESS | Errno::NOENT | Errno::NOTDIR))
}

/// Grants `path` without what is hidden below it.
fn around(path: &Path, hidden: &[&Path], grants: &mut Vec<PathBuf>) -> Result<(), ProfileError> {
    if hidden.iter().any(|hidden| path.starts_with(hidden)) {
        return Ok(());
    }
    let is_there = |hidden: &&&Path| hidden.starts_with(path) && hidden.symlink_metadata().is_ok();
    // What is relative to this folder is compared with names instead of whole paths: a folder may have many.
    let below: Vec<&Path> =
        hidden.iter().filter(is_there).filter_map(|hidden| hidden.strip_prefix(path).ok()).collect();
    around_below(path, &below, grants)
}

/// As [`around`] for what exists and is hidden at these places relative to `path`.
fn around_below(path: &Path, hidden: &[&Path], grants: &mut Vec<PathBuf>) -> Result<(), ProfileError> {
    if grants.len() >= GRANTS_MAX {
        return Err(ProfileError::TooMany { what: "paths to grant one by one", most: GRANTS_MAX });
    }
    if hidden.is_empty() {
        grants.push(path.to_path_buf());
        return Ok(());
    }
    if hidden.iter().any(|hidden| hidden.as_os_str().is_empty()) {
        return Ok(());
    }
    // A folder that cannot be listed cannot be granted either.
    let Ok(entries) = path.read_dir() else {
        return Ok(());
    };
    for entry in entries.flatten() {
        // A link is granted by what it leads to, if that is granted itself.
        if entry.file_type().is_ok_and(|kind| !kind.is_symlink()) {
            let name = entry.file_name();
            let below: Vec<&Path> = hidden.iter().filter_map(|hidden| hidden.strip_prefix(&name).ok()).collect();
            around_below(&entry.path(), &below, grants)?;
        }
    }
    Ok(())
}

fn notes(profile: &Profile) -> Vec<String> {
    let mut notes = vec![
        "modes, owners and times of files outside can still be read, and changed on own files".to_owned(),
        "there are no pseudo-terminals and no shared memory (`/dev/pts`, `/dev/shm`)".to_owned(),
    ];
    if !profile.home.files.is_empty() {
        notes.push("there is no private home: its files are missing".to_owned());
    }
    if profile.scratch.is_none() {
        notes.push("there is no private `/tmp` and no scratch folder".to_owned());
    }
    if profile.home.binds.iter().any(|bind| bind.mode == BindMode::Scratch) {
        notes.push("scratch folders of the home are read-only".to_owned());
    }
    if !profile.protected.is_empty() || !profile.staged.is_empty() {
        notes.push("start-up files inside the workspace are not protected".to_owned());
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deny_what_is_hidden_below_a_grant() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for file in ["a/open", "a/b/open", "a/b/secret", "c/open"] {
            let path = root.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        std::os::unix::fs::symlink(root.join("a/b/secret"), root.join("a/link")).unwrap();
        let granted = |hidden: &[&str]| {
            let hidden: Vec<PathBuf> = hidden.iter().map(|path| root.join(path)).collect();
            let hidden: Vec<&Path> = hidden.iter().map(PathBuf::as_path).collect();
            let mut grants = Vec::new();
            around(&root, &hidden, &mut grants).unwrap();
            let mut names: Vec<String> =
                grants.iter().map(|path| path.strip_prefix(&root).unwrap().display().to_string()).collect();
            names.sort();
            names
        };
        assert_eq!(granted(&[]), [""]);
        assert_eq!(granted(&["no-such-file"]), [""]);
        assert_eq!(granted(&["a/b/secret"]), ["a/b/open", "a/open", "c"]);
        assert_eq!(granted(&["a"]), ["c"]);
        assert_eq!(granted(&["a", "c"]), [""; 0]);
    }
}
