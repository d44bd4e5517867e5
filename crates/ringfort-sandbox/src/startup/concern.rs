// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether one change, seen by its path and content, touches a start-up file in a way that a person has to agree to.
//!
//! In: a path relative to the workspace, what stood there and what would. Out: `None`, or what it is and why.
//! Used where changes are applied one by one; a whole workspace is settled by `settle`.
//!
//! **Invariant:** what the plan of a run would protect or stage is a concern when it changes, unless the same judges
//! find it harmless. Names decide, and content only ever clears. Nothing is written.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::beneath::{Kind, Root};
use super::gitconfig::{CONFIG_BYTES_MAX, Config};
use super::gitkeys::{Place, Submodule};
use super::judge;
use super::repository::git_file_target;
use super::snapshot::is_sample;
use super::staged;
use super::trigger::{GIT_FILE, GIT_LINK, GIT_TRIGGERS, Judge, Scope, TRIGGERS, Treatment, Trigger};
use super::walk::BEFORE;

/// Largest start-up file that is read to judge it. Bytes.
const JUDGED_BYTES_MAX: usize = 64 << 10;

/// What a change does to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// It stands there afterwards, as this kind.
    Put(Kind),
    /// It is gone afterwards.
    Remove,
}

/// A change.
pub(crate) struct Act<'a> {
    /// The workspace, absolute.
    pub(crate) workspace: &'a Path,
    /// Where the new content is read.
    pub(crate) new: &'a Root,
    /// Where the old one is, if there was one.
    pub(crate) old: Option<&'a Root>,
    /// Relative to both.
    pub(crate) path: &'a Path,
    pub(crate) doing: Doing,
    /// Whether a path is there afterwards.
    pub(crate) exists: &'a dyn Fn(&Path) -> bool,
}

/// What the change touches and why it needs a person's yes.
pub(crate) fn concern(act: &Act<'_>) -> Option<String> {
    // Taking away what was generated or downloaded: no plan protects it either.
    if act.doing == Doing::Remove && act.path.iter().any(|part| BEFORE.skip.iter().any(|skip| part == *skip)) {
        return None;
    }
    in_git(act).or_else(|| by_name(act))
}

fn sentence(trigger: &Trigger, why: &str) -> String {
    format!("start-up file of {}: {why}", trigger.reader)
}

/// Files of git folders: below `.git`, its modules and worktrees, and of bare repositories.
fn in_git(act: &Act<'_>) -> Option<String> {
    let parts: Vec<&OsStr> = act.path.iter().collect();
    if let Some(at) = parts.iter().position(|part| *part == ".git") {
        let rest = parts.get(at + 1..).unwrap_or_default();
        if rest.is_empty() {
            return match act.doing {
                Doing::Put(Kind::Directory) | Doing::Remove => None,
                Doing::Put(_) => judge(act, &GIT_FILE, act.path, false),
            };
        }
        if matches!(act.doing, Doing::Put(Kind::Link | Kind::Other)) {
            return Some(sentence(&GIT_LINK, "git writes through a link in its folder"));
        }
        let inner = rest.first().is_some_and(|first| *first == "modules" || *first == "worktrees");
        let last = if inner { rest.len() } else { 1 };
        return (0..last).find_map(|start| {
            let folder: PathBuf = parts.iter().take(at + 1 + start).collect();
            in_git_folder(act, &folder, rest.get(start..).unwrap_or_default())
        });
    }
    // A repository without a working tree is one by what it holds.
    (0..parts.len()).find_map(|start| {
        let rest = parts.get(start..).unwrap_or_default();
        if !GIT_TRIGGERS.iter().any(|trigger| matches(trigger, rest).is_some()) {
            return None;
        }
        let folder: PathBuf = parts.iter().take(start).collect();
        let has = |name: &str| (act.exists)(&folder.join(name));
        let is_repository = has("HEAD") && ((has("objects") && has("refs")) || has("commondir"));
        if is_repository { in_git_folder(act, &folder, rest) } else { None }
    })
}

fn in_git_folder(act: &Act<'_>, folder: &Path, rest: &[&OsStr]) -> Option<String> {
    // With the repository go its hooks and settings.
    if act.doing == Doing::Remove && !(act.exists)(&folder.join("HEAD")) {
        return None;
    }
    GIT_TRIGGERS.iter().find_map(|trigger| {
        let length = matches(trigger, rest)?;
        let at: PathBuf = folder.iter().chain(rest.iter().take(length).copied()).collect();
        judge(act, trigger, &at, rest.len() > length)
    })
}

fn by_name(act: &Act<'_>) -> Option<String> {
    let parts: Vec<&OsStr> = act.path.iter().collect();
    (0..parts.len()).find_map(|start| {
        let rest = parts.get(start..).unwrap_or_default();
        let name = rest.first().map(|name| name.as_bytes()).unwrap_or_default();
        let named = HEADS.named.get(name).into_iter().flatten().chain(&HEADS.suffixes);
        named.filter(|trigger| start == 0 || trigger.scope == Scope::Anywhere).find_map(|trigger| {
            match matches(trigger, rest) {
                Some(length) => {
                    let at: PathBuf = parts.iter().take(start + length).collect();
                    judge(act, trigger, &at, rest.len() > length)
                }
                // A link where the first folder on the way to it would be.
                None => {
                    let on_the_way = rest.len() == 1
                        && act.doing == Doing::Put(Kind::Link)
                        && trigger.treatment != Treatment::Report
                        && trigger.starts_at(rest.first().map(|name| name.as_bytes()).unwrap_or_default());
                    on_the_way.then(|| sentence(trigger, "a link on the way to it"))
                }
            }
        })
    })
}

/// The triggers by the first name of their patterns: a path may have a thousand names.
struct Heads {
    named: HashMap<&'static [u8], Vec<&'static Trigger>>,
    suffixes: Vec<&'static Trigger>,
}

static HEADS: LazyLock<Heads> = LazyLock::new(|| {
    let mut heads = Heads { named: HashMap::new(), suffixes: Vec::new() };
    for trigger in TRIGGERS {
        match trigger.head().0 {
            head if head.starts_with('*') => heads.suffixes.push(trigger),
            head => heads.named.entry(head.as_bytes()).or_default().push(trigger),
        }
    }
    heads
});

/// How many names of `rest` a trigger's pattern covers, if `rest` begins with it.
fn matches(trigger: &Trigger, rest: &[&OsStr]) -> Option<usize> {
    let mut names = rest.iter();
    let mut length = 0;
    for want in trigger.pattern.split('/') {
        let name = names.next()?.as_bytes();
        let fits = match want.strip_prefix('*') {
            Some(suffix) => name.len() > suffix.len() && name.ends_with(suffix.as_bytes()),
            None => name == want.as_bytes(),
        };
        if !fits {
            return None;
        }
        length += 1;
    }
    Some(length)
}

/// Judges a change of the start-up file `at`, or of something below it.
fn judge(act: &Act<'_>, trigger: &Trigger, at: &Path, is_below: bool) -> Option<String> {
    if trigger.treatment == Treatment::Report {
        return None;
    }
    let existed = act.old.is_some();
    let kind = match act.doing {
        Doing::Remove if trigger.treatment == Treatment::Inspect => return None,
        Doing::Remove => return Some(sentence(trigger, "it is taken away")),
        Doing::Put(kind) => kind,
    };
    match (kind, trigger.judge) {
        (Kind::Link | Kind::Other, _) => Some(sentence(trigger, "it leads elsewhere")),
        (_, Judge::Keep) => existed.then(|| sentence(trigger, "it restricts what may be done here")),
        (Kind::Directory, Judge::Hooks | Judge::Contents) => None,
        (Kind::File, Judge::Hooks)
            if is_below && is_sample(trigger, act.path.file_name().unwrap_or_default(), kind) =>
        {
            None
        }
        (Kind::Directory, _) | (_, Judge::Always | Judge::Hooks | Judge::Contents) => {
            Some(sentence(trigger, "such files make programs outside run code"))
        }
        (Kind::File, judge) => text(act, judge, at).map(|why| sentence(trigger, &why)),
    }
}

fn text(act: &Act<'_>, kind: Judge, at: &Path) -> Option<String> {
    let bytes_max = if kind == Judge::GitConfig { CONFIG_BYTES_MAX } else { JUDGED_BYTES_MAX };
    let text = match act.new.read(act.path, bytes_max) {
        Ok(Some((text, _))) => text,
        Ok(None) => return Some("too large to be judged".to_owned()),
        Err(error) => return Some(format!("cannot be read: {error}")),
    };
    let folder = at.parent().unwrap_or(Path::new(""));
    match kind {
        Judge::GitConfig => git_config(act, &text, folder),
        Judge::GitModules => judge::config(&text, Place::Modules),
        Judge::GitFile => {
            let target = git_file_target(act.new, act.workspace, act.path);
            let is_known = target.is_ok_and(|target| {
                let mut parts = target.iter().skip_while(|part| *part != ".git").skip(1);
                parts.next().is_some_and(|part| part == "modules" || part == "worktrees")
            });
            (!is_known).then(|| "it leads git to a folder that is no submodule or worktree of this one".to_owned())
        }
        Judge::CommonDirectory => judge::common_directory(&text, folder),
        Judge::RebaseTodo => judge::rebase_todo(&text),
        Judge::RustToolchain => judge::rust_toolchain(&text),
        Judge::Keep | Judge::Always | Judge::Hooks | Judge::Contents => {
            Some("such files make programs outside run code".to_owned())
        }
    }
}

/// Why a git configuration is not harmless: what is new in it, or taken out of it.
fn git_config(act: &Act<'_>, text: &[u8], folder: &Path) -> Option<String> {
    let in_modules = folder.iter().any(|part| part == "modules") && folder.iter().any(|part| part == ".git");
    let submodule = if in_modules { Submodule::Yes } else { Submodule::No };
    let place = Place::Repository { directory: folder, submodule };
    let Some(old) = act.old else { return judge::config(text, place) };
    let Ok(Some((old, _))) = old.read(act.path, CONFIG_BYTES_MAX) else {
        return Some("what stood there cannot be read".to_owned());
    };
    let (before, after) = match (Config::parse(&old), Config::parse(text)) {
        (Ok(before), Ok(after)) => (before, after),
        (_, Err(error)) | (Err(error), _) => return Some(error.to_string()),
    };
    let outcome = staged::merge(&before, &after, &before, place);
    let (name, why) = outcome.withheld.iter().next()?;
    Some(format!("`{}`: {why}", name.escape_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands against putting `text` at `path`, and against removing what is there.
    fn check(path: &str, text: Option<&str>, old: Option<&str>) -> bool {
        let (new, real) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (folder, text) in [(&new, text), (&real, old)] {
            for name in ["HEAD", "objects", "refs"] {
                std::fs::create_dir_all(folder.path().join("bare").join(name)).unwrap();
                std::fs::create_dir_all(folder.path().join(".git").join(name)).unwrap();
            }
            let at = folder.path().join(path);
            std::fs::create_dir_all(at.parent().unwrap()).unwrap();
            if let Some(text) = text {
                std::fs::write(at, text).unwrap();
            }
        }
        let (layer, root) = (Root::open(new.path()).unwrap(), Root::open(real.path()).unwrap());
        let act = Act {
            workspace: real.path(),
            new: &layer,
            old: old.map(|_| &root),
            path: Path::new(path),
            doing: if text.is_some() { Doing::Put(Kind::File) } else { Doing::Remove },
            exists: &|path| new.path().join(path).exists() || real.path().join(path).exists(),
        };
        concern(&act).is_some()
    }

    #[test]
    fn deny_start_up_files_and_let_work_pass() {
        let remote = "[remote \"o\"]\n\turl = https://example.org/x\n\tfetch = +refs/heads/*:refs/remotes/o/*\n";
        let hooks = "[core]\n\thooksPath = evil\n";
        for (path, text, old, expected) in [
            ("src/main.rs", Some("x"), None, false),
            (".git/objects/ab/cd", Some("x"), None, false),
            (".git/refs/heads/main", Some("x"), Some("y"), false),
            (".git/hooks/pre-commit.sample", Some("x"), None, false),
            (".git/hooks/pre-commit", Some("x"), None, true),
            (".git/hooks/pre-commit", None, Some("x"), true),
            (".git/modules/a/b/hooks/post-merge", Some("x"), None, true),
            ("deep/.git/hooks/post-merge", Some("x"), None, true),
            ("bare/hooks/post-receive", Some("x"), None, true),
            ("other/hooks/post-receive", Some("x"), None, false),
            ("other/config", Some(hooks), None, false),
            ("bare/config", Some(hooks), None, true),
            (".git/config", Some(remote), Some(""), false),
            (".git/config", Some(hooks), Some(""), true),
            (".git/config", Some(""), Some(hooks), true),
            (".git/config", Some(hooks), Some(hooks), false),
            (".git/config", None, Some(hooks), true),
            ("sub/.git", Some("gitdir: ../.git/modules/sub"), None, false),
            ("sub/.git", Some("gitdir: /tmp/evil"), None, true),
            ("sub/.git", Some("gitdir: ../evil"), None, true),
            (".envrc", Some("x"), None, true),
            ("a/b/.envrc", Some("x"), Some("y"), true),
            (".envrc", None, Some("y"), true),
            ("a/.vscode/tasks.json", Some("x"), None, true),
            ("x.code-workspace", Some("x"), None, true),
            ("a/.cargo/config.toml", Some("x"), None, true),
            ("a/.cargo/other", Some("x"), None, false),
            (".bashrc", Some("x"), None, true),
            ("a/.bashrc", Some("x"), None, false),
            ("CLAUDE.md", Some("x"), None, false),
            ("ringfort.toml", Some("x"), None, false),
            ("ringfort.toml", Some("x"), Some("y"), true),
            ("ringfort.toml", None, Some("y"), true),
            ("rust-toolchain.toml", Some("[toolchain]\nchannel = \"stable\"\n"), None, false),
            ("rust-toolchain.toml", Some("[toolchain]\npath = \"evil\"\n"), None, true),
            ("node_modules/x/.vscode/settings.json", Some("x"), None, true),
            ("node_modules/x/.vscode/settings.json", None, Some("x"), false),
        ] {
            assert_eq!(check(path, text, old), expected, "`{path}` {text:?} over {old:?}");
        }
    }
}
