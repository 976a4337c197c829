//! Platforms beside each other, in two namespaces and in one, do not touch each other.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dev_e2e::audit::Mark;
use dev_e2e::orders::{self, Acknowledged, all_arrived};
use dev_e2e::stage::{MAIN, NEIGHBOUR, Site, Stage, TWIN};
use dev_e2e::{children, wait};
use kube::ResourceExt as _;
use kube::api::DeleteParams;
use logistics_operator::child::ChildKind;

const REPAIR_LIMIT: Duration = Duration::from_secs(2);
const SETTLE_LIMIT: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn platforms_side_by_side_do_not_touch_each_other() -> Result<()> {
    let stage = Stage::ready().await?;
    let mark = Mark::now(&stage.facts.audit_log)?;
    let before = versions(&stage, MAIN).await?;
    let others = [NEIGHBOUR, TWIN];
    for site in others {
        stage.apply(&stage.prepare(site).await?).await?;
    }
    for site in others {
        let took = stage.wait_ready_at(site).await?;
        println!("{}/{} is Ready after {took:.1?} more", site.namespace, site.name);
    }

    // The same account in all of them: each has what was sent to it and nothing else.
    let account = stage.new_account("side");
    let callers = stage.callers(&account)?;
    let mut sent = Vec::new();
    for (site, shipments) in [MAIN, NEIGHBOUR, TWIN].into_iter().zip(1..) {
        let services = stage.services_at(site);
        for _ in 0..shipments {
            orders::one(&services, &callers, &AtomicU64::new(0)).await?;
        }
        let events = 3 * shipments;
        sent.push((
            site,
            Acknowledged {
                shipments,
                events,
                retries: 0,
            },
        ));
    }
    for (site, sent) in sent {
        all_arrived(&stage.services_at(site), &callers, sent, SETTLE_LIMIT)
            .await
            .with_context(|| format!("{site:?}"))?;
    }

    // A repair of one, in the namespace of another.
    let name = format!("{}-tracking", TWIN.name);
    let services = children::api(&stage.client, TWIN.namespace, ChildKind::Service);
    let uid = services.get(&name).await?.uid();
    services.delete(&name, &DeleteParams::default()).await?;
    wait::until("repair of the twin", REPAIR_LIMIT, || async {
        let now = services.get_opt(&name).await?;
        Ok(now.is_some_and(|now| now.uid() != uid).then_some(()))
    })
    .await?;

    for site in others {
        stage.remove(site).await?;
    }
    let own = |name: &str| name == TWIN.name || name.starts_with(&format!("{}-", TWIN.name));
    let writes = mark.operator_writes(MAIN.namespace)?;
    let foreign: Vec<_> = writes.iter().filter(|write| !own(&write.name)).collect();
    ensure!(
        foreign.is_empty(),
        "what happened to other platforms made the operator write {foreign:?}"
    );
    ensure!(
        writes.iter().any(|write| own(&write.name)),
        "the audit log shows nothing of the twin: {writes:?}"
    );
    let after = versions(&stage, MAIN).await?;
    ensure!(before == after, "a child has changed: {before:?} {after:?}");
    Ok(())
}

/// Uid and generation of every child, and uid of every pod.
async fn versions(stage: &Stage, site: Site) -> Result<BTreeMap<String, (String, i64)>> {
    let mut versions = BTreeMap::new();
    for ((kind, name), child) in children::all(&stage.client, site).await? {
        let generation = child.metadata.generation.unwrap_or_default();
        versions.insert(
            format!("{kind} {name}"),
            (child.uid().unwrap_or_default(), generation),
        );
    }
    for pod in stage.workload_pods(site).await? {
        versions.insert(
            format!("Pod {}", pod.name_any()),
            (pod.uid().unwrap_or_default(), 0),
        );
    }
    ensure!(!versions.is_empty(), "{site:?} has no children");
    Ok(versions)
}
