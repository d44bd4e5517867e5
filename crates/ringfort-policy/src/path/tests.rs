// SPDX-License-Identifier: MIT OR Apache-2.0
//! Spellings and zones.

use proptest::prelude::*;

use super::*;

fn setting(cwd: &'static str, workspace: &'static str, home: &'static str) -> Setting<'static> {
    Setting::new(Path::new(cwd), Path::new(workspace), Some(Path::new(home)))
}

fn zones() -> Zones {
    let place = |text: &str| Place::parse(text).unwrap();
    Zones {
        forbidden: vec![place("secret"), place("~/private"), place("/srv/open/closed"), place("/root")],
        roots: vec![place("/srv/open"), place("~/notes"), place("/etc/app")],
        roots_read_only: vec![place("/usr/share/doc")],
    }
}

#[test]
fn places_have_their_zone() {
    let (zones, setting) = (zones(), setting("/home/ada/w/sub", "/home/ada/w", "/home/ada"));
    use PathOp::{Read, Write};
    for (path, op, expected) in [
        ("a.txt", Write, Zone::Workspace),
        ("../a.txt", Write, Zone::Workspace),
        ("/home/ada/w", Write, Zone::Workspace),
        ("../../a.txt", Read, Zone::Outside),
        ("/home/ada/w-evil/a", Read, Zone::Outside),
        ("/home/ada", Read, Zone::Outside),
        ("/tmp/x", Read, Zone::Scratch),
        ("/tmpx", Read, Zone::Outside),
        ("/srv/open/x", Write, Zone::Root),
        ("/srv/open/closed/x", Read, Zone::Forbidden("/srv/open/closed")),
        ("/srv/openx", Read, Zone::Outside),
        ("~/notes/n", Write, Zone::Root),
        ("~/private/n", Read, Zone::Forbidden("~/private")),
        ("../secret/x", Read, Zone::Forbidden("secret")),
        ("/usr/share/doc/x", Read, Zone::Root),
        ("/usr/share/doc/x", Write, Zone::Outside),
        ("/etc/passwd", Read, Zone::System("/etc")),
        ("/etc/app/x", Write, Zone::System("/etc")),
        ("/usr/lib/x", Write, Zone::System("/usr/lib")),
        ("/usr/bin", Read, Zone::System("/usr/bin")),
        ("/proc/self/root/home/ada/w/a", Read, Zone::System("/proc")),
        ("/var/lib/x", Read, Zone::System("/var/lib")),
        ("/var/log/x", Read, Zone::Outside),
        ("/root/x", Read, Zone::System("/root")),
        ("/dev/null", Write, Zone::Device),
        ("/dev/nullx", Write, Zone::System("/dev")),
        ("/dev/sda", Write, Zone::System("/dev")),
        ("~/.ssh/id_rsa", Read, Zone::DotFolder(".ssh")),
        ("~/.ssh", Read, Zone::DotFolder(".ssh")),
        ("$HOME/.aws/credentials", Read, Zone::DotFolder(".aws")),
        ("${HOME}/.gnupg/x", Read, Zone::DotFolder(".gnupg")),
        ("/home/eve/.ssh/id_rsa", Read, Zone::DotFolder(".ssh")),
        ("/root/.ssh/x", Read, Zone::DotFolder(".ssh")),
        ("~/.config/gcloud/x", Read, Zone::DotFolder(".config/gcloud")),
        ("~/.config", Write, Zone::DotFolder(".config/gcloud")),
        ("~/.config", Read, Zone::Outside),
        ("~/.sshx", Read, Zone::Outside),
        ("~/.netrc", Read, Zone::Credential),
        ("~/.kube/config", Read, Zone::Credential),
        ("~/.bashrc", Write, Zone::Persistence),
        ("~/.bashrc", Read, Zone::Outside),
        ("~/.claude/settings.json", Write, Zone::Persistence),
        ("../.git/hooks/pre-commit", Write, Zone::Startup),
        ("../.git/hooks/pre-commit", Read, Zone::Workspace),
        ("../vendor/x/.git/config", Write, Zone::Startup),
        ("../.git", Write, Zone::Startup),
        ("../.gitignore", Write, Zone::Workspace),
        (".mcp.json", Write, Zone::Startup),
        ("../ringfort.toml", Write, Zone::Startup),
        ("../.env", Read, Zone::NamedSecret),
        ("../.env.local", Read, Zone::NamedSecret),
        ("../.env.example", Read, Zone::Workspace),
        ("../id_rsa.pub", Read, Zone::Workspace),
        ("../environment.yml", Read, Zone::Workspace),
        ("../docs/etc/passwd", Read, Zone::Workspace),
    ] {
        let judged = judge(path.as_bytes(), op, &setting, &zones).unwrap();
        assert_eq!(judged.zone, expected, "{op:?} {path}");
    }
}

#[test]
fn a_workspace_below_the_own_home_opens_that_home_and_nothing_else() {
    let own = setting("/root/w", "/root/w", "/root");
    for (path, expected) in [
        ("/root/w/a", Zone::Workspace),
        ("/root/a", Zone::System("/root")),
        ("/root/.ssh/x", Zone::DotFolder(".ssh")),
        ("/etc/x", Zone::System("/etc")),
    ] {
        // `/root` is listed once more, as the sample configuration does.
        assert_eq!(judge(path.as_bytes(), PathOp::Read, &own, &zones()).unwrap().zone, expected, "{path}");
    }
    for (workspace, home) in [("/root/w", "/home/ada"), ("/etc/w", "/root"), ("/etc/w", "/home/ada")] {
        let setting = setting(workspace, workspace, home);
        let path = format!("{workspace}/a");
        let zones = Zones::default();
        let zone = judge(path.as_bytes(), PathOp::Read, &setting, &zones).unwrap().zone;
        assert!(matches!(zone, Zone::System(_)), "{path} with home {home}: {zone:?}");
    }
    let keys = setting("/home/ada/.ssh", "/home/ada/.ssh", "/home/ada");
    assert_eq!(judge(b"a", PathOp::Read, &keys, &Zones::default()).unwrap().zone, Zone::DotFolder(".ssh"));
}

#[test]
fn deny_workspaces_that_are_too_wide() {
    for workspace in ["/", "/home", "/home/ada", "/home/ada/", "/home/ada/w/..", "relative"] {
        let setting = setting("/home/ada/w", workspace, "/home/ada");
        assert_eq!(setting.workspace, None, "{workspace}");
        assert!(!setting.is_inside(b"/home/ada/w/a"), "{workspace}");
    }
}

#[test]
fn deny_spellings_that_could_mean_something_else() {
    for (path, expected) in [
        (&b""[..], PathFault::Empty),
        (b"a\0b", PathFault::Control),
        (b"a\nb", PathFault::Control),
        ("a\u{85}b".as_bytes(), PathFault::Control),
        (b"a\xffb", PathFault::NotUtf8),
        (b"\xc0\xae\xc0\xae/x", PathFault::NotUtf8),
        ("a\u{200b}".as_bytes(), PathFault::Invisible),
        ("a\u{202e}b".as_bytes(), PathFault::Invisible),
        ("\u{ff0e}\u{ff0e}/x".as_bytes(), PathFault::LookAlike),
        ("\u{2025}/x".as_bytes(), PathFault::LookAlike),
        ("a\u{2215}b".as_bytes(), PathFault::LookAlike),
        (b"%2e%2e/x", PathFault::Encoded),
        (b"..%2fx", PathFault::Encoded),
        (b"a%2Fb", PathFault::Encoded),
        (b"a%5cb", PathFault::Encoded),
        (b"a%00b", PathFault::Encoded),
        (b"a%252fb", PathFault::Encoded),
        (b"%%32%65", PathFault::Encoded),
        (b"%u002e", PathFault::Encoded),
        (b"%c0%ae", PathFault::Encoded),
        (b"%e2%88%95", PathFault::Encoded),
        (b"..2f..2fx", PathFault::Encoded),
        (b"0x2e0x2e0x2fx", PathFault::Encoded),
        (b".../x", PathFault::Encoded),
        (b"..;/x", PathFault::Encoded),
        (b"~root/x", PathFault::OtherHome),
        (b"~+/x", PathFault::OtherHome),
        (b"C:/x", PathFault::Foreign),
        (b"c:\\x", PathFault::Foreign),
        (b"..\\x", PathFault::Foreign),
        (b"\\\\server\\share", PathFault::Foreign),
        (b"file:///etc/passwd", PathFault::Scheme),
        (b"php://input", PathFault::Scheme),
    ] {
        assert_eq!(fault_of(path), Some(expected), "{:?}", String::from_utf8_lossy(path));
    }
    assert_eq!(fault_of(&vec![b'a'; PATH_BYTES_MAX + 1]), Some(PathFault::TooLong));
    assert_eq!(fault_of(&[&[b'a'; 256][..], b"/../x"].concat()), Some(PathFault::NameTooLong));
    assert_eq!(fault_of(&[&[b'a'; 255][..], b"/x"].concat()), None);
    for path in [
        "a b.txt",
        "100%",
        "50%25x".get(..3).unwrap(),
        "gr\u{fc}n/\u{65e5}.md",
        "a%20b",
        "[id].tsx",
        "$id.tsx",
        "a..b",
        "~20",
    ] {
        assert_eq!(fault_of(path.as_bytes()), None, "{path}");
    }
}

#[test]
fn a_home_that_is_not_known_is_a_fault() {
    let setting = Setting::new(Path::new("/w"), Path::new("/w"), None);
    assert_eq!(judge(b"~/x", PathOp::Read, &setting, &Zones::default()), Err(PathFault::NoHome));
    assert_eq!(judge(b"x", PathOp::Read, &setting, &Zones::default()).unwrap().zone, Zone::Workspace);
}

#[test]
fn deny_places_that_are_no_paths() {
    for text in ["", "a/../b", "/etc/*", "~bob/x", "$HOME/x", "a\nb", "a\u{200b}", "/a[b]"] {
        assert!(Place::parse(text).is_err(), "`{text}`");
    }
    let setting = setting("/w", "/w", "/home/ada");
    for (text, expected) in
        [("/a//b/", "/a/b"), ("~", "/home/ada"), ("~/x", "/home/ada/x"), ("x/./y", "/w/x/y"), ("/", "/")]
    {
        assert_eq!(Place::parse(text).unwrap().to_path(&setting).unwrap(), Path::new(expected), "{text}");
    }
}

proptest! {
    #[test]
    fn resolved_paths_are_normal_and_anything_is_judged(
        cwd in "(/[a-c.]{0,3}){0,4}", path in proptest::collection::vec(any::<u8>(), 0..40), text in "[a-c./~]{0,24}",
    ) {
        let setting = Setting::new(Path::new(&cwd), Path::new("/w/x"), Some(Path::new("/home/ada")));
        for path in [path.as_slice(), text.as_bytes()] {
            prop_assert!(is_normal(&setting.resolve(path)) || path.contains(&0));
            if let Ok(judged) = judge(path, PathOp::Write, &setting, &zones()) {
                prop_assert!(is_normal(&judged.path));
                if judged.zone == Zone::Workspace {
                    prop_assert!(is_below(&judged.path, b"/w/x"));
                }
            }
        }
    }

    #[test]
    fn closed_places_stay_closed_in_every_spelling(dots in proptest::collection::vec(prop::sample::select(vec!["./", "/", "x/../"]), 0..6)) {
        let setting = setting("/home/ada/w", "/home/ada/w", "/home/ada");
        let noise = dots.concat();
        for (path, expected) in [
            (format!("/{noise}etc/passwd"), Zone::System("/etc")),
            (format!("../{noise}../ada/{noise}.ssh/id"), Zone::DotFolder(".ssh")),
            (format!("~/{noise}.aws/{noise}x"), Zone::DotFolder(".aws")),
        ] {
            // A slash after nothing makes a relative part absolute only at the front, where it already is.
            let zones = Zones::default();
            let judged = judge(path.as_bytes(), PathOp::Read, &setting, &zones);
            prop_assert_eq!(judged.map(|judged| judged.zone), Ok(expected), "{}", path);
        }
    }
}
