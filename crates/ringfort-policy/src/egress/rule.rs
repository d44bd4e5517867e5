// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules on single hosts: `[[egress.rules]]`.
//!
//! In: entries of the configuration, compiled once; a destination with what is seen of its request. Out: whether a rule
//! speaks of it, and whether it fits.
//!
//! **Invariant:** a rule that names methods or paths fits no request whose method or path is not seen. A path that two
//! readers could take for different ones (`..`, an encoded slash, a backslash, an empty segment) fits no pattern.

use super::{Destination, Host};
use crate::config::EgressRuleConfig;
use crate::domain::{Cover, HostPattern};

/// Most rules.
pub(crate) const RULES_MAX: usize = 1000;
/// Most entries of one list of a rule.
const ENTRIES_MAX: usize = 256;
/// Longest pattern of a path. Bytes.
const PATH_BYTES_MAX: usize = 2048;
/// Longest name of a method or program. Bytes.
const WORD_BYTES_MAX: usize = 64;
/// The method by which a client asks a proxy for a tunnel.
pub const TUNNEL: &str = "CONNECT";

/// A compiled rule on a host.
#[derive(Clone, Debug)]
pub struct EgressRule {
    host: HostPattern,
    ports: Option<Vec<u16>>,
    methods: Option<Vec<String>>,
    paths: Option<Vec<PathPattern>>,
    programs: Option<Vec<String>>,
    bounds: Bounds,
}

/// What may be used of one destination in a run; `None` is no bound of the policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Most connections at once.
    pub connections_max: Option<u32>,
    /// Most requests.
    pub requests_max: Option<u64>,
    /// Most bytes, both ways together.
    pub bytes_max: Option<u64>,
}

impl Bounds {
    /// The smaller of each.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        fn least<N: Ord>(a: Option<N>, b: Option<N>) -> Option<N> {
            a.into_iter().chain(b).min()
        }
        Self {
            connections_max: least(self.connections_max, other.connections_max),
            requests_max: least(self.requests_max, other.requests_max),
            bytes_max: least(self.bytes_max, other.bytes_max),
        }
    }
}

/// What is seen of one request.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Where it goes.
    pub to: &'a Destination,
    /// Its method, where there is one.
    pub method: Option<&'a str>,
    /// Its path without query; `None` where nobody sees it.
    pub path: Option<&'a str>,
    /// The program of the run.
    pub program: Option<&'a str>,
}

/// Why a request does not fit a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// Its port.
    Port,
    /// Its method.
    Method,
    /// Its path.
    Path,
    /// Its path can be read in two ways.
    OddPath,
    /// Its method and path are inside TLS, where nobody sees them.
    Tunnel,
}

impl Misfit {
    /// What does not fit, as a clause.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Port => "the port is not one of them",
            Self::Method => "the method is not one of them",
            Self::Path => "the path is not one of them",
            Self::OddPath => "the path can be read in two ways",
            Self::Tunnel => "they name methods or paths, which nobody sees inside TLS",
        }
    }
}

impl EgressRule {
    /// Compiles an entry of the configuration.
    ///
    /// # Errors
    ///
    /// What is wrong, as a clause. There is no rule.
    pub fn compile(says: &EgressRuleConfig) -> Result<Self, String> {
        let host = HostPattern::parse(&says.host).map_err(|error| format!("`host`: {error}"))?;
        if host.port().is_some() && says.ports.is_some() {
            return Err("`host` names a port, and so does `ports`".to_owned());
        }
        if says.ports.as_ref().is_some_and(|ports| ports.is_empty() || ports.len() > ENTRIES_MAX || ports.contains(&0))
        {
            return Err(format!("`ports` names between 1 and {ENTRIES_MAX} ports, none of them 0"));
        }
        let method = |word: &String| word.bytes().all(|b| b.is_ascii_uppercase()).then(|| word.clone());
        let program = |word: &String| {
            let odd = |c: char| c.is_control() || c == '/' || ringfort_core::text::is_invisible(c);
            (!word.chars().any(odd)).then(|| word.clone())
        };
        let rule = Self {
            host,
            ports: says.ports.clone(),
            methods: words("methods", says.methods.as_ref(), "a method is written in capital letters", method)?,
            paths: match &says.paths {
                None => None,
                Some(list) if list.is_empty() || list.len() > ENTRIES_MAX => {
                    return Err(format!("`paths` names between 1 and {ENTRIES_MAX} paths"));
                }
                Some(list) => Some(list.iter().map(|path| PathPattern::parse(path)).collect::<Result<_, _>>()?),
            },
            programs: words("programs", says.programs.as_ref(), "a program is named without its folder", program)?,
            bounds: Bounds {
                connections_max: says.connections_max,
                requests_max: says.requests_max,
                bytes_max: says.bytes_max,
            },
        };
        if rule.bounds.connections_max == Some(0)
            || rule.bounds.requests_max == Some(0)
            || rule.bounds.bytes_max == Some(0)
        {
            return Err("a bound of 0 lets nothing through; `egress.denied_domains` denies a host".to_owned());
        }
        Ok(rule)
    }

    /// Whether it speaks of a host, for this program.
    pub(crate) fn speaks_of(&self, host: &Host, program: Option<&str>) -> bool {
        let holds = |programs: &Vec<String>| program.is_some_and(|name| programs.iter().any(|one| one == name));
        self.programs.as_ref().is_none_or(holds) && self.host.covers_host(host).is_some()
    }

    /// How closely it names a host.
    pub(crate) fn cover(&self, host: &Host) -> Option<Cover> {
        self.host.covers_host(host)
    }

    /// The ports that it names.
    pub(crate) fn ports(&self) -> impl Iterator<Item = u16> {
        self.ports.iter().flatten().copied().chain(self.host.port())
    }

    /// Bounds of what it speaks of.
    pub(crate) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Whether the answer depends on more than host, port and program.
    pub(crate) fn looks_inside(&self) -> bool {
        self.methods.is_some() || self.paths.is_some()
    }

    /// Whether a request of which it speaks fits.
    pub(crate) fn fits(&self, seen: &Seen<'_>) -> Result<(), Misfit> {
        let port = seen.to.port;
        let port_fits = match (&self.ports, self.host.port()) {
            (Some(ports), _) => port.is_some_and(|port| ports.contains(&port)),
            (None, Some(only)) => port == Some(only),
            (None, None) => true,
        };
        if !port_fits {
            return Err(Misfit::Port);
        }
        if self.looks_inside() && seen.method == Some(TUNNEL) {
            return Err(Misfit::Tunnel);
        }
        if let Some(methods) = &self.methods {
            let method = seen.method.unwrap_or("GET");
            if !methods.iter().any(|one| one.eq_ignore_ascii_case(method)) {
                return Err(Misfit::Method);
            }
        }
        if let Some(paths) = &self.paths {
            let path = seen.path.ok_or(Misfit::Path)?;
            if !is_plain_path(path) {
                return Err(Misfit::OddPath);
            }
            if !paths.iter().any(|pattern| pattern.covers(path)) {
                return Err(Misfit::Path);
            }
        }
        Ok(())
    }
}

fn words(
    key: &str,
    list: Option<&Vec<String>>,
    form: &str,
    good: impl Fn(&String) -> Option<String>,
) -> Result<Option<Vec<String>>, String> {
    let Some(list) = list else { return Ok(None) };
    if list.is_empty() || list.len() > ENTRIES_MAX {
        return Err(format!("`{key}` names between 1 and {ENTRIES_MAX} of them"));
    }
    let one = |word: &String| {
        let fits = !word.is_empty() && word.len() <= WORD_BYTES_MAX;
        good(word).filter(|_| fits).ok_or_else(|| format!("`{key}`: `{word}`: {form}"))
    };
    list.iter().map(one).collect::<Result<_, _>>().map(Some)
}

/// A pattern of paths: segments, of which a `*` is any one, and at the end any rest.
#[derive(Clone, Debug)]
struct PathPattern {
    segments: Vec<String>,
    rest: bool,
}

impl PathPattern {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("`paths`: `{text}`: {why}"));
        if text.len() > PATH_BYTES_MAX || !is_plain_path(text) {
            return wrong(
                "a path begins with `/` and holds no `..`, no empty segment and nothing that is encoded twice",
            );
        }
        if text.contains(['?', '#']) {
            return wrong("a path has no query; the query of a request is not looked at");
        }
        let mut segments: Vec<String> = text.split('/').skip(1).map(str::to_owned).collect();
        if segments.iter().any(|segment| segment.contains('*') && segment != "*") {
            return wrong("a `*` stands for a whole segment, at the end for any rest");
        }
        let rest = segments.last().is_some_and(|last| last == "*");
        if rest {
            segments.pop();
        }
        Ok(Self { segments, rest })
    }

    fn covers(&self, path: &str) -> bool {
        let mut given = path.split('/').skip(1);
        for segment in &self.segments {
            match given.next() {
                Some(one) if segment == one || (segment == "*" && !one.is_empty()) => {}
                _ => return false,
            }
        }
        // `/a/*` covers `/a/` and what is below, not `/a`.
        if self.rest { given.next().is_some() } else { given.next().is_none() }
    }
}

/// Whether every reader takes this for the same path.
fn is_plain_path(path: &str) -> bool {
    if !path.starts_with('/') || path.len() > ringfort_core::limits::URL_BYTES_MAX {
        return false;
    }
    if !path.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'?' | b'#')) || !is_well_encoded(path) {
        return false;
    }
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        // The last may be empty: `/a/`.
        if (segment.is_empty() && segments.peek().is_some()) || is_dots(segment) {
            return false;
        }
    }
    true
}

/// Whether a segment means the same folder or the one above to some reader, encoded or with parameters behind it.
fn is_dots(segment: &str) -> bool {
    let bare = segment.split(';').next().unwrap_or("");
    let decoded = bare.to_ascii_lowercase().replace("%2e", ".");
    decoded == "." || decoded == ".." || (decoded.is_empty() && !bare.len().eq(&segment.len()))
}

/// Whether every `%` begins the code of a character that is no separator and no `%` itself.
fn is_well_encoded(path: &str) -> bool {
    let mut rest = path;
    while let Some((_, after)) = rest.split_once('%') {
        let Some(code) = after.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok()) else { return false };
        let hex = after.get(..2).is_some_and(|code| code.bytes().all(|b| b.is_ascii_hexdigit()));
        if !hex || matches!(code, b'/' | b'\\' | b'%' | 0..=0x1f | 0x7f) {
            return false;
        }
        rest = after.get(2..).unwrap_or("");
    }
    true
}

/// The path of a URL without its query; `/` where it names none, `None` where the text is no URL.
pub(crate) fn path_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let from = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let path = rest.get(from..).unwrap_or("");
    let end = path.find(['?', '#']).unwrap_or(path.len());
    Some(path.get(..end).filter(|path| !path.is_empty()).unwrap_or("/"))
}

#[cfg(test)]
mod tests;
