// SPDX-License-Identifier: MIT OR Apache-2.0
//! Links: where the paths of an action really lead.
//!
//! In: a request and its ruling, whose effects name absolute paths. Out: the same effects on the places that the links
//! of this machine lead to, as requests of their own.
//!
//! **Invariant:** nothing here loosens a ruling: a place behind a link is judged besides the path that was named. Only
//! names are read, never what a file holds. What is looked at may change before the agent acts on it: where no cage
//! holds, this stops links that lie there, not a race.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use ringfort_core::action::{Action, Command, PathAccess, PathOp};
use ringfort_core::effect::EffectKind;
use ringfort_core::limits::PATH_BYTES_MAX;
use ringfort_core::request::Request;
use ringfort_core::ruling::Ruling;
use ringfort_core::text::Text;

/// Most links on the way to one place; the kernel follows as many.
const LINKS_MAX: usize = 40;
/// Deepest value among the arguments of a tool that is looked at.
const VALUES_DEEP_MAX: usize = 256;
/// Most words of an action that are looked through for a way up behind a link.
const WORDS_MAX: usize = 4096;
/// Folders whose links only the system's owner makes.
const SYSTEM: [&str; 9] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/dev", "/proc"];

/// An effect that really happens in another place than the one that was named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Linked {
    /// The place.
    pub(crate) place: PathBuf,
    op: Op,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Op {
    Read,
    List,
    Write,
    Delete,
}

impl Linked {
    /// The plainest action with this effect; a command where the request is one, so that it is judged like one.
    pub(crate) fn action(&self, request: &Request) -> Action {
        let path = Text::new(self.place.as_os_str().as_encoded_bytes());
        let program = match self.op {
            Op::Read => "cat",
            Op::List => "ls",
            Op::Write => "tee",
            Op::Delete => "rm",
        };
        match (&request.action, self.op) {
            (Action::Command(_), _) => Action::Command(Command::Argv(vec![Text::from(program), path])),
            (_, Op::Read | Op::List) => Action::Path(PathAccess { path, op: PathOp::Read }),
            (_, Op::Write | Op::Delete) => Action::Path(PathAccess { path, op: PathOp::Write }),
        }
    }
}

/// Every effect of `ruling` that really happens elsewhere.
pub(crate) fn linked(request: &Request, ruling: &Ruling) -> BTreeSet<Linked> {
    let climbing = climbing_words(request);
    let mut found = BTreeSet::new();
    for effect in &ruling.effects {
        let Some((op, target)) = op_of(effect.kind).zip(effect.target.as_deref()) else { continue };
        let target = Path::new(target);
        if !target.is_absolute() || SYSTEM.iter().any(|system| target.starts_with(system)) {
            continue;
        }
        let spelled = climbing.iter().filter(|(lexical, _)| lexical == target).map(|(_, spelled)| spelled.as_path());
        for path in spelled.chain([target]) {
            if let Some(place) = place_of(path, op).filter(|place| place != target) {
                found.insert(Linked { place, op });
            }
        }
    }
    found
}

/// What an effect does to a path. What is executed is a question of its own, wherever it lies.
const fn op_of(kind: EffectKind) -> Option<Op> {
    match kind {
        EffectKind::ReadPath | EffectKind::ReadSecret => Some(Op::Read),
        EffectKind::ListPath => Some(Op::List),
        EffectKind::WritePath | EffectKind::Persist => Some(Op::Write),
        EffectKind::DeletePath | EffectKind::DeleteTree => Some(Op::Delete),
        _ => None,
    }
}

/// Where a path leads. Removing a link leaves alone what it leads to: its last part is not followed.
fn place_of(path: &Path, op: Op) -> Option<PathBuf> {
    match (op, path.parent().zip(path.file_name())) {
        (Op::Delete, Some((folder, name))) => follow(folder).map(|folder| folder.join(name)),
        _ => follow(path),
    }
}

/// The path without links, as the kernel would walk it; parts that are not there stay as they are. `None` where it goes
/// in circles: nothing can be opened by it.
fn follow(path: &Path) -> Option<PathBuf> {
    let mut real = PathBuf::from("/");
    let mut rest: Vec<PathBuf> = parts(path);
    let mut links = 0;
    // Ends: a path has a bounded length, and so has what each link adds.
    while let Some(part) = rest.pop() {
        if part.as_os_str() == OsStr::new("..") {
            real.pop();
            continue;
        }
        real.push(&part);
        let Ok(target) = std::fs::read_link(&real) else { continue };
        links += 1;
        if links > LINKS_MAX {
            return None;
        }
        real.pop();
        if target.is_absolute() {
            real = PathBuf::from("/");
        }
        rest.extend(parts(&target));
    }
    Some(real)
}

/// The parts of a path, the last one first.
fn parts(path: &Path) -> Vec<PathBuf> {
    let named = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    named.rev().map(|part| PathBuf::from(part.as_os_str())).collect()
}

/// The words that go up behind a folder, with the path that they seem to be: behind a link, up leads elsewhere.
fn climbing_words(request: &Request) -> Vec<(PathBuf, PathBuf)> {
    let mut words = Vec::new();
    let mut add = |text: &str| {
        let ends = |c: char| c.is_whitespace() || "'\"<>|&;()=,`".contains(c);
        for word in text.split(ends).chain([text]).filter(|word| word.contains("/..") && word.len() <= PATH_BYTES_MAX) {
            if words.len() < WORDS_MAX {
                let spelled = request.cwd.join(word);
                words.push((without_up(&spelled), spelled));
            }
        }
    };
    match &request.action {
        Action::Command(Command::Shell(text)) => add(&String::from_utf8_lossy(text.as_bytes())),
        Action::Command(Command::Argv(words)) => {
            words.iter().for_each(|word| add(&String::from_utf8_lossy(word.as_bytes())));
        }
        Action::Path(access) => add(&String::from_utf8_lossy(access.path.as_bytes())),
        Action::Tool(call) => strings(&call.arguments, &mut add, VALUES_DEEP_MAX),
        _ => {}
    }
    words
}

fn strings(value: &serde_json::Value, visit: &mut dyn FnMut(&str), depth: usize) {
    use serde_json::Value;
    match value {
        Value::String(text) => visit(text),
        Value::Array(items) if depth > 0 => items.iter().for_each(|item| strings(item, visit, depth - 1)),
        Value::Object(members) if depth > 0 => members.values().for_each(|item| strings(item, visit, depth - 1)),
        _ => {}
    }
}

/// A path with every way up taken by its text alone.
fn without_up(path: &Path) -> PathBuf {
    let mut plain = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::Normal(name) => plain.push(name),
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn deny_hiding_a_place_behind_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("work/real/deep")).unwrap();
        symlink(root.join("home"), root.join("work/absolute")).unwrap();
        symlink("../home/key", root.join("work/relative")).unwrap();
        symlink("absolute", root.join("work/twice")).unwrap();
        symlink("real/deep", root.join("work/inside")).unwrap();
        symlink("circle", root.join("work/circle")).unwrap();
        for (path, op, expected) in [
            ("work/absolute/key", Op::Read, Some("home/key")),
            ("work/relative", Op::Write, Some("home/key")),
            ("work/relative", Op::Delete, Some("work/relative")),
            ("work/absolute/key", Op::Delete, Some("home/key")),
            ("work/twice/a/b", Op::Write, Some("home/a/b")),
            ("work/inside/../x", Op::Read, Some("work/real/x")),
            ("work/plain", Op::Read, Some("work/plain")),
            ("work/circle/x", Op::Read, None),
        ] {
            assert_eq!(place_of(&root.join(path), op), expected.map(|it| root.join(it)), "{path} {op:?}");
        }
    }

    #[test]
    fn a_way_up_is_seen_by_its_text_too() {
        assert_eq!(without_up(Path::new("/w/link/../x/./y/..")), Path::new("/w/x"));
        assert_eq!(without_up(Path::new("/../..")), Path::new("/"));
    }

    #[test]
    fn deny_losing_a_link_behind_many_parts() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("w/a")).unwrap();
        symlink("/etc", root.join("w/out")).unwrap();
        let long = format!("{}/w/{}out/shadow", root.display(), "a/../".repeat(600));
        assert_eq!(follow(Path::new(&long)), Some(PathBuf::from("/etc/shadow")));
    }
}
