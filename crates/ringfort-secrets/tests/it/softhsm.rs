// SPDX-License-Identifier: MIT OR Apache-2.0
//! Software tokens for tests: SoftHSM, each test with a process, a folder and tokens of its own.
//!
//! SoftHSM reads its settings from the environment of the process, so a test starts itself once more with them.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests do, start programs and say what they skip"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use ringfort_secrets::backend::pkcs11::TokenOptions;
use ringfort_secrets::locked::Locked;

use crate::swtpm::skips_are_errors;

/// The module.
pub(crate) const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
/// The user PIN of every token here.
pub(crate) const PIN: &str = "240917";
/// Where the inner process finds its folder.
const FOLDER: &str = "RINGFORT_TEST_TOKEN";

/// The folder of a test, inside the process that it started.
pub(crate) struct SoftHsm {
    folder: PathBuf,
}

impl SoftHsm {
    /// In the process of the test: makes tokens with `labels`, starts `name` again with them, and gives nothing. In the
    /// process that was started: gives the folder.
    pub(crate) fn inside(name: &str, labels: &[&str]) -> Option<Self> {
        if let Some(folder) = std::env::var_os(FOLDER) {
            return Some(Self { folder: folder.into() });
        }
        if !Path::new(MODULE).exists() || !Path::new("/usr/bin/softhsm2-util").exists() {
            assert!(!skips_are_errors(), "SoftHSM is not installed");
            eprintln!("skipped: SoftHSM is not installed");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path();
        std::fs::create_dir(place.join("tokens")).unwrap();
        let settings = place.join("softhsm2.conf");
        let tokens = place.join("tokens");
        std::fs::write(&settings, format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display())).unwrap();
        for label in labels {
            let mut util = Command::new("/usr/bin/softhsm2-util");
            util.args(["--init-token", "--free", "--so-pin", "87654321", "--pin", PIN, "--label", label]);
            let output = util.env("SOFTHSM2_CONF", &settings).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
        let source = crate::support::tests().join("it/shim.c");
        compile(source.as_ref(), &place.join("shim.so"));
        let mut inner = Command::new(std::env::current_exe().unwrap());
        inner.args([name, "--exact", "--nocapture", "--test-threads=1"]);
        inner.env(FOLDER, place).env("SHIM_FOLDER", place).env("SOFTHSM2_CONF", &settings);
        let output = inner.output().unwrap();
        let said = [String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)].concat();
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        None
    }

    /// The options for the token with `label`, by SoftHSM itself.
    pub(crate) fn options(&self, label: &str) -> TokenOptions {
        TokenOptions {
            module: MODULE.into(),
            label: Some(label.to_owned()),
            serial: None,
            pin: Some(Arc::new(Locked::copy_of(PIN.as_bytes()).unwrap())),
            timeout: Duration::from_secs(20),
        }
    }

    /// The same by the module of `shim.c`.
    pub(crate) fn shimmed(&self, label: &str) -> TokenOptions {
        TokenOptions { module: self.folder.join("shim.so"), ..self.options(label) }
    }

    /// A file in the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// How many objects the tokens hold, each token's own record with them.
    pub(crate) fn objects(&self) -> usize {
        let tokens = std::fs::read_dir(self.file("tokens")).unwrap().map(|token| token.unwrap().path());
        let files = tokens.flat_map(|token| std::fs::read_dir(token).unwrap()).map(|file| file.unwrap().path());
        files.filter(|file| file.extension().is_some_and(|end| end == "object")).count()
    }

    /// How often the module of `shim.c` was asked to do `what` since the last time.
    pub(crate) fn asked(&self, what: &str) -> usize {
        let log = std::fs::read_to_string(self.file("log")).unwrap_or_default();
        std::fs::remove_file(self.file("log")).ok();
        log.lines().filter(|line| *line == what).count()
    }
}

/// Makes a library of a C file.
pub(crate) fn compile(source: &Path, library: &Path) {
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-o"]).arg(library).arg(source).arg("-ldl");
    let output = compiler.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
