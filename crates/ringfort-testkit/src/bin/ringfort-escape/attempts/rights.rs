// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keeping or gaining rights: capabilities, users, groups, programs that run as their owner.

use std::process::{Command, Stdio};

use super::{Attempt, Blocked, Outcome, answer, done};
use crate::sys;

#[rustfmt::skip]
pub(crate) static ATTEMPTS: &[Attempt] = &[
    answer(430, "has rights", |_| is_set("CapEff")).needs("root"),
    answer(431, "may take rights", |_| is_set("CapPrm")).needs("root"),
    answer(432, "programs may give it rights", |_| is_set("CapBnd")),
    answer(433, "hands rights on to what it starts", |_| is_set("CapAmb").or_else(|_| done(sys::call(sys::PRCTL, [47, 2, 0, 0, 0])))).needs("root"),
    answer(434, "takes the right to change owners", |_| { let (head, body) = ([0x2008_0522u32, 0], [1u32, 1, 0, 0, 0, 0]); done(sys::call(sys::CAPSET, [head.as_ptr() as usize, body.as_ptr() as usize])) }).needs("root"),
    answer(435, "becomes another user", |_| done(sys::call(sys::SETRESUID, [65534, 65534, 65534]))).needs("root"),
    answer(436, "becomes root", |_| { if field("Uid").starts_with('0') { return Err("it is already".into()); } done(sys::call(sys::SETREUID, [0, 0])) }).needs("rights"),
    answer(437, "leaves its groups", |_| done(sys::call(sys::SETGROUPS, [0, 0]))).needs("root"),
    answer(438, "programs that run as their owner do", |_| runs_as_owner("su", &[])).needs("no root, and su"),
    answer(439, "another program that runs as its owner does", |_| runs_as_owner("passwd", &[])).needs("no root, and passwd"),
    answer(440, "new rights are not ruled out for good", |_| if field("NoNewPrivs") == "1" { Err("they are".into()) } else { Ok("they are not".into()) }),
    answer(441, "system calls are not filtered", |_| if field("Seccomp") == "2" { Err("they are".into()) } else { Ok("they are not".into()) }),
    answer(442, "may write cores", |_| { let limit = [1u64 << 20, 1 << 20]; done(sys::call(sys::PRLIMIT, [0, 4, limit.as_ptr() as usize, 0])) }).needs("no limit of the caller"),
    answer(443, "keeps rights when it changes user", |_| done(sys::call(sys::PRCTL, [28, 0x10, 0, 0, 0]))).needs("root"),
    answer(444, "gains a right by a file that it gives rights", |s| { let path = s.work.join("gain"); std::fs::copy("/proc/self/exe", &path)?; let value: Vec<u8> = [0x0200_0001u32, 0x20_0000, 0, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect(); let (path, name) = (sys::c(path), sys::c("security.capability")); done(sys::call(sys::SETXATTR, [sys::at(&path), sys::at(&name), sys::address(&value), 20, 0])) }).needs("root"),
];

/// A field of the process status.
fn field(name: &str) -> String {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or("");
    line.trim().to_owned()
}

fn is_set(name: &str) -> Outcome {
    match u64::from_str_radix(&field(name), 16) {
        Ok(0) => Err("none".into()),
        Ok(set) => Ok(format!("{name} is {set:x}")),
        Err(_) => Err("the status cannot be read".into()),
    }
}

/// Starts it with nothing to say, and looks as whom it runs.
fn runs_as_owner(program: &str, words: &[&str]) -> Outcome {
    let mut command = Command::new(program);
    let mut child = command.args(words).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    std::thread::sleep(std::time::Duration::from_millis(200));
    let text = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    drop(child.kill());
    drop(child.wait());
    let line = text.lines().find(|line| line.starts_with("Uid:")).unwrap_or("").to_owned();
    let mut users = line.split_whitespace().skip(1);
    match (users.next(), users.next()) {
        (Some(real), Some(effective)) if real != effective => Ok(format!("{real} runs as {effective}")),
        (Some(real), _) => Err(Blocked(format!("runs as {real}"))),
        _ => Err("it ended at once".into()),
    }
}
