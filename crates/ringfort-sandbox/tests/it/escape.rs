// SPDX-License-Identifier: MIT OR Apache-2.0
//! The protection of start-up files, and a cage in a cage. Other attempts: the escape suite of the testkit.

use ringfort_core::obligation::Promise;
use ringfort_sandbox::profile::{BindMode, DegreeRequest, HomeBind, Staged};

use crate::cage::{DEGREES, Place, SECRET};

/// A workspace with a repository's start-up files in it.
fn startup_place() -> Place {
    let mut place = Place::new(DegreeRequest::Auto);
    let git = place.workspace.join(".git");
    std::fs::create_dir_all(git.join("hooks")).unwrap();
    std::fs::create_dir_all(place.workspace.join("a/b")).unwrap();
    for (path, content) in [
        (".git/hooks/pre-commit", "real"),
        (".git/config", "[core]\n\trepositoryformatversion = 0\n"),
        (".git/HEAD", "ref: refs/heads/main\n"),
        (".envrc", "real"),
        ("a/b/settings", "real"),
        ("a/b/free", "free"),
        ("hidden", SECRET),
    ] {
        std::fs::write(place.workspace.join(path), content).unwrap();
    }
    std::os::unix::fs::symlink("a/b/settings", place.workspace.join("pointer")).unwrap();
    for path in [".git/hooks", ".envrc", "a/b/settings", "pointer"] {
        place.profile.protected.push(place.workspace.join(path));
    }
    place.profile.hidden.push(place.workspace.join("hidden"));
    place.profile.require = [Promise::ProtectStartup, Promise::ConfineReads].into();
    place
}

#[test]
fn escape_through_startup_files_is_blocked() {
    let place = startup_place();
    if !Place::new(DegreeRequest::Auto).is_namespaced() {
        return;
    }
    for attempt in [
        "echo evil > .envrc",
        "echo evil >> .git/hooks/pre-commit",
        "echo evil > .git/hooks/post-checkout",
        "rm -f .envrc",
        "mv .envrc other",
        "echo evil > new && mv new .envrc",
        "ln -sf /tmp .envrc",
        "mv .git moved",
        "mv a moved",
        "mv a/b moved",
        "rm -rf a/b",
        "mkdir -p e/b && echo evil > e/b/settings && mv -T e a",
        "mv .git/hooks .git/old",
        "rm -rf .git/hooks",
        "chmod 777 .envrc",
        "touch -d 2001-01-01 .envrc",
        "ln a/b/settings linked",
        "truncate -s 0 a/b/settings",
        "echo evil > pointer",
        "rm -f pointer",
        "ln -sfn /tmp pointer",
        "mv pointer other",
        "cat hidden",
        "mv hidden seen",
        "rm -f hidden",
    ] {
        let outcome = place.shell(&format!("({attempt}) 2>&- && echo ESCAPED; true"));
        assert!(!outcome.out.contains("ESCAPED"), "`{attempt}`: {outcome:#?}");
    }
    // `free` fell to `rm -rf a/b`, as it may.
    place
        .shell("echo more >> a/b/free; echo new > a/new; echo x > .git/index; cat a/b/free .git/index")
        .prints("more\nx");
    for (path, expected) in
        [(".git/hooks/pre-commit", "real"), (".envrc", "real"), ("a/b/settings", "real"), ("hidden", SECRET)]
    {
        assert_eq!(std::fs::read_to_string(place.workspace.join(path)).unwrap(), expected, "{path}");
    }
}

#[test]
fn deny_start_up_paths_behind_links() {
    let mut place = startup_place();
    if !Place::new(DegreeRequest::Auto).is_namespaced() {
        return;
    }
    std::os::unix::fs::symlink("a", place.workspace.join("linked")).unwrap();
    place.profile.protected.push(place.workspace.join("linked/b/settings"));
    let error = place.run("/bin/true", &["true"]).unwrap_err();
    assert!(error.to_string().contains("linked"), "{error}");
}

#[test]
fn a_staged_file_takes_changes_that_stay_inside() {
    let mut place = startup_place();
    if !Place::new(DegreeRequest::Auto).is_namespaced() {
        return;
    }
    let scratch = place.outside.join("staged-0");
    std::fs::create_dir(&scratch).unwrap();
    let (real, copy) = (place.workspace.join(".git/config"), scratch.join("config"));
    std::fs::copy(&real, &copy).unwrap();
    let before = std::fs::read_to_string(&real).unwrap();
    place.profile.staged.push(Staged { path: real.clone(), scratch: copy.clone() });
    place.shell("cat .git/config").prints(before.trim());
    place.shell("echo evil > .git/config; cat .git/config").prints("evil");
    for attempt in [
        "rm -f .git/config",
        "echo evil > new; mv -f new .git/config",
        "mv .git/config away",
        "ln -sf /tmp .git/config",
        "mv .git away",
    ] {
        let outcome = place.shell(&format!("({attempt}) 2>&- && echo ESCAPED; true"));
        assert!(!outcome.out.contains("ESCAPED"), "`{attempt}`: {outcome:#?}");
    }
    assert_eq!(std::fs::read_to_string(&real).unwrap(), before, "the real file changed");
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), "evil\n");
    // What git does: a lock file beside the real target, then a rename.
    place
        .shell("t=$(readlink .git/config); echo locked > $t.lock && mv $t.lock $t && cat .git/config")
        .prints("locked");
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), "locked\n");
    assert_eq!(std::fs::read_to_string(&real).unwrap(), before);
}

/// The variable that makes this binary start a cage inside a cage.
const NESTED: &str = "RINGFORT_TEST_NESTED";

/// Does nothing unless this binary was started inside a cage.
#[test]
#[expect(clippy::disallowed_methods, reason = "the wish comes through the environment of the cage")]
fn nested() {
    if std::env::var_os(NESTED).is_none() {
        return;
    }
    let place = Place::new(DegreeRequest::Auto);
    let outcome = place.shell("cat own; cat ../secret 2>&- || echo refused");
    println!("\nNESTED {:?} {}", outcome.achieved.degree, outcome.out.replace('\n', " "));
}

#[test]
fn a_cage_starts_inside_a_cage() {
    for degree in DEGREES {
        let mut place = Place::new(degree);
        let binary = std::env::current_exe().unwrap().canonicalize().unwrap();
        place.profile.home.binds.push(HomeBind {
            source: binary.clone(),
            target: "again".into(),
            mode: BindMode::ReadOnly,
        });
        place.profile.environment.push((NESTED.into(), "1".into()));
        place.profile.environment.push(("TMPDIR".into(), place.workspace.clone().into()));
        let program = if place.is_namespaced_quietly() { place.home.join("again") } else { binary };
        let argv = ["again", "--exact", "escape::nested", "--nocapture", "--test-threads=1"];
        let outcome = place.run(program.to_str().unwrap(), &argv).unwrap();
        // Namespaces are refused inside; Landlock and seccomp stack.
        assert!(outcome.out.contains("NESTED Minimal ownrefused"), "{outcome:#?}");
    }
}
