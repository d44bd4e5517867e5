// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programming: interpreters, compilers, build and test tools, containers.
//!
//! In: nothing. Out: the entries. **Invariant:** whatever builds or tests a project runs its code.

use ringfort_core::decision::Risk;
use ringfort_core::effect::EffectKind;

use super::super::hazard;
use super::Role::{Code, Command, Effect, Execute, Host, Load, Mode as Set, Read, Rule, Shell, Value, Write};
use super::{attached, flag, high, low, medium, value, Entry, Language, Mode, Special, Style};

const RUN: &[EffectKind] = &[EffectKind::ExecuteText];

const CONTAINER: &[Entry] = &[
    low(&["ps", "images", "logs", "inspect", "version", "info", "stats", "top", "port", "diff", "history", "events", "search", "help", "ls", "config", "--version"]),
    medium(&["build", "buildx", "bake", "pull", "tag", "stop", "start", "restart", "kill", "pause", "unpause", "rename", "wait", "create", "network", "volume", "image", "container", "context", "system", "builder", "manifest", "save", "load", "import", "export", "commit", "rm", "rmi", "prune", "up", "down", "compose", "scan", "scout", "model", "attach", "machine", "pod", "unshare", "stack", "service", "node", "swarm", "secret", "plugin", "trust", "checkpoint", "debug", "init", "cp", "update"])
        .style(Style::Posix)
        .options(&[value("-f", Read), value("-t", Value), value("--output", Write), value("-o", Write)])
        .always(&[EffectKind::ExecuteText]),
    medium(&["run"])
        .style(Style::Posix)
        .options(&[
            value("-v", Value), value("--volume", Value), value("--mount", Value), value("-e", Value), value("--env", Value), value("--env-file", Read), value("-w", Value), value("--workdir", Value), value("-p", Value), value("--publish", Value), value("--name", Value), value("-u", Value), value("--user", Value), value("--network", Value), value("--net", Value),
            value("--entrypoint", Value), value("--cap-add", Value), value("--cap-drop", Value), value("--device", Value), value("--pid", Value), value("--ipc", Value), value("--security-opt", Value), value("-m", Value), value("--memory", Value), value("--cpus", Value), value("--gpus", Value), value("-h", Value), value("--hostname", Value), value("-l", Value), value("--label", Value),
            value("--platform", Value), value("--pull", Value), value("--restart", Value), value("--tmpfs", Value), value("--ulimit", Value), value("--userns", Value), value("--uts", Value), value("--volumes-from", Value), value("--add-host", Value), value("--dns", Value), value("--link", Value), value("--log-driver", Value), value("--shm-size", Value), value("--cidfile", Write), value("--runtime", Value),
            flag("--privileged", Rule(&hazard::CHANGES_PRIVILEGE)),
        ])
        .operands(&[Value])
        .always(&[EffectKind::ExecuteText, EffectKind::OpenNetwork]),
    medium(&["exec"]).style(Style::Posix).options(&[value("-u", Value), value("-w", Value), value("-e", Value), value("--env", Value), value("--user", Value), value("--workdir", Value), flag("--privileged", Rule(&hazard::CHANGES_PRIVILEGE))]).operands(&[Value]).always(&[EffectKind::ExecuteText]),
    high(&["push", "login", "logout"]).always(&[EffectKind::OpenNetwork, EffectKind::Publish]).rule(&hazard::PUBLISHES),
];

pub(super) const ENTRIES: &[Entry] = &[
    medium(&["python", "pypy", "ipython", "micropython", "bpython", "jython"])
        .style(Style::Posix)
        .options(&[value("-c", Code(Language::Python)), value("-m", Set(Mode::ProgramGiven)), value("-W", Value), value("-X", Value), flag("-V", Set(Mode::Show)), flag("--version", Set(Mode::Show)), flag("-h", Set(Mode::Show)), flag("--help", Set(Mode::Show)), flag("-", Set(Mode::Stdin))])
        .operands(&[Execute, Value])
        .special(Special::Interpreter(Language::Python)),
    medium(&["node", "nodejs", "deno", "tsx", "ts-node", "qjs", "d8", "electron", "jsc"])
        .style(Style::Posix)
        .options(&[
            value("-e", Code(Language::JavaScript)), value("--eval", Code(Language::JavaScript)), value("-p", Code(Language::JavaScript)), value("--print", Code(Language::JavaScript)), value("-r", Load), value("--require", Load), value("--import", Load), value("--loader", Load), value("--experimental-loader", Load), value("-C", Value),
            value("--env-file", Read), flag("-v", Set(Mode::Show)), flag("--version", Set(Mode::Show)), flag("-h", Set(Mode::Show)), flag("--help", Set(Mode::Show)), flag("-", Set(Mode::Stdin)), flag("--test", Set(Mode::ProgramGiven)), flag("--check", Set(Mode::ProgramGiven)), flag("-c", Set(Mode::ProgramGiven)), value("-I", Load),
        ])
        .operands(&[Execute, Value])
        .special(Special::Interpreter(Language::JavaScript)),
    medium(&["perl", "raku"])
        .style(Style::Posix)
        .options(&[value("-e", Code(Language::Perl)), value("-E", Code(Language::Perl)), value("-I", Load), attached("-M", Load), attached("-m", Load), attached("-i", Set(Mode::InPlace)), attached("-F", Value), attached("-l", Value), attached("-0", Value), attached("-C", Value), attached("-d", Load), flag("-v", Set(Mode::Show)), flag("-V", Set(Mode::Show)), flag("--version", Set(Mode::Show)), attached("-x", Value)])
        .operands(&[Execute, Value])
        .special(Special::Interpreter(Language::Perl)),
    medium(&["ruby", "irb", "jruby", "truffleruby", "crystal"])
        .style(Style::Posix)
        .options(&[value("-e", Code(Language::Ruby)), value("-I", Load), value("-r", Load), attached("-i", Set(Mode::InPlace)), attached("-F", Value), value("-C", Value), attached("-W", Value), attached("-0", Value), attached("-K", Value), flag("-v", Set(Mode::Show)), flag("--version", Set(Mode::Show)), attached("-x", Value)])
        .operands(&[Execute, Value])
        .special(Special::Interpreter(Language::Ruby)),
    medium(&["php", "hhvm", "php-cgi"])
        .style(Style::Posix)
        .options(&[value("-r", Code(Language::Php)), value("-B", Code(Language::Php)), value("-R", Code(Language::Php)), value("-E", Code(Language::Php)), value("-f", Execute), value("-F", Execute), value("-d", Load), value("-c", Load), value("-z", Load), value("-S", Rule(&hazard::LISTENS)), value("-t", Value), value("-l", Read), flag("-v", Set(Mode::Show)), flag("-i", Set(Mode::Show)), flag("-m", Set(Mode::Show)), flag("--version", Set(Mode::Show))])
        .operands(&[Execute, Value])
        .special(Special::Interpreter(Language::Php)),
    medium(&["lua", "luajit", "R", "Rscript", "julia", "octave", "matlab", "tclsh", "wish", "expect", "ghc", "runghc", "ghci", "ocaml", "guile", "racket", "sbcl", "clisp", "scala", "kotlin", "groovy", "erl", "elixir", "iex", "swipl", "gjs", "osascript", "pwsh", "powershell", "cmd", "nim", "elvish", "xonsh", "jshell", "gdb", "lldb", "bpftrace", "stap", "perf", "cscript", "wscript", "mshta", "regsvr32", "rundll32", "certutil", "bitsadmin", "msiexec", "wmic"])
        .style(Style::Posix)
        .options(&[value("-e", Code(Language::Other)), value("-E", Code(Language::Other)), value("-c", Code(Language::Other)), value("--eval", Code(Language::Other)), value("-l", Load), value("-ex", Code(Language::Other)), value("-x", Load), value("--command", Code(Language::Other)), value("-Command", Code(Language::Other)), value("-EncodedCommand", Code(Language::Other)), value("-f", Load), flag("--version", Set(Mode::Show)), flag("-v", Set(Mode::Show)), flag("-", Set(Mode::Stdin))])
        .operands(&[Execute, Value])
        .special(Special::Interpreter(Language::Other)),
    medium(&["java", "javaw", "kotlinc", "scalac", "groovyc", "mono"])
        .style(Style::Long)
        .options(&[value("-cp", Load), value("-classpath", Load), value("--class-path", Load), value("-jar", Execute), attached("-javaagent", Load), attached("-agentpath", Load), flag("-version", Set(Mode::Show)), flag("--version", Set(Mode::Show))])
        .operands(&[Value])
        .always(RUN),
    medium(&["gcc", "g++", "cc", "c++", "clang", "clang++", "tcc", "rustc", "javac", "ghc-compile", "gfortran", "nvcc", "zig", "as", "ld", "ld.lld", "mold", "gold", "swiftc", "ldc2", "dmd", "tsc", "esbuild", "swc", "babel", "sass", "lessc", "protoc", "flex", "bison", "yacc", "lex", "cpp", "emcc", "wasm-pack", "wasm-opt", "wat2wasm", "nasm", "yasm", "ranlib", "strip", "objcopy", "patchelf", "libtool", "gas", "windres"])
        .style(Style::Long)
        .options(&[value("-o", Write), value("--output", Write), value("-x", Value), value("-I", Value), value("-L", Value), value("-D", Value), value("-wrapper", Shell), attached("-fplugin", Load), attached("-B", Load), attached("-specs", Load), value("--outDir", Write), value("-C", Value), value("-l", Value), value("-include", Read), value("-MF", Write), value("-T", Read), value("--plugin", Load), flag("--version", Set(Mode::Show))])
        .operands(&[Read])
        .special(Special::Compile),
    medium(&["make", "gmake", "bmake", "ninja", "samu", "cmake", "ctest", "cpack", "meson", "scons", "waf", "bazel", "bazelisk", "buck", "buck2", "pants", "please", "just", "task", "rake", "invoke", "nox", "tox", "gulp", "grunt", "ant", "mvn", "mvnw", "gradle", "gradlew", "autoconf", "automake", "autoreconf", "configure", "qmake", "xcodebuild", "msbuild", "nmake", "earthly", "dagger", "act", "mage", "sbt-launch", "premake5", "xmake", "fastlane"])
        .options(&[value("-f", Load), value("--file", Load), value("--makefile", Load), value("-C", Value), value("--directory", Value), value("-j", Value), value("--eval", Shell), value("-P", Load), value("-S", Value), value("-B", Write), value("-E", Rule(&hazard::INLINE_CODE)), value("-G", Value), value("-I", Load), value("--shell", Execute), value("-D", Value), flag("--version", Set(Mode::Show)), flag("-v", Value), value("-o", Value), value("-W", Value)])
        .always(RUN),
    medium(&["pytest", "py.test", "jest", "vitest", "mocha", "ava", "karma", "cypress", "playwright", "phpunit", "rspec", "cucumber", "behave", "ctest-run", "bats", "unittest", "nosetests", "tap", "nyc", "c8", "coverage", "hypothesis", "locust", "k6", "newman", "phpstan", "psalm", "gtest", "busted", "prove", "testcafe", "webdriver", "wdio", "puppeteer", "storybook", "webpack", "vite", "rollup", "parcel", "next", "nuxt", "astro", "gatsby", "remix", "ng", "vue-cli-service", "expo", "react-native", "ionic", "cordova", "rails", "django-admin", "flask", "uvicorn", "gunicorn", "hypercorn", "celery", "streamlit", "jupyter", "nodemon", "pm2", "forever", "concurrently", "http-server", "live-server", "json-server", "ember", "svelte-kit", "prisma", "drizzle-kit", "typeorm", "knex", "sequelize", "alembic", "flyway", "liquibase", "artisan", "wp", "drush", "tauri", "nest", "sls"])
        .options(&[value("-p", Load), value("-c", Load), value("--config", Load), value("-r", Load), value("--require", Load), value("--exec", Shell), value("-x", Shell), value("-k", Value), value("-m", Value), value("-n", Value), value("-o", Value), flag("--version", Set(Mode::Show))])
        .always(RUN),
    medium(&["eslint", "prettier", "biome", "oxlint", "stylelint", "tslint", "standard", "xo", "black", "ruff", "flake8", "pylint", "mypy", "pyright", "isort", "autopep8", "yapf", "bandit", "pyflakes", "pycodestyle", "pydocstyle", "vulture", "rubocop", "standardrb", "shellcheck", "shfmt", "hadolint", "yamllint", "markdownlint", "jsonlint", "clang-format", "clang-tidy", "cppcheck", "rustfmt", "goimports", "gofumpt", "ktlint", "detekt", "checkstyle", "pmd", "swiftformat", "swiftlint", "stylua", "selene", "luacheck", "ormolu", "fourmolu", "hlint", "nixfmt", "alejandra", "taplo", "typos", "codespell", "vale", "proselint", "semgrep", "trivy", "gitleaks", "snyk", "sonar-scanner", "dprint", "djlint", "sqlfluff", "buf", "ajv", "depcheck", "knip", "madge", "ncu", "npm-check-updates", "license-checker", "syft", "grype", "actionlint", "ec", "editorconfig-checker", "commitizen", "cz", "standard-version", "release-it", "changeset"])
        .options(&[value("--rulesdir", Load), value("-c", Load), value("--config", Load), value("--plugin", Load), value("--resolve-plugins-relative-to", Load), value("-o", Write), value("--output-file", Write), value("-f", Value), value("--format", Value), value("--parser", Load), value("--ext", Value), value("--load-plugins", Load), value("--custom-config", Load), value("-r", Load), value("--require", Load), flag("--version", Set(Mode::Show)), value("-e", Value), value("-s", Value)])
        .operands(&[Write]),
    medium(&["docker", "podman", "nerdctl", "docker-compose", "podman-compose", "buildah", "skopeo", "lxc", "lxc-start", "lxc-attach", "multipass", "vagrant", "crictl", "ctr", "colima", "limactl", "incus", "distrobox", "toolbox", "devcontainer", "kaniko", "apptainer", "singularity", "runc", "crun", "systemd-nspawn", "machinectl", "virsh", "qemu-system-x86_64", "qemu-img", "VBoxManage"])
        .style(Style::Posix)
        .options(&[value("-H", Host), value("--host", Host), value("-c", Value), value("--context", Value), value("--config", Load), value("-f", Read), value("--file", Read), value("-p", Value), value("-l", Value), value("--log-level", Value), flag("--version", Set(Mode::Show)), flag("-v", Set(Mode::Show))])
        .subs(CONTAINER)
        .special(Special::Container)
        .always(RUN),
    medium(&["strace", "ltrace", "ptrace", "valgrind", "rr", "gdbserver", "catchsegv", "heaptrack", "hyperfine", "entr-run", "xvfb-run", "dbus-run-session", "dbus-launch", "ccache", "sccache", "distcc", "proot", "fakeroot", "faketime", "torsocks", "proxychains", "proxychains4", "tsocks", "catatonit", "tini", "dumb-init", "rlwrap", "unbuffer", "pkexec-run", "softlimit", "chpst", "setarch", "linux32", "linux64", "i386", "x86_64", "prlimit", "cpulimit", "numactl", "taskset", "chrt", "trickle", "bwrap", "firejail", "nsjail", "systemd-run", "cgexec", "ssh-agent", "aa-exec", "with-contenv"])
        .style(Style::Posix)
        .options(&[value("-o", Write), value("-e", Value), value("-p", Value), value("-c", Value), value("-n", Value), value("-s", Value), value("-u", Value), value("-f", Value), value("-l", Value), value("-q", Value), flag("--", Value), value("-x", Load), value("--on-calendar", Effect(EffectKind::Persist, Risk::High)), value("--on-active", Effect(EffectKind::Persist, Risk::High))])
        .operands(&[Command]),
];
