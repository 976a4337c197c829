//! Checks of a request's fields: all of them are looked at, and all that is wrong is told at once.

use chrono::{DateTime, Utc};
use prost_types::Timestamp;
use tonic_types::FieldViolation;
use uuid::Uuid;

use crate::errors::ServiceError;

/// Years that timestamps may lie in. Far outside of them is a mistaken unit, not a time.
const YEARS: std::ops::Range<i32> = 2000..2100;
/// Longest part of a wrong value that is repeated to the caller, in characters.
const ECHO: usize = 64;

/// Collects what is wrong with the fields of one request.
#[derive(Debug, Default)]
pub struct Fields {
    violations: Vec<FieldViolation>,
}

impl Fields {
    /// Nothing is wrong yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that `field` holds `value`, and what would be right.
    pub fn wrong(&mut self, field: &str, value: &str, remedy: &str) {
        let value: String = value.chars().take(ECHO).collect();
        self.refuse(field, format!("{value:?} is not right; {remedy}"));
    }

    /// Notes that `field` is empty, and what would be right.
    pub fn missing(&mut self, field: &str, remedy: &str) {
        self.refuse(field, format!("is required; {remedy}"));
    }

    fn refuse(&mut self, field: &str, description: String) {
        self.violations.push(FieldViolation::new(field, description));
    }

    /// A required UUID.
    pub fn uuid(&mut self, field: &str, value: &str) -> Option<Uuid> {
        const REMEDY: &str = "give a UUID such as 0198c5a4-7d2e-7c3b-9f10-2a4b6c8d0e1f";
        if value.is_empty() {
            self.missing(field, REMEDY);
            return None;
        }
        let parsed = Uuid::try_parse(value).ok();
        if parsed.is_none() {
            self.wrong(field, value, REMEDY);
        }
        parsed
    }

    /// A required time; finer than microseconds is cut off.
    pub fn time(&mut self, field: &str, value: Option<&Timestamp>) -> Option<DateTime<Utc>> {
        use chrono::{Datelike as _, SubsecRound as _};

        const REMEDY: &str = "give a time between the years 2000 and 2099";
        let Some(value) = value else {
            self.missing(field, REMEDY);
            return None;
        };
        let time = u32::try_from(value.nanos)
            .ok()
            .and_then(|nanos| DateTime::from_timestamp(value.seconds, nanos))
            .filter(|time| YEARS.contains(&time.year()));
        if time.is_none() {
            self.wrong(field, &format!("{}.{:09}", value.seconds, value.nanos), REMEDY);
        }
        time.map(|time| time.trunc_subsecs(6))
    }

    /// A required text of `length` characters, each of which `allowed` accepts.
    pub fn text(
        &mut self,
        field: &str,
        value: &str,
        length: std::ops::RangeInclusive<usize>,
        allowed: fn(char) -> bool,
        remedy: &str,
    ) -> String {
        if value.is_empty() && *length.start() > 0 {
            self.missing(field, remedy);
        } else if !length.contains(&value.chars().count()) || !value.chars().all(allowed) {
            self.wrong(field, value, remedy);
        }
        value.to_owned()
    }

    /// A required idempotency key.
    pub fn idempotency_key(&mut self, value: &str) -> String {
        const REMEDY: &str = "give 1 to 128 printable characters, fresh for each new request";
        self.text("idempotency_key", value, 1..=128, |c| !c.is_control(), REMEDY)
    }

    /// The size of a page: 0 stands for `default`.
    pub fn page_size(&mut self, value: i32, default: u16, most: u16) -> u16 {
        match u16::try_from(value) {
            Ok(0) => default,
            Ok(size) if size <= most => size,
            _ => {
                self.wrong(
                    "page_size",
                    &value.to_string(),
                    &format!("give 1 to {most}, or 0 for {default}"),
                );
                default
            }
        }
    }

    /// Refuses the request if anything was wrong.
    pub fn finish(self) -> Result<(), ServiceError> {
        if self.violations.is_empty() {
            Ok(())
        } else {
            Err(ServiceError::Invalid(self.violations))
        }
    }
}

/// A time as Protobuf has it.
#[must_use]
pub fn timestamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp {
        seconds: time.timestamp(),
        // Chrono counts a leap second as nanoseconds over a full second; Protobuf has none.
        nanos: i32::try_from(time.timestamp_subsec_nanos().min(999_999_999)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_is_told() {
        let mut fields = Fields::new();
        fields.uuid("shipment_id", "");
        fields.uuid("other_id", "nonsense");
        fields.time("occurred_at", None);
        fields.time(
            "late",
            Some(&Timestamp {
                seconds: 9_999_999_999_999,
                nanos: 0,
            }),
        );
        fields.time(
            "odd",
            Some(&Timestamp {
                seconds: 1_400_000_000,
                nanos: -1,
            }),
        );
        fields.page_size(501, 100, 500);
        fields.page_size(-1, 100, 500);
        fields.idempotency_key("a\nb");
        let Err(ServiceError::Invalid(violations)) = fields.finish() else {
            panic!("accepted");
        };
        assert_eq!(violations.len(), 8, "{violations:?}");
        assert!(violations[1].description.contains("nonsense"));
    }

    #[test]
    fn what_is_right_is_taken() {
        let mut fields = Fields::new();
        let time = fields.time(
            "occurred_at",
            Some(&Timestamp {
                seconds: 1_400_000_000,
                nanos: 123_456_789,
            }),
        );
        assert_eq!(timestamp(time.unwrap()).nanos, 123_456_000);
        assert_eq!(fields.page_size(0, 100, 500), 100);
        assert_eq!(fields.idempotency_key("order 7"), "order 7");
        fields.finish().unwrap();
    }
}
