// SPDX-License-Identifier: MIT OR Apache-2.0
//! The side that governs: questions are kept, approvals are used.
//!
//! In: keys and questions of a pipeline. Out: what a person has said.
//!
//! **Invariant:** an approval for once is found and used up in one statement, so that of several processes exactly one
//! has it. A clock that was set back makes no approval hold longer than it was given for. What a principal asks is
//! bounded by itself: it pushes out its own oldest questions, never another's.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ringfort_core::clock::Timestamp;
use ringfort_core::digest::Digest;
use ringfort_core::store::{ApprovalKeys, ApprovalStore, QUESTION_LIFE, Question, StoreError, Taken};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use crate::file::{Missing, connect, fault, file_of};
use crate::rows::{millis, to_json, to_word, word};

/// Most questions that are kept.
pub const QUESTIONS_MAX: usize = 1024;
/// Most questions that are kept of one principal; the next one takes the place of its oldest.
pub const QUESTIONS_PER_PRINCIPAL_MAX: usize = 64;
/// Longest text of one column. Bytes.
const TEXT_BYTES_MAX: usize = 16 << 10;
/// How long what has expired or was used is kept for a person to look at.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// An approval that lies further than this in the future was given before the clock was set back: it does not hold.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(60);

/// The store of one state folder. It is opened at the first use.
#[derive(Debug)]
pub struct ApprovalDb {
    root: PathBuf,
    connection: Mutex<Option<Connection>>,
}

impl ApprovalDb {
    /// The store of the state folder `root`, which exists with mode 0700. Nothing is opened.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), connection: Mutex::new(None) }
    }

    /// Works with the open store; `None` where there is none and none is to be made.
    pub(crate) fn with<T>(
        &self,
        missing: Missing,
        work: impl FnOnce(&mut Connection) -> Result<T, Fault>,
    ) -> Result<Option<T>, StoreError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if connection.is_none() {
            *connection = connect(&self.root, missing)?;
        }
        let Some(connection) = connection.as_mut() else { return Ok(None) };
        work(connection).map(Some).map_err(|fault| fault.into_error(&self.root))
    }
}

/// Why a piece of work failed.
pub(crate) enum Fault {
    Sql(rusqlite::Error),
    Store(StoreError),
}

impl Fault {
    fn into_error(self, root: &Path) -> StoreError {
        match self {
            Self::Sql(error) => fault(&file_of(root), &error),
            Self::Store(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl ApprovalStore for ApprovalDb {
    fn take(&self, keys: &ApprovalKeys, now: Timestamp) -> Result<Taken, StoreError> {
        let taken = self.with(Missing::Leave, |connection| {
            if let Some(by) = refused(connection, &keys.exact, now)? {
                return Ok(Taken::Refused { by });
            }
            Ok(use_grant(connection, keys, now)?)
        })?;
        Ok(taken.unwrap_or(Taken::Nothing))
    }

    fn ask(&self, question: &Question, now: Timestamp) -> Result<Timestamp, StoreError> {
        check_size(question)?;
        let expires = now.after(QUESTION_LIFE);
        self.with(Missing::Create, |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            sweep(&transaction, now)?;
            if !is_known(&transaction, &question.keys.exact)? {
                make_room(&transaction, question)?;
            }
            keep(&transaction, question, now, expires)?;
            Ok(transaction.commit()?)
        })?;
        Ok(expires)
    }

    fn end_session(&self, session: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(connection) = connection.as_mut() else { return Ok(()) };
        let end = "UPDATE approval_grant SET state = 'ended', last_used = ?2
                   WHERE session = ?1 AND extent = 'session' AND state = 'live'";
        connection
            .execute(end, params![session, millis(now)])
            .map(|_count| ())
            .map_err(|error| fault(&file_of(&self.root), &error))
    }
}

/// Who has said no to this very question, if the answer still holds.
fn refused(connection: &Connection, exact: &Digest, now: Timestamp) -> rusqlite::Result<Option<String>> {
    connection
        .query_row(
            "SELECT coalesce(answered_by, '') FROM approval_question
             WHERE digest = ?1 AND state = 'refused' AND expires > ?2 AND asked <= ?3",
            params![exact.as_bytes(), millis(now), millis(now.after(CLOCK_SKEW_MAX))],
            |row| row.get(0),
        )
        .optional()
}

/// Finds an approval and uses it, in one statement. One that stays is preferred to one that is used up.
fn use_grant(connection: &Connection, keys: &ApprovalKeys, now: Timestamp) -> rusqlite::Result<Taken> {
    let key = |key: &Option<Digest>| key.as_ref().map(|key| key.as_bytes().to_vec());
    let taken = connection
        .query_row(
            "UPDATE approval_grant
             SET uses = uses + 1, last_used = ?1, state = CASE extent WHEN 'once' THEN 'used' ELSE state END
             WHERE state = 'live' AND id = (
                 SELECT id FROM approval_grant
                 WHERE state = 'live' AND expires > ?1 AND granted <= ?2
                   AND ((extent = 'once' AND key = ?3) OR (extent = 'session' AND key = ?4)
                        OR (extent = 'shape' AND key = ?5))
                 ORDER BY CASE extent WHEN 'session' THEN 0 WHEN 'shape' THEN 1 ELSE 2 END, id
                 LIMIT 1)
             RETURNING id, extent, granted_by",
            params![
                millis(now),
                millis(now.after(CLOCK_SKEW_MAX)),
                keys.exact.as_bytes().to_vec(),
                key(&keys.session),
                key(&keys.shape),
            ],
            |row| Ok(Taken::Granted { id: row.get(0)?, extent: word(row, 1)?, by: row.get(2)? }),
        )
        .optional()?;
    Ok(taken.unwrap_or(Taken::Nothing))
}

fn check_size(question: &Question) -> Result<(), StoreError> {
    let texts = [question.action.len(), question.cwd.len(), question.session.len()];
    let reasons: usize = question.reasons.iter().map(String::len).sum();
    let shape = question.shape.as_ref().map_or(0, String::len);
    if texts.into_iter().chain([reasons, shape]).any(|bytes| bytes > TEXT_BYTES_MAX) {
        return Err(StoreError::TooMany("the question is too long to be kept"));
    }
    Ok(())
}

fn is_known(connection: &Connection, exact: &Digest) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM approval_question WHERE digest = ?1)",
        params![exact.as_bytes()],
        |row| row.get(0),
    )
}

/// Removes what nobody needs any more.
pub(crate) fn sweep(transaction: &Transaction<'_>, now: Timestamp) -> rusqlite::Result<()> {
    let before = millis(Timestamp(now.0.saturating_sub(u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX))));
    transaction.execute("DELETE FROM approval_question WHERE expires < ?1", params![before])?;
    let ended =
        "DELETE FROM approval_grant WHERE expires < ?1 OR (state <> 'live' AND coalesce(last_used, granted) < ?1)";
    transaction.execute(ended, params![before]).map(|_count| ())
}

/// Makes room for one more question of this principal.
fn make_room(transaction: &Transaction<'_>, question: &Question) -> Result<(), Fault> {
    let principal = to_json(&question.principal)?;
    let own = i64::try_from(QUESTIONS_PER_PRINCIPAL_MAX).unwrap_or(i64::MAX) - 1;
    transaction.execute(
        "DELETE FROM approval_question WHERE digest IN (
             SELECT digest FROM approval_question WHERE principal = ?1
             ORDER BY asked_last DESC, digest LIMIT -1 OFFSET ?2)",
        params![principal, own],
    )?;
    let count: i64 = transaction.query_row("SELECT count(*) FROM approval_question", [], |row| row.get(0))?;
    if usize::try_from(count).unwrap_or(usize::MAX) >= QUESTIONS_MAX {
        return Err(StoreError::TooMany("too many questions wait for a person").into());
    }
    Ok(())
}

fn keep(
    transaction: &Transaction<'_>,
    question: &Question,
    now: Timestamp,
    expires: Timestamp,
) -> rusqlite::Result<()> {
    let key = |key: &Option<Digest>| key.as_ref().map(|key| key.as_bytes().to_vec());
    // Asked again after an answer was used up or has expired, it waits again; a refusal that holds is not asked again.
    transaction
        .execute(
            "INSERT INTO approval_question (digest, session_key, shape_key, principal, session, door, standing, action,
                 cwd, risk, reasons, shape, asked, asked_last, times, expires, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?13, 1, ?14, 'waiting')
             ON CONFLICT (digest) DO UPDATE SET
                 session_key = excluded.session_key, shape_key = excluded.shape_key, session = excluded.session,
                 shape = excluded.shape, reasons = excluded.reasons, asked_last = excluded.asked_last,
                 times = times + 1, expires = excluded.expires, state = 'waiting', answered_by = NULL
             WHERE state <> 'refused' OR expires <= excluded.asked",
            params![
                question.keys.exact.as_bytes().to_vec(),
                key(&question.keys.session),
                key(&question.keys.shape),
                to_json(&question.principal)?,
                question.session,
                to_word(&question.door)?,
                to_word(&question.standing)?,
                question.action,
                question.cwd,
                to_word(&question.risk)?,
                to_json(&question.reasons)?,
                question.shape,
                millis(now),
                millis(expires),
            ],
        )
        .map(|_count| ())
}
