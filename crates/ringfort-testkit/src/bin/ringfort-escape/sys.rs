// SPDX-License-Identifier: MIT OR Apache-2.0
//! System calls by hand: the only place of the hostile program with `unsafe`.
//!
//! In: a number and words. Out: the answer, or the error number.
//!
//! **Invariant:** a pointer that goes into a call belongs to a buffer that outlives it; [`call`] is for callers that
//! keep this, and the wrappers below do.
#![expect(unsafe_code, reason = "a hostile program makes system calls that no library offers")]

use std::ffi::{CString, c_int, c_long, c_void};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn fork() -> c_int;
    fn _exit(status: c_int) -> !;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn mmap(at: *mut c_void, length: usize, access: c_int, flags: c_int, file: c_int, offset: i64) -> *mut c_void;
    fn signal(number: c_int, handler: usize) -> usize;
    fn chroot(path: *const std::ffi::c_char) -> c_int;
}

macro_rules! numbers {
    ($($name:ident = $x86:literal, $arm:literal;)*) => {$(
        pub(crate) const $name: c_long = if cfg!(target_arch = "x86_64") { $x86 } else { $arm };
    )*};
}

numbers! {
    IOCTL = 16, 29; SHMGET = 29, 194; SHMAT = 30, 196; SHMCTL = 31, 195; SOCKET = 41, 198; CONNECT = 42, 203;
    SENDTO = 44, 206; RECVFROM = 45, 207; SOCKETPAIR = 53, 199; CLONE = 56, 220;
    SEMGET = 64, 190; SEMCTL = 66, 191; MSGGET = 68, 186; MSGSND = 69, 189; MSGRCV = 70, 188; MSGCTL = 71, 187;
    FCNTL = 72, 25; TRUNCATE = 76, 45; PTRACE = 101, 117; SYSLOG = 103, 116; SETREUID = 113, 145; SETGROUPS = 116, 159;
    SETRESUID = 117, 147; CAPSET = 126, 91; RT_SIGQUEUEINFO = 129, 138; PERSONALITY = 135, 92; SETPRIORITY = 141, 140;
    SCHED_SETSCHEDULER = 144, 119; PIVOT_ROOT = 155, 41; PRCTL = 157, 167; ADJTIMEX = 159, 171;
    ACCT = 163, 89; SETTIMEOFDAY = 164, 170; MOUNT = 165, 40; UMOUNT2 = 166, 39; SWAPON = 167, 224; REBOOT = 169, 142;
    SETHOSTNAME = 170, 161; INIT_MODULE = 175, 105; QUOTACTL = 179, 60; SETXATTR = 188, 5; GETXATTR = 191, 8;
    TKILL = 200, 130; SCHED_SETAFFINITY = 203, 122; TGKILL = 234, 131; MBIND = 237, 235; MQ_OPEN = 240, 180;
    MQ_UNLINK = 241, 181; MQ_TIMEDSEND = 242, 182; MQ_TIMEDRECEIVE = 243, 183; KEXEC_LOAD = 246, 104;
    ADD_KEY = 248, 217; REQUEST_KEY = 249, 218; KEYCTL = 250, 219; IOPRIO_SET = 251, 30; IOPRIO_GET = 252, 31;
    INOTIFY_ADD_WATCH = 254, 27; MIGRATE_PAGES = 256, 238; OPENAT = 257, 56; MKNODAT = 259, 33; LINKAT = 265, 37;
    UNSHARE = 272, 97; MOVE_PAGES = 279, 239; UTIMENSAT = 280, 88; FALLOCATE = 285, 47; INOTIFY_INIT1 = 294, 26;
    PERF_EVENT_OPEN = 298, 241; FANOTIFY_INIT = 300, 262; PRLIMIT = 302, 261; NAME_TO_HANDLE_AT = 303, 264;
    OPEN_BY_HANDLE_AT = 304, 265; SETNS = 308, 268; PROCESS_VM_READV = 310, 270; PROCESS_VM_WRITEV = 311, 271;
    KCMP = 312, 272; FINIT_MODULE = 313, 273; RENAMEAT2 = 316, 276; MEMFD_CREATE = 319, 279;
    BPF = 321, 280; USERFAULTFD = 323, 282; COPY_FILE_RANGE = 326, 285; CLOCK_SETTIME = 227, 112;
    PIDFD_SEND_SIGNAL = 424, 424; IO_URING_SETUP = 425, 425; IO_URING_ENTER = 426, 426; OPEN_TREE = 428, 428;
    MOVE_MOUNT = 429, 429; FSOPEN = 430, 430; FSPICK = 433, 433; PIDFD_OPEN = 434, 434; CLONE3 = 435, 435;
    OPENAT2 = 437, 437; PIDFD_GETFD = 438, 438; PROCESS_MADVISE = 440, 440; MOUNT_SETATTR = 442, 442;
    QUOTACTL_FD = 443, 443; FCHMODAT2 = 452, 452;
    KILL = 62, 129; GETPID = 39, 172; PROCESS_MRELEASE = 448, 448;
    LSM_SET_SELF_ATTR = 460, 460; SETSID = 112, 157; SENDMSG = 46, 211;
}

/// An error number of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i32);

impl std::fmt::Display for Errno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", io::Error::from_raw_os_error(self.0))
    }
}

pub(crate) const EPERM: i32 = 1;
pub(crate) const EACCES: i32 = 13;
pub(crate) const ENOSYS: i32 = 38;

pub(crate) type Answer = Result<usize, Errno>;

fn last_error() -> Errno {
    Errno(io::Error::last_os_error().raw_os_error().unwrap_or(0))
}

/// Makes one call. Words that are addresses belong to buffers of the caller.
pub(crate) fn call<const N: usize>(number: c_long, words: [usize; N]) -> Answer {
    let mut all = [0usize; 6];
    for (to, from) in all.iter_mut().zip(words) {
        *to = from;
    }
    let [a, b, c, d, e, f] = all;
    // SAFETY: the callers pass plain numbers and addresses of buffers that they own across the call.
    let answer = unsafe { syscall(number, a, b, c, d, e, f) };
    if answer == -1 { Err(last_error()) } else { Ok(answer.cast_unsigned() as usize) }
}

/// A path as the kernel wants it.
pub(crate) fn c(path: impl AsRef<Path>) -> CString {
    CString::new(path.as_ref().as_os_str().as_bytes()).unwrap_or_default()
}

/// The address of a path for [`call`]; the string must outlive the call.
pub(crate) fn at(text: &CString) -> usize {
    text.as_ptr() as usize
}

/// The address of bytes for [`call`]; they must outlive the call.
pub(crate) fn address(bytes: &[u8]) -> usize {
    bytes.as_ptr() as usize
}

/// The address of bytes that the kernel writes.
pub(crate) fn address_mut(bytes: &mut [u8]) -> usize {
    bytes.as_mut_ptr() as usize
}

/// `AT_FDCWD` as a word.
pub(crate) const HERE: usize = -100_isize as usize;
/// A descriptor that is none.
pub(crate) const NONE: usize = usize::MAX;

/// A copy of this process; 0 in the copy.
pub(crate) fn split() -> Result<i32, Errno> {
    // SAFETY: the copy makes calls and ends by `end`; locks of other threads are not taken by what it uses.
    match unsafe { fork() } {
        -1 => Err(last_error()),
        pid => Ok(pid),
    }
}

/// Ends this process at once.
pub(crate) fn end(status: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { _exit(status) }
}

/// Waits for a child; with `look` only looks. `None` while it runs.
pub(crate) fn wait(pid: i32, look: bool) -> Option<i32> {
    let mut status = 0;
    // SAFETY: the status is ours.
    let answer = unsafe { waitpid(pid, &raw mut status, c_int::from(look)) };
    (answer != 0).then_some(status)
}

/// Ignores a signal.
pub(crate) fn ignore_signal(number: i32) {
    const IGNORE: usize = 1;
    // SAFETY: no handler of ours runs.
    unsafe { signal(number, IGNORE) };
}

/// Maps a file and copies what is there; with `write` puts bytes there first.
pub(crate) fn mapped(file: RawFd, length: usize, write: Option<&[u8]>) -> Result<Vec<u8>, Errno> {
    let access = if write.is_some() { 3 } else { 1 };
    // SAFETY: a fresh mapping of `length` bytes; it is used within and never freed while used.
    unsafe {
        let place = mmap(std::ptr::null_mut(), length, access, 1, file, 0);
        if place.addr() == usize::MAX {
            return Err(last_error());
        }
        if let Some(bytes) = write {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), place.cast(), bytes.len().min(length));
        }
        let mut content = vec![0u8; length];
        std::ptr::copy_nonoverlapping(place.cast(), content.as_mut_ptr(), length);
        Ok(content)
    }
}

/// Attaches a System V segment and copies `length` bytes; with `write` puts bytes there first.
pub(crate) fn shared_segment(id: usize, length: usize, write: Option<&[u8]>) -> Result<Vec<u8>, Errno> {
    let place = call(SHMAT, [id, 0, 0])? as *mut u8;
    // SAFETY: the segment was made with at least `length` bytes, and stays attached.
    unsafe {
        if let Some(bytes) = write {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len().min(length));
        }
        let mut content = vec![0u8; length];
        std::ptr::copy_nonoverlapping(place, content.as_mut_ptr(), length);
        Ok(content)
    }
}

/// Reads `length` bytes of our own memory at an address that was given to others.
pub(crate) fn own_memory(address: usize, length: usize) -> Vec<u8> {
    (0..length)
        // SAFETY: the address is that of a buffer that is never freed.
        .map(|offset| unsafe { std::ptr::read_volatile((address + offset) as *const u8) })
        .collect()
}

/// `getpid` by the entry for 32-bit programs.
#[cfg(target_arch = "x86_64")]
pub(crate) fn getpid_32() -> i32 {
    let answer: i32;
    // SAFETY: number 20 is `getpid` there, which takes nothing and changes only the answer's register.
    unsafe {
        std::arch::asm!("int 0x80", inlateout("eax") 20 => answer, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    answer
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn getpid_32() -> i32 {
    -ENOSYS
}

/// Asks `io_uring` to open a file and to read it: the kernel's own thread or context does both.
pub(crate) fn read_by_ring(path: &Path) -> Result<Vec<u8>, Errno> {
    let mut parameters = [0u32; 30];
    let ring = call(IO_URING_SETUP, [4, parameters.as_mut_ptr() as usize])?;
    let word = |index: usize| parameters.get(index).copied().unwrap_or(0) as usize;
    let (sq_tail, sq_mask, sq_array) = (word(11), word(12), word(16));
    let (cq_head, cq_mask, cqes) = (word(20), word(22), word(25));
    let ring_file = c_int::try_from(ring).unwrap_or(-1);
    let name = c(path);
    let mut content = vec![0u8; 4096];
    // SAFETY: three mappings of the ring as its parameters say; sizes are generous and indices masked by the kernel's.
    unsafe {
        let sq = mmap(std::ptr::null_mut(), 8192, 3, 1, ring_file, 0).cast::<u8>();
        let cq = mmap(std::ptr::null_mut(), 8192, 3, 1, ring_file, 0x800_0000).cast::<u8>();
        let entries = mmap(std::ptr::null_mut(), 4096, 3, 1, ring_file, 0x1000_0000).cast::<u8>();
        if [sq, cq, entries].iter().any(|place| place.addr() == usize::MAX) {
            return Err(last_error());
        }
        let submit = |entry: [u64; 8]| -> Result<i32, Errno> {
            let tail = sq.add(sq_tail).cast::<u32>();
            let index = tail.read_volatile() & sq.add(sq_mask).cast::<u32>().read_volatile();
            entries.add(index as usize * 64).cast::<[u64; 8]>().write_volatile(entry);
            sq.add(sq_array).cast::<u32>().add(index as usize).write_volatile(index);
            tail.write_volatile(tail.read_volatile().wrapping_add(1));
            call(IO_URING_ENTER, [ring, 1, 1, 1, 0, 0])?;
            let head = cq.add(cq_head).cast::<u32>();
            let done = head.read_volatile() & cq.add(cq_mask).cast::<u32>().read_volatile();
            let result = cq.add(cqes + done as usize * 16 + 8).cast::<i32>().read_volatile();
            head.write_volatile(head.read_volatile().wrapping_add(1));
            if result < 0 { Err(Errno(-result)) } else { Ok(result) }
        };
        // Opcode 18 opens at a folder, 22 reads; the descriptor stands in the upper half of the first word.
        let open_word = 18 | (0xffff_ff9c_u64 << 32);
        let file = submit([open_word, 0, at(&name) as u64, 0, 0, 0, 0, 0])?;
        let read_word = 22 | (u64::from(file.cast_unsigned()) << 32);
        let length = submit([read_word, 0, content.as_mut_ptr() as u64, 4096, 0, 0, 0, 0])?;
        content.truncate(usize::try_from(length).unwrap_or(0));
    }
    Ok(content)
}

/// The classic way out of a changed root: keep a descriptor outside, then climb.
pub(crate) fn change_root(path: &Path) -> Result<(), Errno> {
    let path = c(path);
    // SAFETY: the path outlives the call.
    if unsafe { chroot(path.as_ptr()) } == -1 { Err(last_error()) } else { Ok(()) }
}

/// Sends bytes with open files.
pub(crate) fn send_files(socket: usize, bytes: &[u8], files: &[i32]) -> Answer {
    let length = files.len() * 4;
    let mut control: Vec<u64> = vec![0; 2 + length.div_ceil(8)];
    if let [size, kind, ..] = control.as_mut_slice() {
        *size = 16 + length as u64;
        // SOL_SOCKET and SCM_RIGHTS, both 1.
        *kind = 1 | 1 << 32;
    }
    // SAFETY: the buffer has room for a head of 16 bytes and all numbers.
    unsafe {
        let place = control.as_mut_ptr().add(2).cast::<i32>();
        std::ptr::copy_nonoverlapping(files.as_ptr(), place, files.len());
    }
    let part = [bytes.as_ptr() as usize, bytes.len()];
    let (at, size) = if files.is_empty() { (0, 0) } else { (control.as_ptr() as usize, 16 + length) };
    let message = [0, 0, part.as_ptr() as usize, 1, at, size, 0];
    call(SENDMSG, [socket, message.as_ptr() as usize, 0])
}

/// Takes what is there from a socket, without files.
pub(crate) fn receive(socket: usize, room: usize) -> Result<Vec<u8>, Errno> {
    const DO_NOT_WAIT: usize = 0x40;
    let mut bytes = vec![0u8; room];
    let length = call(RECVFROM, [socket, address_mut(&mut bytes), room, DO_NOT_WAIT, 0, 0])?;
    bytes.truncate(length);
    Ok(bytes)
}

/// Lets go of an answer that changes nothing.
pub(crate) fn quietly<T, E>(_: Result<T, E>) {}
