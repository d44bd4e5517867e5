// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: a copy-on-write run changes nothing real; discarding leaves everything byte for byte as it was, and applying
//! makes exactly what the program saw inside.
//!
//! In: trees made here, and programs that people really use. Out: two lists of everything in a tree, made by one small
//! program inside and outside: kinds, modes, times, sizes, links, holes, attributes, content.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Output, Place, Program, is_namespaced, skips_are_errors};

/// Runs a job given as a file, if there is one, and lists the tree of the folder it is started in. Content as a number:
/// captured output is redacted, and a digest would look like a secret.
const MANIFEST: &str = r#"
import os, stat, subprocess, sys, zlib
if len(sys.argv) > 1:
    done = subprocess.run(["sh", "-c", sys.argv[1]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.stderr.write(done.stdout.decode("utf-8", "replace"))
        sys.exit(done.returncode)
lines = []
def holes(fd, size):
    at, data = 0, []
    while at < size:
        try: start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError: break
        at = os.lseek(fd, start, os.SEEK_HOLE)
        data.append((start, min(at, size)))
    return data
def look(path):
    s = os.lstat(path)
    kind = stat.S_IFMT(s.st_mode)
    line = [ascii(path), oct(s.st_mode), s.st_mtime_ns]
    shut = kind in (stat.S_IFREG, stat.S_IFDIR) and s.st_mode & 0o400 == 0
    if shut: os.chmod(path, 0o700)
    if kind == stat.S_IFREG:
        fd = os.open(path, os.O_RDONLY)
        crc = 0
        while True:
            part = os.read(fd, 1 << 20)
            if not part: break
            crc = zlib.crc32(part, crc)
        line += [s.st_size, crc]
        if s.st_size > 1 << 20: line.append(holes(fd, s.st_size))
        os.close(fd)
    elif kind == stat.S_IFLNK:
        line.append(ascii(os.readlink(path)))
    if kind in (stat.S_IFREG, stat.S_IFDIR):
        line += [(n, ascii(os.getxattr(path, n))) for n in sorted(os.listxattr(path)) if n.startswith("user.")]
    lines.append(" ".join(map(str, line)))
    if kind == stat.S_IFDIR:
        for name in sorted(os.listdir(path)): look(os.path.join(path, name))
    if shut: os.chmod(path, stat.S_IMODE(s.st_mode))
os.chdir(b".")
look(b".")
sys.stdout.write("\n".join(lines) + "\n")
"#;

/// How the changes are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Overlay,
    Copy,
    /// No mounts at all: the program works in the copy.
    Minimal,
    /// Another program makes the mounts; a copy.
    Bubblewrap,
    /// An overlay without a user namespace, as root.
    Reduced,
}

impl Form {
    /// Those that this host can do.
    pub(crate) fn all(place: &Place) -> Vec<Self> {
        if is_namespaced(place) { vec![Self::Overlay, Self::Copy, Self::Minimal] } else { vec![Self::Minimal] }
    }

    pub(crate) fn options(self, place: &Place) -> Vec<String> {
        let policy = place.outside.join("minimal.toml");
        let words: &[&str] = match self {
            Self::Overlay => &["--cow"],
            Self::Copy => &["--cow=copy"],
            Self::Bubblewrap => &["--runtime", "bubblewrap", "--cow"],
            Self::Reduced => &["--degree", "reduced", "--cow"],
            Self::Minimal => &["--degree", "minimal", "--policy", policy.to_str().unwrap(), "--cow"],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }
}

/// What the degree `minimal` keeps.
const MINIMAL: &str = "[sandbox]\nrequire = [\"confine-writes\", \"confine-reads\", \"no-network\", \"confine-syscalls\", \"no-privilege\"]\n";

/// A workspace with the lister in it.
pub(crate) fn place() -> Place {
    let place = Place::new();
    place.write("manifest.py", MANIFEST);
    place.write(place.outside.join("minimal.toml"), MINIMAL);
    place
}

/// Everything in the real workspace.
pub(crate) fn outside(place: &Place) -> String {
    place.program("/usr/bin/python3", ["manifest.py"]).output().exits(0).out()
}

/// The same where the workspace may have lost the lister.
pub(crate) fn listed(place: &Place) -> String {
    let lister = place.root.join("manifest.py");
    fs::write(&lister, MANIFEST).unwrap();
    place.program("/usr/bin/python3", [lister]).output().exits(0).out()
}

/// Runs a job with copy-on-write, and answers what it saw at its end.
pub(crate) fn inside(place: &Place, form: Form, job: &str) -> Output {
    place.write("job.sh", job);
    program(place, form).output()
}

/// The job that is there. The same words again and again would be held up as a loop.
fn program(place: &Place, form: Form) -> Program {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let job = format!("sh job.sh # {}", RUNS.fetch_add(1, Ordering::Relaxed));
    let mut words = vec!["run".to_owned()];
    words.extend(form.options(place));
    words.extend(["--", "/usr/bin/python3", "manifest.py", &job].map(str::to_owned));
    place.ringfort(words).time_max(Duration::from_secs(300))
}

pub(crate) fn changes(place: &Place, words: &[&str]) -> Output {
    place.ringfort(["changes"].iter().chain(words).copied()).time_max(Duration::from_secs(120)).output()
}

pub(crate) fn list(place: &Place) -> Value {
    let output = place.ringfort(["--json", "changes"]).output().exits(0);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The runs whose changes wait.
pub(crate) fn waiting(place: &Place) -> usize {
    fs::read_dir(place.state.join("cow")).map_or(0, Iterator::count)
}

fn differ(one: &str, other: &str) -> String {
    let has = |text: &str, line: &str| text.lines().any(|known| known == line);
    let gone = one.lines().filter(|line| !has(other, line)).map(|line| format!("- {line}\n"));
    let new = other.lines().filter(|line| !has(one, line)).map(|line| format!("+ {line}\n"));
    gone.chain(new).take(40).collect()
}

#[track_caller]
pub(crate) fn assert_same(one: &str, other: &str, what: &str) {
    assert!(one == other, "{what}\n{}", differ(one, other));
}

/// A job, its file written before everything else, so that nothing of the workspace changes between two lists.
fn discard_and_apply(form: Form, make: impl Fn(&Place), job: &str) -> Place {
    let place = place();
    make(&place);
    place.write("job.sh", job);
    let run = || program(&place, form).output().exits(0);
    let before = outside(&place);
    let seen = run();
    assert!(seen.err().contains("the workspace is as it was"), "{form:?} {seen}");
    assert_same(&before, &outside(&place), &format!("after the run, {form:?}"));
    changes(&place, &["discard"]).exits(0);
    assert_eq!(waiting(&place), 0);
    assert_same(&before, &outside(&place), &format!("discarded, {form:?}"));

    let seen = run();
    assert_same(&before, &outside(&place), &format!("after the second run, {form:?}"));
    changes(&place, &["apply", "--allow-startup"]).exits(0);
    assert_same(&seen.out(), &listed(&place), &format!("applied, {form:?}"));
    assert_eq!(waiting(&place), 0);
    place
}

/// A tree with a bit of everything.
fn torture(place: &Place) {
    let text = r#"
mkdir -p a/b/c d/e shut old/deep/er full links
for n in 1 2 3 4 5 6 7 8 9; do echo "$n" > "full/$n"; done
echo plain > a/plain; echo same > a/same; echo times > a/times; echo mode > a/mode; chmod 640 a/mode
echo x > a/b/c/x; echo keep > a/b/keep; echo to-folder > becomes-folder; mkdir becomes-file; echo y > becomes-file/y
ln -s ../a/plain links/good; ln -s nowhere links/bad; echo one > links/one; ln links/one links/two
truncate -s 40M sparse; printf middle | dd of=sparse bs=1 seek=20000000 conv=notrunc 2>/dev/null
printf 'odd' > 'name with
newline'; printf odd > "$(printf 'not-\377-utf8')"; printf odd > '-rf'; printf odd > ' '
echo z > old/deep/er/z; echo z > old/z; echo w > d/e/w; chmod 555 d/e; mkdir empty
python3 - <<'P'
import os
os.setxattr("a/plain", "user.note", b"one"); os.setxattr("a/b", "user.folder", b"two")
P
echo u > shut/u; chmod 700 shut
find . -exec touch -h -d '2019-08-07 06:05:04.030201' {} +
"#;
    place.program("sh", ["-c", text]).output().exits(0);
}

const TORTURE: &str = r#"set -e
echo more >> a/plain; touch -d '2020-01-02 03:04:05.678' a/times; chmod 755 a/mode
echo new > a/new; mkdir -p n/e/w; echo w > n/e/w/w; chmod 500 n/e/w; chmod 511 n
rm -rf old; rm becomes-folder; mkdir becomes-folder; echo in > becomes-folder/in
rm -rf becomes-file; echo file > becomes-file
rm -rf full; mkdir full; echo 3 > full/3; echo ten > full/10
rm links/bad; ln -s elsewhere links/bad; ln -s new links/new; echo both >> links/one
ln a/same hard; ln a/new a/new2
printf tail | dd of=sparse bs=1 seek=39000000 conv=notrunc 2>/dev/null; truncate -s 50M sparse
truncate -s 30M sparse2; printf x | dd of=sparse2 bs=1 seek=10000000 conv=notrunc 2>/dev/null
rm 'name with
newline'; printf new > 'new
line'; printf more >> "$(printf 'not-\377-utf8')"; printf x > "$(printf 'other-\376')"; printf more >> ./-rf
chmod 755 d/e; echo more > d/e/more; rm d/e/w; chmod 555 d/e
python3 - <<'P'
import os
os.setxattr("a/plain", "user.note", b"changed"); os.setxattr("a/new", "user.fresh", b"1")
os.setxattr("a/b/keep", "user.added", b"1"); os.setxattr("a/b", "user.folder", b"three")
P
mkdir sgid sticky; chmod 2775 sgid; chmod 1777 sticky; mkfifo pipe; chmod 600 pipe
mv a/b/c moved; rmdir empty; chmod 000 a/b/keep; mkdir dark; echo d > dark/d; chmod 000 dark
touch -d '2021-03-04 05:06:07.089' a shut .
"#;

#[test]
fn a_tree_with_everything_comes_back_and_comes_through() {
    for form in Form::all(&place()) {
        let place = discard_and_apply(form, torture, TORTURE);
        let inode = |name: &str| fs::metadata(place.work.join(name)).unwrap().ino();
        assert_eq!(inode("a/same"), inode("hard"), "{form:?}");
        assert_eq!(inode("a/new"), inode("a/new2"), "{form:?}");
        // An overlay gives each name of a real file a file of its own once it is written.
        assert_eq!(inode("links/one") == inode("links/two"), form != Form::Overlay, "{form:?}");
    }
}

#[test]
fn the_whole_workspace_is_deleted() {
    for form in Form::all(&place()) {
        discard_and_apply(form, torture, "chmod -R u+rwx . && find . -mindepth 1 -delete");
    }
}

#[test]
fn the_whole_workspace_is_deleted_and_made_anew() {
    let job = "chmod -R u+rwx . && find . -mindepth 1 -delete && mkdir a && echo other > a/plain && echo x > sparse";
    for form in Form::all(&place()) {
        discard_and_apply(form, torture, job);
    }
}

#[test]
fn other_runtimes_and_degrees_keep_the_same_promise() {
    if !is_namespaced(&place()) {
        return;
    }
    if is_there("bwrap") {
        discard_and_apply(Form::Bubblewrap, torture, TORTURE);
    }
    discard_and_apply(Form::Reduced, torture, TORTURE);
}

#[test]
fn another_file_system_in_the_workspace_is_seen_and_stays_as_it_is() {
    let place = place();
    if !rustix::process::geteuid().is_root() || !is_namespaced(&place) {
        return; // Only root can mount something there.
    }
    place.write("file", "1\n");
    fs::create_dir(place.work.join("mnt")).unwrap();
    place.program("mount", ["-t", "tmpfs", "none", "mnt"]).output().exits(0);
    place.write("mnt/inside", "there\n");
    let job = "grep -q there mnt/inside && ! rm mnt/inside 2>/dev/null && ! touch mnt/new 2>/dev/null && echo 2 >> file && \
        ! rmdir mnt 2>/dev/null && ! mv mnt elsewhere 2>/dev/null";
    let output = inside(&place, Form::Overlay, job);
    let found = list(&place);
    let applied = changes(&place, &["apply"]);
    let kept = fs::read_to_string(place.work.join("mnt/inside"));
    place.program("umount", ["mnt"]).output().exits(0);
    output.exits(0);
    assert_eq!(found["form"], "copy", "{found:#}");
    assert_eq!(found["changes"].as_array().unwrap().len(), 1, "{found:#}");
    applied.exits(0);
    assert_eq!(kept.unwrap(), "there\n");
    assert_eq!(fs::read_to_string(place.work.join("file")).unwrap(), "1\n2\n");
}

const GIT: &str = "git -c user.name=Test -c user.email=test@example.org -c gc.auto=0";

fn repository(place: &Place) {
    let text = format!(
        "git init -q -b main && for n in 1 2 3 4 5; do echo $n > f$n && git add -A && {GIT} commit -qm $n; done && \
         git checkout -q -b side HEAD~2 && echo side > s && git add -A && {GIT} commit -qm side && git checkout -q main"
    );
    place.program("sh", ["-c", &text]).output().exits(0);
}

#[test]
fn git_rewrites_history() {
    let job = format!(
        "set -e\n{GIT} rebase -q side\n{GIT} reset -q --hard HEAD~1\n{GIT} commit -q --amend -m other\n\
         git branch -q -D side\ngit config branch.main.remote o\ngit reflog expire --expire=now --all\n\
         git gc -q --prune=now\ngit fsck --strict\n"
    );
    for form in Form::all(&place()) {
        discard_and_apply(form, repository, &job);
    }
    // And what was applied is a whole repository.
    let place = place();
    repository(&place);
    let form = Form::all(&place)[0];
    inside(&place, form, &job).exits(0);
    changes(&place, &["apply"]).exits(0);
    place.program("git", ["fsck", "--strict"]).output().exits(0);
    assert_eq!(place.program("git", ["log", "-1", "--format=%s"]).output().exits(0).out(), "other\n");
}

fn is_there(program: &str) -> bool {
    let found = ["/usr/local/bin", "/usr/bin", "/bin"].iter().any(|folder| Path::new(folder).join(program).exists());
    assert!(found || !skips_are_errors(), "`{program}` is not installed");
    found
}

#[test]
fn npm_installs() {
    if !is_there("npm") {
        return;
    }
    let make = |place: &Place| {
        place.write(
            "package.json",
            r#"{"name":"app","version":"1.0.0","dependencies":{"dep":"file:./dep","old":"file:./old"}}"#,
        );
        for name in ["dep", "old"] {
            let text =
                format!(r#"{{"name":"{name}","version":"1.0.0","main":"index.js","bin":{{"{name}":"index.js"}}}}"#);
            place.write(format!("{name}/package.json"), text);
            place.write(format!("{name}/index.js"), "#!/usr/bin/env node\nmodule.exports = 1;\n");
        }
        place.write("node_modules/stale/index.js", "stale\n");
    };
    let job = "npm install --offline --no-audit --no-fund --install-links=true && node -e 'require(\"dep\")'";
    for form in Form::all(&place()) {
        discard_and_apply(form, make, job);
    }
}

#[test]
fn cargo_builds() {
    let place = place();
    #[expect(clippy::disallowed_methods, reason = "the toolchain of whoever runs the tests")]
    let (path, home) = (std::env::var("PATH").unwrap(), std::env::var("HOME").unwrap());
    let asked = place.program("/usr/bin/env", ["rustc", "--print", "sysroot"]).env("PATH", path).env("HOME", home);
    let sysroot = asked.output().exits(0).out();
    std::os::unix::fs::symlink(sysroot.trim(), place.home.join(".rustup")).unwrap();
    place.write("Cargo.toml", "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2021\"\n");
    place.write("src/main.rs", "fn main() { println!(\"{}\", 6 * 7); }\n");
    place.write("job.sh", "cargo build --offline 2>&1 && cargo build --offline 2>&1");
    let path = format!("{}/.rustup/bin:/usr/bin:/bin", place.home.display());
    let before = outside(&place);
    let form = Form::all(&place)[0];
    let seen = program(&place, form).env("PATH", &path).output().exits(0);
    assert_same(&before, &outside(&place), "after the build");
    changes(&place, &["apply", "target"]).exits(0);
    changes(&place, &["apply"]).exits(0);
    assert_same(&seen.out(), &outside(&place), "applied");
    assert_eq!(place.program("target/debug/tiny", [""; 0]).output().exits(0).out(), "42\n");
}

#[test]
fn the_list_says_what_happened() {
    let place = place();
    place.write("keep", "1\n");
    place.write("edit", "a\nb\nc\n");
    place.write("gone/x", "x\n");
    place.write("from", "a file that is given another name\n");
    let job = "set -e\nsed -i s/b/B/ edit\nrm -r gone\nchmod 755 keep\nmv from to\nln -s keep link\n";
    inside(&place, Form::all(&place)[0], job).exits(0);
    let found = list(&place);
    let what = |path: &str| {
        let change = found["changes"].as_array().unwrap().iter().find(|change| change["path"] == path);
        change.unwrap_or_else(|| panic!("no `{path}` in {found:#}")).clone()
    };
    assert_eq!(what("edit")["what"], "modified");
    assert_eq!(what("edit")["aspects"], serde_json::json!(["content", "times"]));
    assert_eq!(what("keep")["aspects"], serde_json::json!(["mode"]));
    assert_eq!((&what("gone")["what"], &what("gone")["below"]), (&"deleted".into(), &1.into()));
    assert_eq!((&what("to")["what"], &what("to")["renamed_from"]), (&"added".into(), &"from".into()));
    assert_eq!(what("link")["after"]["kind"], "link");
    assert_eq!(found["counts"]["conflicts"], 0);
    let text = changes(&place, &["--diff"]).exits(0).out();
    assert!(text.contains("@@ -1,3 +1,3 @@") && text.contains("-b") && text.contains("+B"), "{text}");
    assert!(text.contains("mode 0644 → 0755") && text.contains("R from → to"), "{text}");
    let record = crate::hook::record(&place);
    assert!(record.contains("\"cow.changes\"") && record.contains("\"digest\""), "{record}");
}

#[test]
fn a_run_that_changes_nothing_leaves_nothing() {
    for form in Form::all(&place()) {
        let place = place();
        let output = inside(&place, form, "cat job.sh > /dev/null; echo x > t; rm t").exits(0);
        assert!(output.err().contains("nothing in the workspace was changed"), "{form:?} {output}");
        assert_eq!(waiting(&place), 0, "{form:?}");
        changes(&place, &["list"]).exits(0);
        changes(&place, &["apply"]).exits(2);
    }
}
