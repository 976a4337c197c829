//! A topic's retention that was changed by hand is repaired within `kafka.resync`; what others set stays.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dev_e2e::stage::{Stage, TOPIC_PREFIX};
use dev_e2e::wait;
use logistics_schemas::topics;

/// The interval of the comparison, as the resource says, and what one comparison may take.
const RESYNC: Duration = Duration::from_secs(30);
const WORK: Duration = Duration::from_secs(3);
const RETENTION: &str = "retention.ms";
/// A key that the operator does not want anything of.
const FOREIGN: (&str, &str) = ("segment.ms", "86400000");

#[tokio::test(flavor = "multi_thread")]
async fn retention_changed_by_hand_is_repaired_and_foreign_keys_survive() -> Result<()> {
    let stage = Stage::ready().await?;
    let topic = topics::SHIPMENT_CREATED.full_name(TOPIC_PREFIX);
    let before = stage.topic_configs(&topic).await?;
    let wanted = before
        .get(RETENTION)
        .cloned()
        .with_context(|| format!("{topic} has no {RETENTION} of its own"))?;

    let by_hand = BTreeMap::from(
        [(RETENTION, "60000"), FOREIGN].map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    stage.kafka()?.set_configs(&topic, &by_hand).await?;
    // Both were changed at once: when the broker shows the one, the other was wrong too.
    wait::until("the change by hand", WORK, || async {
        let configs = stage.topic_configs(&topic).await?;
        Ok((configs.get(FOREIGN.0).map(String::as_str) == Some(FOREIGN.1)).then_some(()))
    })
    .await?;

    let ((), took) = wait::until("repair of the retention", RESYNC + WORK, || async {
        let configs = stage.topic_configs(&topic).await?;
        Ok((configs.get(RETENTION) == Some(&wanted)).then_some(()))
    })
    .await?;
    println!("retention of {topic} repaired after {took:.1?}");
    let after = stage.topic_configs(&topic).await?;
    ensure!(
        after.get(FOREIGN.0).map(String::as_str) == Some(FOREIGN.1),
        "the foreign key is gone: {after:?}"
    );
    Ok(())
}
