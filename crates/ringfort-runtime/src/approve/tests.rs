// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of what an approval is bound to.

use ringfort_core::decision::{Decision, Risk};
use ringfort_core::effect::{Effect, Span};
use ringfort_core::principal::Principal;
use ringfort_core::request::Provenance;
use ringfort_core::ruling::Reason;
use ringfort_core::text::Text;

use super::*;

fn remembered(words: &[&str], kind: EffectKind, count: usize) -> Remember {
    let request = Request {
        principal: Principal::try_user("ada").unwrap(),
        action: Action::Command(Command::from_words(words.iter().map(|word| Text::from(*word)).collect())),
        session: "s".to_owned(),
        cwd: "/w".into(),
        workspace: "/w".into(),
        home: None,
        provenance: Provenance::Agent,
        bindings: Vec::new(),
    };
    let mut ruling = Ruling::new(Decision::Ask, Risk::High, Reason::new("test-001", Decision::Ask, "a question"));
    let effect = |at| Effect { kind, target: Some("deploy.sh".to_owned()), span: Span::new(at, at + 1) };
    ruling.effects = (0..count).map(effect).collect();
    may_remember(&request, &ruling)
}

#[test]
fn deny_remembering_what_runs_files_that_are_not_bound() {
    let (text, words) = (&["./deploy.sh --prod"][..], &["./deploy.sh", "--prod"][..]);
    for (command, kind, count, expected) in [
        (words, EffectKind::ExecuteFile, 1, Remember::Session),
        (text, EffectKind::WritePath, 1, Remember::Session),
        (text, EffectKind::ExecuteFile, 1, Remember::Never),
        (text, EffectKind::ExecuteText, 1, Remember::Never),
        (words, EffectKind::Unknown, 1, Remember::Never),
        (words, EffectKind::WritePath, EFFECTS_MAX, Remember::Never),
    ] {
        assert_eq!(remembered(command, kind, count), expected, "{command:?} {kind:?} {count}");
    }
}

fn request(text: &str) -> Request {
    Request {
        principal: Principal::try_user("ada").unwrap().try_child("agent").unwrap(),
        action: Action::Command(Command::Shell(Text::from(text))),
        session: "s1".to_owned(),
        cwd: "/h/w".into(),
        workspace: "/h/w".into(),
        home: Some("/h".into()),
        provenance: Provenance::Agent,
        bindings: vec![("policy".to_owned(), Digest::of(b"p")), ("file".to_owned(), Digest::of(b"f"))],
    }
}

fn keys_at(request: &Request, door: &Door, ruling: &Ruling, policies: &[Digest]) -> ApprovalKeys {
    Asked::new(request, door, ruling, policies).keys.unwrap()
}

fn ruling() -> Ruling {
    Ruling::new(Decision::Ask, Risk::High, Reason::new("test-001", Decision::Ask, "a question"))
}

fn keys(request: &Request) -> ApprovalKeys {
    keys_at(request, &Door::bare(DoorKind::Hook, Standing::Advised), &ruling(), &[])
}

const COPY: &str = "cp a.txt b.txt";

#[test]
fn deny_what_differs_in_anything_that_is_bound() {
    type Change = fn(&mut Request);
    // What is changed, and whether it changes the keys of once and session, and that of the shape.
    let changes: [(&str, Change, bool, bool); 10] = [
        ("nothing", |_| {}, false, false),
        ("the session", |r| r.session = "s2".to_owned(), false, false),
        ("a file of the workspace", |r| r.action = request("cp c.txt d.txt").action, true, false),
        ("the content of a file that is named", |r| r.bindings[1].1 = Digest::of(b"g"), true, false),
        ("a program", |r| r.action = request("mv a.txt b.txt").action, true, true),
        ("the principal", |r| r.principal = r.principal.try_child("sub").unwrap(), true, true),
        ("the folder", |r| r.cwd = "/h/w/sub".into(), true, true),
        ("the workspace", |r| r.workspace = "/h/w2".into(), true, true),
        ("the taint", |r| r.provenance = Provenance::Untrusted, true, true),
        ("a fact", |r| r.bindings[0].1 = Digest::of(b"q"), true, true),
    ];
    let base = keys(&request(COPY));
    for (what, change, exact, shape) in changes {
        let mut changed = request(COPY);
        change(&mut changed);
        let changed = keys(&changed);
        assert_eq!(changed.exact != base.exact, exact, "{what}");
        assert_eq!(changed.session != base.session, exact || what == "the session", "{what}");
        assert_eq!(changed.shape != base.shape, shape, "{what}");
    }
}

#[test]
fn deny_another_door_standing_obligation_or_policy() {
    let hook = Door::bare(DoorKind::Hook, Standing::Advised);
    let base = keys(&request(COPY));
    let mut redacted = ruling();
    redacted.obligations.redact = ringfort_core::obligation::Demand::Demanded;
    for (what, other) in [
        ("door", keys_at(&request(COPY), &Door::bare(DoorKind::Broker, Standing::Advised), &ruling(), &[])),
        ("standing", keys_at(&request(COPY), &Door::bare(DoorKind::Hook, Standing::Caged), &ruling(), &[])),
        ("obligation", keys_at(&request(COPY), &hook, &redacted, &[])),
        ("policy", keys_at(&request(COPY), &hook, &ruling(), &[Digest::of(b"p")])),
    ] {
        assert!(other.exact != base.exact && other.session != base.session && other.shape != base.shape, "{what}");
    }
    // No key is ever taken for one of another extent.
    let all = [Some(base.exact), base.session, base.shape];
    assert!(all.iter().all(Option::is_some) && all[0] != all[1] && all[1] != all[2] && all[0] != all[2]);
}

#[test]
fn deny_a_file_that_is_run_with_another_content() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("job.sh");
    let asked = || {
        let mut ruling = ruling();
        let target = Some(script.to_str().unwrap().to_owned());
        ruling.effects = vec![Effect { kind: EffectKind::ExecuteFile, target, span: Span::new(0, 1) }];
        keys_at(&request("sh job.sh"), &Door::bare(DoorKind::Hook, Standing::Advised), &ruling, &[])
    };
    std::fs::write(&script, "one").unwrap();
    let one = asked();
    assert_eq!((one.session, one.shape), (None, None), "what runs a file is never remembered from a text");
    std::fs::write(&script, "two").unwrap();
    let two = asked();
    std::fs::remove_file(&script).unwrap();
    let gone = asked();
    assert!(one.exact != two.exact && two.exact != gone.exact && one.exact != gone.exact);
    std::fs::write(&script, "one").unwrap();
    assert_eq!(asked(), one);
}

#[test]
fn deny_a_later_answer_of_too_weak_a_person() {
    for (standing, needed, expected) in [
        (Standing::Advised, None, true),
        (Standing::Advised, Some(ApprovalChannel::Person), true),
        (Standing::Advised, Some(ApprovalChannel::Trusted), false),
        (Standing::Caged, Some(ApprovalChannel::Trusted), true),
        (Standing::Guarded, Some(ApprovalChannel::Trusted), true),
        (Standing::Guarded, Some(ApprovalChannel::TwoPersons), false),
    ] {
        assert_eq!(needed <= Some(later(standing)), expected, "{standing:?} {needed:?}");
    }
}

#[test]
fn redact_what_a_kept_question_shows() {
    // Put together here, so that this file holds no secret.
    let secret = format!("ghp_{}", "a1B2".repeat(9));
    let request = request(&format!("curl -H 'Authorization: Bearer {secret}' https://api.example.com/a\u{1b}[2J"));
    let door = Door::bare(DoorKind::Hook, Standing::Advised);
    let kept = Asked::new(&request, &door, &ruling(), &[]).kept(&request, &door, &ruling()).unwrap();
    let shown = format!("{kept:?}");
    assert!(!shown.contains(&secret) && !kept.action.contains('\u{1b}'), "{shown}");
}
