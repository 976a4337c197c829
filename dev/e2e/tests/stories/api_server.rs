//! The API server is killed and comes back: the platform goes on serving, and the operator goes on by itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dev_e2e::audit::Mark;
use dev_e2e::stage::{MAIN, Stage};
use dev_e2e::{children, orders, wait};
use kube::ResourceExt as _;
use kube::api::DeleteParams;
use logistics_operator::child::ChildKind;

/// The operator's watches pause before they try again, longer each time.
const REPAIR_LIMIT: Duration = Duration::from_secs(20);
const WATCH_LIMIT: Duration = Duration::from_mins(1);
const QUIET: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_may_be_killed() -> Result<()> {
    let stage = Stage::ready().await?;
    let restarts = stage.operator.restarts().await?;
    let pods = stage.pod_states(MAIN).await?;

    // Calls go to the Service's address, not through the API server.
    let services = stage.direct_services(MAIN).await?;
    let callers = stage.callers(&stage.new_account("api"))?;
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn({
        let stop = stop.clone();
        async move {
            let (retries, mut shipments) = (AtomicU64::new(0), 0_u32);
            while !stop.load(Ordering::Relaxed) {
                orders::one(&services, &callers, &retries).await?;
                shipments += 1;
                tokio::time::sleep(PAUSE).await;
            }
            anyhow::Ok((shipments, retries.into_inner()))
        }
    });
    let mark = Mark::now(&stage.facts.audit_log)?;
    tokio::task::spawn_blocking(|| dev_cluster::restart(&dev_cluster::Cluster::locate()?, "kube-apiserver"))
        .await??;
    println!("the API server was killed and answers again");

    // The operator's watches must be there again for this to be seen.
    let services = children::api(&stage.client, MAIN.namespace, ChildKind::Service);
    let name = format!("{}-analytics", MAIN.name);
    let uid = services.get(&name).await?.uid();
    services.delete(&name, &DeleteParams::default()).await?;
    let ((), took) = wait::until("repair after the restart", REPAIR_LIMIT, || async {
        let now = services.get_opt(&name).await?;
        Ok(now.is_some_and(|now| now.uid() != uid).then_some(()))
    })
    .await?;
    stop.store(true, Ordering::Relaxed);
    let (shipments, retries) = load.await?.context("calls while the API server was away")?;
    println!("drift repaired {took:.1?} after it; {shipments} shipments meanwhile, {retries} calls repeated");
    ensure!(
        shipments > 3 && retries == 0,
        "{shipments} shipments, {retries} calls had to be repeated while the API server was away"
    );

    // Every watch is opened again.
    let wanted: BTreeSet<String> = ChildKind::ALL
        .into_iter()
        .map(|kind| kind.resource().plural)
        .chain(["logisticsplatforms".to_owned()])
        .collect();
    let ((), took) = wait::until("all watches", WATCH_LIMIT, || async {
        let requests = mark.operator_requests()?;
        let watches = requests.iter().filter(|request| request.verb == "watch");
        let opened: BTreeSet<String> = watches
            .filter(|request| request.code() == 200)
            .map(|request| request.object_ref.resource.clone())
            .collect();
        Ok(opened.is_superset(&wanted).then_some(()))
    })
    .await?;
    println!("all watches were open again {took:.1?} later");

    stage.wait_ready().await?;
    let writes = mark
        .operator_writes_at_rest(MAIN.namespace, QUIET, REPAIR_LIMIT)
        .await?;
    let other: Vec<_> = writes
        .iter()
        .filter(|write| write.name != name && write.resource != "logisticsplatforms/status")
        .collect();
    ensure!(other.is_empty(), "besides the repair were written {other:?}");
    ensure!(
        stage.operator.restarts().await? == restarts,
        "the operator was restarted"
    );
    ensure!(
        stage.pod_states(MAIN).await? == pods,
        "pods of the platform were restarted"
    );
    Ok(())
}
