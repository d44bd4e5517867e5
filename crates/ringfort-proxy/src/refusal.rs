// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a program is told when something does not happen.
//!
//! In: a denial, a fault or a failure. Out: an HTTP response, a SOCKS reply or a TLS alert, and the ending for the report.
//!
//! **Invariant:** an answer names the rule and the reason and nothing that would widen what is allowed: its reader is
//! an agent. No byte of what the program sent is repeated outside the body.

use crate::address::AddressFault;
use crate::count::Reached;
use crate::judge::{Denial, Ending};
use crate::wire::head::HeadFault;
use crate::wire::socks::Reply;

/// The request is malformed or can be read in two ways.
pub(crate) const MALFORMED: &str = "proxy-001";
/// The name leads to an address that is not public.
pub(crate) const ADDRESS_PRIVATE: &str = "proxy-002";
/// The name leads to the metadata service of a cloud.
pub(crate) const ADDRESS_METADATA: &str = "proxy-003";
/// The name leads to this machine.
pub(crate) const ADDRESS_OWN: &str = "proxy-004";
/// The server name in TLS is not the host that was asked for.
pub(crate) const TLS_DIFFERS: &str = "proxy-005";
/// TLS names no server, or may hide another name.
pub(crate) const TLS_HIDES: &str = "proxy-006";
/// Nobody decided.
pub(crate) const NO_VERDICT: &str = "proxy-007";
/// The permit is not for this request, or has expired.
pub(crate) const NO_PERMIT: &str = "proxy-008";
/// A limit of the destination is reached.
pub(crate) const LIMIT: &str = "proxy-009";
/// Too many connections are open.
pub(crate) const TOO_MANY: &str = "proxy-010";
/// No name belongs to the address that was dialed.
pub(crate) const NO_NAME: &str = "proxy-011";
/// The credential of the run is missing or wrong.
pub(crate) const NO_CREDENTIAL: &str = "proxy-012";
/// A server spoke before an HTTP request in a tunnel.
pub(crate) const HTTP_LATE: &str = "proxy-013";

/// The TLS alert `access_denied`, fatal.
pub(crate) const TLS_ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 49];

/// Why something does not happen, and how that is told.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// The HTTP status.
    pub(crate) status: u16,
    /// For the report.
    pub(crate) ending: Ending,
}

impl Refusal {
    pub(crate) fn denied(denial: Denial) -> Self {
        Self { status: 403, ending: Ending::Denied(denial) }
    }

    /// A denial of the proxy's own.
    pub(crate) fn rule(rule: &str, message: impl Into<String>) -> Self {
        Self::denied(Denial::new(rule, message))
    }

    pub(crate) fn failed(status: u16, reason: &'static str) -> Self {
        Self { status, ending: Ending::Failed(reason) }
    }

    pub(crate) fn malformed(fault: HeadFault) -> Self {
        Self { status: fault.status(), ending: Ending::Malformed(fault.reason()) }
    }

    pub(crate) fn limit(reached: Reached, authority: &str) -> Self {
        let message = format!("`{authority}` has used up {}", reached.as_str());
        Self { status: 429, ending: Ending::Denied(Denial::new(LIMIT, message)) }
    }

    pub(crate) fn address(fault: AddressFault, authority: &str) -> Self {
        let (rule, leads) = match fault {
            AddressFault::Private => (ADDRESS_PRIVATE, "an address that is not public"),
            AddressFault::Metadata => (ADDRESS_METADATA, "the metadata service of a cloud"),
            AddressFault::Own => (ADDRESS_OWN, "this machine"),
        };
        Self::rule(rule, format!("`{authority}` leads to {leads}"))
    }

    /// The program went away or the connection to it broke.
    pub(crate) fn left() -> Self {
        Self::failed(400, "client-left")
    }

    /// The HTTP response. A program that asked with `HEAD` gets no body.
    pub(crate) fn page(&self, method: &str, stays: bool) -> Vec<u8> {
        let (extra, text) = match &self.ending {
            Ending::Denied(denial) => {
                let about = match &denial.reference {
                    Some(reference) => format!("Reference: {reference}\n"),
                    None => String::new(),
                };
                let text = format!(
                    "Ringfort denied this: {}.\nRule: {}\n{about}Trying again or in another way does not help; a person who owns this session decides.\n",
                    denial.message.trim_end_matches('.'),
                    denial.rule
                );
                (format!("X-Ringfort-Rule: {}\r\n", header_word(&denial.rule)), text)
            }
            Ending::Malformed(reason) => (
                format!("X-Ringfort-Rule: {MALFORMED}\r\nX-Ringfort-Reason: {reason}\r\n"),
                format!("Ringfort refused a malformed request: {reason}.\nRule: {MALFORMED}\n"),
            ),
            Ending::Failed(reason) => (
                format!("X-Ringfort-Reason: {reason}\r\n"),
                format!("Ringfort could not reach the destination: {reason}.\n"),
            ),
            Ending::Closed => (String::new(), String::new()),
        };
        let challenge = if self.status == 407 { "Proxy-Authenticate: Basic realm=\"ringfort\"\r\n" } else { "" };
        let connection = if stays { "" } else { "Connection: close\r\n" };
        let mut page = format!(
            "HTTP/1.1 {} {}\r\n{challenge}{extra}{connection}Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\nContent-Length: {}\r\n\r\n",
            self.status,
            phrase(self.status),
            text.len()
        );
        if method != "HEAD" {
            page.push_str(&text);
        }
        page.into_bytes()
    }

    /// The SOCKS reply.
    pub(crate) fn reply(&self) -> Reply {
        match &self.ending {
            Ending::Denied(_) => Reply::Denied,
            Ending::Failed("connect-refused") => Reply::Refused,
            Ending::Failed("connect-late" | "resolve-late") => Reply::Expired,
            Ending::Failed("resolve-failed" | "no-address" | "connect-failed") => Reply::Unreachable,
            _ => Reply::Failed,
        }
    }
}

/// A rule id as it may stand in a header.
fn header_word(rule: &str) -> String {
    rule.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect()
}

fn phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        403 => "Forbidden",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_rule_and_reason() {
        let mut denial = Denial::new("egress-005", "`evil.example:443` is not listed.");
        denial.reference = Some("trail 17".into());
        let page = String::from_utf8(Refusal::denied(denial).page("GET", false)).unwrap();
        let (head, body) = page.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 403 Forbidden\r\nX-Ringfort-Rule: egress-005\r\nConnection: close\r\n"));
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())));
        assert!(body.starts_with(
            "Ringfort denied this: `evil.example:443` is not listed.\nRule: egress-005\nReference: trail 17\n"
        ));
        assert!(
            !String::from_utf8(Refusal::malformed(HeadFault::Host).page("HEAD", true)).unwrap().contains("refused")
        );
    }

    #[test]
    fn deny_header_injection_through_a_rule() {
        let page = Refusal::rule("x\r\nSet-Cookie: a", "b").page("HEAD", true);
        assert!(!String::from_utf8(page).unwrap().contains("\nSet-Cookie"));
    }
}
