// SPDX-License-Identifier: MIT OR Apache-2.0
//! Layers made by hand: what a kernel, or whoever wants to deceive, may leave in one. What real programs leave is tested
//! end to end.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rustix::fs::{FileType, Mode, XattrFlags};

use super::*;

/// A workspace and the private folder of a run over it.
struct Place {
    root: tempfile::TempDir,
    layer: Layer,
}

impl Place {
    /// A workspace with these files, and an empty layer over it.
    fn new(form: Form, files: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let (work, run) = (root.path().join("work"), root.path().join("run"));
        for folder in [&work, &run] {
            fs::create_dir(folder).unwrap();
        }
        for (path, text) in files {
            write(&work.join(path), text);
        }
        let mut begun = begin(&work, &run, Wish::Copy, (&[], &[]), &mut |_, _| {}).unwrap();
        if form == Form::Overlay {
            fs::create_dir(run.join(UPPER)).unwrap();
            begun.layer.form = Form::Overlay;
        }
        Self { root, layer: begun.layer }
    }

    fn run(&self) -> PathBuf {
        self.root.path().join("run")
    }

    fn work(&self, path: &str) -> PathBuf {
        self.layer.workspace.join(path)
    }

    /// A path in the layer.
    fn new_at(&self, path: &str) -> PathBuf {
        self.run().join(if self.layer.form == Form::Overlay { UPPER } else { COPY }).join(path)
    }

    fn changes(&self) -> Vec<Change> {
        changes(&self.layer, &self.run()).unwrap().list
    }

    fn paths(&self) -> Vec<(String, What)> {
        self.changes().into_iter().map(|change| (change.path.display().to_string(), change.what)).collect()
    }

    fn apply(&self) -> Result<Applied, ApplyError> {
        apply(&self.layer, &self.run(), &[], Allow::Ordinary)
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn whiteout(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, path, FileType::CharacterDevice, Mode::empty(), 0).unwrap();
}

fn mark_xattr(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::setxattr(path, name, value, XattrFlags::empty()).unwrap();
}

fn refusals(result: Result<Applied, ApplyError>) -> Vec<(String, bool)> {
    match result {
        Err(ApplyError::Refused { refusals }) => {
            refusals.into_iter().map(|one| (one.path.display().to_string(), one.is_concern)).collect()
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn each_way_of_saying_gone_is_understood() {
    let place = Place::new(Form::Overlay, &[("a", "1"), ("b", "2"), ("d/x", "3"), ("d/y", "4"), ("kept/z", "5")]);
    whiteout(&place.new_at("a"));
    whiteout(&place.new_at("never-was"));
    write(&place.new_at("b"), "");
    mark_xattr(&place.new_at("b"), "user.overlay.whiteout", b"");
    write(&place.new_at("d/y"), "4");
    write(&place.new_at("d/sub/x"), "6");
    mark_xattr(&place.new_at("d"), "user.overlay.opaque", b"y");
    fs::create_dir(place.new_at("kept")).unwrap();
    // An empty file of the program is one, whatever stands in it elsewhere.
    write(&place.new_at("empty"), "");
    let found = place.paths();
    for (path, what) in [
        ("a", What::Deleted),
        ("b", What::Deleted),
        ("d/x", What::Deleted),
        ("d/sub", What::Added),
        ("d/sub/x", What::Added),
        ("empty", What::Added),
    ] {
        assert!(found.contains(&(path.to_owned(), what)), "{path}: {found:?}");
    }
    assert!(!found.iter().any(|(path, _)| path.starts_with("kept") || path == "never-was"), "{found:?}");
    place.apply().unwrap();
    assert!(!place.work("a").exists() && !place.work("b").exists() && !place.work("d/x").exists());
    assert!(place.work("d/y").exists() && place.work("d/sub/x").exists() && place.work("kept/z").exists());
    assert!(place.paths().is_empty(), "applied twice there is nothing left: {:?}", place.paths());
}

#[test]
fn a_folder_below_an_opaque_one_shows_nothing_either() {
    let place = Place::new(Form::Overlay, &[("d/e/old", "1"), ("d/e/same", "2")]);
    write(&place.new_at("d/e/new"), "3");
    mark_xattr(&place.new_at("d"), "user.overlay.opaque", b"y");
    place.apply().unwrap();
    let names: Vec<_> = fs::read_dir(place.work("d/e")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["new"]);
}

#[test]
fn deny_layers_that_lead_elsewhere() {
    for name in ["user.overlay.redirect", "user.overlay.metacopy"] {
        let place = Place::new(Form::Overlay, &[("a", "1")]);
        write(&place.new_at("b"), "");
        mark_xattr(&place.new_at("b"), name, b"/etc/passwd");
        assert!(matches!(changes(&place.layer, &place.run()), Err(ReadError::Foreign { .. })), "{name}");
        assert!(matches!(place.apply(), Err(ApplyError::Read(_))), "{name}");
    }
}

#[test]
fn what_a_program_calls_like_an_overlay_keeps_its_name() {
    let place = Place::new(Form::Overlay, &[("a", "1")]);
    write(&place.new_at("a"), "2");
    mark_xattr(&place.new_at("a"), "user.overlay.overlay.opaque", b"mine");
    mark_xattr(&place.new_at("a"), "user.overlay.origin", b"kernel");
    place.apply().unwrap();
    let mut value = [0_u8; 16];
    let length = rustix::fs::getxattr(place.work("a"), "user.overlay.opaque", &mut value).unwrap();
    assert_eq!(value.get(..length), Some(&b"mine"[..]));
    let mut names = [0_u8; 256];
    let length = rustix::fs::listxattr(place.work("a"), &mut names).unwrap();
    assert_eq!(names.get(..length), Some(&b"user.overlay.opaque\0"[..]));
}

#[test]
fn deny_set_user_bits_and_pipes_without_a_yes_and_sockets_always() {
    for form in [Form::Overlay, Form::Copy] {
        let place = Place::new(form, &[("a", "1")]);
        for (name, mode) in [("suid", 0o4755), ("sgid", 0o2755)] {
            write(&place.new_at(name), "x");
            fs::set_permissions(place.new_at(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        rustix::fs::mknodat(rustix::fs::CWD, place.new_at("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(place.new_at("socket")).unwrap();
        write(&place.new_at("fine"), "x");
        assert_eq!(
            refusals(place.apply()),
            [("pipe".to_owned(), true), ("sgid".to_owned(), true), ("suid".to_owned(), true)],
            "{form:?}"
        );
        assert!(!place.work("fine").exists(), "nothing was applied");
        let applied = apply(&place.layer, &place.run(), &[], Allow::Startup).unwrap();
        assert_eq!(applied.left_out.len(), 1, "{form:?}");
        assert_eq!(fs::metadata(place.work("suid")).unwrap().mode() & 0o7777, 0o4755);
        assert!(fs::symlink_metadata(place.work("pipe")).unwrap().file_type().is_fifo());
        assert!(fs::symlink_metadata(place.work("socket")).is_err());
    }
}

#[test]
fn deny_devices_whatever_is_agreed_to() {
    let place = Place::new(Form::Overlay, &[]);
    let null = rustix::fs::makedev(1, 3);
    let made = rustix::fs::mknodat(rustix::fs::CWD, place.new_at("null"), FileType::CharacterDevice, Mode::RUSR, null);
    if made.is_err() {
        return; // An ordinary user cannot even make one by hand.
    }
    let applied = apply(&place.layer, &place.run(), &[], Allow::Startup).unwrap();
    assert_eq!((applied.changes.len(), applied.left_out.len()), (0, 1));
    assert!(!place.work("null").exists());
}

#[test]
fn deny_a_link_in_the_real_tree_as_a_way_out() {
    for form in [Form::Overlay, Form::Copy] {
        let place = Place::new(form, &[("d/file", "before"), ("d/gone", "before")]);
        let outside = place.root.path().join("outside");
        write(&outside.join("file"), "outside");
        write(&outside.join("gone"), "outside");
        write(&place.new_at("d/file"), "inside");
        write(&place.new_at("d/new"), "inside");
        if form == Form::Overlay {
            whiteout(&place.new_at("d/gone"));
        } else {
            fs::remove_file(place.new_at("d/gone")).unwrap();
        }
        fs::rename(place.work("d"), place.work("aside")).unwrap();
        symlink(&outside, place.work("d")).unwrap();
        assert!(place.apply().is_err(), "{form:?}");
        for name in ["file", "gone"] {
            assert_eq!(fs::read_to_string(outside.join(name)).unwrap(), "outside");
        }
        assert!(!outside.join("new").exists());
    }
}

#[test]
fn deny_another_folder_at_the_path_of_the_workspace() {
    let place = Place::new(Form::Overlay, &[("a", "before")]);
    write(&place.new_at("a"), "inside");
    fs::rename(place.work(""), place.root.path().join("moved")).unwrap();
    write(&place.work("a"), "before");
    assert!(matches!(place.apply(), Err(ApplyError::Read(ReadError::Workspace { .. }))));
    assert_eq!(fs::read_to_string(place.work("a")).unwrap(), "before");
}

#[test]
fn deny_what_changed_between_the_look_and_the_rename() {
    let place = Place::new(Form::Overlay, &[("a", "before"), ("b", "before"), ("c", "before")]);
    for name in ["a", "b"] {
        write(&place.new_at(name), "inside");
    }
    whiteout(&place.new_at("c"));
    // What `apply` does up to the journal, and then somebody replaces a file.
    let found = changes(&place.layer, &place.run()).unwrap();
    let (real, new) = (Root::open(&place.layer.workspace).unwrap(), open_layer(&place.layer, &place.run()).unwrap());
    let mut staging = stage::open_staging(&real, &new, ".staging").unwrap();
    for change in &found.list {
        staging.add(change, &[]).unwrap();
    }
    let (staged, journal) = staging.into_parts().unwrap();
    for name in ["b", "c"] {
        write(&place.work("other"), "outside");
        fs::rename(place.work("other"), place.work(name)).unwrap();
    }
    let failure = commit::carry_out(&real, &staged, &journal).unwrap_err();
    assert!(failure.is_conflict);
    commit::undo(&real, &staged, &journal).unwrap_or_else(|failure| panic!("{}", failure.path.display()));
    for (name, text) in [("a", "before"), ("b", "outside"), ("c", "outside")] {
        assert_eq!(fs::read_to_string(place.work(name)).unwrap(), text, "{name}");
    }
}

#[test]
fn a_copy_names_what_it_leaves_out_and_never_takes_it_for_deleted() {
    let root = tempfile::tempdir().unwrap();
    let (work, run) = (root.path().join("work"), root.path().join("run"));
    fs::create_dir_all(work.join("secret")).unwrap();
    fs::create_dir(&run).unwrap();
    write(&work.join("secret/key"), "hidden");
    write(&work.join("file"), "1");
    let _socket = std::os::unix::net::UnixListener::bind(work.join("socket")).unwrap();
    let hidden = [work.join("secret")];
    let begun = begin(&work, &run, Wish::Copy, (&hidden, &[]), &mut |_, _| {}).unwrap();
    assert!(fs::read_dir(run.join(COPY).join("secret")).unwrap().next().is_none());
    assert!(!run.join(COPY).join("socket").exists());
    fs::remove_dir(run.join(COPY).join("secret")).unwrap();
    // New outside since: no change of the run.
    write(&work.join("later"), "2");
    assert!(changes(&begun.layer, &run).unwrap().is_empty());
    fs::remove_file(run.join(COPY).join("file")).unwrap();
    let applied = apply(&begun.layer, &run, &[], Allow::Ordinary).unwrap();
    assert_eq!(applied.changes.len(), 1);
    assert!(work.join("secret/key").exists() && work.join("later").exists() && !work.join("file").exists());
}

#[test]
fn what_its_owner_shut_is_read_and_shut_again() {
    let place = Place::new(Form::Copy, &[("a", "1")]);
    write(&place.new_at("dark/deep/file"), "x");
    for (path, mode) in [("dark/deep/file", 0o000), ("dark/deep", 0o000), ("dark", 0o000)] {
        fs::set_permissions(place.new_at(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    assert_eq!(place.paths().len(), 3);
    assert_eq!(fs::symlink_metadata(place.new_at("dark")).unwrap().mode() & 0o7777, 0);
    place.apply().unwrap();
    assert_eq!(fs::symlink_metadata(place.work("dark")).unwrap().mode() & 0o7777, 0);
    for folder in [place.work("dark"), place.new_at("dark")] {
        remove(&folder).unwrap();
        assert!(fs::symlink_metadata(&folder).is_err());
    }
}

#[test]
fn removing_goes_deeper_than_a_path_and_through_no_link() {
    let root = tempfile::tempdir().unwrap();
    let outside = root.path().join("outside");
    write(&outside.join("kept"), "x");
    let tree = root.path().join("tree");
    fs::create_dir(&tree).unwrap();
    symlink(&outside, tree.join("link")).unwrap();
    let mut folder = std::os::fd::OwnedFd::from(fs::File::open(&tree).unwrap());
    for _ in 0..400 {
        folder = copy::fresh_folder(std::os::fd::AsFd::as_fd(&folder), std::ffi::OsStr::new("deep")).unwrap();
    }
    remove(&tree).unwrap();
    assert!(!tree.exists() && outside.join("kept").exists());
}

#[test]
fn holes_stay_holes() {
    let root = tempfile::tempdir().unwrap();
    let (from, to) = (root.path().join("from"), root.path().join("to"));
    let file = fs::File::create(&from).unwrap();
    file.set_len(64 << 20).unwrap();
    std::os::unix::fs::FileExt::write_at(&file, b"middle", 32 << 20).unwrap();
    let (from, target) = (fs::File::open(&from).unwrap(), fs::File::create(&to).unwrap());
    copy::copy_content(std::os::fd::AsFd::as_fd(&from), std::os::fd::AsFd::as_fd(&target), 64 << 20).unwrap();
    assert_eq!(target.metadata().unwrap().len(), 64 << 20);
    assert!(target.metadata().unwrap().blocks() < 1 << 11, "{} blocks", target.metadata().unwrap().blocks());
    let mut middle = [0_u8; 6];
    std::os::unix::fs::FileExt::read_at(&fs::File::open(&to).unwrap(), &mut middle, 32 << 20).unwrap();
    assert_eq!(&middle, b"middle");
}

#[test]
fn a_record_keeps_odd_paths() {
    use std::os::unix::ffi::OsStrExt as _;
    for path in [&b"plain"[..], b"new\nline", b"not-\xff-utf8", b"\"quoted\"", b"{\"hex\": \"61\"}"] {
        let path = RelativePath(PathBuf::from(std::ffi::OsStr::from_bytes(path)));
        let text = serde_json::to_string(&path).unwrap();
        assert_eq!(serde_json::from_str::<RelativePath>(&text).unwrap(), path, "{text}");
    }
    assert!(serde_json::from_str::<RelativePath>(r#"{"hex": "6g"}"#).is_err());
}

#[test]
fn a_folder_that_takes_the_place_of_another_is_not_taken_for_it() {
    let place = Place::new(Form::Copy, &[("a/x", "1"), ("b/x", "2")]);
    fs::remove_dir_all(place.new_at("b")).unwrap();
    fs::rename(place.new_at("a"), place.new_at("b")).unwrap();
    place.apply().unwrap();
    assert_eq!(fs::read_to_string(place.work("b/x")).unwrap(), "1");
    assert!(!place.work("a").exists());
}

/// Everything in a tree but times: path, mode, content or target.
fn manifest(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            let meta = path.symlink_metadata().unwrap();
            let content = if meta.is_symlink() {
                format!("{:?}", fs::read_link(&path).unwrap())
            } else if meta.is_file() {
                fs::read_to_string(&path).unwrap()
            } else {
                waiting.push(path.clone());
                String::new()
            };
            lines.push(format!("{:?} {:o} {content}", path.strip_prefix(root).unwrap(), meta.mode()));
        }
    }
    lines.sort();
    lines
}

/// One thing that a program does to a tree of few names.
#[derive(Clone, Debug)]
enum Deed {
    Write(usize, usize, u8),
    Folder(usize, usize),
    Link(usize, usize),
    Remove(usize, usize),
    Rename(usize, usize),
    Mode(usize, usize, bool),
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn place_of(root: &Path, one: usize, two: usize) -> PathBuf {
    let name = |n: usize| NAMES.get(n % NAMES.len()).copied().unwrap_or("a");
    if two.is_multiple_of(3) { root.join(name(one)) } else { root.join(name(one)).join(name(two)) }
}

fn carry_out(root: &Path, deeds: &[Deed]) {
    let clear = |path: &Path| match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path).is_ok(),
        Ok(_) => fs::remove_file(path).is_ok(),
        Err(_) => true,
    };
    for deed in deeds {
        // Many of them cannot be done, as a folder is missing; that is as good.
        let _done = match deed {
            Deed::Write(one, two, text) => fs::write(place_of(root, *one, *two), [b'a' + text % 3]).is_ok(),
            Deed::Folder(one, two) => fs::create_dir(place_of(root, *one, *two)).is_ok(),
            Deed::Link(one, two) => symlink("a", place_of(root, *one, *two)).is_ok(),
            Deed::Remove(one, two) => clear(&place_of(root, *one, *two)),
            Deed::Rename(one, two) => fs::rename(place_of(root, *one, 0), place_of(root, *two, 1)).is_ok(),
            Deed::Mode(one, two, on) => {
                let path = place_of(root, *one, *two);
                let is_file = path.symlink_metadata().is_ok_and(|meta| meta.is_file());
                is_file
                    && fs::set_permissions(&path, fs::Permissions::from_mode(if *on { 0o755 } else { 0o600 })).is_ok()
            }
        };
    }
}

fn deeds(count: usize) -> impl Strategy<Value = Vec<Deed>> {
    let place = (0..4_usize, 0..9_usize);
    let deed = prop_oneof![
        (place.clone(), any::<u8>()).prop_map(|((one, two), text)| Deed::Write(one, two, text)),
        place.clone().prop_map(|(one, two)| Deed::Folder(one, two)),
        place.clone().prop_map(|(one, two)| Deed::Link(one, two)),
        place.clone().prop_map(|(one, two)| Deed::Remove(one, two)),
        place.clone().prop_map(|(one, two)| Deed::Rename(one, two)),
        (place, any::<bool>()).prop_map(|((one, two), on)| Deed::Mode(one, two, on)),
    ];
    proptest::collection::vec(deed, 0..count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_was_done_in_a_copy_is_what_is_applied(before in deeds(24), inside in deeds(24)) {
        let root = tempfile::tempdir().unwrap();
        let (work, run) = (root.path().join("work"), root.path().join("run"));
        for folder in [&work, &run] {
            fs::create_dir(folder).unwrap();
        }
        carry_out(&work, &before);
        let begun = begin(&work, &run, Wish::Copy, (&[], &[]), &mut |_, _| {}).unwrap();
        let was = manifest(&work);
        carry_out(&run.join(COPY), &inside);
        let wanted = manifest(&run.join(COPY));
        let found = changes(&begun.layer, &run).unwrap();
        prop_assert!(found.list.iter().all(|change| change.conflict.is_none()), "{:?}", found.list);
        prop_assert_eq!(&manifest(&work), &was);
        apply(&begun.layer, &run, &[], Allow::Ordinary).unwrap();
        prop_assert_eq!(manifest(&work), wanted);
        prop_assert!(changes(&begun.layer, &run).unwrap().is_empty());
    }
}
