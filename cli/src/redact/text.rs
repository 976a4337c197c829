//! Secrets within running text: logs, messages, arguments.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::{MASK, secret_name};

/// Rules whose group `secret` is replaced.
static RULES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        // A private key, in whole or cut off.
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?<secret>(?s:.*?))(?:-----END|\z)",
        // The header and its scheme.
        r#"(?i)authorization"?\s*[:=]\s*"?(?:(?:bearer|basic|digest|negotiate|token)\s+)?(?<secret>[^\s",;]+)"#,
        r"(?i)\b(?:bearer|basic)\s+(?<secret>[A-Za-z0-9+/_.=~-]{8,})",
        // A signed token, wherever it is.
        r"(?<secret>\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)?)",
        // User and password in a URL.
        r"[a-z][a-z0-9+.-]*://(?<secret>[^\s/@:]*:[^\s/@]+)@",
        // Keys of cloud providers and forges.
        r"(?<secret>\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bxox[abpr]-[A-Za-z0-9-]{10,})",
    ]
    .iter()
    .filter_map(|rule| Regex::new(rule).ok())
    .collect()
});

/// A name and what is assigned to it: `name=value`, `"name": "value"`, `name: value`, `--name value`.
static ASSIGNMENT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?<name>[A-Za-z][A-Za-z0-9_.-]*)(?<between>\\?["']?(?:\s*[:=]\s*|\s+)\\?["']?)(?<value>[^\s"'\\,;&}\])]+)"#,
    )
    .ok()
});

/// The text without what looks like a secret.
#[must_use]
pub fn text(text: &str) -> String {
    let mut clean = text.to_owned();
    for rule in RULES.iter() {
        clean = rule
            .replace_all(&clean, |found: &Captures<'_>| masked(found, "secret"))
            .into_owned();
    }
    match ASSIGNMENT.as_ref() {
        Some(rule) => assignments(rule, &clean),
        None => clean,
    }
}

/// Masks what is assigned to secret names. Each name is looked at, also one that stands where a value could.
fn assignments(rule: &Regex, text: &str) -> String {
    let mut clean = String::new();
    let mut at = 0;
    while let Some(found) = rule.captures_at(text, at) {
        let (Some(name), Some(between), Some(value)) =
            (found.name("name"), found.name("between"), found.name("value"))
        else {
            break;
        };
        let blank = !between.as_str().contains([':', '=']);
        // "the token expired" is a sentence; "--token abc" is an argument.
        let flag = text[..name.start()].ends_with("--");
        if secret_name(name.as_str()) && (!blank || flag) && !said(&text[value.start()..]) {
            clean.push_str(&text[at..value.start()]);
            clean.push_str(MASK);
            at = value.end();
        } else {
            clean.push_str(&text[at..name.end()]);
            at = name.end();
        }
    }
    clean.push_str(&text[at..]);
    clean
}

/// Whether what follows is masked already, perhaps after the scheme of an authorization.
fn said(rest: &str) -> bool {
    let after_scheme = rest.split_once(' ').map_or("", |(_, after)| after);
    rest.starts_with(MASK) || after_scheme.starts_with(MASK)
}

fn masked(found: &Captures<'_>, group: &str) -> String {
    let whole = found.get(0).map_or("", |whole| whole.as_str());
    match (found.get(0), found.name(group)) {
        (Some(outer), Some(secret)) if !secret.is_empty() => {
            let (start, end) = (secret.start() - outer.start(), secret.end() - outer.start());
            format!("{}{MASK}{}", &whole[..start], &whole[end..])
        }
        _ => whole.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn secrets_are_masked_and_the_rest_stays() {
        for (line, expected) in [
            (
                "GET / Authorization: Bearer hunter2",
                "GET / Authorization: Bearer <redacted>",
            ),
            (
                r#"{"authorization":"Basic aHVudGVyMg==","x":1}"#,
                r#"{"authorization":"Basic <redacted>","x":1}"#,
            ),
            ("sent bearer hunter2hunter2 to it", "sent bearer <redacted> to it"),
            (
                "postgres://owner:hunter2@db:5432/acme",
                "postgres://<redacted>@db:5432/acme",
            ),
            ("password=hunter2 user=acme", "password=<redacted> user=acme"),
            (
                r#"{"fields":{"db_password":"hunter2","user":"acme"}}"#,
                r#"{"fields":{"db_password":"<redacted>","user":"acme"}}"#,
            ),
            (
                r#"said \"password\": \"hunter2\"; goes on"#,
                r#"said \"password\": \"<redacted>\"; goes on"#,
            ),
            (
                "--client-secret hunter2 --port 1",
                "--client-secret <redacted> --port 1",
            ),
            ("--api-key=hunter2", "--api-key=<redacted>"),
            (
                "token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2ln expired",
                "token <redacted> expired",
            ),
            (
                "x -----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----",
                "x -----BEGIN RSA PRIVATE KEY-----<redacted>-----END RSA PRIVATE KEY-----",
            ),
            ("apikey: hunter2", "apikey: <redacted>"),
        ] {
            assert_eq!(text(line), expected);
        }
        for line in [
            "the token expired, and the password was wrong",
            "secretName: acme-db",
            "Pulling image localhost/logistics/shipment:0.1.0",
            r#"{"level":"INFO","fields":{"message":"key set read","keys":2}}"#,
            "https://registry.backing.svc:8443/apis/ccompat/v7",
        ] {
            assert_eq!(text(line), line);
        }
    }
}
