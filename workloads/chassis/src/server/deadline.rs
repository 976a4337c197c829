//! The time that a request may take.

use std::time::{Duration, Instant};

use http::HeaderMap;
use tonic::Request;

/// Longest time until a request is answered, or its stream of answers begun, whatever its caller allows.
pub(super) const MAX: Duration = Duration::from_secs(30);
/// Kept back from the caller's time, so that the answer still reaches it.
const RESERVE: Duration = Duration::from_millis(20);

/// When the caller stops waiting. The server puts it into a request before its handler runs; only a stream, which lasts
/// longer than [`MAX`], has to look at it.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline of a request, if its caller gave one.
    #[must_use]
    pub fn of<T>(request: &Request<T>) -> Option<Instant> {
        request.extensions().get().map(|Self(at)| *at)
    }

    /// `None` where the caller gave none, or one that no clock reaches.
    pub(super) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        Instant::now().checked_add(asked(headers)?).map(Self)
    }
}

/// How long to work on a request: the caller's `grpc-timeout`, at most [`MAX`].
pub(super) fn budget(headers: &HeaderMap) -> Duration {
    asked(headers).map_or(MAX, |asked| asked.min(MAX))
}

/// The caller's `grpc-timeout`, less the time of the way back.
fn asked(headers: &HeaderMap) -> Option<Duration> {
    let asked = headers.get("grpc-timeout")?.to_str().ok().and_then(parse)?;
    Some(asked.saturating_sub(RESERVE.min(asked / 10)))
}

/// Reads a `grpc-timeout`: up to eight digits and a unit.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        assert_eq!(parse("5S"), Some(Duration::from_secs(5)));
        assert_eq!(parse("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse("99999999H"), Some(Duration::from_hours(99_999_999)));
        for wrong in ["", "S", "5", "5s", "-5S", "123456789S", "5é"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_callers_time_is_kept_and_capped() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", value.parse().unwrap());
            budget(&headers)
        };
        assert_eq!(with("1S"), Duration::from_millis(980));
        assert_eq!(with("50m"), Duration::from_millis(45));
        assert_eq!(with("10H"), MAX);
        assert_eq!(with("soon"), MAX);
        assert_eq!(budget(&HeaderMap::new()), MAX);
    }
}
