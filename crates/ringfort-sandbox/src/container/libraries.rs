// SPDX-License-Identifier: MIT OR Apache-2.0
//! What our own binary needs to run in an image that has nothing: itself, and the loader and libraries it was built for.
//!
//! In: what this process has mapped. Out: files and where they go, and the words that start the keeper.
//!
//! **Invariant:** only files that this very process runs with are given, read-only, in a folder of their own.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::guest::WORD;

/// Where everything of ours is inside.
pub(super) const FOLDER: &str = "/.ringfort";
/// Largest part of the list of mappings that is read, in bytes.
const MAPS_BYTES_MAX: u64 = 1 << 20;

/// The keeper and what it needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Libraries {
    /// Files outside, and their places inside.
    pub(super) files: Vec<(PathBuf, PathBuf)>,
    /// What the container starts first.
    pub(super) program: PathBuf,
    /// Its words.
    pub(super) words: Vec<OsString>,
}

/// Finds out what `entry` needs, which is the binary of this process.
pub(super) fn find(entry: &Path, door: &Path) -> std::io::Result<Libraries> {
    let mut maps = String::new();
    std::fs::File::open("/proc/self/maps")?.take(MAPS_BYTES_MAX).read_to_string(&mut maps)?;
    Ok(arrange(&maps, entry, door))
}

fn arrange(maps: &str, entry: &Path, door: &Path) -> Libraries {
    let folder = Path::new(FOLDER);
    let keeper = folder.join("keeper");
    let mut files = vec![(entry.to_owned(), keeper.clone())];
    let mut loader = None;
    for line in maps.lines() {
        // address, rights, offset, device, inode, and the path with whatever is in it
        let Some(start) = line.find('/') else { continue };
        let path = Path::new(line.get(start..).unwrap_or_default());
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let is_library = name.contains(".so") && !name.ends_with(" (deleted)");
        let inside = folder.join(name);
        if !is_library || files.iter().any(|(_, known)| *known == inside) {
            continue;
        }
        if name.starts_with("ld-") || name.starts_with("ld.") {
            loader = Some(inside.clone());
        }
        files.push((path.to_owned(), inside));
    }
    let own = [OsString::from(WORD), door.as_os_str().to_owned()];
    match loader {
        None => {
            files.truncate(1);
            Libraries { files, program: keeper, words: own.to_vec() }
        }
        Some(loader) => {
            let words = ["--inhibit-cache", "--library-path", FOLDER].map(OsString::from);
            let words = words.into_iter().chain([keeper.into_os_string()]).chain(own).collect();
            Libraries { files, program: loader, words }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_go_with_their_loader() {
        let maps = "\
5581-5582 r-xp 00000000 fe:00 1 /opt/a b/ringfort
7f00-7f01 r--p 00000000 fe:00 2 /usr/lib/locale/locale-archive
7f02-7f03 r-xp 00000000 fe:00 3 /usr/lib/x86_64-linux-gnu/libc.so.6
7f04-7f05 r--p 00001000 fe:00 3 /usr/lib/x86_64-linux-gnu/libc.so.6
7f06-7f07 r-xp 00000000 fe:00 4 /usr/lib/gone.so.1 (deleted)
7f08-7f09 r-xp 00000000 fe:00 5 /usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2
7ffc-7ffd rw-p 00000000 00:00 0 [stack]
";
        let found = arrange(maps, Path::new("/opt/a b/ringfort"), Path::new("/.ringfort/door"));
        let inside: Vec<&str> = found.files.iter().filter_map(|(_, inside)| inside.to_str()).collect();
        assert_eq!(inside, ["/.ringfort/keeper", "/.ringfort/libc.so.6", "/.ringfort/ld-linux-x86-64.so.2"]);
        assert_eq!(found.program, Path::new("/.ringfort/ld-linux-x86-64.so.2"));
        assert_eq!(found.words.last().unwrap(), "/.ringfort/door");
    }

    #[test]
    fn a_static_binary_needs_nothing() {
        let found = arrange("5581-5582 r-xp 0 fe:00 1 /opt/ringfort\n", Path::new("/opt/ringfort"), Path::new("/d"));
        assert_eq!((found.files.len(), found.program), (1, PathBuf::from("/.ringfort/keeper")));
        assert_eq!(found.words, [WORD, "/d"]);
    }
}
