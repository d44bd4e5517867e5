// SPDX-License-Identifier: MIT OR Apache-2.0
//! A run that is begun, used or ended in a hostile way keeps its promises, or does not start.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Place, Running, TIME_MAX, is_namespaced, until};

/// Promises that the degree `minimal` keeps.
const MINIMAL: &str = "[sandbox]\nrequire = [\"confine-writes\", \"confine-reads\", \"no-network\", \"confine-syscalls\", \"no-privilege\"]\n";

/// Start-up files as a workspace has them.
const STARTUP: [(&str, &str); 6] = [
    (".git/HEAD", "ref: refs/heads/main\n"),
    (".git/config", "[core]\n\tbare = false\n"),
    (".git/hooks/pre-commit", "#!/bin/sh\n"),
    (".vscode/tasks.json", "{}\n"),
    (".mcp.json", "{}\n"),
    (".envrc", "export A=1\n"),
];

fn with_startup_files(work: &Path) {
    for (name, content) in STARTUP {
        let path = work.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

#[track_caller]
fn startup_files_are_unchanged(work: &Path, how: &str) {
    for (name, content) in STARTUP {
        assert_eq!(fs::read_to_string(work.join(name)).ok().as_deref(), Some(content), "`{name}` {how}");
    }
}

fn signal(running: &Running, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(running.pid()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Starts programs that write a line to each of two files again and again, one of them in a session of its own.
fn beats(place: &Place, degree: &str) -> Running {
    place.write("beat.sh", "while :; do echo >> $1; sleep 0.05; done\n");
    place.write("beats.sh", "setsid sh beat.sh beat-1 &\n(setsid sh beat.sh beat-2 &) &\nsh beat.sh beat-3\n");
    place.write(place.outside.join("minimal.toml"), MINIMAL);
    let policy = place.outside.join("minimal.toml");
    let words = ["run", "--degree", degree, "--policy", policy.to_str().unwrap(), "--", "/bin/sh", "beats.sh"];
    let mut program = place.ringfort(words);
    program.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let running = program.spawn();
    let all = || (1..=3).all(|number| length(place, number) > 0).then_some(());
    until(TIME_MAX, all).expect("the programs inside start");
    running
}

fn length(place: &Place, number: u8) -> u64 {
    fs::metadata(place.work.join(format!("beat-{number}"))).map_or(0, |meta| meta.len())
}

#[test]
fn escape_by_a_killed_supervisor_ends_everything_inside() {
    for degree in ["auto", "minimal"] {
        let place = Place::new();
        let mut running = beats(&place, degree);
        signal(&running, Signal::KILL);
        running.wait(TIME_MAX);
        // The end is not at once, but soon; a machine under load may take a while.
        let quiet = until(Duration::from_secs(10), || {
            let before = (1..=3).map(|number| length(&place, number)).sum::<u64>();
            std::thread::park_timeout(Duration::from_millis(500));
            (before == (1..=3).map(|number| length(&place, number)).sum::<u64>()).then_some(())
        });
        assert!(quiet.is_some(), "{degree}: something is still writing");
        // The next run finds a whole record and says what was left.
        place.ringfort(["trail", "verify"]).output().exits(0);
        place.run(["/bin/true"]).output().exits(0);
        place.ringfort(["trail", "verify"]).output().exits(0);
    }
}

#[test]
fn a_stopped_supervisor_goes_on_where_it_was() {
    let place = Place::new();
    place.write("go.sh", "echo started > started; sleep 0.3; echo out; exit 7\n");
    let mut program = place.run(["/bin/sh", "go.sh"]);
    program.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = program.spawn();
    until(TIME_MAX, || place.work.join("started").exists().then_some(())).unwrap();
    signal(&running, Signal::STOP);
    std::thread::park_timeout(Duration::from_millis(600));
    assert!(running.0.try_wait().unwrap().is_none(), "it went on although it was stopped");
    signal(&running, Signal::CONT);
    assert_eq!(running.wait(TIME_MAX).code(), Some(7));
}

#[test]
fn a_caller_that_ignores_and_blocks_signals_gets_an_answer() {
    let place = Place::new();
    let start = "import os, signal, sys\n\
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n\
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n\
        os.execv(sys.argv[1], sys.argv[1:])\n";
    place.write("status.sh", "sleep 0.1; grep -E 'SigBlk|SigIgn' /proc/self/status; exit 3\n");
    let ringfort = crate::support::binary();
    for degree in ["auto", "minimal"] {
        place.write(place.outside.join("minimal.toml"), MINIMAL);
        let policy = place.outside.join("minimal.toml");
        let words =
            ["-c", start, ringfort.to_str().unwrap(), "run", "--degree", degree, "--policy", policy.to_str().unwrap()];
        let words = words.into_iter().chain(["--", "/bin/sh", "status.sh"]);
        let output = place.program("python3", words).output().exits(3);
        let zero = "0000000000000000";
        assert_eq!(output.out(), format!("SigBlk:\t{zero}\nSigIgn:\t{zero}\n"), "{degree}");
    }
}

#[test]
fn hostile_streams_and_descriptors_do_not_come_through() {
    let place = Place::new();
    place.write(place.outside.join("secret"), "outside");
    place.write("fds.sh", "ls /proc/self/fd | sort -n | tr '\\n' ' '; readlink /proc/self/fd/3\n");
    place.write("all.sh", "echo ran > all; cat > input\n");
    let ringfort = crate::support::binary();
    let start = |redirections: &str, script: &str| {
        let line = format!("exec \"$0\" run -- /bin/sh {script} {redirections}");
        place.program("/bin/bash", [Path::new("-c"), Path::new(&line), &ringfort])
    };
    let outside = place.outside.join("secret");
    let outside = outside.to_str().unwrap();
    let output = start(&format!("3<>{outside} 4<.. 5<>{outside} 77<{outside}"), "fds.sh").output().exits(0);
    let out = output.out();
    assert!(out.starts_with("0 1 2 3 4 socket:"), "4 is the listing itself: {output}");
    for (redirections, status) in
        [("<&-", 0), (">&-", 0), ("2>&-", 0), ("<&- >&- 2>&-", 0), ("< /", 125), ("< ..", 125), ("3<&- 4<&-", 0)]
    {
        drop(fs::remove_file(place.work.join("all")));
        let output = start(redirections, "all.sh").output();
        assert_eq!(output.code(), Some(status), "{redirections}: {output}");
        assert_eq!(place.work.join("all").exists(), status == 0, "{redirections}");
    }
}

#[test]
fn tiny_limits_end_in_an_answer_and_never_in_less_protection() {
    let place = Place::new();
    with_startup_files(&place.work);
    place.write(place.outside.join("secret"), "outside");
    place.write("try.sh", "(echo x > .mcp.json; cat ../../outside/secret) 2>/dev/null; echo ran\n");
    let ringfort = crate::support::binary();
    for limit in [
        "-n 10", "-n 16", "-n 24", "-n 40", "-f 0", "-f 1", "-f 8", "-s 128", "-v 40000", "-v 80000", "-t 1", "-l 0",
        "-i 0", "-q 0",
    ] {
        let line = format!("ulimit {limit} || exit 99; exec \"$0\" run -- /bin/sh try.sh");
        let output = place.program("/bin/bash", [Path::new("-c"), Path::new(&line), &ringfort]).output();
        assert!(!output.out().contains("outside"), "{limit}: {output}");
        if output.code() == Some(0) {
            assert_eq!(output.out(), "ran\n", "{limit}: {output}");
        }
        startup_files_are_unchanged(&place.work, limit);
    }
}

#[test]
fn workspaces_with_odd_names_are_protected_alike() {
    let place = Place::new();
    if !is_namespaced(&place) {
        return;
    }
    let long = vec!["d".repeat(200); 12].join("/");
    let names: [&[u8]; 14] = [
        b"new\nline",
        b"a b",
        b"q'uo\"te",
        b"co:lon",
        b"com,ma",
        b"back\\slash",
        b"eq=ual",
        b"$(touch x)",
        b"*",
        b"-dash",
        b"esc\x1b[31m",
        b"inv\xff\xfe",
        b"...",
        long.as_bytes(),
    ];
    for (number, name) in names.into_iter().enumerate() {
        let work = place.work.join(std::ffi::OsString::from_vec(name.to_vec()));
        fs::create_dir_all(&work).unwrap();
        with_startup_files(&work);
        let script = format!("try-{number}.sh");
        let attack = "echo x > made\n(echo x > .git/hooks/pre-commit; echo x > .mcp.json; rm -rf .vscode; mv .git g) 2>/dev/null\n\
            printf '[core]\\n\\tbare = false\\n\\tfsmonitor = x\\n' > .git/config; mkdir .cursor; echo x > .cursor/mcp.json; true\n";
        fs::write(work.join(&script), attack).unwrap();
        let output = place.run(["/bin/sh", &script]).cwd(&work).output().exits(0);
        let how = format!("in {work:?}: {output}");
        assert!(work.join("made").exists(), "{how}");
        assert!(!work.join(".cursor/mcp.json").exists(), "{how}");
        assert!(!output.stderr.contains(&0x1b), "an escape character reached the terminal {how}");
        startup_files_are_unchanged(&work, &how);
    }
}

#[test]
fn a_workspace_through_a_link_and_a_git_file_are_protected() {
    let place = Place::new();
    if !is_namespaced(&place) {
        return;
    }
    let real = place.outside.join("real");
    fs::create_dir_all(real.join("below")).unwrap();
    with_startup_files(&real);
    std::os::unix::fs::symlink(&real, place.work.join("link")).unwrap();
    fs::write(real.join("try.sh"), "(echo x > .mcp.json; echo x > .git/hooks/pre-commit) 2>/dev/null; pwd -P\n")
        .unwrap();
    let output = place.run(["/bin/sh", "try.sh"]).cwd(place.work.join("link")).output().exits(0);
    assert_eq!(output.out().trim(), real.to_str().unwrap());
    startup_files_are_unchanged(&real, "through a link");

    let tree = place.home.join("tree");
    fs::create_dir_all(place.home.join("main/.git/worktrees/tree")).unwrap();
    fs::create_dir_all(&tree).unwrap();
    let git = format!("gitdir: {}\n", place.home.join("main/.git/worktrees/tree").display());
    fs::write(tree.join(".git"), &git).unwrap();
    fs::write(tree.join("try.sh"), "(echo gitdir: /tmp/x > .git; rm -f .git; mv .git x) 2>/dev/null; true\n").unwrap();
    place.run(["/bin/sh", "try.sh"]).cwd(&tree).output().exits(0);
    assert_eq!(fs::read_to_string(tree.join(".git")).unwrap(), git);
}
