// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shells, builtins and wrappers: programs whose arguments are commands.
//!
//! In: nothing. Out: the entries. **Invariant:** a wrapper never hides what it wraps: its command is analysed
//! as if it stood alone.

use ringfort_core::effect::EffectKind;

use super::super::hazard;
use super::Role::{Command, Environment, Execute, Host, Load, Mode as Set, Read, Rule, Shell, Value, Write};
use super::{attached, flag, high, low, medium, value, Entry, Mode, Special, Style};

pub(super) const ENTRIES: &[Entry] = &[
    medium(&["sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "fish", "csh", "tcsh", "rbash", "yash", "oksh", "pdksh", "rksh", "ksh93", "nu", "posh", "lksh", "bosh", "osh", "ysh"])
        .style(Style::Posix)
        .options(&[value("-o", Value), value("+o", Value), value("-O", Value), value("+O", Value), value("--rcfile", Load), value("--init-file", Load), value("-C", Shell), value("--init-command", Shell), flag("--version", Set(Mode::Show)), flag("--help", Set(Mode::Show))])
        .special(Special::Shell),
    medium(&["eval"]).style(Style::Plain).special(Special::Eval),
    medium(&["source", "."]).style(Style::Plain).special(Special::Source),
    medium(&["trap"]).style(Style::Plain).special(Special::Trap),
    low(&["alias", "abbr"]).style(Style::Plain).special(Special::Alias),
    low(&["cd", "chdir", "pushd", "popd"]).style(Style::Plain).special(Special::Cd),
    low(&["export", "declare", "typeset", "local", "readonly", "integer", "float", "setenv", "set-env"]).style(Style::Plain).special(Special::Declare),
    low(&["read", "mapfile", "readarray", "unset", "let", "shift", "unalias", "vared", "unsetopt", "setopt", "shopt", "set", "autoload", "zstyle", "zmodload", "umask", "ulimit", "return", "break", "continue", "fg", "bg", "suspend", "caller", "disown", "emulate", "rehash", "compdef", "compinit", "zle", "bindkey", "sched", "zcompile", "functions", "unfunction", "limit"]).style(Style::Plain).special(Special::Reads),
    low(&["exit", "logout", "bye"]).style(Style::Plain),
    high(&["enable", "builtin-load"]).options(&[value("-f", Load)]).special(Special::Reads),
    medium(&["fc"]).options(&[value("-e", Execute)]),
    low(&["command", "builtin", "noglob", "nocorrect", "exec", "-"]).style(Style::Posix).options(&[flag("-v", Set(Mode::Show)), flag("-V", Set(Mode::Show)), value("-a", Value), flag("-c", Value), flag("-l", Value), flag("-p", Value)]).operands(&[Command]),
    low(&["env", "genv"])
        .style(Style::Posix)
        .options(&[value("-u", Value), value("--unset", Value), value("-C", Value), value("--chdir", Value), value("-S", Shell), value("--split-string", Shell), value("-P", Value), attached("--block-signal", Value), attached("--default-signal", Value), attached("--ignore-signal", Value), flag("-", Value)])
        .operands(&[Environment]),
    low(&["nohup", "setsid", "time", "gtime", "stdbuf", "nice", "ionice", "caffeinate", "chronic", "ts-run", "eatmydata", "watchexec", "errno", "doexec", "detach", "daemonize", "start-stop-daemon", "screen", "dtach", "abduco", "script", "scriptreplay", "run-parts", "run-one", "flock", "lckdo", "with-lock-ex", "systemd-cat", "systemd-inhibit", "choom", "zsh-run", "uudecode-run", "stdbuf-run", "dbus-send", "ssh-askpass", "tmate", "mispipe", "ifne", "pee", "annotate-output", "bash-run", "logsave", "runcon", "capsh", "unshare-run", "setlock", "sg", "newgrp", "ld.so", "ld-linux-x86-64.so", "ld-linux.so", "openvt", "at-spi-run"])
        .style(Style::Posix)
        .options(&[
            value("-f", Value), value("--format", Value), value("-o", Write), value("--output", Write), value("-i", Value), value("-e", Value), value("-n", Value), value("--adjustment", Value), value("-c", Shell), value("--command", Shell), value("-p", Value), value("-w", Value), value("-E", Value), value("--timeout", Value), value("-S", Value), value("-t", Value),
            value("-exec", Execute), value("--exec", Execute), value("--startas", Execute), flag("-a", Value), flag("-q", Value), flag("-x", Value), value("-X", Shell), value("-h", Value), value("--pidfile", Write), value("--preload", Load), value("--library-path", Load),
        ])
        .operands(&[Command])
        .special(Special::Watch),
    low(&["watch", "viddy", "hwatch"]).style(Style::Posix).options(&[value("-n", Value), value("--interval", Value), value("-q", Value)]).operands(&[Command]).special(Special::Watch),
    low(&["timeout", "gtimeout", "timelimit"]).style(Style::Posix).options(&[value("-s", Value), value("--signal", Value), value("-k", Value), value("--kill-after", Value)]).operands(&[Value, Command]),
    low(&["busybox", "toybox", "toolbox-run"]).style(Style::Posix).options(&[flag("--list", Set(Mode::Show)), flag("--help", Set(Mode::Show))]).operands(&[Command]),
    high(&["sudo", "doas", "gosu", "su-exec", "pkexec", "run0", "setpriv", "calife", "super", "sudoedit", "please-run", "runuser", "setuidgid", "envuidgid", "gksu", "gksudo", "kdesu", "dzdo", "pfexec", "sudo-rs"])
        .style(Style::Posix)
        .options(&[
            value("-u", Value), value("--user", Value), value("-g", Value), value("--group", Value), value("-p", Value), value("--prompt", Value), value("-C", Value), value("-h", Value), value("-r", Value), value("-t", Value), value("-T", Value), value("-D", Value), value("--chdir", Value), value("-R", Value), value("-U", Value), value("-c", Shell), value("--command", Shell),
            value("--reuid", Value), value("--regid", Value), value("-a", Value), flag("-s", Value), flag("-i", Value), flag("-n", Value), flag("-E", Value), flag("-l", Value),
        ])
        .operands(&[Environment])
        .always(&[EffectKind::ChangePrivilege])
        .rule(&hazard::CHANGES_PRIVILEGE),
    high(&["su"]).options(&[value("-c", Shell), value("--command", Shell), value("-s", Execute), value("--shell", Execute), value("-g", Value), value("-G", Value), value("-w", Value)]).operands(&[Value]).always(&[EffectKind::ChangePrivilege]).rule(&hazard::CHANGES_PRIVILEGE),
    high(&["chroot", "unshare", "nsenter", "schroot", "arch-chroot", "systemd-chroot"])
        .style(Style::Posix)
        .options(&[value("-t", Value), value("--target", Value), value("-S", Value), value("-G", Value), value("-R", Value), value("-w", Value), attached("--userspec", Value), attached("--groups", Value), value("-c", Value), value("-u", Value), value("-d", Value)])
        .operands(&[Command])
        .always(&[EffectKind::ChangePrivilege])
        .special(Special::Append),
    low(&["xargs", "gxargs"])
        .style(Style::Posix)
        .options(&[
            value("-I", Value), value("-n", Value), value("-P", Value), value("-L", Value), value("-s", Value), value("-d", Value), value("-E", Value), value("-a", Read), value("--arg-file", Read), value("--max-args", Value), value("--max-procs", Value), value("--delimiter", Value), attached("--replace", Value), attached("-i", Value), attached("-e", Value), attached("-l", Value), value("--max-lines", Value),
            value("--max-chars", Value), value("--process-slot-var", Value), value("-J", Value), value("-R", Value), value("-S", Value),
        ])
        .operands(&[Command])
        .special(Special::Append),
    medium(&["parallel", "sem", "rush-run", "rargs", "apply"])
        .style(Style::Posix)
        .options(&[value("-j", Value), value("--jobs", Value), value("-a", Read), value("--arg-file", Read), value("-I", Value), value("-S", Host), value("--sshlogin", Host), value("-n", Value), value("-N", Value), value("-d", Value), value("-C", Value), value("--colsep", Value), value("--joblog", Write), value("--results", Write), value("--delay", Value), value("--timeout", Value), value("--retries", Value), value("--wd", Value), value("-L", Value)])
        .operands(&[Command])
        .special(Special::Append),
    medium(&["tmux", "zellij", "byobu"])
        .style(Style::Posix)
        .options(&[value("-c", Shell), value("-f", Load), value("-L", Value), value("-S", Value), value("-T", Value)])
        .operands(&[Shell])
        .rule(&hazard::INLINE_CODE),
    high(&["batch", "at"]).options(&[value("-f", Load), value("-q", Value), value("-t", Value), flag("-l", Set(Mode::Show)), value("-c", Value), flag("-d", Value), flag("-r", Value)]).always(&[EffectKind::Persist]).special(Special::Crontab),
    high(&["crontab", "fcrontab", "anacron", "incrontab"]).options(&[flag("-l", Set(Mode::Show)), flag("-r", Rule(&hazard::HIDES_TRACES)), value("-u", Value), flag("-e", Value), flag("-T", Set(Mode::Show)), flag("-V", Set(Mode::Show))]).operands(&[Load]).always(&[EffectKind::Persist]).special(Special::Crontab),
    high(&["ringfort"]).style(Style::Posix).rule(&hazard::WEAKENS_SECURITY),
];
