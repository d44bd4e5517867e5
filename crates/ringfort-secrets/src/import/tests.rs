// SPDX-License-Identifier: MIT OR Apache-2.0

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::age::{self, To, With};
use crate::export;
use crate::root_file::KeyFileSource;
use crate::support::{NOW, Noon, id};

fn new_vault(folder: &tempfile::TempDir, name: &str) -> Vault {
    let source = KeyFileSource::new(folder.path().join(format!("{name}.key")));
    Vault::create(&folder.path().join(name), &source, &Noon).unwrap()
}

/// What was read, as one line: names with values, then notices.
fn told(read: Result<Imported, ImportError>) -> String {
    match read {
        Ok(imported) => {
            let value = |entry: &Entry| String::from_utf8(entry.value.expose().to_vec()).unwrap();
            let entries = imported.entries.iter().map(|entry| format!("{}={:?}", entry.id, value(entry)));
            entries.chain(imported.notices.iter().map(|notice| format!("! {notice}"))).collect::<Vec<_>>().join(" ")
        }
        Err(error) => format!("ERROR {error}"),
    }
}

#[test]
fn dotenv_files_are_read_as_they_are_written() {
    for (text, expected) in [
        ("", ""),
        ("\n# comment\n   \n", ""),
        ("A=b\n", "A=\"b\""),
        ("A=b", "A=\"b\""),
        ("\u{feff}A=b\r\nC=d\r\n", "A=\"b\" C=\"d\""),
        ("export A=b\n  export\tC = d \n", "A=\"b\" C=\"d\""),
        ("exportA=b", "exportA=\"b\""),
        ("A=b # c", "A=\"b\""),
        ("A=b#c", "A=\"b#c\""),
        ("A=#c", "! line 1: `A` is empty and is left out"),
        ("A=a\"b", "A=\"a\\\"b\""),
        ("A=x=y==", "A=\"x=y==\""),
        ("A='b # c' # d", "A=\"b # c\""),
        ("A='$B \\n'", "A=\"$B \\\\n\""),
        ("A=\"b\\n\\t\\\"\\\\ \\$X # c\"", "A=\"b\\n\\t\\\"\\\\ $X # c\""),
        ("A=\"one\ntwo\r\n\nfour\" # x\nB=c", "A=\"one\\ntwo\\n\\nfour\" B=\"c\""),
        ("A=''\nB=\"\"", "! line 1: `A` is empty and is left out ! line 2: `B` is empty and is left out"),
        ("A=$B", "A=\"$B\" ! line 1: `$` in `A` is taken as it is; nothing is expanded"),
        ("A=\"$(rm -rf /)\"", "A=\"$(rm -rf /)\" ! line 1: `$` in `A` is taken as it is; nothing is expanded"),
        ("A=\"\\$B\"", "A=\"$B\""),
        ("A=5$", "A=\"5$\""),
        ("A.b-c_D=é", "A.b-c_D=\"é\""),
    ] {
        assert_eq!(told(dotenv(text.as_bytes(), &Names::default())), expected, "{text:?}");
    }
}

#[test]
fn deny_dotenv_files_with_faults_and_name_their_lines() {
    for (text, expected) in [
        ("A=b\nhunter2\n", "line 2: there is no `=`"),
        ("=hunter2", "line 1: what stands before `=` is no name"),
        ("hunter 2=x", "line 1: what stands before `=` is no name"),
        ("1A=x", "line 1: what stands before"),
        ("é=x", "line 1: what stands before"),
        ("A='hunter2\nB=c'", "line 1: the quote `'` is not closed"),
        ("A=b\nB=\"hunter2\nC=d\n", "line 2: the quote `\"` is not closed"),
        ("A=\"hunter2\"x", "line 1: something stands after"),
        ("A='hunter2'#x", "line 1: something stands after"),
        ("A=\"C:\\path\"", "line 1: a `\\`"),
        ("A=`hunter2`", "line 1: the value of `A` begins with a backtick"),
        ("A=hunter2\nB=\nA=hunter3", "line 3: the id `A` is there twice, first in line 1"),
        ("A=hunter2\0", "line 1: the value of `A` contains a zero byte"),
        (
            "A=b\n.A=hunter2\nB",
            "line 2: `.A` is no id: it has an empty part; give it another name; line 3: there is no",
        ),
    ] {
        let error = told(dotenv(text.as_bytes(), &Names::default()));
        assert!(error.starts_with("ERROR nothing was imported: ") && error.contains(expected), "{text:?}: {error}");
        assert!(!error.contains("hunter"), "{error}");
    }
    let error = told(dotenv(b"A=\xff\n", &Names::default()));
    assert!(error.contains("line 1: the value of `A` is not UTF-8"), "{error}");
    let many = "x\n".repeat(FAULTS_MAX + 10);
    assert!(told(dotenv(many.as_bytes(), &Names::default())).ends_with("; and 10 more"));
    let long = format!("A={}", "x".repeat(VALUE_BYTES_MAX + 1));
    assert!(told(dotenv(long.as_bytes(), &Names::default())).contains("longer than"));
}

#[test]
fn names_become_ids_by_rule_and_never_in_silence() {
    let mut names = Names { prefix: Some(id("app.prod")), ..Names::default() };
    assert_eq!(told(dotenv(b"A=b\nc.d=e", &names)), "app.prod.A=\"b\" app.prod.c.d=\"e\"");
    names.renamed.insert("A".to_owned(), id("github.token"));
    assert_eq!(told(dotenv(b"A=b", &names)), "github.token=\"b\"");
    // Two names for one id are one too many.
    names.renamed.insert("B".to_owned(), id("github.token"));
    assert!(told(dotenv(b"A=b\nB=c", &names)).contains("there twice"));
    names.unfit = Unfit::LeaveOut;
    assert_eq!(
        told(dotenv(b"C..d=x\nE=f", &names)),
        "app.prod.E=\"f\" ! line 1: `C..d` is no id (it has an empty part) and is left out"
    );
    let long = format!("{{\"{}\": \"hunter2\"}}", "x".repeat(300));
    assert!(told(json(long.as_bytes(), &Names::default())).contains("xx…` is no id"), "names are cut");
}

#[test]
fn json_objects_become_dotted_names() {
    for (text, expected) in [
        ("{}", ""),
        (r#"{"a": "x", "b": {"c": "y\nz", "d": {"e": "\u00e9"}}}"#, "a=\"x\" b.c=\"y\\nz\" b.d.e=\"é\""),
        (r#"{"a.b": "x"}"#, "a.b=\"x\""),
        (r#"{"a": ""}"#, "! `a` is empty and is left out"),
    ] {
        assert_eq!(told(json(text.as_bytes(), &Names::default())), expected, "{text}");
    }
}

#[test]
fn deny_json_that_holds_anything_but_texts() {
    let deep = format!("{}\"hunter2\"{}", r#"{"a":"#.repeat(9), "}".repeat(9));
    for (text, expected) in [
        ("", "no JSON object of secrets: it cannot be read from line 1"),
        ("[\"hunter2\"]", "it is a list, not an object"),
        ("\"hunter2\"", "it is a text, not an object"),
        ("7", "it is a number"),
        (r#"{"a": {"b": ["hunter2"]}}"#, "`a.b` is a list"),
        (r#"{"a": 7}"#, "`a` is a number"),
        (r#"{"a": true, "b": null}"#, "`a` is a boolean; a secret is a text; `b` is null"),
        (r#"{"a": "hunter2", "a": "hunter3"}"#, "`a` is there twice"),
        (r#"{"a.b": "hunter2", "a": {"b": "hunter3"}}"#, "`a.b` is there twice"),
        (r#"{"a": "hunter2"} x"#, "cannot be read from line 1, column 18"),
        (r#"{"a": "hunter2}"#, "cannot be read"),
        (r#"{"a b": "hunter2"}"#, "`a b` is no id: it contains ` `"),
        (r#"{"a": {"": "hunter2"}}"#, "has an empty part"),
        (&deep, "lies deeper than 8"),
    ] {
        let error = told(json(text.as_bytes(), &Names::default()));
        assert!(error.starts_with("ERROR") && error.contains(expected), "{text}: {error}");
        assert!(!error.contains("hunter"), "{error}");
    }
    assert!(told(json(b"{\"a\": \"\xff\"}", &Names::default())).contains("cannot be read"));
}

/// The store of openclaw-zig as its own program would write it.
fn reference(key_text: &str, content: &str) -> String {
    let cipher = XChaCha20Poly1305::new_from_slice(&Sha256::digest(key_text)).unwrap();
    let payload = Payload { msg: content.as_bytes(), aad: b"openclaw-zig-secret-store-v1" };
    let sealed = cipher.encrypt(&XNonce::from([3; 24]), payload).unwrap();
    let (text, tag) = sealed.split_at(sealed.len() - 16);
    let (nonce, text, tag) = (STANDARD.encode([3; 24]), STANDARD.encode(text), STANDARD.encode(tag));
    format!(
        r#"{{"version":1,"algorithm":"XChaCha20Poly1305","nonceB64":"{nonce}","tagB64":"{tag}","ciphertextB64":"{text}","more":1}}"#
    )
}

#[test]
fn the_store_of_openclaw_zig_is_read() {
    let content =
        r#"{"version":1,"entries":[{"key":" talk.apiKey ","value":"sk-1\n"},{"key":"a.b","value":" "}],"x":2}"#;
    let key = ReferenceKey::of_text(b" test-key \n", "OPENCLAW_SECRET_STORE_KEY").unwrap();
    let text = told(reference_store(reference("test-key", content).as_bytes(), &key, &Names::default()));
    assert!(
        text.starts_with("talk.apiKey=\"sk-1\" ! the key of that store is one SHA-256 of `OPENCLAW_SECRET_STORE_KEY`"),
        "{text}"
    );
    assert!(text.ends_with("! `a.b` is empty and is left out"), "{text}");
    // The text that is made of the machine's names.
    let derived = "openclaw-zig-secret-store:/home/ada/state/secrets.store.enc.json:user=ada:host=box";
    let key = ReferenceKey::derived("/home/ada/state/secrets.store.enc.json", Some("ada "), Some("box")).unwrap();
    let text = told(reference_store(reference(derived, content).as_bytes(), &key, &Names::default()));
    assert!(text.contains("take these secrets for known"), "{text}");
}

#[test]
fn deny_stores_of_openclaw_zig_that_do_not_open() {
    let key = ReferenceKey::of_text(b"test-key", "X").unwrap();
    let good = r#"{"entries":[{"key":"talk.apiKey","value":"hunter2"}]}"#;
    let wild = r#"{"entries":[{"key":"talk.providers.*.apiKey","value":"hunter2"}]}"#;
    for (text, expected) in [
        (reference("other-key", good), "does not open with this key"),
        (reference("test-key", good).replace("\"nonceB64\":\"A", "\"nonceB64\":\"B"), "does not open"),
        (reference("test-key", good).replace("XChaCha20", "aes256"), "version or algorithm"),
        (reference("test-key", good).replace("\"version\":1", "\"version\":2"), "version or algorithm"),
        (reference("test-key", good).replace("nonceB64\":\"AwMD", "nonceB64\":\""), "wrong length"),
        (reference("test-key", good).replace("nonceB64\":\"", "nonceB64\":\"*"), "no base64"),
        (reference("test-key", "{\"entries\":7}"), "does not fit"),
        (reference("test-key", wild), "`talk.providers.*.apiKey` is no id: it contains `*`"),
        ("{}".to_owned(), "does not fit"),
        ("hunter2".to_owned(), "does not fit"),
    ] {
        let error = told(reference_store(text.as_bytes(), &key, &Names::default()));
        assert!(error.starts_with("ERROR") && error.contains(expected), "{text}: {error}");
        assert!(!error.contains("hunter"), "{error}");
    }
    let renamed = [("talk.providers.*.apiKey".to_owned(), id("talk.providers.openai.apiKey"))].into();
    let names = Names { renamed, ..Names::default() };
    let text = told(reference_store(reference("test-key", wild).as_bytes(), &key, &names));
    assert!(text.starts_with("talk.providers.openai.apiKey=\"hunter2\""), "{text}");
}

#[test]
fn an_import_is_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let mut vault = new_vault(&folder, "secrets");
    let import = |text: &str| dotenv(text.as_bytes(), &Names::default()).unwrap();
    let report = import("A=one\nB=two").apply(&mut vault, Existing::Refuse, NOW).unwrap();
    assert_eq!((report.added, report.replaced), (vec![id("A"), id("B")], vec![]));
    let generation = vault.generation();
    assert!(import("C=three\nB=x").apply(&mut vault, Existing::Refuse, NOW).is_err());
    assert_eq!((vault.generation(), vault.meta(&id("C")).is_none()), (generation, true));
    let report = import("C=three\nB=$x").apply(&mut vault, Existing::Replace, NOW).unwrap();
    assert_eq!((report.added, report.replaced, report.notices.len()), (vec![id("C")], vec![id("B")], 1));
    assert!(vault.get(&id("B"), NOW).unwrap().value.equals(b"$x"));
    let report = import("D=four\nB=y").apply(&mut vault, Existing::Keep, NOW).unwrap();
    assert_eq!(report.kept, [id("B")]);
    // Another store of this program, with what is kept beside the values.
    let change = Change { labels: Some([("team".to_owned(), "a".to_owned())].into()), ..Change::at(NOW) };
    vault.update_meta(&id("A"), &change).unwrap();
    let change = Change { expires: Some(Some(Timestamp(NOW.0 - 1))), ..Change::at(NOW) };
    vault.update_meta(&id("D"), &change).unwrap();
    let mut other = new_vault(&folder, "other");
    let names = Names { prefix: Some(id("old")), ..Names::default() };
    let report = super::vault(&vault, &names, NOW).unwrap().apply(&mut other, Existing::Refuse, NOW).unwrap();
    assert_eq!(report.added, [id("old.A"), id("old.B"), id("old.C")]);
    assert_eq!(report.notices, ["`D` has expired and is left out"]);
    assert_eq!(other.meta(&id("old.A")).unwrap().labels["team"], "a");
}

#[test]
fn an_export_comes_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut vault = new_vault(&folder, "secrets");
    let change = Change {
        expires: Some(Some(Timestamp(NOW.0 + 1000))),
        rotate_every: Some(Some(std::time::Duration::from_secs(60))),
        hosts: Some(vec!["api.example.org".to_owned()]),
        ..Change::at(NOW)
    };
    vault.set(&id("text"), "line\n\"é\" \u{1}".as_bytes(), &change).unwrap();
    vault.set(&id("bytes"), b"\xff\x00", &Change::at(NOW)).unwrap();
    vault.set(&id("long"), &[b'x'; VALUE_BYTES_MAX], &Change::at(NOW)).unwrap();
    vault.set(&id("gone"), b"old", &Change { expires: Some(Some(NOW)), ..Change::at(NOW) }).unwrap();
    let passphrase = || Locked::copy_of(b"correct horse").unwrap();
    let to = To::Passphrase(passphrase());
    let report = export::chosen(&vault, &[], NOW).unwrap();
    assert_eq!((report.exported.len(), report.expired), (3, vec![id("gone")]));
    let mut export = export::Export::begin_as(vault.id(), 3, &to, NOW, 10).unwrap();
    for id in &report.exported {
        export.add(&vault.get(id, NOW).unwrap()).unwrap();
    }
    let (file, ids) = export.finish().unwrap();
    assert_eq!(ids, report.exported);
    assert!(!String::from_utf8_lossy(&file).contains("xxxx"));
    let with = With::Passphrase(passphrase());
    let names = Names::default();
    let imported = exported(&mut age::decrypt(&file, &with).unwrap(), &names, NOW).unwrap();
    let mut other = new_vault(&folder, "other");
    imported.apply(&mut other, Existing::Refuse, NOW).unwrap();
    for name in ["text", "bytes", "long"] {
        let (mine, theirs) = (vault.get(&id(name), NOW).unwrap(), other.get(&id(name), NOW).unwrap());
        assert!(mine.value.equals(theirs.value.expose()), "{name}");
        assert_eq!(
            (mine.meta.expires, mine.meta.rotate_every, &mine.meta.hosts),
            (theirs.meta.expires, theirs.meta.rotate_every, &theirs.meta.hosts)
        );
    }
    // Single secrets, and ones that are not there.
    let report = export::chosen(&vault, &[id("text"), id("text")], NOW).unwrap();
    assert_eq!(report.exported, [id("text")]);
    assert!(matches!(export::chosen(&vault, &[id("none")], NOW), Err(export::ExportError::Store(_))));
    let short = export::Export::begin_as(vault.id(), 1, &to, NOW, 10).unwrap();
    assert!(matches!(short.finish(), Err(export::ExportError::Count { said: 1, added: 0 })));
    // The plain content: half of it, or something else, is nothing.
    let plain = age::decrypt(&file, &with).unwrap().whole(1 << 20).unwrap();
    let text = String::from_utf8(plain.expose().to_vec()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4);
    for (text, expected) in [
        (String::new(), "empty"),
        (lines[..3].join("\n") + "\n", "holds 2 secrets, and its first line says 3"),
        (text[..text.len() - 1].to_owned(), "cut off"),
        (text.replace("\"version\":1", "\"version\":2"), "version 2"),
        (text.replace(export::FORMAT, "other"), "something else"),
        (text.replace("\"valueB64\":\"/wA=\"", "\"valueB64\":\"*\""), "no base64"),
        (text.replace("\"valueB64\":\"/wA=\"", "\"other\":\"x\""), "does not fit"),
        (text.replace("\"valueB64\":\"/wA=\",", ""), "no value"),
        (format!("{}\n{}", lines[0], "x".repeat(LOCKED_MAX)), "too long"),
    ] {
        let error = told(exported(&mut text.as_bytes(), &names, NOW));
        assert!(error.starts_with("ERROR") && error.contains(expected), "{error}");
    }
}

#[test]
fn deny_exports_over_files_and_links() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("export.age");
    export::write(&path, b"one", export::Overwrite::Refuse).unwrap();
    assert!(export::write(&path, b"two", export::Overwrite::Refuse).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"one");
    export::write(&path, b"two", export::Overwrite::Replace).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"two");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let link = folder.path().join("link.age");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(export::write(&link, b"three", export::Overwrite::Refuse).is_err());
    export::write(&link, b"three", export::Overwrite::Replace).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"two", "the link is replaced, never what it points to");
}

#[test]
fn files_are_read_into_locked_memory_up_to_a_bound() {
    assert!(read(&mut &b"abc"[..]).unwrap().equals(b"abc"));
    assert_eq!(read(&mut &vec![b'x'; FILE_BYTES_MAX][..]).unwrap().len(), FILE_BYTES_MAX);
    assert!(matches!(read(&mut &vec![b'x'; FILE_BYTES_MAX + 1][..]), Err(ImportError::TooLarge)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_quoted_for_dotenv_comes_back(values in prop::collection::vec("[ -~\n\té]{1,40}", 1..6)) {
        let quoted = |value: &str| {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
            ["\"", &escaped, "\""].concat()
        };
        let lines: Vec<String> =
            values.iter().enumerate().map(|(place, value)| ["K", &place.to_string(), "=", &quoted(value)].concat()).collect();
        let imported = dotenv(lines.join("\n").as_bytes(), &Names::default()).unwrap();
        let read: Vec<&[u8]> = imported.entries.iter().map(|entry| entry.value.expose()).collect();
        let expected: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
        prop_assert_eq!(read, expected);
        prop_assert!(imported.notices.is_empty());
    }

    #[test]
    fn random_files_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "[A-C='\"\\\\$# \n{}:,\\[\\]]{0,60}") {
        let key = ReferenceKey::of_text(b"x", "X").unwrap();
        for input in [&bytes[..], text.as_bytes()] {
            let read = [dotenv(input, &Names::default()), json(input, &Names::default())];
            for entry in read.into_iter().flatten().flat_map(|read| read.entries) {
                prop_assert!(!entry.value.is_empty());
            }
            prop_assert!(reference_store(input, &key, &Names::default()).is_err());
            prop_assert!(exported(&mut &input[..], &Names::default(), NOW).is_err());
        }
    }
}
