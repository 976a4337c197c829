//! The answer to an `AdmissionReview`. Pure.

use std::sync::Arc;

use kube::ResourceExt;
use serde::Deserialize;
use serde_json::{Value, json};

use super::doubt;
use crate::api::LogisticsPlatform;
use crate::settings::Settings;
use crate::telemetry::Metrics;
use crate::validate::validate_within;

/// A request that is no `AdmissionReview`.
#[derive(Debug, thiserror::Error)]
#[error("this is not an AdmissionReview of admission.k8s.io/v1: {0}")]
pub struct NotReviewable(#[from] serde_json::Error);

#[derive(Deserialize)]
struct Review {
    request: Request,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    uid: String,
    #[serde(default)]
    operation: String,
    #[serde(default)]
    object: Value,
    #[serde(default)]
    old_object: Value,
}

/// What becomes of an object.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Allowed { warnings: Vec<String> },
    Denied { message: String },
}

/// Answers reviews.
pub struct Reviewer {
    settings: Arc<Settings>,
    metrics: Arc<Metrics>,
}

impl Reviewer {
    /// One that knows what the cluster's administrator has set.
    #[must_use]
    pub const fn new(settings: Arc<Settings>, metrics: Arc<Metrics>) -> Self {
        Self { settings, metrics }
    }

    /// Answers a review with a review.
    ///
    /// # Errors
    /// When it is none.
    pub fn answer(&self, body: &[u8]) -> Result<Value, NotReviewable> {
        let review: Review = serde_json::from_slice(body).inspect_err(|_| {
            self.metrics.admission("unreadable");
        })?;
        let verdict = judge(&review.request, &self.settings);
        let allowed = matches!(verdict, Verdict::Allowed { .. });
        self.metrics.admission(if allowed { "allowed" } else { "denied" });
        let mut response = json!({"uid": review.request.uid, "allowed": allowed});
        match verdict {
            Verdict::Allowed { warnings } if warnings.is_empty() => {}
            Verdict::Allowed { warnings } => response["warnings"] = warnings.into(),
            Verdict::Denied { message } => {
                response["status"] = json!({"code": 422, "reason": "Invalid", "message": message});
            }
        }
        Ok(json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}))
    }
}

fn judge(request: &Request, settings: &Settings) -> Verdict {
    let deleting = request.object["metadata"]["deletionTimestamp"].is_string();
    if !matches!(request.operation.as_str(), "CREATE" | "UPDATE") || deleting {
        return Verdict::Allowed { warnings: Vec::new() };
    }
    let platform = match LogisticsPlatform::deserialize(&request.object) {
        Ok(platform) => platform,
        Err(error) => {
            return Verdict::Denied {
                message: format!(
                    "LogisticsPlatform cannot be read: {error}; compare it with `kubectl explain logisticsplatform.spec`"
                ),
            };
        }
    };
    let old = LogisticsPlatform::deserialize(&request.old_object).ok();
    let mut wrong = errors(&platform, settings);
    wrong.extend(old.iter().filter_map(|old| forbidden(old, &platform)));
    if wrong.is_empty() {
        let mut warnings = doubt::doubts(&platform);
        warnings.extend(old.iter().flat_map(|old| doubt::changes(old, &platform)));
        return Verdict::Allowed { warnings };
    }
    // Whoever changes a label or a finalizer is not to blame for a spec that was there before.
    if old.is_some_and(|old| old.spec == platform.spec) {
        return Verdict::Allowed {
            warnings: wrong
                .iter()
                .map(|error| doubt::short(&format!("still wrong: {error}")))
                .collect(),
        };
    }
    Verdict::Denied {
        message: told(&platform, &wrong),
    }
}

fn errors(platform: &LogisticsPlatform, settings: &Settings) -> Vec<String> {
    match validate_within(platform, settings) {
        Ok(_) => Vec::new(),
        Err(wrong) => wrong.0.iter().map(ToString::to_string).collect(),
    }
}

/// What may not be changed any more, because it would be in vain: Kafka never takes partitions away.
fn forbidden(old: &LogisticsPlatform, new: &LogisticsPlatform) -> Option<String> {
    let (before, now) = (&old.spec.kafka, &new.spec.kafka);
    if before.topic_prefix != now.topic_prefix || before.topics.partitions == now.topics.partitions {
        return None;
    }
    let existing = old.status.iter().flat_map(|status| &status.topics);
    let most = existing.map(|topic| topic.partitions).max()?;
    let wanted = now.topics.partitions;
    (wanted < most).then(|| {
        format!(
            "spec.kafka.topics.partitions: \"{wanted}\" is fewer than the topics have, and Kafka takes none away; write {most} or more, or another topicPrefix for new topics"
        )
    })
}

/// All that is wrong: one thing in the same line, several in a line each.
fn told(platform: &LogisticsPlatform, wrong: &[String]) -> String {
    let name = platform.name_any();
    match wrong {
        [one] => format!("LogisticsPlatform {name} is wrong: {one}"),
        many => format!("LogisticsPlatform {name} is wrong:\n- {}", many.join("\n- ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn ask(operation: &str, object: &Value, old: &Value) -> Value {
        let reviewer = Reviewer::new(Arc::default(), Metrics::new());
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {"uid": "u", "operation": operation, "object": object, "oldObject": old},
        });
        let answer = reviewer.answer(review.to_string().as_bytes()).unwrap();
        assert_eq!(
            (&answer["kind"], &answer["response"]["uid"]),
            (&json!("AdmissionReview"), &json!("u"))
        );
        answer["response"].clone()
    }

    fn platform() -> Value {
        serde_json::to_value(fixture::platform()).unwrap()
    }

    #[test]
    fn a_right_platform_is_allowed_and_a_wrong_one_told_all_that_is_wrong() {
        assert_eq!(ask("CREATE", &platform(), &Value::Null)["allowed"], true);
        let mut wrong = platform();
        wrong["spec"]["kafka"]["resync"] = "never".into();
        let answer = ask("CREATE", &wrong, &Value::Null);
        assert_eq!(
            (&answer["allowed"], &answer["status"]["code"]),
            (&json!(false), &json!(422))
        );
        let message = answer["status"]["message"].as_str().unwrap();
        assert!(
            message.starts_with(
                "LogisticsPlatform acme is wrong: spec.kafka.resync: \"never\" is not a duration; use"
            ),
            "{message}"
        );
        wrong["spec"]["version"] = "not a tag".into();
        let answer = ask("UPDATE", &wrong, &platform());
        let message = answer["status"]["message"].as_str().unwrap();
        assert_eq!(message.lines().count(), 3, "{message}");
        wrong["spec"]["kafka"]["topics"] = 7.into();
        let answer = ask("CREATE", &wrong, &Value::Null);
        let message = answer["status"]["message"].as_str().unwrap();
        assert!(
            message.contains("cannot be read") && message.contains("kubectl explain"),
            "{message}"
        );
    }

    #[test]
    fn deleting_passes_and_so_does_what_leaves_the_spec_alone() {
        let mut wrong = platform();
        wrong["spec"]["kafka"]["resync"] = "never".into();
        assert_eq!(ask("DELETE", &Value::Null, &wrong)["allowed"], true);
        let mut labelled = wrong.clone();
        labelled["metadata"]["labels"] = json!({"team": "a"});
        let answer = ask("UPDATE", &labelled, &wrong);
        assert_eq!(answer["allowed"], true);
        assert!(
            answer["warnings"][0]
                .as_str()
                .unwrap()
                .starts_with("still wrong: spec.kafka.resync")
        );
        wrong["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        assert_eq!(ask("UPDATE", &wrong, &platform())["allowed"], true);
    }

    #[test]
    fn partitions_that_exist_are_not_taken_away() {
        let mut old = platform();
        old["status"]["topics"] = json!([{"name": "a", "partitions": 6}, {"name": "b", "partitions": 6}]);
        let with = |partitions: i32| {
            let mut new = old.clone();
            new["spec"]["kafka"]["topics"]["partitions"] = partitions.into();
            new
        };
        let answer = ask("UPDATE", &with(3), &old);
        let message = answer["status"]["message"].as_str().unwrap();
        assert!(
            message.contains("spec.kafka.topics.partitions: \"3\"") && message.contains("write 6 or more")
        );
        assert_eq!(ask("UPDATE", &with(12), &old)["allowed"], true);
        let mut elsewhere = with(3);
        elsewhere["spec"]["kafka"]["topicPrefix"] = "new.".into();
        assert_eq!(ask("UPDATE", &elsewhere, &old)["allowed"], true);
        // Before there are topics, a mistake can be mended.
        let mut early = old.clone();
        early["status"] = Value::Null;
        assert_eq!(ask("UPDATE", &with(3), &early)["allowed"], true);
    }

    #[test]
    fn what_is_no_review_is_refused() {
        let reviewer = Reviewer::new(Arc::default(), Metrics::new());
        for body in ["", "{}", "[]", "{\"request\": {}}"] {
            let error = reviewer.answer(body.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("this is not an AdmissionReview"), "{error}");
        }
    }
}
