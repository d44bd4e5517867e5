// SPDX-License-Identifier: MIT OR Apache-2.0
//! What kind of place a normal path is.
//!
//! **Invariant:** the closed folders come first, so that neither the workspace nor an allowed root opens one. The one
//! exception is a workspace below the caller's own home folder, where that home folder itself lies in a closed one.

use ringfort_core::action::PathOp;

use super::{DOT_FOLDERS, OPEN_DEVICES, Place, SYSTEM_FOLDERS, Setting, is_below};

/// What kind of place a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone<'z> {
    /// A device that is open to everybody.
    Device,
    /// A folder of the system that is always closed; its name.
    System(&'static str),
    /// A folder of keys below a home folder that is always closed; its name.
    DotFolder(&'static str),
    /// A place that the configuration closes; as written there.
    Forbidden(&'z str),
    /// A file that holds credentials.
    Credential,
    /// A file or folder in the workspace or an allowed root from which programs start by themselves.
    Startup,
    /// A file or folder elsewhere from which programs start by themselves.
    Persistence,
    /// A file whose name says that it holds credentials, in the workspace or an allowed root.
    NamedSecret,
    /// The workspace.
    Workspace,
    /// An allowed root.
    Root,
    /// A folder for temporary files.
    Scratch,
    /// Anywhere else.
    Outside,
}

/// The places that a policy names.
#[derive(Clone, Debug, Default)]
pub struct Zones {
    /// Closed besides those that always are.
    pub forbidden: Vec<Place>,
    /// May be read and written.
    pub roots: Vec<Place>,
    /// May be read.
    pub roots_read_only: Vec<Place>,
}

/// Files below a home folder that hold credentials.
const CREDENTIALS: [&str; 35] = [
    ".netrc",
    "_netrc",
    ".pgpass",
    ".my.cnf",
    ".npmrc",
    ".yarnrc.yml",
    ".pypirc",
    ".git-credentials",
    ".config/git/credentials",
    ".vault-token",
    ".kube",
    ".docker/config.json",
    ".config/containers/auth.json",
    ".azure",
    ".config/gh/hosts.yml",
    ".config/hub",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".gem/credentials",
    ".m2/settings.xml",
    ".gradle/gradle.properties",
    ".terraform.d",
    ".terraformrc",
    ".config/op",
    ".config/rclone",
    ".password-store",
    ".local/share/keyrings",
    ".mozilla",
    ".config/google-chrome",
    ".config/chromium",
    ".codex/auth.json",
    ".gemini/oauth_creds.json",
    ".claude/.credentials.json",
    ".config/ringfort",
    ".local/state/ringfort",
];
/// Files and folders from which shells, tools and agents start things, by their names in a project.
const STARTUP: [&str; 24] = [
    ".git/hooks",
    ".git/config",
    ".git/info/attributes",
    ".git/modules",
    ".husky",
    ".envrc",
    ".mcp.json",
    ".claude",
    ".codex",
    ".cursor",
    ".gemini",
    ".opencode",
    ".openclaw",
    ".github/hooks",
    "opencode.json",
    "opencode.jsonc",
    ".vscode/tasks.json",
    ".vscode/settings.json",
    ".vscode/launch.json",
    ".vscode/mcp.json",
    ".idea/runConfigurations",
    ".devcontainer",
    ".zed/settings.json",
    "ringfort.toml",
];
/// Files below a home folder that shells, tools and the session read when they start.
const HOME_STARTUP: [&str; 30] = [
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".bash_aliases",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".zlogin",
    ".zlogout",
    ".kshrc",
    ".cshrc",
    ".tcshrc",
    ".login",
    ".xinitrc",
    ".xprofile",
    ".xsession",
    ".inputrc",
    ".vimrc",
    ".tmux.conf",
    ".gitconfig",
    ".pam_environment",
    ".config/fish",
    ".config/autostart",
    ".config/systemd",
    ".config/git",
    ".config/environment.d",
    ".local/share/applications",
    ".local/bin",
];
/// Names of files that hold credentials wherever they are.
pub(crate) const SECRET_NAMES: [&str; 14] = [
    ".env",
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    "id_ecdsa_sk",
    "id_ed25519_sk",
    ".netrc",
    ".pgpass",
    ".pypirc",
    ".git-credentials",
    "master.key",
    ".htpasswd",
    "wallet.dat",
];
/// Ends of names of files that hold private keys.
const SECRET_ENDS: [&str; 6] = [".p12", ".pfx", ".jks", ".keystore", ".kdbx", ".ppk"];
/// Ends that make an example of a file that would otherwise hold credentials.
const EXAMPLE_ENDS: [&str; 5] = [".example", ".sample", ".template", ".dist", ".pub"];

impl Zones {
    /// What kind of place a normal path is, for one kind of access.
    pub fn zone(&self, path: &[u8], op: PathOp, setting: &Setting<'_>) -> Zone<'_> {
        let in_home = home_part(path, setting);
        if let Some(folder) = in_home.and_then(|rest| dot_folder(rest, op)) {
            return Zone::DotFolder(folder);
        }
        if path.starts_with(b"/dev/") && OPEN_DEVICES.iter().any(|device| path == device.as_bytes()) {
            return Zone::Device;
        }
        if let Some(folder) = system_folder(path, setting) {
            return Zone::System(folder);
        }
        if let Some(place) = self.forbidden_place(path, setting) {
            return Zone::Forbidden(place.as_str());
        }
        if in_home.is_some_and(|rest| starts_with_any(rest, &CREDENTIALS)) {
            return Zone::Credential;
        }
        let inside = setting.is_inside(path);
        let in_root = holds(&self.roots, path, setting);
        let open = inside || in_root || (op == PathOp::Read && holds(&self.roots_read_only, path, setting));
        if op == PathOp::Write && in_home.is_some_and(|rest| starts_with_any(rest, &HOME_STARTUP)) {
            return Zone::Persistence;
        }
        if op == PathOp::Write && is_startup(path) {
            return if open { Zone::Startup } else { Zone::Persistence };
        }
        if open && is_named_secret(path) {
            return Zone::NamedSecret;
        }
        match (inside, open) {
            (true, _) => Zone::Workspace,
            (false, true) => Zone::Root,
            _ if [&b"/tmp"[..], b"/var/tmp"].iter().any(|scratch| is_below(path, scratch)) => Zone::Scratch,
            _ => Zone::Outside,
        }
    }

    /// A configured place below `path`, which is gone when `path` is removed or moved.
    pub fn forbidden_below(&self, path: &[u8], setting: &Setting<'_>) -> Option<Zone<'_>> {
        self.forbidden.iter().find(|place| place.is_under(path, setting)).map(|place| Zone::Forbidden(place.as_str()))
    }

    /// The configured place that closes a path.
    fn forbidden_place(&self, path: &[u8], setting: &Setting<'_>) -> Option<&Place> {
        // A place that is always closed keeps its one exception when a file lists it again.
        let listed = |place: &Place| SYSTEM_FOLDERS.iter().any(|folder| place.is_absolute(folder));
        self.forbidden.iter().find(|place| place.holds(path, setting) && !listed(place))
    }
}

fn holds(places: &[Place], path: &[u8], setting: &Setting<'_>) -> bool {
    places.iter().any(|place| place.holds(path, setting))
}

/// The closed folder of the system that a path lies in.
fn system_folder(path: &[u8], setting: &Setting<'_>) -> Option<&'static str> {
    // All of these names begin so (tested); most paths do not.
    if !matches!(path, [b'/', b'b' | b'd' | b'e' | b'l' | b'p' | b'r' | b's' | b'u' | b'v', ..]) {
        return None;
    }
    let folder = SYSTEM_FOLDERS.into_iter().find(|folder| is_below(path, folder.as_bytes()))?;
    let own = |home: &[u8], workspace: &[u8]| is_below(home, folder.as_bytes()) && is_below(workspace, home);
    let exempt = match (&setting.home, &setting.workspace) {
        (Some(home), Some(workspace)) => own(home, workspace) && is_below(path, workspace),
        _ => false,
    };
    (!exempt).then_some(folder)
}

/// The part of a path below the home folder of anybody.
fn home_part<'p>(path: &'p [u8], setting: &Setting<'_>) -> Option<&'p [u8]> {
    let below = |home: &[u8]| match path.strip_prefix(home) {
        Some([b'/', rest @ ..]) => Some(rest),
        Some([]) => Some(&[][..]),
        _ => None,
    };
    if let Some(rest) = setting.home.as_deref().and_then(below) {
        return Some(rest);
    }
    if let Some(rest) = below(b"/root") {
        return Some(rest);
    }
    let user = path.strip_prefix(b"/home/").or_else(|| path.strip_prefix(b"/Users/"))?;
    let slash = user.iter().position(|b| *b == b'/')?;
    user.get(slash + 1..)
}

/// The folder of keys that a path lies in; writing to a folder above one (or removing it) counts.
fn dot_folder(rest: &[u8], op: PathOp) -> Option<&'static str> {
    if rest.first() != Some(&b'.') {
        // All of these names begin so (tested); most paths do not.
        return None;
    }
    DOT_FOLDERS.into_iter().find(|folder| {
        let folder = folder.as_bytes();
        is_below(rest, folder) || (op == PathOp::Write && !rest.is_empty() && is_below(folder, rest))
    })
}

fn starts_with_any(rest: &[u8], names: &[&str]) -> bool {
    // All of these names begin so (tested); most paths do not.
    matches!(rest, [b'.' | b'_', ..]) && names.iter().any(|name| is_below(rest, name.as_bytes()))
}

/// Whether a path is one from which programs start by themselves, or the folder that holds most of them.
fn is_startup(path: &[u8]) -> bool {
    let mut rest = path;
    while let Some(at) = rest.iter().position(|b| *b == b'/') {
        rest = rest.get(at + 1..).unwrap_or(&[]);
        // All of these names begin so (tested); most components do not.
        let candidate = matches!(rest, [b'.' | b'o' | b'r', ..]);
        if candidate
            && (STARTUP.iter().any(|name| is_below(rest, name.as_bytes())) || rest == b".git" || rest == b".vscode")
        {
            return true;
        }
    }
    false
}

fn is_named_secret(path: &[u8]) -> bool {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or(path);
    // All of these names begin or end so (tested); most do not.
    let candidate =
        matches!(name, [b'.' | b'i' | b'm' | b'w', ..]) || matches!(name, [.., b'2' | b'x' | b's' | b'e' | b'k']);
    if !candidate {
        return false;
    }
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end.as_bytes()));
    if ends(&EXAMPLE_ENDS) {
        return false;
    }
    SECRET_NAMES.iter().any(|secret| name == secret.as_bytes()) || name.starts_with(b".env.") || ends(&SECRET_ENDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_cuts_hide_no_name() {
        assert!(CREDENTIALS.iter().chain(&HOME_STARTUP).all(|name| name.starts_with(['.', '_'])));
        assert!(STARTUP.iter().all(|name| name.starts_with(['.', 'o', 'r'])));
        assert!(DOT_FOLDERS.iter().all(|name| name.starts_with('.')));
        let setting = Setting::new("/w".as_ref(), "/w".as_ref(), None);
        for folder in SYSTEM_FOLDERS {
            assert!(system_folder(folder.as_bytes(), &setting).is_some(), "{folder}");
        }
        for name in SECRET_NAMES {
            assert!(is_named_secret(format!("/w/{name}").as_bytes()), "{name}");
        }
        for end in SECRET_ENDS {
            assert!(is_named_secret(format!("/w/z{end}").as_bytes()), "{end}");
        }
    }
}
