// SPDX-License-Identifier: MIT OR Apache-2.0
//! The standard streams of a caged program.
//!
//! In: the caller's descriptors 0, 1 and 2. Out: what the program gets instead, and what is relayed.
//!
//! A stream that is a terminal becomes the program's own pseudo-terminal; any other output becomes a pipe, so that it
//! is redacted on its way; any other input is handed over as it is.
//!
//! **Invariant:** the caller's terminal is never handed into the cage. A folder as standard input is refused (it would
//! be a way out of the cage), and a socket is replaced by a pipe.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, OFlags, fstat};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

/// Why the standard streams could not be prepared. Nothing has run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StdioError {
    /// A standard stream is a folder.
    #[error("standard stream {stream} is a folder, which would be a way out of the cage")]
    Folder {
        /// 0, 1 or 2.
        stream: u8,
    },
    /// The system refused something.
    #[error("cannot prepare the standard streams: {what}")]
    System {
        /// What was refused.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// What the program gets.
#[derive(Debug)]
pub struct Inside {
    /// Its standard input.
    pub stdin: OwnedFd,
    /// Its standard output.
    pub stdout: OwnedFd,
    /// Its standard error.
    pub stderr: OwnedFd,
    /// Its controlling terminal, where it has one.
    pub terminal: Option<OwnedFd>,
}

/// What the supervisor keeps.
#[derive(Debug)]
pub struct Outside {
    /// The program's terminal and ours.
    pub terminal: Option<Terminal>,
    /// Input to copy: from, to.
    pub input: Option<(OwnedFd, OwnedFd)>,
    /// Outputs to copy: from, to.
    pub outputs: Vec<(OwnedFd, OwnedFd)>,
}

/// Our end of the program's terminal.
#[derive(Debug)]
pub struct Terminal {
    /// The master side.
    pub master: OwnedFd,
    /// The user's terminal: read from here, if standard input is one.
    pub from_user: Option<OwnedFd>,
    /// The user's terminal: written here.
    pub to_user: OwnedFd,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Terminal,
    Socket,
    Other,
}

fn system(what: &'static str) -> impl FnOnce(rustix::io::Errno) -> StdioError {
    move |errno| StdioError::System { what, source: errno.into() }
}

fn kind(stream: u8, fd: BorrowedFd<'_>) -> Result<Kind, StdioError> {
    let Ok(status) = fstat(fd) else {
        // A closed stream: the program gets the null device in its place.
        return Ok(Kind::Other);
    };
    match FileType::from_raw_mode(status.st_mode) {
        FileType::Directory => Err(StdioError::Folder { stream }),
        FileType::Socket => Ok(Kind::Socket),
        _ if isatty(fd) => Ok(Kind::Terminal),
        _ => Ok(Kind::Other),
    }
}

fn copy(fd: BorrowedFd<'_>) -> Result<OwnedFd, StdioError> {
    match fcntl_dupfd_cloexec(fd, 3) {
        Ok(copy) => Ok(copy),
        Err(rustix::io::Errno::BADF) => {
            let flags = OFlags::RDWR | OFlags::CLOEXEC;
            rustix::fs::open("/dev/null", flags, rustix::fs::Mode::empty()).map_err(system("open /dev/null"))
        }
        Err(errno) => Err(system("duplicate a descriptor")(errno)),
    }
}

fn new_pipe() -> Result<(OwnedFd, OwnedFd), StdioError> {
    pipe_with(PipeFlags::CLOEXEC).map_err(system("make a pipe"))
}

/// Prepares the streams from the caller's descriptors.
///
/// # Errors
///
/// [`StdioError`]: nothing has run.
pub fn prepare(
    stdin: BorrowedFd<'_>,
    stdout: BorrowedFd<'_>,
    stderr: BorrowedFd<'_>,
) -> Result<(Inside, Outside), StdioError> {
    let kinds = [kind(0, stdin)?, kind(1, stdout)?, kind(2, stderr)?];
    let user = [(kinds[1], stdout), (kinds[2], stderr), (kinds[0], stdin)];
    let user = user.into_iter().find(|(kind, _)| *kind == Kind::Terminal).map(|(_, fd)| fd);
    let pty = user.map(open_pty).transpose()?;

    let mut input = None;
    let inside_in = match (kinds[0], &pty) {
        (Kind::Terminal, Some((_, slave))) => copy(slave.as_fd())?,
        (Kind::Socket, _) => {
            let (read, write) = new_pipe()?;
            input = Some((copy(stdin)?, write));
            read
        }
        _ => copy(stdin)?,
    };
    let mut outputs = Vec::new();
    let mut output = |kind: Kind, fd: BorrowedFd<'_>| match (kind, &pty) {
        (Kind::Terminal, Some((_, slave))) => copy(slave.as_fd()),
        _ => {
            let (read, write) = new_pipe()?;
            outputs.push((read, copy(fd)?));
            Ok(write)
        }
    };
    let inside_out = output(kinds[1], stdout)?;
    let inside_err = output(kinds[2], stderr)?;

    let (terminal, slave) = match (pty, user) {
        (Some((master, slave)), Some(user)) => {
            let from_user = if kinds[0] == Kind::Terminal { Some(copy(stdin)?) } else { None };
            (Some(Terminal { master, from_user, to_user: copy(user)? }), Some(slave))
        }
        _ => (None, None),
    };
    let inside = Inside { stdin: inside_in, stdout: inside_out, stderr: inside_err, terminal: slave };
    Ok((inside, Outside { terminal, input, outputs }))
}

/// A new pseudo-terminal with the settings and size of the user's.
fn open_pty(user: BorrowedFd<'_>) -> Result<(OwnedFd, OwnedFd), StdioError> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).map_err(system("open a pseudo-terminal"))?;
    grantpt(&master).map_err(system("grant a pseudo-terminal"))?;
    unlockpt(&master).map_err(system("unlock a pseudo-terminal"))?;
    let slave = ioctl_tiocgptpeer(&master, flags).map_err(system("open the program's side of a pseudo-terminal"))?;
    if let Ok(settings) = tcgetattr(user) {
        tcsetattr(&slave, rustix::termios::OptionalActions::Now, &settings)
            .map_err(system("set up a pseudo-terminal"))?;
    }
    if let Ok(size) = tcgetwinsize(user) {
        tcsetwinsize(&slave, size).map_err(system("size a pseudo-terminal"))?;
    }
    Ok((master, slave))
}
