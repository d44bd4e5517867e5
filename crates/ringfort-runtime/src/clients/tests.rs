// SPDX-License-Identifier: MIT OR Apache-2.0
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

struct Ground {
    _folder: tempfile::TempDir,
    home: PathBuf,
    work: PathBuf,
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (home, work) = (root.join("home"), root.join("home/work"));
        fs::create_dir_all(&work).unwrap();
        Self { _folder: folder, home, work }
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.home.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, preset: EgressPreset, variables: &[(&str, &str)], typed: &[&str]) -> Found {
        let environment: Vec<_> = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let typed: Vec<OsString> = typed.iter().map(OsString::from).collect();
        let written = [self.work.clone()];
        read(
            preset,
            &Settings {
                root: &self.home,
                home: &self.home,
                environment: &environment,
                written: &written,
                typed: &typed,
            },
        )
    }
}

fn hosts(found: &Found) -> Vec<String> {
    found.hosts.iter().map(|place| place.to_pattern().unwrap().to_string()).collect()
}

fn answer(preset: EgressPreset, ground: &Ground, answer: &str) -> Vec<String> {
    let mut found = Found::default();
    let settings = Settings { root: &ground.home, home: &ground.home, environment: &[], written: &[], typed: &[] };
    add_answer(preset, answer, &settings, &mut found);
    hosts(&found)
}

#[test]
fn npm_is_found_where_it_is_configured() {
    let ground = Ground::new();
    assert!(ground.read(EgressPreset::Npm, &[], &[]).query.is_some(), "without settings the client is asked");
    ground.write(
        ".npmrc",
        "; mine\n//mirror.example/:_authToken=s3cret\nregistry = \"https://ada:pw@mirror.example:8443/npm/\"\n\
         @corp:registry=https://npm.${DOMAIN}/\n@odd:registry=nonsense\n",
    );
    let found = ground.read(EgressPreset::Npm, &[("DOMAIN", "corp.example")], &[]);
    assert_eq!(hosts(&found), ["mirror.example:8443", "npm.corp.example:443"]);
    assert_eq!(found.query, None);
    let text = String::from_utf8(found.files[0].1.clone()).unwrap();
    assert_eq!(text, "@corp:registry=https://npm.corp.example/\nregistry=https://mirror.example:8443/npm/\n");
    let found = ground.read(EgressPreset::Npm, &[("npm_config_registry", "http://env.example/")], &[]);
    assert!(hosts(&found).contains(&"env.example:80".to_owned()), "{found:?}");
    assert!(!hosts(&found).contains(&"mirror.example:8443".to_owned()), "{found:?}");
    assert_eq!(answer(EgressPreset::Npm, &ground, "npm warn x\nhttps://r.example/\n"), ["r.example:443"]);
}

#[test]
fn deny_settings_that_an_agent_or_another_user_writes() {
    let ground = Ground::new();
    ground.write("work/.npmrc", "registry=https://evil.example/\n");
    let inside = ground.work.join(".npmrc");
    let none = |found: &Found| assert!(found.hosts.is_empty(), "{found:?}");
    none(&ground.read(EgressPreset::Npm, &[], &[]));
    none(&ground.read(EgressPreset::Npm, &[("npm_config_userconfig", inside.to_str().unwrap())], &[]));
    std::os::unix::fs::symlink(&inside, ground.home.join(".npmrc")).unwrap();
    none(&ground.read(EgressPreset::Npm, &[], &[]));
    fs::remove_file(ground.home.join(".npmrc")).unwrap();
    ground.write(".npmrc", "registry=https://open.example/\n");
    fs::set_permissions(ground.home.join(".npmrc"), fs::Permissions::from_mode(0o666)).unwrap();
    none(&ground.read(EgressPreset::Npm, &[], &[]));
    fs::remove_file(ground.home.join(".npmrc")).unwrap();
    ground.write(".npmrc", &format!("registry=https://big.example/\n{}", "#".repeat(300 << 10)));
    none(&ground.read(EgressPreset::Npm, &[], &[]));
    ground.write("work/.git/config", "[remote \"origin\"]\nurl = https://evil.example/x\n");
    none(&ground.read(EgressPreset::Git, &[], &["make"]));
    ground.write("work/.cargo/config.toml", "[registries.x]\nindex = \"sparse+https://evil.example/\"\n");
    none(&ground.read(EgressPreset::Cargo, &[], &[]));
}

#[test]
fn pip_reads_its_indexes() {
    let ground = Ground::new();
    ground.write(
        ".config/pip/pip.conf",
        "[global]\nindex-url = https://u:p@one.example/simple\nextra-index-url =\n    https://two.example/simple\n    \
         http://three.example:8081/simple\n[list]\nindex-url = https://not.example/\n",
    );
    let found = ground.read(EgressPreset::Pip, &[], &[]);
    assert_eq!(hosts(&found), ["one.example:443", "three.example:8081", "two.example:443"]);
    assert!(found.variables.contains(&("PIP_INDEX_URL".into(), "https://one.example/simple".into())), "{found:?}");
    assert!(!format!("{found:?}").contains("u:p"), "{found:?}");
    let found = ground.read(EgressPreset::Pip, &[("PIP_INDEX_URL", "https://env.example/simple")], &[]);
    assert!(hosts(&found).contains(&"env.example:443".to_owned()) && found.query.is_none(), "{found:?}");
    assert_eq!(
        answer(
            EgressPreset::Pip,
            &ground,
            "https://index.example/simple\nhttps://files.example\nhttps://third.example"
        ),
        ["files.example:443", "index.example:443"]
    );
}

#[test]
fn cargo_follows_its_indexes_to_their_downloads() {
    let ground = Ground::new();
    let error = "error: failed\nCaused by:\n  failed to download from `https://index.example/config.json`\n";
    assert_eq!(answer(EgressPreset::Cargo, &ground, error), ["index.example:443"]);
    let config = r#"{"dl": "https://static.example/crates", "api": "https://api.example"}"#;
    ground.write(".cargo/registry/index/index.example-1949cf8c6b5b557f/config.json", config);
    ground.write(".cargo/registry/index/other.example-1949cf8c6b5b557f/config.json", &config.replace("static", "evil"));
    let expected = ["api.example:443", "index.example:443", "static.example:443"];
    assert_eq!(answer(EgressPreset::Cargo, &ground, error), expected);
    ground.write(
        ".cargo/config.toml",
        "[source.crates-io]\nreplace-with = \"mirror\"\n[source.mirror]\nregistry = \"sparse+https://mirror.example/\"\n\
         [registries.own]\nindex = \"sparse+https://own.example:8443/index/\"\ntoken = \"x\"\n",
    );
    let found = ground.read(EgressPreset::Cargo, &[], &[]);
    assert_eq!(
        (hosts(&found), found.query),
        (vec!["mirror.example:443".to_owned(), "own.example:8443".to_owned()], None)
    );
}

#[test]
fn git_reads_the_users_settings_and_what_a_person_typed() {
    let ground = Ground::new();
    ground.write(
        ".gitconfig",
        "[url \"https://mirror.example/\"]\n\tinsteadOf = https://x.example/\n[credential \"https://cred.example\"]\n\
         \thelper = store\n[user]\n\tname = Ada\n",
    );
    let found = ground.read(EgressPreset::Git, &[], &["git", "clone", "https://tok:en@typed.example:8443/a.git"]);
    assert_eq!(hosts(&found), ["cred.example:443", "mirror.example:443", "typed.example:8443"]);
    let found = ground.read(EgressPreset::Git, &[], &["git", "fetch", "git@ssh.example:a/b.git"]);
    assert!(hosts(&found).contains(&"ssh.example:22".to_owned()), "{found:?}");
    for typed in [&["make", "https://typed.example/"][..], &["git", "commit", "-m", "mail@x.example: hello"]] {
        let found = ground.read(EgressPreset::Git, &[], typed);
        assert_eq!(hosts(&found), ["cred.example:443", "mirror.example:443"]);
    }
}

#[test]
fn a_client_that_answers_nothing_is_told() {
    for preset in EgressPreset::ALL {
        let mut found = Found::default();
        let settings =
            Settings { root: Path::new("/"), home: Path::new("/"), environment: &[], written: &[], typed: &[] };
        add_answer(preset, "command not found", &settings, &mut found);
        assert!(found.hosts.is_empty() && found.notices.len() == 1, "{found:?}");
    }
}
