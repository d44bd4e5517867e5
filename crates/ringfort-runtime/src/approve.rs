// SPDX-License-Identifier: MIT OR Apache-2.0
//! Approvals: an `Ask` goes to a person, bound to the digest of the request.
//!
//! In: a question about one resolved ruling. Out: once, for this session, or no; where nobody can answer, the question
//! is kept in the store, and what a person answers there later is looked up by the keys of the question.
//!
//! **Invariant:** silence, an error, an unknown answer and the absence of a person are all a denial. A remembered
//! approval answers the same question only (request, files that it runs, door, obligations, policies; for a shape all
//! but the words that may vary) and never a denial; requests with unknown effects are never remembered.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use ringfort_core::action::{Action, Command};
use ringfort_core::clock::Timestamp;
use ringfort_core::decision::Decision;
use ringfort_core::digest::{Digest, DigestWriter};
use ringfort_core::door::{Door, DoorKind, Standing};
use ringfort_core::effect::EffectKind;
use ringfort_core::limits::EFFECTS_MAX;
use ringfort_core::obligation::ApprovalChannel;
use ringfort_core::request::Request;
use ringfort_core::ruling::{Reason, Remedy, Ruling};
use ringfort_core::store::{self, ApprovalKeys, StoreError};
use ringfort_core::text::escape_bytes;
use ringfort_policy::command::shape::{Shape, shape_of};

use crate::pipeline::{cut, shown};
use crate::session::content;

/// Most approvals that a session remembers; the next one is not remembered.
const REMEMBERED_MAX: usize = 1024;
/// Most files that a kept question is bound to by their content; one that runs more is not kept.
const RUN_FILES_MAX: usize = 128;
/// Most of an action that a kept question shows. Bytes.
const KEPT_ACTION_BYTES_MAX: usize = 4 << 10;
/// Most of one reason that a kept question shows. Bytes.
const KEPT_REASON_BYTES_MAX: usize = 512;
/// Most reasons that a kept question shows.
const KEPT_REASONS_MAX: usize = 8;
/// Hex digits by which a message names a question.
const DIGEST_SHOWN: usize = 12;
/// Files of the working folder in which build tools and task runners find what they run.
const PROJECT_FILES: [&str; 16] = [
    "package.json",
    "Makefile",
    "makefile",
    "GNUmakefile",
    "justfile",
    "Justfile",
    "Taskfile.yml",
    "Rakefile",
    "Cargo.toml",
    "build.rs",
    "pyproject.toml",
    "setup.py",
    "conftest.py",
    "CMakeLists.txt",
    "build.gradle",
    "pom.xml",
];
/// The name of a binding that holds the content of a file named on the command line.
const FILE_BINDING: &str = "file";

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

/// One question as approvals know it.
pub(crate) struct Asked {
    /// What stored approvals are bound to; `None` where it runs more files than are looked at.
    pub(crate) keys: Option<ApprovalKeys>,
    /// What the session's own memory is bound to.
    pub(crate) memory: Digest,
    /// Whether it may be remembered for the session.
    pub(crate) remember: Remember,
    shape: Option<Shape>,
}

impl Asked {
    /// Reads what an approval of this request depends on: the files that it runs among it.
    pub(crate) fn new(request: &Request, door: &Door, ruling: &Ruling, policies: &[Digest]) -> Self {
        let shape = shape(request, ruling);
        // What has a shape is wholly known, and runs no file.
        let remember = if shape.is_some() { Remember::Session } else { may_remember(request, ruling) };
        let place = |domain: &str| {
            let mut writer = DigestWriter::new(domain);
            write_place(&mut writer, door, ruling, policies);
            writer
        };
        let keys = run_files(request, ruling).map(|files| {
            let exact = |domain: &str| {
                let mut writer = place(domain);
                writer.bytes(request.digest().as_bytes()).number(files.len() as u64);
                for (path, content) in &files {
                    writer.bytes(path.as_os_str().as_encoded_bytes()).bytes(content.as_bytes());
                }
                writer
            };
            // A run is a session of its own: the next one is another.
            let lasts = remember == Remember::Session && door.kind != DoorKind::Run;
            ApprovalKeys {
                exact: exact("ringfort.approval.exact.v1").finish(),
                session: lasts.then(|| {
                    let mut writer = exact("ringfort.approval.session.v1");
                    writer.bytes(request.session.as_bytes());
                    writer.finish()
                }),
                shape: shape.as_ref().map(|shape| shape_key(place("ringfort.approval.shape.v1"), request, shape)),
            }
        });
        Self { keys, memory: approval_key(request, door, ruling, policies), remember, shape }
    }

    /// The question as the store keeps it.
    pub(crate) fn kept(&self, request: &Request, door: &Door, ruling: &Ruling) -> Option<store::Question> {
        let reasons = ruling.deciding().take(KEPT_REASONS_MAX);
        let reason = |reason: &Reason| {
            let message = escape_bytes(reason.message.as_bytes());
            format!("{} [{}]", cut(message, KEPT_REASON_BYTES_MAX), reason.rule)
        };
        Some(store::Question {
            keys: self.keys?,
            principal: request.principal.clone(),
            session: request.session.clone(),
            door: door.kind,
            standing: door.standing,
            action: cut(shown(&request.action), KEPT_ACTION_BYTES_MAX),
            cwd: escape_bytes(request.cwd.as_os_str().as_encoded_bytes()),
            risk: ruling.risk,
            reasons: reasons.map(reason).collect(),
            shape: self.shape.as_ref().map(|shape| cut(redacted(&shape.to_display()), KEPT_ACTION_BYTES_MAX)),
        })
    }
}

/// Who can answer a question outside the session that asks: a terminal outside the cage is out of reach of what is
/// caged, and not of what is only advised. Two people answer together, never one later.
pub(crate) fn later(standing: Standing) -> ApprovalChannel {
    match standing {
        Standing::Advised => ApprovalChannel::Person,
        Standing::Caged | Standing::Guarded => ApprovalChannel::Trusted,
    }
}

/// The denial of a question that nobody has answered.
pub(crate) fn unanswered(why: &str, waits: Option<(&Digest, Timestamp, Timestamp)>) -> Reason {
    let remedy = match waits {
        None => "ask the person you work for to run it, or to allow it in the policy; see the other reasons".to_owned(),
        Some((digest, now, until)) => {
            let digest: String = digest.to_string().chars().take(DIGEST_SHOWN).collect();
            let minutes = until.since(now).as_secs().div_ceil(60);
            format!(
                "ask the person you work for to run `ringfort approvals allow {digest}` within {minutes} minutes, then do \
                 exactly this again"
            )
        }
    };
    let message = format!("it needs a person's approval, and {why}");
    Reason::new("approve-001", Decision::Deny, message).remedy(Remedy::Anyone(remedy))
}

/// The denial of a question where nobody can tell what a person has answered.
pub(crate) fn unreadable(error: &StoreError) -> Reason {
    let message = format!("it needs a person's approval, and the approvals that were given cannot be used: {error}");
    let remedy =
        "`ringfort approvals list` says what is wrong; a store that is moved away is made anew, without its approvals";
    Reason::new("approve-002", Decision::Deny, message).remedy(Remedy::Person(remedy.to_owned()))
}

fn redacted(text: &str) -> String {
    String::from_utf8_lossy(ringfort_detect::redact(text.as_bytes()).as_bytes()).into_owned()
}

fn shape(request: &Request, ruling: &Ruling) -> Option<Shape> {
    let Action::Command(command) = &request.action else { return None };
    // A provider may know of an effect that the analysis does not.
    let unknown = |kind| matches!(kind, EffectKind::Unknown | EffectKind::ExecuteFile | EffectKind::ExecuteText);
    if ruling.effects.len() >= EFFECTS_MAX || ruling.effects.iter().any(|effect| unknown(effect.kind)) {
        return None;
    }
    shape_of(command, &request.cwd, &request.workspace, request.home.as_deref())
}

/// Door, obligations and policies: what every approval is bound to.
fn write_place(writer: &mut DigestWriter, door: &Door, ruling: &Ruling, policies: &[Digest]) {
    writer.bytes(door.kind.as_str().as_bytes()).bytes(door.standing.as_str().as_bytes());
    let words = ruling.obligations.to_words();
    writer.number(words.len() as u64);
    words.iter().for_each(|word| {
        writer.bytes(word.as_bytes());
    });
    writer.number(policies.len() as u64);
    policies.iter().for_each(|policy| {
        writer.bytes(policy.as_bytes());
    });
}

/// What a shape is bound to besides: who, where, from what, and every fact but the content of the files that may vary.
fn shape_key(mut writer: DigestWriter, request: &Request, shape: &Shape) -> Digest {
    writer.number(request.principal.chain().len() as u64);
    for link in request.principal.chain() {
        writer.bytes(link.as_bytes());
    }
    writer.bytes(shape.digest().as_bytes());
    for folder in [Some(&request.cwd), Some(&request.workspace), request.home.as_ref()] {
        writer.bytes(folder.map_or(&[][..], |folder| folder.as_os_str().as_encoded_bytes()));
    }
    writer.number(request.provenance as u64);
    for (name, digest) in request.bindings.iter().filter(|(name, _)| name != FILE_BINDING) {
        writer.bytes(name.as_bytes()).bytes(digest.as_bytes());
    }
    writer.finish()
}

/// The files that a request runs, with their content; `None` where there are too many. What it reads may be what it
/// runs (`sh < x`, `cat x | sh`), and programs that run a project's own code find it in files that no word names.
fn run_files(request: &Request, ruling: &Ruling) -> Option<Vec<(PathBuf, Digest)>> {
    let runs = |kind| matches!(kind, EffectKind::ExecuteFile | EffectKind::ExecuteText | EffectKind::Unknown);
    if !ruling.effects.iter().any(|effect| runs(effect.kind)) {
        return Some(Vec::new());
    }
    let targets: BTreeSet<&str> = ruling
        .effects
        .iter()
        .filter(|effect| runs(effect.kind) || matches!(effect.kind, EffectKind::ReadPath | EffectKind::ReadSecret))
        .filter_map(|effect| effect.target.as_deref())
        .chain(PROJECT_FILES)
        .collect();
    if targets.len() > RUN_FILES_MAX {
        return None;
    }
    let file = |target: &str| {
        let home = request.home.as_ref().zip(target.strip_prefix("~/"));
        let path = home.map_or_else(|| request.cwd.join(target), |(home, rest)| home.join(rest));
        let content = content(&path);
        (path, content)
    };
    Some(targets.into_iter().map(file).collect())
}

#[cfg(test)]
mod tests;
