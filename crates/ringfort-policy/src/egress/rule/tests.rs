// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;
use crate::egress::parse;

fn rule(change: impl FnOnce(&mut EgressRuleConfig)) -> EgressRule {
    let mut says = EgressRuleConfig { host: "api.example.com".to_owned(), ..EgressRuleConfig::default() };
    change(&mut says);
    EgressRule::compile(&says).unwrap()
}

fn strings(words: &[&str]) -> Option<Vec<String>> {
    Some(words.iter().map(|word| (*word).to_owned()).collect())
}

fn fits(rule: &EgressRule, url: &str, method: &str) -> Result<(), Misfit> {
    let to = parse(url).unwrap();
    rule.fits(&Seen { to: &to, method: Some(method), path: path_of(url), program: None })
}

#[test]
fn a_request_fits_when_port_method_and_path_do() {
    let rule = rule(|says| {
        says.ports = Some(vec![80, 8080]);
        says.methods = strings(&["GET", "HEAD"]);
        says.paths = strings(&["/v1/models", "/v1/files/*", "/users/*/keys"]);
    });
    for (url, method, expected) in [
        ("http://api.example.com/v1/models", "GET", Ok(())),
        ("http://api.example.com:8080/v1/models?q=/../x", "HEAD", Ok(())),
        ("http://api.example.com/v1/files/a/b", "get", Ok(())),
        ("http://api.example.com/v1/files/", "GET", Ok(())),
        ("http://api.example.com/users/me/keys", "GET", Ok(())),
        ("http://api.example.com/v1/files", "GET", Err(Misfit::Path)),
        ("http://api.example.com/v1/filesystem", "GET", Err(Misfit::Path)),
        ("http://api.example.com/v1/models/", "GET", Err(Misfit::Path)),
        ("http://api.example.com/users//keys", "GET", Err(Misfit::OddPath)),
        ("http://api.example.com/users/a/b/keys", "GET", Err(Misfit::Path)),
        ("http://api.example.com", "GET", Err(Misfit::Path)),
        ("http://api.example.com/v1/models", "POST", Err(Misfit::Method)),
        ("http://api.example.com:81/v1/models", "GET", Err(Misfit::Port)),
        ("https://api.example.com/v1/models", "GET", Err(Misfit::Port)),
        ("http://api.example.com/", "CONNECT", Err(Misfit::Tunnel)),
    ] {
        assert_eq!(fits(&rule, url, method), expected, "{method} {url}");
    }
}

#[test]
fn deny_paths_that_two_readers_take_for_different_ones() {
    let rule = rule(|says| says.paths = strings(&["/a/*"]));
    for path in [
        "/a/../b",
        "/a/..",
        "/a/./b",
        "/a/%2e%2e/b",
        "/a/%2E./b",
        "/a/.%2e",
        "/a/..;/b",
        "/a/..;x=1/b",
        "/a/;/b",
        "/a//b",
        "//a/b",
        "/a/%2fb",
        "/a/%2Fb",
        "/a/%5cb",
        "/a/%252e%252e/b",
        "/a/%00",
        "/a/%0d%0a",
        "/a/%",
        "/a/%2",
        "/a/%zz",
        "/a/%+1",
        "/a/\u{e9}",
    ] {
        let to = parse("http://api.example.com/").unwrap();
        let seen = Seen { to: &to, method: None, path: Some(path), program: None };
        assert_eq!(rule.fits(&seen), Err(Misfit::OddPath), "`{path}`");
    }
    for path in ["/a/b", "/a/b.c", "/a/...", "/a/.hidden", "/a/b;x=1", "/a/%20b", "/a/b/"] {
        let to = parse("http://api.example.com/").unwrap();
        let seen = Seen { to: &to, method: None, path: Some(path), program: None };
        assert_eq!(rule.fits(&seen), Ok(()), "`{path}`");
    }
}

#[test]
fn a_rule_speaks_for_its_programs_only() {
    let to = parse("https://api.example.com/").unwrap();
    let npm = rule(|says| says.programs = strings(&["npm"]));
    assert!(npm.speaks_of(&to.host, Some("npm")));
    for other in [None, Some("node"), Some("npm2"), Some("")] {
        assert!(!npm.speaks_of(&to.host, other), "{other:?}");
    }
    assert!(rule(|_| {}).speaks_of(&to.host, None));
}

#[test]
fn deny_rules_that_say_nothing_or_too_much() {
    type Change = fn(&mut EgressRuleConfig);
    let cases: [(&str, Change); 16] = [
        ("no host", |says| says.host = String::new()),
        ("a URL", |says| says.host = "https://x.example".to_owned()),
        ("a star too far", |says| says.host = "*.com".to_owned()),
        ("two ports", |says| {
            says.host = "x.example:443".to_owned();
            says.ports = Some(vec![443]);
        }),
        ("no port", |says| says.ports = Some(vec![])),
        ("port 0", |says| says.ports = Some(vec![0])),
        ("no method", |says| says.methods = Some(vec![])),
        ("a small method", |says| says.methods = strings(&["get"])),
        ("an empty method", |says| says.methods = strings(&[""])),
        ("a relative path", |says| says.paths = strings(&["a"])),
        ("a climbing path", |says| says.paths = strings(&["/a/../b"])),
        ("half a star", |says| says.paths = strings(&["/a*"])),
        ("a query", |says| says.paths = strings(&["/a?b"])),
        ("a program's path", |says| says.programs = strings(&["/bin/npm"])),
        ("no program", |says| says.programs = Some(vec![])),
        ("nothing at all", |says| says.bytes_max = Some(0)),
    ];
    for (what, change) in cases {
        let mut says = EgressRuleConfig { host: "x.example".to_owned(), ..EgressRuleConfig::default() };
        change(&mut says);
        assert!(EgressRule::compile(&says).is_err(), "{what}");
    }
}

#[test]
fn the_path_of_a_url_ends_before_its_query() {
    for (url, expected) in [
        ("http://h", Some("/")),
        ("http://h/", Some("/")),
        ("http://h?x=/y", Some("/")),
        ("http://h/a/b?c#d", Some("/a/b")),
        ("http://h#/a", Some("/")),
        ("h:80", None),
    ] {
        assert_eq!(path_of(url), expected, "{url}");
    }
}

#[test]
fn bounds_are_the_smaller_of_each() {
    let a = Bounds { connections_max: Some(3), requests_max: None, bytes_max: Some(10) };
    let b = Bounds { connections_max: Some(2), requests_max: Some(5), bytes_max: None };
    let both = Bounds { connections_max: Some(2), requests_max: Some(5), bytes_max: Some(10) };
    assert_eq!((a.merge(b), b.merge(a)), (both, both));
}
