// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a person types unseen, and what comes on standard input: values and passphrases.
//!
//! In: the controlling terminal, or standard input. Out: bytes in locked memory.
//!
//! **Invariant:** a person is asked on the controlling terminal only, never on standard input, and with the echo off; the
//! terminal is itself again whatever ends the question. Nothing that was typed is shown, and no ordinary buffer holds it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use ringfort_core::limits::APPROVAL_WAIT;
use ringfort_core::text::escape_bytes;
use ringfort_runtime::supervisor::Signals;
use ringfort_secrets::locked::{Locked, LockedError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::getpgrp;
use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, Termios, isatty, tcflush, tcgetattr, tcgetpgrp, tcsetattr,
};

/// Longest line that a terminal takes. Bytes.
const LINE_BYTES_MAX: usize = 4096;
/// How long a signal may go unheeded.
const TICK: Duration = Duration::from_millis(250);

/// Why a person gave no answer. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PromptError {
    /// There is no terminal.
    #[error("there is no terminal on which you could be asked")]
    NoTerminal,
    /// This process is not the one that the terminal listens to.
    #[error("this runs in the background of its terminal, where nobody can be asked")]
    Background,
    /// A signal came, or the input ended.
    #[error("nothing was answered")]
    Cancelled,
    /// It took too long.
    #[error("nothing was answered within {} s", APPROVAL_WAIT.as_secs())]
    Waited,
    /// The line is too long for a terminal.
    #[error("a terminal takes {LINE_BYTES_MAX} bytes a line; give longer values on standard input")]
    TooLong,
    /// The two answers differ.
    #[error("the two differ")]
    Differ,
    /// The terminal failed.
    #[error("the terminal cannot be used")]
    System(#[from] io::Error),
    /// There is no memory for the answer.
    #[error(transparent)]
    Memory(#[from] LockedError),
}

/// The controlling terminal, and the signals that end a question.
pub(crate) struct Prompt<'a> {
    terminal: OwnedFd,
    signals: &'a Signals,
}

impl<'a> Prompt<'a> {
    /// The controlling terminal of this process, if a person can be asked there.
    ///
    /// # Errors
    ///
    /// [`PromptError`]: nobody can be asked.
    pub(crate) fn open(signals: &'a Signals) -> Result<Self, PromptError> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal = open("/dev/tty", flags, Mode::empty()).map_err(|_none| PromptError::NoTerminal)?;
        // Changing a terminal from the background would stop this process.
        if !tcgetpgrp(&terminal).is_ok_and(|front| front == getpgrp()) {
            return Err(PromptError::Background);
        }
        Ok(Self { terminal, signals })
    }

    /// No echo until this is dropped: what is typed between two questions is not shown either.
    ///
    /// # Errors
    ///
    /// The terminal is as it was.
    pub(crate) fn silence(&self) -> Result<Silent<'_>, PromptError> {
        Ok(Silent::new(&self.terminal)?)
    }

    /// Asks for something that is not shown.
    ///
    /// # Errors
    ///
    /// [`PromptError`]: there is no answer.
    pub(crate) fn hidden(&self, question: &str) -> Result<Locked, PromptError> {
        let _silent = self.silence()?;
        self.ask(question)
    }

    /// Asks twice for something that is not shown; an empty first answer is the answer.
    ///
    /// # Errors
    ///
    /// [`PromptError`]: there is no answer, or there are two.
    pub(crate) fn twice(&self, question: &str, again: &str) -> Result<Locked, PromptError> {
        let _silent = self.silence()?;
        let first = self.hidden(question)?;
        if first.is_empty() || self.hidden(again)?.equals(first.expose()) {
            return Ok(first);
        }
        Err(PromptError::Differ)
    }

    /// Asks a question that only `y` or `yes` says yes to.
    ///
    /// # Errors
    ///
    /// [`PromptError`]: there is no answer.
    pub(crate) fn confirm(&self, question: &str) -> Result<bool, PromptError> {
        let answer = self.ask(question)?;
        let word = answer.expose().trim_ascii().to_ascii_lowercase();
        Ok(matches!(word.as_slice(), b"y" | b"yes"))
    }

    /// Shows a line.
    ///
    /// # Errors
    ///
    /// The terminal cannot be written.
    pub(crate) fn say(&self, text: &str) -> Result<(), PromptError> {
        self.write(&format!("{}\n", shown(text)))
    }

    fn ask(&self, question: &str) -> Result<Locked, PromptError> {
        // What was typed before the question is no answer to it.
        tcflush(&self.terminal, QueueSelector::IFlush).map_err(io::Error::from)?;
        self.write(&shown(question))?;
        self.wait()?;
        let mut line = Locked::zeroed(LINE_BYTES_MAX)?;
        let count = rustix::io::retry_on_intr(|| rustix::io::read(&self.terminal, line.expose_mut()));
        let count = count.map_err(io::Error::from)?;
        let typed = line.expose().get(..count).unwrap_or_default();
        match typed.split_last() {
            Some((b'\n', typed)) => Ok(Locked::copy_of(typed)?),
            Some(_) if count >= LINE_BYTES_MAX - 1 => Err(PromptError::TooLong),
            _ => Err(PromptError::Cancelled),
        }
    }

    /// Waits for a line; a signal that wants an end, or too long a silence, is none.
    fn wait(&self) -> Result<(), PromptError> {
        let tick = Timespec { tv_sec: 0, tv_nsec: i64::from(TICK.subsec_nanos()) };
        for _ in 0..APPROVAL_WAIT.as_millis() / TICK.as_millis() {
            let mut ready = [PollFd::new(&self.terminal, PollFlags::IN)];
            let is_ready = rustix::io::retry_on_intr(|| poll(&mut ready, Some(&tick))).map_err(io::Error::from)? > 0;
            if self.signals.want_an_end() {
                self.write("\n")?;
                return Err(PromptError::Cancelled);
            }
            if is_ready {
                return Ok(());
            }
        }
        Err(PromptError::Waited)
    }

    fn write(&self, text: &str) -> Result<(), PromptError> {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let written = rustix::io::retry_on_intr(|| rustix::io::write(&self.terminal, rest));
            rest = rest.get(written.map_err(io::Error::from)?..).unwrap_or_default();
        }
        Ok(())
    }
}

fn shown(text: &str) -> String {
    text.lines().map(|line| escape_bytes(line.as_bytes()).replace("\\\\", "\\")).collect::<Vec<_>>().join("\n")
}

/// The terminal without its echo; as it was once this is dropped.
pub(crate) struct Silent<'t> {
    terminal: &'t OwnedFd,
    saved: Termios,
}

impl<'t> Silent<'t> {
    fn new(terminal: &'t OwnedFd) -> io::Result<Self> {
        let saved = tcgetattr(terminal)?;
        let mut settings = saved.clone();
        settings.local_modes.remove(LocalModes::ECHO);
        settings.local_modes.insert(LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(terminal, OptionalActions::Flush, &settings)?;
        Ok(Self { terminal, saved })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        // Nobody is left to tell if a terminal that has gone away cannot be reset. What was typed and not taken goes too.
        let _ignored: Result<(), _> = tcsetattr(self.terminal, OptionalActions::Flush, &self.saved);
    }
}

/// Whether standard input is a terminal, so that a value is asked for instead of read.
pub(crate) fn stdin_is_terminal() -> bool {
    isatty(io::stdin().as_fd())
}

/// Everything on standard input, at most `bytes_max`.
///
/// # Errors
///
/// It cannot be read, or it is longer.
pub(crate) fn read_stdin(bytes_max: usize) -> Result<Locked, anyhow::Error> {
    let stdin = io::stdin();
    let mut buffer = Locked::zeroed(bytes_max + 1)?;
    let mut filled = 0;
    loop {
        let free = buffer.expose_mut().get_mut(filled..).unwrap_or_default();
        if free.is_empty() {
            anyhow::bail!("standard input is longer than {bytes_max} bytes");
        }
        match rustix::io::retry_on_intr(|| rustix::io::read(stdin.as_fd(), &mut *free)).map_err(io::Error::from)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(Locked::copy_of(buffer.expose().get(..filled).unwrap_or_default())?)
}
