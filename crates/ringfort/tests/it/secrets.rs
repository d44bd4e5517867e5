// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: a stored secret reaches the run that it was named for, and nothing else: no command line, no record, no file,
//! no message, no output, no agent.
//!
//! In: values that stand nowhere else, ids, programs that show what they have. Out: what they show, and everything that
//! is left on the disk.

mod no_key_ring;
mod rekey;
mod restore;
mod supervisor;

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::hook::{bash, before, record, verdict};
use crate::pty::Pty;
use crate::support::{Output, Place, Program, until};

/// A value that stands nowhere else.
const VALUE: &str = "swordfish-4711-quite-unlike-anything";

/// `ringfort secrets` with these words and this on standard input.
fn secrets(place: &Place, line: &str, input: &str) -> Output {
    place.ringfort(["secrets"].into_iter().chain(line.split_whitespace())).input(input).output()
}

fn stored(id: &str, limits: &str) -> Place {
    let place = Place::new();
    secrets(&place, &format!("set {id} {limits}"), VALUE).exits(0);
    place
}

/// `ringfort run` with these options, and a shell that runs `text`.
fn given(place: &Place, options: &str, text: &str) -> Program {
    let words = ["run"].into_iter().chain(options.split_whitespace()).chain(["--", "sh", "-c", text]);
    place.ringfort(words)
}

/// Every file below a folder that holds `needle`.
pub(crate) fn holding(folder: &Path, needle: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let bytes = fs::read(entry.path()).unwrap();
                if bytes.windows(needle.len()).any(|window| window == needle) {
                    found.push(entry.path().display().to_string());
                }
            }
        }
    }
    found
}

#[track_caller]
fn nowhere(place: &Place, output: &Output) {
    assert!(!output.out().contains(VALUE) && !output.err().contains(VALUE), "{output}");
    assert_eq!(holding(&place.root, VALUE.as_bytes()), [] as [String; 0]);
}

#[test]
fn the_first_secret_is_used_within_two_commands() {
    let place = Place::new();
    let output = secrets(&place, "set github.token", VALUE).exits(0);
    nowhere(&place, &output);
    assert!(output.out().contains("--secret github.token=GITHUB_TOKEN"), "{output}");
    let output = given(&place, "--secret github.token=GITHUB_TOKEN", "echo ${#GITHUB_TOKEN}").output().exits(0);
    assert_eq!(output.out().trim(), VALUE.len().to_string(), "{output}");
    // The id makes a name where none is given, and another process reads it again.
    let output = given(&place, "--secret github.token", "echo ${#GITHUB_TOKEN}").output().exits(0);
    assert_eq!(output.out().trim(), VALUE.len().to_string(), "{output}");
    nowhere(&place, &output);
    let record = record(&place);
    for part in [
        "\"event\":\"secrets.create\"",
        "\"event\":\"secrets.set\"",
        "secret github.token as variable GITHUB_TOKEN of sh",
        "\"result\":\"released\"",
    ] {
        assert!(record.contains(part), "{part}: {record}");
    }
    let intent = record.find("secret github.token as").unwrap();
    assert!(record[..intent].contains("echo ${#GITHUB_TOKEN}"), "the command was admitted before: {record}");
    place.ringfort(["trail", "verify"]).output().exits(0);
}

#[test]
fn a_value_is_stored_as_it_was_given() {
    let place = Place::new();
    for (options, input, expected) in [
        ("", "plain", "plain"),
        ("", "line\n", "line"),
        ("", "line\n\n", "line\n"),
        ("", "line\r\n", "line"),
        ("", " spaces kept \n", " spaces kept "),
        ("--raw", "line\n", "line\n"),
    ] {
        secrets(&place, &format!("set a.b {options}"), input).exits(0);
        let output = place.ringfort(["--json", "secrets", "get", "a.b", "--reveal"]).output().exits(0);
        let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(shown["value"], expected, "{input:?} {options}");
    }
    assert!(secrets(&place, "set a.c", "").exits(2).err().contains("the value is empty"));
    assert!(secrets(&place, "set a.c", "\n").exits(2).err().contains("the value is empty"));
    secrets(&place, "set a.c", &"x".repeat(64 * 1024 + 1)).exits(2);
    secrets(&place, "get a.c", "").exits(2);
}

#[test]
fn deny_a_value_on_the_command_line_without_repeating_it() {
    let place = Place::new();
    for line in [
        format!("set github.token {VALUE}"),
        format!("set github.token --value {VALUE}"),
        format!("set github.token --value={VALUE}"),
        format!("set github.token -p{VALUE}"),
        format!("set {VALUE}* x"),
        format!("rotate github.token {VALUE}"),
        format!("--json set github.token {VALUE}"),
    ] {
        let output = secrets(&place, &line, "").exits(2);
        nowhere(&place, &output);
        assert!(!output.err().contains("swordfish"), "{output}");
    }
    let output = place.ringfort(["run", "--secret", &format!("{VALUE}/x"), "--", "true"]).output().exits(2);
    nowhere(&place, &output);
}

#[test]
fn deny_what_was_not_named_or_does_not_exist() {
    let place = stored("github.token", "");
    let output = given(&place, "", "env; echo ran").output().exits(0);
    nowhere(&place, &output);
    for (options, status) in [
        ("--secret github.tokens", 2),
        ("--secret github", 2),
        ("--secret github.*", 2),
        ("--secret *=X", 2),
        ("--secret github.token=LD_PRELOAD", 2),
        ("--secret github.token=PATH", 2),
        ("--secret github.token=RINGFORT_BROKER", 2),
        ("--secret github.token=A --secret github.token=A", 2),
        ("--secret github.token --secret nope", 2),
    ] {
        let output = given(&place, options, "echo ran").output().exits(status);
        assert!(!output.out().contains("ran"), "{options}: {output}");
    }
    // Of two secrets the first is not opened when the second is not given.
    assert!(!record(&place).contains("released"));
}

#[test]
fn deny_beyond_the_limits_of_the_secret() {
    for (limits, options, rule) in [
        ("--tool gh", "--secret a.b=B", "stored-003"),
        ("--principal claude", "--secret a.b=B", "stored-002"),
        ("--env TOKEN", "--secret a.b=B", "stored-004"),
        ("--host api.example.com", "--network door --secret a.b=B", "stored-005"),
        ("--expires 1s", "--secret a.b=B", "stored-001"),
    ] {
        let place = stored("a.b", limits);
        if limits.contains("expires") {
            std::thread::park_timeout(std::time::Duration::from_millis(1100));
        }
        let output = given(&place, options, "echo ran").output().exits(126);
        assert!(output.err().contains(rule) && !output.out().contains("ran"), "{limits}: {output}");
        let record = record(&place);
        assert!(record.contains(rule) && record.contains("\"result\":\"denied\""), "{record}");
        nowhere(&place, &output);
    }
    for (limits, options) in [
        ("--tool sh", "--secret a.b=B"),
        ("--principal sh", "--secret a.b=B"),
        ("--env B --env C", "--secret a.b=B"),
        ("--host api.example.com", "--network off --secret a.b=B"),
        ("--expires 1h", "--secret a.b=B"),
    ] {
        let place = stored("a.b", limits);
        let output = given(&place, options, "echo ${#B}").output().exits(0);
        assert_eq!(output.out().trim(), VALUE.len().to_string(), "{limits}: {output}");
    }
}

#[test]
fn deny_what_the_policy_or_a_project_closes() {
    let place = stored("prod.key", "");
    place.write("ringfort.toml", "[secrets]\ndeny = [\"prod.*\"]\n");
    let output = given(&place, "--secret prod.key=KEY", "echo ran").output().exits(126);
    assert!(output.err().contains("release-001") && !output.out().contains("ran"), "{output}");
    fs::remove_file(place.work.join("ringfort.toml")).unwrap();
    let closed = "--set secrets.allow=[\"dev.*\"] --secret prod.key=KEY";
    let output = given(&place, closed, "echo ran").output().exits(126);
    assert!(output.err().contains("release-002"), "{output}");
    given(&place, "--set secrets.allow=[\"prod.*\"] --secret prod.key=KEY", "echo ran").output().exits(0);
    // A project cannot open what the user's policy closes, or choose where secrets are.
    for widening in ["allow = [\"*\"]", "backend = \"env\"", "allow_fallback = true"] {
        place.write("ringfort.toml", format!("[secrets]\n{widening}\n"));
        given(&place, "--secret prod.key=KEY", "echo ran").output().exits(2);
    }
}

#[test]
fn redact_what_a_program_prints_of_it() {
    let place = stored("a.b", "");
    let text = "echo \"<$B>\"; echo $B >&2; printf %s $B | cut -c1-12 | tr -d '\\n'; printf %s $B | cut -c13-; \
                printf 'Authorization: %s' $B | base64 -w0; echo; printf %s done";
    let output = given(&place, "--secret a.b=B", text).output().exits(0);
    nowhere(&place, &output);
    assert!(output.out().starts_with("<*[REDACTED]>\n") && output.out().ends_with("done"), "{output}");
    assert_eq!(output.err().trim(), "*[REDACTED]", "{output}");
    let encoded = "c3dvcmRmaXNoLTQ3MTE";
    assert!(!output.out().contains(&encoded[3..15]), "{output}");
}

#[test]
fn redact_what_a_nested_run_puts_on_record() {
    let place = stored("a.b", "");
    let text = "\"$0\" run -- sh -c 'echo nested-$1' - \"$B\"";
    let words = ["run", "--secret", "a.b=B", "--", "sh", "-c", text];
    let output = place
        .ringfort(words.into_iter().map(str::to_owned).chain([crate::support::binary().display().to_string()]))
        .output();
    nowhere(&place, &output);
}

#[test]
fn deny_the_store_inside_a_cage() {
    let place = stored("a.b", "");
    place.write(
        "attack.sh",
        "find / -name store.ringfort 2>/dev/null; find / -name secrets.key 2>/dev/null\n\
         cat \"$HOME\"/.local/state/ringfort/secrets/*\nls -a \"$HOME/.local/state/ringfort\"\n\
         ringfort secrets get a.b --reveal --json; echo status=$?\nringfort secrets list; echo status=$?\n\
         ringfort run --secret a.b=B -- sh -c 'echo got=$B'; echo status=$?\n\
         env -u RINGFORT_BROKER ringfort --json secrets get a.b --reveal; echo status=$?\necho end\n",
    );
    let output = place.ringfort(["run", "--secret", "a.b=TOKEN", "--", "sh", "attack.sh"]).output();
    let shown = output.out();
    assert!(shown.ends_with("end\n") && !shown.contains("got=") && !shown.contains("store.ringfort"), "{output}");
    assert!(!shown.contains("secrets.key") && !shown.contains("\"id\""), "{output}");
    let refused: Vec<&str> = shown.lines().filter(|line| line.starts_with("status=")).collect();
    assert_eq!(refused[..3], ["status=1", "status=1", "status=126"], "{output}");
    assert_eq!(refused.len(), 4, "{output}");
    nowhere(&place, &output);
}

#[test]
fn deny_an_agent_at_a_hook() {
    let place = stored("a.b", "");
    for command in [
        "ringfort secrets get a.b --reveal",
        "ringfort --json secrets get a.b --reveal",
        "ringfort secrets list",
        "ringfort secrets set a.b < /dev/null",
        "ringfort secrets unlock",
        "ringfort run --secret a.b=B -- sh -c 'echo $B'",
        "ringfort run --secret=a.b=B -- env",
        "cat ~/.local/state/ringfort/secrets/store.ringfort",
        "cat ~/.local/state/ringfort/keys/secrets.key",
        "cp -r ~/.local/state/ringfort/secrets /tmp/x",
        "cd ~/.local/state && tar c ringfort",
        "base64 ~/.local/state/ringfort/keys/*",
    ] {
        let answer = verdict(&place, &bash(&place, command));
        assert_eq!(answer.0, "deny", "{command}: {answer:?}");
    }
    let file = place.state.join("keys/secrets.key");
    for (tool, input) in [
        ("Read", serde_json::json!({ "file_path": file })),
        ("Read", serde_json::json!({ "file_path": place.state.join("secrets/store.ringfort") })),
        ("Write", serde_json::json!({ "file_path": place.state.join("secrets/store.ringfort"), "content": "" })),
        ("Grep", serde_json::json!({ "pattern": ".", "path": place.state })),
    ] {
        let answer = verdict(&place, &before(&place, tool, &input));
        assert_eq!(answer.0, "deny", "{tool} {input}: {answer:?}");
    }
}

#[test]
fn deny_an_agent_that_asks_by_itself() {
    let place = stored("a.b", "");
    for words in [
        vec!["--json", "secrets", "get", "a.b", "--reveal"],
        vec!["run", "--secret", "a.b=B", "--", "sh", "-c", "echo got=$B"],
    ] {
        let output = place.ringfort(words).env("CLAUDECODE", "1").output();
        assert!(matches!(output.code(), Some(1 | 126)), "{output}");
        assert!(output.err().contains("release-003") || output.err().contains("approve-001"), "{output}");
        assert!(!output.out().contains("got="), "{output}");
        nowhere(&place, &output);
    }
}

#[test]
fn deny_the_value_to_other_processes() {
    let place = stored("a.b", "");
    let mut running = {
        let mut program = given(&place, "--secret a.b=B", "echo ready; sleep 5; true");
        program.command.stdout(std::process::Stdio::piped());
        program.spawn()
    };
    // No command line of any process, while it runs.
    let supervisor = running.pid();
    let seen = until(std::time::Duration::from_secs(20), || {
        let children = fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children")).ok()?;
        (!children.trim().is_empty()).then_some(())
    });
    assert!(seen.is_some());
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        assert!(!line.windows(VALUE.len()).any(|part| part == VALUE.as_bytes()), "{}", process.path().display());
    }
    let environment = fs::read(format!("/proc/{supervisor}/environ")).unwrap_or_default();
    assert!(!environment.windows(VALUE.len()).any(|part| part == VALUE.as_bytes()), "the supervisor's environment");
    drop(running.0.kill());
    drop(running.0.wait());
}

#[test]
fn what_is_there_is_listed_changed_rotated_and_deleted() {
    let place = stored("a.b", "--label team=web");
    secrets(&place, "set c.d", "other-value").exits(0);
    let output = secrets(&place, "--json list", "").exits(0);
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&list["count"], &list["items"][0]["id"], &list["items"][1]["id"]),
        (&2.into(), &"a.b".into(), &"c.d".into())
    );
    nowhere(&place, &output);
    secrets(&place, "limit a.b --tool gh --env TOKEN --expires 90d", "").exits(0);
    let output = secrets(&place, "--json get a.b", "").exits(0);
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&shown["tools"][0], &shown["labels"]["team"]), (&"gh".into(), &"web".into()), "{shown}");
    assert!(shown.get("value").is_none() && shown["expires"].is_string(), "{shown}");
    secrets(&place, "limit a.b --any-tool --any-env --never-expires", "").exits(0);
    secrets(&place, "limit a.b", "").exits(2);
    secrets(&place, "limit a.b --env PATH", "").exits(2);
    secrets(&place, "rotate a.b", "the-second-value").exits(0);
    let output = given(&place, "--secret a.b=B", "test \"$B\" = the-second-value").output().exits(0);
    nowhere(&place, &output);
    secrets(&place, "rotate a.c", "x").exits(2);
    // Without a terminal a person has to say so.
    assert!(secrets(&place, "delete a.b", "").exits(2).err().contains("--yes"));
    secrets(&place, "delete a.b --yes", "").exits(0);
    secrets(&place, "get a.b", "").exits(2);
    secrets(&place, "delete a.b --yes", "").exits(2);
    given(&place, "--secret a.b=B", "echo ran").output().exits(2);
}

#[test]
fn deny_writing_a_value_where_nobody_reads_it() {
    let place = stored("a.b", "");
    let output = secrets(&place, "get a.b --reveal", "").exits(2);
    nowhere(&place, &output);
    assert!(output.err().contains("no terminal"), "{output}");
    let mut pty = Pty::start(&place.ringfort(["secrets", "get", "a.b", "--reveal"]));
    pty.wait_for(VALUE);
    assert!(pty.ended().success());
}

#[test]
fn a_person_types_values_and_a_passphrase_unseen() {
    let place = Place::new();
    let mut pty = Pty::start(&place.ringfort(["secrets", "set", "a.b"]));
    let cooked = pty.settings();
    pty.wait_for("New passphrase");
    pty.send("correct horse battery staple\n");
    pty.wait_for("Again");
    pty.send("correct horse battery staple\n");
    pty.wait_for("not shown");
    pty.send(format!("{VALUE}\n"));
    pty.wait_for("Again");
    pty.send(format!("{VALUE}\n"));
    pty.wait_for("stored");
    assert!(pty.ended().success());
    assert_eq!(pty.settings(), cooked, "the terminal is itself again");
    assert!(!pty.everything().contains("swordfish") && !pty.everything().contains("horse"), "{}", pty.everything());
    assert!(!place.state.join("keys/secrets.key").exists());
    assert_eq!(holding(&place.root, b"horse battery"), [] as [String; 0]);
}

/// A passphrase that will do.
const PASSPHRASE: &str = "correct horse battery staple";

/// A store with a passphrase, which this user's other processes need not ask for.
fn with_passphrase(place: &Place) -> Pty {
    let mut pty = Pty::start(&place.ringfort(["secrets", "set", "a.b"]));
    for (question, answer) in
        [("New passphrase", PASSPHRASE), ("Again", PASSPHRASE), ("not shown", VALUE), ("Again", VALUE)]
    {
        pty.wait_for(question);
        pty.send(format!("{answer}\n"));
    }
    pty.wait_for("stored");
    assert!(pty.ended().success());
    pty
}

/// Whether the kernel keeps keys between processes here.
fn is_kept(place: &Place) -> bool {
    let kept = secrets(place, "--json status", "").exits(0).out().contains("\"lock\":\"unlocked\"");
    if !kept {
        assert!(!crate::support::skips_are_errors(), "the kernel's key ring is not available");
        eprintln!("skipped: the kernel's key ring is not available here");
    }
    kept
}

#[test]
fn a_passphrase_is_asked_for_once_and_locking_is_verified() {
    let place = Place::new();
    with_passphrase(&place);
    if !is_kept(&place) {
        return;
    }
    // Another process, without a terminal.
    let output = given(&place, "--secret a.b=B", "echo ${#B}").output().exits(0);
    assert_eq!(output.out().trim(), VALUE.len().to_string());
    assert!(secrets(&place, "lock", "").exits(0).out().contains("locked"));
    let output = secrets(&place, "--json status", "").exits(0);
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&status["lock"], &status["locked"], &status["count"]), (&"locked".into(), &true.into(), &0.into()));
    assert_eq!(status["keySource"], "passphrase");
    for output in [
        given(&place, "--secret a.b=B", "echo ran").output().exits(2),
        secrets(&place, "list", "").exits(2),
        secrets(&place, "get a.b", "").exits(2),
        secrets(&place, "unlock", "").exits(2),
    ] {
        assert!(output.err().contains("locked") && output.err().contains("ringfort secrets unlock"), "{output}");
        assert!(!output.out().contains("ran"), "{output}");
    }
    let mut pty = Pty::start(&place.ringfort(["secrets", "unlock"]));
    pty.wait_for("Passphrase of the secrets");
    pty.send(format!("{PASSPHRASE}\n"));
    pty.wait_for("30 minutes");
    assert!(pty.ended().success());
    given(&place, "--secret a.b=B", "true").output().exits(0);
    secrets(&place, "lock", "").exits(0);
    // A run asks as well, where a person sits at a terminal.
    let mut pty = Pty::start(&given(&place, "--secret a.b=B", "echo length-${#B}"));
    pty.wait_for("Passphrase of the secrets");
    pty.send(format!("{PASSPHRASE}\n"));
    pty.wait_for(&format!("length-{}", VALUE.len()));
    assert!(pty.ended().success() && !pty.everything().contains("staple"));
    secrets(&place, "lock", "").exits(0);
}

#[test]
fn deny_guessing_a_passphrase() {
    let place = Place::new();
    with_passphrase(&place);
    secrets(&place, "lock", "").exits(0);
    let mut pty = Pty::start(&place.ringfort(["secrets", "list"]));
    for _ in 0..3 {
        pty.wait_for("Passphrase of the secrets");
        pty.send("wrong wrong wrong\n");
        pty.wait_for("That is not the passphrase");
    }
    pty.wait_for("3 wrong passphrases");
    pty.wait_for("--forgotten");
    assert_eq!(pty.ended().code(), Some(2));
    let mut pty = Pty::start(&place.ringfort(["secrets", "list"]));
    for _ in 0..2 {
        pty.wait_for("Passphrase of the secrets");
        pty.send("still wrong\n");
        pty.wait_for("That is not the passphrase");
    }
    pty.wait_for("5 wrong passphrases, so wait for");
    assert_eq!(pty.ended().code(), Some(2));
    // The right one comes too late, in another process as well.
    let mut pty = Pty::start(&place.ringfort(["secrets", "list"]));
    pty.wait_for("5 wrong passphrases, so wait for");
    assert_eq!(pty.ended().code(), Some(2));
    // While it is locked nobody gets around the passphrase.
    let mut pty = Pty::start(&place.ringfort(["secrets", "passphrase", "--forgotten"]));
    pty.wait_for("only its passphrase opens it");
    assert_eq!(pty.ended().code(), Some(2));
    assert!(!pty.everything().contains("wrong wrong"), "{}", pty.everything());
}

#[test]
fn a_passphrase_is_set_changed_forgotten_and_taken_away() {
    let place = stored("a.b", "");
    let key_file = place.state.join("keys/secrets.key");
    assert!(key_file.exists());
    let locked = secrets(&place, "lock", "").exits(1);
    assert!(locked.out().contains("not locked") && locked.out().contains("ringfort secrets passphrase"), "{locked}");
    let set = |place: &Place, words: &[&str], answers: &[(&str, &str)], end: &str| {
        let mut pty = Pty::start(&place.ringfort(["secrets", "passphrase"].iter().chain(words).copied()));
        for (question, answer) in answers {
            pty.wait_for(question);
            pty.send(format!("{answer}\n"));
        }
        pty.wait_for(end);
        pty.ended().code()
    };
    // Too easy, then not the same twice, then one that will do.
    let answers = [("New passphrase", "password"), ("Again", "password"), ("too easy to guess", "")];
    assert_eq!(set(&place, &[], &answers, "passphrase is empty"), Some(2));
    assert!(key_file.exists());
    let answers = [
        ("New passphrase", PASSPHRASE),
        ("Again", "something else"),
        ("New passphrase", PASSPHRASE),
        ("Again", PASSPHRASE),
    ];
    assert_eq!(set(&place, &[], &answers, "no key file opens the store any more"), Some(0));
    assert!(!key_file.exists(), "the key file is gone");
    if !is_kept(&place) {
        return;
    }
    given(&place, "--secret a.b=B", "true").output().exits(0);
    // Who finds it unlocked needs the old one to change it; who has forgotten it says so.
    let second = "four other words entirely";
    let answers = [("Passphrase of the secrets", PASSPHRASE), ("New passphrase", second), ("Again", second)];
    assert_eq!(set(&place, &[], &answers, "was changed"), Some(0));
    secrets(&place, "lock", "").exits(0);
    let mut pty = Pty::start(&place.ringfort(["secrets", "unlock"]));
    pty.wait_for("Passphrase of the secrets");
    pty.send(format!("{PASSPHRASE}\n"));
    pty.wait_for("That is not the passphrase");
    pty.wait_for("Passphrase of the secrets");
    pty.send(format!("{second}\n"));
    pty.wait_for("unlocked");
    assert!(pty.ended().success());
    let third = "yet another set of words";
    assert_eq!(set(&place, &["--forgotten"], &[("New passphrase", third), ("Again", third)], "was changed"), Some(0));
    let answers = [("Passphrase of the secrets", third), ("Take the passphrase away", "n")];
    assert_eq!(set(&place, &["--remove"], &answers, "Nothing was changed"), Some(1));
    let answers = [("Passphrase of the secrets", third), ("Take the passphrase away", "y")];
    assert_eq!(set(&place, &["--remove"], &answers, "a key file opens the store now"), Some(0));
    secrets(&place, "lock", "").exits(1);
    given(&place, "--secret a.b=B", "true").output().exits(0);
    assert_eq!(holding(&place.root, second.as_bytes()), [] as [String; 0]);
    secrets(&place, "lock", "").exits(1);
}

#[test]
fn deny_the_key_ring_inside_a_cage() {
    let place = Place::new();
    with_passphrase(&place);
    if !is_kept(&place) {
        return;
    }
    place.write(
        "ring.py",
        "import ctypes\n\
         libc = ctypes.CDLL(None, use_errno=True)\n\
         for ring in [-1, -2, -3, -4, -5]:\n    \
             buffer = ctypes.create_string_buffer(4096)\n    \
             n = libc.syscall(250, 11, ring, buffer, 4096, 0)\n    \
             print('read' if n > 0 else 'refused')\n    \
             n = libc.syscall(250, 10, ring, b'user', b'ringfort', 0)\n    \
             print('found' if n > 0 else 'refused')\n",
    );
    let outside = place.program("python3", ["ring.py"]).output();
    assert!(outside.out().contains("read"), "the attack works outside: {outside}");
    let output = place.run(["python3", "ring.py"]).output().exits(0);
    assert_eq!(output.out().matches("refused").count(), 10, "{output}");
    secrets(&place, "lock", "").exits(0);
}

#[test]
fn a_signal_ends_a_question_and_leaves_the_terminal_as_it_was() {
    let place = Place::new();
    with_passphrase(&place);
    secrets(&place, "lock", "").exits(0);
    for keys in ["\u{3}", "\u{4}", "\n"] {
        let mut pty = Pty::start(&place.ringfort(["secrets", "list"]));
        let cooked = pty.settings();
        pty.wait_for("Passphrase of the secrets");
        pty.send(keys);
        assert_eq!(pty.ended().code(), Some(2), "{}", pty.everything());
        assert_eq!(pty.settings(), cooked, "{keys:?}");
    }
}

#[test]
fn deny_a_backend_that_stands_in_for_another() {
    let place = Place::new();
    for backend in ["dpapi", "env", "vault-of-tomorrow", "tpm2", "secret-service"] {
        let output = secrets(&place, &format!("--set secrets.backend={backend} set a.b"), VALUE).exits(2);
        assert!(output.err().contains("nothing is stored") || output.err().contains("keeps nothing"), "{output}");
        nowhere(&place, &output);
        assert!(!place.state.join("secrets/store.ringfort").exists(), "{backend}");
        let output = secrets(&place, &format!("--json --set secrets.backend={backend} status"), "").exits(0);
        let status: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&status["requestedBackend"], &status["lock"]), (&backend.into(), &"setup_required".into()));
    }
    secrets(&place, "--set secrets.backend=dpapi --set secrets.allow_fallback=true set a.b", VALUE).exits(0);
    // What is stored stays where it is; nothing is written beside it.
    let output = secrets(&place, "--set secrets.backend=tpm2 set a.c", VALUE).exits(2);
    assert!(output.err().contains("nothing is stored"), "{output}");
    given(&place, "--set secrets.backend=tpm2 --secret a.b=B", "true").output().exits(0);
}

#[test]
fn the_value_of_a_variable_opens_the_store_and_no_run_sees_it() {
    let place = Place::new();
    let key = "a-key-from-the-environment-0815";
    let with_key =
        |words: &[&str], input: &str| place.ringfort(words).env("RINGFORT_SECRET_STORE_KEY", key).input(input).output();
    with_key(&["secrets", "set", "a.b"], VALUE).exits(0);
    let status = with_key(&["--json", "secrets", "status"], "").exits(0);
    assert!(status.out().contains("\"keySource\":\"env:RINGFORT_SECRET_STORE_KEY\""), "{status}");
    let output = with_key(&["run", "--secret", "a.b=B", "--", "sh", "-c", "echo ${#B}; env | grep -c STORE_KEY"], "");
    assert_eq!(output.out().trim(), format!("{}\n0", VALUE.len()), "{output}");
    assert_eq!(holding(&place.root, key.as_bytes()), [] as [String; 0]);
    for (name, value) in [("RINGFORT_SECRET_STORE_KEY", "another"), ("UNRELATED", key)] {
        let output = given(&place, "--secret a.b=B", "echo ran").env(name, value).output().exits(2);
        assert!(!output.out().contains("ran"), "{output}");
    }
}

#[test]
fn ways_in_are_added_and_taken_away() {
    let place = stored("a.b", "");
    let slots = |output: Output| -> Vec<String> {
        let value: Value = serde_json::from_slice(&output.exits(0).stdout).unwrap();
        value["slots"].as_array().unwrap().iter().map(|slot| slot["source"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(slots(secrets(&place, "--json slot list", "")), ["key-file"]);
    secrets(&place, "slot remove 1 --yes", "").exits(2);
    secrets(&place, "slot add key-file", "").exits(2);
    secrets(&place, "slot add something", "").exits(2);
    secrets(&place, "slot add passphrase", "").exits(2);
    secrets(&place, "slot remove 7 --yes", "").exits(2);
    let words = ["--json", "secrets", "slot", "add", "env"];
    let added = place.ringfort(words).env("RINGFORT_SECRET_STORE_KEY", "a long value from elsewhere").output();
    assert_eq!(slots(added), ["key-file", "env"]);
    assert_eq!(slots(secrets(&place, "--json slot remove 1 --yes", "")), ["env"]);
    assert!(!place.state.join("keys/secrets.key").exists());
    given(&place, "--secret a.b=B", "echo ran").output().exits(2);
    given(&place, "--secret a.b=B", "true")
        .env("RINGFORT_SECRET_STORE_KEY", "a long value from elsewhere")
        .output()
        .exits(0);
}

#[test]
fn the_kernels_key_ring_opens_a_store_until_the_next_restart() {
    let place = Place::new();
    let output = secrets(&place, "--set secrets.backend=keyutils set a.b", VALUE);
    if output.code() != Some(0) {
        assert!(!crate::support::skips_are_errors(), "{output}");
        eprintln!("skipped: the kernel's key ring is not available here");
        return;
    }
    let status = secrets(&place, "--json --set secrets.backend=keyutils status", "").exits(0);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!((&status["activeBackend"], &status["persistent"]), (&"keyutils".into(), &false.into()), "{status}");
    assert!(!place.state.join("keys/secrets.key").exists());
    given(&place, "--secret a.b=B", "true").output().exits(0);
    // Another way in, and the key is taken out of the ring again.
    secrets(&place, "slot add key-file", "").exits(0);
    secrets(&place, "slot remove 1 --yes", "").exits(0);
    given(&place, "--secret a.b=B", "true").output().exits(0);
}

#[test]
fn targets_are_found_by_their_own_ids_only() {
    let place = stored("tools.web.search.apiKey", "");
    let asked = |words: &[&str]| {
        place
            .ringfort(["--json", "secrets", "resolve"].iter().chain(words).copied())
            .env("TELEGRAM_BOT_TOKEN", "from-the-environment")
            .output()
    };
    let output =
        asked(&["web search", "tools.web.search.apiKey", "channels.telegram.botToken", "talk.apiKey"]).exits(0);
    nowhere(&place, &output);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&answer["resolvedCount"], &answer["inactiveCount"]), (&2.into(), &1.into()), "{answer}");
    assert_eq!(answer["assignments"][0]["source"], "store");
    assert_eq!(answer["assignments"][0]["value"], Value::Null);
    assert!(!output.out().contains("from-the-environment"));
    let output = asked(&["web search", "tools.web.search.apiKey", "--reveal"]).exits(0);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["assignments"][0]["value"], VALUE);
    let record = record(&place);
    assert!(
        record.contains("secrets.resolve") && record.contains("\"result\":\"released\"") && !record.contains(VALUE)
    );
    // No wildcard picks a value, and an unknown id refuses the whole request.
    let output = asked(&["x", "tools.*", "--reveal"]).out();
    assert!(!output.contains(VALUE), "{output}");
    asked(&["x", "no.such.target"]).exits(2);
    assert!(secrets(&place, "resolve x tools.web.search.apiKey --reveal", "").exits(2).err().contains("--json"));
}
