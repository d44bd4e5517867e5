// SPDX-License-Identifier: MIT OR Apache-2.0
//! What takes effect outside of what was written inside.

use super::*;
use crate::startup::gitkeys::Submodule;
use std::path::Path;

const BASE: &str = "[core]\n\tbare = false\n[remote \"origin\"]\n\turl = https://good.example/a\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n";

fn check(inside: &str, outside: &str) -> (Option<String>, Vec<String>) {
    let parse = |text: &str| Config::parse(text.as_bytes()).unwrap();
    let place = Place::Repository { directory: Path::new(".git"), submodule: Submodule::No };
    let outcome = merge(&parse(BASE), &parse(inside), &parse(outside), place);
    let text = outcome.text.map(|text| String::from_utf8(text).unwrap());
    (text, outcome.withheld.into_keys().map(|name| String::from_utf8(name).unwrap()).collect())
}

#[test]
fn ordinary_git_work_takes_effect() {
    for added in [
        "[branch \"main\"]\n\tremote = origin\n\tmerge = refs/heads/main\n",
        "[remote \"fork\"]\n\turl = git@host.example:b/a.git\n\tfetch = +refs/heads/*:refs/remotes/fork/*\n",
        "[user]\n\tname = \"A B\"\n",
    ] {
        let (text, withheld) = check(&format!("{BASE}{added}"), BASE);
        let read = |text: &str| Config::parse(text.as_bytes()).unwrap().values();
        assert_eq!(text.as_deref().map(read), Some(read(&format!("{BASE}{added}"))));
        assert!(withheld.is_empty(), "{withheld:?}");
    }
    let (text, withheld) = check("[core]\n\tbare = false\n", BASE);
    assert_eq!((text.as_deref(), withheld.len()), (Some("[core]\n\tbare = false\n"), 0), "removing a remote");
    assert_eq!(check(BASE, BASE), (None, Vec::new()));
    assert_eq!(check(&format!("# comment\n{BASE}"), BASE), (None, Vec::new()));
}

#[test]
fn deny_harmful_settings_and_keep_the_others() {
    let inside = format!("{BASE}[core]\n\thooksPath = evil\n\teol = lf\n[alias]\n\tst = !evil\n");
    let (text, withheld) = check(&inside, BASE);
    let text = text.unwrap();
    assert!(text.contains("eol = lf") && !text.contains("evil"), "{text}");
    assert_eq!(withheld, ["alias.st", "core.hookspath"]);
}

#[test]
fn deny_a_remote_that_comes_to_mean_another_place() {
    let evil = BASE.replace("good.example", "evil.example");
    assert_eq!(check(&evil, BASE), (None, vec!["remote.origin.url".to_owned()]));
    let more = format!("{BASE}\tpushurl = https://evil.example/a\n");
    assert_eq!(check(&more, BASE).0, None);
    // A withheld address withholds what came with it.
    let both = evil.replace("refs/remotes/origin", "refs/heads");
    assert_eq!(check(&both, BASE).1, ["remote.origin.fetch", "remote.origin.url"]);
    let new = format!("{BASE}[remote \"x\"]\n\turl = ext::sh -c evil\n\tfetch = +refs/heads/*:refs/remotes/x/*\n");
    assert_eq!(check(&new, BASE), (None, vec!["remote.x.fetch".to_owned(), "remote.x.url".to_owned()]));
}

#[test]
fn deny_when_it_changed_outside_meanwhile() {
    let (text, withheld) = check(&BASE.replace("bare = false", "bare = true"), &BASE.replace("\tbare = false\n", ""));
    assert_eq!((text, withheld), (None, vec!["core.bare".to_owned()]));
    let outside = format!("{BASE}# a person wrote this\n[user]\n\temail = a@b\n");
    let (text, _) = check(&format!("{BASE}[branch \"x\"]\n\tremote = origin\n"), &outside);
    assert!(text.unwrap().starts_with(&outside), "what is outside stays");
}

#[test]
fn deny_taking_a_harmful_setting_away() {
    let parse = |text: &str| Config::parse(text.as_bytes()).unwrap();
    let base = parse("[core]\n\thooksPath = .husky\n\tbare = false\n");
    let inside = parse("[core]\n\tbare = false\n");
    let place = Place::Repository { directory: Path::new(".git"), submodule: Submodule::No };
    let outcome = merge(&base, &inside, &base, place);
    assert!(outcome.text.is_none() && outcome.withheld.len() == 1, "{outcome:?}");
}
