//! The custom resource as a real API server sees it: what it fills in, what it refuses and how it says so.

#[path = "testbed/platforms.rs"]
mod platforms;

use std::fmt::Write as _;

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
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
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

/// Why the API server refuses an object; an accepted one is an error.
async fn refusal(client: &Client, object: &Value) -> Result<String> {
    match send(
        client,
        Method::POST,
        &collection("default"),
        "&dryRun=All",
        object,
    )
    .await
    {
        Ok(_) => Err(anyhow!("it was accepted")),
        Err(kube::Error::Api(status)) => Ok(status.message),
        Err(error) => Err(error.into()),
    }
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
    insta::assert_yaml_snapshot!(created["spec"], @r#""#);
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

/// A wrong object: what it is, how it differs from the smallest one, and what the refusal has to say.
struct Wrong(&'static str, Value, &'static [&'static str]);

#[tokio::test]
async fn wrong_platforms_are_refused_with_field_value_and_remedy() -> Result<()> {
    let client = cluster().await?;
    ensure!(
        refusal(&client, &platforms::smallest("right")).await.is_err(),
        "the smallest object is refused"
    );
    let mut bad = String::new();
    let wrong = wrong_platforms();
    assert!(wrong.len() >= 25);
    for Wrong(name, change, fragments) in wrong {
        let mut object = platforms::smallest("wrong");
        platforms::merge(&mut object, &change);
        let told = refusal(&client, &object)
            .await
            .unwrap_or_else(|error| format!("no refusal: {error:#}"));
        println!("{name}\n    {told}");
        for fragment in fragments.iter().filter(|fragment| !told.contains(**fragment)) {
            writeln!(bad, "{name}: {fragment:?} is not in: {told}")?;
        }
    }
    assert!(bad.is_empty(), "\n{bad}");
    Ok(())
}

fn wrong_platforms() -> Vec<Wrong> {
    [
        general(),
        workloads(),
        kafka(),
        registry(),
        database(),
        auth(),
        observability(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn spec(change: &Value) -> Value {
    json!({ "spec": change })
}

fn general() -> Vec<Wrong> {
    let long = "a".repeat(41);
    vec![
        Wrong(
            "name of 41 characters",
            json!({"metadata": {"name": long}}),
            &["metadata.name", "40", "shorter"],
        ),
        Wrong(
            "name with a dot",
            json!({"metadata": {"name": "acme.eu"}}),
            &["metadata.name", "acme.eu", "a-z, 0-9 and '-'"],
        ),
        Wrong(
            "name that starts with a digit",
            json!({"metadata": {"name": "7acme"}}),
            &["metadata.name", "7acme", "start with a letter"],
        ),
        Wrong("no spec", json!({"spec": null}), &["spec", "Required value"]),
        Wrong(
            "no version",
            spec(&json!({"version": null})),
            &["spec.version", "Required value"],
        ),
        Wrong(
            "empty version",
            spec(&json!({"version": ""})),
            &["spec.version", "at least 1 chars long"],
        ),
        Wrong(
            "version with a colon",
            spec(&json!({"version": "logistics:0.1.0"})),
            &["spec.version", "logistics:0.1.0", "use letters, digits"],
        ),
        Wrong(
            "version as a number",
            spec(&json!({"version": 1})),
            &["spec.version", "must be of type string", "integer"],
        ),
        Wrong(
            "unknown field of spec",
            spec(&json!({"verison": "0.1.0"})),
            &["unknown field", "spec.verison"],
        ),
        Wrong(
            "unknown field deep inside",
            spec(&json!({"kafka": {"topics": {"partition": 3}}})),
            &["unknown field", "spec.kafka.topics.partition"],
        ),
        Wrong(
            "repository with a scheme",
            spec(&json!({"image": {"repository": "https://quay.io/Acme"}})),
            &[
                "spec.image.repository",
                "https://quay.io/Acme",
                "leave out the scheme",
            ],
        ),
        Wrong(
            "pull policy in small letters",
            spec(&json!({"image": {"pullPolicy": "always"}})),
            &[
                "spec.image.pullPolicy",
                "always",
                "\"Always\", \"IfNotPresent\", \"Never\"",
            ],
        ),
        Wrong(
            "pull secret with capitals",
            spec(&json!({"image": {"pullSecrets": [{"name": "Pull_Secret"}]}})),
            &["spec.image.pullSecrets[0].name", "Pull_Secret", "a-z"],
        ),
        Wrong(
            "too many pull secrets",
            spec(&json!({"image": {"pullSecrets": vec![json!({"name": "a"}); 9]}})),
            &["spec.image.pullSecrets", "9", "at most 8 items"],
        ),
    ]
}

fn workloads() -> Vec<Wrong> {
    let shipment = |change: Value| spec(&json!({"workloads": {"shipment": change}}));
    vec![
        Wrong(
            "no replica",
            shipment(json!({"replicas": 0})),
            &[
                "spec.workloads.shipment.replicas",
                "0",
                "greater than or equal to 1",
            ],
        ),
        Wrong(
            "101 replicas",
            shipment(json!({"replicas": 101})),
            &[
                "spec.workloads.shipment.replicas",
                "101",
                "less than or equal to 100",
            ],
        ),
        Wrong(
            "half a replica",
            shipment(json!({"replicas": 1.5})),
            &[
                "spec.workloads.shipment.replicas",
                "must be of type integer",
                "number",
            ],
        ),
        Wrong(
            "fourth workload",
            spec(&json!({"workloads": {"billing": {"replicas": 1}}})),
            &["unknown field", "spec.workloads.billing"],
        ),
        Wrong(
            "memory in a wrong unit",
            shipment(json!({"resources": {"limits": {"memory": "256MB"}}})),
            &[
                "spec.workloads.shipment.resources.limits.memory",
                "256MB",
                "256Mi",
            ],
        ),
        Wrong(
            "negative cpu",
            shipment(json!({"resources": {"requests": {"cpu": "-1"}}})),
            &["spec.workloads.shipment.resources.requests.cpu", "-1", "250m"],
        ),
    ]
}

fn kafka() -> Vec<Wrong> {
    let kafka = |change: Value| spec(&json!({"kafka": change}));
    let topics = |change: Value| spec(&json!({"kafka": {"topics": change}}));
    vec![
        Wrong(
            "no bootstrap servers",
            kafka(json!({"bootstrapServers": null})),
            &["spec.kafka.bootstrapServers", "Required value"],
        ),
        Wrong(
            "bootstrap server without a port",
            kafka(json!({"bootstrapServers": "kafka.backing.svc"})),
            &[
                "spec.kafka.bootstrapServers",
                "\"kafka.backing.svc\"",
                "for example kafka-0.kafka:9093",
            ],
        ),
        Wrong(
            "bootstrap servers with blanks",
            kafka(json!({"bootstrapServers": "a:1, b:2"})),
            &["spec.kafka.bootstrapServers", "\"a:1, b:2\"", "host:port"],
        ),
        Wrong(
            "port beyond 65535",
            kafka(json!({"bootstrapServers": "kafka:70000"})),
            &["spec.kafka.bootstrapServers", "kafka:70000", "65535"],
        ),
        Wrong(
            "prefix with a slash",
            kafka(json!({"topicPrefix": "acme/"})),
            &["spec.kafka.topicPrefix", "acme/", "use letters, digits"],
        ),
        Wrong(
            "no partition",
            topics(json!({"partitions": 0})),
            &["spec.kafka.topics.partitions", "0", "greater than or equal to 1"],
        ),
        Wrong(
            "too many partitions",
            topics(json!({"partitions": 1001})),
            &[
                "spec.kafka.topics.partitions",
                "1001",
                "less than or equal to 1000",
            ],
        ),
        Wrong(
            "no replica of a partition",
            topics(json!({"replicationFactor": 0})),
            &[
                "spec.kafka.topics.replicationFactor",
                "0",
                "greater than or equal to 1",
            ],
        ),
        Wrong(
            "retention in days",
            topics(json!({"retention": "7d"})),
            &["spec.kafka.topics.retention", "7d", "168h"],
        ),
        Wrong(
            "retention without a unit",
            topics(json!({"retention": "168"})),
            &["spec.kafka.topics.retention", "168", "h"],
        ),
        Wrong(
            "retention of a minute",
            topics(json!({"retention": "1m"})),
            &[
                "spec.kafka.topics.retention",
                "1m",
                "between 1h and 87600h",
                "168h",
            ],
        ),
        Wrong(
            "retention beyond ten years",
            topics(json!({"retention": "9999999h"})),
            &["spec.kafka.topics.retention", "9999999h", "between 1h and 87600h"],
        ),
        Wrong(
            "resync of a second",
            kafka(json!({"resync": "1s"})),
            &["spec.kafka.resync", "1s", "between 5s and 1h", "30s"],
        ),
        Wrong(
            "authority without TLS",
            kafka(json!({"tls": {"mode": "Disabled", "caConfigMapRef": {"name": "ca"}}})),
            &[
                "spec.kafka.tls",
                "caConfigMapRef",
                "remove it, or set mode to Verify",
            ],
        ),
        Wrong(
            "TLS mode that does not exist",
            kafka(json!({"tls": {"mode": "Insecure"}})),
            &["spec.kafka.tls.mode", "Insecure", "\"Verify\", \"Disabled\""],
        ),
        Wrong(
            "key of an authority with a slash",
            kafka(json!({"tls": {"caConfigMapRef": {"name": "ca", "key": "../ca"}}})),
            &["spec.kafka.tls.caConfigMapRef.key", "../ca", "A-Z"],
        ),
    ]
}

fn registry() -> Vec<Wrong> {
    let registry = |change: Value| spec(&json!({"schemaRegistry": change}));
    vec![
        Wrong(
            "registry without a scheme",
            registry(json!({"url": "registry:8081"})),
            &[
                "spec.schemaRegistry.url",
                "registry:8081",
                "for example https://registry.example.org",
            ],
        ),
        Wrong(
            "credentials in the registry's URL",
            registry(json!({"url": "https://me:secret@registry"})),
            &[
                "spec.schemaRegistry.url",
                "for example https://registry.example.org",
            ],
        ),
        Wrong(
            "registry in plain text, but TLS",
            registry(json!({"url": "http://registry:8081"})),
            &[
                "spec.schemaRegistry",
                "tls.mode disagree",
                "http:// with tls.mode Disabled",
            ],
        ),
        Wrong(
            "registry with TLS, but disabled",
            registry(json!({"tls": {"mode": "Disabled"}})),
            &[
                "spec.schemaRegistry",
                "tls.mode disagree",
                "https:// with tls.mode Verify",
            ],
        ),
        Wrong(
            "compatibility that does not exist",
            registry(json!({"compatibility": "backward"})),
            &[
                "spec.schemaRegistry.compatibility",
                "\"backward\"",
                "\"BACKWARD\", \"BACKWARD_TRANSITIVE\"",
            ],
        ),
    ]
}

fn database() -> Vec<Wrong> {
    let database = |change: Value| spec(&json!({"database": change}));
    vec![
        Wrong(
            "host with scheme and port",
            database(json!({"host": "postgres://db:5432"})),
            &[
                "spec.database.host",
                "postgres://db:5432",
                "leave out scheme and port",
            ],
        ),
        Wrong(
            "port 0",
            database(json!({"port": 0})),
            &["spec.database.port", "0", "greater than or equal to 1"],
        ),
        Wrong(
            "port 65536",
            database(json!({"port": 65536})),
            &["spec.database.port", "65536", "less than or equal to 65535"],
        ),
        Wrong(
            "database with a quote",
            database(json!({"name": "ac\"me"})),
            &["spec.database.name", "ac\\\"me", "use letters, digits"],
        ),
        Wrong(
            "database with 64 characters",
            database(json!({"name": "d".repeat(64)})),
            &["spec.database.name", "63"],
        ),
        Wrong(
            "no credentials",
            database(json!({"credentials": null})),
            &["spec.database.credentials", "Required value"],
        ),
        Wrong(
            "password in the platform",
            database(json!({"password": "geheim"})),
            &["unknown field", "spec.database.password"],
        ),
    ]
}

fn auth() -> Vec<Wrong> {
    let auth = |change: Value| spec(&json!({"auth": change}));
    vec![
        Wrong(
            "issuer that is no URL",
            auth(json!({"issuer": "issuer.example"})),
            &[
                "spec.auth.issuer",
                "issuer.example",
                "for example https://issuer.example.org",
            ],
        ),
        Wrong(
            "audience with a blank",
            auth(json!({"audience": "a b"})),
            &[
                "spec.auth.audience",
                "\"a b\"",
                "exactly as in the tokens' aud claim",
            ],
        ),
        Wrong(
            "no key set",
            auth(json!({"jwks": null})),
            &["spec.auth.jwks", "Required value"],
        ),
    ]
}

fn observability() -> Vec<Wrong> {
    let otlp = |change: Value| spec(&json!({"observability": {"otlp": change}}));
    vec![
        Wrong(
            "receiver with a path",
            otlp(json!({"endpoint": "http://collector:4317/v1"})),
            &[
                "spec.observability.otlp.endpoint",
                "http://collector:4317/v1",
                "for example http://collector",
            ],
        ),
        Wrong(
            "sampling above 1",
            otlp(json!({"endpoint": "http://collector:4317", "samplingRatio": 1.1})),
            &[
                "spec.observability.otlp.samplingRatio",
                "1.1",
                "less than or equal to 1",
            ],
        ),
        Wrong(
            "log level in capitals",
            spec(&json!({"observability": {"logLevel": "INFO"}})),
            &["spec.observability.logLevel", "INFO", "\"info\""],
        ),
    ]
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
    let remedy = "run `cargo run -p logistics-operator -- crd > crds/logisticsplatforms.yaml`";
    let file = std::fs::read_to_string(path).map_err(|error| anyhow!("{path}: {error}; {remedy}"))?;
    assert!(
        file == api::to_yaml()?,
        "{path} is not what the types say; {remedy}"
    );
    Ok(())
}
