//! What happens when a platform is deleted whose policy is to delete what is outside Kubernetes too. A finalizer holds the
//! object until topics and subjects are gone, or the deadline is over: a deletion never hangs for good.

mod carry_out;

use std::collections::BTreeSet;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use serde_json::{Value, json};

pub(crate) use carry_out::{carry_out, set_finalizer};

use crate::api::{DeletionPolicy, LogisticsPlatform};
use crate::backend::kafka::{self, Kafka};
use crate::backend::registry::{self, Registry};
use crate::backend::{Backend, Reading};
use crate::child::{ChildId, ChildKind};
use crate::claims::Claim;
use crate::names::FINALIZER;
use crate::observe::Observed;
use crate::validate::ValidPlatform;

/// How long a deletion waits for what is outside Kubernetes.
const DEADLINE: SignedDuration = SignedDuration::from_mins(5);

/// Whether the object has our finalizer.
#[must_use]
pub fn is_held(platform: &LogisticsPlatform) -> bool {
    platform
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == FINALIZER)
}

/// The patch that adds or takes away our finalizer, when the policy asks for it. Others' finalizers stay.
#[must_use]
pub fn finalizer_patch(platform: &LogisticsPlatform, wanted: bool) -> Option<Value> {
    if is_held(platform) == wanted {
        return None;
    }
    let mut finalizers: Vec<_> = platform
        .finalizers()
        .iter()
        .filter(|finalizer| *finalizer != FINALIZER)
        .cloned()
        .collect();
    if wanted {
        finalizers.push(FINALIZER.into());
    }
    // A list is replaced as a whole, so nobody may have changed it in the meantime.
    let metadata = json!({"finalizers": finalizers, "resourceVersion": platform.resource_version()});
    Some(json!({"metadata": metadata}))
}

/// Whether a platform that is not being deleted should have our finalizer.
#[must_use]
pub fn wants_finalizer(valid: &ValidPlatform) -> bool {
    valid.deletion_policy == DeletionPolicy::Delete
}

/// What to do next for a platform that is being deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// First what uses topics goes: these objects, with their pods.
    Stop(Vec<ChildId>),
    /// Pods are still there, or a backend is being read.
    Wait(String),
    /// Topics and subjects go.
    Delete {
        /// Topics.
        topics: Vec<kafka::Change>,
        /// Subjects.
        subjects: Vec<registry::Change>,
    },
    /// Nothing holds the object any more; what could not be deleted, where the deadline is over.
    Release(Option<String>),
}

/// Decides. Pure.
#[must_use]
pub fn next(
    platform: &LogisticsPlatform,
    valid: &ValidPlatform,
    observed: &Observed,
    shared: &BTreeSet<Claim>,
) -> Step {
    let step = unhurried(valid, observed, shared);
    match (is_late(platform, observed.now), &step) {
        (true, Step::Wait(what)) => Step::Release(Some(format!("gave up after five minutes: {what}"))),
        _ => step,
    }
}

/// Whether a deletion has waited long enough.
#[must_use]
pub fn is_late(platform: &LogisticsPlatform, now: Timestamp) -> bool {
    let since = platform.metadata.deletion_timestamp.as_ref().map(|time| time.0);
    since.is_some_and(|since| now.duration_since(since) > DEADLINE)
}

fn unhurried(valid: &ValidPlatform, observed: &Observed, shared: &BTreeSet<Claim>) -> Step {
    let users = || {
        let kinds = [
            ChildKind::HorizontalPodAutoscaler,
            ChildKind::Deployment,
            ChildKind::Job,
        ];
        kinds.into_iter().flat_map(|kind| observed.of_kind(kind))
    };
    let running: Vec<_> = users()
        .filter(|live| !live.terminating)
        .map(|live| live.id.clone())
        .collect();
    if !running.is_empty() {
        return Step::Stop(running);
    }
    if let Some(live) = users().next() {
        return Step::Wait(format!("the pods of {} are ending", live.id));
    }
    let is_ours = |name: &str| {
        let servers = valid.kafka.bootstrap_servers.clone();
        let name = name.to_owned();
        !shared.contains(&Claim::Topic { servers, name })
    };
    let topics: Vec<_> = kafka::wanted(valid)
        .into_iter()
        .filter(|topic| is_ours(&topic.name))
        .collect();
    let subjects: Vec<_> = registry::wanted(valid)
        .into_iter()
        .filter(|subject| topics.iter().any(|topic| registry::is_of(subject, &topic.name)))
        .collect();
    let topics = match &observed.kafka {
        Reading::Pending => return Step::Wait("topics are being read".into()),
        Reading::Failed(error) => return Step::Wait(format!("topics cannot be deleted: {error}")),
        Reading::Seen(seen) => Kafka::teardown(&topics, seen),
    };
    let subjects = match &observed.registry {
        Reading::Pending => return Step::Wait("subjects are being read".into()),
        Reading::Failed(error) => return Step::Wait(format!("subjects cannot be deleted: {error}")),
        Reading::Seen(seen) => Registry::teardown(&subjects, seen),
    };
    if topics.is_empty() && subjects.is_empty() {
        return Step::Release(None);
    }
    Step::Delete { topics, subjects }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::backend::kafka::Topics;
    use crate::backend::registry::Subjects;
    use crate::fixture::{self, Cluster};

    fn deleted_at(time: &str) -> LogisticsPlatform {
        let mut platform = fixture::platform();
        platform.metadata.deletion_timestamp = Some(serde_json::from_value(time.into()).unwrap());
        platform.metadata.finalizers = Some(vec![FINALIZER.into()]);
        platform
    }

    fn step(platform: &LogisticsPlatform, cluster: &Cluster, shared: &BTreeSet<Claim>) -> Step {
        next(platform, &fixture::valid(), &cluster.observed, shared)
    }

    #[test]
    fn pods_go_first_then_topics_and_subjects_then_the_object() {
        let (valid, none) = (fixture::valid(), BTreeSet::new());
        let platform = deleted_at("2026-01-02T03:04:00Z");
        let mut cluster = Cluster::running(&valid);
        let Step::Stop(stopped) = step(&platform, &cluster, &none) else {
            panic!("pods still run");
        };
        assert_eq!(stopped.len(), 3 + 1, "{stopped:?}");
        cluster.observed.children.clear();
        let Step::Delete { topics, subjects } = step(&platform, &cluster, &none) else {
            panic!("topics are there");
        };
        assert_eq!(topics.len(), kafka::wanted(&valid).len());
        assert_eq!(subjects.len(), registry::wanted(&valid).len());
        cluster.observed.kafka = Reading::Seen(Arc::new(Topics::default()));
        cluster.observed.registry = Reading::Seen(Arc::new(Subjects::default()));
        assert_eq!(step(&platform, &cluster, &none), Step::Release(None));
    }

    #[test]
    fn what_another_platform_claims_stays() {
        let valid = fixture::valid();
        let mut cluster = Cluster::running(&valid);
        cluster.observed.children.clear();
        let shared = crate::claims::of(&fixture::platform());
        let platform = deleted_at("2026-01-02T03:04:00Z");
        assert_eq!(step(&platform, &cluster, &shared), Step::Release(None));
    }

    #[test]
    fn a_backend_that_is_away_is_waited_for_until_the_deadline() {
        let none = BTreeSet::new();
        let mut cluster = Cluster::running(&fixture::valid());
        cluster.observed.children.clear();
        cluster.observed.kafka = fixture::away();
        let early = step(&deleted_at("2026-01-02T03:04:00Z"), &cluster, &none);
        assert_eq!(early, Step::Wait("topics cannot be deleted: away".into()));
        let Step::Release(Some(left)) = step(&deleted_at("2026-01-02T02:58:00Z"), &cluster, &none) else {
            panic!("it hangs");
        };
        assert!(left.contains("topics cannot be deleted: away"), "{left}");
    }

    #[test]
    fn the_finalizers_of_others_stay() {
        let mut platform = fixture::platform();
        platform.metadata.finalizers = Some(vec!["other".into()]);
        platform.metadata.resource_version = Some("7".into());
        let added = finalizer_patch(&platform, true).unwrap();
        let expected = json!({"metadata": {"finalizers": ["other", FINALIZER], "resourceVersion": "7"}});
        assert_eq!(added, expected);
        assert_eq!(finalizer_patch(&platform, false), None);
        platform.metadata.finalizers = Some(vec![FINALIZER.into(), "other".into()]);
        let removed = finalizer_patch(&platform, false).unwrap();
        assert_eq!(removed["metadata"]["finalizers"], json!(["other"]));
    }
}
