//! What is generated is what the checkout holds.

use anyhow::{Context as _, Result, ensure};

#[test]
fn the_documents_are_current() -> Result<()> {
    for (path, wanted) in dev_contracts::documents()? {
        let file = dev_contracts::checkout().join(path);
        let found = std::fs::read_to_string(file).with_context(|| format!("cannot read {path}"))?;
        let line = found
            .lines()
            .zip(wanted.lines())
            .position(|(found, wanted)| found != wanted);
        ensure!(
            found == wanted,
            "{path} is not what the contracts say, from line {} on: run `make contracts` and commit the difference",
            line.unwrap_or_else(|| found.lines().count().min(wanted.lines().count())) + 1
        );
    }
    Ok(())
}

#[test]
fn every_topic_is_in_the_document() -> Result<()> {
    let document: serde_norway::Value = serde_norway::from_str(&dev_contracts::asyncapi::document()?)?;
    let channels = document["channels"].as_mapping().context("no channels")?;
    let mut addresses: Vec<&str> = channels
        .values()
        .filter_map(|one| one["address"].as_str())
        .collect();
    addresses.sort_unstable();
    let mut wanted = logistics_schemas::topics::ALL.map(|topic| format!("{{topicPrefix}}{}", topic.name));
    wanted.sort_unstable();
    assert_eq!(addresses, wanted);
    Ok(())
}
