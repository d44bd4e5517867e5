// SPDX-License-Identifier: MIT OR Apache-2.0
//! A place of one's own for each test, and programs with a time limit.
//!
//! In: what to run, in which folder, with which variables. Out: status, both streams, and how long it took.
//!
//! **Invariant:** nothing of the developer's home, state or environment is read or written: each [`Place`] has a home,
//! a state folder and a workspace of its own, and a program sees only the variables that are named. A program that
//! does not end in time is killed and fails the test. Nothing here knows what a test expects.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a program may take unless a test says otherwise. Generous: the machine may be busy.
pub(crate) const TIME_MAX: Duration = Duration::from_secs(60);

/// The binary under test: `RINGFORT_BIN`, or the one that cargo has just built.
#[expect(clippy::disallowed_methods, reason = "the test script names the release binary so")]
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("RINGFORT_BIN").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_ringfort")), PathBuf::from)
}

/// A folder tree for one test: `home` (with the state folder in it), `work` (the workspace), `outside`.
pub(crate) struct Place {
    pub(crate) root: PathBuf,
    pub(crate) home: PathBuf,
    pub(crate) work: PathBuf,
    pub(crate) outside: PathBuf,
    pub(crate) state: PathBuf,
    _folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("e2e-").tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (home, work, outside) = (root.join("home"), root.join("home/work"), root.join("outside"));
        for path in [&work, &outside] {
            fs::create_dir_all(path).unwrap();
        }
        let state = home.join(".local/state/ringfort");
        Self { root, home, work, outside, state, _folder: folder }
    }

    /// Writes a file below the root of the place, with its folders; the path is absolute or relative to the workspace.
    pub(crate) fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work.join(path);
        assert!(path.starts_with(&self.root), "{} is not in the place of this test", path.display());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// `ringfort` with these words, in the workspace.
    pub(crate) fn ringfort<W: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = W>) -> Program {
        self.program(binary(), words)
    }

    /// `ringfort run -- words…`, in the workspace.
    pub(crate) fn run<W: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = W>) -> Program {
        let words = words.into_iter().map(|word| word.as_ref().to_owned());
        self.ringfort(["run", "--"].map(OsString::from).into_iter().chain(words))
    }

    /// Any program with these words, in the workspace, outside every cage.
    pub(crate) fn program<W: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        words: impl IntoIterator<Item = W>,
    ) -> Program {
        program_in(program, words, &self.work, &self.home)
    }
}

/// Any program with these words, in this folder and with this home, outside every cage.
pub(crate) fn program_in<W: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    words: impl IntoIterator<Item = W>,
    folder: &Path,
    home: &Path,
) -> Program {
    #[expect(clippy::disallowed_methods, reason = "a test starts the binary as a user does")]
    let mut command = Command::new(program);
    command.args(words).current_dir(folder).env_clear();
    command.env("HOME", home).env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8");
    Program { command, input: Vec::new(), time_max: TIME_MAX }
}

/// A program that is about to be started. Standard input is empty unless a test says otherwise.
pub(crate) struct Program {
    /// For whatever the methods below do not offer; the standard streams are set at the start.
    pub(crate) command: Command,
    input: Vec<u8>,
    time_max: Duration,
}

impl Program {
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn cwd(mut self, folder: impl AsRef<Path>) -> Self {
        self.command.current_dir(folder);
        self
    }

    pub(crate) fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    pub(crate) fn time_max(mut self, time_max: Duration) -> Self {
        self.time_max = time_max;
        self
    }

    /// Runs it to its end and collects what it writes.
    pub(crate) fn output(mut self) -> Output {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let started = Instant::now();
        let mut child = self.command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = std::mem::take(&mut self.input);
        // A program that does not read its input is no fault of the test.
        let writer = thread::spawn(move || drop(stdin.write_all(&input)));
        let out = collect(child.stdout.take().unwrap());
        let err = collect(child.stderr.take().unwrap());
        let status = wait(&mut child, self.time_max);
        let left = self.time_max.saturating_sub(started.elapsed()) + Duration::from_secs(5);
        let text = |stream: &mpsc::Receiver<Vec<u8>>| stream.recv_timeout(left);
        let (stdout, stderr) = (text(&out), text(&err));
        let output = Output {
            is_open: stdout.is_err() || stderr.is_err(),
            stdout: stdout.unwrap_or_default(),
            stderr: stderr.unwrap_or_default(),
            status: status.unwrap_or_else(|| ExitStatus::from_raw(SIGKILL)),
            elapsed: started.elapsed(),
        };
        assert!(status.is_some(), "not ended within {:?}: {:?}\n{output}", self.time_max, self.command);
        assert!(!output.is_open, "ended, but something still holds its output: {:?}\n{output}", self.command);
        drop(writer.join());
        output
    }

    /// Starts it in a process group of its own, with whatever streams `command` has, and leaves it running.
    pub(crate) fn spawn(mut self) -> Running {
        Running(self.command.process_group(0).spawn().unwrap())
    }
}

/// The status of a program that was killed.
const SIGKILL: i32 = 9;

fn collect(mut stream: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        drop(stream.read_to_end(&mut bytes));
        drop(sender.send(bytes));
    });
    receiver
}

/// Waits for the end; kills the process group and answers `None` when it takes longer.
fn wait(child: &mut Child, time_max: Duration) -> Option<ExitStatus> {
    let ended = until(time_max, || child.try_wait().unwrap());
    if ended.is_none() {
        kill_group(child);
        drop(child.wait());
    }
    ended
}

fn kill_group(child: &Child) {
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).unwrap();
    // It may be gone already.
    let _ignored: Result<(), _> = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
}

/// Asks again and again until there is an answer, or the time is over.
pub(crate) fn until<T>(time_max: Duration, mut question: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + time_max;
    loop {
        if let Some(answer) = question() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// A program that is running; killed with its process group when dropped.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Waits for the end; the test fails when it takes longer than `time_max`.
    pub(crate) fn wait(&mut self, time_max: Duration) -> ExitStatus {
        wait(&mut self.0, time_max).expect("the program ends in time")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            kill_group(&self.0);
            drop(self.0.wait());
        }
    }
}

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) elapsed: Duration,
    is_open: bool,
}

impl Output {
    /// What a program left behind that a test has waited for itself.
    pub(crate) fn new(status: ExitStatus, stdout: Vec<u8>, stderr: Vec<u8>) -> Self {
        Self { status, stdout, stderr, elapsed: Duration::ZERO, is_open: false }
    }

    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(crate) fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The exit status; `None` when a signal ended it.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Fails the test, with both streams, unless the exit status is this one.
    #[track_caller]
    pub(crate) fn exits(self, status: i32) -> Self {
        assert_eq!(self.code(), Some(status), "{self}");
        self
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} after {:?}\n--- stdout\n{}\n--- stderr\n{}", self.status, self.elapsed, self.out(), self.err())
    }
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `count`, which is not 0.
    pub(crate) fn pick(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((word ^ (word >> 31)) % count as u64).unwrap()
    }
}

/// Whether skipping is an error: set where everything that a test needs is known to be installed.
#[expect(clippy::disallowed_methods, reason = "the test script says so")]
pub(crate) fn skips_are_errors() -> bool {
    std::env::var_os("RINGFORT_TEST_NO_SKIP").is_some_and(|value| value == "1")
}

/// Whether this host lets the caller make user namespaces (the degree `full`); says so where it does not.
///
/// What the kernel lacks may be skipped, whatever [`skips_are_errors`] says.
pub(crate) fn is_namespaced(place: &Place) -> bool {
    let output = place.ringfort(["run", "--verbose", "--", "/bin/true"]).output();
    let full = output.err().contains("protect-startup");
    if !full {
        eprintln!("skipped: this host keeps no full cage: {}", output.err());
    }
    full
}
