//! Two platforms claim what only one may have: the older keeps it, and the other says whose it is.

use std::time::Duration;

use anyhow::{Result, ensure};
use dev_demo::platform::Condition;
use dev_e2e::audit::Mark;
use dev_e2e::children;
use dev_e2e::stage::{MAIN, Stage, TOPIC_PREFIX, TWIN};
use logistics_operator::child::ChildKind;
use logistics_schemas::topics;
use serde_json::json;

const TELL_LIMIT: Duration = Duration::from_mins(1);
const QUIET: Duration = Duration::from_secs(2);
const REST_LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_belongs_to_the_older_of_two_platforms() -> Result<()> {
    let stage = Stage::ready().await?;
    let topic = topics::SHIPMENT_CREATED.full_name(TOPIC_PREFIX);
    let before = stage.topic_configs(&topic).await?;
    let mut claimant = stage.prepare(TWIN).await?;
    claimant["spec"]["kafka"]["topicPrefix"] = json!(TOPIC_PREFIX);
    claimant["spec"]["kafka"]["topics"]["retention"] = json!("2h");
    let mark = Mark::now(&stage.facts.audit_log)?;
    stage.apply(&claimant).await?;
    let conflict = |condition: &Condition| condition.status == "False" && condition.reason == "TopicConflict";
    let told = stage
        .wait_condition(TWIN, "KafkaReady", TELL_LIMIT, conflict)
        .await;
    let outcome = match told {
        Ok((told, took)) => {
            println!("told after {took:.1?}: {told}");
            untouched(&stage, &mark, &told, &topic, &before).await
        }
        Err(error) => Err(error),
    };
    stage.remove(TWIN).await?;
    outcome?;
    ensure!(
        stage.topic_configs(&topic).await? == before,
        "the other's deletion changed {topic}"
    );
    Ok(())
}

/// The older one is named, and nothing of it has changed; the younger one has not started.
async fn untouched(
    stage: &Stage,
    mark: &Mark,
    told: &Condition,
    topic: &str,
    before: &std::collections::BTreeMap<String, String>,
) -> Result<()> {
    let older = format!("{}/{}", MAIN.namespace, MAIN.name);
    for word in [older.as_str(), TOPIC_PREFIX] {
        ensure!(
            told.message.contains(word),
            "the condition does not name {word}: {told}"
        );
    }
    stage.wait_ready().await?;
    let writes = mark
        .operator_writes_at_rest(MAIN.namespace, QUIET, REST_LIMIT)
        .await?;
    let of_older: Vec<_> = writes
        .iter()
        .filter(|write| !write.name.starts_with(TWIN.name))
        .collect();
    ensure!(
        of_older.is_empty(),
        "the claim made the operator write {of_older:?}"
    );
    ensure!(
        stage.topic_configs(topic).await? == *before,
        "the claim changed {topic}"
    );
    let children = children::all(&stage.client, TWIN).await?;
    let started = children.keys().any(|(kind, _)| *kind == ChildKind::Deployment);
    ensure!(!started, "the claimant has pods on another's topics");
    Ok(())
}
