//! The sample platform for tests, and a cluster that obeys without a fault.

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use kube::core::DynamicObject;
use logistics_kafka_admin::{Config, TopicDescription};
use logistics_schemas::Workload;
use serde_json::{Value, json};

use crate::api::{
    Cache, Credentials as CredentialsRef, LocalRef, LogisticsPlatform, Redis, Sasl, SaslMechanism, Tls,
};
use crate::backend::kafka::{self, Topics};
use crate::backend::registry::{self, SubjectState, Subjects};
use crate::backend::{BackendError, Reading};
use crate::child::{Child, ChildKind, Live};
use crate::credential::Credentials;
use crate::desire::{Desired, desire};
use crate::observe::Observed;
use crate::reason::Reason;
use crate::release::{self, Release};
use crate::validate::{ValidPlatform, validate};

pub(crate) fn platform() -> LogisticsPlatform {
    let text = include_str!("../../charts/samples/acme.yaml");
    let mut platform: LogisticsPlatform = serde_norway::from_str(text).unwrap();
    platform.metadata.uid = Some("0b7e5a1c-0000-4000-8000-000000000001".into());
    platform.metadata.generation = Some(1);
    platform
}

/// A Redis as in the sample with every optional field.
pub(crate) fn cache(host: &str, port: i32) -> Cache {
    Cache {
        redis: Redis {
            host: host.into(),
            port,
            tls: Tls::default(),
            credentials: Some(credentials("everything-redis")),
        },
    }
}

/// Credentials in a Secret.
pub(crate) fn credentials(secret: &str) -> CredentialsRef {
    CredentialsRef {
        secret_ref: LocalRef { name: secret.into() },
    }
}

/// A user of Kafka.
pub(crate) fn sasl(mechanism: SaslMechanism, secret: &str) -> Sasl {
    Sasl {
        mechanism,
        credentials: credentials(secret),
    }
}

pub(crate) fn valid() -> ValidPlatform {
    validate(&platform()).unwrap()
}

/// The sample at another release.
pub(crate) fn valid_at(version: &str) -> ValidPlatform {
    let mut platform = platform();
    platform.spec.version = version.into();
    validate(&platform).unwrap()
}

/// The sample with every optional field.
pub(crate) fn everything() -> ValidPlatform {
    let text = include_str!("../../charts/samples/everything.yaml");
    let mut platform: LogisticsPlatform = serde_norway::from_str(text).unwrap();
    platform.metadata.uid = Some("0b7e5a1c-0000-4000-8000-000000000002".into());
    platform.metadata.generation = Some(1);
    validate(&platform).unwrap()
}

/// The same with a fixed number of tracking's pods.
pub(crate) fn fixed_tracking(valid: &ValidPlatform) -> ValidPlatform {
    let mut fixed = valid.clone();
    fixed
        .workloads
        .edit(Workload::Tracking, |settings| settings.autoscaling = None);
    fixed
}

pub(crate) fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

/// A cluster whose objects are what was desired, with a status that tests set.
pub(crate) struct Cluster {
    pub(crate) observed: Observed,
    pub(crate) fresh: Credentials,
    serial: u64,
}

impl Cluster {
    /// Nothing is there but what the spec refers to.
    pub(crate) fn empty() -> Self {
        Self {
            observed: Observed::empty(now()),
            fresh: Credentials::fixed("first"),
            serial: 0,
        }
    }

    /// Nothing runs, but topics and subjects are there.
    pub(crate) fn prepared(valid: &ValidPlatform) -> Self {
        let mut cluster = Self::empty();
        cluster.observed.kafka = Reading::Seen(Arc::new(topics(valid)));
        cluster.observed.registry = Reading::Seen(Arc::new(subjects(valid)));
        cluster
    }

    /// Decides as a reconcile does.
    pub(crate) fn decide(&self, valid: &ValidPlatform) -> (Release, Desired) {
        let names = crate::names::Names(&valid.identity);
        let credentials = Credentials::observed_or(&self.observed, names, &self.fresh);
        let release = release::decide(valid, &self.observed, &credentials);
        let desired = desire(valid, &self.observed, &release, &credentials);
        (release, desired)
    }

    /// Makes what is desired, once.
    pub(crate) fn step(&mut self, valid: &ValidPlatform) -> Desired {
        let (_, desired) = self.decide(valid);
        self.obey(&desired);
        desired
    }

    pub(crate) fn obey(&mut self, desired: &Desired) {
        self.observed.children.retain(|id, _| {
            desired.retain.contains(id) || desired.children.iter().any(|child| child.id == *id)
        });
        for child in &desired.children {
            let status = self
                .observed
                .children
                .get(&child.id)
                .and_then(|live| live.at("/status").cloned());
            self.put(child, status);
        }
    }

    fn put(&mut self, child: &Child, status: Option<Value>) {
        self.serial += 1;
        let mut object = child.object.clone();
        object["metadata"]["uid"] = format!("uid-{}", child.id.name).into();
        object["metadata"]["resourceVersion"] = self.serial.to_string().into();
        object["metadata"]["generation"] = 1.into();
        if let Some(status) = status {
            object["status"] = status;
        }
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        self.observed
            .children
            .insert(child.id.clone(), Live::new(child.id.kind, object));
    }

    /// Changes an object by hand.
    pub(crate) fn edit(&mut self, kind: ChildKind, name: &str, act: impl FnOnce(&mut Value)) {
        let live = self
            .observed
            .child(kind, name)
            .unwrap_or_else(|| panic!("{kind} {name} is not there"));
        let mut object = live.object.clone();
        act(&mut object);
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        let live = Live::new(kind, object);
        self.observed.children.insert(live.id.clone(), live);
    }

    /// Says which fields of an object are ours.
    pub(crate) fn own(&mut self, kind: ChildKind, name: &str, fields: &Value) {
        self.edit(kind, name, |object| {
            object["metadata"]["managedFields"] = json!([{
                "manager": crate::names::MANAGER, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": fields,
            }]);
        });
    }

    /// The Deployment of a workload's target.
    pub(crate) fn deployment(&self, valid: &ValidPlatform, workload: Workload) -> String {
        let (release, _) = self.decide(valid);
        crate::names::Names(&valid.identity).revision(workload, release.revisions.of(workload))
    }

    /// All migrations that are there complete.
    pub(crate) fn migrate(&mut self) {
        for name in self.names(ChildKind::Job) {
            self.edit(ChildKind::Job, &name, |job| {
                job["status"] = json!({"conditions": [{"type": "Complete", "status": "True"}]});
            });
        }
    }

    /// All pods of all Deployments that are there become available.
    pub(crate) fn start(&mut self) {
        for name in self.names(ChildKind::Deployment) {
            self.edit(ChildKind::Deployment, &name, |deployment| {
                let replicas = deployment["spec"]["replicas"].clone();
                deployment["status"] = json!({
                    "observedGeneration": 1, "replicas": replicas, "updatedReplicas": replicas,
                    "readyReplicas": replicas, "availableReplicas": replicas,
                });
            });
        }
    }

    pub(crate) fn names(&self, kind: ChildKind) -> Vec<String> {
        self.observed
            .of_kind(kind)
            .map(|live| live.id.name.clone())
            .collect()
    }

    /// A platform that runs.
    pub(crate) fn running(valid: &ValidPlatform) -> Self {
        let mut cluster = Self::prepared(valid);
        cluster.step(valid);
        cluster.migrate();
        cluster.step(valid);
        cluster.start();
        cluster.step(valid);
        cluster
    }
}

pub(crate) fn topics(valid: &ValidPlatform) -> Topics {
    let describe = |topic: kafka::Topic| {
        let config = |(key, value)| {
            (
                key,
                Config {
                    value: Some(value),
                    of_topic: true,
                },
            )
        };
        let description = TopicDescription {
            partitions: topic.partitions,
            replication_factor: topic.replication_factor,
            configs: topic.configs.into_iter().map(config).collect(),
        };
        (topic.name, description)
    };
    Topics(kafka::wanted(valid).into_iter().map(describe).collect())
}

pub(crate) fn subjects(valid: &ValidPlatform) -> Subjects {
    let state = |subject: registry::Subject| {
        let state = SubjectState {
            exists: true,
            registered: Some((7, 1)),
            compatibility: Some(subject.compatibility.into()),
            refusal: None,
        };
        (subject.name, state)
    };
    Subjects(registry::wanted(valid).into_iter().map(state).collect())
}

/// A backend that does not answer.
pub(crate) fn away<T>() -> Reading<T> {
    Reading::Failed(BackendError {
        reason: Reason::Unreachable,
        message: "away".into(),
    })
}
