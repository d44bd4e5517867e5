// SPDX-License-Identifier: MIT OR Apache-2.0
//! A software TPM (swtpm) for tests, on a port of its own.
//!
//! In: a folder for its state. Out: a process that listens on loopback.
//!
//! **Invariant:** it ends with the thread that started it, whatever becomes of the test.

use std::io::{Error, Result};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often a port is tried: another program may take it between looking and using.
const PORT_TRIES: u32 = 10;
/// How long a TPM may take to listen.
const START_MAX: Duration = Duration::from_secs(10);
/// Pause between two looks at whether it listens.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Starts one, and waits until it listens; the number is that of its port.
///
/// # Errors
///
/// It cannot be started, or does not listen in time. None runs then.
#[expect(clippy::disallowed_methods, reason = "the software TPM of a test")]
pub fn start(folder: &Path) -> Result<(Child, u16)> {
    for _ in 0..PORT_TRIES {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "/usr/bin/swtpm", "socket", "--tpm2", "--tpmstate"])
            .arg(format!("dir={}", folder.display()))
            .args(["--server", &format!("type=tcp,port={port},bindaddr=127.0.0.1")])
            .args(["--flags", "not-need-init,startup-clear"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let started = Instant::now();
        while started.elapsed() < START_MAX && process.try_wait()?.is_none() {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok((process, port));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        process.kill().ok();
        process.wait()?;
    }
    Err(Error::other("no software TPM could be started"))
}
