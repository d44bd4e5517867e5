// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files of other programs: read whole, replaced whole.
//!
//! In: a path, and the folder below which no link may stand. Out: a text, or a file that has changed at once.
//!
//! **Invariant:** a file is replaced by a rename within an opened folder, with the mode it had, and only if it still
//! says what was read. In a project, whose content somebody else may have written, no part of the path may be a link;
//! a user's own file may be one, as people with a repository of settings have it, and what it points to is replaced.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, mkdirat, open, openat, openat2, renameat, statat, unlinkat};
use rustix::io::Errno;

/// Largest file that is edited. Bytes.
pub const FILE_BYTES_MAX: usize = 4 << 20;
/// The mode of a file that was not there; it may hold keys one day. As the agents' own files have it.
const MODE_NEW: u32 = 0o600;
/// The mode of a folder that was not there.
const FOLDER_MODE_NEW: u32 = 0o755;
/// Most names that are tried for the file that is renamed.
const NAMES_MAX: u32 = 16;

/// Why a file was not read or not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system refused. The file is as it was.
    #[error("cannot {what} `{}`", path.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not a file, or a link stands on the way in a project. Nothing was changed.
    #[error("`{}` is not a regular file, or a link stands on the way to it", .0.display())]
    NotRegular(PathBuf),
    /// It is larger than what is edited. Nothing was changed.
    #[error("`{}` is larger than {FILE_BYTES_MAX} bytes", .0.display())]
    TooLarge(PathBuf),
    /// It is not text. Nothing was changed.
    #[error("`{}` is not UTF-8 text", .0.display())]
    NotText(PathBuf),
    /// It belongs to somebody else. Nothing was changed.
    #[error("`{}` does not belong to you", .0.display())]
    Foreign(PathBuf),
    /// It has changed while it was looked at. Nothing was changed.
    #[error("`{}` was changed by somebody else meanwhile; try again", .0.display())]
    Raced(PathBuf),
}

/// Files below a project are reached without links.
#[derive(Clone, Debug)]
pub struct Files {
    /// The project.
    pub project: PathBuf,
}

/// An opened folder and the name in it.
struct Place {
    folder: OwnedFd,
    name: PathBuf,
}

impl Files {
    /// The text of a file; `None` if it is not there.
    ///
    /// # Errors
    ///
    /// [`FileError`].
    pub fn read(&self, path: &Path) -> Result<Option<String>, FileError> {
        match self.place(path, None)? {
            Some(place) => Ok(read_at(&place, path)?.map(|(text, _)| text)),
            None => Ok(None),
        }
    }

    /// Makes a file say `after`, if it still says `before`; `None` is a file that is not there.
    ///
    /// Returns the folders that had to be made.
    ///
    /// # Errors
    ///
    /// [`FileError`]: the file is as it was.
    pub fn replace(&self, path: &Path, before: Option<&str>, after: Option<&str>) -> Result<Vec<PathBuf>, FileError> {
        let mut made = Vec::new();
        let make = if after.is_some() { Some(&mut made) } else { None };
        let Some(place) = self.place(path, make)? else { return Ok(made) };
        let there = read_at(&place, path)?;
        if there.as_ref().map(|(text, _)| text.as_str()) != before {
            return Err(FileError::Raced(path.to_owned()));
        }
        let system =
            |what| move |source: Errno| FileError::System { what, path: path.to_owned(), source: source.into() };
        let Some(after) = after else {
            return unlinkat(&place.folder, &place.name, AtFlags::empty())
                .or_else(|error| if error == Errno::NOENT { Ok(()) } else { Err(error) })
                .map_err(system("remove"))
                .map(|()| made);
        };
        let mode = there.map_or(MODE_NEW, |(_, mode)| mode);
        let (name, mut file) = new_file(&place).map_err(system("write beside"))?;
        let io_error = |source| FileError::System { what: "write", path: path.to_owned(), source };
        let written = file
            .write_all(after.as_bytes())
            .and_then(|()| file.set_permissions(std::fs::Permissions::from_mode(mode)))
            .and_then(|()| file.sync_all())
            .map_err(io_error);
        let renamed = written.and_then(|()| {
            // The last moment at which somebody else's edit can be seen.
            let now = read_at(&place, path)?.map(|(text, _)| text);
            if now.as_deref() != before {
                return Err(FileError::Raced(path.to_owned()));
            }
            renameat(&place.folder, &name, &place.folder, &place.name).map_err(system("replace"))
        });
        if renamed.is_err() {
            // A left-over is a hidden file that says what would have been written.
            unlinkat(&place.folder, &name, AtFlags::empty()).ok();
        }
        renamed?;
        rustix::fs::fsync(&place.folder).map_err(system("secure"))?;
        Ok(made)
    }

    /// Opens the folder of a file; `None` if there is none and none is to be made.
    fn place(&self, path: &Path, make: Option<&mut Vec<PathBuf>>) -> Result<Option<Place>, FileError> {
        let not_regular = || FileError::NotRegular(path.to_owned());
        let inside = path.strip_prefix(&self.project).ok().filter(|rest| !rest.as_os_str().is_empty());
        let (root, rest, links) = match inside {
            Some(rest) => (self.project.clone(), rest.to_owned(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS),
            // The file itself may be a link of the user's; what it points to is the file then.
            None => {
                let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
                let rest = real.strip_prefix("/").map_err(|_| not_regular())?.to_owned();
                (PathBuf::from("/"), rest, ResolveFlags::empty())
            }
        };
        let parts: Vec<Component<'_>> = rest.components().collect();
        if parts.iter().any(|part| !matches!(part, Component::Normal(_))) {
            return Err(not_regular());
        }
        let Some((name, folders)) = parts.split_last() else { return Err(not_regular()) };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let system = |source: Errno| match source {
            Errno::LOOP | Errno::XDEV | Errno::NOTDIR => not_regular(),
            source => FileError::System { what: "reach", path: path.to_owned(), source: source.into() },
        };
        let mut folder = match open(&root, flags, Mode::empty()) {
            // There is no project, so it says nothing.
            Err(Errno::NOENT | Errno::NOTDIR) if make.is_none() => return Ok(None),
            other => other.map_err(system)?,
        };
        let mut reached = root;
        let mut make = make;
        for part in folders {
            reached.push(part);
            let next = match openat2(&folder, part.as_os_str(), flags, Mode::empty(), links) {
                Err(Errno::NOENT) => {
                    let Some(made) = make.as_deref_mut() else { return Ok(None) };
                    mkdirat(&folder, part.as_os_str(), Mode::from_raw_mode(FOLDER_MODE_NEW)).map_err(system)?;
                    made.push(reached.clone());
                    openat2(&folder, part.as_os_str(), flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
                }
                other => other,
            };
            folder = next.map_err(system)?;
        }
        Ok(Some(Place { folder, name: PathBuf::from(name.as_os_str()) }))
    }
}

/// A new file beside the one that is to be replaced.
fn new_file(place: &Place) -> Result<(String, File), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let process = rustix::process::Pid::as_raw(Some(rustix::process::getpid()));
    let mut last = Errno::EXIST;
    for number in 0..NAMES_MAX {
        let name = format!(".{}.ringfort-{process}-{number}", place.name.display());
        match openat(&place.folder, &name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(handle) => return Ok((name, File::from(handle))),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The text and the mode of a file of the caller's.
fn read_at(place: &Place, path: &Path) -> Result<Option<(String, u32)>, FileError> {
    let system = |source: io::Error| FileError::System { what: "read", path: path.to_owned(), source };
    match statat(&place.folder, &place.name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(system(error.into())),
        Ok(_) => {}
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let handle = openat(place.folder.as_fd(), &place.name, flags, Mode::empty()).map_err(|error| match error {
        Errno::LOOP => FileError::NotRegular(path.to_owned()),
        error => system(error.into()),
    })?;
    let file = File::from(handle);
    let metadata = file.metadata().map_err(system)?;
    if !metadata.is_file() {
        return Err(FileError::NotRegular(path.to_owned()));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(FileError::Foreign(path.to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(system)?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(FileError::TooLarge(path.to_owned()));
    }
    let text = String::from_utf8(bytes).map_err(|_| FileError::NotText(path.to_owned()))?;
    Ok(Some((text, metadata.permissions().mode() & 0o7777)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn files() -> (tempfile::TempDir, Files) {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().canonicalize().unwrap().join("project");
        fs::create_dir(&project).unwrap();
        (folder, Files { project })
    }

    #[test]
    fn a_file_is_made_replaced_and_removed_with_its_mode() {
        let (_folder, files) = files();
        let path = files.project.join(".a/b/settings.json");
        assert_eq!(files.read(&path).unwrap(), None);
        let made = files.replace(&path, None, Some("one")).unwrap();
        assert_eq!(made, [files.project.join(".a"), files.project.join(".a/b")]);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(files.replace(&path, Some("one"), Some("two")).unwrap().is_empty());
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
        files.replace(&path, Some("two"), None).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn deny_an_edit_of_what_has_changed_meanwhile() {
        let (_folder, files) = files();
        let path = files.project.join("settings.json");
        fs::write(&path, "theirs").unwrap();
        for before in [None, Some("ours")] {
            assert!(matches!(files.replace(&path, before, Some("new")), Err(FileError::Raced(_))));
            assert!(before.is_none() || matches!(files.replace(&path, before, None), Err(FileError::Raced(_))));
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
    }

    #[test]
    fn deny_links_in_a_project_and_follow_those_of_the_user() {
        let (folder, files) = files();
        let outside = folder.path().canonicalize().unwrap().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("settings.json"), "theirs").unwrap();
        symlink(&outside, files.project.join(".claude")).unwrap();
        symlink(outside.join("settings.json"), files.project.join("hooks.json")).unwrap();
        for name in [".claude/settings.json", "hooks.json"] {
            let path = files.project.join(name);
            assert!(files.read(&path).is_err(), "{name}");
            assert!(files.replace(&path, Some("theirs"), Some("x")).is_err(), "{name}");
        }
        assert_eq!(fs::read_to_string(outside.join("settings.json")).unwrap(), "theirs");
        let home = folder.path().canonicalize().unwrap().join("home");
        fs::create_dir(&home).unwrap();
        symlink(outside.join("settings.json"), home.join("settings.json")).unwrap();
        files.replace(&home.join("settings.json"), Some("theirs"), Some("new")).unwrap();
        assert_eq!(fs::read_to_string(outside.join("settings.json")).unwrap(), "new");
        assert!(home.join("settings.json").is_symlink());
    }

    #[test]
    fn deny_what_is_no_text_file() {
        let (_folder, files) = files();
        let path = files.project.join("settings.json");
        fs::create_dir(&path).unwrap();
        assert!(matches!(files.read(&path), Err(FileError::NotRegular(_))));
        fs::remove_dir(&path).unwrap();
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(matches!(files.read(&path), Err(FileError::NotText(_))));
        fs::write(&path, vec![b' '; FILE_BYTES_MAX + 1]).unwrap();
        assert!(matches!(files.read(&path), Err(FileError::TooLarge(_))));
    }
}
