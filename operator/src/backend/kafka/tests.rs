use logistics_schemas::topics;

use super::{Change, Kafka, wanted};
use crate::backend::Backend;
use crate::fixture;

#[test]
fn topics_that_fit_are_taken_over() {
    let valid = fixture::valid();
    let plan = Kafka::plan(&wanted(&valid), &fixture::topics(&valid));
    assert!(plan.changes.is_empty() && plan.refused.is_empty());
}

#[test]
fn missing_topics_are_made_with_everything() {
    let topics = wanted(&fixture::valid());
    let plan = Kafka::plan(&topics, &super::Topics::default());
    assert_eq!(plan.changes.len(), topics::ALL.len());
    let Change::Create(topic) = &plan.changes[0] else {
        panic!("{:?}", plan.changes[0])
    };
    assert_eq!((topic.partitions, topic.replication_factor), (6, 1));
    assert_eq!(topic.configs["retention.ms"], "604800000");
}

/// Foreign keys are left; ours are set when they differ or come from a broker's default.
#[test]
fn only_our_keys_are_set() {
    let valid = fixture::valid();
    let mut seen = fixture::topics(&valid);
    let topic = seen.0.get_mut("shipment.created").unwrap();
    let mut foreign = topic.configs["retention.ms"].clone();
    foreign.value = Some("zstd".into());
    topic.configs.insert("compression.type".into(), foreign);
    topic.configs.get_mut("retention.ms").unwrap().value = Some("1".into());
    seen.0
        .get_mut("analytics.assessed")
        .unwrap()
        .configs
        .get_mut("cleanup.policy")
        .unwrap()
        .of_topic = false;
    let changes: Vec<_> = Kafka::plan(&wanted(&valid), &seen)
        .changes
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        changes,
        [
            "set retention.ms=604800000 of topic shipment.created",
            "set cleanup.policy=delete of topic analytics.assessed"
        ]
    );
}

#[test]
fn partitions_and_replicas_are_never_changed() {
    let valid = fixture::valid();
    for (partitions, replicas) in [(3, 1), (12, 1), (6, 3)] {
        let mut seen = fixture::topics(&valid);
        let topic = seen.0.get_mut("shipment.created").unwrap();
        (topic.partitions, topic.replication_factor) = (partitions, replicas);
        let plan = Kafka::plan(&wanted(&valid), &seen);
        assert!(plan.changes.is_empty());
        assert_eq!(plan.refused.len(), 1);
        assert!(
            plan.refused[0].message.contains("write "),
            "{}",
            plan.refused[0].message
        );
        assert!(!seen.fits(&wanted(&valid)[0]));
    }
}
