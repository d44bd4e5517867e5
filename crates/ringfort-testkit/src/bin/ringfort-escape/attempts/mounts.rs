// SPDX-License-Identifier: MIT OR Apache-2.0
//! Another view of the files, or other namespaces. What succeeds does so in a namespace of its own where it can.

use std::fs::{self, File};

use super::{Attempt, Outcome, answer, done, effect, leak, reaches, word};
use crate::scene::Scene;
use crate::sys;

const USER: usize = 0x1000_0000;
const MOUNT: usize = 0x2_0000;
const NEEDS_USER: &str = "user namespaces";

#[rustfmt::skip]
pub(crate) static ATTEMPTS: &[Attempt] = &[
    answer(260, "makes a user namespace", |_| done(sys::call(sys::UNSHARE, [USER]))).needs(NEEDS_USER),
    answer(261, "makes user and mount namespaces and mounts over the workspace", |s| { sys::call(sys::UNSHARE, [USER | MOUNT])?; mount_over(s) }).needs(NEEDS_USER),
    answer(262, "makes user and network namespaces", |_| done(sys::call(sys::UNSHARE, [USER | 0x4000_0000]))).needs(NEEDS_USER),
    answer(263, "makes user and process namespaces", |_| done(sys::call(sys::UNSHARE, [USER | 0x2000_0000]))).needs(NEEDS_USER),
    answer(264, "makes user and time namespaces", |_| done(sys::call(sys::UNSHARE, [USER | 0x80]))).needs(NEEDS_USER),
    answer(265, "makes user and group namespaces", |_| done(sys::call(sys::UNSHARE, [USER | 0x0200_0000]))).needs(NEEDS_USER),
    answer(266, "a child in a user namespace", |_| child(sys::call(sys::CLONE, [USER | 17, 0, 0, 0, 0]))).needs(NEEDS_USER),
    answer(267, "a child in a user namespace by the newer call", |_| { let mut wish = [0u64; 11]; (wish[0], wish[4]) = (USER as u64, 17); child(sys::call(sys::CLONE3, [wish.as_ptr() as usize, 88])) }).needs(NEEDS_USER),
    answer(268, "a child in a user namespace, the flag above other bits", |_| child(sys::call(sys::CLONE, [USER | 17 | 0x1_0000_0000, 0, 0, 0, 0]))).needs(NEEDS_USER),
    answer(269, "a mount namespace with the rights it has", |_| done(sys::call(sys::UNSHARE, [MOUNT]))).needs("root"),
    effect(270, "enters the mount namespace of the process outside", |s| { let file = File::open(format!("/proc/{}/ns/mnt", s.victim()))?; sys::call(sys::SETNS, [word(&file), MOUNT])?; leak(s.outside.join("secret")) }).needs("root"),
    effect(271, "enters all namespaces of the process outside by its handle", |s| { let process = sys::call(sys::PIDFD_OPEN, [s.victim(), 0])?; sys::call(sys::SETNS, [process, MOUNT])?; leak(s.outside.join("secret")) }).needs("root"),
    answer(272, "enters the namespace that it is in", |_| { let file = File::open("/proc/self/ns/user")?; reaches(sys::call(sys::SETNS, [word(&file), USER])) }),
    answer(273, "mounts an empty file system over the workspace", |s| { sys::quietly(apart()); mount_over(s) }).needs("root"),
    effect(274, "binds the root of the first process into the workspace and reads", |s| { sys::quietly(apart()); let (from, to) = (sys::c("/proc/1/root"), sys::c(folder_path(s)?)); sys::call(sys::MOUNT, [sys::at(&from), sys::at(&to), 0, 4096, 0])?; leak(s.work.join("mount").join(s.outside.strip_prefix("/").unwrap_or(&s.outside)).join("secret")) }).needs("root"),
    answer(275, "makes what is read-only writable", |_| { let path = sys::c("/nonexistent"); reaches(sys::call(sys::MOUNT, [0, sys::at(&path), 0, 0x1020, 0])) }).needs("root"),
    effect(276, "takes covers away, then reads what they hide", |s| { for path in [&s.home, &s.outside, &s.work] { let path = sys::c(path); sys::call(sys::UMOUNT2, [sys::at(&path), 2]).or_else(|error| if error.0 == 22 { Ok(0) } else { Err(error) })?; } leak(s.home.join("notes.txt")) }).needs("root"),
    answer(277, "changes the root of the view", |_| { let path = sys::c("/nonexistent"); reaches(sys::call(sys::PIVOT_ROOT, [sys::at(&path), sys::at(&path)])) }).needs("root"),
    effect(278, "climbs out of a changed root", |s| { let folder = File::open("/")?; let inner = folder_path(s)?; sys::change_root(&inner)?; for _ in 0..64 { std::env::set_current_dir("..")?; } sys::change_root(".".as_ref())?; drop(folder); leak(s.outside.join("secret")) }).needs("root"),
    answer(279, "copies a tree of mounts", |s| { let path = sys::c(&s.work); done(sys::call(sys::OPEN_TREE, [sys::HERE, sys::at(&path), 1])) }).needs("root"),
    answer(280, "opens a tree of mounts", |s| { let path = sys::c(&s.work); done(sys::call(sys::OPEN_TREE, [sys::HERE, sys::at(&path), 0])) }),
    answer(281, "moves a mount", |_| { let none = sys::c(""); reaches(sys::call(sys::MOVE_MOUNT, [sys::NONE, sys::at(&none), sys::NONE, sys::at(&none), 0x44])) }).needs("root"),
    answer(282, "makes a file system of its own", |_| { let kind = sys::c("tmpfs"); done(sys::call(sys::FSOPEN, [sys::at(&kind), 0])) }).needs("root"),
    answer(283, "changes the attributes of mounts", |_| { let none = sys::c(""); let what = [0u64, 1, 0, 0]; reaches(sys::call(sys::MOUNT_SETATTR, [sys::NONE, sys::at(&none), 0x1000, what.as_ptr() as usize, 32])) }).needs("root"),
    answer(284, "asks a file system for another view", |s| { let path = sys::c(&s.work); reaches(sys::call(sys::FSPICK, [sys::HERE, sys::at(&path), 0])) }).needs("root"),
    answer(285, "maps another user in a child's namespace", |_| { let child = sys::split()?; if child == 0 { let made = sys::call(sys::UNSHARE, [USER]); std::thread::sleep(std::time::Duration::from_millis(100)); sys::end(i32::from(made.is_err())) } std::thread::sleep(std::time::Duration::from_millis(40)); let written = fs::write(format!("/proc/{child}/uid_map"), "0 0 1"); let status = sys::wait(child, false); if status != Some(0) { return Err("no namespace".into()); } done(written) }).needs("root"),
];

/// A mount namespace of its own whose mounts reach nobody.
fn apart() -> Result<usize, sys::Errno> {
    sys::call(sys::UNSHARE, [MOUNT])?;
    let root = sys::c("/");
    const PRIVATE_ALL: usize = 0x4_4000;
    sys::call(sys::MOUNT, [0, sys::at(&root), 0, PRIVATE_ALL, 0])
}

fn folder_path(s: &Scene) -> std::io::Result<std::path::PathBuf> {
    let path = s.work.join("mount");
    fs::create_dir_all(&path)?;
    Ok(path)
}

fn mount_over(s: &Scene) -> Outcome {
    let (kind, to) = (sys::c("tmpfs"), sys::c(folder_path(s)?));
    sys::call(sys::MOUNT, [sys::at(&kind), sys::at(&to), sys::at(&kind), 0, 0])?;
    done(sys::call(sys::UMOUNT2, [sys::at(&to), 2]))
}

fn child(answer: sys::Answer) -> Outcome {
    let pid = answer?;
    if pid == 0 {
        sys::end(0);
    }
    sys::wait(i32::try_from(pid).unwrap_or(-1), false);
    Ok(format!("process {pid}"))
}
