// SPDX-License-Identifier: MIT OR Apache-2.0
//! Races: threads that move what is protected, what is looked at and what is copied, while others read and write.
//!
//! In: `race KIND SECONDS SCENE`, the kind being `rename`, `symlink`, `hardlink` or `mount`. Out: whatever a reader got to
//! see of the outside, and how many steps were made. What must not change is looked at from outside afterwards.
//!
//! **Invariant:** paths are those of the workspace and of the scene; a thread ends when the time is over.

use std::fs::{self, File};
use std::io::{Error, Read, Result, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::scene::Scene;
use crate::sys;

/// What stands in the workspace from the start, and the folders above it.
const PROTECTED: [&str; 10] = [
    ".git",
    ".git/hooks",
    ".git/hooks/pre-commit",
    ".git/config",
    ".vscode",
    ".vscode/tasks.json",
    ".mcp.json",
    ".envrc",
    "sub/deep",
    "sub/deep/.envrc",
];

/// What a runtime copies, judges or moves once it is there.
const NEW: [&str; 9] = [
    "below/.git/config",
    "below/.git/hooks/post-checkout",
    "below/.git",
    "below/.envrc",
    "below/.vscode/tasks.json",
    "below/.vscode",
    ".git/config.worktree",
    ".cursor/mcp.json",
    "below",
];

/// Threads that move things, and threads that read.
const MOVERS: u64 = 3;

/// Numbers that look random and are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn pick(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (count.max(1) as u64)).unwrap_or(0)
    }

    fn one<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list.get(self.pick(list.len())).copied().unwrap_or(".envrc")
    }
}

/// Runs the race.
pub(crate) fn race(words: &[&str]) -> Result<()> {
    let [kind, seconds, scene] = words else { return Err(Error::other("race KIND SECONDS SCENE")) };
    let step: fn(&Scene, &mut Dice, &Path) -> Result<()> = match *kind {
        "rename" => rename,
        "symlink" => links,
        "hardlink" => names,
        "mount" => mounts,
        _ => return Err(Error::other("rename, symlink, hardlink or mount")),
    };
    let scene = Arc::new(Scene::read(Path::new(scene))?);
    std::env::set_current_dir(&scene.work)?;
    let end = Instant::now() + Duration::from_secs(seconds.parse().unwrap_or(1));
    let steps = Arc::new(AtomicU64::new(0));
    let mut threads = Vec::new();
    for number in 1..=MOVERS {
        let (scene, steps) = (Arc::clone(&scene), Arc::clone(&steps));
        threads.push(std::thread::spawn(move || {
            let mut dice = Dice(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
            let scratch = PathBuf::from(format!("scratch-{number}"));
            while Instant::now() < end {
                // Most steps fail: that is what is tried.
                drop(step(&scene, &mut dice, &scratch));
                drop(write(&mut dice));
                drop(again(&mut dice, &scratch));
                steps.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    let reader = Arc::clone(&scene);
    threads.push(std::thread::spawn(move || read(&reader, end)));
    for thread in threads {
        drop(thread.join());
    }
    let mut out = std::io::stdout();
    writeln!(out, "{} steps", steps.load(Ordering::Relaxed))
}

/// Reads whatever is in the places that are moved; shows it when it comes from outside.
fn read(scene: &Scene, end: Instant) {
    let mark = format!("canary-{}", scene.tag());
    while Instant::now() < end {
        for path in
            PROTECTED.iter().chain(&NEW).copied().chain(["below/secret", "scratch-1/secret", "below/.git/secret"])
        {
            let mut text = Vec::new();
            let Ok(file) = File::open(path) else { continue };
            drop(file.take(4096).read_to_end(&mut text));
            let text = String::from_utf8_lossy(&text);
            if text.contains(&mark) {
                drop(writeln!(std::io::stdout(), "read through {path}: {text}"));
            }
        }
    }
}

fn write(dice: &mut Dice) -> Result<()> {
    let path = if dice.pick(2) == 0 { dice.one(&PROTECTED) } else { dice.one(&NEW) };
    File::options().append(true).open(path)?.write_all(b"attacked\n")
}

/// Makes again what was moved away, so that there is always something to move.
fn again(dice: &mut Dice, scratch: &Path) -> Result<()> {
    match dice.pick(8) {
        0 => fs::create_dir_all("below/.git/hooks"),
        1 => fs::create_dir_all("below/.vscode"),
        2 => fs::write("below/.git/config", "[core]\n\trepositoryformatversion = 0\n"),
        3 => fs::write("below/.git/HEAD", "ref: refs/heads/main\n").and(fs::create_dir_all("below/.git/objects")),
        4 => fs::create_dir_all("below/.git/refs").and(fs::write("below/.envrc", "attacked")),
        5 => fs::create_dir_all(".cursor").and(fs::write(".cursor/mcp.json", "{}")),
        6 => fs::remove_dir_all(scratch),
        _ => fs::remove_file(scratch),
    }
}

fn swap(one: &Path, other: &Path) -> Result<()> {
    let (a, b) = (sys::c(one), sys::c(other));
    sys::call(sys::RENAMEAT2, [sys::HERE, sys::at(&a), sys::HERE, sys::at(&b), 2])
        .map_err(|error| Error::from_raw_os_error(error.0))?;
    Ok(())
}

fn rename(scene: &Scene, dice: &mut Dice, scratch: &Path) -> Result<()> {
    let (old, new) = (Path::new(dice.one(&PROTECTED)), Path::new(dice.one(&NEW)));
    match dice.pick(8) {
        0 => fs::rename(old, scratch),
        1 => fs::rename(scratch, old),
        2 => swap(old, scratch),
        3 => fs::rename(new, scratch),
        4 => fs::rename(scratch, new),
        5 => swap(new, scratch),
        6 => swap(old, new),
        _ => fs::rename(scene.outside.join("spare1"), new),
    }
}

fn links(scene: &Scene, dice: &mut Dice, scratch: &Path) -> Result<()> {
    let place = Path::new(if dice.pick(4) == 0 { dice.one(&PROTECTED) } else { dice.one(&NEW) });
    let targets =
        [scene.outside.clone(), scene.outside.join("secret"), scene.outside.join("spare1"), scene.home.join(".ssh")];
    let target = targets.get(dice.pick(targets.len())).unwrap_or(&scene.outside);
    match dice.pick(4) {
        0 => symlink(target, place),
        1 => fs::remove_file(place),
        // In one step, so that whoever looked before finds a link now.
        2 => symlink(target, scratch).and_then(|()| fs::rename(scratch, place)),
        _ => symlink(target, scratch).and_then(|()| swap(scratch, place)),
    }
}

fn names(scene: &Scene, dice: &mut Dice, scratch: &Path) -> Result<()> {
    let (old, new) = (Path::new(dice.one(&PROTECTED)), Path::new(dice.one(&NEW)));
    match dice.pick(7) {
        0 => fs::hard_link(old, scratch),
        1 => fs::hard_link(scene.outside.join("spare1"), scratch).and_then(|()| fs::write(scratch, "attacked")),
        2 => fs::hard_link(scene.outside.join("secret"), new),
        3 => fs::hard_link(old, scratch).and_then(|()| fs::rename(scratch, new)),
        4 => fs::hard_link(new, scratch),
        5 => File::options().append(true).open(scratch)?.write_all(b"attacked\n"),
        _ => fs::remove_file(new),
    }
}

fn mounts(scene: &Scene, dice: &mut Dice, scratch: &Path) -> Result<()> {
    let place = sys::c(if dice.pick(2) == 0 { dice.one(&PROTECTED) } else { dice.one(&NEW) });
    let from = sys::c(if dice.pick(2) == 0 { &scene.outside } else { scratch });
    const BIND: usize = 0x1000;
    const AWAY: usize = 2;
    let number = dice.pick(6);
    let answer = match number {
        0 => sys::call(sys::MOUNT, [sys::at(&from), sys::at(&place), 0, BIND, 0]),
        1 => sys::call(sys::UMOUNT2, [sys::at(&place), AWAY]),
        2 => sys::call(sys::UNSHARE, [0x2_0000 | 0x1000_0000]),
        3 => sys::call(sys::MOUNT, [0, sys::at(&place), 0, BIND | 0x20, 0]),
        4 => sys::call(sys::OPEN_TREE, [sys::HERE, sys::at(&place), 1]),
        _ => return fs::create_dir(scratch).and_then(|()| rename(scene, dice, scratch)),
    };
    answer.map(|_| ()).map_err(|error| Error::from_raw_os_error(error.0))
}
