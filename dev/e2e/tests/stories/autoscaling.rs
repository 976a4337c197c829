//! Under load an autoscaler adds a pod, the operator lets it, and the load is spread over all pods.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dev_e2e::audit::Mark;
use dev_e2e::stage::{NEIGHBOUR, Site, Stage};
use dev_e2e::{children, wait};
use dev_load::{Call, ClusterDns, Plan, Report};
use k8s_openapi::api::core::v1::Service;
use kube::api::DynamicObject;
use kube::{Api, ResourceExt as _};
use logistics_client::Settings;
use logistics_operator::child::ChildKind;
use logistics_operator::names::GRPC_PORT;
use logistics_schemas::Workload;
use serde_json::json;

const SITE: Site = NEIGHBOUR;
const WORKLOAD: Workload = Workload::Tracking;
const LEAST: i64 = 2;
const MOST: i64 = 3;
/// Calls a second that keep the pods busy, and calls a second that a busy machine can answer too.
const HEAVY: u32 = 150;
const STEADY: u32 = 20;
const WARM_UP: Duration = Duration::from_secs(5);
const MEASURED: Duration = Duration::from_secs(15);
/// Metrics are a quarter of a minute old, and the autoscaler looks every five seconds.
const SCALE_LIMIT: Duration = Duration::from_mins(3);
const QUIET: Duration = Duration::from_secs(2);
const REST_LIMIT: Duration = Duration::from_secs(30);
/// Of each pod, in percent.
const SHARES: std::ops::RangeInclusive<f64> = 20.0..=45.0;

#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_scales_under_load_and_is_never_reset() -> Result<()> {
    let stage = Stage::ready().await?;
    let mut platform = stage.prepare(SITE).await?;
    platform["spec"]["workloads"][WORKLOAD.name()] =
        json!({"autoscaling": {"minReplicas": LEAST, "maxReplicas": MOST, "cpu": 100}});
    stage.apply(&platform).await?;
    stage.wait_ready_at(SITE).await?;
    let plan = plan(&stage, MEASURED)?;
    let dns = dns(&stage).await?;

    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn({
        let (stop, dns) = (stop.clone(), dns.clone());
        let plan = Plan {
            duration: WARM_UP,
            rate: HEAVY,
            ..plan.clone()
        };
        async move {
            while !stop.load(Ordering::Relaxed) {
                dev_load::run(&plan, dns.clone()).await?;
            }
            anyhow::Ok(())
        }
    });
    let mark = Mark::now(&stage.facts.audit_log)?;
    let scaled = wait::until("a third pod", SCALE_LIMIT, || async {
        let deployment = deployment(&stage).await?;
        let ready = deployment.data["status"]["readyReplicas"].as_i64() == Some(MOST);
        Ok((ready && replicas(&deployment) == MOST).then_some(()))
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    load.await??;
    println!("{MOST} pods after {:.1?} of load", scaled?.1);

    // A steady load, measured; meanwhile nobody takes a pod away.
    let measured = dev_load::run(&plan, dns);
    let watched = never_fewer(&stage, MEASURED);
    let (report, fewest) = tokio::try_join!(measured, watched)?;
    println!("{}", report.text());
    spread(&report)?;
    ensure!(fewest == MOST, "the number of pods was set back to {fewest}");

    // By hand it is the autoscaler's business too.
    let name = deployment(&stage).await?.name_any();
    let scale = ["scale", "-n", SITE.namespace, "deployment", &name, "--replicas=2"];
    stage.kubectl.run(&scale).await?;
    let ((), took) = wait::until("the autoscaler's answer to a hand", SCALE_LIMIT, || async {
        Ok((replicas(&deployment(&stage).await?) == MOST).then_some(()))
    })
    .await?;
    println!("scaled by hand to 2, the autoscaler has it back after {took:.1?}");
    let writes = mark
        .operator_writes_at_rest(SITE.namespace, QUIET, REST_LIMIT)
        .await?;
    let ours: Vec<_> = writes
        .iter()
        .filter(|write| write.resource != "logisticsplatforms/status")
        .collect();
    ensure!(
        ours.is_empty(),
        "while the autoscaler acts the operator has written {ours:?}"
    );
    stage.remove(SITE).await
}

fn plan(stage: &Stage, duration: Duration) -> Result<Plan> {
    let host = format!(
        "{}-{WORKLOAD}-pods.{}.svc.cluster.local",
        SITE.name, SITE.namespace
    );
    let token = stage.token("admin", &stage.new_account("load"))?;
    Ok(Plan {
        settings: Settings {
            resolve_every: Duration::from_secs(1),
            ..Settings::new(host, GRPC_PORT)
        },
        call: Call::GetProjection,
        token,
        rate: STEADY,
        duration,
        concurrency: 32,
    })
}

/// The cluster's DNS.
async fn dns(stage: &Stage) -> Result<ClusterDns> {
    let services: Api<Service> = Api::namespaced(stage.client.clone(), "kube-system");
    let address = services
        .get("kube-dns")
        .await?
        .spec
        .and_then(|spec| spec.cluster_ip)
        .context("the cluster's DNS has no address")?;
    ClusterDns::at(Some(address.parse()?))
}

async fn deployment(stage: &Stage) -> Result<DynamicObject> {
    let children = children::all(&stage.client, SITE).await?;
    let ours = |((kind, name), _): &(&(ChildKind, String), &DynamicObject)| {
        *kind == ChildKind::Deployment && name.contains(WORKLOAD.name())
    };
    let found = children.iter().find(ours);
    found
        .map(|(_, child)| child.clone())
        .context("no Deployment of tracking")
}

fn replicas(deployment: &DynamicObject) -> i64 {
    deployment.data["spec"]["replicas"].as_i64().unwrap_or_default()
}

/// The fewest pods that were asked for within a time.
async fn never_fewer(stage: &Stage, time: Duration) -> Result<i64> {
    let end = tokio::time::Instant::now() + time;
    let mut fewest = i64::MAX;
    while tokio::time::Instant::now() < end {
        fewest = fewest.min(replicas(&deployment(stage).await?));
        // How often it is looked: that something never happens has no end to await.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(fewest)
}

/// Checks that each pod had its share of the calls, and that none failed.
fn spread(report: &Report) -> Result<()> {
    ensure!(
        report.ok == report.calls,
        "{} of {} calls failed: {:?}",
        report.calls - report.ok,
        report.calls,
        report.failed
    );
    ensure!(
        i64::try_from(report.pods.len())? == MOST,
        "answers came from {} pods",
        report.pods.len()
    );
    for pod in &report.pods {
        ensure!(
            SHARES.contains(&pod.share),
            "a pod had {:.1} % of the calls: {:?}",
            pod.share,
            report.pods
        );
    }
    Ok(())
}
