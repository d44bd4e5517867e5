// SPDX-License-Identifier: MIT OR Apache-2.0
//! Traced cages: each program that is started inside is shown first, and runs only after a yes.

use std::io::Read as _;

use ringfort_core::clock::Timestamp;
use ringfort_sandbox::launch::{Answer, Begun, Cage, Event, Exit, launch};
use ringfort_sandbox::profile::Tracing;
use rustix::event::{PollFd, PollFlags, poll};

use crate::cage::{DEGREES, Place, permit, request, spawn};

/// Runs a shell script in a traced cage; `judge` answers for each program.
fn run(place: &mut Place, script: &str, mut judge: impl FnMut(&Begun) -> Answer) -> (Exit, String, Vec<Begun>) {
    place.profile.tracing = Tracing::Programs;
    let (mut out, stdout) = std::io::pipe().unwrap();
    let mut spawn = spawn("/bin/sh", &["sh", "-c", script]);
    spawn.stdout = stdout.into();
    let mut cage = launch(permit(), &request(), Timestamp(1), &place.profile, spawn).unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        out.read_to_string(&mut text).unwrap();
        text
    });
    let mut seen = Vec::new();
    let exit = loop {
        match next(&mut cage) {
            Event::Executed(question) => {
                let begun = cage.begun(question).unwrap();
                let answer = judge(&begun);
                seen.push(begun);
                cage.answer(question, answer).unwrap();
                assert!(cage.answer(question, Answer::Run).is_err(), "a question is answered once");
            }
            Event::Exited(status) => break Exit::Exited(status),
            Event::Signaled(signal) => break Exit::Signaled(signal),
            Event::Lost => panic!("the cage was lost"),
            Event::Stopped(_) | Event::Continued => {}
        }
    };
    cage.kill_all();
    (exit, reader.join().unwrap(), seen)
}

fn next(cage: &mut Cage) -> Event {
    loop {
        if let Some(event) = cage.next_event() {
            return event;
        }
        poll(&mut [PollFd::from_borrowed_fd(cage.events(), PollFlags::IN)], None).unwrap();
    }
}

fn words(begun: &Begun) -> Vec<&str> {
    begun.argv.iter().map(|word| word.to_str().unwrap()).collect()
}

#[test]
fn each_program_is_shown_with_its_words_and_its_folder() {
    for degree in DEGREES {
        let mut place = Place::new(degree);
        let script = "mkdir deep; cd deep; /bin/echo one; sh -c 'exec /bin/echo two three' & wait; \
            printf '#!/bin/sh\\necho four\\n' > s; chmod +x s; ./s five; (exec -a false /bin/echo six) 2>/dev/null; true";
        let (exit, out, seen) = run(&mut place, script, |_| Answer::Run);
        assert_eq!(exit, Exit::Exited(0));
        assert!(out.starts_with("one\ntwo three\nfour"), "{out}");
        let lines: Vec<String> = seen.iter().map(|begun| words(begun).join(" ")).collect();
        for line in ["/bin/echo one", "sh -c exec /bin/echo two three", "/bin/echo two three", "/bin/sh ./s five"] {
            assert!(lines.iter().any(|seen| seen == line), "`{line}` is not among {lines:#?}");
        }
        let echo = seen.iter().find(|begun| words(begun) == ["/bin/echo", "one"]).unwrap();
        assert!(echo.program.ends_with("echo") && echo.cwd == place.workspace.join("deep"), "{echo:?}");
        assert!(
            !lines.iter().any(|line| line.contains("mkdir deep; cd deep")),
            "the program itself was ruled on before"
        );
    }
}

#[test]
fn deny_before_the_first_instruction() {
    for degree in DEGREES {
        let mut place = Place::new(degree);
        let is_touch = |begun: &Begun| begun.program.ends_with("touch");
        let script = "touch a; sh -c 'touch b'; (touch c &) ; sleep 0.2; ls; echo end";
        let (exit, out, seen) =
            run(&mut place, script, |begun| if is_touch(begun) { Answer::End } else { Answer::Run });
        assert_eq!(exit, Exit::Exited(0), "{out}");
        assert_eq!(seen.iter().filter(|begun| is_touch(begun)).count(), 3, "{seen:#?}");
        assert_eq!(out, "own\nend\n", "no file was made, and the rest goes on");
    }
}

#[test]
fn deny_starting_under_another_name() {
    // What is executed is told by the file, whatever the first word says.
    let mut place = Place::new(DEGREES[0]);
    let script = "cp /usr/bin/touch ./ls; ./ls a; ln -s /usr/bin/touch harmless; ./harmless b; \
        perl -e 'exec {\"/usr/bin/touch\"} \"echo\", \"c\"'; /bin/ls";
    let (_, out, seen) = run(&mut place, script, |begun| {
        let file = begun.program.to_str().unwrap();
        if file.ends_with("/touch") || file.ends_with("work/ls") { Answer::End } else { Answer::Run }
    });
    let out: Vec<&str> = out.lines().collect();
    assert_eq!(out, ["harmless", "ls", "own"], "{seen:#?}");
}

#[test]
fn deny_leaving_the_trace() {
    // A process that asks for no tracer, one that leaves its session, a thread that executes.
    let mut place = Place::new(DEGREES[0]);
    if !std::path::Path::new("/usr/bin/python3").exists() {
        eprintln!("skipped: there is no python3");
        return;
    }
    let script = r#"/usr/bin/python3 - <<'P'
import ctypes, os, threading
c = ctypes.CDLL(None, use_errno=True)
untraced = 0x00800000 | 17
pid = c.syscall(56, untraced, 0, 0, 0, 0)
if pid == 0:
    os.execv("/usr/bin/touch", ["touch", "untraced"])
print("clone", pid, flush=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv("/usr/bin/touch", ["touch", "daemon"])
    os._exit(0)
os.wait()
if os.fork() == 0:
    t = threading.Thread(target=lambda: os.execv("/usr/bin/touch", ["touch", "thread"]))
    t.start(); t.join()
os.wait()
if os.fork() == 0:
    fd = os.memfd_create("x")
    os.write(fd, open("/usr/bin/touch", "rb").read())
    os.execve(fd, ["touch", "memory"], {})
os.wait()
P
sleep 0.2; /bin/ls"#;
    let (exit, out, seen) = run(&mut place, script, |begun| {
        let file = begun.program.to_str().unwrap();
        if file.ends_with("/touch") || file.contains("memfd:") { Answer::End } else { Answer::Run }
    });
    assert_eq!(exit, Exit::Exited(0), "{out} {seen:#?}");
    assert_eq!(out, "clone -1\nown\n", "{seen:#?}");
    assert_eq!(seen.iter().filter(|begun| words(begun)[0] == "touch").count(), 3, "{seen:#?}");
}

#[test]
fn deny_by_default_where_nobody_answers() {
    let mut place = Place::new(DEGREES[0]);
    place.profile.tracing = Tracing::Programs;
    let spawn = spawn("/bin/sh", &["sh", "-c", "/usr/bin/touch a; echo $? > status"]);
    let mut cage = launch(permit(), &request(), Timestamp(1), &place.profile, spawn).unwrap();
    assert_eq!(cage.wait(), Exit::Exited(0));
    assert_eq!(std::fs::read_to_string(place.workspace.join("status")).unwrap(), "137\n");
    assert!(!place.workspace.join("a").exists());
}

#[test]
fn stops_signals_and_ends_are_told_as_without_a_trace() {
    for degree in DEGREES {
        let mut place = Place::new(degree);
        let script = "trap 'echo term; exit 7' TERM; kill -STOP $$; echo on; kill -TERM $$; sleep 9";
        place.profile.tracing = Tracing::Programs;
        let mut cage =
            launch(permit(), &request(), Timestamp(1), &place.profile, spawn("/bin/sh", &["sh", "-c", script]))
                .unwrap();
        assert_eq!(next(&mut cage), Event::Stopped(libc::SIGSTOP));
        cage.signal(libc::SIGCONT).unwrap();
        assert_eq!(next(&mut cage), Event::Continued);
        assert_eq!(next(&mut cage), Event::Exited(7));
        let outcome = run(&mut Place::new(degree), "kill -SEGV $$", |_| Answer::Run).0;
        assert_eq!(outcome, Exit::Signaled(libc::SIGSEGV));
    }
}
