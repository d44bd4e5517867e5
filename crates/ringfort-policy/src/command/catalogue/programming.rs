// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programming: interpreters, compilers, build and test tools, containers.
//!
//! In: nothing. Out: the entries. **Invariant:** whatever builds or tests a project runs its code.

use ringfort_core::decision::Risk;
use ringfort_core::effect::EffectKind;

use super::super::hazard;
use super::Role::{Code, Command, Effect, Execute, Host, Load, Mode as Set, Read, Rule, Shell, Value, Write};
use super::{Entry, Language, Mode, Special, Style, attached, flag, high, low, medium, value};

const RUN: &[EffectKind] = &[EffectKind::ExecuteText];

const CONTAINER: &[Entry] = &[
    low("ps images logs inspect version info stats top port diff history events help ls --version"),
    medium(
        "build buildx bake pull tag stop start restart kill pause unpause rename wait create network volume \
         image container context system builder manifest save load import export commit rm rmi prune up down \
         compose scan scout model attach machine pod unshare stack service node swarm secret plugin trust \
         checkpoint debug init cp update \
         config search",
    )
    .style(Style::Posix)
    .options(&[value("-f", Read), value("-t", Value), value("--output -o", Write)])
    .always(&[EffectKind::ExecuteText]),
    medium("run")
        .style(Style::Posix)
        .options(&[
            value(
                "-v --volume --mount -e --env -w --workdir -p --publish --name -u --user --network --net \
             --entrypoint --cap-add --cap-drop --device --pid --ipc --security-opt -m --memory --cpus --gpus -h \
             --hostname -l --label --platform --pull --restart --tmpfs --ulimit --userns --uts --volumes-from \
             --add-host --dns --link --log-driver --shm-size --runtime",
                Value,
            ),
            value("--env-file", Read),
            value("--cidfile", Write),
            flag("--privileged", Rule(&hazard::CHANGES_PRIVILEGE)),
        ])
        .operands(&[Value])
        .always(&[EffectKind::ExecuteText, EffectKind::OpenNetwork]),
    medium("exec")
        .style(Style::Posix)
        .options(&[
            value("-u -w -e --env --user --workdir", Value),
            flag("--privileged", Rule(&hazard::CHANGES_PRIVILEGE)),
        ])
        .operands(&[Value])
        .always(&[EffectKind::ExecuteText]),
    high("push login logout").always(&[EffectKind::OpenNetwork, EffectKind::Publish]).rule(&hazard::PUBLISHES),
];

pub(super) const ENTRIES: &[Entry] = &[
    medium("python pypy ipython micropython bpython jython")
        .style(Style::Posix)
        .options(&[
            value("-c", Code(Language::Python)),
            value("-m", Set(Mode::ProgramGiven)),
            value("-W -X", Value),
            flag("-V --version -h --help", Set(Mode::Show)),
            flag("-", Set(Mode::Stdin)),
        ])
        .operands(&[Execute, Value])
        .special(Special::Interpreter(Language::Python)),
    medium("node nodejs tsx ts-node qjs d8 electron jsc")
        .style(Style::Posix)
        .options(&[
            value("-e --eval -p --print", Code(Language::JavaScript)),
            value("-r --require --import --loader --experimental-loader -I", Load),
            value("-C", Value),
            value("--env-file", Read),
            flag("-v --version -h --help", Set(Mode::Show)),
            flag("-", Set(Mode::Stdin)),
            flag("--test --check -c", Set(Mode::ProgramGiven)),
        ])
        .operands(&[Execute, Value])
        .special(Special::Interpreter(Language::JavaScript)),
    medium("perl raku")
        .style(Style::Posix)
        .options(&[
            value("-e -E", Code(Language::Perl)),
            value("-I", Load),
            attached("-M -m -d", Load),
            attached("-i", Set(Mode::InPlace)),
            attached("-F -C -x", Value),
            flag("-v -V --version", Set(Mode::Show)),
        ])
        .operands(&[Execute, Value])
        .special(Special::Interpreter(Language::Perl)),
    medium("ruby irb jruby truffleruby crystal")
        .style(Style::Posix)
        .options(&[
            value("-e", Code(Language::Ruby)),
            value("-I -r", Load),
            attached("-i", Set(Mode::InPlace)),
            attached("-F -W -K -x", Value),
            value("-C", Value),
            flag("--version", Set(Mode::Show)),
        ])
        .operands(&[Execute, Value])
        .special(Special::Interpreter(Language::Ruby)),
    medium("php hhvm php-cgi")
        .style(Style::Posix)
        .options(&[
            value("-r -B -R -E", Code(Language::Php)),
            value("-f -F", Execute),
            value("-d -c -z", Load),
            value("-S", Rule(&hazard::LISTENS)),
            value("-t", Value),
            value("-l", Read),
            flag("-v -i -m --version", Set(Mode::Show)),
        ])
        .operands(&[Execute, Value])
        .special(Special::Interpreter(Language::Php)),
    medium(
        "lua luajit R Rscript julia octave matlab tclsh wish expect ghc runghc ghci ocaml guile racket sbcl \
         clisp scala kotlin groovy erl elixir iex swipl gjs osascript pwsh powershell cmd nim elvish xonsh \
         jshell gdb lldb bpftrace stap perf cscript wscript mshta regsvr32 rundll32 certutil bitsadmin msiexec \
         wmic",
    )
    .style(Style::Posix)
    .options(&[
        value("-e -E -c --eval -ex --command -Command -EncodedCommand", Code(Language::Other)),
        value("-l -x -f", Load),
        flag("--version", Set(Mode::Show)),
        flag("-", Set(Mode::Stdin)),
    ])
    .operands(&[Execute, Value])
    .special(Special::Interpreter(Language::Other)),
    medium("java javaw kotlinc scalac groovyc mono")
        .style(Style::Long)
        .options(&[
            value("-cp -classpath --class-path", Load),
            value("-jar", Execute),
            attached("-javaagent -agentpath", Load),
            flag("-version --version", Set(Mode::Show)),
        ])
        .operands(&[Value])
        .always(RUN),
    medium("rustc babel swc lessc wasm-pack libtool zig nvcc emcc esbuild-plugin javac kapt")
        .style(Style::Long)
        .options(&[value("-o --output --outDir --out-dir -d", Write), value("-L -C -l", Value), flag("--version", Set(Mode::Show))])
        .operands(&[Read])
        .always(RUN),
    medium(
        "gcc g++ cc c++ clang clang++ tcc ghc-compile gfortran as ld ld.lld mold gold \
         swiftc ldc2 dmd tsc esbuild sass protoc flex bison yacc lex cpp wasm-opt \
         wat2wasm nasm yasm ranlib strip objcopy patchelf gas windres",
    )
    .style(Style::Long)
    .options(&[
        value("-o --output --outDir -MF", Write),
        value("-x -I -L -D -C -l", Value),
        value("-wrapper", Shell),
        attached("-fplugin -B -specs", Load),
        value("-include -T", Read),
        value("--plugin", Load),
        flag("--version", Set(Mode::Show)),
    ])
    .operands(&[Read])
    .special(Special::Compile),
    medium(
        "make gmake bmake ninja samu cmake ctest cpack meson scons waf bazel bazelisk buck buck2 pants please \
         just task rake invoke nox tox gulp grunt ant mvn mvnw gradle gradlew autoconf automake autoreconf \
         configure qmake xcodebuild msbuild nmake earthly dagger act mage sbt-launch premake5 xmake fastlane",
    )
    .options(&[
        value("-f --file --makefile -P -I", Load),
        value("-C --directory -j -S -G -D -o -W", Value),
        value("--eval", Shell),
        value("-B", Write),
        value("-E", Rule(&hazard::INLINE_CODE)),
        value("--shell", Execute),
        flag("--version", Set(Mode::Show)),
        flag("-v", Value),
    ])
    .always(RUN),
    medium(
        "pytest py.test jest vitest mocha ava karma cypress playwright phpunit rspec cucumber behave ctest-run \
         bats unittest nosetests tap nyc c8 coverage hypothesis locust k6 newman phpstan psalm gtest busted \
         prove testcafe webdriver wdio puppeteer storybook webpack vite rollup parcel next nuxt astro gatsby \
         remix ng vue-cli-service expo react-native ionic cordova rails django-admin flask uvicorn gunicorn \
         hypercorn celery streamlit jupyter nodemon pm2 forever concurrently http-server live-server json-server \
         ember svelte-kit prisma drizzle-kit typeorm knex sequelize alembic flyway liquibase artisan wp drush \
         tauri nest sls",
    )
    .options(&[
        value("-p -c --config -r --require", Load),
        value("--exec -x", Shell),
        value("-k -m -n -o", Value),
        flag("--version", Set(Mode::Show)),
    ])
    .always(RUN),
    medium(
        "eslint prettier stylelint tslint standard xo flake8 pylint mypy rubocop standardrb semgrep snyk sonar-scanner \
         depcheck knip madge ncu npm-check-updates commitizen cz standard-version release-it changeset detekt pmd \
         checkstyle ansible-lint markdownlint markdownlint-cli2 textlint cspell",
    )
    .options(&[
        value("--rulesdir -c --config --plugin --parser --load-plugins -r --require", Load),
        value("-o --output-file", Write),
        value("-f --format --ext -e -s", Value),
        flag("--version", Set(Mode::Show)),
    ])
    .operands(&[Write])
    .always(RUN),
    medium(
        "biome oxlint black ruff pyright isort \
         autopep8 yapf bandit shfmt \
         clang-format clang-tidy rustfmt gofmt goimports gofumpt \
         ktlint swiftformat swiftlint stylua selene luacheck ormolu fourmolu hlint nixfmt \
         alejandra taplo typos codespell vale trivy gitleaks dprint djlint \
         sqlfluff buf ajv license-checker syft grype ec editorconfig-checker",
    )
    .options(&[
        value(
            "--rulesdir -c --config --plugin --resolve-plugins-relative-to --parser --load-plugins \
             --custom-config -r --require",
            Load,
        ),
        value("-o --output-file", Write),
        value("-f --format --ext -e -s", Value),
        flag("--version", Set(Mode::Show)),
    ])
    .operands(&[Write]),
    medium(
        "docker podman nerdctl docker-compose podman-compose buildah skopeo lxc lxc-start lxc-attach multipass \
         vagrant crictl ctr colima limactl incus distrobox toolbox devcontainer kaniko apptainer singularity \
         runc crun systemd-nspawn machinectl virsh qemu-system-x86_64 qemu-img VBoxManage",
    )
    .style(Style::Posix)
    .options(&[
        value("-H --host", Host),
        value("-p -l --log-level", Value),
        value("-c --context --config", Load),
        value("-f --file", Read),
        flag("--version -v", Set(Mode::Show)),
    ])
    .subs(CONTAINER)
    .special(Special::Container)
    .always(RUN),
    medium("strace ltrace ptrace perf-trace")
        .style(Style::Posix)
        .options(&[value("-o", Write), value("-e -p -s -u -P -E -O -S -I -a -X -n -l -b", Value)])
        .operands(&[Command])
        .always(RUN),
    medium("taskset chrt setarch linux32 linux64 i386 x86_64 cpulimit trickle softlimit chpst")
        .style(Style::Posix)
        .options(&[value("-p -l -u -d -t -T -D -P", Value)])
        .operands(&[Command])
        .special(Special::Watch),
    medium("hyperfine")
        .options(&[
            value("-w -r -m -M -n --warmup --runs --min-runs --max-runs", Value),
            value("-p -c -s --prepare --cleanup --setup --shell", Shell),
            value("--export-json --export-markdown --export-csv", Write),
        ])
        .operands(&[Shell]),
    medium("systemd-run")
        .style(Style::Posix)
        .options(&[
            value("-p -u -E -M -H --unit --property --setenv --uid --gid --nice --slice --description", Value),
            value("--on-calendar --on-active --on-boot --on-startup", Effect(EffectKind::Persist, Risk::High)),
        ])
        .operands(&[Command]),
    medium("valgrind rr gdbserver catchsegv heaptrack xvfb-run dbus-run-session dbus-launch ccache sccache distcc fakeroot \
            faketime torsocks proxychains proxychains4 tsocks catatonit tini dumb-init rlwrap unbuffer prlimit numactl \
            cgexec ssh-agent aa-exec with-contenv")
    .style(Style::Posix)
    .options(&[value("-f -s -n -e", Value)])
    .operands(&[Command])
    .special(Special::Watch),
];
