//! Carries a deletion out, step by step; it may be interrupted anywhere and goes on from what it finds.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use kube::{Resource, ResourceExt};
use kube_runtime::controller::Action;
use kube_runtime::reflector::ObjectRef;
use tracing::{info, warn};

use super::{Step, finalizer_patch, is_held, is_late, next};
use crate::api::LogisticsPlatform;
use crate::apply::{Applied, outside};
use crate::claims;
use crate::names::{MANAGER, Names};
use crate::reason::Reason;
use crate::reconcile::{Context, ReconcileError, write_status};
use crate::status;
use crate::validate::{ValidPlatform, validate_within};

/// How soon a deletion is looked at again: its pods may be gone, a backend back.
const AGAIN: Duration = Duration::from_secs(2);

/// Longest time that taking the finalizer away may take.
const PATCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Goes on with the deletion of a platform.
pub(crate) async fn carry_out(
    platform: &LogisticsPlatform,
    context: &Context,
) -> Result<Action, ReconcileError> {
    // What belongs to it is the garbage collector's.
    if !is_held(platform) {
        return Ok(Action::await_change());
    }
    match validate_within(platform, &context.settings) {
        Ok(valid) => step(platform, &valid, context).await,
        // What is outside cannot be known, and the spec is not likely to be corrected now.
        Err(error) => release(platform, context, Some(format!("the spec is invalid: {error}"))).await,
    }
}

async fn step(
    platform: &LogisticsPlatform,
    valid: &ValidPlatform,
    context: &Context,
) -> Result<Action, ReconcileError> {
    let sources = &context.sources;
    let (mut observed, targets) = sources.observe(&ObjectRef::from_obj(platform), valid);
    let claims = claims::of(platform);
    let shared = claims
        .into_iter()
        .filter(|claim| sources.claims.is_shared(claim))
        .collect();
    let names = Names(&valid.identity);
    let waits_for = match next(platform, valid, &observed, &shared) {
        Step::Release(left) => return release(platform, context, left).await,
        Step::Wait(what) => what,
        Step::Stop(ids) => {
            for id in &ids {
                let Some(live) = observed.children.get(id) else {
                    continue;
                };
                if let Err(blocked) = context
                    .kubernetes
                    .stop(id, names, &live.uid, &sources.cache.writing())
                    .await
                {
                    return Err(ReconcileError::Apply(blocked.message));
                }
            }
            "the pods are being stopped".to_owned()
        }
        Step::Delete { topics, subjects } => {
            let mut applied = Applied::default();
            let leadership = context.kubernetes.leadership();
            if let Some(target) = &targets.kafka {
                let notes = (&mut applied.topics, &mut applied.kafka_error, &mut applied.stale);
                outside(&sources.kafka, valid, leadership, target, &topics, notes).await;
            }
            if let Some(target) = &targets.registry {
                let notes = (
                    &mut applied.subjects,
                    &mut applied.registry_error,
                    &mut applied.stale,
                );
                outside(&sources.registry, valid, leadership, target, &subjects, notes).await;
            }
            context.notices.applied(platform, &applied, true);
            observed.now = Timestamp::now();
            match applied.kafka_error.or(applied.registry_error) {
                Some(error) if is_late(platform, observed.now) => {
                    return release(platform, context, Some(error.message)).await;
                }
                Some(error) => error.message,
                None => "topics and subjects are being deleted".to_owned(),
            }
        }
    };
    let former = platform.status.clone().unwrap_or_default();
    let status = status::deleting(&waits_for, valid.generation, &former, observed.now);
    write_status(platform, status, context).await?;
    Ok(Action::requeue(AGAIN))
}

/// Takes the finalizer away.
async fn release(
    platform: &LogisticsPlatform,
    context: &Context,
    left: Option<String>,
) -> Result<Action, ReconcileError> {
    let name = platform.name_any();
    match &left {
        None => info!(platform = name, "topics and subjects are deleted"),
        Some(left) => {
            warn!(platform = name, left, "topics or subjects are left behind");
            context.notices.left_behind(platform, Reason::LeftBehind, left);
        }
    }
    if set_finalizer(platform, false, context).await?.is_some() {
        context.forget(&ObjectRef::from_obj(platform));
    }
    Ok(Action::await_change())
}

/// Adds or takes away the finalizer where that is needed; returns the platform as it is then.
pub(crate) async fn set_finalizer(
    platform: &LogisticsPlatform,
    wanted: bool,
    context: &Context,
) -> Result<Option<LogisticsPlatform>, ReconcileError> {
    let Some(patch) = finalizer_patch(platform, wanted) else {
        return Ok(None);
    };
    let kind = LogisticsPlatform::kind(&());
    let permit = context
        .leadership
        .permit("LogisticsPlatform")
        .map_err(|_| ReconcileError::Stale)?;
    context.metrics.request("patch", "LogisticsPlatform");
    let api: Api<LogisticsPlatform> =
        Api::namespaced(context.client.clone(), &platform.namespace().unwrap_or_default());
    let parameters = PatchParams {
        field_manager: Some(MANAGER.into()),
        ..PatchParams::default()
    };
    let (name, patch) = (platform.name_any(), Patch::Merge(&patch));
    let call = api.patch(&name, &parameters, &patch);
    match tokio::time::timeout(permit.within(PATCH_TIMEOUT), call).await {
        Ok(Ok(written)) => Ok(Some(written)),
        Ok(Err(kube::Error::Api(answer))) if answer.code == 404 => Ok(None),
        Ok(Err(kube::Error::Api(answer))) if answer.code == 409 => Err(ReconcileError::Stale),
        Ok(Err(error)) => Err(ReconcileError::Apply(format!(
            "{kind} {name}: its finalizer was not set: {error}"
        ))),
        Err(_) => Err(ReconcileError::Apply(format!(
            "{kind} {name}: its finalizer was not set in time"
        ))),
    }
}
