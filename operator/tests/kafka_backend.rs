//! Topics in a real broker: made as wanted, kept as wanted, and nothing of others touched.

#[path = "testbed/guarded_kafka.rs"]
mod guarded;
#[path = "testbed/platforms.rs"]
mod platforms;
#[path = "testbed/unreachable.rs"]
mod unreachable;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use logistics_kafka_admin::{Admin, TopicDescription, TopicSpec, Trust};
use logistics_operator::backend::kafka::{self, Change, Connection, Kafka, Target, Topic, Topics};
use logistics_operator::backend::{Backend as _, BackendError, BackendPlan};
use logistics_operator::reason::Reason;
use serde_json::{Value, json};
use unreachable::within_the_limit;

const WEEK: &str = "604800000";

fn target(bootstrap_servers: &str) -> Target {
    Target {
        bootstrap_servers: bootstrap_servers.to_owned(),
        trust: Trust::Disabled,
        sasl: None,
    }
}

async fn broker() -> Result<Connection> {
    Ok(Kafka::default().connect(&target(&dev_rig::shared::kafka().await?.bootstrap_servers))?)
}

/// The topics of a platform with this prefix on one broker.
fn topics(prefix: &str, change: &Value) -> Result<Vec<Topic>> {
    let kafka = json!({"topicPrefix": prefix, "topics": {"partitions": 3, "replicationFactor": 1}});
    let valid = platforms::valid(&[
        &json!({"spec": {"kafka": kafka}}),
        &json!({"spec": {"kafka": change}}),
    ])?;
    Ok(kafka::wanted(&valid))
}

async fn plan(admin: &Connection, wanted: &[Topic]) -> Result<BackendPlan<Change>> {
    Ok(Kafka::plan(
        wanted,
        &Kafka::default().observe(admin, wanted).await?,
    ))
}

async fn apply(admin: &Connection, wanted: &[Topic]) -> Result<()> {
    for change in plan(admin, wanted).await?.changes {
        Kafka::default().apply(admin, &change).await?;
    }
    Ok(())
}

fn configs<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

/// A broker learns of a change from its controller a moment after that has answered.
async fn until_shown(admin: &Connection, topic: &str, is: impl Fn(&TopicDescription) -> bool) -> Result<()> {
    let start = Instant::now();
    while !admin
        .describe(&[topic.to_owned()])
        .await?
        .get(topic)
        .is_some_and(&is)
    {
        ensure!(
            start.elapsed() < Duration::from_secs(30),
            "the broker never showed the change of {topic}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// The value of a key when it was set for the topic.
fn own(topics: &Topics, topic: &str, key: &str) -> Option<String> {
    topics
        .0
        .get(topic)?
        .configs
        .get(key)
        .filter(|config| config.of_topic)?
        .value
        .clone()
}

#[tokio::test]
async fn missing_topics_are_made_as_wanted_and_then_nothing_is_left_to_do() -> Result<()> {
    let admin = broker().await?;
    let wanted = topics("made.", &json!({"topics": {"retention": "36h"}}))?;
    assert!(
        Kafka::default().observe(&admin, &wanted).await?.0.is_empty(),
        "reading must not create"
    );

    let first = plan(&admin, &wanted).await?;
    let creations: Vec<_> = wanted.iter().cloned().map(Change::Create).collect();
    assert_eq!(first.changes, creations);
    for change in &first.changes {
        Kafka::default().apply(&admin, change).await?;
    }

    let seen = Kafka::default().observe(&admin, &wanted).await?;
    assert_eq!(Kafka::plan(&wanted, &seen), BackendPlan::default());
    assert_eq!(seen.0.len(), logistics_schemas::topics::ALL.len());
    for topic in &wanted {
        assert!(seen.fits(topic), "{topic:?}");
        let found = &seen.0[&topic.name];
        assert_eq!(
            (found.partitions, found.replication_factor),
            (3, 1),
            "{}",
            topic.name
        );
        assert_eq!(
            own(&seen, &topic.name, "retention.ms").as_deref(),
            Some("129600000")
        );
        assert_eq!(
            own(&seen, &topic.name, "cleanup.policy").as_deref(),
            Some("delete")
        );
    }

    // Two operators may plan the same at once; the second finds the work done.
    for change in &first.changes {
        Kafka::default().apply(&admin, change).await?;
    }
    assert_eq!(Kafka::default().observe(&admin, &wanted).await?, seen);
    Ok(())
}

#[tokio::test]
async fn a_retention_changed_by_hand_is_repaired_and_keys_of_others_survive() -> Result<()> {
    let admin = broker().await?;
    let wanted = topics("drift.", &json!({}))?;
    apply(&admin, &wanted).await?;
    let topic = "drift.shipment.created";
    let by_hand = configs([
        ("retention.ms", "60000"),
        ("max.message.bytes", "2000000"),
        ("segment.ms", "7200000"),
    ]);
    admin.set_configs(topic, &by_hand).await?;
    until_shown(&admin, topic, |shown| {
        shown.configs["retention.ms"].value.as_deref() == Some("60000")
    })
    .await?;

    let drifted = plan(&admin, &wanted).await?;
    let repair = Change::SetConfigs {
        topic: topic.to_owned(),
        configs: configs([("retention.ms", WEEK)]),
    };
    assert_eq!(
        drifted.changes,
        [repair],
        "only what differs, and only in the topic that differs"
    );
    assert_eq!(
        drifted.changes[0].to_string(),
        format!("set retention.ms={WEEK} of topic {topic}")
    );
    assert_eq!(drifted.refused, []);
    for _ in 0..2 {
        Kafka::default().apply(&admin, &drifted.changes[0]).await?;
    }

    let seen = Kafka::default().observe(&admin, &wanted).await?;
    assert_eq!(Kafka::plan(&wanted, &seen), BackendPlan::default());
    assert_eq!(own(&seen, topic, "retention.ms").as_deref(), Some(WEEK));
    // The operator asks for its own keys only.
    let servers = &dev_rig::shared::kafka().await?.bootstrap_servers;
    let other = Admin::new(servers, &Trust::Disabled, None, Duration::from_secs(10))?;
    let seen = Topics(other.describe(&[topic.to_owned()]).await?);
    assert_eq!(own(&seen, topic, "max.message.bytes").as_deref(), Some("2000000"));
    assert_eq!(own(&seen, topic, "segment.ms").as_deref(), Some("7200000"));
    Ok(())
}

/// The broker's default retention is a week as well; were it taken for ours, a change of the default would delete events.
#[tokio::test]
async fn a_value_that_is_only_the_brokers_default_is_pinned() -> Result<()> {
    let admin = broker().await?;
    let wanted = topics("default.", &json!({}))?;
    let name = "default.shipment.created".to_owned();
    let bare = TopicSpec {
        name: name.clone(),
        partitions: 3,
        replication_factor: 1,
        configs: BTreeMap::new(),
    };
    admin.create(&bare).await?;
    until_shown(&admin, &name, |_| true).await?;

    let seen = Kafka::default().observe(&admin, &wanted).await?;
    assert_eq!(
        seen.0[&name].configs["retention.ms"].value.as_deref(),
        Some(WEEK),
        "the default of the broker"
    );
    let pin = Change::SetConfigs {
        topic: name.clone(),
        configs: configs([("cleanup.policy", "delete"), ("retention.ms", WEEK)]),
    };
    assert!(Kafka::plan(&wanted, &seen).changes.contains(&pin));

    apply(&admin, &wanted).await?;
    assert_eq!(plan(&admin, &wanted).await?, BackendPlan::default());
    Ok(())
}

#[tokio::test]
async fn other_partitions_are_told_and_left_alone() -> Result<()> {
    let admin = broker().await?;
    let few = topics("partitions.", &json!({}))?;
    apply(&admin, &few).await?;
    let before = Kafka::default().observe(&admin, &few).await?;

    for (partitions, because) in [(4, "order"), (2, "cannot take partitions away")] {
        let wanted = topics("partitions.", &json!({"topics": {"partitions": partitions}}))?;
        let plan = plan(&admin, &wanted).await?;
        assert_eq!(plan.changes, []);
        assert_eq!(plan.refused.len(), wanted.len());
        assert!(!before.fits(&wanted[0]));
        for (topic, refused) in wanted.iter().zip(&plan.refused) {
            assert_eq!(refused.reason, Reason::NotSupported);
            for part in [
                &topic.name,
                "has 3",
                "spec.kafka.topics.partitions",
                &partitions.to_string(),
                because,
                "write 3",
            ] {
                assert!(
                    refused.message.contains(part),
                    "{part:?} is not in: {}",
                    refused.message
                );
            }
        }
    }

    let wanted = topics(
        "partitions.",
        &json!({"topics": {"replicationFactor": 2, "retention": "2h"}}),
    )?;
    let mixed = plan(&admin, &wanted).await?;
    assert_eq!(mixed.changes.len(), wanted.len(), "what can be done is done");
    let told = &mixed.refused[0].message;
    for part in [
        "replication factor 1",
        "spec.kafka.topics.replicationFactor",
        "says 2",
        "write 1",
    ] {
        assert!(told.contains(part), "{part:?} is not in: {told}");
    }
    assert_eq!(
        Kafka::default().observe(&admin, &few).await?,
        before,
        "nothing was altered by planning"
    );
    Ok(())
}

#[tokio::test]
async fn a_topic_that_the_broker_refuses_is_told_with_its_name_and_a_remedy() -> Result<()> {
    let admin = broker().await?;
    let wanted = topics("refused.", &json!({"topics": {"replicationFactor": 3}}))?;
    let change = Change::Create(wanted[0].clone());
    let error = Kafka::default()
        .apply(&admin, &change)
        .await
        .err()
        .ok_or_else(|| anyhow!("one broker cannot hold three replicas"))?;
    println!("{error}");
    assert_eq!(error.reason, Reason::TopicFailed);
    for part in [
        wanted[0].name.as_str(),
        "eplication factor",
        "spec.kafka.topics.replicationFactor",
    ] {
        assert!(error.message.contains(part), "{part:?} is not in: {error}");
    }
    assert!(Kafka::default().observe(&admin, &wanted).await?.0.is_empty());

    let gone = Change::SetConfigs {
        topic: "refused.gone".to_owned(),
        configs: configs([("retention.ms", WEEK)]),
    };
    let error = Kafka::default()
        .apply(&admin, &gone)
        .await
        .err()
        .ok_or_else(|| anyhow!("there is no such topic"))?;
    println!("{error}");
    assert!(error.message.contains("refused.gone"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_broker_that_is_gone_is_an_error_in_time_and_found_again_when_it_is_back() -> Result<()> {
    let broker = dev_rig::kafka().await?;
    let admin = Kafka::default().connect(&target(&broker.bootstrap_servers))?;
    let wanted = topics("back.", &json!({}))?;
    apply(&admin, &wanted).await?;

    broker.kill();
    let error = unread(&admin, &wanted).await?;
    assert!(error.message.contains(&broker.bootstrap_servers), "{error}");
    let change = Change::Create(wanted[0].clone());
    let error = within_the_limit(Kafka::default().apply(&admin, &change)).await?;
    println!("{error}");
    assert!(error.message.contains(&wanted[0].name), "{error}");

    broker.start_again().await?;
    // The client rests between its attempts to connect, at most 5 s.
    let start = Instant::now();
    let found = loop {
        match plan(&admin, &wanted).await {
            Err(error) if start.elapsed() > Duration::from_mins(1) => return Err(error),
            Err(_) => {}
            Ok(plan) => break plan,
        }
    };
    assert_eq!(found, BackendPlan::default());
    Ok(())
}

#[tokio::test]
async fn an_address_without_a_server_is_an_error_in_time() -> Result<()> {
    let address = unreachable::closed()?;
    let error = unread(
        &Kafka::default().connect(&target(&address))?,
        &topics("", &json!({}))?,
    )
    .await?;
    assert!(error.message.contains(&address), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_says_nothing_is_an_error_in_time() -> Result<()> {
    let silent = unreachable::silent()?;
    unread(
        &Kafka::default().connect(&target(&silent.address))?,
        &topics("", &json!({}))?,
    )
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_broker_without_tls_is_an_error_that_says_so() -> Result<()> {
    let broker = dev_rig::shared::kafka().await?;
    let tls = Target {
        trust: Trust::System,
        ..target(&broker.bootstrap_servers)
    };
    let error = unread(&Kafka::default().connect(&tls)?, &topics("", &json!({}))?).await?;
    assert!(error.message.to_lowercase().contains("ssl"), "{error}");
    Ok(())
}

#[test]
fn an_authority_that_is_no_certificate_is_told() -> Result<()> {
    let no_pem = Target {
        trust: Trust::Pem("no certificate".to_owned()),
        ..target("127.0.0.1:9")
    };
    let error = Kafka::default()
        .connect(&no_pem)
        .err()
        .ok_or_else(|| anyhow!("it was accepted"))?;
    println!("{error}");
    assert_eq!(error.reason, Reason::InvalidAuthority, "{error}");
    Ok(())
}

/// The error of a read, which must come within the limit of a call.
async fn unread(admin: &Connection, wanted: &[Topic]) -> Result<BackendError> {
    let error = within_the_limit(Kafka::default().observe(admin, wanted)).await?;
    println!("{error}");
    assert_eq!(error.reason, Reason::Unreachable);
    Ok(error)
}
