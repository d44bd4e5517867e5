// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: programs that people really use run inside unchanged, with the default policy and no configuration.
//!
//! In: small projects made here. Out: what the programs did to them, seen from outside.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::pty::Pty;
use crate::support::{Output, Place, Program, is_namespaced, skips_are_errors};

/// Who commits.
const ME: &str = "-c user.name=Test -c user.email=test@example.org";

/// Shell text, run inside.
fn inside(place: &Place, text: &str) -> Output {
    place.run([text]).time_max(Duration::from_secs(180)).output()
}

/// Shell text, run outside.
fn outside(place: &Place, text: &str) -> Output {
    place.program("sh", ["-c", text]).output()
}

/// Whether a program is there for everybody; says so where it is not.
fn is_there(program: &str) -> bool {
    let found = ["/usr/local/bin", "/usr/bin", "/bin"].iter().any(|folder| Path::new(folder).join(program).exists());
    assert!(found || !skips_are_errors(), "`{program}` is not installed");
    if !found {
        eprintln!("skipped: `{program}` is not installed");
    }
    found
}

/// Gives the place a toolchain of its own, as rustup keeps it, and says what PATH finds it.
fn give_toolchain(place: &Place) -> String {
    #[expect(clippy::disallowed_methods, reason = "the toolchain of whoever runs the tests")]
    let path = std::env::var("PATH").unwrap();
    #[expect(clippy::disallowed_methods, reason = "the toolchain of whoever runs the tests")]
    let home = std::env::var("HOME").unwrap();
    let asked = place.program("/usr/bin/env", ["rustc", "--print", "sysroot"]).env("PATH", path).env("HOME", home);
    let sysroot = asked.output().exits(0).out();
    symlink(sysroot.trim(), place.home.join(".rustup")).unwrap();
    format!("{}/.rustup/bin:/usr/bin:/bin", place.home.display())
}

fn cargo(place: &Place, text: &str) -> Program {
    let path = format!("{}/.rustup/bin:/usr/bin:/bin", place.home.display());
    place.run([text]).env("PATH", path).env("CARGO_NET_OFFLINE", "true").time_max(Duration::from_secs(300))
}

#[test]
fn git_starts_a_repository_and_commits() {
    let place = Place::new();
    place.write("a.txt", "one\n");
    inside(&place, "git init -q -b main").exits(0);
    inside(&place, "git add a.txt").exits(0);
    inside(&place, &format!("git {ME} commit -q -m first")).exits(0);
    let log = inside(&place, "git log --oneline").exits(0).out();
    assert!(log.contains("first"), "{log}");
    assert!(outside(&place, "git log --format=%s").exits(0).out().contains("first"));
    assert!(outside(&place, "git fsck --strict 2>&1").exits(0).out().is_empty());
}

#[test]
fn git_does_it_all_in_one_session() {
    let place = Place::new();
    let text = format!(
        "git init -q -b main && echo x > a && git add a && git {ME} commit -q -m one && git checkout -q -b side && \
         echo y >> a && git {ME} commit -q -am two && git checkout -q main && git {ME} merge -q side && git log --format=%s"
    );
    assert_eq!(inside(&place, &text).exits(0).out(), "two\none\n");
    assert_eq!(outside(&place, "git log --format=%s").exits(0).out(), "two\none\n");
}

/// A repository that was there before the run.
fn repository() -> Place {
    let place = Place::new();
    place.write("a.txt", "one\n");
    let text = format!("git init -q -b main && git add . && git {ME} commit -q -m first");
    outside(&place, &text).exits(0);
    place
}

#[test]
fn harmless_keys_of_the_git_configuration_arrive() {
    let place = repository();
    inside(&place, "git remote add origin https://git.example/x.git && git config branch.main.remote origin").exits(0);
    inside(&place, "git config branch.main.merge refs/heads/main").exits(0);
    let config = fs::read_to_string(place.work.join(".git/config")).unwrap();
    assert!(config.contains("https://git.example/x.git"), "{config}");
    let remote = outside(&place, "git config branch.main.remote; git config branch.main.merge").exits(0).out();
    assert_eq!(remote, "origin\nrefs/heads/main\n");
}

#[test]
fn deny_harmful_keys_of_the_git_configuration() {
    for key in [
        "core.fsmonitor ./evil",
        "core.hooksPath hooks",
        "core.sshCommand ./evil",
        "core.pager ./evil",
        "alias.st '!./evil'",
        "include.path ../evil.config",
        "includeIf.gitdir:/.path ../evil.config",
        "filter.x.smudge ./evil",
        "diff.external ./evil",
        "credential.helper ./evil",
    ] {
        let place = repository();
        let before = fs::read(place.work.join(".git/config")).unwrap();
        // Whether git may write it inside is not the point here; what arrives is.
        let script = format!("git config {key}\n");
        place.write("set.sh", script);
        let ran = inside(&place, "sh set.sh");
        assert_eq!(fs::read(place.work.join(".git/config")).unwrap(), before, "`{key}` arrived\n{ran}");
        assert!(ran.err().contains(".git/config"), "nobody was told about `{key}`\n{ran}");
    }
}

#[test]
fn a_worktree_of_git_can_be_made_and_used() {
    let place = repository();
    let text = format!(
        "git worktree add -q tree -b side && cd tree && echo z > b && git add b && git {ME} commit -q -m tree && \
         git log --format=%s"
    );
    assert_eq!(inside(&place, &text).exits(0).out(), "tree\nfirst\n");
}

#[test]
fn a_hook_that_was_there_runs_inside() {
    let place = repository();
    let hook = place.write(
        ".git/hooks/pre-commit",
        format!("#!/bin/sh\necho hooked > hooked.txt\ncat {}/secret > stolen.txt\nexit 0\n", place.outside.display()),
    );
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(place.outside.join("secret"), "outside\n").unwrap();
    inside(&place, &format!("git {ME} commit -q --allow-empty -m second")).exits(0);
    assert_eq!(fs::read_to_string(place.work.join("hooked.txt")).unwrap(), "hooked\n", "the hook ran");
    assert_eq!(fs::read(place.work.join("stolen.txt")).unwrap(), b"", "the hook ran inside the cage");
}

#[test]
fn cargo_builds_and_tests_a_crate_offline() {
    let place = Place::new();
    give_toolchain(&place);
    place.write("Cargo.toml", "[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2021\"\n");
    place.write("src/main.rs", "fn main() { println!(\"built {}\", env!(\"STAMP\")); }\n#[test] fn t() {}\n");
    place.write("build.rs", "fn main() { println!(\"cargo:rustc-env=STAMP=by-script\"); }\n");
    cargo(&place, "cargo build --offline").output().exits(0);
    assert_eq!(outside(&place, "target/debug/small").exits(0).out(), "built by-script\n");
    let tested = cargo(&place, "cargo test --offline").output().exits(0);
    assert!(tested.out().contains("1 passed"), "{tested}");
    assert_eq!(cargo(&place, "cargo run -q --offline").output().exits(0).out(), "built by-script\n");
}

#[test]
fn cargo_builds_with_a_vendored_dependency() {
    let place = Place::new();
    give_toolchain(&place);
    place.write(
        "Cargo.toml",
        "[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\nleaf = { path = \"vendor/leaf\" }\n",
    );
    place.write("src/main.rs", "fn main() { println!(\"{}\", leaf::name()); }\n");
    place.write("vendor/leaf/Cargo.toml", "[package]\nname = \"leaf\"\nversion = \"0.1.0\"\nedition = \"2021\"\n");
    place.write("vendor/leaf/src/lib.rs", "pub fn name() -> &'static str { \"leaf\" }\n");
    assert_eq!(cargo(&place, "cargo run -q --offline").output().exits(0).out(), "leaf\n");
}

#[test]
fn npm_tests_and_installs_a_package() {
    if !is_there("npm") {
        return;
    }
    let place = Place::new();
    place.write(
        "package.json",
        r#"{"name": "small", "version": "1.0.0", "scripts": {"test": "node test.js"}, "dependencies": {"leaf": "file:./leaf"}}"#,
    );
    place.write("leaf/package.json", r#"{"name": "leaf", "version": "1.0.0", "main": "index.js"}"#);
    place.write("leaf/index.js", "module.exports = 'leaf';\n");
    place.write(
        "test.js",
        "const leaf = require('leaf'); console.log('found ' + leaf); process.exit(leaf === 'leaf' ? 0 : 1);\n",
    );
    inside(&place, "npm install --offline --no-audit --no-fund").exits(0);
    let tested = inside(&place, "npm test").exits(0);
    assert!(tested.out().contains("found leaf"), "{tested}");
    fs::write(place.work.join("leaf/index.js"), "module.exports = 'other';\n").unwrap();
    let failed = place.run(["npm", "test"]).output();
    assert_eq!(failed.code(), Some(1), "a failing test fails: {failed}");
}

#[test]
fn python_makes_an_environment_and_uses_it() {
    let place = Place::new();
    inside(&place, "python3 -m venv .venv").exits(0);
    place.write("job.py", "import sys, json, sqlite3\nprint(json.dumps({'in': sys.prefix != sys.base_prefix}))\n");
    assert_eq!(inside(&place, ".venv/bin/python job.py").exits(0).out(), "{\"in\": true}\n");
    assert_eq!(inside(&place, ". .venv/bin/activate && python job.py").exits(0).out(), "{\"in\": true}\n");
    let many = "import multiprocessing as m\ndef f(x): return x*x\nif __name__ == '__main__':\n    print(sum(m.Pool(2).map(f, range(10))))\n";
    place.write("many.py", many);
    assert_eq!(inside(&place, "python3 many.py").exits(0).out(), "285\n", "several processes, with semaphores");
}

#[test]
fn make_compiles_a_program() {
    let place = Place::new();
    place.write("main.c", "#include <stdio.h>\nint main(void) { puts(\"compiled\"); return 0; }\n");
    place.write("Makefile", "main: main.c\n\t$(CC) -O1 -o $@ $<\nclean:\n\trm -f main\n");
    inside(&place, "make").exits(0);
    assert_eq!(outside(&place, "./main").exits(0).out(), "compiled\n");
    inside(&place, "make clean").exits(0);
    assert!(!place.work.join("main").exists());
}

#[test]
fn node_runs_a_script_with_workers() {
    if !is_there("node") {
        return;
    }
    let place = Place::new();
    place.write(
        "work.js",
        "const { Worker, isMainThread, parentPort } = require('worker_threads');\n\
         if (isMainThread) { const w = new Worker(__filename); w.on('message', m => console.log(m)); }\n\
         else { parentPort.postMessage('from a worker'); }\n",
    );
    assert_eq!(inside(&place, "node work.js").exits(0).out(), "from a worker\n");
    assert_eq!(place.run(["node", "-e", "process.exit(9)"]).output().code(), Some(9));
}

#[test]
fn an_editor_saves_what_was_typed() {
    for editor in ["vi", "vim"] {
        if !(editor == "vim" || is_there(editor)) || !PathBuf::from("/usr/bin").join(editor).exists() {
            continue;
        }
        let place = Place::new();
        place.write("note.txt", "first\n");
        let mut pty = Pty::start(&place.run([editor, "note.txt"]));
        pty.wait_for("first");
        pty.send("osecond line\x1b");
        pty.wait_for("second line");
        pty.send(":wq\r");
        assert!(pty.ended().success(), "{editor}: {}", pty.everything());
        assert_eq!(fs::read_to_string(place.work.join("note.txt")).unwrap(), "first\nsecond line\n", "{editor}");
    }
}

#[test]
fn a_pager_shows_a_file_and_quits() {
    let place = Place::new();
    let pager = if Path::new("/usr/bin/less").exists() { "less" } else { "more" };
    let lines: String = (0..500).map(|number| format!("line {number}\n")).collect();
    place.write("long.txt", lines);
    let mut pty = Pty::start(&place.run([pager, "long.txt"]));
    pty.wait_for("line 20");
    pty.send(" ");
    pty.wait_for("line 30");
    pty.send("q");
    assert!(pty.ended().success(), "{}", pty.everything());
}

#[test]
fn ctrl_c_ends_what_runs_and_says_so() {
    let place = Place::new();
    let mut pty = Pty::start(&place.run(["sleep", "100"]));
    // The cage is up once the terminal is raw: keys go to the program from then on.
    let cooked = pty.settings();
    crate::support::until(Duration::from_secs(30), || (pty.settings() != cooked).then_some(()))
        .expect("the terminal is raw");
    std::thread::park_timeout(Duration::from_millis(300));
    let started = std::time::Instant::now();
    pty.send("\x03");
    let status = pty.ended();
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    // `setsid --wait` is replaced by ringfort itself, so its end is ringfort's end: by the same signal as the program.
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(2), "{status}: {}", pty.everything());
    assert_eq!(pty.settings(), cooked, "the terminal is as it was");
}

#[test]
fn a_shell_has_jobs_and_learns_the_size_of_its_window() {
    let place = Place::new();
    let mut pty = Pty::start(&place.run(["bash", "--norc", "-i"]).env("PS1", "> "));
    pty.send("PS1='ready'\\> ; stty size\r");
    pty.wait_for("24 80");
    pty.wait_for("ready>");
    pty.send("trap 'echo resized $(stty size)' WINCH\r");
    pty.wait_for("ready>");
    pty.resize(132, 43);
    pty.send("\r");
    pty.wait_for("resized 43 132");
    pty.send("sleep 100\r");
    pty.wait_for("sleep 100");
    std::thread::park_timeout(Duration::from_millis(500));
    pty.send("\x1a");
    pty.wait_for("Stopped");
    pty.send("jobs; echo list-end\r");
    pty.wait_for("sleep 100");
    pty.send("bg; echo went-$((1+1))\r");
    pty.wait_for("went-2");
    pty.send("fg\r");
    pty.wait_for("sleep 100");
    std::thread::park_timeout(Duration::from_millis(500));
    pty.send("\x03");
    pty.wait_for("ready>");
    pty.send("echo status-$?\r");
    pty.wait_for("status-130");
    pty.send("exit 5\r");
    assert_eq!(pty.ended().code(), Some(5));
}

#[test]
fn a_multiplexer_runs_inside() {
    if !is_there("tmux") {
        return;
    }
    let place = Place::new();
    let mut pty = Pty::start(&place.run(["tmux", "-f", "/dev/null", "new-session", "-s", "x"]));
    pty.wait_for("[x]");
    pty.send("echo in-$((40+2))\r");
    pty.wait_for("in-42");
    pty.send("exit\r");
    pty.wait_for("[exited]");
    assert!(pty.ended().success(), "{}", pty.everything());
}

#[test]
fn system_programs_that_draw_run() {
    if !is_there("ps") {
        return;
    }
    let place = Place::new();
    let listed = inside(&place, "ps -e -o pid,comm").exits(0);
    if is_namespaced(&place) {
        assert!(listed.out().lines().count() < 10, "only the cage's own processes: {listed}");
    }
    if Path::new("/usr/bin/top").exists() {
        let top = inside(&place, "top -b -n 1").exits(0);
        assert!(top.out().contains("PID"), "{top}");
    }
}
