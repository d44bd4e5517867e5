// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel's keyring under a store, and a kernel that has none: the test starts itself behind a filter that refuses the
//! three system calls, as containers do.

use std::path::Path;
use std::process::Command;

use ringfort_secrets::backend::keyutils::KeyutilsSource;
use ringfort_secrets::backend::{Backend, Probe, Requested, Sight, SlotSeen, Writes, classify};
use ringfort_secrets::root::{RootKeyError, RootKeySource as _, StoreId};
use ringfort_secrets::store::{Change, Header, StoreError, Vault};

use crate::support::{Fixed, NOW, Noon, id};

const INSIDE: &str = "RINGFORT_TEST_WITHOUT_KEYRINGS";

#[expect(clippy::disallowed_methods, reason = "whether a skip is a fault is said from outside")]
#[expect(clippy::print_stdout, reason = "a skip is reported")]
fn skipped(reason: &str) {
    assert!(std::env::var_os("RINGFORT_TEST_NO_SKIP").is_none(), "{reason}");
    println!("skipped: {reason}");
}

#[test]
fn a_store_opens_by_its_other_slot_once_the_kernel_has_forgotten() {
    if KeyutilsSource.probe() != Probe::Ready {
        return skipped("there is no keyring");
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("secrets");
    let mut vault = Vault::create(&folder, &KeyutilsSource, &Noon).unwrap();
    vault.set(&id("a.key"), b"value", &Change::at(NOW)).unwrap();
    vault.add_slot(&Fixed(7), NOW).unwrap();
    drop(vault);
    assert!(Vault::open(&folder, &KeyutilsSource).unwrap().get(&id("a.key"), NOW).unwrap().value.equals(b"value"));
    let header = Header::read(&folder).unwrap();
    KeyutilsSource.forget(header.store, &header.slots[0].data).unwrap();
    let closed = Vault::open(&folder, &KeyutilsSource).map(|_| ());
    assert!(matches!(closed, Err(StoreError::Root(RootKeyError::Absent { .. }))), "{closed:?}");
    assert!(Vault::open(&folder, &Fixed(7)).is_ok());
}

/// One instruction of a classic BPF program.
fn instruction(code: u16, jump_true: u8, jump_false: u8, operand: u32) -> [u8; 8] {
    let [a, b] = code.to_ne_bytes();
    let [c, d, e, f] = operand.to_ne_bytes();
    [a, b, jump_true, jump_false, c, d, e, f]
}

/// A filter that answers `errno` to `add_key`, `request_key` and `keyctl`, which follow one another.
fn filter(errno: i32) -> Vec<u8> {
    let first = u32::try_from(libc::SYS_add_key).unwrap();
    let last = u32::try_from(libc::SYS_keyctl).unwrap();
    assert_eq!(last, first + 2);
    [
        instruction(0x20, 0, 0, 0),                                           // load the number
        instruction(0x35, 0, 2, first),                                       // below: allow
        instruction(0x25, 1, 0, last),                                        // above: allow
        instruction(0x06, 0, 0, 0x0005_0000 | u32::try_from(errno).unwrap()), // refuse
        instruction(0x06, 0, 0, 0x7fff_0000),                                 // allow
    ]
    .concat()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test that starts itself where there are no keyrings")]
fn deny_keys_where_the_kernel_refuses_keyrings() {
    if !Path::new("/usr/bin/bwrap").exists() {
        return skipped("bwrap is not installed");
    }
    for errno in [libc::ENOSYS, libc::EPERM, libc::EACCES] {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("filter");
        std::fs::write(&program, filter(errno)).unwrap();
        let script = "exec 9<\"$1\"; exec /usr/bin/bwrap --dev-bind / / --seccomp 9 -- \"$2\" --exact --nocapture \
                      keyutils::inside_without_keyrings";
        let output = Command::new("/bin/sh")
            .args(["-c", script, "sh"])
            .arg(&program)
            .arg(std::env::current_exe().unwrap())
            .env(INSIDE, errno.to_string())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        if said.contains("bwrap: ") && !said.contains("running 1 test") {
            return skipped(&format!("bwrap does not start here: {said}"));
        }
        assert!(output.status.success() && said.contains("refused as it should be"), "{errno}: {said}");
    }
}

/// Only started by the test above.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test that started this says where it is")]
fn inside_without_keyrings() {
    if std::env::var_os(INSIDE).is_none() {
        return;
    }
    let probe = KeyutilsSource.probe();
    assert!(matches!(probe, Probe::Absent { .. }), "{probe:?}");
    let error = KeyutilsSource.create(StoreId([1; 16])).unwrap_err();
    assert!(matches!(error, RootKeyError::Absent { .. }), "{error}");
    assert!(error.to_string().contains("Choose another backend"), "{error}");
    let probes = |backend: Backend| if backend == Backend::Keyutils { KeyutilsSource.probe() } else { Probe::Ready };
    let status = classify(&Requested::parse("keyutils"), &probes, &Sight::default());
    assert_eq!((status.root_key, status.persistent), ("absent", false));
    assert!(matches!(status.writes, Writes::Refused { .. }), "{status:?}");
    let slots = vec![SlotSeen { index: 0, source: "keyutils".to_owned() }];
    let made = Sight { slots: Some(slots), ..Sight::default() };
    assert_eq!(classify(&Requested::parse("auto"), &probes, &made).root_key, "absent");
    println!("refused as it should be");
}
