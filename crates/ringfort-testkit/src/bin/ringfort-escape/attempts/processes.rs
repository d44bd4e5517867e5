// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ending, slowing and moving processes outside. Only the one that was made for it is touched.

use super::{Attempt, Blocked, Outcome, answer, done, effect, processes};
use crate::scene::Scene;
use crate::sys;

const TERM: usize = 15;

#[rustfmt::skip]
pub(crate) static ATTEMPTS: &[Attempt] = &[
    effect(300, "ends the process outside", |s| done(sys::call(sys::KILL, [s.victim(), TERM]))),
    effect(301, "ends the group of the process outside", |s| done(sys::call(sys::KILL, [s.victim().wrapping_neg(), TERM]))),
    effect(302, "ends a thread of the process outside", |s| done(sys::call(sys::TGKILL, [s.victim(), s.victim(), TERM]))),
    effect(303, "ends it by the older call", |s| done(sys::call(sys::TKILL, [s.victim(), TERM]))),
    effect(304, "ends it by its handle", |s| { let process = sys::call(sys::PIDFD_OPEN, [s.victim(), 0])?; done(sys::call(sys::PIDFD_SEND_SIGNAL, [process, TERM, 0, 0])) }),
    effect(305, "ends it by a signal with a value", |s| { let mut info = [0u32; 32]; (info[0], info[2]) = (15, u32::MAX); done(sys::call(sys::RT_SIGQUEUEINFO, [s.victim(), TERM, info.as_ptr() as usize])) }),
    effect(306, "stops it", |s| done(sys::call(sys::KILL, [s.victim(), 19]))),
    effect(307, "has the kernel signal it when a pipe is ready", owned_pipe),
    effect(308, "makes it nicer", |s| done(sys::call(sys::SETPRIORITY, [0, s.victim(), 10]))),
    effect(309, "makes its group nicer", |s| done(sys::call(sys::SETPRIORITY, [1, s.victim(), 10]))),
    effect(310, "moves it to one processor", |s| { let mask = [1u64]; done(sys::call(sys::SCHED_SETAFFINITY, [s.victim(), 8, mask.as_ptr() as usize])) }).needs("several processors"),
    effect(311, "changes how it is scheduled", |s| { let parameter = [0u32]; done(sys::call(sys::SCHED_SETSCHEDULER, [s.victim(), 3, parameter.as_ptr() as usize])) }),
    effect(312, "changes its limits", |s| { let limit = [64u64, 64]; done(sys::call(sys::PRLIMIT, [s.victim(), 7, limit.as_ptr() as usize, 0])) }),
    effect(313, "changes its share of the disk", |s| done(sys::call(sys::IOPRIO_SET, [1, s.victim(), 3 << 13]))),
    answer(314, "may signal whoever started the attack", |_| { let above = above(std::os::unix::process::parent_id() as usize)?; if above <= 1 { return Err("above it is the first of its namespace".into()); } done(sys::call(sys::KILL, [above, 0])) }),
    answer(315, "may signal a process in view that is not its own", |_| { let own = family(); let stranger = processes().into_iter().find(|process| *process > 1 && !own.contains(process) && sys::call(sys::KILL, [*process, 0]).is_ok()); stranger.map(|process| format!("process {process}")).ok_or(Blocked("none".into())) }),
    answer(316, "sees a process that is not its own", |_| { let own = family(); let stranger = processes().into_iter().find(|process| *process > 2 && !own.contains(process)); stranger.map(|process| format!("process {process}")).ok_or(Blocked("none".into())) }),
];

/// A pipe that belongs to the process outside: what arrives in it raises a signal there.
fn owned_pipe(s: &Scene) -> Outcome {
    const SET_OWNER: usize = 8;
    const SET_SIGNAL: usize = 10;
    const SET_FLAGS: usize = 4;
    const ASYNC: usize = 0o20_000;
    let (reader, mut writer) = std::io::pipe()?;
    let file = super::word(&reader);
    sys::call(sys::FCNTL, [file, SET_OWNER, s.victim()])?;
    sys::call(sys::FCNTL, [file, SET_SIGNAL, TERM])?;
    sys::call(sys::FCNTL, [file, SET_FLAGS, ASYNC])?;
    done(std::io::Write::write_all(&mut writer, b"x"))
}

/// The process above another.
fn above(process: usize) -> Result<usize, Blocked> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let after = text.rsplit_once(") ").map_or("", |(_, after)| after);
    after.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or("no number".into())
}

/// The process and everything above and below it.
fn family() -> Vec<usize> {
    let mut own = vec![std::process::id() as usize];
    while let Some(next) = own.last().and_then(|last| above(*last).ok()).filter(|next| *next > 1) {
        own.push(next);
        // The attempt and the program that counts them; what started those is the cage's, or a stranger's.
        if own.len() == 2 {
            break;
        }
    }
    own
}
