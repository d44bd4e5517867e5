// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules on destinations.
//!
//! **Invariant:** a metadata service is never reached, a private address only where it is named exactly; a denied host
//! is denied whatever else is listed.

use ringfort_core::action::Egress;
use ringfort_core::decision::{Decision, Risk};
use ringfort_core::effect::{Effect, EffectKind, Span};
use ringfort_core::limits::URL_BYTES_MAX;
use ringfort_core::ruling::{Ring, Ruling};

use super::draft::Draft;
use super::{Policy, Role, table};
use crate::domain::Cover;
use crate::egress::{Destination, Reach, parse, reach};

/// Longest method.
const METHOD_BYTES_MAX: usize = 32;

impl Policy {
    /// Rules on one request to the network.
    pub(super) fn egress(&self, egress: &Egress) -> Ruling {
        let mut draft = Draft::new(self, Risk::Medium);
        let span = Span::new(0, egress.url.len().min(URL_BYTES_MAX));
        self.add_method(&mut draft, egress.method.as_deref(), span);
        self.add_url(&mut draft, &egress.url, span);
        draft.finish()
    }

    /// Adds what is to be said of the method of a request.
    pub(super) fn add_method(&self, draft: &mut Draft<'_>, method: Option<&str>, span: Span) {
        let odd = |m: &str| m.is_empty() || m.len() > METHOD_BYTES_MAX || !m.bytes().all(|b| b.is_ascii_alphabetic());
        if method.is_some_and(odd) {
            draft.risk(Risk::High);
            draft.add(&table::EGRESS_UNREADABLE, Decision::Deny, "the method is none").ring(Ring::Network);
        }
        let reads = method.is_none_or(|m| m.eq_ignore_ascii_case("GET") || m.eq_ignore_ascii_case("HEAD"));
        if self.is_readonly() && !reads {
            self.add_readonly(draft, span);
        }
    }

    /// Adds what is to be said of one URL.
    pub(super) fn add_url(&self, draft: &mut Draft<'_>, url: &str, span: Span) {
        match parse(url) {
            Err(fault) => {
                draft.risk(Risk::High);
                let message = format!("the destination cannot be read without doubt: {fault}");
                draft.add(&table::EGRESS_UNREADABLE, Decision::Deny, message).ring(Ring::Network).at(span);
            }
            Ok(to) => {
                let target = Some(to.host.to_string());
                draft.effects(vec![Effect { kind: EffectKind::OpenNetwork, target, span }]);
                if !self.add_closed_host(draft, &to, span) {
                    self.add_open_host(draft, &to, span);
                }
            }
        }
    }

    /// Denies a host that nothing opens, or that a list denies. Whether it did.
    pub(super) fn add_closed_host(&self, draft: &mut Draft<'_>, to: &Destination, span: Span) -> bool {
        if reach(&to.host) == Reach::Metadata {
            draft.risk(Risk::Critical);
            let meaning = table::EGRESS_METADATA.meaning;
            draft.add(&table::EGRESS_METADATA, Decision::Deny, meaning).ring(Ring::Network).at(span);
            return true;
        }
        if let Some(pattern) = self.denied_hosts.iter().find(|pattern| pattern.covers(&to.host, to.port).is_some()) {
            draft.risk(Risk::High);
            let message = format!("`egress.denied_domains` names `{pattern}`");
            draft.add(&table::EGRESS_DENIED, Decision::Deny, message).ring(Ring::Network).at(span).widen(|| {
                format!("remove `{pattern}` from `egress.denied_domains`: every agent may then be allowed to reach it")
            });
            return true;
        }
        false
    }

    /// How closely `egress.domains` names a host.
    fn listed(&self, to: &Destination) -> Option<Cover> {
        let covers = self.hosts.iter().filter_map(|pattern| pattern.covers(&to.host, to.port));
        covers.min_by_key(|cover| *cover != Cover::Exact)
    }

    fn add_open_host(&self, draft: &mut Draft<'_>, to: &Destination, span: Span) {
        if self.role == Role::Restriction {
            return;
        }
        let list = || format!("`egress.domains = [\"{}\"]`: every agent may then send data there", to.host);
        let (rule, decision) = match (reach(&to.host), self.listed(to)) {
            (Reach::Private, Some(Cover::Exact)) => (&table::EGRESS_LISTED, Decision::Allow),
            (Reach::Private | Reach::Metadata, _) => {
                draft.risk(Risk::High);
                (&table::EGRESS_PRIVATE, Decision::Deny)
            }
            (_, Some(_)) => (&table::EGRESS_LISTED, Decision::Allow),
            (Reach::Punycode, None) => (&table::EGRESS_PUNYCODE, self.unresolved),
            (Reach::Address, None) => (&table::EGRESS_ADDRESS, self.unresolved),
            (Reach::Public, None) => (&table::EGRESS_UNLISTED, self.unresolved),
        };
        let added = draft.add(rule, decision, rule.meaning).ring(Ring::Network).at(span);
        if decision != Decision::Allow {
            added.widen(list);
        }
    }
}
