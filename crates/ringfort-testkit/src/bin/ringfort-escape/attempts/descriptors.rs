// SPDX-License-Identifier: MIT OR Apache-2.0
//! Open files and folders that the caller left open, and devices.

use std::fs;

use super::{Attempt, Outcome, READ, READ_WRITE, answer, effect, leak, opens};
use crate::scene::Scene;

#[rustfmt::skip]
pub(crate) static ATTEMPTS: &[Attempt] = &[
    effect(520, "reads what the caller left open", |s| left_open(s, |path| leak(path))),
    effect(521, "reads beside a folder that the caller left open", |s| left_open(s, |path| leak(format!("{path}/secret")).or_else(|_| leak(format!("{path}/../secret"))))),
    effect(522, "writes to what the caller left open", |s| left_open(s, |path| { if fs::read_link(path).is_ok_and(|target| target.ends_with("left-open")) { super::done(fs::write(path, "attacked")) } else { Err("not that".into()) } })),
    answer(523, "has more open than it should", |_| { let more: Vec<String> = descriptors().into_iter().filter(|(number, target)| *number > 3 && !target.contains("/proc/") && !target.contains("/fd")).map(|(number, target)| format!("{number}: {target}")).collect(); if more.is_empty() { Err("nothing more".into()) } else { Ok(more.join(", ")) } }),
    answer(524, "a standard stream is a folder or a socket", |_| { let found = descriptors().into_iter().find(|(number, target)| *number < 3 && (target.starts_with("socket:") || fs::metadata(target).is_ok_and(|meta| meta.is_dir()))); found.map(|(number, target)| format!("{number} is {target}")).ok_or(super::Blocked("none".into())) }).needs("a caller that hands one in"),
    answer(525, "opens the memory of the machine", |_| opens("/dev/mem", READ)).needs("root and the device"),
    answer(526, "opens the log of the machine", |_| opens("/dev/kmsg", READ_WRITE)).needs("root"),
    answer(527, "opens the ports of the machine", |_| opens("/dev/port", READ)).needs("root and the device"),
    answer(528, "opens the door to file systems of its own", |_| opens("/dev/fuse", READ_WRITE)).needs("the device"),
    answer(529, "opens the door to virtual machines", |_| opens("/dev/kvm", READ_WRITE).or_else(|_| opens("/dev/vhost-net", READ_WRITE))).needs("the device"),
    answer(530, "opens the door to networks of its own", |_| opens("/dev/net/tun", READ_WRITE)).needs("the device"),
    answer(531, "opens the control of loop devices", |_| opens("/dev/loop-control", READ_WRITE)).needs("root and the device"),
    answer(532, "opens the screen of the machine", |_| opens("/dev/tty0", READ_WRITE).or_else(|_| opens("/dev/console", READ_WRITE))).needs("root and the device"),
    answer(533, "opens input devices", |_| opens("/dev/uinput", READ_WRITE).or_else(|_| opens("/dev/input/event0", READ))).needs("root and the device"),
];

/// Open descriptors and where they lead.
fn descriptors() -> Vec<(usize, String)> {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let found = entries.flatten().filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        Some((number, fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned()))
    });
    found.collect()
}

fn left_open(_: &Scene, attempt: impl Fn(&str) -> Outcome) -> Outcome {
    for (number, target) in descriptors() {
        if number < 3 || target.contains(":[") {
            continue;
        }
        if let Ok(how) = attempt(&format!("/proc/self/fd/{number}")) {
            return Ok(how);
        }
    }
    Err("nothing is open that helps".into())
}
