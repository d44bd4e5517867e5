// SPDX-License-Identifier: MIT OR Apache-2.0
//! A request: a principal, an action and its context.
//!
//! In: what a door received, completed by the runtime. Out: one value with a canonical digest.
//!
//! **Invariant:** [`Request::digest`] binds principal, action, folder, workspace and every binding (environment,
//! executable, policy, …). An approval or permit for one digest is worth nothing for another.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::digest::{Digest, DigestWriter};
use crate::principal::Principal;

/// Where the data that led to a request came from, ordered by how little it is to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provenance {
    /// A person typed it.
    User,
    /// An agent chose it.
    Agent,
    /// Something from outside is in it.
    Untrusted,
}

/// One attempt by one principal.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Who attempts it.
    pub principal: Principal,
    /// What is attempted.
    pub action: Action,
    /// The session it belongs to; named by the supervisor, never by the governed process.
    pub session: String,
    /// The folder in which it would happen.
    pub cwd: PathBuf,
    /// The workspace of the session.
    pub workspace: PathBuf,
    /// The caller's home folder, for `~`.
    pub home: Option<PathBuf>,
    /// Where the data behind it came from.
    pub provenance: Provenance,
    /// Further facts that an approval depends on, by name: environment, executable, script, policy.
    pub bindings: Vec<(String, Digest)>,
}

impl Request {
    /// The same principal, place and context, for another action.
    #[must_use]
    pub fn with(&self, action: Action) -> Self {
        Self { action, ..self.clone() }
    }

    /// The canonical digest, SHA-256 over every field that an approval depends on.
    ///
    /// The session is left out: an approval "for this session" is remembered beside it, and the same action keeps
    /// its digest across sessions, which the loop guard and the trail need.
    pub fn digest(&self) -> Digest {
        let mut writer = DigestWriter::new("ringfort.request.v1");
        writer.number(self.principal.chain().len() as u64);
        for link in self.principal.chain() {
            writer.bytes(link.as_bytes());
        }
        self.action.write_digest(&mut writer);
        writer.bytes(self.cwd.as_os_str().as_encoded_bytes());
        writer.bytes(self.workspace.as_os_str().as_encoded_bytes());
        writer.bytes(self.home.as_ref().map_or(&[][..], |home| home.as_os_str().as_encoded_bytes()));
        writer.number(self.provenance as u64);
        writer.number(self.bindings.len() as u64);
        for (name, digest) in &self.bindings {
            writer.bytes(name.as_bytes()).bytes(digest.as_bytes());
        }
        writer.finish()
    }

    /// The digest of principal and action alone: what the loop guard counts.
    pub fn repeat_digest(&self) -> Digest {
        let mut writer = DigestWriter::new("ringfort.repeat.v1");
        for link in self.principal.chain() {
            writer.bytes(link.as_bytes());
        }
        self.action.write_repeat_digest(&mut writer);
        writer.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Command;
    use crate::text::Text;

    fn request() -> Request {
        Request {
            principal: Principal::try_user("ada").unwrap(),
            action: Action::Command(Command::Argv(vec![Text::from("ls"), Text::from("-la")])),
            session: "s1".to_owned(),
            cwd: PathBuf::from("/w"),
            workspace: PathBuf::from("/w"),
            home: Some(PathBuf::from("/home/ada")),
            provenance: Provenance::User,
            bindings: vec![("policy".to_owned(), Digest::of(b"p"))],
        }
    }

    #[test]
    fn every_bound_field_changes_the_digest() {
        let base = request().digest();
        type Change = fn(&mut Request);
        let changes: [(&str, Change); 9] = [
            ("principal", |r| r.principal = r.principal.try_child("agent").unwrap()),
            ("words", |r| r.action = Action::Command(Command::Argv(vec![Text::from("ls -la")]))),
            ("form", |r| r.action = Action::Command(Command::Shell(Text::from("ls -la")))),
            ("cwd", |r| r.cwd = PathBuf::from("/w/x")),
            ("workspace", |r| r.workspace = PathBuf::from("/")),
            ("home", |r| r.home = None),
            ("provenance", |r| r.provenance = Provenance::Untrusted),
            ("binding", |r| r.bindings = vec![("policy".to_owned(), Digest::of(b"q"))]),
            ("no binding", |r| r.bindings.clear()),
        ];
        for (what, change) in changes {
            let mut changed = request();
            change(&mut changed);
            assert_ne!(changed.digest(), base, "{what}");
        }
        let mut other_session = request();
        other_session.session = "s2".to_owned();
        assert_eq!(other_session.digest(), base);
    }
}
