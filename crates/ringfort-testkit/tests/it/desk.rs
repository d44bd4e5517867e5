// SPDX-License-Identifier: MIT OR Apache-2.0
//! The desk of the door to the network, between a real pipeline and a carrier that only pretends.
//!
//! In: attempts of programs, answers of a person. Out: verdicts, the record, what the user is told.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringfort_core::clock::{Clock, Timestamp};
use ringfort_core::obligation::{ApprovalChannel, LimitObligation};
use ringfort_core::principal::Principal;
use ringfort_policy::egress::parse_host;
use ringfort_policy::load::{parse_restriction, validate};
use ringfort_policy::preset::Preset;
use ringfort_policy::rule::Policy;
use ringfort_runtime::approve::{Answer, Approver, Question};
use ringfort_runtime::egress::desk::{Desk, Desktop};
use ringfort_runtime::egress::refusals::Reader;
use ringfort_runtime::egress::{Addresses, Attempt, CageId, Carrier, Closed, Ending, Event, Reply, Verdict};
use ringfort_runtime::session::{Session, Task};
use ringfort_sandbox::launch::{DoorSockets, Front};
use ringfort_sandbox::profile::{PROXY_PORT, Profile};
use ringfort_testkit::clock::FakeClock;
use ringfort_testkit::suite::sample_request;

use super::stage::{Stage, native, typed};

/// What was answered to one attempt, and what stood on the record at that moment.
struct Given {
    verdict: Verdict,
    record: String,
}

/// What a carrier that carries nothing has seen.
#[derive(Default)]
struct Seen {
    events: VecDeque<Event>,
    adopted: Vec<(CageId, Option<String>)>,
    stopped: bool,
}

struct Pretended {
    seen: Rc<RefCell<Seen>>,
    null: OwnedFd,
}

impl Carrier for Pretended {
    fn adopt(&mut self, _sockets: DoorSockets, cage: CageId, program: Option<&str>) -> io::Result<()> {
        self.seen.borrow_mut().adopted.push((cage, program.map(str::to_owned)));
        Ok(())
    }

    fn remove(&mut self, _cage: CageId) {}

    fn waiting(&self) -> BorrowedFd<'_> {
        self.null.as_fd()
    }

    fn next(&mut self) -> Option<Event> {
        self.seen.borrow_mut().events.pop_front()
    }

    fn settle(&mut self) {}

    fn stop(&mut self) {
        self.seen.borrow_mut().stopped = true;
    }
}

/// Keeps the verdict.
struct Kept {
    trail: PathBuf,
    given: Arc<Mutex<Vec<Given>>>,
    is_abandoned: bool,
}

impl Reply for Kept {
    fn give(self: Box<Self>, verdict: Verdict) {
        let record = std::fs::read_dir(&self.trail).unwrap().map(|entry| entry.unwrap().path());
        let record = record.filter(|path| path.extension().is_some_and(|end| end == "jsonl"));
        // A large one is of no interest to any test.
        let record = record.filter(|path| path.metadata().is_ok_and(|meta| meta.len() < 1 << 20));
        let record = record.map(|path| std::fs::read_to_string(path).unwrap()).collect();
        self.given.lock().unwrap().push(Given { verdict, record });
    }

    fn is_abandoned(&self) -> bool {
        self.is_abandoned
    }
}

/// A person who always says the same.
struct Person {
    answer: Answer,
    asked: Cell<u32>,
}

impl Approver for Person {
    fn ask(&self, _question: &Question<'_>) -> Answer {
        self.asked.set(self.asked.get() + 1);
        self.answer.clone()
    }
}

struct Scene {
    stage: Stage,
    session: Session,
    clock: Arc<FakeClock>,
    person: Person,
    seen: Rc<RefCell<Seen>>,
    given: Arc<Mutex<Vec<Given>>>,
}

impl Scene {
    fn new(policy: &str, project: &str, answer: Answer) -> Self {
        let stage = Stage::new();
        let path = Path::new("test");
        let chain = vec![
            Policy::from_config(&validate(path, policy).unwrap()),
            Policy::from_restriction(&parse_restriction(path, project).unwrap()),
        ];
        let clock = Arc::new(FakeClock::new(Timestamp(1_800_000_000_000)));
        let workspace = stage.path("work");
        std::fs::create_dir(&workspace).unwrap();
        let session = Session {
            holds_agent: false,
            pipeline: stage.pipeline_over(chain.into(), native(Preset::Supervised)),
            name: "s1".to_owned(),
            profile: Profile::new(workspace.clone(), stage.path("home")),
            workspace,
            home: stage.path("home"),
            limits: LimitObligation::default(),
            agent_wall: None,
            known: None,
            clock: Arc::<FakeClock>::clone(&clock) as Arc<dyn Clock>,
        };
        let person = Person { answer, asked: Cell::new(0) };
        Self { stage, session, clock, person, seen: Rc::default(), given: Arc::default() }
    }

    /// A desk that serves one cage, in which `program` runs.
    fn desk(&self, program: &Path) -> Desk<'_> {
        let null = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        let carrier = Box::new(Pretended { seen: Rc::clone(&self.seen), null: null() });
        let desktop = Desktop { approver: &self.person, asks: Some(ApprovalChannel::Trusted), is_live: false };
        let desk = Desk::new(&self.session, desktop, carrier).unwrap();
        let sockets = DoorSockets {
            proxy: Front::Listener(null()),
            proxy_port: PROXY_PORT,
            caught: vec![],
            dns_udp: None,
            dns_tcp: None,
        };
        let task = Task {
            request: typed("x"),
            program: program.to_owned(),
            argv: vec![],
            cwd: self.session.workspace.clone(),
            environment: vec![],
        };
        desk.adopt(sockets, principal(), &task).unwrap();
        desk
    }

    fn attempt(&self, connection: u64, to: &str, request: Option<(&str, &str)>) -> Attempt {
        let (host, port) = to.rsplit_once(':').unwrap();
        Attempt {
            cage: 0,
            connection,
            way: if request.is_some() { "http" } else { "connect" },
            host: parse_host(host).unwrap(),
            port: port.parse().unwrap(),
            method: request.map(|(method, _)| method.to_owned()),
            path: request.map(|(_, path)| path.to_owned()),
        }
    }

    /// A program wants a connection, and waits.
    fn wants(&self, connection: u64, to: &str, request: Option<(&str, &str)>) {
        let reply = Kept { trail: self.stage.trail(), given: Arc::clone(&self.given), is_abandoned: false };
        self.seen.borrow_mut().events.push_back(Event::Attempt(self.attempt(connection, to, request), Box::new(reply)));
    }

    /// The answers since the last call: the rule of each denial, or `allow`.
    fn answers(&self) -> Vec<String> {
        let word = |given: Given| match given.verdict {
            Verdict::Allow(_) => "allow".to_owned(),
            Verdict::Deny(refusal) => refusal.rule,
        };
        self.given.lock().unwrap().drain(..).map(word).collect()
    }
}

fn principal() -> Principal {
    sample_request().principal
}

const LISTED: &str = "[egress]\ndomains = [\"a.example\", \"*.wild.example\"]\n[[egress.rules]]\nhost = \"ruled.example\"\n\
                      paths = [\"/v1/*\"]\nbytes_max = 100\n";

#[test]
fn what_is_listed_goes_ahead_once_it_is_on_record() {
    let scene = Scene::new(LISTED, "[[egress.rules]]\nhost = \"ruled.example\"\nrequests_max = 2\n", Answer::No);
    let desk = scene.desk(Path::new("/usr/bin/curl"));
    assert_eq!(scene.seen.borrow().adopted, [(0, Some("curl".to_owned()))]);
    scene.wants(1, "a.example:443", None);
    scene.wants(2, "x.wild.example:443", None);
    scene.wants(3, "ruled.example:80", Some(("GET", "/v1/x?token=s3cretvalue")));
    desk.serve();
    let mut given = scene.given.lock().unwrap();
    let expected = [
        ("a.example:443", Addresses::Private, None, None),
        ("x.wild.example:443", Addresses::Public, None, None),
        ("http://ruled.example:80/v1/x", Addresses::Private, Some(100), Some(2)),
    ];
    for (given, (url, addresses, bytes, requests)) in given.drain(..).zip(expected) {
        let Verdict::Allow(pass) = given.verdict else { panic!("{url}: {:?}", given.verdict) };
        assert_eq!((pass.addresses, pass.bounds.bytes_max, pass.bounds.requests_max), (addresses, bytes, requests));
        assert!(given.record.contains(&format!("\"action\":\"egress {url}\"")), "the intent of {url} comes first");
    }
    drop(given);
    let record = scene.stage.record();
    assert!(!record.contains("s3cretvalue") && record.matches("\"kind\":\"intent\"").count() == 3, "{record}");
    assert_eq!(scene.person.asked.get(), 0);

    // An outcome for each: of the one that ended, and of those that the end of the run cuts.
    let attempt = scene.attempt(1, "a.example:443", None);
    let closed = Closed {
        cage: 0,
        connection: 1,
        request: None,
        attempt: Some(attempt),
        address: None,
        protocol: "tls",
        sent_bytes: 7,
        received_bytes: 9,
        requests: 1,
        duration: Duration::from_millis(5),
        ending: Ending::Closed,
    };
    scene.seen.borrow_mut().events.push_back(Event::Closed(closed));
    desk.serve();
    assert_eq!(desk.close().total(), 0);
    assert!(scene.seen.borrow().stopped);
    assert_eq!(scene.stage.record().matches("\"kind\":\"outcome\"").count(), 3, "{}", scene.stage.record());
}

#[test]
fn deny_once_on_record_and_as_often_as_it_is_tried() {
    let scene = Scene::new(LISTED, "", Answer::No);
    let desk = scene.desk(Path::new("/usr/bin/curl"));
    for connection in 0..5 {
        scene.wants(connection, "169.254.169.254:80", None);
        scene.wants(connection, "ruled.example:443", None);
    }
    desk.serve();
    assert_eq!(scene.answers(), ["egress-002", "egress-010"].repeat(5));
    let record = scene.stage.record();
    assert_eq!(record.matches("\"result\":\"denied\"").count(), 2, "{record}");
    // What depends on more than the host is judged each time.
    scene.wants(9, "ruled.example:80", Some(("GET", "/other")));
    scene.wants(10, "ruled.example:80", Some(("GET", "/v1/x")));
    desk.serve();
    assert_eq!(scene.answers(), ["egress-010", "allow"]);
    let refusals = desk.close();
    assert_eq!(refusals.total(), 11);
    assert!(refusals.lines(Reader::Person).len() <= 10);
    assert!(scene.stage.record().contains("egress.repeated"), "{}", scene.stage.record());
}

#[test]
fn one_yes_answers_what_waits_and_a_no_is_final() {
    for (answer, questions_of_a_turn, questions_of_two, expected) in [
        (Answer::Once, 1, 2, "allow"),
        (Answer::Session, 1, 1, "allow"),
        (Answer::No, 1, 1, "egress-005"),
        (Answer::Elsewhere, 1, 1, "egress-005"),
    ] {
        let scene = Scene::new("", "", answer.clone());
        let desk = scene.desk(Path::new("/usr/bin/curl"));
        for (connection, path) in [(1, "/a"), (2, "/b"), (3, "/c")] {
            scene.wants(connection, "asked.example:80", Some(("GET", path)));
        }
        desk.serve();
        assert_eq!((scene.answers(), scene.person.asked.get()), (vec![expected.to_owned(); 3], questions_of_a_turn));
        scene.wants(4, "asked.example:80", Some(("POST", "/d")));
        desk.serve();
        assert_eq!(
            (scene.answers(), scene.person.asked.get()),
            (vec![expected.to_owned()], questions_of_two),
            "{answer:?}"
        );
        let Some(Verdict::Allow(pass)) = scene.given.lock().unwrap().pop().map(|given| given.verdict) else { continue };
        assert_eq!(pass.addresses, Addresses::Public, "a person said yes to a name, not to where it leads");
    }
}

#[test]
fn deny_until_somebody_answers_and_ask_again_later() {
    let scene = Scene::new("", "", Answer::Nobody { why: "nobody is there".to_owned() });
    let desk = scene.desk(Path::new("/usr/bin/curl"));
    for _ in 0..3 {
        scene.wants(1, "asked.example:443", None);
        desk.serve();
    }
    assert_eq!(scene.person.asked.get(), 1);
    scene.clock.advance(Duration::from_secs(11));
    scene.wants(1, "asked.example:443", None);
    desk.serve();
    assert_eq!((scene.person.asked.get(), scene.answers()), (2, vec!["egress-005".to_owned(); 4]));
}

#[test]
fn deny_more_questions_than_a_person_can_bear() {
    let scene = Scene::new("", "", Answer::No);
    let desk = scene.desk(Path::new("/usr/bin/curl"));
    for number in 0..500 {
        scene.wants(number, &format!("h{number}.example:443"), None);
        desk.serve();
    }
    assert_eq!(scene.person.asked.get(), 100);
    assert_eq!(scene.answers().len(), 500);
    let entries = scene.stage.record().lines().count();
    assert!(entries <= 210, "{entries} entries");
}

#[test]
fn many_connections_use_no_budget_and_are_no_loop() {
    let scene =
        Scene::new("[autonomy]\nmax_actions_per_hour = 3\n[egress]\ndomains = [\"a.example\"]\n", "", Answer::No);
    let desk = scene.desk(Path::new("/usr/bin/npm"));
    for connection in 0..300 {
        scene.wants(connection, "a.example:443", None);
        desk.serve();
    }
    assert_eq!(scene.answers(), vec!["allow"; 300]);
    assert_eq!(scene.stage.record().matches("\"uncounted\":true").count(), 300);
}

#[test]
fn deny_more_connections_than_the_record_keeps() {
    let scene = Scene::new("[egress]\ndomains = [\"a.example\"]\n", "", Answer::No);
    let desk = scene.desk(Path::new("/usr/bin/npm"));
    // Long paths fill it sooner.
    let path = format!("/{}", "x".repeat(15_000));
    let mut answered = Vec::new();
    for connection in 0..2500 {
        scene.wants(connection, "a.example:80", Some(("GET", &path)));
        // A turn has room for this many, and one sync is enough for all of them.
        if connection % 50 == 49 {
            desk.serve();
            answered.append(&mut scene.answers());
        }
    }
    assert_eq!(
        (answered.first().map(String::as_str), answered.last().map(String::as_str)),
        (Some("allow"), Some("guard-006"))
    );
    let bytes = scene.stage.record().len();
    assert!(bytes < 70 << 20, "{bytes}");
}

#[test]
fn a_freeze_stops_the_carrier() {
    let scene = Scene::new("[egress]\ndomains = [\"a.example\"]\n", "", Answer::No);
    let desk = scene.desk(Path::new("/usr/bin/npm"));
    scene.clock.advance(Duration::from_secs(1));
    desk.heed_freeze();
    assert!(!scene.seen.borrow().stopped);
    std::fs::remove_file(scene.stage.path("freeze")).unwrap();
    scene.wants(1, "a.example:443", None);
    scene.clock.advance(Duration::from_secs(1));
    desk.serve();
    assert!(scene.seen.borrow().stopped);
    assert!(scene.answers().is_empty(), "dropped unanswered, which denies");
    assert!(scene.stage.record().contains("egress.closed"));
}

#[test]
fn deny_a_programs_name_to_what_the_agent_writes() {
    let scene = Scene::new("", "", Answer::No);
    let own = scene.session.workspace.join("npm");
    std::fs::write(&own, "").unwrap();
    let link = scene.stage.path("npm");
    std::os::unix::fs::symlink(&own, &link).unwrap();
    drop(scene.desk(&own));
    drop(scene.desk(&link));
    drop(scene.desk(Path::new("/usr/bin/npm")));
    let programs: Vec<_> = scene.seen.borrow().adopted.iter().map(|(_, program)| program.clone()).collect();
    assert_eq!(programs, [None, None, Some("npm".to_owned())]);
}

#[test]
fn nobody_is_asked_for_who_has_gone() {
    let scene = Scene::new("", "", Answer::Once);
    let desk = scene.desk(Path::new("/usr/bin/curl"));
    let reply = Kept { trail: scene.stage.trail(), given: Arc::clone(&scene.given), is_abandoned: true };
    let attempt = scene.attempt(1, "asked.example:443", None);
    scene.seen.borrow_mut().events.push_back(Event::Attempt(attempt, Box::new(reply)));
    desk.serve();
    assert_eq!((scene.person.asked.get(), scene.answers().len()), (0, 0));
    assert!(scene.stage.record().is_empty());
}
