//! Any pod may be killed: it heals, and nothing is lost.

use std::time::Duration;

use anyhow::{Context as _, Result};
use dev_demo::reach::is_ready;
use dev_e2e::orders::{Traffic, all_arrived};
use dev_e2e::stage::{NAMESPACE, OPERATOR_LABEL, OPERATOR_NAMESPACE, PLATFORM, Stage};
use dev_e2e::{crash, wait};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use logistics_schemas::Workload;

const HEAL_LIMIT: Duration = Duration::from_mins(3);
const SETTLE_LIMIT: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(200);
const BACKING: &str = "backing";

#[tokio::test(flavor = "multi_thread")]
async fn any_pod_may_be_killed_and_nothing_is_lost() -> Result<()> {
    let stage = Stage::ready().await?;
    let account = stage.new_account("crashes");
    let callers = stage.callers(&account)?;
    let traffic = Traffic::start(stage.services(), stage.callers(&account)?, PAUSE);

    // One pod of each workload and the operator at once: the other replicas carry on.
    let mut victims: Vec<(&str, String)> = Workload::ALL
        .iter()
        .map(|workload| (NAMESPACE, label(*workload)))
        .collect();
    victims.push((OPERATOR_NAMESPACE, OPERATOR_LABEL.to_owned()));
    kill_each(&stage, &victims).await?;
    // What has one replica only, one after another.
    for name in ["postgres", "kafka", "registry"] {
        kill_each(&stage, &[(BACKING, format!("app={name}"))]).await?;
    }

    let sent = traffic.stop().await.context("traffic while pods were killed")?;
    all_arrived(&stage.services(), &callers, sent, SETTLE_LIMIT).await?;
    println!("nothing lost: {sent:?}");
    stage.wait_ready().await?;
    Ok(())
}

fn label(workload: Workload) -> String {
    format!("app.kubernetes.io/instance={PLATFORM},app.kubernetes.io/component={workload}")
}

/// Kills one pod of each label, and waits until as many are ready as before.
async fn kill_each(stage: &Stage, victims: &[(&str, String)]) -> Result<()> {
    let mut wanted = Vec::new();
    for (namespace, label) in victims {
        let pods: Vec<Pod> = stage
            .pods(namespace, label)
            .await?
            .into_iter()
            .filter(is_ready)
            .collect();
        let victim = pods
            .first()
            .with_context(|| format!("no ready pod {label} in {namespace}"))?;
        crash::kill_and_replace(&stage.client, victim).await?;
        wanted.push((namespace, label, victim.uid(), victim.name_any(), pods.len()));
    }
    for (namespace, label, uid, name, count) in wanted {
        let ((), took) = wait::until(&format!("another pod instead of {name}"), HEAL_LIMIT, || async {
            let pods = stage.pods(namespace, label).await?;
            let ready = pods
                .iter()
                .filter(|pod| is_ready(pod) && pod.uid() != uid)
                .count();
            Ok((ready >= count).then_some(()))
        })
        .await?;
        println!("{name} was killed and replaced, ready after {took:.1?}");
    }
    Ok(())
}
