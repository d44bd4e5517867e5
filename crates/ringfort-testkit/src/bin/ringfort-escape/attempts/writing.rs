// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changing what lies outside the workspace: content, names, new entries. Files of the system are only opened.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::Path;

use super::{Attempt, Blocked, Outcome, TMPFILE, WRITE, answer, done, effect, opens, word};
use crate::scene::Scene;
use crate::sys;

#[rustfmt::skip]
pub(crate) static ATTEMPTS: &[Attempt] = &[
    effect(40, "overwrites a file outside", |s| done(fs::write(s.outside.join("spare1"), "attacked"))),
    effect(41, "makes a file outside", |s| done(fs::write(s.outside.join("made"), "attacked"))),
    effect(42, "appends to the start-up file of the shell", |s| done(File::options().append(true).open(s.home.join(".bashrc")).and_then(|mut file| file.write_all(b"attacked\n")))),
    effect(43, "makes a key that may log in", |s| done(fs::write(s.home.join(".ssh/authorized_keys"), "attacked"))),
    effect(44, "makes a program that starts with the desktop", |s| { fs::create_dir_all(s.home.join(".config/autostart"))?; done(fs::write(s.home.join(".config/autostart/x.desktop"), "attacked")) }),
    effect(45, "removes a file outside", |s| done(fs::remove_file(s.outside.join("spare2")))),
    effect(46, "moves a file from outside into the workspace", |s| done(fs::rename(s.outside.join("spare3"), s.work.join("taken")))),
    effect(47, "moves a file of the workspace outside", |s| done(fs::rename(made(s, "moved")?, s.outside.join("moved")))),
    effect(48, "truncates a file outside by its path", |s| { let path = sys::c(s.outside.join("spare4")); done(sys::call(sys::TRUNCATE, [sys::at(&path), 1])) }),
    effect(49, "opens a file outside with truncation", |s| done(File::create(s.outside.join("spare5")))),
    effect(50, "makes a folder outside", |s| done(fs::create_dir(s.outside.join("made-folder")))),
    effect(51, "makes a link outside", |s| done(std::os::unix::fs::symlink("x", s.outside.join("made-link")))),
    effect(52, "makes a pipe outside", |s| { let path = sys::c(s.outside.join("made-pipe")); done(sys::call(sys::MKNODAT, [sys::HERE, sys::at(&path), 0o010_600, 0])) }),
    effect(53, "removes a folder outside with all in it", |s| done(fs::remove_dir_all(s.outside.join("folder")))),
    effect(54, "makes an unnamed file outside and gives it a name", |s| { let file = unnamed(&s.outside)?; name_it(file, &s.outside.join("unnamed")) }).needs("O_TMPFILE"),
    effect(55, "makes an unnamed file inside and gives it a name outside", |s| { let file = unnamed(&s.work)?; name_it(file, &s.outside.join("unnamed")) }).needs("O_TMPFILE"),
    effect(56, "exchanges a folder of the workspace with one outside", |s| { fs::create_dir_all(s.work.join("swap"))?; let (a, b) = (sys::c(s.work.join("swap")), sys::c(s.outside.join("folder"))); done(sys::call(sys::RENAMEAT2, [sys::HERE, sys::at(&a), sys::HERE, sys::at(&b), 2])) }),
    effect(57, "writes through a shared mapping", |s| { let file = File::options().read(true).write(true).open(s.outside.join("spare1"))?; done(sys::mapped(file.as_raw_fd(), 8, Some(b"attacked"))) }),
    effect(58, "punches a hole into a file outside", |s| { let file = File::options().write(true).open(s.outside.join("spare1"))?; done(sys::call(sys::FALLOCATE, [word(&file), 3, 0, 4096])) }).needs("a file system with holes"),
    effect(59, "has the kernel copy a file of the workspace outside", |s| { let from = File::open(made(s, "source")?)?; let to = File::create(s.outside.join("copied"))?; done(sys::call(sys::COPY_FILE_RANGE, [word(&from), 0, word(&to), 0, 4096, 0])) }),
    effect(60, "writes where temporary files are", |s| done(fs::write(format!("/tmp/ringfort-escape-made-{}", s.tag()), "attacked"))),
    effect(61, "writes where other temporary files are", |s| done(fs::write(format!("/var/tmp/ringfort-escape-made-{}", s.tag()), "attacked"))),
    effect(62, "writes into shared memory by its folder", |s| done(fs::write(format!("/dev/shm/ringfort-escape-made-{}", s.tag()), "attacked"))),
    effect(63, "leaves a program in the workspace that runs as its owner", |s| done(mode(&made(s, "owner")?, 0o4755))),
    effect(64, "the same by the newer call", |s| { let path = sys::c(made(s, "owner2")?); done(sys::call(sys::FCHMODAT2, [sys::HERE, sys::at(&path), 0o4755, 0])) }),
    effect(65, "the same at its making", |s| { let path = sys::c(s.work.join("owner3")); done(sys::call(sys::MKNODAT, [sys::HERE, sys::at(&path), 0o104_755, 0])) }),
    effect(66, "leaves a device in the workspace", |s| { let path = sys::c(s.work.join("device")); done(sys::call(sys::MKNODAT, [sys::HERE, sys::at(&path), 0o020_600, 0x0103])) }).needs("root"),
    effect(67, "leaves a program in the workspace that has rights of its own", |s| { let path = sys::c(made(s, "able")?); let name = sys::c("security.capability"); let value: Vec<u8> = [0x0200_0001u32, 0x20_0000, 0, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect(); done(sys::call(sys::SETXATTR, [sys::at(&path), sys::at(&name), sys::address(&value), 20, 0])) }).needs("root"),
    effect(68, "renames the workspace itself", |s| { let other = s.home.join("work-moved"); done(fs::rename(&s.work, &other))?; done(fs::create_dir(&s.work)) }),
    effect(69, "replaces the folder above the workspace", |s| { let other = s.home.with_file_name("home-moved"); fs::rename(&s.home, &other)?; done(fs::rename(&other, &s.home)).and(done(fs::write(s.home.join("moved-and-back"), "x"))) }),
    effect(70, "poisons the sources that a package manager keeps", |s| done(fs::write(s.home.join(".cargo/registry/src/index/lib.rs"), "attacked"))),
    effect(71, "poisons the cache of another", |s| done(fs::write(s.home.join(".npm/_cacache/content"), "attacked"))),
    effect(72, "puts a program where a compiler is looked for", |s| done(fs::write(s.home.join(".rustup/toolchains/stable/bin/rustc"), "attacked"))),
    effect(73, "puts a program into the private folder of programs", |s| { fs::create_dir_all(s.home.join(".local/bin"))?; done(fs::write(s.home.join(".local/bin/git"), "attacked")) }),
    effect(74, "changes the user's own settings of git", |s| done(fs::write(s.home.join(".gitconfig"), "[core]\n\tfsmonitor = x\n"))),
    effect(75, "plants a record of its own in the state of Ringfort", |s| { let folder = s.home.join(".local/state/ringfort"); fs::create_dir_all(&folder)?; done(fs::write(folder.join("planted"), "attacked")) }),
    effect(76, "writes the policy of Ringfort", |s| done(fs::write(s.home.join(".config/ringfort/ringfort.toml"), "[autonomy]\nask = \"never\"\n"))),
    answer(77, "opens the users of the system for writing", |_| opens("/etc/passwd", WRITE)).needs("root"),
    answer(78, "makes a file beside the programs of the system", |_| opens("/usr", TMPFILE | WRITE)).needs("root"),
    answer(79, "makes a file beside the settings of the system", |_| opens("/etc", TMPFILE | WRITE)).needs("root"),
    answer(80, "makes a file beside the jobs of the system", |_| opens("/etc/cron.d", TMPFILE | WRITE)).needs("root and cron"),
    effect(81, "makes one as it is opened", |s| { let path = sys::c(s.work.join("owner4")); done(sys::call(sys::OPENAT, [sys::HERE, sys::at(&path), 0o101, 0o4755])) }),
    effect(82, "makes one by the newest call to open", |s| { let path = sys::c(s.work.join("owner5")); let how = [0o101u64, 0o4755, 0]; done(sys::call(sys::OPENAT2, [sys::HERE, sys::at(&path), how.as_ptr() as usize, 24])) }),
    effect(83, "makes one without a name, then names it", |s| { let folder = sys::c(&s.work); let file = sys::call(sys::OPENAT, [sys::HERE, sys::at(&folder), TMPFILE | WRITE, 0o4755])?; name_it(file, &s.work.join("owner6")) }).needs("O_TMPFILE"),
    answer(84, "replaces the program that would be its client", own_binary).needs("a cage with it"),
];

/// Only where there is a broker: elsewhere it would be the caller's own.
fn own_binary(s: &Scene) -> Outcome {
    if std::env::var_os("RINGFORT_BROKER").is_none() {
        return Err("there is no broker here".into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    for folder in std::env::split_paths(&path) {
        let program = folder.join("ringfort");
        if program.exists() && (opens(&program, WRITE).is_ok() || fs::rename(made(s, "evil")?, &program).is_ok()) {
            return Ok(program.display().to_string());
        }
    }
    Err("it is read-only, or not there".into())
}

/// A new file in the workspace.
pub(super) fn made(s: &Scene, name: &str) -> Result<std::path::PathBuf, Blocked> {
    let path = s.work.join(name);
    fs::write(&path, "attack")?;
    Ok(path)
}

pub(super) fn mode(path: &Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

fn unnamed(folder: &Path) -> Result<usize, Blocked> {
    let path = sys::c(folder);
    Ok(sys::call(sys::OPENAT, [sys::HERE, sys::at(&path), TMPFILE | WRITE, 0o600])?)
}

fn name_it(file: usize, path: &Path) -> Outcome {
    let (from, to) = (sys::c(format!("/proc/self/fd/{file}")), sys::c(path));
    done(sys::call(sys::LINKAT, [sys::HERE, sys::at(&from), sys::HERE, sys::at(&to), 0x400]))
}
