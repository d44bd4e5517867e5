// SPDX-License-Identifier: MIT OR Apache-2.0
//! The words that make a container.
//!
//! In: profile, image, and what is there to be mounted. Out: the command line of `create`.
//!
//! **Invariant:** no word comes from the program that is to run. Nothing is granted that the profile does not grant:
//! no network, no capability, no new right, a read-only root, bounded memory, processors and processes.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::image::Image;
use super::libraries::{self, FOLDER};
use super::limits::{Bounds, KEEPER_PROCESSES};
use super::{DOOR, Flavour, Owner, sweep};
use crate::launch::LaunchError;
use crate::profile::{COVER_FOLDER, Container, CowView, Engine, Profile, WORKSPACE};
use crate::syscall;

/// Variables by which a loader would run what an image brings before our keeper; empty, they say nothing.
const LOADER_VARIABLES: [&str; 5] = ["LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "LD_DEBUG", "GLIBC_TUNABLES"];
/// Another way to have something loaded into every process.
const PRELOAD_FILE: &str = "/etc/ld.so.preload";

/// The command line and what to know about it.
pub(super) struct Plan {
    pub(super) words: Vec<OsString>,
    pub(super) warnings: Vec<String>,
}

/// Where a path of the workspace is inside; paths elsewhere stay where they are.
pub(super) fn inside(profile: &Profile) -> std::rc::Rc<dyn Fn(&Path) -> PathBuf> {
    let workspace = profile.workspace.clone();
    std::rc::Rc::new(move |path| match path.strip_prefix(&workspace) {
        Ok(rest) => Path::new(WORKSPACE).components().chain(rest.components()).collect(),
        Err(_) => path.to_owned(),
    })
}

impl Plan {
    pub(super) fn new(
        flavour: &Flavour,
        profile: &Profile,
        engine: &Engine,
        container: &Container,
        image: &Image,
    ) -> Result<Self, LaunchError> {
        let mut plan = Self { words: vec!["create".into()], warnings: Vec::new() };
        plan.limits(profile, container);
        let (uid, gid) = plan.user(profile);
        plan.rights(flavour, uid, gid);
        // Where the image has such a folder its mode is kept, whatever is asked for: the owner is the program's user.
        let owner = match flavour.owner {
            Owner::Numbers => format!(",uid={uid},gid={gid}"),
            Owner::Word => ",U".to_owned(),
        };
        plan.labels(container);
        let mounts = Mounts::new(profile, engine, container)?;
        let refused = |path: &Path| {
            LaunchError::engine(format!("`{}` cannot be mounted: it holds a line break", path.display()), flavour.help)
        };
        for (source, target, read_only) in &mounts.binds {
            plan.bind(source, target, *read_only).ok_or_else(|| refused(source))?;
        }
        let private = profile.limits.scratch_bytes_max.min(container.memory_bytes);
        let home = &profile.home.path;
        let has_home = !Path::new(WORKSPACE).starts_with(home) && !home.starts_with(WORKSPACE);
        let places = ["/tmp", "/var/tmp", "/run"].iter().map(Path::new).chain(has_home.then_some(home.as_path()));
        let places: BTreeSet<&Path> = places.chain(image.volumes.iter().map(PathBuf::as_path)).collect();
        for path in places {
            plan.private(path, private, &owner).ok_or_else(|| refused(path))?;
        }
        plan.warnings.extend(mounts.warnings);
        let door = Path::new(FOLDER).join(DOOR);
        let own = libraries::find(&engine.entry, &door)
            .map_err(|source| LaunchError::Setup { what: "finding our own libraries".to_owned(), source })?;
        for (source, target) in &own.files {
            plan.bind(source, target, ReadOnly::Yes).ok_or_else(|| refused(source))?;
        }
        plan.push(["--entrypoint".into(), own.program.into_os_string(), image.digest.clone().into()]);
        plan.words.extend(own.words);
        Ok(plan)
    }

    fn push<const N: usize>(&mut self, words: [OsString; N]) {
        self.words.extend(words);
    }

    fn limits(&mut self, profile: &Profile, container: &Container) {
        let Bounds { memory, processes, cpus } = Bounds::new(&profile.limits, container);
        for (name, value) in [
            ("--network", container.network.clone()),
            ("--memory", memory.to_string()),
            // The same bound with swap: there is none.
            ("--memory-swap", memory.to_string()),
            ("--cpus", cpus.to_string()),
            ("--pids-limit", processes.saturating_add(KEEPER_PROCESSES).to_string()),
            ("--log-driver", "none".to_owned()),
            ("--pull", "never".to_owned()),
            ("--workdir", "/".to_owned()),
            ("--ipc", "private".to_owned()),
        ] {
            self.push([name.into(), value.into()]);
        }
        self.push(["--rm".into(), "--no-healthcheck".into()]);
        if container.read_only_root {
            self.push(["--read-only".into()]);
        }
    }

    fn rights(&mut self, flavour: &Flavour, uid: u32, gid: u32) {
        self.push(["--cap-drop".into(), "ALL".into(), "--security-opt".into(), "no-new-privileges".into()]);
        self.push(["--user".into(), format!("{uid}:{gid}").into()]);
        if syscall::effective_ids().0 != 0 {
            self.words.extend(flavour.rootless.iter().map(OsString::from));
        }
        for name in LOADER_VARIABLES {
            self.push(["--env".into(), format!("{name}=").into()]);
        }
    }

    /// Who the program is: the caller, or for root whoever owns the workspace, so that its files keep their owner.
    fn user(&mut self, profile: &Profile) -> (u32, u32) {
        let (uid, gid) = syscall::effective_ids();
        if uid != 0 {
            return (uid, gid);
        }
        match profile.workspace_source().metadata() {
            Ok(found) if found.uid() != 0 => (found.uid(), found.gid()),
            _ => {
                let warning = "the workspace belongs to root, so the program is root in the container, without any \
                    capability; give the folder to a user to have it run as that user";
                self.warnings.push(warning.to_owned());
                (uid, gid)
            }
        }
    }

    fn labels(&mut self, container: &Container) {
        for (name, value) in [(sweep::RUN, container.run.clone()), (sweep::SUPERVISOR, sweep::own_mark())] {
            self.push(["--label".into(), format!("{name}={value}").into()]);
        }
    }

    /// `None` where the path cannot be written as a word of the client.
    fn bind(&mut self, source: &Path, target: &Path, read_only: ReadOnly) -> Option<()> {
        let mut fields =
            vec![field("type=bind", None)?, field("source=", Some(source))?, field("target=", Some(target))?];
        if read_only == ReadOnly::Yes {
            fields.push(field("readonly", None)?);
        }
        self.push(["--mount".into(), OsString::from_vec(fields.join(&b','))]);
        Some(())
    }

    fn private(&mut self, target: &Path, bytes: u64, owner: &str) -> Option<()> {
        let path = target.as_os_str().as_bytes();
        if path.iter().any(|byte| b":,\n".contains(byte)) {
            return None;
        }
        let options = format!(":rw,nosuid,nodev,exec,mode=1777,size={bytes}{owner}");
        let word = [path, options.as_bytes()].concat();
        self.push(["--tmpfs".into(), OsString::from_vec(word)]);
        Some(())
    }
}

/// One field of a mount: clients read them as comma-separated values, so a quote is doubled and stands in quotes.
fn field(name: &str, path: Option<&Path>) -> Option<Vec<u8>> {
    let text = [name.as_bytes(), path.map(|path| path.as_os_str().as_bytes()).unwrap_or_default()].concat();
    if text.iter().any(|byte| b"\n\r".contains(byte)) {
        return None;
    }
    if !text.iter().any(|byte| b"\",".contains(byte)) {
        return Some(text);
    }
    let mut quoted = vec![b'"'];
    for byte in text {
        if byte == b'"' {
            quoted.push(b'"');
        }
        quoted.push(byte);
    }
    quoted.push(b'"');
    Some(quoted)
}

/// Whether a mount can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReadOnly {
    Yes,
    No,
}

/// What is mounted: outside, inside, how.
struct Mounts {
    binds: Vec<(PathBuf, PathBuf, ReadOnly)>,
    warnings: Vec<String>,
}

impl Mounts {
    fn new(profile: &Profile, engine: &Engine, container: &Container) -> Result<Self, LaunchError> {
        let mut mounts = Self { binds: Vec::new(), warnings: Vec::new() };
        let made = |what: &str| {
            let what = what.to_owned();
            move |source: io::Error| LaunchError::Setup { what, source }
        };
        let empty = engine.folder.join("empty");
        empty_file(&empty, 0o444).map_err(made("making an empty file"))?;
        mounts.add(empty, PathBuf::from(PRELOAD_FILE), ReadOnly::Yes);
        mounts.add(engine.folder.join(DOOR), Path::new(FOLDER).join(DOOR), ReadOnly::No);
        if container.mount_workspace {
            mounts.workspace(profile, engine).map_err(made("preparing what hides a path"))?;
        }
        for path in &profile.writable {
            mounts.add(path.clone(), path.clone(), ReadOnly::No);
        }
        let usual = Profile::system_default();
        for path in profile.system.iter().filter(|path| !usual.contains(path) && path.exists()) {
            mounts.add(path.clone(), path.clone(), ReadOnly::Yes);
        }
        Ok(mounts)
    }

    fn add(&mut self, source: PathBuf, target: PathBuf, read_only: ReadOnly) {
        self.binds.push((source, target, read_only));
    }

    /// The workspace, what in it is protected with everything above that, and covers over what is hidden.
    fn workspace(&mut self, profile: &Profile, engine: &Engine) -> io::Result<()> {
        let map = inside(profile);
        let workspace = &profile.workspace;
        self.add(profile.workspace_source().to_owned(), PathBuf::from(WORKSPACE), ReadOnly::No);
        for path in profile.cow.iter().flat_map(CowView::mounts) {
            self.add(path.clone(), map(path), ReadOnly::Yes);
        }
        let hidden: BTreeSet<PathBuf> = profile.hidden.iter().filter_map(|path| path.canonicalize().ok()).collect();
        let is_hidden = |path: &Path| path.ancestors().any(|parent| hidden.contains(parent));
        for staged in &profile.staged {
            self.warnings.push(format!("`{}` is read-only: this runtime has no staged files", staged.path.display()));
        }
        let kept = profile.protected.iter().chain(profile.staged.iter().map(|staged| &staged.path));
        let kept: BTreeSet<&Path> = kept.map(PathBuf::as_path).filter(|path| !is_hidden(path)).collect();
        let above = kept.iter().flat_map(|path| path.ancestors().skip(1).take_while(|parent| parent != workspace));
        let above: BTreeSet<&Path> = above.filter(|path| !kept.contains(path)).collect();
        for path in above {
            self.add(path.to_owned(), map(path), ReadOnly::No);
        }
        for path in kept {
            self.add(path.to_owned(), map(path), ReadOnly::Yes);
        }
        let (file, folder) = (engine.folder.join("no-file"), engine.folder.join(COVER_FOLDER));
        empty_file(&file, 0)?;
        match std::fs::DirBuilder::new().mode(0o000).create(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        for path in hidden.iter().filter(|path| path.starts_with(workspace)) {
            let cover = if path.is_dir() { &folder } else { &file };
            self.add(cover.clone(), map(path), ReadOnly::Yes);
        }
        Ok(())
    }
}

/// An empty file with this mode, unless it is there.
fn empty_file(path: &Path, mode: u32) -> io::Result<()> {
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn fields_are_quoted_where_a_client_would_split_them() {
        for (path, expected) in [
            ("/a", "source=/a"),
            ("/a b:c", "source=/a b:c"),
            ("/a,readonly", "\"source=/a,readonly\""),
            ("/a\"b", "\"source=/a\"\"b\""),
        ] {
            let text = String::from_utf8(field("source=", Some(Path::new(path))).unwrap()).unwrap();
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn deny_a_path_that_would_begin_another_line() {
        for path in ["/a\nb", "/a\r"] {
            assert_eq!(field("source=", Some(Path::new(path))), None, "{path:?}");
        }
        let mut plan = Plan { words: Vec::new(), warnings: Vec::new() };
        for path in ["/a:b", "/a,b", "/a\nb"] {
            assert_eq!(plan.private(OsStr::new(path).as_ref(), 1, ""), None, "{path:?}");
        }
        assert!(plan.words.is_empty());
    }

    #[test]
    fn paths_of_the_workspace_are_below_its_place_inside() {
        let profile = Profile::new("/home/u/work".into(), "/home/u".into());
        let map = inside(&profile);
        for (path, expected) in [
            ("/home/u/work", "/workspace"),
            ("/home/u/work/a/b", "/workspace/a/b"),
            ("/home/u/worker", "/home/u/worker"),
        ] {
            assert_eq!(map(Path::new(path)), Path::new(expected));
        }
    }
}
