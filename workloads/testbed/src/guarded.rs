//! A platform whose brokers ask who is there.

use anyhow::Result;
use logistics_schemas::Workload;
use logistics_schemas::config::{Kafka, Sasl, SaslMechanism, Tls, TlsMode};

use crate::{ABSENT, Testbed, plain};

/// Where the credentials for Kafka are, among the testbed's files.
const FILES: &str = "kafka";

/// How services reach brokers that ask who is there.
#[derive(Clone, Debug)]
pub(crate) struct Guarded {
    pub(crate) bootstrap_servers: String,
    pub(crate) tls: Tls,
    pub(crate) sasl: Sasl,
}

impl Testbed {
    /// Makes the topics on this broker; services connect to it by TLS and as its user, whose password is in their files.
    pub async fn use_guarded_log(&mut self, kafka: &dev_rig::Kafka, mechanism: SaslMechanism) -> Result<()> {
        self.use_log(&kafka.bootstrap_servers).await?;
        self.write_credentials(FILES, &kafka.username, &kafka.password)?;
        self.guarded = Some(Guarded {
            bootstrap_servers: kafka.guarded_servers.clone(),
            tls: Tls {
                mode: TlsMode::Verify,
                ca_file: Some(kafka.ca_file.clone()),
            },
            sasl: Sasl {
                mechanism,
                username_file: self.file(FILES).join("username"),
                password_file: self.file(FILES).join("password"),
            },
        });
        Ok(())
    }

    /// Gives services another password for Kafka, as a rotated Secret does.
    pub fn write_kafka_password(&self, password: &str) -> Result<()> {
        self.write(format!("{FILES}/password"), password)
    }

    /// How a service reaches the brokers.
    pub(crate) fn kafka_config(&self, workload: Workload) -> Kafka {
        let plain = Kafka {
            bootstrap_servers: self
                .log
                .as_ref()
                .map_or_else(|| ABSENT.to_owned(), |log| log.bootstrap_servers.clone()),
            tls: plain(),
            sasl: None,
            topic_prefix: self.topic_prefix.clone(),
            group_id: format!("{}.{}.{workload}", self.platform.namespace, self.platform.name),
        };
        match self.guarded.clone() {
            None => plain,
            Some(guarded) => Kafka {
                bootstrap_servers: guarded.bootstrap_servers,
                tls: guarded.tls,
                sasl: Some(guarded.sasl),
                ..plain
            },
        }
    }
}
