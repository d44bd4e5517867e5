// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every spelling of an address is one host; what clients read differently is a fault.

use super::*;

#[test]
fn deny_private_addresses_in_every_spelling() {
    for (spelling, address) in [
        ("127.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("127.0.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0X7F.1", "127.0.0.1"),
        ("0177.0.0.01", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("[::ffff:127.0.0.1]", "127.0.0.1"),
        ("[::ffff:7f00:1]", "127.0.0.1"),
        ("[::127.0.0.1]", "127.0.0.1"),
        ("[64:ff9b::7f00:1]", "127.0.0.1"),
        ("[2002:7f00:1::]", "127.0.0.1"),
        ("[0:0:0:0:0:ffff:10.0.0.1]", "10.0.0.1"),
        ("0", "0.0.0.0"),
        ("0x", "0.0.0.0"),
        ("10.1", "10.0.0.1"),
        ("3232235777", "192.168.1.1"),
        ("100.64.0.1", "100.64.0.1"),
        ("172.31.255.255", "172.31.255.255"),
    ] {
        let host = parse_host(spelling).unwrap();
        assert_eq!(host, Host::V4(address.parse().unwrap()), "{spelling}");
        assert_eq!(reach(&host), Reach::Private, "{spelling}");
    }
}

#[test]
fn hosts_have_their_reach() {
    for (host, expected) in [
        ("example.com", Reach::Public),
        ("EXAMPLE.COM.", Reach::Public),
        ("8.8.8.8", Reach::Address),
        ("134744072", Reach::Address),
        ("[2606:4700::1111]", Reach::Address),
        ("xn--pple-43d.com", Reach::Punycode),
        ("localhost", Reach::Private),
        ("foo.localhost", Reach::Private),
        ("printer.local", Reach::Private),
        ("intranet", Reach::Private),
        ("[::1]", Reach::Private),
        ("[::]", Reach::Private),
        ("[fe80::1]", Reach::Private),
        ("[fd12:3456::1]", Reach::Private),
        ("[2001:0:1::1]", Reach::Private),
        ("[2001:db8::1]", Reach::Private),
        ("255.255.255.255", Reach::Private),
        ("224.0.0.1", Reach::Private),
        ("169.254.169.254", Reach::Metadata),
        ("0xa9fea9fe", Reach::Metadata),
        ("[::ffff:169.254.169.254]", Reach::Metadata),
        ("[fd00:ec2::254]", Reach::Metadata),
        ("metadata.google.internal", Reach::Metadata),
    ] {
        assert_eq!(reach(&parse_host(host).unwrap()), expected, "{host}");
    }
}

#[test]
fn urls_are_read_strictly() {
    for (url, expected) in [
        ("https://example.com/a?b#c", Ok(("example.com", Some(443)))),
        ("HTTP://Example.com:8080", Ok(("example.com", Some(8080)))),
        ("ssh://git@example.com/x", Ok(("example.com", Some(22)))),
        ("example.com:443", Ok(("example.com", Some(443)))),
        ("example.com", Ok(("example.com", None))),
        ("https://example.com?x=@evil.net", Ok(("example.com", Some(443)))),
        ("", Err(UrlFault::Empty)),
        ("https://", Err(UrlFault::Host)),
        ("https:///etc", Err(UrlFault::Host)),
        ("file:///etc/passwd", Err(UrlFault::Scheme)),
        ("javascript:alert(1)", Err(UrlFault::Port)),
        ("data:text/html,x", Err(UrlFault::Scheme)),
        ("gopher://example.com", Err(UrlFault::Scheme)),
        ("https:example.com", Err(UrlFault::Port)),
        ("//example.com", Err(UrlFault::Scheme)),
        ("https://user:pw@example.com", Err(UrlFault::Userinfo)),
        ("https://example.com@evil.net", Err(UrlFault::Userinfo)),
        ("https://example.com\\@evil.net", Err(UrlFault::Character)),
        ("https://exa mple.com", Err(UrlFault::Character)),
        ("https://example.com\n", Err(UrlFault::Character)),
        ("https://ex\u{200b}ample.com", Err(UrlFault::Character)),
        ("https://ex\u{430}mple.com", Err(UrlFault::NotAscii)),
        ("https://example.com:", Err(UrlFault::Port)),
        ("https://example.com:0", Err(UrlFault::Port)),
        ("https://example.com:99999", Err(UrlFault::Port)),
        ("https://exa%6dple.com", Err(UrlFault::Host)),
        ("https://1.2.3.4.5", Err(UrlFault::Address)),
        ("https://256.1.1.1", Err(UrlFault::Address)),
        ("https://0x7g.1", Err(UrlFault::Address)),
        ("https://a..b", Err(UrlFault::Host)),
        ("https://[::1", Err(UrlFault::Address)),
        ("https://[fe80::1%25eth0]/", Err(UrlFault::Address)),
    ] {
        let read = parse(url).map(|to| (to.host.to_string(), to.port));
        assert_eq!(read, expected.map(|(host, port)| (host.to_owned(), port)), "`{url}`");
    }
    assert_eq!(parse(&"a".repeat(URL_BYTES_MAX + 1)), Err(UrlFault::TooLong));
}
