// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shells, builtins and wrappers: programs whose arguments are commands.
//!
//! In: nothing. Out: the entries. **Invariant:** a wrapper never hides what it wraps: its command is analysed
//! as if it stood alone.

use ringfort_core::effect::EffectKind;

use super::super::hazard;
use super::Role::{Command, Environment, Execute, Host, Load, Mode as Set, Read, Rule, Shell, Value, Write};
use super::{Entry, Mode, Special, Style, attached, flag, high, low, medium, value};

const TMUX: &[Entry] = &[
    low("ls list-sessions list-windows lsw list-panes lsp list-clients lsc list-keys lsk list-commands lscm show-options show has-session has \
         display-message display info show-environment showenv capture-pane capturep attach attach-session a at select-window selectw \
         select-pane selectp rename-window renamew rename-session rename resize-pane resizep switch-client switchc detach detach-client \
         list-buffers lsb choose-tree source-file-list clock-mode copy-mode next-window next previous-window prev last-window last"),
    medium("kill-server kill-session kill-window killw kill-pane killp").always(&[EffectKind::Kill]),
    medium("start-server").always(&[EffectKind::ExecuteText]),
    medium("new new-session new-window neww split-window splitw respawn-pane respawnp respawn-window respawnw popup display-popup")
        .style(Style::Posix)
        .options(&[value("-s -n -t -c -x -y -e -F -l -p -h -w", Value)])
        .operands(&[Shell]),
    high("send-keys send run-shell run if-shell if pipe-pane pipep source-file source set-hook bind-key bind command-prompt load-buffer \
          set-environment setenv set-option set setw set-window-option")
        .rule(&hazard::INLINE_CODE),
];

pub(super) const ENTRIES: &[Entry] = &[
    medium("sh bash dash zsh ksh mksh ash fish csh tcsh rbash yash oksh pdksh rksh ksh93 nu posh lksh bosh osh ysh")
        .style(Style::Posix)
        .options(&[
            value("-o +o -O +O", Value),
            value("--rcfile --init-file", Load),
            value("-C --init-command", Shell),
            flag("--version --help", Set(Mode::Show)),
        ])
        .special(Special::Shell),
    medium("eval").style(Style::Plain).special(Special::Eval),
    medium("source .").style(Style::Plain).special(Special::Source),
    medium("trap").style(Style::Plain).special(Special::Trap),
    low("alias abbr").style(Style::Plain).special(Special::Alias),
    low("cd chdir pushd popd").style(Style::Plain).special(Special::Cd),
    low("export declare typeset local readonly integer float setenv set-env")
        .style(Style::Plain)
        .special(Special::Declare),
    low("read mapfile readarray unset let shift unalias vared unsetopt setopt shopt set zstyle \
         umask ulimit return break continue fg bg suspend caller disown rehash functions unfunction limit")
    .style(Style::Plain)
    .special(Special::Reads),
    low("exit logout bye").style(Style::Plain),
    medium("enable builtin-load emulate autoload zmodload zcompile sched zle bindkey compdef compinit complete compgen")
        .always(&[EffectKind::ExecuteText])
        .options(&[value("-f", Load), value("-c -C -x", Shell)]),
    medium("bind")
        .options(&[flag("-l -p -P -s -S -v -V -X", Set(Mode::Show)), value("-f -x", Load), value("-q -u -r -m", Value)])
        .always(&[EffectKind::ExecuteText]),
    low("hash").options(&[value("-p", Rule(&hazard::ENVIRONMENT_LOADS_CODE))]),
    low("history")
        .options(&[value("-w -a", Write), value("-r -n", Read), flag("-c -d", Rule(&hazard::HIDES_TRACES))]),
    medium("fc").options(&[value("-e", Execute)]),
    low("command builtin noglob nocorrect exec")
        .style(Style::Posix)
        .options(&[flag("-v -V", Set(Mode::Show)), value("-a", Value), flag("-c -l -p", Value)])
        .operands(&[Command]),
    low("env genv")
        .style(Style::Posix)
        .options(&[
            value("-u --unset -C --chdir -P", Value),
            value("-S --split-string", Shell),
            attached("--block-signal --default-signal --ignore-signal", Value),
            flag("-", Value),
        ])
        .operands(&[Environment]),
    low("nohup setsid chronic eatmydata errno doexec detach daemonize systemd-cat run-one ifne annotate-output setlock openvt")
        .style(Style::Posix)
        .operands(&[Command]),
    low("time gtime").style(Style::Posix).options(&[value("-f --format", Value), value("-o --output", Write)]).operands(&[Command]),
    low("nice ionice caffeinate choom")
        .style(Style::Posix)
        .options(&[value("-n --adjustment -c --class --classdata -t", Value)])
        .operands(&[Command]),
    low("stdbuf").style(Style::Posix).options(&[value("-i -o -e --input --output --error", Value)]).operands(&[Command]),
    low("systemd-inhibit runcon capsh logsave")
        .style(Style::Posix)
        .options(&[value("-t -u -r -l --type", Value), value("-c", Shell)])
        .operands(&[Command])
        .special(Special::Watch),
    low("flock lckdo with-lock-ex")
        .style(Style::Posix)
        .options(&[value("-w -E --timeout --conflict-exit-code", Value), value("-c --command", Shell)])
        .operands(&[Write, Command])
        .special(Special::Watch),
    low("script")
        .options(&[value("-c --command", Shell), value("-O -I -B -T --log-out --log-in --log-io --log-timing", Write)])
        .operands(&[Write, Command])
        .special(Special::Session),
    low("scriptreplay scriptlive").options(&[value("-I -B -T -t -O -d -m -c", Read)]).operands(&[Read]),
    medium("start-stop-daemon")
        .options(&[value("-x --exec -a --startas", Execute), value("-p --pidfile -O --output", Write), value("-n -u -c -d -s -R -N", Value)])
        .operands(&[Value]),
    medium("screen dtach abduco tmate")
        .style(Style::Posix)
        .options(&[value("-S -t -p -h -T -s -e -A -c -n", Value), value("-X", Shell), value("-L", Value)])
        .operands(&[Command])
        .special(Special::Watch),
    medium("run-parts watchexec mispipe pee dbus-send ld.so ld-linux-x86-64.so ld-linux.so")
        .style(Style::Posix)
        .options(&[value("--preload --library-path", Load), value("-w -e --exts", Value)])
        .operands(&[Command])
        .special(Special::Watch),
    high("sg newgrp")
        .style(Style::Posix)
        .options(&[value("-c", Shell)])
        .operands(&[Value, Shell])
        .always(&[EffectKind::ChangePrivilege]),
    low("watch viddy hwatch")
        .style(Style::Posix)
        .options(&[value("-n --interval -q", Value)])
        .operands(&[Command])
        .special(Special::Watch),
    low("timeout gtimeout timelimit")
        .style(Style::Posix)
        .options(&[value("-s --signal -k --kill-after", Value)])
        .operands(&[Value, Command]),
    low("busybox toybox toolbox-run")
        .style(Style::Posix)
        .options(&[flag("--list --help", Set(Mode::Show))])
        .operands(&[Command]),
    high(
        "sudo doas pkexec run0 setpriv calife super sudoedit please-run runuser \
         gksu gksudo kdesu dzdo pfexec sudo-rs",
    )
    .style(Style::Posix)
    .options(&[
        value("-u --user -g --group -p --prompt -C -h -r -t -T -D --chdir -R -U --reuid --regid -a", Value),
        value("-c --command", Shell),
        flag("-s -i -n -E -l", Value),
    ])
    .operands(&[Environment])
    .always(&[EffectKind::ChangePrivilege])
    .rule(&hazard::CHANGES_PRIVILEGE),
    high("gosu su-exec setuidgid envuidgid")
        .style(Style::Posix)
        .operands(&[Value, Command])
        .always(&[EffectKind::ChangePrivilege])
        .rule(&hazard::CHANGES_PRIVILEGE),
    high("su")
        .options(&[value("-c --command", Shell), value("-s --shell", Execute), value("-g -G -w", Value)])
        .operands(&[Value])
        .always(&[EffectKind::ChangePrivilege])
        .rule(&hazard::CHANGES_PRIVILEGE),
    high("chroot unshare nsenter schroot arch-chroot systemd-chroot")
        .style(Style::Posix)
        .options(&[value("-t --target -S -G -R -w -c -u -d", Value), attached("--userspec --groups", Value)])
        .operands(&[Command])
        .always(&[EffectKind::ChangePrivilege])
        .special(Special::Append),
    low("xargs gxargs")
        .style(Style::Posix)
        .options(&[
            value(
                "-I -n -P -L -s -d -E --max-args --max-procs --delimiter --max-lines --max-chars --process-slot-var \
             -J -R -S",
                Value,
            ),
            value("-a --arg-file", Read),
            attached("--replace -i -e -l", Value),
        ])
        .operands(&[Command])
        .special(Special::Append),
    medium("parallel sem rush-run rargs apply")
        .style(Style::Posix)
        .options(&[
            value("-j --jobs -I -n -N -d -C --colsep --delay --timeout --retries --wd -L", Value),
            value("-a --arg-file", Read),
            value("-S --sshlogin", Host),
            value("--joblog --results", Write),
        ])
        .operands(&[Command])
        .special(Special::Append),
    medium("tmux zellij byobu")
        .style(Style::Posix)
        .options(&[value("-c", Shell), value("-f", Load), value("-L -S -T", Value)])
        .subs(TMUX)
        .special(Special::Formats),
    high("batch at")
        .options(&[value("-f", Load), value("-q -t -c", Value), flag("-l", Set(Mode::Show)), flag("-d -r", Value)])
        .always(&[EffectKind::Persist])
        .special(Special::Crontab),
    high("crontab fcrontab anacron incrontab")
        .options(&[
            flag("-l -T -V", Set(Mode::Show)),
            flag("-r", Rule(&hazard::HIDES_TRACES)),
            value("-u", Value),
            flag("-e", Value),
        ])
        .operands(&[Load])
        .always(&[EffectKind::Persist])
        .special(Special::Crontab),
    low("ringfort").style(Style::Plain).special(Special::Ringfort),
];
