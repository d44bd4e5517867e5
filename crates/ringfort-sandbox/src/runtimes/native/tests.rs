// SPDX-License-Identifier: MIT OR Apache-2.0
//! Older kernels, by lowering the Landlock ABI that is used: each rung keeps what it can and says what it cannot.

use std::fs::File;

use super::*;

/// What a caged `true` achieves with this ABI.
fn achieved_with(mode: Mode, abi: u32) -> Achieved {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let (home, workspace) = (root.join("home"), root.join("home/work"));
    std::fs::create_dir_all(&workspace).unwrap();
    let profile = Profile::new(workspace, home);
    let null = || File::options().read(true).write(true).open("/dev/null").unwrap().into();
    let spawn = Spawn {
        program: "/bin/true".into(),
        argv: vec!["true".into()],
        stdin: null(),
        stdout: null(),
        stderr: null(),
        terminal: None,
        broker: None,
    };
    let host = Host { abi, floor: Degree::Minimal, rlimits: &[], entrances: &[] };
    match attempt(mode, &profile, &BTreeSet::new(), &spawn, &host, &mut Vec::new()) {
        Ok(started) => {
            ignore(syscall::wait_child(syscall::Which::One(started.pid), Patience::Wait));
            started.achieved
        }
        Err(Attempt::Unavailable(reason)) => panic!("unavailable: {reason}"),
        Err(Attempt::Final(error)) => panic!("{error:?}"),
    }
}

#[test]
fn deny_promises_that_an_older_landlock_cannot_keep() {
    let host = syscall::landlock_abi().unwrap_or(0);
    use Promise::{ConfineReads, ConfineSyscalls, ConfineWrites, KillAll, NoNetwork, NoPrivilege};
    for (abi, held) in [
        (0, &[NoNetwork, ConfineSyscalls, NoPrivilege][..]),
        (1, &[ConfineReads, NoNetwork, ConfineSyscalls, NoPrivilege][..]),
        (2, &[ConfineReads, NoNetwork, ConfineSyscalls, NoPrivilege][..]),
        (3, &[ConfineWrites, ConfineReads, NoNetwork, ConfineSyscalls, NoPrivilege][..]),
        (5, &[ConfineWrites, ConfineReads, NoNetwork, ConfineSyscalls, NoPrivilege][..]),
        (6, &[ConfineWrites, ConfineReads, NoNetwork, ConfineSyscalls, NoPrivilege, KillAll][..]),
    ] {
        if abi > host {
            eprintln!("skipped: ABI {abi} on a kernel with {host}");
            continue;
        }
        let achieved = achieved_with(Mode::Minimal, abi);
        assert_eq!(
            achieved.held().collect::<BTreeSet<_>>(),
            held.iter().copied().collect(),
            "ABI {abi}: {achieved:#?}"
        );
        assert_eq!((achieved.degree, achieved.landlock_abi), (Degree::Minimal, (abi > 0).then_some(abi)));
    }
}

#[test]
fn namespaces_alone_are_a_reduced_degree() {
    if !try_namespaces().mounts {
        eprintln!("skipped: no namespaces here");
        return;
    }
    for (abi, degree) in [(0, Degree::Reduced), (1, Degree::Reduced), (6, Degree::Full)] {
        if abi <= syscall::landlock_abi().unwrap_or(0) {
            let achieved = achieved_with(Mode::Namespaced, abi);
            assert_eq!(achieved.degree, degree, "{achieved:#?}");
            assert_eq!(achieved.held().count(), Promise::ALL.len(), "{achieved:#?}");
        }
    }
}
