// SPDX-License-Identifier: MIT OR Apache-2.0
//! What keeps a secret in memory from reaching a disk or another process: set for this process, and looked at on the host.
//!
//! In: the kernel's settings. Out: what was set, read back; what was found.
//!
//! **Invariant:** [`process`] says what the kernel confirms, not what was asked for. [`report`] changes nothing, and what
//! cannot be read is said to be unknown.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, dumpable_behavior, getrlimit, set_dumpable_behavior, setrlimit,
};
use serde::Serialize;

use crate::locked::{Protection, protection};

/// Largest file of the kernel's that is read. Bytes.
const READ_MAX: u64 = 256 * 1024;
/// Most swap areas that are looked at.
const AREAS_MAX: usize = 64;

/// Why this process is not hardened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HardenError {
    /// The kernel refused. Some of it may have been set; nothing that was set is taken back.
    #[error("cannot {operation}")]
    System {
        /// What was attempted.
        operation: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel agreed, and yet it is not so.
    #[error("the kernel agreed to {operation}, but it is not so")]
    NotSo {
        /// What was attempted.
        operation: &'static str,
    },
}

/// Makes this process one that leaves no core dump and that no other process of the same user can trace or read.
///
/// A process that is not dumpable owns none of its files in `/proc`, and its children inherit that until they become
/// another program: whoever maps a user namespace there has to be dumpable for that moment.
///
/// # Errors
///
/// [`HardenError`]: it does not hold.
pub fn process() -> Result<(), HardenError> {
    let cores = "forbid core dumps";
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).map_err(|errno| HardenError::System { operation: cores, source: errno.into() })?;
    untraceable()?;
    if getrlimit(Resource::Core).current != Some(0) {
        return Err(HardenError::NotSo { operation: cores });
    }
    Ok(())
}

/// The same for a process that starts programs of others: what they may leave behind stays as it was, since every program
/// that is started begins anew and a limit would stay. This process itself leaves no core dump either.
///
/// # Errors
///
/// [`HardenError`]: it does not hold.
pub fn untraceable() -> Result<(), HardenError> {
    let traces = "keep others from tracing this process";
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|errno| HardenError::System { operation: traces, source: errno.into() })?;
    match dumpable_behavior() {
        Ok(DumpableBehavior::NotDumpable) => Ok(()),
        Ok(_) => Err(HardenError::NotSo { operation: traces }),
        Err(errno) => Err(HardenError::System { operation: traces, source: errno.into() }),
    }
}

/// Where pages go that are swapped out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Area {
    /// Compressed memory: it reaches no disk.
    Memory {
        /// Its name.
        name: String,
    },
    /// A device whose key is in the kernel.
    Encrypted {
        /// Its name.
        name: String,
    },
    /// A device or file that is not known to be encrypted.
    Plain {
        /// Its name.
        name: String,
    },
}

/// Where the kernel puts core dumps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "what")]
pub enum CoreDumps {
    /// Nowhere: a program that throws them away, or no pattern.
    Nowhere,
    /// Into a file.
    File(String),
    /// To a program.
    Program(String),
    /// It cannot be read.
    Unknown,
}

/// Whether the machine's memory is encrypted against its host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "what")]
pub enum Confidential {
    /// This is a confidential guest; by which technique.
    Guest(&'static str),
    /// The processor names the technique; whether it is in use is not known.
    Possible(Vec<&'static str>),
    /// No sign of it.
    None,
}

/// How the host stands to secrets in memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Posture {
    /// What kind of memory holds secrets here.
    pub protection: Protection,
    /// How much a process of this user may lock. Bytes; `None`: as much as it likes.
    pub memlock_bytes: Option<u64>,
    /// Where swapped pages go; `None`: not known.
    pub swap: Option<Vec<Area>>,
    /// Whether swapped pages are first kept compressed in memory.
    pub zswap: bool,
    /// Where core dumps go.
    pub core_dumps: CoreDumps,
    /// Who may trace a process: 0 every process of its user, 1 its parents, 2 an administrator, 3 nobody; `None`: the
    /// kernel does not restrict it, or does not say.
    pub ptrace_scope: Option<u8>,
    /// Whether the memory is encrypted against the host.
    pub confidential: Confidential,
}

/// Looks at this host.
pub fn report() -> Posture {
    let look = Look { root: PathBuf::from("/") };
    Posture {
        protection: protection(),
        memlock_bytes: getrlimit(Resource::Memlock).current,
        swap: look.swap(),
        zswap: look.line("sys/module/zswap/parameters/enabled").is_some_and(|on| on == "Y" || on == "1"),
        core_dumps: look.core_dumps(),
        ptrace_scope: look.line("proc/sys/kernel/yama/ptrace_scope").and_then(|scope| scope.parse().ok()),
        confidential: look.confidential(),
    }
}

/// The kernel's files, or a test's.
struct Look {
    root: PathBuf,
}

impl Look {
    fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        let file = fs::File::open(self.root.join(path)).ok()?;
        io::read_to_string(io::Read::take(file, READ_MAX)).ok()
    }

    fn line(&self, path: impl AsRef<Path>) -> Option<String> {
        Some(self.text(path)?.trim().to_owned())
    }

    fn swap(&self) -> Option<Vec<Area>> {
        let areas = self.text("proc/swaps")?;
        let name = |line: &str| line.split_whitespace().next().map(str::to_owned);
        Some(areas.lines().skip(1).filter_map(name).take(AREAS_MAX).map(|name| self.area(name)).collect())
    }

    fn area(&self, name: String) -> Area {
        let Some(device) = name.strip_prefix("/dev/") else { return Area::Plain { name } };
        // `/dev/mapper/swap` is a link to `/dev/dm-0`, under which the kernel knows it.
        let known = fs::canonicalize(self.root.join("dev").join(device))
            .ok()
            .and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()))
            .unwrap_or_else(|| device.to_owned());
        let block = Path::new("sys/class/block").join(&known);
        if known.starts_with("zram") {
            // It may write to a disk what does not compress.
            return match self.line(block.join("backing_dev")) {
                Some(disk) if disk != "none" && !disk.is_empty() => Area::Plain { name },
                _ => Area::Memory { name },
            };
        }
        match self.line(block.join("dm/uuid")) {
            Some(uuid) if uuid.starts_with("CRYPT-") => Area::Encrypted { name },
            _ => Area::Plain { name },
        }
    }

    fn core_dumps(&self) -> CoreDumps {
        let Some(pattern) = self.line("proc/sys/kernel/core_pattern") else { return CoreDumps::Unknown };
        match pattern.strip_prefix('|') {
            Some(program)
                if matches!(program.trim(), "/bin/false" | "/usr/bin/false" | "/bin/true" | "/usr/bin/true") =>
            {
                CoreDumps::Nowhere
            }
            Some(program) => CoreDumps::Program(program.split_whitespace().next().unwrap_or_default().to_owned()),
            None if pattern.is_empty() => CoreDumps::Nowhere,
            None => CoreDumps::File(pattern),
        }
    }

    fn confidential(&self) -> Confidential {
        let exists = |path: &str| self.root.join(path).exists();
        let info = self.text("proc/cpuinfo").unwrap_or_default();
        let flags = info.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
        let has = |flag: &str| flags.split_whitespace().any(|found| found == flag);
        if has("tdx_guest") || exists("dev/tdx_guest") {
            return Confidential::Guest("TDX");
        }
        if exists("dev/sev-guest") {
            return Confidential::Guest("SEV-SNP");
        }
        let named = [("sev_snp", "SEV-SNP"), ("sev_es", "SEV-ES"), ("sev", "SEV"), ("sme", "SME"), ("tme", "TME")];
        let possible: Vec<_> = named.into_iter().filter(|(flag, _)| has(flag)).map(|(_, name)| name).collect();
        if possible.is_empty() { Confidential::None } else { Confidential::Possible(possible) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Look) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let look = Look { root: folder.path().to_owned() };
        (folder, look)
    }

    #[test]
    fn swap_is_told_by_what_lies_under_it() {
        let head = "Filename\tType\tSize\tUsed\tPriority\n";
        let (folder, look) = host(&[
            (
                "proc/swaps",
                &format!(
                    "{head}/dev/zram0 partition 1 0 100\n/dev/zram1 partition 1 0 100\n/dev/mapper/cryptswap partition 1 0 -2\n/dev/sda2 partition 1 0 -3\n/swapfile file 1 0 -4\n/dev/dm-9 partition 1 0 -5\n"
                ),
            ),
            ("sys/class/block/zram0/backing_dev", "none\n"),
            ("sys/class/block/zram1/backing_dev", "/dev/sda3\n"),
            ("sys/class/block/dm-0/dm/uuid", "CRYPT-PLAIN-cryptswap\n"),
            ("sys/class/block/dm-9/dm/uuid", "LVM-abc\n"),
            ("dev/dm-0", ""),
            ("dev/mapper/.keep", ""),
        ]);
        symlink("../dm-0", folder.path().join("dev/mapper/cryptswap")).unwrap();
        let name = str::to_owned;
        assert_eq!(
            look.swap().unwrap(),
            [
                Area::Memory { name: name("/dev/zram0") },
                Area::Plain { name: name("/dev/zram1") },
                Area::Encrypted { name: name("/dev/mapper/cryptswap") },
                Area::Plain { name: name("/dev/sda2") },
                Area::Plain { name: name("/swapfile") },
                Area::Plain { name: name("/dev/dm-9") },
            ]
        );
        assert_eq!(host(&[("proc/swaps", head)]).1.swap(), Some(Vec::new()));
        assert_eq!(host(&[]).1.swap(), None, "not known is not none");
    }

    #[test]
    fn core_dumps_are_told_by_the_pattern() {
        for (pattern, expected) in [
            ("core\n", CoreDumps::File("core".to_owned())),
            ("/var/crash/%p\n", CoreDumps::File("/var/crash/%p".to_owned())),
            ("|/bin/false\n", CoreDumps::Nowhere),
            ("\n", CoreDumps::Nowhere),
            (
                "|/usr/lib/systemd/systemd-coredump %P %u\n",
                CoreDumps::Program("/usr/lib/systemd/systemd-coredump".to_owned()),
            ),
        ] {
            assert_eq!(host(&[("proc/sys/kernel/core_pattern", pattern)]).1.core_dumps(), expected, "{pattern}");
        }
        assert_eq!(host(&[]).1.core_dumps(), CoreDumps::Unknown);
    }

    #[test]
    fn confidential_computing_is_said_of_guests_and_only_hinted_at_elsewhere() {
        let info = |flags: &str| format!("processor : 0\nflags\t\t: fpu vme {flags} aes\n");
        for (files, expected) in [
            (vec![("proc/cpuinfo", info("tdx_guest"))], Confidential::Guest("TDX")),
            (vec![("proc/cpuinfo", info("sev")), ("dev/sev-guest", String::new())], Confidential::Guest("SEV-SNP")),
            (vec![("proc/cpuinfo", info("sme sev sev_es"))], Confidential::Possible(vec!["SEV-ES", "SEV", "SME"])),
            (vec![("proc/cpuinfo", info("smep"))], Confidential::None),
            (vec![], Confidential::None),
        ] {
            let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
            assert_eq!(host(&files).1.confidential(), expected, "{files:?}");
        }
    }

    #[test]
    fn this_host_can_be_looked_at() {
        let posture = report();
        assert!(serde_json::to_value(&posture).unwrap().is_object());
        assert!(posture.swap.is_some(), "{posture:?}");
    }
}
