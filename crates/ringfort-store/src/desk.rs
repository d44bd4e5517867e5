// SPDX-License-Identifier: MIT OR Apache-2.0
//! The side of the person: questions are read and answered, approvals are given and taken back.
//!
//! In: what a person asks for on a command line. Out: rows.
//!
//! **Invariant:** an approval answers a question that waits, and is bound to the keys that the question came with; none
//! is ever made from what a person types.

use std::time::Duration;

use ringfort_core::clock::Timestamp;
use ringfort_core::digest::Digest;
use ringfort_core::store::{
    ApprovalDesk, DIGEST_PREFIX_MIN, Extent, GrantRow, GrantState, QuestionRow, QuestionState, StoreError, Which,
};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use crate::approvals::{ApprovalDb, Fault, sweep};
use crate::file::Missing;
use crate::rows::{GRANT_COLUMNS, QUESTION_COLUMNS, grant, millis, question, to_json, to_word};

/// Most rows that are read.
const ROWS_MAX: usize = 2048;
/// Most approvals that hold at once.
const GRANTS_MAX: i64 = 1024;
/// Hex digits of a digest.
const DIGEST_DIGITS: usize = 64;

impl ApprovalDesk for ApprovalDb {
    fn questions(&self, which: Which, now: Timestamp) -> Result<Vec<QuestionRow>, StoreError> {
        let rows = self.with(Missing::Leave, |connection| Ok(all_questions(connection)?))?.unwrap_or_default();
        let waits = |row: &QuestionRow| row.state == QuestionState::Waiting && row.expires > now;
        Ok(rows.into_iter().filter(|row| which == Which::All || waits(row)).collect())
    }

    fn grants(&self, which: Which, now: Timestamp) -> Result<Vec<GrantRow>, StoreError> {
        let sql = format!("SELECT {GRANT_COLUMNS} FROM approval_grant ORDER BY id DESC LIMIT {ROWS_MAX}");
        let rows = self.with(Missing::Leave, |connection| {
            let mut statement = connection.prepare(&sql)?;
            let rows = statement.query_map([], grant)?.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(rows)
        })?;
        let rows = rows.unwrap_or_default().into_iter();
        Ok(rows.filter(|row| which == Which::All || row.is_live(now)).collect())
    }

    fn find(&self, prefix: &str, now: Timestamp) -> Result<QuestionRow, StoreError> {
        let prefix = prefix.to_ascii_lowercase();
        let is_digest = (DIGEST_PREFIX_MIN..=DIGEST_DIGITS).contains(&prefix.len())
            && prefix.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_digest {
            return Err(StoreError::NoDigest(prefix.chars().take(DIGEST_DIGITS).collect()));
        }
        let mut found = self.questions(Which::All, now)?;
        found.retain(|row| row.question.keys.exact.to_string().starts_with(&prefix));
        // What has expired gives way to what has not.
        if found.iter().any(|row| row.expires > now) {
            found.retain(|row| row.expires > now);
        }
        match (found.pop(), found.len()) {
            (None, _) => Err(StoreError::NoQuestion(prefix)),
            (Some(row), 0) => Ok(row),
            (Some(_), others) => Err(StoreError::Ambiguous { prefix, count: others + 1 }),
        }
    }

    fn allow(
        &self,
        question: &Digest,
        extent: Extent,
        life: Duration,
        by: &str,
        now: Timestamp,
    ) -> Result<GrantRow, StoreError> {
        let (_, life_max) = extent.life();
        let expires = now.after(life.min(life_max));
        let granted = self.with(Missing::Leave, |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            sweep(&transaction, now)?;
            let row = waiting(&transaction, question, now)?;
            let live: i64 = transaction.query_row(
                "SELECT count(*) FROM approval_grant WHERE state = 'live' AND expires > ?1",
                params![millis(now)],
                |row| row.get(0),
            )?;
            if live >= GRANTS_MAX {
                return Err(StoreError::TooMany("too many approvals hold; revoke some first").into());
            }
            let grant = insert(&transaction, &row, extent, by, (now, expires))?;
            answer(&transaction, question, QuestionState::Allowed, by)?;
            transaction.commit()?;
            Ok(grant)
        })?;
        granted.ok_or_else(|| StoreError::NoQuestion(question.to_string()))
    }

    fn refuse(&self, question: &Digest, by: &str, now: Timestamp) -> Result<(), StoreError> {
        let refused = self.with(Missing::Leave, |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            waiting(&transaction, question, now)?;
            answer(&transaction, question, QuestionState::Refused, by)?;
            Ok(transaction.commit()?)
        })?;
        refused.ok_or_else(|| StoreError::NoQuestion(question.to_string()))
    }

    fn revoke(&self, id: i64, by: &str, now: Timestamp) -> Result<GrantRow, StoreError> {
        let sql = format!(
            "UPDATE approval_grant SET state = 'revoked', ended_by = ?2, last_used = ?3
             WHERE id = ?1 AND state = 'live' AND expires > ?3 RETURNING {GRANT_COLUMNS}"
        );
        let revoked = self.with(Missing::Leave, |connection| {
            Ok(connection.query_row(&sql, params![id, by, millis(now)], grant).optional()?)
        })?;
        revoked.flatten().ok_or(StoreError::NoGrant(id))
    }
}

fn all_questions(connection: &Connection) -> rusqlite::Result<Vec<QuestionRow>> {
    let sql =
        format!("SELECT {QUESTION_COLUMNS} FROM approval_question ORDER BY asked_last DESC, digest LIMIT {ROWS_MAX}");
    let mut statement = connection.prepare(&sql)?;
    statement.query_map([], question)?.collect()
}

/// The question, if it waits.
fn waiting(transaction: &Transaction<'_>, digest: &Digest, now: Timestamp) -> Result<QuestionRow, Fault> {
    let sql = format!("SELECT {QUESTION_COLUMNS} FROM approval_question WHERE digest = ?1");
    let row = transaction.query_row(&sql, params![digest.as_bytes()], question).optional()?;
    let row = row.filter(|row| row.state == QuestionState::Waiting && row.expires > now);
    row.ok_or_else(|| StoreError::NoQuestion(digest.to_string()).into())
}

fn insert(
    transaction: &Transaction<'_>,
    row: &QuestionRow,
    extent: Extent,
    by: &str,
    (now, expires): (Timestamp, Timestamp),
) -> Result<GrantRow, Fault> {
    let asked = &row.question;
    let refuse = |why| StoreError::Extent { extent, why };
    let (key, covers) = match extent {
        Extent::Once => (asked.keys.exact, asked.action.as_str()),
        Extent::Session => {
            let why = "either not everything that it does is known, or its session ends with it";
            (asked.keys.session.ok_or_else(|| refuse(why))?, asked.action.as_str())
        }
        Extent::Shape => {
            let why = "it has none: it runs code or files, or not everything that it does is known";
            let key = asked.keys.shape.ok_or_else(|| refuse(why))?;
            (key, asked.shape.as_deref().unwrap_or(asked.action.as_str()))
        }
    };
    transaction.execute(
        "INSERT INTO approval_grant (key, extent, question, principal, session, covers, granted_by, granted, expires, state)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'live')",
        params![
            key.as_bytes().to_vec(),
            extent.as_str(),
            asked.keys.exact.as_bytes().to_vec(),
            to_json(&asked.principal)?,
            asked.session,
            covers,
            by,
            millis(now),
            millis(expires),
        ],
    )?;
    Ok(GrantRow {
        id: transaction.last_insert_rowid(),
        extent,
        question: asked.keys.exact,
        principal: asked.principal.clone(),
        session: asked.session.clone(),
        covers: covers.to_owned(),
        granted_by: by.to_owned(),
        granted: now,
        expires,
        state: GrantState::Live,
        uses: 0,
    })
}

fn answer(transaction: &Transaction<'_>, digest: &Digest, state: QuestionState, by: &str) -> rusqlite::Result<()> {
    transaction
        .execute(
            "UPDATE approval_question SET state = ?2, answered_by = ?3 WHERE digest = ?1",
            params![digest.as_bytes(), to_word(&state)?, by],
        )
        .map(|_count| ())
}
