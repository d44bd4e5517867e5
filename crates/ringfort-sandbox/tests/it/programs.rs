// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real programs run inside unchanged, where the host has them.

use std::path::Path;

use ringfort_sandbox::launch::Exit;
use ringfort_sandbox::profile::{DegreeRequest, Staged};

use crate::cage::{DEGREES, Place};

/// Whether the host has all of these programs in its system folders; reports a skip where not.
fn host_has(programs: &[&str]) -> bool {
    let missing: Vec<_> = programs
        .iter()
        .filter(|name| {
            !["/usr/local/bin", "/usr/bin", "/bin"].iter().any(|folder| Path::new(folder).join(name).exists())
        })
        .collect();
    if !missing.is_empty() {
        eprintln!("skipped: this host lacks {missing:?}");
    }
    missing.is_empty()
}

fn check(needs: &[&str], script: &str, expected: &str) {
    if !host_has(needs) {
        return;
    }
    for degree in DEGREES {
        let mut place = Place::new(degree);
        if !place.is_namespaced_quietly() {
            let scratch = place.outside.join("scratch");
            std::fs::create_dir(&scratch).unwrap();
            place.profile.environment.retain(|(name, _)| name != "HOME");
            for name in ["HOME", "TMPDIR"] {
                place.profile.environment.push((name.into(), scratch.clone().into()));
            }
            place.profile.scratch = Some(scratch);
        }
        let outcome = place.shell(script);
        assert_eq!(outcome.exit, Exit::Exited(0), "{degree:?}: {outcome:#?}");
        assert!(outcome.out.trim().ends_with(expected), "{degree:?}: {outcome:#?}");
    }
}

#[test]
fn git_makes_commits() {
    let script = "set -e; git init -q .; git config user.name a; git config user.email a@b; git add own; \
        git commit -qm first; git checkout -qb other; git log --format=%s";
    check(&["git"], script, "first");
}

#[test]
fn python_starts_threads_and_processes() {
    check(
        &["python3"],
        "python3 -c 'import threading, subprocess, tempfile; t = tempfile.TemporaryFile(); \
        r = []; w = threading.Thread(target=lambda: r.append(subprocess.check_output([\"echo\", \"deep\"]))); \
        w.start(); w.join(); print(r[0].decode().strip())'",
        "deep",
    );
}

#[test]
fn python_makes_an_environment_and_shares_memory() {
    // Shared memory and pseudo-terminals belong to the view, so the minimal degree has neither.
    if !Place::new(DegreeRequest::Auto).is_namespaced() || !host_has(&["python3"]) {
        return;
    }
    let place = Place::new(DegreeRequest::Auto);
    let script = "/usr/bin/python3 -m venv --without-pip env && . env/bin/activate && \
        python3 -c 'import multiprocessing as m, sys; q = m.Queue(); q.put(3); print(q.get(), sys.prefix != sys.base_prefix)'";
    place.shell(script).prints("3 True");
}

#[test]
fn node_runs_children_and_workers() {
    check(
        &["node"],
        "node -e 'const {Worker} = require(\"worker_threads\"); \
        const w = new Worker(\"require(\\\"worker_threads\\\").parentPort.postMessage(\\\"w\\\")\", {eval: true}); \
        w.on(\"message\", m => console.log(require(\"child_process\").execSync(\"echo \" + m + \"x\").toString().trim()))'",
        "wx",
    );
}

#[test]
fn java_compiles_starts_threads_and_children() {
    check(
        &["java", "javac"],
        "printf 'public class M { public static void main(String[] a) throws Exception { \
        Thread t = new Thread(() -> System.out.print(\"th\")); t.start(); t.join(); \
        new ProcessBuilder(\"echo\", \"ree\").inheritIO().start().waitFor(); } }' > M.java; javac M.java && java -Xshare:auto M",
        "ree",
    );
}

#[test]
fn npm_runs_a_script() {
    check(
        &["npm", "node"],
        "printf '{\"name\":\"a\",\"version\":\"1.0.0\",\"scripts\":{\"go\":\"node -p 6*7\"}}' > package.json; npm run -s go",
        "42",
    );
}

#[test]
fn perl_forks_and_signals() {
    check(
        &["perl"],
        "perl -e 'my $p = fork // die; if (!$p) { $SIG{TERM} = sub { exit 7 }; sleep 9 while 1 } \
        select undef, undef, undef, 0.2; kill 15, $p; waitpid $p, 0; print $? >> 8, \"\\n\"'",
        "7",
    );
}

#[test]
fn a_program_that_restricts_itself_further_works() {
    // Browsers and package managers put filters of their own on their children.
    check(
        &["python3"],
        "python3 -c 'import ctypes, os; c = ctypes.CDLL(None, use_errno=True); \
        print(c.prctl(38, 1, 0, 0, 0), c.syscall(444, 0, 0, 1) > 0)'",
        "0 True",
    );
}

#[test]
fn a_compiler_and_make_build() {
    check(
        &["make", "cc"],
        "printf 'int main(void){return 0;}' > m.c; printf 'm: m.c\\n\\tcc -o m m.c\\n' > Makefile; \
        make -s && ./m && echo built",
        "built",
    );
}

#[test]
fn a_pseudo_terminal_opens_inside() {
    if !Place::new(DegreeRequest::Auto).is_namespaced() || !host_has(&["script"]) {
        return;
    }
    Place::new(DegreeRequest::Auto)
        .shell("script -qec 'tty >&2; echo in' /dev/null 2>&1 </dev/null | tr -d '\\r' | tail -1")
        .prints("in");
}

#[test]
fn git_updates_a_staged_configuration() {
    let mut place = Place::new(DegreeRequest::Auto);
    if !place.is_namespaced() || !host_has(&["git"]) {
        return;
    }
    assert_eq!(place.shell("git init -q . && git remote add first /nowhere").exit, Exit::Exited(0));
    let real = place.workspace.join(".git/config");
    let before = std::fs::read_to_string(&real).unwrap();
    let scratch = place.outside.join("staged");
    std::fs::create_dir(&scratch).unwrap();
    std::fs::copy(&real, scratch.join("config")).unwrap();
    place.profile.staged.push(Staged { path: real.clone(), scratch: scratch.join("config") });
    place.profile.protected.push(place.workspace.join(".git/hooks"));
    let script = "set -e; git config user.name a; git config user.email a@b; git add own; git commit -qm first; \
        git remote add second /elsewhere; git branch -q topic; git config branch.topic.remote second; \
        git remote; git config user.name; git status --short";
    place.shell(script).prints("first\nsecond\na");
    assert_eq!(std::fs::read_to_string(&real).unwrap(), before);
    let staged = std::fs::read_to_string(scratch.join("config")).unwrap();
    assert!(staged.contains("[remote \"second\"]") && staged.contains("name = a"), "{staged}");
}
