// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs run: status, streams, signals, terminals, descendants.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use ringfort_core::obligation::Promise;
use ringfort_sandbox::launch::{BROKER_DESCRIPTOR, Cage, Event, Exit, LaunchError, Stream};
use ringfort_sandbox::profile::{BindMode, DegreeRequest, HomeBind};

use crate::cage::{DEGREES, Place, null, spawn, start};

#[test]
fn status_and_streams_pass_through() {
    for degree in DEGREES {
        let place = Place::new(degree);
        let outcome = place.shell("echo out; echo err >&2; exit 7");
        assert_eq!((outcome.out.as_str(), outcome.err.as_str(), outcome.exit), ("out\n", "err\n", Exit::Exited(7)));
        assert_eq!(place.shell("kill -9 $$").exit, Exit::Signaled(libc::SIGKILL));
        assert_eq!(place.shell("trap '' TERM; kill -TERM $$; exit 3").exit, Exit::Exited(3));
        place.shell("echo new > made; cat made own").prints("new\nown");
        assert_eq!(std::fs::read_to_string(place.workspace.join("made")).unwrap(), "new\n");
    }
}

#[test]
fn large_output_and_input_pass_through() {
    for degree in DEGREES {
        let place = Place::new(degree);
        let (input, mut feed) = std::io::pipe().unwrap();
        let (mut output, stdout) = std::io::pipe().unwrap();
        let mut spawn = spawn("/bin/sh", &["sh", "-c", "exec cat"]);
        spawn.stdin = input.into();
        spawn.stdout = stdout.into();
        let mut cage = start(&place, spawn).unwrap();
        let writer = std::thread::spawn(move || feed.write_all(&vec![b'x'; 8 << 20]).unwrap());
        let mut text = Vec::new();
        output.read_to_end(&mut text).unwrap();
        writer.join().unwrap();
        assert_eq!((text.len(), cage.wait()), (8 << 20, Exit::Exited(0)));
    }
}

#[test]
fn deny_what_cannot_be_executed() {
    for degree in DEGREES {
        let place = Place::new(degree);
        for (name, content, mode, expected) in [
            ("missing", None, 0, libc::ENOENT),
            ("plain", Some("#!/bin/sh\n"), 0o644, libc::EACCES),
            ("garbage", Some("garbage"), 0o755, libc::ENOEXEC),
        ] {
            let path = place.workspace.join(name);
            if let Some(content) = content {
                std::fs::write(&path, content).unwrap();
                std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            }
            match place.run(path.to_str().unwrap(), &[name]) {
                Err(LaunchError::Execute { source, .. }) => assert_eq!(source.raw_os_error(), Some(expected), "{name}"),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}

#[test]
fn deny_streams_that_lead_elsewhere() {
    let place = Place::new(DegreeRequest::Auto);
    let folder: OwnedFd = File::open("/").unwrap().into();
    let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    for (descriptor, expected) in [(folder, "folder"), (socket.into(), "socket")] {
        let mut spawn = spawn("/bin/true", &["true"]);
        spawn.stdout = descriptor;
        match start(&place, spawn) {
            Err(LaunchError::Descriptor { stream: Stream::Stdout, kind }) => assert_eq!(kind, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
}

#[test]
fn deny_profiles_that_reach_outside() {
    type Change = fn(&mut Place);
    let changes: [(&str, Change); 9] = [
        ("relative workspace", |place| place.profile.workspace = "work".into()),
        ("root as workspace", |place| place.profile.workspace = "/".into()),
        ("home as workspace", |place| place.profile.workspace.clone_from(&place.home)),
        ("working folder outside", |place| place.profile.cwd.clone_from(&place.outside)),
        ("protected outside", |place| place.profile.protected.push(place.outside.join("secret"))),
        ("protected by dots", |place| place.profile.protected.push(place.workspace.join("../secret"))),
        ("home file by dots", |place| place.profile.home.files.push(("../x".into(), Vec::new()))),
        ("missing workspace", |place| place.profile.workspace.push("no")),
        ("null byte", |place| place.profile.environment.push(("A".into(), "\0".into()))),
    ];
    for (what, change) in changes {
        let mut place = Place::new(DegreeRequest::Auto);
        change(&mut place);
        match start(&place, spawn("/bin/true", &["true"])) {
            Err(LaunchError::Profile(_)) => {}
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn deny_what_the_host_cannot_promise() {
    let mut place = Place::new(DegreeRequest::Minimal);
    place.profile.require = [Promise::ProtectStartup].into();
    let marker = place.workspace.join("ran");
    match place.run("/bin/sh", &["sh", "-c", "echo > ran"]) {
        Err(error @ LaunchError::Missing { promise: Promise::ProtectStartup, .. }) => {
            assert!(error.help().unwrap().contains("user namespaces"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert!(!marker.exists(), "the program ran");
    place.profile.hidden.push(place.workspace.join("own"));
    place.profile.require = [Promise::ConfineReads].into();
    match place.run("/bin/sh", &["sh", "-c", "echo > ran"]) {
        Err(LaunchError::Missing { promise: Promise::ConfineReads, .. }) => {}
        other => panic!("{other:?}"),
    }
    assert!(!marker.exists(), "the program ran");
}

#[test]
fn the_home_is_private_and_its_parts_are_as_asked() {
    let mut place = Place::new(DegreeRequest::Auto);
    for (name, mode) in [("tool", BindMode::ReadOnly), ("cache", BindMode::Scratch)] {
        let source = place.home.join(name);
        std::fs::create_dir(&source).unwrap();
        std::fs::write(source.join("file"), name).unwrap();
        place.profile.home.binds.push(HomeBind { source, target: name.into(), mode });
    }
    place.profile.home.files.push((".config/x/settings".into(), b"settings".to_vec()));
    if !place.is_namespaced() {
        return;
    }
    place.shell("cat ~/tool/file ~/cache/file ~/.config/x/settings").prints("toolcachesettings");
    place.shell("echo a > ~/made && cat ~/made").prints("a");
    place.shell("echo a > ~/tool/made 2>&- || echo refused").prints("refused");
    place.shell("rm ~/tool/file 2>&- || echo refused").prints("refused");
    place
        .shell("echo b > ~/cache/file; rm -f ~/cache/x; echo c > ~/cache/made; cat ~/cache/file ~/cache/made")
        .prints("b\nc");
    assert_eq!(std::fs::read_to_string(place.home.join("cache/file")).unwrap(), "cache");
    for name in ["made", "cache/made", ".config"] {
        assert!(!place.home.join(name).exists(), "`{name}` reached the real home");
    }
}

#[test]
fn events_tell_of_stops_and_signals() {
    for degree in DEGREES {
        let place = Place::new(degree);
        let mut cage = start(&place, spawn("/bin/sh", &["sh", "-c", "kill -STOP $$; kill -TSTP $$; exit 5"])).unwrap();
        assert_eq!(next(&mut cage), Event::Stopped(libc::SIGSTOP));
        cage.signal(libc::SIGCONT).unwrap();
        assert_eq!(next(&mut cage), Event::Stopped(libc::SIGTSTP));
        cage.signal(libc::SIGCONT).unwrap();
        assert_eq!(next(&mut cage), Event::Exited(5));
        assert_eq!((cage.next_event(), cage.wait()), (None, Exit::Exited(5)));

        let mut cage = start(&place, spawn("/bin/sleep", &["sleep", "1000"])).unwrap();
        cage.signal(libc::SIGTERM).unwrap();
        assert_eq!(cage.wait(), Exit::Signaled(libc::SIGTERM));
    }
}

/// The next event but a continuation, which the kernel forgets when a stop follows at once.
fn next(cage: &mut Cage) -> Event {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match cage.next_event() {
            Some(Event::Continued) => continue,
            Some(event) => return event,
            None => {}
        }
        assert!(Instant::now() < deadline, "no event");
        let mut polls = [rustix::event::PollFd::from_borrowed_fd(cage.events(), rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut polls, Some(&rustix::event::Timespec { tv_sec: 20, tv_nsec: 0 })).unwrap();
    }
}

#[test]
fn escape_by_double_fork_ends_with_the_program() {
    for degree in DEGREES {
        let place = Place::new(degree);
        // Each leaves a process behind that holds the pipe open; reading to the end proves that it is gone.
        for script in [
            "setsid sleep 1000 & exit 0",
            "(setsid sh -c 'setsid sleep 1000 & exec sleep 1000' &) ; exit 0",
            "for i in 1 2 3 4 5 6 7 8; do (setsid nohup sh -c 'trap \"\" TERM HUP; (sleep 1000 &) ; sleep 1000' &) ; done; exit 0",
        ] {
            let outcome = place.shell(script);
            assert_eq!(outcome.exit, Exit::Exited(0), "{script}");
            // Without a process namespace it is a promise only where Landlock keeps signals inside.
            let scoped = outcome.achieved.landlock_abi >= Some(6);
            assert!(outcome.achieved.holds(Promise::KillAll) || !scoped, "{degree:?}: {outcome:?}");
        }
    }
}

#[test]
fn escape_by_outliving_the_cage_is_ended() {
    for degree in DEGREES {
        let place = Place::new(degree);
        for end in [|mut cage: Cage| assert_eq!(cage.kill_all(), Exit::Killed), |cage: Cage| drop(cage)] {
            let (mut output, stdout) = std::io::pipe().unwrap();
            let mut spawn = spawn("/bin/sh", &["sh", "-c", "echo up; (setsid sleep 1000 &); exec sleep 1000"]);
            spawn.stdout = stdout.into();
            let cage = start(&place, spawn).unwrap();
            let mut line = [0; 3];
            output.read_exact(&mut line).unwrap();
            end(cage);
            let mut rest = Vec::new();
            output.read_to_end(&mut rest).unwrap();
            assert_eq!(rest, b"");
        }
    }
}

#[test]
fn only_the_named_descriptors_are_passed_on() {
    for degree in DEGREES {
        let place = Place::new(degree);
        // Not close-on-exec, as a careless library would leave it.
        let leak = rustix::io::dup(File::open("/etc/passwd").unwrap().as_fd()).unwrap();
        place.shell("ls /proc/self/fd").prints("0\n1\n2\n3"); // 3 is the listing itself.
        drop(leak);
        let (broker, other) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut spawn = spawn("/bin/sh", &["sh", "-c", "echo hello >&3"]);
        spawn.broker = Some(broker.into());
        let mut cage = start(&place, spawn).unwrap();
        assert_eq!((cage.wait(), BROKER_DESCRIPTOR), (Exit::Exited(0), 3));
        let mut text = [0; 6];
        (&other).read_exact(&mut text).unwrap();
        assert_eq!(&text, b"hello\n");
    }
}

#[test]
fn a_terminal_has_job_control() {
    for degree in DEGREES {
        let place = Place::new(degree);
        let master = rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY).unwrap();
        rustix::pty::grantpt(&master).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let name = rustix::pty::ptsname(&master, Vec::new()).unwrap();
        let slave: OwnedFd =
            rustix::fs::open(name, rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY, rustix::fs::Mode::empty())
                .unwrap();
        let copy = || rustix::io::fcntl_dupfd_cloexec(&slave, 3).unwrap();
        let mut spawn = spawn(
            "/bin/sh",
            &[
                "sh",
                "-c",
                "echo ready >/dev/stderr; trap 'echo interrupted; exit 4' INT; read line </dev/tty; echo got $line; while :; do :; done",
            ],
        );
        (spawn.stdin, spawn.stdout, spawn.stderr, spawn.terminal) = (copy(), copy(), copy(), Some(copy()));
        let mut cage = start(&place, spawn).unwrap();
        drop(slave);
        let mut terminal = File::from(master);
        read_until(&mut terminal, "ready");
        terminal.write_all(b"words\n").unwrap();
        read_until(&mut terminal, "got words");
        terminal.write_all(b"\x1a").unwrap(); // Ctrl-Z
        assert_eq!(next(&mut cage), Event::Stopped(libc::SIGTSTP));
        cage.signal(libc::SIGCONT).unwrap();
        terminal.write_all(b"\x03").unwrap(); // Ctrl-C
        read_until(&mut terminal, "interrupted");
        assert_eq!(cage.wait(), Exit::Exited(4));
    }
}

fn read_until(terminal: &mut File, expected: &str) {
    let mut text = String::new();
    while !text.contains(expected) {
        let mut polls = [rustix::event::PollFd::new(terminal, rustix::event::PollFlags::IN)];
        let ready = rustix::event::poll(&mut polls, Some(&rustix::event::Timespec { tv_sec: 20, tv_nsec: 0 }));
        assert_eq!(ready, Ok(1), "no `{expected}` but `{text}`");
        let mut buffer = [0; 256];
        let length = terminal.read(&mut buffer).unwrap();
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
}

#[test]
fn limits_bind() {
    let mut place = Place::new(DegreeRequest::Auto);
    place.profile.limits.descriptors_max = Some(64);
    place.profile.limits.file_bytes_max = Some(1 << 20);
    place.profile.limits.cpu_s_max = Some(1);
    place.shell("ulimit -n; ulimit -c").prints("64\n0");
    let written = place.shell("head -c 4000000 /dev/zero > big; echo $?; wc -c < big");
    assert!(written.out.trim().ends_with("1048576"), "{written:?}");
    assert!(matches!(place.shell("while :; do :; done").exit, Exit::Signaled(libc::SIGKILL | libc::SIGXCPU)));
}

#[test]
fn the_environment_is_exactly_the_profile() {
    let mut place = Place::new(DegreeRequest::Auto);
    place.profile.environment = vec![("ONLY".into(), "this".into())];
    assert_eq!(place.run("/usr/bin/env", &["env"]).unwrap().out, "ONLY=this\n");
    drop(null());
}

#[test]
fn the_host_is_probed_by_trying() {
    let features = ringfort_sandbox::probe::probe();
    let place = Place::new(DegreeRequest::Auto);
    let achieved = place.shell("true").achieved;
    assert_eq!(features.mounts, place.is_namespaced_quietly(), "{features:?}");
    assert_eq!(features.landlock_abi.map(|abi| abi.min(features.landlock_abi_known)), achieved.landlock_abi);
    assert!(features.seccomp && (features.user_namespaces || !features.mounts), "{features:?}");
    eprintln!("{features:?}");
}

#[test]
fn streams_can_be_opened_again_with_the_access_that_they_have() {
    for degree in DEGREES {
        let place = Place::new(degree);
        let log = place.outside.join("log");
        let mut spawn = spawn("/bin/sh", &["sh", "-c", "echo one >/dev/stdout; cat </dev/stdout && echo ESCAPED"]);
        spawn.stdout = File::options().create(true).append(true).open(&log).unwrap().into();
        start(&place, spawn).unwrap().wait();
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "one\n", "{degree:?}");
    }
}

/// The variable that makes this binary a supervisor that will be killed.
const DOOMED: &str = "RINGFORT_TEST_DOOMED";

/// Does nothing unless this binary was started as a supervisor.
#[test]
#[expect(clippy::disallowed_methods, reason = "the degree comes through the environment")]
fn doomed_supervisor() {
    let Some(degree) = std::env::var_os(DOOMED) else {
        return;
    };
    let place = Place::new(if degree == "auto" { DegreeRequest::Auto } else { DegreeRequest::Minimal });
    let mut spawn = spawn("/bin/sh", &["sh", "-c", "(setsid sh -c 'echo up; exec sleep 1000' &); exec sleep 1000"]);
    spawn.stdout = rustix::io::dup(std::io::stdout()).unwrap();
    start(&place, spawn).unwrap().wait();
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the supervisor is killed, so it is a process of its own")]
fn escape_by_killing_the_supervisor_ends_everything() {
    for degree in ["auto", "minimal"] {
        let mut supervisor = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "life::doomed_supervisor", "--nocapture"])
            .env(DOOMED, degree)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = supervisor.stdout.take().unwrap();
        let mut text = String::new();
        while !text.contains("up") {
            let mut buffer = [0; 256];
            let length = output.read(&mut buffer).unwrap();
            assert_ne!(length, 0, "{text}");
            text.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        supervisor.kill().unwrap();
        supervisor.wait().unwrap();
        // Ends only when nobody holds the pipe any more.
        output.read_to_end(&mut Vec::new()).unwrap();
    }
}
