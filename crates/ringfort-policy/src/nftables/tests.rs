// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ruleset says what the policy says of addresses. That `nft` reads it and that packets are stopped is tested with
//! the binary.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::egress::{Host, Reach, parse_host, reach};

/// First and last address of a range, as numbers of 128 bits, and whether it is IPv6.
fn range(text: &str) -> (u128, u128, bool) {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, bits.parse().ok()));
    let (first, width): (u128, u32) = match address.parse().unwrap() {
        IpAddr::V4(address) => (u32::from(address).into(), 32),
        IpAddr::V6(address) => (address.into(), 128),
    };
    let host = width - bits.unwrap_or(width);
    let mask = 1_u128.checked_shl(host).map_or(u128::MAX, |size| size - 1);
    assert_eq!(first & mask, 0, "`{text}` does not begin at its own first address");
    (first, first | mask, width == 128)
}

fn listed(ranges: &[&str], address: u128) -> bool {
    ranges.iter().any(|text| {
        let (first, last, _) = range(text);
        (first..=last).contains(&address)
    })
}

fn v4(address: u128) -> Host {
    Host::V4(Ipv4Addr::from(u32::try_from(address).unwrap()))
}

/// The ranges and the policy say the same of one address.
fn check(address: u128, is_v6: bool) {
    let host = if is_v6 { parse_host(&format!("[{}]", Ipv6Addr::from(address))).unwrap() } else { v4(address) };
    let (metadata, private) = if is_v6 { (METADATA_V6, PRIVATE_V6) } else { (METADATA_V4, PRIVATE_V4) };
    let forbidden = listed(metadata, address) || listed(private, address);
    match reach(&host) {
        // An address that carries an IPv4 address is refused whole, whatever it carries.
        _ if is_v6 && matches!(host, Host::V4(_)) => assert!(forbidden, "{host}"),
        Reach::Metadata => assert!(listed(metadata, address), "{host}"),
        Reach::Private => assert!(forbidden && !listed(metadata, address), "{host}"),
        _ => assert!(!forbidden, "{host}"),
    }
}

#[test]
fn deny_the_ranges_that_the_policy_denies_to_the_address() {
    for text in [METADATA_V4, METADATA_V6, PRIVATE_V4, PRIVATE_V6].concat() {
        let (first, last, is_v6) = range(text);
        let most = if is_v6 { u128::MAX } else { u32::MAX.into() };
        for address in [first.saturating_sub(1), first, last, last.saturating_add(1).min(most)] {
            check(address, is_v6);
        }
    }
}

proptest! {
    #[test]
    fn deny_what_the_policy_denies(four: u32, six: u128, high in 0x1fff_u128..0x4001) {
        check(four.into(), false);
        check(six, true);
        check(high << 112 | six >> 16, true);
    }
}

fn section(allowed: &[&str], denied: &[&str]) -> EgressConfig {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    EgressConfig { domains: owned(allowed), denied_domains: owned(denied), ..Default::default() }
}

fn text_of(subject: &Subject, allowed: &[&str], denied: &[&str]) -> String {
    ruleset(subject, &section(allowed, denied), "blake3:00").unwrap()
}

/// The rules of the chain that judges, in order.
fn rules(text: &str) -> Vec<&str> {
    text.lines().skip_while(|line| !line.contains("chain leaving")).skip(1).map(str::trim).collect()
}

#[test]
fn nothing_is_allowed_that_is_not_listed_as_an_address() {
    let text = text_of(&Subject::Everyone, &["example.com", "*.example.org:443"], &["evil.example.org"]);
    assert!(text.contains("policy drop;"), "{text}");
    for name in ["example.com", "*.example.org:443", "evil.example.org"] {
        assert!(text.contains(&format!("#   {name}\n")), "{name}: {text}");
        let outside_comments = text.lines().filter(|line| !line.starts_with('#')).any(|line| line.contains(name));
        assert!(!outside_comments, "{name}: {text}");
    }
    let accepted: Vec<_> = rules(&text).into_iter().filter(|rule| rule.contains("accept")).collect();
    assert_eq!(accepted.len(), 4, "replies, loopback twice, neighbours: {accepted:?}");
}

#[test]
fn what_is_denied_stands_before_what_is_allowed() {
    let text = text_of(
        &Subject::Everyone,
        &["10.0.0.5:5432", "93.184.216.34", "[2606:4700::2]:443", "[::ffff:8.8.8.8]:53", "10.0.0.5:5432"],
        &["93.184.216.34:80", "1.2.3.4"],
    );
    let rules = rules(&text);
    let at =
        |part: &str| rules.iter().position(|rule| rule.starts_with(part)).unwrap_or_else(|| panic!("{part}: {text}"));
    let order = [
        at("ip daddr @metadata_v4"),
        at("ip6 daddr @metadata_v6"),
        at("ip daddr 1.2.3.4 counter reject"),
        at("ip daddr 93.184.216.34 meta l4proto { tcp, udp } th dport 80 counter reject"),
        at("ct direction reply"),
        at("ip daddr 8.8.8.8 tcp dport 53 counter accept"),
        at("ip daddr 10.0.0.5 tcp dport 5432 counter accept"),
        at("ip daddr 93.184.216.34 meta l4proto tcp counter accept"),
        at("ip6 daddr 2606:4700::2 tcp dport 443 counter accept"),
        at("ip daddr @private_v4"),
        at("ip6 daddr @private_v6"),
        at("counter reject"),
    ];
    assert!(order.is_sorted(), "{text}");
    assert_eq!(text.matches("10.0.0.5").count(), 1, "{text}");
}

#[test]
fn deny_what_depends_on_more_than_a_packet_shows() {
    let rule = |host: &str, change: fn(&mut EgressRuleConfig)| {
        let mut rule = EgressRuleConfig { host: host.to_owned(), ..Default::default() };
        change(&mut rule);
        rule
    };
    let mut egress = section(&["1.1.1.1", "2.2.2.2", "3.3.3.3:80", "9.9.9.9:853"], &[]);
    egress.presets.insert(crate::config::EgressPreset::Npm);
    egress.rules = vec![
        rule("1.1.1.1", |rule| rule.methods = Some(vec!["GET".to_owned()])),
        rule("2.2.2.2", |rule| rule.ports = Some(vec![443, 8443])),
        rule("3.3.3.3:443", |_| {}),
        rule("4.4.4.4", |_| {}),
        rule("5.5.5.5", |rule| rule.programs = Some(vec!["git".to_owned()])),
        rule("6.6.6.6", |rule| rule.bytes_max = Some(1)),
        rule("7.7.7.7", |rule| rule.paths = Some(vec!["/a".to_owned()])),
        rule("api.example.com", |_| {}),
    ];
    let text = ruleset(&Subject::Everyone, &egress, "").unwrap();
    let accepted: Vec<_> = rules(&text).into_iter().filter(|rule| rule.ends_with("counter accept")).collect();
    let expected = [
        "ip daddr 2.2.2.2 tcp dport 443 counter accept",
        "ip daddr 2.2.2.2 tcp dport 8443 counter accept",
        "ip daddr 3.3.3.3 tcp dport 443 counter accept",
        "ip daddr 4.4.4.4 meta l4proto tcp counter accept",
        "ip daddr 9.9.9.9 tcp dport 853 counter accept",
    ];
    assert_eq!(accepted, expected, "{text}");
    for unshown in ["1.1.1.1 (", "5.5.5.5 (", "6.6.6.6 (", "7.7.7.7 (", "api.example.com (", "the hosts of npm"] {
        assert!(text.contains(&format!("#   {unshown}")), "{unshown}: {text}");
    }
    assert!(ruleset(&Subject::Everyone, &section(&["*"], &[]), "").is_err());
}

#[test]
fn deny_users_that_are_no_users() {
    for (text, expected) in [
        ("1000", Some("1000")),
        ("0", Some("0")),
        ("0010", Some("10")),
        ("alice", Some("alice")),
        ("_apt", Some("_apt")),
        ("a-b_9", Some("a-b_9")),
        ("", None),
        ("-", None),
        ("4294967295", None),
        ("99999999999", None),
        ("-1", None),
        ("+1", None),
        ("9lives", None),
        ("Alice", None),
        ("a b", None),
        ("a\"; flush ruleset", None),
        ("a\n", None),
        ("a.b", None),
        (&"a".repeat(33), None),
    ] {
        assert_eq!(User::parse(text).ok().map(|user| user.to_string()).as_deref(), expected, "{text:?}");
    }
}

#[test]
fn one_user_alone_is_judged() {
    let text = text_of(&Subject::User(User::parse("a-b").unwrap()), &[], &[]);
    assert!(text.contains("table inet ringfort_user_a.b {"), "{text}");
    assert!(text.contains("policy accept;") && text.contains("meta skuid \"a-b\" goto leaving"), "{text}");
    assert!(text_of(&Subject::User(User::parse("7").unwrap()), &[], &[]).contains("meta skuid 7 goto"));
}
