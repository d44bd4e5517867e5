// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files whose protection was lost because somebody outside replaced them.
//!
//! In: the covers of a plan and what lies below them now. Out: which of them are gone, and what becomes of the files.
//!
//! **Invariant:** a mount lies on a file, not on a name. A file under the same name that is another one (number, time
//! of birth) has no cover, and whatever it says may have been written inside.

use std::path::{Path, PathBuf};

use super::{Settling, change, place_by_name, push};
use crate::startup::gitconfig::{CONFIG_BYTES_MAX, Config};
use crate::startup::staged;

/// Why a file is not trusted that was replaced during the run.
pub(super) const UNCOVERED: &str = "it was replaced outside while the program ran, which could change it from then on";

impl Settling<'_> {
    /// Whether what was mounted over `path` is gone, because the file or folder below it is another one now.
    pub(super) fn is_uncovered(&self, path: &Path) -> bool {
        let staged = self.plan.staged.iter().map(|file| &file.path);
        let relative = |cover: &PathBuf| cover.strip_prefix(&self.snapshot.workspace).ok().map(Path::to_path_buf);
        let mut covers = self.plan.protected.iter().chain(staged).filter_map(relative);
        let Some(cover) = covers.find(|cover| path.starts_with(cover)) else { return false };
        let then = self.snapshot.items.get(&cover).map(|item| (item.identity.inode, item.identity.born));
        matches!(self.snapshot.root.identity(&cover), Ok(Some(now)) if Some((now.inode, now.born)) != then)
    }

    /// The file outside was replaced, and could be written inside from then on: only what is harmless in it stays.
    pub(super) fn distrust(&mut self, path: &Path, base: &[u8], what: &str) {
        let (text, read) = match self.snapshot.root.read(path, CONFIG_BYTES_MAX) {
            Ok(Some(found)) => found,
            Ok(None) => return self.reset(path, base, what, "too large to be judged"),
            Err(error) => return self.reset(path, base, what, &format!("cannot be read: {error}")),
        };
        let place = place_by_name(path.parent().unwrap_or(Path::new("")));
        let (before, now) = match (Config::parse(base), Config::parse(&text)) {
            (Ok(before), Ok(now)) => (before, now),
            (_, Err(error)) | (Err(error), _) => return self.reset(path, base, what, &error.to_string()),
        };
        let outcome = staged::merge(&before, &now, &before, place);
        let is_plain = read.links <= 1 && read.mode & 0o7000 == 0;
        if outcome.withheld.is_empty() && is_plain {
            return;
        }
        for (name, why) in &outcome.withheld {
            let setting = format!("git setting `{}`", name.escape_ascii());
            self.keep_withheld(path, &text, &setting, why);
        }
        let harmless = outcome.text.as_deref().unwrap_or(base);
        let temporary = self.quarantine.fresh_name();
        if let Err(error) = self.snapshot.root.replace(path, &temporary, harmless, read.mode & 0o777) {
            self.fault(path, what, &format!("{UNCOVERED}; it is still in place: {error}"));
        }
    }

    /// Puts a staged file back as it was at the start.
    pub(super) fn reset(&mut self, path: &Path, base: &[u8], what: &str, why: &str) {
        if !matches!(self.snapshot.root.identity(path), Ok(None)) {
            self.quarantine(path, what, why);
        }
        let temporary = self.quarantine.fresh_name();
        let mode = self.snapshot.items.get(path).map_or(0o644, |item| item.identity.mode & 0o777);
        let way = self.make_way(path);
        let written = way.and_then(|()| self.snapshot.root.replace(path, &temporary, base, mode));
        match written {
            Ok(()) => push(&mut self.settled.restored, &mut self.settled.omitted, change(path, what, why)),
            Err(error) => self.fault(path, what, &format!("{why}; it could not be put back: {error}")),
        }
    }
}
