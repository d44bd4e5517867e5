// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of agent profiles.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

struct Homes {
    place: tempfile::TempDir,
}

impl Homes {
    fn new(files: &[(&str, &str)]) -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("own")).unwrap();
        fs::create_dir(place.path().join("home")).unwrap();
        let homes = Self { place };
        for (path, content) in files {
            let path = homes.home().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        homes
    }
    fn home(&self) -> PathBuf {
        self.place.path().canonicalize().unwrap().join("home")
    }
    fn own(&self) -> PathBuf {
        self.place.path().canonicalize().unwrap().join("own")
    }
    fn prepare(&self, name: &str) -> Result<Added, SeedError> {
        named(name).unwrap().prepare(&self.home(), &self.own())
    }
    fn inside(&self, path: &str) -> String {
        fs::read_to_string(self.own().join(path)).unwrap()
    }
}

#[test]
fn every_profile_is_whole() {
    for profile in PROFILES {
        let in_folders = |path: &str| profile.folders.iter().any(|folder| Path::new(path).starts_with(folder));
        for (path, _) in profile.settings {
            assert!(in_folders(path), "{}: {path}", profile.name);
        }
        for path in profile.credentials.iter().chain(profile.files.iter().map(|(_, to)| to)) {
            assert!(in_folders(path), "{}: {path}", profile.name);
        }
        let homes = Homes::new(&[]);
        let added = homes.prepare(profile.name).unwrap();
        for bind in &added.binds {
            assert!(bind.source.symlink_metadata().is_ok(), "{}: {}", profile.name, bind.source.display());
        }
        assert_eq!(of_program(profile.programs[0]).map(|found| found.name), Some(profile.name));
    }
    assert!(of_program("/usr/bin/python3").is_none() && named("Claude").is_none());
}

#[test]
fn deny_writing_to_the_real_configuration() {
    let homes = Homes::new(&[
        (".claude/settings.json", "{\"hooks\":1}"),
        (".claude/.credentials.json", "old"),
        (".claude/projects/a/b.jsonl", "history"),
        (".claude.json", "{\"state\":1}"),
    ]);
    symlink("/etc/passwd", homes.home().join(".claude/link")).unwrap();
    let added = homes.prepare("claude-code").unwrap();
    for bind in &added.binds {
        let is_real = bind.source.starts_with(homes.home());
        assert_eq!(
            bind.mode == BindMode::ReadOnly,
            is_real || bind.source.starts_with(homes.own().join("no-settings"))
        );
    }
    assert_eq!(homes.inside(".claude/projects/a/b.jsonl"), "history");
    assert_eq!(homes.inside(".claude/.claude.json"), "{\"state\":1}");
    assert!(homes.own().join(".claude/link").symlink_metadata().is_err(), "no link is copied");
    // What the agent has written stays; a newer credential comes in.
    fs::write(homes.own().join(".claude/projects/a/b.jsonl"), "more").unwrap();
    let credentials = homes.home().join(".claude/.credentials.json");
    fs::write(&credentials, "new").unwrap();
    let later = credentials.metadata().unwrap().modified().unwrap() + std::time::Duration::from_secs(60);
    fs::File::options().append(true).open(&credentials).unwrap().set_modified(later).unwrap();
    homes.prepare("claude-code").unwrap();
    assert_eq!(homes.inside(".claude/projects/a/b.jsonl"), "more");
    assert_eq!(homes.inside(".claude/.credentials.json"), "new");
}

#[test]
fn deny_links_that_an_agent_left_in_its_folder() {
    let homes = Homes::new(&[(".claude/.credentials.json", "secret"), (".claude.json", "{}")]);
    let outside = homes.place.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "mine").unwrap();
    homes.prepare("claude-code").unwrap();
    let folder = homes.own().join(".claude");
    for name in [".credentials.json", "settings.json", "settings.local.json", ".claude.json"] {
        fs::remove_file(folder.join(name)).unwrap();
        symlink(outside.join("file"), folder.join(name)).unwrap();
    }
    let pid = std::process::id();
    symlink(outside.join("file"), folder.join(format!(".draft-{pid}"))).unwrap();
    homes.prepare("claude-code").unwrap();
    assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "mine");
    assert!(folder.join("settings.json").symlink_metadata().unwrap().is_file());
    // The folder itself turned into a link is an error, not a way out.
    fs::remove_dir_all(&folder).unwrap();
    symlink(&outside, &folder).unwrap();
    assert!(homes.prepare("claude-code").is_err());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn deny_more_than_the_bounds() {
    let homes = Homes::new(&[(".codex/small", "x")]);
    let large = fs::File::create(homes.home().join(".codex/large")).unwrap();
    large.set_len(9 << 20).unwrap();
    let added = homes.prepare("codex").unwrap();
    assert_eq!(added.notices.len(), 1, "{:?}", added.notices);
    assert_eq!(homes.inside(".codex/small"), "x");
    assert!(!homes.own().join(".codex/large").exists());
}
