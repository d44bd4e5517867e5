// SPDX-License-Identifier: MIT OR Apache-2.0
//! What comes in by the environment, and programs that are put where others are looked for.

use std::os::unix::ffi::OsStrExt;

use super::{Attempt, Blocked, Outcome, TMPFILE, WRITE, answer, effect, opens, shown};

#[rustfmt::skip]
pub(crate) static ATTEMPTS: &[Attempt] = &[
    effect(580, "finds secrets of the caller in its environment", |_| { let all: Vec<u8> = std::env::vars_os().flat_map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes(), b" "].concat()).collect(); Ok(shown(&all)) }),
    answer(581, "finds the loader's variables of the caller", |_| inherited(&["LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT"])),
    answer(582, "finds the interpreters' variables of the caller", |_| inherited(&["BASH_ENV", "PYTHONSTARTUP", "NODE_OPTIONS", "PERL5OPT", "RUBYOPT"])),
    answer(583, "finds git's variables of the caller", |_| inherited(&["GIT_CONFIG_GLOBAL", "GIT_SSH_COMMAND", "GIT_EXTERNAL_DIFF"])),
    answer(584, "finds sockets of the caller", |_| inherited(&["SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS", "DOCKER_HOST"])),
    answer(585, "finds Ringfort's own variables of the caller", |_| inherited(&["RINGFORT_POLICY", "RINGFORT_STATE", "RINGFORT_HOME"])),
    answer(586, "may write where the loader looks first", |_| opens("/etc/ld.so.preload", WRITE).or_else(|_| opens("/etc", TMPFILE | WRITE))).needs("root"),
    answer(587, "may write where libraries are", |_| opens("/usr/lib", TMPFILE | WRITE).or_else(|_| opens("/lib64", TMPFILE | WRITE))).needs("root"),
    answer(588, "may write into a folder of programs of the system", |_| opens("/usr/bin", TMPFILE | WRITE).or_else(|_| opens("/usr/local/bin", TMPFILE | WRITE))).needs("root"),
    effect(589, "puts a folder of programs before all others, for the next shell", |s| { let path = s.home.join(".profile"); super::done(std::fs::write(path, "PATH=/tmp:$PATH\n")) }),
];

fn inherited(names: &[&str]) -> Outcome {
    let found: Vec<&str> = names.iter().copied().filter(|name| std::env::var_os(name).is_some()).collect();
    if found.is_empty() { Err(Blocked("none was passed on".into())) } else { Ok(found.join(" ")) }
}
