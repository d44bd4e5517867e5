// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hostile programs inside a cage: every attempt of the list, in every degree, and the protection of start-up files.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use ringfort_core::obligation::Promise;
use ringfort_sandbox::profile::{BindMode, DegreeRequest, HomeBind, Staged};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::attacks::{ATTACKS, Scene, VARIABLE};
use crate::cage::{DEGREES, Place, SECRET};

/// What Landlock and seccomp alone do not stop. Named in the threat model.
const OPEN_WITHOUT_NAMESPACES: &[&str] = &["mode-outside", "read-keeper-command"];

struct Host {
    scene: Scene,
    tcp: TcpListener,
    udp: UdpSocket,
    _sockets: [UnixListener; 2],
}

impl Host {
    /// Everything outside that an attacker would like to reach.
    #[expect(clippy::disallowed_methods, reason = "targets for the attacker")]
    fn new(place: &Place) -> Self {
        let tcp = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = tcp.local_addr().unwrap().port();
        let udp = UdpSocket::bind(("127.0.0.1", port)).unwrap();
        let abstract_name = format!("ringfort-test-{}-{port}", std::process::id());
        let address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        for spare in ["spare", "spare2"] {
            std::fs::write(place.outside.join(spare), "spare").unwrap();
        }
        let sockets =
            [UnixListener::bind_addr(&address).unwrap(), UnixListener::bind(place.outside.join("socket")).unwrap()];
        let scene = Scene {
            home: place.home.clone(),
            workspace: place.workspace.clone(),
            outside: place.outside.clone(),
            supervisor: i32::try_from(std::process::id()).unwrap(),
            port,
            abstract_name,
        };
        Self { scene, tcp, udp, _sockets: sockets }
    }
}

/// Name and verdict of each attempt.
fn verdicts(output: &str) -> BTreeMap<String, String> {
    assert!(output.contains("DONE"), "the attacker did not come to its end:\n{output}");
    output
        .lines()
        .filter_map(|line| {
            let (name, _) = line.strip_prefix("ESCAPED ").or(line.strip_prefix("BLOCKED "))?.split_once(':')?;
            Some((name.to_owned(), line.to_owned()))
        })
        .collect()
}

#[test]
fn escape_attempts_are_blocked() {
    for degree in DEGREES {
        let mut place = Place::new(degree);
        let host = Host::new(&place);
        // The attacker is this binary, put into view read-only.
        let binary = std::env::current_exe().unwrap().canonicalize().unwrap();
        place.profile.home.binds.push(HomeBind {
            source: binary.clone(),
            target: "attacker".into(),
            mode: BindMode::ReadOnly,
        });
        place.profile.environment.push((VARIABLE.into(), OsString::from(host.scene.pack())));
        let minimal = !place.is_namespaced_quietly();
        let program = if minimal { binary } else { place.home.join("attacker") };
        let program = program.to_str().unwrap();
        let outcome = place
            .run(program, &["attacker", "--exact", "attacks::attacker", "--nocapture", "--test-threads=1"])
            .unwrap();
        let verdicts = verdicts(&outcome.out);
        assert_eq!(verdicts.len(), ATTACKS.len(), "{}", outcome.out);
        let escaped: Vec<&str> =
            verdicts.iter().filter(|(_, line)| line.starts_with("ESCAPED")).map(|(name, _)| name.as_str()).collect();
        let open: &[&str] = if minimal { OPEN_WITHOUT_NAMESPACES } else { &[] };
        assert_eq!(escaped, open, "{degree:?}: {verdicts:#?}");
        for socket in [host.tcp.as_fd(), host.udp.as_fd()] {
            let mut waiting = [PollFd::new(&socket, PollFlags::IN)];
            assert_eq!(poll(&mut waiting, Some(&Timespec::default())), Ok(0), "something arrived outside");
        }
        assert!(!place.home.join("made-by-attacker").exists(), "the real home was written");
        assert_eq!(std::fs::read_to_string(place.outside.join("secret")).unwrap(), SECRET);
        assert!(outcome.achieved.promises.len() == Promise::ALL.len());
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the same attempts without a cage, as a control")]
fn outside_most_attempts_succeed() {
    let place = Place::new(DegreeRequest::Minimal);
    let host = Host::new(&place);
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "attacks::attacker", "--nocapture", "--test-threads=1"])
        .env(VARIABLE, host.scene.pack())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    let verdicts = verdicts(&output);
    let escaped = verdicts.values().filter(|line| line.starts_with("ESCAPED")).count();
    eprintln!("{escaped} of {} attempts succeed outside", verdicts.len());
    assert!(escaped * 5 > verdicts.len() * 2, "the attempts prove nothing here:\n{output}");
}

/// A workspace with a repository's start-up files in it.
fn startup_place() -> Place {
    let mut place = Place::new(DegreeRequest::Auto);
    let git = place.workspace.join(".git");
    std::fs::create_dir_all(git.join("hooks")).unwrap();
    std::fs::create_dir_all(place.workspace.join("a/b")).unwrap();
    for (path, content) in [
        (".git/hooks/pre-commit", "real"),
        (".git/config", "[core]\n\trepositoryformatversion = 0\n"),
        (".git/HEAD", "ref: refs/heads/main\n"),
        (".envrc", "real"),
        ("a/b/settings", "real"),
        ("a/b/free", "free"),
        ("hidden", SECRET),
    ] {
        std::fs::write(place.workspace.join(path), content).unwrap();
    }
    std::os::unix::fs::symlink("a/b/settings", place.workspace.join("pointer")).unwrap();
    for path in [".git/hooks", ".envrc", "a/b/settings", "pointer"] {
        place.profile.protected.push(place.workspace.join(path));
    }
    place.profile.hidden.push(place.workspace.join("hidden"));
    place.profile.require = [Promise::ProtectStartup, Promise::ConfineReads].into();
    place
}

#[test]
fn escape_through_startup_files_is_blocked() {
    let place = startup_place();
    if !Place::new(DegreeRequest::Auto).is_namespaced() {
        return;
    }
    for attempt in [
        "echo evil > .envrc",
        "echo evil >> .git/hooks/pre-commit",
        "echo evil > .git/hooks/post-checkout",
        "rm -f .envrc",
        "mv .envrc other",
        "echo evil > new && mv new .envrc",
        "ln -sf /tmp .envrc",
        "mv .git moved",
        "mv a moved",
        "mv a/b moved",
        "rm -rf a/b",
        "mkdir -p e/b && echo evil > e/b/settings && mv -T e a",
        "mv .git/hooks .git/old",
        "rm -rf .git/hooks",
        "chmod 777 .envrc",
        "touch -d 2001-01-01 .envrc",
        "ln a/b/settings linked",
        "truncate -s 0 a/b/settings",
        "echo evil > pointer",
        "rm -f pointer",
        "ln -sfn /tmp pointer",
        "mv pointer other",
        "cat hidden",
        "mv hidden seen",
        "rm -f hidden",
    ] {
        let outcome = place.shell(&format!("({attempt}) 2>&- && echo ESCAPED; true"));
        assert!(!outcome.out.contains("ESCAPED"), "`{attempt}`: {outcome:#?}");
    }
    // `free` fell to `rm -rf a/b`, as it may.
    place
        .shell("echo more >> a/b/free; echo new > a/new; echo x > .git/index; cat a/b/free .git/index")
        .prints("more\nx");
    for (path, expected) in
        [(".git/hooks/pre-commit", "real"), (".envrc", "real"), ("a/b/settings", "real"), ("hidden", SECRET)]
    {
        assert_eq!(std::fs::read_to_string(place.workspace.join(path)).unwrap(), expected, "{path}");
    }
}

#[test]
fn deny_start_up_paths_behind_links() {
    let mut place = startup_place();
    if !Place::new(DegreeRequest::Auto).is_namespaced() {
        return;
    }
    std::os::unix::fs::symlink("a", place.workspace.join("linked")).unwrap();
    place.profile.protected.push(place.workspace.join("linked/b/settings"));
    let error = place.run("/bin/true", &["true"]).unwrap_err();
    assert!(error.to_string().contains("linked"), "{error}");
}

#[test]
fn a_staged_file_takes_changes_that_stay_inside() {
    let mut place = startup_place();
    if !Place::new(DegreeRequest::Auto).is_namespaced() {
        return;
    }
    let scratch = place.outside.join("staged-0");
    std::fs::create_dir(&scratch).unwrap();
    let (real, copy) = (place.workspace.join(".git/config"), scratch.join("config"));
    std::fs::copy(&real, &copy).unwrap();
    let before = std::fs::read_to_string(&real).unwrap();
    place.profile.staged.push(Staged { path: real.clone(), scratch: copy.clone() });
    place.shell("cat .git/config").prints(before.trim());
    place.shell("echo evil > .git/config; cat .git/config").prints("evil");
    for attempt in [
        "rm -f .git/config",
        "echo evil > new; mv -f new .git/config",
        "mv .git/config away",
        "ln -sf /tmp .git/config",
        "mv .git away",
    ] {
        let outcome = place.shell(&format!("({attempt}) 2>&- && echo ESCAPED; true"));
        assert!(!outcome.out.contains("ESCAPED"), "`{attempt}`: {outcome:#?}");
    }
    assert_eq!(std::fs::read_to_string(&real).unwrap(), before, "the real file changed");
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), "evil\n");
    // What git does: a lock file beside the real target, then a rename.
    place
        .shell("t=$(readlink .git/config); echo locked > $t.lock && mv $t.lock $t && cat .git/config")
        .prints("locked");
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), "locked\n");
    assert_eq!(std::fs::read_to_string(&real).unwrap(), before);
}

/// The variable that makes this binary start a cage inside a cage.
const NESTED: &str = "RINGFORT_TEST_NESTED";

/// Does nothing unless this binary was started inside a cage.
#[test]
#[expect(clippy::disallowed_methods, reason = "the wish comes through the environment of the cage")]
fn nested() {
    if std::env::var_os(NESTED).is_none() {
        return;
    }
    let place = Place::new(DegreeRequest::Auto);
    let outcome = place.shell("cat own; cat ../secret 2>&- || echo refused");
    println!("\nNESTED {:?} {}", outcome.achieved.degree, outcome.out.replace('\n', " "));
}

#[test]
fn a_cage_starts_inside_a_cage() {
    for degree in DEGREES {
        let mut place = Place::new(degree);
        let binary = std::env::current_exe().unwrap().canonicalize().unwrap();
        place.profile.home.binds.push(HomeBind {
            source: binary.clone(),
            target: "again".into(),
            mode: BindMode::ReadOnly,
        });
        place.profile.environment.push((NESTED.into(), "1".into()));
        place.profile.environment.push(("TMPDIR".into(), place.workspace.clone().into()));
        let program = if place.is_namespaced_quietly() { place.home.join("again") } else { binary };
        let argv = ["again", "--exact", "escape::nested", "--nocapture", "--test-threads=1"];
        let outcome = place.run(program.to_str().unwrap(), &argv).unwrap();
        // Namespaces are refused inside; Landlock and seccomp stack.
        assert!(outcome.out.contains("NESTED Minimal ownrefused"), "{outcome:#?}");
    }
}
