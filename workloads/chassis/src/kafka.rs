//! Clients of the event log: what every producer and consumer has in common.

use logistics_schemas::config::{Kafka, TlsMode};
use rdkafka::ClientConfig;

/// The partitioner of every producer: the one of Java, Go and Debezium, so that all agree where a key lives.
pub const PARTITIONER: &str = "murmur2_random";

/// Settings that reach the cluster; `client_id` names the process in the broker's logs and quotas.
#[must_use]
pub fn client_config(kafka: &Kafka, client_id: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &kafka.bootstrap_servers)
        .set("client.id", client_id)
        // Brokers come and go; a line per attempt helps nobody.
        .set("log.connection.close", "false")
        .set("reconnect.backoff.ms", "100")
        .set("reconnect.backoff.max.ms", "5000");
    if kafka.tls.mode == TlsMode::Verify {
        config
            .set("security.protocol", "ssl")
            .set("enable.ssl.certificate.verification", "true")
            .set("ssl.endpoint.identification.algorithm", "https");
        if let Some(ca) = &kafka.tls.ca_file {
            config.set("ssl.ca.location", ca.to_string_lossy());
        }
    }
    config
}

/// A producer which never gives up, never reorders and never leaves a gap: what it cannot send it keeps, and an error
/// that would leave a gap is fatal to it.
#[must_use]
pub fn producer_config(kafka: &Kafka, client_id: &str) -> ClientConfig {
    let mut config = client_config(kafka, client_id);
    config
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("enable.gapless.guarantee", "true")
        .set("message.timeout.ms", "0")
        .set("partitioner", PARTITIONER)
        .set("compression.type", "gzip")
        // A topic that is not there is told soon; its shard rests, and others go on.
        .set("topic.metadata.propagation.max.ms", "5000")
        .set("linger.ms", "2");
    config
}
