// SPDX-License-Identifier: MIT OR Apache-2.0
//! The traced mode: each program that is started inside is shown to the supervisor before its first instruction.
//!
//! In: the stops of everything below the keeper. Out: questions to the supervisor, and its answers carried out.
//!
//! **Invariant:** a process that has become another program goes on only after the answer to *its* question; a question
//! that cannot be asked is a denial, and so is an answer that never comes: the process stays stopped and dies with the
//! keeper. What is shown is the new program's own memory, which nobody else can change any more.
//! The keeper traces, because it is the parent; it decides nothing. Nothing here allocates.

use std::ffi::c_int;
use std::os::fd::AsRawFd as _;

use super::ignore;
use super::keeper::{Failure, during};
use super::wire::{Message, Stage};
use crate::syscall::{self, Patience, Traced};

/// Most processes that wait for an answer at once; more are denied.
const QUESTIONS_MAX: usize = 256;

/// A process that waits for an answer.
#[derive(Clone, Copy)]
struct Question {
    number: i32,
    pid: i32,
}

/// What the keeper remembers of the processes that it traces.
pub(super) struct Tracer {
    questions: [Option<Question>; QUESTIONS_MAX],
    next: i32,
    /// Whether the program itself has begun; it was ruled on before the cage was made.
    has_begun: bool,
}

/// Starts `child`, traced from before its first system call of interest: it waits until then.
pub(super) fn start(child: impl FnOnce() -> u8) -> Result<i32, Failure> {
    let [read_end, write_end] = syscall::pipe().map_err(during(Stage::Trace))?;
    // A process that may not be dumped cannot be traced. Nothing but this keeper is here yet that could.
    syscall::allow_dump().map_err(during(Stage::Trace))?;
    let started = syscall::clone_process(0, || {
        syscall::close(write_end);
        let mut go = [0];
        // The end of the pipe without a byte: the keeper could not trace this process.
        let is_traced = syscall::read(read_end, &mut go) == Ok(1) && syscall::forbid_dump().is_ok();
        if is_traced { child() } else { super::keeper::EXIT_FAILED }
    });
    let started = started.map_err(during(Stage::Fork))?;
    syscall::close(read_end);
    let traced = syscall::trace(started.pid).and_then(|()| syscall::write_all(write_end, &[1]));
    syscall::close(write_end);
    syscall::forbid_dump().map_err(during(Stage::Trace))?;
    traced.map_err(during(Stage::Trace))?;
    Ok(started.pid)
}

impl Tracer {
    pub(super) fn new() -> Self {
        Self { questions: [None; QUESTIONS_MAX], next: 0, has_begun: false }
    }

    /// Looks after whatever has stopped or ended. Returns the program's end.
    pub(super) fn reap(&mut self, control: c_int, program: i32) -> Option<Message> {
        while let Ok(Some((pid, what))) = syscall::next_traced() {
            match what {
                Traced::Exited(_) | Traced::Signaled(_) => {
                    self.forget(pid);
                    if pid == program {
                        return Some(match what {
                            Traced::Exited(status) => Message::Exited(status),
                            Traced::Signaled(signal) => Message::Signaled(signal),
                            _ => continue,
                        });
                    }
                }
                Traced::Executed if pid == program && !self.has_begun => {
                    self.has_begun = true;
                    ignore(syscall::go_on(pid, 0));
                }
                Traced::Executed => self.ask(control, pid),
                Traced::GroupStopped(signal) => {
                    ignore(syscall::stay_stopped(pid));
                    if pid == program {
                        // A supervisor that does not read loses stops, never ends.
                        ignore(syscall::send(control, &Message::Stopped(signal).encode(), Patience::Look));
                    }
                }
                Traced::Started => ignore(syscall::go_on(pid, 0)),
                Traced::Resumed => {
                    ignore(syscall::go_on(pid, 0));
                    if pid == program {
                        ignore(syscall::send(control, &Message::Continued.encode(), Patience::Look));
                    }
                }
                Traced::Signal(signal) => ignore(syscall::go_on(pid, signal)),
            }
        }
        None
    }

    /// Asks whether the program that `pid` has become may run.
    fn ask(&mut self, control: c_int, pid: i32) {
        self.forget(pid);
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let asked = self.questions.iter_mut().find(|place| place.is_none()).is_some_and(|place| {
            let Ok(pidfd) = syscall::pidfd_open(pid) else { return false };
            let sent = syscall::send_descriptors(control, &Message::Executed(number).encode(), &[pidfd.as_raw_fd()]);
            if sent.is_ok() {
                *place = Some(Question { number, pid });
            }
            sent.is_ok()
        });
        if !asked {
            ignore(syscall::kill(pid, libc::SIGKILL));
        }
    }

    /// Carries out an answer. One to a question that is no longer open does nothing.
    pub(super) fn answer(&mut self, number: i32, may_run: bool) {
        let open = self.questions.iter_mut().find(|place| place.is_some_and(|question| question.number == number));
        let Some(question) = open.and_then(Option::take) else { return };
        if may_run {
            ignore(syscall::go_on(question.pid, 0));
        } else {
            ignore(syscall::kill(question.pid, libc::SIGKILL));
        }
    }

    /// The number of a process that has ended may be given to another one.
    fn forget(&mut self, pid: i32) {
        for place in self.questions.iter_mut().filter(|place| place.is_some_and(|question| question.pid == pid)) {
            *place = None;
        }
    }
}
