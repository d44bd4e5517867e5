// SPDX-License-Identifier: MIT OR Apache-2.0
//! A world for one attack: a home with credentials, a workspace with start-up files, a folder outside, a process that
//! is attacked. Everything in it is made for this, with a secret that is nowhere else.
//!
//! In: nothing. Out: the paths that a runner needs, and after the attack what can be seen of it from outside.
//!
//! **Invariant:** nothing of the machine is part of it but a few entries in `/tmp`, `/var/tmp` and `/dev/shm`, which
//! carry its tag; everything is gone when it is dropped.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::manifest::{Manifest, differences, manifest};
use super::outside::Victim;

/// The hostile program's name in the workspace.
pub const NAME_OF_PROGRAM: &str = "attacker";
/// The scene's name in the workspace.
pub const NAME_OF_SCENE: &str = "scene";

/// A world for one attack.
#[derive(Debug)]
pub struct World {
    /// Where everything lies.
    pub root: PathBuf,
    /// The home of the user that is attacked.
    pub home: PathBuf,
    /// The workspace, inside the home.
    pub work: PathBuf,
    /// A folder that the attacker has no business in.
    pub outside: PathBuf,
    tag: String,
    secret: String,
    victim: Victim,
    before: Manifest,
    startup: Manifest,
    git_config: String,
    _folder: TempDir,
}

/// Files of the home that hold a secret.
const SECRETS: [&str; 14] = [
    "notes.txt",
    ".ssh/id_ed25519",
    ".aws/credentials",
    ".bash_history",
    ".npmrc",
    ".cargo/credentials.toml",
    ".mozilla/firefox/cookies.sqlite",
    ".docker/config.json",
    ".kube/config",
    ".gnupg/secring.gpg",
    ".bashrc",
    ".profile",
    ".netrc",
    ".config/ringfort/ringfort.toml",
];

/// Files of the home that programs outside use.
const TOOLS: [&str; 3] =
    [".cargo/registry/src/index/lib.rs", ".npm/_cacache/content", ".rustup/toolchains/stable/bin/rustc"];

/// Start-up files of the workspace besides git's: name and mode.
const STARTUP: [(&str, u32); 7] = [
    (".git/hooks/pre-commit", 0o755),
    (".git/hooks/sleeping", 0o644),
    (".vscode/tasks.json", 0o644),
    (".claude/settings.json", 0o644),
    (".mcp.json", 0o644),
    (".envrc", 0o644),
    ("sub/deep/.envrc", 0o644),
];

/// Names that start something outside wherever they are in the workspace.
const TRAPS: [&str; 13] = [
    ".vscode/tasks.json",
    ".cursor/mcp.json",
    ".codex/config.toml",
    ".claude/hooks/x",
    ".envrc",
    ".npmrc",
    ".cargo/config.toml",
    "rust-toolchain.toml",
    ".husky/pre-push",
    ".devcontainer/devcontainer.json",
    ".nvimrc",
    ".git/info/attributes",
    ".git/commondir",
];

/// How long what stays behind is given to show itself. It writes every 20 ms at most; one is woken after 150.
const STAYS: Duration = Duration::from_millis(400);

impl World {
    /// Makes a world.
    ///
    /// # Errors
    ///
    /// A file could not be made, or the process that is attacked did not start. What was made is removed.
    pub fn new() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("escape-").tempdir()?;
        let root = folder.path().canonicalize()?;
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755))?;
        let (home, outside, watch) = (root.join("home"), root.join("outside"), root.join("watch"));
        let work = home.join("work");
        // The state folder is left out below, the folders above it are not.
        for path in [&work, &outside, &watch, &home.join(".local/state"), &home.join(".local/bin")] {
            fs::create_dir_all(path)?;
        }
        let number = |word: u64| RandomState::new().hash_one(word);
        let tag = format!("{:012x}", number(1) >> 16);
        let secret = format!("canary-{tag}-{:016x}{:016x}", number(2), number(3));
        furnish(&home, &outside, &secret)?;
        fs::write(format!("/tmp/ringfort-escape-{tag}"), format!("{secret}-temporary\n"))?;
        repository(&work)?;
        let program = root.join("victim-program");
        place_program(&program)?;
        place_program(&work.join(NAME_OF_PROGRAM))?;
        let victim = Victim::start(&program, [&home, &outside, &watch], &tag, &secret)?;
        let show = |path: &Path| path.display().to_string();
        let scene = format!(
            "home={}\nwork={}\noutside={}\ntag={tag}\n{}",
            show(&home),
            show(&work),
            show(&outside),
            victim.scene
        );
        fs::write(work.join(NAME_OF_SCENE), scene)?;
        let mut world = Self {
            before: Manifest::new(),
            startup: Manifest::new(),
            git_config: fs::read_to_string(work.join(".git/config"))?,
            root,
            home,
            work,
            outside,
            tag,
            secret,
            victim,
            _folder: folder,
        };
        world.before = world.look()?;
        world.startup = world.look_at_startup()?;
        Ok(world)
    }

    /// The scene that the attacker is told.
    pub fn scene(&self) -> PathBuf {
        self.work.join(NAME_OF_SCENE)
    }

    /// The attacker, as seen outside.
    pub fn attacker(&self) -> PathBuf {
        self.work.join(NAME_OF_PROGRAM)
    }

    /// A secret with a name: where it came from shows when it comes out.
    pub fn secret(&self, name: &str) -> String {
        format!("{}-{name}", self.secret)
    }

    /// Variables of a caller with secrets, and with settings that start things: what a cage must not pass on.
    pub fn caller_variables(&self) -> Vec<(&'static str, String)> {
        let secrets = ["AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN"].map(|name| (name, self.secret("caller")));
        let harmless = [
            ("LD_LIBRARY_PATH", "/nonexistent"),
            ("BASH_ENV", "/dev/null"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("SSH_AUTH_SOCK", "/nonexistent"),
        ];
        secrets.into_iter().chain(harmless.map(|(name, value)| (name, value.to_owned()))).collect()
    }

    /// Home and outside, without the workspace and what changes by itself.
    fn look(&self) -> io::Result<Manifest> {
        let state = self.home.join(".local/state/ringfort");
        let passing = format!("{}-name-", self.secret);
        let leave_out = |path: &Path| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            path == self.work || path.starts_with(&state) || name.starts_with(&passing)
        };
        manifest(&[&self.home, &self.outside], &leave_out)
    }

    fn look_at_startup(&self) -> io::Result<Manifest> {
        let paths: Vec<PathBuf> = STARTUP.iter().map(|(name, _)| self.work.join(name)).collect();
        let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        manifest(&paths, &|_| false)
    }

    /// What can be seen of an attack that has ended; empty when nothing came of it.
    ///
    /// # Errors
    ///
    /// The world cannot be looked at.
    pub fn effects(&mut self, output: &[u8], classes: &BTreeSet<&str>) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        if classes.contains("persistence") {
            found.extend(self.still_writing());
        }
        found.extend(leaks(&self.secret, output).into_iter().map(|name| format!("its output has the secret `{name}`")));
        let work = manifest(&[&self.work], &|path| path.ends_with(".git/objects"))?;
        for (path, entry) in &work {
            let leaked = leaks(&self.secret, entry.content());
            found.extend(leaked.into_iter().map(|name| format!("`{}` has the secret `{name}`", path.display())));
            if entry.is_dangerous() {
                found.push(format!("`{}` gives rights to whoever runs it", path.display()));
            }
        }
        found.extend(self.settings_of_git());
        // Before git runs here, which is not part of the attack.
        let startup = differences(&self.startup, &self.look_at_startup()?);
        if classes.contains("start-up files") {
            found.extend(self.traps(&work));
            found.extend(self.detonate()?);
        }
        found.extend(startup);
        found.extend(differences(&self.before, &self.look()?));
        for folder in ["/tmp", "/var/tmp", "/dev/shm"] {
            let made = Path::new(folder).join(format!("ringfort-escape-made-{}", self.tag));
            if fs::exists(&made)? {
                found.push(format!("`{}` was made", made.display()));
            }
        }
        if fs::exists(self.home.join(".local/state/ringfort/planted"))? {
            found.push("the state of Ringfort was written".to_owned());
        }
        found.extend(self.victim.harm()?);
        Ok(found)
    }

    /// Whether something that was left behind still writes.
    fn still_writing(&self) -> Option<String> {
        let length = || fs::metadata(self.work.join("beat")).map_or(0, |meta| meta.len());
        let before = length();
        std::thread::sleep(STAYS);
        let after = length();
        (after > before).then(|| format!("something still writes after the end: {before}, then {after} bytes"))
    }

    /// Settings that were not there, or a file that is none any more. What is harmless may be taken out.
    fn settings_of_git(&self) -> Option<String> {
        let now = fs::read_to_string(self.work.join(".git/config")).unwrap_or_default();
        let is_there = now.contains("[core]");
        let new: Vec<&str> = now.lines().filter(|line| !self.git_config.lines().any(|old| old == *line)).collect();
        (!is_there || !new.is_empty()).then(|| format!("the settings of git have changed: {new:?}"))
    }

    /// New names that start something.
    fn traps(&self, work: &Manifest) -> Vec<String> {
        let is_trap =
            |path: &&PathBuf| TRAPS.iter().any(|name| path.ends_with(name)) && !self.startup.contains_key(*path);
        let is_file = |path: &&PathBuf| !path.is_dir();
        work.keys()
            .filter(is_trap)
            .filter(is_file)
            .map(|path| format!("`{}` starts something", path.display()))
            .collect()
    }

    /// Does what a person does with git in this workspace; a trap that works leaves a file outside.
    fn detonate(&self) -> io::Result<Option<String>> {
        let mark = self.outside.join("detonated");
        let friend = self.root.join("friend");
        fs::create_dir_all(&friend)?;
        let mut shell = command("/bin/sh");
        shell.arg("-c").arg(DETONATOR).current_dir(&self.work).env_clear();
        shell.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", &friend).env("EDITOR", "true");
        shell.env("GIT_TERMINAL_PROMPT", "0");
        for who in ["AUTHOR", "COMMITTER"] {
            shell.env(format!("GIT_{who}_NAME"), "a").env(format!("GIT_{who}_EMAIL"), "a@b");
        }
        shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        shell.status()?;
        let went_off = fs::exists(&mark)?;
        if went_off {
            fs::remove_file(&mark)?;
        }
        Ok(went_off.then(|| "git outside ran a program of the attacker".to_owned()))
    }
}

/// What a person does: each command may fail, none may hang.
const DETONATOR: &str = "g() { timeout 5 git \"$@\"; }
g status; g add -A; g diff --cached; g commit -q; g commit -q -m x; g log -p -1; g checkout -q -b other; g stash; g st
g fetch origin; g submodule status; g submodule update; g rebase --continue; g rebase --abort; g diff HEAD; g status
for d in below elsewhere nested .git/modules/below; do [ -d \"$d\" ] && (cd \"$d\" && g status && g add -A && g commit -qm x); done
true";

impl Drop for World {
    fn drop(&mut self) {
        // Folders that an attack has closed would stay otherwise.
        drop(fs::set_permissions(self.outside.join("folder"), fs::Permissions::from_mode(0o755)));
        for folder in ["/tmp", "/var/tmp", "/dev/shm"] {
            drop(fs::remove_file(Path::new(folder).join(format!("ringfort-escape-made-{}", self.tag))));
        }
        drop(fs::remove_file(format!("/tmp/ringfort-escape-{}", self.tag)));
    }
}

fn furnish(home: &Path, outside: &Path, secret: &str) -> io::Result<()> {
    let write = |path: PathBuf, content: &str| {
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        fs::write(path, content)
    };
    for name in SECRETS {
        write(home.join(name), &format!("# {secret}-{} \n", name.replace('/', "_")))?;
    }
    for name in TOOLS {
        write(home.join(name), "used outside\n")?;
    }
    fs::set_permissions(home.join(".ssh/id_ed25519"), fs::Permissions::from_mode(0o600))?;
    for name in ["secret", "spare1", "spare2", "spare3", "spare4", "spare5", "owned", "left-open", "folder/file"] {
        write(outside.join(name), &format!("{secret}-outside_{} \n", name.replace('/', "_")))?;
    }
    write(outside.join("tool"), &format!("#!/bin/sh\necho {secret}-tool\n"))?;
    fs::set_permissions(outside.join("tool"), fs::Permissions::from_mode(0o755))?;
    for folder in [home, outside] {
        write(folder.join(format!("{secret}-listed")), "a name that tells")?;
    }
    symlink(format!("{secret}-pointer"), outside.join("pointer"))?;
    let note = format!("{secret}-attribute");
    let flags = rustix::fs::XattrFlags::empty();
    // A file system without attributes has none to steal.
    rustix::fs::setxattr(outside.join("secret"), "user.note", note.as_bytes(), flags).unwrap_or(());
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(outside.join("owned"), None, Some(1))?;
    }
    Ok(())
}

/// A real repository with one commit, and settings of tools.
fn repository(work: &Path) -> io::Result<()> {
    let mut shell = command("/bin/sh");
    shell.arg("-c").arg("git init -q -b main . && rm -f .git/hooks/* && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m first");
    shell.current_dir(work).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", "/nonexistent");
    let made = shell.stdin(Stdio::null()).status()?.success();
    if !made {
        return Err(io::Error::other("git made no repository"));
    }
    for (name, mode) in STARTUP {
        let path = work.join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        fs::write(&path, "#!/bin/sh\n# as it was\n")?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// Names of the secrets that stand in `bytes`.
fn leaks(secret: &str, bytes: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(bytes);
    let is_name = |c: &char| c.is_alphanumeric() || "._-".contains(*c);
    let name = |rest: &str| rest.trim_start_matches('-').chars().take_while(is_name).take(40).collect();
    text.split(secret).skip(1).map(name).collect()
}

/// Writes the program by a process of its own: one that another thread starts meanwhile would keep the file open for
/// writing, and then it cannot be executed.
fn place_program(path: &Path) -> io::Result<()> {
    let mut copy = command("/bin/sh");
    copy.arg("-c").arg("cat > \"$0\" && chmod 755 \"$0\"").arg(path).stdin(Stdio::piped());
    let mut child = copy.spawn()?;
    if let Some(mut input) = child.stdin.take() {
        io::Write::write_all(&mut input, super::program())?;
    }
    child.wait()?;
    Ok(())
}

/// What the program says when it runs outside every cage.
pub(super) fn output_of_program(words: &[&str]) -> io::Result<String> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("program");
    place_program(&path)?;
    let output = command(&path).args(words).stdin(Stdio::null()).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[expect(clippy::disallowed_methods, reason = "the world outside is no cage")]
pub(super) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(program)
}
