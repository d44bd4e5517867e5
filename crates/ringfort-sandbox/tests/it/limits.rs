// SPDX-License-Identifier: MIT OR Apache-2.0
//! Limits: what holds them, that they bind everything together, and that nothing is left of their groups.

use std::path::PathBuf;

use ringfort_core::obligation::{LimitObligation, Obligations};
use ringfort_core::permit::Permit;
use ringfort_sandbox::achieved::{HeldLimit, Means};
use ringfort_sandbox::group::{Controller, Group, sweep_groups};
use ringfort_sandbox::launch::{Exit, LaunchError, launch};
use ringfort_sandbox::profile::DegreeRequest;

use crate::cage::{DEGREES, Outcome, Place, permit, request, spawn, start};

/// Whether a group of this host can hold `controller`; reports a skip where not, which `RINGFORT_TEST_NO_SKIP=1` makes
/// an error.
#[expect(clippy::disallowed_methods, reason = "a test has no wiring; the variable only makes it stricter")]
fn is_held(controller: Controller) -> bool {
    let held = Group::available().iter().any(|(one, _)| *one == controller);
    let strict = std::env::var_os("RINGFORT_TEST_NO_SKIP").is_some_and(|value| value == "1");
    assert!(held || !strict || !is_root(), "skipped, and skips are errors: no control group for {controller:?}");
    if !held {
        eprintln!("skipped: no control group for {controller:?}");
    }
    held
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Names of groups of this process that are there now.
fn groups() -> Vec<PathBuf> {
    let own = format!("ringfort-{}-", std::process::id());
    let mut found = Vec::new();
    let mut folders = vec![(PathBuf::from("/sys/fs/cgroup"), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
            if entry.file_name().to_string_lossy().starts_with(&own) {
                found.push(entry.path());
            } else if depth < 4 {
                folders.push((entry.path(), depth + 1));
            }
        }
    }
    found
}

fn means(outcome: &Outcome, limit: &str) -> Option<Means> {
    outcome.achieved.limits.iter().find(|held| held.limit == limit).map(|held| held.means)
}

#[test]
fn deny_more_processes_than_the_limit_in_any_nesting() {
    if !is_held(Controller::Pids) {
        return;
    }
    for degree in DEGREES {
        let mut place = Place::new(degree);
        place.profile.limits.processes_max = Some(8);
        place.profile.group = Group::for_limits(&place.profile.limits);
        // Each link of the chain starts the next in a session of its own, and counts how far it came.
        std::fs::write(
            place.workspace.join("chain.sh"),
            "echo x >> count; [ $(wc -l < count) -lt 40 ] && (setsid sh chain.sh &) ; sleep 2\n",
        )
        .unwrap();
        let outcome = place.run("/bin/sh", &["sh", "chain.sh"]).unwrap();
        let count = std::fs::read_to_string(place.workspace.join("count")).unwrap().lines().count();
        assert!((1..=8).contains(&count), "{count} of 8 processes: {outcome:?}");
        assert!(matches!(means(&outcome, "processes"), Some(Means::CgroupV1 | Means::CgroupV2)), "{outcome:?}");
        let hits = place.profile.group.as_ref().unwrap().hits();
        assert!(hits.starts_refused > 0 && hits.memory_kills == 0, "{hits:?}");
        place.profile.group = None;
    }
}

#[test]
fn deny_more_memory_than_the_limit_spread_over_processes() {
    if !is_held(Controller::Memory) {
        return;
    }
    for degree in DEGREES {
        let mut place = Place::new(degree);
        place.profile.limits.memory_bytes_max = Some(64 << 20);
        let group = Group::for_limits(&place.profile.limits);
        place.profile.group.clone_from(&group);
        // Less for each alone than the limit, far more together.
        let script = "for i in 1 2 3 4 5; do python3 -c 'b = b\"x\" * (40 << 20); import time; time.sleep(1.5); \
                      open(\"survived\", \"a\").write(\"y\")' & done; wait";
        let outcome = place.shell(script);
        let survived = std::fs::read_to_string(place.workspace.join("survived")).unwrap_or_default().len();
        assert!(survived <= 1, "{survived} of five had 40 MiB each within 64: {outcome:?}");
        assert!(group.unwrap().hits().memory_kills > 0, "{outcome:?}");
        // The same without a limit is fine.
        place.profile.limits.memory_bytes_max = None;
        place.profile.group = None;
        place.shell("rm -f survived; python3 -c 'b = b\"x\" * (80 << 20); print(len(b))'").prints("83886080");
    }
}

#[test]
fn a_share_of_the_processors_is_kept() {
    if !is_held(Controller::Cpu) {
        return;
    }
    let mut place = Place::new(DegreeRequest::Auto);
    place.profile.limits.cpu_percent_max = Some(20);
    // Two busy processes: of the wall time together at most a fifth, with room for the first period and the last.
    let script = "python3 -c 'import time\nend = time.monotonic() + 1.5\nwhile time.monotonic() < end: pass' & \
                  python3 -c 'import time\nend = time.monotonic() + 1.5\nwhile time.monotonic() < end: pass' & wait; \
                  awk '{print $16 + $17}' /proc/$$/stat";
    let started = std::time::Instant::now();
    let outcome = place.shell(script);
    let used = std::time::Duration::from_millis(10 * outcome.out.trim().parse::<u64>().unwrap());
    let wall = started.elapsed();
    assert!(used < wall.mul_f64(0.35), "{used:?} of {wall:?}: {outcome:?}");
    assert!(used > std::time::Duration::from_millis(100), "nothing was busy: {outcome:?}");
    assert!(means(&outcome, "cpu_percent").is_some());
}

#[test]
fn deny_a_limit_that_nothing_holds() {
    let mut place = Place::new(DegreeRequest::Auto);
    // A group that could bind nothing, as on a host without control groups.
    place.profile.limits.cpu_percent_max = Some(10);
    place.profile.group =
        Group::for_limits(&ringfort_sandbox::profile::Limits { memory_bytes_max: Some(1 << 40), ..Default::default() });
    match place.run("/bin/sh", &["sh", "-c", "echo > ran"]) {
        Err(error @ LaunchError::Limit { limit: "cpu_percent", .. }) => assert!(error.help().is_some(), "{error}"),
        other => panic!("{other:?}"),
    }
    assert!(!place.workspace.join("ran").exists(), "the program ran");
    // Memory is held by a resource limit then, and says so.
    place.profile.limits =
        ringfort_sandbox::profile::Limits { memory_bytes_max: Some(256 << 20), ..Default::default() };
    place.profile.group =
        Group::for_limits(&ringfort_sandbox::profile::Limits { processes_max: Some(1 << 20), ..Default::default() });
    let outcome = place.shell("ulimit -v");
    outcome.prints("262144");
    assert_eq!(outcome.achieved.limits, [HeldLimit { limit: "memory_mb", bound: 256 << 20, means: Means::Rlimit }]);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests have no pipeline; the permit itself is tested in core")]
fn no_escalation_a_permit_narrows_the_group_of_its_cage() {
    if !is_held(Controller::Pids) {
        return;
    }
    let mut place = Place::new(DegreeRequest::Auto);
    place.profile.limits.processes_max = Some(100);
    place.profile.group = Group::for_limits(&place.profile.limits);
    for (asked, expected) in [(5, 5), (500, 100)] {
        let limits = LimitObligation { processes_max: Some(asked), ..LimitObligation::default() };
        let obligations = Obligations { limits, ..Obligations::default() };
        let permit = Permit::issue(request(), obligations, ringfort_core::clock::Timestamp(0));
        let now = ringfort_core::clock::Timestamp(1);
        let sleep = spawn("/bin/sleep", &["sleep", "100"]);
        let mut cage = launch(permit, &request(), now, &place.profile, sleep).unwrap();
        let held = cage.achieved().limits.iter().find(|held| held.limit == "processes").unwrap();
        assert_eq!(held.bound, expected);
        let shown: Vec<u64> = groups()
            .iter()
            .flat_map(|group| [group.clone(), group.join("0"), group.join("1")])
            .filter_map(|group| std::fs::read_to_string(group.join("pids.max")).ok()?.trim().parse().ok())
            .collect();
        assert!(shown.contains(&expected), "{shown:?}");
        assert_eq!(cage.kill_all(), Exit::Killed);
    }
    drop(permit());
}

#[test]
fn nothing_is_left_of_a_group() {
    for degree in DEGREES {
        let mut place = Place::new(degree);
        place.profile.limits.memory_bytes_max = Some(256 << 20);
        place.shell("(setsid sleep 1000 &) ; exit 0");
        let mut cage = start(&place, spawn("/bin/sleep", &["sleep", "1000"])).unwrap();
        if is_held(Controller::Memory) {
            assert!(cage.group().is_some() && !groups().is_empty());
        }
        assert_eq!(sweep_groups().iter().filter(|name| name.contains(&format!("-{}-", std::process::id()))).count(), 0);
        cage.kill_all();
        drop(cage);
        // Also when the program cannot be started at all.
        assert!(place.run("/no/such/program", &["x"]).is_err());
    }
    // Other tests of this process have groups of their own while they run.
    let empty = |group: &PathBuf| std::fs::read_to_string(group.join("cgroup.procs")).is_ok_and(|list| list.is_empty());
    for _ in 0..200 {
        if !groups().iter().any(empty) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(25));
    }
    panic!("left: {:?}", groups());
}
