// SPDX-License-Identifier: MIT OR Apache-2.0
//! The user's terminal: raw while a caged program draws on it, itself again for a question.
//!
//! In: the terminal that the supervisor was started on. Out: raw and cooked mode, and a person's answer.
//!
//! **Invariant:** questions are put on the user's own terminal, which no caged process can open; while one is open
//! nothing is relayed, everything shown of a request is escaped, and input typed before the question is discarded.
//! Only an explicit `y` or `s` is a yes.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use ringfort_core::action::{Action, Command};
use ringfort_core::limits::APPROVAL_WAIT;
use ringfort_core::ruling::Reason;
use ringfort_core::text::escape_bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::getpgrp;
use rustix::termios::{OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcgetpgrp, tcsetattr};

use super::Signals;
use crate::approve::{Answer, Approver, Question, Remember};

/// Longest action that a question shows; more is cut, and said to be cut. Bytes after escaping.
const SHOWN_BYTES_MAX: usize = 4096;
/// Most reasons that a question shows.
const REASONS_SHOWN_MAX: usize = 8;
/// Longest answer that is read. Bytes.
const ANSWER_BYTES_MAX: usize = 64;

/// The user's terminal, with the settings that it had before it was taken.
pub struct UserTerminal {
    fd: OwnedFd,
    saved: RefCell<Termios>,
    raw: Cell<bool>,
}

impl UserTerminal {
    /// The controlling terminal of this process, if there is one and it can be asked.
    pub fn open() -> Option<Self> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = open("/dev/tty", flags, Mode::empty()).ok()?;
        let saved = tcgetattr(&fd).ok()?;
        Some(Self { fd, saved: RefCell::new(saved), raw: Cell::new(false) })
    }

    /// Hands every key to the caged program, if this process is in front on its terminal; in the background the
    /// terminal is left alone, as it belongs to somebody else there.
    ///
    /// # Errors
    ///
    /// The terminal is as it was.
    pub fn take(&self) -> io::Result<()> {
        if !tcgetpgrp(&self.fd).is_ok_and(|front| front == getpgrp()) {
            self.raw.set(false);
            return Ok(());
        }
        if !self.raw.get() {
            self.saved.replace(tcgetattr(&self.fd)?);
        }
        let mut settings = self.saved.borrow().clone();
        settings.make_raw();
        tcsetattr(&self.fd, OptionalActions::Drain, &settings)?;
        self.raw.set(true);
        Ok(())
    }

    /// Whether the keys are the caged program's.
    pub fn is_taken(&self) -> bool {
        self.raw.get()
    }

    /// Gives the terminal back as it was before.
    pub fn restore(&self) {
        if self.raw.replace(false) {
            // There is nobody left to tell if a terminal that has gone away cannot be reset.
            let _ignored: Result<(), _> = tcsetattr(&self.fd, OptionalActions::Drain, &self.saved.borrow());
        }
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let written = rustix::io::retry_on_intr(|| rustix::io::write(&self.fd, rest))?;
            rest = rest.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Shows a question. What was typed before its last line is discarded, nothing that is typed after it.
    fn put(&self, question: &str) -> io::Result<()> {
        let last_line = question.rfind('\n').map_or(0, |at| at + 1);
        let (facts, last_line) = question.split_at(last_line);
        self.write(facts)?;
        tcflush(&self.fd, QueueSelector::IFlush)?;
        self.write(last_line)
    }

    /// One line typed by a person, or `None` after [`APPROVAL_WAIT`], at the end of input, on an error, or when a
    /// signal such as that of Ctrl-C comes instead.
    fn read_line(&self, signals: &Signals) -> Option<String> {
        let tick = Timespec { tv_sec: 0, tv_nsec: i64::from(TICK.subsec_nanos()) };
        let mut ticks_left = APPROVAL_WAIT.as_millis() / TICK.as_millis();
        loop {
            let mut ready = [PollFd::new(&self.fd, PollFlags::IN)];
            let is_ready = rustix::io::retry_on_intr(|| poll(&mut ready, Some(&tick))).ok()? > 0;
            if signals.want_an_end() || (ticks_left == 0 && !is_ready) {
                return None;
            }
            if is_ready {
                break;
            }
            ticks_left -= 1;
        }
        let mut line = [0_u8; ANSWER_BYTES_MAX];
        let count = rustix::io::read(&self.fd, &mut line).ok()?;
        let line = line.get(..count)?;
        line.ends_with(b"\n").then(|| String::from_utf8_lossy(line).trim().to_lowercase())
    }
}

impl Drop for UserTerminal {
    fn drop(&mut self) {
        self.restore();
    }
}

/// Asks on the user's terminal.
pub struct TerminalApprover<'a> {
    terminal: Option<&'a UserTerminal>,
    signals: &'a Signals,
}

impl<'a> TerminalApprover<'a> {
    /// Asks on `terminal`; without one every question is answered "nobody". A signal that wants an end is no yes.
    pub fn new(terminal: Option<&'a UserTerminal>, signals: &'a Signals) -> Self {
        Self { terminal, signals }
    }
}

impl Approver for TerminalApprover<'_> {
    fn ask(&self, question: &Question<'_>) -> Answer {
        let Some(terminal) = self.terminal else {
            return Answer::Nobody { why: "there is no terminal on which a person could be asked".to_owned() };
        };
        let was_raw = terminal.raw.get();
        terminal.restore();
        let answer = match terminal.put(&prompt(question)) {
            Ok(()) => match (terminal.read_line(self.signals).as_deref(), question.may_remember) {
                (Some("y" | "yes"), _) => Answer::Once,
                (Some("s" | "session"), Remember::Session) => Answer::Session,
                (Some(_), _) => Answer::No,
                (None, _) => Answer::Nobody { why: "nobody answered".to_owned() },
            },
            Err(error) => Answer::Nobody { why: format!("the terminal cannot be written: {error}") },
        };
        if was_raw && terminal.take().is_err() {
            return Answer::Nobody { why: "the terminal could not be handed back to the program".to_owned() };
        }
        answer
    }
}

/// Takes back what a program may have left the terminal in, so that a question can be read: ends a string that it has
/// left open (a terminal swallows what follows as its content), leaves a held-back picture, then resets attributes,
/// character sets, margins (which moves the cursor, hence saved), scrolling by origin, and colours that were redefined.
const READABLE: &str = "\u{18}\u{1b}\\\u{1b}[?2026l\u{1b}[!p\u{1b}[0m\u{1b}(B\u{f}\u{1b}[?6l\u{1b}7\u{1b}[r\u{1b}8\
                        \u{1b}[?25h\u{1b}]104\u{1b}\\\u{1b}]110\u{1b}\\\u{1b}]111\u{1b}\\";

/// What a person reads before answering.
pub fn prompt(question: &Question<'_>) -> String {
    let mut text = format!("{READABLE}\r\nringfort: a person's approval is needed\n");
    let (action, spans_apply) = match &question.request.action {
        Action::Command(Command::Shell(shell)) => (shell.as_bytes().to_vec(), true),
        other => (other.to_display().into_bytes(), false),
    };
    let mut shown = if spans_apply { escape_bytes(&action) } else { String::from_utf8_lossy(&action).into_owned() };
    if shown.len() > SHOWN_BYTES_MAX {
        let end = (0..=SHOWN_BYTES_MAX).rev().find(|end| shown.is_char_boundary(*end)).unwrap_or(0);
        shown.truncate(end);
        shown.push_str(" … (cut)");
    }
    // Writing to a `String` cannot fail.
    let written = write!(
        text,
        "  who      {}\n  what     {shown}\n  where    {}\n  risk     {}\n",
        question.request.principal,
        escape_bytes(question.request.cwd.as_os_str().as_encoded_bytes()),
        question.ruling.risk.as_str(),
    );
    debug_assert!(written.is_ok(), "a string takes everything");
    for reason in question.ruling.deciding().take(REASONS_SHOWN_MAX) {
        text.push_str(&reason_line(reason, spans_apply.then_some(action.as_slice())));
    }
    text.push_str(match question.may_remember {
        Remember::Session => "allow it? [y] once, [s] for this session, [N] no: ",
        Remember::Never => "allow it? [y] once, [N] no: ",
    });
    text
}

fn reason_line(reason: &Reason, input: Option<&[u8]>) -> String {
    let words = input.zip(reason.span).and_then(|(input, span)| input.get(span.start..span.end));
    let words = words.filter(|words| !words.is_empty() && words.len() <= 200);
    let words = words.map_or_else(String::new, |words| format!(": `{}`", escape_bytes(words)));
    format!("  because  {} [{}]{words}\n", escape_bytes(reason.message.as_bytes()), reason.rule)
}

/// Whether the process has a terminal at all, without opening it.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal() || io::stderr().is_terminal()
}

/// How long the loop sleeps at most when nothing happens: a response that ends the session is seen within this time.
pub const TICK: Duration = Duration::from_millis(250);

/// How long a program may pause within a line before what is held back of it is let go.
pub const PAUSE: Duration = Duration::from_millis(15);

/// The descriptor of the user's terminal, for its size.
pub fn size_source(terminal: &UserTerminal) -> std::os::fd::BorrowedFd<'_> {
    terminal.fd.as_fd()
}
