//! Clients of the event log: what every producer and consumer has in common.

use std::convert::Infallible;

use logistics_kafka_native::credentials;
use logistics_schemas::config::{Kafka, Sasl, TlsMode};
use rdkafka::ClientConfig;
use rdkafka::client::{Client, ClientContext};

use crate::credential::{CredentialError, REFRESH_INTERVAL, credential};

/// The partitioner of every producer: the one of Java, Go and Debezium, so that all agree where a key lives.
pub const PARTITIONER: &str = "murmur2_random";

/// Settings that reach the cluster, with the credentials as they are in the files now; `client_id` names the process in
/// the broker's logs and quotas.
pub fn client_config(kafka: &Kafka, client_id: &str) -> Result<ClientConfig, CredentialError> {
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
            .set("enable.ssl.certificate.verification", "true")
            .set("ssl.endpoint.identification.algorithm", "https");
        if let Some(ca) = &kafka.tls.ca_file {
            config.set("ssl.ca.location", ca.to_string_lossy());
        }
    }
    let protocol = match (kafka.tls.mode, &kafka.sasl) {
        (TlsMode::Disabled, None) => "plaintext",
        (TlsMode::Disabled, Some(_)) => "sasl_plaintext",
        (TlsMode::Verify, None) => "ssl",
        (TlsMode::Verify, Some(_)) => "sasl_ssl",
    };
    config.set("security.protocol", protocol);
    if let Some(sasl) = &kafka.sasl {
        let login = Login::read(sasl)?;
        config
            .set("sasl.mechanism", sasl.mechanism.as_str())
            .set("sasl.username", login.username)
            .set("sasl.password", login.password);
    }
    Ok(config)
}

/// Who a client is.
#[derive(PartialEq, Eq)]
struct Login {
    username: String,
    password: String,
}

impl Login {
    /// As it is in the files now.
    fn read(sasl: &Sasl) -> Result<Self, CredentialError> {
        Ok(Self {
            username: credential("kafka.sasl.usernameFile", &sasl.username_file)?,
            password: credential("kafka.sasl.passwordFile", &sasl.password_file)?,
        })
    }
}

/// Gives a client the credentials that the files hold, whenever these change: the brokers ask for them at each new
/// connection.
pub(crate) async fn follow_credentials<C: ClientContext>(kafka: &Kafka, client: &Client<C>) -> Infallible {
    let Some(sasl) = &kafka.sasl else {
        return std::future::pending().await;
    };
    // Those at the client's making may be others than those at the first look: they are set again.
    let mut given = None;
    let mut complained = String::new();
    loop {
        tokio::time::sleep(REFRESH_INTERVAL).await;
        match give(client, sasl, given.as_ref()) {
            Ok(None) => {}
            Ok(Some(login)) => {
                if given.replace(login).is_some() {
                    tracing::info!("the credentials for Kafka have changed; new connections use them");
                }
                complained.clear();
            }
            Err(error) => {
                let error = error.to_string();
                if error != complained {
                    tracing::warn!(%error, "the former credentials stay");
                    complained = error;
                }
            }
        }
    }
}

/// Why a client keeps its former credentials.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error("kafka.sasl: {0}")]
    Refused(#[from] credentials::RefusedCredentials),
}

/// Gives a client the credentials in the files, unless it was given them already.
fn give<C: ClientContext>(
    client: &Client<C>,
    sasl: &Sasl,
    given: Option<&Login>,
) -> Result<Option<Login>, FollowError> {
    let login = Login::read(sasl)?;
    if given == Some(&login) {
        return Ok(None);
    }
    credentials::set(client, &login.username, &login.password)?;
    Ok(Some(login))
}

/// A producer which never gives up, never reorders and never leaves a gap: what it cannot send it keeps, and an error
/// that would leave a gap is fatal to it.
pub fn producer_config(kafka: &Kafka, client_id: &str) -> Result<ClientConfig, CredentialError> {
    let mut config = client_config(kafka, client_id)?;
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
    Ok(config)
}
