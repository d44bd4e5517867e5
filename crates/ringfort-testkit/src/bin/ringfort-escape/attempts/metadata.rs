// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a file is besides its content: size, mode, owner, times, attributes, the target of a link.

use std::fs;
use std::path::PathBuf;

use super::{Attempt, Outcome, answer, done, effect, shown};
use crate::scene::Scene;
use crate::sys;

#[rustfmt::skip]
pub(crate) static ATTEMPTS: &[Attempt] = &[
    effect(90, "changes the mode of a file outside", |s| done(super::writing::mode(&s.outside.join("spare1"), 0o666))),
    effect(91, "changes the group of a file outside to its own", |s| done(std::os::unix::fs::chown(s.outside.join("owned"), None, Some(0)))).needs("root"),
    effect(92, "sets the times of a file outside", |s| { let path = sys::c(s.outside.join("spare1")); let times = [1u64, 0, 1, 0]; done(sys::call(sys::UTIMENSAT, [sys::HERE, sys::at(&path), times.as_ptr() as usize, 0])) }),
    effect(93, "sets an attribute of a file outside", |s| { let (path, name) = (sys::c(s.outside.join("spare1")), sys::c("user.attack")); done(sys::call(sys::SETXATTR, [sys::at(&path), sys::at(&name), sys::address(b"x"), 1, 0])) }).needs("extended attributes"),
    effect(94, "reads an attribute of a file outside", attribute).needs("extended attributes"),
    effect(95, "reads where a link outside leads", |s| { let target: PathBuf = fs::read_link(s.outside.join("pointer"))?; Ok(shown(target.as_os_str().as_encoded_bytes())) }),
    answer(96, "asks for size and times of a file outside", |s| done(fs::symlink_metadata(s.outside.join("secret")))),
    answer(97, "asks whether a file of the home exists", |s| if fs::exists(s.home.join(".aws/credentials"))? { Ok("it exists".into()) } else { Err("it is not there".into()) }),
    effect(98, "makes a file of the home readable for everybody", |s| done(super::writing::mode(&s.home.join(".ssh/id_ed25519"), 0o644))),
    effect(99, "takes a folder outside away from its owner", |s| done(super::writing::mode(&s.outside.join("folder"), 0))),
];

fn attribute(s: &Scene) -> Outcome {
    let (path, name) = (sys::c(s.outside.join("secret")), sys::c("user.note"));
    let mut value = [0u8; 256];
    let length = sys::call(sys::GETXATTR, [sys::at(&path), sys::at(&name), sys::address_mut(&mut value), 256])?;
    Ok(shown(value.get(..length).unwrap_or(&value)))
}
