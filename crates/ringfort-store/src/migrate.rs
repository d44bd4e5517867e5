// SPDX-License-Identifier: MIT OR Apache-2.0
//! Migrations: numbered steps from an empty file to the newest version.
//!
//! In: a connection. Out: the same, at the newest version.
//!
//! **Invariant:** a step that was released is never changed. All steps that are missing run in one transaction, so that
//! a file has a whole version or the old one. A file of a newer version, or of another program, is an error and is
//! left as it is.

use std::path::Path;

use ringfort_core::store::StoreError;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::file::fault;

/// Marks the file as ours: `RGFT`.
const APPLICATION_ID: i64 = 0x5247_4654;

/// The steps; the number of a version is the number of steps that lead to it.
const STEPS: [&str; 1] = ["
    CREATE TABLE approval_question (
        digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
        session_key BLOB CHECK (length(session_key) = 32),
        shape_key BLOB CHECK (length(shape_key) = 32),
        principal TEXT NOT NULL,
        session TEXT NOT NULL,
        door TEXT NOT NULL,
        standing TEXT NOT NULL,
        action TEXT NOT NULL,
        cwd TEXT NOT NULL,
        risk TEXT NOT NULL,
        reasons TEXT NOT NULL,
        shape TEXT,
        asked INTEGER NOT NULL,
        asked_last INTEGER NOT NULL,
        times INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('waiting', 'allowed', 'refused')),
        answered_by TEXT
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX approval_question_principal ON approval_question (principal, asked_last);
    CREATE TABLE approval_grant (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        key BLOB NOT NULL CHECK (length(key) = 32),
        extent TEXT NOT NULL CHECK (extent IN ('once', 'session', 'shape')),
        question BLOB NOT NULL CHECK (length(question) = 32),
        principal TEXT NOT NULL,
        session TEXT NOT NULL,
        covers TEXT NOT NULL,
        granted_by TEXT NOT NULL,
        granted INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('live', 'used', 'revoked', 'ended')),
        uses INTEGER NOT NULL DEFAULT 0,
        last_used INTEGER,
        ended_by TEXT
    ) STRICT;
    CREATE INDEX approval_grant_key ON approval_grant (key) WHERE state = 'live';
"];

/// The newest version.
const NEWEST: i64 = STEPS.len() as i64;

/// Brings a file to the newest version.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| fault(path, &error);
    if version(connection, path)? == NEWEST {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    // Another process may have been here meanwhile.
    let found = version(&transaction, path)?;
    for (step, number) in STEPS.iter().zip(1_i64..).filter(|(_, number)| *number > found) {
        apply(&transaction, step, number).map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}

fn apply(transaction: &Transaction<'_>, step: &str, number: i64) -> rusqlite::Result<()> {
    transaction.execute_batch(step)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", number)
}

/// The version of a file that is ours, or empty.
fn version(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let read = |sql: &str| -> Result<i64, StoreError> {
        connection.query_row(sql, [], |row| row.get(0)).map_err(|error| fault(path, &error))
    };
    let found = read("PRAGMA user_version")?;
    let application = read("PRAGMA application_id")?;
    let is_empty = read("SELECT count(*) FROM sqlite_schema")? == 0;
    let path = || path.display().to_string();
    if application != APPLICATION_ID && !(is_empty && application == 0 && found == 0) {
        return Err(StoreError::Unusable { path: path(), why: "another program has written it".to_owned() });
    }
    if found > NEWEST {
        return Err(StoreError::Newer { path: path(), found, known: NEWEST });
    }
    if found < 0 || (found == 0) != is_empty {
        return Err(StoreError::Damaged { path: path(), why: format!("its version {found} does not fit its content") });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(prepare: &str) -> Result<(), StoreError> {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(prepare).unwrap();
        migrate(&mut connection, Path::new("x.db"))
    }

    #[test]
    fn an_empty_file_becomes_the_newest_and_stays_it() {
        let mut connection = Connection::open_in_memory().unwrap();
        for _ in 0..2 {
            migrate(&mut connection, Path::new("x.db")).unwrap();
            assert_eq!(version(&connection, Path::new("x.db")).unwrap(), NEWEST);
        }
    }

    #[test]
    fn deny_files_that_are_newer_foreign_or_half() {
        for (prepare, expected) in [
            ("CREATE TABLE t (a); PRAGMA application_id = 1380402772; PRAGMA user_version = 99", "newer"),
            ("CREATE TABLE other (a)", "unusable"),
            ("PRAGMA user_version = 1", "unusable"),
            ("PRAGMA application_id = 7", "unusable"),
            ("PRAGMA application_id = 1380402772; PRAGMA user_version = 1", "damaged"),
            ("CREATE TABLE t (a); PRAGMA application_id = 1380402772", "damaged"),
            ("CREATE TABLE t (a); PRAGMA application_id = 1380402772; PRAGMA user_version = -1", "damaged"),
        ] {
            let word = match outcome(prepare) {
                Err(StoreError::Newer { found: 99, .. }) => "newer",
                Err(StoreError::Unusable { .. }) => "unusable",
                Err(StoreError::Damaged { .. }) => "damaged",
                other => panic!("{prepare}: {other:?}"),
            };
            assert_eq!(word, expected, "{prepare}");
        }
        assert_eq!(APPLICATION_ID, 1_380_402_772);
    }
}
