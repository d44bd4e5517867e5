// SPDX-License-Identifier: MIT OR Apache-2.0
//! The network inside a cage: a loopback of its own and nothing else, or a door whose connections arrive outside.
//!
//! The programs inside are this very test binary, which does what a variable says (see `network_inside`).
#![expect(clippy::disallowed_methods, reason = "the strange `/etc` of one test is made by a program of the host")]

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::Duration;

use ringfort_core::obligation::Promise;
use ringfort_core::syscalls::SyscallGroup;
use ringfort_sandbox::launch::{Cage, DoorSockets, Exit, Front, LaunchError};
use ringfort_sandbox::profile::{BindMode, CAUGHT_PORTS_MAX, DegreeRequest, DoorView, HomeBind, Network, PROXY_PORT};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::cage::{Place, spawn, start};
use crate::network_inside::VARIABLE;

/// Longest wait for something that is to come.
const WAIT: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

/// A place in which this binary does `task`; `None` where the host gives no namespaces.
fn place(task: &str, network: Network) -> Option<Place> {
    let mut place = Place::new(DegreeRequest::Auto);
    if !place.is_namespaced() {
        return None;
    }
    let binary = std::env::current_exe().unwrap().canonicalize().unwrap();
    place.profile.home.binds.push(HomeBind { source: binary, target: "inside".into(), mode: BindMode::ReadOnly });
    place.profile.environment.push((VARIABLE.into(), task.into()));
    place.profile.network = network;
    Some(place)
}

fn door() -> Network {
    Network::Door(DoorView { caught_ports: vec![80, 443], names: true })
}

/// A program that runs in a cage, with its output.
struct Running {
    cage: Cage,
    out: File,
}

impl Running {
    fn start(place: &Place) -> Self {
        let program = place.home.join("inside");
        let arguments = ["inside", "--exact", "network_inside::inside", "--nocapture", "--test-threads=1"];
        let (out, stdout) = std::io::pipe().unwrap();
        let mut spawn = spawn(program.to_str().unwrap(), &arguments);
        spawn.stderr = stdout.try_clone().unwrap().into();
        spawn.stdout = stdout.into();
        let cage = start(place, spawn).unwrap();
        Self { cage, out: OwnedFd::from(out).into() }
    }

    fn door(&mut self) -> Door {
        let door = Door::new(self.cage.take_door().expect("the profile has a door"));
        assert!(self.cage.take_door().is_none(), "the door is given once");
        assert!(self.cage.achieved().holds(Promise::NoNetwork), "{:?}", self.cage.achieved());
        door
    }

    /// What the program said; it has to have come to its end.
    fn finish(mut self) -> String {
        let mut text = String::new();
        self.out.read_to_string(&mut text).unwrap();
        assert_eq!(self.cage.wait(), Exit::Exited(0), "{text}");
        assert!(text.contains("DONE"), "{text}");
        text
    }

    /// Waits until the program says `word`.
    fn until(&mut self, word: &str) {
        let mut text = Vec::new();
        while !String::from_utf8_lossy(&text).contains(word) {
            let mut byte = [0];
            assert_eq!(self.out.read(&mut byte).unwrap(), 1, "it ended: {}", String::from_utf8_lossy(&text));
            text.push(byte[0]);
        }
    }
}

/// The outer side of a door, as sockets of the standard library.
struct Door {
    proxy: TcpListener,
    caught: Vec<(u16, TcpListener)>,
    dns_udp: UdpSocket,
    dns_tcp: TcpListener,
}

impl Door {
    fn new(sockets: DoorSockets) -> Self {
        assert_eq!(sockets.proxy_port, PROXY_PORT);
        Self {
            proxy: listener(sockets.proxy).into(),
            caught: sockets.caught.into_iter().map(|(port, socket)| (port, socket.into())).collect(),
            dns_udp: sockets.dns_udp.unwrap().into(),
            dns_tcp: sockets.dns_tcp.unwrap().into(),
        }
    }

    fn caught(&self, port: u16) -> &TcpListener {
        &self.caught.iter().find(|(caught, _)| *caught == port).unwrap().1
    }

    /// How many connections and datagrams wait at all its sockets.
    fn waiting(&self) -> usize {
        let mut all: Vec<PollFd<'_>> = [&self.proxy, &self.dns_tcp]
            .into_iter()
            .chain(self.caught.iter().map(|(_, listener)| listener))
            .map(|listener| PollFd::new(listener, PollFlags::IN))
            .chain([PollFd::new(&self.dns_udp, PollFlags::IN)])
            .collect();
        poll(&mut all, Some(&Timespec::default())).unwrap()
    }

    /// Answers one question for an IPv4 address with `address`, every other with nothing.
    fn answer_name(&self, address: [u8; 4]) {
        wait_for(PollFd::new(&self.dns_udp, PollFlags::IN));
        let mut question = [0; 512];
        let (length, from) = self.dns_udp.recv_from(&mut question).unwrap();
        let question = &question[..length];
        let end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
        let wants_v4 = question[end - 4..end - 2] == [0, 1];
        let mut answer = [&question[..2], &[0x81, 0x80, 0, 1, 0, u8::from(wants_v4), 0, 0, 0, 0]].concat();
        answer.extend(&question[12..end]);
        if wants_v4 {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
            answer.extend(address);
        }
        self.dns_udp.send_to(&answer, from).unwrap();
    }
}

fn listener(front: Front) -> OwnedFd {
    match front {
        Front::Listener(listener) => listener,
        Front::Connects(_) => panic!("this cage has a network of its own"),
    }
}

fn wait_for(descriptor: PollFd<'_>) {
    assert_eq!(poll(&mut [descriptor], Some(&WAIT)), Ok(1), "nothing came");
}

/// Accepts one connection, tells it which address it meant, and returns that.
fn serve(listener: &TcpListener) -> SocketAddr {
    wait_for(PollFd::new(listener, PollFlags::IN));
    let (mut stream, _) = listener.accept().unwrap();
    let meant = stream.local_addr().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.write_all(meant.to_string().as_bytes()).unwrap();
    meant
}

fn nothing_waits(listener: &TcpListener) {
    let mut all = [PollFd::new(listener, PollFlags::IN)];
    assert_eq!(poll(&mut all, Some(&Timespec::default())), Ok(0), "something arrived");
}

#[test]
fn programs_inside_reach_each_other_over_loopback() {
    for network in [Network::None, door()] {
        let Some(place) = place("serve-and-ask", network) else { return };
        Running::start(&place).finish();
    }
}

#[test]
fn what_a_program_connects_to_arrives_outside_with_its_address() {
    let meant = ["127.0.0.1:3128", "198.18.3.4:443", "198.19.255.254:80", "198.18.0.0:443", "127.0.0.1:53"];
    for degree in degrees() {
        let Some(mut place) = place(&format!("ask {}", meant.join(" ")), door()) else { return };
        place.profile.degree = degree;
        let mut running = Running::start(&place);
        let door = running.door();
        let seen = [&door.proxy, door.caught(443), door.caught(80), door.caught(443), &door.dns_tcp].map(serve);
        assert_eq!(seen.map(|address| address.to_string()), meant);
        let text = running.finish();
        for address in meant {
            assert!(text.contains(&format!("ANSWER {address} {address}")), "{text}");
        }
        assert_eq!(door.waiting(), 0);
    }
}

#[test]
fn a_name_is_asked_at_the_door() {
    let Some(place) = place("name agent.example.test 443", door()) else { return };
    let mut running = Running::start(&place);
    let door = running.door();
    let meant = std::thread::scope(|scope| {
        let names = scope.spawn(|| {
            // Clients ask for IPv6 as well, in either order.
            (0..2).for_each(|_| door.answer_name([198, 18, 7, 7]));
        });
        names.join().unwrap();
        serve(door.caught(443))
    });
    assert_eq!(meant.to_string(), "198.18.7.7:443");
    assert!(running.finish().contains("ANSWER agent.example.test 198.18.7.7:443"));
}

#[test]
fn a_name_is_asked_where_only_families_with_an_address_count() {
    let Some(place) = place("name-where-there-is-an-address agent.example.test", door()) else { return };
    let mut running = Running::start(&place);
    running.door().answer_name([198, 18, 7, 8]);
    assert!(running.finish().contains("LOOKED UP 0"));
}

/// The variable that makes [`a_strange_etc_does_not_matter`] do its work below a different `/etc`.
const STRANGE: &str = "RINGFORT_TEST_STRANGE_ETC";

#[test]
fn a_strange_etc_does_not_matter() {
    if std::env::var_os(STRANGE).is_some() {
        return a_name_is_asked_at_the_door();
    }
    if !Place::new(DegreeRequest::Auto).is_namespaced() || !std::path::Path::new("/usr/bin/unshare").exists() {
        eprintln!("skipped: no namespaces or no `unshare`");
        return;
    }
    for prepare in [
        "rm -f resolv.conf",
        "rm -f resolv.conf && ln -s ../run/systemd/resolve/stub-resolv.conf resolv.conf",
        "rm -f resolv.conf && ln -s nowhere resolv.conf",
        "rm -f resolv.conf && ln -s other resolv.conf && echo nameserver 192.0.2.53 > other",
        "echo nameserver 192.0.2.53 > resolv.conf; chmod 600 resolv.conf",
        // As container engines do.
        "echo nameserver 192.0.2.53 > other; rm -f resolv.conf; touch resolv.conf; mount --bind other resolv.conf",
        "echo 'hosts: files mdns4_minimal [NOTFOUND=return] resolve [!UNAVAIL=return]' > nsswitch.conf",
        "rm -f nsswitch.conf",
        "printf 'hosts: files\\n' > real; rm -f nsswitch.conf; ln -s real nsswitch.conf",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let script = format!(
            "set -e; cp -RP /etc/. \"$1\" 2>/dev/null || true; cd \"$1\"; {prepare}; mount --rbind \"$1\" /etc; cd /; \
            exec \"$2\" --exact network::a_strange_etc_does_not_matter --nocapture"
        );
        let output = Command::new("/usr/bin/unshare")
            .args(["-rm", "sh", "-c", &script, "sh"])
            .arg(folder.path())
            .arg(std::env::current_exe().unwrap())
            .env(STRANGE, "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{prepare}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn without_names_at_the_door_nothing_of_etc_changes() {
    let view = DoorView { caught_ports: vec![80], names: false };
    for network in [Network::None, Network::Door(view), door()] {
        let Some(mut place) = place("", network.clone()) else { return };
        place.profile.network = network.clone();
        let outcome = place.shell("cat /etc/resolv.conf");
        let host = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        assert_eq!(outcome.out == host, network != door(), "{network:?}: {outcome:?}");
    }
}

#[test]
fn escape_to_any_address_but_the_door_is_blocked() {
    for (degree, network) in degrees().into_iter().flat_map(|degree| [(degree, Network::None), (degree, door())]) {
        let outside = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = outside.local_addr().unwrap().port();
        let datagrams = UdpSocket::bind(("0.0.0.0", port)).unwrap();
        let Some(mut place) = place(&format!("reach {port}"), network.clone()) else { return };
        place.profile.degree = degree;
        let mut running = Running::start(&place);
        let door = (network != Network::None).then(|| running.door());
        let text = running.finish();
        assert!(!text.contains("REACHED"), "{degree:?} {network:?}:\n{text}");
        assert!(text.matches("BLOCKED").count() > 60, "{text}");
        nothing_waits(&outside);
        datagrams.set_nonblocking(true).unwrap();
        assert!(datagrams.recv(&mut [0]).is_err(), "a datagram arrived");
        assert_eq!(door.map_or(0, |door| door.waiting()), 0, "a forbidden way led to the door");
    }
}

#[test]
fn escape_by_changing_the_network_is_blocked() {
    for degree in degrees() {
        let Some(mut place) = place("change", door()) else { return };
        place.profile.degree = degree;
        let mut running = Running::start(&place);
        let door = running.door();
        let text = running.finish();
        assert!(!text.contains("CHANGED"), "{degree:?}: {text}");
        assert!(text.matches("BLOCKED").count() >= 20, "{degree:?}: {text}");
        assert_eq!(door.waiting(), 0);
    }
}

/// Those in which this user gets a network namespace.
fn degrees() -> Vec<DegreeRequest> {
    let root = rustix::process::geteuid().is_root();
    [DegreeRequest::Auto].into_iter().chain(root.then_some(DegreeRequest::Reduced)).collect()
}

/// Runs `task` outside any cage, with all rights over a network namespace of its own; `None` where that cannot be had.
fn uncaged(task: &str) -> Option<String> {
    let script = "ip link set lo up && exec \"$1\" --exact network_inside::inside --nocapture";
    let output = Command::new("/usr/bin/unshare")
        .args(["-rn", "sh", "-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .env(VARIABLE, task)
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.contains("DONE").then_some(text)
}

#[test]
fn outside_most_changes_succeed() {
    let Some(text) = uncaged("change") else {
        eprintln!("skipped: no `unshare` or no `ip`");
        return;
    };
    let changed = text.matches("CHANGED").count();
    assert!(changed >= 15, "the attempts prove nothing here ({changed}):\n{text}");
}

#[test]
fn escape_through_the_door_of_another_cage_is_blocked() {
    let Some(one) = place("ask 127.0.0.1:3128", door()) else { return };
    let Some(other) = place("listen-abstract", door()) else { return };
    let Some(third) = place("reach-abstract", door()) else { return };
    let mut listening = Running::start(&other);
    listening.until("LISTENING");
    let mut running = Running::start(&one);
    let mut reaching = Running::start(&third);
    let (mine, theirs, thirds) = (running.door(), listening.door(), reaching.door());
    serve(&mine.proxy);
    running.finish();
    assert!(reaching.finish().contains("BLOCKED"));
    assert_eq!((theirs.waiting(), thirds.waiting()), (0, 0), "it came out of another door");
    listening.cage.kill_all();
}

#[test]
fn deny_when_nobody_holds_the_door() {
    let Some(place) = place("ask-when-told 127.0.0.1:3128 198.18.0.1:443 127.0.0.1:53", door()) else { return };
    let mut running = Running::start(&place);
    running.until("READY");
    drop(running.door());
    std::fs::write(place.workspace.join("go"), "").unwrap();
    let text = running.finish();
    assert_eq!(text.matches("REFUSED").count(), 3, "somebody else held a listener: {text}");
}

#[test]
fn a_flood_of_connections_is_bounded() {
    const BACKLOG: usize = 1024;
    let Some(place) = place("flood", door()) else { return };
    let mut running = Running::start(&place);
    let door = running.door();
    running.until("FLOODED");
    let accepted = std::iter::from_fn(|| door.caught(80).accept().ok()).take(4 * BACKLOG).count();
    assert!((1..=BACKLOG + 1).contains(&accepted), "{accepted} waited");
    // The other listeners are not disturbed.
    std::fs::write(place.workspace.join("go"), "").unwrap();
    serve(&door.proxy);
    running.finish();
}

#[test]
fn without_namespaces_and_sockets_there_is_no_door_and_no_network() {
    let mut place = Place::new(DegreeRequest::Minimal);
    place.profile.network = door();
    place.profile.syscalls = place.profile.syscalls.without(SyscallGroup::Network);
    place.profile.require = [Promise::NoNetwork].into();
    let mut cage = start(&place, spawn("/bin/true", &["true"])).unwrap();
    assert!(cage.take_door().is_none());
    let warned = cage.achieved().warnings.iter().any(|warning| warning.contains("no door"));
    assert!(warned, "{:?}", cage.achieved());
    cage.wait();
}

#[test]
fn deny_doors_that_cannot_be_as_described() {
    let many: Vec<u16> = (2000..).take(CAUGHT_PORTS_MAX + 1).collect();
    for caught_ports in [vec![0], vec![PROXY_PORT], vec![53], vec![80, 80], many] {
        let mut place = Place::new(DegreeRequest::Auto);
        place.profile.network = Network::Door(DoorView { caught_ports: caught_ports.clone(), names: true });
        match start(&place, spawn("/bin/true", &["true"])) {
            Err(LaunchError::Profile(_)) => {}
            other => panic!("{caught_ports:?}: {other:?}"),
        }
    }
}

#[test]
fn nothing_of_a_cage_outlives_it_but_the_listeners() {
    let Some(place) = place("ask 127.0.0.1:3128", door()) else { return };
    let mut running = Running::start(&place);
    let door = running.door();
    running.cage.kill_all();
    // A connection that was waiting may be accepted; nobody is at its other end.
    while let Ok((mut stream, _)) = door.proxy.accept() {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nonblocking(false).unwrap();
        assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
    }
}
