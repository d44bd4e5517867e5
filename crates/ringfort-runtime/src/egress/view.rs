// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a door looks like from inside: whether there is one, its ports, and the variables that lead to it.
//!
//! In: the policies, what was wished, whether a person can be asked. Out: the profile's network, variables.
//!
//! **Invariant:** there is no door where nothing could go through it. The variables name the door and hold no
//! credential; those of the caller's own proxies never reach a program.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

use ringfort_core::decision::Decision;
use ringfort_policy::config::Network as Wish;
use ringfort_policy::egress::parse_host;
use ringfort_policy::rule::Policy;
use ringfort_sandbox::profile::{CAUGHT_PORTS_MAX, DoorView, NAMES_PORT, Network, PROXY_PORT};

/// Ports of services that programs connect to without asking for a proxy.
const CAUGHT_PORTS: [u16; 3] = [22, 80, 443];
/// The names of this machine that a program reaches inside its own cage, unless the policy lists them.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// Variables of the caller that say where certificates are: what a host's own authorities have signed is trusted inside
/// as it is outside.
pub const CERTIFICATE_VARIABLES: [&str; 11] = [
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "NODE_EXTRA_CA_CERTS",
    "CARGO_HTTP_CAINFO",
    "NIX_SSL_CERT_FILE",
    "AWS_CA_BUNDLE",
];

/// Whether a person can be asked during the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// There is a terminal.
    Person,
    /// Nobody.
    Nobody,
}

/// The network of a session's cages.
pub fn network(wish: Wish, chain: &[Policy], asks: Asks) -> Network {
    let lists = chain.first().is_some_and(Policy::lists_hosts);
    let unlisted = chain.iter().map(Policy::unlisted).max().unwrap_or(Decision::Deny);
    let can_open = lists || unlisted == Decision::Allow || (unlisted == Decision::Ask && asks == Asks::Person);
    match wish {
        Wish::Off => Network::None,
        Wish::Auto if !can_open => Network::None,
        Wish::Auto | Wish::Door => Network::Door(DoorView { caught_ports: caught_ports(chain), names: true }),
    }
}

/// The usual ports, and those that the policy names. A caught port is taken inside: nothing there listens on it.
fn caught_ports(chain: &[Policy]) -> Vec<u16> {
    let named = chain.first().map(Policy::named_ports).unwrap_or_default();
    let taken = [PROXY_PORT, NAMES_PORT];
    let all = CAUGHT_PORTS.into_iter().chain(named).filter(|port| !taken.contains(port));
    let mut seen = BTreeSet::new();
    all.filter(|port| seen.insert(*port)).take(CAUGHT_PORTS_MAX).collect()
}

/// The variables by which programs find the door.
pub fn environment(chain: &[Policy]) -> Vec<(OsString, OsString)> {
    let http = format!("http://127.0.0.1:{PROXY_PORT}");
    let is_listed = |name: &&str| {
        let host = if name.contains(':') { parse_host(&format!("[{name}]")) } else { parse_host(name) };
        host.is_ok_and(|host| chain.first().is_some_and(|policy| policy.names_host(&host, None)))
    };
    // What the policy lists is outside: it is asked for at the door.
    let own: Vec<&str> = OWN_NAMES.into_iter().filter(|name| !is_listed(name)).collect();
    let own = own.join(",");
    let mut variables = Vec::new();
    let mut set = |name: &str, value: &str| variables.push((OsString::from(name), OsString::from(value)));
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
        set(name, &http);
    }
    for name in ["ALL_PROXY", "all_proxy"] {
        set(name, &format!("socks5h://127.0.0.1:{PROXY_PORT}"));
    }
    for name in ["NO_PROXY", "no_proxy"] {
        set(name, &own);
    }
    // Node reads the variables above only when told so.
    set("NODE_USE_ENV_PROXY", "1");
    variables
}

/// Variables of the caller that a program behind a door sees as they are.
pub fn passed(caller: &[(OsString, OsString)]) -> impl Iterator<Item = (OsString, OsString)> {
    let is_passed = |name: &OsStr| CERTIFICATE_VARIABLES.iter().any(|passed| name == *passed);
    caller.iter().filter(move |(name, _)| is_passed(name)).cloned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ringfort_policy::load::{parse_restriction, validate};

    use super::*;

    fn chain(text: &str, project: &str) -> Vec<Policy> {
        let path = Path::new("test");
        vec![
            Policy::from_config(&validate(path, text).unwrap()),
            Policy::from_restriction(&parse_restriction(path, project).unwrap()),
        ]
    }

    #[test]
    fn a_door_is_there_where_something_could_go_through_it() {
        let deny = "[autonomy]\nunresolved = \"deny\"\n";
        let listed = "[autonomy]\nunresolved = \"deny\"\n[egress]\ndomains = [\"a.example:8443\"]\n";
        for (text, project, wish, asks, expected) in [
            ("", "", Wish::Auto, Asks::Person, true),
            ("", "", Wish::Auto, Asks::Nobody, false),
            (deny, "", Wish::Auto, Asks::Person, false),
            ("", deny, Wish::Auto, Asks::Person, false),
            (listed, "", Wish::Auto, Asks::Nobody, true),
            (listed, "", Wish::Off, Asks::Person, false),
            (deny, "", Wish::Door, Asks::Nobody, true),
            ("[autonomy]\nlevel = \"full\"\n", "", Wish::Auto, Asks::Nobody, true),
            ("[autonomy]\nlevel = \"readonly\"\n", "", Wish::Auto, Asks::Person, false),
        ] {
            let door = network(wish, &chain(text, project), asks) != Network::None;
            assert_eq!(door, expected, "`{text}` `{project}` {wish:?} {asks:?}");
        }
        let Network::Door(view) = network(Wish::Auto, &chain(listed, ""), Asks::Nobody) else { panic!("no door") };
        assert_eq!(view.caught_ports, [22, 80, 443, 8443]);
    }

    #[test]
    fn what_is_listed_is_asked_for_at_the_door() {
        let value = |text: &str| {
            let all = environment(&chain(text, ""));
            all.into_iter().find(|(name, _)| name == "NO_PROXY").unwrap().1.into_string().unwrap()
        };
        assert_eq!(value(""), "localhost,127.0.0.1,::1");
        assert_eq!(value("[egress]\ndomains = [\"127.0.0.1:11434\"]\n"), "localhost,::1");
        assert_eq!(value("[egress]\ndomains = [\"[::1]:80\", \"localhost\"]\n"), "127.0.0.1");
    }
}
