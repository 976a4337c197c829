//! Registers the events' schemas, as the operator does.

use anyhow::{Result, ensure};
use logistics_schemas::topics;

pub(crate) async fn register(url: &str, topic_prefix: &str) -> Result<()> {
    let client = reqwest::Client::new();
    for topic in topics::ALL {
        let (Some(schema), Some(subject)) = (topic.schema, topic.subject(topic_prefix)) else {
            continue;
        };
        let answer = client
            .post(format!("{url}/subjects/{subject}/versions"))
            .json(&serde_json::json!({ "schema": schema }))
            .send()
            .await?;
        ensure!(
            answer.status().is_success(),
            "register {subject}: {}",
            answer.text().await?
        );
    }
    Ok(())
}
