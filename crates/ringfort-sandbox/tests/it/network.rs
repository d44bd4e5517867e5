// SPDX-License-Identifier: MIT OR Apache-2.0
//! The network inside a cage: a loopback of its own and nothing else, or a door whose connections arrive outside.
//!
//! The programs inside are this very test binary, which does what a variable says.
#![expect(clippy::disallowed_methods, reason = "what runs inside dials, and learns from its environment what to dial")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use ringfort_sandbox::launch::Exit;
use ringfort_sandbox::profile::{BindMode, DegreeRequest, HomeBind};

use crate::cage::{Outcome, Place};

/// The variable that names what this binary does inside.
const VARIABLE: &str = "RINGFORT_TEST_INSIDE";

/// A place in which this binary does `task`; `None` where the host gives no namespaces.
fn place(task: &str) -> Option<Place> {
    let mut place = Place::new(DegreeRequest::Auto);
    if !place.is_namespaced() {
        return None;
    }
    let binary = std::env::current_exe().unwrap().canonicalize().unwrap();
    place.profile.home.binds.push(HomeBind { source: binary, target: "inside".into(), mode: BindMode::ReadOnly });
    place.profile.environment.push((VARIABLE.into(), task.into()));
    Some(place)
}

const ARGUMENTS: [&str; 5] = ["inside", "--exact", "network::inside", "--nocapture", "--test-threads=1"];

fn run(place: &Place) -> Outcome {
    let outcome = place.run(place.home.join("inside").to_str().unwrap(), &ARGUMENTS).unwrap();
    assert_eq!(outcome.exit, Exit::Exited(0), "{outcome:#?}");
    outcome
}

/// Does nothing unless this binary was started inside a cage.
#[test]
fn inside() {
    let Ok(task) = std::env::var(VARIABLE) else {
        return;
    };
    match task.split_once(' ').unwrap_or((&task, "")) {
        ("serve-and-ask", _) => serve_and_ask(),
        (other, _) => panic!("no task `{other}`"),
    }
    println!("\nDONE");
}

/// A server and its client, as a test suite starts them.
fn serve_and_ask() {
    for address in ["127.0.0.1:0", "127.8.9.10:0", "[::1]:0"] {
        let listener = match TcpListener::bind(address) {
            Ok(listener) => listener,
            Err(_) if address.starts_with('[') => continue, // A kernel without IPv6.
            Err(error) => panic!("{address}: {error}"),
        };
        let place: SocketAddr = listener.local_addr().unwrap();
        let client = std::thread::spawn(move || {
            let mut text = String::new();
            TcpStream::connect(place).unwrap().read_to_string(&mut text).unwrap();
            text
        });
        listener.accept().unwrap().0.write_all(b"answer").unwrap();
        assert_eq!(client.join().unwrap(), "answer");
    }
}

#[test]
fn programs_inside_reach_each_other_over_loopback() {
    let Some(place) = place("serve-and-ask") else { return };
    assert!(run(&place).out.contains("DONE"));
}
