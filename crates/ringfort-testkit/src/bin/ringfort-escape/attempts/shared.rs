// SPDX-License-Identifier: MIT OR Apache-2.0
//! What processes of one user share by number or name: segments, queues, semaphores, keys.

use super::{Attempt, Blocked, done, effect, leak, shown};
use crate::scene::Scene;
use crate::sys;

const LENGTH: usize = 64;

#[rustfmt::skip]
pub(crate) static ATTEMPTS: &[Attempt] = &[
    effect(360, "reads a shared segment", |s| Ok(shown(&sys::shared_segment(segment(s)?, LENGTH, None)?))),
    effect(361, "writes a shared segment", |s| done(sys::shared_segment(segment(s)?, LENGTH, Some(b"attacked")))),
    effect(362, "takes a message out of a queue", |s| { let queue = sys::call(sys::MSGGET, [s.number("key"), 0])?; let mut message = [0u8; 72]; sys::call(sys::MSGRCV, [queue, sys::address_mut(&mut message), LENGTH, 0, 0o4000])?; Ok(shown(&message)) }),
    effect(363, "sets a semaphore", |s| { let set = sys::call(sys::SEMGET, [s.number("key"), 1, 0])?; done(sys::call(sys::SEMCTL, [set, 0, 16, 99])) }),
    effect(364, "takes a message out of a named queue", |s| { let name = sys::c(s.text("mq")); let queue = sys::call(sys::MQ_OPEN, [sys::at(&name), 0o4000, 0, 0])?; let mut message = [0u8; 128]; sys::call(sys::MQ_TIMEDRECEIVE, [queue, sys::address_mut(&mut message), 128, 0, 0])?; Ok(shown(&message)) }).needs("a kernel with them"),
    effect(365, "reads shared memory by its folder", |s| leak(format!("/dev/shm/ringfort-escape-{}", s.tag()))),
    effect(366, "removes the shared segment of another", |s| done(sys::call(sys::SHMCTL, [segment(s)?, 0, 0]))),
    effect(367, "reads a key of the user", |s| { let (kind, name) = (sys::c("user"), sys::c(format!("ringfort-escape-{}", s.tag()))); let user_ring = -4_isize as usize; let key = sys::call(sys::KEYCTL, [10, user_ring, sys::at(&kind), sys::at(&name), 0])?; let mut value = [0u8; 128]; let length = sys::call(sys::KEYCTL, [11, key, sys::address_mut(&mut value), 128])?; Ok(shown(value.get(..length).unwrap_or(&value))) }).needs("keys"),
];

fn segment(s: &Scene) -> Result<usize, Blocked> {
    Ok(sys::call(sys::SHMGET, [s.number("key"), 0, 0])?)
}
