// SPDX-License-Identifier: MIT OR Apache-2.0
//! The arguments of `execve`, laid out before the process is cloned.
//!
//! In: program, arguments, environment. Out: [`ExecVectors`], whose [`ExecVectors::exec`] does not allocate.
//!
//! **Invariant:** every pointer points into a string that the same value owns, and each list ends with null.

use std::ffi::{CString, c_char};

use super::Errno;

/// Program, arguments and environment as the kernel wants them.
pub(crate) struct ExecVectors {
    program: CString,
    argv: Pointers,
    envp: Pointers,
}

/// A null-terminated list of pointers and the strings they point into.
struct Pointers {
    list: Vec<*const c_char>,
    _strings: Vec<CString>,
}

impl Pointers {
    fn new(strings: Vec<CString>) -> Self {
        // The heap buffers of the strings stay where they are when the vector moves.
        let list = strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect();
        Self { list, _strings: strings }
    }
}

impl ExecVectors {
    pub(crate) fn new(program: CString, argv: Vec<CString>, envp: Vec<CString>) -> Self {
        Self { program, argv: Pointers::new(argv), envp: Pointers::new(envp) }
    }

    /// Becomes the program; returns only when that failed.
    pub(crate) fn exec(&self) -> Errno {
        // SAFETY: the program is a C string, both lists are null-terminated and point into strings owned by `self`.
        unsafe { libc::execve(self.program.as_ptr(), self.argv.list.as_ptr(), self.envp.list.as_ptr()) };
        // SAFETY: `__errno_location` points to this thread's error number, which is always readable.
        Errno(unsafe { *libc::__errno_location() })
    }
}
