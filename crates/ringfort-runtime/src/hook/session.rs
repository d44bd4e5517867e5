// SPDX-License-Identifier: MIT OR Apache-2.0
//! The workspace of an agent's session: fixed at its first call.
//!
//! In: the folder `hook` of the state folder, the agent, its session's name, the folder of the call. Out: the workspace.
//!
//! **Invariant:** the first call of a session fixes its workspace, also when several come at once; later calls from
//! other folders do not move it. The files are small, bounded in number, and written whole or not at all. Which folders
//! may be a workspace is decided by whoever asks.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ringfort_core::digest::DigestWriter;
use ringfort_core::limits::PATH_BYTES_MAX;
use rustix::fs::{Mode, OFlags, RenameFlags, open, renameat_with};

/// Sessions that are remembered; the oldest are forgotten beyond.
pub const SESSIONS_MAX: usize = 1024;
/// Most files that a sweep looks at.
const SWEEP_MAX: usize = 8 * SESSIONS_MAX;
/// Deepest folder from which a repository's top level is looked for.
const DEPTH_MAX: usize = 128;

/// Where one session of an agent is remembered.
#[derive(Clone, Debug)]
pub struct SessionFile {
    folder: PathBuf,
    path: PathBuf,
    /// Its name in the record: the session's digest, as the agent's own name for it is the agent's to choose.
    pub name: String,
}

impl SessionFile {
    /// The place of a session in `folder`.
    pub fn new(folder: PathBuf, agent: &str, session: &str) -> Self {
        let mut writer = DigestWriter::new("ringfort.hook.session.v1");
        writer.bytes(agent.as_bytes()).bytes(session.as_bytes());
        let name: String = writer.finish().to_string().chars().take(32).collect();
        Self { path: folder.join(&name), folder, name }
    }

    /// The workspace that the session's first call fixed.
    ///
    /// # Errors
    ///
    /// The file cannot be read or is not whole.
    pub fn workspace(&self) -> io::Result<Option<PathBuf>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match open(&self.path, flags, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            other => File::from(other?),
        };
        let mut bytes = Vec::with_capacity(256);
        file.take(PATH_BYTES_MAX as u64 + 2).read_to_end(&mut bytes)?;
        let path = bytes.strip_suffix(b"\n").filter(|path| path.first() == Some(&b'/') && path.len() <= PATH_BYTES_MAX);
        let path = path.ok_or_else(|| io::Error::other("the session's file is not whole"))?;
        Ok(Some(PathBuf::from(OsString::from_vec(path.to_vec()))))
    }

    /// Fixes the workspace, unless another call has done so meanwhile; answers the one that counts.
    ///
    /// # Errors
    ///
    /// Nothing is fixed.
    pub fn fix(&self, workspace: &Path) -> io::Result<PathBuf> {
        let new = self.folder.join(format!("{}.{}", self.name, std::process::id()));
        // One that is left over has our process id and no living owner.
        drop(std::fs::remove_file(&new));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(open(&new, flags, Mode::RUSR | Mode::WUSR)?);
        let written = file.write_all(&[workspace.as_os_str().as_bytes(), b"\n"].concat());
        let cwd = rustix::fs::CWD;
        let moved = written.and_then(|()| Ok(renameat_with(cwd, &new, cwd, &self.path, RenameFlags::NOREPLACE)?));
        if moved.is_err() {
            // What is left here is swept later.
            drop(std::fs::remove_file(&new));
        }
        match moved {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.workspace()?.ok_or_else(|| io::Error::other("the session's file comes and goes"))
            }
            Err(error) => Err(error),
            Ok(()) => {
                self.sweep();
                Ok(workspace.to_owned())
            }
        }
    }

    /// Forgets the oldest sessions beyond the bound. A session that is forgotten fixes its workspace anew.
    fn sweep(&self) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        let entries: Vec<_> = entries.flatten().take(SWEEP_MAX).collect();
        if entries.len() <= SESSIONS_MAX {
            return;
        }
        let age = |entry: &std::fs::DirEntry| {
            entry.metadata().and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
        };
        let mut aged: Vec<(SystemTime, PathBuf)> = entries.iter().map(|entry| (age(entry), entry.path())).collect();
        aged.sort();
        let surplus = aged.len().saturating_sub(SESSIONS_MAX);
        for (_, path) in aged.into_iter().take(surplus).filter(|(_, path)| *path != self.path) {
            // Another process may have swept it.
            drop(std::fs::remove_file(path));
        }
    }
}

/// The top level of the repository that `folder` is in, else the folder. No program is asked.
pub fn top_level(folder: &Path) -> PathBuf {
    let is_top = |folder: &&Path| folder.join(".git").symlink_metadata().is_ok();
    folder.ancestors().take(DEPTH_MAX).find(is_top).unwrap_or(folder).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deny_moving_the_workspace_of_a_session() {
        let folder = tempfile::tempdir().unwrap();
        let session = SessionFile::new(folder.path().to_owned(), "claude-code", "s1");
        assert_eq!(session.workspace().unwrap(), None);
        assert_eq!(session.fix(Path::new("/w/one")).unwrap(), Path::new("/w/one"));
        assert_eq!(session.fix(Path::new("/w/two")).unwrap(), Path::new("/w/one"));
        assert_eq!(session.workspace().unwrap().unwrap(), Path::new("/w/one"));
        let other = SessionFile::new(folder.path().to_owned(), "codex", "s1");
        assert_eq!(other.workspace().unwrap(), None, "another agent's session of the same name");
    }

    #[test]
    fn deny_a_session_file_that_is_not_whole() {
        let folder = tempfile::tempdir().unwrap();
        let session = SessionFile::new(folder.path().to_owned(), "claude-code", "s1");
        for wrong in ["", "/w", "w\n", "\n"] {
            std::fs::write(&session.path, wrong).unwrap();
            assert!(session.workspace().is_err(), "`{wrong}`");
        }
    }

    #[test]
    fn sessions_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..SESSIONS_MAX {
            std::fs::write(folder.path().join(format!("old{n}")), "/w\n").unwrap();
        }
        let session = SessionFile::new(folder.path().to_owned(), "claude-code", "new");
        session.fix(Path::new("/w")).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), SESSIONS_MAX);
        assert!(session.workspace().unwrap().is_some());
    }

    #[test]
    fn the_top_level_is_the_innermost_repository() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b/c");
        std::fs::create_dir_all(&deep).unwrap();
        assert_eq!(top_level(&deep), deep);
        std::fs::create_dir(folder.path().join("a/.git")).unwrap();
        assert_eq!(top_level(&deep), folder.path().join("a"));
    }
}
