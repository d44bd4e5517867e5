// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files into configuration: layers, errors that name the place and the key, values that would have no effect.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use ringfort_core::form::Form;
use ringfort_core::secret::Secret;
use ringfort_core::traits::{Unseal, UnsealError};
use ringfort_policy::config::{Ask, Config, Level, RuntimeKind, TunnelProvider, Unresolved};
use ringfort_policy::load::{Layer, SourceState, load, validate};
use ringfort_policy::preset::Preset;

use crate::support::Files;

const SAMPLE: &str = include_str!("fixtures/sample.toml");

#[test]
fn the_sample_loads_unchanged() {
    let files = Files::new();
    files.write("system.toml", SAMPLE);
    let loaded = files.load().unwrap();
    let config = &loaded.config;
    assert_eq!(config.autonomy.allowed_commands.as_deref(), Some(&["git", "npm", "cargo"].map(str::to_owned)[..]));
    assert_eq!(config.autonomy.forbidden_paths, ["/etc", "/root"]);
    assert_eq!((config.autonomy.level, config.autonomy.workspace_only), (Level::Supervised, true));
    assert_eq!(config.runtime.kind, RuntimeKind::Docker);
    assert_eq!((config.runtime.docker.memory_limit_mb, config.runtime.docker.cpu_limit), (512, 1.0));
    assert_eq!((config.gateway.port, config.gateway.rate_limit_max_keys), (3000, 10_000));
    assert_eq!(config.tunnel.provider, TunnelProvider::None);
    assert_eq!(config.channels_config.telegram.as_ref().unwrap().allowed_users, [""; 0]);
    let secret = config.channels_config.whatsapp.as_ref().unwrap().app_secret.as_ref().unwrap();
    let opened = secret.open("channels_config.whatsapp.app_secret", &Refuses).unwrap();
    assert_eq!((secret.form(), opened.expose().as_str()), (Form::Plain, "meta_app_secret"));
    assert_eq!(config.secrets_in_clear(), ["channels_config.webhook.secret", "channels_config.whatsapp.app_secret"]);
    assert!(!format!("{config:?}").contains("meta_app_secret"));
    assert!(!serde_json::to_string(config).unwrap().contains("webhook_secret_here"));
}

/// Opens nothing, and says at which key it was asked.
struct Refuses;

impl Unseal for Refuses {
    fn open(&self, key: &str, text: &str) -> Result<Secret<String>, UnsealError> {
        Err(UnsealError { key: key.to_owned(), message: format!("{} bytes were shown", text.len()) })
    }
}

#[test]
fn a_sealed_value_loads_closed_and_is_opened_at_its_key() {
    for (text, form) in [("enc2:00ff", Form::Enc2), ("enc3:AAAA", Form::Enc3)] {
        let toml = format!("[channels_config.webhook]\nsecret = \"{text}\"\n");
        let config = validate("ringfort.toml".as_ref(), &toml).unwrap();
        let secret = config.channels_config.webhook.as_ref().unwrap().secret.as_ref().unwrap();
        assert_eq!((secret.form(), config.secrets_in_clear().len()), (form, 0));
        let error = secret.open("channels_config.webhook.secret", &Refuses).unwrap_err();
        assert_eq!(error.to_string(), "cannot open `channels_config.webhook.secret`: 9 bytes were shown");
        assert!(!format!("{config:?}{}", serde_json::to_string(&config).unwrap()).contains(text));
    }
}

#[test]
fn deny_forms_that_are_not_opened_here() {
    for (text, expected) in [
        ("enc4:00ff", "`enc4:`"),
        ("ENC2:00ff", "`ENC2:`"),
        (" enc3:00ff", "` enc3:`"),
        ("enc:00ff", "seal-config --migrate"),
        ("op://vault/item/00ff", "`op://`"),
        (&"x".repeat(200_000), "longer than"),
    ] {
        let toml = format!("\n[channels_config.webhook]\nsecret = \"{text}\"\n");
        let error = validate("ringfort.toml".as_ref(), &toml).unwrap_err().to_string();
        let at = "`ringfort.toml` line 3, column 10: `channels_config.webhook.secret`: ";
        assert!(error.starts_with(at) && error.contains(expected) && !error.contains("00ff"), "{error}");
        assert!(error.len() < 400, "{error}");
    }
}

#[test]
fn nothing_configured_is_the_supervised_preset() {
    let loaded = Files::new().load().unwrap();
    assert_eq!(loaded.config, Config::default());
    assert_eq!((loaded.chain.len(), loaded.sources.len(), loaded.notices.len()), (1, 0, 0));
}

#[test]
fn every_preset_loads_and_differs() {
    let mut digests = Vec::new();
    for preset in Preset::ALL {
        let config = validate("preset".as_ref(), preset.text()).unwrap();
        assert_eq!(config.policy.preset, preset);
        let files = Files::new();
        let mut sources = files.sources();
        sources.preset = Some(preset);
        let loaded = load(&sources).unwrap();
        assert_eq!(loaded.config, config, "{preset:?}");
        digests.push(loaded.chain[0].digest());
    }
    digests.dedup();
    assert_eq!(digests.len(), 3);
}

#[test]
fn later_layers_win_key_by_key() {
    let files = Files::new();
    files.write("system.toml", "[autonomy]\nlevel = \"readonly\"\nmax_actions_per_hour = 7\n[gateway]\nport = 1\n");
    files.write("user.toml", "[policy]\npreset = \"locked\"\n[autonomy]\nmax_actions_per_hour = 8\n");
    files.accept_user();
    let explicit = files.write("explicit.toml", "gateway.port = 2\n[autonomy]\nlevel = \"supervised\"\n");
    let mut sources = files.sources();
    sources.explicit = Some(explicit);
    sources.overrides = vec![
        ("autonomy.ask".to_owned(), "high".to_owned()),
        ("autonomy.workspace_only".to_owned(), "false".to_owned()),
        ("autonomy.allowed_roots".to_owned(), "[\"/srv\"]".to_owned()),
    ];
    let loaded = load(&sources).unwrap();
    let autonomy = &loaded.config.autonomy;
    assert_eq!((autonomy.level, autonomy.max_actions_per_hour), (Level::Supervised, 8));
    assert_eq!((autonomy.ask, autonomy.unresolved), (Ask::High, Unresolved::Deny));
    assert_eq!((autonomy.workspace_only, &autonomy.allowed_roots[..]), (false, &["/srv".to_owned()][..]));
    assert_eq!(loaded.config.gateway.port, 2);
    assert_eq!(loaded.origins.get("autonomy.level"), Some(&Layer::Explicit));
    assert_eq!(loaded.origins.get("autonomy.ask"), Some(&Layer::Flags));
    let layers: Vec<_> = loaded.sources.iter().map(|source| (source.layer, source.state)).collect();
    assert_eq!(
        layers,
        [Layer::System, Layer::User, Layer::Explicit, Layer::Flags].map(|l| (l, SourceState::Effective))
    );
}

#[test]
fn errors_name_the_place_the_key_and_what_was_meant() {
    for (text, expected) in [
        (
            "[autonomy]\nlevle = \"full\"\n",
            "`system.toml` line 2, column 1: unknown key `autonomy.levle`; did you mean `autonomy.level`?",
        ),
        (
            "[autonomy]\n\n  allowed_command = []\n",
            "`system.toml` line 3, column 3: unknown key `autonomy.allowed_command`; did you mean `autonomy.allowed_commands`?",
        ),
        ("level = \"full\"\n", "`system.toml` line 1, column 1: unknown key `level`; did you mean `autonomy.level`?"),
        ("[autonomi]\nlevel = 1\n", "`system.toml` line 1, column 2: unknown key `autonomi`; did you mean `autonomy`?"),
        ("[zzzzzzzz]\n", "`system.toml` line 1, column 2: unknown key `zzzzzzzz`"),
        (
            "[channels_config.telegram]\nallowed_numbers = []\n",
            "`system.toml` line 2, column 1: unknown key `channels_config.telegram.allowed_numbers`; did you mean `channels_config.telegram.allowed_users`?",
        ),
        ("\"a\\u001b[2J\" = 1\n", "`system.toml` line 1, column 1: unknown key `a\\u{1b}[2J`"),
        (
            "[autonomy]\nworkspace_only = \"yes\"\n",
            "`system.toml` line 2, column 18: `autonomy.workspace_only`: invalid type: string \"yes\", expected a boolean",
        ),
        (
            "[autonomy]\nmax_actions_per_hour = -1\n",
            "`system.toml` line 2, column 24: `autonomy.max_actions_per_hour`: invalid value: integer `-1`, expected u32",
        ),
        (
            "[autonomy]\nlevel = \"ful\"\n",
            "`system.toml` line 2, column 9: `autonomy.level`: unknown variant `ful`, expected one of `readonly`, `supervised`, `full`",
        ),
        (
            "[autonomy]\nloop_repeats_max = 0\n",
            "`system.toml` line 2, column 1: `autonomy.loop_repeats_max`: 0 is not between 1 and 10000",
        ),
        (
            "[autonomy]\nforbidden_paths = [\"/x\", \"/a/*\"]\n",
            "`system.toml` line 2, column 1: `autonomy.forbidden_paths`: `/a/*`: a path holds no patterns and no variables; a folder covers what is below it",
        ),
        (
            "[egress]\ndomains = [\"*.com\"]\n",
            "`system.toml` line 2, column 1: `egress.domains`: `*.com`: a `*` stands before two named labels at least, as in `*.example.com`",
        ),
        (
            "[sandbox]\nrequire = []\n",
            "`system.toml` line 2, column 1: `sandbox.require`: a cage without `confine-writes` is none",
        ),
        (
            "[autonomy]\nshell_env_passthrough = [\"LD_PRELOAD\"]\n",
            "`system.toml` line 2, column 1: `autonomy.shell_env_passthrough`: `LD_PRELOAD`: it decides which code a program loads and is never passed on",
        ),
        (
            "[autonomy]\nlevel = \"full\"\nask = \"high\"\n",
            "`system.toml` line 3, column 1: `autonomy.ask` has no effect: `autonomy.level = \"full\"` never asks",
        ),
        (
            "[runtime.docker]\nimage = \"x\"\n",
            "`system.toml` line 1, column 10: `runtime.docker` has no effect: `runtime.kind` is neither `docker` nor `podman`",
        ),
    ] {
        let files = Files::new();
        files.write("system.toml", text);
        assert_eq!(files.error(), expected, "`{text}`");
    }
}

#[test]
fn deny_texts_that_are_no_toml() {
    for text in ["[autonomy", "a = ", "= 1", "[a]\n[a]\n", "\u{0}", "a = 1\na = 2\n"] {
        let files = Files::new();
        files.write("system.toml", text);
        let error = files.error();
        assert!(error.starts_with("`system.toml` line "), "`{text}`: {error}");
    }
}

#[test]
fn a_later_layer_may_switch_off_what_an_earlier_one_uses() {
    let files = Files::new();
    files.write(
        "system.toml",
        "[autonomy]\nask = \"high\"\n[runtime]\nkind = \"docker\"\n[runtime.docker]\nimage = \"x\"\n",
    );
    let mut sources = files.sources();
    sources.overrides =
        vec![("autonomy.level".to_owned(), "full".to_owned()), ("runtime.kind".to_owned(), "native".to_owned())];
    assert!(load(&sources).is_ok());
}

#[test]
fn deny_flags_that_are_no_keys() {
    for (key, value) in [
        ("", "1"),
        ("autonomy", "1"),
        ("autonomy.levle", "full"),
        ("autonomy.level", "fulll"),
        ("autonomy.level.x", "1"),
        ("a.b.c.d.e.f.g.h.i", "1"),
        ("autonomy.level", "\"full\"\nask = \"never\""),
    ] {
        let files = Files::new();
        let mut sources = files.sources();
        sources.overrides = vec![(key.to_owned(), value.to_owned())];
        assert!(load(&sources).is_err(), "{key} = {value}");
    }
    let files = Files::new();
    let mut sources = files.sources();
    sources.overrides = vec![("gateway.port".to_owned(), "1".to_owned()), ("gateway.port".to_owned(), "2".to_owned())];
    assert_eq!(load(&sources).unwrap_err().to_string(), "`flags` line 1, column 1: `gateway.port`: it is given twice");
}

#[test]
fn deny_files_that_cannot_be_trusted() {
    let files = Files::new();
    let path = files.write("system.toml", "");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o602)).unwrap();
    assert_eq!(files.error(), "`system.toml` can be written by everybody; remove that right with `chmod o-w`");

    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(files.error(), "`system.toml` is not a regular file");

    fs::remove_dir(&path).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    assert_eq!(files.error(), "`system.toml` is not a regular file");

    fs::remove_file(&path).unwrap();
    files.write("system.toml", vec![b'#'; (1 << 20) + 1]);
    assert_eq!(files.error(), "`system.toml` is larger than 1048576 bytes");

    files.write("system.toml", [0xff, 0xfe]);
    assert_eq!(files.error(), "`system.toml` is not UTF-8 text");

    files.write("system.toml", "");
    symlink("system.toml", files.path("project.toml")).unwrap();
    assert_eq!(files.error(), "`project.toml` is not a regular file");

    fs::remove_file(files.path("project.toml")).unwrap();
    let mut sources = files.sources();
    sources.explicit = Some(files.path("absent.toml"));
    assert!(load(&sources).unwrap_err().to_string().ends_with("absent.toml` does not exist"));
}

#[test]
fn digests_bind_what_decides() {
    let digest = |text: &str| {
        let files = Files::new();
        files.write("system.toml", text);
        let loaded = files.load().unwrap();
        (loaded.chain[0].digest(), loaded.digest)
    };
    let base = digest("");
    assert_eq!(base, digest("# a comment\n"));
    assert_ne!(base.0, digest("[autonomy]\nask = \"high\"\n").0);
    assert_ne!(base.0, digest("[egress]\ndomains = [\"example.com\"]\n").0);
    let gateway = digest("[gateway]\nport = 1\n");
    assert_eq!(base.0, gateway.0);
    assert_ne!(base.1, gateway.1);
}
