//! Brokers and a registry that ask who is there: what is missing is named, what is wrong is told without being shown, and
//! what is mended is found.

use anyhow::{Context as _, Result};
use kube::api::{ListParams, Patch, PatchParams};
use logistics_operator::child::ChildKind;
use serde_json::{Value, json};

use crate::support::{Operator, Site, eventually};

const WRONG: &str = "open-sesame";

async fn configure(site: &Site, sample: &mut Value, door: &dev_rig::GuardedRegistry) -> Result<()> {
    let kafka = dev_rig::shared::kafka().await?;
    for (name, file) in [("kafka-ca", &kafka.ca_file), ("registry-ca", &door.ca_file)] {
        let authority =
            json!({"metadata": {"name": name}, "data": {"ca.crt": std::fs::read_to_string(file)?}});
        site.make("v1", "ConfigMap", authority).await?;
    }
    let spec = &mut sample["spec"];
    spec["kafka"]["bootstrapServers"] = kafka.guarded_servers.as_str().into();
    spec["kafka"]["tls"] = json!({"caConfigMapRef": {"name": "kafka-ca"}});
    spec["kafka"]["sasl"] = json!({"credentials": {"secretRef": {"name": "acme-kafka"}}});
    spec["schemaRegistry"]["url"] = door.url.as_str().into();
    spec["schemaRegistry"]["tls"] = json!({"caConfigMapRef": {"name": "registry-ca"}});
    spec["schemaRegistry"]["credentials"] = json!({"secretRef": {"name": "acme-registry"}});
    Ok(())
}

fn secret(name: &str, data: &Value) -> Value {
    json!({"metadata": {"name": name}, "type": "Opaque", "stringData": data})
}

async fn write_password(site: &Site, name: &str, password: &str) -> Result<()> {
    let change = Patch::Merge(json!({"stringData": {"password": password}}));
    let secrets = site.api(ChildKind::Secret);
    secrets.patch(name, &PatchParams::default(), &change).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_missed_refused_and_taken_when_they_are_right() -> Result<()> {
    let site = Site::new("credentials").await?;
    let kafka = dev_rig::shared::kafka().await?;
    let door = dev_rig::guarded_registry(dev_rig::shared::schema_registry().await?).await?;
    let operator = Operator::new(&site).await?;
    let mut sample = site.sample().await?;
    configure(&site, &mut sample, &door).await?;
    site.create(&sample).await?;
    for (condition, name) in [("KafkaReady", "acme-kafka"), ("SchemasReady", "acme-registry")] {
        let message = site.until(condition, "False/ReferenceMissing").await?;
        assert!(
            message.contains(&format!("Secret {name} is not in namespace")),
            "{message}"
        );
    }
    let message = site.until("WorkloadsReady", "False/ReferenceMissing").await?;
    assert_eq!(
        message.matches("spec.kafka.sasl.credentials.secretRef").count(),
        1,
        "{message}"
    );

    let users = [
        ("KafkaReady", "acme-kafka", &kafka.username),
        ("SchemasReady", "acme-registry", &door.username),
    ];
    for (condition, name, username) in users {
        site.make("v1", "Secret", secret(name, &json!({"username": username})))
            .await?;
        eventually("the key is missed", || async {
            let (_, message) = site.condition(condition).await?;
            let missed = format!("Secret {name} has no text at key password");
            Ok(message.contains(&missed).then_some(()))
        })
        .await?;
    }

    for (condition, name, _) in users {
        write_password(&site, name, WRONG).await?;
        let message = site.until(condition, "False/AuthenticationFailed").await?;
        println!("{message}");
    }
    // Another platform on the same brokers is not that one's concern.
    let mut other = sample.clone();
    other["metadata"]["name"] = "other".into();
    other["spec"]["kafka"]["topicPrefix"] = format!("{}.other.", site.namespace).into();
    other["spec"]["kafka"]["sasl"]["credentials"]["secretRef"]["name"] = "other-kafka".into();
    let right = json!({"username": kafka.username, "password": kafka.password});
    site.make("v1", "Secret", secret("other-kafka", &right)).await?;
    site.create(&other).await?;
    eventually("the other platform has its topics", || async {
        let status = site.platforms().get("other").await?.status.unwrap_or_default();
        let ready = |condition: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
            condition.type_ == "KafkaReady" && condition.status == "True"
        };
        Ok(status.conditions.iter().any(ready).then_some(()))
    })
    .await?;
    assert_eq!(
        site.condition("KafkaReady").await?.0,
        "False/AuthenticationFailed"
    );
    let shown = serde_json::to_string(&site.platforms().get("acme").await?)?;
    assert!(!shown.contains(WRONG), "{shown}");

    write_password(&site, "acme-kafka", &kafka.password).await?;
    // A line break at the end is none of the password, as in the files of a pod.
    write_password(&site, "acme-registry", &format!("{}\n", door.password())).await?;
    site.until("KafkaReady", "True/TopicsReady").await?;
    site.until("SchemasReady", "True/SubjectsReady").await?;
    site.until_ready().await?;

    let deployment = site
        .api(ChildKind::Deployment)
        .list(&ListParams::default())
        .await?;
    let deployment = serde_json::to_string(deployment.items.first().context("no Deployment")?)?;
    for file in ["/etc/logistics/kafka", "/etc/logistics/registry"] {
        assert!(deployment.contains(file), "{file}: {deployment}");
    }

    // A password that was rotated at the registry first: told, and forgotten as soon as the Secret follows.
    let rotated = door.change_password();
    site.until("SchemasReady", "False/AuthenticationFailed").await?;
    write_password(&site, "acme-registry", &rotated).await?;
    site.until("SchemasReady", "True/SubjectsReady").await?;
    operator.stop().await
}
