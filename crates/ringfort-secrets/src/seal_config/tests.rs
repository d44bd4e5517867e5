// SPDX-License-Identifier: MIT OR Apache-2.0

use super::*;
use crate::root::StoreId;

const STORE: StoreId = StoreId(*b"0123456789abcdef");

fn text_key(from: u8) -> TextKey {
    TextKey::derive(STORE, &Locked::copy_of(&[from; 32]).unwrap()).unwrap()
}

fn enc2_key() -> (tempfile::TempDir, Enc2Key) {
    let folder = tempfile::tempdir().unwrap();
    let key = Enc2Key::create(folder.path()).unwrap();
    (folder, key)
}

/// The secrets of lines like `key = "…"`.
fn places(text: &str) -> Vec<Place> {
    let mut at = 0;
    let mut found = Vec::new();
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if let Some((key, rest)) = line.split_once(" = ").filter(|(key, _)| !key.starts_with('#')) {
            let quote = rest.chars().next().unwrap();
            let end = rest.rfind(quote).unwrap() + 1;
            let start = at + key.len() + 3;
            let value = rest[1..end - 1].to_owned();
            let form = Form::of(&value);
            let place = Place {
                key: key.to_owned(),
                span: start..start + end,
                line: number + 1,
                form,
                text: Secret::new(value),
            };
            found.push(place);
        }
        at += line.len();
    }
    found
}

fn told(planned: Result<Plan, SealConfigError>) -> String {
    use std::error::Error as _;
    match planned {
        Ok(plan) => {
            let changes = plan
                .changes
                .iter()
                .map(|change| format!("{}:{} {}>{}", change.line, change.key, change.from, change.to));
            let left = plan.left.iter().map(|left| format!("{}:{} stays", left.line, left.key));
            changes.chain(left).collect::<Vec<_>>().join(" ")
        }
        Err(error) => format!("ERROR {error}: {}", error.source().map(ToString::to_string).unwrap_or_default()),
    }
}

#[test]
fn only_values_change_and_each_opens_at_its_key() {
    let text = "# ä comment \"x\"\na.secret = \"hunter2\"  # why\n\nb.secret = 'pass \"word\"'\nempty = \"\"\n\r\n";
    let (folder, enc2) = enc2_key();
    let enc3 = text_key(1);
    let keys = Keys { enc2: Some(&enc2), enc3: Some(&enc3) };
    let plan = super::plan(text, &places(text), Target::Enc3, Scope::Plain, &keys).unwrap();
    assert_eq!(told(Ok(plan)), "2:a.secret plain>enc3 4:b.secret plain>enc3");
    let plan = super::plan(text, &places(text), Target::Enc3, Scope::Plain, &keys).unwrap();
    let found = places(&plan.after);
    for (place, value) in found.iter().zip(["hunter2", "pass \"word\""]) {
        assert!(open_enc3(&enc3, &place.key, place.text.expose()).unwrap().equals(value.as_bytes()));
    }
    let lines: Vec<&str> = plan.after.lines().collect();
    assert_eq!((lines[0], lines[2], lines[4]), ("# ä comment \"x\"", "", "empty = \"\""));
    assert!(lines[1].starts_with("a.secret = \"enc3:") && lines[1].ends_with("\"  # why"), "{}", lines[1]);
    assert!(plan.after.ends_with("\n\r\n") && !plan.after.contains("hunter2"));
    // A second time there is nothing to do.
    assert_eq!(told(super::plan(&plan.after, &found, Target::Enc3, Scope::Plain, &keys)), "");
    assert_eq!(told(super::plan(&plan.after, &found, Target::Enc3, Scope::Migrate, &keys)), "");
    let again = super::plan(&plan.after, &found, Target::Enc3, Scope::Migrate, &keys).unwrap();
    assert_eq!(again.after, plan.after);
    let seed = super::plan(text, &places(text), Target::Enc2, Scope::Plain, &keys).unwrap();
    assert!(
        open_enc2(&Enc2Key::read(folder.path()).unwrap(), places(&seed.after)[0].text.expose())
            .unwrap()
            .equals(b"hunter2")
    );
}

#[test]
fn other_forms_move_only_in_a_migration() {
    let (folder, enc2) = enc2_key();
    let before = text_key(2);
    let enc3 = TextKey::derive(STORE, &Locked::copy_of(&[[1; 32], [2; 32]].concat()).unwrap()).unwrap();
    let keys = Keys { enc2: Some(&enc2), enc3: Some(&enc3) };
    let hex = std::fs::read_to_string(folder.path().join(".secret_key")).unwrap();
    let legacy: String = (0..3)
        .map(|at| format!("{:02x}", b"abc"[at] ^ u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()))
        .collect();
    let text = format!(
        "old = \"enc:{legacy}\"\nsealed = \"{}\"\nearlier = \"{}\"\nnow = \"{}\"\nelsewhere = \"op://a/b\"\n",
        seal_enc2(&enc2, b"two").unwrap(),
        seal_enc3(&before, "earlier", b"three").unwrap(),
        seal_enc3(&enc3, "now", b"four").unwrap(),
    );
    let plain = super::plan(&text, &places(&text), Target::Enc3, Scope::Plain, &keys);
    assert_eq!(told(plain), "1:old stays 5:elsewhere stays");
    assert_eq!(needs(&places(&text), Target::Enc3, Scope::Plain), (false, false));
    assert_eq!(needs(&places(&text), Target::Enc3, Scope::Migrate), (true, true));
    let plan = super::plan(&text, &places(&text), Target::Enc3, Scope::Migrate, &keys).unwrap();
    let found = places(&plan.after);
    let newest = text_key(1);
    for (place, value) in found.iter().zip(["abc", "two", "three", "four"]) {
        assert!(open_enc3(&newest, &place.key, place.text.expose()).unwrap().equals(value.as_bytes()), "{}", place.key);
    }
    assert_eq!(told(Ok(plan)), "1:old enc>enc3 2:sealed enc2>enc3 3:earlier enc3>enc3 5:elsewhere stays");
    let plan = super::plan(&text, &places(&text), Target::Enc2, Scope::Migrate, &keys).unwrap();
    assert_eq!(told(Ok(plan)), "1:old enc>enc2 3:earlier enc3>enc2 4:now enc3>enc2 5:elsewhere stays");
}

#[test]
fn deny_plans_for_what_cannot_be_opened_or_sealed() {
    let (_folder, enc2) = enc2_key();
    let enc3 = text_key(1);
    let both = Keys { enc2: Some(&enc2), enc3: Some(&enc3) };
    let none = Keys::default();
    let moved = format!("\nb = \"{}\"", seal_enc3(&enc3, "a", b"hunter2").unwrap());
    let changed = seal_enc2(&enc2, b"hunter2").unwrap();
    let changed =
        format!("a = \"{}{}\"", &changed[..changed.len() - 1], if changed.ends_with('0') { '1' } else { '0' });
    let long = format!("a = \"{}\"", "x".repeat(70_000));
    for (text, scope, keys, expected) in [
        ("a = \"hunter2\"", Scope::Plain, &none, "line 1: `a`: the key for `enc3:` is not at hand"),
        ("a = \"enc2:00\"", Scope::Migrate, &none, "the key for `enc2:`"),
        ("a = \"enc:00\"", Scope::Migrate, &none, "the key for `enc:`"),
        ("a = \"enc4:00\"", Scope::Plain, &both, "no such form"),
        ("a = \"enc2:00\"", Scope::Migrate, &both, "cut short"),
        (&changed, Scope::Migrate, &both, "was changed"),
        (&moved, Scope::Migrate, &both, "line 2: `b`: the value belongs to another key than `b`"),
        (&long, Scope::Plain, &both, "too long"),
    ] {
        let error = told(super::plan(text, &places(text), Target::Enc3, scope, keys));
        assert!(error.starts_with("ERROR") && error.contains(expected), "{text:.60}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    // Places of another text: nothing is cut where no value stands.
    let other = places("aaaa = \"hunter2\"");
    for text in ["", "a = 7, b = 8, c = 9", "ääääääääääääää"] {
        assert!(super::plan(text, &other, Target::Enc3, Scope::Plain, &both).is_err(), "{text}");
    }
}
