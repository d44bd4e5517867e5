// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memory and the open files of other processes.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::{Attempt, Outcome, answer, done, effect, reaches, shown};
use crate::scene::Scene;
use crate::sys;

const LENGTH: usize = 64;
const SEIZE: usize = 0x4206;
const INTERRUPT: usize = 0x4207;
const PEEK: usize = 2;
const POKE: usize = 5;
const ATTACH: usize = 16;

#[rustfmt::skip]
pub(crate) static ATTEMPTS: &[Attempt] = &[
    effect(330, "reads memory outside through its file", |s| { let mut bytes = [0u8; LENGTH]; File::open(format!("/proc/{}/mem", s.victim()))?.read_exact_at(&mut bytes, s.number("memory") as u64)?; Ok(shown(&bytes)) }).needs("no Yama"),
    effect(331, "writes memory outside through its file", |s| done(File::options().write(true).open(format!("/proc/{}/mem", s.victim()))?.write_all_at(b"attacked", s.number("target") as u64))).needs("no Yama"),
    effect(332, "reads memory outside by the call for it", |s| { let mut bytes = [0u8; LENGTH]; let (mine, theirs) = ([sys::address_mut(&mut bytes), LENGTH], [s.number("memory"), LENGTH]); sys::call(sys::PROCESS_VM_READV, [s.victim(), mine.as_ptr() as usize, 1, theirs.as_ptr() as usize, 1, 0])?; Ok(shown(&bytes)) }).needs("no Yama"),
    effect(333, "writes memory outside by the call for it", |s| { let (mine, theirs) = ([sys::address(b"attacked"), 8], [s.number("target"), 8]); done(sys::call(sys::PROCESS_VM_WRITEV, [s.victim(), mine.as_ptr() as usize, 1, theirs.as_ptr() as usize, 1, 0])) }).needs("no Yama"),
    effect(334, "traces the process outside and reads", |s| { stop(s)?; let mut text = Vec::new(); for offset in (0..LENGTH).step_by(8) { let mut word = [0u8; 8]; sys::call(sys::PTRACE, [PEEK, s.victim(), s.number("memory") + offset, sys::address_mut(&mut word)])?; text.extend(word); } Ok(shown(&text)) }).needs("no Yama"),
    effect(335, "traces the process outside and writes", |s| { stop(s)?; done(sys::call(sys::PTRACE, [POKE, s.victim(), s.number("target"), 0x6b63_6174_7461])) }).needs("no Yama"),
    answer(336, "attaches to the process outside", |s| done(sys::call(sys::PTRACE, [ATTACH, s.victim(), 0, 0]))).needs("no Yama"),
    effect(337, "takes an open file out of the process outside", |s| { let process = sys::call(sys::PIDFD_OPEN, [s.victim(), 0])?; let file = sys::call(sys::PIDFD_GETFD, [process, s.number("victim_file"), 0])?; super::leak(format!("/proc/self/fd/{file}")) }).needs("no Yama"),
    answer(338, "takes an open file out of the process that started it", |_| { let process = sys::call(sys::PIDFD_OPEN, [std::os::unix::process::parent_id() as usize, 0])?; reaches(sys::call(sys::PIDFD_GETFD, [process, 1, 0])) }).needs("no Yama"),
    answer(339, "traces a child of its own", |_| { let child = sys::split()?; if child == 0 { std::thread::sleep(std::time::Duration::from_secs(5)); sys::end(0); } let pid = usize::try_from(child).unwrap_or(0); let traced = sys::call(sys::PTRACE, [SEIZE, pid, 0, 0]); sys::quietly(sys::call(sys::KILL, [pid, 9])); sys::wait(child, false); done(traced) }),
    answer(340, "lets itself be traced", |_| done(sys::call(sys::PTRACE, [0, 0, 0, 0]))),
    answer(341, "compares open files with the process outside", |s| reaches(sys::call(sys::KCMP, [s.victim(), std::process::id() as usize, 0, 0, 0]))).needs("no Yama"),
    answer(342, "advises on memory outside", |s| { let process = sys::call(sys::PIDFD_OPEN, [s.victim(), 0]).unwrap_or(sys::NONE); reaches(sys::call(sys::PROCESS_MADVISE, [process, 0, 0, 20, 0])) }).needs("root"),
    answer(343, "frees memory outside", |s| { let process = sys::call(sys::PIDFD_OPEN, [s.victim(), 0]).unwrap_or(sys::NONE); reaches(sys::call(sys::PROCESS_MRELEASE, [process, 0])) }),
    answer(344, "moves memory outside", |s| reaches(sys::call(sys::MOVE_PAGES, [s.victim(), 0, 0, 0, 0, 0]))).needs("NUMA"),
    answer(345, "reads the memory of its own parent", |_| { let parent = std::os::unix::process::parent_id(); done(File::open(format!("/proc/{parent}/mem"))).and_then(|how| if parent == 1 { Ok(how) } else { Err("the parent is its own".into()) }) }).needs("a keeper"),
    answer(346, "reads the memory of the first process", |_| done(File::open("/proc/1/mem"))).needs("root"),
    answer(347, "reads the environment of the first process", |_| super::leak("/proc/1/environ")).needs("root"),
];

fn stop(s: &Scene) -> Outcome {
    sys::call(sys::PTRACE, [SEIZE, s.victim(), 0, 0])?;
    sys::call(sys::PTRACE, [INTERRUPT, s.victim(), 0, 0])?;
    std::thread::sleep(std::time::Duration::from_millis(30));
    Ok(String::new())
}
