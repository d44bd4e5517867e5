// SPDX-License-Identifier: MIT OR Apache-2.0
//! The freeze: one small file that every door reads before it lets anything happen.
//!
//! In: the file `freeze` of the state folder. Out: nothing, or the reason for a denial.
//!
//! **Invariant:** only the exact content "off" lets anything happen: a missing, unreadable, torn or changed file is
//! frozen. The file has one size and is rewritten in place, and where that fails it is removed, so that freezing works
//! with a full disk. Thawing is the only step that needs room.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use ringfort_core::clock::Timestamp;
use ringfort_core::decision::Decision;
use ringfort_core::ruling::{Reason, Remedy};
use rustix::fs::{Mode, OFlags, RenameFlags, open, renameat_with};

/// Size of the file, in bytes.
const FILE_BYTES: usize = 64;
/// How the file begins while nothing is frozen.
const OFF: &str = "ringfort-freeze 1 off";
/// How the file begins while everything is frozen; the time follows, in milliseconds.
const ON: &str = "ringfort-freeze 1 on";

/// Whether everything is frozen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FreezeState {
    /// No.
    Off,
    /// Yes, since this time.
    On(Timestamp),
    /// Yes, because the file says nothing that is understood.
    Unreadable {
        /// What is wrong with it.
        why: String,
    },
}

/// The freeze of one installation.
#[derive(Clone, Debug)]
pub struct Freeze {
    path: PathBuf,
}

impl Freeze {
    /// The freeze that `path` holds.
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Makes the file of a new installation; one that is there stays as it is.
    ///
    /// # Errors
    ///
    /// There is no file, so everything is frozen.
    pub fn create(&self) -> io::Result<()> {
        match self.replace(OFF, RenameFlags::NOREPLACE) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    }

    /// What the file says.
    pub fn state(&self) -> FreezeState {
        match read(&self.path) {
            Ok(content) if content == padded(OFF) => FreezeState::Off,
            Ok(content) => since(&content).map_or_else(
                || FreezeState::Unreadable { why: "its content is not understood".to_owned() },
                FreezeState::On,
            ),
            Err(error) => FreezeState::Unreadable { why: error.to_string() },
        }
    }

    /// Why nothing may happen; `None` while nothing is frozen.
    pub fn reason(&self) -> Option<Reason> {
        let message = match self.state() {
            FreezeState::Off => return None,
            FreezeState::On(_) => "everything is frozen by the person in charge".to_owned(),
            FreezeState::Unreadable { why } => {
                format!("whether everything is frozen cannot be read, which counts as frozen: {why}")
            }
        };
        let remedy = Remedy::Person("`ringfort freeze --off`, once you know why it was frozen".to_owned());
        Some(Reason::new("guard-005", Decision::Deny, message).remedy(remedy))
    }

    /// Freezes everything, from the next decision of any process on.
    ///
    /// # Errors
    ///
    /// The file could be neither written nor removed; what it said before still holds.
    pub fn freeze(&self, now: Timestamp) -> io::Result<()> {
        self.overwrite(&format!("{ON} {}", now.0)).or_else(|_unwritable| match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
    }

    /// Lets things happen again.
    ///
    /// # Errors
    ///
    /// Everything is still frozen.
    pub fn thaw(&self) -> io::Result<()> {
        self.replace(OFF, RenameFlags::empty())
    }

    fn overwrite(&self, text: &str) -> io::Result<()> {
        let file = File::from(open(&self.path, OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?);
        file.write_all_at(&padded(text), 0)?;
        // Longer than ours is not understood, thus frozen too.
        file.sync_data()
    }

    /// Puts a whole file in the place, never a part of one.
    fn replace(&self, text: &str, flags: RenameFlags) -> io::Result<()> {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{}", std::process::id()));
        let name = PathBuf::from(name);
        let written = write_new(&name, text)
            .and_then(|()| Ok(renameat_with(rustix::fs::CWD, &name, rustix::fs::CWD, &self.path, flags)?));
        if written.is_err() {
            // What is left here is found by nobody.
            drop(std::fs::remove_file(&name));
        }
        written
    }
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    // One that is left over has our process id and no living owner.
    drop(std::fs::remove_file(path));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::RUSR | Mode::WUSR)?);
    file.write_all_at(&padded(text), 0)?;
    file.sync_data()
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty())?);
    let mut content = Vec::with_capacity(FILE_BYTES + 1);
    file.take(FILE_BYTES as u64 + 1).read_to_end(&mut content)?;
    Ok(content)
}

fn padded(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(FILE_BYTES - 1, b' ');
    bytes.push(b'\n');
    bytes
}

fn since(content: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(content).ok().filter(|text| text.len() == FILE_BYTES)?;
    text.strip_prefix(ON)?.trim().parse().ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn freeze() -> (tempfile::TempDir, Freeze) {
        let folder = tempfile::tempdir().unwrap();
        let freeze = Freeze::new(folder.path().join("freeze"));
        (folder, freeze)
    }

    #[test]
    fn deny_while_frozen_and_not_after() {
        let (_folder, freeze) = freeze();
        freeze.create().unwrap();
        assert_eq!(freeze.reason(), None);
        freeze.freeze(Timestamp(7)).unwrap();
        assert_eq!(freeze.state(), FreezeState::On(Timestamp(7)));
        assert_eq!(freeze.reason().unwrap().rule, "guard-005");
        // A second start does not thaw.
        freeze.create().unwrap();
        assert!(freeze.reason().is_some());
        freeze.thaw().unwrap();
        assert_eq!(freeze.reason(), None);
    }

    #[test]
    fn deny_when_the_file_is_not_exactly_off() {
        let (folder, freeze) = freeze();
        assert!(freeze.reason().is_some(), "missing");
        let off = padded(OFF);
        for wrong in
            [&b""[..], b"off", &off[..FILE_BYTES - 1], &[&off[..], b"x"].concat(), &padded("ringfort-freeze 2 off")]
        {
            std::fs::write(&freeze.path, wrong).unwrap();
            assert!(freeze.reason().is_some(), "{wrong:?}");
        }
        std::fs::remove_file(&freeze.path).unwrap();
        std::fs::write(folder.path().join("other"), &off).unwrap();
        std::os::unix::fs::symlink("other", &freeze.path).unwrap();
        assert!(freeze.reason().is_some(), "a link");
        std::fs::remove_file(&freeze.path).unwrap();
        std::fs::create_dir(&freeze.path).unwrap();
        assert!(freeze.reason().is_some(), "a folder");
    }

    #[test]
    fn deny_by_removal_where_the_file_cannot_be_written() {
        let (folder, freeze) = freeze();
        std::os::unix::fs::symlink("nowhere", &freeze.path).unwrap();
        freeze.freeze(Timestamp(1)).unwrap();
        assert!(freeze.path.symlink_metadata().is_err(), "the link is gone");
        assert!(freeze.reason().is_some());
        drop(folder);
        freeze.freeze(Timestamp(1)).unwrap();
        assert!(freeze.reason().is_some());
    }
}
