// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opens the file: ours alone, no link, no other name, and the same file before and after.
//!
//! In: the state folder. Out: a connection with every setting made, at the newest version.
//!
//! **Invariant:** SQLite opens by name, so the file is opened beneath a handle of the folder first, without following
//! links; after SQLite has opened it, the name still means that file. What fails is an error, and no file is replaced.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringfort_core::store::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, open, openat, statat};
use rustix::io::Errno;

use crate::migrate;

/// Name of the file in the state folder.
pub const FILE_NAME: &str = "ringfort.db";
/// Files that SQLite keeps beside it.
const SIDE_FILES: [&str; 3] = ["ringfort.db-wal", "ringfort.db-shm", "ringfort.db-journal"];
/// How long to wait for another process.
const BUSY_MAX: Duration = Duration::from_secs(2);
/// Most pages of the file: 64 MiB at 4 KiB each.
const PAGES_MAX: i64 = 16 << 10;
/// Largest write-ahead log that is kept after a checkpoint. Bytes.
const LOG_BYTES_MAX: i64 = 1 << 20;

/// Whether a missing file is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It is.
    Create,
    /// It is not: there is nothing in it.
    Leave,
}

/// Opens the store of a state folder; `None` where there is none and none is to be made.
pub(crate) fn connect(root: &Path, missing: Missing) -> Result<Option<Connection>, StoreError> {
    let path = root.join(FILE_NAME);
    let refuse = |why: String| StoreError::Unusable { path: path.display().to_string(), why };
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = open(root, flags, Mode::empty()).map_err(|errno| refuse(errno.to_string()))?;
    for name in SIDE_FILES {
        check_side_file(&folder, name).map_err(|why| refuse(format!("`{name}` {why}")))?;
    }
    let mut flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    if missing == Missing::Create {
        flags |= OFlags::CREATE;
    }
    let held = match openat(&folder, FILE_NAME, flags, Mode::RUSR | Mode::WUSR) {
        Ok(held) => held,
        Err(Errno::NOENT) if missing == Missing::Leave => return Ok(None),
        Err(Errno::LOOP) => return Err(refuse("it is a link".to_owned())),
        Err(errno) => return Err(refuse(errno.to_string())),
    };
    let before = fstat(&held).map_err(|errno| refuse(errno.to_string()))?;
    check_file(&before).map_err(|why| refuse(why.to_owned()))?;
    // Folders above the state folder may be links; SQLite is to follow none.
    let real = root.canonicalize().map_err(|error| refuse(error.to_string()))?;
    let connection = open_connection(&real.join(FILE_NAME), &path)?;
    let after = statat(&folder, FILE_NAME, AtFlags::SYMLINK_NOFOLLOW).map_err(|errno| refuse(errno.to_string()))?;
    if (after.st_dev, after.st_ino) != (before.st_dev, before.st_ino) {
        return Err(refuse("it was exchanged while it was opened".to_owned()));
    }
    Ok(Some(connection))
}

fn open_connection(real: &Path, path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let failed = |error: rusqlite::Error| fault(path, &error);
    let mut connection = Connection::open_with_flags(real, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_MAX).map_err(failed)?;
    for (setting, value) in
        [(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true), (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)]
    {
        connection.set_db_config(setting, value).map_err(failed)?;
    }
    settings(&connection).map_err(failed)?;
    check_content(&connection, path)?;
    migrate::migrate(&mut connection, path)?;
    Ok(connection)
}

fn settings(connection: &Connection) -> rusqlite::Result<()> {
    // No file elsewhere, no file that is mapped and could be cut beneath us, no page that is read unchecked.
    connection.execute_batch("PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON;")?;
    connection.pragma_update(None, "max_page_count", PAGES_MAX)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(rusqlite::Error::InvalidParameterName(format!("the journal is `{mode}`, not `wal`")));
    }
    // A commit is on the disk before it is answered.
    connection.pragma_update(None, "synchronous", "FULL")
}

fn check_content(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let answer: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(|error| fault(path, &error))?;
    if answer == "ok" {
        return Ok(());
    }
    Err(StoreError::Damaged { path: path.display().to_string(), why: answer })
}

fn check_file(status: &Stat) -> Result<(), &'static str> {
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err("it is no regular file");
    }
    if status.st_uid != rustix::process::geteuid().as_raw() {
        return Err("it belongs to somebody else");
    }
    if status.st_mode & 0o077 != 0 {
        return Err("others may read or write it; make it yours alone (`chmod 600`)");
    }
    if status.st_nlink != 1 {
        return Err("it has a second name");
    }
    Ok(())
}

fn check_side_file(folder: &OwnedFd, name: &str) -> Result<(), String> {
    match statat(folder.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.to_string()),
        Ok(status) => check_file(&status).map_err(str::to_owned),
    }
}

/// What an error of SQLite means for the caller.
pub(crate) fn fault(path: &Path, error: &rusqlite::Error) -> StoreError {
    let path_text = || path.display().to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Damaged { path: path_text(), why: error.to_string() }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy,
        Some(ErrorCode::DiskFull | ErrorCode::ReadOnly | ErrorCode::SystemIoFailure | ErrorCode::TooBig) => {
            StoreError::Write(error.to_string())
        }
        Some(_) => StoreError::Unusable { path: path_text(), why: error.to_string() },
        // A value of another kind than the table holds: somebody else has written it.
        None => StoreError::Damaged { path: path_text(), why: error.to_string() },
    }
}

/// The file of a state folder.
pub(crate) fn file_of(root: &Path) -> PathBuf {
    root.join(FILE_NAME)
}
