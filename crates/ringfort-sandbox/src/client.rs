// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs of the host that make cages: bubblewrap, and the clients of container engines.
//!
//! In: program, words, environment, descriptors. Out: a process, or everything that it said and how it ended.
//!
//! **Invariant:** such a program has no terminal, no input and only the descriptors that are named; what it says is
//! bounded, and one that does not answer in time is killed. It is never a program that a governed principal chose.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{MemfdFlags, Mode, OFlags};
use rustix::io::fcntl_dupfd_cloexec;

use crate::syscall::{self, Answer, ChildChange, Errno, ExecVectors, Patience, Variable, Which};

/// Most bytes of an answer that are read.
const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// Most bytes of what it says about an error.
const ERRORS_BYTES_MAX: usize = 4096;
/// Descriptors are moved above this before the clone, so that none stands where the program wants another.
const DESCRIPTOR_MIN: i32 = 200;
/// The first descriptor after the standard streams.
pub(crate) const FIRST: i32 = 3;
/// Exit status of a process that could not become its program.
const EXIT_NOT_EXECUTED: u8 = 127;
/// Signal mask: nothing else is sent to such a process.
const KILL: i32 = libc::SIGKILL;

/// Why a program of the host gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("cannot start `{}`", program.display())]
    Start { program: PathBuf, source: io::Error },
    #[error("`{}` did not answer within {} s and was killed", program.display(), after.as_secs())]
    TimedOut { program: PathBuf, after: Duration },
    #[error("`{}` failed: {said}", program.display())]
    Failed { program: PathBuf, said: String },
}

/// A program of the host and its words.
pub(crate) struct Client<'a> {
    pub(crate) program: &'a Path,
    pub(crate) words: Vec<OsString>,
    pub(crate) environment: &'a [(OsString, OsString)],
    /// They get the numbers from [`FIRST`] on, in this order.
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// What a program said that ended well.
#[derive(Debug)]
pub(crate) struct Said {
    /// On standard output.
    pub(crate) output: Vec<u8>,
    /// On standard error.
    pub(crate) errors: String,
}

/// One that runs.
pub(crate) struct Running {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
    output: OwnedFd,
    errors: OwnedFd,
}

impl Client<'_> {
    /// Starts it. It ends with this process, unless it is told to live on by what it does itself.
    pub(crate) fn start(self) -> Result<Running, ClientError> {
        let failed = |source: io::Error| ClientError::Start { program: self.program.to_owned(), source };
        let vectors = self.vectors().map_err(failed)?;
        let memory = |name: &str| rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC).map_err(io::Error::from);
        let (output, errors) = (memory("output").map_err(failed)?, memory("errors").map_err(failed)?);
        let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| failed(errno.into()))?;
        let streams = [&null, &output, &errors].into_iter().chain(&self.descriptors);
        let moved: Vec<OwnedFd> = streams
            .map(|fd| fcntl_dupfd_cloexec(fd, DESCRIPTOR_MIN))
            .collect::<Result<_, _>>()
            .map_err(|errno| failed(errno.into()))?;
        let numbers: Vec<i32> = moved.iter().map(std::os::fd::AsRawFd::as_raw_fd).collect();
        let by_main_thread = syscall::getpid() == syscall::gettid();
        let mask = syscall::block_all_signals().map_err(|errno| failed(errno.into()))?;
        let flags = libc::CLONE_PIDFD as u64;
        let cloned = syscall::clone_process(flags, || match become_client(&numbers, by_main_thread) {
            Ok(()) => {
                vectors.exec();
                EXIT_NOT_EXECUTED
            }
            Err(_errno) => EXIT_NOT_EXECUTED,
        });
        let restored = syscall::restore_signals(mask);
        let cloned = cloned.map_err(|errno| failed(errno.into()))?;
        let pidfd = cloned.pidfd.ok_or_else(|| failed(io::Error::from_raw_os_error(libc::ENOSYS)))?;
        let running = Running { pid: cloned.pid, pidfd, output, errors };
        match restored {
            Ok(()) => Ok(running),
            Err(errno) => {
                running.kill();
                Err(failed(errno.into()))
            }
        }
    }

    /// Runs it to its end and returns what it said on standard output.
    pub(crate) fn run(self, within: Duration) -> Result<Said, ClientError> {
        let program = self.program.to_owned();
        let running = self.start()?;
        let wait = u32::try_from(within.as_millis()).unwrap_or(u32::MAX);
        if syscall::poll_readable([running.pidfd.as_raw_fd()], Some(wait)) != Ok([true]) {
            running.kill();
            return Err(ClientError::TimedOut { program, after: within });
        }
        let end = syscall::wait_child(Which::One(running.pid), Patience::Wait);
        // Somebody else may have reaped it; then what it said is all there is to judge by, and that is not enough.
        if matches!(end, Ok(Some((_, ChildChange::Exited(0))))) {
            let output = read_all(&running.output, OUTPUT_BYTES_MAX);
            let output = output.map_err(|source| ClientError::Start { program, source })?;
            return Ok(Said { output, errors: running.said() });
        }
        let said = running.said();
        let said = if said.is_empty() { "it said nothing".to_owned() } else { said };
        Err(ClientError::Failed { program, said })
    }

    fn vectors(&self) -> io::Result<ExecVectors> {
        let string = |bytes: &OsStr| CString::new(bytes.as_bytes()).map_err(io::Error::other);
        let argv = std::iter::once(self.program.as_os_str()).chain(self.words.iter().map(OsString::as_os_str));
        let variables = self.environment.iter().map(|(name, value)| {
            Variable::of(name, value).ok_or_else(|| io::Error::other("a variable contains a null byte"))
        });
        Ok(ExecVectors::new(
            string(self.program.as_os_str())?,
            argv.map(string).collect::<io::Result<_>>()?,
            variables.collect::<io::Result<_>>()?,
        ))
    }
}

/// Runs in the clone: system calls only.
fn become_client(descriptors: &[i32], by_main_thread: bool) -> Answer<()> {
    if by_main_thread {
        syscall::die_with_parent()?;
    }
    // Keys of the user's terminal are not for it.
    syscall::setsid()?;
    let mut to = 0;
    for from in descriptors {
        syscall::duplicate_to(*from, to)?;
        to += 1;
    }
    syscall::close_range(to.unsigned_abs(), u32::MAX, 0)?;
    syscall::default_actions()?;
    syscall::unblock_signals()
}

impl Running {
    /// Ends it and waits until it is gone.
    pub(crate) fn kill(&self) {
        // One that is gone already needs no killing.
        let _ignored: Result<(), Errno> = syscall::pidfd_kill(self.pidfd.as_raw_fd(), KILL);
        let _ignored: Result<_, Errno> = syscall::wait_child(Which::One(self.pid), Patience::Wait);
    }

    /// What it said on standard error, on one line.
    pub(crate) fn said(&self) -> String {
        let bytes = read_all(&self.errors, ERRORS_BYTES_MAX).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

fn read_all(file: &OwnedFd, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; most];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut *rest, filled as u64))? {
            0 => break,
            count => filled += count,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Client<'_> {
        Client {
            program: Path::new("/bin/sh"),
            words: vec!["-c".into(), script.into()],
            environment: &[],
            descriptors: Vec::new(),
        }
    }

    #[test]
    fn a_client_answers_with_what_it_said() {
        assert_eq!(shell("echo yes; echo no >&2").run(Duration::from_secs(20)).unwrap().output, b"yes\n");
        let failed = shell("echo one >&2; echo >&2; echo ' two' >&2; exit 3").run(Duration::from_secs(20));
        assert_eq!(failed.unwrap_err().to_string(), "`/bin/sh` failed: one; two");
    }

    #[test]
    fn deny_a_client_that_hangs_or_is_not_there() {
        let hung = shell("sleep 60").run(Duration::from_millis(100)).unwrap_err();
        assert!(matches!(hung, ClientError::TimedOut { .. }), "{hung}");
        let missing = Client { program: Path::new("/nonexistent/engine"), ..shell("") };
        assert!(missing.run(Duration::from_secs(20)).is_err());
    }

    #[test]
    fn deny_descriptors_and_variables_that_are_not_named() {
        let (_read, write) = rustix::pipe::pipe().unwrap();
        let listed = Client { descriptors: vec![write], ..shell("ls /proc/self/fd; env") };
        let text = String::from_utf8(listed.run(Duration::from_secs(20)).unwrap().output).unwrap();
        // Three streams, the named one, and the folder that `ls` has open.
        let numbers: Vec<&str> = text.lines().filter(|line| line.parse::<u32>().is_ok()).collect();
        assert_eq!(numbers, ["0", "1", "2", "3", "4"], "{text}");
        assert!(!text.contains("CARGO"), "{text}");
    }
}
