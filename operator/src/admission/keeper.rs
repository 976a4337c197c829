//! Keeps the certificates in a Secret, and the authorities that are trusted in the webhook's configuration. Every replica
//! reads the Secret; the leader writes.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Error, ResourceExt};
use kube_runtime::WatchStreamExt;
use kube_runtime::watcher::{self, Event, watcher};
use serde::de::DeserializeOwned;
use serde_json::json;
use tracing::{debug, info, warn};

use super::Certified;
use super::rotation::{Certificates, Step};
use super::server::Served;
use crate::leader::Leadership;
use crate::names::{MANAGER, NO_OBJECT};
use crate::telemetry::Metrics;

/// Longest time of a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause after a request that failed, and between two repairs of the configuration.
const PAUSE: Duration = Duration::from_secs(1);

/// An object that is watched by its name.
enum Known<K> {
    /// The first list is not complete.
    Nothing,
    Absent,
    Present(Box<K>),
}

struct Keeper {
    webhook: Certified,
    secrets: Api<Secret>,
    configurations: Api<ValidatingWebhookConfiguration>,
    leadership: Leadership,
    served: Arc<Served>,
    metrics: Arc<Metrics>,
    secret: Known<Secret>,
    configuration: Known<ValidatingWebhookConfiguration>,
    /// What the configuration has of late, and since when.
    published: Option<(String, Instant)>,
}

/// Keeps the certificates; never ends.
pub(super) async fn keep(
    webhook: Certified,
    client: Client,
    leadership: Leadership,
    served: Arc<Served>,
    metrics: Arc<Metrics>,
) {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &webhook.namespace);
    let configurations: Api<ValidatingWebhookConfiguration> = Api::all(client);
    let mut secret_events = pin!(follow(secrets.clone(), &webhook.secret));
    let mut configuration_events = pin!(follow(configurations.clone(), &webhook.configuration));
    let mut leads = leadership.watch();
    let mut keeper = Keeper {
        webhook,
        secrets,
        configurations,
        leadership,
        served,
        metrics,
        secret: Known::Nothing,
        configuration: Known::Nothing,
        published: None,
    };
    loop {
        let pause = keeper.act().await;
        tokio::select! {
            Some(secret) = secret_events.next() => {
                keeper.secret = secret;
                keeper.show();
            }
            Some(configuration) = configuration_events.next() => keeper.configuration = configuration,
            changed = leads.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// The states of an object with a name, from a watch of this one.
fn follow<K>(api: Api<K>, name: &str) -> impl Stream<Item = Known<K>> + use<K>
where
    K: kube::Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut listed = None;
    let events = watcher(api, config).default_backoff();
    events.filter_map(move |event| {
        let state = match event {
            Ok(Event::Init) => {
                listed = None;
                None
            }
            Ok(Event::InitApply(object)) => {
                listed = Some(Box::new(object));
                None
            }
            Ok(Event::InitDone) => Some(listed.take().map_or(Known::Absent, Known::Present)),
            Ok(Event::Apply(object)) => Some(Known::Present(Box::new(object))),
            Ok(Event::Delete(_)) => Some(Known::Absent),
            Err(error) => {
                warn!(%error, "watch of the webhook's objects failed, it is tried again");
                None
            }
        };
        std::future::ready(state)
    })
}

impl Keeper {
    fn certificates(&self) -> Option<Certificates> {
        match &self.secret {
            Known::Present(secret) => Certificates::from_data(secret.data.as_ref()?),
            Known::Nothing | Known::Absent => None,
        }
    }

    /// Shows the certificate of the Secret from now on.
    fn show(&self) {
        if let Some(certificates) = self.certificates()
            && let Err(error) = self.served.show(&certificates.serving)
        {
            warn!(%error, secret = self.webhook.secret, "the webhook's certificate cannot be used");
        }
    }

    /// Does what is due, if this operator leads; returns when to look again.
    async fn act(&mut self) -> Duration {
        self.note_published();
        if matches!(self.secret, Known::Nothing) || !self.leadership.may_write() {
            return Duration::from_mins(1);
        }
        let now = Timestamp::now();
        let (names, lifetimes) = (&self.webhook.names, &self.webhook.lifetimes);
        let known = self.certificates();
        let published = self.published.as_ref().map(|(_, since)| since.elapsed());
        let step = known
            .as_ref()
            .map_or(Step::Make, |known| known.step(names, published, lifetimes, now));
        if let Step::Keep(wait) = step {
            return self.publish().await.unwrap_or(wait);
        }
        let made = match &known {
            Some(known) => known.after(step, names, lifetimes, now),
            None => Certificates::make(names, lifetimes, now),
        };
        match made {
            Ok(made) => self.write(&made, step).await,
            Err(error) => {
                warn!(%error, "the webhook's certificates cannot be made");
                PAUSE * 10
            }
        }
    }

    /// Writes the Secret, unless somebody else has meanwhile.
    async fn write(&mut self, certificates: &Certificates, step: Step) -> Duration {
        let version = match &self.secret {
            Known::Present(secret) => secret.resource_version(),
            Known::Nothing | Known::Absent => Some(NO_OBJECT.to_owned()),
        };
        let secret = Secret {
            type_: Some("Opaque".into()),
            data: Some(certificates.to_data()),
            metadata: kube::api::ObjectMeta {
                name: Some(self.webhook.secret.clone()),
                resource_version: version,
                ..Default::default()
            },
            ..Secret::default()
        };
        let Ok(permit) = self.leadership.permit("Secret") else {
            return PAUSE;
        };
        self.metrics.request("apply", "Secret");
        let parameters = PatchParams::apply(MANAGER).force();
        let patch = Patch::Apply(&secret);
        let call = self.secrets.patch(&self.webhook.secret, &parameters, &patch);
        match tokio::time::timeout(permit.within(REQUEST_TIMEOUT), call).await {
            Ok(Ok(written)) => {
                info!(
                    ?step,
                    secret = self.webhook.secret,
                    "the webhook's certificates are changed"
                );
                self.secret = Known::Present(Box::new(written));
                self.show();
                Duration::ZERO
            }
            Ok(Err(Error::Api(status))) if status.code == 409 => {
                debug!("the webhook's Secret changed in the meantime");
                PAUSE
            }
            Ok(Err(error)) => {
                warn!(%error, secret = self.webhook.secret, "the webhook's Secret cannot be written");
                PAUSE * 10
            }
            Err(_) => PAUSE,
        }
    }

    /// Notes since when the configuration has all authorities that are trusted.
    fn note_published(&mut self) {
        let bundle = self.certificates().map(|certificates| certificates.bundle());
        let Some(bundle) = bundle.filter(|bundle| self.lacking(bundle).is_empty()) else {
            self.published = None;
            return;
        };
        if self.published.as_ref().is_none_or(|(known, _)| *known != bundle) {
            self.published = Some((bundle, Instant::now()));
        }
    }

    /// The webhooks of the configuration whose authorities are others; all of them while there is no configuration.
    fn lacking(&self, bundle: &str) -> Vec<String> {
        let Known::Present(configuration) = &self.configuration else {
            return vec![String::new()];
        };
        let webhooks = configuration.webhooks.iter().flatten();
        let wanted = ByteString(bundle.as_bytes().to_vec());
        webhooks
            .filter(|webhook| webhook.client_config.ca_bundle.as_ref() != Some(&wanted))
            .map(|webhook| webhook.name.clone())
            .collect()
    }

    /// Brings the configuration up to date; returns when to try again where that failed.
    async fn publish(&mut self) -> Option<Duration> {
        let bundle = self.certificates()?.bundle();
        let Known::Present(configuration) = &self.configuration else {
            return None;
        };
        let lacking = self.lacking(&bundle);
        if lacking.is_empty() {
            return None;
        }
        let webhooks: Vec<_> = lacking
            .iter()
            .map(|name| json!({"name": name, "clientConfig": {"caBundle": ByteString(bundle.clone().into_bytes())}}))
            .collect();
        let patch = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            // Only this field of an object that is there.
            "metadata": {"name": self.webhook.configuration, "uid": configuration.uid()},
            "webhooks": webhooks,
        });
        let Ok(permit) = self.leadership.permit("ValidatingWebhookConfiguration") else {
            return Some(PAUSE);
        };
        self.metrics.request("apply", "ValidatingWebhookConfiguration");
        let parameters = PatchParams::apply(MANAGER).force();
        let patch = Patch::Apply(&patch);
        let call = self
            .configurations
            .patch(&self.webhook.configuration, &parameters, &patch);
        match tokio::time::timeout(permit.within(REQUEST_TIMEOUT), call).await {
            Ok(Ok(written)) => {
                info!(
                    configuration = self.webhook.configuration,
                    "the webhook's authority is published"
                );
                self.configuration = Known::Present(Box::new(written));
                self.note_published();
                // Once a second at most, should somebody else take it back at once.
                Some(PAUSE)
            }
            Ok(Err(error)) => {
                warn!(
                    %error, configuration = self.webhook.configuration,
                    "the webhook's authority cannot be published; give the operator the right to patch it, or turn the webhook off"
                );
                Some(PAUSE * 30)
            }
            Err(_) => Some(PAUSE),
        }
    }
}
