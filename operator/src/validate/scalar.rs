//! Checks of single values. An error is the remedy: what would be right.

use std::time::Duration;

/// Parses `1h30m`, `30s`, `168h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let remedy = || "is not a duration; use hours, minutes and seconds, for example 30s or 168h".to_owned();
    let mut total = Duration::ZERO;
    let mut number = String::new();
    for c in text.chars() {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        let seconds = match c {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return Err(remedy()),
        };
        let count: u32 = number.parse().map_err(|_| remedy())?;
        total += Duration::from_secs(seconds) * count;
        number.clear();
    }
    if text.is_empty() || !number.is_empty() {
        return Err(remedy());
    }
    Ok(total)
}

/// Parses a duration and checks its bounds.
pub(super) fn duration_within(text: &str, least: (&str, u64), most: (&str, u64)) -> Result<Duration, String> {
    let value = duration(text)?;
    if value.as_secs() < least.1 || value.as_secs() > most.1 {
        return Err(format!("is not between {} and {}", least.0, most.0));
    }
    Ok(value)
}

/// A name of a Kubernetes object that Services can be derived from.
pub(super) fn dns_label(text: &str, max: usize) -> Result<String, String> {
    let right = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !right {
        return Err("must start with a letter and hold only a-z, 0-9 and '-'".into());
    }
    if text.len() > max {
        return Err(format!("has more than {max} characters; choose a shorter one"));
    }
    Ok(text.into())
}

/// A name of any Kubernetes object.
pub(super) fn object_name(text: &str) -> Result<String, String> {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let right = text.starts_with(edge)
        && text.ends_with(edge)
        && text.len() <= 253
        && text.chars().all(|c| edge(c) || c == '-' || c == '.');
    right
        .then(|| text.into())
        .ok_or_else(|| "is not a Kubernetes name; use a-z, 0-9, '-' and '.'".into())
}

/// The tag of an image.
pub(super) fn image_tag(text: &str) -> Result<String, String> {
    let remedy = "is not an image tag; use letters, digits, '.', '_' and '-', for example 0.1.0";
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let tag = self::text(text, 128, allowed, remedy)?;
    if tag.is_empty() || tag.starts_with(['.', '-']) {
        return Err(remedy.into());
    }
    Ok(tag)
}

/// The key of a label, with or without a prefix.
pub(super) fn label_key(text: &str) -> Result<String, String> {
    let (prefix, name) = text
        .rsplit_once('/')
        .map_or((None, text), |(prefix, name)| (Some(prefix), name));
    let right =
        !name.is_empty() && label_value(name).is_ok() && prefix.is_none_or(|p| object_name(p).is_ok());
    right
        .then(|| text.into())
        .ok_or_else(|| "is not a label's key; write for example release or example.org/team".into())
}

/// The value of a label.
pub(super) fn label_value(text: &str) -> Result<String, String> {
    let edge = |c: char| c.is_ascii_alphanumeric();
    let right = text.len() <= 63
        && text.chars().all(|c| edge(c) || matches!(c, '-' | '_' | '.'))
        && (text.is_empty() || (text.starts_with(edge) && text.ends_with(edge)));
    right
        .then(|| text.into())
        .ok_or_else(|| "is not a label's value; use at most 63 letters, digits, '-', '_' and '.'".into())
}

/// A key of a ConfigMap, which becomes a file's name.
pub(super) fn data_key(text: &str) -> Result<String, String> {
    let right = !text.is_empty()
        && text.len() <= 253
        && !text.starts_with('.')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    right
        .then(|| text.into())
        .ok_or_else(|| "is not a key of a ConfigMap; use letters, digits, '-', '_' and '.'".into())
}

/// A text of allowed characters within a length.
pub(super) fn text(
    value: &str,
    max: usize,
    allowed: impl Fn(char) -> bool,
    remedy: &str,
) -> Result<String, String> {
    if value.len() <= max && value.chars().all(allowed) {
        Ok(value.into())
    } else {
        Err(remedy.into())
    }
}

/// A text that may not be empty.
pub(super) fn required(text: String) -> Result<String, String> {
    if text.is_empty() {
        return Err("is empty; it is required".into());
    }
    Ok(text)
}

/// Comma-separated `host:port`.
pub(super) fn bootstrap_servers(value: &str) -> Result<String, String> {
    let one = |server: &str| {
        server.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty()
                && host
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        })
    };
    if value.len() <= 1024 && value.split(',').all(one) {
        Ok(value.into())
    } else {
        Err("is not a list of host:port; write for example kafka-0.kafka:9093,kafka-1.kafka:9093".into())
    }
}

/// A URL of one of some schemes, without blanks.
pub(super) fn url(value: &str, example: &str) -> Result<String, String> {
    let rest = value
        .strip_prefix("https://")
        .or_else(|| value.strip_prefix("http://"));
    let right = value.len() <= 512
        && rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && !value.chars().any(|c| c.is_whitespace() || c.is_control());
    right
        .then(|| value.into())
        .ok_or_else(|| format!("is not an http(s) URL; write for example {example}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [("30s", 30), ("168h", 604_800), ("1h30m", 5400), ("0s", 0)] {
            assert_eq!(duration(text).unwrap().as_secs(), seconds, "{text}");
        }
        for text in ["", "30", "s", "1d", "-5s", "1 h", "99999999999h"] {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn bootstrap() {
        for text in ["kafka:9092", "a.b-c_d:1,e:65535"] {
            assert!(bootstrap_servers(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "kafka",
            "kafka:0",
            "kafka:65536",
            "kafka:9092,",
            ":9092",
            "ssl://kafka:9092",
        ] {
            assert!(bootstrap_servers(text).is_err(), "{text:?}");
        }
    }
}
