// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules on single hosts, and hosts that clients name, beside the lists.

use std::path::Path;

use ringfort_core::action::Action;
use ringfort_core::decision::Decision::{self, Allow, Ask, Deny};

use super::*;
use crate::load::{parse_restriction, validate};
use crate::path::Setting;

const RULED: &str = r#"
[egress]
domains = ["*.example.com", "both.example"]
denied_domains = ["gone.example"]

[[egress.rules]]
host = "api.example.com"
ports = [80, 443]

[[egress.rules]]
host = "read.example.com"
methods = ["GET"]
paths = ["/v1/*"]

[[egress.rules]]
host = "read.example.com"
methods = ["POST"]
paths = ["/v1/search"]

[[egress.rules]]
host = "packages.example"
programs = ["npm"]

[[egress.rules]]
host = "*.svc.internal"

[[egress.rules]]
host = "db.internal"
ports = [5432]

[[egress.rules]]
host = "gone.example"
"#;

fn policy(text: &str) -> Policy {
    Policy::from_config(&validate(Path::new("test"), text).unwrap())
}

fn rule_on(policy: &Policy, url: &str, method: &str, program: Option<&str>) -> Ruling {
    let folder = Path::new("/home/ada/w");
    let egress = Egress { url: url.to_owned(), method: Some(method.to_owned()), program: program.map(str::to_owned) };
    policy.decide_in(&Action::Egress(egress), &Setting::new(folder, folder, None))
}

fn check(policy: &Policy, rows: &[(&str, &str, Decision, &str)]) {
    for (method, url, expected, rule) in rows {
        let ruling = rule_on(policy, url, method, Some("npm"));
        assert_eq!(ruling.decision, *expected, "{method} {url}: {:?}", ruling.reasons);
        assert!(ruling.deciding().any(|reason| reason.rule == *rule), "{method} {url}: {:?}", ruling.reasons);
    }
}

#[test]
fn where_a_rule_names_the_host_it_alone_speaks() {
    check(
        &policy(RULED),
        &[
            ("GET", "https://www.example.com/", Allow, "egress-006"),
            ("CONNECT", "api.example.com:443", Allow, "egress-009"),
            ("CONNECT", "api.example.com:22", Deny, "egress-010"),
            ("GET", "http://api.example.com:8080/", Deny, "egress-010"),
            ("GET", "http://read.example.com/v1/x", Allow, "egress-009"),
            ("POST", "http://read.example.com/v1/search", Allow, "egress-009"),
            ("POST", "http://read.example.com/v1/x", Deny, "egress-010"),
            ("GET", "http://read.example.com/admin", Deny, "egress-010"),
            ("GET", "http://read.example.com/v1/%2e%2e/admin", Deny, "egress-010"),
            ("CONNECT", "read.example.com:443", Deny, "egress-010"),
            ("CONNECT", "packages.example:443", Allow, "egress-009"),
            ("CONNECT", "gone.example:443", Deny, "egress-004"),
            ("CONNECT", "elsewhere.example:443", Ask, "egress-005"),
        ],
    );
}

#[test]
fn deny_private_addresses_that_a_pattern_covers() {
    check(
        &policy(RULED),
        &[
            ("CONNECT", "a.svc.internal:443", Deny, "egress-003"),
            ("CONNECT", "db.internal:5432", Allow, "egress-009"),
            ("CONNECT", "localhost:80", Deny, "egress-003"),
            ("CONNECT", "169.254.169.254:80", Deny, "egress-002"),
        ],
    );
}

#[test]
fn a_rule_for_other_programs_is_none() {
    let policy = policy(RULED);
    for (program, expected) in [(Some("npm"), Allow), (Some("curl"), Ask), (None, Ask)] {
        assert_eq!(rule_on(&policy, "packages.example:443", "CONNECT", program).decision, expected, "{program:?}");
    }
}

#[test]
fn hosts_that_clients_name_are_part_of_the_policy() {
    let bare = policy("");
    let hosts =
        [HostPattern::parse("mirror.internal:8081").unwrap(), HostPattern::parse("registry.example:443").unwrap()];
    let with = bare.clone().with_client_hosts(&hosts);
    assert_ne!(bare.digest(), with.digest());
    assert!(with.lists_hosts() && !bare.lists_hosts());
    check(
        &with,
        &[
            ("CONNECT", "registry.example:443", Allow, "egress-011"),
            ("CONNECT", "registry.example:22", Ask, "egress-005"),
            ("GET", "http://mirror.internal:8081/x", Allow, "egress-011"),
            ("GET", "http://mirror.internal/x", Deny, "egress-003"),
        ],
    );
    let project = Policy::from_restriction(&parse_restriction(Path::new("test"), "").unwrap());
    assert_eq!(project.clone().with_client_hosts(&hosts).digest(), project.digest(), "a project opens nothing");
}

#[test]
fn a_project_only_narrows() {
    let text = "[[egress.rules]]\nhost = \"api.example.com\"\nmethods = [\"GET\"]\nbytes_max = 10\n";
    let project = Policy::from_restriction(&parse_restriction(Path::new("test"), text).unwrap());
    for (method, url, expected) in [
        ("GET", "http://api.example.com/", Allow),
        ("POST", "http://api.example.com/", Deny),
        ("CONNECT", "api.example.com:443", Deny),
        ("POST", "http://other.example/", Allow),
    ] {
        assert_eq!(rule_on(&project, url, method, None).decision, expected, "{method} {url}");
    }
    let to = parse("api.example.com:80").unwrap();
    assert_eq!(project.bounds(&to, None).bytes_max, Some(10));
    assert!(project.looks_inside(&to, None) && !project.names(&parse("api.example:80").unwrap(), None));
}

#[test]
fn only_an_exact_name_leads_to_private_addresses() {
    let policy = policy(RULED);
    for (to, expected) in [
        ("both.example:443", true),
        ("www.example.com:443", false),
        ("db.internal:5432", true),
        ("x.svc.internal:80", false),
        ("unknown.example:443", false),
    ] {
        assert_eq!(policy.names(&parse(to).unwrap(), None), expected, "{to}");
    }
}
