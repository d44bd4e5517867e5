// SPDX-License-Identifier: MIT OR Apache-2.0
//! The start-up files: names inside a workspace that make some *other* program run code or change its behaviour.
//!
//! Data only: pattern, who reads it, where it counts, what happens to one that exists and to one that is created.
//! Project code proper (build scripts, package manifests, virtual environments, test configuration) is not listed:
//! writing it is what a coding agent is for, and running it is the reader's own act. Harmless readers
//! (`.editorconfig`, `.gitignore`, `.gitattributes`, which can only name drivers that a configuration defines) are
//! not listed either.
//!
//! **Invariant:** everything listed as protected or staged is quarantined when it is created anew, unless its
//! [`Judge`] finds it harmless.

/// What happens to a start-up file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Exists at the start: read-only, cannot be renamed. Created inside: judged at the end.
    Protect,
    /// Exists at the start: what is written inside goes to a copy, and is judged at the end. Created: as above.
    Stage,
    /// Writable inside; judged at the end, and put back as it was if the judgement is bad.
    Inspect,
    /// Writable inside; a change is reported and nothing else.
    Report,
}

/// Where in the workspace the name counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Only directly in the workspace (as when it is, or is linked from, a home folder).
    Top,
    /// In every folder: people open and enter folders below the top.
    Anywhere,
}

/// How one that was created or changed inside is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judge {
    /// Always quarantined.
    Always,
    /// Kept and reported.
    Keep,
    /// A folder of git hooks: samples are kept, all else is quarantined.
    Hooks,
    /// A folder that git's template leaves empty: whatever is in it is quarantined.
    Contents,
    /// A git configuration: kept if every variable is harmless.
    GitConfig,
    /// A `.gitmodules` file: kept if every variable is harmless.
    GitModules,
    /// A `.git` file: kept if it leads to a git folder of this workspace.
    GitFile,
    /// The `commondir` of a linked worktree: kept if it is `../..`.
    CommonDirectory,
    /// A rebase in progress: kept if it runs no commands.
    RebaseTodo,
    /// A Rust toolchain file: kept if it names no path.
    RustToolchain,
}

/// One kind of start-up file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// A name, a path of two or three names, or `*` and a suffix.
    pub pattern: &'static str,
    /// The programs that read it.
    pub reader: &'static str,
    /// Where it counts.
    pub scope: Scope,
    /// What happens to it.
    pub treatment: Treatment,
    /// How a new one is judged.
    pub judge: Judge,
}

const fn anywhere(pattern: &'static str, reader: &'static str) -> Trigger {
    Trigger { pattern, reader, scope: Scope::Anywhere, treatment: Treatment::Protect, judge: Judge::Always }
}

const fn top(pattern: &'static str, reader: &'static str) -> Trigger {
    Trigger { pattern, reader, scope: Scope::Top, treatment: Treatment::Protect, judge: Judge::Always }
}

const fn report(pattern: &'static str, reader: &'static str, scope: Scope) -> Trigger {
    Trigger { pattern, reader, scope, treatment: Treatment::Report, judge: Judge::Keep }
}

const fn git(pattern: &'static str, treatment: Treatment, judge: Judge) -> Trigger {
    Trigger { pattern, reader: "git", scope: Scope::Anywhere, treatment, judge }
}

/// What counts inside a git folder, relative to it.
pub static GIT_TRIGGERS: &[Trigger] = &[
    git("hooks", Treatment::Protect, Judge::Hooks),
    git("config", Treatment::Stage, Judge::GitConfig),
    git("config.worktree", Treatment::Stage, Judge::GitConfig),
    git("info/attributes", Treatment::Protect, Judge::Always),
    git("commondir", Treatment::Protect, Judge::CommonDirectory),
    git("branches", Treatment::Protect, Judge::Contents),
    git("remotes", Treatment::Protect, Judge::Contents),
    git("rebase-merge/git-rebase-todo", Treatment::Inspect, Judge::RebaseTodo),
];

/// A `.git` file, which leads git to a folder elsewhere.
pub static GIT_FILE: Trigger = git(".git", Treatment::Protect, Judge::GitFile);
/// A symbolic link inside a git folder: git writes through some of them.
pub static GIT_LINK: Trigger = git("a link inside a git folder", Treatment::Inspect, Judge::Always);
/// A file or folder that an existing git configuration names (hooks path, include, command).
pub static GIT_NAMED: Trigger = git("named by a git configuration", Treatment::Protect, Judge::Always);
/// What an existing start-up file that is a symbolic link leads to.
pub static LINKED: Trigger = anywhere("target of a linked start-up file", "the reader of the link");

/// Every start-up file outside git folders.
pub static TRIGGERS: &[Trigger] = &[
    // Version control.
    git(".gitmodules", Treatment::Inspect, Judge::GitModules),
    anywhere(".hg/hgrc", "Mercurial"),
    anywhere(".hg/hgrc-not-shared", "Mercurial"),
    anywhere(".jj/repo/config.toml", "Jujutsu"),
    anywhere(".jj/workspace-config.toml", "Jujutsu"),
    anywhere(".arcconfig", "Arcanist"),
    anywhere(".husky", "husky through git hooks"),
    anywhere(".githooks", "git, by custom"),
    anywhere(".lefthook", "lefthook through git hooks"),
    anywhere("lefthook.yml", "lefthook through git hooks"),
    anywhere("lefthook.yaml", "lefthook through git hooks"),
    anywhere(".lefthook.yml", "lefthook through git hooks"),
    anywhere("lefthook-local.yml", "lefthook through git hooks"),
    anywhere(".pre-commit-config.yaml", "pre-commit through git hooks"),
    anywhere(".overcommit.yml", "overcommit through git hooks"),
    // Agents: settings, tools and hooks.
    anywhere(".mcp.json", "Claude Code and other MCP clients"),
    anywhere("mcp.json", "MCP clients"),
    anywhere(".claude", "Claude Code"),
    anywhere(".claude.json", "Claude Code"),
    anywhere(".codex", "Codex"),
    anywhere(".gemini", "Gemini CLI"),
    anywhere(".cursor", "Cursor"),
    anywhere(".windsurf", "Windsurf"),
    anywhere(".cline", "Cline"),
    anywhere(".roo", "Roo Code"),
    anywhere(".roomodes", "Roo Code"),
    anywhere(".kilocode", "Kilo Code"),
    anywhere(".continue", "Continue"),
    anywhere(".aider.conf.yml", "aider"),
    anywhere(".amazonq", "Amazon Q"),
    anywhere(".kiro", "Kiro"),
    anywhere(".junie", "Junie"),
    anywhere(".opencode", "OpenCode"),
    anywhere("opencode.json", "OpenCode"),
    anywhere("opencode.jsonc", "OpenCode"),
    anywhere(".qwen", "Qwen Code"),
    anywhere(".crush.json", "Crush"),
    anywhere("crush.json", "Crush"),
    anywhere(".factory", "Factory"),
    anywhere(".augment", "Augment"),
    anywhere(".trae", "Trae"),
    anywhere(".openclaw", "OpenClaw"),
    anywhere(".zeroclaw", "ZeroClaw"),
    anywhere(".agents", "agents"),
    // Instructions to agents: text that people edit all day, not code. Reported.
    report("AGENTS.md", "agents", Scope::Anywhere),
    report("AGENTS.override.md", "agents", Scope::Anywhere),
    report("CLAUDE.md", "Claude Code", Scope::Anywhere),
    report("CLAUDE.local.md", "Claude Code", Scope::Anywhere),
    report("GEMINI.md", "Gemini CLI", Scope::Anywhere),
    report(".cursorrules", "Cursor", Scope::Anywhere),
    report(".windsurfrules", "Windsurf", Scope::Anywhere),
    report(".clinerules", "Cline", Scope::Anywhere),
    report(".goosehints", "goose", Scope::Anywhere),
    report(".github/copilot-instructions.md", "Copilot", Scope::Top),
    // Editors.
    anywhere(".vscode", "Visual Studio Code"),
    anywhere("*.code-workspace", "Visual Studio Code"),
    anywhere(".idea", "JetBrains editors"),
    anywhere(".fleet", "Fleet"),
    anywhere(".zed", "Zed"),
    anywhere(".vs", "Visual Studio"),
    anywhere(".exrc", "vi"),
    anywhere(".vimrc", "Vim"),
    anywhere("_vimrc", "Vim"),
    anywhere(".nvimrc", "Neovim"),
    anywhere(".nvim.lua", "Neovim"),
    anywhere(".lvimrc", "Vim"),
    anywhere(".dir-locals.el", "Emacs"),
    anywhere(".dir-locals-2.el", "Emacs"),
    anywhere(".helix", "Helix"),
    anywhere(".devcontainer", "development containers"),
    anywhere(".devcontainer.json", "development containers"),
    // Environments that are entered by changing folder.
    anywhere(".envrc", "direnv"),
    anywhere(".direnv", "direnv"),
    anywhere(".autoenv", "autoenv"),
    anywhere(".autoenv.zsh", "autoenv"),
    anywhere(".mise.toml", "mise"),
    anywhere("mise.toml", "mise"),
    anywhere(".mise.local.toml", "mise"),
    anywhere("mise.local.toml", "mise"),
    anywhere(".mise", "mise"),
    anywhere(".config/mise.toml", "mise"),
    anywhere(".config/mise", "mise"),
    anywhere(".rtx.toml", "mise"),
    anywhere(".tool-versions", "asdf and mise"),
    report(".env", "programs that load it", Scope::Anywhere),
    // Package managers and compilers that read the folder they start in, before any project code runs.
    anywhere(".npmrc", "npm and pnpm"),
    anywhere(".yarnrc", "Yarn"),
    anywhere(".yarnrc.yml", "Yarn"),
    anywhere(".yarn/releases", "Yarn"),
    anywhere(".yarn/plugins", "Yarn"),
    anywhere(".pnpmfile.cjs", "pnpm"),
    anywhere(".pnpmfile.mjs", "pnpm"),
    anywhere("bunfig.toml", "Bun"),
    anywhere(".cargo/config", "Cargo"),
    anywhere(".cargo/config.toml", "Cargo"),
    Trigger {
        pattern: "rust-toolchain.toml",
        reader: "rustup",
        scope: Scope::Anywhere,
        treatment: Treatment::Inspect,
        judge: Judge::RustToolchain,
    },
    Trigger {
        pattern: "rust-toolchain",
        reader: "rustup",
        scope: Scope::Anywhere,
        treatment: Treatment::Inspect,
        judge: Judge::RustToolchain,
    },
    anywhere(".bundle/config", "Bundler"),
    anywhere(".mvn", "Maven"),
    anywhere(".bazelrc", "Bazel"),
    // Interpreters and debuggers that run a file of the folder they start in.
    anywhere(".gdbinit", "gdb"),
    anywhere(".lldbinit", "lldb"),
    anywhere(".pdbrc", "pdb"),
    anywhere(".ghci", "ghci"),
    anywhere(".Rprofile", "R"),
    anywhere(".Renviron", "R"),
    anywhere(".irbrc", "irb"),
    anywhere(".pryrc", "pry"),
    anywhere(".iex.exs", "iex"),
    anywhere(".erlang", "Erlang"),
    anywhere(".octaverc", "Octave"),
    anywhere(".ocamlinit", "OCaml"),
    anywhere(".ripgreprc", "ripgrep"),
    // A workspace that is, or is linked from, a home folder.
    top(".bashrc", "bash"),
    top(".bash_profile", "bash"),
    top(".bash_login", "bash"),
    top(".bash_logout", "bash"),
    top(".bash_aliases", "bash"),
    top(".profile", "shells"),
    top(".zshrc", "zsh"),
    top(".zshenv", "zsh"),
    top(".zprofile", "zsh"),
    top(".zlogin", "zsh"),
    top(".zlogout", "zsh"),
    top(".kshrc", "ksh"),
    top(".cshrc", "csh"),
    top(".tcshrc", "tcsh"),
    top(".login", "csh"),
    top(".inputrc", "readline"),
    top(".config/fish", "fish"),
    top(".config/git", "git"),
    top(".config/nvim", "Neovim"),
    top(".config/autostart", "desktop sessions"),
    top(".config/systemd", "systemd"),
    top(".config/environment.d", "systemd"),
    top(".config/direnv", "direnv"),
    top(".gitconfig", "git"),
    top(".ssh", "OpenSSH"),
    top(".gnupg", "GnuPG"),
    top(".pam_environment", "PAM"),
    top(".xprofile", "X sessions"),
    top(".xinitrc", "X sessions"),
    top(".xsession", "X sessions"),
    top(".vim", "Vim"),
    top(".emacs", "Emacs"),
    top(".emacs.d", "Emacs"),
    top(".tmux.conf", "tmux"),
    top(".screenrc", "screen"),
    top(".psqlrc", "psql"),
    top(".sqliterc", "sqlite3"),
    top(".wgetrc", "wget"),
    top(".curlrc", "curl"),
    top(".netrc", "curl, git and others"),
    top(".local/bin", "shells"),
    // What runs on another machine when it is pushed. Reported.
    report(".github/workflows", "GitHub Actions", Scope::Top),
    report(".github/actions", "GitHub Actions", Scope::Top),
    report(".forgejo/workflows", "Forgejo Actions", Scope::Top),
    report(".gitea/workflows", "Gitea Actions", Scope::Top),
    report(".gitlab-ci.yml", "GitLab CI", Scope::Top),
    report(".circleci", "CircleCI", Scope::Top),
    report(".travis.yml", "Travis CI", Scope::Top),
    report("azure-pipelines.yml", "Azure Pipelines", Scope::Top),
    report("Jenkinsfile", "Jenkins", Scope::Top),
    report(".gitpod.yml", "Gitpod", Scope::Top),
    // Ours: a project file can only restrict, so an existing one must stay and a new one may.
    Trigger {
        pattern: "ringfort.toml",
        reader: "ringfort",
        scope: Scope::Top,
        treatment: Treatment::Protect,
        judge: Judge::Keep,
    },
];

impl Trigger {
    /// The first name of the pattern, and the rest.
    pub(super) fn head(&self) -> (&'static str, Option<&'static str>) {
        match self.pattern.split_once('/') {
            Some((head, rest)) => (head, Some(rest)),
            None => (self.pattern, None),
        }
    }

    /// Whether an entry called `name` is this file, or the first folder on the way to it.
    pub(super) fn starts_at(&self, name: &[u8]) -> bool {
        match self.pattern.strip_prefix('*') {
            Some(suffix) => name.len() > suffix.len() && name.ends_with(suffix.as_bytes()),
            None => {
                let pattern = self.pattern.as_bytes();
                pattern.starts_with(name) && matches!(pattern.get(name.len()), None | Some(b'/'))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_pattern_is_listed_once_and_is_a_clean_path() {
        for list in [TRIGGERS, GIT_TRIGGERS] {
            let patterns: BTreeSet<_> = list.iter().map(|t| t.pattern).collect();
            assert_eq!(patterns.len(), list.len(), "a pattern is listed twice");
            for trigger in list {
                assert!(trigger.pattern.split('/').all(|p| !p.is_empty() && p != "." && p != ".."), "{trigger:?}");
            }
        }
    }

    #[test]
    fn only_whole_names_match() {
        let find = |name: &str| TRIGGERS.iter().filter(|t| t.starts_at(name.as_bytes())).count();
        for (name, found) in [
            (".envrc", true),
            (".cargo", true),
            ("x.code-workspace", true),
            (".code-workspace", false),
            (".env", true),
            (".en", false),
            (".envrc2", false),
            ("config.toml", false),
            (".editorconfig", false),
            ("", false),
        ] {
            assert_eq!(find(name) > 0, found, "name `{name}`");
        }
    }

    #[test]
    fn deny_protected_files_are_never_kept_unjudged() {
        for trigger in TRIGGERS.iter().chain(GIT_TRIGGERS) {
            let kept = trigger.judge == Judge::Keep;
            assert!(
                !kept || trigger.treatment == Treatment::Report || trigger.pattern == "ringfort.toml",
                "{trigger:?}"
            );
        }
    }
}
