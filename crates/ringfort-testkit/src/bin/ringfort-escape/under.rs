// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starts another program under something that it inherits and cannot take off.
//!
//! In: `under layers|filter PROGRAM WORD…`. Out: the program, in this process.
//!
//! **Invariant:** what is inherited restricts nothing that the program needs: it only stands in its way or lies to it.

use std::io::{Error, Result};
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::sys;

const CREATE_RULESET: std::ffi::c_long = 444;
const RESTRICT_SELF: std::ffi::c_long = 446;
const SECCOMP: std::ffi::c_long = if cfg!(target_arch = "x86_64") { 317 } else { 277 };
const NO_NEW_PRIVILEGES: usize = 38;
/// Most layers that the kernel stacks.
const LAYERS: usize = 16;

/// Becomes the program.
pub(crate) fn under(words: &[&str]) -> Result<()> {
    let [what, program, words @ ..] = words else { return Err(Error::other("under layers|filter PROGRAM WORD…")) };
    sys::call(sys::PRCTL, [NO_NEW_PRIVILEGES, 1, 0, 0, 0]).map_err(error)?;
    match *what {
        "layers" => (0..LAYERS).try_for_each(|_| layer())?,
        "filter" => filter()?,
        _ => return Err(Error::other("layers or filter")),
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

/// A filter that answers success to whoever restricts itself with Landlock, and lets nothing happen.
fn filter() -> Result<()> {
    let instruction =
        |code: u64, if_true: u64, if_false: u64, value: u64| code | if_true << 16 | if_false << 24 | value << 32;
    let program = [
        instruction(0x20, 0, 0, 0),
        instruction(0x15, 0, 1, RESTRICT_SELF.cast_unsigned()),
        instruction(0x06, 0, 0, 0x0005_0000),
        instruction(0x06, 0, 0, 0x7fff_0000),
    ];
    let whole = [program.len(), program.as_ptr() as usize];
    sys::call(SECCOMP, [1, 0, whole.as_ptr() as usize]).map_err(error)?;
    Ok(())
}
