// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: the ruleset that `policy nftables` prints is loaded by `nft` and stops real connections.
//!
//! The test makes two network namespaces joined by a pair of interfaces: this side is judged, the other side has the
//! addresses of the world, with servers on them. Nothing leaves them.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::{Place, skips_are_errors};

/// Listens on some ports of each address, TCP and UDP; makes a file when it does.
const SERVE: &str = r#"
import select, socket, sys
streams, datagrams = [], []
for address in sys.argv[2:]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for port in (53, 80, 443, 5432, 9000):
        for kind, those in ((socket.SOCK_STREAM, streams), (socket.SOCK_DGRAM, datagrams)):
            s = socket.socket(family, kind)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((address, port))
            those.append(s)
for s in streams:
    s.listen(64)
open(sys.argv[1], "w").close()
while True:
    for s in select.select(streams + datagrams, [], [])[0]:
        if s in streams:
            c, _ = s.accept()
            c.sendall(b"here")
            c.close()
        else:
            _, peer = s.recvfrom(64)
            try:
                s.sendto(b"here", peer)
            except OSError:
                pass
"#;

/// Tries each `tcp|udp address port` and says what came of it.
const TRY: &str = r#"
import socket, sys
for line in open(sys.argv[1]):
    kind, address, port = line.split()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    s.settimeout(10)
    try:
        s.connect((address, int(port)))
        if kind == "udp": s.send(b"x")
        answer = "open" if s.recv(4) == b"here" else "closed"
    except OSError as error:
        answer = "closed " + str(error).replace(" ", "_")
    print(kind, address, port, answer, flush=True)
"#;

/// Makes both sides, tries without the ruleset, loads it, tries again, and has the other side connect to this one.
const SCENE: &str = r#"
set -eu
here=$1
ip link set lo up
unshare -n sh -c '
    ip link set lo up
    until ip link show right >/dev/null 2>&1; do sleep 0.02; done
    ip link set right up
    four="93.184.216.34 1.1.1.1 169.254.169.254 192.168.7.7"
    six="2606:4700::2 2606:4700::3"
    ip addr add 10.9.0.2/24 dev right
    ip addr add fd00:9::2/64 dev right nodad
    for a in $four; do ip addr add $a/32 dev right; done
    for a in $six; do ip addr add $a/128 dev right nodad; done
    python3 "$0/serve.py" "$0/there" 10.9.0.2 fd00:9::2 $four $six & s=$!
    until [ -e "$0/loaded" ] || [ -e "$0/end" ]; do sleep 0.02; done
    echo "tcp 10.9.0.1 9000" > "$0/back"
    python3 "$0/try.py" "$0/back" > "$0/inbound"
    until [ -e "$0/end" ]; do sleep 0.02; done
    kill $s' "$here" &
other=$!
trap 'touch "$here/end"; kill $mine 2>/dev/null; wait' EXIT
mine=
until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
ip link add left type veth peer name right
ip link set right netns $other
ip addr add 10.9.0.1/24 dev left
ip addr add fd00:9::1/64 dev left nodad
ip link set left up
ip route add default via 10.9.0.2
ip -6 route add default via fd00:9::2
python3 "$here/serve.py" "$here/mine" 127.0.0.1 ::1 10.9.0.1 & mine=$!
until [ -e "$here/there" ] && [ -e "$here/mine" ]; do sleep 0.02; done
python3 "$here/try.py" "$here/ways" > "$here/before"
nft -f "$here/ruleset"
nft -f "$here/ruleset"
python3 "$here/try.py" "$here/ways" > "$here/after"
touch "$here/loaded"
until [ -s "$here/inbound" ]; do sleep 0.02; done
"#;

const POLICY: &str = r#"
[egress]
domains = ["93.184.216.34:443", "10.9.0.2:5432", "[2606:4700::2]:443", "1.1.1.1", "169.254.169.254", "example.com"]
denied_domains = ["1.1.1.1:80", "evil.example.com"]
"#;

/// Each way, and whether it is open under [`POLICY`].
const WAYS: &[(&str, bool)] = &[
    ("tcp 93.184.216.34 443", true),
    ("tcp 93.184.216.34 80", false),
    ("udp 93.184.216.34 443", false),
    ("tcp 10.9.0.2 5432", true),
    ("tcp 10.9.0.2 80", false),
    ("udp 10.9.0.2 53", false),
    ("tcp 192.168.7.7 443", false),
    ("tcp 169.254.169.254 80", false),
    ("tcp 1.1.1.1 443", true),
    ("tcp 1.1.1.1 80", false),
    ("udp 1.1.1.1 53", false),
    ("tcp 2606:4700::2 443", true),
    ("tcp 2606:4700::2 80", false),
    ("tcp 2606:4700::3 443", false),
    ("tcp fd00:9::2 443", false),
    ("tcp 127.0.0.1 9000", true),
    ("udp 127.0.0.1 9000", true),
    ("tcp ::1 9000", true),
    ("tcp 10.9.0.1 9000", false),
];

/// Whether this host has the programs and lets a test make namespaces; a skip is said.
fn is_possible(place: &Place) -> bool {
    let has = |name: &str| {
        ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().any(|folder| Path::new(folder).join(name).exists())
    };
    if !["nft", "ip", "unshare", "python3"].into_iter().all(has) {
        assert!(!skips_are_errors(), "no `nft`, `ip`, `unshare` or `python3`");
        eprintln!("skipped: no `nft`, `ip`, `unshare` or `python3`");
        return false;
    }
    let made = place.program("/usr/bin/unshare", ["-rn", "/usr/sbin/nft", "list", "ruleset"]).output();
    if made.code() != Some(0) {
        eprintln!("skipped: no network namespaces with packet filters here: {made}");
    }
    made.code() == Some(0)
}

/// What came of each way, by file.
fn results(place: &Place, words: &[&str]) -> BTreeMap<&'static str, String> {
    let policy = place.write("ringfort-test.toml", POLICY);
    let mut all = vec!["--policy", policy.to_str().unwrap(), "policy", "nftables"];
    all.extend(words);
    let ruleset = place.ringfort(all).output().exits(0).out();
    assert!(ruleset.contains("#   example.com\n"), "{ruleset}");
    place.write("scene/ruleset", &ruleset);
    place.write("scene/serve.py", SERVE);
    place.write("scene/try.py", TRY);
    place.write("scene/ways", WAYS.iter().map(|(way, _)| format!("{way}\n")).collect::<String>());
    let folder = place.work.join("scene");
    let words = ["-rn", "sh", "-c", SCENE, "sh", folder.to_str().unwrap()];
    place.program("/usr/bin/unshare", words).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().exits(0);
    ["before", "after", "inbound"].map(|name| (name, std::fs::read_to_string(folder.join(name)).unwrap())).into()
}

#[track_caller]
fn check(text: &str, expected: impl Fn(&str, bool) -> bool) {
    assert_eq!(text.lines().count(), WAYS.len(), "{text}");
    for (way, listed) in WAYS {
        let line = text.lines().find(|line| line.starts_with(&format!("{way} "))).unwrap();
        let open = line.ends_with(" open");
        assert_eq!(open, expected(way, *listed), "{line}");
        // A refusal comes at once.
        assert!(!line.contains("timed_out"), "{line}");
    }
}

#[test]
fn deny_by_packet_filter_what_the_policy_denies() {
    let place = Place::new();
    if !is_possible(&place) {
        return;
    }
    for words in [&[][..], &["--user", "0"]] {
        let results = results(&Place::new(), words);
        check(&results["before"], |_, _| true);
        check(&results["after"], |_, listed| listed);
        assert_eq!(results["inbound"].trim(), "tcp 10.9.0.1 9000 open", "an answer is let through: {words:?}");
    }
}

#[test]
fn another_user_is_not_judged() {
    let place = Place::new();
    if is_possible(&place) {
        check(&results(&place, &["--user", "4242"])["after"], |_, _| true);
    }
}

#[test]
fn deny_users_that_would_be_words_of_the_ruleset() {
    let place = Place::new();
    for user in ["a; flush ruleset", "\"", "", "Root", "-1"] {
        let output = place.ringfort(["policy", "nftables", &format!("--user={user}")]).output().exits(2);
        assert!(output.out().is_empty(), "{output}");
    }
}
