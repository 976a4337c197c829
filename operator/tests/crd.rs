//! The custom resource as a real API server sees it: what it fills in, what it refuses and how it says so.

#[path = "testbed/platforms.rs"]
mod platforms;

use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use http::{Method, Request};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::{Client, ResourceExt};
use kube_runtime::wait::{await_condition, conditions};
use logistics_operator::api::{self, LogisticsPlatform};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

const GROUP_VERSION: &str = "/apis/logistics-platform.io/v1alpha1";

/// A client of the shared API server, which serves the custom resource.
async fn cluster() -> Result<Client> {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let client = dev_rig::shared::api_server().await?.client().await?;
    INSTALLED.get_or_try_init(|| install(client.clone())).await?;
    Ok(client)
}

async fn install(client: Client) -> Result<()> {
    let definition = api::definition();
    let name = definition.name_any();
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    let parameters = PatchParams::apply("test").validation_strict();
    definitions
        .patch(&name, &parameters, &Patch::Apply(&definition))
        .await?;
    await_condition(definitions, &name, conditions::is_crd_established()).await?;
    // Established comes a moment before the API server answers for the kind.
    let found = || async {
        let resources: Value = get(&client, GROUP_VERSION, "application/json").await?;
        ensure!(
            !resources["resources"].as_array().is_none_or(Vec::is_empty),
            "{resources}"
        );
        Api::<LogisticsPlatform>::all(client.clone())
            .list(&kube::api::ListParams::default())
            .await?;
        anyhow::Ok(())
    };
    for _ in 0..600 {
        if found().await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    found().await
}

async fn get(client: &Client, path: &str, accept: &str) -> Result<Value> {
    let request = Request::get(path).header("accept", accept).body(Vec::new())?;
    Ok(client.request(request).await?)
}

/// Sends an object as `kubectl` does: unknown and repeated fields are errors.
async fn send(
    client: &Client,
    method: Method,
    path: &str,
    query: &str,
    object: &Value,
) -> kube::Result<Value> {
    let kind = if method == Method::PATCH {
        "application/merge-patch+json"
    } else {
        "application/json"
    };
    let request = Request::builder()
        .method(method)
        .uri(format!("{path}?fieldValidation=Strict{query}"))
        .header("content-type", kind)
        .body(object.to_string().into_bytes())
        .map_err(kube::Error::HttpError)?;
    client.request(request).await
}

fn collection(namespace: &str) -> String {
    format!("{GROUP_VERSION}/namespaces/{namespace}/logisticsplatforms")
}

#[tokio::test]
async fn the_smallest_platform_gets_every_default() -> Result<()> {
    let client = cluster().await?;
    let path = collection("default");
    let created = send(
        &client,
        Method::POST,
        &path,
        "&dryRun=All",
        &platforms::smallest("smallest"),
    )
    .await?;
    insta::assert_yaml_snapshot!(created["spec"], @r#"
    adopt: false
    auth:
      audience: logistics
      issuer: "https://issuer.example"
      jwks:
        configMapRef:
          key: jwks.json
          name: acme-jwks
    database:
      credentials:
        secretRef:
          name: acme-db
      host: postgres
      name: acme
      port: 5432
      tls:
        mode: Verify
    deletionPolicy: Retain
    image:
      pullPolicy: IfNotPresent
      pullSecrets: []
      repository: localhost/logistics
    kafka:
      bootstrapServers: "kafka:9093"
      resync: 30s
      tls:
        mode: Verify
      topicPrefix: ""
      topics:
        partitions: 6
        replicationFactor: 3
        retention: 168h
    networkPolicy:
      from: []
      mode: Enabled
    observability:
      logLevel: info
    schemaRegistry:
      compatibility: BACKWARD
      encoding: Avro
      tls:
        mode: Verify
      url: "https://registry/apis/ccompat/v7"
    suspend: false
    version: 0.1.0
    workloads:
      analytics:
        disruption:
          maxUnavailable: 1
        replicas: 2
        resources:
          limits:
            memory: 256Mi
          requests:
            cpu: 25m
            memory: 64Mi
      shipment:
        disruption:
          maxUnavailable: 1
        replicas: 2
        resources:
          limits:
            memory: 256Mi
          requests:
            cpu: 25m
            memory: 64Mi
      tracking:
        disruption:
          maxUnavailable: 1
        replicas: 2
        resources:
          limits:
            memory: 256Mi
          requests:
            cpu: 25m
            memory: 64Mi
    "#);
    let platform: LogisticsPlatform = serde_json::from_value(created)?;
    let valid = logistics_operator::validate::validate(&platform)?;
    assert_eq!(valid.kafka.retention.as_secs(), 7 * 24 * 3600);
    Ok(())
}

/// What the generator writes by itself is what the API server fills in: the two must never differ.
#[tokio::test]
async fn defaults_of_the_types_are_defaults_of_the_schema() -> Result<()> {
    let client = cluster().await?;
    let object = platforms::smallest("defaults");
    let created = send(
        &client,
        Method::POST,
        &collection("default"),
        "&dryRun=All",
        &object,
    )
    .await?;
    let own: LogisticsPlatform = serde_json::from_value(object)?;
    assert_eq!(serde_json::to_value(&own.spec)?, created["spec"]);
    Ok(())
}

#[tokio::test]
async fn the_full_platform_is_accepted_as_it_is() -> Result<()> {
    let client = cluster().await?;
    let object = platforms::full("full");
    let created = send(
        &client,
        Method::POST,
        &collection("default"),
        "&dryRun=All",
        &object,
    )
    .await?;
    assert_eq!(created["spec"], object["spec"]);
    Ok(())
}

#[tokio::test]
async fn status_is_a_subresource() -> Result<()> {
    let client = cluster().await?;
    let namespace = dev_rig::shared::api_server()
        .await?
        .make_namespace("status")
        .await?;
    let mut object = platforms::smallest("acme");
    object["status"] = json!({"revision": "forged"});
    let created = send(&client, Method::POST, &collection(&namespace), "", &object).await?;
    assert_eq!(created["status"], Value::Null, "a user must not write the status");

    let path = format!("{}/acme", collection(&namespace));
    let status = json!({
        "spec": {"version": "9.9.9"},
        "status": {
            "observedGeneration": 1,
            "revision": "abc123",
            "version": "0.1.0",
            "conditions": [{"type": "Ready", "status": "False", "reason": "Progressing", "message": "waits",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            "workloads": [{"name": "shipment", "revision": "abc123", "version": "0.1.0", "replicas": 2,
                "readyReplicas": 1, "endpoint": "acme-shipment:8080"}],
            "topics": [{"name": "shipment.created", "partitions": 6}],
            "subjects": [{"name": "shipment.created-value", "id": 1, "version": 1}],
        },
    });
    let written = send(&client, Method::PATCH, &format!("{path}/status"), "", &status).await?;
    assert_eq!(written["status"]["revision"], "abc123");
    assert_eq!(
        written["spec"]["version"], "0.1.0",
        "status must not change the spec"
    );
    assert_eq!(written["metadata"]["generation"], 1);
    let platform: LogisticsPlatform = serde_json::from_value(written)?;
    assert_eq!(platform.status.map(|status| status.conditions.len()), Some(1));

    let table = get(&client, &path, "application/json;as=Table;v=v1;g=meta.k8s.io").await?;
    let columns = &table["columnDefinitions"];
    let shown = |index: usize| {
        (
            columns[index]["name"].clone(),
            table["rows"][0]["cells"][index].clone(),
        )
    };
    assert_eq!(shown(0), ("Name".into(), "acme".into()));
    assert_eq!(shown(1), ("Ready".into(), "False".into()));
    assert_eq!(shown(2), ("Version".into(), "0.1.0".into()));
    assert_eq!(shown(3), ("Revision".into(), "abc123".into()));
    assert_eq!(shown(4).0, "Age");
    assert_eq!(shown(5), ("Reason".into(), "Progressing".into()));
    assert_eq!(columns[5]["priority"], 1, "the reason is for -o wide");

    let platforms = Api::<LogisticsPlatform>::namespaced(client, &namespace);
    platforms.delete("acme", &DeleteParams::default()).await?;
    Ok(())
}

#[tokio::test]
async fn short_name_and_category_are_served() -> Result<()> {
    let resources = get(&cluster().await?, GROUP_VERSION, "application/json").await?;
    let all = resources["resources"]
        .as_array()
        .ok_or_else(|| anyhow!("{resources}"))?;
    let found = |name: &str| all.iter().find(|resource| resource["name"] == name);
    let resource = found("logisticsplatforms").ok_or_else(|| anyhow!("{resources}"))?;
    assert_eq!(resource["shortNames"], json!(["lp"]));
    assert_eq!(resource["categories"], json!(["logistics"]));
    assert_eq!(resource["namespaced"], true);
    assert!(found("logisticsplatforms/status").is_some(), "{resources}");
    Ok(())
}

/// Client-side apply keeps a copy in an annotation, and etcd has a limit for all of it.
#[test]
fn the_definition_is_small() -> Result<()> {
    let size = serde_json::to_vec(&api::definition())?.len();
    assert!(size < 200_000, "the definition has {size} bytes as JSON");
    Ok(())
}

/// `kubectl explain` has a sentence for each field.
#[test]
fn every_field_is_described() -> Result<()> {
    let definition = serde_json::to_value(api::definition())?;
    let mut silent = Vec::new();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    for root in ["spec", "status"] {
        undescribed(root, &schema[root], &mut silent);
    }
    assert!(silent.is_empty(), "fields without a description: {silent:?}");
    Ok(())
}

fn undescribed(path: &str, schema: &Value, silent: &mut Vec<String>) {
    if schema["description"].as_str().is_none_or(str::is_empty) {
        silent.push(path.to_owned());
    }
    let properties = schema["properties"].as_object().into_iter();
    let items = schema["items"]["properties"].as_object().into_iter();
    for (name, field) in properties.chain(items).flatten() {
        undescribed(&format!("{path}.{name}"), field, silent);
    }
}

#[test]
fn the_file_in_crds_is_current() -> Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../crds/logisticsplatforms.yaml");
    let remedy = "run `cargo run -p logistics-operator -- crd` into it";
    let file = std::fs::read_to_string(path).map_err(|error| anyhow!("{path}: {error}; {remedy}"))?;
    assert!(
        file == api::to_yaml()?,
        "{path} is not what the types say; {remedy}"
    );
    Ok(())
}
