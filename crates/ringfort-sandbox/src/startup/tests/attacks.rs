// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every way we know to leave something that runs outside.

use super::*;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

#[test]
fn deny_new_start_up_files() {
    let place = Place::new();
    place.repository(".git");
    let plan = place.plan();
    let new = [
        ".claude/settings.json",
        ".codex/config.toml",
        ".cursor/mcp.json",
        ".envrc",
        ".git/.envrc",
        ".git/config.worktree",
        ".git/hooks/pre-commit",
        ".git/info/attributes",
        ".git/remotes/evil",
        ".husky/pre-commit",
        ".idea/workspace.xml",
        ".mcp.json",
        ".npmrc",
        ".vscode/tasks.json",
        ".yarn/releases/yarn.cjs",
        ".yarnrc.yml",
        "a/.git/.git/.envrc",
        "a/b/.envrc",
        "node_modules/x/.vscode/tasks.json",
        "rust-toolchain",
        "x.code-workspace",
    ];
    for path in new {
        place.write(path, "[alias]\n\tx = !/evil\n");
    }
    let settled = place.settle(&plan, Enforcement::Unenforced);
    assert_eq!(settled.quarantined.len(), new.len(), "{settled:#?}");
    assert!(settled.faults.is_empty(), "{:?}", settled.faults);
    for path in new {
        assert!(!place.has(path), "{path}");
    }
    for taken in &settled.quarantined {
        let record: Record =
            serde_json::from_slice(&std::fs::read(taken.moved_to.join("record.json")).unwrap()).unwrap();
        assert_eq!(record.path, taken.change.path.to_str().unwrap());
        assert!(taken.moved_to.join("content").symlink_metadata().is_ok(), "{record:?}");
        assert_eq!(mode(&taken.moved_to), 0o700);
        assert_eq!(mode(&taken.moved_to.join("record.json")), 0o600);
    }
    assert_eq!(mode(&place.quarantine()), 0o700);
}

#[test]
fn deny_repositories_that_run_code() {
    let evil = "[core]\n\tfsmonitor = ./evil\n";
    let place = Place::new();
    let plan = place.plan();
    place.repository("a/.git");
    place.write("a/.git/config", evil);
    place.repository("bare");
    place.write("bare/config", evil);
    place.repository("host/.git");
    place.repository("host/.git/modules/x/y");
    place.write("host/.git/modules/x/y/config", evil);
    place.write("host/.git/worktrees/w/HEAD", "ref: x");
    place.write("host/.git/worktrees/w/commondir", "../../../../bare");
    place.write("host/.git/worktrees/w/config.worktree", evil);
    place.write("host/.git/commondir", "../bare");
    place.write("host/.git/rebase-merge/git-rebase-todo", "exec ./evil\n");
    place.write("small/HEAD", "ref: refs/heads/x");
    place.write("small/commondir", "../bare");
    place.write("redirected/.git", "gitdir: ../bare\n");
    place.write("away/.git", "gitdir: /outside\n");
    place.link("linked/.git", "../bare");
    let settled = place.settle(&plan, Enforcement::Mounted);
    assert_eq!(
        taken(&settled),
        [
            "a/.git/config",
            "away/.git",
            "bare/config",
            "host/.git/commondir",
            "host/.git/modules/x/y/config",
            "host/.git/rebase-merge/git-rebase-todo",
            "host/.git/worktrees/w/commondir",
            "host/.git/worktrees/w/config.worktree",
            "linked/.git",
            "redirected/.git",
            "small/commondir",
        ]
    );
    assert!(settled.faults.is_empty(), "{:?}", settled.faults);
    assert!(place.has("host/.git/config") && place.has("host/.git/hooks/pre-commit.sample"));
}

#[test]
fn deny_a_look_alike_repository_that_came_with_the_project() {
    let place = Place::new();
    place.repository("fixtures/x");
    place.write("fixtures/y/hooks/post-checkout", "evil");
    place.write("fixtures/y/config", "[core]\n\tpager = evil\n");
    let plan = place.plan();
    // Made reachable, moved into place, and completed.
    place.write("sub/.git", "gitdir: ../fixtures/x/worktrees/w\n");
    place.write("fixtures/x/worktrees/w/HEAD", "ref: x");
    place.write("fixtures/x/worktrees/w/commondir", "../..\n");
    std::fs::rename(place.workspace.join("fixtures/y"), place.workspace.join("fixtures/z")).unwrap();
    place.write("fixtures/z/HEAD", "ref: x");
    std::fs::create_dir(place.workspace.join("fixtures/z/objects")).unwrap();
    std::fs::create_dir(place.workspace.join("fixtures/z/refs")).unwrap();
    let settled = place.settle(&plan, Enforcement::Mounted);
    assert_eq!(taken(&settled), ["fixtures/z/config", "fixtures/z/hooks/post-checkout", "sub/.git"], "{settled:#?}");
}

#[test]
fn deny_old_files_moved_to_where_they_count() {
    let place = Place::new();
    place.write("fixtures/code/tasks.json", "evil");
    place.write("node_modules/p/.vscode/tasks.json", "evil");
    place.write("node_modules/p/envrc", "evil");
    place.write("src/main.rs", "x");
    let plan = place.plan();
    let from = |path: &str| place.workspace.join(path);
    std::fs::rename(from("fixtures/code"), from(".vscode")).unwrap();
    std::fs::rename(from("src"), from("src2")).unwrap();
    std::fs::rename(from("node_modules/p"), from("src")).unwrap();
    std::fs::rename(from("src/envrc"), from(".envrc")).unwrap();
    let settled = place.settle(&plan, Enforcement::Mounted);
    assert_eq!(taken(&settled), [".envrc", ".vscode", "src/.vscode"]);
}

#[test]
fn old_files_in_folders_that_were_not_looked_into_stay() {
    let place = Place::new();
    place.write("node_modules/p/.vscode/tasks.json", "x");
    place.write("node_modules/p/.npmrc", "x");
    place.next_tick();
    let plan = place.plan();
    assert!(plan.notices.contains(&Notice::Unvisited("node_modules".into())));
    place.write("node_modules/p/.npmrc", "evil");
    let settled = place.settle(&plan, Enforcement::Mounted);
    assert_eq!(taken(&settled), ["node_modules/p/.npmrc"]);
    assert_eq!(settled.unchanged, 1);
}

#[test]
fn deny_links_in_place_of_start_up_files() {
    let place = Place::new();
    place.repository("r/.git");
    let plan = place.plan();
    let target = place.base.join("outside/victim");
    std::fs::write(&target, "precious").unwrap();
    for path in [
        ".envrc",
        ".mcp.json",
        ".gitmodules",
        "rust-toolchain",
        "r/.git/COMMIT_EDITMSG",
        "r/.git/config.worktree",
        "r/.git/logs/HEAD",
    ] {
        place.link(path, &target);
    }
    for path in [".vscode", ".git", ".cargo", ".github", "r/.git/rebase-merge", "r/.git/modules"] {
        place.link(path, place.base.join("outside"));
    }
    std::fs::write(place.base.join("outside/config.toml"), "x").unwrap();
    std::fs::remove_dir_all(place.workspace.join("r/.git/info")).unwrap();
    place.link("r/.git/info", place.base.join("outside"));
    let settled = place.settle(&plan, Enforcement::Mounted);
    assert_eq!(
        taken(&settled),
        [
            ".cargo",
            ".envrc",
            ".git",
            ".gitmodules",
            ".mcp.json",
            ".vscode",
            "r/.git/COMMIT_EDITMSG",
            "r/.git/config.worktree",
            "r/.git/info",
            "r/.git/logs/HEAD",
            "r/.git/modules",
            "r/.git/rebase-merge",
            "rust-toolchain",
        ],
        "{settled:#?}"
    );
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious");
    assert_eq!(std::fs::read_dir(place.base.join("outside")).unwrap().count(), 2);
}

#[test]
fn deny_changes_to_what_existed_and_put_it_back() {
    let place = Place::new();
    place.repository(".git");
    place.write(".git/hooks/pre-push", "good");
    place.write(".vscode/settings.json", "good");
    place.write(".envrc", "good");
    place.write(".mcp.json", "good");
    place.write(".npmrc", "good");
    place.write(".cargo/config.toml", "good");
    place.link(".zed", "src");
    std::fs::create_dir(place.workspace.join("src")).unwrap();
    let plan = place.plan();
    place.write(".git/hooks/pre-push", "evil");
    place.write(".git/hooks/post-merge", "evil");
    std::fs::rename(place.workspace.join(".vscode"), place.workspace.join("moved")).unwrap();
    place.link(".vscode", place.base.join("outside"));
    std::fs::remove_file(place.workspace.join(".envrc")).unwrap();
    std::fs::set_permissions(place.workspace.join(".mcp.json"), PermissionsExt::from_mode(0o4755)).unwrap();
    std::fs::hard_link(place.workspace.join(".npmrc"), place.workspace.join("other-name")).unwrap();
    std::fs::remove_file(place.workspace.join(".zed")).unwrap();
    place.link(".zed", "../outside");
    std::fs::remove_dir_all(place.workspace.join(".cargo")).unwrap();
    place.write(".cargo", "a file in place of a folder");
    let config = "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tfsmonitor = evil\n\teol = lf\n";
    place.write(".git/config", config);
    let settled = place.settle(&plan, Enforcement::Unenforced);
    assert!(settled.faults.is_empty(), "{:?}", settled.faults);
    for (path, text) in [
        (".git/hooks/pre-push", "good"),
        (".vscode/settings.json", "good"),
        (".envrc", "good"),
        (".mcp.json", "good"),
        (".npmrc", "good"),
        (".cargo/config.toml", "good"),
        (".git/config", "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\teol = lf\n"),
    ] {
        assert_eq!(place.read(path).as_deref(), Some(text), "{path}: {settled:#?}");
    }
    assert!(!place.has(".git/hooks/post-merge"));
    assert!(place.workspace.join(".vscode").symlink_metadata().unwrap().is_dir());
    assert_eq!(std::fs::read_link(place.workspace.join(".zed")).unwrap(), Path::new("src"));
    assert_eq!(mode(&place.workspace.join(".mcp.json")) & 0o7000, 0);
    std::fs::write(place.workspace.join("other-name"), "evil").unwrap();
    assert_eq!(place.read(".npmrc").as_deref(), Some("good"), "the other name leads nowhere");
    assert_eq!(std::fs::read_dir(place.base.join("outside")).unwrap().count(), 0);
}

#[test]
fn deny_what_existing_configurations_name() {
    let place = Place::new();
    place.repository(".git");
    place.write("tools/hooks/pre-commit", "x");
    place.write("git/more.inc", "x");
    place.write("bin/st.sh", "x");
    place.link(".husky", "tools/husky");
    place.write("tools/husky/run", "x");
    let config = "[core]\n\thooksPath = tools/hooks\n[include]\n\tpath = ../git/more.inc\n[alias]\n\tst = \"!bin/st.sh -v\"\n\tlater = !bin/later.sh\n[diff]\n\texternal = /bin/x\n";
    place.write(".git/config", config);
    let plan = place.plan();
    assert_eq!(
        place.protected(&plan),
        [".git/branches", ".git/hooks", ".husky", "bin/st.sh", "git/more.inc", "tools/hooks", "tools/husky"]
    );
    place.write("bin/later.sh", "evil");
    assert_eq!(taken(&place.settle(&plan, Enforcement::Mounted)), ["bin/later.sh"]);
}

/// What is done to the scratch copy, with a file outside at hand.
type Attack = fn(&Path, &Path);

#[test]
fn deny_odd_staged_files() {
    let outside = "[core]\n\tbare = false\n";
    let cases: &[(&str, Attack)] = &[
        ("link", |scratch, victim| {
            std::fs::remove_file(scratch).unwrap();
            std::os::unix::fs::symlink(victim, scratch).unwrap();
        }),
        ("gone", |scratch, _| std::fs::remove_file(scratch).unwrap()),
        ("directory", |scratch, _| {
            std::fs::remove_file(scratch).unwrap();
            std::fs::create_dir(scratch).unwrap();
        }),
        ("pipe", |scratch, _| {
            std::fs::remove_file(scratch).unwrap();
            rustix::fs::mknodat(rustix::fs::CWD, scratch, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
                .unwrap();
        }),
        ("large", |scratch, _| std::fs::write(scratch, vec![b'\n'; 1 << 20]).unwrap()),
        ("malformed", |scratch, _| std::fs::write(scratch, "[core\n").unwrap()),
        ("folder replaced", |scratch, victim| {
            let folder = scratch.parent().unwrap();
            std::fs::remove_dir_all(folder).unwrap();
            std::os::unix::fs::symlink(victim.parent().unwrap(), folder).unwrap();
        }),
    ];
    for (name, attack) in cases {
        let place = Place::new();
        place.repository(".git");
        place.write(".git/config", outside);
        let victim = place.base.join("outside/config");
        std::fs::write(&victim, "[user]\n\tname = stolen\n").unwrap();
        let plan = place.plan();
        attack(&plan.staged.first().unwrap().scratch, &victim);
        let settled = place.settle(&plan, Enforcement::Mounted);
        assert!(!settled.is_clean() && settled.applied.is_empty(), "{name}: {settled:?}");
        assert_eq!(place.read(".git/config").as_deref(), Some(outside), "{name}");
    }
}

#[test]
fn deny_hostile_names_and_modes() {
    let place = Place::new();
    let plan = place.plan();
    let odd = OsString::from_vec(b"new\nline \xff\x1b[2J".to_vec());
    let folder = place.workspace.join(&odd);
    std::fs::create_dir_all(folder.join(".vscode")).unwrap();
    std::fs::write(folder.join(".envrc"), "evil").unwrap();
    let locked = place.write("locked/.vscode/tasks.json", "evil");
    std::fs::set_permissions(&locked, PermissionsExt::from_mode(0o000)).unwrap();
    std::fs::set_permissions(locked.parent().unwrap(), PermissionsExt::from_mode(0o000)).unwrap();
    let shut = place.write("shut/.envrc", "evil");
    std::fs::set_permissions(shut.parent().unwrap(), PermissionsExt::from_mode(0o111)).unwrap();
    let special = place.workspace.join(".mcp.json");
    rustix::fs::mknodat(rustix::fs::CWD, &special, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    let suid = place.write(".profile", "evil");
    std::fs::set_permissions(&suid, PermissionsExt::from_mode(0o6755)).unwrap();
    let settled = place.settle(&plan, Enforcement::Mounted);
    assert_eq!(settled.quarantined.len(), 6, "{settled:#?}");
    for taken in &settled.quarantined {
        let record: Record =
            serde_json::from_slice(&std::fs::read(taken.moved_to.join("record.json")).unwrap()).unwrap();
        assert!(record.path.is_ascii() && !record.path.contains(['\n', '\u{1b}']), "{record:?}");
        let content = taken.moved_to.join("content");
        assert!(mode(&content) & 0o7000 == 0, "{record:?}");
    }
    assert!(!folder.join(".envrc").exists() && !folder.join(".vscode").exists() && !special.exists());
}

#[test]
fn deny_across_file_systems() {
    let shared = Path::new("/dev/shm");
    let Ok(other) = tempfile::tempdir_in(shared) else { return eprintln!("skipped: no second file system") };
    let place = Place::new();
    let plan = place.plan();
    place.write(".vscode/a/b/tasks.json", "evil");
    place.link(".vscode/link", "/etc/passwd");
    place.write(".envrc", "evil");
    let quarantine = other.path().join("q");
    let settled = settle(&plan, Enforcement::Mounted, &quarantine);
    assert_eq!(taken(&settled), [".envrc", ".vscode"], "{settled:#?}");
    assert!(settled.faults.is_empty(), "{:?}", settled.faults);
    let folder = &settled.quarantined.iter().find(|q| q.change.path == Path::new(".vscode")).unwrap().moved_to;
    assert_eq!(std::fs::read_to_string(folder.join("content/a/b/tasks.json")).unwrap(), "evil");
    assert_eq!(std::fs::read_link(folder.join("content/link")).unwrap(), Path::new("/etc/passwd"));
    assert_eq!(std::fs::read_dir(&place.workspace).unwrap().count(), 0, "nothing is left aside");
}

#[test]
fn deny_even_without_a_quarantine() {
    let place = Place::new();
    let plan = place.plan();
    place.write(".git/hooks/pre-commit", "evil");
    place.write(".envrc", "evil");
    std::fs::write(place.quarantine(), "a file stands here").unwrap();
    let settled = place.settle(&plan, Enforcement::Mounted);
    assert_eq!(paths(&settled.faults), [".envrc", ".git/hooks/pre-commit"]);
    assert!(!place.has(".envrc") && !place.has(".git/hooks/pre-commit"));
    for taken in &settled.quarantined {
        assert_eq!(std::fs::read_to_string(&taken.moved_to).unwrap(), "evil", "nothing is lost");
        assert!(taken.moved_to.file_name().unwrap().to_str().unwrap().starts_with(".ringfort-aside-"));
    }
}

#[test]
fn huge_counts_are_bounded_and_said() {
    let place = Place::new();
    let mut deep = String::new();
    for _ in 0..80 {
        deep.push_str("d/");
    }
    let plan = place.plan();
    place.write(&format!("{deep}.envrc"), "evil");
    for folder in 0..42 {
        for file in 0..100 {
            place.write(&format!("many/{folder}/{file}/.envrc"), "evil");
        }
    }
    let settled = place.settle(&plan, Enforcement::Mounted);
    assert_eq!(settled.quarantined.len(), CHANGES_LISTED_MAX);
    assert_eq!(settled.omitted, 4_200 - CHANGES_LISTED_MAX as u64);
    assert!(!place.has("many/41/99/.envrc"));
    assert!(settled.notices.iter().any(|n| matches!(n, Notice::Unvisited(_)) && n.weakens()), "the deep one is named");
}

#[test]
fn a_folder_too_large_to_list_is_asked_for_each_name() {
    let place = Place::new();
    for file in 0..200 {
        place.write(&format!("f{file}"), "");
    }
    for path in [".envrc", "zzz/.envrc", ".vscode/x", ".cargo/config", "opencode.json"] {
        place.write(path, "x");
    }
    place.repository(".git");
    let root = beneath::Root::open(&place.workspace).unwrap();
    let limits = walk::WalkLimits { depth_max: 4, directories_max: 10, entries_max: 1, skip: &[] };
    let found = walk::walk(&root, &place.workspace, limits).unwrap();
    let mut hits: Vec<_> = found.hits.iter().map(|hit| hit.path.to_str().unwrap().to_owned()).collect();
    hits.sort();
    hits.retain(|path| path != "zzz/.envrc");
    assert_eq!(hits, [".cargo/config", ".envrc", ".vscode", "opencode.json"]);
    assert_eq!(found.git.len(), 1);
    assert!(found.unvisited.contains(&PathBuf::new()), "it says that the rest was not seen");
}

#[test]
fn more_files_than_are_mounted_are_named() {
    let place = Place::new();
    for file in 0..1_030 {
        place.write(&format!("d{}/e{file}/.envrc", file % 10), "x");
    }
    let plan = place.plan();
    let unprotected = plan.notices.iter().filter(|n| matches!(n, Notice::NotProtected(_)) && n.weakens()).count();
    let unvisited = plan.notices.iter().filter(|n| matches!(n, Notice::Unvisited(_))).count();
    assert!(plan.protected.len() <= 1_024);
    assert!(plan.protected.len() + unprotected + unvisited >= 1_030, "each file is planned or named");
}
