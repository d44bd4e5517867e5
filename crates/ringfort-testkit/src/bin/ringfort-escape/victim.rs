// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is attacked outside: a process with secrets in memory, files, listeners, shared memory and a terminal.
//!
//! In: `victim HOME OUTSIDE WATCH TAG SECRET…` and the end of standard input. Out: lines of the scene, then `ready`;
//! visitors go into `WATCH/visitors`. The first process only keeps and cleans up; the one it starts is the victim.
//!
//! **Invariant:** everything that it makes is gone when standard input ends, whatever became of the victim.

use std::fs::{self, File};
use std::io::{Error, Read, Result, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::sys;

/// What the victim is made of.
struct Place {
    home: PathBuf,
    outside: PathBuf,
    watch: PathBuf,
    tag: String,
    secret: String,
}

/// Keeps the victim until standard input ends.
pub(crate) fn serve(words: &[&str]) -> Result<()> {
    let [home, outside, watch, tag, secret] = words else { return Err(Error::other("victim: five words")) };
    let place = Place {
        home: home.into(),
        outside: outside.into(),
        watch: watch.into(),
        tag: (*tag).to_owned(),
        secret: (*secret).to_owned(),
    };
    let shared = Shared::make(&place);
    let ready = std::io::pipe()?;
    let pid = sys::split().map_err(|error| Error::from_raw_os_error(error.0))?;
    if pid == 0 {
        sys::quietly(sys::call(sys::SETSID, [0]));
        drop(live(&place, &shared, ready.1));
        sys::end(0);
    }
    let (mut reader, writer) = ready;
    drop(writer);
    let mut scene = String::new();
    let mut byte = [0u8];
    while !scene.ends_with("ready\n") && reader.read(&mut byte)? == 1 {
        scene.push(char::from(byte[0]));
    }
    let mut out = std::io::stdout();
    write!(out, "victim={pid}\n{scene}")?;
    out.flush()?;
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest)?;
    let victim = usize::try_from(pid).unwrap_or(0);
    if sys::wait(pid, true).is_none() {
        sys::quietly(sys::call(sys::KILL, [victim, 9]));
        sys::wait(pid, false);
    }
    shared.remove();
    Ok(())
}

/// What outlives a process unless somebody removes it.
struct Shared {
    key: usize,
    queue_name: String,
    memory: PathBuf,
    ids: [Option<usize>; 3],
    ring_key: Option<usize>,
}

const MAKE: usize = 0o1600;
const USER_RING: usize = -4_isize as usize;

impl Shared {
    fn make(place: &Place) -> Self {
        let key = place.tag.bytes().fold(0x5a5a_usize, |sum, byte| (sum * 31 + usize::from(byte)) & 0x3fff_ffff) | 1;
        let secret = place.secret.as_bytes();
        let segment = sys::call(sys::SHMGET, [key, 4096, MAKE]).ok();
        if let Some(id) = segment {
            sys::quietly(sys::shared_segment(id, 64, Some(&[secret, b"-segment "].concat())));
        }
        let queue = sys::call(sys::MSGGET, [key, MAKE]).ok();
        if let Some(id) = queue {
            let mut message = vec![1u8, 0, 0, 0, 0, 0, 0, 0];
            message.extend_from_slice(&[secret, b"-message "].concat());
            sys::quietly(sys::call(sys::MSGSND, [id, sys::address(&message), message.len() - 8, 0]));
        }
        let semaphore = sys::call(sys::SEMGET, [key, 1, MAKE]).ok();
        let queue_name = format!("ringfort-escape-{}", place.tag);
        let name = sys::c(&queue_name);
        let size = [0u64, 1, 128, 0, 0, 0, 0, 0];
        if let Ok(id) = sys::call(sys::MQ_OPEN, [sys::at(&name), 0o4302, 0o600, size.as_ptr() as usize]) {
            let message = [secret, b"-named "].concat();
            sys::quietly(sys::call(sys::MQ_TIMEDSEND, [id, sys::address(&message), message.len(), 0, 0]));
        }
        let memory = PathBuf::from(format!("/dev/shm/ringfort-escape-{}", place.tag));
        drop(fs::write(&memory, format!("{}-memory ", place.secret)));
        let (kind, name) = (sys::c("user"), sys::c(format!("ringfort-escape-{}", place.tag)));
        let value = [secret, b"-key "].concat();
        let words = [sys::at(&kind), sys::at(&name), sys::address(&value), value.len(), USER_RING];
        let ring_key = sys::call(sys::ADD_KEY, words).ok();
        Self { key, queue_name, memory, ids: [segment, queue, semaphore], ring_key }
    }

    fn remove(&self) {
        let [segment, queue, semaphore] = self.ids.map(|id| id.unwrap_or(sys::NONE));
        sys::quietly(sys::call(sys::SHMCTL, [segment, 0, 0]));
        sys::quietly(sys::call(sys::MSGCTL, [queue, 0, 0]));
        sys::quietly(sys::call(sys::SEMCTL, [semaphore, 0, 0, 0]));
        let name = sys::c(&self.queue_name);
        sys::quietly(sys::call(sys::MQ_UNLINK, [sys::at(&name)]));
        drop(fs::remove_file(&self.memory));
        if let Some(key) = self.ring_key {
            const UNLINK: usize = 9;
            sys::quietly(sys::call(sys::KEYCTL, [UNLINK, key, USER_RING]));
        }
    }

    /// What can be seen of it: whether it is there and unchanged.
    fn state(&self, secret: &str) -> String {
        let [segment, queue, semaphore] = self.ids.map(|id| id.unwrap_or(sys::NONE));
        let content = sys::call(sys::SHMGET, [self.key, 0, 0])
            .and_then(|_| sys::shared_segment(segment, secret.len(), None))
            .is_ok_and(|bytes| bytes == secret.as_bytes());
        let mut about = [0u64; 16];
        sys::quietly(sys::call(sys::MSGCTL, [queue, 2, about.as_mut_ptr() as usize]));
        let messages = about.get(10).copied().unwrap_or(0);
        let value = sys::call(sys::SEMCTL, [semaphore, 0, 12, 0]).unwrap_or(sys::NONE);
        format!("segment {content} messages {messages} semaphore {value}")
    }
}

/// The victim itself: never returns unless something cannot be made.
fn live(place: &Place, shared: &Shared, mut ready: std::io::PipeWriter) -> Result<()> {
    let secret = &place.secret;
    std::env::set_current_dir(&place.outside)?;
    let file = File::open(place.outside.join("secret"))?;
    let folder = File::open(&place.outside)?;
    let log = File::options().create(true).append(true).open(place.watch.join("victim.log"))?;
    let memory: &'static [u8] = Vec::leak(format!("{secret}-memory {:40}", ' ').into_bytes());
    let target: &'static mut [u8] = Vec::leak(b"unchanged-memory".to_vec());
    let abstract_name = format!("ringfort-escape-{}", place.tag);
    let terminal = Terminal::open()?;
    let tcp = TcpListener::bind("127.0.0.1:0")?;
    let any = TcpListener::bind("0.0.0.0:0")?;
    let tcp6 = TcpListener::bind("[::1]:0").ok();
    let udp = UdpSocket::bind("127.0.0.1:0")?;
    let lure = lure_port()?;
    let mut scene = format!(
        "memory={}\ntarget={}\nvictim_file={}\nvictim_folder={}\nvictim_log={}\nabstract={abstract_name}\n",
        memory.as_ptr() as usize,
        target.as_ptr() as usize,
        file.as_raw_fd(),
        folder.as_raw_fd(),
        log.as_raw_fd()
    );
    let tcp6_port = tcp6.as_ref().and_then(|listener| listener.local_addr().ok()).map_or(0, |address| address.port());
    scene.push_str(&format!(
        "tcp={}\ntcp6={tcp6_port}\ntcp_any={}\nudp={}\nlure={lure}\nkey={}\nmq={}\nterminal={}\nhandle={}\n",
        tcp.local_addr()?.port(),
        any.local_addr()?.port(),
        udp.local_addr()?.port(),
        shared.key,
        shared.queue_name,
        terminal.name,
        handle(&place.outside.join("secret"))
    ));
    listen(place, [tcp, any].into_iter().chain(tcp6).collect(), udp)?;
    lures(lure, format!("{abstract_name}-lure"), secret.clone());
    writeln!(ready, "{scene}ready")?;
    drop(ready);
    let mut number = 0u64;
    loop {
        number += 1;
        // A name that tells, made again and again.
        let name = place.outside.join(format!("{secret}-name-{}", number % 2));
        drop(fs::write(&name, "x"));
        drop(fs::remove_file(&name));
        let heard = terminal.heard();
        let memory = sys::own_memory(target.as_ptr() as usize, target.len());
        let text = format!(
            "{number}\nmemory {}\n{}\nterminal {heard}\nioprio {}\nend\n",
            String::from_utf8_lossy(&memory),
            shared.state(secret),
            sys::call(sys::IOPRIO_GET, [1, 0]).unwrap_or(0)
        );
        let new = place.watch.join("state.new");
        fs::write(&new, text)?;
        fs::rename(&new, place.watch.join("state"))?;
        std::thread::sleep(Duration::from_millis(15));
    }
}

/// A terminal of the victim's own; what is written to its slave side comes out here.
struct Terminal {
    master: File,
    slave: File,
    name: String,
}

impl Terminal {
    fn open() -> Result<Self> {
        let master = File::options().read(true).write(true).open("/dev/ptmx")?;
        let mut number = [0u32];
        let unlocked = [0u32];
        sys::quietly(sys::call(sys::IOCTL, [word(&master), 0x4004_5431, unlocked.as_ptr() as usize]));
        sys::quietly(sys::call(sys::IOCTL, [word(&master), 0x8004_5430, number.as_mut_ptr() as usize]));
        let name = format!("/dev/pts/{}", number[0]);
        let slave = File::options().read(true).write(true).open(&name)?;
        for file in [&master, &slave] {
            const SET_FLAGS: usize = 4;
            sys::quietly(sys::call(sys::FCNTL, [word(file), SET_FLAGS, 0o4002]));
        }
        Ok(Self { master, slave, name })
    }

    /// Bytes that somebody else put into it, in either direction.
    fn heard(&self) -> usize {
        let mut bytes = [0u8; 256];
        let shown = (&self.master).read(&mut bytes).unwrap_or(0);
        let mut waiting = [0u32];
        sys::quietly(sys::call(sys::IOCTL, [word(&self.slave), 0x541b, waiting.as_mut_ptr() as usize]));
        let heard = shown + waiting[0] as usize;
        if heard > 0 {
            // It stays heard: the next look must not forget it.
            drop((&self.slave).write(b"."));
        }
        heard
    }
}

fn word(file: &File) -> usize {
    usize::try_from(file.as_raw_fd()).unwrap_or(sys::NONE)
}

/// The handle of a file, which passes by every path; empty where that is not allowed.
fn handle(path: &Path) -> String {
    let path = sys::c(path);
    let mut handle = [0u8; 136];
    handle[0] = 128;
    let mut mount = [0u8; 8];
    let words = [sys::HERE, sys::at(&path), sys::address_mut(&mut handle), sys::address_mut(&mut mount), 0];
    match sys::call(sys::NAME_TO_HANDLE_AT, words) {
        Ok(_) => handle.iter().map(|byte| format!("{byte:02x}")).collect(),
        Err(_) => String::new(),
    }
}

/// Answers whoever comes with the secret, and writes down that somebody came.
fn listen(place: &Place, listeners: Vec<TcpListener>, udp: UdpSocket) -> Result<()> {
    let book = File::options().create(true).append(true).open(place.watch.join("visitors"))?;
    let secret = place.secret.clone();
    for listener in listeners {
        let (book, secret) = (book.try_clone()?, secret.clone());
        std::thread::spawn(move || {
            for mut visitor in listener.incoming().flatten() {
                drop(writeln!(&book, "a connection to a port"));
                drop(write!(visitor, "{secret}-port "));
            }
        });
    }
    let name = format!("ringfort-escape-{}", place.tag);
    let named = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
    let mut streams = vec![named];
    for path in [place.outside.join("socket"), place.outside.join("socket2"), place.home.join("agent.sock")] {
        streams.push(UnixListener::bind(path)?);
    }
    for listener in streams {
        let (book, secret) = (book.try_clone()?, secret.clone());
        std::thread::spawn(move || {
            for mut visitor in listener.incoming().flatten() {
                drop(writeln!(&book, "a connection to a socket"));
                drop(write!(visitor, "{secret}-socket "));
            }
        });
    }
    let datagrams = [
        UnixDatagram::bind(place.outside.join("datagram"))?,
        UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(format!("{name}-datagram"))?)?,
    ];
    for socket in datagrams {
        let book = book.try_clone()?;
        std::thread::spawn(move || {
            while socket.recv(&mut [0u8; 64]).is_ok() {
                drop(writeln!(&book, "a datagram to a socket"));
            }
        });
    }
    std::thread::spawn(move || {
        while let Ok((_, visitor)) = udp.recv_from(&mut [0u8; 64]) {
            drop(writeln!(&book, "a datagram to a port"));
            drop(udp.send_to(format!("{secret}-udp ").as_bytes(), visitor));
        }
    });
    Ok(())
}

/// A free port that nobody is given who asks for any: a lure of one scene must not knock at the listener of another.
fn lure_port() -> Result<u16> {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    let own = std::process::id();
    for step in 0..64 {
        let port = u16::try_from(FIRST + (own + step * 313) % COUNT).unwrap_or_default();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Error::other("no free port for a lure"))
}

/// Programs outside connect to a port and to a name again and again, and say a secret to whoever is there.
fn lures(port: u16, name: String, secret: String) {
    std::thread::spawn(move || {
        loop {
            if let Ok(mut friend) = TcpStream::connect(("127.0.0.1", port)) {
                drop(write!(friend, "{secret}-lure "));
            }
            if let Ok(mut friend) = SocketAddr::from_abstract_name(&name).and_then(|at| UnixStream::connect_addr(&at)) {
                drop(write!(friend, "{secret}-lure "));
            }
            std::thread::sleep(Duration::from_millis(40));
        }
    });
}
