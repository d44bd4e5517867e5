// SPDX-License-Identifier: MIT OR Apache-2.0
//! The broker: how a nested `ringfort run` inside a cage asks the supervisor outside.
//!
//! In: one message and four descriptors over the socket that a cage inherits. Out: the fate of a sibling cage.
//!
//! A program that closes what it does not know leaves its children no descriptor: where a cage holds a known agent, the
//! socket can be asked for at a place in the private home as well ([`post`]).
//!
//! The inherited socket carries only the introduction: a client makes a socket pair of its own, sends one end with its
//! request and its three standard streams, and waits on the other. Both are `SOCK_SEQPACKET`, one JSON object a packet.
//!
//! **Invariant:** the principal is the socket; nothing in a message names one. A malformed, oversized or incomplete
//! introduction is dropped without an answer. Remedies that widen are never sent inside.

use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use ringfort_core::ruling::{Remedy, Ruling};
use ringfort_core::text::Text;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, open};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect, listen, recvmsg, sendmsg,
    socket_with, socketpair,
};
use serde::{Deserialize, Serialize};

use crate::hook::INPUT_BYTES_MAX;
use crate::hook::judge::Saying;

/// Largest packet in either direction, in bytes.
pub const PACKET_BYTES_MAX: usize = 128 << 10;
/// The descriptor at which a cage inherits the socket.
pub const BROKER_FD: i32 = 3;
/// The variable that tells a program inside that there is a broker; it names no authority.
pub const BROKER_VARIABLE: &str = "RINGFORT_BROKER";
/// Version of the messages.
const VERSION: u8 = 1;
/// The client's end, and its three standard streams.
const DESCRIPTORS: usize = 4;

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// Run it in a sibling cage.
    Run,
    /// Say what would be ruled.
    Check,
    /// Judge the message of an agent's hook, which is the first of the streams.
    Hook,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Packet {
    v: u8,
    op: Operation,
    words: Vec<Vec<u8>>,
    cwd: Vec<u8>,
    env: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A request that came over the socket.
#[derive(Debug)]
pub struct Introduction {
    /// What is asked for.
    pub operation: Operation,
    /// The command's words.
    pub words: Vec<Text>,
    /// The folder it is to run in.
    pub cwd: PathBuf,
    /// The environment it is to have.
    pub environment: Vec<(OsString, OsString)>,
    /// Where the answer goes; closed when the client has gone.
    pub channel: OwnedFd,
    /// Standard input, output and error.
    pub streams: [OwnedFd; 3],
}

/// The answer to a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// The program ended with this status.
    Exited(i32),
    /// The program was ended by this signal.
    Signalled(i32),
    /// It was denied; the ruling is without remedies that widen.
    Denied(Ruling),
    /// What would be ruled.
    Ruled(Ruling),
    /// What is to be said to an agent.
    Said(Saying),
    /// The guard failed.
    Failed(String),
}

/// The two ends of a broker: for the supervisor, and for the cage.
///
/// # Errors
///
/// There is no broker.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Where the socket can be asked for, below the private home: many programs close what they do not know before they
/// start another, and their children have no descriptor then.
pub const BROKER_PLACE: &str = ".ringfort/broker";
/// Callers that wait to be given the socket; one more waits in `connect`.
const BACKLOG: i32 = 64;
/// Longest wait of a program for the socket. Milliseconds.
const HANDED_MS_MAX: i64 = 5_000;

/// A socket in `folder` at which the broker's socket can be asked for, and its path.
///
/// # Errors
///
/// There is none.
pub fn post(folder: &Path) -> io::Result<(OwnedFd, PathBuf)> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags(), None)?;
    let name = "broker";
    // By the folder's descriptor: the name of a socket holds 107 bytes, and a state folder may be deeper.
    let handle = open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    bind(&socket, &address(&handle, name)?)?;
    listen(&socket, BACKLOG)?;
    Ok((socket, folder.join(name)))
}

/// Gives the cage's end of the broker to whoever asks at `post`; answers whether somebody did.
///
/// Who can reach the post is inside: it appears in the cage's private home and nowhere else.
pub fn hand_out(post: BorrowedFd<'_>, inside: BorrowedFd<'_>) -> bool {
    let Ok(caller) = accept_with(post, flags()) else { return false };
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let given = [inside];
    if ancillary.push(SendAncillaryMessage::ScmRights(&given)) {
        // A caller that has gone needs nothing.
        let sent = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let _gone: Result<usize, _> = sendmsg(&caller, &[IoSlice::new(b"1")], &mut ancillary, sent);
    }
    true
}

/// Asks for the broker's socket below the private home; `None` where there is none.
pub fn ask_for(home: &Path) -> Option<OwnedFd> {
    let place = home.join(BROKER_PLACE);
    let handle = open(place.parent()?, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags(), None).ok()?;
    connect(&socket, &address(&handle, place.file_name()?.to_str()?).ok()?).ok()?;
    let wait = Timespec { tv_sec: HANDED_MS_MAX / 1000, tv_nsec: 0 };
    poll(&mut [PollFd::new(&socket, PollFlags::IN)], Some(&wait)).ok().filter(|ready| *ready > 0)?;
    let (mut byte, mut space) = ([0_u8; 1], [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))]);
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    recvmsg(&socket, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC).ok()?;
    ancillary.drain().find_map(|part| match part {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    })
}

fn flags() -> SocketFlags {
    SocketFlags::CLOEXEC | SocketFlags::NONBLOCK
}

fn address(folder: &OwnedFd, name: &str) -> io::Result<SocketAddrUnix> {
    let path = format!("/proc/self/fd/{}/{name}", folder.as_raw_fd());
    Ok(SocketAddrUnix::new(path)?)
}

/// Takes one introduction from the inherited socket; `None` if it was malformed and dropped.
///
/// # Errors
///
/// The socket is broken, or nothing was there.
pub fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<Introduction>> {
    let mut buffer = vec![0_u8; PACKET_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let message = recvmsg(socket, &mut [IoSliceMut::new(&mut buffer)], &mut ancillary, flags)?;
    let mut descriptors: Vec<OwnedFd> = Vec::new();
    for part in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = part {
            descriptors.extend(fds);
        }
    }
    if message.flags.contains(rustix::net::ReturnFlags::TRUNC) || descriptors.len() != DESCRIPTORS {
        return Ok(None);
    }
    let packet: Packet = match serde_json::from_slice(buffer.get(..message.bytes).unwrap_or_default()) {
        Ok(packet) => packet,
        Err(_malformed) => return Ok(None),
    };
    let mut descriptors = descriptors.into_iter();
    let (Some(channel), Some(stdin), Some(stdout), Some(stderr)) =
        (descriptors.next(), descriptors.next(), descriptors.next(), descriptors.next())
    else {
        return Ok(None);
    };
    let nul = |bytes: &[u8]| bytes.contains(&0);
    let clean = !packet.words.is_empty()
        && !packet.words.iter().any(|word| nul(word))
        && !nul(&packet.cwd)
        && !packet.env.iter().any(|(name, value)| nul(name) || nul(value) || name.is_empty() || name.contains(&b'='));
    if packet.v != VERSION || !clean {
        return Ok(None);
    }
    Ok(Some(Introduction {
        operation: packet.op,
        words: packet.words.into_iter().map(Text::new).collect(),
        cwd: PathBuf::from(OsString::from_vec(packet.cwd)),
        environment: packet
            .env
            .into_iter()
            .map(|(name, value)| (OsString::from_vec(name), OsString::from_vec(value)))
            .collect(),
        channel,
        streams: [stdin, stdout, stderr],
    }))
}

/// Answers a client. A client that has gone needs no answer.
///
/// It never waits: a client that fills its own channel must not stop the supervisor.
///
/// # Errors
///
/// The answer could not be sent, or not at once.
pub fn reply(channel: BorrowedFd<'_>, reply: &Reply) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(reply)?;
    if bytes.len() > PACKET_BYTES_MAX {
        bytes = serde_json::to_vec(&Reply::Failed("the answer is too long for the broker".to_owned()))?;
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(channel, &[IoSlice::new(&bytes)], &mut SendAncillaryBuffer::default(), flags)?;
    Ok(())
}

/// Asks the supervisor from inside a cage, over the inherited `socket`, and waits for the end.
///
/// # Errors
///
/// There is no supervisor at the other end, or it broke off; whether something ran is unknown then.
pub fn ask(
    socket: BorrowedFd<'_>,
    operation: Operation,
    words: &[OsString],
    cwd: &Path,
    environment: &[(OsString, OsString)],
) -> io::Result<Reply> {
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    ask_with(socket, operation, words, cwd, environment, [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()])
}

/// Has the supervisor judge the message that an agent wrote to its hook.
///
/// # Errors
///
/// There is no supervisor at the other end, or it broke off: that is a denial.
pub fn ask_hook(
    socket: BorrowedFd<'_>,
    agent: &str,
    event: Option<&str>,
    message: &[u8],
    cwd: &Path,
) -> io::Result<Reply> {
    let file = rustix::fs::memfd_create("message", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut rest = message;
    while !rest.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(&file, rest))?;
        rest = rest.get(written..).unwrap_or_default();
    }
    rustix::fs::fcntl_add_seals(&file, SEALS)?;
    let words: Vec<OsString> = std::iter::once(agent).chain(event).map(OsString::from).collect();
    let (stdout, stderr) = (io::stdout(), io::stderr());
    ask_with(socket, Operation::Hook, &words, cwd, &[], [file.as_fd(), stdout.as_fd(), stderr.as_fd()])
}

/// What must be sealed of a message, so that reading it neither waits nor sees it change.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::WRITE);

/// The message of a client's hook: all of a sealed memory file, bounded.
///
/// # Errors
///
/// It is something else, or too long.
pub fn read_message(file: &OwnedFd) -> io::Result<Vec<u8>> {
    // Only memory files can be sealed: a pipe would be waited for, and a file on a foreign file system too.
    if !rustix::fs::fcntl_get_seals(file)?.contains(SEALS) {
        return Err(io::Error::other("the message is no sealed memory file"));
    }
    let size = usize::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or(usize::MAX);
    if size > INPUT_BYTES_MAX {
        return Err(io::Error::other(format!("the message is longer than {INPUT_BYTES_MAX} bytes")));
    }
    let mut bytes = vec![0; size];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut *rest, filled as u64))? {
            0 => return Err(io::Error::other("the message is cut")),
            count => filled += count,
        }
    }
    Ok(bytes)
}

fn ask_with(
    socket: BorrowedFd<'_>,
    operation: Operation,
    words: &[OsString],
    cwd: &Path,
    environment: &[(OsString, OsString)],
    streams: [BorrowedFd<'_>; 3],
) -> io::Result<Reply> {
    let packet = Packet {
        v: VERSION,
        op: operation,
        words: words.iter().map(|word| word.as_bytes().to_vec()).collect(),
        cwd: cwd.as_os_str().as_bytes().to_vec(),
        env: environment.iter().map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec())).collect(),
    };
    let bytes = serde_json::to_vec(&packet)?;
    if bytes.len() > PACKET_BYTES_MAX {
        return Err(io::Error::other("the command and its environment are too long for the broker"));
    }
    let (mine, theirs) = pair()?;
    let [stdin, stdout, stderr] = streams;
    let descriptors = [theirs.as_fd(), stdin, stdout, stderr];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("the descriptors do not fit a message"));
    }
    sendmsg(socket, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL)?;
    drop(theirs);

    let mut buffer = vec![0_u8; PACKET_BYTES_MAX];
    let count = rustix::io::retry_on_intr(|| rustix::io::read(&mine, &mut buffer))?;
    if count == 0 {
        return Err(io::Error::other("the supervisor broke off"));
    }
    Ok(serde_json::from_slice(buffer.get(..count).unwrap_or_default())?)
}

/// The ruling as it may be seen inside: remedies that widen are left out.
pub fn for_agents(mut ruling: Ruling) -> Ruling {
    for reason in &mut ruling.reasons {
        if matches!(reason.remedy, Some(Remedy::Person(_))) {
            reason.remedy = None;
        }
    }
    ruling
}
