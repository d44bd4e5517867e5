// SPDX-License-Identifier: MIT OR Apache-2.0
//! Giving up rights: capabilities, `no_new_privs`, Landlock, seccomp.
//!
//! In: rules and filters that were prepared before. Out: the kernel's word that they hold from now on.
//!
//! **Invariant:** nothing here can be undone by the process that called it.

use std::ffi::{c_int, c_long};

use super::{Answer, Errno, check, check_int, check_unit};

fn prctl(option: c_int, arguments: [libc::c_ulong; 4]) -> Answer<c_long> {
    let [a, b, c, d] = arguments;
    // SAFETY: only options that take numbers are passed by this module.
    check(unsafe { libc::syscall(libc::SYS_prctl, option, a, b, c, d) })
}

/// Signal that this process gets when the thread that started it ends.
pub(crate) fn die_with_parent() -> Answer<()> {
    prctl(libc::PR_SET_PDEATHSIG, [libc::SIGKILL as libc::c_ulong, 0, 0, 0]).map(|_| ())
}

/// This process goes on when the thread that started it ends.
pub(crate) fn live_without_parent() -> Answer<()> {
    prctl(libc::PR_SET_PDEATHSIG, [0; 4]).map(|_| ())
}

/// No core, no tracing by equals, files in /proc belong to root.
pub(crate) fn forbid_dump() -> Answer<()> {
    prctl(libc::PR_SET_DUMPABLE, [0; 4]).map(|_| ())
}

/// Equals may trace this process.
pub(crate) fn allow_dump() -> Answer<()> {
    prctl(libc::PR_SET_DUMPABLE, [1, 0, 0, 0]).map(|_| ())
}

/// Whether equals may trace this process.
pub(crate) fn may_be_dumped() -> Answer<bool> {
    prctl(libc::PR_GET_DUMPABLE, [0; 4]).map(|state| state == 1)
}

/// Orphans below this process become its children.
pub(crate) fn adopt_orphans() -> Answer<()> {
    prctl(libc::PR_SET_CHILD_SUBREAPER, [1, 0, 0, 0]).map(|_| ())
}

pub(crate) fn set_no_new_privileges() -> Answer<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, [1, 0, 0, 0]).map(|_| ())
}

/// A system call that the filter must refuse: what it answers when called with arguments that do nothing.
pub(crate) fn try_forbidden(number: c_long, first: libc::c_ulong) -> Answer<()> {
    let zero: libc::c_ulong = 0;
    // SAFETY: the callers pass calls whose pointers are all null here, so the kernel touches no memory of ours.
    check_unit(unsafe { libc::syscall(number, first, zero, zero, zero, zero, zero) })
}

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapabilityData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
/// Highest capability number that any kernel may know; the loop ends earlier with EINVAL.
const CAPABILITY_MAX: libc::c_ulong = 63;

/// Empties the bounding set (where that is allowed), then the ambient, effective, permitted and inheritable ones.
pub(crate) fn drop_capabilities() -> Answer<()> {
    for capability in 0..=CAPABILITY_MAX {
        match prctl(libc::PR_CAPBSET_DROP, [capability, 0, 0, 0]) {
            Ok(_) => {}
            // EINVAL: past the last one. EPERM: without CAP_SETPCAP there is nothing that could be gained either,
            // because `no_new_privs` follows; the probe reads the sets back.
            Err(Errno(libc::EINVAL | libc::EPERM)) => break,
            Err(errno) => return Err(errno),
        }
    }
    prctl(libc::PR_CAP_AMBIENT, [libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong, 0, 0, 0])?;
    let header = CapabilityHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    let none = [CapabilityData::default(); 2];
    // SAFETY: version 3 takes two data structures; both arguments outlive the call.
    check_unit(unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) })
}

/// The rights that a Landlock ruleset handles.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LandlockHandled {
    pub(crate) files: u64,
    pub(crate) network: u64,
    pub(crate) scopes: u64,
}

/// The Landlock ABI of the running kernel.
pub(crate) fn landlock_abi() -> Answer<u32> {
    const VERSION: c_long = 1;
    // SAFETY: the attribute is null and its size 0, as the version query wants.
    check_int(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION) })
        .map(i32::unsigned_abs)
}

pub(crate) fn landlock_create(handled: &LandlockHandled) -> Answer<c_int> {
    // An older kernel takes a longer structure as long as what it does not know is zero.
    // SAFETY: `handled` outlives the call and the size is its own.
    check_int(unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::from_ref(handled),
            size_of::<LandlockHandled>(),
            0 as c_long,
        )
    })
}

pub(crate) fn landlock_allow(ruleset: c_int, path: c_int, files: u64) -> Answer<()> {
    #[repr(C, packed)]
    struct PathBeneath {
        allowed: u64,
        parent: i32,
    }
    const RULE_PATH_BENEATH: c_long = 1;
    let rule = PathBeneath { allowed: files, parent: path };
    // SAFETY: `rule` outlives the call and is laid out as the kernel wants it.
    check_unit(unsafe {
        libc::syscall(libc::SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &raw const rule, 0 as c_long)
    })
}

pub(crate) fn landlock_restrict(ruleset: c_int) -> Answer<()> {
    // SAFETY: no memory is passed.
    check_unit(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset, 0 as c_long) })
}

/// One instruction of a seccomp filter, laid out as `struct sock_filter`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Instruction {
    pub(crate) code: u16,
    pub(crate) if_true: u8,
    pub(crate) if_false: u8,
    pub(crate) value: u32,
}

/// Installs a filter; `no_new_privs` has to be set.
pub(crate) fn install_filter(program: &[Instruction]) -> Answer<()> {
    install_filter_with(program, 0).map(|_| ())
}

/// The same with flags; the answer is what these ask for.
pub(super) fn install_filter_with(program: &[Instruction], flags: libc::c_ulong) -> Answer<c_int> {
    #[repr(C)]
    struct Program {
        length: u16,
        filter: *const Instruction,
    }
    let Ok(length) = u16::try_from(program.len()) else {
        return Err(Errno(libc::E2BIG));
    };
    let fprog = Program { length, filter: program.as_ptr() };
    // SAFETY: `fprog` and the instructions outlive the call.
    check_int(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const fprog) })
}

/// Whether the kernel takes filters that answer with an error number.
pub(crate) fn filter_available() -> bool {
    let action = libc::SECCOMP_RET_ERRNO;
    // SAFETY: `action` outlives the call, which only reads it.
    let answer =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0 as c_long, &raw const action) };
    check_unit(answer).is_ok()
}
