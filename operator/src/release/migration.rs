//! How far the migration Job is.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::child::Live;

/// How long a failed Job is kept to be read before it is tried again.
pub const RETRY_AFTER: SignedDuration = SignedDuration::from_mins(2);

/// How far the migration is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Migration {
    /// There is no Job yet.
    NotStarted,
    /// The Job runs.
    Running,
    /// The database is ready for the release.
    Complete,
    /// The Job gave up.
    Failed {
        /// What Kubernetes says about it.
        message: String,
        /// How long until it is tried again; zero or less when it is due.
        retry_in: SignedDuration,
    },
}

impl Migration {
    pub(super) fn of(job: Option<&Live>, now: Timestamp) -> Self {
        let Some(job) = job else { return Self::NotStarted };
        let holds = |kind| {
            job.condition(kind)
                .filter(|condition| condition["status"] == "True")
        };
        if holds("Complete").is_some() {
            return Self::Complete;
        }
        let Some(failed) = holds("Failed") else {
            return Self::Running;
        };
        let since = failed["lastTransitionTime"]
            .as_str()
            .and_then(|text| text.parse::<Timestamp>().ok());
        Self::Failed {
            message: failed["message"].as_str().unwrap_or("no reason given").to_owned(),
            retry_in: since.map_or(SignedDuration::ZERO, |since| {
                RETRY_AFTER - now.duration_since(since)
            }),
        }
    }

    /// For what a release waits.
    pub(super) fn waits_for(&self, job: &str) -> Option<String> {
        match self {
            Self::Complete => None,
            Self::NotStarted | Self::Running => Some(format!("Job {job} migrates the database")),
            Self::Failed { message, .. } => Some(format!("Job {job} failed: {message}")),
        }
    }
}
