// SPDX-License-Identifier: MIT OR Apache-2.0
//! Control groups: bounds on everything that a session starts, together.
//!
//! In: limits. Out: a [`Group`] that holds as many of them as this host lets this user hold, by the unified hierarchy
//! where it has the controller, else by the old one; and for each that it cannot hold the reason.
//!
//! **Invariant:** a bound counts as held only when the kernel showed it back after it was written. A program is in its
//! group before its first instruction, for it writes itself into it. Groups are removed when nothing uses them any
//! more; those of a killed maker at the next start, and nobody else's are touched.
//! Only a session that asks for a limit pays for any of this.

mod place;
mod sweep;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use self::place::Hierarchy;
use self::sweep::{Maker, put};
use crate::profile::Limits;

/// What a control group can bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Controller {
    /// Memory of all processes together.
    Memory,
    /// Number of processes and threads together.
    Pids,
    /// Share of the processors.
    Cpu,
}

impl Controller {
    const ALL: [Self; 3] = [Self::Memory, Self::Pids, Self::Cpu];

    /// The kernel's name for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
        }
    }

    /// What a limit asks of it.
    pub(crate) fn asked(self, limits: &Limits) -> Option<u64> {
        match self {
            Self::Memory => limits.memory_bytes_max,
            Self::Pids => limits.processes_max,
            Self::Cpu => limits.cpu_percent_max,
        }
    }
}

/// Which form of control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Version {
    /// One hierarchy for each controller.
    V1,
    /// The unified one.
    V2,
}

/// Length of the period in which a share of the processors is counted. Microseconds.
const PERIOD_US: u64 = 100_000;
/// What one processor is, in percent.
const PERCENT: u64 = 100;
/// Smallest share that the kernel takes. Microseconds.
const QUOTA_US_MIN: u64 = 1_000;
/// Allowance by which the kernel may round a bound down: one page.
const PAGE_BYTES: u64 = 64 << 10;
/// How often the removal of a group is tried while its last processes are going.
const REMOVALS_MAX: u32 = 50;
/// Pause between two tries.
const REMOVAL_PAUSE: Duration = Duration::from_millis(2);

/// How often limits of a group were hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hits {
    /// Processes that were ended because the memory was used up.
    pub memory_kills: u64,
    /// Processes and threads that could not be started because there were too many.
    pub starts_refused: u64,
}

impl Hits {
    /// Whether nothing was hit.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A control group for one session; every cage of the session is below it. Removed when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Group(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folders: Vec<Folder>,
    bounds: BTreeMap<Controller, (u64, Version)>,
    missing: BTreeMap<Controller, String>,
    cages: AtomicU32,
    memory_kills: AtomicU64,
    starts_refused: AtomicU64,
    /// What a group above reported, at most that of its leaves: kernels differ in where they count.
    own: Mutex<Hits>,
}

/// One folder of a group, in one hierarchy.
#[derive(Clone, Debug)]
struct Folder {
    path: PathBuf,
    version: Version,
    controllers: Vec<Controller>,
}

impl Group {
    /// A group for what `limits` bounds; `None` when they ask for nothing that a group could hold.
    pub fn for_limits(limits: &Limits) -> Option<Self> {
        let asked: BTreeMap<Controller, u64> =
            Controller::ALL.into_iter().filter_map(|one| Some((one, one.asked(limits)?))).collect();
        (!asked.is_empty()).then(|| Self::make(&place::hierarchies(), &asked))
    }

    /// What can be bounded here, found by making a group with bounds that bind nothing.
    pub fn available() -> Vec<(Controller, Version)> {
        let wide = BTreeMap::from([
            (Controller::Memory, 1 << 50),
            (Controller::Pids, 1 << 20),
            (Controller::Cpu, PERCENT * 64),
        ]);
        let group = Self::make(&place::hierarchies(), &wide);
        group.0.bounds.iter().map(|(controller, (_, version))| (*controller, *version)).collect()
    }

    fn make(hierarchies: &[Hierarchy], asked: &BTreeMap<Controller, u64>) -> Self {
        let mut inner = Inner {
            folders: Vec::new(),
            bounds: BTreeMap::new(),
            missing: BTreeMap::new(),
            cages: AtomicU32::new(0),
            memory_kills: AtomicU64::new(0),
            starts_refused: AtomicU64::new(0),
            own: Mutex::new(Hits::default()),
        };
        match Maker::own() {
            Some(maker) => hierarchies.iter().for_each(|hierarchy| inner.extend(hierarchy, maker, asked)),
            None => drop(inner.missing.insert(Controller::Memory, "`/proc` tells nothing of this process".to_owned())),
        }
        for controller in asked.keys().filter(|one| !inner.bounds.contains_key(one)) {
            inner.missing.entry(*controller).or_insert_with(|| {
                format!("no control group with the controller `{}` is mounted for this process", controller.as_str())
            });
        }
        Self(Arc::new(inner))
    }

    /// By which form of control groups this is bounded, and where the bound is.
    pub fn bound(&self, controller: Controller) -> Option<(u64, Version)> {
        self.0.bounds.get(&controller).copied()
    }

    /// Why something that was asked for is not bounded by this group.
    pub fn missing(&self, controller: Controller) -> Option<&str> {
        self.0.missing.get(&controller).map(String::as_str)
    }

    /// How often the limits were hit until now.
    pub fn hits(&self) -> Hits {
        let own = self.0.folders.iter().map(Folder::hits).fold(Hits::default(), most);
        let mut seen = self.0.own.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = most(*seen, own);
        let leaves = Hits {
            memory_kills: self.0.memory_kills.load(Ordering::Relaxed),
            starts_refused: self.0.starts_refused.load(Ordering::Relaxed),
        };
        most(*seen, leaves)
    }

    /// A group for one cage below this one, with the bounds of `limits` that are smaller than the session's.
    pub(crate) fn leaf(&self, limits: &Limits) -> io::Result<Leaf> {
        let number = self.0.cages.fetch_add(1, Ordering::Relaxed).to_string();
        let mut leaf = Leaf { group: self.clone(), folders: Vec::new(), entrances: Vec::new() };
        for folder in &self.0.folders {
            let path = folder.path.join(&number);
            let narrower: Vec<(Controller, u64)> = folder
                .controllers
                .iter()
                .filter_map(|one| Some((*one, one.asked(limits)?)))
                .filter(|(one, value)| self.bound(*one).is_some_and(|(bound, _)| *value < bound))
                .collect();
            for (controller, _) in narrower.iter().filter(|_| folder.version == Version::V2) {
                put(&folder.path.join("cgroup.subtree_control"), &format!("+{}", controller.as_str()))?;
            }
            sweep::make(&path)?;
            let made = Folder { path, ..folder.clone() };
            leaf.folders.push(made.clone());
            for (controller, value) in narrower {
                made.bind(controller, value)?;
            }
            leaf.entrances.push(File::options().write(true).open(made.path.join("cgroup.procs"))?.into());
        }
        Ok(leaf)
    }
}

/// The larger of each.
fn most(a: Hits, b: Hits) -> Hits {
    Hits { memory_kills: a.memory_kills.max(b.memory_kills), starts_refused: a.starts_refused.max(b.starts_refused) }
}

impl Inner {
    /// Adds what `hierarchy` can hold of what is asked for and not held yet.
    fn extend(&mut self, hierarchy: &Hierarchy, maker: Maker, asked: &BTreeMap<Controller, u64>) {
        let wanted: Vec<(Controller, u64)> = asked
            .iter()
            .filter(|(one, _)| !self.bounds.contains_key(one))
            .filter(|(one, _)| hierarchy.version == Version::V2 || hierarchy.controllers.contains(one))
            .map(|(one, value)| (*one, *value))
            .collect();
        if wanted.is_empty() {
            return;
        }
        let mut best: Option<(Folder, Vec<(Controller, u64)>)> = None;
        for place in &hierarchy.places {
            sweep::sweep(place);
            match Folder::make(&place.join(maker.name()), hierarchy.version, &wanted) {
                Ok((folder, failed)) => {
                    for (controller, why) in failed {
                        self.missing.insert(controller, why);
                    }
                    let held: Vec<(Controller, u64)> =
                        wanted.iter().filter(|(one, _)| folder.controllers.contains(one)).copied().collect();
                    let is_whole = held.len() == wanted.len();
                    let is_better = best.as_ref().is_none_or(|(_, before)| held.len() > before.len());
                    // A v2 group without controllers still ends everything in it at once.
                    let replaced = if is_better { best.replace((folder, held)) } else { Some((folder, Vec::new())) };
                    if let Some((folder, _)) = replaced {
                        sweep::remove(&folder.path);
                    }
                    if is_whole {
                        break;
                    }
                }
                Err(error) => {
                    for (controller, _) in &wanted {
                        let why = format!("no group can be made in `{}`: {error}", place.display());
                        self.missing.insert(*controller, why);
                    }
                }
            }
        }
        if let Some((folder, held)) = best {
            for (controller, value) in held {
                self.bounds.insert(controller, (value, hierarchy.version));
                self.missing.remove(&controller);
            }
            self.folders.push(folder);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // What cannot be removed now is removed at the next start.
        for folder in &self.folders {
            sweep::remove(&folder.path);
        }
    }
}

impl Folder {
    /// Makes the folder and binds what it can; tells what it cannot.
    fn make(
        path: &Path,
        version: Version,
        wanted: &[(Controller, u64)],
    ) -> io::Result<(Self, Vec<(Controller, String)>)> {
        let place = path.parent().unwrap_or(path);
        if version == Version::V2 {
            delegate(place, wanted);
        }
        sweep::make(path)?;
        let mut folder = Self { path: path.to_path_buf(), version, controllers: Vec::new() };
        if let Err(error) = folder.may_enter(place) {
            sweep::remove(path);
            return Err(error);
        }
        let mut failed = Vec::new();
        for (controller, value) in wanted {
            match folder.bind(*controller, *value) {
                Ok(()) => folder.controllers.push(*controller),
                Err(error) => {
                    let name = controller.as_str();
                    failed.push((*controller, format!("`{name}` cannot be bounded in `{}`: {error}", place.display())));
                }
            }
        }
        Ok((folder, failed))
    }

    /// Whether this user may move its processes here. Asks for the same rights as the kernel will.
    fn may_enter(&self, place: &Path) -> io::Result<()> {
        File::options().write(true).open(self.path.join("cgroup.procs"))?;
        if self.version == Version::V2 {
            // A move needs the right to write the list of the group above both.
            File::options().write(true).open(place.join("cgroup.procs"))?;
            let kind = self.read("cgroup.type")?;
            if kind.trim() != "domain" {
                return Err(io::Error::other(format!("a group there is `{}`, which takes no processes", kind.trim())));
            }
        }
        Ok(())
    }

    /// Writes a bound and reads it back.
    fn bind(&self, controller: Controller, value: u64) -> io::Result<()> {
        match (controller, self.version) {
            (Controller::Memory, Version::V2) => {
                self.number("memory.max", value)?;
                // Absent where there is no swap.
                self.perhaps("memory.swap.max", "0")?;
                // One victim more or less is no end of a build; all of them are.
                self.perhaps("memory.oom.group", "1")
            }
            (Controller::Memory, Version::V1) => {
                // Always so since Linux 5.11, and then refused.
                drop(self.perhaps("memory.use_hierarchy", "1"));
                self.number("memory.limit_in_bytes", value)?;
                self.perhaps("memory.memsw.limit_in_bytes", &value.to_string())
            }
            (Controller::Pids, _) => self.number("pids.max", value),
            (Controller::Cpu, version) => {
                let quota = (value.saturating_mul(PERIOD_US) / PERCENT).max(QUOTA_US_MIN);
                match version {
                    Version::V2 => self.exactly("cpu.max", &format!("{quota} {PERIOD_US}")),
                    Version::V1 => {
                        self.exactly("cpu.cfs_period_us", &PERIOD_US.to_string())?;
                        self.exactly("cpu.cfs_quota_us", &quota.to_string())
                    }
                }
            }
        }
    }

    fn number(&self, name: &str, value: u64) -> io::Result<()> {
        put(&self.path.join(name), &value.to_string())?;
        let shown = self.read(name)?;
        let bound: Option<u64> = shown.trim().parse().ok();
        // The kernel rounds memory down to whole pages.
        match bound {
            Some(bound) if bound <= value && bound >= value.saturating_sub(PAGE_BYTES) => Ok(()),
            _ => Err(io::Error::other(format!("`{name}` shows `{}`", shown.trim()))),
        }
    }

    fn exactly(&self, name: &str, value: &str) -> io::Result<()> {
        put(&self.path.join(name), value)?;
        let shown = self.read(name)?;
        if shown.trim() == value { Ok(()) } else { Err(io::Error::other(format!("`{name}` shows `{}`", shown.trim()))) }
    }

    /// Writes a file unless this kernel has none of that name.
    fn perhaps(&self, name: &str, value: &str) -> io::Result<()> {
        match put(&self.path.join(name), value) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            answer => answer,
        }
    }

    fn read(&self, name: &str) -> io::Result<String> {
        std::fs::read_to_string(self.path.join(name))
    }

    fn hits(&self) -> Hits {
        let count = |file: &str, key: &str| {
            let text = self.read(file).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
            line.and_then(|value| value.parse().ok()).unwrap_or(0)
        };
        let memory = if self.version == Version::V2 { "memory.events" } else { "memory.oom_control" };
        Hits { memory_kills: count(memory, "oom_kill"), starts_refused: count("pids.events", "max") }
    }
}

/// Lets groups below `place` have the controllers. Refused where it is not ours to say.
fn delegate(place: &Path, wanted: &[(Controller, u64)]) {
    // Some controllers can be handed on by a group with processes of its own, which then becomes one of threads: that
    // would change what others made, and the groups in it would take no processes. The root alone has no type.
    let has_processes = std::fs::read_to_string(place.join("cgroup.procs")).is_ok_and(|list| !list.is_empty());
    if has_processes && place.join("cgroup.type").exists() {
        return;
    }
    let given = std::fs::read_to_string(place.join("cgroup.subtree_control")).unwrap_or_default();
    for (controller, _) in wanted {
        let name = controller.as_str();
        if !given.split_ascii_whitespace().any(|one| one == name) {
            // What then is missing is told when the bound cannot be written.
            let _refused: io::Result<()> = put(&place.join("cgroup.subtree_control"), &format!("+{name}"));
        }
    }
}

/// The group of one cage. Dropped when the cage is gone; what is left in it then is killed.
#[derive(Debug)]
pub(crate) struct Leaf {
    group: Group,
    folders: Vec<Folder>,
    entrances: Vec<OwnedFd>,
}

impl Leaf {
    /// Where a process writes `0` to be in the group. Whoever has taken them keeps them open until then.
    pub(crate) fn take_entrances(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.entrances)
    }

    /// The group that this one is below.
    pub(crate) fn group(&self) -> &Group {
        &self.group
    }

    /// Kills everything in it; `true` where the kernel did so at once.
    pub(crate) fn kill(&self) -> bool {
        let unified = self.folders.iter().find(|folder| folder.version == Version::V2);
        unified.is_some_and(|folder| put(&folder.path.join("cgroup.kill"), "1").is_ok())
    }
}

impl Drop for Leaf {
    fn drop(&mut self) {
        let inner = &self.group.0;
        for folder in &self.folders {
            let hits = folder.hits();
            inner.memory_kills.fetch_add(hits.memory_kills, Ordering::Relaxed);
            inner.starts_refused.fetch_add(hits.starts_refused, Ordering::Relaxed);
        }
        // Once more for the groups above, as long as they are there.
        self.group.hits();
        for folder in &self.folders {
            for round in 0..REMOVALS_MAX {
                if std::fs::remove_dir(&folder.path).is_ok() || !folder.path.exists() {
                    break;
                }
                if round == 0 {
                    sweep::end(&folder.path);
                }
                std::thread::sleep(REMOVAL_PAUSE);
            }
        }
    }
}

/// Removes the groups of makers that are gone, and ends what is left in them; returns their names.
pub fn sweep_groups() -> Vec<String> {
    let mut swept: Vec<String> =
        place::hierarchies().iter().flat_map(|one| &one.places).flat_map(|place| sweep::sweep(place)).collect();
    swept.sort();
    swept.dedup();
    swept
}

#[cfg(test)]
mod tests;
