// SPDX-License-Identifier: MIT OR Apache-2.0
//! The supervisor of one run: starts the cage, relays its streams, serves its broker, and settles at the end.
//!
//! In: an admitted request, a profile and the caller's streams. Out: how the program ended, and everything of it gone.
//!
//! **Invariant:** every process of a governed principal is started here, under a permit, inside a cage. Whatever way
//! this function is left, the cages are killed first. A question pauses every relay.

pub mod broker;
pub mod broker_server;
pub(crate) mod recorded;
mod relay;
pub mod screen;
mod starts;
pub mod stdio;
pub mod terminal;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd as _;

use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal as UnixSignal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use ringfort_core::clock::Clock;
use ringfort_detect::Known;
use ringfort_sandbox::footprint;
use ringfort_sandbox::launch::{Answer, Cage, Event};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{tcgetwinsize, tcsetwinsize};

use self::broker_server::BrokerServer;
use self::relay::Stream;
use self::stdio::Outside;
use self::terminal::{PAUSE, TICK, UserTerminal};
use crate::egress::desk::Desk;

/// How the main program of a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// It was killed because its time was over.
    TimedOut,
}

/// After everything inside has ended: how often nothing may come from a stream before it is given up, in ticks.
const SILENT_TICKS_MAX: u32 = 16;

/// Most events of a cage that are taken in one turn.
const EVENTS_PER_TURN: usize = 32;

/// How often each output is passed on at most before a nested request is served.
const OUTPUT_ROUNDS_MAX: usize = 8;

/// The signals that a supervisor takes instead of dying by them.
const SIGNALS: [UnixSignal; 7] = [
    UnixSignal::SIGINT,
    UnixSignal::SIGTERM,
    UnixSignal::SIGHUP,
    UnixSignal::SIGQUIT,
    UnixSignal::SIGTSTP,
    UnixSignal::SIGWINCH,
    UnixSignal::SIGCONT,
];

/// Signals as a descriptor. Make it before any thread exists.
pub struct Signals {
    fd: SignalFd,
    /// Those that came while a question was open, for whoever asks for the next one.
    kept: RefCell<VecDeque<UnixSignal>>,
}

/// Most signals that are kept while a question is open; equal ones merge in the kernel, so few come.
const SIGNALS_KEPT_MAX: usize = 64;

impl Signals {
    /// Takes the signals of this process over.
    ///
    /// # Errors
    ///
    /// The signals act as before.
    pub fn take() -> io::Result<Self> {
        let mut set = SigSet::empty();
        SIGNALS.iter().for_each(|signal| set.add(*signal));
        let mut blocked = set;
        // A record that may not grow is an error to be reported, not an end without a word.
        blocked.add(UnixSignal::SIGXFSZ);
        blocked.thread_block()?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { fd, kept: RefCell::default() })
    }

    fn next(&self) -> Option<UnixSignal> {
        self.kept.borrow_mut().pop_front().or_else(|| self.read())
    }

    fn read(&self) -> Option<UnixSignal> {
        let info = self.fd.read_signal().ok()??;
        UnixSignal::try_from(i32::try_from(info.ssi_signo).ok()?).ok()
    }

    /// Whether there are some that were kept, which no descriptor tells of any more.
    fn has_kept(&self) -> bool {
        !self.kept.borrow().is_empty()
    }

    /// Whether a signal has come by which somebody wants an end. It stays there to be taken.
    pub fn want_an_end(&self) -> bool {
        let mut kept = self.kept.borrow_mut();
        while kept.len() < SIGNALS_KEPT_MAX
            && let Some(signal) = self.read()
        {
            kept.push_back(signal);
        }
        let ends = [UnixSignal::SIGINT, UnixSignal::SIGTERM, UnixSignal::SIGHUP, UnixSignal::SIGQUIT];
        kept.iter().any(|signal| ends.contains(signal))
    }
}

/// What a supervisor works with.
pub struct Supervision<'a> {
    /// The cage of the main program.
    pub cage: Cage,
    /// The caller's side of the streams.
    pub outside: Outside,
    /// Signals of this process.
    pub signals: &'a Signals,
    /// The user's terminal.
    pub terminal: Option<&'a UserTerminal>,
    /// Whether output on a terminal is redacted as well.
    pub redact_terminal: bool,
    /// Values that are blanked in whatever is redacted.
    pub known: Option<Arc<Known>>,
    /// Serves nested requests.
    pub broker: Option<broker_server::Service<'a>>,
    /// Rules on connections to the network.
    pub desk: Option<&'a Desk<'a>>,
    /// Bounds that the supervisor keeps: wall time and output.
    pub bounds: Bounds<'a>,
}

/// What a supervisor bounds itself; the other limits are the kernel's.
#[derive(Clone, Copy)]
pub struct Bounds<'a> {
    /// Time.
    pub clock: &'a dyn Clock,
    /// Longest run; everything is killed then.
    pub wall: Option<Duration>,
    /// Most bytes of each output that are passed on; the rest is dropped and marked.
    pub output_bytes_max: Option<u64>,
}

impl Bounds<'_> {
    /// When the run is over at the latest.
    fn deadline(&self) -> Option<Duration> {
        self.wall.map(|wall| self.clock.monotonic().saturating_add(wall))
    }
}

/// Runs the loop until the main program has ended and everything it wrote has been passed on.
///
/// # Errors
///
/// The supervisor itself failed; the cage has been killed.
pub fn supervise(supervision: Supervision<'_>) -> io::Result<Ended> {
    let mut supervisor = Supervisor::new(supervision)?;
    footprint::forget_start();
    let ended = supervisor.run();
    supervisor.end_cages();
    if let Some(terminal) = supervisor.terminal {
        terminal.restore();
    }
    ended
}

struct Supervisor<'a> {
    cage: Cage,
    signals: &'a Signals,
    terminal: Option<&'a UserTerminal>,
    pty: Option<std::os::fd::OwnedFd>,
    inputs: Vec<Stream>,
    outputs: Vec<Stream>,
    broker: Option<BrokerServer<'a>>,
    desk: Option<&'a Desk<'a>>,
    /// Whether keys of the user's terminal go to the program while this process is in front.
    has_keys: bool,
    bounds: Bounds<'a>,
    deadline: Option<Duration>,
}

impl<'a> Supervisor<'a> {
    fn new(supervision: Supervision<'a>) -> io::Result<Self> {
        let Supervision { cage, outside, signals, terminal, redact_terminal, known, broker, desk, bounds } =
            supervision;
        let mut inputs: Vec<Stream> = outside.input.into_iter().map(|(from, to)| Stream::input(from, to)).collect();
        let mut outputs: Vec<Stream> = outside
            .outputs
            .into_iter()
            .map(|(from, to)| Stream::captured(from, to, known.clone()).bounded(bounds.output_bytes_max))
            .collect();
        let mut pty = None;
        let mut has_keys = false;
        if let Some(theirs) = outside.terminal {
            let master = theirs.master;
            if let Some(from_user) = theirs.from_user {
                inputs.push(Stream::keys(from_user, master.try_clone()?));
                has_keys = true;
            }
            let screen = Stream::screen(master.try_clone()?, theirs.to_user, redact_terminal, known);
            outputs.push(screen.bounded(bounds.output_bytes_max));
            pty = Some(master);
        }
        let broker = broker.map(BrokerServer::new);
        let deadline = bounds.deadline();
        let supervisor =
            Self { cage, signals, terminal, pty, inputs, outputs, broker, desk, has_keys, bounds, deadline };
        supervisor.take_terminal()?;
        Ok(supervisor)
    }

    fn run(&mut self) -> io::Result<Ended> {
        let mut ended = None;
        let mut silent = 0;
        loop {
            if let Some(ended) = ended {
                let open = self.outputs.iter().any(|stream| !stream.is_done());
                if !open || silent >= SILENT_TICKS_MAX {
                    return Ok(ended);
                }
            } else if self.broker.as_ref().is_some_and(BrokerServer::is_ended) {
                self.cage.kill_all();
            } else if self.deadline.is_some_and(|deadline| self.bounds.clock.monotonic() >= deadline) {
                self.deadline = None;
                ended = Some(Ended::TimedOut);
                self.inputs.clear();
                self.end_cages();
                continue;
            }
            if !self.may_read_keys() {
                self.take_terminal()?;
            }
            let woken = self.wait(ended.is_some())?;
            silent = if woken.nothing && !woken.blocked { silent + 1 } else { 0 };
            if woken.nothing {
                self.outputs.iter_mut().for_each(Stream::idle);
            }
            if woken.signals || self.signals.has_kept() {
                while let Some(signal) = self.signals.next() {
                    self.take_signal(signal)?;
                }
            }
            if woken.cage {
                // A flood of programs that are started must not starve everything else; what is left wakes again.
                for _ in 0..EVENTS_PER_TURN {
                    let Some(event) = self.cage.next_event() else { break };
                    if let Some(end) = self.take_event(event)? {
                        ended = Some(end);
                        self.inputs.clear();
                        self.end_cages();
                        break;
                    }
                }
            }
            // Also when nothing happens: a nested run's time may be over.
            if (woken.broker || woken.nothing) && self.broker.is_some() {
                self.pass_on_output();
                self.broker.iter_mut().for_each(BrokerServer::serve);
            }
            if woken.desk {
                self.serve_desk();
            }
            // A freeze closes the door, whatever else happens.
            self.desk.iter().for_each(|desk| desk.heed_freeze());
        }
    }

    /// Passes on what was said before a request, so that it stands before the question that the request may lead to.
    fn pass_on_output(&mut self) {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let is_ready = |stream: &Stream| {
            let Some((fd, flags)) = stream.interest() else { return false };
            poll(&mut [PollFd::from_borrowed_fd(fd, flags)], Some(&now)).is_ok_and(|count| count > 0)
        };
        for _ in 0..OUTPUT_ROUNDS_MAX {
            let mut moved = false;
            for stream in &mut self.outputs {
                if is_ready(stream) {
                    stream.step();
                    moved = true;
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// Rules on the connections that wait; what the program said before stands before a question.
    fn serve_desk(&mut self) {
        if let Some(desk) = self.desk {
            self.pass_on_output();
            desk.serve();
        }
    }

    /// Ends everything inside; requests that have not been served yet are dropped with their descriptors.
    fn end_cages(&mut self) {
        self.cage.kill_all();
        if let Some(mut broker) = self.broker.take() {
            broker.end();
        }
    }

    /// Waits for something to do, and does what concerns streams.
    fn wait(&mut self, ended: bool) -> io::Result<Woken> {
        let mut fds: Vec<PollFd<'_>> = vec![PollFd::from_borrowed_fd(self.signals.fd.as_fd(), PollFlags::IN)];
        let cage_at = (!ended).then(|| {
            fds.push(PollFd::from_borrowed_fd(self.cage.events(), PollFlags::IN));
            fds.len() - 1
        });
        let broker_from = fds.len();
        if let (Some(broker), false) = (&self.broker, ended) {
            fds.extend(broker.interests());
        }
        let desk_at = self.desk.filter(|_| !ended).map(|desk| {
            fds.push(PollFd::from_borrowed_fd(desk.waiting(), PollFlags::IN));
            fds.len() - 1
        });
        let streams_from = fds.len();
        let may_read_keys = self.may_read_keys();
        let mut waiting = Vec::new();
        let mut blocked = false;
        for (index, stream) in self.inputs.iter().chain(&self.outputs).enumerate() {
            let may_read = may_read_keys || !stream.is_keys();
            if let Some((fd, flags)) = stream.interest().filter(|(_, flags)| may_read || *flags == PollFlags::OUT) {
                blocked |= flags == PollFlags::OUT;
                fds.push(PollFd::from_borrowed_fd(fd, flags));
                waiting.push(index);
            }
        }
        let pause = if self.outputs.iter().any(Stream::may_hold) { PAUSE } else { TICK };
        let tick = Timespec { tv_sec: 0, tv_nsec: i64::from(pause.subsec_nanos()) };
        let ready = match poll(&mut fds, Some(&tick)) {
            Ok(ready) => ready,
            Err(rustix::io::Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        let hot = |index: usize| fds.get(index).is_some_and(|fd| !fd.revents().is_empty());
        let woken = Woken {
            nothing: ready == 0,
            blocked,
            signals: hot(0),
            cage: cage_at.is_some_and(hot),
            broker: (broker_from..desk_at.unwrap_or(streams_from)).any(hot),
            desk: desk_at.is_some_and(hot),
        };
        let ready: Vec<usize> =
            waiting.iter().enumerate().filter(|(at, _)| hot(streams_from + at)).map(|(_, index)| *index).collect();
        drop(fds);
        for (index, stream) in self.inputs.iter_mut().chain(&mut self.outputs).enumerate() {
            if ready.contains(&index) {
                stream.step();
            }
        }
        Ok(woken)
    }

    fn take_signal(&mut self, signal: UnixSignal) -> io::Result<()> {
        match signal {
            UnixSignal::SIGWINCH => self.resize(),
            UnixSignal::SIGCONT => self.take_terminal()?,
            UnixSignal::SIGTSTP => {
                self.cage.signal(UnixSignal::SIGTSTP as i32)?;
                self.stop()?;
            }
            other => self.cage.signal(other as i32)?,
        }
        Ok(())
    }

    fn take_event(&mut self, event: Event) -> io::Result<Option<Ended>> {
        match event {
            Event::Exited(status) => return Ok(Some(Ended::Exited(status))),
            Event::Signaled(signal) => return Ok(Some(Ended::Signalled(signal))),
            Event::Lost => return Ok(Some(Ended::Signalled(UnixSignal::SIGKILL as i32))),
            Event::Stopped(_) => self.stop()?,
            Event::Continued => {}
            Event::Executed(question) => match &mut self.broker {
                Some(broker) => broker.rule_start(&mut self.cage, question),
                None => self.cage.answer(question, Answer::End)?,
            },
        }
        Ok(None)
    }

    /// Stops with the program, as its caller's shell expects, and goes on with it.
    fn stop(&mut self) -> io::Result<()> {
        if let Some(terminal) = self.terminal {
            terminal.restore();
        }
        nix::sys::signal::raise(UnixSignal::SIGSTOP)?;
        self.take_terminal()?;
        self.resize();
        self.cage.signal(UnixSignal::SIGCONT as i32)
    }

    fn take_terminal(&self) -> io::Result<()> {
        match self.terminal {
            Some(terminal) if self.has_keys => terminal.take(),
            _ => Ok(()),
        }
    }

    /// Whether keys may be read: not in the background, where reading would stop this process.
    fn may_read_keys(&self) -> bool {
        self.terminal.is_none_or(UserTerminal::is_taken)
    }

    fn resize(&self) {
        if let (Some(pty), Some(terminal)) = (&self.pty, self.terminal)
            && let Ok(size) = tcgetwinsize(terminal::size_source(terminal))
        {
            // A program that cannot be told the new size keeps the old one.
            let _ignored: Result<(), _> = tcsetwinsize(pty, size);
        }
    }
}

/// Ends this process by `signal`, as the program ended; returns where that signal cannot end a process.
pub fn end_by_signal(signal: i32) {
    let Ok(signal) = UnixSignal::try_from(signal) else { return };
    // The program has dumped core already, if it was allowed to.
    let _ignored: Result<(), _> = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0);
    let mut set = SigSet::empty();
    set.add(signal);
    if set.thread_unblock().is_ok() {
        // Twice: the first SIGSEGV or SIGBUS only takes away the handler with which std names a stack overflow.
        for _ in 0..2 {
            let _ignored: Result<(), _> = nix::sys::signal::raise(signal);
        }
    }
}

struct Woken {
    nothing: bool,
    blocked: bool,
    signals: bool,
    cage: bool,
    broker: bool,
    desk: bool,
}
