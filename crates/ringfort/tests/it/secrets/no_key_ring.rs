// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: where the kernel's key ring is out of reach, nothing is kept open between commands, and what cannot be known
//! to be locked is not called locked.

use std::ffi::OsStr;

use serde_json::Value;

use super::{PASSPHRASE, VALUE, secrets, stored, with_passphrase};
use crate::inherited::ringfort_under;
use crate::pty::Pty;
use crate::support::{Output, Place, Program};

/// `ringfort` with these words, in a container that has no key rings.
fn without(place: &Place, line: &str) -> Program {
    ringfort_under(place, "no-keys", &line.split_whitespace().map(OsStr::new).collect::<Vec<_>>())
}

/// No name of an error of a library, no bare number.
#[track_caller]
fn in_words(output: &Output) {
    for odd in ["Unknown(", "NotSupported", "PermissionDenied", "KeyError", "SessionError"] {
        assert!(!output.out().contains(odd) && !output.err().contains(odd), "{odd}: {output}");
    }
}

#[test]
fn deny_to_call_locked_what_is_not_known_to_be() {
    let place = Place::new();
    with_passphrase(&place);
    let output = without(&place, "secrets lock").output().exits(1);
    in_words(&output);
    let said = output.out();
    assert!(said.contains("the kernel's key ring is out of reach (the kernel has no such call"), "{output}");
    assert!(said.contains("lock it there") && !said.contains("locked;"), "{output}");
    let output = without(&place, "--json secrets lock").output().exits(1);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["state"], "unknown", "{output}");
    // Where the key ring is, the same store is locked, and that is said.
    if super::is_kept(&place) {
        assert!(secrets(&place, "lock", "").exits(0).out().contains("locked;"));
    }
}

#[test]
fn deny_to_call_locked_what_a_key_file_opens() {
    let place = stored("a.b", "");
    let output = without(&place, "secrets lock").output().exits(1);
    in_words(&output);
    assert!(output.out().contains("not locked"), "{output}");
}

#[test]
fn each_command_asks_for_the_passphrase_again() {
    let place = Place::new();
    with_passphrase(&place);
    // What is unlocked elsewhere is not seen there.
    for line in ["secrets list", "secrets get a.b", "run --secret a.b -- true"] {
        let output = without(&place, line).output().exits(2);
        in_words(&output);
        assert!(!output.out().contains("ran") && !output.out().contains(VALUE), "{output}");
    }
    let mut pty = Pty::start(&without(&place, "secrets unlock"));
    pty.wait_for("Passphrase of the secrets");
    pty.send(format!("{PASSPHRASE}\n"));
    pty.wait_for("cannot be kept unlocked");
    assert!(!pty.ended().success());
    let output = without(&place, "secrets status").output().exits(0);
    in_words(&output);
}
