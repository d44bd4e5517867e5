// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which git configuration variables a caged program may set for the git outside: only those listed here, and only
//! with values of their kind.
//!
//! In: one variable (flattened name and value) and where its repository lies. Out: harmless, or why not.
//!
//! **Invariant:** a key that is not in [`KEYS`] is withheld, so that what a later git learns to run is withheld too.
//! A listed key cannot name a program, a file to read, another transport, or a proxy. It is *not* judged whether a
//! new remote is one that the person would choose.

use super::gitconfig::Name;
use super::lexical;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Longest value of a harmless variable. Bytes.
pub(super) const VALUE_BYTES_MAX: usize = 2_048;

/// What a value must look like.
#[derive(Clone, Copy, Debug)]
enum Value {
    /// A truth value, or none.
    Bool,
    /// A whole number, git's unit letters included.
    Number,
    /// One of git's own words: letters, digits and dashes.
    Word,
    /// A truth value or a word.
    Switch,
    /// A line of printable text.
    Text,
    /// The name of a remote: never a URL.
    Remote,
    /// A full or short reference name.
    Reference,
    /// A refspec for fetching.
    Fetch,
    /// A refspec for pushing: neither forced nor a deletion.
    Push,
    /// Whether tags are fetched.
    Tags,
    /// Where a repository is.
    Url,
    /// How a submodule is updated: never a command.
    Update,
    /// The folder of a submodule in the working tree.
    Folder,
    /// The working tree of a submodule, seen from its git folder.
    Worktree,
}

/// Which file the variable is in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    /// A repository's configuration.
    Repository {
        /// The git folder, relative to the workspace.
        directory: &'a Path,
        /// Whether it is the git folder of a submodule (below `modules/`).
        submodule: Submodule,
    },
    /// A `.gitmodules` file.
    Modules,
}

/// Whether a git folder belongs to a submodule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Submodule {
    /// It does.
    Yes,
    /// It stands for itself.
    No,
}

/// Harmless variables: section, whether it has a subsection, keys, kind of value. `*` as key: any.
const KEYS: &[(&str, bool, &[&str], Value)] = &[
    (
        "core",
        false,
        &[
            "filemode",
            "bare",
            "logallrefupdates",
            "ignorecase",
            "symlinks",
            "precomposeunicode",
            "sparsecheckout",
            "sparsecheckoutcone",
            "longpaths",
            "quotepath",
            "commitgraph",
            "multipackindex",
            "trustctime",
            "preloadindex",
        ],
        Value::Switch,
    ),
    ("core", false, &["repositoryformatversion", "abbrev", "compression", "bigfilethreshold"], Value::Number),
    ("core", false, &["autocrlf", "eol", "safecrlf", "checkstat", "untrackedcache"], Value::Switch),
    ("core", false, &["worktree"], Value::Worktree),
    ("user", false, &["name", "email"], Value::Text),
    ("user", false, &["useconfigonly"], Value::Bool),
    ("init", false, &["defaultbranch"], Value::Reference),
    ("branch", true, &["remote", "pushremote"], Value::Remote),
    ("branch", true, &["merge", "vscode-merge-base", "gh-merge-base"], Value::Reference),
    ("branch", true, &["rebase"], Value::Switch),
    ("branch", true, &["description"], Value::Text),
    ("branch", false, &["autosetupmerge", "autosetuprebase", "sort"], Value::Switch),
    ("remote", true, &["url", "pushurl"], Value::Url),
    ("remote", true, &["fetch"], Value::Fetch),
    ("remote", true, &["push"], Value::Push),
    ("remote", true, &["tagopt"], Value::Tags),
    ("remote", true, &["prune", "prunetags", "promisor", "skipdefaultupdate", "skipfetchall"], Value::Bool),
    ("remote", true, &["partialclonefilter", "gh-resolved"], Value::Reference),
    ("remote", false, &["pushdefault"], Value::Remote),
    ("submodule", true, &["active", "shallow"], Value::Bool),
    ("submodule", true, &["url"], Value::Url),
    ("submodule", true, &["update"], Value::Update),
    ("submodule", true, &["branch"], Value::Reference),
    ("submodule", true, &["ignore", "fetchrecursesubmodules"], Value::Switch),
    ("submodule", false, &["recurse", "active", "fetchjobs", "propagatebranches"], Value::Switch),
    ("extensions", false, &["objectformat", "refstorage", "compatobjectformat"], Value::Word),
    ("extensions", false, &["worktreeconfig", "preciousobjects", "noop", "relativeworktrees"], Value::Bool),
    ("extensions", false, &["partialclone"], Value::Remote),
    ("pull", false, &["rebase", "ff"], Value::Switch),
    ("push", false, &["default", "autosetupremote", "followtags"], Value::Switch),
    ("fetch", false, &["prune", "prunetags", "parallel", "writecommitgraph"], Value::Switch),
    ("rebase", false, &["autosquash", "autostash", "updaterefs", "stat", "missingcommitscheck"], Value::Switch),
    ("merge", false, &["ff", "conflictstyle", "renames", "log", "stat"], Value::Switch),
    ("rerere", false, &["enabled", "autoupdate"], Value::Bool),
    ("diff", false, &["algorithm", "renames", "colormoved", "mnemonicprefix", "noprefix", "submodule"], Value::Switch),
    ("status", false, &["short", "branch", "showuntrackedfiles", "submodulesummary"], Value::Switch),
    ("index", false, &["version", "threads", "sparse"], Value::Switch),
    ("feature", false, &["manyfiles", "experimental"], Value::Bool),
    ("gc", false, &["auto", "autodetach", "autopacklimit"], Value::Switch),
    ("maintenance", false, &["auto", "strategy"], Value::Switch),
    ("pack", false, &["threads", "window", "depth", "compression"], Value::Number),
    ("checkout", false, &["defaultremote"], Value::Remote),
    ("color", false, &["*"], Value::Text),
    ("color", true, &["*"], Value::Text),
    ("advice", false, &["*"], Value::Bool),
    ("column", false, &["*"], Value::Text),
    ("lfs", false, &["repositoryformatversion"], Value::Number),
];

/// Variables of `.gitmodules`; git itself refuses commands there, this refuses them before it is asked.
const MODULES_KEYS: &[(&str, bool, &[&str], Value)] = &[
    ("submodule", true, &["path"], Value::Folder),
    ("submodule", true, &["url"], Value::Url),
    ("submodule", true, &["update"], Value::Update),
    ("submodule", true, &["branch"], Value::Reference),
    ("submodule", true, &["ignore", "fetchrecursesubmodules", "shallow"], Value::Switch),
];

/// Why a variable is withheld; `None`: it is harmless.
pub(super) fn judge(place: Place<'_>, name: &[u8], value: Option<&[u8]>) -> Option<&'static str> {
    const UNKNOWN: &str = "not among the git settings known to be harmless";
    let Some(parts) = Name::split(name) else { return Some(UNKNOWN) };
    let keys = match place {
        Place::Repository { .. } => KEYS,
        Place::Modules => MODULES_KEYS,
    };
    if parts.subsection.is_some_and(|s| !is_line(s) || s.first() == Some(&b'-')) {
        return Some("its subsection has characters that a name does not need");
    }
    let fits = |(section, sub, names, _): &&(&str, bool, &[&str], Value)| {
        section.as_bytes() == parts.section
            && *sub == parts.subsection.is_some()
            && names.iter().any(|n| *n == "*" || n.as_bytes() == parts.key)
    };
    let Some((_, _, _, kind)) = keys.iter().find(fits) else { return Some(UNKNOWN) };
    if value.is_some_and(|v| v.len() > VALUE_BYTES_MAX) {
        return Some("its value is longer than such a setting needs");
    }
    refuse(*kind, place, value)
}

fn refuse(kind: Value, place: Place<'_>, value: Option<&[u8]>) -> Option<&'static str> {
    let Some(value) = value else {
        return (!matches!(kind, Value::Bool | Value::Switch)).then_some("it has no value");
    };
    let (harmless, why) = match kind {
        Value::Bool => (is_bool(value), "its value is not a truth value"),
        Value::Number => (is_number(value), "its value is not a number"),
        Value::Word => (is_word(value), "its value is not a plain word"),
        Value::Switch => (value.is_empty() || is_word(value), "its value is not a plain word"),
        Value::Text => (is_line(value), "its value has control characters"),
        Value::Remote => (is_remote(value), "its value is not the name of a remote"),
        Value::Reference => (is_reference(value), "its value is not the name of a branch"),
        Value::Fetch => (is_refspec(value.strip_prefix(b"+").unwrap_or(value)), "its value is not a refspec"),
        Value::Push => (is_refspec(value), "its value forces or deletes what it pushes to"),
        Value::Tags => (matches!(value, b"--tags" | b"--no-tags"), "its value is an option of another kind"),
        Value::Url => (is_url(value), "its address may start a program or another transport"),
        Value::Update => (matches!(value, b"checkout" | b"rebase" | b"merge" | b"none"), "its value may be a command"),
        Value::Folder => (is_folder(value), "its folder leaves the working tree or enters a git folder"),
        Value::Worktree => (is_worktree(place, value), "its working tree is not the submodule's own"),
    };
    (!harmless).then_some(why)
}

fn is_bool(value: &[u8]) -> bool {
    ["", "true", "false", "yes", "no", "on", "off", "0", "1"].iter().any(|w| value.eq_ignore_ascii_case(w.as_bytes()))
}

fn is_number(value: &[u8]) -> bool {
    let digits = value.strip_suffix(b"k").or_else(|| value.strip_suffix(b"m")).or_else(|| value.strip_suffix(b"g"));
    let digits = digits.unwrap_or(value);
    let digits = digits.strip_prefix(b"-").unwrap_or(digits);
    !digits.is_empty() && digits.len() <= 12 && digits.iter().all(u8::is_ascii_digit)
}

fn is_word(value: &[u8]) -> bool {
    let inner = value.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
    is_number(value) || (inner && value.first().is_some_and(u8::is_ascii_alphanumeric) && value.len() <= 64)
}

fn is_line(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_ok_and(|text| !text.chars().any(char::is_control))
}

fn is_remote(value: &[u8]) -> bool {
    value == b"."
        || (value.first().is_some_and(u8::is_ascii_alphanumeric)
            && value.iter().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(b))
            && !value.windows(2).any(|pair| pair == b".."))
}

/// Printable, without the characters that git refuses in a reference, and no option.
fn is_reference(value: &[u8]) -> bool {
    is_line(value) && !value.is_empty() && value.first() != Some(&b'-') && !value.iter().any(|b| b" ~^\\?[".contains(b))
}

fn is_refspec(value: &[u8]) -> bool {
    let mut sides = value.splitn(2, |b| *b == b':');
    let source = sides.next().unwrap_or_default().strip_prefix(b"^").unwrap_or(value);
    let source = source.split(|b| *b == b':').next().unwrap_or_default();
    is_reference(source) && source.first() != Some(&b'+') && sides.next().is_none_or(is_reference)
}

/// An address whose scheme git itself speaks, or a path; no `transport::`, no option in place of a host.
fn is_url(value: &[u8]) -> bool {
    const SCHEMES: &[&[u8]] = &[b"https", b"http", b"ssh", b"git", b"file", b"git+ssh", b"ssh+git"];
    if value.is_empty() || !is_line(value) || matches!(value.first(), Some(b'-' | b' ')) {
        return false;
    }
    // Git takes `word::` at the start for a helper program, whatever follows.
    let head = value.iter().take_while(|b| b.is_ascii_alphanumeric() || b"+-._".contains(b)).count();
    let rest = value.get(head..).unwrap_or_default();
    if rest.starts_with(b"::") {
        return false;
    }
    let Some(after) = rest.strip_prefix(b"://") else {
        // A path, or `user@host:path`; neither host, user nor path may be read as an option.
        return !value.windows(3).any(|w| w == b"://") && !value.windows(2).any(|w| w == b":-" || w == b"@-");
    };
    let scheme = value.get(..head).unwrap_or_default();
    let authority = after.split(|b| *b == b'/').next().unwrap_or_default();
    let host = authority.rsplit(|b| *b == b'@').next().unwrap_or_default();
    SCHEMES.contains(&scheme) && host.first() != Some(&b'-') && authority.first() != Some(&b'-')
}

fn is_folder(value: &[u8]) -> bool {
    let path = Path::new(std::ffi::OsStr::from_bytes(value));
    let own = lexical(Path::new(""), path).is_some_and(|inside| {
        !inside.as_os_str().is_empty() && !inside.iter().any(|part| part.as_bytes().eq_ignore_ascii_case(b".git"))
    });
    own && is_line(value) && path.is_relative() && value.first() != Some(&b'-')
}

fn is_worktree(place: Place<'_>, value: &[u8]) -> bool {
    let Place::Repository { directory, submodule: Submodule::Yes } = place else { return false };
    let path = Path::new(std::ffi::OsStr::from_bytes(value));
    let inside = path.is_relative().then(|| lexical(directory, path)).flatten();
    is_line(value) && inside.is_some_and(|tree| !tree.iter().any(|part| part == ".git"))
}

#[cfg(test)]
mod tests;
