// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shells, builtins and wrappers.
//!
//! In: arguments. Out: jobs for the text or words that run, and changes of the walk's state (folder, variables,
//! names). **Invariant:** text that is not known is [`EffectKind::ExecuteText`] without a target, and high.

use ringfort_core::decision::Risk;
use ringfort_core::effect::EffectKind;

use super::super::analysis::{Argument, Arity, HOLE, PlaceKind, Source};
use super::super::catalogue::{Entry, Language, Mode, Role};
use super::super::hazard;
use super::super::syntax::is_name;
use super::super::walk::Walker;
use super::file::join;
use super::{Job, RUNS_INPUT, RUNS_WORD, SHELL, Subject, contains, split_value};

/// Variables that decide which code other programs load or which program they start.
const LOADING: [&str; 46] = [
    "PATH",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "LD_AUDIT",
    "DYLD_INSERT_LIBRARIES",
    "DYLD_LIBRARY_PATH",
    "BASH_ENV",
    "ENV",
    "PROMPT_COMMAND",
    "SHELLOPTS",
    "BASHOPTS",
    "PS4",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_EXTERNAL_DIFF",
    "GIT_PAGER",
    "GIT_EDITOR",
    "GIT_ASKPASS",
    "GIT_PROXY_COMMAND",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_EXEC_PATH",
    "GIT_TEMPLATE_DIR",
    "GIT_DIR",
    "PAGER",
    "MANPAGER",
    "LESSOPEN",
    "LESSCLOSE",
    "EDITOR",
    "VISUAL",
    "BROWSER",
    "NODE_OPTIONS",
    "NODE_PATH",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONHOME",
    "PYTHONINSPECT",
    "PERL5LIB",
    "PERL5OPT",
    "RUBYOPT",
    "RUBYLIB",
    "JAVA_TOOL_OPTIONS",
    "SSH_ASKPASS",
    "RUSTC_WRAPPER",
];
/// Beginnings of variables that give programs options, files or hosts which nobody sees in their words.
const CONFIGURING: [&str; 77] = [
    "GH_",
    "GLAB_",
    "GITLAB_",
    "AWS_",
    "AZURE_",
    "CLOUDSDK_",
    "HELM_",
    "npm_",
    "BUN_",
    "PNPM_",
    "LD_",
    "CDPATH",
    "DYLD_",
    "BAT_",
    "DELTA_",
    "AWKPATH",
    "AWKLIBPATH",
    "MANOPT",
    "LESS",
    "TAR_OPTIONS",
    "RIPGREP_CONFIG",
    "GREP_OPTIONS",
    "JQ_",
    "LOCPATH",
    "NLSPATH",
    "GOFLAGS",
    "GOROOT",
    "GOPROXY",
    "GOENV",
    "CC",
    "CXX",
    "CARGO_HOME",
    "RUSTUP_",
    "RUSTC",
    "DOCKER_",
    "KUBECONFIG",
    "PIP_",
    "UV_",
    "NPM_CONFIG_",
    "YARN_",
    "HOSTALIASES",
    "RES_OPTIONS",
    "http_proxy",
    "https_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "all_proxy",
    "ACK",
    "FZF_",
    "SKIM_",
    "GROFF_",
    "MANROFFOPT",
    "ZIPOPT",
    "TF_",
    "CARGO_BUILD_",
    "CARGO_REGISTR",
    "CARGO_NET_",
    "CARGO_SOURCE_",
    "GOTOOLCHAIN",
    "GOSUMDB",
    "SSL_CERT_",
    "OPENSSL_CONF",
    "CURL_",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "NODE_TLS_",
    "APT_CONFIG",
    "RPM_",
    "HOMEBREW_",
    "NIX_",
    "CONDA_",
    "_JAVA_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "PERL5DB",
    "PYTHONUSERBASE",
    "MORE",
];
const LOADING_START: [&str; 8] = [
    "BASH_FUNC_",
    "RINGFORT_",
    "XDG_",
    "GIT_CONFIG_KEY_",
    "GIT_CONFIG_VALUE_",
    "npm_config_",
    "CARGO_TARGET_",
    "GCONV_PATH",
];

impl Walker<'_> {
    /// `cd`: the folder for what follows.
    pub(in crate::command) fn change_folder(&mut self, args: &[Argument]) {
        let mut operands = args.iter().filter(|a| !(a.bytes.first() == Some(&b'-') && a.bytes.len() > 1));
        let next = match operands.next() {
            None => self.context.home.map(<[u8]>::to_vec),
            Some(arg) if arg.source.is_some() || arg.bytes == b"-" || arg.bytes.is_empty() => None,
            Some(arg) => {
                let target = self.resolve(arg, &arg.bytes);
                Some(target.path).filter(|path| target.certain && matches!(path.first(), Some(b'/' | b'~')))
            }
        };
        self.enter(next);
    }

    pub(in crate::command) fn eval(&mut self, args: &[Argument], subject: &mut Subject) {
        if args.is_empty() {
            return;
        }
        subject.raise(Risk::Medium);
        let text = join(args, subject);
        subject.jobs.push(Job::Text { text, kind: PlaceKind::Text });
    }

    pub(in crate::command) fn source(&mut self, args: &[Argument], subject: &mut Subject) {
        subject.raise(Risk::Medium);
        if let Some(file) = args.first() {
            if super::is_stdin(&file.bytes) {
                subject.traits |= RUNS_INPUT;
                self.standard_input(None, subject);
                return;
            }
            self.execute_file(file, &file.bytes, subject);
            self.effect(subject, EffectKind::ExecuteText, None, file.span, Risk::Medium);
            self.follow_written(file, subject);
        }
        self.forget_variables();
    }

    pub(in crate::command) fn trap(&mut self, args: &[Argument], subject: &mut Subject) {
        let mut operands = args.iter().filter(|a| a.bytes != b"--");
        let Some(action) = operands.next() else { return };
        if operands.next().is_some() && !matches!(action.bytes.as_slice(), b"-" | b"" | b"-l" | b"-p") {
            subject.jobs.push(Job::Text { text: action.clone(), kind: PlaceKind::Trap });
        }
    }

    pub(in crate::command) fn alias(&mut self, args: &[Argument], subject: &mut Subject) {
        for arg in args {
            let (name, Some(value)) = split_value(&arg.bytes) else { continue };
            self.define(name, arg.span);
            subject
                .jobs
                .push(Job::Text { text: Argument { bytes: value.into(), ..arg.clone() }, kind: PlaceKind::Alias });
        }
    }

    /// `export`, `declare` and the like.
    pub(in crate::command) fn declare(&mut self, args: &[Argument], subject: &mut Subject) {
        if !args.is_empty() && args.iter().all(|arg| arg.bytes.first() == Some(&b'-')) {
            // Everything is shown, and with it what the environment holds.
            self.effect(subject, EffectKind::Unknown, None, subject.span, Risk::Low);
        }
        // A shell without `declare` goes on with the old value, or none.
        let program = self.out.commands.get(subject.index).and_then(|command| command.program.name());
        let everywhere = matches!(program, Some(b"export" | b"readonly" | b"local"));
        for arg in args {
            let (name, value) = split_value(&arg.bytes);
            if arg.prefix().len() < name.len() {
                self.forget_variables();
                continue;
            }
            let name = name.strip_suffix(b"+").unwrap_or(name);
            match value {
                Some(value) => {
                    self.assignment_effect(name, arg, subject);
                    let exact = arg.source.is_none() && !arg.bytes.contains(&b'+') && everywhere;
                    self.set_variable(name, exact.then(|| value.into()));
                }
                None if name.first() == Some(&b'-') => {}
                None => {}
            }
        }
    }

    /// `read`, `unset` and other builtins that change variables or options.
    pub(in crate::command) fn reads(&mut self, args: &[Argument], subject: &mut Subject) {
        let callback = args.windows(2).find_map(|pair| match pair {
            [option, text] if matches!(option.bytes.as_slice(), b"-C" | b"-c") => Some(text),
            _ => None,
        });
        if let Some(text) = callback.filter(|text| !text.bytes.iter().all(u8::is_ascii_digit)) {
            // The callback of `mapfile`, the text of `emulate`.
            subject.jobs.push(Job::Text { text: text.clone(), kind: PlaceKind::Text });
        }
        for arg in args {
            let (name, _) = split_value(&arg.bytes);
            if contains(&arg.bytes, b"HIST") || arg.bytes == b"histexpand" {
                self.rule(subject, &hazard::HIDES_TRACES, arg.span);
            }
            if name.iter().all(|b| is_name(*b)) {
                self.assignment_effect(name, arg, subject);
                self.set_variable(name, None);
            } else if !matches!(arg.bytes.first(), Some(b'-' | b'+')) {
                self.forget_variables();
            }
        }
        self.set_variable(b"REPLY", None);
        self.set_variable(b"MAPFILE", None);
    }

    /// `printf -v NAME` sets a variable.
    pub(in crate::command) fn prints(&mut self, args: &[Argument], subject: &mut Subject) {
        match self.out.commands.get(subject.index).and_then(|command| command.program.name()) {
            Some(b":" | b"true") => self.emptied(&[], &[], subject),
            // The `print` of another system copies files to the device that it names.
            Some(b"print")
                if args.first().is_some_and(|arg| matches!(arg.bytes.as_slice(), [b'/', b'd' | b'D', b':', ..])) =>
            {
                self.effect(subject, EffectKind::WritePath, None, subject.span, Risk::High);
                subject.partial = true;
            }
            _ => {}
        }
        if let [option, name, ..] = args
            && option.bytes == b"-v"
            && name.bytes.iter().all(|b| is_name(*b))
        {
            self.assignment_effect(&name.bytes, name, subject);
            self.set_variable(&name.bytes, None);
        }
    }

    /// `sh`, `bash` and the like: `-c` text, a script, or standard input.
    pub(in crate::command) fn shell(&mut self, entry: &'static Entry, args: &[Argument], subject: &mut Subject) {
        subject.traits |= SHELL;
        let mut command = false;
        let mut reads_input = false;
        let mut at = 0;
        while let Some(arg) = args.get(at) {
            let bytes = arg.bytes.as_slice();
            if bytes == b"--" || bytes == b"-" {
                at += 1;
                break;
            }
            if !matches!(bytes.first(), Some(b'-' | b'+')) {
                break;
            }
            if bytes.starts_with(b"--") || matches!(bytes, b"-o" | b"+o" | b"-O" | b"+O") {
                let one = self.options(entry, args.get(at..at + 2).unwrap_or(args.get(at..).unwrap_or(&[])), subject);
                let (name, value) = split_value(bytes);
                let takes = value.is_none()
                    && matches!(name, b"--rcfile" | b"--init-file" | b"-o" | b"+o" | b"-O" | b"+O" | b"--init-command");
                at += if takes && one.is_empty() { 2 } else { 1 };
                command |= bytes == b"--command";
                continue;
            }
            command |= bytes.contains(&b'c');
            reads_input |= bytes.contains(&b's');
            at += 1;
        }
        if subject.has(Mode::Show) {
            return;
        }
        subject.raise(entry.risk);
        let operand = args.get(at);
        match operand {
            Some(text) if command => subject.jobs.push(Job::Text { text: text.clone(), kind: PlaceKind::Text }),
            Some(script) if !reads_input && !super::is_stdin(&script.bytes) => {
                if script.bytes.first() == Some(&HOLE) && script.arity == Arity::Any {
                    self.rule(subject, &hazard::TEXT_EXECUTED, script.span);
                }
                self.execute_file(script, &script.bytes, subject);
                self.effect(subject, EffectKind::ExecuteText, None, script.span, Risk::Medium);
                self.follow_written(script, subject);
            }
            _ => {
                subject.traits |= RUNS_INPUT;
                self.standard_input(None, subject);
            }
        }
    }

    /// A wrapper that appends words from its input, or runs a shell without any.
    pub(in crate::command) fn append(&mut self, entry: &'static Entry, args: &[Argument], subject: &mut Subject) {
        let operands = self.options(entry, args, subject);
        self.base(entry, subject);
        // Only its own options: those of the command that it runs mean something else.
        let own = operands.first().and_then(|first| args.get(..*first)).unwrap_or(args);
        let replaced = own
            .iter()
            .find(|a| a.bytes.starts_with(b"-I") || a.bytes.starts_with(b"-i") || a.bytes.starts_with(b"--replace"));
        let mut words: Vec<Argument> = operands.iter().filter_map(|position| args.get(*position)).cloned().collect();
        if !entry.always.is_empty() {
            // chroot and the like: the first operand may be a folder.
            if entry.names.starts_with("chroot")
                && words.first().is_some_and(|w| contains(&w.bytes, b"/") && !contains(&w.bytes, b"bin/"))
            {
                words.remove(0);
            }
            if !words.is_empty() {
                subject.jobs.push(Job::Words(words));
            }
            return;
        }
        if words.is_empty() {
            if entry.names.starts_with("parallel") {
                self.rule(subject, &hazard::TEXT_EXECUTED, subject.span);
            }
            return;
        }
        // The word that `-I` names stands for the input.
        let mark = replaced.filter(|option| option.bytes.starts_with(b"-I")).and_then(|option| {
            let next = args.iter().skip_while(|arg| !std::ptr::eq(*arg, option)).nth(1);
            option.bytes.get(2..).filter(|mark| !mark.is_empty()).or(next.map(|next| next.bytes.as_slice()))
        });
        if let Some(mark) = mark.filter(|mark| *mark != b"{}") {
            for word in words.iter_mut().filter(|word| contains(&word.bytes, mark)) {
                *word = Argument { source: Some(Source::Input), ..with_hole(word, mark) };
            }
        }
        if let Some(places) = self.found_by_stages(&words, own, subject) {
            let marked = words.iter().any(|w| w.bytes == b"{}");
            let words: Vec<Argument> = if marked {
                words.into_iter().flat_map(|w| if w.bytes == b"{}" { places.clone() } else { vec![w] }).collect()
            } else {
                words.into_iter().chain(places).collect()
            };
            subject.jobs.push(Job::Words(words));
            return;
        }
        let marks: Vec<&Argument> = words.iter().filter(|w| contains(&w.bytes, b"{}")).collect();
        let only_program = words.len() == 1;
        if replaced.is_none() && marks.is_empty() || !marks.is_empty() || only_program {
            words = words
                .into_iter()
                .map(|w| {
                    if contains(&w.bytes, b"{}") && replaced.is_some() || w.bytes == b"{}" {
                        Argument { source: Some(Source::Input), ..with_hole(&w, b"{}") }
                    } else {
                        w
                    }
                })
                .collect();
        }
        if replaced.is_none() {
            let found = self.found_words(own, subject);
            words.extend(found.unwrap_or_else(|| vec![Argument::hole(Source::Input, subject.span)]));
        }
        if words.first().is_some_and(|w| matches!(w.bytes.as_slice(), b"sh" | b"bash" | b"zsh" | b"dash" | b"eval"))
            && words.len() <= 3
            && words.get(1).is_some_and(|w| w.bytes == b"-c")
        {
            subject.traits |= RUNS_INPUT;
        }
        subject.jobs.push(Job::Words(words));
    }

    /// Wrappers whose first operand may be a shell text, and wrappers with operands before the command.
    pub(in crate::command) fn watch(&mut self, entry: &'static Entry, args: &[Argument], subject: &mut Subject) {
        let operands = self.options(entry, args, subject);
        let mut start = operands.first().copied().unwrap_or(args.len());
        let first = args.get(start);
        let second = operands.get(1).copied();
        let is_path = first.is_some_and(|a| {
            matches!(a.bytes.first(), Some(b'/' | b'.' | b'0'..=b'9')) && !contains(&a.bytes, b"bin/")
        });
        if is_path && second.is_some() {
            // A lock file, descriptor or time before the command.
            start = second.unwrap_or(start);
        }
        let rest = args.get(start..).unwrap_or(&[]);
        match rest {
            [] => {}
            [only] if contains(&only.bytes, b" ") => {
                subject.jobs.push(Job::Text { text: only.clone(), kind: PlaceKind::Text })
            }
            [option, text, ..] if option.bytes == b"-c" || option.bytes == b"--command" => {
                subject.jobs.push(Job::Text { text: text.clone(), kind: PlaceKind::Text })
            }
            [_, ..] => subject
                .jobs
                .push(Job::Words(rest.iter().skip_while(|a| a.bytes.first() == Some(&b'-')).cloned().collect())),
        }
    }

    pub(in crate::command) fn kill(&mut self, args: &[Argument], subject: &mut Subject) {
        subject.raise(Risk::Medium);
        for (at, arg) in args.iter().enumerate() {
            let bytes = arg.bytes.as_slice();
            if bytes == b"-l" || bytes == b"-L" || bytes == b"-0" {
                subject.risk = Risk::Low;
                return;
            }
            let everything =
                bytes == b"-1" && at > 0 || bytes == b"1" || bytes == b"-u" || bytes == b"init" || bytes == b"systemd";
            if everything {
                self.rule(subject, &hazard::KILLS_WIDELY, arg.span);
            }
            if matches!(bytes, b"sshd" | b"auditd" | b"rsyslogd" | b"ringfort") || bytes.starts_with(b"falcon") {
                self.rule(subject, &hazard::WEAKENS_SECURITY, arg.span);
            }
            if bytes.first() != Some(&b'-') {
                self.effect(subject, EffectKind::Kill, super::known_text(arg, bytes), arg.span, Risk::Medium);
            }
            if arg.source.is_some() {
                subject.raise(Risk::High);
            }
        }
    }

    pub(in crate::command) fn crontab(&mut self, entry: &'static Entry, args: &[Argument], subject: &mut Subject) {
        let operands = self.options(entry, args, subject);
        self.operands(entry, args, &operands, subject);
        if !subject.has(Mode::Show) {
            subject.traits |= RUNS_INPUT;
            self.standard_input(None, subject);
        }
    }

    /// Skips `NAME=value` words before a command, with their effects.
    pub(in crate::command) fn environment(&mut self, args: &[Argument], start: usize, subject: &mut Subject) -> usize {
        let mut at = start;
        while let Some(arg) = args.get(at) {
            let (name, value) = split_value(&arg.bytes);
            // Any word with an equals sign is an assignment, whatever stands before it.
            if value.is_none() || name.is_empty() || name.first() == Some(&b'-') {
                break;
            }
            self.assignment_effect(name, arg, subject);
            at += 1;
        }
        at
    }

    /// The effect of assigning a variable that other programs look at.
    pub(in crate::command) fn assignment_effect(&mut self, name: &[u8], arg: &Argument, subject: &mut Subject) {
        let text = std::str::from_utf8(name).unwrap_or("");
        // zsh keeps `path` and `PATH` equal.
        let tied = matches!(text, "path" | "fpath" | "module_path") && arg.arity == Arity::Any;
        let loading = tied || decides_code(name);
        if !loading && text != "HOME" && text != "IFS" {
            if matches!(text, "HISTFILE" | "HISTSIZE" | "HISTFILESIZE" | "HISTCONTROL" | "HISTIGNORE") {
                self.rule(subject, &hazard::HIDES_TRACES, arg.span);
            }
            // Git writes its trace to a file that is named in full.
            let traces = text.starts_with("GIT_TRACE") && split_value(&arg.bytes).1.is_none_or(|v| contains(v, b"/"));
            if traces || CONFIGURING.iter().any(|start| text.starts_with(start)) {
                self.effect(subject, EffectKind::ChangeEnvironment, Some(text.to_owned()), arg.span, Risk::Medium);
            }
            return;
        }
        let own =
            text == "PATH" && (contains(&arg.bytes, b"/bin") || arg.source.is_some()) && arg.bytes.contains(&HOLE);
        let risk = if own || matches!(text, "IFS" | "HOME" | "NODE_PATH" | "PYTHONPATH" | "XDG_RUNTIME_DIR") {
            Risk::Medium
        } else {
            Risk::High
        };
        let quiet = matches!(text, "PAGER" | "GIT_PAGER" | "EDITOR" | "VISUAL" | "GIT_EDITOR" | "MANPAGER")
            && matches!(
                split_value(&arg.bytes).1,
                Some(b"cat" | b"less" | b"" | b"true" | b":" | b"vim" | b"nano" | b"vi")
            );
        let risk = if quiet { Risk::Low } else { risk };
        self.effect(subject, EffectKind::ChangeEnvironment, Some(text.to_owned()), arg.span, risk);
        if risk == Risk::High {
            self.rule(subject, &hazard::ENVIRONMENT_LOADS_CODE, arg.span);
            if let Some(value) = split_value(&arg.bytes).1.filter(|_| {
                text == "PROMPT_COMMAND"
                    || text == "GIT_SSH_COMMAND"
                    || text.ends_with("PAGER")
                    || text.ends_with("EDITOR")
            }) {
                subject
                    .jobs
                    .push(Job::Text { text: Argument { bytes: value.into(), ..arg.clone() }, kind: PlaceKind::Text });
            }
        }
    }

    /// Code that comes from standard input: a document, an earlier stage, or a person.
    pub(in crate::command) fn standard_input(&mut self, language: Option<Language>, subject: &mut Subject) {
        let Some(input) = self.input_of(subject.index) else { return };
        if input.source.is_some() {
            subject.traits |= RUNS_WORD;
            self.effect(subject, EffectKind::ExecuteText, None, input.span, Risk::High);
            self.rule(subject, &hazard::TEXT_EXECUTED, input.span);
            return;
        }
        match language {
            None => subject.jobs.push(Job::Text { text: input, kind: PlaceKind::Document }),
            Some(language) => {
                let bytes = input.bytes.clone();
                self.role(Role::Code(language), &input, &bytes, subject);
            }
        }
    }
}

/// Whether a variable decides which code other programs load or which program they start.
pub(in crate::command) fn decides_code(name: &[u8]) -> bool {
    let text = std::str::from_utf8(name).unwrap_or("");
    LOADING.contains(&text) || LOADING_START.iter().any(|start| text.starts_with(start))
}

fn with_hole(word: &Argument, mark: &[u8]) -> Argument {
    let mut bytes = Vec::with_capacity(word.bytes.len());
    let mut rest = word.bytes.as_slice();
    while let Some((first, tail)) = rest.split_first() {
        if !mark.is_empty() && rest.starts_with(mark) {
            bytes.push(HOLE);
            rest = rest.get(mark.len()..).unwrap_or(&[]);
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    Argument { bytes: bytes.into(), ..word.clone() }
}
