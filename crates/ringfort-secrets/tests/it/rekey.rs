// SPDX-License-Identifier: MIT OR Apache-2.0
//! A new store key: what is sealed beside the store opens still, what was copied with the old key does not open the new.

use std::fs;

use ringfort_secrets::locked::Locked;
use ringfort_secrets::sealed_text::{open_enc3, seal_enc3};
use ringfort_secrets::store::{Earlier, Header, Options, StoreError, Vault};

use crate::support::{NOW, Place, ROOT, filled, id};

fn rekey(vault: &mut Vault, earlier: Earlier) -> Result<(), StoreError> {
    let reached = vault.header().reach(&ROOT)?;
    vault.rekey(&reached, &[], earlier).map(drop)
}

/// The member of a header by which a store key is known.
pub(crate) fn check_of(file: &std::path::Path) -> String {
    let text = String::from_utf8(fs::read(file).unwrap()).unwrap();
    text.split("\"check\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[test]
fn texts_that_were_sealed_before_open_after_a_new_store_key() {
    let place = Place::new();
    let mut vault = filled(&place);
    let first = vault.text_key().unwrap();
    let text = seal_enc3(&first, "a.b", b"value").unwrap();
    let check = check_of(&place.file());
    rekey(&mut vault, Earlier::Kept).unwrap();
    assert_ne!(check_of(&place.file()), check);
    for vault in [&vault, &place.open().unwrap()] {
        let now = vault.text_key().unwrap();
        assert!(open_enc3(&now, "a.b", &text).unwrap().equals(b"value"));
        assert!(first.is_newest("a.b", &text) && !now.is_newest("a.b", &text));
        // What is sealed from now on does not open with what could be known before.
        let fresh = seal_enc3(&now, "a.b", b"value").unwrap();
        assert!(now.is_newest("a.b", &fresh) && !now.is_newest("a.c", &fresh));
        assert!(open_enc3(&now, "a.b", &fresh).is_ok() && open_enc3(&first, "a.b", &fresh).is_err());
    }
    let released = place.open().unwrap().get_version(&id("gateway.auth.password"), 1, NOW).unwrap();
    assert!(released.value.equals(b"second value"));
    rekey(&mut vault, Earlier::Forgotten).unwrap();
    assert!(open_enc3(&vault.text_key().unwrap(), "a.b", &text).is_err(), "it was to be forgotten");
}

#[test]
fn deny_more_seeds_than_a_header_holds_instead_of_losing_one() {
    let place = Place::new();
    let mut vault = place.create();
    let text = seal_enc3(&vault.text_key().unwrap(), "a.b", b"value").unwrap();
    for _ in 1..16 {
        rekey(&mut vault, Earlier::Kept).unwrap();
    }
    let before = place.contents();
    assert!(matches!(rekey(&mut vault, Earlier::Kept), Err(StoreError::SeedsFull)));
    assert_eq!(place.contents(), before);
    assert!(open_enc3(&place.open().unwrap().text_key().unwrap(), "a.b", &text).unwrap().equals(b"value"));
    rekey(&mut vault, Earlier::Forgotten).unwrap();
    rekey(&mut vault, Earlier::Kept).unwrap();
}

#[test]
fn deny_a_second_store_key_by_who_works_on_the_first() {
    let place = Place::new();
    let mut vault = filled(&place);
    let mut other = place.open().unwrap();
    let held = Locked::copy_of(other.store_key().expose()).unwrap();
    let reached = Header::read(&place.path).unwrap().reach(&ROOT).unwrap();
    rekey(&mut vault, Earlier::Kept).unwrap();
    let before = place.contents();
    assert!(matches!(rekey(&mut other, Earlier::Kept), Err(StoreError::Fault { .. } | StoreError::WrongKey { .. })));
    assert!(matches!(other.reload(), Err(StoreError::Fault { .. } | StoreError::WrongKey { .. })));
    assert!(matches!(Vault::open_with(&place.path, held), Err(StoreError::WrongKey { .. })));
    assert!(matches!(Vault::open_by(&place.path, &reached[0], Options::default()), Err(StoreError::WrongKey { .. })));
    assert_eq!(place.contents(), before);
}
