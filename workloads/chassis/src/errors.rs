//! Errors of a service as gRPC statuses: what the caller can act on is told, the rest is only logged.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

/// `domain` of every `google.rpc.ErrorInfo`.
pub const ERROR_DOMAIN: &str = "logistics-platform.io";
/// Most bytes of what is said of fields. A refusal has it as its message, where a byte may take three, and twice in base64 as its
/// details; clients of gRPC for Java and for C take 8 KiB of trailers by default.
const MOST_SAID: usize = 1_200;
/// When a caller may try again after the service was away.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An error of a request.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Fields are wrong: `INVALID_ARGUMENT` with all of them.
    #[error("{}", summary(.0))]
    Invalid(Vec<FieldViolation>),
    /// There is no such thing in the caller's account: `NOT_FOUND`.
    #[error("{what} {id:?} does not exist in this account")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// Its id, as asked for.
        id: String,
    },
    /// Its state forbids it: `FAILED_PRECONDITION`.
    #[error("{message}")]
    Precondition {
        /// The `ErrorInfo` reason, in upper case.
        reason: &'static str,
        /// For people.
        message: String,
    },
    /// The database does not answer: `UNAVAILABLE`; nothing is said of why.
    #[error("the database is away: {0}")]
    Unavailable(#[source] Arc<sqlx::Error>),
    /// Anything else: `INTERNAL`; nothing is said of why.
    #[error("{what}: {source}")]
    Internal {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ServiceError {
    /// An error that the caller can do nothing about.
    pub fn internal(what: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal {
            what,
            source: source.into(),
        }
    }
}

impl From<sqlx::Error> for ServiceError {
    fn from(error: sqlx::Error) -> Self {
        if is_away(&error) || is_passing(&error) {
            Self::Unavailable(Arc::new(error))
        } else {
            Self::internal("database", error)
        }
    }
}

/// Whether the database is unreachable, stopping, full or overloaded, rather than asked something wrong.
#[must_use]
pub fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Tls(_) => {
            true
        }
        // Connection exceptions, insufficient resources, operator intervention.
        _ => has_class(error, &["08", "53", "57"]),
    }
}

/// Whether the same request may succeed a moment later: a deadlock, a lock that was held too long, a standby that
/// takes no writes yet, or a password that is being rotated.
fn is_passing(error: &sqlx::Error) -> bool {
    has_class(error, &["40", "55P03", "25006", "28"])
}

fn has_class(error: &sqlx::Error, classes: &[&str]) -> bool {
    let code = error
        .as_database_error()
        .and_then(|error| error.code().map(Cow::into_owned));
    code.is_some_and(|code| classes.iter().any(|class| code.starts_with(class)))
}

fn summary(violations: &[FieldViolation]) -> String {
    let fields: Vec<String> = violations
        .iter()
        .map(|violation| format!("{}: {}", violation.field, violation.description))
        .collect();
    fields.join("; ")
}

/// As many of the violations as there is room for; then how many more there are.
fn said(mut violations: Vec<FieldViolation>) -> Vec<FieldViolation> {
    let mut bytes = 0;
    let room_for = violations
        .iter()
        .take_while(|one| {
            bytes += one.field.len() + one.description.len();
            bytes <= MOST_SAID
        })
        .count();
    let rest = violations.split_off(room_for).len();
    if rest > 0 {
        violations.push(FieldViolation::new("…", format!("{rest} more are not right")));
    }
    violations
}

/// A status with an `ErrorInfo`; `reason` is in upper case, `message` for people.
#[must_use]
pub fn refusal(code: Code, reason: &str, message: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, std::collections::HashMap::new());
    Status::with_error_details(code, message, details)
}

impl From<ServiceError> for Status {
    fn from(error: ServiceError) -> Self {
        let error = match error {
            ServiceError::Invalid(violations) => ServiceError::Invalid(said(violations)),
            other => other,
        };
        let message = error.to_string();
        let with = |code, reason: &str, mut details: ErrorDetails, message: &str| {
            details.set_error_info(reason, ERROR_DOMAIN, std::collections::HashMap::new());
            Self::with_error_details(code, message, details)
        };
        match error {
            ServiceError::Invalid(violations) => with(
                Code::InvalidArgument,
                "INVALID_FIELDS",
                ErrorDetails::with_bad_request(violations),
                &message,
            ),
            ServiceError::NotFound { .. } => with(Code::NotFound, "NOT_FOUND", ErrorDetails::new(), &message),
            ServiceError::Precondition { reason, .. } => {
                with(Code::FailedPrecondition, reason, ErrorDetails::new(), &message)
            }
            ServiceError::Unavailable(_) => {
                tracing::warn!(error = %message, "request failed");
                with(
                    Code::Unavailable,
                    "STORAGE_UNAVAILABLE",
                    ErrorDetails::with_retry_info(Some(RETRY_AFTER)),
                    "the service cannot reach its storage; try again with the same idempotency key",
                )
            }
            ServiceError::Internal { .. } => {
                tracing::error!(error = %message, "request failed");
                with(
                    Code::Internal,
                    "INTERNAL",
                    ErrorDetails::new(),
                    "internal error; the service's log has it under this request's trace id",
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_learns_every_wrong_field() {
        let status = Status::from(ServiceError::Invalid(vec![
            FieldViolation::new("carrier", "is empty; give 2 to 10 characters"),
            FieldViolation::new("origin.code", "is empty"),
        ]));
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        let fields: Vec<_> = details
            .bad_request()
            .unwrap()
            .field_violations
            .iter()
            .map(|v| v.field.as_str())
            .collect();
        assert_eq!(fields, ["carrier", "origin.code"]);
        assert_eq!(details.error_info().unwrap().reason, "INVALID_FIELDS");
    }

    /// The trailers of a refusal, as HTTP/2 counts them.
    fn trailers(status: Status) -> usize {
        let response = status.into_http::<()>();
        let headers = response.headers().iter();
        headers
            .map(|(name, value)| name.as_str().len() + value.len() + 32)
            .sum()
    }

    #[test]
    fn a_refusal_is_short_enough_for_every_client() {
        for value in ["x", "\"", "包裹", "\u{10ffff}"] {
            let description = format!(
                "{:?} is not right; give a UUID",
                value.repeat(64 / value.chars().count())
            );
            let violation = |at: usize| FieldViolation::new(format!("shipment_ids[{at}]"), &description);
            let status = Status::from(ServiceError::Invalid((0..100).map(violation).collect()));
            let details = status.get_error_details();
            let fields = &details.bad_request().unwrap().field_violations;
            let rest = format!("{} more are not right", 100 - (fields.len() - 1));
            assert!(fields.len() > 1);
            assert_eq!(fields.last().unwrap().description, rest);
            assert!(status.message().ends_with(&rest));
            assert!(trailers(status) <= 8 * 1024, "{value:?}");
        }
    }

    #[test]
    fn a_caller_learns_nothing_of_the_inside() {
        let inside = ServiceError::internal("database", "password authentication failed for user \"acme\"");
        let status = Status::from(inside);
        assert_eq!(status.code(), Code::Internal);
        assert!(!format!("{status:?}").contains("acme"));

        let status = Status::from(ServiceError::from(sqlx::Error::PoolTimedOut));
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.get_error_details().retry_info().is_some());
    }
}
