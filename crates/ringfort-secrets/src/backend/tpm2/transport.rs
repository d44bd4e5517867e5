// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way to a TPM: the kernel's device, or a software TPM on this machine.
//!
//! In: one command. Out: its response, whole, before a deadline.
//!
//! **Invariant:** nothing waits longer than its deadline; after a timeout or a broken frame the connection is not used
//! again, so that a late response is never taken for the response to a later command.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::fault::TpmError;
use super::wire::{Buffer, FRAME_MAX, HEADER};

/// The devices that are looked for, best first: the one with the kernel's resource manager, then the bare one.
const DEVICES: [&str; 2] = ["/dev/tpmrm0", "/dev/tpm0"];

/// How long a device that is in use is left alone.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// Which TPM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TpmDevice {
    /// The machine's: `/dev/tpmrm0`, else `/dev/tpm0`.
    #[default]
    Machine,
    /// A device file.
    File(PathBuf),
    /// A software TPM that listens on this port of the loopback address (`swtpm socket --server type=tcp`). Whoever runs it
    /// has its keys: for tests and for virtual machines whose host is trusted.
    Loopback(u16),
    /// One that answers what a fuzzer wrote.
    #[cfg(feature = "fuzz")]
    Scripted(Vec<u8>),
}

/// An open way to a TPM.
pub(super) struct Transport {
    way: Way,
    /// Whether the kernel keeps this connection's handles apart from those of others, and removes them in the end.
    pub(super) managed: bool,
    usable: bool,
}

enum Way {
    Device(File),
    Socket(TcpStream),
    #[cfg(feature = "fuzz")]
    Scripted(Box<super::scripted::Script>),
}

impl Transport {
    /// Opens the way to `device` before `deadline`.
    pub(super) fn open(device: &TpmDevice, deadline: Deadline) -> Result<Self, TpmError> {
        let (way, managed) = match device {
            TpmDevice::Machine => {
                let paths = DEVICES.map(Path::new);
                let found = paths.into_iter().find(|path| path.exists());
                let path = found.ok_or_else(|| TpmError::Absent {
                    message: format!("this machine shows no TPM (neither {} nor {})", DEVICES[0], DEVICES[1]),
                })?;
                open_file(path, deadline)?
            }
            TpmDevice::File(path) => open_file(path, deadline)?,
            TpmDevice::Loopback(port) => (Way::Socket(connect(*port, deadline)?), false),
            #[cfg(feature = "fuzz")]
            TpmDevice::Scripted(bytes) => (Way::Scripted(Box::new(super::scripted::Script::new(bytes))), false),
        };
        Ok(Self { way, managed, usable: true })
    }

    /// Sends `command` and receives its response.
    pub(super) fn exchange(&mut self, command: &[u8], deadline: Deadline) -> Result<Buffer, TpmError> {
        if !self.usable {
            return Err(TpmError::Io(io::Error::new(io::ErrorKind::NotConnected, "given up after an earlier failure")));
        }
        let mut response = Buffer::new()?;
        self.usable = false;
        let length = match &mut self.way {
            Way::Device(file) => through_device(file, command, response.room(), deadline)?,
            Way::Socket(socket) => through_socket(socket, command, response.room(), deadline)?,
            #[cfg(feature = "fuzz")]
            Way::Scripted(script) => script.answer(command, response.room())?,
        };
        response.received(length);
        self.usable = true;
        Ok(response)
    }
}

/// When an operation has to be over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    end: Instant,
    whole: Duration,
}

impl Deadline {
    /// One that ends after `whole` from now.
    pub(super) fn after(whole: Duration) -> Self {
        Self { end: Instant::now() + whole, whole }
    }

    /// What is left of it.
    pub(super) fn left(self) -> Result<Duration, TpmError> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(self.passed()) } else { Ok(left) }
    }

    /// The error that it has passed.
    pub(super) const fn passed(self) -> TpmError {
        TpmError::Slow { waited: self.whole }
    }
}

/// Opens a device. The bare one has one user at a time: while another has it, it is waited for.
fn open_file(path: &Path, deadline: Deadline) -> Result<(Way, bool), TpmError> {
    let absent = |message: String| TpmError::Absent { message };
    let file = loop {
        let mut options = OpenOptions::new();
        match options.read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                let in_use = |_| absent(format!("{} is in use by another program", path.display()));
                std::thread::sleep(BUSY_PAUSE.min(deadline.left().map_err(in_use)?));
            }
            other => break other,
        }
    };
    let file = file.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => absent(format!("there is no {}", path.display())),
        io::ErrorKind::PermissionDenied => {
            absent(format!("{} may not be opened by this user; its group is usually `tss`", path.display()))
        }
        _ => TpmError::Io(error),
    })?;
    if !file.metadata()?.file_type().is_char_device() {
        return Err(absent(format!("{} is no device", path.display())));
    }
    let managed = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("tpmrm"));
    Ok((Way::Device(file), managed))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a software TPM on this machine's loopback address, by configuration only"
)]
fn connect(port: u16, deadline: Deadline) -> Result<TcpStream, TpmError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let socket = TcpStream::connect_timeout(&address, deadline.left()?).map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => deadline.passed(),
        _ => TpmError::Absent { message: format!("no software TPM answers on port {port} of this machine ({error})") },
    })?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// The device takes a whole command in one write and gives the whole response in one read, once it is there.
fn through_device(file: &mut File, command: &[u8], room: &mut [u8], deadline: Deadline) -> Result<usize, TpmError> {
    if file.write(command)? != command.len() {
        return Err(TpmError::Io(io::ErrorKind::WriteZero.into()));
    }
    loop {
        let left = deadline.left()?;
        let wait =
            Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() };
        let mut watched = [PollFd::new(&*file, PollFlags::IN)];
        match poll(&mut watched, Some(&wait)) {
            Ok(0) => return Err(deadline.passed()),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(TpmError::Io(error.into())),
        }
        match file.read(room) {
            Ok(0) => return Err(TpmError::Malformed { what: "no response" }),
            Ok(length) => return Ok(length),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(TpmError::Io(error)),
        }
    }
}

/// A socket gives the response in pieces; its header says how long it is.
fn through_socket(
    socket: &mut TcpStream,
    command: &[u8],
    room: &mut [u8],
    deadline: Deadline,
) -> Result<usize, TpmError> {
    socket.set_write_timeout(Some(deadline.left()?))?;
    socket.write_all(command).map_err(|error| in_time(error, deadline))?;
    let mut have = 0;
    let mut want = HEADER;
    while have < want {
        socket.set_read_timeout(Some(deadline.left()?))?;
        let place = room.get_mut(have..want).ok_or(TpmError::Malformed { what: "a response that is too long" })?;
        match socket.read(place) {
            Ok(0) => return Err(TpmError::Io(io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => have += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(in_time(error, deadline)),
        }
        if have == HEADER && want == HEADER {
            let size = room.get(2..6).and_then(|size| size.try_into().ok()).map_or(0, u32::from_be_bytes);
            want = usize::try_from(size).unwrap_or(usize::MAX);
            if !(HEADER..=FRAME_MAX).contains(&want) {
                return Err(TpmError::Malformed { what: "a response of an impossible length" });
            }
        }
    }
    Ok(have)
}

/// What a failed read or write of a socket with a timeout means.
fn in_time(error: io::Error, deadline: Deadline) -> TpmError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => deadline.passed(),
        _ => TpmError::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    /// Something that keeps messages apart, as the device does, and whoever is behind it.
    fn device() -> (Transport, File) {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let (ours, behind): (OwnedFd, OwnedFd) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        (Transport { way: Way::Device(ours.into()), managed: true, usable: true }, behind.into())
    }

    #[test]
    fn a_device_answers_whole_or_in_time() {
        let short = || Deadline::after(Duration::from_millis(50));
        let (mut transport, mut behind) = device();
        behind.write_all(b"the response").unwrap();
        let response = transport.exchange(b"the command", short()).unwrap();
        assert_eq!(response.bytes().unwrap(), b"the response");
        let mut command = [0; 100];
        assert_eq!(behind.read(&mut command).unwrap(), 11);
        assert!(matches!(transport.exchange(b"another", short()), Err(TpmError::Slow { .. })));
        // Its response comes too late, and is not taken for that of the next command.
        behind.write_all(b"late").unwrap();
        assert!(matches!(transport.exchange(b"a third", short()), Err(TpmError::Io(_))));
        let (mut transport, behind) = device();
        drop(behind);
        assert!(transport.exchange(b"nobody", short()).is_err());
    }

    #[test]
    fn deny_files_that_are_no_devices() {
        let deadline = Deadline::after(Duration::from_secs(1));
        let file = tempfile::NamedTempFile::new().unwrap();
        for path in [file.path(), Path::new("/dev/no-such-tpm")] {
            let opened = Transport::open(&TpmDevice::File(path.to_owned()), deadline);
            assert!(matches!(opened, Err(TpmError::Absent { .. })), "{}", path.display());
        }
    }
}
