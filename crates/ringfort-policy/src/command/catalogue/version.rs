// SPDX-License-Identifier: MIT OR Apache-2.0
//! Version control: git by sub-command, the others in short.
//!
//! In: nothing. Out: the entries. **Invariant:** options of git that name a program are listed; sub-commands that
//! are not listed may be aliases and are unknown.

use ringfort_core::decision::Risk;
use ringfort_core::effect::EffectKind;

use super::super::hazard;
use super::Role::{Effect, Host, Load, Mode as Set, Read, Rule, Shell, Value, Write};
use super::{Entry, Mode, Special, Style, attached, flag, high, low, medium, value};

const NETWORK: &[EffectKind] = &[EffectKind::OpenNetwork];
const WRITE: &[EffectKind] = &[EffectKind::WritePath];
const HISTORY: &[EffectKind] = &[EffectKind::RewriteHistory];

const PUBLISH: &[EffectKind] = &[EffectKind::OpenNetwork, EffectKind::Publish];
/// Options of what only fetches.
const FETCHES: &[super::Opt] = &[
    value("--upload-pack", Shell),
    value("--depth --deepen --shallow-since --shallow-exclude -o --server-option -j --jobs --refmap --sort", Value),
    flag("--exec", Shell),
];

pub(super) const GIT: &[Entry] = &[
    low("status show rev-parse rev-list ls-files ls-tree cat-file describe blame annotate shortlog name-rev \
         for-each-ref show-ref show-branch merge-base check-ignore check-attr check-ref-format count-objects \
         fsck help version whatchanged cherry diff-tree diff-files diff-index symbolic-ref var verify-commit \
         verify-tag verify-pack range-diff hash-object mktree grep-help column stripspace get-tar-commit-id \
         patch-id show-index unpack-file check-mailmap --version --help --exec-path --html-path \
         merge-tree ls-remote-local reflog-show")
    .options(&[
        value("--output", Write),
        value("--contents -S", Read),
        value("-O --format", Value),
        flag("--textconv", Value),
        flag("--ext-diff", Rule(&hazard::ENVIRONMENT_LOADS_CODE)),
        flag("-w --web", Value),
    ]),
    medium("diagnose bugreport").options(&[value("-o --output-directory", Write)]).always(WRITE),
    low("log diff format-patch").options(&[
        value("--output -o --output-directory", Write),
        value("-n -S -G --author --since --until --grep -L", Value),
        flag("--ext-diff", Rule(&hazard::ENVIRONMENT_LOADS_CODE)),
    ]),
    low("grep").options(&[
        attached("-O --open-files-in-pager", Shell),
        flag("--no-index", Value),
        value("-e -A -B -C --threads", Value),
        value("-f", Read),
    ]),
    medium(
        "add stage commit mv tag merge cherry-pick revert switch apply am notes init bundle archive worktree \
         sparse-checkout pack-refs repack update-index update-ref write-tree commit-tree read-tree rerere \
         mergetool difftool citool gui gitk cola subtree maintenance replace lfs flow interpret-trailers commit-graph \
         multi-pack-index unpack-objects index-pack pack-objects merge-file merge-index checkout-index mailinfo \
         mailsplit fast-export update-server-info sh-setup stash bisect remote branch checkout restore gc \
         config rm reset clean reflog prune submodule history",
    )
    .options(&[
        flag("--amend -D", Effect(EffectKind::RewriteHistory, Risk::Medium)),
        flag("--hard", Rule(&hazard::REWRITES_HISTORY)),
        value("-m -C --author --date -t -b -B -X -s -u --tool --onto -e --source", Value),
        value("-F --file --pathspec-from-file", Read),
        value("--exec --extcmd --upload-pack", Shell),
        value("-o --output --separate-git-dir --export-marks --prefix --index-output", Write),
        value("--remote", Host),
        value("--template", Load),
        flag("--no-verify", Value),
    ])
    .operands(&[Value])
    .always(WRITE),
    medium("rebase")
        .options(&[value("-x --exec", Shell), value("-s -X --onto --strategy --strategy-option", Value)])
        .operands(&[Value])
        .always(&[EffectKind::WritePath, EffectKind::RewriteHistory]),
    // A remote by its name; an address is a host, see the handler.
    low("ls-remote").options(FETCHES).operands(&[Value]).always(&[EffectKind::QueryService]),
    low("fetch").options(FETCHES).operands(&[Value]).always(&[EffectKind::QueryService, EffectKind::WritePath]),
    // Programs of git-extras and their like, found by name on the search path.
    low("effort standup missing contrib count summary info show-merged-branches show-unmerged-branches show-unmerged-committers \
         show-tree commits-since locked extras local-commits churn utimes-list line-summary"),
    medium("authors changelog abort rename-branch rename-remote merge-into create-branch lock unlock ignore archive-file touch \
            delete-merged-branches delete-tag utimes setup-branch feature bug chore refactor fork-point guilt")
        .options(&[flag("-g --global --finish", Effect(EffectKind::Unknown, Risk::Medium))])
        .always(WRITE),
    low("alias").options(&[flag("--global --local", Value)]).operands(&[Value, Effect(EffectKind::Unknown, Risk::Medium)]),
    medium("stamp coauthor undo squash psykorebase reset-file graft reauthor rebase-patch fixup").always(&[
        EffectKind::WritePath,
        EffectKind::RewriteHistory,
    ]),
    high("fresh-branch clear clear-soft obliterate sync").always(HISTORY).rule(&hazard::REWRITES_HISTORY),
    medium("pr mr").operands(&[Value]).always(&[EffectKind::QueryService, EffectKind::WritePath]),
    high("release delete-branch delete-submodule pull-request paste scp rscp force-clone").always(PUBLISH).rule(&hazard::PUBLISHES),
    medium(
        "clone pull fetch-pack send-pack request-pull svn p4 submodule-update remote-http http-fetch \
         archimport cvsimport cvsexportcommit",
    )
    .options(&[
        value("--upload-pack -u --receive-pack", Shell),
        value("-c --config --template", Load),
        value("-b --branch --depth -o -j --server-option", Value),
        value("--reference", Read),
        value("--separate-git-dir", Write),
        flag("--recurse-submodules", Value),
    ])
    .operands(&[Host, Write])
    .always(&[EffectKind::OpenNetwork, EffectKind::WritePath]),
    medium("push")
        .options(&[
            flag("-f --force --mirror --delete -d --prune", Rule(&hazard::REWRITES_HISTORY)),
            attached("--force-with-lease", Rule(&hazard::REWRITES_HISTORY)),
            value("--receive-pack --exec", Shell),
            value("-o", Value),
            value("--repo", Host),
            flag("-n --dry-run", Set(Mode::DryRun)),
        ])
        .operands(&[Host, Value])
        .always(&[EffectKind::OpenNetwork, EffectKind::Publish]),
    high("filter-branch filter-repo replace-refs fast-import")
        .options(&[value(
            "--tree-filter --env-filter --index-filter --msg-filter --commit-filter --parent-filter \
             --tag-name-filter --setup",
            Shell,
        )])
        .always(HISTORY)
        .rule(&hazard::REWRITES_HISTORY),
    high("daemon instaweb http-backend shell upload-pack receive-pack upload-archive cvsserver")
        .options(&[value("-d --httpd -b", Shell)])
        .always(NETWORK)
        .rule(&hazard::LISTENS),
    high("credential credential-store credential-cache send-email imap-send").always(&[EffectKind::ReadSecret]),
];

pub(super) const ENTRIES: &[Entry] = &[
    low("git g")
        .style(Style::Posix)
        .options(&[
            value("-C -c --work-tree --namespace --super-prefix --attr-source", Value),
            value("--config-env", Rule(&hazard::ENVIRONMENT_LOADS_CODE)),
            attached("--exec-path", Load),
            value("--git-dir", Load),
            flag("--no-pager -p -P --bare", Value),
        ])
        .subs(GIT)
        .special(Special::Git),
    low("gitk tig lazygit git-lfs delta-git gitui git-cliff pre-commit commitlint lint-staged \
         husky")
    .always(&[EffectKind::ExecuteText]),
    low("diff-so-fancy")
        .options(&[flag("--set-defaults", Effect(EffectKind::Unknown, Risk::Medium)), flag("--colors", Value)]),
    medium("hg svn bzr fossil jj darcs cvs p4 sl repo")
        .style(Style::Posix)
        .options(&[value("--config --config-option", Load), value("-R --cwd", Value)])
        .always(&[EffectKind::OpenNetwork, EffectKind::WritePath]),
    high("bfg git-filter-repo").always(HISTORY).rule(&hazard::REWRITES_HISTORY),
    medium("git-shell git-upload-pack git-receive-pack").options(&[value("-c", Shell)]).operands(&[Read]),
    medium("ctags etags cscope global gtags")
        .options(&[value("-o -f", Write), value("--options", Load), value("-L", Read)])
        .operands(&[Read]),
];
