// SPDX-License-Identifier: MIT OR Apache-2.0
//! What must hold for every input, as bodies for the targets in `fuzz/` and for tests.
//!
//! In: any bytes. Out: nothing; what does not hold is a panic, which a fuzzer keeps together with its input.
//!
//! **Invariant:** a body reads no file, keeps no state and needs no randomness: the same bytes always do the same.

use std::path::{Path, PathBuf};

use ringfort_proxy::wire::chunk::Chunks;
use ringfort_proxy::wire::head::Scanner;
use ringfort_proxy::wire::hello::{Peek, peek};
use ringfort_proxy::wire::request::{Entry, Wish};
use ringfort_proxy::wire::{Found, dns, request, response, socks};

use ringfort_core::action::{Action, Command};
use ringfort_core::clock::Timestamp;
use ringfort_core::decision::{Decision, Risk};
use ringfort_core::effect::Span;
use ringfort_core::principal::Principal;
use ringfort_core::request::{Provenance, Request};
use ringfort_core::ruling::Ruling;
use ringfort_core::text::Text;
use ringfort_policy::command::{Analysis, Context, analyze, analyze_argv};
use ringfort_policy::config::Config;
use ringfort_policy::rule::Policy;
use ringfort_policy::secret_place;
use ringfort_runtime::hook::{self, Moment, Opinion, Place};
use ringfort_secrets::age::{self, Identity, With};
use ringfort_secrets::backend::hostile;
use ringfort_secrets::import::{self, Names, ReferenceKey};
use ringfort_secrets::locked::Locked;
use ringfort_secrets::root::{RootKeyError, RootKeySource, SlotData, StoreId};
use ringfort_secrets::sealed_text::{Enc2Key, TextKey, migrate_enc, open_enc2, open_enc3};
use ringfort_secrets::store::Vault;

/// Longest input that is looked at, in bytes.
pub const INPUT_BYTES_MAX: usize = 16 << 10;
const CONTEXT: Context<'static> =
    Context { cwd: Some(b"/srv/job/app"), home: Some(b"/home/ada"), workspace: Some(b"/srv/job/app") };

/// Every place that an analysis names lies in its input, and what stands after a text lowers nothing.
pub fn shell_parser(input: &[u8]) {
    let Some(input) = input.get(..input.len().min(INPUT_BYTES_MAX)) else { return };
    let analysis = analyze(input, &CONTEXT);
    check_places(&analysis, input.len());
    check_places(&analyze(input, &Context::default()), input.len());
    let words: Vec<&[u8]> = input.split(|b| *b == b'\n').collect();
    check_places(&analyze_argv(&words, &CONTEXT), input.len());
    let more = analyze(&[input, b"\n; rm -rf /"].concat(), &CONTEXT);
    assert!(more.risk >= analysis.risk.min(Risk::High), "{:?} then {:?}", analysis.risk, more.risk);
    let after = analyze(&[b"rm -rf /\n", input].concat(), &CONTEXT);
    assert!(after.risk == Risk::Critical, "{:?} hides what ran before it", after.risk);
}

fn check_places(analysis: &Analysis, length: usize) {
    let inside = |span: &Span| assert!(span.start <= span.end && span.end <= length, "{span:?} of {length}");
    for command in &analysis.commands {
        inside(&command.span);
        command.args.iter().for_each(|argument| inside(&argument.span));
        command.redirections.iter().for_each(|redirection| inside(&redirection.target.span));
        assert!(command.effects.start <= command.effects.end && command.effects.end <= analysis.effects.len());
        assert!(command.via.is_none_or(|via| via < analysis.commands.len()));
        assert!(command.risk <= analysis.risk);
    }
    analysis.effects.iter().for_each(|effect| inside(&effect.span));
    analysis.hazards.iter().for_each(|hazard| inside(&hazard.span));
    analysis.chains.iter().for_each(|chain| inside(&chain.span));
    analysis.unanalysable.iter().for_each(|problem| inside(&problem.span));
    assert!(analysis.unanalysable.is_empty() || analysis.risk >= Risk::High);
}

/// What could not be read is never allowed, what ran before stays denied, and every reason stands in its text.
pub fn shell_ruling(input: &[u8]) {
    let Some(input) = input.get(..input.len().min(INPUT_BYTES_MAX)) else { return };
    let policy = Policy::from_config(&Config::default());
    let Some(ruling) = rule(&policy, input) else { return };
    for reason in &ruling.reasons {
        if let Some(span) = reason.span {
            assert!(span.start <= span.end && span.end <= input.len(), "{span:?} of {}", input.len());
        }
    }
    if !analyze(input, &CONTEXT).unanalysable.is_empty() {
        assert!(ruling.decision > Decision::Allow, "what cannot be read is allowed");
    }
    let Some(after) = rule(&policy, &[b"rm -rf /\n", input].concat()) else { return };
    assert!(after.decision == Decision::Deny, "what stands after a denial lifts it");
}

fn rule(policy: &Policy, text: &[u8]) -> Option<Ruling> {
    Some(policy.decide(&request(Action::Command(Command::Shell(Text::new(text))))?))
}

/// A request like those of an agent.
fn request(action: Action) -> Option<Request> {
    Some(Request {
        principal: Principal::try_user("fuzz").ok()?,
        action,
        session: "fuzz".to_owned(),
        cwd: PathBuf::from("/srv/job/app"),
        workspace: PathBuf::from("/srv/job/app"),
        home: Some(PathBuf::from("/home/ada")),
        provenance: Provenance::Agent,
        bindings: Vec::new(),
    })
}

/// A message of an agent is understood or refused; what is about to happen has an action, and a denial is never
/// said in the words that let it happen.
pub fn hook_input(input: &[u8]) {
    let Some((first, message)) = input.split_first() else { return };
    let Some(agent) = hook::AGENTS.get(usize::from(*first) % hook::AGENTS.len().max(1)) else { return };
    let message = message.get(..message.len().min(INPUT_BYTES_MAX)).unwrap_or(&[]);
    let (event, moment) = agent.peek(message, None);
    let place = Place { event: &event, moment };
    if moment.is_before() {
        let (denied, silent) = (agent.answer(&place, &Opinion::Deny("no")), agent.answer(&place, &Opinion::None));
        assert!(denied != silent, "a denial reads like no opinion");
    }
    let Ok(call) = agent.parse(message, None) else { return };
    assert!(call.moment == moment && call.event == event, "the quick look saw another event");
    assert!(call.action.is_some() || !matches!(call.moment, Moment::BeforeTool | Moment::Permission));
    if let Some(action) = call.action {
        let policy = Policy::from_config(&Config::default());
        let Some(request) = request(action) else { return };
        let request = Request { cwd: call.cwd.unwrap_or_else(|| PathBuf::from("/")), ..request };
        let ruling = policy.decide(&request);
        assert!(policy.decide(&request).decision == ruling.decision, "two answers to one question");
    }
}

/// A name in a ClientHello is a host name, and more bytes than were asked for never make it another one.
pub fn client_hello(input: &[u8]) {
    let Some(input) = input.get(..input.len().min(INPUT_BYTES_MAX)) else { return };
    match peek(input) {
        Ok(Peek::Tls(hello)) => {
            let good = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            assert!(hello.name.as_ref().is_none_or(|name| !name.is_empty() && name.bytes().all(good)), "{hello:?}");
            assert_eq!(peek(&[input, b"more"].concat()), Ok(Peek::Tls(hello)));
        }
        Ok(Peek::More(needed)) => assert!(needed > input.len(), "{needed} of {}", input.len()),
        Ok(Peek::Other) | Err(_) => {}
    }
}

/// An answer repeats its question and is little longer than the query; a fault is answered with a header or not at all.
pub fn dns_query(input: &[u8]) {
    match dns::read(input) {
        Ok(query) => {
            assert!(query.name.len() <= 253 && !query.name.bytes().any(|byte| byte.is_ascii_uppercase()));
            let answer = query.answer_address(std::net::Ipv4Addr::LOCALHOST);
            assert!(answer.len() <= input.len() + 32 && answer.get(..2) == input.get(..2));
            assert!(query.answer_code(dns::Code::NoName).len() <= input.len() + 16);
        }
        Err(fault) => assert!(fault.reply().is_none_or(|reply| reply.len() == 12)),
    }
}

/// What goes onward is read again as the same request; chunks and SOCKS never claim more than there is.
pub fn http_head(input: &[u8]) {
    if let Ok(Some(end)) = Scanner::default().find(input)
        && let Some(head) = input.get(..end)
    {
        if let Ok(first) = request::read(head, Entry::Proxy)
            && matches!(first.wish, Wish::Path(_))
        {
            let onward = first.onward();
            assert_eq!(Scanner::default().find(&onward), Ok(Some(onward.len())));
            let entry = Entry::Fixed { host: &first.host, port: first.port };
            let second = request::read(&onward, entry);
            assert!(
                second.is_ok_and(
                    |second| (second.method, second.wish, second.body) == (first.method, first.wish, first.body)
                ),
                "{}",
                String::from_utf8_lossy(&onward)
            );
        }
        if let Ok(first) = response::read(head, "GET") {
            let onward = first.onward(true);
            assert_eq!(Scanner::default().find(&onward), Ok(Some(onward.len())));
            assert!(response::read(&onward, "GET").is_ok_and(|second| second.body == first.body));
        }
    }
    let mut chunks = Chunks::default();
    if let Ok(taken) = chunks.advance(input) {
        assert!(taken == input.len() || chunks.is_done() && taken < input.len());
    }
    for found in
        [socks::request(input).map(|found| found.map(drop)), socks::greeting(input).map(|found| found.map(drop))]
    {
        assert!(!matches!(found, Ok(Found::Whole((), length)) if length > input.len()));
    }
}

/// A good store; the root key of its only slot is 32 times the byte 0x5a.
const STORE: &[u8] = include_bytes!("../../ringfort-secrets/tests/vectors/clean/store.ringfort");

/// The root key of [`STORE`].
struct StoreRoot;

impl RootKeySource for StoreRoot {
    fn name(&self) -> &'static str {
        "fixed"
    }

    fn key_source(&self) -> String {
        "fixed".to_owned()
    }

    fn create(&self, _: StoreId) -> Result<(SlotData, Locked), RootKeyError> {
        let message = "stores are only read here".to_owned();
        Err(RootKeyError::Absent { source_name: "fixed", message })
    }

    fn open(&self, _: StoreId, _: &SlotData) -> Result<Locked, RootKeyError> {
        Ok(Locked::copy_of(&[0x5a; 32])?)
    }

    fn forget(&self, _: StoreId, _: &SlotData) -> Result<(), RootKeyError> {
        Ok(())
    }
}

/// No bytes but those that the store wrote are accepted: neither the input nor the good file with pieces of it
/// replaced by the input.
pub fn secret_store(input: &[u8]) {
    let Some(input) = input.get(..input.len().min(INPUT_BYTES_MAX)) else { return };
    let accepts = |bytes: &[u8]| Vault::check_bytes(Path::new("store"), bytes, &StoreRoot).is_ok();
    assert!(!accepts(input) || input == STORE, "a store that nobody wrote is accepted");
    let Some(changed) = spliced(STORE, input) else { return };
    assert!(accepts(&changed) == (changed == STORE), "a changed store is accepted, or the good one is not");
}

/// The key of [`secret_forms`].
const FORMS_IDENTITY: &str = "AGE-SECRET-KEY-1PK80WZ9EV0JG99ENDLNJ24P4R6WYNHY4GGKEDTQ8RNC5DGH5P8CSHAZE9F";

/// What other programs write is read or refused; no sealed text and no sealed file opens that nobody sealed; the places of
/// secrets lie in their text.
pub fn secret_forms(input: &[u8]) {
    let Some(input) = input.get(..input.len().min(INPUT_BYTES_MAX)) else { return };
    let names = Names::default();
    let read = [import::dotenv(input, &names), import::json(input, &names)];
    // It takes a mebibyte of locked memory for its lines, which costs more than everything else here.
    let exported = input.starts_with(b"{\"").then(|| import::exported(&mut &input[..], &names, Timestamp(0)));
    for entry in read.into_iter().chain(exported).flatten().flat_map(|it| it.entries) {
        assert!(!entry.value.is_empty() && entry.value.len() <= input.len(), "a value grew, or is none");
    }
    let lock = |bytes: &[u8]| Locked::copy_of(bytes).ok();
    let key = ReferenceKey::of_text(b"fuzz", "fuzz").ok();
    assert!(key.is_none_or(|key| import::reference_store(input, &key, &names).is_err()), "a store that nobody sealed");
    let identity = Identity::parse(FORMS_IDENTITY).ok();
    let opens = identity.is_some_and(|key| age::decrypt(input, &With::Identities(vec![key])).is_ok());
    assert!(!opens, "an age file that nobody sealed");
    let Ok(text) = std::str::from_utf8(input) else { return };
    let text_key = lock(&[7; 32]).and_then(|key| TextKey::derive(StoreId([7; 16]), &key).ok());
    let (Some(text_key), Some(file_key)) = (text_key, lock(&[7; 32]).and_then(Enc2Key::of)) else { return };
    for text in [text.to_owned(), format!("enc3:{text}"), format!("enc2:{text}")] {
        assert!(
            open_enc3(&text_key, "a.b", &text).is_err() && open_enc2(&file_key, &text).is_err(),
            "nobody sealed it"
        );
    }
    drop(migrate_enc(&file_key, &format!("enc:{text}")));
    for place in secret_place::find(Path::new("f"), text).into_iter().flatten() {
        let written = text.get(place.span.clone()).unwrap_or_default();
        assert!(written.len() >= 2 && written.starts_with(['"', '\'']), "{:?} is no place of a value", place.span);
    }
}

/// A file that the `age` program sealed for [`FORMS_IDENTITY`].
const AGE_FILE: &[u8] = include_bytes!("fuzz/sealed.age");

/// No age file opens but the one that was sealed: not with pieces of it replaced by the input. Keys are read or refused.
pub fn age_file(input: &[u8]) {
    let Some(input) = input.get(..input.len().min(INPUT_BYTES_MAX)) else { return };
    let opens = |bytes: &[u8]| {
        let identity = Identity::parse(FORMS_IDENTITY).ok()?;
        let mut reader = age::decrypt(bytes, &With::Identities(vec![identity])).ok()?;
        reader.whole(INPUT_BYTES_MAX).ok()
    };
    assert!(opens(input).is_none() || input == AGE_FILE, "a file that nobody sealed opens");
    if let Ok(text) = std::str::from_utf8(input) {
        let recipient = text.parse::<age::Recipient>();
        assert!(recipient.is_err() || text.trim().to_lowercase().starts_with("age1"), "a recipient out of nothing");
        assert!(
            Identity::parse_file(text).is_err() || text.to_uppercase().contains("AGE-SECRET-KEY-1"),
            "a key out of nothing"
        );
    }
    let Some(changed) = spliced(AGE_FILE, input) else { return };
    assert!(opens(&changed).is_some() == (changed == AGE_FILE), "a changed file opens, or the good one does not");
}

/// `good` with a piece of it replaced: four bytes of the input say from where to where, the rest what is put there.
fn spliced(good: &[u8], input: &[u8]) -> Option<Vec<u8>> {
    let (&[a, b, c, d], piece) = input.split_first_chunk()?;
    let place = |high, low| usize::from(u16::from_be_bytes([high, low])) % (good.len() + 1);
    let (from, to) = (place(a, b).min(place(c, d)), place(a, b).max(place(c, d)));
    Some([good.get(..from)?, piece, good.get(to..)?].concat())
}

/// What a peer on the session's bus sends is a message or none, and no conversation gives a root key that was not kept
/// there.
pub fn bus_peer(input: &[u8]) {
    let Some(input) = input.get(..input.len().min(INPUT_BYTES_MAX)) else { return };
    assert!(hostile::bus_message(input), "a message that is read as another one when it is written again");
    assert!(hostile::secret_service(input), "a root key that nobody kept");
}

/// What a TPM answers is read or refused, and opens nothing unless the session vouches for it.
pub fn tpm_answers(input: &[u8]) {
    let Some(input) = input.get(..input.len().min(INPUT_BYTES_MAX)) else { return };
    assert!(hostile::tpm(input), "answers opened what they must not");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a fuzzer has found before, and one plain input for every way through.
    const INPUTS: &[&[u8]] = &[
        b"",
        b"ls -la",
        b"a <<E; b\n$(c)\nE",
        b"'",
        b"\xff\x00\xfe",
        b"x='a[$(b)]'; ((x))",
        b"alias q=eval; q 'rm x'",
        b"\x00{\"hook_event_name\":\"PreToolUse\",\"tool_name\":\"Bash\",\"tool_input\":{\"command\":\"ls\"},\"cwd\":\"/x\",\"session_id\":\"s\"}",
        b"\x01{\"hook_event_name\":\"Stop\"}",
        b"\x07{\"event\":\"before_tool\",\"tool\":\"bash\"}",
        b"\x02{",
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
        b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x07example\x00\x00\x01\x00\x01",
        b"GET http://a.example:81/?x HTTP/1.1\r\nHost: a.example:81\r\nConnection: x\r\nX: y\r\nContent-Length: 3\r\n\r\nabc",
        b"POST http://a.example HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n",
        b"3;x=y\r\nabc\r\n0\r\nX: y\r\n\r\ntail",
        b"\x05\x01\x00\x03\x01a\x00\x50",
        b"export A=\"b\nc\" # d\nE='f'\n",
        b"{\"a\": {\"b\": \"c\"}, \"d\": [1]}",
        b"{\"version\":1,\"algorithm\":\"xchacha20poly1305\",\"nonceB64\":\"\",\"tagB64\":\"\",\"ciphertextB64\":\"\"}",
        b"age-encryption.org/v1\n-> X25519 AAAA\nAAAA\n--- AAAA\n",
        b"[channels_config.webhook]\nsecret = 'x'\n",
        b"00000000000000000000000000000000000000000000000000000000",
        b"\x00\x00\x00\x00",
        b"\x02\x00\x02\x00\n",
        b"\x01\x00\x09\x00",
        b"\x00\x01o\x00\x07\x02\x00\x00\x00/c\x00\x00\x01v\x00\x08\x01b\x00\x00\x00\x00\x00\x00",
        b"\x00\x02vo\x00\x14\x02ay\x00\x01\x00\x00\x00\x04\x00\x00\x00\x02\x00\x00\x00/s\x00",
        b"l\x02\x01\x01\x08\x00\x00\x00\x01\x00\x00\x00\x10\x00\x00\x00\x05\x01u\x00\x01\x00\x00\x00\x08\x01g\x00\x01v\x00\x00\x01b\x00\x00\x01\x00\x00\x00",
        b"\x57\x00\x00\x26\x80\x00\x00\x01\x00\x22\x00\x0b",
        b"\x7e\x00\x00\x0a\x00\x00\x00\x01\x00\x00\x00\x01\x00\x0b",
        b"{\"format\":\"ringfort-store\",\"version\":1}\n",
    ];

    #[test]
    fn the_good_store_is_good() {
        assert!(Vault::check_bytes(Path::new("store"), STORE, &StoreRoot).is_ok());
        secret_store(STORE);
        secret_store(&[b"\x00\x00\xff\xff".as_slice(), STORE].concat());
    }

    #[test]
    fn the_bodies_of_the_fuzz_targets_hold() {
        for input in INPUTS {
            shell_parser(input);
            shell_ruling(input);
            client_hello(input);
            dns_query(input);
            http_head(input);
            secret_store(input);
            secret_forms(input);
            age_file(input);
            // Every operation, with answers that are composed and with answers that stand as they are.
            for operation in (0..10).chain(128..138) {
                bus_peer(&[&[operation][..], input].concat());
                tpm_answers(&[&[operation][..], input].concat());
            }
            for agent in 0..hook::AGENTS.len() {
                let first = u8::try_from(agent).unwrap_or(0);
                hook_input(&[&[first], input.get(1..).unwrap_or(&[])].concat());
            }
        }
    }
}
