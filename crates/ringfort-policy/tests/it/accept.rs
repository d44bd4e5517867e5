// SPDX-License-Identifier: MIT OR Apache-2.0
//! A user file counts in the version that its owner accepted, and in no other.

use std::fs;

use ringfort_policy::accept::{AcceptError, Shown, State, accept, difference, state};
use ringfort_policy::config::Level;
use ringfort_policy::load::{Notice, SourceState};

use crate::support::Files;

#[test]
fn no_escalation_by_an_edited_or_removed_user_file() {
    let files = Files::new();
    let path = files.write("user.toml", "[autonomy]\nlevel = \"full\"\n");
    let loaded = files.load().unwrap();
    assert_eq!(loaded.config.autonomy.level, Level::Supervised);
    assert_eq!(loaded.notices, [Notice::NotAccepted(path.clone())]);
    assert_eq!(loaded.sources[0].state, SourceState::NotAccepted);

    files.write("user.toml", "[autonomy]\nlevel = \"readonly\"\n");
    files.accept_user();
    let accepted = files.load().unwrap();
    assert_eq!(accepted.config.autonomy.level, Level::Readonly);
    assert!(accepted.notices.is_empty());

    // An edit, even one that does not parse, and a removal: the accepted version stays.
    for text in ["[autonomy]\nlevel = \"full\"\n", "[autonomy]\nlevel = \"readonly\"\n\n", "no toml [", ""] {
        files.write("user.toml", text);
        let loaded = files.load().unwrap();
        assert_eq!(loaded.config, accepted.config, "`{text}`");
        assert_eq!(loaded.notices, [Notice::Changed(path.clone())]);
        assert_eq!(loaded.sources[0].state, SourceState::ChangedSinceAccepted);
    }
    fs::remove_file(&path).unwrap();
    let loaded = files.load().unwrap();
    assert_eq!(loaded.config, accepted.config);
    assert_eq!(loaded.notices, [Notice::Removed(path)]);

    // The owner confirms the removal.
    files.accept_user();
    assert_eq!(files.load().unwrap().config.autonomy.level, Level::Supervised);
}

#[test]
fn only_what_was_shown_is_accepted() {
    let files = Files::new();
    let accepted = files.path("accepted");
    let path = files.write("user.toml", "[autonomy]\nlevel = \"supervised\"\n");
    let shown = difference(&accepted, &path).unwrap();
    assert_eq!(shown.text, "--- accepted\n+++ now\n@@ -1 +1 @@\n+[autonomy]\n+level = \"supervised\"\n");
    files.write("user.toml", "[autonomy]\nlevel = \"full\"\n");
    assert!(matches!(accept(&accepted, &path, shown.shown), Err(AcceptError::Moved(_))));
    assert!(matches!(accept(&accepted, &path, Shown::NoFile), Err(AcceptError::Moved(_))));
    assert!(matches!(state(&accepted, &path).unwrap(), State::NotAccepted { .. }));
    files.accept_user();
    assert!(matches!(state(&accepted, &path).unwrap(), State::Accepted { .. }));
    assert_eq!(difference(&accepted, &path).unwrap().text, "");
}

#[test]
fn deny_an_accepted_copy_that_anybody_may_write() {
    use std::os::unix::fs::PermissionsExt;
    let files = Files::new();
    files.write("user.toml", "");
    files.accept_user();
    let copy = fs::read_dir(files.path("accepted")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o606)).unwrap();
    assert!(files.error().starts_with("cannot tell whether `user.toml` was accepted"));
}
