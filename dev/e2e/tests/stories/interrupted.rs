//! The operator is killed (SIGKILL) in the middle of applying a change, at moments drawn by chance: the end is the same.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dev_e2e::children::{self, Id};
use dev_e2e::stage::{MAIN, OPERATOR_LABEL, OPERATOR_NAMESPACE, Stage};
use dev_e2e::{crash, wait};
use kube::ResourceExt as _;
use logistics_operator::child::ChildKind;
use serde_json::Value;

/// Kills in each of the two changes.
const KILLS: [u32; 2] = [3, 2];
/// The longest time from one kill to the next.
const LONGEST: Duration = Duration::from_secs(3);
const SETTLE_LIMIT: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_killed_in_mid_apply_comes_to_the_same_end() -> Result<()> {
    let stage = Stage::ready().await?;
    let undisturbed = wanted(&stage).await?;
    for (specification, kills) in [stage.with_log_level("warn"), stage.platform.clone()]
        .iter()
        .zip(KILLS)
    {
        stage.apply(specification).await?;
        for _ in 0..kills {
            let moment = LONGEST.mul_f64(f64::from(uuid::Uuid::new_v4().as_bytes()[0]) / 255.0);
            tokio::time::sleep(moment).await;
            kill_operator(&stage).await?;
            println!("killed {moment:.1?} after the last step");
        }
        stage.wait_ready().await?;
    }
    let end = wait::until("the same end", SETTLE_LIMIT, || async {
        let now = wanted(&stage).await?;
        Ok(differences(&undisturbed, &now).is_empty().then_some(()))
    })
    .await;
    let differences = differences(&undisturbed, &wanted(&stage).await?);
    end.with_context(|| differences.join("\n"))?;
    Ok(())
}

/// Kills the operator's process as soon as there is one, and does not wait for the next.
async fn kill_operator(stage: &Stage) -> Result<()> {
    let (pod, _) = wait::until("a running operator", SETTLE_LIMIT, || async {
        let pods = stage.pods(OPERATOR_NAMESPACE, OPERATOR_LABEL).await?;
        let running = |pod: &k8s_openapi::api::core::v1::Pod| {
            let statuses = pod
                .status
                .iter()
                .flat_map(|status| status.container_statuses.iter().flatten());
            let mut states = statuses.filter_map(|status| status.state.as_ref());
            states.any(|state| state.running.is_some()) && pod.metadata.deletion_timestamp.is_none()
        };
        Ok(pods.into_iter().find(running))
    })
    .await?;
    crash::kill_and_replace(&stage.client, &pod)
        .await
        .with_context(|| format!("kill {}", pod.name_any()))
}

async fn wanted(stage: &Stage) -> Result<BTreeMap<Id, Value>> {
    let children = children::all(&stage.client, MAIN).await?;
    ensure!(!children.is_empty(), "the platform has no children");
    Ok(children
        .into_iter()
        .map(|(id, child)| (id.clone(), children::applied(id.0, &child)))
        .collect())
}

/// What is missing, different, or too much. Earlier revisions' history may be there besides.
fn differences(expected: &BTreeMap<Id, Value>, found: &BTreeMap<Id, Value>) -> Vec<String> {
    let mut lines = Vec::new();
    for (id, value) in expected {
        match found.get(id) {
            None => lines.push(format!("{id:?} is missing")),
            Some(other) if other != value => lines.push(format!("{id:?} is {other}, was {value}")),
            Some(_) => {}
        }
    }
    let history = |kind: ChildKind| {
        matches!(
            kind,
            ChildKind::ControllerRevision | ChildKind::ConfigMap | ChildKind::Job
        )
    };
    let more = found
        .keys()
        .filter(|id| !expected.contains_key(*id) && !history(id.0));
    lines.extend(more.map(|id| format!("{id:?} is too much")));
    lines
}
