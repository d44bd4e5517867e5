// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the types cannot say: ranges, patterns, and keys that would have no effect.
//!
//! In: the merged configuration and the keys that files or flags have set. Out: faults, each with its key.
//!
//! **Invariant:** a value that compiles into nothing is a fault, never a setting that is ignored.

use std::collections::BTreeSet;

use ringfort_core::obligation::Promise;
use ringfort_core::syscalls::SyscallGroup;

use super::{Config, EgressRuleConfig, GuardConfig, Level, Network, RuntimeKind, SecretsConfig};
use crate::domain::HostPattern;
use crate::egress::rule::{self as egress_rule, EgressRule};
use crate::path::Place;
use crate::rule::{CommandPrefix, SecretPattern, WholeCommand};
use crate::tool::argument::{RULES_MAX, ToolRule};
use crate::tool::{ToolPattern, is_known};

/// Largest number of actions in an hour.
const ACTIONS_PER_HOUR_MAX: u32 = 1_000_000;
/// Largest number of equal actions within the window of the loop guard.
const REPEATS_MAX: u32 = 10_000;
/// Longest time that a command may be given, in seconds (a week).
const SECONDS_MAX: u64 = 7 * 24 * 3600;
/// Largest size, in MiB (a pebibyte).
const MEBIBYTES_MAX: u64 = 1 << 30;
/// Largest share of the processors: 4096 of them.
const PERCENT_MAX: u64 = 4096 * 100;
/// Longest pattern of a text that is blocked. Bytes.
const BLOCKED_BYTES_MAX: usize = 1 << 10;
/// Most patterns of texts that are blocked.
const BLOCKED_MAX: usize = 256;
/// The last register of a TPM.
const TPM_PCR_MAX: u8 = 23;
/// Longest time that an unused store stays unlocked, in minutes (a day).
const IDLE_LOCK_MINUTES_MAX: u32 = 24 * 60;
/// Most entries of one list.
const ENTRIES_MAX: usize = 10_000;

/// A value that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The dotted key.
    pub(crate) key: String,
    /// What kind of fault it is.
    pub(crate) kind: FaultKind,
    /// What is wrong, as a clause.
    pub(crate) message: String,
}

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The value is out of range or malformed.
    Value,
    /// The key changes nothing beside the others.
    NoEffect,
}

/// Collects faults.
#[derive(Default)]
pub(crate) struct Checker {
    faults: Vec<Fault>,
}

impl Checker {
    fn value(&mut self, key: &str, message: impl Into<String>) {
        self.faults.push(Fault { key: key.to_owned(), kind: FaultKind::Value, message: message.into() });
    }

    fn no_effect(&mut self, key: &str, message: impl Into<String>) {
        self.faults.push(Fault { key: key.to_owned(), kind: FaultKind::NoEffect, message: message.into() });
    }

    pub(crate) fn range<N: PartialOrd + std::fmt::Display>(&mut self, key: &str, value: N, low: N, high: N) {
        if value < low || value > high {
            self.value(key, format!("{value} is not between {low} and {high}"));
        }
    }

    fn entries<'a, T: 'a + std::fmt::Display + ?Sized, E: std::fmt::Display>(
        &mut self,
        key: &str,
        list: impl IntoIterator<Item = &'a T>,
        parse: impl Fn(&T) -> Result<(), E>,
    ) {
        for (count, entry) in list.into_iter().enumerate() {
            if count >= ENTRIES_MAX {
                return self.value(key, format!("more than {ENTRIES_MAX} entries"));
            }
            if let Err(error) = parse(entry) {
                let entry = ringfort_core::text::escape_bytes(entry.to_string().as_bytes());
                return self.value(key, format!("`{entry}`: {error}"));
            }
        }
    }

    pub(crate) fn paths(&mut self, key: &str, list: &[String]) {
        self.entries(key, list.iter().map(String::as_str), |entry: &str| Place::parse(entry).map(drop));
    }

    pub(crate) fn hosts(&mut self, key: &str, list: &[String]) {
        self.entries(key, list.iter().map(String::as_str), |entry: &str| HostPattern::parse(entry).map(drop));
    }

    pub(crate) fn secrets(&mut self, key: &str, list: &[String]) {
        self.entries(key, list.iter().map(String::as_str), |entry: &str| SecretPattern::parse(entry).map(drop));
    }

    pub(crate) fn tools(&mut self, key: &str, list: &[String]) {
        self.entries(key, list.iter().map(String::as_str), |entry: &str| ToolPattern::parse(entry).map(drop));
    }

    pub(crate) fn prefixes(&mut self, key: &str, list: &[String]) {
        self.entries(key, list.iter().map(String::as_str), |entry: &str| CommandPrefix::parse(entry).map(drop));
    }

    pub(crate) fn wholes(&mut self, key: &str, list: &[String]) {
        self.entries(key, list.iter().map(String::as_str), |entry: &str| WholeCommand::parse(entry).map(drop));
    }

    pub(crate) fn programs(&mut self, key: &str, list: &[String]) {
        self.entries(key, list.iter().map(String::as_str), |entry: &str| {
            match CommandPrefix::parse(entry).map(|prefix| prefix.words()) {
                Ok(1) => Ok(()),
                Ok(_) => Err("a program is one word; arguments are limited with `deny` and `ask_commands`".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        });
    }

    fn provider(&mut self, key: &str, provider: &str) {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if provider.is_empty() || provider.len() > 64 || !provider.bytes().all(good) {
            self.value(key, "a provider's name holds lower-case letters, digits and `-` only");
        }
    }

    pub(crate) fn closed_groups(&mut self, groups: &BTreeSet<SyscallGroup>) {
        for group in groups.iter().filter(|group| !group.is_optional()) {
            let message = format!("no program starts without `{}`", group.as_str());
            self.value("sandbox.syscalls_denied", message);
        }
    }

    pub(crate) fn limits(&mut self, prefix: &str, limits: &super::LimitsConfig) {
        let bounds = [
            ("wall_secs", limits.wall_secs, SECONDS_MAX),
            ("cpu_secs", limits.cpu_secs, SECONDS_MAX),
            ("cpu_percent", limits.cpu_percent, PERCENT_MAX),
            ("memory_mb", limits.memory_mb, MEBIBYTES_MAX),
            ("processes", limits.processes, 1 << 22),
            ("output_mb", limits.output_mb, MEBIBYTES_MAX),
            ("file_mb", limits.file_mb, MEBIBYTES_MAX),
        ];
        for (name, value, high) in bounds {
            if let Some(value) = value {
                self.range(&format!("{prefix}.{name}"), value, 1, high);
            }
        }
    }

    pub(crate) fn counts(&mut self, actions: Option<u32>, repeats: Option<u32>, timeout: Option<u64>) {
        if let Some(actions) = actions {
            self.range("autonomy.max_actions_per_hour", actions, 0, ACTIONS_PER_HOUR_MAX);
        }
        if let Some(repeats) = repeats {
            self.range("autonomy.loop_repeats_max", repeats, 1, REPEATS_MAX);
        }
        if let Some(timeout) = timeout {
            self.range("autonomy.shell_timeout_secs", timeout, 1, SECONDS_MAX);
        }
    }

    pub(crate) fn tool_rules(&mut self, rules: impl Iterator<Item = Result<(), String>>) {
        for (place, compiled) in rules.enumerate() {
            if place >= RULES_MAX {
                return self.value("autonomy.tool_rules", format!("more than {RULES_MAX} rules"));
            }
            if let Err(fault) = compiled {
                let fault = ringfort_core::text::escape_bytes(fault.as_bytes());
                return self.value("autonomy.tool_rules", format!("rule {}: {fault}", place + 1));
            }
        }
    }

    pub(crate) fn egress_rules<'a>(&mut self, rules: impl Iterator<Item = &'a EgressRuleConfig>) {
        for (place, rule) in rules.enumerate() {
            if place >= egress_rule::RULES_MAX {
                return self.value("egress.rules", format!("more than {} rules", egress_rule::RULES_MAX));
            }
            if let Err(fault) = EgressRule::compile(rule) {
                let fault = ringfort_core::text::escape_bytes(fault.as_bytes());
                return self.value("egress.rules", format!("rule {}: {fault}", place + 1));
            }
        }
    }

    pub(crate) fn guard(&mut self, guard: &GuardConfig) {
        let key = "guard.blocked_patterns";
        if guard.blocked_patterns.len() > BLOCKED_MAX {
            self.value(key, format!("more than {BLOCKED_MAX} patterns"));
        }
        self.entries(key, guard.blocked_patterns.iter(), |pattern: &String| {
            if pattern.len() > BLOCKED_BYTES_MAX {
                Err(format!("it is longer than {BLOCKED_BYTES_MAX} bytes"))
            } else if crate::normal::folded(pattern).chars().count() < 2 {
                Err("nothing of it is left once case, blanks and invisible characters are folded".to_owned())
            } else {
                Ok(())
            }
        });
        for (key, score) in [("guard.review_score", guard.review_score), ("guard.block_score", guard.block_score)] {
            if let Some(score) = score {
                self.range(key, score, 1, 100);
            }
        }
        if guard.review_score.zip(guard.block_score).is_some_and(|(review, block)| review >= block) {
            self.no_effect("guard.review_score", "`guard.block_score` is not above it");
        }
    }

    pub(crate) fn into_faults(self) -> Vec<Fault> {
        self.faults
    }
}

/// Checks the merged configuration. `is_idle(key, by)` says whether a layer has set `key`, a key or section, beside a
/// value of `by` of its own or of nobody: a later layer may switch off what an earlier one has set.
pub(crate) fn check(config: &Config, is_idle: impl Fn(&str, &str) -> bool) -> Vec<Fault> {
    let mut checker = Checker::default();
    check_autonomy(config, &mut checker, &is_idle);
    checker.guard(&config.guard);
    check_agents(config, &mut checker);
    checker.hosts("egress.domains", &config.egress.domains);
    checker.hosts("egress.denied_domains", &config.egress.denied_domains);
    checker.egress_rules(config.egress.rules.iter());
    if config.egress.network == Network::Off {
        for key in ["egress.presets", "egress.rules"] {
            if is_idle(key, "egress.network") {
                checker.no_effect(key, "`egress.network = \"off\"` leaves no door");
            }
        }
    }
    check_sandbox(config, &mut checker);
    check_kept(config, &mut checker, &is_idle);
    checker.into_faults()
}

fn check_autonomy(config: &Config, checker: &mut Checker, is_idle: &impl Fn(&str, &str) -> bool) {
    let autonomy = &config.autonomy;
    checker.counts(Some(autonomy.max_actions_per_hour), Some(autonomy.loop_repeats_max), autonomy.shell_timeout_secs);
    checker.paths("autonomy.forbidden_paths", &autonomy.forbidden_paths);
    checker.paths("autonomy.allowed_roots", &autonomy.allowed_roots);
    checker.paths("autonomy.allowed_roots_read_only", &autonomy.allowed_roots_read_only);
    checker.programs("autonomy.allowed_commands", autonomy.allowed_commands.as_deref().unwrap_or_default());
    checker.prefixes("autonomy.deny", &autonomy.deny);
    checker.prefixes("autonomy.ask_commands", &autonomy.ask_commands);
    checker.wholes("autonomy.unasked_commands", &autonomy.unasked_commands);
    checker.tools("autonomy.allowed_tools", autonomy.allowed_tools.as_deref().unwrap_or_default());
    checker.tools("autonomy.denied_tools", &autonomy.denied_tools);
    checker.tools("autonomy.ask_tools", &autonomy.ask_tools);
    checker.tool_rules(autonomy.tool_rules.iter().map(|rule| ToolRule::compile(rule).map(drop)));
    if let Some(rule) = autonomy.tool_rules.iter().find(|rule| rule.allow && is_known(&rule.tool)) {
        let message = format!("`allow` of `{}`: that tool is known, and judged by what it does", rule.tool);
        checker.no_effect("autonomy.tool_rules", message);
    }
    checker.entries("autonomy.models", autonomy.models.iter(), |model: &String| {
        let odd = |c: char| c.is_control() || ringfort_core::text::is_invisible(c);
        if model.is_empty() || model.len() > 256 || model.chars().any(odd) {
            Err("it is no id of a model")
        } else {
            Ok(())
        }
    });
    checker.entries("autonomy.shell_env_passthrough", autonomy.shell_env_passthrough.iter(), |name| variable(name));
    if autonomy.level == Level::Full {
        for key in ["autonomy.ask", "autonomy.ask_commands", "autonomy.ask_tools"] {
            if is_idle(key, "autonomy.level") {
                checker.no_effect(key, "`autonomy.level = \"full\"` never asks");
            }
        }
    }
    if autonomy.level == Level::Readonly {
        for key in ["autonomy.ask", "autonomy.unasked_commands"] {
            if is_idle(key, "autonomy.level") {
                checker.no_effect(key, "`autonomy.level = \"readonly\"` denies instead of asking");
            }
        }
    }
}

fn is_tpm(place: &str) -> bool {
    match place.strip_prefix("loopback:") {
        Some(port) => port.parse::<u16>().is_ok_and(|port| port > 0),
        None => place.starts_with("/dev/") && !place.contains("/../"),
    }
}

fn check_secrets(secrets: &SecretsConfig, checker: &mut Checker) {
    if !secrets.encrypt {
        checker.value("secrets.encrypt", "secrets are stored encrypted, or not at all");
    }
    let backend = secrets.backend.trim();
    if backend.is_empty() || backend.len() > 64 || backend.chars().any(|c| c.is_control()) {
        checker.value("secrets.backend", "it is the name of a backend; `ringfort secrets status` lists them");
    }
    checker.range("secrets.idle_lock_minutes", secrets.idle_lock_minutes, 1, IDLE_LOCK_MINUTES_MAX);
    if secrets.tpm2_device.as_deref().is_some_and(|place| !is_tpm(place)) {
        checker.value("secrets.tpm2_device", "it is a device file, as `/dev/tpmrm0`, or `loopback:PORT`");
    }
    let is_path = |path: &str| path.starts_with('/') && !path.contains('\0');
    if secrets.pkcs11_module.as_deref().is_some_and(|module| !is_path(module)) {
        checker.value("secrets.pkcs11_module", "it is no absolute path");
    }
    for (key, file) in
        [("secrets.tpm2_pin_file", &secrets.tpm2_pin_file), ("secrets.pkcs11_pin_file", &secrets.pkcs11_pin_file)]
    {
        if file.as_deref().is_some_and(|file| !is_path(file)) {
            checker.value(key, "it is no absolute path");
        }
    }
    for (key, is_set) in [
        ("secrets.pkcs11_token", secrets.pkcs11_token.is_some()),
        ("secrets.pkcs11_pin_file", secrets.pkcs11_pin_file.is_some()),
    ] {
        if is_set && secrets.pkcs11_module.is_none() {
            checker.no_effect(key, "`secrets.pkcs11_module` names no module");
        }
    }
    if secrets.tpm2_pcrs.iter().any(|pcr| *pcr > TPM_PCR_MAX) {
        checker.value("secrets.tpm2_pcrs", format!("the registers are 0 to {TPM_PCR_MAX}"));
    }
    checker.secrets("secrets.allow", secrets.allow.as_deref().unwrap_or_default());
    checker.secrets("secrets.deny", &secrets.deny);
}

/// Variables that decide which code a program loads; no list may pass them on.
const LOADER_VARIABLES: &[&str] = &[
    "LD_*",
    "DYLD_*",
    "BASH_ENV",
    "ENV",
    "BASH_FUNC_*",
    "PROMPT_COMMAND",
    "PYTHONSTARTUP",
    "PYTHONPATH",
    "PERL5OPT",
    "PERL5LIB",
    "RUBYOPT",
    "NODE_OPTIONS",
    "GIT_SSH*",
    "GIT_EXEC_PATH",
    "GIT_CONFIG*",
    "GCONV_PATH",
    "IFS",
    "SHELLOPTS",
    "BASHOPTS",
    "PS4",
    "RINGFORT_*",
];

/// Whether a program may be given a variable of this name by a list or an option.
///
/// # Errors
///
/// Why not, as a clause.
pub fn variable(name: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(good) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("a variable name holds letters, digits and `_` only".to_owned());
    }
    let loads = LOADER_VARIABLES.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == *pattern,
    });
    if loads { Err("it decides which code a program loads and is never passed on".to_owned()) } else { Ok(()) }
}

fn check_sandbox(config: &Config, checker: &mut Checker) {
    let sandbox = &config.sandbox;
    if !sandbox.require.contains(&Promise::ConfineWrites) {
        checker.value("sandbox.require", "a cage without `confine-writes` is none");
    }
    if sandbox.syscalls_allowed.iter().any(|group| *group != SyscallGroup::Debug) {
        checker.value("sandbox.syscalls_allowed", "only `debug` is not allowed already");
    }
    checker.closed_groups(&sandbox.syscalls_denied);
    checker.limits("sandbox.limits", &sandbox.limits);
    checker.paths("sandbox.hidden", &sandbox.hidden);
    checker.entries("sandbox.home_read_only", sandbox.home_read_only.iter(), |entry| match Place::parse(entry) {
        Ok(place) if place.is_below_home() => Ok(()),
        Ok(_) => Err("it begins with `~/` and names a folder below the home folder".to_owned()),
        Err(error) => Err(error.to_string()),
    });
}

fn check_agents(config: &Config, checker: &mut Checker) {
    for (name, agent) in &config.agents {
        let odd = |c: char| c.is_control() || ringfort_core::text::is_invisible(c) || c == '/';
        let shown = ringfort_core::text::escape_bytes(name.as_bytes());
        if name.is_empty() || name.len() > ringfort_core::limits::PRINCIPAL_NAME_BYTES_MAX || name.chars().any(odd) {
            checker.value("agents", format!("`{shown}` is no name of an agent"));
        } else if let Some(provider) = &agent.provider {
            checker.provider(&format!("agents.{name}.provider"), provider);
        } else {
            checker.no_effect("agents", format!("`[agents.{shown}]` says nothing"));
        }
    }
}

fn check_kept(config: &Config, checker: &mut Checker, is_idle: &impl Fn(&str, &str) -> bool) {
    checker.provider("policy.provider", &config.policy.provider);
    let docker = &config.runtime.docker;
    let is_container = matches!(config.runtime.kind, RuntimeKind::Docker | RuntimeKind::Podman);
    if !is_container && is_idle("runtime.docker", "runtime.kind") {
        checker.no_effect("runtime.docker", "`runtime.kind` is neither `docker` nor `podman`");
    }
    if docker.image.is_empty() {
        checker.value("runtime.docker.image", "it is empty");
    }
    if docker.network.is_empty() {
        checker.value("runtime.docker.network", "it is empty");
    }
    checker.range("runtime.docker.memory_limit_mb", docker.memory_limit_mb, 1, MEBIBYTES_MAX);
    if !(docker.cpu_limit > 0.0 && docker.cpu_limit <= 4096.0) {
        checker.value("runtime.docker.cpu_limit", "it is not above 0 and at most 4096");
    }
    check_secrets(&config.secrets, checker);
    checker.range("gateway.pair_rate_limit_per_minute", config.gateway.pair_rate_limit_per_minute, 1, 1_000_000);
    checker.range("gateway.webhook_rate_limit_per_minute", config.gateway.webhook_rate_limit_per_minute, 1, 1_000_000);
    checker.range("gateway.rate_limit_max_keys", config.gateway.rate_limit_max_keys, 1, 10_000_000);
    checker.range("gateway.idempotency_ttl_secs", config.gateway.idempotency_ttl_secs, 1, SECONDS_MAX);
    checker.range("gateway.idempotency_max_keys", config.gateway.idempotency_max_keys, 1, 10_000_000);
    checker.entries("gateway.paired_tokens", config.gateway.paired_tokens.iter(), |token| {
        ringfort_core::digest::Digest::parse(token).map(drop).ok_or("a token digest is 64 lower-case hex digits")
    });
    if config.gateway.host.parse::<std::net::IpAddr>().is_err() && config.gateway.host != "localhost" {
        checker.value("gateway.host", "it is not an address");
    }
}
