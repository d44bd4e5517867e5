// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of locked memory: what the kernel says of the pages, of forked children, of thousands of values at once.

use std::io::Write as _;

use super::*;
use pages::{PAGE, Pages};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The flags of the mapping that holds `address`, and how much of it is swapped.
fn mapping(address: usize) -> (Vec<String>, String) {
    let text = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut inside = false;
    let mut swap = String::new();
    for line in text.lines() {
        if let Some((start, end)) = line.split(' ').next().and_then(|range| range.split_once('-'))
            && let (Ok(start), Ok(end)) = (usize::from_str_radix(start, 16), usize::from_str_radix(end, 16))
        {
            inside = (start..end).contains(&address);
        }
        if let (true, Some(value)) = (inside, line.strip_prefix("Swap:")) {
            value.trim().clone_into(&mut swap);
        }
        if let (true, Some(flags)) = (inside, line.strip_prefix("VmFlags:")) {
            return (flags.split_whitespace().map(str::to_owned).collect(), swap);
        }
    }
    panic!("no mapping holds the address");
}

/// Runs `child` in a forked copy of this process and gives its exit status.
fn in_a_child(child: impl FnOnce() -> bool) -> i32 {
    // SAFETY: the child only runs `child` and leaves by `_exit`; it takes no lock that another thread may hold, except
    // those that the code under test takes, which is what is tested.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let good = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(false);
        // SAFETY: ends the process.
        unsafe { libc::_exit(if good { 0 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: `status` is writable; the child is ours.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    status
}

#[test]
fn keeps_compares_and_never_prints() {
    let mut value = Locked::copy_of(b"hunter2").unwrap();
    assert!(value.equals(b"hunter2") && !value.equals(b"hunter3") && !value.equals(b"hunter"));
    value.expose_mut()[0] = b'H';
    assert_eq!((value.expose(), format!("{value:?}").as_str()), (&b"Hunter2"[..], "[secret]"));
    assert!(value.try_clone().unwrap().equals(b"Hunter2"));
    assert!(Locked::zeroed(0).unwrap().is_empty());
    assert!(matches!(Locked::zeroed(LOCKED_MAX + 1), Err(LockedError::TooLong { .. })));
    let (one, other) = (Locked::random(32).unwrap(), Locked::random(32).unwrap());
    assert!(!one.equals(other.expose()) && !one.equals(&[0; 32]));
}

#[test]
fn places_of_every_length_do_not_overlap_and_begin_as_zeros() {
    let lengths = [0, 1, 63, 64, 65, 127, 128, 129, 500, 1024, 2048, 2049, 4096, 4097, 8192, 70_000, LOCKED_MAX];
    let mut held: Vec<(u8, Locked)> = Vec::new();
    for round in 0..6_u8 {
        for (number, &length) in lengths.iter().enumerate() {
            let mark = round * 32 + u8::try_from(number).unwrap() + 1;
            let mut value = Locked::zeroed(length).unwrap();
            assert!(value.expose().iter().all(|&byte| byte == 0), "{length}: what was there before shows");
            value.expose_mut().fill(mark);
            held.push((mark, value));
        }
        // Every other one is given back, so that the next round gets used places.
        let mut number = 0;
        held.retain(|_| {
            number += 1;
            number % 2 == 0
        });
        assert!(held.iter().all(|(mark, value)| value.expose().iter().all(|byte| byte == mark)), "round {round}");
    }
}

#[test]
fn ten_thousand_values_stay_below_what_a_user_may_lock() {
    let before = locked_bytes();
    let values: Vec<Locked> = (0..10_000_u32).map(|n| Locked::copy_of(&n.to_le_bytes().repeat(12)).unwrap()).collect();
    assert!(values.iter().enumerate().all(|(n, value)| value.expose()[..4] == u32::try_from(n).unwrap().to_le_bytes()));
    assert!(locked_bytes() - before.min(locked_bytes()) < 2 * 1024 * 1024, "{}", locked_bytes());
    drop(values);
    assert!(locked_bytes() < 4 * 1024 * 1024, "what is free is given back: {}", locked_bytes());
}

#[test]
fn threads_share_the_places() {
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            scope.spawn(move || {
                let mut held = Vec::new();
                for round in 0..2000_usize {
                    held.push(Locked::copy_of(&[thread; 100][..round % 100]).unwrap());
                    if round % 3 == 0 {
                        held.swap_remove(round % held.len());
                    }
                }
                assert!(held.iter().all(|value| value.expose().iter().all(|&byte| byte == thread)));
            });
        }
    });
}

#[test]
fn deny_swap_and_dumps_as_the_kernel_tells() {
    for protection in [Protection::SecretMemory, Protection::LockedPages] {
        let pages = match Pages::of(PAGE, protection) {
            Ok(pages) => pages,
            Err(error) => {
                eprintln!("skipped {protection:?}: {error}");
                continue;
            }
        };
        pages.reach();
        // SAFETY: the payload is writable and a page long.
        unsafe { pages.payload().write_bytes(7, PAGE) };
        let (flags, swap) = mapping(pages.payload().as_ptr() as usize);
        let has = |flag: &str| flags.iter().any(|found| found == flag);
        assert!(has("lo") && has("dd") && swap.starts_with('0'), "{protection:?}: {flags:?} {swap}");
        assert!(has("dc") || has("wf"), "{protection:?}: {flags:?}: left out of forked children");
        let status = in_a_child(|| {
            pages.reach();
            // SAFETY: the payload is readable and a page long.
            unsafe { std::slice::from_raw_parts(pages.payload().as_ptr(), PAGE) }.iter().all(|&byte| byte == 0)
        });
        assert_eq!(status, 0, "{protection:?}: a forked child sees zeros");
        for beside in [-1_isize, PAGE.cast_signed()] {
            let (flags, _) = mapping(pages.payload().as_ptr().wrapping_offset(beside) as usize);
            assert!(
                !flags.iter().any(|flag| flag == "rd" || flag == "wr"),
                "{protection:?}: a page that nobody can touch"
            );
        }
    }
}

/// Has a forked child dump its core in `folder` after `child`; the core, or `None` where none is written here.
fn core_of_a_child(folder: &std::path::Path, child: impl FnOnce()) -> Option<Vec<u8>> {
    let path = std::ffi::CString::new(folder.to_str().unwrap()).unwrap();
    let status = in_a_child(|| {
        let limit = getrlimit(Resource::Core);
        setrlimit(Resource::Core, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
        // SAFETY: the path is a C string.
        assert_eq!(unsafe { libc::chdir(path.as_ptr()) }, 0);
        child();
        // SAFETY: the default action of the signal; ends the process.
        unsafe {
            libc::signal(libc::SIGQUIT, libc::SIG_DFL);
            libc::kill(libc::getpid(), libc::SIGQUIT);
        }
        false
    });
    if !libc::WCOREDUMP(status) {
        return None;
    }
    let mut files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .find(|path| path.file_name().unwrap().to_string_lossy().starts_with("core"))
        .map(|path| std::fs::read(path).unwrap())
}

/// What the kernel says of a mapping is one thing; a core that it wrote is another. The mark shows that a page is in it.
#[test]
fn deny_values_in_the_core_of_a_forked_child() {
    const VALUE: [u8; 64] = *b"a value that stands in locked pages of the parent, and only here";
    const MARK: [u8; 64] = *b"a mark that the child itself has put where its parent had a val.";
    for (protection, is_dumped) in
        [(Protection::LockedPages, false), (Protection::LockedPages, true), (Protection::SecretMemory, false)]
    {
        let Ok(pages) = Pages::of(PAGE, protection) else {
            eprintln!("skipped {protection:?}: this kernel has none");
            continue;
        };
        pages.reach();
        // Byte by byte, so that they stand together nowhere else.
        let write = |at: usize, bytes: &[u8; 64]| {
            for (offset, byte) in bytes.iter().enumerate() {
                // SAFETY: the payload is writable and a page long, and both places lie in it.
                unsafe { pages.payload().add(at + offset).write_volatile(byte ^ 0x55) };
            }
        };
        write(0, &VALUE);
        let folder = tempfile::tempdir().unwrap();
        let core = core_of_a_child(folder.path(), || {
            pages.reach();
            if is_dumped {
                // SAFETY: the range is the payload; it only becomes part of a dump.
                assert_eq!(unsafe { libc::madvise(pages.payload().as_ptr().cast(), PAGE, libc::MADV_DODUMP) }, 0);
            }
            // The second half of the page, so that a value in the first one would stay.
            write(PAGE / 2, &MARK);
        });
        let Some(core) = core else {
            eprintln!("skipped: core dumps go elsewhere or nowhere here");
            return;
        };
        let holds = |bytes: [u8; 64]| {
            let bytes = bytes.map(|byte| byte ^ 0x55);
            core.windows(64).any(|window| window == bytes)
        };
        assert!(!holds(VALUE), "{protection:?}: a value of the parent is in the core of its child");
        assert_eq!(holds(MARK), is_dumped, "{protection:?}: the page is in the core only where that was asked for");
    }
}

#[test]
fn deny_a_forked_child_the_value() {
    let value = Locked::copy_of(b"planted").unwrap();
    let long = Locked::copy_of(&[9; 3 * PAGE]).unwrap();
    let status = in_a_child(|| value.expose() == [0; 7] && long.expose().iter().all(|&byte| byte == 0));
    assert_eq!(status, 0, "the child sees zeros");
    assert!(value.equals(b"planted") && long.equals(&[9; 3 * PAGE]), "the parent sees its own");
}

#[test]
fn a_forked_child_can_hold_values_of_its_own_and_drop_inherited_ones() {
    let inherited = Locked::copy_of(b"planted").unwrap();
    let untouched = Locked::copy_of(&[9; 3 * PAGE]).unwrap();
    let status = in_a_child(move || {
        let own = Locked::copy_of(b"of the child").unwrap();
        drop((inherited, untouched));
        let more: Vec<Locked> = (0..500).map(|_| Locked::copy_of(&[3; 200]).unwrap()).collect();
        let nested = in_a_child(|| own.expose() == [0; 12] && more[499].expose() == [0; 200]);
        nested == 0 && own.equals(b"of the child") && more.iter().all(|value| value.equals(&[3; 200]))
    });
    assert_eq!(status, 0);
}

#[test]
fn a_place_is_wiped_before_it_is_given_back() {
    let value = Locked::copy_of(&[0x5a; 4096]).unwrap();
    let _neighbour = Locked::copy_of(&[1; 4096]).unwrap();
    let address = value.expose().as_ptr();
    drop(value);
    let again: Vec<Locked> = (0..64).map(|_| Locked::zeroed(4096).unwrap()).collect();
    let same = again.iter().find(|value| std::ptr::eq(value.expose().as_ptr(), address));
    assert!(same.is_none_or(|value| value.expose().iter().all(|&byte| byte == 0)));
}

#[test]
fn a_descriptor_is_read_to_its_end_and_no_further_than_the_limit() {
    let given = |bytes: &[u8], limit: usize| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        Locked::read_from(&file, limit)
    };
    for length in [0, 1, 4095, 4096, 4097, 10_000, 100_000] {
        let bytes: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
        for limit in [length, length + 1, LOCKED_MAX - 1] {
            assert!(given(&bytes, limit).unwrap().equals(&bytes), "{length} {limit}");
        }
        if length > 0 {
            assert!(matches!(given(&bytes, length - 1), Err(LockedError::OverLimit { .. })), "{length}");
        }
    }
    assert!(matches!(given(&vec![1; LOCKED_MAX + 5], usize::MAX), Err(LockedError::OverLimit { .. })));
    let folder = std::fs::File::open("/").unwrap();
    assert!(matches!(Locked::read_from(folder, 10), Err(LockedError::Read(_))));
}

#[test]
fn one_line_end_is_taken_off() {
    for (given, expected) in [
        ("a\n", "a"),
        ("a\r\n", "a"),
        ("a\n\n", "a\n"),
        ("a", "a"),
        ("\n", ""),
        ("", ""),
        ("a\r", "a\r"),
        (" a \n", " a "),
    ] {
        let mut value = Locked::copy_of(given.as_bytes()).unwrap();
        value.trim_line_end();
        assert_eq!(value.expose(), expected.as_bytes(), "{given:?}");
    }
    let mut value = Locked::copy_of(b"planted").unwrap();
    value.truncate(9);
    value.truncate(2);
    assert!(value.equals(b"pl"));
}
