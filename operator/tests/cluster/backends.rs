//! Topics, subjects and the database's server, on a real broker, a real registry and a real PostgreSQL.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use logistics_kafka_admin::{Admin, Trust};
use logistics_operator::backend::registry::{Registry, Subject, Target};
use logistics_operator::backend::{Backend, registry};
use logistics_schemas::topics;
use serde_json::json;

use crate::support::{Operator, Site, eventually};

/// Longest time between a change by hand and its repair: the resync of the sample in these tests, and some slack.
const REPAIR_LIMIT: Duration = Duration::from_secs(5 + 3);

async fn admin() -> Result<Admin> {
    let kafka = dev_rig::shared::kafka().await?;
    Ok(Admin::new(
        &kafka.bootstrap_servers,
        &Trust::Disabled,
        None,
        Duration::from_secs(10),
    )?)
}

fn config(key: &str, value: &str) -> BTreeMap<String, String> {
    [(key.to_owned(), value.to_owned())].into()
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_made_and_repaired_and_foreign_keys_survive() -> Result<()> {
    let site = Site::new("topics").await?;
    let operator = Operator::new(&site).await?;
    site.create(&site.sample().await?).await?;
    site.until("KafkaReady", "True/TopicsReady").await?;
    let status = site.platforms().get("acme").await?.status.unwrap_or_default();
    assert_eq!(status.topics.len(), topics::ALL.len());
    assert!(status.topics.iter().all(|topic| topic.partitions == 6));

    let admin = admin().await?;
    let topic = format!("{}.shipment.created", site.namespace);
    let value = |key: &'static str| {
        let (admin, topic) = (&admin, topic.clone());
        async move {
            let seen = admin.describe(std::slice::from_ref(&topic)).await?;
            anyhow::Ok(seen[&topic].configs[key].value.clone().unwrap_or_default())
        }
    };
    assert_eq!(value("retention.ms").await?, "604800000");
    let mut by_hand = config("max.message.bytes", "7654321");
    by_hand.extend(config("retention.ms", "60000"));
    let start = Instant::now();
    admin.set_configs(&topic, &by_hand).await?;
    // Both were changed at once: when the broker shows the one, the other was wrong too.
    eventually("the change by hand is shown", || async {
        Ok((value("max.message.bytes").await? == "7654321").then_some(()))
    })
    .await?;
    eventually("the retention is back", || async {
        Ok((value("retention.ms").await? == "604800000").then_some(()))
    })
    .await?;
    println!("retention repaired after {:?}", start.elapsed());
    assert!(start.elapsed() < REPAIR_LIMIT, "{:?}", start.elapsed());
    assert_eq!(
        value("max.message.bytes").await?,
        "7654321",
        "the foreign key survives"
    );

    // A new retention is a change of the platform.
    site.patch(json!({"spec": {"kafka": {"topics": {"retention": "24h"}}}}))
        .await?;
    eventually("the retention is new", || async {
        Ok((value("retention.ms").await? == "86400000").then_some(()))
    })
    .await?;

    // Partitions are never changed; the condition says what to do.
    site.patch(json!({"spec": {"kafka": {"topics": {"partitions": 12}}}}))
        .await?;
    let message = site.until("KafkaReady", "False/NotSupported").await?;
    assert!(
        message.contains("has 6 partitions") && message.contains("write 6"),
        "{message}"
    );
    operator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_blocks_nothing_else() -> Result<()> {
    let site = Site::new("away").await?;
    let operator = Operator::new(&site).await?;
    let mut sample = site.sample().await?;
    // Discard port of loopback: nothing listens.
    sample["spec"]["kafka"]["bootstrapServers"] = json!("127.0.0.1:9");
    site.create(&sample).await?;
    site.until("SchemasReady", "True/SubjectsReady").await?;
    let message = site.until("KafkaReady", "False/Unreachable").await?;
    assert!(message.contains("127.0.0.1:9"), "{message}");
    // Children are repaired as ever.
    let accounts = site.api(logistics_operator::child::ChildKind::ServiceAccount);
    accounts
        .delete("acme-shipment", &kube::api::DeleteParams::default())
        .await?;
    eventually("the ServiceAccount is back", || async {
        Ok(accounts.get_opt("acme-shipment").await?.map(drop))
    })
    .await?;
    let kafka = dev_rig::shared::kafka().await?;
    site.patch(json!({"spec": {"kafka": {"bootstrapServers": kafka.bootstrap_servers}}}))
        .await?;
    site.until_ready().await?;
    operator.stop().await
}

/// A subject that somebody filled with something else: the release does not start, and the condition says why.
#[tokio::test(flavor = "multi_thread")]
async fn an_incompatible_subject_stops_a_release_before_it_starts() -> Result<()> {
    let site = Site::new("conflict").await?;
    let server = dev_rig::shared::schema_registry().await?;
    let connection = Registry::default().connect(&Target {
        url: server.url.clone(),
        trust: Trust::Disabled,
        credentials: None,
    })?;
    let foreign = Subject {
        name: format!("{}.shipment.created-value", site.namespace),
        schema: r#"{"type": "record", "name": "ShipmentCreated", "namespace": "logistics.events",
                    "fields": [{"name": "shipment_id", "type": "int"}]}"#,
        compatibility: "BACKWARD",
    };
    Registry::default()
        .apply(&connection, &registry::Change::Register(foreign.clone()))
        .await?;
    Registry::default()
        .apply(&connection, &registry::Change::SetCompatibility(foreign))
        .await?;
    let operator = Operator::new(&site).await?;
    site.create(&site.sample().await?).await?;
    let message = site.until("SchemasReady", "False/IncompatibleSchema").await?;
    assert!(
        message.contains("shipment.created-value refuses the release's schema under BACKWARD"),
        "{message}"
    );
    assert!(
        site.names(logistics_operator::child::ChildKind::Job)
            .await?
            .is_empty()
    );
    operator.stop().await
}

/// A platform says that its database's server is away, one on another server does not notice, and both go on alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_told_and_changes_nothing() -> Result<()> {
    let site = Site::new("database").await?;
    let operator = Operator::new(&site).await?;
    let server = dev_rig::postgres().await?;
    let mut sample = site.sample().await?;
    sample["spec"]["database"]["host"] = json!(server.host);
    sample["spec"]["database"]["port"] = json!(server.port);
    sample["spec"]["database"]["tls"] = json!({"mode": "Disabled"});
    site.create(&sample).await?;
    site.until_ready().await?;
    let beside = Site::new("database-beside").await?;
    let operator_beside = Operator::new(&beside).await?;
    beside.create(&beside.sample().await?).await?;
    beside.until_ready().await?;
    let conditions = || async {
        let status = beside.platforms().get("acme").await?.status.unwrap_or_default();
        anyhow::Ok(status.conditions)
    };
    let before = conditions().await?;

    server.kill();
    let message = site.until("DatabaseReady", "False/Unreachable").await?;
    println!("{message}");
    let named = format!("PostgreSQL {}:{}: no connection", server.host, server.port);
    assert!(message.starts_with(&named), "{message}");
    assert!(message.ends_with("pods that run are not touched"), "{message}");
    site.until("Degraded", "True/Unreachable").await?;
    site.until("WorkloadsReady", "True/Available").await?;
    assert_eq!(conditions().await?, before);
    server.start_again().await?;
    site.until("DatabaseReady", "True/Migrated").await?;
    site.until("Degraded", "False/AsExpected").await?;
    operator_beside.stop().await?;
    operator.stop().await
}
