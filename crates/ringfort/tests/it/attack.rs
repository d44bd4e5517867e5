// SPDX-License-Identifier: MIT OR Apache-2.0
//! The attack script, inside and outside: whatever it tries is blocked inside, and most of it succeeds outside.
//!
//! Outside is the proof that an attempt is a real one; those that need more than this host gives say what. In the
//! degree `minimal` the list of what is *not* stopped is exact: it is the one in the threat model.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::support::{Output, Place, Running, TIME_MAX, binary, is_namespaced, until};

const SCRIPT: &str = include_str!("../attack/attack.py");
const SECRET: &str = "the-canary-of-the-test";
const CALLER_SECRET: &str = "ringfort-e2e-caller-secret";
/// Fewest attempts that count as an attack.
const ATTEMPTS_MIN: usize = 75;
/// Promises that the degree `minimal` keeps.
const MINIMAL: &str = "[sandbox]\nrequire = [\"confine-writes\", \"confine-reads\", \"no-network\", \"confine-syscalls\", \"no-privilege\"]\n";

/// What Landlock and seccomp alone do not stop: the honest limits of the threat model, name by name.
const NOT_STOPPED_BY_MINIMAL: [&str; 23] = [
    // The owner's files outside: mode, owner, times, attributes. Their content is kept.
    "chmod-canary",
    "chown-canary",
    "setxattr-canary",
    "utime-canary",
    // Processes outside are seen, not touched.
    "proc-keys",
    "see-canary-process",
    // Start-up files in the workspace: put back or quarantined at the end, open until then.
    "claude-settings",
    "envrc-write",
    "git-config-rename",
    "git-config-replace",
    "git-config-unlink",
    "git-folder-rename",
    "hook-chmod",
    "hook-hardlink",
    "hook-replace",
    "hook-unlink",
    "hook-write",
    "hooks-folder-rename",
    "hooks-swap",
    "mcp-replace",
    "mcp-write",
    "vscode-swap",
    "vscode-tasks",
];

/// What `minimal` does not stop besides where an ordinary user runs it: an ordinary user cannot empty the bounding set
/// (nothing can be gained from it: no program raises rights any more), and Landlock does not mediate scheduling.
const NOT_STOPPED_FOR_USERS: [&str; 2] = ["affinity-of-canary", "capability-bounding"];

/// A place with everything in it that is attacked, and the process that serves the rest.
struct Scene {
    place: Place,
    copy: PathBuf,
    _server: Running,
}

impl Scene {
    fn new() -> Self {
        let place = Place::new();
        for name in [
            "notes.txt",
            ".ssh/id_ed25519",
            ".netrc",
            ".aws/credentials",
            ".bashrc",
            ".gnupg/secring.gpg",
            ".kube/config",
            ".docker/config.json",
            ".config/gh/hosts.yml",
            ".bash_history",
            ".npmrc",
            ".cargo/credentials.toml",
            ".mozilla/firefox/cookies.sqlite",
            ".marker",
        ] {
            place.write(place.home.join(name), SECRET);
        }
        place.write(place.home.join(".config/ringfort/ringfort.toml"), format!("# {SECRET}\n"));
        for name in ["secret", ".marker", "spare1", "spare2", "spare3", "spare4", "spare5"] {
            place.write(place.outside.join(name), SECRET);
        }
        place.write(place.outside.join("empty.toml"), "");
        place.write(place.outside.join("minimal.toml"), MINIMAL);
        repository(&place);
        place.write("attack.py", SCRIPT);
        let copy = place.home.join("bin/ringfort");
        fs::create_dir_all(place.home.join("bin")).unwrap();
        // Not copied by this process: a child that another thread starts meanwhile would keep the copy open.
        place.program("/bin/cp", [binary().as_path(), &copy]).output().exits(0);
        // So that there is a record to attack.
        place.program(&copy, ["run", "--", "/bin/true"]).output().exits(0);
        let server = serve(&place, &copy);
        Self { place, copy, _server: server }
    }

    /// Starts the attack with descriptors and variables that must not come through; `before` is what starts it.
    fn attack(&self, before: &[&str]) -> Verdicts {
        let place = &self.place;
        let leak = "exec 5<\"$0/secret\" 6<\"$0\"; exec \"$@\"";
        let copy = self.copy.to_str().unwrap();
        let outside = place.outside.to_str().unwrap();
        let mut words = vec!["-c", leak, outside];
        words.extend(before.iter().map(|word| if *word == "ringfort" { copy } else { *word }));
        words.extend(["python3", "attack.py", "attack", "scene.json"]);
        let mut program = place.program("/bin/sh", words).time_max(4 * TIME_MAX);
        for name in ["AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN"] {
            program = program.env(name, CALLER_SECRET);
        }
        let harmless = [
            ("LD_PRELOAD", "libm.so.6"),
            ("LD_LIBRARY_PATH", "/nonexistent"),
            ("BASH_ENV", "/dev/null"),
            ("PYTHONSTARTUP", "/dev/null"),
            ("NODE_OPTIONS", "--no-warnings"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ];
        for (name, value) in harmless {
            program = program.env(name, value);
        }
        let output = program
            .env("SSH_AUTH_SOCK", place.home.join("agent.sock"))
            .env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={outside}/socket"))
            .env("RINGFORT_POLICY", place.outside.join("empty.toml"))
            .output();
        Verdicts::new(place, output)
    }
}

/// A repository and the settings of tools, as a workspace has them.
fn repository(place: &Place) {
    for folder in [".git/objects", ".git/refs"] {
        fs::create_dir_all(place.work.join(folder)).unwrap();
    }
    for (name, content, mode) in STARTUP {
        let path = place.write(name, content);
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }
}

/// Start-up files of the workspace: name, content, mode.
const STARTUP: [(&str, &str, u32); 8] = [
    (".git/HEAD", "ref: refs/heads/main\n", 0o644),
    (".git/config", "[core]\n\trepositoryformatversion = 0\n", 0o644),
    (".git/hooks/pre-commit", "#!/bin/sh\n", 0o755),
    (".git/hooks/sleeping", "#!/bin/sh\n", 0o644),
    (".vscode/tasks.json", "{}\n", 0o644),
    (".claude/settings.json", "{}\n", 0o644),
    (".mcp.json", "{}\n", 0o644),
    (".envrc", "export A=1\n", 0o644),
];

/// Starts the process that is attacked, which also listens, and completes the scene.
fn serve(place: &Place, copy: &Path) -> Running {
    let tag = place.root.file_name().unwrap().to_str().unwrap();
    let key = fs::metadata(&place.work).unwrap().ino() % 0x3fff_ffff + 1;
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let scene = serde_json::json!({
        "home": text(&place.home), "work": text(&place.work), "outside": text(&place.outside), "state": text(&place.state),
        "binary": text(copy), "abstract": tag, "shm_key": key, "descriptors": {},
    });
    place.write("scene.json", scene.to_string());
    let mut program = place.program("python3", ["attack.py", "serve", "scene.json", SECRET]).env("CANARY", SECRET);
    program.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut server = program.spawn();
    let mut ready = [0; 6];
    server.0.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    assert_eq!(&ready, b"ready\n");
    server
}

/// What became of each attempt.
struct Verdicts {
    blocked: BTreeMap<String, String>,
    escaped: BTreeMap<String, String>,
    output: Output,
}

impl Verdicts {
    fn new(place: &Place, output: Output) -> Self {
        let (mut blocked, mut escaped) = (BTreeMap::new(), BTreeMap::new());
        let text = output.out();
        for line in text.lines().filter(|line| *line != "DONE") {
            let (mark, why) = line.split_once(": ").unwrap_or_else(|| panic!("what is `{line}`?\n{output}"));
            let words: Vec<&str> = mark.split(' ').collect();
            let [_, verdict, name] = words[..] else { panic!("what is `{line}`?\n{output}") };
            let is_new = match verdict {
                "BLOCKED" => blocked.insert(name.to_owned(), why.to_owned()),
                "ESCAPED" => escaped.insert(name.to_owned(), why.to_owned()),
                "LATER" => match escaped_later(place, name) {
                    Some(how) => escaped.insert(name.to_owned(), how),
                    None => blocked.insert(name.to_owned(), "nothing is left of it".to_owned()),
                },
                _ => panic!("`{line}`: neither blocked nor escaped\n{output}"),
            }
            .is_none();
            assert!(is_new, "two attempts are called `{name}`");
        }
        assert!(text.ends_with("DONE\n"), "the attack did not come to its end\n{output}");
        let verdicts = Self { blocked, escaped, output };
        assert!(verdicts.count() >= ATTEMPTS_MIN, "only {} attempts", verdicts.count());
        verdicts
    }

    fn count(&self) -> usize {
        self.blocked.len() + self.escaped.len()
    }
}

/// Looks from outside for what an attempt was to leave behind.
fn escaped_later(place: &Place, name: &str) -> Option<String> {
    let exists = |path: &str| place.work.join(path).exists().then(|| format!("`{path}` is there"));
    match name {
        "daemon-outlives" => {
            place.write("run-ended", "");
            until(Duration::from_secs(2), || exists("outlived"))
        }
        "git-config-change" | "bare-repository" => {
            let path = if name == "bare-repository" { "bare/config" } else { ".git/config" };
            let text = fs::read_to_string(place.work.join(path)).unwrap_or_default();
            text.contains("fsmonitor").then(|| format!("`{path}` runs a program"))
        }
        "git-hook-add" => exists("nested/.git/hooks/post-checkout"),
        "cursor-mcp" => exists(".cursor/mcp.json"),
        "nested-envrc" => exists("sub/.envrc"),
        "codex-config" => exists(".codex/config.toml"),
        other => panic!("nobody looks for what `{other}` leaves"),
    }
}

/// Everything below the folders: path, owner, mode, time of change and content.
fn snapshot(folders: &[&Path], except: &[&Path]) -> BTreeMap<PathBuf, (u32, u32, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders: Vec<PathBuf> = folders.iter().map(|folder| folder.to_path_buf()).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if except.contains(&path.as_path()) {
                continue;
            }
            let meta = path.symlink_metadata().unwrap();
            let content = if meta.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
            found.insert(path.clone(), (meta.uid(), meta.mode(), meta.mtime(), content));
            if meta.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}

fn startup_files(place: &Place) -> Vec<String> {
    let mode = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.mode() & 0o7777);
    let text = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    STARTUP
        .iter()
        .map(|(name, ..)| place.work.join(name))
        .map(|path| format!("{path:?} {:o} {}", mode(&path), text(&path)))
        .collect()
}

#[test]
fn escape_attempts_are_blocked_in_the_default_cage() {
    let scene = Scene::new();
    let place = &scene.place;
    if !is_namespaced(place) {
        return;
    }
    let look = || snapshot(&[&place.home, &place.outside], &[&place.work, &place.state]);
    let (before, startup) = (look(), startup_files(place));
    let verdicts = scene.attack(&["ringfort", "run", "--"]);
    assert!(verdicts.escaped.is_empty(), "escaped: {:#?}\n{}", verdicts.escaped, verdicts.output.err());
    assert_eq!(verdicts.output.code(), Some(0), "{}", verdicts.output);
    assert_eq!(look(), before, "something outside the workspace has changed");
    assert_eq!(startup_files(place), startup, "a start-up file has changed");
    assert!(!place.state.join("planted").exists());
    let accepted = fs::read_dir(place.state.join("accepted")).map_or(0, Iterator::count);
    assert_eq!(accepted, 0, "something was accepted from inside");
    place.program(&scene.copy, ["trail", "verify"]).output().exits(0);
}

#[test]
fn escape_attempts_succeed_outside() {
    let scene = Scene::new();
    let needs: BTreeMap<String, String> = scene
        .place
        .program("python3", ["attack.py", "list"])
        .output()
        .out()
        .lines()
        .filter_map(|line| line.split_once(' ')?.1.split_once(" needs "))
        .map(|(name, needs)| (name.to_owned(), needs.to_owned()))
        .collect();
    let verdicts = scene.attack(&[]);
    assert_eq!(needs.len(), verdicts.count());
    let surprising: Vec<_> = verdicts.blocked.iter().filter(|(name, _)| needs[*name] == "nothing").collect();
    assert!(surprising.is_empty(), "not possible outside either, so they prove nothing: {surprising:#?}");
    for (name, why) in verdicts.blocked.iter().filter(|(name, _)| needs[*name] != "a broker") {
        println!("not possible outside: {name} needs {}: {why}", needs[name]);
    }
    // The broker is only there inside.
    let count = needs.values().filter(|needs| *needs != "a broker").count();
    println!("{} of {count} attempts succeed outside", verdicts.escaped.len());
    assert!(verdicts.escaped.len() * 100 >= count * 60, "{} of {count}", verdicts.escaped.len());
}

#[test]
fn escape_attempts_that_the_minimal_cage_does_not_stop_are_the_documented_ones() {
    let scene = Scene::new();
    let policy = scene.place.outside.join("minimal.toml");
    let startup = startup_files(&scene.place);
    let words = ["ringfort", "run", "--degree", "minimal", "--policy", policy.to_str().unwrap(), "--"];
    let verdicts = scene.attack(&words);
    let escaped: BTreeSet<&str> = verdicts.escaped.keys().map(String::as_str).collect();
    let mut documented = BTreeSet::from(NOT_STOPPED_BY_MINIMAL);
    if !rustix::process::geteuid().is_root() {
        documented.extend(NOT_STOPPED_FOR_USERS);
    }
    let more: Vec<_> = escaped.difference(&documented).map(|name| (name, &verdicts.escaped[*name])).collect();
    assert!(more.is_empty(), "escaped: {more:#?}\n{}", verdicts.output.err());
    // What the file system or the kernel of this host does not know is no success of the cage.
    let fewer: Vec<_> =
        documented.difference(&escaped).filter(|name| !["setxattr-canary", "proc-keys"].contains(name)).collect();
    assert!(fewer.is_empty(), "stopped by now; document it: {fewer:?}");
    // Nothing protects the folders that hold start-up files here; what was in place is put back at the end.
    for (before, after) in startup.iter().zip(startup_files(&scene.place)) {
        if !before.contains(".git/config") && !before.contains(".git/HEAD") {
            assert_eq!(*before, after, "{}", verdicts.output.err());
        }
    }
}
