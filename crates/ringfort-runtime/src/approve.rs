// SPDX-License-Identifier: MIT OR Apache-2.0
//! Approvals: an `Ask` goes to a person, bound to the digest of the request.
//!
//! In: a question about one resolved ruling. Out: once, for this session, or no.
//!
//! **Invariant:** silence, an error, an unknown answer and the absence of a person are all a denial. A remembered
//! approval answers the same question only (request, door, obligations, policies) and never a denial; requests with
//! unknown effects are never remembered.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use ringfort_core::action::{Action, Command};
use ringfort_core::digest::{Digest, DigestWriter};
use ringfort_core::door::Door;
use ringfort_core::effect::EffectKind;
use ringfort_core::limits::EFFECTS_MAX;
use ringfort_core::request::Request;
use ringfort_core::ruling::Ruling;

/// Most approvals that a session remembers; the next one is not remembered.
const REMEMBERED_MAX: usize = 1024;

/// What a person is asked.
#[derive(Debug)]
pub struct Question<'a> {
    /// The request, with its exact action.
    pub request: &'a Request,
    /// The ruling of this door, with reasons and spans.
    pub ruling: &'a Ruling,
    /// Whether "for this session" may be offered.
    pub may_remember: Remember,
}

/// Whether an approval may be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remember {
    /// For this session.
    Session,
    /// Not at all: an effect is unknown.
    Never,
}

/// What a person answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes, this once.
    Once,
    /// Yes, and the same again for this session.
    Session,
    /// No.
    No,
    /// Not here: the agent asks its own user, and nobody can verify the answer. Only a door that does not execute may
    /// leave a question open; everywhere else this is a denial.
    Elsewhere,
    /// Nobody could be asked.
    Nobody {
        /// Why, and what to do instead.
        why: String,
    },
}

/// Asks a person.
pub trait Approver {
    /// Puts one question and waits, bounded, for the answer.
    fn ask(&self, question: &Question<'_>) -> Answer;
}

/// Asks nobody: for doors without a person.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoApprover;

impl Approver for NoApprover {
    fn ask(&self, _question: &Question<'_>) -> Answer {
        Answer::Nobody { why: "there is no terminal on which a person could be asked".to_owned() }
    }
}

/// What a session remembers.
#[derive(Debug, Default)]
pub struct Remembered(Mutex<BTreeSet<Digest>>);

impl Remembered {
    /// Whether this very question was answered for the session.
    pub fn covers(&self, key: &Digest) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    /// Remembers the answer to a question; forgets nothing, and takes no more than a bounded number.
    pub fn insert(&self, key: Digest) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() < REMEMBERED_MAX {
            keys.insert(key);
        }
    }
}

/// What a remembered approval is bound to: the request with its bindings, the door, the obligations and the policies.
pub fn approval_key(request: &Request, door: &Door, ruling: &Ruling, policies: &[Digest]) -> Digest {
    let mut writer = DigestWriter::new("ringfort.approval.v1");
    writer.bytes(request.digest().as_bytes()).bytes(request.session.as_bytes());
    writer.bytes(door.kind.as_str().as_bytes()).bytes(door.standing.as_str().as_bytes());
    for word in ruling.obligations.to_words() {
        writer.bytes(word.as_bytes());
    }
    writer.number(policies.len() as u64);
    for policy in policies {
        writer.bytes(policy.as_bytes());
    }
    writer.finish()
}

/// Whether an approval of this ruling may be remembered: not where it runs files whose content it is not bound to. The
/// content of a program's own words is bound ([`Request::bindings`]), that of the words inside a shell's text is not.
pub fn may_remember(request: &Request, ruling: &Ruling) -> Remember {
    let is_shell = matches!(request.action, Action::Command(Command::Shell(_)));
    let unbound = |kind| match kind {
        EffectKind::Unknown => true,
        EffectKind::ExecuteFile | EffectKind::ExecuteText => is_shell,
        _ => false,
    };
    // A list that was cut may have lost what mattered.
    let never = ruling.effects.len() >= EFFECTS_MAX
        || ruling.effects.iter().any(|effect| unbound(effect.kind) || effect.target.is_none());
    if never { Remember::Never } else { Remember::Session }
}

#[cfg(test)]
mod tests {
    use ringfort_core::decision::{Decision, Risk};
    use ringfort_core::effect::{Effect, Span};
    use ringfort_core::principal::Principal;
    use ringfort_core::request::Provenance;
    use ringfort_core::ruling::Reason;
    use ringfort_core::text::Text;

    use super::*;

    fn remembered(words: &[&str], kind: EffectKind, count: usize) -> Remember {
        let request = Request {
            principal: Principal::try_user("ada").unwrap(),
            action: Action::Command(Command::from_words(words.iter().map(|word| Text::from(*word)).collect())),
            session: "s".to_owned(),
            cwd: "/w".into(),
            workspace: "/w".into(),
            home: None,
            provenance: Provenance::Agent,
            bindings: Vec::new(),
        };
        let mut ruling = Ruling::new(Decision::Ask, Risk::High, Reason::new("test-001", Decision::Ask, "a question"));
        let effect = |at| Effect { kind, target: Some("deploy.sh".to_owned()), span: Span::new(at, at + 1) };
        ruling.effects = (0..count).map(effect).collect();
        may_remember(&request, &ruling)
    }

    #[test]
    fn deny_remembering_what_runs_files_that_are_not_bound() {
        let (text, words) = (&["./deploy.sh --prod"][..], &["./deploy.sh", "--prod"][..]);
        for (command, kind, count, expected) in [
            (words, EffectKind::ExecuteFile, 1, Remember::Session),
            (text, EffectKind::WritePath, 1, Remember::Session),
            (text, EffectKind::ExecuteFile, 1, Remember::Never),
            (text, EffectKind::ExecuteText, 1, Remember::Never),
            (words, EffectKind::Unknown, 1, Remember::Never),
            (words, EffectKind::WritePath, EFFECTS_MAX, Remember::Never),
        ] {
            assert_eq!(remembered(command, kind, count), expected, "{command:?} {kind:?} {count}");
        }
    }
}
