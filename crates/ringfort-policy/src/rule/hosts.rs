// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules on destinations.
//!
//! **Invariant:** a metadata service is never reached, a private address only where it is named exactly; a denied host
//! is denied whatever else is listed. Where a rule names the host, the lists do not speak for it.

use std::collections::BTreeSet;

use ringfort_core::action::Egress;
use ringfort_core::decision::{Decision, Risk};
use ringfort_core::digest::DigestWriter;
use ringfort_core::effect::{Effect, EffectKind, Span};
use ringfort_core::limits::URL_BYTES_MAX;
use ringfort_core::ruling::{Ring, Ruling};

use super::draft::Draft;
use super::table::Rule;
use super::{Policy, Role, table};
use crate::domain::{Cover, HostPattern};
use crate::egress::rule::{Bounds, EgressRule, Misfit, Seen, path_of};
use crate::egress::{Destination, Host, Reach, parse, reach};

/// Longest method.
const METHOD_BYTES_MAX: usize = 32;

impl Policy {
    /// Rules on one request to the network.
    pub(super) fn egress(&self, egress: &Egress) -> Ruling {
        let mut draft = Draft::new(self, Risk::Medium);
        let span = Span::new(0, egress.url.len().min(URL_BYTES_MAX));
        self.add_method(&mut draft, egress.method.as_deref(), span);
        self.add_destination(&mut draft, egress, span);
        draft.finish()
    }

    /// Lets hosts be reached that the settings of a client name, whose preset the configuration has chosen. They are
    /// part of what the policy is: its digest changes with them.
    #[must_use]
    pub fn with_client_hosts(mut self, hosts: &[HostPattern]) -> Self {
        if hosts.is_empty() || self.role == Role::Restriction {
            return self;
        }
        self.client_hosts = hosts.to_vec();
        let mut writer = DigestWriter::new("ringfort.policy.clients.v1");
        writer.bytes(self.digest.as_bytes());
        hosts.iter().for_each(|host| {
            writer.bytes(host.to_string().as_bytes());
        });
        self.digest = writer.finish();
        self
    }

    /// Whether a host is named exactly, so that its name may lead to a private address.
    pub fn names(&self, to: &Destination, program: Option<&str>) -> bool {
        let mut rules = self.rules_on(to, program).peekable();
        if rules.peek().is_some() {
            return rules.any(|rule| rule.cover(&to.host) == Some(Cover::Exact));
        }
        self.listed(to).is_some_and(|(cover, _)| cover == Cover::Exact)
    }

    /// Whether a host is named exactly, on whatever port.
    pub fn names_host(&self, host: &Host, program: Option<&str>) -> bool {
        let lists = self.hosts.iter().chain(&self.client_hosts);
        let rules = self.host_rules.iter().filter(|rule| rule.speaks_of(host, program));
        lists
            .map(|pattern| pattern.covers_host(host))
            .chain(rules.map(|rule| rule.cover(host)))
            .any(|cover| cover == Some(Cover::Exact))
    }

    /// Whether a list denies a host on every port.
    pub fn closes(&self, host: &Host) -> bool {
        self.denied_hosts.iter().any(|pattern| pattern.port().is_none() && pattern.covers_host(host).is_some())
    }

    /// The ports that lists and rules name.
    pub fn named_ports(&self) -> BTreeSet<u16> {
        let lists = self.hosts.iter().chain(&self.client_hosts).filter_map(HostPattern::port);
        lists.chain(self.host_rules.iter().flat_map(EgressRule::ports)).collect()
    }

    /// Bounds on what may be used of a destination.
    pub fn bounds(&self, to: &Destination, program: Option<&str>) -> Bounds {
        self.rules_on(to, program).fold(Bounds::default(), |bounds, rule| bounds.merge(rule.bounds()))
    }

    /// Whether an answer to this destination depends on the method and path of each request.
    pub fn looks_inside(&self, to: &Destination, program: Option<&str>) -> bool {
        self.is_readonly() || self.rules_on(to, program).any(EgressRule::looks_inside)
    }

    /// Whether any host may be reached unasked.
    pub fn lists_hosts(&self) -> bool {
        !(self.hosts.is_empty() && self.client_hosts.is_empty() && self.host_rules.is_empty())
    }

    /// The answer to a host that nothing names.
    pub fn unlisted(&self) -> Decision {
        self.unresolved
    }

    fn rules_on<'p>(&'p self, to: &'p Destination, program: Option<&'p str>) -> impl Iterator<Item = &'p EgressRule> {
        self.host_rules.iter().filter(move |rule| rule.speaks_of(&to.host, program))
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
        self.add_destination(draft, &Egress { url: url.to_owned(), method: None, program: None }, span);
    }

    fn add_destination(&self, draft: &mut Draft<'_>, egress: &Egress, span: Span) {
        match parse(&egress.url) {
            Err(fault) => {
                draft.risk(Risk::High);
                let message = format!("the destination cannot be read without doubt: {fault}");
                draft.add(&table::EGRESS_UNREADABLE, Decision::Deny, message).ring(Ring::Network).at(span);
            }
            Ok(to) => {
                let target = Some(to.host.to_string());
                draft.effects(vec![Effect { kind: EffectKind::OpenNetwork, target, span }]);
                let seen = Seen {
                    to: &to,
                    method: egress.method.as_deref(),
                    path: path_of(&egress.url),
                    program: egress.program.as_deref(),
                };
                if !self.add_closed_host(draft, &to, span) && !self.add_rules(draft, &seen, span) {
                    self.add_open_host(draft, &to, span);
                }
            }
        }
    }

    /// Answers by the rules that name the host. Whether there are any.
    fn add_rules(&self, draft: &mut Draft<'_>, seen: &Seen<'_>, span: Span) -> bool {
        let mut misfit: Option<Misfit> = None;
        for rule in self.rules_on(seen.to, seen.program) {
            match rule.fits(seen) {
                // What a project restricts is allowed by somebody else.
                Ok(()) if self.role == Role::Restriction => return true,
                Ok(()) if reach(&seen.to.host) == Reach::Private && rule.cover(&seen.to.host) != Some(Cover::Exact) => {
                    draft.risk(Risk::High);
                    let meaning = table::EGRESS_PRIVATE.meaning;
                    draft.add(&table::EGRESS_PRIVATE, Decision::Deny, meaning).ring(Ring::Network).at(span);
                    return true;
                }
                Ok(()) => {
                    let meaning = table::EGRESS_RULED.meaning;
                    draft.add(&table::EGRESS_RULED, Decision::Allow, meaning).ring(Ring::Network).at(span);
                    return true;
                }
                Err(why) => misfit = Some(misfit.map_or(why, |known| nearer(known, why))),
            }
        }
        let Some(misfit) = misfit else { return false };
        draft.risk(Risk::High);
        let message = format!("`[[egress.rules]]` names the host, and {}", misfit.as_str());
        draft.add(&table::EGRESS_MISFIT, Decision::Deny, message).ring(Ring::Network).at(span).widen(|| {
            format!("add a rule for `{}` under `[[egress.rules]]`: every agent may then do this there", seen.to.host)
        });
        true
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

    /// How closely a list names a host, and which it is.
    fn listed(&self, to: &Destination) -> Option<(Cover, &'static Rule)> {
        let by = |list: &[HostPattern], rule: &'static Rule| {
            let covers = list.iter().filter_map(|pattern| pattern.covers(&to.host, to.port));
            covers.min_by_key(|cover| *cover != Cover::Exact).map(|cover| (cover, rule))
        };
        let lists = [by(&self.hosts, &table::EGRESS_LISTED), by(&self.client_hosts, &table::EGRESS_PRESET)];
        lists.into_iter().flatten().min_by_key(|(cover, _)| *cover != Cover::Exact)
    }

    fn add_open_host(&self, draft: &mut Draft<'_>, to: &Destination, span: Span) {
        if self.role == Role::Restriction {
            return;
        }
        let list = || format!("`egress.domains = [\"{}\"]`: every agent may then send data there", to.host);
        let (rule, decision) = match (reach(&to.host), self.listed(to)) {
            (Reach::Private, Some((Cover::Exact, list))) => (list, Decision::Allow),
            (Reach::Private | Reach::Metadata, _) => {
                draft.risk(Risk::High);
                (&table::EGRESS_PRIVATE, Decision::Deny)
            }
            (_, Some((_, list))) => (list, Decision::Allow),
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

/// Of two misfits the one that says more: a port is ruled out before anything else is looked at.
fn nearer(known: Misfit, new: Misfit) -> Misfit {
    if known == Misfit::Port { new } else { known }
}

#[cfg(test)]
mod tests;
