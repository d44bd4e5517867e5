// SPDX-License-Identifier: MIT OR Apache-2.0
//! The arguments of `execve`, laid out before the process is cloned.
//!
//! In: program, arguments, environment. Out: [`ExecVectors`], whose [`ExecVectors::exec`] does not allocate.
//!
//! **Invariant:** every pointer points into bytes that the same value owns, and each list ends with null. Variables may be
//! secrets: their bytes are written once, at their place, and are wiped when they are given up.

use std::ffi::{CString, OsStr, c_char};
use std::os::unix::ffi::OsStrExt as _;

use zeroize::Zeroize as _;

use super::Errno;

/// A variable as the kernel wants it: `NAME=VALUE` and a null byte. Wiped on drop.
pub(crate) struct Variable(Box<[u8]>);

impl Variable {
    /// `None` where a null byte stands in it.
    pub(crate) fn of(name: &OsStr, value: &OsStr) -> Option<Self> {
        Self::joined(&[name.as_bytes(), b"=", value.as_bytes()])
    }

    /// The same of a whole line.
    pub(crate) fn of_line(line: &[u8]) -> Option<Self> {
        Self::joined(&[line])
    }

    fn joined(parts: &[&[u8]]) -> Option<Self> {
        if parts.iter().any(|part| part.contains(&0)) {
            return None;
        }
        // As long as it becomes: one that grew would leave its bytes where it was before.
        let mut line = vec![0; parts.iter().map(|part| part.len()).sum::<usize>() + 1].into_boxed_slice();
        let bytes = parts.iter().flat_map(|part| part.iter());
        line.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
        Some(Self(line))
    }
}

impl Drop for Variable {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Program, arguments and environment as the kernel wants them.
pub(crate) struct ExecVectors {
    program: CString,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    _arguments: Vec<CString>,
    variables: Vec<Variable>,
}

impl ExecVectors {
    pub(crate) fn new(program: CString, arguments: Vec<CString>, variables: Vec<Variable>) -> Self {
        // The heap buffers of the strings stay where they are when the vectors move.
        let argv = arguments.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect();
        let envp = variables.iter().map(|line| line.0.as_ptr().cast()).chain([std::ptr::null()]).collect();
        Self { program, argv, envp, _arguments: arguments, variables }
    }

    /// Becomes the program; returns only when that failed.
    pub(crate) fn exec(&self) -> Errno {
        // SAFETY: the program is a C string, both lists are null-terminated and point into strings owned by `self`, each
        // of which ends with a null byte.
        unsafe { libc::execve(self.program.as_ptr(), self.argv.as_ptr(), self.envp.as_ptr()) };
        // SAFETY: `__errno_location` points to this thread's error number, which is always readable.
        Errno(unsafe { *libc::__errno_location() })
    }

    /// Wipes the variables: the program has its own copy. Allocates nothing and frees nothing.
    pub(crate) fn forget(&mut self) {
        self.envp.iter_mut().for_each(|pointer| *pointer = std::ptr::null());
        self.variables.iter_mut().for_each(|line| line.0.zeroize());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_lines_without_null_bytes_and_forgotten_at_their_place() {
        let line = Variable::of(OsStr::new("NAME"), OsStr::new("a=b")).unwrap();
        assert_eq!(&*line.0, b"NAME=a=b\0");
        assert_eq!(&*Variable::of_line(b"A=").unwrap().0, b"A=\0");
        for (name, value) in [("A\0", "b"), ("A", "b\0"), ("A", "\0")] {
            assert!(Variable::of(OsStr::new(name), OsStr::new(value)).is_none(), "{name:?} {value:?}");
        }
        let mut vectors = ExecVectors::new(c"/bin/true".to_owned(), vec![c"true".to_owned()], vec![line]);
        vectors.forget();
        assert!(vectors.variables.iter().all(|line| line.0.iter().all(|byte| *byte == 0)));
        assert!(vectors.envp.iter().all(|pointer| pointer.is_null()));
    }
}
