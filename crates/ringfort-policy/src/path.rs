// SPDX-License-Identifier: MIT OR Apache-2.0
//! Paths: a strict reading of their spelling, and what kind of place they name.
//!
//! In: the bytes of a path, the working folder, the workspace, the home folder. Out: an absolute, normal path and its
//! [`Zone`], or the [`PathFault`] that makes it unreadable.
//!
//! **Invariant:** pure: nothing is opened and no link is followed, so this is an answer about a spelling; the effect
//! is bounded by the cage, or by opening beneath a handle. Closed folders are closed inside allowed roots too.

use std::borrow::Cow;
use std::path::Path;

use ringfort_core::action::PathOp;
use ringfort_core::limits::PATH_BYTES_MAX;

mod place;
mod spelling;
mod zone;

pub use place::{Place, PlaceError};
pub use spelling::{PathFault, fault_of};
pub(crate) use zone::SECRET_NAMES;
pub use zone::{Zone, Zones};

/// The folders that the always-forbidden list of the seed names, with the names that they have on a merged `/usr`.
pub const SYSTEM_FOLDERS: [&str; 17] = [
    "/etc",
    "/root",
    "/proc",
    "/sys",
    "/dev",
    "/boot",
    "/var/lib",
    "/var/run",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/run",
];
/// The folders below a home folder that are always closed.
pub const DOT_FOLDERS: [&str; 4] = [".ssh", ".gnupg", ".aws", ".config/gcloud"];
/// Devices that are open to everybody.
pub const OPEN_DEVICES: [&str; 6] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

/// Where a request happens, in normal spelling.
#[derive(Clone, Debug)]
pub struct Setting<'a> {
    /// The working folder.
    pub cwd: Cow<'a, [u8]>,
    /// The workspace; `None` where it is too wide to be one: `/`, the home folder, or a folder above it.
    pub workspace: Option<Cow<'a, [u8]>>,
    /// The home folder.
    pub home: Option<Cow<'a, [u8]>>,
}

impl<'a> Setting<'a> {
    /// Takes the folders of a request. A relative folder lies below the workspace; a relative workspace is none.
    pub fn new(cwd: &'a Path, workspace: &'a Path, home: Option<&'a Path>) -> Self {
        let home = home.and_then(absolute);
        let root = absolute(workspace);
        let cwd = match (absolute(cwd), &root) {
            (Some(cwd), _) => cwd,
            (None, Some(root)) => Cow::Owned(joined(root, cwd.as_os_str().as_encoded_bytes())),
            (None, None) => Cow::Borrowed(&b"/"[..]),
        };
        let wide = |root: &[u8]| root == b"/" || home.as_deref().is_some_and(|home| is_below(home, root));
        let workspace = root.filter(|root| !wide(root));
        Self { cwd, workspace, home }
    }

    /// The absolute, normal spelling of a path as the kernel reads it (`~` as a shell does), without judging it.
    pub fn resolve<'p>(&self, path: &'p [u8]) -> Cow<'p, [u8]> {
        let (base, rest): (&[u8], &[u8]) = match (path, &self.home) {
            ([b'/', ..], _) if is_normal(path) => return Cow::Borrowed(path),
            ([b'/', ..], _) => (b"/", path),
            ([b'~'], Some(home)) => (home, b""),
            ([b'~', b'/', rest @ ..], Some(home)) => (home, rest),
            _ => (&self.cwd, path),
        };
        Cow::Owned(joined(base, rest))
    }

    /// Whether a path lies in the workspace.
    pub fn is_inside(&self, path: &[u8]) -> bool {
        self.workspace.as_deref().is_some_and(|workspace| is_below(path, workspace))
    }
}

/// A path that has been read and judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged<'z> {
    /// The absolute, normal path.
    pub path: Vec<u8>,
    /// What kind of place it is.
    pub zone: Zone<'z>,
}

/// Reads a path that a tool or a `--path` names, and says what kind of place it is.
///
/// # Errors
///
/// [`PathFault`]: the spelling cannot be trusted; it is to be denied.
pub fn judge<'z>(path: &[u8], op: PathOp, setting: &Setting<'_>, zones: &'z Zones) -> Result<Judged<'z>, PathFault> {
    if let Some(fault) = fault_of(path) {
        return Err(fault);
    }
    let path = home_variable(path);
    if path.first() == Some(&b'~') && setting.home.is_none() {
        return Err(PathFault::NoHome);
    }
    let resolved = setting.resolve(&path);
    if resolved.len() > PATH_BYTES_MAX {
        return Err(PathFault::TooLong);
    }
    let zone = zones.zone(&resolved, op, setting);
    Ok(Judged { path: resolved.into_owned(), zone })
}

/// `$HOME/x` and `${HOME}/x` as `~/x`: some tools expand them, and nothing else is called so.
fn home_variable(path: &[u8]) -> Cow<'_, [u8]> {
    for prefix in [&b"$HOME"[..], b"${HOME}"] {
        match path.strip_prefix(prefix) {
            Some([]) => return Cow::Borrowed(b"~"),
            Some(rest @ [b'/', ..]) => return Cow::Owned([b"~", rest].concat()),
            _ => {}
        }
    }
    Cow::Borrowed(path)
}

fn absolute(path: &Path) -> Option<Cow<'_, [u8]>> {
    let bytes = path.as_os_str().as_encoded_bytes();
    match bytes {
        [b'/', ..] if is_normal(bytes) => Some(Cow::Borrowed(bytes)),
        [b'/', ..] => Some(Cow::Owned(joined(b"/", bytes))),
        _ => None,
    }
}

/// Whether an absolute path has no empty, `.` or `..` component and no final slash.
pub(crate) fn is_normal(path: &[u8]) -> bool {
    if matches!(path, [b'/', .., last] if *last != b'/') && !has_odd_part(path) {
        return true;
    }
    path == b"/"
        || path
            .strip_prefix(b"/")
            .is_some_and(|rest| rest.split(|b| *b == b'/').all(|part| !matches!(part, b"" | b"." | b"..")))
}

/// Whether a part after a slash is empty or begins with a dot; true for `//`, `/.` and `/..`, among others.
pub(crate) fn has_odd_part(path: &[u8]) -> bool {
    // Without a way out of the loop, the compiler looks at many bytes at once.
    let after = path.get(1..).unwrap_or(&[]);
    path.iter()
        .zip(after)
        .fold(false, |any, (byte, next)| any | ((*byte == b'/') & ((*next == b'/') | (*next == b'.'))))
}

/// `base` and then `rest`, with `.`, `..` and double slashes resolved as text.
fn joined(base: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(base.len() + rest.len() + 1);
    for part in base.split(|b| *b == b'/').chain(rest.split(|b| *b == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => {
                let end = out.iter().rposition(|b| *b == b'/').unwrap_or(0);
                out.truncate(end);
            }
            part => {
                out.push(b'/');
                out.extend_from_slice(part);
            }
        }
    }
    if out.is_empty() {
        out.push(b'/');
    }
    out
}

/// Whether a normal path is a folder or lies below it.
pub(crate) fn is_below(path: &[u8], folder: &[u8]) -> bool {
    folder == b"/" || path.strip_prefix(folder).is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
}

#[cfg(test)]
mod tests;
