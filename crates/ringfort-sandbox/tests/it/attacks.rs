// SPDX-License-Identifier: MIT OR Apache-2.0
//! The attempts of a hostile program, made by this very test binary when it is started inside a cage.
//!
//! Each answers whether it was blocked. Run outside, most succeed: that shows that the attempt is a real one.
#![expect(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    reason = "an attacker makes system calls by hand, with null pointers or with strings that outlive the call"
)]

use std::ffi::{CString, c_long};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};

/// What an attempt came to.
pub(crate) type Attempt = Result<String, String>;
/// `Ok` says how it escaped, `Err` what blocked it.
type Attack = fn(&Scene) -> Attempt;

/// What the attacker knows about the outside.
pub(crate) struct Scene {
    pub(crate) home: PathBuf,
    pub(crate) workspace: PathBuf,
    pub(crate) outside: PathBuf,
    pub(crate) supervisor: i32,
    pub(crate) port: u16,
    pub(crate) abstract_name: String,
}

impl Scene {
    /// Packs the scene into one word of the environment.
    pub(crate) fn pack(&self) -> String {
        let Self { home, workspace, outside, supervisor, port, abstract_name } = self;
        format!("{}|{}|{}|{supervisor}|{port}|{abstract_name}", home.display(), workspace.display(), outside.display())
    }

    fn unpack(word: &str) -> Self {
        let parts: Vec<&str> = word.split('|').collect();
        Self {
            home: parts[0].into(),
            workspace: parts[1].into(),
            outside: parts[2].into(),
            supervisor: parts[3].parse().unwrap(),
            port: parts[4].parse().unwrap(),
            abstract_name: parts[5].into(),
        }
    }
}

/// The variable that makes this binary an attacker.
pub(crate) const VARIABLE: &str = "RINGFORT_TEST_ATTACK";

/// Does nothing unless this binary was started as an attacker.
#[test]
#[expect(clippy::disallowed_methods, reason = "the scene comes through the environment of the cage")]
fn attacker() {
    let Ok(word) = std::env::var(VARIABLE) else {
        return;
    };
    let scene = Scene::unpack(&word);
    for (name, attack) in ATTACKS {
        match attack(&scene) {
            Ok(how) => println!("\nESCAPED {name}: {how}"),
            Err(why) => println!("\nBLOCKED {name}: {why}"),
        }
    }
    println!("\nDONE");
}

/// Every attempt, by name.
#[rustfmt::skip]
pub(crate) const ATTACKS: &[(&str, Attack)] = &[
    ("read-home", |s| read(&s.home.join("secret"))),
    ("read-outside", |s| read(&s.outside.join("secret"))),
    ("read-through-link", |s| { let link = s.workspace.join("link"); drop(std::os::unix::fs::symlink(s.outside.join("secret"), &link)); read(&link) }),
    ("read-through-dots", |s| read(&s.workspace.join("../../outside/secret"))),
    ("read-through-keeper-root", |s| read(&PathBuf::from(format!("/proc/1/root{}", s.outside.display())).join("secret"))),
    ("read-through-supervisor-root", |s| read(&PathBuf::from(format!("/proc/{}/root{}", s.supervisor, s.outside.display())).join("secret"))),
    ("read-supervisor-environment", |s| read(Path::new(&format!("/proc/{}/environ", s.supervisor)))),
    ("read-keeper-environment", |_| read(Path::new("/proc/1/environ"))),
    ("read-keeper-command", |_| read(Path::new("/proc/1/cmdline"))),
    ("read-shadow", |_| read(Path::new("/etc/shadow"))),
    ("list-home", |s| list(&s.home, "secret")),
    ("list-outside", |s| list(&s.outside, "secret")),
    ("list-sys", |_| list(Path::new("/sys"), "kernel")),
    ("link-outside", |s| done(fs::hard_link(s.outside.join("secret"), s.workspace.join("hard")))),
    ("rename-outside", |s| done(fs::rename(s.outside.join("spare"), s.workspace.join("taken")))),
    ("write-outside", |s| real_write(&s.outside.join("secret"), &s.outside)),
    ("make-outside", |s| real_write(&s.outside.join("made"), &s.outside)),
    ("make-in-home", |s| seen_outside(&s.home.join("made-by-attacker"))),
    ("truncate-outside", |s| call_path(libc::SYS_truncate, &s.outside.join("spare"), 1)),
    ("delete-outside", |s| done(fs::remove_file(s.outside.join("spare2")))),
    ("mode-outside", |s| done(fs::set_permissions(s.outside.join("secret"), PermissionsExt::from_mode(0o666)))),
    ("write-usr", |_| { let path = "/usr/ringfort-attack"; let made = fs::write(path, "x"); drop(fs::remove_file(path)); done(made) }),
    ("write-etc", |_| opened(Path::new("/etc/passwd"))),
    ("write-core-pattern", |_| opened(Path::new("/proc/sys/kernel/core_pattern"))),
    ("write-sysrq", |_| opened(Path::new("/proc/sysrq-trigger"))),
    ("write-keeper-memory", |_| opened(Path::new("/proc/1/mem"))),
    ("write-supervisor-memory", |s| opened(Path::new(&format!("/proc/{}/mem", s.supervisor)))),
    ("open-kernel-memory", |_| read(Path::new("/proc/kcore"))),
    ("open-kernel-log", |_| opened(Path::new("/dev/kmsg"))),
    ("open-memory-device", |_| opened(Path::new("/dev/mem"))),
    ("make-device", |s| call_path3(libc::SYS_mknod, &s.workspace.join("device"), (libc::S_IFBLK | 0o600).into(), 0x0800)),
    ("kill-supervisor", |s| call(libc::SYS_kill, [s.supervisor.into(), 0, 0])),
    ("signal-keeper", |_| { let keeper = unsafe { libc::getppid() }; if keeper == 1 { Err("signals to a namespace's init are dropped".into()) } else { call(libc::SYS_kill, [keeper.into(), 0, 0]) } }),
    ("pidfd-supervisor", |s| { let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, s.supervisor, 0) }; if fd < 0 { Err("no such process".into()) } else { call(libc::SYS_pidfd_getfd, [fd, 0, 0]) } }),
    ("trace-parent", |_| call(libc::SYS_ptrace, [libc::PTRACE_SEIZE.into(), unsafe { libc::getppid() }.into(), 0])),
    ("trace-me", |_| call(libc::SYS_ptrace, [0x7fff, 0, 0])),
    ("read-parent-memory", |s| call(libc::SYS_process_vm_readv, [s.supervisor.into(), 0, 0])),
    ("write-parent-memory", |s| call(libc::SYS_process_vm_writev, [s.supervisor.into(), 0, 0])),
    ("process-madvise", |_| call(libc::SYS_process_madvise, [-1, 0, 0])),
    ("kcmp", |s| call(libc::SYS_kcmp, [s.supervisor.into(), s.supervisor.into(), 0])),
    ("unshare-user", |_| call(libc::SYS_unshare, [libc::CLONE_NEWUSER.into(), 0, 0])),
    ("unshare-mount", |_| call(libc::SYS_unshare, [libc::CLONE_NEWNS.into(), 0, 0])),
    ("unshare-time", |_| call(libc::SYS_unshare, [0x80, 0, 0])),
    ("clone-user", |_| clone_user()),
    ("clone3", |_| call(libc::SYS_clone3, [0, 0, 0])),
    ("setns", |_| call(libc::SYS_setns, [-1, 0, 0])),
    ("mount", |_| call(libc::SYS_mount, [0, 0, 0])),
    ("umount-cover", |_| call_path(libc::SYS_umount2, Path::new("/etc/shadow"), libc::MNT_DETACH.into())),
    ("pivot-root", |_| call(libc::SYS_pivot_root, [0, 0, 0])),
    ("chroot", |s| call_path(libc::SYS_chroot, &s.workspace, 0)),
    ("fsopen", |_| call(libc::SYS_fsopen, [0, 0, 0])),
    ("open-tree", |_| call(libc::SYS_open_tree, [-1, 0, 0])),
    ("move-mount", |_| call(libc::SYS_move_mount, [-1, 0, -1])),
    ("mount-setattr", |_| call(libc::SYS_mount_setattr, [-1, 0, 0])),
    ("open-by-handle", |_| call(libc::SYS_open_by_handle_at, [-1, 0, 0])),
    ("name-to-handle", |_| call(libc::SYS_name_to_handle_at, [-1, 0, 0])),
    ("io-uring", |_| call(libc::SYS_io_uring_setup, [0, 0, 0])),
    ("bpf", |_| call(libc::SYS_bpf, [0x7fff, 0, 0])),
    ("perf", |_| call(libc::SYS_perf_event_open, [0, 0, 0])),
    ("userfaultfd", |_| call(libc::SYS_userfaultfd, [0x4000_0000, 0, 0])),
    ("keyring", |_| call(libc::SYS_keyctl, [0, -3, 0])),
    ("add-key", |_| call(libc::SYS_add_key, [0, 0, 0])),
    ("request-key", |_| call(libc::SYS_request_key, [0, 0, 0])),
    ("fanotify", |_| call(libc::SYS_fanotify_init, [-1, 0, 0])),
    ("kexec", |_| call(libc::SYS_kexec_load, [0, 0, 0])),
    ("module", |_| call(libc::SYS_finit_module, [-1, 0, 0])),
    ("reboot", |_| call(libc::SYS_reboot, [0, 0, 0])),
    ("kernel-log", |_| call(libc::SYS_syslog, [10, 0, 0])),
    ("set-clock", |_| call(libc::SYS_clock_settime, [9999, 0, 0])),
    ("set-host-name", |_| call(libc::SYS_sethostname, [0, -1, 0])),
    ("swap", |_| call(libc::SYS_swapon, [0, 0, 0])),
    ("accounting", |_| call(libc::SYS_acct, [1, 0, 0])),
    ("quota", |_| call(libc::SYS_quotactl, [0x7fff, 0, 0])),
    ("move-pages", |s| call(libc::SYS_move_pages, [s.supervisor.into(), 0, 0])),
    ("personality", |_| call(libc::SYS_personality, [0x0040_0000, 0, 0])),
    ("new-system-call", |_| call(500, [0, 0, 0])),
    ("terminal-input", |_| call(libc::SYS_ioctl, [0, libc::TIOCSTI as c_long, 0])),
    ("terminal-input-high-bits", |_| call(libc::SYS_ioctl, [0, libc::TIOCSTI as c_long | 0x1_0000_0000, 0])),
    ("terminal-linux", |_| call(libc::SYS_ioctl, [0, libc::TIOCLINUX as c_long, 0])),
    ("socket-packet", |_| call(libc::SYS_socket, [libc::AF_PACKET.into(), libc::SOCK_RAW.into(), 0])),
    ("socket-raw", |_| call(libc::SYS_socket, [libc::AF_INET.into(), libc::SOCK_RAW.into(), libc::IPPROTO_ICMP.into()])),
    ("socket-vsock", |_| call(libc::SYS_socket, [libc::AF_VSOCK.into(), libc::SOCK_STREAM.into(), 0])),
    ("socket-alg", |_| call(libc::SYS_socket, [libc::AF_ALG.into(), libc::SOCK_SEQPACKET.into(), 0])),
    ("socket-netfilter", |_| call(libc::SYS_socket, [libc::AF_NETLINK.into(), libc::SOCK_RAW.into(), libc::NETLINK_NETFILTER.into()])),
    ("socket-bluetooth", |_| call(libc::SYS_socket, [libc::AF_BLUETOOTH.into(), libc::SOCK_RAW.into(), 0])),
    ("socket-xdp", |_| call(libc::SYS_socket, [libc::AF_XDP.into(), libc::SOCK_RAW.into(), 0])),
    ("connect-tcp", |s| connected(connect_tcp(s.port))),
    ("send-udp", |s| done(send_udp(s.port))),
    ("connect-abstract", |s| connected(connect_abstract(&s.abstract_name))),
    ("connect-path", |s| connected(connect_path(&s.outside.join("socket")))),
    ("shared-memory", |s| shared_memory(s.port)),
    ("gain-capability", |_| call(libc::SYS_capset, [0, 0, 0]).and_then(|_| Err("no right".into())).or_else(|_: String| ambient())),
    ("core-limit", |_| core_limit()),
];

fn read(path: &Path) -> Attempt {
    let mut text = [0; 16];
    match fs::File::open(path).and_then(|mut file| file.read(&mut text)) {
        Ok(0) => Err("empty".into()),
        Ok(length) => Ok(format!("read {length} bytes of {}", path.display())),
        Err(error) => Err(error.to_string()),
    }
}

fn list(path: &Path, name: &str) -> Attempt {
    match fs::read_dir(path) {
        Ok(mut entries) => match entries.find(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name() == name)) {
            Some(_) => Ok(format!("saw {name}")),
            None => Err("nothing of the host in it".into()),
        },
        Err(error) => Err(error.to_string()),
    }
}

fn opened(path: &Path) -> Attempt {
    done(fs::File::options().write(true).open(path).map(|_| ()))
}

fn done(result: std::io::Result<()>) -> Attempt {
    result.map(|()| "done".to_owned()).map_err(|error| error.to_string())
}

/// A write that succeeds into a private folder of the same name is no escape; the supervisor looks for the file.
fn real_write(path: &Path, folder: &Path) -> Attempt {
    if !folder.is_dir() {
        return Err("the folder is not there".into());
    }
    done(fs::write(path, "attack"))
}

/// Leaves a file; whether it reached the real folder is seen by the test, outside.
fn seen_outside(path: &Path) -> Attempt {
    drop(fs::write(path, "attack"));
    Err("to be judged outside".into())
}

/// A call that the cage must refuse: EPERM, EACCES or ENOSYS is its answer, anything else comes from behind it.
fn call(number: c_long, [a, b, c]: [c_long; 3]) -> Attempt {
    let answer = unsafe { libc::syscall(number, a, b, c, 0, 0, 0) };
    judge(answer)
}

fn judge(answer: c_long) -> Attempt {
    if answer != -1 {
        return Ok(format!("answered {answer}"));
    }
    let error = std::io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EPERM | libc::ENOSYS | libc::EACCES | libc::EROFS | libc::ENOENT | libc::ESRCH) => {
            Err(error.to_string())
        }
        _ => Ok(format!("the kernel looked at it: {error}")),
    }
}

fn call_path(number: c_long, path: &Path, argument: c_long) -> Attempt {
    call_path3(number, path, argument, 0)
}

fn call_path3(number: c_long, path: &Path, a: c_long, b: c_long) -> Attempt {
    let path = CString::new(path.to_str().unwrap()).unwrap();
    judge(unsafe { libc::syscall(number, path.as_ptr(), a, b) })
}

fn clone_user() -> Attempt {
    let answer = unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_NEWUSER | libc::SIGCHLD, 0, 0, 0, 0) };
    if answer == 0 {
        unsafe { libc::_exit(0) };
    }
    judge(answer)
}

fn connected(result: std::io::Result<()>) -> Attempt {
    match result {
        Ok(()) => Ok("connected".into()),
        Err(error) => Err(error.to_string()),
    }
}

#[expect(clippy::disallowed_methods, reason = "the attacker dials")]
fn connect_tcp(port: u16) -> std::io::Result<()> {
    TcpStream::connect(("127.0.0.1", port)).map(|_| ())
}

/// Sends twice: where nobody listens, the second call tells what became of the first datagram.
#[expect(clippy::disallowed_methods, reason = "the attacker dials")]
fn send_udp(port: u16) -> std::io::Result<()> {
    let socket = UdpSocket::bind(("127.0.0.1", 0))?;
    socket.connect(("127.0.0.1", port))?;
    socket.send(b"x")?;
    socket.send(b"x").map(|_| ())
}

fn connect_abstract(name: &str) -> std::io::Result<()> {
    UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?).map(|_| ())
}

#[expect(clippy::disallowed_methods, reason = "the attacker dials")]
fn connect_path(path: &Path) -> std::io::Result<()> {
    UnixStream::connect(path)?.write_all(b"x")
}

/// Looks for a System V segment that the supervisor made under this key.
fn shared_memory(key: u16) -> Attempt {
    judge(unsafe { libc::syscall(libc::SYS_shmget, c_long::from(key), 0, 0) })
}

fn ambient() -> Attempt {
    judge(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, 0, 0, 0) }.into())
}

fn core_limit() -> Attempt {
    let limit = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
    judge(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const limit) }.into())
}
