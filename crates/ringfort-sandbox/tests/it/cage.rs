// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starts programs in a cage and collects what they print.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use ringfort_core::clock::Timestamp;
use ringfort_core::digest::Digest;
use ringfort_core::obligation::Obligations;
use ringfort_core::permit::Permit;
use ringfort_sandbox::achieved::{Achieved, Degree};
use ringfort_sandbox::launch::{Cage, Exit, LaunchError, Spawn, launch};
use ringfort_sandbox::profile::{DegreeRequest, Profile};
use tempfile::TempDir;

/// A permit for [`REQUEST`].
#[expect(clippy::disallowed_methods, reason = "tests have no pipeline; the permit itself is tested in core")]
pub(crate) fn permit() -> Permit {
    Permit::issue(request(), Obligations::default(), Timestamp(0))
}

pub(crate) fn request() -> Digest {
    Digest::of(b"a test")
}

/// A workspace, a home with a secret in it, and a profile for both.
pub(crate) struct Place {
    pub(crate) profile: Profile,
    pub(crate) home: PathBuf,
    pub(crate) workspace: PathBuf,
    pub(crate) outside: PathBuf,
    _folder: TempDir,
}

/// As much as the host can, the same without a user namespace (as root) or Landlock, and as little as every host can.
pub(crate) const DEGREES: [DegreeRequest; 3] = [DegreeRequest::Auto, DegreeRequest::Reduced, DegreeRequest::Minimal];

/// What the secrets of a [`Place`] contain.
pub(crate) const SECRET: &str = "the-secret-of-the-test";

impl Place {
    pub(crate) fn new(degree: DegreeRequest) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (home, workspace, outside) = (root.join("home"), root.join("home/work"), root.join("outside"));
        for path in [&workspace, &outside] {
            std::fs::create_dir_all(path).unwrap();
        }
        std::fs::write(home.join("secret"), SECRET).unwrap();
        std::fs::write(outside.join("secret"), SECRET).unwrap();
        std::fs::write(workspace.join("own"), "own").unwrap();
        let mut profile = Profile::new(workspace.clone(), home.clone());
        profile.degree = degree;
        let variables = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LANG", "C")];
        profile.environment = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        profile.environment.push(("HOME".into(), home.clone().into()));
        Self { profile, home, workspace, outside, _folder: folder }
    }

    /// Whether this host gives namespaces; reports a skip where not, which `RINGFORT_TEST_NO_SKIP=1` makes an error.
    #[expect(clippy::disallowed_methods, reason = "a test has no wiring; the variable only makes it stricter")]
    pub(crate) fn is_namespaced(&self) -> bool {
        let outcome = self.shell("true");
        if outcome.achieved.degree != Degree::Minimal {
            return true;
        }
        let strict = std::env::var_os("RINGFORT_TEST_NO_SKIP").is_some_and(|value| value == "1");
        assert!(!strict, "skipped, and skips are errors: {:?}", outcome.achieved.warnings);
        eprintln!("skipped: {:?}", outcome.achieved.warnings);
        false
    }

    /// As [`Place::is_namespaced`], for tests that go on in any degree.
    pub(crate) fn is_namespaced_quietly(&self) -> bool {
        self.shell("true").achieved.degree != Degree::Minimal
    }

    pub(crate) fn shell(&self, script: &str) -> Outcome {
        self.run("/bin/sh", &["sh", "-c", script]).unwrap()
    }

    pub(crate) fn run(&self, program: &str, argv: &[&str]) -> Result<Outcome, LaunchError> {
        let (mut out, stdout) = std::io::pipe().unwrap();
        let (mut err, stderr) = std::io::pipe().unwrap();
        let mut spawn = spawn(program, argv);
        spawn.stdout = stdout.into();
        spawn.stderr = stderr.into();
        let mut cage = launch(permit(), &request(), Timestamp(1), &self.profile, spawn)?;
        let errors = std::thread::spawn(move || {
            let mut text = Vec::new();
            err.read_to_end(&mut text).unwrap();
            text
        });
        let mut text = Vec::new();
        out.read_to_end(&mut text).unwrap();
        let exit = cage.wait();
        Ok(Outcome {
            exit,
            out: String::from_utf8_lossy(&text).into_owned(),
            err: String::from_utf8_lossy(&errors.join().unwrap()).into_owned(),
            achieved: cage.achieved().clone(),
        })
    }
}

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) achieved: Achieved,
}

impl Outcome {
    #[track_caller]
    pub(crate) fn prints(&self, expected: &str) {
        assert_eq!((self.out.trim(), self.exit), (expected, Exit::Exited(0)), "{self:#?}");
    }
}

pub(crate) fn null() -> OwnedFd {
    File::options().read(true).write(true).open("/dev/null").unwrap().into()
}

pub(crate) fn spawn(program: &str, argv: &[&str]) -> Spawn {
    Spawn {
        program: program.into(),
        argv: argv.iter().map(OsString::from).collect(),
        stdin: null(),
        stdout: null(),
        stderr: null(),
        terminal: None,
        broker: None,
    }
}

pub(crate) fn start(place: &Place, spawn: Spawn) -> Result<Cage, LaunchError> {
    launch(permit(), &request(), Timestamp(1), &place.profile, spawn)
}
