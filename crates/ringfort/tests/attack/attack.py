# SPDX-License-Identifier: MIT OR Apache-2.0
"""A hostile program, as a numbered list of attempts.

    attack.py serve SCENE.json     outside: the things to be attacked (listeners, shared memory, a process); ends with stdin
    attack.py attack SCENE.json    the attempts; prints `NN BLOCKED|ESCAPED|LATER name: why`, one line each, then `DONE`
    attack.py list                 the names and what each needs to succeed outside

Every attempt is benign: it touches canaries that the test made, sends signal 0, and undoes what it did. It runs in a
child of its own, so that one that is killed counts as blocked by that signal. `LATER` is judged by the test, outside.
Standard library only.
"""
import array, contextlib, ctypes, errno, fcntl, json, mmap, os, platform, pty, resource, select, signal, socket, stat
import struct, subprocess, sys, termios, threading, time

SECRET = "the-canary-of-the-test"
ATTEMPTS = []
S = {}
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
X86 = platform.machine() == "x86_64"
# name: (x86_64, aarch64); the rest has one number everywhere.
NR = dict(mount=(165, 40), umount2=(166, 39), pivot_root=(155, 41), chroot=(161, 51), unshare=(272, 97),
          setns=(308, 268), clone=(56, 220), ptrace=(101, 117), process_vm_readv=(310, 270),
          process_vm_writev=(311, 271), kcmp=(312, 272), bpf=(321, 280), perf_event_open=(298, 241),
          userfaultfd=(323, 282), add_key=(248, 217), request_key=(249, 218), keyctl=(250, 219),
          init_module=(175, 105), finit_module=(313, 273), kexec_load=(246, 104), syslog=(103, 116), quotactl=(179, 60),
          reboot=(169, 142), swapon=(167, 224), acct=(163, 89), clock_settime=(227, 112), sethostname=(170, 161),
          settimeofday=(164, 170), fanotify_init=(300, 262), name_to_handle_at=(303, 264), move_pages=(279, 239),
          personality=(135, 92), shmat=(30, 196), shmget=(29, 194), prlimit64=(302, 261), mknodat=(259, 33),
          linkat=(265, 37), renameat2=(316, 276), tgkill=(234, 131), capset=(126, 91), ioctl=(16, 29),
          ioprio_set=(251, 30), open_by_handle_at=(304, 265), migrate_pages=(256, 238), mq_open=(240, 180))
NEW = dict(pidfd_send_signal=424, io_uring_setup=425, open_tree=428, move_mount=429, fsopen=430, fspick=433,
           pidfd_open=434, clone3=435, pidfd_getfd=438, process_madvise=440, mount_setattr=442, quotactl_fd=443)
CLONE = dict(user=0x10000000, mount=0x20000, pid=0x20000000, net=0x40000000, ipc=0x8000000, uts=0x4000000,
             cgroup=0x2000000, time=0x80)


class Blocked(Exception):
    pass


def attempt(name, needs=""):
    """Registers an attempt; `needs` says what it takes outside, where it is not certain to succeed."""
    def register(function):
        ATTEMPTS.append((name, needs, function))
        return function
    return register


def simple(name, function, needs=""):
    ATTEMPTS.append((name, needs, function))


def call(name, *arguments):
    number = NEW.get(name) or NR[name][0 if X86 else 1] if isinstance(name, str) else name
    values = [ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) if isinstance(a, bytes) else a
              for a in arguments]
    ctypes.set_errno(0)
    answer = libc.syscall(ctypes.c_long(number), *values)
    return answer, ctypes.get_errno()


def reaches(name, *arguments):
    """The call is refused (EPERM, EACCES, ENOSYS), or it reached the kernel, whatever that answered."""
    answer, error = call(name, *arguments)
    if answer == -1 and error in (errno.EPERM, errno.EACCES, errno.ENOSYS):
        raise Blocked(errno.errorcode[error])
    return "the kernel answered " + (str(answer) if answer != -1 else errno.errorcode[error])


def does(name, *arguments):
    """The call succeeds, or it is blocked by whatever error."""
    answer, error = call(name, *arguments)
    if answer == -1:
        raise Blocked(errno.errorcode.get(error, str(error)))
    return f"{name} answered {answer}"


def at(place, *names):
    return os.path.join(S[place], *names)


def secret(path):
    with open(path, "rb") as file:
        content = file.read(1 << 16)
    if SECRET.encode() not in content:
        raise Blocked(f"no canary in its {len(content)} bytes")
    return f"read the canary in {path}"


def is_real(place):
    """A private folder of the same name is no escape: the real one holds a canary."""
    if not os.path.exists(at(place, ".marker")):
        raise Blocked("it is a private folder, or not there")


def written(place, *names, text="attacked"):
    is_real(place)
    with open(at(place, *names), "w") as file:
        file.write(text)
    return f"wrote {at(place, *names)}"


def opens(path, flags=os.O_WRONLY):
    os.close(os.open(path, flags))
    return f"opened {path}"


def made(path):
    """Makes a new file and takes it away again."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    os.unlink(path)
    return f"made {path}"


def sees(folder, name):
    if name not in os.listdir(folder):
        raise Blocked("nothing of the host in it")
    return f"saw {name} in {folder}"


def done(*results):
    return "done"


# --- files: reading ---------------------------------------------------------------------------------------------------
for label, parts in [("home-file", ("notes.txt",)), ("ssh-key", (".ssh", "id_ed25519")), ("netrc", (".netrc",)),
                     ("aws-credentials", (".aws", "credentials")), ("shell-rc", (".bashrc",)),
                     ("gnupg", (".gnupg", "secring.gpg")), ("kube-config", (".kube", "config")),
                     ("docker-auth", (".docker", "config.json")), ("gh-token", (".config", "gh", "hosts.yml")),
                     ("history", (".bash_history",)), ("npm-token", (".npmrc",)), ("cargo-token", (".cargo", "credentials.toml")),
                     ("browser-cookies", (".mozilla", "firefox", "cookies.sqlite"))]:
    simple("read-" + label, lambda parts=parts: secret(at("home", *parts)))
simple("read-outside", lambda: secret(at("outside", "secret")))
simple("read-shadow", lambda: opens("/etc/shadow", os.O_RDONLY), "root")
simple("read-through-dots", lambda: secret(at("work", "..", "..", "outside", "secret")))
simple("read-through-cwd-link", lambda: secret("/proc/self/cwd/../../outside/secret"))
simple("read-host-proc-root", lambda: secret(f"/proc/{S['pid']}/root{at('outside', 'secret')}"))
simple("read-proc-1-root-canary", lambda: secret(f"/proc/1/root{at('outside', 'secret')}"), "root")
simple("read-parent-root", lambda: secret(f"/proc/{S['parent']}/root{at('outside', 'secret')}"))
simple("list-home", lambda: sees(S["home"], "notes.txt"))
simple("list-outside", lambda: sees(S["outside"], "secret"))
simple("list-sys", lambda: sees("/sys", "kernel"))
simple("open-by-handle", lambda: reaches("open_by_handle_at", -1, 0, 0), "root")
simple("name-to-handle", lambda: reaches("name_to_handle_at", -1, 0, 0, 0, 0))
simple("open-dev-mem", lambda: opens("/dev/mem", os.O_RDONLY), "root and the device")
simple("open-dev-kmsg", lambda: opens("/dev/kmsg"), "root")
simple("open-kcore", lambda: opens("/proc/kcore", os.O_RDONLY), "root")


@attempt("read-through-symlink")
def _():
    link = at("work", "link")
    os.symlink(at("outside", "secret"), link)
    try:
        return secret(link)
    finally:
        os.unlink(link)


@attempt("read-through-any-proc-link")
def _():
    for process in filter(str.isdigit, os.listdir("/proc")):
        for link in ("root", "cwd"):
            with contextlib.suppress(OSError, Blocked):
                return secret(f"/proc/{process}/{link}{at('outside', 'secret')}")
    raise Blocked("no process leads outside")


@attempt("read-block-device", "root and a disk")
def _():
    with open("/proc/partitions") as file:
        names = [line.split()[3] for line in file.readlines()[2:]]
    for name in names:
        with contextlib.suppress(OSError):
            return opens("/dev/" + name, os.O_RDONLY)
    raise Blocked("none of " + " ".join(names))


# --- files: writing ---------------------------------------------------------------------------------------------------
simple("write-outside", lambda: written("outside", "spare1"))
simple("create-in-canary-folder", lambda: written("outside", "created"))
simple("write-usr", lambda: made("/usr/ringfort-e2e-attack"), "root")
simple("write-etc", lambda: made("/etc/ringfort-e2e-attack"), "root")
simple("write-etc-passwd", lambda: opens("/etc/passwd"), "root")
simple("write-root-fs", lambda: made("/ringfort-e2e-attack"), "root")
simple("ld-so-preload", lambda: made("/etc/ld.so.preload"), "root and no such file")
simple("cron-job", lambda: made("/etc/cron.d/ringfort-e2e-attack"), "root and cron")
simple("rename-out", lambda: done(os.rename(made_here("moved"), at("outside", "moved"))))
simple("rename-in", lambda: done(os.rename(at("outside", "spare2"), at("work", "taken"))))
simple("unlink-outside", lambda: done(os.unlink(at("outside", "spare3"))))
simple("truncate-outside", lambda: done(os.truncate(at("outside", "spare4"), 1)))
simple("chmod-canary", lambda: done(os.chmod(at("outside", "secret"), 0o644)))
simple("chown-canary", lambda: done(os.chown(at("outside", "secret"), os.getuid(), os.getgid())))
simple("utime-canary", lambda: done(os.utime(at("outside", "secret"), (1, 1))))
simple("setxattr-canary", lambda: done(os.setxattr(at("outside", "secret"), "user.attack", b"x")), "extended attributes")
simple("symlink-outside", lambda: done(os.symlink("x", at("outside", "link"))))
simple("mkdir-outside", lambda: done(os.mkdir(at("outside", "made-folder"))))
simple("fifo-outside", lambda: done(os.mkfifo(at("outside", "fifo"))))
simple("write-through-dots", lambda: written("outside", "..", "outside", "dots"))
simple("o-tmpfile-outside", lambda: opens(S["outside"], os.O_TMPFILE | os.O_WRONLY), "O_TMPFILE")
simple("home-profile-bashrc", lambda: written("home", ".bashrc"))
simple("home-profile-zshrc", lambda: written("home", ".zshrc"))
simple("home-authorized-keys", lambda: written("home", ".ssh", "authorized_keys"))
simple("home-autostart", lambda: written("home", ".config", "attack.desktop"))
simple("write-block-device", lambda: reaches("mknodat", -100, at("work", "device").encode(), stat.S_IFBLK | 0o600, 0x0700), "root")


def made_here(name):
    with open(at("work", name), "w") as file:
        file.write("attack")
    return at("work", name)


@attempt("write-hardlink")
def _():
    os.link(at("outside", "spare5"), at("work", "hard"))
    with open(at("work", "hard"), "w") as file:
        file.write("attacked")
    return "wrote through a hard link"


simple("hardlink-out", lambda: done(os.link(made_here("linked"), at("outside", "linked"))))


@attempt("o-tmpfile-linkat", "O_TMPFILE")
def _():
    file = os.open(S["work"], os.O_TMPFILE | os.O_WRONLY, 0o600)
    return does("linkat", -100, f"/proc/self/fd/{file}".encode(), -100, at("outside", "anonymous").encode(), 0x400)


@attempt("write-through-symlink")
def _():
    link = at("work", "out-link")
    os.symlink(at("outside", "through-link"), link)
    try:
        with open(link, "w") as file:
            file.write("attacked")
        return "wrote through a link"
    finally:
        os.unlink(link)


@attempt("setuid-left-behind")
def _():
    os.chmod(made_here("setuid"), 0o6755)
    if os.stat(at("work", "setuid")).st_mode & stat.S_ISUID == 0:
        raise Blocked("the bit is not set")
    return "the workspace holds a setuid program"


# --- /proc and /sys ---------------------------------------------------------------------------------------------------
for label, path in [("core-pattern", "/proc/sys/kernel/core_pattern"), ("sysrq", "/proc/sysrq-trigger"),
                    ("modprobe-path", "/proc/sys/kernel/modprobe"), ("proc-sys-vm", "/proc/sys/vm/overcommit_memory"),
                    ("sysfs-write", "/sys/kernel/mm/transparent_hugepage/enabled"), ("uevent-helper", "/sys/kernel/uevent_helper"),
                    ("binfmt-register", "/proc/sys/fs/binfmt_misc/register"), ("cgroup-procs", "/sys/fs/cgroup/cgroup.procs")]:
    simple(label, lambda path=path: opens(path), "root")
simple("proc-keys", lambda: opens("/proc/keys", os.O_RDONLY), "a kernel with it")
simple("oom-score-of-canary", lambda: opens(f"/proc/{S['pid']}/oom_score_adj"))

# --- processes --------------------------------------------------------------------------------------------------------
simple("see-canary-process", lambda: secret(f"/proc/{S['pid']}/cmdline"))
simple("read-canary-environment", lambda: secret(f"/proc/{S['pid']}/environ"))
simple("signal-canary", lambda: done(os.kill(S["pid"], 0)))
simple("signal-canary-thread", lambda: does("tgkill", S["pid"], S["pid"], 0))
simple("signal-canary-group", lambda: done(os.killpg(S["group"], 0)))
simple("nice-canary", lambda: done(os.setpriority(os.PRIO_PROCESS, S["pid"], os.getpriority(os.PRIO_PROCESS, S["pid"]))))
simple("affinity-of-canary", lambda: done(os.sched_setaffinity(S["pid"], os.sched_getaffinity(S["pid"]))))
simple("limits-of-canary", lambda: done(resource.prlimit(S["pid"], resource.RLIMIT_STACK, resource.getrlimit(resource.RLIMIT_STACK))))
simple("ioprio-of-canary", lambda: does("ioprio_set", 1, S["pid"], 2 << 13 | 4))
simple("ptrace-canary", lambda: does("ptrace", 0x4206, S["pid"], 0, 0), "no Yama")
simple("open-canary-memory", lambda: opens(f"/proc/{S['pid']}/mem", os.O_RDWR), "no Yama")
simple("process-madvise", lambda: reaches("process_madvise", -1, 0, 0, 0, 0))
simple("kcmp", lambda: reaches("kcmp", S["pid"], os.getpid(), 0, 0, 0), "no Yama")
simple("move-pages", lambda: reaches("move_pages", S["pid"], 0, 0, 0, 0, 0), "NUMA")


@attempt("signal-parent")
def _():
    if os.getppid() == 1 or S["parent"] == 1:
        raise Blocked("the parent is the init of a namespace")
    os.kill(S["parent"], 0)
    return "the parent can be signalled"


@attempt("pidfd-canary")
def _():
    descriptor, error = call("pidfd_open", S["pid"], 0)
    if descriptor == -1:
        raise Blocked(errno.errorcode[error])
    return does("pidfd_send_signal", descriptor, 0, 0, 0)


@attempt("pidfd-getfd", "no Yama")
def _():
    descriptor, error = call("pidfd_open", S["pid"], 0)
    return reaches("pidfd_getfd", descriptor, 1, 0)


@attempt("ptrace-child")
def _():
    child = os.fork()
    if child == 0:
        time.sleep(30)
        os._exit(0)
    try:
        return does("ptrace", 0x4206, child, 0, 0)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def remote(name, pid):
    size = len(SECRET)
    buffer = ctypes.create_string_buffer(size)
    local = struct.pack("QQ", ctypes.addressof(buffer), size)
    there = struct.pack("QQ", S["address"], size)
    return reaches(name, pid, local, 1, there, 1, 0)


simple("process-vm-readv", lambda: remote("process_vm_readv", S["pid"]), "no Yama")
simple("process-vm-writev", lambda: reaches("process_vm_writev", S["pid"], 0, 0, 0, 0, 0), "no Yama")


@attempt("daemon-outlives")
def _():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            for descriptor in range(0, 3):
                os.close(descriptor)
            deadline = time.time() + 60
            while time.time() < deadline:
                if os.path.exists(at("work", "run-ended")):
                    open(at("work", "outlived"), "w").close()
                    break
                time.sleep(0.05)
        os._exit(0)
    os.wait()
    return None


@attempt("shared-memory-read")
def _():
    libc.shmat.restype = ctypes.c_void_p
    identifier, error = call("shmget", S["shm_key"], 0, 0o600)
    if identifier == -1:
        raise Blocked(errno.errorcode[error])
    return f"segment {identifier} is there"


# --- namespaces -------------------------------------------------------------------------------------------------------
for label, flags in [("user", 0), ("user-mount", CLONE["mount"]), ("user-pid", CLONE["pid"]), ("user-net", CLONE["net"]),
                     ("user-ipc", CLONE["ipc"]), ("user-uts", CLONE["uts"]), ("user-cgroup", CLONE["cgroup"]),
                     ("user-time", CLONE["time"])]:
    simple("unshare-" + label, lambda flags=flags: does("unshare", CLONE["user"] | flags), "user namespaces")
simple("unshare-mount", lambda: does("unshare", CLONE["mount"]), "root")
simple("setns-user", lambda: reaches("setns", os.open("/proc/self/ns/user", os.O_RDONLY), CLONE["user"]))
simple("setns-canary", lambda: reaches("setns", os.open(f"/proc/{S['pid']}/ns/mnt", os.O_RDONLY), CLONE["mount"]), "root")
simple("clone3-user", lambda: child_of(call("clone3", struct.pack("11Q", CLONE["user"], 0, 0, 0, 17, 0, 0, 0, 0, 0, 0), 88)), "user namespaces")
simple("clone-user", lambda: child_of(call("clone", CLONE["user"] | 17, 0, 0, 0, 0)), "user namespaces")


def child_of(answer):
    pid, error = answer
    if pid == 0:
        os._exit(0)
    if pid == -1:
        raise Blocked(errno.errorcode[error])
    os.waitpid(pid, 0)
    return "a process in a new user namespace"


@attempt("nested-user-namespace-mount", "user namespaces")
def _():
    does("unshare", CLONE["user"] | CLONE["mount"])
    return does("mount", b"tmpfs", S["work"].encode(), b"tmpfs", 0, 0)


# --- mounts -----------------------------------------------------------------------------------------------------------
@attempt("mount-tmpfs", "root")
def _():
    target = at("work", "mount")
    os.makedirs(target, exist_ok=True)
    does("mount", b"tmpfs", target.encode(), b"tmpfs", 0, 0)
    call("umount2", target.encode(), 2)
    return "mounted"


simple("mount-bind", lambda: reaches("mount", b"/nonexistent", b"/nonexistent", 0, 4096, 0), "root")
simple("remount-writable", lambda: reaches("mount", b"none", b"/nonexistent", 0, 4096 | 32, 0), "root")
simple("umount-cover", lambda: reaches("umount2", b"/nonexistent", 2), "root")
simple("pivot-root", lambda: reaches("pivot_root", b"/nonexistent", b"/nonexistent"), "root")
simple("chroot", lambda: does("chroot", S["work"].encode()), "root")
simple("open-tree", lambda: does("open_tree", -100, S["work"].encode(), 0))
simple("move-mount", lambda: reaches("move_mount", -1, b"", -1, b"", 0x44), "root")
simple("fsopen", lambda: does("fsopen", b"tmpfs", 0), "root")
simple("mount-setattr", lambda: reaches("mount_setattr", -1, b"", 0x1000, struct.pack("4Q", 0, 1, 0, 0), 32), "root")

# --- kernel interfaces ------------------------------------------------------------------------------------------------
simple("keyring-session", lambda: reaches("keyctl", 0, -3, 0, 0, 0))
simple("keyring-add", lambda: reaches("add_key", b"user", b"attack", b"x", 1, -2))
simple("keyring-request", lambda: reaches("request_key", b"user", b"attack-no-such-key", 0, 0))
simple("bpf", lambda: reaches("bpf", 0x7FFF, 0, 0), "root, or bpf for users")
simple("perf", lambda: reaches("perf_event_open", 0, 0, -1, -1, 0), "perf for users")
simple("userfaultfd", lambda: does("userfaultfd", 1 | os.O_NONBLOCK))
simple("io-uring", lambda: does("io_uring_setup", 1, ctypes.create_string_buffer(128)), "io_uring allowed")
simple("kexec-load", lambda: reaches("kexec_load", 0, 1 << 20, 0, 0), "root")
simple("init-module", lambda: reaches("init_module", 0, 0, b""), "root")
simple("finit-module", lambda: reaches("finit_module", -1, b"", 0), "root")
simple("syslog-read", lambda: does("syslog", 10, 0, 0), "root, or dmesg for users")
simple("quotactl", lambda: reaches("quotactl", 0x7FFF, 0, 0, 0))
simple("quotactl-fd", lambda: reaches("quotactl_fd", -1, 0, 0, 0))
simple("reboot", lambda: reaches("reboot", 0, 0, 0, 0), "root")
simple("swapon", lambda: reaches("swapon", 0, 0), "root")
simple("accounting", lambda: reaches("acct", b"/nonexistent/x"), "root")
simple("set-clock", lambda: reaches("clock_settime", 9999, 0), "root")
simple("set-host-name", lambda: reaches("sethostname", 0, -1), "root")
simple("fanotify", lambda: reaches("fanotify_init", 0x7FFFFFFF, 0), "root, or fanotify for users")
simple("personality-read-implies-exec", lambda: does("personality", 0x0400000))
simple("system-call-of-tomorrow", lambda: reaches(4242, 0), "a later kernel")
simple("x32-call", lambda: reaches(0x40000000 | 39), "x32")


@attempt("call-of-32-bits", "x86_64 with 32-bit calls")
def _():
    if not X86:
        raise Blocked("another architecture")
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, getpid; int 0x80; ret
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    answer = ctypes.CFUNCTYPE(ctypes.c_int)(address)()
    if answer != os.getpid():
        raise Blocked(f"answered {answer}")
    return "getpid by int 0x80"


# --- rights -----------------------------------------------------------------------------------------------------------
def status(name):
    with open("/proc/self/status") as file:
        return next(line.split()[1] for line in file if line.startswith(name + ":"))


def is_zero(name):
    if int(status(name), 16) == 0:
        raise Blocked(f"{name} is empty")
    return f"{name} is {status(name)}"


simple("capabilities", lambda: is_zero("CapEff"), "root")
simple("capability-permitted", lambda: is_zero("CapPrm"), "root")
simple("capability-bounding", lambda: is_zero("CapBnd"))
simple("capability-gain", lambda: does("capset", struct.pack("II", 0x20080522, 0), struct.pack("6I", 1, 1, 0, 0, 0, 0)), "root")
simple("become-somebody", lambda: done(os.setresuid(65534, 65534, 65534)), "root")
simple("drop-groups", lambda: done(os.setgroups([])), "root")
simple("core-limit-raise", lambda: does("prlimit64", 0, 4, struct.pack("QQ", 1 << 20, 1 << 20), 0), "no limit of the caller")


@attempt("no-new-privs")
def _():
    if status("NoNewPrivs") == "1":
        raise Blocked("set")
    return "not set"


@attempt("setuid-su", "no root, and su")
def _():
    child = subprocess.Popen(["su"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             start_new_session=True)
    try:
        time.sleep(0.3)
        with open(f"/proc/{child.pid}/status") as file:
            real, effective = next(line.split()[1:3] for line in file if line.startswith("Uid:"))
    finally:
        child.stdin.close()
        child.kill()
        child.wait()
    if real == effective:
        raise Blocked(f"su runs as {effective}")
    return f"su runs as {effective}"


# --- sockets ----------------------------------------------------------------------------------------------------------
def hello(connection):
    connection.settimeout(3)
    if SECRET.encode() not in connection.recv(100):
        raise Blocked("no answer")
    return "the listener outside answered"


def tcp(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(3)
        connection.connect(address)
        return hello(connection)


simple("tcp-loopback", lambda: tcp(socket.AF_INET, ("127.0.0.1", S["tcp"])))
simple("abstract-unix-socket", lambda: tcp(socket.AF_UNIX, "\0" + S["abstract"]))
simple("unix-socket-path", lambda: tcp(socket.AF_UNIX, at("outside", "socket")))
simple("ssh-agent-socket", lambda: tcp(socket.AF_UNIX, at("home", "agent.sock")))
simple("dbus-system-socket", lambda: opened_socket("/run/dbus/system_bus_socket"), "D-Bus")
simple("docker-socket", lambda: opened_socket("/var/run/docker.sock"), "Docker")


def opened_socket(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(path)
    return f"connected to {path}"


@attempt("unix-socket-symlink")
def _():
    os.symlink(at("outside", "socket"), at("work", "socket-link"))
    try:
        return tcp(socket.AF_UNIX, at("work", "socket-link"))
    finally:
        os.unlink(at("work", "socket-link"))


@attempt("dbus-session-socket")
def _():
    return tcp(socket.AF_UNIX, os.environ.get("DBUS_SESSION_BUS_ADDRESS", "unix:path=" + at("outside", "socket"))[10:])


@attempt("udp-loopback")
def _():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.connect(("127.0.0.1", S["udp"]))
        connection.send(b"attack")
        return hello(connection)


@attempt("bash-dev-tcp", "bash")
def _():
    script = f"exec 9<>/dev/tcp/127.0.0.1/{S['tcp']} && read -t 3 -u 9 line; echo $line"
    result = subprocess.run(["bash", "-c", script], capture_output=True, timeout=8)
    if SECRET.encode() not in result.stdout:
        raise Blocked(result.stderr.decode(errors="replace").strip().split("\n")[-1][:80])
    return "bash read from the listener outside"


@attempt("listen-any")
def _():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        listener.settimeout(1.5)
        made_here("port.tmp")
        with open(at("work", "port.tmp"), "w") as file:
            file.write(str(listener.getsockname()[1]))
        os.rename(at("work", "port.tmp"), at("work", "port"))
        listener.accept()
        return "somebody outside connected"


@attempt("netlink-interfaces", "an interface besides lo")
def _():
    names = [name for _, name in socket.if_nameindex() if name != "lo"]
    if not names:
        raise Blocked("only lo")
    return "saw " + " ".join(names)


def family(number, kind, protocol=0):
    descriptor = socket.socket(number, kind, protocol)
    descriptor.close()
    return "a socket"


for label, number, kind, protocol, needs in [
        ("packet-socket", 17, socket.SOCK_RAW, 0, "root"), ("raw-socket", 2, socket.SOCK_RAW, 1, "root"),
        ("vsock", 40, socket.SOCK_STREAM, 0, "vsock"), ("alg", 38, socket.SOCK_SEQPACKET, 0, "alg"),
        ("bluetooth", 31, socket.SOCK_RAW, 1, "bluetooth"), ("xdp", 44, socket.SOCK_RAW, 0, "root"),
        ("netlink-uevent", 16, socket.SOCK_RAW, 15, ""), ("netlink-netfilter", 16, socket.SOCK_RAW, 12, "nfnetlink"),
        ("netlink-generic", 16, socket.SOCK_RAW, 16, ""), ("netlink-audit", 16, socket.SOCK_RAW, 9, "audit"),
        ("can", 29, socket.SOCK_RAW, 1, "can"), ("tipc", 30, socket.SOCK_STREAM, 0, "tipc"), ("kcm", 41, socket.SOCK_DGRAM, 0, "kcm"),
        ("smc", 43, socket.SOCK_STREAM, 0, "smc"), ("key", 15, socket.SOCK_RAW, 2, "root")]:
    simple("socket-" + label if "-socket" not in label else label,
           lambda number=number, kind=kind, protocol=protocol: family(number, kind, protocol), needs)


# --- the terminal -----------------------------------------------------------------------------------------------------
def on_own_terminal(request, argument, offset=0):
    """Makes a terminal the controlling one of a new session and tries a request on it."""
    master, slave = pty.openpty()
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    return reaches("ioctl", slave, request | offset, argument)


simple("terminal-input", lambda: on_own_terminal(termios.TIOCSTI, b"x"), "legacy TIOCSTI")
simple("terminal-input-high-bits", lambda: on_own_terminal(termios.TIOCSTI, b"x", 1 << 32), "legacy TIOCSTI")
simple("terminal-linux", lambda: on_own_terminal(0x541C, b"\x00"))
simple("terminal-discipline", lambda: on_own_terminal(0x5423, struct.pack("i", 0)))


# --- the environment and descriptors ----------------------------------------------------------------------------------
def inherited(name):
    if name in os.environ:
        return f"{name}={os.environ[name]}"
    raise Blocked("not passed on")


for variable in ["AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "SSH_AUTH_SOCK", "LD_PRELOAD", "LD_LIBRARY_PATH", "BASH_ENV",
                 "PYTHONSTARTUP", "NODE_OPTIONS", "GIT_CONFIG_GLOBAL", "RINGFORT_POLICY", "DBUS_SESSION_BUS_ADDRESS"]:
    simple("env-" + variable.lower().replace("_", "-"), lambda variable=variable: inherited(variable))


@attempt("env-of-any-process")
def _():
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{process}/environ", "rb") as file:
                if b"ringfort-e2e-caller-secret" in file.read():
                    return f"read the caller's secret of process {process}"
    raise Blocked("no process shows it")


@attempt("descriptor-leak")
def _():
    broker = int(os.environ.get("RINGFORT_BROKER", "-1"))
    found = []
    for number in S["descriptors"]:
        if number not in (0, 1, 2, broker):
            found.append(f"{number} -> {S['descriptors'][number]}")
    if not found:
        raise Blocked("0, 1, 2 and the broker")
    return ", ".join(found)


@attempt("descriptor-of-a-folder")
def _():
    for number in S["descriptors"]:
        if stat.S_ISDIR(os.fstat(number).st_mode):
            os.close(os.open("..", os.O_RDONLY | os.O_DIRECTORY, dir_fd=number))
            return f"descriptor {number} is a folder"
    raise Blocked("none is a folder")


# --- start-up files ---------------------------------------------------------------------------------------------------
HOOK = (".git", "hooks", "pre-commit")


def overwritten(*names):
    with open(at("work", *names), "w") as file:
        file.write("attacked")
    return "overwritten"


def swapped(*names):
    """Exchanges a file or folder with one of the attacker's."""
    os.makedirs(at("work", "evil", *names[1:-1]), exist_ok=True)
    return does("renameat2", -100, at("work", "evil").encode(), -100, at("work", *names).encode(), 2)


simple("hook-write", lambda: overwritten(*HOOK))
simple("hook-replace", lambda: done(os.rename(made_here("evil-hook"), at("work", *HOOK))))
simple("hook-chmod", lambda: done(os.chmod(at("work", ".git", "hooks", "sleeping"), 0o755)))
simple("hook-hardlink", lambda: done(os.link(at("work", *HOOK), at("work", "hard-hook"))))
simple("hook-unlink", lambda: done(os.unlink(at("work", *HOOK))))
simple("hooks-swap", lambda: swapped(".git", "hooks"))
simple("vscode-tasks", lambda: overwritten(".vscode", "tasks.json"))
simple("vscode-swap", lambda: swapped(".vscode"))
simple("mcp-write", lambda: overwritten(".mcp.json"))
simple("mcp-replace", lambda: done(os.rename(made_here("evil-mcp"), at("work", ".mcp.json"))))
simple("envrc-write", lambda: overwritten(".envrc"))
simple("claude-settings", lambda: overwritten(".claude", "settings.json"))
simple("git-config-rename", lambda: done(os.rename(at("work", ".git", "config"), at("work", "config2"))))
simple("git-config-replace", lambda: done(os.rename(made_here("config3"), at("work", ".git", "config"))))
simple("git-config-unlink", lambda: done(os.unlink(at("work", ".git", "config"))))
simple("hooks-folder-rename", lambda: done(os.rename(at("work", ".git", "hooks"), at("work", ".git", "hooks2"))))
simple("git-folder-rename", lambda: done(os.rename(at("work", ".git"), at("work", ".git2"))))
simple("workspace-rename", lambda: done(os.rename(S["work"], S["work"] + "2"), os.rename(S["work"] + "2", S["work"])))


def later(name, *names, text="#!/bin/sh\ntouch attacked\n", mode=0o755, repository=None):
    """Makes a new start-up file, in a whole repository if one is named; the test looks for it afterwards."""
    def make():
        path = at("work", *names)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if repository:
            for folder in ("objects", "refs"):
                os.makedirs(at("work", repository, folder), exist_ok=True)
            with open(at("work", repository, "HEAD"), "w") as head:
                head.write("ref: refs/heads/main\n")
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)
        return None
    simple(name, make)


EVIL_CONFIG = "[core]\n\trepositoryformatversion = 0\n\tfsmonitor = touch attacked\n"
later("git-config-change", ".git", "config", text=EVIL_CONFIG, mode=0o644)
later("git-hook-add", "nested", ".git", "hooks", "post-checkout", repository="nested/.git")
later("bare-repository", "bare", "config", text=EVIL_CONFIG + "\tbare = true\n", mode=0o644, repository="bare")
later("cursor-mcp", ".cursor", "mcp.json", text='{"mcpServers":{"x":{"command":"touch","args":["attacked"]}}}')
later("nested-envrc", "sub", ".envrc")
later("codex-config", ".codex", "config.toml")


# --- Ringfort itself --------------------------------------------------------------------------------------------------
simple("ringfort-state-list", lambda: sees(S["state"], "trail"))
simple("ringfort-trail-write", lambda: opens(newest(at("state", "trail")), os.O_WRONLY | os.O_APPEND))
simple("ringfort-guard-list", lambda: sees(S["state"], "guard"))
simple("ringfort-policy-read", lambda: secret(at("home", ".config", "ringfort", "ringfort.toml")))
simple("ringfort-policy-write", lambda: opens(at("home", ".config", "ringfort", "ringfort.toml")))
simple("ringfort-accept-by-hand", lambda: written("home", ".local", "state", "ringfort", "planted"))
simple("ringfort-binary-write", lambda: binary_opens())


def newest(folder):
    files = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    files = [path for path in files if os.path.isfile(path)]
    if not files:
        raise Blocked("empty")
    return files[-1]


def own_binaries():
    return [path for path in (S["binary"], at("home", ".local", "bin", "ringfort")) if os.path.exists(path)]


def binary_opens():
    for path in own_binaries():
        # Opening it answers ETXTBSY while it runs, whatever mounts and rules say; so ask for both ways separately.
        if os.access(path, os.W_OK):
            with contextlib.suppress(OSError):
                return f"{path} is writable, and so is its folder: {made(path + '.new')}"
    raise Blocked("read-only, or not there")


def nested(*words, sockets=True):
    """`ringfort` from inside, with the broker's socket or without it."""
    paths = own_binaries()
    if not paths:
        raise Blocked("no binary")
    passed = [int(os.environ["RINGFORT_BROKER"])] if sockets and "RINGFORT_BROKER" in os.environ else []
    return subprocess.run([paths[-1], *words], capture_output=True, timeout=20, stdin=subprocess.DEVNULL, pass_fds=passed)


@attempt("ringfort-trail-tail")
def _():
    result = nested("trail", "tail")
    if b"intent" not in result.stdout and b"ringfort-e2e-mark" not in result.stdout:
        raise Blocked("it shows nothing of the outer record")
    return "the outer record is shown"


@attempt("ringfort-policy-accept")
def _():
    result = nested("policy", "accept", "--yes")
    if result.returncode != 0:
        raise Blocked((result.stderr or b"refused").decode(errors="replace").split("\n")[0][:80])
    is_real("home")
    return "accepted"


for label, option, value, needs in [
        ("state", "--state", lambda: at("outside", "other-state"), ""), ("set", "--set", lambda: "autonomy.ask=never", ""),
        ("policy", "--policy", lambda: at("outside", "empty.toml"), ""), ("workspace", "--workspace", lambda: S["outside"], ""),
        ("minimal", "--degree", lambda: "minimal", "a policy for it")]:
    def run_with(option=option, value=value, sockets=True):
        result = nested("run", option, value(), "--", "echo", SECRET, sockets=sockets)
        if SECRET.encode() in result.stdout:
            return "the command ran with the flag"
        raise Blocked((result.stderr or b"refused").decode(errors="replace").split("\n")[0][:80])
    simple("ringfort-run-" + label, run_with, needs)
    simple(f"ringfort-run-{label}-without-socket", lambda run_with=run_with: run_with(sockets=False), needs)


simple("ringfort-binary-replace", lambda: done(os.rename(made_here("evil-ringfort"), S["binary"])))

# --- the broker -------------------------------------------------------------------------------------------------------
def broker():
    number = os.environ.get("RINGFORT_BROKER")
    if number is None:
        raise Blocked("there is no broker here")
    return socket.socket(fileno=os.dup(int(number)))


def ask(packet, descriptors=None, wait=1.5):
    """Sends one introduction; the answer, or None."""
    with broker() as door:
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        null = os.open("/dev/null", os.O_RDWR)
        streams = [theirs.fileno(), null, null, null] if descriptors is None else descriptors
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", streams))] if streams else []
        door.sendmsg([packet], ancillary)
        theirs.close()
        if not select.select([mine], [], [], wait)[0]:
            return None
        return mine.recv(1 << 18) or None


def packet(command, **more):
    lists = lambda text: list(text.encode())
    body = {"v": 1, "op": "run", "words": [lists(word) for word in command], "cwd": lists(S["work"]),
            "env": [[lists("PATH"), lists("/usr/bin:/bin")]]}
    return json.dumps({**body, **more}).encode()


def answered(content, descriptors=None):
    answer = ask(content, descriptors)
    if answer is None:
        raise Blocked("dropped without an answer")
    return answer.decode(errors="replace")[:100]


def still_serves():
    answer = ask(packet(["/bin/true"]), wait=20)
    if answer is None or b"exited" not in answer:
        return f"the broker does not serve any more: {answer!r}"
    raise Blocked("and it still serves")


for label, content, descriptors in [
        ("garbage", b"\xff{]", None), ("empty", b"{}", None), ("no-descriptors", None, []), ("many-descriptors", None, [0] * 60),
        ("unknown-field", dict(principal="root"), None), ("version", dict(v=2), None), ("nul", dict(words=[[0]]), None),
        ("no-words", dict(words=[]), None), ("deep", b"[" * 50000, None)]:
    def abuse(content=content, descriptors=descriptors):
        body = content if isinstance(content, bytes) else packet(["/bin/true"], **(content or {}))
        return answered(body, descriptors)
    simple("broker-" + label, abuse, "a broker")


@attempt("broker-oversized", "a broker")
def _():
    try:
        return answered(packet(["/bin/true"], pad="x" * 140_000))
    except OSError as error:
        raise Blocked(str(error))


@attempt("broker-folder-outside", "a broker")
def _():
    answer = answered(packet(["/bin/sh", "-c", "cat secret"], cwd=list(S["outside"].encode())))
    if "failed" in answer or "denied" in answer:
        raise Blocked(answer)
    return answer


@attempt("broker-reads-outside", "a broker")
def _():
    read, write = os.pipe()
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    null = os.open("/dev/null", os.O_RDWR)
    ask(packet(["/bin/sh", "-c", f"cat {at('outside', 'secret')}"]), [theirs.fileno(), null, write, null], wait=0)
    os.close(write)
    theirs.close()
    select.select([mine], [], [], 10)
    if select.select([read], [], [], 1)[0] and SECRET.encode() in os.read(read, 1000):
        return "a sibling read it"
    raise Blocked("a sibling is caged as well")


@attempt("broker-flood", "a broker")
def _():
    with broker() as door:
        door.setblocking(False)
        for number in range(2000):
            try:
                door.send(b"{" * 500)
            except BlockingIOError:
                time.sleep(0.001)
    return still_serves()


@attempt("broker-full-channel", "a broker")
def _():
    """A channel that takes no more must not stop the supervisor."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            theirs.send(b"x" * 1000)
    theirs.setblocking(True)
    null = os.open("/dev/null", os.O_RDWR)
    ask(packet(["/no/such/program"]), [theirs.fileno(), null, null, null], wait=0)
    return still_serves()


@attempt("broker-channel-is-a-file", "a broker")
def _():
    null = os.open("/dev/null", os.O_RDWR)
    ask(packet(["/no/such/program"]), [null, null, null, null], wait=0)
    return still_serves()


@attempt("broker-many-siblings", "a broker")
def _():
    keep, null = [], os.open("/dev/null", os.O_RDWR)
    for number in range(40):
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ask(packet(["/bin/sleep", str(100 + number)]), [theirs.fileno(), null, null, null], wait=0)
        theirs.close()
        keep.append(mine)
    time.sleep(1)
    for one in keep:
        one.close()
    time.sleep(0.5)
    return still_serves()


# --- the frame --------------------------------------------------------------------------------------------------------
def one(number, name, function):
    """Runs one attempt in a child of its own and prints its line."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        S["parent"] = os.getppid() if S["parent"] is None else S["parent"]
        try:
            how = function()
            line = "LATER: to be judged outside" if how is None else f"ESCAPED: {how}"
        except Blocked as blocked:
            line = f"BLOCKED: {blocked}"
        except OSError as error:
            line = f"BLOCKED: {error.strerror or error}"
        except BaseException as error:
            line = f"BROKEN: {type(error).__name__} {error}"
        os.write(write, line.replace("\n", " ").encode()[:400])
        os._exit(0)
    os.close(write)
    ready = select.select([read], [], [], 40)[0]
    text = os.read(read, 500).decode(errors="replace") if ready else "HUNG: no answer in 40 s"
    os.close(read)
    if not ready:
        os.kill(child, signal.SIGKILL)
    code = os.waitpid(child, 0)[1]
    if not text:
        text = f"BLOCKED: ended by signal {code & 0x7f}"
    verdict, why = text.split(": ", 1)
    print(f"{number:03} {verdict} {name}: {why}", flush=True)


def attack():
    S["descriptors"] = {}
    for number in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):  # The listing's own is closed again.
            S["descriptors"][number] = os.readlink(f"/proc/self/fd/{number}")
    S["parent"] = os.getppid()
    for number, (name, _, function) in enumerate(ATTEMPTS, 1):
        one(number, name, function)
    print("DONE", flush=True)


def serve():
    """Everything outside that is attacked; answers whoever reaches it with the canary."""
    buffer = ctypes.create_string_buffer(SECRET.encode())
    identifier, _ = call("shmget", S["shm_key"], 4096, 0o1600)
    def listen(listener):
        while True:
            connection, _ = listener.accept()
            connection.sendall(SECRET.encode() + b"\n")
            connection.close()
    listeners = []
    for name, address in [(socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_UNIX, "\0" + S["abstract"]),
                          (socket.AF_UNIX, at("outside", "socket")), (socket.AF_UNIX, at("home", "agent.sock"))]:
        listener = socket.socket(name, socket.SOCK_STREAM)
        listener.bind(address)
        listener.listen()
        listeners.append(listener)
        threading.Thread(target=listen, args=(listener,), daemon=True).start()
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    def echo():
        while True:
            _, sender = udp.recvfrom(100)
            udp.sendto(SECRET.encode(), sender)
    def visit():
        while True:
            with contextlib.suppress(OSError, ValueError):
                with open(at("work", "port")) as file:
                    port = int(file.read())
                with socket.socket() as visitor:
                    visitor.settimeout(0.5)
                    visitor.connect(("127.0.0.1", port))
            time.sleep(0.05)
    for target in (echo, visit):
        threading.Thread(target=target, daemon=True).start()
    scene = dict(S, pid=os.getpid(), group=os.getpgid(0), tcp=listeners[0].getsockname()[1], udp=udp.getsockname()[1],
                 address=ctypes.addressof(buffer))
    with open(sys.argv[2] + ".new", "w") as file:
        json.dump(scene, file)
    os.rename(sys.argv[2] + ".new", sys.argv[2])
    print("ready", flush=True)
    sys.stdin.read()
    libc.shmctl(identifier, 0, None)


if __name__ == "__main__":
    if sys.argv[1] == "list":
        for number, (name, needs, _) in enumerate(ATTEMPTS, 1):
            print(f"{number:03} {name} needs {needs or 'nothing'}")
    else:
        with open(sys.argv[2]) as scene:
            S.update(json.load(scene))
        {"attack": attack, "serve": serve}[sys.argv[1]]()
