// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the process inside is told: the program, its limits, and what to probe.
//!
//! In: a checked profile, what is required, what to start, and where the paths of the outside are inside. Out: a
//! [`Brief`], and its bytes.
//!
//! **Invariant:** bytes of another version are refused. Nothing is looked up inside that is not named here, but a bare
//! program name in the folders of `PATH`.

use std::collections::BTreeSet;
use std::ffi::{CString, OsStr, c_uint};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ringfort_core::degree::Degree;
use ringfort_core::obligation::Promise;
use ringfort_core::syscalls::SyscallGroup;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use super::super::door::{NetworkPlan, Rights};
use super::super::filter::{self, Sockets};
use super::super::landlock::Grant;
use super::super::prepare;
use super::super::witness::{self, PROMISES};
use crate::launch::{LaunchError, Spawn};
use crate::profile::{DegreeRequest, Network, Profile};
use crate::runtimes::native::ProfileError;
use crate::syscall::{self, FileId, Instruction};

/// Version of the message: both sides are the same binary, unless it was replaced in between.
const VERSION: &str = concat!("ringfort-guest-1 ", env!("CARGO_PKG_VERSION"));
/// Largest brief, in bytes: the arguments and variables of a program are below 2 MiB, written as numbers.
pub(super) const BRIEF_BYTES_MAX: usize = 32 << 20;
/// Room for what stands around a string, and for an instruction. Bytes.
const ENTRY_BYTES: usize = 64;
/// Room for everything else. Bytes.
const HEAD_BYTES: usize = 4096;

/// Where things of the outside are inside, and what the view is like.
pub(crate) struct Place {
    /// The path inside of a path in the workspace.
    pub(crate) map: Rc<dyn Fn(&Path) -> PathBuf>,
    /// The folder in which the program starts.
    pub(crate) cwd: PathBuf,
    /// The environment inside.
    pub(crate) environment: Vec<(std::ffi::OsString, std::ffi::OsString)>,
    /// Folders that must not be writable inside.
    pub(crate) unwritable: Vec<PathBuf>,
    /// Paths that must not be readable inside.
    pub(crate) unreadable: Vec<PathBuf>,
    /// What Landlock grants inside; without any it is not used.
    pub(crate) grants: Vec<(PathBuf, Grant)>,
    /// A path that only Landlock refuses.
    pub(crate) canary: PathBuf,
    /// Whether the keeper has rights in its network namespace.
    pub(crate) rights: Rights,
    /// Resource limits of the program.
    pub(crate) rlimits: Vec<(c_uint, u64)>,
    /// How many control groups it enters.
    pub(crate) groups: usize,
}

/// What the process inside is told.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Brief {
    version: String,
    pub(super) cwd: Vec<u8>,
    pub(super) program: Vec<u8>,
    pub(super) argv: Vec<Vec<u8>>,
    /// Each as `NAME=VALUE`.
    pub(super) environment: Vec<Vec<u8>>,
    pub(super) limits: Vec<(u32, u64)>,
    pub(super) landlock_abi: u32,
    pub(super) grants: Vec<(Vec<u8>, Grant)>,
    pub(super) filter: Vec<Instruction>,
    pub(super) canary: Vec<u8>,
    pub(super) uncreatable: Vec<Vec<u8>>,
    pub(super) unreadable: Vec<Vec<u8>>,
    pub(super) protected: Vec<Vec<u8>>,
    pub(super) anchored: Vec<Vec<u8>>,
    pub(super) home: Vec<u8>,
    pub(super) home_outside: Option<FileId>,
    pub(super) root_outside: Option<FileId>,
    pub(super) network_outside: Option<FileId>,
    pub(super) pids_outside: Option<FileId>,
    /// Which promises must hold, in the order of [`Promise::ALL`].
    pub(super) required: [bool; PROMISES],
    pub(super) network: Network,
    pub(super) rights: Rights,
    pub(super) landlock_required: bool,
    pub(super) is_traceable: bool,
    /// Which descriptors come after the three standard ones.
    pub(super) terminal: bool,
    pub(super) broker: bool,
    pub(super) groups: usize,
}

/// The weakest degree that will do.
pub(crate) fn floor(profile: &Profile) -> Degree {
    if profile.degree == DegreeRequest::Full { Degree::Full } else { profile.degree_min }
}

fn bytes(path: impl AsRef<OsStr>) -> Vec<u8> {
    path.as_ref().as_bytes().to_vec()
}

impl Brief {
    /// Writes down what is to be done inside.
    ///
    /// # Errors
    ///
    /// A path, an argument or a variable holds a null byte.
    pub(crate) fn new(
        profile: &Profile,
        require: &BTreeSet<Promise>,
        spawn: &Spawn,
        place: Place,
    ) -> Result<Self, LaunchError> {
        let Place { map, cwd, environment, unwritable, unreadable, grants, canary, rights, rlimits, groups } = place;
        let list = |paths: &[PathBuf]| paths.iter().map(bytes).collect();
        let mut required = [false; PROMISES];
        for (flag, promise) in required.iter_mut().zip(Promise::ALL) {
            *flag = require.contains(&promise);
        }
        let (network_outside, pids_outside) = witness::own_namespaces();
        let name = prepare::probe_name()?;
        let home = prepare::c_path(&profile.home.path)?;
        let variables = environment.iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
        let brief = Self {
            version: VERSION.to_owned(),
            cwd: bytes(&cwd),
            program: bytes(&spawn.program),
            argv: spawn.argv.iter().map(bytes).collect(),
            environment: variables.collect(),
            limits: rlimits,
            landlock_abi: if grants.is_empty() { 0 } else { syscall::landlock_abi().unwrap_or(0) },
            grants: grants.into_iter().map(|(path, grant)| (bytes(path), grant)).collect(),
            canary: bytes(&canary),
            uncreatable: unwritable.iter().map(|folder| bytes(folder.join(&name))).collect(),
            filter: filter::build(Sockets::Namespaced, &profile.syscalls),
            unreadable: list(&unreadable),
            protected: profile.protected.iter().map(|path| bytes(map(path))).collect(),
            anchored: prepare::anchored(profile).into_iter().map(|path| bytes(map(path))).collect(),
            home_outside: syscall::stat(&home).ok(),
            home: bytes(&profile.home.path),
            root_outside: syscall::stat(c"/").ok(),
            network_outside,
            pids_outside,
            required,
            network: profile.network.clone(),
            rights,
            landlock_required: floor(profile) == Degree::Full,
            is_traceable: profile.syscalls.contains(SyscallGroup::Debug),
            groups,
            terminal: spawn.terminal.is_some(),
            broker: spawn.broker.is_some(),
        };
        environment.into_iter().for_each(|(_, value)| value.into_vec().zeroize());
        if brief.strings().any(|string| string.contains(&0)) {
            return Err(ProfileError::NullByte.into());
        }
        Ok(brief)
    }

    fn strings(&self) -> impl Iterator<Item = &Vec<u8>> {
        let one = [&self.cwd, &self.program, &self.canary, &self.home];
        let many =
            [&self.argv, &self.environment, &self.uncreatable, &self.unreadable, &self.protected, &self.anchored];
        one.into_iter().chain(many.into_iter().flatten()).chain(self.grants.iter().map(|(path, _)| path))
    }

    /// Which promise is required, by its place in [`Promise::ALL`].
    pub(super) fn required(&self) -> [bool; PROMISES] {
        self.required
    }

    /// What the keeper makes in its network namespace.
    pub(super) fn network_plan(&self) -> NetworkPlan {
        NetworkPlan::in_given(&self.network, self.rights)
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        // A byte is at most four characters; one that grew would leave the variables where it was before.
        let strings: usize = self.strings().map(|string| 4 * string.len() + ENTRY_BYTES).sum();
        let mut bytes =
            Vec::with_capacity(strings + ENTRY_BYTES * (self.filter.len() + self.limits.len()) + HEAD_BYTES);
        serde_json::to_writer(&mut bytes, self)?;
        Ok(bytes)
    }

    /// `None` where it is no brief of this version, or a string in it holds a null byte.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let brief: Self = serde_json::from_slice(bytes).ok()?;
        let is_clean = brief.strings().all(|string| !string.contains(&0));
        (brief.version == VERSION && is_clean).then_some(brief)
    }

    /// The program as it is found inside: itself if it holds a slash, otherwise the first in `PATH` that is executable.
    pub(super) fn find_program(&self) -> Vec<u8> {
        if self.program.contains(&b'/') {
            return self.program.clone();
        }
        let path = self.environment.iter().find_map(|line| line.strip_prefix(b"PATH=".as_slice()));
        let folders = path.unwrap_or_default().split(|byte| *byte == b':').filter(|folder| folder.starts_with(b"/"));
        let candidates = folders.map(|folder| [folder, b"/", self.program.as_slice()].concat());
        let can_execute = |path: &Vec<u8>| {
            use std::os::unix::fs::PermissionsExt as _;
            let found = Path::new(OsStr::from_bytes(path)).metadata();
            found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        };
        // One that is nowhere is executed as it is, below no folder that exists: the answer is "no such file".
        let nowhere = || [b"/nonexistent/".as_slice(), self.program.as_slice()].concat();
        candidates.into_iter().find(can_execute).unwrap_or_else(nowhere)
    }
}

impl Drop for Brief {
    fn drop(&mut self) {
        // Values that nobody else is to see may be among them.
        self.environment.iter_mut().for_each(|line| line.zeroize());
    }
}

/// Bytes without a null byte as a C string.
pub(super) fn c_string(bytes: &[u8]) -> Option<CString> {
    CString::new(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn brief(environment: &[&str], program: &str) -> Brief {
        let profile = Profile::new("/work".into(), "/home/u".into());
        let null = || std::fs::File::open("/dev/null").unwrap().into();
        let spawn = Spawn {
            program: program.into(),
            argv: vec![program.into()],
            stdin: null(),
            stdout: null(),
            stderr: null(),
            terminal: None,
            broker: None,
        };
        let place = Place {
            map: Rc::new(Path::to_path_buf),
            cwd: "/work".into(),
            environment: environment
                .iter()
                .filter_map(|line| line.split_once('='))
                .map(|(n, v)| (n.into(), v.into()))
                .collect(),
            unwritable: Vec::new(),
            unreadable: Vec::new(),
            grants: vec![("/usr".into(), Grant::Read)],
            canary: "/canary".into(),
            rights: Rights::None,
            rlimits: Vec::new(),
            groups: 0,
        };
        Brief::new(&profile, &[Promise::NoNetwork].into(), &spawn, place).unwrap()
    }

    #[test]
    fn a_brief_survives_the_socket() {
        let brief = brief(&["PATH=/usr/bin", "A=b=c"], "sh");
        assert_eq!(Brief::decode(&brief.encode().unwrap()), Some(brief));
    }

    #[test]
    fn deny_another_version_and_null_bytes() {
        let mut other = brief(&[], "sh");
        other.version.push('x');
        assert_eq!(Brief::decode(&other.encode().unwrap()), None);
        let mut null = brief(&[], "sh");
        null.argv.push(b"a\0b".to_vec());
        assert_eq!(Brief::decode(&null.encode().unwrap()), None);
        for text in ["", "{}", "null", "[]"] {
            assert_eq!(Brief::decode(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_bare_name_is_found_in_absolute_folders_only() {
        assert_eq!(brief(&["PATH=/nowhere:/bin"], "sh").find_program(), b"/bin/sh");
        assert_eq!(brief(&["PATH=/nowhere:/bin"], "./sh").find_program(), b"./sh");
        for path in ["PATH=bin:.:", "PATH=/nowhere", "OTHER=/bin"] {
            assert_eq!(brief(&[path], "sh").find_program(), b"/nonexistent/sh", "{path}");
        }
    }

    proptest! {
        #[test]
        fn noise_is_no_brief(noise: Vec<u8>) {
            prop_assert_eq!(Brief::decode(&noise), None);
        }
    }
}
