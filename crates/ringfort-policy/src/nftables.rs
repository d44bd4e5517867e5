// SPDX-License-Identifier: MIT OR Apache-2.0
//! The part of the egress rules that a packet filter can keep: a ruleset for `nft -f`.
//!
//! In: the section `[egress]`, and whose packets are judged. Out: text that makes one table, in the place of the one
//! that an earlier run made.
//!
//! **Invariant:** whatever no rule of the table allows is refused. The metadata services are refused first, then what
//! is denied; what is private is refused unless it is listed as exactly this address, as [`crate::rule`] rules.
//! A packet shows no name, method, path or program: what depends on one lets nothing through, and the text says so.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::net::IpAddr;

use crate::config::{EgressConfig, EgressRuleConfig};
use crate::domain::{HostPattern, PatternError};

/// Whose packets are judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Everything that leaves this network namespace (or this machine).
    Everyone,
    /// What sockets of this user send.
    User(User),
}

/// A user, by number or by name; the name is looked up by `nft` when the ruleset is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User(String);

/// Why a text names no user. Nothing was made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a user is a number, or a name of at most {USER_BYTES_MAX} letters, digits, `_` and `-`, all in lower case")]
pub struct UserError;

/// Most bytes of a user's name.
const USER_BYTES_MAX: usize = 32;

impl User {
    /// Reads a user's number or name.
    ///
    /// # Errors
    ///
    /// [`UserError`]: it is neither.
    pub fn parse(text: &str) -> Result<Self, UserError> {
        let starts = |b: u8| b.is_ascii_lowercase() || b == b'_';
        let goes_on = |b: u8| starts(b) || b.is_ascii_digit() || b == b'-';
        let is_name =
            text.len() <= USER_BYTES_MAX && text.bytes().next().is_some_and(starts) && text.bytes().all(goes_on);
        let is_number = text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u32>().is_ok_and(|id| id != u32::MAX);
        if is_number {
            return Ok(Self(text.trim_start_matches('0').to_owned()).or_zero());
        }
        if is_name { Ok(Self(text.to_owned())) } else { Err(UserError) }
    }

    fn or_zero(self) -> Self {
        if self.0.is_empty() { Self("0".to_owned()) } else { self }
    }

    /// As `nft` reads it: names in quotes.
    fn quoted(&self) -> String {
        if self.0.bytes().all(|b| b.is_ascii_digit()) { self.0.clone() } else { format!("\"{}\"", self.0) }
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Metadata services of clouds, as [`crate::egress::Reach::Metadata`].
const METADATA_V4: &[&str] = &["100.100.100.200", "168.63.129.16", "169.254.169.254", "169.254.170.2", "192.0.0.192"];
const METADATA_V6: &[&str] = &["fd00:ec2::254"];
/// Addresses that no public host has, as [`crate::egress::Reach::Private`], and those that carry an IPv4 address.
const PRIVATE_V4: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
];
const PRIVATE_V6: &[&str] = &["::/3", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "4000::/2", "8000::/1"];

/// What stands above every ruleset.
const HEAD: &str = "\
# Judged are packets, not programs: a program that changes its user (sudo, ping) leaves as that user, root can
# take the table away, and a name server that listens on loopback asks the world for whoever asks it.
# Connections are TCP only. What the loopback interface carries to 127.0.0.0/8 and ::1 passes.
";

/// The ruleset as text for `nft -f`; loading it again replaces what was loaded before.
///
/// # Errors
///
/// A host of the section is none; there is no ruleset.
pub fn ruleset(subject: &Subject, egress: &EgressConfig, digest: &str) -> Result<String, PatternError> {
    let (table, option) = match subject {
        Subject::Everyone => ("ringfort".to_owned(), String::new()),
        // A dash is no part of a table's name, and a dot no part of a user's.
        Subject::User(user) => (format!("ringfort_user_{}", user.0.replace('-', ".")), format!(" --user {user}")),
    };
    let kept = Kept::of(egress)?;
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _infallible: fmt::Result = write_ruleset(&mut text, subject, &kept, &Title { table, option, digest });
    Ok(text)
}

/// An address, and the one port that is meant.
type Place = (IpAddr, Option<u16>);

/// What of the section packets show, and what they do not.
#[derive(Default)]
struct Kept {
    allowed: BTreeSet<Place>,
    denied: BTreeSet<Place>,
    /// What is allowed and depends on more than address and port.
    unshown: Vec<String>,
    /// What is denied by name.
    denied_names: Vec<String>,
}

impl Kept {
    fn of(egress: &EgressConfig) -> Result<Self, PatternError> {
        let mut kept = Self::default();
        let mut ruled = BTreeSet::new();
        for rule in &egress.rules {
            let place = HostPattern::parse(&rule.host)?.address();
            ruled.extend(place.map(|(address, _)| address));
            kept.rule(rule, place);
        }
        for text in &egress.domains {
            let pattern = HostPattern::parse(text)?;
            match pattern.address() {
                // Where a rule names a host, `domains` does not speak for it.
                Some((address, _)) if ruled.contains(&address) => {}
                Some(place) => kept.allowed.extend([place]),
                None => kept.unshown.push(pattern.to_string()),
            }
        }
        kept.unshown.extend(egress.presets.iter().map(|preset| format!("the hosts of {}", preset.as_str())));
        for text in &egress.denied_domains {
            let pattern = HostPattern::parse(text)?;
            match pattern.address() {
                Some(place) => kept.denied.extend([place]),
                None => kept.denied_names.push(pattern.to_string()),
            }
        }
        Ok(kept)
    }

    fn rule(&mut self, rule: &EgressRuleConfig, place: Option<Place>) {
        let plain = EgressRuleConfig { host: rule.host.clone(), ports: rule.ports.clone(), ..Default::default() };
        match (place, &rule.ports) {
            (Some((address, _)), Some(ports)) if *rule == plain => {
                self.allowed.extend(ports.iter().map(|port| (address, Some(*port))));
            }
            (Some(place), None) if *rule == plain => self.allowed.extend([place]),
            _ => self.unshown.push(format!("{} (a rule of `[[egress.rules]]`)", rule.host)),
        }
    }
}

struct Title<'a> {
    table: String,
    option: String,
    digest: &'a str,
}

fn write_ruleset(out: &mut String, subject: &Subject, kept: &Kept, title: &Title<'_>) -> fmt::Result {
    let Title { table, option, digest } = title;
    writeln!(out, "#!/usr/sbin/nft -f")?;
    writeln!(out, "# Made by `ringfort policy nftables{option}` from the policy {digest}.")?;
    writeln!(out, "# Load it with `nft -f FILE`; take it away with `nft delete table inet {table}`.\n#")?;
    out.write_str(HEAD)?;
    write_unshown(out, kept)?;
    writeln!(out, "\ntable inet {table}\ndelete table inet {table}\ntable inet {table} {{")?;
    for (name, kind, elements) in [
        ("metadata_v4", "ipv4_addr", METADATA_V4),
        ("metadata_v6", "ipv6_addr", METADATA_V6),
        ("private_v4", "ipv4_addr", PRIVATE_V4),
        ("private_v6", "ipv6_addr", PRIVATE_V6),
    ] {
        writeln!(out, "    set {name} {{ type {kind}; flags interval; elements = {{ {} }}; }}", elements.join(", "))?;
    }
    writeln!(out, "    chain output {{")?;
    // Without `policy drop` for one user: the table says nothing about the others.
    let (policy, matched) = match subject {
        Subject::Everyone => ("drop", String::new()),
        Subject::User(user) => ("accept", format!("meta skuid {} ", user.quoted())),
    };
    writeln!(out, "        type filter hook output priority filter; policy {policy};")?;
    writeln!(out, "        {matched}goto leaving\n    }}\n    chain leaving {{")?;
    write_rules(out, kept)?;
    writeln!(out, "    }}\n}}")
}

/// The rules in the order in which they count.
fn write_rules(out: &mut String, kept: &Kept) -> fmt::Result {
    const REFUSE: &str = "counter reject with icmpx admin-prohibited";
    let mut rule = |text: &str| writeln!(out, "        {text}");
    rule(&format!("ip daddr @metadata_v4 {REFUSE}"))?;
    rule(&format!("ip6 daddr @metadata_v6 {REFUSE}"))?;
    for (address, port) in &kept.denied {
        let port = port.map_or(String::new(), |port| format!(" meta l4proto {{ tcp, udp }} th dport {port}"));
        rule(&format!("{}{port} {REFUSE}", destination(*address)))?;
    }
    rule("ct direction reply ct state established,related accept")?;
    rule("oifname \"lo\" ip daddr 127.0.0.0/8 accept")?;
    rule("oifname \"lo\" ip6 daddr ::1 accept")?;
    rule("icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept")?;
    for (address, port) in &kept.allowed {
        let port = port.map_or("meta l4proto tcp".to_owned(), |port| format!("tcp dport {port}"));
        rule(&format!("{} {port} counter accept", destination(*address)))?;
    }
    rule(&format!("ip daddr @private_v4 {REFUSE}"))?;
    rule(&format!("ip6 daddr @private_v6 {REFUSE}"))?;
    rule(REFUSE)
}

fn destination(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("ip daddr {address}"),
        IpAddr::V6(address) => format!("ip6 daddr {address}"),
    }
}

/// Says what packets do not show and is therefore not kept here.
fn write_unshown(out: &mut String, kept: &Kept) -> fmt::Result {
    for (items, meaning) in [
        (
            &kept.unshown,
            "This is allowed and not let through here, as no packet shows it; a proxy for it has to run as another user:",
        ),
        (&kept.denied_names, "These names are denied, which no packet shows where an address is allowed:"),
    ] {
        if !items.is_empty() {
            writeln!(out, "# {meaning}")?;
        }
        for item in items {
            writeln!(out, "#   {item}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
