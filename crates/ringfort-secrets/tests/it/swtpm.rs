// SPDX-License-Identifier: MIT OR Apache-2.0
//! Software TPMs for tests: real ones (swtpm), each with a folder and a port of its own.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests do, and say what they skip"
)]

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Child;
use std::time::Duration;

use ringfort_secrets::backend::tpm2::{TpmDevice, TpmOptions};
use tempfile::TempDir;

/// How long a TPM may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Whether skipping is an error.
#[expect(clippy::disallowed_methods, reason = "the test script says so")]
pub(crate) fn skips_are_errors() -> bool {
    std::env::var_os("RINGFORT_TEST_NO_SKIP").is_some_and(|value| value == "1")
}

/// A running software TPM. It is stopped when the value is dropped, and when the test's thread ends in any other way.
pub(crate) struct SoftTpm {
    folder: TempDir,
    process: Option<Child>,
    port: u16,
}

impl SoftTpm {
    /// A new TPM with new seeds; `None`, which is said, where there is no swtpm.
    pub(crate) fn start() -> Option<Self> {
        if !std::path::Path::new("/usr/bin/swtpm").exists() {
            assert!(!skips_are_errors(), "swtpm is not installed");
            eprintln!("skipped: swtpm is not installed");
            return None;
        }
        let mut tpm = Self { folder: tempfile::tempdir().unwrap(), process: None, port: 0 };
        tpm.run();
        Some(tpm)
    }

    /// Stops it as a loss of power does, and starts it again: PCRs are reset, what is in NV memory stays.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.run();
    }

    /// Its options for those who use it.
    pub(crate) fn options(&self) -> TpmOptions {
        TpmOptions { device: TpmDevice::Loopback(self.port), ..TpmOptions::default() }
    }

    /// Its port.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Sends one command as it is and returns the response code.
    pub(crate) fn raw(&self, command: &[u8]) -> u32 {
        u32::from_be_bytes(exchange(self.port, command)[6..10].try_into().unwrap())
    }

    /// Extends a PCR of the SHA-256 bank with `value`.
    pub(crate) fn extend(&self, pcr: u8, value: [u8; 32]) {
        let mut command = vec![0x80, 0x02, 0, 0, 0, 0, 0, 0, 0x01, 0x82, 0, 0, 0, pcr];
        command.extend([0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0]); // the empty password
        command.extend([0, 0, 0, 1, 0, 0x0B]);
        command.extend(value);
        command[5] = u8::try_from(command.len()).unwrap();
        assert_eq!(self.raw(&command), 0, "PCR_Extend");
    }

    /// Gives the owner hierarchy a password.
    pub(crate) fn own(&self, password: &[u8]) {
        let mut command = vec![0x80, 0x02, 0, 0, 0, 0, 0, 0, 0x01, 0x29, 0x40, 0, 0, 1];
        command.extend([0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0]);
        command.extend([0, u8::try_from(password.len()).unwrap()]);
        command.extend(password);
        command[5] = u8::try_from(command.len()).unwrap();
        assert_eq!(self.raw(&command), 0, "HierarchyChangeAuth");
    }

    /// How many transient objects and sessions it holds.
    pub(crate) fn handles(&self) -> usize {
        [0x8000_0000_u32, 0x0200_0000, 0x0300_0000].into_iter().map(|first| self.handles_from(first)).sum()
    }

    /// Flushes every transient object and session.
    pub(crate) fn clear(&self) {
        for first in [0x8000_0000_u32, 0x0200_0000] {
            let listed = self.list(first);
            for handle in listed[19..].chunks_exact(4) {
                let flush = [&[0x80, 1, 0, 0, 0, 14, 0, 0, 0x01, 0x65][..], handle].concat();
                assert_eq!(self.raw(&flush), 0, "FlushContext");
            }
        }
    }

    fn handles_from(&self, first: u32) -> usize {
        usize::try_from(u32::from_be_bytes(self.list(first)[15..19].try_into().unwrap())).unwrap()
    }

    fn list(&self, first: u32) -> Vec<u8> {
        let mut command = vec![0x80, 0x01, 0, 0, 0, 22, 0, 0, 0x01, 0x7A, 0, 0, 0, 1];
        command.extend(first.to_be_bytes());
        command.extend(64_u32.to_be_bytes());
        exchange(self.port, &command)
    }

    fn run(&mut self) {
        let (process, port) = ringfort_testkit::swtpm::start(self.folder.path()).unwrap();
        (self.process, self.port) = (Some(process), port);
    }

    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().ok();
            process.wait().ok();
        }
    }
}

impl Drop for SoftTpm {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Sends one command as it is and returns the response.
#[expect(clippy::disallowed_methods, reason = "the software TPM of this test")]
pub(crate) fn exchange(port: u16, command: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    socket.set_read_timeout(Some(ANSWER_MAX)).unwrap();
    socket.write_all(command).unwrap();
    let mut response = vec![0; 10];
    socket.read_exact(&mut response).unwrap();
    response.resize(usize::try_from(u32::from_be_bytes(response[2..6].try_into().unwrap())).unwrap(), 0);
    socket.read_exact(&mut response[10..]).unwrap();
    response
}
