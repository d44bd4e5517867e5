// SPDX-License-Identifier: MIT OR Apache-2.0
//! One step in building the view, and how the child carries it out.
//!
//! In: steps with every path as a C string. Out: the new root, finished, with the old one gone.
//!
//! **Invariant:** a target is opened below the new root without following links, and a source inside the workspace
//! below the workspace without following links; check and use are one. Nothing here allocates.
//! Which steps there are is decided in `plan`.

use std::ffi::{CStr, CString, c_int};

use crate::syscall::{self, Answer, Depth, Errno, NODEV, NOEXEC, NOSUID, RDONLY};

/// Where a bind comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// An absolute path outside.
    Outside(CString),
    /// A path relative to the workspace outside, reached without links.
    Workspace(CString),
    /// A path relative to the new root.
    Inside(CString),
}

/// One step. Targets are relative to the new root.
#[derive(Debug)]
pub(super) enum Step {
    /// A folder, unless it is there already.
    Folder { path: CString, mode: u32 },
    /// A file with this content.
    File { path: CString, mode: u32, content: Vec<u8> },
    /// A symbolic link.
    Link { path: CString, target: CString },
    /// A fresh tmpfs with this many bytes.
    Tmpfs { path: CString, size: CString },
    /// A fresh /proc, read-only.
    Proc { path: CString },
    /// Fresh pseudo-terminals.
    Terminals { path: CString },
    /// A tree from elsewhere with attributes added.
    Bind { source: Source, path: CString, depth: Depth, attributes: u64 },
    /// A tree from outside whose changes are thrown away, or a read-only bind where that fails.
    Overlay { source: CString, upper: CString, work: CString, path: CString, number: u8 },
    /// The workspace with its changes kept elsewhere, both outside. Nothing takes its place where that fails.
    Layered { upper: CString, work: CString, path: CString },
    /// Detaches what is mounted there.
    Detach { path: CString },
}

impl Step {
    /// What the step does, for an error message.
    pub(super) fn describe(&self) -> String {
        let show = |path: &CStr| format!("`/{}`", path.to_string_lossy());
        match self {
            Self::Folder { path, .. } | Self::File { path, .. } | Self::Link { path, .. } => {
                format!("creating {}", show(path))
            }
            Self::Tmpfs { path, .. } | Self::Proc { path } | Self::Terminals { path } => {
                format!("mounting a fresh file system at {}", show(path))
            }
            Self::Bind { path, .. } | Self::Overlay { path, .. } | Self::Layered { path, .. } => {
                format!("mounting {}", show(path))
            }
            Self::Detach { path } => format!("detaching {}", show(path)),
        }
    }
}

/// Which step failed.
pub(super) struct StepFailure {
    pub(super) index: u16,
    pub(super) errno: Errno,
}

/// What a finished view could not have: one bit for each overlay that became read-only.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ViewReport {
    pub(super) overlays_refused: u64,
}

/// Size of the root itself: folders, links and mount points only.
const ROOT_SIZE: &CStr = c"4m";

/// Builds the view and makes it the root. Called in the child, in its own mount namespace.
pub(super) fn build_view(workspace: &CStr, steps: &[Step]) -> Result<ViewReport, StepFailure> {
    let at = |index: usize| move |errno| StepFailure { index: u16::try_from(index).unwrap_or(u16::MAX), errno };
    let whole = at(usize::from(u16::MAX));
    syscall::make_all_private().map_err(whole)?;
    let workspace = syscall::openat(libc::AT_FDCWD, workspace, libc::O_PATH | libc::O_DIRECTORY, 0).map_err(whole)?;
    let root = fresh_tmpfs(ROOT_SIZE, c"0755").map_err(whole)?;
    // Attached over the old root; paths from "/" still start below it, so sources stay in reach.
    syscall::move_mount_to_path(root, c"/").map_err(whole)?;
    let mut builder = Builder { root, workspace, report: ViewReport::default() };
    for (index, step) in steps.iter().enumerate() {
        builder.carry_out(step).map_err(at(index))?;
    }
    let report = builder.report;
    finish(root, workspace).map_err(whole)?;
    Ok(report)
}

fn finish(root: c_int, workspace: c_int) -> Answer<()> {
    syscall::mount_setattr(root, Depth::One, RDONLY)?;
    syscall::fchdir(root)?;
    syscall::pivot_here()?;
    syscall::chdir(c"/")?;
    syscall::close(root);
    syscall::close(workspace);
    Ok(())
}

fn fresh_tmpfs(size: &CStr, mode: &CStr) -> Answer<c_int> {
    let context = syscall::fsopen(c"tmpfs")?;
    syscall::fsconfig_string(context, c"size", size)?;
    syscall::fsconfig_string(context, c"mode", mode)?;
    make(context, NOSUID | NODEV)
}

fn make(context: c_int, attributes: u64) -> Answer<c_int> {
    syscall::fsconfig_create(context)?;
    let mount = syscall::fsmount(context, attributes)?;
    syscall::close(context);
    Ok(mount)
}

struct Builder {
    root: c_int,
    workspace: c_int,
    report: ViewReport,
}

impl Builder {
    fn carry_out(&mut self, step: &Step) -> Answer<()> {
        match step {
            Step::Folder { path, mode } => match syscall::mkdirat(self.root, path, *mode) {
                Err(Errno(libc::EEXIST)) => Ok(()),
                answer => answer,
            },
            Step::File { path, mode, content } => self.file(path, *mode, content),
            Step::Link { path, target } => syscall::symlinkat(target, self.root, path),
            Step::Tmpfs { path, size } => self.attach(fresh_tmpfs(size, c"0755")?, path),
            Step::Proc { path } => {
                let context = syscall::fsopen(c"proc")?;
                // What cannot be traced is not shown: the keeper's command line is the supervisor's.
                syscall::fsconfig_string(context, c"hidepid", c"ptraceable")?;
                self.attach(make(context, RDONLY | NOSUID | NODEV | NOEXEC)?, path)
            }
            Step::Terminals { path } => {
                let context = syscall::fsopen(c"devpts")?;
                syscall::fsconfig_string(context, c"ptmxmode", c"0666")?;
                syscall::fsconfig_string(context, c"mode", c"0620")?;
                self.attach(make(context, NOSUID | NOEXEC)?, path)
            }
            Step::Bind { source, path, depth, attributes } => {
                let mount = self.open_source(source)?;
                syscall::mount_setattr(mount, *depth, *attributes)?;
                self.attach(mount, path)
            }
            Step::Overlay { source, upper, work, path, number } => {
                let lower = syscall::openat(libc::AT_FDCWD, source, libc::O_PATH | libc::O_DIRECTORY, 0)?;
                let overlay = self.overlay(lower, (self.root, upper), (self.root, work));
                syscall::close(lower);
                if let Ok(mount) = overlay {
                    return self.attach(mount, path);
                }
                self.report.overlays_refused |= 1_u64.checked_shl(u32::from(*number)).unwrap_or(0);
                let mount = syscall::open_tree_clone(libc::AT_FDCWD, source)?;
                syscall::mount_setattr(mount, Depth::Tree, RDONLY | NOSUID | NODEV)?;
                self.attach(mount, path)
            }
            Step::Layered { upper, work, path } => {
                let mount = self.overlay(self.workspace, (libc::AT_FDCWD, upper), (libc::AT_FDCWD, work))?;
                self.attach(mount, path)
            }
            Step::Detach { path } => {
                // The root is not the current one yet, so the path goes through its descriptor.
                syscall::fchdir(self.root)?;
                syscall::unmount_detached(path)
            }
        }
    }

    fn file(&self, path: &CStr, mode: u32, content: &[u8]) -> Answer<()> {
        let flags = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_NOFOLLOW;
        let file = syscall::openat(self.root, path, flags, mode)?;
        let written = syscall::write_all(file, content);
        syscall::close(file);
        written
    }

    fn open_source(&self, source: &Source) -> Answer<c_int> {
        match source {
            Source::Outside(path) => syscall::open_tree_clone(libc::AT_FDCWD, path),
            Source::Workspace(path) => {
                let resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS;
                let found = syscall::openat2(self.workspace, path, libc::O_PATH | libc::O_NOFOLLOW, resolve)?;
                let mount = syscall::open_tree_clone(found, c"");
                syscall::close(found);
                mount
            }
            Source::Inside(path) => syscall::open_tree_clone(self.root, path),
        }
    }

    /// Attaches at `path` below the new root, which is reached without links.
    fn attach(&self, mount: c_int, path: &CStr) -> Answer<()> {
        let resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS;
        let target = syscall::openat2(self.root, path, libc::O_PATH | libc::O_NOFOLLOW, resolve)?;
        let attached = syscall::move_mount_to(mount, target);
        syscall::close(target);
        syscall::close(mount);
        attached
    }

    /// An overlay of an open folder, and two that are named from another.
    fn overlay(&self, lower: c_int, upper: (c_int, &CStr), work: (c_int, &CStr)) -> Answer<c_int> {
        let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
        let upper = syscall::openat(upper.0, upper.1, flags, 0)?;
        let work = syscall::openat(work.0, work.1, flags, 0)?;
        let context = syscall::fsopen(c"overlay")?;
        let mut result = Ok(());
        for (key, descriptor) in [(c"lowerdir+", lower), (c"upperdir", upper), (c"workdir", work)] {
            let mut buffer = [0; DESCRIPTOR_PATH_BYTES];
            result =
                result.and_then(|()| syscall::fsconfig_string(context, key, descriptor_path(descriptor, &mut buffer)));
        }
        let mount = result
            .and_then(|()| syscall::fsconfig_flag(context, c"userxattr"))
            .and_then(|()| syscall::fsconfig_create(context))
            .and_then(|()| syscall::fsmount(context, NOSUID | NODEV));
        for descriptor in [upper, work, context] {
            syscall::close(descriptor);
        }
        mount
    }
}

/// Longest `/proc/self/fd/N` and its null byte.
const DESCRIPTOR_PATH_BYTES: usize = 32;

/// Writes the path of an open descriptor without allocating. Bytes that do not fit make a path that does not exist.
fn descriptor_path(descriptor: c_int, buffer: &mut [u8; DESCRIPTOR_PATH_BYTES]) -> &CStr {
    const PREFIX: &[u8] = b"/proc/self/fd/";
    let mut digits = [0_u8; 10];
    let mut rest = descriptor.unsigned_abs();
    let mut count = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        count += 1;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let number = digits.iter().skip(digits.len() - count);
    for (byte, from) in buffer.iter_mut().zip(PREFIX.iter().chain(number)) {
        *byte = *from;
    }
    CStr::from_bytes_until_nul(buffer).unwrap_or(c"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptor_paths_are_exact() {
        for (descriptor, expected) in [
            (0, c"/proc/self/fd/0"),
            (7, c"/proc/self/fd/7"),
            (1030, c"/proc/self/fd/1030"),
            (i32::MAX, c"/proc/self/fd/2147483647"),
        ] {
            let mut buffer = [0; DESCRIPTOR_PATH_BYTES];
            assert_eq!(descriptor_path(descriptor, &mut buffer), expected);
        }
    }
}
