// SPDX-License-Identifier: MIT OR Apache-2.0
//! The notations in which secrets are written, and the form in which they leave.

use ringfort_detect::{Confidence, redact, scan};

use crate::redacted;

/// `«` and `»` stand around the value in the input; the output keeps its first four characters.
fn check(marked: &str) {
    let text = marked.replace(['«', '»'], "");
    let mut expected = String::new();
    let mut rest = marked;
    while let Some((before, after)) = rest.split_once('«') {
        let (value, after) = after.split_once('»').unwrap();
        expected.push_str(before);
        expected.push_str(&value.chars().take(if value.len() < 8 { 0 } else { 4 }).collect::<String>());
        expected.push_str("*[REDACTED]");
        rest = after;
    }
    expected.push_str(rest);
    assert_eq!(redacted(&text), expected, "of `{text}`");
    assert_eq!(redacted(&expected), expected, "redacting twice changes nothing");
}

#[test]
fn redact_keeps_the_form_of_the_seed() {
    for (text, expected) in [
        (r#""token": "sk-abcdefghijklmnop""#, r#""token": "sk-a*[REDACTED]""#),
        (r#""api_key": "AIzaFakeFakeFake0123""#, r#""api_key": "AIza*[REDACTED]""#),
        (r#""password": "password123""#, r#""password": "pass*[REDACTED]""#),
        (r#""secret": "sec_abcdefgh""#, r#""secret": "sec_*[REDACTED]""#),
        (r#""bearer": "eyjhbgcioijiuzi1nij9""#, r#""bearer": "eyjh*[REDACTED]""#),
        (r#"{"token":"tok12345","n":1}"#, r#"{"token":"tok1*[REDACTED]","n":1}"#),
        (r#"apiKey="a1b2c3d4e5""#, r#"apiKey="a1b2*[REDACTED]""#),
        (r#"API-KEY : "a1b2c3d4e5""#, r#"API-KEY : "a1b2*[REDACTED]""#),
        (r#"Secret = "sec_very-secret-value""#, r#"Secret = "sec_*[REDACTED]""#),
    ] {
        assert_eq!(redacted(text), expected);
    }
}

#[test]
fn redact_every_notation() {
    for marked in [
        "token=«q7zk2mpx9lw4»",
        "token: «q7zk2mpx9lw4»",
        "TOKEN='«q7zk2mpx9lw4»'",
        "export GITLAB_TOKEN=«q7zk2mpx9lw4»",
        "tool --password '«tr0ub4dor&3x»' --verbose",
        "tool --password=«tr0ub4dor3x»",
        "tool --api-key \"«q7zk2mpx9lw4»\" run",
        "mysqldump -password «tr0ub4dor3x» db",
        "Authorization: Bearer «q7zk2mpx9lw4ab»",
        "authorization: Basic «dXNlcjpmYWtlcGFzcw==»",
        "curl -H 'Authorization: token «q7zk2mpx9lw4»' https://api.example.com/x",
        r#"headers = {"Authorization": "Bearer «q7zk2mpx9lw4»"}"#,
        r#"req.setHeader("Authorization", "Bearer «q7zk2mpx9lw4»");"#,
        "X-Api-Key: «q7zk2mpx9lw4»",
        "using bearer «q7zk2mpx9lw4ab» for it",
        "Set-Cookie: sid=«f3a9c04b77e1d852aa01»; Path=/; HttpOnly",
        "Cookie: theme=dark; session=«f3a9c04b77e1d852aa01»; lang=en",
        "DB_PASSWORD=«correcthorsebattery»",
        "DB_PASSWORD=«ab(c]1{23»",
        "  password: «hunter2hunter»",
        "  password: \"«correct horse battery staple»\"",
        "- secret: '«0a1b2c3d4e5f»'  # rotated",
        "spring.datasource.password=«s3cr3tp4ss»",
        "https://ci:«s3cr3tp4ss»@git.example.com/x.git",
        "postgres://app:«abc12»@db/prod",
        "redis://:«s3cr3tp4ss»@cache:6379/0",
        "let token: &str = \"«q7zk2mpx9lw4»\";",
        "const password: string = '«s3cr3tp4ss»';",
        "password := \"«s3cr3tp4ss»\"",
        "'secret' => '«s3cr3tv4lue»',",
        r#"{\"token\": \"«q7zk2mpx9lw4»\"}"#,
        r#"config["api_key"] = "«q7zk2mpx9lw4»""#,
        r#"("password", "«s3cr3tp4ss»")"#,
        r#"<add key="ApiKey" value="«q7zk2mpx9lw4»" />"#,
        "<password>«s3cr3tp4ss»</password>",
        "?page=2&access_token=«q7zk2mpx9lw4»&x=1",
        "\"\x1b[34mtoken\x1b[0m\": \x1b[32m\"«q7zk2mpx9lw4»\"\x1b[0m",
        "password=b'«s3cr3tp4ss»'",
        "aws_secret_access_key = «wJalFAKEtnFEMI/K7MDENG+bPxRfiCYFAKEFAKE0»",
        "if password == \"«s3cr3tp4ss»\" {",
        "\"password\": \"«pässwörtchen1»\"",
        "the api token «q7zk2mpx9lw4q7zk2mpx9lw4t5» was refused",
        "vendor token - '«q7zk2mpx9lw4q7zk2mpx9lw4t5»'",
        "GET /v1/items?key=«q7zk2mpx9lw4q7zk2mpx9lw4t5»&n=2",
        "SOME_VENDOR_KEY=«q7zk2mpx9lw4q7zk2mpx9lw4»",
    ] {
        check(marked);
    }
}

#[test]
fn redact_private_keys_as_blocks() {
    let body = "MIIEq7Zk2mPx9Lw4".repeat(4);
    let (begin, end) =
        (["-----BEGIN RSA PRI", "VATE KEY-----"].concat(), ["-----END RSA PRI", "VATE KEY-----"].concat());
    let block = format!("a\n{begin}\n{body}\n{body}\nAg==\n{end}\nb\n");
    assert_eq!(redacted(&block), format!("a\n{begin}\nMIIE*[REDACTED]\n{end}\nb\n"));
    let json = format!(r#"{{"private_key": "{begin}\n{body}\n{end}\n", "n": 1}}"#);
    assert_eq!(redacted(&json), format!(r#"{{"private_key": "{begin}\nMIIE*[REDACTED]\n{end}\n", "n": 1}}"#));
    let numbered = format!("{begin}\n  2\t{body}\n  3\t{body}\n{end}\n");
    assert!(!redacted(&numbered).contains("Zk2m"), "{}", redacted(&numbered));
    let cut = format!("{begin}\n{body}\n");
    assert_eq!(redacted(&cut), format!("{begin}\nMIIE*[REDACTED]"));
}

#[test]
fn scan_reports_spans_of_values() {
    let text = "user=me token=q7zk2mpx9lw4 and postgres://app:s3cr3tp4ss@db";
    let spans: Vec<_> = scan(text.as_bytes())
        .into_iter()
        .map(|finding| (&text[finding.span.start..finding.span.end], finding.rule))
        .collect();
    assert_eq!(spans, [("q7zk2mpx9lw4", "secret-004".into()), ("s3cr3tp4ss", "secret-003".into())]);
}

#[test]
fn scan_prefers_the_surer_rule_where_two_agree() {
    let token = ["gh", "p_", "FAKE0FAKE1FAKE2FAKE3FAKE4FAKE5FAKE6x"].concat();
    let found = scan(format!("token = \"{token}\"").as_bytes());
    assert_eq!((found.len(), found[0].rule.as_str(), found[0].confidence), (1, "secret-116", Confidence::High));
}

#[test]
fn redact_a_value_of_any_length_to_its_end() {
    for length in [9, 490, 505, 512, 520, 1000, 1023, 1024, 1025, 2048, 3000, 70_000, 200_000] {
        let value = "k3JqZx8Lw0Vt".repeat(length / 12 + 1);
        for (before, after) in
            [("token=", " next"), ("{\"token\": \"", "\", \"a\": 1}"), ("Authorization: Bearer ", "\n")]
        {
            let text = format!("{before}{value}{after}");
            assert_eq!(redacted(&text), format!("{before}k3Jq*[REDACTED]{after}"), "{length} behind {before}");
        }
    }
}

#[test]
fn redact_returns_other_bytes_exactly() {
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    assert_eq!(redact(&bytes).as_bytes(), bytes);
}

#[test]
fn redact_a_token_behind_what_only_looks_like_a_word() {
    let token = ["gh", "p_a8Kd92LmQpZx71VbNc34RtYw56HjUeSf0GqT"].concat();
    for before in
        ["\u{1b}[31m", "\u{1b}[0;1;32m", "\u{1b}[K", "\\n", "\\t", "\\u001b[31m", "\\033[1m", "token%3D", "%20"]
    {
        check(&format!("{before}«{token}»"));
        check(&format!("{} {before}«{token}» x", "y".repeat(300)));
    }
    for word in ["m", "[31m", "n", "3D", "%D", "31m", "b[31m"] {
        let text = format!("x{word}{token}");
        assert_eq!(redacted(&text), text, "a longer word is another word");
    }
}
