//! A broker that asks who is there: the right user gets on, a wrong one is told what to do.

use anyhow::Result;
use logistics_kafka_admin::{Credentials, Sasl, Trust};
use logistics_operator::backend::kafka::{self, Change, Kafka, Target, Topic};
use logistics_operator::backend::{Backend as _, BackendError};
use logistics_operator::reason::Reason;
use serde_json::json;

use crate::platforms;
use crate::unreachable::within_the_limit;

const WRONG: &str = "open-sesame";

/// The broker as its user with this password.
async fn target(mechanism: &'static str, password: Option<&str>) -> Result<Target> {
    let broker = dev_rig::shared::kafka().await?;
    Ok(Target {
        bootstrap_servers: broker.guarded_servers.clone(),
        trust: Trust::Pem(std::fs::read_to_string(&broker.ca_file)?),
        sasl: Some(Sasl {
            mechanism,
            credentials: Credentials {
                username: broker.username.clone(),
                password: password.unwrap_or(&broker.password).to_owned(),
            },
        }),
    })
}

fn topics(prefix: &str) -> Result<Vec<Topic>> {
    let kafka = json!({"topicPrefix": prefix, "topics": {"partitions": 1, "replicationFactor": 1}});
    let valid = platforms::valid(&[&json!({"spec": {"kafka": kafka}})])?;
    Ok(kafka::wanted(&valid))
}

#[tokio::test]
async fn topics_are_made_under_each_mechanism() -> Result<()> {
    for mechanism in ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] {
        let admin = Kafka::default().connect(&target(mechanism, None).await?)?;
        let wanted = topics(&format!("{}.", mechanism.to_lowercase()))?;
        let seen = Kafka::default().observe(&admin, &wanted).await?;
        for change in Kafka::plan(&wanted, &seen).changes {
            Kafka::default().apply(&admin, &change).await?;
        }
        let seen = Kafka::default().observe(&admin, &wanted).await?;
        assert!(wanted.iter().all(|topic| seen.fits(topic)), "{mechanism}");
    }
    Ok(())
}

fn is_told(error: &BackendError) {
    println!("{error}");
    assert_eq!(error.reason, Reason::AuthenticationFailed);
    assert!(error.message.contains("correct spec.kafka.sasl"), "{error}");
    assert!(!error.message.contains(WRONG), "{error}");
}

/// The client complains of the same refusal once in half a minute only, and each call has to tell of it, in the same words.
#[tokio::test]
async fn a_wrong_password_is_told_at_each_call() -> Result<()> {
    let admin = Kafka::default().connect(&target("SCRAM-SHA-512", Some(WRONG)).await?)?;
    let wanted = topics("wrong.")?;
    let first = within_the_limit(Kafka::default().observe(&admin, &wanted)).await?;
    is_told(&first);
    assert_eq!(
        first,
        within_the_limit(Kafka::default().observe(&admin, &wanted)).await?
    );
    let change = Change::Create(wanted[0].clone());
    is_told(&within_the_limit(Kafka::default().apply(&admin, &change)).await?);
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_is_told_where_it_is_sent_as_it_is() -> Result<()> {
    let admin = Kafka::default().connect(&target("PLAIN", Some(WRONG)).await?)?;
    is_told(&within_the_limit(Kafka::default().observe(&admin, &topics("wrong.")?)).await?);
    Ok(())
}

#[tokio::test]
async fn a_user_without_rights_is_told_from_one_who_is_not_known() -> Result<()> {
    let mut stranger = target("SCRAM-SHA-512", None).await?;
    if let Some(sasl) = &mut stranger.sasl {
        sasl.credentials
            .username
            .clone_from(&dev_rig::shared::kafka().await?.stranger);
    }
    let admin = Kafka::default().connect(&stranger)?;
    let wanted = topics("forbidden.")?;
    let read = within_the_limit(Kafka::default().observe(&admin, &wanted)).await?;
    println!("{read}");
    assert_eq!(read.reason, Reason::Refused);
    let change = Change::Create(wanted[0].clone());
    let change = within_the_limit(Kafka::default().apply(&admin, &change)).await?;
    println!("{change}");
    assert_eq!(change.reason, Reason::TopicFailed);
    for error in [read, change] {
        assert!(error.message.contains("uthorization"), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_mechanism_that_the_broker_lacks_is_told() -> Result<()> {
    let broker = dev_rig::shared::kafka().await?;
    // The broker's plain listener knows none.
    let none = Target {
        bootstrap_servers: broker.bootstrap_servers.clone(),
        trust: Trust::Disabled,
        ..target("SCRAM-SHA-512", None).await?
    };
    let admin = Kafka::default().connect(&none)?;
    let error = within_the_limit(Kafka::default().observe(&admin, &topics("none.")?)).await?;
    is_told(&error);
    Ok(())
}
