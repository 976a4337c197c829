//! Children: made, left alone, repaired, replaced, removed.

use std::time::{Duration, Instant};

use anyhow::Result;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use logistics_operator::child::{ChildId, ChildKind};
use serde_json::json;

use crate::support::{Operator, Site, eventually};

/// How soon a child that was deleted or edited is as it should be.
const REPAIR_LIMIT: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_becomes_ready_and_then_nothing_is_sent() -> Result<()> {
    let site = Site::new("ready").await?;
    let operator = Operator::new(&site).await?;
    site.create(&site.sample().await?).await?;
    site.until_ready().await?;
    let requests = site.until_idle(&operator).await?;
    let children = site.children().await?;
    assert_eq!(
        children.len(),
        4 + 3 + 4 + 3 + 4 + 9 + 3 + 1 + 3,
        "{:?}",
        children.keys()
    );

    // Reconciles of an unchanged platform, and of children whose status changes, send nothing.
    let before = text(&operator, "reconciles_total");
    site.patch(json!({"metadata": {"annotations": {"touched": "yes"}}}))
        .await?;
    eventually("a reconcile", || async {
        Ok((text(&operator, "reconciles_total") != before).then_some(()))
    })
    .await?;
    assert_eq!(site.until_idle(&operator).await?, requests);

    // Nor does a new operator, which knows nothing.
    operator.stop().await?;
    let operator = Operator::new(&site).await?;
    eventually("a reconcile", || async {
        Ok(operator.metrics.text()?.contains("unchanged").then_some(()))
    })
    .await?;
    assert_eq!(
        site.until_idle(&operator).await?,
        0,
        "{}",
        operator.metrics.text()?
    );
    let after = site.children().await?;
    for (id, child) in &children {
        assert_eq!(
            after[id].resource_version(),
            child.resource_version(),
            "{id} was written"
        );
    }
    operator.stop().await
}

fn text(operator: &Operator, metric: &str) -> Vec<String> {
    let text = operator.metrics.text().unwrap_or_default();
    text.lines()
        .filter(|line| line.contains(metric))
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_child_is_repaired_at_once_and_nothing_else_is_written() -> Result<()> {
    let site = Site::new("drift").await?;
    let operator = Operator::new(&site).await?;
    site.create(&site.sample().await?).await?;
    site.until_ready().await?;
    site.until_idle(&operator).await?;
    let ids: Vec<ChildId> = site.children().await?.into_keys().collect();
    let mut slowest = (Duration::ZERO, String::new());
    for id in &ids {
        let api = site.api(id.kind);
        let before = site.children().await?;
        let edit = json!({"metadata": {"labels": {"app.kubernetes.io/part-of": "other"}}});
        let start = Instant::now();
        api.patch(&id.name, &PatchParams::default(), &Patch::Merge(edit))
            .await?;
        eventually(&format!("{id} is repaired"), || async {
            let label = api
                .get(&id.name)
                .await?
                .labels()
                .get("app.kubernetes.io/part-of")
                .cloned();
            Ok((label.as_deref() == Some("acme")).then_some(()))
        })
        .await?;
        slowest = slowest.max((start.elapsed(), format!("edited {id}")));
        site.until_idle_children(&before, id).await?;
    }
    // A lost credential starts a migration, which is another test.
    for id in ids.iter().filter(|id| id.kind != ChildKind::Secret) {
        let api = site.api(id.kind);
        let before = site.children().await?;
        let uid = before[id].uid();
        let start = Instant::now();
        api.delete(&id.name, &DeleteParams::background()).await?;
        eventually(&format!("{id} is back"), || async {
            let live = api.get_opt(&id.name).await?;
            Ok(live.filter(|live| live.uid() != uid).map(drop))
        })
        .await?;
        slowest = slowest.max((start.elapsed(), format!("deleted {id}")));
        site.until_idle_children(&before, id).await?;
        // The controllers of a real cluster would do this.
        site.until_ready().await?;
    }
    println!("slowest repair: {:?} ({})", slowest.0, slowest.1);
    assert!(slowest.0 < REPAIR_LIMIT, "{slowest:?}");
    operator.stop().await
}

impl Site {
    /// Nothing but one child was written.
    async fn until_idle_children(
        &self,
        before: &std::collections::BTreeMap<ChildId, kube::core::DynamicObject>,
        except: &ChildId,
    ) -> Result<()> {
        for (id, child) in self.children().await? {
            if id != *except {
                let written = child.resource_version() != before[&id].resource_version();
                assert!(!written, "{id} was written because of {except}");
            }
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_credential_is_replaced_and_the_database_is_told() -> Result<()> {
    let site = Site::new("credential").await?;
    let operator = Operator::new(&site).await?;
    site.create(&site.sample().await?).await?;
    site.until_ready().await?;
    let jobs = site.names(ChildKind::Job).await?;
    site.api(ChildKind::Secret)
        .delete("acme-shipment-db", &DeleteParams::default())
        .await?;
    eventually("another Job", || async {
        let now = site.names(ChildKind::Job).await?;
        Ok((now != jobs && now.len() == 1).then_some(()))
    })
    .await?;
    site.until_ready().await?;
    assert_eq!(
        site.names(ChildKind::Deployment).await?.len(),
        3,
        "pods go on running"
    );
    operator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_replaces_the_old_one_when_the_new_one_is_available() -> Result<()> {
    let site = Site::new("release").await?;
    let operator = Operator::new(&site).await?;
    site.create(&site.sample().await?).await?;
    site.until_ready().await?;
    let old = site.names(ChildKind::Deployment).await?;
    let apex = || async {
        let apex = site.api(ChildKind::Service).get("acme-shipment").await?;
        anyhow::Ok(apex.data["spec"]["selector"].clone())
    };
    let before = apex().await?;
    site.patch(json!({"spec": {"version": "0.2.0"}})).await?;
    site.until("DatabaseReady", "False/Migrating").await?;
    assert_eq!(
        site.names(ChildKind::Deployment).await?,
        old,
        "the migration comes first"
    );
    eventually("both revisions run", || async {
        site.migrate().await?;
        Ok((site.names(ChildKind::Deployment).await?.len() == 6).then_some(()))
    })
    .await?;
    let message = site.until("WorkloadsReady", "False/Deploying").await?;
    assert!(message.contains("0 of 2 pods"), "{message}");
    assert_eq!(apex().await?, before, "calls stay where they are");
    site.until_ready().await?;
    eventually("the old revision goes", || async {
        let now = site.names(ChildKind::Deployment).await?;
        Ok((now.len() == 3 && now.iter().all(|name| !old.contains(name))).then_some(()))
    })
    .await?;
    assert_ne!(apex().await?, before);
    assert_eq!(
        site.names(ChildKind::ControllerRevision).await?.len(),
        6,
        "the old one can be returned to"
    );
    let status = site.platforms().get("acme").await?.status.unwrap_or_default();
    assert_eq!(status.version.as_deref(), Some("0.2.0"));
    operator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_blocks_and_says_so() -> Result<()> {
    let site = Site::new("taken").await?;
    let foreign = json!({"metadata": {"name": "acme-shipment"}, "spec": {"ports": [{"port": 1}]}});
    let foreign = site.make("v1", "Service", foreign).await?;
    let operator = Operator::new(&site).await?;
    site.create(&site.sample().await?).await?;
    let message = site.until("WorkloadsReady", "False/NameTaken").await?;
    assert!(
        message.contains("Service acme-shipment exists") && message.contains("rename or delete it"),
        "{message}"
    );
    site.until("Degraded", "True/NameTaken").await?;
    let live = site.api(ChildKind::Service).get("acme-shipment").await?;
    assert_eq!(
        live.resource_version(),
        foreign.resource_version(),
        "what is not ours is not touched"
    );
    site.api(ChildKind::Service)
        .delete("acme-shipment", &DeleteParams::default())
        .await?;
    site.until_ready().await?;
    operator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named_and_waited_for() -> Result<()> {
    let site = Site::new("missing").await?;
    site.api(ChildKind::Secret)
        .delete("acme-db", &DeleteParams::default())
        .await?;
    let operator = Operator::new(&site).await?;
    site.create(&site.sample().await?).await?;
    let message = site.until("DatabaseReady", "False/ReferenceMissing").await?;
    assert!(
        message.contains("spec.database.credentials.secretRef: Secret acme-db is not in namespace"),
        "{message}"
    );
    assert!(site.names(ChildKind::Job).await?.is_empty());
    let secret = json!({"metadata": {"name": "acme-db"}, "stringData": {"username": "u", "password": "p"}});
    site.make("v1", "Secret", secret).await?;
    site.until_ready().await?;
    operator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_spec_is_reported_and_what_runs_goes_on() -> Result<()> {
    let site = Site::new("invalid").await?;
    let operator = Operator::new(&site).await?;
    site.create(&site.sample().await?).await?;
    site.until_ready().await?;
    let resources = json!({"requests": {"memory": "512Mi"}, "limits": {"memory": "256Mi"}});
    site.patch(json!({"spec": {"workloads": {"tracking": {"resources": resources}}}}))
        .await?;
    let message = site.until("Ready", "False/InvalidSpec").await?;
    assert!(
        message.contains("spec.workloads.tracking.resources.requests.memory"),
        "{message}"
    );
    assert_eq!(site.names(ChildKind::Deployment).await?.len(), 3);
    let fixed = json!({"limits": {"memory": "1Gi"}});
    site.patch(json!({"spec": {"workloads": {"tracking": {"resources": fixed}}}}))
        .await?;
    site.until_ready().await?;
    operator.stop().await
}

/// Deletion waits for nothing: no finalizer, and nothing is written while the garbage collector works.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_platform_is_let_go() -> Result<()> {
    let site = Site::new("deleted").await?;
    let operator = Operator::new(&site).await?;
    site.create(&site.sample().await?).await?;
    site.until_ready().await?;
    let requests = site.until_idle(&operator).await?;
    site.platforms().delete("acme", &DeleteParams::default()).await?;
    eventually("it is gone", || async {
        Ok(site.platforms().get_opt("acme").await?.is_none().then_some(()))
    })
    .await?;
    // No garbage collector runs here, so the test is it: nothing comes back.
    for (id, child) in site.children().await? {
        assert_eq!(child.owner_references()[0].name, "acme");
        site.api(id.kind)
            .delete(&id.name, &DeleteParams::background())
            .await?;
    }
    assert_eq!(site.until_idle(&operator).await?, requests);
    assert!(site.children().await?.is_empty());
    operator.stop().await
}
