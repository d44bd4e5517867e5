// SPDX-License-Identifier: MIT OR Apache-2.0
//! Settling: after the cage ended, every start-up file is as it was, harmless, or out of reach.
//!
//! In: the [`Plan`] and what enforced it. Out: [`Settled`]. Order: judge what is new (which also clears links out of
//! the way), verify what existed, then merge staged settings.
//!
//! **Invariant:** a step that fails is a fault in the result and stops no other step. Everything is opened beneath
//! the workspace handle taken by the plan. Whoever still writes in the workspace can change it again afterwards, but
//! cannot make this write, move or follow anything outside, nor apply a setting that was not judged.

mod uncovered;

use self::uncovered::UNCOVERED;
use super::beneath::{Identity, Kind};
use super::gitconfig::{CONFIG_BYTES_MAX, Config};
use super::gitkeys::{Place, Submodule};
use super::quarantine::{Quarantine, TakeError};
use super::repository::{self, GitDirectory, GitKind};
use super::snapshot::{Body, Item, Snapshot, is_sample};
use super::trigger::{Judge, Treatment, Trigger};
use super::walk::{self, AFTER, Found};
use super::{CHANGES_LISTED_MAX, Change, Notice, Plan, Quarantined, Settled, judge, staged};
use rustix::fs::Mode;
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Largest start-up file other than a git configuration that is read to judge it. Bytes.
const JUDGED_BYTES_MAX: usize = 64 << 10;
/// Most entries of one folder that are judged one by one; a larger folder goes as a whole.
const JUDGED_ENTRIES_MAX: usize = 4_096;

/// Settlements of this process so far.
static SETTLEMENTS: AtomicU64 = AtomicU64::new(0);

/// What kept the plan's protected files as they were during the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// The cage mounted them read-only and the staged ones as copies. A difference was made outside the cage, or a
    /// protection failed: it is reported as a fault and left alone. But the kernel takes a mount away when somebody
    /// outside replaces what lies below it (git and editors write a new file and rename it): from then on the new one
    /// could be changed inside, so it is undone and kept in quarantine, or judged as git's settings are.
    Mounted,
    /// Nothing did (no mount namespace): a difference is undone from the copy taken at the start, and reported.
    Unenforced,
}

/// Settles what the cage of `plan` left behind. Call it once, when everything inside has ended.
///
/// What goes is moved below `quarantine_dir`, which is made (mode 0700) if it is missing and must lie outside the
/// workspace. Never fails as a whole; see [`Settled::faults`].
#[must_use = "faults mean that something harmful may be in place"]
pub fn settle(plan: &Plan, enforcement: Enforcement, quarantine_dir: &Path) -> Settled {
    let snapshot = &plan.snapshot;
    // A plan may be settled more than once; each time has names of its own.
    let time = SETTLEMENTS.fetch_add(1, Ordering::Relaxed);
    let prefix = format!("{:x}-{:x}-{time:x}", snapshot.started.seconds, snapshot.started.nanoseconds);
    // What was shut inside (a folder that can be entered but not listed) must not hide anything.
    let opening = snapshot.root.opening(snapshot.started);
    let mut settling = Settling {
        plan,
        snapshot,
        enforcement,
        quarantine: Quarantine::open(quarantine_dir, prefix),
        settled: Settled::default(),
    };
    let walked = opening.and_then(|root| {
        let mut found = walk::walk(&root, &snapshot.workspace, AFTER)?;
        repository::expand(&root, &mut found);
        Ok(found)
    });
    match walked {
        Ok(found) => {
            settling.judge_found(&found);
        }
        Err(error) => settling.fault(Path::new("."), "workspace", &format!("cannot be inspected: {error}")),
    }
    settling.verify();
    settling.merge_staged();
    settling.settled
}

struct Settling<'a> {
    plan: &'a Plan,
    snapshot: &'a Snapshot,
    enforcement: Enforcement,
    quarantine: Quarantine,
    settled: Settled,
}

fn change(path: &Path, what: &str, why: &str) -> Change {
    Change { path: path.to_owned(), what: what.to_owned(), why: why.to_owned() }
}

fn what(trigger: &Trigger) -> String {
    format!("start-up file of {}", trigger.reader)
}

impl Settling<'_> {
    fn judge_found(&mut self, found: &Found) {
        for path in &found.unvisited {
            self.notice(Notice::Unvisited(path.clone()));
        }
        if found.overflow {
            self.notice(Notice::UnvisitedMany);
        }
        for hit in &found.hits {
            self.judge_hit(&hit.path, hit.trigger, &found.git);
        }
        for (path, trigger) in &self.snapshot.awaited {
            self.judge_hit(path, trigger, &found.git);
        }
    }

    fn judge_hit(&mut self, path: &Path, trigger: &'static Trigger, git: &[GitDirectory]) {
        let identity = match self.snapshot.root.identity(path) {
            Ok(Some(identity)) => identity,
            Ok(None) => return,
            Err(Errno::LOOP) => return self.clear_way(path, trigger),
            Err(error) => return self.fault(path, &what(trigger), &format!("cannot be judged: {error}")),
        };
        if trigger.treatment == Treatment::Report {
            if self.changed_below(path, &identity) {
                self.kept(path, &what(trigger), "changed; such files are reported and not held back");
            }
            return;
        }
        if self.snapshot.is_new(path, &identity) {
            self.judge(path, trigger, &identity, git);
        } else if !self.snapshot.items.contains_key(path) {
            self.settled.unchanged += 1;
        }
    }

    /// A link stands on the way to `path`: the first one goes.
    fn clear_way(&mut self, path: &Path, trigger: &'static Trigger) {
        let mut way = PathBuf::new();
        for part in path {
            way.push(part);
            match self.snapshot.root.identity(&way) {
                Ok(Some(identity)) if identity.kind == Kind::Link => {
                    if self.snapshot.is_new(&way, &identity) {
                        self.quarantine(&way, &what(trigger), "a link leads elsewhere");
                    }
                    return;
                }
                Ok(Some(_)) => {}
                _ => return,
            }
        }
    }

    fn judge(&mut self, path: &Path, trigger: &'static Trigger, identity: &Identity, git: &[GitDirectory]) {
        let what = what(trigger);
        let folder = path.parent().unwrap_or(Path::new(""));
        match (identity.kind, trigger.judge) {
            (Kind::Link, _) => self.quarantine(path, &what, "a new link in such a place leads elsewhere"),
            (Kind::Other, _) => self.quarantine(path, &what, "it is a device, a socket or a pipe"),
            (Kind::Directory, Judge::Hooks | Judge::Contents) => self.judge_contents(path, trigger),
            (_, Judge::Keep) => self.kept(path, &what, "new; it can only restrict"),
            (Kind::Directory, _) | (_, Judge::Always | Judge::Hooks | Judge::Contents) => {
                self.quarantine(path, &what, "new, and such files make programs outside run code");
            }
            (Kind::File, judge) => {
                let bytes_max = if judge == Judge::GitConfig { CONFIG_BYTES_MAX } else { JUDGED_BYTES_MAX };
                match self.snapshot.root.read(path, bytes_max) {
                    Ok(Some((text, read))) => match self.judge_text(&text, path, judge, git) {
                        None => self.keep_judged(path, &what, &text, &read),
                        Some(why) => self.quarantine(path, &what, &why),
                    },
                    Ok(None) => self.quarantine(path, &what, "too large to be judged"),
                    Err(error) => {
                        self.quarantine(path, &what, &format!("cannot be read: {error} (in {})", folder.display()))
                    }
                }
            }
        }
    }

    fn judge_text(&self, text: &[u8], path: &Path, kind: Judge, git: &[GitDirectory]) -> Option<String> {
        let folder = path.parent().unwrap_or(Path::new(""));
        match kind {
            Judge::GitConfig => judge::config(text, place_of(folder, git)),
            Judge::GitModules => judge::config(text, Place::Modules),
            Judge::GitFile => {
                let target = repository::git_file_target(&self.snapshot.root, &self.snapshot.workspace, path);
                let known = target.is_ok_and(|target| is_known(&target, git));
                (!known)
                    .then(|| "it leads git to a folder that is no submodule or worktree of this workspace".to_owned())
            }
            Judge::CommonDirectory => judge::common_directory(text, folder),
            Judge::RebaseTodo => judge::rebase_todo(text),
            Judge::RustToolchain => judge::rust_toolchain(text),
            Judge::Keep => None,
            Judge::Always | Judge::Hooks | Judge::Contents => {
                Some("such files make programs outside run code".to_owned())
            }
        }
    }

    fn judge_contents(&mut self, path: &Path, trigger: &'static Trigger) {
        let what = what(trigger);
        let listing = match self.snapshot.root.list(path, JUDGED_ENTRIES_MAX) {
            Ok(listing) if !listing.truncated => listing,
            _ => return self.quarantine(path, &what, "it has too many entries, or cannot be listed"),
        };
        for entry in listing.entries {
            if !is_sample(trigger, &entry.name, entry.kind) {
                self.quarantine(&path.join(&entry.name), &what, "new, and git runs or follows what is here");
            }
        }
    }

    /// Keeps a file whose text was judged; one with other names or special rights becomes a fresh file.
    fn keep_judged(&mut self, path: &Path, what: &str, text: &[u8], read: &Identity) {
        if read.links > 1 || read.mode & 0o7000 != 0 {
            let temporary = self.quarantine.fresh_name();
            let replaced = self.snapshot.root.replace(path, &temporary, text, read.mode & 0o777);
            return match replaced {
                Ok(()) => self.kept(path, what, "harmless; its other names or special rights were taken away"),
                Err(error) => self.quarantine(path, what, &format!("it has other names or special rights ({error})")),
            };
        }
        self.kept(path, what, "new, and harmless");
    }

    fn changed_below(&self, path: &Path, identity: &Identity) -> bool {
        if identity.changed >= self.snapshot.started {
            return true;
        }
        if identity.kind != Kind::Directory {
            return false;
        }
        let Ok(listing) = self.snapshot.root.list(path, JUDGED_ENTRIES_MAX) else { return true };
        listing.truncated
            || listing.entries.iter().any(|entry| {
                let found = self.snapshot.root.identity(&path.join(&entry.name));
                !matches!(found, Ok(Some(found)) if found.changed < self.snapshot.started)
            })
    }

    fn verify(&mut self) {
        let staged: BTreeSet<&Path> = self.snapshot.staged.iter().map(|(path, _)| path.as_path()).collect();
        for (path, item) in &self.snapshot.items {
            if staged.contains(path.as_path()) {
                continue;
            }
            match self.compare(path, item) {
                State::Same => self.settled.unchanged += 1,
                State::Missing if item.trigger.treatment == Treatment::Inspect => {
                    self.kept(path, &what(item.trigger), "removed, which is harmless");
                }
                State::Missing => self.undo(path, item, "it was removed or renamed"),
                State::Differs(why) => self.differs(path, item, why),
                State::Added(names) => {
                    self.settled.unchanged += 1;
                    for name in names {
                        self.added(&path.join(name), item);
                    }
                }
            }
        }
    }

    fn differs(&mut self, path: &Path, item: &Item, why: &str) {
        if item.trigger.treatment == Treatment::Inspect
            && let Ok(Some((text, read))) = self.snapshot.root.read(path, JUDGED_BYTES_MAX)
        {
            return match self.judge_text(&text, path, item.trigger.judge, &[]) {
                None => self.keep_judged(path, &what(item.trigger), &text, &read),
                Some(why) => self.put_back(path, item, &why),
            };
        }
        self.undo(path, item, why);
    }

    /// Undoes a difference, if nothing else was to keep it from happening.
    fn undo(&mut self, path: &Path, item: &Item, why: &str) {
        let bypassed = item.identity.kind == Kind::File && item.identity.links > 1;
        let judged = item.trigger.treatment == Treatment::Inspect;
        if self.enforcement == Enforcement::Unenforced || bypassed || judged {
            self.put_back(path, item, why);
        } else if self.is_uncovered(path) {
            self.put_back(path, item, UNCOVERED);
        } else {
            let why = format!("{why} although it was read-only inside: by something outside, or a protection failed");
            self.fault(path, &what(item.trigger), &why);
        }
    }

    fn added(&mut self, path: &Path, item: &Item) {
        let what = what(item.trigger);
        match self.enforcement {
            Enforcement::Unenforced => self.quarantine(path, &what, "new in a protected folder"),
            Enforcement::Mounted if self.is_uncovered(path) => self.quarantine(path, &what, UNCOVERED),
            Enforcement::Mounted => {
                self.fault(
                    path,
                    &what,
                    "new in a folder that was read-only inside: by something outside, or a protection failed",
                );
            }
        }
    }

    fn put_back(&mut self, path: &Path, item: &Item, why: &str) {
        let what = what(item.trigger);
        let present = !matches!(self.snapshot.root.identity(path), Ok(None));
        if matches!(item.body, Body::Unkept) {
            if present {
                self.quarantine(path, &what, why);
            }
            return self.fault(path, &what, &format!("{why}; no copy was kept, so it could not be put back"));
        }
        if present {
            self.quarantine(path, &what, why);
        }
        match self.write_back(path, item) {
            Ok(()) => {
                let restored = change(path, &what, why);
                push(&mut self.settled.restored, &mut self.settled.omitted, restored);
            }
            Err(error) => self.fault(path, &what, &format!("{why}; it could not be put back: {error}")),
        }
    }

    fn write_back(&mut self, path: &Path, item: &Item) -> Result<(), Errno> {
        self.make_way(path)?;
        let root = &self.snapshot.root;
        match &item.body {
            Body::Bytes(bytes) => {
                let temporary = self.quarantine.fresh_name();
                root.replace(path, &temporary, bytes, item.identity.mode & 0o777)
            }
            Body::Target(target) => {
                let (parent, name) = root.parent(path)?;
                rustix::fs::symlinkat(target, parent.as_fd(), name)
            }
            Body::Names(_) => {
                let (parent, name) = root.parent(path)?;
                rustix::fs::mkdirat(parent.as_fd(), name, Mode::from_raw_mode(item.identity.mode & 0o777))
            }
            Body::Unkept => Err(Errno::NODATA),
        }
    }

    /// Makes the folders on the way to `path`; what stands where one has to be goes to quarantine.
    fn make_way(&mut self, path: &Path) -> Result<(), Errno> {
        let mut way = PathBuf::new();
        for part in path.parent().unwrap_or(Path::new("")) {
            way.push(part);
            if let Ok(Some(identity)) = self.snapshot.root.identity(&way)
                && identity.kind != Kind::Directory
            {
                self.quarantine(&way, "entry of the workspace", "it stands in place of a folder of start-up files");
            }
        }
        self.snapshot.root.make_parents(path)
    }

    fn compare(&self, path: &Path, item: &Item) -> State {
        let now = match self.snapshot.root.identity(path) {
            Ok(Some(now)) => now,
            Ok(None) => return State::Missing,
            Err(_) => return State::Differs("a folder on the way to it was replaced"),
        };
        let then = &item.identity;
        if now.kind != then.kind {
            return State::Differs("it was replaced by something of another kind");
        }
        match &item.body {
            Body::Names(names) => {
                let Ok(listing) = self.snapshot.root.list(path, names.len() + JUDGED_ENTRIES_MAX) else {
                    return State::Differs("its entries cannot be listed");
                };
                if listing.truncated {
                    return State::Differs("it has many new entries");
                }
                let new =
                    |e: &super::beneath::Listed| !names.contains(&e.name) && !is_sample(item.trigger, &e.name, e.kind);
                let added: Vec<_> = listing.entries.into_iter().filter(new).map(|e| e.name).collect();
                if added.is_empty() { State::Same } else { State::Added(added) }
            }
            Body::Target(target) => match self.snapshot.root.link_target(path) {
                Ok(now) if now == *target => State::Same,
                _ => State::Differs("the link leads elsewhere"),
            },
            Body::Unkept => {
                let same = (now.inode, now.size, now.mode, now.modified, now.changed)
                    == (then.inode, then.size, then.mode, then.modified, then.changed);
                if same { State::Same } else { State::Differs("it was changed") }
            }
            Body::Bytes(bytes) => {
                if now == *then {
                    return State::Same;
                }
                match self.snapshot.root.read(path, bytes.len()) {
                    _ if now.mode != then.mode => State::Differs("its permissions were changed"),
                    _ if now.links > then.links => State::Differs("it was given another name"),
                    Ok(Some((read, _))) if read == *bytes => State::Same,
                    _ => State::Differs("its content was changed"),
                }
            }
        }
    }

    fn merge_staged(&mut self) {
        for (path, scratch) in &self.snapshot.staged {
            let Some(Item { trigger, body: Body::Bytes(base), .. }) = self.snapshot.items.get(path) else { continue };
            let what = what(trigger);
            if self.enforcement == Enforcement::Mounted && self.is_uncovered(path) {
                self.distrust(path, base, &what);
            }
            let inside = match self.enforcement {
                Enforcement::Mounted => self.snapshot.scratch.read(scratch, CONFIG_BYTES_MAX),
                Enforcement::Unenforced => self.snapshot.root.read(path, CONFIG_BYTES_MAX),
            };
            match inside {
                Ok(Some((text, _))) if text == *base && self.enforcement == Enforcement::Mounted => {
                    self.settled.unchanged += 1;
                }
                Ok(Some((text, read))) => self.merge_text(path, base, &text, &read),
                Ok(None) => self.lose(path, base, &what, "what was written inside is too large"),
                Err(error) => self.lose(path, base, &what, &format!("what was written inside cannot be read: {error}")),
            }
        }
    }

    /// Nothing written inside can be used.
    fn lose(&mut self, path: &Path, base: &[u8], what: &str, why: &str) {
        match self.enforcement {
            Enforcement::Mounted => self.fault(path, what, why),
            Enforcement::Unenforced => self.reset(path, base, what, why),
        }
    }

    fn merge_text(&mut self, path: &Path, base: &[u8], text: &[u8], read: &Identity) {
        let what = "git configuration";
        let (before, inside) = match (Config::parse(base), Config::parse(text)) {
            (Ok(before), Ok(inside)) => (before, inside),
            (_, Err(error)) | (Err(error), _) => {
                self.keep_withheld(path, text, what, &error.to_string());
                if self.enforcement == Enforcement::Unenforced {
                    self.lose(path, base, what, &error.to_string());
                }
                return;
            }
        };
        let folder = path.parent().unwrap_or(Path::new(""));
        let place = place_by_name(folder);
        let (outcome, mode, seen) = match self.enforcement {
            Enforcement::Unenforced => {
                let outcome = staged::merge(&before, &inside, &before, place);
                (outcome, read.mode & 0o777, *read)
            }
            Enforcement::Mounted => match self.snapshot.root.read(path, CONFIG_BYTES_MAX) {
                Ok(Some((now, seen))) => match Config::parse(&now) {
                    Ok(outside) => (staged::merge(&before, &inside, &outside, place), seen.mode & 0o777, seen),
                    Err(error) => return self.keep_withheld(path, text, what, &format!("outside: {error}")),
                },
                _ => return self.keep_withheld(path, text, what, "the file outside is gone or was replaced"),
            },
        };
        let unenforced_clean = self.enforcement == Enforcement::Unenforced && outcome.withheld.is_empty();
        if unenforced_clean && read.links <= 1 && read.mode & 0o7000 == 0 {
            return self.applied(path, &outcome.applied);
        }
        for (name, why) in &outcome.withheld {
            let setting = format!("git setting `{}`", name.escape_ascii());
            self.keep_withheld(path, text, &setting, why);
        }
        let new = match (&outcome.text, self.enforcement) {
            (Some(text), _) => text.as_slice(),
            (None, Enforcement::Unenforced) => base,
            (None, Enforcement::Mounted) => return,
        };
        let still = matches!(self.snapshot.root.identity(path), Ok(Some(now)) if now == seen);
        let temporary = self.quarantine.fresh_name();
        let written = if still { self.snapshot.root.replace(path, &temporary, new, mode) } else { Err(Errno::BUSY) };
        match written {
            Ok(()) => self.applied(path, &outcome.applied),
            Err(error) => {
                self.keep_withheld(path, text, what, "the file outside could not be written");
                self.fault(path, what, &format!("harmless settings could not be applied: {error}"));
            }
        }
    }

    fn applied(&mut self, path: &Path, names: &[Vec<u8>]) {
        for name in names {
            let applied = change(path, &format!("git setting `{}`", name.escape_ascii()), "harmless");
            push(&mut self.settled.applied, &mut self.settled.omitted, applied);
        }
        if names.is_empty() {
            self.settled.unchanged += 1;
        }
    }

    /// Keeps the text that was written inside, and reports one reason why it did not take effect.
    fn keep_withheld(&mut self, path: &Path, text: &[u8], what: &str, why: &str) {
        let change = change(path, what, why);
        // One copy per file serves all its settings.
        let earlier = self.settled.quarantined.iter().rev().find(|q| q.change.path == path && q.change.what != what);
        let moved = match earlier {
            Some(earlier) => Ok(earlier.moved_to.clone()),
            None => self.quarantine.keep_bytes(&self.snapshot.workspace, &change, text),
        };
        match moved {
            Ok(moved_to) => {
                push(&mut self.settled.quarantined, &mut self.settled.omitted, Quarantined { change, moved_to })
            }
            Err(error) => self.fault(path, what, &format!("{why}; no copy could be kept: {error}")),
        }
    }

    fn quarantine(&mut self, path: &Path, what: &str, why: &str) {
        let change = change(path, what, why);
        let moved_to = match self.quarantine.take(&self.snapshot.root, &self.snapshot.workspace, &change) {
            Ok(moved_to) => moved_to,
            Err(TakeError::InPlace(Errno::NOENT)) => return,
            Err(TakeError::InPlace(error)) => {
                return self.fault(path, what, &format!("{why}; it is still in place: {error}"));
            }
            Err(TakeError::Aside(aside, error)) => {
                self.fault(path, what, &format!("{why}; it could only be renamed: {error}"));
                self.snapshot.workspace.join(aside)
            }
        };
        push(&mut self.settled.quarantined, &mut self.settled.omitted, Quarantined { change, moved_to });
    }

    fn kept(&mut self, path: &Path, what: &str, why: &str) {
        push(&mut self.settled.kept, &mut self.settled.omitted, change(path, what, why));
    }

    fn fault(&mut self, path: &Path, what: &str, why: &str) {
        push(&mut self.settled.faults, &mut self.settled.omitted, change(path, what, why));
    }

    fn notice(&mut self, notice: Notice) {
        push(&mut self.settled.notices, &mut self.settled.omitted, notice);
    }
}

enum State {
    Same,
    Missing,
    Differs(&'static str),
    Added(Vec<std::ffi::OsString>),
}

fn push<T>(list: &mut Vec<T>, omitted: &mut u64, one: T) {
    if list.len() < CHANGES_LISTED_MAX {
        list.push(one);
    } else {
        *omitted = omitted.saturating_add(1);
    }
}

fn place_of<'a>(folder: &'a Path, git: &'a [GitDirectory]) -> Place<'a> {
    git.iter().find(|g| g.path == folder).map_or_else(|| place_by_name(folder), GitDirectory::place)
}

fn place_by_name(folder: &Path) -> Place<'_> {
    let in_modules = folder.iter().any(|part| part == "modules") && folder.iter().any(|part| part == ".git");
    Place::Repository { directory: folder, submodule: if in_modules { Submodule::Yes } else { Submodule::No } }
}

/// Whether `target` is the git folder of a submodule or worktree of a repository that was found and judged.
fn is_known(target: &Path, git: &[GitDirectory]) -> bool {
    let Some(found) = git.iter().find(|g| g.path == target) else { return false };
    // Only below a real `.git` folder: one that merely looks like a repository may have come with the project.
    let owns =
        |g: &&GitDirectory| matches!(g.kind, GitKind::Main | GitKind::Module) && g.path.iter().any(|p| p == ".git");
    git.iter().filter(|owner| owner.path != found.path).filter(owns).any(|owner| {
        let Ok(below) = target.strip_prefix(&owner.path) else { return false };
        let mut parts = below.iter();
        match parts.next().and_then(|first| first.to_str()) {
            Some("modules") => parts.next().is_some(),
            Some("worktrees") => parts.next().is_some() && parts.next().is_none(),
            _ => false,
        }
    })
}
