// SPDX-License-Identifier: MIT OR Apache-2.0
//! The age format against the `age` program, in both directions.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use ringfort_secrets::age::{Identity, To, With, decrypt, encrypt};
use ringfort_secrets::locked::Locked;

use crate::swtpm::skips_are_errors;

/// Two and a half chunks of a file.
const LENGTH: usize = 160 << 10;

/// Whether the program is there. What is skipped is told, and is a failure where skips are errors.
#[expect(clippy::print_stderr, reason = "a test says what it skips")]
fn has_age() -> bool {
    let there = Path::new("/usr/bin/age").exists() && Path::new("/usr/bin/age-keygen").exists();
    if !there {
        assert!(!skips_are_errors(), "the program `age` is not installed");
        eprintln!("skipped: the program `age` is not installed");
    }
    there
}

#[expect(clippy::disallowed_methods, reason = "the oracle of this test is the real program")]
fn start(program: &str, arguments: &[&str], folder: &Path, input: &[u8]) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn plain() -> Vec<u8> {
    (0..LENGTH).map(|place| u8::try_from(place % 253).unwrap()).collect()
}

fn sealed(to: &To) -> Vec<u8> {
    let mut writer = encrypt(to, Vec::new()).unwrap();
    writer.write_all(&plain()).unwrap();
    writer.finish().unwrap()
}

#[test]
fn age_reads_what_is_written_for_a_key_and_the_other_way_round() {
    if !has_age() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    start("/usr/bin/age-keygen", &["-o", "key"], folder.path(), b"");
    let keys = Identity::parse_file(&fs::read_to_string(folder.path().join("key")).unwrap()).unwrap();
    let public = start("/usr/bin/age-keygen", &["-y", "key"], folder.path(), b"").stdout;
    let public = String::from_utf8(public).unwrap();
    assert_eq!(public.parse::<ringfort_secrets::age::Recipient>().unwrap(), keys[0].recipient());

    let file = sealed(&To::Recipients(vec![keys[0].recipient()]));
    assert_eq!(start("/usr/bin/age", &["-d", "-i", "key"], folder.path(), &file).stdout, plain());

    let with = With::Identities(keys);
    for arguments in [&["-r", public.trim()][..], &["-a", "-r", public.trim()]] {
        let file = start("/usr/bin/age", arguments, folder.path(), &plain()).stdout;
        assert_eq!(decrypt(&file, &with).unwrap().whole(LENGTH).unwrap().expose(), plain(), "{arguments:?}");
    }
}

#[test]
fn age_reads_what_is_written_with_a_passphrase_and_the_other_way_round() {
    if !has_age() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let passphrase = || Locked::copy_of(b"correct horse battery").unwrap();
    fs::write(folder.path().join("ours.age"), sealed(&To::Passphrase(passphrase()))).unwrap();
    fs::write(folder.path().join("plain"), plain()).unwrap();
    // It asks at the terminal, which `script` gives it.
    for (line, typed) in [
        ("/usr/bin/age -d -o opened ours.age", &b"correct horse battery\n"[..]),
        ("/usr/bin/age -p -o theirs.age plain", b"correct horse battery\ncorrect horse battery\n"),
    ] {
        start("script", &["-qec", line, "/dev/null"], folder.path(), typed);
    }
    assert_eq!(fs::read(folder.path().join("opened")).unwrap(), plain());
    let file = fs::read(folder.path().join("theirs.age")).unwrap();
    let whole = decrypt(&file, &With::Passphrase(passphrase())).unwrap().whole(LENGTH).unwrap();
    assert_eq!(whole.expose(), plain());
}
