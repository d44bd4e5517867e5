// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: the same command gives the same result in every runtime; one that was asked for and cannot be had is an
//! error after which nothing has run; nothing of a container is left behind, whatever happens to its supervisor.
//!
//! In: `RINGFORT_TEST_DOCKER_HOST`, the address of a Docker daemon with the image `ringfort-test:1` (see
//! `scripts/engine.sh`), or `skip`; `RINGFORT_TEST_PODMAN_CONF`, the settings of a Podman that has it too. Out: statuses, output, files, and what the engine itself lists.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::pty::Pty;
use crate::support::{Dice, Output, Place, Program, Running, is_namespaced, skips_are_errors, until};

/// The image that `scripts/engine.sh` makes.
const IMAGE: &str = "ringfort-test:1";
/// The client that the tests use.
const DOCKER: &str = "/usr/bin/docker";

/// A runtime under test.
#[derive(Clone, Debug)]
struct Runtime {
    name: &'static str,
    /// The variable that says where its engine is, for containers.
    engine: Option<(&'static str, OsString)>,
}

impl Runtime {
    fn is_container(&self) -> bool {
        self.engine.is_some()
    }

    /// `ringfort run --runtime NAME -- words…` in the workspace.
    fn run(&self, place: &Place, words: &[&str]) -> Program {
        let policy = place.root.join("policy.toml");
        let table =
            if self.is_container() { format!("[runtime.docker]\nimage = \"{IMAGE}\"\n") } else { String::new() };
        fs::write(&policy, format!("[runtime]\nkind = \"{}\"\n{table}", self.name)).unwrap();
        let (policy, work) = (policy.to_str().unwrap(), place.work.to_str().unwrap());
        let options = ["run", "--verbose", "--policy", policy, "--workspace", work, "--"];
        let program = place.ringfort(options.iter().chain(words)).env("PATH", "/usr/bin:/bin");
        match &self.engine {
            Some((name, engine)) => program.env(name, engine),
            None => program,
        }
    }

    /// Runs a script of the workspace.
    fn script(&self, place: &Place, script: &str) -> Program {
        place.write("script.sh", script);
        self.run(place, &["sh", "script.sh"])
    }
}

#[expect(clippy::disallowed_methods, reason = "the test script says where the engine is")]
fn docker() -> Option<Runtime> {
    let told = std::env::var_os("RINGFORT_TEST_DOCKER_HOST");
    if told.as_ref().is_some_and(|told| told == "skip") {
        return None;
    }
    assert!(told.is_some() || !skips_are_errors(), "RINGFORT_TEST_DOCKER_HOST names no engine");
    if told.is_none() {
        eprintln!("skipped: RINGFORT_TEST_DOCKER_HOST names no engine");
    }
    told.map(|engine| Runtime { name: "docker", engine: Some(("DOCKER_HOST", engine)) })
}

#[expect(clippy::disallowed_methods, reason = "whoever wants the second engine says where its settings are")]
fn podman() -> Option<Runtime> {
    let told = std::env::var_os("RINGFORT_TEST_PODMAN_CONF");
    told.map(|settings| Runtime { name: "podman", engine: Some(("CONTAINERS_CONF", settings)) })
}

/// Every runtime that can be had here.
fn runtimes(place: &Place) -> Vec<Runtime> {
    let mut runtimes = vec![Runtime { name: "native", engine: None }];
    if is_namespaced(place) && Path::new("/usr/bin/bwrap").exists() {
        runtimes.push(Runtime { name: "bubblewrap", engine: None });
    } else {
        assert!(!skips_are_errors() || !is_namespaced(place), "bubblewrap is not installed");
    }
    runtimes.extend(docker());
    runtimes.extend(podman());
    runtimes
}

/// What a client of the engine says.
fn ask(place: &Place, runtime: &Runtime, words: &[&str]) -> Output {
    let (name, engine) = runtime.engine.as_ref().unwrap();
    place.program(DOCKER, words).env(name, engine).output()
}

/// The containers of runs whose session this place's trail names; others may run at the same time.
fn containers(place: &Place, runtime: &Runtime) -> Vec<String> {
    let mount = format!("volume={}", place.work.display());
    let listed = ask(place, runtime, &["ps", "--all", "--quiet", "--filter", "label=ringfort.run", "--filter", &mount]);
    listed.exits(0).out().split_whitespace().map(str::to_owned).collect()
}

/// What is expected of a command: its status and its output, with the workspace's and the home's paths replaced.
struct Expected {
    name: &'static str,
    script: &'static str,
    input: &'static str,
    status: i32,
    out: &'static str,
}

const fn expected(name: &'static str, script: &'static str, status: i32, out: &'static str) -> Expected {
    Expected { name, script, input: "", status, out }
}

/// The same in every runtime. Each is a script in a folder `sub` of the workspace.
const COMMANDS: &[Expected] = &[
    expected("status 0", "true", 0, ""),
    expected("status 42", "exit 42", 42, ""),
    expected("status 255", "exit 255", 255, ""),
    expected("both streams", "echo out; echo err >&2", 0, "out\n"),
    expected("folder", "pwd -P", 0, "WORK/sub\n"),
    expected("home", "echo \"$HOME\"; test -d \"$HOME\" && echo x >\"$HOME/f\" && cat \"$HOME/f\"", 0, "HOME\nx\n"),
    expected("passed variable", "echo \"$LANG\"", 0, "C.UTF-8\n"),
    expected("held back variable", "echo \"${SECRET_TOKEN-unset}\"", 0, "unset\n"),
    Expected { name: "input", script: "tr a-z A-Z", input: "abc\n", status: 0, out: "ABC\n" },
    Expected {
        name: "input is read to its end",
        script: "cat | wc -c | tr -d ' '",
        input: "12345",
        status: 0,
        out: "5\n",
    },
    expected("much output", "seq 1 50000 | tail -n 1; seq 1 50000", 0, MUCH),
    expected("writes in the workspace", "echo made >made && cat made", 0, "made\n"),
    expected("reads in the workspace", "cat ../data", 0, "of the workspace\n"),
    expected("makes a folder and a link", "mkdir d && ln -s ../data d/l && readlink d/l", 0, "../data\n"),
    expected("refused at the root", "echo x >/made 2>/dev/null || echo refused", 0, "refused\n"),
    expected("refused in the system", "echo x >/etc/made 2>/dev/null || echo refused", 0, "refused\n"),
    expected("refused in the programs", "echo x >/usr/bin/made 2>/dev/null || echo refused", 0, "refused\n"),
    expected("a private /tmp", "echo x >/tmp/of-the-cage && cat /tmp/of-the-cage", 0, "x\n"),
    expected("nothing of the outside", "test -e \"$(cat ../where)\" || echo absent", 0, "absent\n"),
    expected("no interface but loopback", "sed -n 's/^ *\\([a-z0-9]*\\):.*/\\1/p' /proc/net/dev", 0, "lo\n"),
    expected("no route", "sed 1d /proc/net/route", 0, ""),
    expected(
        "no right",
        "sed -n 's/^\\(Cap[IPEA][a-z]*\\|NoNewPrivs\\|Seccomp\\):[[:space:]]*/\\1 /p' /proc/self/status",
        0,
        "CapInh 0000000000000000\nCapPrm 0000000000000000\nCapEff 0000000000000000\nCapAmb 0000000000000000\n\
         NoNewPrivs 1\nSeccomp 2\n",
    ),
    expected("the keeper cannot be killed", "kill -9 1 2>/dev/null; echo alive", 0, "alive\n"),
    expected("processes of its own only", "ls /proc | grep -c '^[0-9]' | sed 's/^[2-9]$/few/'", 0, "few\n"),
    expected("a start-up file stays", "echo x >../.git/hooks/pre-commit 2>/dev/null || echo refused", 0, "refused\n"),
    expected("its folder stays", "mv ../.git ../moved 2>/dev/null || echo refused", 0, "refused\n"),
    expected(
        "no broker that does not answer",
        "test -z \"$RINGFORT_BROKER\" -o -e /proc/self/fd/3 && echo good",
        0,
        "good\n",
    ),
    expected("what it leaves behind ends", "sleep 1000 >/dev/null 2>&1 & echo started", 0, "started\n"),
];

/// The output of the command that says much is not compared word for word.
const MUCH: &str = "much";

#[test]
fn twenty_commands_give_the_same_result_in_every_runtime() {
    let mut failures = Vec::new();
    for runtime in runtimes(&Place::new()) {
        for command in COMMANDS {
            let place = Place::new();
            prepare(&place);
            place.write("sub/script.sh", command.script);
            let program = runtime.run(&place, &["sh", "script.sh"]).cwd(place.work.join("sub"));
            let output = program.input(command.input).env("SECRET_TOKEN", "a-secret").output();
            let at = if runtime.is_container() { "/workspace" } else { place.work.to_str().unwrap() };
            let out = output.out().replace(at, "WORK").replace(place.home.to_str().unwrap(), "HOME");
            let same = if command.out == MUCH {
                out.starts_with("50000\n1\n2\n") && out.ends_with("\n50000\n") && out.len() == 288_900
            } else {
                out == command.out
            };
            if output.code() != Some(command.status) || !same {
                failures.push(format!("{} in {}: {output}\nread as: {out}", command.name, runtime.name));
            }
            if command.name == "both streams" && !output.err().contains("err\n") {
                failures.push(format!("standard error in {}: {output}", runtime.name));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// A workspace with a repository, and something outside of it.
fn prepare(place: &Place) {
    place.write("data", "of the workspace\n");
    place.write("where", place.outside.join("secret").to_str().unwrap());
    fs::write(place.outside.join("secret"), "outside").unwrap();
    place.program("/usr/bin/git", ["init", "--quiet", "."]).output().exits(0);
}

#[test]
fn what_is_written_in_the_workspace_is_there_and_belongs_to_its_owner() {
    use std::os::unix::fs::MetadataExt as _;
    for runtime in runtimes(&Place::new()) {
        let place = Place::new();
        let output = runtime.script(&place, "echo x >made; chmod 640 made; mkdir -p a/b").output().exits(0);
        let made = fs::metadata(place.work.join("made")).unwrap();
        let owner = fs::metadata(&place.work).unwrap();
        assert_eq!((made.uid(), made.gid()), (owner.uid(), owner.gid()), "{}", runtime.name);
        assert_eq!(made.permissions().mode() & 0o777, 0o640, "{}", runtime.name);
        assert!(place.work.join("a/b").is_dir(), "{}", runtime.name);
        for promise in ["confine-writes", "confine-reads", "protect-startup", "no-network", "confine-processes"] {
            assert!(output.err().contains(promise), "{} does not keep {promise}: {output}", runtime.name);
        }
        for promise in ["confine-syscalls", "no-privilege", "kill-all"] {
            assert!(output.err().contains(promise), "{} does not keep {promise}: {output}", runtime.name);
        }
    }
}

#[test]
fn words_reach_the_program_as_they_are() {
    let words = ["a b", "c\"d'e", "$HOME", "*", "-n", "", "ä€", "--"];
    for runtime in runtimes(&Place::new()) {
        let place = Place::new();
        place.write("script.sh", "for word; do printf '[%s]' \"$word\"; done");
        let command: Vec<&str> = ["sh", "script.sh"].into_iter().chain(words).collect();
        let output = runtime.run(&place, &command).output().exits(0);
        assert_eq!(output.out(), words.map(|word| format!("[{word}]")).concat(), "{}", runtime.name);
    }
}

#[test]
fn signals_are_passed_on_and_passed_through() {
    for runtime in runtimes(&Place::new()) {
        let place = Place::new();
        for signal in [9, 15] {
            let output = runtime.script(&place, &format!("kill -{signal} $$; sleep 60")).output();
            assert_eq!(output.status.signal(), Some(signal), "{}: {output}", runtime.name);
        }
        let script = "trap 'exit 7' TERM; echo ready >ready; while :; do sleep 0.1; done";
        let mut running = start(runtime.script(&place, script));
        until(Duration::from_secs(60), || place.work.join("ready").exists().then_some(())).expect("it starts");
        let pid = rustix::process::Pid::from_raw(i32::try_from(running.pid()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert_eq!(running.wait(Duration::from_secs(60)).code(), Some(7), "{}", runtime.name);
    }
}

fn start(mut program: Program) -> Running {
    program.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    program.spawn()
}

#[test]
fn a_program_that_is_not_there_has_its_own_status() {
    for runtime in runtimes(&Place::new()) {
        let place = Place::new();
        let output = runtime.run(&place, &["no-such-program-at-all", "x"]).output();
        assert_eq!(output.code(), Some(127), "{}: {output}", runtime.name);
    }
}

#[test]
fn the_digest_of_the_image_is_on_the_record() {
    let Some(runtime) = docker() else { return };
    let place = Place::new();
    runtime.script(&place, "true").output().exits(0);
    let digest = ask(&place, &runtime, &["image", "inspect", "--format", "{{.Id}}", IMAGE]).exits(0);
    let mut trail = String::new();
    for segment in fs::read_dir(place.state.join("trail")).unwrap().flatten() {
        trail.push_str(&String::from_utf8_lossy(&fs::read(segment.path()).unwrap_or_default()));
    }
    let recorded = format!("\"image\":\"{}\"", digest.out().trim());
    assert!(trail.contains(&recorded), "{recorded} is not in {trail}");
    assert!(trail.contains("\"runtime\":\"docker\""), "{trail}");
}

#[test]
fn nothing_of_a_container_is_left_at_the_end() {
    let Some(runtime) = docker() else { return };
    let place = Place::new();
    for script in ["true", "exit 3", "kill -9 $$", "sleep 1000 & exit 0"] {
        runtime.script(&place, script).output();
        assert_eq!(containers(&place, &runtime), [""; 0], "after `{script}`");
    }
}

#[test]
fn deny_life_after_the_supervisor_in_a_container() {
    let Some(runtime) = docker() else { return };
    let place = Place::new();
    let mut running = start(runtime.script(&place, "echo ready >ready; sleep 1000"));
    until(Duration::from_secs(60), || place.work.join("ready").exists().then_some(())).expect("it starts");
    assert_eq!(containers(&place, &runtime).len(), 1);
    running.0.kill().unwrap();
    running.wait(Duration::from_secs(10));
    let gone = until(Duration::from_secs(60), || containers(&place, &runtime).is_empty().then_some(()));
    assert!(gone.is_some(), "the container outlives its supervisor");
}

#[test]
fn escape_by_a_supervisor_killed_at_any_moment_ends_everything_inside() {
    let mut dice = Dice::new(41);
    for runtime in runtimes(&Place::new()) {
        let place = Place::new();
        // A number that no other process sleeps for.
        let mark = format!("{}.{}", std::process::id(), dice.pick(1_000_000));
        place.write("script.sh", format!("setsid sleep {mark} & (trap '' TERM INT HUP; sleep {mark}) & sleep {mark}"));
        let latest = if runtime.is_container() { 1_200 } else { 60 };
        for _ in 0..8 {
            let mut running = start(runtime.run(&place, &["sh", "script.sh"]));
            std::thread::park_timeout(Duration::from_millis(dice.pick(latest) as u64));
            running.0.kill().unwrap();
            running.wait(Duration::from_secs(10));
        }
        let gone = until(Duration::from_secs(30), || (!is_running(&mark)).then_some(()));
        assert!(gone.is_some(), "{}: a process outlives its supervisor", runtime.name);
        // What was made and never started is found by the next start; one that is still dying by the one after that.
        // Another action: the ninth equal one within seconds is a loop.
        let mut rounds = 0;
        let swept = until(Duration::from_secs(30), || {
            rounds += 1;
            place.write("last.sh", format!("true {rounds}"));
            runtime.run(&place, &["sh", "last.sh", &rounds.to_string()]).output().exits(0);
            (fs::read_dir(place.state.join("run")).unwrap().count() == 0).then_some(())
        });
        assert!(swept.is_some(), "{}: folders of runs are left", runtime.name);
        if runtime.name == "docker" {
            let gone = until(Duration::from_secs(30), || containers(&place, &runtime).is_empty().then_some(()));
            assert!(gone.is_some(), "{:?}", containers(&place, &runtime));
        }
    }
}

/// Whether a process has `mark` among its words.
fn is_running(mark: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|word| word == mark.as_bytes())
    })
}

#[test]
fn deny_containers_of_dead_supervisors() {
    let Some(runtime) = docker() else { return };
    let place = Place::new();
    let space = fs::metadata("/proc/self/ns/pid").map(|found| std::os::unix::fs::MetadataExt::ino(&found)).unwrap();
    let user = rustix::process::geteuid().as_raw();
    let make = |mark: &str| {
        let label = format!("ringfort.supervisor={mark}");
        let words = ["create", "--label", &label, "--label", "ringfort.run=of-a-test", IMAGE, "true"];
        ask(&place, &runtime, &words).exits(0).out().trim().to_owned()
    };
    let dead = make(&format!("{user}.{space}.2147483646.1"));
    let others = make(&format!("{}.{space}.2147483646.1", user + 1));
    let output = runtime.script(&place, "true").output().exits(0);
    assert!(output.err().contains("session of-a-test was killed: its container was removed"), "{output}");
    let is_there = |id: &str| ask(&place, &runtime, &["inspect", "--type", "container", id]).code() == Some(0);
    let (dead_there, others_there) = (is_there(&dead), is_there(&others));
    ask(&place, &runtime, &["rm", "--force", &others]);
    assert!(!dead_there, "it is still there");
    assert!(others_there, "the container of another user was removed");
}

#[test]
fn limits_of_a_container_hold() {
    let Some(runtime) = docker() else { return };
    let place = Place::new();
    let policy = place.root.join("limits.toml");
    let text = format!("[runtime]\nkind = \"docker\"\n[runtime.docker]\nimage = \"{IMAGE}\"\nmemory_limit_mb = 32\n");
    fs::write(&policy, text).unwrap();
    let run = |script: &str| {
        place.write("script.sh", script);
        let words = ["run", "--policy", policy.to_str().unwrap(), "--", "sh", "script.sh"];
        place
            .ringfort(words)
            .env("DOCKER_HOST", &runtime.engine.as_ref().unwrap().1)
            .env("PATH", "/usr/bin:/bin")
            .output()
    };
    // A private folder is memory too.
    let output = run("head -c 100000000 /dev/zero >/tmp/much; echo survived");
    assert!(!output.out().contains("survived") || output.err().contains("No space"), "{output}");
    let output = run("i=0; while [ $i -lt 2000 ]; do sleep 20 & i=$((i+1)); done; echo survived");
    assert!(!output.out().contains("survived"), "as many processes as it likes: {output}");
    assert_eq!(containers(&place, &runtime), [""; 0]);
}

/// A folder with programs of our making, before those of the system.
fn planted(place: &Place, name: &str, script: &str) -> OsString {
    let folder = place.root.join("planted");
    fs::create_dir_all(&folder).unwrap();
    let program = folder.join(name);
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    std::env::join_paths([folder, PathBuf::from("/usr/bin"), PathBuf::from("/bin")]).unwrap()
}

/// Runs something that would leave a trace, and sees that it did not, and what is said.
fn refused(place: &Place, program: Program, status: i32, said: &[&str]) {
    let output = program.time_max(Duration::from_secs(50)).output();
    assert_eq!(output.code(), Some(status), "{output}");
    for text in said {
        assert!(output.err().contains(text), "`{text}` is not said: {output}");
    }
    assert!(!place.work.join("made").exists(), "the program ran: {output}");
}

const TRACE: &str = "echo x >made";

#[test]
fn deny_a_run_without_the_runtime_that_was_asked_for() {
    for (name, package) in [("docker", "docker.io"), ("podman", "podman"), ("bubblewrap", "bubblewrap")] {
        let place = Place::new();
        place.write("script.sh", TRACE);
        let program = place.ringfort(["run", "--runtime", name, "--", "sh", "script.sh"]).env("PATH", "/nonexistent");
        refused(&place, program, 125, &[name, &format!("apt-get install {package}")]);
    }
    let place = Place::new();
    place.write("script.sh", TRACE);
    refused(&place, place.ringfort(["run", "--runtime", "lxc", "--", "sh", "script.sh"]), 2, &["no runtime `lxc`"]);
}

#[test]
fn deny_a_run_when_the_engine_does_not_answer() {
    let place = Place::new();
    let runtime = |engine: &str| Runtime { name: "docker", engine: Some(("DOCKER_HOST", engine.into())) };
    if Path::new(DOCKER).exists() {
        let program = runtime("unix:///nonexistent/socket").script(&place, TRACE);
        refused(&place, program, 125, &["Cannot connect to the Docker daemon", "docker info"]);
    }
    for (script, said) in [
        ("exec sleep 300", "did not answer within 10 s and was killed"),
        ("echo 'unknown flag: --pull' >&2; exit 125", "unknown flag: --pull"),
        ("exit 1", "it said nothing"),
        ("echo nonsense", "not understood"),
        ("head -c 3000000 /dev/zero", "not understood"),
    ] {
        let path = planted(&place, "docker", script);
        refused(&place, runtime("x").script(&place, TRACE).env("PATH", path), 125, &[said]);
    }
}

#[test]
fn deny_a_view_that_bubblewrap_could_not_make() {
    let runtime = Runtime { name: "bubblewrap", engine: None };
    let place = Place::new();
    for (script, said) in [
        ("echo 'no such namespace' >&2; exit 1", "no such namespace"),
        // It says that all is well and never starts what it was told to start.
        ("exit 0", "ringfort"),
    ] {
        let path = planted(&place, "bwrap", script);
        refused(&place, runtime.script(&place, TRACE).env("PATH", path), 125, &[said]);
    }
    if is_namespaced(&place) {
        // It starts the keeper, but in no view at all: nothing of it is believed.
        let last = "for word; do last=$word; done; exec \"$(readlink -f /proc/$PPID/exe)\" __inside \"$last\"";
        let path = planted(&place, "bwrap", last);
        refused(&place, runtime.script(&place, TRACE).env("PATH", path), 125, &["cannot keep the promise"]);
    }
}

#[test]
fn deny_an_image_that_is_not_there() {
    let Some(runtime) = docker() else { return };
    let place = Place::new();
    place.write("script.sh", TRACE);
    for (image, said) in [("no-such-image:9", "nothing is pulled"), ("--help", "no name of an image")] {
        let policy = place.root.join("policy.toml");
        let text = format!("[runtime]\nkind = \"docker\"\n[runtime.docker]\nimage = \"{image}\"\n");
        fs::write(&policy, text).unwrap();
        let words = ["run", "--policy", policy.to_str().unwrap(), "--", "sh", "script.sh"];
        let program = place.ringfort(words).env("DOCKER_HOST", &runtime.engine.as_ref().unwrap().1);
        refused(&place, program.env("PATH", "/usr/bin:/bin"), 125, &[said]);
    }
}

#[test]
fn deny_the_host_as_network_of_a_container() {
    let Some(runtime) = docker() else { return };
    let place = Place::new();
    place.write("script.sh", TRACE);
    for network in ["host", "container:x", "--privileged"] {
        let policy = place.root.join("policy.toml");
        let text =
            format!("[runtime]\nkind = \"docker\"\n[runtime.docker]\nimage = \"{IMAGE}\"\nnetwork = \"{network}\"\n");
        fs::write(&policy, text).unwrap();
        let words = ["run", "--policy", policy.to_str().unwrap(), "--", "sh", "script.sh"];
        let program = place.ringfort(words).env("DOCKER_HOST", &runtime.engine.as_ref().unwrap().1);
        refused(&place, program.env("PATH", "/usr/bin:/bin"), 125, &["is not served"]);
    }
}

#[test]
fn deny_an_engine_that_the_workspace_brings() {
    for (name, program) in [("docker", "docker"), ("bubblewrap", "bwrap")] {
        let place = Place::new();
        place.write("script.sh", TRACE);
        let planted = place.write(format!("bin/{program}"), "#!/bin/sh\necho x >made\n");
        fs::set_permissions(&planted, fs::Permissions::from_mode(0o755)).unwrap();
        let program = place.ringfort(["run", "--runtime", name, "--", "sh", "script.sh"]);
        refused(&place, program.env("PATH", place.work.join("bin")), 125, &["in the folders of PATH"]);
        // A project says nothing about runtimes.
        place.write("ringfort.toml", "[runtime]\nkind = \"docker\"\n");
        refused(&place, place.run(["sh", "script.sh"]), 2, &["runtime"]);
    }
}

#[test]
fn deny_another_runtime_inside() {
    for runtime in runtimes(&Place::new()).into_iter().filter(|runtime| !runtime.is_container()) {
        let place = Place::new();
        let nested = |words: &str| {
            let find = "rf=$HOME/.local/bin/ringfort; [ -x \"$rf\" ] || rf=$(command -v ringfort)\n";
            runtime.script(&place, &format!("{find}\"$rf\" run {words}")).output()
        };
        let output = nested("-- sh -c 'echo nested'").exits(0);
        assert_eq!(output.out(), "nested\n", "{}: {output}", runtime.name);
        let output = nested("--runtime native -- true");
        assert_eq!(output.code(), Some(126), "{}: {output}", runtime.name);
    }
}

/// Says something to the proxy: with bash, or with the `nc` of an image that has no bash.
const SAY: &str = "say() { if command -v bash >/dev/null; then bash -c 'exec 3<>/dev/tcp/127.0.0.1/3128; \
    printf \"$0\" >&3; cat <&3' \"$1\"; else (printf \"$1\"; sleep 1) | nc 127.0.0.1 3128; fi; }\n";

#[test]
fn the_door_leads_to_listed_hosts_and_no_other_in_every_runtime() {
    for runtime in runtimes(&Place::new()) {
        let Some(site) = crate::egress::Site::start() else { return };
        let place = &site.place;
        let (port, listed) = (site.http, site.listed());
        place.write(
            "script.sh",
            format!(
                "{SAY}say 'GET http://localhost:{port}/echo HTTP/1.0\\r\\nHost: localhost:{port}\\r\\n\\r\\n'\n\
                 echo; echo ---\n\
                 say 'CONNECT forbidden.example:443 HTTP/1.1\\r\\nHost: forbidden.example\\r\\n\\r\\n' | head -n 1\n\
                 echo ---; echo $http_proxy; sed 1d /proc/net/route\n"
            ),
        );
        let program = runtime.run(place, &["sh", "script.sh"]);
        let words: Vec<OsString> = program.command.get_args().map(OsString::from).collect();
        let (run, rest) = words.split_first().unwrap();
        let words = [run.clone(), "--set".into(), listed.into()].into_iter().chain(rest.iter().cloned());
        let mut program = place.ringfort(words).env("PATH", "/usr/bin:/bin");
        if let Some((name, engine)) = &runtime.engine {
            program = program.env(name, engine);
        }
        let output = program.output().exits(0);
        let out = output.out();
        let mut parts = out.split("---\n");
        let (got, refused, rest) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        assert!(got.starts_with("HTTP/1.") && got.contains(" 200 "), "{}: {output}", runtime.name);
        assert!(refused.contains(" 403 "), "{}: {output}", runtime.name);
        assert_eq!(rest, "http://127.0.0.1:3128\n", "{}: {output}", runtime.name);
    }
}

#[test]
fn a_terminal_is_one_in_every_runtime() {
    for runtime in runtimes(&Place::new()) {
        let place = Place::new();
        let script = "[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo terminal-$((1+1)); : </dev/tty && echo own-$((1+1))\n\
                      stty size; read line; echo got-\"$line\"-; stty size; sleep 1000";
        eprintln!("in {}", runtime.name);
        let mut pty = Pty::start(&runtime.script(&place, script));
        for text in ["terminal-2", "own-2", "24 80"] {
            pty.wait_for(text);
        }
        pty.resize(100, 30);
        pty.send("words\r");
        for text in ["got-words-", "30 100"] {
            pty.wait_for(text);
        }
        // The key that interrupts goes to the program, and the program's end is the run's.
        pty.send("\x03");
        let ended = pty.ended();
        assert_eq!(ended.signal().or(ended.code().map(|code| code - 128)), Some(2), "{}: {ended}", runtime.name);
    }
}
