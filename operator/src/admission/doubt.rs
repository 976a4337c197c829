//! What is legal and still worth a second look: `kubectl` shows it as a warning. Pure.

use crate::api::{LogisticsPlatform, TlsMode};

/// Longest warning; the API server cuts off what is longer.
const LENGTH: usize = 250;

/// A warning of the length that is shown.
pub(super) fn short(text: &str) -> String {
    text.chars().take(LENGTH).collect()
}

/// Doubts about a valid platform.
pub(super) fn doubts(platform: &LogisticsPlatform) -> Vec<String> {
    let spec = &platform.spec;
    let mut doubts = Vec::new();
    if matches!(
        spec.version.as_str(),
        "latest" | "main" | "master" | "edge" | "nightly"
    ) {
        doubts.push(format!(
            "spec.version: {:?} may mean another image tomorrow, and then nothing is rolled out; write a release",
            spec.version
        ));
    }
    for (field, tls) in [
        ("kafka", &spec.kafka.tls),
        ("schemaRegistry", &spec.schema_registry.tls),
    ] {
        if tls.mode == TlsMode::Disabled {
            doubts.push(format!(
                "spec.{field}.tls.mode: Disabled sends everything in plain text; use Verify outside tests"
            ));
        }
    }
    if spec.kafka.topics.replication_factor == 1 {
        doubts.push(
            "spec.kafka.topics.replicationFactor: 1 loses events with one broker; write 3 where there are three brokers".to_owned(),
        );
    }
    doubts.iter().map(|doubt| short(doubt)).collect()
}

/// Doubts about a change.
pub(super) fn changes(old: &LogisticsPlatform, new: &LogisticsPlatform) -> Vec<String> {
    let (before, now) = (&old.spec, &new.spec);
    let mut doubts = Vec::new();
    if before.kafka.topic_prefix != now.kafka.topic_prefix {
        doubts.push(format!(
            "spec.kafka.topicPrefix: the topics named {:?}… stay behind with what is in them, and nobody reads it",
            before.kafka.topic_prefix
        ));
    }
    if (&before.database.host, &before.database.name) != (&now.database.host, &now.database.name) {
        doubts.push(format!(
            "spec.database: what is in {}/{} is not copied; move it before, or the platform starts empty",
            before.database.host, before.database.name
        ));
    }
    if before.kafka.topics.partitions < now.kafka.topics.partitions && old.status.is_some() {
        doubts.push(
            "spec.kafka.topics.partitions: existing topics are not changed, as keys would move between partitions; the condition KafkaReady tells what to do".to_owned(),
        );
    }
    doubts.iter().map(|doubt| short(doubt)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    type Edit = fn(&mut LogisticsPlatform);

    #[test]
    fn a_careful_platform_raises_no_doubt_and_each_carelessness_one() {
        let mut careful = fixture::platform();
        careful.spec.kafka.topics.replication_factor = 3;
        assert_eq!(doubts(&careful), [""; 0]);
        let cases: [(&str, Edit); 4] = [
            ("spec.version", |p| p.spec.version = "latest".into()),
            ("spec.kafka.tls.mode", |p| {
                p.spec.kafka.tls.mode = TlsMode::Disabled;
            }),
            ("spec.schemaRegistry.tls.mode", |p| {
                p.spec.schema_registry.tls.mode = TlsMode::Disabled;
            }),
            ("spec.kafka.topics.replicationFactor", |p| {
                p.spec.kafka.topics.replication_factor = 1;
            }),
        ];
        for (field, edit) in cases {
            let mut platform = careful.clone();
            edit(&mut platform);
            let found = doubts(&platform);
            assert!(
                found.len() == 1 && found[0].starts_with(field),
                "{field}: {found:?}"
            );
        }
        let cases: [(&str, Edit); 3] = [
            ("spec.kafka.topicPrefix", |p| {
                p.spec.kafka.topic_prefix = "other.".into();
            }),
            ("spec.database", |p| p.spec.database.name = "other".into()),
            ("spec.kafka.topics.partitions", |p| {
                p.spec.kafka.topics.partitions += 6;
            }),
        ];
        careful.status = Some(crate::api::PlatformStatus::default());
        for (field, edit) in cases {
            let mut platform = careful.clone();
            edit(&mut platform);
            let found = changes(&careful, &platform);
            assert!(
                found.len() == 1 && found[0].starts_with(field),
                "{field}: {found:?}"
            );
            assert!(found[0].len() <= LENGTH);
        }
        assert_eq!(changes(&careful, &careful), [""; 0]);
    }
}
