// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: a cage reaches the hosts that the policy lists, by the one door, with programs as they are; and no other.
//!
//! In: servers on loopback that the test starts, and real clients inside. Out: what they got, what the record says, what
//! the user is told.

mod clients;
mod registry;
mod supervised;

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::pty::Pty;
use crate::support::{Output, Place, Program, Running, is_namespaced, until};

/// Servers on loopback: HTTP, and HTTPS with a certificate that `ca.pem` in the workspace vouches for.
pub(crate) struct Site {
    pub(crate) place: Place,
    pub(crate) http: u16,
    pub(crate) https: u16,
    _server: Running,
}

impl Site {
    /// `None` where the host keeps no full cage: it has no network of its own then.
    pub(crate) fn start() -> Option<Self> {
        let place = Place::new();
        is_namespaced(&place).then(|| Self::at(place))
    }

    /// On any host.
    fn at(place: Place) -> Self {
        let make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout ../../outside/key.pem \
                    -out ca.pem -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>&1";
        place.program("sh", ["-c", make]).output().exits(0);
        let script = place.outside.join("server.py");
        std::fs::write(&script, include_str!("egress/server.py")).unwrap();
        let root = place.outside.join("site");
        std::fs::create_dir_all(&root).unwrap();
        let (certificate, key) = (place.work.join("ca.pem"), place.outside.join("key.pem"));
        let mut program = place.program("python3", [&script, &root, &certificate, &key]);
        program.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = program.spawn();
        let mut line = String::new();
        BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ports: Vec<u16> = line.split_whitespace().map(|port| port.parse().unwrap()).collect();
        Self { place, http: ports[0], https: ports[1], _server: server }
    }

    /// Both servers, listed by name and by address.
    pub(crate) fn listed(&self) -> String {
        let Self { http, https, .. } = self;
        format!(
            "egress.domains=[\"localhost:{http}\", \"localhost:{https}\", \"127.0.0.1:{http}\", \"127.0.0.1:{https}\"]"
        )
    }

    /// `ringfort run --set SETTING -- sh -c TEXT`.
    pub(crate) fn run(&self, setting: &str, text: &str) -> Program {
        let words = ["run", "--set", setting, "--", "sh", "-c", text];
        self.place.ringfort(words).time_max(Duration::from_secs(120))
    }

    fn policy(&self, text: &str) -> String {
        let path = self.place.outside.join("policy.toml");
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// The newest entries of the record, oldest first, that this door made.
pub(crate) fn record(place: &Place) -> Vec<Value> {
    let out = place.ringfort(["--json", "trail", "tail", "-n", "1000"]).output().exits(0).out();
    let all = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.map(|line| line["entry"].clone()).filter(|entry| entry["door"] == "egress").collect()
}

fn fact<'v>(entry: &'v Value, name: &str) -> &'v Value {
    &entry["facts"][name]
}

fn outcomes(place: &Place, result: &str) -> Vec<Value> {
    let is_one = |entry: &Value| entry["kind"] == "outcome" && fact(entry, "result") == result;
    record(place).into_iter().filter(is_one).collect()
}

const CURL: &str = "curl -sS -m 20";

#[test]
fn a_listed_host_is_reached_and_each_connection_is_on_record() {
    let Some(site) = Site::start() else { return };
    let (http, https) = (site.http, site.https);
    let text = format!(
        "{CURL} http://localhost:{http}/echo?q=secretword && {CURL} --cacert ca.pem https://localhost:{https}/echo && \
         {CURL} -d @/usr/bin/env http://127.0.0.1:{http}/post"
    );
    let out = site.run(&site.listed(), &text).output().exits(0);
    let size = std::fs::metadata("/usr/bin/env").unwrap().len();
    let lines: Vec<String> = out.out().lines().map(str::to_owned).collect();
    assert!(
        lines[0].starts_with("GET /echo") && lines[1] == "GET /echo" && lines[2].starts_with("POST /post "),
        "{out}"
    );
    assert!(size > 0 && !out.err().contains("refused"), "{out}");

    let entries = record(&site.place);
    let intents: Vec<_> = entries.iter().filter(|entry| entry["kind"] == "intent").collect();
    assert_eq!(intents.len(), 3, "{entries:#?}");
    assert!(
        intents.iter().all(|entry| entry["rules"][0] == "egress-006" && entry["principal"][1] == "sh"),
        "{entries:#?}"
    );
    let ended = outcomes(&site.place, "closed");
    assert_eq!(ended.len(), 3, "{entries:#?}");
    for entry in &ended {
        assert!(fact(entry, "address").as_str().is_some_and(|address| address.contains("127.0.0.1")), "{entry:#}");
        assert!(fact(entry, "received_bytes").as_u64().is_some_and(|bytes| bytes > 0), "{entry:#}");
        assert!(fact(entry, "sent_bytes").as_u64().is_some_and(|bytes| bytes > 0), "{entry:#}");
    }
    assert!(
        ended.iter().any(|entry| fact(entry, "protocol") == "tls" && fact(entry, "way") == "connect"),
        "{ended:#?}"
    );
    assert!(!format!("{entries:?}").contains("secretword"), "no query goes on record: {entries:#?}");
    site.place.ringfort(["trail", "verify"]).output().exits(0);
}

#[test]
fn deny_every_other_host_by_whatever_way() {
    let Some(site) = Site::start() else { return };
    let (http, https) = (site.http, site.https);
    let proxy = "--noproxy '' ";
    for (what, command, rule) in [
        ("an unlisted name", format!("{CURL} -f http://unlisted.example/"), "egress-005"),
        ("an unlisted name over TLS", format!("{CURL} https://unlisted.example/"), "egress-005"),
        ("a program that knows no proxy", format!("{CURL} -f --noproxy '*' http://unlisted.example/"), "egress-005"),
        ("the same over TLS", format!("{CURL} --noproxy '*' https://unlisted.example/"), "egress-005"),
        ("SOCKS", format!("{CURL} --proxy socks5h://127.0.0.1:3128 http://unlisted.example/"), "egress-005"),
        ("a metadata service", format!("{CURL} -f {proxy} http://169.254.169.254/latest/meta-data/"), "egress-002"),
        ("a private address", format!("{CURL} -f {proxy} http://10.0.0.1/"), "egress-003"),
        ("another port of this machine", format!("{CURL} -f {proxy} http://127.0.0.1:{https}/"), "egress-003"),
        ("the same in one number", format!("{CURL} -f {proxy} http://2130706433:{https}/"), "egress-003"),
        ("a public address", format!("{CURL} -f http://192.0.9.1/"), "egress-007"),
        ("where a redirect leads", format!("{CURL} -f -L {proxy} http://localhost:{http}/redirect"), "egress-003"),
    ] {
        let setting = format!("egress.domains=[\"localhost:{http}\"]");
        let out = site.run(&setting, &command).output();
        assert!(out.code() != Some(0), "{what}: {out}");
        let refused = out.err().lines().find(|line| line.contains(&format!("[{rule}]"))).map(str::to_owned);
        assert!(refused.is_some(), "{what}: the user is not told by `{rule}`: {out}");
        let denied = outcomes(&site.place, "denied");
        let last = denied.last().unwrap_or_else(|| panic!("{what}: not on record"));
        assert!(last["rules"].as_array().is_some_and(|rules| !rules.is_empty()), "{what}: {last:#}");
    }
    assert!(outcomes(&site.place, "closed").len() == 1, "only the redirect itself was reached");
}

#[test]
fn deny_what_goes_around_the_door() {
    let Some(site) = Site::start() else { return };
    for around in [
        format!("{CURL} --noproxy '*' http://127.0.0.1:{}/", site.https),
        format!("{CURL} --noproxy '*' http://10.0.0.1/"),
        format!("{CURL} --noproxy '*' http://[2606:4700::1111]/"),
        "python3 -c \"import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('9.9.9.9', 53)); \
         s.send(b'x')\""
        .to_owned(),
    ] {
        let out = site.run(&format!("egress.domains=[\"localhost:{}\"]", site.http), &around).output();
        assert!(out.code() != Some(0), "`{around}`: {out}");
    }
    assert_eq!(outcomes(&site.place, "closed").len(), 0);
    // Without a door there is none, whatever the variables say.
    let words = ["run", "--set", &site.listed(), "--network", "off", "--", "sh", "-c"];
    let text =
        format!("[ -z \"$HTTP_PROXY\" ] && ! {CURL} -x http://127.0.0.1:3128 http://localhost:{}/echo", site.http);
    site.place.ringfort(words.into_iter().chain([text.as_str()])).output().exits(0);
}

#[test]
fn rules_on_single_hosts_hold_at_the_door_and_in_check() {
    let Some(site) = Site::start() else { return };
    let (http, https) = (site.http, site.https);
    let policy = site.policy(&format!(
        "[[egress.rules]]\nhost = \"localhost\"\nports = [{http}]\nmethods = [\"GET\"]\npaths = [\"/echo/*\"]\n\
         [[egress.rules]]\nhost = \"127.0.0.1:{http}\"\nprograms = [\"curl\"]\n"
    ));
    for (allowed, method, path, host) in [
        (true, "GET", "/echo/a?b=../c", "localhost"),
        (false, "GET", "/other", "localhost"),
        (false, "GET", "/echo/%2e%2e/other", "localhost"),
        (false, "POST", "/echo/a", "localhost"),
        (false, "GET", "/echo/a", "127.0.0.1"),
    ] {
        let url = format!("http://{host}:{http}{path}");
        let command = format!("{CURL} -f --path-as-is --noproxy '' -X {method} '{url}'");
        let out = site.place.ringfort(["run", "--policy", &policy, "--", "sh", "-c", &command]).output();
        assert_eq!(out.code() == Some(0), allowed, "{method} {url}: {out}");
        let check = site.place.ringfort(["check", "--policy", &policy, "--url", &url, "--method", method]).output();
        assert_eq!(check.code() == Some(0), allowed, "{method} {url}: {check}");
    }
    // A rule for a program holds where that program is what was started.
    let url = format!("http://127.0.0.1:{http}/echo");
    let curl = ["run", "--policy", &policy, "--", "curl", "-sSf", "--noproxy", "", &url];
    site.place.ringfort(curl).output().exits(0);
    // Nobody sees a method inside TLS: no tunnel where a rule names one.
    let command = format!("{CURL} -k https://localhost:{http}/echo/a");
    let out = site.place.ringfort(["run", "--policy", &policy, "--", "sh", "-c", &command]).output();
    assert!(out.err().contains("egress-010") && https > 0, "{out}");
    let tls = format!("https://localhost:{http}/echo/a");
    site.place.ringfort(["check", "--policy", &policy, "--isolated", "--url", &tls]).output().exits(1);
}

#[test]
fn deny_a_second_request_that_does_not_fit_on_a_connection_that_did() {
    let Some(site) = Site::start() else { return };
    let policy = site
        .policy(&format!("[[egress.rules]]\nhost = \"localhost\"\nports = [{}]\npaths = [\"/echo/*\"]\n", site.http));
    let base = format!("http://localhost:{}", site.http);
    let command = format!("{CURL} {base}/echo/a {base}/other {base}/echo/b");
    let out = site.place.ringfort(["run", "--policy", &policy, "--", "sh", "-c", &command]).output().exits(0);
    assert!(out.out().contains("GET /echo/a") && out.out().contains("GET /echo/b"), "{out}");
    assert!(out.out().contains("egress-010"), "{out}");
}

#[test]
fn a_project_narrows_and_never_opens() {
    let Some(site) = Site::start() else { return };
    let command = format!("{CURL} -f http://localhost:{}/echo", site.http);
    site.run(&site.listed(), &command).output().exits(0);
    site.place.write("ringfort.toml", "[egress]\ndenied_domains = [\"localhost\"]\n");
    let out = site.run(&site.listed(), &command).output();
    assert!(out.code() != Some(0) && out.err().contains("egress-004"), "{out}");
    site.place.write("ringfort.toml", "[egress]\nnetwork = \"off\"\n");
    let words = ["run", "--set", &site.listed(), "--network", "door", "--", "sh", "-c", "[ -z \"$HTTP_PROXY\" ]"];
    site.place.ringfort(words).output().exits(0);
    site.place.write("ringfort.toml", "[egress]\npresets = [\"npm\"]\n");
    let out = site.run(&site.listed(), "true").output();
    assert!(out.code() == Some(2) && out.err().contains("project"), "{out}");
}

#[test]
fn a_nested_run_has_a_door_of_its_own() {
    let Some(site) = Site::start() else { return };
    let inner = format!("{CURL} -f http://localhost:{}/echo; {CURL} http://unlisted.example/", site.http);
    let text = format!("ringfort run -- sh -c '{inner}'");
    let out = site.run(&site.listed(), &text).output();
    assert!(out.out().contains("GET /echo"), "{out}");
    assert!(out.err().contains("unlisted.example:80"), "the user is told at the end of the outer run: {out}");
    for network in ["door", "off"] {
        // In a script: on a command line it is denied before anything runs.
        site.place.write("nested.sh", format!("ringfort run --network {network} -- true; echo status-$?\n"));
        let out = site.run(&site.listed(), "sh nested.sh").output();
        assert!(out.out().contains("status-126"), "{network}: {out}");
    }
}

#[test]
fn a_freeze_closes_the_door_and_what_is_open() {
    let Some(site) = Site::start() else { return };
    let text = format!("{CURL} -N http://localhost:{}/slow > got; echo curl-ended-$? > ended", site.http);
    let mut program = site.run(&site.listed(), &text);
    program.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut run = program.spawn();
    let got = site.place.work.join("got");
    let has_some = || std::fs::metadata(&got).is_ok_and(|meta| meta.len() > 0).then_some(());
    assert!(until(Duration::from_secs(30), has_some).is_some(), "nothing arrived");
    site.place.ringfort(["freeze"]).output().exits(0);
    run.wait(Duration::from_secs(20));
    let ended = std::fs::read_to_string(site.place.work.join("ended")).unwrap();
    assert!(ended.starts_with("curl-ended-") && !ended.contains("-0"), "{ended}");
    let events = record(&site.place);
    assert!(events.iter().any(|entry| fact(entry, "event") == "egress.closed"), "{events:#?}");
}

#[test]
fn a_person_is_asked_about_a_host_that_nothing_names() {
    let Some(site) = Site::start() else { return };
    let ask = |keys: &str| {
        let command = format!("{CURL} -w 'status-%{{http_code}}' http://asked.invalid/path; echo");
        let mut pty = Pty::start(&site.place.run(["sh", "-c", &command]));
        let shown = pty.wait_for("allow it?");
        assert!(
            shown.contains("asked.invalid:80") && shown.contains("egress-005") && !shown.contains("/path"),
            "{shown}"
        );
        pty.send(keys);
        let end = pty.wait_for("status-");
        pty.ended();
        (end, pty.everything())
    };
    let (no, everything) = ask("n\r");
    assert!(no.contains("Ringfort denied this"), "{no}");
    assert!(everything.contains("refused one attempt") && everything.contains("asked.invalid"), "{everything}");
    let before = outcomes(&site.place, "denied").len();
    // Allowed, it is resolved, and nobody has such a name.
    let (yes, _) = ask("y\r");
    assert!(!yes.contains("Ringfort denied this: `egress"), "{yes}");
    assert_eq!(outcomes(&site.place, "denied").len(), before);
    let approvals = record(&site.place).into_iter().filter(|entry| entry["kind"] == "approval").count();
    assert_eq!(approvals, 1);
}

#[test]
fn deny_asking_again_after_a_no() {
    let Some(site) = Site::start() else { return };
    let command = format!("for i in 1 2 3; do {CURL} http://asked.invalid/; done; echo all-done-$((1+1))");
    let mut pty = Pty::start(&site.place.run(["sh", "-c", &command]));
    pty.wait_for("allow it?");
    pty.send("n\r");
    let rest = pty.wait_for("all-done-2");
    pty.ended();
    assert!(!rest.contains("allow it?"), "{rest}");
    assert!(pty.everything().contains("refused 3 attempts"), "{}", pty.everything());
}

#[test]
fn an_agent_is_told_why_and_nothing_that_widens() {
    let Some(site) = Site::start() else { return };
    let command = format!("{CURL} http://unlisted.example/");
    let agent: Output = site.run(&site.listed(), &command).env("CLAUDECODE", "1").output();
    let all = format!("{}{}", agent.out(), agent.err());
    assert!(all.contains("unlisted.example") && all.contains("egress-005"), "{agent}");
    assert!(!all.contains("domains = ["), "{agent}");
    let person = site.run(&site.listed(), &command).output();
    assert!(person.err().contains("[egress] domains = [\"unlisted.example\"]"), "{person}");
    assert!(person.err().lines().count() <= 10, "{person}");
}

#[test]
fn deny_a_flood_of_hosts_in_few_lines_and_few_entries() {
    let Some(site) = Site::start() else { return };
    let script = "import socket\n\
                  for n in range(600):\n    \
                      s = socket.create_connection(('127.0.0.1', 3128))\n    \
                      s.sendall(b'CONNECT h%d.example:443 HTTP/1.1\\r\\nHost: h%d.example:443\\r\\n\\r\\n' % (n, n))\n    \
                      assert b' 403 ' in s.recv(4096)\n    \
                      s.close()\n";
    site.place.write("flood.py", script);
    let out = site.run(&site.listed(), "python3 flood.py").output().exits(0);
    assert!(out.err().lines().count() <= 10, "{out}");
    assert!(out.err().contains("refused 600 attempts"), "{out}");
    let entries = record(&site.place).len();
    assert!((100..=250).contains(&entries), "{entries} entries");
}
