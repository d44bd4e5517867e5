// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starts another program under something that it inherits and cannot take off.
//!
//! In: `under layers|filter|no-keys|no-secret-memory PROGRAM WORD…`. Out: the program, in this process.
//!
//! **Invariant:** what is inherited restricts nothing that the program needs: it only stands in its way or lies to it, or
//! takes away what an older kernel or a container has not.

use std::io::{Error, Result};
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::sys;

const CREATE_RULESET: std::ffi::c_long = 444;
const RESTRICT_SELF: std::ffi::c_long = 446;
const SECCOMP: std::ffi::c_long = if cfg!(target_arch = "x86_64") { 317 } else { 277 };
const NO_NEW_PRIVILEGES: usize = 38;
/// `add_key`, `request_key`, `keyctl`.
const KEYS: [std::ffi::c_long; 3] = if cfg!(target_arch = "x86_64") { [248, 249, 250] } else { [217, 218, 219] };
const MEMFD_SECRET: std::ffi::c_long = 447;
/// What a filter lets the kernel answer: an error number is added.
const ANSWER: u64 = 0x0005_0000;
const NO_SUCH_CALL: u64 = 38;
/// Most layers that the kernel stacks.
const LAYERS: usize = 16;

/// Becomes the program.
pub(crate) fn under(words: &[&str]) -> Result<()> {
    let [what, program, words @ ..] = words else { return Err(Error::other("under WHAT PROGRAM WORD…")) };
    sys::call(sys::PRCTL, [NO_NEW_PRIVILEGES, 1, 0, 0, 0]).map_err(error)?;
    match *what {
        "layers" => (0..LAYERS).try_for_each(|_| layer())?,
        // Success to whoever restricts itself with Landlock, and nothing happens.
        "filter" => filter(&[RESTRICT_SELF], 0)?,
        "no-keys" => filter(&KEYS, NO_SUCH_CALL)?,
        "no-secret-memory" => filter(&[MEMFD_SECRET], NO_SUCH_CALL)?,
        _ => return Err(Error::other("layers, filter, no-keys or no-secret-memory")),
    }
    Err(Command::new(program).args(words).exec())
}

fn error(errno: sys::Errno) -> Error {
    Error::from_raw_os_error(errno.0)
}

/// One layer of Landlock that forbids making block devices, and nothing else.
fn layer() -> Result<()> {
    const MAKE_BLOCK: u64 = 1 << 11;
    let handled = [MAKE_BLOCK];
    let rules = sys::call(CREATE_RULESET, [handled.as_ptr() as usize, 8, 0]).map_err(error)?;
    sys::call(RESTRICT_SELF, [rules, 0]).map_err(error)?;
    Ok(())
}

/// A filter that answers each of `calls` with `answer`, and lets nothing happen.
fn filter(calls: &[std::ffi::c_long], answer: u64) -> Result<()> {
    let instruction =
        |code: u64, if_true: u64, if_false: u64, value: u64| code | if_true << 16 | if_false << 24 | value << 32;
    let mut program = vec![instruction(0x20, 0, 0, 0)];
    for call in calls {
        program.push(instruction(0x15, 0, 1, call.cast_unsigned()));
        program.push(instruction(0x06, 0, 0, ANSWER + answer));
    }
    program.push(instruction(0x06, 0, 0, 0x7fff_0000));
    let whole = [program.len(), program.as_ptr() as usize];
    sys::call(SECCOMP, [1, 0, whole.as_ptr() as usize]).map_err(error)?;
    Ok(())
}
