// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changing what is protected inside the workspace: by content, by name, through the folders above it.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;

use super::writing::{made, mode};
use super::{Attempt, Outcome, done, effect};
use crate::scene::Scene;
use crate::sys;

#[rustfmt::skip]
pub(crate) static ATTEMPTS: &[Attempt] = &[
    effect(130, "overwrites a hook of git", |s| done(fs::write(s.work.join(".git/hooks/pre-commit"), "attacked"))),
    effect(131, "replaces a hook by renaming", |s| done(fs::rename(made(s, "hook")?, s.work.join(".git/hooks/pre-commit")))),
    effect(132, "removes a hook", |s| done(fs::remove_file(s.work.join(".git/hooks/pre-commit")))),
    effect(133, "makes a sleeping hook executable", |s| done(mode(&s.work.join(".git/hooks/sleeping"), 0o755))),
    effect(134, "appends to a hook by a second name", |s| { fs::hard_link(s.work.join(".git/hooks/pre-commit"), s.work.join("hard-hook"))?; done(File::options().append(true).open(s.work.join("hard-hook")).and_then(|mut file| file.write_all(b"attacked\n"))) }),
    effect(135, "renames the folder of hooks", |s| done(fs::rename(s.work.join(".git/hooks"), s.work.join(".git/hooks2")))),
    effect(136, "renames the git folder", |s| done(fs::rename(s.work.join(".git"), s.work.join(".git2")))),
    effect(137, "exchanges the git folder with its own", |s| { fs::create_dir_all(s.work.join("evil/hooks"))?; fs::write(s.work.join("evil/hooks/pre-commit"), "attacked")?; swap(s, "evil", ".git") }),
    effect(138, "exchanges the folder of hooks with its own", |s| { fs::create_dir_all(s.work.join("evil"))?; fs::write(s.work.join("evil/pre-commit"), "attacked")?; swap(s, "evil", ".git/hooks") }),
    effect(139, "puts a link in the place of a hook", |s| { symlink(made(s, "hook")?, s.work.join("to-hook"))?; done(fs::rename(s.work.join("to-hook"), s.work.join(".git/hooks/pre-commit"))) }),
    effect(140, "removes the git folder with all in it", |s| done(fs::remove_dir_all(s.work.join(".git")))),
    effect(141, "renames the configuration of git away", |s| done(fs::rename(s.work.join(".git/config"), s.work.join("config2")))),
    effect(142, "replaces the configuration of git", |s| done(fs::rename(made(s, "config3")?, s.work.join(".git/config")))),
    effect(143, "overwrites the tasks of an editor", |s| done(fs::write(s.work.join(".vscode/tasks.json"), "attacked"))),
    effect(144, "exchanges the folder of an editor with its own", |s| { fs::create_dir_all(s.work.join("evil"))?; fs::write(s.work.join("evil/tasks.json"), "attacked")?; swap(s, "evil", ".vscode") }),
    effect(145, "overwrites the tools of an agent", |s| done(fs::write(s.work.join(".mcp.json"), "attacked"))),
    effect(146, "replaces the tools of an agent by renaming", |s| done(fs::rename(made(s, "mcp")?, s.work.join(".mcp.json")))),
    effect(147, "overwrites the settings of an agent", |s| done(fs::write(s.work.join(".claude/settings.json"), "attacked"))),
    effect(148, "writes an environment file through a mapping", |s| { let file = File::options().read(true).write(true).open(s.work.join(".envrc"))?; done(sys::mapped(file.as_raw_fd(), 8, Some(b"attacked"))) }),
    effect(149, "truncates an environment file by its path", |s| { let path = sys::c(s.work.join(".envrc")); done(sys::call(sys::TRUNCATE, [sys::at(&path), 0])) }),
    effect(150, "sets the times of a protected file", |s| { let path = sys::c(s.work.join(".envrc")); let times = [1u64, 0, 1, 0]; done(sys::call(sys::UTIMENSAT, [sys::HERE, sys::at(&path), times.as_ptr() as usize, 0])) }),
    effect(151, "sets an attribute of a protected file", |s| { let (path, name) = (sys::c(s.work.join(".envrc")), sys::c("user.attack")); done(sys::call(sys::SETXATTR, [sys::at(&path), sys::at(&name), sys::address(b"x"), 1, 0])) }).needs("extended attributes"),
    effect(152, "renames a folder above a protected file", |s| done(fs::rename(s.work.join("sub"), s.work.join("sub2")))),
    effect(153, "replaces a folder above a protected file", |s| { fs::create_dir_all(s.work.join("evil/deep"))?; fs::write(s.work.join("evil/deep/.envrc"), "attacked")?; swap(s, "evil", "sub") }),
    effect(154, "writes a protected file through its open folder", |s| { let folder = File::open(s.work.join(".git/hooks"))?; let name = sys::c("pre-commit"); let file = sys::call(sys::OPENAT, [super::word(&folder), sys::at(&name), super::WRITE, 0])?; done(fs::write(format!("/proc/self/fd/{file}"), "attacked")) }),
    effect(155, "opens a protected file for reading and again for writing by its number", |s| { let file = File::open(s.work.join(".envrc"))?; done(fs::write(format!("/proc/self/fd/{}", file.as_raw_fd()), "attacked")) }),
    effect(156, "removes what protects by unmounting, then writes", |s| { let path = sys::c(s.work.join(".git/hooks")); sys::call(sys::UMOUNT2, [sys::at(&path), 2])?; done(fs::write(s.work.join(".git/hooks/pre-commit"), "attacked")) }).needs("a mount there"),
    effect(157, "clears what protects by changing the mount, then writes", |s| { let path = sys::c(s.work.join(".git/hooks")); sys::call(sys::MOUNT, [0, sys::at(&path), 0, 0x1020, 0])?; done(fs::write(s.work.join(".git/hooks/pre-commit"), "attacked")) }).needs("a mount there"),
];

fn swap(s: &Scene, ours: &str, theirs: &str) -> Outcome {
    let (a, b) = (sys::c(s.work.join(ours)), sys::c(s.work.join(theirs)));
    done(sys::call(sys::RENAMEAT2, [sys::HERE, sys::at(&a), sys::HERE, sys::at(&b), 2]))
}
