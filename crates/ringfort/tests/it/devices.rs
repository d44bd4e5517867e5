// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: a store whose key is in a device opens with that device, in that state, with that PIN, and with nothing else.
//!
//! In: software TPMs and software tokens, each of this test. Out: what a run gets, and what is said where it gets nothing.
#![expect(clippy::disallowed_methods, reason = "devices are started and addressed by these tests")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command};

use ringfort_testkit::swtpm;
use tempfile::TempDir;

use crate::pty::Pty;
use crate::support::{Output, Place, Program, skips_are_errors};

/// A value that stands nowhere else.
const VALUE: &str = "swordfish-4711-quite-unlike-anything";
/// The module of SoftHSM.
const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
/// The PIN of a token.
const PIN: &str = "240917";

/// Whether a program of these tests is there; says so where not.
fn is_there(path: &str) -> bool {
    let there = std::path::Path::new(path).exists();
    assert!(there || !skips_are_errors(), "{path} is not installed");
    if !there {
        eprintln!("skipped: {path} is not installed");
    }
    there
}

/// A running software TPM; it ends with the test.
struct SoftTpm {
    folder: TempDir,
    process: Child,
    port: u16,
}

impl SoftTpm {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (process, port) = swtpm::start(folder.path()).unwrap();
        Self { folder, process, port }
    }

    fn stop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }

    fn restart(&mut self) {
        self.stop();
        (self.process, self.port) = swtpm::start(self.folder.path()).unwrap();
    }

    /// Extends a PCR of the SHA-256 bank.
    fn extend(&self, pcr: u8) {
        let mut command =
            vec![0x80, 0x02, 0, 0, 0, 65, 0, 0, 0x01, 0x82, 0, 0, 0, pcr, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0];
        command.extend([0, 0, 0, 0, 0, 0, 1, 0, 0x0B]);
        command.extend([1; 32]);
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        socket.write_all(&command).unwrap();
        let mut answer = [0; 10];
        socket.read_exact(&mut answer).unwrap();
        assert_eq!(answer[6..], [0; 4], "PCR_Extend");
    }

    /// `ringfort secrets` or `ringfort run` with this TPM.
    fn ringfort(&self, place: &Place, command: &str, settings: &str, rest: &[&str]) -> Program {
        let device = format!("secrets.tpm2_device=\"loopback:{}\"", self.port);
        let backend = if settings.contains("secrets.backend") { "" } else { "secrets.backend=tpm2" };
        let settings = [backend, settings].map(str::split_whitespace).into_iter().flatten();
        let settings = settings.flat_map(|setting| ["--set", setting]);
        let words = [command, "--set", &device];
        place.ringfort(words.into_iter().chain(settings).chain(rest.iter().copied()))
    }
}

impl Drop for SoftTpm {
    fn drop(&mut self) {
        self.stop();
    }
}

#[track_caller]
fn refused(output: Output, message: &str) {
    assert_ne!(output.code(), Some(0), "{output}");
    assert!(output.err().contains(message), "{message}: {output}");
    assert!(!output.out().contains("length") && !output.out().contains(VALUE), "{output}");
}

const SHOW: [&str; 6] = ["--secret", "a.b=B", "--", "sh", "-c", "echo length-${#B}"];

#[test]
fn a_store_opens_with_its_tpm_and_with_no_other() {
    if !is_there("/usr/bin/swtpm") {
        return;
    }
    let place = Place::new();
    let (mut tpm, other) = (SoftTpm::start(), SoftTpm::start());
    tpm.ringfort(&place, "secrets", "", &["set", "a.b"]).input(VALUE).output().exits(0);
    assert!(!place.state.join("keys/secrets.key").exists(), "no key file lies beside it");
    let status = tpm.ringfort(&place, "secrets", "", &["--json", "status"]).output().exits(0).out();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!((&status["activeBackend"], &status["requestedSupport"]), (&"tpm2".into(), &"implemented".into()));
    let shown = tpm.ringfort(&place, "run", "", &SHOW).output().exits(0);
    assert_eq!(shown.out().trim(), format!("length-{}", VALUE.len()));
    tpm.restart();
    tpm.ringfort(&place, "run", "", &SHOW).output().exits(0);
    refused(other.ringfort(&place, "run", "", &SHOW).output(), "another TPM");
    tpm.stop();
    refused(tpm.ringfort(&place, "run", "", &SHOW).output(), "no software TPM answers");
}

#[test]
fn a_signing_key_stays_in_its_tpm() {
    if !is_there("/usr/bin/swtpm") {
        return;
    }
    let place = Place::new();
    let (mut tpm, other) = (SoftTpm::start(), SoftTpm::start());
    let with = ["--provider", "tpm2", "--kind", "ecdsa-p256"];
    tpm.ringfort(&place, "keys", "", &[&["generate", "release"][..], &with].concat()).output().exits(0);
    let sign = |tpm: &SoftTpm| tpm.ringfort(&place, "keys", "", &["sign", "release"]).input("what is signed").output();
    let signature = place.write("release.sig", sign(&tpm).exits(0).out());
    let verify = |content: &str| {
        let words = ["verify", "release", "--signature", signature.to_str().unwrap()];
        tpm.ringfort(&place, "keys", "", &words).input(content).output()
    };
    verify("what is signed").exits(0);
    tpm.ringfort(&place, "keys", "", &["rotate", "release"]).output().exits(0);
    verify("what is signed").exits(0);
    assert_ne!(verify("what was not signed").code(), Some(0));
    assert!(sign(&other).err().contains("another TPM"), "{}", sign(&other));
    tpm.stop();
    assert!(sign(&tpm).err().contains("no software TPM answers"), "{}", sign(&tpm));
}

#[test]
fn deny_a_store_in_another_state_of_the_machine() {
    if !is_there("/usr/bin/swtpm") {
        return;
    }
    let place = Place::new();
    let mut tpm = SoftTpm::start();
    let sealed = "secrets.tpm2_pcrs=[16]";
    tpm.ringfort(&place, "secrets", sealed, &["set", "a.b"]).input(VALUE).output().exits(0);
    tpm.ringfort(&place, "run", sealed, &SHOW).output().exits(0);
    tpm.extend(16);
    refused(tpm.ringfort(&place, "run", sealed, &SHOW).output(), "PCR 16 differs");
    refused(tpm.ringfort(&place, "run", "", &SHOW).output(), "PCR 16 differs");
    tpm.restart();
    tpm.ringfort(&place, "run", sealed, &SHOW).output().exits(0);
}

/// A token of SoftHSM with the label `mine`.
struct Token {
    folder: TempDir,
    settings: PathBuf,
}

impl Token {
    /// `None` where SoftHSM is not installed.
    fn new() -> Option<Self> {
        if !is_there("/usr/bin/softhsm2-util") || !is_there(MODULE) {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let (tokens, settings) = (folder.path().join("tokens"), folder.path().join("softhsm2.conf"));
        fs::create_dir(&tokens).unwrap();
        fs::write(&settings, format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display())).unwrap();
        let mut util = Command::new("/usr/bin/softhsm2-util");
        util.args(["--init-token", "--free", "--so-pin", "87654321", "--pin", PIN, "--label", "mine"]);
        assert!(util.env("SOFTHSM2_CONF", &settings).output().unwrap().status.success());
        Some(Self { folder, settings })
    }

    /// `ringfort secrets`, `keys` or `run` with this token.
    fn ringfort(&self, place: &Place, command: &str, settings: &str, rest: &[&str]) -> Program {
        let module = format!("secrets.pkcs11_module={MODULE:?}");
        let set = ["--set", "secrets.backend=pkcs11", "--set", &module, "--set", "secrets.pkcs11_token=mine"];
        let more = settings.split_whitespace().flat_map(|setting| ["--set", setting]);
        let words = [command].into_iter().chain(set).chain(more).chain(rest.iter().copied());
        place.ringfort(words).env("SOFTHSM2_CONF", &self.settings)
    }
}

/// Types answers to questions, waits for what comes last, and says whether the program succeeded. None of `unseen` is shown.
fn typed(program: &Program, answers: &[(&str, &str)], last: &str, unseen: &[&str]) -> bool {
    let mut pty = Pty::start(program);
    for (question, answer) in answers {
        pty.wait_for(question);
        pty.send(format!("{answer}\n"));
    }
    pty.wait_for(last);
    let seen = pty.everything();
    assert!(!unseen.iter().any(|text| seen.contains(text)), "{seen}");
    pty.ended().success()
}

#[test]
fn a_store_opens_with_its_token_and_its_pin() {
    let Some(token) = Token::new() else { return };
    let (place, settings, folder) = (Place::new(), &token.settings, &token.folder);
    let tokens = folder.path().join("tokens");
    let ringfort = |command: &str, rest: &[&str]| token.ringfort(&place, command, "", rest);
    let typed = |program: &Program, answers: &[(&str, &str)], last: &str| typed(program, answers, last, &[PIN, VALUE]);
    let lock = || ringfort("secrets", &["lock"]).output();
    refused(ringfort("secrets", &["set", "a.b"]).input(VALUE).output(), "PIN");
    let set = ringfort("secrets", &["set", "a.b"]);
    assert!(!typed(&set, &[("PIN of the token", "111111")], "its PIN is another one"));
    assert!(typed(&set, &[("PIN of the token", PIN), ("not shown", VALUE), ("Again", VALUE)], "stored"));
    assert!(!place.state.join("keys/secrets.key").exists(), "no key file lies beside it");
    lock();
    refused(ringfort("run", &SHOW).output(), "PIN");
    let run = ringfort("run", &SHOW);
    assert!(!typed(&run, &[("PIN of the token", "111111")], "its PIN is another one"));
    let length = format!("length-{}", VALUE.len());
    assert!(typed(&run, &[("PIN of the token", PIN)], &length));
    lock();
    fs::rename(&tokens, folder.path().join("away")).unwrap();
    fs::create_dir(&tokens).unwrap();
    assert!(!typed(&run, &[("PIN of the token", PIN)], "no token is there"));
    // How a module is found is shown as it is.
    for (module, found) in [(MODULE, "absent"), ("/etc/passwd", "broken"), ("/no/such/module.so", "absent")] {
        let module = format!("secrets.pkcs11_module={module:?}");
        let words = ["--json", "secrets", "--set", "secrets.backend=pkcs11", "--set", &module, "status"];
        let status = place.ringfort(words).env("SOFTHSM2_CONF", settings).output().exits(0).out();
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        assert_eq!((&status["requestedBackend"], &status["rootKey"]), (&"pkcs11".into(), &found.into()), "{status}");
    }
}

/// A file with this PIN and these rights, outside the workspace; written anew.
fn pin_file(place: &Place, pin: &str, mode: u32) -> PathBuf {
    let path = place.outside.join("pin");
    fs::write(&path, format!("{pin}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

#[test]
fn a_token_opens_the_store_with_the_pin_of_a_file() {
    let Some(token) = Token::new() else { return };
    let place = Place::new();
    let setting = format!("secrets.pkcs11_pin_file={:?}", place.outside.join("pin"));
    let ringfort = |command: &str, rest: &[&str]| token.ringfort(&place, command, &setting, rest);
    pin_file(&place, PIN, 0o600);
    ringfort("secrets", &["set", "a.b"]).input(VALUE).output().exits(0);
    let shown = ringfort("run", &SHOW).output().exits(0);
    assert_eq!(shown.out().trim(), format!("length-{}", VALUE.len()));
    let made = ringfort("keys", &["generate", "release", "--provider", "pkcs11", "--kind", "ecdsa-p256"]);
    made.output().exits(0);
    ringfort("keys", &["sign", "release"]).input("what is signed").output().exits(0);
    refused(token.ringfort(&place, "run", "", &SHOW).output(), "PIN");
}

#[test]
fn deny_the_pin_of_a_token_from_a_file_that_others_read_or_that_was_refused() {
    let Some(token) = Token::new() else { return };
    let place = Place::new();
    let path = pin_file(&place, PIN, 0o600);
    let setting = format!("secrets.pkcs11_pin_file={path:?}");
    let ringfort = |command: &str, rest: &[&str]| token.ringfort(&place, command, &setting, rest);
    ringfort("secrets", &["set", "a.b"]).input(VALUE).output().exits(0);
    for mode in [0o640, 0o604, 0o666] {
        pin_file(&place, PIN, mode);
        refused(ringfort("run", &SHOW).output(), "can be reached by others");
        refused(
            ringfort("keys", &["generate", "release", "--provider", "pkcs11"]).output(),
            "can be reached by others",
        );
    }
    pin_file(&place, "111111", 0o600);
    refused(ringfort("run", &SHOW).output(), "its PIN is another one");
    for _ in 0..2 {
        refused(ringfort("run", &SHOW).output(), "was refused and is not sent again");
        refused(ringfort("keys", &["generate", "release", "--provider", "pkcs11"]).output(), "is not sent again");
    }
    fs::remove_file(&path).unwrap();
    refused(ringfort("run", &SHOW).output(), "does not exist");
    pin_file(&place, PIN, 0o600);
    ringfort("run", &SHOW).output().exits(0);
}

/// The PIN of the key in a TPM.
const TPM_PIN: &str = "8041-tpm";

/// A place whose store opens with a TPM and its PIN only.
fn with_pin(tpm: &SoftTpm) -> Place {
    let place = Place::new();
    tpm.ringfort(&place, "secrets", "", &["set", "a.b"]).input(VALUE).output().exits(0);
    let add = tpm.ringfort(&place, "secrets", "", &["slot", "add", "tpm2", "--pin"]);
    refused(add.output(), "a new PIN is asked for on a terminal");
    let add = tpm.ringfort(&place, "secrets", "", &["slot", "add", "tpm2", "--pin"]);
    assert!(!typed(&add, &[("New PIN", "123"), ("Again", "123")], "at least 4", &[]), "too short");
    let answers = [("New PIN of the TPM", TPM_PIN), ("Again", TPM_PIN)];
    assert!(typed(&add, &answers, "needs a PIN", &[TPM_PIN]));
    let slots = tpm.ringfort(&place, "secrets", "", &["--json", "slot", "list"]).output().exits(0).out();
    let slots: serde_json::Value = serde_json::from_str(&slots).unwrap();
    assert_eq!((slots["slots"].as_array().unwrap().len(), &slots["slots"][0]["pin"]), (1, &true.into()), "{slots}");
    tpm.ringfort(&place, "secrets", "", &["lock"]).output();
    place
}

#[test]
fn a_tpm_opens_the_store_with_a_pin() {
    if !is_there("/usr/bin/swtpm") {
        return;
    }
    let tpm = SoftTpm::start();
    let place = with_pin(&tpm);
    let run = |settings: &str| tpm.ringfort(&place, "run", settings, &SHOW);
    refused(run("").output(), "its PIN is needed");
    let answers = [("PIN of the TPM", "0000"), ("not the PIN", ""), ("PIN of the TPM", TPM_PIN)];
    let length = format!("length-{}", VALUE.len());
    assert!(!typed(&run(""), &answers[..2], "nothing was changed", &[TPM_PIN]), "no PIN is no PIN");
    assert!(typed(&run(""), &answers[2..], &length, &[TPM_PIN]));
    tpm.ringfort(&place, "secrets", "", &["lock"]).output();
    let setting = format!("secrets.tpm2_pin_file={:?}", pin_file(&place, TPM_PIN, 0o600));
    assert_eq!(run(&setting).output().exits(0).out().trim(), length);
    refused(run("").output(), "its PIN is needed");
}

#[test]
fn deny_the_pin_of_a_tpm_from_a_file_that_others_read_or_that_was_refused() {
    if !is_there("/usr/bin/swtpm") {
        return;
    }
    let tpm = SoftTpm::start();
    let place = with_pin(&tpm);
    let setting = format!("secrets.tpm2_pin_file={:?}", place.outside.join("pin"));
    let run = || tpm.ringfort(&place, "run", &setting, &SHOW).output();
    pin_file(&place, TPM_PIN, 0o640);
    refused(run(), "can be reached by others");
    let device = format!("secrets.tpm2_device=\"loopback:{}\"", tpm.port);
    let doctor = place.ringfort(["doctor", "--set", &device, "--set", &setting]).output();
    assert!(doctor.out().contains("a PIN cannot be used") && doctor.code() != Some(0), "{doctor}");
    pin_file(&place, "0000", 0o600);
    refused(run(), "is not the right one");
    // Its lock is three wrong ones away: one that was refused is not sent again, and the right one still opens.
    for _ in 0..5 {
        refused(run(), "was refused and is not sent again");
    }
    pin_file(&place, TPM_PIN, 0o600);
    run().exits(0);
}

#[test]
fn deny_every_pin_once_the_tpm_counts_too_many_wrong_ones() {
    if !is_there("/usr/bin/swtpm") {
        return;
    }
    let tpm = SoftTpm::start();
    let place = with_pin(&tpm);
    let run = tpm.ringfort(&place, "run", "", &SHOW);
    let wrong = ("PIN of the TPM", "0000");
    assert!(!typed(&run, &[wrong, wrong, wrong], "3 wrong PINs", &[VALUE]));
    assert!(!typed(&run, &[("PIN of the TPM", TPM_PIN)], "locked after too many wrong PINs", &[VALUE]));
    let count = fs::read_to_string(place.state.join("secrets/lockout")).unwrap();
    assert!(count.contains("\"total\":{\"count\":3"), "ours counts them too: {count}");
}

#[test]
fn a_new_store_key_asks_for_the_pin_and_the_counter_follows_it() {
    if !is_there("/usr/bin/swtpm") {
        return;
    }
    let tpm = SoftTpm::start();
    let place = with_pin(&tpm);
    let rekey = || tpm.ringfort(&place, "secrets", "", &["rekey"]);
    refused(rekey().output(), "the PIN of the TPM is needed");
    let answers = [("PIN of the TPM", "0000"), ("not the PIN", ""), ("PIN of the TPM", TPM_PIN)];
    assert!(!typed(&rekey(), &answers[..2], "nothing was changed", &[]), "no PIN is no PIN");
    assert!(typed(&rekey(), &answers[2..], "opens with: tpm2", &[TPM_PIN]));
    let setting = format!("secrets.tpm2_pin_file={:?}", pin_file(&place, TPM_PIN, 0o600));
    tpm.ringfort(&place, "run", &setting, &SHOW).output().exits(0);
    tpm.ringfort(&place, "secrets", &setting, &["rekey"]).output().exits(0);
    let (place, tpm) = (Place::new(), SoftTpm::start());
    let secrets = |words: &[&str]| tpm.ringfort(&place, "secrets", COUNTED, words);
    secrets(&["set", "a.b"]).input(VALUE).output().exits(0);
    let before = place.root.join("before");
    copy(&place.state, &before);
    secrets(&["rekey"]).output().exits(0);
    secrets(&["get", "a.b"]).output().exits(0);
    assert!(secrets(&["status"]).output().exits(0).out().contains("a counter of the TPM follows"));
    // The whole folder of before, with the old key and its record, is older than the counter.
    put_back(&place, &before);
    refused(secrets(&["list"]).output(), "older file was put back");
}

/// The settings of a store that a key file opens and a counter follows: what is refused is refused by the counter.
const COUNTED: &str = "secrets.backend=encrypted-file secrets.tpm2_counter=true";

fn put_back(place: &Place, from: &std::path::Path) {
    fs::remove_dir_all(&place.state).unwrap();
    copy(from, &place.state);
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

#[test]
fn deny_a_whole_state_that_was_put_back_until_a_person_takes_it() {
    if !is_there("/usr/bin/swtpm") {
        return;
    }
    let (place, tpm) = (Place::new(), SoftTpm::start());
    let secrets = |settings: &str, words: &[&str]| tpm.ringfort(&place, "secrets", settings, words);
    secrets(COUNTED, &["set", "a.b"]).input(VALUE).output().exits(0);
    secrets(COUNTED, &["set", "a.c"]).input("second").output().exits(0);
    let before = place.root.join("before");
    copy(&place.state, &before);
    secrets(COUNTED, &["set", "a.b"]).input("a newer value").output().exits(0);
    assert!(secrets(COUNTED, &["status"]).output().exits(0).out().contains("a counter of the TPM follows"));
    put_back(&place, &before);
    // The key is there, the files are whole, and the record beside the store agrees with them.
    let file = "secrets.backend=encrypted-file";
    for settings in [COUNTED, file] {
        for words in [&["get", "a.b"][..], &["--json", "list"], &["delete", "a.b", "--yes"]] {
            refused(secrets(settings, words).output(), "an older file was put back");
        }
        refused(secrets(settings, &["set", "a.b"]).input("x").output(), "an older file was put back");
        refused(tpm.ringfort(&place, "run", settings, &SHOW).output(), "an older file was put back");
    }
    let status = secrets(COUNTED, &["status"]).output();
    assert!(status.code() != Some(0) && status.out().contains("an older state was put back"), "{status}");
    let status = secrets(COUNTED, &["--json", "status"]).output().out();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&status).unwrap()["counter"]["state"], "older", "{status}");
    let device = format!("secrets.tpm2_device=\"loopback:{}\"", tpm.port);
    let doctor = place.ringfort(["doctor", "--set", &device, "--set", "secrets.tpm2_counter=true"]).output();
    assert!(doctor.out().contains("an older state was put back"), "{doctor}");
    secrets(COUNTED, &["restore", "--yes"]).output().exits(0);
    assert_eq!(
        tpm.ringfort(&place, "run", COUNTED, &SHOW).output().exits(0).out().trim(),
        format!("length-{}", VALUE.len())
    );
    secrets(COUNTED, &["set", "a.d"]).input("goes on").output().exits(0);
    put_back(&place, &before);
    refused(secrets(COUNTED, &["get", "a.b"]).output(), "an older file was put back");
}

#[test]
fn deny_a_store_without_the_counter_that_is_asked_for() {
    if !is_there("/usr/bin/swtpm") {
        return;
    }
    let (place, mut tpm) = (Place::new(), SoftTpm::start());
    let file = "secrets.backend=encrypted-file";
    tpm.ringfort(&place, "secrets", file, &["set", "a.b"]).input(VALUE).output().exits(0);
    let before = place.root.join("before");
    copy(&place.state, &before);
    let get = |tpm: &SoftTpm, settings| tpm.ringfort(&place, "secrets", settings, &["get", "a.b"]).output();
    let restore = |tpm: &SoftTpm, settings| tpm.ringfort(&place, "secrets", settings, &["restore", "--yes"]).output();
    refused(get(&tpm, COUNTED), "no counter of the TPM follows this store");
    restore(&tpm, COUNTED).exits(0);
    get(&tpm, COUNTED).exits(0);
    put_back(&place, &before);
    refused(get(&tpm, COUNTED), "no counter of the TPM follows this store");
    restore(&tpm, COUNTED).exits(0);
    // Another TPM, and none: refused, and not taken back without one either.
    let other = SoftTpm::start();
    refused(get(&other, COUNTED), "another TPM");
    tpm.stop();
    refused(get(&tpm, COUNTED), "no software TPM answers");
    refused(restore(&tpm, COUNTED), "a counter of the TPM is to follow the store");
    // On another machine it gets a counter of its own; without the key it is let go.
    restore(&other, COUNTED).exits(0);
    get(&other, COUNTED).exits(0);
    restore(&other, file).exits(0);
    get(&other, file).exits(0);
    let status = other.ringfort(&place, "secrets", file, &["--json", "status"]).output().exits(0).out();
    assert!(serde_json::from_str::<serde_json::Value>(&status).unwrap()["counter"].is_null(), "{status}");
}

#[test]
fn deny_what_was_before_a_new_store_key_with_a_pin_and_a_counter() {
    if !is_there("/usr/bin/swtpm") {
        return;
    }
    let tpm = SoftTpm::start();
    let place = with_pin(&tpm);
    let file = format!("secrets.tpm2_pin_file={:?}", pin_file(&place, TPM_PIN, 0o600));
    let settings = format!("{file} secrets.tpm2_counter=true");
    let secrets = |settings: &str, words: &[&str]| tpm.ringfort(&place, "secrets", settings, words).output();
    secrets(&settings, &["restore", "--yes"]).exits(0);
    let before = place.root.join("before");
    copy(&place.state, &before);
    secrets(&settings, &["rekey"]).exits(0);
    secrets(&settings, &["get", "a.b"]).exits(0);
    let rekeyed = place.root.join("rekeyed");
    copy(&place.state, &rekeyed);
    // Without the file the slot is out of reach of who cannot be asked, and who can is asked for its PIN.
    refused(secrets("secrets.tpm2_counter=true", &["rekey"]), "the PIN of the TPM is needed");
    let typing = tpm.ringfort(&place, "secrets", "secrets.tpm2_counter=true", &["rekey"]);
    assert!(typed(&typing, &[("PIN of the TPM", TPM_PIN)], "has a new key", &[TPM_PIN]));
    secrets(&settings, &["get", "a.b"]).exits(0);
    for old in [&before, &rekeyed] {
        put_back(&place, old);
        refused(secrets(&settings, &["get", "a.b"]), "an older file was put back");
    }
}
