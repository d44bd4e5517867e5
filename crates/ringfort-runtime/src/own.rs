// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ringfort by identity: a program word whose file is this very executable is ruled on as Ringfort, whatever its name;
//! and a `ringfort` that the search path finds elsewhere is not taken for this one.
//!
//! In: a request for a command, and the folders in which its shell would look. Out: what the pure ruling, which knows
//! names only, has to be merged with.
//!
//! **Invariant:** this only makes a ruling stricter. Files are looked at, never opened; what cannot be looked at stays
//! what its name says. A copy is another file, and an unknown program.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ringfort_core::action::{Action, Command};
use ringfort_core::decision::{Decision, Risk};
use ringfort_core::limits::PATH_BYTES_MAX;
use ringfort_core::request::Request;
use ringfort_core::ruling::{Reason, Ruling};
use ringfort_core::text::Text;
use ringfort_policy::command::analysis::{Context, Program, SimpleCommand};
use ringfort_policy::command::{analyze, analyze_argv};
use ringfort_policy::path::Setting;

/// Most program words of one command whose files are looked at.
const PROGRAMS_MAX: usize = 256;
/// Most folders of the search path that are looked into.
const FOLDERS_MAX: usize = 64;
/// The name by which the analysis knows this program.
const NAME: &[u8] = b"ringfort";
/// Folders that only the system writes: what is there is what its name says.
const SYSTEM: [&str; 6] = ["/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/sbin", "/opt/homebrew/bin"];

/// This executable, and where a shell looks for programs.
#[derive(Clone, Debug)]
pub struct Own {
    device: u64,
    inode: u64,
    search: Vec<PathBuf>,
}

/// What the file of a program word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// This executable.
    Own,
    /// Another one, in a folder of the system or not.
    Other { system: bool },
    /// There is none.
    Nothing,
}

impl Own {
    /// This executable, seen from a process with the search path `search`; `None` where it cannot be looked at.
    pub fn new(executable: &Path, search: &OsStr) -> Option<Self> {
        let file = executable.metadata().ok()?;
        let folders = search.as_bytes().split(|b| *b == b':').take(FOLDERS_MAX);
        // An empty part is the current folder.
        let search =
            folders.map(|folder| PathBuf::from(OsStr::from_bytes(if folder.is_empty() { b"." } else { folder })));
        Some(Self { device: file.dev(), inode: file.ino(), search: search.collect() })
    }

    /// The ruling, with what is to be said of program words that are, or are not, this executable.
    pub fn narrow(&self, request: &Request, ruling: Ruling, decide: impl Fn(&Request) -> Ruling) -> Ruling {
        let Action::Command(command) = &request.action else { return ruling };
        if ruling.decision == Decision::Deny {
            return ruling;
        }
        let setting = Setting::from(request);
        let context =
            Context { cwd: Some(&setting.cwd), home: setting.home.as_deref(), workspace: setting.workspace.as_deref() };
        let analysis = match command {
            Command::Shell(text) => analyze(text.as_bytes(), &context),
            Command::Argv(words) => {
                let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
                analyze_argv(&words, &context)
            }
        };
        let mut seen: Vec<(&[u8], Found)> = Vec::new();
        let mut ruling = ruling;
        for command in &analysis.commands {
            let Program::Known(name) = &command.program else { continue };
            let found = match seen.iter().find(|(known, _)| known == &name.as_slice()) {
                Some((_, found)) => *found,
                None if seen.len() >= PROGRAMS_MAX => return ruling.merge(Ruling::deny(Risk::High, too_many())),
                None => {
                    let found = self.look(name, &setting);
                    seen.push((name, found));
                    found
                }
            };
            ruling = match found {
                Found::Own if name.as_slice() != NAME => ruling.merge(renamed(request, command, &decide)),
                Found::Other { system: false } if name.as_slice() == NAME => {
                    let risk = ruling.risk;
                    ruling.merge(Ruling::new(Decision::Ask, risk, another(command)))
                }
                Found::Own | Found::Other { .. } | Found::Nothing => ruling,
            };
        }
        ruling
    }

    /// The file that a program word names.
    fn look(&self, name: &[u8], setting: &Setting<'_>) -> Found {
        if name.is_empty() || name.len() > PATH_BYTES_MAX || name.contains(&0) {
            return Found::Nothing;
        }
        let cwd = Path::new(OsStr::from_bytes(&setting.cwd));
        if name.contains(&b'/') {
            let path = setting.resolve(name).into_owned();
            return self.at(Path::new(OsStr::from_bytes(&path))).unwrap_or(Found::Nothing);
        }
        let found = self.search.iter().find_map(|folder| self.at(&cwd.join(folder).join(OsStr::from_bytes(name))));
        found.unwrap_or(Found::Nothing)
    }

    /// The executable file at a path, links followed as the kernel does.
    fn at(&self, path: &Path) -> Option<Found> {
        let file = path.metadata().ok()?;
        if !file.is_file() || file.mode() & 0o111 == 0 {
            return None;
        }
        if file.dev() == self.device && file.ino() == self.inode {
            return Some(Found::Own);
        }
        let system = path.parent().is_some_and(|folder| SYSTEM.iter().any(|system| folder == Path::new(system)));
        Some(Found::Other { system })
    }
}

/// What would be ruled on the same words under the right name.
fn renamed(request: &Request, command: &SimpleCommand, decide: &impl Fn(&Request) -> Ruling) -> Ruling {
    let words: Option<Vec<Text>> = command.args.iter().map(|argument| argument.known().map(Text::new)).collect();
    let Some(words) = words else {
        let reason = Reason::new(
            "runtime-005",
            Decision::Deny,
            "this program is Ringfort under another name, with words that are only known at run time",
        );
        return Ruling::deny(Risk::High, reason.span(command.span));
    };
    let words = std::iter::once(Text::new(NAME)).chain(words).collect();
    let mut ruling = decide(&Request { action: Action::Command(Command::Argv(words)), ..request.clone() });
    for reason in &mut ruling.reasons {
        reason.span = Some(command.span);
        reason.message = format!("this program is Ringfort under another name: {}", reason.message);
    }
    ruling.effects.clear();
    ruling
}

fn another(command: &SimpleCommand) -> Reason {
    let message = "the `ringfort` that the search path finds is another program than this";
    Reason::new("runtime-005", Decision::Ask, message).span(command.span)
}

fn too_many() -> Reason {
    let message =
        format!("it names more than {PROGRAMS_MAX} programs, of which one may be Ringfort under another name");
    Reason::new("runtime-005", Decision::Deny, message)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use ringfort_core::door::{Door, DoorKind, Standing};
    use ringfort_core::principal::Principal;
    use ringfort_core::request::Provenance;
    use ringfort_policy::load::validate;
    use ringfort_policy::rule::Policy;

    use super::*;

    #[test]
    fn deny_ringfort_under_another_name() {
        let folder = tempfile::tempdir().unwrap();
        let (work, bin) = (folder.path().join("home/work"), folder.path().join("bin"));
        for path in [&work, &bin] {
            std::fs::create_dir_all(path).unwrap();
        }
        let program = |path: &Path| {
            std::fs::write(path, "a program").unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        let real = bin.join("real");
        program(&real);
        for name in ["linked", "hard"] {
            if name == "hard" {
                std::fs::hard_link(&real, work.join(name)).unwrap()
            } else {
                symlink(&real, work.join(name)).unwrap()
            }
        }
        program(&work.join("copy"));
        symlink(&real, bin.join("rf")).unwrap();
        let other = folder.path().join("other");
        std::fs::create_dir(&other).unwrap();
        program(&other.join("ringfort"));

        let policy = Policy::from_config(&validate(Path::new("test"), "").unwrap());
        let rule = |own: &Own, text: &str| {
            let request = Request {
                principal: Principal::try_user("ada").unwrap().try_child("agent").unwrap(),
                action: Action::Command(Command::Shell(Text::from(text))),
                session: "s".to_owned(),
                cwd: work.clone(),
                workspace: work.clone(),
                home: Some(folder.path().join("home")),
                provenance: Provenance::Agent,
                bindings: Vec::new(),
            };
            let ruling = own.narrow(&request, policy.decide(&request), |request| policy.decide(request));
            Door::bare(DoorKind::Hook, Standing::Advised).resolve(ruling)
        };
        let own = Own::new(&real, bin.as_os_str()).unwrap();
        for (text, expected) in [
            ("./linked policy accept", Decision::Deny),
            ("./hard policy accept", Decision::Deny),
            ("sh -c './hard policy accept'", Decision::Deny),
            ("ls && ./hard approvals allow 0123abcd", Decision::Deny),
            ("./hard \"$@\"", Decision::Deny),
            ("rf trail show 1", Decision::Deny),
            ("env rf policy accept", Decision::Deny),
            ("../../bin/real run --policy x -- ls", Decision::Deny),
            // Its name is not this program's, so that its cage does not count; and a copy is any other program.
            ("./hard run -- npm test", Decision::Ask),
            ("./hard check -- ls", Decision::Ask),
            ("./copy policy accept", Decision::Ask),
            ("./missing policy accept", Decision::Ask),
            ("ls -la", Decision::Allow),
            ("ringfort run -- npm test", Decision::Allow),
        ] {
            let ruling = rule(&own, text);
            assert_eq!(ruling.decision, expected, "`{text}`: {:?}", ruling.reasons);
        }
        // A `ringfort` that is found before this one.
        let elsewhere = Own::new(&real, other.as_os_str()).unwrap();
        let ruling = rule(&elsewhere, "ringfort run -- npm test");
        assert_eq!(ruling.decision, Decision::Ask, "{:?}", ruling.reasons);
        assert!(ruling.deciding().any(|reason| reason.rule == "runtime-005"));
        let many: String = (0..=PROGRAMS_MAX).map(|n| format!("echo{n}; ")).collect();
        assert_eq!(rule(&own, &many).decision, Decision::Deny);
        assert_eq!(rule(&own, &"ls; ".repeat(200)).decision, Decision::Allow);
    }
}
