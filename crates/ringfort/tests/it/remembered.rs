// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: a question that nobody could answer waits for a person; what a person allows covers that and no more, as
//! often and as long as was said, and never what is denied.
//!
//! In: commands that ask, without a terminal. Out: what was denied, kept, allowed and done.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::Value;

use crate::hook::{bash, verdict};
use crate::support::{Output, Place, Program, binary};

/// A repository with a remote in the workspace.
fn published() -> Place {
    let place = Place::new();
    place.write("a.txt", "one\n");
    let text = "git init -q --bare remote.git && git init -q --bare other.git && git init -q -b main && git add a.txt && \
                git -c user.name=Test -c user.email=test@example.org commit -q -m first && \
                git remote add origin ./remote.git && git remote add other ./other.git && git tag one && git tag two";
    place.program("sh", ["-c", text]).output().exits(0);
    place
}

/// `ringfort run OPTIONS -- WORDS` where there is no terminal.
fn alone(place: &Place, options: &[&str], words: &[&str]) -> Program {
    let mut program = place.program("setsid", ["--wait".into(), binary()]);
    program.command.arg("run").args(options).arg("--").args(words);
    program
}

const PUSH: [&str; 5] = ["git", "push", "--force", "origin", "main"];

fn approvals(place: &Place, words: &[&str]) -> Output {
    place.ringfort(["--json", "approvals"].iter().chain(words)).output()
}

fn list(place: &Place, words: &[&str]) -> Value {
    let output = approvals(place, &[&["list"], words].concat()).exits(0);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The digest of the only question that waits.
fn waiting(place: &Place) -> String {
    let list = list(place, &[]);
    let questions = list["questions"].as_array().unwrap();
    assert_eq!(questions.len(), 1, "{list}");
    questions[0]["digest"].as_str().unwrap().to_owned()
}

/// Denied for want of a person, with the digest in the message.
#[track_caller]
fn denied(ran: Output) -> Output {
    let ran = ran.exits(126);
    assert!(ran.err().contains("approve-001"), "{ran}");
    ran
}

fn is_pushed(place: &Place) -> bool {
    place.program("git", ["-C", "remote.git", "rev-parse", "-q", "--verify", "main"]).output().code() == Some(0)
}

#[test]
fn what_was_allowed_runs_once_and_is_on_the_record() {
    let place = published();
    let ran = denied(alone(&place, &[], &PUSH).output());
    let digest = waiting(&place);
    let command = format!("ringfort approvals allow {}", &digest[..12]);
    assert!(ran.err().contains(&command), "the person is told what to run: {ran}");
    let shown = approvals(&place, &["show", &digest[..8]]).exits(0).out();
    for text in ["git push --force origin main", place.work.to_str().unwrap(), "policy-008", "high"] {
        assert!(shown.contains(text), "`{text}`: {shown}");
    }
    assert!(!is_pushed(&place));
    approvals(&place, &["allow", &digest[..8], "--yes"]).exits(0);
    assert!(!is_pushed(&place), "an approval does nothing by itself");
    alone(&place, &[], &PUSH).output().exits(0);
    assert!(is_pushed(&place));
    denied(alone(&place, &[], &PUSH).output());
    let record = place.ringfort(["--json", "trail", "tail", "-n", "50"]).output().exits(0).out();
    let approvals = record.lines().filter(|line| line.contains("\"kind\":\"approval\"")).collect::<Vec<_>>();
    assert_eq!(approvals.len(), 2, "{record}");
    assert!(approvals[0].contains("approvals.allow") && approvals[0].contains(&digest), "{record}");
    assert!(approvals[1].contains("\"approval\":1") && approvals[1].contains("\"by\":"), "{record}");
    place.ringfort(["trail", "verify"]).output().exits(0);
}

#[test]
fn deny_whatever_is_not_exactly_what_was_allowed() {
    type Change = fn(&Place) -> Program;
    let cases: [(&str, Change); 8] = [
        ("another argument", |place| alone(place, &[], &["git", "push", "--force", "origin", "main:evil"])),
        ("an option less", |place| alone(place, &[], &["git", "push", "origin", "main"])),
        ("as text for a shell", |place| alone(place, &[], &["git push --force origin main"])),
        ("another folder", |place| {
            fs::create_dir(place.work.join("sub")).unwrap();
            alone(place, &["--workspace", place.work.to_str().unwrap()], &PUSH).cwd(place.work.join("sub"))
        }),
        ("another policy", |place| alone(place, &["--set", "autonomy.max_actions_per_hour=599"], &PUSH)),
        ("another environment", |place| alone(place, &[], &PUSH).env("EDITOR", "evil")),
        ("another program of that name", |place| {
            let other = place.home.join(".cargo/bin/git");
            place.write(&other, "#!/bin/sh\ntouch evil\n");
            fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).unwrap();
            let path = format!("{}:/usr/bin:/bin", other.parent().unwrap().display());
            alone(place, &[], &PUSH).env("PATH", path)
        }),
        ("a file of that name in the folder", |place| {
            // A word that names a file is bound to what is in it.
            place.write("main", "new\n");
            alone(place, &[], &PUSH)
        }),
    ];
    for (what, change) in cases {
        let place = published();
        denied(alone(&place, &[], &PUSH).output());
        approvals(&place, &["allow", &waiting(&place), "--yes"]).exits(0);
        let ran = change(&place).output();
        assert_eq!(ran.code(), Some(126), "{what}: {ran}");
        assert!(!is_pushed(&place) && !place.work.join("evil").exists(), "{what}: {ran}");
    }
}

#[test]
fn deny_a_script_that_changed_after_it_was_allowed() {
    // As the words of a command, and inside the text for a shell: neither runs what nobody saw.
    for words in [&["sh", "job.sh"][..], &["sh job.sh && true"]] {
        let place = Place::new();
        let options = ["--set", "autonomy.ask=all"];
        place.write("job.sh", "echo harmless > harmless.txt\n");
        denied(alone(&place, &options, words).output());
        approvals(&place, &["allow", &waiting(&place), "--yes"]).exits(0);
        place.write("job.sh", "echo evil > evil.txt\n");
        denied(alone(&place, &options, words).output());
        assert!(!place.work.join("evil.txt").exists(), "{words:?}");
        // Put back, it is what was allowed.
        place.write("job.sh", "echo harmless > harmless.txt\n");
        alone(&place, &options, words).output().exits(0);
        assert!(place.work.join("harmless.txt").exists(), "{words:?}");
    }
}

#[test]
fn deny_a_program_that_changed_after_it_was_allowed() {
    let place = Place::new();
    let options = ["--set", "autonomy.ask=all"];
    let tool = place.write("tool", "#!/bin/sh\necho harmless > harmless.txt\n");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    denied(alone(&place, &options, &["./tool"]).output());
    approvals(&place, &["allow", &waiting(&place), "--yes"]).exits(0);
    fs::write(&tool, "#!/bin/sh\necho evil > evil.txt\n").unwrap();
    denied(alone(&place, &options, &["./tool"]).output());
    assert!(!place.work.join("evil.txt").exists());
}

#[test]
fn a_shape_covers_its_variants_and_nothing_else() {
    let place = Place::new();
    let options = ["--set", "autonomy.ask=all"];
    for name in ["a.txt", "b.txt", ".env"] {
        place.write(name, name);
    }
    place.write("sub/c.txt", "c");
    denied(alone(&place, &options, &["cp", "a.txt", "one.txt"]).output());
    let digest = waiting(&place);
    let shown = approvals(&place, &["show", &digest]).exits(0).out();
    assert!(shown.contains("cp <any file of the workspace, read> <any file of the workspace, written>"), "{shown}");
    let allowed = approvals(&place, &["allow", &digest, "--shape", "--for", "1h", "--yes"]).exits(0);
    assert!(allowed.out().contains("\"extent\":\"shape\""), "{allowed}");
    for (words, made) in [
        (["cp", "a.txt", "one.txt"], "one.txt"),
        (["cp", "b.txt", "two.txt"], "two.txt"),
        (["cp", "sub/c.txt", "sub/three.txt"], "sub/three.txt"),
    ] {
        alone(&place, &options, &words).output().exits(0);
        assert!(place.work.join(made).exists(), "{words:?}");
    }
    for words in [
        &["mv", "a.txt", "four.txt"][..],
        &["cp", "-f", "a.txt", "four.txt"],
        &["cp", "a.txt", "b.txt", "four.txt"],
        &["cp", ".env", "four.txt"],
        &["cp", "a.txt", ".envrc"],
        &["cp", "/etc/hostname", "four.txt"],
        &["cp a.txt four.txt && cp b.txt four.txt"],
        &["sh", "-c", "cp a.txt four.txt"],
        &["env", "cp", "a.txt", "four.txt"],
    ] {
        let ran = alone(&place, &options, words).output();
        assert_eq!(ran.code(), Some(126), "{words:?}: {ran}");
        assert!(!place.work.join("four.txt").exists(), "{words:?}");
    }
    // The same under another policy is another question.
    let ran = alone(
        &place,
        &["--set", "autonomy.ask=all", "--set", "autonomy.max_actions_per_hour=599"],
        &["cp", "a.txt", "five.txt"],
    );
    denied(ran.output());
    let id = list(&place, &[])["approvals"][0]["id"].to_string();
    approvals(&place, &["revoke", &id]).exits(0);
    denied(alone(&place, &options, &["cp", "b.txt", "six.txt"]).output());
    assert!(!place.work.join("six.txt").exists());
}

#[test]
fn deny_another_remote_host_or_reference_by_the_shape_of_a_push() {
    let place = published();
    let push = ["git", "push", "origin", "one"];
    denied(alone(&place, &[], &push).output());
    approvals(&place, &["allow", &waiting(&place), "--shape", "--yes"]).exits(0);
    alone(&place, &[], &push).output().exits(0);
    for words in [
        &["git", "push", "other", "one"][..],
        &["git", "push", "origin", "two"],
        &["git", "push", "--force", "origin", "one"],
        &["git", "push", "origin", "one", "--delete"],
        &["git", "-c", "core.hooksPath=.", "push", "origin", "one"],
    ] {
        denied(alone(&place, &[], words).output());
    }
    alone(&place, &[], &push).output().exits(0);
}

#[test]
fn deny_shapes_and_sessions_that_cannot_be() {
    let place = Place::new();
    let options = ["--set", "autonomy.ask=all"];
    place.write("job.sh", "touch made\n");
    denied(alone(&place, &options, &["sh", "job.sh"]).output());
    let digest = waiting(&place);
    for extent in ["--shape", "--session"] {
        let refused = approvals(&place, &["allow", &digest, extent, "--yes"]).exits(2);
        assert!(refused.err().contains("help:"), "{refused}");
    }
    for life in ["0s", "25h", "x", "-1h", ""] {
        approvals(&place, &["allow", &digest, "--for", life, "--yes"]).exits(2);
    }
    approvals(&place, &["allow", &digest, "--shape", "--session", "--yes"]).exits(2);
    denied(alone(&place, &options, &["sh", "job.sh"]).output());
    assert!(list(&place, &["--all"])["approvals"].as_array().unwrap().is_empty());
}

#[test]
fn deny_what_has_expired_or_was_refused() {
    let place = published();
    denied(alone(&place, &[], &PUSH).output());
    let digest = waiting(&place);
    approvals(&place, &["allow", &digest, "--for", "1s", "--yes"]).exits(0);
    std::thread::park_timeout(std::time::Duration::from_millis(1100));
    denied(alone(&place, &[], &PUSH).output());
    assert!(!is_pushed(&place));
    approvals(&place, &["deny", &digest]).exits(0);
    let ran = denied(alone(&place, &[], &PUSH).output());
    assert!(ran.err().contains("said no"), "{ran}");
    assert!(list(&place, &[])["questions"].as_array().unwrap().is_empty(), "a no is not asked again");
    let refused = approvals(&place, &["allow", &digest, "--yes"]).exits(2);
    assert!(refused.err().contains("denied already"), "{refused}");
}

#[test]
fn deny_all_but_one_of_two_processes_that_race() {
    for _ in 0..3 {
        let place = Place::new();
        // Each leaves a mark of its own, so that two winners show.
        place.write("job.sh", "echo ran >> marks.txt; sleep 0.2\n");
        let job = ["sh", "job.sh"];
        let options = ["--set", "autonomy.ask=all"];
        denied(alone(&place, &options, &job).output());
        approvals(&place, &["allow", &waiting(&place), "--yes"]).exits(0);
        let codes: Vec<_> = std::thread::scope(|scope| {
            let racers: Vec<_> =
                (0..4).map(|_| scope.spawn(|| alone(&place, &options, &job).output().code())).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 1, "{codes:?}");
        assert_eq!(codes.iter().filter(|code| **code == Some(126)).count(), 3, "{codes:?}");
        assert_eq!(fs::read_to_string(place.work.join("marks.txt")).unwrap(), "ran\n");
    }
}

#[test]
fn deny_what_is_denied_whatever_was_approved() {
    let place = published();
    denied(alone(&place, &[], &PUSH).output());
    approvals(&place, &["allow", &waiting(&place), "--shape", "--yes"]).exits(0);
    alone(&place, &[], &PUSH).output().exits(0);
    // The same words are denied by a stricter policy, and no question is kept.
    let denies = ["--set", "autonomy.deny=[\"git push\"]"];
    let ran = alone(&place, &denies, &PUSH).output().exits(126);
    assert!(!ran.err().contains("approvals allow"), "{ran}");
    let ran = alone(&place, &[], &["cat ~/.ssh/id_ed25519"]).output().exits(126);
    assert!(!ran.err().contains("approvals allow"), "{ran}");
    assert!(list(&place, &[])["questions"].as_array().unwrap().is_empty());
}

#[test]
fn deny_when_the_store_cannot_be_trusted() {
    type Change = fn(PathBuf);
    let cases: [(&str, Change); 4] = [
        ("damaged", |file| fs::write(file, "approved\n".repeat(2000)).unwrap()),
        ("a link", |file| {
            let elsewhere = file.with_file_name("elsewhere");
            fs::rename(&file, &elsewhere).unwrap();
            std::os::unix::fs::symlink(elsewhere, file).unwrap();
        }),
        ("others may write it", |file| fs::set_permissions(file, fs::Permissions::from_mode(0o666)).unwrap()),
        ("a folder", |file| {
            fs::remove_file(&file).unwrap();
            fs::create_dir(file).unwrap();
        }),
    ];
    for (what, change) in cases {
        let place = published();
        denied(alone(&place, &[], &PUSH).output());
        approvals(&place, &["allow", &waiting(&place), "--yes"]).exits(0);
        change(place.state.join("ringfort.db"));
        let ran = alone(&place, &[], &PUSH).output().exits(126);
        assert!(ran.err().contains("approve-002"), "{what}: {ran}");
        assert!(!is_pushed(&place), "{what}");
        let listed = approvals(&place, &["list"]).exits(3);
        assert!(listed.err().contains("ringfort.db") && listed.err().contains("help:"), "{what}: {listed}");
        // What needs no approval does not depend on it.
        alone(&place, &[], &["/bin/true"]).output().exits(0);
    }
}

#[test]
fn what_is_allowed_never_opens_the_store() {
    let place = published();
    alone(&place, &[], &["git", "status"]).output().exits(0);
    assert!(!place.state.join("ringfort.db").exists());
}

#[test]
fn deny_answers_without_a_person_and_from_inside_a_cage() {
    let place = published();
    denied(alone(&place, &[], &PUSH).output());
    let digest = waiting(&place);
    let refused = approvals(&place, &["allow", &digest]).exits(2);
    assert!(refused.err().contains("terminal"), "{refused}");
    // The caged program tries what the message says, in every way it can reach the binary.
    let text = format!(
        "rf=$HOME/.local/bin/ringfort; [ -x \"$rf\" ] || rf=$(command -v ringfort); \
         \"$rf\" approvals allow {digest} --yes; echo one-$?; \
         env -u RINGFORT_BROKER \"$rf\" approvals allow {digest} --yes; echo two-$?; \
         \"$rf\" --state {} approvals allow {digest} --yes; echo three-$?; \"$rf\" approvals list; echo four-$?",
        place.state.display()
    );
    place.write("agent.sh", &text);
    let inside = alone(&place, &[], &["sh", "agent.sh"]).output();
    for number in ["one", "two", "three", "four"] {
        assert!(!inside.out().contains(&format!("{number}-0\n")) || number == "two", "{inside}");
    }
    assert_eq!(waiting(&place), digest, "it still waits: {inside}");
    denied(alone(&place, &[], &PUSH).output());
    assert!(!is_pushed(&place));
}

#[test]
fn a_nested_question_is_answered_for_its_session_and_ends_with_it() {
    let place = published();
    // The agent asks, waits for its person, asks twice more.
    let text = "rf=$HOME/.local/bin/ringfort; [ -x \"$rf\" ] || rf=$(command -v ringfort)\n\
                \"$rf\" run -- git push origin one; echo first-$? >> log.txt\n\
                while [ ! -e go ]; do sleep 0.05; done\n\
                \"$rf\" run -- git push origin one; echo second-$? >> log.txt\n\
                \"$rf\" run -- git push origin one; echo third-$? >> log.txt\n\
                \"$rf\" run -- git push origin two; echo fourth-$? >> log.txt\n";
    place.write("agent.sh", text);
    std::thread::scope(|scope| {
        let agent = scope.spawn(|| alone(&place, &[], &["sh", "agent.sh"]).output());
        let log = || fs::read_to_string(place.work.join("log.txt")).unwrap_or_default();
        crate::support::until(crate::support::TIME_MAX, || log().contains("first-").then_some(())).unwrap();
        let digest = waiting(&place);
        let principal = list(&place, &[])["questions"][0]["principal"].to_string();
        assert!(principal.contains("\"sh\""), "the agent asks, not its person: {principal}");
        approvals(&place, &["allow", &digest, "--session", "--yes"]).exits(0);
        place.write("go", "");
        let ran = agent.join().unwrap();
        assert_eq!(log(), "first-126\nsecond-0\nthird-0\nfourth-126\n", "{ran}");
    });
    let all = list(&place, &["--all"]);
    assert_eq!(all["approvals"][0]["state"], "ended", "{all}");
    assert_eq!(all["approvals"][0]["uses"], 2, "{all}");
}

/// What Claude Code sends before a shell command, in a mode in which it asks nobody.
fn headless(place: &Place, session: &str, command: &str) -> Value {
    let mut message = bash(place, command);
    message["permission_mode"] = "bypassPermissions".into();
    message["session_id"] = session.into();
    message
}

#[test]
fn a_hook_that_nobody_answers_keeps_the_question() {
    let push = "git push origin one";
    for (extent, same, again, elsewhere, other) in [
        // the same again, a third time, in another session, another reference
        (&[][..], "none", "deny", "deny", "deny"),
        (&["--session"], "none", "none", "deny", "deny"),
        (&["--shape"], "none", "none", "none", "deny"),
    ] {
        let place = published();
        let (answer, why) = verdict(&place, &headless(&place, "s1", push));
        assert_eq!(answer, "deny", "{why}");
        let digest = waiting(&place);
        assert!(why.contains(&format!("ringfort approvals allow {}", &digest[..12])), "{why}");
        approvals(&place, &[&["allow", &digest, "--yes"][..], extent].concat()).exits(0);
        for (session, command, expected) in
            [("s1", push, same), ("s1", push, again), ("s2", push, elsewhere), ("s1", "git push origin two", other)]
        {
            let (answer, why) = verdict(&place, &headless(&place, session, command));
            assert_eq!(answer, expected, "{extent:?} {session} {command}: {why}");
        }
    }
}

#[test]
fn deny_an_agent_that_answers_its_own_question() {
    let place = published();
    assert_eq!(verdict(&place, &headless(&place, "s1", "git push origin one")).0, "deny");
    let digest = waiting(&place);
    for command in [
        format!("ringfort approvals allow {digest}"),
        format!("ringfort approvals allow {digest} --yes"),
        format!("ringfort --json approvals allow {digest} --shape --yes"),
        format!("yes | ringfort approvals allow {digest}"),
        format!("{} approvals allow {digest} --yes", binary().display()),
        format!("sh -c 'ringfort approvals allow {digest} --yes'"),
        format!("ringfort run -- ringfort approvals allow {digest} --yes"),
        format!("script -qc 'ringfort approvals allow {digest}' /dev/null <<< y"),
        format!("env -u X ringfort approvals allow {digest} --yes"),
        "ringfort approvals revoke 1".to_owned(),
        format!("ringfort approvals deny {digest}"),
        "sqlite3 ~/.local/state/ringfort/ringfort.db 'UPDATE approval_grant SET state = 1'".to_owned(),
        "cp x.db ~/.local/state/ringfort/ringfort.db".to_owned(),
        "cat ~/.local/state/ringfort/ringfort.db".to_owned(),
        "rm ~/.local/state/ringfort/ringfort.db".to_owned(),
        "rm -r ~/.local/state/ringfort".to_owned(),
    ] {
        for mode in ["default", "bypassPermissions"] {
            let mut message = headless(&place, "s1", &command);
            message["permission_mode"] = mode.into();
            let (answer, why) = verdict(&place, &message);
            assert_eq!(answer, "deny", "{mode} `{command}`: {why}");
            assert!(!why.contains("approvals allow"), "what is denied is no question: `{command}`: {why}");
        }
    }
}

#[test]
fn deny_a_call_whose_files_changed_after_it_was_allowed() {
    for (command, file) in [
        ("bash b.sh", "b.sh"),
        ("bash < b.sh", "b.sh"),
        ("cat b.sh | bash", "b.sh"),
        ("npm run build", "package.json"),
        ("make all", "Makefile"),
        ("cargo build", "build.rs"),
        ("cat link/x", "link"),
    ] {
        for changes in [false, true] {
            let place = Place::new();
            let (one, two) = (place.outside.join("one"), place.outside.join("two"));
            let write = |what: &str| match file {
                "link" => {
                    let target = if what == "1" { &one } else { &two };
                    drop(std::fs::remove_file(place.work.join(file)));
                    std::os::unix::fs::symlink(target, place.work.join(file)).unwrap();
                }
                _ => std::fs::write(place.work.join(file), what).unwrap(),
            };
            [&one, &two].into_iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
            write("1");
            let (answer, why) = verdict(&place, &headless(&place, "s1", command));
            assert_eq!(answer, "deny", "{command}: {why}");
            approvals(&place, &["allow", &waiting(&place), "--yes"]).exits(0);
            if changes {
                write("2");
            }
            let (answer, why) = verdict(&place, &headless(&place, "s1", command));
            assert_eq!(answer, if changes { "deny" } else { "none" }, "{command} {changes}: {why}");
        }
    }
}
