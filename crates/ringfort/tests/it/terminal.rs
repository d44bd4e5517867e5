// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: a program inside has a terminal of its own, and does nothing to the user's but draw on it.
//!
//! In: a terminal, programs that misuse it, keys. Out: what reaches the user's terminal, and its settings afterwards.

use std::time::Duration;

use crate::pty::Pty;
use crate::support::{Place, until};

/// Waits until the terminal is the program's.
#[track_caller]
fn raw(pty: &Pty, cooked: &str) {
    let is_raw = until(Duration::from_secs(30), || (pty.settings() != cooked).then_some(()));
    assert!(is_raw.is_some(), "the terminal never became raw: {}", pty.everything());
    std::thread::park_timeout(Duration::from_millis(300));
}

#[test]
fn deny_clipboard_and_reports() {
    let place = Place::new();
    place.write(
        "evil.sh",
        "printf 'a\\033]52;c;ZXZpbA==\\007b\\033]52;c;ZXZpbA==\\033\\\\c\\033[21td\\033[20te\\005f\\033P$qm\\033\\\\g-done\\n'\n",
    );
    let mut pty = Pty::start(&place.run(["sh", "evil.sh"]));
    pty.wait_for("abcdefg-done");
    pty.ended();
    let bytes = pty.bytes();
    for forbidden in [&b"\x1b]52"[..], b"\x1b[21t", b"\x1b[20t", b"\x05", b"\x1bP$q"] {
        assert!(!bytes.windows(forbidden.len()).any(|part| part == forbidden), "{}", bytes.escape_ascii());
    }
}

#[test]
fn colours_and_cursor_pass() {
    let place = Place::new();
    place.write(
        "draw.sh",
        "printf '\\033[31mred\\033[0m\\033[2;5Hat\\033[?1049h\\033[?1049l\\033]0;title\\007done-\\n'\n",
    );
    let mut pty = Pty::start(&place.run(["sh", "draw.sh"]));
    pty.wait_for("\x1b[31mred\x1b[0m\x1b[2;5Hat\x1b[?1049h\x1b[?1049l\x1b]0;title\x07done-");
    assert!(pty.ended().success());
}

#[test]
fn deny_the_callers_terminal_device() {
    let place = Place::new();
    let text =
        "[ -t 0 ] && [ -t 1 ] && echo has-a-terminal; stat -L -c dev-%t:%T:%d:%i /proc/self/fd/0; echo shown-$((1+1))";
    let device = |pty: &mut Pty| {
        let shown = pty.wait_for("shown-2");
        assert!(shown.contains("has-a-terminal"), "{shown}");
        shown.lines().find(|line| line.starts_with("dev-")).unwrap().to_owned()
    };
    let outer = device(&mut Pty::start(&place.program("bash", ["--norc", "-c", text])));
    let mut pty = Pty::start(
        &place
            .program(
                "bash",
                ["--norc", "-c", &format!("{text}; \"$RF\" run -- bash -c '{text}; echo to-the-terminal > /dev/tty'")],
            )
            .env("RF", crate::support::binary()),
    );
    let before = device(&mut pty);
    let inner = device(&mut pty);
    assert!(before != inner, "{outer} {before} {inner}");
    pty.wait_for("to-the-terminal");
    assert!(pty.ended().success());

    // A program that knows the name of the caller's terminal cannot open it.
    let text = "mine=$(tty); exec \"$RINGFORT\" run -- sh -c \
        'for t in \"$1\" /proc/$2/fd/0 /proc/1/fd/0 /dev/pts/*; do [ \"$t\" = \"$(tty)\" ] || echo INTRUDED > \"$t\"; done; echo tried-$((1+1))' \
        - \"$mine\" $$";
    let program = place.program("bash", ["--norc", "-c", text]).env("RINGFORT", crate::support::binary());
    let mut pty = Pty::start(&program);
    pty.wait_for("tried-2");
    pty.ended();
    let shown = pty.everything();
    // The words of the shell's own complaints name the path, never the text alone on a line.
    assert!(!shown.lines().any(|line| line.trim() == "INTRUDED"), "{shown}");
}

#[test]
fn deny_typing_into_the_terminal() {
    let place = Place::new();
    place.write(
        "type.py",
        "import fcntl, termios, os\n\
         for fd in [0, 1, 2]:\n    \
             for request in [termios.TIOCSTI, termios.TIOCSTI | 1 << 40]:\n        \
                 try:\n            \
                     import ctypes\n            \
                     libc = ctypes.CDLL(None, use_errno=True)\n            \
                     r = libc.ioctl(fd, ctypes.c_ulong(request), b'x')\n            \
                     print('TYPED' if r == 0 else 'refused')\n        \
                 except OSError as e:\n            \
                     print('refused')\n\
         print('tried-' + str(1 + 1))\n",
    );
    let mut pty = Pty::start(&place.run(["python3", "type.py"]));
    pty.wait_for("tried-2");
    pty.ended();
    assert!(!pty.everything().contains("TYPED") && pty.everything().contains("refused"), "{}", pty.everything());
}

#[test]
fn the_terminal_is_given_back_however_the_program_ends() {
    let place = Place::new();
    for text in
        ["exit 0", "exit 9", "kill -SEGV $$", "kill -KILL $$", "stty raw -echo; exit 0", "stty -icanon; kill -ABRT $$"]
    {
        let mut pty = Pty::start(&place.run(["bash", "--norc", "-c", text]));
        // Taken from a twin that nothing has touched.
        let twin = Pty::start(&place.program("sleep", ["5"]));
        let before = twin.settings();
        pty.ended();
        assert_eq!(pty.settings(), before, "after `{text}`: {}", pty.everything());
    }
}

#[test]
fn the_terminal_is_given_back_when_ringfort_is_asked_to_end() {
    let place = Place::new();
    let mut pty = Pty::start(&place.run(["sleep", "100"]));
    let cooked = Pty::start(&place.program("sleep", ["5"])).settings();
    raw(&pty, &cooked);
    let pid = rustix::process::Pid::from_raw(i32::try_from(pty.pid()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    pty.ended();
    assert_eq!(pty.settings(), cooked);
}

#[test]
fn a_shell_outside_stops_and_continues_a_run() {
    let place = Place::new();
    let mut pty =
        Pty::start(&place.program("bash", ["--norc", "-i"]).env("RF", crate::support::binary()).env("PS1", "> "));
    pty.wait_for("> ");
    pty.send("PS1='outer'\\> ; stty -a > before\r");
    pty.wait_for("outer>");
    let cooked = pty.settings();
    pty.send("\"$RF\" run -- sh -c 'echo up-$((1+1)); sleep 100'\r");
    pty.wait_for("up-2");
    std::thread::park_timeout(Duration::from_millis(500));
    pty.send("\x1a");
    pty.wait_for("Stopped");
    pty.wait_for("outer>");
    pty.send("jobs; stty -a > after; cmp before after && echo same-$((1+1))\r");
    pty.wait_for("same-2");
    pty.send("fg\r");
    pty.wait_for("sleep 100");
    std::thread::park_timeout(Duration::from_millis(1000));
    assert_ne!(pty.settings(), cooked, "the terminal is the program's again");
    pty.send("\x03");
    pty.wait_for("outer>");
    pty.send("stty -a > after; cmp before after && echo again-$((1+1))\r");
    pty.wait_for("again-2");
    pty.send("exit\r");
    pty.ended();
}

#[test]
fn keys_reach_the_program_one_by_one() {
    let place = Place::new();
    let mut pty = Pty::start(&place.run(["bash", "--norc", "-c", "read -rsn1 a; read -rsn1 b; echo \"got-$a$b-\""]));
    let cooked = Pty::start(&place.program("sleep", ["5"])).settings();
    raw(&pty, &cooked);
    pty.send("x");
    pty.send("y");
    pty.wait_for("got-xy-");
    assert!(pty.ended().success());
}

#[test]
fn the_end_of_input_reaches_the_program() {
    let place = Place::new();
    let mut pty = Pty::start(&place.run(["sh", "-c", "cat; echo end-$((1+1))"]));
    let cooked = Pty::start(&place.program("sleep", ["5"])).settings();
    raw(&pty, &cooked);
    pty.send("typed\r");
    pty.wait_for("typed\r\ntyped");
    pty.send("\x04");
    pty.wait_for("end-2");
    assert!(pty.ended().success());
}

#[test]
fn a_stream_that_is_captured_is_no_terminal_inside() {
    let place = Place::new();
    let binary = crate::support::binary();
    let text = format!(
        "'{}' run -- sh -c '[ -t 0 ]; echo $?; [ -t 1 ]; echo $?' > out; cat out; echo end-$((1+1))",
        binary.display()
    );
    let mut pty = Pty::start(&place.program("bash", ["--norc", "-c", &text]));
    let shown = pty.wait_for("end-2");
    assert!(shown.contains("0\r\n1\r\n"), "standard input is a terminal, output is not: {shown}");
    pty.ended();
}

/// A shell outside, with jobs.
fn shell(place: &Place) -> Pty {
    let program = place.program("bash", ["--norc", "-i"]).env("RF", crate::support::binary()).env("PS1", "> ");
    let mut pty = Pty::start(&program);
    pty.wait_for("> ");
    pty.send("PS1='outer'\\> \r");
    pty.wait_for("outer>");
    pty
}

#[test]
fn a_run_in_the_background_leaves_the_terminal_alone() {
    let place = Place::new();
    let mut pty = shell(&place);
    let cooked = pty.settings();
    pty.send("\"$RF\" run -- sh -c 'echo made > made.txt; sleep 1; echo end > end.txt' & echo pid-$!-\r");
    pty.wait_for("outer>");
    until(Duration::from_secs(30), || place.work.join("made.txt").exists().then_some(())).expect("it runs");
    assert_eq!(pty.settings(), cooked, "the shell's terminal is not touched");
    pty.send("echo typed-$((1+1))\r");
    pty.wait_for("typed-2");
    pty.send("wait $!; echo status-$?-\r");
    pty.wait_for("status-0-");
    assert!(place.work.join("end.txt").exists());
}

#[test]
fn a_stopped_run_goes_on_in_the_background() {
    let place = Place::new();
    let mut pty = shell(&place);
    let cooked = pty.settings();
    pty.send("\"$RF\" run -- sh -c 'echo up-$((1+1)); sleep 2; echo end > end.txt; read line; echo read-$line-'\r");
    pty.wait_for("up-2");
    std::thread::park_timeout(Duration::from_millis(300));
    pty.send("\x1a");
    pty.wait_for("Stopped");
    pty.wait_for("outer>");
    pty.send("bg; echo typed-$((1+1))\r");
    pty.wait_for("typed-2");
    until(Duration::from_secs(30), || place.work.join("end.txt").exists().then_some(())).expect("it goes on");
    assert_eq!(pty.settings(), cooked, "the shell keeps its terminal");
    // In front again it has the keys again.
    pty.send("fg\r");
    until(Duration::from_secs(30), || (pty.settings() != cooked).then_some(())).expect("the terminal is the program's");
    pty.send("word\r");
    pty.wait_for("read-word-");
    pty.wait_for("outer>");
    assert_eq!(pty.settings(), cooked);
}

#[test]
fn a_run_that_was_stopped_from_outside_continues() {
    let place = Place::new();
    let mut pty = shell(&place);
    pty.send("\"$RF\" run -- sh -c 'echo up-$((1+1)); read line; echo read-$line-'\r");
    pty.wait_for("up-2");
    let cooked = Pty::start(&place.program("sleep", ["5"])).settings();
    until(Duration::from_secs(30), || (pty.settings() != cooked).then_some(())).expect("the terminal is the program's");
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", pty.pid())).unwrap();
    let run =
        children.split_whitespace().next().unwrap().parse().ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(run, rustix::process::Signal::STOP).unwrap();
    pty.wait_for("Stopped");
    pty.wait_for("outer>");
    pty.send("fg\r");
    std::thread::park_timeout(Duration::from_millis(1000));
    pty.send("word\r");
    pty.wait_for("read-word-");
}
