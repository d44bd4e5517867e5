// SPDX-License-Identifier: MIT OR Apache-2.0
//! The suite that every provider must pass.
//!
//! In: a way to make the provider. Out: nothing, or a failed assertion that lists every fault at once.
//!
//! **Invariant:** the suite asks for facts that hold whatever the policy says: a stable name, an answer to malformed
//! requests that is not an allow, reasons that a reader can follow, the same answer to the same question, and nothing
//! looser for an agent than for its user. It does not judge the policy itself, and the runtime trusts none of it.
//!
//! A third party calls [`provider_suite`] from a test of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use ringfort_core::action::{Action, Command, Egress, PathAccess, PathOp, ToolCall};
use ringfort_core::clock::Timestamp;
use ringfort_core::decision::{Decision, Risk};
use ringfort_core::digest::Digest;
use ringfort_core::door::Standing;
use ringfort_core::entry::{Entry, EntryKind};
use ringfort_core::limits::{COMMAND_BYTES_MAX, PATH_BYTES_MAX};
use ringfort_core::principal::Principal;
use ringfort_core::provider::{Availability, Context, SecurityProvider};
use ringfort_core::request::{Provenance, Request};
use ringfort_core::ruling::Ruling;
use ringfort_core::signal::{Signal, SignalKind};
use ringfort_core::text::Text;
use serde_json::{Value, json};

/// Depth of the nested arguments that a provider is asked about.
const NESTED_ARGUMENTS: usize = 100;

/// Makes one instance of the provider under test.
pub type MakeProvider<'a> = &'a dyn Fn() -> Box<dyn SecurityProvider>;

/// Asserts that the provider keeps every fact of the suite.
///
/// # Panics
///
/// With one line for each fact that it does not keep.
pub fn provider_suite(make: MakeProvider<'_>) {
    let faults = provider_faults(make);
    assert!(faults.is_empty(), "the provider does not pass the suite:\n  {}", faults.join("\n  "));
}

/// Every fact of the suite that the provider does not keep.
pub fn provider_faults(make: MakeProvider<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    check_identity(make, &mut faults);
    for (what, action) in malformed_actions() {
        check_malformed(make, what, action, &mut faults);
    }
    for (what, action) in ordinary_actions() {
        check_ordinary(make, what, action, &mut faults);
    }
    check_reports(make, &mut faults);
    faults
}

fn check_identity(make: MakeProvider<'_>, faults: &mut Vec<String>) {
    let (one, other) = (make(), make());
    let name = one.name();
    if name != other.name() || name != one.name() {
        faults.push(format!("its name changes: `{name}`, `{}`", other.name()));
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || !name.chars().all(plain) {
        faults.push(format!("`{name}` is no name: lower-case letters, digits and hyphens"));
    }
    if let Availability::Unavailable { reason } = one.availability() {
        if reason.trim().is_empty() {
            faults.push("it is unavailable and does not say why".to_owned());
        }
        if let Some(ruling) = ask(one.as_ref(), &sample_request())
            && ruling.decision != Decision::Deny
        {
            faults.push(format!("it is unavailable and answers `{}`", ruling.decision.as_str()));
        }
    }
}

fn check_malformed(make: MakeProvider<'_>, what: &str, action: Action, faults: &mut Vec<String>) {
    match ask(make().as_ref(), &Request { action, ..sample_request() }) {
        None => faults.push(format!("it panics on {what}")),
        Some(ruling) if ruling.decision == Decision::Allow => faults.push(format!("it allows {what}")),
        Some(ruling) => faults.extend(reason_faults(&ruling).into_iter().map(|fault| format!("{fault} ({what})"))),
    }
}

fn check_ordinary(make: MakeProvider<'_>, what: &str, action: Action, faults: &mut Vec<String>) {
    let user = Request { action, ..sample_request() };
    let Some(ruling) = ask(make().as_ref(), &user) else {
        faults.push(format!("it panics on {what}"));
        return;
    };
    faults.extend(reason_faults(&ruling).into_iter().map(|fault| format!("{fault} ({what})")));
    if ask(make().as_ref(), &user).as_ref() != Some(&ruling) {
        faults.push(format!("it answers {what} differently the second time"));
    }
    for (who, narrower) in narrower(&user) {
        match ask(make().as_ref(), &narrower) {
            None => faults.push(format!("it panics on {what} {who}")),
            Some(other) if other.decision < ruling.decision => faults.push(format!(
                "it answers `{}` to {what} {who}, but `{}` to the user",
                other.decision.as_str(),
                ruling.decision.as_str()
            )),
            Some(_) => {}
        }
    }
}

/// The same action by somebody who may do less.
fn narrower(user: &Request) -> Vec<(&'static str, Request)> {
    let untrusted = Request { provenance: Provenance::Untrusted, ..user.clone() };
    let mut all = vec![("from untrusted data", untrusted)];
    if let Ok(principal) = user.principal.try_child("agent") {
        all.push(("by an agent", Request { principal, provenance: Provenance::Agent, ..user.clone() }));
    }
    all
}

fn check_reports(make: MakeProvider<'_>, faults: &mut Vec<String>) {
    let provider = make();
    let request = sample_request();
    let ruling = ask(provider.as_ref(), &request);
    let entry = Entry::about(EntryKind::Intent, &request, request.action.to_display());
    let entry = ruling.iter().fold(entry, Entry::ruled);
    for entry in [entry, Entry::event("suite")] {
        if catch_unwind(AssertUnwindSafe(|| provider.report(&entry))).is_err() {
            faults.push("it panics on a report".to_owned());
        }
    }
    for severity in [Risk::Low, Risk::Critical] {
        let signal =
            Signal { kind: SignalKind::Denial, severity, principal: None, request: None, message: String::new() };
        if catch_unwind(AssertUnwindSafe(|| provider.respond(&signal))).is_err() {
            faults.push("it panics on a signal".to_owned());
        }
    }
}

fn ask(provider: &dyn SecurityProvider, request: &Request) -> Option<Ruling> {
    catch_unwind(AssertUnwindSafe(|| provider.decide(request, &sample_context()))).ok()
}

/// What is wrong with the reasons of one ruling.
fn reason_faults(ruling: &Ruling) -> Vec<String> {
    let mut faults = Vec::new();
    if ruling.deciding().next().is_none() {
        faults.push(format!("no reason carries its `{}`", ruling.decision.as_str()));
    }
    for reason in &ruling.reasons {
        if !is_rule_id(&reason.rule) {
            faults.push(format!("`{}` is no rule id: `area-nnn`", reason.rule));
        }
        if reason.message.trim().is_empty() || reason.message.ends_with('.') {
            faults.push(format!("the message of `{}` is empty or ends in a period", reason.rule));
        }
        if reason.span.is_some_and(|span| span.start > span.end) {
            faults.push(format!("the span of `{}` ends before it starts", reason.rule));
        }
        if reason.decision > ruling.decision {
            faults.push(format!("`{}` is stricter than the ruling it belongs to", reason.rule));
        }
    }
    faults
}

/// Whether `id` has the form `area-nnn`.
pub fn is_rule_id(id: &str) -> bool {
    id.rsplit_once('-').is_some_and(|(area, number)| {
        number.len() == 3
            && number.bytes().all(|b| b.is_ascii_digit())
            && area.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
            && area.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
    })
}

/// Requests that no honest door makes; whoever allows one allows what it has not understood.
fn malformed_actions() -> Vec<(&'static str, Action)> {
    let argv = |words: &[&[u8]]| Action::Command(Command::Argv(words.iter().map(|w| Text::new(*w)).collect()));
    let shell = |text: Vec<u8>| Action::Command(Command::Shell(Text::new(text)));
    let path = |path: Vec<u8>| Action::Path(PathAccess { path: Text::new(path), op: PathOp::Read });
    let egress = |url: &str| Action::Egress(Egress { url: url.to_owned(), method: None, program: None });
    vec![
        ("a command of no words", argv(&[])),
        ("a command whose program is empty", argv(&[b"", b"-la"])),
        ("a command with NUL in a word", argv(&[b"cat", b"a\0b"])),
        ("shell text with NUL", shell(b"cat a\0b".to_vec())),
        ("shell text that is too long", shell(vec![b'a'; COMMAND_BYTES_MAX + 1])),
        ("shell text that never ends its quote", shell(b"echo 'a".to_vec())),
        ("shell text nested ten thousand deep", shell(b"$(".repeat(10_000))),
        ("an empty path", path(Vec::new())),
        ("a path with NUL", path(b"a\0b".to_vec())),
        ("a path that is too long", path(vec![b'a'; PATH_BYTES_MAX + 1])),
        ("an empty URL", egress("")),
        ("a URL without a host", egress("https://")),
        ("a tool without a name", Action::Tool(ToolCall { name: String::new(), arguments: json!({}) })),
    ]
}

/// Requests that some policy allows and some other denies; the suite only compares answers to them.
fn ordinary_actions() -> Vec<(&'static str, Action)> {
    let shell = |text: &str| Action::Command(Command::Shell(Text::from(text)));
    let path = |path: &str, op| Action::Path(PathAccess { path: Text::from(path), op });
    let nested = (0..NESTED_ARGUMENTS).fold(Value::Null, |inner, _| json!([inner]));
    vec![
        ("`ls -la`", shell("ls -la")),
        ("`git status`", shell("git status")),
        ("a pipeline", shell("cat notes.txt | sort | uniq -c | head")),
        ("a removal", shell("rm -rf build")),
        ("text that is not UTF-8", Action::Command(Command::Shell(Text::new(&b"ls \xff\xfe"[..])))),
        ("a read in the workspace", path("src/main.rs", PathOp::Read)),
        ("a write in the workspace", path("src/main.rs", PathOp::Write)),
        ("a read outside", path("../../etc/passwd", PathOp::Read)),
        ("an unknown tool", Action::Tool(ToolCall { name: "moonlight".to_owned(), arguments: nested })),
        ("a download", Action::Egress(Egress { url: "https://example.org/a".to_owned(), method: None, program: None })),
    ]
}

/// A request that is well formed: `ls -la`, typed by a user in a workspace.
pub fn sample_request() -> Request {
    let Ok(principal) = Principal::try_user("ada") else { unreachable!("`ada` is a name") };
    Request {
        principal,
        action: Action::Command(Command::Argv(vec![Text::from("ls"), Text::from("-la")])),
        session: "suite".to_owned(),
        cwd: PathBuf::from("/home/ada/work"),
        workspace: PathBuf::from("/home/ada/work"),
        home: Some(PathBuf::from("/home/ada")),
        provenance: Provenance::User,
        bindings: Vec::new(),
    }
}

/// A context to ask in.
pub fn sample_context() -> Context {
    Context {
        policy_index: 0,
        policy: Digest::of(b"suite"),
        now: Timestamp(1_800_000_000_000),
        standing: Standing::Caged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{Behaviour, FickleProvider};

    fn faults(behaviour: Behaviour) -> Vec<String> {
        provider_faults(&|| {
            let (provider, release) = FickleProvider::new(behaviour);
            drop(release);
            Box::new(provider)
        })
    }

    #[test]
    fn only_the_denying_behaviour_passes() {
        assert_eq!(faults(Behaviour::DenyAll), Vec::<String>::new());
        for (behaviour, fault) in [
            (Behaviour::AllowAll, "it allows a path with NUL"),
            (Behaviour::AllowBare, "no reason carries its `allow` (`ls -la`)"),
            (Behaviour::Panic, "it panics on a report"),
            (Behaviour::Hang, "it allows shell text with NUL"),
            (Behaviour::Err, "it allows a command of no words"),
            (Behaviour::Unavailable, "it is unavailable and answers `allow`"),
            (Behaviour::UnknownObligation, "it allows an empty URL"),
        ] {
            let faults = faults(behaviour);
            assert!(faults.iter().any(|f| f == fault), "{behaviour:?}: no `{fault}` in {faults:#?}");
        }
    }

    #[test]
    #[should_panic(expected = "it allows a tool without a name")]
    fn the_suite_fails_loudly() {
        provider_suite(&|| Box::new(FickleProvider::new(Behaviour::AllowAll).0));
    }

    #[test]
    fn rule_ids_are_area_and_three_digits() {
        for (id, expected) in
            [("policy-001", true), ("a-b-123", true), ("policy-1", false), ("-001", false), ("Policy-001", false)]
        {
            assert_eq!(is_rule_id(id), expected, "`{id}`");
        }
    }
}
