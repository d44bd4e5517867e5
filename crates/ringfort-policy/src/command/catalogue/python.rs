// SPDX-License-Identifier: MIT OR Apache-2.0
//! The package managers of Python.
//!
//! In: nothing. Out: the entries. **Invariant:** installing and building run the code of packages; listing what is
//! installed does not, and a question to the index sends its words and nothing else.

use ringfort_core::decision::Risk;
use ringfort_core::effect::EffectKind;

use super::super::hazard;
use super::Role::{Command, Effect, Execute, Host, Load, Read, Value, Write};
use super::{Entry, Opt, Style, flag, high, low, medium, value};

const INSTALL: &[EffectKind] = &[EffectKind::OpenNetwork, EffectKind::ExecuteText, EffectKind::WritePath];
const RUN: &[EffectKind] = &[EffectKind::ExecuteText];
const PUBLISH: &[EffectKind] = &[EffectKind::OpenNetwork, EffectKind::Publish];
const ASKS: &[EffectKind] = &[EffectKind::QueryService];
const UNKNOWN: &[EffectKind] = &[EffectKind::Unknown];

/// Where packages come from and go to.
const SOURCES: &[Opt] = &[
    value("-r --requirement --requirements -e --editable", Load),
    value("-c --constraint", Read),
    value("-i --index-url --extra-index-url -f --find-links --index --default-index", Host),
    value("-t --target --prefix --root -d --dest -w --wheel-dir -o --output-file --log --cache-dir", Write),
    value("--python", Execute),
];
/// What only looks at what is installed.
const LOOKS: &[Opt] = &[
    flag("-o --outdated -u --uptodate", Effect(EffectKind::OpenNetwork, Risk::Low)),
    value("--log --log-file", Write),
    value("-r --requirement --path", Read),
    value("--python", Execute),
    value("--format --exclude -p", Value),
];

/// The same for uv, where a letter chooses the interpreter that is asked.
const UV_LOOKS: &[Opt] = &[
    value("-p --python", Execute),
    flag("-o --outdated", Effect(EffectKind::OpenNetwork, Risk::Low)),
    value("--config-file", Load),
    value("-r --requirement --path --directory --project", Read),
    value("--format --exclude", Value),
];

const PIP_CACHE: &[Entry] = &[low("dir info list"), medium("remove purge").always(UNKNOWN)];
const PIP_CONFIG: &[Entry] = &[low("debug"), medium("list get set unset edit").always(UNKNOWN)];

const PIP: &[Entry] = &[
    low("list show freeze check help debug inspect hash -V --version completion").options(LOOKS),
    low("index search").options(SOURCES).always(ASKS),
    medium("cache").subs(PIP_CACHE).always(UNKNOWN),
    medium("config").subs(PIP_CONFIG).always(UNKNOWN),
    medium("install download wheel uninstall lock").options(SOURCES).always(INSTALL),
];

const PIPX: &[Entry] = &[
    low("list environment completions help --version").options(&[value("--python", Execute)]),
    medium("run").style(Style::Posix).options(&[value("--spec --python", Value)]).always(INSTALL),
    medium("install inject uninject upgrade upgrade-all upgrade-shared uninstall uninstall-all reinstall reinstall-all ensurepath pin unpin install-all runpip interpreter")
        .options(SOURCES)
        .always(INSTALL),
];

const UV_PIP: &[Entry] = &[
    low("list show freeze check tree").options(UV_LOOKS),
    medium("install uninstall sync compile").options(SOURCES).always(INSTALL),
];
const UV_PYTHON: &[Entry] = &[
    low("dir list"),
    low("find").operands(&[Effect(EffectKind::ExecuteFile, Risk::Medium)]),
    medium("install uninstall upgrade pin update-shell").always(INSTALL),
];
const UV_TOOL: &[Entry] = &[low("list dir"), medium("run install upgrade uninstall update-shell").always(INSTALL)];
const UV_CACHE: &[Entry] = &[low("dir size"), medium("clean prune").always(UNKNOWN)];
const UV_SELF: &[Entry] = &[low("version"), medium("update").always(INSTALL)];

const UV: &[Entry] = &[
    low("help -V --version generate-shell-completion"),
    low("version").operands(&[Effect(EffectKind::WritePath, Risk::Medium)]),
    medium("pip").subs(UV_PIP).always(INSTALL),
    medium("python").subs(UV_PYTHON).always(INSTALL),
    medium("tool").subs(UV_TOOL).always(INSTALL),
    medium("cache").subs(UV_CACHE).always(UNKNOWN),
    medium("self").subs(UV_SELF).always(INSTALL),
    medium("add remove sync lock export tree venv init build format").options(SOURCES).always(INSTALL),
    medium("run")
        .style(Style::Posix)
        .options(&[value("--with --python -p --env-file --extra --group", Value)])
        .operands(&[Command])
        .always(RUN),
    high("publish auth").always(PUBLISH).rule(&hazard::PUBLISHES),
];

const POETRY_ENV: &[Entry] = &[low("info list"), medium("use remove activate").always(INSTALL)];
/// Managers that load plug-ins which the project brings along, whatever they are told.
const PROJECT: &[Entry] = &[
    low("help -V --version"),
    medium("show check about list info why").options(LOOKS).always(RUN),
    medium("search").always(INSTALL),
    medium("version").always(RUN),
    medium("env").subs(POETRY_ENV).always(INSTALL),
    medium(
        "add install update remove lock init new build export self cache config python sync plugin use import fix dep \
         create graph requirements upgrade uninstall clean fetch pin toolchain",
    )
    .options(SOURCES)
    .always(INSTALL),
    medium("run shell x activate scripts").style(Style::Posix).operands(&[Command]).always(RUN),
    high("publish").always(PUBLISH).rule(&hazard::PUBLISHES),
];

const CONDA: &[Entry] = &[
    low("list info compare help -V --version").options(&[value("-n --name -p --prefix", Value)]),
    low("search").always(ASKS),
    medium("install create remove uninstall update upgrade clean config env init package rename build develop activate deactivate notices self")
        .options(&[value("-n --name -c --channel", Value), value("-p --prefix", Write), value("-f --file", Load)])
        .always(INSTALL),
    medium("run").style(Style::Posix).options(&[value("-n --name -p --prefix --cwd", Value)]).operands(&[Command]).always(RUN),
];

pub(super) const ENTRIES: &[Entry] = &[
    medium("pip").style(Style::Posix).options(SOURCES).subs(PIP).always(RUN),
    medium("pipx").style(Style::Posix).subs(PIPX).always(INSTALL),
    medium("uv")
        .style(Style::Posix)
        .options(&[
            value("--python", Execute),
            value("--cache-dir", Write),
            value("--config-file", Load),
            value("--directory --project", Read),
            value("--color", Value),
        ])
        .subs(UV)
        .always(RUN),
    medium("uvx pipx-run").style(Style::Posix).options(&[value("--from --with --python", Value)]).always(INSTALL),
    medium("poetry pdm rye hatch pipenv")
        .style(Style::Posix)
        .options(&[value("-C --directory --project -P", Read), value("-e --env", Value)])
        .subs(PROJECT)
        .always(RUN),
    medium("conda mamba micromamba pixi").style(Style::Posix).subs(CONDA).always(RUN),
    medium("virtualenv easy_install").options(&[value("-p --python", Execute)]).operands(&[Write]).always(RUN),
];
