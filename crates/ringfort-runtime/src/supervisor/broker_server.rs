// SPDX-License-Identifier: MIT OR Apache-2.0
//! The supervisor's side of the broker: rules on nested requests and runs them in sibling cages.
//!
//! In: introductions from inside a cage. Out: sibling cages under permits of their own, and replies.
//!
//! **Invariant:** a nested request passes the same pipeline as any other, as the agent that the socket stands for; its
//! cage is built from the same profile. At most [`SIBLINGS_MAX`] run at once. A client that goes away takes its cage
//! with it, and so does the end of the main program; each has an outcome on the record.

use std::collections::VecDeque;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use ringfort_core::action::{Action, Command};
use ringfort_core::door::{Door, DoorKind};
use ringfort_core::entry::Entry;
use ringfort_core::obligation::ApprovalChannel;
use ringfort_core::principal::Principal;
use ringfort_core::request::Provenance;
use ringfort_core::text::Text;
use ringfort_sandbox::launch::{Cage, DoorSockets, Event, Question};
use ringfort_sandbox::profile::CowView;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::broker::{self, Introduction, Operation, Reply, for_agents, hand_out, receive, reply};
use super::starts::Starts;
use super::stdio::Inside;
use crate::approve::Approver;
use crate::egress::CageId;
use crate::egress::desk::Desk;
use crate::hook;
use crate::hook::judge::{Bench, Saying};
use crate::pipeline::{ACTION_BYTES_MAX, Outcome, shown};
use crate::session::{Session, Task, TaskError};
use crate::supervisor::recorded::{RECORD_WINDOW, Recorded};

/// Most sibling cages at once.
pub const SIBLINGS_MAX: usize = 32;
/// Most requests of one cage within [`FLOOD_WINDOW`]; more are answered without being ruled on or recorded, so that
/// nothing inside can fill the record.
const REQUESTS_MAX: usize = 200;
/// The window of [`REQUESTS_MAX`].
const FLOOD_WINDOW: Duration = Duration::from_secs(5);
/// Most introductions that are served in one turn, so that a flood cannot starve the main program's streams.
const INTRODUCTIONS_PER_TURN: usize = 4;

/// Most programs of one sibling that are ruled on in one turn.
const STARTS_PER_TURN: usize = 32;

/// What a broker serves with.
pub struct Service<'a> {
    /// The session that rules and launches.
    pub session: &'a Session,
    /// What this door can fulfil.
    pub door: &'a Door,
    /// Who is asked.
    pub approver: &'a dyn Approver,
    /// The agent that the socket stands for.
    pub principal: Principal,
    /// The supervisor's end.
    pub socket: OwnedFd,
    /// The cage's end, for siblings.
    pub inside: OwnedFd,
    /// Where programs inside ask for that end.
    pub post: Option<OwnedFd>,
    /// Serves the doors of siblings.
    pub desk: Option<&'a Desk<'a>>,
}

struct Sibling {
    cage: Cage,
    task: Task,
    channel: OwnedFd,
    /// When its time is over.
    deadline: Option<Duration>,
    /// Its door to the network.
    door: Option<CageId>,
}

pub(super) struct BrokerServer<'a> {
    service: Service<'a>,
    siblings: Vec<Sibling>,
    /// When the newest requests came.
    recent: VecDeque<Duration>,
    /// What the requests of the last hour asked the record to keep.
    recorded: Recorded,
    /// The programs that are started in traced cages.
    starts: Starts,
}

impl<'a> BrokerServer<'a> {
    pub(super) fn new(service: Service<'a>) -> Self {
        Self {
            service,
            siblings: Vec::new(),
            recent: VecDeque::new(),
            recorded: Recorded::default(),
            starts: Starts::default(),
        }
    }

    pub(super) fn is_ended(&self) -> bool {
        self.service.session.pipeline.is_ended()
    }

    /// What to wait for. Of a client's channel only its end: nothing that a client says there is read, and what it
    /// says must not keep the supervisor awake.
    pub(super) fn interests(&self) -> impl Iterator<Item = PollFd<'_>> {
        let siblings = self.siblings.iter().flat_map(|sibling| {
            [
                PollFd::from_borrowed_fd(sibling.cage.events(), PollFlags::IN),
                PollFd::from_borrowed_fd(sibling.channel.as_fd(), PollFlags::empty()),
            ]
        });
        let own = std::iter::once(&self.service.socket).chain(&self.service.post);
        own.map(|socket| PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)).chain(siblings)
    }

    /// Rules on a program that was started in the traced cage of the main program.
    pub(super) fn rule_start(&mut self, cage: &mut Cage, question: Question) {
        self.starts.rule(&self.service, cage, question);
    }

    /// Serves whatever is ready.
    pub(super) fn serve(&mut self) {
        if let Some(post) = &self.service.post {
            let mut given = 0;
            while given < INTRODUCTIONS_PER_TURN && hand_out(post.as_fd(), self.service.inside.as_fd()) {
                given += 1;
            }
        }
        for _ in 0..INTRODUCTIONS_PER_TURN {
            match receive(self.service.socket.as_fd()) {
                Ok(Some(introduction)) => self.introduce(introduction),
                Ok(None) => {}
                Err(_nothing_there) => break,
            }
        }
        let siblings = std::mem::take(&mut self.siblings);
        for sibling in siblings {
            if let Some(sibling) = self.look_after(sibling) {
                self.siblings.push(sibling);
            }
        }
    }

    /// Ends what is running still: its agent has ended.
    pub(super) fn end(&mut self) {
        for mut sibling in std::mem::take(&mut self.siblings) {
            sibling.cage.kill_all();
            let why = "the agent that asked for it has ended";
            self.finish(&sibling.task, Outcome { result: "failed", facts: vec![("error", why.into())] });
        }
    }

    fn introduce(&mut self, introduction: Introduction) {
        let channel = introduction.channel.as_fd().try_clone_to_owned();
        let answer = self.start(introduction);
        // A client that has gone needs no answer.
        if let (Ok(channel), Some(answer)) = (channel, answer) {
            drop(reply(channel.as_fd(), &answer));
        }
    }

    /// Whether requests come faster than anything but a flood.
    fn is_flooded(&mut self) -> bool {
        let now = self.service.session.clock.monotonic();
        while self.recent.front().is_some_and(|at| now.saturating_sub(*at) > FLOOD_WINDOW) {
            self.recent.pop_front();
        }
        if self.recent.len() >= REQUESTS_MAX {
            return true;
        }
        self.recent.push_back(now);
        false
    }

    /// Starts a sibling, or says at once what the answer is.
    fn start(&mut self, introduction: Introduction) -> Option<Reply> {
        if self.is_flooded() {
            return Some(Reply::Failed(format!(
                "more than {REQUESTS_MAX} requests within {} s",
                FLOOD_WINDOW.as_secs()
            )));
        }
        let message = match introduction.operation {
            Operation::Hook => match broker::read_message(&introduction.streams[0]) {
                Ok(message) => Some(message),
                Err(error) => return Some(Reply::Failed(error.to_string())),
            },
            Operation::Run | Operation::Check => None,
        };
        let words: u64 = introduction.words.iter().map(|word| word.as_bytes().len() as u64).sum();
        let bytes = words + message.as_ref().map_or(0, |message| message.len().min(ACTION_BYTES_MAX) as u64);
        if !self.recorded.take(bytes, self.service.session.clock.monotonic()) {
            let minutes = RECORD_WINDOW.as_secs() / 60;
            return Some(Reply::Failed(format!("more requests than the record keeps within {minutes} minutes")));
        }
        let Introduction { operation, words, cwd, environment, channel, streams } = introduction;
        if let Some(message) = message {
            return Some(self.judge(&words, &message, cwd).map_or_else(Reply::Failed, Reply::Said));
        }
        let Service { session, door, approver, principal, .. } = &self.service;
        let task = match session.task(principal, Provenance::Agent, words.clone(), &cwd, environment) {
            Ok(task) => task,
            // What is only asked about need not be there.
            Err(TaskError::NotFound(_)) if operation == Operation::Check => {
                return Some(match session.question(principal, Provenance::Agent, words, &cwd) {
                    Ok(request) => Reply::Ruled(for_agents(session.pipeline.check(&request, door))),
                    Err(error) => Reply::Failed(error.to_string()),
                });
            }
            Err(error) => {
                self.refuse(words, &error);
                return Some(Reply::Failed(error.to_string()));
            }
        };
        if operation == Operation::Check {
            return Some(Reply::Ruled(for_agents(session.pipeline.check(&task.request, door))));
        }
        // Two mounts of one overlay are undefined: the kernel does not promise what either of them shows.
        if matches!(session.profile.cow, Some(CowView::Overlay { .. })) {
            let why =
                "there are no nested runs on the overlay of a copy-on-write run; the command can be started as it is";
            self.refuse(words, &why);
            return Some(Reply::Failed(why.to_owned()));
        }
        if self.siblings.len() >= SIBLINGS_MAX {
            return Some(Reply::Failed(format!("{SIBLINGS_MAX} nested runs are going on already")));
        }
        let admitted = match session.pipeline.admit(&task.request, door, *approver) {
            Ok(admitted) => admitted,
            Err(denied) => return Some(Reply::Denied(for_agents(denied.ruling))),
        };
        let [stdin, stdout, stderr] = streams;
        let inside = Inside { stdin, stdout, stderr, terminal: None };
        let broker = self.service.inside.try_clone().ok();
        let wall = session.bounds(&admitted.ruling).wall.into_iter().chain(session.agent_wall).min();
        let deadline = wall.map(|wall| session.clock.monotonic().saturating_add(wall));
        match session.launch(admitted, &task, inside, broker) {
            Ok(mut cage) => {
                let door = cage.take_door().and_then(|sockets| self.open_door(sockets, &task));
                self.siblings.push(Sibling { cage, task, channel, deadline, door });
                None
            }
            Err(error) => {
                let facts = vec![("error", error.to_string().into())];
                self.finish(&task, Outcome { result: "failed", facts });
                Some(Reply::Failed(error.to_string()))
            }
        }
    }

    /// Serves the door of a sibling; where that fails, it reaches nothing.
    fn open_door(&self, sockets: DoorSockets, task: &Task) -> Option<CageId> {
        let opened = self.service.desk?.adopt(sockets, self.service.principal.clone(), task);
        if let Err(error) = &opened {
            self.service.session.warn(&format!("a nested run has no door to the network: {error}"));
        }
        opened.ok()
    }

    /// Judges the message that an agent inside wrote to its hook, as the agent that the socket stands for. What it asks
    /// about happens inside the cage that it speaks from.
    fn judge(&self, words: &[Text], message: &[u8], cwd: PathBuf) -> Result<Saying, String> {
        let Service { session, principal, .. } = &self.service;
        let names: Vec<_> = words.iter().map(Text::to_lossy).collect();
        let (name, event) = match names.as_slice() {
            [name] => (name, None),
            [name, event] => (name, Some(event.as_ref())),
            _ => return Err("a hook names its agent, and an event at most".to_owned()),
        };
        let agent = hook::agent(name).ok_or("there is no such agent")?;
        let call = agent.parse(message, event).map_err(|malformed| malformed.to_string())?;
        let door = session.door(DoorKind::Hook, Some(ApprovalChannel::Person));
        let bench = Bench {
            pipeline: &session.pipeline,
            door: &door,
            principal,
            session: &session.name,
            // By its name only: what is outside the cage is not looked at for whoever is inside.
            cwd: call.cwd.clone().or_else(|| call.root.clone()).unwrap_or(cwd),
            workspace: &session.workspace,
            home: &session.home,
        };
        Ok(bench.judge(&call))
    }

    /// Puts on the record what was asked for and came to no ruling: a missing program, a folder outside.
    fn refuse(&self, words: Vec<Text>, error: &dyn std::fmt::Display) {
        let Service { session, principal, door, .. } = &self.service;
        let entry = Entry {
            principal: Some(principal.clone()),
            session: Some(session.name.clone()),
            action: Some(shown(&Action::Command(Command::from_words(words)))),
            ..Entry::event("broker.refused").at(door.kind, door.standing).fact("why", error.to_string())
        };
        if let Err(error) = session.pipeline.event(&entry) {
            session.warn(&format!("an event could not be recorded: {error}"));
        }
    }

    fn look_after(&mut self, mut sibling: Sibling) -> Option<Sibling> {
        let mut started = 0;
        let ended = loop {
            match sibling.cage.next_event() {
                Some(Event::Exited(status)) => break Reply::Exited(status),
                Some(Event::Signaled(signal)) => break Reply::Signalled(signal),
                Some(Event::Lost) => break Reply::Failed("the cage was killed".to_owned()),
                Some(Event::Stopped(_) | Event::Continued) => {}
                Some(Event::Executed(question)) => {
                    self.starts.rule(&self.service, &mut sibling.cage, question);
                    started += 1;
                    if started >= STARTS_PER_TURN {
                        return Some(sibling); // What is left wakes again.
                    }
                }
                None if sibling.deadline.is_some_and(|deadline| self.service.session.clock.monotonic() >= deadline) => {
                    break Reply::Failed("its time was over".to_owned());
                }
                None if has_gone(sibling.channel.as_fd()) => break Reply::Failed("the client has gone".to_owned()),
                None => return Some(sibling),
            }
        };
        sibling.cage.kill_all();
        if let (Some(desk), Some(door)) = (self.service.desk, sibling.door) {
            desk.remove(door);
        }
        let outcome = match &ended {
            Reply::Exited(status) => Outcome { result: "exited", facts: vec![("status", (*status).into())] },
            Reply::Signalled(signal) => Outcome { result: "signalled", facts: vec![("signal", (*signal).into())] },
            Reply::Failed(why) => Outcome { result: "failed", facts: vec![("error", why.clone().into())] },
            Reply::Denied(_) | Reply::Ruled(_) | Reply::Said(_) => Outcome { result: "failed", facts: Vec::new() },
        };
        self.finish(&sibling.task, outcome);
        // A client that has gone needs no answer.
        drop(reply(sibling.channel.as_fd(), &ended));
        None
    }

    fn finish(&self, task: &Task, outcome: Outcome) {
        if let Err(error) = self.service.session.pipeline.finish(&task.request, self.service.door, outcome) {
            self.service.session.warn(&format!("an outcome could not be recorded: {error}"));
        }
    }
}

/// Whether the other end of a client's channel is closed.
fn has_gone(channel: BorrowedFd<'_>) -> bool {
    let mut ready = [PollFd::from_borrowed_fd(channel, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut ready, Some(&now)).is_ok_and(|count| count > 0)
}
