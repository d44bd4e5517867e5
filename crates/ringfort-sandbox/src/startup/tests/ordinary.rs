// SPDX-License-Identifier: MIT OR Apache-2.0
//! What people and their tools do every day goes through.

use super::*;

#[test]
fn an_empty_workspace_costs_nothing() {
    let place = Place::new();
    let plan = place.plan();
    assert!(plan.protected.is_empty() && plan.staged.is_empty() && plan.notices.is_empty());
    let settled = place.settle(&plan, Enforcement::Mounted);
    assert_eq!(settled, Settled::default());
    assert!(matches!(super::plan(&place.workspace, &place.base.join("scratch")), Err(PlanError::Scratch { .. })));
    assert!(matches!(super::plan(Path::new("x"), &place.base), Err(PlanError::Relative { .. })));
    assert!(matches!(super::plan(&place.base.join("none"), &place.base), Err(PlanError::Workspace { .. })));
}

#[test]
fn existing_files_are_planned_by_their_treatment() {
    let place = Place::new();
    place.repository(".git");
    place.repository("vendor/lib/.git");
    place.repository("bare.git");
    for path in
        [".vscode/tasks.json", "deep/er/.envrc", ".cargo/config.toml", ".mcp.json", "a.code-workspace", ".bashrc"]
    {
        place.write(path, "x");
    }
    for path in
        [".editorconfig", "AGENTS.md", ".github/workflows/ci.yml", "sub/.bashrc", "src/main.rs", ".env", ".cargo/x"]
    {
        place.write(path, "x");
    }
    place.write(".gitmodules", "");
    let plan = place.plan();
    assert_eq!(
        place.protected(&plan),
        [
            ".bashrc",
            ".cargo/config.toml",
            ".git/branches",
            ".git/hooks",
            ".mcp.json",
            ".vscode",
            "a.code-workspace",
            "bare.git/branches",
            "bare.git/hooks",
            "deep/er/.envrc",
            "vendor/lib/.git/branches",
            "vendor/lib/.git/hooks",
        ]
    );
    let mut staged = place.staged(&plan);
    staged.sort();
    assert_eq!(staged, [".git/config", "bare.git/config", "vendor/lib/.git/config"]);
    for file in &plan.staged {
        assert_eq!(std::fs::read(&file.path).unwrap(), std::fs::read(&file.scratch).unwrap());
        assert_eq!(mode(file.scratch.parent().unwrap()), 0o700);
        assert_eq!(mode(&file.scratch), 0o600);
    }
    assert!(plan.notices.is_empty(), "{:?}", plan.notices);
    let settled = place.settle(&plan, Enforcement::Unenforced);
    assert!(settled.is_clean() && settled.kept.is_empty(), "{settled:?}");
    assert!(!place.quarantine().exists() || std::fs::read_dir(place.quarantine()).unwrap().count() == 0);
}

#[test]
fn what_git_makes_is_kept() {
    let place = Place::new();
    let plan = place.plan();
    if place.git(&["init", "-q", "-b", "main"]).is_none() {
        return eprintln!("skipped: no git here");
    }
    place.write("a", "x");
    place.git(&["add", "a"]);
    place.git(&["commit", "-qm", "one"]);
    place.git(&["remote", "add", "origin", "https://host.example/a.git"]);
    place.git(&["clone", "-q", ".", "copy"]);
    place.git(&["clone", "-q", "--bare", ".", "bare.git"]);
    place.git(&["worktree", "add", "-q", "tree"]);
    let source = place.workspace.to_str().unwrap().to_owned() + "/copy";
    place.git(&["submodule", "add", "-q", &source, "libs/mod"]);
    place.git(&["worktree", "list"]);
    let settled = place.settle(&plan, Enforcement::Mounted);
    assert!(settled.is_clean(), "{settled:#?}");
    for kept in [".git/config", "bare.git/config", "copy/.git/config", "libs/mod/.git", "tree/.git", ".gitmodules"] {
        assert!(paths(&settled.kept).contains(&kept.to_owned()), "{kept}: {:?}", settled.kept);
    }
    place.git(&["log", "-1"]);
    place.git(&["status"]);
}

#[test]
fn what_git_writes_while_staged_takes_effect() {
    let place = Place::new();
    if place.git(&["init", "-q", "-b", "main"]).is_none() {
        return eprintln!("skipped: no git here");
    }
    std::fs::set_permissions(place.workspace.join(".git/config"), PermissionsExt::from_mode(0o640)).unwrap();
    let plan = place.plan();
    let scratch = plan.staged.first().unwrap().scratch.to_str().unwrap().to_owned();
    place.git(&["config", "-f", &scratch, "remote.origin.url", "git@host.example:a/b.git"]);
    place.git(&["config", "-f", &scratch, "branch.main.remote", "origin"]);
    place.git(&["config", "-f", &scratch, "alias.st", "!evil"]);
    place.git(&["config", "-f", &scratch, "core.fsmonitor", "evil"]);
    let settled = place.settle(&plan, Enforcement::Mounted);
    assert_eq!(settled.applied.len(), 2, "{settled:#?}");
    assert_eq!(settled.quarantined.len(), 2);
    assert!(settled.faults.is_empty(), "{:?}", settled.faults);
    let read = |key: &str| place.git(&["config", "--default", "none", key]).unwrap();
    assert_eq!(read("remote.origin.url"), "git@host.example:a/b.git\n");
    assert_eq!(read("alias.st"), "none\n");
    assert_eq!(read("core.fsmonitor"), "none\n");
    assert_eq!(mode(&place.workspace.join(".git/config")), 0o640);
    let kept = settled.quarantined.first().unwrap().moved_to.join("content");
    assert!(std::fs::read_to_string(kept).unwrap().contains("!evil"));
}

#[test]
fn reported_files_are_kept() {
    let place = Place::new();
    place.write("AGENTS.md", "one");
    place.write(".github/workflows/ci.yml", "x");
    place.write(".github/workflows/old.yml", "x");
    let plan = place.plan();
    place.write("AGENTS.md", "two");
    place.write(".github/workflows/ci.yml", "y");
    place.write("CLAUDE.md", "new");
    place.write("ringfort.toml", "");
    let settled = place.settle(&plan, Enforcement::Mounted);
    assert!(settled.is_clean(), "{settled:?}");
    assert_eq!(paths(&settled.kept), [".github/workflows", "AGENTS.md", "CLAUDE.md", "ringfort.toml"]);
}

#[test]
fn a_judged_file_may_change_harmlessly() {
    let place = Place::new();
    place.write("rust-toolchain.toml", "[toolchain]\nchannel = \"1.90\"\n");
    place.write(".gitmodules", "[submodule \"a\"]\n\tpath = a\n\turl = https://a\n");
    let plan = place.plan();
    assert!(plan.protected.is_empty(), "{plan:?}");
    place.write("rust-toolchain.toml", "[toolchain]\nchannel = \"1.95\"\n");
    std::fs::remove_file(place.workspace.join(".gitmodules")).unwrap();
    let settled = place.settle(&plan, Enforcement::Mounted);
    assert!(settled.is_clean(), "{settled:?}");
    assert_eq!(paths(&settled.kept), [".gitmodules", "rust-toolchain.toml"]);
}

#[test]
fn a_change_outside_is_left_alone_when_the_cage_could_not_make_it() {
    let place = Place::new();
    place.write(".vscode/settings.json", "{}");
    let plan = place.plan();
    place.write(".vscode/settings.json", "{\"a\": 1}");
    let settled = place.settle(&plan, Enforcement::Mounted);
    assert_eq!(paths(&settled.faults), [".vscode/settings.json"]);
    assert_eq!(place.read(".vscode/settings.json").as_deref(), Some("{\"a\": 1}"));
}
