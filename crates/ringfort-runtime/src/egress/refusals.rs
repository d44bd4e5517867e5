// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the door refused, gathered for the end of a run.
//!
//! In: one refusal after the other. Out: a few lines for a person, with what would allow it; fewer for an agent.
//!
//! **Invariant:** at most [`LINES_MAX`] lines, whatever was refused; hosts are escaped; an agent is told no remedy.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use ringfort_core::text::escape_bytes;

/// Most lines that are shown.
pub const LINES_MAX: usize = 10;
/// Most destinations that are kept apart.
const DESTINATIONS_MAX: usize = 256;
/// Most destinations that are named.
const NAMED_MAX: usize = 6;
/// Most hosts in the line that would allow them.
const REMEDY_HOSTS_MAX: usize = 8;
/// Longest part of a message that is shown. Bytes.
const MESSAGE_BYTES_MAX: usize = 200;

/// What was refused, by destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    by_destination: BTreeMap<(String, u16), Refused>,
    others: u64,
    total: u64,
}

/// The refusals of one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refused {
    count: u64,
    rule: String,
    message: String,
    remedy: Remedy,
}

/// What would allow a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// To list it under `egress.domains`.
    List,
    /// Nothing that a list could say.
    None,
}

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A person, who may change the policy.
    Person,
    /// An agent, which may not.
    Agent,
}

impl Refusals {
    /// Notes one refusal.
    pub fn note(&mut self, host: &str, port: u16, rule: &str, message: &str, remedy: Remedy) {
        self.total = self.total.saturating_add(1);
        let is_full = self.by_destination.len() >= DESTINATIONS_MAX;
        match self.by_destination.entry((host.to_owned(), port)) {
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.count = known.count.saturating_add(1);
            }
            Entry::Vacant(_) if is_full => self.others = self.others.saturating_add(1),
            Entry::Vacant(place) => {
                let message = crate::pipeline::cut(message.to_owned(), MESSAGE_BYTES_MAX);
                place.insert(Refused { count: 1, rule: rule.to_owned(), message, remedy });
            }
        }
    }

    /// How often something was refused.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Host, port, and how often each was refused.
    pub fn destinations(&self) -> impl Iterator<Item = (&str, u16, u64)> {
        self.by_destination.iter().map(|((host, port), refused)| (host.as_str(), *port, refused.count))
    }

    /// The lines to show at the end of a run; none where nothing was refused.
    pub fn lines(&self, reader: Reader) -> Vec<String> {
        if self.total == 0 {
            return Vec::new();
        }
        let times = |count: u64| if count == 1 { "once".to_owned() } else { format!("{count} times") };
        let mut lines = vec![format!("the door to the network refused {}", attempts(self.total))];
        let mut most: Vec<_> = self.by_destination.iter().collect();
        most.sort_by_key(|(_, refused)| std::cmp::Reverse(refused.count));
        for ((host, port), refused) in most.iter().take(NAMED_MAX) {
            let host = escape_bytes(host.as_bytes());
            let message = escape_bytes(refused.message.as_bytes());
            lines.push(format!("  {host}:{port}, {}: {message} [{}]", times(refused.count), refused.rule));
        }
        let unnamed = self.by_destination.len().saturating_sub(NAMED_MAX);
        if unnamed > 0 || self.others > 0 {
            lines.push(format!("  and {unnamed} more destinations; `ringfort trail show` has them"));
        }
        if reader == Reader::Person {
            lines.extend(self.remedy(&most));
        }
        lines.truncate(LINES_MAX);
        lines
    }

    fn remedy(&self, most: &[(&(String, u16), &Refused)]) -> Option<String> {
        let mut hosts: Vec<String> = Vec::new();
        for ((host, port), refused) in most {
            let name = if matches!(port, 80 | 443) { host.clone() } else { format!("{host}:{port}") };
            if refused.remedy == Remedy::List && hosts.len() < REMEDY_HOSTS_MAX && !hosts.contains(&name) {
                hosts.push(name);
            }
        }
        if hosts.is_empty() {
            return None;
        }
        // Hosts are canonical: they hold nothing that TOML or a terminal reads in another way.
        let list: Vec<String> = hosts.iter().map(|host| format!("\"{}\"", escape_bytes(host.as_bytes()))).collect();
        Some(format!("to allow it, for every agent: [egress] domains = [{}]", list.join(", ")))
    }
}

fn attempts(count: u64) -> String {
    if count == 1 { "one attempt".to_owned() } else { format!("{count} attempts") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_learns_what_where_why_and_the_remedy() {
        let mut refusals = Refusals::default();
        assert!(refusals.lines(Reader::Person).is_empty());
        for _ in 0..3 {
            refusals.note("api.example.com", 443, "egress-005", "it is not listed", Remedy::List);
        }
        refusals.note("git.example", 22, "egress-005", "it is not listed", Remedy::List);
        refusals.note("169.254.169.254", 80, "egress-002", "it is a metadata service", Remedy::None);
        assert_eq!(
            refusals.lines(Reader::Person),
            [
                "the door to the network refused 5 attempts",
                "  api.example.com:443, 3 times: it is not listed [egress-005]",
                "  169.254.169.254:80, once: it is a metadata service [egress-002]",
                "  git.example:22, once: it is not listed [egress-005]",
                "to allow it, for every agent: [egress] domains = [\"api.example.com\", \"git.example:22\"]",
            ]
        );
        let agent = refusals.lines(Reader::Agent);
        assert!(agent.len() == 4 && !agent.iter().any(|line| line.contains("domains")), "{agent:?}");
    }

    #[test]
    fn many_destinations_stay_a_few_lines() {
        let mut refusals = Refusals::default();
        for number in 0..10_000 {
            refusals.note(&format!("h{number}.example"), 443, "egress-005", &"long ".repeat(1000), Remedy::List);
        }
        let lines = refusals.lines(Reader::Person);
        assert!(lines.len() <= LINES_MAX && lines.iter().all(|line| line.len() < 400), "{lines:?}");
        assert_eq!(refusals.total(), 10_000);
        assert!(refusals.destinations().count() <= DESTINATIONS_MAX);
    }
}
