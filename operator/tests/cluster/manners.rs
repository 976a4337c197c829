//! What the operator does without being asked: it hands over, takes over, holds back, stops fighting, and lets go.

use std::time::Duration;

use anyhow::{Context, Result};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use logistics_operator::api::LogisticsPlatform;
use logistics_operator::child::ChildKind;
use logistics_operator::leader::Timing;
use logistics_operator::names::{FINALIZER, SCALE_MANAGER};
use logistics_operator::observe::Scope;
use logistics_operator::uninstall::uninstall;
use serde_json::{Value, json};

use crate::support::{Operator, Release, Site, apply, eventually};

fn managers(object: &DynamicObject, field: &str) -> Vec<String> {
    let entries = object.metadata.managed_fields.iter().flatten();
    entries
        .filter(|entry| {
            entry
                .fields_v1
                .as_ref()
                .is_some_and(|fields| fields.0["f:spec"].get(field).is_some())
        })
        .filter_map(|entry| entry.manager.clone())
        .collect()
}

/// The number of pods goes to the autoscaler as it is, stays as the autoscaler wants it, and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_takes_over_and_gives_back() -> Result<()> {
    let site = Site::new("scaled").await?;
    let operator = Operator::new(&site).await?;
    site.create(&site.sample().await?).await?;
    site.until_ready().await?;
    let autoscaling = json!({"minReplicas": 1, "maxReplicas": 9, "cpu": 60, "memory": 80});
    site.patch(json!({"spec": {"workloads": {"tracking": {"autoscaling": autoscaling}}}}))
        .await?;
    let scaler = eventually("an autoscaler", || async {
        Ok(site.names(ChildKind::HorizontalPodAutoscaler).await?.pop())
    })
    .await?;
    let deployments = site.api(ChildKind::Deployment);
    let live = deployments.get(&scaler).await?;
    assert_eq!(live.data["spec"]["replicas"], 2, "it was never reset");
    assert_eq!(managers(&live, "f:replicas"), [SCALE_MANAGER]);

    // As the autoscaler does it, and as a user does it by `kubectl scale`.
    let scale = Patch::Merge(json!({"spec": {"replicas": 7}}));
    deployments
        .patch_subresource("scale", &scaler, &PatchParams::default(), &scale)
        .await?;
    site.until_ready().await?;
    let requests = site.until_idle(&operator).await?;
    site.patch(json!({"metadata": {"annotations": {"touched": "yes"}}}))
        .await?;
    assert_eq!(site.until_idle(&operator).await?, requests);
    assert_eq!(deployments.get(&scaler).await?.data["spec"]["replicas"], 7);

    site.patch(json!({"spec": {"workloads": {"tracking": {"autoscaling": null}}}}))
        .await?;
    eventually("the number is ours again", || async {
        let scalers = site.names(ChildKind::HorizontalPodAutoscaler).await?;
        let replicas = deployments.get(&scaler).await?.data["spec"]["replicas"].clone();
        Ok((scalers.is_empty() && replicas == 2).then_some(()))
    })
    .await?;
    operator.stop().await
}

/// Every optional field at once: what the API server makes of it is what the operator wants, so that nothing is written again.
#[tokio::test(flavor = "multi_thread")]
async fn every_optional_field_settles() -> Result<()> {
    let site = Site::new("everything").await?;
    let operator = Operator::new(&site).await?;
    let mut platform = site.sample().await?;
    let everything: Value = serde_norway::from_str(include_str!("../../../charts/samples/everything.yaml"))?;
    for field in ["workloads", "networkPolicy", "observability"] {
        platform["spec"][field] = everything["spec"][field].clone();
    }
    // Quantities and defaults that the API server writes otherwise.
    platform["spec"]["workloads"]["shipment"]["podTemplate"]["spec"] = json!({
        "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "1024Mi"}}],
        "containers": [
            {"name": "shipment", "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}]},
            {"name": "proxy", "image": "proxy:1", "resources": {"limits": {"cpu": "1000m"}}, "ports": [{"containerPort": 1}]},
        ],
    });
    site.create(&platform).await?;
    site.until_ready().await?;
    let requests = site.until_idle(&operator).await?;
    site.patch(json!({"metadata": {"annotations": {"touched": "yes"}}}))
        .await?;
    assert_eq!(
        site.until_idle(&operator).await?,
        requests,
        "{}",
        operator.metrics.text()?
    );
    operator.stop().await
}

/// A kind whose definition appears later is used then.
#[tokio::test(flavor = "multi_thread")]
async fn an_optional_kind_is_used_when_it_appears() -> Result<()> {
    let site = Site::new("optional").await?;
    let operator = Operator::new(&site).await?;
    let mut platform = site.sample().await?;
    platform["spec"]["observability"] = json!({"prometheus": {"labels": {"release": "x"}}});
    site.create(&platform).await?;
    site.until_ready().await?;
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    apply(&json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "podmonitors.monitoring.coreos.com",
            "annotations": {"api-approved.kubernetes.io": "unapproved, a test"}},
        "spec": {
            "group": "monitoring.coreos.com", "scope": "Namespaced",
            "names": {"kind": "PodMonitor", "plural": "podmonitors", "singular": "podmonitor"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": open}}],
        },
    }))
    .await?;
    let monitors = site.api(ChildKind::PodMonitor);
    let monitor = eventually("a PodMonitor", || async {
        match monitors.get_opt("acme").await {
            Ok(found) => Ok(found),
            Err(kube::Error::Api(answer)) if answer.code == 404 => Ok(None),
            Err(error) => Err(error.into()),
        }
    })
    .await?;
    assert_eq!(monitor.labels()["release"], "x");
    site.until("MonitoringReady", "True/Monitored").await?;
    monitors.delete("acme", &DeleteParams::default()).await?;
    eventually("it is made again", || async {
        Ok(monitors.get_opt("acme").await?)
    })
    .await?;
    operator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_nobody_controls_is_adopted_when_asked() -> Result<()> {
    let site = Site::new("adopted").await?;
    let operator = Operator::new(&site).await?;
    let service = json!({
        "metadata": {"name": "acme-shipment", "labels": {"team": "old"}},
        "spec": {"ports": [{"name": "grpc", "port": 8080}], "selector": {"app": "old"}},
    });
    site.make("v1", "Service", service).await?;
    site.create(&site.sample().await?).await?;
    let message = eventually("it is blocked", || async {
        site.migrate().await?;
        let (found, message) = site.condition("WorkloadsReady").await?;
        Ok((found == "False/NameTaken").then_some(message))
    })
    .await?;
    assert!(message.contains("set spec.adopt to true"), "{message}");
    site.patch(json!({"spec": {"adopt": true}})).await?;
    site.until_ready().await?;
    let adopted = site.api(ChildKind::Service).get("acme-shipment").await?;
    assert_eq!(adopted.owner_references()[0].name, "acme");
    assert_eq!(adopted.labels()["team"], "old", "what is not ours stays");
    operator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_platform_is_left_alone() -> Result<()> {
    let site = Site::new("suspended").await?;
    let operator = Operator::new(&site).await?;
    site.create(&site.sample().await?).await?;
    site.until_ready().await?;
    site.patch(json!({"spec": {"suspend": true}})).await?;
    site.until("Progressing", "False/Suspended").await?;
    let services = site.api(ChildKind::Service);
    services.delete("acme-shipment", &DeleteParams::default()).await?;
    let message = eventually("it is held back", || async {
        let (_, message) = site.condition("Progressing").await?;
        Ok(message.contains("1 changes are held back").then_some(message))
    })
    .await?;
    assert!(message.contains("spec.suspend"), "{message}");
    assert!(services.get_opt("acme-shipment").await?.is_none());
    site.patch(json!({"spec": {"suspend": false}})).await?;
    eventually("it is made again", || async {
        Ok(services.get_opt("acme-shipment").await?)
    })
    .await?;
    operator.stop().await
}

/// Another controller that keeps writing one of our fields is named, and left alone until it stops.
#[tokio::test(flavor = "multi_thread")]
async fn a_fight_is_noticed_and_ends() -> Result<()> {
    let site = Site::new("fight").await?;
    let operator = Operator::new(&site).await?;
    site.create(&site.sample().await?).await?;
    site.until_ready().await?;
    let services = site.api(ChildKind::Service);
    let meddle = Patch::Merge(json!({"metadata": {"labels": {"app.kubernetes.io/name": "meddled"}}}));
    let meddler = PatchParams {
        field_manager: Some("meddler".into()),
        ..PatchParams::default()
    };
    let message = eventually("the fight is told", || async {
        services.patch("acme-shipment", &meddler, &meddle).await?;
        let (found, message) = site.condition("Degraded").await?;
        Ok((found == "True/FieldFight").then_some(message))
    })
    .await?;
    assert!(
        message.contains("meddler keeps changing metadata.labels.app.kubernetes.io/name"),
        "{message}"
    );
    let requests = site.until_idle(&operator).await?;
    services.patch("acme-shipment", &meddler, &meddle).await?;
    assert_eq!(site.until_idle(&operator).await?, requests, "it is left alone");
    // Who stops meddling ends the fight at once.
    let back = Patch::Merge(json!({"metadata": {"labels": {"app.kubernetes.io/name": "logistics"}}}));
    services.patch("acme-shipment", &meddler, &back).await?;
    site.until("Degraded", "False/AsExpected").await?;
    operator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_younger_of_two_platforms_with_one_topic_is_told_of_the_older() -> Result<()> {
    let site = Site::new("claims").await?;
    let operator = Operator::new(&site).await?;
    let first = site.sample().await?;
    site.create(&first).await?;
    site.until_ready().await?;
    let requests = site.until_idle(&operator).await?;
    // Creation times have whole seconds; of two of the same second the first by name counts.
    let mut second = first.clone();
    second["metadata"]["name"] = "younger".into();
    let platform: LogisticsPlatform = serde_json::from_value(second)?;
    site.platforms().create(&PostParams::default(), &platform).await?;
    let condition = |kind: &'static str| {
        let site = &site;
        async move {
            let status = site.platforms().get("younger").await?.status.unwrap_or_default();
            Ok::<_, anyhow::Error>(status.conditions.into_iter().find(|c| c.type_ == kind))
        }
    };
    let told = eventually("the conflict is told", || async {
        Ok(condition("KafkaReady")
            .await?
            .filter(|c| c.reason == "TopicConflict"))
    })
    .await?;
    assert!(
        told.message
            .contains(&format!("belongs to LogisticsPlatform {}/acme", site.namespace)),
        "{}",
        told.message
    );
    let database = condition("DatabaseReady").await?.context("no condition")?;
    assert_eq!(database.reason, "DatabaseConflict");
    assert!(site.until_idle(&operator).await? > requests);
    let jobs = site.names(ChildKind::Job).await?;
    assert!(
        !jobs.iter().any(|job| job.starts_with("younger")),
        "it does not migrate another's database"
    );
    // With topics and a database of its own it goes on by itself.
    let own = json!({"spec": {"kafka": {"topicPrefix": format!("{}.own.", site.namespace)}, "database": {"name": "own"}}});
    site.platforms()
        .patch("younger", &PatchParams::default(), &Patch::Merge(own))
        .await?;
    eventually("the conflict is over", || async {
        Ok(condition("KafkaReady")
            .await?
            .filter(|c| c.reason == "TopicsReady"))
    })
    .await?;
    operator.stop().await
}

/// Topics and subjects are deleted with the platform where that is its policy, after the pods.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_outside_is_deleted_with_the_platform_when_asked() -> Result<()> {
    let site = Site::new("outside").await?;
    let operator = Operator::new(&site).await?;
    let mut platform = site.sample().await?;
    platform["spec"]["deletionPolicy"] = "Delete".into();
    site.create(&platform).await?;
    site.until_ready().await?;
    assert_eq!(site.platforms().get("acme").await?.finalizers(), [FINALIZER]);
    let topics: Vec<String> = {
        let status = site.platforms().get("acme").await?.status.unwrap_or_default();
        status.topics.into_iter().map(|topic| topic.name).collect()
    };
    let kafka = dev_rig::shared::kafka().await?;
    let trust = logistics_kafka_admin::Trust::Disabled;
    let admin =
        logistics_kafka_admin::Admin::new(&kafka.bootstrap_servers, &trust, None, Duration::from_secs(10))?;
    assert_eq!(admin.describe(&topics).await?.len(), topics.len());
    site.platforms().delete("acme", &DeleteParams::default()).await?;
    // The garbage collector, which takes foreground deletions to their end, does not run here.
    eventually("it is gone", || async {
        for kind in [ChildKind::Deployment, ChildKind::Job] {
            for object in site.api(kind).list(&ListParams::default()).await? {
                if object.metadata.deletion_timestamp.is_some() {
                    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
                    let patched = site
                        .api(kind)
                        .patch(&object.name_any(), &PatchParams::default(), &free)
                        .await;
                    if let Err(error) = patched {
                        anyhow::ensure!(matches!(&error, kube::Error::Api(a) if a.is_not_found()), error);
                    }
                }
            }
        }
        Ok(site.platforms().get_opt("acme").await?.is_none().then_some(()))
    })
    .await?;
    assert!(admin.describe(&topics).await?.is_empty());
    operator.stop().await
}

/// Without the operator nothing hangs: the chart takes the finalizers off before it goes.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_hangs_after_the_operator_is_uninstalled() -> Result<()> {
    let site = Site::new("uninstalled").await?;
    let release = Release::install(&site.namespace, &json!({"webhook": {"enabled": false}})).await?;
    let client = release.client().await?;
    let operator = Operator::run(logistics_operator::controller::Parts {
        scope: Scope::one(&site.namespace),
        election: Some(release.election("one")),
        ..logistics_operator::controller::Parts::new(client.clone())
    });
    let mut platform = site.sample().await?;
    platform["spec"]["deletionPolicy"] = "Delete".into();
    site.create(&platform).await?;
    site.until_ready().await?;
    let timing = Timing::default();
    let scope = Scope::one(&site.namespace);
    let released = uninstall(client, &scope, &release.namespace, &release.name, &timing).await?;
    assert_eq!(released, 1);
    // It still runs, and does not put the finalizer back.
    site.patch(json!({"metadata": {"annotations": {"touched": "yes"}}}))
        .await?;
    site.until_idle(&operator).await?;
    assert!(site.platforms().get("acme").await?.finalizers().is_empty());
    operator.kill().await;
    site.platforms().delete("acme", &DeleteParams::default()).await?;
    eventually("it is gone", || async {
        Ok(site.platforms().get_opt("acme").await?.is_none().then_some(()))
    })
    .await
}
