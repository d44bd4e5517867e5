// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of the derivations: vectors, bounds, and the choice of parameters.

use std::sync::atomic::{AtomicU64, Ordering};

use ringfort_core::clock::Timestamp;

use super::*;

const FAST: Argon2Params = Argon2Params { memory_kib: MEMORY_KIB_MIN, passes: 1 };
const PURPOSE: Purpose = Purpose { store: StoreId([7; 16]), source: "passphrase" };

/// A clock that moves on by a fixed step with each look.
struct Steps(AtomicU64, u64);

impl Clock for Steps {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.fetch_add(self.1, Ordering::Relaxed))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn argon2id_is_the_standard_one() {
    // RFC 9106, section 5.3: with a secret and four lanes, so straight from the library.
    let params = ParamsBuilder::new()
        .m_cost(32)
        .t_cost(3)
        .p_cost(4)
        .output_len(32)
        .data(AssociatedData::new(&[4; 12]).unwrap())
        .build()
        .unwrap();
    let argon2 = Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params).unwrap();
    let mut tag = [0; 32];
    argon2.hash_password_into(&[1; 32], &[2; 16], &mut tag).unwrap();
    assert_eq!(hex(&tag), "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659");
}

#[test]
fn argon2id_gives_the_written_vector() {
    let key = derive(b"correct horse", &[9; SALT_LEN], PURPOSE, FAST).unwrap();
    // Reckoned once with another implementation: 8 MiB, 1 pass, 1 lane, associated data 07 times 16, "passphrase",
    // six zeros.
    assert_eq!(hex(key.expose()), "332218f6402e35c626b3b8b4d8aea2d39d7c53118013926e1aef62b24ed11552");
}

#[test]
fn everything_that_goes_in_changes_the_key() {
    let key = derive(b"correct horse", &[9; SALT_LEN], PURPOSE, FAST).unwrap();
    for (passphrase, salt, purpose, params) in [
        (&b"correct horsf"[..], [9; SALT_LEN], PURPOSE, FAST),
        (b"correct horse ", [9; SALT_LEN], PURPOSE, FAST),
        (b"correct horse", [8; SALT_LEN], PURPOSE, FAST),
        (b"correct horse", [9; SALT_LEN], Purpose { store: StoreId([8; 16]), ..PURPOSE }, FAST),
        (b"correct horse", [9; SALT_LEN], Purpose { source: "env", ..PURPOSE }, FAST),
        (b"correct horse", [9; SALT_LEN], PURPOSE, Argon2Params { passes: 2, ..FAST }),
        (b"correct horse", [9; SALT_LEN], PURPOSE, Argon2Params { memory_kib: MEMORY_KIB_MIN + 8, ..FAST }),
    ] {
        assert!(!derive(passphrase, &salt, purpose, params).unwrap().equals(key.expose()), "{purpose:?} {params:?}");
    }
    assert!(derive(b"correct horse", &[9; SALT_LEN], PURPOSE, FAST).unwrap().equals(key.expose()));
}

#[test]
fn deny_parameters_that_eat_the_machine() {
    for (memory_kib, passes) in [
        (0, 1),
        (MEMORY_KIB_MIN - 1, 1),
        (MEMORY_KIB_MAX + 1, 1),
        (u32::MAX, 1),
        (MEMORY_KIB_MIN, 0),
        (MEMORY_KIB_MIN, PASSES_MAX + 1),
        (MEMORY_KIB_MIN, u32::MAX),
        (MEMORY_KIB_MAX, PASSES_MAX),
    ] {
        let result = derive(b"x", &[0; SALT_LEN], PURPOSE, Argon2Params { memory_kib, passes });
        assert!(matches!(result, Err(KdfError::Bounds { .. })), "{memory_kib} {passes}");
    }
    for (log_n, r, p) in [
        (0, 8, 1),
        (9, 8, 1),
        (25, 8, 1),
        (63, 8, 1),
        (255, 8, 1),
        (24, 8, 1),
        (17, 0, 1),
        (17, 8, 0),
        (17, u32::MAX, 1),
    ] {
        let result = scrypt_derive(b"x", &[0; 16], ScryptParams { log_n, r, p }, 32);
        assert!(matches!(result, Err(KdfError::Bounds { .. })), "{log_n} {r} {p}");
    }
    assert!(matches!(
        scrypt_derive(b"x", &[0; 16], ScryptParams { log_n: 10, r: 8, p: 1024 }, 4096),
        Err(KdfError::Bounds { parameter: "length of the key", .. })
    ));
    assert!(matches!(
        scrypt_derive(b"x", &[0; 16], ScryptParams { log_n: 18, r: 8, p: 5 }, 32),
        Err(KdfError::Bounds { parameter: "memory times p", .. })
    ));
}

#[test]
fn scrypt_is_the_standard_one() {
    // RFC 7914, section 12.
    for (passphrase, salt, params, expected) in [
        (
            "pleaseletmein",
            "SodiumChloride",
            ScryptParams { log_n: 14, r: 8, p: 1 },
            "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887",
        ),
        (
            "password",
            "NaCl-NaCl",
            ScryptParams::default(),
            "51c8393960e40f128d92a241ae597aab29763e7cc8d38b64a63c76d69fe9a11630172db5fda765d5317b875c00ac79930feac43498ae0b64c45c8d981badcdbe",
        ),
    ] {
        let key = scrypt_derive(passphrase.as_bytes(), salt.as_bytes(), params, 64).unwrap();
        assert_eq!(hex(key.expose()), expected);
    }
}

#[test]
fn the_choice_follows_speed_and_memory() {
    const FREE: Option<u64> = Some(8 * 1024 * 1024);
    let ms = Duration::from_millis;
    for (one, more, free, memory_mib, passes, what) in [
        (ms(50), ms(150), FREE, 213, 3, "a machine of its time, whose memory costs nothing"),
        (ms(60), ms(130), FREE, 246, 3, "one whose memory costs as much as a pass"),
        (ms(10), ms(20), FREE, 256, 16, "a fast one"),
        (ms(10), ms(30), FREE, 256, 12, "a fast one whose memory costs nothing"),
        (ms(1), ms(3), FREE, 256, 16, "one that no work within the bounds keeps busy"),
        (Duration::ZERO, Duration::ZERO, FREE, 256, 16, "a clock that stands still"),
        (ms(5000), ms(9000), FREE, 64, 3, "a slow one"),
        (Duration::MAX, Duration::MAX, FREE, 64, 3, "one without end"),
        (ms(20), ms(60), Some(400 * 1024), 100, 16, "little memory"),
        (ms(20), ms(60), Some(1024), 64, 25, "hardly any memory"),
        (ms(20), ms(60), None, 64, 25, "memory unknown"),
        (ms(80), ms(80), FREE, 256, 3, "one that was slowed only in the beginning"),
        (ms(50), ms(900), FREE, 213, 3, "one that was slowed only in the end"),
    ] {
        let measured = choose(Cost::of(one, more), TARGET, free);
        let expected = Argon2Params { memory_kib: memory_mib * 1024, passes };
        assert_eq!(measured.params, expected, "{what}");
        measured.params.checked().unwrap();
    }
}

#[test]
fn what_is_expected_is_what_was_measured() {
    let ms = Duration::from_millis;
    // 1 pass over 64 MiB takes 60 ms, 3 take 120 ms: 30 ms for the memory, 30 ms for a pass.
    let cost = Cost::of(ms(60), ms(120));
    let measured = choose(cost, TARGET, Some(8 * 1024 * 1024));
    assert_eq!(measured.params, Argon2Params { memory_kib: 256 * 1024, passes: 3 });
    let off = measured.expected.abs_diff(ms(480));
    assert!(off < ms(2), "four times 30 ms for the memory and four times 90 ms for the passes: {measured:?}");
}

#[test]
fn measuring_gives_parameters_that_are_accepted() {
    let measured = measure(TARGET, &Steps(AtomicU64::new(0), 60)).unwrap();
    assert!(measured.params.checked().is_ok() && measured.params.memory_kib >= MEMORY_KIB_CHOSEN_MIN);
    assert!(measured.expected <= TARGET, "{measured:?}");
    assert_eq!(Argon2Params::default().to_string(), "argon2id with 64 MiB and 3 passes");
}
