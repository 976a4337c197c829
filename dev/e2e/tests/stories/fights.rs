//! Another controller keeps changing a field of ours: it is named, left alone, and repaired again when it has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use dev_demo::platform::Condition;
use dev_e2e::audit::Mark;
use dev_e2e::stage::{MAIN, Stage};
use dev_e2e::{children, wait};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use logistics_operator::child::ChildKind;
use serde_json::json;

const RIVAL: &str = "example-rival";
const FIELD: &str = "automountServiceAccountToken";
const TELL_LIMIT: Duration = Duration::from_secs(20);
/// While it is told, nothing is written.
const TRUCE: Duration = Duration::from_secs(10);
/// A field is left alone for a minute the first time.
const PEACE_LIMIT: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread")]
async fn another_controller_that_fights_is_named_and_outlasted() -> Result<()> {
    let stage = Stage::ready().await?;
    let name = format!("{}-analytics", MAIN.name);
    let accounts = children::api(&stage.client, MAIN.namespace, ChildKind::ServiceAccount);
    let stop = Arc::new(AtomicBool::new(false));
    let blows = Arc::new(AtomicU64::new(0));
    let rival = tokio::spawn(fight(accounts.clone(), name.clone(), stop.clone(), blows.clone()));

    let fighting = |condition: &Condition| condition.status == "True" && condition.reason == "FieldFight";
    let told = stage.wait_condition(MAIN, "Degraded", TELL_LIMIT, fighting).await;
    let outcome = match told {
        Ok((told, took)) => {
            println!("told after {took:.1?}: {told}");
            truce(&stage, &told, &name).await
        }
        Err(error) => Err(error),
    };
    stop.store(true, Ordering::Relaxed);
    rival.await??;
    outcome?;

    let ((), took) = wait::until("the repair after the fight", PEACE_LIMIT, || async {
        Ok((accounts.get(&name).await?.data[FIELD] == false).then_some(()))
    })
    .await?;
    let peace = |condition: &Condition| condition.status == "False";
    stage.wait_condition(MAIN, "Degraded", TELL_LIMIT, peace).await?;
    println!(
        "repaired {took:.1?} after the last of {} changes by the other",
        blows.load(Ordering::Relaxed)
    );
    stage.wait_ready().await?;
    Ok(())
}

/// The other is named, with the field; it has its way, and nothing is written.
async fn truce(stage: &Stage, told: &Condition, name: &str) -> Result<()> {
    for word in [RIVAL, FIELD, name] {
        ensure!(
            told.message.contains(word),
            "the condition does not name {word}: {told}"
        );
    }
    let mark = Mark::now(&stage.facts.audit_log)?;
    tokio::time::sleep(TRUCE).await;
    let writes = mark.operator_writes(MAIN.namespace)?;
    ensure!(
        writes.is_empty(),
        "during the truce the operator has written {writes:?}"
    );
    Ok(())
}

/// Sets the field whenever somebody has set it back.
async fn fight(
    accounts: Api<DynamicObject>,
    name: String,
    stop: Arc<AtomicBool>,
    blows: Arc<AtomicU64>,
) -> Result<()> {
    let parameters = PatchParams {
        field_manager: Some(RIVAL.into()),
        ..PatchParams::default()
    };
    while !stop.load(Ordering::Relaxed) {
        if accounts.get(&name).await?.data[FIELD] != true {
            let patch = Patch::Merge(json!({FIELD: true}));
            accounts.patch(&name, &parameters, &patch).await?;
            blows.fetch_add(1, Ordering::Relaxed);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
