// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: without namespaces, in the degree `minimal`, a cage reaches what the policy lists by the proxy alone.
//!
//! The supervisor makes each connection there (`ringfort_sandbox::launch::Connects`).

use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use super::clients::is_there;
use super::{CURL, Site, fact, outcomes, record};
use crate::support::{Place, Program, binary, is_namespaced, until};

/// What the degree `minimal` keeps, as a policy; the door needs the promise `no-network` as well.
const MINIMAL: &str = "[sandbox]\nrequire = [\"confine-writes\", \"confine-reads\", \"no-network\", \"confine-syscalls\", \
                       \"no-privilege\", \"kill-all\"]\n";

/// `ringfort run --degree minimal OPTIONS -- sh -c TEXT`, with both servers listed by their names.
fn run(site: &Site, options: &[&str], text: &str) -> Program {
    let domains = format!("[egress]\ndomains = [\"localhost:{}\", \"localhost:{}\"]\n", site.http, site.https);
    let policy = site.policy(&format!("{MINIMAL}{domains}"));
    let start = ["run", "--degree", "minimal", "--policy", policy.as_str()];
    // In a file: a long text on a command line is ruled on word by word, which is not what is tested here.
    site.place.write("do.sh", text);
    let words = start.iter().chain(options).chain(&["--", "sh", "do.sh"]).copied();
    site.place.ringfort(words).time_max(Duration::from_secs(120))
}

fn site() -> Site {
    Site::at(Place::new())
}

#[test]
fn a_listed_host_is_reached_in_minimal_and_each_connection_is_on_record() {
    let site = site();
    let (http, https) = (site.http, site.https);
    let text = format!(
        "{CURL} http://localhost:{http}/echo && {CURL} --cacert ca.pem https://localhost:{https}/echo && \
         {CURL} --proxy socks5h://127.0.0.1:3128 http://localhost:{http}/echo/socks"
    );
    let out = run(&site, &["--verbose"], &text).output().exits(0);
    assert_eq!(out.out(), "GET /echo\nGET /echo\nGET /echo/socks\n", "{out}");
    assert!(out.err().contains("no-network") && out.err().contains("degree `minimal`"), "{out}");
    let intents = record(&site.place).into_iter().filter(|entry| entry["kind"] == "intent").count();
    let closed = outcomes(&site.place, "closed");
    assert_eq!((intents, closed.len()), (3, 3), "{closed:#?}");
    assert!(closed.iter().all(|entry| fact(entry, "received_bytes").as_u64() > Some(0)), "{closed:#?}");
    site.place.ringfort(["trail", "verify"]).output().exits(0);
}

/// Makes a process see a lesser host.
const HOST: &str = include_str!("../../attack/host.py");

#[test]
fn a_host_without_namespaces_has_a_door() {
    for kind in ["nobody", "container"] {
        let site = site();
        let host = site.place.write(site.place.outside.join("host.py"), HOST);
        let policy = site.policy(&format!("{MINIMAL}[egress]\ndomains = [\"localhost:{}\"]\n", site.http));
        site.place.write("do.sh", format!("{CURL} http://localhost:{}/echo\n", site.http));
        let (host, ringfort) = (host.to_str().unwrap(), binary());
        let start = [host, kind, ringfort.to_str().unwrap(), "run", "--verbose", "--policy", &policy];
        let words = start.into_iter().chain(["--", "sh", "do.sh"]);
        let out = site.place.program("/usr/bin/python3", words).output();
        // A host that is a lesser one already may not be made still less.
        let is_minimal = out.err().contains("degree `minimal`");
        assert!(is_minimal || !is_namespaced(&site.place), "{kind}: {out}");
        if is_minimal {
            assert_eq!(out.exits(0).out(), "GET /echo\n");
        }
    }
}

#[test]
fn clients_of_every_kind_pass_in_minimal() {
    let site = site();
    let (http, https) = (site.http, site.https);
    let script = format!(
        "import asyncio, ssl, urllib.request\n\
         print(urllib.request.urlopen('http://localhost:{http}/echo/plain').read())\n\
         context = ssl.create_default_context(cafile='ca.pem')\n\
         print(urllib.request.urlopen('https://localhost:{https}/echo/tls', context=context).read())\n\
         async def ask(n):\n    \
             reader, writer = await asyncio.open_connection('127.0.0.1', 3128)\n    \
             writer.write(b'GET http://localhost:{http}/echo/%d HTTP/1.1\\r\\nHost: localhost:{http}\\r\\n' % n\n        \
                 + b'Connection: close\\r\\n\\r\\n')\n    \
             return (await reader.read()).split(b'\\r\\n')[-1]\n\
         async def main():\n    print(await asyncio.gather(*[ask(n) for n in range(40)]))\n\
         asyncio.run(main())\n"
    );
    site.place.write("get.py", script);
    let out = run(&site, &[], "python3 get.py").output().exits(0);
    for part in ["GET /echo/plain", "GET /echo/tls", "GET /echo/0\\n", "GET /echo/39\\n"] {
        assert!(out.out().contains(part), "{part}: {out}");
    }
    if is_there("node") {
        let script = format!(
            "const net = require('net');\n\
             const s = net.connect(3128, '127.0.0.1', () => s.write('GET http://localhost:{http}/echo/node HTTP/1.1\\r\\n' +\n    \
                 'Host: localhost:{http}\\r\\nConnection: close\\r\\n\\r\\n'));\n\
             s.on('data', data => process.stdout.write(data));\n\
             s.on('error', error => {{ console.log('failed', error.code); process.exitCode = 1; }});\n\
             net.connect({http}, '127.0.0.1').on('error', error => console.log('around', error.code));\n"
        );
        site.place.write("get.js", script);
        let out = run(&site, &[], "node get.js").output().exits(0);
        assert!(out.out().contains("GET /echo/node") && out.out().contains("around ECONNREFUSED"), "{out}");
    }
    let make = "git init -q -b main src && cd src && echo hello > a.txt && git add . && \
                git -c user.name=Test -c user.email=t@example.org commit -q -m first && cd .. && \
                git clone -q --bare src site/repo.git && git -C site/repo.git update-server-info";
    site.place.program("sh", ["-c", make]).cwd(&site.place.outside).output().exits(0);
    let text = format!("GIT_SSL_CAINFO=$PWD/ca.pem git clone -q https://localhost:{https}/repo.git cloned");
    run(&site, &[], &text).output().exits(0);
    assert_eq!(std::fs::read_to_string(site.place.work.join("cloned/a.txt")).unwrap(), "hello\n");
}

#[test]
fn deny_every_other_host_in_minimal() {
    let site = site();
    for (what, command, rule) in [
        ("an unlisted name", format!("{CURL} -f http://unlisted.example/"), "egress-005"),
        ("an unlisted name over TLS", format!("{CURL} https://unlisted.example/"), "egress-005"),
        ("SOCKS", format!("{CURL} --proxy socks5h://127.0.0.1:3128 http://unlisted.example/"), "egress-005"),
        ("a metadata service", format!("{CURL} -f --noproxy '' http://169.254.169.254/"), "egress-002"),
        ("a private address", format!("{CURL} -f --noproxy '' http://10.0.0.1/"), "egress-003"),
        ("what is listed, by address", format!("{CURL} -f --noproxy '' http://127.0.0.1:{}/", site.http), "egress-003"),
    ] {
        let out = run(&site, &[], &command).output();
        assert!(out.code() != Some(0) && out.err().contains(&format!("[{rule}]")), "{what}: {out}");
    }
    assert_eq!(outcomes(&site.place, "closed").len(), 0);
    assert!(!outcomes(&site.place, "denied").is_empty());
}

#[test]
fn deny_what_goes_around_the_door_in_minimal() {
    let site = site();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    other.set_nonblocking(true).unwrap();
    let port = other.local_addr().unwrap().port();
    let python = |text: &str| format!("python3 -c \"import socket; {text}\"");
    let ways = [
        format!("{CURL} --noproxy '*' http://127.0.0.1:{}/echo", site.http),
        format!("{CURL} --noproxy '*' http://127.0.0.1:{port}/"),
        format!("{CURL} --noproxy '*' http://[::1]:{port}/"),
        format!("{CURL} --noproxy '*' http://10.0.0.1/"),
        format!("{CURL} --noproxy '*' http://localhost:{}/echo", site.http),
        python("s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)"),
        python("s = socket.socket(socket.AF_UNIX)"),
        python("s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)"),
        python("s = socket.socket(); s.bind(('127.0.0.1', 0))"),
        python("s = socket.socket(); s.listen(1)"),
        python(&format!("s = socket.socket(); s.sendto(b'x', 0x20000000, ('127.0.0.1', {port}))")),
    ];
    let text: String = ways.iter().enumerate().map(|(n, way)| format!("{way} && echo reached-{n}\n")).collect();
    // The same program does reach the one address that is served.
    let text =
        format!("{text}{}\necho at-the-end\n", python("socket.create_connection(('127.0.0.1', 3128)); print('door')"));
    let out = run(&site, &[], &text).output().exits(0);
    assert_eq!(out.out(), "door\nat-the-end\n", "{out}");
    assert!(other.accept().is_err(), "something arrived");
    assert_eq!(outcomes(&site.place, "closed").len(), 0);
    // Without a door there is none, whatever the variables say.
    let text =
        format!("[ -z \"$HTTP_PROXY\" ] && ! {CURL} -x http://127.0.0.1:3128 http://localhost:{}/echo", site.http);
    run(&site, &["--network", "off"], &text).output().exits(0);
}

#[test]
fn a_nested_run_in_minimal_has_a_door_of_its_own() {
    let site = site();
    let inner = format!("{CURL} -f http://localhost:{}/echo; {CURL} http://unlisted.example/", site.http);
    site.place.write("inner.sh", inner);
    // Without mounts the program is where the host has it, or nowhere.
    std::fs::copy(binary(), site.place.work.join("inner")).unwrap();
    let out = run(&site, &[], "./inner run -- sh inner.sh").output();
    assert!(out.out().contains("GET /echo"), "{out}");
    assert!(out.err().contains("unlisted.example:80"), "the user is told at the end of the outer run: {out}");
}

#[test]
fn a_traced_run_in_minimal_has_a_door_too() {
    let site = site();
    let out = run(&site, &["--trace"], &format!("{CURL} http://localhost:{}/echo", site.http)).output().exits(0);
    assert_eq!(out.out(), "GET /echo\n", "{out}");
}

#[test]
fn a_freeze_closes_the_door_in_minimal() {
    let site = site();
    let text = format!(
        "{CURL} -N http://localhost:{0}/slow > got; echo curl-ended-$? > ended\n\
         {CURL} http://localhost:{0}/echo; echo then-$? >> ended\n",
        site.http
    );
    let mut program = run(&site, &[], &text);
    program.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut run = program.spawn();
    let got = site.place.work.join("got");
    let has_some = || std::fs::metadata(&got).is_ok_and(|meta| meta.len() > 0).then_some(());
    assert!(until(Duration::from_secs(30), has_some).is_some(), "nothing arrived");
    site.place.ringfort(["freeze"]).output().exits(0);
    run.wait(Duration::from_secs(20));
    let ended = std::fs::read_to_string(site.place.work.join("ended")).unwrap();
    assert!(ended.contains("curl-ended-") && ended.contains("then-") && !ended.contains("-0"), "{ended}");
}
