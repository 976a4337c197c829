//! The fifth step: makes the planned changes, in order. It decides nothing; every write names the object that is meant, so
//! that it fails where the object is not what was observed.

mod kubernetes;

use std::time::Duration;

use kube_runtime::reflector::ObjectRef;
use serde_json::Value;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::backend::{Backend, BackendError, Poller, Reading};
use crate::child::{ChildId, ChildKind, Live};
use crate::leader::Leadership;
use crate::observe::{Observed, Sources, Targets};
use crate::plan::{Action, Blocked, Change, Difference, Plan, differences, surplus};
use crate::validate::ValidPlatform;

pub use kubernetes::Kubernetes;

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// Objects that were made.
    pub created: Vec<ChildId>,
    /// Objects whose fields were brought back.
    pub updated: Vec<ChildId>,
    /// Objects that were removed.
    pub deleted: Vec<ChildId>,
    /// Changes that failed or are blocked.
    pub failed: Vec<Blocked>,
    /// How many changes are held back because the platform is suspended; `None` when it is not.
    pub held: Option<usize>,
    /// Whether the cluster had moved on: the plan is made again at once.
    pub stale: bool,
    /// How long the API server asks to be left alone; nothing more was sent to it.
    pub throttled: Option<Duration>,
    /// Changes of topics that were made, as text.
    pub topics: Vec<String>,
    /// Changes of subjects that were made, as text.
    pub subjects: Vec<String>,
    /// Why a topic could not be changed.
    pub kafka_error: Option<BackendError>,
    /// Why a subject could not be changed.
    pub registry_error: Option<BackendError>,
}

impl Applied {
    /// Whether anything was changed.
    #[must_use]
    pub fn changed(&self) -> bool {
        let objects = [&self.created, &self.updated, &self.deleted];
        objects.iter().any(|list| !list.is_empty()) || !self.topics.is_empty() || !self.subjects.is_empty()
    }
}

/// Makes the changes. What was changed outside is read again into `observed`.
pub async fn apply(
    plan: &Plan,
    valid: &ValidPlatform,
    observed: &mut Observed,
    targets: &Targets,
    kubernetes: &Kubernetes,
    sources: &Sources,
) -> Applied {
    let mut applied = Applied {
        failed: plan.blocked.clone(),
        ..Applied::default()
    };
    if valid.suspend {
        applied.held = Some(plan.len());
        return applied;
    }
    apply_children(plan, valid, kubernetes, sources, &mut applied).await;
    if let Some(target) = &targets.kafka
        && let Some(reading) = outside(
            &sources.kafka,
            valid,
            kubernetes.leadership(),
            target,
            &plan.kafka.changes,
            (&mut applied.topics, &mut applied.kafka_error, &mut applied.stale),
        )
        .await
    {
        observed.kafka = reading;
    }
    if let Some(target) = &targets.registry
        && let Some(reading) = outside(
            &sources.registry,
            valid,
            kubernetes.leadership(),
            target,
            &plan.registry.changes,
            (
                &mut applied.subjects,
                &mut applied.registry_error,
                &mut applied.stale,
            ),
        )
        .await
    {
        observed.registry = reading;
    }
    applied
}

async fn apply_children(
    plan: &Plan,
    valid: &ValidPlatform,
    kubernetes: &Kubernetes,
    sources: &Sources,
    applied: &mut Applied,
) {
    for change in &plan.children {
        // After a failure, or when the plan rests on what is not so any more, nothing new is started and nothing that the
        // plan has no use for is taken away; what is there is still repaired.
        let unsure = applied.stale || !applied.failed.is_empty();
        if unsure && matches!(change.action, Action::Create { .. } | Action::Delete { .. }) {
            continue;
        }
        let opponent = opponent(kubernetes, sources, valid, change).await;
        let outcome = kubernetes.change(change, valid, &sources.cache.writing()).await;
        let id = change.id.clone();
        match outcome {
            Ok(kubernetes::Outcome::Done(live)) => {
                info!(change = %change, "changed");
                match &change.action {
                    Action::Create { object } => {
                        accept(sources, valid, object, live.as_deref());
                        applied.created.push(id);
                    }
                    Action::HandOver { .. } => {}
                    Action::Update {
                        object, differences, ..
                    } => {
                        accept(sources, valid, object, live.as_deref());
                        repaired(sources, valid, &id, differences, opponent);
                        applied.updated.push(id);
                    }
                    Action::Delete { .. } => applied.deleted.push(id),
                }
            }
            Ok(kubernetes::Outcome::Stale) => {
                applied.stale = true;
                // One of these seemed lost and is there after all: the rest of the plan rests on credentials, or on a
                // template, that did not come to be.
                if matches!(change.id.kind, ChildKind::Secret | ChildKind::ControllerRevision) {
                    break;
                }
            }
            Ok(kubernetes::Outcome::Throttled(pause)) => {
                applied.throttled = Some(pause);
                return;
            }
            Err(blocked) => {
                warn!(change = %change, reason = %blocked.reason, message = blocked.message, "change failed");
                applied.failed.push(blocked);
            }
        }
    }
}

/// Notes what the API server made of an object.
fn accept(sources: &Sources, valid: &ValidPlatform, wanted: &Value, live: Option<&Live>) {
    if let Some(live) = live {
        let mut remaining = differences(wanted, &live.object);
        remaining.extend(surplus(wanted, &live.object));
        if !remaining.is_empty() {
            debug!(id = %live.id, ?remaining, "the API server keeps it otherwise");
        }
        sources
            .accepted
            .note(&valid.identity.namespace, &live.id, remaining);
    }
}

/// Who changes the fields that a change brings back, where it makes a fight.
async fn opponent(
    kubernetes: &Kubernetes,
    sources: &Sources,
    valid: &ValidPlatform,
    change: &Change,
) -> Option<String> {
    let Action::Update { differences, .. } = &change.action else {
        return None;
    };
    let platform = ObjectRef::new(&valid.identity.name).within(&valid.identity.namespace);
    let paths = || differences.iter().map(|difference| difference.path.as_str());
    if !sources
        .fights
        .is_about_to_begin(&platform, &change.id, paths(), Instant::now())
    {
        return None;
    }
    let paths = paths().map(str::to_owned).collect();
    kubernetes
        .opponent(&valid.identity.namespace, &change.id, &paths)
        .await
}

/// Notes a repair, and with whom it makes a fight.
fn repaired(
    sources: &Sources,
    valid: &ValidPlatform,
    id: &ChildId,
    differences: &[Difference],
    opponent: Option<String>,
) {
    let platform = ObjectRef::new(&valid.identity.name).within(&valid.identity.namespace);
    let paths = || differences.iter().map(|difference| difference.path.as_str());
    if sources.fights.repaired(&platform, id, paths(), Instant::now()) {
        let paths: Vec<_> = paths().collect();
        warn!(%id, ?paths, opponent, "somebody else keeps changing the operator's fields");
        sources.fights.opponent(&platform, id, opponent);
    }
}

/// Changes a backend until one change fails; returns what is there afterwards when anything was changed.
pub(crate) async fn outside<B: Backend>(
    poller: &Poller<B>,
    valid: &ValidPlatform,
    leadership: &Leadership,
    target: &B::Target,
    changes: &[B::Change],
    (done, failed, stale): (&mut Vec<String>, &mut Option<BackendError>, &mut bool),
) -> Option<Reading<B::Seen>> {
    for change in changes {
        let Ok(permit) = leadership.permit(B::NAME) else {
            *stale = true;
            break;
        };
        match poller.apply(target, change, permit).await {
            Ok(()) => {
                info!(backend = B::NAME, change = %change, "changed");
                done.push(change.to_string());
            }
            Err(error) => {
                warn!(backend = B::NAME, change = %change, %error, "change failed");
                *failed = Some(error);
                break;
            }
        }
    }
    if done.is_empty() {
        None
    } else {
        let platform = ObjectRef::new(&valid.identity.name).within(&valid.identity.namespace);
        Some(poller.refresh(&platform, target).await)
    }
}
