// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading what lies outside the workspace, by every way to open a file.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{Attempt, Outcome, READ, answer, effect, leak, leak_file, names, opens, reaches, shown, word};
use crate::scene::Scene;
use crate::sys;

#[rustfmt::skip]
pub(crate) static ATTEMPTS: &[Attempt] = &[
    effect(1, "reads a file outside by its path", |s| leak(s.outside.join("secret"))),
    effect(2, "reads a file of the home", |s| leak(s.home.join("notes.txt"))),
    effect(3, "reads a private key", |s| leak(s.home.join(".ssh/id_ed25519"))),
    effect(4, "reads the credentials of a cloud", |s| leak(s.home.join(".aws/credentials"))),
    effect(5, "reads the history of a shell", |s| leak(s.home.join(".bash_history"))),
    effect(6, "reads the token of a package manager", |s| leak(s.home.join(".npmrc")).or_else(|_| leak(s.home.join(".cargo/credentials.toml")))),
    effect(7, "reads the cookies of a browser", |s| leak(s.home.join(".mozilla/firefox/cookies.sqlite"))),
    effect(8, "climbs by dots from the workspace", |s| leak(s.work.join("../../outside/secret"))),
    effect(9, "climbs folder by folder, then reads relative to where it is", climb),
    effect(10, "reads through /proc/self/root", |s| leak(PathBuf::from(format!("/proc/self/root{}", s.outside.display())).join("secret"))),
    effect(11, "reads through /proc/self/cwd and dots", |_| leak("/proc/self/cwd/../../outside/secret")),
    effect(12, "lists a folder outside", |s| names(&s.outside)),
    effect(13, "lists the home", |s| names(&s.home)),
    effect(14, "looks through every folder in view for secrets", search),
    effect(15, "maps a file outside into memory", |s| { let file = File::open(s.outside.join("secret"))?; Ok(shown(&sys::mapped(file.as_raw_fd(), 4096, None)?)) }),
    effect(16, "runs a program outside, which tells", |s| told(Command::new(s.outside.join("tool")))),
    effect(17, "has the kernel copy a file outside into the workspace", copy_in_kernel),
    effect(18, "opens a file outside relative to a handle of its folder", |s| { let folder = File::open(&s.outside)?; let name = sys::c("secret"); let file = sys::call(sys::OPENAT, [word(&folder), sys::at(&name), READ, 0])?; leak(format!("/proc/self/fd/{file}")) }),
    effect(19, "opens with the newer call and no restriction", |s| { let path = sys::c(s.outside.join("secret")); let how = [0u64; 3]; let file = sys::call(sys::OPENAT2, [sys::HERE, sys::at(&path), how.as_ptr() as usize, 24])?; leak(format!("/proc/self/fd/{file}")) }),
    effect(20, "opens a path only (O_PATH), and the real file through /proc/self/fd", |s| { let path = sys::c(s.outside.join("secret")); let file = sys::call(sys::OPENAT, [sys::HERE, sys::at(&path), 0x20_0000, 0])?; leak(format!("/proc/self/fd/{file}")) }),
    effect(21, "reads from a thread", |s| { let path = s.outside.join("secret"); std::thread::spawn(move || leak(path)).join().unwrap_or_else(|_| Err("the thread ended".into())) }),
    effect(22, "reads from a grandchild in a new session", |s| told({ let mut shell = Command::new("/bin/sh"); shell.arg("-c").arg(format!("(setsid cat '{}') 2>/dev/null", s.outside.join("secret").display())); shell })),
    effect(23, "reads from a program that exists in memory only", memory_program),
    effect(24, "reads by io_uring", |s| Ok(shown(&sys::read_by_ring(&s.outside.join("secret"))?))).needs("io_uring"),
    effect(25, "opens a file outside by a handle that was leaked", handle).needs("root"),
    effect(26, "watches a folder outside for names", watch),
    effect(27, "reads a cache of a toolchain's credentials", |s| leak(s.home.join(".docker/config.json")).or_else(|_| leak(s.home.join(".kube/config")))),
    effect(28, "reads a file in the folder for temporary files", |s| leak(format!("/tmp/ringfort-escape-{}", s.tag()))),
    effect(29, "reads a keyring of GnuPG", |s| leak(s.home.join(".gnupg/secring.gpg"))),
    answer(30, "reads the passwords of the system", |_| opens("/etc/shadow", READ)).needs("root"),
    answer(31, "reads a block device", block_device).needs("root and a disk"),
    answer(32, "asks for the handle of a file", |s| { let path = sys::c(&s.work); let mut handle = [128u32, 0, 0, 0, 0, 0, 0, 0, 0, 0]; let mut mount = [0u8; 8]; reaches(sys::call(sys::NAME_TO_HANDLE_AT, [sys::HERE, sys::at(&path), handle.as_mut_ptr() as usize, sys::address_mut(&mut mount), 0])) }),
    answer(33, "watches whole file systems (fanotify)", |_| reaches(sys::call(sys::FANOTIFY_INIT, [0, 0]))).needs("root"),
    effect(34, "reads the approvals, policy and record of Ringfort", |s| leak(s.home.join(".config/ringfort/ringfort.toml"))),
    effect(35, "packs a folder outside with a program of the system", |s| told({ let mut tar = Command::new("tar"); tar.arg("-C").arg(&s.outside).args(["-cf", "-", "secret"]); tar })).needs("tar"),
];

/// Runs a program and shows what it says.
pub(super) fn told(mut command: Command) -> Outcome {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
    leak_file(output.stdout.as_slice())
}

fn climb(s: &Scene) -> Outcome {
    for _ in 0..32 {
        std::env::set_current_dir("..")?;
        if let Ok(text) = leak("outside/secret") {
            return Ok(text);
        }
    }
    leak(s.outside.strip_prefix("/").unwrap_or(&s.outside).join("secret"))
}

/// Names that tell a secret.
const TELLING: [&str; 7] =
    ["secret", "notes.txt", "id_ed25519", "credentials", ".bash_history", ".npmrc", "cookies.sqlite"];

fn search(s: &Scene) -> Outcome {
    let mut folders = vec![PathBuf::from("/")];
    let mut found = String::new();
    let mut looked = 0;
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            looked += 1;
            let path = entry.path();
            let is_large =
                path.components().count() > 4 || ["/usr", "/proc", "/sys"].iter().any(|large| path.starts_with(large));
            // The whole machine is not walked: only its upper folders, and what leads to the scene.
            let leads = s.outside.starts_with(&path)
                || s.home.starts_with(&path)
                || path.starts_with(&s.outside)
                || path.starts_with(&s.home);
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder && (leads || !is_large) && !path.starts_with(&s.work) && (leads || looked < 10_000) {
                folders.push(path);
            } else if TELLING.iter().any(|name| entry.file_name() == *name) {
                found.push_str(&leak(&path).unwrap_or_default());
            }
        }
    }
    if found.is_empty() { Err("nothing that tells".into()) } else { Ok(found) }
}

fn copy_in_kernel(s: &Scene) -> Outcome {
    let from = File::open(s.outside.join("secret"))?;
    let to = File::create(s.work.join("copied"))?;
    super::done(sys::call(sys::COPY_FILE_RANGE, [word(&from), 0, word(&to), 0, 4096, 0]))
}

fn memory_program(s: &Scene) -> Outcome {
    let name = sys::c("program");
    let file = sys::call(sys::MEMFD_CREATE, [sys::at(&name), 0])?;
    let place = format!("/proc/self/fd/{file}");
    fs::copy("/proc/self/exe", &place)?;
    let mut program = Command::new(place);
    program.arg("show").arg(s.outside.join("secret"));
    told(program)
}

fn handle(s: &Scene) -> Outcome {
    let mut bytes: Vec<u8> = Vec::new();
    for pair in s.text("handle").as_bytes().chunks(2) {
        let digits = std::str::from_utf8(pair).unwrap_or("");
        bytes.push(u8::from_str_radix(digits, 16).unwrap_or(0));
    }
    if bytes.is_empty() {
        return Err("no handle was leaked".into());
    }
    let mount = File::open(&s.work)?;
    let file = sys::call(sys::OPEN_BY_HANDLE_AT, [word(&mount), sys::address(&bytes), 0])?;
    leak(format!("/proc/self/fd/{file}"))
}

/// The victim outside makes and removes a file with a telling name again and again.
fn watch(s: &Scene) -> Outcome {
    let watcher = sys::call(sys::INOTIFY_INIT1, [0o4000])?;
    let path = sys::c(&s.outside);
    sys::call(sys::INOTIFY_ADD_WATCH, [watcher, sys::at(&path), 0x0000_0fff])?;
    let mut seen = Vec::new();
    for _ in 0..40 {
        std::thread::sleep(std::time::Duration::from_millis(10));
        if let Ok(bytes) = read_some(watcher) {
            seen.extend(bytes);
        }
    }
    if seen.is_empty() { Err("nothing was seen".into()) } else { Ok(shown(&seen)) }
}

/// Reads what is there from a descriptor by number.
fn read_some(file: usize) -> Result<Vec<u8>, sys::Errno> {
    let mut buffer = vec![0u8; 4096];
    let read = if cfg!(target_arch = "x86_64") { 0 } else { 63 };
    let length = sys::call(read, [file, sys::address_mut(&mut buffer), 4096])?;
    buffer.truncate(length);
    Ok(buffer)
}

fn block_device(_: &Scene) -> Outcome {
    let text = fs::read_to_string("/proc/partitions")?;
    for name in text.lines().skip(2).filter_map(|line| line.split_whitespace().nth(3)) {
        if let Ok(how) = opens(format!("/dev/{name}"), READ) {
            return Ok(how);
        }
    }
    Err("no disk".into())
}
