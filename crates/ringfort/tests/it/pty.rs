// SPDX-License-Identifier: MIT OR Apache-2.0
//! A terminal with a person in front of it.
//!
//! In: a program, keys, sizes. Out: what the terminal showed, how the program ended, the terminal's settings.
//!
//! **Invariant:** the program is the leader of a session whose controlling terminal is this one, as at a login. Every
//! wait is bounded and shows what was on the screen when it fails. Killed with everything of its session when dropped.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::support::{Program, TIME_MAX, until};

/// A program on a terminal of its own.
pub(crate) struct Pty {
    master: File,
    _slave: OwnedFd,
    child: Child,
    shown: Arc<Mutex<Vec<u8>>>,
    read_to: usize,
}

impl Pty {
    /// Starts `program` on a new terminal of 80 by 24.
    pub(crate) fn start(program: &Program) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let slave = ioctl_tiocgptpeer(&master, flags).unwrap();
        tcsetwinsize(&slave, size(80, 24)).unwrap();
        let end = || Stdio::from(slave.try_clone().unwrap());
        let wanted = &program.command;
        #[expect(clippy::disallowed_methods, reason = "a test starts the binary as a user does")]
        let mut command = Command::new("setsid");
        command.args(["--wait", "--ctty"]).arg(wanted.get_program()).args(wanted.get_args()).env_clear();
        command.env("TERM", "xterm").envs(wanted.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(wanted.get_current_dir().unwrap()).stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut from, to) = (File::from(master.try_clone().unwrap()), Arc::clone(&shown));
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                to.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
            }
        });
        Self { master: File::from(master), _slave: slave, child, shown, read_to: 0 }
    }

    /// Presses keys.
    pub(crate) fn send(&mut self, keys: impl AsRef<[u8]>) {
        self.master.write_all(keys.as_ref()).unwrap();
    }

    /// Waits until the terminal shows `text`, after what was waited for before; returns everything up to its end.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        let found = until(TIME_MAX, || {
            let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            let new = &shown[self.read_to..];
            let at = new.windows(text.len()).position(|window| window == text.as_bytes())?;
            Some(String::from_utf8_lossy(&new[..at + text.len()]).into_owned())
        });
        let Some(found) = found else { panic!("the terminal never showed `{text}`, but:\n{}", self.everything()) };
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let new = &shown[self.read_to..];
        self.read_to += new.windows(text.len()).position(|window| window == text.as_bytes()).unwrap() + text.len();
        drop(shown);
        found
    }

    /// Everything that was shown.
    pub(crate) fn everything(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// Everything that was shown, as bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives the window another size.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        tcsetwinsize(self.master.as_fd(), size(columns, rows)).unwrap();
    }

    /// The settings of the terminal, in words that compare.
    pub(crate) fn settings(&self) -> String {
        let settings = rustix::termios::tcgetattr(self.master.as_fd()).unwrap();
        format!("{settings:?}")
    }

    /// The id of the program.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end of the program.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let ended = until(TIME_MAX, || self.child.try_wait().unwrap());
        let Some(ended) = ended else { panic!("the program never ended; the terminal showed:\n{}", self.everything()) };
        // What it wrote last is still on its way to the reading thread.
        thread::park_timeout(Duration::from_millis(50));
        ended
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let leader = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).unwrap();
            // It may be gone already.
            let _ignored: Result<(), _> = kill_process_group(leader, Signal::KILL);
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}
