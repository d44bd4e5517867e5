// SPDX-License-Identifier: MIT OR Apache-2.0
//! Outliving the run. Each leaves processes that write a line to a file of the workspace again and again, for at most
//! ten seconds; whoever watches looks whether the file still grows after the end.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Attempt, effect};
use crate::scene::Scene;
use crate::sys;

const LIFE: Duration = Duration::from_secs(10);

#[rustfmt::skip]
pub(crate) static ATTEMPTS: &[Attempt] = &[
    effect(610, "a child of a child", |s| { if sys::split()? == 0 { if sys::split().is_ok_and(|pid| pid == 0) { beat(s) } sys::end(0) } Ok("left".into()) }),
    effect(611, "a session of its own that ignores every signal it can", |s| { if sys::split()? == 0 { alone(); beat(s) } Ok("left".into()) }),
    effect(612, "a session of its own below another process", |s| { if sys::split()? == 0 { alone(); if sys::split().is_ok_and(|pid| pid == 0) { alone(); beat(s) } sys::end(0) } Ok("left".into()) }),
    effect(613, "with every descriptor closed", |s| { if sys::split()? == 0 { alone(); for file in 0..64 { sys::quietly(sys::call(close_range(), [file, file, 0])); } beat(s) } Ok("left".into()) }),
    effect(614, "a chain of processes, each of which lives for a moment", |s| { if sys::split()? == 0 { alone(); let start = Instant::now(); while start.elapsed() < LIFE { tick(s); if sys::split().is_ok_and(|pid| pid != 0) { sys::end(0) } } sys::end(0) } Ok("left".into()) }),
    effect(615, "many at once", |s| { for _ in 0..40 { if sys::split()? == 0 { alone(); beat(s) } } Ok("left".into()) }),
    effect(616, "a program in memory only", |s| { let name = sys::c("quiet"); let file = sys::call(sys::MEMFD_CREATE, [sys::at(&name), 0])?; let place = format!("/proc/self/fd/{file}"); std::fs::copy("/proc/self/exe", &place)?; Command::new("/bin/sh").arg("-c").arg(format!("exec setsid {place} beat '{}'", file_of(s).display())).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?; std::thread::sleep(Duration::from_millis(50)); Ok("left".into()) }),
    effect(617, "without a word of its own in environment and command line", |s| { let mut shell = Command::new("/bin/sh"); shell.env_clear().arg("-c").arg("i=0; while [ $i -lt 400 ]; do echo >> beat; sleep 0.02; i=$((i+1)); done").current_dir(&s.work); shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()); std::os::unix::process::CommandExt::process_group(&mut shell, 0); shell.spawn()?; Ok("left".into()) }),
    effect(618, "stopped, to be woken later", |s| { let child = sys::split()?; if child == 0 { alone(); beat(s) } let pid = usize::try_from(child).unwrap_or(0); sys::call(sys::KILL, [pid, 19])?; if sys::split()? == 0 { alone(); std::thread::sleep(Duration::from_millis(150)); sys::quietly(sys::call(sys::KILL, [pid, 18])); beat(s) } Ok("left".into()) }),
    effect(619, "that reaps others instead of the keeper", |s| { if sys::split()? == 0 { sys::quietly(sys::call(sys::PRCTL, [36, 1, 0, 0, 0])); alone(); if sys::split().is_ok_and(|pid| pid == 0) { beat(s) } beat(s) } Ok("left".into()) }),
    effect(620, "a thread of a process whose first thread has ended", |s| { if sys::split()? == 0 { alone(); let path = file_of(s); std::thread::spawn(move || beat_at(&path)); let exit_thread = if cfg!(target_arch = "x86_64") { 60 } else { 93 }; sys::quietly(sys::call(exit_thread, [0])); } Ok("left".into()) }),
    effect(621, "that dies with nobody and is nobody's child", |s| { if sys::split()? == 0 { sys::quietly(sys::call(sys::PRCTL, [1, 0, 0, 0, 0])); alone(); let mut shell = Command::new("/bin/sh"); shell.arg("-c").arg("trap '' HUP INT TERM; (i=0; while [ $i -lt 400 ]; do echo >> beat; sleep 0.02; i=$((i+1)); done) & exit 0").current_dir(&s.work).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()); drop(shell.status()); sys::end(0) } Ok("left".into()) }),
];

fn close_range() -> std::ffi::c_long {
    436
}

fn file_of(s: &Scene) -> PathBuf {
    s.work.join("beat")
}

fn alone() {
    // What waits for the end of our output must not wait for this.
    for file in 0..3 {
        sys::quietly(sys::call(close_range(), [file, file, 0]));
    }
    sys::quietly(sys::call(sys::SETSID, [0]));
    for signal in [1, 2, 3, 13, 15, 20] {
        sys::ignore_signal(signal);
    }
}

fn tick(s: &Scene) {
    if let Ok(mut file) = File::options().create(true).append(true).open(file_of(s)) {
        drop(file.write_all(b"x"));
    }
    std::thread::sleep(Duration::from_millis(10));
}

fn beat(s: &Scene) -> ! {
    for file in 0..3 {
        sys::quietly(sys::call(close_range(), [file, file, 0]));
    }
    beat_at(&file_of(s))
}

/// Writes a letter again and again.
pub(crate) fn beat_at(path: &std::path::Path) -> ! {
    let start = Instant::now();
    while start.elapsed() < LIFE {
        if let Ok(mut file) = File::options().create(true).append(true).open(path) {
            drop(file.write_all(b"x"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    sys::end(0)
}
