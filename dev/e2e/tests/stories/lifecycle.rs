//! The operator comes and goes: upgraded, no pod of a platform restarts; uninstalled, nothing hangs.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dev_cluster::images::ProductImages;
use dev_cluster::{Cluster, Target};
use dev_demo::platform;
use dev_e2e::audit::Mark;
use dev_e2e::stage::{MAIN, NEIGHBOUR, OPERATOR_RELEASE as RELEASE, Stage, TWIN};
use dev_e2e::{children, wait};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::DeleteParams;
use kube::{Api, ResourceExt};
use serde_json::json;

const CHART: &str = "charts/logistics-operator";
const GONE_LIMIT: Duration = Duration::from_secs(30);
const NAMESPACE_LIMIT: Duration = Duration::from_mins(1);
const QUIET: Duration = Duration::from_secs(2);
const REST_LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_of_the_operator_restarts_no_pod_and_writes_nothing() -> Result<()> {
    let stage = Stage::ready().await?;
    let pods = stage.pod_states(MAIN).await?;
    let mark = Mark::now(&stage.facts.audit_log)?;
    let cluster = Cluster::locate()?;
    let images = ProductImages::read(&cluster.images())?.context("no images are loaded")?;
    let chart = cluster.checkout().path().join(CHART).display().to_string();
    let version = env!("CARGO_PKG_VERSION");
    let mut former: Vec<_> = stage
        .operator
        .pods()
        .await?
        .iter()
        .map(ResourceExt::uid)
        .collect();
    // The same program under another tag, and back.
    for tag in [version, &images.operator] {
        let tag = format!("image.tag={tag}");
        let upgrade = [
            "upgrade",
            RELEASE,
            &chart,
            "--reuse-values",
            "--wait",
            "--timeout=120s",
            "--set-string",
            &tag,
        ];
        stage.operator.helm(&upgrade).await?;
        let replicas = former.len();
        let now: Vec<_> = stage
            .operator
            .wait_ready(replicas)
            .await?
            .iter()
            .map(ResourceExt::uid)
            .collect();
        ensure!(
            !now.iter().any(|uid| former.contains(uid)),
            "the operator was not replaced: {former:?} {now:?}"
        );
        former = now;
        let writes = mark
            .operator_writes_at_rest(MAIN.namespace, QUIET, REST_LIMIT)
            .await?;
        ensure!(writes.is_empty(), "the upgraded operator has written {writes:?}");
    }
    let after = stage.pod_states(MAIN).await?;
    ensure!(pods == after, "pods were restarted: {pods:?} {after:?}");
    println!("upgraded twice: {} pods as before, no write", pods.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_may_be_uninstalled_before_its_platforms() -> Result<()> {
    let stage = Stage::ready().await?;
    let pods = stage.pod_states(MAIN).await?;
    for site in [TWIN, NEIGHBOUR] {
        // They need not become Ready: children are there at once. Their deletion has to wait for the operator, which then
        // is not there any more.
        let mut platform = stage.prepare(site).await?;
        platform["spec"]["deletionPolicy"] = json!("Delete");
        stage.apply(&platform).await?;
    }
    for site in [TWIN, NEIGHBOUR] {
        let platforms = platform::api(&stage.client, site.namespace);
        wait::until(
            &format!("children and finalizer of {site:?}"),
            REST_LIMIT,
            || async {
                let held = !platforms.get(site.name).await?.finalizers().is_empty();
                Ok((held && children::all(&stage.client, site).await?.len() > 3).then_some(()))
            },
        )
        .await?;
    }
    stage
        .operator
        .helm(&["uninstall", RELEASE, "--wait", "--timeout=120s"])
        .await?;
    let outcome = without_operator(&stage).await;
    // Also after a failure: the other stories need it.
    tokio::task::spawn_blocking(|| Target::locate(None)?.install()).await??;
    outcome?;

    let mark = Mark::now(&stage.facts.audit_log)?;
    stage.wait_ready().await?;
    let writes = mark
        .operator_writes_at_rest(MAIN.namespace, QUIET, REST_LIMIT)
        .await?;
    let other: Vec<_> = writes
        .iter()
        .filter(|write| write.resource != "logisticsplatforms/status")
        .collect();
    ensure!(
        other.is_empty(),
        "installed again, the operator has written {other:?}"
    );
    let after = stage.pod_states(MAIN).await?;
    ensure!(pods == after, "pods were restarted: {pods:?} {after:?}");
    Ok(())
}

/// Without the operator, a platform can be deleted, and a namespace with another one in it.
async fn without_operator(stage: &Stage) -> Result<()> {
    let platforms = platform::api(&stage.client, TWIN.namespace);
    platforms.delete(TWIN.name, &DeleteParams::default()).await?;
    let ((), took) = wait::until("the end of the platform and its children", GONE_LIMIT, || async {
        let gone = platforms.get_opt(TWIN.name).await?.is_none()
            && children::all(&stage.client, TWIN).await?.is_empty();
        Ok(gone.then_some(()))
    })
    .await?;
    println!("without the operator, a platform and its children were gone after {took:.1?}");
    namespace_goes(stage, NEIGHBOUR.namespace).await
}

async fn namespace_goes(stage: &Stage, name: &str) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(stage.client.clone());
    namespaces.delete(name, &DeleteParams::default()).await?;
    let ((), took) = wait::until(
        &format!("the end of namespace {name}"),
        NAMESPACE_LIMIT,
        || async { Ok(namespaces.get_opt(name).await?.is_none().then_some(())) },
    )
    .await?;
    println!("namespace {name} was gone after {took:.1?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_with_a_platform_in_it_can_be_deleted() -> Result<()> {
    let stage = Stage::ready().await?;
    stage.apply(&stage.prepare(NEIGHBOUR).await?).await?;
    wait::until("children", REST_LIMIT, || async {
        Ok((children::all(&stage.client, NEIGHBOUR).await?.len() > 3).then_some(()))
    })
    .await?;
    // The operator may try to make again what goes, and is refused.
    namespace_goes(&stage, NEIGHBOUR.namespace).await
}
