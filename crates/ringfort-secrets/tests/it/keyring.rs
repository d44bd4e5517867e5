// SPDX-License-Identifier: MIT OR Apache-2.0
//! A session bus of the test's own, and GNOME Keyring on it.
//!
//! In: nothing of the caller's session. Out: an address; a keyring that is unlocked, locked, stopped or ended. It is in two
//! test binaries: this crate's, and the one of the whole program.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ringfort_secrets::backend::Probe;
use ringfort_secrets::backend::secret_service::SecretServiceSource;
use tempfile::TempDir;

/// Longest until a program of the test is ready. A machine under load takes its time.
const START: Duration = Duration::from_secs(20);

#[expect(clippy::disallowed_methods, reason = "a test that starts a bus and a keyring of its own")]
fn command(program: &str) -> Command {
    Command::new(program)
}

#[expect(clippy::print_stdout, reason = "a skip is reported")]
fn missing(program: &str) -> bool {
    let found = std::iter::once("/usr/bin").map(|folder| Path::new(folder).join(program)).any(|path| path.exists());
    #[expect(clippy::disallowed_methods, reason = "whether a skip is a fault is said from outside")]
    let strict = std::env::var_os("RINGFORT_TEST_NO_SKIP").is_some();
    assert!(found || !strict, "`{program}` is not installed; scripts/setup.sh installs it");
    if !found {
        println!("skipped: `{program}` is not installed");
    }
    !found
}

/// A program that ends with the test.
pub(crate) struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        self.signal("CONT");
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Program {
    pub(crate) fn signal(&self, signal: &str) {
        let pid = rustix::process::Pid::from_child(&self.0);
        let signal = if signal == "STOP" { rustix::process::Signal::STOP } else { rustix::process::Signal::CONT };
        rustix::process::kill_process(pid, signal).ok();
    }
}

/// A bus that starts no services by itself.
pub(crate) struct Bus {
    folder: TempDir,
    pub(crate) address: String,
    _daemon: Program,
}

impl Bus {
    pub(crate) fn start() -> Option<Self> {
        if missing("dbus-daemon") || missing("gnome-keyring-daemon") || missing("dbus-send") {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "<busconfig><type>session</type><listen>unix:path={}/bus</listen><auth>EXTERNAL</auth>\
             <policy context=\"default\"><allow send_destination=\"*\"/><allow receive_sender=\"*\"/><allow own=\"*\"/></policy></busconfig>",
            folder.path().display()
        );
        std::fs::write(folder.path().join("bus.conf"), config).unwrap();
        let mut daemon = command("/usr/bin/dbus-daemon")
            .arg(format!("--config-file={}/bus.conf", folder.path().display()))
            .args(["--nofork", "--print-address=1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut address).unwrap();
        assert!(address.starts_with("unix:"), "{address}");
        Some(Self { address: address.trim().to_owned(), folder, _daemon: Program(daemon) })
    }

    pub(crate) fn source(&self) -> SecretServiceSource {
        SecretServiceSource::new(Some(&self.address), None)
    }

    /// The keyring, with its login collection unlocked by a password.
    pub(crate) fn keyring(&self) -> Program {
        let home = self.folder.path().join("home");
        std::fs::create_dir_all(home.join(".local/share/keyrings")).unwrap();
        let mut daemon = command("/usr/bin/gnome-keyring-daemon")
            .args(["--foreground", "--unlock", "--components=secrets"])
            .arg(format!("--control-directory={}/control", self.folder.path().display()))
            .env("HOME", &home)
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env("XDG_DATA_HOME", home.join(".local/share"))
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .env_remove("DISPLAY")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        daemon.stdin.take().unwrap().write_all(b"a password").unwrap();
        let program = Program(daemon);
        let started = Instant::now();
        while self.source().probe() != Probe::Ready {
            assert!(started.elapsed() < START, "the keyring does not start: {:?}", self.source().probe());
            std::thread::sleep(Duration::from_millis(20));
        }
        program
    }

    pub(crate) fn send(&self, path: &str, method: &str, arguments: &[&str]) -> String {
        let output = command("/usr/bin/dbus-send")
            .args(["--session", "--print-reply", "--dest=org.freedesktop.secrets", path, method])
            .args(arguments)
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) fn lock(&self) {
        let collection = "array:objpath:/org/freedesktop/secrets/aliases/default";
        self.send("/org/freedesktop/secrets", "org.freedesktop.Secret.Service.Lock", &[collection]);
    }
}
