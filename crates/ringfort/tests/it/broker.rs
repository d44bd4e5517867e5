// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: a nested `ringfort` inside a cage is a client of the supervisor outside, which rules, records and runs it
//! in a cage of its own, and never loosens anything for it.
//!
//! In: agents (scripts) that call `ringfort` inside. Out: status, streams, the trail, what is left running.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Output, Place, TIME_MAX, is_namespaced, until};

/// Finds the binary inside.
const RF: &str = "rf=$HOME/.local/bin/ringfort; [ -x \"$rf\" ] || rf=$(command -v ringfort)\n";

/// Runs an agent: a script that may call `"$rf"`.
fn agent(place: &Place, script: &str) -> Output {
    place.write("agent.sh", format!("{RF}{script}\n"));
    place.run(["sh", "agent.sh"]).output()
}

fn trail(place: &Place) -> Vec<Value> {
    let out = place.ringfort(["--json", "trail", "tail", "-n", "1000"]).output().exits(0).out();
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn status_output_and_input_pass() {
    let place = Place::new();
    let ran = agent(
        &place,
        "\"$rf\" run -- sh -c 'echo out; echo err >&2; exit 7'; echo status-$?-\n\
         echo through | \"$rf\" run -- cat\n\
         printf 'from a file\\n' > in.txt; \"$rf\" run -- cat < in.txt\n\
         \"$rf\" run -- 'echo text | tr a-z A-Z'\n\
         \"$rf\" run -- sh -c 'kill -KILL $$'; echo status-$?-",
    );
    assert_eq!(ran.out(), "out\nstatus-7-\nthrough\nfrom a file\nTEXT\nstatus-137-\n", "{ran}");
    assert!(ran.err().contains("err\n"), "{ran}");
}

#[test]
fn a_home_with_a_folder_of_programs_has_the_client_beside_it() {
    let place = Place::new();
    place.write(place.home.join(".local/bin/tool"), "");
    place.write("agent.sh", "ringfort run -- echo through; ls \"$HOME/.local/bin\"\n");
    let ran = place.run(["sh", "agent.sh"]).output().exits(0);
    assert_eq!(ran.out(), "through\ntool\n", "{ran}");
}

#[test]
fn a_nested_run_writes_where_the_agent_may_and_nowhere_else() {
    let place = Place::new();
    let outside = place.outside.join("made");
    let ran = agent(
        &place,
        &format!("\"$rf\" run -- touch made; \"$rf\" run -- sh -c 'touch {}'; echo status-$?-", outside.display()),
    );
    assert!(place.work.join("made").exists(), "{ran}");
    assert!(!outside.exists() && !ran.out().contains("status-0-"), "{ran}");
}

#[test]
fn a_nested_run_is_on_the_record_with_its_chain() {
    let place = Place::new();
    agent(&place, "\"$rf\" run -- touch made").exits(0);
    let entries = trail(&place);
    let about = |entry: &&Value| entry["entry"]["action"].as_str().is_some_and(|action| action.contains("touch made"));
    let nested: Vec<&Value> = entries.iter().filter(about).collect();
    assert_eq!(nested.len(), 2, "an intent and an outcome: {entries:#?}");
    for (entry, kind) in nested.iter().zip(["intent", "outcome"]) {
        assert_eq!(entry["entry"]["kind"], kind, "{entry:#}");
        let chain = entry["entry"]["principal"].as_array().unwrap();
        assert_eq!(chain.len(), 2, "the user, and the agent below: {entry:#}");
        assert_eq!(chain[1], "sh", "{entry:#}");
    }
    place.ringfort(["trail", "verify"]).output().exits(0);
}

#[test]
fn deny_nested_what_is_denied_and_show_no_way_around() {
    let place = Place::new();
    let ran =
        agent(&place, "\"$rf\" run -- cat /etc/shadow; echo status-$?-; \"$rf\" run -- 'rm -rf /'; echo status-$?-");
    assert_eq!(ran.out(), "status-126-\nstatus-126-\n", "{ran}");
    assert!(ran.err().contains("denied"), "{ran}");
    assert!(!ran.err().contains("to allow it:"), "remedies that widen are for people: {ran}");
    let denied = trail(&place).iter().filter(|entry| entry["entry"]["facts"]["result"] == "denied").count();
    assert_eq!(denied, 2);
}

#[test]
fn deny_nested_questions_without_a_person() {
    let place = Place::new();
    let ran = agent(&place, "\"$rf\" run -- git push --force origin main; echo status-$?-");
    assert_eq!(ran.out(), "status-126-\n", "{ran}");
    assert!(!ran.err().contains("autonomy.ask"), "remedies that widen are for people: {ran}");
}

#[test]
fn no_escalation_by_flags_and_variables() {
    let place = Place::new();
    place.write("mine.toml", "[autonomy]\nlevel = \"full\"\nask = \"never\"\n");
    for flags in [
        "--policy mine.toml",
        "--set autonomy.ask=never",
        "--state /tmp/state",
        "--workspace /",
        "--workspace .",
        "--degree minimal",
        "--set=autonomy.ask=never",
    ] {
        let ran = agent(&place, &format!("\"$rf\" run {flags} -- touch made; echo status-$?-"));
        assert_eq!(ran.out(), "status-126-\n", "`{flags}`: {ran}");
        assert!(!place.work.join("made").exists(), "`{flags}`");
    }
    let variables = "export RINGFORT_POLICY=$PWD/mine.toml RINGFORT_STATE=/tmp/state XDG_CONFIG_HOME=$PWD XDG_STATE_HOME=/tmp HOME=/tmp\n";
    let ran = agent(&place, &format!("{variables}\"$rf\" run -- git push --force origin main; echo status-$?-"));
    assert_eq!(ran.out(), "status-126-\n", "{ran}");
}

#[test]
fn no_escalation_by_hiding_the_broker() {
    let place = Place::new();
    let secret = place.outside.join("secret");
    fs::write(&secret, "outside\n").unwrap();
    for hide in
        ["env -u RINGFORT_BROKER", "env RINGFORT_BROKER=9", "env RINGFORT_BROKER=", "env -i PATH=$PATH HOME=/tmp"]
    {
        let ran = agent(&place, &format!("{hide} \"$rf\" run -- cat {}; echo status-$?-", secret.display()));
        assert!(!ran.out().contains("outside\n") && !ran.out().contains("status-0-"), "`{hide}`: {ran}");
    }
}

#[test]
fn check_asks_the_supervisor() {
    let place = Place::new();
    let ran = agent(
        &place,
        "\"$rf\" check -- ls -la > a.txt; echo $?; \"$rf\" check -- cat /etc/shadow > b.txt; echo $?; \
         \"$rf\" check -- git push --force > c.txt; echo $?; \"$rf\" check --path /etc/shadow; echo $?",
    );
    assert_eq!(ran.out(), "0\n1\n4\n2\n", "{ran}");
    let denied = fs::read_to_string(place.work.join("b.txt")).unwrap();
    assert!(denied.contains("deny") && !denied.contains("to allow it:"), "{denied}");
}

#[test]
fn deny_the_record_and_the_policy_from_inside() {
    let place = Place::new();
    let ran = agent(
        &place,
        "for c in 'trail tail' 'policy accept --yes' 'doctor'; do \"$rf\" $c > out.txt 2>&1 && echo \"WENT $c\"; done; echo end",
    );
    assert_eq!(ran.out(), "end\n", "{ran}");
}

#[test]
fn a_nested_run_can_nest() {
    let place = Place::new();
    let ran = agent(&place, "\"$rf\" run -- \"$rf\" run -- sh -c 'echo deep; exit 4'; echo status-$?-");
    assert_eq!(ran.out(), "deep\nstatus-4-\n", "{ran}");
}

#[test]
fn no_more_than_thirty_two_at_once() {
    let place = Place::new();
    let ran = agent(
        &place,
        "for i in $(seq 1 36); do (\"$rf\" run -- sh -c 'sleep 8' \"$i\" 2>> refused.txt; echo $? >> ended.txt) & done; wait",
    );
    let ended = fs::read_to_string(place.work.join("ended.txt")).unwrap();
    let count = |status: &str| ended.lines().filter(|line| *line == status).count();
    assert_eq!(ended.lines().count(), 36, "{ran}");
    assert!(count("125") >= 1 && count("0") >= 20 && count("0") <= 36, "{ended} {ran}");
    let refused = fs::read_to_string(place.work.join("refused.txt")).unwrap();
    assert!(refused.contains("32 nested runs"), "{refused}");
}

#[test]
fn a_client_that_is_killed_takes_its_run_with_it() {
    let place = Place::new();
    let ran = agent(
        &place,
        "\"$rf\" run -- sh -c 'echo up > up.txt; sleep 3; touch late' & \n\
         while [ ! -s up.txt ]; do sleep 0.05; done; kill -KILL $!; sleep 5; echo end",
    );
    assert!(ran.out().contains("end"), "{ran}");
    assert!(!place.work.join("late").exists(), "the sibling went on: {ran}");
}

#[test]
fn the_end_of_the_agent_is_the_end_of_its_nested_runs() {
    let place = Place::new();
    let ran = agent(
        &place,
        "\"$rf\" run -- sh -c 'echo up > up.txt; sleep 8; touch late' & while [ ! -s up.txt ]; do sleep 0.05; done",
    );
    assert_eq!(ran.code(), Some(0), "{ran}");
    assert!(ran.elapsed < Duration::from_secs(8), "{ran}");
    std::thread::park_timeout(Duration::from_secs(9).saturating_sub(ran.elapsed));
    assert!(!place.work.join("late").exists(), "{ran}");
    let about = |entry: &Value, kind: &str| {
        entry["entry"]["kind"] == kind
            && entry["entry"]["action"].as_str().is_some_and(|action| action.contains("late"))
    };
    let entries = trail(&place);
    for kind in ["intent", "outcome"] {
        assert_eq!(entries.iter().filter(|entry| about(entry, kind)).count(), 1, "{kind}: {entries:#?}");
    }
}

#[test]
fn a_program_that_closes_descriptors_gets_a_clear_error() {
    let place = Place::new();
    place.write(
        "agent.py",
        "import os, subprocess\n\
         rf = os.path.expanduser('~/.local/bin/ringfort')\n\
         rf = rf if os.path.exists(rf) else 'ringfort'\n\
         for keep in (False, True):\n    \
             done = subprocess.run([rf, 'run', '--', 'echo', 'nested'], close_fds=not keep, capture_output=True, text=True)\n    \
             print(done.returncode, done.stdout.strip(), done.stderr.strip().replace('\\n', ' '))\n",
    );
    let ran = place.run(["python3", "agent.py"]).output().exits(0);
    let out = ran.out();
    let lines: Vec<&str> = out.lines().collect();
    let closed = lines.first().unwrap();
    assert!(closed.starts_with("125 "), "{ran}");
    assert!(closed.contains("pass_fds") || closed.contains("descriptor"), "it says what to do: {closed}");
    assert_eq!(lines.get(1).unwrap().trim(), "0 nested", "{ran}");
}

#[test]
fn redact_what_a_nested_run_says() {
    let place = Place::new();
    let token = format!("ghp_{}", "A1b2C3d4E5f6G7h8J9k0L1m2N3p4Q5r6S7t8");
    place.write("say.sh", format!("echo {token}\n"));
    let ran = agent(&place, "\"$rf\" run -- sh say.sh");
    assert!(!ran.out().contains(&token[8..]) && ran.out().contains("REDACTED"), "{ran}");
}

#[test]
fn rubbish_on_the_socket_disturbs_nobody() {
    let place = Place::new();
    place.write(
        "rubbish.py",
        "import socket, os, array, json\n\
         s = socket.socket(fileno=os.dup(int(os.environ['RINGFORT_BROKER'])))\n\
         n = os.open('/dev/null', os.O_RDWR)\n\
         def send(data, fds):\n    \
             try: s.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] if fds else [])\n    \
             except OSError as e: print('refused', e.errno)\n\
         send(b'', [])\n\
         send(b'{', [n] * 4)\n\
         send(b'x' * 100000, [n] * 4)\n\
         send(json.dumps({'v': 1, 'op': 'run', 'words': [], 'cwd': [], 'env': []}).encode(), [n] * 4)\n\
         send(json.dumps({'v': 1, 'op': 'run', 'words': [[97]], 'cwd': [47], 'env': [], 'principal': 'root'}).encode(), [n] * 4)\n\
         send(json.dumps({'v': 1, 'op': 'run', 'words': [[97]], 'cwd': [47], 'env': []}).encode(), [n] * 2)\n\
         send(json.dumps({'v': 9, 'op': 'run', 'words': [[97]], 'cwd': [47], 'env': []}).encode(), [n] * 4)\n",
    );
    let ran = agent(&place, "python3 rubbish.py; \"$rf\" run -- echo fine");
    assert!(ran.out().ends_with("fine\n"), "{ran}");
    assert_eq!(ran.code(), Some(0), "{ran}");
}

#[test]
fn nothing_of_a_nested_run_is_left() {
    let place = Place::new();
    if !is_namespaced(&place) {
        return;
    }
    let marker = format!("3{:06}", std::process::id());
    place.write("agent.sh", format!("{RF}\"$rf\" run -- sh -c 'setsid sleep {marker} & sleep {marker}' & wait\n"));
    let mut program = place.run(["sh", "agent.sh"]);
    program.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = program.spawn();
    let alive = || {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        lines.filter(|line| line.starts_with(b"sleep\0") && String::from_utf8_lossy(line).contains(&marker)).count()
    };
    until(TIME_MAX, || (alive() == 2).then_some(())).expect("both sleep");
    let pid = rustix::process::Pid::from_raw(i32::try_from(running.pid()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    running.wait(TIME_MAX);
    until(Duration::from_secs(10), || (alive() == 0).then_some(())).expect("nothing is left");
}
