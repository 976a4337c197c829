//! Writes to the Kubernetes API: server-side apply with one field manager.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use either::Either;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions, PropagationPolicy};
use kube::core::DynamicObject;
use kube::{Client, Error};
use serde_json::{Value, json};

use crate::child::{ChildId, Live};
use crate::fight;
use crate::leader::Leadership;
use crate::names::{MANAGER, NO_OBJECT, Names, SCALE_MANAGER};
use crate::observe::Writing;
use crate::plan::{Action, Blocked, Change};
use crate::reason::Reason;
use crate::retry_after;
use crate::telemetry::Metrics;
use crate::validate::ValidPlatform;

/// Longest time that a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Stands for the answer to a write that was dropped.
const NOT_LEADING: u16 = 1;

/// The Kubernetes API as the operator writes to it.
pub struct Kubernetes {
    client: Client,
    leadership: Leadership,
    metrics: Arc<Metrics>,
}

/// How a change ended.
pub(super) enum Outcome {
    /// It is made; the object as it is now, unless it is gone.
    Done(Option<Arc<Live>>),
    /// The object is not what was observed; the cache knows better now, or will soon. Or it is another operator's to write.
    Stale,
    /// The API server asks for a pause.
    Throttled(Duration),
}

impl Kubernetes {
    /// Writes through `client` while it leads, and counts requests.
    #[must_use]
    pub fn new(client: Client, leadership: Leadership, metrics: Arc<Metrics>) -> Self {
        Self {
            client,
            leadership,
            metrics,
        }
    }

    fn api(&self, namespace: &str, id: &ChildId) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &id.kind.resource())
    }

    async fn request<T>(
        &self,
        verb: &'static str,
        id: &ChildId,
        limit: Duration,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Failure> {
        self.metrics.request(verb, id.kind.name());
        match tokio::time::timeout(limit, call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(Failure::from(error)),
            Err(_) => Err(Failure {
                code: 0,
                message: format!("no answer within {} s", limit.as_secs_f32().round()),
                retry_after: None,
            }),
        }
    }

    /// Sends a write, if this operator may.
    async fn write<T>(
        &self,
        verb: &'static str,
        id: &ChildId,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Failure> {
        match self.leadership.permit(id.kind.name()) {
            Ok(permit) => self.request(verb, id, permit.within(REQUEST_TIMEOUT), call).await,
            Err(error) => Err(Failure {
                code: NOT_LEADING,
                message: error.to_string(),
                retry_after: None,
            }),
        }
    }

    /// Whether this operator leads.
    pub(crate) const fn leadership(&self) -> &Leadership {
        &self.leadership
    }

    /// Makes one change.
    pub(super) async fn change(
        &self,
        change: &Change,
        valid: &ValidPlatform,
        cache: &Writing<'_>,
    ) -> Result<Outcome, Blocked> {
        let names = Names(&valid.identity);
        match &change.action {
            Action::Create { object } => self.create(&change.id, object, valid, cache).await,
            Action::HandOver { uid, replicas } => {
                self.hand_over(&change.id, *replicas, names, uid, cache).await
            }
            Action::Update { object, uid, .. } => self.update(&change.id, object, names, uid, cache).await,
            Action::Delete { uid, .. } => {
                let background = PropagationPolicy::Background;
                self.delete(&change.id, names, uid, background, cache).await
            }
        }
    }

    /// The field manager, other than ours, that wrote some fields of an object last.
    pub(super) async fn opponent(
        &self,
        namespace: &str,
        id: &ChildId,
        paths: &BTreeSet<String>,
    ) -> Option<String> {
        let api = self.api(namespace, id);
        let call = api.get_metadata(&id.name);
        let object = self.request("get", id, REQUEST_TIMEOUT, call).await.ok()?;
        let managed = serde_json::to_value(object.metadata.managed_fields?).ok()?;
        fight::opponent(&managed, paths)
    }

    async fn apply(
        &self,
        verb: &'static str,
        id: &ChildId,
        namespace: &str,
        object: &Value,
    ) -> Result<Arc<Live>, Failure> {
        let api = self.api(namespace, id);
        let parameters = PatchParams::apply(MANAGER).force();
        let patch = Patch::Apply(object);
        let call = api.patch(&id.name, &parameters, &patch);
        self.write(verb, id, call)
            .await
            .map(|object| Live::new(id.kind, object))
    }

    async fn create(
        &self,
        id: &ChildId,
        object: &Value,
        valid: &ValidPlatform,
        cache: &Writing<'_>,
    ) -> Result<Outcome, Blocked> {
        let namespace = &valid.identity.namespace;
        let mut new = object.clone();
        new["metadata"]["resourceVersion"] = NO_OBJECT.into();
        match self.apply("create", id, namespace, &new).await {
            Ok(live) => Ok(kept(live, cache)),
            Err(failure) if failure.code == 409 => self.occupied(id, object, valid, cache).await,
            Err(failure) if failure.code == NOT_LEADING => Ok(Outcome::Stale),
            Err(failure) => failure.outcome(id, Reason::CreateFailed),
        }
    }

    /// The name is taken: by ourselves, when the watch is behind, or by somebody else.
    async fn occupied(
        &self,
        id: &ChildId,
        object: &Value,
        valid: &ValidPlatform,
        cache: &Writing<'_>,
    ) -> Result<Outcome, Blocked> {
        let names = Names(&valid.identity);
        let api = self.api(&names.0.namespace, id);
        let call = api.get(&id.name);
        let found = match self.request("get", id, REQUEST_TIMEOUT, call).await {
            Ok(object) => object,
            Err(failure) if failure.code == 404 => return Ok(Outcome::Stale),
            Err(failure) => return failure.outcome(id, Reason::CreateFailed),
        };
        let controller = controller(&found);
        let live = Live::new(id.kind, found);
        if live.belongs_to(&valid.uid, &names.0.name) {
            cache.put(live);
            return Ok(Outcome::Stale);
        }
        match controller {
            None if valid.adopt => self.update(id, object, names, &live.uid, cache).await,
            None => Err(name_taken(
                id,
                "belongs to nobody; set spec.adopt to true to take it over, rename or delete it, or give the platform another name",
            )),
            Some(owner) => Err(name_taken(
                id,
                &format!("belongs to {owner}; rename or delete it, or give the platform another name"),
            )),
        }
    }

    /// Gives the number of pods to the second field manager. It is not forced: whoever has changed the number since owns it.
    async fn hand_over(
        &self,
        id: &ChildId,
        replicas: i64,
        names: Names<'_>,
        uid: &str,
        cache: &Writing<'_>,
    ) -> Result<Outcome, Blocked> {
        let namespace = &names.0.namespace;
        let patch = json!({
            "apiVersion": id.kind.api_version(), "kind": id.kind.name(),
            "metadata": {"name": id.name, "namespace": namespace, "uid": uid},
            "spec": {"replicas": replicas},
        });
        let api = self.api(namespace, id);
        let (parameters, patch) = (PatchParams::apply(SCALE_MANAGER), Patch::Apply(&patch));
        match self
            .write("apply", id, api.patch(&id.name, &parameters, &patch))
            .await
        {
            Ok(object) => Ok(kept(Live::new(id.kind, object), cache)),
            Err(failure) if failure.another() => Ok(Outcome::Stale),
            Err(failure) => failure.outcome(id, Reason::UpdateFailed),
        }
    }

    async fn update(
        &self,
        id: &ChildId,
        object: &Value,
        names: Names<'_>,
        uid: &str,
        cache: &Writing<'_>,
    ) -> Result<Outcome, Blocked> {
        let mut object = object.clone();
        object["metadata"]["uid"] = uid.into();
        match self.apply("apply", id, &names.0.namespace, &object).await {
            Ok(live) => Ok(kept(live, cache)),
            // Gone, or made anew by somebody else: the watch tells.
            Err(failure) if failure.another() => Ok(Outcome::Stale),
            Err(failure) => failure.outcome(id, Reason::UpdateFailed),
        }
    }

    /// Removes an object that stays visible until its pods are gone.
    pub(crate) async fn stop(
        &self,
        id: &ChildId,
        names: Names<'_>,
        uid: &str,
        cache: &Writing<'_>,
    ) -> Result<(), Blocked> {
        let foreground = PropagationPolicy::Foreground;
        self.delete(id, names, uid, foreground, cache).await.map(drop)
    }

    async fn delete(
        &self,
        id: &ChildId,
        names: Names<'_>,
        uid: &str,
        propagation: PropagationPolicy,
        cache: &Writing<'_>,
    ) -> Result<Outcome, Blocked> {
        let namespace = &names.0.namespace;
        let api = self.api(namespace, id);
        let parameters = DeleteParams {
            // Without one, a Job's pods would be left behind.
            propagation_policy: Some(propagation),
            preconditions: Some(Preconditions {
                uid: Some(uid.to_owned()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let answer = self.write("delete", id, api.delete(&id.name, &parameters)).await;
        match answer {
            Ok(Either::Left(object)) if is_waiting(&object) => Ok(kept(Live::new(id.kind, object), cache)),
            Ok(_) => {
                cache.deleted(namespace, id, uid);
                Ok(Outcome::Done(None))
            }
            Err(failure) if failure.code == 404 => {
                cache.deleted(namespace, id, uid);
                Ok(Outcome::Done(None))
            }
            Err(failure) if matches!(failure.code, 409 | NOT_LEADING) => Ok(Outcome::Stale),
            Err(failure) => failure.outcome(id, Reason::DeleteFailed),
        }
    }
}

/// Takes an answer over.
fn kept(live: Arc<Live>, cache: &Writing<'_>) -> Outcome {
    cache.put(Arc::clone(&live));
    Outcome::Done(Some(live))
}

/// Kind and name of an object's controller.
fn controller(object: &DynamicObject) -> Option<String> {
    let owners = object.metadata.owner_references.as_ref()?;
    let owner = owners.iter().find(|owner| owner.controller == Some(true))?;
    Some(format!("{} {}", owner.kind, owner.name))
}

fn name_taken(id: &ChildId, remedy: &str) -> Blocked {
    Blocked {
        id: id.clone(),
        reason: Reason::NameTaken,
        message: format!("{id} exists and {remedy}"),
    }
}

/// Whether an object stays until its finalizers are done.
fn is_waiting(object: &DynamicObject) -> bool {
    let meta = &object.metadata;
    meta.deletion_timestamp.is_some() && meta.finalizers.as_ref().is_some_and(|list| !list.is_empty())
}

/// A request that failed.
struct Failure {
    /// HTTP status, 0 when there was no answer, [`NOT_LEADING`] when nothing was sent.
    code: u16,
    message: String,
    /// How long the API server asks to wait.
    retry_after: Option<Duration>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let retry_after = retry_after::of(&error);
        match error {
            Error::Api(status) => Self {
                code: status.code,
                message: status.message,
                retry_after,
            },
            other => Self {
                code: 0,
                message: other.to_string(),
                retry_after,
            },
        }
    }
}

impl Failure {
    /// Whether the object is gone, is not the one that was meant, or is another operator's to write: to an apply with the uid of a former object the API
    /// server answers that the uid cannot be changed.
    fn another(&self) -> bool {
        matches!(self.code, 404 | 409 | NOT_LEADING)
            || (self.code == 422 && self.message.contains("metadata.uid"))
    }

    /// The end of a change that failed.
    fn outcome(self, id: &ChildId, reason: Reason) -> Result<Outcome, Blocked> {
        match self.retry_after {
            Some(pause) => Ok(Outcome::Throttled(pause)),
            None => Err(Blocked {
                id: id.clone(),
                reason,
                message: format!("{id}: {}", self.message),
            }),
        }
    }
}
