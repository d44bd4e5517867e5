// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is written for each bound, by a folder that looks like a group; the real ones are tested with real cages.

use super::*;

/// A folder with these files, empty.
fn pretend(names: &[&str]) -> (tempfile::TempDir, Folder) {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    let path = folder.path().to_path_buf();
    (folder, Folder { path, version: Version::V2, controllers: Vec::new() })
}

#[test]
fn bounds_are_written_as_the_unified_hierarchy_wants_them() {
    let files = ["memory.max", "memory.swap.max", "memory.oom.group", "pids.max", "cpu.max"];
    let (_folder, group) = pretend(&files);
    for (controller, value, expected) in [
        (
            Controller::Memory,
            64 << 20,
            &[("memory.max", "67108864"), ("memory.swap.max", "0"), ("memory.oom.group", "1")][..],
        ),
        (Controller::Pids, 12, &[("pids.max", "12")]),
        (Controller::Cpu, 150, &[("cpu.max", "150000 100000")]),
    ] {
        group.bind(controller, value).unwrap();
        for (name, text) in expected {
            assert_eq!(group.read(name).unwrap(), *text, "{name}");
        }
    }
}

#[test]
fn deny_a_bound_that_the_kernel_does_not_show() {
    // No file, and a file that shows something larger than what was asked for.
    let (_folder, group) = pretend(&[]);
    for controller in Controller::ALL {
        assert!(group.bind(controller, 100).is_err(), "{controller:?}");
    }
    let (folder, group) = pretend(&["memory.max", "pids.max", "cpu.max"]);
    for name in ["memory.max", "pids.max", "cpu.max"] {
        std::fs::write(folder.path().join(name), "99999999999999 100000\n").unwrap();
    }
    for controller in Controller::ALL {
        assert!(group.bind(controller, 100).is_err(), "{controller:?}");
    }
}

#[test]
fn hits_are_counted_where_the_kernel_counts_them() {
    let (folder, mut group) = pretend(&[]);
    assert_eq!(group.hits(), Hits::default());
    let v2 =
        [("memory.events", "low 0\nhigh 0\nmax 7\noom 2\noom_kill 2\noom_group_kill 1\n"), ("pids.events", "max 5\n")];
    let v1 = [("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"), ("pids.events", "max 4\n")];
    for (version, files, expected) in [(Version::V2, v2, (2, 5)), (Version::V1, v1, (3, 4))] {
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        group.version = version;
        let hits = group.hits();
        assert_eq!((hits.memory_kills, hits.starts_refused), expected, "{version:?}");
    }
}

#[test]
fn nothing_is_made_for_nothing() {
    let limits = Limits { file_bytes_max: Some(1), cpu_s_max: Some(1), descriptors_max: Some(9), ..Limits::default() };
    assert!(Group::for_limits(&limits).is_none());
    assert!(Group::for_limits(&Limits::default()).is_none());
}

#[test]
fn deny_silence_about_what_cannot_be_bounded() {
    let limits = Limits { processes_max: Some(3), cpu_percent_max: Some(10), ..Limits::default() };
    let asked: BTreeMap<Controller, u64> =
        Controller::ALL.into_iter().filter_map(|one| Some((one, one.asked(&limits)?))).collect();
    let folder = tempfile::tempdir().unwrap();
    let nowhere = [
        Vec::new(),
        vec![Hierarchy { version: Version::V2, controllers: Vec::new(), places: vec!["/proc/none".into()] }],
        // A folder where groups can be made and nothing is bounded by them.
        vec![Hierarchy {
            version: Version::V1,
            controllers: vec![Controller::Pids, Controller::Cpu],
            places: vec![folder.path().to_path_buf()],
        }],
    ];
    for hierarchies in nowhere {
        let group = Group::make(&hierarchies, &asked);
        for controller in [Controller::Pids, Controller::Cpu] {
            assert!(group.bound(controller).is_none() && group.missing(controller).is_some(), "{group:?}");
        }
        assert!(group.missing(Controller::Memory).is_none(), "nobody asked");
    }
}

#[test]
fn deny_controllers_to_groups_with_processes_of_their_own() {
    let (folder, _) = pretend(&["cgroup.subtree_control", "cgroup.procs", "cgroup.type"]);
    let path = folder.path();
    let given = || std::fs::read_to_string(path.join("cgroup.subtree_control")).unwrap();
    std::fs::write(path.join("cgroup.procs"), "1\n2\n").unwrap();
    delegate(path, &[(Controller::Pids, 5)]);
    assert_eq!(given(), "");
    // Without processes, and at the root, it is allowed.
    std::fs::write(path.join("cgroup.procs"), "").unwrap();
    delegate(path, &[(Controller::Pids, 5)]);
    assert_eq!(given(), "+pids");
    std::fs::write(path.join("cgroup.procs"), "1\n").unwrap();
    std::fs::write(path.join("cgroup.subtree_control"), "").unwrap();
    std::fs::remove_file(path.join("cgroup.type")).unwrap();
    delegate(path, &[(Controller::Pids, 5)]);
    assert_eq!(given(), "+pids");
}

#[test]
fn deny_a_group_of_threads() {
    for (kind, enters) in [("domain\n", true), ("domain invalid\n", false), ("threaded\n", false)] {
        let (folder, group) = pretend(&["cgroup.procs", "cgroup.type"]);
        std::fs::write(folder.path().join("cgroup.type"), kind).unwrap();
        assert_eq!(group.may_enter(folder.path()).is_ok(), enters, "{kind}");
    }
}
