// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: a store whose key is in a device opens with that device, in that state, with that PIN, and with nothing else.
//!
//! In: software TPMs and software tokens, each of this test. Out: what a run gets, and what is said where it gets nothing.
#![expect(clippy::disallowed_methods, reason = "devices are started and addressed by these tests")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::pty::Pty;
use crate::support::{Output, Place, Program, skips_are_errors, until};

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
        let (process, port) = Self::run(&folder);
        Self { folder, process, port }
    }

    fn run(folder: &TempDir) -> (Child, u16) {
        for _ in 0..10 {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            let mut process = Command::new("setpriv")
                .args(["--pdeathsig", "KILL", "/usr/bin/swtpm", "socket", "--tpm2", "--tpmstate"])
                .arg(format!("dir={}", folder.path().display()))
                .args(["--server", &format!("type=tcp,port={port},bindaddr=127.0.0.1")])
                .args(["--flags", "not-need-init,startup-clear"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok();
            if until(Duration::from_secs(10), || process.try_wait().unwrap().map(|_| false).or(listens().map(|_| true)))
                == Some(true)
            {
                return (process, port);
            }
            process.kill().ok();
            process.wait().ok();
        }
        panic!("no software TPM could be started");
    }

    fn stop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }

    fn restart(&mut self) {
        self.stop();
        (self.process, self.port) = Self::run(&self.folder);
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
        let settings = settings.split_whitespace().flat_map(|setting| ["--set", setting]);
        let words = [command, "--set", "secrets.backend=tpm2", "--set", &device];
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

#[test]
fn a_store_opens_with_its_token_and_its_pin() {
    if !is_there("/usr/bin/softhsm2-util") || !is_there(MODULE) {
        return;
    }
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let (tokens, settings) = (folder.path().join("tokens"), folder.path().join("softhsm2.conf"));
    fs::create_dir(&tokens).unwrap();
    fs::write(&settings, format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display())).unwrap();
    let mut util = Command::new("/usr/bin/softhsm2-util");
    util.args(["--init-token", "--free", "--so-pin", "87654321", "--pin", PIN, "--label", "mine"]);
    assert!(util.env("SOFTHSM2_CONF", &settings).output().unwrap().status.success());
    let ringfort = |command: &str, rest: &[&str]| {
        let module = format!("secrets.pkcs11_module={MODULE:?}");
        let set = ["--set", "secrets.backend=pkcs11", "--set", &module, "--set", "secrets.pkcs11_token=mine"];
        let words = [command].into_iter().chain(set).chain(rest.iter().copied());
        place.ringfort(words).env("SOFTHSM2_CONF", &settings)
    };
    let typed = |program: &Program, answers: &[(&str, &str)], last: &str| {
        let mut pty = Pty::start(program);
        for (question, answer) in answers {
            pty.wait_for(question);
            pty.send(format!("{answer}\n"));
        }
        pty.wait_for(last);
        let seen = pty.everything();
        assert!(!seen.contains(PIN) && !seen.contains(VALUE), "{seen}");
        pty.ended().success()
    };
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
        let status = place.ringfort(words).env("SOFTHSM2_CONF", &settings).output().exits(0).out();
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        assert_eq!((&status["requestedBackend"], &status["rootKey"]), (&"pkcs11".into(), &found.into()), "{status}");
    }
}
