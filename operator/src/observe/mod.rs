//! The first step: gathers what the decision needs. It decides nothing. What is in Kubernetes comes from watches, what
//! is outside from the backends' readers, so that it sends no request itself.

mod accepted;
mod cache;
mod observed;
mod optional;
mod packed;
mod references;
mod scope;
mod watch;

pub use accepted::Accepted;
pub use cache::{Cache, Writing};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube_runtime::reflector::ObjectRef;
use logistics_kafka_admin::{Sasl, Trust};
pub use observed::{Children, Observed};
pub(crate) use optional::follow as follow_optional;
pub(crate) use references::watch_references;
pub use references::{RefKind, Reference, References};
pub use scope::{Area, Scope, ScopeError};
use tokio::time::Instant;
pub(crate) use watch::expect_watches;
pub use watch::{Platforms, watch_children, watch_platforms};

use crate::api::LogisticsPlatform;
use crate::backend::kafka::{self, Kafka};
use crate::backend::postgres::{self, Postgres};
use crate::backend::registry::{self, Registry};
use crate::backend::{BackendError, Outside, Poller, Reading, Trigger};
use crate::child::ChildKind;
use crate::claims::Claims;
use crate::fight::Fights;
use crate::telemetry::Metrics;
use crate::validate::{ValidPlatform, ValidTls};

/// Where observations come from.
pub struct Sources {
    /// The children of all platforms.
    pub cache: Cache,
    /// What the API server makes of our objects.
    pub accepted: Accepted,
    /// What only one platform may have.
    pub claims: Arc<Claims>,
    /// Who else changes our fields.
    pub fights: Fights,
    /// The optional kinds that the cluster has.
    pub optional: Mutex<BTreeSet<ChildKind>>,
    /// What specs refer to.
    pub references: References,
    /// Topics.
    pub kafka: Poller<Kafka>,
    /// Subjects.
    pub registry: Poller<Registry>,
    /// Whether databases' servers are there.
    pub postgres: Poller<Postgres>,
}

/// The backends of a platform; `None` where its authority or its credentials are not known.
#[derive(Clone)]
pub struct Targets {
    /// The Kafka cluster.
    pub kafka: Option<kafka::Target>,
    /// The registry.
    pub registry: Option<registry::Target>,
}

impl Sources {
    /// Sources that wake platforms by `trigger`.
    #[must_use]
    pub fn new(
        client: Client,
        outside: Outside,
        trigger: &Trigger,
        metrics: &std::sync::Arc<Metrics>,
    ) -> Self {
        Self {
            cache: Cache::default(),
            accepted: Accepted::default(),
            claims: Arc::default(),
            fights: Fights::default(),
            optional: Mutex::default(),
            references: References::new(client, trigger.clone()),
            kafka: Poller::new(outside.kafka, trigger.clone(), metrics.clone()),
            registry: Poller::new(outside.registry, trigger.clone(), metrics.clone()),
            postgres: Poller::new(outside.postgres, trigger.clone(), metrics.clone()),
        }
    }

    /// Forgets a platform that is gone.
    pub fn forget(&self, platform: &ObjectRef<LogisticsPlatform>) {
        self.fights.forget(platform);
        self.references.forget(platform);
        self.kafka.forget(platform);
        self.registry.forget(platform);
        self.postgres.forget(platform);
    }

    /// Gathers what is known about a platform.
    #[must_use]
    pub fn observe(
        &self,
        platform: &ObjectRef<LogisticsPlatform>,
        valid: &ValidPlatform,
    ) -> (Observed, Targets) {
        let namespace = &valid.identity.namespace;
        let wanted = references::of(valid);
        let references: Vec<_> = wanted.iter().map(|(reference, _)| reference.clone()).collect();
        let found = self.references.watch(platform, &references);
        let missing = references::missing(&wanted, &found);
        let trust = |tls: &ValidTls| match tls {
            ValidTls::Disabled => Ok(Trust::Disabled),
            ValidTls::System => Ok(Trust::System),
            ValidTls::Authority { config_map, key } => {
                let reference = Reference::config_map(namespace, config_map, key);
                found
                    .value(&reference)
                    .map(Trust::Pem)
                    .ok_or_else(|| found.unread(&reference))
            }
        };
        let sasl = valid.kafka.sasl.as_ref().map(|sasl| {
            Ok(Sasl {
                mechanism: sasl.mechanism.as_str(),
                credentials: found.credentials(namespace, &sasl.secret)?,
            })
        });
        let kafka_target = both(trust(&valid.kafka.tls), sasl).map(|(trust, sasl)| kafka::Target {
            bootstrap_servers: valid.kafka.bootstrap_servers.clone(),
            trust,
            sasl,
        });
        let secret = valid.registry.secret.as_ref();
        let login = secret.map(|secret| found.credentials(namespace, secret));
        let registry_target =
            both(trust(&valid.registry.tls), login).map(|(trust, credentials)| registry::Target {
                url: valid.registry.url.clone(),
                trust,
                credentials,
            });
        let resync = valid.kafka.resync;
        let read_kafka = read(&kafka_target, |target| {
            self.kafka.watch(platform, target, kafka::wanted(valid), resync)
        });
        let read_registry = read(&registry_target, |target| {
            self.registry
                .watch(platform, target, registry::wanted(valid), resync)
        });
        let postgres_target = trust(&valid.database.tls).map(|trust| postgres::Target::new(valid, trust));
        let read_postgres = read(&postgres_target, |target| {
            self.postgres
                .watch(platform, target, vec![postgres::Session], resync)
        });
        let children = self.cache.children(namespace, &valid.uid, &valid.identity.name);
        let optional = self
            .optional
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let observed = Observed {
            accepted: self.accepted.of(namespace, children.keys()),
            fights: self.fights.of(platform, Instant::now()),
            lost: self.claims.lost(platform),
            children,
            optional,
            missing,
            looked_up: found.is_complete(),
            kafka: read_kafka,
            registry: read_registry,
            postgres: read_postgres,
            now: Timestamp::now(),
        };
        let targets = Targets {
            kafka: kafka_target.ok(),
            registry: registry_target.ok(),
        };
        (observed, targets)
    }
}

/// What is needed to reach a backend: whom to trust, and who asks, where anybody does.
fn both<C>(
    trust: Result<Trust, Option<BackendError>>,
    who: Option<Result<C, Option<BackendError>>>,
) -> Result<(Trust, Option<C>), Option<BackendError>> {
    Ok((trust?, who.transpose()?))
}

/// What is known of a backend, as far as it is known how to reach it.
fn read<T, S>(target: &Result<T, Option<BackendError>>, watch: impl FnOnce(&T) -> Reading<S>) -> Reading<S> {
    match target {
        Ok(target) => watch(target),
        Err(None) => Reading::Pending,
        Err(Some(error)) => Reading::Failed(error.clone()),
    }
}
