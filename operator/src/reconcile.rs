//! The walk of one reconcile: observe, validate, desire, plan, apply, status. Each step takes the former step's value.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::core::Status;
use kube::{Api, Client, Resource, ResourceExt};
use kube_runtime::controller::Action;
use kube_runtime::reflector::ObjectRef;
use tracing::{Instrument, debug, info_span};

use crate::api::{LogisticsPlatform, PlatformStatus};
use crate::apply::{self, Applied, Kubernetes};
use crate::child::ChildId;
use crate::credential::Credentials;
use crate::deletion;
use crate::desire;
use crate::fight::Fight;
use crate::jitter::jitter;
use crate::leader::Leadership;
use crate::names::Names;
use crate::notice::Notices;
use crate::observe::Sources;
use crate::plan;
use crate::reason::Reason;
use crate::release::{self, Migration, Release};
use crate::retry_after;
use crate::settings::Settings;
use crate::status::{self, Facts};
use crate::telemetry::{Metrics, note_trace};
use crate::validate::{self, ValidPlatform};

/// After how long, more or less, a platform is looked at again though nothing happened. It costs no request, and finds what a
/// lost trigger would have left undone: all that a decision rests on is watched, or read by a poller that tells of changes.
/// The informers of controller-runtime take as long.
const IDLE: Duration = Duration::from_hours(10);

/// How soon a platform is looked at again after something outside was changed for it: what is there now may allow what could not be
/// decided before. Whether a schema is accepted, for one, is known only when the mode is set.
const AFTER_OUTSIDE: Duration = Duration::from_secs(1);

/// Longest time that writing a status may take.
const STATUS_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a reconcile has to be repeated.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// Changes failed.
    #[error("{0}")]
    Apply(String),
    /// The cluster had moved on, or another operator leads now.
    #[error("the cluster changed in the meantime")]
    Stale,
    /// The API server asks for a pause.
    #[error("the API server asks to wait {} s", .0.as_secs())]
    Throttled(Duration),
    /// The status could not be written.
    #[error("the status was not written: {0}")]
    Status(#[source] Box<kube::Error>),
    /// The API server did not answer.
    #[error("the status was not written: no answer in time")]
    StatusTimeout,
}

impl ReconcileError {
    /// How long the API server asks to wait.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled(pause) => Some(*pause),
            _ => None,
        }
    }

    /// The step that failed, for metrics.
    #[must_use]
    pub const fn step(&self) -> &'static str {
        match self {
            Self::Apply(_) => "apply",
            Self::Stale => "stale",
            Self::Throttled(_) => "throttled",
            Self::Status(_) | Self::StatusTimeout => "status",
        }
    }
}

/// What reconciles share.
pub struct Context {
    /// Where observations come from.
    pub sources: Arc<Sources>,
    /// Where changes go.
    pub kubernetes: Kubernetes,
    /// The API for statuses.
    pub client: Client,
    /// Whether this operator leads.
    pub leadership: Leadership,
    /// What the cluster's administrator has set.
    pub settings: Arc<Settings>,
    /// Events.
    pub notices: Notices,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Platforms that are gone, by the uid that they had, though the watch does not tell yet.
    pub gone: Mutex<HashMap<ObjectRef<LogisticsPlatform>, String>>,
    /// Platforms as answers told them, which may not have come through the watch yet.
    pub answered: Mutex<HashMap<ObjectRef<LogisticsPlatform>, LogisticsPlatform>>,
}

impl Context {
    /// The newest known state of a platform.
    fn newest(&self, seen: &Arc<LogisticsPlatform>) -> Arc<LogisticsPlatform> {
        let version =
            |platform: &LogisticsPlatform| platform.resource_version().and_then(|v| v.parse::<u64>().ok());
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let key = ObjectRef::from_obj(&**seen);
        match answered.get(&key) {
            Some(newer) if newer.uid() == seen.uid() && version(newer) > version(seen) => {
                Arc::new(newer.clone())
            }
            Some(_) => {
                answered.remove(&key);
                Arc::clone(seen)
            }
            None => Arc::clone(seen),
        }
    }

    /// Keeps a platform as an answer tells it.
    fn keep(&self, mut platform: LogisticsPlatform) {
        platform.metadata.managed_fields = None;
        let key = ObjectRef::from_obj(&platform);
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.insert(key, platform);
    }

    /// Whether a platform is known to be gone: what was made for it would only be collected again.
    fn is_gone(&self, platform: &LogisticsPlatform) -> bool {
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.get(&ObjectRef::from_obj(platform)) == platform.meta().uid.as_ref()
            && platform.meta().uid.is_some()
    }

    fn is_gone_now(&self, platform: &LogisticsPlatform) {
        let uid = platform.uid().unwrap_or_default();
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.insert(ObjectRef::from_obj(platform), uid);
    }

    /// Forgets a platform that is gone.
    pub fn forget(&self, platform: &ObjectRef<LogisticsPlatform>) {
        self.sources.forget(platform);
        self.gone
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(platform);
        self.answered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(platform);
    }
}

/// Reconciles one platform.
///
/// # Errors
/// When a change failed or the cluster moved on; the walk is then made again.
pub async fn reconcile(
    seen: Arc<LogisticsPlatform>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    let platform = context.newest(&seen);
    if context.is_gone(&platform) {
        return Ok(Action::await_change());
    }
    if platform.meta().deletion_timestamp.is_some() {
        return deletion::carry_out(&platform, &context).await;
    }
    let name = format!(
        "{}/{}",
        platform.namespace().unwrap_or_default(),
        platform.name_any()
    );
    let span = info_span!("reconcile", platform = name, trace_id = tracing::field::Empty);
    note_trace(&span);
    let started = Instant::now();
    let result = walk(&platform, &context).instrument(span).await;
    let outcome = match &result {
        Ok((_, true)) => "changed",
        Ok((_, false)) => "unchanged",
        Err(error) => {
            context.metrics.failed(error.step());
            "error"
        }
    };
    context.metrics.reconciled(outcome, started.elapsed());
    result.map(|(action, _)| action)
}

async fn walk(platform: &LogisticsPlatform, context: &Context) -> Result<(Action, bool), ReconcileError> {
    let key = ObjectRef::from_obj(platform);
    let former = platform.status.clone().unwrap_or_default();
    let valid =
        match info_span!("validate").in_scope(|| validate::validate_within(platform, &context.settings)) {
            Ok(valid) => valid,
            Err(error) => {
                context.metrics.failed("validate");
                let generation = platform.metadata.generation.unwrap_or_default();
                let status = status::invalid(&error, generation, &former, Timestamp::now());
                let changed = write_status(platform, status, context).await?;
                return Ok((Action::await_change(), changed));
            }
        };
    // Before anything is made outside; what holds the object holds its newest state too.
    let held = deletion::set_finalizer(platform, deletion::wants_finalizer(&valid), context).await?;
    let platform = held.as_ref().unwrap_or(platform);
    let (mut observed, targets) = info_span!("observe").in_scope(|| context.sources.observe(&key, &valid));
    let names = Names(&valid.identity);
    let credentials = Credentials::observed_or(&observed, names, &Credentials::random());
    let (release, plan) = info_span!("plan").in_scope(|| {
        let release = release::decide(&valid, &observed, &credentials);
        let desired = desire::desire(&valid, &observed, &release, &credentials);
        let plan = plan::plan(&desired, &observed);
        (release, plan)
    });
    debug!(changes = plan.children.len(), "planned");
    let applying = apply::apply(
        &plan,
        &valid,
        &mut observed,
        &targets,
        &context.kubernetes,
        &context.sources,
    );
    let applied = applying.instrument(info_span!("apply")).await;
    if let Some(pause) = applied.throttled {
        context.notices.applied(platform, &applied, release.settled());
        return Err(ReconcileError::Throttled(pause));
    }
    let facts = Facts {
        valid: &valid,
        observed: &observed,
        release: &release,
        applied: &applied,
    };
    context.notices.applied(platform, &applied, release.settled());
    let status = status::status(facts, &former);
    let wrote = write_status(platform, status, context)
        .instrument(info_span!("status"))
        .await?;
    finish(&applied, &valid, &release, &observed.fights).map(|action| (action, wrote || applied.changed()))
}

/// When to look again.
fn finish(
    applied: &Applied,
    valid: &ValidPlatform,
    release: &Release,
    fights: &BTreeMap<ChildId, Fight>,
) -> Result<Action, ReconcileError> {
    if applied.stale {
        return Err(ReconcileError::Stale);
    }
    // A fight is not made better by trying soon.
    let failed = applied
        .failed
        .iter()
        .find(|failed| failed.reason != Reason::FieldFight);
    if let Some(failed) = failed.filter(|_| applied.held.is_none()) {
        return Err(ReconcileError::Apply(failed.message.clone()));
    }
    if let Some(error) = applied.kafka_error.as_ref().or(applied.registry_error.as_ref()) {
        return Err(ReconcileError::Apply(error.message.clone()));
    }
    let idle = jitter(IDLE, 0.75..1.25, &valid.uid);
    let held = fights.values().map(|fight| fight.hold).min().unwrap_or(idle);
    let after = match &release.migration {
        Migration::Failed { retry_in, .. } => Duration::try_from(*retry_in)
            .unwrap_or(Duration::ZERO)
            .max(Duration::from_secs(1)),
        _ => idle,
    };
    let outside = !applied.topics.is_empty() || !applied.subjects.is_empty();
    let after = after.min(held).min(if outside { AFTER_OUTSIDE } else { idle });
    debug!(
        platform = valid.identity.name,
        seconds = after.as_secs(),
        "looks again later"
    );
    Ok(Action::requeue(after))
}

/// Whether an answer says that the object is gone, or that another one has its name now.
fn is_of_another(answer: &Status) -> bool {
    answer.code == 404 || (answer.code == 409 && answer.message.contains("UID in precondition"))
}

/// Writes a status when it differs; returns whether it was written.
pub(crate) async fn write_status(
    platform: &LogisticsPlatform,
    status: PlatformStatus,
    context: &Context,
) -> Result<bool, ReconcileError> {
    if platform.status.as_ref() == Some(&status) {
        return Ok(false);
    }
    debug!(changes = ?status::turns(platform.status.as_ref(), &status), "writes the status");
    let permit = context
        .leadership
        .permit("LogisticsPlatform")
        .map_err(|_| ReconcileError::Stale)?;
    context.notices.turned(platform, &status);
    let api: Api<LogisticsPlatform> =
        Api::namespaced(context.client.clone(), &platform.namespace().unwrap_or_default());
    let mut object = platform.clone();
    object.status = Some(status);
    object.metadata.managed_fields = None;
    let name = platform.name_any();
    let parameters = PostParams {
        field_manager: Some(crate::names::MANAGER.into()),
        ..PostParams::default()
    };
    context.metrics.request("status", "LogisticsPlatform");
    let call = api.replace_status(&name, &parameters, &object);
    match tokio::time::timeout(permit.within(STATUS_TIMEOUT), call).await {
        Ok(Ok(written)) => {
            context.keep(written);
            Ok(true)
        }
        Ok(Err(kube::Error::Api(answer))) if is_of_another(&answer) => {
            context.is_gone_now(platform);
            Ok(false)
        }
        Ok(Err(kube::Error::Api(answer))) if answer.code == 409 => {
            read_again(platform, &api, context).await?;
            Err(ReconcileError::Stale)
        }
        Ok(Err(error)) => Err(failed(error)),
        Err(_) => Err(ReconcileError::StatusTimeout),
    }
}

/// Reads a platform that is newer than its watch has told: a watch may be minutes late, and until then everything would be
/// decided for a spec, or for a platform, that is not any more.
async fn read_again(
    platform: &LogisticsPlatform,
    api: &Api<LogisticsPlatform>,
    context: &Context,
) -> Result<(), ReconcileError> {
    context.metrics.request("get", "LogisticsPlatform");
    match tokio::time::timeout(STATUS_TIMEOUT, api.get(&platform.name_any())).await {
        Ok(Ok(newest)) if newest.uid() == platform.uid() => {
            context.keep(newest);
            Ok(())
        }
        Ok(Ok(_)) => {
            context.is_gone_now(platform);
            Ok(())
        }
        Ok(Err(kube::Error::Api(answer))) if answer.code == 404 => {
            context.is_gone_now(platform);
            Ok(())
        }
        Ok(Err(error)) => Err(failed(error)),
        Err(_) => Err(ReconcileError::StatusTimeout),
    }
}

fn failed(error: kube::Error) -> ReconcileError {
    match retry_after::of(&error) {
        Some(pause) => ReconcileError::Throttled(pause),
        None => ReconcileError::Status(Box::new(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_object_of_the_name_means_that_the_platform_is_gone() {
        let answer = |code, message: &str| Status::failure(message, "Conflict").with_code(code);
        let another = "Operation cannot be fulfilled on logisticsplatforms.logistics-platform.io \"acme\": \
                       Precondition failed: UID in precondition: a, UID in object meta: b";
        let newer = "Operation cannot be fulfilled on logisticsplatforms.logistics-platform.io \"acme\": \
                     the object has been modified; please apply your changes to the latest version and try again";
        assert!(is_of_another(&answer(404, "not found")));
        assert!(is_of_another(&answer(409, another)));
        assert!(!is_of_another(&answer(409, newer)));
        assert!(!is_of_another(&answer(500, another)));
    }
}
