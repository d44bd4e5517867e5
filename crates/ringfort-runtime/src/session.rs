// SPDX-License-Identifier: MIT OR Apache-2.0
//! One session: a workspace, a chain of policies, a pipeline, and the profile that every cage of it shares.
//!
//! In: a loaded configuration and what the caller's process is (folder, home, environment), read once by the wiring.
//! Out: tasks (a request and the program it names), admitted by the pipeline and started in cages.
//!
//! **Invariant:** the facts that an approval depends on (environment, program, files named on the command line,
//! policies) are read again just before the start; if one has changed, the permit does not fit and nothing runs.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ringfort_core::action::{Action, Command};
use ringfort_core::clock::Clock;
use ringfort_core::digest::{Digest, DigestWriter};
use ringfort_core::door::{Door, DoorKind, Standing};
use ringfort_core::limits::{ARGV_WORDS_MAX, COMMAND_BYTES_MAX, PATH_BYTES_MAX};
use ringfort_core::obligation::{ApprovalChannel, Demand, LimitObligation, Promise};
use ringfort_core::principal::Principal;
use ringfort_core::request::{Provenance, Request};
use ringfort_core::ruling::Ruling;
use ringfort_core::text::{Text, escape_bytes};
use ringfort_detect::Known;
use ringfort_sandbox::launch::{Cage, LaunchError, Spawn, launch};
use ringfort_sandbox::profile::{Container, DegreeRequest, Profile, WORKSPACE};
use rustix::fs::{Mode, OFlags};
use zeroize::Zeroize as _;

use crate::pipeline::{Admitted, Pipeline};
use crate::secrets::Variables;
use crate::supervisor::Bounds;
use crate::supervisor::stdio::Inside;

/// Files named on a command line whose content an approval is bound to: so many of its first words are looked at.
const BOUND_WORDS_MAX: usize = 16;
/// Largest file that is bound by its content; a larger one is bound by its identity, size and times. Bytes.
const BOUND_FILE_BYTES_MAX: u64 = 256 << 10;
/// The shell that runs a command line given as one argument.
const SHELL: &str = "/bin/sh";

/// One session.
pub struct Session {
    /// Decides, records, issues.
    pub pipeline: Pipeline,
    /// Its name, random.
    pub name: String,
    /// The workspace, canonical.
    pub workspace: PathBuf,
    /// The caller's home.
    pub home: PathBuf,
    /// What every cage of this session shares.
    pub profile: Profile,
    /// Whether a known agent runs in it: what it starts finds the broker without an inherited descriptor too.
    pub holds_agent: bool,
    /// Bounds on every run.
    pub limits: LimitObligation,
    /// Longest run of a command that an agent starts.
    pub agent_wall: Option<Duration>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The values that were handed to it, which do not leave.
    pub known: Option<Arc<Known>>,
}

/// A request and the program that it names.
#[derive(Debug)]
pub struct Task {
    /// What is ruled on.
    pub request: Request,
    /// The resolved program.
    pub program: PathBuf,
    /// Its words.
    pub argv: Vec<OsString>,
    /// The folder it starts in.
    pub cwd: PathBuf,
    /// Its environment.
    pub environment: Vec<(OsString, OsString)>,
}

/// Why there is no task. Nothing has run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// No words at all, or too many.
    #[error("a command has between 1 and {ARGV_WORDS_MAX} words and at most {COMMAND_BYTES_MAX} bytes")]
    Size,
    /// The program was not found.
    #[error("no program `{0}` is found in the folders of PATH that are visible in the cage")]
    NotFound(String),
    /// The folder is not inside the workspace.
    #[error("the folder `{}` is not inside the workspace `{}`", cwd.display(), workspace.display())]
    OutsideWorkspace {
        /// The folder.
        cwd: PathBuf,
        /// The workspace.
        workspace: PathBuf,
    },
}

impl Session {
    /// Makes a task of a command's words.
    ///
    /// # Errors
    ///
    /// [`TaskError`]: nothing has run.
    pub fn task(
        &self,
        principal: &Principal,
        provenance: Provenance,
        words: Vec<Text>,
        cwd: &Path,
        environment: Vec<(OsString, OsString)>,
    ) -> Result<Task, TaskError> {
        let bytes: usize = words.iter().map(|word| word.as_bytes().len() + 1).sum();
        if words.is_empty() || words.len() > ARGV_WORDS_MAX || bytes > COMMAND_BYTES_MAX {
            return Err(TaskError::Size);
        }
        let cwd = self.folder(cwd)?;
        let (action, argv) = self.command(words);
        let path = environment.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
        let first = argv.first().map(OsString::as_os_str).unwrap_or_default();
        let (program, real) = match self.container() {
            // What the image has is found inside; what lies in the workspace is ruled by where it lies here.
            Some(_) => (PathBuf::from(first), self.outside_container(first, &cwd)),
            None => {
                let program = self.resolve(first, &cwd, path.unwrap_or_default());
                let program = program.ok_or_else(|| TaskError::NotFound(Text::new(first.as_bytes()).escaped()))?;
                (program.clone(), program)
            }
        };
        let action = self.with_real_program(action, &real);
        let mut request = Request {
            principal: principal.clone(),
            action: Action::Command(action),
            session: self.name.clone(),
            cwd: cwd.clone(),
            workspace: self.workspace.clone(),
            home: Some(self.home.clone()),
            provenance,
            bindings: Vec::new(),
        };
        request.bindings = self.bindings(&program, &argv, &cwd, &environment);
        Ok(Task { request, program, argv, cwd, environment })
    }

    /// A request for what is only asked about: its program need not be there.
    ///
    /// # Errors
    ///
    /// [`TaskError`]: there are no words, or too many, or the folder lies outside the workspace.
    pub fn question(
        &self,
        principal: &Principal,
        provenance: Provenance,
        words: Vec<Text>,
        cwd: &Path,
    ) -> Result<Request, TaskError> {
        if words.is_empty() || words.len() > ARGV_WORDS_MAX {
            return Err(TaskError::Size);
        }
        Ok(Request {
            principal: principal.clone(),
            action: Action::Command(Command::from_words(words)),
            session: self.name.clone(),
            cwd: self.folder(cwd)?,
            workspace: self.workspace.clone(),
            home: Some(self.home.clone()),
            provenance,
            bindings: Vec::new(),
        })
    }

    /// Starts an admitted task in a cage.
    ///
    /// # Errors
    ///
    /// As [`Session::launch_with`].
    pub fn launch(
        &self,
        admitted: Admitted,
        task: &Task,
        inside: Inside,
        broker: Option<OwnedFd>,
    ) -> Result<Cage, LaunchError> {
        self.launch_with(admitted, task, &Variables::default(), inside, broker)
    }

    /// Starts an admitted task in a cage, with these variables besides.
    ///
    /// # Errors
    ///
    /// [`LaunchError`]: nothing has run. A permit that does not fit any more, because a fact that the approval
    /// depended on has changed, is one of its causes.
    pub fn launch_with(
        &self,
        admitted: Admitted,
        task: &Task,
        variables: &Variables,
        inside: Inside,
        broker: Option<OwnedFd>,
    ) -> Result<Cage, LaunchError> {
        let mut request = task.request.clone();
        request.bindings = self.bindings(&task.program, &task.argv, &task.cwd, &task.environment);
        let mut profile = self.profile.clone();
        profile.cwd.clone_from(&task.cwd);
        profile.environment.clone_from(&task.environment);
        for (name, value) in variables.iter() {
            profile.environment.retain(|(present, _)| present != name);
            profile.environment.push((name.clone(), OsStr::from_bytes(value.expose()).to_owned()));
        }
        profile.environment.sort();
        let spawn = Spawn {
            program: task.program.clone(),
            argv: task.argv.clone(),
            stdin: inside.stdin,
            stdout: inside.stdout,
            stderr: inside.stderr,
            terminal: inside.terminal,
            broker,
        };
        let launched = launch(admitted.permit, &request.digest(), self.clock.now(), &profile, spawn);
        for (name, value) in &mut profile.environment {
            if variables.iter().any(|(given, _)| given == name) {
                // Not zeroed, the copy would stay in freed memory for as long as the program runs.
                let mut bytes = std::mem::take(value).into_vec();
                bytes.zeroize();
            }
        }
        launched
    }

    /// The door of this session's cages: it keeps the promises that its degree of isolation stands for.
    ///
    /// A promise that the host turns out not to keep makes [`Session::launch`] fail before anything runs.
    pub fn door(&self, kind: DoorKind, asks: Option<ApprovalChannel>) -> Door {
        Door {
            kind,
            isolates: promises_of(self.profile.degree),
            redacts: Demand::Demanded,
            limits: Demand::Demanded,
            profile: Some(self.profile.runtime.clone()),
            asks,
            standing: Standing::Caged,
        }
    }

    /// The bounds of one run that its supervisor keeps: those of the session and of the ruling, the smaller of each.
    pub fn bounds(&self, ruling: &Ruling) -> Bounds<'_> {
        let theirs = &ruling.obligations.limits;
        let least = |mine: Option<u64>, theirs: Option<u64>| mine.into_iter().chain(theirs).min();
        Bounds {
            clock: self.clock.as_ref(),
            wall: least(self.limits.wall_ms_max, theirs.wall_ms_max).map(Duration::from_millis),
            output_bytes_max: least(self.limits.output_bytes_max, theirs.output_bytes_max),
        }
    }

    /// Where a program of the outside is found inside: at its own path, or as a part of the private home.
    pub fn visible_program(&self, program: &Path) -> PathBuf {
        let bind = self.profile.home.binds.iter().find(|bind| bind.source == program);
        bind.map_or_else(|| program.to_owned(), |bind| self.home.join(&bind.target))
    }

    /// Tells the person at the terminal something that no record could take.
    pub fn warn(&self, message: &str) {
        // Nobody is left to tell if standard error is closed.
        drop(writeln!(io::stderr(), "ringfort: {}", shown(message)));
    }

    fn folder(&self, cwd: &Path) -> Result<PathBuf, TaskError> {
        let outside = || TaskError::OutsideWorkspace { cwd: cwd.to_owned(), workspace: self.workspace.clone() };
        let real = cwd.canonicalize().map_err(|_missing| outside())?;
        if real.starts_with(&self.workspace) { Ok(real) } else { Err(outside()) }
    }

    /// The command in the form that every door rules on, and the words that are really executed.
    fn command(&self, words: Vec<Text>) -> (Command, Vec<OsString>) {
        let os = |word: &Text| OsStr::from_bytes(word.as_bytes()).to_owned();
        let argv: Vec<OsString> = words.iter().map(os).collect();
        let command = Command::from_words(words);
        match &command {
            Command::Shell(text) if !is_plain_word(text.as_bytes()) => {
                let argv = vec![OsString::from(SHELL), OsString::from("-c"), os(text)];
                (command, argv)
            }
            _ => (command, argv),
        }
    }

    /// A bare name that resolves to something inside the workspace is not the program of that name.
    fn with_real_program(&self, command: Command, program: &Path) -> Command {
        let real = program.canonicalize().unwrap_or_else(|_gone| program.to_owned());
        if !real.starts_with(&self.workspace) {
            return command;
        }
        let path = Text::new(program.as_os_str().as_bytes());
        match command {
            Command::Argv(words) => Command::Argv(std::iter::once(path).chain(words.into_iter().skip(1)).collect()),
            Command::Shell(text) if is_plain_word(text.as_bytes()) => Command::Shell(path),
            shell @ Command::Shell(_) => shell,
        }
    }

    /// The program that `name` means: itself if it holds a slash, otherwise the first in `path` that can be executed.
    fn resolve(&self, name: &OsStr, cwd: &Path, path: &OsStr) -> Option<PathBuf> {
        if name.is_empty() {
            return None;
        }
        let can_execute = |path: &Path| {
            let meta = self.outside_path(path).metadata();
            meta.is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        };
        if name.as_bytes().contains(&b'/') {
            let path = cwd.join(name);
            // What is not there inside is not looked at outside either: a caged caller learns nothing from it.
            let real = self.outside_path(&path).canonicalize().ok()?;
            // A path that climbs is judged by where it ends, not by how it begins.
            let climbs = path.components().any(|part| part == std::path::Component::ParentDir);
            let is_there = (!climbs && self.is_visible(&path)) || self.is_visible(&real);
            return (is_there && can_execute(&path)).then_some(path);
        }
        // Relative and empty entries would mean the folder the caller happens to be in.
        let folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
        folders.map(|folder| folder.join(name)).find(|path| can_execute(path) && self.is_visible(path))
    }

    /// Where a path of the inside is found outside: a part of the private home is somewhere else there.
    fn outside_path(&self, path: &Path) -> PathBuf {
        let binds = self.profile.home.binds.iter();
        let shown = binds.filter_map(|bind| Some((bind, path.strip_prefix(self.home.join(&bind.target)).ok()?)));
        let innermost = shown.min_by_key(|(_, rest)| rest.as_os_str().len());
        innermost
            .map_or_else(|| path.to_owned(), |(bind, rest)| bind.source.components().chain(rest.components()).collect())
    }

    /// How containers are made, if the runtime makes one.
    fn container(&self) -> Option<&Container> {
        self.profile.engine.as_ref()?.container.as_ref()
    }

    /// Where a path of a container is here, as far as it lies in the workspace; a bare name stays what it is.
    fn outside_container(&self, name: &OsStr, cwd: &Path) -> PathBuf {
        if !name.as_bytes().contains(&b'/') {
            return PathBuf::from(name);
        }
        match Path::new(name).strip_prefix(WORKSPACE) {
            Ok(rest) => self.workspace.join(rest),
            Err(_) => cwd.join(name),
        }
    }

    /// Whether a program would be there inside: below the system, the workspace or a shown part of the home.
    fn is_visible(&self, program: &Path) -> bool {
        let profile = &self.profile;
        let below = |root: &Path| program.starts_with(root);
        profile.system.iter().any(|root| below(root))
            || below(&self.workspace)
            || profile.home.binds.iter().any(|bind| below(&self.home.join(&bind.target)) || below(&bind.source))
    }

    fn bindings(
        &self,
        program: &Path,
        argv: &[OsString],
        cwd: &Path,
        environment: &[(OsString, OsString)],
    ) -> Vec<(String, Digest)> {
        let mut bindings = Vec::new();
        for policy in self.pipeline.policies() {
            bindings.push(("policy".to_owned(), policy));
        }
        let mut writer = DigestWriter::new("ringfort.environment.v1");
        for (name, value) in environment {
            // The private folders are named after the session; an approval outlives it.
            let value = without(value.as_bytes(), self.name.as_bytes());
            // A secret that a nested run passes on is no part of a digest either: it could be guessed from it.
            let value = self.known.as_ref().map_or_else(|| value.clone(), |known| known.blank(&value));
            writer.bytes(name.as_bytes()).bytes(&value);
        }
        bindings.push(("environment".to_owned(), writer.finish()));
        if let Some(container) = self.container() {
            let mut writer = DigestWriter::new("ringfort.container.v1");
            writer.bytes(self.profile.runtime.as_bytes()).bytes(container.image.as_bytes());
            bindings.push(("container".to_owned(), writer.finish()));
        }
        bindings.push(("program".to_owned(), identity(&self.outside_path(program))));
        for word in argv.iter().skip(1).take(BOUND_WORDS_MAX) {
            let path = cwd.join(word);
            if path.as_os_str().len() < PATH_BYTES_MAX && path.is_file() {
                bindings.push(("file".to_owned(), content(&path)));
            }
        }
        bindings
    }
}

/// A message as a terminal may see it: names in it come from the workspace. What was escaped before stays as it is.
fn shown(message: &str) -> String {
    escape_bytes(message.as_bytes()).replace("\\\\", "\\")
}

/// The promises that a degree of isolation stands for where the host keeps them.
pub fn promises_of(degree: DegreeRequest) -> BTreeSet<Promise> {
    degree.degree().promises().iter().copied().collect()
}

/// Whether a shell would read this as one word that means itself.
fn is_plain_word(word: &[u8]) -> bool {
    !word.is_empty() && word.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_./+:,@%".contains(byte))
}

/// `text` with every `name` in it cut to one byte that no variable holds.
fn without(text: &[u8], name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        match rest.strip_prefix(name).filter(|_| !name.is_empty()) {
            Some(after) => {
                out.push(0);
                rest = after;
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

/// What identifies a file without reading it; a missing one has an identity of its own.
fn identity(path: &Path) -> Digest {
    let mut writer = DigestWriter::new("ringfort.file.identity.v1");
    writer.bytes(path.as_os_str().as_bytes());
    if let Ok(meta) = path.metadata() {
        writer.number(meta.dev()).number(meta.ino()).number(meta.size());
        for time in [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()] {
            writer.bytes(&time.to_be_bytes());
        }
    }
    writer.finish()
}

/// What an approval is bound to: the content of a small file, or the identity of a large or unreadable one.
pub fn content(path: &Path) -> Digest {
    let mut bytes = Vec::new();
    let read = open_regular(path).and_then(|file| file.take(BOUND_FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    if read.is_err() || bytes.len() as u64 > BOUND_FILE_BYTES_MAX {
        return identity(path);
    }
    Digest::of(&bytes)
}

/// Opens a regular file without ever waiting: neither for the other end of a pipe that has taken its place since it was
/// looked at, nor for what the kernel has yet to say (`/proc/kmsg` calls itself a regular file).
fn open_regular(path: &Path) -> io::Result<std::fs::File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = std::fs::File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let meta = file.metadata()?;
    // What the kernel makes up as it is read has no size, and reading may use it up.
    if meta.is_file() && meta.len() > 0 { Ok(file) } else { Err(io::Error::other("it is no file with content")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_session_is_no_part_of_a_variable() {
        for (text, expected) in
            [("/s/run/abc/scratch/home", &b"/s/run/\0/scratch/home"[..]), ("abcabc", b"\0\0"), ("ab", b"ab"), ("", b"")]
        {
            assert_eq!(without(text.as_bytes(), b"abc"), expected, "`{text}`");
        }
        assert_eq!(without(b"x", b""), b"x");
    }

    #[test]
    fn messages_show_no_control_sequence() {
        assert_eq!(shown("`a\u{1b}[8mb\u{202e}\n` `\\x1b`"), "`a\\u{1b}[8mb\\u{202e}\\n` `\\x1b`");
    }

    #[test]
    fn deny_waiting_for_what_only_looks_like_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        // Without a writer a blocking open waits for ever; so does reading the kernel's messages.
        assert!(open_regular(&fifo).is_err());
        assert_eq!(content(&fifo), identity(&fifo));
        assert_ne!(content(Path::new("/proc/kmsg")), Digest::of(b""));
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        assert_eq!(content(&file), Digest::of(b"x"));
    }
}
