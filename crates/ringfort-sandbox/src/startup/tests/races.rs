// SPDX-License-Identifier: MIT OR Apache-2.0
//! Something inside still writes while the end is settled: nothing outside is touched.

use super::*;
use crate::startup::beneath::Root;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long the attackers and the settlements run against each other.
const RACE: Duration = Duration::from_secs(2);

/// A small generator, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// One hostile act of something that is held in the workspace; failures are part of the game.
fn act(place: &Place, root: &Root, dice: &mut Dice) -> Result<(), Errno> {
    const NAMES: &[&str] = &[
        ".git",
        ".git/hooks",
        ".git/config",
        ".vscode",
        ".envrc",
        "sub",
        "sub/.envrc",
        ".git/hooks/pre-commit",
        ".cargo",
    ];
    let name = Path::new(NAMES[usize::try_from(dice.roll(NAMES.len() as u64)).unwrap()]);
    let spare = PathBuf::from(format!("spare-{}", dice.roll(4)));
    let (parent, last) = root.parent(name)?;
    let (top, spare) = root.parent(&spare)?;
    let (parent, top) = (parent.as_fd(), top.as_fd());
    let outside = place.base.join("outside");
    match dice.roll(7) {
        0 => rustix::fs::renameat(parent, last, top, spare),
        1 => rustix::fs::renameat(top, spare, parent, last),
        2 => rustix::fs::symlinkat(&outside, parent, last),
        3 => rustix::fs::symlinkat(outside.join("config"), parent, last),
        4 => rustix::fs::linkat(top, spare, parent, last, AtFlags::empty()),
        5 => rustix::fs::mkdirat(parent, last, Mode::RWXU),
        _ => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW;
            let fd = rustix::fs::openat(top, spare, flags, Mode::RWXU)?;
            rustix::io::write(&fd, b"[core]\n\tfsmonitor = evil\n").map(|_| ())
        }
    }
}

#[test]
fn escape_by_swapping_names_while_settling() {
    let place = Place::new();
    place.repository(".git");
    place.write(".vscode/settings.json", "good");
    place.write(".cargo/config.toml", "good");
    let outside = place.base.join("outside");
    for name in ["config", "pre-commit", "settings.json", "config.toml", "tasks.json"] {
        std::fs::write(outside.join(name), "precious").unwrap();
    }
    std::fs::create_dir(outside.join("hooks")).unwrap();
    let (stop, plan) = (AtomicBool::new(false), place.plan());
    let scratch = place.base.join("scratch");
    let mut rounds = 0;
    std::thread::scope(|scope| {
        for seed in 1..=2 {
            let (place, stop) = (&place, &stop);
            scope.spawn(move || {
                let mut dice = Dice(seed);
                let root = Root::open(&place.workspace).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    act(place, &root, &mut dice).ok();
                }
            });
        }
        let end = Instant::now() + RACE;
        while Instant::now() < end {
            rounds += 1;
            let _settled = place.settle(&plan, Enforcement::Unenforced);
            std::fs::remove_dir_all(scratch.join("startup")).unwrap();
            // A plan made in the middle of it must hold up as well.
            if let Ok(plan) = super::plan(&place.workspace, &scratch) {
                let _settled = place.settle(&plan, Enforcement::Mounted);
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    eprintln!("{rounds} rounds");
    assert!(rounds > 5, "the race hardly ran");
    let mut names: Vec<_> = std::fs::read_dir(&outside).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["config", "config.toml", "hooks", "pre-commit", "settings.json", "tasks.json"]);
    for name in names.iter().filter(|name| *name != "hooks") {
        assert_eq!(std::fs::read_to_string(outside.join(name)).unwrap(), "precious", "{name:?}");
    }
    assert_eq!(std::fs::read_dir(outside.join("hooks")).unwrap().count(), 0);
    // When nobody writes any more, one settlement puts everything right.
    let settled = place.settle(&plan, Enforcement::Unenforced);
    assert!(settled.faults.is_empty(), "{settled:#?}");
    assert_eq!(place.read(".vscode/settings.json").as_deref(), Some("good"));
    // It may have lost harmless settings, never gained a harmful one.
    assert!(!place.read(".git/config").unwrap().contains("evil"));
    for name in ["sub/.envrc", ".envrc", ".git/hooks/pre-commit"] {
        assert!(!place.has(name), "{name}");
    }
}
