// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: what needs a person's approval happens only after a person has said so, on a terminal that nothing inside
//! can reach, about exactly this.
//!
//! In: a command that asks under the default policy (it publishes), or any command with `autonomy.ask = "all"`, and
//! keys. Out: what was shown, and what happened.

use std::fs;
use std::time::Duration;

use crate::pty::Pty;
use crate::support::{Output, Place, Program};

/// Where the question ends.
const QUESTION: &str = "[N] no: ";
/// It publishes, so it asks. The remote is a folder of the workspace.
const PUSH: [&str; 5] = ["git", "push", "--force", "origin", "main"];

/// A repository with a remote in the workspace.
fn published() -> Place {
    let place = Place::new();
    place.write("a.txt", "one\n");
    let text = "git init -q --bare remote.git && git init -q -b main && git add a.txt && \
                git -c user.name=Test -c user.email=test@example.org commit -q -m first && git remote add origin ./remote.git";
    place.program("sh", ["-c", text]).output().exits(0);
    place
}

fn is_pushed(place: &Place) -> bool {
    place.program("git", ["-C", "remote.git", "rev-parse", "-q", "--verify", "main"]).output().code() == Some(0)
}

/// A command that asks because everything is asked about.
fn asked(place: &Place, words: &[&str]) -> Program {
    let options = ["run", "--set", "autonomy.ask=all", "--"];
    place.ringfort(options.iter().chain(words))
}

fn trail(place: &Place) -> Output {
    place.ringfort(["--json", "trail", "tail", "-n", "50"]).output().exits(0)
}

#[test]
fn a_question_shows_what_who_where_and_why() {
    let place = published();
    let mut pty = Pty::start(&place.run(["git push --force origin main"]));
    let shown = pty.wait_for(QUESTION);
    for text in ["git push --force origin main", place.work.to_str().unwrap(), "risk", "because", "["] {
        assert!(shown.contains(text), "`{text}` is missing: {shown}");
    }
    pty.send("n\r");
    assert_eq!(pty.ended().code(), Some(126), "{}", pty.everything());
}

#[test]
fn deny_a_command_that_hides_itself_in_the_question() {
    let place = Place::new();
    let mut pty = Pty::start(&asked(&place, &["echo \u{1b}[2K\u{1b}[1A\rharmless\u{202e}\u{7} && touch made"]));
    let shown = pty.wait_for(QUESTION);
    let what = shown.split("what").nth(1).unwrap().split("where").next().unwrap();
    for hidden in ["\u{1b}", "\u{202e}", "\u{7}"] {
        assert!(!what.contains(hidden), "{}", what.escape_debug());
    }
    assert!(what.contains("touch made") && what.contains("harmless"), "{what}");
    pty.send("n\r");
    assert_eq!(pty.ended().code(), Some(126));
    assert!(!place.work.join("made").exists());
}

#[test]
fn yes_runs_it_once() {
    let place = published();
    let mut pty = Pty::start(&place.run(PUSH));
    pty.wait_for(QUESTION);
    assert!(!is_pushed(&place), "nothing happens before the answer");
    pty.send("y\r");
    assert_eq!(pty.ended().code(), Some(0), "{}", pty.everything());
    assert!(is_pushed(&place));
    let record = trail(&place).out();
    assert!(record.contains("\"answer\":\"once\""), "{record}");
    // The next run asks again.
    let mut again = Pty::start(&place.run(PUSH));
    again.wait_for(QUESTION);
    again.send("\r");
    assert_eq!(again.ended().code(), Some(126));
}

#[test]
fn deny_whatever_is_no_yes() {
    for keys in [
        "n\r",
        "\r",
        "no\r",
        "\x04",
        "yy\r",
        "ye\r",
        "1\r",
        "yes please\r",
        "\u{1b}[A\r",
        "q\r",
        "y y\r",
        "Y\u{301}\r",
        "\0y\r",
    ] {
        // Each in a place of its own: the loop guard would stop so many equal actions.
        let place = published();
        let mut pty = Pty::start(&place.run(PUSH));
        pty.wait_for(QUESTION);
        pty.send(keys);
        assert_eq!(pty.ended().code(), Some(126), "`{}`: {}", keys.escape_debug(), pty.everything());
        assert!(!is_pushed(&place), "`{}`", keys.escape_debug());
    }
}

#[test]
fn deny_ctrl_c_at_the_question() {
    let place = published();
    let mut pty = Pty::start(&place.run(PUSH));
    pty.wait_for(QUESTION);
    pty.send("\x03");
    // An interrupted question is no yes, whatever is typed afterwards.
    pty.send("n\r");
    assert!(!pty.ended().success(), "{}", pty.everything());
    assert!(!is_pushed(&place));
}

#[test]
fn deny_what_was_typed_ahead() {
    let place = published();
    let text = "sleep 1; exec \"$RF\" run -- git push --force origin main";
    let mut pty = Pty::start(&place.program("bash", ["--norc", "-c", text]).env("RF", crate::support::binary()));
    pty.send("y\ry\ry\r");
    pty.wait_for(QUESTION);
    std::thread::park_timeout(Duration::from_millis(500));
    assert!(!is_pushed(&place), "{}", pty.everything());
    pty.send("n\r");
    assert_eq!(pty.ended().code(), Some(126), "{}", pty.everything());
    assert!(!is_pushed(&place));
}

#[test]
fn deny_without_a_terminal() {
    let place = published();
    let program = place.program("setsid", ["--wait", crate::support::binary().to_str().unwrap(), "run", "--"]);
    let mut program = program;
    program.command.args(PUSH);
    let ran = program.input("y\ny\n").output();
    assert_eq!(ran.code(), Some(126), "{ran}");
    assert!(!is_pushed(&place));
    assert!(ran.err().contains("approval") && ran.err().contains("to allow it"), "the reason and the remedy: {ran}");
}

#[test]
fn deny_an_answer_from_a_pipe() {
    let place = published();
    // The terminal is there, standard input is not it: the pipe does not answer, the person does.
    let text = "yes | \"$RF\" run -- git push --force origin main; echo status-$?-";
    let mut pty = Pty::start(&place.program("bash", ["--norc", "-c", text]).env("RF", crate::support::binary()));
    pty.wait_for(QUESTION);
    std::thread::park_timeout(Duration::from_millis(500));
    assert!(!is_pushed(&place));
    pty.send("n\r");
    pty.wait_for("status-126-");
    pty.ended();
    assert!(!is_pushed(&place));
}

/// What a nested request is started with, inside.
const NESTED: &str = "rf=$HOME/.local/bin/ringfort; [ -x \"$rf\" ] || rf=$(command -v ringfort);";

#[test]
fn an_answer_for_the_session_holds_for_the_session_only() {
    let place = Place::new();
    let text = format!(
        "{NESTED} \"$rf\" run -- mkdir -p made; echo first-$?-; \"$rf\" run -- mkdir -p made; echo second-$?-; \
         \"$rf\" run -- mkdir -p other; echo third-$?-"
    );
    place.write("twice.sh", &text);
    let mut pty = Pty::start(&asked(&place, &["sh", "twice.sh"]));
    pty.wait_for("no: ");
    pty.send("y\r");
    let shown = pty.wait_for("no: ");
    assert!(shown.contains("for this session") && shown.contains("mkdir -p made"), "{shown}");
    pty.send("s\r");
    pty.wait_for("first-0-");
    let next = pty.wait_for("second-0-");
    assert!(!next.contains("approval is needed"), "it asked again: {next}");
    // Another command is another question.
    pty.wait_for("no: ");
    pty.send("n\r");
    pty.wait_for("third-126-");
    pty.ended();
    assert!(place.work.join("made").exists() && !place.work.join("other").exists());
    // And so is another session.
    let mut other = Pty::start(&asked(&place, &["sh", "twice.sh"]));
    other.wait_for("no: ");
    other.send("y\r");
    for _ in 0..3 {
        other.wait_for("no: ");
        other.send("n\r");
    }
    other.wait_for("third-126-");
    let shown = other.everything();
    assert!(shown.contains("first-126-") && shown.contains("second-126-"), "{shown}");
}

#[test]
fn deny_a_program_that_answers_for_the_person() {
    let place = published();
    // While the nested request asks, the agent imitates the person wherever it can write.
    let text = format!(
        "{NESTED}\n\
         (for i in $(seq 1 40); do for t in /dev/tty /dev/pts/* /proc/self/fd/0 /proc/1/fd/0 /dev/stdin; do printf 'y\\n' > $t; done; sleep 0.05; done) 2>/dev/null &\n\
         python3 - <<'END' 2>/dev/null &\n\
         import fcntl, termios, time\n\
         for i in range(40):\n    \
             for c in b'y\\n':\n        \
                 for fd in (0, 1, 2):\n            \
                     try: fcntl.ioctl(fd, termios.TIOCSTI, bytes([c]))\n            \
                     except OSError: pass\n    \
             time.sleep(0.05)\n\
         END\n\
         \"$rf\" run -- git push --force origin main < /dev/null; echo status-$?-\n"
    );
    place.write("agent.sh", &text);
    let mut pty = Pty::start(&place.run(["sh", "agent.sh"]));
    pty.wait_for(QUESTION);
    std::thread::park_timeout(Duration::from_secs(2));
    assert!(!is_pushed(&place), "{}", pty.everything());
    pty.send("n\r");
    pty.wait_for("status-126-");
    pty.ended();
    assert!(!is_pushed(&place));
}

#[test]
fn deny_drawing_over_the_question() {
    let place = published();
    let text = format!(
        "{NESTED}\n(while :; do printf 'IMITATION all is well, press y\\n'; sleep 0.02; done) &\n\
         sleep 0.3; \"$rf\" run -- git push --force origin main < /dev/null; kill $!; echo status-$?-\n"
    );
    place.write("agent.sh", &text);
    let mut pty = Pty::start(&place.run(["sh", "agent.sh"]));
    pty.wait_for("IMITATION");
    pty.wait_for(QUESTION);
    let before = pty.bytes().len();
    std::thread::park_timeout(Duration::from_secs(1));
    let after = pty.everything();
    assert_eq!(after.len(), before, "nothing is relayed while a question is open: {after}");
    pty.send("n\r");
    pty.wait_for("IMITATION");
    pty.wait_for("status-");
    pty.ended();
    assert!(!is_pushed(&place));
}

#[test]
fn deny_a_script_that_changed_after_the_question() {
    let place = Place::new();
    let script = place.write("job.sh", "echo harmless > harmless.txt\n");
    let mut pty = Pty::start(&asked(&place, &["sh", "job.sh"]));
    pty.wait_for("no: ");
    fs::write(&script, "echo evil > evil.txt\n").unwrap();
    pty.send("y\r");
    let status = pty.ended();
    assert!(matches!(status.code(), Some(125 | 126)), "{status}: {}", pty.everything());
    assert!(!place.work.join("evil.txt").exists() && !place.work.join("harmless.txt").exists());
    // Unchanged, the same answer lets it run.
    let mut again = Pty::start(&asked(&place, &["sh", "job.sh"]));
    again.wait_for("no: ");
    again.send("y\r");
    assert_eq!(again.ended().code(), Some(0), "{}", again.everything());
    assert!(place.work.join("evil.txt").exists());
}

#[test]
fn deny_a_program_that_changed_after_the_question() {
    let place = Place::new();
    let program = place.write("tool", "#!/bin/sh\necho harmless > harmless.txt\n");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&program, executable).unwrap();
    let mut pty = Pty::start(&asked(&place, &["./tool"]));
    pty.wait_for("no: ");
    fs::write(&program, "#!/bin/sh\necho evil > evil.txt\n").unwrap();
    pty.send("y\r");
    let status = pty.ended();
    assert!(matches!(status.code(), Some(125 | 126)), "{status}: {}", pty.everything());
    assert!(!place.work.join("evil.txt").exists());
}

#[test]
fn what_is_only_known_at_run_time_is_never_remembered() {
    let place = Place::new();
    place.write("name", "true\n");
    let mut pty = Pty::start(&place.run(["$(cat name) && touch made"]));
    let shown = pty.wait_for("no: ");
    assert!(!shown.contains("for this session"), "{shown}");
    pty.send("s\r");
    let status = pty.ended();
    assert!(!place.work.join("made").exists());
    assert_eq!(status.code(), Some(126), "what was not offered is no answer: {}", pty.everything());
}
