// SPDX-License-Identifier: MIT OR Apache-2.0
//! Terminals: putting words into one, and speaking to one that belongs to somebody else.

use std::fs::File;
use std::io::Write;

use super::{Attempt, Blocked, Outcome, answer, done, effect, opens, reaches, word};
use crate::sys;

const INPUT: usize = 0x5412;
const LINUX: usize = 0x541c;
const DISCIPLINE: usize = 0x5423;
const CONSOLE: usize = 0x541d;
const CONTROLLING: usize = 0x540e;

#[rustfmt::skip]
pub(crate) static ATTEMPTS: &[Attempt] = &[
    answer(550, "puts a letter into its own terminal", |_| own_terminal(INPUT)).needs("pseudo-terminals, legacy TIOCSTI"),
    answer(551, "the same, with bits above the request", |_| own_terminal(INPUT | 1 << 32)).needs("pseudo-terminals, legacy TIOCSTI"),
    answer(552, "selects and pastes on a console", |_| own_terminal(LINUX)).needs("pseudo-terminals"),
    answer(553, "sets another protocol on a terminal", |_| own_terminal(DISCIPLINE)).needs("pseudo-terminals"),
    answer(554, "takes the output of the console", |_| own_terminal(CONSOLE)).needs("pseudo-terminals, root"),
    effect(555, "speaks to the terminal of somebody else", |s| done(File::options().write(true).open(s.text("terminal"))?.write_all(b"attacked"))),
    effect(556, "puts words into the terminal of somebody else", |s| { let file = File::options().read(true).write(true).open(s.text("terminal"))?; done(sys::call(sys::IOCTL, [word(&file), INPUT, sys::address(b"x")])) }).needs("root, legacy TIOCSTI"),
    answer(557, "opens the terminal that controls it", |_| opens("/dev/tty", 2)).needs("a terminal"),
    effect(558, "asks the terminal for its clipboard, and sets it", |_| { let mut out = std::io::stdout(); out.write_all(b"\x1b]52;c;YXR0YWNrZWQ=\x07\x1b]52;c;?\x07")?; done(out.flush()) }).needs("a terminal"),
    effect(559, "asks the terminal to answer with its title", |_| { let mut out = std::io::stdout(); out.write_all(b"\x1b]0;attacked\x07\x1b[21t\x05")?; done(out.flush()) }).needs("a terminal"),
    answer(560, "puts a letter into its standard input", |_| match sys::call(sys::IOCTL, [0, INPUT, sys::address(b"x")]) { Err(sys::Errno(25)) => Err("it is no terminal".into()), other => done(other) }).needs("a terminal"),
];

/// Makes a terminal the controlling one of a new session and asks.
fn own_terminal(request: usize) -> Outcome {
    let master = File::options().read(true).write(true).open("/dev/ptmx")?;
    let mut number = [0u32];
    sys::call(sys::IOCTL, [word(&master), 0x4004_5431, [0u32].as_ptr() as usize])?;
    sys::call(sys::IOCTL, [word(&master), 0x8004_5430, number.as_mut_ptr() as usize])?;
    let [number] = number;
    sys::quietly(sys::call(sys::SETSID, [0]));
    let slave = File::options().read(true).write(true).open(format!("/dev/pts/{number}"))?;
    sys::quietly(sys::call(sys::IOCTL, [word(&slave), CONTROLLING, 0]));
    // Closed only with the process: a terminal that is gone hangs up on its session.
    std::mem::forget(master.try_clone()?);
    match sys::call(sys::IOCTL, [word(&slave), request, sys::address(b"x\0\0\0")]) {
        // A kernel where this is switched off answers the same as a filter that refuses it: both are a refusal.
        Err(sys::Errno(5)) => Err(Blocked("switched off".into())),
        other => reaches(other),
    }
}
