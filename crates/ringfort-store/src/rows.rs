// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rows: from values of the tables to the types of the core, and back.
//!
//! **Invariant:** a value that the core does not know is an error, never a default: somebody else has written it.

use ringfort_core::clock::Timestamp;
use ringfort_core::digest::Digest;
use ringfort_core::store::{ApprovalKeys, GrantRow, Question, QuestionRow};
use rusqlite::Row;
use rusqlite::types::Type;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The columns that [`question`] reads, in order.
pub(crate) const QUESTION_COLUMNS: &str = "digest, session_key, shape_key, principal, session, door, standing, action, cwd, \
     risk, reasons, shape, asked, asked_last, times, expires, state, answered_by";
/// The columns that [`grant`] reads, in order.
pub(crate) const GRANT_COLUMNS: &str =
    "id, extent, question, principal, session, covers, granted_by, granted, expires, state, uses";

pub(crate) fn question(row: &Row<'_>) -> rusqlite::Result<QuestionRow> {
    let keys =
        ApprovalKeys { exact: digest(row, 0)?, session: optional_digest(row, 1)?, shape: optional_digest(row, 2)? };
    Ok(QuestionRow {
        question: Question {
            keys,
            principal: json(row, 3)?,
            session: row.get(4)?,
            door: word(row, 5)?,
            standing: word(row, 6)?,
            action: row.get(7)?,
            cwd: row.get(8)?,
            risk: word(row, 9)?,
            reasons: json(row, 10)?,
            shape: row.get(11)?,
        },
        asked: time(row, 12)?,
        asked_last: time(row, 13)?,
        times: number(row, 14)?,
        expires: time(row, 15)?,
        state: word(row, 16)?,
        answered_by: row.get(17)?,
    })
}

pub(crate) fn grant(row: &Row<'_>) -> rusqlite::Result<GrantRow> {
    Ok(GrantRow {
        id: row.get(0)?,
        extent: word(row, 1)?,
        question: digest(row, 2)?,
        principal: json(row, 3)?,
        session: row.get(4)?,
        covers: row.get(5)?,
        granted_by: row.get(6)?,
        granted: time(row, 7)?,
        expires: time(row, 8)?,
        state: word(row, 9)?,
        uses: number(row, 10)?,
    })
}

/// A time as a column; the end of time instead of an overflow.
pub(crate) fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

/// A value of the core as JSON text.
pub(crate) fn to_json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// The word of a value of the core that JSON writes as a string.
pub(crate) fn to_word(value: &impl Serialize) -> rusqlite::Result<String> {
    Ok(to_json(value)?.trim_matches('"').to_owned())
}

pub(crate) fn word<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    let value = serde_json::Value::String(text);
    serde_json::from_value(value).map_err(|error| unread(column, Type::Text, error))
}

fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| unread(column, Type::Text, error))
}

fn digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    Ok(Digest::from_bytes(row.get(column)?))
}

fn optional_digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Digest>> {
    Ok(row.get::<_, Option<[u8; 32]>>(column)?.map(Digest::from_bytes))
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|error| unread(column, Type::Integer, error))
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Ok(Timestamp(number(row, column)?))
}

fn unread(column: usize, kind: Type, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(error))
}
