// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two processes of a cage: the keeper, and the one that becomes the program.
//!
//! In: a [`Plan`] that was prepared before the clone. Out: reports and events over two descriptors.
//!
//! **Invariant:** the order is the security model: identity, network, mounts, session, rights, then in the program's process
//! limits, Landlock, seccomp last, probes, `execve`. Nothing here allocates: the supervisor may have threads.
//! The keeper is the init of the pid namespace (or, without one, the reaper of orphans): it reaps, passes on what
//! happens, and when it ends everything ends. It holds no rights and reads nothing but signals and answers from the supervisor.

use std::ffi::{CString, c_int, c_uint};

use super::door::{self, NetworkPlan};
use super::filter::Sockets;
use super::landlock::Rules;
use super::step::{Step, StepFailure, ViewReport, build_view};
use super::sweep;
use super::trace::{self, Tracer};
use super::wire::{EVENT_BYTES, Message, Report, Stage};
use super::witness::{Connecting, Findings, Witness};
use super::{Tried, ignore};
use crate::profile::Tracing;
use crate::syscall::{self, Answer, ChildChange, Errno, ExecVectors, Instruction, Patience, Which};

/// Everything that the child needs, prepared before.
pub(super) struct Plan {
    pub(super) sockets: Sockets,
    /// Whether there is a view of its own and a process namespace.
    pub(super) namespaced: bool,
    /// Lines for `uid_map` and `gid_map`; `None` without a user namespace.
    pub(super) identity: Option<(CString, CString)>,
    pub(super) network: NetworkPlan,
    pub(super) workspace: CString,
    pub(super) steps: Vec<Step>,
    pub(super) cwd: CString,
    pub(super) limits: Vec<(c_uint, u64)>,
    pub(super) tracing: Tracing,
    pub(super) rules: Rules,
    pub(super) filter: Vec<Instruction>,
    pub(super) witness: Witness,
    /// Which findings must be 0, in the order of the promises.
    pub(super) required: [bool; super::witness::PROMISES],
    /// Whether Landlock must be seen to refuse.
    pub(super) landlock_required: bool,
    pub(super) exec: ExecVectors,
    pub(super) descriptors: Descriptors,
    /// Whether the keeper may ask for a signal when the thread that started it ends.
    pub(super) started_by_main_thread: bool,
}

/// Descriptor numbers in the child; all above the ones that they become.
#[derive(Clone, Copy)]
pub(super) struct Descriptors {
    pub(super) stdin: c_int,
    pub(super) stdout: c_int,
    pub(super) stderr: c_int,
    pub(super) terminal: Option<c_int>,
    pub(super) broker: Option<c_int>,
    pub(super) control: c_int,
    pub(super) report: c_int,
    /// Where the program's process enters its control groups.
    pub(super) groups: [Option<c_int>; GROUPS_MAX],
}

/// Most hierarchies of control groups: the unified one and one for each controller.
pub(super) const GROUPS_MAX: usize = 4;

/// Where the broker's socket appears in the program.
pub(crate) const BROKER: c_int = 3;

/// Status of a process of ours that failed; the report says why.
pub(super) const EXIT_FAILED: u8 = 125;

pub(super) struct Failure {
    stage: Stage,
    index: u16,
    errno: Errno,
}

pub(super) fn during(stage: Stage) -> impl Fn(Errno) -> Failure {
    move |errno| Failure { stage, index: u16::MAX, errno }
}

/// Runs in the cloned child until the program has ended. Every signal is blocked.
pub(super) fn keep(plan: &mut Plan) -> u8 {
    let started = prepare_and_start(plan);
    // The program has its copy, and this process stays as long as it.
    plan.exec.forget();
    match started {
        Ok(program) => watch(plan, program),
        Err(failure) => {
            report_failure(plan, &failure);
            EXIT_FAILED
        }
    }
}

fn report_failure(plan: &Plan, failure: &Failure) {
    let Failure { stage, index, errno } = *failure;
    let report = Report::Failed { stage, index, errno: errno.0 };
    // When the supervisor is gone there is nobody to tell, and the process ends anyway.
    ignore(syscall::write_all(plan.descriptors.report, &report.encode()));
}

fn prepare_and_start(plan: &Plan) -> Result<i32, Failure> {
    // The end of a keeper ends its process namespace. Without one it has to live on, to end what it keeps: it sees the
    // end of the supervisor by the control socket.
    if plan.started_by_main_thread && plan.namespaced {
        syscall::die_with_parent().map_err(during(Stage::Session))?;
    }
    // A caller may ignore SIGCHLD, and ignored is inherited: the end of the program would never be told.
    syscall::default_actions().map_err(during(Stage::Signals))?;
    close_foreign(&plan.descriptors).map_err(during(Stage::Descriptors))?;
    let umask = syscall::umask(0);
    let mut view = ViewReport::default();
    if let Some((uid_map, gid_map)) = &plan.identity {
        map_identity(uid_map, gid_map).map_err(during(Stage::Identity))?;
    }
    if plan.namespaced {
        open_network(plan).map_err(during(Stage::Network))?;
        view = build_view(&plan.workspace, &plan.steps).map_err(|StepFailure { index, errno }| Failure {
            stage: Stage::View,
            index,
            errno,
        })?;
    } else {
        syscall::adopt_orphans().map_err(during(Stage::Session))?;
        door::open(&plan.network, plan.descriptors.control).map_err(during(Stage::Network))?;
    }
    syscall::umask(umask);
    lead_session().map_err(during(Stage::Session))?;
    if let Some(terminal) = plan.descriptors.terminal {
        syscall::take_terminal(terminal).map_err(during(Stage::Session))?;
    }
    syscall::drop_capabilities().map_err(during(Stage::Rights))?;
    syscall::set_no_new_privileges().map_err(during(Stage::Rights))?;
    syscall::forbid_dump().map_err(during(Stage::Rights))?;
    match plan.tracing {
        Tracing::Off => syscall::clone_borrowing(|| become_program(plan, view)).map_err(during(Stage::Fork)),
        Tracing::Programs => trace::start(|| become_program(plan, view)),
    }
}

/// Starts a session, unless whoever started this process has given it one of its own.
fn lead_session() -> Answer<()> {
    match syscall::setsid() {
        Err(Errno(libc::EPERM)) if syscall::session_of_self() == Ok(syscall::getpid()) => Ok(()),
        answer => answer,
    }
}

/// Makes what the plan wants of the network.
fn open_network(plan: &Plan) -> Answer<()> {
    match door::open(&plan.network, plan.descriptors.control) {
        // A root that may make namespaces and may not touch networks (in a container): its loopback stays down, and
        // less is reachable by it, not more.
        Err(Errno(libc::EPERM)) if plan.identity.is_none() && matches!(plan.network, NetworkPlan::Alone) => Ok(()),
        answer => answer,
    }
}

/// Closes everything that is not named in `descriptors`: what the supervisor has open is its own.
fn close_foreign(descriptors: &Descriptors) -> Answer<()> {
    let [one, two, three, four] = descriptors.groups.map(|group| group.unwrap_or(descriptors.control));
    let mut keep = [
        one,
        two,
        three,
        four,
        descriptors.stdin,
        descriptors.stdout,
        descriptors.stderr,
        descriptors.control,
        descriptors.report,
        descriptors.terminal.unwrap_or(descriptors.control),
        descriptors.broker.unwrap_or(descriptors.control),
    ];
    keep.sort_unstable();
    let mut first = 0_u32;
    for kept in keep {
        let kept = kept.unsigned_abs();
        if kept > first {
            syscall::close_range(first, kept.saturating_sub(1), 0)?;
        }
        first = first.max(kept.saturating_add(1));
    }
    syscall::close_range(first, u32::MAX, 0)
}

/// Maps the user. The files belong to root in a process that may not be dumped, as a supervisor that holds secrets may not
/// be, and its copy: then it may for as long as this takes.
fn map_identity(uid_map: &CString, gid_map: &CString) -> Answer<()> {
    if syscall::may_be_dumped()? {
        return write_maps(uid_map, gid_map);
    }
    syscall::allow_dump()?;
    let mapped = write_maps(uid_map, gid_map);
    syscall::forbid_dump()?;
    mapped
}

fn write_maps(uid_map: &CString, gid_map: &CString) -> Answer<()> {
    for (path, line) in
        [(c"/proc/self/setgroups", c"deny"), (c"/proc/self/uid_map", uid_map), (c"/proc/self/gid_map", gid_map)]
    {
        let file = syscall::openat(libc::AT_FDCWD, path, libc::O_WRONLY, 0)?;
        let written = syscall::write_all(file, line.to_bytes());
        syscall::close(file);
        written?;
    }
    Ok(())
}

/// Confines this process and becomes the program.
fn become_program(plan: &Plan, view: ViewReport) -> u8 {
    match confine(plan) {
        Err(failure) => report_failure(plan, &failure),
        Ok(connecting) => {
            let findings = match examine(plan, connecting) {
                Ok(findings) => findings,
                Err(failure) => {
                    report_failure(plan, &failure);
                    return EXIT_FAILED;
                }
            };
            let overlays_refused = view.overlays_refused;
            let broken = findings.faults.iter().zip(plan.required).any(|(fault, required)| required && *fault != 0);
            if broken || (plan.landlock_required && !findings.landlock) {
                let report = Report::Refused { findings, overlays_refused };
                ignore(syscall::write_all(plan.descriptors.report, &report.encode()));
                return EXIT_FAILED;
            }
            let report = Report::Ready { findings, overlays_refused };
            if syscall::write_all(plan.descriptors.report, &report.encode()).is_err() {
                return EXIT_FAILED; // The supervisor is gone.
            }
            match leave(plan) {
                Err(failure) => report_failure(plan, &failure),
                Ok(()) => {
                    let errno = plan.exec.exec();
                    let report = Report::NotExecuted { errno: errno.0 };
                    ignore(syscall::write_all(plan.descriptors.report, &report.encode()));
                }
            }
        }
    }
    EXIT_FAILED
}

fn confine(plan: &Plan) -> Result<Connecting, Failure> {
    let descriptors = &plan.descriptors;
    for group in descriptors.groups.into_iter().flatten() {
        syscall::write_all(group, b"0").map_err(during(Stage::Group))?;
    }
    syscall::die_with_parent().map_err(during(Stage::Session))?;
    syscall::become_group_leader().map_err(during(Stage::Session))?;
    if let Some(terminal) = descriptors.terminal {
        syscall::set_foreground(terminal, syscall::getpid()).map_err(during(Stage::Session))?;
    }
    let moves = [(descriptors.stdin, 0), (descriptors.stdout, 1), (descriptors.stderr, 2)];
    for (from, to) in moves.into_iter().chain(descriptors.broker.map(|broker| (broker, BROKER))) {
        syscall::duplicate_to(from, to).map_err(during(Stage::Descriptors))?;
    }
    syscall::chdir(&plan.cwd).map_err(during(Stage::Folder))?;
    for (resource, value) in &plan.limits {
        syscall::limit_resource(*resource, *value).map_err(during(Stage::Limits))?;
    }
    plan.rules.apply(&[0, 1, 2]).map_err(during(Stage::Landlock))?;
    if let NetworkPlan::Supervised { filter } = &plan.network
        // Where it cannot be had (an old kernel, a listener further out) there is no door, and the plain filter closes
        // what this one would have opened.
        && let Ok(listener) = syscall::install_telling_filter(filter)
    {
        door::hand_out_connects(descriptors.control, listener).map_err(during(Stage::Network))?;
        return Ok(Connecting::Supervised);
    }
    syscall::install_filter(&plan.filter).map_err(during(Stage::Seccomp))?;
    Ok(Connecting::Direct)
}

/// Makes the attempts of the witness.
fn examine(plan: &Plan, connecting: Connecting) -> Result<Findings, Failure> {
    if connecting == Connecting::Direct {
        return Ok(plan.witness.examine(connecting));
    }
    // The supervisor reads the addresses of the attempts, and may read only what may be dumped. The program is not here
    // yet, so whoever else may do so now is the caller.
    syscall::allow_dump().map_err(during(Stage::Rights))?;
    let findings = plan.witness.examine(connecting);
    syscall::forbid_dump().map_err(during(Stage::Rights))?;
    Ok(findings)
}

/// The last steps before `execve`: nothing of ours stays open, no signal stays blocked. None is ignored or handled: the
/// keeper gave each its default action.
fn leave(plan: &Plan) -> Result<(), Failure> {
    let first = if plan.descriptors.broker.is_some() { BROKER + 1 } else { BROKER };
    syscall::close_range(first.unsigned_abs(), u32::MAX, libc::CLOSE_RANGE_CLOEXEC)
        .map_err(during(Stage::Descriptors))?;
    syscall::unblock_signals().map_err(during(Stage::Signals))
}

/// Reaps and passes on until the program has ended, or the supervisor is gone.
fn watch(plan: &Plan, program: i32) -> u8 {
    let Descriptors { control, .. } = plan.descriptors;
    let only_control = Descriptors {
        stdin: control,
        stdout: control,
        stderr: control,
        terminal: plan.descriptors.terminal,
        broker: None,
        control,
        report: control,
        groups: [None; GROUPS_MAX],
    };
    let changes = match close_foreign(&only_control).and_then(|()| syscall::child_signal_fd()) {
        Ok(descriptor) => descriptor,
        Err(_) => return end(plan, program, None),
    };
    let mut tracer = (plan.tracing == Tracing::Programs).then(Tracer::new);
    loop {
        let Ok([changed, commanded]) = syscall::poll_readable([changes, control], None) else {
            return end(plan, program, None);
        };
        if changed {
            let mut buffer = [0; SIGNAL_INFO_BYTES];
            // Only empties the descriptor; what happened is asked below.
            ignore(syscall::read(changes, &mut buffer));
            let last = match &mut tracer {
                Some(tracer) => tracer.reap(control, program),
                None => reap(control, program),
            };
            if let Some(last) = last {
                return end(plan, program, Some(last));
            }
        }
        if commanded && !obey(control, program, tracer.as_mut()) {
            return end(plan, program, None);
        }
    }
}

/// Bytes of `struct signalfd_siginfo`.
const SIGNAL_INFO_BYTES: usize = 128;

/// Reaps what has ended. Returns the program's end.
fn reap(control: c_int, program: i32) -> Option<Message> {
    while let Ok(Some((pid, change))) = syscall::wait_child(Which::Any, Patience::Look) {
        if pid != program {
            continue;
        }
        match change {
            ChildChange::Exited(status) => return Some(Message::Exited(status)),
            ChildChange::Signaled(signal) => return Some(Message::Signaled(signal)),
            // A supervisor that does not read loses stops, never ends.
            ChildChange::Stopped(signal) => {
                ignore(syscall::send(control, &Message::Stopped(signal).encode(), Patience::Look));
            }
            ChildChange::Continued => {
                ignore(syscall::send(control, &Message::Continued.encode(), Patience::Look));
            }
        }
    }
    None
}

/// Carries out one command; `false` when the supervisor is gone.
fn obey(control: c_int, program: i32, tracer: Option<&mut Tracer>) -> bool {
    let mut buffer = [0; EVENT_BYTES];
    match syscall::receive(control, &mut buffer, Patience::Look) {
        Err(Errno(libc::EAGAIN)) => true,
        Err(_) | Ok(0) => false,
        Ok(length) => {
            match (buffer.get(..length).and_then(Message::decode), tracer) {
                // The group may have no member left; the end of the program is reported by itself.
                (Some(Message::Signal(signal)), _) => ignore(syscall::kill(program.saturating_neg(), signal)),
                (Some(Message::MayRun(number)), Some(tracer)) => tracer.answer(number, true),
                (Some(Message::MayNotRun(number)), Some(tracer)) => tracer.answer(number, false),
                _ => {}
            }
            true
        }
    }
}

/// Ends everything, then says how the program ended.
///
/// In a pid namespace the kernel kills the rest when this process is gone; without one it is swept here.
fn end(plan: &Plan, program: i32, last: Option<Message>) -> u8 {
    if plan.sockets == Sockets::Shared {
        sweep::sweep_descendants(program);
    }
    if let Some(last) = last {
        ignore(syscall::send(plan.descriptors.control, &last.encode(), Patience::Wait));
    }
    0
}

/// What [`try_out`] tries.
pub(super) struct TryPlan {
    /// `None` where no user namespace is made.
    pub(super) identity: Option<(CString, CString)>,
    pub(super) workspace: CString,
    pub(super) steps: Vec<Step>,
}

/// Statuses of the child that tries.
const TRIED_NOTHING: u8 = 10;
const TRIED_IDENTITY: u8 = 11;
const TRIED_MOUNTS: u8 = 12;
const TRIED_OVERLAYS: u8 = 13;

/// Starts a child in new namespaces that does what a cage does first, and ends.
pub(super) fn try_out(namespaces: u64, plan: &TryPlan) -> Tried {
    let attempt = || {
        if let Some((uid_map, gid_map)) = &plan.identity
            && map_identity(uid_map, gid_map).is_err()
        {
            return TRIED_NOTHING;
        }
        match build_view(&plan.workspace, &plan.steps) {
            Err(_) => TRIED_IDENTITY,
            Ok(view) if view.overlays_refused != 0 => TRIED_MOUNTS,
            Ok(_) => TRIED_OVERLAYS,
        }
    };
    let Ok(mask) = syscall::block_all_signals() else {
        return Tried::default();
    };
    let cloned = syscall::clone_process(namespaces, attempt);
    ignore(syscall::restore_signals(mask));
    let Ok(cloned) = cloned else {
        return Tried::default();
    };
    let status = match syscall::wait_child(Which::One(cloned.pid), Patience::Wait) {
        Ok(Some((_, ChildChange::Exited(status)))) => u8::try_from(status).unwrap_or(0),
        _ => 0,
    };
    Tried { identity: status >= TRIED_IDENTITY, mounts: status >= TRIED_MOUNTS, overlays: status == TRIED_OVERLAYS }
}
