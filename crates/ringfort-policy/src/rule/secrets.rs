// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules on stored secrets: which may be handed to a run, and who may ask for one.
//!
//! In: `secrets.allow` and `secrets.deny`, the id of a secret, who asks. Out: a ruling. Values are never seen here.
//!
//! **Invariant:** a person who names a secret on the command line has granted it; anybody else is at least a question. A
//! pattern is an id, or the beginning of one up to a dot; deny speaks before allow.

use std::fmt;

use ringfort_core::action::SecretUse;
use ringfort_core::decision::{Decision, Risk};
use ringfort_core::effect::{EffectKind, Span};
use ringfort_core::request::{Provenance, Request};
use ringfort_core::ruling::{Ring, Ruling};
use ringfort_core::text::escape_bytes;

use super::draft::Draft;
use super::tools::effect;
use super::{Policy, table};

/// Longest pattern. Bytes; an id is no longer.
const PATTERN_BYTES_MAX: usize = 202;

/// Which secrets a list names: one id, everything below a prefix (`github.*`), or all (`*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretPattern {
    /// The id; with its last dot where `below`; empty for all.
    text: String,
    below: bool,
}

/// Why a text names no secrets. Nothing was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretPatternError(&'static str);

impl SecretPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// [`SecretPatternError`]: the text is no pattern.
    pub fn parse(text: &str) -> Result<Self, SecretPatternError> {
        if text == "*" {
            return Ok(Self { text: String::new(), below: true });
        }
        if text.len() > PATTERN_BYTES_MAX {
            return Err(SecretPatternError("an id has at most 200 bytes"));
        }
        let (words, below) = text.strip_suffix(".*").map_or((text, false), |prefix| (prefix, true));
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        if !words.split('.').all(|word| !word.is_empty() && word.bytes().all(good)) {
            return Err(SecretPatternError(
                "an id is words of letters, digits, `_` and `-`, joined by dots; only a last `.*` stands for more",
            ));
        }
        let text = if below { format!("{words}.") } else { words.to_owned() };
        Ok(Self { text, below })
    }

    /// Whether it names this secret.
    pub fn covers(&self, id: &str) -> bool {
        if self.below { id.starts_with(&self.text) } else { id == self.text }
    }
}

impl fmt::Display for SecretPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, if self.below { "*" } else { "" })
    }
}

/// Who asks for a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// A person, in person.
    Person,
    /// An agent, or nobody knows.
    Agent,
}

impl Asker {
    pub(super) fn of(request: &Request) -> Self {
        let in_person = request.provenance == Provenance::User && !request.principal.is_governed();
        if in_person { Self::Person } else { Self::Agent }
    }
}

impl Policy {
    /// Rules on a stored secret that is to be handed over.
    pub(super) fn secret(&self, secret: &SecretUse, asker: Asker) -> Ruling {
        let mut draft = Draft::new(self, Risk::Medium);
        let span = Span::new(0, 0);
        draft.effects(vec![effect(EffectKind::ReadSecret, Some(&secret.id))]);
        let names = |list: &[SecretPattern]| list.iter().any(|pattern| pattern.covers(&secret.id));
        let shown = || escape_bytes(secret.id.as_bytes());
        if names(&self.denied_secrets) {
            let added = draft.add(&table::RELEASE_DENIED, Decision::Deny, table::RELEASE_DENIED.meaning);
            added.at(span).ring(Ring::Data).widen(|| format!("take `{}` out of `secrets.deny`", shown()));
        }
        if self.allowed_secrets.as_deref().is_some_and(|list| !names(list)) {
            let added = draft.add(&table::RELEASE_UNLISTED, Decision::Deny, table::RELEASE_UNLISTED.meaning);
            added.at(span).ring(Ring::Data).widen(|| format!("put `{}` into `secrets.allow`", shown()));
        }
        match asker {
            _ if self.role == super::Role::Restriction => {}
            Asker::Person => {
                draft.add(&table::RELEASE_GRANTED, Decision::Allow, table::RELEASE_GRANTED.meaning).ring(Ring::Data);
            }
            Asker::Agent => {
                draft.risk(Risk::High);
                // No level answers this by itself: a secret that has left is not called back.
                let answer = self.question.max(Decision::Ask);
                let added = draft.add(&table::RELEASE_AGENT, answer, table::RELEASE_AGENT.meaning);
                added.ring(Ring::Data).instead(|| {
                    "ask the person you work for to start the run with `--secret` on a terminal of their own".to_owned()
                });
            }
        }
        draft.finish()
    }
}

#[cfg(test)]
mod tests {
    use ringfort_core::action::Action;
    use ringfort_core::principal::Principal;

    use super::*;
    use crate::config::Config;
    use crate::restriction::Restriction;

    fn request(id: &str, provenance: Provenance, agent: bool) -> Request {
        let user = Principal::try_user("ada").unwrap();
        Request {
            principal: if agent { user.try_child("claude").unwrap() } else { user },
            action: Action::Secret(SecretUse { id: id.to_owned(), purpose: "variable T of sh".to_owned() }),
            session: "s".to_owned(),
            cwd: "/w".into(),
            workspace: "/w".into(),
            home: Some("/home/ada".into()),
            provenance,
            bindings: Vec::new(),
        }
    }

    fn policy(text: &str) -> Policy {
        Policy::from_config(&toml::from_str::<Config>(text).unwrap())
    }

    #[track_caller]
    fn check(policy: &Policy, request: &Request, expected: Decision, rule: &str) {
        let ruling = policy.decide(request);
        assert_eq!(ruling.decision, expected, "{ruling:?}");
        assert!(ruling.deciding().any(|reason| reason.rule == rule), "{rule}: {ruling:?}");
    }

    #[test]
    fn a_person_grants_by_naming_it() {
        let request = request("github.token", Provenance::User, false);
        check(&policy(""), &request, Decision::Allow, "release-004");
        check(&policy("[secrets]\nallow = [\"github.*\"]"), &request, Decision::Allow, "release-004");
        check(&policy("[secrets]\ndeny = [\"gitlab.*\", \"github.token2\"]"), &request, Decision::Allow, "release-004");
    }

    #[test]
    fn deny_what_lists_close_whoever_asks() {
        let person = request("github.token", Provenance::User, false);
        for (text, rule) in [
            ("[secrets]\ndeny = [\"github.token\"]", "release-001"),
            ("[secrets]\ndeny = [\"github.*\"]", "release-001"),
            ("[secrets]\ndeny = [\"*\"]", "release-001"),
            ("[secrets]\nallow = [\"*\"]\ndeny = [\"github.*\"]", "release-001"),
            ("[secrets]\nallow = []", "release-002"),
            ("[secrets]\nallow = [\"github\", \"github.token.x\", \"git.*\"]", "release-002"),
        ] {
            check(&policy(text), &person, Decision::Deny, rule);
        }
    }

    #[test]
    fn deny_an_agent_that_asks_for_itself() {
        for (level, expected) in [("supervised", Decision::Ask), ("full", Decision::Ask), ("readonly", Decision::Deny)]
        {
            let policy = policy(&format!("[autonomy]\nlevel = \"{level}\"\n[secrets]\nallow = [\"*\"]"));
            for request in [
                request("github.token", Provenance::Agent, false),
                request("github.token", Provenance::Untrusted, false),
                request("github.token", Provenance::User, true),
            ] {
                check(&policy, &request, expected, "release-003");
            }
        }
    }

    #[test]
    fn a_project_only_denies() {
        let restriction: Restriction = toml::from_str("[secrets]\ndeny = [\"prod.*\"]").unwrap();
        let policy = Policy::from_restriction(&restriction);
        check(&policy, &request("prod.key", Provenance::User, false), Decision::Deny, "release-001");
        assert_eq!(policy.decide(&request("dev.key", Provenance::User, false)).decision, Decision::Allow);
        for widening in ["allow = [\"*\"]", "backend = \"env\"", "idle_lock_minutes = 5"] {
            assert!(toml::from_str::<Restriction>(&format!("[secrets]\n{widening}")).is_err(), "{widening}");
        }
    }

    #[test]
    fn patterns_end_at_dots() {
        for bad in ["", ".", "a.", ".a", "a..b", "a*", "*.a", "a.*.b", "a b", "ä", "**", &"x".repeat(300)] {
            assert!(SecretPattern::parse(bad).is_err(), "{bad:?}");
        }
        let pattern = SecretPattern::parse("github.*").unwrap();
        assert_eq!(pattern.to_string(), "github.*");
        assert!(pattern.covers("github.a.b") && !pattern.covers("github") && !pattern.covers("githubx.a"));
    }
}
