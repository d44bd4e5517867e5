// SPDX-License-Identifier: MIT OR Apache-2.0
//! Giving back memory that only the start needed.
//!
//! In: nothing. Out: pages of this program's own file that are no longer mapped until they are used again.
//!
//! **Invariant:** only pages that are backed by the file and were never written are given back, so nothing is lost.

use super::{Answer, check_unit};

// Where the linker has put this program: read-only data, then code.
unsafe extern "C" {
    static __executable_start: u8;
    static etext: u8;
}

/// Unmaps the pages of read-only data and code until they are used again.
pub(crate) fn forget_code() -> Answer<()> {
    const PAGE: usize = 4096;
    let start = (&raw const __executable_start).addr();
    let length = (&raw const etext).addr().saturating_sub(start) / PAGE * PAGE;
    // SAFETY: the range holds this program's read-only data and code, mapped privately from its file and never written:
    // the kernel reads what is needed from the file again, also the page of this very call.
    check_unit(unsafe { libc::madvise(start as *mut libc::c_void, length, libc::MADV_DONTNEED) }.into())
}
