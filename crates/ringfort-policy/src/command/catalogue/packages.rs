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

const NODE: &[Entry] = &[
    low("ls list la ll root prefix bin help why explain fund config-list licenses completion query version-check -v -h")
        .options(&[value("-C --prefix --dir", Read)]),
    medium("pm store env docs repo bugs").always(INSTALL),
    low("view v info show search s se find outdated audit ping whoami doctor dist-tags diff npm sbom").always(NETWORK),
    medium(
        "install i in ins isntall add ci clean-install ic update up upgrade dedupe ddp rebuild link ln import \
         install-test it cit install-ci-test fetch upgrade-interactive prune uninstall un remove rm r unlink \
         outdated-fix patch patch-commit deploy dlx-install self-update",
    )
    .options(&[value("-C --prefix", Value), value("--registry", Host)])
    .always(INSTALL),
    medium(
        "run run-script rum urn test t tst start stop restart build lint dev serve format check typecheck watch \
         preview e2e coverage compile prepare storybook generate clean",
    )
    .always(RUN),
    medium("exec x dlx create init innit c")
        .style(Style::Posix)
        .options(&[value("-c --call", Shell), value("-p --package -w", Value)])
        .always(INSTALL),
    high(
        "publish unpublish deprecate dist-tag owner access team token login logout adduser profile hook org star \
         unstar",
    )
    .always(PUBLISH)
    .rule(&hazard::PUBLISHES),
    medium("pack version shrinkwrap set cache pkg config get workspaces workspace edit explore global profile hook org star unstar").always(WRITE),
];

const PIP: &[Entry] = &[
    low("list show freeze check help debug inspect hash tree python-list -V").options(&[
        flag(
            "-o --outdated -u --uptodate",
            super::Role::Effect(EffectKind::OpenNetwork, ringfort_core::decision::Risk::Low),
        ),
        value("--log --log-file", Write),
        value("-r --requirement --path", Read),
        value("--python", super::Role::Execute),
    ]),
    low("version").operands(&[super::Role::Effect(EffectKind::WritePath, ringfort_core::decision::Risk::Medium)]),
    low("search index").always(NETWORK),
    medium(
        "install download wheel uninstall add remove sync lock update upgrade inject ensurepath reinstall tool \
         pip venv init new cache config python build create self compile env export",
    )
    .options(&[
        value("-r --requirement -e", Load),
        value("-c --constraint", Read),
        value("-i --index-url --extra-index-url -f --find-links", Host),
        value("-t --target --prefix --root -d -w -o", Write),
    ])
    .always(INSTALL),
    medium("run shell runpip x")
        .style(Style::Posix)
        .options(&[value("--with --python -p --spec -n", Value)])
        .operands(&[Command])
        .always(RUN),
    high("publish").always(PUBLISH).rule(&hazard::PUBLISHES),
];

const CARGO: &[Entry] = &[
    low("locate-project pkgid read-manifest verify-project version help --list -V --version")
        .options(&[value("--config", Load), value("--manifest-path", Read)]),
    low("search info outdated audit deny").always(NETWORK),
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
    medium(
        "fmt new init add remove rm update generate-lockfile fetch vendor clean generate upgrade sort \
         set-version",
    )
    .always(WRITE),
    high("install binstall uninstall install-update")
        .options(&[value("--git", Host), value("--path", Load), value("--root", Write), value("--version", Value)])
        .always(INSTALL),
    high("publish yank owner login logout").always(PUBLISH).rule(&hazard::PUBLISHES),
];

const GO: &[Entry] = &[
    low("version doc help bug fmt-check"),
    low("env").options(&[flag("-w -u", super::Role::Rule(&hazard::ENVIRONMENT_LOADS_CODE))]),
    low("vet list")
        .options(&[
            value("-vettool -toolexec", super::Role::Execute),
            value("-overlay -modfile", Load),
            value("-f -mod", Value),
        ])
        .style(Style::Long),
    medium("build test run generate tool")
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
    .options(&[value("-o --option", Shell), value("--config --setopt", Load)]),
    high(
        "install remove purge update upgrade dist-upgrade full-upgrade autoremove autoclean clean build-dep \
         source download add del reinstall tap untap cask services link unlink edit-sources localinstall \
         groupinstall erase refresh enable disable -i -r -S-install -Syu -Sy -R -Rs -Rns -U -P --install \
         --remove --purge --configure in rm up dup addrepo ar switch rebuild profile run shell develop -iA -Uvh \
         -ivh -e mark hold unhold --unpack",
    )
    .always(&[EffectKind::OpenNetwork, EffectKind::ExecuteText, EffectKind::ChangePrivilege]),
];

pub(super) const ENTRIES: &[Entry] = &[
    medium("npm pnpm yarn bun cnpm lerna nx turbo rush corepack ni nr")
        .style(Style::Posix)
        .options(&[
            value("-C --prefix --dir --cwd --filter -F", Value),
            value("--script-shell", super::Role::Execute),
            value("--node-options --userconfig", Load),
            value("--registry", Host),
        ])
        .subs(NODE)
        .always(RUN),
    medium("npx bunx pnpx uvx pipx-run degit create-react-app create-next-app")
        .style(Style::Posix)
        .options(&[value("-p --package --from --with", Value), value("-c --call", Shell), flag("-y", Value)])
        .always(INSTALL),
    medium("pip pipx uv poetry pdm rye hatch pipenv easy_install conda mamba micromamba pixi virtualenv")
        .style(Style::Posix)
        .options(&[
            value("--python", super::Role::Execute),
            value("--cache-dir --log --log-file", Write),
            value("--config-file", Load),
            value("-C --directory --project", Read),
        ])
        .subs(PIP)
        .always(RUN),
    medium("cargo cross")
        .style(Style::Posix)
        .options(&[value("--config", Load), value("-C", Read), value("-Z --color", Value)])
        .subs(CARGO)
        .always(RUN),
    medium("go gotestsum golangci-lint staticcheck")
        .style(Style::Posix)
        .options(&[value("-C", Read)])
        .subs(GO)
        .always(RUN),
    medium(
        "gem bundle bundler composer mix rebar3 cabal stack opam luarocks cpan cpanm nuget dotnet swift pod \
         carthage flutter dart pub deno-install stackage raco lein clj sbt coursier cs conan vcpkg spack bower \
         jspm volta nvm fnm n asdf mise rtx rustup pyenv rbenv sdk sdkman goenv direnv devbox nix-shell",
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
