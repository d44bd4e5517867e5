// SPDX-License-Identifier: MIT OR Apache-2.0
//! The state folder: where everything that survives a session is kept.
//!
//! In: its path. Out: its parts, made with mode 0700 if they are missing.
//!
//! **Invariant:** the folder and its parts belong to the caller and nobody else may enter them; a link in their place,
//! a foreign owner or a wider mode is an error that names the folder, and nothing is used.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use ringfort_sandbox::profile::COVER_FOLDER;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, open};

use crate::freeze::Freeze;

/// Sessions that ended without settling are kept this long for a person to look at; then their scratch is removed.
const LEFTOVERS_MAX: usize = 256;

/// Name of the file that freezes everything.
const FREEZE_NAME: &str = "freeze";

/// Name of the private folders' parent in a session's folder.
pub const SCRATCH_NAME: &str = "scratch";

/// Why the state folder cannot be used. Nothing was changed in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// It cannot be made or opened.
    #[error("cannot use the state folder `{}`", path.display())]
    System {
        /// Which part.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It belongs to somebody else, or others may enter it.
    #[error("the state folder `{}` {what}; make it yours alone (`chown`, `chmod 700`) or name another with --state", path.display())]
    Foreign {
        /// Which part.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// The state folder and its parts.
#[derive(Clone, Debug)]
pub struct StateFolder {
    root: PathBuf,
}

/// The scratch folder of one session, locked while the session lives.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    #[cfg_attr(not(test), expect(dead_code, reason = "held, not read: its lock says that the session lives"))]
    lock: OwnedFd,
}

impl StateFolder {
    /// Opens the state folder, and makes it and its parts if they are missing.
    ///
    /// # Errors
    ///
    /// [`StateError`]: it must not be used.
    pub fn open(root: &Path) -> Result<Self, StateError> {
        let state = Self { root: root.to_owned() };
        make_private(&state.root)?;
        // A record without a freeze file is not new: somebody has removed the file, and everything is frozen.
        if matches!(state.trail().symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound) {
            let freeze = state.freeze();
            let failed = |source| StateError::System { path: root.join(FREEZE_NAME), source };
            freeze.create().map_err(failed)?;
        }
        for part in [state.trail(), state.guard(), state.accepted(), state.runs(), state.quarantine()] {
            make_private(&part)?;
        }
        Ok(state)
    }

    /// Whether everything is frozen.
    pub fn freeze(&self) -> Freeze {
        Freeze::new(self.root.join(FREEZE_NAME))
    }

    /// What is known of the sessions of agents that ask through a hook, made if it is missing.
    ///
    /// # Errors
    ///
    /// [`StateError`]: it must not be used.
    pub fn hooks(&self) -> Result<PathBuf, StateError> {
        let path = self.root.join("hook");
        make_private(&path)?;
        Ok(path)
    }

    /// What copy-on-write runs changed and nobody has applied or discarded yet, made if it is missing.
    ///
    /// # Errors
    ///
    /// [`StateError`]: it must not be used.
    pub fn cow(&self) -> Result<PathBuf, StateError> {
        let path = self.root.join("cow");
        make_private(&path)?;
        Ok(path)
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The trail's segments.
    pub fn trail(&self) -> PathBuf {
        self.root.join("trail")
    }

    /// Counters of budget and loop guard.
    pub fn guard(&self) -> PathBuf {
        self.root.join("guard")
    }

    /// Accepted user configurations.
    pub fn accepted(&self) -> PathBuf {
        self.root.join("accepted")
    }

    /// Start-up files that were taken out of workspaces.
    pub fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    /// What a caged agent keeps across runs, made if it is missing.
    ///
    /// # Errors
    ///
    /// [`StateError`]: it must not be used.
    pub fn agent(&self, name: &str) -> Result<PathBuf, StateError> {
        let agents = self.root.join("agents");
        let path = agents.join(name);
        make_private(&agents)?;
        make_private(&path)?;
        Ok(path)
    }

    fn runs(&self) -> PathBuf {
        self.root.join("run")
    }

    /// The folder of a session, see [`StateFolder::new_run`].
    pub fn run(&self, session: &str) -> PathBuf {
        self.runs().join(session)
    }

    /// Where the private folders of a session are, see [`RunFolder::make_scratch`].
    pub fn scratch(&self, session: &str) -> PathBuf {
        self.runs().join(session).join(SCRATCH_NAME)
    }

    /// A new scratch folder for one session.
    ///
    /// # Errors
    ///
    /// [`StateError`]: there is none.
    pub fn new_run(&self, session: &str) -> Result<RunFolder, StateError> {
        let path = self.runs().join(session);
        let failed = |error: rustix::io::Errno| StateError::System { path: path.clone(), source: error.into() };
        // No sweep between the making of the folder and the locking of its lock.
        let _no_sweep = self.lock_runs(FlockOperation::LockShared).map_err(failed)?;
        make_private(&path)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let lock = open(path.join("lock"), flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
        flock(lock.as_fd(), FlockOperation::NonBlockingLockExclusive).map_err(failed)?;
        Ok(RunFolder { path, lock })
    }

    /// Locks the folder of all sessions for as long as the descriptor lives: shared to start one, exclusive to sweep.
    fn lock_runs(&self, how: FlockOperation) -> Result<OwnedFd, rustix::io::Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let runs = open(self.runs(), flags, Mode::empty())?;
        rustix::io::retry_on_intr(|| flock(runs.as_fd(), how))?;
        Ok(runs)
    }

    /// Removes what sessions left behind that were killed before they could settle, and names them.
    ///
    /// `end` is called with the name of each before its folder is removed, so that what is left of it besides is found
    /// again by the next start if this one is killed. What could not be removed is left for the next start.
    pub fn sweep(&self, mut end: impl FnMut(&str)) -> Vec<String> {
        // While a session starts nothing is swept; the next start does it.
        let Ok(_no_start) = self.lock_runs(FlockOperation::NonBlockingLockExclusive) else { return Vec::new() };
        let Ok(entries) = std::fs::read_dir(self.runs()) else { return Vec::new() };
        let mut swept = Vec::new();
        for entry in entries.flatten().take(LEFTOVERS_MAX) {
            let path = entry.path();
            let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let Ok(lock) = open(path.join("lock"), flags, Mode::empty()) else { continue };
            if flock(lock.as_fd(), FlockOperation::NonBlockingLockExclusive).is_err() {
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            end(&name);
            if remove_run(&path).is_ok() {
                swept.push(name);
            }
        }
        swept
    }
}

impl RunFolder {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folders that stand for home and `/tmp` where there is no mount namespace, and answers their parent.
    ///
    /// # Errors
    ///
    /// They are not there.
    pub fn make_scratch(&self) -> io::Result<PathBuf> {
        let scratch = self.path.join(SCRATCH_NAME);
        for part in [scratch.clone(), scratch.join("home"), scratch.join("tmp")] {
            std::fs::DirBuilder::new().mode(0o700).create(part)?;
        }
        Ok(scratch)
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        // What cannot be removed now is swept at the next start.
        drop(remove_run(&self.path));
    }
}

/// Removes the folder of a run; a folder without rights in it, which a container was given, goes first.
fn remove_run(path: &Path) -> io::Result<()> {
    // It is there in few runs only.
    drop(std::fs::remove_dir(path.join(COVER_FOLDER)));
    std::fs::remove_dir_all(path)
}

/// A folder of this user alone: made if it is missing.
///
/// # Errors
///
/// [`StateError`]: it must not be used.
pub fn private_folder(path: &Path) -> Result<(), StateError> {
    make_private(path)
}

/// Makes a folder with mode 0700 if it is missing, and refuses one that others may enter.
pub(crate) fn make_private(path: &Path) -> Result<(), StateError> {
    let failed = |source: io::Error| StateError::System { path: path.to_owned(), source };
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = match open(path, flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
            open(path, flags, Mode::empty())
        }
        other => other,
    };
    let folder = folder.map_err(|errno| failed(errno.into()))?;
    let status = fstat(&folder).map_err(|errno| failed(errno.into()))?;
    if status.st_uid != rustix::process::geteuid().as_raw() {
        return Err(StateError::Foreign { path: path.to_owned(), what: "belongs to somebody else" });
    }
    if status.st_mode & 0o077 != 0 {
        return Err(StateError::Foreign { path: path.to_owned(), what: "may be entered by others" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn deny_folders_that_are_not_ours_alone() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("state");
        assert!(StateFolder::open(&root).is_ok());
        std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o750)).unwrap();
        assert!(matches!(StateFolder::open(&root), Err(StateError::Foreign { .. })));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&root, &link).unwrap();
        assert!(StateFolder::open(&link).is_err());
    }

    #[test]
    fn a_session_that_starts_is_not_swept_by_another() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&folder.path().join("state")).unwrap();
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    state.sweep(|_| {});
                    std::thread::yield_now();
                }
            });
            let started: Vec<_> = (0..20).map(|n| state.new_run(&format!("s{n}"))).collect();
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            for run in started {
                assert!(run.unwrap().path().join("lock").exists());
            }
        });
    }

    #[test]
    fn a_killed_session_is_swept_and_a_living_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&folder.path().join("state")).unwrap();
        let living = state.new_run("living").unwrap();
        let killed = state.new_run("killed").unwrap();
        std::fs::write(killed.path().join("left"), "x").unwrap();
        let path = killed.path().to_owned();
        // A killed process drops its locks and removes nothing.
        rustix::fs::flock(&killed.lock, FlockOperation::Unlock).unwrap();
        std::mem::forget(killed);
        let mut ended = Vec::new();
        assert_eq!(state.sweep(|name| ended.push((name.to_owned(), path.exists()))), ["killed"]);
        assert_eq!(ended, [("killed".to_owned(), true)]);
        assert!(!path.exists() && living.path().exists());
    }
}
