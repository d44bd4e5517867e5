// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the kernel shows and takes as files. Knobs of the machine are opened for writing and never written.

use super::{Attempt, Blocked, Outcome, READ, READ_WRITE, WRITE, answer, effect, leak, names, opens, processes};

#[rustfmt::skip]
pub(crate) static ATTEMPTS: &[Attempt] = &[
    effect(220, "reads the command line of the process outside", |s| leak(format!("/proc/{}/cmdline", s.victim()))),
    effect(221, "reads the environment of the process outside", |s| leak(format!("/proc/{}/environ", s.victim()))),
    effect(222, "reads command lines of every process in view", |_| every("cmdline")),
    effect(223, "reads the environment of every process in view", |_| every("environ")),
    effect(224, "makes the process outside the first to die when memory is short", |s| { std::fs::write(format!("/proc/{}/oom_score_adj", s.victim()), "900")?; Ok("written".into()) }),
    effect(225, "changes what a core of the process outside holds", |s| { std::fs::write(format!("/proc/{}/coredump_filter", s.victim()), "0x1")?; Ok("written".into()) }),
    answer(226, "opens the memory of the process outside", |s| opens(format!("/proc/{}/mem", s.victim()), READ_WRITE)),
    answer(227, "opens the map of the process outside", |s| leak(format!("/proc/{}/maps", s.victim()))),
    answer(228, "opens where cores go, for writing", |_| opens("/proc/sys/kernel/core_pattern", WRITE)).needs("root"),
    answer(229, "opens the program that loads modules, for writing", |_| opens("/proc/sys/kernel/modprobe", WRITE)).needs("root and modules"),
    answer(230, "opens the emergency key for writing", |_| opens("/proc/sysrq-trigger", WRITE)).needs("root"),
    answer(231, "opens a knob of memory for writing", |_| opens("/proc/sys/vm/overcommit_memory", WRITE)).needs("root"),
    answer(232, "opens the last process number for writing", |_| opens("/proc/sys/kernel/ns_last_pid", WRITE)).needs("root and a kernel with it"),
    answer(233, "opens the register of program formats for writing", |_| opens("/proc/sys/fs/binfmt_misc/register", WRITE)).needs("root and binfmt_misc"),
    answer(234, "opens a knob of the network for writing", |_| opens("/proc/sys/net/ipv4/ip_forward", WRITE)).needs("root"),
    answer(235, "opens the group of the machine for writing", |_| opens("/sys/fs/cgroup/cgroup.procs", WRITE).or_else(|_| opens("/sys/fs/cgroup/memory/cgroup.procs", WRITE))).needs("root"),
    answer(236, "opens the helper of devices for writing", |_| opens("/sys/kernel/uevent_helper", WRITE)).needs("root and a kernel with it"),
    answer(237, "opens a knob of the system for writing", |_| opens("/sys/kernel/mm/transparent_hugepage/enabled", WRITE)).needs("root"),
    answer(238, "lists the system's folder of devices", |_| { let seen = names("/sys")?; if seen.contains("kernel") { Ok(seen) } else { Err(Blocked(seen)) } }),
    answer(239, "reads the memory of the kernel", |_| opens("/proc/kcore", READ)).needs("root"),
    answer(240, "reads the log of the kernel", |_| opens("/proc/kmsg", READ).or_else(|_| opens("/dev/kmsg", READ))).needs("root"),
    answer(241, "reads the user's keys", |_| leak("/proc/keys")).needs("a kernel with it"),
    answer(242, "reads the symbols of the kernel with their addresses", |_| { let text = leak("/proc/kallsyms")?; if text.starts_with("0000000000000000") { Err("all are 0".into()) } else { Ok("read".into()) } }).needs("root"),
    answer(243, "sees the listener outside in the table of connections", |s| { let port = format!(":{:04X}", s.number("tcp")); let text = std::fs::read_to_string("/proc/net/tcp")?; if text.contains(&port) { Ok("seen".into()) } else { Err("it is not there".into()) } }),
    answer(244, "sees sockets outside in the table of names", |s| { let text = std::fs::read_to_string("/proc/net/unix")?; if text.contains(s.text("abstract")) { Ok("seen".into()) } else { Err("it is not there".into()) } }),
];

fn every(file: &str) -> Outcome {
    let all: String = processes()
        .into_iter()
        .filter(|process| *process != std::process::id() as usize)
        .filter_map(|process| leak(format!("/proc/{process}/{file}")).ok())
        .collect();
    if all.is_empty() { Err("none can be read".into()) } else { Ok(all) }
}
