// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: real clients pass through the door unchanged.

use std::path::Path;

use super::{CURL, Site, record};

/// Whether a program is there for everybody.
pub(super) fn is_there(program: &str) -> bool {
    let found = ["/usr/local/bin", "/usr/bin", "/bin"].iter().any(|folder| Path::new(folder).join(program).exists());
    assert!(found || !crate::support::skips_are_errors(), "`{program}` is not installed");
    found
}

#[test]
fn curl_by_socks_and_around_the_proxy() {
    let Some(site) = Site::start() else { return };
    let text = format!("{CURL} --proxy socks5h://127.0.0.1:3128 http://localhost:{}/echo", site.http);
    let out = site.run(&site.listed(), &text).output().exits(0);
    assert_eq!(out.out(), "GET /echo\n");
    assert!(record(&site.place).iter().any(|entry| entry["facts"]["way"] == "socks"));
    // Its own question for the name, and a connection to the address that it got.
    let script = format!(
        "import socket, struct\n\
         q = struct.pack('>6H', 7, 256, 1, 0, 0, 0) + b'\\x09localhost\\x00' + struct.pack('>2H', 1, 1)\n\
         u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
         u.settimeout(10)\n\
         u.sendto(q, ('127.0.0.1', 53))\n\
         a = socket.inet_ntoa(u.recv(512)[-4:])\n\
         assert a.startswith('198.1'), a\n\
         s = socket.create_connection((a, {0}), 10)\n\
         s.sendall(b'GET /echo/caught HTTP/1.1\\r\\nHost: localhost:{0}\\r\\nConnection: close\\r\\n\\r\\n')\n\
         print(s.makefile().read())\n",
        site.http
    );
    site.place.write("caught.py", script);
    let out = site.run(&site.listed(), "python3 caught.py").output().exits(0);
    assert!(out.out().contains("GET /echo/caught"), "{out}");
    let entries = record(&site.place);
    let is_it = |entry: &serde_json::Value| {
        entry["kind"] == "intent" && entry["action"].as_str().is_some_and(|action| action.ends_with("/echo/caught"))
    };
    assert!(entries.iter().any(is_it), "{entries:#?}");
}

#[test]
fn git_clones_over_https() {
    let Some(site) = Site::start() else { return };
    let make = "git init -q -b main src && cd src && echo hello > a.txt && git add . && \
                git -c user.name=Test -c user.email=t@example.org commit -q -m first && cd .. && \
                git clone -q --bare src site/repo.git && git -C site/repo.git update-server-info";
    site.place.program("sh", ["-c", make]).cwd(&site.place.outside).output().exits(0);
    let text = format!("GIT_SSL_CAINFO=$PWD/ca.pem git clone -q https://localhost:{}/repo.git cloned", site.https);
    site.run(&site.listed(), &text).output().exits(0);
    assert_eq!(std::fs::read_to_string(site.place.work.join("cloned/a.txt")).unwrap(), "hello\n");
    let denied = "git clone -q https://unlisted.example/repo.git other";
    let out = site.run(&site.listed(), denied).output();
    assert!(out.code() != Some(0) && out.err().contains("egress-005"), "{out}");
}

#[test]
fn python_by_its_own_means() {
    let Some(site) = Site::start() else { return };
    let script = format!(
        "import ssl, urllib.request\n\
         print(urllib.request.urlopen('http://localhost:{}/echo/plain').read())\n\
         context = ssl.create_default_context(cafile='ca.pem')\n\
         print(urllib.request.urlopen('https://localhost:{}/echo/tls', context=context).read())\n\
         try:\n    urllib.request.urlopen('https://unlisted.example/')\n\
         except OSError as error:\n    print('refused', error)\n",
        site.http, site.https
    );
    site.place.write("get.py", script);
    let out = site.run(&site.listed(), "python3 get.py").output().exits(0);
    for part in ["GET /echo/plain", "GET /echo/tls", "refused"] {
        assert!(out.out().contains(part), "{out}");
    }
}

#[test]
fn a_websocket_passes() {
    let Some(site) = Site::start() else { return };
    let script = "import base64, os, socket, sys\n\
                  port = int(sys.argv[1])\n\
                  s = socket.create_connection(('127.0.0.1', 3128), 10)\n\
                  f = s.makefile('rb')\n\
                  if sys.argv[2] == 'tunnel':\n    \
                      s.sendall(b'CONNECT localhost:%d HTTP/1.1\\r\\nHost: localhost:%d\\r\\n\\r\\n' % (port, port))\n    \
                      assert b'200' in f.readline()\n    \
                      while f.readline().strip(): pass\n\
                  target = '/ws' if sys.argv[2] == 'tunnel' else 'http://localhost:%d/ws' % port\n\
                  key = base64.b64encode(os.urandom(16)).decode()\n\
                  s.sendall(('GET %s HTTP/1.1\\r\\nHost: localhost:%d\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n'\n          \
                      'Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: %s\\r\\n\\r\\n' % (target, port, key)).encode())\n\
                  assert b'101' in f.readline()\n\
                  while f.readline().strip(): pass\n\
                  for text in [b'hello', b'again']:\n    \
                      mask = os.urandom(4)\n    \
                      s.sendall(bytes([0x81, 0x80 | len(text)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(text)))\n    \
                      head = f.read(2)\n    \
                      print(f.read(head[1]).decode())\n\
                  s.sendall(bytes([0x88, 0x80]) + os.urandom(4))\n";
    site.place.write("ws.py", script);
    for way in ["plain", "tunnel"] {
        let out = site.run(&site.listed(), &format!("python3 ws.py {} {way}", site.http)).output().exits(0);
        assert_eq!(out.out(), "hello\nagain\n", "{way}: {out}");
    }
}

#[test]
fn a_program_without_proxies_reaches_a_listed_port_of_this_machine() {
    let Some(site) = Site::start() else { return };
    let script = "import socket, sys\n\
                  s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)\n\
                  s.sendall(('GET /echo HTTP/1.1\\r\\nHost: %s:%s\\r\\nConnection: close\\r\\n\\r\\n' % tuple(sys.argv[1:])).encode())\n\
                  print(s.makefile().read())\n";
    site.place.write("direct.py", script);
    for (listed, host, works) in [
        (format!("localhost:{}", site.http), "localhost", true),
        (format!("127.0.0.1:{}", site.http), "127.0.0.1", true),
        (format!("localhost:{}", site.https), "localhost", false),
    ] {
        let setting = format!("egress.domains=[\"{listed}\"]");
        let out = site.run(&setting, &format!("python3 direct.py {host} {}", site.http)).output();
        assert_eq!(out.out().contains("GET /echo"), works, "{listed}: {out}");
    }
    // What listens inside on another port is the cage's own.
    let text = "python3 -m http.server 8123 --bind 127.0.0.1 2> log & sleep 1; curl -sS -o /dev/null -w '%{http_code}' \
                http://localhost:8123/; kill %1";
    let out = site.run("egress.domains=[\"a.example\"]", text).output();
    assert_eq!(out.out(), "200", "{out}");
}

#[test]
fn node_and_java_reach_only_the_door() {
    let Some(site) = Site::start() else { return };
    if is_there("node") {
        // Whether it knows of proxies depends on its version; either way it meets the same answer.
        let script = format!(
            "const get = url => fetch(url).then(r => r.text()).then(t => console.log('got', t), e => console.log('failed', \
             String(e)));\nawait get('http://localhost:{}/echo/node');\nawait get('http://unlisted.example/');\n",
            site.http
        );
        site.place.write("get.mjs", script);
        let out = site.run(&site.listed(), "node get.mjs").output().exits(0);
        assert!(out.out().contains("GET /echo/node"), "{out}");
        assert!(out.err().contains("unlisted.example:80"), "{out}");
    }
    if is_there("java") {
        let script = "import java.net.*; import java.net.http.*;\n\
                      class Get {\n  \
                        public static void main(String[] args) throws Exception {\n    \
                          for (String url : args) try {\n      \
                            var request = HttpRequest.newBuilder(URI.create(url)).version(HttpClient.Version.HTTP_1_1).build();\n      \
                            System.out.println(HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body());\n    \
                          } catch (java.io.IOException error) { System.out.println(\"failed \" + error); }\n  }\n}\n";
        site.place.write("Get.java", script);
        let text = format!("java Get.java http://localhost:{}/echo/java http://unlisted.example/", site.http);
        let out = site.run(&site.listed(), &text).output().exits(0);
        assert!(out.out().contains("GET /echo/java"), "{out}");
        assert!(out.err().contains("unlisted.example:80"), "{out}");
    }
}
