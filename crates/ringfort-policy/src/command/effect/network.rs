// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that reach hosts, and containers.
//!
//! In: arguments. Out: network effects with the host where it is written out. **Invariant:** a file that is sent
//! is read first, so a credential among it is seen.

use ringfort_core::decision::Risk;
use ringfort_core::effect::EffectKind;

use super::super::analysis::{Argument, HOLE};
use super::super::catalogue::{Entry, Mode, Role};
use super::super::hazard;
use super::super::target::{self, Class};
use super::super::walk::Walker;
use super::file::join;
use super::{Job, NETWORK, PlaceKind, Subject, contains, split_value};

impl Walker<'_> {
    /// A host or URL that is contacted.
    pub(in crate::command) fn host(&mut self, arg: &Argument, bytes: &[u8], subject: &mut Subject) {
        if let Some(path) = bytes.strip_prefix(b"file://") {
            self.read(arg, path, subject);
            return;
        }
        let host = host_of(bytes).filter(|_| !arg.prefix().is_empty() || arg.source.is_none());
        let known = host.filter(|host| !host.contains(&HOLE) && !host.is_empty());
        let text = known.map(|host| String::from_utf8_lossy(host).into_owned());
        if known.is_some_and(|host| !host.is_ascii()) {
            self.rule(subject, &hazard::LOOK_ALIKE, arg.span);
        }
        self.effect(subject, EffectKind::OpenNetwork, text, arg.span, Risk::Medium);
    }

    /// bash's `/dev/tcp/host/port`.
    pub(in crate::command) fn socket(&mut self, arg: &Argument, bytes: &[u8], subject: &mut Subject) {
        let host = bytes.split(|b| *b == b'/').nth(3).filter(|host| !host.contains(&HOLE));
        let text = host.map(|host| String::from_utf8_lossy(host).into_owned());
        self.effect(subject, EffectKind::OpenNetwork, text, arg.span, Risk::High);
    }

    /// Data that is sent; `@file` and `name=@file` name a file.
    pub(in crate::command) fn data(&mut self, arg: &Argument, bytes: &[u8], subject: &mut Subject) {
        let file = bytes.strip_prefix(b"@").or_else(|| {
            let (_, value) = split_value(bytes);
            value.and_then(|value| value.strip_prefix(b"@").or_else(|| value.strip_prefix(b"<")))
        });
        match file {
            Some(b"-") => self.rule(subject, &hazard::SENDS_DATA, arg.span),
            Some(file) => self.upload(arg, file, subject),
            None => {}
        }
    }

    /// A file that is sent.
    pub(in crate::command) fn upload(&mut self, arg: &Argument, bytes: &[u8], subject: &mut Subject) {
        let file = bytes.split(|b| *b == b';').next().unwrap_or(bytes);
        self.read(arg, file, subject);
        self.rule(subject, &hazard::SENDS_DATA, arg.span);
    }

    /// `host:path`, or a local path.
    pub(in crate::command) fn remote(&mut self, role: Role, arg: &Argument, bytes: &[u8], subject: &mut Subject) {
        let colon = bytes.iter().position(|b| *b == b':');
        let slash = bytes.iter().position(|b| *b == b'/').unwrap_or(usize::MAX);
        match colon {
            Some(at) if at > 0 && at < slash || contains(bytes, b"://") => {
                let host =
                    host_of(bytes.get(..colon.unwrap_or(0)).filter(|_| !contains(bytes, b"://")).unwrap_or(bytes))
                        .map(|h| String::from_utf8_lossy(h).into_owned());
                self.effect(subject, EffectKind::OpenNetwork, host, arg.span, Risk::Medium);
                if role == Role::RemoteWrite {
                    self.rule(subject, &hazard::SENDS_DATA, arg.span);
                }
            }
            _ if role == Role::RemoteWrite => self.write(arg, bytes, subject),
            _ => self.read(arg, bytes, subject),
        }
    }

    pub(in crate::command) fn netcat(&mut self, entry: &'static Entry, args: &[Argument], subject: &mut Subject) {
        let jobs = subject.jobs.len();
        let operands = self.options(entry, args, subject);
        self.operands(entry, args, &operands, subject);
        let executes = args.iter().any(|a| {
            contains(&a.bytes, b"EXEC:")
                || contains(&a.bytes, b"exec:")
                || contains(&a.bytes, b"SYSTEM:")
                || contains(&a.bytes, b"system:")
        });
        if subject.jobs.len() > jobs || executes {
            self.rule(subject, &hazard::REMOTE_SHELL, subject.span);
        }
    }

    /// `ssh`, and what copies through it.
    pub(in crate::command) fn ssh(&mut self, entry: &'static Entry, args: &[Argument], subject: &mut Subject) {
        for (at, arg) in args.iter().enumerate() {
            let option = arg
                .bytes
                .strip_prefix(b"-o")
                .map(|rest| if rest.is_empty() { args.get(at + 1).map_or(rest, |next| &next.bytes) } else { rest });
            if let Some(setting) = option {
                let lower = setting.to_ascii_lowercase();
                let names = [
                    &b"proxycommand"[..],
                    b"localcommand",
                    b"knownhostscommand",
                    b"pkcs11provider",
                    b"permitlocalcommand",
                    b"securitykeyprovider",
                    b"include",
                ];
                if names.iter().any(|name| contains(&lower, name)) {
                    self.effect(subject, EffectKind::ExecuteText, None, arg.span, Risk::High);
                    self.rule(subject, &hazard::INLINE_CODE, arg.span);
                }
            }
        }
        let operands = self.options(entry, args, subject);
        if entry.last.is_some() {
            self.operands(entry, args, &operands, subject);
            return;
        }
        self.base(entry, subject);
        let mut operands = operands.iter().filter_map(|position| args.get(*position));
        if let Some(host) = operands.next() {
            let name = host.bytes.rsplit(|b| *b == b'@').next().unwrap_or(&host.bytes);
            self.host(host, name, subject);
        }
        let rest: Vec<Argument> = operands.cloned().collect();
        if !rest.is_empty() {
            let text = join(&rest, subject);
            subject.jobs.push(Job::Text { text, kind: PlaceKind::Wrapped });
        }
        subject.traits |= NETWORK;
    }

    pub(in crate::command) fn container_sub(
        &mut self,
        sub: &'static Entry,
        name: &[u8],
        args: &[Argument],
        subject: &mut Subject,
    ) {
        let operands = self.options(sub, args, subject);
        self.operands(sub, args, &operands, subject);
        let removes = matches!(name, b"rm" | b"rmi" | b"prune" | b"system" | b"volume" | b"down")
            && args.iter().any(|a| {
                matches!(a.bytes.as_slice(), b"-f" | b"--force" | b"prune" | b"-a" | b"-af" | b"-v" | b"--volumes")
            });
        if removes {
            self.effect(subject, EffectKind::DeleteTree, None, subject.span, Risk::High);
        }
        if name != b"run" && name != b"exec" && name != b"create" {
            return;
        }
        for (at, arg) in args.iter().enumerate() {
            let next = args.get(at + 1);
            let (option, value) = split_value(&arg.bytes);
            let word = value.map(<[u8]>::to_vec).or_else(|| next.map(|n| n.bytes.to_vec())).unwrap_or_default();
            match option {
                b"-v" | b"--volume" | b"--mount" => self.mounted(arg, &word, subject),
                b"--pid" | b"--network" | b"--net" | b"--ipc" | b"--userns" | b"--uts" if word == b"host" => {
                    self.rule(subject, &hazard::CHANGES_PRIVILEGE, arg.span)
                }
                b"--cap-add" | b"--device" => self.rule(subject, &hazard::CHANGES_PRIVILEGE, arg.span),
                b"--security-opt" if contains(&word, b"unconfined") || contains(&word, b"disable") => {
                    self.rule(subject, &hazard::WEAKENS_SECURITY, arg.span)
                }
                _ => {}
            }
        }
        let inside = operands.get(1).copied().unwrap_or(args.len());
        self.run_inside(args, inside, subject);
    }

    /// A folder of the host that a container may change.
    fn mounted(&mut self, arg: &Argument, word: &[u8], subject: &mut Subject) {
        let source = word
            .split(|b| *b == b',')
            .find_map(|part| part.strip_prefix(b"source=").or_else(|| part.strip_prefix(b"src=")))
            .unwrap_or(word);
        let path = source.split(|b| *b == b':').next().unwrap_or(source);
        if !matches!(path.first(), Some(b'/' | b'~' | b'.')) {
            return;
        }
        let target = self.resolve(arg, path);
        let wide = path == b"/" || contains(path, b"docker.sock");
        match target::class(&target.path, self.cwd(), self.context) {
            _ if wide => self.rule(subject, &hazard::WEAKENS_SECURITY, arg.span),
            Class::System | Class::Device | Class::Startup => self.rule(subject, &hazard::WRITES_SYSTEM, arg.span),
            _ if target::is_secret(&target.path, self.context) => self.rule(subject, &hazard::READS_SECRET, arg.span),
            _ => self.effect(subject, EffectKind::WritePath, target.text(), arg.span, Risk::Medium),
        }
    }

    /// Words that run inside a container: known as text, without effects on this machine.
    fn run_inside(&mut self, args: &[Argument], start: usize, subject: &mut Subject) {
        let rest = args.get(start..).unwrap_or(&[]);
        if rest.iter().any(|a| a.source.is_some() && !subject.has(Mode::Show)) {
            subject.partial = true;
        }
    }
}

/// Longest words that a question to a service may have together, in bytes: more would be a message.
const QUERY_BYTES_MAX: usize = 1024;

impl Walker<'_> {
    /// A question is only one while all its words are written out, none names a file or another service, and
    /// nothing else about the command reaches the network. Otherwise it is what it may be: a way to send something.
    pub(in crate::command) fn settle_queries(&mut self, args: &[Argument], subject: &Subject) {
        let asks = |kind: EffectKind| kind == EffectKind::QueryService;
        let own = self.out.effects.get(subject.first_effect..).unwrap_or(&[]);
        if !own.iter().any(|effect| asks(effect.kind)) {
            return;
        }
        let length: usize = args.iter().map(|arg| arg.bytes.len()).sum();
        let plain = length <= QUERY_BYTES_MAX
            && args.iter().all(is_plain_word)
            && own
                .iter()
                .all(|effect| asks(effect.kind) || matches!(effect.kind, EffectKind::ListPath | EffectKind::WritePath));
        if !plain {
            for effect in self.out.effects.iter_mut().skip(subject.first_effect).filter(|effect| asks(effect.kind)) {
                effect.kind = EffectKind::OpenNetwork;
            }
        }
    }
}

impl Walker<'_> {
    /// The client of a cloud: it asks where its verb says so, and may do anything otherwise.
    pub(in crate::command) fn cloud(&mut self, entry: &'static Entry, args: &[Argument], subject: &mut Subject) {
        let operands = self.options(entry, args, subject);
        if subject.has(Mode::Show) {
            return;
        }
        let words: Vec<&[u8]> =
            operands.iter().filter_map(|position| args.get(*position)).filter_map(Argument::known).collect();
        let asks = |word: &&[u8]| {
            matches!(*word, b"list" | b"describe" | b"show" | b"ls" | b"help" | b"version" | b"get-caller-identity")
                || word.starts_with(b"describe-")
                || word.starts_with(b"list-")
        };
        // A verb behind the names of services: nothing before it starts anything.
        const STARTS: [&[u8]; 24] = [
            b"ssh",
            b"run",
            b"exec",
            b"invoke",
            b"start-session",
            b"execute-command",
            b"cp",
            b"sync",
            b"rm",
            b"mv",
            b"call",
            b"deploy",
            b"delete",
            b"create",
            b"update",
            b"set",
            b"add",
            b"remove",
            b"reset",
            b"stop",
            b"start",
            b"restart",
            b"export",
            b"import",
        ];
        let starts = |word: &&[u8]| STARTS.contains(word) || word.starts_with(b"run-") || word.starts_with(b"delete-");
        let verb = words.iter().position(asks);
        if verb.is_some_and(|at| at < 4) && !words.iter().any(starts) {
            self.effect(subject, EffectKind::QueryService, None, subject.span, Risk::Low);
            return;
        }
        self.base(entry, subject);
        for arg in operands.iter().filter_map(|position| args.get(*position)) {
            self.data(arg, &arg.bytes, subject);
        }
    }
}

/// Whether a word is written out and chooses neither a file nor a service.
fn is_plain_word(arg: &Argument) -> bool {
    // What is asked for is not to be shown, even by the service that holds it.
    const SECRETS: [&[u8]; 18] = [
        b"secret",
        b"token",
        b"password",
        b"credential",
        b"keyvault",
        b"access-key",
        b"appsettings",
        b"connection-string",
        b"keys",
        b"admin-key",
        b"query-key",
        b"publishing-profile",
        b"kubeconfig",
        b"userdata",
        b"docker-config",
        b"oauth",
        b"--uri",
        b"_auth",
    ];
    const CHOOSES: [&[u8]; 15] = [
        b"--registry",
        b"--server",
        b"--host",
        b"--endpoint",
        b"--kubeconfig",
        b"--proxy",
        b"--url",
        b"--config",
        b"--userconfig",
        b"--repository-url",
        b"--index",
        b"--template-file",
        b"--insecure",
        b"--no-verify-ssl",
        b"--log-http",
    ];
    let Some(word) = arg.known() else { return false };
    let (_, value) = split_value(word);
    let value = value.unwrap_or(word);
    // `key list` of a service shows the keys; `host/owner/name` is a repository elsewhere.
    let elsewhere = value.iter().filter(|b| **b == b'/').count() == 2
        && value.split(|b| *b == b'/').next().is_some_and(|host| host.contains(&b'.') && host != b".");
    !contains(word, b"://")
        && !elsewhere
        && word != b"key"
        && !matches!(value.first(), Some(b'/' | b'~' | b'<'))
        // A scope of a registry is a name; anything else behind the sign is a file.
        && (value.first() != Some(&b'@') || value.get(1).is_some_and(u8::is_ascii_alphanumeric) && contains(value, b"/"))
        && !value.starts_with(b"file")
        && !CHOOSES.iter().any(|option| word.starts_with(option))
        && !SECRETS.iter().any(|name| contains(&word.to_ascii_lowercase(), name))
}

/// The host in a URL or `user@host:port`.
pub(in crate::command) fn host_of(bytes: &[u8]) -> Option<&[u8]> {
    let rest = match bytes.windows(3).position(|w| w == b"://") {
        Some(at) => bytes.get(at + 3..)?,
        None => bytes,
    };
    let authority = rest.split(|b| matches!(b, b'/' | b'?' | b'#' | b'\\')).next()?;
    let host = authority.rsplit(|b| *b == b'@').next()?;
    if host.first() == Some(&b'[') {
        return host.split(|b| *b == b']').next().and_then(|h| h.get(1..));
    }
    host.split(|b| *b == b':').next()
}
