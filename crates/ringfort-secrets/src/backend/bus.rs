// SPDX-License-Identifier: MIT OR Apache-2.0
//! A connection to the session's D-Bus, for one purpose: to ask the Secret Service.
//!
//! In: an address, calls, one deadline for everything. Out: what was answered, or which fault it was.
//!
//! **Invariant:** every wait ends at the deadline; the other end is a process of this user or of root, or nothing is
//! sent; no thread and no runtime is started. It calls and listens to answers, nothing else.

pub(crate) mod wire;

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use self::wire::{FIXED, Message, Method, Sort, Value};

/// Longest address that is read. Bytes.
const ADDRESS_MAX: usize = 4096;
/// Longest line while the connection is set up. Bytes.
const LINE_MAX: usize = 1024;
/// Most messages that are passed over while an answer is awaited.
const PASSED_MAX: usize = 1000;
/// Most of a peer's own words that are repeated. Characters.
const WORDS_MAX: usize = 200;

const BUS: Method<'_> = Method {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
    member: "Hello",
};

/// Why nothing was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BusError {
    /// There is no bus.
    Absent(String),
    /// It did not answer in time.
    Slow,
    /// It answered something that is no answer.
    Broken(String),
    /// It answered that it will not.
    Refused { name: String, words: String },
}

impl From<wire::WireError> for BusError {
    fn from(error: wire::WireError) -> Self {
        Self::Broken(format!("the bus sent what is no message: {error}"))
    }
}

/// Where a bus listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Path(PathBuf),
    Abstract(Vec<u8>),
}

/// The places of an address such as `unix:path=/run/user/1000/bus;unix:abstract=x`, those that are on this machine.
pub(crate) fn places(address: &str) -> Vec<Place> {
    if address.len() > ADDRESS_MAX {
        return Vec::new();
    }
    let one = |part: &str| {
        let options = part.strip_prefix("unix:")?;
        options.split(',').filter_map(|option| option.split_once('=')).find_map(|(key, value)| {
            let value = unescape(value)?;
            match key {
                "path" if value.first() == Some(&b'/') => Some(Place::Path(path_of(value))),
                "abstract" if !value.is_empty() => Some(Place::Abstract(value)),
                _ => None,
            }
        })
    };
    address.split(';').filter_map(one).collect()
}

fn path_of(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

/// `%` and two hexadecimal digits are one byte.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        out.push(u8::try_from(value).ok()?);
    }
    (!out.contains(&0)).then_some(out)
}

/// The places to look for the session's bus: what the environment says, else the bus of the user's session.
pub(crate) fn session_places(address: Option<&str>, runtime_dir: Option<&Path>) -> Vec<Place> {
    match (address.map(str::trim), runtime_dir) {
        (Some(address), _) if !address.is_empty() => places(address),
        (_, Some(folder)) if folder.is_absolute() => vec![Place::Path(folder.join("bus"))],
        _ => Vec::new(),
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    deadline: Instant,
    serial: u32,
}

impl Connection {
    /// Connects to the first place that answers, and introduces itself.
    pub(crate) fn open(places: &[Place], timeout: Duration) -> Result<Self, BusError> {
        let deadline = Instant::now() + timeout;
        let mut last = BusError::Absent("no session bus is known: DBUS_SESSION_BUS_ADDRESS is not set".to_owned());
        for place in places {
            match connect(place) {
                Ok(stream) => {
                    let mut connection = Self { stream, deadline, serial: 0 };
                    connection.authenticate()?;
                    connection.call(BUS, &[])?;
                    return Ok(connection);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// A connection on which everybody has introduced themselves.
    #[cfg(feature = "fuzz")]
    pub(crate) fn introduced(stream: UnixStream, timeout: Duration) -> Self {
        Self { stream, deadline: Instant::now() + timeout, serial: 0 }
    }

    fn remaining(&self) -> Result<Duration, BusError> {
        match self.deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(BusError::Slow),
            remaining => Ok(remaining),
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), BusError> {
        while !bytes.is_empty() {
            let remaining = self.remaining()?;
            self.stream.set_write_timeout(Some(remaining)).map_err(|error| ended(&error))?;
            match self.stream.write(bytes) {
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ended(&error)),
            }
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), BusError> {
        let mut at = 0;
        while let Some(rest) = buffer.get_mut(at..).filter(|rest| !rest.is_empty()) {
            let remaining = self.remaining()?;
            self.stream.set_read_timeout(Some(remaining)).map_err(|error| ended(&error))?;
            match self.stream.read(rest) {
                Ok(0) => return Err(BusError::Broken("the bus ended the connection".to_owned())),
                Ok(read) => at += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ended(&error)),
            }
        }
        Ok(())
    }

    /// Shows who we are: the user of this process, which the kernel tells the other end anyway.
    fn authenticate(&mut self) -> Result<(), BusError> {
        let user = rustix::process::geteuid().as_raw().to_string();
        let hex: String = user.bytes().map(|byte| format!("{byte:02x}")).collect();
        self.write(format!("\0AUTH EXTERNAL {hex}\r\n").as_bytes())?;
        let line = self.line()?;
        if !line.starts_with("OK ") {
            return Err(BusError::Broken(format!("the bus does not accept this user: {}", words(&line))));
        }
        self.write(b"BEGIN\r\n")
    }

    fn line(&mut self) -> Result<String, BusError> {
        let mut line = Vec::new();
        while line.len() < LINE_MAX {
            let mut byte = [0];
            self.read(&mut byte)?;
            line.extend_from_slice(&byte);
            if line.ends_with(b"\r\n") {
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
        }
        Err(BusError::Broken("the bus sent a line without end".to_owned()))
    }

    fn message(&mut self) -> Result<Message, BusError> {
        let mut bytes = vec![0; FIXED];
        self.read(&mut bytes)?;
        let length = wire::length(&bytes)?;
        bytes.resize(length, 0);
        self.read(bytes.get_mut(FIXED..).unwrap_or_default())?;
        Ok(wire::parse(&bytes)?)
    }

    /// Calls a method and waits for its answer.
    pub(crate) fn call(&mut self, method: Method<'_>, body: &[Value]) -> Result<Vec<Value>, BusError> {
        self.serial = self.serial.wrapping_add(1).max(1);
        let serial = self.serial;
        self.write(&wire::call(serial, method, body))?;
        for _ in 0..PASSED_MAX {
            let message = self.message()?;
            if message.reply_to != Some(serial) {
                continue;
            }
            match message.sort {
                Sort::Reply => return Ok(message.body),
                Sort::Error => {
                    let said = match message.body.first() {
                        Some(Value::Text(text)) => words(text),
                        _ => String::new(),
                    };
                    let name = message.error.as_deref().map(words).unwrap_or_default();
                    return Err(BusError::Refused { name, words: said });
                }
                Sort::Call | Sort::Signal => {}
            }
        }
        Err(BusError::Broken("the bus sends messages without end".to_owned()))
    }
}

/// A peer's words, short and without anything that a terminal would take for a command.
pub(crate) fn words(text: &str) -> String {
    text.chars().take(WORDS_MAX).collect::<String>().escape_debug().to_string()
}

fn ended(error: &io::Error) -> BusError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => BusError::Slow,
        _ => BusError::Broken(format!("the connection to the bus failed: {error}")),
    }
}

fn connect(place: &Place) -> Result<UnixStream, BusError> {
    let shown = match place {
        Place::Path(path) => path.display().to_string(),
        Place::Abstract(name) => format!("@{}", words(&String::from_utf8_lossy(name))),
    };
    let address = match place {
        Place::Path(path) => SocketAddrUnix::new(path),
        Place::Abstract(name) => SocketAddrUnix::new_abstract_name(name),
    };
    let absent = |error: rustix::io::Errno| {
        BusError::Absent(format!("the session bus does not answer at `{shown}`: {}", io::Error::from(error)))
    };
    let address = address.map_err(absent)?;
    // Not blocking, for a listener whose queue is full would otherwise hold us beyond every deadline.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(absent)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) => {}
        Err(rustix::io::Errno::AGAIN) => return Err(BusError::Slow),
        Err(error) => return Err(absent(error)),
    }
    let peer = rustix::net::sockopt::socket_peercred(&socket).map_err(absent)?;
    // SECURITY: who answers here is given the root key.
    if peer.uid != rustix::process::geteuid() && !peer.uid.is_root() {
        let message = format!("the bus at `{shown}` belongs to the user {}, not to this one", peer.uid.as_raw());
        return Err(BusError::Broken(message));
    }
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false).map_err(|error| ended(&error))?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_specification_says() {
        let path = |text: &str| Place::Path(PathBuf::from(text));
        for (address, expected) in [
            ("unix:path=/run/user/1000/bus", vec![path("/run/user/1000/bus")]),
            ("unix:path=/tmp/a%20b,guid=00ff", vec![path("/tmp/a b")]),
            ("unix:guid=00,abstract=/tmp/x", vec![Place::Abstract(b"/tmp/x".to_vec())]),
            ("tcp:host=h,port=1;unix:path=/b", vec![path("/b")]),
            ("unix:path=relative", vec![]),
            ("unix:path=/a%0", vec![]),
            ("unix:path=/a%00b", vec![]),
            ("unix:tmpdir=/tmp", vec![]),
            ("unixexec:path=/bin/sh", vec![]),
            ("autolaunch:", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(places(address), expected, "{address}");
        }
        assert_eq!(session_places(None, Some(Path::new("/run/user/7"))), [path("/run/user/7/bus")]);
        assert_eq!(session_places(Some(" "), Some(Path::new("/run/user/7"))), [path("/run/user/7/bus")]);
        assert_eq!(session_places(Some("unix:path=/x"), Some(Path::new("/run/user/7"))), [path("/x")]);
        assert_eq!(session_places(None, Some(Path::new("run"))), []);
    }

    #[test]
    fn deny_a_bus_that_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let gone = [Place::Path(folder.path().join("bus"))];
        for places in [&gone[..], &[]] {
            let outcome = Connection::open(places, Duration::from_secs(1));
            assert!(matches!(outcome, Err(BusError::Absent(_))), "{outcome:?}");
        }
    }
}
