// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where this process may make control groups.
//!
//! In: `/proc/self/mountinfo` and `/proc/self/cgroup`. Out: for each hierarchy the folders below which a group may be
//! made: the process's own group first, then the ones above it.
//!
//! **Invariant:** no place lies outside the process's own groups and their parents, so whatever bounds this process
//! already goes on to bound what is started, or bounds its parent.
//! Whether a folder may really be written is found by writing; nothing is written here.

use std::path::{Component, Path, PathBuf};

use super::{Controller, Version};

/// Most lines that are read of each file, so that a host with many mounts costs a bounded time.
const LINES_MAX: usize = 4096;
/// Most groups above one's own that are tried.
const PARENTS_MAX: usize = 16;

/// One mounted hierarchy and where this process is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub(super) version: Version,
    /// The controllers of a v1 hierarchy; a v2 one tells in `cgroup.controllers`.
    pub(super) controllers: Vec<Controller>,
    /// Folders to try, the process's own group first.
    pub(super) places: Vec<PathBuf>,
}

/// The hierarchies of this process, v2 first.
pub(super) fn hierarchies() -> Vec<Hierarchy> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    find(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"))
}

fn find(mounts: &str, own: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = mounts.lines().take(LINES_MAX).filter_map(|line| hierarchy(line, own)).collect();
    found.sort_by_key(|hierarchy| hierarchy.version != Version::V2);
    // One hierarchy may be mounted in several places; a process is in one group of it.
    let mut seen = Vec::new();
    found.retain(|hierarchy| {
        let is_new = !hierarchy.places.is_empty() && !seen.contains(&hierarchy.controllers);
        if is_new {
            seen.push(hierarchy.controllers.clone());
        }
        is_new
    });
    found
}

/// `36 35 98:0 ROOT POINT OPTIONS … - TYPE SOURCE SUPER`; what is not a writable control group file system is `None`.
fn hierarchy(line: &str, own: &str) -> Option<Hierarchy> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(3);
    let (root, point, options) = (mount.next()?, mount.next()?, mount.next()?);
    let mut filesystem = filesystem.split(' ');
    let (kind, _source, words) = (filesystem.next()?, filesystem.next()?, filesystem.next()?);
    if options.split(',').any(|option| option == "ro") {
        return None;
    }
    let (version, controllers) = match kind {
        "cgroup2" => (Version::V2, Vec::new()),
        "cgroup" => {
            let named = |controller: &Controller| words.split(',').any(|word| word == controller.as_str());
            let controllers: Vec<Controller> = Controller::ALL.into_iter().filter(named).collect();
            if controllers.is_empty() {
                return None;
            }
            (Version::V1, controllers)
        }
        _ => return None,
    };
    let group = own.lines().take(LINES_MAX).find_map(|line| own_group(line, version, &controllers))?;
    Some(Hierarchy { version, controllers, places: places(&unescaped(point), &unescaped(root), group) })
}

/// The path in a line `ID:CONTROLLERS:PATH` if it is this hierarchy's.
fn own_group<'a>(line: &'a str, version: Version, controllers: &[Controller]) -> Option<&'a str> {
    let mut parts = line.splitn(3, ':');
    let (id, named, path) = (parts.next()?, parts.next()?, parts.next()?);
    let is_it = match version {
        Version::V2 => id == "0" && named.is_empty(),
        Version::V1 => controllers.iter().any(|controller| named.split(',').any(|name| name == controller.as_str())),
    };
    is_it.then_some(path)
}

/// The process's own folder below a mount, and the folders above it up to the mount.
fn places(point: &str, root: &str, group: &str) -> Vec<PathBuf> {
    // A group outside what is mounted has no folder here (a mount made in another cgroup namespace).
    let Ok(relative) = Path::new(group).strip_prefix(root) else { return Vec::new() };
    if relative.components().any(|part| !matches!(part, Component::Normal(_))) {
        return Vec::new();
    }
    let point = Path::new(point);
    let own = point.join(relative);
    own.ancestors().take_while(|folder| folder.starts_with(point)).take(PARENTS_MAX).map(Path::to_path_buf).collect()
}

/// A path as `mountinfo` writes it: blank, tab, newline and backslash are octal.
fn unescaped(path: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(path.to_owned(), |path, (escaped, plain)| path.replace(escaped, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
        32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
        39 31 0:36 / /sys/fs/cgroup/pids ro,relatime - cgroup cgroup rw,pids\n\
        40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n";
    const V2: &str = "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

    fn paths(paths: &[&str]) -> Vec<PathBuf> {
        paths.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn groups_are_found_where_this_process_is() {
        let own = "9:name=systemd:/\n8:pids:/x\n4:memory:/a/b\n1:cpu,cpuacct:/\n0::/u.slice/s.scope\n";
        let found = find(&format!("{V1}{V2}"), own);
        let [unified, memory, cpu] = found.as_slice() else { panic!("{found:#?}") };
        let at = paths(&["/sys/fs/cgroup/u.slice/s.scope", "/sys/fs/cgroup/u.slice", "/sys/fs/cgroup"]);
        assert_eq!((unified.version, &unified.places), (Version::V2, &at));
        let at = paths(&["/sys/fs/cgroup/memory/a/b", "/sys/fs/cgroup/memory/a", "/sys/fs/cgroup/memory"]);
        assert_eq!((&memory.controllers, &memory.places), (&vec![Controller::Memory], &at));
        assert_eq!((&cpu.controllers, cpu.places.len()), (&vec![Controller::Cpu], 1));
    }

    #[test]
    fn deny_places_that_are_not_this_process_own() {
        // A mount of another part of the tree, a group above the namespace, a group outside the mount's root.
        for (root, group) in [("/docker/x", "/docker/y"), ("/", "/../other"), ("/a", "/"), ("/a", "/ab/c")] {
            let mounts = format!("31 23 0:28 {root} /c rw - cgroup2 cgroup2 rw\n");
            let found = find(&mounts, &format!("0::{group}\n"));
            assert_eq!(found, [], "{root} {group}");
        }
        let mounts = "31 23 0:28 /docker/x /c\\040d rw - cgroup2 cgroup2 rw\n";
        assert_eq!(find(mounts, "0::/docker/x/y\n")[0].places, paths(&["/c d/y", "/c d"]));
        for broken in ["", "31 23", "31 23 0:28 / /c rw - cgroup2", "31 23 0:28 / /c rw cgroup2 cgroup2 rw"] {
            assert_eq!(find(broken, "0::/\n"), [], "{broken}");
        }
        assert_eq!(find(V2, "4:memory:/\n"), [], "no line of the process itself");
    }
}
