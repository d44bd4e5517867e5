// SPDX-License-Identifier: MIT OR Apache-2.0
//! Targets: which path an argument names, and what kind of place that is.
//!
//! In: the bytes of an argument and the [`Context`]. Out: a lexically resolved path and its [`Class`].
//!
//! **Invariant:** no file is looked at, so links are not followed: that is for path policy at the moment of use.
//! A pattern is classed by the most sensitive thing that it could match.

use super::analysis::{Argument, Context, HOLE, Source, is_glob};
use crate::path::{has_odd_part, is_normal};

/// What kind of place a path is, ordered by nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// `/`, a home, a parent of the workspace, or everything in one of them.
    Root,
    /// The whole working folder or workspace.
    Whole,
    /// Part of the system.
    System,
    /// A device or kernel interface that changes the machine.
    Device,
    /// The null device and the like.
    Sink,
    /// Run or trusted later by itself, for the whole user or machine.
    Startup,
    /// Run or trusted by tools that work in the project.
    ProjectStartup,
    /// A folder for temporary files.
    Temporary,
    /// Below the working folder or workspace.
    Inside,
    /// Anywhere else.
    Outside,
    /// Not known.
    Unknown,
}

const SECRET_EXAMPLES: [&str; 14] = [
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/sudoers",
    ".ssh/id_rsa",
    ".ssh/id_ed25519",
    ".ssh/id_ecdsa",
    ".aws/credentials",
    ".netrc",
    ".env",
    ".kube/config",
    ".git-credentials",
    ".pgpass",
    ".npmrc",
    ".docker/config.json",
];
const SECRET_FILES: [&[u8]; 26] = [
    b".netrc",
    b"_netrc",
    b".pgpass",
    b".my.cnf",
    b".npmrc",
    b".pypirc",
    b".git-credentials",
    b".vault-token",
    b".htpasswd",
    b".env",
    b"id_rsa",
    b"id_dsa",
    b"id_ecdsa",
    b"id_ed25519",
    b"id_ecdsa_sk",
    b"id_ed25519_sk",
    b"wallet.dat",
    b"key4.db",
    b"logins.json",
    b"Login Data",
    b"krb5.keytab",
    b".bash_history",
    b".zsh_history",
    b".psql_history",
    b".mysql_history",
    b".terraformrc",
];
const SECRET_TAILS: [&[u8]; 19] = [
    b".aws/credentials",
    b".aws/config",
    b".kube/config",
    b".docker/config.json",
    b".config/gh/hosts.yml",
    b".config/gcloud",
    b".azure",
    b".gnupg",
    b".cargo/credentials.toml",
    b".cargo/credentials",
    b".config/op",
    b".password-store",
    b".local/share/keyrings",
    b"Library/Keychains",
    b"Library/Cookies",
    b".mozilla/firefox",
    b".config/google-chrome",
    b".config/chromium",
    b".m2/settings.xml",
];
const SECRET_PATHS: [&[u8]; 11] = [
    b"/etc/shadow",
    b"/etc/shadow-",
    b"/etc/gshadow",
    b"/etc/gshadow-",
    b"/etc/sudoers",
    b"/etc/master.passwd",
    b"/etc/security/opasswd",
    b"/proc/self/environ",
    b"/proc/kcore",
    b"/dev/mem",
    b"/var/run/docker.sock",
];
const STARTUP_FILES: [&[u8]; 25] = [
    b".bashrc",
    b".bash_profile",
    b".bash_login",
    b".bash_logout",
    b".bash_aliases",
    b".profile",
    b".zshrc",
    b".zshenv",
    b".zprofile",
    b".zlogin",
    b".zlogout",
    b".kshrc",
    b".cshrc",
    b".tcshrc",
    b".login",
    b".xinitrc",
    b".xprofile",
    b".xsession",
    b".inputrc",
    b".vimrc",
    b".tmux.conf",
    b".gitconfig",
    b".pam_environment",
    b"authorized_keys",
    b"authorized_keys2",
];
const STARTUP_TAILS: [&[u8]; 9] = [
    b".ssh/rc",
    b".ssh/config",
    b".ssh/environment",
    b".config/fish",
    b".config/autostart",
    b".config/systemd",
    b".config/git",
    b"Library/LaunchAgents",
    b".local/share/applications",
];
const STARTUP_PATHS: [&[u8]; 24] = [
    b"/etc/cron",
    b"/etc/anacrontab",
    b"/var/spool/cron",
    b"/var/spool/at",
    b"/etc/rc",
    b"/etc/init",
    b"/etc/systemd",
    b"/lib/systemd",
    b"/usr/lib/systemd",
    b"/etc/profile",
    b"/etc/bash",
    b"/etc/zsh",
    b"/etc/environment",
    b"/etc/ld.so",
    b"/etc/passwd",
    b"/etc/shadow",
    b"/etc/group",
    b"/etc/sudoers",
    b"/etc/pam.d",
    b"/etc/ssh",
    b"/etc/udev",
    b"/etc/security",
    b"/Library/Launch",
    b"/etc/hosts",
];
const PROJECT_STARTUP: [&[u8]; 15] = [
    b".git/hooks",
    b".git/config",
    b".git/info/attributes",
    b".husky",
    b".envrc",
    b".mcp.json",
    b".claude",
    b".codex",
    b".cursor",
    b".gemini",
    b".opencode",
    b".openclaw",
    b".github/hooks",
    b".vscode/tasks.json",
    b".vscode/settings.json",
];
const SYSTEM_FOLDERS: [&[u8]; 20] = [
    b"/etc",
    b"/usr",
    b"/bin",
    b"/sbin",
    b"/lib",
    b"/lib32",
    b"/lib64",
    b"/boot",
    b"/sys",
    b"/proc",
    b"/dev",
    b"/var",
    b"/opt",
    b"/root",
    b"/run",
    b"/srv",
    b"/System",
    b"/Library",
    b"/Applications",
    b"/private",
];
const SINKS: [&[u8]; 9] = [
    b"/dev/null",
    b"/dev/zero",
    b"/dev/full",
    b"/dev/random",
    b"/dev/urandom",
    b"/dev/tty",
    b"/dev/stdin",
    b"/dev/stdout",
    b"/dev/stderr",
];

/// A path as far as it can be resolved without looking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Absolute where the working folder is known or not needed, else relative; `~` where home is not known.
    pub(super) path: Vec<u8>,
    /// Whether the path is exact or a pattern below a known folder.
    pub(super) certain: bool,
}

impl Target {
    /// The text for an effect; absent where the place is not certain.
    pub(super) fn text(&self) -> Option<String> {
        self.clone().into_text()
    }

    /// The same, for the last effect of a target.
    pub(super) fn into_text(self) -> Option<String> {
        let lossy = |path: Vec<u8>| {
            String::from_utf8(path).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
        };
        if self.certain { Some(lossy(self.path)) } else { None }
    }
}

/// Resolves the path that `bytes` names.
pub(super) fn resolve(argument: &Argument, bytes: &[u8], cwd: Option<&[u8]>, context: &Context<'_>) -> Target {
    let mut certain = argument.source.is_none();
    if argument.source == Some(Source::Glob) {
        // A leading dot in a pattern can match the parent folder.
        certain =
            !bytes.split(|b| *b == b'/').any(|part| part.first() == Some(&b'.') && part.iter().any(|b| is_glob(*b)));
    }
    certain &= !bytes.contains(&HOLE);
    // The folder that the path starts from, the rest, and whether the folder is known.
    let (base, rest, anchored): (&[u8], &[u8], bool) = match bytes {
        [b'/', ..] => (b"", bytes, true),
        [b'~'] | [b'~', b'/', ..] => {
            (context.home.unwrap_or(b"~"), bytes.get(1..).unwrap_or(&[]), context.home.is_some())
        }
        [b'~', b'+', rest @ ..] => (cwd.unwrap_or(b"."), rest, cwd.is_some()),
        [b'~', next @ ..] => {
            certain &= !matches!(next.first(), Some(b'-' | b'0'..=b'9'));
            (b"", bytes, false)
        }
        _ => (cwd.unwrap_or(b""), bytes, cwd.is_some()),
    };
    Target { path: joined(base, rest, anchored), certain }
}

/// `base` and then `rest`, without `.`, `..` and repeated slashes, as text.
fn joined(base: &[u8], rest: &[u8], absolute: bool) -> Vec<u8> {
    if absolute && base.is_empty() && is_normal(rest) {
        return rest.to_vec();
    }
    let mut out: Vec<u8> = Vec::with_capacity(base.len() + rest.len() + 1);
    if absolute && base.first() == Some(&b'/') && !matches!(rest.first(), None | Some(b'/' | b'.')) {
        out.extend_from_slice(base);
        out.push(b'/');
        out.extend_from_slice(rest);
        if !out.ends_with(b"/") && !has_odd_part(&out) {
            return out;
        }
        out.clear();
    }
    for part in base.split(|b| *b == b'/').chain(rest.split(|b| *b == b'/')) {
        let climbs = match part {
            b"" | b"." => continue,
            // What is above the root is the root; what is above a folder that is not known stays written.
            b".." if absolute => true,
            b".." => !out.is_empty() && out != b".." && !out.ends_with(b"/.."),
            _ => false,
        };
        if climbs {
            let last = out.iter().rposition(|b| *b == b'/').unwrap_or(0);
            out.truncate(last);
        } else {
            if absolute || !out.is_empty() {
                out.push(b'/');
            }
            out.extend_from_slice(part);
        }
    }
    if out.is_empty() {
        out.push(if absolute { b'/' } else { b'.' });
    }
    out
}

/// Whether `path` is `folder` or below it.
pub(super) fn is_below(path: &[u8], folder: &[u8]) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'/') || folder.ends_with(b"/"))
}

/// The part of `path` below a home folder, if it is in one.
fn home_relative<'p>(path: &'p [u8], context: &Context<'_>) -> Option<&'p [u8]> {
    if let Some(rest) = context.home.and_then(|home| path.strip_prefix(home))
        && (rest.is_empty() || rest.first() == Some(&b'/'))
    {
        return Some(rest.get(1..).unwrap_or(&[]));
    }
    if let Some(rest) = path.strip_prefix(b"~") {
        return Some(rest.iter().position(|b| *b == b'/').and_then(|at| rest.get(at + 1..)).unwrap_or(&[]));
    }
    if is_below(path, b"/root") {
        return Some(path.get(6..).unwrap_or(&[]));
    }
    let rest = path.strip_prefix(b"/home/").or_else(|| path.strip_prefix(b"/Users/"))?;
    Some(rest.iter().position(|b| *b == b'/').and_then(|at| rest.get(at + 1..)).unwrap_or(&[]))
}

/// Whether `path` is, or lies in, a folder that by its name holds keys, below whatever folder.
pub(super) fn holds_keys(path: &[u8]) -> bool {
    const FOLDERS: [&[u8]; 10] = [
        b".ssh",
        b".gnupg",
        b".aws",
        b".azure",
        b".kube",
        b".oci",
        b".docker",
        b".password-store",
        b"gcloud",
        b"keyrings",
    ];
    path.split(|b| *b == b'/').any(|part| FOLDERS.contains(&part))
}

/// Whether reading `path` discloses a credential.
pub(super) fn is_secret(path: &[u8], context: &Context<'_>) -> bool {
    let (patterned, listed) = may_be_secret(path);
    if patterned && pattern_reaches_secret(path) {
        return true;
    }
    if !listed {
        return false;
    }
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or(&[]);
    if name.ends_with(b".pub") || matches!(name, b"known_hosts" | b".env.example" | b".env.sample" | b".env.template") {
        return false;
    }
    if SECRET_FILES.contains(&name) || name.starts_with(b".env.") || name.starts_with(b"ssh_host_") {
        return true;
    }
    let folder_of_keys = |part: &&[u8]| matches!(*part, b".ssh" | b".gnupg");
    if path.split(|b| *b == b'/').any(|part| folder_of_keys(&part)) && !matches!(name, b"config" | b"authorized_keys") {
        return true;
    }
    let process =
        path.strip_prefix(b"/proc/").is_some_and(|rest| rest.ends_with(b"/environ") || rest.ends_with(b"/mem"));
    if process || SECRET_PATHS.iter().any(|secret| is_below(path, secret)) || is_below(path, b"/etc/sudoers.d") {
        return true;
    }
    if is_below(path, b"/run/secrets") || is_below(path, b"/var/run/secrets") {
        return true;
    }
    let tail = home_relative(path, context).unwrap_or(path);
    SECRET_TAILS.iter().any(|secret| is_below(tail, secret))
}

/// A quick answer for most paths: whether one holds a pattern, and whether it may be listed by name. Every name and
/// folder that is listed has a leading dot, one of these beginnings, or stands in one of these folders (tested).
fn may_be_secret(path: &[u8]) -> (bool, bool) {
    let (mut patterned, mut listed, mut library) = (false, false, false);
    let mut before = b'/';
    for byte in path {
        match byte {
            b'.' if before == b'/' => listed = true,
            b'*' | b'?' | b'[' | &HOLE => patterned = true,
            b'L' => library = true,
            _ => {}
        }
        before = *byte;
    }
    let name = path.iter().rposition(|b| *b == b'/').map_or(path, |at| path.get(at + 1..).unwrap_or(&[]));
    listed |= matches!(name.first(), Some(b'i' | b'_' | b'w' | b'k' | b'l' | b'L' | b's'));
    let folders: [&[u8]; 6] = [b"/etc/", b"/proc/", b"/run/", b"/var/", b"/dev/", b"/root"];
    let system = matches!(path, [b'/', b'e' | b'p' | b'r' | b'v' | b'd', ..]);
    listed |= library && super::effect::contains(path, b"Library");
    (patterned, listed || system && folders.iter().any(|folder| path.starts_with(folder)))
}

/// Whether a folder or file in `path`, after the first part, starts with a dot.
fn has_dotted_part(path: &[u8]) -> bool {
    has_odd_part(path) && super::effect::contains(path, b"/.")
}

/// Whether the pattern `path` could name a secret, compared by as many last components as the secret has.
fn pattern_reaches_secret(path: &[u8]) -> bool {
    let whole = path != b"/*" && !path.ends_with(b"/*");
    let tails = [hidden_tail(path, 1), hidden_tail(path, 2)];
    SECRET_EXAMPLES.iter().any(|secret| {
        let secret = secret.as_bytes();
        if secret.first() == Some(&b'/') {
            return whole && matches_pattern(path, secret);
        }
        let slashes = secret.iter().filter(|b| **b == b'/').count();
        tails.get(slashes).copied().flatten().is_some_and(|tail| matches_pattern(tail, secret))
    })
}

/// The last `count` components of a pattern, where they could name something hidden: a lone star does not match
/// names that start with a dot.
fn hidden_tail(path: &[u8], count: usize) -> Option<&[u8]> {
    let mut at = path.len();
    for _ in 0..count {
        at = path.get(..at).and_then(|head| head.iter().rposition(|b| *b == b'/')).unwrap_or(0);
    }
    let tail = path.get(at..).unwrap_or(&[]);
    let tail = tail.strip_prefix(b"/").unwrap_or(tail);
    let fixed = |b: &u8| !is_glob(*b) && *b != HOLE && *b != b'/' && *b != b'.';
    if tail.first() == Some(&b'.') && tail.iter().any(fixed) { Some(tail) } else { None }
}

/// Shell pattern matching over bytes; brackets match any one byte. Linear in the product of the lengths.
fn matches_pattern(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0_usize, 0_usize);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        let step = match pattern.get(p) {
            Some(b'*' | &HOLE) => {
                back = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some(b'?') => Some(p + 1),
            Some(b'[') => {
                pattern.get(p..).and_then(|rest| rest.iter().position(|b| *b == b']')).map(|close| p + close + 1)
            }
            Some(byte) if text.get(t) == Some(byte) => Some(p + 1),
            _ => None,
        };
        match (step, back) {
            (Some(next), _) => {
                p = next;
                t += 1;
            }
            (None, Some((resume, from))) => {
                p = resume;
                t = from + 1;
                back = Some((resume, t));
            }
            (None, None) => return false,
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|b| matches!(b, b'*' | &HOLE)))
}

/// What kind of place `path` is.
pub(super) fn class(path: &[u8], cwd: Option<&[u8]>, context: &Context<'_>) -> Class {
    let bare = strip_stars(path);
    let home = home_relative(bare, context);
    let holds_home = bare == b"/home" || bare == b"/Users" || context.home.is_some_and(|folder| is_below(folder, bare));
    if bare == b"/" || bare == b"~" || home == Some(b"") || holds_home {
        return Class::Root;
    }
    if SINKS.contains(&path) || is_below(path, b"/dev/fd") || is_below(path, b"/dev/pts") {
        return Class::Sink;
    }
    if is_device(path) {
        return Class::Device;
    }
    if is_startup(path, home) {
        return Class::Startup;
    }
    let dotted = path.first() == Some(&b'.') || has_dotted_part(path);
    let is_opencode = path.ends_with(b"opencode.json") || path.ends_with(b"opencode.jsonc");
    if is_opencode || dotted && contains_folder(path, &PROJECT_STARTUP) {
        return Class::ProjectStartup;
    }
    for root in [context.workspace, cwd].into_iter().flatten() {
        if root == bare {
            return Class::Whole;
        }
        if is_below(root, bare) {
            return Class::Root;
        }
    }
    if [context.workspace, cwd].into_iter().flatten().any(|root| is_below(path, root)) {
        return Class::Inside;
    }
    if [&b"/tmp"[..], b"/var/tmp", b"/dev/shm", b"/private/tmp", b"/var/folders"].iter().any(|t| is_below(path, t)) {
        return Class::Temporary;
    }
    if home.is_some() && !is_below(path, b"/root") {
        return Class::Outside;
    }
    if SYSTEM_FOLDERS.iter().any(|folder| is_below(path, folder)) {
        return Class::System;
    }
    match path.first() {
        Some(b'/') if SYSTEM_FOLDERS.iter().any(|folder| is_below(folder, bare)) => Class::Root,
        Some(b'/' | b'~') => Class::Outside,
        _ if bare == b"." => Class::Whole,
        _ if bare == b".." || bare == b"../.." => Class::Root,
        Some(b'.') if bare.starts_with(b"../") => Class::Outside,
        Some(&HOLE) | None => Class::Unknown,
        _ if cwd.is_none() => {
            if bare.is_empty() {
                Class::Root
            } else {
                Class::Inside
            }
        }
        _ => Class::Outside,
    }
}

/// `path` without a last component that matches everything.
fn strip_stars(path: &[u8]) -> &[u8] {
    let mut bare = path;
    for tail in [&b"/*"[..], b"/.*", b"/.[!.]*", b"/??*"] {
        bare = bare.strip_suffix(tail).unwrap_or(bare);
    }
    match (bare, path.first()) {
        (b"", Some(b'/')) => b"/",
        (b"*" | b".*" | b"./*", _) => b".",
        _ => bare,
    }
}

fn is_device(path: &[u8]) -> bool {
    let Some(rest) = path.strip_prefix(b"/dev/") else {
        let listed = matches!(path, [b'/', b'p' | b's', ..]);
        return listed
            && [&b"/proc/sysrq-trigger"[..], b"/proc/sys", b"/sys/kernel", b"/sys/firmware", b"/sys/power"]
                .iter()
                .any(|p| is_below(path, p));
    };
    !rest.is_empty() && !is_below(rest, b"shm") && !rest.starts_with(b"tcp/") && !rest.starts_with(b"udp/")
}

fn is_startup(path: &[u8], home: Option<&[u8]>) -> bool {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or(&[]);
    // All of these begin so (tested); most paths do not.
    let listed = matches!(path, [b'/', b'e' | b'v' | b'l' | b'u' | b'L', ..]);
    if listed && STARTUP_PATHS.iter().any(|startup| path.starts_with(startup)) {
        return true;
    }
    if matches!(name, b"authorized_keys" | b"authorized_keys2" | b"sitecustomize.py" | b"usercustomize.py") {
        return true;
    }
    let tail = home.unwrap_or(path);
    if !matches!(tail, [b'.' | b'a' | b'L', ..]) {
        return false;
    }
    STARTUP_FILES.contains(&tail) || home.is_some() && STARTUP_TAILS.iter().any(|startup| is_below(tail, startup))
}

fn contains_folder(path: &[u8], folders: &[&[u8]]) -> bool {
    folders.iter().any(|folder| {
        path.windows(folder.len()).enumerate().any(|(at, window)| {
            let starts = at == 0 || path.get(at - 1) == Some(&b'/');
            let after = path.get(at + folder.len());
            window == *folder && starts && (after.is_none() || after == Some(&b'/'))
        })
    })
}

#[cfg(test)]
mod tests;
