// SPDX-License-Identifier: MIT OR Apache-2.0
//! The package managers of JavaScript, each with its own words: the same letter means different things in each.
//!
//! In: nothing. Out: the entries. **Invariant:** what installs, packs or starts runs code that packages bring along;
//! a question to the registry sends its words and nothing else; a sub-command that is not listed is unknown, because
//! some of these programs run scripts and plug-ins by that name.

use ringfort_core::decision::Risk;
use ringfort_core::effect::EffectKind;

use super::super::hazard;
use super::Role::{Effect, Execute, Host, Load, Read, Shell, Value, Write};
use super::{Entry, Opt, Style, flag, high, low, medium, value};

const INSTALL: &[EffectKind] = &[EffectKind::OpenNetwork, EffectKind::ExecuteText, EffectKind::WritePath];
const RUN: &[EffectKind] = &[EffectKind::ExecuteText];
const PUBLISH: &[EffectKind] = &[EffectKind::OpenNetwork, EffectKind::Publish];
const NETWORK: &[EffectKind] = &[EffectKind::OpenNetwork];
const ASKS: &[EffectKind] = &[EffectKind::QueryService];
const UNKNOWN: &[EffectKind] = &[EffectKind::Unknown];

/// Options before and after the sub-command that hold for all of them.
const COMMON: &[Opt] = &[
    value("-C --prefix --dir --cwd", Write),
    value("-w --workspace --filter -F --loglevel --otp --omit --include --tag --auth-type", Value),
    value("--script-shell", Execute),
    value("--node-options --userconfig --globalconfig --init-module", Load),
    value("--registry", Host),
    value("--browser", Effect(EffectKind::ExecuteFile, Risk::Medium)),
];
/// The same, where the place for all projects counts.
const INSTALLING: &[Opt] = &[
    value("-C --prefix --dir --cwd", Write),
    value("-w --workspace --filter -F --loglevel --otp --omit --include --tag --auth-type", Value),
    value("--script-shell", Execute),
    value("--node-options --userconfig --globalconfig --init-module", Load),
    value("--registry", Host),
    GLOBAL,
];
/// Changes what is installed for every project of the user.
const GLOBAL: Opt = flag("-g --global", Effect(EffectKind::Unknown, Risk::Medium));
const FIXES: Opt = flag("--fix", Effect(EffectKind::ExecuteText, Risk::Medium));

const NPM_CONFIG: &[Entry] = &[
    low("get list ls"),
    medium("set delete rm fix edit").options(&[flag("-g --global --location", Value)]).always(UNKNOWN),
];
const NPM_PKG: &[Entry] = &[low("get"), medium("set delete fix").here()];
const NPM_CACHE: &[Entry] = &[low("ls list verify"), medium("add clean rm npx").always(INSTALL)];
const NPM_READS: &[Entry] = &[
    low("get ls list").always(ASKS),
    high("set add rm remove create destroy grant revoke enable-2fa disable-2fa update")
        .always(PUBLISH)
        .rule(&hazard::PUBLISHES),
];

const NPM: &[Entry] = &[
    low("ls list la ll root prefix bin help help-search why explain fund query completion sbom get").options(COMMON),
    low("version").options(COMMON).operands(&[Effect(EffectKind::ExecuteText, Risk::Medium)]),
    low("view v info show search s se find ping whoami diff outdated stars docs-url dist-tags").options(COMMON).always(ASKS),
    low("audit").options(&[FIXES, value("--registry", Host)]).operands(&[FIX_WORD]).always(ASKS),
    low("doctor").always(ASKS),
    medium("config c").options(COMMON).subs(NPM_CONFIG).always(UNKNOWN),
    medium("set").always(UNKNOWN),
    medium("pkg").options(COMMON).subs(NPM_PKG).here(),
    medium("cache").subs(NPM_CACHE).always(INSTALL),
    medium("dist-tag owner access team org hook profile token").options(COMMON).subs(NPM_READS).always(NETWORK),
    medium("docs home repo bugs issues").options(COMMON).always(&[EffectKind::OpenNetwork, EffectKind::Unknown]),
    medium(
        "install i in ins inst insta instal isnt isnta isntal isntall add ci clean-install ic install-clean isntall-clean \
         update up upgrade udpate dedupe ddp rebuild rb link ln install-test it install-ci-test cit clean-install-test \
         uninstall un unlink remove rm r prune pack edit install-scripts",
    )
    .options(INSTALLING)
    .always(INSTALL),
    medium("shrinkwrap").here(),
    low("run run-script rum urn").options(COMMON).operands(&[Effect(EffectKind::ExecuteText, Risk::Medium)]),
    medium("test tst t start stop restart").options(COMMON).always(RUN),
    medium("init innit create").options(COMMON).operands(&[Effect(EffectKind::ExecuteText, Risk::Medium)]).here(),
    medium("exec x explore")
        .style(Style::Posix)
        .options(&[value("-c --call", Shell), value("-p --package -w", Value)])
        .always(INSTALL),
    high("publish unpublish deprecate undeprecate login logout adduser add-user star unstar trust stage")
        .options(COMMON)
        .always(PUBLISH)
        .rule(&hazard::PUBLISHES),
];

const PNPM_STORE: &[Entry] = &[low("path status"), medium("add prune").always(INSTALL)];

/// Whatever it is told, pnpm reads `.pnpmfile.cjs` of the project and may start the release that the project names.
const PNPM: &[Entry] = &[
    low("help -v --version"),
    medium("list ls la ll why root bin licenses").options(COMMON).always(RUN),
    medium("outdated view info show search s ping whoami").options(COMMON).always(&[EffectKind::OpenNetwork, EffectKind::ExecuteText]),
    medium("audit").options(COMMON).always(&[EffectKind::OpenNetwork, EffectKind::ExecuteText]),
    medium("config c get set env").always(UNKNOWN),
    medium("store").subs(PNPM_STORE).always(INSTALL),
    medium(
        "add install i install-test it update up upgrade remove rm uninstall un link ln unlink dislink import rebuild rb \
         prune fetch dedupe pack patch patch-commit patch-remove deploy setup self-update approve-builds ignored-builds \
         cat-file cat-index find-hash cache ci",
    )
    .options(INSTALLING)
    .always(INSTALL),
    medium("run run-script test t tst start stop restart build lint dev").options(COMMON).always(RUN),
    medium("exec dlx create init server")
        .style(Style::Posix)
        .options(&[value("-c --shell-mode", Value), value("--package", Value)])
        .always(INSTALL),
    medium("docs home repo bugs").always(&[EffectKind::OpenNetwork, EffectKind::Unknown]),
    high("publish unpublish deprecate dist-tag owner access team token login logout").always(PUBLISH).rule(&hazard::PUBLISHES),
];

/// Yarn starts the release that the project names (`yarnPath`): only what the old one did without is harmless.
const YARN: &[Entry] = &[
    low("help versions --version -v"),
    low("list licenses why bin dir").options(&[value("--cwd", Read), value("--use-yarnrc", Load)]),
    medium("info outdated audit npm search config cache").options(COMMON).always(&[EffectKind::QueryService]),
    medium(
        "install add remove up upgrade upgrade-interactive dedupe link unlink import init set plugin plugins patch \
         patch-commit rebuild pack version workspace workspaces global check autoclean generate-lock-entry self-update \
         policies stage unplug",
    )
    .options(COMMON)
    .always(INSTALL),
    medium("run test start build lint dev serve node").options(COMMON).always(RUN),
    medium("exec dlx create").style(Style::Posix).always(INSTALL),
    high("publish tag owner team login logout").always(PUBLISH).rule(&hazard::PUBLISHES),
];

const BUN_PM: &[Entry] = &[
    low("ls list hash hash-string hash-print bin why"),
    low("cache").operands(&[Effect(EffectKind::DeleteTree, Risk::Medium)]),
    low("view whoami").always(ASKS),
    low("untrusted default-trusted"),
    medium("pkg version").here(),
    medium("trust migrate pack scan").always(INSTALL),
];

const BUN: &[Entry] = &[
    low("help --version --revision -v"),
    low("info view v search whoami outdated why").options(COMMON).always(ASKS),
    low("audit").always(ASKS),
    medium("pm").options(&[value("--cwd", Write), GLOBAL]).subs(BUN_PM).always(INSTALL),
    medium("install i add a remove rm update up upgrade link unlink patch patch-commit")
        .options(INSTALLING)
        .always(INSTALL),
    medium("run test build repl exec")
        .style(Style::Posix)
        .options(&[value("--preload -r", Load), value("-e -p --eval", Value)])
        .always(RUN),
    medium("create c init x").style(Style::Posix).always(INSTALL),
    high("publish").always(PUBLISH).rule(&hazard::PUBLISHES),
];

/// `npm audit fix` installs; every other word is an option's value.
const FIX_WORD: super::Role = Effect(EffectKind::ExecuteText, Risk::Medium);

const DENO: &[Entry] = &[
    low("help --version -V --help types completions"),
    low("info doc").options(&[FIXES, value("-c --config --import-map", Load)]).operands(&[Read]),
    medium("fmt").options(&[value("-c --config", Load)]).operands(&[Write]).here(),
    low("check").operands(&[Read]).always(NETWORK),
    medium(
        "lint run eval repl test bench compile task serve install i add remove uninstall cache vendor upgrade jupyter x \
         outdated update init bundle coverage clean approve-scripts audit create sandbox",
    )
    .style(Style::Posix)
    .always(RUN),
    high("publish deploy login logout").always(PUBLISH).rule(&hazard::PUBLISHES),
];

pub(super) const ENTRIES: &[Entry] = &[
    medium("npm cnpm").style(Style::Posix).options(COMMON).subs(NPM).always(RUN),
    medium("pnpm").style(Style::Posix).options(COMMON).subs(PNPM).always(RUN),
    medium("yarn yarnpkg").style(Style::Posix).options(COMMON).subs(YARN).always(RUN),
    medium("bun").style(Style::Posix).options(BUN_OPTIONS).subs(BUN).always(RUN),
    medium("lerna nx turbo rush corepack ni nr nun nlx volta fnm n nvm jspm bower").style(Style::Posix).always(RUN),
    medium("npx bunx pnpx degit create-react-app create-next-app")
        .style(Style::Posix)
        .options(&[value("-p --package --from --with", Value), value("-c --call", Shell), flag("-y", Value)])
        .always(INSTALL),
    medium("deno").style(Style::Posix).options(&[flag("-A -q --quiet --unstable", Value)]).subs(DENO).always(RUN),
];

const BUN_OPTIONS: &[Opt] = &[
    value("--cwd", Write),
    value("--preload -r --config -c", Load),
    value("-e --eval -p --print", super::Role::Code(super::Language::JavaScript)),
    value("-F --filter", Value),
    flag("--hot --watch -b --bun", Value),
];
