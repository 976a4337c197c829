//! The second step: a spec becomes a [`ValidPlatform`], in which a wrong platform cannot be written. Pure.
//!
//! Most rules are also in the custom resource's schema, so that `kubectl apply` refuses at once; they are checked again
//! here because an object may be older than its schema. All errors are found at once.

mod backing;
mod kafka;
mod network;
mod platform;
mod pod_template;
mod scalar;
mod tenancy;
mod workload;

use std::fmt;

pub use kafka::{ValidKafka, ValidSasl};
pub use network::ValidNetworkPolicy;
pub use platform::{
    ValidAuth, ValidDatabase, ValidImage, ValidOtlp, ValidPlatform, ValidPrometheus, ValidRedis,
    ValidRegistry, ValidTls,
};
pub use workload::{ValidAutoscaling, ValidWorkload, ValidWorkloads};

use crate::api::LogisticsPlatform;
use crate::settings::Settings;

/// One thing that is wrong with a spec: where, what was found, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Path of the field, for example `spec.kafka.topics.retention`.
    pub field: String,
    /// The value that was found.
    pub value: String,
    /// What would be right.
    pub remedy: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?} {}", self.field, self.value, self.remedy)
    }
}

/// Everything that is wrong with a spec.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct InvalidSpec(pub Vec<Invalid>);

/// Collects what is wrong, so that all of it is reported at once.
#[derive(Default)]
struct Findings(Vec<Invalid>);

impl Findings {
    fn add(&mut self, field: &str, value: impl fmt::Display, remedy: impl Into<String>) {
        self.0.push(Invalid {
            field: field.into(),
            value: value.to_string(),
            remedy: remedy.into(),
        });
    }

    /// Notes an error and goes on with a stand-in, which is never seen because the error ends the step.
    fn take<T: Default>(&mut self, field: &str, value: &str, result: Result<T, String>) -> T {
        result.unwrap_or_else(|remedy| {
            self.add(field, value, remedy);
            T::default()
        })
    }
}

/// Checks a platform where everything is allowed.
///
/// # Errors
/// All that is wrong with it.
pub fn validate(platform: &LogisticsPlatform) -> Result<ValidPlatform, InvalidSpec> {
    validate_within(platform, &Settings::default())
}

/// Checks a platform, and that it has no more than its namespace may have.
///
/// # Errors
/// All that is wrong with it.
pub fn validate_within(
    platform: &LogisticsPlatform,
    settings: &Settings,
) -> Result<ValidPlatform, InvalidSpec> {
    let mut findings = Findings::default();
    let valid = platform::platform(platform, &mut findings);
    tenancy::check(platform, &settings.tenancy, &mut findings);
    if findings.0.is_empty() {
        Ok(valid)
    } else {
        Err(InvalidSpec(findings.0))
    }
}

#[cfg(test)]
mod tests;
