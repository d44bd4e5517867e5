// SPDX-License-Identifier: MIT OR Apache-2.0
//! A door without namespaces: the supervisor makes each connection, and nothing else leads out.
//!
//! The programs inside are this very test binary, which does what a variable says (see `supervised_inside`).
#![expect(clippy::disallowed_methods, reason = "a process of the test is started with a filter of its own")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ringfort_core::obligation::Promise;
use ringfort_sandbox::achieved::Degree;
use ringfort_sandbox::launch::{Answer, Cage, Connects, DoorSockets, Event, Exit, Front};
use ringfort_sandbox::profile::{BindMode, DegreeRequest, DoorView, HomeBind, Network, PROXY_PORT, Tracing};

use crate::cage::{Place, spawn, start};
use crate::supervised_inside::VARIABLE;

/// A place in which this binary does `task`, with a door.
fn place(task: &str) -> Place {
    let mut place = Place::new(DegreeRequest::Minimal);
    let binary = std::env::current_exe().unwrap().canonicalize().unwrap();
    place.profile.home.binds.push(HomeBind { source: binary, target: "inside".into(), mode: BindMode::ReadOnly });
    place.profile.environment.push((VARIABLE.into(), task.into()));
    place.profile.network = Network::Door(DoorView { caught_ports: vec![80, 443], names: true });
    place.profile.require = [Promise::NoNetwork].into();
    place
}

/// A program that runs in a cage, with its output.
struct Running {
    cage: Cage,
    out: std::io::PipeReader,
}

impl Running {
    fn start(place: &Place) -> Self {
        let program = std::env::current_exe().unwrap().canonicalize().unwrap();
        let arguments = ["inside", "--exact", "supervised_inside::inside", "--nocapture", "--test-threads=1"];
        let (out, stdout) = std::io::pipe().unwrap();
        let mut spawn = spawn(program.to_str().unwrap(), &arguments);
        spawn.stderr = stdout.try_clone().unwrap().into();
        spawn.stdout = stdout.into();
        Self { cage: start(place, spawn).unwrap(), out }
    }

    fn connects(&mut self) -> Connects {
        let achieved = self.cage.achieved();
        assert!(achieved.degree == Degree::Minimal && achieved.holds(Promise::NoNetwork), "{achieved:?}");
        match self.cage.take_door() {
            Some(DoorSockets { proxy: Front::Connects(connects), proxy_port: PROXY_PORT, caught, .. }) => {
                assert!(caught.is_empty());
                connects
            }
            // Every kernel since 5.9 tells; where this one does not, that is a defect of the host that tests run on.
            other => panic!("no door: {other:?} {:?}", self.cage.achieved().warnings),
        }
    }

    /// What the program said; it has to have come to its end.
    fn finish(mut self) -> String {
        let mut text = String::new();
        self.out.read_to_string(&mut text).unwrap();
        assert_eq!(self.cage.wait(), Exit::Exited(0), "{text}");
        assert!(text.contains("DONE"), "{text}");
        text
    }
}

/// Serves a door on a thread until nobody is left inside: each connection is told `PROXY`.
struct Serving {
    thread: std::thread::JoinHandle<()>,
    served: Arc<AtomicUsize>,
    _stop: std::io::PipeWriter,
}

impl Serving {
    fn start(mut connects: Connects) -> Self {
        let (stop, writer) = std::io::pipe().unwrap();
        let served = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&served);
        let thread = std::thread::spawn(move || {
            while let Some(mut stream) = connects.next(std::os::fd::AsFd::as_fd(&stop)) {
                count.fetch_add(1, Ordering::Relaxed);
                // The program may have gone.
                let _ignored = stream.write_all(b"PROXY");
                // Unread bytes would reset the connection and take the answer with them.
                let _ignored = stream.shutdown(std::net::Shutdown::Write);
                std::thread::spawn(move || {
                    let _ignored = stream.set_nonblocking(false);
                    let _ignored = stream.read_to_end(&mut Vec::new());
                });
            }
        });
        Self { thread, served, _stop: writer }
    }

    /// Waits until nobody is left inside; how many connections were served.
    fn end(self) -> usize {
        self.thread.join().unwrap();
        self.served.load(Ordering::Relaxed)
    }
}

/// Runs `task` behind a door; what it said and how many connections came out.
fn run(task: &str) -> (String, usize) {
    let mut running = Running::start(&place(task));
    let serving = Serving::start(running.connects());
    (running.finish(), serving.end())
}

#[test]
fn a_connection_to_the_proxy_arrives_outside() {
    let (text, served) = run("ask 127.0.0.1:3128 [::ffff:127.0.0.1]:3128 127.0.0.1:3128");
    assert_eq!((text.matches("PROXY").count(), served), (3, 3), "{text}");
    let (text, served) = run("flags");
    assert_eq!((text.matches("ANSWER PROXY").count(), served), (4, 4), "{text}");
}

#[test]
fn escape_to_any_address_but_the_proxy_is_blocked_where_the_supervisor_connects() {
    let outside = TcpListener::bind("0.0.0.0:0").unwrap();
    outside.set_nonblocking(true).unwrap();
    // Another process may stand at the very port by which programs name the proxy.
    let other = TcpListener::bind(("127.0.0.1", PROXY_PORT)).inspect(|other| other.set_nonblocking(true).unwrap());
    let (text, served) = run(&format!("reach {}", outside.local_addr().unwrap().port()));
    assert!(!text.contains("REACHED"), "{text}");
    assert!(text.matches("BLOCKED").count() >= 40, "{text}");
    assert_eq!(served, 1, "only the one connection that was to be taken apart came out: {text}");
    assert!(outside.accept().is_err(), "something arrived");
    assert!(other.is_err() || other.is_ok_and(|other| other.accept().is_err()), "it came out at another's listener");
}

#[test]
fn deny_by_the_errors_of_the_kernel_what_makes_no_sense() {
    let (_, served) = run("malformed");
    assert_eq!(served, 1);
}

#[test]
fn escape_by_changing_the_address_during_the_call_is_blocked() {
    let outside = TcpListener::bind("127.0.0.1:0").unwrap();
    outside.set_nonblocking(true).unwrap();
    let (text, served) = run(&format!("race {}", outside.local_addr().unwrap().port()));
    assert!(outside.accept().is_err(), "the address that was checked is not the one that was used");
    let made: usize = text.split("MADE ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let refused: usize = text.split("REFUSED ").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    assert_eq!(made, served);
    assert!(made > 0 && refused > 0, "the race never happened: {made} {refused}");
}

#[test]
fn a_flood_and_sudden_deaths_leave_the_door_in_order() {
    let outside = TcpListener::bind("127.0.0.1:0").unwrap();
    outside.set_nonblocking(true).unwrap();
    let (text, served) = run(&format!("flood {}", outside.local_addr().unwrap().port()));
    assert!(text.contains("ANSWER 127.0.0.1:3128 PROXY") && served == 1, "{text}");
    assert!(outside.accept().is_err());
    let (text, _) = run("die");
    assert!(text.contains("ANSWER 127.0.0.1:3128 PROXY"), "{text}");
}

#[test]
fn deny_when_nobody_serves() {
    let mut running = Running::start(&place("ask 127.0.0.1:3128"));
    drop(running.connects());
    assert!(running.finish().contains("BLOCKED"));
    // Whoever waits for an answer can be killed, and a stop ends the serving.
    let mut waiting = Running::start(&place("ask 127.0.0.1:3128"));
    let mut connects = waiting.connects();
    waiting.cage.kill_all();
    let (stop, writer) = std::io::pipe().unwrap();
    drop(writer);
    assert!(connects.next(std::os::fd::AsFd::as_fd(&stop)).is_none());
}

#[test]
fn deny_what_hides_its_memory() {
    let root = rustix::process::geteuid().is_root();
    let (text, served) = run("no-dump");
    // Root reads it all the same.
    assert_eq!((text.contains("REACHED"), served == 1), (root, root), "{text}");
}

#[test]
fn a_traced_cage_has_a_door_too() {
    let mut place = place("ask 127.0.0.1:3128");
    place.profile.tracing = Tracing::Programs;
    let mut running = Running::start(&place);
    let serving = Serving::start(running.connects());
    assert!(running.finish().contains("ANSWER 127.0.0.1:3128 PROXY"));
    assert_eq!(serving.end(), 1);
    // What it starts later waits for an answer as ever.
    let mut place = self::place("start /bin/true");
    place.profile.tracing = Tracing::Programs;
    let mut running = Running::start(&place);
    let _serving = Serving::start(running.connects());
    let mut asked = 0;
    loop {
        match running.cage.next_event() {
            Some(Event::Executed(question)) => {
                asked += 1;
                running.cage.answer(question, Answer::Run).unwrap();
            }
            Some(Event::Exited(_) | Event::Signaled(_) | Event::Lost) => break,
            _ => std::thread::sleep(std::time::Duration::from_millis(2)),
        }
    }
    assert_eq!(asked, 1);
}

/// The variable that makes [`without_a_kernel_that_tells_there_is_no_door_and_no_network`] do its work below a filter.
const BELOW: &str = "RINGFORT_TEST_BELOW_A_LISTENER";

#[test]
fn without_a_kernel_that_tells_there_is_no_door_and_no_network() {
    if std::env::var_os(BELOW).is_none() {
        let output = std::process::Command::new("/usr/bin/python3")
            .args(["-c", include_str!("supervised/below.py")])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "supervised::without_a_kernel_that_tells_there_is_no_door_and_no_network", "--nocapture"])
            .env(BELOW, "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let mut running = Running::start(&place("ask 127.0.0.1:3128"));
    assert!(running.cage.take_door().is_none());
    let achieved = running.cage.achieved().clone();
    assert!(achieved.holds(Promise::NoNetwork), "{achieved:?}");
    assert!(achieved.warnings.iter().any(|warning| warning.contains("there is no door")), "{achieved:?}");
    assert!(running.finish().contains("BLOCKED"));
}

#[test]
fn what_one_connection_costs() {
    const COUNT: usize = 500;
    let (text, _) = run(&format!("measure {COUNT}"));
    let supervised: u128 = text.split("TOOK ").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap();
    let accepting = std::thread::spawn(move || listener.incoming().take(COUNT).for_each(drop));
    let mut plain: Vec<u128> = (0..COUNT)
        .map(|_| {
            let start = std::time::Instant::now();
            let stream = std::net::TcpStream::connect(place).unwrap();
            let time = start.elapsed().as_nanos();
            drop(stream);
            time
        })
        .collect();
    accepting.join().unwrap();
    plain.sort_unstable();
    println!("one connection: {supervised} ns by the supervisor, {} ns plain", plain[COUNT / 2]);
    assert!(supervised < 50_000_000, "{supervised} ns for one connection");
}
