// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many at once, and processes that are killed: what was answered is there, and what is for once is used once.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Barrier;

use ringfort_core::store::{ApprovalDesk, ApprovalStore, Extent, ONCE_LIFE, Taken, Which};
use ringfort_store::ApprovalDb;

use crate::support::{NOW, Place, question};

#[test]
fn deny_all_but_one_of_many_who_race_for_one_approval() {
    let place = Place::new();
    let store = place.store();
    for round in 0..10 {
        let asked = question(&format!("round {round}"));
        store.ask(&asked, NOW).unwrap();
        store.allow(&asked.keys.exact, Extent::Once, ONCE_LIFE, "ada", NOW).unwrap();
        let start = Barrier::new(8);
        let won = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..8)
                .map(|_| {
                    // A connection of its own, as another process has.
                    let (mine, start, keys) = (place.store(), &start, asked.keys);
                    scope.spawn(move || {
                        start.wait();
                        matches!(mine.take(&keys, NOW).unwrap(), Taken::Granted { .. })
                    })
                })
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).filter(|won| *won).count()
        });
        assert_eq!(won, 1, "round {round}");
    }
}

#[test]
fn many_may_make_the_store_at_once() {
    for _ in 0..5 {
        let place = Place::new();
        std::thread::scope(|scope| {
            for n in 0..6 {
                let store = place.store();
                scope.spawn(move || store.ask(&question(&n.to_string()), NOW).unwrap());
            }
        });
        assert_eq!(place.store().questions(Which::All, NOW).unwrap().len(), 6);
    }
}

/// What a child process of the test below does: asks and allows, and says so after each.
#[test]
fn writer_that_is_killed() {
    let Some(root) = child_root() else { return };
    let store = ApprovalDb::new(std::path::Path::new(&root));
    let mut out = std::io::stdout();
    for n in 0.. {
        let asked = question(&n.to_string());
        store.ask(&asked, NOW).unwrap();
        store.allow(&asked.keys.exact, Extent::Once, ONCE_LIFE, "ada", NOW).unwrap();
        writeln!(out, "granted {n}").unwrap();
        out.flush().unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "the test tells its own child what to do")]
fn child_root() -> Option<String> {
    std::env::var("RINGFORT_TEST_STORE").ok()
}

#[test]
fn what_was_granted_survives_the_death_of_the_process_at_any_point() {
    for round in 0..8_u32 {
        let place = Place::new();
        #[expect(clippy::disallowed_methods, reason = "a process that can be killed")]
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "race::writer_that_is_killed", "--nocapture", "--test-threads=1"])
            .env("RINGFORT_TEST_STORE", place.root())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut said = Vec::new();
        while said.len() < 3 + round as usize * 2 {
            let line = lines.next().unwrap();
            said.extend(line.split("granted ").nth(1).map(str::to_owned));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        said.extend(lines.filter_map(|line| line.split("granted ").nth(1).map(str::to_owned)));
        let store = place.store();
        for n in &said {
            let taken = store.take(&question(n).keys, NOW).unwrap();
            assert!(matches!(taken, Taken::Granted { .. }), "round {round}: {n} of {said:?}");
        }
        store.ask(&question("after"), NOW).unwrap();
    }
}
