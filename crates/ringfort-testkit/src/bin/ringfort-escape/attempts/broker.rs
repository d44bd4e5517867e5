// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one socket that a cage inherits: malformed words, words that ask for more, and floods.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use super::{Attempt, Blocked, Outcome, answer, effect, shown};
use crate::scene::Scene;
use crate::sys;

const SEQUENCED: usize = 5;
const PATIENCE: Duration = Duration::from_secs(15);
const SHORT: Duration = Duration::from_millis(800);

#[rustfmt::skip]
pub(crate) static ATTEMPTS: &[Attempt] = &[
    answer(640, "words that are none", |_| unheard(b"\xff{]", Files::Four)),
    answer(641, "an empty object", |_| unheard(b"{}", Files::Four)),
    answer(642, "no files", |s| unheard(packet(s, &["/bin/true"], "").as_bytes(), Files::Count(0))),
    answer(643, "far too many files", |s| unheard(packet(s, &["/bin/true"], "").as_bytes(), Files::Count(60))),
    answer(644, "a field that names another principal", |s| unheard(packet(s, &["/bin/true"], ",\"principal\":\"root\"").as_bytes(), Files::Four)),
    answer(645, "a field twice", |s| unheard(packet(s, &["/bin/true"], ",\"v\":1,\"cwd\":[47]").as_bytes(), Files::Four)),
    answer(646, "brackets without end", |_| unheard(&b"[".repeat(50_000), Files::Four)),
    answer(647, "more than a packet may hold", |s| unheard(packet(s, &["/bin/true", &"x".repeat(140_000)], "").as_bytes(), Files::Four)),
    effect(648, "asks for a program in a folder outside", |s| { let text = asked(&packet_in(s, &["/bin/sh", "-c", "cat secret; echo attacked > made-by-broker"], &s.outside.to_string_lossy(), ""), Files::Four, PATIENCE)?; Err(Blocked(text)) }),
    effect(649, "asks for a program that reads outside, and keeps its output", sibling_reads),
    effect(650, "asks for a program with the variables that widen", |s| { let text = asked(&packet(s, &["/bin/sh", "-c", "cat \"$X\"; env"], "").replace("\"env\":[", &format!("\"env\":[[{},{}],", list("RINGFORT_POLICY"), list("/dev/null"))), Files::Four, PATIENCE)?; Err(Blocked(text)) }),
    answer(651, "a flood of words", |s| { for _ in 0..2000 { sys::quietly(sys::call(sys::SENDTO, [broker()?, sys::address(&[b'{'; 500]), 500, 0x40, 0, 0])); } still_serves(s) }),
    answer(652, "a channel that is a file", |s| { drop(asked(&packet(s, &["/no/such/program"], ""), Files::NoChannel, Duration::ZERO)); still_serves(s) }),
    answer(653, "forty siblings at once, abandoned", |s| { for _ in 0..40 { drop(asked(&packet(s, &["/bin/sleep", "100"], ""), Files::Four, Duration::ZERO)); } std::thread::sleep(SHORT); still_serves(s) }),
    answer(654, "the other end is shut", |s| { const SHUTDOWN: (std::ffi::c_long, std::ffi::c_long) = (48, 210); let number = if cfg!(target_arch = "x86_64") { SHUTDOWN.0 } else { SHUTDOWN.1 }; let copy = sys::call(sys::FCNTL, [broker()?, 0, 100])?; sys::quietly(sys::call(number, [copy, 0])); still_serves(s) }),
];

/// Which files go with a message.
#[derive(Clone, Copy)]
enum Files {
    Four,
    NoChannel,
    Count(usize),
}

fn broker() -> Result<usize, Blocked> {
    let number = std::env::var("RINGFORT_BROKER").map_err(|_| Blocked("there is no broker here".into()))?;
    number.parse().map_err(|_| Blocked("its number is none".into()))
}

fn list(text: &str) -> String {
    let numbers: Vec<String> = text.bytes().map(|byte| byte.to_string()).collect();
    format!("[{}]", numbers.join(","))
}

fn packet(s: &Scene, words: &[&str], more: &str) -> String {
    packet_in(s, words, &s.work.to_string_lossy(), more)
}

fn packet_in(_: &Scene, words: &[&str], folder: &str, more: &str) -> String {
    let words: Vec<String> = words.iter().map(|word| list(word)).collect();
    let path = format!("[{},{}]", list("PATH"), list("/usr/bin:/bin"));
    format!(
        "{{\"v\":1,\"op\":\"run\",\"words\":[{}],\"cwd\":{},\"env\":[{path}]{more}}}",
        words.join(","),
        list(folder)
    )
}

/// Sends one message; the answer, or why there is none.
fn asked(packet: &str, files: Files, patience: Duration) -> Result<String, Blocked> {
    asked_with(packet.as_bytes(), files, patience, None)
}

fn asked_with(packet: &[u8], files: Files, patience: Duration, output: Option<i32>) -> Result<String, Blocked> {
    let door = broker()?;
    let mut both = [0i32; 2];
    sys::call(sys::SOCKETPAIR, [1, SEQUENCED, 0, both.as_mut_ptr() as usize])?;
    let [mine, theirs] = both;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let nothing = null.as_raw_fd();
    let numbers = match files {
        Files::Four => vec![theirs, nothing, output.unwrap_or(nothing), nothing],
        Files::NoChannel => vec![nothing; 4],
        Files::Count(count) => vec![nothing; count],
    };
    sys::send_files(door, packet, &numbers)?;
    close(usize::try_from(theirs).unwrap_or(0));
    let mine = usize::try_from(mine).unwrap_or(0);
    let answer = heard(mine, patience);
    close(mine);
    answer
}

fn heard(channel: usize, patience: Duration) -> Result<String, Blocked> {
    let start = Instant::now();
    loop {
        match sys::receive(channel, 1 << 18) {
            Ok(bytes) if bytes.is_empty() => return Err("dropped without an answer".into()),
            Ok(bytes) => return Ok(shown(&bytes)),
            Err(sys::Errno(11)) if start.elapsed() < patience => std::thread::sleep(Duration::from_millis(5)),
            Err(error) => return Err(error.into()),
        }
    }
}

fn close(file: usize) {
    sys::quietly(sys::call(if cfg!(target_arch = "x86_64") { 3 } else { 57 }, [file]));
}

fn unheard(packet: &[u8], files: Files) -> Outcome {
    asked_with(packet, files, SHORT, None)
}

fn still_serves(s: &Scene) -> Outcome {
    match asked(&packet(s, &["/bin/true"], ""), Files::Four, PATIENCE) {
        Ok(text) if text.contains("exited") => Err("and it still serves".into()),
        Ok(text) => Ok(format!("it does not serve any more: {text}")),
        Err(Blocked(why)) => Ok(format!("it does not serve any more: {why}")),
    }
}

fn sibling_reads(s: &Scene) -> Outcome {
    let path = s.work.join("sibling-output");
    let output = File::create(&path)?;
    let command = format!("cat '{}'", s.outside.join("secret").display());
    let packet = packet(s, &["/bin/sh", "-c", &command], "");
    let text = asked_with(packet.as_bytes(), Files::Four, PATIENCE, Some(output.as_raw_fd()))?;
    super::leak(path).or(Err(Blocked(text)))
}
