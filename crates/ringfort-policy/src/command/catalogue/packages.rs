// SPDX-License-Identifier: MIT OR Apache-2.0
//! Package managers: installing is running code that nobody here has read.
//!
//! In: nothing. Out: the entries. **Invariant:** a sub-command that is not listed keeps the risk of its program.

use ringfort_core::effect::EffectKind;

use super::super::hazard;
use super::Role::{Command, Host, Load, Mode as Set, Read, Shell, Value, Write};
use super::{Entry, Mode, Style, flag, high, low, medium, value};

const INSTALL: &[EffectKind] = &[EffectKind::OpenNetwork, EffectKind::ExecuteText, EffectKind::WritePath];
const RUN: &[EffectKind] = &[EffectKind::ExecuteText];
const PUBLISH: &[EffectKind] = &[EffectKind::OpenNetwork, EffectKind::Publish];
const WRITE: &[EffectKind] = &[EffectKind::WritePath];
const NETWORK: &[EffectKind] = &[EffectKind::OpenNetwork];

const CARGO: &[Entry] = &[
    low("locate-project pkgid read-manifest verify-project version help --list -V --version")
        .options(&[value("--config", Load), value("--manifest-path", Read)]),
    low("search info").options(&[value("--registry --index", Host)]).always(&[EffectKind::QueryService]),
    // Shows what an earlier build has stored; a built-in word is no alias.
    low("report").options(&[
        value("--config", Load),
        value("--manifest-path", Read),
        value("-p --package --id", Value),
    ]),
    low("outdated audit deny").always(NETWORK),
    medium(
        "build b check c test t run r bench doc d rustc rustdoc clippy fix miri nextest llvm-cov tarpaulin \
         expand watch package make xtask fuzz insta hack criterion flamegraph asm bloat udeps machete tree metadata \
         semver-checks zigbuild ndk tauri leptos",
    )
    .options(&[
        value("--config", Load),
        value("--manifest-path", Read),
        value("--target-dir", Write),
        value("-p -j --features -F", Value),
    ])
    .always(RUN),
    // `fmt` and the others behind it may be an alias of the project; what is built in cannot.
    low("add remove rm")
        .options(&[
            value("--git --registry --index", Host),
            value("--path --manifest-path", Write),
            value("--config", Load),
            value("-p --package -F --features --rename --branch --tag --rev", Value),
        ])
        .here()
        .always(&[EffectKind::QueryService]),
    low("new init")
        .options(&[value("--name --edition --vcs --registry --color", Value), value("--config", Load)])
        .operands(&[Write])
        .here(),
    low("update generate-lockfile")
        .options(&[
            value("--config", Load),
            value("--manifest-path --lockfile-path", Write),
            value("-p --package --precise --color", Value),
        ])
        .here()
        .always(&[EffectKind::QueryService]),
    medium("fetch vendor")
        .options(&[value("--config", Load), value("--manifest-path", Write), value("-p --precise", Value)])
        .operands(&[Write])
        .always(NETWORK),
    medium("fmt clean generate upgrade sort set-version").always(WRITE),
    high("install binstall uninstall install-update")
        .options(&[value("--git", Host), value("--path", Load), value("--root", Write), value("--version", Value)])
        .always(INSTALL),
    high("publish yank owner login logout").always(PUBLISH).rule(&hazard::PUBLISHES),
];

const GO: &[Entry] = &[
    low("version doc help fmt-check telemetry"),
    low("env").options(&[flag("-w -u", super::Role::Rule(&hazard::ENVIRONMENT_LOADS_CODE))]),
    low("vet list")
        .options(&[
            value("-vettool -toolexec", super::Role::Execute),
            value("-overlay -modfile", Load),
            value("-f -mod", Value),
        ])
        .style(Style::Long),
    low("tool").operands(&[super::Role::Effect(EffectKind::ExecuteText, ringfort_core::decision::Risk::Medium)]),
    medium("bug").always(&[EffectKind::OpenNetwork, EffectKind::Unknown]),
    medium("build test run generate")
        .options(&[
            value("-exec -toolexec", Shell),
            value("-o", Write),
            value("-ldflags -tags -run", Value),
            value("-overlay", Load),
        ])
        .style(Style::Long)
        .always(RUN),
    medium("fmt mod work clean fix").always(WRITE),
    medium("get install").always(INSTALL),
];

const SYSTEM: &[Entry] = &[
    low("search show list info policy depends rdepends madison showpkg stats why deps uses leaves outdated \
         doctor config home desc log help --version history repolist provides check-update find services-list \
         tap-info cat --prefix --cellar files -s -Ss -Q -Qi -Ql -Si -Qs -l -L -S -qa -qi -ql -qf --list --search \
         --listfiles se if version check connections changes interfaces")
    .options(&[value("-o --option", Shell), value("-c --config --config-file --setopt --rcfile", Load)]),
    high(
        "install remove purge update upgrade dist-upgrade full-upgrade autoremove autoclean clean build-dep \
         source download add del reinstall tap untap cask services link unlink edit-sources localinstall \
         groupinstall erase refresh enable disable -i -r -S-install -Syu -Sy -R -Rs -Rns -U -P --install \
         --remove --purge --configure in rm up dup addrepo ar switch rebuild profile run shell develop -iA -Uvh \
         -ivh -e mark hold unhold --unpack",
    )
    .always(&[EffectKind::OpenNetwork, EffectKind::ExecuteText, EffectKind::ChangePrivilege]),
];

const LISTS: &[Entry] = &[low("list"), medium("add remove install uninstall link").always(INSTALL)];
const RUSTUP: &[Entry] = &[
    low("show which completions help man -V --version"),
    low("check").always(&[EffectKind::QueryService]),
    medium("toolchain target component override").subs(LISTS).always(INSTALL),
    medium("update install uninstall default self set doc").always(INSTALL),
    medium("run").style(Style::Posix).operands(&[Value, Command]).always(RUN),
];

pub(super) const ENTRIES: &[Entry] = &[
    medium("rustup").style(Style::Posix).options(&[flag("-v -q --verbose --quiet", Value)]).subs(RUSTUP).always(RUN),
    medium("cargo cross")
        .style(Style::Posix)
        .options(&[value("--config", Load), value("-C", Read), value("-Z --color", Value)])
        .subs(CARGO)
        .always(RUN),
    medium("gotestsum staticcheck").always(RUN),
    medium("go golangci-lint")
        .style(Style::Posix)
        .options(&[value("-C", Read)])
        .subs(GO)
        .always(RUN),
    medium(
        "gem bundle bundler composer mix rebar3 cabal stack opam luarocks cpan cpanm nuget dotnet swift pod \
         carthage flutter dart pub stackage raco lein clj sbt coursier cs conan vcpkg spack asdf mise rtx pyenv rbenv sdk sdkman goenv direnv devbox nix-shell",
    )
    .style(Style::Posix)
    .options(&[flag("--version -v", Set(Mode::Show))])
    .always(INSTALL),
    high(
        "apt apt-get apt-cache aptitude dnf yum microdnf pacman yay paru zypper apk brew port snap flatpak dpkg \
         rpm emerge xbps-install nix nix-env nixos-rebuild guix pkg pkg_add choco winget scoop eopkg swupd tlmgr \
         fwupdmgr softwareupdate mas dpkg-query rpm-ostree slackpkg opkg add-apt-repository apt-key \
         dpkg-reconfigure update-alternatives installer cast",
    )
    .style(Style::Posix)
    .options(&[value("-o --option", Shell), value("-c --config-file", Load), flag("-y -q", Value)])
    .subs(SYSTEM)
    .always(&[EffectKind::ExecuteText]),
];
