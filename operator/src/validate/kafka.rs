//! Checks of the event backbone.

use std::time::Duration;

use logistics_schemas::config::SaslMechanism;

use super::backing::{secret, tls};
use super::platform::ValidTls;
use super::{Findings, scalar};
use crate::api;

/// The event backbone.
#[derive(Clone, Debug)]
pub struct ValidKafka {
    /// Comma-separated `host:port`.
    pub bootstrap_servers: String,
    /// How brokers are verified.
    pub tls: ValidTls,
    /// Who connects; `None` for brokers that ask nobody.
    pub sasl: Option<ValidSasl>,
    /// Put before each topic's name.
    pub topic_prefix: String,
    /// Partitions of each topic.
    pub partitions: i32,
    /// Copies of each partition.
    pub replication_factor: i32,
    /// How long records are kept.
    pub retention: Duration,
    /// How often topics and subjects are compared.
    pub resync: Duration,
}

/// Who connects to the brokers.
#[derive(Clone, Debug)]
pub struct ValidSasl {
    /// How the password is shown to be known.
    pub mechanism: SaslMechanism,
    /// Name of the Secret with the credentials.
    pub secret: String,
}

pub(super) fn kafka(kafka: &api::Kafka, findings: &mut Findings) -> ValidKafka {
    let topics = &kafka.topics;
    for (field, value, max) in [
        ("spec.kafka.topics.partitions", topics.partitions, 1000),
        (
            "spec.kafka.topics.replicationFactor",
            topics.replication_factor,
            10,
        ),
    ] {
        if !(1..=max).contains(&value) {
            findings.add(field, value, format!("is not between 1 and {max}"));
        }
    }
    let prefix = scalar::text(
        &kafka.topic_prefix,
        100,
        |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'),
        "is not a prefix of a topic's name; use at most 100 letters, digits, '.', '_' and '-', for example acme.",
    );
    let retention = scalar::duration_within(&topics.retention, ("1h", 3600), ("87600h", 87_600 * 3600));
    let resync = scalar::duration_within(&kafka.resync, ("5s", 5), ("1h", 3600));
    ValidKafka {
        bootstrap_servers: findings.take(
            "spec.kafka.bootstrapServers",
            &kafka.bootstrap_servers,
            scalar::bootstrap_servers(&kafka.bootstrap_servers),
        ),
        tls: tls("spec.kafka.tls", &kafka.tls, findings),
        sasl: kafka.sasl.as_ref().map(|it| sasl(it, kafka.tls.mode, findings)),
        topic_prefix: findings.take("spec.kafka.topicPrefix", &kafka.topic_prefix, prefix),
        partitions: topics.partitions,
        replication_factor: topics.replication_factor,
        retention: findings.take("spec.kafka.topics.retention", &topics.retention, retention),
        resync: findings.take("spec.kafka.resync", &kafka.resync, resync),
    }
}

fn sasl(sasl: &api::Sasl, tls: api::TlsMode, findings: &mut Findings) -> ValidSasl {
    let mechanism = match sasl.mechanism {
        api::SaslMechanism::ScramSha512 => SaslMechanism::ScramSha512,
        api::SaslMechanism::ScramSha256 => SaslMechanism::ScramSha256,
        api::SaslMechanism::Plain => SaslMechanism::Plain,
    };
    if mechanism == SaslMechanism::Plain && tls == api::TlsMode::Disabled {
        findings.add(
            "spec.kafka.sasl.mechanism",
            mechanism.as_str(),
            "sends the password as it is; set spec.kafka.tls.mode to Verify, or use SCRAM-SHA-512",
        );
    }
    let secret = secret("spec.kafka.sasl.credentials", &sasl.credentials, findings);
    ValidSasl { mechanism, secret }
}
