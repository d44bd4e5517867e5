// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a process that opens secrets leaves to a debugger, to a core dump and to whoever kills it.
//!
//! A process is started that takes a passphrase and a value from a pipe, makes a store, reads the value back and holds it.
//! Beside it it holds a control in ordinary memory: what finds the control and not the value has looked in the right place.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use ringfort_secrets::harden;
use ringfort_secrets::kdf::{Argon2Params, MEMORY_KIB_MIN, WORK_MAX};
use ringfort_secrets::locked::{Locked, Protection, locked_bytes, protection};
use ringfort_secrets::lockout::{Caller, Lockout};
use ringfort_secrets::moment::KernelMoments;
use ringfort_secrets::passphrase::PassphraseSource;
use ringfort_secrets::root::{RootKeySource as _, StoreId};
use ringfort_secrets::store::{Change, Vault};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

use crate::support::{NOW, Noon, id};

/// What the child is to do.
const PART: &str = "RINGFORT_TEST_MEMORY";
/// The folder of the child.
const FOLDER: &str = "RINGFORT_TEST_MEMORY_FOLDER";
/// Length of the passphrase and of the value. Bytes.
const LENGTH: usize = 96;
/// A piece of a secret that is as long as a register is found wherever it lies.
const PIECE: usize = 16;
const FAST: Argon2Params = Argon2Params { memory_kib: MEMORY_KIB_MIN, passes: 1 };
/// A user without rights.
const NOBODY: u32 = 65_534;

/// Says why something is not tested here, or fails where that must not be.
#[expect(clippy::disallowed_methods, reason = "a test asks whether a skip is a failure here")]
fn skip(why: &str) {
    assert!(std::env::var_os("RINGFORT_TEST_NO_SKIP").is_none_or(|value| value != "1"), "skipped: {why}");
    say(&format!("skipped: {why}"));
}

/// Tells the test that started this, or whoever reads its output.
fn say(line: &str) {
    std::io::stdout().write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn random() -> Vec<u8> {
    // Letters: a passphrase is text.
    let mut bytes = vec![0; LENGTH];
    getrandom::fill(&mut bytes).unwrap();
    bytes.iter_mut().for_each(|byte| *byte = b'A' + *byte % 58);
    bytes
}

/// Whether any piece of `secret` lies in `memory`.
fn holds(memory: &[u8], secret: &[u8]) -> bool {
    let pieces: Vec<&[u8]> = secret.windows(PIECE.min(secret.len())).collect();
    let key = |bytes: &[u8]| usize::from(bytes[0]) << 8 | usize::from(bytes[1]);
    let mut begins = vec![false; 1 << 16];
    pieces.iter().for_each(|piece| begins[key(piece)] = true);
    memory
        .windows(2)
        .enumerate()
        .any(|(at, pair)| begins[key(pair)] && pieces.iter().any(|piece| memory[at..].starts_with(piece)))
}

/// A folder that everybody can reach, with this program in it: another user may not reach where it was built.
struct World {
    folder: tempfile::TempDir,
    program: PathBuf,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let program = folder.path().join("it");
        // By another process: what is open for writing here, a child that another test starts meanwhile would hold open
        // as well, and the copy could not be executed.
        #[expect(clippy::disallowed_methods, reason = "see above")]
        let copied = Command::new("/bin/cp").arg(std::env::current_exe().unwrap()).arg(&program).status().unwrap();
        assert!(copied.success());
        let own = folder.path().join("own");
        fs::create_dir(&own).unwrap();
        fs::set_permissions(&own, fs::Permissions::from_mode(0o700)).unwrap();
        Self { folder, program }
    }

    fn own(&self) -> PathBuf {
        self.folder.path().join("own")
    }

    /// Starts the child as `user`, if this is an administrator, and gives it what to read.
    #[expect(clippy::disallowed_methods, reason = "a test that starts itself to look at it from outside")]
    fn start(&self, part: &str, given: &[u8], user: Option<u32>) -> (Child, BufReader<ChildStdout>) {
        self.start_by(Command::new(&self.program), part, given, user)
    }

    /// The same on a kernel without secret memory: a program of the test kit takes the call away and becomes the child.
    #[expect(clippy::disallowed_methods, reason = "a test that starts itself to look at it from outside")]
    fn start_without_secret_memory(&self, part: &str, given: &[u8]) -> (Child, BufReader<ChildStdout>) {
        let under = self.folder.path().join("under");
        fs::write(&under, ringfort_testkit::escape::program()).unwrap();
        // By a shell, which also makes it executable: this process may be starting others meanwhile.
        let mut command = Command::new("/bin/sh");
        let line = "cp \"$0\" \"$0.run\" && chmod 755 \"$0.run\" && exec \"$0.run\" \"$@\"";
        command.args(["-c", line]).arg(under).args(["under", "no-secret-memory"]).arg(&self.program);
        self.start_by(command, part, given, None)
    }

    fn start_by(
        &self,
        mut command: Command,
        part: &str,
        given: &[u8],
        user: Option<u32>,
    ) -> (Child, BufReader<ChildStdout>) {
        if let Some(user) = user.filter(|_| rustix::process::geteuid().is_root()) {
            std::os::unix::fs::chown(self.own(), Some(user), Some(user)).unwrap();
            command.uid(user).gid(user);
        }
        let mut child = command
            .args(["--exact", "memory::child", "--nocapture", "--test-threads=1"])
            .current_dir(self.own())
            .env(PART, part)
            .env(FOLDER, self.own())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(given).unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        until_ready(&mut stdout);
        (child, stdout)
    }

    fn core(&self) -> Option<PathBuf> {
        let names = fs::read_dir(self.own()).unwrap().map(|entry| entry.unwrap().path());
        names.into_iter().find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("core")))
    }
}

fn until_ready(stdout: &mut BufReader<ChildStdout>) {
    let mut line = String::new();
    while !line.contains("ready") {
        line.clear();
        assert!(stdout.read_line(&mut line).unwrap() > 0, "the child has not said that it is ready");
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// Everything that a process can write and others can read: what is mapped from files holds no secret of its own.
fn memory_of(child: &Child) -> Vec<u8> {
    let folder = Path::new("/proc").join(child.id().to_string());
    let memory = fs::File::open(folder.join("mem")).unwrap();
    let mut all = Vec::new();
    for line in fs::read_to_string(folder.join("maps")).unwrap().lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        if !rest.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let (start, end) = (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
        // Some parts cannot be read even of oneself: the kernel's own, pages that nobody can touch, secret memory.
        let mut at = start;
        let mut chunk = vec![0; 1 << 20];
        while at < end {
            let wanted = usize::try_from(end - at).unwrap().min(chunk.len());
            match memory.read_at(&mut chunk[..wanted], at) {
                Ok(count) if count > 0 => {
                    all.extend_from_slice(&chunk[..count]);
                    at += count as u64;
                }
                _ => at += 4096,
            }
        }
    }
    all
}

/// A number of the kernel's about a process. KiB.
fn status(child: &Child, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn deny_a_secret_to_a_core_dump_and_to_a_debugger() {
    look_at_a_child(protection(), World::start);
}

/// Locked pages are what remains where there is no secret memory: a debugger reads them, no disk ever does.
#[test]
fn deny_a_secret_in_locked_pages_to_a_core_dump_and_to_swap() {
    look_at_a_child(Protection::LockedPages, |world, part, given, _| world.start_without_secret_memory(part, given));
}

type Start = fn(&World, &str, &[u8], Option<u32>) -> (Child, BufReader<ChildStdout>);

/// Plants secrets in a child whose memory is of this kind, looks at its memory and its swap, and has it dump its core.
fn look_at_a_child(expected: Protection, start: Start) {
    let world = World::new();
    let (passphrase, value, control) = (random(), random(), random());
    let (mut child, _stdout) = start(&world, "plant", &[&passphrase[..], &value, &control].concat(), None);
    let memory = memory_of(&child);
    assert!(holds(&memory, &control), "the control is found: the right memory was read");
    assert_eq!((status(&child, "VmSwap:"), status(&child, "VmLck:") > 0), (0, true));
    let kind = fs::read_to_string(world.own().join("kind")).unwrap();
    assert_eq!(kind, format!("{expected:?}"), "the kind of memory that is to be tried");

    kill_process(pid(&child), Signal::ABORT).unwrap();
    let ended = child.wait().unwrap();
    assert_eq!(ended.signal(), Some(libc::SIGABRT));

    let source = PassphraseSource::new(Locked::copy_of(&passphrase).unwrap());
    let vault = Vault::open(&world.own().join("secrets"), &source).unwrap();
    assert!(vault.get(&id("planted"), NOW).unwrap().value.equals(&value), "it was a real store with the real value");
    let secrets = [("value", &value[..]), ("passphrase", &passphrase), ("store key", vault.store_key().expose())];

    for (name, secret) in secrets {
        let found = holds(&memory, secret);
        match expected {
            Protection::SecretMemory => assert!(!found, "the {name} was read from the process"),
            // A debugger of the same user reads locked pages: against it only a process that is not dumpable helps.
            Protection::LockedPages => assert!(found, "the {name} should be in the locked pages"),
        }
    }
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    if !ended.core_dumped() || pattern.starts_with(['|', '/']) {
        skip("core dumps go elsewhere or nowhere here");
        return;
    }
    let core = fs::read(world.core().unwrap()).unwrap();
    assert!(holds(&core, &control), "the control is found: it is the right core dump");
    for (name, secret) in secrets {
        assert!(!holds(&core, secret), "the {name} is in the core dump");
    }
}

#[test]
fn deny_reading_and_dumping_a_hardened_process_of_the_same_user() {
    let world = World::new();
    let given = [random(), random(), random()].concat();
    let (mut child, mut stdout) = world.start("harden", &given, Some(NOBODY));
    let mut said = String::new();
    stdout.read_line(&mut said).unwrap();
    // What it could do to itself, every process of its user could.
    assert_eq!(said.trim(), "mem: permission denied, environ: permission denied, core limit: 0", "{said}");
    kill_process(pid(&child), Signal::ABORT).unwrap();
    let ended = child.wait().unwrap();
    assert!(ended.signal() == Some(libc::SIGABRT) && !ended.core_dumped(), "{ended}");
    assert_eq!(world.core(), None);
}

#[test]
fn deny_forgetting_an_attempt_whose_derivation_was_killed() {
    let world = World::new();
    let lockout = Lockout::new(world.own().join("lockout"), StoreId([7; 16]));
    for attempt in 1..=5 {
        let (mut child, _stdout) = world.start("guess", b"guess", None);
        child.kill().unwrap();
        child.wait().unwrap();
        let standing = lockout.standing(&Caller::new("guesser"), &KernelMoments).unwrap();
        assert_eq!(standing.failures, attempt, "an attempt counts before it is evaluated");
    }
    let refused = lockout.charge(&Caller::new("guesser"), &KernelMoments).unwrap_err();
    assert!(refused.to_string().contains("try again in"), "{refused}");
}

/// Does something only when it is started by the tests above.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test that started this says what to do")]
fn child() {
    let (Some(part), Some(folder)) = (std::env::var_os(PART), std::env::var_os(FOLDER)) else { return };
    let folder = Path::new(&folder);
    match part.to_str() {
        Some("plant") => plant(folder),
        Some("harden") => be_hardened(),
        Some("guess") => guess(folder),
        _ => panic!("{part:?}"),
    }
}

/// Waits to be ended.
fn wait() -> ! {
    say("ready");
    loop {
        std::thread::park();
    }
}

fn plant(folder: &Path) {
    // As the shell's `ulimit -c unlimited`: the dump is wanted.
    let limit = getrlimit(Resource::Core);
    setrlimit(Resource::Core, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let given = Locked::read_from(std::io::stdin(), 4 * LENGTH).unwrap();
    let part = |number: usize| Locked::copy_of(&given.expose()[number * LENGTH..(number + 1) * LENGTH]).unwrap();
    let (passphrase, value) = (part(0), part(1));
    let control = part(2).expose().to_vec();

    let path = folder.join("secrets");
    let source = PassphraseSource::new(passphrase).with_params(FAST);
    let mut vault = Vault::create(&path, &source, &Noon).unwrap();
    vault.set(&id("planted"), value.expose(), &Change::at(NOW)).unwrap();
    vault.rotate(&id("planted"), value.expose(), NOW).unwrap();
    drop(vault);
    let vault = Vault::open(&path, &source).unwrap();
    let released = vault.get(&id("planted"), NOW).unwrap();
    assert!(released.value.equals(value.expose()) && !control.is_empty() && locked_bytes() > 0);
    fs::write(folder.join("kind"), format!("{:?}", protection())).unwrap();
    std::hint::black_box((&control, &released));
    wait();
}

fn be_hardened() {
    let secret = Locked::read_from(std::io::stdin(), 4 * LENGTH).unwrap();
    harden::process().unwrap();
    let open = |name: &str| match fs::File::open(format!("/proc/self/{name}")) {
        Ok(mut file) => format!("opened {:?}", file.read(&mut [0])),
        Err(error) => error.kind().to_string(),
    };
    let core = getrlimit(Resource::Core).maximum.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
    say("ready");
    say(&format!("mem: {}, environ: {}, core limit: {core}", open("mem"), open("environ")));
    std::hint::black_box(&secret);
    loop {
        std::thread::park();
    }
}

fn guess(folder: &Path) {
    let passphrase = Locked::read_from(std::io::stdin(), LENGTH).unwrap();
    let lockout = Lockout::new(folder.join("lockout"), StoreId([7; 16]));
    let attempt = lockout.charge(&Caller::new("guesser"), &KernelMoments).unwrap();
    say("ready");
    // Some seconds of work, in which the process is killed.
    let slow = Argon2Params { memory_kib: 64 * 1024, passes: u32::try_from(WORK_MAX / (64 * 1024)).unwrap() };
    let source = PassphraseSource::new(passphrase).with_params(slow);
    drop(source.create(StoreId([7; 16])));
    attempt.succeeded(&KernelMoments).unwrap();
}
