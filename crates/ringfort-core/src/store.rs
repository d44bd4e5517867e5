// SPDX-License-Identifier: MIT OR Apache-2.0
//! Questions that wait for a person, and the approvals that a person gave outside the session that asked.
//!
//! In: a question with the keys that an approval is bound to; a person's answer. Out: an approval that is used up, or
//! counted, by exactly one request at a time.
//!
//! **Invariant:** two traits for two sides. What governs ([`ApprovalStore`]) can ask and use, and can grant nothing;
//! only what a person starts ([`ApprovalDesk`]) can grant. An answer is to an `Ask`: nothing here speaks about a denial.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::decision::Risk;
use crate::digest::Digest;
use crate::door::{DoorKind, Standing};
use crate::principal::Principal;

/// How long a question waits for its answer, counted from when it was asked last.
pub const QUESTION_LIFE: Duration = Duration::from_secs(15 * 60);
/// How long an approval for once may wait for its one use, unless the person says otherwise.
pub const ONCE_LIFE: Duration = Duration::from_secs(15 * 60);
/// How long an approval for a session or a shape holds, unless the person says otherwise.
pub const LASTING_LIFE: Duration = Duration::from_secs(8 * 3600);
/// Longest that a person may let an approval for once, or for a session, hold.
pub const BOUND_LIFE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Longest that a person may let an approval for a shape hold.
pub const SHAPE_LIFE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Shortest beginning of a digest that names a question. Hex digits.
pub const DIGEST_PREFIX_MIN: usize = 8;

/// How far an approval reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Extent {
    /// This very request, one time.
    Once,
    /// This very request, for the rest of the session that asked.
    Session,
    /// Every request of the same shape, by the same principal at the same door under the same policy.
    Shape,
}

impl Extent {
    /// The word used in JSON and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Session => "session",
            Self::Shape => "shape",
        }
    }

    /// How long an approval of this extent holds, and how long a person may let it hold.
    pub const fn life(self) -> (Duration, Duration) {
        match self {
            Self::Once => (ONCE_LIFE, BOUND_LIFE_MAX),
            Self::Session => (LASTING_LIFE, BOUND_LIFE_MAX),
            Self::Shape => (LASTING_LIFE, SHAPE_LIFE_MAX),
        }
    }
}

/// What approvals of one question are bound to, by extent. Keys of different extents never agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApprovalKeys {
    /// The request with its bindings, the content of the files that it runs, door, obligations and policies.
    pub exact: Digest,
    /// The same, and the session; `None` where an effect is not known or the session ends with the request.
    pub session: Option<Digest>,
    /// The shape of the action in place of the action; `None` where it has none.
    pub shape: Option<Digest>,
}

/// A question that nobody could answer where it came up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What its approvals are bound to; `exact` names the question.
    pub keys: ApprovalKeys,
    /// Who asks.
    pub principal: Principal,
    /// The session.
    pub session: String,
    /// The door.
    pub door: DoorKind,
    /// How the session is protected against what it governs.
    pub standing: Standing,
    /// The action: escaped, redacted and bounded.
    pub action: String,
    /// The folder, escaped.
    pub cwd: String,
    /// The risk.
    pub risk: Risk,
    /// Why it is asked: sentences with their rules, escaped and bounded.
    pub reasons: Vec<String>,
    /// What an approval of its shape would cover, for people.
    pub shape: Option<String>,
}

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuestionState {
    /// Nobody has answered it.
    Waiting,
    /// A person said yes.
    Allowed,
    /// A person said no.
    Refused,
}

/// A question with what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuestionRow {
    /// The question.
    pub question: Question,
    /// When it was asked first.
    pub asked: Timestamp,
    /// When it was asked last.
    pub asked_last: Timestamp,
    /// How often it was asked.
    pub times: u64,
    /// Until when it may be answered, or its answer holds.
    pub expires: Timestamp,
    /// What became of it.
    pub state: QuestionState,
    /// Who answered.
    pub answered_by: Option<String>,
}

/// What became of an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GrantState {
    /// It holds until it expires.
    Live,
    /// It was for once, and was used.
    Used,
    /// A person took it back.
    Revoked,
    /// Its session has ended.
    Ended,
}

/// An approval that a person gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRow {
    /// Its number.
    pub id: i64,
    /// How far it reaches.
    pub extent: Extent,
    /// The question it answers.
    pub question: Digest,
    /// Who may use it.
    pub principal: Principal,
    /// The session it came from.
    pub session: String,
    /// The action that was asked about, or the shape; for people.
    pub covers: String,
    /// Who gave it.
    pub granted_by: String,
    /// When.
    pub granted: Timestamp,
    /// Until when it holds.
    pub expires: Timestamp,
    /// What became of it.
    pub state: GrantState,
    /// How often it was used.
    pub uses: u64,
}

impl GrantRow {
    /// Whether it would still be used.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.state == GrantState::Live && self.expires > now
    }
}

/// What the store says about a question that has come up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// An approval covers it. One for once is used up now, whatever comes after.
    Granted {
        /// Its number.
        id: i64,
        /// How far it reaches.
        extent: Extent,
        /// Who gave it.
        by: String,
    },
    /// A person has said no to this very question, not long ago.
    Refused {
        /// Who.
        by: String,
    },
    /// Nobody has said anything.
    Nothing,
}

/// Why the store could not be used. Unless it says otherwise nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file is not one that may be trusted, or cannot be opened.
    #[error("the store `{path}` cannot be used: {why}")]
    Unusable {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The content is damaged. The file is left as it is.
    #[error("the store `{path}` is damaged: {why}")]
    Damaged {
        /// The file.
        path: String,
        /// What was found.
        why: String,
    },
    /// A newer version has written the file. It is left as it is.
    #[error("the store `{path}` has version {found}, and this binary knows versions up to {known}")]
    Newer {
        /// The file.
        path: String,
        /// Its version.
        found: i64,
        /// The newest that is known.
        known: i64,
    },
    /// Another process has held it for too long.
    #[error("the store is in use by another process")]
    Busy,
    /// It cannot be written: a full disk, a limit, a read-only file system.
    #[error("the store cannot be written: {0}")]
    Write(String),
    /// Too many questions wait, or too many approvals hold.
    #[error("{0}")]
    TooMany(&'static str),
    /// No question begins so.
    #[error("no question with the digest `{0}` waits; it may have expired")]
    NoQuestion(String),
    /// Several questions begin so.
    #[error("{count} questions begin with `{prefix}`")]
    Ambiguous {
        /// What was given.
        prefix: String,
        /// How many.
        count: usize,
    },
    /// The beginning is too short, or no digest.
    #[error("`{0}` is no digest: at least {DIGEST_PREFIX_MIN} hex digits")]
    NoDigest(String),
    /// The question cannot be answered so.
    #[error("this question cannot be allowed for a {}: {why}", extent.as_str())]
    Extent {
        /// What was asked for.
        extent: Extent,
        /// Why not.
        why: &'static str,
    },
    /// There is no such approval that holds.
    #[error("there is no approval {0} that holds")]
    NoGrant(i64),
}

/// The side that governs: it asks, and uses what was granted.
pub trait ApprovalStore: Send + Sync {
    /// Looks for an approval of these keys, and uses it: exactly one caller gets one that is for once.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: nothing was used; there is no approval.
    fn take(&self, keys: &ApprovalKeys, now: Timestamp) -> Result<Taken, StoreError>;

    /// Keeps a question for a person, or notes that it was asked again; answers until when it waits.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: it is not kept, so nobody can answer it.
    fn ask(&self, question: &Question, now: Timestamp) -> Result<Timestamp, StoreError>;

    /// Ends the approvals of a session. A store that was never opened by this process is left alone.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: they hold until they expire.
    fn end_session(&self, session: &str, now: Timestamp) -> Result<(), StoreError>;
}

/// Which rows a person wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// What waits or holds.
    Current,
    /// Everything that is still there.
    All,
}

/// The side of the person: it reads, answers and takes back.
pub trait ApprovalDesk {
    /// Questions, the newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: they cannot be read.
    fn questions(&self, which: Which, now: Timestamp) -> Result<Vec<QuestionRow>, StoreError>;

    /// Approvals, the newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: they cannot be read.
    fn grants(&self, which: Which, now: Timestamp) -> Result<Vec<GrantRow>, StoreError>;

    /// The one question whose digest begins so.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: there is none, or more than one.
    fn find(&self, prefix: &str, now: Timestamp) -> Result<QuestionRow, StoreError>;

    /// Allows a question that waits, for `life` from now.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: nothing was granted.
    fn allow(
        &self,
        question: &Digest,
        extent: Extent,
        life: Duration,
        by: &str,
        now: Timestamp,
    ) -> Result<GrantRow, StoreError>;

    /// Refuses a question that waits; asked again before it expires, the answer is still no.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: it still waits.
    fn refuse(&self, question: &Digest, by: &str, now: Timestamp) -> Result<(), StoreError>;

    /// Takes an approval back.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: it still holds, or there is none.
    fn revoke(&self, id: i64, by: &str, now: Timestamp) -> Result<GrantRow, StoreError>;
}

/// Keeps nothing: for sessions without a state folder. Nobody can answer later, and nothing is ever covered.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoStore;

impl ApprovalStore for NoStore {
    fn take(&self, _keys: &ApprovalKeys, _now: Timestamp) -> Result<Taken, StoreError> {
        Ok(Taken::Nothing)
    }

    fn ask(&self, _question: &Question, _now: Timestamp) -> Result<Timestamp, StoreError> {
        Err(StoreError::TooMany("no questions are kept here"))
    }

    fn end_session(&self, _session: &str, _now: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}
