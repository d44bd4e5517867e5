// SPDX-License-Identifier: MIT OR Apache-2.0
//! Version control: git by sub-command, the others in short.
//!
//! In: nothing. Out: the entries. **Invariant:** options of git that name a program are listed; sub-commands that
//! are not listed may be aliases and are unknown.

use ringfort_core::decision::Risk;
use ringfort_core::effect::EffectKind;

use super::super::hazard;
use super::Role::{Effect, Host, Load, Mode as Set, Read, Rule, Shell, Value, Write};
use super::{attached, flag, high, low, medium, value, Entry, Mode, Special, Style};

const NETWORK: &[EffectKind] = &[EffectKind::OpenNetwork];
const WRITE: &[EffectKind] = &[EffectKind::WritePath];
const HISTORY: &[EffectKind] = &[EffectKind::RewriteHistory];

pub(super) const GIT: &[Entry] = &[
    low(&[
        "status", "show", "rev-parse", "rev-list", "ls-files", "ls-tree", "cat-file", "describe", "blame", "annotate", "shortlog", "name-rev", "for-each-ref", "show-ref", "show-branch", "merge-base", "check-ignore", "check-attr", "check-ref-format", "count-objects", "fsck", "help", "version", "whatchanged", "cherry", "diff-tree", "diff-files",
        "diff-index", "symbolic-ref", "var", "verify-commit", "verify-tag", "verify-pack", "range-diff", "hash-object", "mktree", "grep-help", "column", "stripspace", "get-tar-commit-id", "patch-id", "request-pull", "show-index", "unpack-file", "check-mailmap", "--version", "--help", "--exec-path", "--html-path", "diagnose", "bugreport", "merge-tree", "ls-remote-local", "reflog-show",
    ])
    .options(&[value("--output", Write), value("-O", Value), value("--format", Value), value("--textconv", Value)]),
    low(&["log", "diff", "format-patch"]).options(&[value("--output", Write), value("-o", Write), value("--output-directory", Write), value("-n", Value), value("-S", Value), value("-G", Value), value("--author", Value), value("--since", Value), value("--until", Value), value("--grep", Value), value("-L", Value), flag("--ext-diff", Rule(&hazard::ENVIRONMENT_LOADS_CODE))]),
    low(&["grep"]).options(&[attached("-O", Shell), attached("--open-files-in-pager", Shell), value("-e", Value), value("-f", Read), value("-A", Value), value("-B", Value), value("-C", Value), value("--threads", Value)]),
    medium(&["add", "stage", "commit", "mv", "tag", "merge", "cherry-pick", "revert", "switch", "apply", "am", "notes", "init", "bundle", "archive", "worktree", "sparse-checkout", "pack-refs", "repack", "update-index", "update-ref", "write-tree", "commit-tree", "read-tree", "rerere", "mergetool", "difftool", "citool", "gui", "gitk", "subtree", "maintenance", "replace", "lfs", "flow", "interpret-trailers", "commit-graph", "multi-pack-index", "unpack-objects", "index-pack", "pack-objects", "merge-file", "merge-index", "checkout-index", "mailinfo", "mailsplit", "fast-export", "update-server-info", "sh-setup", "stash", "bisect", "remote", "branch", "checkout", "restore", "rebase", "gc", "config", "rm", "reset", "clean", "reflog", "prune", "submodule", "history"])
        .options(&[
            flag("--amend", Effect(EffectKind::RewriteHistory, Risk::Medium)), flag("--hard", Rule(&hazard::REWRITES_HISTORY)), value("-m", Value), value("-F", Read), value("--file", Read), value("-C", Value), value("--author", Value), value("--date", Value), value("-t", Value), value("-x", Shell), value("--exec", Shell), value("-b", Value), value("-B", Value),
            value("-X", Value), value("-s", Value), value("-o", Write), value("--output", Write), value("--remote", Host), value("-u", Value), value("--extcmd", Shell), value("--template", Load), value("--tool", Value), value("--separate-git-dir", Write), flag("--no-verify", Value), value("--onto", Value), value("--upload-pack", Shell), value("-e", Value), value("--pathspec-from-file", Read),
            flag("-D", Effect(EffectKind::RewriteHistory, Risk::Medium)), value("--source", Value),
        ])
        .operands(&[Value])
        .always(WRITE),
    medium(&["clone", "fetch", "pull", "ls-remote", "fetch-pack", "send-pack", "svn", "p4", "submodule-update", "remote-http", "http-fetch", "archimport", "cvsimport", "cvsexportcommit"])
        .options(&[value("--upload-pack", Shell), value("-u", Shell), value("--receive-pack", Shell), value("-c", Load), value("--config", Load), value("--template", Load), value("-b", Value), value("--branch", Value), value("--depth", Value), value("-o", Value), value("-j", Value), value("--reference", Read), value("--separate-git-dir", Write), flag("--recurse-submodules", Value), value("--server-option", Value)])
        .operands(&[Host, Write])
        .always(&[EffectKind::OpenNetwork, EffectKind::WritePath]),
    medium(&["push"])
        .options(&[flag("-f", Rule(&hazard::REWRITES_HISTORY)), flag("--force", Rule(&hazard::REWRITES_HISTORY)), attached("--force-with-lease", Rule(&hazard::REWRITES_HISTORY)), flag("--mirror", Rule(&hazard::REWRITES_HISTORY)), flag("--delete", Rule(&hazard::REWRITES_HISTORY)), flag("-d", Rule(&hazard::REWRITES_HISTORY)), flag("--prune", Rule(&hazard::REWRITES_HISTORY)), value("--receive-pack", Shell), value("--exec", Shell), value("-o", Value), value("--repo", Host), flag("-n", Set(Mode::DryRun)), flag("--dry-run", Set(Mode::DryRun))])
        .operands(&[Host, Value])
        .always(&[EffectKind::OpenNetwork, EffectKind::Publish]),
    high(&["filter-branch", "filter-repo", "replace-refs", "fast-import"]).options(&[value("--tree-filter", Shell), value("--env-filter", Shell), value("--index-filter", Shell), value("--msg-filter", Shell), value("--commit-filter", Shell), value("--parent-filter", Shell), value("--tag-name-filter", Shell), value("--setup", Shell)]).always(HISTORY).rule(&hazard::REWRITES_HISTORY),
    high(&["daemon", "instaweb", "http-backend", "shell", "upload-pack", "receive-pack", "upload-archive", "cvsserver"]).options(&[value("-d", Shell), value("--httpd", Shell), value("-b", Shell)]).always(NETWORK).rule(&hazard::LISTENS),
    high(&["credential", "credential-store", "credential-cache", "send-email", "imap-send"]).always(&[EffectKind::ReadSecret]),
];

pub(super) const ENTRIES: &[Entry] = &[
    low(&["git", "g"])
        .style(Style::Posix)
        .options(&[
            value("-C", Value), value("-c", Value), value("--config-env", Rule(&hazard::ENVIRONMENT_LOADS_CODE)), attached("--exec-path", Load), value("--git-dir", Load), value("--work-tree", Value), value("--namespace", Value), value("--super-prefix", Value), value("--attr-source", Value), flag("--no-pager", Value), flag("-p", Value), flag("-P", Value),
            flag("--bare", Value),
        ])
        .subs(GIT)
        .special(Special::Git),
    low(&["gitk", "tig", "lazygit", "git-lfs", "delta-git", "diff-so-fancy", "gitui", "git-cliff", "pre-commit", "commitlint", "lint-staged", "husky"]).always(&[EffectKind::ExecuteText]),
    medium(&["hg", "svn", "bzr", "fossil", "jj", "darcs", "cvs", "p4", "sl", "repo"])
        .style(Style::Posix)
        .options(&[value("--config", Load), value("-R", Value), value("--cwd", Value), value("--config-option", Load)])
        .always(&[EffectKind::OpenNetwork, EffectKind::WritePath]),
    high(&["bfg", "git-filter-repo"]).always(HISTORY).rule(&hazard::REWRITES_HISTORY),
    medium(&["git-shell", "git-upload-pack", "git-receive-pack"]).options(&[value("-c", Shell)]).operands(&[Read]),
    medium(&["ctags", "etags", "cscope", "global", "gtags"]).options(&[value("-o", Write), value("-f", Write), value("--options", Load), value("-L", Read)]).operands(&[Read]),
];
