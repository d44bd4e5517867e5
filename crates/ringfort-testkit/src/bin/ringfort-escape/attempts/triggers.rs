// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making what runs a program outside later: whoever watches uses git there, and looks for the file that it makes.
//!
//! They need a runtime that inspects what was made (`settle`): a cage alone cannot tell a start-up file.

use std::fs;
use std::path::Path;

use super::writing::mode;
use super::{Attempt, Blocked, Outcome, effect};
use crate::scene::Scene;

const fn trap(number: u16, what: &'static str, run: fn(&Scene) -> Outcome) -> Attempt {
    effect(number, what, run)
}

#[rustfmt::skip]
pub(crate) static ATTEMPTS: &[Attempt] = &[
    trap(170, "sets a program that watches files for git", |s| config(s, "[core]\n\tfsmonitor = PAYLOAD\n")),
    trap(171, "sets another folder of hooks", |s| { hook(s, "elsewhere/post-index-change")?; hook(s, "elsewhere/pre-commit")?; config(s, "[core]\n\thooksPath = elsewhere\n") }),
    trap(172, "sets the pager of git", |s| config(s, "[core]\n\tpager = PAYLOAD\n[pager]\n\tstatus = true\n\tlog = true\n\tdiff = true\n")).needs("a terminal outside"),
    trap(173, "sets a program that compares", |s| config(s, "[diff]\n\texternal = PAYLOAD\n")),
    trap(174, "sets a filter and the attributes that use it", |s| { put(s, ".gitattributes", "* filter=evil\n")?; config(s, "[filter \"evil\"]\n\tclean = PAYLOAD\n\tsmudge = PAYLOAD\n") }),
    trap(175, "sets a converter for comparing", |s| { put(s, ".gitattributes", "* diff=evil\n")?; config(s, "[diff \"evil\"]\n\ttextconv = PAYLOAD\n") }),
    trap(176, "includes a file of its own", |s| { put(s, "included", "[core]\n\tfsmonitor = PAYLOAD\n")?; config(s, "[include]\n\tpath = ../included\n") }),
    trap(177, "includes a file of its own on a condition", |s| { put(s, "included", "[core]\n\tfsmonitor = PAYLOAD\n")?; config(s, "[includeIf \"gitdir:**\"]\n\tpath = ../included\n") }),
    trap(178, "makes settings of a worktree", |s| { put(s, ".git/config.worktree", "[core]\n\tfsmonitor = PAYLOAD\n")?; config(s, "[extensions]\n\tworktreeConfig = true\n") }),
    trap(179, "adds a hook that did not exist", |s| hook(s, ".git/hooks/post-checkout").and(hook(s, ".git/hooks/post-commit"))),
    trap(180, "adds a hook in a repository of its own below", |s| nested(s, "below").and(hook(s, "below/.git/hooks/post-index-change"))),
    trap(181, "makes a repository below whose settings run a program", |s| nested(s, "below").and(put(s, "below/.git/config", "[core]\n\trepositoryformatversion = 0\n\tfsmonitor = PAYLOAD\n"))),
    trap(182, "makes a bare repository below whose settings run a program", |s| bare(s, "below")),
    trap(183, "leads git elsewhere by a file", |s| { bare(s, "elsewhere")?; let config = s.work.join("elsewhere/config"); let text = fs::read_to_string(&config)?.replace("worktree = .", "worktree = ../below"); fs::write(config, text)?; put(s, "below/.git", "gitdir: ../elsewhere\n") }),
    trap(184, "makes a folder of a submodule whose settings run a program", |s| { bare(s, ".git/modules/below")?; put(s, ".git/modules/below/config", "[core]\n\trepositoryformatversion = 0\n\tworktree = ../../../below\n\tfsmonitor = PAYLOAD\n")?; put(s, ".gitmodules", "[submodule \"below\"]\n\tpath = below\n\turl = ./below\n")?; put(s, "below/.git", "gitdir: ../.git/modules/below\n") }),
    trap(185, "leaves a rebase in progress that runs a program", |s| { let head = git_head(s)?; for (name, text) in [("git-rebase-todo", "exec PAYLOAD\n"), ("head-name", "refs/heads/main\n"), ("onto", &head), ("orig-head", &head), ("end", "1\n"), ("msgnum", "0\n"), ("interactive", ""), ("done", "")] { put(s, &format!(".git/rebase-merge/{name}"), text)?; } Ok("left".into()) }),
    trap(186, "names the program that signs", |s| config(s, "[commit]\n\tgpgSign = true\n[gpg]\n\tprogram = PAYLOAD\n")),
    trap(187, "names the program that merges", |s| { put(s, ".gitattributes", "* merge=evil\n")?; config(s, "[merge \"evil\"]\n\tdriver = PAYLOAD\n") }).needs("a merge outside"),
    trap(188, "names the program that edits", |s| config(s, "[core]\n\teditor = PAYLOAD\n[sequence]\n\teditor = PAYLOAD\n")),
    trap(189, "an alias that hides a command", |s| config(s, "[alias]\n\tst = !PAYLOAD\n")),
    trap(190, "names the program that keeps passwords", |s| config(s, "[credential]\n\thelper = !PAYLOAD\n")).needs("a server that asks"),
    trap(191, "a remote that is a program", |s| config(s, "[remote \"origin\"]\n\turl = ext::PAYLOAD\n[protocol \"ext\"]\n\tallow = always\n")),
    trap(192, "names the program that packs for a remote", |s| config(s, "[remote \"origin\"]\n\turl = .\n\tuploadpack = PAYLOAD\n")),
    trap(193, "writes its settings by a lock file and renaming, as git does", |s| { put(s, ".git/config.lock", "[core]\n\trepositoryformatversion = 0\n\tfsmonitor = PAYLOAD\n")?; fs::rename(s.work.join(".git/config.lock"), s.work.join(".git/config"))?; Ok("renamed".into()) }),
    trap(194, "writes its settings where the link of the staged file leads", |s| { write_payload(s)?; let path = s.work.join(".git/config"); let target = fs::read_link(&path).unwrap_or(path); fs::write(target, payload(s, "[core]\n\trepositoryformatversion = 0\n\tfsmonitor = PAYLOAD\n"))?; Ok("written".into()) }),
    trap(195, "sets a program under another spelling of the name", |s| config(s, "[CoRe]\n\tFSMONITOR=PAYLOAD\n")),
    trap(196, "sets a program behind a comment and a continued line", |s| config(s, "[core] ; x\n\tfsmonitor = \\\nPAYLOAD\n")),
    trap(197, "replaces the head of git by a link to a folder of its own", |s| { put(s, ".git/commondir", "../elsewhere\n")?; bare(s, "elsewhere") }),
    trap(198, "new tasks of an editor below", |s| put(s, "below/.vscode/tasks.json", "{\"runOn\":\"folderOpen\"}")),
    trap(199, "new tools of an agent", |s| put(s, ".cursor/mcp.json", "{}")),
    trap(200, "new settings of an agent", |s| put(s, ".codex/config.toml", "x = 1")),
    trap(201, "a new environment file below", |s| put(s, "below/.envrc", "x")),
    trap(202, "new settings of a package manager", |s| put(s, "below/.npmrc", "script-shell=x\n")),
    trap(203, "new settings of a compiler", |s| put(s, "below/.cargo/config.toml", "[build]\nrustc-wrapper = \"x\"\n")),
    trap(204, "a toolchain of its own", |s| put(s, "below/rust-toolchain.toml", "[toolchain]\npath = \"x\"\n")),
    trap(205, "a new file of hooks managed by a tool", |s| put(s, ".husky/pre-push", "x")),
    trap(206, "a new container for development", |s| put(s, ".devcontainer/devcontainer.json", "{\"initializeCommand\":\"x\"}")),
    trap(207, "a start-up file under a name in another case", |s| put(s, "below/.EnvRC", "x").and(put(s, "below/.GIT/config", "x"))).needs("a file system without case"),
    trap(208, "a start-up file that is a link out of the workspace", |s| { std::os::unix::fs::symlink(s.outside.join("secret"), s.work.join(".nvimrc"))?; Ok("linked".into()) }),
    trap(209, "a start-up file in the last moment, by a process that stays", |s| { if sys_split()? { std::thread::sleep(std::time::Duration::from_millis(30)); put(s, "below/.envrc", "late")?; crate::sys::end(0) } Ok("started".into()) }),
    trap(210, "a folder called as a start-up file, with a program deep in it", |s| put(s, "a/b/c/d/e/f/g/h/.claude/hooks/x", "x")),
    trap(211, "attributes of the repository that use a filter of the user", |s| put(s, ".git/info/attributes", "* filter=lfs\n")),
];

fn sys_split() -> Result<bool, Blocked> {
    Ok(crate::sys::split()? == 0)
}

/// A program for git, which makes the file that the watcher looks for.
fn payload(s: &Scene, text: &str) -> String {
    text.replace("PAYLOAD", &format!("{}/payload.sh", s.work.display()))
}

fn write_payload(s: &Scene) -> Result<(), Blocked> {
    let path = s.work.join("payload.sh");
    let script = format!("#!/bin/sh\necho ran >> '{}'\nexit 0\n", s.outside.join("detonated").display());
    fs::write(&path, script)?;
    Ok(mode(&path, 0o755)?)
}

fn put(s: &Scene, name: &str, text: &str) -> Outcome {
    write_payload(s)?;
    let path = s.work.join(name);
    fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
    fs::write(&path, payload(s, text))?;
    Ok(format!("made {name}"))
}

fn config(s: &Scene, text: &str) -> Outcome {
    put(s, ".git/config", &format!("[core]\n\trepositoryformatversion = 0\n{text}"))
}

fn hook(s: &Scene, name: &str) -> Outcome {
    put(s, name, "#!/bin/sh\nexec PAYLOAD\n")?;
    mode(&s.work.join(name), 0o755)?;
    Ok(format!("made {name}"))
}

fn nested(s: &Scene, name: &str) -> Outcome {
    for folder in ["objects", "refs/heads"] {
        fs::create_dir_all(s.work.join(name).join(".git").join(folder))?;
    }
    put(s, &format!("{name}/.git/HEAD"), "ref: refs/heads/main\n")
}

fn bare(s: &Scene, name: &str) -> Outcome {
    for folder in ["objects", "refs/heads"] {
        fs::create_dir_all(s.work.join(name).join(folder))?;
    }
    put(s, &format!("{name}/HEAD"), "ref: refs/heads/main\n")?;
    let text = "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = .\n\tfsmonitor = PAYLOAD\n";
    put(s, &format!("{name}/config"), text)
}

fn git_head(s: &Scene) -> Result<String, Blocked> {
    Ok(fs::read_to_string(s.work.join(".git/refs/heads/main"))?)
}
