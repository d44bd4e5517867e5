// SPDX-License-Identifier: MIT OR Apache-2.0
//! Order, shape and what is withheld.

use std::cell::RefCell;

use proptest::prelude::*;

use super::*;

/// A store that notes what it was asked.
#[derive(Default)]
struct Noted {
    values: BTreeMap<String, Vec<u8>>,
    read: RefCell<Vec<String>>,
    fails: bool,
}

impl Noted {
    fn with(values: &[(&str, &str)]) -> Self {
        let values = values.iter().map(|(id, value)| ((*id).to_owned(), value.as_bytes().to_vec()));
        Self { values: values.collect(), ..Self::default() }
    }
}

impl Lookup for Noted {
    fn has(&self, id: &SecretId) -> Result<bool, String> {
        if self.fails { Err("it is locked".to_owned()) } else { Ok(self.values.contains_key(id.as_str())) }
    }

    fn find(&self, id: &SecretId) -> Result<Option<Locked>, String> {
        if self.fails {
            return Err("it is locked".to_owned());
        }
        self.read.borrow_mut().push(id.to_string());
        Ok(self.values.get(id.as_str()).map(|value| Locked::copy_of(value).unwrap()))
    }
}

fn environment(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn overlay(entries: &[(&str, &str)]) -> Overlay {
    let mut overlay = Overlay::new();
    for (id, value) in entries {
        assert!(overlay.add(&id.parse().unwrap(), Locked::copy_of(value.as_bytes()).unwrap()));
    }
    overlay
}

fn found(id: &str, config: &Overlay, store: &Noted, environment: &BTreeMap<String, String>) -> (String, String) {
    let places = Places { config, store, environment };
    let resolution = resolve("web search", &[id], places, Values::Released).unwrap();
    let assignment = &resolution.assignments[0];
    let value =
        assignment.value.as_ref().map_or(String::new(), |value| String::from_utf8(value.expose().to_vec()).unwrap());
    (assignment.source.as_ref().map_or("none".to_owned(), Source::word), value)
}

#[test]
fn the_order_is_configuration_store_environment() {
    const ID: &str = "tools.web.search.apiKey";
    let names = [
        "RINGFORT_SECRET_TOOLS_WEB_SEARCH_API_KEY",
        "OPENCLAW_ZIG_SECRET_TOOLS_WEB_SEARCH_API_KEY",
        "OPENCLAW_GO_SECRET_TOOLS_WEB_SEARCH_API_KEY",
        "OPENCLAW_RS_SECRET_TOOLS_WEB_SEARCH_API_KEY",
        "OPENCLAW_SECRET_TOOLS_WEB_SEARCH_API_KEY",
    ];
    assert_eq!(environment_names(&ID.parse().unwrap()), names);
    let (none, empty, nothing) = (Overlay::new(), Noted::default(), environment(&[]));
    let config = overlay(&[(ID, "c")]);
    let store = Noted::with(&[(ID, "s")]);
    let all: Vec<(&str, &str)> = names.iter().map(|name| (*name, *name)).collect();
    let pair = |source: &str, value: &str| (source.to_owned(), value.to_owned());
    assert_eq!(found(ID, &config, &store, &environment(&all)), pair("config", "c"));
    assert_eq!(found(ID, &none, &store, &environment(&all)), pair("store", "s"));
    for at in 0..names.len() {
        let seen = found(ID, &none, &empty, &environment(&all[at..]));
        assert_eq!(seen, pair(&format!("env:{}", names[at]), names[at]));
    }
    assert_eq!(found(ID, &none, &empty, &nothing), pair("none", ""));
    let upper = overlay(&[("TOOLS.web.search.APIKEY", "u")]);
    assert_eq!(found(ID, &upper, &store, &nothing), pair("config", "u"), "the configuration ignores case");
}

#[test]
fn variables_of_other_programs_stand_for_their_ids_only() {
    let environment = environment(&[
        ("OPENROUTER_API_KEY", "r"),
        ("TELEGRAM_BOT_TOKEN", "b"),
        ("TELEGRAM_WEBHOOK_SECRET", "w"),
        ("OPENCLAW_SECRET_TALK_API_KEY", "  "),
    ]);
    let source = |id: &str| found(id, &Overlay::new(), &Noted::default(), &environment).0;
    assert_eq!(source("talk.apiKey"), "env:OPENROUTER_API_KEY", "a blank variable is none");
    assert_eq!(source("channels.telegram.botToken"), "env:TELEGRAM_BOT_TOKEN");
    assert_eq!(source("channels.telegram.webhookSecret"), "env:TELEGRAM_WEBHOOK_SECRET");
    for id in
        ["talk.providers.openai.apiKey", "models.providers.openrouter.apiKey", "channels.telegram.accounts.a.botToken"]
    {
        assert_eq!(source(id), "none", "{id}");
    }
}

#[test]
fn words_of_variables_follow_the_reference() {
    for (id, word) in [
        ("tools.web.search.apiKey", "TOOLS_WEB_SEARCH_API_KEY"),
        ("channels.nextcloud-talk.botSecret", "CHANNELS_NEXTCLOUD_TALK_BOT_SECRET"),
        ("auth-profiles.api_key.key", "AUTH_PROFILES_API_KEY_KEY"),
        ("a.URLValue", "A_URLVALUE"),
        ("a.x9Y", "A_X9Y"),
    ] {
        assert_eq!(environment_word(&id.parse().unwrap()), word);
    }
}

#[test]
fn deny_the_settings_of_the_store_as_secrets() {
    /// Knows every id and has none.
    struct Known;
    impl Lookup for Known {
        fn has(&self, _: &SecretId) -> Result<bool, String> {
            Ok(true)
        }
        fn find(&self, _: &SecretId) -> Result<Option<Locked>, String> {
            Ok(None)
        }
    }
    let environment = environment(&[
        ("RINGFORT_SECRET_STORE_KEY", "the key of everything"),
        ("OPENCLAW_ZIG_SECRET_STORE_KEY", "the key of everything"),
        ("OPENCLAW_SECRET_BACKEND", "env"),
    ]);
    let places = Places { config: &Nowhere, store: &Known, environment: &environment };
    for id in ["store.key", "store-key", "storeKey", "STORE_KEY", "backend", "store.path"] {
        assert_eq!(environment_names(&id.parse().unwrap()), [] as [String; 0], "{id}");
        assert_eq!(resolve("x", &[id], places, Values::Released).unwrap().resolved(), 0, "{id}");
    }
}

#[test]
fn values_are_whole() {
    let environment = environment(&[("RINGFORT_SECRET_TALK_API_KEY", " key \n")]);
    assert_eq!(found("talk.apiKey", &Overlay::new(), &Noted::default(), &environment).1, " key \n");
}

#[test]
fn deny_values_where_they_are_withheld() {
    let store = Noted::with(&[("talk.apiKey", "the-stored-value")]);
    let config = overlay(&[("cron.webhookToken", "the-configured-value")]);
    let environment = environment(&[("RINGFORT_SECRET_GATEWAY_AUTH_PASSWORD", "the-environments-value")]);
    let places = Places { config: &config, store: &store, environment: &environment };
    let ids = ["talk.apiKey", "cron.webhookToken", "gateway.auth.password"];
    let resolution = resolve("x", &ids, places, Values::Withheld).unwrap();
    assert!(store.read.borrow().is_empty(), "no value is read");
    let text = resolution.to_json().to_string() + &format!("{resolution:?}{:?}", resolution.accesses());
    for value in ["the-stored-value", "the-configured-value", "the-environments-value"] {
        assert!(!text.contains(value), "{text}");
    }
    assert_eq!(resolution.resolved(), 3);
    assert!(resolution.accesses().iter().all(|access| !access.released));
    let released = resolve("x", &ids, places, Values::Released).unwrap();
    assert!(!format!("{released:?}{:?}", released.accesses()).contains("-value"), "what is recorded holds no value");
    assert!(released.accesses().iter().all(|access| access.released));
}

#[test]
fn deny_wildcards_and_likenesses() {
    let store = Noted::with(&[("models.providers.openai.apiKey", "v"), ("channels.slack.accounts.a.botToken", "w")]);
    let nothing = environment(&[]);
    let places = Places { config: &Nowhere, store: &store, environment: &nothing };
    for family in ["models.providers.*.apiKey", "channels.slack.accounts.*.botToken", "talk.providers.*.apiKey"] {
        let resolution = resolve("x", &[family], places, Values::Released).unwrap();
        assert_eq!(resolution.resolved(), 0, "{family}");
        assert_eq!(resolution.to_json()["inactiveRefPaths"], json!([family]));
    }
    for text in ["*", "models.*", "models.providers.open*.apiKey", "models.providers.openai.apiKe?", "a b"] {
        assert!(matches!(resolve("x", &[text], places, Values::Released), Err(ResolveError::Id(_))), "{text}");
    }
    for other in ["models.providers.OpenAI.apiKey", "models.providers.openai2.apiKey", "talk.providers.openai.apiKey"] {
        assert_eq!(found(other, &Overlay::new(), &store, &nothing).0, "none", "{other}");
    }
}

#[test]
fn deny_requests_that_are_not_well_formed_as_a_whole() {
    let store = Noted::with(&[("talk.apiKey", "v"), ("github.token", "g")]);
    let nothing = environment(&[]);
    let places = Places { config: &Nowhere, store: &store, environment: &nothing };
    let ask = |command: &str, ids: &[&str]| resolve(command, ids, places, Values::Released);
    for command in ["", " ", "\t\n", &"x".repeat(COMMAND_MAX + 1)] {
        assert!(matches!(ask(command, &["talk.apiKey"]), Err(ResolveError::Command)));
    }
    assert!(matches!(ask("x", &["talk.apiKey", "no.such.thing"]), Err(ResolveError::Unknown { .. })));
    assert!(matches!(ask("x", &["talk.apiKey", "a..b"]), Err(ResolveError::Id(_))));
    assert!(matches!(ask("x", &["talk.apiKey"; IDS_MAX + 1]), Err(ResolveError::TooMany { .. })));
    assert!(store.read.borrow().is_empty(), "no value was read for a request that is refused");
    assert_eq!(ask("x", &["github.token"]).unwrap().resolved(), 1, "what is stored is known");
}

#[test]
fn deny_the_environment_in_place_of_a_store_that_fails() {
    let store = Noted { fails: true, ..Noted::default() };
    let environment = environment(&[("RINGFORT_SECRET_TALK_API_KEY", "v")]);
    let places = Places { config: &Nowhere, store: &store, environment: &environment };
    for values in [Values::Withheld, Values::Released] {
        let error = resolve("x", &["talk.apiKey"], places, values).unwrap_err();
        assert!(matches!(error, ResolveError::Place { place: "store", .. }), "{error}");
    }
}

#[test]
fn deny_two_keys_of_the_configuration_that_differ_in_case() {
    let mut overlay = overlay(&[("talk.apiKey", "one")]);
    assert!(!overlay.add(&"TALK.apikey".parse().unwrap(), Locked::copy_of(b"two").unwrap()));
    assert!(overlay.find(&"talk.apiKey".parse().unwrap()).unwrap().unwrap().equals(b"one"));
}

#[test]
fn the_answer_has_the_references_shape() {
    let store = Noted::with(&[("talk.apiKey", "v")]);
    let nothing = environment(&[]);
    let places = Places { config: &Nowhere, store: &store, environment: &nothing };
    let answer = |ids: &[&str]| resolve(" web search ", ids, places, Values::Released).unwrap().to_json();
    let mixed = answer(&["talk.apiKey", " ", "cron.webhookToken", "talk.apiKey"]);
    assert_eq!(
        mixed,
        json!({
            "ok": true,
            "commandName": "web search",
            "assignments": [
                {"path": "talk.apiKey", "pathSegments": ["talk", "apiKey"], "value": "v",
                 "resolved": true, "source": "store", "withheld": false},
                {"path": "cron.webhookToken", "pathSegments": ["cron", "webhookToken"], "value": null,
                 "resolved": false, "source": null, "withheld": false},
            ],
            "diagnostics": ["some of the targets have no secret"],
            "inactiveRefPaths": ["cron.webhookToken"],
            "resolvedCount": 1,
            "inactiveCount": 1,
        })
    );
    let sentences = [answer(&[]), answer(&["cron.webhookToken"]), mixed, answer(&["talk.apiKey"])]
        .map(|answer| answer["diagnostics"].to_string());
    assert_eq!(sentences.iter().collect::<std::collections::BTreeSet<_>>().len(), 4, "four cases: {sentences:?}");
}

#[test]
fn a_value_that_is_no_text_is_shown_as_what_it_is() {
    let mut overlay = Overlay::new();
    overlay.add(&"talk.apiKey".parse().unwrap(), Locked::copy_of(&[0xff, 0]).unwrap());
    let nothing = environment(&[]);
    let places = Places { config: &overlay, store: &Nowhere, environment: &nothing };
    let answer = resolve("x", &["talk.apiKey"], places, Values::Released).unwrap().to_json();
    assert_eq!(
        (&answer["assignments"][0]["value"], &answer["assignments"][0]["valueBase64"]),
        (&Value::Null, &json!("/wA="))
    );
}

proptest! {
    #[test]
    fn an_id_finds_only_itself(
        stored in "[a-z]{1,3}(\\.[a-z]{1,3}){0,3}",
        asked in "[a-z*]{1,3}(\\.[a-z*]{1,3}){0,3}",
    ) {
        let store = Noted::with(&[(&stored, "v")]);
        let nothing = environment(&[]);
        let places = Places { config: &Nowhere, store: &store, environment: &nothing };
        let found = resolve("x", &[&asked], places, Values::Released).map_or(0, |answer| answer.resolved());
        prop_assert_eq!(found, usize::from(asked == stored));
    }
}
