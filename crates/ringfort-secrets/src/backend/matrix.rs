// SPDX-License-Identifier: MIT OR Apache-2.0
//! The matrix of backends as data, and the status that follows from it.
//!
//! In: a request, what the backends answered, what is known of the store. Out: the row, as a [`Status`].
//!
//! **Invariant:** every request in every situation has exactly one row. A row that stands in for what was asked for
//! refuses to write unless the configuration allows it, but for `auto`, which asks for whatever works.

use super::status::{Sight, SlotSeen, Status, Writes};
use super::{Backend, Kind, MEMORY_PATH, Probe, Probes, Requested, Support, select_auto};

/// When a row holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Always.
    Always,
    /// The backend works here, or only waits to be unlocked.
    Works,
    /// It is absent, broken or slow.
    Fails,
    /// It is absent, broken or slow, and the configuration lets the encrypted file stand in.
    FailsAllowed,
}

/// One row of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The names that lead to it.
    pub requested: &'static [&'static str],
    /// When it holds.
    pub when: When,
    /// The backend that is used; `None`: the requested one, or what `auto` came to.
    pub active: Option<Backend>,
    /// See [`Status::provider_implemented`].
    pub provider_implemented: bool,
    /// See [`Status::encrypted_fallback`].
    pub encrypted_fallback: bool,
    /// See [`Status::requested_recognized`].
    pub recognized: bool,
    /// See [`Status::requested_support`].
    pub support: Support,
    /// See [`Status::fallback_applied`].
    pub fallback_applied: bool,
}

const NATIVE: &[&str] = &["secret-service", "keyutils", "tpm2", "pkcs11"];
const DESKTOP: &[&str] = &["keychain", "keystore"];

const fn used(requested: &'static [&'static str], when: When, active: Option<Backend>) -> Row {
    Row {
        requested,
        when,
        active,
        provider_implemented: true,
        encrypted_fallback: false,
        recognized: true,
        support: Support::Implemented,
        fallback_applied: false,
    }
}

const fn stands_in(requested: &'static [&'static str], when: When, provider_implemented: bool) -> Row {
    Row {
        requested,
        when,
        active: Some(Backend::EncryptedFile),
        provider_implemented,
        encrypted_fallback: true,
        recognized: true,
        support: Support::FallbackOnly,
        fallback_applied: true,
    }
}

/// Every row. The documentation has the same table.
pub const MATRIX: &[Row] = &[
    used(&["env"], When::Always, Some(Backend::Env)),
    used(&["file", "encrypted-file"], When::Always, Some(Backend::EncryptedFile)),
    used(NATIVE, When::Works, None),
    used(NATIVE, When::Fails, None),
    stands_in(NATIVE, When::FailsAllowed, true),
    used(DESKTOP, When::Works, Some(Backend::SecretService)),
    stands_in(DESKTOP, When::Fails, false),
    stands_in(&["dpapi"], When::Always, false),
    used(&["auto"], When::Works, None),
    stands_in(&["auto"], When::Fails, false),
    UNKNOWN,
];

/// Finds the row of `name`. The table has one for each name and situation that is asked for; were it missing, the row of
/// what is unknown is the strictest.
fn row(name: &str, when: When) -> Row {
    let found = |when| MATRIX.iter().find(|row| row.when == when && row.requested.contains(&name));
    found(when).or_else(|| found(When::Always)).copied().unwrap_or(UNKNOWN)
}

const UNKNOWN: Row = Row {
    requested: &["(anything else)"],
    when: When::Always,
    active: Some(Backend::Env),
    provider_implemented: false,
    encrypted_fallback: false,
    recognized: false,
    support: Support::Unsupported,
    fallback_applied: true,
};

/// What a request comes to, before the store is looked at.
struct Case {
    row: Row,
    active: Backend,
    probe: Probe,
    reason: Option<String>,
    auto_reason: Option<String>,
    mapped_to: Option<Backend>,
}

/// The status for a request. `probes` is asked only for what the answer depends on.
pub fn classify(requested: &Requested, probes: &dyn Probes, sight: &Sight) -> Status {
    let mut case = case(requested, probes, sight);
    if let Some(slots) = &sight.slots {
        follow_store(&mut case, requested, probes, slots);
    }
    let writes = writes(&case, requested, sight);
    let persistent = persistent(case.active, sight);
    let warnings = warnings(&case, requested, sight);
    Status {
        requested_backend: requested.text().to_owned(),
        active_backend: case.active,
        provider_implemented: case.row.provider_implemented,
        encrypted_fallback: case.row.encrypted_fallback,
        requested_recognized: case.row.recognized,
        requested_support: case.row.support,
        fallback_applied: case.row.fallback_applied,
        fallback_reason: case.reason,
        persistent,
        path: match case.active {
            Backend::Env => MEMORY_PATH.to_owned(),
            _ => sight.path.display().to_string(),
        },
        key_source: match (case.active, sight.key_source.as_ref().or(sight.key_given.as_ref())) {
            (Backend::Env, _) | (Backend::EncryptedFile, None) => "none".to_owned(),
            (Backend::EncryptedFile, Some(source)) => source.clone(),
            (_, Some(source)) if sight.key_source.is_some() => source.clone(),
            (native, Some(_)) => native.word().to_owned(),
            (native, None) => native.word().to_owned(),
        },
        loaded_at_ms: sight.loaded_at_ms,
        saved_at_ms: sight.saved_at_ms,
        count: sight.count,
        root_key: case.probe.word(),
        root_key_message: case.probe.message(),
        mapped_to: case.mapped_to,
        auto_reason: case.auto_reason,
        exists: sight.slots.is_some(),
        locked: sight.locked,
        slots: sight.slots.clone().unwrap_or_default(),
        generation: sight.generation,
        writes,
        warnings,
    }
}

fn case(requested: &Requested, probes: &dyn Probes, sight: &Sight) -> Case {
    let plain = |row: Row, active: Backend| Case {
        row,
        active,
        probe: Probe::Ready,
        reason: None,
        auto_reason: None,
        mapped_to: None,
    };
    match requested.kind() {
        Kind::Exactly(backend @ (Backend::Env | Backend::EncryptedFile)) => {
            plain(row(backend.word(), When::Always), backend)
        }
        Kind::Exactly(backend) => native(backend, probes.probe(backend), sight),
        Kind::Desktop => desktop(requested, probes.probe(Backend::SecretService)),
        Kind::Auto => match sight.slots.is_some() {
            // The store decides; nothing need be probed to choose.
            true => plain(row("auto", When::Works), Backend::EncryptedFile),
            false => auto(probes, sight),
        },
        Kind::Dpapi => {
            let reason = "native backend not implemented: the data protection of Windows does not exist here";
            Case { reason: Some(reason.to_owned()), ..plain(row("dpapi", When::Always), Backend::EncryptedFile) }
        }
        Kind::Unknown => {
            let known =
                "env, file, encrypted-file, secret-service, keyutils, tpm2, pkcs11, auto, keychain, keystore, dpapi";
            let reason = format!(
                "unsupported requested backend `{}`; the backends are {known}",
                requested.text().escape_debug()
            );
            Case { reason: Some(reason), ..plain(UNKNOWN, Backend::Env) }
        }
    }
}

const fn works(probe: &Probe) -> bool {
    matches!(probe, Probe::Ready | Probe::Locked { .. })
}

fn native(backend: Backend, probe: Probe, sight: &Sight) -> Case {
    let (when, active) = match (works(&probe), sight.allow_fallback && sight.slots.is_none()) {
        (true, _) => (When::Works, backend),
        (false, false) => (When::Fails, backend),
        (false, true) => (When::FailsAllowed, Backend::EncryptedFile),
    };
    let mut case =
        Case { row: row(backend.word(), when), active, probe, reason: None, auto_reason: None, mapped_to: None };
    if when == When::FailsAllowed {
        let fault = case.probe.message().unwrap_or_default();
        case.reason =
            Some(format!("{backend}: {fault}; encrypted-file stands in, as secrets.allow_fallback says it may"));
        case.probe = Probe::Ready;
    }
    case
}

fn desktop(requested: &Requested, probe: Probe) -> Case {
    let mapped_to = Some(Backend::SecretService);
    if works(&probe) {
        let row = row("keychain", When::Works);
        return Case { row, active: Backend::SecretService, probe, reason: None, auto_reason: None, mapped_to };
    }
    let fault = probe.message().unwrap_or_default();
    let reason = format!(
        "native backend not implemented: {} is secret-service here, and {fault}",
        requested.text().to_ascii_lowercase()
    );
    Case {
        row: row("keychain", When::Fails),
        active: Backend::EncryptedFile,
        probe: Probe::Ready,
        reason: Some(reason),
        auto_reason: None,
        mapped_to,
    }
}

fn auto(probes: &dyn Probes, sight: &Sight) -> Case {
    if let Some(given) = &sight.key_given {
        return Case {
            row: row("auto", When::Works),
            active: Backend::EncryptedFile,
            probe: Probe::Ready,
            reason: None,
            auto_reason: Some(format!("auto resolves to encrypted-file, for which a key is given ({given})")),
            mapped_to: None,
        };
    }
    let choice = select_auto(probes);
    let fell = choice.backend == Backend::EncryptedFile;
    Case {
        row: row("auto", if fell { When::Fails } else { When::Works }),
        active: choice.backend,
        probe: Probe::Ready,
        reason: fell.then(|| choice.reason.clone()),
        auto_reason: Some(choice.reason),
        mapped_to: None,
    }
}

/// Where there is a store its slots say what opens it; the request only says whether that is what was wanted.
fn follow_store(case: &mut Case, requested: &Requested, probes: &dyn Probes, slots: &[SlotSeen]) {
    if matches!(requested.kind(), Kind::Unknown | Kind::Exactly(Backend::Env)) {
        return;
    }
    let made: Vec<Backend> = slots.iter().filter_map(|slot| Backend::of_source(&slot.source)).collect();
    let Some(first) = made.first().copied() else {
        let message = "the store has no key slot that this version knows".to_owned();
        case.probe = Probe::Broken { message };
        return;
    };
    if requested.kind() == Kind::Auto {
        let found: Vec<(Backend, Probe)> = made.iter().map(|backend| (*backend, look(*backend, probes))).collect();
        let best = found.iter().find(|(_, probe)| probe.is_ready()).or_else(|| found.first());
        if let Some((backend, probe)) = best {
            case.active = *backend;
            case.probe = probe.clone();
            case.auto_reason = Some(format!("auto uses {backend}, with which the store was made"));
            case.reason = None;
        }
        return;
    }
    if made.contains(&case.active) {
        return;
    }
    if let Some(mapped) = case.mapped_to.filter(|mapped| made.contains(mapped)) {
        *case = Case {
            row: row("keychain", When::Works),
            active: mapped,
            reason: None,
            ..desktop(requested, Probe::Ready)
        };
        case.probe = look(mapped, probes);
        return;
    }
    case.active = first;
    case.probe = look(first, probes);
    case.row.fallback_applied = true;
    case.row.encrypted_fallback = first == Backend::EncryptedFile;
    let before = case.reason.take().map(|reason| format!("{reason}; ")).unwrap_or_default();
    case.reason = Some(format!(
        "{before}the store was made with {first} and has no key slot for `{}`; add one, or set secrets.backend = \"{first}\"",
        requested.text().escape_debug()
    ));
}

fn look(backend: Backend, probes: &dyn Probes) -> Probe {
    match backend {
        Backend::Env | Backend::EncryptedFile => Probe::Ready,
        native => probes.probe(native),
    }
}

fn writes(case: &Case, requested: &Requested, sight: &Sight) -> Writes {
    let stands_in = case.row.fallback_applied && requested.kind() != Kind::Auto;
    if stands_in && !sight.allow_fallback {
        let reason = case.reason.clone().unwrap_or_default();
        let help =
            format!("choose another secrets.backend, or let {} stand in: secrets.allow_fallback = true", case.active);
        return Writes::Refused { reason: format!("{reason}; {help}") };
    }
    if case.active == Backend::Env {
        return Writes::Memory;
    }
    // A locked or failing source still opens nothing: only an unlocked store, or another slot, can be written.
    match case.probe.message() {
        Some(message) if sight.slots.is_none() => Writes::Refused { reason: format!("{}: {message}", case.active) },
        _ => Writes::Store,
    }
}

/// Whether the store opens after a restart: it does if one of its slots does.
fn persistent(active: Backend, sight: &Sight) -> bool {
    let lasts = |backend| !matches!(backend, Backend::Env | Backend::Keyutils);
    match (&sight.slots, active) {
        (_, Backend::Env) => false,
        (Some(slots), _) => slots.iter().filter_map(|slot| Backend::of_source(&slot.source)).any(lasts),
        (None, active) => lasts(active),
    }
}

fn warnings(case: &Case, requested: &Requested, sight: &Sight) -> Vec<String> {
    let mut warnings = Vec::new();
    let slots = sight.slots.as_deref().unwrap_or_default();
    let has = |source: &str| slots.iter().any(|slot| slot.source == source);
    let file_key =
        sight.key_source.as_deref().or(sight.key_given.as_deref()).filter(|_| case.active == Backend::EncryptedFile);
    let from = |prefix: &str| file_key.is_some_and(|source| source.starts_with(prefix));
    if case.active == Backend::Env {
        warnings.push("secrets are kept in the memory of this process only and end with it".to_owned());
    }
    if case.active != Backend::Env && (has("key-file") || from("key-file:")) {
        warnings.push(
            "a key file opens the store without a person: whoever has the disk has both; add a passphrase and remove the \
             key file's slot, or keep the key file on another medium"
                .to_owned(),
        );
    }
    if case.active != Backend::Env && (has("env") || from("env:")) {
        warnings.push(
            "the key comes from the environment, where other programs of this user can read it; a passphrase, the Secret \
             Service or a TPM keeps it better"
                .to_owned(),
        );
    }
    if !persistent(case.active, sight) && case.active == Backend::Keyutils {
        warnings.push(
            "the key is in the kernel's keyring only: after a restart nothing opens the store; add a second slot, such as \
             a passphrase"
                .to_owned(),
        );
    }
    if case.mapped_to.is_some() {
        warnings.push(format!("{} is secret-service here", requested.text().to_ascii_lowercase()));
    }
    if requested.kind() == Kind::Unknown && sight.slots.is_some() {
        warnings.push("there is a store, but the requested backend is unknown; nothing is written to it".to_owned());
    }
    warnings
}
