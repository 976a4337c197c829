//! Two operators: one leads, whatever happens to it, and never do both write.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use dev_e2e::audit::Mark;
use dev_e2e::stage::{MAIN, OPERATOR_NAMESPACE, Stage};
use dev_e2e::{children, crash, wait};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use logistics_operator::child::ChildKind;
use serde_json::json;

const LEASE: &str = "logistics-operator";
/// The longest that nobody may lead.
const FAILOVER_LIMIT: Duration = Duration::from_secs(15);
const QUIET: Duration = Duration::from_secs(1);
const REST_LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn another_replica_takes_over_and_never_do_two_write() -> Result<()> {
    let stage = Stage::ready().await?;
    let pods = stage.operator.wait_ready(2).await?;
    let leader = leader(&stage, &pods).await?;

    // Paused, as by a machine without time for it: it does not know that it leads no more when it goes on.
    crash::pause(&leader)?;
    let outcome = repaired_by_another(&stage, "paused", &leader).await;
    crash::resume(&leader)?;
    outcome?;
    stage.operator.wait_ready(2).await?;
    nothing_more(&stage, "the former leader goes on").await?;

    // Killed: the Lease runs out.
    let leader = self::leader(&stage, &stage.operator.pods().await?).await?;
    crash::kill_and_replace(&stage.client, &leader).await?;
    repaired_by_another(&stage, "killed", &leader).await?;
    let pods = stage.operator.wait_ready(2).await?;

    // The Lease is stolen by somebody who does nothing: the leader stops at once, and leads again when it runs out.
    let leader = self::leader(&stage, &pods).await?;
    let leases: Api<Lease> = Api::namespaced(stage.client.clone(), OPERATOR_NAMESPACE);
    let thief = json!({"spec": {"holderIdentity": "thief", "leaseTransitions": 1000}});
    leases
        .patch(LEASE, &PatchParams::default(), &Patch::Merge(thief))
        .await?;
    let ((), took) = wait::until("the end of the thief's Lease", FAILOVER_LIMIT + QUIET, || async {
        let holder = holder(&stage).await?;
        Ok((holder != "thief" && !holder.is_empty()).then_some(()))
    })
    .await?;
    println!(
        "{} lost its Lease to a thief; somebody leads again after {took:.1?}",
        leader.name_any()
    );
    repaired(&stage, "stolen").await?;
    stage.wait_ready().await?;
    Ok(())
}

async fn holder(stage: &Stage) -> Result<String> {
    let leases: Api<Lease> = Api::namespaced(stage.client.clone(), OPERATOR_NAMESPACE);
    let lease = leases.get(LEASE).await?;
    Ok(lease
        .spec
        .and_then(|spec| spec.holder_identity)
        .unwrap_or_default())
}

/// The pod that holds the Lease.
async fn leader(stage: &Stage, pods: &[Pod]) -> Result<Pod> {
    let holder = holder(stage).await?;
    let leads = |pod: &&Pod| holder.starts_with(&pod.name_any());
    pods.iter()
        .find(leads)
        .cloned()
        .with_context(|| format!("the Lease's holder `{holder}` is no pod of the operator"))
}

/// A child is deleted; somebody else than the former leader makes it again in time.
async fn repaired_by_another(stage: &Stage, why: &str, former: &Pod) -> Result<()> {
    let start = Instant::now();
    repaired(stage, why).await?;
    let holder = holder(stage).await?;
    ensure!(
        !holder.starts_with(&former.name_any()),
        "{} was {why} and still holds the Lease",
        former.name_any()
    );
    println!(
        "the leader was {why}; another one had repaired a child after {:.1?}",
        start.elapsed()
    );
    Ok(())
}

/// A child is deleted, and made again in time by one write.
async fn repaired(stage: &Stage, why: &str) -> Result<()> {
    let mark = Mark::now(&stage.facts.audit_log)?;
    let services = children::api(&stage.client, MAIN.namespace, ChildKind::Service);
    let name = format!("{}-tracking", MAIN.name);
    let uid = services.get(&name).await?.uid();
    services.delete(&name, &DeleteParams::default()).await?;
    wait::until(
        &format!("repair while the leader is {why}"),
        FAILOVER_LIMIT,
        || async {
            let now = services.get_opt(&name).await?;
            Ok(now.is_some_and(|now| now.uid() != uid).then_some(()))
        },
    )
    .await?;
    let writes = mark
        .operator_writes_at_rest(MAIN.namespace, QUIET, REST_LIMIT)
        .await?;
    let mut counts = BTreeMap::new();
    for write in writes {
        *counts.entry((write.resource, write.name)).or_insert(0) += 1;
    }
    counts.remove(&("logisticsplatforms/status".to_owned(), MAIN.name.to_owned()));
    let expected = BTreeMap::from([(("services".to_owned(), name), 1)]);
    ensure!(counts == expected, "{why}: written were {counts:?}");
    Ok(())
}

async fn nothing_more(stage: &Stage, when: &str) -> Result<()> {
    let mark = Mark::now(&stage.facts.audit_log)?;
    tokio::time::sleep(5 * QUIET).await;
    let writes = mark.operator_writes(MAIN.namespace)?;
    ensure!(writes.is_empty(), "{when}: written were {writes:?}");
    Ok(())
}
