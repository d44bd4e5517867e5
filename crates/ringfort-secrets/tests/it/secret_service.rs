// SPDX-License-Identifier: MIT OR Apache-2.0
//! GNOME Keyring on a session bus of the test's own: unlocked, locked, stopped, ended, and a bus without it.
//!
//! A host without `dbus-daemon` or `gnome-keyring-daemon` skips, unless `RINGFORT_TEST_NO_SKIP` is set.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ringfort_secrets::backend::secret_service::SecretServiceSource;
use ringfort_secrets::backend::{Backend, Probe, Requested, Sight, Support, classify};
use ringfort_secrets::root::{RootKeyError, RootKeySource as _, StoreId};
use tempfile::TempDir;

const STORE: StoreId = StoreId([5; 16]);
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
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        self.signal("CONT");
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Program {
    fn signal(&self, signal: &str) {
        let pid = rustix::process::Pid::from_child(&self.0);
        let signal = if signal == "STOP" { rustix::process::Signal::STOP } else { rustix::process::Signal::CONT };
        rustix::process::kill_process(pid, signal).ok();
    }
}

/// A bus that starts no services by itself.
struct Bus {
    folder: TempDir,
    address: String,
    _daemon: Program,
}

impl Bus {
    fn start() -> Option<Self> {
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

    fn source(&self) -> SecretServiceSource {
        SecretServiceSource::new(Some(&self.address), None)
    }

    /// The keyring, with its login collection unlocked by a password.
    fn keyring(&self) -> Program {
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

    fn send(&self, path: &str, method: &str, arguments: &[&str]) -> String {
        let output = command("/usr/bin/dbus-send")
            .args(["--session", "--print-reply", "--dest=org.freedesktop.secrets", path, method])
            .args(arguments)
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn lock(&self) {
        let collection = "array:objpath:/org/freedesktop/secrets/aliases/default";
        self.send("/org/freedesktop/secrets", "org.freedesktop.Secret.Service.Lock", &[collection]);
    }
}

#[test]
fn a_real_keyring_keeps_the_key_across_its_restart() {
    let Some(bus) = Bus::start() else { return };
    let keyring = bus.keyring();
    let (slot, key) = bus.source().create(STORE).unwrap();
    let (second, other) = bus.source().create(STORE).unwrap();
    assert!(!other.equals(key.expose()), "each slot has a key of its own");
    assert!(bus.source().open(STORE, &slot).unwrap().equals(key.expose()));
    drop(keyring);
    assert!(matches!(bus.source().open(STORE, &slot), Err(RootKeyError::Absent { .. })));
    let _keyring = bus.keyring();
    assert!(bus.source().open(STORE, &slot).unwrap().equals(key.expose()), "from the keyring's file");
    bus.source().forget(STORE, &slot).unwrap();
    bus.source().forget(STORE, &slot).unwrap();
    assert!(matches!(bus.source().open(STORE, &slot), Err(RootKeyError::Absent { .. })));
    assert!(bus.source().open(STORE, &second).unwrap().equals(other.expose()), "only its own slot's key is removed");
}

#[test]
fn other_programs_see_what_the_item_is_for() {
    let Some(bus) = Bus::start() else { return };
    let _keyring = bus.keyring();
    let (_slot, _key) = bus.source().create(STORE).unwrap();
    let found = bus.send(
        "/org/freedesktop/secrets",
        "org.freedesktop.Secret.Service.SearchItems",
        &["dict:string:string:application,ringfort"],
    );
    let item = found.split('"').find(|word| word.starts_with("/org/freedesktop/secrets/collection/")).unwrap();
    let property = |name: &str| {
        let arguments = ["string:org.freedesktop.Secret.Item", &format!("string:{name}")];
        bus.send(item, "org.freedesktop.DBus.Properties.Get", &arguments)
    };
    assert!(property("Label").contains(&format!("Ringfort: key of the secret store {STORE}")));
    assert!(property("Attributes").contains(&STORE.to_string()));
}

#[test]
fn deny_keys_from_a_keyring_that_is_locked() {
    let Some(bus) = Bus::start() else { return };
    let _keyring = bus.keyring();
    let (slot, _key) = bus.source().create(STORE).unwrap();
    bus.lock();
    assert_eq!(bus.source().probe().word(), "locked");
    for outcome in [bus.source().open(STORE, &slot).map(|_| ()), bus.source().create(STORE).map(|_| ())] {
        let error = outcome.unwrap_err();
        assert!(matches!(error, RootKeyError::Locked { .. }), "{error}");
        assert!(error.to_string().contains("unlock it"), "{error}");
    }
}

#[test]
fn deny_keys_from_a_keyring_that_does_not_answer() {
    let Some(bus) = Bus::start() else { return };
    let keyring = bus.keyring();
    let (slot, _key) = bus.source().create(STORE).unwrap();
    keyring.signal("STOP");
    let source = bus.source().within(Duration::from_millis(500));
    let started = Instant::now();
    assert!(matches!(source.open(STORE, &slot), Err(RootKeyError::Slow { .. })));
    assert_eq!(source.probe().word(), "slow");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    keyring.signal("CONT");
    assert!(bus.source().open(STORE, &slot).is_ok(), "nothing was lost");
}

#[test]
fn the_status_follows_the_real_keyring() {
    let Some(bus) = Bus::start() else { return };
    let status = |requested: &str| {
        let probes = |backend: Backend| match backend {
            Backend::SecretService => bus.source().within(Duration::from_millis(500)).probe(),
            _ => Probe::Absent { message: "not looked at".to_owned() },
        };
        let status = classify(&Requested::parse(requested), &probes, &Sight::default());
        (status.active_backend, status.requested_support, status.root_key)
    };
    let file = (Backend::EncryptedFile, Support::FallbackOnly, "ready");
    let service = |found| (Backend::SecretService, Support::Implemented, found);
    assert_eq!([status("auto"), status("keychain"), status("secret-service")], [file, file, service("absent")]);
    let keyring = bus.keyring();
    assert_eq!(["auto", "keychain", "secret-service"].map(status), [service("ready"); 3]);
    keyring.signal("STOP");
    assert_eq!([status("auto"), status("keychain"), status("secret-service")], [file, file, service("slow")]);
    keyring.signal("CONT");
    bus.lock();
    assert_eq!([status("auto"), status("keychain")], [file, service("locked")]);
    drop(keyring);
    assert_eq!([status("auto"), status("keychain"), status("secret-service")], [file, file, service("absent")]);
}
