// SPDX-License-Identifier: MIT OR Apache-2.0
//! Links out of the workspace: symbolic, hard, magic, in chains and as folders.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;

use super::{Attempt, Outcome, done, effect, leak, names, processes};
use crate::scene::Scene;

#[rustfmt::skip]
pub(crate) static ATTEMPTS: &[Attempt] = &[
    effect(100, "reads through a link in the workspace", |s| { symlink(s.outside.join("secret"), s.work.join("link"))?; leak(s.work.join("link")) }),
    effect(101, "reads through a relative link", |s| { symlink("../../outside/secret", s.work.join("relative"))?; leak(s.work.join("relative")) }),
    effect(102, "reads through a chain of links", |s| { symlink(s.work.join("b"), s.work.join("a"))?; symlink("c/secret", s.work.join("b"))?; symlink(&s.outside, s.work.join("c"))?; leak(s.work.join("a")) }),
    effect(103, "lists through a link to a folder", |s| { symlink(&s.outside, s.work.join("folder-link"))?; names(s.work.join("folder-link")) }),
    effect(104, "writes through a link in the workspace", |s| { symlink(s.outside.join("spare1"), s.work.join("write-link"))?; done(fs::write(s.work.join("write-link"), "attacked")) }),
    effect(105, "makes a file through a link that leads nowhere", |s| { symlink(s.outside.join("through"), s.work.join("dangling"))?; done(fs::write(s.work.join("dangling"), "attacked")) }),
    effect(106, "makes a file below a link to a folder", |s| { symlink(&s.outside, s.work.join("below"))?; done(fs::write(s.work.join("below/made"), "attacked")) }),
    effect(107, "reads a file outside by a second name inside", |s| { fs::hard_link(s.outside.join("secret"), s.work.join("hard"))?; leak(s.work.join("hard")) }),
    effect(108, "writes a file outside by a second name inside", |s| { fs::hard_link(s.outside.join("spare1"), s.work.join("hard2"))?; done(File::options().append(true).open(s.work.join("hard2")).and_then(|mut file| file.write_all(b"attacked"))) }),
    effect(109, "gives a file of the workspace a second name outside", |s| done(fs::hard_link(super::writing::made(s, "linked")?, s.outside.join("linked")))),
    effect(110, "reads through the root of the process outside", |s| leak(format!("/proc/{}/root{}", s.victim(), s.outside.join("secret").display()))),
    effect(111, "reads through the working folder of the process outside", |s| leak(format!("/proc/{}/cwd/secret", s.victim()))),
    effect(112, "reads an open file of the process outside", |s| leak(format!("/proc/{}/fd/{}", s.victim(), s.number("victim_file")))),
    effect(113, "writes to an open file of the process outside", |s| done(File::options().append(true).open(format!("/proc/{}/fd/{}", s.victim(), s.number("victim_log"))).and_then(|mut file| file.write_all(b"attacked")))),
    effect(114, "reads through the root of every process in view", |s| every(s, "root")),
    effect(115, "reads through the working folder of every process in view", |s| every(s, "cwd")),
    effect(116, "reads through the root of the first process", |s| leak(format!("/proc/1/root{}", s.outside.join("secret").display()))).needs("root"),
    effect(117, "reads through the root of its parent", |s| leak(format!("/proc/{}/root{}", std::os::unix::process::parent_id(), s.outside.join("secret").display()))),
    effect(118, "reads through a link to a magic link", |s| { symlink(format!("/proc/{}/cwd", s.victim()), s.work.join("magic"))?; leak(s.work.join("magic/secret")) }),
    effect(119, "reads a folder of the process outside through its table of files", |s| leak(format!("/proc/{}/fd/{}/secret", s.victim(), s.number("victim_folder")))),
];

fn every(s: &Scene, link: &str) -> Outcome {
    for process in processes() {
        // Not by its own: that would be no way out.
        if process == std::process::id() as usize {
            continue;
        }
        if let Ok(text) = leak(format!("/proc/{process}/{link}{}", s.outside.join("secret").display()))
            .or_else(|_| leak(format!("/proc/{process}/{link}/secret")))
            // Other worlds may be attacked meanwhile.
            && text.contains(s.tag())
        {
            return Ok(text);
        }
    }
    Err("no process leads outside".into())
}
