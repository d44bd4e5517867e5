// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: secrets come in whole or not at all, leave only sealed and under permits, and do not stay in clear in a
//! configuration file; a sealed value opens where it was sealed for and nowhere else.
//!
//! In: files as other programs write them. Out: what is said, and everything that is left on the disk.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::hook::{bash, record, verdict};
use crate::pty::Pty;
use crate::secrets::holding;
use crate::support::{Output, Place, binary, skips_are_errors};

/// Values that stand nowhere else.
const ONE: &str = "swordfish-4711-first-of-its-kind";
const TWO: &str = "halibut-0815-second-of-its-kind";

fn secrets(place: &Place, line: &str) -> Output {
    place.ringfort(["secrets"].into_iter().chain(line.split_whitespace())).output()
}

fn shown(place: &Place, id: &str) -> Value {
    let output = place.ringfort(["--json", "secrets", "get", id, "--reveal"]).output().exits(0);
    serde_json::from_slice::<Value>(&output.stdout).unwrap()["value"].clone()
}

fn user_file(place: &Place, text: &str) -> std::path::PathBuf {
    let path = place.home.join(".config/ringfort/ringfort.toml");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

/// A configuration with two secrets, a comment on each line.
fn config() -> String {
    format!(
        "# mine\n[channels_config.webhook]  # w\nsecret = \"{ONE}\"  # keep this\n\n[channels_config.whatsapp]\n\
         app_secret = '{TWO}'\nallowed_numbers = []\n"
    )
}

#[test]
fn a_dotenv_file_is_imported_and_used() {
    let place = Place::new();
    place.write(".env", format!("# app\nexport API_KEY=\"{ONE}\"\nDB_PASSWORD='{TWO}' # x\n"));
    let output = secrets(&place, "import .env --prefix app --rename DB_PASSWORD=db.main --dry-run").exits(0);
    assert!(output.out().contains("2 would be added: app.API_KEY db.main"), "{output}");
    assert!(!place.state.join("secrets").exists(), "a look makes no store");
    let output = secrets(&place, "import .env --prefix app --rename DB_PASSWORD=db.main").exits(0);
    assert!(output.out().contains("2 added: app.API_KEY db.main") && output.out().contains("remove it"), "{output}");
    assert!(!output.out().contains(ONE) && !record(&place).contains(ONE), "{output}");
    assert!(record(&place).contains("secrets.import"));
    assert_eq!(shown(&place, "db.main"), TWO);
    fs::remove_file(place.work.join(".env")).unwrap();
    assert_eq!(holding(&place.root, ONE.as_bytes()), [] as [String; 0]);
    let words = ["run", "--secret", "app.API_KEY=KEY", "--", "sh", "-c", "echo ${#KEY}"];
    let output = place.ringfort(words).output().exits(0);
    assert_eq!(output.out().trim(), ONE.len().to_string(), "{output}");
}

#[test]
fn deny_half_an_import() {
    let place = Place::new();
    place.write("one.json", format!("{{\"a\": {{\"b\": \"{ONE}\"}}}}"));
    secrets(&place, "import one.json").exits(0);
    for (name, text, expected) in [
        ("two.json", format!("{{\"c\": \"{TWO}\", \"a\": {{\"b\": \"{TWO}\"}}}}"), "there already: a.b"),
        ("list.json", format!("{{\"c\": [\"{TWO}\"]}}"), "`c` is a list"),
        ("bad.env", format!("C={TWO}\n{ONE}\n"), "line 2: there is no `=`"),
        ("bad2.env", format!("C=\"{TWO}\n"), "line 1: the quote"),
        ("what", "x".to_owned(), "it is not clear what"),
        ("none.env", String::new(), "nothing to import"),
        ("none.json", "{}".to_owned(), "nothing to import"),
    ] {
        place.write(name, text);
        let output = secrets(&place, &format!("import {name}")).exits(2);
        assert!(output.err().contains(expected), "{name}: {output}");
        assert!(!output.err().contains("swordfish") && !output.err().contains("halibut"), "{output}");
        secrets(&place, "get c").exits(2);
    }
    assert_eq!(shown(&place, "a.b"), ONE);
    secrets(&place, "import two.json --keep").exits(0);
    assert_eq!((shown(&place, "a.b"), shown(&place, "c")), (ONE.into(), TWO.into()));
    secrets(&place, "import two.json --replace").exits(0);
    assert_eq!(shown(&place, "a.b"), TWO);
    let output =
        place.ringfort(["secrets", "import", "-", "--from", "dotenv"]).input("D=from stdin\n").output().exits(0);
    assert!(output.out().contains("1 added: D"), "{output}");
}

#[test]
fn deny_values_on_the_command_line_of_an_import() {
    let place = Place::new();
    for line in [format!("import .env {ONE}"), format!("export x.age --password {ONE}"), format!("import --key {ONE}")]
    {
        let output = secrets(&place, &line).exits(2);
        assert!(!output.err().contains("swordfish"), "{output}");
    }
}

#[expect(clippy::disallowed_methods, reason = "the oracle of this test is the real program")]
fn age(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = std::process::Command::new(program).args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn an_export_opens_with_age_and_comes_back_into_another_store() {
    if !Path::new("/usr/bin/age").exists() {
        assert!(!skips_are_errors(), "the program `age` is not installed");
        eprintln!("skipped: the program `age` is not installed");
        return;
    }
    let place = Place::new();
    place.write("one.json", format!("{{\"a\": \"{ONE}\", \"b\": \"{TWO}\"}}"));
    secrets(&place, "import one.json").exits(0);
    age(&place.work, "/usr/bin/age-keygen", &["-o", "key"]);
    let public = age(&place.work, "/usr/bin/age-keygen", &["-y", "key"]);
    let line = format!("export all.age --recipient {}", public.trim());
    secrets(&place, &line).exits(0);
    let plain = age(&place.work, "/usr/bin/age", &["-d", "-i", "key", "all.age"]);
    assert!(plain.contains(ONE) && plain.lines().count() == 3, "{plain}");
    assert!(record(&place).matches("\"result\":\"released\"").count() >= 2, "each value has its own permit");
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(place.work.join("all.age")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    // It is not written over, and only one secret leaves if one is named.
    let output = secrets(&place, &line).exits(2);
    assert!(output.err().contains("exists already"), "{output}");
    secrets(&place, &format!("{line} --force a")).exits(0);
    assert!(!age(&place.work, "/usr/bin/age", &["-d", "-i", "key", "all.age"]).contains(TWO));

    let other = Place::new();
    for name in ["key", "all.age"] {
        other.write(name, fs::read(place.work.join(name)).unwrap());
    }
    let output = secrets(&other, "import all.age --identity key").exits(0);
    assert!(output.out().contains("1 added: a"), "{output}");
    assert_eq!(shown(&other, "a"), ONE);
    secrets(&other, "import all.age --identity all.age").exits(2);
    assert!(secrets(&place, "export x.age --recipient age1qqqq").exits(2).err().contains("no recipient"));
    assert!(secrets(&place, "export x.age").exits(2).err().contains("not understood"));
}

#[test]
fn deny_an_export_by_an_agent_or_of_what_is_closed() {
    let place = Place::new();
    place.write("one.json", format!("{{\"a\": \"{ONE}\", \"prod\": {{\"b\": \"{TWO}\"}}}}"));
    secrets(&place, "import one.json").exits(0);
    let recipient = "age1t3nz3cm7c3253k97nn68r7zqmywk62fdpx3ta5e7aq6wrkds3u6qsnecu7";
    let words = ["secrets", "export", "x.age", "--recipient", recipient];
    let output = place.ringfort(words).env("CLAUDECODE", "1").output().exits(1);
    assert!(output.err().contains("denied"), "{output}");
    let closed = ["--set", "secrets.deny=[\"prod.*\"]"];
    let output = place.ringfort(closed.into_iter().chain(words)).output().exits(1);
    assert!(output.err().contains("release-001"), "{output}");
    assert!(!place.work.join("x.age").exists());
    for command in [
        format!("ringfort secrets export x.age --recipient {recipient}"),
        "ringfort secrets import .env".to_owned(),
        "ringfort secrets seal-config".to_owned(),
    ] {
        let answer = verdict(&place, &bash(&place, &command));
        assert_eq!(answer.0, "deny", "{command}: {answer:?}");
    }
    place.write("attack.sh", format!("ringfort secrets export x.age --recipient {recipient}; echo status=$?"));
    let path = format!("{}:/usr/bin:/bin", binary().parent().unwrap().display());
    let output = place.ringfort(["run", "--", "sh", "attack.sh"]).env("PATH", path).output();
    assert!(!output.out().contains("status=0") && !place.work.join("x.age").exists(), "{output}");
}

#[test]
fn secrets_in_the_configuration_are_told_sealed_and_stay_accepted() {
    let place = Place::new();
    let path = user_file(&place, &config());
    place.ringfort(["policy", "accept", "--yes"]).output().exits(0);
    let told = place.ringfort(["policy", "show"]).output().exits(0);
    assert!(told.out().contains("`channels_config.webhook.secret` stands in the configuration in clear"), "{told}");
    assert!(!told.out().contains(ONE));

    let output = secrets(&place, "seal-config --dry-run").exits(0);
    assert!(output.out().contains("channels_config.webhook.secret: would be enc3, was plain"), "{output}");
    assert_eq!(fs::read_to_string(&path).unwrap(), config());
    assert!(!place.state.join("secrets").exists(), "a look makes no store");

    let output = secrets(&place, "seal-config").exits(0);
    assert!(!output.out().contains(ONE) && output.out().contains("was accepted, and the sealed one is"), "{output}");
    let sealed = fs::read_to_string(&path).unwrap();
    assert!(sealed.starts_with("# mine\n[channels_config.webhook]  # w\nsecret = \"enc3:"), "{sealed}");
    assert!(sealed.contains("\"  # keep this\n\n[channels_config.whatsapp]\napp_secret = \"enc3:"), "{sealed}");
    assert!(sealed.ends_with("\"\nallowed_numbers = []\n"), "{sealed}");
    // What was in clear is nowhere any more: not in a copy, not in what was accepted.
    assert_eq!(holding(&place.root, ONE.as_bytes()), [] as [String; 0]);

    let told = place.ringfort(["policy", "show"]).output().exits(0);
    assert!(!told.out().contains("in clear") && !told.out().contains("changed since"), "{told}");
    let doctor = place.ringfort(["--json", "doctor"]).output();
    assert!(doctor.out().contains("no secret of the configuration stands there in clear"), "{doctor}");
    let checked = secrets(&place, "seal-config --check").exits(0);
    assert!(checked.out().contains("channels_config.whatsapp.app_secret: enc3 and opens"), "{checked}");
    assert!(secrets(&place, "seal-config").exits(0).out().contains("nothing to seal"));
}

#[test]
fn redact_secrets_in_the_difference_that_is_accepted() {
    let place = Place::new();
    let path = user_file(&place, &config());
    let accept = || place.ringfort(["policy", "accept", "--yes"]).output().exits(0);
    let told = accept();
    assert!(told.out().contains("+secret = [secret 1, not shown]  # keep this"), "{told}");
    assert!(told.out().contains("look at the file itself"), "{told}");
    // A changed value is seen to change, whatever it was and is.
    let token = ["ghp", "_0123456789abcdefghijABCDEFGHIJ012345"].concat();
    user_file(&place, &format!("{}# {token}\n", config().replace(ONE, "another-value-altogether")));
    let changed = accept();
    assert!(changed.out().contains("-secret = [secret 1, not shown]"), "{changed}");
    assert!(changed.out().contains("+secret = [secret 3, not shown]"), "{changed}");
    for told in [&told, &changed] {
        let shown = told.out() + &told.err();
        for value in [ONE, TWO, "another-value-altogether", token.as_str()] {
            assert!(!shown.contains(value), "{value}: {shown}");
        }
    }
    // What was accepted before holds values until the sealed file is accepted, and that is said.
    user_file(&place, &config());
    let sealed = secrets(&place, "seal-config").exits(0);
    assert!(sealed.out().contains("holds values in clear until the file is accepted"), "{sealed}");
    let told = accept();
    assert!(told.out().contains("+secret = [enc3 value 3, not shown]"), "{told}");
    assert_eq!(holding(&place.root, ONE.as_bytes()), [] as [String; 0]);
    assert!(fs::read_to_string(path).unwrap().contains("enc3:"));
}

#[test]
fn deny_a_value_that_was_moved_to_another_key() {
    let place = Place::new();
    let path = user_file(&place, &config());
    secrets(&place, "seal-config").exits(0);
    let sealed = fs::read_to_string(&path).unwrap();
    assert_eq!(holding(&place.root, ONE.as_bytes()), [] as [String; 0]);
    let values: Vec<&str> = sealed.split('"').filter(|part| part.starts_with("enc3:")).collect();
    fs::write(&path, sealed.replace(values[0], "@").replace(values[1], values[0]).replace('@', values[1])).unwrap();
    place.ringfort(["policy", "accept", "--yes"]).output().exits(0);
    let output = secrets(&place, "seal-config --check").exits(1);
    assert_eq!(output.out().matches("belongs to another key than").count(), 2, "{output}");
    assert!(!output.out().contains(ONE) && !output.out().contains(TWO), "{output}");
    // Another store does not open it at all.
    fs::write(&path, &sealed).unwrap();
    let other = Place::new();
    user_file(&other, &sealed);
    other.ringfort(["policy", "accept", "--yes"]).output().exits(0);
    secrets(&other, "import --from dotenv -").exits(2);
    other.write(".env", "A=b");
    secrets(&other, "import .env").exits(0);
    assert!(secrets(&other, "seal-config --check").exits(1).out().contains("sealed by the store"));
}

#[test]
fn older_forms_are_migrated_on_demand_and_refused_else() {
    let place = Place::new();
    let key = "00".repeat(31) + "01";
    let legacy: String =
        TWO.bytes().enumerate().map(|(at, byte)| format!("{:02x}", byte ^ u8::from(at % 32 == 31))).collect();
    let text = config().replace(TWO, &format!("enc:{legacy}"));
    let path = user_file(&place, &text);
    let folder = path.parent().unwrap();
    fs::write(folder.join(".secret_key"), &key).unwrap();
    // Never plain text: the file does not load.
    let output = place.ringfort(["policy", "validate"]).output().exits(2);
    assert!(output.err().contains("seal-config --migrate") && output.err().contains("app_secret"), "{output}");
    let output = secrets(&place, "seal-config").exits(2);
    assert!(output.err().contains("nothing was changed"), "{output}");
    // The key file has to be this user's alone.
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder.join(".secret_key"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(secrets(&place, "seal-config --migrate").exits(2).err().contains("reached by others"));
    fs::set_permissions(folder.join(".secret_key"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    // To the older form for another program, and from there to the newer one.
    let output = secrets(&place, "seal-config --migrate --format enc2").exits(0);
    assert!(output.out().contains("app_secret: enc2, was enc") && output.out().contains("look whether"), "{output}");
    assert!(output.out().contains("ringfort policy accept"), "{output}");
    place.ringfort(["policy", "accept", "--yes"]).output().exits(0);
    assert!(secrets(&place, "seal-config --check").exits(0).out().contains("webhook.secret: enc2 and opens"));
    secrets(&place, "seal-config --migrate").exits(0);
    let checked = secrets(&place, "seal-config --check").exits(0);
    assert_eq!(checked.out().matches("enc3 and opens").count(), 2, "{checked}");
    for (value, expected) in
        [("op://vault/item", "1Password"), ("enc9:00", "no such form"), ("ENC3:00", "no such form")]
    {
        user_file(&place, &config().replace(TWO, value));
        let output = place.ringfort(["policy", "validate"]).output().exits(2);
        assert!(output.err().contains(expected), "{output}");
    }
}

#[test]
fn a_person_exports_with_a_passphrase() {
    let place = Place::new();
    place.write(".env", format!("A={ONE}"));
    secrets(&place, "import .env").exits(0);
    let mut pty = Pty::start(&place.ringfort(["secrets", "export", "x.age", "--passphrase"]));
    pty.wait_for("Passphrase of the export");
    pty.send("correct horse battery staple\n");
    pty.wait_for("Again");
    pty.send("correct horse battery staple\n");
    pty.wait_for("exported to");
    assert!(pty.ended().success());
    let other = Place::new();
    other.write("x.age", fs::read(place.work.join("x.age")).unwrap());
    let mut pty = Pty::start(&other.ringfort(["secrets", "import", "x.age", "--keep"]));
    pty.wait_for("Passphrase of the age file");
    pty.send("correct horse battery staple\n");
    pty.wait_for("New passphrase");
    pty.send("\n");
    pty.wait_for("1 added: A");
    assert!(pty.ended().success());
    assert_eq!(shown(&other, "A"), ONE);
}
